# SPDX-License-Identifier: MIT
"""tests/system/reuse.py: equal requests share one compose, and nobody loses a file by it.

promises = 2, 4, 9a
"""
import contextlib, datetime, errno, gzip, hashlib, os, pathlib, re, shutil, signal, sqlite3, sys, tempfile, threading, time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import *

GENERATING = "Compose is generating"
META = "http://linux.duke.edu/metadata/"


class Repository:
    """@count packages p0, p1, ... of which only @files have a file; a repomd.xml to be changed"""

    def __init__(self, folder, count=10, files=10, version="1"):
        self.path = pathlib.Path(folder)
        (self.path / "repodata").mkdir(parents=True)
        entries = []
        for i in range(count):
            size = 100 + i % 7
            if i < files:
                (self.path / f"p{i}-{version}.rpm").write_bytes(bytes([65 + i % 26]) * size)
            entries.append(
                f'<package type="rpm"><name>p{i}</name><arch>x86_64</arch><version epoch="0" ver="{version}" rel="1"/>'
                f'<checksum type="sha256" pkgid="YES">{i:064x}</checksum><summary>a package among many, number {i}</summary>'
                f'<description/><packager/><url/><time file="1" build="1"/><size package="{size}" installed="1" archive="1"/>'
                f'<location href="p{i}-{version}.rpm"/><format><rpm:provides><rpm:entry name="p{i}" flags="EQ" epoch="0" '
                f'ver="{version}" rel="1"/></rpm:provides></format></package>')
        text = (f'<metadata xmlns="{META}common" xmlns:rpm="{META}rpm" packages="{count}">' + "".join(entries)
                + "</metadata>").encode()
        self.primary = gzip.compress(text, 1)
        (self.path / "repodata/primary.xml.gz").write_bytes(self.primary)
        self.write("1")

    def write(self, revision, more=""):
        self.repomd = (
            f'<repomd xmlns="{META}repo"><revision>{revision}</revision>{more}<data type="primary"><checksum type="sha256">'
            f'{hashlib.sha256(self.primary).hexdigest()}</checksum><location href="repodata/primary.xml.gz"/>'
            f'<timestamp>1</timestamp><size>{len(self.primary)}</size></data></repomd>')
        fresh = self.path / "repodata/.fresh"
        fresh.write_text(self.repomd)
        fresh.rename(self.path / "repodata/repomd.xml")


class Client:
    """requests by both doors, and what became of them"""

    def __init__(self, service):
        self.service, self.serial = service, 0

    def submit(self, spec):
        self.serial += 1
        request = self.service.submit(f"r{os.getpid()}-{time.monotonic_ns()}-{self.serial}", spec)
        return int((request / "id").read_text()), request

    def done(self, spec, want="done"):
        number, request = self.submit(spec)
        if not same((request / "wait").read_text().strip(), want, f"compose {number}"):
            print((request / "error").read_text(), (request / "log").read_text())
        return number

    def reused(self, number):
        """the compose that this one shows, 0: it is its own"""
        record = self.service.record(number)
        return reused_by_url(record)

    def expires(self, number):
        return datetime.datetime.fromisoformat(self.service.record(number)["time_to_expire"].rstrip("Z")).timestamp()


def reused_by_url(record):
    shown = int(record["toplevel_url"].rsplit("-", 1)[1])
    return 0 if shown == record["id"] else shown


def spec_of(repository, packages=("p1", "p2"), **more):
    return repo_spec(repository.path, packages=list(packages), **more)


def state_files(service):
    """what belongs to composes, rows and logs not counted: name → (size, time)"""
    return {str(p): (p.stat().st_size, p.stat().st_mtime_ns) for kind in ("blobs", "manifests", "snapshots")
            for p in (service.state / kind).rglob("*") if p.is_file()}


def status(service, path):
    return service.call("GET", path).status


def fails(function, number, text):
    try:
        got = function()
    except OSError as error:
        return same(errno.errorcode[error.errno], errno.errorcode[number], text)
    return check(False, f"{text}: no error but {got!r}")


# ---- one after another ---------------------------------------------------------------------------------

