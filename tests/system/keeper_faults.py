# SPDX-License-Identifier: MIT
"""tests/system/keeper_faults.py: what goes wrong while a server is replaced: checks that hang, too many who ask, a program that
breaks after its check, a mount that the next server cannot go on with.

promises = 13
"""
import concurrent.futures, os, pathlib, re, shutil, signal, socket, sys, tempfile, threading, time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import *
from keeperkit import *

CHECK_SECONDS, ASKERS = 10, 8 # core/daemon/keeper.c, keeper.h


def connect(service):
    """one who asks for a reload and waits"""
    asker = socket.socket(socket.AF_UNIX)
    asker.settimeout(60)
    asker.connect(str(service.state / "reload"))
    return asker


def answer_of(asker):
    text = b""
    while part := asker.recv(1024):
        text += part
    asker.close()
    return text.decode()


def test_check_hangs(service):
    """a check that hangs ends the reload of who asked before it began; who asked later, and the next one, are served"""
    pid, hangs = service.server_pid, service.dir / "hangs"
    service.put(f'#!/bin/sh\n[ "$2" = --check ] && {{ sleep 300 & echo $! >"{hangs}.new"; mv "{hangs}.new" "{hangs}"; wait; }}\n'
                f'exec {ODCSFS} "$@"\n')
    started, first = time.monotonic(), connect(service)
    check(wait_for(hangs.exists, 5), "the check is under way")
    service.put()
    others = [connect(service) for _ in range(ASKERS - 1)]
    answer = reload(service)
    same(answer.returncode, 1, "one too many: exit code")
    same(answer.stderr, f"{ASKERS} wait for a reload already: ask again later\n", "one too many: words")
    check(time.monotonic() - started < CHECK_SECONDS - 2, "he is told at once")
    others.pop().close()
    others.append(connect(service)) # in the place of the one who gave up
    text = answer_of(first)
    took = time.monotonic() - started
    check(text.startswith("1") and f"{CHECK_SECONDS} seconds" in text and "the server stays" in text, f"the first: {text!r}")
    check(CHECK_SECONDS - 1 < took < CHECK_SECONDS + 3, f"answered after {took:.1f} s")
    check(text[1:].strip() in service.log_text(), "the log says it, too")
    same([answer_of(other) for other in others], ["0reloaded\n"] * (ASKERS - 1), "those who asked later")
    check(service.server_pid not in (0, pid), "another server")
    check(wait_for(lambda: ended(int(hangs.read_text())), 5), "what hung was ended, with what it had started")
    same(reload(service).returncode, 0, "the next reload")


def test_broken_between(service):
    """a configuration that is broken after the check: said, tried again and again; mended, all goes on without a reload"""
    good = service.file.read_text()
    service.put(f'#!/bin/sh\n[ "$2" = --check ] && {{ echo "[odcsfs]\nworkres = 1" >"{service.file}"; exit 0; }}\nexec {ODCSFS} "$@"\n')
    answer = run(ODCSFS, "reload", "-c", "/dev/null", "-o", f"odcsfs.state_dir={service.state}")
    same(answer.returncode, 1, "exit code")
    check("exit code 2 before it was ready" in answer.stderr and "log" in answer.stderr, f"its words: {answer.stderr!r}")
    check("is started again" in service.log_text() and "workres" in service.log_text(), "the log says why")
    got = []
    reader = threading.Thread(target=lambda: got.append((service.mnt / "version").read_text()))
    reader.start() # it waits
    service.file.write_text(good)
    service.put()
    reader.join(20)
    check(got and got[0].startswith("odcsfs "), f"who read meanwhile: {got}")
    check(wait_for(lambda: service.server_pid, 10), "a server")
    # broken again, and out of it by a reload, which waits for no pause
    service.put("#!/bin/sh\nexit 3\n")
    quiet()
    os.kill(service.server_pid, signal.SIGKILL)
    check(wait_for(lambda: "the next server is started in 3200 ms" in service.log_text(), 20), "it is started more and more slowly")
    service.put()
    started = time.monotonic()
    same(reload(service).returncode, 0, "reload while it waits")
    check(time.monotonic() - started < 2, f"a reload waits for no pause: {time.monotonic() - started:.1f} s")


def test_roles(service):
    """a file of roles that is not there: key and path, by the check, by a reload and at the start"""
    good, path = service.file.read_text(), service.dir / "no-roles.json"
    service.file.write_text(f"[auth]\nroles = {path}\n")
    words = f"auth.roles: {path}: No such file or directory"
    for what, answer in (("check", run(service.program, "serve", "--check", "-c", service.file)), ("reload", reload(service)),
                         ("start", run(service.program, "serve", "-c", service.file, "-o", f"odcsfs.state_dir={service.dir}/other"))):
        same(answer.returncode, 2, f"{what}: exit code")
        check(words in answer.stderr, f"{what}: {answer.stderr!r}")
    service.file.write_text(good)


