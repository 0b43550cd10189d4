# SPDX-License-Identifier: MIT
"""tests/system/check.py: `odcsfs check` finds what was damaged, and --repair leaves a state directory that serves.

promises = 2, 3, 4, 6
"""
import contextlib, json, os, pathlib, signal, sqlite3, subprocess, sys, time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import *

OTHER = "f" * 64


def look(service, *options, want, text=None):
    """findings of odcsfs check, as (kind, what, repaired); the exit code is checked"""
    command = [ODCSFS, "check", "--json", "-c", "/dev/null", "-o", f"odcsfs.state_dir={service.state}", *options]
    answer = run(*command)
    same(answer.returncode, want, f"exit code of check {options}: {answer.stdout}{answer.stderr}")
    check(not REPORT.search(answer.stderr), f"sanitizer report:\n{answer.stderr}")
    if answer.returncode == 2:
        return answer.stderr
    report = json.loads(answer.stdout)
    if text:
        check(text in answer.stdout, f"{text!r} in {answer.stdout}")
    return {(f["kind"], f["what"], f["repaired"]) for f in report["findings"]}


def everything(folder):
    """what a report must not change: names, bytes, times"""
    return {str(p.relative_to(folder)): (p.stat().st_mtime_ns, p.read_bytes() if p.is_file() else None)
            for p in sorted(folder.rglob("*"))}


def manifest_of(service, number):
    with contextlib.closing(sqlite3.connect(service.state / "catalogue.sqlite")) as database:
        return database.execute("SELECT manifest FROM composes WHERE id = ?", (number,)).fetchone()[0]


def row_edit(service, sql):
    with contextlib.closing(sqlite3.connect(service.state / "catalogue.sqlite")) as database:
        database.execute(sql)
        database.commit()


def blobs_of(service, manifest):
    data = (service.state / "manifests" / manifest).read_bytes()
    size, count = int.from_bytes(data[8:12], "little"), int.from_bytes(data[12:16], "little")
    records = (data[64 + i * size:64 + (i + 1) * size] for i in range(count))
    return {r[40:72].hex() for r in records if r[32] in (3, 4)}


def spoil(path):
    """other bytes, as many"""
    os.chmod(path, 0o644)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def stop(service):
    """A worker that a busy machine does not let end at once is left behind, as the log says; the next start would empty its
    directory."""
    left = service.log_text().count("left behind")
    same(service.stop(), 0, "stop")
    if service.log_text().count("left behind") > left:
        for folder in (service.state / "work").iterdir():
            wait_for(lambda: not run("rm", "-rf", *folder.iterdir()).returncode and not list(folder.iterdir()), 10)


def test_two_services(service):
    """promise 6: the second one on a state directory refuses and names the first"""
    second = run(ODCSFS, "serve", "-c", "/dev/null", "-o", f"odcsfs.state_dir={service.state}", "-o",
                 "http.listen=127.0.0.1:0", timeout=60)
    same(second.returncode, 1, "exit code of the second service")
    check(f"another odcsfs (process {service.process.pid}) uses the state directory {service.state}" in second.stderr,
          f"its words: {second.stderr!r}")
    words = look(service, "--repair", want=2)
    check(f"process {service.process.pid}" in words, f"a repair beside a service: {words!r}")
    lock = service.state / "lock"
    kept = lock.read_bytes()
    lock.unlink() # whoever removes it lets nobody in
    second = run(*second.args, timeout=60)
    same(second.returncode, 1, "exit code of a second service when the file `lock` is gone")
    check("another odcsfs" in second.stderr, f"its words: {second.stderr!r}")
    look(service, "--repair", want=2)
    lock.write_bytes(kept)


def test_beside(service):
    """a report beside a service says so, changes nothing of its files, and finds nothing wrong"""
    look(service, want=0, text=f"process {service.process.pid} uses the state directory")
    look(service, "--deep", want=0)
    started = time.monotonic()
    while time.monotonic() - started < 1: # a look never keeps a service from its work
        look(service, want=0)
        same(service.call("GET", "/api/1/composes/").status, 200, "the service answers")


def test_report_changes_nothing(service):
    before = everything(service.state)
    same(look(service, want=0), set(), "a clean stop leaves nothing to find")
    look(service, "--deep", want=0)
    same(everything(service.state), before, "nothing was changed")


