# SPDX-License-Identifier: MIT
"""tests/system/tls.py: TLS and certificates of clients: good, expired, withdrawn, of a foreign authority, for
something else, none; what links say; and handshakes that never end.

promises = 22
"""
import pathlib, ssl, sys, urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from authkit import *

CA_CONFIG = """
[ca]
default_ca = this
[this]
database = {0}/index.txt
new_certs_dir = {0}
serial = {0}/serial
certificate = {0}/ca.pem
private_key = {0}/ca.key
default_md = sha256
policy = any
crlnumber = {0}/crlnumber
default_crl_days = 30
email_in_dn = no
copy_extensions = copy
[any]
countryName = optional
organizationName = optional
commonName = optional
[server]
subjectAltName = DNS:localhost, IP:127.0.0.1
extendedKeyUsage = serverAuth
[client]
extendedKeyUsage = clientAuth
[plain]
basicConstraints = CA:FALSE
"""


def openssl(*arguments):
    got = run("openssl", *arguments)
    if got.returncode:
        raise RuntimeError(f"openssl {arguments}: {got.stderr}")


class Authority:
    """A certificate authority in a folder of its own."""

    def __init__(self, folder, name):
        self.folder = folder / name
        self.folder.mkdir()
        self.cert = self.folder / "ca.pem"
        (self.folder / "index.txt").touch()
        (self.folder / "index.txt.attr").write_text("unique_subject = no\n")
        (self.folder / "serial").write_text("1000\n")
        (self.folder / "crlnumber").write_text("01\n")
        self.config = self.folder / "ca.conf"
        self.config.write_text(CA_CONFIG.format(self.folder))
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                "-subj", f"/O=Example/CN={name}", "-keyout", self.folder / "ca.key", "-out", self.cert)

    def issue(self, name, subject, extensions, start="20200101000000Z", end="20491231000000Z"):
        """Certificate and key of a new somebody."""
        cert, key, request = (self.folder / f"{name}.{end}" for end in ("pem", "key", "csr"))
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", subject,
                "-utf8", "-keyout", key, "-out", request)
        openssl("ca", "-batch", "-notext", "-utf8", "-config", self.config, "-in", request, "-out", cert,
                "-extensions", extensions, "-startdate", start, "-enddate", end)
        return cert, key

    def withdraw(self, path, *certs, last=(), until=()):
        """@path becomes this authority's list of what it has ever withdrawn, these among it"""
        for cert in certs:
            openssl("ca", "-config", self.config, "-revoke", cert)
        openssl("ca", "-config", self.config, "-gencrl", "-out", path, *last, *until)


def https(service, authority, method, path, body=None, identity=None, headers=None):
    context = ssl.create_default_context(cafile=authority.cert)
    if identity:
        context.load_cert_chain(*identity)
    host, port = service.host.split(":")
    return talk(http.client.HTTPSConnection(host, int(port), timeout=60, context=context), method, path, body,
                headers)


def fetch(service, authority, path):
    context = ssl.create_default_context(cafile=authority.cert)
    with urllib.request.urlopen(service.url + path, context=context) as answer:
        return answer.read()


def check_clients(service, ca, people):
    def post(name, body=TAG, **headers):
        return https(service, ca, "POST", COMPOSES, body, people[name], headers)

    accepted(post("alice"), "CN=alice,O=Example", "a good certificate, and its whole name")
    accepted(post("alice", **{"X-Remote-User": "boss"}), "CN=alice,O=Example", "headers do not count")
    accepted(post("plain"), "CN=plain", "one without a purpose")
    accepted(post("eve"), "CN=Ève\\, the first,O=Example", "one with letters and a comma")
    refused(post("bob"), 403, "User CN=bob,O=Example is not in role allowed_clients.", "not in the role")
    for name, why in (("expired", "FAILED:The certificate is NOT trusted. The certificate chain uses expired "
                                  "certificate."),
                      ("early", "FAILED:The certificate is NOT trusted. The certificate chain uses not yet "
                                "valid certificate."),
                      ("foreign", "FAILED:The certificate is NOT trusted. The certificate issuer is unknown."),
                      ("self", "FAILED:The certificate is NOT trusted. The certificate issuer is unknown."),
                      ("server", "FAILED:The certificate is NOT trusted. The certificate chain does not match "
                                 "the intended purpose."),
                      (None, "None")):
        refused(post(name), 401, f"Cannot verify client: {why}", f"{name or 'no'} certificate")
        same(https(service, ca, "GET", COMPOSES, None, people[name])[0], 200, f"{name}: GET is for all")
        refused(https(service, ca, "DELETE", COMPOSES + "1", None, people[name]), 401,
                f"Cannot verify client: {why}", f"{name or 'no'} certificate, DELETE")
    refused(post("nameless"), 401, "Unable to get user information (DN) from client certificate", "no name")
    same(https(service, ca, "DELETE", COMPOSES + "1", None, people["boss"])[0] in (202, 400), True,
         "an administrator by his certificate")
    refused(unix(service.dir / "s", "POST", COMPOSES, "nonsense"), 400, "<p>The browser (or proxy) sent a "
            "request that this server could not understand.</p>", "root on the socket needs no certificate")


