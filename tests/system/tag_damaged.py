#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tests/system/tag_damaged.py: RPMs of a tag that cannot be read hurt only who wants them."""
import hashlib, os, pathlib, shutil, stat, sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import *
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "unit/header"))
import craft, kojikit
from tagkit import Field, build_spec, forget, recorded_hub, repodata, restart_worker, tag_spec

RPM = "ed-1.14.2-1.fc26.x86_64.rpm"


def needs(field, name, *required):
    """a build of one noarch package that requires something; its NVR"""
    folder = field.topdir / "packages" / name / "1/1/noarch"
    folder.mkdir(parents=True)
    tags = craft.basic(name, arch="noarch")
    craft.relation(tags, craft.REQUIRE, *[(word, 0, "") for word in required])
    (folder / f"{name}-1-1.noarch.rpm").write_bytes(craft.rpm(tags))
    return field.builds.read(folder.parent)


def hurts_who_wants_it(field, file, tag, name, *words):
    """composes of @tag without the package of @file are done and named in the log, those with it fail with @words"""
    def fails(packages, what, **more):
        got = field.error(tag_spec(tag, packages=packages, flags=["no_reuse"], **more))
        for word in (file.name, *words):
            check(word in got, f"{what}: {word!r} in {got!r}")
    for _ in range(2): # the second one has the snapshot
        number = field.compose(tag_spec(tag, packages=["apr"], flags=["no_reuse"]))
        check({"apr-1.6.3"} == field.names(number), f"what it wanted: {field.names(number)}")
        check("damaged, and missed only if it is wanted" in field.log() and file.name in field.log(), field.log())
    fails([name], "by name")
    fails(["apr", name], "by name, among others")
    fails(None, "everything")
    restart_worker(field.service)
    forget(field.service, "headers")
    field.compose(tag_spec(tag, packages=["apr"], flags=["no_reuse", "no_deps"]))
    fails([name], "by name, with nothing remembered")


def check_suspects(field, file):
    """what is missing may be what the damaged one provides: said where it is missing"""
    words = "what damaged packages provide is not known"
    spec = tag_spec("own-damaged", packages=["n-other"])
    number = field.compose({**spec, "flags": ["no_reuse"]})
    for log in field.log(), (field.service.tree(number) / "../../logs/global/depsolve.log").read_text():
        said = [line for line in log.splitlines() if words in line]
        check(len(said) == 1 and file.name in said[0], f"{said} in {log}")
    reason = field.error({**spec, "flags": ["no_reuse", "check_deps"]})
    check(words in reason and file.name in reason and "requires /bin/ed-of-nobody" in reason, reason)
    field.compose(tag_spec("own-damaged", packages=["apr"], flags=["no_reuse", "no_deps"]))
    check(words not in field.log(), f"nothing is missing: {field.log()}")


def test_damage(field):
    folder = field.topdir / "packages/ed/1.14.2/1.fc26"
    file = folder / "x86_64" / RPM
    good, times = file.read_bytes(), file.stat()
    nvrs = ["ed-1.14.2-1.fc26", "apr-1.6.3-1.fc26", needs(field, "n-name", "ed"), needs(field, "n-other", "/bin/ed-of-nobody")]
    tag = kojikit.Tag(field.hub, "own-damaged", field.builds, {1: nvrs}, id=7040)
    whole = field.names(field.compose(tag_spec("own-damaged")))
    for content, *words in ((good[:1000], "has 1000 bytes, the hub says"), (b"", "has 0 bytes"), (b"\0" * len(good), "lead"),
                            (good[:200] + b"\xff" * (len(good) - 200), "signature")):
        file.write_bytes(content)
        hurts_who_wants_it(field, file, "own-damaged", "ed", *words)
    words = field.error(tag_spec("own-damaged", packages=["n-name"], flags=["no_reuse"]))
    check(file.name in words and "signature" in words, f"what only it provides: {words}")
    number = field.compose(tag_spec("own-damaged", packages=["n-other"], flags=["no_reuse"]))
    same(field.names(number), {"n-other-1"}, "what nobody provides is nobody's fault")
    check_suspects(field, file)
    words = field.error(build_spec(["ed-1.14.2-1.fc26"]))
    check(file.name in words and "signature" in words, f"a build by name: {words}")
    # the header lies about its name
    liar = craft.rpm(craft.basic("other", "1.14.2", "1.fc26", "x86_64"))
    file.write_bytes(liar)
    def edit(rpms, found):
        for rpm in rpms:
            if rpm["name"] == "ed" and rpm["arch"] == "x86_64":
                rpm.update(size=len(liar), payloadhash="")
    tag.edit = edit
    hurts_who_wants_it(field, file, "own-damaged", "ed", "Name", "«other», not «ed»")
    # mended: everything is there again
    tag.edit = lambda rpms, found: None
    file.write_bytes(good)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    number = field.compose(tag_spec("own-damaged", flags=["no_reuse"]))
    same(field.names(number), whole, "mended")
    check("damaged" not in field.log(), field.log())


