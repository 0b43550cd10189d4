# SPDX-License-Identifier: MIT
"""tests/system/casekit.py: what the hostile cases of cases.py share.

A case is a function with the number of a promise (docs/contract/reliability.md) and a sentence: what is done
and what was promised. It raises Broken, or returns. Services that a case does not hurt are started once, by
the set of their options, and looked at after each case: one that died or is deaf breaks it.
"""
import contextlib, errno, gzip, hashlib, json, os, pathlib, re, signal, socket, subprocess, tempfile
import threading, time
from xml.sax.saxutils import escape, quoteattr

import harness
from harness import ODCSFS, META, Service, repo_spec, wait_for
from originkit import Origin
from treekit import Fault, in_child

CASES = []
ROOM = pathlib.Path(tempfile.mkdtemp(prefix="odcsfs-cases-"))
os.chmod(ROOM, 0o755)
SERVICES = {}
serial = 0


class Broken(Exception):
    """the promise was not kept"""


class Absent(Exception):
    """the case cannot be done here; why not"""


class Slow(BaseException):
    """the case took longer than any case may"""


def case(promise, words, is_long=False):
    """@is_long: takes seconds; scripts/soak alone runs it"""
    def register(function):
        CASES.append((promise, function.__name__, words, function, is_long))
        return function
    return register


def want(condition, words):
    if not condition:
        raise Broken(words)
    return condition


def equal(got, wanted, words):
    want(got == wanted, f"{words}: got {short(got)}, want {short(wanted)}")


def short(value):
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) < 300 else text[:260] + f"… ({len(text)})"


def among(got, wanted, words):
    want(got in wanted, f"{words}: got {short(got)}, want one of {short(wanted)}")


def fails(function, *names):
    """function() fails with one of these error numbers; which"""
    try:
        value = function()
    except OSError as error:
        name = errno.errorcode.get(error.errno, str(error.errno))
        if name == "ENOTSUP":
            name = "EOPNOTSUPP"
        among(name, names, "error")
        return name
    raise Broken(f"it went well ({short(value)}), want {'/'.join(names)}")


def sanitized():
    return b"__asan_init" in pathlib.Path(ODCSFS).read_bytes()


def patience(seconds):
    """@seconds of a promise, on a machine that may be busy and a build that may be slow"""
    load = os.getloadavg()[0] / (os.cpu_count() or 1)
    return seconds * (1 + min(load / 2, 4)) * (2 if sanitized() else 1)


@contextlib.contextmanager
def within(seconds, words):
    began = time.monotonic()
    yield
    took = time.monotonic() - began
    want(took <= patience(seconds), f"{words} took {took:.1f} s, want at most {seconds} s")


def fresh(prefix="c"):
    """a name that nothing had yet"""
    global serial
    serial += 1
    return f"{prefix}{serial}"


# ---- services -----------------------------------------------------------------

def shared(kind, *options, **more):
    """the service of that kind, started if need be"""
    service = SERVICES.get(kind)
    if not service or service.process is None or service.process.poll() is not None:
        service = SERVICES[kind] = Service(*options, **more).start()
    return service


def plain():
    """everybody reads what he may read himself; no accounts"""
    return shared("plain", "lifetime.maximum=100000")


_origin = None


def origin():
    global _origin
    if not _origin:
        (ROOM / "origin").mkdir()
        _origin = Origin(ROOM / "origin")
    return _origin


def remote():
    """fetches from origin() alone, with short times"""
    return shared("remote", f"repo.allowed={origin().url}/ {ROOM}/allowed", "cache.read_timeout=2", "repo.timeout=3",
                  "repo.recheck_seconds=0", "cache.fetchers=4")


def own(*options, **more):
    return Service(*options, **more)


def alive(service):
    """it answers both ways"""
    want(service.process.poll() is None, f"the service died: {service.process.returncode} {service.log_text()[-1500:]}")
    try:
        answer = ask(service, "GET", "/api/1/about/", timeout=30)
    except OSError as error:
        raise Broken(f"the service does not answer HTTP: {error}") from error
    equal(answer.status, 200, "about")
    if service.mounts:
        text = subprocess.run(["timeout", "30", "cat", service.mnt / "version"], capture_output=True, check=False)
        want(text.returncode == 0 and text.stdout, "the mount does not answer")


def look_after():
    for kind, service in list(SERVICES.items()):
        try:
            alive(service)
        except Broken:
            if service.process.poll() is None:
                service.process.kill()
            service.process.wait()
            service.process = None
            report = harness.REPORT.search(service.log_text())
            words = service.log_text()[report.start():][:600] if report else ""
            del SERVICES[kind]
            subprocess.run(["umount", "-l", service.mnt], stderr=subprocess.DEVNULL, check=False)
            if words:
                raise Broken(f"the service died: {words}") from None
            raise