def test_equal(service, repository):
    client, mnt = Client(service), service.mnt
    old = client.done(spec_of(repository, seconds_to_live=1000))
    same(service.record(old)["koji_event"], 1, "the event is the repomd revision")
    before = state_files(service)
    number, request = client.submit(spec_of(repository, packages=["p2", "p1"], seconds_to_live=5000))
    same((request / "wait").read_text(), "done\n", "the equal one")
    same(state_files(service), before, "files written for it")
    record, first = service.record(number), service.record(old)
    for member in ("toplevel_url", "result_repo", "result_repofile", "pungi_compose_id", "koji_event", "arches", "source"):
        same(record[member], first[member], f"member {member} of both")
    check(record["toplevel_url"].endswith(f"odcs-{old}"), record["toplevel_url"])
    same(record["state_reason"], "Compose is generated successfully", "reason")
    check(record["time_done"] and record["time_started"], "its own times")
    same(os.readlink(mnt / "composes" / str(number)), str(old), "composes/NEW")
    same(os.getxattr(request, "user.odcs.reused_id"), str(old).encode(), "xattr of the request")
    fails(lambda: os.getxattr(mnt / "composes" / str(old), "user.odcs.reused_id"), errno.ENODATA, "xattr of the first")
    same((request / "result" / f"odcs-{old}.repo").read_text(), (service.tree(old) / f"odcs-{old}.repo").read_text(),
         "the .repo file is the first one's")
    same(service.call("GET", f"/composes/odcs-{number}/compose/Temporary/odcs-{old}.repo").body,
         service.call("GET", f"/composes/odcs-{old}/compose/Temporary/odcs-{old}.repo").body, "and over HTTP")
    check(f"compose {old} is the same: its tree is shown" in (request / "log").read_text(), (request / "log").read_text())
    # lifetimes: both until the later of their times
    same(client.expires(old), client.expires(number), "both expire")
    check(4900 < client.expires(old) - time.time() < 5010, f"in {client.expires(old) - time.time()} s")
    third = client.done(spec_of(repository, seconds_to_live=60))
    same((client.reused(third), client.expires(third)), (old, client.expires(old)), "a short-lived third one")
    same(service.call("PATCH", f"/api/1/composes/{third}", {"seconds_to_live": 90000}).status, 200, "renewed")
    same((client.expires(old), client.expires(number) < client.expires(old)), (client.expires(third), True),
         "renewing one hop: the first, not its other friends")
    # a removed or failed one is nobody's candidate
    for doomed in (number, third, old):
        same(service.call("DELETE", f"/api/1/composes/{doomed}").status, 202, "deleted")
    last = client.done(spec_of(repository))
    same(client.reused(last), 0, "after the first was deleted")
    same(client.reused(client.done(spec_of(repository))), last, "and the next shows that one")


