# SPDX-License-Identifier: MIT
"""tests/system/external.py: a compose as an external repository of Koji (docs/external-repo.md).

createrepo_c's mergerepo_c merges as Koji's builders do, its result is read as builds read it later, names move on
from compose to compose as kojira sees it, and reading keeps a compose.
"""
import concurrent.futures, contextlib, datetime, gzip, hashlib, os, pathlib, re, shutil, signal, subprocess, sys, tempfile
import threading, time, urllib.request
import xml.etree.ElementTree as ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import *

META = "http://linux.duke.edu/metadata/"
COMMON, REPO = f"{{{META}common}}", f"{{{META}repo}}"
MERGES = {"koji": ["--koji"], "simple": ["--koji", "--simple"], "bare": ["--pkgorigins", "--all"]}


def fetch(url, head=None):
    """status and body, as a plain client: no ranges, no conditions"""
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def names_in(primary):
    return sorted(p.find(COMMON + "name").text for p in ElementTree.fromstring(primary).iter(COMMON + "package"))


def records(repomd):
    """type → (href, checksum, timestamp)"""
    return {d.get("type"): (d.find(REPO + "location").get("href"), d.find(REPO + "checksum").text,
                            int(d.find(REPO + "timestamp").text)) for d in ElementTree.fromstring(repomd).iter(REPO + "data")}


def newest(repomd):
    """what kojira keeps of a repository"""
    return max(timestamp for _, _, timestamp in records(repomd).values())


# ---- merging ---------------------------------------------------------------------------------------------

def own_repository(folder):
    """what was built in the tag itself: one package that the compose has too, one EVR newer"""
    folder.mkdir()
    rpm = next((UPDATES / "Packages").rglob("libmd0-*.x86_64.rpm"))
    shutil.copy(rpm, folder)
    same(run("createrepo_c", "-q", folder).returncode, 0, "createrepo_c of the tag's own packages")
    return folder


def merge(mode, arch, own, url, out):
    """as kojid's createrepo task does; the merged primary"""
    blocked = out.parent / "blocked"
    blocked.write_text("nosuch-package\n")
    command = ["mergerepo_c", *MERGES[mode], "-a", arch, "--arch-expand", "-b", blocked, "-o", out, "-r", f"file://{own}/",
               "-r", url.replace("$arch", arch)]
    if mode == "bare": # it knows no block list
        command = [w for w in command if w not in ("-b", blocked)]
    result = run(*command, timeout=60)
    if not same(result.returncode, 0, f"{mode} {arch} {url}: {result.stderr[-600:]}"):
        return None
    repomd = next(out.rglob("repomd.xml"))
    href = records(repomd.read_bytes())["primary"][0]
    return gzip.decompress((repomd.parent.parent / href).read_bytes())


def check_later(primary, base, text):
    """builders download what the merged repository refers to, by xml:base and href"""
    outside = 0
    for package in ElementTree.fromstring(primary).iter(COMMON + "package"):
        location = package.find(COMMON + "location")
        at = location.get("{http://www.w3.org/XML/1998/namespace}base")
        if not at or not at.startswith(base):
            continue
        outside += 1
        url = at.rstrip("/") + "/" + location.get("href")
        content = pathlib.Path(url[7:]).read_bytes() if url.startswith("file://") else fetch(url)[1]
        if hashlib.sha256(content).hexdigest() != package.find(COMMON + "checksum").text:
            check(False, f"{text}: {url} is not what was promised")
    return outside


