# SPDX-License-Identifier: MIT
"""tests/system/cases_state.py: cases.py, promises 1–6: nothing accepted is lost, nothing is stuck."""
import contextlib, mmap, os, pathlib, random, re, signal, sqlite3, subprocess, threading, time

from harness import BASE, UPDATES, ODCSFS, repo_spec, run, wait_for
from casekit import (ROOM, Absent, alive, as_nobody, ask, among, case, end, equal, fails, fetch, final, fresh, launch, made, own,
                     package_path, patience, plain, post, raw, refuses, repository, settled, stopped, tree_files, want,
                     whole, within)

ALL = {"source": {"type": "repo", "source": f"{BASE}"}, "flags": ["no_reuse"]}


def small(**more):
    return repo_spec(BASE, packages=["openssl"], flags=["no_reuse"], **more)


def restart(service, number=signal.SIGKILL):
    service.stop(number)
    return service.start()


def sound(service):
    """a stopped service's state directory, as `check` sees it"""
    done = run("timeout", "60", ODCSFS, "check", "-c", "/dev/null", "-o", f"odcsfs.state_dir={service.state}")
    want(done.returncode == 0, f"check after the stop: {done.returncode} {done.stdout[-700:]} {done.stderr[-300:]}")


@contextlib.contextmanager
def catalogue(service):
    """the catalogue of a stopped service"""
    base = sqlite3.connect(service.state / "catalogue.sqlite")
    try:
        yield base
        base.commit()
    finally:
        base.close()


# ---- 1 acceptance is durable ---------------------------------------------------------

@case(1, "8 clients POST while the service is killed with -9: each number that was answered exists after the restart, none twice")
def kill_under_posts():
    with own(mount=False) as s:
        for _ in range(2):
            ids, halt = [], threading.Event()

            def client(n):
                for k in range(10000):
                    if halt.is_set():
                        return
                    with contextlib.suppress(OSError):
                        answer = post(s, repo_spec(BASE, packages=["dash"], seconds_to_live=3600 + 100 * n + k % 100))
                        if answer.status == 200:
                            ids.append(answer.json["id"])
            threads = [threading.Thread(target=client, args=(n,)) for n in range(8)]
            for t in threads:
                t.start()
            wait_for(lambda: len(ids) > 8, patience(5))
            time.sleep(random.random() / 2)
            s.process.kill()
            halt.set()
            for t in threads:
                t.join()
            restart(s)
            want(ids, "nothing was accepted")
            equal(len(ids), len(set(ids)), "numbers handed out, and how many of them differ")
            for number in ids:
                equal(ask(s, "GET", f"/api/1/composes/{number}").status, 200, f"GET of accepted compose {number}")


@case(1, "kill -9 at once after close, fsync, rename, the close of a duplicate, a write to new: the request is there with its text")
def kill_after_each_door():
    with own() as s:
        def close(request):
            s.write_spec(request, text)

        def sync(request):
            fd = os.open(request / "spec.json", os.O_WRONLY)
            os.write(fd, text.encode())
            os.fsync(fd)

        def rename(request):
            (request / ".spec.json.tmp").write_text(text)
            os.rename(request / ".spec.json.tmp", request / "spec.json")

        def duplicate(request):
            fd = os.open(request / "spec.json", os.O_WRONLY)
            os.write(fd, text.encode())
            os.close(os.dup(fd))

        text = '{"source": {"type": "repo", "source": "%s", "packages": ["dash"]}, "flags": ["no_reuse"]} \n' % BASE
        for door in (close, sync, rename, duplicate):
            request = s.mnt / "requests" / door.__name__
            request.mkdir()
            door(request)
            number = (request / "id").read_text()
            restart(s)
            equal((request / "spec.json").read_text(), text, f"text after {door.__name__} and kill")
            want(number.strip().isdigit(), f"{door.__name__}: no number")
            equal((request / "id").read_text(), number, f"number after {door.__name__} and kill")
            among(final(request), ["done"], f"{door.__name__} ends as")
        fd = os.open(s.mnt / "new", os.O_RDWR)
        os.write(fd, text.encode())
        restart(s)
        with contextlib.suppress(OSError): # the mount that it was opened in is dead
            os.close(fd)
        equal((s.mnt / "requests/auto-5/spec.json").read_text(), text, "text after a write to new and kill")


