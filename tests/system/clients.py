# SPDX-License-Identifier: MIT
"""tests/system/clients.py: 16 clients at once, by the tree and by HTTP.

ODCSFS_SECONDS: how long the clients run (8).
"""
import collections, errno, http.client, json, os, pathlib, random, re, signal, sqlite3, sys, time
import multiprocessing

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import *

SECONDS = int(os.environ.get("ODCSFS_SECONDS", "8"))
NAMES = sorted({p.name.rsplit("-", 2)[0] for p in BASE.rglob("*.rpm")})
CONNECTIONS = 33 # to the catalogue: the writer, and the pool of readers that stays (core/catalogue/internal.h)

# what an operation may meet beside success, because somebody else was there first
RACES = {
    "renew": {errno.EBUSY},  # not done yet, or failed
    "ctl": {errno.EBUSY},
    "result": {errno.ENOENT}, # not done
    "views": {errno.ENOENT},  # gone between readdir and readlink
    "composes": {errno.ENOENT},
    "PATCH": {404},  # not done yet
    "DELETE": {400}, # while it is made
    "GET file": {404},
    "GET other": {404},
}


class Client:
    """one of the 16: random deeds on its own requests, and looks at everybody's"""

    def __init__(self, service, number):
        self.service, self.number = service, number
        self.chance, self.counts, self.mine, self.made = random.Random(number), collections.Counter(), [], []

    def attempt(self, what, deed):
        """count what came of it: 0 or 2xx is success"""
        try:
            result = deed()
            self.counts[what, result if isinstance(result, int) and not 200 <= result < 300 else 0] += 1
        except OSError as error:
            self.counts[what, error.errno or repr(error)] += 1
        except (http.client.HTTPException, ValueError, KeyError) as error:
            self.counts[what, repr(error)] += 1

    def spec(self):
        return repo_spec(BASE, packages=self.chance.sample(NAMES, 2), flags=["no_deps"],
                         seconds_to_live=self.chance.choice([1, 2, 600]))


class TreeClient(Client):
    def submit(self):
        path = self.service.submit(f"c{self.number}-{self.chance.getrandbits(60):x}", self.spec())
        self.mine.append(path)
        self.made.append(int((path / "id").read_text()))

    def packages(self, path):
        for entry in (path / "result/x86_64/os/Packages").iterdir():
            for package in entry.iterdir():
                if package.read_bytes() != next(BASE.rglob(package.name)).read_bytes():
                    raise ValueError(f"other bytes in {package.name}")

    def step(self):
        path = self.chance.choice(self.mine) if self.mine else None
        deed = self.chance.randrange(10)
        top = self.service.mnt
        if path is None or deed < 2 and len(self.mine) < 8:
            self.attempt("submit", self.submit)
        elif deed == 2:
            self.attempt("read", lambda: [(path / n).read_bytes() for n in (
                "status", "id", "compose.json", "error", "log", "progress", "ttl", "spec.json", "wait")][9:])
        elif deed == 3:
            self.attempt("renew", lambda: self.write(path / "ttl", "500"))
        elif deed == 4:
            self.attempt("ctl", lambda: self.write(path / "ctl", self.chance.choice(
                ["cancel", "expire", "renew 50"])))
        elif deed == 5:
            self.attempt("result", lambda: self.packages(path))
        elif deed == 6:
            self.attempt("views", lambda: [os.readlink(e.path) for e in os.scandir(top / "by-state/done")][:0])
        elif deed == 7:
            self.attempt("list", lambda: (os.listdir(top / "requests"), os.listdir(path))[2:])
        elif deed == 8:
            self.attempt("composes", lambda: [os.stat(e.path) for e in os.scandir(top / "composes")][:0])
        else:
            self.attempt("rmdir", lambda: os.rmdir(self.mine.pop(self.mine.index(path))))

    @staticmethod
    def write(path, text):
        fd = os.open(path, os.O_WRONLY)
        try:
            os.write(fd, text.encode())
        finally:
            os.close(fd)