def test_attributes(service, repository, lookaside):
    """each attribute of odcs-api.md 5: does it keep two composes apart?"""
    client = Client(service)
    def post(body):
        answer = service.call("POST", "/api/1/composes/", body)
        if not same(answer.status, 200, f"POST {body}"):
            return 0
        record = service.wait_rest(answer.json["id"])
        same(record["state_name"], "done", f"{body}: {record['state_reason']}")
        return record["id"]
    base = post(spec_of(repository, packages=["p3", "p4"]))
    side, more = str(lookaside.path), {"packages": ["p3", "p4"]}
    for same_one, body in [
            (True, spec_of(repository, **more)), (True, spec_of(repository, packages=["p4", "p3", "p4"])),
            (True, spec_of(repository, **more, label="RC-1.0")), (True, spec_of(repository, **more, compose_type="nightly")),
            (True, spec_of(repository, **more, seconds_to_live=77)), (True, spec_of(repository, **more, arches=["x86_64"])),
            (True, spec_of(repository, **more, results=["repository"])), (True, spec_of(repository, **more, flags=[])),
            (False, spec_of(repository, packages=["p3"])), (False, spec_of(repository, packages=["p3", "p4", "p5"])),
            (False, spec_of(repository, **more, flags=["no_deps"])), (False, spec_of(repository, **more, flags=["no_reuse"])),
            (False, spec_of(repository, **more, flags=["no_reuse"])), (False, spec_of(repository, **more, results=["iso"])),
            (False, spec_of(repository, **more, arches=["x86_64", "s390x"])),
            (False, spec_of(repository, **more, multilib_arches=["x86_64"])),
            (False, spec_of(repository, **more, multilib_method=["devel"])),
            (False, spec_of(repository, **more, lookaside_repos=[side])),
            (False, {"source": {**spec_of(repository, **more)["source"], "sigkeys": ["AA"]}}),
            (False, {"source": {**spec_of(repository, **more)["source"], "builds": ["p-1-1"]}}),
            (False, {"source": {**spec_of(repository, **more)["source"], "modular_koji_tags": ["t"]}}),
            (False, {"source": {**spec_of(repository, **more)["source"], "module_defaults_url": "u",
                                "module_defaults_commit": "c"}}),
            (False, repo_spec(f"{repository.path} {side}", **more)), (False, repo_spec(f"{side} {repository.path}", **more))]:
        same(client.reused(post(body)), base if same_one else 0, f"shown by {body}")
    renewed = service.call("PATCH", f"/api/1/composes/{base}", {"label": "RC-2.0"}).json["id"]
    service.wait_rest(renewed)
    same(client.reused(renewed), 0, "a respin is another question")


def test_changed(service, folder):
    """the same words about a repository that is not the same any more"""
    client, repository = Client(service), Repository(folder / "changed")
    spec = spec_of(repository)
    first = client.done(spec)
    repository.write("1", "<!-- other bytes -->")
    second = client.done(spec)
    same(client.reused(second), 0, "the same revision of other bytes")
    repository.write("2")
    third = client.done(spec)
    same((client.reused(third), service.record(third)["koji_event"]), (0, 2), "another revision")
    repository.write("1")
    same(client.reused(client.done(spec)), first, "the first bytes again")
    # the same repomd.xml at another place: packages would be read from there
    moved = folder / "moved"
    repository.path.rename(moved)
    repository.path.symlink_to("moved")
    elsewhere = client.done(spec)
    same(client.reused(elsewhere), 0, "behind a link now")
    repository.path.unlink()
    moved.rename(repository.path)
    # a package that was replaced: the old compose cannot read it, so it is no answer any more
    rpm, kept = repository.path / "p1-1.rpm", folder / "kept.rpm"
    shutil.copy(rpm, kept)
    kept.rename(rpm)
    number, request = client.submit(spec)
    same((request / "wait").read_text(), "done\n", "after a package was replaced")
    same(client.reused(number), 0, "it is not the first one")
    check("cannot be reused" in (request / "log").read_text(), (request / "log").read_text())
    same((service.tree(number) / "x86_64/os/Packages/p/p1-1.rpm").read_bytes(), rpm.read_bytes(), "its bytes")
    # a blob that is gone is made again, for all who need it
    for blob in (service.state / "blobs").iterdir():
        blob.unlink()
    number = client.done(spec)
    same(client.reused(number), 0, "after the blobs were lost")
    for compose in (first, number):
        for file in (service.tree(compose) / "x86_64/os/repodata").iterdir():
            check(file.read_bytes(), f"{file} is there again")


# ---- while one is being made -----------------------------------------------------------------------------

def is_stopped(pid):
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "TZ"
    return True


