# SPDX-License-Identifier: MIT
"""tests/system/remote.py: repositories by URL: what is asked of servers, and what becomes of their lies.

Packages themselves are not asked for before somebody reads them: here their records are looked at.

promises = 7, 8, 19
"""
import concurrent.futures, gzip, hashlib, os, pathlib, shutil, tempfile, time
import xml.etree.ElementTree as ET

from harness import BASE, UPDATES, Service, check, end, need_fuse, repo_spec, same
from originkit import (Ftp, Key, Origin, cut, dead_port, metalink, no_ranges, primary, redirect, short, stall, status, text,
                       write_repository)

COMMON = "{http://linux.duke.edu/metadata/common}"
PACKAGES = ["apache2"]
names = iter(range(1, 10000))


def make(service, *words, packages=PACKAGES, want="done", **more):
    """(id, words of the failure, seconds)"""
    started = time.monotonic()
    request = service.submit(f"r{next(names)}", repo_spec(*words, packages=packages, **more))
    word = (request / "wait").read_text().strip()
    took = time.monotonic() - started
    error = (request / "error").read_text() if word == "failed" else ""
    if not same(word, want, f"{words} ends as"):
        print(error, (request / "log").read_text(), flush=True)
    return int((request / "id").read_text()), error, took


def refused(service, word, *wanted, **more):
    _, error, took = make(service, word, want="failed", **more)
    for part in wanted:
        check(part in error, f"{word}: {part!r} in {error!r}")
    check(took < 30, f"{word}: {took:.1f} s")
    return error


def log_of(service, number):
    return (service.state / "logs" / str(number)).read_text()


def repodata(service, number):
    """{name: (href, checksum, size)} of x86_64"""
    os_tree = service.tree(number) / "x86_64/os"
    repomd = ET.parse(os_tree / "repodata/repomd.xml").getroot()
    href = [d.find("{*}location").get("href") for d in repomd if d.get("type") == "primary"][0]
    found = ET.fromstring(gzip.decompress((os_tree / href).read_bytes()))
    return os_tree, {p.findtext(f"{COMMON}name"): (p.find(f"{COMMON}location").get("href"),
                                                   p.findtext(f"{COMMON}checksum"),
                                                   int(p.find(f"{COMMON}size").get("package"))) for p in found}


# ---- what works -----------------------------------------------------------------

def try_plain(service, origin):
    origin.forget()
    local = service.compose("local", repo_spec(BASE, packages=PACKAGES))
    origin_url = f"{origin.url}/base"
    number, _, _ = make(service, origin_url)
    same(origin.count(".rpm"), 0, "packages asked for")
    same([origin.count(kind) for kind in ("repomd.xml", "primary", "filelists", "other")], [1, 0, 0, 0],
         "metadata is fetched once for a repomd.xml, and this one was known")
    (_, there), (tree, here) = repodata(service, local), repodata(service, number)
    same(here, there, "repodata of the same repository by path and by URL")
    check(len(here) > 1, "dependencies are there")
    for name, (href, checksum, size) in sorted(here.items())[:5]:
        path = tree / href
        same(path.stat().st_size, size, f"size of {name}")
        same(os.getxattr(path, "user.odcs.sha256").decode(), checksum, f"checksum of {name}")
        url = os.getxattr(path, "user.odcs.origin_url").decode()
        check(url.startswith(f"{origin.url}/base/Packages/"), f"origin of {name}: {url}")
        same(hashlib.sha256((BASE / url.removeprefix(f"{origin.url}/base/").replace("%2B", "+")).read_bytes()).hexdigest(),
             checksum, "what lies there")
    same(origin.count(".rpm"), 0, "looking at them asks for nothing")
    record = service.record(number)
    same(record["source"], origin_url, "source in the record")


