# SPDX-License-Identifier: MIT
"""tests/system/odcsclient.py: the stock client, odcs 0.9.2 from PyPI with all it depends on, against the service:
its Python class and its command line (docs/contract/odcs-api.md 10). Nothing is stood in for: real composes,
and dnf reads what the client was told.

The client is installed into a virtual environment below $ODCSFS_CACHE (the build folder) and found there again by the
next run; gssapi, which it needs, is the distribution's.
"""
import contextlib, io, json, os, pathlib, signal, subprocess, sys, tempfile, threading, time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import *
import modulekit, pypi

VERSION = "0.9.2"


def environment():
    """The folder of a virtual environment that has the client."""
    venv, reason = pypi.environment(
        f"odcs-{VERSION}", f"odcs[client]=={VERSION}",
        f"import odcs.client.odcs, odcs.client as c; assert c.version == '{VERSION}'", "--system-site-packages")
    if not venv:
        skip(reason)
    return venv


def silently(function, *values, **named):
    """(result, what the client printed)"""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        result = function(*values, **named)
    return result, out.getvalue()


def names_of(service, number):
    folder = service.tree(number)
    return sorted({p.name.rsplit("-", 2)[0] for p in folder.glob("x86_64/os/Packages/*/*.rpm")})


def expires(record):
    return time.mktime(time.strptime(record["time_to_expire"], "%Y-%m-%dT%H:%M:%SZ")) - time.timezone


# ---- the class ---------------------------------------------------------------------------------------

def check_class(service, lib):
    """new_compose, request_compose with every source, and what can be done with a compose"""
    client = lib.ODCS(service.url, auth_mech=lib.AuthMech.Anonymous)
    about = client.about() # without its slash: follows 308
    same((about["auth_backend"], sorted(about)), ("noauth", ["allowed_clients", "auth_backend", "raw_config_urls",
                                                             "sigkeys", "version"]), "about")
    made = client.new_compose(str(BASE), "repo", seconds_to_live=600, packages=["openssl"], flags=["no_deps"],
                              arches=["x86_64"], results=["iso"])
    same((made["state_name"], made["source_type"], made["packages"], made["flags"], made["results"], len(made)),
         ("wait", 3, "openssl", ["no_deps"], ["repository", "iso"], 42), "new_compose")
    done = client.wait_for_compose(made["id"], timeout=60)
    same((done["state_name"], len(done), done["pungi_config_dump"]), ("done", 43, None), "wait_for_compose")
    same(client.get_compose(made["id"]), done, "get_compose")
    same(names_of(service, made["id"]), ["openssl"], "packages of the compose")
    source = lib.ComposeSourceGeneric(str(BASE), "repo", packages=["openssl"], sigkeys=["", "AABBCCDD"], nobody="ignored")
    wide = client.request_compose(source, arches=["x86_64"], label="RC-1.0", compose_type="nightly", seconds_to_live=500,
                                  lookaside_repos=[str(UPDATES)], multilib_method=["devel"])
    same([wide[key] for key in ("sigkeys", "label", "compose_type", "lookaside_repos", "multilib_method")],
         [" AABBCCDD", "RC-1.0", "nightly", str(UPDATES), 2], "request_compose, generic")
    client.wait_for_compose(wide["id"], timeout=60)
    check_sources(client, lib)
    check_refusals(client, lib)
    check_find(client, lib)
    check_renewal(service, client, made["id"])
    return made["id"]


def check_sources(client, lib):
    """the sources of Koji, MBS and Pulp: accepted with all their members; without those services they fail cleanly"""
    asked = {
        lib.ComposeSourceTag("f26", ["a", "b"], ["x-1-1"], [""], 55, ["m1"], "git://x", "abc", ["s:1:2:c"]):
            {"source": "f26", "packages": "a b", "builds": "x-1-1", "sigkeys": "", "koji_event": 55,
             "modular_koji_tags": "m1", "module_defaults_url": "git://x abc", "scratch_modules": "s:1:2:c"},
        lib.ComposeSourceModule(["m:1", "n:2:3"], sigkeys=["AA"], base_module_br_name="platform",
                                base_module_br_stream_version_lte=80301):
            {"source": "m:1 n:2:3", "packages": None, "sigkeys": "AA", "base_module_br_name": "platform",
             "base_module_br_stream": None, "base_module_br_stream_version_lte": 80301},
        lib.ComposeSourcePulp(["x-rpms", "y-rpms"]): {"source": "x-rpms y-rpms", "source_type": 4, "builds": None},
        lib.ComposeSourceBuild(["x-1-1", "y-2-1"], ["AA"]): {"source": "", "builds": "x-1-1 y-2-1", "source_type": 6},
    }
    for source, want in asked.items():
        made = client.request_compose(source, flags=["no_inheritance"])
        name = type(source).__name__
        same({key: made[key] for key in want}, want, name)
        end = client.wait_for_compose(made["id"], timeout=60)
        same((end["state_name"], end["time_done"]), ("failed", None), f"{name} without its service")
        check(end["state_reason"].startswith("Error while generating compose: ") and "Traceback" not in
              end["state_reason"], f"{name}: reason {end['state_reason']!r}")


