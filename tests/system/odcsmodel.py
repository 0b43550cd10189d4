# SPDX-License-Identifier: MIT
"""tests/system/odcsmodel.py: ODCS in Python, as docs/contract/odcs-api.md describes it: a judge of requests, a
table of composes and a clock. machine.py holds the service's answers to it.

Written from the contract alone, section numbers beside each rule. What the contract leaves to us, or what
we chose otherwise, is marked "ours". An answer is a pair of status and body; body None: any error body of that status (the
contract has no words for it).
"""
import copy, json, time, urllib.parse

DEFAULT_LIFETIME, MAXIMUM_LIFETIME = 86400, 259200
TYPES = ("tag", "module", "repo", "pulp", "raw_config", "build", "pungi_compose")
STATES = ("wait", "generating", "done", "removed", "failed")
FLAGS = ("no_deps", "no_inheritance", "include_unpublished_pulp_repos", "check_deps", "include_done_modules",
         "ignore_absent_pulp_repos", "no_reuse", "use_only_compatible_arch", "no_label")
RESULTS = ("repository", "iso", "ostree", "boot.iso")
MULTILIB = {"none": 0, "runtime": 1, "devel": 2, "all": 4}
SUFFIXES = {"test": ".t", "ci": ".ci", "nightly": ".n", "production": "", "development": ".d"}
PHRASES = {400: "Bad Request", 403: "Forbidden", 404: "Not Found"}
PUNCTUATION = set(" -/_.:#+?$~^,")
BAD_JSON = "<p>The browser (or proxy) sent a request that this server could not understand.</p>"
SAFE = "!$'()*,/:;?@" # of a value in a link
ORDERS = ("id", "owner", "koji_event", "state", "time_to_expire", "time_submitted", "time_done", "time_removed")
LISTS = ("builds", "multilib_method", "packages", "scratch_build_tasks", "scratch_modules", "sigkeys", "modules")
STRINGS = ("base_module_br_name", "base_module_br_stream", "compose_type", "label", "target_dir", "type")
INTEGERS = ("seconds_to_live", "koji_event", "base_module_br_stream_version_lte",
            "base_module_br_stream_version_gte")


class Refusal(Exception):
    def __init__(self, status, message):
        super().__init__(message)
        self.status, self.message = status, message


def bad(message):
    return Refusal(400, message)


def line(value):
    """1.2: compact, sorted, one newline"""
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode() + b"\n"


def iso(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds)) if seconds else None


def differing(want, seen):
    """The members of two answers' bodies that differ, as text; of two lists, those of their items."""
    def members(one, other, lead=""):
        return "".join(f"{lead}{key}: model {one.get(key)!r}, service {other.get(key)!r}\n  "
                       for key in sorted({**one, **other}) if one.get(key) != other.get(key))
    try:
        want, seen = json.loads(want[1]), json.loads(seen[1])
        if "items" not in want or len(want["items"]) != len(seen["items"]):
            return members(want, seen)
        return members(want["meta"], seen["meta"]) + "".join(
            members(one, other, f"item {one['id']}: ") for one, other in zip(want["items"], seen["items"]))
    except (TypeError, ValueError, AttributeError, KeyError):
        return ""


def words(texts, keep_empty=False):
    """Words in the order first seen; ours: each once, cut at blanks as the record joins them by blanks."""
    found = {}
    for text in texts:
        if keep_empty and not text:
            found[""] = True
        found.update((word, True) for word in text.split(" ") if word)
    return list(found)


# ---- 2.7: the value check ---------------------------------------------------------------------------

def check_text(text):
    if not all(c in PUNCTUATION or c.isalnum() for c in text):
        raise bad("Only alphanumerical characters and ' -/_.:#+?$~^,' characters are allowed in ODCS input "
                  "variables")


