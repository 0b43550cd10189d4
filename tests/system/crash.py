# SPDX-License-Identifier: MIT
"""tests/system/crash.py: workers and the service are killed with -9; nothing accepted is lost.

promises = 1, 2, 3, 4, 10, 12, 17
"""
import contextlib, gzip, hashlib, os, pathlib, random, re, signal, sqlite3, struct, sys, tempfile, threading, time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import *

NAMES = sorted({p.name.rsplit("-", 2)[0] for p in BASE.rglob("*.rpm")})
ROUNDS = int(os.environ.get("ODCSFS_ROUNDS", "20"))


def test_worker_killed(service):
    """a worker killed in the middle of a compose fails that compose only, and says so"""
    for worker in service.workers():
        os.kill(worker, signal.SIGSTOP)
    requests = [service.submit(f"stopped{i}", repo_spec(BASE, packages=["apache2"])) for i in range(3)]
    check(wait_for(lambda: sum((r / "status").read_text() == "generating\n" for r in requests) == 2),
          "two composes under way")
    waiting = [r for r in requests if (r / "status").read_text() == "wait\n"]
    before = set(service.children())
    for worker in before:
        os.kill(worker, signal.SIGKILL)
    words = [(r / "wait").read_text().strip() for r in requests]
    same(sorted(words), ["done", "failed", "failed"], "killed twice, made once")
    same([(r / "status").read_text() for r in waiting], ["done\n"], "the waiting one")
    for request in requests:
        if (request / "status").read_text() == "failed\n":
            check("killed by signal 9" in (request / "error").read_text(),
                  f"reason: {(request / 'error').read_text()!r}")
            number = (request / "id").read_text().strip()
            same((service.mnt / "composes" / number / "STATUS").read_text(), "DOOMED\n", "STATUS")
    check(wait_for(lambda: len(service.children()) == 2 and not before & set(service.children())), "replaced")


def test_tree_answers_while_workers_hang(service):
    for worker in service.workers():
        os.kill(worker, signal.SIGSTOP)
    requests = [service.submit(f"hung{i}", repo_spec(BASE, packages=["nginx"])) for i in range(4)]
    times = []
    for _ in range(200):
        started = time.monotonic()
        for request in requests:
            (request / "status").read_text()
            os.listdir(request)
        times.append(time.monotonic() - started)
    times.sort() # who hangs with them hangs each time; a busy machine may be late once
    check(times[-4] < 0.5 and times[-1] < 5, f"status and ls of 4 requests took {times[-4:]} s at worst")
    (requests[0] / "ctl").write_text("cancel")
    same((requests[0] / "status").read_text(), "failed\n", "cancel of a hung compose")
    check("Canceled by" in (requests[0] / "error").read_text(), "its reason")
    for worker in service.children():
        with contextlib.suppress(ProcessLookupError): # the cancelled one has been killed
            os.kill(worker, signal.SIGCONT)
    same([(r / "wait").read_text().strip() for r in requests[1:]], ["done"] * 3, "the others")


def test_memory_and_time():
    with Service(f"repo.allowed={UNIVERSE}", "odcsfs.workers=1") as service:
        service.compose("before", repo_spec(BASE, packages=["nginx"])) # the metadata are indexed: that alone may take a second
        service.stop()
        service.options.append("limits.worker_seconds=1")
        service.start()
        for worker in service.workers(1):
            os.kill(worker, signal.SIGSTOP)
        request = service.submit("slow", repo_spec(BASE, packages=["nginx"], flags=["no_reuse"]))
        same((request / "wait").read_text(), "failed\n", "a compose that takes too long")
        check("more time than allowed by configuration (1 seconds) (limits.worker_seconds=1; for more ask the administrators "
              "of this service)" in (request / "error").read_text(), f"reason: {(request / 'error').read_text()!r}")
        service.compose("next", repo_spec(BASE, packages=["nginx"], flags=["no_reuse"]))


def test_workers_killed_at_random():
    """workers die at random moments under load: each request ends, and a failed one says why"""
    with Service(f"repo.allowed={UNIVERSE}") as service:
        requests = [service.submit(f"random{i}", repo_spec(BASE, packages=[NAMES[i % len(NAMES)]], flags=["no_deps"]))
                    for i in range(4 * ROUNDS)]
        for _ in range(ROUNDS):
            time.sleep(random.random() * 0.1)
            with contextlib.suppress(ProcessLookupError, IndexError):
                os.kill(random.choice(service.children()), signal.SIGKILL)
        words = [(r / "wait").read_text().strip() for r in requests]
        reasons = [(r / "error").read_text() for r, w in zip(requests, words) if w == "failed"]
        check(all(w in ("done", "failed") for w in words), f"final states: {set(words)}")
        check(all("killed by signal 9" in r for r in reasons), f"reasons: {set(reasons)}")
        check(words.count("done") >= len(words) - ROUNDS, f"{len(reasons)} failed by {ROUNDS} kills")
        check_orphans(service)


