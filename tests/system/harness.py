# SPDX-License-Identifier: MIT
"""tests/system/harness.py: a running service in a folder of its own, and checks that count.

The program comes from the environment variable ODCSFS (meson sets it). Everything lies below one
temporary folder; what was started is ended by its pid, what was mounted is unmounted, and a sanitizer's
report on the service's stderr fails the test even when everything else was right.
"""
import atexit, contextlib, gzip, hashlib, http.client, json, os, pathlib, re, shutil, signal, subprocess, sys
import tempfile, time, urllib.parse, urllib.request

SOURCE = pathlib.Path(__file__).resolve().parents[2]
UNIVERSE = SOURCE / "tests/data/universe-small"
BASE, UPDATES = UNIVERSE / "base", UNIVERSE / "updates"
ODCSFS = os.environ.get("ODCSFS", str(SOURCE / "build/core/daemon/odcsfs"))
META = "http://linux.duke.edu/metadata/"
REPORT = re.compile(r"(ERROR: (Address|Leak)Sanitizer|runtime error:|WARNING: ThreadSanitizer)")

checks = failures = 0


def check(condition, text):
    """Count a check; a failed one says what it was."""
    global checks, failures
    checks += 1
    if not condition:
        failures += 1
        print(f"FAILED: {text}", flush=True)
    return bool(condition)


def same(got, want, text):
    return check(got == want, f"{text}: got {got!r}, want {want!r}")


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(77)


def end():
    print(f"{checks} checks, {failures} failed")
    sys.exit(1 if failures or not checks else 0)


def need_fuse():
    if os.geteuid() != 0:
        skip("mounting for other users and changing user needs root")
    if not os.path.exists("/dev/fuse"):
        skip("no /dev/fuse: this kernel or container has no FUSE")


def wait_for(condition, seconds=30, pause=0.02):
    """The first true value of condition(), or its last false one after that many seconds."""
    limit = time.monotonic() + seconds
    while True:
        value = condition()
        if value or time.monotonic() > limit:
            return value
        time.sleep(pause)


def ended(pid):
    """gone, or nothing but an exit code"""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def is_worker(pid):
    """is it one, neither a process that opens files for a worker nor one that is only about to become one of them?"""
    try:
        words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        return b"worker" in words and b"--open" not in words
    except OSError:
        return False


def waits_in_pipe(pid, sleeper):
    """asleep, for what somebody says to it; of a kernel that does not tell where (0, also of @sleeper): asleep"""
    try:
        asleep = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"
        where = pathlib.Path(f"/proc/{pid}/wchan").read_text()
        return "unix_stream" in where or (asleep and where == "0" == pathlib.Path(f"/proc/{sleeper}/wchan").read_text())
    except OSError:
        return False


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)


