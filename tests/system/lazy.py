# SPDX-License-Identifier: MIT
"""tests/system/lazy.py: packages of servers are fetched when they are read: once, whole, by whoever and how many they are.

promises = 7, 8, 10
"""
import signal, socket, subprocess

from lazykit import *
from originkit import Gate


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
    """32 readers of 200 packages, each in an order of his own, by mount, HTTP and export"""
    data = repository(origin, "many", {f"m{i:03}": 1000 + i * 50 for i in range(200)})
    compose = Compose(service, f"{origin.url}/many")
    before = descriptors(service)

    def reader(number):
        order = list(data)
        random.Random(number).shuffle(order)
        wrong = 0
        for name in order:
            wrong += compose.read(name, WAYS[number % 3])[0] != data[name]
        return wrong
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        same(sum(pool.map(reader, range(32))), 0, "wrong answers of 6,400")
    asked = [path for path, code in origin.answers if ".rpm" in path and code == 200]
    same((len(asked), len(set(asked))), (200, 200), "each package was asked for exactly once")
    wait_for(lambda: descriptors(service) <= before, 5)
    check(descriptors(service) <= before, f"descriptors: {before}, then {descriptors(service)}")
    same(figures(service)["odcsfs_fetch_waiters"], 0, "nobody is left waiting")


def try_timeout(origin):
    """who waits too long is told so, however he reads; the download goes on, and is there for the next one"""
    data = repository(origin, "slow", {"slow": 400_000})
    with start(origin, f"cache.read_timeout={TIMEOUT}", export=True) as service:
        compose = Compose(service, f"{origin.url}/slow")
        origin.steps = {"slow.rpm": (gate := Gate())}
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            for way, (got, took) in zip(WAYS, pool.map(lambda way: compose.read("slow", way), WAYS)):
                same(brief(got), 504 if way == "http" else errno.ETIMEDOUT, f"{way}: too late")
                check(TIMEOUT - 0.5 < took < TIMEOUT + 2, f"{way}: {took:.1f} s")
        gate.open()
        got = wait_for(lambda: (g := compose.read("slow")[0]) == data["slow"] and g, 2 * TIMEOUT)
        check(got, "the next one waits for the same download")
        same(origin.count("slow.rpm"), 1, "asked for once")
    origin.steps = {}


def opened_by(pid):
    paths = []
    with contextlib.suppress(OSError):
        for entry in pathlib.Path(f"/proc/{pid}/fd").iterdir():
            paths.append(os.readlink(entry))
    return paths


def try_interrupt(service, origin):
    """a signal ends the wait, for that reader alone"""
    data = repository(origin, "signal", {"signal": 100_000})
    compose = Compose(service, f"{origin.url}/signal")
    origin.steps = {"signal.rpm": (gate := Gate())}
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        other = pool.submit(compose.read, "signal")
        check(wait_for(lambda: figures(service)["odcsfs_fetch_waiters"] == 1, 10), "one waits")
        reader = subprocess.Popen(["cat", compose.path("signal")])
        check(wait_for(lambda: str(compose.path("signal")) in opened_by(reader.pid), 10), "and a second one, maybe in the kernel")
        reader.terminate()
        same(reader.wait(20), -signal.SIGTERM, "it ends before the bytes are there")
        same((figures(service)["odcsfs_fetch_waiters"], other.done()), (1, False), "it alone")
        gate.open()
        check(other.result()[0] == data["signal"], "the other one reads on")
    same(origin.count("signal.rpm"), 1, "one download")
    same(figures(service)["odcsfs_fetch_waiters"], 0, "nobody is left")
    origin.steps = {}


def try_client_gone(service, origin):
    data = repository(origin, "leaves", {"leaves": 100_000})
    compose = Compose(service, f"{origin.url}/leaves")
    origin.steps = {"leaves.rpm": (gate := Gate())}
    host, port = service.host.split(":")
    for _ in range(3):
        client = socket.create_connection((host, int(port)))
        client.sendall(f"GET {compose.web}/l/leaves.rpm HTTP/1.1\r\nHost: {service.host}\r\n\r\n".encode())
        check(wait_for(lambda: figures(service)["odcsfs_fetch_waiters"] == 1, 10), "he waits")
        client.close()
        check(wait_for(lambda: figures(service)["odcsfs_fetch_waiters"] == 0, 10), "he is forgotten before the bytes are there")
    same(figures(service)["odcsfs_fetches_running"], 1, "what they began goes on")
    gate.open()
    check(compose.read("leaves")[0] == data["leaves"], "and is there")
    same(origin.count("leaves.rpm"), 1, "one download")
    origin.steps = {}


def try_stop(origin):
    """SIGTERM while readers wait"""
    repository(origin, "stop", {"stop": 100_000})
    service = start(origin, PATIENT).start()
    compose = Compose(service, f"{origin.url}/stop")
    origin.steps = {"stop.rpm": (gate := Gate())}
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        mounted = pool.submit(run, "cat", compose.path("stop"))
        web = pool.submit(run, "curl", "-sf", f"{service.url}{compose.web}/s/stop.rpm")
        check(wait_for(lambda: figures(service)["odcsfs_fetch_waiters"] == 2, 20), "two wait")
        started = time.monotonic()
        same(service.stop(), 0, "stops")
        check(time.monotonic() - started < 5, "in time")
        check(mounted.result().returncode != 0 and web.result().returncode != 0, "both are told")
    gate.open()
    service.close()
    origin.steps = {}


def main():
    need_fuse()
    with origins() as (origin,):
        with start(origin, PATIENT, export=True) as service:
            run_all((try_first_read, try_parts, try_parallel, try_interrupt, try_client_gone), service, origin)
        run_all((try_timeout, try_stop), origin)
    end()


main()
