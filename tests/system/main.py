# SPDX-License-Identifier: MIT
"""tests/system/main.py: more than twenty composes over universe-small, each used for what it is for.

For each: dnf's own choice from the same sources is the expected package set; dnf installs every requested
package from the mount and over HTTP into an empty root, and rpm's database there holds it; createrepo_c
over the mounted packages gives the same package elements as ours; mergerepo_c merges it with another.
"""
import functools, gzip, json, os, pathlib, shutil, subprocess, sys, tempfile
import xml.etree.ElementTree as ET

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import *

try:
    import dnf, hawkey, libdnf  # noqa: F401
except ImportError:
    skip("python3-dnf is not there")

COMMON = "{http://linux.duke.edu/metadata/common}"
REPO = "{http://linux.duke.edu/metadata/repo}"


def dnf_base(folder, repos, arch="x86_64"):
    """A dnf base over [(name, url, priority)] and an empty root."""
    base = dnf.Base()
    os.makedirs(folder / "log", exist_ok=True)
    conf = base.conf
    conf.installroot = str(folder / "root")
    conf.cachedir, conf.persistdir = str(folder / "cache"), str(folder / "persist")
    conf.logdir = str(folder / "log")
    conf.substitutions["releasever"], conf.substitutions["arch"] = "1", arch
    conf.substitutions["basearch"] = arch
    conf.install_weak_deps, conf.gpgcheck, conf.best = False, False, False
    conf.module_platform_id = "platform:test1"
    conf.reposdir = [str(folder / "none")]
    for name, url, priority in repos:
        repo = base.repos.add_new_repo(name, conf, baseurl=[url])
        repo.priority, repo.skip_if_unavailable = priority, False
    base.fill_sack(load_system_repo=False)
    return base


def nevra(package):
    return f"{package.name}-{package.epoch}:{package.version}-{package.release}.{package.arch}"


def closure(base, names, lookaside=()):
    """What `dnf install NAMES` would fetch. With lookaside repositories a requested name is taken from the
    others, whatever the priorities say; its dependencies follow the priorities; what comes out of the
    lookaside repositories is left out."""
    for name in names:
        if lookaside:
            found = base.sack.query().available().filter(name=name, reponame__neq=list(lookaside))
            base.package_install(found.latest().run()[0])
        else:
            base.install(name)
    base.resolve()
    return {nevra(p) for p in base.transaction.install_set if p.reponame not in lookaside}


def elements(folder, kind):
    """{pkgid: canonical XML without <location> and file time} of one repodata file"""
    repomd = ET.parse(folder / "repodata/repomd.xml").getroot()
    for data in repomd.iter(REPO + "data"):
        if data.get("type") == kind:
            raw = (folder / data.find(REPO + "location").get("href")).read_bytes()
    root = ET.fromstring(gzip.decompress(raw))
    result = {}
    for package in root:
        if kind == "primary":
            key = package.find(COMMON + "checksum").text
            for child in list(package):
                if child.tag == COMMON + "time":
                    child.attrib.pop("file")
        else:
            key = package.get("pkgid")
        result[key] = ET.canonicalize(ET.tostring(package), strip_text=True)
    return result


FORMAT = "%{NAME}-%{EPOCHNUM}:%{VERSION}-%{RELEASE}.%{ARCH}\n"


def nevras(paths):
    """what rpm reads in the headers of package files"""
    if not paths:
        return set()
    out = run("rpm", "-qp", "--nosignature", "--qf", FORMAT, *paths)
    check(out.returncode == 0, f"rpm -qp: {out.stderr}")
    return set(out.stdout.split())


def names_in(tree):
    return nevras(list(tree.rglob("*.rpm")))


@functools.cache
def names_of(repo):
    return frozenset(names_in(repo))


def all_names(*repos):
    return set().union(*(names_of(repo) for repo in repos))


def name_of(text):
    """the name in a NEVRA"""
    return text.rsplit("-", 2)[0]


def check_createrepo(label, os_tree, folder):
    out = folder / "createrepo"
    shutil.copytree(os_tree / "Packages", out / "Packages") if (os_tree / "Packages").exists() \
        else out.mkdir()
    made = run("createrepo_c", "--quiet", "--no-database", out)
    same(made.returncode, 0, f"{label}: createrepo_c {made.stderr}")
    for kind in ("primary", "filelists", "other"):
        ours, theirs = elements(os_tree, kind), elements(out, kind)
        same(set(ours), set(theirs), f"{label}: packages in {kind}")
        differ = [k for k in ours if k in theirs and ours[k] != theirs[k]]
        check(not differ, f"{label}: {kind} differs from createrepo_c's for {len(differ)}: "
              f"{[(ours[k], theirs[k]) for k in differ[:1]]}")


