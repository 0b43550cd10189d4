# SPDX-License-Identifier: MIT
"""tests/system/lazy_faults.py: servers that are slow, break off or lie, read by mount, HTTP and export: the right bytes or the
right errno in time, nothing wrong is ever kept, nothing is leaked, and readers of other servers do not notice.

promises = 7, 8
"""
import signal, socket

from lazykit import *
from originkit import (Gate, chunked, cut, half, lies, longer, no_ranges, other_range, raw, redirect, short, silent, slow, stall,
                       status, text)

SIZE = 20_000
RIGHT = {"reset": [cut(7_000)], "twice": [cut(10), cut(5_000)], "whole": [cut(10_000), no_ranges],
         "part": [cut(10_000), other_range], "busy": [status(503)], "many": [status(429), status(503)],
         "drip": slow(0.8), "tail": short, "chunks": chunked()}
WRONG = {"lies": lies, "longer": longer, "half": half, "empty": text(b""), "html": text(b"<html>log in</html>"),
         "chunks": chunked(b"x"), "gone": status(404), "denied": status(403), "down": status(500),
         "loop": lambda o, r: o.send(r, 302, b"", [("Location", r.path)]), "file": redirect("file:///etc/passwd"),
         "away": redirect("http://127.0.0.1:1/x"), "scheme": redirect("gopher://127.0.0.1/x"),
         "noise": raw(b"\0\xff" * 500), "headers": raw(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200_000)}
SILENT = {"stall": stall(12), "silent": silent(12)} # each from a server of its own
EIO = {"mount": {errno.EIO}, "export": {errno.EIO}, "http": {502}}
LATE = {"mount": {errno.EIO, errno.ETIMEDOUT}, "export": {errno.EIO, errno.ETIMEDOUT}, "http": {502, 504}}


def faulty(origin, cases, size=SIZE):
    """a package of each case for each way; {name: bytes}"""
    data = repository(origin, "r", {f"{case}-{way}": size for case in cases for way in WAYS})
    origin.steps = {f"/{case}-{way}.rpm": list(step) if isinstance(step, list) else step
                    for case, step in cases.items() for way in WAYS}
    return data


def way_of(name):
    return name.rpartition("-")[2]


def try_all(service, right, wrong, silents, beside):
    good = repository(beside, "r", {f"g{i}": SIZE for i in range(9)})
    kept = faulty(right, RIGHT)
    bad, mute = faulty(wrong, WRONG), {}
    composes = [Compose(service, f"{o.url}/r") for o in (right, wrong, beside)]
    for origin, (case, step) in zip(silents, SILENT.items()):
        mute[case] = (faulty(origin, {case: step}, 4_000), Compose(service, f"{origin.url}/r"))
    before = descriptors(service)
    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        def go(compose, all_):
            return {name: pool.submit(compose.read, name, way_of(name)) for name in all_}
        silent_reads = {case: go(compose, data) for case, (data, compose) in mute.items()}
        reads, wrong_reads = go(composes[0], kept), go(composes[1], bad)
        for i, name in enumerate(good):
            got, took = composes[2].read(name, WAYS[i % 3])
            check(got == good[name] and took < 10, f"{name} of a good server: {brief(got)} after {took:.1f} s")
        for name, read in reads.items():
            got, took = read.result()
            check(got == kept[name], f"{name}: {brief(got)} after {took:.1f} s")
        for name, read in wrong_reads.items():
            got, took = read.result()
            check(got in EIO[way_of(name)] if isinstance(got, int) else False, f"{name}: {brief(got)} after {took:.1f} s")
        for case, cases in silent_reads.items():
            for name, read in cases.items():
                got, took = read.result()
                check(isinstance(got, int) and got in LATE[way_of(name)], f"{name}: {brief(got)}")
                check(took < 20, f"{name}: {took:.1f} s")
    check("Range" in str(right.headers), "what broke goes on where it was")
    for name in bad:
        if way_of(name) != "http": # who reads by HTTP is told by JSON
            words = composes[1].attribute(name, "error", way_of(name))
            check(f"{name}.rpm" in words and len(words) > 60, f"words at {name}: {words}")
            check(f"{name}.rpm" in composes[1].log(), f"words about {name} in the log")
    check("sha256" in composes[1].attribute("lies-mount", "error"), composes[1].attribute("lies-mount", "error"))
    same(set(cached(service)), {digest(d) for d in (*good.values(), *kept.values())}, "packages/ holds what is right alone")
    same([f for f in left_in_work(service)], [], "files in work/")
    check(wait_for(lambda: descriptors(service) <= before, 5), f"descriptors: {before}, then {descriptors(service)}")
    same(figures(service)["odcsfs_fetch_waiters"], 0, "nobody is left waiting")
    same(sum(composes[1].attribute(n, "cached") == "1" for n in bad), 0, "none of the wrong ones is cached")
    return composes, bad, mute


