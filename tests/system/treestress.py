# SPDX-License-Identifier: MIT
"""tests/system/treestress.py: many at once on the mounted tree.

    treestress.py --driver FS-DRIVER [--rounds N] [--seconds N] [GROUP]...

clients   16 processes of two users make, submit, read, renew and remove requests; nothing hangs, no
          operation answers with an errno that its moment does not allow
expiry    8 readers while composes expire: whole files with the right bytes, or ENOENT at the open
restart   stop and start under readers and blocked waiters: clean, in time
"""
import argparse, collections, errno, hashlib, json, os, random, signal, subprocess, sys, threading
import time, traceback

from treekit import *

SPEC = '{"source":{"type":"repo","source":"/srv/repo","packages":["ed"]},"seconds_to_live":%d}'


class Builder(threading.Thread):
    """Makes what is waiting, as workers would; some composes fail."""

    def __init__(self, driver):
        super().__init__(daemon=True)
        self.driver, self.ending, self.made = driver, False, 0
        self.start()

    def run(self):
        while not self.ending:
            compose = self.driver.say("claim")
            if not compose:
                time.sleep(0.002)
                continue
            try:
                self.driver.say(f"progress {compose} 1 2 solve x")
                if compose % 10 == 3:
                    self.driver.say(f"fail {compose} Error while generating compose: no luck")
                else:
                    self.driver.say(f"finish {compose} 3")
                self.made += 1
            except RuntimeError as error:
                if "-116" not in str(error):  # ESTALE: cancelled meanwhile
                    raise

    def end(self):
        self.ending = True
        self.join()


# ---- clients ----------------------------------------------------------------------------------------------

ALLOWED = {  # beside success; a race with the own requests' states, never with others'
    "ttl": {errno.EBUSY}, "ctl": {errno.EBUSY}, "touch": {errno.EBUSY},
    "result": {errno.ENOENT}, "package": {errno.ENOENT}, "wait": set(), "submit": set(),
    "mkdir": set(), "rmdir": set(), "read": set(), "list": set(), "view": {errno.ENOENT},
    "break": {errno.EINVAL}, "rename": set(), "new": set(), "note": set(),
}


def client(mnt, number, seconds, writer):
    """One process: counts of (operation, errno), the unexpected ones first."""
    chance, counts, mine = random.Random(number), collections.Counter(), []
    limit = time.monotonic() + seconds

    def attempt(what, function):
        try:
            value = function()
            counts[what, 0] += 1
            return value
        except OSError as error:
            counts[what, error.errno] += 1
            return None

    def submit():
        path = mnt / f"requests/s{number}-{chance.getrandbits(60)}"
        attempt("mkdir", lambda: os.mkdir(path))
        way = chance.randrange(4)
        if way == 0:
            attempt("break", lambda: write(path / "spec.json", '{"half":'))
        if way == 1:
            attempt("rename", lambda: (create(path / "x.tmp", (SPEC % 3600).encode()),
                                       os.rename(path / "x.tmp", path / "spec.json")))
        else:
            attempt("submit", lambda: write(path / "spec.json", SPEC % chance.randrange(600, 9000)))
        mine.append(path)

    def package(path):
        for folder, _, files in os.walk(path / "result"):
            for name in files:
                if name.endswith(".rpm"):
                    data = read(os.path.join(folder, name))
                    if len(data) != 300007:
                        raise OSError(errno.EBADMSG, "short package")

    while time.monotonic() < limit:
        deed = chance.randrange(14)
        path = chance.choice(mine) if mine else None
        if path is None or deed < 3:
            submit()
        elif deed == 3:
            attempt("read", lambda: [read(path / name) for name in (
                "status", "id", "compose.json", "error", "log", "progress", "ttl", "spec.json")])
        elif deed == 4:
            attempt("ttl", lambda: write(path / "ttl", str(chance.randrange(600, 9000))))
        elif deed == 5:
            attempt("touch", lambda: os.utime(path))
        elif deed == 6:
            attempt("result", lambda: os.stat(path / "result/"))
        elif deed == 7:
            attempt("package", lambda: package(path))
        elif deed == 8:
            attempt("wait", lambda: read(path / "wait"))
        elif deed == 9:
            attempt("ctl", lambda: write(path / "ctl", chance.choice(
                ["cancel", "renew", "renew 700", "expire"]), 0))
        elif deed == 10:
            attempt("list", lambda: (os.listdir(path), os.listdir(mnt / "requests"),
                                     os.listdir(mnt / "composes")))
        elif deed == 11:
            attempt("view", lambda: [os.readlink(entry.path) for entry in os.scandir(
                mnt / f"by-state/{chance.choice(['done', 'failed', 'wait'])}")])
        elif deed == 12:
            def new():
                fd = os.open(mnt / "new", os.O_RDWR)
                os.write(fd, (SPEC % 3600).encode())
                json.loads(os.read(fd, 1 << 20))
                os.close(fd)
            attempt("new", new)
            attempt("note", lambda: os.setxattr(path, "user.odcs.note", b"n"))
        if len(mine) > 8 or deed == 13:
            attempt("rmdir", lambda: os.rmdir(mine.pop(0)))
    for path in mine:
        attempt("rmdir", lambda: os.rmdir(path))
    os.write(writer, json.dumps([[what, number, count]
                                 for (what, number), count in counts.items()]).encode())


