# SPDX-License-Identifier: MIT
"""tests/system/metrics.py: the figures for Prometheus: every line by a grammar of our own, the whole by the parser of
PyPI's prometheus_client, and what they say against what was done."""
import atexit, collections, json, os, pathlib, re, shutil, socket, sys, tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import *
import pypi

NAME, LABEL = r"[a-zA-Z_:][a-zA-Z0-9_:]*", r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
VALUE = r"(?:[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?|NaN|[+-]Inf)"
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? ({VALUE})")
TYPES = {"counter", "gauge", "histogram"}
STATES = ("wait", "generating", "done", "removed", "failed")
SOURCES = ("tag", "module", "repo", "pulp", "raw_config", "build", "pungi_compose")
UPSTREAM = {"composes_total", "raw_config_composes_count_total", "raw_config_composes", "celery_workers_expected",
            "celery_workers_totals", "celery_workers", "celery_queue_length", "celery_queue_worker"}
READ = """
import sys, json
from prometheus_client.parser import text_string_to_metric_families
print(json.dumps([[f.name, f.type, [[s.name, sorted(s.labels.items()), s.value] for s in f.samples]]
                  for f in text_string_to_metric_families(sys.stdin.read())]))
"""


class Figures:
    """The text, judged line by line: HELP, then TYPE, then the samples of that family, once each."""

    def __init__(self, text):
        self.text, self.types, self.samples, family = text, {}, {}, None
        check(text.endswith("\n") and "\n\n" not in text, "lines, and none is empty")
        for line in text.splitlines():
            if match := re.fullmatch(rf"# HELP ({NAME}) (.+)", line):
                family = match[1]
                check(family not in self.types, f"{family} comes once")
            elif match := re.fullmatch(rf"# TYPE ({NAME}) (\w+)", line):
                check(match[1] == family and match[2] in TYPES, f"type behind its help: {line}")
                self.types[family] = match[2]
            elif check(match := SAMPLE.fullmatch(line), f"a sample: {line}"):
                self.sample(family, match)

    def sample(self, family, match):
        labels = tuple(sorted(re.findall(r'(\w+)="([^"]*)"', match[2] or "")))
        suffixes = ("_bucket", "_sum", "_count") if self.types.get(family) == "histogram" else ("",)
        check(match[1] in {family + suffix for suffix in suffixes}, f"{match[0]} belongs to {family}")
        check((match[1], labels) not in self.samples, f"{match[0]} comes once")
        self.samples[match[1], labels] = float(match[3])

    def __call__(self, name, **labels):
        return self.samples[name, tuple(sorted(labels.items()))]

    def sum(self, name):
        return sum(value for (other, _), value in self.samples.items() if other == name)


def figures(service):
    answer = service.call("GET", "/api/1/metrics/")
    same((answer.status, answer.headers["Content-Type"]), (200, "text/plain; version=0.0.4; charset=utf-8"), "answer")
    return Figures(answer.body.decode())


def check_families(now):
    same(UPSTREAM - set(now.types), set(), "upstream's names")
    for name, kind in now.types.items():
        check(name in UPSTREAM or name.startswith("odcsfs_"), f"{name}: ours begin with odcsfs_")
        if name not in UPSTREAM:
            check(name.endswith("_total") == (kind == "counter"), f"{name} is a {kind}")
    pairs = {labels for name, labels in now.samples if name == "composes_total"}
    same(pairs, {(("source_type", s), ("state", t)) for s in SOURCES for t in STATES}, "all 35 pairs")
    for name in ("raw_config_composes_count_total", "raw_config_composes"):
        same([s for s in now.samples if s[0] == name], [], f"samples of {name}")


