# SPDX-License-Identifier: MIT
"""tests/system/page.py: the pages for people: each is well formed and needs nothing from elsewhere, no foreign word
acts as HTML, every link leads somewhere, what stands there is what the API and the tree say, and all of it without
script."""
import base64, collections, gzip, hashlib, html.parser, json, os, pathlib, shlex, shutil, signal, sys, tempfile, time
import urllib.parse
from xml.sax.saxutils import quoteattr

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import *

VOID = {"meta", "link", "input", "br", "hr", "img"}
META = "http://linux.duke.edu/metadata/"
EVIL = "evil<script>alert(1)\"'&amp;" # a package; those have no slash
WANTS = "x\"><script src=//example.org/x.js></script>'&lt;"
STATES = {"wait": 0, "generating": 1, "done": 2, "removed": 3, "failed": 4}


class Page(html.parser.HTMLParser):
    """a page taken apart; what is wrong with it as a page is in .wrong"""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.wrong, self.stack, self.ids, self.links, self.words = [], [], [], [], []
        self.count, self.tables, self.commands, self.options = collections.Counter(), [], [], []
        self.refresh = self.main = None
        self.inline, self.titles, self.headings = {}, {}, []
        self.feed(text)
        self.close()
        if self.stack:
            self.wrong.append(f"left open: {self.stack}")
        for tag in ("title", "main", "h1", "html", "body", "style", "script"):
            if self.count[tag] != 1:
                self.wrong.append(f"{self.count[tag]} {tag}")
        if len(set(self.ids)) != len(self.ids):
            self.wrong.append(f"an id twice: {self.ids}")
        if self.count["caption"] != self.count["table"]:
            self.wrong.append("a table without a caption")
        for before, after in zip([1] + self.headings, self.headings):
            if after > before + 1:
                self.wrong.append(f"headings: h{after} below h{before}")
        self.text = " ".join("".join(self.words).split())

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if len(values) != len(attributes):
            self.wrong.append(f"an attribute twice: {self.get_starttag_text()}")
        self.count[tag] += 1
        if tag not in VOID and not self.get_starttag_text().endswith("/>"):
            self.stack.append(tag)
        for name, value in attributes:
            if name == "style" or name.startswith("on"):
                self.wrong.append(f"{name} in {self.get_starttag_text()}")
            if name in ("href", "src", "action", "data-events"):
                if urllib.parse.urlsplit(value).scheme or value.startswith(("/", "\\")):
                    self.wrong.append(f"a link to elsewhere: {value}")
            if name == "href" and tag == "a":
                self.links.append(value)
            if name == "id":
                self.ids.append(value)
        if tag == "main":
            self.main = values
        if tag == "meta" and values.get("http-equiv") == "refresh":
            self.refresh = values["content"]
            if self.stack[-1:] != ["noscript"]:
                self.wrong.append("a refresh for those with script")
        if tag in ("input", "select") and values.get("type") != "hidden" and "label" not in self.stack:
            self.wrong.append(f"without a label: {self.get_starttag_text()}")
        if tag in ("p", "li", "dt", "dd", "td", "th", "h1", "h2", "h3", "option", "div"):
            self.words.append(" ")
        if tag == "html" and not values.get("lang"):
            self.wrong.append("no language")
        if tag == "table":
            self.tables.append([])
        if tag == "tr" and self.tables:
            self.tables[-1].append([])
        if tag in ("td", "th") and self.tables:
            self.tables[-1][-1].append("")
        if tag == "pre":
            self.commands.append("")
        if tag in ("h1", "h2", "h3", "h4"):
            self.headings.append(int(tag[1]))
        if "title" in values and tag in ("span", "time"):
            self.titles[values["title"]] = True

    def handle_endtag(self, tag):
        if not self.stack or self.stack.pop() != tag:
            self.wrong.append(f"</{tag}> at {self.getpos()}")

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)

    def handle_data(self, data):
        top = self.stack[-1] if self.stack else None
        if top in ("style", "script"):
            self.inline[top] = self.inline.get(top, "") + data
            return
        self.words.append(data)
        if "td" in self.stack or "th" in self.stack:
            self.tables[-1][-1][-1] += data
        if top == "pre":
            self.commands[-1] += data
        elif data.strip() and not self.stack:
            self.wrong.append(f"text outside: {data!r}")

    def rows(self, table=0):
        """the cells of each row below the head"""
        return [[" ".join(c.split()) for c in row] for row in self.tables[table][1:]] if self.tables else []