def try_recheck(service, origin):
    """asked once in recheck_seconds, then conditionally; another repository is another compose"""
    folder = origin.folder / "changing"
    shutil.copytree(BASE / "repodata", folder / "repodata")
    origin.forget()
    word = f"{origin.url}/changing/"
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        numbers = [r[0] for r in pool.map(lambda _: make(service, word, flags=["no_reuse"]), range(8))]
    same(origin.count("repomd.xml"), 1, "a burst asks once")
    same(len({(service.tree(n) / "x86_64/os/repodata/repomd.xml").read_bytes() for n in numbers}), 1, "same bytes")
    time.sleep(2.1)
    make(service, word)
    same((origin.count("repomd.xml", 200), origin.count("repomd.xml", 304)), (1, 1), "then it asks for news")
    again, _, _ = make(service, word)
    check((service.mnt / "composes" / str(again)).is_symlink(), "what did not change is reused")
    shutil.rmtree(folder)
    shutil.copytree(UPDATES / "repodata", folder / "repodata")
    time.sleep(2.1)
    newer, _, _ = make(service, word, packages=[])
    check(repodata(service, newer)[1].keys() != {}, "the new one")
    same(origin.count("repomd.xml", 200), 2, "a changed repomd.xml comes")
    same(origin.count("primary"), 1, "with its metadata, once")


def try_lookaside(service, origin):
    number, _, _ = make(service, BASE, lookaside_repos=[f"{origin.url}/base"])
    same(len(repodata(service, number)[1]), 1, "what a lookaside repository by URL has is left out")


# ---- what does not --------------------------------------------------------------

def fresh(origin, name, source=BASE):
    """a repository that no snapshot is there for: its repomd.xml has a comment of its own"""
    folder = origin.folder / name
    shutil.copytree(source / "repodata", folder / "repodata")
    repomd = folder / "repodata/repomd.xml"
    repomd.write_text(repomd.read_text() + f"<!-- {name} -->\n")
    return f"{origin.url}/{name}"


