# SPDX-License-Identifier: MIT
"""tests/system/cases_input.py: cases.py, promises 14–20: time, and what strangers write.

promises = 14, 15, 16, 17, 18, 19, 20
"""
import contextlib, ctypes, gzip, hashlib, json, os, pathlib, random, re, signal, socket, sqlite3, struct, subprocess, threading, time, zlib

from harness import BASE, META, repo_spec, run, sized_repository, wait_for
from originkit import metalink, redirect, text
from casekit import (ROOM, Absent, Broken, alive, ask, among, as_nobody, case, element, end, equal, fails, fetch, final, fresh, launch,
                     made, metadata, origin, own, package_path, package_url, patience, plain, post, primary_of, raw, record_of, refused,
                     refuses, remote, repomd_of, repository, sanitized, settled, shared, statuses, stopped, tree_files, want,
                     whole, within, words_of)

SPEC = repo_spec(BASE, packages=["dash"])
BIG = [2**31, 2**32 - 1, 2**53, 2**63 - 1, 10**15]


def epoch(words):
    import calendar
    return calendar.timegm(time.strptime(words, "%Y-%m-%dT%H:%M:%SZ"))


# ---- 14 expiry --------------------------------------------------------------------------------

@case(14, "composes end while the service is down, and it starts again without a mount: they go at once, those with time left stay")
def downtime():
    with own() as s:
        gone = [made(s, repo_spec(BASE, packages=["dash"], flags=["no_reuse"], seconds_to_live=1))[1] for _ in range(3)]
        _, stays = made(s, repo_spec(BASE, packages=["openssl"]))
        _, failed = made(s, repo_spec(BASE, packages=["not-there"], seconds_to_live=1), "failed")
        s.stop()
        s.mounts = False
        time.sleep(1.2)
        s.start()
        for number in [*gone, failed]:
            want(wait_for(lambda number=number: s.record(number)["state_name"] == "removed", patience(4)), f"{number} stays")
        equal(s.record(stays)["state_name"], "done", "the one with time left")


@case(14, "twelve composes of 1 to 4 seconds: none removed before its time, none later than 4 s after it", is_long=True)
def punctual():
    s = plain()
    ids = [post(s, repo_spec(BASE, packages=["dash"], flags=["no_reuse"], seconds_to_live=1 + k % 4)).json["id"] for k in range(12)]
    for n in ids:
        settled(s, n)
    for n in ids:
        want(wait_for(lambda n=n: s.record(n)["state_name"] == "removed", patience(9)), f"{n} stays: {s.record(n)}")
        record = s.record(n)
        late = epoch(record["time_removed"]) - epoch(record["time_to_expire"])
        want(0 <= late <= patience(4), f"{n} was removed {late} s after its time")


@case(14, "the clock jumps a day ahead and back within seconds, twice (libfaketime): no compose with time left is removed", is_long=True)
def clock_jumps():
    lib = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"
    if not os.path.exists(lib):
        raise Absent("no libfaketime")
    if sanitized():
        raise Absent("libfaketime and AddressSanitizer do not go together")
    stamp = ROOM / fresh("clock")
    stamp.write_text("+0")
    with own(mount=False, environment={"LD_PRELOAD": lib, "FAKETIME_TIMESTAMP_FILE": str(stamp), "FAKETIME_NO_CACHE": "1",
                                       "DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_RESET": "1"}) as s:
        n = post(s, repo_spec(BASE, packages=["dash"], seconds_to_live=3600)).json["id"]
        settled(s, n)
        for jump in ("+1d", "+0", "+400d", "-400d", "+0"):
            stamp.write_text(jump)
            time.sleep(1.2)
            equal(s.record(n)["state_name"], "done", f"state after a jump to {jump}")


@case(14, "a reader's lease and open files hold no compose beyond lifetime.maximum, and a killed clean-up is taken up again", is_long=True)
def lease_has_an_end():
    with own("lifetime.maximum=3", "lifetime.default=2") as s:
        _, n = made(s, {**SPEC, "lease": 3})
        path = next(s.tree(n).rglob("*.rpm"))
        began, limit = time.monotonic(), patience(8)
        with contextlib.suppress(OSError):
            while time.monotonic() < began + limit:
                path.read_bytes()
                time.sleep(0.2)
            raise Broken(f"it is read on {limit:.0f} s after it was done, maximum 3")
        s.stop(signal.SIGKILL)
        s.start()
        want(wait_for(lambda: s.record(n)["state_name"] == "removed", patience(5)), "not removed after the kill")


# ---- 15 seconds to live -----------------------------------------------------------------------------

def judged(service, answer, words, maximum=100000):
    """400, or a time between now and the maximum"""
    among(answer.status, [200, 400], words)
    if answer.status == 400:
        want(answer.json["message"], f"{words}: no message")
        return
    record = answer.json
    left = epoch(record["time_to_expire"]) - time.time()
    want(-2 <= left - 1 <= maximum + 2, f"{words}: expires in {left:.0f} s")


TTLS = ["-1", "0", "1", "-0", "3600.5", "1e400", "-1e400", "1e3", "1E+2", "0.5", "-0.5", "1e-5", "true", "false", "null", "[]", "[5]", "{}",
        '""', '"3600"', '"-5"', '"1e3"', '" 7"', '"NaN"', '"0x10"', '"99999999999999999999"', "99999999999999999999", "1e18", "2147483648",
        "4294967297", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "18446744073709551617",
        "NaN", "Infinity", "007", "+5", ".5", "5.", "0x10", "1_000", "١٢"]


def each_ttl(s, path, key):
    for value in TTLS:
        body = json.dumps(SPEC)[:-1] + f', "{key}": {value}}}'
        judged(s, ask(s, "POST", path, body.encode()), f"{key} {value}")


@case(15, "44 values of seconds_to_live in POST, negative, huge, fractional, as strings, not numbers: 400, or a time between now and the maximum")
def ttl_of_posts():
    each_ttl(plain(), "/api/1/composes/", "seconds_to_live")


@case(15, "the same 44 in the dashed key of 2017, and in its flat body")
def ttl_dashed():
    s = plain()
    each_ttl(s, "/odcs/1/composes/", "seconds-to-live")
    for value in TTLS:
        body = f'{{"source_type": "repo", "source": "{BASE}", "packages": ["dash"], "seconds-to-live": {value}}}'
        judged(s, ask(s, "POST", "/odcs/1/composes/", body.encode()), f"flat {value}")


@case(15, "the same 44 in PATCH: 400, or the time moves to between what it was and the maximum, never back")
def ttl_of_patches():
    s = plain()
    _, n = made(s, repo_spec(BASE, packages=["dash"], flags=["no_reuse"], seconds_to_live=500))
    before = epoch(s.record(n)["time_to_expire"])
    for key in ("seconds_to_live", "seconds-to-live"):
        for value in TTLS:
            answer = ask(s, "PATCH", f"/api/1/composes/{n}", f'{{"{key}": {value}}}'.encode())
            judged(s, answer, f"PATCH {key} {value}")
            after = epoch(s.record(n)["time_to_expire"])
            want(after >= before, f"{key} {value}: moved back")
            before = after