def digest(text):
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def look(service, path, status=200, headers=None):
    """GET a page and judge it as one"""
    answer = service.call("GET", path, headers=headers or {})
    same((answer.status, answer.headers["Content-Type"]), (status, "text/html; charset=utf-8"), f"GET {path}")
    page = Page(answer.body.decode())
    same(page.wrong, [], f"{path} as HTML")
    policy = answer.headers["Content-Security-Policy"] or ""
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    same((rules.get("default-src"), rules.get("style-src"), rules.get("script-src")),
         ("'none'", digest(page.inline["style"]), digest(page.inline["script"])), f"{path}: policy")
    check("unsafe" not in policy and "http" not in policy, f"{path}: {policy}")
    return page


def test_checker():
    """a page that is wrong is seen to be"""
    good = ('<!DOCTYPE html><html lang="en"><head><title>t</title><style>s</style></head><body><main><h1>a</h1>'
            '%s</main><script>j</script></body></html>')
    same(Page(good % "<p>x</p>").wrong, [], "a page that is right")
    for bad in ("<p>x", "</p>", "<b><i></b></i>", '<a href="http://example.org/">x</a>', '<a href="//x/">x</a>',
                '<a href="javascript:x">x</a>', '<p onclick="x">x</p>', '<p style="x">x</p>', "<h3>x</h3>",
                "<table><tr><td>x</td></tr></table>", '<p id="a"></p><p id="a"></p>', "<script>x</script>",
                '<input name="x">', '<img src="https://x/">', '<meta http-equiv="refresh" content="5">'):
        check(Page(good % bad).wrong, f"{bad} is wrong")


# ---- the list -----------------------------------------------------------------------------------

def test_empty(service):
    """the two ways to make the first compose are lines that work"""
    page = look(service, "/")
    check("No composes yet" in page.text and page.refresh is None, "an empty list says so and stays as it is")
    same(len(page.commands), 2, "two commands")
    for number, command in enumerate(page.commands):
        check(("mkdir", "curl")[number] in command, f"how to begin: {command}")
        answer = run("sh", "-ec", command.replace("/srv/repos/base", str(BASE)).replace('"ed"', '"openssl"'))
        same(answer.returncode, 0, f"{command}: {answer.stderr}")
        same(service.wait_rest(number + 1)["state_name"], "done", "what the command made")


def walk(service, path):
    """the rows of a list, page by page"""
    seen, page = [], look(service, path)
    for _ in range(100):
        seen += page.rows()
        following = [l for l in page.links if "page=" in l and Page_number(l) == Page_number(path) + 1]
        if not following:
            break
        path = urllib.parse.urljoin(path, following[0])
        page = look(service, path)
    return seen


def Page_number(link):
    return int(urllib.parse.parse_qs(urllib.parse.urlsplit(link).query).get("page", ["1"])[0])


def api_ids(service, query):
    return [f"odcs-{i['id']}" for i in service.call("GET", f"/api/1/composes/?per_page=500&{query}").json["items"]]