def test_workers_die(service):
    """workers that die at once are replaced more slowly, which the log says; a reload waits for nothing"""
    words = "workers in place 0 die soon after their start: the next one is started in 1600 ms"
    for _ in range(8):
        pids = wait_for(service.children, 10)
        os.kill(pids[0], signal.SIGKILL)
        wait_for(lambda: pids[0] not in service.children(), 5)
        if wait_for(lambda: words in service.log_text(), 0.04, 0.01):
            break
    check(words in service.log_text(), "the log says why")
    totals = re.search(r"celery_workers_totals (\d+)", service.call("GET", "/api/1/metrics/").body.decode())
    same(totals and totals[1], "0", "the metrics say that there is none")
    started = time.monotonic()
    same(reload(service).returncode, 0, "reload")
    service.compose("after", repo_spec(BASE, packages=["nginx"], flags=["no_deps", "no_reuse"]))
    check(time.monotonic() - started < 1.5 or is_slow(), f"made by the next server after {time.monotonic() - started:.1f} s")


# ---- a mount that cannot be gone on with ----------------------------------------------------------------------

MAGIC_AT, INIT_AT, PATH_AT = 0, 40, 296 # in struct record, fs/takeover.c


def memory_patch(service, path, at, value):
    """in what the keeper holds of the mount at @path"""
    for link in pathlib.Path(f"/proc/{service.process.pid}/fd").iterdir():
        if "memfd:odcsfs-mount" in os.readlink(link):
            with open(link, "r+b", buffering=0) as memory:
                if os.pread(memory.fileno(), 4096, PATH_AT).split(b"\0")[0].decode() == str(path):
                    return os.pwrite(memory.fileno(), value, at)
    return check(False, f"no memory of {path}")


def whole(service, number, what):
    """the tree is as it was, and no second mount lies below or above it. Between two mounts there is an empty directory"""
    check(wait_for(lambda: os.path.exists(service.mnt / "requests"), 10), f"{what}: mounted")
    same(os.listdir(service.mnt / "composes").count(str(number)), 1, f"{what}: listed")
    check((service.tree(number) / f"odcs-{number}.repo").read_bytes(), f"{what}: read")
    os.mkdir(service.mnt / "requests" / f"new-{time.monotonic_ns()}")
    same(pathlib.Path("/proc/mounts").read_text().count(f" {service.mnt} "), 1, f"{what}: mounts")


def test_other_layout(service):
    """what a server of another layout left: mounted anew, and unmounted where it is configured no more"""
    number = service.compose("layout", repo_spec(BASE, packages=["nginx"], flags=["no_deps", "no_reuse"]))
    good, other = service.file.read_text(), service.dir / "export"
    service.file.write_text(f"[fs]\nexport = {other}\n{good}")
    same(reload(service).returncode, 0, "reload with an export")
    check(wait_for(lambda: os.path.ismount(other), 10), "it is there")
    memory_patch(service, other, MAGIC_AT, b"odcsfs9")
    memory_patch(service, service.mnt, MAGIC_AT, b"odcsfs9")
    service.file.write_text(good)
    same(reload(service).returncode, 0, "reload without")
    check(str(other) not in pathlib.Path("/proc/mounts").read_text(), "it is gone")
    same(os.listdir(other), [], "and leaves an empty directory")
    whole(service, number, "another layout")
    check("not understood: mounted anew" in service.log_text(), "the log says so")
    for what, at, value in (("no first request", INIT_AT + 4, bytes(4)), ("of another protocol", INIT_AT + 40, b"\6\0\0\0"),
                            ("another length", INIT_AT, b"\1\0\0\0")):
        quiet()
        memory_patch(service, service.mnt, at, value)
        kill_server(service)
        whole(service, number, what)


def test_wrong_device(folder):
    """the next keeper is given another descriptor than the mount's, none, or memory without bytes: a clean mount all the same"""
    manager = Manager(folder)
    service = Service(f"repo.allowed={UNIVERSE}", environment=manager.environment).start()
    number = service.compose("kept", repo_spec(BASE, packages=["nginx"], flags=["no_deps", "no_reuse"]))

    def null(name):
        os.dup2(os.open("/dev/null", os.O_RDWR), manager.held[name])

    def another_fuse(name):
        os.dup2(os.open("/dev/fuse", os.O_RDWR), manager.held[name])

    def without(name):
        os.close(manager.held.pop(name))

    def empty(name):
        os.ftruncate(manager.held[name], 0)
    for what, break_it, name in (("another device", null, "mount-tree"), ("not mounted", another_fuse, "mount-tree"),
                                 ("no device", without, "mount-tree"), ("no memory", without, "memory-tree"),
                                 ("empty memory", empty, "memory-tree"), ("not memory", null, "memory-tree")):
        check(wait_for(lambda: {"mount-tree", "memory-tree"} <= set(manager.held), 5), f"{what}: stored: {list(manager.held)}")
        server = service.server_pid
        service.process.kill()
        service.process.wait()
        check(wait_for(lambda: ended(server), 20), f"{what}: the server leaves")
        break_it(name)
        manager.words.append(what)
        service.process.stdout.close()
        service.process = manager.start(service.command(), service.log)
        check(wait_for(lambda: service.server_pid and manager.words[-1] == "READY=1", 20), f"{what}: ready")
        whole(service, number, what)
    same(service.stop(), 0, "stop")
    check(not os.path.ismount(service.mnt), "unmounted")
    service.close()


def main():
    need_fuse()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="odcsfs-faults-"))
    with concurrent.futures.ThreadPoolExecutor(1) as beside, Replaceable(f"repo.allowed={UNIVERSE}") as service:
        other = beside.submit(timed, test_wrong_device, folder) # the check that hangs takes its time
        for test in (test_roles, test_check_hangs, test_broken_between, test_workers_die, test_other_layout):
            timed(test, service)
        other.result()
    shutil.rmtree(folder)
    end()


main()