def check_value(key, value, free=False):
    if isinstance(value, dict):
        raise bad("Only 'source' key is allowed to contain dict.")
    if isinstance(value, list):
        for number, element in enumerate(value):
            check_value(number, element, free or key == "packages")
    elif isinstance(value, str):
        if not free:
            check_text(value)
    elif value is None:
        raise bad("Only dict, list, str, unicode, int, float and bool types are allowed in ODCS input variables, "
                  f"but '{key}' has '<class 'NoneType'>' type")


def check_members(members, top=True):
    for key, value in members.items():
        if key in LISTS and not isinstance(value, list):
            raise bad(f"{key} should be a list")
        if key in STRINGS and not isinstance(value, str):
            raise bad(f"{key} should be a string")
        if key in INTEGERS and not isinstance(value, int):
            raise bad(f"{key} should be an integer")
        if top and key == "source" and isinstance(value, dict):
            check_members(value, False)
        else:
            check_value(key, value)


def load(text):
    try:
        return json.loads(text)
    except ValueError:
        raise bad(BAD_JSON) from None


# ---- 3.1 ---------------------------------------------------------------------------------------------

def lifetime(body):
    value = body["seconds_to_live"] if "seconds_to_live" in body else body.get("seconds-to-live")
    if value in (None, 0, ""):
        return DEFAULT_LIFETIME
    try:
        seconds = int(value)
    except (TypeError, ValueError):
        seconds = -1
    if seconds < 0: # 12: negative is refused
        raise bad(f"Invalid seconds_to_live specified in request: {body!r}")
    return min(seconds, MAXIMUM_LIFETIME)


# ---- 2.6: a request ----------------------------------------------------------------------------------

def string_list(members, key, keep_empty=False):
    """None when absent"""
    value = members.get(key)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise Refusal(400, None) # 12: wrong types are 400
    return words(value, keep_empty)


def string(members, key):
    value = members.get(key)
    if value is not None and not isinstance(value, str):
        raise Refusal(400, None)
    return value or None


def number(members, key):
    """true passes as 1"""
    value = members.get(key)
    if value is not None and value < 0:
        raise Refusal(400, None) # ours
    return None if value is None else int(value)


def read_source(kind, source, members):
    if isinstance(members.get("source"), str):
        source = words([members["source"]])
    elif "source" in members:
        raise Refusal(400, None)
    if not source and kind != "build" and not (kind == "module" and members.get("scratch_modules")):
        raise bad(f"No source provided for {TYPES.index(kind) + 1}")
    if kind == "raw_config":
        if len(source) != 1:
            raise bad('Only single source is allowed for "raw_config" source_type')
        parts = source[0].split("#")
        if len(parts) != 2 or not all(parts):
            raise bad('Source must be in "source_name#commit_hash" format for "raw_config" source_type.')
        if parts[0] != "pungi_cfg":
            raise bad(f'Source "{parts[0]}" does not exist in server configuration.')
    for word in source if kind == "module" else ():
        if ":" not in word and "-" in word[1:-1]: # ours: the seed's form
            continue
        if ":" not in word:
            raise bad(f'Module definition must be in "n:s", "n:s:v" or "n:s:v:c" format, but got {word}')
        if word.split(":")[0] in ("platform", "bootstrap"):
            raise bad(f"ODCS currently cannot create compose with base modules, but {word} was requested.")
    if kind == "repo" and not all(word.startswith("/") for word in source):
        raise Refusal(400, None) # ours: a path that is none is told at once
    return source


def bit_list(body, key, known, what):
    for word in string_list(body, key) or ():
        if word not in known and word != "no_flags":
            raise bad(f"('Unknown {what} %s', {word!r})")
    return [word for word in known if word in (body.get(key) or ())]


