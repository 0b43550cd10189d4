# SPDX-License-Identifier: MIT
"""tests/system/record.py: lines of the HTTP contract that need real composes: what is accepted and fails later, in
upstream's words; what a compose's directory holds before, during and after (docs/contract/odcs-api.md 1.4, 2.3,
4, 7.2, 7.4)."""
import os, pathlib, re, signal, sqlite3, sys, time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import *

ERROR = "Error while generating compose: "


def ended(service, body):
    """the record of a request once it is over"""
    answer = service.call("POST", "/api/1/composes/", body)
    if not same(answer.status, 200, f"POST {body}: {answer.body!r}"):
        return {}
    return service.call("GET", f"/api/1/composes/{answer.json['id']}?wait=60").json


def check_first_second(service):
    """a client that comes with the ready line is left waiting like any other"""
    record = ended(service, repo_spec(BASE, packages=["openssl"]))
    same(record.get("state_name"), "done", "a long poll in the service's first second")


def check_late(service):
    """1.4, 2.6: accepted at POST, failed for it later"""
    late = [({"label": "GA-1.0"}, "Label in unknown format: GA-1.0"), ({"label": "RC-1"}, "Label in unknown format: RC-1"),
            ({"compose_type": "devel"}, "Invalid compose type: devel")]
    for members, words in late:
        record = ended(service, repo_spec(BASE, packages=["dash"], **members))
        same((record.get("state_name"), record.get("state_reason")), ("failed", ERROR + words), f"{members}")
        same((record["time_done"], record["removed_by"], bool(record["time_started"])), (None, None, True), f"{members}: times")
    record = ended(service, repo_spec(BASE, packages=["absent", "dash", "none-such"]))
    same(record["state_reason"], ERROR + "The following requested packages are not present in the generated compose: "
         "absent none-such.", "missing packages")
    record = ended(service, repo_spec(UPDATES, packages=["dash"], flags=["check_deps"]))
    same((record["state_name"], record["state_reason"].splitlines()[0].startswith(ERROR),
          "dash-0.5.12-2.up1.x86_64 requires debianutils" in record["state_reason"]), ("failed", True, True), "check_deps")
    same(ended(service, repo_spec(UPDATES, packages=["dash"]))["state_name"], "done", "the same without check_deps")
    record = ended(service, repo_spec(BASE, packages=["dash"], results=["iso", "boot.iso", "ostree"],
                                      multilib_arches=["x86_64"], multilib_method=["all"], arches=["x86_64", "aarch64"]))
    same((record["results"], record["multilib_method"], record["arches"], record["state_name"]),
         (["repository", "iso", "ostree", "boot.iso"], 4, "x86_64 aarch64", "done"), "results and methods that nothing makes")
    for kind, suffix in (("test", ".t"), ("ci", ".ci"), ("nightly", ".n"), ("production", ""), ("development", ".d")):
        record = ended(service, repo_spec(BASE, packages=["dash"], compose_type=kind, flags=["no_reuse"]))
        day = record["time_started"][:10].replace("-", "")
        same(record["pungi_compose_id"], f"odcs-{record['id']}-1-{day}{suffix}.0", f"id of a {kind} compose")


def files(service, number, *paths):
    return {path: service.call("GET", f"/composes/odcs-{number}/{path}").body for path in paths}