@case(1, "clients that vanish in the middle of a POST, or before its answer: no half row, each row that is there becomes final")
def vanishing_posts():
    s = plain()
    body = b'{"source":{"type":"repo","source":"%s","packages":["dash"]}}' % str(BASE).encode()
    head = b"POST /api/1/composes/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
    before = ask(s, "GET", "/api/1/composes/?per_page=1").json["meta"]["total"]
    for cut in (10, len(head) - 1, len(head), len(head) + 20, len(head) + len(body) - 1):
        raw(s, (head + body)[:cut], 0.05)
    equal(ask(s, "GET", "/api/1/composes/?per_page=1").json["meta"]["total"], before, "composes after posts that were cut")
    import socket
    host, port = s.host.rsplit(":", 1)
    for _ in range(5):
        with socket.create_connection((host, int(port)), 5) as c:
            c.sendall(head + body)
    time.sleep(0.5)
    for row in ask(s, "GET", "/api/1/composes/?per_page=500").json["items"]:
        settled(s, row["id"])


@case(1, "the newest compose is removed and the service killed: its number is never given again")
def number_once():
    with own("lifetime.history=1") as s:
        request, number = made(s, small())
        os.rmdir(request)
        want(wait_for(lambda: s.record(number)["state_name"] == "removed", patience(10)), "not removed")
        restart(s)
        _, second = made(s, small())
        want(second > number, f"{second} after {number}")
        equal(s.record(number)["state_name"], "removed", "state of the old one")


@case(1, "PATCH of a failed compose and `resubmit`, then kill -9: the new requests that were promised exist")
def kill_after_renewals():
    with own() as s:
        request, number = made(s, repo_spec(BASE, packages=["no-such-package"]), "failed")
        again = ask(s, "PATCH", f"/api/1/composes/{number}").json["id"]
        (request / "ctl").write_text("resubmit\n")
        restart(s)
        rows = ask(s, "GET", "/api/1/composes/").json["items"]
        equal(sorted(r["id"] for r in rows), [number, again, again + 1], "numbers after the kill")
        for row in rows:
            equal(settled(s, row["id"])["state_name"], "failed", "state")


@case(1, "a rename onto spec.json while another process has it half written: accepted once, with the renamed text")
def rename_under_writer():
    s = plain()
    request = s.mnt / "requests" / fresh()
    request.mkdir()
    texts = [f'{{"source": {{"type": "repo", "source": "{BASE}", "packages": ["{p}"]}}}}' for p in ("dash", "openssl")]
    fd = os.open(request / "spec.json", os.O_WRONLY)
    os.write(fd, texts[0][:30].encode())
    fails(lambda: os.open(request / "spec.json", os.O_WRONLY), "EBUSY")
    (request / "x.tmp").write_text(texts[1])
    os.rename(request / "x.tmp", request / "spec.json")
    number = (request / "id").read_text()
    want(number.strip(), "the rename was not accepted")
    with contextlib.suppress(OSError):
        os.write(fd, texts[0][30:].encode())
    with contextlib.suppress(OSError):
        os.close(fd)
    equal((request / "spec.json").read_text(), texts[1], "text")
    equal((request / "id").read_text(), number, "number")
    equal(s.record(int(number))["packages"], "openssl", "packages of the record")


