# SPDX-License-Identifier: MIT
"""tests/bench/listing.py: a hub's long answer (4,000 builds, 48,000 rows, 64 MB) read by odcsfs and by Koji's client.

The client comes from PyPI (`koji`, without what it needs to log in) into a folder of its own; where that does not work,
Python's xmlrpc.client stands in and a line on stderr says so. Both read the same file, no network is between."""
import pathlib, subprocess, sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "system"))
import harness
import replayhub

BUILDS, ROWS = 4000, 48000
MEASURE = pathlib.Path(harness.ODCSFS).resolve().parents[2] / "tests/unit/koji/koji-measure"

PEER = """
import re, sys, time
def peak(): return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024
if sys.argv[2] == "koji":
    from koji.xmlrpcplus import getparser
else:
    from xmlrpc.client import getparser
before, started = peak(), time.monotonic()
parser, unmarshaller = getparser()
with open(sys.argv[1], "rb") as file:
    while piece := file.read(8192): # as the client does
        parser.feed(piece)
parser.close()
rows = unmarshaller.close()[0][0]
took = time.monotonic() - started
print(len(rows), took, peak() - before)
"""


def peer_python(folder):
    """(python, name of the parser)"""
    python = folder / "venv/bin/python3"
    try:
        subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True, capture_output=True)
        for packages in (["--no-deps", "koji"], ["requests", "six", "python-dateutil", "defusedxml"]):
            subprocess.run([str(python), "-m", "pip", "-q", "install", *packages], check=True, capture_output=True,
                           timeout=300)
        subprocess.run([str(python), "-c", "import koji.xmlrpcplus"], check=True, capture_output=True)
        return str(python), "koji"
    except (OSError, subprocess.SubprocessError):
        print("koji.decode: the koji client cannot be had, its peer is xmlrpc.client", file=sys.stderr)
        return sys.executable, "xmlrpc"


def measure(folder, runs):
    """two lists, ours and the peer's, of (seconds, bytes by which memory grew)"""
    answer = folder / "answer.xml"
    answer.write_bytes(replayhub.MadeTag("big", BUILDS).listing(rpmsigs=True, extra=True, arch=None))
    python, parser = peer_python(folder)
    ours, peers = [], []
    for _ in range(runs):
        words = subprocess.run([MEASURE, answer], check=True, capture_output=True, text=True).stdout.split()
        assert words[:2] == [str(ROWS // 2)] * 2, words # each RPM once, each with its one key
        ours.append((float(words[2]), int(words[3])))
        words = subprocess.run([python, "-c", PEER, str(answer), parser], check=True, capture_output=True,
                               text=True).stdout.split()
        assert words[0] == str(ROWS), words
        peers.append((float(words[1]), int(words[2])))
    return ours, peers
