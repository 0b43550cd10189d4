# SPDX-License-Identifier: MIT
"""tests/system/why.py: what people at the shell and the site meet: `odcsfs why`, `odcsfs config`, who may make
requests, and how a service that stops says no."""
import contextlib, errno, grp, json, os, pathlib, signal, sys, tempfile, threading, time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import *

NOBODY = 65534


def as_nobody(script, group=NOBODY):
    """what a script of user nobody prints, run with that group"""
    head = f"import os\nos.setgroups([]); os.setgid({group}); os.setuid({NOBODY})\n"
    answer = run(sys.executable, "-c", head + script)
    check(answer.returncode == 0, f"script of nobody: {answer.stderr}")
    return answer.stdout.split()


def why(service, *arguments, url=None):
    return run(ODCSFS, "why", "-u", url or service.url, *arguments)


def test_why(service):
    number = service.compose("why", repo_spec(BASE, packages=["openssl"]))
    tree = service.tree(number)
    names = {p.name.rsplit("-", 2)[0]: p.name.removesuffix(".rpm") for p in tree.rglob("*.rpm")}
    check("libssl3" in names and "libc6" in names, f"openssl comes with {sorted(names)}")
    answer = why(service, number, "openssl")
    same(answer.returncode, 0, f"why of a requested package {answer.stderr}")
    lines = answer.stdout.splitlines()
    same(len(lines), 1, "lines about openssl")
    parts = lines[0].split("\t")
    same((parts[0], parts[2]), (parts[0] if "openssl" in parts[0] else "openssl…", "requested"), "its words")
    # a dependency names the requirement and who has it; its NEVRA asks the same
    answer = why(service, number, "libssl3")
    same(answer.returncode, 0, "why of a dependency")
    check("libssl3" in answer.stdout.split("\t")[2] or "libssl.so.3" in answer.stdout.split("\t")[2],
          f"the requirement in {answer.stdout!r}")
    check("openssl" in answer.stdout.split("\t")[2], f"who requires it in {answer.stdout!r}")
    same(why(service, number, answer.stdout.split("\t")[0]).stdout, answer.stdout, "asked by NEVRA")
    # one line for each package of the tree, no more
    log = (service.mnt / f"composes/{number}/logs/global/why").read_text().splitlines()
    same(len(log), len(names), "lines of logs/global/why")
    for name in names:
        same(why(service, number, name).returncode, 0, f"why {name}")
    answer = run(ODCSFS, "why", number, "openssl", env={**os.environ, "ODCSFS_URL": service.url})
    same((answer.returncode, answer.stdout), (0, lines[0] + "\n"), "URL from the environment")
    for label, code, words, arguments in (
            ("a package that is not there", 1, "nginx is not in compose", (number, "nginx")),
            ("half a name", 1, "openss is not in compose", (number, "openss")),
            ("no such compose", 1, "there is no such compose", (99999, "openssl")),
            ("no package", 2, "Usage:", (number,)),
            ("no number", 2, "Usage:", ("one", "openssl")),
            ("zero", 2, "Usage:", ("0", "openssl")),
            ("too much", 2, "Usage:", (number, "openssl", "nginx"))):
        answer = why(service, *arguments)
        same((answer.returncode, answer.stdout), (code, ""), f"why, {label}: exit code and output")
        check(words in answer.stderr, f"why, {label}: {words!r} in {answer.stderr!r}")
    answer = why(service, number, "openssl", url="http://127.0.0.1:1")
    same(answer.returncode, 1, "why without a service")
    check("127.0.0.1:1" in answer.stderr, f"it names the URL: {answer.stderr!r}")
    same(run(ODCSFS, "why", "-x", "1", "p").returncode, 2, "unknown option of why")
    os.rmdir(service.mnt / "requests/why")
    check(wait_for(lambda: why(service, number, "openssl").returncode == 1, 5), "why of what is over")


