# SPDX-License-Identifier: MIT
"""tests/system/life.py: from acceptance to expiry: renewal, unmounting by hand, downtime, the alias names,
the seed's request, a second service on the same state.

promises = 12, 14, 25
"""
import json, os, pathlib, signal, sys, time, urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import *


def test_expiry(service):
    """gone within 1 s of its time, with a file open, the row stays"""
    number = service.compose("short", repo_spec(BASE, packages=["openssl"], seconds_to_live=3, flags=["no_reuse"]))
    repomd = service.tree(number) / "x86_64/os/repodata/repomd.xml"
    content = repomd.read_bytes()
    held = open(repomd, "rb")
    due = service.record(number)["time_to_expire"]
    due = time.mktime(time.strptime(due, "%Y-%m-%dT%H:%M:%SZ")) - time.timezone
    gone = wait_for(lambda: not os.path.exists(service.mnt / "composes" / str(number)) and time.time(), 20)
    check(gone and -0.01 <= gone - due <= 1.5, f"gone {gone - due if gone else '-'} s after its time")
    same(held.read(), content, "an open file of an expired compose")
    held.close()
    try:
        open(repomd, "rb").close()
        check(False, "a new open of an expired compose")
    except OSError as error:
        same(error.errno, 2, "a new open of an expired compose")
    record = service.record(number)
    same((record["state_name"], record["state_reason"].splitlines()[-1]),
         ("removed", "Compose is expired."), "record after expiry")
    same((service.mnt / "requests/short/status").read_text(), "removed\n", "status")
    same(service.call("GET", f"/composes/{number}/").status, 404, "HTTP after expiry")


def test_renewal(service):
    number = service.compose("renewed", repo_spec(BASE, packages=["openssl"], seconds_to_live=3, flags=["no_reuse"]))
    (service.mnt / "requests/renewed/ttl").write_text("60\n")
    left = int((service.mnt / "requests/renewed/ttl").read_text())
    check(55 <= left <= 60, f"ttl after renewal is {left}")
    time.sleep(4)
    check(service.tree(number).exists(), "renewed compose after its first time")
    os.utime(service.mnt / "requests/renewed/ttl")
    left = int((service.mnt / "requests/renewed/ttl").read_text())
    check(86300 < left <= 86400, f"ttl after touch is {left}")
    os.rmdir(service.mnt / "requests/renewed")
    check(wait_for(lambda: not service.tree(number).exists(), 5), "rmdir ends the compose")
    same(wait_for(lambda: service.record(number)["state_name"] == "removed", 5), True, "row after rmdir")


def test_names(service):
    number = service.compose("names", repo_spec(BASE, packages=["openssl"]))
    for name in (f"odcs-{number}", f"latest-root-{number}", f"latest-odcs-{number}-1"):
        repo = service.mnt / "composes" / name / f"compose/Temporary/odcs-{number}.repo"
        check(repo.exists(), f"{name} in the tree")
        answer = service.call("GET", f"/composes/{name}/compose/Temporary/odcs-{number}.repo")
        same((answer.status, answer.body), (200, repo.read_bytes()), f"{name} over HTTP")
    for name in (f"latest-nobody-{number}", "odcs-99999", f"odcs-{number}x", f"latest-odcs-{number}-2"):
        check(not os.path.lexists(service.mnt / "composes" / name), f"{name} is not there")
    result = os.readlink(service.mnt / "requests/names/result")
    same(result, f"../../composes/{number}/compose/Temporary", "result")
    # the .repo file is exact
    url = service.record(number)["result_repo"]
    want = []
    for suffix, path, on in (("", "$basearch/os", 1), ("-debuginfo", "$basearch/debug/tree", 0),
                             ("-source", "source/tree", 0)):
        want.append(f"[odcs-{number}{suffix}]\nname=ODCS repository for compose odcs-{number}{suffix}\n"
                    f"baseurl={url}/{path}\ntype=rpm-md\nskip_if_unavailable=False\ngpgcheck=0\n"
                    f"repo_gpgcheck=0\nenabled={on}\nenabled_metadata=1\n")
    same((service.tree(number) / f"odcs-{number}.repo").read_text(), "\n".join(want), ".repo file")
    same((service.mnt / f"composes/{number}/STATUS").read_text(), "FINISHED\n", "STATUS")
    same((service.mnt / f"composes/{number}/COMPOSE_ID").read_text().split("-")[:3],
         ["odcs", str(number), "1"], "COMPOSE_ID")


