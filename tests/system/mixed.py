# SPDX-License-Identifier: MIT
"""tests/system/mixed.py: the states of composes with everything real: workers, time, REST and the tree in turn.

    mixed.py [--seed N] [--steps N]

The lighter sister of machine.py: random steps against the whole service, each answer and each record compared with
odcsmodel.py to the byte. Time is real, so a step's moment is known to the second or two around it: the
model is asked for each of them, and one must fit. What workers did is read from the record (when it was taken, when it
was done) and then has to be what the model makes of that.
"""
import argparse, calendar, contextlib, errno, json, os, pathlib, random, signal, sys, time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import odcsmodel
from harness import *

LAG = 0.05 # seconds: the service's clock and ours may differ by a tick
EVENT = 1700000000 # the revision of both repositories
PACKAGES = {str(BASE): ("openssl", "nginx", "apache2", "dash", "iproute2"),
            str(UPDATES): ("dash", "libzstd1", "libmd0")}
STEPS = {
    "post": 14, "make": 10, "talk": 3, "again": 8, "renew": 14, "ttl": 8, "ctl": 10, "delete": 8, "rmdir": 3, "burst": 1.5,
    "restart": 0.5, "wrong": 4, "pause": 0.7,
}


def stamp(text):
    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))


class Difference(Exception):
    pass


