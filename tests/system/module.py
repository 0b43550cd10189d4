# SPDX-License-Identifier: MIT
"""tests/system/module.py: composes of modules, from repositories of the site, through the real service: which RPMs, what
the metadata says, what dnf makes of it, reasons, words that are none, reuse. Where the shared data is, also over
the modules of CentOS Stream 9."""
import gzip, json, lzma, os, pathlib, re, shutil, sys, tempfile
import xml.etree.ElementTree as ET

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import *
from modulekit import *
import kojikit, replayhub

ERROR = "Error while generating compose: "
CENTOS = pathlib.Path(os.environ.get("ODCSFS_SHARED", SOURCE / "../shared")) / "data/centos-stream-9"
COMMON = "{http://linux.duke.edu/metadata/common}"
REPO = "{http://linux.duke.edu/metadata/repo}"

HELLO = [nevra("hello", "1.0"), nevra("hello-doc", "1.0"), nevra("hello-debuginfo", "1.0"), nevra("hello", "1.0", "src"),
         nevra("pruned", "1.0")]


def documents(newer=()):
    return [
        stream("hello", "1", 10, "c1", HELLO, {"greet": ["a"]}, {"default": ["hello"], "doc": ["hello-doc"]}),
        stream("hello", "1", 5, "c1", [nevra("hello", "0.9")], {"greet": ["a"]}),
        stream("hello", "2", 20, "c2", [nevra("hello", "2.0"), nevra("old", "1.0")], {"greet": ["b"]},
               {"default": ["hello"]}, demodularized=["old"]),
        stream("greet", "a", 1, "ga", [nevra("greet", "1.0"), nevra("greet", "1.0", "src")], {"loop": []}),
        stream("greet", "b", 1, "gb", [nevra("greet", "2.0")]),
        stream("loop", "x", 3, "l1", requires={"greet": ["a"]}), # a cycle, and no RPMs
        stream("lonely", "1", 1, "o1", requires={"nowhere": ["1"]}),
        stream("tool-kit", "1", 1, "t1", [nevra("greet", "1.0")]),
        stream("tool", "kit-1", 1, "t2", [nevra("greet", "1.0")]),
        stream("foreign", "1", 1, "f1", [nevra("greet", "1.0", "aarch64")], arch="aarch64"),
        defaults("hello", "1", "default"), defaults("foreign", "1", "default"),
        obsoletes("hello", "1", "use stream 2"), *newer]


def make_site(folder):
    """two repositories: the second has what the first has not"""
    first, second = folder / "first", folder / "second"
    for place, rows in ((first, [("hello", "1.0", ["greet"], ["hello-doc", "hello-debuginfo"]),
                                 ("hello", "0.9", ["greet"], []), ("hello", "2.0", ["greet"], []), ("old", "1.0", [], []),
                                 ("greet", "1.0", [], []), ("greet", "2.0", [], [])]),
                        (second, [("extra", "3.0", [], [])])):
        place.mkdir()
        os.chmod(place, 0o755)
        build_rpms(place, rows)
    make_repository(first, documents())
    hidden = folder / "hidden" # the site's own links may lead out, whoever may read what is there
    hidden.mkdir(mode=0o700)
    for file in (second / "Packages").glob("*.x86_64.rpm"):
        shutil.move(file, hidden)
        (hidden / file.name).chmod(0o600)
        file.symlink_to(hidden / file.name)
    make_repository(second, [stream("extra", "3", 7, "e1", [nevra("extra", "3.0"), nevra("extra-debuginfo", "3.0")],
                                   {"hello": ["-2"]})])
    return first, second


def module_spec(*words, **more):
    return {"source": {"type": "module", "source": " ".join(words)}, **more}


def rpms(tree):
    return sorted(p.name.removesuffix(".rpm") for p in tree.rglob("*.rpm"))


def yaml_of(tree, arch="x86_64"):
    """the modulemd documents of a repository, one text each"""
    files = list((tree / arch / "os/repodata").glob("*-modules.yaml.gz"))
    if not files:
        return []
    return ["---" + d for d in ("\n" + gzip.decompress(files[0].read_bytes()).decode()).split("\n---")[1:]]


def field(document, name):
    match = re.search(rf"^  {name}: \"?([^\"\n]*)\"?$", document, re.M)
    return match and match.group(1)


def artifacts(document):
    """by its lines: no library reads them here"""
    match = re.search(r"^  artifacts:\n    rpms:\n((?: +- .*\n)*)", document, re.M)
    return [line.strip()[2:].strip("'\"") for line in match.group(1).splitlines()] if match else []


def about(documents):
    """{(kind, name, stream)}"""
    return {(field(d.replace("document", "  document", 1), "document"), field(d, "name") or field(d, "module"),
             field(d, "stream")) for d in documents}