def test_config():
    """what it prints is a configuration that gives the same again; -o and -c show through"""
    plain = run(ODCSFS, "config", "-c", "/dev/null")
    same((plain.returncode, plain.stderr), (0, ""), "config")
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write(plain.stdout)
        file.flush()
        same(run(ODCSFS, "config", "-c", file.name).stdout, plain.stdout, "its own output as a file")
    changed = run(ODCSFS, "config", "-c", "/dev/null", "-o", "odcsfs.workers=7", "-o", "lifetime.default=99",
                  "-o", "repo.allowed=/srv/a /srv/b")
    same(changed.returncode, 0, "config with -o")
    differ = {b for a, b in zip(plain.stdout.splitlines(), changed.stdout.splitlines()) if a != b}
    same(differ, {"workers=7", "default=99", "allowed=/srv/a /srv/b"}, "lines that differ")
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write("[odcsfs]\nworkers=5\n[limits]\nbody=512K\n")
        file.flush()
        from_file = run(ODCSFS, "config", "-c", file.name, "-o", "odcsfs.workers=6")
        check("\nworkers=6\n" in from_file.stdout, "-o goes before the file")
        check(f"\nbody={512 << 10}\n" in from_file.stdout or "\nbody=512K\n" in from_file.stdout, "body from the file")
    for line in plain.stdout.splitlines():
        check(not line or line[0] in "[;" or "=" in line, f"a line of it: {line!r}")
    for arguments, code in ((("-o", "odcsfs.wrkers=2"), 2), (("-o", "odcsfs.workers=0"), 2), (("-c", "/absent"), 2)):
        answer = run(ODCSFS, "config", *arguments)
        same((answer.returncode, answer.stdout), (code, ""), f"config {arguments}: {answer.stderr!r}")
        check(answer.stderr.startswith("odcsfs: "), f"words of config {arguments}: {answer.stderr!r}")


ASK = """
def attempt(deed):
    try:
        deed()
        print(0, end=' ')
    except OSError as error:
        print(error.errno, end=' ')
r = %r
attempt(lambda: os.mkdir(r + '/requests/mine'))
attempt(lambda: os.listdir(r + '/requests'))
attempt(lambda: os.write(os.open(r + '/new', os.O_RDWR), %r))
attempt(lambda: open(r + '/requests/roots/status').read())
"""


def test_groups():
    """[fs] allowed_groups: others may look, and make nothing"""
    group = next((g for g in grp.getgrall() if g.gr_name not in ("root", "nogroup", "nobody") and not g.gr_mem), None)
    if not group:
        skip("no group to test with")
    with Service(f"repo.allowed={UNIVERSE}", f"fs.allowed_groups={group.gr_name}") as service:
        service.compose("roots", repo_spec(BASE, packages=["openssl"]))
        script = ASK % (str(service.mnt), json.dumps(repo_spec(BASE, packages=["openssl"])).encode())
        same(as_nobody(script), [str(errno.EACCES), "0", str(errno.EACCES), "0"], "nobody, not in the group")
        same(as_nobody(script, group.gr_gid), ["0"] * 4, "nobody, with the group")
        same((service.mnt / "requests/mine").stat().st_uid, NOBODY, "its draft is its own")
        same(service.call("POST", "/api/1/composes/", repo_spec(BASE, packages=["openssl"])).status, 200,
             "the groups rule the tree, not HTTP")


def test_draining(service):
    """while the service stops, reads go on and what would begin something is EROFS, or the tree is gone"""
    number = service.compose("last", repo_spec(BASE, packages=["openssl"]))
    for worker in service.workers():
        os.kill(worker, signal.SIGSTOP)
    service.submit("hung", repo_spec(BASE, packages=["nginx"]))
    seen, stop = {}, threading.Event()
    def ask(number):
        i = 0
        while not stop.is_set():
            i += 1
            try:
                os.mkdir(service.mnt / "requests" / f"late{number}-{i}")
                word = 0
            except OSError as error:
                word = error.errno
            seen[word] = seen.get(word, 0) + 1
            if word == errno.ENOENT: # the mount point without the mount
                return
    threads = [threading.Thread(target=ask, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    wait_for(lambda: seen.get(0), 20)
    started = time.monotonic()
    same(service.stop(), 0, "stop while clients ask")
    check(time.monotonic() - started < 5, f"stopped in {time.monotonic() - started:.1f} s")
    stop.set()
    for thread in threads:
        thread.join(20)
    check(not any(t.is_alive() for t in threads), "no client hangs")
    allowed = {0, errno.EROFS, errno.ENOTCONN, errno.ECONNABORTED, errno.ENOENT, errno.EDQUOT, errno.EINTR, errno.EIO}
    same(set(seen) - allowed, set(), f"errnos while it stops: {seen}")
    check(seen.get(0), f"drafts were made before: {seen}")
    service.start()
    same((service.mnt / "requests/hung/wait").read_text(), "done\n", "what was accepted is made after the start")
    check(service.tree(number).exists(), "what was done is there after the start")


def main():
    need_fuse()
    test_config()
    print("ok test_config", flush=True)
    with Service(f"repo.allowed={UNIVERSE}", "limits.drafts=100000") as service:
        for test in (test_why, test_draining):
            test(service)
            print("ok", test.__name__, flush=True)
    test_groups()
    print("ok test_groups", flush=True)
    end()


main()
