#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tests/system/tag.py: composes of Koji tags and builds, from a hub that answers from recordings and the files that
those speak of."""
import hashlib, os, pathlib, re, shutil, subprocess, sys, time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import *
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "unit/header"))
import craft, kojikit, replayhub
from tagkit import Field, build_spec, check_dnf, check_expected, forget, recorded_hub, repodata, restart_worker, tag_spec

TIME = 1795415750 # of event 536, in whole seconds

# ---- which files ------------------------------------------------------------------------

def test_content(field):
    """what is shown is what lies below topdir, and the metadata says its checksum"""
    number = field.compose(tag_spec("f26-candidate", sigkeys=["A4F1CD23", ""]))
    record = field.service.record(number)
    same((record["koji_event"], record["sigkeys"], record["arches"]), (536, "A4F1CD23 ", "x86_64"), "the record")
    tree = field.service.tree(number)
    for folder in ("x86_64/os", "source/tree"):
        primary = repodata(tree / folder, "primary")
        count = 0
        for file in sorted((tree / folder).rglob("*.rpm")):
            origin = os.getxattr(file, "user.odcs.origin_url").decode().removeprefix("file://")
            content = pathlib.Path(origin).read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            same(file.read_bytes(), content, f"bytes of {file.name}")
            element = next(e for e in primary.split("<package ")[1:] if f"/{file.name}\"" in e)
            check(f'pkgid="YES">{digest}<' in element and f'href="Packages/{file.name[0].lower()}/{file.name}"' in element,
                  f"the element of {file.name}: {element[:400]}")
            same(os.getxattr(file, "user.odcs.sha256").decode(), digest, f"sha256 of {file.name}")
            for kind in ("filelists", "other"):
                check(f'pkgid="{digest}"' in repodata(tree / folder, kind), f"{kind} of {file.name}")
            count += 1
        same(primary.count("<package "), count, f"packages in {folder}")
    repomd = (tree / "x86_64/os/repodata/repomd.xml").read_text()
    same(set(re.findall("<(?:revision|timestamp)>(.*?)</", repomd)), {str(TIME)}, "revision and timestamps")


def test_tags(field):
    """inheritance, events, filters, blocks and volumes are the hub's: what it lists is what is composed"""
    base = {"apr-1.6.3", "apr-devel-1.6.3", "apr-util-1.6.0", "apr-util-openssl-1.6.0", "ed-1.14.2", "glibc-fake-2.25",
            "glibc-fake-common-2.25", "httpd-2.4.27", "httpd-devel-2.4.27", "httpd-filesystem-2.4.27", "httpd-tools-2.4.27",
            "mod_ssl-2.4.27", "openssl-1.1.0f", "openssl-libs-1.1.0f", "python2-six-1.10.0", "python3-six-1.10.0",
            "richdeps-0.1", "tzdata-2017b"}
    now = field.compose(tag_spec("f26-candidate"))
    same(field.names(now), base, "f26-candidate")
    same(field.origins(now)["tzdata-2017b-1.fc26.noarch"],
         "vol/archive/packages/tzdata/2017b/1.fc26/noarch/tzdata-2017b-1.fc26.noarch.rpm", "a build on another volume")
    then = field.compose(tag_spec("f26-candidate", event=354))
    same(field.names(then) - base, {"bash-fake-4.4.12"}, "event 354, before it was blocked")
    same(field.service.record(then)["koji_event"], 354, "the event of the record")
    override = field.compose(tag_spec("f26-build"))
    same(field.names(override), base - {"apr-1.6.3", "apr-devel-1.6.3"} | {"apr-1.6.2", "apr-devel-1.6.2"}, "f26-build")
    filtered = field.compose(tag_spec("f26-filtered"))
    same({name.rsplit("-", 1)[0] for name in field.names(filtered)},
         {"apr", "apr-devel", "apr-util", "apr-util-openssl", "httpd", "httpd-devel", "httpd-filesystem", "httpd-tools",
          "mod_ssl"}, "f26-filtered")
    for tag in ("f26-shallow", "f26-empty"):
        number = field.compose(tag_spec(tag))
        same(field.names(number), set(), tag)
        same(repodata(field.service.tree(number) / "x86_64/os", "primary").count("<package "), 0, f"primary of {tag}")
    # tags that were not recorded, made of the same builds
    nvr = {build.rsplit("-", 2)[0]: build for build in field.builds.build}
    f26 = [nvr[n] for n in ("ed", "python-six", "tzdata", "glibc-fake", "openssl", "apr-util")]
    kojikit.Tag(field.hub, "own-f26", field.builds, {1: f26}, id=7001)
    kojikit.Tag(field.hub, "own-updates", field.builds, {1: f26 + ["richdeps-0.1-1.fc26", "apr-1.6.2-1.fc26"]}, id=7002,
                inherited=f26)
    same({name.rsplit("-", 1)[0] for name in field.names(field.compose(tag_spec("own-f26")))},
         {"ed", "python2-six", "python3-six", "tzdata", "glibc-fake", "glibc-fake-common", "openssl", "openssl-libs",
          "apr-util", "apr-util-openssl"}, "a tag without parents")
    number = field.compose(tag_spec("own-updates", flags=["no_inheritance"]))
    same(field.names(number), {"richdeps-0.1", "apr-1.6.2", "apr-devel-1.6.2"}, "no_inheritance")
    nginx = next(build for build in field.builds.build if build.startswith("nginx-"))
    kojikit.Tag(field.hub, "module-nginx-own", field.builds, {1: [nginx]}, id=7003)
    number = field.compose(tag_spec("module-nginx-own", arches=["x86_64", "aarch64"]))
    want = {f"{r['name']}-{r['version']}-{r['release']}.{r['arch']}" for r in field.builds.rpms[nginx]
            if r["arch"] in ("x86_64", "aarch64", "noarch", "src")}
    same(set(field.origins(number)), want, "the content of a module as a plain tag")
    # without arches of its own, as with: the request's are what counts
    kojikit.Tag(field.hub, "own-noarches", field.builds, {1: f26}, id=7004, arches=None)
    same(field.names(field.compose(tag_spec("own-noarches"))), field.names(field.compose(tag_spec("own-f26"))), "no arches")


