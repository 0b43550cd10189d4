# SPDX-License-Identifier: MIT
"""tests/system/treetools.py: attributes, extended attributes, poll, real tools, limits and restarts, for
tree.py."""
import ctypes, json, os, pathlib, re, select, shutil, stat, subprocess, threading, time

from treekit import *


def group_attributes(tree):
    state = os.statvfs(tree.mnt)
    same("statfs: namelen", 255, state.f_namemax)
    true("statfs: total is the cache's limit, free is not more",
         state.f_blocks * state.f_frsize > 0 and state.f_bfree <= state.f_blocks)
    path = tree.done("nobody")
    compose = tree.compose(path)
    package = tree.first_file(compose)
    for name in CONTROL:
        if name not in ("ctl", "ttl"):
            same(f"size of {name} is its length", len(read(path / name)),
                 os.stat(path / name).st_size)
    info = os.stat(package)
    same("package: size, mode, owner, links, blksize", (len(read(package)), stat.S_IFREG | 0o444, 0, 1),
         (info.st_size, info.st_mode, info.st_uid, info.st_nlink))
    same("st_blksize", 131072, info.st_blksize)
    same("a local package's blocks", (info.st_size + 511) // 512, info.st_blocks)
    time_done = os.stat(tree.composes / str(compose)).st_mtime
    for inner in "STATUS", "compose", "compose/Temporary", "compose/metadata/composeinfo.json":
        same(f"mtime of {inner} is time_done", time_done,
             os.stat(tree.composes / str(compose) / inner).st_mtime)
    true("a request's mtime is its last change", abs(os.stat(path).st_mtime - time_done) <= 1)
    true("inode numbers have 63 bits", info.st_ino < 1 << 63)
    handle = file_handle(package)
    folder_handle = file_handle(package.parent)
    request_handle = file_handle(path / "status")
    mount_fd = os.open(tree.mnt, os.O_RDONLY)
    subprocess.run(["sh", "-c", "echo 2 > /proc/sys/vm/drop_caches"], check=False)

    def by_handle(wanted, which):
        fd = open_handle(mount_fd, which)
        return os.fstat(fd).st_ino == wanted.st_ino

    expect("open_by_handle_at: a package", True, lambda: by_handle(info, handle))
    expect("a folder", True, lambda: by_handle(os.stat(package.parent), folder_handle))
    expect("a control file", True, lambda: by_handle(os.stat(path / "status"), request_handle))
    os.close(mount_fd)
    expect("reading moves the compose's atime", True, lambda: read(package) and until(
        lambda: os.stat(tree.composes / str(compose)).st_atime >= int(time.time()) - 2, 3))
    os.rmdir(path)


def group_xattrs(tree):
    path = tree.done("nobody")
    compose = tree.compose(path)
    top, package = tree.composes / str(compose), tree.first_file(compose)
    for place in path, top:
        where = "request" if place == path else "compose"
        for name, want in [("id", str(compose)), ("state", "done"), ("owner", "nobody"),
                           ("source", tree.service.repository), ("source_type", "repo")]:
            expect(f"{where}: user.odcs.{name}", want.encode(),
                   lambda: os.getxattr(place, f"user.odcs.{name}"), "nobody")
        expect(f"{where}: expires", True, lambda: bool(re.fullmatch(
            rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", os.getxattr(place, "user.odcs.expires"))))
        expect(f"{where}: a list", True, lambda: {"user.odcs.id", "user.odcs.state",
                                                 "user.odcs.arches"} <= set(os.listxattr(place)))
        expect(f"{where}: unknown", "ENODATA", lambda: os.getxattr(place, "user.odcs.nonsense"))
        expect(f"{where}: of others", "ENODATA", lambda: os.getxattr(place, "user.other"))
        expect(f"{where}: not reused", "ENODATA", lambda: os.getxattr(place, "user.odcs.reused_id"))
        expect(f"{where}: other name space", "EOPNOTSUPP",
               lambda: os.getxattr(place, "trusted.odcs"))
    for name in "sha256", "nevra", "origin_url", "cached", "reason":
        expect(f"package: {name}", True, lambda: len(os.getxattr(package, f"user.odcs.{name}")) > 0,
               "nobody")
    expect("package: no error", "ENODATA", lambda: os.getxattr(package, "user.odcs.error"))
    expect("package: all names are listed", True, lambda: {"user.odcs.nevra", "user.odcs.reason"} <=
           set(os.listxattr(package)))

    def small():
        buffer = ctypes.create_string_buffer(2)
        return call(libc.getxattr, os.fsencode(top), b"user.odcs.source", buffer, 2)

    expect("a small buffer", "ERANGE", small)
    for user in "nobody", "root":
        expect("set ttl renews", True, lambda: os.setxattr(path, "user.odcs.ttl", b"444") or
               430 < int(text(path / "ttl")) <= 444, user)
        expect("set ttl, nonsense", "EINVAL", lambda: os.setxattr(path, "user.odcs.ttl", b"x"), user)
        expect("set ttl, too much", "ERANGE",
               lambda: os.setxattr(path, "user.odcs.ttl", b"999999999"), user)
        expect("set note", b"for you", lambda: os.setxattr(path, "user.odcs.note", b"for you") or
               os.getxattr(path, "user.odcs.note"), user)
        expect("a note of 1 KiB", 0, lambda: os.setxattr(path, "user.odcs.note", b"n" * 1024), user)
        expect("a longer one", "E2BIG",
               lambda: os.setxattr(path, "user.odcs.note", b"n" * 1025), user)
        expect("remove the note", 0, lambda: os.removexattr(path, "user.odcs.note"), user)
        expect("it is gone", "ENODATA", lambda: os.getxattr(path, "user.odcs.note"), user)
        expect("set another", "EPERM", lambda: os.setxattr(path, "user.odcs.owner", b"x"), user)
        expect("remove another", "EPERM", lambda: os.removexattr(path, "user.odcs.owner"), user)
    expect("set by another", "EACCES", lambda: os.setxattr(path, "user.odcs.note", b"x"), "other")
    expect("set on a compose", "EPERM", lambda: os.setxattr(top, "user.odcs.ttl", b"60"))
    expect("set in another name space", "EOPNOTSUPP", lambda: os.setxattr(path, "trusted.x", b"1"))
    os.rmdir(path)


# ---- poll, events ------------------------------------------------------------------------------------------

def group_poll(tree):
    driver = tree.service
    path = tree.waiting()
    compose = tree.compose(path)
    fds = {name: os.open(path / name, os.O_RDONLY)
           for name in ("status", "progress", "log", "wait")}
    fds["events"] = os.open(tree.mnt / "events", os.O_RDONLY)
    for name in "status", "progress", "log":
        os.read(fds[name], 4096)

    def ready(name, timeout=0):
        poll = select.poll()
        poll.register(fds[name], select.POLLIN | select.POLLPRI)
        events = poll.poll(timeout)
        return events[0][1] if events else 0

    same("nothing new, nothing ready", {name: 0 for name in fds}, {name: ready(name) for name in fds})

    def wakes(name, action, wanted):
        """poll() is asleep when the news comes."""
        result = []
        thread = threading.Thread(target=lambda: result.append(ready(name, 5000)))
        began = time.monotonic()
        thread.start()
        time.sleep(0.1)
        action()
        thread.join()
        true(f"poll of {name} wakes", result[0] & wanted == wanted and
             time.monotonic() - began < 2, result)

    wakes("status", lambda: driver.claim(compose), select.POLLIN | select.POLLPRI)
    same("it stays ready until read", True, ready("status") & select.POLLIN != 0)
    os.lseek(fds["status"], 0, 0)
    same("the new word", b"generating\n", os.read(fds["status"], 100))
    same("then not ready", 0, ready("status"))
    wakes("progress", lambda: driver.say(f"progress {compose} 1 7 load x"), select.POLLIN)
    wakes("log", lambda: driver.say(f"log {compose} hello"), select.POLLIN)
    same("log goes on where it was", b"hello\n", os.read(fds["log"], 100))
    same("log: then not ready", 0, ready("log"))
    lines = os.read(fds["events"], 65536).decode().splitlines()
    same("events since the open", [(compose, "generating", "wait")],
         [(line["id"], line["state_name"], line["old_state_name"]) for line in map(json.loads, lines)
          if line["id"] == compose])
    wakes("events", lambda: driver.say(f"finish {compose}"), select.POLLIN)
    wakes_at_once = ready("wait", 2000)
    same("wait is ready when final", True, wakes_at_once & select.POLLIN != 0)
    same("wait: its word", b"done\n", os.read(fds["wait"], 100))
    same("events: a small read gives part of a line", b'{"event":', os.read(fds["events"], 9))
    events = select.epoll()
    events.register(fds["status"], select.EPOLLPRI)
    true("epoll for POLLPRI", events.poll(1))
    for fd in fds.values():
        os.close(fd)
    blocked = waiter(tree.mnt / "events")
    time.sleep(0.1)
    os.rmdir(path)
    true("a blocked read of events is answered", json.loads(blocked().splitlines()[0])["id"] == compose)


# ---- real tools ----------------------------------------------------------------------------------------------

def tool(what, command, want, user="root", cwd=None, data=None):
    """Exit code of a command as that user."""
    def run():
        return subprocess.run(command, shell=isinstance(command, str), cwd=cwd, input=data,
                              capture_output=True, timeout=50).returncode
    if not isinstance(command, str) and not shutil.which(command[0]):
        return skip(what, f"no {command[0]}")
    return expect(f"{what}", want if isinstance(want, bool) else want,
                  (lambda: (run() == 0) == want) if isinstance(want, bool) else run, user)


def accepted(tree, what, command, user="nobody"):
    path, spec = tree.draft(user), tree.spec()
    source = pathlib.Path(f"/tmp/odcsfs-spec-{os.getpid()}.json")
    source.write_text(spec + "\n")
    name = command.split()[0]
    if not shutil.which(name) and name not in ("echo", "exec"):
        skip(what, f"no {name}")
    else:
        in_child(user, lambda: subprocess.run(
            ["bash", "-c", command.format(source=source)], cwd=path, capture_output=True,
            timeout=50, env={**os.environ, "HOME": "/nonexistent"}).returncode)
        report(text(path / "status") != "draft\n", f"{what} [{user}]", "accepted",
               text(path / "status").strip() + " " + text(path / "error").strip())
    source.unlink()
    in_child(user, lambda: os.rmdir(path))


def group_tools(tree):
    for user in "root", "nobody":
        accepted(tree, "echo > spec.json", 'echo "$(cat {source})" > spec.json', user)
        accepted(tree, "cat > spec.json", "cat {source} > spec.json", user)
        accepted(tree, "cp", "cp {source} spec.json", user)
        accepted(tree, "tee", "tee spec.json < {source}", user)
        accepted(tree, "dd", "dd if={source} of=spec.json bs=7", user)
        accepted(tree, "mv of a temporary", "cp {source} x.tmp && mv x.tmp spec.json", user)
        accepted(tree, "sed -i", "head -c 20 {source} > spec.json; sed -i \"s|.*|$(cat {source})|\" "
                 "spec.json", user)
        accepted(tree, "two processes on one descriptor",
                 "exec 3>spec.json; head -c 40 {source} >&3; tail -c +41 {source} >&3; exec 3>&-", user)
        accepted(tree, "vim -es", "vim -es -u NONE -i NONE -c \"call setline(1, readfile('{source}'))\" -c wq spec.json",
                 user)
        accepted(tree, "vim -es with a swap file and a backup", "vim -es -u NONE -i NONE --cmd "
                 "'set backup writebackup swapfile directory=. backupdir=.' -c \"call setline(1, readfile('{source}'))\" "
                 "-c wq spec.json", user)
        accepted(tree, "python", "python3 -c \"open('spec.json','w').write(open('{source}').read())\"",
                 user)
        accepted(tree, "rsync of one file", "rsync --inplace {source} spec.json", user)
    path = tree.done()
    compose = tree.compose(path)
    top = tree.composes / str(compose)
    tool("ls -la", ["ls", "-laR", str(path), str(top)], 0, "nobody")
    tool("find", ["find", str(top), "-printf", "%s\n"], 0, "nobody")
    out = pathlib.Path(f"/tmp/odcsfs-out-{os.getpid()}")
    for user in "root", "nobody":
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        os.chmod(out, 0o777)
        tool("cp -r", ["cp", "-r", f"{top}/compose", str(out / "cp")], 0, user)
        tool("it is the same", ["diff", "-r", f"{top}/compose", str(out / "cp")], 0, user)
        tool("tar", f"tar -C {top} -cf - compose | tar -C {out} -xf -", 0, user)
        tool("it is the same", ["diff", "-r", f"{top}/compose", str(out / "compose")], 0, user)
        tool("rsync -a", ["rsync", "-a", f"{top}/compose/", str(out / "rsync")], 0, user)
        tool("tar of a request", f"tar -C {path} -cf {out}/r.tar --exclude ctl .", 0, user)
        os.chmod(out, 0o777)
        subprocess.run(["chmod", "-R", "u+w", str(out)], check=False)
    shutil.rmtree(out, ignore_errors=True)
    for user in "root", "nobody":
        mine = tree.draft(user)
        tool("rm -r of a request fails", ["rm", "-r", str(mine)], False, user)
        expect("nothing was lost", sorted(CONTROL), lambda: sorted(os.listdir(mine)))
        tool("find -delete of its files fails", ["find", str(mine), "-mindepth", "1", "-delete"],
             False, user)
        tool("find -delete of a compose fails", ["find", str(top), "-delete"], False, user)
        expect("nothing was lost", sorted(CONTROL), lambda: sorted(os.listdir(mine)))
        tool("rmdir works", ["rmdir", str(mine)], 0, user)
        mine = tree.draft(user)
        tool("find -delete of a whole request says what it could not unlink",
             ["find", str(mine), "-delete"], False, user)
        expect("and has ended it by its rmdir", "ENOENT", lambda: os.stat(mine))
    tool("df", ["df", str(tree.mnt)], 0, "nobody")
    tool("du", ["du", "-s", str(top)], 0, "nobody")
    os.rmdir(path)


# ---- with a driver of their own ------------------------------------------------------------------------------

def group_limits(program):
    driver = Driver(program, "drafts=3", "live=2", f"refuse={USERS['other']}")
    tree = Tree(driver)
    expect("mkdir by who is not allowed", "EACCES", lambda: os.mkdir(tree.requests / "x"), "other")
    expect("new by who is not allowed", "EACCES",
           lambda: write(tree.mnt / "new", tree.spec(), 0), "other")
    drafts = [tree.draft("nobody") for _ in range(3)]
    expect("mkdir: too many drafts", "EDQUOT", lambda: os.mkdir(tree.requests / "x"), "nobody")
    expect("another user is not concerned", 0, lambda: os.mkdir(tree.requests / "y"))
    for path in drafts[:2]:
        in_child("nobody", lambda: write(path / "spec.json", tree.spec()))
    expect("close: too many live composes", "EDQUOT",
           lambda: write(drafts[2] / "spec.json", tree.spec()), "nobody")
    true("error says so", text(drafts[2] / "error").strip(), text(drafts[2] / "error"))
    expect("mkdir: too many live composes", "EDQUOT", lambda: os.mkdir(tree.requests / "x"), "nobody")
    expect("new: too many live composes", "EDQUOT",
           lambda: write(tree.mnt / "new", tree.spec(), 0), "nobody")

    def many_opens():
        return [os.open(tree.mnt / "new", os.O_RDWR) for _ in range(4)]

    expect("new: too many opens", "EDQUOT", many_opens, "nobody")
    same("reap drops old drafts", 2, driver.say("reap -1"))
    expect("the reaped draft is gone", "ENOENT", lambda: os.stat(drafts[2]))
    driver.stop()
    driver.remove()
    driver = Driver(program, "may_expire=0", "aliases=1")
    tree = Tree(driver)
    path = tree.done("nobody")
    expect("owner_may_expire=no: expire", "EPERM", lambda: write(path / "ctl", "expire", 0), "nobody")
    expect("owner_may_expire=no: rmdir", "EPERM", lambda: os.rmdir(path), "nobody")
    compose = tree.compose(path)
    true("list_aliases=yes: all names are listed",
         {f"latest-nobody-{compose}", f"latest-odcs-{compose}-1"} <= set(os.listdir(tree.composes)))
    expect("root may", 0, lambda: os.rmdir(path))
    driver.stop()
    driver.remove()


def group_restart(program):
    driver = Driver(program)
    tree = Tree(driver)
    path, draft = tree.done("nobody"), tree.draft("nobody")
    compose = tree.compose(path)
    package = tree.first_file(compose)
    places = [tree.mnt, tree.requests, tree.composes, path, path / "status", path / "result",
              tree.composes / str(compose), tree.composes / f"odcs-{compose}", package, draft,
              tree.mnt / "by-state/done", tree.mnt / f"by-state/done/{compose}",
              tree.mnt / "by-owner/nobody", tree.mnt / f"by-owner/nobody/{compose}"]
    before = [os.lstat(place).st_ino for place in places]
    same("all numbers differ", len(set(before)), len(before))
    held = os.open(package, os.O_RDONLY)
    blocked = waiter(draft / "wait")
    time.sleep(0.2)
    code, seconds = driver.stop()
    same("stop with a file open and a read blocked", 0, code)
    true("takes less than 5 s", seconds < 5, seconds)
    same("the blocked read got EINTR", b"EINTR", blocked())
    same("no mount is left", False, os.path.ismount(driver.mnt))
    os.close(held)
    driver.start()
    same("the same numbers after a restart", before, [os.lstat(place).st_ino for place in places])
    held = os.open(package, os.O_RDONLY)
    driver.stop("kill")
    expect("a killed one leaves a stale mount", "ENOTCONN", lambda: os.statvfs(driver.mnt))
    driver.start()
    true("the next start mounts over it", (driver.mnt / "README").exists())
    os.close(held)
    subprocess.run(["umount", driver.mnt], check=True)
    true("unmounted by hand: the loop ends", until(lambda: driver.say("unmounted 0") == 1))
    driver.say("mount")
    true("mounted again", (driver.mnt / "README").exists())
    same("requests are still there", "done\n", text(path / "status"))
    held = os.open(package, os.O_RDONLY)
    subprocess.run(["umount", "-l", driver.mnt], check=True)
    true("unmounted lazily: open files are readable", len(os.read(held, 100)) == 100)
    code, seconds = driver.stop()
    same("stop after a lazy unmount with an open file", 0, code)
    true("in less than 5 s", seconds < 5, seconds)
    os.close(held)
    second = subprocess.run([program, driver.folder / "state2", "/proc/nonexistent"],
                            capture_output=True, timeout=20)
    same("a mount point that cannot be made", 1, second.returncode)
    driver.remove()
