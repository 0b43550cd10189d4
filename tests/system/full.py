# SPDX-License-Identifier: MIT
"""tests/system/full.py: the disk of the state directory is full: who asks is told so, what was made stays, what
is over goes, and after room was made everything goes on without a restart (reliability.md 5).

The state directory is a small tmpfs of its own; a file beside the service's takes up the room.

promises = 2, 3, 5
"""
import contextlib, errno, os, pathlib, random, shutil, signal, sys, tempfile, threading, time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import *

NAMES = sorted({p.name.rsplit("-", 2)[0] for p in BASE.rglob("*.rpm")})
ROUNDS = int(os.environ.get("ODCSFS_ROUNDS", "4"))
SIZE = "128m"
LONG = 3600 # seconds to live of what must not expire here


class Disk:
    """a tmpfs below the service's state directory, and the file that fills it"""

    def __init__(self, state):
        self.state, self.hog = state, state / "hog"
        state.mkdir(parents=True)
        answer = run("mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0755", "odcsfs-test", state)
        if answer.returncode:
            skip(f"no tmpfs can be mounted: {answer.stderr.strip()}")

    def free(self):
        status = os.statvfs(self.state)
        return status.f_bavail * status.f_frsize

    def fill(self, leave=0):
        """until no more than @leave bytes are left, whoever writes at the same time"""
        with open(self.hog, "ab", buffering=0) as file:
            while (room := self.free() - leave) > 0:
                try:
                    os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, min(room, 1 << 20))
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    try: # page by page, to the last one
                        file.write(b"x" * min(room, 4096))
                    except OSError:
                        return

    def make_room(self):
        with contextlib.suppress(FileNotFoundError):
            self.hog.unlink()

    def close(self):
        run("umount", "-l", self.state)


def spec_of(*names):
    return repo_spec(BASE, packages=list(names), flags=["no_deps"], seconds_to_live=LONG)


def contents(tree):
    return {str(p.relative_to(tree)): p.read_bytes() for p in sorted(tree.rglob("*")) if p.is_file()}


def tree_errno(deed):
    try:
        deed()
        return 0
    except OSError as error:
        return error.errno


def drop(service, name):
    os.rmdir(service.mnt / "requests" / name)


def accepts(service, seconds=15):
    """does a request by each way end as done, soon?"""
    def works():
        answer = service.call("POST", "/api/1/composes/", spec_of("openssl"))
        return answer.status == 200 and answer.json["id"]
    number = wait_for(works, seconds, 0.2)
    return number and service.wait_rest(number)["state_name"] == "done"


def check_refused(service, label, draft):
    """a draft of before, a new one and a POST: each is told that there is no room"""
    same(tree_errno(lambda: service.write_spec(draft, spec_of("nginx"))), errno.ENOSPC, f"{label}: close of the spec")
    check("no room left" in (draft / "error").read_text(), f"{label}: error says {(draft / 'error').read_text()!r}")
    same((draft / "status").read_text(), "draft\n", f"{label}: status of the refused")
    answer = service.call("POST", "/api/1/composes/", spec_of("nginx"))
    same(answer.status, 507, f"{label}: POST {answer.body[:200]}")
    check(answer.status == 507 and "no room left" in answer.json["message"], f"{label}: words of POST {answer.body}")
    fresh = service.mnt / "requests" / f"fresh-{time.monotonic_ns()}"
    seen = tree_errno(lambda: os.mkdir(fresh))
    check(seen in (0, errno.ENOSPC), f"{label}: mkdir: {errno.errorcode.get(seen)}")
    if not seen:
        same(tree_errno(lambda: service.write_spec(fresh, spec_of("nginx"))), errno.ENOSPC, f"{label}: a new draft")
        same(tree_errno(lambda: os.rmdir(fresh)), 0, f"{label}: rmdir of a draft")


def check_readable(service, label, number, files):
    same(contents(service.tree(number)), files, f"{label}: a compose of before, by the mount")
    for name in list(files)[:3]:
        answer = service.call("GET", f"/composes/{number}/compose/Temporary/{name}")
        same((answer.status, answer.body), (200, files[name]), f"{label}: {name} by HTTP")
    same(service.call("GET", "/api/1/composes/").status, 200, f"{label}: the list")


