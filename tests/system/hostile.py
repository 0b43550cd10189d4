# SPDX-License-Identifier: MIT
"""tests/system/hostile.py: bad requests and bad repositories: a clear error that names field or file, nothing
outside is read, and the next request works.

promises = 7, 17, 18, 21
"""
import bz2, contextlib, errno, gzip, hashlib, json, lzma, os, pathlib, shutil, subprocess, sys, time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import *

GOOD = repo_spec(BASE, packages=["openssl"])
META = "http://linux.duke.edu/metadata/"


def package(name="p", href="p.rpm", pkgid=None, size=100, requires=(), extra=""):
    pkgid = pkgid or hashlib.sha256(name.encode()).hexdigest()
    entries = "".join(f'<rpm:entry name="{r}"/>' for r in requires)
    return (f'<package type="rpm"><name>{name}</name><arch>x86_64</arch><version epoch="0" ver="1" rel="1"/>'
            f'<checksum type="sha256" pkgid="YES">{pkgid}</checksum><summary>s</summary>'
            f'<description>d</description><packager/><url/><time file="1" build="1"/>'
            f'<size package="{size}" installed="1" archive="1"/><location href="{href}"/>{extra}<format>'
            f'<rpm:license>MIT</rpm:license><rpm:sourcerpm>{name}-1-1.src.rpm</rpm:sourcerpm>'
            f'<rpm:provides><rpm:entry name="{name}" flags="EQ" epoch="0" ver="1" rel="1"/></rpm:provides>'
            f'<rpm:requires>{entries}</rpm:requires></format></package>')


def primary(*packages, head=""):
    return (f'<?xml version="1.0" encoding="UTF-8"?>{head}<metadata xmlns="{META}common" '
            f'xmlns:rpm="{META}rpm" packages="{len(packages)}">{"".join(packages)}</metadata>').encode()


def write_repo(folder, text, packer=gzip.compress, suffix="gz", **lies):
    """a repository with one primary; lies: members of its repomd record that are not true"""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "repodata").mkdir(parents=True)
    packed = text if packer is None else packer(text)
    facts = {"checksum": hashlib.sha256(packed).hexdigest(), "open": hashlib.sha256(text).hexdigest(),
             "size": len(packed), "open_size": len(text), "href": f"repodata/primary.xml.{suffix}",
             "base": ""} | lies
    (folder / f"repodata/primary.xml.{suffix}").write_bytes(packed)
    (folder / "repodata/repomd.xml").write_text(
        f'<?xml version="1.0"?><repomd xmlns="{META}repo"><revision>1</revision><data type="primary">'
        f'<checksum type="sha256">{facts["checksum"]}</checksum><open-checksum type="sha256">{facts["open"]}'
        f'</open-checksum><location {facts["base"]}href="{facts["href"]}"/><timestamp>1</timestamp>'
        f'<size>{facts["size"]}</size><open-size>{facts["open_size"]}</open-size></data></repomd>')
    return folder


def refused(service, label, text, number, field):
    """the close answers errno, `error` names the field, the draft stays and a good spec is then accepted"""
    request = service.mnt / "requests" / label
    os.mkdir(request)
    try:
        service.write_spec(request, text)
        seen = 0
    except OSError as error:
        seen = error.errno
    same(seen, number, f"{label}: errno of the close")
    words = (request / "error").read_text()
    check(field in words, f"{label}: {field!r} in {words!r}")
    same((request / "status").read_text(), "draft\n", f"{label}: stays a draft")
    service.write_spec(request, GOOD)
    same((request / "wait").read_text(), "done\n", f"{label}: a good spec afterwards")
    same((request / "error").read_text(), "", f"{label}: error is empty then")
    os.rmdir(request)


