# SPDX-License-Identifier: MIT
"""tests/system/cases_people.py: cases.py, promises 21–25: users, secrets, limits, configurations.

promises = 21, 22, 23, 24, 25
"""
import contextlib, json, os, pathlib, re, signal, socket, stat, subprocess, threading, time

from harness import BASE, ODCSFS, Answer, repo_spec, run, wait_for
from casekit import (ROOM, Absent, Broken, alive, ask, among, as_nobody, case, element, end, equal, fails, fetch, final, fresh, launch,
                     made, metadata, origin, own, package_path, patience, plain, post, primary_of, raw, refused, refuses, remote,
                     repository, settled, shared, statuses, stopped, want, whole, within)

SPEC = repo_spec(BASE, packages=["dash"])
OTHER = repo_spec(BASE, packages=["openssl"], flags=["no_reuse"])


# ---- 21 the tree's users ----------------------------------------------------------------------

@case(21, "nobody tries 20 ways to change, end, rename, renew or write into root's requests: each refused, nothing changed")
def foreign_requests():
    s = plain()
    done, n = made(s, {**SPEC, "seconds_to_live": 5000})
    draft = s.mnt / "requests" / fresh()
    draft.mkdir()
    (draft / ".x.tmp").write_text("{")
    before = s.record(n)
    mine = s.mnt / "requests" / fresh("nobody")
    as_nobody(lambda: os.mkdir(mine))

    def write(path, data):
        def deed():
            fd = os.open(path, os.O_WRONLY)
            try:
                os.write(fd, data)
            finally:
                os.close(fd)
        return deed
    refusal = ("EPERM", "EACCES", "EBUSY", "EROFS", "EEXIST", "EOPNOTSUPP", "EXDEV")
    for deed in (lambda: os.rmdir(done), lambda: os.rmdir(draft), write(done / "ctl", b"expire"), write(done / "ctl", b"cancel"),
                 write(done / "ttl", b"1"), lambda: os.utime(done / "ttl"), lambda: os.utime(done), lambda: os.setxattr(done, "user.odcs.ttl", b"1"),
                 lambda: os.setxattr(done, "user.odcs.note", b"x"), write(draft / "spec.json", b"{}"), lambda: os.truncate(draft / "spec.json", 0),
                 lambda: os.unlink(draft / ".x.tmp"), lambda: os.rename(draft / ".x.tmp", draft / "spec.json"),
                 lambda: os.rename(draft, s.mnt / "requests" / fresh()), lambda: os.rename(mine, draft), lambda: os.rename(draft, mine),
                 lambda: os.open(draft / ".y.tmp", os.O_CREAT | os.O_WRONLY), lambda: os.chmod(done, 0o700), lambda: os.chown(done, 65534, 65534),
                 lambda: os.link(draft / ".x.tmp", mine / ".x.tmp"), lambda: os.chmod(done / "ctl", 0o666)):
        fails(lambda deed=deed: as_nobody(deed), *refusal)
    after = s.record(n)
    equal(after, before, "the record")
    equal((done / "status").read_text() + (draft / "status").read_text(), "done\ndraft\n", "states")
    equal((draft / ".x.tmp").read_text(), "{", "root's temporary file")
    for request in (draft, mine):
        os.rmdir(request)


@case(21, "a request directory of mode 0700: nobody reads none of its files, attributes, events' names or pages of its text; the record stays public")
def private_requests():
    s = plain()
    request = s.mnt / "requests" / fresh("private")
    request.mkdir(0o700)
    os.setxattr(request, "user.odcs.note", b"hidden-note")
    s.write_spec(request, " " * 50 + json.dumps(SPEC))
    final(request)
    for name in os.listdir(request):
        if name not in ("ctl", "result"):
            fails(lambda name=name: as_nobody(lambda: (request / name).read_bytes()), "EACCES")
        fails(lambda name=name: as_nobody(lambda: os.stat(request / name)), "EACCES")
    fails(lambda: as_nobody(lambda: os.listdir(request)), "EACCES")
    fails(lambda: as_nobody(lambda: os.getxattr(request, "user.odcs.note")), "EACCES", "EPERM")
    number = int((request / "id").read_text())
    page = ask(s, "GET", f"/compose/{number}").body
    want(b"hidden-note" not in page and b" " * 50 + b"{" not in page, "the page shows the text of a private request")
    equal(ask(s, "GET", f"/api/1/composes/{number}").status, 200, "the record")