class Held:
    """A compose of @big that is being made, its worker stopped in the middle of it."""
    serial = 100

    def __init__(self, service, big, packages=("p1",)):
        self.service, self.client = service, Client(service)
        self.spec = spec_of(big, packages)
        for _ in range(10):
            Held.serial += 1
            big.write(str(Held.serial)) # to be indexed anew, which takes a while
            self.id, self.request = self.client.submit(self.spec)
            wait_for(lambda: service.record(self.id)["state_reason"] != "Compose thread started"
                     and service.record(self.id)["state_name"] != "wait", 20, 0.002)
            self.worker = self.indexing()
            if self.worker:
                os.kill(self.worker, signal.SIGSTOP)
                if service.record(self.id)["state_reason"] == GENERATING:
                    return
                os.kill(self.worker, signal.SIGCONT)
            (self.request / "wait").read_text()
        raise RuntimeError("no worker could be caught at work")

    @staticmethod
    def reads(pid):
        """does it read the big metadata now?"""
        with contextlib.suppress(OSError):
            return any("primary.xml" in os.readlink(f) for f in pathlib.Path(f"/proc/{pid}/fd").iterdir())
        return False

    def indexing(self):
        """the worker that reads the big metadata now"""
        return wait_for(lambda: next((p for p in self.service.children() if self.reads(p)), 0), 2, 0.001)

    def stopped_at_it(self, others):
        """one more, stopped in the middle of it; 0: it is done with it already, or there is none"""
        worker = self.indexing()
        if not worker or worker in others:
            return 0
        os.kill(worker, signal.SIGSTOP)
        if wait_for(lambda: is_stopped(worker), 5, 0.001) and self.reads(worker):
            return worker
        os.kill(worker, signal.SIGCONT)
        return 0

    def join(self, count):
        joined = [self.client.submit(self.spec) for _ in range(count)]
        words = f"0 1 reuse waits for compose {self.id}\n"
        check(wait_for(lambda: all((r / "progress").read_text() == words for _, r in joined), 20),
              f"progress: {[(r / 'progress').read_text() for _, r in joined]}")
        return joined

    def go(self):
        os.kill(self.worker, signal.SIGCONT)


def ends(joined):
    return [(r / "wait").read_text().strip() for _, r in joined]


def made_and_shown(client, numbers):
    """(those that were made, those that are shown by others)"""
    shown = {n: client.reused(n) for n in numbers}
    return [n for n in numbers if not shown[n]], {o for o in shown.values() if o}


def test_join(service, big):
    held = Held(service, big)
    same(service.record(held.id)["state_reason"], GENERATING, "the first one")
    same(service.record(held.id)["koji_event"], Held.serial, "its event is known before it is done")
    joined = held.join(20)
    for number, request in joined:
        record = service.record(number)
        same((record["state_name"], record["state_reason"]), ("generating", "Compose thread started"), f"compose {number}")
        same((reused_by_url(record), (request / "status").read_text()), (0, "generating\n"), "not shown yet")
    log = service.mnt / "composes" / str(joined[3][0]) / "pungi-stderr.log"
    check(f"waits for compose {held.id}" in log.read_text(), f"log: {log.read_text()!r}")
    # they hold no worker
    other = held.client.done(spec_of(big, ["p2"], flags=["no_deps"])) if len(service.children()) > 1 else 0
    check(other, "another compose was made meanwhile")
    # and can be cancelled
    cancelled, request = joined.pop(5)
    (request / "ctl").write_text("cancel")
    same((request / "status").read_text(), "failed\n", "cancelled")
    check("Canceled by" in (request / "error").read_text(), (request / "error").read_text())
    number = joined[0][0]
    folder = os.open(service.mnt / "composes" / str(number), os.O_RDONLY | os.O_DIRECTORY) # no link yet
    held.go()
    same(set(ends(joined)), {"done"}, "the others")
    same(made_and_shown(held.client, [held.id] + [n for n, _ in joined]), ([held.id], {held.id}), "made once")
    check(os.stat("compose/metadata/rpms.json", dir_fd=folder).st_size, "the tree, for who was there before")
    os.close(folder)
    same(service.record(cancelled)["state_name"], "failed", "the cancelled one stays so")
    for number, request in joined[:3]:
        check((service.mnt / "composes" / str(number) / "compose/metadata/rpms.json").is_file(), f"tree of {number}")
        check("its tree is shown" in (request / "log").read_text(), (request / "log").read_text())
    same(held.client.expires(held.id), held.client.expires(joined[-1][0]), "they live as long")


