# SPDX-License-Identifier: MIT
"""tests/system/treerows.py: tree.md section 3 row by row, as two users, for tree.py."""
import os, signal, stat, subprocess, time

from treekit import *


def group_mkdir(tree):
    for user in "root", "nobody":
        path = tree.requests / tree.name()
        expect("mkdir requests/NAME", 0, lambda: os.mkdir(path), user)
        expect("mkdir of a name that is there", "EEXIST", lambda: os.mkdir(path), user)
        for bad in "-a", ".a", "_a", "a b", "a:b", "ä", "a\n", "a+b":
            expect(f"mkdir requests/{bad!r}", "EINVAL", lambda: os.mkdir(tree.requests / bad), user)
        longest = ("x" + tree.name() * 20)[:100]
        expect("mkdir of 100 bytes", 0, lambda: os.mkdir(tree.requests / longest), user)
        os.rmdir(tree.requests / longest)
        expect("mkdir of 101 bytes", "ENAMETOOLONG",
               lambda: os.mkdir(tree.requests / ("y" * 101)), user)
        expect("mkdir of 300 bytes", "ENAMETOOLONG",
               lambda: os.mkdir(tree.requests / ("y" * 300)), user)
        expect("mkdir in a request", "EPERM", lambda: os.mkdir(path / "sub"), user)
        other = "EPERM" if user == "root" else "EACCES"
        for place in "sub", "composes/sub", "by-state/sub", "by-state/done/sub", "by-owner/sub":
            expect(f"mkdir {place}", other, lambda: os.mkdir(tree.mnt / place), user)
        in_child(user, lambda: os.rmdir(path))
    if not tree.service.real:
        tree.service.say("drain 1")
        expect("mkdir while draining", "EROFS", lambda: os.mkdir(tree.requests / tree.name()), "nobody")
        tree.service.say("drain 0")


def group_rmdir(tree):
    for user in "root", "nobody":
        path = tree.draft(user)
        expect("rmdir of another's draft", "EPERM", lambda: os.rmdir(path), "other")
        if user == "nobody":
            expect("rmdir by root", 0, lambda: os.rmdir(path))
        else:
            expect("rmdir of root's by nobody", "EPERM", lambda: os.rmdir(path), "nobody")
            expect("rmdir of a draft", 0, lambda: os.rmdir(path), user)
        path = tree.waiting(user)
        compose = tree.compose(path)
        expect("rmdir in wait, not empty", 0, lambda: os.rmdir(path), user)
        expect("the directory is gone at once", "ENOENT", lambda: os.stat(path))
        expect("the name is free again", 0, lambda: os.mkdir(path), user)
        os.rmdir(path)
        true("the compose was cancelled, or ends soon", until(
            lambda: os.path.lexists(tree.mnt / f"by-state/failed/{compose}") or tree.service.real))
        path = tree.done(user)
        compose = tree.compose(path)
        expect("rmdir when done expires", 0, lambda: os.rmdir(path), user)
        true("the tree is gone", until(
            lambda: not os.path.lexists(tree.composes / str(compose))))
        true("the record stays in by-state/removed",
             os.path.lexists(tree.mnt / f"by-state/removed/{compose}"))
        if not tree.service.real:
            path = tree.waiting(user)
            tree.service.failed(tree.compose(path))
            expect("rmdir when failed", 0, lambda: os.rmdir(path), user)
            path = tree.done(user)
            compose = tree.compose(path)
            in_child(user, lambda: write(path / "ctl", "expire", 0))
            true("removed", until(lambda: text(path / "status") == "removed\n"))
            same("by-state/removed leads to the request", f"../../requests/{path.name}",
                 os.readlink(tree.mnt / f"by-state/removed/{compose}"))
            expect("rmdir when removed", 0, lambda: os.rmdir(path), user)
        path = tree.draft(user)
        expect("rmdir of a control file", "ENOTDIR", lambda: os.rmdir(path / "status"), user)
        os.rmdir(path)
        expect("rmdir requests", "EPERM" if user == "root" else "EACCES",
               lambda: os.rmdir(tree.requests), user)