def check_refusals(client, lib):
    """HTTP errors are raised, with the body printed"""
    from requests.exceptions import HTTPError
    refused = [
        (404, "No such compose found.", lambda: client.get_compose(987654)),
        (404, "No compose with id 987654 found", lambda: client.renew_compose(987654)),
        (404, "No such compose found.", lambda: client.delete_compose(987654)),
        (400, 'Source "pungi_cfg" does not exist in server configuration.', lambda: client.request_compose(
            lib.ComposeSourceRawConfig("pungi_cfg", "main", 7))),
        (400, 'Unknown "target_dir" "private"', lambda: client.request_compose(
            lib.ComposeSourceTag("f26"), target_dir="private")),
        (400, "('Unknown flag %s', 'nodeps')", lambda: client.new_compose("f26", "tag", flags=["nodeps"])),
        (400, "No source provided for 1", lambda: client.new_compose("", "tag")),
        (403, None, lambda: client.new_compose("/etc", "repo")),
    ]
    for status, message, call in refused:
        out = io.StringIO()
        try:
            with contextlib.redirect_stdout(out):
                call()
            check(False, f"{message}: nothing was raised")
        except HTTPError as error:
            same(error.response.status_code, status, f"{message}: status")
            body = json.loads(out.getvalue())
            same((body["status"], body["message"]), (status, message or body["message"]), f"{message}: printed")


