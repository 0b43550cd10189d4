# SPDX-License-Identifier: MIT
"""tests/system/tree.py: every path of tree.md section 1 and every row of section 3, as two users.

    tree.py --driver FS-DRIVER [GROUP]...          its own driver: all cases
    tree.py MOUNTPOINT REPOSITORY [PACKAGE]        a running odcsfs: the cases that need no hand on its states

Each case prints what was done, by whom, the errno expected and the one seen. The kernel asks for
permission by the mode bits first (default_permissions), so nobody often sees EACCES where root sees the
contract's errno: both are written down.
"""
import argparse, ctypes, errno, fcntl, json, os, pathlib, re, select, shutil, signal, stat
import subprocess, sys, threading, time

from treekit import *
import treekit

CONTROL = ["spec.json", "status", "id", "compose.json", "error", "log", "progress", "wait", "ttl",
           "ctl"]
READ_ONLY = ["status", "id", "compose.json", "error", "log", "progress", "wait"]
serial = 0


class Tree:
    """The mount and what every group makes with it."""

    def __init__(self, service):
        self.service, self.mnt = service, pathlib.Path(service.mnt)
        self.requests, self.composes = self.mnt / "requests", self.mnt / "composes"

    def name(self, prefix="t"):
        global serial
        serial += 1
        return f"{prefix}{os.getpid()}-{serial}"

    def spec(self, **members):
        global serial
        serial += 1
        source = {"type": "repo", "source": self.service.repository,
                  "packages": [self.service.package]}
        # A lifetime of its own, so that no two of them are taken for the same question.
        return json.dumps({"source": {**source, **members.pop("source", {})},
                           "seconds_to_live": 3600 + serial % 10000, "flags": ["no_reuse"],
                           **members})

    def draft(self, user="root", mode=0o755):
        path = self.requests / self.name()
        in_child(user, lambda: os.mkdir(path, mode))
        return path

    def waiting(self, user="root"):
        path = self.draft(user)
        spec = self.spec()
        in_child(user, lambda: write(path / "spec.json", spec))
        return path

    def compose(self, path):
        return int(text(path / "id"))

    def done(self, user="root", files=3):
        path = self.waiting(user)
        self.service.done(self.compose(path), files)
        if not until(lambda: text(path / "status") == "done\n", 60):
            raise RuntimeError(f"{path}: {text(path / 'status')} {text(path / 'error')}")
        return path

    def first_file(self, compose):
        """A package of a compose."""
        return next(path for path in sorted((self.composes / str(compose)).rglob("*.rpm")))


# ---- section 1: paths ------------------------------------------------------------------------------