def check_histograms(now):
    for name in (name for name, kind in now.types.items() if kind == "histogram"):
        for source in SOURCES:
            buckets = [(float(dict(labels)["le"].replace("+Inf", "inf")), value) for (other, labels), value in
                       now.samples.items() if other == name + "_bucket" and ("source_type", source) in labels]
            same(buckets, sorted(buckets), f"{name} of {source} grows")
            same((buckets[0][0], buckets[-2][0], len(buckets)), (0.01, 3600, 18), f"bounds of {name}")
            same(buckets[-1], (float("inf"), now(name + "_count", source_type=source)), f"count of {name}")


def check_composes(service, now, made):
    for (source, state), count in made.items():
        same(now("composes_total", source_type=source, state=state), count, f"{source} composes that are {state}")
    done = made["repo", "done"]
    for name in ("odcsfs_compose_seconds", "odcsfs_compose_generating_seconds"):
        same(now(name + "_count", source_type="repo"), done, f"{name}: composes")
        check(0 < now(name + "_sum", source_type="repo") < 60 * done, f"{name}: {now(name + '_sum', source_type='repo')} s")
    check(now("odcsfs_compose_generating_seconds_sum", source_type="repo") <=
          now("odcsfs_compose_seconds_sum", source_type="repo"), "generating is a part of it")
    same(now("odcsfs_composes_reused_total"),
         sum("/odcs-%d/" % number not in service.record(number)["result_repo"] for number in range(1, done + 1)),
         "composes that show another one's tree")


def check_workers(service, now):
    same([now(name) for name in ("celery_workers_expected", "celery_workers_totals", "odcsfs_workers")], [2, 2, 2], "workers")
    same([now("celery_workers", worker_name=f"worker-{i}") for i in range(2)], [1, 1], "each of them")
    same((now("celery_queue_length", queue_name="composes"), now("celery_queue_worker", queue_name="composes")), (0, 2), "queue")
    same((now("odcsfs_queue_length"), now("odcsfs_workers_busy")), (0, 0), "nothing to do")
    deaths = now("odcsfs_worker_deaths_total")
    os.kill(service.workers()[0], 9)
    check(wait_for(lambda: figures(service)("odcsfs_worker_deaths_total") == deaths + 1, 10), "a death is counted")
    check(wait_for(lambda: figures(service)("celery_workers_totals") == 2, 10), "and it is replaced")


def check_rest(service):
    before = figures(service)
    for path, _ in (("/api/1/about/", 2), ("/api/1/composes/999999", 4), ("/composes", 3)):
        service.call("GET", path)
    now = figures(service)
    grown = {code: now("odcsfs_http_requests_total", code=code) - before("odcsfs_http_requests_total", code=code)
             for code in ("2xx", "3xx", "4xx", "5xx")}
    same(grown, {"2xx": 2, "3xx": 1, "4xx": 1, "5xx": 0}, "requests by status")
    check(now("odcsfs_http_connections_total") - before("odcsfs_http_connections_total") == 4, "connections")
    host, port = service.host.split(":")
    with socket.create_connection((host, int(port))) as link:
        link.sendall(b"GET /api/1/events HTTP/1.1\r\nHost: x\r\n\r\n")
        link.recv(4096)
        def connected():
            now = figures(service)
            return now("odcsfs_http_waiting"), now("odcsfs_http_connections")
        wait_for(lambda: connected() == (1, 2), 10) # who asked before may still be on his way out
        same(connected(), (1, 2), "a follower, and who asks")


def check_disk(service, now):
    room = os.statvfs(service.state)
    check(abs(now("odcsfs_state_free_bytes") - room.f_bavail * room.f_frsize) < 1 << 30, "room on the disk")
    size = sum((service.state / name).stat().st_size for name in ("catalogue.sqlite", "catalogue.sqlite-wal"))
    check(0 < now("odcsfs_catalogue_bytes") <= size, "size of the catalogue")
    same((now("odcsfs_cache_bytes"), now("odcsfs_cache_files"), now("odcsfs_cache_limit_bytes"), now("odcsfs_state_full")),
         (0, 0, 20 << 30, 0), "cache, disk")
    started = now("odcsfs_start_time_seconds")
    check(time.time() - 600 < started <= time.time() + 1, f"start of the process: {started}")
    same(now.sum("odcsfs_info"), 1, "the version")


