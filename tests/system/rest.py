# SPDX-License-Identifier: MIT
"""tests/system/rest.py: the HTTP contract, table by table, with exact bodies.

    rest.py --driver rest-driver     starts the test driver and plays the workers' part itself
    rest.py --url http://HOST:PORT   a service that runs already: only what needs no driver

Each case prints its name, what was expected and what was seen. Python's standard library only.
"""
import argparse, contextlib, http.client, json, re, socket, subprocess, threading, time
import urllib.parse

from restkit import *
from rest_tree import check_tree
from rest_wire import check_bodies, check_doors, check_hostile, status_of

NOT_FOUND = ("The requested URL was not found on the server. If you entered the URL manually "
             "please check your spelling and try again.")
NOT_ALLOWED = "The method is not allowed for the requested URL."
NO_COMPOSE = "No such compose found."
BAD_BODY = ("<p>The browser (or proxy) sent a request that this server could not understand."
            "</p>")
BAD_CHARACTERS = ("Only alphanumerical characters and ' -/_.:#+?$~^,' characters are allowed in "
                  "ODCS input variables")
BAD_ORDER = ("An invalid order_by key was suplied, allowed keys are: ['id', 'owner', "
             "'source_Type', 'koji_event', 'state', 'time_to_expire', 'time_submitted', "
             "'time_done', 'time_removed']")


# ---- 2.1, 2.2: paths, slashes, methods ----------------------------------------------------------

def check_paths(server):
    for path in ("/nope", "/api", "/api/2/composes/", "/api/1/composes/abc", "/api/1/composes/-1",
                 "/api/1/composes/1/", "/api/1/composes/1/x", "/api/1/composes//",
                 "/api/1/compose", "/odcs/1/", "/api/1//composes/", "/API/1/about/",
                 "/api/1/composes/%31", "/api/1/composes/1%2f", "/api%2f1/about/"):
        refused(server, f"unknown path {path}", server.get(path), 404, NOT_FOUND)
    for path in ("/api/1/composes", "/api/1/about", "/api/1/metrics", "/api/1"):
        for method in ("GET", "HEAD"):
            answer = server.ask(method, path)
            case(f"{method} {path}", (308, f"{server.url}{path}/"),
                 (answer.status, answer["Location"]))
    answer = server.get("/api/1/composes?page=2&x=%20")
    case("308 keeps the query", f"{server.url}/api/1/composes/?page=2&x=%20", answer["Location"])
    for method, path in (("PUT", "/api/1/composes/"), ("PUT", "/api/1/composes"),
                         ("POST", "/api/1/about/"), ("POST", "/api/1/about"),
                         ("DELETE", "/api/1/composes/"), ("POST", "/api/1/composes/1"),
                         ("PATCH", "/api/1/composes/"), ("POST", "/"), ("DELETE", "/composes/1/"),
                         ("TRACE", "/api/1/about/"), ("get", "/api/1/about/"), ("PUT", "/composes/")):
        answer = server.ask(method, path)
        refused(server, f"{method} {path}", answer, 405, NOT_ALLOWED)
        case(f"{method} {path}: Allow", True, "GET, HEAD" in (answer["Allow"] or ""))
    for path, allow in (("/", "GET, HEAD, OPTIONS"), ("/api/1/about/", "GET, HEAD, OPTIONS"),
                        ("/api/1/composes/", "GET, HEAD, OPTIONS, POST"),
                        ("/api/1/composes", "GET, HEAD, OPTIONS, POST"),
                        ("/odcs/1/composes", "GET, HEAD, OPTIONS, POST"),
                        ("/api/1/composes/1", "DELETE, GET, HEAD, OPTIONS, PATCH"),
                        ("/composes/", "GET, HEAD, OPTIONS")):
        answer = server.ask("OPTIONS", path)
        case(f"OPTIONS {path}", (200, allow, b""), (answer.status, answer["Allow"], answer.body))
    case("OPTIONS *", 200, server.ask("OPTIONS", "*").status)
    case("GET in absolute form", 200, server.get(f"{server.url}/api/1/about/").status)
    answer = server.get("/")
    case("home page", (200, "text/html; charset=utf-8", True),
         (answer.status, answer["Content-Type"], b'href="./api/1/"' in answer.body))
    case("/api/1/", 200, server.get("/api/1/").status)
    case("favicon", 200, server.get("/favicon.ico").status)
    for path in ("/", "/favicon.ico", "/api/1/", "/api/1/metrics/", "/odcs/1/composes", "/composes/"):
        head = server.ask("HEAD", path)
        case(f"HEAD {path}", (200, b""), (head.status, head.body))


# ---- 2.10 ---------------------------------------------------------------------------------------

def check_about(server):
    answer = server.get("/api/1/about/")
    about = answer.json
    case("about: members", ["allowed_clients", "auth_backend", "raw_config_urls", "sigkeys",
                            "version"], list(about))
    case("about: CORS", "*", answer["Access-Control-Allow-Origin"])
    case("about: clients", {"groups": {}, "users": {}}, about["allowed_clients"])
    if server.process:
        case("about: body", b'{"allowed_clients":{"groups":{},"users":{}},"auth_backend":"noauth",'
             b'"raw_config_urls":{"pungi_cfg":{}},"sigkeys":["aabbccdd"],"version":"%s"}\n'
             % about["version"].encode(), answer.body)
    head = server.ask("HEAD", "/api/1/about/")
    case("about: HEAD", (200, str(len(answer.body)), b""),
         (head.status, head["Content-Length"], head.body))
    answer = server.get("/api/1/metrics/")
    case("metrics", (200, True, "*"), (answer.status,
         answer["Content-Type"].startswith("text/plain; version="),
         answer["Access-Control-Allow-Origin"]))
    if server.process:
        case("metrics: body", b"# TYPE odcsfs_driver gauge\nodcsfs_driver 1\n", answer.body)