def check_repomd(tree):
    root = ET.parse(tree / "x86_64/os/repodata/repomd.xml").getroot()
    kinds = [r.get("type") for r in root.findall(f"{REPO}data")]
    same(kinds, ["primary", "filelists", "other", "group", "modules"], "records")
    record = root.find(f"{REPO}data[@type='modules']")
    same([c.tag.removeprefix(REPO) for c in record],
         ["checksum", "open-checksum", "location", "timestamp", "size", "open-size"], "the record of modules")
    file = tree / "x86_64/os" / record.find(f"{REPO}location").get("href")
    same((file.stat().st_size, len(gzip.decompress(file.read_bytes()))),
         (int(record.find(f"{REPO}size").text), int(record.find(f"{REPO}open-size").text)), "its sizes")


def check_modules_json(service, number, want):
    """{n:s:v:c: RPMs} of x86_64"""
    path = service.mnt / f"composes/{number}/compose/metadata/modules.json"
    document = json.loads(path.read_text())
    same(document["header"], {"type": "productmd.modules", "version": "1.2"}, "header of modules.json")
    have = document["payload"]["modules"]["Temporary"]["x86_64"]
    same({uid: module["rpms"] for uid, module in have.items()}, want, "modules.json")
    for uid, module in have.items():
        same(":".join(module["metadata"][k] for k in ("name", "stream", "version", "context")), uid, "parts of uid")
        check((path.parent.parent / module["modulemd_path"]["binary"]).exists(), f"documents of {uid}")


def test_compose(site):
    """hello:1 with what it needs: the newest version, its artifacts that are there, and nothing else"""
    service = site.service
    number = service.compose("hello", module_spec("hello:1"))
    tree, record = service.tree(number), service.record(number)
    same((record["source"], record["source_type"], record["packages"], record["koji_event"], record["arches"]),
         ("greet:a:1:ga hello:1:10:c1 loop:x:3:l1", 2, None, None, "x86_64"), "the record")
    same(rpms(tree / "x86_64/os"), ["greet-1.0-1.module.x86_64", "hello-1.0-1.module.x86_64",
                                    "hello-doc-1.0-1.module.x86_64"], "packages")
    same(rpms(tree / "x86_64/debug/tree"), ["hello-debuginfo-1.0-1.module.x86_64"], "debug packages")
    same(rpms(tree / "source/tree"), ["greet-1.0-1.module.src", "hello-1.0-1.module.src"], "source packages")
    check_repomd(tree)
    texts = yaml_of(tree)
    same(about(texts), {("modulemd", "hello", "1"), ("modulemd", "greet", "a"), ("modulemd", "loop", "x"),
                        ("modulemd-defaults", "hello", "1"), ("modulemd-obsoletes", "hello", "1")}, "documents")
    same({field(d, "name"): sorted(artifacts(d)) for d in texts if "document: modulemd\n" in d},
         {"hello": sorted(set(HELLO) - {nevra("pruned", "1.0")}),
          "greet": [nevra("greet", "1.0", "src"), nevra("greet", "1.0")], "loop": []}, "artifacts: what is in the compose")
    comps = next((tree / "x86_64/os/repodata").glob("*-comps.xml")).read_text()
    check("<id>odcs-group</id>" in comps and "packagereq" not in comps, "comps as ever")
    check_modules_json(service, number, {"hello:1:10:c1": [nevra("hello", "1.0"), nevra("hello-doc", "1.0")],
                                         "greet:a:1:ga": [nevra("greet", "1.0")], "loop:x:3:l1": []})
    check("hello:1:10:c1: pruned-0:1.0-1.module.x86_64 is not in its repository" in
          (service.mnt / f"composes/{number}/logs/global/depsolve.log").read_text(), "what is not there is named")
    check_why(service, number)
    return number


def check_why(service, number):
    for asked, want in (
            ("hello", [("hello-1.0-1.module.x86_64", "x86_64/os", "module hello:1:10:c1: requested as hello:1"),
                       ("hello:1:10:c1", "x86_64/os/repodata", "requested as hello:1")]),
            ("greet:a", [("greet:a:1:ga", "x86_64/os/repodata", "required by module hello:1:10:c1")]),
            ("greet:a:1:ga", [("greet:a:1:ga", "x86_64/os/repodata", "required by module hello:1:10:c1")]),
            ("loop:x", [("loop:x:3:l1", "x86_64/os/repodata", "required by module greet:a:1:ga")]),
            ("hello-debuginfo", [("hello-debuginfo-1.0-1.module.x86_64", "x86_64/debug/tree",
                                  "module hello:1:10:c1: requested as hello:1")])):
        answer = run(ODCSFS, "why", "-u", service.url, number, asked)
        lines = [tuple(line.split("\t")) for line in answer.stdout.splitlines()]
        same([l for l in lines if l[1] != "source/tree"], want, f"why {asked}")
    same(run(ODCSFS, "why", "-u", service.url, number, "hel:1").returncode, 1, "why of no module")
    same(run(ODCSFS, "why", "-u", service.url, number, "hello:1:1").returncode, 1, "why of half a version")