def test_choice(field):
    """packages and what they require, from the tag and from a lookaside repository"""
    number = field.compose(tag_spec("f26-candidate", packages=["apr-util"]))
    same(field.names(number), {"apr-util-1.6.0", "apr-1.6.3", "glibc-fake-2.25", "glibc-fake-common-2.25"}, "with its needs")
    same(set(field.origins(number, "source")), {"apr-util-1.6.0-1.fc26.src", "apr-1.6.3-1.fc26.src",
                                                "glibc-fake-2.25-7.fc26.src"}, "and the sources of these")
    alone = field.compose(tag_spec("f26-candidate", packages=["apr-util"], flags=["no_deps"]))
    same(field.names(alone), {"apr-util-1.6.0"}, "no_deps")
    words = field.error(tag_spec("f26-candidate", packages=["httpd"], flags=["check_deps"]))
    check("requires /usr/bin/bash" in words, f"check_deps: {words}")
    words = field.error(tag_spec("f26-candidate", packages=["apr", "nonesuch"]))
    same(words, "The following requested packages are not present in the generated compose: nonesuch.", "an unknown name")
    side = field.service.dir / "side"
    side.mkdir(exist_ok=True)
    shutil.copy(next(field.topdir.glob("packages/apr/1.6.2/*/x86_64/apr-1.6.2*.rpm")), side)
    subprocess.run(["createrepo_c", "-q", str(side)], check=True)
    number = field.compose(tag_spec("f26-candidate", packages=["apr-util"], lookaside_repos=[str(side)]))
    check("apr-1.6.3" not in field.names(number) and "apr-util-1.6.0" in field.names(number), "what is aside stays aside")


def test_arches(field):
    number = field.compose(tag_spec("f26-candidate", packages=["apr", "tzdata"], arches=["x86_64", "aarch64"]))
    origins = field.origins(number)
    check({"apr-1.6.3-1.fc26.aarch64", "apr-1.6.3-1.fc26.x86_64", "tzdata-2017b-1.fc26.noarch"} <= set(origins), origins)
    check(not any(name.endswith(".i686") for name in origins), "no i686")
    for arch in ("x86_64", "aarch64"):
        check(list((field.service.tree(number) / arch / "os").rglob("tzdata-*.noarch.rpm")), f"noarch in {arch}")
    listed = [r for r in field.hub.requests if r[0] == "listTaggedRPMS"][-1]
    same(sorted(listed[2]["arch"]), ["aarch64", "noarch", "nosrc", "src", "x86_64"], "arches that the hub is asked for")
    check(listed[2]["latest"] is True and listed[2]["inherit"] is True and not listed[2].get("rpmsigs"), listed)
    same(field.error(tag_spec("f26-candidate", arches=["x86_65"])), 'arches: Unknown arch "x86_65"', "unknown arch")


def craft_build(field, name, noarch, **limits):
    """a build of @noarch packages, and its source package with ExclusiveArch or ExcludeArch; its NVR"""
    folder = field.topdir / "packages" / name / "1" / "1"
    for package, arch in [(name, "src")] + [(package, "noarch") for package in noarch]:
        tags = craft.basic(package, arch="x86_64" if arch == "src" else arch)
        if arch == "src":
            del tags[craft.SOURCERPM]
            tags[craft.SOURCEPACKAGE] = craft.int32(1)
            tags.update({getattr(craft, tag): craft.texts(*arches) for tag, arches in limits.items()})
        else:
            tags[craft.SOURCERPM] = craft.text(f"{name}-1-1.src.rpm")
        (folder / arch).mkdir(parents=True, exist_ok=True)
        (folder / arch / f"{package}-1-1.{arch}.rpm").write_bytes(craft.rpm(tags, source=arch == "src"))
    return field.builds.read(folder)


