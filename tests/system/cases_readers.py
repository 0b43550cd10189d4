# SPDX-License-Identifier: MIT
"""tests/system/cases_readers.py: cases.py, promises 7–12: readers, origins, the mount."""
import contextlib, ctypes, errno, gzip, hashlib, http.client, mmap, os, pathlib, random, signal, socket, subprocess, threading
import time

from harness import BASE, repo_spec, run, wait_for
from originkit import cut, no_ranges, redirect, short, stall, status, text
from casekit import (ROOM, Absent, Broken, alive, ask, among, case, element, end, equal, fails, fetch, final, fresh, launch, made,
                     metadata, origin, own, package_path, package_url, patience, plain, post, primary_of, raw, record_of, refuses,
                     remote, repomd_of, repository, settled, shared, statuses, stopped, tree_files, want, whole, within, words_of)
from treekit import raw_read


def changed(file, data):
    """in place, with another mtime"""
    with open(file, "r+b") as f:
        f.write(data)
    os.utime(file, (5, 5))


def of_origin(packages, **more):
    """(its folder's name, compose number) of a repository at the origin, done"""
    name = fresh("o")
    repository(packages, origin().folder / name)
    _, number = made(remote(), repo_spec(f"{origin().url}/{name}", **more))
    return name, number


# ---- 7 no byte that is not right ----------------------------------------------------------

@case(7, "a source RPM is rewritten in place with as many other bytes: reading it is EIO with words, over HTTP no 200, the neighbour is read")
def rewritten():
    s = plain()
    repo = repository({"alpha": b"a" * 5000, "beta": b"b" * 5000})
    _, n = made(s, repo_spec(repo))
    path = package_path(s, n, "alpha")
    equal(path.read_bytes(), b"a" * 5000, "before")
    changed(repo / "alpha-1-1.x86_64.rpm", b"X" * 5000)
    fails(path.read_bytes, "EIO")
    want(words_of(path), "no words in user.odcs.error")
    answer = ask(s, "GET", package_url(n, "alpha"))
    want(answer.status >= 500 and b"XXXX" not in answer.body, f"HTTP {answer.status} {answer.body[:100]}")
    equal(package_path(s, n, "beta").read_bytes(), b"b" * 5000, "the neighbour")


@case(7, "in the place of source RPMs: another inode, fewer bytes, a directory, a FIFO, a link to /etc/shadow, nothing: EIO at once, never other bytes")
def replaced():
    s = plain()
    names = ["inode", "less", "folder", "fifo", "shadow", "gone", "device"]
    repo = repository({name: name[0].encode() * 4000 for name in names})
    _, n = made(s, repo_spec(repo))

    def file(name):
        return repo / f"{name}-1-1.x86_64.rpm"
    times = file("inode").stat()
    (repo / "new").write_bytes(b"Z" * 4000)
    os.utime(repo / "new", ns=(times.st_atime_ns, times.st_mtime_ns))
    os.rename(repo / "new", file("inode"))
    os.truncate(file("less"), 100)
    for name in names[2:]:
        file(name).unlink()
    file("folder").mkdir()
    os.mkfifo(file("fifo"))
    file("shadow").symlink_to("/etc/shadow")
    file("device").symlink_to("/dev/zero")
    for name in names:
        path = package_path(s, n, name)
        with within(3, f"reading {name}"):
            data, words = fetch(path)
            equal((data, bool(words)), (b"", True), f"bytes of {name}, and an error")
        answer = ask(s, "GET", package_url(n, name))
        want(answer.status >= 400 and b"root:" not in answer.body, f"HTTP of {name}: {answer.status}")
        want(words_of(path), f"no words for {name}")


@case(7, "a source RPM of 24 MB is truncated while it is sent over HTTP: the answer breaks off, it is not filled up to its length")
def truncated_while_sent():
    s = plain()
    repo = repository({"large": os.urandom(1 << 20) * 24})
    data = (repo / "large-1-1.x86_64.rpm").read_bytes()
    _, n = made(s, repo_spec(repo))
    connection = http.client.HTTPConnection(s.host, timeout=10)
    connection.request("GET", package_url(n, "large"))
    answer = connection.getresponse()
    got = answer.read(1 << 16)
    os.truncate(repo / "large-1-1.x86_64.rpm", 1 << 20)
    with contextlib.suppress(http.client.IncompleteRead, OSError):
        while piece := answer.read(1 << 16):
            got += piece
    connection.close()
    want(len(got) < len(data), f"{len(got)} bytes of a file that has 1 MiB")
    equal(got, data[:len(got)], "the bytes that came")