def test_dnf(site, number):
    """the mounted compose as dnf's only repository"""
    folder, service = site.folder / "dnf", site.service
    (folder / "repos").mkdir(parents=True)
    shutil.copy(service.tree(number) / f"odcs-{number}.local.repo", folder / "repos/odcs.repo")
    command = ["dnf", "-q", "-y", "--installroot", folder / "root", "--releasever=1", f"--setopt=reposdir={folder}/repos",
               f"--setopt=cachedir={folder}/cache", "--setopt=module_platform_id=platform:test1",
               f"--setopt=logdir={folder}", "--forcearch=x86_64"]

    def dnf(*words):
        answer = run(*command, *words)
        check(answer.returncode == 0, f"dnf {words}: {answer.stdout}{answer.stderr}")
        return answer.stdout
    rows = [line.split() for line in dnf("module", "list", "--available").splitlines()]
    check(["hello", "1", "[d]", "default", "[d],", "doc", "hello", "in", "1"] in rows, f"module list --available: {rows}")
    same({row[0] for row in rows if len(row) > 2 and row[0] in ("hello", "greet", "loop", "tool", "extra")},
         {"hello", "greet", "loop"}, "modules that dnf sees")
    dnf("module", "enable", "hello:1")
    enabled = [line.split() for line in dnf("module", "list", "--enabled").splitlines()]
    check(any(row[:2] == ["hello", "1"] and "[e]" in row[2] for row in enabled if row), f"module list --enabled: {enabled}")
    dnf("module", "install", "hello:1/default", "hello:1/doc")
    got = run("rpm", "--root", folder / "root", "-qa", "--qf", "%{name}-%{version}\n")
    same(sorted(got.stdout.split()), ["greet-1.0", "hello-1.0", "hello-doc-1.0"], f"installed {got.stderr}")
    info = dnf("module", "info", "hello:1")
    check(re.search(r"^Version +: 10$", info, re.M) and re.search(r"^Context +: c1$", info, re.M), f"module info: {info}")


def test_streams(site):
    """two streams of one module; what was demodularized; another repository; dependencies not wanted"""
    service = site.service
    number = service.compose("streams", module_spec("hello:1", "hello:2"))
    same(service.record(number)["source"], "greet:a:1:ga greet:b:1:gb hello:1:10:c1 hello:2:20:c2 loop:x:3:l1", "both")
    same(rpms(service.tree(number) / "x86_64/os"),
         [f"{n}-1.module.x86_64" for n in ("greet-1.0", "greet-2.0", "hello-1.0", "hello-2.0", "hello-doc-1.0")],
         "without what was demodularized")
    number = service.compose("extra", module_spec("extra-3"))
    same(service.record(number)["source"], "extra:3:7:e1 greet:a:1:ga hello:1:10:c1 loop:x:3:l1", "the seed's form")
    package = next((service.tree(number) / "x86_64/os").rglob("extra-3.0*.rpm"))
    same(package.read_bytes()[:4], b"\xed\xab\xee\xdb", "of the second repository, behind a link")
    log = (service.mnt / f"composes/{number}/logs/global/odcsfs.log").read_text()
    check("x86_64: 1 debug packages are not in their repository" in log and "extra-debuginfo" not in log, "they are counted")
    number = service.compose("alone", module_spec("hello:1", flags=["no_deps"]))
    same((service.record(number)["source"], rpms(service.tree(number) / "x86_64/os")),
         ("hello:1:10:c1", ["hello-1.0-1.module.x86_64", "hello-doc-1.0-1.module.x86_64"]), "no_deps")
    body = module_spec("hello:1", flags=["no_deps"])
    body["source"].update(module_defaults_url="https://example.com/defaults.git", module_defaults_commit="main")
    number = service.compose("defaults", body)
    same(service.record(number)["module_defaults_url"], "https://example.com/defaults.git main", "the record")
    check(("modulemd-defaults", "hello", "1") in about(yaml_of(service.tree(number))), "the repository's defaults")
    check("module_defaults_url: nothing is fetched" in
          (service.mnt / f"composes/{number}/logs/global/odcsfs.log").read_text(), "it is said that they are not those asked for")
    number = service.compose("older", module_spec("hello:1:5", flags=["no_deps"]))
    same(rpms(service.tree(number) / "x86_64/os"), ["hello-0.9-1.module.x86_64"], "a version")
    number = service.compose("arches", module_spec("hello:1", "foreign:1", flags=["no_deps"], arches=["x86_64", "aarch64"]))
    tree = service.tree(number)
    same([about(yaml_of(tree, arch)) & {("modulemd", "hello", "1"), ("modulemd", "foreign", "1")}
          for arch in ("x86_64", "aarch64")], [{("modulemd", "hello", "1")}, {("modulemd", "foreign", "1")}],
         "documents of each arch")
    same(len(rpms(tree / "aarch64/os")), 0, "nothing of another arch")


