# SPDX-License-Identifier: MIT
"""tests/system/originkit.py: a server of repositories that counts what it is asked, and misbehaves on demand.

Files come from a folder. What is to go wrong with a path is said before: a list of steps, each for one
request, or a single step for all of them.
"""
import gzip, hashlib, http.server, pathlib, re, socket, socketserver, struct, threading, time


class Origin:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.steps, self.asked, self.headers, self.lock = {}, [], [], threading.Lock()
        self.answers, self.etags = [], True
        origin = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                origin.answer(self)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

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
        path = self.folder / request.path.lstrip("/").split("?")[0]
        if data is None:
            if ".." in request.path or not path.is_file():
                return self.send(request, 404, b"not here\n")
            data = path.read_bytes()
        tag = '"%s"' % hashlib.sha256(data).hexdigest()[:16]
        headers = [("ETag", tag)] if self.etags else []
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

    def data(self, request):
        return (self.folder / request.path.lstrip("/").split("?")[0]).read_bytes()


class Ftp:
    """the same files by FTP, as far as a client asks that only fetches: passive, anonymous"""

    def __init__(self, folder):
        self.folder, self.asked = pathlib.Path(folder), []
        ftp = self

        class Handler(socketserver.StreamRequestHandler):
            def say(self, words):
                self.wfile.write(words.encode() + b"\r\n")

            def send(self, listener, path, at):
                if not path.is_file():
                    return self.say("550 no such file")
                self.say("150 it comes")
                data, _ = listener.accept()
                with data:
                    data.sendall(path.read_bytes()[at:])
                return self.say("226 done")

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
                        ftp.asked.append(path)
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