def read_request(body):
    """The members that a record shows, from a body that passed rule 4."""
    members = body.get("source")
    if "source_type" in body and not isinstance(members, dict): # 1.1: the flat body of June 2017
        members = dict(body, type=body["source_type"])
        if "source" not in members:
            raise bad("Missing source") if body["source_type"] in TYPES else Refusal(400, None)
    if not isinstance(members, dict):
        raise bad(f"Invalid source configuration provided: {body!r}")
    if "type" not in members:
        raise bad(f"Missing type in source configuration, received: {members!r}")
    kind = members["type"]
    if kind not in TYPES:
        raise bad(f'Unknown source type "{kind}"')
    source = read_source(kind, [], members)
    packages = string_list(members, "packages")
    if packages is not None and not all(word.strip(" ") and "/" not in word for word in members["packages"]):
        raise Refusal(400, None) # ours: such a name could never be found
    if kind == "module" and packages:
        raise bad("Exact packages cannot be set for MODULE source type.") # ours: told at once
    seconds = lifetime(body)
    flags = bit_list(body, "flags", FLAGS, "flag")
    results = bit_list(body, "results", RESULTS, "result")
    method = 0
    for word in string_list(body, "multilib_method") or ():
        if word not in MULTILIB:
            raise bad(f'Unknown multilib method "{word}"')
        method |= MULTILIB[word]
    url, commit = string(members, "module_defaults_url"), string(members, "module_defaults_commit")
    if bool(url) != bool(commit):
        raise bad('The "module_defaults_url" and "module_defaults_commit" must be used together.')
    target_dir = string(body, "target_dir") or "default"
    if target_dir not in ("default", "private"):
        raise bad(f'Unknown "target_dir" "{target_dir}"')
    if source and source[0] == "/forbidden": # 8.3, as far as this site's driver has limits
        raise Refusal(403, "/forbidden: not allowed")
    joined = lambda value: None if value is None else " ".join(value)
    return {
        "source_type": TYPES.index(kind) + 1, "source": " ".join(source), "packages": joined(packages), "flags": flags,
        "results": ["repository"] + [word for word in results if word != "repository"], "multilib_method": method,
        "builds": joined(string_list(members, "builds")),
        "sigkeys": " ".join(string_list(members, "sigkeys", True) or ()),
        "koji_event": number(members, "koji_event"), "arches": " ".join(string_list(body, "arches") or ["x86_64"]),
        "multilib_arches": " ".join(string_list(body, "multilib_arches") or ()),
        "lookaside_repos": " ".join(string_list(body, "lookaside_repos") or ()),
        "modular_koji_tags": joined(string_list(members, "modular_koji_tags")),
        "module_defaults_url": f"{url} {commit}" if url else None, "label": string(body, "label"),
        "compose_type": string(body, "compose_type") or "test", "target_dir": target_dir,
        "scratch_modules": joined(string_list(members, "scratch_modules")),
        "modules": joined(string_list(members, "modules")),
        "scratch_build_tasks": joined(string_list(members, "scratch_build_tasks")),
        "base_module_br_name": string(members, "base_module_br_name"),
        "base_module_br_stream": string(members, "base_module_br_stream"),
        "base_module_br_stream_version_lte": number(members, "base_module_br_stream_version_lte"),
        "base_module_br_stream_version_gte": number(members, "base_module_br_stream_version_gte"),
    }, seconds


# ---- the table of composes ---------------------------------------------------------------------------

class Compose:
    def __init__(self, number, wishes, seconds, now, respin_of=None, owner="unknown"):
        # asked: the request; wishes: as the record shows it, with what was found out
        self.id, self.asked, self.wishes, self.respin_of, self.owner = number, wishes, wishes, respin_of, owner
        self.state, self.reason, self.removed_by, self.reused = "wait", None, None, None
        self.submitted, self.expires = now, now + seconds
        self.started = self.done = self.removed = self.compose_id = self.text = self.inputs = None

    def record(self, url, seed=False, one=False):
        """1.2; 1.1 for the seed's form"""
        tree = f"{url}/composes/odcs-{self.reused or self.id}"
        default = self.wishes["target_dir"] == "default"
        repo = f"{tree}/compose/Temporary" if default and self.wishes["source_type"] != 5 else ""
        record = {
            **self.wishes, "id": self.id, "owner": "Unknown" if seed and self.owner == "unknown" else self.owner,
            "state": STATES.index(self.state),
            "state_name": self.state, "state_reason": self.reason, "time_submitted": iso(self.submitted),
            "time_to_expire": iso(self.expires), "time_started": iso(self.started), "time_done": iso(self.done),
            "time_removed": iso(self.removed), "removed_by": self.removed_by, "koji_task_id": None,
            "pungi_compose_id": self.compose_id, "respin_of": self.respin_of, "parent_pungi_compose_ids": None,
            "result_repo": None if seed and self.state != "done" else repo, "toplevel_url": tree if default else "",
            "result_repofile": f"{repo}/odcs-{self.reused or self.id}.repo" if repo else "",
        }
        if one:
            record["pungi_config_dump"] = None
        return record

    def ended(self, now):
        """3.2: the queue and the build do not eat the lifetime"""
        self.expires = now + max(self.expires - self.submitted, 0)


