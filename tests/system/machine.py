# SPDX-License-Identifier: MIT
"""tests/system/machine.py: the state machine behind REST, held against a model by random steps.

    machine.py --driver rest-driver [--seed N] [--steps N] [--shrink]

Steps are requests of every kind (sound, wrong, renewing, regenerating, cancelling, deleting, listing), what workers do
(take, finish, fail, reuse, die) and the clock. Each answer is compared with odcsmodel.py's, status, headers and every
byte of the body; then the composes that were touched, another one and now and then the whole list are read and
compared. A step does not depend on what came before, so a run that fails is repeated by its seed, cut short by
--steps, and --shrink drops every step that the failure does not need.
"""
import argparse, collections, http.client, json, os, random, time, urllib.parse

import odcsmodel
from restkit import *

START = 1_800_000_000
SETTLE = 50 # steps between two looks at everything
ANY = ("wait", "generating", "done", "removed", "failed")


# ---- making steps -----------------------------------------------------------------------------------

def some(rng, pool, most=3):
    return [rng.choice(pool) for _ in range(rng.randint(0, most))]


def sound_source(rng, kind):
    """words of source.source"""
    pools = {"tag": ("f26", "f27 f28", "f26  f26"), "module": ("m:1", "m:1 n:2:3", "é:1:2:ab"),
             "repo": ("/srv/a", "/srv/a /srv/b", "/srv/b /srv/a /srv/b"), "pulp": ("x-rpms", "x-rpms y-rpms"),
             "raw_config": ("pungi_cfg#abc", "pungi_cfg#main"), "build": ("", ""), "pungi_compose": ("http://x/y",)}
    return rng.choice(pools[kind])


def sound_request(rng):
    kind = rng.choice(("tag", "tag", "tag", "repo", "repo", "module", "pulp", "raw_config", "build", "pungi_compose"))
    source = {"type": kind, "source": sound_source(rng, kind)}
    inner = {"packages": lambda: some(rng, ("a", "b", "c@d(x)", "é b")), "builds": lambda: some(rng, ("x-1-1", "y-2-1")),
             "sigkeys": lambda: some(rng, ("AA", "BB", "")), "koji_event": lambda: rng.choice((0, 55, True, 2**40)),
             "modular_koji_tags": lambda: some(rng, ("m1", "m2")), "scratch_modules": lambda: some(rng, ("s:1", "t:1")),
             "modules": lambda: some(rng, ("q:1",)), "scratch_build_tasks": lambda: some(rng, ("17", "18")),
             "base_module_br_name": lambda: "platform", "base_module_br_stream": lambda: "el8",
             "base_module_br_stream_version_lte": lambda: rng.choice((0, 80301)),
             "base_module_br_stream_version_gte": lambda: 80000}
    outer = {"flags": lambda: some(rng, odcsmodel.FLAGS + ("no_flags",)), "results": lambda: some(rng, odcsmodel.RESULTS),
             "arches": lambda: some(rng, ("x86_64", "s390x", "ppc64le")), "multilib_arches": lambda: some(rng, ("x86_64",)),
             "multilib_method": lambda: some(rng, ("none", "runtime", "devel", "all")),
             "lookaside_repos": lambda: some(rng, ("http://a/", "http://b/")), "label": lambda: some_label(rng),
             "compose_type": lambda: rng.choice(("test", "ci", "nightly", "production", "development", "")),
             "target_dir": lambda: rng.choice(("", "default", "private")), "nobody": lambda: rng.choice((1, 1.5, "x", [])),
             "seconds_to_live": lambda: some_lifetime(rng, False), "seconds-to-live": lambda: some_lifetime(rng, True)}
    source.update({key: make() for key, make in inner.items() if rng.random() < 0.15})
    body = {"source": source}
    body.update({key: make() for key, make in outer.items() if rng.random() < (0.5 if "live" in key else 0.15)})
    if rng.random() < 0.1:
        source.update(module_defaults_url="git://x", module_defaults_commit="abc")
    return body


def some_label(rng):
    return rng.choice(("RC-1.0", "RC-1.1", "Beta-2.0", ""))


def some_lifetime(rng, dashed):
    choice = rng.randrange(10)
    if choice < 6:
        return rng.randint(1, 5000)
    if choice < 8:
        return rng.choice((0, 86400, 259199, 259200, 259201, 10**12, True, False))
    return rng.choice(("", "600", " 77 ", "1_000", 12.9)) if dashed else rng.randint(5000, 200000)


