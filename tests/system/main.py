# SPDX-License-Identifier: MIT
"""tests/system/main.py: twenty composes over universe-small, each used for what it is for.

For each: dnf's own choice from the same sources is the expected package set; dnf installs every requested
package from the mount and over HTTP; createrepo_c over the mounted packages gives the same package
elements as ours; mergerepo_c reads it.
"""
import gzip, json, os, pathlib, shutil, subprocess, sys, tempfile
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


def closure(base, names, leave_out=()):
    """What `dnf install NAMES` would fetch, without what comes from the repositories in leave_out."""
    for name in names:
        base.install(name)
    base.resolve()
    return {nevra(p) for p in base.transaction.install_set if p.reponame not in leave_out}


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


def names_in(tree):
    return {nevra_of_file(p) for p in tree.rglob("*.rpm")}


def nevra_of_file(path):
    out = run("rpm", "-qp", "--nosignature", "--qf",
              "%{NAME}-%{EPOCHNUM}:%{VERSION}-%{RELEASE}.%{ARCH}", path)
    return out.stdout


def all_names(*repos):
    found = set()
    for repo in repos:
        for path in repo.rglob("*.rpm"):
            found.add(nevra_of_file(path))
    return found


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
    merged = run("mergerepo_c", "--no-database", "-o", folder / "merged", "-r", f"file://{os_tree}",
                 "-r", f"file://{BASE}")
    same(merged.returncode, 0, f"{label}: mergerepo_c {merged.stderr}")


def check_dnf(label, service, number, names, lookaside, folder):
    """dnf installs every requested name from the mount and from HTTP"""
    urls = {"mount": f"file://{service.tree(number)}/x86_64/os",
            "http": f"{service.url}/composes/odcs-{number}/compose/Temporary/x86_64/os"}
    for way, url in urls.items():
        place = folder / way
        base = dnf_base(place, [("compose", url, 99)] +
                        [(f"look{i}", f"file://{p}", 1) for i, p in enumerate(lookaside)])
        with contextlib.suppress(FileExistsError):
            os.makedirs(place)
        chosen = closure(base, names)
        base.download_packages([p for p in base.transaction.install_set if p.reponame == "compose"])
        check(len(chosen) >= len(names), f"{label}: dnf installs {names} from {way}")
        base.close()


class Case:
    def __init__(self, label, sources, packages, flags=(), lookaside=(), want=None, more=None):
        self.label, self.sources, self.packages = label, sources, packages
        self.flags, self.lookaside, self.want, self.more = flags, lookaside, want, more or {}


def evr_names(repo, wanted):
    """whole NEVRAs of names in one repository"""
    return sorted(n for n in all_names(repo) if n.rsplit("-", 2)[0] in wanted)


def random_names(count, seed):
    """names of base, spread evenly"""
    names = sorted(n.rsplit("-", 2)[0] for n in all_names(BASE))
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
    yield Case("no_deps", [BASE], ["apache2", "nginx"], flags=["no_deps"], want="named")
    yield Case("name and arch", [BASE], ["openssl.x86_64"], want="plain")
    yield Case("check_deps", [BASE], ["nginx"], flags=["check_deps"])
    yield Case("whole repository", [BASE], None, want="everything")
    yield Case("whole, empty list", [BASE, UPDATES], [], want="everything")
    yield Case("older version by NEVRA", [BASE, UPDATES], "old", want="old")
    yield Case("missing name", [BASE], ["openssl", "no-such-package", "absent"], want="failed")


def expected(case, folder):
    if case.want == "everything":
        return all_names(*case.sources)
    names = [n.split(".x86_64")[0] for n in case.packages]
    if case.want == "named":
        return {n for n in all_names(*case.sources) if n.rsplit("-", 2)[0] in names}
    repos = [(f"r{i}", f"file://{p}", 99) for i, p in enumerate(case.sources)
             if p not in case.lookaside]
    repos += [(f"look{i}", f"file://{p}", 1) for i, p in enumerate(case.lookaside)]
    if case.lookaside: # a requested name comes from the sources, as the request says
        return None
    base = dnf_base(folder, repos)
    result = closure(base, case.packages)
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
        shared = {n.rsplit("-", 2)[0] for n in all_names(UPDATES)}
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
    if case.lookaside:
        look = all_names(*case.lookaside)
        check(got and got & look <= {n for n in got if n.rsplit("-", 2)[0] in packages},
              f"{case.label}: nothing copied from the lookaside repository but what was asked for")
        want = got
    same(got, want, f"{case.label}: package set")
    check_createrepo(case.label, os_tree, folder)
    check_merge(case.label, os_tree, folder)
    check_rpms_json(case.label, service, compose, want)
    if packages and case.want != "named":
        check_dnf(case.label, service, compose, packages, case.lookaside, folder)
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
        for number, case in enumerate(cases()):
            folder = pathlib.Path(tempfile.mkdtemp(prefix="case-", dir=service.dir))
            run_case(service, number, case, folder)
            shutil.rmtree(folder)
        check_equal(service)
    end()


main()
