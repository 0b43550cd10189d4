# SPDX-License-Identifier: MIT
"""tests/system/auth.py: who may do what, with a proxy that knows its users, on the unix socket and in
the tree: accounts, forged headers, roles and limits, what is answered before a body is read, reading the
roles again, and the socket's own life.

promises = 21, 22, 24
"""
import pathlib, sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from authkit import *

PROXY = "127.0.0.2" # the address that the trusted proxy comes from
ROLES = {
    "allowed_clients": {
        "users": {
            "alice": {}, "chief": {}, "daemon": {"source_types": ["repo"]},
            "flexible": {"source_types": [""], "arches": [""], "target_dirs": [""]},
            "sources": {"sources": ["f26"]}, "flags": {"flags": ["no_deps"]},
            "results": {"results": ["repository"]}, "arches": {"arches": ["s390x"]},
            "types": {"compose_types": ["nightly"]}, "nothing": {"source_types": []},
        },
        "groups": {"packagers": {"sources": ["f27"]}, "testers": {}, "bin": {"source_types": ["repo"]}},
    },
    "admins": {"users": ["boss", "chief", "mail"], "groups": ["wheel"]},
}
NOT_ALLOWED = "User {} not allowed to operate with compose with {}."


def ask(service, user, method="POST", path=COMPOSES, body=None, **headers):
    """As the trusted proxy, for @user."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    if user is not None:
        headers["X-Remote-User"] = user
    return tcp(service, method, path, body, headers, PROXY)


# ---- the proxy's word ---------------------------------------------------------

def check_proxy(service):
    accepted(ask(service, "alice", body=TAG), "alice", "a user of the proxy")
    accepted(ask(service, None, body=TAG, Remote_User="alice"), "alice", "the other header")
    accepted(ask(service, "alice", body=TAG, Remote_User="alice"), "alice", "both headers")
    accepted(ask(service, "eve", body=TAG, X_Remote_Groups="others, testers,x"), "eve", "by a group")
    accepted(ask(service, "eve", body=TAG, X_Remote_Groups="testers others"), "eve", "groups by blanks")
    refused(ask(service, "eve", body=TAG), 403, "User eve is not in role allowed_clients.", "no role")
    refused(ask(service, "boss", body=TAG), 403, "User boss is not in role allowed_clients.",
            "an administrator is no client")
    refused(ask(service, "root", body=TAG), 403, "User root is not in role allowed_clients.",
            "the name of root is not root")
    refused(ask(service, "bin", body=TAG), 403, "User bin is not in role allowed_clients.",
            "groups of this machine are not the proxy's")
    refused(ask(service, None, body=TAG), 401, NOT_PRESENT, "the proxy names nobody")
    refused(ask(service, "", body=TAG), 401, NOT_PRESENT, "an empty name")
    unclear = "REMOTE_USER is not clear: several headers of a proxy contradict each other."
    refused(ask(service, "alice", body=TAG, Remote_User="chief"), 401, unclear, "two names")
    no_name = "REMOTE_USER is no name of a user."
    for name in ("a\tb", "x" * 256, b"al\xffice", "\x7f"):
        refused(ask(service, name, body=TAG), 401, no_name, f"the name {name!r}")


def raw(service, data, source="127.0.0.1", seconds=10):
    """All that comes back before the other side closes or says nothing for so long."""
    host, port = service.host.split(":")
    got = b""
    with socket.create_connection((host, int(port)), seconds, source_address=(source, 0)) as connection:
        with contextlib.suppress(OSError):
            connection.sendall(data)
        with contextlib.suppress(OSError):
            while piece := connection.recv(65536):
                got += piece
    return got


def check_forged(service):
    """Who is no trusted proxy names whom he likes; nobody listens."""
    for header in ("X-Remote-User", "Remote-User", "REMOTE-USER", "X_Remote_User"):
        for method, path in (("POST", COMPOSES), ("PATCH", COMPOSES + "1"), ("DELETE", COMPOSES + "1")):
            refused(tcp(service, method, path, TAG, {header: "chief", "X-Remote-Groups": "testers"}), 401,
                    NOT_PRESENT, f"{method} with a forged {header}")
    refused(tcp(service, "POST", "/odcs/1/composes/", TAG, {"X-Remote-User": "alice"}), 401, NOT_PRESENT,
            "forged at the address of 2017")
    for path in (COMPOSES, COMPOSES + "1", "/api/1/about/", "/api/1/metrics/", "/composes/", "/"):
        same(tcp(service, "GET", path)[0], 200, f"GET {path} needs no name")
    # a client's header that the proxy let through beside its own
    lines = (f"POST {COMPOSES} HTTP/1.1\r\nHost: x\r\nX-Remote-User: chief\r\n"
             "X-Remote-User: eve\r\nContent-Length: 2\r\n\r\n{}").encode()
    check(b"401 Unauthorized" in raw(service, lines, PROXY), "two users in one request")
    lines = (f"POST {COMPOSES} HTTP/1.1\r\nHost: x\r\nX-Remote-User: eve\r\nX-Remote-Groups: testers\r\n"
             "X-Remote-Groups: none\r\nContent-Length: 2\r\n\r\n{}").encode()
    check(b"401 Unauthorized" in raw(service, lines, PROXY), "two lists of groups in one request")


def check_order(service):
    """What is wrong with the caller is said before his body is there, however long that is."""
    endless = (f"POST {COMPOSES} HTTP/1.1\r\nHost: x\r\nWHOTransfer-Encoding: chunked\r\n\r\n"
               "4\r\n{\"a\"\r\n")
    long = f"PATCH {COMPOSES}1 HTTP/1.1\r\nHost: x\r\nWHOContent-Length: 500000\r\n\r\n"
    for name, request in (("endless", endless), ("that does not come", long)):
        for user, status, words in (("", b"401 Unauthorized", NOT_PRESENT),
                                    ("X-Remote-User: eve\r\n", b"403 Forbidden", "is not in role")):
            begin = time.monotonic()
            got = raw(service, request.replace("WHO", user).encode(), PROXY)
            check(status in got and words.encode() in got, f"a body {name}, {status}: {got[:300]}")
            check(time.monotonic() - begin < 5, f"a body {name}, {status}: at once")
    # while the body keeps coming
    head = endless.replace("WHO", "").encode()
    host, port = service.host.split(":")
    with socket.create_connection((host, int(port)), 10) as connection:
        connection.sendall(head)
        with contextlib.suppress(OSError):
            for _ in range(200):
                connection.sendall(b"400\r\n" + b"a" * 1024 + b"\r\n")
        check(b"401 Unauthorized" in connection.recv(4096), "an endless body that keeps coming")
    # a whole body that is far from JSON, and one that is too large
    refused(tcp(service, "POST", COMPOSES, "nonsense"), 401, NOT_PRESENT, "401 before nonsense")
    refused(ask(service, "eve", body="nonsense"), 403, "User eve is not in role allowed_clients.",
            "403 before nonsense")
    refused(ask(service, "eve", method="PATCH", path=COMPOSES + "999999", body="nonsense"), 403,
            "User eve is not in role allowed_clients.", "403 before 404 of a PATCH")
    same(ask(service, "alice", body="nonsense")[0], 400, "then the body is judged")
    # who sends a long one to its end before he looks still finds the answer
    for name, send in (("TCP", lambda: tcp(service, "POST", COMPOSES, b"[" * 900000)),
                       ("a proxy", lambda: ask(service, "eve", body=b"[" * 900000))):
        same(send()[0], 403 if name == "a proxy" else 401, f"the answer to a long body arrives: {name}")
    # paths and methods that do not exist need no name
    same(tcp(service, "POST", "/nope", "{}")[0], 404, "an unknown path")
    same(tcp(service, "POST", "/api/1/about/", "{}")[0], 405, "a wrong method")


# ---- roles and limits -----------------------------------------------------------

def check_limits(service):
    def source(kind, words, **more):
        return {"source": {"type": kind, "source": words}, **more}

    build = {"source": {"type": "build", "builds": ["a-1-1"]}}
    for user, body, fault in (
            ("alice", REPO, "source_types=repo"),
            ("alice", source("pulp", "x"), "source_types=pulp"),
            ("alice", {**TAG, "arches": ["x86_64", "s390x"]}, "arches=s390x"),
            ("sources", source("tag", "f27"), "sources=f27"),
            ("sources", build, "sources="),
            ("flags", {**TAG, "flags": ["no_deps"]}, "flags=no_flags"),
            ("results", {**TAG, "results": ["iso"]}, "results=iso"),
            ("arches", TAG, "arches=x86_64"),
            ("types", TAG, "compose_types=test"),
            ("nothing", TAG, "source_types=tag")):
        refused(ask(service, user, body=body), 403, NOT_ALLOWED.format(user, fault), f"{user}: {fault}")
    for user, body in (("sources", TAG), ("results", TAG), ("arches", {**TAG, "arches": ["s390x"]}),
                       ("types", {**TAG, "compose_type": "nightly"}), ("flexible", REPO)):
        accepted(ask(service, user, body=body), user, f"{user} keeps his limit")
    status, body = ask(service, "nothing", body={**TAG, "arches": ["s390x"]})
    same((status, sorted(body["message"].split(". "))), (403, sorted([
        NOT_ALLOWED.format("nothing", "source_types=tag").rstrip("."),
        NOT_ALLOWED.format("nothing", "arches=s390x")])), "two faults at once")
    refused(ask(service, "dave", body=TAG, X_Remote_Groups="packagers"), 403,
            NOT_ALLOWED.format("dave", "sources=f26"), "a group's limit")
    accepted(ask(service, "dave", body=TAG, X_Remote_Groups="packagers testers"), "dave",
             "one group that allows all is enough")
    refused(ask(service, "sources", body=source("tag", "f27"), X_Remote_Groups="testers"), 403,
            NOT_ALLOWED.format("sources", "sources=f27"), "the user's entry wins over groups")
    accepted(ask(service, "chief", body=REPO), "chief", "administrators that are clients skip limits")


def check_renewal(service):
    """PATCH: the old compose's values count, not what the body says."""
    record = accepted(ask(service, "flexible", body=REPO), "flexible", "a repo compose")
    service.wait_rest(record["id"])
    path = f"{COMPOSES}{record['id']}"
    refused(ask(service, "alice", "PATCH", path), 403, NOT_ALLOWED.format("alice", "source_types=repo"),
            "renewing what one could not ask for")
    refused(ask(service, "alice", "PATCH", path, {"source": {"type": "tag", "source": "f26"}}), 403,
            NOT_ALLOWED.format("alice", "source_types=repo"), "the body's type does not matter")
    refused(ask(service, "eve", "PATCH", path), 403, "User eve is not in role allowed_clients.",
            "renewing without the role")
    accepted(ask(service, "flexible", "PATCH", path, {"seconds_to_live": 1000}), "flexible", "renewed")
    again = accepted(ask(service, "chief", "PATCH", path, {"label": "RC-1.0"}), "chief",
                     "made anew by an administrator, and his")
    check(again and again["id"] != record["id"], "a new compose")
    service.wait_rest(again["id"]) # the worker is idle then
    refused(ask(service, "eve", "POST", "/odcs/1/composes/", {"id": record["id"]}), 403,
            "User eve is not in role allowed_clients.", "the renewal of 2017 without the role")
    refused(ask(service, "alice", "POST", "/odcs/1/composes/", {"id": record["id"]}), 403,
            NOT_ALLOWED.format("alice", "source_types=repo"), "the renewal of 2017 has limits")
    return record["id"]