@case(21, "root writes, makes, removes, links and renames anywhere in the tree but in requests/: EPERM, EROFS, EACCES; nothing is ENOSYS or succeeds")
def read_only_tree():
    s = plain()
    _, n = made(s, SPEC)
    top = s.mnt / f"composes/{n}"
    for place in (s.mnt, s.mnt / "composes", top, top / "compose", s.tree(n), s.mnt / "by-state", s.mnt / "by-state/done", s.mnt / "by-owner"):
        for deed in (lambda p: os.mkdir(p / "x"), lambda p: os.open(p / "x", os.O_CREAT | os.O_WRONLY), lambda p: os.symlink("/etc", p / "x"), lambda p: os.mkfifo(p / "x"),
                     lambda p: os.rmdir(p / next(e for e in os.listdir(p) if (p / e).is_dir() and not (p / e).is_symlink())),
                     lambda p: os.rename(p / os.listdir(p)[0], p / "x"), lambda p: os.link(s.mnt / "README", p / "x"), lambda p: os.chmod(p, 0o777),
                     lambda p: os.chown(p, 1, 1), lambda p: os.utime(p, (1, 1)), lambda p: os.setxattr(p, "user.x", b"y"), lambda p: os.unlink(p / os.listdir(p)[0])):
            with contextlib.suppress(StopIteration):
                fails(lambda deed=deed, place=place: deed(place), "EPERM", "EROFS", "EACCES", "EOPNOTSUPP", "EISDIR", "ENOTEMPTY", "EXDEV", "EBUSY")
    for file in (s.mnt / "README", s.mnt / "metrics", top / "STATUS", s.tree(n) / "x86_64/os/repodata/repomd.xml"):
        fails(lambda file=file: os.open(file, os.O_WRONLY), "EACCES", "EROFS", "EPERM")
        fails(lambda file=file: os.truncate(file, 0), "EACCES", "EROFS", "EPERM")
    for file in ("status", "id", "log", "compose.json", "error"):
        request = next(p for p in (s.mnt / "requests").iterdir())
        fails(lambda file=file, request=request: os.open(request / file, os.O_WRONLY), "EACCES")
        fails(lambda file=file, request=request: os.unlink(request / file), "EPERM")


@case(21, "thirty names for requests and temporary files (.., newline, blank, dash first, 101 bytes, slashes, Unicode, device nodes): only those of the manual are made")
def request_names():
    s = plain()
    for name in ("a b", "a\nb", "-x", ".x", "_x", "é", "a\x7fb", "a\x01", "a:b", "a%2fb", "a\\b", "*", "~x", "a" * 101, "\u202ea", "a\u200bb", "#x", "x~", "\udcff"):
        fails(lambda name=name: os.mkdir(s.mnt / "requests" / name), "EINVAL", "ENAMETOOLONG", "EPERM", "EILSEQ")
    for name in ("a" * 100, "A.b-c_d9", "9", "a..b", "x.json"):
        os.mkdir(s.mnt / "requests" / name)
        fails(lambda name=name: os.mkdir(s.mnt / "requests" / name), "EEXIST")
        os.rmdir(s.mnt / "requests" / name)
    request = s.mnt / "requests" / fresh()
    request.mkdir()
    for name in ("x", "spec", "spec.jso", "status2", "sed", "sedabcdefg", "a.tmpx", "n" * 256 + ".tmp", "id.txt"):
        fails(lambda name=name: os.open(request / name, os.O_CREAT | os.O_WRONLY), "EPERM", "ENAMETOOLONG", "EACCES")
    for deed in (lambda: os.mknod(request / ".n", stat.S_IFCHR | 0o600, os.makedev(1, 3)), lambda: os.mkfifo(request / ".f"), lambda: os.symlink("/etc", request / ".l"),
                 lambda: os.mkdir(request / ".d"), lambda: os.chmod(request, 0o4777), lambda: os.chmod(request, 0o777)):
        fails(deed, "EPERM", "EINVAL", "EOPNOTSUPP")
    equal(stat.S_IMODE(request.stat().st_mode) & 0o7022, 0, "bits that others write with")
    os.rmdir(request)


@case(21, "a repository that only root reads is asked for by nobody in the tree: failed or refused; with root's descriptors handed on too; root reads it")
def unreadable_sources():
    s = plain()
    repo = repository({"hidden": b"hidden-treasure"})
    os.chmod(repo, 0o700)
    half = repository({"half": b"hidden-treasure"})
    os.chmod(half / "half-1-1.x86_64.rpm", 0o600)

    def ask_as_nobody(source):
        def deed():
            path = s.mnt / "requests" / fresh(f"n{os.getpid()}")
            os.mkdir(path)
            s.write_spec(path, repo_spec(source))
            return str(path)
        return pathlib.Path(as_nobody(deed))
    for source in (repo, f"/proc/{os.getpid()}/root{repo}", f"{repo}/."):
        try:
            request = ask_as_nobody(source)
        except OSError:
            continue
        equal(final(request), "failed", f"nobody's compose of {source}")
        want("hidden" not in (request / "log").read_text().replace(str(repo), ""), "the log tells of it")
    request = ask_as_nobody(half)
    if final(request) == "done":
        data, words = fetch(package_path(s, int((request / "id").read_text()), "half"))
        want(data == b"", "nobody publishes what he cannot read")
    _, n = made(s, repo_spec(repo))
    equal(package_path(s, n, "hidden").read_bytes(), b"hidden-treasure", "root's")