def test_join_lost(service, big):
    """the first one is killed or cancelled: that says nothing about the others"""
    for how in ("killed", "cancelled"):
        held = Held(service, big)
        joined = held.join(5)
        if how == "killed":
            os.kill(held.worker, signal.SIGKILL)
        else:
            (held.request / "ctl").write_text("cancel")
        same((held.request / "wait").read_text(), "failed\n", f"the {how} one")
        same(set(ends(joined)), {"done"}, f"the others of the {how} one")
        made, shown = made_and_shown(held.client, [n for n, _ in joined])
        same((len(made), shown), (1, set(made)), f"one took over: {made}")
        check(all(f"compose {held.id} cannot be waited for any more" in (r / "log").read_text() for _, r in joined), "logs")


def test_at_once(folder):
    """two workers take up equal composes at once, and either may be the faster one: one is made"""
    with Service(f"repo.allowed={folder}") as service:
        client, workers = Client(service), service.workers(2)
        for turn, order in enumerate((workers, workers[::-1])):
            spec = spec_of(Repository(folder / f"once{turn}"))
            for worker in workers:
                os.kill(worker, signal.SIGSTOP)
            both = [client.submit(spec) for _ in range(2)]
            check(wait_for(lambda: all((r / "status").read_text() == "generating\n" for _, r in both)), "both are taken up")
            os.kill(order[0], signal.SIGCONT)
            time.sleep(1)
            os.kill(order[1], signal.SIGCONT)
            same(ends(both), ["done", "done"], "both")
            same(made_and_shown(client, [n for n, _ in both]), ([both[0][0]], {both[0][0]}), "the first was made, the other shows it")
        same(service.workers(2), workers, "no worker was lost by it")


def test_join_killers(service, big):
    """equal composes that each kill their worker: not each of those that wait is tried"""
    for _ in range(5):
        held = Held(service, big)
        joined = held.join(7)
        killed = [held.worker]
        os.kill(held.worker, signal.SIGKILL)
        while any(service.record(n)["state_name"] in ("wait", "generating") for n, _ in joined):
            worker = held.stopped_at_it(killed)
            if worker:
                os.kill(worker, signal.SIGKILL)
                killed.append(worker)
        if set(ends(joined)) == {"failed"} or len(killed) > 2:
            break # else one was too fast to be killed
    same((len(killed), set(ends(joined))), (3, {"failed"}), "workers that died of it")
    check(all("worker" in service.record(n)["state_reason"] for n, _ in joined), f"reason: {service.record(joined[-1][0])}")
    check(all("worker" in (r / "log").read_text() for _, r in joined), "their logs")
    check(held.client.done(held.spec), "who asks later tries again")


def test_join_failed(service, big):
    held = Held(service, big, ["no-such-package"])
    joined = held.join(4)
    held.go()
    same((held.request / "wait").read_text(), "failed\n", "the first one")
    same(set(ends(joined)), {"failed"}, "the others")
    same({service.record(n)["state_reason"] for n, _ in joined}, {service.record(held.id)["state_reason"]}, "the reason")
    check("no-such-package" in (joined[0][1] / "log").read_text(), "it is in their logs too")


def test_rights(service, big):
    """who may not read a package has not failed for those who may"""
    rpm = big.path / "p3-1.rpm"
    os.chmod(rpm, 0o600)
    try:
        held = Held.__new__(Held)
        held.service, held.client = service, Client(service)
        held.spec = spec_of(big, ["p3"])
        Held.serial += 1
        big.write(str(Held.serial))
        def as_nobody():
            os.setegid(65534), os.seteuid(65534)
            try:
                return held.client.submit(held.spec)
            finally:
                os.seteuid(0), os.setegid(0)
        held.id, held.request = as_nobody()
        held.worker = held.indexing()
        if not check(held.worker, "caught at work"):
            return
        os.kill(held.worker, signal.SIGSTOP)
        joined = held.join(1)
        held.go()
        same((held.request / "wait").read_text(), "failed\n", "nobody's compose of a private package")
        same(ends(joined), ["done"], "root's")
        _, request = as_nobody() # and is not given root's, either
        same((request / "wait").read_text(), "failed\n", "nobody's compose, when root's is done")
        check("Permission denied" in (request / "error").read_text(), (request / "error").read_text())
        check("cannot be reused" in (request / "log").read_text(), (request / "log").read_text())
    finally:
        os.chmod(rpm, 0o644)


