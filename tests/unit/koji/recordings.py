#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tests/unit/koji/recordings.py SPEAK: every recorded answer decoded by us and by Python's xmlrpc.client, and our calls
decoded by the latter: the same values with the same types. Then the files they speak of."""
import io, json, pathlib, shutil, subprocess, sys, tempfile, urllib.request, xmlrpc.client

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "system"))
from harness import check, end, same, skip
import replayhub

SPEAK = sys.argv[1]
RECORDINGS = replayhub.DATA / "recordings"


def typed(value):
    """1, 1.0 and True are different things here"""
    if isinstance(value, dict):
        return {name: typed(member) for name, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [typed(item) for item in value]
    return type(value).__name__, value


def answers():
    files = sorted(RECORDINGS.glob("*.response.xml"))
    index = {line.split("\t")[0]: line.split("\t")[3] for line in (RECORDINGS / "INDEX.tsv").read_text().splitlines()[1:]}
    out = subprocess.run([SPEAK, "decode", *map(str, files)], check=True, stdout=subprocess.PIPE).stdout
    lines = [json.loads(line) for line in out.decode().splitlines()]
    same(len(lines), len(files), "answers to files")
    seen = {"ok": 0, "fault": 0, "http400": 0}
    for path, ours in zip(files, lines):
        name = path.name.removesuffix(".response.xml")
        seen[index[name]] += 1
        try:
            theirs = xmlrpc.client.loads(path.read_bytes(), use_builtin_types=True)[0][0]
        except xmlrpc.client.Fault as fault:
            words = [line for line in fault.faultString.splitlines() if line.strip(" ^") and "LINE " not in line]
            same(ours, {"fault": [fault.faultCode, words[-1]]}, name)
        except Exception: # not XML at all
            check(ours.get("error", "").startswith("the hub's answer is no XML-RPC (syntax error): Invalid request: "),
                  f"{name}: {ours}")
        else:
            check("value" in ours and typed(ours["value"]) == typed(theirs), f"{name}: {str(ours)[:300]}")
    same(seen, {"ok": 101, "fault": 21, "http400": 3}, "recordings by result")


def calls():
    out = io.BytesIO(subprocess.run([SPEAK, "calls"], check=True, stdout=subprocess.PIPE).stdout)
    got = []
    while line := out.readline():
        body = out.read(int(line))
        params, method = xmlrpc.client.loads(body, use_builtin_types=True)
        got.append((method, typed(params)))
    want = [
        ("getLastEvent", []),
        ("kinds", [None, True, False, -2147483648, 2147483648, -(1 << 63), 1795415750.2776272, 0.1, "",
                   " <a>&\"'\t\r\né📦 ", [], {"a&b": [{}, None], "c": "d"}]),
        ("listTaggedRPMS", ["f26-candidate", {"__starstar": True, "event": 536, "arch": ["x86_64", "noarch"]}]),
        ("multiCall", [[{"methodName": "getBuild", "params": ["a-1-1"]},
                        {"methodName": "getTag", "params": [7, {"__starstar": True, "strict": True}]},
                        {"methodName": "getAPIVersion", "params": []}]]),
    ]
    same(got, [(method, typed(params)) for method, params in want], "calls")


def files():
    """the files that the recordings speak of: there, or not, as is said; and over HTTP, whole and in part"""
    if not shutil.which("zstd"):
        skip("the files of the recorded hub are packed with zstd, which is not there")
    with tempfile.TemporaryDirectory(prefix="odcsfs-koji-") as folder:
        replayhub.unpack_topdir(folder)
        top = pathlib.Path(folder)
        rows = [line.split("\t") for line in
                (RECORDINGS / "EXPECTED_paths.f26-candidate.tsv").read_text().splitlines()[2:]]
        same(len(rows), 135, "27 RPMs under 5 lists of keys")
        for _, rpm, path in rows:
            check(path == "MISSING" or (top / path).is_file(), path)
            unsigned = [p for _, name, p in rows if name == rpm and p != "MISSING" and "/signed/" not in p]
            check(unsigned or path != "MISSING", f"{rpm} has a file")
        path = next(path for _, _, path in rows if path != "MISSING")
        content = (top / path).read_bytes()
        with replayhub.ReplayHub(topdir=top) as hub:
            for asked, want in (({}, content), ({"Range": "bytes=0-95"}, content[:96]),
                                ({"Range": "bytes=96-"}, content[96:])):
                request = urllib.request.Request(f"{hub.topurl}/{path}", headers=asked)
                with urllib.request.urlopen(request) as answer:
                    same(answer.read(), want, f"{path} {asked}")
            same(hub.counts["GET"], 3, "requests counted")


answers()
calls()
files()
end()
