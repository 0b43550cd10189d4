# SPDX-License-Identifier: MIT
"""tests/system/lazy_mirrors.py: several servers of the same: mirrors of a list, two repositories, and whether there is news.

promises = 7, 8
"""
import signal

from lazykit import *
from originkit import cut, dead_port, half, lies, metalink, redirect, silent, slow, stall, status

SIZE = 4000
BAD = {"gone": status(404), "busy": status(503), "lies": lies, "half": half, "stall": stall(30), "silent": silent(30),
       "file": redirect("file:///etc/passwd"), "reset": cut(1000)}


def fetch_workers(service):
    pids = []
    for pid in service.children():
        with contextlib.suppress(OSError):
            if b"--fetch" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes():
                pids.append(pid)
    return pids


def try_mirrors(first, second):
    """what a mirror does not have, or has wrong, is the next one's; what none has is told with all their words"""
    place = second.folder / "r"
    data = repository(first, "r", {**{name: SIZE for name in BAD}, "none": 4000, "late": 4000, **{f"f{i}": 4000 for i in range(6)}})
    shutil.copytree(first.folder / "r", place)
    dead = f"http://127.0.0.1:{dead_port()}"
    repomd = (place / "repodata/repomd.xml").read_bytes()
    for name, bytes_ in (("plain", f"{dead}/r\n{first.url}/r\n{second.url}/r\n".encode()),
                         ("link", metalink(repomd, f"{dead}/r", f"{first.url}/r", f"{second.url}/r")),
                         ("lame", f"{dead}/r\n{second.url}/r\n".encode())):
        (first.folder / name).write_bytes(bytes_)
    steps = {**{f"/{name}.rpm": step for name, step in BAD.items()}, "/none.rpm": status(404)}
    with Service(f"repo.allowed={first.url} {second.url} {dead}/", "repo.timeout=2", "cache.fetchers=8", PATIENT) as service:
        for kind in ("mirrorlist", "metalink"):
            compose = Compose(service, f"{kind}:{first.url}/{'plain' if kind == 'mirrorlist' else 'link'}")
            service.call("DELETE", "/api/1/cache/?keep=0")
            first.forget()
            second.forget()
            bad = [name for name in BAD if kind == "mirrorlist" or name not in ("stall", "silent")]
            first.steps, second.steps = steps, {"/none.rpm": lies}
            with concurrent.futures.ThreadPoolExecutor(16) as pool:
                reads = {name: pool.submit(compose.read, name, WAYS[i % 2]) for i, name in enumerate([*bad, "none"])}
                for name, read in reads.items():
                    got, took = read.result()
                    if name != "none":
                        check(got == data[name], f"{kind}: {name}: {brief(got)} after {took:.1f} s")
                        same(second.count(f"/{name}.rpm"), 1, f"{kind}: {name} is asked of the second one")
                    else:
                        same(got, errno.EIO, f"{kind}: what nobody has")
            words = compose.attribute("none", "error")
            for part in ("no mirror has it", "404", "its sha256 is", dead):
                check(part in words, f"{kind}: {part!r} in {words!r}")
            # the first one is worse than the second now, and asked after it
            wanted = (first.count(".rpm"), second.count(".rpm"))
            for i in range(6):
                check(compose.read(f"f{i}")[0] == data[f"f{i}"], f"{kind}: another package")
            check(second.count(".rpm") > wanted[1], f"{kind}: {wanted}, {second.count('.rpm')}: mirrors that failed come last")
            first.steps = {}
        # one dead mirror, and one that lacks a package: the others are to be had all the same
        lame = Compose(service, f"mirrorlist:{first.url}/lame")
        service.call("DELETE", "/api/1/cache/?keep=0")
        second.steps = {"/none.rpm": status(404)}
        same(lame.read("none")[0], errno.EIO, "what neither has")
        check(lame.read("late")[0] == data["late"], "what one of them has, at once")


def try_silent(first, second):
    """a mirror that says nothing is waited for once, whichever worker fetches after that"""
    data = repository(first, "r", {f"s{i}": SIZE for i in range(4)})
    shutil.copytree(first.folder / "r", second.folder / "r")
    (second.folder / "list").write_text(f"{first.url}/r\n{second.url}/r\n")
    with start([first, second], "repo.timeout=2", PATIENT) as service: # the last one counts
        compose = Compose(service, f"mirrorlist:{second.url}/list")
        first.steps = {".rpm": silent(30)}
        for number in range(4):
            got, took = compose.read(f"s{number}")
            check(got == data[f"s{number}"], f"{number}: {brief(got)}")
            check(1.5 < took < 4 if number == 0 else took < 1.5, f"{number}: {took:.1f} s")
            if number % 2:
                continue
            workers = fetch_workers(service)
            check(workers != [], "somebody has fetched it")
            for pid in workers:
                os.kill(pid, signal.SIGKILL)
            check(wait_for(lambda: not set(workers) & set(fetch_workers(service)), 10), "the next one knows nothing of its own")
        same(first.count(".rpm"), 1, "asked of the silent one")


