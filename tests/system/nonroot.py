# SPDX-License-Identifier: MIT
"""tests/system/nonroot.py: the service as a user without any privileges, who mounts by fusermount3: others see the tree
(user_allow_other), ask for composes of what repo.allowed names and read them; without repo.allowed he alone may ask. He clears
the mount that a kill has left, and nothing is left behind.

It runs in a mount namespace of its own, in which /etc/fuse.conf is the test's.

promises = 12, 21
"""
import pathlib, subprocess, sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness
from authkit import *

SERVICE, READER, OTHER = "daemon", "bin", "sys" # users that each Debian and Fedora... has, and that nobody is logged in as


def enter():
    """the test once more, where /etc/fuse.conf can be another one without anybody else noticing"""
    with tempfile.NamedTemporaryFile("w", prefix="odcsfs-fuse-", suffix=".conf") as conf:
        conf.write("user_allow_other\n")
        conf.flush()
        os.chmod(conf.name, 0o644)
        command = 'mount --bind "$1" /etc/fuse.conf && shift && exec "$@"'
        sys.exit(subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-c", command, "sh", conf.name,
                                 sys.executable, __file__, "inside"], check=False).returncode)


def service_of(folder, program, *options):
    """a service that SERVICE runs, with a folder of his own"""
    place = pathlib.Path(tempfile.mkdtemp(dir=folder))
    for path in (place, place / "odcs", place / "export"):
        path.mkdir(exist_ok=True)
        shutil.chown(path, SERVICE, SERVICE)
    harness.ODCSFS = program
    return Service(*options, f"fs.export={place}/export", folder=place)


def mounted(service):
    return [line.split()[1] for line in pathlib.Path("/proc/self/mounts").read_text().splitlines()
            if str(service.dir) in line]


def ask(service, name, spec):
    """What becomes of a request: {state, words, errno of the refusal}"""
    request, number = service.mnt / "requests" / name, 0
    try:
        service.submit(name, spec)
        state = (request / "wait").read_text().strip()
    except OSError as error:
        state, number = "refused", error.errno
    return {"state": state, "error": (request / "error").read_text(), "errno": number,
            "id": (request / "id").read_text().strip()}


def packages(tree):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in (tree / "x86_64/os/Packages").rglob("*.rpm")}


def check_open(service):
    """repo.allowed names the repository: everybody may ask"""
    uid = {int(line.split()[1]) for line in pathlib.Path(f"/proc/{service.process.pid}/status").read_text().splitlines()
           if line.startswith("Uid:")}
    same(uid, {pwd.getpwnam(SERVICE).pw_uid}, "who runs it")
    same(len(mounted(service)), 2, "mounted, and the export")
    made = as_user(READER, lambda: ask(service, "mine", REPO))
    same((made["state"], made["error"]), ("done", ""), "a compose of another user")
    number = int(made["id"])
    want = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in BASE.rglob("*.rpm")}
    for place in (service.mnt / "composes", service.dir / "export"):
        got = as_user(OTHER, lambda: packages(place / str(number) / "compose/Temporary"))
        check(got and isinstance(got, dict) and got.items() <= want.items(), f"its packages as a third user, {place}: {got}")
    request = service.mnt / "requests/mine"
    same(os.stat(request).st_uid, pwd.getpwnam(READER).pw_uid, "whose request it is")
    same(as_user(OTHER, lambda: os.rmdir(request)), {"errno": errno.EPERM}, "another one's request")
    same(as_user(OTHER, lambda: os.mkdir(service.mnt / "x")), {"errno": errno.EACCES}, "the root")
    answer = as_user(OTHER, lambda: tcp(service, "POST", COMPOSES, REPO))
    same(answer[0], 200, "the same over HTTP")
    same(service.wait_rest(answer[1]["id"])["state_name"], "done", "and it is made")
    check("copy" in (text := (service.mnt / "version").read_text()) or "splice" in text, f"how files are read: {text}")
    same(as_user(READER, lambda: os.rmdir(request)), None, "his own request")


def check_kill(service):
    """the mount that a kill leaves is cleared by the next start, without root"""
    made = as_user(READER, lambda: ask(service, "kept", REPO))
    same(service.stop(signal.SIGKILL), -signal.SIGKILL, "killed")
    service.start()
    same(len(mounted(service)), 2, "mounted anew")
    same(as_user(READER, lambda: (service.mnt / "requests/kept/status").read_text()), "done\n", "what was made")
    check(as_user(OTHER, lambda: packages(service.tree(int(made["id"])))), "and its packages")


def check_closed(service):
    """nothing is named: the service has no rights but those of its user"""
    same(as_user(SERVICE, lambda: ask(service, "own", REPO))["state"], "done", "its own user may ask")
    for name in (READER, "root"):
        got = as_user(name, lambda: ask(service, f"of-{name}", REPO))
        check(got["state"] in ("refused", "failed") and got["error"], f"{name} may not, and is told why: {got}")
        print(f"   {name}: {got['error'].strip()}", flush=True)


def main():
    need_fuse()
    for command in ("fusermount3", "setpriv", "unshare"):
        if not shutil.which(command):
            skip(f"no {command}")
    if sys.argv[1:] != ["inside"]:
        enter()
    for name in (SERVICE, READER, OTHER):
        try:
            pwd.getpwnam(name)
        except KeyError:
            skip(f"no user {name}")
    with tempfile.TemporaryDirectory(prefix="odcsfs-nonroot-") as folder:
        os.chmod(folder, 0o755)
        program = pathlib.Path(folder, "odcsfs")
        program.write_text(f'#!/bin/sh\nexec setpriv --reuid {SERVICE} --regid {SERVICE} --clear-groups {ODCSFS} "$@"\n')
        program.chmod(0o755)
        with service_of(folder, program, f"repo.allowed={UNIVERSE}") as service:
            check_open(service)
            check_kill(service)
            same(service.stop(), 0, "stopped")
            same(mounted(service), [], "nothing stays mounted")
        with service_of(folder, program) as service:
            check_closed(service)
    end()


main()