@case(1, "texts that are not one complete object ({}{}, half of one, one with a tail, NULs from a hole) are never accepted; whole, they are")
def only_whole_texts():
    s = plain()
    good = f'{{"source": {{"type": "repo", "source": "{BASE}", "packages": ["dash"]}}}}'
    request = s.mnt / "requests" / fresh()
    request.mkdir()
    for text in (good[:-1], good + good, good + "x", good + "\0", "[" + good + "]", "", " ", "\ufeff" + good, good[:-1] + ",}"):
        if text:
            fails(lambda text=text: s.write_spec(request, text), "EINVAL")
        else:
            s.write_spec(request, text)
        equal((request / "status").read_text(), "draft\n", f"status after {text!r}")
        equal((request / "id").read_text().strip(), "", f"id after {text!r}")
    fd = os.open(request / "spec.json", os.O_WRONLY | os.O_TRUNC)
    os.pwrite(fd, good.encode(), 100)
    fails(lambda: os.close(fd), "EINVAL")
    fd = os.open(request / "spec.json", os.O_WRONLY)
    fails(lambda: os.pwrite(fd, b"{", 1 << 40), "EFBIG")
    os.ftruncate(fd, 0)
    os.pwrite(fd, good.encode()[:40], 0)
    fails(lambda: os.close(os.dup(fd)), "EINVAL")
    os.pwrite(fd, good.encode()[40:], 40)
    os.close(fd)
    equal(final(request), "done", "state of the whole text")


@case(1, "spec.json written through mmap and sendfile: no crash, and accepted whole or told no")
def odd_writers():
    s = plain()
    good = small()
    import json
    text = json.dumps(good).encode()
    request = s.mnt / "requests" / fresh()
    request.mkdir()
    fd = os.open(request / "spec.json", os.O_RDWR)
    with contextlib.suppress(OSError, ValueError):
        os.ftruncate(fd, len(text))
        with mmap.mmap(fd, len(text)) as area:
            area[:] = text
    with contextlib.suppress(OSError):
        os.close(fd)
    among((request / "status").read_text().strip(), ["draft", "wait", "generating", "done"], "status after mmap")
    request = s.mnt / "requests" / fresh()
    request.mkdir()
    source = ROOM / fresh()
    source.write_bytes(text)
    fd, file = os.open(request / "spec.json", os.O_WRONLY), os.open(source, os.O_RDONLY)
    os.sendfile(fd, file, 0, len(text))
    os.close(file)
    os.close(fd)
    equal(final(request), "done", "after sendfile")


@case(1, "another user has made requests/auto-1 … auto-400 before: POST and new are accepted all the same, with a number")
def squatted_names():
    with own("limits.drafts=500") as s:
        def squat():
            for n in range(1, 401):
                os.mkdir(s.mnt / f"requests/auto-{n}")
        as_nobody(squat)
        number = post(s, small()).json["id"]
        equal(settled(s, number)["state_name"], "done", "POST")
        fd = os.open(s.mnt / "new", os.O_RDWR)
        import json
        os.write(fd, json.dumps(small()).encode())
        record = json.loads(os.read(fd, 65536))
        os.close(fd)
        equal(settled(s, record["id"])["state_name"], "done", "new")
        request, _ = made(s, small())
        (request / "ctl").write_text("expire\n")
        wait_for(lambda: (request / "status").read_text() == "removed\n", patience(10))
        (request / "ctl").write_text("resubmit\n")
        want(ask(s, "GET", "/api/1/composes/").json["meta"]["total"] == 4, "resubmit made none")


# ---- 2 each reaches a final state --------------------------------------------------------

@case(2, "workers are killed 12 times while 6 composes are made: each ends, failed ones with a reason")
def workers_killed():
    with own() as s:
        requests = [s.submit(f"k{n}", ALL) for n in range(6)]
        for _ in range(12):
            for pid in s.children()[:1 + random.randrange(2)]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(random.random() / 4)
        for request in requests:
            word = final(request)
            want(word, f"{request.name} is stuck: {(request / 'status').read_text()} {(request / 'progress').read_text()}")
            if word == "failed":
                want((request / "error").read_text().strip(), "failed without words")
        made(s, small())


