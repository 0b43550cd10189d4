# SPDX-License-Identifier: MIT
"""tests/system/turns.py: packages of servers are fetched for users in turn: who reads many keeps nobody from the one that he wants.

One user reads MANY packages at once from a server that takes FETCH seconds for each, two at a time. Somebody else, who reads
one now and then, waits for the end of one of those and for his own; of the flood's he would wait for all.

promises = 23
"""
import multiprocessing, threading

from lazykit import *

FLOODER = 65534 # a uid that nobody logs in with
MANY, FETCH = 60, 0.7
SLACK = 2 # seconds, of a loaded machine; the flood takes 21


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


def late(origin, request):
    time.sleep(FETCH)
    origin.serve(request)


def waiting(service):
    return figures(service)["odcsfs_fetch_waiters"]


def try_flood(service, origin):
    """the flooder's packages are the small ones, and came first"""
    flooded = [f"f{i:02}" for i in range(MANY)]
    data = repository(origin, "slow", {**{name: 1000 for name in flooded}, "mine": 5000, "other": 6000, "third": 7000})
    compose = Compose(service, f"{origin.url}/slow")
    origin.steps["/p/"] = late
    flood = multiprocessing.get_context("fork").Process(target=read_all, args=([compose.path(name) for name in flooded],))
    flood.start()
    check(wait_for(lambda: waiting(service) >= MANY - 10, 10), f"{waiting(service)} wait")
    for name, way in (("mine", "mount"), ("other", "http"), ("third", "mount")):
        got, seconds = compose.read(name, way)
        left = waiting(service)
        print(f"   {name}: {seconds:.2f} s by {way}, {left:.0f} others wait")
        check(got == data[name], f"{name}: {brief(got)}")
        check(seconds < 2 * FETCH + SLACK, f"{name}: {seconds:.2f} s by {way}")
        check(left > MANY / 3, f"{left} wait: no flood")
    flood.kill()
    flood.join()


def try_ahead(service, origin):
    """packages ahead of time: of two owners in turn, and readers before them all"""
    sizes = {f"a{i:02}": 2000 + i for i in range(12)}
    data = repository(origin, "first", {**sizes, "read": 9000})
    repository(origin, "second", {name.replace("a", "b"): size for name, size in sizes.items()})
    origin.steps["/p/"] = late
    first = Compose(service, f"{origin.url}/first")
    body = {"source": {"type": "repo", "source": f"{origin.url}/second", "packages": [n.replace("a", "b") for n in sizes]},
            "flags": ["no_reuse"]}
    answer = service.call("POST", "/api/1/composes/", body, {"X-Forwarded-For": "192.0.2.1"})
    second = service.wait_rest(answer.json["id"])["id"]
    for number, names_ in ((first.number, list(sizes)), (second, [])):
        got = service.call("POST", f"/api/1/prefetch/{number}", {"packages": names_} if names_ else {})
        same(got.status, 200, f"prefetch of {number}: {got.body}")
    check(wait_for(lambda: origin.count("/first/p/") + origin.count("/second/p/") >= 4, 20), "four have come")
    got, seconds = first.read("read")
    check(got == data["read"] and seconds < 2 * FETCH + SLACK, f"a reader waits {seconds:.2f} s")
    check(wait_for(lambda: origin.count("/first/p/") + origin.count("/second/p/") >= 10, 20), "ten have come")
    counts = origin.count("/first/p/a"), origin.count("/second/p/b")
    check(abs(counts[0] - counts[1]) <= 3, f"of the two owners: {counts}")


def main():
    need_fuse()
    if os.geteuid() != 0:
        skip("two users on one machine need root")
    for test in (try_flood, try_ahead): # what the kernel reads ahead waits on when its reader is gone
        with origins() as (origin,), start(origin, PATIENT, "cache.fetchers=2", "auth.proxies=127.0.0.1") as service:
            run_all((test,), service, origin)
    end()


main()
