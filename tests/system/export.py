# SPDX-License-Identifier: MIT
"""tests/system/export.py: how bytes get to readers: fs.read_mode in each of its ways, and fs.export, the second mount."""
import errno, hashlib, json, mmap, os, pathlib, re, resource, shutil, signal, stat, subprocess, sys, tempfile, threading, time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import *

BIG, NOBODY = 8 << 20, 65534
FILES_KEPT = 64 # a quarter of what the service may open below


def figure(service, name, **labels):
    text = service.call("GET", "/api/1/metrics/").body.decode()
    inner = ",".join(f'{key}="{value}"' for key, value in labels.items())
    return float(re.search(rf"^{name}{re.escape('{' + inner + '}') if inner else ''} (\S+)", text, re.M)[1])


def reads(service):
    return figure(service, "odcsfs_fuse_requests_total", op="read")


def code(function, *values):
    """errno of what must fail, 0 when it does not"""
    try:
        function(*values)
    except OSError as error:
        return error.errno
    return 0


def forget_pages(path):
    with open(path, "rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


# ---- ways of reading ------------------------------------------------------------------------------------

def by_mmap(path):
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as memory:
        return memory[:]


def by_sendfile(path):
    out = bytearray()
    end, other = os.pipe()
    reader = threading.Thread(target=lambda: [out.extend(piece) for piece in iter(lambda: os.read(end, 1 << 16), b"")])
    reader.start()
    with open(path, "rb") as file:
        while os.sendfile(other, file.fileno(), None, 1 << 20):
            pass
    os.close(other)
    reader.join()
    os.close(end)
    return bytes(out)


def by_direct(path):
    """in one request of 1 MiB after another, past the page cache"""
    out, memory = bytearray(), mmap.mmap(-1, 1 << 20)
    fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
    while count := os.preadv(fd, [memory], len(out)):
        out += memory[:count]
    os.close(fd)
    return bytes(out)


def by_pieces(path):
    """backwards, in odd sizes"""
    size, step, pieces = os.stat(path).st_size, 99991, []
    with open(path, "rb", buffering=0) as file:
        for offset in reversed(range(0, size, step)):
            pieces.append(os.pread(file.fileno(), step, offset))
    return b"".join(reversed(pieces))


def check_bytes(path, want, text):
    for way in (pathlib.Path.read_bytes, by_mmap, by_sendfile, by_direct, by_pieces):
        forget_pages(path)
        check(way(path) == want, f"{text}: {way.__name__}")


def check_crowd(paths, wanted, text):
    """many that open, read a little and close at once, some of them holding on"""
    wrong = []

    def reader(number):
        held = []
        for turn in range(60):
            path = paths[(number * 7 + turn) % len(paths)]
            file = open(path, "rb", buffering=0)
            offset = (turn * 4099) % (os.fstat(file.fileno()).st_size)
            if os.pread(file.fileno(), 1000, offset) != wanted[path][offset:offset + 1000]:
                wrong.append(path)
            held.append(file)
            if len(held) > 5:
                held.pop(turn % 5).close()
        for file in held:
            file.close()
    threads = [threading.Thread(target=reader, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    same(wrong, [], f"{text}: bytes under a crowd")


def test_mode(mode, big, first):
    """every way of reading gives the same bytes; what the kernel holds for us it gives back; @first: what auto chose"""
    words = {"auto": first, "passthrough": first, "splice": "splice", "copy": "copy"}[mode]
    with Service(f"repo.allowed={big.parent} {UNIVERSE}", f"fs.read_mode={mode}", "fs.read_ahead=256K") as service:
        version = (service.mnt / "version").read_text()
        check(re.search(rf"^reads: {words} \(.+\)$", version, re.M), f"{mode} in version: {version}")
        check("read-ahead: 256 KiB" in version, f"read-ahead in version: {version}")
        bdi = f"/sys/class/bdi/0:{os.minor(os.stat(service.mnt).st_dev)}/read_ahead_kb"
        same(pathlib.Path(bdi).read_text(), "256\n", "read-ahead of the device")
        number = service.compose("big", repo_spec(big, packages=["big"]))
        small = service.compose("small", repo_spec(BASE, packages=["openssl"]))
        path = service.tree(number) / "x86_64/os/Packages/b/big.rpm"
        want = (big / "big.rpm").read_bytes()
        before = reads(service)
        check_bytes(path, want, mode)
        check((reads(service) - before == 0) == (words == "passthrough"), f"{mode}: READ requests")
        # a head from memory before the rest, and all from memory: never passed through, always right
        rpms = service.mnt / f"composes/{small}/compose/metadata/rpms.json"
        local = rpms.parent.parent / f"Temporary/odcs-{small}.repo"
        for file in (rpms, local):
            over_http = service.call("GET", f"/composes/{small}/{file.relative_to(service.mnt / f'composes/{small}')}").body
            check_bytes(file, over_http, f"{mode} {file.name}")
        paths = [path, rpms, local, *(service.tree(small) / "x86_64/os/Packages").rglob("*.rpm")]
        check_crowd(paths, {p: p.read_bytes() for p in paths}, mode)
        with open(path, "rb") as file:
            file.read(1)
            same(figure(service, "odcsfs_fuse_backing_files"), float(words == "passthrough"), f"{mode}: files held, one open")
        check(wait_for(lambda: figure(service, "odcsfs_fuse_backing_files") == 0, 5), f"{mode}: files held, none open")


def test_no_rights(big):
    """a service that is not root may not hand files over to the kernel: reads go by splice, and it says so"""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="odcsfs-nobody-"))
    user = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    os.chown(folder, NOBODY, NOBODY)
    (folder / "odcs").mkdir()
    os.chown(folder / "odcs", NOBODY, NOBODY)
    try:
        service = subprocess.Popen([ODCSFS, "serve", "-c", "/dev/null", "-o", f"odcsfs.state_dir={folder}/state", "-o",
                                    "http.listen=127.0.0.1:0", "-o", f"repo.allowed={big}", str(folder / "odcs")], **user,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if not service.stdout.readline().startswith("ready "):
            print("not tried without rights: nobody cannot mount here:", service.stderr.read().strip()[-300:])
            return
        spec = json.dumps(repo_spec(big, packages=["big"]))
        script = (f"cd {folder}/odcs; mkdir requests/x; echo '{spec}' > requests/x/spec.json; cat requests/x/wait; "
                  "sha256sum < requests/x/result/x86_64/os/Packages/b/big.rpm; cat version")
        said = subprocess.run(["sh", "-c", script], **user, capture_output=True, text=True, check=False).stdout.split("\n", 2)
        same(said[:2], ["done", hashlib.sha256((big / "big.rpm").read_bytes()).hexdigest() + "  -"], "read without rights")
        check("reads: splice (" in said[2] and "read-ahead: the kernel's own (" in said[2], f"version: {said[2]}")
        service.send_signal(signal.SIGTERM)
        same(service.wait(20), 0, "exit code")
        words = service.stderr.read()
        check(len(re.findall("no passthrough", words)) == 1, f"said once: {words}")
    finally:
        run("umount", "-l", folder / "odcs")
        shutil.rmtree(folder, ignore_errors=True)


def test_stacked(big):
    """a file on a stacked file system is not handed over; others are"""
    layers = pathlib.Path(tempfile.mkdtemp(prefix="odcsfs-layers-"))
    made = []

    def mount(*words):
        if run("mount", "-t", *words).returncode == 0:
            made.append(words[-1])
        return words[-1] in made
    try:
        for name in ("own", "lower", "merged"):
            (layers / name).mkdir()
        shutil.copytree(big, layers / "lower/big")
        if not mount("tmpfs", "tmpfs", layers / "own"):
            return print("not tried on a stacked file system: no tmpfs")
        (layers / "own/upper").mkdir()
        (layers / "own/work").mkdir()
        if not mount("overlay", "overlay", "-o", f"lowerdir={layers}/lower,upperdir={layers}/own/upper,workdir={layers}/own/work",
                     layers / "merged"):
            return print("not tried on a stacked file system: this kernel mounts no overlay")
        with Service(f"repo.allowed={layers}/merged {big}") as service:
            for name, source, want in (("stacked", layers / "merged/big", 0), ("plain", big, 1)):
                number = service.compose(name, repo_spec(source, packages=["big"]))
                path = service.tree(number) / "x86_64/os/Packages/b/big.rpm"
                with open(path, "rb") as file:
                    check(file.read() == (big / "big.rpm").read_bytes(), f"bytes of {name}")
                    if "reads: passthrough" in (service.mnt / "version").read_text():
                        same(figure(service, "odcsfs_fuse_backing_files"), want, f"files held of {name}")
    finally:
        for path in reversed(made):
            run("umount", path)
        shutil.rmtree(layers, ignore_errors=True)


# ---- the export -----------------------------------------------------------------------------------------

def tree_of(top):
    """relative path → what lstat says of it, that readers go by"""
    found = {}
    for path in sorted(top.rglob("*")):
        st = os.lstat(path)
        found[path.relative_to(top)] = (st.st_mode, st.st_ino, st.st_size, st.st_nlink, int(st.st_mtime), st.st_uid,
                                        os.readlink(path) if stat.S_ISLNK(st.st_mode) else "")
    return found


def as_nobody(function, *values):
    """errno seen by that user"""
    child = os.fork()
    if not child:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        os._exit(code(function, *values))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_same(service, out, number):
    composes = service.mnt / "composes"
    want = tree_of(composes)
    same(tree_of(out), want, "the same tree in both")
    check(len(want) > 100, f"{len(want)} names")
    files = [path for path in want if (composes / path).is_file() and not (composes / path).is_symlink()]
    different = [path for path in files if (out / path).read_bytes() != (composes / path).read_bytes()]
    same(different, [], "the same bytes in both")
    before = figure(service, "odcsfs_fuse_requests_total", op="open")
    for path in files:
        (out / path).read_bytes()
    same(figure(service, "odcsfs_fuse_requests_total", op="open"), before, "opens that we are asked for")
    for alias in (f"odcs-{number}", f"latest-root-{number}", f"latest-odcs-{number}-1", "latest-root-news"):
        same(os.readlink(out / alias), str(number), f"composes/{alias} in the export")
    same(sorted(os.listdir(out)), sorted(os.listdir(composes)), "names listed")
    same((os.stat(out).st_ino, os.stat(out / f"{number}/..").st_ino), (1, 1), "the root's number")
    for name in ("requests", "by-state", "new", "README", str(number + 99), "-1"):
        same(code(os.lstat, out / name), errno.ENOENT, f"{name} in the export")
    same(os.getxattr(out / str(number), "user.odcs.state"), b"done", "xattr")


def test_readonly(out, number):
    file = out / f"{number}/STATUS"
    for text, function, values in (("mkdir", os.mkdir, (out / "x",)), ("unlink", os.unlink, (file,)),
                                   ("rmdir", os.rmdir, (out / str(number),)), ("chmod", os.chmod, (file, 0o600)),
                                   ("open to write", os.open, (file, os.O_WRONLY)), ("truncate", os.truncate, (file, 0)),
                                   ("create", os.open, (out / "x", os.O_CREAT | os.O_WRONLY)),
                                   ("rename", os.rename, (file, out / "x")), ("utime", os.utime, (file,)),
                                   ("setxattr", os.setxattr, (file, "user.odcs.note", b"x"))):
        same(code(function, *values), errno.EROFS, text)
    same(as_nobody(pathlib.Path.read_bytes, file), 0, "nobody may read")
    same(as_nobody(os.listdir, out), 0, "nobody may list")


def test_bytes(service, out, number, want):
    path = out / f"{number}/compose/Temporary/x86_64/os/Packages/b/big.rpm"
    check_bytes(path, want, "export")
    small = [p for p in out.rglob("*.rpm") if p != path][:40]
    check_crowd([path, *small], {p: p.read_bytes() for p in [path, *small]}, "export")


def test_bound(service, out, number):
    """however many files are read, few are kept open"""
    pid = service.server_pid
    opened = lambda: len(os.listdir(f"/proc/{pid}/fd"))
    paths = list((out / f"{number}/compose/Temporary/x86_64/os/Packages").rglob("*.rpm"))
    for path in paths:
        path.read_bytes() # what was changed just now is not kept, by whatever mount it was asked for
    wait_for(lambda: not any(forget_pages(path) or path.read_bytes() == b"" for path in paths) and
             figure(service, "odcsfs_export_files") >= FILES_KEPT, 10, 0.5)
    same(figure(service, "odcsfs_export_files"), FILES_KEPT, f"files kept open of {len(paths)}")
    check(opened() < 256, f"{opened()} descriptors")
    check(figure(service, "odcsfs_export_opened_total") >= len(paths), "files opened")
    run("sh", "-c", "echo 2 > /proc/sys/vm/drop_caches")
    if not wait_for(lambda: figure(service, "odcsfs_export_files") == 0, 5):
        same(figure(service, "odcsfs_export_files"), 0, "files kept open after the kernel forgot all")


def test_states(service, out):
    """what changes is seen at once: the list, a compose's state, its log; nothing old from the kernel's memory"""
    for worker in service.workers(2):
        os.kill(worker, signal.SIGSTOP)
    try:
        listed = set(os.listdir(out))
        request = service.submit("slow", repo_spec(BASE, packages=["nginx"], flags=["no_reuse"]))
        number = int((request / "id").read_text())
        same(set(os.listdir(out)) - listed, {str(number), f"odcs-{number}"}, "new in the list")
        top = out / str(number)
        same((top / "STATUS").read_text(), "STARTED\n", "STATUS before")
        before = os.listdir(top)
        check("compose" not in before and not (top / "compose").exists(), "no compose/ before it is done")
        fd = os.open(top / "STATUS", os.O_RDONLY)
        same(os.pread(fd, 8, 0), b"STARTED\n", "STATUS by a descriptor, before")
        log = (top / "logs/global/odcsfs.log").read_bytes() if (top / "logs/global/odcsfs.log").exists() else b""
    finally:
        for worker in service.children():
            os.kill(worker, signal.SIGCONT)
    same((request / "wait").read_text(), "done\n", "it ends")
    same(sorted(os.listdir(top)), sorted([*before, "compose"]), "listed when done")
    same((top / "STATUS").read_text(), "FINISHED\n", "STATUS after")
    same(os.pread(fd, 8, 0), b"FINISHED", "STATUS by the same descriptor, after")
    os.close(fd)
    same((top / "logs/global/odcsfs.log").read_bytes(),
         (service.mnt / f"composes/{number}/logs/global/odcsfs.log").read_bytes(), "log")
    check(len((top / "logs/global/odcsfs.log").read_bytes()) > len(log), "the log has grown")
    return number


def test_latest(service, out):
    """a name that moves on leads to the new one at once"""
    number = service.compose("news", repo_spec(BASE, packages=["openssl"], latest="news"))
    same(os.readlink(out / "latest-root-news"), str(number), "latest-root-news")
    following = service.compose("news2", repo_spec(BASE, packages=["nginx"], latest="news"))
    same(os.readlink(out / "latest-root-news"), str(following), "latest-root-news, later")
    return following


def test_end(service, out):
    """a compose that is over is gone by every name at once; who has a file open that was read may read on"""
    number = service.compose("ends", repo_spec(BASE, packages=["openssl"], flags=["no_reuse"]))
    equal = service.compose("equal", repo_spec(BASE, packages=["openssl"]))
    top = out / str(number)
    for name in (str(number), f"odcs-{number}", f"latest-root-{number}"):
        list((out / name / "compose").rglob("*")) # every name is known to the kernel now
    path = next((top / "compose").rglob("openssl-3*.rpm"))
    want = path.read_bytes()
    held, other = open(path, "rb"), os.open(top / "compose", os.O_RDONLY | os.O_DIRECTORY)
    os.rmdir(service.mnt / "requests/ends")
    os.rmdir(service.mnt / "requests/equal")
    for name in (str(number), f"odcs-{number}", f"latest-root-{number}", str(equal)):
        check(wait_for(lambda: code(os.stat, out / name) == errno.ENOENT, 5), f"{name} is gone")
    check(str(number) not in os.listdir(out), "it is not listed")
    same(code(open, path), errno.ENOENT, "a new open")
    same(held.read(), want, "an open file")
    os.posix_fadvise(held.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    held.close()
    os.close(other)


def test_changed(service, out, folder):
    """a source that is changed in place is an error, also for a file that is kept open; put back, it reads again"""
    shutil.copytree(BASE, folder / "changing")
    number = service.compose("changing", repo_spec(folder / "changing", packages=["apache2"], flags=["no_deps"]))
    path = next((out / str(number)).rglob("apache2*.rpm"))
    source = next((folder / "changing").rglob(path.name))
    want, times = source.read_bytes(), os.stat(source)

    def kept():
        forget_pages(path)
        return path.read_bytes() == want and figure(service, "odcsfs_export_files")
    check(wait_for(kept, 10, 0.5), "a file is kept open")
    source.write_bytes(bytes(reversed(want)))
    forget_pages(path)
    same(code(path.read_bytes), errno.EIO, "changed in place")
    check(path.name in os.getxattr(path, "user.odcs.error").decode(), "words at the file")
    source.write_bytes(want)
    os.utime(source, ns=(times.st_atime_ns, times.st_mtime_ns))
    same(path.read_bytes(), want, "put back")


def test_lease(service, out, following):
    """reads that only the kernel answers are noticed as well: compose/ is asked for again"""
    before = figure(service, "odcsfs_fuse_requests_total", op="lookup")
    path = out / f"{following}/compose/Temporary/x86_64/os/repodata/repomd.xml"
    path.read_bytes()
    check(wait_for(lambda: path.read_bytes() and
                   figure(service, "odcsfs_fuse_requests_total", op="lookup") > before, 15, 1), "asked again")


def test_unmount(service, out):
    """each mount ends alone, also lazily under an open file; SIGHUP brings back what is missing"""
    number = service.compose("stays", repo_spec(BASE, packages=["openssl"], flags=["no_reuse"]))
    for this, that in ((out, service.mnt), (service.mnt, out)):
        below = "" if this == out else "composes/"
        held = open(this / f"{below}{number}/COMPOSE_ID", "rb")
        check(run("umount", this).returncode != 0, f"umount {this.name} under an open file")
        same(run("umount", "-l", this).returncode, 0, f"lazy umount of {this.name}")
        check(not os.path.ismount(this) and os.path.ismount(that), f"{that.name} stays")
        check(next(that.rglob("COMPOSE_ID")).read_bytes(), f"{that.name} is read")
        service.process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        check(not os.path.ismount(this), f"{this.name}: not while the old one is held")
        check(held.read().startswith(b"odcs-"), "the open file reads on")
        held.close()
        check(wait_for(lambda: os.path.ismount(this), 10), f"{this.name} is mounted again")
        check((this / f"{below}{number}/COMPOSE_ID").read_bytes(), f"{this.name} is read again")
    same(run("umount", out).returncode, 0, "umount")
    check(wait_for(lambda: figure(service, "odcsfs_export_mounted") == 0, 5), "it is known")
    service.process.send_signal(signal.SIGHUP)
    check(wait_for(lambda: os.path.ismount(out), 10), "mounted again")


def test_stop(service, out):
    """SIGTERM with a file open, then kill -9: no mount is left, or the next start takes care of it"""
    held = open(next(out.rglob("COMPOSE_ID")), "rb")
    same(service.stop(), 0, "SIGTERM with a file of the export open")
    code(held.close) # not connected any more
    check(not os.path.ismount(out) and not os.path.ismount(service.mnt), "no mount is left")
    service.start()
    service.stop(signal.SIGKILL)
    check(wait_for(lambda: code(os.listdir, out) == errno.ENOTCONN, 5), "what a kill leaves")
    service.start()
    check(next(out.rglob("COMPOSE_ID")).read_bytes(), "read after the next start")
    beside = run(ODCSFS, "serve", "-c", "/dev/null", "-o", f"odcsfs.state_dir={service.dir}/other", "-o", "http.listen=127.0.0.1:0",
                 "-o", f"fs.export={out}", "-o", "odcsfs.mountpoint=")
    same((beside.returncode, "mounted already" in beside.stderr), (1, True), f"a second one there: {beside.stderr}")
    for mountpoint, export in ((service.mnt, service.mnt / "composes"), (service.mnt, service.mnt), (out / "x", out)):
        wrong = run(ODCSFS, "serve", "-c", "/dev/null", "-o", f"fs.export={export}", str(mountpoint))
        same((wrong.returncode, "fs.export must lie beside" in wrong.stderr), (2, True), f"{export} for {mountpoint}")


def test_alone(folder):
    """with no other mount: the export and HTTP"""
    out = folder / "alone"
    with Service(f"repo.allowed={UNIVERSE}", f"fs.export={out}", mount=False) as service:
        number = service.call("POST", "/api/1/composes/", repo_spec(BASE, packages=["openssl"])).json["id"]
        service.wait_rest(number)
        path = f"{number}/compose/Temporary/odcs-{number}.repo"
        same((out / path).read_bytes(), service.call("GET", f"/composes/{path}").body, "the same by both")
        check(f"file://{out}/odcs-{number}/" in (out / path.replace(".repo", ".local.repo")).read_text(), "local URLs")
        service.call("DELETE", f"/api/1/composes/{number}")
        check(wait_for(lambda: not (out / str(number)).exists(), 5), "gone")
    check(not os.path.ismount(out), "no mount is left")


def main():
    need_fuse()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="odcsfs-export-"))
    os.chmod(folder, 0o755)
    out, limits = folder / "out", resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        big = sized_repository(folder / "big", {"big": BIG})
        with Service() as service:
            first = re.search(r"^reads: (\w+)", (service.mnt / "version").read_text(), re.M)[1]
        if first != "passthrough":
            print(f"passthrough is not tried: this kernel reads by {first}")
        for mode in ("auto", "passthrough", "splice", "copy"):
            test_mode(mode, big, first)
            print("ok mode", mode, flush=True)
        test_no_rights(big)
        test_stacked(big)
        resource.setrlimit(resource.RLIMIT_NOFILE, (FILES_KEPT * 4, limits[1]))
        with Service(f"repo.allowed={UNIVERSE} {folder}", f"fs.export={out}") as service:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            number = service.compose("big", repo_spec(big, packages=["big"]))
            everything = service.compose("all", repo_spec(BASE))
            following = test_latest(service, out)
            test_same(service, out, following)
            test_readonly(out, number)
            test_bytes(service, out, number, (big / "big.rpm").read_bytes())
            test_bound(service, out, everything)
            for test in (test_states, test_end):
                test(service, out)
                print("ok", test.__name__, flush=True)
            test_changed(service, out, folder)
            test_lease(service, out, following)
            test_unmount(service, out)
            test_stop(service, out)
        test_alone(folder)
    finally:
        for name in ("out", "alone"):
            subprocess.run(["umount", "-l", folder / name], stderr=subprocess.DEVNULL, check=False)
        shutil.rmtree(folder, ignore_errors=True)
    end()


main()
