# SPDX-License-Identifier: MIT
"""tests/system/keeperkit.py: a service whose program and configuration are replaced, and a service manager."""
import fcntl, os, pathlib, shutil, signal, socket, struct, subprocess, sys, threading, time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import *


def is_slow():
    """a build that looks after itself"""
    return any(word in subprocess.run(["ldd", ODCSFS], capture_output=True, text=True).stdout
               for word in ("libasan", "libtsan"))


def kill_server(service):
    """the seconds until the next one has answered a lookup; -1: it never did"""
    pid, started = service.server_pid, time.monotonic()
    os.kill(pid, signal.SIGKILL)
    os.path.lexists(service.mnt / "requests" / f"none-{time.monotonic_ns()}") # always asked
    gap = time.monotonic() - started
    return gap if wait_for(lambda: service.server_pid not in (0, pid), 30) else -1


def reload(service, *more):
    return run(service.program, "reload", "-c", "/dev/null", "-o", f"odcsfs.state_dir={service.state}", *more)


def quiet(seconds=1.1):
    """a server that lived so long is not held back when it dies"""
    time.sleep(seconds)


class Replaceable(Service):
    """with a program that can be replaced, and a configuration file"""

    def __init__(self, *options, **more):
        super().__init__(*options, **more)
        self.copy, self.file = self.dir / "program", self.dir / "odcsfs.conf"
        self.put()
        self.file.write_text("[odcsfs]\nworkers = 1\n")

    @property
    def program(self):
        return self.copy

    def put(self, text=None):
        new = self.dir / "program.new"
        if text:
            new.write_text(text)
        else:
            shutil.copy(ODCSFS, new)
        new.chmod(0o755)
        os.rename(new, self.copy)

    def command(self):
        return [self.file if word == "/dev/null" else self.copy if word == ODCSFS else word for word in super().command()]


class Manager:
    """of systemd what the service speaks with: the socket it notifies, and the store of descriptors"""

    def __init__(self, folder):
        self.path, self.held, self.words = folder / "notify", {}, []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.environment = {"NOTIFY_SOCKET": str(self.path), "FDSTORE": "16"}
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        while True:
            text, control, _, _ = self.socket.recvmsg(4096, 1024)
            fds = [fd for _, kind, data in control for fd in struct.unpack("i" * (len(data) // 4), data)]
            lines = text.decode().splitlines()
            name = next((line[7:] for line in lines if line.startswith("FDNAME=")), None)
            if "FDSTORE=1" in lines:
                check("FDPOLL=0" in lines and len(fds) == 1 and ":" not in name, f"stored: {lines}")
                self.held[name] = fds[0]
            elif "FDSTOREREMOVE=1" in lines:
                fd = self.held.pop(name, None)
                fd is not None and os.close(fd)
            else:
                self.words.append(lines[0])

    def start(self, command, log):
        """with the descriptors, as systemd does it"""
        names, fds = list(self.held), list(self.held.values())

        def prepare():
            high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 100) for fd in fds]
            for at, fd in enumerate(high):
                os.dup2(fd, 3 + at)
        return subprocess.Popen(["sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh", *command], stdout=subprocess.PIPE, stderr=log,
                                pass_fds=range(3, 3 + len(fds)), preexec_fn=prepare,
                                env={**os.environ, **self.environment, "LISTEN_FDS": str(len(fds)),
                                     "LISTEN_FDNAMES": ":".join(names)})


def timed(test, *values):
    started = time.monotonic()
    test(*values)
    print(f"ok {test.__name__}: {time.monotonic() - started:.1f} s", flush=True)