def test_specs(service):
    good = json.dumps(GOOD)
    source = GOOD["source"]
    for label, text, number, field in (
            ("incomplete", good[:-2], errno.EINVAL, "spec.json"),
            ("broken", good + "}", errno.EINVAL, "spec.json"),
            ("array", "[]", errno.EINVAL, ""),
            ("unknown", {**GOOD, "arche": ["x86_64"]}, errno.EINVAL, "arches"),
            ("unknown-source", {"source": {**source, "packges": []}}, errno.EINVAL, "packages"),
            ("type", {"source": {**source, "packages": "ed"}}, errno.EINVAL, "packages"),
            ("ttl-word", {**GOOD, "seconds_to_live": "long"}, errno.EINVAL, "seconds_to_live"),
            ("ttl-negative", {**GOOD, "seconds_to_live": -5}, errno.EINVAL, "seconds_to_live"),
            ("null", {**GOOD, "flags": None}, errno.EINVAL, "flags"),
            ("slash", {"source": {**source, "packages": ["../etc/passwd"]}}, errno.EINVAL, "packages"),
            ("bad-flag", {**GOOD, "flags": ["nodeps"]}, errno.EINVAL, "no_deps"),
            ("bad-type", {"source": {**source, "type": "rpo"}}, errno.EINVAL, "type"),
            ("relative", {"source": {**source, "source": "some/repo"}}, errno.EINVAL, "source"),
            ("outside", repo_spec("/etc", packages=["x"]), errno.EACCES, "allowed"),
            ("dots", repo_spec(f"{BASE}/../../../..", packages=["x"]), errno.EACCES, "allowed"),
            ("neighbour", repo_spec(f"{UNIVERSE}-evil", packages=["x"]), errno.EACCES, "allowed"),
            ("look-outside", {**GOOD, "lookaside_repos": ["/root"]}, errno.EACCES, "lookaside_repos"),
            ("deep", '{"source":' + "[" * 5000 + "]" * 5000 + "}", errno.EINVAL, ""),
            ("twice", '{"source":{},"source":{}}', errno.EINVAL, ""),
            ("binary", b'{"source": "\xff\xfe"}', errno.EINVAL, "")):
        refused(service, label, text, number, field)
    for name, number in (("a b", errno.EINVAL), (".hidden", errno.EINVAL), ("x" * 101, errno.ENAMETOOLONG),
                         ("-dash", errno.EINVAL)):
        try:
            os.mkdir(service.mnt / "requests" / name)
            seen = 0
        except OSError as error:
            seen = error.errno
        same(seen, number, f"mkdir {name[:20]!r}")


def test_big(service):
    """1 MiB is accepted as text, more is EFBIG"""
    request = service.mnt / "requests/big"
    os.mkdir(request)
    text = json.dumps(GOOD)
    service.write_spec(request, text[:-1] + " " * ((1 << 20) - len(text)) + "}")
    same((request / "wait").read_text(), "done\n", "a spec of exactly 1 MiB")
    request = service.mnt / "requests/bigger"
    os.mkdir(request)
    try:
        service.write_spec(request, b" " * ((1 << 20) + 1))
        check(False, "a spec above 1 MiB")
    except OSError as error:
        same(error.errno, errno.EFBIG, "a spec above 1 MiB")
    os.rmdir(request)
    many = repo_spec(BASE, packages=["p%d" % i for i in range(10001)])
    same(service.call("POST", "/api/1/composes/", many).status, 400, "too many packages")
    same(service.call("POST", "/api/1/composes/", b" " * (2 << 20)).status, 413, "a body of 2 MiB")