def check_merge(label, os_tree, folder):
    """the compose comes first, so each of its packages must be in the merged repository, and of the other
    repository those that the compose has not"""
    merged = run("mergerepo_c", "--all", "--no-database", "-o", folder / "merged", "-r", f"file://{os_tree}",
                 "-r", f"file://{BASE}")
    same(merged.returncode, 0, f"{label}: mergerepo_c {merged.stderr}")
    ours, all_of_them = set(elements(os_tree, "primary")), elements(folder / "merged", "primary")
    same(ours - set(all_of_them), set(), f"{label}: packages of the compose that are not in the merged one")
    found = {ET.fromstring(text).find(COMMON + "name").text for text in all_of_them.values()}
    same(found, {name_of(n) for n in all_names(BASE) | names_in(os_tree)}, f"{label}: names in the merged one")


def install(label, place, url, names, others):
    """dnf installs into an empty root; what rpm's database there holds afterwards"""
    base = dnf_base(place, [("compose", url, 99)] + others)
    lookaside = [name for name, _, priority in others if priority < 99]
    closure(base, names, lookaside)
    chosen = {nevra(p) for p in base.transaction.install_set}
    base.download_packages(list(base.transaction.install_set))
    base.do_transaction()
    base.close()
    out = run("rpm", "--root", place / "root", "-qa", "--qf", FORMAT)
    same(set(out.stdout.split()), chosen, f"{label}: rpm -qa is what dnf chose {out.stderr}")
    return set(out.stdout.split())


def check_dnf(label, service, number, case, want, folder):
    """each requested package is installed, in the version of the compose, from the mount and from HTTP"""
    names = case.install or case.packages
    urls = {"mount": f"file://{service.tree(number)}/x86_64/os",
            "http": f"{service.url}/composes/odcs-{number}/compose/Temporary/x86_64/os"}
    others = [(f"look{i}", f"file://{p}", 1) for i, p in enumerate(case.lookaside)]
    if case.want == "named": # made without dependencies: a machine that has the base repository gets them there
        others = [("base", f"file://{BASE}", 100)]
    for way, url in urls.items():
        installed = install(f"{label} from {way}", folder / way, url, names, others)
        plain = {n.split(".x86_64")[0] for n in names}
        wanted = {n for n in want if n in names or name_of(n) in plain}
        check(len(wanted) >= len(names), f"{label}: the compose has {names}")
        if case.newest: # both versions are there: the newer one gets installed
            wanted = {n for n in wanted if name_of(n) not in case.newest} | \
                     {n for n in all_names(UPDATES) if name_of(n) in case.newest}
        same(wanted - installed, set(), f"{label}: requested and not installed from {way}")
        if not others:
            same(installed - want, set(), f"{label}: installed from {way} and not in the compose")


class Case:
    def __init__(self, label, sources, packages, flags=(), lookaside=(), want=None, install=None, newest=()):
        self.label, self.sources, self.packages = label, sources, packages
        self.flags, self.lookaside, self.want = flags, lookaside, want
        self.install, self.newest = install, newest # what dnf installs if not packages


def evr_names(repo, wanted):
    """whole NEVRAs of names in one repository"""
    return sorted(n for n in all_names(repo) if name_of(n) in wanted)


def random_names(count, seed):
    """names of base, spread evenly"""
    names = sorted(name_of(n) for n in all_names(BASE))
    step = len(names) // count
    return [names[(seed * 7 + i * step) % len(names)] for i in range(count)]