def test_list(service, made):
    records = service.call("GET", "/api/1/composes/?per_page=500").json["items"]
    page = look(service, "/?per_page=500")
    rows = {row[0]: row for row in page.rows()}
    same(list(rows), [f"odcs-{r['id']}" for r in records], "rows of the list")
    for record in records:
        row = rows[f"odcs-{record['id']}"]
        same((row[1], row[3], row[4], row[5]), (record["state_name"], record["source"], "repo", record["owner"]),
             f"row of {record['id']}")
        check((record["packages"] or "everything").split()[0] in row[2], f"what was asked for: {row[2]}")
    counts = collections.Counter(r["state_name"] for r in records)
    same(set(counts), {"done", "removed", "failed"}, "states to look at")
    for state in STATES:
        check(f"{state} {counts[state]}" in page.text, f"count of {state} in {page.text[:300]}")
    check(f"all {len(records)}" in page.text, "count of all")
    # the API's parameters mean the same here
    for query in ("state=2", "state=4", "state=3&owner=root", "owner=nobody", "source_type=3", "source_type=1",
                  "state=banana", "order_by=id", "order_by=-time_done", "order_by=owner&state=2",
                  f"source={urllib.parse.quote(str(BASE))}", "compose_type=test&label=x", "koji_task_id=7"):
        want = api_ids(service, query)
        page = look(service, f"/?per_page=500&{query}")
        same([row[0] for row in page.rows()], want, f"/?{query}")
        found = f"{len(want)} compose" + ("" if len(want) == 1 else "s")
        check(found in page.text, f"/?{query} says {found}")
    for query in ("per_page=2", "per_page=3&order_by=id&state=2", "per_page=1&owner=root"):
        want = api_ids(service, query.split("&", 1)[1] if "&" in query else "")
        same([row[0] for row in walk(service, f"/?{query}")], want, f"all pages of /?{query}")
    same(len(look(service, "/").rows()), min(10, len(records)), "rows without a word")
    for far in ("page=99", "page=9223372036854775807", "page=99&per_page=0", "page=-1&per_page=0", "page=x&per_page=-3"):
        look(service, f"/?{far}")
    check("none of them on this page" in look(service, "/?page=99").text, "a page that is not there says so")
    look(service, "/?order_by=banana", 400)
    look(service, "/?a=%zz", 400)
    page = look(service, "/?source=" + urllib.parse.quote(EVIL) + "&owner=" + urllib.parse.quote(WANTS) + "&order_by=id")
    check(EVIL in page.text, "a filter is shown as it is")
    # the form keeps what it has no field for
    page = service.call("GET", "/?label=RC-1&state=2").body.decode()
    check('type="hidden" name="label" value="RC-1"' in page, "label in the form")
    check('<option value="2" selected>done' in page, "the state in the form")


# ---- one compose --------------------------------------------------------------------------------

def packages_of(service, number):
    """file name → size and reason, by the tree"""
    return {path.name: (path.stat().st_size, os.getxattr(path, "user.odcs.reason").decode(),
                        os.getxattr(path, "user.odcs.nevra").decode())
            for path in service.tree(number).rglob("*.rpm")}


def human(size):
    if size < 1024:
        return f"{size} bytes"
    size /= 1024
    for unit in ("KiB", "MiB", "GiB"):
        if size < 1023.5:
            return f"{size:.{1 if size < 99.95 else 0}f} {unit}"
        size /= 1024
    return None