@case(15, "the same 44 in spec.json of the tree: EINVAL with words, or a time between now and the maximum")
def ttl_of_specs():
    s = plain()
    for value in TTLS:
        request = s.mnt / "requests" / fresh()
        request.mkdir()
        try:
            s.write_spec(request, json.dumps(SPEC)[:-1] + f', "seconds_to_live": {value}}}')
        except OSError as error:
            equal(error.errno, 22, f"errno of {value}")
            want((request / "error").read_text().strip(), f"{value}: no words")
            os.rmdir(request)
            continue
        left = epoch(json.loads((request / "compose.json").read_text())["time_to_expire"]) - time.time()
        want(-1 <= left <= 100002, f"{value}: expires in {left:.0f} s")


@case(15, "40 texts in ttl, ctl renew and user.odcs.ttl of a compose that is done: an error, or a time between now and the maximum")
def ttl_files():
    s = plain()
    request, n = made(s, repo_spec(BASE, packages=["dash"], flags=["no_reuse"], seconds_to_live=50000))

    def deed(kind, data):
        if kind == "xattr":
            return os.setxattr(request, "user.odcs.ttl", data)
        fd = os.open(request / ("ctl" if kind == "ctl" else "ttl"), os.O_WRONLY)
        try:
            return os.write(fd, b"renew " + data if kind == "ctl" else data)
        finally:
            os.close(fd)
    for kind in ("ttl", "ctl", "xattr"):
        for data in [v.strip('"').encode() for v in TTLS] + [b"5 5", b"50000\n\n", b"\0", b"60000\0", b"9" * 4000, b"\xff", b"5;6", b"--5"]:
            if not data and kind != "ttl":
                continue
            with contextlib.suppress(OSError):
                deed(kind, data)
            left = int((request / "ttl").read_text())
            want(0 < left <= 100000 or (left == 0 and data in (b"1",)), f"{kind} {data[:30]}: {left} s left")
            fd = os.open(request / "ttl", os.O_WRONLY)
            os.write(fd, b"50000")
            os.close(fd)
    fails(lambda: (request / "ttl").write_text("100001"), "ERANGE")
    for bad in ("0", "-1", "x", "1e3", "3600.5", "18446744073709551617"):
        fails(lambda bad=bad: (request / "ttl").write_text(bad), "EINVAL", "ERANGE")


@case(15, "lifetimes of the configuration: negative, zero, 2^63, with junk: no start that names the key, or a service whose times are sane")
def ttl_of_configuration():
    for key in ("lifetime.default", "lifetime.maximum"):
        for value in ("-1", "9223372036854775808", "1e5", "5s5", "99999999999999999999", "", "0x10"):
            refuses(f"{key}={value}", state=ROOM / fresh("s"), words=[key.split(".")[1]], codes=(2,))
        for value in ("9223372036854775807", "4611686018427387904", "0"):
            process, line, words = launch(f"{key}={value}", state=ROOM / fresh("s"))
            if not line:
                process.stdout.close()
                equal(process.returncode, 2, f"exit code of {key}={value}: {words}")
                want(key.split(".")[1] in words, words)
                continue
            try:
                url = line.decode().split("http=")[1].strip()
                body = json.dumps({**SPEC, "seconds_to_live": 2**62})
                done = run("curl", "-s", "--max-time", "20", "-d", body, f"{url}/api/1/composes/")
                record = json.loads(done.stdout)
                if "time_to_expire" in record:
                    want(re.match(r"20\d\d-", record["time_to_expire"]), f"{key}={value}: expires {record['time_to_expire']}")
            finally:
                equal(end(process), 0, "exit code")


# ---- 16 parsers --------------------------------------------------------------------------------------------

@case(16, "specs of 1 MB: nested 500,000 deep, one string, 60,000 members, one key, numbers of a million digits, escapes: refused in time, in the tree and over REST")
def json_bombs():
    s = plain()
    size = 1 << 20
    bombs = ["[" * (size - 1), '{"a":' * 170000, '{"source":' + "[" * 900000, '{"source":"' + "x" * (size - 20) + '"}',
             "{" + ",".join(f'"k{k}":1' for k in range(80000)) + "}", '{"' + "k" * (size - 10) + '":1}',
             '{"seconds_to_live":' + "9" * (size - 30) + "}", '{"seconds_to_live":1e' + "9" * (size - 30) + "}",
             '{"source":{"type":"repo","source":"/x","packages":[' + ",".join(['"p"'] * 200000) + "]}}",
             '{"label":"' + "\\u0041" * 170000 + '"}', '{"arches":[' + ",".join(["[]"] * 300000) + "]}", " " * (size - 1), "{" + " " * (size - 10)]
    for bomb in bombs:
        with within(3, f"refusing {bomb[:20]}…"):
            name, words = refused(s, bomb)
        among(name, ["EINVAL", "EFBIG"], f"tree, {bomb[:20]}")
        want(words.strip() and len(words) < 70000, f"words of {bomb[:20]}: {len(words)} bytes")
        with within(3, f"400 for {bomb[:20]}…"):
            answer = post(s, bomb)
        among(answer.status, [400, 413], f"REST, {bomb[:20]}")
        want(len(answer.body) < 3 << 20, f"an answer of {len(answer.body)} bytes to {bomb[:20]}")


@case(16, "invalid UTF-8, lone surrogates, NUL, BOM, overlong forms, duplicate keys, comments, two values: refused, never stored half")
def json_oddities():
    s = plain()
    good = json.dumps(SPEC)[1:-1].encode()
    for odd in (b'"label":"\xff\xfe"', b'"label":"\xc0\xaf"', b'"label":"\xed\xa0\x80"', b'"label":"\\ud800"', b'"label":"\\udc00\\ud800"',
                b'"label":"a\\u0000b"', b'"label":"a\x00b"', b'"label":"a\nb"', b'"label":"a\\nb"', b'"label":"\\x41"', b'"label":NaN',
                b'"label":\'x\'', b'"label":"\xf4\x90\x80\x80"', b'"label":"\x7f"', b'"label":null', b'"label":["x"]', b'/* */"label":"x"',
                b'"label":"x","label":"y"', b'"source":{"type":"repo","source":"/etc"}', b'"source":1'):
        body = b"{" + good + b"," + odd + b"}"
        request = s.mnt / "requests" / fresh()
        request.mkdir()
        try:
            s.write_spec(request, body)
            raise Broken(f"the tree takes {odd}")
        except OSError as error:
            equal(error.errno, 22, f"errno of {odd}")
            want((request / "error").read_text().strip(), f"{odd}: no words")
        os.rmdir(request)
        answer = post(s, body)
        among(answer.status, [400, 200], f"POST of {odd}")
        if answer.status == 200:
            want(odd.startswith((b'"label":"x","label"', b'"source"')), f"REST takes {odd}")
            want(answer.json["source"] == str(BASE), f"{odd}: source {answer.json['source']}")