def group_frozen(tree):
    path = tree.done()
    compose = tree.compose(path)
    top = tree.composes / str(compose)
    package = tree.first_file(compose)
    views = [tree.mnt / f"by-state/done/{compose}", tree.mnt / f"by-owner/root/{compose}"]
    for user in "root", "nobody":
        frozen = "EROFS" if user == "root" else "EACCES"
        expect("rmdir composes/ID", frozen, lambda: os.rmdir(top), user)
        expect("rmdir composes/ID/compose", frozen, lambda: os.rmdir(top / "compose"), user)
        expect("unlink of a package", frozen, lambda: os.unlink(package), user)
        expect("unlink of STATUS", frozen, lambda: os.unlink(top / "STATUS"), user)
        expect("unlink of an alias", frozen,
               lambda: os.unlink(tree.composes / f"odcs-{compose}"), user)
        for view in views:
            expect(f"unlink {view.parent.parent.name}/…/ID", frozen, lambda: os.unlink(view), user)
            expect(f"rename {view.parent.parent.name}/…/ID", frozen,
                   lambda: os.rename(view, view.parent / "x"), user)
            expect(f"create in {view.parent.parent.name}", frozen,
                   lambda: create(view.parent / "x"), user)
        expect("create in composes/", frozen, lambda: create(tree.composes / "x"), user)
        expect("create in composes/ID", frozen, lambda: create(top / "x"), user)
        expect("rename in composes/", frozen, lambda: os.rename(top, tree.composes / "x"), user)
        expect("rename of a package", frozen,
               lambda: os.rename(package, package.parent / "x"), user)
        expect("open a package for writing", frozen, lambda: opened(package, os.O_WRONLY), user)
        denied = "EPERM" if user == "root" else "EACCES"
        expect("truncate a package", denied, lambda: os.truncate(package, 0), user)
        expect("chmod a package", "EPERM", lambda: os.chmod(package, 0o600), user)
        expect("chown a package", "EPERM", lambda: os.chown(package, USERS[user], -1), user)
        expect("utimens of a package", "EPERM", lambda: os.utime(package, (1, 1)), user)
        expect("mknod in composes/", denied, lambda: os.mknod(tree.composes / "x"), user)
        expect("symlink in composes/", denied, lambda: os.symlink("a", tree.composes / "x"), user)
    os.rmdir(path)


def group_unlink(tree):
    for user in "root", "nobody":
        for state in "draft", "accepted":
            path = tree.draft(user) if state == "draft" else tree.waiting(user)
            for name in CONTROL:
                expect(f"{state}: unlink {name}", "EPERM", lambda: os.unlink(path / name), user)
            os.rmdir(path)
        path = tree.draft(user)
        in_child(user, lambda: create(path / "a.tmp"))
        expect("unlink of a temporary", 0, lambda: os.unlink(path / "a.tmp"), user)
        expect("unlink of no file", "ENOENT", lambda: os.unlink(path / "a.tmp"), user)
        in_child(user, lambda: create(path / "a.tmp"))
        expect("unlink by another", "EACCES", lambda: os.unlink(path / "a.tmp"), "other")
        os.rmdir(path)