def test_noarch(field):
    """noarch packages go where their source package may be built"""
    builds = [craft_build(field, "l-any", ["l-any"]),
              craft_build(field, "l-only", ["l-only", "l-only-doc"], EXCLUSIVEARCH=["aarch64", "noarch"]),
              craft_build(field, "l-never", ["l-never"], EXCLUDEARCH=["x86_64", "s390x"]),
              craft_build(field, "l-both", ["l-both"], EXCLUSIVEARCH=["i686", "x86_64"], EXCLUDEARCH=["aarch64"])]
    kojikit.Tag(field.hub, "own-limits", field.builds, {1: builds}, id=7020)
    want = {"x86_64": {"l-any", "l-both"}, "aarch64": {"l-any", "l-only", "l-only-doc", "l-never"},
            "i686": {"l-any", "l-never", "l-both"}}
    for again in range(3): # the second one has the snapshot, the third one no records beside it
        number = field.compose(tag_spec("own-limits", arches=list(want), flags=["no_reuse"]))
        for arch, names in want.items():
            have = {file.name.rsplit("-", 2)[0] for file in (field.service.tree(number) / arch / "os").rglob("*.rpm")}
            same(have, names, f"noarch in {arch}")
        if again < 2:
            restart_worker(field.service)
        if again == 1:
            forget(field.service, "headers")
    words = field.error(tag_spec("own-limits", packages=["l-only"]))
    check("not present in the generated compose: l-only." in words, words)
    field.compose(tag_spec("own-limits", packages=["l-only"], arches=["x86_64", "aarch64"]))


def library_build(field, name, shipped):
    """a build of package @name for two arches; shipped: arch -> the files of it; its NVR"""
    folder = field.topdir / "packages" / name / "1/1"
    for arch, paths in shipped.items():
        tags = craft.files(craft.basic(name, arch=arch), *paths)
        tags[craft.SOURCERPM] = craft.text(f"{name}-1-1.src.rpm")
        (folder / arch).mkdir(parents=True)
        (folder / arch / f"{name}-1-1.{arch}.rpm").write_bytes(craft.rpm(tags))
    return field.builds.read(folder)


def multilib_runtime(field):
    """a package beside is wanted when it ships a shared library itself, in a directory of libraries"""
    builds = [library_build(field, "m-lib", {"x86_64": ["/usr/lib64/libm.so.1"], "i686": ["/usr/lib/libm.so.1"]}),
              library_build(field, "m-here", {"x86_64": ["/usr/lib64/libh.so.1"], "i686": ["/usr/share/libh.so.1"]}),
              library_build(field, "m-plugin", {"x86_64": ["/usr/lib64/p/x.so.1"], "i686": ["/usr/lib/p/x.so.1"]}),
              library_build(field, "m-link", {"x86_64": ["/usr/lib64/libl.so"], "i686": ["/usr/lib/libl.so"]}),
              library_build(field, "m-tool", {"x86_64": ["/usr/bin/tool"], "i686": ["/usr/bin/tool"]})]
    kojikit.Tag(field.hub, "own-libraries", field.builds, {1: builds}, id=7022)
    for packages in None, ["m-lib", "m-tool"]:
        number = field.compose(tag_spec("own-libraries", packages=packages, multilib_arches=["x86_64"], multilib_method=["runtime"]))
        same({name for name in field.origins(number) if name.endswith(".i686")}, {"m-lib-1-1.i686"}, f"runtime, {packages}")


def test_multilib(field):
    """packages of i686 beside those of x86_64"""
    number = field.compose(tag_spec("f26-candidate", packages=["apr-devel", "tzdata"], multilib_arches=["x86_64"],
                                    multilib_method=["devel"]))
    same(field.service.record(number)["multilib_method"], 2, "the record's number")
    os_names = {file.name for file in (field.service.tree(number) / "x86_64/os").rglob("*.rpm")}
    same({name for name in os_names if ".i686." in name}, {"apr-devel-1.6.3-1.fc26.i686.rpm"}, "the devel package")
    check("apr-1.6.3-1.fc26.x86_64.rpm" in os_names, "what it requires is there already")
    why = next((field.service.tree(number) / "x86_64/os").rglob("apr-devel-*.i686.rpm"))
    same(os.getxattr(why, "user.odcs.reason"), b"multilib of apr-devel-1.6.3-1.fc26.x86_64", "the reason")
    check("i686" in [r for r in field.hub.requests if r[0] == "listTaggedRPMS"][-1][2]["arch"], "i686 is asked for")
    # of the i686 packages only those that are chosen are hashed, also when everything of the tag is wanted
    forget(field.service, "headers")
    number = field.compose(tag_spec("f26-candidate", multilib_arches=["x86_64"], multilib_method=["devel"]))
    chosen = field.origins(number)
    beside = sum(name.endswith(".i686") for name in chosen)
    check(0 < beside < sum(not name.endswith((".i686", ".src")) for name in chosen), f"some of i686: {beside}")
    check(f"checksums of {len(chosen)} packages" in field.log(), f"{len(chosen)} are hashed: {field.log()}")
    number = field.compose(tag_spec("f26-candidate", multilib_arches=["x86_64"], multilib_method=["all"]))
    have = {name.rsplit(".", 1)[1]: 0 for name in field.origins(number)}
    for name in field.origins(number):
        have[name.rsplit(".", 1)[1]] += 1
    same(have["i686"], have["x86_64"], "everything has a sibling here")
    multilib_runtime(field)


# ---- builds -----------------------------------------------------------------------------

