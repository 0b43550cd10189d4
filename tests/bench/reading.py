# SPDX-License-Identifier: MIT
"""tests/bench/reading.py: bytes out of a compose, in each read mode and by fs.export, beside the same tree on disk.

Cold means a new mount, of which the kernel knows nothing; the files behind it are in memory, which is the worst case for
the ratio. Native runs stand between the others, so that both see the same machine."""
import contextlib, mmap, os, pathlib, shutil, socket, subprocess, time

from harness import Service, repo_spec, sized_repository, wait_for

BIG, SMALL, SMALL_COUNT = 1 << 30, 100 << 10, 5000
SERVED = {"2k": 2048, "100k": SMALL, "10m": 10 << 20}
SERVE_SECONDS = 1
MODES = ("passthrough", "splice", "copy")


def timed(function, *values):
    started = time.monotonic()
    function(*values)
    return time.monotonic() - started


def read_all(path):
    buffer = bytearray(128 << 10)
    with open(path, "rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


def touch_all(path):
    """each page through a mapping"""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as memory:
        memory[::mmap.PAGESIZE]


def open_all(paths):
    for path in paths:
        os.close(os.open(path, os.O_RDONLY))


def copy_all(folder, target):
    subprocess.run(["cp", "-r", str(folder), str(target)], check=True)


class Place:
    """a way to the same packages: the mount of a service, or nothing"""

    def __init__(self, name, folder, mode=None):
        self.name, self.export = name, folder / f"export-{name}" if name == "export" else None
        options = [f"fs.read_mode={mode or 'auto'}"] + ([f"fs.export={self.export}"] if self.export else [])
        self.service = Service("odcsfs.workers=1", f"repo.allowed={folder}", *options).start()
        self.number = self.service.compose("bench", repo_spec(folder / "packages", packages=[]))
        version = (self.service.mnt / "version").read_text()
        self.true = mode != "passthrough" or "reads: passthrough" in version

    @property
    def packages(self):
        top = self.export or self.service.mnt / "composes"
        return top / f"{self.number}/compose/Temporary/x86_64/os/Packages"

    def renew(self):
        """a mount that the kernel knows nothing of"""
        self.service.stop()
        self.service.start()


def bench_bytes(place, native, memory, runs, row):
    big, native_big = place.packages / "b/big.rpm", native / "b/big.rpm"
    rows = {}

    def note(name, ours, peer):
        mine, theirs = rows.setdefault(name, ([], []))
        mine.append(ours)
        theirs.append(peer)
    for _ in range(runs):
        for name, function in (("big", read_all), ("mmap", touch_all)):
            place.renew()
            function(native_big)
            peer = timed(function, native_big)
            note(f"{name}.cold", timed(function, big), peer)
            note(f"{name}.warm", timed(function, big), peer)
        place.renew()
        shutil.rmtree(memory / "theirs", ignore_errors=True)
        peer = timed(copy_all, native / "s", memory / "theirs")
        for name in ("copy.cold", "copy.warm"):
            shutil.rmtree(memory / "ours", ignore_errors=True)
            note(name, timed(copy_all, place.packages / "s", memory / "ours"), peer)
        place.renew()
        theirs = [str(path) for path in sorted((native / "s").iterdir())]
        ours = [str(place.packages / "s" / os.path.basename(path)) for path in theirs]
        open_all(theirs)
        peer = timed(open_all, theirs)
        for name in ("open.cold", "open.warm"):
            note(name, timed(open_all, ours), peer)
    for name, (ours, peer) in rows.items():
        row(f"read.{place.name}.{name}", ours, peer)


# ---- HTTP ------------------------------------------------------------------------

@contextlib.contextmanager
def nginx(folder, places):
    """a server of the folders {name: path}, as http://…/NAME/; its URL"""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    work = folder / "nginx"
    work.mkdir(exist_ok=True)
    where = "".join(f"location /{name}/ {{ alias {path}/; }}\n" for name, path in places.items())
    user = "user root;\n" if not os.geteuid() else ""
    temporary = "".join(f"{kind}_temp_path {work}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (work / "nginx.conf").write_text(
        f"{user}worker_processes 2;\npid {work}/pid;\nerror_log {work}/error.log;\nevents {{ }}\nhttp {{\n{temporary}"
        f"access_log off;\nsendfile on;\ntcp_nopush on;\nkeepalive_requests 1000000;\n"
        f"server {{ listen 127.0.0.1:{port};\n{where}}}\n}}\n")
    process = subprocess.Popen(["nginx", "-c", work / "nginx.conf", "-p", work, "-g", "daemon off;"], stderr=subprocess.DEVNULL)
    try:
        def listens():
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return True
        if not wait_for(listens, 10):
            raise RuntimeError(f"nginx does not start: {(work / 'error.log').read_text()}")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def bench_served(place, native, folder, runs, row, rate):
    """@place: by nginx; and by the service's own HTTP once, beside the tree as it is by default"""
    place.renew() # as it is after a start
    with nginx(folder, {"native": native, "ours": place.packages}) as url:
        for name in SERVED:
            native, ours = f"{url}/native/s/s{name}.rpm", f"{url}/ours/s/s{name}.rpm"
            own = f"{place.service.url}/composes/{place.number}/compose/Temporary/x86_64/os/Packages/s/s{name}.rpm"
            figures = {"native": [], "ours": [], "own": []}
            for _ in range(runs):
                figures["native"].append(rate(native))
                figures["ours"].append(rate(ours))
                if place.export:
                    figures["own"].append(rate(own))
            row(f"serve.{place.name}.{name}", figures["ours"], figures["native"], unit="1/s")
            if place.export:
                row(f"serve.own.{name}", figures["own"], figures["native"], unit="1/s")


def bench(folder, runs, row, wrk, wanted):
    source = folder / "packages"
    sized_repository(source, {"big": BIG, **{f"s{number:05}": SMALL for number in range(SMALL_COUNT)},
                              **{f"s{name}": size for name, size in SERVED.items()}})
    native = folder / "native/1/compose/Temporary/x86_64/os/Packages" # as deep as ours: each part of a path costs
    for path in source.glob("*.rpm"):
        (native / path.name[0]).mkdir(parents=True, exist_ok=True)
        os.link(path, native / path.name[0] / path.name)
    memory = pathlib.Path(f"/dev/shm/{folder.name}")
    memory.mkdir()
    try:
        for name in (*MODES, "export"):
            if not wanted(f"read.{name}") and not wanted(f"serve.{name}") and not (name == "export" and wanted("serve.own")):
                continue
            place = Place(name, folder, name if name in MODES else None)
            if not place.true:
                print(f"read.{name}: not on this kernel", flush=True)
            else:
                if wanted(f"read.{name}"):
                    bench_bytes(place, native, memory, runs, row)
                if wrk and shutil.which("nginx") and (wanted(f"serve.{name}") or (name == "export" and wanted("serve.own"))):
                    bench_served(place, native, folder, runs, row, lambda url: wrk(url, seconds=SERVE_SECONDS)[0])
            place.service.close()
    finally:
        shutil.rmtree(memory, ignore_errors=True)
