# SPDX-License-Identifier: MIT
"""tests/system/cache_crash.py: packages of servers when processes are killed and the disk is full.

promises = 5, 7
"""
import signal

from lazykit import *
from originkit import Gate, slow

def try_kill(origin):
    """kill -9 of the service and of those who fetch: nothing half written stays, nothing wrong is read"""
    data = repository(origin, "kill", {f"k{i}": 300_000 for i in range(12)})
    folder = tempfile.mkdtemp(prefix="odcsfs-lazy-")
    with start(origin, PATIENT, folder=folder) as service:
        compose = Compose(service, f"{origin.url}/kill")
        origin.steps = {".rpm": (gate := Gate())}
        workers = set(service.children())
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            reads = [pool.submit(compose.read, f"k{i}") for i in range(4)]
            check(wait_for(lambda: origin.count(".rpm") == 4, 20), "all are asked for")
            fetchers = set(service.children()) - workers
            check(fetchers, "workers that fetch")
            for pid in fetchers:
                os.kill(pid, signal.SIGKILL)
            gate.open()
            for i, read in enumerate(reads):
                got, took = read.result()
                check(got == data[f"k{i}"], f"k{i} after its worker was killed: {got if isinstance(got, int) else ''} {took:.1f}")
        check(figures(service)["odcsfs_fetch_worker_deaths_total"] >= 1, "deaths are counted")
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            origin.forget()
            origin.steps = {".rpm": (gate := Gate())}
            reads = [pool.submit(compose.read, f"k{i}") for i in range(4, 8)]
            check(wait_for(lambda: origin.count(".rpm") == 4, 20), "all are asked for")
            service.stop(signal.SIGKILL)
            for read in reads:
                check(read.result()[0] in (errno.ENOTCONN, errno.ECONNABORTED, errno.EIO), "the mount is gone")
        gate.open()
        origin.steps = {}
        (service.state / "packages" / ".new-left").write_bytes(b"half")
        service.start()
        have = cached(service)
        check(set(have) <= {hashlib.sha256(d).hexdigest() for d in data.values()}, f"left behind: {set(have)}")
        check(not [p for p in (service.state / "work").rglob("*.rpm")], "work/")
        for name in data:
            check(compose.read(name)[0] == data[name], f"{name} after a restart")
        service.owned = True


def try_full(origin):
    """a disk without room: ENOSPC in words, and what is there goes on"""
    data = repository(origin, "full", {**{f"f{i}": 4_000_000 for i in range(6)}, "huge": 40_000_000, "late": 6_000_000})
    folder = tempfile.mkdtemp(prefix="odcsfs-lazy-")
    state = pathlib.Path(folder) / "state"
    state.mkdir()
    if run("mount", "-t", "tmpfs", "-o", "size=40m", "lazy", state).returncode:
        print("skipped: no tmpfs can be mounted here: a full disk is not tried")
        return
    try:
        with start(origin, PATIENT, folder=folder) as service:
            compose = Compose(service, f"{origin.url}/full")
            for name in (n for n in data if n != "late"):
                got, took = compose.read(name)
                if name == "huge":
                    same(got, errno.ENOSPC, "more than the disk has")
                    check("room" in compose.attribute(name, "error"), compose.attribute(name, "error"))
                    same(compose.get(name).status, 507, "by HTTP")
                else:
                    check(got == data[name], f"{name}: {got if isinstance(got, int) else 'other bytes'}")
            check(wait_for((state / "reserve").exists, 15), "a reserve is kept") # or it is taken of what is left
            (state / "filler").write_bytes(bytes(int(os.statvfs(state).f_bavail * 4096 - 9_000_000)))
            got, _ = compose.read("f0")
            check(got == data["f0"], f"what was not read for longest makes room: {got if isinstance(got, int) else ''} "
                                     f"{compose.attribute('f0', 'error') if isinstance(got, int) else ''}")
            (state / "filler").unlink()
            # others take what was free while it comes
            service.call("DELETE", "/api/1/cache/?keep=0")
            origin.steps = {"late.rpm": (gate := Gate())}
            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                reads = [pool.submit(compose.read, "late", way) for way in ("mount", "http")]
                check(wait_for(lambda: origin.count("late.rpm"), 10), "it is on its way")
                with open(state / "filler", "wb") as filler:
                    with contextlib.suppress(OSError):
                        while True:
                            filler.write(bytes(1 << 16))
                            filler.flush()
                gate.open()
                for read, want in zip(reads, (errno.ENOSPC, 507)):
                    same(brief(read.result()[0]), want, "the disk is full midway")
            check("late.rpm" in compose.attribute("late", "error") and "late.rpm" in service.log_text(), "words, and in the log")
            same(list(cached(service)), [], "nothing half is kept")
            (state / "filler").unlink()
            origin.steps = {}
            check(wait_for(lambda: compose.read("late")[0] == data["late"], 10, 0.5), "there is room again")
            check(Compose(service, f"{origin.url}/full").number, "requests are taken as before")
    finally:
        run("umount", "-l", state)
        os.rmdir(state)
        run("rm", "-rf", folder)


def try_server(origin):
    """the server alone is killed: those who wait for a package get it from the next one, under the same mount"""
    data = repository(origin, "server", {f"s{i}": 300_000 for i in range(6)})
    with start(origin, PATIENT, export=True) as service:
        compose = Compose(service, f"{origin.url}/server")
        origin.steps = {".rpm": (gate := Gate())}
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            reads = [pool.submit(compose.read, f"s{i}", ("mount", "export")[i % 2]) for i in range(6)]
            check(wait_for(lambda: figures(service)["odcsfs_fetch_waiters"] >= 6, 10), "they wait")
            os.kill(service.server_pid, signal.SIGKILL)
            gate.open()
            for i, read in enumerate(reads):
                got, took = read.result()
                check(got == data[f"s{i}"], f"s{i}: {brief(got)} after {took:.1f} s")
        origin.steps = {}
        same(set(cached(service)), {digest(d) for d in data.values()}, "packages/")
        same(left_in_work(service), [], "work/")
        same(figures(service)["odcsfs_fetch_waiters"], 0, "nobody is left waiting")


def main():
    need_fuse()
    with origins() as (origin,):
        run_all((try_kill, try_server, try_full), origin)
    end()


main()