def test_builds(field):
    field.hub.clear()
    number = field.compose(build_spec(["apr-1.6.2-1.fc26", "ed-1.14.2-1.fc26"]))
    record = field.service.record(number)
    same((record["source"], record["koji_event"]), ("", None), "a build compose's record")
    same(field.names(number), {"apr-1.6.2", "apr-devel-1.6.2", "ed-1.14.2"}, "exactly these")
    same(set(field.hub.counts) - {"connections"}, {"multiCall"}, f"calls: {field.hub.counts}")
    field.hub.clear()
    field.compose(build_spec(["ed-1.14.2-1.fc26", "apr-1.6.2-1.fc26"]))
    field.logged(f"compose {number} is the same")
    same(field.hub.counts["multiCall"], 0, "the same builds again: nothing is asked")
    same(field.names(field.compose(build_spec(["httpd-2.4.27-3.fc26"], packages=["mod_ssl"]))),
         {"mod_ssl-2.4.27", "httpd-2.4.27", "httpd-filesystem-2.4.27", "httpd-tools-2.4.27"}, "dependencies inside only")
    number = field.compose(tag_spec("f26-candidate", builds=["apr-1.6.2-1.fc26"]))
    check({"apr-1.6.2", "apr-devel-1.6.2"} <= field.names(number) and "apr-1.6.3" not in field.names(number),
          f"a named build replaces the tag's: {field.names(number)}")
    number = field.compose(tag_spec("f26-candidate", builds=["bash-fake-4.4.12-5.fc26"], packages=["bash-fake"]))
    check("bash-fake-4.4.12" in field.names(number), "a build that the tag does not have")
    same(field.error(build_spec(["nosuch-1-1"])), "Unknown Koji build nosuch-1-1.", "unknown")
    same(field.error(build_spec(["apr-1.6.2-1.fc26", "notannvr", "nosuch-1-1"])),
         "Unknown Koji build notannvr. Unknown Koji build nosuch-1-1.", "two unknown")
    field.hub.misbehave("replace", "multiCall", old="<name>state</name>\n<value><int>1</int>",
                        new="<name>state</name>\n<value><int>3</int>")
    same(field.error(build_spec(["ed-1.14.2-1.fc26"])), "Koji build ed-1.14.2-1.fc26 is failed.", "not complete")
    check("builds" in field.error(build_spec([])), "no builds")


def test_drafts(field):
    """draft builds are left out of a tag, as if they were not tagged, and taken when they are named"""
    tag = kojikit.Tag(field.hub, "own-drafts", field.builds, {1: ["apr-1.6.3-1.fc26", "ed-1.14.2-1.fc26", "tzdata-2017b-1.fc26"]},
                      id=7016)
    field.hub.clear()
    field.compose(tag_spec("own-drafts"))
    same((field.hub.counts["listTaggedRPMS"], "draft" in field.log()), (1, False), "no drafts")
    tag.drafts = {"apr-1.6.3-1.fc26": "apr-1.6.2-1.fc26", "ed-1.14.2-1.fc26": None}
    field.hub.clear()
    number = field.compose(tag_spec("own-drafts", flags=["no_reuse"]))
    same(field.names(number), {"apr-1.6.2", "apr-devel-1.6.2", "tzdata-2017b"}, "the latest that are no drafts")
    check("draft builds are left out: apr-1.6.3-1.fc26, ed-1.14.2-1.fc26" in field.log(), field.log())
    same([r[2].get("draft") for r in field.hub.requests if r[0] == "listTaggedRPMS"], [None, False], "listed twice")
    # a hub that lists them all the same
    field.hub.misbehave("replace", "listTaggedRPMS", skip=1, old="<name>draft</name>\n<value><boolean>0",
                        new="<name>draft</name>\n<value><boolean>1", count=-1)
    words = field.error(tag_spec("own-drafts", flags=["no_reuse"]))
    check("draft builds came that were not asked for: apr-1.6.2-1.fc26" in words, words)
    # by name: its folder says what it is, its RPMs do not
    koji, plain = field.hub.koji, field.hub.koji.builds["ed-1.14.2-1.fc26"]
    draft = {**plain, "id": 9907, "build_id": 9907, "draft": True, "release": "1.fc26,draft_9907",
             "nvr": "ed-1.14.2-1.fc26,draft_9907"}
    koji.builds[draft["nvr"]] = draft
    koji.build_rpms[9907] = {id + 100000: {**rpm, "id": id + 100000, "build_id": 9907, "draft": True}
                             for id, rpm in koji.build_rpms[plain["build_id"]].items()}
    folder = field.topdir / "packages/ed/1.14.2"
    shutil.copytree(folder / "1.fc26", folder / "1.fc26,draft_9907")
    number = field.compose(tag_spec("f26-candidate", builds=[draft["nvr"]], packages=["ed"]))
    same(field.origins(number)["ed-1.14.2-1.fc26.x86_64"].replace("%2C", ","),
         "packages/ed/1.14.2/1.fc26,draft_9907/x86_64/ed-1.14.2-1.fc26.x86_64.rpm", "a draft that is named")
    shutil.rmtree(folder / "1.fc26,draft_9907")