def test_idle(service, disk):
    """full while nothing is under way: to the brim, and with a little left"""
    number = service.compose("before", spec_of("openssl", "apache2"))
    files = contents(service.tree(number))
    for label, leave in (("brim", 0), ("a little left", 1 << 20)):
        draft = service.mnt / "requests/draft"
        os.mkdir(draft)
        disk.fill(leave)
        time.sleep(6) # the longest time until the service looks
        check_refused(service, label, draft)
        check_readable(service, label, number, files)
        disk.make_room()
        check(accepts(service), f"{label}: goes on after room was made")
        service.write_spec(draft, spec_of("nginx"))
        same((draft / "wait").read_text(), "done\n", f"{label}: the refused draft, written again")
        drop(service, "draft")
    drop(service, "before")


def final(request):
    return (request / "status").read_text().strip() in ("done", "failed")


def check_ends(service, label, requests):
    """each accepted request ends; a done one is whole, a failed one says why and shows nothing"""
    done = 0
    for request, names in requests:
        check(wait_for(lambda: final(request), 60),
              f"{label}: {request.name} has an end: {(request / 'status').read_text()!r}")
        number = int((request / "id").read_text())
        if (request / "status").read_text() == "done\n":
            done += 1
            found = {p.name.rsplit("-", 2)[0] for p in service.tree(number).rglob("*.rpm") if p.read_bytes()}
            same(found, set(names), f"{label}: packages of {request.name}")
            listed = service.tree(number) / "x86_64/os"
            same(run("mergerepo_c", "--no-database", "-o", service.dir / "merged", "-r", f"file://{listed}").returncode,
                 0, f"{label}: metadata of {request.name}")
        else:
            text = (request / "error").read_text()
            check("room" in text or "space" in text, f"{label}: reason of {request.name}: {text!r}")
            check(not (service.mnt / f"composes/{number}/compose").exists(), f"{label}: tree of a failed one")
    return done


def whole_or_nothing(service, requests, wrong):
    """looked at while the disk is full: compose/ is not there, or all of it is"""
    for request, names in requests:
        try:
            number = int((request / "id").read_text())
            listed = list(service.tree(number).rglob("*"))
        except (OSError, ValueError):
            continue
        if listed:
            found = {p.name.rsplit("-", 2)[0] for p in listed if p.suffix == ".rpm"}
            if found != set(names):
                wrong.append((request.name, sorted(found), names))


def test_under_way(service, disk):
    """full while composes wait and are made"""
    for worker in service.workers():
        os.kill(worker, signal.SIGSTOP)
    requests = []
    for i in range(6):
        names = [NAMES[i * 7], NAMES[i * 7 + 1]]
        requests.append((service.submit(f"under{i}", spec_of(*names)), names))
    disk.fill()
    for worker in service.children():
        os.kill(worker, signal.SIGCONT)
    wrong, limit = [], time.monotonic() + 8
    while time.monotonic() < limit:
        whole_or_nothing(service, requests, wrong)
        time.sleep(0.05)
    same(wrong, [], "half a tree while the disk is full")
    disk.make_room()
    done = check_ends(service, "under way", requests)
    print(f"   {done} of {len(requests)} done", flush=True)
    check(accepts(service), "goes on after composes met a full disk")
    for request, _ in requests:
        os.rmdir(request)


def test_random(service, disk):
    """full at a random moment of a burst of requests"""
    done = refused = total = 0
    for round_ in range(ROUNDS):
        requests, wrong, stop = [], [], threading.Event()
        def burst():
            nonlocal refused
            for i in range(100):
                if stop.is_set():
                    return
                names = random.sample(NAMES, 3)
                folder = service.mnt / "requests" / f"burst{round_}-{i}"
                seen = tree_errno(lambda: service.submit(folder.name, spec_of(*names)))
                if seen == 0:
                    requests.append((folder, names))
                else:
                    refused += 1
                    with contextlib.suppress(OSError): # a full disk may refuse the draft itself
                        os.rmdir(folder)
                    if seen != errno.ENOSPC:
                        wrong.append(errno.errorcode.get(seen))
        thread = threading.Thread(target=burst)
        thread.start()
        time.sleep(random.random() * 0.8)
        disk.fill()
        time.sleep(1 + random.random())
        stop.set()
        thread.join(60)
        check(not thread.is_alive(), f"round {round_}: a client hangs")
        whole_or_nothing(service, requests, wrong)
        same(wrong, [], f"round {round_}: errnos and halves")
        disk.make_room()
        total += len(requests)
        done += check_ends(service, f"round {round_}", requests)
        check(accepts(service), f"round {round_}: goes on; {disk.free()} bytes are free")
        for entry in os.listdir(service.mnt / "requests"):
            os.rmdir(service.mnt / "requests" / entry)
    print(f"   {total} accepted, {done} done, {refused} refused in {ROUNDS} rounds", flush=True)