def test_merge(service, folder):
    own = own_repository(folder / "own")
    arches = ["x86_64", "s390x", "i686"]
    number = service.compose("merge", repo_spec(BASE, packages=["openssl", "libmd0"], arches=arches))
    mixed = service.compose("mixed", repo_spec(BASE, packages=["openssl", "debconf"], arches=["x86_64", "i686"]))
    urls = {"http": f"{service.url}/composes/odcs-%d/compose/Temporary/$arch/os/",
            "file": f"file://{service.mnt}/composes/%d/compose/Temporary/$arch/os/"}
    direct = names_in(merge_source(service, number, "x86_64"))
    check("libmd0" in direct and len(direct) > 5, f"in the compose: {direct}")
    for kind, url in urls.items():
        for mode in MERGES:
            out = folder / f"out-{kind}-{mode}"
            primary = merge(mode, "x86_64", own, url % number, out)
            if primary is None:
                continue
            got = names_in(primary)
            want = sorted(direct + ["libmd0"]) if mode in ("bare", "simple") else direct
            same(got, want, f"{kind} {mode}: packages of both")
            outside = check_later(primary, (url % number).split("$arch")[0], f"{kind} {mode}")
            same(outside, len(got) - 1, f"{kind} {mode}: packages from outside")
            origins = list(out.rglob("*pkgorigins.gz"))
            text = gzip.decompress(origins[0].read_bytes()).decode() if origins else ""
            same(text.count((url % number).replace("$arch", "x86_64").rstrip("/")), outside, f"{kind} {mode}: origins")
        # an arch without packages; an i686 by the name that Koji has for it
        for arch in "s390x", "i386":
            primary = merge("koji", arch, own, url % number, folder / f"out-{kind}-{arch}")
            same(primary and names_in(primary), [], f"{kind}: {arch} without packages")
        primary = merge("koji", "i386", own, url % mixed, folder / f"out-{kind}-mixed")
        same(primary and names_in(primary), ["debconf"], f"{kind}: i386 of an i686")
        check_later(primary, (url % mixed).split("$arch")[0], f"{kind} i386")
    for arch in "i686", "i386":
        listing = [str(p.relative_to(service.tree(mixed) / arch)) for p in (service.tree(mixed) / arch).rglob("*")]
        check(any(p.startswith("os/Packages/d/debconf-") for p in listing) and "debug/tree/repodata/repomd.xml" in listing,
              f"{arch}: {sorted(listing)}")
    same((service.tree(mixed) / "i386/os/repodata/repomd.xml").read_bytes(),
         (service.tree(mixed) / "i686/os/repodata/repomd.xml").read_bytes(), "one repository, two names")
    info = json.loads((service.tree(mixed).parent / "metadata/composeinfo.json").read_text())
    same(info["payload"]["variants"]["Temporary"]["arches"], ["i386", "i686", "x86_64"], "composeinfo.json names both")
    return mixed


def merge_source(service, number, arch):
    tree = service.tree(number) / arch / "os"
    return gzip.decompress((tree / records((tree / "repodata/repomd.xml").read_bytes())["primary"][0]).read_bytes())


def test_dnf(service, folder, number):
    """$basearch of an i686 is i386"""
    repos = folder / "repos"
    repos.mkdir()
    def query(file, *before, force=()):
        for old in repos.iterdir():
            old.unlink()
        shutil.copy(service.tree(number) / file, repos / "compose.repo")
        command = [*before, "dnf", "-q", "--installroot", folder / "root", "--releasever=1", f"--setopt=reposdir={repos}",
                   f"--setopt=cachedir={folder}/cache", *force, "repoquery", "--available", "--qf", "%{name}.%{arch}"]
        result = run(*command, timeout=60)
        same(result.returncode, 0, f"{command}: {result.stderr[-500:]}")
        return result.stdout.split()
    same(query(f"odcs-{number}.local.repo", force=["--forcearch=i686"]), ["debconf.noarch"], "dnf --forcearch=i686, mount")
    same(query(f"odcs-{number}.repo", "setarch", "i686"), ["debconf.noarch"], "setarch i686 dnf, HTTP")


# ---- kojira's first look ---------------------------------------------------------------------------------

