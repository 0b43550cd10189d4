#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tests/system/tag_remote.py: composes of Koji tags and builds where topdir is not mounted: files from its server.

promises = 7, 8
"""
import contextlib, hashlib, os, pathlib, sys, time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import *
import kojikit
from tagkit import Field, build_spec, check_dnf, check_expected, forget, recorded_hub, tag_spec


def packages_of(service):
    return sorted(p.name for p in (service.state / "packages").iterdir())


def remote_again(field):
    """what was looked at and fetched once is not asked for again"""
    hub, service = field.hub, field.service
    hub.clear()
    first = field.compose(tag_spec("f26-candidate", packages=["apr"], sigkeys=["7ec1b334", ""], flags=["no_reuse"]))
    gets = hub.counts["GET"]
    files = packages_of(service)
    same({os.getxattr(f, "user.odcs.sha256").decode() for f in service.tree(first).rglob("*.rpm")} - set(files), set(),
         "all are in packages/")
    hub.clear()
    field.compose(tag_spec("f26-candidate", packages=["apr"], sigkeys=["7ec1b334", ""], flags=["no_reuse"]))
    same((hub.counts["GET"], packages_of(service)), (0, files), "nothing is fetched twice")
    field.compose(tag_spec("f26-candidate", packages=["apr"], sigkeys=["7ec1b334", ""]))
    field.compose(tag_spec("f26-candidate", packages=["apr"], sigkeys=["7ec1b334", ""]))
    field.logged("is the same")
    # a fetched file that is gone: whoever reads it has it fetched again
    file = next(service.tree(first).rglob("apr-1.6.3*.x86_64.rpm"))
    digest = os.getxattr(file, "user.odcs.sha256").decode()
    (service.state / "packages" / digest).unlink()
    hub.clear()
    same(hashlib.sha256(file.read_bytes()).hexdigest(), digest, "bytes of a package that had to go")
    field.compose(tag_spec("f26-candidate", packages=["apr"], sigkeys=["7ec1b334", ""]))
    field.logged("is the same")
    same(hub.counts["GET"], 1, "that one only")
    same(hashlib.sha256(file.read_bytes()).hexdigest(), digest, "and it can be read again")
    return gets


def remote_unsigned(field):
    """where the hub knows no signature no copy is looked for in vain"""
    kojikit.Tag(field.hub, "own-unsigned", field.builds, {1: ["ed-1.14.2-1.fc26"]}, id=7031)
    gets = []
    for keys in [""], ["7ec1b334", "a4f1cd23", "00000001", ""]:
        forget(field.service, "headers")
        forget(field.service, "packages")
        field.hub.clear()
        field.compose(tag_spec("own-unsigned", sigkeys=keys, flags=["no_reuse"]))
        gets.append((field.hub.counts["HEAD"], field.hub.counts["GET"]))
    check(gets[0][0] == 2 and gets[0] == gets[1], f"requests without and with keys: {gets}")


def remote_builds(field):
    """of builds that are named the hub is asked for signatures, a few hundred in one call; a hub that refuses is no obstacle"""
    hub = field.hub
    keys = [f"{i:08x}" for i in range(97)] + ["7ec1b334", ""]
    want = {"apr-1.6.3-1.fc26.x86_64": True, "apr-1.6.3-1.fc26.src": True, "apr-devel-1.6.3-1.fc26.x86_64": True,
            "ed-1.14.2-1.fc26.x86_64": False, "ed-1.14.2-1.fc26.src": False}
    for refused in False, True:
        hub.clear()
        if refused:
            hub.misbehave("fault", "multiCall", skip=2, words="Invalid method: queryRPMSigs")
        number = field.compose(build_spec(["apr-1.6.3-1.fc26", "ed-1.14.2-1.fc26"], sigkeys=keys))
        same({name: "/data/signed/7ec1b334/" in path for name, path in field.origins(number).items()}, want, "the copies")
        same(hub.counts["multiCall"], 3, "calls of the hub")
        same(hub.counts["HEAD"], 5 if not refused else 3 * 98 + 2 * 99, "looks at files")
        check(("each key is looked for" in field.log()) == refused, field.log())
        for record in field.service.call("GET", "/api/1/composes/?per_page=100&state=2").json["items"]:
            if record["id"] == number:
                field.service.call("DELETE", f"/api/1/composes/{number}") # or it would be reused


def remote_replaced(field):
    """a file that is another one on the server is read and fetched again, whatever the server tells of it"""
    hub = field.hub
    kojikit.Tag(hub, "own-replaced", field.builds, {1: ["ed-1.14.2-1.fc26"]}, id=7032)
    path = field.topdir / "packages/ed/1.14.2/1.fc26/x86_64/ed-1.14.2-1.fc26.x86_64.rpm"
    good, times = path.read_bytes(), path.stat()
    spec = tag_spec("own-replaced", packages=["ed"], flags=["no_reuse"])
    other = bytearray(good)
    other[90] ^= 1 # in the lead, which nobody reads
    for hub.last_modified in True, False:
        for content, seconds in (good, 0), (bytes(other), 5), (bytes(other), 5), (good, 9):
            again = content == path.read_bytes() and seconds == 5
            path.write_bytes(content)
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns + seconds * 10**9))
            hub.clear()
            number = field.compose(spec)
            file = next(field.service.tree(number).rglob("ed-*.x86_64.rpm"))
            same(file.read_bytes(), content, f"what is there after {seconds} s")
            if again:
                same((hub.counts["HEAD"], hub.counts["GET"]), (2, 0), "the same file is looked at only")
    hub.last_modified = True
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def remote_slow(hub):
    """a server that drips: given up in the time that is configured, with words"""
    with Service("odcsfs.workers=1", f"koji.hub={hub.url}", "koji.topdir=/nonexistent", f"koji.topurl={hub.topurl}",
                 "koji.timeout=1", mount=False) as service:
        hub.clear()
        spec = build_spec(["ed-1.14.2-1.fc26"])
        for skip, what in (0, "header"), (2, "package"):
            hub.misbehave("drip", "GET", times=-1, skip=skip, bytes=10, seconds=0.1)
            started = time.monotonic()
            number = service.call("POST", "/api/1/composes/", spec).json["id"]
            words = service.wait_rest(number)["state_reason"]
            check(f"{hub.topurl}/packages/ed/1.14.2/1.fc26/" in words and "less than 4096 bytes a second" in words
                  or "no complete answer in time" in words, f"{what}: {words}")
            check("tried" in words and time.monotonic() - started < 40, f"{what}: {time.monotonic() - started:.1f} s: {words}")
            hub.clear()


def remote_trouble(field):
    hub = field.hub
    nvr = "ed-1.14.2-1.fc26"
    path = field.topdir / "packages/ed/1.14.2/1.fc26/x86_64/ed-1.14.2-1.fc26.x86_64.rpm"
    good = path.read_bytes()
    tag = kojikit.Tag(hub, "own-far", field.builds, {1: [nvr]}, id=7030)
    spec = tag_spec("own-far", packages=["ed"], flags=["no_reuse"])
    def fails(*words, **wrong):
        forget(field.service, "packages")
        hub.clear()
        hub.misbehave(method="GET", times=-1, **wrong)
        got = field.error(spec)
        hub.clear()
        for word in words:
            check(word in got, f"{wrong}: {word!r} in {got!r}")
    forget(field.service, "headers")
    fails("ed-1.14.2-1.fc26.", "92 bytes", what="html")
    fails("ed-1.14.2-1.fc26.", what="status", code=403)
    field.compose(spec) # now the headers are known
    fails("bytes came where", what="half")
    fails("bytes came where", what="html")
    kept = path.stat()
    path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    os.utime(path, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    fails(f"{hub.topurl}/packages/ed/", path.name, "its signature says", what="delay", seconds=0)
    path.write_bytes(good)
    os.utime(path, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    field.compose(spec)
    path.write_bytes(good[:90] + bytes([good[90] ^ 1]) + good[91:]) # in the lead, which no signature is of
    os.utime(path, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    fails(f"{hub.topurl}/packages/ed/", path.name, "is not the file whose header was read", what="delay", seconds=0)
    field.compose(spec) # its header is read again
    path.write_bytes(good)
    os.utime(path, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    # it stumbles, and then it does not
    hub.clear()
    hub.misbehave("status", "GET", times=2, code=503)
    field.compose(spec)
    # the copy is gone since its header was read: told, and the next time looked for elsewhere
    fails("404", "/ed-1.14.2-1.fc26.", what="status", code=404)
    path.unlink()
    words = field.error(spec)
    check("there is no copy that the signing keys permit" in words, words)
    path.write_bytes(good)
    field.compose(spec)
    # gone between the look and the header: as if it had not been there
    forget(field.service, "headers")
    fails("there is no copy that the signing keys permit", what="status", code=404)
    # a server that knows no HEAD
    hub.clear()
    hub.misbehave("status", "HEAD", times=-1, code=405)
    field.compose(spec)
    hub.clear()


def test_remote(hub, topdir, builds):
    """where topdir is not mounted its files are fetched, when they are chosen"""
    secret = hub.topurl.replace("://", "://us3r:s3cret@") + "/"
    with Service("odcsfs.workers=1", f"koji.hub={hub.url}", "koji.topdir=/nonexistent", f"koji.topurl={secret}",
                 "lifetime.snapshot=60", "limits.worker_seconds=600") as service:
        field = Field(service, hub, topdir, builds)
        field.prefix = f"{hub.topurl}/"
        check_expected(field)
        number = field.compose(tag_spec("f26-candidate", builds=["bash-fake-4.4.12-5.fc26"], sigkeys=["a4f1cd23", ""]))
        for file in service.tree(number).rglob("*.rpm"):
            content = file.read_bytes()
            same(hashlib.sha256(content).hexdigest(), os.getxattr(file, "user.odcs.sha256").decode(), f"{file.name}")
            same(os.getxattr(file, "user.odcs.cached"), b"1", "it is here")
            origin = os.getxattr(file, "user.odcs.origin_url").decode()
            check("s3cret" not in origin, origin)
        check_dnf(field)
        remote_again(field)
        remote_unsigned(field)
        remote_builds(field)
        remote_replaced(field)
        remote_trouble(field)
        check("s3cret" not in service.log_text() + field.log(), "a password is shown")
        field.compose(tag_spec("f26-candidate", flags=["no_reuse"]))
        before = packages_of(service)
        check(before, "there are fetched packages")
        for record in service.call("GET", "/api/1/composes/?per_page=100&state=2").json["items"]:
            service.call("DELETE", f"/api/1/composes/{record['id']}")
        # what a job that goes on may have used is kept, though it is older than lifetime.snapshot
        records = sorted((service.state / "headers").iterdir())
        check(len(records) > 10, f"{len(records)} records")
        for i, path in enumerate(records):
            age = time.time() - (2 * 3600 + 600 + (300 if i % 2 else -300))
            os.utime(path, (age, age))
        old = time.time() - 1000
        for folder in ("packages", "manifests", "blobs"):
            for path in (service.state / folder).iterdir():
                os.utime(path, (old, old))
        check(wait_for(lambda: not packages_of(service), 20), f"swept: {packages_of(service)}")
        left = lambda: sorted((service.state / "headers").iterdir())
        check(wait_for(lambda: left() == records[::2], 5), f"{len(left())} of {len(records)} records are left")


def main():
    with recorded_hub() as (hub, topdir, builds):
        test_remote(hub, topdir, builds)
        remote_slow(hub)
    end()


main()
