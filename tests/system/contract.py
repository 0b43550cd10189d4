# SPDX-License-Identifier: MIT
"""tests/system/contract.py: the contracts of the tree and of HTTP, table by table, against the whole service."""
import pathlib, sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import *

HERE = pathlib.Path(__file__).parent


def table(label, *command):
    """one script's cases: its own output is shown when a case failed"""
    answer = run(sys.executable, *command)
    lines = answer.stdout.strip().splitlines()
    print(f"{label}: {lines[-1] if lines else answer.stderr[-500:]}", flush=True)
    if not same(answer.returncode, 0, label):
        print(*(line for line in lines if "FAIL" in line.upper()), answer.stderr[-2000:], sep="\n")


def main():
    need_fuse()
    with Service(f"repo.allowed={UNIVERSE}") as service:
        table("tree", HERE / "tree.py", service.mnt, BASE, "openssl")
        table("http", HERE / "rest.py", "--url", service.url)
    end()


main()