def test_generating(service):
    """a compose that is being made, workers that hang, and readers: an answer within 5 s"""
    done = service.compose("busy", repo_spec(BASE, packages=["openssl"]))
    pids, stop, slow = service.workers(), threading.Event(), []
    def flood():
        while not stop.is_set():
            fetch(f"{service.url}/composes/odcs-{done}/compose/Temporary/x86_64/os/repodata/repomd.xml")
    def timed(text, function, want):
        begin = time.monotonic()
        got = function()
        took = time.monotonic() - begin
        slow.append(took)
        same(got, want, text)
        check(took < 5, f"{text}: {took:.1f} s")
    def opened(number):
        try:
            return bool((service.tree(number) / "x86_64/os/repodata/repomd.xml").read_bytes())
        except FileNotFoundError:
            return False
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    floods = [threading.Thread(target=flood) for _ in range(6)]
    try:
        for thread in floods:
            thread.start()
        numbers = [service.call("POST", "/api/1/composes/", repo_spec(BASE, packages=["nginx"], flags=["no_reuse"])).json["id"]
                   for _ in range(4)]
        for _ in range(3):
            for number in numbers:
                url = f"{service.url}/composes/odcs-{number}/compose/Temporary/x86_64/os/repodata/repomd.xml"
                timed(f"GET of {number}, {service.record(number)['state_name']}", lambda: fetch(url)[0], 404)
                timed(f"open of {number}", lambda: opened(number), False)
            timed("GET of one that is done", lambda: fetch(url.replace(f"odcs-{number}", f"odcs-{done}"))[0], 200)
            timed("open of one that is done", lambda: opened(done), True)
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        stop.set()
        for thread in floods:
            thread.join()
    for number in numbers:
        same(service.wait_rest(number)["state_name"], "done", f"{number} goes on")
        same(fetch(f"{service.url}/composes/odcs-{number}/compose/Temporary/x86_64/os/repodata/repomd.xml")[0], 200, "and is there")
    print(f"slowest of {len(slow)} first looks: {max(slow):.2f} s", flush=True)


# ---- one name, one compose after another -------------------------------------------------------------------

class Repository:
    """packages given by name, version and what they hold; its times as it says"""

    def __init__(self, folder):
        self.path = pathlib.Path(folder)
        (self.path / "repodata").mkdir(parents=True)

    def write(self, timestamp, **versions):
        entries = []
        for name, version in sorted(versions.items()):
            content = f"{name} {version}\n".encode() * 30
            file = f"{name}-{version}-1.x86_64.rpm"
            if not (self.path / file).exists(): # composes of before refer to it as it is
                (self.path / file).write_bytes(content)
            entries.append(
                f'<package type="rpm"><name>{name}</name><arch>x86_64</arch><version epoch="0" ver="{version}" rel="1"/>'
                f'<checksum type="sha256" pkgid="YES">{hashlib.sha256(content).hexdigest()}</checksum><summary/><description/>'
                f'<packager/><url/><time file="1" build="1"/><size package="{len(content)}" installed="1" archive="1"/>'
                f'<location href="{file}"/><format><rpm:provides><rpm:entry name="{name}" flags="EQ" epoch="0" '
                f'ver="{version}" rel="1"/></rpm:provides></format></package>')
        primary = gzip.compress((f'<metadata xmlns="{META}common" xmlns:rpm="{META}rpm" packages="{len(entries)}">'
                                 + "".join(entries) + "</metadata>").encode(), 1, mtime=0)
        digest = hashlib.sha256(primary).hexdigest()
        (self.path / f"repodata/{digest}-primary.xml.gz").write_bytes(primary)
        fresh = self.path / "repodata/.fresh"
        fresh.write_text(
            f'<repomd xmlns="{META}repo"><revision>{timestamp}</revision><data type="primary"><checksum type="sha256">{digest}'
            f'</checksum><location href="repodata/{digest}-primary.xml.gz"/><timestamp>{timestamp}</timestamp>'
            f'<size>{len(primary)}</size></data></repomd>')
        fresh.rename(self.path / "repodata/repomd.xml")


class Follower(threading.Thread):
    """reads repomd.xml and all that it names by one name, again and again: whole, and never older than before"""

    def __init__(self, read, lists, pause):
        super().__init__()
        self.read, self.lists, self.pause = read, lists, pause
        self.stop, self.wrong, self.seen, self.reads = threading.Event(), [], [], 0
        self.start()

    def run(self):
        while not self.stop.is_set():
            try:
                repomd = self.read("repodata/repomd.xml")
                timestamp = newest(repomd)
                time.sleep(self.pause) # the name may move on meanwhile
                for href, digest, _ in records(repomd).values() if self.lists else ():
                    if hashlib.sha256(self.read(href)).hexdigest() != digest:
                        self.wrong.append(f"{href} is another file")
            except Exception as error:
                self.wrong.append(repr(error))
                continue
            if self.seen and timestamp < self.seen[-1]:
                self.wrong.append(f"{timestamp} after {self.seen[-1]}")
            if not self.seen or timestamp != self.seen[-1]:
                self.seen.append(timestamp)
            self.reads += 1

    def end(self, text):
        self.stop.set()
        self.join(30)
        check(not self.wrong and self.reads, f"{text}: {len(self.wrong)} of {self.reads} wrong: {self.wrong[:3]}")
        return self.seen


