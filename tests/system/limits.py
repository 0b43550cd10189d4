# SPDX-License-Identifier: MIT
"""tests/system/limits.py: each limit has a name, a default, a meaning and a place in the manual; who reaches one is told which,
how much, and whom to ask. A key of [limits] that CASES does not name fails the test.

promises = 24
"""
import configparser, contextlib, errno, http.client, json, os, pathlib, re, select, socket, subprocess, sys, time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from authkit import *

CONTACT = "ops@example.com"
SET = {"packages": 3, "body": 2048, "drafts": 2, "live_composes_per_user": 2}


def told(words, name, value, text):
    """which, how much, and whom to ask"""
    check(f"(limits.{name}={value}; for more ask {CONTACT})" in words, f"{text}: {words!r}")


def test_names():
    """as `odcsfs config` prints them, from which the manual's table of keys is made"""
    text = run(ODCSFS, "config", "-c", "/dev/null").stdout
    keys = configparser.ConfigParser(interpolation=None)
    keys.read_string(text)
    manual = (SOURCE / "docs/odcsfs.8.scd").read_text()
    limits = manual[manual.index("\n# LIMITS\n"):manual.index("\n# ERRORS\n")] + manual[manual.index("\n# TIME AND SPACE\n"):]
    same(set(keys["limits"]) ^ set(CASES), set(), "limits without a case here, or cases without a limit")
    for name, default in keys["limits"].items():
        check(re.fullmatch(r"\d+", default), f"limits.{name} has a default: {default!r}")
        check(re.search(rf"; .*[a-z].*\n{name}=", text), f"limits.{name} has a meaning")
        check(f"*limits.{name}*" in limits, f"limits.{name} stands in the manual's chapter of limits")
        for wrong in ("many", "-1", "99999999999999999999"):
            answer = run(ODCSFS, "config", "-c", "/dev/null", "-o", f"limits.{name}={wrong}")
            same(answer.returncode, 2, f"limits.{name}={wrong}")
            check(f"limits.{name}" in answer.stderr, f"limits.{name}={wrong}: {answer.stderr!r}")
    for wrong in ("", "x" * 151):
        answer = run(ODCSFS, "config", "-c", "/dev/null", "-o", f"odcsfs.contact={wrong}")
        same((answer.returncode, "odcsfs.contact" in answer.stderr), (2, True), f"odcsfs.contact={wrong!r}")


# ---- cases ------------------------------------------------------------------------------------------

MANY, ONE = repo_spec(BASE, packages=["a", "b", "c", "d"]), repo_spec(BASE, packages=["nginx"])


def refused(service, name, spec):
    """(errno of the close, words of `error`) in the tree"""
    request = service.mnt / "requests" / name
    try:
        os.mkdir(request)
        service.write_spec(request, spec)
    except OSError as error:
        return error.errno, (request / "error").read_text() if request.exists() else ""
    return 0, ""


def obstacle(service):
    """what mkdir cannot say"""
    try:
        return os.getxattr(service.mnt / "requests", "user.odcs.error").decode()
    except OSError as error:
        return errno.errorcode[error.errno]


def packages(service):
    number, words = refused(service, "many", MANY)
    same(number, errno.EINVAL, "too many packages in the tree")
    answer = service.call("POST", "/api/1/composes/", MANY)
    same(answer.status, 400, "too many packages over REST")
    for text in words, answer.json["message"]:
        told(text, "packages", 3, "packages")
        check("packages has 4 members, at most 3 are allowed" in text, f"how many there were: {text!r}")
    with open(service.mnt / "new", "r+b", buffering=0) as new:
        with contextlib.suppress(OSError):
            new.write(json.dumps(MANY).encode())
        told(json.loads(new.read())["message"], "packages", 3, "packages, by new")
    os.rmdir(service.mnt / "requests/many")


def body(service):
    answer = service.call("POST", "/api/1/composes/", repo_spec(BASE, packages=["a" * 3000]))
    same(answer.status, 413, "a body that is too long")
    told(answer.json["message"], "body", 2048, "a body")