def group_clients(driver, options):
    builder, readers = Builder(driver), []
    for number in range(16):
        reader, writer = os.pipe()
        readers.append(reader)
        if not os.fork():
            try:
                signal.alarm(options.seconds + 60)
                if number % 2:
                    os.setgroups([])
                    os.setgid(NOBODY)
                    os.setuid(NOBODY)
                client(driver.mnt, number, options.seconds, writer)
            except BaseException as error:
                os.write(writer, json.dumps([[repr(error), -1, 1]]).encode())
            finally:
                os._exit(0)
        os.close(writer)
    slowest, began = 0, time.monotonic()
    while time.monotonic() - began < options.seconds:
        before = time.monotonic()
        os.listdir(driver.mnt)
        os.statvfs(driver.mnt)
        read(driver.mnt / "README")
        slowest = max(slowest, time.monotonic() - before)
        time.sleep(0.02)
    total = collections.Counter()
    for number, reader in enumerate(readers):
        with os.fdopen(reader, "rb") as stream:
            data = stream.read()
        os.wait()
        true(f"client {number} came to its end", data)
        for what, code, count in json.loads(data or b"[]"):
            total[what, code] += count
    builder.end()
    for (what, code), count in sorted(total.items()):
        good = code == 0 or code in ALLOWED.get(what, set())
        report(good, f"{what} × {count}", "success or its race", name_of(code) if code else "0")
    true("all operations happened", {what for what, code in total if not code} == set(ALLOWED) - {"break"},
         sorted({what for what, code in total if not code} ^ set(ALLOWED)))
    print(f"     {builder.made} composes made; slowest ls + statfs + cat beside them "
          f"{slowest * 1000:.1f} ms")


# ---- expiry -----------------------------------------------------------------------------------------------------

def expiry_reader(mnt, digest, writer, stop):
    counts = collections.Counter()
    while not os.path.exists(stop):
        try:
            ids = [name for name in os.listdir(mnt / "composes") if name.isdigit()]
            path = mnt / "composes" / random.choice(ids) / "compose/Temporary/x86_64/os/Packages/f"
            path /= "foo-first0-1.0-1.noarch.rpm"
            fd = os.open(path, os.O_RDONLY)
        except (FileNotFoundError, IndexError):
            counts["ENOENT at the open"] += 1
            continue
        except OSError as error:
            counts[f"open: {name_of(error.errno)}"] += 1
            continue
        try:
            data = hashlib.sha256()
            while part := os.read(fd, 1 << 16):
                data.update(part)
            counts["whole" if data.hexdigest() == digest else "wrong bytes"] += 1
        except OSError as error:
            counts[f"read: {name_of(error.errno)}"] += 1
        os.close(fd)
    os.write(writer, json.dumps(counts).encode())


