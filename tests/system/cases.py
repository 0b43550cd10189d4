# SPDX-License-Identifier: MIT
"""tests/system/cases.py [NAME|NUMBER|FILE...]: a hundred attempts to break the promises of docs/contract/reliability.md.

Each case is a function with the number of a promise; cases_state.py has 1–6, cases_readers.py 7–12, cases_input.py 14–20,
cases_people.py 21–25. At the end a table says which was kept. Names or numbers of promises on the command line choose;
so does one of these files, without its long cases: that is what the suite does with two of them. scripts/soak does all.
"""
import faulthandler, os, signal, sys, time

import casekit, harness
from casekit import CASES, Absent, Broken, Slow
import cases_state, cases_readers, cases_input, cases_people # noqa: F401: they register their cases

LIMIT = int(os.environ.get("ODCSFS_CASE_SECONDS", "90"))


def late(*_):
    faulthandler.dump_traceback(all_threads=True)
    raise Slow()


def run(function):
    """(result, words)"""
    before = harness.failures
    signal.signal(signal.SIGALRM, late)
    signal.alarm(LIMIT)
    try:
        try:
            function()
        finally:
            signal.alarm(LIMIT)
            casekit.look_after()
    except Broken as broken:
        return "broken", str(broken)
    except Absent as absent:
        return "skipped", str(absent)
    except Slow:
        return "broken", f"not over after {LIMIT} s"
    except Exception as error: # a case that stumbles says nothing good of the service
        import traceback
        where = traceback.extract_tb(error.__traceback__)[-1]
        return "broken", f"{error!r} at {os.path.basename(where.filename)}:{where.lineno}"
    finally:
        signal.alarm(0)
    if harness.failures > before:
        return "broken", "see FAILED above"
    return "ok", ""


def is_chosen(case, words):
    promise, name, _, function, is_long = case
    files = {os.path.basename(word) for word in words if word.endswith(".py")}
    return not words or name in words or str(promise) in words or (f"{function.__module__}.py" in files and not is_long)


def main():
    harness.need_fuse()
    chosen = [c for c in sorted(CASES, key=lambda c: c[0]) if is_chosen(c, sys.argv[1:])]
    rows = []
    for promise, name, words, function, _ in chosen:
        began = time.monotonic()
        result, seen = run(function)
        rows.append((name, promise, result, words, seen))
        print(f"{result:8} {promise:2} {name} ({time.monotonic() - began:.1f} s){': ' if seen else ''}{seen}", flush=True)
    casekit.close_all()
    print(f"\n{'case':38} promise  result   words")
    for name, promise, result, words, seen in rows:
        print(f"{name:38} {promise:7}  {result:8} {words}{' -- ' if seen else ''}{seen}")
    broken = sum(row[2] == "broken" for row in rows)
    print(f"{len(rows)} cases, {broken} broken, {sum(row[2] == 'skipped' for row in rows)} skipped")
    sys.exit(1 if broken or harness.failures or not rows else 0)


if __name__ == "__main__":
    main()