@case(2, "the service is killed while its workers stand still in the middle: they are gone after the restart, the compose is made")
def killed_with_stopped_workers():
    with own() as s:
        made(s, small())
        pids = s.children()
        with stopped(pids):
            request = s.submit("stuck", ALL)
            time.sleep(0.3)
            s.stop(signal.SIGKILL)
            s.start()
            want(wait_for(lambda: not any(os.path.exists(f"/proc/{p}") for p in pids), patience(5)), "old workers live on")
        equal(final(request), "done", "the compose after the restart")


@case(2, "a request waits for an equal one that is being made, the service is killed: both end as done, and show one tree")
def killed_with_one_waiting():
    with own() as s:
        s.workers()
        with stopped(s.children()):
            spec = repo_spec(BASE, packages=["apache2"])
            first, second = s.submit("first", spec), s.submit("second", spec)
            time.sleep(0.3)
            s.stop(signal.SIGKILL)
        s.start()
        equal((final(first), final(second)), ("done", "done"), "states")
        equal(tree_files(s, 1).keys() - {"odcs-1.repo"}, tree_files(s, 2).keys() - {"odcs-1.repo"}, "files of both")
        equal(s.stop(), 0, "exit code")
        sound(s)


@case(2, "what is being made by a worker that stands still is cancelled three ways (rmdir, ctl, DELETE), then kill -9: failed, and it stays so")
def cancelled_stays():
    with own("odcsfs.workers=3") as s:
        made(s, small())
        with stopped(s.children()):
            names = ["a", "b", "c"]
            ids = []
            for name in names:
                request = s.submit(name, ALL | {"seconds_to_live": 5000 + ord(name)})
                ids.append(int((request / "id").read_text()))
            time.sleep(0.3)
            with within(5, "cancelling"):
                os.rmdir(s.mnt / "requests/a")
                (s.mnt / "requests/b/ctl").write_text("cancel")
                answer = ask(s, "DELETE", f"/api/1/composes/{ids[2]}")
            among(answer.status, [202, 400], "DELETE while it is being made")
            states = [s.record(n)["state_name"] for n in ids]
            equal(states[:2], ["failed", "failed"], "states after rmdir and cancel")
            restart(s)
        for number, before in zip(ids, states):
            after = settled(s, number)
            if before == "failed":
                equal(after["state_name"], "failed", f"compose {number} after the kill")
                want("ancel" in after["state_reason"], after["state_reason"])


@case(2, "rows generating since years ago, since the future and with bad times are found at the start: each becomes final")
def rows_from_elsewhen():
    with own(mount=False) as s:
        ids = [post(s, small(seconds_to_live=3600 + n)).json["id"] for n in range(4)]
        for n in ids:
            settled(s, n)
        s.stop()
        with catalogue(s) as base:
            columns = [row[1] for row in base.execute("pragma table_info(composes)")]
            started = next((c for c in columns if "started" in c), None)
            want(started and "state" in columns, f"columns {columns}")
            for number, value in zip(ids, (1, 1 << 40, -5, 1 << 62)):
                base.execute(f"update composes set state = 1, {started} = ? where id = ?", (value, number))
        s.start()
        for number in ids:
            answer = ask(s, "GET", f"/api/1/composes/{number}")
            if answer.status == 200:
                settled(s, number)


