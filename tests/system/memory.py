# SPDX-License-Identifier: MIT
"""tests/system/memory.py: composes are made and expire, one after another; the service does not grow.

ODCSFS_COMPOSES: how many (300; scripts/soak: 10,000). The anonymous memory (RssAnon) of the service's processes, workers not
among them, is read ten times on the way. After the first third, in which caches and pools fill, a straight line through the
readings may rise by no more than MEMORY_MB up to the end; the keeper may have KEEPER_KIB more than at the beginning. Then the service is started anew: nothing of them is left on the disk.
"""
import collections, contextlib, http.client, json, os, pathlib, random, re, sqlite3, sys, time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import *

COMPOSES = int(os.environ.get("ODCSFS_COMPOSES", "300"))
NAMES = sorted({p.name.rsplit("-", 2)[0] for p in BASE.rglob("*.rpm")})
MEMORY_MB = 10
KEEPER_KIB = 128
UNDER_WAY = 40 # so many wait or are made at a time: the end is the same, the way shorter


def processes(service):
    """what serves: one process, or a keeper with its server"""
    return {service.process.pid, getattr(service, "server_pid", service.process.pid)}


def is_sanitized(service):
    return any(word in pathlib.Path(f"/proc/{pid}/maps").read_text() for pid in processes(service)
               for word in ("libasan", "libtsan", "libubsan")) or b"__asan_init" in pathlib.Path(ODCSFS).read_bytes()


def anonymous_kib(pid):
    return int(re.search(r"RssAnon:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1])


def anonymous_mb(service):
    return sum(anonymous_kib(pid) for pid in processes(service)) / 1024


def ask(service, sql):
    with contextlib.closing(sqlite3.connect(f"file:{service.state}/catalogue.sqlite?mode=ro", uri=True)) as database:
        return database.execute(sql).fetchall()


def unfinished(service):
    return ask(service, "SELECT count(*) FROM composes WHERE state IN (0, 1)")[0][0]


def slope(points):
    """of the straight line that fits best"""
    count = len(points)
    x, y = (sum(p[i] for p in points) / count for i in (0, 1))
    return sum((p[0] - x) * (p[1] - y) for p in points) / sum((p[0] - x) ** 2 for p in points)


def make(service, readings):
    chance, connection, room = random.Random(1), http.client.HTTPConnection(service.host, timeout=60), 0
    for number in range(1, COMPOSES + 1):
        while not room:
            room = UNDER_WAY - unfinished(service)
            time.sleep(0 if room > 0 else 0.02)
            room = max(room, 0)
        room -= 1
        spec = repo_spec(BASE, packages=chance.sample(NAMES, 2), flags=["no_deps"], seconds_to_live=1)
        connection.request("POST", "/api/1/composes/", json.dumps(spec))
        answer = connection.getresponse()
        if not same((answer.status, bool(answer.read())), (200, True), "an answer"):
            break
        if number % max(COMPOSES // 10, 1) == 0:
            readings.append((number, anonymous_mb(service)))
            print(f"   {number} composes: {readings[-1][1]:.2f} MB, of it the keeper {anonymous_kib(service.process.pid)} KiB", flush=True)
    connection.close()


def main():
    with Service(f"repo.allowed={UNIVERSE}", mount=False) as service:
        readings, started, keeper = [], time.monotonic(), anonymous_kib(service.process.pid)
        print(f"   before: {anonymous_mb(service):.2f} MB, of it the keeper {keeper} KiB", flush=True)
        make(service, readings)
        over = lambda: dict(ask(service, "SELECT state, count(*) FROM composes GROUP BY state")) == {3: COMPOSES}
        check(wait_for(over, 90, 0.2), f"all {COMPOSES} are removed: "
              f"{ask(service, 'SELECT state, count(*) FROM composes GROUP BY state')}")
        readings.append((COMPOSES, anonymous_mb(service)))
        late = [point for point in readings if point[0] > COMPOSES / 3]
        growth = slope(late) * (late[-1][0] - late[0][0])
        after = anonymous_kib(service.process.pid)
        print(f"   the keeper has {after} KiB, {keeper} before", flush=True)
        check(after - keeper < KEEPER_KIB or is_sanitized(service), f"memory of the keeper: {keeper} KiB, then {after}")
        print(f"   {late[0][1]:.2f} MB after {late[0][0]} composes, {late[-1][1]:.2f} MB when all {COMPOSES} were over: a line rises by "
              f"{growth:.2f} MB, {slope(late) * 1e6:.0f} bytes for each", flush=True)
        if is_sanitized(service):
            print("   skipped: a sanitizer keeps freed memory, so its size says nothing here")
        else:
            check(growth < MEMORY_MB and late[-1][1] - late[0][1] < MEMORY_MB, f"memory grows: {readings}")
        left = lambda: sum(1 for kind in ("manifests", "blobs") for _ in (service.state / kind).iterdir())
        print(f"   {left()} files of them are left", flush=True)
        if time.monotonic() - started > 120: # a sweep spares what is younger than a minute
            check("clean-up: " in service.log_text(), "no sweep while composes end without a pause")
        begun = time.monotonic()
        same(service.stop(), 0, "stop")
        print(f"   stopped within {time.monotonic() - begun:.1f} s", flush=True)
        old = time.time() - 3600
        for kind in ("manifests", "blobs"):
            for path in (service.state / kind).iterdir():
                os.utime(path, (old, old)) # the clean-up spares what may be about to be published
        service.start()
        wait_for(lambda: not left(), 20 + COMPOSES / 50, 0.2)
        same(left(), 0, "manifests and blobs of composes that are all removed")
    end()


main()