def test_done(service, number, everything):
    page, record = look(service, f"/compose/{number}"), service.record(number)
    packages = packages_of(service, number)
    for word in ("done", record["owner"], record["source"], record["pungi_compose_id"], record["state_reason"],
                 f"{len(packages)} packages", "requests/done-1", "x86_64", "no_deps", record["time_done"][:10]):
        check(word in page.text, f"{word!r} on the page of {number}")
    check(page.refresh is None and "data-events" not in page.main, "what is done does not load itself again")
    rows = page.rows()
    same(len(rows), len(packages), "rows of packages")
    for (name, (size, reason, nevra)), row in zip(sorted(packages.items()), rows):
        name, arch = nevra.rsplit(".", 1)
        same(row, [name, arch, "x86_64/os", human(size), reason], f"row of {nevra}")
        check(size < 1024 or f"{size:,} bytes" in page.titles, f"exact size of {nevra}")
    # the .repo file, byte by byte, and commands that name it
    file = service.call("GET", urllib.parse.urlsplit(record["result_repofile"]).path).body.decode()
    check(file and file in page.commands, f"the .repo file {file!r} in {page.commands}")
    commands = [shlex.split(c.replace("\\\n", "")) for c in page.commands if c.startswith(("curl", "dnf", "cp"))]
    check(["curl", "-fo", f"/etc/yum.repos.d/odcs-{number}.repo", record["result_repofile"]] in commands, commands)
    check(f"--repofrompath=odcs-{number},{record['result_repo']}/$basearch/os" in
          next(c for c in commands if c[0] == "dnf"), commands)
    local = next(c for c in commands if c[0] == "cp")[1]
    check("file://" in pathlib.Path(local).read_text(), f"{local} is the file of the mount")
    written = (service.mnt / "requests/done-1/spec.json").read_text()
    check(written in page.commands, "the request as it was written")
    check(any("Compose thread started" in c for c in page.commands), "its log")
    # many packages: pages, a filter by name, and one by repository
    all_packages = packages_of(service, everything)
    page = look(service, f"/compose/{everything}")
    same(len(page.rows()), 50, "packages on a page")
    same([(r[0], r[1]) for r in walk(service, f"/compose/{everything}?page=1")],
         [tuple(n.rsplit(".", 1)) for _, (_, _, n) in sorted(all_packages.items())], "packages of all pages")
    for name in ("ssl", "LIBC", "nothing-is-called-so", "%", WANTS):
        want = [n for _, (_, _, n) in sorted(all_packages.items()) if name.lower() in n.lower()]
        page = look(service, f"/compose/{everything}?per_page=500&name={urllib.parse.quote(name)}")
        same([f"{r[0]}.{r[1]}" for r in page.rows()], want, f"packages like {name}")
    same(len(look(service, f"/compose/{everything}?per_page=500&repository=x86_64/os").rows()), len(all_packages),
         "packages of a repository")
    same(look(service, f"/compose/{everything}?repository=s390x/os").rows(), [], "packages of no repository")
    look(service, f"/compose/{everything}?page=9223372036854775807&per_page=500")
    look(service, f"/compose/{everything}?page=0&per_page=0")


def test_why_links(service, number):
    """the package that requires another leads to its own row"""
    page = look(service, f"/compose/{number}?name=libssl3")
    link = next(l for l in page.links if l.startswith("?name=openssl"))
    rows = look(service, urllib.parse.urljoin(f"/compose/{number}", link.split("#")[0])).rows()
    check(any(r[0].startswith("openssl-") and r[-1] == "requested" for r in rows), f"{link} shows {rows}")


def test_over(service, failed, removed):
    page, record = look(service, f"/compose/{failed}"), service.record(failed)
    check(record["state_reason"] in page.text and "Why it failed" in page.text, "why it failed")
    check(page.refresh is None and "Use it" not in page.text and not page.tables, "a failed one offers nothing to use")
    again = next(shlex.split(c) for c in page.commands if "PATCH" in c)
    same(again, ["curl", "-X", "PATCH", "-d", "{}", f"{service.url}/api/1/composes/{failed}"], "how to make it again")
    page, record = look(service, f"/compose/{removed}"), service.record(removed)
    check("removed" in page.text and "by root" in page.text and record["time_removed"][11:19] in page.text,
          f"a removed one says when and by whom: {page.text[:600]}")
    check(not any("composes/odcs" in l for l in page.links), f"no links to files that are gone: {page.links}")
    number = service.call("PATCH", f"/api/1/composes/{removed}", {}).json["id"]
    service.wait_rest(number)
    page = look(service, f"/compose/{number}")
    check(str(removed) in page.links and record["pungi_compose_id"] in page.text, "what it was made anew from")
    for path in ("/compose/999999", "/compose/99999999999999999999", "/compose/0"):
        page = look(service, path, 404)
        check("There is no compose" in page.text and "./" not in page.links, f"{path}: {page.text}")