@case(16, "800 specs with bytes changed, cut, doubled at random: 200 or 4xx with JSON over REST, an errno in the tree, and the service lives")
def random_specs():
    s = plain()
    dice = random.Random(os.environ.get("ODCSFS_SEED", "specs"))
    seeds = [json.dumps(x).encode() for x in (
        SPEC, repo_spec(BASE, packages=["dash"], arches=["x86_64", "i686"], flags=["no_deps"], results=["repository"], label="RC-1.0",
                        multilib_arches=["i686"], multilib_method=["devel"], lookaside_repos=["/x"], seconds_to_live=5, lease=3, latest="n"),
        {"source": {"type": "tag", "source": "f26", "koji_event": 5, "sigkeys": ["", "ab"], "builds": ["a-1-1"]}},
        {"source": {"type": "module", "source": "a:1", "modular_koji_tags": ["x"], "base_module_br_name": "p"}})]
    for k in range(800):
        data = bytearray(dice.choice(seeds))
        for _ in range(dice.randrange(1, 5)):
            at = dice.randrange(len(data) or 1)
            deed = dice.randrange(5)
            if deed == 0:
                data[at:at + 1] = bytes([dice.randrange(256)])
            elif deed == 1:
                del data[at:at + dice.randrange(1, 9)]
            elif deed == 2:
                data[at:at] = data[at:at + dice.randrange(1, 30)]
            elif deed == 3:
                data[at:at] = dice.choice([b"\\u", b"1e999", b"null", b"{", b"[[", b'"', b"\0", b"\xf0\x9f", b"-", b"99999999999999999999"])
            else:
                del data[at:]
            data = data or bytearray(b"{")
        if k % 4:
            answer = post(s, bytes(data))
            want(answer.status == 200 or 400 <= answer.status < 500, f"POST of {bytes(data)}: {answer.status} {answer.body[:200]}")
            json.loads(answer.body)
        else:
            request = s.mnt / "requests" / fresh()
            request.mkdir()
            try:
                s.write_spec(request, bytes(data))
            except OSError as error:
                among(error.errno, [22, 13, 1], f"errno of {bytes(data)}")
                os.rmdir(request)


@case(16, "HTTP that is wrong or ambiguous (two lengths, length and chunks, folded headers, bare LF, signs in lengths): refused, never two requests read for one", is_long=True)
def smuggling():
    s = plain()
    inner = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    body = json.dumps(SPEC).encode()
    length = b"%d" % len(body)

    def send(*headers, tail=body, method=b"POST /api/1/composes/"):
        return raw(s, method + b" HTTP/1.1\r\nHost: localhost\r\n" + b"".join(h + b"\r\n" for h in headers) + b"\r\n" + tail, 1.0)
    for headers, tail in (
            ((b"Content-Length: 0", b"Content-Length: " + length), body), ((b"Content-Length: " + length, b"Content-Length: 0"), body),
            ((b"Content-Length: 5, " + length,), body), ((b"Content-Length: +5",), body), ((b"Content-Length: -1",), body),
            ((b"Content-Length: 0x10",), body), ((b"Content-Length: 5 5",), body), ((b"Content-Length: 99999999999999999999",), b""),
            ((b"Content-Length: 18446744073709551617",), b"x"), ((b"Content-Length:",), body), ((b"Content-Length : 5",), body),
            ((b"Content-Length: 4", b"Transfer-Encoding: chunked"), b"0\r\n\r\n" + inner),
            ((b"Transfer-Encoding: chunked", b"Content-Length: 4"), b"0\r\n\r\n" + inner),
            ((b"Transfer-Encoding: chunked, identity",), b"0\r\n\r\n"), ((b"Transfer-Encoding: xchunked",), b"0\r\n\r\n" + inner),
            ((b"Transfer-Encoding : chunked",), b"0\r\n\r\n" + inner), ((b"Transfer-Encoding: identity, chunked",), b"0\r\n\r\n"),
            ((b"Transfer-Encoding: \x0bchunked",), b"0\r\n\r\n" + inner),
            ((b"X: y\r\n Transfer-Encoding: chunked", b"Content-Length: %d" % (len(inner) + 5)), b"0\r\n\r\n" + inner),
            ((b"X: a\rContent-Length: 0", b"Content-Length: %d" % len(inner)), inner),
            ((b"Transfer-Encoding: chunked",), b"ffffffffffffffff1\r\nx\r\n0\r\n\r\n"), ((b"Transfer-Encoding: chunked",), b"-1\r\n\r\n"),
            ((b"Transfer-Encoding: chunked",), b"0x5\r\nabcde\r\n0\r\n\r\n"), ((b"Transfer-Encoding: chunked",), b"5;" + b"e" * 9000 + b"\r\n")):
        got = statuses(send(*headers, tail=tail))
        want(404 not in got, f"{headers}: the inner request was answered: {got}")
        want(all(n in (400, 408, 413, 431, 501, 200) for n in got) and got.count(200) <= 1, f"{headers}: {got}")


