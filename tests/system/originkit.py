# SPDX-License-Identifier: MIT
"""tests/system/originkit.py: a server of repositories that counts what it is asked, and misbehaves on demand.

Files come from a folder. What is to go wrong with a path is said before: a list of steps, each for one
request, or a single step for all of them.
"""
import contextlib, gzip, hashlib, http.client, http.server, pathlib, re, socket, socketserver, ssl, struct, subprocess, threading, time, urllib.parse


class Listener(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 100

    def __init__(self, *arguments):
        self.connections = []
        super().__init__(*arguments)

    def get_request(self):
        connection, address = super().get_request()
        self.connections.append(connection)
        return connection, address

    def handle_error(self, *_):
        pass

    def end(self):
        """nobody listens any more, and nobody is served"""
        self.shutdown()
        self.server_close()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class Origin:
    """@certificate: by https, with that file of key and certificate"""

    def __init__(self, folder, certificate=None):
        self.folder = pathlib.Path(folder)
        self.steps, self.asked, self.headers, self.lock = {}, [], [], threading.Lock()
        self.answers, self.etags, self.dates = [], True, False
        origin = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                origin.answer(self)

            def log_message(self, *_):
                pass

        self.server = Listener(("127.0.0.1", 0), Handler)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        self.url = f"http{'s' if certificate else ''}://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.server.end()

    def come_back(self):
        """after close(), with the same port"""
        self.server = Listener(("127.0.0.1", self.port), self.server.RequestHandlerClass)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # ---- what it was asked ---------------------------------------------------

    def forget(self):
        with self.lock:
            self.asked, self.answers, self.steps, self.headers = [], [], {}, []

    def count(self, part, answer=None):
        with self.lock:
            return sum(part in path and answer in (None, status) for path, status in self.answers)

    # ---- what it answers -------------------------------------------------------

    def step(self, path):
        with self.lock:
            for part, steps in self.steps.items():
                if part in path:
                    if isinstance(steps, list):
                        return steps.pop(0) if steps else None
                    return steps
        return None

    def send(self, request, status, body=b"", headers=(), length=None):
        with self.lock:
            self.answers.append((request.path, status))
        request.send_response(status)
        for name, value in headers:
            request.send_header(name, value)
        if status != 304:
            request.send_header("Content-Length", str(len(body) if length is None else length))
        request.end_headers()
        request.wfile.write(body)

    def answer(self, request):
        with self.lock:
            self.headers.append((request.path, dict(request.headers)))
        step = self.step(request.path)
        if callable(step):
            return step(self, request)
        return self.serve(request)

    def serve(self, request, data=None, ranges=True):
        path = self.path(request)
        if data is None:
            if ".." in request.path or not path.is_file():
                return self.send(request, 404, b"not here\n")
            data = path.read_bytes()
        tag = '"%s"' % hashlib.sha256(data).hexdigest()[:16]
        headers = [("ETag", tag)] if self.etags else []
        if self.dates and path.is_file():
            date = request.date_time_string(path.stat().st_mtime)
            headers.append(("Last-Modified", date))
            if request.headers.get("If-Modified-Since") == date and "If-None-Match" not in request.headers:
                return self.send(request, 304, headers=headers)
        if self.etags and request.headers.get("If-None-Match") == tag:
            return self.send(request, 304, headers=headers)
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", ""))
        if match and ranges:
            first = int(match[1])
            if first >= len(data):
                return self.send(request, 416)
            headers.append(("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}"))
            return self.send(request, 206, data[first:], headers)
        return self.send(request, 200, data, headers)

    def path(self, request):
        return self.folder / urllib.parse.unquote(request.path.lstrip("/").split("?")[0])

    def data(self, request):
        return self.path(request).read_bytes()


class Ftp:
    """the same files by FTP, as far as a client asks that only fetches: passive, anonymous; .cuts: {end of a path: [bytes
    after which each transfer breaks]}; .asked: (path, offset) of each"""

    def __init__(self, folder):
        self.folder, self.asked, self.cuts = pathlib.Path(folder), [], {}
        ftp = self

        class Handler(socketserver.StreamRequestHandler):
            def say(self, words):
                self.wfile.write(words.encode() + b"\r\n")

            def send(self, listener, path, at):
                if not path.is_file():
                    return self.say("550 no such file")
                self.say("150 it comes")
                cuts = next((c for end, c in ftp.cuts.items() if str(path).endswith(end) and c), None)
                to = cuts.pop(0) if cuts else None
                data, _ = listener.accept()
                with data:
                    data.sendall(path.read_bytes()[at:to])
                return self.say("226 done" if to is None else "426 broken off")

            def handle(self):
                folder, at, listener = "/", 0, None
                self.say("220 ready")
                for line in self.rfile:
                    word, _, rest = line.decode().strip().partition(" ")
                    word = word.upper()
                    path = rest if rest.startswith("/") else f"{folder.rstrip('/')}/{rest}"
                    file = ftp.folder / path.lstrip("/")
                    if word == "USER":
                        self.say("331 password")
                    elif word == "PASS":
                        self.say("230 in")
                    elif word == "PWD":
                        self.say(f'257 "{folder}"')
                    elif word == "CWD" and (ftp.folder / path.lstrip("/")).is_dir():
                        folder = path
                        self.say("250 there")
                    elif word == "TYPE":
                        self.say("200 yes")
                    elif word == "SIZE" and file.is_file():
                        self.say(f"213 {file.stat().st_size}")
                    elif word == "REST":
                        at = int(rest)
                        self.say("350 from there")
                    elif word == "EPSV":
                        listener = socket.create_server(("127.0.0.1", 0))
                        self.say(f"229 entering (|||{listener.getsockname()[1]}|)")
                    elif word == "RETR" and listener:
                        ftp.asked.append((path, at))
                        with listener:
                            self.send(listener, file, at)
                        at = 0
                    elif word == "QUIT":
                        return self.say("221 bye")
                    else:
                        self.say("550 no" if word in ("CWD", "SIZE") else "502 not known")
                return None

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"ftp://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Proxy:
    """passes requests on, for one host or all; .asked: URLs"""

    def __init__(self):
        self.asked = []
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                proxy.asked.append(self.path)
                url = urllib.parse.urlsplit(self.path)
                server = http.client.HTTPConnection(url.netloc, timeout=30)
                server.request("GET", url.path, headers={k: v for k, v in self.headers.items() if "onnection" not in k})
                answer, body = server.getresponse(), b""
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name not in ("Server", "Date", "Connection"):
                        self.send_header(name, value)
                self.end_headers()
                try:
                    while piece := answer.read1(4096):
                        self.wfile.write(piece)
                except OSError:
                    self.close_connection = True
                self.close_connection = self.close_connection or answer.length

            def log_message(self, *_):
                pass

        self.server = Listener(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.server.end()


def dead_port():
    """of which nobody listens"""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


# ---- keys ----------------------------------------------------------------------

class Key:
    """a key pair of gpg; .public is the file of the public key"""

    def __init__(self, folder, name):
        self.home, self.user = folder / name, f"{name}@example.com"
        self.home.mkdir(mode=0o700)
        self.public = folder / f"{name}.asc"
        self.gpg("--quick-generate-key", self.user, "rsa2048", "sign", "never")
        self.public.write_bytes(self.gpg("--armor", "--export"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def gpg(self, *words):
        return subprocess.run(["gpg", "--homedir", self.home, "--batch", "--yes", "--pinentry-mode", "loopback", "--passphrase",
                               "", *words], check=True, capture_output=True).stdout


    def sign(self, path):
        self.gpg("--armor", "--detach-sign", path)

    def sign_rpm(self, path):
        subprocess.run(["rpmsign", "--define", "__gpg /usr/bin/gpg", "--define", f"_gpg_name {self.user}", "--define",
                        f"_gpg_path {self.home}", "--addsign", path], check=True, capture_output=True)

    def close(self):
        subprocess.run(["gpgconf", "--homedir", self.home, "--kill", "gpg-agent"], check=False)


# ---- steps ---------------------------------------------------------------------

def status(number):
    return lambda origin, request: origin.send(request, number, b"<html>no</html>")


def redirect(to):
    return lambda origin, request: origin.send(request, 302, b"", [("Location", to)])


def text(body):
    return lambda origin, request: origin.serve(request, body)


def cut(at):
    """that many bytes of the file, then a reset"""
    def step(origin, request):
        data = origin.data(request)
        origin.send(request, 200, data[:at], length=len(data))
        request.wfile.flush()
        time.sleep(0.05) # what was sent is to arrive before the reset
        request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.close_connection = True
        request.connection.close()
    return step


def short(origin, request):
    """says more than it has"""
    data = origin.data(request)
    origin.send(request, 200, data, length=len(data) + 100)
    request.close_connection = True


def stall(seconds):
    def step(origin, request):
        data = origin.data(request)
        origin.send(request, 200, data[:10], length=len(data))
        request.wfile.flush()
        time.sleep(seconds)
        request.close_connection = True
    return step


def no_ranges(origin, request):
    return origin.serve(request, ranges=False)


def slow(seconds, parts=10, headers=(), change=lambda data: data):
    """all of it, little by little"""
    def step(origin, request):
        data = change(origin.data(request))
        origin.send(request, 200, b"", headers, length=len(data))
        with contextlib.suppress(OSError):
            for at in range(0, len(data), len(data) // parts + 1):
                request.wfile.write(data[at:at + len(data) // parts + 1])
                request.wfile.flush()
                time.sleep(seconds / parts)
    return step


class Gate:
    """a step: that part of it (0 to 1), then a little now and then, the rest when open() says so; as often as it is asked for"""

    def __init__(self, part=0):
        self.part, self.opened = part, threading.Event()
        self.open = self.opened.set

    def __call__(self, origin, request):
        data = origin.data(request)
        at = int(self.part * len(data))
        origin.send(request, 200, data[:at], length=len(data))
        with contextlib.suppress(OSError):
            while not self.opened.wait(0.1 if at else 0):
                piece = data[at:min(at + max(1, len(data) // 300), len(data) - 1)]
                request.wfile.write(piece)
                request.wfile.flush()
                at += len(piece)
            request.wfile.write(data[at:])
            request.wfile.flush()


def silent(seconds):
    """takes the request, and says nothing"""
    def step(origin, request):
        with origin.lock:
            origin.answers.append((request.path, 0))
        time.sleep(seconds)
        request.close_connection = True
    return step


def lies(origin, request):
    """other bytes of the same length"""
    return origin.serve(request, bytes(b ^ 1 for b in origin.data(request)))


def half(origin, request):
    data = origin.data(request)
    return origin.serve(request, data[:len(data) // 2])


def longer(origin, request):
    return origin.serve(request, origin.data(request) + b"more" * 100_000)


def chunked(extra=b""):
    """without a word about the length; @extra behind what is right"""
    def step(origin, request):
        with origin.lock:
            origin.answers.append((request.path, 200))
        data = origin.data(request) + extra
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        for at in range(0, len(data), 10_000):
            piece = data[at:at + 10_000]
            request.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        request.wfile.write(b"0\r\n\r\n")
    return step


def other_range(origin, request):
    """206, but not of what was asked for"""
    data = origin.data(request)
    match = re.fullmatch(r"bytes=(\d+)-.*", request.headers.get("Range", ""))
    if not match:
        return origin.serve(request)
    return origin.send(request, 206, data[:100], [("Content-Range", f"bytes 0-99/{len(data)}")])


def raw(text, seconds=0):
    """these bytes and the end, whatever they are"""
    def step(origin, request):
        with origin.lock:
            origin.answers.append((request.path, 0))
        request.wfile.write(text)
        request.wfile.flush()
        time.sleep(seconds)
        request.close_connection = True
    return step


# ---- repositories --------------------------------------------------------------

def record(kind, name, data, opened):
    return (f'<data type="{kind}"><checksum type="sha256">{hashlib.sha256(data).hexdigest()}</checksum>'
            f'<open-checksum type="sha256">{hashlib.sha256(opened).hexdigest()}</open-checksum>'
            f'<location href="repodata/{name}"/><timestamp>1700000000</timestamp>'
            f'<size>{len(data)}</size><open-size>{len(opened)}</open-size></data>')


def write_repository(folder, files, revision=1700000000):
    """repodata/ of {kind: XML}; a value may be (packed, XML) to lie about what is packed"""
    (folder / "repodata").mkdir(parents=True, exist_ok=True)
    records = []
    for kind, content in files.items():
        packed, opened = content if isinstance(content, tuple) else (gzip.compress(content, mtime=0), content)
        name = f"{kind}.xml.gz"
        (folder / "repodata" / name).write_bytes(packed)
        records.append(record(kind, name, packed, opened))
    (folder / "repodata/repomd.xml").write_text(
        '<?xml version="1.0" encoding="UTF-8"?><repomd xmlns="http://linux.duke.edu/metadata/repo">'
        f"<revision>{revision}</revision>{''.join(records)}</repomd>")


def primary(*packages):
    """of (name, checksum type, checksum, href) each"""
    elements = "".join(
        f'<package type="rpm"><name>{name}</name><arch>x86_64</arch><version epoch="0" ver="1" rel="1"/>'
        f'<checksum type="{kind}" pkgid="YES">{checksum}</checksum><summary>s</summary><description>d</description>'
        '<packager/><url/><time file="1700000000" build="1700000000"/><size package="5000" installed="1" archive="1"/>'
        f'<location href="{href}"/><format><rpm:license>MIT</rpm:license><rpm:sourcerpm>{name}-1-1.src.rpm'
        f'</rpm:sourcerpm><rpm:header-range start="1" end="2"/><rpm:provides><rpm:entry name="{name}" flags="EQ" '
        'epoch="0" ver="1" rel="1"/></rpm:provides></format></package>'
        for name, kind, checksum, href in packages)
    return ('<?xml version="1.0" encoding="UTF-8"?><metadata xmlns="http://linux.duke.edu/metadata/common" '
            f'xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="{len(packages)}">{elements}</metadata>').encode()


def metalink(data, *urls, hash_of=None, alternates=()):
    def sums(of):
        return ('<verification><hash type="md5">00</hash>'
                f'<hash type="sha256">{hashlib.sha256(of).hexdigest()}</hash></verification>')
    old = "".join(f"<mm0:alternate><mm0:timestamp>1</mm0:timestamp><size>{len(of)}</size>{sums(of)}</mm0:alternate>"
                  for of in alternates)
    places = "".join(f'<url protocol="http" type="http" location="XX" preference="{100 - i}">'
                     f"{url}/repodata/repomd.xml</url>" for i, url in enumerate(urls))
    of = data if hash_of is None else hash_of
    return ('<?xml version="1.0" encoding="utf-8"?><metalink version="3.0" xmlns="http://www.metalinker.org/" '
            'xmlns:mm0="http://fedorahosted.org/mirrormanager"><files><file name="repomd.xml">'
            f'<mm0:timestamp>1700000000</mm0:timestamp><size>{len(of)}</size>{sums(of)}'
            f'<mm0:alternates>{old}</mm0:alternates><resources maxconnections="1">{places}</resources>'
            '</file></files></metalink>').encode()