def test_reuse(service):
    """who shows whose files, also when the one that made them is over"""
    spec = repo_spec(BASE, packages=["debconf"])
    first, second = service.compose("first-of-two", spec), service.compose("second-of-two", spec)
    same(os.getxattr(service.mnt / "requests/second-of-two", "user.odcs.reused_id"), str(first).encode(), "it is reused")
    one, two = look(service, f"/compose/{first}"), look(service, f"/compose/{second}")
    check(f"Reused by odcs-{second}" in one.text and str(second) in one.links,
          f"who reuses it {one.text[-900:]}")
    check(f"the files of odcs-{first}" in two.text and str(first) in two.links, f"what it reuses {two.text[-900:]}")
    same(two.rows(), one.rows(), "packages of both")
    check("and more" not in one.text, "all who reuse it")
    others = [service.call("POST", "/api/1/composes/", spec).json["id"] for _ in range(20)]
    for number in others:
        same(service.wait_rest(number)["toplevel_url"].rsplit("-", 1)[1], str(first), "it is reused as well")
    page = look(service, f"/compose/{first}")
    check(re.search(f"Reused by odcs-{second}(, odcs-\\d+){{19}} and more", page.text), f"20 of 21 {page.text[-900:]}")
    for number in others:
        same(service.call("DELETE", f"/api/1/composes/{number}").status, 202, "one of them ends")
    os.rmdir(service.mnt / "requests/first-of-two")
    check(wait_for(lambda: service.record(first)["state_name"] == "removed", 10), "the first is over")
    page = look(service, f"/compose/{first}")
    check("its files stay" in page.text and "Use it" not in page.text, "its files stay")
    same(page.rows(), one.rows(), "its packages")
    same(look(service, f"/compose/{second}").rows(), one.rows(), "packages of the second")
    for number in (first, second):
        crawl(service, f"/compose/{number}", 60)
    os.rmdir(service.mnt / "requests/second-of-two")
    check(wait_for(lambda: "Its files are gone" in look(service, f"/compose/{first}").text, 10), "both are over")
    check("Its files are gone" in look(service, f"/compose/{second}").text, "the second too")


def test_live(service):
    """only what still changes loads itself again, and follows the events that belong to it"""
    for worker in service.workers():
        os.kill(worker, signal.SIGSTOP)
    waiting = [service.call("POST", "/api/1/composes/", repo_spec(BASE, packages=["nginx"])).json["id"]
               for _ in range(5)]
    check(wait_for(lambda: service.record(waiting[1])["state_name"] == "generating", 10), "two are generating")
    for number, state in ((waiting[0], "generating"), (waiting[4], "wait")):
        page = look(service, f"/compose/{number}")
        check(page.refresh and int(page.refresh) > 0, f"{state} loads itself again")
        path = urllib.parse.urljoin(f"/compose/{number}", page.main["data-events"])
        same(path, f"/api/1/events?id={number}", f"events of {state}")
        check(f"is {state}" in page.main["data-said"] and state in page.text, f"{state} is said")
    page = look(service, "/")
    check(page.refresh and page.main["data-events"] == "./api/1/events", "the list follows")
    same([r[1] for r in page.rows()][:5], ["wait"] * 3 + ["generating"] * 2, "states in the list")
    for worker in service.children():
        os.kill(worker, signal.SIGCONT)
    for number in waiting:
        service.wait_rest(number)
    for path in ("/", f"/compose/{waiting[0]}"):
        page = look(service, path)
        check(page.refresh is None and "data-events" not in page.main, f"{path} is at rest")


# ---- strangers ----------------------------------------------------------------------------------