@case(16, "400 requests of HTTP with bytes changed at random, huge headers, 20,000 headers, NULs, no spaces, methods and versions that are not: the service lives", is_long=True)
def random_http():
    s = plain()
    dice = random.Random(os.environ.get("ODCSFS_SEED", "http"))
    for data in (b"GET /" + b"a" * 300000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20000 + b"\r\n",
                 b"GET / HTTP/1.1\r\nHost: x\r\nX-Big: " + b"z" * 2000000 + b"\r\n\r\n", b"\0" * 5000, b"GET\r\n\r\n", b"\r\n" * 9000,
                 b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"GET http://other/ HTTP/1.1\r\nHost: x\r\n\r\n",
                 b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + bytes(500), b"GET / HTTP/1.1\nHost: x\n\n",
                 b"GET /\0/ HTTP/1.1\r\nHost: x\r\n\r\n", b"FOO /api/1/composes/ HTTP/1.1\r\nHost: x\r\n\r\n", b"CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n",
                 b"TRACE / HTTP/1.1\r\nHost: x\r\nCookie: secret\r\n\r\n", b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"):
        got = raw(s, data, 0.3, close=True)
        want(not [n for n in statuses(got) if n == 500], f"{data[:40]}: {statuses(got)}")
        want(b"secret" not in got, "TRACE answers what it was sent")
    seed = b"GET /api/1/composes/?state=2&order_by=-id&per_page=5 HTTP/1.1\r\nHost: localhost\r\nRange: bytes=0-5\r\nAccept: text/html\r\n" \
           b"If-None-Match: \"x\"\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n{}"
    for _ in range(400):
        data = bytearray(seed)
        for _ in range(dice.randrange(1, 6)):
            at = dice.randrange(len(data))
            data[at:at + dice.randrange(3)] = bytes(dice.randrange(256) for _ in range(dice.randrange(4)))
        raw(s, bytes(data), 0.02, close=True)


@case(16, "rows of the catalogue full of nonsense (blobs, NULs, huge and negative numbers, no JSON): the service starts, lists and serves, or says what is wrong")
def nonsense_rows():
    with own() as s:
        for k in range(12):
            made(s, repo_spec(BASE, packages=["dash"], seconds_to_live=9000 + k, flags=["no_reuse"]))
        s.stop()
        base = sqlite3.connect(s.state / "catalogue.sqlite")
        columns = [row[1] for row in base.execute("pragma table_info(composes)") if row[1] != "id"]
        values = [b"\xff\0\xfe", "x" * 100000, -1, 1 << 62, -(1 << 63), "\0", "../../../etc/passwd", "{[", 3.7, "'; drop", "\n\n", 2**31]
        dice = random.Random(5)
        number = 1
        for column in columns:
            with contextlib.suppress(sqlite3.IntegrityError):
                base.execute(f"update composes set {column} = ? where id = ?", (dice.choice(values), number))
            number = number % 10 + 1
        base.commit()
        base.close()
        s.start()
        ask(s, "GET", "/api/1/composes/?per_page=100")
        for n in range(1, 13):
            answer = ask(s, "GET", f"/api/1/composes/{n}")
            want(answer.status in (200, 404, 500), f"{n}: {answer.status}")
            with contextlib.suppress(OSError):
                list((s.mnt / f"composes/{n}").rglob("*"))
            ask(s, "GET", f"/compose/{n}")
            ask(s, "GET", f"/composes/{n}/")
        whole(s, 12)
        made(s, repo_spec(BASE, packages=["openssl"]))
        alive(s)


@case(16, "40 repositories whose primary.xml and repomd.xml were changed at random: each compose is done or failed with words, the workers live or are replaced")
def random_metadata():
    s = plain()
    dice = random.Random(os.environ.get("ODCSFS_SEED", "xml"))
    repo = repository({f"p{k}": b"%d" % k for k in range(5)})
    primary = gzip.decompress((repo / "repodata/primary.xml.gz").read_bytes())
    requests = []
    for k in range(40):
        data, md = bytearray(primary), None
        for _ in range(dice.randrange(1, 8)):
            at = dice.randrange(len(data))
            data[at:at + dice.randrange(12)] = dice.choice([b"<", b">", b"&", b"&#0;", b"]]>", b"\xff", b"<!--", b'="', b"\0", b"-1", b"9" * 30])
        if k % 4 == 3:
            md = bytearray(repomd_of(record_of(gzip.compress(primary, mtime=0))).encode())
            at = dice.randrange(len(md))
            md[at:at + 3] = dice.choice([b"<", b"&x;", b"\xff", b"-", b"9" * 30])
            data = primary
        metadata(ROOM / f"xml{k}", bytes(data), md.decode(errors="surrogateescape") if md and False else None)
        if md:
            (ROOM / f"xml{k}/repodata/repomd.xml").write_bytes(bytes(md))
        requests.append(s.submit(fresh(), repo_spec(ROOM / f"xml{k}", flags=["no_deps"])))
    for request in requests:
        if final(request) == "failed":
            words = (request / "error").read_text()
            want(words.strip() and "signal" not in words, f"words: {words!r}")


# ---- 17 foreign bytes in a worker ---------------------------------------------------------------------------------

@case(17, "gzip that unpacks to 1 GB, xz and zstd alike: the compose fails with words in time, worker and service stay small", is_long=True)
def bombs():
    s = plain()
    requests = []
    blob = ROOM / fresh("bomb")
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    head = primary_of(element("p"))[:-len("</metadata>")]
    spaces = b" " * (1 << 20)
    with open(blob, "wb") as file:
        file.write(packer.compress(head))
        for _ in range(1024):
            file.write(packer.compress(spaces))
        file.write(packer.compress(b"</metadata>") + packer.flush())
    kinds = {"gz": blob.read_bytes()}
    for kind, command in (("xz", ["xz", "-1", "-c"]), ("zst", ["zstd", "-c", "-q"])):
        with contextlib.suppress(FileNotFoundError):
            unpacked = subprocess.Popen(["zcat", blob], stdout=subprocess.PIPE)
            kinds[kind] = subprocess.run(command, stdin=unpacked.stdout, capture_output=True, check=False).stdout
            unpacked.wait()
    for kind, data in kinds.items():
        repo = repository({"p": b"p"})
        (repo / f"repodata/primary.xml.{kind}").write_bytes(data)
        (repo / "repodata/repomd.xml").write_text(repomd_of(record_of(data, f"repodata/primary.xml.{kind}")))
        requests.append(s.submit(fresh(), repo_spec(repo)))
    with within(15, "failing"):
        for kind, request in zip(kinds, requests):
            equal(final(request), "failed", f"{kind}: state")
            words = (request / "error").read_text()
            want(re.search("unpack|ratio|packed|large|long|limit|times", words), f"{kind}: {words}")
    for pid in [s.process.pid, *s.children()]:
        resident = int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1])
        want(resident < 1 << 20, f"process {pid} had {resident} kB")


@case(17, "a billion laughs, external entities and document types in repomd.xml and primary.xml: failed with words, no file's text anywhere")
def entities():
    s = plain()
    secret = ROOM / fresh("secret")
    secret.write_text("hidden-treasure")
    laughs = "<!DOCTYPE x [<!ENTITY a 'ha'>" + "".join(f"<!ENTITY {chr(98 + k)} '{f'&{chr(97 + k)};' * 10}'>" for k in range(12)) + "]>"
    outside = f"<!DOCTYPE x [<!ENTITY b SYSTEM 'file://{secret}'>]>"
    dtd = f"<!DOCTYPE x SYSTEM 'file://{secret}'>"
    requests = []
    for head in (laughs, outside, dtd, outside.replace("ENTITY b", "ENTITY % b").replace("]>", "%b;]>")):
        xml = '<?xml version="1.0"?>' + head
        use = "&m;" if head is laughs else "&b;" if "ENTITY b" in head else ""
        repo = metadata(ROOM / fresh("ent"), primary_of(element("p").replace("<summary>s", f"<summary>{use}"), head=xml))
        requests.append(s.submit(fresh(), repo_spec(repo)))
        repo = repository({"p": b"p"})
        good = (repo / "repodata/repomd.xml").read_text()
        (repo / "repodata/repomd.xml").write_text(good.replace('<?xml version="1.0" encoding="UTF-8"?>', xml).replace("1700000000</rev", f"{use}</rev"))
        requests.append(s.submit(fresh(), repo_spec(repo)))
    with within(10, "all of it"):
        for request in requests:
            word = final(request)
            said = (request / "error").read_text() + (request / "log").read_text()
            want("hidden-treasure" not in said, said)
            if word == "done":
                n = int((request / "id").read_text())
                for name, data in tree_files(s, n).items():
                    plain_data = gzip.decompress(data) if name.endswith(".gz") else data
                    want(b"hidden-treasure" not in plain_data and len(plain_data) < 1 << 20, f"the text is in {name}")
            else:
                want((request / "error").read_text().strip(), "no words")


@case(17, "repomd.xml with 10,000 records, of 5 MB, with sizes that lie; names of 1 MB; 1 GB that is a hole: each fails or is done in time, with words")
def large_things():
    s = plain()
    packed = gzip.compress(primary_of(element("p")), mtime=0)
    good = record_of(packed)
    repos = {"records": repomd_of(good, *[record_of(b"x", f"repodata/{k}.xml", f"kind{k}") for k in range(10000)]),
             "five": repomd_of(good, "<!-- " + "x" * (5 << 20) + " -->"), "size": repomd_of(record_of(packed, size=5)),
             "negative": repomd_of(record_of(packed, size=-5)), "huge": repomd_of(record_of(packed, size=2**64 + 5)),
             "open": repomd_of(record_of(packed, opened=b"other")), "opensize": repomd_of(record_of(packed, opened=primary_of(element("p")), open_size=7)),
             "twice": repomd_of(good, good), "none": repomd_of(), "revision": repomd_of(good, revision="9" * 100),
             "number": repomd_of(good, revision="-5"), "deep": repomd_of(good, "<a>" * 200000 + "</a>" * 200000), "empty": ""}
    requests = {}
    for name, repomd in repos.items():
        repo = metadata(ROOM / fresh("big"), primary_of(element("p")), repomd or " ")
        requests[name] = s.submit(fresh(), repo_spec(repo))
    for name, packages in {"names": [element("n" * (1 << 20))], "summary": [element("p").replace("<summary>s", "<summary>" + "s" * (20 << 20))],
                           "requires": [element("p", requires=["r" * 100000] * 20)], "count": [element("p")] * 3}.items():
        repo = metadata(ROOM / fresh("big"), primary_of(*packages, count=2**63))
        requests[name] = s.submit(fresh(), repo_spec(repo, flags=["no_deps"]))
    repo = repository({"p": b"p"})
    with open(repo / "repodata/primary.xml.gz", "ab") as hole:
        hole.truncate(1 << 30)
    (repo / "repodata/repomd.xml").write_text(repomd_of(record_of(packed, size=1 << 30)))
    requests["hole"] = s.submit(fresh(), repo_spec(repo))
    with within(20, "all of them"):
        for name, request in requests.items():
            word = final(request)
            want(word, f"{name} is stuck")
            words = (request / "error").read_text()
            want(word == "done" or words.strip(), f"{name}: no words")
            want(len(words) < 20000, f"{name}: {len(words)} bytes of words")
            if name in ("records", "five", "size", "negative", "huge", "open", "none", "deep", "empty", "hole"):
                equal(word, "failed", name)


