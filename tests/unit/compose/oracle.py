#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Composes as others see them: createrepo_c writes the same, mergerepo_c and dnf read them.

usage: oracle.py COMPOSE-TREE TESTS-DATA

Each repository of a compose is laid out as files; createrepo_c then describes the same RPMs anew, and
both descriptions must be the same canonical XML, package by package. 77: createrepo_c is not here."""

import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET

REPO = "{http://linux.duke.edu/metadata/repo}"
SPACES = {
    "primary": "{http://linux.duke.edu/metadata/common}",
    "filelists": "{http://linux.duke.edu/metadata/filelists}",
    "other": "{http://linux.duke.edu/metadata/other}",
}
TIMESTAMP = 1700000000

checks = 0
failures = 0
notes = []


def check(condition, *words):
    global checks, failures
    checks += 1
    if not condition:
        failures += 1
        print("failed:", *words)


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    check(done.returncode == 0, command, done.returncode, done.stderr[-800:])
    return done.stdout


def read(path):
    with open(path, "rb") as file:
        return file.read()


def unpack(path):
    if path.endswith(".gz"):
        return gzip.decompress(read(path))
    if path.endswith(".zst"):
        return subprocess.run(["zstd", "-dc", path], stdout=subprocess.PIPE, check=True).stdout
    return read(path)


def records(tree):
    """type -> (path, record) of a repository, in the order of repomd.xml"""
    root = ET.fromstring(read(os.path.join(tree, "repodata/repomd.xml")))
    return {
        data.get("type"): (os.path.join(tree, data.find(REPO + "location").get("href")), data)
        for data in root.findall(REPO + "data")
    }


def check_repomd(tree, reference):
    """Every statement is true, and the form is createrepo_c's."""
    for kind, (path, data) in records(tree).items():
        content = read(path)
        digest = hashlib.sha256(content).hexdigest()
        check(data.find(REPO + "checksum").text == digest, path)
        check(os.path.basename(path).startswith(digest + "-"), path)
        check(int(data.find(REPO + "size").text) == len(content), path)
        check(int(data.find(REPO + "timestamp").text) == TIMESTAMP, path)
        if kind != "group":
            plain = unpack(path)
            check(data.find(REPO + "open-checksum").text == hashlib.sha256(plain).hexdigest(), path)
            check(int(data.find(REPO + "open-size").text) == len(plain), path)
    for kind, (path, data) in records(reference).items():
        ours = records(tree).get(kind)
        check(ours is not None, tree, kind)
        if ours is not None:
            form = [(part.tag, sorted(part.keys())) for part in ours[1]]
            check(form == [(part.tag, sorted(part.keys())) for part in data], tree, kind, form)
    head = read(os.path.join(tree, "repodata/repomd.xml")).split(b"<data")[0]
    want = read(os.path.join(reference, "repodata/repomd.xml")).split(b"<data")[0]
    check(head == want, head, want)


def packages(tree, kind):
    """pkgid (and location) -> canonical XML of each package"""
    path = records(tree)[kind][0]
    text = unpack(path)
    root = ET.fromstring(text)
    found = {}
    for element in root.findall(SPACES[kind] + "package"):
        if kind == "primary":
            key = element.find(SPACES[kind] + "location").get("href")
        else:
            key = element.get("pkgid")
        check(key not in found, path, key)
        found[key] = ET.canonicalize(ET.tostring(element), strip_text=True)
    check(int(root.get("packages")) == len(found), path)
    return found, text.split(b"<package ")[0]


def check_tree(tree, scratch):
    """Against what createrepo_c makes of the same files."""
    reference = os.path.join(scratch, "reference")
    shutil.rmtree(reference, ignore_errors=True)
    shutil.copytree(os.path.join(tree, "Packages"), os.path.join(reference, "Packages"))
    run("createrepo_c", "-q", "--no-database", "--revision", str(TIMESTAMP),
        "--set-timestamp-to-revision", reference)
    check_repomd(tree, reference)
    count = 0
    for kind in SPACES:
        ours, our_head = packages(tree, kind)
        theirs, their_head = packages(reference, kind)
        check(our_head == their_head, kind, our_head, their_head)
        check(sorted(ours) == sorted(theirs), tree, kind, "different packages")
        for key in ours.keys() & theirs.keys():
            check(ours[key] == theirs[key], tree, kind, key, ours[key], theirs[key])
        count = len(ours)
    return count