def test_words(site):
    """what cannot be, and in which words"""
    service = site.service
    for label, body, want in (
            ("no such module", module_spec("nonesuch:1"), (ERROR + "Failed to find module nonesuch:1 in ", "/first")),
            ("no such stream", module_spec("hello:3"), (ERROR + "Failed to find module hello:3 in ", "streams there: 1, 2")),
            ("no such version", module_spec("hello:1:11"), (ERROR + "Failed to find module hello:1:11 in ",
                                                           "versions there: 10, 5.")),
            ("what it needs", module_spec("lonely:1"), "nowhere"),
            ("two readings", module_spec("tool-kit-1"), ("tool-kit:1", "tool:kit-1")),
            ("two versions", module_spec("hello:1:5", "hello:1:10"), " conflicts with "),
            ("another arch", module_spec("foreign:1"), "Module foreign:1:1:f1 is not for any of these arches")):
        answer = service.call("POST", "/api/1/composes/", body)
        same(answer.status, 200, f"{label}: POST {answer.body!r}")
        record = service.wait_rest(answer.json["id"])
        same((record["state_name"], record["source"]), ("failed", body["source"]["source"]), label)
        for words in want if isinstance(want, tuple) else (want,):
            check(record["state_reason"].startswith(ERROR) and words in record["state_reason"],
                  f"{label}: {words!r} in {record['state_reason']!r}")
    body = module_spec("hello:1")
    body["source"]["packages"] = ["hello"]
    words = "Exact packages cannot be set for MODULE source type."
    answer = service.call("POST", "/api/1/composes/", body)
    same((answer.status, answer.json["message"]), (400, words), "packages, by HTTP")
    try:
        service.submit("packages", body)
        check(False, "packages are refused in the tree")
    except OSError:
        check(words in (service.mnt / "requests/packages/error").read_text(), "packages, in the tree")
    answer = service.call("POST", "/api/1/composes/", module_spec("platform:test1"))
    same(answer.status, 400, "a base module")


def test_reuse(site):
    """unchanged repositories: the same tree; a newer version: another one, and the old one stays"""
    service, first = site.service, site.repositories[0]
    numbers = [service.compose(f"reuse{i}", module_spec("hello:2")) for i in range(2)]
    records = [service.record(n) for n in numbers]
    same(records[0]["result_repo"], records[1]["result_repo"], "the tree of the first one")
    same(records[1]["source"], "greet:b:1:gb hello:2:20:c2", "its modules, too")
    make_repository(first, documents([stream("hello", "2", 21, "c2", [nevra("hello", "2.0")])]))
    number = service.compose("reuse2", module_spec("hello:2"))
    record = service.record(number)
    same((record["source"], record["result_repo"] == records[0]["result_repo"]), ("hello:2:21:c2", False), "a newer version")
    same(len(rpms(service.tree(numbers[1]) / "x86_64/os")), 2, "the old one")
    renewed = service.call("PATCH", f"/api/1/composes/{numbers[0]}", {"label": "RC-1.0"}).json
    record = service.wait_rest(renewed["id"])
    same((record["state_name"], record["source"]), ("done", "greet:b:1:gb hello:2:20:c2"), "again: as it was resolved")


def test_long(site):
    """a source of many words may be asked for; what waits for a slow reader of events is bounded in bytes"""
    service = site.service
    events = os.open(service.mnt / "events", os.O_RDONLY)
    source = " ".join(f"none{i}:{'x' * 3000}" for i in range(100))
    for i in range(20):
        number = service.compose(f"long-{i}", module_spec(source), want="failed")
    text = b""
    while not text.endswith(b"\n") or json.loads(text.splitlines()[-1])["state_name"] != "failed" or \
            json.loads(text.splitlines()[-1])["id"] != number:
        text += os.read(events, 1 << 20)
    os.close(events)
    check(len(source) * 10 < len(text) <= 4 << 20, f"events: {len(text)} bytes were kept")
    same(service.record(number)["source"], source, "the whole source")