def test_volume(field):
    """a volume elsewhere: what the service may read there is read, and is not everybody's at its source"""
    volume, elsewhere = field.topdir / "vol/archive", field.topdir.parent / "elsewhere"
    volume.rename(elsewhere)
    volume.symlink_to(elsewhere)
    file = next(elsewhere.rglob("tzdata-*.noarch.rpm"))
    os.chmod(file, 0o600)
    number = field.compose(tag_spec("f26-candidate", packages=["tzdata"], flags=["no_reuse"]))
    path = next(field.service.tree(number).rglob("tzdata-*.noarch.rpm"))
    same(path.read_bytes(), file.read_bytes(), "by the mount")
    url = f"/composes/odcs-{number}/compose/{path.relative_to(field.service.tree(number).parent)}"
    same(field.service.call("GET", url).body, file.read_bytes(), "over HTTP")
    os.chmod(file, 0o644)
    volume.unlink()
    elsewhere.rename(volume)


# ---- again ------------------------------------------------------------------------------

def test_again(field):
    """an unchanged tag costs small calls only; one more build costs the headers of that build"""
    names = ["apr-1.6.3-1.fc26", "apr-util-1.6.0-1.fc26", "openssl-1.1.0f-7.fc26", "glibc-fake-2.25-7.fc26"]
    tag = kojikit.Tag(field.hub, "own-again", field.builds, {1: names}, id=7010)
    forget(field.service, "headers")
    field.hub.koji.event = 600
    field.hub.koji.changed[7010] = 1
    first = field.compose(tag_spec("own-again"))
    known = sum(len([r for r in field.builds.rpms[n] if r["arch"] in ("x86_64", "noarch", "src")]) for n in names)
    check(f"headers of {known} packages read" in field.log(), field.log())
    check(f"checksums of {known} packages" in field.log(), field.log())
    same(field.service.record(first)["koji_event"], 600, "the last event")
    field.hub.clear()
    field.hub.koji.event = 610 # something happened, but not to this tag
    second = field.compose(tag_spec("own-again"))
    field.logged(f"compose {first} is the same")
    same(field.hub.counts["listTaggedRPMS"], 0, "big calls")
    same({m: field.hub.counts[m] for m in ("getTag", "getFullInheritance", "tagChangedSinceEvent", "getLastEvent")},
         {"getTag": 1, "getFullInheritance": 1, "tagChangedSinceEvent": 1, "getLastEvent": 1}, "small calls")
    same(field.service.record(second)["koji_event"], 600, "the event of the one that is shown")
    # a later event that is asked for shows the same; an earlier one may not show newer content
    third = field.compose(tag_spec("own-again", event=605))
    field.logged(f"compose {first} is the same")
    field.compose(tag_spec("own-again", event=599))
    check("is the same" not in field.log(), field.log())
    # one more build
    tag.set(620, names + ["ed-1.14.2-1.fc26"])
    number = field.compose(tag_spec("own-again"))
    check("headers of 2 packages read" in field.log() and f", {known} known" in field.log(), field.log())
    same(field.service.record(number)["koji_event"], 620, "the new event")
    stamps = [int(re.search("<revision>(.*?)</", (field.service.tree(n) / "x86_64/os/repodata/repomd.xml").read_text())[1])
              for n in (first, number)]
    check(stamps[0] < stamps[1], f"timestamps grow: {stamps}")
    # the same content at another event: the snapshot is there, nothing is read
    tag.set(630, names)
    field.compose(tag_spec("own-again", flags=["no_reuse"]))
    check("headers of" not in field.log() and "indexed" not in field.log(), field.log())
    # a hub that was restored from a backup does not know the event of the compose that could be shown
    field.compose(tag_spec("own-again"))
    field.hub.koji.event = 625
    number = field.compose(tag_spec("own-again"))
    field.logged("the hub's last event is 625, before event 630 of an earlier compose, which is not shown again")
    same(field.service.record(number)["koji_event"], 625, "the event after the restoration")
    field.hub.koji.event = 630
    # of a few that are wanted only those are hashed, and once
    forget(field.service, "headers")
    for count in ("headers of 2 packages", "checksums of 2 packages"), ():
        field.compose(tag_spec("own-again", packages=["apr"], flags=["no_deps", "no_reuse"]))
        same([word for word in ("headers of 2 packages", "checksums of 2 packages") if word in field.log()], list(count),
             f"what is read: {field.log()}")


def test_signed_later(field):
    """a copy that is signed now is taken by who asks anew; one that was replaced is not served"""
    names = ["ed-1.14.2-1.fc26"]
    kojikit.Tag(field.hub, "own-signed", field.builds, {1: names}, id=7011)
    spec = tag_spec("own-signed", sigkeys=["7ec1b334", ""], flags=["no_reuse"])
    first = field.compose(spec)
    check(all("signed" not in path for path in field.origins(first).values()), "unsigned at first")
    folder = field.topdir / "packages/ed/1.14.2/1.fc26"
    signed = folder / "data/signed/7ec1b334/x86_64"
    signed.mkdir(parents=True)
    plain = folder / "x86_64/ed-1.14.2-1.fc26.x86_64.rpm"
    copy = signed / plain.name
    shutil.copy(plain, copy)
    second = field.compose(spec)
    same(field.origins(second)["ed-1.14.2-1.fc26.x86_64"], str(copy.relative_to(field.topdir)), "signed now")
    digest = hashlib.sha256(copy.read_bytes()).hexdigest()
    # signed once more, in place: other bytes of the same size
    content = bytearray(copy.read_bytes())
    content[90] ^= 1 # in the lead, which nobody reads
    copy.unlink()
    copy.write_bytes(content)
    file = next(field.service.tree(second).rglob("ed-*.x86_64.rpm"))
    try:
        file.read_bytes()
        check(False, "a replaced file is not handed out")
    except OSError as error:
        same(error.errno, 5, "EIO")
    third = field.compose(spec)
    file = next(field.service.tree(third).rglob("ed-*.x86_64.rpm"))
    check(digest != hashlib.sha256(content).hexdigest() == os.getxattr(file, "user.odcs.sha256").decode(),
          "the new file has its own checksum")
    same(file.read_bytes(), bytes(content), "and is what is read")
    shutil.rmtree(folder / "data/signed/7ec1b334")