# ---- nobody loses a file ----------------------------------------------------------------------------------

def digest(data):
    """of a file's bytes; a service that was restarted has another port"""
    return hashlib.sha256(re.sub(rb"//127.0.0.1:\d+/", b"//HOST/", data)).hexdigest()[:12]


def read_all(folder):
    return {str(p.relative_to(folder)): digest(p.read_bytes()) for p in sorted(folder.rglob("*"))
            if p.is_file() and "log" not in p.parts[-1] and "logs" not in p.parts}


class Readers:
    """read every file again and again, by the mount and over HTTP, by the names of both composes"""

    def __init__(self, service, old, new):
        self.service, self.stop, self.wrong, self.rounds = service, threading.Event(), [], 0
        self.want = read_all(service.mnt / "composes" / str(old))
        self.threads = [threading.Thread(target=self.run, args=(reader, number))
                        for reader in (self.mount, self.http) for number in (old, new)]
        for thread in self.threads:
            thread.start()

    def mount(self, number):
        return read_all(self.service.mnt / "composes" / str(number))

    def http(self, number):
        got = {}
        for name in self.want:
            answer = self.service.call("GET", f"/composes/odcs-{number}/{name}".replace("+", "%2B"))
            got[name] = digest(answer.body) if answer.status == 200 else answer.status
        return got

    def run(self, reader, number):
        while not self.stop.is_set():
            try:
                got = reader(number)
            except OSError as error:
                got = error
            if got != self.want:
                self.wrong.append(f"{reader.__name__} of {number}: {got if isinstance(got, OSError) else 'other bytes'}")
                return
            self.rounds += 1

    def end(self, text):
        before = self.rounds
        wait_for(lambda: self.rounds >= before + 8 or self.wrong, 20)
        self.stop.set()
        for thread in self.threads:
            thread.join()
        same(self.wrong, [], text)
        check(self.rounds >= 8, f"{text}: read {self.rounds} times")


def removed(service, number):
    return wait_for(lambda: service.record(number)["state_name"] == "removed", 15)


def check_kept(service, old, new, want):
    """OLD is removed and still found by name; NEW is as it was"""
    record = service.record(old)
    same((record["state_name"], bool(record["time_removed"])), ("removed", True), "the record of the first")
    names = os.listdir(service.mnt / "composes")
    same([str(old) in names, f"odcs-{old}" in names, str(new) in names], [False, False, True], "listed")
    check(f"odcs-{old}/" not in service.call("GET", "/composes/").body.decode(), "not listed over HTTP")
    for number in (old, new):
        same(read_all(service.mnt / "composes" / f"odcs-{number}"), want, f"files of odcs-{number}")
        for name in ("compose/metadata/rpms.json", f"compose/Temporary/odcs-{old}.repo", "STATUS", "pungi-stderr.log"):
            same(status(service, f"/composes/odcs-{number}/{name}"), 200, f"HTTP: {name} of odcs-{number}")
    check((service.mnt / "composes" / str(new) / "pungi-stderr.log").read_text(), "the log of the first stays")


def check_gone(service, *numbers):
    for number in numbers:
        for name in (str(number), f"odcs-{number}"): # the kernel is told a moment later
            check(wait_for(lambda: not os.path.lexists(service.mnt / "composes" / name), 5), f"composes/{name} is gone")
        same(status(service, f"/composes/odcs-{number}/STATUS"), 404, f"HTTP: odcs-{number}")