def some_resolution(rng):
    """(event, a word for what was read)"""
    return rng.choice((7, 7, 7, 8, None)), rng.choice(("a", "a", "a", "b"))


WRONG = (None, 1, -1, 1.5, "", "x", "a@b", "a\nb", "a=b", [], ["x", None], [{"a": 1}], {}, {"a": 1}, [["a"]],
         True, "é", [1])


def wrong_request(rng):
    """one member or two of a sound request spoilt: the model says what is wrong, if anything"""
    body = sound_request(rng)
    if rng.random() < 0.05:
        return json.dumps({"source": {"type": "repo", "source": "/forbidden"}})
    for _ in range(rng.randint(1, 2)):
        members = rng.choice((body, body["source"])) if isinstance(body.get("source"), dict) else body
        key = rng.choice(tuple(members) + ("type", "source", "label", "flags", "results", "multilib_method", "target_dir",
                                           "koji_event", "sigkeys", "builds", "seconds_to_live", "seconds-to-live"))
        if rng.random() < 0.2:
            members.pop(key, None)
        else:
            members[key] = rng.choice(WRONG + ("tag", "module", "raw_config", "/forbidden", "platform:1", "pungi_cfg#"))
    return json.dumps(body)


def wrong_text(rng):
    return rng.choice(("", "{", "nonsense", "[1,]", "{}", "[]", "0", "null", '""', "false", "[1]", '"x"', "7"))


def patch_request(rng):
    """None: no body. "=": as the compose has it"""
    body = {}
    if rng.random() < 0.15:
        return None
    if rng.random() < 0.5:
        key = rng.choice(("seconds_to_live", "seconds-to-live"))
        body[key] = some_lifetime(rng, key == "seconds-to-live")
    if rng.random() < 0.25:
        body["label"] = rng.choice(("=", some_label(rng)))
    if rng.random() < 0.25:
        body["sigkeys"] = rng.choice(("=", some(rng, ("AA", "BB", "CC", ""))))
    if rng.random() < 0.15:
        body["source"] = {key: some(rng, ("x-1-1", "q:1 r:2", "")) for key in ("builds", "modules") if rng.random() < 0.7}
    if rng.random() < 0.1:
        body.update(owner="x", packages=["z"], flags=["no_deps"]) # is ignored
    if rng.random() < 0.1:
        body[rng.choice(("label", "sigkeys", "seconds_to_live", "seconds-to-live", "source"))] = rng.choice(WRONG)
    return body


def seed_request(rng):
    kind = rng.choice(("tag", "repo", "module"))
    source = sound_source(rng, kind)
    packages = {} if rng.random() < 0.4 else {"packages": some(rng, ("httpd", "nginx"))}
    times = {} if rng.random() < 0.4 else {"seconds-to-live": some_lifetime(rng, True)}
    flags = {} if rng.random() < 0.6 else {"flags": ["no_deps"]}
    if rng.random() < 0.5:
        return {"source_type": kind, "source": source, **packages, **times, **flags}
    return {"source": {"type": kind, "source": source, **packages}, **times, **flags}


def list_query(rng):
    query = [("page", rng.choice(("1", "1", "2", "3", "70", "0", "-1", "x"))), ("owner", rng.choice(("unknown", "x"))),
             ("per_page", rng.choice(("1", "3", "7", "50", "0", "-1", "x", "9999"))), ("state", str(rng.randint(0, 5))),
             ("source_type", str(rng.randint(0, 7))), ("source", rng.choice(("f26", "/srv/a /srv/b", "m:1"))),
             ("order_by", rng.choice(("", "-")) + rng.choice(odcsmodel.ORDERS + ("source_type", ""))),
             ("label", rng.choice(("RC-1.0", "zz"))), ("compose_type", rng.choice(("test", "ci"))),
             ("koji_task_id", "7"), ("pungi_compose_id", "odcs-3-1-20270115.t.0"), ("nobody", "a b"), ("_x", "1")]
    rng.shuffle(query)
    return [pair for pair in query if rng.random() < (0.4 if pair[0] in ("page", "per_page", "order_by") else 0.1)]