def group_create(tree):
    for user in "root", "nobody":
        path = tree.draft(user)
        for name in ".hidden", ".spec.json.swp", "spec.json~", "x.tmp", "sedAb3X9z":
            expect(f"create {name}", 0, lambda: create(path / name, b"x"), user)
            in_child(user, lambda: os.unlink(path / name))
        for name in "x", "spec.json.bak", "4913", "sedAb3X9", "sedAb3X9zz", "sedAb-X9z", "tmp":
            expect(f"create {name}", "EPERM", lambda: create(path / name), user)
        expect("create by another", "EACCES", lambda: create(path / ".x"), "other")
        for number in range(8):
            expect(f"temporary {number + 1} of 8", 0, lambda: create(path / f".t{number}"), user)
        expect("the ninth", "EDQUOT", lambda: create(path / ".t8"), user)
        expect("1 MiB in one", 0, lambda: write(path / ".t0", b"x" * (1 << 20)), user)
        expect("1 MiB and one byte", "EFBIG", lambda: write(path / ".t0", b"x" * ((1 << 20) + 1)), user)
        expect("chmod of a temporary", 0, lambda: os.chmod(path / ".t0", 0o600), user)
        same("it is seen", 0o600, os.stat(path / ".t0").st_mode & 0o777)
        expect("chown to the same owner", 0,
               lambda: os.chown(path / ".t0", USERS[user], USERS[user]), user)
        expect("chown to another", "EPERM", lambda: os.chown(path / ".t0", 7, -1))
        expect("utimens of a temporary", (1000, 1000),
               lambda: os.utime(path / ".t0", (1000, 1000)) or
               (os.stat(path / ".t0").st_mtime, 1000), user)
        expect("truncate a temporary", 5,
               lambda: os.truncate(path / ".t0", 5) or os.stat(path / ".t0").st_size, user)
        expect("mkdir with an allowed name", "EPERM", lambda: os.mkdir(path / ".d"), user)
        for place in path, tree.requests:
            expect("mknod", "EPERM", lambda: os.mknod(place / "n"), user)
            expect("mkfifo", "EPERM", lambda: os.mkfifo(place / ".fifo"), user)
            expect("symlink", "EPERM", lambda: os.symlink("a", place / "s"), user)
            expect("link", "EPERM", lambda: os.link(path / ".t1", place / "l"), user)
        expect("create in requests/", "EPERM", lambda: create(tree.requests / "f"), user)
        expect("create in the root", "EPERM" if user == "root" else "EACCES",
               lambda: create(tree.mnt / "f"), user)
        expect("symlink in the root", "EPERM" if user == "root" else "EACCES",
               lambda: os.symlink("a", tree.mnt / "f"), user)
        in_child(user, lambda: os.rmdir(path))
        path = tree.waiting(user)
        expect("create in an accepted request", "EPERM", lambda: create(path / ".x"), user)
        os.rmdir(path)


def group_rename(tree):
    for user in "root", "nobody":
        path, other = tree.draft(user), tree.draft(user)
        in_child(user, lambda: create(path / ".a", b"1"))
        expect("temporary → another allowed name", 0,
               lambda: os.rename(path / ".a", path / "b.tmp"), user)
        same("it has moved", b"1", read(path / "b.tmp"))
        expect("temporary → a name not allowed", "EPERM",
               lambda: os.rename(path / "b.tmp", path / "b"), user)
        expect("temporary → another control file", "EPERM",
               lambda: os.rename(path / "b.tmp", path / "status"), user)
        expect("temporary → another draft's spec.json", "EPERM",
               lambda: os.rename(path / "b.tmp", other / "spec.json"), user)
        expect("temporary → requests/", "EPERM",
               lambda: os.rename(path / "b.tmp", tree.requests / "x.tmp"), user)
        expect("temporary → spec.json, not JSON", "EINVAL",
               lambda: os.rename(path / "b.tmp", path / "spec.json"), user)
        expect("the old buffer is kept", "", lambda: text(path / "spec.json"))
        expect("spec.json away", "EBUSY",
               lambda: os.rename(path / "spec.json", path / "spec.json~"), user)
        expect("a control file", "EPERM", lambda: os.rename(path / "ttl", path / ".ttl"), user)
        expect("RENAME_EXCHANGE", "EINVAL",
               lambda: renameat2(path / "b.tmp", path / "spec.json", 2), user)
        free = tree.requests / tree.name()
        expect("draft → an occupied NAME", "EEXIST", lambda: os.rename(path, other), user)
        expect("draft → a bad NAME", "EINVAL", lambda: os.rename(path, tree.requests / ".x"), user)
        expect("draft → into another", "EPERM", lambda: os.rename(path, other / ".x"), user)
        expect("draft → a free NAME", 0, lambda: os.rename(path, free), user)
        expect("the old name is gone", "ENOENT", lambda: os.stat(path))
        same("its files went with it", b"1", read(free / "b.tmp"))
        expect("another's draft", "EPERM", lambda: os.rename(free, path), "other")
        os.rmdir(free)
        os.rmdir(other)


