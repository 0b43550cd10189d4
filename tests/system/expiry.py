# SPDX-License-Identifier: MIT
"""tests/system/expiry.py: expiry under fire: readers, renewals that race, unmounting.

ODCSFS_ROUNDS sets the rounds of readers against expiry (scripts/soak: 1,000).

promises = 9, 12
"""
import errno, os, pathlib, random, signal, sys, threading, time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import *

ROUNDS = int(os.environ.get("ODCSFS_ROUNDS", "20"))
GONE = {errno.ENOENT}


class Reader(threading.Thread):
    """opens and reads the files of a compose until it is gone; every byte is compared"""

    def __init__(self, top, files):
        super().__init__()
        self.top, self.files, self.wrong, self.reads, self.gone = top, files, [], 0, False
        self.start()

    def run(self):
        limit = time.monotonic() + 60
        while not self.gone and time.monotonic() < limit:
            name, content = random.choice(self.files)
            try:
                with open(self.top / name, "rb", buffering=0) as file:
                    middle = file.read(1000)
                    time.sleep(random.random() * 0.02)
                    if middle + file.read() != content:
                        self.wrong.append(f"{name}: other bytes")
                self.reads += 1
            except OSError as error:
                if error.errno not in GONE:
                    self.wrong.append(f"{name}: {error}")
                self.gone = True


def contents(tree):
    return [(p.relative_to(tree), p.read_bytes()) for p in sorted(tree.rglob("*")) if p.is_file()][:40]


def test_readers(service):
    """8 readers of a compose that ends: right bytes until ENOENT, nothing else"""
    reads = 0
    for round_ in range(ROUNDS):
        request = service.submit(f"fire{round_}", repo_spec(BASE, packages=["openssl"]))
        (request / "wait").read_text()
        number = int((request / "id").read_text())
        tree = service.tree(number)
        files = contents(tree)
        readers = [Reader(tree, files) for _ in range(8)]
        wait_for(lambda: sum(reader.reads for reader in readers) > 1, 20)
        time.sleep(random.random() * 0.1)
        (request / "ctl").write_text("expire")
        for reader in readers:
            reader.join(60)
            if reader.wrong or not reader.gone:
                check(False, f"round {round_}: {reader.wrong[:3]} gone={reader.gone}")
            reads += reader.reads
    check(reads > ROUNDS, f"{reads} files read in {ROUNDS} rounds")
    print(f"{reads} files read in {ROUNDS} rounds", flush=True)


def test_renewal_race(service):
    """a renewal at the moment of expiry wins whole, or is told no"""
    won = 0
    for round_ in range(max(4, ROUNDS // 3)):
        spec = repo_spec(BASE, packages=["openssl"], seconds_to_live=1)
        request = service.submit(f"race{round_}", spec)
        (request / "wait").read_text()
        number = int((request / "id").read_text())
        due = time.strptime(service.record(number)["time_to_expire"], "%Y-%m-%dT%H:%M:%SZ")
        pause = time.mktime(due) - time.timezone - time.time() + random.random() * 0.4 - 0.2
        time.sleep(max(0, pause))
        try:
            (request / "ttl").write_text("100")
            seen = 0
        except OSError as error:
            seen = error.errno
        if seen == 0:
            won += 1
            time.sleep(1.5)
            check((service.tree(number) / "x86_64/os/repodata/repomd.xml").exists(), f"renewed {number} lives on")
            same(service.record(number)["state_name"], "done", f"renewed {number}")
            os.rmdir(request)
        else:
            check(seen == errno.EBUSY, f"a renewal that came too late: errno {seen}")
            check(wait_for(lambda: service.record(number)["state_name"] == "removed", 5), f"{number} is removed")
    print(f"{won} renewals won", flush=True)


def test_one_word(service):
    """a reader of `wait` gets one word, although the state changes between its reads"""
    request = service.submit("word", repo_spec(BASE, packages=["openssl"]))
    fd = os.open(request / "wait", os.O_RDONLY)
    first = os.read(fd, 2)
    (request / "ctl").write_text("expire")
    check(wait_for(lambda: (request / "status").read_text() == "removed\n", 5), "expired")
    rest = b"".join(iter(lambda: os.read(fd, 3), b""))
    os.close(fd)
    same(first + rest, b"done\n", "wait read in pieces")


def test_lazy_unmount(service):
    """umount -l with an open file: the file stays readable, the service goes on"""
    number = service.compose("lazy", repo_spec(BASE, packages=["openssl"]))
    path = service.tree(number) / "x86_64/os/repodata/repomd.xml"
    content = path.read_bytes()
    with open(path, "rb") as held:
        same(run("umount", "-l", service.mnt).returncode, 0, "umount -l")
        same(held.read(), content, "an open file after umount -l")
        same(service.call("GET", f"/api/1/composes/{number}").status, 200, "HTTP after umount -l")
        service.process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        check(not path.exists(), "not mounted while the old tree is held open")
    check(wait_for(path.exists, 10), "mounted again after the last close, as SIGHUP asked for")


def test_stop_with_open_files():
    """SIGTERM with open files and blocked readers: a clean stop in 5 s, no mount left"""
    service = Service(f"repo.allowed={UNIVERSE}").start()
    number = service.compose("open", repo_spec(BASE, packages=["openssl"]))
    draft = service.mnt / "requests/draft"
    os.mkdir(draft)
    seen = []
    opened = threading.Event()
    def blocked():
        try:
            with open(draft / "wait") as file:
                opened.set()
                seen.append(file.read())
        except OSError as error:
            seen.append(error.errno)
    reader = threading.Thread(target=blocked)
    reader.start()
    opened.wait(20)
    time.sleep(0.2)
    with open(service.tree(number) / "x86_64/os/repodata/repomd.xml", "rb"):
        started = time.monotonic()
        same(service.stop(), 0, "exit code with open files")
        check(time.monotonic() - started < 5, "stopped within 5 s")
    reader.join(10)
    check(seen and seen[0] in (errno.EINTR, errno.ENOTCONN, errno.ECONNABORTED), f"a blocked reader sees {seen}")
    check(not os.path.ismount(service.mnt), "no mount left")
    service.close()


def main():
    need_fuse()
    with Service(f"repo.allowed={UNIVERSE}") as service:
        for test in (test_readers, test_renewal_race, test_one_word, test_lazy_unmount):
            test(service)
            print("ok", test.__name__, flush=True)
    test_stop_with_open_files()
    print("ok test_stop_with_open_files", flush=True)
    end()


main()
