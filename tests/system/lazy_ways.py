# SPDX-License-Identifier: MIT
"""tests/system/lazy_ways.py: packages that are not here yet, over HTTP and by the export: ranges, conditions, clients that
go away, eviction between two reads, what the attributes say, and local reads beside.

promises = 7, 8, 10
"""
import html, http.client, multiprocessing, socket

from lazykit import *
from originkit import slow, stall, status
from treekit import file_handle, open_handle


READER = 65534 # a uid that nobody logs in with
MANY, MOST = 1100, 1024 # reads of one user that may wait


def connect(service):
    host, port = service.host.split(":")
    return socket.create_connection((host, int(port)), timeout=60)


def try_http_conditions(service, origin):
    """what needs no bytes fetches none; what does, starts it"""
    data = repository(origin, "cond", {f"c{i}": 30_000 for i in range(8)})
    compose = Compose(service, f"{origin.url}/cond")
    tag = f'"{digest(data["c0"])}"'
    head = compose.get("c0", "HEAD")
    same((head.status, head.headers["Content-Length"], head.headers["ETag"], head.headers["Accept-Ranges"]),
         (200, "30000", tag, "bytes"), "HEAD")
    since = head.headers["Last-Modified"]
    for headers, want in (({"If_None_Match": tag}, 304), ({"If_None_Match": f'"x", {tag}'}, 304), ({"If_None_Match": "*"}, 304),
                          ({"If_Modified_Since": since}, 304), ({"Range": "bytes=30000-"}, 416)):
        same(compose.get("c0", **headers).status, want, f"{headers}")
    same(compose.get("c0", "HEAD", Range="bytes=5-9").status, 200, "ranges are GET's")
    same((origin.count(".rpm"), figures(service)["odcsfs_fetches_total"], compose.attribute("c0", "cached")), (0, 0, "0"),
         "nothing of that fetches it")
    for name, headers, want, first, behind in (("c0", {"Range": "bytes=0-0"}, 206, 0, 1),
            ("c1", {"Range": "bytes=-7"}, 206, 29_993, 30_000), ("c2", {"Range": "bytes=29000-99999"}, 206, 29_000, 30_000),
            ("c3", {"Range": "bytes=1-2", "If_Range": '"other"'}, 200, 0, 30_000), ("c4", {"Range": "lines=1-2"}, 200, 0, 30_000),
            ("c5", {"Range": "bytes=1-2", "If_Range": f'"{digest(data["c5"])}"'}, 206, 1, 3),
            ("c6", {"If_None_Match": '"other"'}, 200, 0, 30_000)):
        answer = compose.get(name, **headers)
        check((answer.status, answer.body) == (want, data[name][first:behind]), f"{headers}: {answer.status}, {brief(answer.body)}")
        if want == 206:
            same(answer.headers["Content-Range"], f"bytes {first}-{behind - 1}/30000", f"{headers}")
        same(origin.count(f"/{name}.rpm"), 1, f"{headers}: asked for once")
        same(compose.attribute(name, "cached"), "1", f"{headers}: cached")


def try_http_connection(service, origin):
    """several requests over one connection: some wait, some do not; and many in one go"""
    data = repository(origin, "line", {f"k{i}": 50_000 for i in range(6)})
    compose = Compose(service, f"{origin.url}/line")
    origin.steps = {".rpm": slow(0.3)}
    connection = http.client.HTTPConnection(service.host, timeout=60)
    for path, want in ((f"{compose.web}/k/k0.rpm", data["k0"]), (f"{compose.web}/k/k0.rpm", data["k0"]), ("/api/1/", None),
                       (f"{compose.web}/k/k1.rpm", data["k1"])):
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        check(answer.status == 200 and want in (None, body), f"{path} over one connection: {answer.status}")
    connection.close()
    with connect(service) as client: # three requests at once, the answers in their order
        client.sendall(b"".join(f"GET {compose.web}/k/{n}.rpm HTTP/1.1\r\nHost: x\r\n{c}\r\n".encode()
                                for n, c in (("k2", ""), ("k0", ""), ("k3", "Connection: close\r\n"))))
        got = b"".join(iter(lambda: client.recv(1 << 16), b""))
        places = [got.find(data[n]) for n in ("k2", "k0", "k3")]
        check(-1 not in places and places == sorted(places), f"pipelined: {places}")
    origin.steps = {}