@case(17, "in the place of repodata files: a FIFO, a directory, /dev/zero, a socket, a loop of links, nothing: each compose fails with words in time")
def odd_files():
    s = plain()
    requests = {}
    for target in ("repomd.xml", "primary.xml.gz"):
        for kind in ("fifo", "folder", "zero", "loop", "dangling", "socket", "random", "mem"):
            repo = repository({"p": b"p"})
            file = repo / "repodata" / target
            file.unlink()
            if kind == "fifo":
                os.mkfifo(file)
            elif kind == "folder":
                file.mkdir()
            elif kind == "socket":
                unix = socket.socket(socket.AF_UNIX)
                here = os.getcwd()
                os.chdir(file.parent)
                unix.bind(file.name)
                os.chdir(here)
            else:
                file.symlink_to({"zero": "/dev/zero", "loop": file, "dangling": "/nowhere/x", "random": "/dev/urandom", "mem": "/proc/self/mem"}[kind])
            requests[target, kind] = s.submit(fresh(), repo_spec(repo))
    repo = ROOM / fresh("fifo")
    os.mkfifo(repo)
    requests["source", "fifo"] = s.submit(fresh(), repo_spec(repo))
    requests["source", "device"] = s.submit(fresh(), repo_spec("/dev/tty"))
    requests["source", "proc"] = s.submit(fresh(), repo_spec("/proc/self/root"))
    with within(10, "all of them"):
        for what, request in requests.items():
            equal(final(request), "failed", f"{what}")
            want((request / "error").read_text().strip(), f"{what}: no words")


@case(17, "a worker's cage as the kernel shows it: no new privileges, a filter, no core dumps, files limited; it may hold nothing of the mount or HTTP")
def cage():
    if sanitized():
        raise Absent("builds with sanitizers leave the filter out")
    s = plain()
    made(s, repo_spec(BASE, packages=["openssl"], flags=["no_reuse"]))
    workers = s.workers()
    want(workers, "no workers")
    for pid in workers:
        text_ = pathlib.Path(f"/proc/{pid}/status").read_text()
        want("NoNewPrivs:\t1" in text_, "new privileges are possible")
        want("Seccomp:\t2" in text_, "no filter")
        limits = pathlib.Path(f"/proc/{pid}/limits").read_text()
        want(re.search(r"Max core file size\s+0\s+0", limits), "core dumps")
        want(not re.search(r"Max file size\s+unlimited", limits), "files of any size")
        for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                place = os.readlink(fd)
                want("catalogue" not in place and "/dev/fuse" not in place, f"a worker holds {place}")


# ---- 18 metadata cannot escape -----------------------------------------------------------------------------------

HREFS = ["../secret", "../../etc/passwd", "/etc/passwd", "", ".", "..", "a/../../secret", "a/../../../secret", "a\nb.rpm", "a\tb.rpm", "file:///etc/passwd",
         "http://127.0.0.1:1/x.rpm", "//127.0.0.1/x.rpm", "ftp://x/y", "a//b.rpm", "./p.rpm", "%2e%2e/secret", "..%2fsecret", "a\\..\\b", "x" * 300,
         "a/" * 3000 + "p.rpm", "p.rpm?x#y", " p.rpm", "-p.rpm", "é.rpm", "\u202ep.rpm", "p.rpm/", "~/p", "C:\\x", "javascript:alert(1)"]


@case(18, "30 locations in primary.xml (.., absolute, empty, newline, file:, other hosts, escapes): refused by name, or served as they are below the repository")
def locations():
    s = plain()
    requests = {}
    for k, href in enumerate(HREFS):
        folder = ROOM / fresh("loc") / "repo"
        folder.mkdir(parents=True)
        (folder.parent / "secret").write_bytes(b"hidden-treasure")
        (folder / "a").mkdir()
        for name in ("p.rpm", "a/b.rpm"):
            (folder / name).write_bytes(b"hidden-treasure")
        metadata(folder, primary_of(element("p", b"hidden-treasure", href=href)))
        requests[href] = s.submit(fresh(), repo_spec(folder))
    bad = HREFS[:14] + ["%2e%2e/secret", "p.rpm/"]
    for href, request in requests.items():
        word = final(request)
        want(word, f"{href[:40]!r} is stuck")
        if word == "failed":
            words = (request / "error").read_text()
            want("ocation" in words or "p.rpm" in words or "ackage" in words or href in words, f"{href[:40]!r}: the words do not name it: {words}")
            continue
        n = int((request / "id").read_text())
        for path in s.tree(n).rglob("*.rpm"):
            data, _ = fetch(path)
            if href in bad and href != "./p.rpm":
                want(data != b"hidden-treasure", f"{href!r} was followed")
        log = (request / "log").read_text()
        want("\nhidden" not in log, "log")


@case(18, "locations in repomd.xml and xml:base that lead elsewhere: refused by name, the file there is not read")
def bases():
    s = plain()
    outside = ROOM / fresh("outside")
    outside.mkdir()
    (outside / "p.rpm").write_bytes(b"p")
    packed = gzip.compress(primary_of(element("stolen")), mtime=0)
    (outside / "primary.xml.gz").write_bytes(packed)
    requests = {}
    for href in (f"../{outside.name}/primary.xml.gz", str(outside / "primary.xml.gz"), f"file://{outside}/primary.xml.gz", "repodata/../../" + outside.name +
                 "/primary.xml.gz", f"{origin().url}/primary.xml.gz", "", "repodata/", "repodata/\nx"):
        repo = metadata(ROOM / fresh("base"), primary_of(element("p")), repomd_of(record_of(packed, href)))
        requests[href] = s.submit(fresh(), repo_spec(repo))
    repo = metadata(ROOM / fresh("base"), primary_of(element("p")),
                    repomd_of(record_of(packed, "primary.xml.gz").replace("<location", f'<location xml:base="file://{outside}/"')))
    requests["base of repomd"] = s.submit(fresh(), repo_spec(repo))
    for href, request in requests.items():
        equal(final(request), "failed", f"{href}")
        words = (request / "error").read_text()
        want(words.strip() and "stolen" not in words, words)
    for base in (f"file://{outside}/", str(outside), f"../{outside.name}", "http://127.0.0.1:1/", "file:///", "//x/"):
        repo = metadata(ROOM / fresh("base"), primary_of(element("p", b"p", href="p.rpm", base=f'xml:base="{base}"')))
        request = s.submit(fresh(), repo_spec(repo))
        if final(request) == "done":
            for path in s.tree(int((request / "id").read_text())).rglob("*.rpm"):
                equal(fetch(path)[0], b"", f"bytes by xml:base {base}")
        else:
            want((request / "error").read_text().strip(), "no words")