def test_files(service, numbers):
    """each kind of damage is named; the report leaves it, a repair mends it, the next report is clean"""
    state, (kept, no_manifest, bad_manifest, no_blob, bad_blob) = service.state, numbers
    manifests = {n: manifest_of(service, n) for n in numbers}
    own = {n: sorted(blobs_of(service, manifests[n]) - set().union(*(blobs_of(service, manifests[o])
           for o in numbers if o != n)))[0] for n in numbers}
    (state / "manifests" / manifests[no_manifest]).unlink()
    spoil(state / "manifests" / manifests[bad_manifest])
    (state / "blobs" / own[no_blob]).unlink()
    spoil(state / "blobs" / own[bad_blob])
    (state / "blobs" / OTHER).write_bytes(b"nobody's")
    (state / "blobs/.new-1").write_bytes(b"half")
    (state / "blobs/notes.txt").write_text("what is this?")
    (state / "logs/4711").write_text("a log")
    (state / "work/0/blob").write_bytes(b"half")
    (state / "headers/.tmp-1-1").write_bytes(b"half")
    (state / "headers" / OTHER).write_bytes(b"no record")
    snapshot = next((state / "snapshots").iterdir())
    spoil(snapshot / "packages.idx")
    want = {("leftover", "blobs/" + OTHER), ("leftover", "blobs/.new-1"), ("file", "blobs/notes.txt"),
            ("log", "logs/4711"), ("leftover", "work/0"), ("leftover", "headers/.tmp-1-1"),
            ("cache", "headers/" + OTHER), ("cache", f"snapshots/{snapshot.name}"),
            ("file", "manifests/" + manifests[bad_manifest]), ("compose", f"compose {no_manifest}"),
            ("compose", f"compose {bad_manifest}"), ("compose", f"compose {no_blob}")}
    deep = want | {("file", "blobs/" + own[bad_blob]), ("compose", f"compose {bad_blob}")}

    def without_orphans(found): # blobs that the lost manifests named
        lost = blobs | {("leftover", "manifests/" + manifests[n]) for n in numbers if n != kept}
        return {(k, w) for k, w, _ in found} - lost
    blobs = {("leftover", f"blobs/{b}") for b in os.listdir(state / "blobs")} - want
    before = everything(state)
    same(without_orphans(look(service, want=1)), want, "what is found")
    same(without_orphans(look(service, "--deep", want=1)), deep, "what is found with --deep")
    same(everything(state), before, "a report changes nothing")
    found = look(service, "--repair", "--deep", want=1)
    same(without_orphans(found), deep, "what a repair finds")
    check(all(repaired for _, _, repaired in found), f"all of it was repaired: {found}")
    moved = {str(p.relative_to(state)) for p in (state / "damaged").rglob("*") if p.is_file()}
    same(moved, {"damaged/blobs/notes.txt", "damaged/blobs/" + own[bad_blob],
                 "damaged/manifests/" + manifests[bad_manifest]}, "what was moved aside")
    look(service, "--repair", "--deep", want=1) # what the lost composes alone had needed
    same(look(service, "--deep", want=0), set(), "after the repair")


def test_serves_again(service, numbers):
    kept, *lost = numbers
    service.start()
    same(service.record(kept)["state_name"], "done", "the one that was whole")
    file = next(service.tree(kept).rglob("*.rpm"))
    check(len(file.read_bytes()) > 0, "its packages can be read")
    for number in lost:
        record = service.record(number)
        same(record["state_name"], "removed", f"compose {number}")
        check("Removed by odcsfs check: " in record["state_reason"], f"why: {record['state_reason']!r}")
        check(not (service.mnt / "composes" / str(number)).exists(), f"composes/{number} is gone")
    again = [service.compose(f"again{i}", repo_spec(BASE, packages=[name], flags=["no_deps"]))
             for i, name in enumerate(PACKAGES)]
    stop(service)
    same(look(service, "--deep", want=0), set(), "composed anew")
    return again


def test_power_cut(service, numbers):
    """promise 3: after a power cut the start itself looks for what was not synced, and no half of a tree is shown"""
    lock, manifests = service.state / "lock", [manifest_of(service, n) for n in numbers]
    service.start()
    same(lock.read_text().split("\n")[1], pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip(), "the lock")
    service.stop(signal.SIGKILL)
    own = sorted(blobs_of(service, manifests[0]) - blobs_of(service, manifests[1]))[0]
    os.chmod(service.state / "blobs" / own, 0o644)
    os.truncate(service.state / "blobs" / own, 0) # as a file system leaves it
    service.start() # the same run of the machine: what was written is there, so nobody looks
    same(service.record(numbers[0])["state_name"], "done", "after a kill")
    service.stop(signal.SIGKILL)
    lock.write_text("1\n11111111-2222-3333-4444-555555555555\n")
    service.start()
    record = service.record(numbers[0])
    same(record["state_name"], "removed", "the compose whose blob is empty")
    check(f"blobs/{own} is damaged" in record["state_reason"], f"why: {record['state_reason']!r}")
    same(service.record(numbers[1])["state_name"], "done", "another one")
    check("the machine was started anew since the last service" in service.log_text(), "the log says so")
    stop(service)
    same({k for k, *_ in look(service, "--repair", "--deep", want=1)}, {"leftover"}, "what only that compose had needed")
    same(look(service, "--deep", want=0), set(), "after a power cut and a repair")