def group_open(tree):
    for user in "root", "nobody":
        path = tree.draft(user)
        for name in READ_ONLY:
            for flags in os.O_WRONLY, os.O_RDWR:
                expect(f"open {name} for writing ({flags})", "EACCES",
                       lambda: opened(path / name, flags), user)
        for name in "README", "version", "events", "metrics":
            expect(f"open /{name} for writing", "EACCES",
                   lambda: opened(tree.mnt / name, os.O_WRONLY), user)
        expect("open ctl for reading", "EACCES", lambda: opened(path / "ctl", os.O_RDONLY), user)
        expect("spec.json by another", "EACCES",
               lambda: opened(path / "spec.json", os.O_WRONLY), "other")
        expect("write of more than 1 MiB", "EFBIG",
               lambda: write(path / "spec.json", b"x" * ((1 << 20) + 1)), user)
        expect("truncate spec.json in a draft", 3,
               lambda: os.truncate(path / "spec.json", 3) or os.stat(path / "spec.json").st_size, user)
        expect("truncate beyond 1 MiB", "EFBIG",
               lambda: os.truncate(path / "spec.json", (1 << 20) + 1), user)
        for name in "ttl", "ctl":
            expect(f"truncate {name}", "EPERM", lambda: os.truncate(path / name, 0), user)
        for name in READ_ONLY:
            expect(f"truncate {name}", "EPERM" if user == "root" else "EACCES",
                   lambda: os.truncate(path / name, 0), user)

        def allocate():
            fd = os.open(path / "spec.json", os.O_WRONLY)
            try:
                fallocate(fd, 0, 0, 100)
            finally:
                os.close(fd)

        expect("fallocate", "EOPNOTSUPP", allocate, user)
        for name in CONTROL:
            expect(f"chmod {name}", "EPERM", lambda: os.chmod(path / name, 0o600), user)
            expect(f"chown {name}", "EPERM", lambda: os.chown(path / name, USERS[user], -1), user)
        expect("chmod 0700: a private request", 0, lambda: os.chmod(path, 0o700), user)
        expect("nobody else enters", "EACCES", lambda: text(path / "status"), "other")
        expect("or lists", "EACCES", lambda: os.listdir(path), "other")
        expect("chmod 0755 again", 0, lambda: os.chmod(path, 0o755), user)
        expect("others read", "draft\n", lambda: text(path / "status"), "other")
        for mode in 0o775, 0o777, 0o555, 0o2755, 0o1755:
            expect(f"chmod {mode:o} of the directory", "EPERM", lambda: os.chmod(path, mode), user)
        expect("chmod by another", "EPERM", lambda: os.chmod(path, 0o700), "other")
        expect("chown of the directory", "EPERM", lambda: os.chown(path, USERS[user], -1), user)
        os.rmdir(path)
    private = tree.draft("nobody", 0o700)
    same("mkdir -m 700", 0o700, os.stat(private).st_mode & 0o7777)
    os.rmdir(private)
    expect("umask 077 makes a private request", 0o700,
           lambda: os.umask(0o077) and os.mkdir(tree.requests / "u077") or
           os.stat(tree.requests / "u077").st_mode & 0o7777, "nobody")
    os.rmdir(tree.requests / "u077")