# ---- 22 REST, identity, secrets ------------------------------------------------------------------

def roles(**users):
    file = ROOM / fresh("roles")
    file.write_text(json.dumps({"allowed_clients": {"users": {u: {"source_types": ["repo"]} for u in ("alice", "root")}}, "admins": {"users": ["carol"]}}))
    return file


def accounts():
    return shared("accounts", "auth.backend=proxy", f"auth.roles={roles()}", "auth.proxies=127.0.0.2 unix:root", f"repo.allowed={BASE.parent}",
                  f"http.socket={ROOM}/http.sock")


@case(22, "headers of identity from an address that is no proxy (15 spellings, doubled, folded, with underscores): 401 each, no owner is taken from them")
def spoofed_headers():
    s = accounts()
    body = json.dumps(SPEC).encode()
    for headers in (b"Remote-User: alice", b"X-Remote-User: alice", b"remote-user: alice", b"Remote_User: alice", b"REMOTE_USER: alice", b"X-REMOTE-USER: root",
                    b"X-Forwarded-User: alice", b"Authorization: Basic YWxpY2U6eA==", b"Remote-User: alice\r\nX-Forwarded-For: 127.0.0.2",
                    b"X-Real-IP: 127.0.0.2\r\nRemote-User: alice", b"Forwarded: for=127.0.0.2\r\nRemote-User: alice", b"Remote-User: alice\r\nRemote-User: root",
                    b"X-Remote-User: alice\r\nX-Remote-Groups: wheel", b"SSL_CLIENT_VERIFY: SUCCESS\r\nSSL_CLIENT_S_DN: CN=alice", b"Remote-User:\r\n alice", b"Cookie: user=alice"):
        got = raw(s, b"POST /api/1/composes/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + headers + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        want(statuses(got) and statuses(got)[0] in (401, 400), f"{headers}: {statuses(got)} {got[-200:]}")
    for method in ("PATCH", "DELETE"):
        among(ask(s, method, "/api/1/composes/1", headers={"Remote-User": "carol"}).status, [401], method)


def on_socket(path, user, headers, spec, method="POST", target="/api/1/composes/"):
    """what that local user is answered on the unix socket"""
    script = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "curl", "-s", "-o", "-", "-w", "\n%{http_code}", "--max-time", "20",
              "--unix-socket", path, "-X", method, "-d", json.dumps(spec), *[w for h in headers for w in ("-H", h)], f"http://localhost{target}"]
    body, _, code = subprocess.run(script, capture_output=True, text=True, check=False).stdout.rpartition("\n")
    return Answer(int(code or 0), {}, body.encode())


@case(22, "on the unix socket nobody sends headers that say he is alice, root, carol: he is himself and refused; the proxy's word counts, contradictions do not")
def spoofed_socket():
    s = accounts()
    path = f"{ROOM}/http.sock"
    for headers in ([], ["Remote-User: alice"], ["X-Remote-User: root"], ["Remote-User: carol", "X-Remote-Groups: wheel"], ["X-Forwarded-For: ::1", "Remote-User: alice"]):
        answer = on_socket(path, 65534, headers, SPEC)
        among(answer.status, [401, 403], f"{headers}: {answer.body}")
    answer = on_socket(path, 0, ["Remote-User: alice"], SPEC)
    equal((answer.status, answer.json.get("owner")), (200, "alice"), f"the proxy's word: {answer.body}")
    for headers in (["Remote-User: alice", "X-Remote-User: carol"], ["Remote-User: al\x01ice"], ["Remote-User: " + "a" * 300], ["X-Forwarded-For: 1.2.3.4"]):
        among(on_socket(path, 0, headers, SPEC).status, [400, 401, 403], f"{headers[0][:40]}")
    number = answer.json["id"]
    among(on_socket(path, 65534, ["Remote-User: carol"], {}, "DELETE", f"/api/1/composes/{number}").status, [401, 403], "nobody ends it as carol")


@case(22, "a page of another site and names that lead here (Origin, Host) cannot write; a request that was forwarded may not read files of this machine")
def rebinding():
    s = plain()
    for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}, {"Host": "localhost.evil.example"}, {"Origin": "null"},
                    {"Host": "127.0.0.1.evil.example:80", "Origin": "http://127.0.0.1.evil.example:80"}, {"X-Forwarded-For": "10.0.0.1"}, {"Forwarded": "for=10.0.0.1"},
                    {"X-Forwarded-Host": "x"}, {"Via": "1.1 proxy"}, {"Host": "[::ffff:8.8.8.8]"}):
        answer = ask(s, "POST", "/api/1/composes/", json.dumps(OTHER), headers)
        among(answer.status, [400, 403], f"POST with {headers}: {answer.body[:200]}")
    equal(ask(s, "POST", "/api/1/composes/", json.dumps(SPEC)).status, 200, "POST without")