def test_records(field):
    """records whose ends are damaged, all at once: one compose finds out and makes them again"""
    kojikit.Tag(field.hub, "own-records", field.builds, {1: ["ed-1.14.2-1.fc26", "apr-1.6.3-1.fc26"]}, id=7042)
    spec = tag_spec("own-records", flags=["no_reuse"])
    whole = field.names(field.compose(spec))
    records = sorted((field.service.state / "headers").iterdir())
    for record in records:
        content = bytearray(record.read_bytes())
        content[-1] ^= 1 # the sum of the last frame
        record.write_bytes(content)
    restart_worker(field.service)
    for snapshot in (field.service.state / "snapshots").iterdir():
        shutil.rmtree(snapshot)
    same(field.names(field.compose(spec)), whole, "made again")
    check("is gone; all are looked at" in field.log(), field.log())
    field.compose(tag_spec("own-records", packages=["apr"], flags=["no_reuse"]))
    check("is gone" not in field.log() and "headers of" not in field.log(), f"once: {field.log()}")


def test_places(field):
    """no file where one should be; and another file of the same size and time"""
    file = field.topdir / "packages/ed/1.14.2/1.fc26/x86_64" / RPM
    good, times = file.read_bytes(), file.stat()
    def restore():
        if file.is_dir():
            file.rmdir()
        file.unlink(missing_ok=True)
        file.write_bytes(good)
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    kojikit.Tag(field.hub, "own-places", field.builds, {1: ["ed-1.14.2-1.fc26", "apr-1.6.3-1.fc26"]}, id=7043)
    for make, words in ((lambda: os.mkfifo(file), "not a regular file"), (lambda: file.mkdir(), "not a regular file"),
                        (lambda: file.symlink_to(file.name), "Too many levels of symbolic links")):
        file.unlink()
        make()
        field.compose(tag_spec("own-places", packages=["apr"], flags=["no_reuse", "no_deps"]))
        words_said = field.error(tag_spec("own-places", packages=["ed"], flags=["no_reuse"]))
        check(words in words_said and RPM in words_said, words_said)
        restore()
    signed = field.topdir / "packages/ed/1.14.2/1.fc26/data/signed"
    signed.parent.mkdir(exist_ok=True)
    signed.symlink_to("signed")
    keys = {"sigkeys": ["7ec1b334", ""], "flags": ["no_reuse", "no_deps"]}
    field.compose(tag_spec("own-places", packages=["apr"], **keys))
    words = field.error(tag_spec("own-places", packages=["ed"], **keys))
    check("data/signed: Too many levels" in words, words)
    signed.unlink()
    # as a tree that is copied with its times: the metadata tell of the bytes that are handed out
    spec = tag_spec("own-places", packages=["ed"], flags=["no_reuse", "no_deps"])
    field.compose(spec)
    for byte in 1, 2: # in the lead, where nothing is compared
        other = bytearray(good)
        other[90] ^= byte
        new = file.with_suffix(".new")
        new.write_bytes(other)
        os.utime(new, ns=(times.st_atime_ns, times.st_mtime_ns))
        new.rename(file)
        number = field.compose(spec)
        handed = field.service.tree(number) / "x86_64/os/Packages/e" / RPM
        digest = hashlib.sha256(other).hexdigest()
        same(hashlib.sha256(handed.read_bytes()).hexdigest(), digest, "the bytes")
        same(os.getxattr(handed, "user.odcs.sha256").decode(), digest, "the checksum that is told")
        check(digest in repodata(handed.parents[2], "primary"), "and the one in the metadata")
    restore()


def test_no_records(field):
    """what is no file below headers/ is replaced, and holds nobody up"""
    kojikit.Tag(field.hub, "own-no-records", field.builds, {1: ["ed-1.14.2-1.fc26", "apr-1.6.3-1.fc26"]}, id=7044)
    spec = tag_spec("own-no-records", flags=["no_reuse"])
    folder = field.service.state / "headers"
    restart_worker(field.service)
    forget(field.service, "headers")
    for snapshot in (field.service.state / "snapshots").iterdir():
        shutil.rmtree(snapshot)
    whole = field.names(field.compose(spec))
    for number, record in enumerate(sorted(folder.iterdir())):
        record.unlink()
        if number % 4 == 0:
            record.mkdir()
            (record / "x").write_text("x")
        elif number % 4 == 1:
            os.mkfifo(record)
        elif number % 4 == 2:
            record.symlink_to("/etc/passwd")
        else:
            record.symlink_to(record.name)
    restart_worker(field.service)
    for snapshot in (field.service.state / "snapshots").iterdir():
        shutil.rmtree(snapshot)
    same(field.names(field.compose(spec)), whole, "made again")
    check(all(stat.S_ISREG(record.lstat().st_mode) for record in folder.iterdir()), "they are files")