def cases():
    yield Case("one name", [BASE], ["openssl"])
    yield Case("apache2", [BASE], ["apache2"])
    yield Case("nginx", [BASE], ["nginx"])
    yield Case("three roots", [BASE], ["apache2", "nginx", "openssl"])
    yield Case("newest of two", [BASE, UPDATES], ["apache2", "nginx", "openssl"])
    yield Case("other order", [UPDATES, BASE], ["apache2", "nginx"])
    for seed in range(7):
        yield Case(f"random {seed}", [BASE, UPDATES] if seed % 2 else [BASE],
                   random_names(5 + seed, seed))
    yield Case("lookaside", [UPDATES, BASE], ["apache2"], lookaside=[BASE])
    yield Case("newer lookaside", [BASE], ["apache2", "nginx"], lookaside=[UPDATES])
    yield Case("no_deps", [BASE], ["apache2", "nginx"], flags=["no_deps"], want="named")
    yield Case("name and arch", [BASE], ["openssl.x86_64"], want="plain")
    yield Case("check_deps", [BASE], ["nginx"], flags=["check_deps"])
    yield Case("whole repository", [BASE], None, want="everything", install=["openssl"])
    yield Case("whole, empty list", [BASE, UPDATES], [], want="everything", install=["apache2"],
               newest=["apache2"])
    yield Case("older version by NEVRA", [BASE, UPDATES], "old", want="old")
    yield Case("missing name", [BASE], ["openssl", "no-such-package", "absent"], want="failed")


def expected(case, folder):
    if case.want == "everything":
        return all_names(*case.sources)
    names = [n.split(".x86_64")[0] for n in case.packages]
    if case.want == "named":
        return {n for n in all_names(*case.sources) if name_of(n) in names}
    repos = [(f"r{i}", f"file://{p}", 99) for i, p in enumerate(case.sources)]
    looks = [(f"look{i}", f"file://{p}", 1) for i, p in enumerate(case.lookaside)]
    base = dnf_base(folder, repos + looks)
    result = closure(base, case.packages, [name for name, _, _ in looks])
    base.close()
    return result


def check_rpms_json(label, service, number, want):
    meta = service.tree(number).parent / "metadata"
    rpms = json.loads((meta / "rpms.json").read_text())["payload"]["rpms"]["Temporary"]
    listed = {n for arch in rpms.values() for source in arch.values() for n in source}
    same(listed, want, f"{label}: rpms.json")
    check((meta / "composeinfo.json").stat().st_size == len((meta / "composeinfo.json").read_bytes()),
          f"{label}: size of composeinfo.json")


def run_case(service, number, case, folder):
    packages = case.packages
    if packages == "old":
        shared = {name_of(n) for n in all_names(UPDATES)}
        packages = case.packages = evr_names(BASE, shared)[:1]
    spec = repo_spec(*case.sources, packages=packages, flags=list(case.flags),
                     lookaside_repos=[str(p) for p in case.lookaside])
    if case.want == "failed":
        request = service.submit(f"case{number}", spec)
        same((request / "wait").read_text(), "failed\n", case.label)
        text = "The following requested packages are not present in the generated compose: " \
               "absent no-such-package."
        check(text in (request / "error").read_text(), f"{case.label}: {text} in error")
        same(service.record(int((request / "id").read_text()))["state_reason"],
             f"Error while generating compose: {text}", f"{case.label}: state_reason")
        return
    compose = service.compose(f"case{number}", spec)
    os_tree = service.tree(compose) / "x86_64/os"
    got = names_in(os_tree)
    want = expected(case, folder / "expected")
    same(got, want, f"{case.label}: package set")
    check_createrepo(case.label, os_tree, folder)
    check_merge(case.label, os_tree, folder)
    check_rpms_json(case.label, service, compose, want)
    check_dnf(case.label, service, compose, case, want, folder)
    print(f"ok {case.label}: {len(got)} packages", flush=True)


def check_equal(service):
    """two equal requests share one manifest, and the second writes nothing but rows"""
    def files():
        return {str(p.relative_to(service.state)): p.stat().st_mtime_ns
                for kind in ("blobs", "manifests", "snapshots")
                for p in (service.state / kind).rglob("*") if p.is_file()}
    spec = repo_spec(BASE, packages=["apache2", "openssl"])
    first = service.compose("equal1", spec)
    before = files()
    second = service.compose("equal2", spec)
    same(files(), before, "files after an equal request")
    a, b = service.tree(first), service.tree(second)
    same((a / "x86_64/os/repodata/repomd.xml").read_bytes(),
         (b / "x86_64/os/repodata/repomd.xml").read_bytes(), "repomd.xml of equal composes")


def main():
    need_fuse()
    with Service(f"repo.allowed={UNIVERSE}") as service:
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None # 42 roots, each file of them synced
        for number, case in enumerate(cases()):
            folder = pathlib.Path(tempfile.mkdtemp(prefix="odcsfs-case-", dir=memory))
            try:
                run_case(service, number, case, folder)
            finally:
                shutil.rmtree(folder)
        check_equal(service)
    end()


main()
