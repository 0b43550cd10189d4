# SPDX-License-Identifier: MIT
"""tests/system/authkit.py: what the tests of accounts share: clients of every kind, other users."""
import contextlib, errno, http.client, json, os, pathlib, pwd, re, shutil, signal, socket, sys, tempfile, time

from harness import *

NOT_PRESENT = "REMOTE_USER is not present in request."
COMPOSES = "/api/1/composes/"
TAG = {"source": {"type": "tag", "source": "f26"}}
REPO = repo_spec(BASE, packages=["sed"])


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout=60):
        super().__init__("localhost", timeout=timeout)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def talk(connection, method, path, body=None, headers=None):
    """One request; the answer's status and its JSON (or text)."""
    with contextlib.closing(connection):
        if body is not None and not isinstance(body, (str, bytes)):
            body = json.dumps(body)
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        text = answer.read().decode()
        with contextlib.suppress(ValueError):
            return answer.status, json.loads(text)
        return answer.status, text


def tcp(service, method, path, body=None, headers=None, source="127.0.0.1"):
    connection = http.client.HTTPConnection(service.host, timeout=60, source_address=(source, 0))
    return talk(connection, method, path, body, headers)


def unix(path, method, url, body=None, headers=None):
    return talk(UnixConnection(path), method, url, body, headers)


def as_user(name, function):
    """What function() gives, run by a child that is that user; it must be JSON. An OSError: its number."""
    user = pwd.getpwnam(name)
    reader, writer = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if not child:
        code = 1
        try:
            os.initgroups(name, user.pw_gid)
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)
            try:
                result = function()
            except OSError as error:
                result = {"errno": error.errno}
            os.write(writer, json.dumps(result).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    return json.loads(text)


def refused(answer, status, message, text):
    """An error of that status in exactly these words."""
    status_seen, body = answer
    return same((status_seen, body.get("message") if isinstance(body, dict) else body),
                (status, message), text)


def accepted(answer, owner, text):
    status, body = answer
    if not same((status, body.get("owner") if isinstance(body, dict) else body), (200, owner), text):
        print(body)
        return None
    return body


def failed_start(folder, *options):
    """What a service says that must not start."""
    command = [ODCSFS, "serve", "-c", "/dev/null", "-o", f"odcsfs.state_dir={folder}/failed", "-o",
               "odcsfs.mountpoint=", "-o", "http.listen=127.0.0.1:0"]
    for option in options:
        command += ["-o", option]
    return run(*command, timeout=30)