def check_links(service, ca, people):
    check(service.url.startswith("https://"), "the ready line says https")
    time.sleep(1.2) # long polls need a clock that ticks
    record = accepted(https(service, ca, "POST", COMPOSES, REPO, people["alice"]), "CN=alice,O=Example", "made")
    same(record["toplevel_url"], f"{service.url}/composes/odcs-{record['id']}", "the record's links")
    status, done = https(service, ca, "GET", f"{COMPOSES}{record['id']}?wait=30")
    same((status, done["state_name"]), (200, "done"), "a long poll over TLS")
    text = fetch(service, ca, f"/composes/odcs-{record['id']}/compose/Temporary/odcs-{record['id']}.repo").decode()
    check(f"baseurl={service.url}/" in text, f"the .repo file: {text[:200]}")
    meta = https(service, ca, "GET", COMPOSES + "?per_page=1")[1]["meta"]
    check(meta["first"].startswith(service.url + COMPOSES), f"links of the list: {meta}")
    meta = https(service, ca, "GET", COMPOSES, headers={"X-Scheme": "http", "X-Forwarded-Host": "h"})[1]["meta"]
    check(meta["first"].startswith("http://h/"), "a proxy before it says otherwise")
    packages = f"/composes/odcs-{record['id']}/compose/Temporary/x86_64/os/Packages/s/"
    names = re.findall(r'href="\./(sed-[^"]*\.rpm)"', https(service, ca, "GET", packages)[1])
    same(len(names), 1, "a listing over TLS")
    source = next((BASE / "Packages").rglob("sed-*.x86_64.rpm")).read_bytes()
    for name in names:
        check(fetch(service, ca, packages + name) == source, "a package over TLS")
    request = b"GET /api/1/about/ HTTP/1.1\r\nHost: x\r\n\r\n"
    host, port = service.host.split(":")
    with socket.create_connection((host, int(port)), 10) as plain:
        plain.sendall(request)
        got = b""
        with contextlib.suppress(OSError):
            got = plain.recv(4096)
    check(b"200" not in got[:20] and b"version" not in got, f"without TLS there is no answer: {got[:100]}")


def check_handshakes(service, ca):
    """Clients that never finish, or send nonsense, hold nobody up and leave nothing behind."""
    def descriptors():
        return len(os.listdir(f"/proc/{service.server_pid}/fd"))

    service.workers() # after a reload they are new
    https(service, ca, "GET", "/api/1/about/")
    host, port = service.host.split(":")
    same(https(service, ca, "GET", "/api/1/about/")[0], 200, "an answer before them") # all is started
    before = descriptors()
    stuck = [socket.create_connection((host, int(port)), 10) for _ in range(100)]
    hello = bytes.fromhex("160301020001000111")
    for number, one in enumerate(stuck):
        if number % 3 == 1:
            one.sendall(hello) # a record that promises more
        elif number % 3 == 2:
            with contextlib.suppress(OSError):
                one.sendall(os.urandom(300))
    slowest = 0
    for _ in range(20):
        begin = time.monotonic()
        same(https(service, ca, "GET", "/api/1/about/")[0], 200, "an answer beside them")
        slowest = max(slowest, time.monotonic() - begin)
    check(slowest < 2, f"nobody waits for them: {slowest:.3f} s")
    for one in stuck:
        one.close()
    left = wait_for(lambda: descriptors() <= before + 2, 20)
    check(left, f"descriptors: {before} before, {descriptors()} after")


REVOKED = ("Cannot verify client: FAILED:The certificate is NOT trusted. The certificate chain is revoked.")


def check_withdrawn(service, ca, foreign, people, crl):
    """Lists that are read again at SIGHUP; a bad one changes nothing."""
    def reload(words):
        before = service.log_text().count(words)
        service.process.send_signal(signal.SIGHUP)
        check(wait_for(lambda: service.log_text().count(words) > before, 10), f"the log says: {words}")

    def post(name):
        return https(service, ca, "POST", COMPOSES, TAG, people[name])

    refused(post("gone"), 401, REVOKED, "withdrawn before the start")
    same(https(service, ca, "GET", COMPOSES, None, people["gone"])[0], 200, "reading asks nobody")
    accepted(post("alice"), "CN=alice,O=Example", "another one of the same name is good")
    ca.withdraw(crl, people["plain"][0])
    accepted(post("plain"), "CN=plain", "withdrawn, but the list was not read again")
    reload("revocation lists read again")
    refused(post("plain"), 401, REVOKED, "withdrawn while the service runs")
    good = crl.read_bytes()
    for bad, words in ((b"nothing", "auth.crl: "), (None, "No such file")):
        crl.unlink() if bad is None else crl.write_bytes(bad)
        reload("not reloaded, the server stays")
        check(words in service.log_text(), f"the log names the file: {words}")
        refused(post("plain"), 401, REVOKED, "a list that cannot be read changes nothing")
    foreign.withdraw(crl)
    reload("not reloaded, the server stays")
    check("no authority of http.tls_client_ca signed" in service.log_text(), "a list of somebody else")
    ca.withdraw(crl, last=("-crl_lastupdate", "20200101000000Z"), until=("-crl_nextupdate", "20200201000000Z"))
    reload("it counts still")
    refused(post("plain"), 401, REVOKED, "an old list counts still")
    crl.write_bytes(good)
    reload("revocation lists read again")