class Live:
    """The service, the model, and the names of the request directories."""

    def __init__(self, service, rng):
        self.service, self.rng = service, rng
        self.model = odcsmodel.Model(service.url, 0)
        self.folders = {} # of each compose, while it is there
        self.compared, self.names, self.counts = 0, 0, {}

    # ---- comparing ----

    def fit(self, what, began, change, seen):
        """@change done to the model at some second since @began must give what was @seen; then it is done."""
        wants = []
        for now in range(int(began - LAG), int(time.time()) + 1):
            twin = self.model.clone()
            twin.now = now
            want = change(twin)
            wants.append(want)
            if want == seen or (want[1] is None and want[0] == seen[0]):
                self.model, self.compared = twin, self.compared + 1
                return
        raise Difference(f"{what}\n  {odcsmodel.differing(wants[-1], seen)}model   {wants[-1]}\n  service {seen}")

    def rest(self, method, path, change, body=None):
        began = time.time()
        answer = self.service.call(method, path, body)
        self.fit(f"{method} {path} {body}", began, lambda model: model.answer(change, model), (answer.status, answer.body))

    def delete_one(self, number):
        """The answer holds no time: the record does."""
        began = time.time()
        answer = self.service.call("DELETE", f"/api/1/composes/{number}")
        want = self.model.clone().answer(self.model.clone().delete, number)
        if (answer.status, answer.body) != want:
            raise Difference(f"DELETE {number}\n  model   {want}\n  service {answer.status} {answer.body}")
        if self.model.composes[number].state in ("done", "failed"):
            return self.ended(number, began, "anonymous")

        def deleted(model):
            model.answer(model.delete, number)
            return model.get(number)
        return self.fit(f"DELETE {number}", began, deleted, self.record(number))

    def record(self, number, wait=False):
        answer = self.service.call("GET", f"/api/1/composes/{number}{'?wait=60' if wait else ''}")
        return answer.status, answer.body

    def tree(self, what, began, code, number, change):
        """A deed in the tree that ended with errno @code; @change as the model has it: its errno"""
        def both(model):
            want = change(model)
            return want, model.get(number)[1]
        self.fit(f"{what}: errno {code}", began, both, (code, self.record(number)[1]))

    def settle(self):
        """Wait until nothing is under way; each compose must have come where the model says."""
        for compose in self.model.in_state("wait", "generating"):
            number, began = compose.id, compose.started or compose.submitted
            seen = self.record(number, True)
            record = json.loads(seen[1])
            if not record["time_started"]:
                raise Difference(f"compose {number} is never taken: {record}")
            shown = int(record["toplevel_url"].rsplit("-", 1)[1])

            def made(model):
                mine, at = model.composes[number], model.now
                if mine.state == "wait":
                    model.now = stamp(record["time_started"])
                    model.claim(mine)
                model.now = at
                missing = [name for name in (mine.wishes["packages"] or "").split() if name == "absent"]
                other = None if missing else model.candidate(mine, EVENT, mine.asked["source"])
                model.resolve(mine, EVENT, mine.asked["source"])
                if missing:
                    model.fail(mine, "Error while generating compose: The following requested packages are not present "
                               "in the generated compose: absent.")
                elif other:
                    model.reuse(mine, other)
                else:
                    model.finish(mine, EVENT)
                return model.get(number)
            self.fit(f"compose {number} was made, shows the tree of {shown}", began, made, seen)
            self.counts[record["state_name"]] = self.counts.get(record["state_name"], 0) + 1
            self.counts["reused"] = self.counts.get("reused", 0) + (shown != number)

    def due(self):
        """Each compose whose time has come must go, within 3 s; the clean-up's second is in the record."""
        for compose in sorted(self.model.in_state("done", "failed"), key=lambda c: c.expires):
            if compose.expires > time.time() + 0.7:
                continue
            number = compose.id
            wait_for(lambda: b'"state_name":"removed"' in self.record(number)[1], 6)
            seen = self.record(number)

            def gone(model):
                model.remove(model.composes[number])
                return model.get(number)
            self.fit(f"compose {number} goes at {odcsmodel.iso(compose.expires)}", compose.expires, gone, seen)
            removed = stamp(json.loads(seen[1])["time_removed"])
            if removed - compose.expires > 3:
                raise Difference(f"compose {number} went {removed - compose.expires} s after its time")
            self.counts["removed"] = self.counts.get("removed", 0) + 1

    def look(self):
        """the newest 500, and one compose in the tree"""
        self.settle()
        self.due()
        arguments = [("per_page", "500"), ("order_by", "-id")]
        answer = self.service.call("GET", "/api/1/composes/?" + "&".join("=".join(pair) for pair in arguments))
        if min((c.expires for c in self.model.in_state("done", "failed")), default=1e12) <= time.time():
            return self.look()
        self.fit("the list", time.time(), lambda model: model.list(arguments), (answer.status, answer.body))
        compose = self.pick(None)
        if compose and self.rng.random() < 0.5:
            self.look_tree(compose)
        return None

    def look_tree(self, compose):
        folder, tree = self.folders.get(compose.id), self.service.mnt / "composes" / str(compose.id)
        if folder and self.rng.random() < 0.5:
            seen = {name: (folder / name).read_bytes() for name in ("status", "id", "compose.json")}
            want = {"status": f"{compose.state}\n".encode(), "id": f"{compose.id}\n".encode(),
                    "compose.json": self.model.get(compose.id)[1]}
            left = compose.expires - time.time()
            if compose.state == "done" and abs(int((folder / "ttl").read_text()) - left) > 2:
                raise Difference(f"{folder}/ttl: {(folder / 'ttl').read_text()}, model {left}")
            if os.path.lexists(folder / "result") != (compose.state == "done"):
                raise Difference(f"{folder}/result of a {compose.state} compose")
        else:
            seen = {"tree": os.path.exists(tree), "done": os.path.exists(tree / "compose/Temporary"),
                    "view": os.path.lexists(self.service.mnt / f"by-state/{compose.state}/{compose.id}")}
            want = {"tree": compose.state != "removed" or compose.id in self.kept(), "done": compose.state == "done" or
                    compose.id in self.kept(), "view": True}
        if seen != want and compose.expires > time.time():
            raise Difference(f"compose {compose.id} in the tree\n  model   {want}\n  service {seen}")
        self.compared += 1

    def kept(self):
        """removed ones whose tree others show"""
        return {c.reused for c in self.model.in_state("done") if c.reused}

    # ---- steps ----

    def pick(self, *states):
        pool = [c for c in self.model.composes.values() if states == (None,) or c.state in states]
        return self.rng.choice(pool) if pool else None

    def words(self):
        rng = self.rng
        source = rng.choice((BASE, BASE, UPDATES))
        packages = rng.sample(PACKAGES[str(source)], rng.randint(0, 2)) + (["absent"] if rng.random() < 0.1 else [])
        body = {"source": {"type": "repo", "source": str(source), "packages": packages}}
        if rng.random() < 0.7:
            body["seconds_to_live"] = rng.choice((2, 60, 600, 601, 3600, 5000, 86400, 300000, 7000, 90))
        if rng.random() < 0.3:
            body["flags"] = rng.choice((["no_deps"], ["no_reuse"], ["no_inheritance"]))
        if rng.random() < 0.2:
            body["label"] = rng.choice(("RC-1.0", "Beta-1.1"))
        if rng.random() < 0.2:
            body["source"]["sigkeys"] = rng.choice(([""], ["", "AA"]))
        return body

    def post(self, body=None):
        text = json.dumps(body or self.words())
        self.rest("POST", "/api/1/composes/", lambda model: model.post(text), text)
        number = len(self.model.composes)
        self.folders[number] = self.service.mnt / f"requests/auto-{number}"

    def make(self, body=None):
        """mkdir and write; sometimes wrong at first"""
        self.names += 1
        folder = self.service.mnt / f"requests/mixed-{self.names}"
        os.mkdir(folder)
        if self.rng.random() < 0.2:
            with contextlib.suppress(OSError):
                self.service.write_spec(folder, '{"source": {"type": "repo"')
            if (folder / "status").read_text() != "draft\n":
                raise Difference(f"{folder}: half a text was taken")
        text = json.dumps(body or self.words())
        began = time.time()
        self.service.write_spec(folder, text)
        self.made_in_tree(text, began)
        self.folders[len(self.model.composes)] = folder

    def made_in_tree(self, text, began):
        def submitted(model):
            model.add(*odcsmodel.read_request(json.loads(text)), owner="root").text = text
            return model.get(len(model.composes))
        number = len(self.model.composes) + 1
        seen = self.record(number)
        state = json.loads(seen[1])
        if state["state_name"] != "wait": # a worker was quick: as it was when it was accepted
            twin = dict(state, state=0, state_name="wait", state_reason=None, time_started=None, time_done=None,
                        pungi_compose_id=None, koji_event=None)
            twin.update(time_to_expire=odcsmodel.iso(stamp(state["time_submitted"]) +
                                                     odcsmodel.lifetime(json.loads(text))))
            for key in ("toplevel_url", "result_repo", "result_repofile"):
                twin[key] = twin[key].replace(state["toplevel_url"].rsplit("/", 1)[1], f"odcs-{number}")
            seen = seen[0], odcsmodel.line(twin)
        self.fit("submitted in the tree", began, submitted, seen)

    def talk(self):
        """one conversation with new"""
        text = json.dumps(self.words())
        began = time.time()
        fd = os.open(self.service.mnt / "new", os.O_RDWR)
        os.write(fd, text.encode())
        reply = os.read(fd, 65536)
        os.close(fd)
        number = json.loads(reply)["id"]
        self.made_in_tree(text, began)
        self.folders[number] = self.service.mnt / f"requests/auto-{number}"

    def again(self):
        """what was asked before"""
        compose = self.pick("done")
        if compose and compose.text:
            body = {**json.loads(compose.text), "seconds_to_live": self.rng.choice((30, 60, 3600))}
            self.rng.choice((self.post, self.make))(body)

    def renew(self):
        compose = self.pick("done", "done", "failed", "removed")
        if not compose:
            return
        body = {}
        if self.rng.random() < 0.6:
            body["seconds_to_live"] = self.rng.choice((1, 1000, 2000, 3000, 4000, 10**6))
        if self.rng.random() < 0.25:
            body["label"] = self.rng.choice(("RC-1.0", "RC-1.1", compose.wishes["label"] or "RC-2.0"))
        if self.rng.random() < 0.25:
            body["sigkeys"] = self.rng.choice(([""], ["", "AA"], ["", "BB"]))
        before, text = len(self.model.composes), json.dumps(body)
        self.rest("PATCH", f"/api/1/composes/{compose.id}", lambda model: model.patch(compose.id, text), text)
        if len(self.model.composes) > before:
            self.folders[before + 1] = self.service.mnt / f"requests/auto-{before + 1}"

    def deed(self, what, compose, function, change):
        """@function in the tree; @change does it to the model's compose and returns the errno"""
        began, code = time.time(), 0
        try:
            function()
        except OSError as error:
            code = error.errno
        self.tree(f"{what} of {compose.id}, {compose.state}", began, code, compose.id,
                  lambda model: change(model, model.composes[compose.id]) or 0)

    def with_folder(self):
        compose = self.pick(None)
        return compose if compose and self.folders.get(compose.id) else None

    def ttl(self):
        compose = self.with_folder()
        if not compose:
            return
        folder = self.folders[compose.id]
        text = self.rng.choice(("2\n", "30", "40", "50", "5000\n", "259200", "259201\n", "0\n", "x", ""))

        def change(model, mine):
            if not text: # touch
                return errno.EBUSY if mine.state != "done" else model.extend(mine, 86400)
            if not text.strip().isdigit() or not int(text):
                return errno.EINVAL
            if int(text) > 259200:
                return errno.ERANGE
            return errno.EBUSY if mine.state != "done" else model.set_ttl(mine, int(text))
        self.deed(f"ttl {text!r}", compose, lambda: (folder / "ttl").write_text(text) if text else os.utime(folder / "ttl"),
                  change)

    def ctl(self):
        compose = self.with_folder()
        if not compose:
            return
        folder, word = self.folders[compose.id], self.rng.choice(("cancel", "expire", "renew", "renew 4000", "nonsense"))

        def change(model, mine):
            if word == "nonsense":
                return errno.EINVAL
            if word == "cancel":
                return errno.EBUSY if mine.state not in ("wait", "generating") else model.cancel(mine, "root")
            if word == "expire":
                return errno.EBUSY if mine.state not in ("done", "failed") else model.end(mine, "root")
            if mine.state != "done":
                return errno.EBUSY
            return model.extend(mine, 86400) if word == "renew" else model.set_ttl(mine, 4000)

        def write():
            fd = os.open(folder / "ctl", os.O_WRONLY)
            try:
                os.write(fd, word.encode())
            finally:
                os.close(fd)
        if word == "expire" and compose.state in ("done", "failed"):
            began = time.time()
            write()
            return self.ended(compose.id, began, "root")
        return self.deed(f"ctl {word}", compose, write, change)

    def ended(self, number, began, who):
        """Who ended it is known; the clean-up comes at once, so only its record is seen."""
        last = int(time.time())
        for now in range(int(began - LAG), last + 1):
            kept, self.model = self.model, self.model.clone()
            self.model.now = now
            self.model.end(self.model.composes[number], who)
            try:
                return self.due()
            except Difference:
                if now == last:
                    raise
                self.model = kept
        return None

    def delete(self):
        compose = self.pick(None)
        if compose:
            self.delete_one(compose.id)

    def rmdir(self):
        compose = self.with_folder()
        if not compose:
            return
        folder = self.folders.pop(compose.id)
        if compose.state in ("done", "failed"):
            began = time.time()
            os.rmdir(folder)
            self.ended(compose.id, began, "root")
        else:
            self.deed("rmdir", compose, lambda: os.rmdir(folder), lambda model, mine: model.cancel(mine, "root")
                      if mine.state in ("wait", "generating") else 0)
        if os.path.lexists(folder):
            raise Difference(f"{folder} is there after rmdir")

    def taken(self):
        """What workers have taken by now: the model takes the same."""
        for compose in self.model.in_state("wait"):
            record = json.loads(self.record(compose.id)[1])
            if record["state_name"] == "generating":
                self.model.now = stamp(record["time_started"])
                self.model.claim(self.model.composes[compose.id])

    def burst(self):
        """More requests than workers, which stand still: some are taken, some wait; cancel and delete both kinds."""
        workers = self.service.workers()
        for worker in workers:
            os.kill(worker, signal.SIGSTOP)
        try:
            for _ in range(5):
                self.post({**self.words(), "flags": ["no_reuse"], "seconds_to_live": 600})
            wait_for(lambda: sum(b'"state_name":"generating"' in self.record(c.id)[1]
                                 for c in self.model.in_state("wait")) == len(workers), 10)
            self.taken()
            for _ in range(4):
                compose = self.pick("wait", "generating")
                if compose.state == "wait" and self.rng.random() < 0.5:
                    self.delete_one(compose.id)
                elif compose.state == "wait":
                    folder = self.folders[compose.id]
                    self.deed("cancel", compose, lambda at=folder: (at / "ctl").write_text("cancel"),
                              lambda model, mine: model.cancel(mine, "root"))
                else:
                    self.delete_one(compose.id)
                    self.rest("PATCH", f"/api/1/composes/{compose.id}",
                              lambda model, at=compose.id: model.patch(at, "{}"), "{}")
        finally:
            for worker in workers:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(worker, signal.SIGCONT)

    def restart(self):
        self.settle()
        if self.service.stop() != 0:
            raise Difference("exit code at SIGTERM")
        self.service.start()
        self.model.url = self.service.url

    def wrong(self):
        """refused on both sides, and nothing is made"""
        body = self.words()
        text = json.dumps(self.rng.choice((dict(body, flags=["nonsense"]), dict(body, label=None), {"source": 7},
                                           dict(body, seconds_to_live=-1), dict(body, target_dir="x"))))
        self.rest("POST", "/api/1/composes/", lambda model: model.post(text), text)
        self.names += 1
        folder = self.service.mnt / f"requests/wrong-{self.names}"
        os.mkdir(folder)
        try:
            self.service.write_spec(folder, text)
            code = 0
        except OSError as error:
            code = error.errno
        if (code, (folder / "status").read_text()) != (errno.EINVAL, "draft\n"):
            raise Difference(f"{text} in the tree: errno {code}")
        os.rmdir(folder)

    def pause(self):
        time.sleep(self.rng.random())

    def run(self, count):
        names = list(STEPS)
        for number in range(count):
            name = self.rng.choices(names, tuple(STEPS.values()))[0]
            self.counts[name] = self.counts.get(name, 0) + 1
            try:
                getattr(self, name)()
                self.look()
            except Difference as problem:
                return f"step {number}, {name}: {problem}"
        return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    parser.add_argument("--steps", type=int, default=int(os.environ.get("ODCSFS_STEPS", "500")))
    options = parser.parse_args()
    need_fuse()
    print(f"seed {options.seed}, {options.steps} steps", flush=True)
    began = time.monotonic()
    with Service(f"repo.allowed={UNIVERSE}") as service:
        live = Live(service, random.Random(options.seed))
        same(live.run(options.steps), None, f"seed {options.seed}")
        print(f"{live.compared} comparisons, {live.counts}, {time.monotonic() - began:.1f} s")
        if options.steps >= 500:
            must = (*STEPS, "done", "failed", "removed", "reused")
            same([name for name in must if not live.counts.get(name)], [], "never met")
    end()


main()
