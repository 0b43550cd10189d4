#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tests/system/replayhub.py: a Koji hub that answers from recordings, and misbehaves when told.

    tests/system/replayhub.py [--port 0] [--topdir DIR] [--tls CERT KEY]     prints "URL TOPURL", serves until
                                                                              stdin ends
    with ReplayHub() as hub: ... hub.url, hub.topurl, hub.counts["getTag"], hub.misbehave("status", ...)

A call that was recorded (tests/data/koji/recordings) is answered byte for byte; which one it is is decided by
method and arguments, not by the bytes of the request: 5 as <int> or <i8>, positional or by keyword. Others
are worked out from what the recordings say, where that is possible (see class Koji): other arches or extra=False in
listTaggedRPMS, another event of getTag, any build in getBuild and listBuildRPMs, queryRPMSigs of their RPMs, multiCall of all
of these.
What is neither is a fault 1000 with the words "not recorded".

POST /control with a JSON object does over HTTP what misbehave() and add_tag() do: {"do": "misbehave", "what":
…} or {"do": "add_tag", "name": …}, {"do": "draft", "nvr": …} (that build is one until the next clear), {"do": "clear"}; GET /counts tells how often each method was called
("connections" and "GET" too). topurl serves the files of --topdir, with ranges.

What it can do instead of answering, to calls of one method or all ("*"), so many times:
    delay seconds=      answers after that             status code= body= type=    an HTTP status
    fault code= words=  a fault                        close                       no answer at all
    half                the document ends midway       break                       so does the connection, early
    body body= type=    these bytes                    replace old= new=           in the right answer
    html                a page, with status 200        gzip                        the right answer, compressed
    spaces where=       1 GiB of them ("front", "inside", "text")                  drip seconds= bytes=
    redirect to=        302
