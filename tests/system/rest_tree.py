# SPDX-License-Identifier: MIT
"""tests/system/rest_tree.py: the tree over HTTP: names, files, ranges, conditions, listings, logs. Part
of rest.py."""
import re

from restkit import *

PACKAGE = bytes((i * 31 + i // 251) & 0xFF for i in range(300007))
OS = "compose/Temporary/x86_64/os"
RPM = f"{OS}/Packages/f/foo-first0-1.0-1.noarch.rpm"


def check_tree(server):
    number = make(server, "done")
    tree = f"/composes/odcs-{number}"
    for name in (f"{number}", f"odcs-{number}", f"latest-unknown-{number}",
                 f"latest-Unknown-{number}", f"latest-odcs-{number}-1"):
        answer = server.get(f"/composes/{name}/{OS}/repodata/repomd.xml")
        case(f"name {name}", (200, b"<repomd/>\n"), (answer.status, answer.body))
        answer = server.get(f"/composes/{name}")
        case(f"name {name} without slash", (301, f"./{name}/"),
             (answer.status, answer["Location"]))
    for path in (f"/composes/latest-somebody-{number}/", "/composes/odcs-999999/",
                 "/composes/odcs-/", "/composes/x/", "/composes/-1/", "/composes/odcs-1x/",
                 f"{tree}/nope", f"{tree}/STATUS/", f"{tree}/STATUS/x", f"{tree}/compose/nope/",
                 f"{tree}/../odcs-{number}/STATUS", f"{tree}/%2e%2e/odcs-{number}/STATUS",
                 f"{tree}/compose/../STATUS", f"{tree}/./STATUS", f"{tree}/compose%2fmetadata/",
                 f"{tree}/compose%2Fmetadata/rpms.json", f"/composes/..%2f..%2fetc/passwd",
                 f"{tree}/%252e%252e/STATUS", f"{tree}/..", "/composes/../", "/composes/.",
                 f"{tree}/" + "a" * 300, f"{tree}/%ff%fe"):
        refused(server, f"no {path[:60]}", server.get(path), 404,
                "There is no such file or directory.")
    for path in (f"{tree}/a%00b", f"{tree}/%", f"{tree}/%4", f"{tree}/%zz", "/composes/%00/"):
        refused(server, f"malformed {path}", server.get(path), 400,
                "The requested URL is malformed.")
    case("slashes too many", 200, server.get(f"{tree}//compose///metadata//rpms.json").status)
    case("encoded letters", 200, server.get(f"{tree}/%53TATUS").status)
    for path, location in (("/composes", "./composes/"), (f"{tree}/compose", "./compose/"),
                           (f"{tree}/{OS}", "./os/"), (f"{tree}/compose?a=b", "./compose/?a=b")):
        answer = server.get(path)
        case(f"{path} without slash", (301, location), (answer.status, answer["Location"]))

    for path, kind, body in (
            ("STATUS", "text/plain", b"FINISHED\n"),
            (f"{OS}/repodata/repomd.xml", "application/xml", b"<repomd/>\n"),
            (f"{OS}/repodata/empty", "text/plain", b""),
            (f"{OS}/repodata/a%26b%20%3Cc%3E%22d'%2541.txt", "text/plain", b"odd\n"),
            (RPM, "application/x-rpm", PACKAGE)):
        answer = server.get(f"{tree}/{path}")
        case(f"file {path[-30:]}", (200, kind, str(len(body)), body),
             (answer.status, answer["Content-Type"], answer["Content-Length"], answer.body))
        head = server.ask("HEAD", f"{tree}/{path}")
        case(f"file {path[-30:]}: HEAD", (200, str(len(body)), b"", answer["ETag"]),
             (head.status, head["Content-Length"], head.body, head["ETag"]))
        case(f"file {path[-30:]}: headers", (True, True, "bytes"),
             (bool(re.fullmatch(r'"[^"]+"', answer["ETag"] or "")),
              bool(re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT",
                                answer["Last-Modified"] or "")), answer["Accept-Ranges"]))
    case("package time", "Sun, 13 Sep 2020 12:26:40 GMT",
         server.get(f"{tree}/{RPM}")["Last-Modified"])
    answer = server.get(f"{tree}/compose/Temporary/odcs-{number}.repo")
    case(".repo", (200, "text/plain", True), (answer.status, answer["Content-Type"],
         answer.body.startswith(b"[odcs-%d]\nname=ODCS repository for compose odcs-%d\n"
                                % (number, number))))
    other = server.post({"source": {"type": "tag", "source": "f26"}, "target_dir": "private"}).json
    while server.tell("claim") not in (other["id"], 0):
        pass
    server.tell(f"finish {other['id']}")
    text = server.get(f"/composes/odcs-{other['id']}/compose/Temporary/odcs-{other['id']}.repo").body
    case(".repo of another target_dir is relative",
         ["baseurl=$basearch/os", "baseurl=$basearch/debug/tree", "baseurl=source/tree"],
         [line for line in text.decode().splitlines() if line.startswith("baseurl=")])
    answer = server.get(f"{tree}/compose/metadata/composeinfo.json")
    case("composeinfo.json", (200, "application/json", "productmd.composeinfo"),
         (answer.status, answer["Content-Type"], answer.json["header"]["type"]))
    answer = server.get(f"{tree}/compose/metadata/rpms.json")
    case("rpms.json", (200, "productmd.rpms", str(len(answer.body))),
         (answer.status, answer.json["header"]["type"], answer["Content-Length"]))
    for start in (0, 3, len(answer.body) - 13, len(answer.body) - 1):
        part = server.get(f"{tree}/compose/metadata/rpms.json", Range=f"bytes={start}-")
        case(f"rpms.json from {start}", (206, answer.body[start:]), (part.status, part.body))
    check_ranges(server, f"{tree}/{RPM}")
    check_conditions(server, f"{tree}/{RPM}")
    check_listing(server, number, tree)
    check_log(server)
    check_life(server)


def check_ranges(server, path):
    size = len(PACKAGE)
    for text, first, last in (("0-0", 0, 0), ("0-", 0, size - 1), ("5-9", 5, 9),
                              (f"{size - 1}-", size - 1, size - 1), ("-1", size - 1, size - 1),
                              ("-100", size - 100, size - 1), (f"-{size * 2}", 0, size - 1),
                              (f"10-{size * 9}", 10, size - 1),
                              ("100-99999999999999999999999", 100, size - 1)):
        answer = server.get(path, Range=f"bytes={text}")
        case(f"range {text}", (206, f"bytes {first}-{last}/{size}", PACKAGE[first:last + 1]),
             (answer.status, answer["Content-Range"], answer.body))
        case(f"range {text}: length", str(last - first + 1), answer["Content-Length"])
    for text in (f"{size}-", f"{size}-{size + 5}", "-0", "99999999999999999999999-"):
        answer = server.get(path, Range=f"bytes={text}")
        case(f"range {text}", (416, f"bytes */{size}", b""),
             (answer.status, answer["Content-Range"], answer.body))
    for text in ("bytes=5-3", "bytes=a-b", "bytes=-", "bytes=", "bytes=0-1,3-4", "lines=0-1",
                 "bytes=1", "bytes=0x1-2", "bytes= 0-1", "bytes=0-1;", "bytes=--1"):
        answer = server.get(path, Range=text)
        case(f"range {text} is none", (200, size), (answer.status, len(answer.body)))
    answer = server.get(path.rsplit("/Packages", 1)[0] + "/repodata/empty", Range="bytes=0-")
    case("range of an empty file", (416, "bytes */0"), (answer.status, answer["Content-Range"]))
    head = server.ask("HEAD", path, headers={"Range": "bytes=0-1"})
    case("HEAD knows no ranges", (200, str(size)), (head.status, head["Content-Length"]))


def check_conditions(server, path):
    full = server.get(path)
    etag, date = full["ETag"], full["Last-Modified"]
    early, late = "Sat, 12 Sep 2020 12:26:40 GMT", "Mon, 14 Sep 2020 12:26:40 GMT"
    for headers, want in (
            ({"If_None_Match": etag}, 304), ({"If_None_Match": f'"x", W/{etag}'}, 304),
            ({"If_None_Match": "*"}, 304), ({"If_None_Match": '"x"'}, 200),
            ({"If_None_Match": "garbage"}, 200), ({"If_None_Match": '"unterminated'}, 200),
            ({"If_Modified_Since": date}, 304), ({"If_Modified_Since": late}, 304),
            ({"If_Modified_Since": early}, 200), ({"If_Modified_Since": "garbage"}, 200),
            ({"If_None_Match": '"x"', "If_Modified_Since": late}, 200),
            ({"If_Match": etag}, 200), ({"If_Match": '"x"'}, 412), ({"If_Match": "*"}, 200),
            ({"If_Unmodified_Since": early}, 412), ({"If_Unmodified_Since": date}, 200),
            ({"Range": "bytes=0-4", "If_Range": etag}, 206),
            ({"Range": "bytes=0-4", "If_Range": '"x"'}, 200),
            ({"Range": "bytes=0-4", "If_Range": f"W/{etag}"}, 200),
            ({"Range": "bytes=0-4", "If_Range": date}, 206),
            ({"Range": "bytes=0-4", "If_Range": late}, 200),
            ({"Range": "bytes=0-4", "If_None_Match": etag}, 304)):
        answer = server.get(path, **headers)
        case(f"condition {headers}", (want, {304: 0, 412: 0, 206: 5}.get(want, len(PACKAGE))),
             (answer.status, len(answer.body)))
        if want == 304:
            case(f"condition {headers}: ETag", etag, answer["ETag"])


def check_listing(server, number, tree):
    def links(path):
        answer = server.get(path)
        case(f"listing {path}", (200, "text/html; charset=utf-8"),
             (answer.status, answer["Content-Type"]))
        return re.findall(r'<a href="([^"]*)">([^<]*)</a>', answer.body.decode())

    case("listing of the top", ["../", "COMPOSE_ID", "STATUS", "compose/", "logs/",
                                "pungi-stderr.log"], [text for _, text in links(f"{tree}/")])
    rows = links(f"{tree}/{OS}/repodata/")
    case("listing escapes names", ("./a%26b%20%3Cc%3E%22d%27%2541.txt",
                                   "a&#38;b &#60;c&#62;&#34;d&#39;%41.txt"), rows[1])
    case("listing: sorted", [row[0] for row in sorted(rows[1:])], [row[0] for row in rows[1:]])
    for link, _ in rows[1:]:
        case(f"listing: {link} leads somewhere", 200,
             server.get(f"{tree}/{OS}/repodata/{link[2:]}").status)
    body = server.get(f"{tree}/{OS}/Packages/f/").body
    case("listing: size", True, b'title="300,007 bytes"' in body)
    case("listing of composes", True,
         f"odcs-{number}/" in [text for _, text in links("/composes/")])
    case("listing: HEAD", (200, b""),
         (lambda a: (a.status, a.body))(server.ask("HEAD", f"{tree}/")))


def check_log(server):
    number = make(server, "generating")
    path = f"/composes/odcs-{number}/pungi-stderr.log"
    case("compose/ before it is done", 404,
         server.get(f"/composes/odcs-{number}/compose/").status)
    answer = server.get(path)
    case("empty log", (200, "text/plain", b""), (answer.status, answer["Content-Type"],
                                                 answer.body))
    case("empty log from 0", 416, server.get(path, Range="bytes=0-").status)
    server.tell(f"log {number} first line é")
    answer = server.get(path, Range="bytes=0-")
    case("log from 0", (206, "first line é\n".encode(), "text/plain"),
         (answer.status, answer.body, answer["Content-Type"]))
    case("log: not kept by caches", (None, None, "no-store"),
         (answer["ETag"], answer["Last-Modified"], answer["Cache-Control"]))
    length = len(answer.body)
    case("log: nothing new", 416, server.get(path, Range=f"bytes={length}-").status)
    server.tell(f"log {number} and more")
    answer = server.get(path, Range=f"bytes={length}-")
    case("log: what is new", (206, b"and more\n"), (answer.status, answer.body))
    case("log under its other name", length + 9,
         len(server.get(f"/composes/{number}/logs/global/odcsfs.log").body))
    server.tell(f"finish {number}")
    case("compose/ when it is done", 200, server.get(f"/composes/odcs-{number}/compose/").status)


def check_life(server):
    """A tree goes with its compose; a compose that reuses it keeps it."""
    old = make(server, "done")
    new = make(server, "generating")
    server.tell(f"reuse {new} {old}")
    path = f"/composes/odcs-{new}/{OS}/repodata/repomd.xml"
    case("reused tree", 200, server.get(path).status)
    record = server.get(f"/api/1/composes/{new}").json
    case("reused: URLs point to the other", f"{server.url}/composes/odcs-{old}",
         record["toplevel_url"])
    case("reused: .repo is the other's", 200,
         server.get(f"/composes/odcs-{new}/compose/Temporary/odcs-{old}.repo").status)
    number = make(server, "done")
    path = f"/composes/odcs-{number}/STATUS"
    case("tree while it lives", 200, server.get(path).status)
    server.ask("DELETE", f"/api/1/composes/{number}")
    server.tell("clock 5")
    server.tell("expire")
    server.tell("clock 0")
    case("tree of a removed compose", 404, server.get(path).status)
    case("listing without it", False,
         f"odcs-{number}/" in server.get("/composes/").body.decode())
    failed = make(server, "failed")
    case("tree of a failed compose", b"DOOMED\n", server.get(f"/composes/{failed}/STATUS").body)