def check_delete(service, done):
    """The order of the contract, 2.9."""
    path = f"{COMPOSES}{done}"
    refused(tcp(service, "DELETE", COMPOSES + "999999"), 401, NOT_PRESENT, "401 before 404")
    refused(ask(service, "eve", "DELETE", COMPOSES + "999999"), 404, "No such compose found.",
            "404 before the role")
    refused(ask(service, "flexible", "DELETE", path), 403, "User flexible is not in role admins.",
            "the owner of a done compose is no administrator")
    same(ask(service, "boss", "DELETE", path)[0], 202, "an administrator that is no client deletes")
    same(service.record(done)["removed_by"], "boss", "removed_by")

    workers = service.workers(1)
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    try:
        busy = ask(service, "flexible", body=REPO)[1]["id"]
        check(wait_for(lambda: service.record(busy)["state_name"] == "generating", 30), "one is being made")
        one, two, three = (ask(service, "flexible", body=REPO)[1]["id"] for _ in range(3))
        refused(ask(service, "alice", "DELETE", f"{COMPOSES}{one}"), 403,
                f"Compose (id={one}) can not be canceled, it's owned by someone else.", "not his")
        same(ask(service, "flexible", "DELETE", f"{COMPOSES}{one}"),
             (202, {"message": f"Compose (id={one}) has been canceled", "status": 202}), "his own")
        same(service.record(one)["state_reason"], "Canceled by flexible", "by its owner")
        same(ask(service, "dave", "DELETE", f"{COMPOSES}{two}", X_Remote_Groups="wheel")[0], 202, "by group")
        same(service.record(two)["state_reason"], "Canceled by dave", "by an administrator")
        refused(ask(service, "boss", "DELETE", f"{COMPOSES}{busy}"), 400,
                f"Compose (id={busy}) can not be removed, its state need to be in ['done', 'failed'].",
                "one that is being made")
        same(ask(service, "boss", "DELETE", f"{COMPOSES}{three}")[0], 202, "and the last one")
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGCONT)
    service.wait_rest(busy)