@case(18, "package names and arches with slashes, dots, newlines, NUL, 300 bytes, twins of one file name: nothing odd appears in the tree or the listings")
def package_names():
    s = plain()
    for name, arch in (("a/b", "x86_64"), ("../x", "x86_64"), ("..", "x86_64"), (".", "x86_64"), ("a\nb", "x86_64"), ("a&#0;b", "x86_64"), ("n" * 300, "x86_64"),
                       ("p", "../../x"), ("p", "x86_64/.."), ("p", ""), ("", "x86_64"), ("p", "src"), ("repodata", "x86_64"), ("é", "x86_64"), ("-rf", "x86_64"),
                       ("<script>", "x86_64"), ("p", "x" * 5000)):
        repo = ROOM / fresh("names")
        metadata(repo, primary_of(element(name, b"p", href="p.rpm", arch=arch)))
        (repo / "p.rpm").write_bytes(b"p")
        request = s.submit(fresh(), repo_spec(repo, flags=["no_deps"]))
        word = final(request)
        want(word, f"{name!r} is stuck")
        if word == "failed":
            want((request / "error").read_text().strip(), f"{name!r}: no words")
            continue
        n = int((request / "id").read_text())
        top = s.tree(n)
        for base, folders, files in os.walk(top):
            for entry in [*folders, *files]:
                want(entry not in ("", ".", "..") and "/" not in entry and "\n" not in entry and len(os.fsencode(entry)) <= 255, f"entry {entry!r}")
                want(os.path.realpath(os.path.join(base, entry)).startswith(str(s.mnt)), f"{entry!r} leads out")
        page = ask(s, "GET", f"/compose/{n}").body
        want(b"<script>-" not in page and b"<script>\n" not in page.split(b"</head>")[-1], "markup of a package's name in a page")
    repo = ROOM / fresh("twins")
    (repo / "x").mkdir(parents=True)
    (repo / "y").mkdir()
    for sub in "xy":
        (repo / sub / "p-1-1.x86_64.rpm").write_bytes(sub.encode())
    metadata(repo, primary_of(*[element(f"p{sub}", sub.encode(), href=f"{sub}/p-1-1.x86_64.rpm") for sub in "xy"]))
    request = s.submit(fresh(), repo_spec(repo))
    if final(request) == "done":
        n = int((request / "id").read_text())
        contents = [p.read_bytes() for p in s.tree(n).rglob("*.rpm")]
        said = "".join(p.read_text() for p in (s.mnt / f"composes/{n}/logs").rglob("*") if p.is_file())
        want(len(contents) == 2 or "left out" in said, f"one of two packages is left out without a word: {said}")
    else:
        want((request / "error").read_text().strip(), "no words")


@case(18, "below an allowed prefix: repodata, the repository and an RPM are links that lead out of it: refused, and nothing from there is shown")
def links_out():
    allowed, outside = ROOM / "allowed", ROOM / fresh("out")
    allowed.mkdir(exist_ok=True)
    repository({"stolen": b"hidden-treasure"}, outside)
    s = remote()
    (allowed / "whole").symlink_to(outside)
    (allowed / "half").mkdir()
    (allowed / "half/repodata").symlink_to(outside / "repodata")
    (allowed / "half/stolen-1-1.x86_64.rpm").symlink_to(outside / "stolen-1-1.x86_64.rpm")
    os.chmod(outside / "stolen-1-1.x86_64.rpm", 0o600)
    repository({"mine": b"hidden-treasure"}, allowed / "third")
    (allowed / "third/mine-1-1.x86_64.rpm").unlink()
    (allowed / "third/mine-1-1.x86_64.rpm").symlink_to(outside / "stolen-1-1.x86_64.rpm")
    for name in ("whole", "half", "third", "../allowed/third", "third/../whole", "third/%2e%2e/whole"):
        try:
            request = s.submit(fresh(), repo_spec(f"{allowed}/{name}"))
        except OSError as error:
            among(error.errno, [13, 22], f"errno of {name}")
            continue
        if final(request) == "failed":
            want((request / "error").read_text().strip(), "no words")
            continue
        n = int((request / "id").read_text())
        for path in s.tree(n).rglob("*.rpm"):
            equal(fetch(path)[0], b"", f"bytes by {name}")


@case(18, "paths of URLs that lead out (%2e%2e, %00, //, backslashes, 2,000 dots), of files and API: 4xx, never a file of the machine")
def url_paths():
    s = plain()
    _, n = made(s, SPEC)
    for path in ("/composes/%2e%2e/%2e%2e/etc/passwd", "/composes/../../etc/passwd", f"/composes/{n}/../../../etc/passwd", f"/composes/{n}/%2e%2e%2f%2e%2e/",
                 f"/composes/{n}/compose/Temporary/%00", f"/composes/{n}%00/", "/composes//etc/passwd", "//etc/passwd", f"/composes/{n}/..%5c..%5c",
                 "/composes/" + "../" * 2000 + "etc/passwd", "/composes/odcs-1/../odcs-1/../../requests/", "/composes/-1/", "/composes/99999999999999999999/",
                 "/composes/0x1/", "/composes/1.0/", f"/composes/+{n}/", f"/composes/{n} /", "/composes/%", "/composes/%zz/", "/composes/%c0%ae%c0%ae/",
                 "/static/../../etc/passwd", "/static/%2e%2e/x", "/compose/1/../../x", "/api/1/composes/1%2f..%2f2", "/api/1/composes/%31/..", "/requests/", "/metrics/../x"):
        got = raw(s, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode(), 5)
        code = statuses(got)
        want(code and all(c in (200, 301, 308, 400, 404, 414, 403) for c in code), f"{path[:60]}: {code}")
        want(b"root:" not in got, f"{path[:60]} shows a file of the machine")
        if code == [200]:
            want(b"<!DOCTYPE" in got or b'{"' in got, f"{path[:60]}: {got[:300]}")


# ---- 19 what a source reaches --------------------------------------------------------------------------------------

@case(19, "30 spellings of this machine and of link-local addresses as source and lookaside over REST and in the tree: refused, and a listener there hears nothing")
def forbidden_sources():
    s = remote()
    heard = []
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.2)
    port = listener.getsockname()[1]
    halt = threading.Event()

    def listen():
        while not halt.is_set():
            with contextlib.suppress(socket.timeout):
                c, _ = listener.accept()
                heard.append(c.recv(200))
                c.close()
    thread = threading.Thread(target=listen)
    thread.start()
    allowed = origin().url
    hosts = ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "0", "0.0.0.0", "LOCALHOST", "localhost.", "127.0.0.1.",
             "[::]", "127.0.0.1:80:"]
    sources = [f"http://{host}:{port}/x" for host in hosts] + [
        "http://169.254.169.254/latest", "http://[fe80::1]/x", "file:///etc", "gopher://127.0.0.1/x", "dict://127.0.0.1:11/x", "ftp://127.0.0.1/", "HTTP://127.0.0.1:%d/" % port,
        f"{allowed}@127.0.0.1:{port}/x", f"{allowed}.evil/x", f"{allowed}/../../x#@127.0.0.1:{port}", f"http://127.0.0.1:{port}/{allowed}/", f"//127.0.0.1:{port}/",
        f"metalink:http://127.0.0.1:{port}/m", f"mirrorlist:http://127.0.0.1:{port}/m", "mirrorlist:file:///etc/passwd", "repo:none", f"{allowed.replace('127.0.0.1', 'localhost')}/x",
        "/etc", "/root", f"{ROOM}/allowed/../other", f"{ROOM}/allowedx", "relative", "~root"]
    try:
        for source in sources:
            for spec in (repo_spec(source), {**repo_spec(f"{ROOM}/allowed/third"), "lookaside_repos": [source]}):
                answer = post(s, spec)
                if answer.status == 200:
                    equal(settled(s, answer.json["id"])["state_name"], "failed", f"{source}")
                else:
                    among(answer.status, [400, 403], f"POST of {source}")
        for source in sources[:12]:
            among(refused(s, repo_spec(source))[0], ["EACCES", "EINVAL"], f"tree, {source}")
        time.sleep(0.3)
        equal(heard, [], "what the listener heard")
    finally:
        halt.set()
        thread.join()
        listener.close()