def test_refused(field):
    """an RPM without a permitted copy hurts only who selects it"""
    keys = ["7ec1b334"]
    number = field.compose(tag_spec("f26-candidate", packages=["apr-util"], sigkeys=keys))
    check(all("/data/signed/7ec1b334/" in path for path in field.origins(number).values()), "signed, sources too")
    words = field.error(tag_spec("f26-candidate", packages=["ed"], sigkeys=keys))
    same(words, f"ed-1.14.2-1.fc26.x86_64: there is no copy that the signing keys permit, below {field.topdir}: "
         "packages/ed/1.14.2/1.fc26/data/signed/7ec1b334/x86_64/ed-1.14.2-1.fc26.x86_64.rpm", "by name")
    # no file at all: the same by name, not seen by others, fatal for everything
    lost = field.topdir / "packages/ed/1.14.2/1.fc26"
    lost.rename(lost.with_name("gone"))
    for packages in (["ed"], ["ed.x86_64"], ["ed-1.14.2-1.fc26.x86_64"], None):
        words = field.error(tag_spec("f26-candidate", packages=packages, flags=["no_reuse"]))
        check(words.startswith("ed-1.14.2-1.fc26.") and words.endswith(".rpm") and "packages/ed/1.14.2/1.fc26/" in words,
              f"{packages}: {words}")
    field.compose(tag_spec("f26-candidate", packages=["apr"], flags=["no_reuse"]))
    check("ed-1.14.2-1.fc26.x86_64 is nowhere below" in field.log(), field.log())
    lost.with_name("gone").rename(lost)
    # a name that another arch has, and its source: not left out in silence
    for arch, others in (("aarch64", ["x86_64"]), ("src", None)):
        file, = field.topdir.glob(f"packages/apr/1.6.3/*/{arch}/apr-1.6.3-*.rpm")
        file.rename(file.with_suffix(".gone"))
        for name in ("apr", f"apr.{arch}", file.name.removesuffix(".rpm")):
            words = field.error(tag_spec("f26-candidate", packages=["tzdata", name], arches=["x86_64", "aarch64"],
                                         flags=["no_reuse"]))
            check(words.startswith(f"{file.name.removesuffix('.rpm')}: there is no copy") and file.name in words,
                  f"{name}: {words}")
        if others:
            field.compose(tag_spec("f26-candidate", packages=["apr"], arches=others, flags=["no_reuse"]))
        file.with_suffix(".gone").rename(file)
    # what belongs to a package that is only required: its source; a debug package
    source, = field.topdir.glob("packages/apr/1.6.3/*/src/apr-1.6.3-*.rpm")
    nvr = craft_build(field, "d-need", ["d-need", "d-need-debuginfo", "d-need-doc"])
    kojikit.Tag(field.hub, "own-debug", field.builds, {1: [nvr]}, id=7021)
    for tag, name, file in (("f26-candidate", "apr-util", source),
                            ("own-debug", "d-need", field.topdir / "packages/d-need/1/1/noarch/d-need-debuginfo-1-1.noarch.rpm")):
        file.rename(file.with_suffix(".gone"))
        words = field.error(tag_spec(tag, packages=[name], flags=["no_reuse"]))
        check(words.startswith(f"{file.name.removesuffix('.rpm')}: there is no copy"), f"{name}: {words}")
        file.with_suffix(".gone").rename(file)
        field.compose(tag_spec(tag, packages=[name], flags=["no_reuse"]))
    # others of the build are nobody's
    (field.topdir / "packages/d-need/1/1/noarch/d-need-doc-1-1.noarch.rpm").unlink()
    field.compose(tag_spec("own-debug", packages=["d-need"], flags=["no_reuse"]))
    # limits and words
    words = field.error(tag_spec("f26-candidate", sigkeys=["nosuch/../key"]))
    check('"nosuch/../key" is no signing key' in words, words)
    started = time.monotonic()
    words = field.error(tag_spec("f26-candidate", sigkeys=[f"{i:08x}" for i in range(10000)]))
    same(words, "sigkeys: more than 100 signing keys", "10,000 keys")
    check(time.monotonic() - started < 5, "in time")
    number = field.compose(tag_spec("f26-candidate", sigkeys=[f"{i:08x}" for i in range(99)] + [""]))
    check(all("signed" not in path for path in field.origins(number).values()), "99 keys that signed nothing")


# ---- what goes wrong --------------------------------------------------------------------

