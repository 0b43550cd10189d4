# SPDX-License-Identifier: MIT
"""tests/system/lazy_sources.py: where a package comes from: this machine, a proxy, FTP; and who signed it.

promises = 7, 8, 22
"""
from harness import BASE
from lazykit import *
from originkit import Ftp, Key, Proxy, cut, redirect, status, text

SIZE = 4000


def try_local(_):
    """RPMs of this machine are read where they are"""
    service = Service(f"repo.allowed={BASE}")
    out = service.dir / "out"
    service.options.append(f"fs.export={out}")
    with service:
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


def try_proxy(origin):
    """all through the proxy, packages as well; one that is not there, or breaks, is the reader's EIO"""
    data = repository(origin, "r", {name: SIZE for name in ("plain", "broken", "none", "later", "c++~1")})
    proxy = Proxy()
    with start(origin, f"repo.proxy={proxy.url}", PATIENT) as service:
        compose = Compose(service, f"{origin.url}/r")
        for name in ("plain", "c++~1"):
            check(compose.read(name)[0] == data[name], f"{name} through the proxy")
        origin.steps = {"/broken.rpm": [cut(3000)], "/none.rpm": status(404)}
        check(compose.read("broken")[0] == data["broken"], "taken up again through it")
        same(compose.read("none")[0], errno.EIO, "404 behind it")
        seen = sum(1 for path, _ in origin.headers)
        same((len(proxy.asked), proxy.asked[0]), (seen, f"{origin.url}/r/repodata/repomd.xml"), "nothing past the proxy")
        proxy.close()
        same(compose.read("later")[0], errno.EIO, "no proxy")
        words = compose.attribute("later", "error")
        check("later.rpm" in words and "no connection to repo.proxy" in words, words)


def try_secrets(origin):
    """what the query of a URL says, the site's or a server's, stands nowhere where others read"""
    secret = "s3cret"
    data = repository(origin, "r", {name: SIZE for name in ("plain", "away", "refused")})
    with start(origin, f"repo.names=own=mirrorlist:{origin.url}/list?token={secret} empty=mirrorlist:{origin.url}/none?token={secret}",
               PATIENT) as service:
        origin.steps = {"/list": text(f"{origin.url}/r\n".encode()), "/none": text(b"http://127.0.0.1:1/r\n"),
                        "/away.rpm": redirect(f"http://127.0.0.2:9/x?sig={secret}"),
                        "/refused.rpm": redirect(f"ftp://user:{secret}@127.0.0.1/x?sig={secret}")}
        compose = Compose(service, "repo:own")
        check(compose.read("plain")[0] == data["plain"], "of a list with a query")
        same(compose.attribute("plain", "origin_url"), f"{origin.url}/list#p/plain.rpm", "where it is from")
        said = [compose.get(name).body.decode() for name in ("away", "refused")]
        for name, words in zip(("away", "refused"), said):
            check("redirect" in words, words)
            same(compose.read(name)[0], errno.EIO, name)
            said.append(compose.attribute(name, "error"))
        request = service.submit("empty", repo_spec("repo:empty"))
        same((request / "wait").read_text().strip(), "failed", "a list of what may not be asked")
        said.append((request / "error").read_text())
        check("names no mirror that may be asked" in said[-1], said[-1])
        said += [service.call("GET", url).body.decode() for url in ("/api/1/metrics/", "/api/1/about/", "/api/1/composes/", "/", "/composes/",
                                                                   f"/api/1/composes/{compose.number}", f"/compose/{compose.number}")]
        said += [service.log_text(), *(path.read_text() for path in (service.state / "logs").iterdir())]
        for top in (service.tree(compose.number).parent, service.mnt / "requests"):
            said += [path.read_text(errors="replace") for path in top.rglob("*") if path.is_file() and os.access(path, os.R_OK) and path.stat().st_mode & 0o444 and path.suffix != ".rpm" and
                     path.name not in ("wait", "events", "ctl")]
        same([words for words in said if secret in words], [], f"secrets in {len(said)} texts")
        open_to_all = [path for path in service.state.rglob("*") if path.is_file() and path.stat().st_mode & 0o077]
        same([path for path in open_to_all if secret.encode() in path.read_bytes()], [], f"nor in {len(open_to_all)} files of the service")


def try_https(origin):
    """by https, of a server that repo.ca vouches for; of another one nothing is read"""
    with tempfile.TemporaryDirectory(prefix="odcsfs-tls-") as folder:
        files = [pathlib.Path(folder) / name for name in ("own.pem", "other.pem")]
        for file in files:
            made = run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                       "-subj", "/CN=origin", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", f"{file}.key", "-out", file)
            check(made.returncode == 0, made.stderr)
            (pathlib.Path(f"{file}.both")).write_text(pathlib.Path(f"{file}.key").read_text() + file.read_text())
        data = repository(origin, "r", {name: SIZE for name in ("plain", "broken", "foreign")})
        with Origin(origin.folder, f"{files[0]}.both") as server, Origin(origin.folder, f"{files[1]}.both") as other:
            (origin.folder / "list").write_text(f"{other.url}/r\n{server.url}/r\n")
            with start([server, other], f"repo.ca={files[0]}", PATIENT) as service:
                compose = Compose(service, f"{server.url}/r")
                server.steps = {"/broken.rpm": [cut(1000)]}
                for name in ("plain", "broken"):
                    check(compose.read(name)[0] == data[name], f"{name} by https")
                listed = Compose(service, f"mirrorlist:{server.url}/list")
                check(listed.read("foreign")[0] == data["foreign"], "of the mirror that is known")
                same((other.answers, "certificate" in listed.log()), ([], True), "nothing is asked of the other")


def try_rate(origin):
    """repo.rate is kept on average"""
    data = repository(origin, "r", {"rated": 600_000})
    with start(origin, "repo.rate=300K", PATIENT) as service:
        got, took = Compose(service, f"{origin.url}/r").read("rated")
        check(got == data["rated"] and 1 < took < 10, f"{brief(got)} at 300 KiB a second: {took:.1f} s")


def try_ftp(origin):
    data = repository(origin, "r", {name: 20_000 for name in ("plain", "broken", "short")})
    ftp = Ftp(origin.folder)
    try:
        with Service(f"repo.allowed={ftp.url}", "repo.timeout=2", PATIENT) as service:
            compose = Compose(service, f"{ftp.url}/r")
            ftp.cuts["broken.rpm"] = [3000]
            for name, way in zip(("plain", "broken"), WAYS):
                got, took = compose.read(name, way)
                check(got == data[name], f"{name}: {brief(got)} after {took:.1f} s")
            same([at for path, at in ftp.asked if "broken" in path], [0, 3000], "goes on where it was")
            (origin.folder / "r/p/short.rpm").unlink()
            same(compose.read("short")[0], errno.EIO, "what is not there")
            check("short.rpm" in compose.attribute("short", "error"), "words")
    finally:
        ftp.close()


def try_signed(origin):
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
        write_packages(origin.folder / "r", data)
        with start(origin, "repo.gpgcheck=packages", f"repo.gpg_keys={alice.public}", PATIENT, export=True) as service:
            compose = Compose(service, f"{origin.url}/r")
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
    for test in (try_local, try_proxy, try_secrets, try_https, try_rate, try_ftp, try_signed):
        with origins() as (origin,):
            run_all([test], origin)
    end()


main()