def check_mount(service):
    before = figures(service)
    for _ in range(3):
        (service.mnt / "composes/1/COMPOSE_ID").read_bytes()
    path = next((service.mnt / "composes/1/compose").rglob("*.rpm"))
    size = len(path.read_bytes())
    now = figures(service)
    count = lambda op: now("odcsfs_fuse_requests_total", op=op) - before("odcsfs_fuse_requests_total", op=op)
    check(count("open") >= 4 and count("lookup") > 0, f"opens {count('open')}, lookups {count('lookup')}")
    if not now("odcsfs_fuse_passthrough"):
        check(now("odcsfs_fuse_read_bytes_total") - before("odcsfs_fuse_read_bytes_total") >= size, "bytes read")
    same(now("odcsfs_mounted"), 1, "mounted")
    same((service.mnt / "metrics").read_text().splitlines()[0], now.text.splitlines()[0], "the same in the tree")
    Figures((service.mnt / "metrics").read_text())


def check_failures(service, folder):
    """A package whose source has gone is a failure of a read or an open."""
    repository = folder / "gone"
    shutil.copytree(BASE, repository)
    number = service.call("POST", "/api/1/composes/", repo_spec(repository, packages=["apache2"], flags=["no_deps"])).json["id"]
    service.wait_rest(number)
    path = next((service.tree(number) / "x86_64/os").rglob("apache2*.rpm"))
    before = figures(service)
    for package in repository.rglob("*.rpm"):
        package.unlink()
    try:
        path.read_bytes()
        check(False, "a package without its source can be read")
    except OSError:
        pass
    now = figures(service)
    check(now.sum("odcsfs_fuse_failures_total") > before.sum("odcsfs_fuse_failures_total"), "the failure is counted")


def check_parser(now):
    venv, reason = pypi.environment("prometheus-0.26", "prometheus_client>=0.20,<1", "import prometheus_client.parser")
    if not venv:
        print(f"   skipped: the parser of prometheus_client: {reason}")
        return
    read = run(venv / "bin/python", "-c", READ, input=now.text)
    if not same(read.returncode, 0, f"prometheus_client reads it: {read.stderr[-1000:]}"):
        return
    families = json.loads(read.stdout)
    same({(name + "_total" if kind == "counter" else name): kind for name, kind, _ in families}, now.types, "its families")
    samples = {(name, tuple(map(tuple, labels))): value for _, _, list_ in families for name, labels, value in list_}
    same(samples, now.samples, "its samples")


def main():
    mount = os.geteuid() == 0 and os.path.exists("/dev/fuse")
    if not mount:
        print("   without a mount: not root, or no /dev/fuse")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="odcsfs-metrics-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with Service(f"repo.allowed={UNIVERSE} {folder}", mount=mount) as service:
        made = collections.Counter()
        for spec, source, state in ((repo_spec(BASE, packages=["apache2"]), "repo", "done"),
                                    (repo_spec(BASE, packages=["apache2"]), "repo", "done"),
                                    (repo_spec(UPDATES), "repo", "done"),
                                    (repo_spec(BASE, packages=["no-such"]), "repo", "failed")):
            number = service.call("POST", "/api/1/composes/", spec).json["id"]
            same(service.wait_rest(number)["state_name"], state, f"compose {number}")
            made[source, state] += 1
        now = wait_for(lambda: (f := figures(service))("odcsfs_workers_busy") == 0 and f)
        check_families(now)
        check_histograms(now)
        check_composes(service, now, made)
        check_disk(service, now)
        check_parser(now)
        check_workers(service, now)
        check_rest(service)
        if mount:
            check_mount(service)
            check_failures(service, folder)
    end()


main()
