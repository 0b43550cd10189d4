# SPDX-License-Identifier: MIT
"""tests/system/handles.py: file handles, as NFS servers keep them: the same bytes after a restart and a new mount, opened
without a path, refused once the compose is over."""
import ctypes, errno, os, pathlib, shutil, signal, struct, subprocess, sys, tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import *

libc = ctypes.CDLL(None, use_errno=True)
ROOM = 128 # bytes of a handle


def handle_of(path):
    """(type, bytes), as name_to_handle_at(2) gives them"""
    buffer = ctypes.create_string_buffer(struct.pack("Ii", ROOM, 0), 8 + ROOM)
    mount = ctypes.c_int()
    if libc.name_to_handle_at(-100, os.fsencode(path), buffer, ctypes.byref(mount), 0):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(path))
    length, kind = struct.unpack_from("Ii", buffer.raw)
    return kind, buffer.raw[8:8 + length]


def open_handle(top, handle, flags=os.O_RDONLY):
    """a descriptor, by open_by_handle_at(2) on the mount of @top, which is all that a file server knows"""
    kind, inner = handle
    buffer = ctypes.create_string_buffer(struct.pack("Ii", len(inner), kind) + inner)
    mount = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fd = libc.open_by_handle_at(mount, buffer, flags)
        if fd < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return fd
    finally:
        os.close(mount)


def refused(top, handle):
    """errno of the open and first read; 0: it reads"""
    try:
        fd = open_handle(top, handle)
        try:
            os.listdir(fd) if is_directory(fd) else os.read(fd, 1)
        finally:
            os.close(fd)
    except OSError as error:
        return error.errno
    return 0


def is_directory(fd):
    return os.path.isdir(f"/proc/self/fd/{fd}")


def content(fd):
    with os.fdopen(fd, "rb") as file:
        return file.read()


def forget_all():
    """the kernel knows no name and no inode any more that nobody uses"""
    pathlib.Path("/proc/sys/vm/drop_caches").write_text("2\n")


class Kept:
    """what a file server remembers of a tree: handles, and what they led to"""

    def __init__(self, top, paths):
        self.handles, self.numbers, self.bytes = {}, {}, {}
        for path in paths:
            full = top / path
            self.handles[path] = handle_of(full)
            self.numbers[path] = os.lstat(full).st_ino
            self.bytes[path] = full.read_bytes() if full.is_file() and not full.is_symlink() else sorted(os.listdir(full))

    def check(self, top, text):
        """handles alone, before any name was looked for"""
        for path, handle in self.handles.items():
            try:
                fd = open_handle(top, handle)
            except OSError as error:
                check(False, f"{text}: {path}: {error}")
                continue
            same(os.fstat(fd).st_ino, self.numbers[path], f"{text}: number of {path}")
            if is_directory(fd):
                same(sorted(os.listdir(fd)), self.bytes[path], f"{text}: list of {path}")
                if path != ".":
                    same(os.stat("..", dir_fd=fd).st_ino, os.stat((top / path).parent).st_ino, f"{text}: .. of {path}")
                os.close(fd)
            else:
                check(content(fd) == self.bytes[path], f"{text}: bytes of {path}")
        for path, handle in self.handles.items():
            same(handle_of(top / path), handle, f"{text}: handle of {path}")


def names_of(top, below, number):
    """a file and a directory of each kind"""
    tree = f"{below}{number}/compose/Temporary/x86_64/os"
    rpm = next((top / tree).rglob("openssl-3*.rpm")).relative_to(top)
    return [below.rstrip("/") or ".", f"{below}{number}", tree, f"{tree}/repodata/repomd.xml", rpm.parent, rpm,
            f"{below}{number}/COMPOSE_ID", f"{below}{number}/compose/metadata/rpms.json", f"{below}{number}/logs/global"]


def main():
    need_fuse()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="odcsfs-handles-"))
    os.chmod(folder, 0o755)
    out = folder / "out"
    try:
        with Service(f"repo.allowed={UNIVERSE}", f"fs.export={out}") as service:
            number = service.compose("stays", repo_spec(BASE, packages=["openssl"]))
            ends = service.compose("ends", repo_spec(BASE, packages=["openssl", "nginx"], flags=["no_reuse"]))
            try:
                open_handle(out, handle_of(out / str(number)))
            except PermissionError:
                skip("handles need CAP_DAC_READ_SEARCH")
            control = [f"requests/stays/{name}" for name in ("status", "spec.json", "id")] + ["requests/stays", "by-state/done"]
            mounts = {"export": (out, Kept(out, names_of(out, "", number))),
                      "tree": (service.mnt, Kept(service.mnt, [*names_of(service.mnt, "composes/", number), *control]))}
            over = {"export": Kept(out, names_of(out, "", ends)[1:]),
                    "tree": Kept(service.mnt, names_of(service.mnt, "composes/", ends)[1:])}
            shared = {name: (kept.handles[names[1]], kept.handles[names[5]]) for name, (top, kept), names in
                      (("export", mounts["export"], names_of(out, "", number)),
                       ("tree", mounts["tree"], names_of(service.mnt, "composes/", number)))}
            same(shared["export"], shared["tree"], "a file's handle is the same in both mounts")

            def everything(text):
                for name, (top, kept) in mounts.items():
                    kept.check(top, f"{name} {text}")
            forget_all()
            everything("with empty caches")
            same(service.stop(), 0, "stop")
            service.start()
            everything("after a restart")
            service.stop(signal.SIGKILL)
            service.start()
            everything("after a kill")
            for top in (out, service.mnt):
                same(run("umount", top).returncode, 0, f"umount {top.name}")
            wait_for(lambda: not os.path.ismount(out) and not os.path.ismount(service.mnt))
            time.sleep(0.2)
            service.process.send_signal(signal.SIGHUP)
            check(wait_for(lambda: os.path.ismount(out) and os.path.ismount(service.mnt), 10), "mounted again")
            everything("after a new mount")

            for name, kept in over.items():
                for path, handle in kept.handles.items():
                    same(refused(mounts[name][0], handle), 0, f"{name}: {path} while it lives")
            os.rmdir(service.mnt / "requests/ends")
            wait_for(lambda: not (out / str(ends)).exists(), 5)
            for turn in ("at once", "after a restart"):
                for name, kept in over.items():
                    for path, handle in kept.handles.items():
                        same(refused(mounts[name][0], handle), errno.ESTALE, f"{name}: {path}, compose over, {turn}")
                service.stop()
                service.start()
            for top, kept in mounts.values():
                for path in {".", "composes", "by-state/done"} & {str(path) for path in kept.bytes}:
                    kept.bytes[path] = [name for name in kept.bytes[path] if name not in (str(ends), f"odcs-{ends}")]
            everything("at last")
            # of what the export does not show there is no handle either, and made up ones lead nowhere
            foreign = mounts["tree"][1].handles["requests/stays/status"]
            same(refused(out, foreign), errno.ESTALE, "a control file's handle in the export")
            kind, inner = mounts["export"][1].handles["."]
            for text, made in (("another generation", inner[:8] + b"\x07\0\0\0"), ("no such number", b"\x7f" * 8 + inner[8:])):
                for name in mounts:
                    same(refused(mounts[name][0], (kind, made + inner[12:])), errno.ESTALE, f"{name}: {text}")
    finally:
        subprocess.run(["umount", "-l", out], stderr=subprocess.DEVNULL, check=False)
        shutil.rmtree(folder, ignore_errors=True)
    end()


main()