def group_paths(tree):
    mnt = tree.mnt
    for name, mode, kind in [("README", 0o444, stat.S_IFREG), ("version", 0o444, stat.S_IFREG),
                             ("new", 0o666, stat.S_IFREG), ("events", 0o444, stat.S_IFREG),
                             ("metrics", 0o444, stat.S_IFREG), ("requests", 0o1777, stat.S_IFDIR),
                             ("composes", 0o555, stat.S_IFDIR), ("by-state", 0o555, stat.S_IFDIR),
                             ("by-owner", 0o555, stat.S_IFDIR), ("by-source", 0o555, stat.S_IFDIR)]:
        for user in "root", "nobody":
            expect(f"stat /{name}: type, mode, owner", (kind | mode, 0),
                   lambda: (os.stat(mnt / name).st_mode, os.stat(mnt / name).st_uid), user)
    for name in "README", "version":
        expect(f"cat /{name} is not empty", True, lambda: len(read(mnt / name)) > 0, "nobody")
    expect("metrics reads", True, lambda: "# TYPE " in text(mnt / "metrics"), "nobody")
    path = tree.draft("nobody")
    expect("a draft's files", sorted(CONTROL), lambda: sorted(os.listdir(path)), "nobody")
    wanted = {"spec.json": 0o644, "ttl": 0o644, "ctl": 0o200, **{name: 0o444 for name in READ_ONLY}}
    expect("their modes", wanted,
           lambda: {name: os.stat(path / name).st_mode & 0o7777 for name in CONTROL})
    expect("their owner", {NOBODY}, lambda: {os.stat(path / name).st_uid for name in CONTROL})
    expect("the directory's mode and owner", (stat.S_IFDIR | 0o755, NOBODY),
           lambda: (os.stat(path).st_mode, os.stat(path).st_uid))
    for name, want in [("status", "draft\n"), ("id", ""), ("compose.json", ""), ("error", ""),
                       ("log", ""), ("spec.json", "")]:
        expect(f"draft: {name}", want, lambda: text(path / name))
    expect("draft: progress is DONE TOTAL PHASE", True,
           lambda: bool(re.fullmatch(r"\d+ \d+ \w+.*\n", text(path / "progress"))))
    expect("draft: ttl counts down to its end", True, lambda: 0 < int(text(path / "ttl")) <= 86400)
    expect("draft: no result yet", "ENOENT", lambda: os.lstat(path / "result"))
    expect("an unknown NAME", "ENOENT", lambda: os.stat(tree.requests / "no-such"))
    expect("an unknown compose", "ENOENT", lambda: os.stat(tree.composes / "999999999"))
    expect("an unknown file in the root", "ENOENT", lambda: os.stat(mnt / "no-such"))
    expect("rmdir of the draft", 0, lambda: os.rmdir(path), "nobody")
    expect("it is gone at once", "ENOENT", lambda: os.stat(path))


def group_done_paths(tree):
    path = tree.done("nobody")
    compose = tree.compose(path)
    record = json.loads(text(path / "compose.json"))
    same("status", "done\n", text(path / "status"))
    same("compose.json: id, owner, state", (compose, "nobody", 2),
         (record["id"], record["owner"], record["state"]))
    same("compose.json: all members", 43, len(record))
    same("spec.json is shown as written and read-only", (True, 0o444),
         ("no_reuse" in text(path / "spec.json"), os.stat(path / "spec.json").st_mode & 0o777))
    same("result", f"../../composes/{compose}/compose/Temporary", os.readlink(path / "result"))
    true("result leads to the .repo file", (path / "result" / f"odcs-{compose}.repo").exists())
    for alias in f"odcs-{compose}", f"latest-nobody-{compose}", f"latest-odcs-{compose}-1":
        expect(f"composes/{alias}", str(compose), lambda: os.readlink(tree.composes / alias),
               "nobody")
    expect("composes/latest-NOBODY-ID: any case", str(compose),
           lambda: os.readlink(tree.composes / f"latest-NoBody-{compose}"))
    expect("composes/latest-OTHER-ID", "ENOENT",
           lambda: os.readlink(tree.composes / f"latest-root-{compose}"))
    for bad in f"0{compose}", f"odcs-0{compose}", f"odcs-{compose}x", "odcs-", "-1", "latest-odcs-1":
        expect(f"composes/{bad}", "ENOENT", lambda: os.lstat(tree.composes / bad))
    listed = os.listdir(tree.composes)
    true("ID and odcs-ID are listed, latest-… are not",
         str(compose) in listed and f"odcs-{compose}" in listed
         and not any(name.startswith("latest-") for name in listed))
    source = tree.service.repository.replace("%", "%25").replace("/", "%2F")
    for view in f"by-state/done/{compose}", f"by-owner/nobody/{compose}", \
            f"by-source/{source}/{compose}":
        expect(view, f"../../composes/{compose}", lambda: os.readlink(tree.mnt / view), "nobody")
        expect(f"{view} is listed", True,
               lambda: str(compose) in os.listdir((tree.mnt / view).parent), "nobody")
    for view in f"by-state/failed/{compose}", f"by-owner/root/{compose}", \
            f"by-source/no%2Fsuch/{compose}", "by-state/draft", "by-owner/no-such":
        expect(view, "ENOENT", lambda: os.lstat(tree.mnt / view))
    top = tree.composes / str(compose)
    same("STATUS", "FINISHED\n", text(top / "STATUS"))
    true("COMPOSE_ID", text(top / "COMPOSE_ID").startswith(f"odcs-{compose}-1-"))
    for inner in "logs/global", "compose/metadata/composeinfo.json", "compose/metadata/rpms.json", \
            "compose/metadata/images.json", f"compose/Temporary/odcs-{compose}.repo":
        expect(f"composes/ID/{inner}", True, lambda: (top / inner).exists(), "nobody")
    for inner in "compose/metadata/composeinfo.json", "compose/metadata/rpms.json":
        expect(f"{inner} is JSON", True, lambda: bool(json.loads(text(top / inner))))
    local = text(top / f"compose/Temporary/odcs-{compose}.local.repo")
    true("the .local.repo has file URLs of the mount",
         f"baseurl=file://{tree.composes}/odcs-{compose}/" in local, local)
    modes = {entry.lstat().st_mode for entry in top.rglob("*")}
    same("modes below composes/ID", {stat.S_IFDIR | 0o555, stat.S_IFREG | 0o444}, modes)
    expect("wait gives the word at once, then EOF", (b"done\n", b""), lambda: read_twice(path / "wait"))
    os.rmdir(path)