def test_over(service, disk):
    """what is over goes although nothing can be written but into the reserve"""
    for label in ("due", "rmdir", "DELETE"):
        spec = spec_of("openssl", NAMES[3])
        if label == "due":
            spec["seconds_to_live"] = 10
        number = service.compose(f"over-{label}", spec)
        check(wait_for((service.state / "reserve").exists, 15), f"{label}: a reserve is kept")
        disk.fill()
        if label == "rmdir":
            same(tree_errno(lambda: drop(service, "over-rmdir")), 0, "rmdir on a full disk")
        elif label == "DELETE":
            answer = service.call("DELETE", f"/api/1/composes/{number}")
            same(answer.status, 202, f"DELETE on a full disk: {answer.body}")
        check(wait_for(lambda: service.record(number)["state_name"] == "removed", 20), f"{label}: removed")
        check(not (service.mnt / f"composes/{number}").exists(), f"{label}: its tree is gone")
        disk.make_room()
        check(accepts(service), f"{label}: goes on")


def test_start(service, disk):
    """a start on a full disk: with the reserve the service starts and what was made can be read; when that is
    used up too it may say no, in words"""
    number = service.compose("kept", spec_of("openssl", "nginx"))
    def packages():
        return contents(service.tree(number) / "x86_64") # the .repo files name the port, which is another
    files = packages()
    check(wait_for((service.state / "reserve").exists, 15), "a reserve is kept")
    for label in ("with a reserve", "without"):
        disk.fill()
        same(service.stop(), 0, f"{label}: stop on a full disk")
        if label == "without":
            (service.state / "reserve").unlink(missing_ok=True)
        disk.fill() # the stop freed some
        try:
            service.start()
        except RuntimeError as error:
            check(label == "without", f"{label}: start on a full disk: {error}")
            same(service.process.returncode, 1, f"{label}: exit code")
            service.process = None
            check("no room left" in str(error).splitlines()[-1], f"{label}: its last words {error}")
            print(f"   {label}: it does not start and says why", flush=True)
            disk.make_room()
            service.start()
        same(packages(), files, f"{label}: a compose of before")
        if disk.hog.exists():
            answer = service.call("POST", "/api/1/composes/", spec_of("nginx"))
            same(answer.status, 507, f"{label}: POST after the start {answer.body[:200]}")
            disk.make_room()
        check(accepts(service), f"{label}: goes on")
    same(packages(), files, "a compose of before, afterwards")


def test_first_start():
    """the first start of all on a full disk: no service, but words; it starts once there is room"""
    service = Service(f"repo.allowed={UNIVERSE}")
    disk = Disk(service.state)
    try:
        disk.fill()
        try:
            service.start()
            check(False, "a first start without room for a catalogue")
        except RuntimeError as error:
            same(service.process.returncode, 1, "exit code of a first start without room")
            check("room" in str(error) or "No space" in str(error), f"its words: {error}")
            service.process = None
        disk.make_room()
        service.start()
        check(accepts(service), "first start after room was made")
        service.stop()
    finally:
        service.close()
        disk.close()
        shutil.rmtree(service.dir, ignore_errors=True)


def main():
    need_fuse()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="odcsfs-full-"))
    service = Service(f"repo.allowed={UNIVERSE}", folder=folder)
    disk = Disk(service.state)
    try:
        service.start()
        for test in (test_idle, test_under_way, test_random, test_over, test_start):
            test(service, disk)
            print("ok", test.__name__, flush=True)
    finally:
        disk.make_room()
        service.close()
        check(not REPORT.search(service.log_text()), f"sanitizer report:\n{service.log_text()[-6000:]}")
        disk.close()
        shutil.rmtree(folder, ignore_errors=True)
    test_first_start()
    print("ok test_first_start", flush=True)
    end()


main()