class Model:
    def __init__(self, url, now):
        self.url, self.now, self.composes = url, now, {}

    def in_state(self, *states):
        return [c for c in self.composes.values() if c.state in states]

    def error(self, refusal):
        if refusal.message is None:
            return refusal.status, None
        return refusal.status, line({"error": PHRASES[refusal.status], "message": refusal.message,
                                     "status": refusal.status})

    def answer(self, function, *values):
        try:
            return function(*values)
        except Refusal as refusal:
            return self.error(refusal)

    def add(self, wishes, seconds, respin_of=None, owner="unknown"):
        number = len(self.composes) + 1
        self.composes[number] = Compose(number, wishes, seconds, self.now, respin_of, owner)
        return self.composes[number]

    def clone(self):
        """what happens to it leaves this one alone"""
        twin = copy.copy(self)
        twin.composes = {number: copy.copy(compose) for number, compose in self.composes.items()}
        return twin

    # ---- 2.5 ----

    def get(self, number, seed=False):
        compose = self.composes.get(number)
        if not compose:
            return self.error(Refusal(404, "No such compose found."))
        return 200, line(compose.record(self.url, seed, not seed))

    # ---- 2.4 ----

    def matching(self, query):
        found = [c.record(self.url) for c in self.composes.values()]
        for key in ("owner", "source", "pungi_compose_id", "compose_type", "label"):
            if query.get(key):
                found = [r for r in found if r[key] == query[key]]
        for key in ("state", "source_type", "koji_task_id"):
            if query.get(key):
                found = [r for r in found if str(r[key]) == query[key]]
        order = query.get("order_by", "-id")
        key = order.removeprefix("-")
        if key not in ORDERS:
            raise bad("An invalid order_by key was suplied, allowed keys are: ['id', 'owner', 'source_Type', "
                      "'koji_event', 'state', 'time_to_expire', 'time_submitted', 'time_done', 'time_removed']")
        # null comes first, as in SQLite; ours: equal ones by id
        return sorted(found, key=lambda r: (r[key] is not None, r[key] if r[key] is not None else 0, r["id"]),
                      reverse=order.startswith("-"))

    def list(self, arguments, seed=False):
        """@arguments: [(name, value)], each name once"""
        def number(key, default):
            try:
                return int(query.get(key, default))
            except ValueError:
                return default

        def link(page):
            return f"{self.url}/{'odcs' if seed else 'api'}/1/composes/?page={page}&per_page={size}{tail}"

        query = dict(arguments)
        found = self.matching(query)
        page, size = number("page", 1), number("per_page", 10)
        page, size = max(page, 1), min(size if size >= 0 else 20, 500) # ours: 500 at most
        pages = -(-len(found) // size) if size else 0
        tail = "".join(f"&{name}={urllib.parse.quote(value, SAFE)}" for name, value in arguments
                       if name not in ("page", "per_page", "endpoint") and not name.startswith("_"))
        items = found[(page - 1) * size:page * size]
        if seed:
            items = [self.composes[r["id"]].record(self.url, True) for r in items]
        return 200, line({"items": items, "meta": {
            "first": link(1), "last": link(pages), "next": link(page + 1) if page < pages else None,
            "page": page, "pages": pages, "per_page": size, "prev": link(page - 1) if page > 1 else None,
            "total": len(found)}})

    # ---- 2.6 ----

    def post(self, text, seed=False):
        body = load(text)
        if not body:
            raise bad("No JSON POST data submitted")
        if not isinstance(body, dict):
            raise Refusal(400, None)
        check_members(body)
        if seed and "id" in body and "source" not in body and "source_type" not in body:
            return self.renew(body["id"], body, True, bad(f"No expired or failed compose with id {body['id']}"))
        compose = self.add(*read_request(body))
        compose.text = text
        return 200, line(compose.record(self.url, seed))

    # ---- 2.8 ----

    def patch(self, number, text, seed=False):
        body = load(text) if text else {}
        if not isinstance(body, dict):
            raise Refusal(400, None)
        check_members(body)
        return self.renew(number, body, seed, Refusal(404, f"No compose with id {number} found"))

    def renew(self, number, body, seed, unknown):
        old = self.composes.get(number)
        if not old or old.state in ("wait", "generating"):
            raise unknown
        source = body.get("source") if isinstance(body.get("source"), dict) else {}
        for key, members in (("builds", source), ("modules", source), ("sigkeys", body)):
            if not all(isinstance(word, str) for word in members.get(key, ())):
                raise Refusal(400, None)
        seconds = lifetime(body)
        label = body.get("label")
        wishes = {**old.asked, "source": old.wishes["source"], "koji_event": old.wishes["koji_event"]}
        new = old.state != "done" or "builds" in source or "modules" in source
        if label and label != old.wishes["label"]: # given and different
            new, wishes["label"] = True, label
        if "sigkeys" in body and " ".join(words(body["sigkeys"], True)) != old.wishes["sigkeys"]:
            new, wishes["sigkeys"] = True, " ".join(words(body["sigkeys"], True))
        for key in ("builds", "modules"):
            if key in source:
                wishes[key] = " ".join(words(source[key]))
        if old.removed_by: # ours: who deleted it was promised that it goes
            new = True
        if new:
            compose = self.add(wishes, seconds, old.compose_id)
            return 200, line(compose.record(self.url, seed))
        self.extend(old, seconds)
        return 200, line(old.record(self.url, seed))

    def extend(self, compose, seconds):
        """never shorter; one hop along reuse, both ways; ours: nobody who was deleted comes back"""
        compose.expires = max(compose.expires, self.now + seconds)
        for other in self.composes.values():
            kin = other.reused == compose.id or other.id == compose.reused
            if kin and other.state == "done" and not other.removed_by:
                other.expires = max(other.expires, compose.expires)

    def set_ttl(self, compose, seconds):
        """tree.md 3, ttl: to the second, also shorter; who shares its tree lives at least as long"""
        compose.expires = self.now + seconds
        self.extend(compose, seconds)

    # ---- 2.9 ----

    def delete(self, number):
        compose = self.composes.get(number)
        if not compose:
            raise Refusal(404, "No such compose found.")
        if compose.state == "wait":
            self.cancel(compose, "anonymous") # 12: no 500
            return 202, line({"message": f"Compose (id={number}) has been canceled", "status": 202})
        if compose.state not in ("done", "failed"):
            raise bad(f"Compose (id={number}) can not be removed, its state need to be in ['done', 'failed'].")
        self.end(compose, "anonymous")
        return 202, line({"message": f"The delete request for compose (id={number}) has been accepted and will be "
                          "processed by backend later.", "status": 202})

    # ---- 3.3, 3.4, 4: what back end and clock do ----

    def claim(self, compose=None):
        """the oldest, when there is one owner only"""
        compose = compose or min(self.in_state("wait"), key=lambda c: c.id, default=None)
        if compose:
            compose.state, compose.reason, compose.started = "generating", "Compose thread started", self.now
            compose.compose_id = (f"odcs-{compose.id}-1-{time.strftime('%Y%m%d', time.gmtime(self.now))}"
                                  f"{SUFFIXES.get(compose.wishes['compose_type'], '.t')}.0")
        return compose.id if compose else 0

    def finish(self, compose, event=None, source=None):
        compose.state, compose.reason, compose.done = "done", "Compose is generated successfully", self.now
        compose.ended(self.now)
        for key, value in (("koji_event", event), ("source", source)):
            if value is not None:
                compose.wishes = {**compose.wishes, key: value}

    def reusable(self, compose):
        return compose.asked["source_type"] not in (4, 5) and "no_reuse" not in compose.asked["flags"]

    def resolve(self, compose, event, inputs):
        """4, 5: what it means is known; ours: @inputs stands for all that was read to find out"""
        compose.reason = "Compose is generating"
        if event is not None:
            compose.wishes = {**compose.wishes, "koji_event": event}
        compose.inputs = inputs if self.reusable(compose) else None

    def same_question(self, compose, old):
        def question(one):
            as_set = [frozenset(one.asked[key].split(" ") if one.asked[key] else ()) for key in
                      ("packages", "builds", "sigkeys", "arches", "lookaside_repos", "multilib_arches",
                       "modular_koji_tags", "scratch_modules", "modules", "scratch_build_tasks")]
            return as_set + [one.respin_of] + [one.asked[key] for key in
                                               ("source_type", "source", "flags", "results", "module_defaults_url",
                                                "target_dir", "multilib_method")]

        return question(compose) == question(old)

    def candidate(self, compose, event, inputs):
        """5: done ones, newest first, then generating ones that were resolved, oldest first"""
        def fits(old):
            theirs = old.wishes["koji_event"]
            same_event = theirs == event or (compose.asked["source_type"] == 1 and
                                             (event is None or theirs is None or theirs < event))
            return (old.id < compose.id and not old.reused and old.inputs is not None and old.inputs == inputs and
                    same_event and self.same_question(compose, old))

        if not self.reusable(compose):
            return None
        done = [old for old in self.in_state("done") if fits(old) and not old.removed_by and old.expires > self.now]
        made = [old for old in self.in_state("generating") if fits(old) and old.reason == "Compose is generating"]
        return max(done, key=lambda old: old.id, default=min(made, key=lambda old: old.id, default=None))

    def may_reuse(self, compose, old):
        return (compose.state == "generating" and old.state == "done" and old.id < compose.id and
                old.expires > self.now and not old.removed_by and not old.reused)

    def reuse(self, compose, old):
        """3.2, 5: both live until the later of their times; the tree is the other's, and (ours) so is what was found
        out, down to the order of words that are compared as sets"""
        self.finish(compose)
        compose.expires = old.expires = max(compose.expires, old.expires)
        compose.reused, compose.compose_id, compose.inputs = old.id, old.compose_id, None
        shown = {key: old.wishes[key] for key in ("arches", "sigkeys", "source", "koji_event")}
        if shown["koji_event"] is None:
            shown["koji_event"] = compose.asked["koji_event"]
        compose.wishes = {**compose.wishes, **shown}

    def fail(self, compose, reason):
        compose.state, compose.reason = "failed", reason
        compose.ended(self.now)

    def cancel(self, compose, who):
        self.fail(compose, f"Canceled by {who}")

    def end(self, compose, who):
        """it goes with the next clean-up"""
        compose.expires, compose.removed_by = self.now, who

    def unclaim(self, compose):
        """ours: it is taken up anew; the event that was found out is shown until then"""
        compose.state, compose.reason, compose.started, compose.compose_id = "wait", None, None, None
        compose.inputs = None

    def requeue(self):
        """ours: what a dead service was making is made again"""
        for compose in self.in_state("generating"):
            self.unclaim(compose)

    def expire(self):
        """ours: at its time, not after it"""
        due = [c for c in self.in_state("done", "failed") if c.expires <= self.now]
        for compose in due:
            self.remove(compose)
        return len(due)

    def remove(self, compose):
        words_ = f"Removed by {compose.removed_by}." if compose.removed_by else "Compose is expired."
        compose.reason = f"{compose.reason}\n{words_}" if compose.reason else words_
        compose.state, compose.removed = "removed", self.now
