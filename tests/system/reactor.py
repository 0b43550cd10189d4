# SPDX-License-Identifier: MIT
"""tests/system/reactor.py: the service as container builds use it, and as the scripts of 2017 did.

Whoever builds containers asks for composes with a client of his own, not with the stock one: he posts to composes/ with
empty lists, polls, parses times strictly, renews what ends before his build will, asks for another signing key
on a compose that is long gone and expects the same packages, and drops the .repo file into the image. Each of these is
played here over one kept connection, with the bodies as they are sent.
"""
import configparser, datetime, gzip, http.client, json, pathlib, sys, time, urllib.parse
import xml.etree.ElementTree as ET

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import *

FORMAT = "%Y-%m-%dT%H:%M:%SZ"
COMMON = "{http://linux.duke.edu/metadata/common}"
REPO = "{http://linux.duke.edu/metadata/repo}"
MARGIN = 3600 # a compose must live longer than a build may take


def moment(text):
    """strictly: a fraction or an offset would raise"""
    return datetime.datetime.strptime(text, FORMAT).replace(tzinfo=datetime.timezone.utc)


def left(record):
    return (moment(record["time_to_expire"]) - datetime.datetime.now(datetime.timezone.utc)).total_seconds()


class Builder:
    """A build's view of the service: one URL with its slash, one session."""

    def __init__(self, url):
        self.base = urllib.parse.urlsplit(url)
        self.session = http.client.HTTPConnection(self.base.netloc, timeout=60)

    def call(self, method, path, body=None):
        headers = {"Accept": "*/*", "Accept-Encoding": "gzip, deflate", "Connection": "keep-alive"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        self.session.request(method, self.base.path + path, None if body is None else json.dumps(body), headers)
        answer = self.session.getresponse()
        text = answer.read()
        check(answer.getheader("Content-Encoding") is None, f"{method} {path} is not packed")
        return answer.status, json.loads(text)

    def start(self, source, arches=("x86_64",), sigkeys=(), flags=(), **more):
        body = {"source": {"type": "repo", "source": str(source), "packages": [], "sigkeys": list(sigkeys)},
                "arches": list(arches), "flags": list(flags), **more}
        status, record = self.call("POST", "composes/", body)
        same(status, 200, "POST composes/")
        return record

    def renew(self, number, body):
        status, record = self.call("PATCH", f"composes/{number}", body)
        same(status, 200, f"PATCH {body}")
        return record

    def wait(self, number):
        for pause in [0.1] * 300:
            status, record = self.call("GET", f"composes/{number}")
            same(status, 200, "poll")
            if record["state_name"] not in ("wait", "generating"):
                break
            time.sleep(pause)
        for name in ("time_submitted", "time_to_expire", "time_started", "time_done"):
            if name != "time_done" or record["state_name"] == "done": # one that failed has none
                moment(record[name])
        return record

    def gone(self, number):
        return wait_for(lambda: (r := self.call("GET", f"composes/{number}")[1])["state_name"] == "removed" and r, 30)


def fetch(url):
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=60)
    connection.request("GET", parts.path)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def primary(repository):
    """{(name, epoch, version, release, arch, checksum)} of what a repository offers"""
    status, text = fetch(f"{repository}/repodata/repomd.xml")
    same(status, 200, f"{repository}/repodata/repomd.xml")
    where = next(data.find(REPO + "location").get("href") for data in ET.fromstring(text).iter(REPO + "data")
                 if data.get("type") == "primary")
    found = set()
    for package in ET.fromstring(gzip.decompress(fetch(f"{repository}/{where}")[1])):
        evr = package.find(COMMON + "version")
        found.add((package.find(COMMON + "name").text, evr.get("epoch"), evr.get("ver"), evr.get("rel"),
                   package.find(COMMON + "arch").text, package.find(COMMON + "checksum").text))
    return found