@case(22, "passwords in koji.hub, repo.proxy, a request's URLs and wrong configurations: in no log, error, record, page, metric or message")
def secrets():
    secret = "s3cr3t-w0rd"
    with own(f"koji.hub=http://user:{secret}@127.0.0.1:1/hub", "koji.timeout=2", f"repo.allowed={origin().url}/ http://127.0.0.1:1/",
             f"repo.proxy=http://user:{secret}@127.0.0.1:1/", "repo.timeout=2", "odcsfs.log_level=debug") as s:
        seen = ""
        for spec in ({"source": {"type": "tag", "source": "f26"}}, repo_spec("http://127.0.0.1:1/x"), {"source": {"type": "build", "source": "", "builds": ["a-1-1"]}},
                     repo_spec(f"http://user:{secret}@127.0.0.1:1/x"), repo_spec(f"{origin().url}/x#{secret}")):
            answer = post(s, spec)
            if answer.status == 200:
                record = settled(s, answer.json["id"], 20)
                equal(record["state_name"], "failed", "state")
                seen += json.dumps(record) + ask(s, "GET", f"/compose/{record['id']}").body.decode()
                seen += (s.mnt / f"composes/{record['id']}/pungi-stderr.log").read_text()
            elif secret not in json.dumps(spec):
                seen += answer.body.decode()
        for path in ("/api/1/about/", "/api/1/metrics/", "/api/1/composes/", "/", "/static/openapispec.json"):
            seen += ask(s, "GET", path).body.decode()
        seen += s.log_text()
        want(secret not in seen, "the secret: " + seen[max(0, seen.find(secret) - 200):][:300])
    for option in (f"koji.hub=ftp://user:{secret}@h/x", f"koji.hub=http://user:{secret}@", f"repo.proxy=http://user:{secret}@h:99999/", f"repo.names=x=http://user:{secret}@h/ y",
                   f"repo.allowed=http://user:{secret}@h/", f"koji.proxy=gopher://user:{secret}@h", f"module.mbs=http://user:{secret}@h:x/", f"koji.topurl=x://user:{secret}@h"):
        process, line, words = launch(option, state=ROOM / fresh("s"))
        if line:
            end(process)
        else:
            process.stdout.close()
        want(secret not in words, f"the message about {option.split('=')[0]} shows the password: {words}")


@case(22, "TLS: an expired, a self-signed, a stranger's certificate and none: writes 401, reads 200; the right one writes; plain HTTP and old TLS get nothing")
def certificates():
    pki = ROOM / fresh("pki")
    pki.mkdir()

    def openssl(*words):
        done = run("openssl", *words, cwd=pki)
        want(done.returncode == 0, f"openssl {words[0]}: {done.stderr[-300:]}")
    for name, subject in (("ca", "/CN=ca"), ("stranger", "/CN=ca")):
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", subject, "-days", "5")
    (pki / "san").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost")
    for name, authority, extra in (("server", "ca", ["-extfile", "san"]), ("alice", "ca", []), ("expired", "ca", []), ("foreign", "stranger", [])):
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", "/CN=localhost" if name == "server" else "/CN=alice")
        before = ["faketime", "-f", "-100d"] if name == "expired" else []
        done = run(*before, "openssl", "x509", "-req", "-in", f"{name}.csr", "-CA", f"{authority}.pem", "-CAkey", f"{authority}.key", "-CAcreateserial", "-days", "5",
                   "-out", f"{name}.pem", *extra, cwd=pki)
        want(done.returncode == 0, f"certificate {name}: {done.stderr[-300:]}")
    openssl("req", "-x509", "-key", "alice.key", "-out", "self.pem", "-subj", "/CN=alice", "-days", "5")
    (pki / "self.key").write_bytes((pki / "alice.key").read_bytes())
    role = pki / "roles"
    role.write_text(json.dumps({"allowed_clients": {"users": {"CN=alice": {"source_types": ["repo"]}}}}))
    with own(f"http.tls_cert={pki}/server.pem", f"http.tls_key={pki}/server.key", f"http.tls_client_ca={pki}/ca.pem", "auth.backend=ssl", f"auth.roles={role}",
             f"repo.allowed={BASE.parent}", mount=False) as s:
        def curl(*words):
            return run("curl", "-sk", "--max-time", "30", "-o", "/dev/null", "-w", "%{http_code}", *words).stdout
        for name, code in (("alice", "200"), ("expired", "401"), ("self", "401"), ("foreign", "401"), (None, "401")):
            certificate = ["--cert", pki / f"{name}.pem", "--key", pki / f"{name}.key"] if name else []
            equal(curl(*certificate, "-d", json.dumps(SPEC), f"{s.url}/api/1/composes/"), code, f"POST with the certificate {name}")
            if name not in ("alice",):
                among(curl(*certificate, f"{s.url}/api/1/composes/"), ["200"], f"GET with {name}")
        among(curl("--tls-max", "1.1", f"{s.url}/"), ["000"], "TLS 1.1")
        among(curl(s.url.replace("https", "http") + "/"), ["000", "400"], "plain HTTP")
        want((pki / "server.key").read_text().split("\n")[1] not in s.log_text(), "the key is in the log")


