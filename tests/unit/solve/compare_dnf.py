#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compare solve_run() with dnf: for random sets of names the packages must be those of `dnf install`.

compare_dnf.py RUN REPOSITORY... [--sets N] [--seed S] [--max NAMES] [--arch ARCH]
RUN is the built tests/unit/solve/run.c. Needs python3-dnf; else exit code 77. Sets that dnf cannot
install (conflicts) are solved apart by us, so there only this is checked: every name is in the answer.
"""
import argparse
import glob
import gzip
import os
import random
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET

try:
    import dnf
except ImportError:
    print("skipped: python3-dnf is not here")
    sys.exit(77)

NS = "{http://linux.duke.edu/metadata/common}"


def nevras(primary):
    """NEVRA and name of each package, in the order of the file"""
    result = []
    for _, element in ET.iterparse(primary):
        if element.tag == NS + "package":
            version = element.find(NS + "version").attrib
            name = element.findtext(NS + "name")
            result.append(("%s-%s:%s-%s.%s" % (name, version["epoch"], version["ver"],
                                                version["rel"], element.findtext(NS + "arch")),
                           name))
            element.clear()
    return result


def dnf_base(repositories, work):
    base = dnf.Base()
    conf = base.conf
    conf.cachedir = os.path.join(work, "cache")
    conf.persistdir = os.path.join(work, "persist")
    conf.logdir = os.path.join(work, "log")
    conf.installroot = os.path.join(work, "root")
    conf.install_weak_deps = False
    conf.best = False
    conf.gpgcheck = False
    conf.plugins = False
    conf.substitutions["releasever"] = "1"
    for path in conf.installroot, conf.logdir:
        os.makedirs(path)
    for i, path in enumerate(repositories):
        base.repos.add_new_repo("r%d" % i, conf, baseurl=["file://" + os.path.abspath(path)])
    base.fill_sack(load_system_repo=False)
    return base


def dnf_install(base, names):
    base.reset(goal=True)
    for name in names:
        base.install(name)
    try:
        base.resolve()
    except dnf.exceptions.DepsolveError:
        return None
    return {"%s-%d:%s-%s.%s" % (p.name, p.epoch, p.version, p.release, p.arch)
            for p in base.transaction.install_set}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("run")
    parser.add_argument("repositories", nargs="+")
    parser.add_argument("--sets", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--max", type=int, default=12)
    parser.add_argument("--arch", default="x86_64")
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as work:
        primaries, packages = [], []
        for i, path in enumerate(arguments.repositories):
            source, = glob.glob(os.path.join(path, "repodata", "*-primary.xml.gz"))
            primaries.append(os.path.join(work, "%d.xml" % i))
            with gzip.open(source) as xml, open(primaries[-1], "wb") as out:
                out.write(xml.read())
            packages.append(nevras(primaries[-1]))
        names = sorted({name for repository in packages for _, name in repository})
        sets = [rng.sample(names, rng.randint(1, min(arguments.max, len(names))))
                for _ in range(arguments.sets)]
        answer = subprocess.run([arguments.run, arguments.arch] + primaries, check=True, text=True,
                                input="".join(" ".join(s) + "\n" for s in sets),
                                stdout=subprocess.PIPE).stdout.splitlines()
        base = dnf_base(arguments.repositories, work)
        equal = apart = failed = 0
        for wanted, line in zip(sets, answer, strict=True):
            chosen, _, missing = line.partition("|")
            ours = {packages[int(r)][int(i)] for r, i in re.findall(r"(\d+):(\d+)", chosen)}
            theirs = dnf_install(base, wanted)
            if theirs is None:
                apart += 1
                ok = set(wanted) <= {name for _, name in ours} and not missing.strip()
            else:
                equal += 1
                ok = {nevra for nevra, _ in ours} == theirs and not missing.strip()
            if not ok:
                failed += 1
                ours = {nevra for nevra, _ in ours}
                print("differs:", *wanted, "\n  only dnf:", *sorted((theirs or set()) - ours),
                      "\n  only we:", *sorted(ours - (theirs or ours)))
        print("%d sets compared, %d solved apart, %d failed" % (equal, apart, failed))
        return 1 if failed or not equal else 0


if __name__ == "__main__":
    sys.exit(main())