# what happens, and how often
STEPS = {
    "post": 12, "post-wrong": 8, "post-text": 2, "post-seed": 4, "post-again": 28, "renew-seed": 3, "patch": 20,
    "patch-text": 1, "delete": 8, "get": 4, "list": 5, "claim": 45, "resolve": 34, "reuse": 26, "finish": 26, "fail": 4,
    "unclaim": 1.5, "requeue": 0.6, "expire": 4, "clock": 8,
}


def make_step(rng):
    """(what, where, words): nothing of it depends on the steps before"""
    what = rng.choices(tuple(STEPS), tuple(STEPS.values()))[0]
    states = {"patch": ("done", "done", "failed", "removed", None), "finish": ("generating",) * 15 + (None,),
              "fail": ("generating",) * 3 + ("wait", None),
              "resolve": ("generating",) * 15 + (None,), "reuse": ("generating",) * 15 + (None,),
              "unclaim": ("generating",) * 3 + (None,), "post-again": ("generating", "done", "done", None)}
    where = (rng.choice(states.get(what, (None,))), rng.randrange(1 << 30), rng.randrange(1 << 30))
    words = {
        "post": sound_request, "post-wrong": wrong_request, "post-text": wrong_text, "post-seed": seed_request,
        "patch": patch_request, "patch-text": wrong_text, "list": list_query,
        "renew-seed": lambda r: some_lifetime(r, True), "post-again": lambda r: r.randint(1, 5000),
        "fail": lambda r: r.choice(("some words", "other: words", "é")),
        "finish": lambda r: r.choice((None, None, (7,), (1600000000, "words that were found"))),
        "resolve": some_resolution, "reuse": some_resolution,
        "clock": lambda r: r.choice((0, 1, 1, r.randint(1, 600), r.randint(1, 600), r.randint(600, 3000))),
    }.get(what, lambda r: None)(rng)
    return what, where, words, rng.random() < 0.15 # by way of the seed's paths


# ---- taking them ------------------------------------------------------------------------------------

class Difference(Exception):
    pass


