# SPDX-License-Identifier: MIT
"""tests/system/kojikit.py: tags of our own for the replaying hub, made of the builds that lie below its topdir."""
import pathlib, shutil, subprocess

import replayhub

QUERY = ("%{name}\\t%{epoch}\\t%{version}\\t%{release}\\t%{buildtime}\\t%{sigmd5}\\n")


def headers(files):
    """what the RPMs say of themselves, many in each call of rpm"""
    said = []
    for first in range(0, len(files), 1000):
        said += subprocess.run(["rpm", "-qp", "--nosignature", "--qf", QUERY, *map(str, files[first:first + 1000])],
                               capture_output=True, text=True, check=True).stdout.splitlines()
    return [line.split("\t") for line in said]


class Builds:
    """the builds below @topdir, in the words of a hub; @without: packages that are not looked at (there are many)"""

    def __init__(self, topdir, without="bulk"):
        self.topdir, self.build, self.rpms = pathlib.Path(topdir), {}, {}
        self.number = 5000
        folders = [f for f in sorted(self.topdir.glob("packages/*/*/*")) + sorted(self.topdir.glob("vol/*/packages/*/*/*"))
                   if f.is_dir() and not f.is_symlink() and not f.parts[-3].startswith(without)]
        files = {folder: self.files(folder) for folder in folders}
        said = iter(headers([file for folder in folders for file in files[folder]]))
        for folder in folders:
            self.add(folder, [(file, next(said)) for file in files[folder]])

    @staticmethod
    def files(folder):
        return sorted(file for file in folder.glob("*/*.rpm") if file.parent.name != "data")

    def read(self, folder):
        """a build that appeared there; its NVR"""
        files = self.files(pathlib.Path(folder))
        return self.add(pathlib.Path(folder), list(zip(files, headers(files))))

    def add(self, folder, files):
        if not files:
            return None
        name, version, release = folder.parts[-3:]
        volume = folder.parts[-5] if folder.parts[-6] == "vol" else "DEFAULT"
        self.number += 1
        nvr, when = f"{name}-{version}-{release}", "2026-11-23 06:19:22.354001+00:00"
        self.build[nvr] = {
            "build_id": self.number, "completion_time": when, "create_event": 300, "creation_event_id": 200,
            "creation_time": when, "draft": False, "epoch": None, "id": self.number, "name": name, "nvr": nvr,
            "owner_id": 1, "owner_name": "kojiadmin", "package_id": self.number, "package_name": name, "release": release,
            "start_time": when, "state": 1, "tag_id": 1, "tag_name": "own", "task_id": None, "version": version,
            "volume_id": 0, "volume_name": volume}
        self.rpms[nvr] = [self.row(self.build[nvr]["id"], file, said) for file, said in files]
        return nvr

    def row(self, build, file, said):
        name, epoch, version, release, buildtime, md5 = said
        self.number += 1
        return {"arch": file.parent.name, "build_id": build, "buildroot_id": None, "buildtime": int(buildtime),
                "draft": False, "epoch": None if epoch == "(none)" else int(epoch), "extra": None, "id": self.number,
                "metadata_only": False, "name": name, "payloadhash": md5, "release": release,
                "size": file.stat().st_size, "version": version}


def lay_out(files, topdir):
    """copies of RPMs where Koji would have them, each a build of its own"""
    for file in files:
        name, version, rest = file.name.rsplit("-", 2)
        release, arch, _ = rest.rsplit(".", 2)
        folder = topdir / "packages" / name / version / release / arch
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, folder)


class Tag:
    """a tag that holds some of @builds: content[event] is a list of NVRs, valid from that event on"""

    def __init__(self, hub, name, builds, content, id=7000, arches="x86_64 aarch64", inherited=()):
        self.hub, self.name, self.builds, self.content, self.id, self.arches = hub, name, builds, content, id, arches
        self.inherited = set(inherited) # NVRs that a parent has
        self.drafts = {} # NVR that is one: the build of its package that is the latest without it, or None
        self.kept = {} # answers of keep()
        self.edit = lambda rpms, found: None # what a test wants to be wrong
        hub.koji.made[name] = hub.koji.made[id] = self
        hub.koji.changed[id] = max(content)

    def set(self, event, nvrs):
        """from that event on it holds these"""
        self.content[event] = nvrs
        self.hub.koji.event = self.hub.koji.changed[self.id] = event

    def keep(self, arches):
        """make the answer for these arches now, so that it costs no time then"""
        bound = {"event": None, "inherit": True, "arch": arches}
        self.kept[tuple(sorted(arches)), max(self.content)] = self.answer("listTaggedRPMS", bound)

    def answer(self, method, bound):
        if method == "getTag":
            return replayhub.response({"arches": self.arches, "id": self.id, "name": self.name, "extra": {}})
        if method == "getFullInheritance":
            return replayhub.response([])
        event = bound["event"] or self.hub.koji.event
        kept = self.kept.get((tuple(sorted(bound["arch"])), max(e for e in self.content if e <= event)))
        if kept:
            return kept
        nvrs = self.content[max(e for e in self.content if e <= event)]
        nvrs = [nvr for nvr in nvrs if bound["inherit"] or nvr not in self.inherited]
        if bound.get("draft") is False:
            nvrs = [self.drafts.get(nvr, nvr) for nvr in nvrs if self.drafts.get(nvr, nvr)]
        arches = [bound["arch"]] if isinstance(bound["arch"], str) else bound["arch"]
        rpms = [dict(rpm) for nvr in nvrs for rpm in self.builds.rpms[nvr] if not arches or rpm["arch"] in arches]
        found = [{**self.builds.build[nvr], "draft": nvr in self.drafts} for nvr in nvrs]
        self.edit(rpms, found)
        return replayhub.response([rpms, found])