def test_generations(service, folder):
    repository = Repository(folder / "source")
    name = "latest-root-f26"
    url, path = f"{service.url}/composes/{name}", service.mnt / "composes" / name
    place = "compose/Temporary/x86_64/os"
    serial = iter(range(1000))
    def made(*packages, **more):
        number = service.compose(f"g{next(serial)}", repo_spec(repository.path, packages=list(packages), latest="f26", **more))
        return number, newest((service.tree(number) / "x86_64/os/repodata/repomd.xml").read_bytes())
    def http(href):
        status, body = fetch(f"{url}/{place}/{href}")
        if status != 200:
            raise RuntimeError(f"{status} for {href}")
        return body
    def leads():
        return int(os.readlink(path)) if path.is_symlink() else 0

    repository.write(1000, a="1", b="1", c="1")
    same((fetch(f"{url}/")[0], leads()), (404, 0), "before the first one")
    first, timestamp = made("a", "b")
    same((timestamp, leads()), (1000, first), "the first generation has the source's time")
    same(os.getxattr(service.mnt / "composes" / str(first), "user.odcs.latest"), name.encode(), "its name")
    same(fetch(f"{service.url}/composes/latest-nobody-f26/")[0], 404, "another owner's name")
    old = {p.relative_to(service.tree(first)): p.read_bytes() for p in service.tree(first).rglob("*") if p.is_file()}
    followers = [Follower(http, True, 0.05),
                 Follower(lambda href: (path / place / href).read_bytes(), False, 0.01)]
    wait_for(lambda: all(f.reads for f in followers), 20)
    repository.write(900, a="2", b="1", c="1") # replaced by an older one
    second, timestamp = made("a", "b")
    same((timestamp, leads()), (1001, second), "the second: a source that went back, other packages")
    third, timestamp = made("a", "b", "c")
    same((timestamp, leads()), (1002, third), "the third: other packages of the same source")
    same(newest((service.tree(first) / "x86_64/os/repodata/repomd.xml").read_bytes()), 1000, "the first stays what it was")
    # the same again: no change, no new time, no new byte
    before = service.call("GET", f"/composes/{third}/{place}/repodata/repomd.xml").body
    fourth, timestamp = made("a", "b", "c")
    same((timestamp, os.readlink(service.mnt / "composes" / str(fourth))), (1002, str(third)), "the same question: reused")
    fifth, timestamp = made("a", "b", "c", flags=["no_reuse"])
    same((timestamp, service.call("GET", f"/composes/{fifth}/{place}/repodata/repomd.xml").body), (1002, before), "made again")
    # content that was there before, but not what came last; an equal compose outside of the name is no step back either
    plain = service.compose("plain", repo_spec(repository.path, packages=["b"]))
    same(newest((service.tree(plain) / "x86_64/os/repodata/repomd.xml").read_bytes()), 900, "without a name: the source's time")
    sixth, timestamp = made("b")
    same((timestamp, leads()), (1003, sixth), "not the equal one of long ago")
    repository.write(2000, a="3", b="1", c="1")
    seventh, timestamp = made("a", "b")
    same((timestamp, leads()), (2000, seventh), "a later source has its own time")
    wait_for(lambda: all(f.seen[-1] == 2000 for f in followers), 20)
    seen = [f.end(text) for f, text in zip(followers, ("HTTP", "mount"))]
    for got, text in zip(seen, ("HTTP", "mount")):
        check(got == sorted(set(got)) and got[0] == 1000 and got[-1] == 2000, f"times seen by {text}: {got}")
    # what the first one consisted of is found by its own name and, for who follows the other over HTTP, by that
    for file, content in old.items():
        same((service.tree(first) / file).read_bytes(), content, f"{file} of the first")
    for file in (f for f in old if "/Packages/" in str(f) or ("/repodata/" in str(f) and f.name != "repomd.xml")):
        same(fetch(f"{url}/compose/Temporary/{file}")[1], old[file], f"{file} by the name that moved on")
    same(fetch(f"{url}/{place}/Packages/a/a-9-1.x86_64.rpm")[0], 404, "what never was there")
    return repository, url, leads