def check_find(client, lib):
    """filters, order and pages"""
    first = client.find_composes()
    same(sorted(first), ["items", "meta"], "find_composes")
    total = first["meta"]["total"]
    same([item["id"] for item in first["items"]], list(range(total, max(total - 10, 0), -1)), "newest first")
    pages, found = 1, []
    while pages:
        answer = client.find_composes(page=pages, per_page=2, order_by="id")
        same((answer["meta"]["page"], answer["meta"]["per_page"], answer["meta"]["pages"]), (pages, 2, -(-total // 2)),
             "meta")
        found += answer["items"]
        pages = pages + 1 if answer["meta"]["next"] else 0
    same([item["id"] for item in found], list(range(1, total + 1)), "page by page")
    same({len(item) for item in found}, {42}, "members of an item")
    for key, value in (("source_type", 3), ("state", 2), ("state", 4), ("owner", "unknown"), ("source", "f26"),
                       ("label", "RC-1.0"), ("compose_type", "nightly")):
        want = [item["id"] for item in found if item[key] == value]
        items = client.find_composes(order_by="id", per_page=100, **{key: value})["items"]
        same(([item["id"] for item in items], bool(want)), (want, True), f"{key}={value}")
    same(client.find_composes(owner="nobody")["meta"]["total"], 0, "nothing found")
    same(client.find_composes(source_type=3, state=2, per_page=1)["meta"]["total"],
         len([i for i in found if (i["source_type"], i["state"]) == (3, 2)]), "two filters")


def check_renewal(service, client, number):
    """longer; another label; after its end"""
    now = time.time()
    same(client.renew_compose(number)["id"], number, "renewed without a body")
    check(abs(expires(client.get_compose(number)) - now - 86400) < 5, "renewed to the default")
    record = client.renew_compose(number, seconds_to_live=200000)
    check(record["id"] == number and abs(expires(record) - now - 200000) < 5, "renewed by seconds")
    labelled = client.renew_compose(number, label="RC-2.0")
    same((labelled["id"] > number, labelled["label"], labelled["state_name"], labelled["respin_of"]),
         (True, "RC-2.0", "wait", record["pungi_compose_id"]), "another label makes a new one")
    client.wait_for_compose(labelled["id"], timeout=60)
    answer = client.delete_compose(labelled["id"])
    same(answer, {"message": f"The delete request for compose (id={labelled['id']}) has been accepted and will be "
                  "processed by backend later.", "status": 202}, "delete_compose")
    gone = wait_for(lambda: (r := client.get_compose(labelled["id"]))["state_name"] == "removed" and r, 20)
    same(gone and (gone["removed_by"], gone["state_reason"].splitlines()[-1]), ("anonymous", "Removed by anonymous."),
         "removed")
    again = client.renew_compose(labelled["id"], seconds_to_live=700)
    same((again["id"] > labelled["id"], again["packages"], again["label"]), (True, "openssl", "RC-2.0"),
         "a removed one is made anew")
    same(client.wait_for_compose(again["id"], timeout=60)["state_name"], "done", "and is done")
    same(names_of(service, again["id"]), names_of(service, number), "with the same packages")


def check_logs(service, client, lib):
    """a log that grows is read piece by piece: 416 while there is nothing new"""
    workers = service.workers()
    for worker in workers:
        os.kill(worker, signal.SIGSTOP)
    try:
        made = client.new_compose(str(BASE), "repo", packages=["nginx"])
        generating = wait_for(lambda: client.get_compose(made["id"])["state_name"] == "generating", 10)
        same(generating, True, "a compose that does not get on")
        log = lib.ComposeLog(client.get_compose(made["id"]))
        first = log.read() or ""
        same(log.read() or "", "", "nothing new")
        watching = cli(service, "wait", "--watch", made["id"], wait=False)
        try:
            client.wait_for_compose(made["id"], timeout=2)
            check(False, "wait_for_compose of 2 s ends by itself")
        except RuntimeError as error:
            check("timed out after 2 seconds" in str(error), f"wait_for_compose: {error}")
    finally:
        for worker in workers:
            os.kill(worker, signal.SIGCONT)
    client.wait_for_compose(made["id"], timeout=60)
    rest = log.read() or ""
    whole = (service.mnt / f"composes/{made['id']}/pungi-stderr.log").read_text()
    same(first + rest, whole, "the pieces make up the log")
    check(whole.count("\n") > 2, f"a log of some lines: {whole!r}")
    same(log.read(), "", "nothing new after the end")
    done, printed = silently(client.wait_for_compose, made["id"], watch_logs=True)
    same((done["state_name"], printed), ("done", whole + "\n"), "wait_for_compose with watch_logs")
    return made["id"], watching, whole


# ---- the command line --------------------------------------------------------------------------------

class Ended:
    def __init__(self, process):
        self.out, self.err = process.communicate(timeout=90)
        self.code = process.returncode

    def json(self, lead=""):
        """what was printed behind @lead, which must be all there is before it, to the byte"""
        text = self.out.removeprefix(lead)
        try:
            value = json.loads(text)
        except ValueError:
            check(False, f"no JSON: {self.out!r} {self.err[-500:]!r}")
            return {}
        same(self.out, lead + json.dumps(value, indent=4, sort_keys=True) + "\n", "what is printed")
        return value


def cli(service, *words, before=(), url=None, wait=True, **variables):
    process = subprocess.Popen(
        [str(cli.venv / "bin/odcs"), "--server", url or service.url, *before, *(str(word) for word in words)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "HOME": str(service.dir), **variables})
    return Ended(process) if wait else process


def check_create(service):
    """create-*: a clean failure where there is no such service, and what was asked for in the record"""
    got = cli(service, "create-tag", "f26", "a", "b", "--sigkey", "none", "--sigkey", "AA", "--koji-event", "7", "--arch",
              "x86_64", "--arch", "s390x", "--module-defaults-url", "git://x", "--module-defaults-commit", "abc",
              "--modular-tag", "m1", "--lookaside-repo", UPDATES, "--build", "x-1-1", "--flag", "no_deps",
              "--flag", "no_reuse", "--scratch-module", "s:1:2:c")
    number = latest(service)
    record = got.json(f"Waiting for command create-tag on compose {number} to finish.\n")
    same((got.code, record["state_name"], len(record)), (1, "failed", 43), "create-tag")
    want = {"source": "f26", "packages": "a b", "sigkeys": " AA", "koji_event": 7, "arches": "x86_64 s390x",
            "module_defaults_url": "git://x abc", "modular_koji_tags": "m1", "lookaside_repos": str(UPDATES),
            "builds": "x-1-1", "flags": ["no_deps", "no_reuse"], "scratch_modules": "s:1:2:c"}
    same({key: record[key] for key in want}, want, "create-tag: members")
    got = cli(service, "create-tag", "f26", before=["-q"])
    same((got.code, got.json()["state_name"]), (1, "failed"), "create-tag, quiet")
    for words, want in ((["create-module", "m:1"], {"source": "m:1", "source_type": 2}),
                        (["create-pulp", "x-rpms", "--flag", "ignore_absent_pulp_repos"], {"source_type": 4}),
                        (["create-build", "x-1-1", "y-1-1"], {"builds": "x-1-1 y-1-1", "source": ""}),
                        (["create", "tag", "f26", "a", "--result", "boot.iso", "--label", "RC-1.0", "--compose-type",
                          "ci"], {"results": ["repository", "boot.iso"], "label": "RC-1.0", "compose_type": "ci"})):
        got = cli(service, *words, before=["--no-wait"])
        record = got.json()
        same((got.code, record["state_name"], len(record), {key: record[key] for key in want}), (0, "wait", 42, want),
             f"{words[0]}, not waiting")
    got = cli(service, "create-module", "m:1", "n:2", before=["--no-wait"])
    warning, _, text = got.out.partition("\n")
    same((got.code, warning[:16], json.loads(text)["source"]), (0, "WARNING: Please ", "m:1 n:2"), "create-module of two")


def latest(service):
    return service.call("GET", "/api/1/composes/?per_page=1").json["items"][0]["id"]


def check_commands(service, number, failed):
    """get, wait, renew, delete, about"""
    got = cli(service, "about")
    same((got.code, got.json()), (0, service.call("GET", "/api/1/about/").json), "about")
    for command in ("get", "wait"):
        got = cli(service, command, number)
        same((got.code, got.json()), (0, service.record(number)), command)
        got = cli(service, command, failed)
        same((got.code, got.json()), (1, service.record(failed)), f"{command} of a failed one")
    now = time.time()
    got = cli(service, "renew", number, "--seconds-to-live", "250000")
    record = got.json()
    same((got.code, record["id"], abs(expires(record) - now - 250000) < 10), (0, number, True), "renew --seconds-to-live")
    same(cli(service, "renew", number).json()["id"], number, "renew without options")
    got = cli(service, "renew", number, "--label", "Beta-1.0")
    made = latest(service)
    record = got.json(f"Waiting for command renew on compose {made} to finish.\n")
    same((got.code, record["id"], record["label"], record["state_name"]), (0, made, "Beta-1.0", "done"), "renew --label")
    got = cli(service, "delete", made)
    same((got.code, got.json()), (0, {"status": 202, "message": f"The delete request for compose (id={made}) has been "
                                      "accepted and will be processed by backend later."}), "delete")
    wait_for(lambda: service.record(made)["state_name"] == "removed", 20)
    got = cli(service, "wait", made)
    same((got.code, got.json()["state_name"]), (0, "removed"), "removed counts as success")


def check_codes(service):
    """255: an HTTP error, its body printed; 2: usage; 1: no answer; 0: help"""
    for words, status in ((["get", "987654"], 404), (["delete", "987654"], 404), (["renew", "987654"], 404),
                          (["create-raw-config", "pungi_cfg", "main"], 400), (["create-tag", "f26", "--flag", "x"], 400),
                          (["create-tag", "f26", "--target-dir", "x"], 400)):
        got = cli(service, *words)
        same((got.code, json.loads(got.out)["status"], got.err), (255, status, ""), f"odcs {' '.join(words)}")
    for words in (["create", "repo", "/x"], ["nonsense"], ["get"], ["create-tag"]):
        same(cli(service, *words).code, 2, f"odcs {' '.join(words)}: usage")
    got = cli(service)
    same((got.code, got.out.startswith("usage: odcs ")), (0, True), "odcs alone")
    got = cli(service, "get", "1", url="http://localhost:9")
    same((got.code, "Traceback" in got.err, got.out), (1, True, ""), "nobody there")
    got = cli(service, "about", url=service.url.replace("localhost", "127.0.0.1"), NO_OIDC_AUTHZ_CODE="1")
    same((got.code, sorted(got.json())[:1]), (0, ["allowed_clients"]), "a host that is not called localhost: Kerberos' way")
    got = cli(service, "about", url=service.url + "/")
    same(got.code, 0, "a URL with a slash")


# ---- dnf ---------------------------------------------------------------------------------------------

def check_dnf(service, record):
    """dnf with nothing but the .repo file of a compose"""
    with tempfile.TemporaryDirectory(prefix="odcsfs-dnf-") as folder:
        folder = pathlib.Path(folder)
        (folder / "repos").mkdir()
        with urllib.request.urlopen(record["result_repofile"], timeout=30) as answer:
            (folder / "repos/compose.repo").write_bytes(answer.read())
        dnf = ["dnf", "-q", "-y", f"--setopt=reposdir={folder}/repos", f"--setopt=cachedir={folder}/cache",
               f"--setopt=persistdir={folder}/persist", f"--setopt=logdir={folder}",
               "--setopt=module_platform_id=platform:x",
               f"--installroot={folder}/root", "--releasever=1", "--forcearch=x86_64", "--setopt=install_weak_deps=0"]
        names = run(*dnf, "repoquery", "--available", "--qf", "%{name}")
        same((names.returncode, sorted(set(names.stdout.split()))), (0, names_of(service, record["id"])),
             f"dnf repoquery {names.stderr[-500:]}")
        got = run(*dnf, "install", "--downloadonly", "--destdir", folder / "got", "nginx")
        same((got.returncode, any(p.name.startswith("nginx-") for p in folder.glob("got/*.rpm"))), (0, True),
             f"dnf install --downloadonly {got.stderr[-500:]}")


# ---- modules -----------------------------------------------------------------------------------------

def check_modules(lib):
    """source.type=module: by the class and at the command line, to a compose that is done"""
    tool = modulekit.needed()
    if tool:
        print(f"not tested: composes of modules: no {tool}", flush=True)
        return
    with tempfile.TemporaryDirectory(prefix="odcsfs-client-") as folder:
        folder = pathlib.Path(folder)
        modulekit.build_rpms(folder, [("hello", "1.0", [], [])])
        modulekit.make_repository(folder, [modulekit.stream("hello", "1", 10, "c1", [modulekit.nevra("hello", "1.0")],
                                                            {"base": ["x"]}),
                                           modulekit.stream("base", "x", 2, "b1")])
        with Service(f"module.repos={folder}", "http.listen=localhost:0") as service:
            client = lib.ODCS(service.url, auth_mech=lib.AuthMech.Anonymous)
            made = client.request_compose(lib.ComposeSourceModule(["hello:1"]))
            done = client.wait_for_compose(made["id"], timeout=60)
            same((done["state_name"], made["source"], done["source"], done["koji_event"], done["packages"]),
                 ("done", "hello:1", "base:x:2:b1 hello:1:10:c1", None, None), "ComposeSourceModule")
            same(names_of(service, made["id"]), ["hello"], "its packages")
            got = cli(service, "create-module", "hello:1:10", "--flag", "no_deps", before=["-q"])
            same((got.code, got.json()["source"]), (0, "hello:1:10:c1"), "create-module")


def main():
    need_fuse()
    cli.venv = environment()
    site = next(cli.venv.glob("lib/python3*/site-packages"))
    sys.path.insert(0, str(site))
    import odcs.client.odcs as lib
    check(lib.__file__.startswith(str(site)), f"the client is the one of the virtual environment: {lib.__file__}")
    with Service(f"repo.allowed={UNIVERSE}", "http.listen=localhost:0") as service:
        client = lib.ODCS(service.url, auth_mech=lib.AuthMech.Anonymous)
        number = check_class(service, lib)
        watched, watching, log = check_logs(service, client, lib)
        failed = client.find_composes(state=4, per_page=1)["items"][0]["id"]
        made = client.new_compose(str(BASE), "repo", packages=["openssl", "nginx"])
        made = client.wait_for_compose(made["id"], timeout=60)
        others = [threading.Thread(target=check_dnf, args=(service, made)),
                  threading.Thread(target=check_codes, args=(service,))]
        for thread in others:
            thread.start()
        check_create(service)
        for thread in others:
            thread.join()
        check_commands(service, number, failed)
        got = Ended(watching)
        before, brace, record = got.out.partition("{")
        same([line for line in before.splitlines() if line],
             [f"Waiting for command wait on compose {watched} to finish.", *log.splitlines()], "wait --watch")
        same((got.code, json.loads(brace + record)["state_name"]), (0, "done"), "wait --watch: the end")
    check_modules(lib)
    end()


main()
