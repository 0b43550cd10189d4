#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tests/unit/modules/stub.py: a Module Build Service and a Koji hub that know a few modules.

Prints "URL/kojihub URL/files" and serves until stdin ends: the hub there, MBS at URL/mbs. GET URL/asked tells what MBS was asked, one line
each, and forgets it. Other services, each wrong in its own way: URL/WORD for the words of class Wrong."""
import fnmatch, http.server, itertools, json, sys, threading, time, urllib.parse, xmlrpc.client

READY, DONE = 5, 3


def document(name, stream, version, context, requires=(), build="el8.1.0"):
    needs = "".join(f"      {need}: [{streams}]\n" for need, streams in requires)
    return f"""---
document: modulemd
version: 2
data:
  name: {name}
  stream: "{stream}"
  version: {version}
  context: {context}
  arch: x86_64
  summary: s
  description: d
  license:
    module: [MIT]
  dependencies:
  - buildrequires:
      platform: [{build}]
    requires:
      platform: [{build}]
{needs}...
"""


def build(name, stream, version, context, requires=(), state=READY, base="el8.1.0", number=80100, **more):
    return {"id": 1, "name": name, "stream": stream, "version": str(version), "context": context, "state": state,
            "koji_tag": f"module-{name}-{stream}", "scratch": False,
            "base_module_buildrequires": [{"name": "platform", "stream": base, "stream_version": number}],
            "modulemd": document(name, stream, version, context, requires, base), **more}


BUILDS = [
    build("web", "1", 30, "aaaa", state=DONE),
    build("web", "1", 20, "aaaa", [("lib", '"1"')]), build("web", "1", 20, "bbbb", [("lib", '"1"')]),
    build("web", "1", 10, "aaaa"),
    build("lib", "1", 9, "cccc", base="el8.2.0", number=80200), build("lib", "1", 8, "cccc", base="el8.0.0", number=80000),
    build("lib", "1", 7, "cccc", base="el7", number=70000),
    build("free", "1", 1, "dddd", [("lib", "")]),
    build("trial", "1", 5, "ffff", state=DONE, scratch=True),
    *(build("long", "1", 100 - i, "eeee") for i in range(30)),
]

TAGGED = { # of a tag: builds in the hub's order
    "mod-top": [("web", "1", 5, "aaaa", "mod-top"), ("my-lib", "a-b", 2, "cccc", "mod-top"),
                ("my-lib", "a_b", 3, "cccc", "mod-top"), ("all", "1", 1, "aaaa", "mod-top"),
                ("web", "1", 9, "aaaa", "mod-base"),
                ("web", "2", 4, "aaaa", "mod-base"), ("web", "2", 4, "bbbb", "mod-base")],
    "mod-other": [("web", "2", 99, "aaaa", "mod-other"), ("web", "3", 1, "aaaa", "mod-other"),
                  ("empty", "1", 1, "aaaa", "mod-other"), ("liar", "1", 1, "aaaa", "mod-other"),
                  ("forged", "1", 1, "aaaa", "mod-other"), ("nameless", "1", 1, "aaaa", "mod-other"),
                  ("gone", "1", 1, "aaaa", "mod-other")],
}
NEEDS = {("web", "2"): [("my-lib", '"a-b"')], ("all", "1"): [("my-lib", "")]}


def koji_build(name, stream, version, context, _tag):
    nvr = f"{name}-{stream.replace('-', '_')}-{version}.{context}"
    module = {"name": name, "stream": stream, "version": str(version), "context": context,
              "modulemd_str": document(name, stream, version, context, NEEDS.get((name, stream), ())),
              "content_koji_tag": f"module-{nvr}"}
    if name == "liar":
        module["modulemd_str"] = document(name, stream, version + 1, context)
    if name == "forged":
        module["stream"] += "\nx"
    extra = {} if name == "empty" else {"typeinfo": {"module": module}}
    return {"id": 1, "nvr": nvr, "name": name, "version": stream.replace("-", "_"), "release": f"{version}.{context}",
            "state": 2 if name == "gone" else 1, "extra": extra}


KOJI = {row["nvr"]: row for row in itertools.starmap(koji_build, itertools.chain(*TAGGED.values()))}
del KOJI["nameless-1-1.aaaa"]["nvr"]


class Wrong:
    """what is answered to whatever MBS is asked: status, type, body"""
    empty = 200, "application/json", '{"items": [], "meta": {"total": 0}}'
    broken = 500, "text/html", "<h1>Internal Server Error</h1>"
    missing = 404, "application/json", '{"error": "Not Found"}'
    html = 200, "text/html", "<!doctype html><title>Log in</title>"
    garbage = 200, "application/json", '{"items": [{"name": "web", '
    nothing = 200, "application/json", ""
    listed = 200, "application/json", "[1, 2]"
    odd = 200, "application/json", '{"items": {"a": 1}}'
    nulls = 200, "application/json", '{"items": [null]}'
    other = 200, "application/json", json.dumps({"items": [build("other", "1", 1, "a")]})
    failed = 200, "application/json", json.dumps({"items": [build("web", "1", 1, "a", state=4)]})
    unequal = 200, "application/json", json.dumps({"items": [build("web", "1", 1, "a", modulemd=document("web", "2", 1, "a"))]})
    alias = 200, "application/json", json.dumps({"items": [build("web", "1", 1, "a", modulemd="a: &b 1\nc: *b\n")]})
    number = 200, "application/json", json.dumps({"items": [build("web", "1", "soon", "a", modulemd=document("web", "1", 1, "a"))]})
    contextless = 200, "application/json", json.dumps({"items": [build("web", "1", 1, None)]})
    forged = 200, "application/json", json.dumps({"items": [build("web", "1", 1, "a\n2026 forged")]})
    deep = 200, "application/json", '{"items": ' + "[" * 100000
    once = 503, "text/plain", "later"


MOVED = {"elsewhere": "http://localhost:1/1/module-builds/", "moved": "/mbs/1/module-builds/"} # where a redirect leads
asked = []


def module_builds(query):
    words = query["nsvc"][0].split(":")
    states = set(map(int, query["state"]))
    scratch = query.get("scratch") == ["True"]
    found = [one for one in BUILDS if [one[part] for part in ("name", "stream", "version", "context")][:len(words)] == words
             and one["state"] in states and one["scratch"] == scratch]
    for bound, keep in (("lte", lambda a, b: a <= b), ("gte", lambda a, b: a >= b)):
        limit = query.get(f"base_module_br_stream_version_{bound}")
        if limit:
            found = [one for one in found if keep(one["base_module_buildrequires"][0]["stream_version"], int(limit[0]))]
    found.sort(key=lambda one: -int(one["version"]))
    return {"items": found[:10], "meta": {"page": 1, "per_page": 10, "total": len(found),
                                          "next": "http://127.0.0.1:1/never" if len(found) > 10 else None}}


def call(method, params):
    keywords = params.pop() if params and isinstance(params[-1], dict) and "__starstar" in params[-1] else {}
    if method == "multiCall":
        return [one(item["methodName"], list(item["params"])) for item in params[0]]
    if method == "listTagged":
        assert keywords["type"] == "module" and "latest" not in keywords, keywords
        if params[0] not in TAGGED:
            raise xmlrpc.client.Fault(1000, f"No such tagInfo: {params[0]!r}")
        return [{**koji_build(*row), "tag_name": row[4]} for row in TAGGED[params[0]]]
    if method == "getBuild":
        return KOJI.get(params[0])
    assert method == "search" and params[1:] == ["build", "glob"], (method, params)
    return [{"id": 1, "name": nvr} for nvr in sorted(KOJI) if fnmatch.fnmatchcase(nvr, params[0])]


def one(method, params):
    try:
        return [call(method, params)]
    except xmlrpc.client.Fault as fault:
        return {"faultCode": fault.faultCode, "faultString": fault.faultString}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    once = 0

    def log_message(self, *_):
        pass

    def send(self, status, type, body):
        body = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        params, method = xmlrpc.client.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            answer = call(method, list(params)),
        except xmlrpc.client.Fault as fault:
            answer = fault
        self.send(200, "text/xml", xmlrpc.client.dumps(answer, methodresponse=True, allow_none=True))

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        if url.path == "/asked":
            self.send(200, "text/plain", "".join(line + "\n" for line in asked))
            asked.clear()
            return
        service, _, path = url.path[1:].partition("/")
        asked.append(self.path)
        if path != "1/module-builds/":
            self.send(404, "text/plain", "no such page")
        elif service == "mbs":
            self.send(200, "application/json", json.dumps(module_builds(urllib.parse.parse_qs(url.query))))
        elif service in MOVED:
            self.send_response(302)
            self.send_header("Location", f"{MOVED[service]}?{url.query}")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif service == "slow":
            time.sleep(5)
        elif service == "once" and Handler.once % 2:
            Handler.once += 1
            self.send(200, "application/json", json.dumps(module_builds(urllib.parse.parse_qs(url.query))))
        else:
            Handler.once += service == "once"
            self.send(*getattr(Wrong, service))


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    print(f"{url}/kojihub {url}/files", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