@case(19, "an allowed server redirects its metadata, or its lists name mirrors, on ports and schemes that are not allowed: these are not asked, the compose fails with words")
def forbidden_mirrors():
    s = shared("lists", f"repo.allowed={origin().url}/", "repo.timeout=3", "repo.recheck_seconds=0",
               f"repo.names=ml=mirrorlist:{origin().url}/mirrors mm=metalink:{origin().url}/meta")
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.3)
    other = f"http://127.0.0.1:{listener.getsockname()[1]}"
    name = fresh("red")
    repo = repository({"p": b"p"}, origin().folder / name)
    for place in (f"{other}/x", "file:///etc/passwd", "http://169.254.169.254/x", "ftp://127.0.0.1:1/x"):
        origin().steps[f"{name}/repodata/repomd.xml"] = redirect(place)
        request = s.submit(fresh(), repo_spec(f"{origin().url}/{name}"))
        equal(final(request), "failed", f"redirect to {place}")
        want((request / "error").read_text().strip(), "no words")
    repomd = (repo / "repodata/repomd.xml").read_bytes()
    (origin().folder / "mirrors").write_text(f"{other}/x\nfile://{repo}\nhttp://169.254.169.254/\n")
    (origin().folder / "meta").write_bytes(metalink(repomd, f"{other}/x", f"file://{repo}", "http://169.254.169.254"))
    for named in ("repo:ml", "repo:mm"):
        request = s.submit(fresh(), repo_spec(named))
        equal(final(request), "failed", named)
        want((request / "error").read_text().strip(), "no words")
    with contextlib.suppress(socket.timeout):
        listener.accept()
        raise Broken("the other port was asked")
    listener.close()


@case(19, "URLs below and beside an allowed prefix (.., %2e, //, ;, case, port 80, sibling names): what is not below by whole parts is refused and not asked")
def prefixes():
    base = origin().url
    (origin().folder / "pub").mkdir(exist_ok=True)
    (origin().folder / "public").mkdir(exist_ok=True)
    repository({"good": b"g"}, origin().folder / "pub/repo")
    repository({"bad": b"b"}, origin().folder / "public/repo")
    repository({"bad": b"b"}, origin().folder / "secret")
    s = shared("prefix", f"repo.allowed={base}/pub", "repo.timeout=3", "repo.recheck_seconds=0")
    request = s.submit(fresh(), repo_spec(f"{base}/pub/repo"))
    equal(final(request), "done", "the allowed one")
    before = origin().count("public") + origin().count("secret")
    for source in ("/public/repo", "/pub/../secret", "/pub/%2e%2e/secret", "/pub/.%2e/secret", "/pub/repo/../../secret", "/pub%2f..%2fsecret", "/pub;/../secret",
                   "//secret", "/PUB/../secret", "/pub\\..\\secret", "/secret", "/pub/..", "/pub/..;/secret", "/%70ub/../secret"):
        answer = post(s, repo_spec(base + source))
        if answer.status == 200:
            record = settled(s, answer.json["id"])
            want(record["state_name"] == "failed" or "bad" not in str(whole(s, record["id"])), f"{source} was read")
    equal(origin().count("public") + origin().count("secret"), before, "requests to what is not allowed")


# ---- 20 a worker that lies ----------------------------------------------------------------------------------------------

def stolen_socket(pid, number=3):
    """a duplicate of another process's descriptor (pidfd_getfd)"""
    libc = ctypes.CDLL(None, use_errno=True)
    pidfd = libc.syscall(434, pid, 0)
    fd = libc.syscall(438, pidfd, number, 0)
    os.close(pidfd)
    if fd < 0:
        raise Absent("pidfd_getfd is not permitted")
    return fd


LIES = [b"\n", b"\0" * 100, b"x" * 70000 + b"\n", b"done 1 " + b"a" * 64 + b"\n", b"log " + b"y" * 100000 + b"\n",
        b"\xff\xfe\n%s%n\n" + random.Random(1).randbytes(3000)]


@case(20, "six lies are written into the pipe of a worker that stands still in the middle of a compose: the service lives, each compose ends, and the next is whole")
def lying_workers():
    with own("odcsfs.workers=1") as s:
        made(s, SPEC)
        for k, lie in enumerate(LIES):
            pids = s.children()
            if not pids:
                pids = wait_for(s.children, patience(5))
            with stopped(pids):
                request = s.submit(f"lie{k}", repo_spec(BASE, packages=["openssl"], flags=["no_reuse"]))
                fd = stolen_socket(pids[0])
                with contextlib.suppress(OSError):
                    os.set_blocking(fd, False)
                    os.write(fd, lie)
                os.close(fd)
                time.sleep(0.05)
            word = final(request)
            want(word, f"{lie[:30]}: stuck")
            if word == "failed":
                want((request / "error").read_text().strip(), f"{lie[:30]}: no words")
            else:
                whole(s, int((request / "id").read_text()))
            os.rmdir(request)
        _, n = made(s, repo_spec(BASE, packages=["openssl"], flags=["no_reuse"]))
        whole(s, n)


def altered(good, what):
    """a manifest that its worker made otherwise, under the digest that it has"""
    data = bytearray(good)
    size, count = struct.unpack_from("<II", data, 8)
    if what == "name":
        at = data.index(b"\0repomd.xml\0", 64 + size * count)
        data[at + 4:at + 5] = b"/"
    elif what == "count":
        struct.pack_into("<I", data, 12, count + 1)
    elif what == "blob":
        record = next(64 + size * i for i in range(count) if data[64 + size * i + 32] == 3)
        data[record + 40:record + 72] = bytes(32)
    elif what == "end":
        record = next(64 + size * i for i in range(1, count) if data[64 + size * i + 32] == 1)
        struct.pack_into("<I", data, record + 12, 2 ** 31)
    return bytes(data)


def result_lies(good):
    """(words that come of it, digest said, is it said to be new, {path in the work directory: bytes}, blobs)"""
    own_name = lambda data: hashlib.sha256(data).hexdigest()
    false = hashlib.sha256(b"false").hexdigest()
    yield "is not there", false, False, {}, []
    yield "is not there", false, True, {"manifests/of-another-name": b"x"}, []
    yield "holds other bytes", false, True, {f"manifests/{false}": good}, []
    yield "blob", own_name(good), False, {f"blobs/{false}": b"other bytes"}, [false]
    yield "not a plain file", false, True, {f"manifests/{false}": None}, []
    for what, words in (("name", "slash or control character"), ("count", "strings are not where"), ("blob", "is not there"),
                        ("end", "manifest: record")):
        data = altered(good, what)
        yield words, own_name(data), True, {f"manifests/{own_name(data)}": data}, []