# ---- 1.2, 2.5: the object -----------------------------------------------------------------------

def blank(server, number):
    """A record as it is right after a POST of {"source": {"type": "tag", "source": "f26"}}."""
    tree = f"{server.url}/composes/odcs-{number}"
    return {
        "arches": "x86_64", "base_module_br_name": None, "base_module_br_stream": None,
        "base_module_br_stream_version_gte": None, "base_module_br_stream_version_lte": None,
        "builds": None, "compose_type": "test", "flags": [], "id": number, "koji_event": None,
        "koji_task_id": None, "label": None, "lookaside_repos": "", "modular_koji_tags": None,
        "module_defaults_url": None, "modules": None, "multilib_arches": "",
        "multilib_method": 0, "owner": "unknown", "packages": None,
        "parent_pungi_compose_ids": None, "pungi_compose_id": None, "removed_by": None,
        "respin_of": None, "result_repo": f"{tree}/compose/Temporary",
        "result_repofile": f"{tree}/compose/Temporary/odcs-{number}.repo",
        "results": ["repository"], "scratch_build_tasks": None, "scratch_modules": None,
        "sigkeys": "", "source": "f26", "source_type": 1, "state": 0, "state_name": "wait",
        "state_reason": None, "target_dir": "default", "time_done": None, "time_removed": None,
        "time_started": None, "time_submitted": None, "time_to_expire": None,
        "toplevel_url": tree,
    }


def check_object(server):
    before = int(time.time())
    answer = server.post({"source": {"type": "tag", "source": "f26"}})
    record = answer.json
    number = record["id"]
    case("POST", 200, answer.status)
    case("POST: no CORS", None, answer["Access-Control-Allow-Origin"])
    submitted = stamp(record["time_submitted"])
    case("POST: time_submitted is now", True, before <= submitted <= time.time())
    case("POST: time_to_expire", submitted + 86400, stamp(record["time_to_expire"]))
    want = blank(server, number)
    want["time_submitted"], want["time_to_expire"] = (record["time_submitted"],
                                                      record["time_to_expire"])
    if not server.process:  # a real service may have another public URL, and work already
        return number
    case("POST: exact bytes, 42 members", (42, dump(want)), (len(record), answer.body))
    want["pungi_config_dump"] = None
    answer = server.get(f"/api/1/composes/{number}")
    case("GET: exact bytes, 43 members", (200, dump(want)), (answer.status, answer.body))
    case("GET: type", "application/json", answer["Content-Type"])
    case("GET: CORS", "*", answer["Access-Control-Allow-Origin"])
    again = server.get(f"/api/1/composes/{number}")
    case("GET twice", answer.body, again.body)
    head = server.ask("HEAD", f"/api/1/composes/{number}")
    case("HEAD", (200, str(len(answer.body)), b"", "application/json"),
         (head.status, head["Content-Length"], head.body, head["Content-Type"]))
    case("GET with leading zeros", answer.body, server.get(f"/api/1/composes/00{number}").body)
    for unknown in ("999999", "0", "9223372036854775808", "9" * 400):
        answer = server.get(f"/api/1/composes/{unknown}")
        refused(server, f"GET {unknown[:24]}", answer, 404, NO_COMPOSE)
        case(f"GET {unknown[:24]}: no CORS", None, answer["Access-Control-Allow-Origin"])
    return number


def check_wishes(server):
    """Members of a request that come back in the record."""
    body = {"source": {"type": "tag", "source": "f26 f27 f26", "packages": ["b", "a", "b"],
                       "builds": ["x-1-1"], "sigkeys": ["", "AA"], "koji_event": 123,
                       "modular_koji_tags": ["m1", "m2"], "module_defaults_url": "git://x",
                       "module_defaults_commit": "abc", "scratch_modules": ["s:1"]},
            "flags": ["no_reuse", "no_deps"], "results": ["boot.iso", "iso"],
            "arches": ["s390x", "x86_64"], "multilib_arches": ["x86_64"],
            "multilib_method": ["devel", "runtime"], "lookaside_repos": ["http://a/", "http://b/"],
            "label": "RC-1.0", "compose_type": "production", "target_dir": "default",
            "unknown_member": 1, "seconds_to_live": 1000}
    if not server.process:  # a real service asks whether it may read them
        body["lookaside_repos"] = []
    answer = server.post(body)
    case("POST with everything", 200, answer.status)
    record = answer.json if answer.status == 200 else {}
    for name, want in {"source": "f26 f27", "packages": "b a", "builds": "x-1-1",
                       "sigkeys": " AA", "koji_event": 123, "modular_koji_tags": "m1 m2",
                       "module_defaults_url": "git://x abc", "scratch_modules": "s:1",
                       "flags": ["no_deps", "no_reuse"],
                       "results": ["repository", "iso", "boot.iso"], "arches": "s390x x86_64",
                       "multilib_arches": "x86_64", "multilib_method": 3,
                       "lookaside_repos": " ".join(body["lookaside_repos"]), "label": "RC-1.0",
                       "compose_type": "production", "target_dir": "default"}.items():
        case(f"record: {name}", want, record.get(name))
    record = server.post({"source": {"type": "tag", "source": "f26", "packages": []}}).json
    case("packages [] is shown as an empty word", "", record.get("packages"))
    for name, member, want in (("default", {}, 86400), ("0", {"seconds_to_live": 0}, 86400),
                               ("1 hour", {"seconds_to_live": 3600}, 3600),
                               ("above the maximum", {"seconds_to_live": 10**9}, 259200),
                               ("dashed string", {"seconds-to-live": "99"}, 99),
                               ("dashed empty", {"seconds-to-live": ""}, 86400),
                               ("the plain one counts", {"seconds_to_live": 50,
                                                         "seconds-to-live": 60}, 50)):
        record = server.post({"source": {"type": "tag", "source": "f26"}, **member}).json
        case(f"lifetime: {name}", want,
             stamp(record["time_to_expire"]) - stamp(record["time_submitted"]))