def close_all():
    for service in SERVICES.values():
        service.close()
    if _origin:
        _origin.close()
    subprocess.run(["rm", "-rf", ROOM], check=False)


def ask(service, method, path, body=None, headers=None, timeout=60):
    import http.client
    connection = http.client.HTTPConnection(service.host, timeout=timeout)
    try:
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return harness.Answer(answer.status, answer.headers, answer.read())
    except http.client.HTTPException as error:
        raise OSError(errno.EPROTO, repr(error)) from error
    finally:
        connection.close()


def post(service, spec, **headers):
    return ask(service, "POST", "/api/1/composes/", spec if isinstance(spec, (str, bytes)) else json.dumps(spec),
               {k.replace("_", "-"): v for k, v in headers.items()})


def raw(service, data, timeout=3.0, close=False):
    """bytes sent as they are; all that comes until the server closes or is silent for so long"""
    host, port = service.host.rsplit(":", 1)
    got = b""
    with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout) as connection:
        connection.sendall(data)
        if close:
            connection.shutdown(socket.SHUT_WR)
        while piece := connection.recv(65536):
            got += piece
    return got


def statuses(data):
    return [int(n) for n in re.findall(rb"HTTP/1\.[01] (\d{3})", data)]


def launch(*options, state, mount="", before=(), seconds=30, environment=None):
    """a second service, or one that is not to start: (process, its first line or b"", what it wrote on stderr)"""
    log = ROOM / fresh("launch")
    with open(log, "wb") as stderr:
        process = subprocess.Popen(
            [*before, ODCSFS, "serve", "-c", "/dev/null", "-o", f"odcsfs.state_dir={state}", "-o", "http.listen=127.0.0.1:0",
             *[word for option in options for word in ("-o", option)], *([mount] if mount else ["-o", "odcsfs.mountpoint="])],
            stdout=subprocess.PIPE, stderr=stderr, env={**os.environ, **(environment or {})})
    timer = threading.Timer(patience(seconds), process.kill)
    timer.start()
    line = process.stdout.readline()
    timer.cancel()
    if not line:
        process.wait()
    text = log.read_text(errors="replace")
    want(not harness.REPORT.search(text), f"sanitizer report: {text[:1500]}")
    return process, line, text


def end(process, number=signal.SIGTERM):
    process.send_signal(number)
    try:
        return process.wait(patience(10))
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return "hung"
    finally:
        process.stdout.close()


def refuses(*options, state, mount="", words=(), codes=(1, 2), **more):
    """such a service does not start, and says these words"""
    process, line, text = launch(*options, state=state, mount=mount, **more)
    if line:
        end(process)
        raise Broken(f"it started: {line!r} with {options} on {state}")
    process.stdout.close()
    among(process.returncode, codes, f"exit code of {short(options)}; it says {short(text)}")
    for word in words:
        want(str(word) in text, f"{short(options)}: {word!r} is not in {short(text)}")
    return text


def stopped(pids):
    """those processes stand still"""
    @contextlib.contextmanager
    def standing():
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
    return standing()


# ---- requests ---------------------------------------------------------------------

def final(request, seconds=40):
    """the state that a request directory ends with"""
    return wait_for(lambda: (word := (request / "status").read_text().strip()) in ("done", "failed", "removed") and word,
                    patience(seconds))


def settled(service, number, seconds=40):
    record = wait_for(lambda: (r := ask(service, "GET", f"/api/1/composes/{number}").json).get("state_name") not in
                      (None, "wait", "generating") and r, patience(seconds))
    want(record, f"compose {number} is not final after {patience(seconds):.0f} s")
    return record


def made(service, spec, state="done", name=None):
    """(request directory, id) of a request of root that ends in that state"""
    request = service.submit(name or fresh(), spec)
    word = final(request)
    equal(word, state, f"state of {short(spec)}; error {short((request / 'error').read_text())}")
    return request, int((request / "id").read_text())


def refused(service, spec):
    """(errno, words of error) of a spec that the tree does not take"""
    request = service.mnt / "requests" / fresh()
    request.mkdir()
    try:
        name = fails(lambda: service.write_spec(request, spec), "EINVAL", "EACCES", "EFBIG", "EDQUOT", "EPERM", "ENOSPC")
        words = (request / "error").read_text()
        equal((request / "status").read_text(), "draft\n", "status of what was refused")
        return name, words
    finally:
        os.rmdir(request)


def as_nobody(function):
    try:
        return in_child("nobody", function)
    except Fault as fault:
        raise OSError(fault.number, os.strerror(fault.number)) from None


def tree_files(service, number):
    """{path: bytes} of all files of a compose's repositories"""
    top = service.tree(number)
    return {str(p.relative_to(top)): p.read_bytes() for p in sorted(top.rglob("*")) if p.is_file()}


