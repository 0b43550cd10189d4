# SPDX-License-Identifier: MIT
"""tests/system/expiry.py: expiry under fire: readers, renewals that race, unmounting.

ODCSFS_ROUNDS sets the rounds of readers against expiry (scripts/soak: 1,000). The kernel's memory answers none of their
reads: they are copied by the server (fs.read_mode=splice) and forgotten; its counter of them tells. A tenth of the rounds
is read as kernel and service like it best.

promises = 9, 12
"""
import contextlib, errno, os, pathlib, random, re, signal, sys, threading, time

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
                    forget(file)
                    middle = file.read(1000)
                    forget(file) # with what was read ahead
                    time.sleep(random.random() * 0.02)
                    if middle + file.read() != content:
                        self.wrong.append(f"{name}: other bytes")
                self.reads += 1
            except OSError as error:
                if error.errno not in GONE:
                    self.wrong.append(f"{name}: {error}")
                self.gone = True


def forget(file):
    """no page of it is left in the kernel's memory"""
    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def reads(service):
    """of the kernel, that reached the server"""
    text = service.call("GET", "/api/1/metrics/").body.decode()
    return int(re.search(r'^odcsfs_fuse_requests_total\{op="read"\} (\d+)$', text, re.M)[1])


def contents(tree):
    return [(p.relative_to(tree), p.read_bytes()) for p in sorted(tree.rglob("*")) if p.is_file()][:40]


def check_held(service, files, held, asked, text):
    """files of a compose that is over: whole for who has them open, gone for everybody else"""
    before = reads(service)
    for (name, content), file in zip(files, held):
        forget(file)
        same(os.pread(file.fileno(), len(content) + 1, 0), content, f"{text}: {name}, open since before the end")
        try:
            open(file.name, "rb").close()
            check(False, f"{text}: {name} was opened after the end")
        except OSError as error:
            same(error.errno, errno.ENOENT, f"{text}: {name} opened after the end")
    if asked:
        check(reads(service) - before >= len(held), f"{text}: {reads(service) - before} reads of {len(held)} files reached the server")


def test_readers(service, rounds, asked):
    """8 readers of a compose that ends: right bytes until ENOENT, nothing else; who has a file open reads it on.
    @asked: each read must have come to the server"""
    total, before = 0, reads(service)
    for round_ in range(rounds):
        request = service.submit(f"fire{round_}", repo_spec(BASE, packages=["openssl"]))
        (request / "wait").read_text()
        number = int((request / "id").read_text())
        tree = service.tree(number)
        files = contents(tree)
        readers = [Reader(tree, files) for _ in range(8)]
        wait_for(lambda: sum(reader.reads for reader in readers) > 1, 20)
        with contextlib.ExitStack() as stack:
            some = random.sample([f for f in files if f[1]], 3)
            held = [stack.enter_context(open(tree / name, "rb", buffering=0)) for name, _ in some]
            time.sleep(random.random() * 0.1)
            (request / "ctl").write_text("expire")
            for reader in readers:
                reader.join(60)
                if reader.wrong or not reader.gone:
                    check(False, f"round {round_}: {reader.wrong[:3]} gone={reader.gone}")
                total += reader.reads
            check_held(service, some, held, asked, f"round {round_}")
    came = reads(service) - before
    check(total > rounds, f"{total} files read in {rounds} rounds")
    if asked:
        check(came > total, f"{came} reads of {total} files reached the server")
    print(f"{total} files read in {rounds} rounds, {came} reads reached the server", flush=True)


def race(service, name, lead, seen):
    """renews a compose at @lead seconds before its end: (errno or 0, id)"""
    request = service.submit(name, repo_spec(BASE, packages=["openssl"], seconds_to_live=3, flags=["no_reuse"]))
    (request / "wait").read_text()
    number = int((request / "id").read_text())
    due = time.strptime(service.record(number)["time_to_expire"], "%Y-%m-%dT%H:%M:%SZ")
    time.sleep(max(0, time.mktime(due) - time.timezone - time.time() - lead))
    try:
        (request / "ttl").write_text("100")
        seen.append((0, number, request))
    except OSError as error:
        seen.append((error.errno, number, request))


def test_renewal_race(service):
    """renewals around the moment of expiry: each wins whole, or is told no; of those well before it some win, of those well
    after it some lose"""
    won = lost = round_ = 0
    rounds = max(1, ROUNDS // 18)
    while round_ < rounds or (round_ < rounds + 4 and not (won and lost)): # a busy machine may be late for all of them
        round_ += 1
        seen = []
        leads = [1, -2] + [random.random() * 0.4 - 0.2 for _ in range(4)]
        racers = [threading.Thread(target=race, args=(service, f"race{round_}-{n}", lead, seen)) for n, lead in enumerate(leads)]
        for racer in racers:
            racer.start()
        for racer in racers:
            racer.join(60)
        same(len(seen), len(leads), "races that came to an end")
        time.sleep(1.5)
        for code, number, request in seen:
            if code == 0:
                won += 1
                check((service.tree(number) / "x86_64/os/repodata/repomd.xml").exists(), f"renewed {number} lives on")
                same(service.record(number)["state_name"], "done", f"renewed {number}")
                os.rmdir(request)
            else:
                lost += 1
                check(code == errno.EBUSY, f"a renewal that came too late: errno {code}")
                check(wait_for(lambda: service.record(number)["state_name"] == "removed", 5), f"{number} is removed")
    check(won and lost, f"{won} renewals won, {lost} came too late")
    print(f"{won} renewals won, {lost} came too late", flush=True)


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
    for mode, rounds in (("splice", ROUNDS), ("auto", max(2, ROUNDS // 10))):
        with Service(f"repo.allowed={UNIVERSE}", f"fs.read_mode={mode}") as service:
            test_readers(service, rounds, mode == "splice")
            print("ok test_readers", mode, flush=True)
    with Service(f"repo.allowed={UNIVERSE}") as service:
        for test in (test_renewal_race, test_one_word, test_lazy_unmount):
            test(service)
            print("ok", test.__name__, flush=True)
    test_stop_with_open_files()
    print("ok test_stop_with_open_files", flush=True)
    end()


main()
