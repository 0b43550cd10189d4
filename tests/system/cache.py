# SPDX-License-Identifier: MIT
"""tests/system/cache.py: packages/ keeps within its limit, what was read last and what is open; prefetch and trim.

promises = 7, 24
"""
import collections, signal, subprocess, threading

from lazykit import *
from originkit import Gate, slow

def try_limit(origin):
    """500 MB in packages of 1 MB, read in random order by eight at a time through 50 MB"""
    unit, limit, count = 1_000_000, 50_000_000, 500
    data = repository(origin, "limit", {f"l{i:03}": unit for i in range(count)})
    with start(origin, PATIENT, f"cache.size={limit}", "cache.fetchers=8") as service:
        compose = Compose(service, f"{origin.url}/limit")
        most, stop = [0], threading.Event()

        def watch():
            while not stop.is_set():
                with contextlib.suppress(OSError):
                    most[0] = max(most[0], sum(cached(service).values()))
                time.sleep(0.01)
        watcher = threading.Thread(target=watch)
        watcher.start()

        def reader(number):
            wrong = 0
            order = list(data)
            random.Random(number).shuffle(order)
            for name in order[:count // 8]:
                wrong += compose.read(name, WAYS[number % 2])[0] != data[name]
            return wrong
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            same(sum(pool.map(reader, range(8))), 0, "wrong answers")
        stop.set()
        watcher.join()
        check(most[0] <= limit + unit, f"at most {most[0]} bytes in packages/, limit {limit}")
        check(figures(service)["odcsfs_cache_evictions_total"] > 100, "evictions")
        same(figures(service)["odcsfs_cache_bytes"], sum(cached(service).values()), "odcsfs_cache_bytes")


def try_order(origin):
    """what was read last stays, also over a restart; what is open stays"""
    data = repository(origin, "order", {f"o{i}": 100_000 for i in range(8)})
    digest = {name: hashlib.sha256(d).hexdigest() for name, d in data.items()}
    folder = tempfile.mkdtemp(prefix="odcsfs-lazy-")
    with start(origin, PATIENT, "cache.size=400000", folder=folder) as service:
        compose = Compose(service, f"{origin.url}/order")
        for name in ("o0", "o1", "o2", "o3"):
            check(compose.read(name)[0] == data[name], name)
        past = time.time() - 1000
        for i, name in enumerate(("o2", "o0", "o3", "o1")): # in this order, as if long ago
            os.utime(service.state / "packages" / digest[name], (past + i, past))
        same(service.stop(), 0, "stops")
        service.start()
        with open(compose.path("o2"), "rb") as held:
            check(held.read(10) == data["o2"][:10], "after a restart")
            same(origin.count(".rpm"), 4, "nothing is fetched again")
            check(compose.read("o4")[0] == data["o4"], "one more")
            same(set(cached(service)), {digest[n] for n in ("o1", "o2", "o3", "o4")}, "the oldest that is not open went")
            check(compose.get("o5").body == data["o5"], "by HTTP")
            same(set(cached(service)), {digest[n] for n in ("o1", "o2", "o4", "o5")}, "and the next")
            handles = [open(compose.path(n), "rb") for n in ("o1", "o4", "o5")]
            for handle in handles:
                handle.read(10)
            got, took = compose.read("o6")
            same(got, errno.ENOSPC, "all is open")
            check("cache.size" in compose.attribute("o6", "error"), compose.attribute("o6", "error"))
            answer = compose.get("o7")
            same(answer.status, 507, "by HTTP")
            for handle in handles:
                handle.close()
        check(wait_for(lambda: compose.read("o6")[0] == data["o6"], 10, 0.3), "once something is closed there is room")
        # a file that was damaged while nobody looked
        same(service.stop(), 0, "stops")
        victim = service.state / "packages" / digest["o6"]
        os.chmod(victim, 0o644)
        with open(victim, "r+b") as file:
            file.seek(5000)
            file.write(b"damage")
        service.start()
        check(compose.read("o6")[0] == data["o6"], "a damaged one is fetched again")
        service.owned = True
        service.dir = pathlib.Path(folder)


def try_ahead(origin):
    """prefetch, in the request, over HTTP and by command; what there is, and what goes"""
    data = repository(origin, "ahead", {f"a{i:02}": 20_000 for i in range(30)})
    url = f"{origin.url}/ahead"
    with start(origin, PATIENT, "cache.size=1M") as service:
        def command(*words):
            return run(os.environ["ODCSFS"], *words, env={**os.environ, "ODCSFS_URL": service.url})
        compose = Compose(service, url)
        shown = service.call("GET", f"/api/1/prefetch/{compose.number}").json
        same(shown, {"id": compose.number, "packages": 30, "cached": 0, "bytes": 600_000}, "how much there is to do")
        page = service.call("GET", f"/compose/{compose.number}").body.decode()
        check("0 of 30 fetched from servers" in page and page.count("not fetched yet") == 30, "the page says so")
        got = command("prefetch", str(compose.number), "a03", "a05-1-1.x86_64")
        check(got.returncode == 0 and re.search(r"packages +2\n", got.stdout), got.stdout + got.stderr)
        check(wait_for(lambda: len(cached(service)) == 2, 5), "two packages come")
        here = lambda: [n for n in data if compose.attribute(n, "cached") == "1"]
        wait_for(lambda: len(here()) == 2, 5) # a file is in its place a moment before it is counted
        same(here(), ["a03", "a05"], "those two")
        got = command("prefetch", str(compose.number), "nothing")
        check(got.returncode == 1 and "none of these" in got.stderr, got.stderr)
        same(service.call("POST", "/api/1/prefetch/999", {}).status, 404, "no such compose")
        same(service.call("POST", f"/api/1/prefetch/{compose.number}", {"packages": "a"}).status, 400, "not a list")
        answer = service.call("POST", f"/api/1/prefetch/{compose.number}")
        same((answer.status, answer.json["cached"]), (200, 2), "all of them")
        check(wait_for(lambda: len(cached(service)) == 30, 10), "all come")
        same(origin.count(".rpm"), 30, "each was asked for once")
        check("30 of 30 fetched" in service.call("GET", f"/compose/{compose.number}").body.decode(), "the page")
        # a file is in its place a moment before it is counted
        wait_for(lambda: service.call("GET", "/api/1/cache/").json["fetched"] == 30, 5)
        figures_ = service.call("GET", "/api/1/cache/").json
        same((figures_["files"], figures_["bytes"], figures_["limit"], figures_["fetched"]), (30, 600_000, 1 << 20, 30),
             "/api/1/cache/")
        with open(compose.path("a00"), "rb") as held:
            held.read(1)
            got = command("cache", "--trim", "100K")
            check(got.returncode == 0 and re.search(r"files +5\n", got.stdout), got.stdout + got.stderr)
            service.call("DELETE", "/api/1/cache/?keep=0")
            same(set(cached(service)), {hashlib.sha256(data["a00"]).hexdigest()}, "what is open stays")
        for query in ("?keep=-1", "", "?keep=", "?kepp=0", "?keep=x"):
            answer = service.call("DELETE", f"/api/1/cache/{query}")
            check(answer.status == 400 and "keep" in answer.json["message"], f"{query!r}: {answer.body}")
        check(compose.read("a07")[0] == data["a07"], "what went is fetched again")
        same(command("cache").stdout.split()[:2], ["bytes", "40000"], "odcsfs cache")
        service.call("DELETE", "/api/1/cache/?keep=0")
        number = service.compose("ahead", repo_spec(url, packages=["a11", "a12"], prefetch=True))
        check(wait_for(lambda: len(cached(service)) == 2, 5), "\"prefetch\": true")
        check("prefetch" not in service.record(number), "the record has ODCS's members alone")
        refused = service.call("POST", "/api/1/composes/", repo_spec(url, prefetch="yes"))
        check(refused.status == 400 and "prefetch should be true or false" in refused.json["message"], refused.body)
        repository(origin, "large", {f"b{i}": 300_000 for i in range(5)})
        large = Compose(service, f"{origin.url}/large")
        answer = service.call("POST", f"/api/1/prefetch/{large.number}")
        check(answer.status == 507 and "cache.size" in answer.json["message"], answer.body)


def try_over(origin):
    """what is fetched ahead of time of a compose ends with it; sizes that no package has are refused by name"""
    repository(origin, "over", {f"v{i:03}": 1000 for i in range(200)})
    with start(origin, PATIENT) as service:
        compose = Compose(service, f"{origin.url}/over")
        origin.steps = {".rpm": (gate := Gate())}
        for _ in range(3):
            same(service.call("POST", f"/api/1/prefetch/{compose.number}").status, 200, "all of it")
        check(wait_for(lambda: origin.count(".rpm"), 10), "it begins")
        other = Compose(service, f"{origin.url}/over")

        def some(n):
            names = {"packages": [f"v{n % 200:03}", f"v{n // 200:03}"]}
            return service.call("POST", f"/api/1/prefetch/{other.number}", names).status
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            same({*pool.map(some, [40] * 60)}, {200}, "the same again and again")
            answers = collections.Counter(pool.map(some, range(41, 1061)))
        same((answers[200] + answers[403], 990 < answers[200] < 1005), (1020, True), f"no more than 1,000 wait: {answers}")
        os.rmdir(service.mnt / "requests" / other.name)
        os.rmdir(service.mnt / "requests" / compose.name)
        check(wait_for(lambda: {service.record(c.number)["state_name"] for c in (compose, other)} == {"removed"}, 10), "both end")
        origin.steps = {".rpm": slow(0.2, 1)} # four times a second it is looked whether they are over
        gate.open()
        check(wait_for(lambda: figure(service, "odcsfs_fetches_running") == 0, 10), "none is under way any more")
        asked = origin.count(".rpm")
        time.sleep(0.5)
        same((origin.count(".rpm"), asked < 20), (asked, True), f"{asked} were asked for")
        xml = primary(("vast", "sha256", "0" * 64, "p/v000.rpm")).replace(b'package="5000"', b'package="%d"' % (1 << 62))
        write_repository(origin.folder / "over", {"primary": xml}, 1700000001)
        number = service.compose("vast", repo_spec(f"{origin.url}/over"), "failed")
        check("(vast): its size" in service.record(number)["state_reason"], service.record(number)["state_reason"])


def try_away(origin):
    """what is fetched ahead of time waits for a server that is away, and goes on after a reload; a reader who goes changes nothing"""
    repository(origin, "away", {**{f"w{i:02}": 2000 for i in range(40)}, "x": 100_000})
    with start(origin, "cache.read_timeout=1", "cache.fetchers=2") as service:
        compose = Compose(service, f"{origin.url}/away", packages=[f"w{i:02}" for i in range(40)])
        origin.steps = {"/p/w": slow(0.05, 1)}
        same(service.call("POST", f"/api/1/prefetch/{compose.number}").status, 200, "all of it")
        check(wait_for(lambda: len(cached(service)) > 4, 10), "it begins")
        origin.close()
        check(wait_for(lambda: "refused" in service.log_text(), 10), "the server is missed")
        here = len(cached(service))
        check(here < 36, f"{here} are here")
        origin.come_back()
        check(wait_for(lambda: len(cached(service)) == 40, 20), f"{here} were here, then {len(cached(service))} of 40")
        # beside readers who come and go
        compose = Compose(service, f"{origin.url}/away", packages=["x"])
        origin.steps = {"/x.rpm": (gate := Gate(0.5))}
        service.call("POST", f"/api/1/prefetch/{compose.number}")
        reader = subprocess.Popen(["cat", compose.path("x")], stdout=subprocess.DEVNULL)
        check(wait_for(lambda: figure(service, "odcsfs_fetch_waiters") == 1, 5), "somebody reads it")
        reader.kill()
        reader.wait()
        same(wait_for(lambda: figure(service, "odcsfs_fetches_running") == 0, 2.5), False, "he goes, it is fetched on")
        gate.open()
        check(wait_for(lambda: len(cached(service)) == 41, 10), "and comes")
        same(origin.count("/x.rpm"), 1, "asked for once")
        # over a reload
        repository(origin, "reload", {f"r{i:02}": 2001 for i in range(30)})
        origin.steps = {"/p/r": slow(0.05, 1)}
        Compose(service, f"{origin.url}/reload", prefetch=True)
        check(wait_for(lambda: len(cached(service)) > 43, 10), "another one begins")
        service.process.send_signal(signal.SIGHUP)
        check(wait_for(lambda: len(cached(service)) == 71, 15), f"over a reload: {len(cached(service))} of 71")
    origin.steps = {}


def try_too_much(origin):
    """"prefetch": true of more than the cache holds fetches nothing, and the log says so; after a start nothing makes room"""
    repository(origin, "much", {f"m{i:02}": 200_000 for i in range(10)})
    with start(origin, PATIENT, "cache.size=1M") as service:
        compose = Compose(service, f"{origin.url}/much", packages=["m00"])
        check(len(compose.read("m00")[0]) == 200_000, "of somebody else")
        large = Compose(service, f"{origin.url}/much", prefetch=True)
        check(wait_for(lambda: "not fetched ahead of time: these packages have 1800000 bytes" in large.log(), 5), large.log())
        fits = Compose(service, f"{origin.url}/much", packages=[f"m{i:02}" for i in range(1, 5)], prefetch=True)
        check(wait_for(lambda: len(cached(service)) == 5, 10), "what fits comes")
        service.call("DELETE", "/api/1/cache/?keep=800000")
        same((compose.attribute("m00", "cached"), len(cached(service))), ("0", 4), "what was read first went")
        for name in ("m05", "m06"):
            check(len(large.read(name)[0]) == 200_000, name) # one of the four makes room
        service.stop()
        service.start()
        check(wait_for(lambda: "nothing makes room" in fits.log(), 5), fits.log())
        same([large.attribute(name, "cached") for name in ("m05", "m06")], ["1", "1"], "what was read stays")
        same(origin.count(".rpm"), 7, "packages that were asked for")


def main():
    need_fuse()
    with origins() as (origin,):
        run_all((try_limit, try_order, try_ahead, try_over, try_away, try_too_much), origin)
    end()


main()