def test_broken(folder, first):
    """what the site has may be wrong: the words name it"""
    with Service() as service:
        number = service.compose("none", module_spec("hello:1"), want="failed")
        check("module.repos" in service.record(number)["state_reason"], "nothing is configured")
        body = {"source": {"type": "module", "source": "", "scratch_modules": ["trial:1:5:ffff"]}}
        number = service.compose("scratch", body, want="failed")
        check("scratch_modules: module.mbs" in service.record(number)["state_reason"], "nobody knows scratch modules")
    bad = folder / "bad"
    shutil.copytree(first, bad)
    make_repository(bad, ["---\ndocument: modulemd\nversion: 2\ndata:\n  name: broken\n  stream: \"1\"\n  version: 1\n"
                          "  context: b1\n  arch: x86_64\n...\n", stream("hello", "1", 10, "c1", HELLO), "--- }{\n...\n"])
    with Service(f"module.repos={bad}") as service:
        number = service.compose("broken", module_spec("broken:1"), want="failed")
        check("broken" in service.record(number)["state_reason"], f"what libmodulemd refuses: "
              f"{service.record(number)['state_reason']}")
        service.compose("good", module_spec("hello:1"))
        (bad / "Packages/hello-1.0-1.module.x86_64.rpm").unlink()
        number = service.compose("gone", module_spec("hello:1", flags=["no_reuse"]), want="failed")
        check("hello-1.0-1.module.x86_64.rpm" in service.record(number)["state_reason"], "a file that is gone is named")
        shutil.rmtree(bad / "repodata")
        number = service.compose("repomd", module_spec("hello:1"), want="failed")
        check(f"module.repos: {bad}" in service.record(number)["state_reason"], "no repository: "
              f"{service.record(number)['state_reason']}")


# ---- CentOS Stream 9 ---------------------------------------------------------------------------------

def stand_ins(folder, wanted):
    """for each of these packages that primary has a file of its size without bytes; {nevra: file} of all"""
    there, primary = {}, next((folder / "repodata").glob("*-primary.xml.gz"))
    for _, package in ET.iterparse(gzip.open(primary)):
        if package.tag != f"{COMMON}package":
            continue
        version, path = package.find(f"{COMMON}version"), package.find(f"{COMMON}location").get("href")
        name = (f"{package.find(f'{COMMON}name').text}-{version.get('epoch')}:{version.get('ver')}-{version.get('rel')}."
                f"{package.find(f'{COMMON}arch').text}")
        if name in wanted:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            with open(folder / path, "wb") as file:
                file.truncate(int(package.find(f"{COMMON}size").get("package")))
        there[name] = path
        package.clear()
    return there


def test_centos(folder):
    """each stream that is there: exactly the artifacts of its newest version that primary has"""
    if not (CENTOS / "repodata/repomd.xml").exists():
        print(f"not tested: {CENTOS} is not there", flush=True)
        return
    place = folder / "centos"
    shutil.copytree(CENTOS / "repodata", place / "repodata")
    os.chmod(place, 0o755)
    text = lzma.open(next((place / "repodata").glob("*-modules.yaml.xz"))).read().decode()
    newest = {}
    for document in ["---" + d for d in ("\n" + text).split("\n---")[1:]]:
        if "document: modulemd\n" in document:
            key, version = (field(document, "name"), field(document, "stream")), int(field(document, "version"))
            have = newest.setdefault(key, (version, []))
            if version > have[0]:
                have = newest[key] = (version, [])
            if version == have[0]:
                have[1].extend(artifacts(document))
    check(len(newest) > 3, f"streams: {sorted(newest)}")
    there = stand_ins(place, {n for _, names in newest.values() for n in names})
    with Service(f"module.repos={place}") as service:
        for (name, stream_name), (version, listed_rpms) in newest.items():
            number = service.compose(f"{name}-{stream_name}", module_spec(f"{name}:{stream_name}", flags=["no_deps"]))
            want = {n for n in listed_rpms if n in there and n.rsplit(".", 1)[1] in ("x86_64", "noarch")}
            have = {pathlib.Path(there[n]).name for n in want}
            got = {p.name for p in (service.tree(number) / "x86_64").rglob("*.rpm")}
            same(got, have, f"{name}:{stream_name}:{version}")
            check(service.record(number)["source"].startswith(f"{name}:{stream_name}:{version}:"), "its version")
        check_centos_dnf(service, folder, newest)


def check_centos_dnf(service, folder, newest):
    number = service.compose("all", module_spec(*(":".join(key) for key in newest)))
    repos = folder / "centos-repos"
    repos.mkdir()
    shutil.copy(service.tree(number) / f"odcs-{number}.local.repo", repos / "odcs.repo")
    command = ["dnf", "-q", "--installroot", folder / "centos-root", "--releasever=9", f"--setopt=reposdir={repos}",
               f"--setopt=cachedir={folder}/centos-cache", "--setopt=module_platform_id=platform:el9",
               f"--setopt=logdir={folder}", "--forcearch=x86_64", "module"]
    listing = run(*command, "list", "--available")
    rows = {tuple(line.split()[:2]) for line in listing.stdout.splitlines()}
    same({key for key in newest if key not in rows}, set(), f"dnf module list --available {listing.stderr[-500:]}")
    name, stream_name = sorted(newest)[0]
    run(*command, "enable", "-y", f"{name}:{stream_name}")
    rows = [line.split() for line in run(*command, "list", "--enabled").stdout.splitlines()]
    check(any(row[:2] == [name, stream_name] and "[e]" in row[2] for row in rows if row), f"dnf module list --enabled: {rows}")