def hostile_repo(folder):
    """two packages whose names, requirements and files are HTML"""
    def package(name, provides, requires, file):
        return (f'<package type="rpm"><name>{escape(name)}</name><arch>x86_64</arch>'
                f'<version epoch="0" ver="1" rel="1"/><checksum type="sha256" pkgid="YES">'
                f'{hashlib.sha256(name.encode()).hexdigest()}</checksum><summary>{escape(EVIL)}</summary>'
                f'<description>{escape(WANTS)}</description><packager/><url/><time file="1" build="1"/>'
                f'<size package="3" installed="1" archive="1"/><location href={quoteattr(file)}/><format>'
                f'<rpm:license>MIT</rpm:license><rpm:provides>'
                f'<rpm:entry name={quoteattr(provides)}/></rpm:provides><rpm:requires>'
                + "".join(f"<rpm:entry name={quoteattr(r)}/>" for r in requires) + "</rpm:requires></format></package>")

    text = (f'<?xml version="1.0" encoding="UTF-8"?><metadata xmlns="{META}common" xmlns:rpm="{META}rpm" packages="2">'
            + package(EVIL, EVIL, [WANTS, "missing<b>'\""], "a<i>\"'&.rpm")
            + package("plain", WANTS, [], "b.rpm") + "</metadata>").encode()
    packed = gzip.compress(text)
    (folder / "repodata").mkdir(parents=True)
    (folder / "repodata/primary.xml.gz").write_bytes(packed)
    (folder / "repodata/repomd.xml").write_text(
        f'<?xml version="1.0"?><repomd xmlns="{META}repo"><revision>1</revision><data type="primary">'
        f'<checksum type="sha256">{hashlib.sha256(packed).hexdigest()}</checksum>'
        f'<location href="repodata/primary.xml.gz"/><timestamp>1</timestamp><size>{len(packed)}</size>'
        f'<open-size>{len(text)}</open-size></data></repomd>')
    for name in ("a<i>\"'&.rpm", "b.rpm"):
        (folder / name).write_bytes(b"rpm")
    return folder


