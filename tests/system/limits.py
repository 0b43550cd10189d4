# SPDX-License-Identifier: MIT
"""tests/system/limits.py: each limit has a name, a default, a meaning and a place in the manual; who reaches one is told.

promises = 24
"""
import configparser, errno, json, os, pathlib, re, subprocess, sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import *

SET = {"limits.packages": 3, "limits.body": 2048, "limits.drafts": 2, "limits.live_composes_per_user": 2}


def test_names():
    """as `odcsfs config` prints them, from which the manual's table of keys is made"""
    text = run(ODCSFS, "config", "-c", "/dev/null").stdout
    keys = configparser.ConfigParser(interpolation=None)
    keys.read_string(text)
    manual = (SOURCE / "docs/odcsfs.8.scd").read_text()
    limits = manual[manual.index("\n# LIMITS\n"):manual.index("\n# ERRORS\n")] + manual[manual.index("\n# TIME AND SPACE\n"):]
    for name, default in keys["limits"].items():
        check(re.fullmatch(r"\d+", default), f"limits.{name} has a default: {default!r}")
        check(re.search(rf"; .*[a-z].*\n{name}=", text), f"limits.{name} has a meaning")
        if name not in ("worker_pools", "worker_cpu_seconds"): # a cache's size; the words of the signal say it
            check(f"*limits.{name}*" in limits, f"limits.{name} stands in the manual's chapter of limits")
        for wrong in ("many", "-1", "99999999999999999999"):
            answer = run(ODCSFS, "config", "-c", "/dev/null", "-o", f"limits.{name}={wrong}")
            same(answer.returncode, 2, f"limits.{name}={wrong}")
            check(f"limits.{name}" in answer.stderr, f"limits.{name}={wrong}: {answer.stderr!r}")


def refused(service, name, spec):
    """(errno of the close, words of `error`) in the tree"""
    request = service.mnt / "requests" / name
    try:
        os.mkdir(request)
        service.write_spec(request, spec)
    except OSError as error:
        return error.errno, (request / "error").read_text() if request.exists() else ""
    return 0, ""


def test_reached(service):
    many, one = repo_spec(BASE, packages=["a", "b", "c", "d"]), repo_spec(BASE, packages=["nginx"])
    number, words = refused(service, "many", many)
    same(number, errno.EINVAL, "too many packages in the tree")
    answer = service.call("POST", "/api/1/composes/", many)
    same(answer.status, 400, "too many packages over REST")
    for text in words, answer.json["message"]:
        check("packages has 4 members, at most 3 are allowed" in text, f"which, and how much: {text!r}")
    answer = service.call("POST", "/api/1/composes/", repo_spec(BASE, packages=["a" * 3000]))
    same(answer.status, 413, "a body that is too long")
    check("2048 bytes" in answer.json["message"] and "limits.body" in answer.json["message"], answer.json["message"])
    same(refused(service, "second", "{")[0], errno.EINVAL, "the second draft")
    same(refused(service, "third", one)[0], errno.EDQUOT, "the third draft")
    for name in "many", "second":
        os.rmdir(service.mnt / "requests" / name)
    for i in range(2):
        same(refused(service, f"live{i}", one)[0], 0, "a compose")
        same(service.call("POST", "/api/1/composes/", one).status, 200, "a compose of another owner")
    same(refused(service, "live2", one)[0], errno.EDQUOT, "one compose too many in the tree: mkdir already says so")
    answer = service.call("POST", "/api/1/composes/", one)
    same(answer.status, 403, "one compose too many over REST")
    text = answer.json["message"]
    check("has 2 composes" in text and "live_composes_per_user" in text, f"which, and how much: {text!r}")


def main():
    need_fuse()
    test_names()
    with Service(f"repo.allowed={UNIVERSE}", *(f"{key}={value}" for key, value in SET.items())) as service:
        test_reached(service)
    end()


main()
