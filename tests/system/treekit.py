# SPDX-License-Identifier: MIT
"""tests/system/treekit.py: what tree.py drives the mounted tree with.

Two users (root, nobody), each operation in a child of that user so that the kernel sees the real
caller; cases that print what, wanted and seen and are counted; the driver that stands in for workers,
or a running service.
"""
import ctypes, errno, json, os, pathlib, pickle, shutil, signal, subprocess, sys, tempfile, threading
import time

NOBODY = 65534
USERS = {"root": 0, "nobody": NOBODY, "other": 12345}
libc = ctypes.CDLL(None, use_errno=True)

cases = failures = skipped = serial = 0


def name_of(value):
    """An errno as its name, anything else as it is."""
    if value == errno.EOPNOTSUPP:
        return "EOPNOTSUPP"  # the same number as ENOTSUP
    return errno.errorcode.get(value, str(value)) if isinstance(value, int) else repr(value)


class Fault(Exception):
    """An errno by value: what went wrong in the child."""

    def __init__(self, number):
        super().__init__(errno.errorcode.get(number, number))
        self.number = number


def in_child(user, function):
    """What function() returns in a child process of that user, or Fault."""
    reader, writer = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if not pid:
        os.close(reader)
        try:
            signal.alarm(60)
            if USERS[user]:
                os.setgroups([])
                os.setgid(USERS[user])
                os.setuid(USERS[user])
            try:
                answer = ("value", function())
            except OSError as error:
                answer = ("errno", error.errno)
            os.write(writer, pickle.dumps(answer))
        except BaseException as error:  # the child must never run the parent's code
            os.write(writer, pickle.dumps(("broken", repr(error))))
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        data = stream.read()
    os.waitpid(pid, 0)
    kind, value = pickle.loads(data) if data else ("broken", "child died")
    if kind == "errno":
        raise Fault(value)
    if kind == "broken":
        raise RuntimeError(value)
    return value


def report(good, what, want, seen):
    global cases, failures
    cases += 1
    failures += not good
    print(f"{'ok  ' if good else 'FAIL'} {what}: expected {want}, seen {seen}", flush=True)
    return good


def expect(what, want, function, user="root"):
    """Run as user; want is 0 (success), the name of an errno, or a value that must come back."""
    try:
        value = in_child(user, function)
        seen = "0" if want == 0 else repr(value)
        good = want == 0 or (not (isinstance(want, str) and want in errno.errorcode.values())
                             and value == want)
    except Fault as fault:
        seen, good = name_of(fault.number), want == name_of(fault.number)
    except RuntimeError as error:
        seen, good = str(error), False
    return report(good, f"{what} [{user}]", want if isinstance(want, str) else repr(want), seen)


def same(what, want, seen):
    return report(want == seen, what, repr(want), repr(seen))


def true(what, condition, seen=""):
    return report(bool(condition), what, "true", seen if not condition else "true")


def skip(what, reason):
    global skipped
    skipped += 1
    print(f"skip {what}: {reason}", flush=True)


def finish():
    print(f"{cases} cases, {failures} failed, {skipped} skipped")
    sys.exit(1 if failures or not cases else 0)


def until(condition, seconds=10):
    limit = time.monotonic() + seconds
    while True:
        try:
            value = condition()
        except OSError:
            value = None
        if value or time.monotonic() > limit:
            return value
        time.sleep(0.01)


# ---- system calls that Python hides or softens -----------------------------------------------------

