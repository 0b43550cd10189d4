# SPDX-License-Identifier: MIT
"""tests/system/pypi.py: programs from PyPI that the service is held against, each in an environment of its own.

They are kept below $ODCSFS_CACHE (the build folder) and found there again by the next run; without it they go with
the test's own folder. Where pip has no way out, the reason is told.
"""
import atexit, os, pathlib, shutil, sys, tempfile

from harness import check, end, run

NO_WAY_OUT = ("Failed to establish a new connection", "Temporary failure in name resolution", "ProxyError",
              "Network is unreachable", "Connection refused", "ConnectTimeoutError", "ReadTimeoutError",
              "No matching distribution found", "Could not find a version")


def environment(name, requirement, probe, *options):
    """(folder of the virtual environment, None), or (None, why there is none). @probe: Python that fails where it is
    not whole; @options: of venv. An index that answers but does not install what is asked for is a failure."""
    cache = os.environ.get("ODCSFS_CACHE")
    if not cache:
        cache = tempfile.mkdtemp(prefix="odcsfs-venv-")
        atexit.register(shutil.rmtree, cache, ignore_errors=True)
    venv = pathlib.Path(cache) / name
    python = venv / "bin/python"
    if python.exists() and run(python, "-I", "-c", probe).returncode == 0:
        return venv, None
    made = run(sys.executable, "-m", "venv", "--clear", *options, venv)
    if made.returncode:
        return None, f"python3 -m venv: {(made.stderr or made.stdout).strip().splitlines()[-1]}"
    pip = run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1", "--timeout",
              "30", requirement)
    if pip.returncode:
        words = (pip.stderr.strip() or "no words").splitlines()[-1]
        if not check(any(way in pip.stderr for way in NO_WAY_OUT), f"pip install {requirement}: {pip.stderr[-2000:]}"):
            end()
        return None, f"pip finds no way to the package index: {words}"
    return venv, None