def drafts(service):
    same(obstacle(service), "ENODATA", "nothing in the way")
    same(refused(service, "first", "{")[0], errno.EINVAL, "the first draft")
    same(refused(service, "second", "{")[0], errno.EINVAL, "the second draft")
    same(refused(service, "third", ONE)[0], errno.EDQUOT, "the third draft")
    told(obstacle(service), "drafts", 2, "drafts")
    check("you have 2" in obstacle(service), f"how many: {obstacle(service)!r}")
    same(os.listxattr(service.mnt / "requests"), ["user.odcs.error"], "it can be found")
    for name in "first", "second":
        os.rmdir(service.mnt / "requests" / name)
    same((obstacle(service), os.listxattr(service.mnt / "requests")), ("ENODATA", []), "nothing in the way any more")
    opens = [open(service.mnt / "new", "r+b", buffering=0) for _ in range(2)]
    with contextlib.suppress(OSError):
        opens.append(open(service.mnt / "new", "r+b", buffering=0))
    same(len(opens), 2, "opens of new")
    told(obstacle(service), "drafts", 2, "opens of new")
    for file in opens:
        file.close()


def live_composes_per_user(service):
    same(refused(service, "waits", "{")[0], errno.EINVAL, "a draft that comes too late")
    for i in range(2):
        same(refused(service, f"live{i}", ONE)[0], 0, "a compose")
        same(service.call("POST", "/api/1/composes/", ONE).status, 200, "a compose of another owner")
    same(refused(service, "live2", ONE)[0], errno.EDQUOT, "one compose too many in the tree: mkdir already says so")
    told(obstacle(service), "live_composes_per_user", 2, "mkdir")
    with contextlib.suppress(OSError):
        service.write_spec(service.mnt / "requests/waits", ONE)
    words = (service.mnt / "requests/waits/error").read_text()
    answer = service.call("POST", "/api/1/composes/", ONE)
    same(answer.status, 403, "one compose too many over REST")
    for text in words, answer.json["message"]:
        told(text, "live_composes_per_user", 2, "composes")
        check("has 2 composes" in text, f"how many: {text!r}")


@contextlib.contextmanager
def limited(**limits):
    with Service(f"repo.allowed={UNIVERSE}", f"odcsfs.contact={CONTACT}", "limits.live_composes_per_user=0",
                 *(f"limits.{name}={value}" for name, value in limits.items()), mount=False) as service:
        yield service


def connect(service, data=b""):
    host, port = service.host.split(":")
    link = socket.create_connection((host, int(port)), 20)
    link.sendall(data)
    return link


def part(length=100, sent=b" "):
    """the beginning of a request that is not over"""
    return (f"POST /api/1/composes/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n".encode() + sent)


def answered(link):
    answer = http.client.HTTPResponse(link)
    answer.begin()
    return answer.status, json.loads(answer.read())["message"]


def one_answered(links):
    """that of them which is told something: of connections that come at once any may be the one too many"""
    return answered(select.select(links, [], [], 20)[0][0])


def too_many_links(name, **limits):
    with limited(**limits) as service:
        links = [connect(service, part()) for _ in range(limits[name] + 1)]
        status, words = one_answered(links)
        same(status, 503, name)
        told(words, name, limits[name], name)
        for link in links:
            link.close()


def others(path, count):
    """as another user, by the other door: what one of so many connections is told"""
    links = []
    for _ in range(count):
        links.append(socket.socket(socket.AF_UNIX))
        links[-1].connect(path)
        links[-1].settimeout(20)
    return one_answered(links)


def connections(_):
    with tempfile.TemporaryDirectory(prefix="odcsfs-limits-") as folder:
        os.chmod(folder, 0o755)
        with Service(f"odcsfs.contact={CONTACT}", "limits.connections=16", "limits.client_connections=16",
                     f"http.socket={folder}/s", mount=False) as service:
            links = [connect(service, part()) for _ in range(13)] # one client has three quarters at most
            status, words = one_answered(links)
            same(status, 503, "one client's")
            told(words, "client_connections", 12, "in effect")
            status, words = as_user("daemon", lambda: others(f"{folder}/s", 5))
            same(status, 503, "of all together")
            told(words, "connections", 16, "connections")
            for link in links:
                link.close()


def client_connections(_):
    too_many_links("client_connections", client_connections=5)


