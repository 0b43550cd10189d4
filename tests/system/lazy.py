# SPDX-License-Identifier: MIT
"""tests/system/lazy.py: packages of servers are fetched when they are read: once, whole, verified, or not at all.

promises = 7, 8, 10

LAZY_LONG=1 reads 500 MB through a cache of 50 MB, where else a tenth of both will do.
"""
import concurrent.futures, contextlib, errno, hashlib, os, pathlib, random, re, signal, socket, sys, tempfile
import threading, time

from harness import Service, check, end, need_fuse, repo_spec, run, same, skip, wait_for
from originkit import Origin, cut, no_ranges, primary, redirect, short, stall, status, text, write_repository

LONG = os.environ.get("LAZY_LONG") == "1"
TIMEOUT = 3 # cache.read_timeout
names = iter(range(1, 10000))


def repository(origin, folder, sizes):
    """packages {name: bytes of random}; {name: bytes}"""
    place = origin.folder / folder
    place.mkdir(parents=True)
    data = {name: os.urandom(size) for name, size in sizes.items()}
    xml = primary(*[(name, "sha256", hashlib.sha256(d).hexdigest(), f"p/{name}.rpm") for name, d in data.items()])
    (place / "p").mkdir()
    for name, content in data.items():
        (place / "p" / f"{name}.rpm").write_bytes(content)
    sizes = iter(data.values())
    write_repository(place, {"primary": re.sub(b'package="5000"', lambda _: b'package="%d"' % len(next(sizes)), xml)})
    return data


class Compose:
    def __init__(self, service, url):
        self.service = service
        self.number = service.compose(f"c{next(names)}", repo_spec(url, flags=["no_reuse"]))
        self.folder = service.tree(self.number) / "x86_64/os/Packages"
        self.web = f"/composes/{self.number}/compose/Temporary/x86_64/os/Packages"

    def path(self, name):
        return self.folder / name[0] / f"{name}.rpm"

    def read(self, name):
        """bytes or errno, and seconds"""
        started = time.monotonic()
        try:
            got = self.path(name).read_bytes()
        except OSError as error:
            got = error.errno
        return got, time.monotonic() - started

    def get(self, name, method="GET", **headers):
        return self.service.call(method, f"{self.web}/{name[0]}/{name}.rpm",
                                 headers={k.replace("_", "-"): v for k, v in headers.items()})

    def attribute(self, name, which):
        return os.getxattr(self.path(name), f"user.odcs.{which}").decode()


def figures(service):
    lines = service.call("GET", "/api/1/metrics/").body.decode().splitlines()
    return {line.split()[0]: float(line.split()[1]) for line in lines if line.startswith(("odcsfs_cache", "odcsfs_fetch"))}


def cached(service):
    return {p.name: p.stat().st_size for p in (service.state / "packages").iterdir()}