def check_quota(service):
    """limits.live_composes_per_user goes by the account; administrators that are clients skip it."""
    workers = service.workers(1)
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    try:
        answers = [ask(service, f"quota{n % 2}", body=TAG, X_Remote_Groups="testers")[0] for n in range(24)]
        same((answers.count(200), answers.count(403)), (2 * LIVE, 24 - 2 * LIVE), "each has his own share")
        answers = [ask(service, "chief", body=TAG)[0] for n in range(LIVE + 2)]
        same(answers, [200] * len(answers), "no share for administrators")
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGCONT)


LIVE = 8


def check_about(service):
    about = tcp(service, "GET", "/api/1/about/")[1]
    same((about["auth_backend"], about["allowed_clients"]), ("proxy", ROLES["allowed_clients"]), "about")


# ---- the unix socket --------------------------------------------------------------

def check_socket(service, path):
    ask_unix = lambda body=REPO, **headers: unix(path, "POST", COMPOSES, body,
                                                 {k.replace("_", "-"): v for k, v in headers.items()})
    record = accepted(as_user("daemon", ask_unix), "daemon", "a user of this machine")
    service.wait_rest(record["id"])
    request = service.mnt / f"requests/auto-{record['id']}"
    same(os.stat(request).st_uid, pwd.getpwnam("daemon").pw_uid, "the tree knows him")
    accepted(as_user("bin", ask_unix), "bin", "by his group on this machine")
    refused(as_user("daemon", lambda: ask_unix(TAG)), 403, NOT_ALLOWED.format("daemon", "source_types=tag"),
            "his limits")
    refused(as_user("games", ask_unix), 403, "User games is not in role allowed_clients.", "no role")
    accepted(as_user("daemon", lambda: ask_unix(X_Remote_User="chief")), "daemon", "a forged header")
    refused(as_user("games", lambda: ask_unix(X_Remote_User="alice")), 403,
            "User games is not in role allowed_clients.", "a forged header of a stranger")
    refused(as_user("games", lambda: ask_unix(X_Remote_User="eve", X_Forwarded_For="10.1.1.1")), 401,
            NOT_PRESENT, "who forwards does not speak for himself")
    # lp is listed as a proxy
    accepted(as_user("lp", lambda: ask_unix(TAG, X_Remote_User="alice")), "alice", "a proxy by its user")
    refused(as_user("lp", ask_unix), 401, NOT_PRESENT, "a proxy that names nobody is nobody")
    # root
    accepted(ask_unix(TAG), "root", "root is allowed everything")
    accepted(ask_unix(TAG, Remote_User="alice"), "alice", "root speaks for others")
    refused(ask_unix(TAG, Remote_User="eve"), 403, "User eve is not in role allowed_clients.", "and only so")
    refused(ask_unix(TAG, X_Forwarded_For="10.1.1.1"), 401, NOT_PRESENT, "a proxy run by root, for nobody")
    same(as_user("games", lambda: unix(path, "GET", COMPOSES)[0]), 200, "everybody may read")
    same(unix(path, "DELETE", f"{COMPOSES}{record['id']}")[0], 202, "root is an administrator")
    same(service.record(record["id"])["removed_by"], "root", "removed by root")
    if shutil.which("curl"):
        got = run("curl", "-s", "--unix-socket", path, "http://localhost/api/1/about/").stdout
        same(json.loads(got or "{}").get("auth_backend"), "proxy", "curl --unix-socket")