def test_seed(service):
    body = {"source": {"type": "repo", "source": str(BASE), "packages": ["openssl"]}}
    for path in ("/odcs/1/composes", "/odcs/1/composes/"):
        answer = service.call("POST", path, body)
        same(answer.status, 200, f"POST {path}")
        got = answer.json
        same({k: got[k] for k in ("owner", "result_repo", "source", "source_type", "state", "state_name",
                                  "time_done", "time_removed")},
             {"owner": "Unknown", "result_repo": None, "source": str(BASE), "source_type": 3, "state": 0,
              "state_name": "wait", "time_done": None, "time_removed": None}, "seed's members")
        check(isinstance(got["id"], int) and time.strptime(got["time_submitted"], "%Y-%m-%dT%H:%M:%SZ"),
              "id and time_submitted")
        same(service.wait_rest(got["id"])["state_name"], "done", "seed's compose")
        check((service.mnt / f"composes/latest-Unknown-{got['id']}/compose/Temporary/x86_64/os").is_dir(),
              "latest-Unknown-ID")
        seed = service.call("GET", f"/odcs/1/composes/{got['id']}").json
        check(seed["result_repo"].endswith("/compose/Temporary"), "result_repo when done")
    flat = service.call("POST", "/odcs/1/composes/", {"source_type": "repo", "source": str(BASE),
                                                      "packages": ["openssl"]})
    same(flat.status, 200, f"flat form: {flat.body}")
    current = service.call("POST", "/api/1/composes/", body).json
    same(current["owner"], "unknown", "owner under the current prefix")
    check(current["result_repo"].endswith(f"odcs-{current['id']}/compose/Temporary"), "result_repo at once")


def test_unmount(service):
    """unmounting by hand leaves API, workers and expiry alive; SIGHUP mounts again"""
    number = service.compose("stays", repo_spec(BASE, packages=["openssl"], seconds_to_live=4, flags=["no_reuse"]))
    same(run("umount", service.mnt).returncode, 0, "umount")
    check(wait_for(lambda: not os.path.ismount(service.mnt)), "unmounted")
    posted = service.call("POST", "/api/1/composes/", repo_spec(BASE, packages=["nginx"])).json
    same(service.wait_rest(posted["id"])["state_name"], "done", "a compose while unmounted")
    check(wait_for(lambda: service.record(number)["state_name"] == "removed", 10), "expiry while unmounted")
    service.process.send_signal(signal.SIGHUP)
    check(wait_for(lambda: os.path.ismount(service.mnt), 10), "mounted again at SIGHUP")
    check((service.tree(posted["id"]) / "x86_64/os/repodata/repomd.xml").exists(), "tree after SIGHUP")
    check(not (service.mnt / f"composes/{number}").exists(), "expired one after SIGHUP")


def test_downtime(service):
    """what ended while the service was down is gone at once; inode numbers stay the same"""
    short = service.compose("down", repo_spec(BASE, packages=["openssl"], seconds_to_live=2, flags=["no_reuse"]))
    long = service.compose("long", repo_spec(BASE, packages=["openssl"]))
    paths = ["requests/long", "requests/long/status", f"composes/{long}",
             f"composes/{long}/compose/Temporary/x86_64/os/repodata/repomd.xml"]
    inodes = [os.stat(service.mnt / p).st_ino for p in paths]
    same(service.stop(), 0, "stop")
    check(not os.path.ismount(service.mnt), "no mount after SIGTERM")
    time.sleep(3)
    service.start()
    check(wait_for(lambda: not (service.mnt / f"composes/{short}").exists(), 1.5), "caught up after downtime")
    same([os.stat(service.mnt / p).st_ino for p in paths], inodes, "inode numbers after a restart")
    second = run(ODCSFS, "serve", "-c", "/dev/null", "-o", f"odcsfs.state_dir={service.state}", "-o",
                 "http.listen=127.0.0.1:0", "-o", "odcsfs.mountpoint=")
    same(second.returncode, 1, "a second service on the state directory")
    check(f"process {service.process.pid}" in second.stderr, f"it names the first: {second.stderr}")
    check((service.mnt / "requests/long/status").read_text() == "done\n", "the first is not disturbed")


