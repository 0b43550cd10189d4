#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tests/system/koji.py: [koji] in the configuration, and who may use the network because of it."""
import pathlib, subprocess

from harness import ODCSFS, Service, check, end, same


def refused(option, *words, hidden="s3cret"):
    answer = subprocess.run([ODCSFS, "config", "-c", "/dev/null", "-o", option], capture_output=True, text=True,
                            check=False)
    same(answer.returncode, 2, option)
    for word in words:
        check(word in answer.stderr, f"{word!r} in {answer.stderr!r}")
    check(hidden not in answer.stderr + answer.stdout, f"a password is shown: {answer.stderr}")


def values():
    for key in ("hub", "topurl", "proxy"):
        for value in ("ftp://u:s3cret@h/", "u:s3cret@h", "http://", "https://u:s3cret@h/?x", "http://u:s3cret@h/ x"):
            refused(f"koji.{key}={value}", f"koji.{key} must be an http:// or https:// URL")
    refused("koji.sigkeys=7ec1b334 a4f1cd2", '"a4f1cd2" is neither 8 hexadecimal digits nor')
    refused("koji.sigkeys=7ec1b33g", "is neither 8 hexadecimal digits nor")
    refused("koji.topdir=mnt/koji", "koji.topdir must be an absolute path")
    refused("koji.timeout=0", "koji.timeout must lie between 1 and 86400")
    answer = subprocess.run([ODCSFS, "config", "-c", "/dev/null", "-o", "koji.hub=https://koji.example.com/kojihub",
                             "-o", "koji.sigkeys=7ec1b334 A4F1CD23 ''"], capture_output=True, text=True, check=False)
    same(answer.returncode, 0, "good values")
    for line in ("hub=https://koji.example.com/kojihub", "sigkeys=7ec1b334 A4F1CD23 ''", "topdir=/mnt/koji", "timeout=300"):
        check(f"\n{line}\n" in answer.stdout, f"{line} is printed")


def options_of_workers(*options):
    """the words with which each worker was started, for two of them"""
    with Service("odcsfs.workers=2", *options, mount=False) as service:
        return [pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1] for pid in service.workers(2)]


def network():
    for words in options_of_workers():
        check(b"--network" not in words, f"no hub, no network: {words}")
    for words in options_of_workers("koji.hub=http://us3r:s3cret@127.0.0.1:1/kojihub"):
        check(b"--network" in words, f"a hub, so the network: {words}")
        check(not any(b"s3cret" in word for word in words), f"a password where every user sees it: {words}")


values()
network()
end()