@case(7, "a server sends other bytes of the same length, or a longer file: EIO and 502 without one of them, and none is kept")
def wrong_bytes():
    name, n = of_origin({"wrong": b"right" * 1000, "longer": b"right" * 1100})
    s = remote()
    origin().steps[f"{name}/wrong-"] = text(b"WRONG" * 1000)
    origin().steps[f"{name}/longer-"] = text(b"right" * 1100 + b"WRONG")
    before = set((s.state / "packages").iterdir())
    for package in ("wrong", "longer"):
        data, words = fetch(package_path(s, n, package))
        equal(data, b"", "bytes")
        want("Input/output" in words, words)
        want(words_of(package_path(s, n, package)), "no words in user.odcs.error")
        for header in ({}, {"Range": "bytes=0-9"}):
            answer = ask(s, "GET", package_url(n, package), headers=header)
            equal(answer.status, 502, "HTTP")
            want(b"WRONG" not in answer.body and b"rightright" not in answer.body, "bytes over HTTP")
    equal(set((s.state / "packages").iterdir()) - before, set(), "files kept")


@case(7, "twenty forms of Range over HTTP: each answer is a right piece, all of it, or 416")
def ranges():
    s = plain()
    data = os.urandom(3000)
    _, n = made(s, repo_spec(repository({"ranged": data})))
    url = package_url(n, "ranged")
    for form in ("bytes=0-0", "bytes=-1", "bytes=-0", "bytes=2999-", "bytes=3000-", "bytes=5-4", "bytes=0-99999999999999999999",
                 "bytes=99999999999999999999-", "bytes=18446744073709551615-", "bytes=-18446744073709551616", "bytes=abc",
                 "bytes=0-1,5-6", "bytes= 0-1", "BYTES=0-1", "items=0-1", "bytes=--1", "bytes=1-2-3", "bytes=+1-2", "bytes=",
                 "bytes=" + ",".join("0-1" for _ in range(1000)), "bytes=0x0-0x5", "bytes=1 - 2"):
        answer = ask(s, "GET", url, headers={"Range": form})
        among(answer.status, [200, 206, 416, 400], f"status of {form[:40]}")
        if answer.status == 200:
            equal(answer.body, data, f"{form}: body")
        elif answer.status == 206 and "multipart" not in answer.headers.get("Content-Type", ""):
            first, last = answer.headers["Content-Range"].split()[1].split("/")[0].split("-")
            equal(answer.body, data[int(first):int(last) + 1], f"{form}: body of {answer.headers['Content-Range']}")
            want(answer.body, f"{form}: 206 of nothing")
        elif answer.status == 206:
            want(len(answer.body) < 1 << 20, f"{form[:30]}: an answer of {len(answer.body)} bytes")
    answer = ask(s, "GET", url, headers={"Range": "bytes=0-4", "If-Range": '"other"'})
    equal((answer.status, answer.body), (200, data), "If-Range of another one")


@case(7, "a repository is replaced file by file again and again while composes are made of it: each has one of its contents, or fails with words")
def moving_repository():
    s = plain()
    repo = repository({"first": b"1" * 100})
    one = {p.name: p.read_bytes() for p in (repo / "repodata").iterdir()}
    repository({"second": b"2" * 100, "third": b"3" * 100}, repo)
    two = {p.name: p.read_bytes() for p in (repo / "repodata").iterdir()}
    halt = threading.Event()

    def move():
        while not halt.is_set():
            for content in (one, two):
                for name, data in content.items():
                    (repo / "repodata" / name).write_bytes(data)
                    time.sleep(random.random() / 100)
    thread = threading.Thread(target=move)
    thread.start()
    try:
        for _ in range(8):
            request = s.submit(fresh(), repo_spec(repo, flags=["no_reuse"]))
            if final(request) == "done":
                among(sorted(os.path.basename(p)[:5] for p in whole(s, int((request / "id").read_text()))),
                      [["first"], ["secon", "third"]], "packages")
            else:
                want((request / "error").read_text().strip(), "no words")
    finally:
        halt.set()
        thread.join()


# ---- 8 origins that are slow, dead, or lie ---------------------------------------------------

@case(8, "a server stalls in the middle of a package: its reader gets ETIMEDOUT in the 2 s of the configuration, others are served meanwhile")
def stalled():
    name, n = of_origin({"stall": b"s" * 9000, "fine": b"f" * 9000})
    s = remote()
    origin().steps[f"{name}/stall-"] = stall(20)
    results = []
    began = time.monotonic()
    reader = threading.Thread(target=lambda: results.append((fetch(package_path(s, n, "stall")), time.monotonic() - began)))
    reader.start()
    time.sleep(0.3)
    with within(1, "listing, and reading another package"):
        os.listdir(s.mnt / "composes")
        package_path(s, n, "stall").stat()
        equal(package_path(s, n, "fine").read_bytes(), b"f" * 9000, "the other package")
    reader.join()
    (data, words), took = results[0]
    want("timed out" in words and data == b"", f"{words} {data[:20]}")
    want(took <= patience(3), f"it took {took:.1f} s")