def read_twice(path):
    fd = os.open(path, os.O_RDONLY)
    return os.read(fd, 100), os.read(fd, 100)


def group_states(tree):
    """What a request shows on its way; needs the driver."""
    driver = tree.service
    path = tree.waiting("nobody")
    compose = tree.compose(path)
    top = tree.composes / str(compose)
    same("wait: status", "wait\n", text(path / "status"))
    same("wait: STATUS", "STARTED\n", text(top / "STATUS"))
    expect("wait: compose/ is not there", "ENOENT", lambda: os.stat(top / "compose"), "nobody")
    expect("wait: the view", f"../../composes/{compose}",
           lambda: os.readlink(tree.mnt / f"by-state/wait/{compose}"))
    driver.claim(compose)
    same("generating: status", "generating\n", text(path / "status"))
    driver.say(f"progress {compose} 3 7 depsolve x86_64 1043 packages")
    same("generating: progress", "3 7 depsolve x86_64 1043 packages\n", text(path / "progress"))
    driver.say(f"log {compose} one line")
    same("generating: log", "one line\n", text(path / "log"))
    same("log: true size", 9, os.stat(path / "log").st_size)
    same("the same log in the tree", "one line\n", text(top / "logs/global/odcsfs.log"))
    expect("generating: compose/ is not there", "ENOENT", lambda: os.stat(top / "compose"))
    driver.say(f"finish {compose} 3")
    expect("done: compose/ appears at once", True, lambda: (top / "compose/Temporary").is_dir())
    same("done: STATUS", "FINISHED\n", text(top / "STATUS"))
    failing = tree.waiting()
    driver.failed(tree.compose(failing))
    same("failed: status", "failed\n", text(failing / "status"))
    true("failed: error says why", "no such repository" in text(failing / "error"))
    same("failed: STATUS", "DOOMED\n",
         text(tree.composes / str(tree.compose(failing)) / "STATUS"))
    expect("failed: no result", "ENOENT", lambda: os.lstat(failing / "result"))
    second = tree.waiting()
    new = tree.compose(second)
    driver.claim(new)
    driver.say(f"reuse {new} {compose}")
    same("reused: composes/NEW is a link to OLD", str(compose), os.readlink(tree.composes / str(new)))
    true("reused: its result is readable", (second / "result").is_dir())
    same("reused: xattr", str(compose).encode(), os.getxattr(second, "user.odcs.reused_id"))
    came = driver.say('rest {"source":{"type":"tag","source":"f26","packages":["ed"]}}')
    expect("a request made by REST", (65534, f"{came}\n"),
           lambda: (os.stat(tree.requests / f"auto-{came}").st_uid,
                    text(tree.requests / f"auto-{came}/id")))
    raw = driver.say('rest {"source":{"type":"raw_config","source":"pungi_cfg#main"},'
                     '"compose_type":"nightly"}')
    expect("composes/TYPE before one is done", "ENOENT", lambda: os.stat(tree.composes / "nightly"))
    driver.done(raw)
    latest = os.listdir(tree.composes / "nightly")
    same("composes/TYPE/latest-NAME-VERSION", f"../{raw}",
         os.readlink(tree.composes / "nightly" / latest[0]) if latest else None)
    true("its name", latest and re.fullmatch(r"latest-[^-]+-[^-]+", latest[0]), latest)
    same("composes/TYPE is listed", True, "nightly" in os.listdir(tree.composes))
    for made in path, failing, second:
        os.rmdir(made)