@case(2, "kill -9 in each second of a load of tree and REST, four times; integrity_check and `check` find nothing afterwards")
def integrity_after_kills():
    with own() as s:
        for cycle in range(4):
            for n in range(3):
                s.submit(f"t{cycle}-{n}", small(seconds_to_live=2 + n))
                post(s, repo_spec(UPDATES, seconds_to_live=1 + n))
            time.sleep(random.random())
            restart(s)
        for row in ask(s, "GET", "/api/1/composes/?per_page=100").json["items"]:
            settled(s, row["id"])
        equal(s.stop(), 0, "exit code")
        with catalogue(s) as base:
            equal(base.execute("pragma integrity_check").fetchall(), [("ok",)], "integrity")
        for pause in (6, 2): # all are over then; what a kill left goes with the next clean-up that finds it old
            age(s.state)
            s.start()
            time.sleep(pause)
            equal(s.stop(), 0, "exit code")
        sound(s)


# ---- 3 published whole or not at all ----------------------------------------------------------

@case(3, "a reader looks at composes/ID/compose while workers are killed: ENOENT, or the whole tree, nothing between")
def reader_between():
    with own() as s:
        for n in range(4):
            request = s.submit(f"r{n}", ALL | {"seconds_to_live": 4000 + n})
            number = int((request / "id").read_text())
            base = s.mnt / "composes" / str(number)
            kills = 0
            while (request / "status").read_text().strip() in ("wait", "generating"):
                try:
                    listed = set(os.listdir(base / "compose"))
                except OSError as error:
                    among(error.errno, [2], "error of the reader")
                else:
                    equal(listed, {"metadata", "Temporary"}, "listing between")
                    want((base / "compose/Temporary/x86_64/os/repodata/repomd.xml").stat().st_size > 0, "no repomd")
                if kills < 2 and random.random() < 0.05:
                    kills += 1
                    for pid in s.children():
                        os.kill(pid, signal.SIGKILL)
            if final(request) == "done":
                whole(s, number)
            else:
                want(not (base / "compose").exists(), "a failed compose has a tree")


@case(3, "the moment that record, event, status or wait say done, everything that repodata names is there, in the mount and over HTTP")
def done_means_whole():
    s = plain()
    for n in range(6):
        fd = os.open(s.mnt / "events", os.O_RDONLY)
        request = s.submit(fresh(), small(seconds_to_live=7000 + n))
        number = int((request / "id").read_text())
        while b'"done"' not in os.read(fd, 65536):
            pass
        os.close(fd)
        equal((request / "status").read_text(), "done\n", "status at the event")
        equal(s.record(number)["state_name"], "done", "record at the event")
        whole(s, number)
        for path in ("x86_64/os/repodata/repomd.xml", f"odcs-{number}.repo", "source/tree/repodata/repomd.xml"):
            equal(ask(s, "GET", f"/composes/odcs-{number}/compose/Temporary/{path}").status, 200, path)


@case(3, "composes that failed or were cancelled: no compose/, no result, 404 over HTTP, by every alias")
def failed_have_none():
    s = plain()
    request, number = made(s, repo_spec(BASE, packages=["dash", "not-there"]), "failed")
    fails(lambda: os.readlink(request / "result"), "ENOENT")
    for name in (number, f"odcs-{number}", f"latest-root-{number}", "latest-odcs-%d-1" % number):
        fails(lambda name=name: os.listdir(s.mnt / "composes" / str(name) / "compose"), "ENOENT")
        for path in ("compose/", "compose/Temporary/", "compose/metadata/composeinfo.json", f"compose/Temporary/odcs-{number}.repo"):
            equal(ask(s, "GET", f"/composes/{name}/{path}").status, 404, f"{name}/{path}")


@case(3, "the service is killed as the first byte of the tree appears, four times: after the restart the tree is whole or absent")
def kill_at_publication():
    with own() as s:
        for n in range(4):
            request = s.submit(f"p{n}", ALL | {"seconds_to_live": 4000 + n})
            number = int((request / "id").read_text())
            blobs = len(list((s.state / "blobs").iterdir()))
            wait_for(lambda: len(list((s.state / "blobs").iterdir())) > blobs or
                     (request / "status").read_text() == "done\n", 10, 0.001)
            restart(s)
            before = (s.mnt / f"composes/{number}/compose").exists()
            if before:
                whole(s, number)
            equal(final(request), "done", "in the end")
            whole(s, number)