def escape(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def test_hostile(service, folder):
    number = service.compose("hostile", repo_spec(hostile_repo(folder)))
    page = look(service, f"/compose/{number}")
    same(len(page.rows()), 2, f"packages of it {page.text[-1500:]}")
    check(any(EVIL in row[0] for row in page.rows()), f"the name is shown as it is: {page.rows()}")
    number = service.compose("hostile-2", repo_spec(folder, packages=[EVIL]))
    page = look(service, f"/compose/{number}")
    check(any(WANTS in row[-1] for row in page.rows()), f"so is the reason: {page.rows()}")
    check(EVIL in page.text, "and the request")
    crawl(service, f"/composes/odcs-{number}/", 200)
    # a word of the request in commands is one word of the shell, or not there at all
    words = shlex.split(next(c for c in page.commands if c.startswith("dnf")).replace("\\\n", ""))
    check("PACKAGE" in words and not any("script" in w for w in words), f"{words}")
    look(service, f"/compose/{number}?name={urllib.parse.quote(EVIL)}&repository={urllib.parse.quote(WANTS)}")
    failed = service.compose("hostile-3", repo_spec(folder, packages=["x" + EVIL]), want="failed")
    check("x" + EVIL in look(service, f"/compose/{failed}").text, "the reason of a failure")
    look(service, "/")


def test_private(service):
    """what stands in a private directory is not told"""
    request = service.mnt / "requests/private"
    os.mkdir(request)
    os.chmod(request, 0o700)
    spec = json.dumps(repo_spec(BASE, packages=["openssl"])).replace("{", "{   ", 1)
    service.write_spec(request, spec)
    (request / "wait").read_text()
    number = int((request / "id").read_text())
    page = look(service, f"/compose/{number}")
    check(spec not in page.commands and "private" in page.text, "the text of a private request")
    os.chmod(request, 0o755)
    check(spec in look(service, f"/compose/{number}").commands, "and of one that was opened")


# ---- HTTP ---------------------------------------------------------------------------------------

def test_http(service, number):
    for path in ("/", f"/compose/{number}", "/api/1/", "/composes/", f"/composes/odcs-{number}/"):
        head, get = service.call("HEAD", path), service.call("GET", path)
        same((head.status, head.body, head.headers["Content-Type"]), (200, b"", get.headers["Content-Type"]), f"HEAD {path}")
        same(head.headers["Content-Security-Policy"], get.headers["Content-Security-Policy"], f"HEAD {path}: policy")
        look(service, path)
    for path in ("/compose/999999", "/compose/"):
        same(service.call("HEAD", path).status, 404, f"HEAD {path}")
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        for path in ("/", f"/compose/{number}"):
            answer = service.call(method, path, b"{}")
            same((answer.status, answer.json["error"]), (405, "Method Not Allowed"), f"{method} {path}")
    # errors: a page for those who ask for pages, JSON for programs
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    for path in ("/composes/odcs-999999/", "/nothing/here", f"/composes/odcs-{number}/nothing"):
        look(service, path, 404, browser)
        for headers in ({}, {"Accept": "*/*"}, {"Accept": "application/json"}):
            same(service.call("GET", path, headers=headers).json["status"], 404, f"{path} with {headers}")
    same(service.call("GET", "/api/1/composes/999999", headers=browser).json["status"], 404, "the API speaks JSON")
    # what a source delivered is no page of ours
    answer = service.call("GET", f"/composes/odcs-{number}/compose/Temporary/x86_64/os/repodata/repomd.xml")
    check("sandbox" in answer.headers["Content-Security-Policy"], "files may not act")
    # behind a proxy links are the same: they are relative
    page = look(service, f"/odcs/compose/{number}", headers={"X-Script-Name": "/odcs"})
    same(page.links, look(service, f"/compose/{number}").links, "links behind a proxy")
    check(any(f"{service.url}/odcs/api/1/composes/{number}" in c for c in page.commands), "and commands know of it")


def crawl(service, start, most):
    """every link from there leads somewhere; pages are judged"""
    seen, queue, pages = {start}, collections.deque([start]), 0
    while queue and len(seen) < most:
        path = queue.popleft()
        if path.startswith("/api/1/events"):
            continue
        if path.endswith(".rpm"):
            same(service.call("HEAD", path).status, 200, f"HEAD {path}")
            continue
        answer = service.call("GET", path)
        if not check(answer.status == 200, f"{path} answers {answer.status}"):
            continue
        if not answer.headers["Content-Type"].startswith("text/html"):
            continue
        pages += 1
        page = Page(answer.body.decode())
        same(page.wrong, [], f"{path} as HTML")
        for link in page.links:
            target = urllib.parse.urljoin(path, link).split("#")[0]
            if target not in seen:
                seen.add(target)
                queue.append(target)
    return pages, len(seen)


def main():
    need_fuse()
    test_checker()
    print("ok test_checker", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder) / "repo"
        os.chmod(folder.parent, 0o755)
        with Service(f"repo.allowed={UNIVERSE} {folder}") as service:
            test_empty(service)
            print("ok test_empty", flush=True)
            done = service.compose("done-1", repo_spec(BASE, packages=["openssl", "nginx"], flags=["no_deps"]))
            everything = service.compose("all", repo_spec(BASE))
            failed = service.compose("failed", repo_spec(BASE, packages=["openssl", "not-there"]), want="failed")
            removed = service.compose("removed", repo_spec(BASE, packages=["perl-base"]))
            os.rmdir(service.mnt / "requests/removed")
            check(wait_for(lambda: service.record(removed)["state_name"] == "removed", 10), "one is removed")
            for test, arguments in ((test_list, (removed,)), (test_done, (done, everything)), (test_why_links, (1,)),
                                    (test_over, (failed, removed)), (test_reuse, ()), (test_live, ()), (test_hostile, (folder,)),
                                    (test_private, ()), (test_http, (done,))):
                test(service, *arguments)
                print("ok", test.__name__, flush=True)
            pages, links = crawl(service, "/", 1500)
            check(pages > 60 and links > 300, f"{pages} pages with {links} links were looked at")
            print(f"ok crawl: {pages} pages, {links} links", flush=True)
    end()


main()