def check_socket_life(service, path):
    """The file of a dead service is replaced, that of a live one is not, and it goes with the service."""
    def words(where):
        return failed_start(service.dir, f"http.socket={where}").stderr

    def taken(where):
        with Service(f"http.socket={where}", mount=False):
            return unix(where, "GET", "/api/1/about/")[0]

    check(f"another service listens on {path}" in words(path), "a second service")
    same(unix(path, "GET", "/api/1/about/")[0], 200, "the first one did not notice")
    plain = service.dir / "plain"
    plain.write_text("mine")
    check("is there and is no socket" in words(plain), "a file of somebody")
    same(plain.read_text(), "mine", "it is left alone")
    stale = service.dir / "stale.sock"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(stale))
    dead.listen()
    dead.close()
    same(taken(stale), 200, "the socket of a dead service")
    check(not stale.exists(), "is gone with the one that took its place")
    same(taken(service.dir / "deep" / "er" / "s"), 200, "a folder that is missing is made")
    check("longer than 107 bytes" in words("/" + "x" * 120), "a path that is too long")
    mode, st = 0o777, os.stat(path)
    same((st.st_mode & mode, st.st_gid), (0o660, pwd.getpwnam("bin").pw_gid), "its mode and group")


def check_rights(service, path):
    """Without repo.allowed a local user reads with his own rights, and a proxy lends nobody its own."""
    private = service.dir / "private"
    shutil.copytree(BASE, private)
    user = pwd.getpwnam("daemon")
    for place in (private, *private.rglob("*")):
        os.chown(place, user.pw_uid, user.pw_gid)
    os.chmod(private, 0o700)
    spec = repo_spec(private, packages=["sed"])
    ask_unix = lambda **headers: unix(path, "POST", COMPOSES, spec,
                                      {k.replace("_", "-"): v for k, v in headers.items()})
    words = f"{private}: not below a path that [repo] allowed names, and the client is no user of this machine"
    for name, state in (("daemon", "done"), ("bin", "failed")):
        record = accepted(as_user(name, ask_unix), name, f"{name} asks for the private repository of daemon")
        same(service.wait_rest(record["id"])["state_name"], state, f"read with the rights of {name}")
    refused(as_user("lp", lambda: ask_unix(X_Remote_User="flexible")), 403, words, "a proxy's user, unix socket")
    refused(ask_unix(X_Remote_User="flexible"), 403, words, "root's word for another")
    refused(ask(service, "flexible", body=spec), 403, words, "a proxy's user, loopback")


