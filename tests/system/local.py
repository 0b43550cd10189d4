# SPDX-License-Identifier: MIT
"""tests/system/local.py: packages of this machine are read where they lie and never copied, whatever the read mode and the file
system: a repository on the disk, in memory (tmpfs) and on layers (overlayfs), and a local Koji topdir.

promises = 7, 10
"""
import mmap, urllib.parse

from harness import BASE, ODCSFS
from lazykit import *
from tagkit import recorded_hub, tag_spec

MODES = {"passthrough": "passthrough", "splice": "splice", "copy": "copy"} # fs.read_mode: what it says of itself
HANDED_OVER = {"disk": True, "tmpfs": True, "overlay": False} # does the kernel take the file, if it takes any?


@contextlib.contextmanager
def places():
    """{kind: a copy of BASE there}; what cannot be had here is said"""
    with contextlib.ExitStack() as stack:
        disk = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="odcsfs-local-")))
        os.chmod(disk, 0o755)
        found = {"disk": disk / "disk"}
        for kind in ("tmpfs", "overlay"):
            (disk / kind).mkdir()
        options = {"tmpfs": ["-o", "mode=0755"],
                   "overlay": ["-o", f"lowerdir={disk}/disk,upperdir={disk}/upper,workdir={disk}/work"]}
        shutil.copytree(BASE, disk / "disk")
        for layer in ("upper", "work"):
            (disk / layer).mkdir()
        for kind, words in options.items():
            mounted = run("mount", "-t", kind, *words, kind, disk / kind)
            if mounted.returncode:
                print(f"skipped: a repository on {kind}: {mounted.stderr.strip()}")
                continue
            stack.callback(run, "umount", "-l", disk / kind)
            found[kind] = disk / kind
        if "tmpfs" in found:
            shutil.copytree(BASE, found["tmpfs"], dirs_exist_ok=True)
        yield found


def mapped(path):
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as memory:
        return memory[:]


def check_read(service, number, text):
    """each package by mount, mapping, export and HTTP is the file that user.odcs.origin_url names; how many"""
    rpms = [p for p in (service.mnt / f"composes/{number}/compose/Temporary").rglob("*.rpm")]
    for path in rpms:
        origin = urllib.parse.unquote(os.getxattr(path, "user.odcs.origin_url").decode().removeprefix("file://"))
        want = pathlib.Path(origin).read_bytes()
        inner = path.relative_to(service.mnt / "composes")
        got = (path.read_bytes(), mapped(path), (service.out / inner).read_bytes(), service.call("GET", f"/composes/{inner}").body)
        same([g == want for g in got], [True] * 4, f"{text}: {path.name} by mount, mapping, export, HTTP")
        same(path.stat().st_blocks, (len(want) + 511) // 512, f"{text}: blocks of {path.name}")
    check(len(rpms) > 2, f"{text}: {len(rpms)} packages")
    return rpms


def check_nothing_kept(service, text):
    """packages/ is as empty as at first, and odcsfs cache says so"""
    same(list(cached(service)), [], f"{text}: packages/")
    told = dict(line.split() for line in run(ODCSFS, "cache", env={**os.environ, "ODCSFS_URL": service.url}).stdout.splitlines())
    same((told["bytes"], told["files"], told["fetched"]), ("0", "0", "0"), f"{text}: odcsfs cache says {told}")
    same(figures(service)["odcsfs_fetches_total"], 0, f"{text}: nothing was fetched")


def try_mode(mode, kinds, hub, topdir):
    service = Service(f"repo.allowed={' '.join(str(p) for p in kinds.values())}", f"fs.read_mode={mode}", f"koji.hub={hub.url}",
                      f"koji.topdir={topdir}", "koji.timeout=10")
    service.out = service.dir / "out"
    service.options.append(f"fs.export={service.out}")
    with service:
        version = (service.mnt / "version").read_text()
        says = re.search(r"^reads: (\w+) \(.+\)$", version, re.M)[1]
        check(says == MODES[mode] or (mode, says) == ("passthrough", "splice"), f"{mode}: version says {says}")
        for kind, folder in kinds.items():
            rpms = check_read(service, service.compose(f"{kind}", repo_spec(folder, packages=["apache2"])), f"{mode}, {kind}")
            with open(rpms[0], "rb") as file:
                file.read(1)
                same(figure(service, "odcsfs_fuse_backing_files"), float(says == "passthrough" and HANDED_OVER[kind]),
                     f"{mode}, {kind}: files that the kernel reads by itself")
        check_read(service, service.compose("tag", tag_spec("f26-candidate", sigkeys=["a4f1cd23", ""])), f"{mode}, topdir")
        check_nothing_kept(service, mode)
        again = re.search(r"^reads: (\w+) \(.+\)$", (service.mnt / "version").read_text(), re.M)[1]
        same(again, says, f"{mode}: what one file system refuses changes nothing for others")
        same(re.findall("fs: compose .*", service.log_text()), [], f"{mode}: no errors in the log")


def main():
    need_fuse()
    with recorded_hub() as (hub, topdir, _), places() as kinds:
        for mode in MODES:
            started = time.monotonic()
            try_mode(mode, kinds, hub, topdir)
            hub.clear()
            print(f"{mode}: {time.monotonic() - started:.1f} s", flush=True)
    end()


main()