def test_overtaken(service, repository, url, leads):
    """composes of one name that are made at the same time follow each other"""
    names = [["a"], ["b"], ["c"], ["a", "b"], ["a", "c"], ["b", "c"]]
    numbers = [service.call("POST", "/api/1/composes/", repo_spec(repository.path, packages=n, latest="race")).json["id"] for n in names]
    for number in numbers:
        same(service.wait_rest(number)["state_name"], "done", f"{number} of one name")
    times = {number: newest((service.tree(number) / "x86_64/os/repodata/repomd.xml").read_bytes()) for number in numbers}
    same(len(set(times.values())), len(numbers), f"each has a time of its own: {times}")
    again = sum("made after that one" in fetch(f"{service.url}/composes/{n}/logs/global/odcsfs.log")[1].decode() for n in numbers)
    print(f"{again} of {len(numbers)} were overtaken", flush=True)
    owner = service.record(numbers[0])["owner"]
    same(int(os.readlink(service.mnt / f"composes/latest-{owner}-race")), max(times, key=times.get), "and the latest is the newest")
    # gone: nowhere, rather than back; the next one is newer than all that were seen
    last = leads()
    same(service.call("DELETE", f"/api/1/composes/{last}").status, 202, "the newest is deleted")
    check(wait_for(lambda: service.record(last)["state_name"] == "removed", 10), "removed")
    same((fetch(f"{url}/")[0], leads()), (404, 0), "the name leads nowhere")
    # made, not reused: the one of the race with the same package may have any of its six times
    number = service.compose("after", repo_spec(repository.path, packages=["a"], latest="f26", flags=["no_reuse"]))
    same((newest((service.tree(number) / "x86_64/os/repodata/repomd.xml").read_bytes()), leads()), (2001, number), "the next one")


# ---- leases --------------------------------------------------------------------------------------------------

LEASE, MOST = 3, 11


def expires(service, number):
    return datetime.datetime.fromisoformat(service.record(number)["time_to_expire"].rstrip("Z") + "+00:00").timestamp()


def lived(service, number):
    """seconds from done to the end, so far"""
    record = service.record(number)
    at = [datetime.datetime.fromisoformat(record[m].rstrip("Z") + "+00:00").timestamp() for m in ("time_done", "time_removed")
          if record[m]]
    return at[1] - at[0] if len(at) == 2 else None