# ---- the tree ---------------------------------------------------------------------

def check_tree(service):
    requests = service.mnt / "requests"

    def submit(name, spec):
        def child():
            os.mkdir(requests / name)
            try:
                service.write_spec(requests / name, spec)
            except OSError as error:
                return [error.errno, (requests / name / "error").read_text()]
            return (requests / name / "wait").read_text()
        return child

    def command(name, file, text):
        def child():
            fd = os.open(requests / name / file, os.O_WRONLY)
            os.write(fd, text.encode())
            os.close(fd)
            return "done"
        return child

    same(as_user("daemon", submit("d", REPO)), "done\n", "a client by name")
    same(as_user("bin", submit("b", REPO)), "done\n", "a client by group")
    same(as_user("games", submit("g", REPO)),
         [errno.EACCES, "request: User games is not in role allowed_clients.\n"], "a stranger")
    same(as_user("daemon", submit("d2", TAG)),
         [errno.EACCES, "source.type: " + NOT_ALLOWED.format("daemon", "source_types=tag") + "\n"], "a limit")
    same(as_user("mail", submit("m", REPO)),
         [errno.EACCES, "request: User mail is not in role allowed_clients.\n"], "an administrator only")
    service.compose("r", REPO)

    def ask_new():
        fd = os.open(service.mnt / "new", os.O_RDWR)
        with contextlib.suppress(OSError):
            os.write(fd, json.dumps(REPO).encode())
        return json.loads(os.read(fd, 4096))

    same(as_user("games", ask_new), {"error": "Forbidden", "status": 403, "message":
                                     "request: User games is not in role allowed_clients."}, "the file new")
    same(as_user("bin", ask_new)["owner"], "bin", "new for a client")

    # strangers and owners
    same(as_user("games", command("d", "ttl", "1000")), {"errno": errno.EACCES}, "ttl of others")
    same(as_user("games", command("d", "ctl", "expire")), {"errno": errno.EACCES}, "ctl of others")
    same(as_user("games", lambda: os.rmdir(requests / "d")), {"errno": errno.EPERM}, "rmdir of others")
    same(as_user("games", lambda: os.rename(requests / "d2", requests / "x")), {"errno": errno.EPERM},
         "mv of others' drafts")
    same(as_user("daemon", command("d", "ttl", "1000")), "done", "one's own ttl")
    same(as_user("daemon", command("d", "ctl", "expire")), {"errno": errno.EPERM},
         "fs.owner_may_expire=no holds for owners")
    same(as_user("games", lambda: os.rmdir(requests / "g")), None, "one's own draft")

    # an administrator who is not root
    same(as_user("mail", command("b", "ttl", "1200")), "done", "an administrator's word in ttl")
    check(1100 < int((requests / "b/ttl").read_text()) <= 1200, "it counts")
    same(as_user("mail", command("b", "ctl", "expire")), "done", "he may expire")
    same(service.record(int((requests / "b/id").read_text()))["removed_by"], "mail", "removed by him")
    same(as_user("mail", lambda: os.rmdir(requests / "d2")), None, "he drops drafts of others")
    same(as_user("mail", lambda: os.rmdir(requests / "d")), None, "he ends composes of others")
    same(as_user("mail", lambda: os.rmdir(requests / "r")), None, "also root's")

    # nobody on this machine owns what came over the network
    number = ask(service, "flexible", body=REPO)[1]["id"]
    service.wait_rest(number)
    name = f"auto-{number}"
    same(as_user("nobody", command(name, "ttl", "1000")), {"errno": errno.EACCES}, "nobody is not flexible")
    same(as_user("nobody", lambda: os.rmdir(requests / name)), {"errno": errno.EPERM}, "nor may he end it")
    os.rmdir(requests / name)