def check_directory(service):
    """7.2: by HTTP and in the tree the same, and all that the contract names and this version makes"""
    record = ended(service, repo_spec(BASE, packages=["openssl", "nginx"]))
    number, top = record["id"], service.mnt / "composes" / str(record["id"])
    os_tree = "compose/Temporary/x86_64/os"
    for path, kind in (("COMPOSE_ID", "f"), ("STATUS", "f"), ("pungi-stderr.log", "f"), (f"{os_tree}/repodata/repomd.xml", "f"),
                       (f"compose/Temporary/odcs-{number}.repo", "f"), ("compose/Temporary/x86_64/debug/tree/repodata", "d"),
                       ("compose/Temporary/source/tree/repodata", "d"), ("compose/metadata/composeinfo.json", "f"),
                       ("compose/metadata/rpms.json", "f"), ("logs/global", "d"), ("logs/x86_64", "d")):
        there = (top / path).is_dir() if kind == "d" else (top / path).is_file()
        check(there, f"{path} in the tree")
        answer = service.call("GET", f"/composes/odcs-{number}/{path}{'/' if kind == 'd' else ''}")
        same((answer.status, kind == "d" or answer.body == (top / path).read_bytes()), (200, True), f"{path} over HTTP")
    same((top / "COMPOSE_ID").read_text(), record["pungi_compose_id"], "COMPOSE_ID has no newline")
    same((top / "STATUS").read_text(), "FINISHED\n", "STATUS")
    for rpm in (top / os_tree / "Packages").glob("*/*"):
        same(rpm.parent.name, rpm.name[0].lower(), f"the letter of {rpm.name}")
    log = (top / "pungi-stderr.log").read_text()
    check(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ Compose thread started\n", log) and log.endswith("Z done\n"),
          f"the log that the client tails: {log!r}")
    failed = ended(service, repo_spec(BASE, packages=["absent"]))
    seen = files(service, failed["id"], "STATUS", "COMPOSE_ID")
    same(seen, {"STATUS": b"DOOMED\n", "COMPOSE_ID": failed["pungi_compose_id"].encode()}, "a failed one")
    same(service.call("GET", f"/composes/odcs-{failed['id']}/compose/").status, 404, "a failed one has no compose/")


def check_under_way(service):
    """STATUS and the log of one that is generating and of one that waits; a restart makes both"""
    workers = service.workers()
    for worker in workers:
        os.kill(worker, signal.SIGSTOP)
    numbers = [service.call("POST", "/api/1/composes/", repo_spec(BASE, packages=["dash"], flags=["no_reuse"])).json["id"]
               for _ in range(len(workers) + 1)]
    same(wait_for(lambda: service.record(numbers[0])["state_name"] == "generating", 10), True, "one is taken")
    first, last = service.record(numbers[0]), service.record(numbers[-1])
    same((first["state_reason"], first["time_done"], last["state_name"], last["state_reason"], last["time_started"],
          last["pungi_compose_id"]), ("Compose thread started", None, "wait", None, None, None), "records")
    for record in (first, last):
        same(files(service, record["id"], "STATUS")["STATUS"], b"STARTED\n", f"STATUS, {record['state_name']}")
        same(service.call("GET", f"/composes/odcs-{record['id']}/compose/").status, 404, f"compose/, {record['state_name']}")
    answer = service.call("GET", f"/composes/odcs-{last['id']}/pungi-stderr.log", headers={"Range": "bytes=0-"})
    same(answer.status in (404, 416), True, f"a log that is not there yet: {answer.status}")
    for worker in workers:
        os.kill(worker, signal.SIGCONT)
    for number in numbers:
        record = service.call("GET", f"/api/1/composes/{number}?wait=60").json
        same((record["state_name"], record["state_reason"]), ("done", "Compose is generated successfully"), f"compose {number}")


def check_trouble(service):
    """2.3: what is our fault is 500 in the same form, and the others are served"""
    number = ended(service, repo_spec(BASE, packages=["openssl"]))["id"]
    ended(service, repo_spec(BASE, packages=["nginx"]))
    service.stop()
    database = sqlite3.connect(service.state / "catalogue.sqlite")
    database.execute("UPDATE specs SET spec = 'spoilt' WHERE compose = ?", (number,))
    database.commit()
    database.close()
    service.start()
    answer = service.call("GET", f"/api/1/composes/{number}")
    same((answer.status, answer.headers["Content-Type"], answer.headers["Access-Control-Allow-Origin"]),
         (500, "application/json", None), "a damaged row")
    same((answer.json["error"], answer.json["status"], sorted(answer.json)),
         ("Internal Server Error", 500, ["error", "message", "status"]), "its body")
    check(str(number) in answer.json["message"], f"and its words: {answer.json['message']}")
    same(service.record(number + 1)["state_name"], "done", "the next one")
    ids = [item["id"] for item in service.call("GET", "/api/1/composes/?per_page=500").json["items"]]
    same((number in ids, number + 1 in ids), (False, True), "the list goes on without it")


def main():
    need_fuse()
    with Service(f"repo.allowed={UNIVERSE}") as service:
        for part in (check_first_second, check_late, check_directory, check_under_way, check_trouble):
            part(service)
    end()


main()
