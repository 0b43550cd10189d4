# SPDX-License-Identifier: MIT
"""tests/system/cage.py: workers in their cage: what is missing of it is said; a hub leads nowhere; what a worker has to
swallow does not come into the service.

    cage.py PROGRAM     (uncaged.c)

promises = 17, 19
"""
import hashlib, http.server, os, pathlib, re, shutil, subprocess, sys, tempfile, threading, time, zlib

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness
from harness import *
from hostile import fails, package, primary, write_repo
from tagkit import Field, recorded_hub, tag_spec

SAID = "workers cannot be kept from: "
MEMORY_MB = 10


def is_sanitized():
    return b"__asan_init" in pathlib.Path(ODCSFS).read_bytes() or b"__tsan_init" in pathlib.Path(ODCSFS).read_bytes()


def missing(service):
    """what the log says that workers are not kept from, each time that it says so"""
    return re.findall(SAID + "(.*)", service.log_text())


def version(service):
    return (service.mnt / "version").read_text().splitlines()


def starts(*options):
    with tempfile.TemporaryDirectory() as folder:
        answer = subprocess.run([harness.ODCSFS, "serve", "-c", "/dev/null", "-o", f"odcsfs.state_dir={folder}/state", "-o",
                                 "odcsfs.mountpoint=", "-o", "http.listen=127.0.0.1:0", *options], capture_output=True,
                                text=True, timeout=20, check=False)
        return answer.returncode, answer.stderr


def test_as_it_is(service):
    """here: every part that the kernel has"""
    words = missing(service)
    same(words, ["system calls (a build with sanitizers)"] if is_sanitized() else [], "what the log says")
    same(version(service)[0], run(ODCSFS, "--version").stdout.strip(), "the first line of version")
    same([line for line in version(service) if line.startswith("workers")],
         [f"workers are not kept from: {w}" for w in words], "version")
    for pid in service.workers(2):
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        same(re.findall(r"(?:NoNewPrivs|CapEff|CapPrm):\t(\w+)", status), ["0" * 16, "0" * 16, "1"], "a worker's rights")


def test_lacking(wrapped):
    """a kernel without Landlock: said once, and composes are made; or the service does not start"""
    plain, harness.ODCSFS = harness.ODCSFS, wrapped
    try:
        with Service("odcsfs.workers=2") as service:
            for i in range(2):
                service.compose(f"r{i}", repo_spec(BASE, packages=["openssl"], flags=["no_reuse"]))
            words = missing(service)
            same(len(words), 1, f"said once: {words}")
            for word in ("opening and changing files", "truncating files", "connecting to any TCP port"):
                check(words and word in words[0], f"{word!r} in {words}")
            same([line for line in version(service) if line.startswith("workers")],
                 [f"workers are not kept from: {w}" for w in words], "version")
        code, words = starts("-o", "odcsfs.cage=require")
        same(code, 1, f"exit code with require: {words}")
        check("odcsfs.cage=require" in words and "Landlock" in words, f"words: {words}")
    finally:
        harness.ODCSFS = plain


def test_replaced(folder):
    """certificates that were put in the place of others: who composes next may read them"""
    ca = folder / "ca.pem"
    ca.write_text("one")
    with Service("odcsfs.workers=2", "repo.allowed=http://127.0.0.1:1", f"repo.ca={ca}") as service:
        before = service.workers(2)
        service.compose("first", repo_spec(BASE, packages=["openssl"]))
        same(service.workers(2), before, "the same workers while nothing changes")
        (folder / "new.pem").write_text("two")
        os.rename(folder / "new.pem", ca)
        time.sleep(1.1) # it is looked at once a second
        service.compose("second", repo_spec(BASE, packages=["openssl"], flags=["no_reuse"]))
        check(not set(service.workers(2)) & set(before), f"other workers: {before}, then {service.workers(2)}")
        same(service.log_text().count("is replaced, files that it reads are others now"), 2, "said in the log")


class Elsewhere(http.server.ThreadingHTTPServer):
    """a server on this machine that nobody listed; counts who comes"""

    def __init__(self):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.server.came += 1
                self.send_error(404)

            do_POST = do_HEAD = do_GET

            def log_message(self, *_):
                pass
        super().__init__(("127.0.0.1", 0), Handler)
        self.came, self.url = 0, f"http://127.0.0.1:{self.server_port}/secret"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


