# SPDX-License-Identifier: MIT
"""tests/system/sweep.py: one clean-up pass over everything that the state directory holds: what nothing owns is planted in each
of its directories, aged, beside what has an owner and is as old as it may be. Names and bytes before and after are compared,
and the rows of the catalogue.

promises = 4
"""
import sqlite3

from harness import BASE, ODCSFS
from lazykit import *

KINDS = ("manifests", "blobs", "packages", "partial", "origins", "headers", "snapshots", "logs")
MINUTE, HOUR, DAY = 60, 3600, 86400
UNUSED = 8 * DAY # lifetime.snapshot is seven
DEAD = 2 ** 22 + 1 # no process has such a number


def held(state):
    """{path: digest} of what lies in those directories"""
    return {str(p.relative_to(state)): digest(p.read_bytes()) for kind in KINDS for p in sorted((state / kind).rglob("*"))
            if p.is_file()}


def select(state, sql):
    with contextlib.closing(sqlite3.connect(state / "catalogue.sqlite")) as database:
        return database.execute(sql).fetchall()


def rows(state):
    return select(state, "SELECT * FROM composes ORDER BY id")


def age(path, seconds):
    os.utime(path, (time.time() - seconds,) * 2)


def age_all(state):
    """as old as what has an owner gets, or what was used a moment ago may be"""
    for kind in KINDS:
        for path in (state / kind).iterdir():
            age(path, 30 * MINUTE if kind == "partial" else DAY)


def plant(state, path, seconds, text=b"planted"):
    """a file; of a snapshot its directory as well"""
    path = state / path
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text)
    for each in (path, path.parent):
        if each.parent.name in KINDS:
            age(each, seconds)


def name(letter):
    return letter * 64


# (path, age): nobody owns them
FOREIGN = (
    ("manifests/" + name("1"), HOUR), ("manifests/.new-1", HOUR),
    ("blobs/" + name("1"), HOUR), ("blobs/.new-1", HOUR),
    ("packages/" + name("1"), HOUR), ("packages/.new-1", HOUR),
    ("partial/" + name("1"), 2 * HOUR), ("partial/" + name("1") + ".from", 2 * HOUR),
    ("partial/" + name("2") + ".from", MINUTE), # of no package
    ("origins/" + name("1"), UNUSED), ("origins/.tmp-1-1", 3 * HOUR),
    ("headers/" + name("1"), UNUSED), ("headers/.tmp-1-1", 3 * HOUR),
    (f"snapshots/{name('1')}/pack", UNUSED), (f"snapshots/.{name('1')}.{DEAD}/pack", 0),
    ("logs/4711", DAY))
# they have one, or may get one yet
OWNED = (
    ("manifests/" + name("3"), 0), ("blobs/" + name("3"), 0), ("packages/" + name("3"), 0), # a result that is being published
    ("partial/" + name("3"), 30 * MINUTE), ("partial/" + name("3") + ".from", 30 * MINUTE),
    ("origins/" + name("3"), 5 * DAY), ("headers/" + name("3"), 5 * DAY), (f"snapshots/{name('3')}/pack", 5 * DAY),
    ("origins/.tmp-1-2", MINUTE), ("headers/.tmp-1-2", MINUTE),
    (f"snapshots/.{name('3')}.{os.getpid()}/pack", UNUSED)) # whoever builds it lives


def passed(service, want, text):
    """after a start, which sweeps: this is there, nothing else"""
    service.start()
    wait_for(lambda: held(service.state) == want, 20, 0.2)
    got = held(service.state)
    same(sorted(set(got) - set(want)), [], f"{text}: left without an owner")
    same(sorted(set(want) - set(got)), [], f"{text}: removed, though it has an owner")
    same([n for n in want if n in got and got[n] != want[n]], [], f"{text}: changed")


def files_of(service, number):
    """{name: digest}; what tells where the service is differs after each start"""
    return {p.name: digest(p.read_bytes()) for p in service.tree(number).rglob("*") if p.is_file() and p.suffix != ".repo"}


def try_all(origin):
    data = repository(origin, "r", {"a": 40_000, "b": 50_000, "c": 60_000})
    service = start(origin, PATIENT, "odcsfs.workers=1")
    service.options[0] += f" {BASE}"
    with service:
        state = service.state
        remote, local = Compose(service, f"{origin.url}/r"), service.compose("local", repo_spec(BASE, packages=["openssl"]))
        for package in ("a", "b"):
            check(remote.read(package)[0] == data[package], f"{package} is read")
        same(service.stop(), 0, "stop")
        before, table = held(state), rows(state)
        for kind in ("manifests", "blobs", "packages", "origins", "snapshots", "logs"):
            check(any(path.startswith(f"{kind}/") for path in before), f"{kind}/ holds something of a compose")
        age_all(state)
        for path, seconds in OWNED + FOREIGN:
            plant(state, path, seconds)
        want = {**before, **{path: digest(b"planted") for path, _ in OWNED}}
        passed(service, want, "a pass")
        same(rows(state), table, "the catalogue")
        check(remote.read("a")[0] == data["a"], "a package, after the pass")
        same(origin.count("/a.rpm"), 1, "from packages/")
        whole = files_of(service, local)

        # what one compose alone had needed goes with it, what another one needs stays
        mine = {row[0] for row in select(state, f"SELECT manifest FROM composes WHERE id = {local}")}
        same(service.call("DELETE", f"/api/1/composes/{remote.number}").status, 202, "DELETE")
        check(wait_for(lambda: service.record(remote.number)["state_name"] == "removed", 20), "removed")
        same(service.stop(), 0, "stop")
        age_all(state)
        service.start()
        wait_for(lambda: {p.name for p in (state / "manifests").iterdir()} == mine and not cached(service), 20, 0.2)
        same({p.name for p in (state / "manifests").iterdir()}, mine, "manifests of the one that is left")
        same(cached(service), {}, "packages of the one that is over")
        same(files_of(service, local), whole, "files of the one that is left")
        same(service.stop(), 0, "stop")
        answer = run(ODCSFS, "check", "--deep", "-c", "/dev/null", "-o", f"odcsfs.state_dir={state}")
        found = [line for line in answer.stdout.splitlines() if line.split("/")[0] in ("manifests", "blobs", "packages", "logs")]
        same(found, [], "what the program itself finds")
        service.start()


def main():
    need_fuse()
    with origins() as (origin,):
        run_all([try_all], origin)
    end()


main()