# ---- 4 no file without an owner -------------------------------------------------------------------

def without_addresses(files):
    """but for the .repo files, which hold the port"""
    return {name: data for name, data in files.items() if not name.endswith(".repo")}


def age(folder):
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            os.utime(path, (1, 1), follow_symlinks=False)


@case(4, "old files of our kinds that nobody owns lie in the state directory at the start: gone; the others untouched")
def orphans_go():
    with own() as s:
        _, number = made(s, ALL)
        before = without_addresses(tree_files(s, number))
        s.stop()
        owned = {p for p in s.state.rglob("*") if p.is_file() and p.parent.name in ("blobs", "manifests", "logs")}
        planted = [s.state / "blobs" / ("ab" * 32), s.state / "manifests" / ("cd" * 32), s.state / "logs/4711",
                   s.state / "packages" / ("ef" * 32), s.state / "work/0/blobs/half", s.state / "work/7/x",
                   s.state / "work/left-over"]
        for path in planted:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"orphan")
        age(s.state)
        s.start()
        left = wait_for(lambda: not [p for p in planted if p.exists()], patience(10))
        want(left, f"still there: {[str(p.relative_to(s.state)) for p in planted if p.exists()]}")
        equal([p for p in owned if not p.exists()], [], "owned files that went")
        equal(without_addresses(tree_files(s, number)), before, "the tree")


@case(4, "symbolic links in blobs/, manifests/, work/ and packages/ lead to files outside: no clean-up touches those")
def sweep_follows_no_link():
    outside = ROOM / fresh("outside")
    (outside / "deep").mkdir(parents=True)
    (outside / "precious").write_text("precious")
    (outside / "deep/er").write_text("precious")
    with own() as s:
        made(s, small())
        s.stop()
        for place, target in (("blobs/" + "11" * 32, "precious"), ("manifests/" + "22" * 32, "precious"), ("work/0/link", "deep"),
                              ("work/9", "deep"), ("packages/" + "33" * 32, "deep"), ("snapshots/" + "44" * 32, "deep"),
                              ("headers/" + "55" * 32, "precious")):
            (s.state / place).symlink_to(outside / target)
        age(s.state)
        s.start()
        made(s, small())
        time.sleep(1)
        equal(s.stop(), 0, "exit code")
        equal(((outside / "precious").read_text(), (outside / "deep/er").read_text()), ("precious", "precious"), "outside")


@case(4, "one of two composes that share files is ended: what it alone had goes, what both had stays and can be read")
def shared_files_stay():
    with own() as s:
        first, one = made(s, ALL)
        _, two = made(s, repo_spec(BASE, packages=["openssl"]))
        before = tree_files(s, two)
        os.rmdir(first)
        want(wait_for(lambda: s.record(one)["state_name"] == "removed", patience(5)), "not removed")
        age(s.state / "blobs")
        age(s.state / "manifests")
        count = len(list((s.state / "manifests").iterdir()))
        equal(count, 2, "manifests before the sweep")
        want(wait_for(lambda: len(list((s.state / "manifests").iterdir())) == 1, patience(8)), "the manifest of nobody stays")
        equal(tree_files(s, two), before, "the other tree")
        equal(s.stop(), 0, "exit code")
        sound(s)


# ---- 5 a full disk ----------------------------------------------------------------------------------

@contextlib.contextmanager
def on_tmpfs(*options, data="size=24m", mount=True):
    """(service not started, its disk)"""
    disk = ROOM / fresh("disk")
    disk.mkdir()
    if run("mount", "-t", "tmpfs", "-o", data, "tmpfs", disk).returncode:
        raise Absent("mounting a tmpfs is not permitted")
    service = own(*options, mount=mount)
    service.state = disk / "state"
    try:
        yield service, disk
    finally:
        service.close()
        run("umount", "-l", disk)