def call(function, *arguments):
    ctypes.set_errno(0)
    result = function(*arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def raw_read(fd, size):
    """read(2) once: EINTR comes through."""
    buffer = ctypes.create_string_buffer(size)
    length = call(libc.read, fd, buffer, ctypes.c_size_t(size))
    return buffer.raw[:length]


def fallocate(fd, mode, offset, length):
    return call(libc.fallocate, fd, mode, ctypes.c_long(offset), ctypes.c_long(length))


def renameat2(old, new, flags):
    return call(libc.renameat2, -100, os.fsencode(old), -100, os.fsencode(new), flags)


def getdents(fd, size):
    """Entries of one getdents64(2) call: (inode, cookie, name)."""
    buffer = ctypes.create_string_buffer(size)
    length = call(libc.syscall, 217, fd, buffer, ctypes.c_uint(size))
    entries, at = [], 0
    while at < length:
        record = int.from_bytes(buffer.raw[at + 16:at + 18], "little")
        entries.append((int.from_bytes(buffer.raw[at:at + 8], "little"),
                        int.from_bytes(buffer.raw[at + 8:at + 16], "little", signed=True),
                        buffer.raw[at + 19:at + record].split(b"\0")[0].decode()))
        at += record
    return entries


class FileHandle(ctypes.Structure):
    _fields_ = [("bytes", ctypes.c_uint), ("type", ctypes.c_int), ("data", ctypes.c_ubyte * 128)]


def file_handle(path):
    handle, mount = FileHandle(128), ctypes.c_int()
    call(libc.name_to_handle_at, -100, os.fsencode(path), ctypes.byref(handle), ctypes.byref(mount),
         0)
    return handle


def open_handle(mount_fd, handle, flags=os.O_RDONLY):
    return call(libc.open_by_handle_at, mount_fd, ctypes.byref(handle), flags)


# ---- small deeds -------------------------------------------------------------------------------------

def read(path, size=1 << 20):
    fd = os.open(path, os.O_RDONLY)
    try:
        parts = []
        while part := os.read(fd, size):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(fd)


def text(path):
    return read(path).decode()


def write(path, data, flags=os.O_TRUNC):
    """open, write, close: the first error of any of them."""
    fd = os.open(path, os.O_WRONLY | flags)
    data = data.encode() if isinstance(data, str) else data
    try:
        while data:
            data = data[os.write(fd, data):]
    except OSError:
        try:
            os.close(fd)
        except OSError:
            pass
        raise
    os.close(fd)


def opened(path, flags):
    os.close(os.open(path, flags))


def create(path, data=b"", mode=0o644):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    if data:
        os.write(fd, data)
    os.close(fd)


# ---- who answers ---------------------------------------------------------------------------------------

class Driver:
    """fs-driver: states change when we say so."""
    real = False
    repository, package = "/srv/repo", "ed"

    def __init__(self, program, *options, folder=None):
        self.program, self.options = program, options
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="odcsfs-tree-"))
        os.chmod(self.folder, 0o755)
        self.mnt = self.folder / "odcs"
        self.lock = threading.Lock()
        self.start()

    def start(self):
        self.log = open(self.folder / "driver.log", "ab")
        self.process = subprocess.Popen([self.program, self.folder / "state", self.mnt,
                                         *self.options], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=self.log, text=True)
        line = self.process.stdout.readline()
        if line != "ready\n":
            raise RuntimeError(f"driver: {line!r} {(self.folder / 'driver.log').read_text()}")

    def say(self, line):
        with self.lock:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline().split(" ", 2)
        if not answer or answer[0] != "ok":
            raise RuntimeError(f"{line}: {' '.join(answer)}")
        return int(answer[1])

    def stop(self, how="quit"):
        """Exit code and seconds it took."""
        began = time.monotonic()
        if how == "kill":
            self.process.kill()
        else:
            self.process.stdin.write("quit\n")
            self.process.stdin.flush()
        try:
            code = self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = "hung"
            self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        self.log.close()
        return code, time.monotonic() - began

    def remove(self):
        """Everything is gone; what a sanitizer wrote is shown and counts."""
        words = (self.folder / "driver.log").read_text()
        bad = [line for line in words.splitlines()
               if "Sanitizer" in line or "runtime error" in line]
        true("no sanitizer report", not bad, words[:4000])
        subprocess.run(["umount", "-l", self.mnt], stderr=subprocess.DEVNULL, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def claim(self, compose):
        """Make this one generating (older ones are, too)."""
        for _ in range(1000):
            claimed = self.say("claim")
            if claimed == compose or not claimed:
                return
        raise RuntimeError("nothing to claim")

    def done(self, compose, files=3):
        self.claim(compose)
        self.say(f"finish {compose} {files}")

    def failed(self, compose):
        self.claim(compose)
        self.say(f"fail {compose} Error while generating compose: no such repository")


class Service:
    """A running odcsfs: its workers make the composes."""
    real = True

    def __init__(self, mountpoint, repository, package):
        self.mnt, self.repository, self.package = pathlib.Path(mountpoint), repository, package

    def done(self, compose, files=0):
        if not until(lambda: os.path.exists(self.mnt / f"by-state/done/{compose}"), 60):
            raise RuntimeError(f"compose {compose} is not done")


CONTROL = ["spec.json", "status", "id", "compose.json", "error", "log", "progress", "wait", "ttl",
           "ctl"]
READ_ONLY = ["status", "id", "compose.json", "error", "log", "progress", "wait"]
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


def read_twice(path):
    fd = os.open(path, os.O_RDONLY)
    return os.read(fd, 100), os.read(fd, 100)
