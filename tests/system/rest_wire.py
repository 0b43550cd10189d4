# SPDX-License-Identifier: MIT
"""tests/system/rest_wire.py: bytes on the wire: hostile requests, bodies and connections at their
limits. Part of rest.py."""
import contextlib, http.client, json, os, pathlib, re, resource, socket, time

from restkit import *


def status_of(data):
    match = re.match(rb"HTTP/1\.\d (\d{3}) ", data)
    return int(match[1]) if match else None


def check_hostile(server):
    refused(server, "a long URL", server.get("/" + "a" * 9000), 414,
            "The requested URL is too long.")
    case("a URL of 100 KB", 414, status_of(server.raw(b"GET /" + b"a" * 100000 +
                                                      b" HTTP/1.1\r\nHost: x\r\n\r\n")))
    for count in (500, 4000): # more than the connection has memory for; the driver's leaks are seen at its end
        begin = time.monotonic()
        data = server.raw(b"GET /api/1/composes/?" + b"a&" * count + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        case(f"{count} members of a query", (400, 1, True), (status_of(data), data.count(b"HTTP/1.1 "), time.monotonic() - begin < 3))
        case("in JSON", {"error": "Bad Request", "message": "The query has more than 400 members.", "status": 400},
             json.loads(data.partition(b"\r\n\r\n")[2] or b"{}"))
    case("a header of 100 KB", True, status_of(server.raw(
        b"GET / HTTP/1.1\r\nX: " + b"a" * 100000 + b"\r\n\r\n")) in (413, 431))
    for name, head in (("negative", b"Content-Length: -1"), ("a word", b"Content-Length: abc"),
                       ("huge", b"Content-Length: 99999999999999999999999999")):
        data = server.raw(b"POST /api/1/composes/ HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n\r\n{}")
        case(f"Content-Length {name}", True, status_of(data) in (400, 413))
    data = server.raw(b"POST /api/1/composes/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
                      b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /nope HTTP/1.1\r\n\r\n")
    case("two lengths", (400, 1), (status_of(data), data.count(b"HTTP/1.1 ")))
    for name, head in (("two different", b"Content-Length: 5\r\nContent-Length: 50"),
                       ("of an unknown coding", b"Transfer-Encoding: gzip"),
                       ("coded twice", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked")):
        data = server.raw(b"POST /api/1/composes/ HTTP/1.1\r\nHost: x\r\n" + head +
                          b"\r\n\r\n0\r\n\r\nGET /nope HTTP/1.1\r\nHost: x\r\n\r\n")
        case(f"length {name}", (400, 1), (status_of(data), data.count(b"HTTP/1.1 ")))
    data = server.raw(b"GARBAGE\r\n\r\n")
    case("garbage", True, status_of(data) in (None, 400, 404, 405))
    data = server.raw(b"GET /composes/odcs-1/\x00/../../etc/passwd HTTP/1.1\r\nHost: x\r\n"
                      b"Connection: close\r\n\r\n")
    case("a raw NUL", False, b"root:" in data)
    data = server.raw(b"GET /api/1/about/ HTTP/1.0\r\n\r\n")
    case("HTTP/1.0 without Host", 200, status_of(data))
    body = json.dumps(tag()).encode()
    data = server.raw(b"POST /api/1/composes/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
                      b"Connection: close\r\n\r\n" +
                      b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n")
    case("a body in chunks of one", 200, status_of(data))
    data = server.raw(b"GET /api/1/about/ HTTP/1.1\r\nHost: x\r\n\r\nGET /nope HTTP/1.1\r\nHost: x\r\n"
                      b"Connection: close\r\n\r\n")
    case("two requests at once", (2, True), (data.count(b"HTTP/1.1 "), b"404" in data))
    data = server.raw(b"GET /api/1/about/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
                      b"Connection: close\r\n\r\n12345")
    case("GET with a body", 200, status_of(data))
    with socket.create_connection((server.host, server.port)) as connection:
        connection.sendall(b"POST /api/1/composes/ HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n"
                           b"\r\n{")  # and gone
    case("still there", 200, server.get("/api/1/about/").status)


def closed(server, data):
    """What came back until the server closed or reset the connection, and whether it did."""
    got = b""
    with socket.create_connection((server.host, server.port), 5) as connection:
        try:
            connection.sendall(data)
            while piece := connection.recv(65536):
                got += piece
        except ConnectionError:
            pass
        except socket.timeout:
            return got, False
    return got, True


def hold(server):
    """A connection that stays. Those before it may still be on their way out."""
    limit = time.monotonic() + 10
    while True:
        connection = http.client.HTTPConnection(server.host, server.port, timeout=5)
        try:
            connection.request("GET", "/api/1/about/")
            connection.getresponse().read()
            return connection
        except (http.client.HTTPException, OSError):
            connection.close()
            if time.monotonic() > limit:
                raise
            time.sleep(0.05)


def check_bodies(driver):
    """A small limit and few connections, in a driver of their own."""
    with started(driver, "127.0.0.1:0", "1000", "8") as server:
        large = json.dumps(tag(x="a" * 1500))
        answer = server.post(large)
        refused(server, "a body over the limit", answer, 413, "The request body is larger than 1000 bytes.")
        data = server.raw(b"POST /api/1/composes/ HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                          b"Content-Length: 1001\r\n\r\n")
        case("asked first, refused at once", (413, 1), (status_of(data), data.count(b"HTTP/1.1 ")))
        data = server.raw(b"POST /api/1/composes/ HTTP/1.1\r\nHost: x\r\n"
                          b"Content-Length: 1000000000\r\n\r\n", 3)
        case("a body far over the limit", 413, status_of(data))
        chunk = b"1f4\r\n" + b"a" * 500 + b"\r\n"
        data = server.raw(b"POST /api/1/composes/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked"
                          b"\r\nConnection: close\r\n\r\n" + chunk * 4 + b"0\r\n\r\n")
        case("chunks over the limit", 413, status_of(data))
        case("chunks far over the limit", (b"", True), closed(
            server, b"POST /api/1/composes/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" +
            chunk * 100))
        case("within the limit", 200, server.post(tag()).status)
        held = [hold(server) for _ in range(8)]
        time.sleep(0.3) # of those that come at once any may be the one too many
        words, over = closed(server, b"")
        case("one connection too many from one address", (503, True, True),
             (status_of(words), b"Too many connections of yours" in words, over))
        for connection in held:
            connection.close()
        case("after they left", 200, eventually(200, lambda: server.get("/").status))


def shares(pid):
    """How many connections each thread that answers looks at, without the word that wakes it."""
    found = []
    for path in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError): # closed meanwhile
            if os.readlink(path) == "anon_inode:[eventpoll]":
                found.append(pathlib.Path(f"/proc/{pid}/fdinfo/{path.name}").read_text().count("tfd:") - 1)
    return sorted(found)


def processor_time(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def eventually(want, function):
    limit = time.monotonic() + 5
    while function() != want and time.monotonic() < limit:
        time.sleep(0.02)
    return function()


def check_doors(driver):
    """Connections are shared evenly; without a descriptor for one more they wait, and nobody is busy meanwhile."""
    with started(driver, "127.0.0.1:0") as server:
        pid = server.process.pid
        held = [hold(server) for _ in range(16)]
        case("16 connections, 4 threads", [4] * 4, eventually([4] * 4, lambda: shares(pid)))
        for connection in held[::4]:
            connection.close()
        case("4 have left", 12, eventually(12, lambda: sum(shares(pid))))
        held[::4] = [hold(server) for _ in range(4)]
        case("and others came in their places", [4] * 4, eventually([4] * 4, lambda: shares(pid)))
        for connection in held:
            connection.close()
        case("all have left", [0] * 4, eventually([0] * 4, lambda: shares(pid)))
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, before[1]))
        with socket.create_connection((server.host, server.port), 5) as connection:
            connection.sendall(b"GET /api/1/about/ HTTP/1.0\r\n\r\n")
            busy = processor_time(pid)
            connection.settimeout(1)
            try:
                data = connection.recv(12)
            except socket.timeout:
                data = None
            case("no descriptor: it waits, nobody is busy", (None, True), (data, processor_time(pid) - busy < 0.3))
            resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
            connection.settimeout(5)
            case("and is served when there is one", 200, status_of(connection.recv(13)))