def fill(disk):
    with open(disk / "filler", "ab", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))


@case(5, "the disk is full: POST 507, the tree ENOSPC with words, `new` too; what is there is read on; with room again the draft is accepted")
def disk_full():
    with on_tmpfs() as (s, disk):
        s.start()
        _, number = made(s, ALL)
        before = tree_files(s, number)
        request = s.mnt / "requests/full"
        request.mkdir()
        fill(disk)
        answer = post(s, small())
        equal(answer.status, 507, "POST")
        want(len(answer.json["message"]) > 10, answer.body)
        fails(lambda: os.mkdir(s.mnt / "requests/more"), "ENOSPC")
        fails(lambda: s.write_spec(request, small()), "ENOSPC")
        want((request / "error").read_text().strip(), "no words in error")
        equal((request / "status").read_text(), "draft\n", "status")
        fd = os.open(s.mnt / "new", os.O_RDWR)
        import json
        fails(lambda: os.write(fd, json.dumps(small()).encode()), "ENOSPC")
        os.close(fd)
        equal(tree_files(s, number), before, "the tree while the disk is full")
        os.unlink(disk / "filler")
        want(wait_for(lambda: not try_spec(s, request), patience(10)), "refused though there is room")
        equal(final(request), "done", "state of the draft")


def try_spec(service, request):
    try:
        service.write_spec(request, small())
    except OSError as error:
        return error.errno
    return 0


@case(5, "the disk has bytes but no inodes: accepted and ended with words, or refused with ENOSPC; nothing half; well again afterwards")
def no_inodes():
    with on_tmpfs(data="size=64m,nr_inodes=130") as (s, disk):
        s.start()
        _, number = made(s, small())
        before = tree_files(s, number)
        n = 0
        with contextlib.suppress(OSError):
            while True:
                (disk / f"f{n}").touch()
                n += 1
        want(n, "there was no inode to take")
        answer = post(s, ALL)
        among(answer.status, [200, 507], "POST")
        if answer.status == 200:
            record = settled(s, answer.json["id"], 15)
            among(record["state_name"], ["failed", "done"], "state")
            if record["state_name"] == "failed":
                want("space" in record["state_reason"] or "room" in record["state_reason"] or "disk" in record["state_reason"],
                     f"reason: {record['state_reason']}")
                want(not (s.mnt / f"composes/{record['id']}/compose").exists(), "half a tree")
        equal(tree_files(s, number), before, "the old tree")
        for k in range(n):
            (disk / f"f{k}").unlink()
        equal(settled(s, post(s, ALL | {"seconds_to_live": 999}).json["id"])["state_name"], "done", "afterwards")


@case(5, "state directories that cannot be: read-only, a file, below a file, a loop of links, too long a name: no start, and words with the path")
def no_state_directory():
    (ROOM / "file").write_text("")
    (ROOM / "loop").symlink_to(ROOM / "loop")
    disk = ROOM / fresh("ro")
    disk.mkdir()
    if run("mount", "-t", "tmpfs", "-o", "ro", "tmpfs", disk).returncode == 0:
        try:
            refuses(state=disk, words=[disk])
            refuses(state=disk / "state", words=[disk])
        finally:
            run("umount", "-l", disk)
    for path in (ROOM / "file", ROOM / "file/state", ROOM / "loop", ROOM / ("n" * 300), "/proc/nowhere", "/dev/null"):
        refuses(state=path, words=[str(path)[:60]])


