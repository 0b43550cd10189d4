# SPDX-License-Identifier: MIT
"""tests/system/lazykit.py: composes whose packages lie on servers, and the ways to read them."""
import concurrent.futures, contextlib, errno, hashlib, os, pathlib, random, re, shutil, sys, tempfile, time

from harness import Service, check, end, need_fuse, repo_spec, run, same, skip, wait_for
from originkit import Origin, primary, write_repository

TIMEOUT = 3 # cache.read_timeout of those who are to be told; who is to get bytes has time
PATIENT = "cache.read_timeout=60"
WAYS = ("mount", "http", "export")
names = iter(range(1, 10000))


def write_packages(place, data, revision=1700000000):
    """a repository of packages {name: bytes}"""
    (place / "p").mkdir(parents=True)
    for name, content in data.items():
        (place / "p" / f"{name}.rpm").write_bytes(content)
    xml = primary(*[(name, "sha256", hashlib.sha256(d).hexdigest(), f"p/{name}.rpm") for name, d in data.items()])
    each = iter(data.values())
    xml = re.sub(b'package="5000"', lambda _: b'package="%d"' % len(next(each)), xml)
    write_repository(place, {"primary": xml}, revision)


def repository(origin, folder, sizes):
    """packages {name: bytes of random}; {name: bytes}"""
    data = {name: os.urandom(size) for name, size in sizes.items()}
    write_packages(origin.folder / folder, data)
    return data


def digest(data):
    return hashlib.sha256(data).hexdigest()


class Compose:
    def __init__(self, service, *urls, **more):
        self.service = service
        self.name = f"c{next(names)}"
        self.number = service.compose(self.name, repo_spec(*urls, **{"flags": ["no_reuse"], **more}))
        self.inner = f"{self.number}/compose/Temporary/x86_64/os/Packages"
        self.folder = service.mnt / "composes" / self.inner
        self.web = f"/composes/{self.inner}"

    def path(self, name, way="mount"):
        return (self.folder if way == "mount" else self.service.out / self.inner) / name[0] / f"{name}.rpm"

    def read(self, name, way="mount"):
        """bytes or errno (of HTTP: status), and seconds"""
        started = time.monotonic()
        if way == "http":
            answer = self.get(name)
            got = answer.body if answer.status == 200 else answer.status
        else:
            try:
                got = self.path(name, way).read_bytes()
            except OSError as error:
                got = error.errno
        return got, time.monotonic() - started

    def get(self, name, method="GET", **headers):
        return self.service.call(method, f"{self.web}/{name[0]}/{name}.rpm",
                                 headers={k.replace("_", "-"): v for k, v in headers.items()})

    def attribute(self, name, which, way="mount"):
        return os.getxattr(self.path(name, way), f"user.odcs.{which}").decode()

    def log(self):
        return (self.service.state / "logs" / str(self.number)).read_text()


def brief(got):
    """of what was read: the number, or how much"""
    return got if isinstance(got, int) else f"{len(got)} bytes"


def figures(service):
    lines = service.call("GET", "/api/1/metrics/").body.decode().splitlines()
    return {line.split()[0]: float(line.split()[1]) for line in lines if line.startswith(("odcsfs_cache", "odcsfs_fetch"))}


def figure(service, name, **labels):
    inner = ",".join(f'{key}="{value}"' for key, value in labels.items())
    name = re.escape(f"{name}{{{inner}}}" if inner else name)
    return float(re.search(rf"^{name} (\S+)", service.call("GET", "/api/1/metrics/").body.decode(), re.M)[1])


def cached(service):
    sizes = {}
    for path in (service.state / "packages").iterdir():
        with contextlib.suppress(FileNotFoundError): # on its way to its name
            sizes[path.name] = path.stat().st_size
    return sizes


def descriptors(service):
    """open files of the service, without what comes and goes for good reasons: connections, workers, the catalogue's"""
    count = 0
    for entry in pathlib.Path(f"/proc/{service.server_pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            target = os.readlink(entry)
            count += target.startswith(str(service.state)) and "/work/" not in target and "/catalogue" not in target
    return count


def left_in_work(service):
    """files of workers that fetch; what others leave is removed before their next job"""
    return sorted(str(p.relative_to(service.state)) for p in (service.state / "work").glob("fetch*/**/*") if p.is_file())


def start(origins_, *options, export=False, **more):
    """a service that may ask these (one, or a list); @export: with the second mount at .out. A server that says nothing is
    given up late: those that are told to say nothing are for services that say when"""
    urls = " ".join(o.url for o in (origins_ if isinstance(origins_, list) else [origins_]))
    service = Service(f"repo.allowed={urls}", "repo.timeout=20", "repo.recheck_seconds=0", *options, **more)
    if export:
        service.out = service.dir / "out"
        service.options.append(f"fs.export={service.out}")
    return service


def run_all(tests, *arguments):
    """those that the command line names, or all; how long each took"""
    for test in tests:
        if sys.argv[1:] and test.__name__ not in sys.argv[1:]:
            continue
        started = time.monotonic()
        for origin in arguments:
            if isinstance(origin, Origin):
                origin.forget()
        test(*arguments)
        print(f"{test.__name__}: {time.monotonic() - started:.1f} s", flush=True)


@contextlib.contextmanager
def origins(count=1):
    """that many servers, each with a folder of its own"""
    with contextlib.ExitStack() as stack:
        made = []
        for _ in range(count):
            folder = tempfile.mkdtemp(prefix="odcsfs-origin-")
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            made.append(stack.enter_context(Origin(folder)))
        yield made