@case(8, "a server drips a byte each 0.3 s, after the headers and in them: ETIMEDOUT in time")
def dripping():
    name, n = of_origin({"drip": b"d" * 9000, "head": b"h" * 9000})
    s = remote()

    def drip(server, request):
        request.send_response(200)
        request.send_header("Content-Length", "9000")
        request.end_headers()
        with contextlib.suppress(OSError):
            for _ in range(40):
                request.wfile.write(b"d")
                request.wfile.flush()
                time.sleep(0.3)

    def drip_head(server, request):
        with contextlib.suppress(OSError):
            for byte in b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 60:
                request.wfile.write(bytes([byte]))
                request.wfile.flush()
                time.sleep(0.3)
        request.close_connection = True
    origin().steps[f"{name}/drip-"], origin().steps[f"{name}/head-"] = drip, drip_head
    for package in ("drip", "head"):
        with within(3, f"reading {package}"):
            data, words = fetch(package_path(s, n, package))
        equal(data, b"", "bytes")
        want("timed out" in words or "Input/output" in words, words)


@case(8, "reset, too short, 404, 500, an HTML page, an empty answer, garbage instead of HTTP: EIO in time, with words that tell which")
def dead_answers():
    def garbage(server, request):
        request.wfile.write(b"\0\xff not HTTP at all\r\n\r\n" * 10)
        request.close_connection = True

    def nothing(server, request):
        request.close_connection = True
    wrongs = {"reset": cut(50), "short": short, "missing": status(404), "broken": status(500), "html": text(b"<html>"),
              "empty": nothing, "garbage": garbage}
    name, n = of_origin({w: w.encode() * 1000 for w in wrongs})
    s = remote()
    for package, step in wrongs.items():
        origin().steps[f"{name}/{package}-"] = step
    for package in wrongs:
        with within(4, f"reading {package}"):
            data, words = fetch(package_path(s, n, package))
        if package == "short" and data == b"short" * 1000: # all that belongs to it came
            continue
        equal(data, b"", f"bytes of {package}")
        want("Input/output" in words or "timed out" in words, f"{package}: {words}")
        want(words_of(package_path(s, n, package)), f"no words for {package}")


@case(8, "redirects in a loop, to file:, to another port of this machine, to a link-local address: EIO, and nobody else is asked")
def redirected():
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.5)
    other = f"http://127.0.0.1:{listener.getsockname()[1]}/x"
    places = {"loop": None, "file": "file:///etc/passwd", "port": other, "local": "http://169.254.169.254/latest/meta-data",
              "gopher": "gopher://127.0.0.1:1/x", "relative": "//127.0.0.1:1/", "credentials": f"http://u:p@127.0.0.1:{origin().port}/x"}
    name, n = of_origin({p: p.encode() * 500 for p in places})
    s = remote()
    for package, place in places.items():
        origin().steps[f"{name}/{package}-"] = redirect(place or f"{origin().url}/{name}/{package}-1-1.x86_64.rpm")
    for package in places:
        with within(4, f"reading {package}"):
            data, words = fetch(package_path(s, n, package))
        equal(data, b"", f"bytes of {package}")
        want("Input/output" in words, f"{package}: {words}")
    with contextlib.suppress(socket.timeout):
        listener.accept()
        raise Broken("the other port was asked")
    listener.close()


@case(8, "readers that wait for a stalled server are signalled: what ends a process ends it at once, a handler gives EINTR past the page cache")
def signalled():
    names = ["direct", "int", "term", "kill"]
    name = fresh("o")
    repository({n: n.encode() * 1000 for n in names}, origin().folder / name)
    s = shared("patient", f"repo.allowed={origin().url}/", "cache.read_timeout=60", "repo.timeout=60")
    _, n = made(s, repo_spec(f"{origin().url}/{name}"))
    origin().steps[f"{name}/"] = stall(8)
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        signal.signal(signal.SIGUSR1, lambda *_: None)
        signal.siginterrupt(signal.SIGUSR1, True)
        signal.alarm(40)
        try: # through the page cache the kernel waits for what is fatal alone
            raw_read(os.open(package_path(s, n, "direct"), os.O_RDONLY | os.O_DIRECT), 4096)
            os.write(writer, b"read")
        except OSError as error:
            os.write(writer, errno.errorcode[error.errno].encode())
        os._exit(0)
    time.sleep(0.7)
    with within(1, "EINTR"):
        os.kill(pid, signal.SIGUSR1)
        equal(os.read(reader, 100), b"EINTR", "what the read says")
        os.waitpid(pid, 0)
    os.close(reader)
    os.close(writer)
    for number, package in ((signal.SIGINT, "int"), (signal.SIGTERM, "term"), (signal.SIGKILL, "kill")):
        cat = subprocess.Popen(["cat", package_path(s, n, package)], stdout=subprocess.DEVNULL)
        time.sleep(0.4)
        with within(1, f"death by {number}"):
            cat.send_signal(number)
            cat.wait()