# ---- Koji and MBS ------------------------------------------------------------------------------------

class ModuleHub:
    """what a hub says of modules, before the answers of the replaying one"""

    def __init__(self, hub):
        self.tags, self.builds, self.plain = {}, {}, hub.koji.answer
        hub.koji.answer = self.answer

    def add(self, tag, name, stream_name, version, context, document, content):
        nvr = f"{name}-{stream_name}-{version}.{context}"
        self.tags.setdefault(tag, []).append(nvr)
        self.builds[nvr] = {
            "id": 9000 + len(self.builds), "nvr": nvr, "name": name, "package_name": name, "version": stream_name,
            "release": f"{version}.{context}", "state": 1, "extra": {"typeinfo": {"module": {
                "name": name, "stream": stream_name, "version": str(version), "context": context,
                "modulemd_str": document, "content_koji_tag": content}}}}

    def answer(self, method, positional, keywords):
        if method == "listTagged" and positional[0] in self.tags:
            return replayhub.response([{**self.builds[nvr], "tag_name": positional[0]} for nvr in self.tags[positional[0]]])
        if method == "getBuild" and positional[0] in self.builds:
            return replayhub.response(self.builds[positional[0]])
        return self.plain(method, positional, keywords)


def make_topdir(folder):
    """the RPMs that Koji would have; (topdir, builds)"""
    topdir, made = folder / "topdir", folder / "made"
    made.mkdir()
    build_rpms(made, [("web", "1.0", [], ["web-devel", "web-debuginfo"]), ("lib", "1.0", [], []), ("web", "2.0", [], []),
                      ("app", "1.0", ["lib"], []), ("other", "1.0", [], []), ("trial", "1.0", [], []),
                      ("more", "1.0", [], [])])
    kojikit.lay_out(sorted((made / "Packages").iterdir()), topdir)
    os.chmod(folder, 0o755)
    return topdir, kojikit.Builds(topdir)


def test_koji(service, hub, builds):
    """modular_koji_tags: documents and RPMs from Koji alone"""
    modules = ModuleHub(hub)
    modules.add("mod", "web", "9", 20, "w1", stream("web", "9", 20, "w1", requires={"lib": ["5"]}, filtered=["web-devel"],
                                                    profiles={"default": ["web"]}), "module-web-9")
    modules.add("mod", "lib", "5", 3, "l1", stream("lib", "5", 3, "l1"), "module-lib-5")
    kojikit.Tag(hub, "module-web-9", builds, {300: ["web-1.0-1.module", "web-devel-1.0-1.module",
                                                    "web-debuginfo-1.0-1.module"]}, id=7001)
    kojikit.Tag(hub, "module-lib-5", builds, {300: ["lib-1.0-1.module"]}, id=7002)
    body = module_spec("web:9")
    body["source"]["modular_koji_tags"] = ["mod"]
    number = service.compose("koji", body)
    record, tree = service.record(number), service.tree(number)
    same((record["source"], record["modular_koji_tags"], record["koji_event"]), ("lib:5:3:l1 web:9:20:w1", "mod", None),
         "the record")
    same([rpms(tree / t) for t in ("x86_64/os", "x86_64/debug/tree", "source/tree")],
         [["lib-1.0-1.module.x86_64", "web-1.0-1.module.x86_64"], ["web-debuginfo-1.0-1.module.x86_64"],
          ["lib-1.0-1.module.src", "web-1.0-1.module.src"]], "what Koji built, without what was filtered")
    texts = yaml_of(tree)
    same(about(texts), {("modulemd", "web", "9"), ("modulemd", "lib", "5")}, "documents")
    same({field(d, "name"): sorted(artifacts(d)) for d in texts},
         {"web": [nevra("web", "1.0", "src"), nevra("web", "1.0"), nevra("web-debuginfo", "1.0")],
          "lib": [nevra("lib", "1.0", "src"), nevra("lib", "1.0")]}, "artifacts are put in")
    check_modules_json(service, number, {"web:9:20:w1": [nevra("web", "1.0")], "lib:5:3:l1": [nevra("lib", "1.0")]})
    check("module lib:5:3:l1: required by module web:9:20:w1" in run(ODCSFS, "why", "-u", service.url, number, "lib").stdout,
          "why")
    again = service.compose("koji-again", body)
    same(service.record(again)["result_repo"], record["result_repo"], "an equal one")
    modules.add("mod", "lib", "5", 4, "l1", stream("lib", "5", 4, "l1"), "module-lib-5")
    newer = service.compose("koji-newer", body)
    same(service.record(newer)["source"], "lib:5:4:l1 web:9:20:w1", "a newer build of what it needs")
    check_absent(service, modules, body)
    modules.add("mod", "more", "9", 2, "m1", stream("more", "9", 2, "m1"), "module-more-9") # a stream called as another's
    kojikit.Tag(hub, "module-more-9", builds, {300: ["more-1.0-1.module"]}, id=7008)
    check_beside_tag(service, hub, builds)
    check_scratch(service, hub, builds, body)
    number = service.compose("koji-event", {**body, "source": {**body["source"], "koji_event": 999999}}, want="failed")
    same(service.record(number)["state_reason"], ERROR + "Unknown Koji event 999999.", "no such event")
    modules.add("mod", "empty", "1", 1, "e1", stream("empty", "1", 1, "e1"), "module-none")
    body["source"]["source"] = "empty:1"
    number = service.compose("koji-tag", body, want="failed")
    check("module empty:1:1:e1: " in service.record(number)["state_reason"], f"no tag: {service.record(number)['state_reason']}")