def group_expiry(driver, options):
    def make():
        path = driver.mnt / "requests" / f"e{os.getpid()}-{random.getrandbits(60)}"
        os.mkdir(path)
        write(path / "spec.json", SPEC % 3600)
        driver.done(int(text(path / "id")))
        return path

    live = [make() for _ in range(3)]
    compose = int(text(live[0] / "id"))
    digest = hashlib.sha256(read(driver.mnt / f"composes/{compose}/compose/Temporary/x86_64/os/Packages"
                                 "/f/foo-first0-1.0-1.noarch.rpm")).hexdigest()
    stop, readers = driver.folder / "stop", []
    for _ in range(8):
        reader, writer = os.pipe()
        readers.append(reader)
        if not os.fork():
            signal.alarm(600)
            try:
                expiry_reader(driver.mnt, digest, writer, stop)
            finally:
                os._exit(0)
        os.close(writer)
    told = collections.Counter()
    for number in range(options.rounds):
        live.append(make())
        path = live.pop(0)
        compose = int(text(path / "id"))
        renewals = []

        def renew():
            try:
                write(path / "ttl", "500")
                renewals.append(True)
            except OSError as error:
                renewals.append(error.errno)

        racer = threading.Thread(target=renew)
        if number % 4 == 0:
            racer.start()
        try:
            write(path / "ctl", "expire", 0)
        except OSError as error:
            told[f"expire: {name_of(error.errno)}"] += 1
        if number % 4 == 0:
            racer.join()
        driver.say("expire")
        gone = text(path / "status") == "removed\n"
        # The kernel is told by another thread, a moment later; an open is refused at once.
        if not until(lambda: gone != os.path.lexists(driver.mnt / f"composes/{compose}"), 1):
            told["state and tree differ"] += 1
        if renewals and renewals[0] not in (True, errno.EBUSY):
            told[f"renewal: {name_of(renewals[0])}"] += 1
        os.rmdir(path)
    stop.touch()
    counts = collections.Counter()
    for reader in readers:
        with os.fdopen(reader, "rb") as stream:
            counts.update(json.loads(stream.read() or b'{"died": 1}'))
        os.wait()
    stop.unlink()
    same("states and renewals", {}, dict(told))
    same("what readers saw, beside whole files and ENOENT at the open", [],
         sorted(set(counts) - {"whole", "ENOENT at the open"}))
    true("whole files were read", counts["whole"] > options.rounds, dict(counts))
    print(f"     {options.rounds} rounds, {dict(counts)}")
    for path in live:
        os.rmdir(path)
    driver.say("expire")
    true("nothing is counted as open", until(lambda: not any(
        driver.say(f"opens {number}") for number in range(1, compose + 10))))


def group_restart(driver, options):
    os.mkdir(path := driver.mnt / f"requests/r{os.getpid()}")
    write(path / "spec.json", SPEC % 3600)
    driver.done(int(text(path / "id")), 300)
    os.mkdir(draft := driver.mnt / f"requests/d{os.getpid()}")
    for _ in range(max(3, options.rounds // 100)):
        stop, children = driver.folder / "stop", []
        for number in range(6):
            if not (pid := os.fork()):
                signal.alarm(60)
                while not os.path.exists(stop):
                    try:
                        if number < 3:
                            raw_read(os.open(draft / "wait", os.O_RDONLY), 100)
                        else:
                            subprocess.run(["find", driver.mnt, "-ls"], stdout=subprocess.DEVNULL,
                                           stderr=subprocess.DEVNULL, check=False)
                    except OSError:
                        pass
                os._exit(0)
            children.append(pid)
        time.sleep(random.random() * 0.3)
        code, seconds = driver.stop()
        report(code == 0 and seconds < 5, "stop under readers and waiters", "0 in 5 s",
               f"{code} in {seconds:.2f} s")
        stop.touch()
        for pid in children:
            os.waitpid(pid, 0)
        stop.unlink()
        driver.start()
    os.rmdir(path)
    os.rmdir(draft)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--driver", required=True)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("groups", nargs="*", default=["clients", "expiry", "restart"])
    options = parser.parse_args()
    if os.geteuid() or not os.path.exists("/dev/fuse"):
        print("skipped: needs root and /dev/fuse")
        sys.exit(77)
    driver = Driver(options.driver, "drafts=1000")
    for group in options.groups:
        print(f"# {group}", flush=True)
        try:
            globals()[f"group_{group}"](driver, options)
        except Exception as error:
            report(False, f"group {group}", "to run", repr(error))
            traceback.print_exc()
    same("exit code of the driver", 0, driver.stop()[0])
    driver.remove()
    finish()


if __name__ == "__main__":
    main()
