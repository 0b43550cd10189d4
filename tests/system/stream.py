# SPDX-License-Identifier: MIT
"""tests/system/stream.py: cache.verify=stream hands out bytes as they come, and nobody completes a wrong file;
what broke off is gone on with.

promises = 7, 8
"""
import concurrent.futures, contextlib, errno, hashlib, os, pathlib, re, signal, socket, sys, tempfile, threading
import time

from harness import Service, check, end, need_fuse, same, wait_for
from lazykit import Compose, cached, figure, repository
from originkit import Gate, Origin, cut, no_ranges, short, slow as little_by_little, stall

TIMEOUT = 3 # cache.read_timeout
WITHHELD = 64 << 10


def pieces(path, size=65536, begun=None):
    """bytes, seconds at the end, errno or None; @begun is set when the first came"""
    started, got = time.monotonic(), b""
    try:
        with open(path, "rb", buffering=0) as file:
            while piece := file.read(size):
                got += piece
                if begun:
                    begun.set()
    except OSError as error:
        return got, time.monotonic() - started, error.errno
    return got, time.monotonic() - started, None


def fetch(compose, name, ranged=None, begun=None):
    """status, Content-Length, bytes; @begun is set when the first came"""
    host, port = compose.service.host.split(":")
    with socket.create_connection((host, int(port)), timeout=20) as client:
        client.sendall(f"GET {compose.web}/{name[0]}/{name}.rpm HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
                       f"{f'Range: bytes={ranged}' + chr(13) + chr(10) if ranged else ''}\r\n".encode())
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := client.recv(65536):
                answer += piece
                if begun and b"\r\n\r\n" in answer and not answer.endswith(b"\r\n\r\n"):
                    begun.set()
    head, _, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head.lower())
    return int(head.split()[1]), int(length[1]) if length else None, body


def drip(seconds, change=lambda data: data):
    return little_by_little(seconds, 20, [("ETag", '"drip"')], change)


def other_bytes(data):
    return bytes(data[:-1000]) + bytes(b ^ 1 for b in data[-1000:])