def test_words(field):
    same(field.error(tag_spec("nosuch-tag")), "Unknown Koji tag nosuch-tag.", "unknown tag")
    same(field.error(tag_spec("f26 f27")), "Unknown Koji tag f26 f27.", "two words")
    same(field.error(tag_spec("f26-candidate", event=99999)), "Unknown Koji event 99999.", "unknown event")
    words = field.error(tag_spec("nosuch-tag", event=354))
    check("listTaggedRPMS" in words and "No such tagInfo: 'nosuch-tag'" in words, words)
    words = field.error({"source": {"type": "tag", "source": "f26-candidate", "modular_koji_tags": ["nosuch-modular"]}})
    check("listTagged" in words and "nosuch-modular" in words, words)
    with Service("odcsfs.workers=1", mount=False) as plain:
        number = plain.call("POST", "/api/1/composes/", tag_spec("f26")).json["id"]
        check("koji.hub is not configured" in plain.wait_rest(number)["state_reason"], "no hub configured")
    with Service("odcsfs.workers=1", f"koji.hub={field.hub.url}", "koji.topdir=/nonexistent/koji", mount=False) as plain:
        number = plain.call("POST", "/api/1/composes/", tag_spec("f26-candidate")).json["id"]
        words = plain.wait_rest(number)["state_reason"]
        check("koji.topdir: /nonexistent/koji: No such file or directory" in words, words)


def test_hub(field):
    """a hub that does not do as it should: words, in time, and the service is well"""
    def fails(*words, method="listTaggedRPMS", **wrong):
        field.hub.clear()
        field.hub.misbehave(method=method, **wrong)
        started = time.monotonic()
        got = field.error(tag_spec("f26-candidate", flags=["no_reuse"]))
        for word in words:
            check(word in got, f"{wrong}: {word!r} in {got!r}")
        check(time.monotonic() - started < 20, f"{wrong}: {time.monotonic() - started:.1f} s")
        field.hub.clear()
    fails("listTaggedRPMS", what="html")
    fails("listTaggedRPMS", what="half")
    fails("listTaggedRPMS", what="body", body="")
    fails("listTaggedRPMS", what="body", body="<methodResponse><params><param><value><int>1</int></value></param></params></methodResponse>")
    fails("no database", what="fault", words="Traceback\n  no database")
    fails("id", what="replace", old="<name>id</name>", new="<name>di</name>", count=-1)
    fails("size", what="replace", old="<name>size</name>\n<value><int>", new="<name>size</name>\n<value><int>-")
    fails("white space", what="spaces", where="inside")
    fails("listTaggedRPMS", what="spaces", where="text")
    fails("getTag", what="body", method="getTag", body="x" * 1000)
    fails("getLastEvent", what="status", method="getLastEvent", code=404)
    # a fault inside multiCall
    field.hub.misbehave("replace", "multiCall", old="<name>volume_name</name>", new="<name>volume</name>", count=-1)
    words = field.error(build_spec(["ed-1.14.2-1.fc26"]))
    check("volume_name is missing" in words, words)
    # one that stumbles is asked again
    field.hub.clear()
    field.hub.misbehave("status", "listTaggedRPMS", times=2, code=503)
    number = field.compose(tag_spec("f26-candidate", flags=["no_reuse"]))
    same(field.hub.counts["listTaggedRPMS"], 3, "asked again")
    check("trying again" in field.log(), field.log())
    # rows without a file are no candidates
    tag = kojikit.Tag(field.hub, "own-rows", field.builds, {1: ["ed-1.14.2-1.fc26", "apr-1.6.2-1.fc26"]}, id=7015)
    def mark(rpms, found):
        for rpm in rpms:
            rpm["metadata_only"] = rpm["name"] == "ed"
    tag.edit = mark
    same(field.names(field.compose(tag_spec("own-rows"))), {"apr-1.6.2", "apr-devel-1.6.2"}, "metadata_only")
    # places that are none
    nvr = "ed-1.14.2-1.fc26"
    tag = kojikit.Tag(field.hub, "own-bad", field.builds, {1: [nvr]}, id=7012)
    for field_name, value in (("name", "../../../../etc/passwd"), ("version", ".."), ("release", "1\n2"), ("arch", "x86_64/..")):
        def edit(rpms, found, field_name=field_name, value=value):
            for rpm in rpms:
                rpm[field_name] = value if field_name != "arch" or rpm["arch"] == "src" else rpm["arch"]
        tag.edit = edit
        if field_name != "arch":
            check("cannot be part of a path" in field.error(tag_spec("own-bad")), f"{field_name} {value!r}")