def test_leases(service):
    """several composes of a short life, read in several ways"""
    def make(word, **more):
        spec = repo_spec(BASE, packages=["openssl"], flags=["no_reuse"], seconds_to_live=LEASE, **more)
        return service.compose(word, spec)
    def package(number):
        return next((service.tree(number) / "x86_64/os/Packages/o").iterdir())
    def mounted(number):
        with open(package(number), "rb") as file:
            file.read(10)
    def over_http(number):
        name = package(number).name
        if fetch(f"{service.url}/composes/{number}/compose/Temporary/x86_64/os/Packages/o/{name}")[0] != 200:
            raise FileNotFoundError
    def looked(number):
        top = service.mnt / "composes" / str(number)
        (top / "STATUS").read_bytes()
        (top / "logs/global/why").read_bytes()
        package(number).stat()
        if service.call("HEAD", f"/composes/{number}/compose/Temporary/odcs-{number}.repo").status != 200:
            raise FileNotFoundError
    def touched(number, reader, seconds):
        """read it once a second for so long, or until it is gone; how long that was"""
        begin = time.monotonic()
        while time.monotonic() - begin < seconds:
            try:
                reader(number)
            except OSError:
                break
            time.sleep(0.7)
        return time.monotonic() - begin
    jobs = {}
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for word, reader, seconds, more in (
                ("kept", mounted, 6, {}), ("served", over_http, 6, {}), ("looked", looked, 30, {}), ("always", mounted, 30, {}),
                ("off", mounted, 30, {"lease": 0}), ("own", mounted, 1, {"lease": 8})):
            number = make(word, **more)
            jobs[word] = number, pool.submit(touched, number, reader, seconds)
        alone = make("alone")
        doomed = make("doomed", lease=10)
        mounted(doomed)
        check(wait_for(lambda: expires(service, doomed) > time.time() + LEASE + 3, 8), "the lease is written down")
        same(service.call("DELETE", f"/api/1/composes/{doomed}").status, 202, "who deletes it")
        with contextlib.suppress(OSError):
            mounted(doomed)
        check(wait_for(lambda: service.record(doomed)["state_name"] == "removed", 6), "wins")
        shown = service.compose("first", repo_spec(BASE, packages=["openssl"], seconds_to_live=LEASE))
        second = service.compose("second", repo_spec(BASE, packages=["openssl"], seconds_to_live=LEASE, lease=9))
        mounted(shown)
        check(wait_for(lambda: expires(service, shown) > time.time() + 5 and expires(service, second) == expires(service, shown), 8),
              "a tree that two show is read for both")
        took = {word: job.result() for word, (_, job) in jobs.items()}
    everybody = {word: number for word, (number, _) in jobs.items()}
    everybody["alone"] = alone
    check(wait_for(lambda: all(service.record(n)["state_name"] == "removed" for n in everybody.values()), 20), "all come to an end")
    # a second is lost to whole seconds, and a busy machine may be late
    for word, least, most in (("kept", 6, 13), ("served", 6, 13), ("always", MOST - 1, MOST + 4), ("looked", LEASE, LEASE + 4),
                              ("off", LEASE, LEASE + 4), ("alone", LEASE, LEASE + 4), ("own", 7, 13)):
        got = lived(service, everybody[word])
        check(got is not None and least <= got <= most, f"{word} lived {got} s, want {least} to {most}")
    check(took["kept"] >= 6 and took["served"] >= 6, f"read all the time: {took}")
    print("lived:", {w: lived(service, n) for w, n in everybody.items()}, flush=True)


def test_lease_killed(service):
    """a lease is the compose's time itself: it outlives the service, however that ends"""
    spec = repo_spec(BASE, packages=["tzdata"], flags=["no_reuse"], seconds_to_live=4, lease=10)
    numbers = [service.compose(word, spec) for word in ("killed", "stopped")]
    first = {n: expires(service, n) for n in numbers}
    same(os.getxattr(service.mnt / "composes" / str(numbers[0]), "user.odcs.lease"), b"10", "user.odcs.lease")
    def read(number):
        (service.tree(number) / "x86_64/os/repodata/repomd.xml").read_bytes()
    read(numbers[0])
    check(wait_for(lambda: expires(service, numbers[0]) > first[numbers[0]] + 3, 8), "written")
    moved = expires(service, numbers[0])
    service.stop(signal.SIGKILL)
    service.start()
    same(expires(service, numbers[0]), moved, "after kill -9")
    read(numbers[0])
    with contextlib.suppress(FileNotFoundError): # it may be over already: then the next check says so
        read(numbers[1])
    same(service.stop(), 0, "stopped at once")
    service.start()
    check(expires(service, numbers[0]) >= moved, "after a stop")


def main():
    need_fuse()
    for tool in "mergerepo_c", "createrepo_c", "dnf", "setarch":
        if not shutil.which(tool):
            skip(f"no {tool}")
    with tempfile.TemporaryDirectory(prefix="odcsfs-external-") as name:
        folder = pathlib.Path(name)
        os.chmod(folder, 0o755)
        with Service() as service, Service(f"lifetime.maximum={MOST}", f"lifetime.default={LEASE}",
                                           f"lifetime.read_lease={LEASE}", "lifetime.draft=60") as short:
            leases = concurrent.futures.ThreadPoolExecutor(1).submit(test_leases, short)
            mixed = test_merge(service, folder)
            print("ok merge", flush=True)
            test_dnf(service, folder, mixed)
            print("ok dnf", flush=True)
            test_generating(service)
            print("ok generating", flush=True)
            test_overtaken(service, *test_generations(service, folder))
            print("ok generations", flush=True)
            leases.result()
            print("ok leases", flush=True)
            test_lease_killed(short)
            print("ok killed", flush=True)
    end()


main()
