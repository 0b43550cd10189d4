# SPDX-License-Identifier: MIT
"""tests/system/fairness.py: one client floods, another one is served as if he were alone.

The flood comes from a user of its own: 200 connections that ask for long lists and write as fast as
they can (2,000 requests at least), 100 connections more than one client may have, bodies that come
byte by byte, answers that are taken byte by byte, bodies of gigabytes, JSON that is nothing but
brackets. Meanwhile somebody else reads, writes and looks at the mount: nothing of his may fail,
99 of 100 of his requests are answered within BOUND seconds (of fewer, all but one), and 90 of 100 within TIMES the time that
they take while the flood is held (in turn, so that whatever else the machine does falls on both) or
FLOOR seconds.

ODCSFS_BOUND: seconds (0.5; with a sanitizer 2); half of it is FLOOR. ODCSFS_SECONDS: of the flood (13; scripts/soak: 120).

promises = 23, 24
"""
import collections, contextlib, http.client, json, multiprocessing, os, pathlib, re, signal, socket, sqlite3, sys
import tempfile, threading, time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import *

FLOODER = 65534 # a uid that nobody logs in with
PROCESSES, THREADS, REQUESTS = 2, 100, 2000
SLOW = 20 # of each kind
LONG = 1500000 # bytes of a long list, at least
SECONDS = int(os.environ.get("ODCSFS_SECONDS", "13")) # the slow ones are seen after ten
MEMORY_MB = 200
COMMITS = {"tree request": 4} # one after another: made, accepted, cancelled, dropped
TIMES = 5
FLOODED, HELD, SETTLE = 2.5, 0.8, 0.2 # seconds: of the flood, without it, until what it had asked for is answered
WAITS, CONNECTIONS = 128, 256 # defaults of limits.client_waits, limits.client_connections


def is_sanitized(service):
    return any(word in pathlib.Path(f"/proc/{service.server_pid}/maps").read_text()
               for word in ("libasan", "libtsan", "libubsan"))


# ---- the flood: runs as FLOODER, in processes of its own ------------------------------------------

def request(method, path, body=b"", extra=""):
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{extra}"
    if body:
        head += f"Content-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


def take(stream):
    """(status, headers) of one answer, its body read; None at the end."""
    line = stream.readline()
    if not line:
        return None
    headers = {}
    while (header := stream.readline().strip()):
        name, _, value = header.partition(b":")
        headers[name.lower()] = value.strip()
    stream.read(int(headers.get(b"content-length", 0)))
    return int(line.split()[1]), headers


def hammer(place, until, counts, number):
    """One connection after another, one request after another."""
    turn = number
    while time.monotonic() < until:
        try:
            with socket.create_connection(place, 20) as link, link.makefile("rb") as stream:
                while time.monotonic() < until:
                    turn += 1
                    if turn % 3 == 0:
                        data = request("POST", "/api/1/composes/", json.dumps(
                            {"source": {"type": "tag", "source": f"flood-{turn}"}}).encode())
                    elif turn % 3 == 1:
                        data = request("GET", f"/api/1/composes/?per_page=500&turn={turn}.{number}")
                    else:
                        data = request("GET", ("/api/1/composes/1", "/", "/composes/", "/compose/1")[turn % 4])
                    link.sendall(data)
                    answer = take(stream)
                    if not answer:
                        counts["closed"] += 1
                        break
                    counts[answer[0]] += 1
                    if answer[0] == 429 and b"retry-after" not in answer[1]:
                        counts["429 without Retry-After"] += 1
        except OSError:
            counts["refused"] += 1
            time.sleep(0.05)


def one(place, data, seconds=20):
    """The status of the answer to @data on a connection of its own, or None."""
    try:
        with socket.create_connection(place, seconds) as link, link.makefile("rb") as stream:
            link.sendall(data)
            answer = take(stream)
            return answer and answer[0]
    except OSError:
        return None


