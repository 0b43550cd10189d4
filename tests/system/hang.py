# SPDX-License-Identifier: MIT
"""tests/system/hang.py: workers inside a read that the kernel does not let them leave: their composes end, others
are made, the service stops; killed ones are few and are forgotten once the kernel lets go of them.

    hang.py PROGRAM     (hang-fs.c)

promises = 12
"""
import os, pathlib, select, subprocess, sys, tempfile, time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import *

HANGS = "the worker hangs in the kernel and cannot be ended"
CORPSES = 3 # of one slot: CORPSES_MAX


class Trap:
    """a repository whose read never answers, until end()"""

    def __init__(self, program, folder, opens=False):
        self.path, self.process = folder, None
        self.program, self.environment = program, {**os.environ, **({"HANG_OPEN": "1"} if opens else {})}

    def __enter__(self):
        self.process = subprocess.Popen([self.program, "-f", "-o", "allow_other", self.path], stdout=subprocess.PIPE,
                                        env=self.environment)
        check(wait_for(lambda: os.path.ismount(self.path), 5), "the trap is mounted")
        return self

    def reader(self):
        """pid of the next process that reads; 0: nobody does"""
        ready = select.select([self.process.stdout], [], [], 10)[0]
        return int(self.process.stdout.readline()) if ready else 0

    def end(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
            self.process = None
            run("umount", "-l", self.path)

    def __exit__(self, *_):
        self.end()


def state_of(pid):
    """R, S, D, Z...; None: gone"""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return None


def hang(service, trap, name):
    """a compose whose worker is inside that read now: (id, pid)"""
    request = service.submit(name, repo_spec(trap.path, packages=[name]))
    reader = trap.reader()
    check(reader in service.children(), f"{name}: a worker is in that read")
    return int((request / "id").read_text()), reader


def fine(service, text, packages="openssl"):
    begun = time.monotonic()
    number = service.call("POST", "/api/1/composes/", repo_spec(BASE, packages=[packages], flags=["no_reuse"])).json["id"]
    record = service.wait_rest(number, 15)
    same(record and record["state_name"], "done", f"{text} ({time.monotonic() - begun:.1f} s)")


def test_deadline(service, trap):
    """beyond its time the compose fails; its worker stays, another one takes its place"""
    number, pid = hang(service, trap, "late")
    fine(service, "another compose meanwhile")
    begun = time.monotonic()
    record = service.wait_rest(number, 10)
    check(record and record["state_name"] == "failed" and HANGS in record["state_reason"]
          and "more time than allowed" in record["state_reason"], f"its record: {record}")
    check(time.monotonic() - begun < 6, "in time")
    same(state_of(pid), "D", "the killed worker")
    check(wait_for(lambda: len(service.children()) == 3, 5), f"a worker in its place: {service.children()}")
    fine(service, "another compose after it")
    same(len(os.listdir(service.state / "work")), 3, "the new worker has a directory of its own")


def test_stop(service, trap):
    """the service does not wait for them; the next start takes up what was under way"""
    number, pid = hang(service, trap, "under-way")
    begun = time.monotonic()
    same(service.stop(), 0, "exit code")
    check(time.monotonic() - begun < 5, f"stopped after {time.monotonic() - begun:.1f} s")
    same(state_of(pid), "D", "the worker that was left behind")
    check(f"worker {pid}: hangs in the kernel; left behind" in service.log_text(), "said in the log")
    trap.end()
    service.start()
    record = service.wait_rest(number, 10)
    check(record["state_name"] == "failed" and HANGS not in record["state_reason"], f"taken up again: {record}")
    fine(service, "after the start")
    same(sorted(os.listdir(service.state / "work")), ["0", "1"], "directories of those that hung were swept")


def test_rest(service, trap):
    """a slot with too many of them rests, until the kernel lets one go"""
    pids = []
    for number in range(CORPSES):
        compose, pid = hang(service, trap, f"cancelled-{number}")
        pids.append(pid)
        begun = time.monotonic()
        os.rmdir(service.mnt / f"requests/cancelled-{number}")
        same(service.record(compose)["state_name"], "failed", "cancelled")
        check(wait_for(lambda: state_of(pid) == "D", 5), "killed, but not gone")
        check(time.monotonic() - begun < 3, f"after {time.monotonic() - begun:.1f} s")
    check(wait_for(lambda: "hang in the kernel: no other is started" in service.log_text(), 5), "said in the log")
    same(sorted(service.children()), sorted(pids), "no other worker")
    number = service.call("POST", "/api/1/composes/", repo_spec(BASE, packages=["openssl"])).json["id"]
    used = sum(int(word) for word in pathlib.Path(f"/proc/{service.server_pid}/stat").read_text().split()[13:15])
    time.sleep(1)
    used = sum(int(word) for word in pathlib.Path(f"/proc/{service.server_pid}/stat").read_text().split()[13:15]) - used
    check(used < 50, f"it does not spin: {used} ticks in a second")
    same(service.record(number)["state_name"], "wait", "a compose while the slot rests")
    trap.end()
    record = service.wait_rest(number, 10)
    same(record and record["state_name"], "done", "once they were let go")
    check(wait_for(lambda: not any(state_of(p) for p in pids), 5), "they are reaped")


def test_open(service, trap):
    """who hangs is not the worker, but the process that opens files for it: the same"""
    request = service.submit("opening", repo_spec(trap.path, packages=["x"]))
    number, opener = int((request / "id").read_text()), trap.reader()
    check(opener and b"--open" in pathlib.Path(f"/proc/{opener}/cmdline").read_bytes().split(b"\0"),
          f"process {opener} opens")
    fine(service, "another compose meanwhile")
    record = service.wait_rest(number, 10)
    check(record and record["state_name"] == "failed" and HANGS in record["state_reason"]
          and "more time than allowed" in record["state_reason"], f"its record: {record}")
    same(state_of(opener), "D", "the killed opener")
    check(wait_for(lambda: len(service.workers(2)) == 2, 5), f"a worker in its place: {service.children()}")
    fine(service, "another compose after it")
    trap.end()
    check(wait_for(lambda: not state_of(opener), 5), "it is reaped")


def main():
    need_fuse()
    with tempfile.TemporaryDirectory(prefix="odcsfs-hang-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)
        with Trap(sys.argv[1], folder) as trap, Service("odcsfs.workers=2", "limits.worker_seconds=2") as service:
            test_deadline(service, trap)
            test_stop(service, trap)
            trap.end()
        with Trap(sys.argv[1], folder, opens=True) as trap, \
                Service("odcsfs.workers=2", "limits.worker_seconds=2") as service:
            test_open(service, trap)
        with Trap(sys.argv[1], folder) as trap, Service("odcsfs.workers=1") as service:
            test_rest(service, trap)
    end()


main()