def over_tcp(service, count, data):
    """connections that hold something, and the answer to one more request once there are so many"""
    links = [connect(service, data) for _ in range(count)]
    result = wait_for(lambda: (got := service.call("GET", "/api/1/events" if not data else "/api/1/composes/")).status == 429 and
                      got, 20, 0.1)
    for link in links:
        link.close()
    check(result and result.headers.get("Retry-After"), "429 says when to come back")
    return result.json["message"] if result else ""


def client_requests(_):
    with limited(client_requests=3) as service:
        told(over_tcp(service, 3, part()), "client_requests", 3, "requests under way")


def client_waits(_):
    with limited(client_waits=2) as service:
        links = []
        for _ in range(2):
            link = http.client.HTTPConnection(service.host, timeout=20)
            link.request("GET", "/api/1/events")
            links.append((link, link.getresponse()))
        answer = service.call("GET", "/api/1/events")
        same(answer.status, 429, "one follower too many")
        told(answer.json["message"], "client_waits", 2, "followers")
        for link, events in links:
            events.close()
            link.close()


def client_memory(_):
    with limited(client_memory="32M", client_rate=0) as service: # else who holds bytes and sends no more is dropped
        for pause in (0.5, 1, 2, 4, 8): # until all bytes but the last of each have come in
            answers = {}
            with contextlib.ExitStack() as stack:
                links = [stack.enter_context(contextlib.closing(connect(service, part(1 << 20, b" " * ((1 << 20) - 1)))))
                         for _ in range(33)]
                time.sleep(pause)
                for link in links:
                    link.sendall(b" ")
                for link in links:
                    status, words = answered(link)
                    answers[status] = words
            if 429 in answers:
                break
        same({*answers} <= {400, 429} and 429 in answers, True, f"bytes in memory: {sorted(answers)}")
        told(answers[429], "client_memory", 32 << 20, "bytes in memory")


def client_rate(_):
    """without words: he would not take them; a figure says how many there were"""
    with limited(client_rate=100000) as service, contextlib.closing(connect(service, part(1 << 20))) as link:
        begun = time.monotonic()
        link.settimeout(1)
        while time.monotonic() < begun + 25:
            try:
                link.sendall(b" " * 100)
                got = link.recv(100)
                break
            except TimeoutError:
                continue
            except OSError: # reset
                got = b""
                break
        else:
            got = "never"
        same(got, b"", "who sends 100 bytes a second is dropped")
        check(9 < time.monotonic() - begun < 25, f"after {time.monotonic() - begun:.1f} s")
        slow = re.search(r"^odcsfs_http_connections_slow_total (\S+)$", service.call("GET", "/api/1/metrics/").body.decode(), re.M)
        same(slow and float(slow[1]), 1, "those that were dropped")


def worker_pools(_):
    """a cache: beyond it something is forgotten and read again, and nobody is told"""
    with limited(worker_pools=1) as service:
        for _ in range(2):
            for place in BASE, UPDATES:
                number = service.call("POST", "/api/1/composes/", repo_spec(place, packages=["nginx"], flags=["no_reuse", "no_deps"])).json["id"]
                record = service.wait_rest(number)
                same((record["state_name"], record["state_reason"]), ("done", "Compose is generated successfully"), "a compose")


IN_TREE = (packages, body, drafts, live_composes_per_user) # in this order, of one service
CASES = {case.__name__: case for case in (*IN_TREE, connections, client_connections, client_requests, client_waits, client_memory,
                                        client_rate, worker_pools)}
CASES |= { # tested elsewhere
    "worker_memory": "crash.py", "worker_cpu_seconds": "crash.py", "worker_seconds": "crash.py",
}


def main():
    need_fuse()
    test_names()
    with Service(f"repo.allowed={UNIVERSE}", f"odcsfs.contact={CONTACT}",
                 *(f"limits.{key}={value}" for key, value in SET.items())) as service:
        for case in IN_TREE:
            case(service)
    for name, case in CASES.items():
        if callable(case) and case not in IN_TREE:
            case(None)
        elif isinstance(case, str):
            check(f"limits.{name}=" in (SOURCE / "tests/system" / case).read_text(), f"{case} tests limits.{name}")
    end()


main()