def check_merge(trees, scratch):
    """mergerepo_c reads all of them together, with their groups."""
    out = os.path.join(scratch, "merged")
    shutil.rmtree(out, ignore_errors=True)
    run("mergerepo_c", "--all", "--no-database", "-o", out,
        *[word for tree in trees for word in ("-r", tree)])
    merged, _ = packages(out, "primary")
    want = {key.split("/")[-1] for tree in trees for key in packages(tree, "primary")[0]}
    check({key.split("/")[-1] for key in merged} == want, "mergerepo_c", trees)
    check(b"odcs-group" in unpack(records(out)["group"][0]), "group lost in the merger")


def check_dnf(tree, arch, scratch):
    """dnf loads a repository and sees each package, the group and the module."""
    root, own = os.path.join(scratch, "root"), os.path.join(scratch, "dnf")
    for folder in (root, own):
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
    dnf = ["dnf", "-q", "--setopt=reposdir=/nonexistent", "--setopt=cachedir=" + own,
           "--setopt=persistdir=" + own, "--setopt=logdir=" + own,
           "--setopt=module_platform_id=platform:x", "--installroot=" + root, "--releasever=1",
           "--forcearch=" + arch, "--setopt=gpgcheck=0", "--repofrompath=u,file://" + tree,
           "--repo=u"]
    seen = run(*dnf, "repoquery", "--available", "--qf", "%{location}").split()
    check(sorted(seen) == sorted(packages(tree, "primary")[0]), "dnf sees", tree, len(seen))
    if tree.endswith("/os"):
        groups = run(*dnf, "group", "list", "--ids", "-v")
        check("odcs-group" in groups, groups)
        check("hello" in run(*dnf, "module", "list"), "module of", tree)


def check_rpms_json(out):
    path = os.path.join(out, "compose/metadata/rpms.json")
    document = json.loads(read(path))
    check(document["header"]["type"] == "productmd.rpms", document["header"])
    files = set()
    for folder, _, names in os.walk(os.path.join(out, "compose")):
        files |= {os.path.join(folder, name) for name in names if name.endswith(".rpm")}
    listed = {
        os.path.join(out, "compose", entry["path"])
        for arch in document["payload"]["rpms"]["Temporary"].values()
        for source in arch.values()
        for entry in source.values()
    }
    check(listed == files, "rpms.json names other files than there are", listed ^ files)
    try:
        import productmd.rpms
    except ImportError:
        notes.append("productmd is not here, so it did not read rpms.json")
        return
    theirs = productmd.rpms.Rpms()
    theirs.load(path)
    again = productmd.rpms.Rpms()
    again.compose = theirs.compose
    for arch, sources in theirs.rpms["Temporary"].items():
        for source, entries in sources.items():
            for nevra, entry in entries.items():
                # productmd checks each argument, and derives the keys itself
                again.add("Temporary", arch, nevra, entry["path"], entry["sigkey"],
                          entry["category"], None if entry["category"] == "source" else source)
    check(again.rpms == theirs.rpms or not files, "productmd sorts the packages otherwise")


def check_compose(program, name, arches, form, repositories):
    with tempfile.TemporaryDirectory(prefix="odcsfs-oracle-") as scratch:
        out = os.path.join(scratch, "out")
        run(program, out, ",".join(arches), form, str(TIMESTAMP), *repositories)
        top = os.path.join(out, "compose/Temporary")
        trees = [os.path.join(top, "source/tree")]
        for arch in arches:
            trees += [os.path.join(top, arch, "os"), os.path.join(top, arch, "debug/tree")]
        counts = [check_tree(tree, scratch) for tree in trees] if form == "gz" else []
        if form == "gz":  # mergerepo_c 0.17 knows no zstd
            check_merge(trees, scratch)
        if shutil.which("dnf"):
            for arch, tree in [("x86_64", trees[0])] + [
                    (arches[i // 2], tree) for i, tree in enumerate(trees[1:])]:
                check_dnf(tree, arch, scratch)
        else:
            notes.append("dnf is not here")
        check_rpms_json(out)
        print(name, form, counts)


def main():
    if not shutil.which("createrepo_c"):
        print("skipped: createrepo_c is not here")
        return 77
    program, data = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    small = os.path.join(data, "universe-small")
    hello = os.path.join(data, "compose/hello")
    check_compose(program, "nothing", ["x86_64"], "gz", [])
    check_compose(program, "hello", ["x86_64", "aarch64"], "gz", [hello])
    check_compose(program, "hello", ["x86_64"], "zstd", [hello])
    check_compose(program, "universe-small", ["x86_64"], "gz",
                  [os.path.join(small, "base"), os.path.join(small, "updates"), hello])
    for note in sorted(set(notes)):
        print("note:", note)
    print(checks, "checks,", failures, "failed")
    return 1 if failures or not checks else 0


if __name__ == "__main__":
    sys.exit(main())