def test_files(field):
    """files that are not what the hub speaks of"""
    folder = field.topdir / "packages/ed/1.14.2/1.fc26/x86_64"
    file = folder / "ed-1.14.2-1.fc26.x86_64.rpm"
    good = file.read_bytes()
    kept = file.stat()
    kojikit.Tag(field.hub, "own-files", field.builds, {1: ["ed-1.14.2-1.fc26"]}, id=7013)
    spec = tag_spec("own-files", flags=["no_reuse"])
    other = next(folder.parents[2].parent.glob("apr/1.6.3/*/x86_64/apr-1.6*.rpm")).read_bytes()
    def fails(content, *words):
        file.write_bytes(content)
        got = field.error(spec)
        check(str(file) in got or str(file.relative_to(field.topdir)) in got, f"{got!r} names the file")
        for word in words:
            check(word in got, f"{word!r} in {got!r}")
    fails(good[:1000], "has 1000 bytes, the hub says")
    fails(b"", "has 0 bytes, the hub says")
    fails(b"\0" * len(good), "lead")
    fails(good[:200] + b"\xff" * (len(good) - 200), "signature")
    fails((other + b"\0" * len(good))[:len(good)], "signature")
    # signed copies may have another size: their own header tells
    signed = field.topdir / "packages/ed/1.14.2/1.fc26/data/signed/7ec1b334/x86_64" / file.name
    signed.parent.mkdir(parents=True)
    file.write_bytes(good)
    spec = tag_spec("own-files", sigkeys=["7ec1b334", ""], flags=["no_reuse"])
    file_kept, file = file, signed
    fails(good[:3000], "the file ends")
    fails(good[:-1], "cut short")
    shutil.rmtree(signed.parents[2])
    file = file_kept
    # a name that lies: the RPM of another package under this one's name
    tag = kojikit.Tag(field.hub, "own-liar", field.builds, {1: ["ed-1.14.2-1.fc26"]}, id=7014)
    def edit(rpms, found):
        for rpm in rpms:
            rpm["epoch"] = 7
    tag.edit = edit
    words = field.error(tag_spec("own-liar"))
    check("Epoch" in words and "ed-1.14.2-1.fc26" in words, words)
    os.utime(file, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    field.compose(tag_spec("own-files", flags=["no_reuse"]))


def test_large(hub, topdir):
    """a tag of 24,000 RPMs of which not one is there: told in few words, in bounded memory"""
    with Service("odcsfs.workers=1", f"koji.hub={hub.url}", f"koji.topdir={topdir}", "koji.timeout=60") as service:
        field = Field(service, hub, topdir, None)
        field.hub.add_tag("own-large", 4000, rpms=6)
        worker = field.service.workers(1)[0]
        words = field.error(tag_spec("own-large", packages=["nosuch"], arches=["x86_64", "aarch64"]))
        check("not present in the generated compose: nosuch" in words, words)
        check("nor are 23992 more" in field.log() and len(field.log()) < 10000, field.log()[:3000])
        same(field.service.workers(1)[0], worker, "the worker lives")
        peak = int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{worker}/status").read_text())[1]) >> 10
        check(peak < 300 or "libasan" in pathlib.Path(f"/proc/{worker}/maps").read_text(), f"its memory: {peak} MiB")


def test_away(topdir):
    """a hub that is away, or takes its time: words in time, and the tree is served meanwhile"""
    with replayhub.ReplayHub(topdir=topdir) as hub:
        with Service("odcsfs.workers=1", f"koji.hub={hub.url}", f"koji.topdir={topdir}", "koji.timeout=2") as service:
            field = Field(service, hub, topdir, None)
            hub.misbehave("delay", "listTaggedRPMS", seconds=8)
            started = time.monotonic()
            request = service.submit("slow", tag_spec("f26-candidate"))
            while (request / "status").read_text().strip() in ("wait", "generating"):
                before = time.monotonic()
                os.listdir(service.mnt / "composes")
                check(time.monotonic() - before < 1, "the tree is served")
                time.sleep(0.1)
            words = service.record(1)["state_reason"]
            check("listTaggedRPMS" in words and "no complete answer in time" in words, words)
            check(time.monotonic() - started < 6, f"{time.monotonic() - started:.1f} s")
        with Service("odcsfs.workers=1", "koji.hub=http://127.0.0.1:9/kojihub", f"koji.topdir={topdir}", "koji.timeout=1") as service:
            field = Field(service, hub, topdir, None)
            words = field.error(tag_spec("f26-candidate"))
            check("getTag" in words and "refused" in words and "tried" in words, words)


def test_site_keys(hub, topdir):
    """[koji] sigkeys are those of a request without"""
    with Service("odcsfs.workers=1", f"koji.hub={hub.url}", f"koji.topdir={topdir}", "koji.sigkeys=a4f1cd23 7ec1b334 ''") as service:
        field = Field(service, hub, topdir, None)
        number = field.compose(tag_spec("f26-candidate", packages=["apr", "ed"], flags=["no_deps"]))
        same(service.record(number)["sigkeys"], "a4f1cd23 7ec1b334 ", "shown")
        paths = field.origins(number)
        check("signed" in paths["apr-1.6.3-1.fc26.x86_64"] and "signed" not in paths["ed-1.14.2-1.fc26.x86_64"], paths)
        number = field.compose(tag_spec("f26-candidate", packages=["apr"], sigkeys=[""]))
        check(all("signed" not in path for path in field.origins(number).values()), "the request's own go first")


def main():
    with recorded_hub() as (hub, topdir, builds):
        with Service("odcsfs.workers=1", f"koji.hub={hub.url}", f"koji.topdir={topdir}", "koji.timeout=10") as service:
            field = Field(service, hub, topdir, builds)
            for test in (check_expected, test_content, test_tags, test_choice, test_arches, test_noarch, test_multilib,
                         test_builds, test_drafts, test_volume, test_again, test_signed_later, test_refused, test_words,
                         test_hub, test_files, check_dnf):
                started = time.monotonic()
                test(field)
                hub.clear()
                print(f"{test.__name__}: {time.monotonic() - started:.1f} s", flush=True)
        test_large(hub, topdir)
        test_site_keys(hub, topdir)
        test_away(topdir)
    end()


main()