def try_news(first, second):
    """each compose asks whether repomd.xml is new, by whatever the server gives to ask with; metadata comes once for each"""
    with start(first, PATIENT) as service:
        for number, (etags, dates, want) in enumerate(((True, False, (1, 2)), (False, True, (1, 2)), (True, True, (1, 2)),
                                                       (False, False, (3, 0)))):
            repository(first, f"n{number}", {"a": 10})
            first.forget()
            first.etags, first.dates = etags, dates
            for _ in range(3):
                Compose(service, f"{first.url}/n{number}")
            same((first.count("repomd.xml", 200), first.count("repomd.xml", 304)), want, f"ETag {etags}, date {dates}")
            same(first.count("primary"), 1, "metadata, once")
            write_repository(first.folder / f"n{number}", {"primary": primary()}, 1800000000 + number)
            os.utime(first.folder / f"n{number}/repodata/repomd.xml", (1, 1800000000))
            newer = Compose(service, f"{first.url}/n{number}")
            same((first.count("repomd.xml", 200) - want[0], first.count("primary"), newer.path("a").exists()), (1, 2, False),
                 "a new one comes")


def try_two_servers(first, second):
    """the same bytes in two repositories: stored once, asked for once; a bad server harms only who knows no other"""
    data = repository(first, "r", {name: SIZE for name in ("once", "begun", "after", "gone")})
    shutil.copytree(first.folder / "r", second.folder / "r")
    with start([first, second], "cache.read_timeout=60", "repo.timeout=4", "cache.fetchers=8") as service:
        bad, good = Compose(service, f"{first.url}/r"), Compose(service, f"{second.url}/r")
        check(bad.read("once")[0] == data["once"] and good.read("once")[0] == data["once"], "read by either name")
        same(sum(o.count("/once.rpm") for o in (first, second)), 1, "asked for once")
        same(list(cached(service)), [digest(data["once"])], "stored once")
        same([c.attribute("once", "cached") for c in (bad, good)], ["1", "1"], "cached in both")
        first.steps = {"/begun.rpm": silent(30), "/after.rpm": lies}
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            hung = pool.submit(bad.read, "begun")
            check(wait_for(lambda: first.count("/begun.rpm"), 10), "the bad one is asked first")
            waiting = pool.submit(good.read, "begun")
            got, _ = waiting.result()
            check(got == data["begun"], f"who knows another server has that one asked: {brief(got)}")
            check(hung.result()[0] == data["begun"], "that serves the other one, too")
        same(bad.read("after")[0], errno.EIO, "lies")
        check(good.read("after")[0] == data["after"], "what the other server said counts at once")
        check(bad.read("after")[0] == data["after"], "and it is there for both")
        first.close()
        same(bad.read("gone")[0], errno.EIO, "no server")
        check(good.read("gone")[0] == data["gone"], "and the other one")


def try_sizes(first, second):
    """a repository that says another size of a package: its readers get EIO, and nobody else notices"""
    data = repository(first, "r", {name: 200_000 for name in ("joined", "cut", "kept")})
    place, noise = second.folder / "r", os.urandom(2_000_000)
    write_packages(place, {name: noise for name in data})
    xml = primary(*[(name, "sha256", digest(d), f"p/{name}.rpm") for name, d in data.items()])
    sizes = iter((2_000_000, 100_000, 2_000_000))
    write_repository(place, {"primary": re.sub(b'package="5000"', lambda _: b'package="%d"' % next(sizes), xml)})
    with start([first, second], PATIENT, "cache.verify=stream", "cache.fetchers=4") as service:
        good, bad = Compose(service, f"{first.url}/r"), Compose(service, f"{second.url}/r")
        second.steps = {".rpm": slow(1.5, 30)}
        for name in ("joined", "cut"):
            with concurrent.futures.ThreadPoolExecutor(3) as pool:
                lied = pool.submit(bad.read, name)
                check(wait_for(lambda: second.count(f"/{name}.rpm"), 10), "asked of the one that lies")
                time.sleep(0.3)
                for way, read in [(way, pool.submit(good.read, name, way)) for way in WAYS[:2]]:
                    check(read.result()[0] == data[name], f"{name} by {way}: {brief(read.result()[0])}")
                same(brief(lied.result()[0]), errno.EIO, f"{name} of the one that lies")
        check(good.read("kept")[0] == data["kept"], "there")
        same([bad.read("kept")[0], bad.get("kept").status], [errno.EIO, 502], "and of another size")
        check("200000 bytes, not the 2000000" in bad.attribute("kept", "error"), bad.attribute("kept", "error"))
        check(good.read("kept")[0] == data["kept"], "still there")
        same(first.count("/kept.rpm"), 1, "fetched once")


def main():
    need_fuse()
    for test in (try_mirrors, try_silent, try_news, try_two_servers, try_sizes):
        with origins(2) as (first, second):
            run_all([test], first, second)
    end()


main()
