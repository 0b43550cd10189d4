# SPDX-License-Identifier: MIT
"""tests/system/productmd.py: the metadata of composes, read by productmd from PyPI."""
import json, os, pathlib, sys, tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import *
import modulekit, pypi

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


READ_MODULES = """
import sys, json, productmd.common
from productmd.compose import Compose
from productmd.modules import Modules
top = Compose(sys.argv[1])
again = Modules()
again.compose = top.modules.compose
for variant, arches in top.modules.modules.items():
    for arch, modules in arches.items():
        for uid, module in modules.items():
            for category, path in module["modulemd_path"].items():
                again.add(variant, arch, uid, module["metadata"]["koji_tag"] or "none", path, category, module["rpms"])
text = again.dumps().replace('"koji_tag": "none"', '"koji_tag": null')
print(json.dumps({"same": json.loads(text) == json.load(open(sys.argv[1] + "/compose/metadata/modules.json")),
                  "modules": top.modules.modules["Temporary"]["x86_64"]}))
"""


def check_modules(python):
    """modules.json is what productmd would make of the same members"""
    tool = modulekit.needed()
    if tool:
        print(f"not tested: modules.json: no {tool}", flush=True)
        return
    with tempfile.TemporaryDirectory(prefix="odcsfs-productmd-") as folder:
        folder = pathlib.Path(folder)
        modulekit.build_rpms(folder, [("hello", "1.0", [], [])])
        modulekit.make_repository(folder, [modulekit.stream("hello", "1", 10, "c1", [modulekit.nevra("hello", "1.0")])])
        with Service(f"module.repos={folder}") as service:
            number = service.compose("hello", {"source": {"type": "module", "source": "hello:1"}})
            read = run(python, "-c", READ_MODULES, service.mnt / f"composes/{number}")
            if same(read.returncode, 0, f"productmd reads modules: {read.stderr[-2000:]}"):
                seen = json.loads(read.stdout)
                same((seen["same"], seen["modules"]["hello:1:10:c1"]["rpms"]), (True, ["hello-0:1.0-1.module.x86_64"]),
                     "modules.json")


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
    check_modules(python)
    end()


main()