"""
import argparse, collections, gzip, http.server, json, pathlib, re, ssl, subprocess, sys, threading, time
import urllib.parse, xmlrpc.client

DATA = pathlib.Path(__file__).resolve().parents[1] / "data/koji"
NOW = 536 # the last event when the recordings were made
HEAD = "<?xml version='1.0'?>\n<methodResponse>\n"


class Fault(Exception):
    def __init__(self, code, words):
        super().__init__(words)
        self.code, self.words = code, words


# ---- XML-RPC as Koji writes it ------------------------------------------------

def escape(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def dump(value, out):
    if value is None:
        out.append("<value><nil/></value>") # no line end: so does Koji
    elif isinstance(value, bool):
        out.append(f"<value><boolean>{value:d}</boolean></value>\n")
    elif isinstance(value, int):
        kind = "int" if -1 << 31 <= value < 1 << 31 else "i8"
        out.append(f"<value><{kind}>{value}</{kind}></value>\n")
    elif isinstance(value, float):
        out.append(f"<value><double>{value!r}</double></value>\n")
    elif isinstance(value, str):
        out.append(f"<value><string>{escape(value)}</string></value>\n")
    elif isinstance(value, dict):
        out.append("<value><struct>\n")
        for name, member in value.items():
            out.append(f"<member>\n<name>{escape(name)}</name>\n")
            dump(member, out)
            out.append("</member>\n")
        out.append("</struct></value>\n")
    else:
        out.append("<value><array><data>\n")
        for item in value:
            dump(item, out)
        out.append("</data></array></value>\n")


def response(value):
    out = [HEAD, "<params>\n<param>\n"]
    dump(value, out)
    out.append("</param>\n</params>\n</methodResponse>\n")
    return "".join(out).encode()


def fault_response(code, words):
    out = [HEAD, "<fault>\n"]
    dump({"faultCode": code, "faultString": words}, out)
    out.append("</fault>\n</methodResponse>\n")
    return "".join(out).encode()


def load_request(body):
    """method, positional arguments, keyword arguments"""
    params, method = xmlrpc.client.loads(body, use_builtin_types=True)
    return (method, *split_keywords(params))


def split_keywords(params):
    params = list(params)
    if params and isinstance(params[-1], dict) and params[-1].get("__starstar"):
        keywords = dict(params.pop())
        del keywords["__starstar"]
        return params, keywords
    return params, {}


# ---- calls and their arguments ---------------------------------------------------

# parameters in order, with their defaults; a method that is not here is told apart by what stands in the call
PARAMETERS = {
    "getTag": {"tagInfo": ..., "strict": False, "event": None, "blocked": False},
    "getLastEvent": {"before": None},
    "getEvent": {"id": ..., "strict": True},
    "getFullInheritance": {"tag": ..., "event": None, "reverse": False},
    "tagChangedSinceEvent": {"event": ..., "taglist": ...},
    "listTaggedRPMS": {"tag": ..., "event": None, "inherit": False, "latest": False, "package": None, "arch": None,
                       "rpmsigs": False, "owner": None, "type": None, "strict": True, "extra": True, "draft": None},
    "getBuild": {"buildInfo": ..., "strict": False},
    "listBuildRPMs": {"build": ...},
    "queryRPMSigs": {"rpm_id": None, "sigkey": None, "queryOpts": None},
}


def bind(method, positional, keywords):
    """every parameter of the call by name; fault 1019 for what the method does not know"""
    parameters = PARAMETERS.get(method)
    if parameters is None:
        return {**{str(i): value for i, value in enumerate(positional)}, **keywords}
    if len(positional) > len(parameters):
        raise Fault(1019, f"{method}() takes {len(parameters)} arguments, {len(positional)} were given")
    bound = {**parameters, **dict(zip(parameters, positional))}
    for name, value in keywords.items():
        if name not in parameters:
            raise Fault(1019, f"RootExports.{method}() got an unexpected keyword argument '{name}'")
        bound[name] = value
    if ... in bound.values():
        raise Fault(1019, f"{method}() lacks an argument")
    return bound


def key_of(method, bound):
    parameters = PARAMETERS.get(method, {})
    given = {name: value for name, value in bound.items() if name not in parameters or value != parameters[name]}
    return method, json.dumps(given, sort_keys=True)


class Koji:
    """What the recordings say, and what follows from it."""

    def __init__(self, recordings):
        self.folder = recordings
        self.recorded, self.raw = {}, {}
        self.builds, self.build_rpms = {}, collections.defaultdict(dict)
        self.signed = collections.defaultdict(set) # keys, by the RPM's id
        self.drafts = set() # NVRs
        self.event, self.changed = NOW, {}
        self.made = {}
        self.no_extra = False # as a hub that does not know this argument yet
        for line in (recordings / "INDEX.tsv").read_text().splitlines()[1:]:
            name, _, _, result = line.split("\t")[:4]
            self.read(name, result)

    def read(self, name, result):
        request, answer = self.folder / f"{name}.request.xml", self.folder / f"{name}.response.xml"
        if not request.exists() or name == "server_offline":
            return
        body = answer.read_bytes()
        if result.startswith("http"):
            self.raw[request.read_bytes()] = int(result[4:]), body
            return
        method, positional, keywords = load_request(request.read_bytes())
        try:
            key = key_of(method, bind(method, positional, keywords))
        except Fault:
            key = method, json.dumps([positional, keywords], sort_keys=True)
        self.recorded.setdefault(key, body)
        if result == "ok" and method == "listTaggedRPMS":
            self.learn(*xmlrpc.client.loads(body, use_builtin_types=True)[0][0])

    def learn(self, rpms, builds):
        for build in builds:
            self.builds[build["nvr"]] = build
        for rpm in rpms:
            plain = {name: value for name, value in rpm.items() if name != "sigkey"}
            self.build_rpms[rpm["build_id"]].setdefault(rpm["id"], plain)
            if rpm.get("sigkey") is not None:
                self.signed[rpm["id"]].add(rpm["sigkey"])

    def value(self, method, **arguments):
        """a recorded result, decoded; None when there is none or it is a fault"""
        bound = {**PARAMETERS.get(method, {}), **arguments}
        body = self.recorded.get(key_of(method, bound))
        if body is None:
            return None
        try:
            return xmlrpc.client.loads(body, use_builtin_types=True)[0][0]
        except xmlrpc.client.Fault:
            return None

    def answer(self, method, positional, keywords):
        """the bytes of the answer"""
        if method in ("multiCall", "system.multicall"):
            body = self.recorded.get(key_of(method, bind(method, positional, keywords)))
            return body or response([self.inner(call) for call in positional[0]])
        try:
            if self.no_extra and "extra" in keywords:
                raise Fault(1019, f"RootExports.{method}() got an unexpected keyword argument 'extra'")
            bound = bind(method, positional, keywords)
        except Fault:
            body = self.recorded.get((method, json.dumps([positional, keywords], sort_keys=True)))
            if body:
                return body
            raise
        made = self.made.get(bound.get("tag", bound.get("tagInfo")) if method in PARAMETERS else None)
        if made:
            return made.answer(method, bound)
        body = self.recorded.get(key_of(method, bound))
        if body and self.event == NOW and not self.drafts:
            return body
        if method in PARAMETERS:
            return response(getattr(self, method)(**bound))
        raise Fault(1000, f"not recorded: {method}{tuple(positional)} {keywords}")

    def inner(self, call):
        try:
            body = self.answer(call["methodName"], *split_keywords(call["params"]))
            return [xmlrpc.client.loads(body, use_builtin_types=True)[0][0]]
        except (Fault, xmlrpc.client.Fault) as fault:
            words = getattr(fault, "words", None) or fault.faultString
            code = getattr(fault, "code", None) or fault.faultCode
            return {"faultCode": code, "faultString": words, "traceback":
                    ["Traceback (most recent call last):\n", '  File "/usr/share/koji-hub/kojixmlrpc.py", line 1\n']}

    # ---- what follows

    def getTag(self, tagInfo, event, strict, **_):
        tag = self.value("getTag", tagInfo=tagInfo)
        if tag is None: # the list of all tags tells the same of each, but for its extra
            tag = next(({**row, "extra": {}} for row in self.value("listTags") or []
                        if tagInfo in (row["name"], row["id"])), None)
        if tag is None and strict:
            raise Fault(1000, f"No such tagInfo: {tagInfo!r}")
        return {**tag, "query_event": event} if tag and event else tag

    def getLastEvent(self, **_):
        return {"id": self.event, "ts": 1795415750.932892 + self.event - NOW}

    def getEvent(self, id, strict):
        if not 0 < id <= self.event:
            if strict:
                raise Fault(1000, "query returned no rows")
            return None
        return {"id": id, "ts": 1795415750.932892 + id - NOW}

    def getFullInheritance(self, tag, **_):
        rows = self.value("getFullInheritance", tag="f26-build")
        ids = {row["name"]: row["parent_id"] for row in rows} | {"f26-build": 5}
        if tag not in ids and tag not in ids.values():
            raise Fault(1000, f"No such entry in table tag: {tag}")
        found, at = [], [ids.get(tag, tag)]
        while at:
            child = at.pop(0)
            below = [row for row in rows if row["child_id"] == child and row not in found]
            found += below
            at += [row["parent_id"] for row in below]
        return found

    def tagChangedSinceEvent(self, event, taglist):
        if not taglist:
            raise Fault(1, "<class 'psycopg2.errors.SyntaxError'>: syntax error at or near \")\"\nLINE 5:\n   ^\n")
        return any(self.changed.get(tag, NOW) > event for tag in taglist)

    def listTaggedRPMS(self, tag, event, inherit, latest, package, arch, rpmsigs, extra, draft, **_):
        base = {"tag": tag, "inherit": inherit, "latest": latest, "package": package}
        found = None
        for when in [None, NOW] if not event or event >= NOW else [event]:
            for signed in [rpmsigs] if rpmsigs else [False, True]:
                found = found or self.value("listTaggedRPMS", **base, event=when, rpmsigs=signed)
        if found is None and self.value("getTag", tagInfo=tag) is None:
            raise Fault(1000, f"No such tagInfo: {tag!r}")
        if found is None:
            raise Fault(1000, f"not recorded: listTaggedRPMS of {base} at {event}")
        rpms, builds = found
        arches = [arch] if isinstance(arch, str) else arch
        unwanted = ([] if extra else ["extra"]) + ([] if rpmsigs else ["sigkey"])
        seen, kept = set(), []
        for rpm in rpms:
            row = {name: value for name, value in rpm.items() if name not in unwanted}
            if (not arches or rpm["arch"] in arches) and (rpmsigs or rpm["id"] not in seen):
                kept.append(row)
            seen.add(rpm["id"])
        builds = [{**build, "draft": build["nvr"] in self.drafts} for build in builds]
        drafts = {build["build_id"] for build in builds if build["draft"] and draft is False}
        return [[rpm for rpm in kept if rpm["build_id"] not in drafts],
                [build for build in builds if build["build_id"] not in drafts]]

    def queryRPMSigs(self, rpm_id, **_):
        return [{"rpm_id": rpm_id, "sigkey": key, "sighash": "0" * 32} for key in sorted(self.signed.get(rpm_id, ()))]

    def getBuild(self, buildInfo, strict):
        if isinstance(buildInfo, str) and buildInfo.count("-") < 2:
            raise Fault(1000, f"Invalid format: {buildInfo}")
        build = self.find_build(buildInfo)
        if build is None and strict:
            raise Fault(1000, f"No such build: {buildInfo!r}")
        return build

    def listBuildRPMs(self, build):
        found = self.find_build(build)
        if found is None:
            raise Fault(1000, f"No such build: {build!r}")
        return [{**rpm, "nvr": found["nvr"]} for rpm in self.build_rpms[found["id"]].values()]

    def find_build(self, info):
        return self.builds.get(info) or next((b for b in self.builds.values() if b["id"] == info), None)


class MadeTag:
    """A tag of any size in the shape of the recordings: so many builds, each with so many RPMs, each RPM with a row
    per signature (the first is '', the unsigned header)."""
    KINDS = [("", "src"), ("", "x86_64"), ("-libs", "x86_64"), ("-devel", "x86_64"), ("-doc", "noarch"),
             ("-debuginfo", "x86_64"), ("", "aarch64"), ("-libs", "aarch64"), ("-devel", "aarch64")]

    def __init__(self, name, builds, rpms=6, keys=("", "7ec1b334"), id=9000):
        self.name, self.count, self.rpms, self.keys, self.id = name, builds, rpms, list(keys), id

    def answer(self, method, bound):
        if method == "getTag":
            return response({"arches": "x86_64 aarch64", "id": self.id, "locked": False, "maven_include_all": False,
                             "maven_support": False, "name": self.name, "perm": None, "perm_id": None, "extra": {}})
        if method == "getFullInheritance":
            return response([])
        if method != "listTaggedRPMS":
            raise Fault(1000, f"not made: {method} of {self.name}")
        return self.listing(bound["rpmsigs"], bound["extra"], bound["arch"])

    def listing(self, rpmsigs, extra, arch):
        arches = [arch] if isinstance(arch, str) else arch
        out = [HEAD, "<params>\n<param>\n<value><array><data>\n<value><array><data>\n"]
        forms = {}
        for n in range(self.count):
            for k in range(self.rpms):
                suffix, rpm_arch = self.KINDS[k % len(self.KINDS)]
                if arches and rpm_arch not in arches:
                    continue
                form = (suffix, rpm_arch)
                if form not in forms:
                    forms[form] = self.rows(suffix, rpm_arch, rpmsigs, extra)
                out.append(forms[form] % {"n": n, "id": n * self.rpms + k + 1, "size": 7000 + (n * 31 + k) % 90000,
                                          "hash": f"{n:016x}{k:016x}"})
        out.append("</data></array></value>\n<value><array><data>\n")
        build = self.build_form()
        out += [build % {"n": n} for n in range(self.count)]
        out.append("</data></array></value>\n</data></array></value>\n</param>\n</params>\n</methodResponse>\n")
        return "".join(out).encode()

    @staticmethod
    def form(row):
        """the text of a row; 900719 stands for the number of the build, %s in texts for others"""
        out = []
        dump(row, out)
        text = "".join(out).replace("%", "%%")
        for mark, name in (("900719", "n"), ("900720", "id"), ("900721", "size"), ("HASH", "hash")):
            text = text.replace(mark, f"%({name}){'s' if name == 'hash' else 'd'}")
        return text

    def rows(self, suffix, arch, rpmsigs, extra):
        row = {"arch": arch, "build_id": 900719, "buildroot_id": None, "buildtime": 1795414704, "draft": False,
               "epoch": None, **({"extra": None} if extra else {}), "id": 900720, "metadata_only": False,
               "name": f"made900719{suffix}", "payloadhash": "HASH", "release": "1.fc26",
               **({"sigkey": None} if rpmsigs else {}), "size": 900721, "version": "1.0"}
        if not rpmsigs:
            return self.form(row)
        return "".join(self.form({**row, "sigkey": key}) for key in self.keys)

    def build_form(self):
        when = "2026-11-23 06:19:22.354001+00:00"
        return self.form({"build_id": 900719, "completion_time": when, "create_event": 354, "creation_event_id": 177,
            "creation_time": when, "draft": False, "epoch": None, "id": 900719, "name": "made900719",
            "nvr": "made900719-1.0-1.fc26", "owner_id": 1, "owner_name": "kojiadmin", "package_id": 900719,
            "package_name": "made900719", "promoter_id": None, "promoter_name": None, "promotion_time": None,
            "release": "1.fc26", "start_time": when, "state": 1, "tag_id": self.id, "tag_name": self.name,
            "task_id": None, "version": "1.0", "volume_id": 0, "volume_name": "DEFAULT"})


# ---- the server -------------------------------------------------------------------

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self):
        super().setup()
        self.server.hub.count("connections")

    def log_message(self, *_):
        pass

    def send(self, body, status=200, type="text/xml", **headers):
        self.send_response_only(status)
        self.send_header("Content-Type", type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_POST(self):
        hub = self.server.hub
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/control":
            return self.send(json.dumps(hub.control(json.loads(body))).encode(), type="application/json")
        if urllib.parse.urlsplit(self.path).path != "/kojihub":
            return self.send(b"Not Found", 404, "text/plain")
        try:
            method, positional, keywords = load_request(body)
        except Exception as error: # whatever foreign bytes do to a parser
            status, words = hub.koji.raw.get(body, (400, f"Invalid request: {error}\n".encode()))
            return self.send(words, status, "text/plain")
        hub.requests.append((method, positional, keywords))
        hub.count(method)
        wrong = hub.wrong(method)
        if wrong and not self.misbehave_first(wrong):
            return None
        try:
            answer = hub.koji.answer(method, positional, keywords)
        except Fault as fault:
            answer = fault_response(fault.code, fault.words)
        if wrong and wrong["what"] not in ("delay",):
            return self.misbehave(wrong, answer)
        return self.send(answer, Koji_Version="1.35.1")

    do_PUT = do_DELETE = lambda self: self.send(b"Method Not Allowed\n", 405, "text/plain")

    def do_GET(self):
        hub = self.server.hub
        if self.path == "/counts":
            return self.send(json.dumps(hub.counts).encode(), type="application/json")
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        if path == "/kojihub":
            return self.send(b"Method Not Allowed\nThis is an XML-RPC server. Only POST requests are accepted.\n", 405,
                             "text/plain")
        hub.count(self.command)
        wrong = hub.wrong(self.command)
        if wrong and not self.misbehave_first(wrong):
            return None
        file = hub.topdir and hub.topdir / path.removeprefix("/kojifiles/").lstrip("/")
        if not file or ".." in path.split("/") or not file.is_file():
            return self.send(b"Not Found", 404, "text/plain")
        content = file.read_bytes()
        if wrong and wrong["what"] != "delay":
            return self.misbehave(wrong, content)
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        marks = {"Last_Modified": self.date_time_string(file.stat().st_mtime)} if hub.last_modified else \
            {"ETag": f'"{file.stat().st_mtime_ns:x}"'}
        if not asked:
            return self.send(content, type="application/x-rpm", **marks)
        first, last = int(asked[1]), min(int(asked[2] or len(content)), len(content) - 1)
        if first > last:
            return self.send(b"", 416)
        return self.send(content[first:last + 1], 206, "application/x-rpm",
                         Content_Range=f"bytes {first}-{last}/{len(content)}", **marks)

    do_HEAD = do_GET

    def misbehave_first(self, wrong):
        """what comes in place of an answer; true: there shall be one"""
        what = wrong["what"]
        if what == "delay":
            time.sleep(wrong.get("seconds", 1))
            return True
        if what == "close":
            self.close_connection = True
        elif what == "status":
            self.send(wrong.get("body", "<html><head><title>Oh dear</title></head></html>").encode(),
                      wrong.get("code", 503), wrong.get("type", "text/html"))
        elif what == "fault":
            self.send(fault_response(wrong.get("code", 1000), wrong.get("words", "no")))
        elif what == "body":
            self.send(wrong.get("body", "").encode(), type=wrong.get("type", "text/xml"))
        elif what == "html":
            self.send(b"<!DOCTYPE html>\n<html><head><title>Log in first</title></head>\n<body>Dear user</body></html>",
                      type="text/html")
        elif what == "redirect":
            self.send(b"", 302, Location=wrong["to"])
        else:
            return True
        return False

    def misbehave(self, wrong, answer):
        what = wrong["what"]
        if what == "replace":
            return self.send(answer.replace(wrong["old"].encode(), wrong["new"].encode(), wrong.get("count", 1)))
        if what == "half":
            return self.send(answer[:len(answer) // 2])
        if what == "gzip":
            return self.send(gzip.compress(answer, 1), Content_Encoding="gzip")
        self.close_connection = True
        self.send_response_only(200)
        self.send_header("Content-Type", "text/xml")
        if what == "break":
            self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        try:
            if what == "break":
                self.wfile.write(answer[:len(answer) // 2])
            elif what == "drip":
                for at in range(0, len(answer), wrong.get("bytes", 1)):
                    self.wfile.write(answer[at:at + wrong.get("bytes", 1)])
                    time.sleep(wrong.get("seconds", 0.02))
            elif what == "spaces":
                at = {"front": 0, "inside": answer.find(b"<params>"),
                      "text": answer.find(b"<string>") + 8}[wrong.get("where", "front")]
                self.wfile.write(answer[:at])
                for _ in range(1024):
                    self.wfile.write(b" " * (1 << 20))
                self.wfile.write(answer[at:])
            else:
                raise ValueError(what)
        except OSError:
            pass # the client has seen enough
        return None


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *where):
        if not isinstance(sys.exc_info()[1], OSError): # a client that has seen enough, or was refused by TLS
            super().handle_error(*where)


class ReplayHub:
    def __init__(self, recordings=DATA / "recordings", topdir=None, tls=None, port=0):
        self.koji = Koji(pathlib.Path(recordings))
        self.topdir = pathlib.Path(topdir) if topdir else None
        self.counts, self.requests = collections.Counter(), []
        self.last_modified = True # of files; else an ETag
        self.wrongs, self.lock = [], threading.Lock()
        self.server = Server(("127.0.0.1", port), Handler)
        self.server.hub = self
        scheme = "http"
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
            scheme = "https"
        host = "localhost" if tls else "127.0.0.1"
        self.base = f"{scheme}://{host}:{self.server.server_address[1]}"
        self.url, self.topurl = f"{self.base}/kojihub", f"{self.base}/kojifiles"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def count(self, what):
        with self.lock:
            self.counts[what] += 1

    def misbehave(self, what, method="*", times=1, skip=0, **parameters):
        """from the call after the next @skip ones on, @times times (-1: for ever)"""
        with self.lock:
            self.wrongs.append({"what": what, "method": method, "times": times, "skip": skip, **parameters})

    def wrong(self, method):
        with self.lock:
            for wrong in self.wrongs:
                if wrong["method"] not in ("*", method) or wrong["times"] == 0:
                    continue
                if wrong["skip"] > 0:
                    wrong["skip"] -= 1
                    return None
                wrong["times"] -= wrong["times"] > 0
                return wrong
        return None

    def clear(self):
        """forget what was told and counted"""
        with self.lock:
            self.wrongs.clear()
            self.counts.clear()
            self.requests.clear()
        self.koji.no_extra = False
        self.koji.drafts.clear()

    def add_tag(self, name, builds, **parameters):
        self.koji.made[name] = MadeTag(name, builds, **parameters)

    def control(self, order):
        do = order.pop("do")
        if do == "no_extra":
            self.koji.no_extra = True
        elif do == "draft":
            self.koji.drafts.add(order["nvr"])
        else:
            {"misbehave": self.misbehave, "add_tag": self.add_tag, "clear": self.clear}[do](**order)
        return {}


def unpack_topdir(folder):
    """the files that the recordings speak of, below @folder"""
    subprocess.run(["tar", "-I", "zstd", "-xf", str(DATA / "topdir.tar.zst"), "-C", str(folder)], check=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--topdir")
    parser.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"))
    arguments = parser.parse_args()
    with ReplayHub(topdir=arguments.topdir, tls=arguments.tls, port=arguments.port) as hub:
        print(hub.url, hub.topurl, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