# ---- 2.6, 2.7: what is refused, in this order ---------------------------------------------------

def source(**members):
    return {"source": {"type": "tag", "source": "f26", **members}}


def check_refusals(server):
    rows = [(f"not JSON {text!r}", text, BAD_BODY)
            for text in ("", "{", "nonsense", '{"a":1}x', '{"a":1', "\ufeff{}", "[1,]", "NaN",
                         "'a'")]
    rows += [(f"nothing: {text}", text, "No JSON POST data submitted")
             for text in ("{}", "[]", "0", '""', "null", "false", "0.0")]
    rows += [
        ("no source", {"a": 1}, "Invalid source configuration provided: {'a': 1}"),
        ("source is a word", {"source": "x"},
         "Invalid source configuration provided: {'source': 'x'}"),
        ("no type", {"source": {"source": "f26"}},
         "Missing type in source configuration, received: {'source': 'f26'}"),
        ("type", {"source": {"type": "x", "source": "f26"}}, 'Unknown source type "x"'),
        ("empty source", {"source": {"type": "tag", "source": ""}}, "No source provided for 1"),
        ("no source.source", {"source": {"type": "repo"}}, "No source provided for 3"),
        ("module without source", {"source": {"type": "module", "source": " "}},
         "No source provided for 2"),
        ("raw_config of two", {"source": {"type": "raw_config", "source": "a b"}},
         'Only single source is allowed for "raw_config" source_type'),
        ("raw_config without commit", {"source": {"type": "raw_config", "source": "a"}},
         'Source must be in "source_name#commit_hash" format for "raw_config" source_type.'),
        ("raw_config with empty commit", {"source": {"type": "raw_config", "source": "a#"}},
         'Source must be in "source_name#commit_hash" format for "raw_config" source_type.'),
        ("raw_config unknown", {"source": {"type": "raw_config", "source": "nope#1"}},
         'Source "nope" does not exist in server configuration.'),
        ("module form", {"source": {"type": "module", "source": "testmodule"}},
         'Module definition must be in "n:s", "n:s:v" or "n:s:v:c" format, but got testmodule'),
        ("packages of a module", {"source": {"type": "module", "source": "m:1", "packages": ["a"]}},
         "Exact packages cannot be set for MODULE source type."),
        ("flag", tag(flags=["x"]), "('Unknown flag %s', 'x')"),
        ("result", tag(results=["x"]), "('Unknown result %s', 'x')"),
        ("multilib method", tag(multilib_method=["x"]), 'Unknown multilib method "x"'),
        ("module defaults", source(module_defaults_url="git://x"),
         'The "module_defaults_url" and "module_defaults_commit" must be used together.'),
        ("target_dir", tag(target_dir="x"), 'Unknown "target_dir" "x"'),
        ("order: flag before result", tag(flags=["x"], results=["y"]),
         "('Unknown flag %s', 'x')"),
        ("order: values before source", {"label": 1, "source": "x"}, "label should be a string"),
    ]
    rows += [(f"{name} as a word", source(**{name: "x"}), f"{name} should be a list")
             for name in ("builds", "packages", "sigkeys", "scratch_modules", "scratch_build_tasks",
                          "modules")]
    rows += [("multilib_method as a word", tag(multilib_method="x"),
              "multilib_method should be a list")]
    rows += [(f"{name} as a list", source(**{name: ["x"]}), f"{name} should be a string")
             for name in ("type", "base_module_br_name", "base_module_br_stream")]
    rows += [(f"{name} as a word", source(**{name: "1"}), f"{name} should be an integer")
             for name in ("koji_event", "base_module_br_stream_version_lte",
                          "base_module_br_stream_version_gte")]
    rows += [("a list in what is no list's place", {"source": {"type": "tag", "source": "f26",
                                                               "x": [["a@b"]]}}, BAD_CHARACTERS),
             ("null deep in a list", tag(x=[["a", None]]), "Only dict, list, str, unicode, int, "
              "float and bool types are allowed in ODCS input variables, but '1' has "
              "'<class 'NoneType'>' type"),
             ("an object in a list", tag(x=[{"a": 1}]),
              "Only 'source' key is allowed to contain dict."),
             ("raw_config of two hashes", {"source": {"type": "raw_config",
                                                      "source": "pungi_cfg#a#b"}},
              'Source must be in "source_name#commit_hash" format for "raw_config" source_type.')]
    rows += [(f"{name} as a number", tag(**{name: 1}), f"{name} should be a string")
             for name in ("label", "compose_type", "target_dir")]
    rows += [(f"{name} as a word", tag(**{name: "1"}), f"{name} should be an integer")
             for name in ("seconds_to_live",)]
    rows += [
        ("koji_event as a fraction", source(koji_event=1.5), "koji_event should be an integer"),
        ("label null", tag(label=None), "label should be a string"),
        ("an object", tag(x={"a": 1}), "Only 'source' key is allowed to contain dict."),
        ("a deep object", source(x={"a": 1}), "Only 'source' key is allowed to contain dict."),
        ("null", tag(x=None), "Only dict, list, str, unicode, int, float and bool types are "
         "allowed in ODCS input variables, but 'x' has '<class 'NoneType'>' type"),
    ]
    rows += [(f"character {text!r}", tag(x=text), BAD_CHARACTERS)
             for text in ("a@b", "a=b", "a%b", "(a", "a*", "a&b", '"', "'", "a\nb")]
    for name, body, message in rows:
        answer = server.post(body.encode() if isinstance(body, str) else body)
        refused(server, f"POST {name}", answer, 400, message)
    for name, body in (("negative", tag(seconds_to_live=-1)),
                       ("dashed word", tag(**{"seconds-to-live": "soon"}))):
        answer = server.post(body)
        case(f"POST lifetime {name}", (400, True),
             (answer.status,
              answer.json["message"].startswith("Invalid seconds_to_live specified in request: {")))
    answer = server.post({"source": {"type": "module", "source": "platform:el8"}})
    case("POST base module", (400, True), (answer.status, bool(re.fullmatch(
        "ODCS currently cannot create compose with base modules, but platform(:el8)? was "
        "requested.", answer.json["message"]))))
    for name, body in (("a NUL", tag(x="a\x00b")), ("a list", [1]), ("a word", '"x"'), ("a number", "7"),
                       ("source.source a number", {"source": {"type": "tag", "source": 7}}),
                       ("arches a word", tag(arches="x86_64")), ("flags a word", tag(flags="x")),
                       ("deep nesting", "[" * 5000 + "]" * 5000)):
        answer = server.post(body)
        case(f"POST {name}: 400, not 500", (400, "Bad Request", 400),
             (answer.status, answer.json["error"], answer.json["status"]))
    for name, body in (("allowed characters", tag(x="aZ09 -/_.:#+?$~^,é")),
                       ("packages are free", source(packages=["a@b=c%d(*)&"])),
                       ("true as a number", source(koji_event=True)),
                       ("build without builds", {"source": {"type": "build"}}),
                       ("module with scratch_modules",
                        {"source": {"type": "module", "source": "",
                                    "scratch_modules": ["a:b"]}})):
        case(f"POST {name}: accepted", 200, server.post(body).status)
    for path in ("/api/1/composes", "/api/1/composes/"):
        answer = server.ask("POST", path, tag(), {"Content-Type": "text/html"})
        case(f"POST {path}: served directly", 200, answer.status)
    if server.process:
        answer = server.post({"source": {"type": "repo", "source": "/forbidden"}})
        refused(server, "POST not allowed", answer, 403, "/forbidden: not allowed")
        answer = server.post({"source": {"type": "raw_config", "source": "pungi_cfg#abc"}})
        case("POST raw_config known", 200, answer.status)
        local = {"source": {"type": "repo", "source": "/local"}}
        case("POST local", 200, server.post(local).status)
        for header, value in (("X-Forwarded-For", "192.0.2.1"), ("Via", "1.1 proxy"),
                              ("Host", "evil.example")):
            answer = server.ask("POST", "/api/1/composes/", local, {header: value})
            refused(server, f"POST local with {header} is not local", answer, 403,
                    "/local: only for users of this machine")
    for origin in ("http://evil.example", "null", server.url + ".evil.example"):
        answer = server.ask("POST", "/api/1/composes/", tag(), {"Origin": origin})
        refused(server, f"POST for a page of {origin}", answer, 403,
                "Pages of other sites may not change anything here.")
        case(f"GET for a page of {origin}", 200,
             server.ask("GET", "/api/1/about/", None, {"Origin": origin}).status)
    # a name of somebody else's that leads to us: such a page may send any header but these two
    for name, more in (("evil.example", {}), ("127.0.0.1.evil.example", {}), ("localhost.evil", {}),
                       ("evil.example", {"X-Forwarded-Host": f"evil.example:{server.port}"}),
                       ("evil.example", {"X-Forwarded-Host": f"localhost:{server.port}"})):
        headers = {"Host": f"{name}:{server.port}", "Origin": f"http://{name}:{server.port}", **more}
        for method, path in (("POST", "/api/1/composes/"), ("DELETE", "/api/1/composes/1")):
            refused(server, f"{method} for a page of {name} that leads to us, {more}",
                    server.ask(method, path, tag(), headers), 403,
                    "Pages of other sites may not change anything here.")
    case("POST for a page of our own", 200,
         server.ask("POST", "/api/1/composes/", tag(), {"Origin": server.url}).status)
    for host in (f"localhost:{server.port}", "[::1]", "192.0.2.7"):
        case(f"POST for a page of ours at {host}", 200, server.ask(
            "POST", "/api/1/composes/", tag(), {"Host": host, "Origin": f"http://{host}"}).status)


