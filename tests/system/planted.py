# SPDX-License-Identifier: MIT
"""tests/system/planted.py: passwords of the configuration are in no log, error, record, page or figure, also when what they are
for fails; only `odcsfs config` shows them.

promises = 22
"""
import json, pathlib, sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import *

SECRET = "Zx7-planted-secret-qQ9"
NOWHERE = "127.0.0.1:9" # nobody listens


def seen(service, numbers):
    """name → text of all that somebody can read"""
    texts = {"log of the service": service.log_text()}
    for folder in ("logs", "manifests", "blobs", "work", "origins"):
        for path in (service.state / folder).rglob("*"):
            if path.is_file():
                texts[f"state/{folder}/{path.name}"] = path.read_bytes().decode(errors="replace")
    for path in ("/", "/api/1/about/", "/api/1/composes/", "/api/1/metrics/", "/api/1/openapi.json", "/metrics"):
        texts[path] = service.call("GET", path).body.decode(errors="replace")
    for number in numbers:
        for path in (f"/api/1/composes/{number}", f"/compose/{number}", f"/composes/{number}/pungi-stderr.log"):
            texts[path] = service.call("GET", path).body.decode(errors="replace")
    for path in [service.mnt / "version", service.mnt / "metrics", service.mnt / "README",
                 *(p for p in (service.mnt / "requests").glob("*/*") if p.name in ("error", "log", "compose.json", "status", "spec.json"))]:
        texts[str(path.relative_to(service.mnt))] = path.read_text(errors="replace")
    return texts


def main():
    need_fuse()
    with Service(f"repo.allowed={UNIVERSE} http://{NOWHERE}/", f"repo.proxy=http://proxy:{SECRET}@{NOWHERE}", f"koji.hub=http://hub:{SECRET}@{NOWHERE}/hub",
                 f"koji.topurl=http://files:{SECRET}@{NOWHERE}/top", f"koji.proxy=http://proxy:{SECRET}@{NOWHERE}", "koji.timeout=2", "repo.timeout=2",
                 "odcsfs.log_level=debug") as service:
        numbers = [service.compose("tag", {"source": {"type": "tag", "source": "f26", "packages": ["x"]}}, want="failed"),
                   service.compose("url", repo_spec(f"http://{NOWHERE}/repo", packages=["x"]), want="failed"),
                   service.compose("good", repo_spec(BASE, packages=["sed"]))]
        answer = service.call("POST", "/api/1/composes/", repo_spec(f"http://user:{SECRET}@{NOWHERE}/repo", packages=["x"]))
        same(answer.status // 100, 4, "a URL with a password is refused")
        check(SECRET not in answer.body.decode(), f"and not repeated: {answer.body}")
        for name in ("tag", "url"):
            check((service.mnt / "requests" / name / "error").read_text(), f"{name}: its failure has words")
        for name, text in seen(service, numbers).items():
            check(SECRET not in text, f"{name} tells a password: {text[max(0, text.find(SECRET) - 200):text.find(SECRET) + 40]!r}")
    bad = run(ODCSFS, "config", "-c", "/dev/null", "-o", f"koji.proxy=ftp://p:{SECRET}@x")
    same((bad.returncode, SECRET in bad.stderr), (2, False), f"a wrong URL is not shown: {bad.stderr!r}")
    end()


main()