@case(22, "what listens without a word of it: the loopback address alone; 401 comes before a body of 1 GB that is announced is read")
def loopback_by_default():
    config = run(ODCSFS, "config", "-c", "/dev/null").stdout
    want("listen=127.0.0.1:5005" in config, "the default of http.listen")
    s = accounts()
    inodes = set()
    for fd in pathlib.Path(f"/proc/{s.process.pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            inodes.update(re.findall(r"socket:\[(\d+)\]", os.readlink(fd)))
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in pathlib.Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if words[9] in inodes and (words[3] == "0A" or table.startswith("udp")):
                want(words[1].startswith("0100007F"), f"it listens at {words[1]} ({table})")
    with within(2, "401 before the body"):
        got = raw(s, b"POST /api/1/composes/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n", patience(2))
    want(statuses(got) and statuses(got)[0] in (401, 413), statuses(got))


# ---- 23 nobody starves others ------------------------------------------------------------------------

def crowd(service, user, script, *arguments):
    """a Python script run as that user, with host and port"""
    host, port = service.host.rsplit(":", 1)
    return subprocess.Popen(["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "/usr/bin/python3", "-c", script, host, port, *arguments],
                            stdout=subprocess.PIPE)


@case(23, "one user holds 1,000 connections and fills some with halves of requests: another is answered at once, the first is bounded")
def thousand_connections():
    s = plain()
    flood = crowd(s, 65534, """
import socket, sys, time
held = []
for k in range(1000):
    try:
        c = socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)
        c.sendall([b"", b"GET /", b"POST /api/1/composes/ HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 1000\\r\\n\\r\\n{"][k % 3])
        held.append(c)
    except OSError:
        pass
print("ready", flush=True)
time.sleep(60)
""")
    try:
        flood.stdout.readline()
        for _ in range(10):
            with within(1, "the other's GET"):
                equal(ask(s, "GET", "/api/1/about/").status, 200, "GET")
        with within(2, "the other's POST"):
            equal(post(s, SPEC).status, 200, "POST")
        sockets = sum(1 for fd in pathlib.Path(f"/proc/{s.process.pid}/fd").iterdir() if "socket" in os.readlink(fd)) if s.process else 0
        want(sockets < 400, f"{sockets} sockets are held")
    finally:
        flood.kill()
        flood.wait()
        flood.stdout.close()


@case(23, "nobody asks for 150 composes, then root for one: root's is not the 151st; nobody's quota of waiting ones, where set, says which and how much")
def fair_queue():
    with own("limits.drafts=500") as s:
        made(s, SPEC)

        def many():
            for k in range(150):
                path = s.mnt / f"requests/n{k}"
                os.mkdir(path)
                s.write_spec(path, repo_spec(BASE, packages=["dash"], flags=["no_reuse"], seconds_to_live=1000 + k))
        with stopped(s.children()):
            as_nobody(many)
            request = s.submit("polite", OTHER)
        equal(final(request), "done", "root's compose")
        left = len(os.listdir(s.mnt / "by-state/wait"))
        want(left > 90, f"{left} of the flood were waiting still when root's was done")
    with own("limits.live_composes_per_user=2", mount=False) as s:
        for k in range(2):
            settled(s, post(s, {**OTHER, "seconds_to_live": 900 + k}).json["id"])
        answer = post(s, OTHER)
        equal(answer.status, 403, "the third of two")
        want("live_composes_per_user" in answer.json["message"] and "2" in answer.json["message"], answer.body)


@case(23, "a client sends 20,000 requests in one connection and reads no answer, another 200 connections of ranges: memory stays bounded, others are served")
def no_reader():
    s = plain()
    _, n = made(s, SPEC)
    host, port = s.host.rsplit(":", 1)
    held = []
    for k in range(60):
        c = socket.create_connection((host, int(port)), 5)
        c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        c.setblocking(False)
        data = b"GET /api/1/composes/?per_page=500 HTTP/1.1\r\nHost: localhost\r\n\r\n" * 400
        with contextlib.suppress(OSError):
            while data:
                data = data[c.send(data):]
        held.append(c)
    time.sleep(1)
    with within(2, "another user's GET"):
        code = run("setpriv", "--reuid=65534", "--clear-groups", "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "30", f"{s.url}/api/1/about/").stdout
        equal(code, "200", "GET")
    resident = int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{s.process.pid}/status").read_text())[1])
    want(resident < 700 << 10, f"the service has {resident} kB")
    for c in held:
        c.close()


@case(23, "300 requests of one client under way: beyond the limit 429 with Retry-After and words, the others are done; another user sees nothing of it")
def too_many_under_way():
    with own("limits.client_requests=4", "limits.client_waits=200") as s:
        made(s, SPEC)
        with stopped(s.children()):
            n = post(s, OTHER).json["id"]
            held = []
            host, port = s.host.rsplit(":", 1)
            for _ in range(40):
                c = socket.create_connection((host, int(port)), 5)
                c.sendall(b"POST /api/1/composes/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n{")
                held.append(c)
            time.sleep(0.5)
            answer = post(s, SPEC)
            equal(answer.status, 429, "beyond the limit")
            want(answer.headers["Retry-After"] and "4" in answer.json["message"], f"{answer.headers} {answer.body}")
            code = run("setpriv", "--reuid=65534", "--clear-groups", "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "30", f"{s.url}/api/1/composes/{n}").stdout
            equal(code, "200", "another user")
            for c in held:
                c.close()
        settled(s, n)


@case(23, "twelve clients send a byte of a request each second (client_rate 1,000): they are dropped after the ten seconds of the manual, others served meanwhile", is_long=True)
def slow_senders():
    with own("limits.client_rate=1000", mount=False) as s:
        host, port = s.host.rsplit(":", 1)
        slow = [socket.create_connection((host, int(port)), 5) for _ in range(12)]
        for c in slow:
            c.sendall(b"POST /api/1/composes/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900000\r\n\r\n")
        open_ones, began = list(slow), time.monotonic()
        while open_ones and time.monotonic() < began + patience(16):
            time.sleep(0.5)
            for c in list(open_ones):
                try:
                    c.sendall(b"x")
                    c.setblocking(False)
                    with contextlib.suppress(BlockingIOError):
                        if c.recv(100) == b"":
                            raise ConnectionError
                except OSError:
                    open_ones.remove(c)
                else:
                    c.setblocking(True)
            with within(1, "another's GET"):
                ask(s, "GET", "/api/1/about/")
        equal(len(open_ones), 0, "slow connections that are open")
        for c in slow:
            c.close()


# ---- 24 limits have names --------------------------------------------------------------------------------

@case(24, "limits of a request's text, over REST and in the tree (packages, lists, words, arches, nesting, bytes, keys): refused, and the words say which and how much")
def limits_of_requests():
    s = shared("limits", "limits.packages=3", "limits.drafts=4", "limits.body=5000", f"repo.allowed={BASE.parent}")
    for spec, words in ((repo_spec(BASE, packages=["a", "b", "c", "d"]), ["limits.packages", "3"]), (repo_spec(BASE, arches=[f"a{k}" for k in range(65)]), ["arches", "64"]),
                        (repo_spec("/" + "x" * 4100), ["source", "4096"]), (repo_spec(BASE, flags=["f"] * 10001), ["flags", "10000"]),
                        (repo_spec(BASE, label="l" * 4097), ["label", "4096"])):
        name, said = refused(s, spec)
        among(name, ["EINVAL"], "errno")
        for word in words:
            want(word in said, f"tree: {word} is not in {short_(said)}")
        if len(json.dumps(spec)) < 4900:
            answer = post(s, spec)
            equal(answer.status, 400, "status")
            for word in words:
                want(word in answer.json["message"], f"REST: {word} is not in {short_(answer.body)}")
    nested = '{"source": {"type": "repo", "source": "/x", "packages": ' + "[" * 20 + "]" * 20 + "}}"
    want("16" in refused(s, nested)[1], f"nesting: {refused(s, nested)[1]}")
    answer = post(s, json.dumps(SPEC) + " " * 6000)
    equal(answer.status, 413, "a body of 6000 bytes")
    want("limits.body" in answer.json["message"] and "5000" in answer.json["message"], answer.body)


def short_(value):
    return str(value)[:300]


@case(24, "limits of the tree: drafts, temporary files and their size, the size of spec.json, note, ttl, name: the errors of the manual, and the last one within is taken")
def limits_of_the_tree():
    s = shared("limits", "limits.packages=3", "limits.drafts=4", "limits.body=5000", f"repo.allowed={BASE.parent}")
    drafts = [s.mnt / f"requests/d{k}" for k in range(4)]
    for draft in drafts:
        draft.mkdir()
    fails((s.mnt / "requests/d5").mkdir, "EDQUOT")
    for k in range(8):
        (drafts[0] / f"{k}.tmp").write_text("x")
    fails(lambda: (drafts[0] / "9.tmp").write_text("x"), "EDQUOT")
    (drafts[0] / "0.tmp").write_bytes(bytes(1 << 20))
    fails(lambda: (drafts[0] / "0.tmp").write_bytes(bytes((1 << 20) + 1)), "EFBIG")
    fd = os.open(drafts[1] / "spec.json", os.O_WRONLY)
    fails(lambda: [os.write(fd, b" " * (1 << 19)) for _ in range(3)], "EFBIG")
    with contextlib.suppress(OSError):
        os.close(fd)
    os.setxattr(drafts[2], "user.odcs.note", b"n" * 1024)
    fails(lambda: os.setxattr(drafts[2], "user.odcs.note", b"n" * 1025), "E2BIG", "EINVAL", "ERANGE", "ENOSPC", "EDQUOT", "EFBIG")
    for draft in drafts:
        os.rmdir(draft)


@case(24, "worker_seconds with a worker that stands still, worker_memory and worker_cpu_seconds that are too small: the compose fails, words name the key and the number")
def limits_of_workers():
    with own("limits.worker_seconds=2") as s:
        made(s, SPEC)
        with stopped(s.children()):
            request = s.submit("slow", OTHER)
            with within(5, "the limit of 2 s"):
                equal(final(request), "failed", "state")
            want("limits.worker_seconds" in (request / "error").read_text() and "2" in (request / "error").read_text(), (request / "error").read_text())
    with own("limits.worker_memory=67108864") as s:
        lots = primary_of(*[element(f"p{k}", requires=[f"r{k}-{j}" for j in range(60)]) for k in range(20000)])
        request = s.submit("big", repo_spec(metadata(ROOM / fresh("mem"), lots), flags=["no_deps"]))
        equal(final(request), "failed", "state")
        want("limits.worker_memory" in (request / "error").read_text(), (request / "error").read_text())


@case(24, "numbers in questions (page, per_page, wait, ids, ?keep) that are negative, huge, not numbers: answered by the rules, never 500, never long")
def numbers_in_questions():
    s = plain()
    made(s, SPEC)
    for number in ("-1", "0", "1e9", "99999999999999999999", "9223372036854775807", "-9223372036854775808", "0x10", "", "%00", "1;drop", "١", "+1", "1.5", "NaN"):
        for path in (f"/api/1/composes/?page={number}", f"/api/1/composes/?per_page={number}", f"/api/1/composes/?state={number}", f"/api/1/composes/{number}",
                     f"/compose/{number}", f"/?page={number}", f"/?per_page={number}", f"/api/1/composes/1?wait={number[:2]}", f"/api/1/prefetch/{number}", f"/compose/1?page={number}",
                     f"/api/1/composes/?order_by={number}", f"/api/1/cache/?keep={number}", f"/composes/{number}/"):
            with within(2, path):
                got = raw(s, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode(), 20)
            code = statuses(got)
            want(code and code[0] in (200, 400, 404, 308, 301, 403, 405), f"{path}: {code}")


# ---- 25 bad configuration ------------------------------------------------------------------------------------

def configured(text_, *words, codes=(2,)):
    """a service with that file does not start; its words have the file and these"""
    file = ROOM / fresh("conf")
    file.write_bytes(text_ if isinstance(text_, bytes) else text_.encode())
    done = run("timeout", "20", ODCSFS, "serve", "-c", file, "-o", f"odcsfs.state_dir={ROOM}/never", "-o", "odcsfs.mountpoint=", "-o", "http.listen=127.0.0.1:0")
    among(done.returncode, codes, f"exit code of {short_(text_)!r}: {done.stderr[-300:]}")
    later = "/nowhere/roles" in short_(text_) # a file that is opened at the start: the words have the key
    for word in words if later else (file.name, *words):
        want(str(word) in done.stderr, f"{short_(text_)!r}: {word!r} is not in {short_(done.stderr)!r}")
    want("ready" not in done.stdout, "it was ready")


@case(25, "30 files of configuration with an error (unknown section, key, word, no value, twice, NUL, Latin-1, no section, numbers): none starts; file, line, key, nearest key")
def bad_files():
    for text_, words in (("[odcsfs]\nworker=2\n", [":2", "worker", "workers"]), ("[odcsf]\nworkers=2\n", [":2", "odcsf", "odcsfs"]), ("[odcsf]\n", [":1", "odcsf", "odcsfs"]), ("[odcsfs]\n\n; x\nstate_dri=/x\n", [":4", "state_dri", "state_dir"]),
                         ("workers=2\n", [":1", "workers"]), ("[odcsfs]\nworkers\n", [":2"]), ("[odcsfs]\nworkers=two\n", [":2", "workers", "two"]),
                         ("[odcsfs]\nworkers=-1\n", [":2", "workers"]), ("[odcsfs]\nworkers=0\n", [":2", "workers"]), ("[odcsfs]\nworkers=99999999999999999999\n", [":2", "workers"]),
                         ("[odcsfs]\nworkers=2x\n", [":2", "workers"]), ("[odcsfs]\nworkers=2.5\n", [":2", "workers"]), ("[odcsfs\nworkers=2\n", [":1"]), ("[odcsfs]]\nworkers=2\n", [":1"]),
                         ("[odcsfs]\nlog_level=loud\n", [":2", "log_level", "loud"]), ("[fs]\nlist_aliases=perhaps\n", [":2", "list_aliases"]), ("[fs]\nread_mode=mmap\n", [":2", "read_mode"]),
                         ("[http]\nport=80\n", [":2", "port"]), ("[http]\ntls_cert=/nowhere/x\n", [":2", "tls_"]), ("[auth]\nbackend=kerberos\n", [":2", "backend"]),
                         ("[auth]\nproxies=10.0.0.0/33\n", [":2", "proxies"]), ("[auth]\nbackend=proxy\nroles=/nowhere/roles\n", ["roles", "/nowhere/roles"]), ("[repo]\nallowed=relative/path\n", [":2", "allowed"]),
                         ("[repo]\nnames=noequals\n", [":2", "names"]), ("[limits]\nbody=1Q\n", [":2", "body"]), ("[repo]\ngpgcheck=perhaps\n", [":2", "gpgcheck"]),
                         (b"[odcsfs]\nworkers=2\0\n", [":2"]), (b"\xff\xfe[odcsfs]\n", [":1"]), (b"[odcsfs]\n\n\0", [":3"])):
        configured(text_, *words)


@case(25, "wrong words on the command line: -o without =, unknown keys, sections, options, two mount points, no command: exit code 2 and the nearest known key")
def bad_words():
    for words, said in ((["serve", "-o", "odcsfs.workers"], ["workers"]), (["serve", "-o", "workers=2"], ["workers"]), (["serve", "-o", "odcsfs.worker=2"], ["odcsfs.worker", "workers"]),
                        (["serve", "-o", "odcs.workers=2"], ["odcs"]), (["serve", "-o", "=2"], []), (["serve", "-o", "."], []), (["serve", "-o", ""], []), (["serve", "-o"], []), (["serve", "-x"], ["x"]),
                        (["serve", "--worker=3"], []), (["serve", "/a", "/b"], []), (["serv"], ["serv"]), ([], []), (["check", "extra"], []), (["serve", "-o", "http.listen=x:y"], ["http.listen"]),
                        (["serve", "-o", "http.listen=127.0.0.1:70000"], ["listen"]), (["serve", "-o", "http.socket_mode=999"], ["socket_mode"]), (["serve", "-o", "lifetime.default=x" + "y" * 100000], ["default"]),
                        (["serve", "-o", "http.listen="], ["listen"]), (["why"], []), (["why", "x", "y"], []), (["cache", "-u", "http://127.0.0.1:1", "--trim", "5Q"], ["SIZE"]), (["prefetch", "-u", "http://127.0.0.1:1", "-x"], [])):
        done = run("timeout", "20", ODCSFS, *words)
        among(done.returncode, [2] if words[:1] != ["why"] else [1, 2], f"exit code of {short_(words)}: {done.stderr[-300:]}")
        for word in said:
            want(word in done.stderr, f"{short_(words)}: {word!r} is not in {short_(done.stderr)!r}")
        want(done.stderr.strip(), f"{short_(words)}: no words")
        want(len(done.stderr) < 300000, "words without end")


@case(25, "the configuration is a directory, not there, unreadable, endless, a line of 10 MB: no start that hangs; words with the file")
def odd_configurations():
    long_ = ROOM / fresh("long")
    long_.write_bytes(b"[odcsfs]\nworkers=" + b"2" * (10 << 20))
    for path in (ROOM, ROOM / "nowhere.conf", "/dev/zero", long_, "/proc/self/mem"):
        done = run("timeout", "15", ODCSFS, "config", "-c", path)
        among(done.returncode, [1, 2], f"exit code with {path}: {done.stderr[-200:]}")
        want(str(path) in done.stderr, f"{path} is not named: {short_(done.stderr)}")


@case(25, "files of roles that are wrong (no JSON, unknown members, words of wrong types, 1 MB, twice) end the start; at SIGHUP they leave the old ones in force")
def bad_roles():
    file = ROOM / fresh("roles")
    good = json.dumps({"allowed_clients": {"users": {"root": {"source_types": ["repo"]}}}})
    bads = ["", "{", "[]", "null", '{"allowed_client": {}}', '{"allowed_clients": []}', '{"allowed_clients": {"users": ["alice"]}}', '{"admins": {"users": {"a": {}}}}', '{"admins": {"users": [1]}}',
            '{"allowed_clients": {"users": {"a": {"source_type": ["repo"]}}}}', '{"allowed_clients": {"users": {"a": {"source_types": "repo"}}}}', good + good, good[:-1] + ', "x": 1}',
            '{"allowed_clients": {"users": {"a": {"source_types": ["rep"]}}}}', "[" * 100000]
    for bad in bads:
        file.write_text(bad)
        text_ = refuses("auth.backend=proxy", f"auth.roles={file}", state=ROOM / fresh("s"), words=[file], codes=(1, 2))
        want(len(text_) < 5000, f"{len(text_)} bytes of words")
    file.write_text(good)
    with own("auth.backend=proxy", f"auth.roles={file}", f"repo.allowed={BASE.parent}") as s:
        made(s, SPEC)
        for bad in bads[:6]:
            file.write_text(bad)
            before = len(s.log_text())
            s.process.send_signal(signal.SIGHUP)
            want(wait_for(lambda before=before: len(s.log_text()) > before, patience(5)), f"no word of it in the log: {bad}")
            made(s, OTHER)
