# SPDX-License-Identifier: MIT
"""tests/system/keeper_faults.py: what goes wrong while a server is replaced: checks that hang, too many who ask, a program that
breaks after its check.

promises = 13
"""
import os, pathlib, socket, sys, threading, time

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
    check("8" in answer.stderr and "ask again later" in answer.stderr, f"one too many: {answer.stderr!r}")
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


def main():
    need_fuse()
    with Replaceable(f"repo.allowed={UNIVERSE}") as service:
        for test in (test_roles, test_check_hangs, test_broken_between):
            timed(test, service)
    end()


main()
