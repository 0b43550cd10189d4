#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tests/unit/modules/streams.py: another opinion on what a word means, through libmodulemd's binding for Python.

    streams.py MODULES-SPEAK SOURCE-ROOT

For every stream of every file: the set that modules_resolve() finds is the one worked out here, all contexts of the
newest version, and closed; what modules_yaml() writes is read again by libmodulemd, strictly, and holds
just this set, with the defaults of its modules. Skips what is not on this machine."""
import os, pathlib, subprocess, sys

try:
    import gi
    gi.require_version("Modulemd", "2.0")
    from gi.repository import Modulemd
except (ImportError, ValueError) as error:
    print(f"skipped: libmodulemd's binding for Python: {error}")
    sys.exit(77)

BASE = {"platform", "bootstrap"}
failures = checks = 0


def check(good, *words):
    global failures, checks
    checks += 1
    if not good:
        failures += 1
        print("FAILED:", *words)


class Speaker:
    def __init__(self, program, files):
        self.child = subprocess.Popen([program, *map(str, files)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=subprocess.DEVNULL)

    def ask(self, line):
        self.child.stdin.write(f"{line}\n".encode())
        self.child.stdin.flush()
        kind, _, rest = self.child.stdout.readline().decode().rstrip("\n").partition(" ")
        return kind, self.child.stdout.read(int(rest)).decode() if kind == "yaml" else rest

    def end(self):
        self.child.stdin.close()
        check(self.child.wait() == 0, "modules-speak ends with", self.child.returncode)


def nsvc(stream):
    return ":".join(map(str, (stream.get_module_name(), stream.get_stream_name(), stream.get_version(),
                              stream.get_context()))).removesuffix(":None")


class World:
    """what documents say, one by one, so that a bad one spoils no other"""

    def __init__(self, files):
        self.streams, self.defaults = {}, set()
        for file in files:
            for text in ("\n" + file.read_text()).split("\n---\n")[1:]:
                index = Modulemd.ModuleIndex.new()
                try:
                    good, _ = index.update_from_string("---\n" + text, False)
                except gi.repository.GLib.GError:
                    good = False
                for name in index.get_module_names() if good else []:
                    index.upgrade_streams(Modulemd.ModuleStreamVersionEnum.TWO)
                    module = index.get_module(name)
                    if module.get_defaults():
                        self.defaults.add(name)
                    for stream in module.get_all_streams():
                        self.streams.setdefault(name, {}).setdefault(stream.get_stream_name(), []).append(stream)

    def newest(self, name, stream):
        found = self.streams.get(name, {}).get(stream, [])
        version = max((one.get_version() for one in found), default=None)
        return [one for one in found if one.get_version() == version]

    def wanted(self, name, streams):
        """names of streams that a requirement asks for, and that there are"""
        named = [stream for stream in streams if not stream.startswith("-")]
        there = named or self.streams.get(name, {})
        return {stream for stream in there if "-" + stream not in streams and self.newest(name, stream)}

    def closed(self, name, stream):
        """n:s:v:c of all that it takes, or None when something is not there"""
        todo, done = {(name, stream)}, set()
        while todo:
            at = todo.pop()
            done.add(at)
            for one in self.newest(*at):
                satisfied = not one.get_dependencies()
                for dependencies in one.get_dependencies():
                    whole = True
                    for need in set(dependencies.get_runtime_modules()) - BASE:
                        found = self.wanted(need, dependencies.get_runtime_streams(need))
                        whole = whole and bool(found)
                        todo |= {(need, found) for found in found} - done
                    satisfied = satisfied or whole
                if not satisfied:
                    return None
        return {nsvc(one) for at in done for one in self.newest(*at)}


def check_yaml(world, word, names, arch, text):
    of_arch = {nsvc(one) for streams in world.streams.values() for all in streams.values() for one in all
               if one.get_arch() in (None, arch)}
    names = names & of_arch
    index = Modulemd.ModuleIndex.new()
    good, bad = index.update_from_string(text, True)
    check(good and not bad, word, "libmodulemd refuses what was written")
    found = {nsvc(one) for name in index.get_module_names() for one in index.get_module(name).get_all_streams()}
    check(found == names, word, "written:", found ^ names)
    modules = {one.split(":")[0] for one in names}
    defaults = {name for name in index.get_module_names() if index.get_module(name).get_defaults()}
    check(defaults == modules & world.defaults, word, "defaults:", defaults)
    for name in modules:
        for one in index.get_module(name).get_all_streams():
            originals = world.newest(name, one.get_stream_name())
            same = [other for other in originals if other.get_context() == one.get_context()
                    and other.get_arch() in (None, arch)]
            check(any(sorted(other.get_rpm_artifacts()) == sorted(one.get_rpm_artifacts()) for other in same), nsvc(one),
                  "has other artifacts")
            check(one.get_arch() == arch, nsvc(one), "is of", one.get_arch())


def check_file(program, file):
    world, speaker = World([file]), Speaker(program, [file])
    count = larger = missing = 0
    for name in sorted(world.streams):
        for stream in sorted(world.streams[name]):
            word = f"{name}:{stream}"
            want = world.closed(name, stream)
            kind, answer = speaker.ask(f"resolve {word}")
            count += 1
            if kind == "error" and "broken" in word: # a newer version of it cannot be read
                check("an alias" in answer, word, answer)
                continue
            if want is None:
                missing += 1
                check(kind == "error" and answer.startswith("ENOENT") and "It is needed by" in answer, word, answer)
                continue
            got = dict(pair.split("=") for pair in answer.split()) if kind == "set" else answer
            check(kind == "set" and set(got) == want, word, "got", got, "want", want)
            if kind != "set":
                continue
            larger += len(got) > 1
            for one, why in got.items():
                check(why == "requested" if one.startswith(word + ":") else why in got, word, one, why)
            for arch in {one.get_arch() or "x86_64" for one in world.newest(name, stream)}:
                check_yaml(world, word, want, arch, speaker.ask(f"yaml {arch} {word}")[1])
    speaker.end()
    print(f"{file.name}: {count} streams, {larger} take more than one document, {missing} lack something")


def main(program, root):
    root = pathlib.Path(root)
    shared = pathlib.Path(os.environ.get("ODCSFS_SHARED", root / "../shared")) / "data/modules"
    check_file(program, root / "tests/data/modules/small.yaml")
    for name in ("f29.yaml", "f29-updates.yaml", "centos-stream-9-appstream.yaml", "search_streams.yaml",
                 "static_context.yaml"):
        if (shared / name).exists():
            check_file(program, shared / name)
        else:
            print(f"skipped: {name}: no such data on this machine")
    print(f"{checks} checks, {failures} failed")
    return failures > 0 or checks == 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