def test_relations(field):
    """a requirement beyond what the solver takes"""
    nvrs = ["apr-1.6.3-1.fc26", needs(field, "n-deep", "(" * 5000 + "a" + " or b)" * 5000), needs(field, "n-deep2", "(" * 2000 + "a" + " if b)" * 2000),
            needs(field, "n-wide", "(" + " or ".join(f"word{i}" for i in range(9000)) + ")"),
            needs(field, "n-many", "(" + " or ".join(f"(a{i} and b{i})" for i in range(16)) + ")"),
            needs(field, "n-good", "(" + " or ".join(f"(a{i} and b{i})" for i in range(8)) + ")")]
    kojikit.Tag(field.hub, "own-relations", field.builds, {1: nvrs}, id=7045)
    field.compose(tag_spec("own-relations", packages=["apr", "n-good"], flags=["no_reuse", "no_deps"]))
    for name in "n-deep", "n-deep2", "n-wide", "n-many":
        words = field.error(tag_spec("own-relations", packages=[name], flags=["no_reuse", "no_deps"]))
        check(f"{name}-1-1.noarch.rpm: Requirename: «(" in words, words)


def test_epoch(field):
    """an epoch that the header does not have, said by the hub when the header is known"""
    tag = kojikit.Tag(field.hub, "own-epoch", field.builds, {1: ["ed-1.14.2-1.fc26"]}, id=7046)
    spec = tag_spec("own-epoch", flags=["no_reuse"])
    field.compose(spec)
    def edit(rpms, found):
        for rpm in rpms:
            rpm["epoch"] = 2147483647
    tag.edit = edit
    words = field.error(spec)
    check("Epoch: the header says 0, not 2147483647" in words, words)
    tag.edit = lambda rpms, found: None
    field.compose(spec)


def test_companions(field):
    """the source package of what is chosen, and a copy with a signature"""
    tag = kojikit.Tag(field.hub, "own-companions", field.builds, {1: ["ed-1.14.2-1.fc26", "apr-1.6.3-1.fc26"]}, id=7041)
    source = next(field.topdir.glob("packages/apr/1.6.3/*/src/apr-*.src.rpm"))
    good, times = source.read_bytes(), source.stat()
    source.write_bytes(good[:-1])
    words = field.error(tag_spec("own-companions", packages=["apr"], flags=["no_reuse"]))
    check(source.name in words and "the hub says" in words, f"its source: {words}")
    number = field.compose(tag_spec("own-companions", packages=["ed"], flags=["no_reuse"]))
    same(field.names(number), {"ed-1.14.2"}, "the source of another one")
    source.write_bytes(good)
    os.utime(source, ns=(times.st_atime_ns, times.st_mtime_ns))
    plain = field.topdir / "packages/ed/1.14.2/1.fc26/x86_64" / RPM
    signed = field.topdir / "packages/ed/1.14.2/1.fc26/data/signed/7ec1b334/x86_64" / RPM
    signed.parent.mkdir(parents=True)
    signed.write_bytes(plain.read_bytes()[:3000])
    keys = ["7ec1b334", ""]
    words = field.error(tag_spec("own-companions", packages=["ed"], sigkeys=keys, flags=["no_reuse"]))
    check("data/signed/7ec1b334" in words and "the file ends" in words, f"a signed copy: {words}")
    field.compose(tag_spec("own-companions", packages=["apr"], sigkeys=keys, flags=["no_reuse"]))
    # who may have it only with another signature is told of that
    words = field.error(tag_spec("own-companions", packages=["ed"], sigkeys=["a4f1cd23"], flags=["no_reuse"]))
    check("there is no copy that the signing keys permit" in words, words)
    shutil.rmtree(signed.parents[2])


def test_remote(hub, topdir, builds):
    """the same where topdir is not mounted"""
    file = topdir / "packages/ed/1.14.2/1.fc26/x86_64" / RPM
    good = file.read_bytes()
    with Service("odcsfs.workers=1", f"koji.hub={hub.url}", "koji.topdir=/nonexistent", f"koji.topurl={hub.topurl}") as service:
        field = Field(service, hub, topdir, builds)
        field.prefix = f"{hub.topurl}/"
        for content, words in (good[:1000], "1000 bytes"), (b"\0" * len(good), "lead"):
            file.write_bytes(content)
            hurts_who_wants_it(field, file, "own-companions", "ed", words)
    file.write_bytes(good)


def main():
    with recorded_hub() as (hub, topdir, builds):
        with Service("odcsfs.workers=1", f"koji.hub={hub.url}", f"koji.topdir={topdir}", "koji.timeout=10") as service:
            field = Field(service, hub, topdir, builds)
            test_damage(field)
            test_records(field)
            test_companions(field)
            test_places(field)
            test_no_records(field)
            test_relations(field)
            test_epoch(field)
        test_remote(hub, topdir, builds)
    end()


main()