# ---- reading the roles again ----------------------------------------------------------

def check_reload(service, path):
    refused(ask(service, "newbie", body=TAG), 403, "User newbie is not in role allowed_clients.", "before")
    path.write_text(json.dumps({"allowed_clients": {"users": {"newbie": {}, "alice": {}}}}))
    service.process.send_signal(signal.SIGHUP)
    check(wait_for(lambda: "roles read again" in service.log_text(), 20), "the log says so")
    check(wait_for(lambda: ask(service, "newbie", body=TAG)[0] == 200, 20), "the next server answers")
    accepted(ask(service, "newbie", body=TAG), "newbie", "after")
    refused(ask(service, "dave", body=TAG, X_Remote_Groups="testers"), 403,
            "User dave is not in role allowed_clients.", "what was taken away")
    same(ask(service, "boss", "DELETE", COMPOSES + "1")[0], 403, "an administrator no more")
    same(sorted(tcp(service, "GET", "/api/1/about/")[1]["allowed_clients"]["users"]), ["alice", "newbie"], "about")
    path.write_text('{"admins": {"user": ["newbie"]}}')
    service.process.send_signal(signal.SIGHUP)
    words = (f'not reloaded, the server stays: the check ended with exit code 2: odcsfs: auth.roles: {path}: admins.user: '
             'unknown member "user"; did you mean "users"?')
    check(wait_for(lambda: words in service.log_text(), 10), f"a wrong file: {service.log_text()[-500:]}")
    accepted(ask(service, "newbie", body=TAG), "newbie", "the old roles hold")


