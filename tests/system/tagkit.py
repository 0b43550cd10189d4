# SPDX-License-Identifier: MIT
"""tests/system/tagkit.py: what the tests of tags and builds share: requests, a service with its hub, and looks at what
came out."""
import contextlib, gzip, json, os, pathlib, re, shutil, tempfile

from harness import check, need_fuse, run, same, skip, wait_for
import kojikit, replayhub

EXPECTED = replayhub.DATA / "recordings/EXPECTED_paths.f26-candidate.tsv"


def tag_spec(tag, packages=None, sigkeys=None, builds=None, event=None, **more):
    source = {"type": "tag", "source": tag}
    for name, value in (("packages", packages), ("sigkeys", sigkeys), ("builds", builds), ("koji_event", event)):
        if value is not None:
            source[name] = value
    return {"source": source, **more}


def build_spec(builds, **more):
    return {"source": {"type": "build", "builds": builds, **more}}


class Field:
    """a service, the hub it asks, and the files below topdir"""

    def __init__(self, service, hub, topdir, builds):
        self.service, self.hub, self.topdir, self.builds, self.serial = service, hub, topdir, builds, 0
        self.prefix = f"file://{topdir}/"

    def compose(self, spec, want="done"):
        self.serial += 1
        return self.service.compose(f"r{self.serial}", spec, want)

    def log(self):
        return (self.service.mnt / f"requests/r{self.serial}/log").read_text()

    def logged(self, words):
        """the line about another compose may be written after this one is done"""
        check(wait_for(lambda: words in self.log(), 5), f"{words!r} in {self.log()}")

    def error(self, spec):
        """the words of one that fails"""
        number = self.compose(spec, "failed")
        return self.service.record(number)["state_reason"].removeprefix("Error while generating compose: ")

    def origins(self, number, tree="*"):
        """path below topdir of each package in the compose, by the name of its file"""
        found = {}
        for file in sorted(self.service.tree(number).rglob("*.rpm")):
            if tree == "*" or f"/{tree}/" in str(file):
                url = os.getxattr(file, "user.odcs.origin_url").decode()
                prefix = self.prefix
                check(url.startswith(prefix), f"{url} lies below {prefix}")
                found[file.name.removesuffix(".rpm")] = url.removeprefix(prefix).replace("%2B", "+").replace("%7E", "~")
        return found

    def names(self, number):
        """files of the main tree for x86_64, without their release and arch"""
        folder = self.service.tree(number) / "x86_64/os/Packages"
        return {file.name.rsplit("-", 1)[0] for file in folder.rglob("*.rpm")}


def forget(service, kind):
    """remove the files of one folder of the state directory"""
    for file in (service.state / kind).iterdir():
        file.unlink()


def repodata(folder, kind):
    repomd = (folder / "repodata/repomd.xml").read_text()
    href = re.search(rf'<data type="{kind}">.*?<location href="([^"]*)"', repomd, re.S)[1]
    return gzip.decompress((folder / href).read_bytes()).decode()


@contextlib.contextmanager
def recorded_hub():
    """(hub, topdir, builds): a hub with the files that its recordings speak of"""
    need_fuse()
    if not shutil.which("rpm"):
        skip("rpm is not there")
    with tempfile.TemporaryDirectory(prefix="odcsfs-koji-") as folder:
        topdir = pathlib.Path(folder) / "koji"
        topdir.mkdir()
        os.chmod(folder, 0o755)
        replayhub.unpack_topdir(topdir)
        builds = kojikit.Builds(topdir)
        with replayhub.ReplayHub(topdir=topdir) as hub:
            yield hub, topdir, builds


def restart_worker(service):
    for worker in service.workers(1):
        os.kill(worker, 9)
        wait_for(lambda: worker not in service.children() and service.workers(1))


def check_expected(field):
    """five lists of keys: exactly the copies that a real hub's files give"""
    want = {}
    for line in EXPECTED.read_text().splitlines()[2:]:
        keys, rpm, path = line.split("\t")
        want.setdefault(keys, {})[rpm] = path
    same(len(want), 5, "lists of keys")
    for keys, paths in want.items():
        missing = {rpm for rpm, path in paths.items() if path == "MISSING"}
        spec = tag_spec("f26-candidate", sigkeys=[] if keys == "''" else keys.split(","))
        if missing:
            words = field.error(spec)
            check(any(words.startswith(f"{rpm.rsplit('-', 2)[0]}-") for rpm in missing) and "data/signed/7ec1b334/" in words,
                  f"everything with keys {keys}: {words}")
            spec["source"]["packages"] = [rpm for rpm in paths if rpm not in missing and not rpm.endswith(".src")]
            spec["flags"] = ["no_deps"]
        number = field.compose(spec)
        same(field.origins(number), {rpm: path for rpm, path in paths.items() if rpm not in missing}, f"keys {keys}")
        rpms = json.loads((field.service.tree(number) / "../metadata/rpms.json").read_text())
        signed = {nevra.split(":")[0].rsplit("-", 1)[0]: rpm["sigkey"]
                  for group in rpms["payload"]["rpms"]["Temporary"]["x86_64"].values() for nevra, rpm in group.items()}
        for rpm, path in paths.items():
            key = re.search("/data/signed/([0-9a-f]+)/", path)
            if rpm not in missing and not rpm.endswith(".src"):
                same(signed.get(rpm.rsplit("-", 2)[0]), key and key[1], f"sigkey of {rpm} with keys {keys}")


def check_dnf(field):
    """dnf takes it for a repository"""
    if not shutil.which("dnf"):
        print("skipped: dnf is not there: nothing is installed from the compose")
        return
    number = field.compose(tag_spec("f26-candidate", builds=["bash-fake-4.4.12-5.fc26"], sigkeys=["a4f1cd23", ""]))
    url = f"{field.service.url}/composes/odcs-{number}/compose/Temporary/x86_64/os/"
    with tempfile.TemporaryDirectory(prefix="odcsfs-dnf-") as folder:
        (pathlib.Path(folder) / "log").mkdir()
        dnf = ["dnf", "-q", "-y", f"--setopt=reposdir={folder}/none", f"--setopt=cachedir={folder}/cache",
               f"--setopt=persistdir={folder}/persist", f"--setopt=logdir={folder}/log", f"--installroot={folder}/root",
               "--releasever=1", "--forcearch=x86_64", "--setopt=install_weak_deps=0", "--setopt=gpgcheck=0",
               "--setopt=tsflags=noscripts", f"--repofrompath=c,{url}", "--repo=c"]
        done = run(*dnf, "install", "httpd", "mod_ssl")
        same(done.returncode, 0, f"dnf install: {done.stdout}{done.stderr}")
        have = run("rpm", "--root", f"{folder}/root", "-qa", "--qf", "%{name}\\n").stdout.split()
        check({"httpd", "mod_ssl", "apr", "apr-util", "openssl-libs", "bash-fake", "glibc-fake"} <= set(have), f"installed: {have}")
