# SPDX-License-Identifier: MIT
"""tests/system/keeper.py: the server is killed or replaced under a live mount and live HTTP; the keeper holds both.

--rounds N: kills of the server under readers, for each way of reading, and reloads under the odcs client (40 and 20
are what was promised; without it a few, and a plain HTTP client in the odcs client's place).

promises = 13
"""
import argparse, errno, http.server, json, os, pathlib, random, select, shutil, signal, statistics, subprocess, sys, tempfile
import threading, time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import *
from keeperkit import *
import pypi

ROUNDS = 0
FILES = 5000


class Load:
    """readers that compare, one that looks at attributes, one that makes and removes requests"""

    def __init__(self, service, tops, want):
        self.service, self.tops, self.want = service, tops, want
        self.names, self.stop, self.errors, self.count = list(want), threading.Event(), [], 0
        jobs = [self.read, self.read, self.look, self.make]
        self.threads = [threading.Thread(target=self.forever, args=(job, number)) for number, job in enumerate(jobs)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join(60)
            check(not thread.is_alive(), "a reader hangs")

    def forever(self, job, number):
        chance = random.Random(number)
        while not self.stop.is_set():
            try:
                job(chance, number)
                self.count += 1
            except OSError as error:
                self.errors.append(f"{job.__name__}: {error}")
                time.sleep(0.05)

    def read(self, chance, _):
        """in two halves with a pause now and then, and nothing of it left to the kernel's memory"""
        name = chance.choice(self.names)
        fd = os.open(chance.choice(self.tops) / name, os.O_RDONLY)
        try:
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            size = len(self.want[name])
            got = os.pread(fd, size // 2, 0)
            if not chance.randrange(20):
                time.sleep(0.2)
            got += os.pread(fd, size, len(got))
        finally:
            os.close(fd)
        if got != self.want[name]:
            self.errors.append(f"{name}: {len(got)} other bytes")

    def look(self, chance, _):
        name = chance.choice(self.names)
        if os.stat(chance.choice(self.tops) / name).st_size != len(self.want[name]):
            self.errors.append(f"{name}: another size")
        os.stat(self.service.mnt / "requests")
        os.listdir(self.service.mnt / "by-state/done")

    def make(self, _, number):
        request = self.service.mnt / "requests" / f"made-{number}-{time.monotonic_ns()}"
        os.mkdir(request)
        os.rmdir(request)


def test_killed(folder, mode, export, rounds):
    """kill -9 of the server, again and again: nobody but the clock sees it"""
    source, out = folder / "many", folder / f"out-{mode}"
    want = {p.name: p.read_bytes() for p in source.glob("*.rpm")}
    options = [f"repo.allowed={folder}", f"fs.read_mode={mode}"] + ([f"fs.export={out}"] if export else [])
    with Service(*options) as service:
        inner = f"{service.compose('all', repo_spec(source))}/compose/Temporary/x86_64/os/Packages"
        tops = [service.mnt / "composes" / inner / "p"] + ([out / inner / "p"] if export else [])
        gaps, pids, before = [], {service.server_pid}, figures_of(service.process.pid)
        with Load(service, tops, want) as load:
            for _ in range(rounds):
                quiet()
                gaps.append(kill_server(service))
                pids.add(service.server_pid)
            quiet(0.3)
            wait_for(lambda: load.count > 100 * rounds, 60)
        same(load.errors[:5], [], f"{mode}: errors of {load.count} operations")
        check(load.count > 100 * rounds, f"{mode}: {load.count} operations")
        check(min(gaps) >= 0, f"{mode}: a server that never came")
        same(len(pids), rounds + 1, f"{mode}: servers")
        after = figures_of(service.process.pid)
        same((after["descriptors"], after["threads"]), (before["descriptors"], 1), f"{mode}: descriptors and threads of the keeper")
        check(after["memory"] - before["memory"] < 512, f"{mode}: memory of the keeper: {before['memory']} KiB, then {after['memory']}")
        text = (service.mnt / "version").read_text()
        check("takeover: yes" in text, f"{mode}: version: {text}")
        print(f"{mode}{' and export' if export else ''}: {rounds} kills, {load.count} operations, {len(load.errors)} errors; "
              f"gap median {statistics.median(gaps) * 1000:.0f} ms, max {max(gaps) * 1000:.0f} ms", flush=True)


# ---- reload ------------------------------------------------------------------------------------------------

def plain_client(service, stop, failed, done):
    while not stop.is_set():
        try:
            answer = service.call("POST", "/api/1/composes/", repo_spec(BASE, packages=["nginx"], flags=["no_deps", "no_reuse"]))
            record = service.wait_rest(answer.json["id"], 30)
            if answer.status != 200 or not record or record["state_name"] != "done":
                failed.append((answer.status, answer.body[:200], record))
            done.append(record["id"])
        except (OSError, ValueError, KeyError, http.client.HTTPException) as error:
            failed.append(repr(error))


ODCS_CLIENT = """
import json, os, sys, time
import odcs.client.odcs as lib
client = lib.ODCS(sys.argv[1], auth_mech=lib.AuthMech.Anonymous)
count = 0
while not os.path.exists(sys.argv[3]):
    made = client.new_compose(sys.argv[2], "repo", packages=["nginx"], flags=["no_deps", "no_reuse"])
    record = client.wait_for_compose(made["id"], timeout=60)
    assert record["state_name"] == "done", record
    count += 1
print(count)
"""


def odcs_client(service, folder):
    """the process of the stock client, or None with the reason"""
    venv, reason = pypi.environment("odcs-0.9.2", "odcs[client]==0.9.2",
                                    "import odcs.client.odcs, odcs.client as c; assert c.version == '0.9.2'",
                                    "--system-site-packages")
    if not venv:
        return None, reason
    return subprocess.Popen([venv / "bin/python", "-c", ODCS_CLIENT, service.url, str(BASE), folder / "stop"],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True), None


def figures_of(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return {"memory": int(re.search(r"VmRSS:\s+(\d+)", status)[1]), "threads": int(re.search(r"Threads:\s+(\d+)", status)[1]),
            "descriptors": len(os.listdir(f"/proc/{pid}/fd"))}


def test_reload(folder, rounds):
    """the server is replaced while a client submits and waits, and another reads"""
    with Service(f"repo.allowed={UNIVERSE}", f"http.socket={folder}/socket") as service:
        number = service.compose("stays", repo_spec(BASE, packages=["openssl"]))
        repomd = service.tree(number) / "x86_64/os/repodata/repomd.xml"
        content = repomd.read_bytes()
        same(reload(service).returncode, 0, "a first reload")
        stop, failed, done, took = threading.Event(), [], [], []
        before, keeper = figures_of(service.process.pid), service.process.pid
        client, reason = odcs_client(service, folder) if ROUNDS else (None, "only with --rounds")
        thread = threading.Thread(target=plain_client, args=(service, stop, failed, done))
        thread.start()
        held = open(repomd, "rb")
        for _ in range(rounds):
            started, pid = time.monotonic(), service.server_pid
            answer = reload(service)
            took.append(time.monotonic() - started)
            same((answer.returncode, answer.stdout, answer.stderr), (0, "reloaded\n", ""), "reload")
            check(service.server_pid not in (0, pid), "another server")
            same(repomd.read_bytes(), content, "read after a reload")
            same(os.pread(held.fileno(), 1 << 20, 0), content, "by a descriptor of before")
            time.sleep(random.random() * 0.5)
        held.close()
        wait_for(lambda: len(done) >= rounds, 60)
        stop.set()
        thread.join(60)
        same(failed[:3], [], f"requests that failed of {len(done)}")
        check(len(done) >= rounds, f"{len(done)} composes under {rounds} reloads")
        if client:
            (folder / "stop").touch()
            words = client.communicate(timeout=90)[0]
            same(client.returncode, 0, f"the odcs client: {words[-2000:]}")
        else:
            print(f"without the odcs client: {reason}")
        after = figures_of(keeper)
        same((after["descriptors"], after["threads"]), (before["descriptors"], 1), "descriptors and threads of the keeper")
        check(after["memory"] - before["memory"] < 512, f"memory of the keeper: {before['memory']} KiB, then {after['memory']}")
        same(service.process.pid, keeper, "the keeper")
        local = run("curl", "-s", "--unix-socket", folder / "socket", "http://x/api/1/about/")
        check("version" in local.stdout, f"by the unix socket: {local}")
        print(f"{rounds} reloads, {len(done)} composes{', odcs client ' + words.strip() if client else ''}; median "
              f"{statistics.median(took) * 1000:.0f} ms, max {max(took) * 1000:.0f} ms; keeper {after['memory']} KiB, "
              f"{after['descriptors']} descriptors", flush=True)
    check(not (folder / "socket").exists(), "the unix socket's file is gone")


def test_refused(service):
    """what would not start does not take the place of what runs"""
    pid = service.server_pid
    service.file.write_text("[odcsfs]\nworkres = 1\n")
    answer = reload(service)
    same(answer.returncode, 2, "exit code with a broken configuration")
    check("workers" in answer.stderr and ":2" in answer.stderr, f"its words: {answer.stderr}")
    service.file.write_text("[auth]\nroles = /nowhere\n")
    same(reload(service).returncode, 2, "exit code without its roles")
    service.file.write_text("[odcsfs]\nworkers = 2\n")
    service.put("#!/bin/sh\necho broken program >&2\nexit 3\n")
    answer = run(ODCSFS, "reload", "-c", "/dev/null", "-o", f"odcsfs.state_dir={service.state}")
    same((answer.returncode, answer.stderr), (1, "broken program\n"), "a broken program")
    same(service.server_pid, pid, "the server stays")
    check("not reloaded, the server stays" in service.log_text(), "the log says so")
    service.put('#!/bin/sh\n[ "$2" = --check ] && for i in 1 2 3 4; do printf "%0400d\\n" $i >&2; sleep 0.1; done\n'
                f'exec {ODCSFS} "$@"\n')
    answer = run(ODCSFS, "reload", "-c", "/dev/null", "-o", f"odcsfs.state_dir={service.state}")
    same((answer.returncode, answer.stdout), (0, "reloaded\n"), "one that has much to say, and would start")
    service.put()
    same(len(service.workers(2)), 2, "workers as the file has it")
    service.file.write_text("[odcsfs]\nworkers = 1\n")
    same(reload(service).returncode, 0, "reload")
    service.file.write_text("[odcsfs]\nworkers = 2\n")
    same(len(service.workers(1)), 1, "workers before")
    same(reload(service).returncode, 0, "reload of a good one")
    same(len(service.workers(2)), 2, "workers as the file has it now")


def test_asked_twice(service):
    """who asks for a reload while the configuration is being read for another one is told of what is there now"""
    checks, pid, answers = service.dir / "checks", service.server_pid, []
    service.put(f'#!/bin/sh\n[ "$2" = --check ] && {{ "{ODCSFS}" "$@"; r=$?; echo >>"{checks}"; sleep 0.5; exit $r; }}\n'
                f'exec {ODCSFS} "$@"\n')
    ask = lambda: answers.append(run(ODCSFS, "reload", "-c", "/dev/null", "-o", f"odcsfs.state_dir={service.state}").returncode)
    good, first = service.file.read_text(), threading.Thread(target=ask)
    first.start()
    check(wait_for(checks.exists, 10), "the first is being checked")
    service.file.write_text("[odcsfs]\nworkres = 1\n")
    ask()
    first.join(30)
    same(answers, [2, 2], "exit codes: it is broken by now")
    same(service.server_pid, pid, "the server stays")
    service.file.write_text(good)
    service.put()
    same(reload(service).returncode, 0, "reload of a good one")


def test_not_configured(service):
    """a mount that is in the configuration no more is unmounted by the reload"""
    good, other = service.file.read_text(), service.dir / "export"
    service.file.write_text(f"[fs]\nexport = {other}\n{good}")
    same(reload(service).returncode, 0, "reload with an export")
    check(wait_for(lambda: os.path.ismount(other), 10), "it is there")
    service.file.write_text(good)
    same(reload(service).returncode, 0, "reload without")
    check(str(other) not in pathlib.Path("/proc/mounts").read_text(), "it is gone")
    same(os.listdir(other), [], "and leaves an empty directory")


def test_crash_loop(service):
    """a program that dies at once: tried again and again, more and more slowly; then all goes on"""
    number = service.compose("loop", repo_spec(BASE, packages=["nginx"], flags=["no_deps", "no_reuse"]))
    content = (service.tree(number) / f"odcs-{number}.repo").read_bytes()
    quiet()
    service.put("#!/bin/sh\nexit 3\n")
    deaths = lambda: service.log_text().count("ended with exit code 3; it is started again")
    before, got = deaths(), []
    os.kill(service.server_pid, signal.SIGKILL)
    reader = threading.Thread(target=lambda: got.append((service.tree(number) / f"odcs-{number}.repo").read_bytes()))
    reader.start()
    time.sleep(2.5)
    tried = deaths() - before
    check(tried <= 12, f"tried {tried} times in 2.5 s")
    check(wait_for(lambda: deaths() - before >= 3, 20), "and again")
    service.put()
    reader.join(15)
    same(got, [content], "who waited gets his bytes")
    check(wait_for(lambda: service.server_pid, 10), "a server again")
    same(service.call("GET", "/api/1/about/").status, 200, "HTTP")


def test_unmounted(service):
    """what was unmounted by hand is mounted again by a reload, and by the next server after a kill"""
    for again in (lambda: same(reload(service).returncode, 0, "reload"), lambda: kill_server(service)):
        quiet(0.1)
        same(run("umount", service.mnt).returncode, 0, "umount")
        check(not os.path.ismount(service.mnt), "unmounted")
        time.sleep(0.2)
        again()
        check(wait_for(lambda: os.path.ismount(service.mnt), 10), "mounted again")
        check((service.mnt / "version").read_text(), "and answers")


# ---- what a user has under way -------------------------------------------------------------------------------

def code(function, *values):
    try:
        function(*values)
        return 0
    except OSError as error:
        return error.errno


def test_half_written(service):
    """bytes that died with the server: an error at the next write or at close, words, and nothing is accepted"""
    whole = json.dumps(repo_spec(BASE, packages=["nginx"], flags=["no_deps", "no_reuse"])).encode()
    for name, after in (("half", b""), ("more", whole[10:]), ("whole", None)):
        request = service.mnt / "requests" / name
        os.mkdir(request)
        fd = os.open(request / "spec.json", os.O_WRONLY | os.O_TRUNC)
        os.write(fd, whole if after is None else whole[:10])
        kill_server(service)
        wrote = code(os.write, fd, after) if after else errno.ESTALE
        same((wrote, code(os.close, fd)), (errno.ESTALE, errno.ESTALE), f"{name}: write and close")
        check("lost: write it again" in (request / "error").read_text(), f"{name}: {(request / 'error').read_text()!r}")
        same(((request / "status").read_text(), (request / "id").read_text()), ("draft\n", ""), f"{name}: not accepted")
        service.write_spec(request, whole)
        same((request / "wait").read_text(), "done\n", f"{name}: written anew")
    request = service.mnt / "requests/accepted"
    os.mkdir(request)
    fd = os.open(request / "spec.json", os.O_WRONLY | os.O_TRUNC)
    os.write(fd, whole)
    os.fsync(fd)
    kill_server(service)
    same(code(os.close, fd), 0, "accepted before: no error at close")
    # a reload waits a moment for who is writing
    request = service.mnt / "requests/reloaded"
    os.mkdir(request)
    fd = os.open(request / "spec.json", os.O_WRONLY | os.O_TRUNC)
    os.write(fd, whole[:10])
    answers = []
    thread = threading.Thread(target=lambda: answers.append(reload(service).returncode))
    thread.start()
    time.sleep(0.3)
    os.write(fd, whole[10:])
    same(code(os.close, fd), 0, "closed while a reload is under way")
    thread.join(60)
    same((answers, (request / "wait").read_text()), ([0], "done\n"), "accepted")


def test_waiting(service, slow):
    """reads of wait, poll(2), and a read of what a compose still makes: they go on under the next server"""
    request = service.submit("waiting", repo_spec(slow.url, flags=["no_reuse"]))
    words, polled = [], []

    def poll_status():
        with open(request / "status", "rb") as file:
            poller = select.poll()
            poller.register(file, select.POLLPRI | select.POLLIN)
            seen = []
            while len(seen) < 50 and (not seen or seen[-1] != b"done\n"):
                if not poller.poll(30000):
                    break
                seen.append(os.pread(file.fileno(), 100, 0))
            polled.append(seen)
    threads = [threading.Thread(target=lambda: words.append((request / "wait").read_text())),
               threading.Thread(target=poll_status)]
    check(wait_for(lambda: (request / "status").read_text() == "generating\n", 20), "it is being made")
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    for again in (lambda: kill_server(service), lambda: reload(service)):
        again()
    slow.go.set()
    for thread in threads:
        thread.join(60)
        check(not thread.is_alive(), "who waits hangs")
    same(words, ["done\n"], "wait over a kill and a reload")
    check(polled and polled[0] and polled[0][-1] == b"done\n" and len(polled[0]) < 20, f"poll over both: {polled}")
    # a package that is not here
    number = int((request / "id").read_text())
    path = next(service.tree(number).rglob("*.rpm"))
    slow.go.clear()
    got = []
    reader = threading.Thread(target=lambda: got.append(path.read_bytes()))
    reader.start()
    time.sleep(0.5)
    kill_server(service)
    slow.go.set()
    reader.join(30)
    same(got, [slow.package], "a package that was being fetched")


def test_removed(service):
    """names that the kernel remembers are taken back, also when the server died before it could say so"""
    numbers = [service.compose(f"gone{i}", repo_spec(BASE, packages=["nginx"], flags=["no_deps", "no_reuse"])) for i in range(3)]
    held = open(service.tree(numbers[0]) / f"odcs-{numbers[0]}.repo", "rb")
    content = held.read()
    for number in numbers:
        os.stat(service.mnt / f"composes/{number}/COMPOSE_ID")
    quiet(0.1)
    kill_server(service) # the next one has never looked them up
    for i in range(2):
        os.rmdir(service.mnt / f"requests/gone{i}")
    check(wait_for(lambda: not any(os.path.exists(service.mnt / f"composes/{n}") for n in numbers[:2]), 5), "gone")
    same(os.pread(held.fileno(), 1 << 16, 0), content, "open before the kill, removed after it: it can be read on")
    held.close()
    service.call("DELETE", f"/api/1/composes/{numbers[2]}")
    os.kill(service.server_pid, signal.SIGKILL)
    check(wait_for(lambda: not os.path.exists(service.mnt / f"composes/{numbers[2]}"), 10), "removed just before the kill")


class SlowOrigin:
    """a repository whose packages come when it is told"""

    def __init__(self, folder):
        self.go, self.package = threading.Event(), os.urandom(20000)
        self.repository = sized_repository(folder / "slow", {"slow": len(self.package)})
        (self.repository / "slow.rpm").write_bytes(self.package)
        # its checksum is that of the bytes
        text = gzip.decompress((self.repository / "repodata/primary.xml.gz").read_bytes())
        text = text.replace(hashlib.sha256(b"slow").hexdigest().encode(), hashlib.sha256(self.package).hexdigest().encode())
        packed = gzip.compress(text)
        old = hashlib.sha256((self.repository / "repodata/primary.xml.gz").read_bytes()).hexdigest()
        size = (self.repository / "repodata/primary.xml.gz").stat().st_size
        (self.repository / "repodata/primary.xml.gz").write_bytes(packed)
        repomd = (self.repository / "repodata/repomd.xml").read_text()
        repomd = repomd.replace(old, hashlib.sha256(packed).hexdigest()).replace(f"<size>{size}<", f"<size>{len(packed)}<")
        (self.repository / "repodata/repomd.xml").write_text(repomd)
        outer = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *values):
                super().__init__(*values, directory=outer.repository)

            def do_GET(self):
                if "primary" in self.path or "rpm" in self.path:
                    outer.go.wait(60)
                try:
                    super().do_GET()
                except OSError:
                    pass

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


# ---- the keeper ends ---------------------------------------------------------------------------------------------

def test_keeper_killed(service):
    """kill -9 of the keeper: the server stops in order, the mount is gone, the next start works"""
    pid = service.server_pid
    service.process.kill()
    service.process.wait()
    check(wait_for(lambda: ended(pid), 20), "the server ends")
    check(wait_for(lambda: not os.path.ismount(service.mnt), 5), "the mount is gone")
    same(code(os.listdir, service.mnt), 0, "and nothing stale is in its place")
    check("the keeper is gone: the service ends" in service.log_text(), "it says why")
    service.process.stdout.close()
    service.log.close()
    service.process = None
    service.start()
    check((service.mnt / "version").read_text(), "the next start")


def test_manager(folder):
    """the keeper is killed, and the one that the service manager starts goes on with the same mount"""
    manager = Manager(folder)
    service = Service(f"repo.allowed={UNIVERSE}", environment=manager.environment).start()
    number = service.compose("kept", repo_spec(BASE, packages=["nginx"], flags=["no_deps", "no_reuse"]))
    path = service.tree(number) / f"odcs-{number}.repo"
    held, url = open(path, "rb"), service.url
    content = held.read()
    check(wait_for(lambda: {"mount-tree", "memory-tree", "http-0", "control"} <= set(manager.held), 5),
          f"stored: {list(manager.held)}")
    same(manager.words[:1], ["READY=1"], "told")
    same(reload(service).returncode, 0, "reload")
    check(wait_for(lambda: manager.words[-2:] == ["RELOADING=1", "READY=1"], 5), f"told of it: {manager.words}")
    server, device = service.server_pid, os.stat(service.mnt).st_dev
    service.process.kill()
    service.process.wait()
    check(wait_for(lambda: ended(server), 20), "the server leaves")
    check(os.path.ismount(service.mnt), "the mount stays")
    service.process.stdout.close()
    service.process = manager.start(service.command(), service.log)
    same(path.read_bytes(), content, "read under the next keeper")
    same(os.pread(held.fileno(), 1 << 16, 0), content, "by a descriptor of before")
    same((os.stat(service.mnt).st_dev, service.call("GET", "/api/1/about/").status), (device, 200), "the same mount and port")
    held.close()
    check(wait_for(lambda: manager.words[-1] == "READY=1", 10), "ready again")
    same(service.stop(), 0, "stop")
    check(wait_for(lambda: not manager.held, 5), f"nothing is left in the store: {list(manager.held)}")
    check(not os.path.ismount(service.mnt), "unmounted")
    service.close()


def main():
    global ROUNDS
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=0)
    ROUNDS = parser.parse_args().rounds
    need_fuse()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="odcsfs-keeper-"))
    os.chmod(folder, 0o755)
    try:
        few = 2 if is_slow() else 3
        sized_repository(folder / "many", {f"p{i:04}": 2048 for i in range(FILES if ROUNDS or not is_slow() else FILES // 5)})
        timed(test_killed, folder, "auto", False, ROUNDS or few)
        timed(test_killed, folder, "splice", True, ROUNDS or few)
        timed(test_reload, folder, (ROUNDS + 1) // 2 or few)
        slow = SlowOrigin(folder)
        slow.go.set()
        with Replaceable(f"repo.allowed={UNIVERSE} {slow.url}", "repo.recheck_seconds=0") as service:
            for test in (test_half_written, test_removed, test_unmounted, test_refused, test_asked_twice, test_not_configured, test_crash_loop, test_keeper_killed):
                timed(test, service)
            slow.go.clear()
            timed(test_waiting, service, slow)
        timed(test_manager, folder)
    finally:
        for out in folder.glob("out-*"):
            subprocess.run(["umount", "-l", out], stderr=subprocess.DEVNULL, check=False)
        shutil.rmtree(folder, ignore_errors=True)
    end()


main()