def test_removed(service, repository):
    """the one whose files are shown is removed while others read"""
    client = Client(service)
    spec = spec_of(repository, ["p5", "p6"])
    for how in ("DELETE", "rmdir", "ttl"):
        old, request = client.submit(spec)
        same((request / "wait").read_text(), "done\n", "the first")
        new = client.done(spec)
        same(client.reused(new), old, f"{how}: shared")
        readers = Readers(service, old, new)
        with open(service.tree(old) / "x86_64/os/Packages/p/p5-1.rpm", "rb") as file:
            if how == "DELETE":
                same(service.call("DELETE", f"/api/1/composes/{old}").status, 202, "DELETE")
            elif how == "rmdir":
                os.rmdir(request)
            else:
                (request / "ttl").write_text("1")
            check(removed(service, old), f"{how}: removed")
            readers.end(f"{how} of the first under its readers")
            same(len(file.read()), 100 + 5, "a file that was open")
        check_kept(service, old, new, readers.want)
        same(client.reused(client.done(spec)), 0, "a removed one is not reused, nor is one that shows another's")
        service.call("DELETE", f"/api/1/composes/{new}")
        check(removed(service, new), f"{how}: the other is removed too")
        check_gone(service, old, new)
        for record in service.call("GET", "/api/1/composes/?state=2&per_page=100").json["items"]:
            service.call("DELETE", f"/api/1/composes/{record['id']}")
    # the other way round: who only looks on goes first
    old, (new, request) = client.done(spec), client.submit(spec)
    same(((request / "wait").read_text(), client.reused(new)), ("done\n", old), "shared once more")
    want = read_all(service.mnt / "composes" / str(old))
    (request / "ttl").write_text("1")
    check(removed(service, new), "the one without files is over")
    check_gone(service, new)
    same(read_all(service.mnt / "composes" / str(old)), want, "files of the first")


def sweep_now(service):
    """a restart sweeps; what lies there is old enough"""
    same(service.stop(), 0, "stop")
    old = time.time() - 3600
    for kind in ("manifests", "blobs"):
        for path in (service.state / kind).iterdir():
            os.utime(path, (old, old))
    marker = service.state / "blobs" / ("0" * 64)
    marker.write_bytes(b"nobody's")
    os.utime(marker, (old, old))
    service.start()
    check(wait_for(lambda: not marker.exists(), 10), "clean-up after a start")


def test_sweep(folder):
    """clean-up, expiry and restarts, with kill -9, leave the kept tree alone and nothing else behind"""
    repository = Repository(folder / "swept")
    service = Service(f"repo.allowed={folder}", "lifetime.history=1").start()
    client, spec = Client(service), spec_of(repository)
    old, request = client.submit(spec)
    (request / "wait").read_text()
    new = client.done(spec)
    want = read_all(service.mnt / "composes" / str(old))
    (request / "ttl").write_text("1")
    check(removed(service, old), "the first is expired")
    service.stop(signal.SIGKILL)
    service.start()
    check_kept(service, old, new, want)
    time.sleep(2) # history is over
    sweep_now(service)
    check_kept(service, old, new, want)
    same(len(list((service.state / "manifests").iterdir())), 1, "manifests")
    service.call("DELETE", f"/api/1/composes/{new}")
    check(removed(service, new), "the other is removed")
    time.sleep(2)
    sweep_now(service)
    check_gone(service, old, new)
    same([list((service.state / kind).iterdir()) for kind in ("manifests", "blobs", "logs")], [[], [], []], "what is left")
    service.close()