def try_again(service, wrong, silents, composes, bad, mute):
    """what failed is not asked for again at once; later it is, and a server that came to its senses is believed"""
    def fails_anew():
        before = wrong.count("/lies-mount.rpm")
        composes[1].read("lies-mount")
        return wrong.count("/lies-mount.rpm") > before
    for _ in range(5):
        check(wait_for(fails_anew, 20, 0.1), "asked for again in the end")
        asked, started = wrong.count("/lies-mount.rpm"), time.monotonic()
        for way in WAYS:
            for _ in range(2):
                composes[1].read("lies-mount", way)
        again = wrong.count("/lies-mount.rpm") - asked
        if not again or time.monotonic() - started < 4:
            break # else the machine is so busy that the five seconds of a failure may have been over
    same(again, 0, "asked for again at once")
    wrong.steps = {}
    for origin in silents:
        origin.steps = {}
    left = {(composes[1], name): bad[name] for name in bad}
    left.update({(compose, name): data[name] for data, compose in mute.values() for name in data})

    def rest():
        for (compose, name), want in list(left.items()):
            if compose.read(name, way_of(name))[0] == want:
                del left[compose, name]
        return not left
    check(wait_for(rest, 20, 0.5), f"read in the end: not {[name for _, name in left]}")


def try_dead(service, dead):
    """a server that is not there costs its readers a moment, each"""
    repository(dead, "dead", {f"d{i:02}": 1000 for i in range(30)})
    compose = Compose(service, f"{dead.url}/dead")
    dead.close()
    with concurrent.futures.ThreadPoolExecutor(30) as pool:
        got = list(pool.map(lambda i: (i % 3, *compose.read(f"d{i:02}", WAYS[i % 3])), range(30)))
    same({(WAYS[way], brief(number)) for way, number, _ in got}, {(way, n) for way in WAYS for n in EIO[way]}, "errno")
    check(max(t for *_, t in got) < 5, f"{max(t for *_, t in got):.1f} s")


def waits(service, number):
    return wait_for(lambda: figures(service)["odcsfs_fetch_waiters"] == number, 10)


def ask(service, compose, name, version="1.1"):
    """a client that has asked, and says no more"""
    host, port = service.host.split(":")
    client = socket.create_connection((host, int(port)), timeout=30)
    client.sendall(f"GET {compose.web}/{name[0]}/{name}.rpm HTTP/{version}\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    client.shutdown(socket.SHUT_WR)
    return client


def answer_of(client):
    got = b"".join(iter(lambda: client.recv(1 << 16), b"")).replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"", 1)
    head, _, body = got.partition(b"\r\n\r\n")
    return head.decode(), body


def try_half_closed(service, origin):
    """who sends no more may listen; who has gone, does not wait"""
    data = repository(origin, "closed", {"closed": 50_000})
    compose = Compose(service, f"{origin.url}/closed")
    origin.steps = {".rpm": (gate := Gate())}
    clients = [ask(service, compose, "closed") for _ in range(3)]
    check(waits(service, 3), "they wait")
    clients[0].close()
    check(waits(service, 2), f"who has gone does not: {figures(service)['odcsfs_fetch_waiters']}")
    time.sleep(1.2) # it is looked at once a second
    gate.open()
    for client in clients[1:]:
        head, body = answer_of(client)
        check(head.startswith("HTTP/1.1 200") and body == data["closed"], f"not here yet: {head[:50]} {len(body)}")
    head, body = answer_of(ask(service, compose, "closed"))
    check(head.startswith("HTTP/1.1 200") and body == data["closed"], f"here: {head[:50]} {len(body)}")
    origin.steps = {}


def try_ends(service, origin):
    """a GET that waits is told that the service ends or is replaced, and a read of the mount goes on with the next one"""
    data = repository(origin, "ends", {"reload": 5000, "stop": 5000})
    compose = Compose(service, f"{origin.url}/ends")
    origin.steps = {".rpm": (gate := Gate())}
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        web, mounted = pool.submit(compose.get, "reload"), pool.submit(compose.read, "reload")
        check(waits(service, 2), "they wait")
        service.process.send_signal(signal.SIGHUP)
        answer = web.result()
        same((answer.status, answer.headers.get("Retry-After")), (503, "1"), "at a reload")
        gate.open()
        check(mounted.result()[0] == data["reload"], f"the mount: {brief(mounted.result()[0])}")
        origin.steps = {".rpm": Gate()}
        web = pool.submit(compose.get, "stop")
        check(waits(service, 1), "it waits")
        service.stop()
        answer = web.result()
        same((answer.status, answer.headers.get("Retry-After")), (503, "1"), "at the end")
    origin.steps = {}


def main():
    need_fuse()
    with origins(4 + len(SILENT)) as all_:
        right, wrong, beside, dead, *silents = all_
        with start(all_, "cache.read_timeout=30", "cache.fetchers=6", "repo.timeout=4", export=True) as service:
            started = time.monotonic()
            result = try_all(service, right, wrong, silents, beside)
            print(f"try_all: {time.monotonic() - started:.1f} s", flush=True)
            try_again(service, wrong, silents, *result)
            try_dead(service, dead)
            try_half_closed(service, right)
            try_ends(service, right)
            print(f"with the rest: {time.monotonic() - started:.1f} s", flush=True)
    end()


main()
