# SPDX-License-Identifier: MIT
"""tests/system/turns.py: packages of servers are fetched for users in turn: who reads many keeps nobody from the one that he wants.

One user reads MANY packages at once from a server that answers SLOTS at a time, one after another as it is told to. Somebody
else, who reads one now and then, is next; after the flood's he would be last. What counts is whom the server is asked for
before him, which no busy machine changes.

promises = 23
"""
import multiprocessing, threading

from harness import BASE
from lazykit import *

FLOODER = 65534 # a uid that nobody logs in with
MANY, SLOTS = 60, 2
LARGE = 1 << 30 # bytes; half a second or more of SHA-256


def read_all(paths):
    """as FLOODER, all at once, until he is killed"""
    def read(path):
        with contextlib.suppress(OSError):
            path.read_bytes()
    os.setgid(FLOODER)
    os.setuid(FLOODER)
    threads = [threading.Thread(target=read, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class Door:
    """a step: who was asked for waits until one more may go"""

    def __init__(self):
        self.asked, self.served, self.free = [], [], threading.Semaphore(0)

    def __call__(self, origin, request):
        self.asked.append(request.path)
        self.free.acquire(timeout=60)
        origin.serve(request)
        self.served.append(request.path)

    def let(self, condition):
        """one after another, until that is so"""
        while not condition() and len(self.asked) < 2 * MANY:
            begun = len(self.asked)
            self.free.release()
            wait_for(lambda: condition() or len(self.asked) > begun, 20)
        return condition()


def waiting(service):
    return figures(service)["odcsfs_fetch_waiters"]


def in_turn(service, door, compose, name, way, others):
    """what the server is asked for before this one, once he waits beside @others; and what he reads"""
    check(wait_for(lambda: len(door.asked) == len(door.served) + SLOTS, 20), "as many as may be are under way")
    begun = len(door.asked)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        read = pool.submit(compose.read, name, way)
        check(wait_for(lambda: waiting(service) == others + 1, 20), f"{name}: {waiting(service)} wait, not {others} and he")
        door.let(read.done)
        got, seconds = read.result()
    first = [at for at, path in enumerate(door.asked[begun:]) if path.endswith(f"/{name}.rpm")]
    print(f"   {name}: {seconds:.2f} s by {way}, after {first} others")
    return first[0] if first else MANY, got


def try_flood(service, origin):
    """the flooder's packages are the small ones, and came first"""
    flooded = [f"f{i:02}" for i in range(MANY)]
    data = repository(origin, "slow", {**{name: 1000 for name in flooded}, "mine": 5000, "other": 6000, "third": 7000})
    compose = Compose(service, f"{origin.url}/slow")
    origin.steps["/p/"] = door = Door()
    flood = multiprocessing.get_context("fork").Process(target=read_all, args=([compose.path(name) for name in flooded],))
    flood.start()
    check(wait_for(lambda: waiting(service) == MANY and len(door.asked) == SLOTS, 20), f"{waiting(service)} wait")
    for name, way in (("mine", "mount"), ("other", "http"), ("third", "mount")):
        left = lambda: MANY - sum("/p/f" in path for path in door.served)
        check(wait_for(lambda: waiting(service) == left(), 20), f"{waiting(service)} of {left()} wait")
        before, got = in_turn(service, door, compose, name, way, left())
        check(got == data[name], f"{name}: {brief(got)}")
        same(before, 0, f"{name} by {way}: of the flood, asked for before him")
    check(left() > MANY / 3, f"{left()} wait: no flood")
    flood.kill()
    flood.join()
    for _ in range(2 * MANY):
        door.free.release()


def try_ahead(service, origin):
    """packages ahead of time: of two owners in turn, and readers before them all"""
    sizes = {f"a{i:02}": 2000 + i for i in range(12)}
    data = repository(origin, "first", {**sizes, "read": 9000})
    repository(origin, "second", {name.replace("a", "b"): size for name, size in sizes.items()})
    origin.steps["/p/"] = door = Door()
    first = Compose(service, f"{origin.url}/first")
    body = {"source": {"type": "repo", "source": f"{origin.url}/second", "packages": [n.replace("a", "b") for n in sizes]},
            "flags": ["no_reuse"]}
    answer = service.call("POST", "/api/1/composes/", body, {"X-Forwarded-For": "192.0.2.1"})
    second = service.wait_rest(answer.json["id"])["id"]
    for number, names_ in ((first.number, list(sizes)), (second, [])):
        got = service.call("POST", f"/api/1/prefetch/{number}", {"packages": names_} if names_ else {})
        same(got.status, 200, f"prefetch of {number}: {got.body}")
    check(door.let(lambda: len(door.asked) >= 4), "four have come")
    before, got = in_turn(service, door, first, "read", "mount", 0)
    check(got == data["read"] and before == 0, f"a reader comes after {before} others: {brief(got)}")
    check(door.let(lambda: len(door.asked) >= 11), "ten have come beside him")
    counts = [sum(part in path for path in door.asked) for part in ("/first/p/a", "/second/p/b")]
    check(abs(counts[0] - counts[1]) <= 3, f"of the two owners: {counts}")
    for _ in range(2 * MANY):
        door.free.release()


def try_behind_large(service, origin):
    """who wants a small package does not wait while a large one that was there at the start is read and judged"""
    zeros, sha = bytes(1 << 20), hashlib.sha256()
    for _ in range(LARGE >> 20):
        sha.update(zeros)
    data = repository(origin, "judged", {"warm": 2000, "small": 2000, "web": 3000})
    kinds = [*((name, "sha256", digest(content), f"p/{name}.rpm") for name, content in data.items()),
             ("large", "sha256", sha.hexdigest(), "p/large.rpm")]
    sizes = iter([2000, 2000, 3000, LARGE])
    xml = re.sub(b'package="5000"', lambda _: b'package="%d"' % next(sizes), primary(*kinds))
    write_repository(origin.folder / "judged", {"primary": xml}, 1700000001)
    compose = Compose(service, f"{origin.url}/judged")
    service.stop()
    with open(service.state / "packages" / sha.hexdigest(), "wb") as file:
        file.truncate(LARGE) # takes no room, but the time to read it
    service.start()
    check(compose.read("warm")[0] == data["warm"], "a worker is there")

    def begin():
        started = time.monotonic()
        with open(compose.path("large"), "rb") as file:
            return file.read(10), time.monotonic() - started
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        large = pool.submit(begin)
        check(wait_for(lambda: waiting(service) == 1, 10), "the large one is asked for")
        for name, way in (("small", "mount"), ("web", "http")):
            got, seconds = compose.read(name, way)
            done = large.done()
            check(got == data[name] and not done, f"{name} by {way}: {brief(got)} after {seconds:.2f} s, the large one first: {done}")
            print(f"   {name} by {way}: {seconds:.2f} s")
        got, seconds = large.result()
        same(got, bytes(10), "the large one")
        print(f"   the large one: {seconds:.2f} s")
    same(origin.count("large.rpm"), 0, "it was not fetched")


class Counted:
    """a step for requests: how many were under way at a time, most; each stays until @want were, and then a little, for more"""

    def __init__(self, want):
        self.want, self.now, self.most, self.all, self.lock = want, 0, 0, 0, threading.Lock()

    def __call__(self, origin, request):
        with self.lock:
            self.now, self.all = self.now + 1, self.all + 1
            self.most = max(self.most, self.now)
        wait_for(lambda: self.most >= self.want, 10)
        time.sleep(0.2)
        origin.serve(request)
        with self.lock:
            self.now -= 1


def read_as(uid, paths, wrong):
    """as that user, all at once; how many were not what they should be"""
    os.setgid(uid)
    os.setuid(uid)
    with concurrent.futures.ThreadPoolExecutor(len(paths)) as pool:
        wrong.put(sum(pool.map(lambda path: digest(path.read_bytes()) != os.getxattr(path, "user.odcs.sha256").decode(), paths)))


def try_connections(origin):
    """so many connections to a source at a time as repo.connections and cache.server_fetchers say: metadata, packages"""
    shutil.copytree(BASE, origin.folder / "base")
    fork = multiprocessing.get_context("fork")
    for count in (1, 3):
        metadata, packages = Counted(count), Counted(count)
        origin.forget()
        origin.steps = {".rpm": packages, ".xml.gz": metadata}
        with start(origin, PATIENT, "cache.fetchers=6", f"repo.connections={count}",
                   f"cache.server_fetchers={count}") as service:
            with concurrent.futures.ThreadPoolExecutor(2) as pool: # of the same repository, at once
                composes = list(pool.map(lambda _: Compose(service, f"{origin.url}/base", packages=["apache2"]), range(2)))
            same((metadata.all, metadata.most), (3, count), f"{count}: files of metadata, and at a time")
            paths = [p for c in composes for p in sorted(c.folder.rglob("*.rpm")) if re.fullmatch(r"[\w.-]+", p.name)][:12] # what URLs do not quote
            wrong = fork.Queue()
            users = [fork.Process(target=read_as, args=(FLOODER - i, paths[i::3], wrong)) for i in range(3)]
            for user in users:
                user.start()
            same([wrong.get(timeout=60) for _ in users], [0, 0, 0], f"{count}: wrong bytes of three users")
            for user in users:
                user.join()
            same((packages.most, packages.all >= 6), (count, True), f"{count}: packages at a time, of {packages.all}")


def main():
    need_fuse()
    if os.geteuid() != 0:
        skip("two users on one machine need root")
    for test in (try_flood, try_ahead, try_behind_large): # what the kernel reads ahead waits on when its reader is gone
        with origins() as (origin,), start(origin, PATIENT, f"cache.fetchers={SLOTS}", "auth.proxies=127.0.0.1") as service:
            run_all((test,), service, origin)
    with origins() as (origin,):
        run_all((try_connections,), origin)
    end()


main()