def check_build(builder):
    """one image: ask, wait, make sure that it lives long enough, take the .repo file along"""
    record = builder.start(BASE, sigkeys=[], flags=[], **{"seconds_to_live": 100})
    same((record["state_name"], record["packages"], record["sigkeys"], record["flags"], record["arches"]),
         ("wait", "", "", [], "x86_64"), "as posted")
    same(record["result_repofile"], f"{record['result_repo']}/odcs-{record['id']}.repo", "result_repofile is known at once")
    done = builder.wait(record["id"])
    same(done["state_name"], "done", f"compose {done['state_reason']}")
    check(left(done) < MARGIN, "it ends before the build could")
    renewed = builder.renew(record["id"], {"seconds-to-live": 2 * MARGIN})
    same(renewed["id"], record["id"], "renewed in place")
    check(abs(left(renewed) - 2 * MARGIN) < 5, f"lives {left(renewed)} s")
    same({k: v for k, v in renewed.items() if k != "time_to_expire"},
         {k: v for k, v in done.items() if k not in ("time_to_expire", "pungi_config_dump")}, "nothing else changed")
    status, text = fetch(done["result_repofile"])
    same(status, 200, ".repo")
    repo = configparser.ConfigParser(interpolation=None)
    repo.read_string(text.decode())
    same(repo.sections(), [f"odcs-{record['id']}{kind}" for kind in ("", "-debuginfo", "-source")], ".repo: sections")
    section = repo[f"odcs-{record['id']}"]
    same((section["baseurl"], section["enabled"], section["gpgcheck"]), (f"{done['result_repo']}/$basearch/os", "1", "0"),
         ".repo: what is on")
    found = primary(section["baseurl"].replace("$basearch", "x86_64"))
    same(len(found), 300, "no packages named: all of them")
    for section in repo.sections()[1:]: # switched on by hand sometimes
        primary(repo[section]["baseurl"].replace("$basearch", "x86_64"))
    return record["id"]


def check_keys(builder):
    """another key for a compose that is over: a new one with the same packages, whatever the repository has now"""
    record = builder.start(BASE, sigkeys=[""], flags=["no_reuse"], seconds_to_live=2)
    builder.wait(record["id"])
    before = primary(f"{record['result_repo']}/x86_64/os")
    over = builder.gone(record["id"])
    same(over and over["state_reason"].splitlines()[-1], "Compose is expired.", "it is over")
    same(fetch(f"{record['result_repo']}/x86_64/os/repodata/repomd.xml")[0], 404, "and its tree is gone")
    new = builder.renew(record["id"], {"sigkeys": ["", "FD431D51"]})
    same((new["id"] > record["id"], new["state_name"], new["sigkeys"], new["packages"]),
         (True, "wait", " FD431D51", ""), "a new compose with the other keys")
    same(new["koji_event"], over["koji_event"], "of the same moment")
    check(abs(left(new) - 86400) < 5, "with a lifetime of its own")
    done = builder.wait(new["id"])
    same(done["state_name"], "done", f"it is made {done['state_reason']}")
    same(primary(f"{done['result_repo']}/x86_64/os"), before, "the same packages")
    same(builder.renew(new["id"], {"sigkeys": ["", "FD431D51"]})["id"], new["id"], "the same keys again: renewed")
    other = builder.renew(new["id"], {"sigkeys": [""]})
    same(other["id"] > new["id"], True, "other keys: another compose")
    builder.wait(other["id"])