def tell(fd, number, digest, is_new, blobs):
    """the lines that a worker ends with"""
    for line in ({"type": "resolved", "inputs": "0" * 64}, {"type": "files", "blobs": blobs, "packages": []},
                 {"type": "result", "manifest": digest, "manifest_new": is_new, "source": "", "arches": "x86_64", "timestamp": 1,
                  "packages_count": 1, "size_bytes": 1, "bytes_written": 1}):
        os.write(fd, json.dumps({**line, "id": number}).encode() + b"\n")


@case(20, "a worker ends its compose in good form, nine times, with a manifest or blob that is not what it says (digest, names, bounds, blobs): each fails with those words, nothing of it is published")
def lying_results():
    with own("odcsfs.workers=1") as s:
        _, number = made(s, SPEC)
        held = lambda: sorted(p.name for kind in ("manifests", "blobs") for p in (s.state / kind).iterdir())
        before, good = held(), next((s.state / "manifests").iterdir()).read_bytes()
        for k, (words, digest, is_new, files, blobs) in enumerate(result_lies(good)):
            pid = s.workers(1)[0]
            with stopped([pid]):
                request = s.submit(f"result{k}", repo_spec(BASE, packages=["openssl"], flags=["no_reuse"]))
                want(wait_for(lambda: (request / "status").read_text() == "generating\n", patience(10)), "it is not made")
                fd = stolen_socket(pid)
                for turn in (1, 2): # what fails so is made once more
                    for path, data in files.items():
                        (s.state / "work/0" / path).parent.mkdir(exist_ok=True)
                        if data is None:
                            os.mkfifo(s.state / "work/0" / path)
                        else:
                            (s.state / "work/0" / path).write_bytes(data)
                    tell(fd, int((request / "id").read_text()), digest, is_new, blobs)
                    # it is said before the directory is emptied
                    again = lambda: (s.log_text().count("made once more") > k and
                                     not any(os.path.lexists(s.state / "work/0" / path) for path in files))
                    want(wait_for(again if turn == 1 else lambda: final(request, 0), patience(10)), f"{words}: not heard, turn {turn}")
                os.close(fd)
                os.kill(pid, signal.SIGKILL)
            equal(final(request), "failed", words)
            said = (request / "error").read_text()
            want(words in said, f"{words!r} is not in {said!r}")
            equal(held(), before, f"{words}: what is published")
            os.rmdir(request)
        whole(s, number)
        _, n = made(s, repo_spec(BASE, packages=["openssl"], flags=["no_reuse"]))
        whole(s, n)


@case(20, "what a worker writes is changed byte by byte before the service takes it over, in 8 composes: each fails with words or is whole, never wrong")
def tampered_output():
    with own("odcsfs.workers=1") as s:
        made(s, SPEC)
        halt = threading.Event()

        def tamper():
            while not halt.is_set():
                with contextlib.suppress(OSError):
                    for path in (s.state / "work").rglob("*"):
                        if path.is_file():
                            size = path.stat().st_size
                            with open(path, "r+b") as file:
                                file.seek(random.randrange(size or 1))
                                file.write(b"\xa5")
        thread = threading.Thread(target=tamper)
        thread.start()
        try:
            requests = [s.submit(f"t{k}", repo_spec(BASE, packages=["apache2"], flags=["no_reuse"], seconds_to_live=8000 + k)) for k in range(8)]
            words = [final(r) for r in requests]
        finally:
            halt.set()
            thread.join()
        for request, word in zip(requests, words):
            want(word, "stuck")
            if word == "done":
                whole(s, int((request / "id").read_text()))
            else:
                want((request / "error").read_text().strip(), "no words")


def damage(path, way, dice, mapped):
    """a file is other bytes, half, nothing, or a link; one that the service has mapped is never shortened in place
    (docs/contract/reliability.md, section 6)"""
    data = path.read_bytes()
    if way == 3:
        path.unlink()
        path.symlink_to("/etc/shadow")
        return
    if way == 0:
        changed = bytearray(data)
        for _ in range(20 if data else 0):
            changed[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        data = bytes(changed)
    else:
        data = data[:len(data) // 2 if way == 1 else 0]
    os.chmod(path, 0o644)
    if mapped and way:
        path.unlink()
        path.write_bytes(data)
    else:
        with open(path, "r+b") as file:
            file.write(data)
            file.truncate()


@case(20, "published manifests and blobs are changed, cut, emptied, replaced by links to /etc/shadow, before a start and under it: errors, never other bytes, no crash")
def damaged_files():
    with own() as s:
        numbers = [made(s, repo_spec(BASE, packages=["openssl"], flags=["no_reuse"], arches=["x86_64", "i686"][:1 + k % 2], seconds_to_live=6000 + k))[1] for k in range(2)]
        right = tree_files(s, numbers[0])
        dice = random.Random(7)
        for restart in (False, True):
            if restart:
                s.stop(signal.SIGKILL)
            blobs, manifests = sorted((s.state / "blobs").iterdir()), sorted((s.state / "manifests").iterdir())
            for k, path in enumerate([*blobs[:8], *manifests]):
                if not path.is_symlink():
                    damage(path, k % 4, dice, not restart and path in manifests)
            if restart:
                s.start()
            server = s.server_pid
            for n in numbers:
                with contextlib.suppress(OSError):
                    for path in s.tree(n).rglob("*"):
                        data, _ = fetch(path)
                        want(b"root:" not in data, f"{path} shows /etc/shadow")
                ask(s, "GET", f"/compose/{n}")
                answer = ask(s, "GET", f"/composes/{n}/compose/Temporary/x86_64/os/repodata/repomd.xml")
                want(b"root:" not in answer.body, "shadow over HTTP")
            alive(s)
            equal(s.server_pid, server, "the server, which is the same")
        want(right, "there were no files")


@case(20, "a worker's work directory holds links, FIFOs and 3,000 files where the service looks for its output: it is not led astray, the compose ends")
def planted_output():
    secret = ROOM / fresh("secret")
    secret.write_bytes(b"hidden-treasure")
    with own("odcsfs.workers=1") as s:
        made(s, SPEC)
        with stopped(s.children()):
            request = s.submit("planted", repo_spec(BASE, packages=["openssl"], flags=["no_reuse"]))
            time.sleep(0.2)
            work = s.state / "work/0"
            for sub in ("blobs", "manifests"):
                (work / sub).mkdir(exist_ok=True)
                for k in range(1500):
                    (work / sub / hashlib.sha256(b"%d" % k).hexdigest()).symlink_to(secret)
                os.mkfifo(work / sub / ("0" * 64))
        word = final(request)
        want(word, "stuck")
        if word == "done":
            n = int((request / "id").read_text())
            whole(s, n)
            want(not any(b"hidden-treasure" in data for data in tree_files(s, n).values()), "the secret is shown")
        equal(secret.read_bytes(), b"hidden-treasure", "the file outside")
        made(s, repo_spec(BASE, packages=["openssl"], flags=["no_reuse"]))