def bad(place, until, counts):
    """Giant bodies, deep JSON, wide JSON."""
    wide = request("POST", "/api/1/composes/", b'{"source": {"type": "tag", "source": "x"}, "x": [' + b"0," * 500000 + b"0]}")
    deep = request("POST", "/api/1/composes/", b"[" * 500000)
    large = request("POST", "/api/1/composes/", b"{" + b" " * 1500000 + b"}")
    huge = request("POST", "/api/1/composes/", extra="Content-Length: 5000000000\r\n")
    while time.monotonic() < until:
        for name, data in (("deep", deep), ("wide", wide), ("large", large), ("huge", huge)):
            counts[name, one(place, data)] += 1
        time.sleep(0.1)


def slow_sender(place, counts):
    """A body that comes by one byte a second."""
    begun = time.monotonic()
    try:
        with socket.create_connection(place) as link:
            link.sendall(request("POST", "/api/1/composes/", extra="Content-Length: 9000\r\n"))
            while time.monotonic() < begun + 30:
                time.sleep(1)
                link.sendall(b" ")
            counts["sender", "never dropped"] += 1
    except OSError:
        counts["sender", "early" if time.monotonic() - begun < 8 else "dropped"] += 1


def slow_reader(place, counts):
    """A long answer of which one byte a second is taken. What the kernel has for him he still gets
    after the connection was ended, so in the end he takes all that there is."""
    got = 0
    try:
        with socket.socket() as link:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            link.connect(place)
            link.sendall(request("GET", f"/api/1/composes/?per_page=500&x={time.monotonic()}"))
            for _ in range(15):
                time.sleep(1)
                got += len(link.recv(1))
            while (piece := link.recv(65536)):
                got += len(piece)
            counts["reader", "dropped" if got < LONG else "never dropped"] += 1
    except OSError:
        counts["reader", "dropped" if got >= 15 else "early"] += 1


def many(place, until, counts):
    """More connections than one client may have, held for a while."""
    links = []
    for _ in range(CONNECTIONS + 44):
        try:
            links.append(socket.create_connection(place, 5))
        except OSError:
            pass
    time.sleep(2)
    for link in links:
        link.setblocking(False)
        try:
            words = link.recv(4096) # before anything was asked
            counts["many", "closed" if words == b"" else "told" if b"limits.client_connections=" in words else words] += 1
        except BlockingIOError:
            counts["many", "held"] += 1
        except OSError:
            counts["many", "closed"] += 1
        link.close()