# ---- 2.4: the list ------------------------------------------------------------------------------

def check_list(server):
    for number in range(25):
        server.tell("row " + json.dumps({"source": {"type": "tag" if number % 2 else "build",
                                                    "source": f"s{number % 5}",
                                                    "builds": ["a-1-1"]},
                                         "label": "RC-1.0" if number < 3 else "RC-2.0",
                                         "seconds_to_live": 1000 - number}))
    total = server.get("/api/1/composes/?per_page=1").json["meta"]["total"]

    def page(query):
        return server.get("/api/1/composes/" + query)

    base = f"{server.url}/api/1/composes/"
    answer = page("")
    body = answer.json
    pages = -(-total // 10)
    case("list: members", ["items", "meta"], list(body))
    case("list: items", [total - i for i in range(10)], [i["id"] for i in body["items"]])
    case("list: 42 members", {42}, {len(item) for item in body["items"]})
    case("list: meta", {"first": base + "?page=1&per_page=10",
                        "last": base + f"?page={pages}&per_page=10",
                        "next": base + "?page=2&per_page=10", "page": 1, "pages": pages,
                        "per_page": 10, "prev": None, "total": total}, body["meta"])
    case("list: exact bytes", dump(body), answer.body)
    case("list: CORS", "*", answer["Access-Control-Allow-Origin"])
    case("list: type", "application/json", answer["Content-Type"])
    case("list: again", answer.body, page("").body)
    head = server.ask("HEAD", "/api/1/composes/")
    case("list: HEAD", (200, str(len(answer.body)), b""),
         (head.status, head["Content-Length"], head.body))
    record = server.get(f"/api/1/composes/{total}").json
    record.pop("pungi_config_dump")
    case("list: item as GET", record, body["items"][0])

    for query, want in (("?page=2", (2, 10)), ("?page=0", (1, 10)), ("?page=-3", (1, 10)),
                        ("?page=x", (1, 10)), ("?page=", (1, 10)), ("?page=+2", (2, 10)),
                        ("?per_page=3", (1, 3)), ("?per_page=x", (1, 10)),
                        ("?per_page=-1", (1, 20)), ("?per_page=100000", (1, 500)),
                        ("?per_page=501", (1, 500)), ("?per_page=500", (1, 500)),
                        ("?page=2&page=3", (2, 10)), ("?per_page=0", (1, 0)),
                        ("?page=99999999999999999999", (1, 10)),
                        ("?page=9223372036854775807", (9223372036854775807, 10))):
        meta = page(query).json["meta"]
        case(f"list {query}: page, per_page", want, (meta["page"], meta["per_page"]))
        if want[1]:
            case(f"list {query}: pages", -(-total // want[1]), meta["pages"])
    body = page("?per_page=0").json
    case("per_page=0", ([], 0, total, base + "?page=0&per_page=0"),
         (body["items"], body["meta"]["pages"], body["meta"]["total"], body["meta"]["last"]))
    body = page(f"?page={pages}").json
    case("last page", (total - 10 * (pages - 1), None, base + f"?page={pages - 1}&per_page=10"),
         (len(body["items"]), body["meta"]["next"], body["meta"]["prev"]))
    body = page("?page=1000").json
    case("beyond the end", ([], base + "?page=999&per_page=10", None),
         (body["items"], body["meta"]["prev"], body["meta"]["next"]))
    body = page("?owner=nobody").json
    case("nothing found", ([], 0, 0, base + "?page=0&per_page=10&owner=nobody"),
         (body["items"], body["meta"]["pages"], body["meta"]["total"], body["meta"]["last"]))
    meta = page("?page=2&owner=unknown&x=a%20b%26%2Fc&_y=1&endpoint=z&label=&x=2").json["meta"]
    case("links keep the filters",
         base + "?page=3&per_page=10&owner=unknown&x=a%20b%26/c&label=&x=2",
         meta["next"].replace("+", "%20"))

    everything = page("?per_page=500").json["items"]
    for query, key, want in (("state=0", "state", 0), ("state=4", "state", 4),
                             ("source_type=6", "source_type", 6), ("source=s1", "source", "s1"),
                             ("owner=unknown", "owner", "unknown"), ("label=RC-1.0", "label",
                                                                     "RC-1.0"),
                             ("compose_type=production", "compose_type", "production")):
        items = page(f"?{query}&per_page=500").json["items"]
        case(f"filter {query}", [i["id"] for i in everything if i[key] == want],
             [i["id"] for i in items])
    for query in ("state=0&state=4", "owner=unknown&owner=x"):
        case(f"filter {query}: the first counts", page("?" + query.split("&")[0]).json["meta"]["total"],
             page("?" + query).json["meta"]["total"])
    body = page("?state=0&source_type=1&source=s1&per_page=500").json
    case("filters together", [i["id"] for i in everything if (i["state"], i["source_type"],
                                                             i["source"]) == (0, 1, "s1")],
         [i["id"] for i in body["items"]])
    for query in ("state=wait", "source_type=tag", "koji_task_id=7", "koji_task_id=x",
                  "pungi_compose_id=x", "state=-1", "source_type=-1", "koji_task_id=-1",
                  "state=99999999999999999999", "source=", "state=", "order_desc_by=id"):
        empty = query.endswith("=") or query.startswith("order_desc")
        case(f"filter {query}", total if empty else 0, page(f"?{query}").json["meta"]["total"])

    def times(name):
        return lambda i: (i[name] is not None, i[name] or "", i["id"])

    for key, order in (("id", lambda i: i["id"]), ("time_to_expire", times("time_to_expire")),
                       ("time_submitted", times("time_submitted"))):
        ids = [i["id"] for i in sorted(everything, key=order)]
        seen = [i["id"] for i in page(f"?order_by={key}&per_page=500").json["items"]]
        case(f"order_by={key}", [sorted(everything, key=order)[n][key] for n in range(len(ids))],
             [next(i for i in everything if i["id"] == n)[key] for n in seen])
        case(f"order_by={key}: each once", sorted(ids), sorted(seen))
    for key in ("owner", "koji_event", "state", "time_done", "time_removed", "-state"):
        case(f"order_by={key}", 200, page(f"?order_by={key}").status)
    for key in ("source_type", "source_Type", "", "-", "--id", "x", "id "):
        answer = page("?order_by=" + urllib.parse.quote(key))
        refused(server, f"order_by={key!r}", answer, 400, BAD_ORDER)
    refused(server, "a NUL in the query", page("?owner=a%00b"), 400,
            "The query of the requested URL is malformed or has more than 128 members.")
    case("too many members", 400, page("?" + "&".join("a" for _ in range(200))).status)

    answer = server.get("/api/1/composes/?page=2", X_Script_Name="/prefix", X_Scheme="https",
                        X_Forwarded_Host="front.example:8443")
    case("links behind a proxy", "https://front.example:8443/prefix/api/1/composes/"
         "?page=1&per_page=10", answer.json["meta"]["first"])
    answer = server.get("/prefix/api/1/composes", X_Script_Name="/prefix", X_Scheme="https",
                        Host="front.example")
    case("308 behind a proxy", "https://front.example/prefix/api/1/composes/", answer["Location"])
    for header, value in (("Host", 'x"><script>'), ("X-Forwarded-Host", "a b"),
                          ("X-Scheme", "javascript"), ("X-Script-Name", "/a/../b"),
                          ("X-Script-Name", '/"x'), ("X-Script-Name", "//evil.example")):
        answer = server.ask("GET", "/api/1/composes/", headers={header: value})
        first = answer.json["meta"]["first"]
        case(f"{header}: {value} does not get into links", base + "?page=1&per_page=10", first)


# ---- 2.8, 2.9: renew, regenerate, cancel, delete ------------------------------------------------

def check_patch(server):
    def patch(number, body=None, path="/api/1/composes/{}"):
        return server.ask("PATCH", path.format(number), body)

    for state in ("wait", "generating"):
        number = make(server, state)
        refused(server, f"PATCH {state}", patch(number), 404, f"No compose with id {number} found")
    refused(server, "PATCH unknown", patch(987654), 404, "No compose with id 987654 found")
    refused(server, "PATCH bad JSON", patch(987654, "{"), 400, BAD_BODY)
    refused(server, "PATCH value before existence", patch(987654, {"label": 1}), 400,
            "label should be a string")
    number = make(server, "done")
    refused(server, "PATCH bad builds", patch(number, {"source": {"builds": "x"}}), 400,
            "builds should be a list")
    case("PATCH bad lifetime", 400, patch(number, {"seconds-to-live": "x"}).status)
    old = server.get(f"/api/1/composes/{number}").json
    for name, body, seconds in (("no body", None, 86400), ("{}", {}, 86400),
                                ("shorter", {"seconds_to_live": 10}, 86400),
                                ("longer", {"seconds_to_live": 100000}, 100000),
                                ("dashed", {"seconds-to-live": "120000"}, 120000),
                                ("above the maximum", {"seconds_to_live": 10**7}, 259200)):
        now = time.time()
        answer = patch(number, body)
        record = answer.json
        case(f"PATCH done, {name}", (200, number, "done"),
             (answer.status, record["id"], record["state_name"]))
        left = stamp(record["time_to_expire"]) - now
        case(f"PATCH done, {name}: lifetime", True, abs(left - seconds) < 5)
        case(f"PATCH done, {name}: seen by GET", record["time_to_expire"],
             server.get(f"/api/1/composes/{number}").json["time_to_expire"])
    answer = patch(number, {"seconds_to_live": 1}, "/api/1/composes/{}/")
    case("PATCH with a slash", (200, number), (answer.status, answer.json["id"]))
    for name, body, member, want in (
            ("label", {"label": "RC-1.0"}, "label", "RC-1.0"),
            ("sigkeys", {"sigkeys": ["AA", "BB"]}, "sigkeys", "AA BB"),
            ("builds", {"source": {"builds": ["x-1-1"]}}, "builds", "x-1-1"),
            ("empty builds", {"source": {"builds": []}}, "builds", ""),
            ("modules", {"source": {"modules": ["m:1"]}}, "modules", "m:1")):
        record = patch(number, {"seconds_to_live": 500, **body}).json
        case(f"PATCH {name} makes a new one", True, record["id"] > number)
        want_record = {**old, "id": record["id"], "state": 0, "state_name": "wait",
                       "state_reason": None, "time_done": None, "time_started": None,
                       "pungi_compose_id": None, "respin_of": old["pungi_compose_id"],
                       member: want}
        want_record.pop("pungi_config_dump")
        for changing in ("time_submitted", "time_to_expire", "result_repo", "result_repofile",
                         "toplevel_url"):
            want_record[changing] = record[changing]
        case(f"PATCH {name}: the record", want_record, record)
        case(f"PATCH {name}: lifetime", 500,
             stamp(record["time_to_expire"]) - stamp(record["time_submitted"]))
    labelled = make(server, "done")
    renewed = patch(labelled, {"sigkeys": []})
    case("PATCH with equal sigkeys renews", labelled, renewed.json["id"])
    for state in ("failed", "removed"):
        number = make(server, state)
        record = patch(number).json
        case(f"PATCH {state} makes a new one", (True, "wait", 55, "a"),
             (record["id"] > number, record["state_name"], record["koji_event"],
              record["packages"]))


def check_delete(server):
    def delete(number, path="/api/1/composes/{}"):
        return server.ask("DELETE", path.format(number))

    refused(server, "DELETE unknown", delete(987654), 404, NO_COMPOSE)
    number = make(server, "wait")
    answer = delete(number)
    case("DELETE wait", (202, b'{"message":"Compose (id=%d) has been canceled","status":202}\n'
                         % number), (answer.status, answer.body))
    case("DELETE wait: no CORS", None, answer["Access-Control-Allow-Origin"])
    record = server.get(f"/api/1/composes/{number}").json
    case("DELETE wait: record", ("failed", "Canceled by anonymous", None),
         (record["state_name"], record["state_reason"], record["removed_by"]))
    for state in ("generating", "removed"):
        number = make(server, state)
        refused(server, f"DELETE {state}", delete(number), 400,
                f"Compose (id={number}) can not be removed, its state need to be in "
                "['done', 'failed'].")
    for state in ("done", "failed"):
        number = make(server, state)
        for round in ("first", "second"):
            answer = delete(number, "/api/1/composes/{}/" if round == "second" else
                            "/api/1/composes/{}")
            case(f"DELETE {state}, {round}",
                 (202, b'{"message":"The delete request for compose (id=%d) has been accepted '
                  b'and will be processed by backend later.","status":202}\n' % number),
                 (answer.status, answer.body))
        record = server.get(f"/api/1/composes/{number}").json
        case(f"DELETE {state}: record", (state, "anonymous", True),
             (record["state_name"], record["removed_by"],
              stamp(record["time_to_expire"]) <= time.time()))
        server.tell("clock 5")
        server.tell("expire")
        server.tell("clock 0")
        record = server.get(f"/api/1/composes/{number}").json
        case(f"DELETE {state}: after the next clean-up", ("removed", True),
             (record["state_name"], record["state_reason"].endswith("Removed by anonymous.")))


# ---- 1.1: the seed ------------------------------------------------------------------------------

def check_seed(server):
    for path in ("/odcs/1/composes", "/odcs/1/composes/"):
        for name, body in (("flat", {"source_type": "tag", "source": "f26",
                                     "packages": ["httpd"]}),
                           ("nested", {"source": {"type": "tag", "source": "f26",
                                                  "packages": ["httpd"]},
                                       "seconds-to-live": 100, "flags": ["no_deps"]})):
            answer = server.post(body, path)
            record = answer.json
            case(f"seed POST {path} {name}", 200, answer.status)
            for member, want in (("owner", "Unknown"), ("source", "f26"), ("source_type", 1),
                                 ("state", 0), ("state_name", "wait"), ("result_repo", None),
                                 ("time_done", None), ("time_removed", None),
                                 ("packages", "httpd")):
                case(f"seed {name}: {member}", want, record.get(member))
    number = make(server, "done")
    answer = server.get(f"/odcs/1/composes/{number}")
    case("seed GET: CORS", "*", answer["Access-Control-Allow-Origin"])
    record = answer.json
    case("seed GET done", ("Unknown", "done", f"{server.url}/composes/odcs-{number}"
                           "/compose/Temporary"),
         (record["owner"], record["state_name"], record["result_repo"]))
    answer = server.post({"id": number, "seconds-to-live": 100000}, "/odcs/1/composes")
    case("seed {id} renews", (200, number), (answer.status, answer.json.get("id")))
    failed = make(server, "failed")
    answer = server.post({"id": failed}, "/odcs/1/composes")
    case("seed {id} regenerates", (200, True), (answer.status, answer.json["id"] > failed))
    for name, unknown in (("unknown", 987654), ("waiting", make(server, "wait"))):
        refused(server, f"seed {{id}} {name}", server.post({"id": unknown}, "/odcs/1/composes"), 400,
                f"No expired or failed compose with id {unknown}")
    case("no {id} at /api/1", 400, server.post({"id": number}).status)
    for path in ("/odcs/1/composes", "/odcs/1/composes/"):
        answer = server.get(path + "?per_page=2")
        case(f"seed list {path}", (200, 2, "Unknown", f"{server.url}/odcs/1/composes/"
                                   "?page=1&per_page=2"),
             (answer.status, len(answer.json["items"]), answer.json["items"][0]["owner"],
              answer.json["meta"]["first"]))
    case("seed DELETE", 202, server.ask("DELETE", f"/odcs/1/composes/{number}").status)


# ---- waiting ------------------------------------------------------------------------------------

def check_wait(server):
    number = make(server, "wait")
    path = f"/api/1/composes/{number}"
    start = time.monotonic()
    record = server.get(path + "?wait=1").json
    case("wait=1 ends by itself", ("wait", True),
         (record["state_name"], 0.8 < time.monotonic() - start < 3))
    for value in ("0", "x", "", "-5"):
        start = time.monotonic()
        server.get(path + f"?wait={value}")
        case(f"wait={value} does not wait", True, time.monotonic() - start < 0.5)
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(
        server.get(path + "?wait=20").json["state_name"])) for _ in range(5)]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    case("nobody came back early", [], answers)
    while server.tell("claim") != number:
        pass
    time.sleep(0.2)
    case("generating is not final", [], answers)
    server.tell(f"finish {number}")
    for thread in threads:
        thread.join()
    case("all woke at done", (["done"] * 5, True), (answers, time.monotonic() - start < 5))
    start = time.monotonic()
    server.get(path + "?wait=20")
    case("a final state is told at once", True, time.monotonic() - start < 0.5)
    case("wait for an unknown compose", 404, server.get("/api/1/composes/987654?wait=5").status)


def read_events(answer, count):
    events = []
    while len(events) < count:
        event = {}
        while (line := answer.readline().decode().rstrip("\n")):
            name, _, value = line.partition(": ")
            event[name] = value
        if "data" in event:
            events.append(event)
    return events


def check_events(server):
    connection = http.client.HTTPConnection(server.host, server.port, timeout=10)
    connection.request("GET", "/api/1/events")
    answer = connection.getresponse()
    case("events", (200, "text/event-stream"), (answer.status, answer.getheader("Content-Type")))
    head = server.raw(b"HEAD /api/1/events HTTP/1.1\r\nHost: x\r\n\r\nGET /nope HTTP/1.1\r\nHost: x\r\n"
                      b"Connection: close\r\n\r\n").split(b"\r\n\r\n", 1)
    case("HEAD of events: no body before the next answer", (200, True, 404),
         (status_of(head[0]), b"\r\nContent-Type: text/event-stream" in head[0], status_of(head[1])))
    number = make(server, "done")
    events = read_events(answer, 3)
    records = [json.loads(event["data"]) for event in events]
    case("events: kind", ["state-changed"] * 3, [event["event"] for event in events])
    case("events: body", ["compose", "event"], list(records[0]))
    case("events: states", [(number, "wait"), (number, "generating"), (number, "done")],
         [(r["compose"]["id"], r["compose"]["state_name"]) for r in records])
    case("events: 42 members", 42, len(records[0]["compose"]))
    resolved = make(server, "generating")
    server.tell(f"resolve {resolved} 7 a")
    case("events: resolved, the record", ("generating", "Compose is generating", 7),
         tuple(server.get(f"/api/1/composes/{resolved}").json[name]
               for name in ("state_name", "state_reason", "koji_event")))
    server.tell(f"finish {resolved}")
    case("events: none for what is no change of state", ["wait", "generating", "done"],
         [json.loads(event["data"])["compose"]["state_name"] for event in read_events(answer, 3)])
    ids = [int(event["id"]) for event in events]
    case("events: serials", [ids[0], ids[0] + 1, ids[0] + 2], ids)
    connection.close()
    again = http.client.HTTPConnection(server.host, server.port, timeout=10)
    again.request("GET", "/api/1/events/", headers={"Last-Event-ID": str(ids[0])})
    answer = again.getresponse()
    case("events: taken up again", ids[1:] + [ids[2] + 1],
         [int(e["id"]) for e in read_events(answer, 3)])
    again.close()
    lost = http.client.HTTPConnection(server.host, server.port, timeout=10)
    lost.request("GET", "/api/1/events", headers={"Last-Event-ID": "7"})
    case("events: too old", "lost", read_events(lost.getresponse(), 1)[0].get("event"))
    lost.close()
    other = make(server, "wait")
    one = http.client.HTTPConnection(server.host, server.port, timeout=10)
    one.request("GET", f"/api/1/events?id={other}")
    answer = one.getresponse()
    make(server, "done")
    server.ask("DELETE", f"/api/1/composes/{other}")
    record = json.loads(read_events(answer, 1)[0]["data"])
    case("events of one compose", other, record["compose"]["id"])
    one.close()


def check_listeners(driver):
    for listen, host in (("localhost:0", "localhost"), ("[::1]:0", "[::1]"),
                         ("127.0.0.1:0", "127.0.0.1")):
        try:
            with started(driver, listen) as server:
                case(f"listen {listen}", True,
                     bool(re.fullmatch(rf"http://{re.escape(host)}:\d+", server.url)))
                addresses = ["127.0.0.1", "::1"] if host == "localhost" else [host.strip("[]")]
                for address in addresses:
                    other = Server(server.url)
                    other.host = address
                    case(f"listen {listen}: {address}", 200, other.get("/api/1/about/").status)
                taken = subprocess.run([driver, f"{host}:{server.port}"], capture_output=True,
                                       text=True)
                case(f"listen {listen} twice", (1, True),
                     (taken.returncode, f"cannot listen on {host}:{server.port}: Address already "
                      "in use" in taken.stderr))
        except OSError as problem:
            print(f"note: {listen}: {problem}")
    for listen in ("5005", "x:1", "127.0.0.1:", "127.0.0.1:65536", "[::1:5", ""):
        wrong = subprocess.run([driver, listen], capture_output=True, text=True)
        case(f"listen {listen!r} is refused", 1, wrong.returncode)


def check_stop(driver):
    """A stop ends long polls and followers at once, and takes no longer than it says."""
    with started(driver, "127.0.0.1:0") as server:
        number = server.post(tag()).json["id"]
        seen = []
        thread = threading.Thread(target=lambda: seen.append(
            server.get(f"/api/1/composes/{number}?wait=60").status))
        thread.start()
        follower = http.client.HTTPConnection(server.host, server.port, timeout=10)
        follower.request("GET", "/api/1/events")
        answer = follower.getresponse()
        slow = socket.create_connection((server.host, server.port))
        slow.sendall(b"GET / HTTP/1.1\r\nX")
        time.sleep(0.3)
        start = time.monotonic()
        server.process.stdin.write("quit\n")
        server.process.stdin.flush()
        code = server.process.wait(10)
        case("stop", (0, True), (code, time.monotonic() - start < 3))
        thread.join()
        case("stop answers a long poll", [200], seen)
        case("stop ends a follower", True, answer.read().startswith(b"retry:"))
        slow.close()


def check_drain(driver):
    """While the service stops it is not told of changes any more: it shows none that are over."""
    with started(driver, "127.0.0.1:0") as server:
        number = make(server, "done")
        paths = (f"/api/1/composes/{number}", "/api/1/composes/?per_page=5",
                 f"/composes/odcs-{number}/compose/metadata/rpms.json")
        before = [server.get(path) for path in paths * 2][3:]  # the second time they are kept ones
        case("before the stop", [200] * 3, [answer.status for answer in before])
        server.tell("drain")
        record = server.ask("PATCH", paths[0], {"seconds_to_live": 200000}).json
        case("renewed", True, record["time_to_expire"] > before[0].json["time_to_expire"])
        case("the record, and the list", [record["time_to_expire"]] * 2,
             [server.get(paths[0]).json["time_to_expire"],
              server.get(paths[1]).json["items"][0]["time_to_expire"]])
        server.ask("DELETE", paths[0])
        server.tell("clock 5")
        server.tell("expire")
        case("removed: its file, its record", (404, "removed"),
             (server.get(paths[2]).status, server.get(paths[0]).json["state_name"]))
        start = time.monotonic()
        waiting = server.post(tag()).json["id"]
        case("nobody waits", (200, True),
             (server.get(f"/api/1/composes/{waiting}?wait=20").status, time.monotonic() - start < 5))


# ---- main ---------------------------------------------------------------------------------------

def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--driver")
    parser.add_argument("--url")
    parser.add_argument("--quiet", action="store_true", help="print failures only")
    options = parser.parse_args()
    if options.quiet:
        quiet()
    if options.url:
        server = Server(options.url)
        for check in (check_paths, check_about, check_object, check_wishes, check_refusals,
                      check_hostile):
            check(server)
    elif options.driver:
        with started(options.driver, "127.0.0.1:0") as server:
            for check in (check_paths, check_about, check_object, check_wishes, check_refusals,
                          check_list, check_patch, check_delete, check_seed, check_tree,
                          check_hostile, check_wait, check_events):
                check(server)
        check_bodies(options.driver)
        check_doors(options.driver)
        check_listeners(options.driver)
        check_stop(options.driver)
        check_drain(options.driver)
    else:
        parser.error("--driver or --url")
    end()


if __name__ == "__main__":
    main()