def check_absent(service, modules, body):
    """what documents list and content_koji_tag has not is named; a module of which nothing is there fails"""
    for name, rows in (("part", [nevra("lib", "1.0"), nevra("lib", "7.0")]), ("void", [nevra("lib", "7.0")])):
        modules.add(name, name, "1", 1, "a1", stream(name, "1", 1, "a1", rows), "module-lib-5")
        asked = {**body, "source": {**body["source"], "source": f"{name}:1", "modular_koji_tags": [name]}}
        number = service.compose(f"koji-{name}", asked, want="done" if name == "part" else "failed")
        log = (service.mnt / f"requests/koji-{name}/log").read_text()
        check(f"{name}:1:1:a1: lib-0:7.0-1.module.x86_64 is not in tag module-lib-5" in log, f"{name} is named: {log}")
    same(service.record(number)["state_reason"],
         ERROR + "None of the 1 packages of module void:1:1:a1 is in its tag module-lib-5", "nothing is there")


def check_beside_tag(service, hub, builds):
    """6.1: what is asked of a tag, solved over the modules too, and all modules of the modular tags"""
    kojikit.Tag(hub, "plain", builds, {300: ["app-1.0-1.module", "other-1.0-1.module"]}, id=7005)
    kojikit.Tag(hub, "mod", builds, {300: []}, id=7006)
    body = {"source": {"type": "tag", "source": "plain", "packages": ["app"], "modular_koji_tags": ["mod"]}}
    number = service.compose("beside", body)
    tree, record = service.tree(number), service.record(number)
    same((record["source"], record["modular_koji_tags"]), ("plain", "mod"), "a tag with modules")
    same([rpms(tree / t) for t in ("x86_64/os", "x86_64/debug/tree")],
         [[f"{n}-1.0-1.module.x86_64" for n in ("app", "lib", "more", "web")], ["web-debuginfo-1.0-1.module.x86_64"]],
         "what was named, what it needs, and the modules; not what they filter")
    same(about(yaml_of(tree)), {("modulemd", n, s) for n, s in (("web", "9"), ("more", "9"), ("lib", "5"))}, "documents")
    check_modules_json(service, number, {"web:9:20:w1": [nevra("web", "1.0")], "lib:5:4:l1": [nevra("lib", "1.0")],
                                         "more:9:2:m1": [nevra("more", "1.0")]})
    reasons = run(ODCSFS, "why", "-u", service.url, number, "lib").stdout
    check("required by app-1.0-1.module.x86_64" in reasons and "lib:5:4:l1\t" in reasons, f"both reasons: {reasons}")
    again = service.compose("beside-again", body)
    same(service.record(again)["result_repo"], record["result_repo"], "an equal one, while no tag changed")