# ---- section 2: submission ---------------------------------------------------------------------------

def group_submission(tree):
    for user in "root", "nobody":
        path = tree.draft(user)
        expect("an incomplete object", "EINVAL", lambda: write(path / "spec.json", '{"source":'), user)
        expect("error says so after the last close", True, lambda: "complete" in text(path / "error"),
               user)
        same("it is a draft still", "draft\n", text(path / "status"))
        expect("not JSON", "EINVAL", lambda: write(path / "spec.json", "[1, 2"), user)
        expect("broken JSON", "EINVAL", lambda: write(path / "spec.json", '{"source" 5}'), user)
        true("error has words", text(path / "error").strip())
        expect("an unknown field", "EINVAL",
               lambda: write(path / "spec.json", tree.spec(arcehs=["x86_64"])), user)
        true("error names the nearest known one", "arches" in text(path / "error"),
             text(path / "error"))
        expect("a wrong value", "EINVAL",
               lambda: write(path / "spec.json", tree.spec(source={"type": "rpo"})), user)
        expect("a wrong type", "EINVAL",
               lambda: write(path / "spec.json", tree.spec(seconds_to_live="soon")), user)
        if not tree.service.real:
            expect("not allowed", "EACCES",
                   lambda: write(path / "spec.json", tree.spec(source={"source": "/forbidden"})),
                   user)
            true("error says what", "/forbidden" in text(path / "error"), text(path / "error"))
        same("still a draft after all that", ("draft\n", ""),
             (text(path / "status"), text(path / "id")))
        expect("a complete one is accepted by the close", 0,
               lambda: write(path / "spec.json", " \n" + tree.spec() + "\n"), user)
        true("accepted: id, no error", text(path / "id").strip().isdigit() and
             text(path / "error") == "", text(path / "error"))
        expect("accepted: open for write (the owner meets the mode bits first)",
               "EBUSY" if user == "root" else "EACCES",
               lambda: opened(path / "spec.json", os.O_WRONLY), user)
        expect("accepted: the same, as root", "EBUSY", lambda: opened(path / "spec.json", os.O_RDWR))
        expect("accepted: rename of it", "EBUSY",
               lambda: os.rename(path, tree.requests / tree.name()), user)
        os.rmdir(path)
    submission_moments(tree)
    submission_writers(tree)


