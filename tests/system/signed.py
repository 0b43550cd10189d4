# SPDX-License-Identifier: MIT
"""tests/system/signed.py: repo.gpgcheck holds for what was in the cache before: packages that nobody held against the keys of
now are judged before they are handed out, once, without being fetched again; also after kill -9 and with other keys.

promises = 7
"""
import signal

from harness import BASE
from lazykit import *
from originkit import Key, status

MARK = "user.odcs.signed"
KEEPS = ("good", "strange", "plain")


def make(place, alice, mallory):
    data, path = {}, pathlib.Path(place) / "x.rpm"
    rpms = sorted(BASE.rglob("*.rpm"), key=lambda p: p.stat().st_size)
    for name, key, rpm in (("good", alice, rpms[0]), ("strange", mallory, rpms[0]), ("plain", None, rpms[0]), ("later", alice, rpms[1])):
        shutil.copy(rpm, path)
        if key:
            key.sign_rpm(path)
        data[name] = path.read_bytes()
    return data


def marked(service, data):
    """of which packages the file says that it was judged; by which keys"""
    marks = {}
    for name, content in data.items():
        with contextlib.suppress(OSError):
            marks[name] = os.getxattr(service.state / "packages" / digest(content), MARK).decode()
    return marks


def judge(service, composes, data, good, bad):
    for compose in composes:
        for way in WAYS:
            for name in good:
                got = compose.read(name, way)[0]
                check(got == data[name], f"{name} of {compose.name} by {way}: {brief(got)}")
            for name in bad:
                same(brief(compose.read(name, way)[0]), 502 if way == "http" else errno.EIO, f"{name} of {compose.name} by {way}")
                words = compose.attribute(name, "error", "export" if way == "export" else "mount") if way != "http" else \
                    compose.get(name).json["message"]
                check("repo.gpg_keys does not have" in words or "is not signed" in words, f"{name} by {way}: {words!r}")


def again(service, options, number=signal.SIGTERM):
    """stop it so, and start it with these"""
    service.stop(number)
    if number == signal.SIGKILL:
        for top in (service.mnt, service.out):
            run("umount", "-l", top)
    service.options = options
    service.start()


def try_switched_on(origin, place, alice, mallory):
    data = make(place, alice, mallory)
    write_packages(origin.folder / "r", data)
    keys = pathlib.Path(place) / "keys.asc"
    keys.write_bytes(alice.public.read_bytes())
    with start(origin, PATIENT, export=True) as service:
        off = list(service.options)
        on = [*off, "repo.gpgcheck=packages", f"repo.gpg_keys={keys}"]
        before = Compose(service, f"{origin.url}/r")
        for way, name in zip(WAYS, KEEPS):
            check(before.read(name, way)[0] == data[name], f"{name}, while nobody asks for signatures")
        same((set(cached(service)), marked(service, data)), ({digest(data[n]) for n in KEEPS}, {}), "in the cache, unmarked")

        again(service, on)
        after = Compose(service, f"{origin.url}/r")
        judge(service, (before, after), data, ["good"], ["strange", "plain"])
        same(origin.count(".rpm"), 3, "none of that was fetched again")
        same(list(marked(service, data)), ["good"], "one was judged to be right")
        check(after.read("later")[0] == data["later"], "one that was fetched since")
        same(set(marked(service, data)), {"good", "later"}, "is marked as well")
        same(left_in_work(service), [], "nothing is left")

        # whatever becomes of the service: what was judged is not judged again, what was not is
        origin.steps = {".rpm": status(404)}
        again(service, on, signal.SIGKILL)
        judge(service, (before,), data, ["good"], ["strange", "plain"])
        same(figures(service)["odcsfs_fetches_total"], 0, "by the mark")
        os.removexattr(service.state / "packages" / digest(data["good"]), MARK) # as where files have no attributes
        check(before.read("good")[0] == data["good"], "remembered in memory")
        again(service, on)
        judge(service, (before,), data, ["good"], ["plain"])
        same(list(sorted(marked(service, data))), ["good", "later"], "judged anew, and marked")

        # other keys
        keys.write_bytes(mallory.public.read_bytes())
        again(service, on)
        judge(service, (before,), data, ["strange"], ["good", "later"])
        again(service, off)
        judge(service, (before,), data, [*KEEPS, "later"], [])
        same(origin.count(".rpm", 200), 4, "four were fetched, in all")


def try_keys_replaced(origin, place, alice, mallory):
    """files of keys that are others while the service runs: what is fetched then is held against those"""
    data = make(place, alice, mallory)
    write_packages(origin.folder / "k", data)
    keys = pathlib.Path(place) / "replaced.asc"
    keys.write_bytes(alice.public.read_bytes())
    with start(origin, PATIENT, "repo.gpgcheck=packages", f"repo.gpg_keys={keys}", export=True) as service:
        compose = Compose(service, f"{origin.url}/k")
        check(compose.read("good")[0] == data["good"], "by the first key")
        first = marked(service, data)["good"]
        keys.write_bytes(mallory.public.read_bytes() + alice.public.read_bytes())
        for pid in service.children():
            with contextlib.suppress(OSError):
                if b"--fetch" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes():
                    os.kill(pid, signal.SIGKILL) # the next one reads them
        time.sleep(0.3)
        check(compose.read("strange")[0] == data["strange"], "by the second")
        marks = marked(service, data)
        check(marks["strange"] != first and marks["good"] == first, f"marks: {marks}")
        check(compose.read("good")[0] == data["good"], "and the first again")
        same(marked(service, data)["good"], marks["strange"], "held against both now")


def main():
    need_fuse()
    if not (shutil.which("gpg") and shutil.which("rpmsign")):
        skip("gpg or rpmsign is not installed: no signatures")
    with tempfile.TemporaryDirectory(prefix="odcsfs-keys-") as place, Key(pathlib.Path(place), "alice") as alice, \
         Key(pathlib.Path(place), "mallory") as mallory:
        for test in (try_switched_on, try_keys_replaced):
            with origins() as (origin,):
                run_all([test], origin, place, alice, mallory)
    end()


main()
