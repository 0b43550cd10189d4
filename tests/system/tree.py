# SPDX-License-Identifier: MIT
"""tests/system/tree.py: every path of tree.md section 1 and every row of section 3, as two users.

    tree.py --driver FS-DRIVER [GROUP]...          its own driver: all cases
    tree.py MOUNTPOINT REPOSITORY [PACKAGE]        a running odcsfs: the cases that need no hand on its states

Each case prints what was done, by whom, the errno expected and the one seen. The kernel asks for
permission by the mode bits first (default_permissions), so nobody often sees EACCES where root sees the
contract's errno: both are written down.

promises = 11, 21
"""
import argparse, errno, json, os, pathlib, re, shutil, stat, subprocess, sys, traceback

from treekit import *
from treerows import *
from treetools import *


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
    came = driver.say('row {"source":{"type":"tag","source":"f26","packages":["ed"]}}')
    expect("a request made by REST", (65534, f"{came}\n"),
           lambda: (os.stat(tree.requests / f"auto-{came}").st_uid,
                    text(tree.requests / f"auto-{came}/id")))
    raw = driver.say('row {"source":{"type":"raw_config","source":"pungi_cfg#main"},'
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
            traceback.print_exc()
    if options.driver:
        left = len(os.listdir(tree.requests))
        same("exit code of the driver", 0, service.stop()[0])
        service.remove()
        print(f"({left} requests were left)")
    finish()


if __name__ == "__main__":
    main()