@case(8, "503 then 200, a break taken up by a server that ignores Range: the bytes are right")
def mended():
    name, n = of_origin({"busy": b"b" * 7000, "broke": os.urandom(70000)})
    s = remote()
    data = (origin().folder / name / "broke-1-1.x86_64.rpm").read_bytes()
    origin().steps[f"{name}/busy-"] = [status(503)]
    origin().steps[f"{name}/broke-"] = [cut(30000), no_ranges]
    for package, right in (("busy", b"b" * 7000), ("broke", data)):
        got, words = fetch(package_path(s, n, package))
        if words: # it may have to be asked for again after five seconds
            equal(got, b"", "bytes of a failed read")
            got = wait_for(lambda package=package: fetch(package_path(s, n, package))[0], patience(8), 0.5)
        equal(got, right, package)


@case(8, "metadata that never ends (endless chunks, endless headers), stalls, or is not there: the compose fails in the time, with words")
def endless_metadata():
    def endless(server, request):
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        with contextlib.suppress(OSError):
            while True:
                request.wfile.write(b"10000\r\n" + b"<" * 65536 + b"\r\n")

    def headers(server, request):
        with contextlib.suppress(OSError):
            request.wfile.write(b"HTTP/1.1 200 OK\r\n")
            while True:
                request.wfile.write(b"X-More: " + b"x" * 8000 + b"\r\n")
    s = remote()
    requests = []
    for number, step in enumerate((endless, headers, stall(20), status(404))):
        name = fresh("meta")
        repository({"p": b"p"}, origin().folder / name)
        origin().steps[f"{name}/repodata"] = step
        requests.append(s.submit(fresh(), repo_spec(f"{origin().url}/{name}")))
    with within(15, "failing"):
        for request in requests:
            equal(final(request), "failed", "state")
            want((request / "error").read_text().strip(), "no words")


# ---- 9 expiry ------------------------------------------------------------------------------------

@case(9, "a compose is ended with files, a mapping and a directory open: these read on, new opens by path, descriptor and HTTP find nothing")
def open_while_ended():
    s = plain()
    repo = repository({"keep": os.urandom(300000), "other": b"o" * 9000})
    right = (repo / "keep-1-1.x86_64.rpm").read_bytes()
    request, n = made(s, repo_spec(repo))
    path = package_path(s, n, "keep")
    fd, folder = os.open(path, os.O_RDONLY), os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    repomd = open(s.tree(n) / "x86_64/os/repodata/repomd.xml", "rb")
    head = repomd.read(10)
    area = mmap.mmap(fd, 0, prot=mmap.PROT_READ)
    os.rmdir(request)
    want(wait_for(lambda: not path.exists(), patience(5)), "the path stays")
    equal(os.pread(fd, 100000, 150000), right[150000:250000], "bytes of the open file")
    equal(area[200000:200100], right[200000:200100], "bytes of the mapping")
    want(head + repomd.read() != head, "repomd ends early")
    fails(lambda: os.open("keep-1-1.x86_64.rpm", os.O_RDONLY, dir_fd=folder), "ENOENT", "ESTALE")
    fails(lambda: os.open(path, os.O_RDONLY), "ENOENT")
    equal(ask(s, "GET", package_url(n, "keep")).status, 404, "HTTP")
    area.close()
    os.close(fd)
    os.close(folder)
    repomd.close()


@case(9, "20 renewals by PATCH race with expiry: a 200 for the same compose means that it can be read afterwards, else it was told no or made anew")
def renewals_race():
    s = plain()
    ids = [post(s, repo_spec(BASE, packages=["dash"], flags=["no_reuse"], seconds_to_live=2)).json["id"] for _ in range(20)]
    for n in ids:
        settled(s, n)
    answers = {}
    for n in ids:
        while time.time() < stamp_of(s, n) - 0.05 and n == ids[0]:
            time.sleep(0.02)
        answers[n] = ask(s, "PATCH", f"/api/1/composes/{n}", '{"seconds_to_live": 600}')
        time.sleep(0.05)
    time.sleep(2.5)
    for n, answer in answers.items():
        among(answer.status, [200, 400, 404], "PATCH")
        if answer.status == 200 and answer.json["id"] == n:
            equal(s.record(n)["state_name"], "done", f"renewed compose {n}")
            whole(s, n)
        elif answer.status == 200:
            equal(settled(s, answer.json["id"])["state_name"], "done", "the one made anew")