def test_redirects(hub, topdir, builds, elsewhere):
    """a hub and its file server lead to nobody but themselves and what repo.allowed names"""
    options = [f"koji.hub={hub.url}", f"koji.topurl={hub.topurl}", "koji.topdir=/nowhere", "koji.timeout=5",
               "odcsfs.workers=1"]
    with Service(*options) as service:
        field = Field(service, hub, topdir, builds)
        spec = tag_spec("f26-candidate", packages=["apr"], sigkeys=["7ec1b334", ""], flags=["no_reuse"])
        for method in ("getTag", "listTaggedRPMS", "HEAD", "GET"):
            for to in (elsewhere.url, "http://169.254.169.254/latest/meta-data", "http://[::1]:1/", "http://localhost:1/"):
                hub.misbehave("redirect", method, times=-1, to=to)
                number = field.compose(spec, "failed")
                reason = service.record(number)["state_reason"]
                check("a redirect is not followed" in reason, f"{method} to {to}: {reason}")
                hub.wrongs.clear()
                if method in ("GET", "HEAD"):
                    break
        same(elsewhere.came, 0, "requests to a server that nobody listed")
        field.compose(spec)
    with Service(*options, f"repo.allowed=http://127.0.0.1:{elsewhere.server_port}") as service:
        field = Field(service, hub, topdir, builds)
        hub.misbehave("redirect", "getTag", times=-1, to=elsewhere.url)
        field.compose(spec, "failed")
        hub.wrongs.clear()
        check(elsewhere.came > 0, "a server that is listed is asked")


def bomb(folder):
    """a repository whose primary is 1 GB of blanks behind a good beginning, gzipped"""
    packer, repo = zlib.compressobj(9, wbits=31), folder / "bomb"
    opened, packed = hashlib.sha256(), []
    for part in [primary(package())] + [b" " * (1 << 20)] * 1024:
        opened.update(part)
        packed.append(packer.compress(part))
    packed.append(packer.flush())
    return write_repo(repo, b"", packer=lambda _: b"".join(packed), open=opened.hexdigest(),
                      open_size=(1 << 30) + len(primary(package())))


def many_records(folder):
    repo = write_repo(folder / "records", primary(package()))
    repomd = (repo / "repodata/repomd.xml").read_text()
    record = re.search("<data .*</data>", repomd, re.S)[0]
    (repo / "repodata/repomd.xml").write_text(
        repomd.replace(record, record + "".join(record.replace('"primary"', f'"extra_{i}"') for i in range(10000))))
    return repo


def many_packages(folder):
    repo = write_repo(folder / "packages", primary(*(package(name=f"p{i}", href=f"p{i}.rpm", size=3) for i in range(10000))))
    for i in range(10000):
        (repo / f"p{i}.rpm").write_bytes(b"rpm")
    return repo


def long_names(folder):
    return write_repo(folder / "names", primary(package(name="n" * (1 << 20)), package(requires=["r" * (1 << 20)])))


def memory(service):
    """MB of the server alone"""
    pid = getattr(service, "server_pid", service.process.pid)
    return int(re.search(r"RssAnon:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1]) / 1024


def test_swallowed(service, folder):
    """1 GB unpacked, 10,000 records, 10,000 packages, names of 1 MB: a worker's affair"""
    for i in range(8): # caches and pools fill
        service.compose(f"warm{i}", repo_spec(BASE, packages=["openssl"], flags=["no_reuse"]))
    before = memory(service)
    fails(service, "bomb", repo_spec(bomb(folder), packages=["p"]), "primary")
    fails(service, "records", repo_spec(many_records(folder), packages=["p"]), "repomd.xml")
    fails(service, "names", repo_spec(long_names(folder), packages=["p"]), "a text of more than 4096 bytes")
    after = memory(service)
    service.compose("packages", repo_spec(many_packages(folder), packages=[f"p{i}" for i in range(0, 10000, 10)]))
    shown = memory(service)
    print(f"the server's memory: {before:.1f} MB before, {after:.1f} MB after bomb, records and names, {shown:.1f} MB with "
          f"a compose out of 10,000 packages")
    if is_sanitized():
        print("a build with sanitizers: the server's memory is not judged")
        return
    check(abs(after - before) <= MEMORY_MB, f"the server's memory: {before:.1f} MB, then {after:.1f} MB")
    check(shown - before <= MEMORY_MB, f"with a compose of a repository of 10,000: {before:.1f} MB, then {shown:.1f} MB")


def main():
    need_fuse()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="odcsfs-cage-"))
    os.chmod(folder, 0o755)
    try:
        with Service("odcsfs.workers=2") as service:
            test_as_it_is(service)
            test_swallowed(service, folder)
        test_replaced(folder)
        if os.geteuid() == 0:
            wrapped = folder / "odcsfs"
            wrapped.write_text(f'#!/bin/sh\nexec {sys.argv[1]} {ODCSFS} "$@"\n')
            wrapped.chmod(0o755)
            test_lacking(str(wrapped))
        else:
            print("not root: no kernel without Landlock can be played")
        with recorded_hub() as (hub, topdir, builds), Elsewhere() as elsewhere:
            test_redirects(hub, topdir, builds, elsewhere)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    end()


main()