def group_ttl(tree):
    for user in "root", "nobody":
        path = tree.draft(user)
        expect("draft: write ttl", "EBUSY", lambda: write(path / "ttl", "60"), user)
        expect("draft: touch ttl", "EBUSY", lambda: os.utime(path / "ttl"), user)
        expect("draft: touch the directory", "EBUSY", lambda: os.utime(path), user)
        os.rmdir(path)
        if not tree.service.real:
            path = tree.waiting(user)
            expect("wait: write ttl", "EBUSY", lambda: write(path / "ttl", "60"), user)
            tree.service.claim(tree.compose(path))
            expect("generating: write ttl", "EBUSY", lambda: write(path / "ttl", "60"), user)
            os.rmdir(path)
        path = tree.done(user)
        near = lambda seconds: seconds - 3 <= int(text(path / "ttl")) <= seconds
        expect("write 600", True, lambda: write(path / "ttl", "600\n") or near(600), user)
        expect("write by root", True, lambda: write(path / "ttl", " 700 ") or near(700))
        expect("write by another", "EACCES", lambda: write(path / "ttl", "600"), "other")
        for bad in "0", "-5", "abc", "1.5", "+7", "0x10", "6 0", "\n":
            expect(f"write {bad!r}", "EINVAL", lambda: write(path / "ttl", bad), user)
        for large in "259201", "9223372036854775808", "9" * 40:
            expect(f"write {large[:20]}", "ERANGE", lambda: write(path / "ttl", large), user)
        expect("touch ttl renews by the default", True, lambda: os.utime(path / "ttl") or near(86400),
               user)
        expect("touch(1) too", True, lambda: write(path / "ttl", "600") or subprocess.run(
            ["touch", path / "ttl"], check=True) and near(86400), user)
        expect("touch the directory", True, lambda: write(path / "ttl", "600") or
               os.utime(path) or near(86400), user)
        for name in "status", "spec.json", "log", "error":
            expect(f"utimens of {name} by its owner", "EPERM", lambda: os.utime(path / name, (1, 1)),
                   user)
        expect("touch by another", "EACCES", lambda: os.utime(path / "ttl"), "other")
        os.rmdir(path)


def group_ctl(tree):
    for user in "root", "nobody":
        path = tree.draft(user)
        for word in "cancel", "expire", "renew", "resubmit":
            expect(f"draft: {word}", "EBUSY", lambda: write(path / "ctl", word, 0), user)
        for word in "nonsense", "cancel now", "renew soon", "renew -1", "", "\n", "cancelled":
            if word:
                expect(f"ctl {word!r}", "EINVAL", lambda: write(path / "ctl", word, 0), user)
        expect("renew beyond the maximum", "ERANGE",
               lambda: write(path / "ctl", "renew 999999999", 0), user)
        expect("ctl by another", "EACCES", lambda: write(path / "ctl", "cancel", 0), "other")
        os.rmdir(path)
        if not tree.service.real:
            path = tree.waiting(user)
            for word in "expire", "renew 60", "resubmit":
                expect(f"wait: {word}", "EBUSY", lambda: write(path / "ctl", word, 0), user)
            expect("wait: cancel", 0, lambda: write(path / "ctl", "cancel\n", 0), user)
            same("cancelled: status", "failed\n", text(path / "status"))
            true("cancelled: error", f"Canceled by {user}" in text(path / "error"),
                 text(path / "error"))
            expect("failed: cancel", "EBUSY", lambda: write(path / "ctl", "cancel", 0), user)
            before = set(os.listdir(tree.requests))
            expect("failed: resubmit", 0, lambda: write(path / "ctl", "resubmit", 0), user)
            made = set(os.listdir(tree.requests)) - before
            true("resubmit makes auto-ID of the same owner", len(made) == 1 and
                 os.stat(tree.requests / min(made)).st_uid == USERS[user], made)
            for name in made:
                os.rmdir(tree.requests / name)
            os.rmdir(path)
        path = tree.done(user)
        expect("done: cancel", "EBUSY", lambda: write(path / "ctl", "cancel", 0), user)
        expect("done: renew 500", True, lambda: write(path / "ctl", "renew 500", 0) or
               490 < int(text(path / "ttl")) <= 500, user)
        expect("done: renew", True, lambda: write(path / "ctl", "renew", 0) or
               int(text(path / "ttl")) > 80000, user)

        def passed_on():
            fd = os.open(path / "ctl", os.O_WRONLY)
            os.setuid(12345)
            os.write(fd, b"expire")

        if user == "root":
            expect("ctl through a descriptor of root's, by another", "EPERM", passed_on)
        expect("done: expire", 0, lambda: write(path / "ctl", "expire", 0), user)
        true("then removed", until(lambda: text(path / "status") == "removed\n"))
        expect("removed: expire", "EBUSY", lambda: write(path / "ctl", "expire", 0), user)
        expect("removed: ttl", "0\n", lambda: text(path / "ttl"))
        expect("removed: write ttl", "EBUSY", lambda: write(path / "ttl", "60"), user)
        os.rmdir(path)