def manifest_blobs(path):
    """digests of the blobs that a manifest names (core/tree/manifest.h)"""
    data = path.read_bytes()
    size, count = struct.unpack_from("<II", data, 8)
    records = (data[64 + i * size:64 + (i + 1) * size] for i in range(count))
    return {r[40:72].hex() for r in records if r[32] in (3, 4)}


def check_orphans(service):
    """after one clean-up pass every file has an owner, and none that has one is gone"""
    same(service.stop(), 0, "stop")
    old = time.time() - 3600
    for kind in ("manifests", "blobs"):
        for path in (service.state / kind).iterdir():
            os.utime(path, (old, old))
    (service.state / "blobs" / ("0" * 64)).write_bytes(b"nobody's")
    os.utime(service.state / "blobs" / ("0" * 64), (old, old))
    headers, used, left = service.state / "headers", "1" * 64, ".tmp-1-1"
    for name, age in ((used, 86400), (left, 60), ("2" * 64, 8 * 86400), (".tmp-1-2", 7200)):
        (headers / name).write_bytes(b"record")
        os.utime(headers / name, (time.time() - age,) * 2)
    with contextlib.closing(sqlite3.connect(service.state / "catalogue.sqlite")) as database:
        live = {row[0] for row in database.execute(
            "SELECT DISTINCT manifest FROM composes WHERE state = 2 AND manifest IS NOT NULL")}
    service.start()
    check(wait_for(lambda: not (service.state / "blobs" / ("0" * 64)).exists(), 10), "clean-up after a start")
    manifests = {p.name for p in (service.state / "manifests").iterdir()}
    same(manifests, live, "manifests after the clean-up")
    wanted = set().union(*(manifest_blobs(service.state / "manifests" / m) for m in manifests)) if manifests else set()
    same({p.name for p in (service.state / "blobs").iterdir()}, wanted, "blobs after the clean-up")
    same([p.name for p in (service.state / "snapshots").iterdir() if p.name.startswith(".")], [],
         "half-built snapshots after the clean-up")
    wait_for(lambda: not (headers / ".tmp-1-2").exists(), 10)
    same({p.name for p in headers.iterdir()}, {used, left}, "records of headers after the clean-up")


def test_memory(folder):
    """a compose that needs more memory than a worker may have fails with these words, and no other"""
    entries = "".join(f'<package type="rpm"><name>package-{i}</name><arch>x86_64</arch><version epoch="0" ver="{i}" rel="1"/>'
                      f'<checksum type="sha256" pkgid="YES">{i:064x}</checksum><summary>summary {i}</summary><description/>'
                      f'<packager/><url/><time file="1" build="1"/><size package="1" installed="1" archive="1"/>'
                      f'<location href="package-{i}.rpm"/><format><rpm:provides><rpm:entry name="package-{i}" flags="EQ" '
                      f'epoch="0" ver="{i}" rel="1"/></rpm:provides></format></package>' for i in range(300000))
    text = (f'<metadata xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm" '
            f'packages="300000">{entries}</metadata>').encode()
    (folder / "repodata").mkdir()
    packed = gzip.compress(text, 1)
    (folder / "repodata/primary.xml.gz").write_bytes(packed)
    (folder / "repodata/repomd.xml").write_text(
        f'<repomd xmlns="http://linux.duke.edu/metadata/repo"><revision>1</revision><data type="primary"><checksum '
        f'type="sha256">{hashlib.sha256(packed).hexdigest()}</checksum><location href="repodata/primary.xml.gz"/>'
        f'<timestamp>1</timestamp><size>{len(packed)}</size></data></repomd>')
    with Service(f"repo.allowed={folder}", "limits.worker_cpu_seconds=1", "odcsfs.workers=1") as service:
        request = service.submit("busy", repo_spec(folder, packages=["package-1"]))
        same((request / "wait").read_text(), "failed\n", "a compose that needs too much processor time")
        check("CPU time limit exceeded) (limits.worker_cpu_seconds=1; for more ask " in (request / "error").read_text(),
              f"reason: {(request / 'error').read_text()!r}")
    with Service(f"repo.allowed={UNIVERSE} {folder}", "limits.worker_memory=64M", "odcsfs.workers=1") as service:
        request = service.submit("hungry", repo_spec(folder, packages=["package-1"]))
        same((request / "wait").read_text(), "failed\n", "a compose that needs too much memory")
        check("memory limit of 64 MiB (limits.worker_memory=67108864; for more ask " in (request / "error").read_text(),
              f"reason: {(request / 'error').read_text()!r}")
        service.compose("modest", repo_spec(BASE, packages=["nginx"]))