def submission_moments(tree):
    path, spec = tree.draft(), tree.spec()

    def in_pieces():
        fd = os.open(path / "spec.json", os.O_WRONLY | os.O_TRUNC)
        for at in range(0, len(spec), 7):
            os.write(fd, spec[at:at + 7].encode())
            if at + 7 < len(spec):
                try:
                    os.close(os.dup(fd))  # a FLUSH in the middle
                except OSError as error:
                    if error.errno != errno.EINVAL:
                        raise
        before = text(path / "status")
        os.close(os.dup(fd))  # the text is complete: this close accepts
        after = text(path / "status")
        os.write(fd, b"\n")  # harmless
        try:
            os.write(fd, b"{}")
        except OSError as error:
            late = errno.errorcode[error.errno]
        else:
            late = "0"
        os.close(fd)
        return before, after != "draft\n", late

    expect("FLUSH in the middle discards nothing, at the end accepts; a late write is EBUSY",
           ("draft\n", True, "EBUSY"), in_pieces)
    same("accepted once, text as written", spec, text(path / "spec.json"))
    os.rmdir(path)

    path = tree.draft("nobody")

    def by_fsync():
        fd = os.open(path / "spec.json", os.O_WRONLY)
        os.write(fd, tree.spec().encode())
        os.fsync(fd)
        word = text(path / "status")
        os.close(fd)
        return word != "draft\n"

    expect("fsync accepts", True, by_fsync, "nobody")
    in_child("nobody", lambda: os.rmdir(path))

    path = tree.draft("nobody")

    def by_rename(data):
        create(path / "x.tmp", data)
        os.rename(path / "x.tmp", path / "spec.json")

    expect("rename of an incomplete text", "EINVAL", lambda: by_rename(b'{"sour'), "nobody")
    expect("the temporary is still there; drop it", 0, lambda: os.unlink(path / "x.tmp"), "nobody")
    expect("rename of a complete text accepts", 0, lambda: by_rename(tree.spec().encode()), "nobody")
    expect("temporaries vanish at acceptance", sorted(CONTROL),
           lambda: sorted(set(os.listdir(path)) - {"result"}))
    in_child("nobody", lambda: os.rmdir(path))

    path = tree.draft()
    first, second = tree.spec()[:20], tree.spec()[20:]

    def append():
        try:
            write(path / "spec.json", first)
        except OSError:
            pass
        write(path / "spec.json", second, os.O_APPEND)

    expect("writing goes on with O_APPEND", 0, append)
    true("and is accepted", text(path / "id").strip().isdigit())
    os.rmdir(path)

    path = tree.draft()
    expect("a child that inherited the descriptor", True, lambda: inherited(path, tree.spec()))
    os.rmdir(path)


def inherited(path, spec):
    fd = os.open(path / "spec.json", os.O_WRONLY | os.O_TRUNC)
    os.write(fd, spec[:10].encode())
    if not (pid := os.fork()):
        os._exit(0)  # closes its copy: FLUSH
    os.waitpid(pid, 0)
    os.write(fd, spec[10:].encode())
    os.close(fd)
    return text(path / "status") != "draft\n"


def submission_writers(tree):
    path = tree.draft()

    def second_writer(flags):
        fd = os.open(path / "spec.json", os.O_WRONLY)
        try:
            opened(path / "spec.json", flags)
        finally:
            os.close(fd)

    expect("a second open for writing", "EBUSY", lambda: second_writer(os.O_WRONLY))
    expect("a second open for appending", "EBUSY", lambda: second_writer(os.O_WRONLY | os.O_APPEND))
    expect("reading beside a writer", 0, lambda: second_writer(os.O_RDONLY))

    def one_after_another():
        for _ in range(200):
            opened(path / "spec.json", os.O_WRONLY)

    expect("one writer right after another, 200 times", 0, one_after_another)

    def rename_beside():
        fd = os.open(path / "spec.json", os.O_WRONLY)
        create(path / ".x", tree.spec().encode())
        os.rename(path / ".x", path / "spec.json")
        os.close(fd)

    expect("a rename is possible beside a writer", 0, rename_beside)
    os.rmdir(path)
    if tree.service.real:
        skip("quota of drafts and live composes", "needs the driver's small limits")