def check_wrong(folder, ca, cert, key):
    empty, other = folder / "empty.pem", ca.issue("other", "/CN=other", "server")[1]
    empty.write_text("nothing\n")
    good = [f"http.tls_cert={cert}", f"http.tls_key={key}"]
    for options, words in (
            ([f"http.tls_cert={cert}", f"http.tls_key={other}"], f"http.tls_cert, http.tls_key: {cert}, {other}: "),
            ([f"http.tls_cert={empty}", f"http.tls_key={key}"], f"http.tls_cert, http.tls_key: {empty}, {key}: "),
            ([f"http.tls_cert={cert}", f"http.tls_key={folder}/none"], f"http.tls_key: {folder}/none: No such"),
            ([*good, "auth.backend=ssl", f"http.tls_client_ca={empty}"], f"http.tls_client_ca: {empty}: "),
            ([*good, "auth.backend=ssl", f"http.tls_client_ca={ca.cert}", f"auth.crl={empty}"], f"auth.crl: {empty}: ")):
        got = failed_start(folder, *options)
        check(words in got.stderr and got.returncode == 1, f"{options}: {got.returncode} {got.stderr}")
        check("PRIVATE KEY" not in got.stderr, "nothing of the key is told")


def main():
    if not shutil.which("openssl"):
        skip("no openssl to make certificates with")
    if os.geteuid():
        skip("repositories are read for root here")
    with tempfile.TemporaryDirectory(prefix="odcsfs-tls-") as folder:
        folder = pathlib.Path(folder)
        ca, foreign = Authority(folder, "ours"), Authority(folder, "theirs")
        cert, key = ca.issue("us", "/CN=localhost", "server")
        people = {
            "alice": ca.issue("alice", "/O=Example/CN=alice", "client"),
            "bob": ca.issue("bob", "/O=Example/CN=bob", "client"),
            "boss": ca.issue("boss", "/O=Example/CN=boss", "client"),
            "eve": ca.issue("eve", "/O=Example/CN=Ève, the first", "client"),
            "plain": ca.issue("plain", "/CN=plain", "plain"),
            "gone": ca.issue("gone", "/O=Example/CN=alice", "client"),
            "nameless": ca.issue("nameless", "/", "client"),
            "expired": ca.issue("expired", "/O=Example/CN=alice", "client", end="20200102000000Z"),
            "early": ca.issue("early", "/O=Example/CN=alice", "client", start="20480102000000Z"),
            "server": ca.issue("server", "/O=Example/CN=alice", "server"),
            "foreign": foreign.issue("alice", "/O=Example/CN=alice", "client"),
            "self": (foreign.cert, foreign.folder / "ca.key"),
            None: None,
        }
        roles = folder / "roles.json"
        roles.write_text(json.dumps({
            "allowed_clients": {"users": {
                name: {"source_types": [""]} for name in
                ("CN=alice,O=Example", "CN=plain", "CN=Ève\\, the first,O=Example")}},
            "admins": {"users": ["CN=boss,O=Example"]}}))
        tls = [f"http.tls_cert={cert}", f"http.tls_key={key}", f"repo.allowed={UNIVERSE}"]
        ca.withdraw(crl := folder / "crl.pem", people["gone"][0])
        with Service(*tls, "auth.backend=ssl", f"http.tls_client_ca={ca.cert}", f"auth.roles={roles}",
                     f"auth.crl={crl}", f"http.socket={folder}/s", mount=False) as service:
            os.symlink(folder / "s", service.dir / "s")
            check_clients(service, ca, people)
            check_links(service, ca, people)
            check_withdrawn(service, ca, foreign, people, crl)
            check_handshakes(service, ca)
            check("PRIVATE" not in service.log_text(), "no key in the log")
        with Service(*tls, mount=False) as service: # with another backend
            accepted(https(service, ca, "POST", COMPOSES, TAG), "unknown", "TLS for everybody")
            accepted(https(service, ca, "POST", COMPOSES, TAG, people["alice"]), "unknown", "nobody asks who")
        check_wrong(folder, ca, cert, key)
    end()


main()