def stamp_of(service, number):
    import calendar
    return calendar.timegm(time.strptime(service.record(number)["time_to_expire"], "%Y-%m-%dT%H:%M:%SZ"))


@case(9, "20 writes to ttl and touches race with expiry: success means that the compose lives on, else an error tells")
def ttl_race():
    s = plain()
    requests = [s.submit(fresh("race"), repo_spec(BASE, packages=["dash"], flags=["no_reuse"], seconds_to_live=2))
                for _ in range(20)]
    for request in requests:
        final(request)
    numbers = [int((r / "id").read_text()) for r in requests]
    time.sleep(max(0, stamp_of(s, numbers[-1]) - time.time() - 0.3))
    renewed = []
    for k, (request, number) in enumerate(zip(requests, numbers)):
        try:
            if k % 2:
                os.utime(request / "ttl")
            else:
                fd = os.open(request / "ttl", os.O_WRONLY)
                try:
                    os.write(fd, b"500")
                finally:
                    os.close(fd)
            renewed.append(number)
        except OSError as error:
            among(errno.errorcode[error.errno], ["EBUSY", "ENOENT", "EINVAL"], "error")
        time.sleep(0.04)
    time.sleep(2.5)
    for number in numbers:
        equal(s.record(number)["state_name"] == "done", number in renewed, f"lives on; renewed {number in renewed}")
    for number in renewed:
        whole(s, number)


@case(9, "the owner of a tree that another compose shows is ended: the other reads on by its own name and URLs; both over: gone")
def shown_by_another():
    s = plain()
    repo = repository({"both": b"2" * 3000})
    first, one = made(s, repo_spec(repo))
    second, two = made(s, repo_spec(repo))
    equal(os.readlink(s.mnt / f"composes/{two}"), str(one), "the second shows the first")
    os.rmdir(first)
    time.sleep(2.5)
    equal(s.record(one)["state_name"], "removed", "state of the first")
    equal(package_path(s, two, "both").read_bytes(), b"2" * 3000, "through the second")
    url = s.record(two)["result_repo"].split("/", 3)[3]
    equal(ask(s, "GET", f"/{url}/x86_64/os/repodata/repomd.xml").status, 200, "URL of the second's record")
    os.rmdir(second)
    want(wait_for(lambda: not package_path(s, one, "both").exists() and not package_path(s, two, "both").exists(), patience(5)),
         "still there")


# ---- 10 nothing waits for a worker -----------------------------------------------------------------

def answers_at_once(service, request, number=None):
    """the operations that wait for nobody, each within a second"""
    deeds = {"ls": lambda: os.listdir(service.mnt), "ls requests": lambda: os.listdir(service.mnt / "requests"),
             "ls composes": lambda: os.listdir(service.mnt / "composes"), "stat": lambda: os.stat(request),
             "status": (request / "status").read_text, "progress": (request / "progress").read_text,
             "log": (request / "log").read_text, "record": (request / "compose.json").read_text,
             "metrics": (service.mnt / "metrics").read_text, "by-state": lambda: os.listdir(service.mnt / "by-state/wait"),
             "statvfs": lambda: os.statvfs(service.mnt), "GET": lambda: ask(service, "GET", "/api/1/composes/"),
             "page": lambda: ask(service, "GET", "/"), "about": lambda: ask(service, "GET", "/api/1/about/")}
    for name, deed in deeds.items():
        with within(1, name):
            deed()


@case(10, "all workers stand still while five composes wait: ls, stat, cat status, REST, mkdir, drafts, new requests and rmdir answer at once")
def workers_stopped():
    with own() as s:
        made(s, repo_spec(BASE, packages=["dash"]))
        with stopped(s.children()):
            requests = [s.submit(f"w{k}", repo_spec(BASE, packages=["openssl"], seconds_to_live=900 + k)) for k in range(5)]
            answers_at_once(s, requests[-1])
            with within(1, "mkdir, POST, rmdir"):
                os.mkdir(s.mnt / "requests/more")
                equal(post(s, repo_spec(BASE, packages=["dash"])).status, 200, "POST")
                os.rmdir(requests[4])
            equal(package_path_any(s, 1).stat().st_size > 0, True, "a package of a compose that is done")
            package_path_any(s, 1).read_bytes()
        for request in requests[:4]:
            equal(final(request), "done", "afterwards")


def package_path_any(service, number):
    return next(p for p in sorted(service.tree(number).rglob("*.rpm")))