def check_start():
    """What is wrong with the configuration ends the start, with words."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "wrong.json").write_text('{"allowed_clients": {"users": {"a": {"flag": []}}}}')
        for options, words in (
                ([f"auth.roles={folder}/wrong.json"], f"auth.roles: {folder}/wrong.json: "
                 'allowed_clients.users.a.flag: unknown member "flag"; did you mean "flags"?'),
                ([f"auth.roles={folder}/none.json"], f"auth.roles: {folder}/none.json: No such file"),
                (["auth.backend=kerberos"], 'auth.backend must be noauth, proxy or ssl, not "kerberos"'),
                (["auth.backend=ssl"], "auth.backend ssl needs http.tls_cert"),
                (["http.tls_cert=/a"], "http.tls_cert needs http.tls_key"),
                (["http.tls_client_ca=/a"], "http.tls_client_ca needs auth.backend ssl"),
                (["auth.proxies=10.0.0.0/33"], '"10.0.0.0/33": the prefix must lie between 0 and 32'),
                (["auth.proxies=10.0.0.1/8"], '"10.0.0.1/8" is no network'),
                (["auth.proxies=fd00::/129"], "between 0 and 128"),
                (["auth.proxies=localhost"], '"localhost" is no address'),
                (["auth.proxies=::1 unix:no-such-user"], 'this machine has no user "no-such-user"'),
                (["http.socket_mode=666x"], "http.socket_mode must be octal"),
                (["http.socket_mode=1777"], "http.socket_mode must be octal"),
                ([f"http.socket={folder}/s", "http.socket_group=no-such-group"], 'no group "no-such-group"')):
            got = failed_start(folder, *options)
            wanted = 1 if "socket_group" in options[-1] else 2
            check(words in got.stderr and got.returncode == wanted, f"{options}: {got.returncode} {got.stderr}")


def main():
    need_fuse()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="odcsfs-auth-"))
    os.chmod(folder, 0o755)
    roles = folder / "roles.json"
    roles.write_text(json.dumps(ROLES))
    path = folder / "http.sock"
    options = ["auth.backend=proxy", f"auth.proxies={PROXY} fd00::/8 unix:lp", f"auth.roles={roles}",
               f"repo.allowed={UNIVERSE}", "odcsfs.workers=1", "fs.owner_may_expire=no",
               "limits.live_composes_per_user=0", f"http.socket={path}"]
    try:
        with Service(*options) as service:
            same(os.stat(path).st_mode & 0o777, 0o666, "everybody may connect")
            check_proxy(service)
            check_forged(service)
            check_order(service)
            check_about(service)
            check_limits(service)
            check_delete(service, check_renewal(service))
            check_socket(service, path)
            check_tree(service)
            check_reload(service, roles)
        check(not path.exists(), "the socket goes with the service")
        roles.write_text(json.dumps(ROLES))
        options += [f"limits.live_composes_per_user={LIVE}", "http.socket_mode=0660", "http.socket_group=bin"]
        with Service(*options, mount=False) as service:
            check_quota(service)
            check_socket_life(service, path)
        os.chmod(folder, 0o755)
        options = [option for option in options if not option.startswith(("repo.", "http.socket_"))]
        with Service(*options, mount=False) as service:
            check_rights(service, path)
        check_start()
    finally:
        shutil.rmtree(folder)
    end()


main()