@case(5, "the catalogue is truncated, another program's, or a directory: no start with words, and the file is not touched")
def bad_catalogues():
    with own(mount=False) as s:
        settled(s, post(s, small()).json["id"])
        s.stop()
        file = s.state / "catalogue.sqlite"
        good = file.read_bytes()
        other = sqlite3.connect(ROOM / "other.sqlite")
        other.execute("create table composes (x)")
        other.commit()
        other.close()
        for bad in (good[:len(good) // 2], b"#!/bin/sh\n" * 500, good[:100] + os.urandom(4000) + good[4100:],
                    (ROOM / "other.sqlite").read_bytes()):
            file.write_bytes(bad)
            process, line, text = launch(state=s.state)
            if line: # what is damaged is further behind than a start looks
                end(process)
                continue
            process.stdout.close()
            among(process.returncode, [1, 2], f"exit code; it says {text}")
            want("catalogue" in text, f"no word of the catalogue: {text}")
            equal(file.read_bytes(), bad, "the bytes of the damaged file")
        file.write_bytes(good)
        s.start()
        equal(len(ask(s, "GET", "/api/1/composes/").json["items"]), 1, "composes with the good one")


@case(5, "the whole state directory is removed under a running service: no crash, requests are refused or end with words, old answers stay honest")
def state_removed():
    with own() as s:
        made(s, small())
        subprocess.run(["rm", "-rf", s.state], check=True)
        answer = post(s, ALL)
        among(answer.status, [200, 500, 503, 507], "POST")
        if answer.status == 200:
            among(settled(s, answer.json["id"])["state_name"], ["failed", "done"], "state")
        for path in (s.mnt / "requests").iterdir():
            with contextlib.suppress(OSError):
                (path / "status").read_text()
        alive(s)


# ---- 6 one service on a state directory ------------------------------------------------------------------

@case(6, "a second service on the same directory, by its path, by a link, with dots: it does not start and names the first's process")
def second_refused():
    with own() as s:
        link = ROOM / fresh("link")
        link.symlink_to(s.state)
        for path in (s.state, link, f"{s.state}/../state/", f"{s.state}/./"):
            refuses(state=path, words=[s.process.pid])
        refuses(state=s.state, mount=ROOM, words=[s.process.pid])
        made(s, small())


@case(6, "six services start on one new directory at the same moment: one serves, five refuse")
def six_at_once():
    state = ROOM / fresh("six")
    results = []
    threads = [threading.Thread(target=lambda: results.append(launch(state=state))) for _ in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    serving = [r for r in results if r[1]]
    codes = [end(p) for p, _, _ in serving]
    equal((len(results), len(serving)), (6, 1), f"results and services that started; {[r[2][-200:] for r in results]}")
    equal(codes, [0], "exit code of the one")
    for process, line, text in results:
        if not line:
            process.stdout.close()
            want(str(serving[0][0].pid) in text, f"the process that serves is not named: {text}")


@case(6, "the first stands still (SIGSTOP): the second refuses within 5 s all the same; killed, the next one starts at once")
def second_of_a_stopped():
    with own(mount=False) as s:
        with stopped([s.process.pid]):
            with within(5, "the refusal"):
                refuses(state=s.state, words=[s.process.pid])
        s.stop(signal.SIGKILL)
        with within(5, "the start"):
            s.start()


@case(6, "somebody removes the file `lock` under a running service: a second one still does not start on its directory")
def lock_removed():
    with own(mount=False) as s:
        os.unlink(s.state / "lock")
        process, line, text = launch(state=s.state)
        if line:
            end(process)
            alive(s)
        process.stdout.close()
        want(not line, "two services serve one state directory")
        want("another odcsfs" in text, f"words: {text}")


@case(6, "`check --repair` beside a running service: refuses, names it, changes nothing")
def repair_refused():
    with own() as s:
        _, number = made(s, small())
        before = tree_files(s, number)
        done = run("timeout", "60", ODCSFS, "check", "--repair", "-c", "/dev/null", "-o", f"odcsfs.state_dir={s.state}")
        equal(done.returncode, 2, "exit code")
        want(str(s.process.pid) in done.stdout + done.stderr, done.stderr)
        equal(tree_files(s, number), before, "the tree")