def check_scratch(service, hub, builds, of_tags):
    """scratch_modules, which MBS knows: alone, beside modules of Koji's tags, beside a tag"""
    kojikit.Tag(hub, "module-trial-1", builds, {300: ["trial-1.0-1.module"]}, id=7007)
    trial = {"scratch_modules": ["trial:1:5:ffff"]}
    for name, body, source, packages, streams in (
            ("scratch", {"source": {"type": "module", "source": "", **trial}}, "", ["trial"], set()),
            ("scratch-koji", {"source": {**of_tags["source"], **trial}}, "lib:5:4:l1 web:9:20:w1", ["lib", "trial", "web"],
             {("modulemd", "web", "9"), ("modulemd", "lib", "5")}),
            ("scratch-tag", {"source": {"type": "tag", "source": "plain", "packages": ["other"], **trial}}, "plain",
             ["other", "trial"], set())):
        number = service.compose(name, body)
        record, tree = service.record(number), service.tree(number)
        same((record["source"], record["scratch_modules"]), (source, "trial:1:5:ffff"), f"{name}: the record")
        same(rpms(tree / "x86_64/os"), [f"{n}-1.0-1.module.x86_64" for n in packages], f"{name}: packages")
        same(about(yaml_of(tree)), {("modulemd", "trial", "1")} | streams, f"{name}: documents")
        check("module trial:1:5:ffff: requested as scratch module" in
              run(ODCSFS, "why", "-u", service.url, number, "trial").stdout, f"{name}: why")
    body = {"source": {"type": "tag", "source": "plain", "scratch_modules": ["nonesuch:1:1:a"]}}
    number = service.compose("scratch-none", body, want="failed")
    same(service.record(number)["state_reason"],
         ERROR + "source.scratch_modules: Failed to find scratch module nonesuch:1:1:a in ready or done state in the MBS.",
         "no such scratch module")
    body["source"]["scratch_build_tasks"] = ["1"]
    number = service.compose("scratch-tasks", body, want="failed")
    check("scratch_build_tasks" in service.record(number)["state_reason"], "scratch builds are refused by name")


def test_mbs(service, hub, builds, asked):
    """repositories first, then MBS; its RPMs are Koji's"""
    kojikit.Tag(hub, "module-web-1", builds, {300: ["web-2.0-1.module"]}, id=7003)
    kojikit.Tag(hub, "module-lib-1", builds, {300: ["lib-1.0-1.module"]}, id=7004)
    number = service.compose("mbs", module_spec("web:1", "hello:1"))
    record = service.record(number)
    same(record["source"], "greet:a:1:ga hello:1:10:c1 lib:1:8:cccc loop:x:3:l1 web:1:20:aaaa web:1:20:bbbb", "of both")
    same(rpms(service.tree(number) / "x86_64/os"),
         [f"{n}-1.module.x86_64" for n in ("greet-1.0", "hello-1.0", "hello-doc-1.0", "lib-1.0", "web-2.0")], "RPMs of both")
    check_modules_json(service, number, {
        "hello:1:10:c1": [nevra("hello", "1.0"), nevra("hello-doc", "1.0")], "greet:a:1:ga": [nevra("greet", "1.0")],
        "loop:x:3:l1": [], "lib:1:8:cccc": [nevra("lib", "1.0")], "web:1:20:aaaa": [nevra("web", "2.0")],
        "web:1:20:bbbb": [nevra("web", "2.0")]})
    number = service.compose("done", module_spec("web:1", flags=["include_done_modules", "no_deps"]))
    same(service.record(number)["source"], "web:1:30:aaaa", "include_done_modules")
    number = service.compose("absent", module_spec("nonesuch:1"), want="failed")
    check("Failed to find module nonesuch:1 in " in service.record(number)["state_reason"], "no such module")
    check("nsvc=web%3A1" in asked() or "nsvc=web:1" in asked(), "MBS was asked")


def test_services(folder, repositories):
    topdir, builds = make_topdir(folder)
    stub = subprocess.Popen([sys.executable, SOURCE / "tests/unit/modules/stub.py"], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, text=True)
    try:
        base = stub.stdout.readline().split()[0].removesuffix("/kojihub")
        heard = []

        def asked():
            with urllib.request.urlopen(f"{base}/asked", timeout=20) as answer:
                heard.append(answer.read().decode())
            return "".join(heard)
        with replayhub.ReplayHub() as hub, Service(f"koji.hub={hub.url}", f"koji.topdir={topdir}", f"module.mbs={base}/mbs",
                                                   f"module.repos={repositories[0]}") as service:
            test_koji(service, hub, builds)
            print("ok test_koji", flush=True)
            test_mbs(service, hub, builds, asked)
            print("ok test_mbs", flush=True)
    finally:
        stub.stdin.close()
        stub.wait(20)


class Site:
    def __init__(self, folder, service, repositories):
        self.folder, self.service, self.repositories = folder, service, repositories


def main():
    need_fuse()
    tool = needed()
    if tool:
        skip(f"no {tool}")
    with tempfile.TemporaryDirectory(prefix="odcsfs-modules-") as name:
        folder = pathlib.Path(name)
        os.chmod(folder, 0o755)
        repositories = make_site(folder)
        with Service(f"module.repos={repositories[0]} {repositories[1]}") as service:
            site = Site(folder, service, repositories)
            number = test_compose(site)
            for test, values in ((test_dnf, (number,)), (test_streams, ()), (test_words, ()), (test_reuse, ()), (test_long, ())):
                test(site, *values)
                print("ok", test.__name__, flush=True)
        test_broken(folder, repositories[0])
        make_repository(repositories[0], documents())
        test_services(folder, repositories)
        test_centos(folder)
    end()


main()