def try_http_crowd(service, origin):
    """40 clients of one package, parts of it, and some that go; one request of the origin's"""
    data = repository(origin, "crowd", {"crowd": 3_000_000})
    compose = Compose(service, f"{origin.url}/crowd")
    origin.steps = {"crowd.rpm": slow(1.5, 30)}
    before = descriptors(service)
    going = [connect(service) for _ in range(6)]
    for client in going:
        client.sendall(f"GET {compose.web}/c/crowd.rpm HTTP/1.1\r\nHost: x\r\n\r\n".encode())

    def ask(number):
        first = number * 70_000
        answer = compose.get("crowd", Range=f"bytes={first}-") if number % 2 else compose.get("crowd")
        return answer.body == (data["crowd"][first:] if number % 2 else data["crowd"])
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        answers = [pool.submit(ask, number) for number in range(40)]
        check(wait_for(lambda: figures(service)["odcsfs_fetch_waiters"] >= 10, 20), "they wait")
        for client in going[:3]:
            client.close() # while it waits
        same(sum(not a.result() for a in answers), 0, "wrong answers of 40")
    for client in going[3:]:
        check(client.recv(1000).startswith(b"HTTP/1.1 200"), "begun")
        client.close() # in the middle of the body
    same(origin.count("crowd.rpm"), 1, "asked for once")
    check(wait_for(lambda: descriptors(service) <= before, 10), f"descriptors: {before}, then {descriptors(service)}")
    same(figures(service)["odcsfs_fetch_waiters"], 0, "nobody is left waiting")
    origin.steps = {}