def descriptors(service):
    count = 0
    for entry in pathlib.Path(f"/proc/{service.server_pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            target = os.readlink(entry)
            count += "/packages/" in target or "/partial/" in target
    return count


def kept(service):
    return {p.name for p in (service.state / "partial").iterdir() if not p.name.endswith(".from")}


def start(origin, *options, timeout=TIMEOUT, **more):
    folder = more.pop("folder", None) or tempfile.mkdtemp(prefix="odcsfs-stream-")
    os.makedirs(f"{folder}/export", exist_ok=True)
    service = Service(f"repo.allowed={origin.url}", "repo.timeout=4", f"cache.read_timeout={timeout}",
                      "repo.recheck_seconds=0", f"fs.export={folder}/export", *options, folder=folder, **more)
    service.owned = True
    service.out = pathlib.Path(folder) / "export"
    return service


# ---- bytes as they come --------------------------------------------------------------

def try_early(service, origin):
    """eight readers of one package of which the half is there, by mount, export and HTTP, and a ninth of a small one"""
    data = repository(origin, "early", {"large": 2_000_000, "small": 60_000, "ranged": 1_000_000})
    compose = Compose(service, f"{origin.url}/early")
    before = descriptors(service)
    origin.steps = {"large.rpm": (gate := Gate(0.5)), "ranged.rpm": (other_gate := Gate(0.5))}
    begun = [threading.Event() for _ in range(8)]
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        mounted = [pool.submit(pieces, compose.path("large"), begun=begun[i]) for i in range(3)]
        web = [pool.submit(fetch, compose, "large", begun=begun[3 + i]) for i in range(3)]
        exported = [pool.submit(pieces, compose.path("large", "export"), begun=begun[6 + i]) for i in range(2)]
        got, _, code = pieces(compose.path("small"))
        check(got == data["small"], f"another one meanwhile: {code}")
        check(wait_for(lambda: all(e.is_set() for e in begun[:6]), 20), "the first bytes, by mount and HTTP, before the last are there")
        check(not any(e.is_set() for e in begun[6:]), "export: verified bytes alone")
        gate.open()
        for reader in mounted + exported:
            got, _, code = reader.result()
            check(got == data["large"] and not code, f"mount, export: {len(got)} bytes, {code}")
        for reader in web:
            status, length, body = reader.result()
            check((status, length) == (200, 2_000_000) and body == data["large"], f"HTTP: {status} {length} {len(body)}")
        same(origin.count("large.rpm"), 1, "asked for once")
        # a part waits for itself alone
        part = fetch(compose, "ranged", "1000-100999")
        check(part[0] == 206 and part[2] == data["ranged"][1000:101_000], f"a range before the rest is there: {part[0]}")
        late = threading.Event()
        end_ = pool.submit(fetch, compose, "ranged", "-100", late)
        check(not late.wait(0.5) and not end_.done(), "the last bytes wait")
        other_gate.open()
        check(end_.result()[0] == 206 and end_.result()[2] == data["ranged"][-100:], f"and come: {end_.result()[0]}")
    same(origin.count("ranged.rpm"), 1, "one download")
    check(wait_for(lambda: descriptors(service) <= before, 5), "descriptors")
    # once it is here it is read as ever
    got = pieces(compose.path("large"))
    check(got[0] == data["large"], "afterwards")


def read_on(compose, good):
    """who had it open gets no byte more, though it can be had by now"""
    with open(compose.path("again"), "rb", buffering=0) as file:
        check(len(file.read(10_000)) == 10_000, "the beginning")
        with contextlib.suppress(OSError):
            file.seek(-100, os.SEEK_END)
            check(not file.read(100), "the end of a wrong one")
        check(wait_for(lambda: (g := pieces(compose.path("again")))[0] == good and not g[2], 12, 0.3), "another open gets what is right")
        for offset in (0, 500_000, len(good) - 10):
            try:
                os.pread(file.fileno(), 10, offset)
                check(False, f"the old one reads on at {offset}")
            except OSError as error:
                same(error.errno, errno.EIO, f"the old one at {offset}")


def try_wrong(service, origin):
    """what turns out to be wrong is never completed, and is not kept"""
    data = repository(origin, "wrong", {n: 1_000_000 for n in ("wrong", "half", "still", "again")})
    compose = Compose(service, f"{origin.url}/wrong")
    before, had = descriptors(service), cached(service).keys()
    origin.steps = {"wrong.rpm": drip(1.0, other_bytes), "half.rpm": drip(1.0, lambda d: d[:500_000]), "still.rpm": stall(9)}
    origin.steps["again.rpm"] = [drip(1.0, other_bytes)]
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        again = pool.submit(read_on, compose, data["again"])
        cases = [(name, pool.submit(pieces, compose.path(name)), pool.submit(fetch, compose, name),
                  pool.submit(pieces, compose.path(name, "export"))) for name in ("wrong", "half", "still")]
        for name, mounted, web, exported in cases:
            got, took, code = mounted.result()
            check(code in (errno.EIO, errno.ETIMEDOUT), f"{name}: {code} after {len(got)} bytes")
            check(len(got) <= len(data[name]) - WITHHELD, f"{name}: {len(got)} bytes")
            check(took < 3 * TIMEOUT + 4, f"{name}: {took:.1f} s")
            status, length, body = web.result()
            check(status in (502, 504) or (length == len(data[name]) and len(body) <= length - WITHHELD),
                  f"{name} by HTTP: {status}, {len(body)} of {length} bytes")
            got, _, code = exported.result()
            check(not got and code in (errno.EIO, errno.ETIMEDOUT), f"{name} by the export: {code} {len(got)}")
    got, _, code = mounted.result()
    log = (service.state / "logs" / str(compose.number)).read_text()
    check(origin.url in log and "wrong.rpm" in log, f"the log names the server: {log[-300:]}")
    wrong = {hashlib.sha256(data[n]).hexdigest() for n in ("wrong", "half", "still")}
    check(not wrong & cached(service).keys() and had <= cached(service).keys(), "nothing of it is kept")
    again.result()
    check(wait_for(lambda: descriptors(service) <= before, 5), "descriptors")


def try_reset(service, origin):
    """a server that breaks off midway: the readers notice nothing"""
    data = repository(origin, "reset", {"reset": 1_500_000, "whole": 1_500_000, "tail": 300_000})
    compose = Compose(service, f"{origin.url}/reset")
    origin.steps = {"reset.rpm": [cut(700_000)], "tail.rpm": short}
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        reads = {n: (pool.submit(pieces, compose.path(n)), pool.submit(fetch, compose, n)) for n in ("reset", "tail")}
        for name, (mounted, web) in reads.items():
            got, took, code = mounted.result()
            check(got == data[name], f"{name}: {len(got)} bytes, {code}, {took:.1f} s")
            check(web.result()[2] == data[name], f"{name} by HTTP")
    # one that knows no ranges begins anew, maybe with another file: who was handed bytes is told
    origin.steps = {"whole.rpm": [cut(700_000), no_ranges]}
    got, _, code = pieces(compose.path("whole"))
    check(got == data["whole"] or code == errno.EIO, f"whole: {len(got)} bytes, {code}")
    check(wait_for(lambda: pieces(compose.path("whole"))[0] == data["whole"], 10, 0.5), "and is there afterwards")
    origin.steps = {}


def try_trimmed(service, origin):
    """who is being handed a package keeps it from being removed, also between its last byte and its check"""
    data = repository(origin, "trimmed", {f"t{i}": 300_000 for i in range(6)})
    compose = Compose(service, f"{origin.url}/trimmed")
    origin.steps = {".rpm": drip(0.8)}
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        reads = {name: pool.submit(fetch, compose, name) for name in data}
        while not all(read.done() for read in reads.values()):
            service.call("DELETE", "/api/1/cache/?keep=0")
        for name, read in reads.items():
            status, _, body = read.result()
            check((status, body) == (200, data[name]), f"{name} while the cache is emptied: {status}, {len(body)} bytes")
    origin.steps = {}


# ---- what broke off -------------------------------------------------------------------

def ranges_of(origin, name):
    with origin.lock:
        return [(h.get("Range"), h.get("If-Range")) for path, h in origin.headers if f"/{name}.rpm" in path]


def held(gate, tag=True):
    """the half, the rest once @gate is set; with ranges"""
    def step(origin, request):
        data = origin.data(request)
        mark = '"%s"' % hashlib.sha256(data).hexdigest()[:16]
        match = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
        at = int(match[1]) if match and request.headers.get("If-Range", mark) == mark else 0
        headers = [("ETag", mark)] if tag else []
        if at:
            headers.append(("Content-Range", f"bytes {at}-{len(data) - 1}/{len(data)}"))
        to = max(at, len(data) // 2)
        origin.send(request, 206 if at else 200, data[at:to], headers, length=len(data) - at)
        with contextlib.suppress(OSError):
            while not gate.wait(0.1): # a little now and then: it does not stand still
                request.wfile.write(data[to:to + 200])
                request.wfile.flush()
                to += len(data[to:to + 200])
            request.wfile.write(data[to:])
            request.wfile.flush()
    return step


def other_part(gate):
    """answers with another range than the one asked for"""
    def step(origin, request):
        data = origin.data(request)
        if request.headers.get("Range"):
            return origin.send(request, 206, data[5:], [("Content-Range", f"bytes 5-{len(data) - 1}/{len(data)}")])
        return held(gate)(origin, request)
    return step


def replaced(gate):
    """has another file behind every other answer's validator"""
    def step(origin, request):
        if request.headers.get("If-Range"):
            return origin.send(request, 200, origin.data(request), [("ETag", '"new"')])
        return held(gate)(origin, request)
    return step


def arrived(service):
    """bytes of each package that is on its way"""
    sizes = []
    for part in service.state.rglob(".part-*"):
        with contextlib.suppress(FileNotFoundError):
            sizes.append(part.stat().st_size)
    return sizes


def kill_fetchers(service, workers):
    fetchers = set(service.children()) - workers
    for pid in fetchers:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return len(fetchers)


def try_killed_workers(origin, mode):
    """whoever takes over goes on where the dead one was, if the server still has that file"""
    gate = threading.Event()
    cases = {"goes": held(gate), "unmarked": held(gate, tag=False), "elsewhere": other_part(gate), "replaced": replaced(gate)}
    data = repository(origin, f"killed-{mode}", {name: 1_000_000 for name in cases})
    with start(origin, f"cache.verify={mode}", timeout=20) as service:
        compose = Compose(service, f"{origin.url}/killed-{mode}")
        workers = set(service.children())
        origin.steps = {f"/{name}.rpm": step for name, step in cases.items()}
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            reads = {name: pool.submit(pieces, compose.path(name)) for name in cases}
            check(wait_for(lambda: origin.count(".rpm") == 4, 10), "all are asked for")
            check(wait_for(lambda: len(arrived(service)) == 4 and min(arrived(service)) > 2 * WITHHELD, 20),
                  f"a part of each is there: {arrived(service)}")
            same(kill_fetchers(service, workers), 4, "workers that fetch")
            gate.set()
            reads = {name: read.result() for name, read in reads.items()}
        origin.steps = {}
        for name, (got, took, code) in reads.items():
            asked = ranges_of(origin, name)
            resumed = [r for r in asked if r[0]]
            if name == "unmarked":
                same(resumed, [], "without a validator it begins anew")
            else:
                check(resumed and resumed[0][1], f"{name}: goes on, and says with what: {asked}")
            if name == "goes":
                check(resumed and int(resumed[0][0][6:-1]) > WITHHELD, f"from where it broke off: {resumed}")
            if mode == "whole" or name == "goes":
                check(got == data[name], f"{mode}, {name}: {len(got)} bytes, {code} after {took:.1f} s")
            else:
                check(code == errno.EIO and len(got) < len(data[name]) - WITHHELD, f"{mode}, {name}: {len(got)} bytes, {code}")
            check(wait_for(lambda n=name: pieces(compose.path(n))[0] == data[n], 10, 0.3), f"{name} afterwards")
        same(kept(service), set(), "nothing is left of the parts")


def pausing(compose, name):
    """a GET that takes the beginning, as much as a small buffer holds, and no more for now: it waits for nothing"""
    host, port = compose.service.host.split(":")
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
    client.settimeout(20)
    client.connect((host, int(port)))
    client.sendall(f"GET {compose.web}/{name[0]}/{name}.rpm HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    return client, client.recv(1000)


def rest_of(client, begun):
    """the body, once the rest was read"""
    with contextlib.suppress(ConnectionResetError):
        while piece := client.recv(1 << 18):
            begun += piece
    return begun.partition(b"\r\n\r\n")[2]


def begin(service, compose, name):
    """a file and a client that were handed the beginning of it, of which the half is there, and wait for nothing now"""
    file = open(compose.path(name), "rb", buffering=0)
    begun = file.read(1000)
    client, answer = pausing(compose, name)
    check(wait_for(lambda: figure(service, "odcsfs_fetch_waiters") == 0 and sum(arrived(service)) > len(begun), 10), f"{name}: begun")
    return file, begun, client, answer


def try_pauses(origin):
    """who takes longer than cache.read_timeout over what he was handed is not cut off, and what nobody wants any more is given up;
    the worker may die meanwhile"""
    size = 16 << 20 # more than all buffers on the way
    data = repository(origin, "pauses", {name: size for name in ("slow", "died", "left")})
    gates = {name: threading.Event() for name in data}
    origin.steps = {f"/{name}.rpm": held(gate) for name, gate in gates.items()}
    with start(origin, "cache.verify=stream", timeout=2) as service:
        compose = Compose(service, f"{origin.url}/pauses")
        workers, before = set(service.children()), descriptors(service)
        for name in ("slow", "died"):
            file, begun, client, answer = begin(service, compose, name)
            if name == "died":
                same(kill_fetchers(service, workers), 1, "workers")
                check(wait_for(lambda: figure(service, "odcsfs_fetches_running") == 0, 5), "it died")
            else:
                same(wait_for(lambda: figure(service, "odcsfs_fetches_running") == 0, 3.5), False, "fetched on, though nobody waits")
            gates[name].set()
            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                web = pool.submit(rest_of, client, answer)
                got = begun + b"".join(iter(lambda: file.read(1 << 20), b""))
                check(got == data[name], f"{name}: {len(got)} bytes by the mount")
                check(web.result() == data[name], f"{name}: {len(web.result())} bytes over HTTP")
            file.close()
            client.close()
        same(origin.count("/slow.rpm"), 1, "asked for once")
        asked = ranges_of(origin, "died")
        check(len(asked) == 2 and asked[1][0], f"gone on with: {asked}")
        # nobody is left: it ends, and nothing of it stays open
        file, _, client, _ = begin(service, compose, "left")
        kill_fetchers(service, workers)
        file.close()
        client.close()
        check(wait_for(lambda: descriptors(service) <= before, 5), f"descriptors: {before}, then {descriptors(service)}")
        gates["left"].set()
        check(pieces(compose.path("left"))[0] == data["left"], "and can be had afterwards")
        origin.steps = {}


def try_restart(origin):
    """a service that is stopped, or killed, goes on after its restart"""
    data = repository(origin, "restart", {"stop": 1_000_000, "kill": 1_000_000})
    with start(origin) as service:
        compose = Compose(service, f"{origin.url}/restart")
        for name, number in (("stop", signal.SIGTERM), ("kill", signal.SIGKILL)):
            gate = threading.Event()
            origin.steps = {f"/{name}.rpm": held(gate)}
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                mounted = pool.submit(pieces, compose.path(name))
                check(wait_for(lambda n=name: origin.count(f"/{n}.rpm") == 1, 5), f"{name}: asked for")
                check(wait_for(lambda: sum(arrived(service)) > 2 * WITHHELD, 10), f"{name}: a part is there")
                service.stop(number)
                gate.set()
                check(mounted.result()[2], f"{name}: the reader is told")
            origin.steps = {}
            service.start()
            same(kept(service), {hashlib.sha256(data[name]).hexdigest()}, f"{name}: what broke off is kept")
            check(pieces(compose.path(name))[0] == data[name], f"{name}: bytes")
            asked = ranges_of(origin, name)
            check(len(asked) == 2 and asked[1][0] and asked[1][1], f"{name}: {asked}")
            same(kept(service), set(), f"{name}: nothing is left of it")


# ---- limits -----------------------------------------------------------------------------

def try_limits(origin):
    """bytes a second of all together, and how many at a time of one server; small ones first, none starved"""
    data = repository(origin, "limits", {f"r{i}": 400_000 for i in range(4)})
    with start(origin, "cache.rate=800000", "cache.fetchers=4", "cache.server_fetchers=2") as service:
        compose = Compose(service, f"{origin.url}/limits")
        running, most, lock = [0], [0], threading.Lock()

        def counted(origin, request):
            with lock:
                running[0] += 1
                most[0] = max(most[0], running[0])
            origin.serve(request)
            time.sleep(0.2)
            with lock:
                running[0] -= 1
        origin.steps = {".rpm": counted}
        started = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for name, reader in {n: pool.submit(pieces, compose.path(n)) for n in data}.items():
                check(reader.result()[0] == data[name], name)
        took = time.monotonic() - started
        check(took > 1_600_000 / 800_000 * 0.8, f"1.6 MB in {took:.1f} s at 800 kB a second")
        check(1 <= most[0] <= 2, f"{most[0]} at a time of one server")
        origin.steps = {}


def main():
    need_fuse()
    folder = tempfile.TemporaryDirectory(prefix="odcsfs-origin-")
    only = sys.argv[1:]

    def timed(test, *arguments):
        if only and test.__name__ not in only:
            return
        started = time.monotonic()
        origin.forget()
        test(*arguments)
        print(f"{test.__name__}: {time.monotonic() - started:.1f} s", flush=True)
    with Origin(folder.name) as origin:
        for patience, tests in ((60, (try_early, try_reset, try_trimmed)), (TIMEOUT, (try_wrong,))):
            with start(origin, "cache.verify=stream", timeout=patience) as service:
                for test in tests:
                    timed(test, service, origin)
                same(kept(service), set(), "nothing is left of parts")
        for mode in ("whole", "stream"):
            timed(try_killed_workers, origin, mode)
        timed(try_pauses, origin)
        timed(try_restart, origin)
        timed(try_limits, origin)
    folder.cleanup()
    end()


main()