class Machine:
    """The service and the model, side by side."""

    def __init__(self, server):
        self.server, self.model = server, odcsmodel.Model(server.url, START)
        self.connection = http.client.HTTPConnection(server.host, server.port, timeout=30)
        self.compared, self.counts = 0, collections.Counter()
        self.tell(f"stop {START}")

    def tell(self, words):
        """(0 or an errno, number)"""
        self.server.process.stdin.write(words + "\n")
        self.server.process.stdin.flush()
        answer = self.server.process.stdout.readline().split(" ", 2)
        return (0, int(answer[1])) if answer[0] == "ok" else (int(answer[1]), 0)

    def ask(self, method, path, body=None):
        self.connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        answer = self.connection.getresponse()
        return answer, answer.read()

    def differ(self, what, want, seen):
        self.compared += 1
        if want != seen:
            raise Difference(f"{what}\n  {odcsmodel.differing(want, seen)}model   {short(want)}\n  service {short(seen)}")

    def same(self, what, want, method, path, body=None):
        """ask, and compare status, headers and body"""
        status, text = want
        answer, seen = self.ask(method, path, body)
        name = f"{what}: {method} {path} {body if body else ''}"
        self.differ(name, (status, text if text is not None else seen), (answer.status, seen))
        self.counts[f"{what} {status}"] += 1
        self.differ(f"{name}: type", "application/json", answer.getheader("Content-Type"))
        if not path.startswith("/odcs/"):
            cors = "*" if method == "GET" and status == 200 else None
            self.differ(f"{name}: CORS", cors, answer.getheader("Access-Control-Allow-Origin"))
        if text is None:
            error = json.loads(seen)
            self.differ(f"{name}: form", (["error", "message", "status"], status), (sorted(error), error["status"]))

    def pick(self, where):
        """a compose, in that state if one is asked for; None when there is none"""
        pool = self.model.in_state(where[0]) if where[0] else list(self.model.composes.values())
        return pool[where[1] % len(pool)] if pool else None

    # ---- requests ----

    def post(self, text, seed):
        path = ("/odcs/1/composes" if len(text) % 2 else "/odcs/1/composes/") if seed else "/api/1/composes/"
        self.same("submit", self.model.answer(self.model.post, text, seed), "POST", path, text.encode())
        return len(self.model.composes)

    def number(self, where):
        compose = self.pick(where)
        return compose.id if compose and where[2] % 20 else where[2] % 2000 + 1

    def patch(self, where, body, seed):
        number = self.number(where)
        compose = self.model.composes.get(number)
        if isinstance(body, dict):
            body = dict(body)
            for key, value in (("label", compose and compose.wishes["label"]),
                               ("sigkeys", compose and compose.wishes["sigkeys"].split(" "))):
                if body.get(key) == "=":
                    body[key] = value or ("zz" if key == "label" else [])
        text = body if isinstance(body, str) else "" if body is None else json.dumps(body)
        path = f"/{'odcs' if seed else 'api'}/1/composes/{number}{'/' if where[2] % 10 == 3 else ''}"
        before = len(self.model.composes)
        want = self.model.answer(self.model.patch, number, text, seed)
        made = "regenerate" if len(self.model.composes) > before else "renew"
        self.same(made, want, "PATCH", path, text.encode() or None)
        return number

    def look(self, number, seed=False):
        path = f"/{'odcs' if seed else 'api'}/1/composes/{number}"
        self.same("look", self.model.get(number, seed), "GET", path)

    def look_list(self, arguments, seed=False):
        path = f"/{'odcs' if seed else 'api'}/1/composes/?{urllib.parse.urlencode(arguments)}"
        self.same("list", self.model.answer(self.model.list, arguments, seed), "GET", path)

    # ---- the worker's part: (errno, number) must be as the model has it ----

    def claim(self):
        number = self.model.claim()
        self.differ("claim", (0, number), self.tell("claim"))
        return number

    def worked(self, compose, fine, words, verb, *values):
        self.differ(words, 0 if fine else -116, self.tell(words)[0]) # ESTALE: it is not generating any more
        self.counts[f"{words.split()[0]} {'done' if fine else 'refused'}"] += 1
        if fine:
            verb(compose, *values)
        return compose.id

    def finish(self, where, outcome):
        compose = self.pick(where)
        if not compose:
            return None
        event, source = (tuple(outcome or ()) + (None, None))[:2]
        words = f"finish {compose.id} 1 {-1 if event is None else event} {source or ''}"
        return self.worked(compose, compose.state == "generating", words.strip(), self.model.finish, event, source)

    def fail(self, where, words):
        compose = self.pick(where)
        if not compose:
            return None
        return self.worked(compose, compose.state in ("wait", "generating"), f"fail {compose.id} {words}",
                           self.model.fail, words)

    # ---- reuse: what was found out is an event, and a word for all that was read ----

    def resolve(self, where, found):
        compose = self.pick(where)
        if not compose:
            return None
        event, inputs = found
        return self.worked(compose, compose.state == "generating",
                           f"resolve {compose.id} {-1 if event is None else event} {inputs}", self.model.resolve,
                           event, inputs)

    def reuse(self, where, found):
        """Ask for a candidate, and show its tree if it may still be; or any other's, which must be refused or taken
        like this one's."""
        compose = self.pick(where)
        if not compose:
            return None
        event, inputs = found
        want = self.model.candidate(compose, event, inputs)
        self.differ(f"candidate for {compose.id}", (0, want.id if want else 0),
                    self.tell(f"candidate {compose.id} {-1 if event is None else event} {inputs}"))
        self.counts["candidate"] += want is not None
        others = list(self.model.composes.values())
        old = want if want and where[2] % 8 else others[where[2] % len(others)] if where[2] % 8 == 0 else None
        if not old or (old.asked["target_dir"], old.asked["source_type"]) != (compose.asked["target_dir"],
                                                                              compose.asked["source_type"]):
            return None
        self.worked(compose, self.model.may_reuse(compose, old), f"reuse {compose.id} {old.id}", self.model.reuse, old)
        self.look(old.id)
        return compose.id

    def unclaim(self, where):
        compose = self.pick(where)
        return compose and self.worked(compose, compose.state == "generating", f"unclaim {compose.id}", self.model.unclaim)

    def post_again(self, where, seconds, seed):
        """what an older compose was asked for"""
        compose = self.pick(where)
        if not compose or not compose.text:
            return None
        body = {**json.loads(compose.text), "seconds_to_live": seconds}
        return self.post(json.dumps(body), seed)

    def expire(self):
        count = 0
        while (error := self.tell("expire")) != (0, 0):
            self.differ("expire: errno", 0, error[0])
            count += error[1]
        self.differ("expire", self.model.expire(), count)
        self.counts["expired"] += count

    def take(self, step):
        """One step; then look at what it touched, and at another one."""
        what, where, words, seed = step
        touched = None
        if what == "post-again":
            touched = self.post_again(where, words, seed)
        elif what.startswith("post"):
            text = words if isinstance(words, str) else json.dumps(words)
            touched = self.post(text, what == "post-seed" or seed)
        elif what == "renew-seed":
            touched = self.number(where)
            self.post(json.dumps({"id": touched, "seconds-to-live": words}), True)
        elif what.startswith("patch"):
            touched = self.patch(where, words, seed)
        elif what == "delete":
            touched = self.number(where)
            path = f"/{'odcs' if seed else 'api'}/1/composes/{touched}{'/' if where[2] % 10 == 3 else ''}"
            self.same("delete", self.model.answer(self.model.delete, touched), "DELETE", path)
        elif what == "get":
            self.look(self.number(where), seed)
        elif what == "list":
            self.look_list(words, seed)
        elif what == "claim":
            touched = self.claim()
        elif what in ("resolve", "reuse", "finish", "fail"):
            touched = getattr(self, what)(where, words)
        elif what == "unclaim":
            touched = self.unclaim(where)
        elif what == "requeue":
            count = len(self.model.in_state("generating"))
            self.model.requeue()
            self.differ("requeue", (0, count), self.tell("requeue"))
        elif what == "expire":
            self.expire()
        elif what == "clock":
            self.model.now += words
            self.tell(f"stop {self.model.now}")
        for number in {touched, self.number(where), len(self.model.composes)} - {None, 0}:
            self.look(number)

    def settle(self):
        """Everything at once, page by page."""
        for page in range(1, len(self.model.composes) // 500 + 2):
            self.look_list([("per_page", "500"), ("page", str(page))])

    def run(self, steps):
        """None, or (number of the step, what differed)"""
        for number, step in enumerate(steps):
            try:
                self.take(step)
                if number % SETTLE == SETTLE - 1:
                    self.settle()
            except (Difference, http.client.HTTPException, OSError) as problem:
                return number, problem
        try:
            self.settle()
        except Difference as problem:
            return len(steps), problem
        return None


# ---- main -------------------------------------------------------------------------------------------

# what a run of some length must have met, or it shows nothing
MUST = ("submit 200", "submit 400", "submit 403", "renew 200", "renew 400", "renew 404", "regenerate 200",
        "delete 202", "delete 400", "delete 404", "look 404", "list 200", "list 400", "finish done", "finish refused",
        "fail done", "fail refused", "candidate", "resolve done", "resolve refused", "unclaim done",
        "reuse done", "reuse refused", "expired")


def run(driver, steps):
    """(what differed, counts): one service, one model"""
    with started(driver, "127.0.0.1:0") as server:
        machine = Machine(server)
        problem = machine.run(steps)
        states = {state: len(machine.model.in_state(state)) for state in ANY}
        machine.connection.close()
    return problem, {"comparisons": machine.compared, **states, **machine.counts}


def shrink(driver, steps):
    """Drop what the failure does not need: halves first, then smaller pieces."""
    size = len(steps) // 2
    while size:
        at = 0
        while at < len(steps):
            shorter = steps[:at] + steps[at + size:]
            problem = run(driver, shorter)[0]
            if problem:
                steps = shorter[:problem[0] + 1]
            else:
                at += size
        size //= 2
    return steps


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--driver", required=True)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--shrink", action="store_true")
    options = parser.parse_args()
    quiet()
    if os.path.isdir("/dev/shm"): # no disk has to be waited for
        os.environ.setdefault("TMPDIR", "/dev/shm")
    rng = random.Random(options.seed)
    steps = [make_step(rng) for _ in range(options.steps)]
    print(f"seed {options.seed}, {options.steps} steps", flush=True)
    began = time.monotonic()
    problem, counts = run(options.driver, steps)
    print(*(f"{name}: {number}" for name, number in counts.items()), f"{time.monotonic() - began:.1f} s", sep=", ")
    case(f"seed {options.seed}: differences", None, problem and str(problem[1]))
    if problem:
        print(problem[1])
        print(f"again: --seed {options.seed} --steps {problem[0] + 1} [--shrink]")
        if options.shrink:
            for step in shrink(options.driver, steps[:problem[0] + 1]):
                print(step)
    elif options.steps >= 2500:
        case("everything was met", [], [name for name in MUST if not counts.get(name)])
    end()


if __name__ == "__main__":
    main()