def check_over(builder):
    """renewing what is over, or failed, makes it anew; what is under way cannot be renewed"""
    record = builder.start(UPDATES, seconds_to_live=1)
    builder.wait(record["id"])
    builder.gone(record["id"])
    new = builder.renew(record["id"], {"seconds-to-live": 5000})
    same((new["id"] > record["id"], new["state_name"], abs(left(new) - 5000) < 5), (True, "wait", True), "made anew")
    same(builder.wait(new["id"])["state_name"], "done", "and done")
    status, failed = builder.call("POST", "composes/", {"source": {"type": "repo", "source": str(BASE),
                                                                   "packages": ["no-such"]}})
    failed = builder.wait(failed["id"])
    same(failed["state_reason"], "Error while generating compose: The following requested packages are not "
         "present in the generated compose: no-such.", "failed")
    again = builder.renew(failed["id"], {})
    same((again["id"] > failed["id"], again["packages"]), (True, "no-such"), "a failed one is made anew")
    status, error = builder.call("PATCH", "composes/987654", {})
    same((status, error["message"]), (404, "No compose with id 987654 found"), "renewing nothing")
    status, error = builder.call("POST", "composes/", {"source": {"type": "repo", "source": "relative"}, "arches": []})
    same((status, sorted(error)), (400, ["error", "message", "status"]), "what is wrong is told")


def check_seed(service):
    """scripts of 2017: flat and nested bodies, no slash, {"id": N}, the dashed lifetime, Unknown, null until done"""
    old = Builder(f"{service.url}/odcs/1/")
    names = ("id", "owner", "result_repo", "source", "source_type", "state", "state_name", "time_done", "time_removed",
             "time_submitted")
    bodies = {"flat": {"source_type": "repo", "source": str(BASE), "packages": ["openssl"]},
              "nested": {"source": {"type": "repo", "source": str(BASE), "packages": ["openssl"]},
                         "seconds-to-live": 300, "flags": ["no_deps"]}}
    for name, body in bodies.items():
        made = 0
        for path in ("composes", "composes/"):
            status, record = old.call("POST", path, body)
            made = made or record["id"] # the second one shows the first one's tree
            same((status, {key: record[key] for key in names if key not in ("id", "time_submitted")}),
                 (200, {"owner": "Unknown", "result_repo": None, "source": str(BASE), "source_type": 3, "state": 0,
                        "state_name": "wait", "time_done": None, "time_removed": None}), f"seed {name}, {path}")
            done = old.wait(record["id"])
            same((done["owner"], done["state"], done["result_repo"]),
                 ("Unknown", 2, f"{service.url}/composes/odcs-{made}/compose/Temporary"), f"seed {name}: done")
            found = {package[0] for package in primary(f"{done['result_repo']}/x86_64/os")}
            same("openssl" in found and (len(found) == 1) == (name == "nested"), True, f"seed {name}: {sorted(found)[:5]}")
            if name == "nested":
                check(abs(left(done) - 300) < 5, "dashed lifetime")
    status, renewed = old.call("POST", "composes", {"id": done["id"], "seconds-to-live": 9000})
    same((status, renewed["id"], abs(left(renewed) - 9000) < 5), (200, done["id"], True), "{id} of a done one renews it")
    status, record = old.call("POST", "composes/", {"source_type": "repo", "source": str(BASE), "packages": ["openssl"],
                                                    "seconds-to-live": 1, "flags": ["no_reuse"]})
    old.wait(record["id"])
    old.gone(record["id"])
    status, again = old.call("POST", "composes/", {"id": record["id"]})
    same((status, again["id"] > record["id"], again["packages"]), (200, True, "openssl"), "{id} of an expired one: anew")
    status, error = old.call("POST", "composes/", {"id": 987654})
    same((status, error["message"]), (400, "No expired or failed compose with id 987654"), "{id} of none")
    status, error = old.call("POST", "composes/", {"source_type": "repo"})
    same((status, error["message"]), (400, "Missing source"), "flat without source")
    status, found = old.call("GET", "composes?per_page=3")
    same((status, len(found["items"]), found["items"][0]["owner"]), (200, 3, "Unknown"), "list")


def main():
    with Service(f"repo.allowed={UNIVERSE}", mount=False) as service:
        builder = Builder(f"{service.url}/api/1/")
        check_build(builder)
        check_keys(builder)
        check_over(builder)
        check_seed(service)
    end()


main()
