# SPDX-License-Identifier: MIT
"""tests/system/restkit.py: what the checks of the HTTP contract share: counted cases, a client that
sends what it is told, and the test driver."""
import calendar, contextlib, http.client, json, socket, subprocess, threading, time
import urllib.parse

PHRASES = {400: "Bad Request", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
           413: "Content Too Large", 414: "URI Too Long"}

cases = failures = 0
verbose = True


def short(value):
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) < 240 else text[:200] + f"… ({len(text)} characters)"


def quiet():
    """Print failures only from now on."""
    global verbose
    verbose = False


def end():
    print(f"{cases} cases, {failures} failed")
    raise SystemExit(1 if failures or not cases else 0)


def case(name, expected, seen):
    global cases, failures
    cases += 1
    good = expected == seen
    failures += not good
    if verbose or not good:
        print(f"{'ok    ' if good else 'FAILED'} {name}\n       expected {short(expected)}\n"
              f"       seen     {short(seen)}", flush=True)
    return good


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def __getitem__(self, name):
        return self.headers.get(name)

    @property
    def json(self):
        return json.loads(self.body)


class Server:
    """One service, and the driver behind it when there is one."""

    def __init__(self, url, process=None):
        self.url, self.process = url.rstrip("/"), process
        parts = urllib.parse.urlsplit(self.url)
        self.host, self.port = parts.hostname, parts.port

    def ask(self, method, path, body=None, headers=None, timeout=15):
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        with contextlib.closing(connection):
            if isinstance(body, (dict, list)):
                body = json.dumps(body)
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())

    def get(self, path, **headers):
        return self.ask("GET", path, headers={k.replace("_", "-"): v for k, v in headers.items()})

    def post(self, body, path="/api/1/composes/"):
        return self.ask("POST", path, body)

    def raw(self, data, timeout=5):
        """Send bytes, return all that comes until the server closes or nothing comes."""
        got = b""
        with socket.create_connection((self.host, self.port), timeout) as connection:
            connection.sendall(data)
            with contextlib.suppress(socket.timeout, ConnectionError):
                while piece := connection.recv(65536):
                    got += piece
        return got

    def tell(self, line):
        """A command for the driver; the number it answers."""
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().split()
        if not answer or answer[0] != "ok":
            raise RuntimeError(f"{line}: {answer}")
        return int(answer[1])


def error(status, message):
    """The exact bytes of an error."""
    return json.dumps({"error": PHRASES[status], "message": message, "status": status},
                      separators=(",", ":"), sort_keys=True).encode() + b"\n"


def refused(server, name, answer, status, message):
    case(name, (status, error(status, message)), (answer.status, answer.body))
    case(f"{name}: type", "application/json", answer["Content-Type"])


def tag(**members):
    return {"source": {"type": "tag", "source": "f26"}, **members}


def stamp(text):
    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))


def dump(record):
    return json.dumps(record, separators=(",", ":"), sort_keys=True).encode() + b"\n"


def make(server, state, **members):
    """The id of a new compose in that state."""
    number = server.post({"source": {"type": "tag", "source": "f26", "koji_event": 55,
                                     "packages": ["a"], **members}}).json["id"]
    while state not in ("wait", None):
        claimed = server.tell("claim")
        if claimed == number or not claimed:
            break
    if state in ("done", "removed"):
        server.tell(f"finish {number}")
    if state == "failed":
        server.tell(f"fail {number} some words")
    if state == "removed":
        server.ask("DELETE", f"/api/1/composes/{number}")
        server.tell("clock 5")
        server.tell("expire")
        server.tell("clock 0")
    case(f"a {state} compose", state, server.get(f"/api/1/composes/{number}").json["state_name"])
    return number


@contextlib.contextmanager
def started(driver, *arguments):
    process = subprocess.Popen([driver, *arguments], stdin=subprocess.PIPE, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    noise = []
    reader = threading.Thread(target=lambda: noise.extend(process.stderr))
    reader.start()
    url = process.stdout.readline().strip()
    if not url:
        process.wait()
        reader.join()
        raise OSError("".join(noise))
    try:
        yield Server(url, process)
    finally:
        if process.poll() is None:
            process.stdin.write("quit\n")
            process.stdin.close()
            process.wait(15)
        reader.join()
        case(f"driver {' '.join(arguments)}: exit", 0, process.returncode)
        bad = [line for line in noise if "Sanitizer" in line or "runtime error" in line or
               "does not foresee" in line]
        case(f"driver {' '.join(arguments)}: sanitizers, answers that the table does not name", [], bad)
        if bad:
            print("".join(noise))
