# SPDX-License-Identifier: MIT
"""tests/system/productmd.py: the metadata of composes, read by productmd from PyPI."""
import json, os, pathlib, sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import *
import pypi

READ = """
import sys, json, productmd
from productmd.compose import Compose
top = Compose(sys.argv[1])
info = top.info
variant = info.variants["Temporary"]
rpms = top.rpms.rpms["Temporary"]
images = top.images.images
print(json.dumps({
    "id": info.compose.id, "type": info.compose.type, "short": info.release.short, "version": info.release.version,
    "arches": sorted(variant.arches), "uid": variant.uid,
    "repository": variant.paths.repository, "debug": variant.paths.debug_repository,
    "source": variant.paths.source_repository,
    "rpms": sorted(n for arch in rpms.values() for s in arch.values() for n in s),
    "paths": sorted(r["path"] for arch in rpms.values() for s in arch.values() for r in s.values()),
    "images": len(images)}))
"""


def check_compose(service, python, number, arches):
    top = service.tree(number).parent.parent
    read = run(python, "-c", READ, top)
    if not same(read.returncode, 0, f"productmd reads {number}: {read.stderr[-2000:]}"):
        return
    seen = json.loads(read.stdout)
    same(seen["id"], (top / "COMPOSE_ID").read_text(), "compose id")
    same((seen["type"], seen["short"], seen["version"], seen["uid"]), ("test", f"odcs-{number}", "1", "Temporary"),
         "release and variant")
    same(seen["arches"], sorted(arches), "arches")
    for arch in arches:
        same(seen["repository"][arch], f"Temporary/{arch}/os", "repository")
        for kind in ("repository", "debug", "source"):
            check((top / "compose" / seen[kind][arch] / "repodata/repomd.xml").exists(), f"{kind} of {arch}")
    files = sorted(str(p.relative_to(top / "compose")) for p in (top / "compose").rglob("*.rpm"))
    same(sorted(set(seen["paths"])), files, "paths in rpms.json and files in the tree")
    same(seen["images"], 0, "images")


def main():
    need_fuse()
    venv, reason = pypi.environment("productmd-1.51", "productmd==1.51", "import productmd")
    if not venv:
        skip(reason)
    with Service(f"repo.allowed={UNIVERSE}") as service:
        python = venv / "bin/python"
        check_compose(service, python, service.compose("one", repo_spec(BASE, packages=["apache2"])), ["x86_64"])
        check_compose(service, python, service.compose("two", repo_spec(
            BASE, UPDATES, packages=["nginx"], arches=["x86_64", "aarch64"])), ["x86_64", "aarch64"])
        check_compose(service, python, service.compose("all", repo_spec(BASE)), ["x86_64"])
    end()


main()