def descriptors(service):
    """of packages; how many connections and workers there are differs"""
    count = 0
    for entry in pathlib.Path(f"/proc/{service.process.pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            target = os.readlink(entry)
            count += "/packages/" in target
    return count


def start(origin, *options, **more):
    return Service(f"repo.allowed={origin.url}", "repo.timeout=2", f"cache.read_timeout={TIMEOUT}",
                   "repo.recheck_seconds=0", *options, **more)


# ---- what works --------------------------------------------------------------------

def try_first_read(service, origin):
    data = repository(origin, "first", {"small": 10, "middle": 100_000, "large": 5_000_000, "other": 3000})
    compose = Compose(service, f"{origin.url}/first")
    same(origin.count(".rpm"), 0, "nothing is fetched before somebody reads")
    same([compose.path(n).stat().st_blocks for n in data], [0] * 4, "blocks before")
    same(compose.attribute("large", "cached"), "0", "user.odcs.cached before")
    for name in ("small", "middle", "large"):
        got, _ = compose.read(name)
        check(got == data[name], f"bytes of {name}")
        same(compose.attribute(name, "cached"), "1", "user.odcs.cached")
        same(wait_for(lambda: compose.path(name).stat().st_blocks, 3), (len(data[name]) + 511) // 512, "blocks")
    check(compose.read("large")[0] == data["large"], "the second time")
    same(origin.count(".rpm"), 3, "each was asked for once")
    answer = compose.get("other", "HEAD")
    same((answer.status, int(answer.headers["Content-Length"]), answer.headers["ETag"]),
         (200, 3000, f'"{hashlib.sha256(data["other"]).hexdigest()}"'), "HEAD")
    same(compose.get("other", If_None_Match=answer.headers["ETag"]).status, 304, "a client that has it")
    same(compose.get("other", Range="bytes=3000-").status, 416, "behind the end")
    same(origin.count(".rpm"), 3, "none of that fetches it")
    answer = compose.get("other", Range="bytes=1000-1999")
    check((answer.status, answer.body) == (206, data["other"][1000:2000]), "a range")
    check(compose.get("other").body == data["other"], "all of it")
    check(compose.read("other")[0] == data["other"], "and through the mount")
    same(origin.count(".rpm"), 4, "asked for once for HTTP and mount")
    same(figures(service)["odcsfs_fetches_total"], 4, "odcsfs_fetches_total")
    st = os.statvfs(service.mnt)
    used = (st.f_blocks - st.f_bfree) * st.f_frsize
    check(abs(used - sum(map(len, data.values()))) <= st.f_frsize, f"statfs: {used} used")
    # another compose of the same package
    other = Compose(service, f"{origin.url}/first")
    check(other.read("middle")[0] == data["middle"], "in another compose")
    same(origin.count(".rpm"), 4, "one SHA-256 is stored once")
    # a handle that was open before the bytes were there
    check(set(cached(service)) == {hashlib.sha256(d).hexdigest() for d in data.values()}, "packages/ holds these alone")


def try_parts(service, origin):
    """a read in the middle, and a mapping"""
    data = repository(origin, "parts", {"part": 2_000_000, "mapped": 300_000})
    compose = Compose(service, f"{origin.url}/parts")
    fd = os.open(compose.path("part"), os.O_RDONLY)
    check(os.pread(fd, 1000, 1_500_000) == data["part"][1_500_000:1_501_000], "in the middle first")
    check(os.pread(fd, 10, 1_999_995) == data["part"][-5:], "at the end")
    os.close(fd)
    # in another process: a page fault would stop this one's threads, and with them the origin
    code = ("import hashlib, mmap, sys; f = open(sys.argv[1], 'rb'); m = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ); "
            "print(hashlib.sha256(m[100_000:200_000]).hexdigest())")
    mapped = run(sys.executable, "-c", code, compose.path("mapped")).stdout.strip()
    same(mapped, hashlib.sha256(data["mapped"][100_000:200_000]).hexdigest(), "mapped")
    check(compose.read("part")[0] == data["part"], "all of it")


def try_parallel(service, origin):
    """32 readers of 200 packages, each in an order of his own, by mount and by HTTP"""
    data = repository(origin, "many", {f"m{i:03}": 1000 + i * 50 for i in range(200)})
    compose = Compose(service, f"{origin.url}/many")
    before = descriptors(service)

    def reader(number):
        order = list(data)
        random.Random(number).shuffle(order)
        wrong = 0
        for name in order:
            got = compose.get(name).body if number % 4 == 3 else compose.read(name)[0]
            wrong += got != data[name]
        return wrong
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        same(sum(pool.map(reader, range(32))), 0, "wrong answers of 6,400")
    asked = [path for path, code in origin.answers if ".rpm" in path and code == 200]
    same((len(asked), len(set(asked))), (200, 200), "each package was asked for exactly once")
    wait_for(lambda: descriptors(service) <= before, 5)
    check(descriptors(service) <= before, f"descriptors: {before}, then {descriptors(service)}")
    same(figures(service)["odcsfs_fetch_waiters"], 0, "nobody is left waiting")


# ---- what does not -----------------------------------------------------------------

def slow(seconds, parts=10):
    def step(origin, request):
        data = origin.data(request)
        origin.send(request, 200, b"", length=len(data))
        with contextlib.suppress(OSError):
            for at in range(0, len(data), len(data) // parts + 1):
                request.wfile.write(data[at:at + len(data) // parts + 1])
                request.wfile.flush()
                time.sleep(seconds / parts)
    return step


def lies(change):
    """other bytes of the same length"""
    return lambda origin, request: origin.serve(request, bytes(b ^ change for b in origin.data(request)))


def half(origin, request):
    data = origin.data(request)
    return origin.serve(request, data[:len(data) // 2])


def longer(origin, request):
    return origin.serve(request, origin.data(request) + b"more" * 100_000)


def try_good_in_the_end(service, origin):
    """what passes by: the reader gets the right bytes"""
    data = repository(origin, "passing", {n: 200_000 for n in ("reset", "busy", "twice", "drip", "whole", "tail")})
    compose = Compose(service, f"{origin.url}/passing")
    origin.steps = {"reset.rpm": [cut(70_000)], "busy.rpm": [status(503)], "twice.rpm": [cut(10), cut(50_000)],
                    "drip.rpm": slow(1.0), "whole.rpm": [cut(100_000), no_ranges], "tail.rpm": short}
    for name in data:
        got, took = compose.read(name)
        check(got == data[name], f"{name}: {got if isinstance(got, int) else 'other bytes'} after {took:.1f} s")
        check(took < TIMEOUT + 2, f"{name}: {took:.1f} s")
    ranges = [h.get("Range") for path, h in origin.headers if "reset.rpm" in path]
    check(ranges[0] is None and len(ranges) == 2 and ranges[1] and ranges[1].startswith("bytes="), f"goes on: {ranges}")
    origin.steps = {}


def try_never_good(service, origin, other):
    """what does not: an errno in time, words, and nothing of it is kept; readers elsewhere do not notice"""
    cases = {"wrong": lies(1), "longer": longer, "half": half, "gone": status(404), "denied": status(403),
             "down": status(500), "loop": lambda o, r: o.send(r, 302, b"", [("Location", r.path)]),
             "file": redirect("file:///etc/passwd"), "away": redirect("http://127.0.0.1:1/x"), "stall": stall(8),
             "empty": text(b"")}
    data = repository(origin, "bad", {name: 50_000 for name in cases})
    good = repository(other, "beside", {f"g{i}": 20_000 for i in range(12)})
    compose, beside = Compose(service, f"{origin.url}/bad"), Compose(service, f"{other.url}/beside")
    origin.steps = {f"/{name}.rpm": step for name, step in cases.items()}
    before, had = descriptors(service), set(cached(service))
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        mounted = {name: pool.submit(compose.read, name) for name in cases}
        web = {name: pool.submit(compose.get, name) for name in cases}
        time.sleep(0.3)
        for name in good:
            got, took = beside.read(name)
            check(got == good[name] and took < 2, f"{name} of another server: {took:.1f} s")
        for name in cases:
            got, took = mounted[name].result()
            check(got in (errno.EIO, errno.ETIMEDOUT), f"{name}: {got if isinstance(got, int) else got[:20]}")
            check(took < TIMEOUT + 3, f"{name}: {took:.1f} s")
            answer = web[name].result()
            check(answer.status in (502, 504), f"{name} by HTTP: {answer.status} {answer.body[:100]}")
            same(answer.json["status"], answer.status, "the usual JSON")
            check(f"{name}.rpm" in compose.attribute(name, "error"), f"words of {name}")
            check(name + ".rpm" in (service.state / "logs" / str(compose.number)).read_text(), f"{name} in the log")
    same(compose.attribute("wrong", "cached"), "0", "not kept")
    new = set(cached(service)) - had
    same(new, {hashlib.sha256(d).hexdigest() for d in good.values()}, "packages/ holds good ones alone")
    check("sha256" in compose.attribute("wrong", "error"), compose.attribute("wrong", "error"))
    check(descriptors(service) <= before, "descriptors")
    compose.read("wrong")
    asked = origin.count("/wrong.rpm")
    for _ in range(5):
        compose.read("wrong")
    same(origin.count("/wrong.rpm"), asked, "what failed is not asked for again at once")
    origin.steps = {}
    got = wait_for(lambda: (g := compose.read("wrong")[0]) == data["wrong"] and g, 15, 0.5)
    check(got, "and can be read once the server has come to its senses")
    got = wait_for(lambda: compose.read("stall")[0] == data["stall"], 15, 0.5)
    check(got, "the other one, too")


def try_dead(service, origin):
    """a server that is not there costs its readers a moment, each"""
    dead = Origin(origin.folder)
    allowed = f"repo.allowed={origin.url} {dead.url}"
    with Service(allowed, "repo.timeout=2", f"cache.read_timeout={TIMEOUT}") as own:
        repository(dead, "dead", {f"d{i:02}": 1000 for i in range(30)})
        compose = Compose(own, f"{dead.url}/dead")
        dead.close()
        with concurrent.futures.ThreadPoolExecutor(30) as pool:
            got = list(pool.map(compose.read, [f"d{i:02}" for i in range(30)]))
        same({g for g, _ in got}, {errno.EIO}, "errno")
        check(max(t for _, t in got) < TIMEOUT + 1, f"{max(t for _, t in got):.1f} s")
        answer = compose.get("d00")
        same(answer.status, 502, "by HTTP")


def try_timeout(service, origin):
    """who waits too long is told so; the download goes on, and is there for the next one"""
    data = repository(origin, "slow", {"slow": 400_000})
    compose = Compose(service, f"{origin.url}/slow")
    origin.steps = {"slow.rpm": slow(TIMEOUT + 2.5, 30)}
    first = compose.read("slow")
    check(first[0] == errno.ETIMEDOUT, f"errno: {first[0] if isinstance(first[0], int) else 'none'}")
    check(TIMEOUT - 0.5 < first[1] < TIMEOUT + 1.5, f"{first[1]:.1f} s")
    got, took = compose.read("slow")
    check(got == data["slow"], f"the next one waits for the same download: {got if isinstance(got, int) else ''}")
    same(origin.count("slow.rpm"), 1, "asked for once")
    origin.steps = {}


def try_interrupt(service, origin):
    """a signal ends the wait, for that reader alone"""
    data = repository(origin, "signal", {"signal": 100_000})
    compose = Compose(service, f"{origin.url}/signal")
    origin.steps = {"signal.rpm": slow(1.5, 15)}
    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        other = pool.submit(compose.read, "signal")
        time.sleep(0.2)
        killed = run("timeout", "-s", "INT", "0.4", "cat", compose.path("signal"))
        took = time.monotonic() - started
        check(killed.returncode != 0 and took < 1.3, f"{killed.returncode} after {took:.1f} s")
        check(other.result()[0] == data["signal"], "the other one reads on")
    same(origin.count("signal.rpm"), 1, "one download")
    same(figures(service)["odcsfs_fetch_waiters"], 0, "nobody is left")
    origin.steps = {}


def try_client_gone(service, origin):
    repository(origin, "leaves", {"leaves": 100_000})
    compose = Compose(service, f"{origin.url}/leaves")
    origin.steps = {"leaves.rpm": slow(2.5, 20)}
    host, port = service.host.split(":")
    for _ in range(3):
        client = socket.create_connection((host, int(port)))
        client.sendall(f"GET {compose.web}/l/leaves.rpm HTTP/1.1\r\nHost: {service.host}\r\n\r\n".encode())
        time.sleep(0.1)
        client.close()
    check(wait_for(lambda: figures(service)["odcsfs_fetch_waiters"] == 0, 2.2), "clients that went are forgotten")
    origin.steps = {}
    time.sleep(1)


# ---- the cache ---------------------------------------------------------------------

def try_limit(origin):
    """random reads of ten times what fits, by eight at a time"""
    unit = 100_000 if not LONG else 1_000_000
    limit, count = 50 * unit, 500
    data = repository(origin, "limit", {f"l{i:03}": unit for i in range(count)})
    with start(origin, f"cache.size={limit}") as service:
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
            for name in order[:count // 4]:
                wrong += compose.read(name)[0] != data[name]
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
    with start(origin, "cache.size=400000", folder=folder) as service:
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
        time.sleep(1.2)
        check(compose.read("o6")[0] == data["o6"], "once something is closed there is room")
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
    with start(origin, "cache.size=1M") as service:
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
        same(sorted(compose.attribute(n, "cached") for n in data).count("1"), 2, "those two")
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
            service.call("DELETE", "/api/1/cache/")
            same(set(cached(service)), {hashlib.sha256(data["a00"]).hexdigest()}, "what is open stays")
        same(service.call("DELETE", "/api/1/cache/?keep=-1").status, 400, "keep=-1")
        check(compose.read("a07")[0] == data["a07"], "what went is fetched again")
        same(command("cache").stdout.split()[:2], ["bytes", "40000"], "odcsfs cache")
        service.call("DELETE", "/api/1/cache/")
        number = service.compose("ahead", repo_spec(url, packages=["a11", "a12"], prefetch=True))
        check(wait_for(lambda: len(cached(service)) == 2, 5), "\"prefetch\": true")
        check("prefetch" not in service.record(number), "the record has ODCS's members alone")
        refused = service.call("POST", "/api/1/composes/", repo_spec(url, prefetch="yes"))
        check(refused.status == 400 and "prefetch should be true or false" in refused.json["message"], refused.body)
        repository(origin, "large", {f"b{i}": 300_000 for i in range(5)})
        large = Compose(service, f"{origin.url}/large")
        answer = service.call("POST", f"/api/1/prefetch/{large.number}")
        check(answer.status == 507 and "cache.size" in answer.json["message"], answer.body)


def try_kill(origin):
    """kill -9 of the service and of those who fetch: nothing half written stays, nothing wrong is read"""
    data = repository(origin, "kill", {f"k{i}": 300_000 for i in range(12)})
    folder = tempfile.mkdtemp(prefix="odcsfs-lazy-")
    with start(origin, folder=folder) as service:
        compose = Compose(service, f"{origin.url}/kill")
        origin.steps = {".rpm": slow(0.8, 8)}
        workers = set(service.children())
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            reads = [pool.submit(compose.read, f"k{i}") for i in range(4)]
            fetchers = wait_for(lambda: set(service.children()) - workers, 5)
            check(fetchers, "workers that fetch")
            time.sleep(0.2)
            for pid in set(service.children()) - workers:
                os.kill(pid, signal.SIGKILL)
            for i, read in enumerate(reads):
                got, took = read.result()
                check(got == data[f"k{i}"], f"k{i} after its worker was killed: {got if isinstance(got, int) else ''} {took:.1f}")
        check(figures(service)["odcsfs_fetch_worker_deaths_total"] >= 1, "deaths are counted")
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            reads = [pool.submit(compose.read, f"k{i}") for i in range(4, 8)]
            time.sleep(0.4)
            service.stop(signal.SIGKILL)
            for read in reads:
                check(read.result()[0] in (errno.ENOTCONN, errno.ECONNABORTED, errno.EIO), "the mount is gone")
        origin.steps = {}
        (service.state / "packages" / ".new-left").write_bytes(b"half")
        service.start()
        have = cached(service)
        check(set(have) <= {hashlib.sha256(d).hexdigest() for d in data.values()}, f"left behind: {set(have)}")
        check(not [p for p in (service.state / "work").rglob("*.rpm")], "work/")
        for name in data:
            check(compose.read(name)[0] == data[name], f"{name} after a restart")
        service.owned = True


def try_stop(origin):
    """SIGTERM while readers wait"""
    repository(origin, "stop", {"stop": 100_000})
    service = start(origin).start()
    compose = Compose(service, f"{origin.url}/stop")
    origin.steps = {"stop.rpm": stall(6)}
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        mounted = pool.submit(run, "cat", compose.path("stop"))
        web = pool.submit(run, "curl", "-s", f"{service.url}{compose.web}/s/stop.rpm")
        check(wait_for(lambda: figures(service)["odcsfs_fetch_waiters"] == 2, 3), "two wait")
        started = time.monotonic()
        same(service.stop(), 0, "stops")
        check(time.monotonic() - started < 5, "in time")
        check(mounted.result().returncode != 0 and web.result().returncode != 0, "both are told")
    service.close()
    origin.steps = {}


def try_full(origin):
    """a disk without room: ENOSPC in words, and what is there goes on"""
    data = repository(origin, "full", {**{f"f{i}": 4_000_000 for i in range(6)}, "huge": 40_000_000})
    folder = tempfile.mkdtemp(prefix="odcsfs-lazy-")
    state = pathlib.Path(folder) / "state"
    state.mkdir()
    if run("mount", "-t", "tmpfs", "-o", "size=40m", "lazy", state).returncode:
        print("skipped: no tmpfs can be mounted here: a full disk is not tried")
        return
    try:
        with start(origin, folder=folder) as service:
            compose = Compose(service, f"{origin.url}/full")
            for name in data:
                got, took = compose.read(name)
                if name == "huge":
                    same(got, errno.ENOSPC, "more than the disk has")
                    check("room" in compose.attribute(name, "error"), compose.attribute(name, "error"))
                    same(compose.get(name).status, 507, "by HTTP")
                else:
                    check(got == data[name], f"{name}: {got if isinstance(got, int) else 'other bytes'}")
            (state / "filler").write_bytes(bytes(int(os.statvfs(state).f_bavail * 4096 - 9_000_000)))
            got, _ = compose.read("f0")
            check(got == data["f0"], f"what was not read for longest makes room: {got if isinstance(got, int) else ''} "
                                     f"{compose.attribute('f0', 'error') if isinstance(got, int) else ''}")
            check(Compose(service, f"{origin.url}/full").number, "requests are taken as before")
    finally:
        run("umount", "-l", state)
        os.rmdir(state)
        run("rm", "-rf", folder)


def main():
    need_fuse()
    folder = tempfile.TemporaryDirectory(prefix="odcsfs-origin-")
    only = sys.argv[1:]
    with Origin(folder.name) as origin, Origin(folder.name) as other:
        with Service(f"repo.allowed={origin.url} {other.url}", "repo.timeout=2", f"cache.read_timeout={TIMEOUT}",
                     "repo.recheck_seconds=0") as service:
            for number, test in enumerate((try_first_read, try_parts, try_parallel, try_good_in_the_end, try_never_good,
                                           try_dead, try_timeout, try_interrupt, try_client_gone)):
                if only and test.__name__ not in only:
                    continue
                started = time.monotonic()
                origin.forget()
                test(service, origin, *([other] if test is try_never_good else []))
                print(f"{test.__name__}: {time.monotonic() - started:.1f} s", flush=True)
        for test in (try_limit, try_order, try_ahead, try_kill, try_stop, try_full):
            if only and test.__name__ not in only:
                continue
            started = time.monotonic()
            origin.forget()
            test(origin)
            print(f"{test.__name__}: {time.monotonic() - started:.1f} s", flush=True)
    folder.cleanup()
    end()


main()