def test_configuration():
    """bad configuration: exit code 2, file, line and the nearest key"""
    import tempfile
    for text, want in (("[odcsfs]\nworkers=2\nstate_dirr=/x\n", [":3: ", "odcsfs.state_dir\""]),
                       ("[odcsf]\n", [":1: ", "[odcsfs]"]), ("[odcsfs]\n\n[limit]\n", [":3: ", "[limits]"]),
                       ("[odcsfs] workers=3\n", [":1: ", "nothing may follow"]),
                       ("[odcsfs]\nworkers=many\n", [":2: ", "whole number"]),
                       ("[http]\n\nlisten\n", [":3: "]), ("[http]\nlisten=localhost\n", [":2: http.listen: \"localhost\" is not"]),
                       ("[lifetime]\ndefault=10\nmaximum=5\n", [":2: ", "larger than"]),
                       ("[repo]\nallowed=relative\n", [":2: ", "absolute"]),
                       ("[repo]\nallowed=/srv/a..b /srv/x/../y\n", [":2: ", "repo.allowed: /srv/x/../y: ", ". or .."]),
                       ("[repo]\nallowed=http://u:secret@h/\n", [":2: ", "user or a password"]),
                       ("[repo]\nallowed=/srv http://h/a/../b\n", [":2: ", "in its path"]),
                       ("[repo]\ngpgcheck=both\n", [":2: repo.gpgcheck needs repo.gpg_keys"]),
                       ("[repo]\n\nmirrors = all\n", [":3: repo.mirrors must be listed or any"]),
                       ("[repo]\nnames=a=/srv/a\n", [":2: repo.names: a: /srv/a", "is no URL"]),
                       ("[repo]\nnames=a=http://h a=http://i\n", [":2: repo.names: a is given twice"])):
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
            file.write(text)
            file.flush()
            answer = run(ODCSFS, "serve", "-c", file.name)
            same(answer.returncode, 2, f"exit code for {text!r}")
            for word in want:
                check(word in answer.stderr, f"{word!r} in {answer.stderr!r}")
    answer = run(ODCSFS, "serve", "-o", "htp.listen=x")
    same(answer.returncode, 2, "unknown key of -o")
    check("http.listen" in answer.stderr, f"nearest key in {answer.stderr!r}")
    answer = run(ODCSFS, "serve", "-o", "repo.allowed=http://user:secret@host/")
    same(answer.returncode, 2, "a value that does not fit")
    check("-o repo.allowed" in answer.stderr and "secret" not in answer.stderr, f"key, not value, in {answer.stderr!r}")
    same(run("timeout", "20", ODCSFS, "cache", "--trim", "5Q").returncode, 2, "a size that is none")
    same(run(ODCSFS, "nonsense").returncode, 2, "unknown command")
    same(run(ODCSFS, "--version").stdout, f"odcsfs {run(ODCSFS, '--version').stdout.split()[1]}\n", "--version")
    check("serve" in run(ODCSFS, "--help").stdout, "--help")


def main():
    need_fuse()
    test_configuration()
    with Service(f"repo.allowed={UNIVERSE}") as service:
        for test in (test_names, test_seed, test_expiry, test_renewal, test_unmount, test_downtime):
            test(service)
            print("ok", test.__name__, flush=True)
    end()


main()