def forget_pages(path):
    with open(path, "rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def try_export(service, origin):
    """without opens: reads wait, share downloads with the mount, and survive that the package goes between two of them"""
    data = repository(origin, "out", {"whole": 400_000, "piece": 2_000_000, "mapped": 300_000, "shared": 300_000, "lost": 2_000_000})
    compose = Compose(service, f"{origin.url}/out")
    path = compose.path("whole", "export")
    same((path.stat().st_blocks, compose.attribute("whole", "cached", "export")), (0, "0"), "before")
    check(path.read_bytes() == data["whole"], "read by the export")
    same((wait_for(lambda: path.stat().st_blocks, 5), compose.attribute("whole", "cached", "export")), (782, "1"), "after")
    code = ("import hashlib, mmap, sys; f = open(sys.argv[1], 'rb'); m = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ); "
            "print(hashlib.sha256(m[100_000:200_000]).hexdigest())")
    same(run(sys.executable, "-c", code, compose.path("mapped", "export")).stdout.strip(), digest(data["mapped"][100_000:200_000]),
         "mapped")
    origin.steps = {"shared.rpm": slow(1)}
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        same({digest(got) if not isinstance(got, int) else got for got, _ in
              pool.map(lambda i: compose.read("shared", WAYS[i % 3]), range(12))}, {digest(data["shared"])}, "all three ways at once")
    same(origin.count("shared.rpm"), 1, "asked for once")
    for name, step, want in (("piece", None, 0), ("lost", status(404), errno.EIO)):
        held = os.open(compose.path(name, "export"), os.O_RDONLY)
        check(os.pread(held, 4096, 0) == data[name][:4096], f"{name}: its beginning")
        check(wait_for(lambda: not service.call("DELETE", "/api/1/cache/?keep=0") or digest(data[name]) not in cached(service), 10),
              f"{name}: nothing of the export keeps it")
        forget_pages(compose.path(name, "export"))
        origin.steps = {f"{name}.rpm": step} if step else {}
        try:
            got = os.pread(held, 4096, 1_500_000)
            check(not want and got == data[name][1_500_000:1_504_096], f"{name}: fetched again")
        except OSError as error:
            same(error.errno, want, f"{name}: its end")
        os.close(held)
    check("404" in compose.attribute("lost", "error", "export"), "words at a file of the export")
    same(origin.count("/piece.rpm"), 2, "that one twice")
    origin.steps = {}


def try_kept_open(service, origin):
    """who has it open in the tree, or is sent it over HTTP, keeps it; trimming does not touch it"""
    data = repository(origin, "open", {"mount": 9_000_000, "http": 9_000_000})
    compose = Compose(service, f"{origin.url}/open")
    with open(compose.path("mount"), "rb", buffering=0) as held, connect(service) as client:
        held.read(10)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 18)
        client.sendall(f"GET {compose.web}/h/http.rpm HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        begun = client.recv(100)
        service.call("DELETE", "/api/1/cache/?keep=0")
        same(set(cached(service)), {digest(d) for d in data.values()}, "both stay")
        forget_pages(compose.path("mount"))
        check(data["mount"] == data["mount"][:10] + held.read(), "the rest of the one")
        got = begun + b"".join(iter(lambda: client.recv(1 << 16), b""))
        check(got.endswith(data["http"]), "the rest of the other")
    check(wait_for(lambda: service.call("DELETE", "/api/1/cache/?keep=0") and not cached(service), 10), "now they may go")
    check(wait_for(lambda: compose.path("mount").stat().st_blocks == 0, 5), "and have no blocks")
    same(compose.attribute("mount", "cached"), "0", "nor are they cached")
    same(origin.count(".rpm"), 2, "asked for once each")


def try_words(service, origin):
    """a failure says the same wherever it was met: at the file in both mounts, on the page, in the log once; until it reads well"""
    names = [f"w{way}" for way in WAYS]
    data = repository(origin, "words", {name: 10_000 + i for i, name in enumerate(names)})
    compose = Compose(service, f"{origin.url}/words")
    show = lambda: service.call("GET", f"/compose/{compose.number}").body.decode()
    origin.steps = {"/words/p/": status(404)}
    for name, way in zip(names, WAYS):
        check("error" not in str(os.listxattr(compose.path(name))), f"{name}: no words before")
        same(brief(compose.read(name, way)[0]), 502 if way == "http" else errno.EIO, f"{name} by {way}")
        words = compose.attribute(name, "error")
        check(words.startswith(f"{name}.rpm: ") and "404" in words, f"{name} by {way}: {words}")
        same(compose.attribute(name, "error", "export"), words, f"{name} by {way}: at the file of the export")
        for other in WAYS:
            compose.read(name, other)
        same(compose.attribute(name, "error"), words, f"{name}: others say the same")
        check(compose.get(name).json["message"] in words, f"{name} over HTTP: {compose.get(name).body}")
        same(compose.log().count(words), 1, f"{name}: in the compose's log")
        check(f"Could not be read: {words.split('http')[0]}" in html.unescape(show()), f"{name}: on the page")
    same(show().count("Could not be read"), len(names), "all of them on the page")
    origin.steps = {}
    time.sleep(5.2) # so long a failure is remembered
    for name, way in zip(names, WAYS):
        check(compose.read(name, way)[0] == data[name], f"{name} by {way}")
        same(code(compose.attribute, name, "error"), errno.ENODATA, f"{name}: no words any more after {way}")
    same(show().count("Could not be read"), 0, "nor on the page")


def code(function, *values):
    """errno of what must fail, 0 when it does not"""
    try:
        function(*values)
    except OSError as error:
        return error.errno
    return 0


def try_who_asks_nothing(service, origin):
    """ls, stat, du, find and xattrs fetch nothing and wait for nothing, while reads do"""
    data = repository(origin, "look", {f"x{i:02}": 100_000 for i in range(20)})
    compose = Compose(service, f"{origin.url}/look")
    origin.steps = {".rpm": slow(2)}
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        reads = [pool.submit(compose.read, f"x{i:02}", WAYS[i % 3]) for i in range(10)]
        check(wait_for(lambda: figures(service)["odcsfs_fetch_waiters"], 10), "they wait")
        for top in (compose.folder, service.out / compose.inner):
            same(run("find", top, "-type", "f", "-size", "+97k").stdout.count("\n"), 20, "find")
            size = int(run("du", "-s", "--apparent-size", "--block-size=1", top).stdout.split()[0])
            check(2_000_000 <= size < 2_100_000, f"du --apparent-size: {size}")
            for i in range(10, 20):
                file = top / f"x/x{i}.rpm"
                same((file.stat().st_size, file.stat().st_blocks), (100_000, 0), "stat")
                os.close(os.open(file, os.O_RDONLY))
        page = service.call("GET", f"/compose/{compose.number}").body.decode()
        check("not fetched yet" in page, "the page")
        check(not all(r.done() for r in reads), "faster than the bytes")
        for i, read in enumerate(reads):
            check(read.result()[0] == data[f"x{i:02}"], f"x{i:02}: {brief(read.result()[0])}")
    same(origin.count(".rpm"), 10, "those that were read")
    kib = lambda: int(run("du", "-s", "--block-size=1", compose.folder).stdout.split()[0])
    check(wait_for(lambda: 1_000_000 <= kib() < 1_100_000, 5), f"du: {kib()}")
    origin.steps = {}


def try_fast(service, origin):
    """what is here goes the fast way, what is not falls back without a word, in one compose and one open file"""
    data = repository(origin, "fast", {"fast": 3_000_000})
    compose = Compose(service, f"{origin.url}/fast")
    fast = "reads: passthrough" in (service.mnt / "version").read_text()
    path = compose.path("fast")

    def reads(function, *values):
        before = figure(service, "odcsfs_fuse_requests_total", op="read")
        function(*values)
        return figure(service, "odcsfs_fuse_requests_total", op="read") - before
    with open(path, "rb", buffering=0) as file:
        check(reads(lambda: check(file.read(1000) == data["fast"][:1000], "its beginning")) > 0, "the first open asks us")
        check(file.read() == data["fast"][1000:], "and reads on")
    forget_pages(path)

    def again():
        with open(path, "rb", buffering=0) as file:
            check(file.readall() == data["fast"], "here now")
            same(figure(service, "odcsfs_fuse_backing_files"), float(fast), "files that the kernel reads by itself")
    same(reads(again) == 0, fast, "READ requests, here now")
    check(wait_for(lambda: figure(service, "odcsfs_fuse_backing_files") == 0, 5), "given back")
    service.call("DELETE", "/api/1/cache/?keep=0")
    forget_pages(path)
    same(list(cached(service)), [], "gone")
    check(reads(lambda: check(path.read_bytes() == data["fast"], "fetched anew")) > 0, "which asks us again")


def try_handles(service, origin):
    """what a file server keeps of a package that is not here yet is good after a restart, and its read fetches it"""
    data = repository(origin, "handle", {"mount": 50_000, "export": 50_000, "gone": 50_000})
    compose = Compose(service, f"{origin.url}/handle")
    tops = {"mount": service.mnt, "export": service.out}
    handles = {name: file_handle(compose.path(name, name if name in tops else "export")) for name in data}
    same(service.stop(), 0, "stops")
    service.start()
    for name, handle in handles.items():
        top = os.open(tops.get(name, service.out), os.O_RDONLY | os.O_DIRECTORY)
        if name == "gone":
            os.rmdir(service.mnt / f"requests/{compose.name}")
            check(wait_for(lambda: not (service.out / str(compose.number)).exists(), 5), "the compose is over")
        try:
            with os.fdopen(open_handle(top, handle), "rb") as file:
                check(name != "gone" and file.read() == data[name], f"{name}: by handle")
        except OSError as error:
            same((name, error.errno), ("gone", errno.ESTALE), f"{name}: by handle")
        os.close(top)
    same(origin.count("/handle/p/"), 2, "fetched when they were read")


def ask_for_all(paths, last, answer):
    """as READER: have the kernel read all of them ahead, so that none of it waits here; what one more read gives"""
    os.setgid(READER)
    os.setuid(READER)
    for path in paths:
        fd = os.open(path, os.O_RDONLY)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_WILLNEED)
        os.close(fd)
    answer.put(code(last.read_bytes))


