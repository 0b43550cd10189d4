#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What header-dump says of RPMs is what createrepo_c says, byte by byte.

usage: oracle.py HEADER-DUMP TESTS-DATA [FOLDER-WITH-RPMS...]

Three sorts of RPMs: those of the test data; headers made here byte by byte, among them some thousand at random from
the words that the rules are about; and, where rpmbuild is, packages that it built. 77: createrepo_c is not here."""
import glob
import gzip
import hashlib
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import cases
import craft

KINDS = ("primary", "filelists", "other")
checks = failures = 0


def check(condition, *words):
    global checks, failures
    checks += 1
    if not condition:
        failures += 1
        if failures <= 20:
            print("failed:", *[str(word)[-2000:] for word in words])
    return condition


def split(text):
    """pkgid (and href) -> bytes of each element"""
    found = {}
    for piece in text.split(b"<package ")[1:]:
        element = b"<package " + piece[:piece.rindex(b"</package>") + len(b"</package>\n")]
        key = piece.split(b'pkgid="')[1][:64]
        if key.startswith(b"YES"):
            key = piece.split(b'pkgid="YES">')[1][:64] + piece.split(b'<location href="')[1].split(b'"')[0]
        check(key not in found, "twice", key)
        found[key] = element
    return found


def theirs(folder):
    """kind -> elements as createrepo_c wrote them, and what it said"""
    shutil.rmtree(folder / "repodata", ignore_errors=True)
    done = subprocess.run(["createrepo_c", "-q", "--no-database", "--compress-type", "gz", folder],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, "LC_ALL": "C.UTF-8"})
    words = done.stdout.decode(errors="replace")
    check(done.returncode == 0, words)
    texts = {kind: gzip.decompress(pathlib.Path(glob.glob(f"{folder}/repodata/*-{kind}.xml.gz")[0]).read_bytes())
             for kind in KINDS}
    return {kind: split(text) for kind, text in texts.items()}, words


def ours(folder, out, *options):
    """the same by header-dump, which is asked twice: the second time it reads no RPM"""
    paths = sorted(path for path in folder.rglob("*.rpm") if path.is_file())
    lines = b"".join(b"%s\t%s\t%s\n" % (hashlib.sha256(path.read_bytes()).hexdigest().encode(),
                                        os.fsencode(path.relative_to(folder)), os.fsencode(path)) for path in paths)
    shutil.rmtree(out, ignore_errors=True)
    for again in (False, True):
        done = subprocess.run([program, *options, out], input=lines, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        check(done.returncode == 0, folder, done.returncode, done.stderr.decode(errors="replace"))
        totals = json.loads(done.stdout)
        failed = (out / "failed").read_bytes().decode(errors="replace").splitlines()
        check(totals["files"] == len(paths) and totals["failed"] == len(failed), totals, len(paths), failed[:3])
        if again:
            check(totals["read"] == 0 and totals["bytes_written"] == 0, "records are not used", totals)
            check(failed or totals["bytes_read"] == 0, totals)
    return {kind: split((out / kind).read_bytes()) for kind in KINDS}, failed


def well_formed(elements, kind):
    space = "common" if kind == "primary" else kind
    text = b'<m xmlns="http://linux.duke.edu/metadata/%s" xmlns:rpm="http://linux.duke.edu/metadata/rpm">' % space.encode()
    ET.fromstring(text + b"".join(elements.values()) + b"</m>")


def compare(folder, what, *options):
    with tempfile.TemporaryDirectory(prefix="odcsfs-header-") as scratch:
        got, failed = ours(folder, pathlib.Path(scratch) / "out", *options)
    want, words = theirs(folder)
    check(not failed, what, failed)
    for kind in KINDS:
        check(sorted(got[kind]) == sorted(want[kind]), what, kind, len(got[kind]), len(want[kind]), words)
        for key in got[kind].keys() & want[kind].keys():
            check(got[kind][key] == want[kind][key], what, kind, key, "\nours\n", got[kind][key].decode(),
                  "\ntheirs\n", want[kind][key].decode())
        well_formed(got[kind], kind)
    print(f"{what}: {len(want['primary'])} packages")


def lay_out(folder, packages):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, content in packages.items():
        (folder / f"{name}.rpm").write_bytes(content)
    return folder


# ---- RPMs that are there -------------------------------------------------------

def check_folder(source, scratch):
    """createrepo_c writes beside what it reads, so a copy is looked at"""
    copy = scratch / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    count = 0
    for path in sorted(source.rglob("*.rpm")):
        if path.is_file() and not path.is_symlink():
            to = copy / path.relative_to(source)
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, to)
            count += 1
    if not count:
        print(f"skipped: there are no RPMs in {source.name}")
        return
    compare(copy, source.name)
    compare(copy, source.name + " by range", "-r")


def check_archive(archive, scratch):
    if not archive.exists():
        print(f"skipped: there is no {archive.name}")
        return
    top = scratch / "topdir"
    top.mkdir()
    subprocess.run(["tar", "-I", "zstd", "-xf", archive, "-C", top], check=True)
    check_folder(top, scratch)


# ---- RPMs made here --------------------------------------------------------------

def check_repairs(scratch):
    """where createrepo_c leaves a package out, or writes what is no XML, ours is repaired"""
    packages, wanted = cases.repairs()
    got, failed = ours(lay_out(scratch / "repairs", packages), scratch / "out")
    check(not failed, failed)
    for kind in KINDS:
        well_formed(got[kind], kind)
        text = b"".join(got[kind].values()).decode()
        for piece in wanted[kind]:
            check(piece in text, kind, piece, text)
    print(f"repairs: {len(packages)} packages")


def check_refusals(scratch):
    """each of these is refused in words that name the path and the part"""
    refused = cases.refusals()
    folder = lay_out(scratch / "refusals", {name: content for name, (content, _, _) in refused.items()})
    for options in ((), ("-r",)):
        got, failed = ours(folder, scratch / "out", *options)
        said = {os.path.basename(line.split("\t")[0])[:-4]: line.split("\t") for line in failed}
        for name, (_, field, words) in refused.items():
            line = said.get(name, ["", "", "(it was taken)"])
            check(line[1] == field and words in line[2] and line[2].startswith(str(folder)), name, line, field, words)
        check(not got["primary"], sorted(got["primary"]))
    print(f"refusals: {len(refused)} files")


def main():
    if not shutil.which("createrepo_c"):
        print("skipped: createrepo_c is not here")
        return 77
    data = pathlib.Path(sys.argv[2])
    with tempfile.TemporaryDirectory(prefix="odcsfs-header-") as name:
        scratch = pathlib.Path(name)
        check_folder(data / "universe-small", scratch)
        check_archive(data / "koji/topdir.tar.zst", scratch)
        for more in sys.argv[3:]:
            check_folder(pathlib.Path(more), scratch)
        lay_out(scratch / "cases", cases.same())
        compare(scratch / "cases", "cases")
        compare(scratch / "cases", "cases by range", "-r")
        compare(lay_out(scratch / "random", cases.at_random(random.Random(1), 1000)), "at random", "-t", "3")
        check_repairs(scratch)
        check_refusals(scratch)
        cases.build(scratch / "built", compare)
    print(checks, "checks,", failures, "failed")
    return 1 if failures or not checks else 0


if __name__ == "__main__":
    program = os.path.abspath(sys.argv[1])
    sys.exit(main())