def test_service_killed(folder, big):
    """kill -9 while some wait for another: all are taken up again, one is made"""
    service = Service(f"repo.allowed={folder}").start()
    held = Held(service, big)
    joined = held.join(6)
    numbers = [held.id] + [n for n, _ in joined]
    workers = service.children()
    service.stop(signal.SIGKILL)
    os.kill(held.worker, signal.SIGKILL) # stopped, it cannot see that its server is gone
    check(wait_for(lambda: not any(os.path.exists(f"/proc/{w}/fd") for w in workers)), "workers end with their server")
    service.start()
    client = Client(service)
    same({service.wait_rest(n)["state_name"] for n in numbers}, {"done"}, "taken up again")
    made, shown = made_and_shown(client, numbers)
    check(len(made) <= 2 and shown <= set(made), f"made {made}, shown {shown}") # two workers may begin at once
    # at any moment: equal requests by four clients, some deleted, under kill -9
    spec, accepted = spec_of(big, ["p4"]), []
    for _ in range(3):
        stop = threading.Event()
        def run():
            while not stop.is_set():
                with contextlib.suppress(Exception):
                    number = service.call("POST", "/api/1/composes/", spec).json["id"]
                    accepted.append(number)
                    if number % 7 == 0:
                        service.call("DELETE", f"/api/1/composes/{accepted[len(accepted) // 2]}")
        threads = [threading.Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(0.6)
        service.stop(signal.SIGKILL)
        stop.set()
        for thread in threads:
            thread.join()
        service.start()
    states = {service.wait_rest(n)["state_name"] for n in accepted}
    check(states <= {"done", "removed", "failed"}, f"states: {states}")
    seen = {}
    for number in accepted:
        if service.record(number)["state_name"] != "done":
            continue
        if not check((service.mnt / f"composes/odcs-{number}/compose/metadata/rpms.json").stat().st_size, f"tree of {number}"):
            break
        where = service.record(number)["toplevel_url"]
        if where not in seen: # every file of every tree that is shown
            seen[where] = read_all(service.mnt / "composes" / where.rsplit("/", 1)[1])
            check("compose/Temporary/x86_64/os/Packages/p/p4-1.rpm" in seen[where], f"{where}: {sorted(seen[where])}")
    same(service.stop(), 0, "stop")
    with contextlib.closing(sqlite3.connect(service.state / "catalogue.sqlite")) as database:
        rows = database.execute("SELECT count(*), sum(reused_id > 0) FROM composes").fetchone()
        same(database.execute("SELECT count(*) FROM composes c LEFT JOIN composes o ON o.id = c.reused_id WHERE c.reused_id "
                              "> 0 AND (o.id IS NULL OR o.reused_id > 0 OR o.manifest IS NOT c.manifest)").fetchone(), (0,), "chains")
    check(rows[1] > rows[0] // 2, f"{rows[1]} of {rows[0]} reused")
    service.close()


def test_full_disk(folder, big):
    """what becomes of those that wait cannot be written: it is, once there is room"""
    service = Service(f"repo.allowed={folder}")
    service.state.mkdir()
    if run("mount", "-t", "tmpfs", "-o", "size=48M", "none", service.state).returncode:
        print("the full disk is left out: no tmpfs can be mounted here")
        return
    try:
        service.start()
        held = Held(service, big)
        joined = held.join(4)
        filler = service.state / "filler"
        with open(filler, "wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
        os.kill(held.worker, signal.SIGKILL)
        check(wait_for(lambda: "composes that wait for another one: no room" in service.log_text(), 10), service.log_text())
        same({service.record(n)["state_name"] for n in [held.id] + [n for n, _ in joined]}, {"generating"}, "nothing is written")
        filler.unlink()
        same((held.request / "wait").read_text(), "failed\n", "the first one, with room")
        same(set(ends(joined)), {"done"}, "the others")
        service.close()
    finally:
        run("umount", "-l", service.state)
        shutil.rmtree(service.dir, ignore_errors=True)


def main():
    need_fuse()
    with tempfile.TemporaryDirectory(prefix="odcsfs-reuse-") as name:
        folder = pathlib.Path(name)
        os.chmod(folder, 0o755)
        repository, lookaside = Repository(folder / "r"), Repository(folder / "l", version="2")
        big = Repository(folder / "big", count=12000)
        with Service(f"repo.allowed={folder}") as service:
            test_equal(service, repository)
            print("ok equal", flush=True)
            test_attributes(service, repository, lookaside)
            print("ok attributes", flush=True)
            test_changed(service, folder)
            print("ok changed", flush=True)
            for case in (test_join, test_join_lost, test_join_killers, test_join_failed):
                case(service, big)
                print(f"ok {case.__name__}", flush=True)
            test_removed(service, repository)
            print("ok removed", flush=True)
        with Service("repo.allowed=") as service: # by the rights of who asks
            test_rights(service, big)
            print("ok rights", flush=True)
        test_at_once(folder)
        print("ok at once", flush=True)
        test_sweep(folder)
        print("ok sweep", flush=True)
        test_full_disk(folder, big)
        print("ok full disk", flush=True)
        test_service_killed(folder, big)
    end()


main()
