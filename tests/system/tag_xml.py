#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tests/system/tag_xml.py: the metadata of a tag's compose is what createrepo_c says of the same files, byte by byte, for
every RPM of the small universe and of a repository that a module build left (data/ed-repo beside the checkout, or below
ODCSFS_SHARED)."""
import gzip, os, pathlib, re, shutil, subprocess, sys, tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import *
import kojikit, replayhub
from tagkit import Field, repodata, tag_spec

ED = pathlib.Path(os.environ.get("ODCSFS_SHARED", SOURCE / "../shared")) / "data/ed-repo"
KINDS = ("primary", "filelists", "other")


def elements(text):
    """digest of the RPM -> its element"""
    found = {}
    for piece in text.split("<package ")[1:]:
        element = "<package " + piece[:piece.rindex("</package>") + len("</package>\n")]
        digest = re.search(r'pkgid="(?:YES">)?([0-9a-f]{64})', element)[1]
        check(digest not in found, f"{digest} twice")
        found[digest] = element
    return found


def theirs(tree, scratch):
    """the same by createrepo_c of copies"""
    shutil.rmtree(scratch, ignore_errors=True)
    for file in tree.rglob("*.rpm"):
        copy = scratch / file.relative_to(tree)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, copy)
    scratch.mkdir(exist_ok=True)
    subprocess.run(["createrepo_c", "-q", "--no-database", "--compress-type", "gz", scratch], check=True,
                   env={**os.environ, "LC_ALL": "C.UTF-8"})
    return {kind: gzip.decompress(next(scratch.glob(f"repodata/*-{kind}.xml.gz")).read_bytes()).decode() for kind in KINDS}


def compare(field, files, number, scratch):
    tag = kojikit.Tag(field.hub, f"own-xml-{number}", field.builds, {1: list(field.builds.build)}, id=7050 + number)
    names = [file.name.removesuffix(".rpm") for file in files if not file.name.endswith(".src.rpm")]
    compose = field.compose(tag_spec(tag.name, packages=names, flags=["no_deps"]))
    top = field.service.tree(compose)
    same({file.name for file in top.rglob("*.rpm")}, {file.name for file in files}, "every RPM is in the compose")
    count = 0
    for tree in ("x86_64/os", "x86_64/debug/tree", "source/tree"):
        want = theirs(top / tree, scratch)
        for kind in KINDS:
            ours, others = elements(repodata(top / tree, kind)), elements(want[kind])
            same(set(ours), set(others), f"packages in {kind} of {tree}")
            for digest in ours.keys() & others.keys():
                same(ours[digest], others[digest], f"{kind} of {tree}")
            count += len(ours)
    same(count, len(KINDS) * len(list(top.rglob("*.rpm"))), "elements that were compared")
    print(f"{len(files)} RPMs, {count} elements")


def main():
    need_fuse()
    for tool in ("rpm", "createrepo_c"):
        if not shutil.which(tool):
            skip(f"{tool} is not there")
    sources = [SOURCE / "tests/data/universe-small", ED]
    with tempfile.TemporaryDirectory(prefix="odcsfs-koji-") as folder:
        os.chmod(folder, 0o755)
        for number, source in enumerate(sources):
            files = {file.name: file for file in sorted(source.rglob("*.rpm"))}.values()
            if not files:
                print(f"skipped: there are no RPMs in {source}")
                continue
            topdir = pathlib.Path(folder) / f"koji-{number}"
            topdir.mkdir()
            kojikit.lay_out(files, topdir)
            builds = kojikit.Builds(topdir)
            with replayhub.ReplayHub(topdir=topdir) as hub, \
                    Service("odcsfs.workers=1", f"koji.hub={hub.url}", f"koji.topdir={topdir}") as service:
                compare(Field(service, hub, topdir, builds), files, number, pathlib.Path(folder) / "scratch")
    end()


main()