def group_wait(tree):
    if tree.service.real:
        path = tree.waiting("nobody")
        expect("wait blocks until the word", (b"done\n", b""), lambda: read_twice(path / "wait"),
               "nobody")
        os.rmdir(path)
        path = tree.draft("nobody")
    else:
        path = tree.waiting("nobody")

    def interrupted():
        signal.signal(signal.SIGALRM, lambda *_: None)
        signal.siginterrupt(signal.SIGALRM, True)
        fd = os.open(path / "wait", os.O_RDONLY)
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        return raw_read(fd, 100)

    def not_blocking():
        return os.read(os.open(path / "wait", os.O_RDONLY | os.O_NONBLOCK), 100)

    for user in "root", "nobody":
        expect("wait: a signal", "EINTR", interrupted, user)
        expect("wait: O_NONBLOCK", "EAGAIN", not_blocking, user)
        expect("wait: size before", 0, lambda: os.stat(path / "wait").st_size and 1, user)

    def events_interrupted():
        signal.signal(signal.SIGALRM, lambda *_: None)
        signal.siginterrupt(signal.SIGALRM, True)
        fd = os.open(tree.mnt / "events", os.O_RDONLY)
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        while True:
            raw_read(fd, 65536)

    expect("events: a signal", "EINTR", events_interrupted, "nobody")
    expect("events: O_NONBLOCK", "EAGAIN", lambda: os.read(
        os.open(tree.mnt / "events", os.O_RDONLY | os.O_NONBLOCK), 100), "nobody")
    if tree.service.real:
        os.rmdir(path)
        return
    word = waiter(path / "wait")
    time.sleep(0.1)
    tree.service.done(tree.compose(path))
    same("wait blocks until done", b"done\n", word())
    os.rmdir(path)
    path = tree.waiting()
    words = [waiter(path / "wait") for _ in range(30)]
    time.sleep(0.2)
    same("30 who wait hold no thread: ls answers", True, "README" in os.listdir(tree.mnt))
    tree.service.failed(tree.compose(path))
    same("all 30 are told", [b"failed\n"] * 30, [word() for word in words])
    os.rmdir(path)
    path = tree.draft()
    word = waiter(path / "wait")
    time.sleep(0.1)
    os.rmdir(path)
    same("a draft that is dropped", b"removed\n", word())
    path = tree.waiting()
    word = waiter(path / "wait")
    time.sleep(0.1)
    os.rmdir(path)
    same("rmdir in wait", b"failed\n", word())


# ---- removal, reading ------------------------------------------------------------------------------------