def flood(place, number, until, answers):
    os.nice(5) # it would come from another machine: what it computes itself is not the service's load
    os.setgid(FLOODER)
    os.setuid(FLOODER)
    counts = collections.Counter()
    deeds = [(deed, (place, counts)) for deed in (slow_sender, slow_reader)
             for _ in range(SLOW // PROCESSES)]
    deeds += [(bad, (place, until, counts))]
    deeds += [(hammer, (place, until, counts, i * PROCESSES + number)) for i in range(THREADS)]
    threads = [threading.Thread(target=deed, args=arguments) for deed, arguments in deeds]
    for i, thread in enumerate(threads):
        if i == 2 * SLOW // PROCESSES + 1: # the slow ones are in before the quick ones take all there is
            time.sleep(0.5)
        thread.start()
    for thread in threads:
        thread.join()
    answers.put(list(counts.items()))


def crowd(place, answers):
    os.setgid(FLOODER)
    os.setuid(FLOODER)
    counts = collections.Counter()
    many(place, 0, counts)
    answers.put(list(counts.items()))


# ---- somebody else --------------------------------------------------------------------------------

class Times:
    def __init__(self):
        self.seconds, self.bad = collections.defaultdict(list), collections.Counter()

    def measure(self, what, deed, good):
        begun = time.monotonic()
        try:
            result = deed()
        except (OSError, http.client.HTTPException) as error:
            result = repr(error)
        self.seconds[what].append(time.monotonic() - begun)
        if result != good:
            self.bad[what, result] += 1

    def percentile(self, what, percent):
        return sorted(self.seconds[what])[int(len(self.seconds[what]) * percent / 100)]


def tree_request(service, number):
    """made, accepted, and given up"""
    request = service.submit(f"polite-{os.getpid()}-{time.monotonic_ns()}-{number}", repo_spec(BASE, packages=["no-such"]))
    os.rmdir(request)
    return "accepted"


def polite(service, seconds, times=None):
    times, limit = times or Times(), time.monotonic() + seconds
    deeds = [("GET one", lambda: service.call("GET", "/api/1/composes/1").status, 200),
             ("GET list", lambda: service.call("GET", f"/api/1/composes/?a={time.time()}").status,
              200),
             ("GET file", lambda: service.call("GET", "/composes/1/COMPOSE_ID").status, 200),
             ("POST", lambda: service.call("POST", "/api/1/composes/", repo_spec(
                 BASE, packages=["no-such"])).status, 200)]
    if service.mounts:
        deeds.append(("tree request", lambda: tree_request(service, len(times.seconds["tree request"])), "accepted"))
        deeds.append(("mount", lambda: (service.mnt / "composes/1/COMPOSE_ID").read_text()[:5],
                      "odcs-"))
    while time.monotonic() < limit:
        for what, deed, good in deeds:
            times.measure(what, deed, good)
        time.sleep(0.02)
    return times


def peak_mb(service):
    text = pathlib.Path(f"/proc/{service.server_pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", text)[1]) / 1024


def figures(service, name):
    text = service.call("GET", "/api/1/metrics/").body.decode()
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.M))


def hold_processes(processes, number):
    for process in processes:
        os.kill(process.pid, number)


def run_flood(service):
    place = (service.host.split(":")[0], int(service.host.split(":")[1]))
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    until = time.monotonic() + SECONDS
    processes = [context.Process(target=flood, args=(place, i, until, answers))
                 for i in range(PROCESSES)]
    for process in processes:
        process.start()
    times, idle = Times(), Times()
    while time.monotonic() < until - HELD: # in turn
        polite(service, FLOODED, times)
        hold_processes(processes, signal.SIGSTOP)
        time.sleep(SETTLE)
        polite(service, HELD - SETTLE, idle)
        hold_processes(processes, signal.SIGCONT)
    counts = collections.Counter()
    for _ in processes:
        counts.update(dict(answers.get()))
    for process in processes:
        process.join()
    return times, idle, counts


