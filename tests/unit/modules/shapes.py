#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tests/unit/modules/shapes.py: documents in which one value has another shape.

    shapes.py MODULES-SPEAK

A full document of each kind is made, then each value of it in turn is replaced by each of WRONG, or its key is
given twice. Whatever comes of it, modules-speak lives on, says words, and still knows the good module behind it.
libmodulemd frees some of its errors twice; such a death is seen by the sanitizer, and mostly by glibc. That it leaks
now and then is no matter here."""
import copy, json, os, subprocess, sys, tempfile

BATCH = 100 # documents in one file

WRONG = [None, "x", -1, 1.5, True, "", [], {}, ["a"], [["a"]], {"a": "b"}, [{"a": "b"}], {"a": ["b"]}, {"a": {"b": "c"}},
         "18446744073709551616", "2024-05-01T00:00Z"]

STREAM = {"document": "modulemd", "version": 2, "data": {
    "name": "full", "stream": "1", "version": 7, "context": "abcd", "static_context": True, "arch": "x86_64",
    "summary": "s", "description": "d",
    "servicelevels": {"rawhide": {}, "bug_fixes": {"eol": "2077-10-23"}},
    "license": {"module": ["MIT"], "content": ["MIT"]},
    "xmd": {"some": "data", "list": ["a", {"b": "c"}], "flag": True},
    "dependencies": [{"buildrequires": {"platform": ["f29"]}, "requires": {"platform": ["-f28"], "good": []}}],
    "references": {"community": "http://a", "documentation": "http://b", "tracker": "http://c"},
    "profiles": {"default": {"description": "d", "rpms": ["full"]}},
    "api": {"rpms": ["full"]}, "filter": {"rpms": ["other"]}, "demodularized": {"rpms": ["gone"]},
    "buildopts": {"rpms": {"macros": "%a b", "whitelist": ["full"]}, "arches": ["x86_64"]},
    "components": {
        "rpms": {"full": {"rationale": "r", "name": "full", "repository": "http://a", "cache": "http://b", "ref": "c",
                          "buildroot": False, "srpm-buildroot": False, "buildonly": False, "buildafter": ["other"], "arches": ["x86_64"], "multilib": ["x86_64"]},
                 "other": {"rationale": "r"}},
        "modules": {"sub": {"rationale": "r", "repository": "http://a", "ref": "c", "buildonly": False}}},
    "artifacts": {"rpms": ["full-0:1-1.x86_64"], "rpm-map": {"sha256": {"ee47083ed80146eb2c84e9a94d0836393912185dcda62b9d93ee0c2ea5dc795b": {
        "name": "full", "epoch": 0, "version": "1", "release": "1", "arch": "x86_64", "nevra": "full-0:1-1.x86_64"}}}}}}
FIRST = {"document": "modulemd", "version": 1, "data": {
    **{key: STREAM["data"][key] for key in ("name", "stream", "version", "context", "arch", "summary", "description", "license",
                                            "xmd", "references", "profiles", "api", "filter", "buildopts")},
    "components": {"rpms": {"full": {"rationale": "r", "ref": "c", "buildorder": 1, "arches": ["x86_64"], "multilib": []}},
                   "modules": {"sub": {"rationale": "r", "ref": "c", "buildorder": 2}}},
    "eol": "2077-10-23", "artifacts": {"rpms": ["full-0:1-1.x86_64"]},
    "dependencies": {"buildrequires": {"platform": "f29"}, "requires": {"platform": "f29"}}}}
DEFAULTS = {"document": "modulemd-defaults", "version": 1, "data": {
    "module": "good", "modified": 1, "stream": "1", "profiles": {"1": ["a"]},
    "intents": {"desktop": {"stream": "1", "profiles": {"1": ["a"]}}}}}
OBSOLETES = {"document": "modulemd-obsoletes", "version": 1, "data": {
    "modified": "2024-05-01T00:00Z", "reset": False, "module": "good", "stream": "1", "context": "abcd",
    "eol_date": "2030-01-01T00:00Z", "message": "m", "obsoleted_by": {"module": "good", "stream": "2"}}}
TRANSLATIONS = {"document": "modulemd-translations", "version": 1, "data": {
    "module": "good", "stream": "1", "modified": 1, "translations": {"de": {"summary": "s", "description": "d",
                                                                            "profiles": {"default": "d"}}}}}
GOOD = {"document": "modulemd", "version": 2, "data": {
    "name": "good", "stream": "1", "version": 1, "context": "abcd", "arch": "x86_64", "summary": "s", "description": "d",
    "license": {"module": ["MIT"]}}}


def paths(value, at=()):
    yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from paths(inner, at + (key,))


def changed(document, path, value):
    if not path:
        return value
    document = copy.deepcopy(document)
    at = document
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return document


def variants():
    """text and what was done"""
    for document in (STREAM, FIRST, DEFAULTS, OBSOLETES, TRANSLATIONS):
        kind = f"{document['document']} {document['version']}"
        yield json.dumps(document), kind
        for path in paths(document):
            where = f"{kind} {'.'.join(map(str, path))}"
            for wrong in WRONG:
                yield json.dumps(changed(document, path, wrong)), f"{where} = {json.dumps(wrong)}"
            if path and isinstance(path[-1], str):
                text = json.dumps(changed(document, path, "@@"))
                for wrong in (None, [], {"a": "b"}):
                    twice = f"{json.dumps(document_value(document, path))}, {json.dumps(path[-1])}: {json.dumps(wrong)}"
                    yield text.replace('"@@"', twice), f"{where} twice, then {json.dumps(wrong)}"


def document_value(document, path):
    for key in path:
        document = document[key]
    return document


def named(text, number):
    """of documents of streams each has a name of its own, to be asked for"""
    return text.replace('"name": "full", "stream"', f'"name": "full{number}", "stream"', 1)


def run(program, texts):
    """answers, exit code and words"""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        texts = [*(named(text, number) for number, text in enumerate(texts)), json.dumps(GOOD)]
        file.write("".join(f"---\n{text}\n...\n" for text in texts))
        file.flush()
        questions = "".join(f"resolve full{number}:1\nyaml x86_64 full{number}:1\n" for number in range(len(texts) - 1))
        child = subprocess.run([program, file.name], input=f"{questions}resolve good:1\nyaml x86_64 good:1\n".encode(),
                               capture_output=True, timeout=60, env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})
    return child.stdout.decode(errors="replace").splitlines(), child.returncode, child.stderr.decode(errors="replace")


def is_good(answer):
    lines, code, words = answer
    return (code == 0 and "set good:1:1:abcd=requested" in lines and "CRITICAL" not in words
            and not any(line.endswith(": (null)") for line in lines))


def main(program):
    failures = count = read = 0
    everything = list(variants())
    for first in range(0, len(everything), BATCH):
        batch = everything[first:first + BATCH]
        count += len(batch)
        answer = run(program, [text for text, _ in batch])
        read += sum(line.startswith("set full") for line in answer[0])
        if is_good(answer):
            continue
        alone = [(what, answer) for text, what in batch if not is_good(answer := run(program, [text]))]
        failures += len(alone) or 1
        for what, (lines, code, words) in alone or [("these together", answer)]:
            print("FAILED:", what, code, lines[:4], words[-2000:])
    print(f"{count} documents, {read} of them read, {failures} failed")
    return failures > 0 or read < 500


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