def test_rows(service):
    """rows that cannot be are named, and left; a catalogue that is damaged is left with all that hangs on it"""
    number = service.record_number
    saved = (service.state / "catalogue.sqlite").read_bytes()
    row_edit(service, f"UPDATE composes SET owner = x'ff' WHERE id = {number}")
    row_edit(service, f"UPDATE composes SET time_done = 0 WHERE id = {number}")
    row_edit(service, f"UPDATE tallies SET count = count + 1 WHERE state = 2")
    found = {(k, w) for k, w, _ in look(service, want=1)}
    same(found, {("row", f"compose {number}"), ("row", "source type 3")}, "damaged rows")
    found = look(service, "--repair", want=1)
    check(found and not any(repaired for *_, repaired in found), f"rows are not repaired: {found}")
    damaged = bytearray(saved)
    damaged[4096:12288] = b"\xa5" * 8192
    for content, what in ((bytes(damaged), "pages of it"), (b"no catalogue at all" * 500, "all of it"), (None, "gone")):
        if content is None:
            (service.state / "catalogue.sqlite").unlink()
        else:
            (service.state / "catalogue.sqlite").write_bytes(content)
        before = everything(service.state)
        found = {(k, w) for k, w, _ in look(service, want=1, text="from a backup")}
        same(found, {("catalogue", "catalogue.sqlite")}, f"a damaged catalogue, {what}")
        look(service, "--repair", want=1)
        before["lock"] = everything(service.state)["lock"]
        same(everything(service.state), before, f"a repair leaves everything when the catalogue is damaged, {what}")
    (service.state / "catalogue.sqlite").write_bytes(saved)
    same(look(service, want=0), set(), "with the backup restored")


def test_configuration(service, folder):
    roles = folder / "roles.json"
    roles.write_text('{"admin": {}}')
    found = look(service, "-o", f"auth.roles={roles}", "-o", "http.tls_cert=/no/such.pem", "-o", "http.tls_key=/no/such.key",
                 want=1)
    same({w for _, w, _ in found}, {"auth.roles", "http.tls_cert", "http.tls_key"}, "files of the configuration")
    answer = run(ODCSFS, "check", "-c", "/dev/null", "-o", "odcsfs.state_dri=/x")
    same(answer.returncode, 2, "a key that does not exist")
    same(run(ODCSFS, "check", "-c", "/dev/null", "-o", "odcsfs.state_dir=/no/such/directory").returncode, 2, "no directory")


def test_plain_words(service):
    (service.state / "blobs" / "two\nlines\xff").write_bytes(b"")
    answer = run(ODCSFS, "check", "-c", "/dev/null", "-o", f"odcsfs.state_dir={service.state}")
    same(answer.returncode, 1, "exit code")
    lines = answer.stdout.splitlines()
    same(len(lines), 2, f"one line for a finding, one for the sum: {lines}")
    check(lines[0].startswith("blobs/two?lines") and "--repair moves it to damaged/" in lines[0], f"words: {lines[0]!r}")
    same(lines[1], "1 findings, 0 repaired", "the sum")
    os.unlink(service.state / "blobs" / "two\nlines\xff")


PACKAGES = ["nginx", "openssl", "apache2", "curl", "bash"]


def main():
    global PACKAGES
    need_fuse()
    names = sorted({p.name.rsplit("-", 2)[0] for p in BASE.rglob("*.rpm") if "src" not in p.name})
    PACKAGES = names[:5]
    service = Service(f"repo.allowed={UNIVERSE}").start()
    numbers = [service.compose(f"c{i}", repo_spec(BASE, packages=[n], flags=["no_deps"])) for i, n in enumerate(PACKAGES)]
    test_two_services(service)
    test_beside(service)
    stop(service)
    test_report_changes_nothing(service)
    test_files(service, numbers)
    again = test_serves_again(service, numbers)
    test_power_cut(service, again[1:3])
    service.record_number = numbers[0]
    test_rows(service)
    test_configuration(service, service.dir)
    test_plain_words(service)
    service.close()
    end()


main()