class RestClient(Client):
    def submit(self):
        answer = self.service.call("POST", "/api/1/composes/", self.spec())
        if answer.status == 200:
            self.mine.append(answer.json["id"])
            self.made.append(answer.json["id"])
        return answer.status

    def renew(self, number):
        answer = self.service.call("PATCH", f"/api/1/composes/{number}", {"seconds_to_live": 5})
        if answer.status == 200: # of a failed or removed one a new one is made
            self.made.append(answer.json["id"])
        return answer.status

    def file(self, number):
        answer = self.service.call("GET", f"/composes/{number}/compose/Temporary/x86_64/os/repodata/repomd.xml")
        if answer.status == 200 and not answer.body.strip().endswith(b"</repomd>"):
            raise ValueError(f"half a repomd.xml: {answer.body[-40:]}")
        return answer.status

    def step(self):
        number = self.chance.choice(self.mine) if self.mine else None
        deed = self.chance.randrange(8)
        if number is None or deed < 2:
            self.attempt("POST", self.submit)
        elif deed == 2:
            self.attempt("GET one", lambda: self.service.call("GET", f"/api/1/composes/{number}").status)
        elif deed == 3:
            query = self.chance.choice(["", "?state=2&per_page=100", "?order_by=-id", "?owner=unknown&page=2"])
            self.attempt("GET list", lambda: self.service.call("GET", "/api/1/composes/" + query).status)
        elif deed == 4:
            self.attempt("PATCH", lambda: self.renew(number))
        elif deed == 5:
            self.attempt("DELETE", lambda: self.service.call("DELETE", f"/api/1/composes/{number}").status)
        elif deed == 6:
            self.attempt("GET file", lambda: self.file(number))
        else:
            path = self.chance.choice(["/composes/", f"/composes/odcs-{max(1, number - 3)}/", "/metrics/"])
            self.attempt("GET other", lambda: self.service.call("GET", path).status)


def client(service, number, seconds, answers):
    """in a process of its own"""
    signal.alarm(int(seconds) + 120)
    worker = (TreeClient if number % 2 else RestClient)(service, number)
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        worker.step()
    if number % 2:
        for path in worker.mine:
            worker.attempt("rmdir", lambda: os.rmdir(path))
    answers.put((number, list(worker.counts.items()), worker.made))


def run_clients(service, seconds):
    """(counts of (operation, errno or status), ids that were answered)"""
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    processes = [context.Process(target=os_exit_after, args=(client, service, i, seconds, answers)) for i in range(16)]
    for process in processes:
        process.start()
    counts, made, came = collections.Counter(), set(), set()
    while len(came) < 16 and (any(p.is_alive() for p in processes) or not answers.empty()):
        if answers.empty():
            time.sleep(0.05)
            continue
        number, items, ids = answers.get()
        came.add(number)
        counts.update(dict(items))
        made.update(ids)
    for process in processes:
        process.join()
    same(sorted(came), list(range(16)), "clients that came to their end")
    return counts, made


def os_exit_after(deed, *arguments):
    """a child leaves without what atexit holds: the service is its parent's"""
    try:
        deed(*arguments)
    finally:
        sys.stdout.flush()
        os._exit(0)


def descriptors(service):
    """what the service has open: {target without numbers: count}, and connections to the catalogue"""
    found = collections.Counter()
    folder = f"/proc/{service.server_pid}/fd"
    for name in os.listdir(folder):
        with contextlib.suppress(OSError):
            found[re.sub(r":\[\d+\]|/\d+", "", os.readlink(f"{folder}/{name}"))] += 1
    connections = 0
    for suffix in ("", "-wal"):
        connections = max(connections, found.pop(re.sub(r"/\d+", "", f"{service.state}/catalogue.sqlite{suffix}"), 0))
    return found, connections


def test_clients(service):
    warm, made = run_clients(service, 2)
    settle(service, made)
    before, _ = descriptors(service)
    counts, more = run_clients(service, SECONDS)
    counts += warm
    made |= more
    for (what, code), count in sorted(counts.items(), key=str):
        if code != 0:
            check(code in RACES.get(what, ()), f"{what} × {count}: {errno.errorcode.get(code, code)}")
    wanted = {"submit", "read", "renew", "ctl", "result", "views", "list", "composes", "rmdir", "POST", "GET one",
              "GET list", "PATCH", "DELETE", "GET file", "GET other"}
    same(wanted - {what for what, code in counts if code == 0}, set(), "operations that never succeeded")
    settle(service, made)
    wait_for(lambda: descriptors(service)[0].total() <= before.total(), 15)
    after, connections = descriptors(service)
    check(after.total() <= before.total(), f"descriptors: {before.total()} before, {after.total()} after: "
          f"{dict(after - before)}")
    check(0 < connections <= CONNECTIONS, f"{connections} connections to the catalogue")
    print(f"   {sum(counts.values())} operations, {len(made)} composes, {after.total()} descriptors and {connections} "
          "connections to the catalogue", flush=True)


def states(service):
    with contextlib.closing(sqlite3.connect(f"file:{service.state}/catalogue.sqlite?mode=ro", uri=True)) as database:
        return dict(database.execute("SELECT id, state FROM composes"))


def settle(service, made):
    """every compose that was answered is there, and every one ends"""
    ended = wait_for(lambda: not {0, 1} & set(states(service).values()), 120, 0.1)
    rows = states(service)
    check(ended, f"rows without an end: {[n for n, state in rows.items() if state in (0, 1)][:10]}")
    same(made - set(rows), set(), "composes that were answered and are not there")


def main():
    need_fuse()
    with Service(f"repo.allowed={UNIVERSE}") as service:
        test_clients(service)
        print("ok test_clients", flush=True)
    end()


main()