def group_new(tree):
    for user in "root", "nobody":
        def conversation():
            fd = os.open(tree.mnt / "new", os.O_RDWR)
            os.write(fd, tree.spec().encode())
            record = json.loads(os.read(fd, 1 << 20))
            rest = os.read(fd, 100)
            os.close(fd)
            return record["owner"], rest, text(tree.requests / f"auto-{record['id']}/id").strip() == \
                str(record["id"])

        expect("new: write, read the record, EOF; it is auto-ID", (user, b"", True), conversation, user)

        def pieces():
            fd, spec = os.open(tree.mnt / "new", os.O_RDWR), tree.spec().encode()
            os.write(fd, spec[:30])
            os.write(fd, spec[30:])
            return "id" in json.loads(os.read(fd, 1 << 20))

        expect("new: in two writes", True, pieces, user)
        expect("new: not JSON", "EINVAL", lambda: write(tree.mnt / "new", "nonsense", 0), user)
        expect("new: an unknown field", "EINVAL",
               lambda: write(tree.mnt / "new", tree.spec(nonsense=1), 0), user)
        expect("new: incomplete at the close", "EINVAL",
               lambda: write(tree.mnt / "new", '{"source"', 0), user)
        expect("new: more than 1 MiB", "EFBIG",
               lambda: write(tree.mnt / "new", b" " * (1 << 20) + b"{}", 0), user)

        def twice():
            fd = os.open(tree.mnt / "new", os.O_RDWR)
            os.write(fd, tree.spec().encode())
            os.write(fd, tree.spec().encode())

        expect("new: a second question", "EBUSY", twice, user)
        shell = f"exec 3<>{tree.mnt}/new; cat s.json >&3; cat <&3"
        (folder := pathlib.Path(f"/tmp/odcsfs-tree-{os.getpid()}")).mkdir(exist_ok=True)
        (folder / "s.json").write_text(tree.spec())
        expect("new: by a shell", True, lambda: "id" in json.loads(
            subprocess.run(["sh", "-c", shell], cwd=folder, check=True, capture_output=True).stdout),
            user)
        shutil.rmtree(folder)


# ---- section 3, row by row ------------------------------------------------------------------------------

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


def waiter(path):
    """Read in a child; the returned function waits for what it read."""
    reader, writer = os.pipe()
    if not os.fork():
        signal.alarm(20)
        try:
            os.write(writer, raw_read(os.open(path, os.O_RDONLY), 4096))
        except OSError as error:
            os.write(writer, name_of(error.errno).encode())
        os._exit(0)
    os.close(writer)

    def result():
        data = os.read(reader, 4096)
        os.close(reader)
        os.wait()
        return data

    return result


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
    write(path / "ctl", "expire", 0)
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


# ---- main ----------------------------------------------------------------------------------------------------------

ANY = ["paths", "done_paths", "submission", "new", "mkdir", "rmdir", "frozen", "unlink", "create",
       "rename", "open", "ttl", "ctl", "wait", "removal", "readdir", "attributes", "xattrs", "tools"]
DRIVEN = ["states", "poll", "spoiled"]
ALONE = ["limits", "restart"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--driver")
    parser.add_argument("--threads", default="0", help="of the driver's loop; 1: in lock-step")
    parser.add_argument("--read-mode", default="0", help="0: auto, 2: splice")
    parser.add_argument("words", nargs="*")
    options = parser.parse_args()
    if os.geteuid() or not os.path.exists("/dev/fuse"):
        print("skipped: needs root and /dev/fuse")
        sys.exit(77)
    if options.driver:
        groups = options.words or DRIVEN[:2] + ANY + DRIVEN[2:] + ALONE
        service = Driver(options.driver, "drafts=1000", f"threads={options.threads}",
                         f"read_mode={options.read_mode}")
    else:
        mountpoint, repository = options.words[:2]
        service = Service(mountpoint, repository, (options.words + ["ed"])[2])
        groups = options.words[3:] or ANY
    tree = Tree(service)
    for group in groups:
        print(f"# {group}", flush=True)
        function = globals()[f"group_{group}"]
        try:
            function(options.driver if group in ALONE else tree)
        except (Exception, Fault) as error:
            report(False, f"group {group}", "to run", repr(error))
            import traceback
            traceback.print_exc()
    if options.driver:
        left = len(os.listdir(tree.requests))
        same("exit code of the driver", 0, service.stop()[0])
        service.remove()
        print(f"({left} requests were left)")
    finish()


if __name__ == "__main__":
    main()