@case(10, "80 readers wait for a server that stalls: ls, stat, status, other reads of the tree answer at once")
def many_stalled_readers():
    name = fresh("o")
    repository({f"w{k}": b"w" * 1000 for k in range(20)}, origin().folder / name)
    s = shared("patient", f"repo.allowed={origin().url}/", "cache.read_timeout=60", "repo.timeout=60")
    request, n = made(s, repo_spec(f"{origin().url}/{name}"))
    origin().steps[f"{name}/w"] = stall(6)
    readers = [subprocess.Popen(["cat", package_path(s, n, f"w{k % 20}")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
               for k in range(80)]
    time.sleep(0.5)
    try:
        answers_at_once(s, request)
        with within(1, "reading repodata"):
            (s.tree(n) / "x86_64/os/repodata/repomd.xml").read_bytes()
    finally:
        for reader in readers:
            reader.kill()
        for reader in readers:
            reader.wait()


@case(10, "250 processes' worth of blocked reads of wait and events, from threads: everything else answers at once")
def many_waiters():
    with own() as s:
        made(s, repo_spec(BASE, packages=["dash"]))
        with stopped(s.children()):
            request = s.submit("w", repo_spec(BASE, packages=["openssl"]))
            fds = [os.open(request / "wait" if k % 2 else s.mnt / "events", os.O_RDONLY) for k in range(250)]
            threads = [threading.Thread(target=os.read, args=(fd, 4096), daemon=True) for fd in fds]
            for t in threads:
                t.start()
            time.sleep(0.5)
            answers_at_once(s, request)
        equal(final(request), "done", "state")
        for t in threads:
            t.join(patience(5))
        equal(sum(t.is_alive() for t in threads), 0, "readers that were not woken")
        for fd in fds:
            os.close(fd)


@case(10, "100 long polls and 20 followers of events over HTTP, workers standing still: other requests are answered at once")
def many_polls():
    with own("limits.client_requests=400", "limits.client_waits=400") as s:
        made(s, repo_spec(BASE, packages=["dash"]))
        with stopped(s.children()):
            n = post(s, repo_spec(BASE, packages=["openssl"])).json["id"]
            host, port = s.host.rsplit(":", 1)
            polls = []
            for k in range(120):
                c = socket.create_connection((host, int(port)), 10)
                c.sendall((f"GET /api/1/composes/{n}?wait=60" if k < 100 else "GET /api/1/events").encode() +
                          b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
                polls.append(c)
            time.sleep(0.5)
            for _ in range(5):
                with within(1, "an answer"):
                    equal(ask(s, "GET", f"/api/1/composes/{n}").status, 200, "GET")
        settled(s, n)
        for c in polls[:100]:
            c.settimeout(patience(10))
            want(b"200" in c.recv(100), "a poll that is not answered")
        for c in polls:
            c.close()


# ---- 11 not through its own mount ---------------------------------------------------------------------

@case(11, "a compose of a compose, by its path in the service's own mount: refused, or made without the service waiting for itself")
def source_in_own_mount():
    with own() as s:
        _, n = made(s, repo_spec(BASE, packages=["openssl"]))
        inside = s.tree(n) / "x86_64/os"
        number = None
        try:
            request = s.submit("inner", repo_spec(inside))
        except OSError:
            return
        word = final(request)
        want(word, "the compose of a compose is stuck")
        if word == "done":
            number = int((request / "id").read_text())
            readers = [subprocess.Popen(["cat", p], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                       for p in s.tree(number).rglob("*.rpm") for _ in range(8)]
            with within(8, "40 reads of packages that come through the own mount"):
                for reader in readers:
                    reader.wait(patience(8))
            ask(s, "GET", f"/composes/{number}/")
        else:
            want((request / "error").read_text().strip(), "no words")
        alive(s)


@case(11, "RPMs of a source repository become links into the service's own mount and export: readers get errors, the service never waits for itself")
def links_into_own_mount():
    export = ROOM / fresh("export")
    export.mkdir()
    with own(f"fs.export={export}") as s:
        repo = repository({f"l{k}": b"l" * 2000 for k in range(6)})
        _, n = made(s, repo_spec(repo))
        for k in range(6):
            file = repo / f"l{k}-1-1.x86_64.rpm"
            file.unlink()
            target = package_path(s, n, f"l{(k + 1) % 6}") if k % 2 else \
                export / str(n) / f"compose/Temporary/x86_64/os/Packages/l/l{(k + 1) % 6}-1-1.x86_64.rpm"
            file.symlink_to(target)
        readers = [subprocess.Popen(["cat", package_path(s, n, f"l{k % 6}")], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
                   for k in range(60)]
        for k in range(6):
            with contextlib.suppress(OSError):
                ask(s, "GET", package_url(n, f"l{k}"), timeout=patience(8))
        with within(8, "60 reads"):
            for reader in readers:
                try:
                    reader.wait(patience(8))
                except subprocess.TimeoutExpired:
                    for r in readers:
                        r.kill()
                    os.kill(s.process.pid, signal.SIGKILL)
                    raise Broken("the service waits for itself") from None
                reader.stderr.close()
        alive(s)
    run("umount", "-l", export)


@case(11, "the state directory below the mount point, the mount point as state directory, the export as mount point, one in the other: no start that hangs")
def places_in_places():
    base = ROOM / fresh("places")
    mnt = base / "mnt"
    mnt.mkdir(parents=True)
    for state, options in ((mnt / "state", ()), (mnt, ()), (base / "s1", (f"fs.export={mnt}",)), (base / "s2", (f"fs.export={mnt}/composes",)),
                           (base / "s3", (f"fs.export={base}/s3/blobs",)), (base / "s4", ("koji.topdir=%s" % mnt,))):
        process, line, text_ = launch(*options, state=state, mount=mnt)
        try:
            if line:
                want(b"ready" in line, line)
                listed = subprocess.run(["timeout", "20", "ls", mnt / "composes"], capture_output=True, check=False)
                want(listed.returncode == 0, f"{state} {options}: the mount hangs: {listed.stderr}")
                among(end(process), [0], f"exit code of {state} {options}")
            else:
                want(text_.strip(), f"{state} {options}: no words")
                among(process.returncode, [1, 2], f"exit code: {text_}")
        finally:
            run("umount", "-l", mnt / "composes")
            run("umount", "-l", f"{base}/s3/blobs")
            run("umount", "-l", mnt)


@case(11, "a source whose directory is mounted from elsewhere through the own export, with a read of it under way at the stop: the stop is clean")
def stop_with_inner_reads():
    export = ROOM / fresh("export")
    export.mkdir()
    with own(f"fs.export={export}") as s:
        _, n = made(s, repo_spec(BASE, packages=["openssl"]))
        request = s.submit("inner", repo_spec(export / str(n) / "compose/Temporary/x86_64/os"))
        final(request)
        s.submit("more", repo_spec(export / str(n) / "compose/Temporary/x86_64/os", flags=["no_reuse"]))
        with within(6, "the stop"):
            equal(s.stop(), 0, "exit code")
        for place in (s.mnt, export):
            want(not os.path.ismount(place), f"{place} is still mounted")


# ---- 12 mounts and stops ----------------------------------------------------------------------------------

@case(12, "unmounted lazily with files open: API and expiry go on, the open file reads on, SIGHUP mounts again")
def lazy_unmount():
    with own() as s:
        _, n = made(s, repo_spec(BASE, packages=["openssl"]))
        _, short_one = made(s, repo_spec(BASE, packages=["dash"], seconds_to_live=4))
        fd = os.open(package_path_any(s, n), os.O_RDONLY)
        os.read(fd, 10)
        equal(run("umount", "-l", s.mnt).returncode, 0, "umount -l")
        equal(post(s, repo_spec(BASE, packages=["openssl"], flags=["no_reuse"])).status, 200, "POST without a mount")
        want(os.pread(fd, 100, 20), "the open file")
        want(wait_for(lambda: s.record(short_one)["state_name"] == "removed", patience(9)), "no expiry without a mount")
        os.close(fd)
        s.process.send_signal(signal.SIGHUP)
        want(wait_for(lambda: (s.mnt / "version").exists(), patience(5)), "not mounted again")
        made(s, repo_spec(BASE, packages=["dash"], flags=["no_reuse"]))
        equal(s.stop(), 0, "exit code")
        want(not os.path.ismount(s.mnt), "still mounted")


@case(12, "SIGTERM with 30 open files, 20 blocked readers of wait and events, drafts being written: clean stop in 5 s, readers get EINTR, no mount left")
def stop_in_use():
    with own() as s:
        _, n = made(s, repo_spec(BASE, packages=["openssl"]))
        fds = [os.open(package_path_any(s, n), os.O_RDONLY) for _ in range(30)]
        os.mkdir(s.mnt / "requests/draft")
        fds.append(os.open(s.mnt / "requests/draft/spec.json", os.O_WRONLY))
        os.write(fds[-1], b'{"so')
        errors = []
        os.mkdir(s.mnt / "requests/w")

        def block(path):
            fd = os.open(path, os.O_RDONLY)
            try:
                raw_read(fd, 100)
                errors.append("read")
            except OSError as error:
                errors.append(errno.errorcode[error.errno])
            with contextlib.suppress(OSError):
                os.close(fd)
        threads = [threading.Thread(target=block, args=(s.mnt / ("events" if k % 2 else "requests/w/wait"),)) for k in range(20)]
        for t in threads:
            t.start()
        time.sleep(0.5)
        with within(5, "the stop"):
            equal(s.stop(), 0, "exit code")
        for t in threads:
            t.join(10)
        want(len(errors) == 20 and set(errors) <= {"EINTR", "ENOTCONN", "ECONNABORTED"}, f"blocked readers got {errors}")
        want(not os.path.ismount(s.mnt), "a mount is left")
        for fd in fds:
            with contextlib.suppress(OSError):
                os.close(fd)
        s.start()


@case(12, "SIGTERM while all workers stand still in the middle of a compose: stop in 5 s, none of them left, the compose is made at the next start")
def stop_with_stopped_workers():
    with own() as s:
        pids = s.workers()
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        request = s.submit("w", repo_spec(BASE, packages=["openssl"]))
        time.sleep(0.3)
        with within(5, "the stop"):
            equal(s.stop(), 0, "exit code")
        want(wait_for(lambda: not any(os.path.exists(f"/proc/{p}") for p in pids), 3), "workers are left")
        s.start()
        equal(final(request), "done", "state")


@case(12, "kill -9 three times with files open in the mount: each next start mounts over the stale mount point by itself")
def stale_mounts():
    with own() as s:
        _, n = made(s, repo_spec(BASE, packages=["openssl"]))
        fds = []
        for _ in range(3):
            fds.append(os.open(package_path_any(s, n), os.O_RDONLY))
            s.stop(signal.SIGKILL)
            fails(lambda: os.listdir(s.mnt), "ENOTCONN", "ECONNABORTED")
            s.start()
            whole(s, n)
        for fd in fds:
            with contextlib.suppress(OSError):
                os.close(fd)
        equal(s.stop(), 0, "exit code")
        want(not os.path.ismount(s.mnt), "a mount is left below")


@case(12, "SIGTERM while readers wait for packages of a stalled server, over the mount and HTTP: stop in 5 s, readers get an error")
def stop_with_remote_readers():
    name = fresh("o")
    repository({"s1": b"s" * 1000, "s2": b"t" * 1000}, origin().folder / name)
    with own(f"repo.allowed={origin().url}/", "cache.read_timeout=60", "repo.timeout=60") as s:
        _, n = made(s, repo_spec(f"{origin().url}/{name}"))
        origin().steps[f"{name}/s"] = stall(9)
        cat = subprocess.Popen(["cat", package_path(s, n, "s1")], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        curl = subprocess.Popen(["curl", "-sf", s.url + package_url(n, "s2")], stdout=subprocess.PIPE)
        time.sleep(0.7)
        with within(5, "the stop"):
            equal(s.stop(), 0, "exit code")
        for reader in (cat, curl):
            data, _ = reader.communicate(timeout=patience(5))
            equal((data, reader.returncode != 0), (b"", True), "what a reader got, and that it failed")


@case(12, "SIGTERM, SIGINT or both at eight moments of the start: the process ends, no mount and no worker is left")
def stop_at_the_start():
    state, mnt = ROOM / fresh("s"), ROOM / fresh("m")
    mnt.mkdir()
    from harness import ODCSFS
    for k in range(8):
        process = subprocess.Popen([ODCSFS, "serve", "-c", "/dev/null", "-o", f"odcsfs.state_dir={state}", "-o",
                                    "http.listen=127.0.0.1:0", mnt], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        time.sleep(k * 0.06)
        process.send_signal(signal.SIGTERM if k % 2 else signal.SIGINT)
        if k > 5:
            process.send_signal(signal.SIGTERM)
        try:
            _, words = process.communicate(timeout=patience(5))
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise Broken(f"a signal after {k * 0.06:.2f} s does not end the start") from None
        among(process.returncode, [0, -signal.SIGTERM, -signal.SIGINT], f"exit code; {words[-300:]}")
        want(not os.path.ismount(mnt), f"signal after {k * 0.06:.2f} s: a mount is left")


@case(12, "the mount point is a file, not there, has files in it, or a dangling link: no start that hides anything without words")
def bad_mount_points():
    file, full_, link = ROOM / fresh("f"), ROOM / fresh("full"), ROOM / fresh("l")
    file.write_text("x")
    full_.mkdir()
    (full_ / "precious").write_text("x")
    link.symlink_to(ROOM / "nowhere-at-all")
    refuses(state=ROOM / fresh("s"), mount=file, words=[file])
    refuses(state=ROOM / fresh("s"), mount=link, words=[link])
    for place in (ROOM / fresh("absent"), full_):
        process, line, words = launch(state=ROOM / fresh("s"), mount=place)
        if line:
            equal(end(process), 0, "exit code")
        else:
            process.stdout.close()
            want(str(place) in words, words)
        want(not os.path.ismount(place), "a mount is left")
    equal((full_ / "precious").read_text(), "x", "the file that was there")