def try_breaks(service, origin):
    size = next((BASE / "repodata").glob("*primary*")).stat().st_size
    cases = [("slow-start", {"repomd.xml": [status(503)]}), ("twice", {"primary": [status(503), status(429)]}),
             ("cut", {"primary": [cut(size // 2)]}), ("cut-twice", {"primary": [cut(size // 3), cut(10)]}),
             ("ignored-range", {"primary": [cut(size // 2), no_ranges]}), ("short", {"filelists": [short]}),
             ("stall", {"primary": [stall(30)]}), ("hop", {"primary": [redirect("/base/repodata/primary")]})]
    primary_name = next((BASE / "repodata").glob("*primary*")).name
    for name, steps in cases:
        word = fresh(origin, name)
        origin.forget()
        origin.steps = {f"/{name}/repodata": None} if name == "hop" else {}
        if name == "hop":
            origin.steps = {f"/{name}/repodata/{primary_name}": redirect(f"/base/repodata/{primary_name}")}
        else:
            origin.steps = steps
        make(service, word)
        if name == "cut":
            asked = [h.get("Range") for p, h in origin.headers if "primary" in p]
            check(len(asked) == 2 and asked[1] and int(asked[1][6:-1]) > 0, f"it goes on where it broke: {asked}")
            same(origin.count("primary", 206), 1, "with a part")
    # parts of two files: once more from the start
    word = fresh(origin, "two-files")
    data = next((BASE / "repodata").glob("*primary*")).read_bytes()
    origin.forget()
    wrong = bytes(len(data))

    def cut_wrong(origin, request):
        origin.send(request, 200, wrong[:100], length=len(data))
        request.close_connection = True
    origin.steps = {"primary": [cut_wrong]}
    make(service, word)
    same(origin.count("primary"), 3, "begun, gone on, begun again")


def try_lies(service, origin):
    elsewhere = "http://127.0.0.1:1/base"
    cases = [
        ("html", {"repomd.xml": text(b"<html><body>log in</body></html>")}, ["repomd.xml"]),
        ("gone", {"repomd.xml": status(404)}, ["404"]),
        ("down", {"repomd.xml": status(503)}, ["503"]),
        ("forbidden", {"repomd.xml": status(403)}, ["403"]),
        ("wrong-sum", {"primary": lambda o, r: o.serve(r, bytes(len(o.data(r))))}, ["sha256", "primary"]),
        ("longer", {"primary": lambda o, r: o.serve(r, o.data(r) + b"x")}, ["larger than"]),
        ("shorter", {"primary": lambda o, r: o.serve(r, o.data(r)[:-1])}, ["bytes came where", "expected"]),
        ("no-primary", {"primary": status(404)}, ["primary", "404"]),
        ("loop", {"repomd.xml": redirect("/loop/repodata/repomd.xml")}, ["more than 5 redirects"]),
        ("to-file", {"repomd.xml": redirect("file:///etc/passwd")}, ["redirect to file:///etc/passwd is not followed"]),
        ("elsewhere", {"repomd.xml": redirect(elsewhere)},
         ["a redirect is not followed", "is not below a URL that [repo] allowed names"]),
        ("stalls", {"repomd.xml": stall(30)}, ["no complete answer in time"]),
        ("endless", {"repomd.xml": lambda o, r: o.serve(r, bytes(5 << 20))}, ["larger than"]),
    ]
    for name, steps, words in cases:
        word = fresh(origin, name)
        origin.forget()
        origin.steps = steps
        refused(service, word, *words)
        check(origin.count("") < 20, f"{name}: {origin.count('')} requests")
    origin.forget()
    write_repository(origin.folder / "old", {"primary_db": b"SQLite"})
    refused(service, f"{origin.url}/old", "databases for yum alone")
    bomb = gzip.compress(bytes(200 << 20), 9)
    write_repository(origin.folder / "bomb", {"primary": (bomb, b"<metadata/>")})
    refused(service, f"{origin.url}/bomb", "primary.xml")
    sha1 = primary(("weak", "sha", "a" * 40, "weak.rpm"))
    write_repository(origin.folder / "sha1", {"primary": sha1})
    refused(service, f"{origin.url}/sha1", "SHA-256", "weak.rpm", packages=["weak"])
    for name, href in (("up", "../../x.rpm"), ("hidden", "%2e%2e/%2e%2e/x.rpm"), ("scheme", "file:///etc/passwd")):
        write_repository(origin.folder / name, {"primary": primary(("bad", "sha256", "b" * 64, href))})
        refused(service, f"{origin.url}/{name}", href[:6], packages=["bad"])


# ---- several mirrors ----------------------------------------------------------

def try_mirrors(service, origin, dead):
    lists = origin.folder / "lists"
    lists.mkdir()
    word = fresh(origin, "mirrored")
    repomd = (origin.folder / "mirrored/repodata/repomd.xml").read_bytes()
    gone = f"http://127.0.0.1:{dead}/mirrored"
    (lists / "plain").write_text(f"# two\n{gone}\n{word}/\nrsync://h/x\nhttp://127.0.0.1:2/no\n")
    origin.forget()
    number, _, _ = make(service, "repo:listed")
    log = log_of(service, number)
    check(f":{dead}/mirrored" in log and "no connection" in log, f"the dead mirror is told of: {log}")
    check("1 of 3 mirrors are left out" in log, f"and the one that may not be asked: {log}")
    tree, rows = repodata(service, number)
    url = os.getxattr(tree / next(iter(rows.values()))[0], "user.odcs.origin_url").decode()
    check(url.startswith(f"{origin.url}/lists/plain#Packages/"),
          f"a mirror is no identity: {url}")
    same(origin.count("/mirrored/repodata/repomd.xml"), 1, "asked of the living one")
    (lists / "plain").write_text(f"{word}\n{gone}\n")

    word = fresh(origin, "linked")
    repomd = (origin.folder / "linked/repodata/repomd.xml").read_bytes()
    old = fresh(origin, "stale", UPDATES)
    stale = (origin.folder / "stale/repodata/repomd.xml").read_bytes()
    (lists / "good").write_bytes(metalink(repomd, gone, old, word))
    number, _, _ = make(service, f"metalink:{origin.url}/lists/good")
    check("none of those that the metalink names" in log_of(service, number), "the stale mirror is told of")
    (lists / "alternate").write_bytes(metalink(b"what nobody has", old, alternates=[b"x", stale]))
    number, _, _ = make(service, f"metalink:{origin.url}/lists/alternate", packages=[])
    check("an older one is taken" in log_of(service, number), "an alternate counts where there is no newer one")
    (lists / "wrong").write_bytes(metalink(b"what nobody has", word, old))
    refused(service, f"metalink:{origin.url}/lists/wrong", "no mirror has repomd.xml",
            "none of those that the metalink names")
    # a metalink that says that nothing has changed is all that is asked for
    time.sleep(2.1)
    origin.forget()
    again, _, _ = make(service, "repo:listed", flags=["no_reuse"])
    same(repodata(service, again), (service.tree(again) / "x86_64/os", rows), "by another mirror, the same")
    origin.forget()
    make(service, f"metalink:{origin.url}/lists/good")
    same((origin.count("/lists/good"), origin.count("repomd.xml")), (1, 0), "repomd.xml is not asked for")
    for name, body, words in (("bare", metalink(repomd), "no mirror"),
                              ("html", b"<html>no</html>", "metalink"), ("empty", b"", "empty"),
                              ("doctype", b"<!DOCTYPE a [<!ENTITY b 'c'>]>" + metalink(repomd, word), "no list needs"),
                              ("elsewhere", metalink(repomd, "http://127.0.0.1:2/no"), "repo.mirrors")):
        (lists / name).write_bytes(body)
        refused(service, f"metalink:{origin.url}/lists/{name}", words)


def try_ftp(root):
    ftp = Ftp(root)
    try:
        with Service(f"repo.allowed={BASE} {ftp.url}", "repo.timeout=10") as service:
            local = service.compose("local", repo_spec(BASE, packages=PACKAGES))
            shutil.copytree(root / "base/repodata", root / "by-ftp/repodata")
            repomd = root / "by-ftp/repodata/repomd.xml"
            repomd.write_text(repomd.read_text() + "<!-- by FTP -->")
            number, _, _ = make(service, f"{ftp.url}/by-ftp")
            same(repodata(service, number)[1], repodata(service, local)[1], "by FTP")
            same(sum("primary" in path for path, _ in ftp.asked), 1, "primary, once")
            refused(service, f"{ftp.url}/nothing", "does not have it")
    finally:
        ftp.close()


# ---- who may ask for what ---------------------------------------------------------

def try_access(service, origin):
    for word, words in ((f"http://127.0.0.1:{origin.port + 1}/base", "not below a URL"),
                        (f"http://127.0.0.1.example/{origin.port}", "not below a URL"),
                        (f"{origin.url}.evil/base", "strange"),
                        (f"http://user:secret@127.0.0.1:{origin.port}/base", "characters are allowed"),
                        (f"{origin.url}/base/../x", "in its path"), (f"{origin.url}/base?x", "? or #"),
                        (f"{origin.url}/a/%2e%2e/x", "characters are allowed"), ("repo:nobody", "names does not have"),
                        (f"metalink:http://h/{origin.port}", "not below a URL"), ("https://127.0.0.1/", "not below")):
        answer = service.call("POST", "/api/1/composes/", repo_spec(word))
        check(answer.status in (400, 403) and words in answer.json["message"], f"{word}: {answer.body}")
        check("secret" not in answer.body.decode(), "a password is not shown")


def try_none():
    """no URL in repo.allowed: no server for anybody, whatever rights he has here"""
    with Service(f"repo.allowed={BASE}") as service:
        answer = service.call("POST", "/api/1/composes/", repo_spec("http://127.0.0.1:9/base"))
        same((answer.status, answer.json["message"]),
             (403, "http://127.0.0.1:9/base: [repo] allowed names no URL, so no server is asked"), "refused")
    with Service("repo.allowed=http://127.0.0.1:9/base") as service:
        answer = service.call("POST", "/api/1/composes/", repo_spec(BASE))
        same(answer.status, 200, "a local user's own paths stay his own beside URLs")


def try_any(origin):
    """repo.mirrors=any: other hosts, but none of this machine or its networks"""
    with Service(f"repo.allowed={origin.url}/base", "repo.timeout=4", "repo.mirrors=any") as service:
        origin.forget()
        make(service, f"{origin.url}/base")
        for to in ("http://169.254.169.254/x", "http://127.0.0.2:9/x", "http://localhost:9/", "http://[::1]:9/",
                   f"{origin.url}/updates/repodata/repomd.xml"):
            origin.forget()
            origin.steps = {"/base/repodata": redirect(to)}
            time.sleep(0.1)
            word = f"{origin.url}/base/{next(names)}"
            origin.steps = {f"/base/": redirect(to)}
            refused(service, word, "address that is not public")


# ---- signatures ----------------------------------------------------------------------

def try_signatures(origin, folder):
    if not shutil.which("gpg"):
        print("without signatures: there is no gpg")
        return
    with Key(folder, "alice") as alice, Key(folder, "mallory") as mallory:
        repomd = {}
        for name in ("signed", "unsigned", "foreign", "altered"):
            fresh(origin, name)
            repomd[name] = origin.folder / name / "repodata/repomd.xml"
        alice.sign(repomd["signed"])
        mallory.sign(repomd["foreign"])
        alice.sign(repomd["altered"])
        repomd["altered"].write_text(repomd["altered"].read_text() + "\n")
        with Service(f"repo.allowed={origin.url}", "repo.timeout=4", "repo.recheck_seconds=0", "repo.gpgcheck=repomd",
                     f"repo.gpg_keys={alice.public}") as service:
            origin.forget()
            make(service, f"{origin.url}/signed")
            same(origin.count("repomd.xml.asc"), 1, "the signature is asked for")
            make(service, f"{origin.url}/signed")
            same(origin.count("repomd.xml.asc"), 1, "once for the same bytes")
            refused(service, f"{origin.url}/unsigned", "repomd.xml.asc", "404")
            refused(service, f"{origin.url}/foreign", "which repo.gpg_keys does not have")
            refused(service, f"{origin.url}/altered", "is not of these bytes")


def timed(function, *arguments):
    started = time.monotonic()
    function(*arguments)
    print(f"{function.__name__}: {time.monotonic() - started:.1f} s", flush=True)


def main():
    need_fuse()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="odcsfs-origin-"))
    os.chmod(folder, 0o755)
    root = folder / "root"
    root.mkdir()
    for name, source in (("base", BASE), ("updates", UPDATES)):
        shutil.copytree(source, root / name)
    dead = dead_port()
    try:
        with Origin(root) as origin:
            with Service(f"repo.allowed={BASE} {origin.url} http://127.0.0.1:{dead}/", "repo.timeout=4",
                         "repo.recheck_seconds=2",
                         f"repo.names=listed=mirrorlist:{origin.url}/lists/plain?repo=a&arch=b") as service:
                timed(try_plain, service, origin)
                timed(try_recheck, service, origin)
                timed(try_lookaside, service, origin)
                timed(try_breaks, service, origin)
                timed(try_lies, service, origin)
                timed(try_mirrors, service, origin, dead)
                timed(try_access, service, origin)
            timed(try_any, origin)
            timed(try_signatures, origin, folder)
        timed(try_ftp, root)
        timed(try_none)
    finally:
        shutil.rmtree(folder)


main()
end()