def submit_for_ever(service, accepted, stop, name):
    """accepted: ids that the service answered with"""
    import http.client, json
    number = 0
    while not stop.is_set():
        number += 1
        try:
            if name % 2:
                answer = service.call("POST", "/api/1/composes/", repo_spec(BASE, packages=["nginx"]))
                accepted.append(answer.json["id"])
            else:
                request = service.submit(f"load{name}-{time.monotonic_ns()}", repo_spec(BASE, packages=["openssl"]))
                accepted.append(int((request / "id").read_text()))
        except (OSError, ValueError, http.client.HTTPException):
            time.sleep(0.02)


def fail(error):
    raise error


def names_in(service, number):
    """every name below compose/, none of an id"""
    top = service.mnt / "composes" / str(number) / "compose"
    return tuple(sorted(re.sub(r"odcs-\d+", "odcs-N", str(pathlib.Path(folder, name).relative_to(top)))
                        for folder, folders, files in os.walk(top, onerror=fail) for name in folders + files))


def look_for_halves(service, stop, seen):
    """walks what is being made, or was done just now; a walk that a kill broke off is none"""
    while not stop.is_set():
        with contextlib.suppress(OSError):
            done = sorted((int(n) for n in os.listdir(service.mnt / "by-state/done")), reverse=True)[:2]
            for number in os.listdir(service.mnt / "by-state/generating")[:4] + done:
                with contextlib.suppress(FileNotFoundError):
                    names = names_in(service, number)
                    os.stat(service.mnt / "composes" / str(number) / "compose")
                    seen.add(names)


def test_service_killed():
    """kill -9 at random moments under load: every id that was answered exists and reaches a final state"""
    service = Service(f"repo.allowed={UNIVERSE}").start()
    accepted, seen = [], set()
    whole = {names_in(service, service.compose(name, repo_spec(BASE, packages=[name]))) for name in ("nginx", "openssl")}
    for round_ in range(ROUNDS):
        stop = threading.Event()
        threads = [threading.Thread(target=submit_for_ever, args=(service, accepted, stop, i)) for i in range(4)]
        threads.append(threading.Thread(target=look_for_halves, args=(service, stop, seen)))
        for thread in threads:
            thread.start()
        time.sleep(0.1 + random.random() * 0.7)
        workers = service.children()
        service.stop(signal.SIGKILL)
        stop.set()
        for thread in threads:
            thread.join(60)
            check(not thread.is_alive(), "a client hangs after the kill")
        check(wait_for(lambda: not any(os.path.exists(f"/proc/{w}/fd") for w in workers)),
              "workers end with their server")
        service.start()  # mounts over the stale mount point by itself
        answer = run(ODCSFS, "check", "-c", "/dev/null", "-o", f"odcsfs.state_dir={service.state}")
        same(answer.returncode, 0, f"odcsfs check after a kill: {answer.stdout}{answer.stderr}")
    check(len(accepted) >= ROUNDS, f"{len(accepted)} accepted")
    check(seen and seen <= whole, f"compose/ that was seen is the whole: {len(seen)} kinds, {[s for s in seen if s not in whole][:1]}")
    for number in accepted:
        record = service.wait_rest(number, 120)
        if not check(record and record["state_name"] in ("done", "failed"), f"compose {number}: {record}"):
            break
    done = sum(service.record(n)["state_name"] == "done" for n in accepted)
    same(done, len(accepted), "all of them done: the requests were good")
    check_orphans(service)
    same(service.stop(), 0, "stop")
    answer = run(ODCSFS, "check", "--deep", "-c", "/dev/null", "-o", f"odcsfs.state_dir={service.state}")
    found = [line for line in answer.stdout.splitlines() if line.startswith(("compose ", "catalogue", "row "))]
    same(found, [], "composes and rows at the end")
    with contextlib.closing(sqlite3.connect(service.state / "catalogue.sqlite")) as database:
        same(database.execute("PRAGMA integrity_check").fetchall(), [("ok",)], "integrity")
    print(f"{len(accepted)} composes accepted over {ROUNDS} kills", flush=True)
    service.close()


def main():
    need_fuse()
    with Service(f"repo.allowed={UNIVERSE}") as service:
        test_worker_killed(service)
        print("ok worker killed", flush=True)
        test_tree_answers_while_workers_hang(service)
        print("ok hung workers", flush=True)
    test_memory_and_time()
    print("ok limits", flush=True)
    with tempfile.TemporaryDirectory(prefix="odcsfs-memory-") as folder:
        os.chmod(folder, 0o755)
        test_memory(pathlib.Path(folder))
    print("ok memory", flush=True)
    test_workers_killed_at_random()
    print("ok random workers", flush=True)
    test_service_killed()
    end()


main()