def test_flood(service, bound):
    for _ in range(40): # long records, so that lists are long
        service.call("POST", "/api/1/composes/", {"source": {
            "type": "tag", "source": "f26", "packages": [f"package-number-{i}" for i in range(2500)]}})
    check(len(service.call("GET", "/api/1/composes/?per_page=500").body) > LONG, "long lists are long")
    before = peak_mb(service)
    times, idle, counts = run_flood(service)
    for what in sorted(times.seconds):
        alone, flooded = idle.percentile(what, 90), times.percentile(what, 90)
        p99, most = times.percentile(what, 99), bound * COMMITS.get(what, 1)
        late = sum(seconds >= most for seconds in times.seconds[what])
        print(f"   {what}: p90 {alone * 1000:.1f} ms alone, {flooded * 1000:.1f} ms in the flood ({flooded / alone:.1f} times), "
              f"p99 {idle.percentile(what, 99) * 1000:.1f} and {p99 * 1000:.1f} ms, at most {max(times.seconds[what]) * 1000:.1f} ms, "
              f"{len(idle.seconds[what])} and {len(times.seconds[what])} times", flush=True)
        check(late <= max(1, len(times.seconds[what]) // 100) and max(times.seconds[what]) < 5 * most,
              f"{what}: {late} times not within {most} s, at most {max(times.seconds[what]):.1f} s")
        check(flooded <= max(TIMES * alone, bound / 2),
              f"{what}: p90 {flooded * 1000:.0f} ms in the flood, {alone * 1000:.0f} ms without it")
    same(dict(times.bad) | dict(idle.bad), {}, "what failed for the one who does not flood")
    print(f"   the flood: {dict(counts)}")
    answered = sum(n for status, n in counts.items() if isinstance(status, int))
    check(answered >= REQUESTS, f"the flood was answered {answered} times: no flood")
    same({s for s in counts if isinstance(s, int)} - {200, 429}, set(), "other answers to the flood")
    check(counts[429] > 0, "nobody was told to come back later")
    same(counts["429 without Retry-After"], 0, "429 without Retry-After")
    for kind in ("sender", "reader"):
        same(counts[kind, "dropped"], SLOW, f"slow {kind}s dropped: {counts}")
    for kind, status in (("deep", 400), ("wide", 200), ("large", 413), ("huge", 413)):
        check(counts[kind, status] > 0, f"{kind}: {counts}")
        odd = {s for (*k, s) in (c for c in counts if isinstance(c, tuple)) if k == [kind]}
        same(odd - {status, 429, None}, set(), f"{kind}: other answers")
    print(f"   memory: {before:.0f} MB before, {peak_mb(service):.0f} MB at most")
    if is_sanitized(service):
        print("   skipped: a sanitizer keeps freed memory, so its size says nothing here")
    else:
        check(peak_mb(service) - before < MEMORY_MB, f"memory grew to {peak_mb(service):.0f} MB")
    check(figures(service, "odcsfs_http_connections_slow_total") >= 2 * SLOW, "the slow are counted")
    check(figures(service, "odcsfs_http_requests_total") > REQUESTS, "answers are counted")


def test_crowd(service):
    """Too many connections of one user: CONNECTIONS stay, and others still get in."""
    place = (service.host.split(":")[0], int(service.host.split(":")[1]))
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    process = context.Process(target=crowd, args=(place, answers))
    process.start()
    times = polite(service, 2)
    counts = collections.Counter(dict(answers.get()))
    process.join()
    same(dict(times.bad), {}, "what failed for the one who is no crowd")
    same((counts["many", "held"], counts["many", "told"]), (CONNECTIONS, 44), f"connections: {counts}")
    check(figures(service, "odcsfs_http_connections_refused_total") >= 44, "the refused are counted")


def hold(family, place, count):
    """@count connections, and how many of them are served."""
    links, served = [socket.socket(family) for _ in range(count)], 0
    for link in links:
        link.settimeout(5)
        try:
            link.connect(place)
            link.sendall(request("GET", "/api/1/about/"))
            served += link.recv(12) == b"HTTP/1.1 200" # one too many is told 503
        except OSError:
            pass
    return links, served


def hold_as_other(path, count, answers):
    os.setgid(FLOODER)
    os.setuid(FLOODER)
    answers.put(hold(socket.AF_UNIX, path, count)[1])


def test_total():
    """40 connections for all who come, by whatever door, 30 for each of them."""
    path = str(pathlib.Path(tempfile.mkdtemp(prefix="odcsfs-")) / "http.sock")
    os.chmod(pathlib.Path(path).parent, 0o755)
    with Service(f"http.socket={path}", "limits.connections=40", "limits.client_connections=30",
                 mount=False) as service:
        place = (service.host.split(":")[0], int(service.host.split(":")[1]))
        links, served = hold(socket.AF_INET, place, 35)
        same(served, 30, "connections of one client")
        context = multiprocessing.get_context("fork")
        answers = context.SimpleQueue()
        process = context.Process(target=hold_as_other, args=(path, 30, answers))
        process.start()
        same(answers.get(), 10, "connections of another one, by another door")
        process.join()
        for link in links:
            link.close()
        check(wait_for(lambda: hold(socket.AF_UNIX, path, 1)[1], 10), "after they left")
    os.rmdir(pathlib.Path(path).parent)


def test_addresses():
    """Without accounts turns are taken by address, as a proxy of auth.proxies says it: who comes after a flood is second."""
    def post(address):
        return service.call("POST", "/api/1/composes/", repo_spec(BASE, packages=["sed"], flags=["no_reuse", "no_deps"]),
                            {"X-Forwarded-For": f"203.0.113.9, {address}"}).json["id"]

    with Service(f"repo.allowed={UNIVERSE}", "auth.proxies=127.0.0.1", "odcsfs.workers=1", mount=False) as service:
        workers = service.workers(1)
        for worker in workers:
            os.kill(worker, signal.SIGSTOP)
        flood = [post("192.0.2.1") for _ in range(6)]
        polite = [post(address) for address in ("192.0.2.2", "2001:db8:1::1", "2001:db8:1::2")] # the last two are one
        with contextlib.closing(sqlite3.connect(f"file:{service.state}/catalogue.sqlite?mode=ro", uri=True)) as database:
            parties = [row[0] for row in database.execute("SELECT party FROM composes ORDER BY id")]
            same(parties[-4:], ["65534@in:192.0.2.1 unknown", "65534@in:192.0.2.2 unknown", "65534@in6:2001:db8:1:: unknown",
                                "65534@in6:2001:db8:1:: unknown"], "who takes turns")
            link = http.client.HTTPConnection(service.host, timeout=60)
            link.request("GET", "/api/1/events")
            events, order = link.getresponse(), []
            for worker in workers:
                os.kill(worker, signal.SIGCONT)
            while len(order) < 9 and (line := events.readline()):
                news = json.loads(line[5:])["compose"] if line.startswith(b"data:") else {}
                if news.get("state_name") == "done":
                    order.append(news["id"])
            link.close()
            same(order, [flood[0], polite[0], polite[1], flood[1], polite[2], *flood[2:]], "the order in which they are made")
            parties = {row[0] for row in database.execute("SELECT party FROM composes")}
            same(parties, {""}, "addresses that are kept when all is over")


def test_bad_json(service):
    for text, depth in (("[" * 17 + "]" * 17, True), ('{"a":' * 17 + "1" + "}" * 17, True),
                        ('{"source":' * 15 + "1" + "}" * 15, False)):
        answer = service.call("POST", "/api/1/composes/", text)
        same(answer.status, 400, "status of deep JSON")
        same("deep" in answer.json["message"], depth, f"its words: {answer.json['message']}")


def test_waits(service):
    """WAITS followers for one client, the next one is told so; everything else goes on."""
    links = []
    for _ in range(WAITS):
        link = http.client.HTTPConnection(service.host, timeout=10)
        link.request("GET", "/api/1/events")
        links.append((link, link.getresponse()))
    same({answer.status for _, answer in links}, {200}, "followers")
    same(service.call("GET", "/api/1/events").status, 429, "one follower too many")
    same(service.call("GET", "/api/1/composes/").status, 200, "other requests of the same client")
    same(figures(service, "odcsfs_http_waiting"), WAITS, "followers are counted")
    for link, answer in links:
        answer.close()
        link.close()


def main():
    if os.geteuid() != 0:
        skip("two users on one machine need root")
    mount = os.path.exists("/dev/fuse")
    if not mount:
        print("   no /dev/fuse: without the mount")
    with Service(f"repo.allowed={UNIVERSE}", mount=mount) as service:
        number = service.call("POST", "/api/1/composes/", repo_spec(BASE, packages=["apache2"])).json["id"]
        service.wait_rest(number)
        bound = float(os.environ.get("ODCSFS_BOUND", "2" if is_sanitized(service) else "0.5"))
        for test in (test_bad_json, test_waits, test_crowd):
            test(service)
            print(f"ok {test.__name__}", flush=True)
        test_flood(service, bound)
        print("ok test_flood", flush=True)
    for test in (test_total, test_addresses):
        test()
        print(f"ok {test.__name__}", flush=True)
    end()


main()