class Service:
    """odcsfs serve, with state, mount point and log below self.dir. self.process is the keeper, which starts
    the server (server_pid), whose children are the workers."""

    def __init__(self, *options, folder=None, mount=True, environment=None, keeper=True):
        self.dir = pathlib.Path(folder or tempfile.mkdtemp(prefix="odcsfs-test-"))
        os.chmod(self.dir, 0o755)
        self.owned = folder is None
        self.mnt, self.state = self.dir / "odcs", self.dir / "state"
        self.options, self.mounts, self.keeper = list(options), mount, keeper
        self.environment = {**os.environ, **(environment or {})}
        self.process = None
        atexit.register(self.close)

    @property
    def program(self):
        return ODCSFS

    def command(self):
        command = [ODCSFS, "serve"] + ([] if self.keeper else ["--no-keeper"]) + ["-c", "/dev/null", "-o", f"odcsfs.state_dir={self.state}",
                   "-o", "http.listen=127.0.0.1:0"]
        for option in self.options:
            command += ["-o", option]
        return command + ([str(self.mnt)] if self.mounts else ["-o", "odcsfs.mountpoint="])

    def start(self):
        self.log = open(self.dir / "service.log", "ab")
        self.process = subprocess.Popen(self.command(), stdout=subprocess.PIPE, stderr=self.log,
                                        env=self.environment)
        line = self.process.stdout.readline().decode()
        match = re.fullmatch(r"ready mount=(\S+) http=(\S+)\n", line)
        if not match:
            self.process.wait(10)
            raise RuntimeError(f"no ready line but {line!r}; log:\n{self.log_text()}")
        self.url = match.group(2)
        self.host = urllib.parse.urlsplit(self.url).netloc
        return self

    def stop(self, number=signal.SIGTERM, seconds=20):
        """Exit code. SIGKILL ends keeper and server at once, as a crash of the machine would; it leaves a stale mount."""
        if not self.process:
            return None
        if number == signal.SIGKILL and self.keeper:
            self.process.send_signal(signal.SIGSTOP) # it would start the next one
            server = self.server_pid
            if server:
                os.kill(server, number)
                wait_for(lambda: ended(server), seconds)
        self.process.send_signal(number)
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            code = "hung"
        self.process.stdout.close()
        self.log.close()
        self.process = None
        return code

    def check_left(self, pids):
        """after a stop in order: no mount, and no process but one that the log says hangs"""
        left = lambda: [pid for pid in pids if not ended(pid)]
        check(wait_for(lambda: not left(), 10) or "left behind" in self.log_text(), f"processes left: {left()}")
        mounts = [line.split()[1] for line in pathlib.Path("/proc/mounts").read_text().splitlines()
                  if line.split()[1].startswith(f"{self.dir}/") and line.split()[2].startswith("fuse")]
        same(mounts, [], "mounts left")

    def close(self):
        if self.process:
            server = self.server_pid
            pids = [self.process.pid, server, *(self.children_of(server) if server else [])]
            code = self.stop()
            if code == 0:
                self.check_left([pid for pid in pids if pid])
            check(code == 0, f"exit code at SIGTERM: {code}, want 0; the service's log ends:\n{self.log_text()[-3000:]}")
        subprocess.run(["umount", "-l", str(self.mnt)], stderr=subprocess.DEVNULL, check=False)
        if self.owned and self.dir.exists():
            report = REPORT.search(self.log_text())
            check(not report, f"sanitizer report in the service's log:\n{self.log_text()[-6000:]}")
            unforeseen = re.findall("the table of paths does not foresee.*", self.log_text())
            check(not unforeseen, f"answers that are not in the OpenAPI document: {unforeseen[:5]}")
            shutil.rmtree(self.dir, ignore_errors=True)
        atexit.unregister(self.close)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.close()

    def log_text(self):
        with contextlib.suppress(OSError):
            return (self.dir / "service.log").read_text(errors="replace")
        return ""

    # ---- the tree -----------------------------------------------------------

    def submit(self, name, spec):
        """mkdir and write; the folder of the request. The close's error comes through."""
        request = self.mnt / "requests" / name
        os.mkdir(request)
        self.write_spec(request, spec)
        return request

    @staticmethod
    def write_spec(request, spec):
        text = spec if isinstance(spec, (str, bytes)) else json.dumps(spec)
        fd = os.open(request / "spec.json", os.O_WRONLY | os.O_TRUNC)
        rest = text.encode() if isinstance(text, str) else text
        try:
            while rest:
                rest = rest[os.write(fd, rest):]
        except OSError:
            with contextlib.suppress(OSError): # the write's error is the one to report
                os.close(fd)
            raise
        os.close(fd)

    def compose(self, name, spec, want="done"):
        """submit() and wait; the id. Checks the final state."""
        request = self.submit(name, spec)
        word = (request / "wait").read_text().strip()
        if not same(word, want, f"{name} ends as"):
            print((request / "error").read_text(), (request / "log").read_text())
        return int((request / "id").read_text())

    def tree(self, number):
        return self.mnt / "composes" / str(number) / "compose" / "Temporary"

    # ---- HTTP ----------------------------------------------------------------

    def call(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection(self.host, timeout=60)
        if body is not None and not isinstance(body, (str, bytes)):
            body = json.dumps(body)
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        result = Answer(answer.status, answer.headers, answer.read())
        connection.close()
        return result

    def record(self, number):
        return self.call("GET", f"/api/1/composes/{number}").json

    def wait_rest(self, number, seconds=60):
        return wait_for(lambda: (r := self.record(number))["state_name"] not in
                        ("wait", "generating") and r, seconds)

    @staticmethod
    def children_of(pid):
        pids = set()
        with contextlib.suppress(OSError):
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                with contextlib.suppress(OSError):
                    pids.update(int(p) for p in (task / "children").read_text().split())
        return sorted(pids)

    @property
    def server_pid(self):
        """of the process that answers; 0 while there is none"""
        if not self.keeper:
            return self.process.pid
        for pid in self.children_of(self.process.pid):
            with contextlib.suppress(OSError):
                if b"--keeper-fd=3" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                    return pid
        return 0

    def children(self):
        """pids of the worker processes, started by whichever thread; not of those that open files for them"""
        return [pid for pid in self.children_of(self.server_pid) if is_worker(pid)]

    def workers(self, count=2):
        """the same, once there are @count of them and they wait for work in their pipe"""
        def ready():
            pids = self.children()
            return len(pids) == count and all(waits_in_pipe(p, self.process.pid) for p in pids) and pids
        return wait_for(ready, 30) or self.children()


def repo_spec(*paths, packages=None, **more):
    source = {"type": "repo", "source": " ".join(str(p) for p in paths)}
    if packages is not None:
        source["packages"] = packages
    return {"source": source, **more}


def run(*command, **options):
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False,
                          **options)


def sized_repository(folder, sizes):
    """packages {name: bytes}: what is in them does not matter to the service"""
    (folder / "repodata").mkdir(parents=True)
    block, packages = os.urandom(1 << 20), []
    for name, size in sizes.items():
        with open(folder / f"{name}.rpm", "wb") as file:
            for number in range(0, size, 1 << 20):
                file.write((number.to_bytes(8, "little") + block[8:])[:size - number])
        packages.append(
            f'<package type="rpm"><name>{name}</name><arch>x86_64</arch><version epoch="0" ver="1" rel="1"/><checksum '
            f'type="sha256" pkgid="YES">{hashlib.sha256(name.encode()).hexdigest()}</checksum><summary/><description/>'
            f'<packager/><url/><time file="1" build="1"/><size package="{size}" installed="1" archive="1"/><location '
            f'href="{name}.rpm"/><format><rpm:license/><rpm:provides><rpm:entry name="{name}" flags="EQ" epoch="0" ver="1" '
            f'rel="1"/></rpm:provides></format></package>')
    packed = gzip.compress(f'<metadata xmlns="{META}common" xmlns:rpm="{META}rpm" packages="{len(packages)}">'
                           f'{"".join(packages)}</metadata>'.encode())
    (folder / "repodata/primary.xml.gz").write_bytes(packed)
    (folder / "repodata/repomd.xml").write_text(
        f'<repomd xmlns="{META}repo"><revision>1</revision><data type="primary"><checksum type="sha256">'
        f'{hashlib.sha256(packed).hexdigest()}</checksum><location href="repodata/primary.xml.gz"/><timestamp>1'
        f'</timestamp><size>{len(packed)}</size></data></repomd>')
    return folder