def whole(service, number):
    """every file that repodata names is there with its bytes"""
    os_tree = service.tree(number) / "x86_64/os"
    repomd = (os_tree / "repodata/repomd.xml").read_text()
    named = re.findall(r'<checksum type="sha256">([0-9a-f]+)</checksum>.*?<location href="([^"]+)"', repomd, re.S)
    want(named, f"compose {number}: repomd.xml names nothing")
    for digest, href in named:
        equal(hashlib.sha256((os_tree / href).read_bytes()).hexdigest(), digest, f"compose {number}: {href}")
    primary = next(href for _, href in named if "primary" in href)
    found = re.findall(r'<package type="rpm">.*?<location href="([^"]+)"', gzip.decompress((os_tree / primary).read_bytes())
                       .decode(), re.S)
    for href in found:
        want((os_tree / href.replace("&amp;", "&")).stat().st_size >= 0, href)
    return found


# ---- repositories -----------------------------------------------------------------

def element(name, data=b"package", href=None, arch="x86_64", base="", size=None, digest=None, more="", requires=()):
    """a <package>; @name and @href may be anything that XML can hold"""
    needs = "".join(f"<rpm:entry name={quoteattr(r)}/>" for r in requires)
    return (f'<package type="rpm"><name>{escape(name)}</name><arch>{escape(arch)}</arch><version epoch="0" ver="1" rel="1"/>'
            f'<checksum type="sha256" pkgid="YES">{digest or hashlib.sha256(data).hexdigest()}</checksum><summary>s</summary>'
            f'<description>d</description><packager/><url/><time file="1700000000" build="1700000000"/>'
            f'<size package="{len(data) if size is None else size}" installed="1" archive="1"/><location {base}'
            f' href={quoteattr(f"{name}-1-1.{arch}.rpm" if href is None else href)}/>{more}<format><rpm:license>MIT</rpm:license>'
            f'<rpm:provides><rpm:entry name={quoteattr(name)} flags="EQ" epoch="0" ver="1" rel="1"/></rpm:provides>'
            f'<rpm:requires>{needs}</rpm:requires></format></package>')


def primary_of(*elements, head='<?xml version="1.0" encoding="UTF-8"?>', count=None):
    return (f'{head}<metadata xmlns="{META}common" xmlns:rpm="{META}rpm" packages="{len(elements) if count is None else count}">'
            f'{"".join(elements)}</metadata>').encode()


def repomd_of(*records, head="", revision="1700000000"):
    return f'<?xml version="1.0" encoding="UTF-8"?>{head}<repomd xmlns="{META}repo"><revision>{revision}</revision>{"".join(records)}</repomd>'


def record_of(packed, href="repodata/primary.xml.gz", kind="primary", size=None, opened=None, open_size=None):
    open_words = "" if opened is None else (
        f'<open-checksum type="sha256">{hashlib.sha256(opened).hexdigest()}</open-checksum>'
        f'<open-size>{len(opened) if open_size is None else open_size}</open-size>')
    return (f'<data type="{kind}"><checksum type="sha256">{hashlib.sha256(packed).hexdigest()}</checksum>{open_words}'
            f'<location href={quoteattr(href)}/><timestamp>1700000000</timestamp>'
            f'<size>{len(packed) if size is None else size}</size></data>')


def metadata(folder, primary, repomd=None):
    """repodata/ of that XML"""
    folder = pathlib.Path(folder)
    (folder / "repodata").mkdir(parents=True, exist_ok=True)
    packed = gzip.compress(primary, mtime=0)
    (folder / "repodata/primary.xml.gz").write_bytes(packed)
    (folder / "repodata/repomd.xml").write_text(repomd or repomd_of(record_of(packed)))
    return folder


def repository(packages, folder=None):
    """a repository of {name: bytes}, readable by everybody"""
    folder = pathlib.Path(folder or ROOM / fresh("repo"))
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in packages.items():
        (folder / f"{name}-1-1.x86_64.rpm").write_bytes(data)
    return metadata(folder, primary_of(*[element(name, data) for name, data in packages.items()]))


def package_path(service, number, name):
    return service.tree(number) / f"x86_64/os/Packages/{name[0].lower()}/{name}-1-1.x86_64.rpm"


def package_url(number, name):
    return f"/composes/odcs-{number}/compose/Temporary/x86_64/os/Packages/{name[0].lower()}/{name}-1-1.x86_64.rpm"


def words_of(path):
    """user.odcs.error of a package"""
    with contextlib.suppress(OSError):
        return os.getxattr(path, "user.odcs.error").decode()
    return ""


def fetch(path, seconds=30):
    """what cat(1) says of a path: (bytes, error words); it may hang, so it has its time"""
    try:
        done = subprocess.run(["cat", path], capture_output=True, timeout=patience(seconds), check=False)
    except subprocess.TimeoutExpired as late:
        raise Broken(f"reading {path} takes more than {seconds} s") from late
    return done.stdout, done.stderr.decode(errors="replace") if done.returncode else ""