def try_many_wait(service, stalled, origin, way):
    """a thousand reads wait for a server that says nothing: everybody else goes on, and who made them is told"""
    data = repository(stalled, "many", {"here": 2_000_000, "last": 2000, **{f"m{i:04}": 2000 for i in range(MANY)}})
    other = repository(origin, "quick", {"quick": 500_000, "again": 500_000})
    many, quick = Compose(service, f"{stalled.url}/many"), Compose(service, f"{origin.url}/quick")
    check(many.read("here", way)[0] == data["here"], "one that is here")
    forget_pages(many.path("here", way))
    stalled.steps = {".rpm": stall(60)}
    fork = multiprocessing.get_context("fork")
    answer = fork.Queue()
    paths = [many.path(name, way) for name in data if name.startswith("m")]
    flood = fork.Process(target=ask_for_all, args=(paths, many.path("last", way), answer))
    flood.start()
    waiting = lambda: figures(service)["odcsfs_fetch_waiters"]
    same((answer.get(timeout=60), wait_for(lambda: waiting() == MOST, 10)), (errno.EIO, True), f"{way}: {waiting()} wait, one more read")
    flood.join()
    check(f"{MOST} reads of one user wait" in many.attribute("last", "error", way), many.attribute("last", "error", way))
    pool = concurrent.futures.ThreadPoolExecutor(3) # who hangs there hangs until the mount ends
    reads = [(pool.submit(many.read, "here", way), data["here"]), (pool.submit(quick.read, "quick", way), other["quick"]),
             (pool.submit(quick.read, "again", "http"), other["again"])]
    for read, want in reads:
        got, seconds = read.result(timeout=20)
        check(got == want, f"{way}: beside them: {brief(got)}")
        print(f"   {way}: {seconds:.2f} s")
    check(waiting() >= MOST, f"{way}: they wait still: {waiting()}")
    for name in sorted(p.name for p in (many.folder.parent / "repodata").iterdir()):
        check((many.folder.parent / "repodata" / name).read_bytes(), name)
    pool.shutdown()


def main():
    need_fuse()
    if os.geteuid() != 0:
        print("try_many_wait: not done: a second user on this machine needs root")
    with origins(2) as (stalled, origin):
        for way, mode in (("export", "auto"), ("mount", "auto"), ("mount", "splice")) if os.geteuid() == 0 else ():
            with start([stalled, origin], PATIENT, f"fs.read_mode={mode}", export=True) as service:
                shutil.rmtree(stalled.folder / "many", ignore_errors=True)
                shutil.rmtree(origin.folder / "quick", ignore_errors=True)
                run_all((try_many_wait,), service, stalled, origin, way)
    with origins() as (origin,), start(origin, PATIENT, export=True) as service:
        run_all((try_http_conditions, try_http_connection, try_http_crowd, try_export, try_kept_open, try_words, try_who_asks_nothing,
                 try_fast, try_handles), service, origin)
    end()


main()
