# SPDX-License-Identifier: MIT
"""tests/system/lazy_sources.py: where a package comes from: mirrors, a proxy, FTP, two servers that have the same, none at
all; and who signed it.

promises = 7, 8
"""
from harness import BASE
from lazykit import *
from originkit import Ftp, Key, Proxy, cut, dead_port, half, lies, metalink, redirect, silent, stall, status

SIZE = 4000
BAD = {"gone": status(404), "busy": status(503), "lies": lies, "half": half, "stall": stall(30), "silent": silent(30),
       "file": redirect("file:///etc/passwd"), "reset": cut(1000)}


def try_mirrors(first, second, _):
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
            service.call("DELETE", "/api/1/cache/")
            first.forget()
            second.forget()
            first.steps, second.steps = steps, {"/none.rpm": lies}
            with concurrent.futures.ThreadPoolExecutor(16) as pool:
                reads = {name: pool.submit(compose.read, name, WAYS[i % 2]) for i, name in enumerate([*BAD, "none"])}
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
        service.call("DELETE", "/api/1/cache/")
        second.steps = {"/none.rpm": status(404)}
        same(lame.read("none")[0], errno.EIO, "what neither has")
        check(lame.read("late")[0] == data["late"], "what one of them has, at once")


def try_two_servers(first, second, _):
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


def try_local(_, __, out):
    """RPMs of this machine are read where they are"""
    with Service(f"repo.allowed={BASE}", f"fs.export={out}") as service:
        number = service.compose("local", repo_spec(BASE, packages=["apache2"]))
        rpms = list(service.tree(number).rglob("*.rpm"))
        for path in rpms:
            want = path.read_bytes()
            inner = path.relative_to(service.mnt / "composes")
            check(want == (out / inner).read_bytes() == service.call("GET", f"/composes/{inner}").body, path.name)
            same(os.stat(path).st_blocks, (len(want) + 511) // 512, f"blocks of {path.name}")
            same(os.getxattr(path, "user.odcs.cached"), b"1", f"{path.name} is at hand")
        check(len(rpms) > 2, "several")
        same(list(cached(service)), [], "packages/ is empty")
        same(service.call("GET", f"/api/1/prefetch/{number}").json["packages"], 0, "nothing to be fetched")


def try_proxy(first, second, _):
    """all through the proxy, packages as well; one that is not there, or breaks, is the reader's EIO"""
    data = repository(first, "r", {name: SIZE for name in ("plain", "broken", "none", "later")})
    proxy = Proxy()
    with start(first, f"repo.proxy={proxy.url}", PATIENT) as service:
        compose = Compose(service, f"{first.url}/r")
        check(compose.read("plain")[0] == data["plain"], "through the proxy")
        first.steps = {"/broken.rpm": [cut(3000)], "/none.rpm": status(404)}
        check(compose.read("broken")[0] == data["broken"], "taken up again through it")
        same(compose.read("none")[0], errno.EIO, "404 behind it")
        seen = sum(1 for path, _ in first.headers)
        same((len(proxy.asked), proxy.asked[0]), (seen, f"{first.url}/r/repodata/repomd.xml"), "nothing past the proxy")
        proxy.close()
        same(compose.read("later")[0], errno.EIO, "no proxy")
        words = compose.attribute("later", "error")
        check("later.rpm" in words and "no connection" in words, words)


def try_ftp(first, second, _):
    data = repository(first, "r", {name: 20_000 for name in ("plain", "broken", "short")})
    ftp = Ftp(first.folder)
    try:
        with Service(f"repo.allowed={ftp.url}", "repo.timeout=2", PATIENT) as service:
            compose = Compose(service, f"{ftp.url}/r")
            ftp.cuts["broken.rpm"] = [3000]
            for name, way in zip(("plain", "broken"), WAYS):
                got, took = compose.read(name, way)
                check(got == data[name], f"{name}: {brief(got)} after {took:.1f} s")
            same([at for path, at in ftp.asked if "broken" in path], [0, 3000], "goes on where it was")
            (first.folder / "r/p/short.rpm").unlink()
            same(compose.read("short")[0], errno.EIO, "what is not there")
            check("short.rpm" in compose.attribute("short", "error"), "words")
    finally:
        ftp.close()


def try_signed(first, second, out):
    """repo.gpgcheck: a package is read when a key of repo.gpg_keys signed it, by whatever way"""
    if not (shutil.which("gpg") and shutil.which("rpmsign")):
        print("without signatures: gpg or rpmsign is not installed")
        return
    with tempfile.TemporaryDirectory(prefix="odcsfs-keys-") as place, Key(pathlib.Path(place), "alice") as alice, \
         Key(pathlib.Path(place), "mallory") as mallory:
        path, data = pathlib.Path(place) / "x.rpm", {"noise": os.urandom(9000)}
        for name, key in (("good", alice), ("strange", mallory), ("plain", None)):
            shutil.copy(min(BASE.rglob("*.rpm"), key=lambda p: p.stat().st_size), path)
            if key:
                key.sign_rpm(path)
            data[name] = path.read_bytes()
        data["other"] = data["good"][:-1] + bytes([data["good"][-1] ^ 1]) # and metadata that say so
        write_packages(first.folder / "r", data)
        with start(first, "repo.gpgcheck=packages", f"repo.gpg_keys={alice.public}", PATIENT, export=True) as service:
            compose = Compose(service, f"{first.url}/r")
            for name, words in (("strange", "which repo.gpg_keys does not have"), ("plain", "is not signed"),
                                ("other", "the payload is not the one"), ("noise", "this is no RPM")):
                for way in WAYS:
                    same(brief(compose.read(name, way)[0]), 502 if way == "http" else errno.EIO, f"{name} by {way}")
                check(words in compose.attribute(name, "error"), f"{name}: {words!r} in {compose.attribute(name, 'error')!r}")
                check(words in compose.get(name).json["message"], f"{name} by HTTP: {compose.get(name).body}")
            for way in WAYS:
                check(compose.read("good", way)[0] == data["good"], f"signed by a known key, by {way}")
            same(list(cached(service)), [digest(data["good"])], "nothing else is kept")
            same(left_in_work(service), [], "nor left")


def main():
    need_fuse()
    for test in (try_mirrors, try_two_servers, try_local, try_proxy, try_ftp, try_signed):
        with origins(2) as (first, second):
            out = pathlib.Path(tempfile.mkdtemp(prefix="odcsfs-out-"))
            run_all([test], first, second, out)
            os.rmdir(out)
    end()


main()