def spent(service):
    """seconds of processor time of the workers so far"""
    ticks = 0
    for pid in service.children():
        with contextlib.suppress(OSError):
            ticks += sum(map(int, pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def fails(service, label, spec, *words):
    """bounded is what it costs; the clock only tells what hangs"""
    before, started = spent(service), time.monotonic()
    request = service.submit(label, spec)
    same((request / "wait").read_text(), "failed\n", f"{label}")
    cost, took = spent(service) - before, time.monotonic() - started
    check(cost < 20 and took < 20 + 6 * cost, f"{label}: in bounded time: {cost:.1f} s of processor time, {took:.1f} s")
    text = (request / "error").read_text()
    for word in words:
        check(word in text, f"{label}: {word!r} in {text!r}")
    check("worker" not in text, f"{label}: the worker survived: {text!r}")


def test_repositories(service, folder):
    one = package()
    bomb = primary(one) + b" " * (300 << 20)
    laughs = ('<!DOCTYPE m [<!ENTITY a "ha">' + "".join(
        f'<!ENTITY {chr(98 + i)} "{"&" + chr(97 + i) + ";"}{"&" + chr(97 + i) + ";"}">' for i in range(24)) + "]>")
    cases = (
        ("truncated", dict(text=primary(one), packer=lambda t: gzip.compress(t)[:-20]), "primary"),
        ("wrong-checksum", dict(text=primary(one), checksum="0" * 64), "checksum"),
        ("wrong-size", dict(text=primary(one), size=17), "size"),
        ("wrong-open-size", dict(text=primary(one), open_size=17), "primary"),
        ("wrong-open-checksum", dict(text=primary(one), open="0" * 64), "checksum"),
        ("bomb", dict(text=bomb, open_size=1000), "primary"),
        ("cut-xml", dict(text=primary(one)[:-30]), "primary"),
        ("not-xml", dict(text=b"\0\1\2 no xml at all"), "primary"),
        ("laughs", dict(text=primary(package(name="&z;"), head=laughs)), "primary"),
        ("dot-dot", dict(text=primary(package(href="../../etc/passwd"))), "../../etc/passwd"),
        ("absolute", dict(text=primary(package(href="/etc/passwd"))), "/etc/passwd"),
        ("newline", dict(text=primary(package(href="a&#10;b.rpm"))), "location"),
        ("scheme", dict(text=primary(package(href="http://127.0.0.1/x.rpm"))), "http"),
        ("repomd-dots", dict(text=primary(one), href="../../../etc/passwd"), "../../../etc/passwd"),
        ("repomd-base", dict(text=primary(one), base='xml:base="file:///etc/" ', href="passwd"), "base"),
        ("dangling", dict(text=primary(one)), "p.rpm"),
    )
    for label, arguments, *words in cases:
        repo = write_repo(folder / label, **arguments)
        fails(service, label, repo_spec(repo, packages=["p"]), *words)
    fails(service, "no-repo", repo_spec(folder / "absent", packages=["p"]), "absent")
    (folder / "empty").mkdir()
    fails(service, "empty", repo_spec(folder / "empty", packages=["p"]), "repomd.xml")
    (folder / "pipe/repodata").mkdir(parents=True)
    os.mkfifo(folder / "pipe/repodata/repomd.xml")
    fails(service, "pipe", repo_spec(folder / "pipe", packages=["p"]), "repomd.xml")
    # a package file that is another file by a link that leads out of what is allowed
    repo = write_repo(folder / "link", primary(package(size=os.path.getsize("/etc/passwd"))))
    os.symlink("/etc/passwd", repo / "p.rpm")
    fails(service, "link", repo_spec(repo, packages=["p"]), "p.rpm")
    repo = write_repo(folder / "size", primary(package(size=100)))
    (repo / "p.rpm").write_bytes(b"x" * 99)
    fails(service, "size-differs", repo_spec(repo, packages=["p"]), "p.rpm")


def test_compressions(service, folder):
    zstd = lambda text: subprocess.run(["zstd", "-qc"], input=text, capture_output=True, check=True).stdout
    for label, packer in (("gz", gzip.compress), ("xz", lzma.compress), ("bz2", bz2.compress), ("zst", zstd),
                          ("plain", None)):
        repo = write_repo(folder / f"good-{label}", primary(package(size=3)), packer, label)
        (repo / "p.rpm").write_bytes(b"rpm")
        number = service.compose(f"good-{label}", repo_spec(repo, packages=["p"]))
        same((service.tree(number) / "x86_64/os/Packages/p/p.rpm").read_bytes(), b"rpm", f"package from {label}")


def test_changed_source(service, folder):
    """a source file that changes under us is EIO, never other bytes"""
    repo = write_repo(folder / "changing", primary(package(size=3)))
    (repo / "p.rpm").write_bytes(b"abc")
    number = service.compose("changing", repo_spec(repo, packages=["p"]))
    path = service.tree(number) / "x86_64/os/Packages/p/p.rpm"
    time.sleep(0.02)
    (repo / "p.rpm").write_bytes(b"xyz")
    try:
        seen = path.read_bytes()
    except OSError as error:
        seen = error.errno
    same(seen, errno.EIO, "read of a package whose source changed")
    same(service.call("GET", f"/composes/{number}/compose/Temporary/x86_64/os/Packages/p/p.rpm").status, 502,
         "the same over HTTP")


def test_sent_again(service, folder):
    """over HTTP a file is kept open for a moment: not beyond its change or its end, and not for long"""
    repo = folder / "again"
    sized_repository(repo, {"small": 3000, "large": 300000, "gone": 300000})
    number = service.compose("again", repo_spec(repo, packages=[]))
    links = pathlib.Path(f"/proc/{service.server_pid}/fd")

    def get(name, method="GET", **headers):
        return service.call(method, f"/composes/{number}/compose/Temporary/x86_64/os/Packages/{name[0]}/{name}.rpm",
                            headers={key.replace("_", "-"): value for key, value in headers.items()})

    def opened():
        count = 0
        for link in links.iterdir():
            with contextlib.suppress(OSError): # closed meanwhile
                count += os.readlink(link).startswith(f"{repo}/")
        return count
    time.sleep(3) # what was changed a moment ago is not kept
    for name in ("small", "large", "gone"):
        want = (repo / f"{name}.rpm").read_bytes()
        first = get(name)
        for _ in range(3):
            answer = get(name)
            same((answer.status, answer.body == want, answer.headers["ETag"], answer.headers["Content-Type"],
                  answer.headers["Last-Modified"]),
                 (200, True, first.headers["ETag"], first.headers["Content-Type"], first.headers["Last-Modified"]),
                 f"{name} again")
        same(get(name, Range="bytes=10-19").body, want[10:20], f"a range of {name} meanwhile")
        same(get(name, If_None_Match=first.headers["ETag"]).status, 304, f"{name} is known meanwhile")
        same(get(name, If_Match='"x"').status, 412, f"another {name} is wanted meanwhile")
        head = get(name, "HEAD")
        same((head.status, head.body, head.headers["Content-Length"]), (200, b"", str(len(want))), f"HEAD of {name} meanwhile")
    check(wait_for(lambda: opened() == 3, 10), f"descriptors of what was sent: {opened()}")
    for name in ("small", "large"):
        with open(repo / f"{name}.rpm", "r+b") as file:
            file.write(b"other")
        same(get(name).status, 502, f"{name}, changed after it was sent")
    (repo / "gone.rpm").unlink()
    same(get("gone").status, 502, "a file that was removed after it was sent")
    check(wait_for(lambda: not opened(), 10), "descriptors are closed after a moment")


def test_rights(service, folder):
    """without [repo] allowed a user gets what he could read himself, and nothing else"""
    secret = folder / "secret"
    shutil.copytree(BASE, secret)
    os.chmod(secret, 0o700)
    script = (f"import os, json\nos.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
              f"r = {str(service.mnt / 'requests')!r}\n"
              "def ask(name, path):\n"
              "    os.mkdir(f'{r}/{name}')\n"
              "    open(f'{r}/{name}/spec.json', 'w').write(json.dumps({'source': {'type': 'repo', 'source': path,"
              " 'packages': ['openssl']}}))\n"
              "    print(open(f'{r}/{name}/wait').read().strip(), end=' ')\n"
              f"ask('open', {str(folder / 'open')!r}); ask('closed', {str(secret)!r})\n")
    shutil.copytree(BASE, folder / "open")
    same(run(sys.executable, "-c", script).stdout, "done failed ", "user nobody: open and closed repository")
    check(str(secret) in (service.mnt / "requests/closed/error").read_text(), "the error names the path")
    service.compose("root-may", repo_spec(secret, packages=["openssl"]))
    answer = service.call("POST", "/api/1/composes/", repo_spec(secret, packages=["openssl"]))
    same(service.wait_rest(answer.json["id"])["state_name"], "done", "root over loopback reads what root may")
    forwarded = service.call("POST", "/api/1/composes/", repo_spec(secret, packages=["openssl"]),
                             {"X-Forwarded-Host": "example.com", "X-Forwarded-For": "192.0.2.1"})
    same(forwarded.status, 403, "a forwarded client is not a local user")


def main():
    need_fuse()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="odcsfs-hostile-"))
    os.chmod(folder, 0o755)
    try:
        with Service(f"repo.allowed={UNIVERSE} {folder}") as service:
            for test in (test_specs, test_big):
                test(service)
                print("ok", test.__name__, flush=True)
            for test in (test_repositories, test_compressions, test_changed_source,
                         test_sent_again):
                test(service, folder)
                print("ok", test.__name__, flush=True)
            service.compose("after-all", GOOD)
        with Service() as service:
            test_rights(service, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    end()


if __name__ == "__main__":
    main()
