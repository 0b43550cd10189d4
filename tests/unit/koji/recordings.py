#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tests/unit/koji/recordings.py SPEAK: every recorded answer decoded by us and by Python's xmlrpc.client, and our calls
decoded by the latter: the same values with the same types."""
import io, json, pathlib, subprocess, sys, xmlrpc.client

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "system"))
from harness import check, end, same
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


answers()
calls()
end()