def group_removal(tree):
    path = tree.done()
    compose = tree.compose(path)
    package = tree.first_file(compose)
    wanted = read(package)
    fd = os.open(package, os.O_RDONLY)
    folder = os.open(package.parent, os.O_RDONLY | os.O_DIRECTORY)
    head = os.read(fd, 1000)
    os.listdir(tree.composes / str(compose) / "compose")
    os.stat(tree.composes / f"odcs-{compose}")
    if not tree.service.real:
        same("open descriptors are counted", 2, tree.service.say(f"opens {compose}"))
    if not tree.service.real:
        tree.service.say(f"late {compose}") # news before the end, and nobody looks in between
    write(path / "ctl", "expire", 0)
    true("removed: the word", until(lambda: text(path / "status") == "removed\n"))
    same("who has it open sees its size, and no name looked at since", len(wanted), os.fstat(fd).st_size)
    true("removed: the ID is ENOENT", until(lambda: not os.path.lexists(tree.composes / str(compose))))
    for user in "root", "nobody":
        for name in f"{compose}", f"odcs-{compose}", f"latest-root-{compose}":
            expect(f"composes/{name}", "ENOENT", lambda: os.lstat(tree.composes / name), user)
        expect("a new open of the file", "ENOENT", lambda: opened(package, os.O_RDONLY), user)
    expect("a new open below an open directory", "ENOENT",
           lambda: os.open(package.name, os.O_RDONLY, dir_fd=folder))
    true("not listed", str(compose) not in os.listdir(tree.composes))
    while part := os.read(fd, 1 << 17):
        head += part
    same("an open descriptor reads to its end", True, head == wanted)
    same("and is stat'ed", len(wanted), os.fstat(fd).st_size)
    same("its folder is listed", True, package.name in os.listdir(folder))
    os.close(fd)
    os.close(folder)
    if not tree.service.real:
        true("the last close forgets it", until(lambda: tree.service.say(f"opens {compose}") == 0))
    same("record: the request says removed", "removed\n", text(path / "status"))
    os.rmdir(path)


def group_spoiled(tree):
    path = tree.done()
    compose = tree.compose(path)
    package = tree.first_file(compose)
    before = read(package)
    tree.service.say("spoil")
    for user in "root", "nobody":
        expect("read of a package whose source was replaced", "EIO", lambda: read(package), user)
    true("words in user.odcs.error", b"replaced" in os.getxattr(package, "user.odcs.error"))
    true("words in log", "replaced" in text(path / "log"), text(path / "log"))
    true("others read on", read(package.parents[2] / "repodata/repomd.xml"))
    os.rmdir(path)
    true("(the file had bytes before)", len(before) > 0)


def group_readdir(tree):
    stay = [tree.draft() for _ in range(60)]
    for user in "root", "nobody":
        def walk():
            fd = os.open(tree.requests, os.O_RDONLY | os.O_DIRECTORY)
            seen, cookies, flicker, number = [], {}, None, 0
            while entries := getdents(fd, 400):
                for _, cookie, name in entries:
                    seen.append(name)
                    cookies[name] = cookie
                if flicker:
                    os.rmdir(flicker)
                    flicker = None
                number += 1
                if number > 12:
                    continue
                flicker = tree.requests / f"flicker-{os.getpid()}-{number}"
                os.mkdir(flicker)
            missing = [path.name for path in stay if seen.count(path.name) != 1]
            os.lseek(fd, cookies[stay[30].name], os.SEEK_SET)
            following = getdents(fd, 4096)[0][2]
            after = seen[seen.index(stay[30].name) + 1]
            return missing, following == after or after.startswith("flicker")

        expect("readdir while others come and go: each once; a cookie finds its place",
               ([], True), walk, user)
    for path in stay:
        os.rmdir(path)
    expect("stale names are gone without a remount", False,
           lambda: stay[0].name in os.listdir(tree.requests))
    done = tree.done()
    top = tree.composes / str(tree.compose(done))

    def inodes():
        """readdir, stat and parents agree."""
        for folder, names, files in os.walk(top):
            fd = os.open(folder, os.O_RDONLY)
            for ino, _, name in getdents(fd, 1 << 16):
                where = os.path.join(folder, name)
                if os.lstat(where).st_ino != ino:
                    return where
            os.close(fd)
            if os.lstat(folder).st_nlink != 2 + len(names):
                return f"{folder}: links"
        return None

    expect("d_ino is st_ino everywhere, links are 2 + subdirectories", None, inodes)
    for folder in "", "requests", "composes", "by-state", "by-owner", "by-source":
        real = tree.mnt / folder
        wanted = 2 + sum(1 for entry in os.scandir(real) if entry.is_dir(follow_symlinks=False))
        same(f"links of /{folder}", wanted, os.stat(real).st_nlink)
    os.rmdir(done)
