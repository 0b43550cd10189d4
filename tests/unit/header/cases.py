# SPDX-License-Identifier: MIT
"""The RPMs that oracle.py looks at: hard cases one by one, at random, those that are repaired, those that are refused,
and specs for rpmbuild."""
import os
import pathlib
import shutil
import struct
import subprocess

from craft import *

MISSING = 1 << 19  # "missingok"
WEAK = (RECOMMEND, SUGGEST, SUPPLEMENT, ENHANCE)


def without(tags, *names):
    return {tag: value for tag, value in tags.items() if tag not in names}


def chain(count, by="or"):
    """a boolean relation of so many parts"""
    return "(" + f" {by} ".join(f"p{i}" for i in range(count)) + ")"


def pairs(count, inner="and", outer="or"):
    """one that is 2^count clauses when it is multiplied out"""
    return "(" + f" {outer} ".join(f"(a{i} {inner} b{i})" for i in range(count)) + ")"


def requires(name, *rows):
    return relation(basic(name), REQUIRE, *rows)


def same():
    """name -> RPM; createrepo_c and we say the same of each"""
    made = {}

    def put(tags, **options):
        name = tags[NAME][1][0]
        check = name not in made
        assert check, name
        made[name] = rpm(tags, **options)

    tags = basic("relations")
    relation(tags, PROVIDE, ("relations", EQ, "1-1"), ("p1", EQ, "1:2-3"), ("p2", EQ, "a:2-3"), ("p3", EQ, ":2-3"),
             ("p4", EQ, "5:"), ("p5", EQ, "2-"), ("p6", EQ, ""), ("p7", 0, "1"), ("p8", 6, "1"), ("p9", 14, "1-2-3"),
             ("pa", EQ, "1:2:3-4"), ("p\u00e9", EQ, "\u00e9"), ("q\"<>&'\t\n\r", EQ, "1"), ("relations", EQ, "1-1"),
             ("-5", EQ, "-5:1"), ("blank", EQ, " 7:1"), ("plus", EQ, "+5:1"), ("x", EQ, "99999999999999999999999:1"),
             ("hex", EQ, "0x5:1"), ("tilde", EQ, "1~rc1^git1-1.fc40"), ("t", EQ, ":"), ("u", EQ, "-"), ("v", EQ, "-3"))
    relation(tags, REQUIRE, ("rpmlib(Foo)", LE, "1"), ("p1", EQ, "1:2-3"), ("p1", 0, ""), ("p2", EQ, "a:2-3"),
             ("a", EQ, "1"), ("a", EQ, "1"), ("a", GE, "1"), ("a", EQ, "1"), ("b", PRE, ""), ("b", 0, ""), ("b", PRE, ""),
             ("libc.so.6", 0, ""), ("libc.so.6()(64bit)", 0, ""), ("libc.so.6(GLIBC_2.4)(64bit)", 0, ""),
             ("libc.so.6(GLIBC_2.34)(64bit)", 0, ""), ("libc.so.6(GLIBC_2.5)(64bit)", 0, ""), ("z", POST, ""),
             ("/etc/foo", 0, ""), ("/usr/share/foo", 0, ""), ("/usr/bin/x", 0, ""), ("c", PREREQ, ""),
             ("config(relations)", EQ | 1 << 28, "1-1"), ("(a if b)", 0, ""), ("k", EQ, "1"), ("k", EQ, "b:1"), ("k", EQ, "1"))
    put(files(tags, "/etc/foo", "/usr/share/foo", "/usr/bin/x", "/usr/lib/sendmail", ("/etc/dir", 0o040755, 0),
              ("/etc/ghost", 0o100644, GHOST), ("/etc/gdir", 0o040755, GHOST), "/usr/bin/a\"<>&'\t\n\rb",
              "/opt/x/bin/\u00e9", b"/opt/bin/\xe9", "/usr/lib/sendmail2", "relative", "bin/relative",
              ("/etc/link", 0o120777, 0), ("/dev/b", 0o060644, GHOST), "/etc/foo", ("/usr/bin/", 0o40755, 0)))
    put(relation(requires("boolean-limits", (chain(2048), 0, ""), (pairs(12), 0, ""), ("a" * 65000, 0, ""),
                          ("((a if b else c) unless d)", 0, ""), ("(a >= 1 with a(x) < 2)", 0, ""), ("(open", 0, ""), ("(a)b)", 0, "")),
                 CONFLICT, (pairs(12, "or", "and"), 0, ""), (pairs(200), 0, "")))
    put(requires("every-flag", *[("n%d" % bit, 1 << bit, "") for bit in range(32)]))
    put(requires("libc-pre", ("libc.so.6(GLIBC_2.4)(64bit)", PRE, ""), ("libc.so.6(GLIBC_2.4)", 0, ""),
                 ("libc.so.6x", 0, ""), ("y", 0, "")))
    put(requires("libc-odd", ("libc.so.6x", 0, ""), ("libc.so.6(foo)", 0, ""), ("libc.so.6(", 0, "1"), ("y", 0, "")))
    put(requires("libc-private", ("libc.so.6(GLIBC_2.4)(64bit)", 0, ""), ("libc.so.6(GLIBC_PRIVATE)(64bit)", 0, ""),
                 ("libc.so.6(GLIBC_ABI_DT_RELR)(64bit)", 0, ""), ("y", 0, "")))
    put(requires("libc-none", ("libc.so.6(GLIBC_PRIVATE)(64bit)", 0, ""), ("libc.so.6()(64bit)", 0, ""), ("y", 0, "")))
    put(requires("libc-last", ("libc.so.6(GLIBC_2.9)", 0, ""), ("libc.so.6(GLIBC_2.10)", 0, "a:1"),
                 ("libc.so.6(GLIBC_2.9)", PRE, ""), ("libc.so.6(GLIBC_2.8)", GE, "1")))
    tags = requires("missing", ("a", MISSING, ""), ("b", 0, ""), ("c", MISSING | EQ, "1"),
                    ("libc.so.6(GLIBC_2.9)", MISSING, ""), ("libc.so.6(GLIBC_2.3)", 0, ""), ("/etc/x", MISSING, ""),
                    ("missing", MISSING | EQ, "1-1"), ("b", MISSING, ""), ("b", 0, ""), ("d", MISSING | PRE, ""),
                    ("d", MISSING | PRE, ""), ("rpmlib(x)", MISSING, ""))
    put(files(relation(tags, RECOMMEND, ("r", 0, ""), ("a", 0, "")), "/etc/x"))
    tags = basic("weak")
    for i, which in enumerate(WEAK + (CONFLICT, OBSOLETE)):
        relation(tags, which, ("w%d" % i, 0, ""), ("(w if x)", 0, ""), ("w%d" % i, 0, ""), ("w", EQ | PRE, "1-1"))
    put(tags)
    tags = relation(basic("weak-old"), OLDSUGGEST, ("s", 0, ""), ("r", STRONG, ""), ("bad", STRONG | EQ, "a:1"))
    relation(tags, OLDENHANCE, ("e", 0, ""), ("p", STRONG | GE, "1:2-3"), ("p", STRONG | GE, "1:2-3"))
    put(tags)
    tags = dict(tags)
    tags[NAME] = text("weak-both")
    for i, which in enumerate(WEAK):
        relation(tags, which, ("w%d" % i, 0, ""))
    put(tags)
    put(relation(relation(basic("no-name"), SUGGEST, ("x", EQ, "a:1")), ENHANCE, ("", 0, "")))
    put(relation(requires("no-names", ("", 0, ""), ("", 0, "")), PROVIDE, ("", 0, "")))
    put(requires("own", ("own", EQ, "0:1-1"), ("own", GE, "1-1"), ("own", EQ, "1-1"), ("own", EQ | PRE, "1-1")))
    put(changes(basic("text", SUMMARY=i18n("ab\u00e9\n\t\r<>&\"'"), DESCRIPTION=i18n(b"lat\xe9in \x85"), VENDOR=text(""),
                      URL=text("http://x/?a=1&b=2"), PACKAGER=text("\u20ac \U0001f600"), LICENSE=text(b"\xff\xfe\x80"),
                      GROUP=i18n("one", "two"), I18NTABLE=texts("C", "de")),
                *[(1600000000 - i * 86400, f"A\u00e9{i} <a@b> - \"{i}\"", f"- t\u00e9{i} <&> \n x") for i in range(12)]))
    every = bytes(byte for byte in range(1, 256) if byte >= 32 or byte in b"\t\n\r")
    put(changes(relation(basic("bytes", DESCRIPTION=i18n(every), SUMMARY=i18n("".join(map(chr, range(127, 256)))),
                               PACKAGER=text(b"A\x85\xe9 "), URL=text(b"\xc3\xa9\xe9")),
                         REQUIRE, (every, 0, ""), ("".join(map(chr, range(127, 256))), 0, "")), (1, b"\xe9 \x9f", b"\xe9")))
    put(basic("types", SUMMARY=i18n("C text", "de text"), DESCRIPTION=texts("a", "b"), URL=texts("u", "v"),
              LICENSE=texts("l"), EPOCH=int32(1, 2)))
    put(basic("array-name", NAME=texts("array-name")))
    put(basic("epoch-0", EPOCH=int32(0)))
    put(basic("epoch-large", EPOCH=int32(4000000000)))
    put(basic("version", version="1~rc1^20240101", release="1.fc40"))
    put(basic("nosrc", SOURCEPACKAGE=int32(1)))
    put(without(basic("src-old"), SOURCERPM))
    put(without(files(basic("src-heuristic"), "x.spec", "x.tar.gz"), SOURCERPM))
    put(without(files(basic("src-not"), "x.spec", "/etc/y"), SOURCERPM))
    put(without(basic("src-arch", arch="src"), SOURCERPM))
    put(without(basic("bare"), SUMMARY, LICENSE, BUILDTIME, SIZE, GROUP, DESCRIPTION, BUILDHOST))
    put(without(basic("long", LONGSIZE=int64(5 << 30)), SIZE),
        signature={SIG_PAYLOADSIZE: None, SIG_LONGARCHIVESIZE: int64(6 << 30)})
    put(without({**files(basic("long-files"), "/usr/bin/large"), LONGFILESIZES: int64(5 << 30)}, FILESIZES))
    put(basic("long-both", LONGSIZE=int64(7), SIZE=int32(5)), signature={SIG_LONGARCHIVESIZE: int64(6)})
    put(basic("archive-old", ARCHIVESIZE=int32(77)), signature={SIG_PAYLOADSIZE: None})
    put(basic("archive-none"), signature={SIG_PAYLOADSIZE: None})
    old = without(basic("rpm3"), *PROVIDE)
    old.update({OLDFILENAMES: texts("/etc/a", "/usr/b"), FILEMODES: int16(0o100644, 0o040755), FILEFLAGS: int32(0, 0)})
    put(old, region=None)
    put(without(files(basic("no-flags"), "/etc/a"), FILEFLAGS))
    put(without(basic("no-versions"), PROVIDE[2]))
    put(without(requires("no-provides", ("rpmlib(a)", 0, "")), *PROVIDE))
    put(relation(basic("conflict"), CONFLICT, ("rpmlib(a)", EQ, "1")))
    put(changes(basic("blanks"), (100, "a  ", "x "), (100, "b\t", "y\n"), (99, " c", "z\n\n"), (99, "d", "w"),
                (99, "", ""), (98, "e\n", "e"), (0, "f", "f"), (0, "g", "g"), (4000000000, "h", "h")))
    put(files(basic("many-files"), *["/usr/share/many/%d/%d" % (i % 100, i) for i in range(20000)]))
    put(changes(basic("huge-changelog"), *[(1600000000 - i, "a %d" % i, "- x\n" * 1000) for i in range(3000)]))
    return made


# ---- at random ------------------------------------------------------------------

NAMES = ["a", "b", "c", "", "p", "/etc/a", "/usr/bin/b", "/usr/share/c", "(a or b)", "rpmlib(X)", "libc.so.6", "libc.so.6()",
         "libc.so.6(GLIBC_2.2)", "libc.so.6(GLIBC_2.10)(64bit)", "libc.so.6(GLIBC_2.9)(64bit)", "libc.so.6(X)", "libc.so.6(",
         "libm.so.6(GLIBC_2.99)", "\u00e9", b"\xe9", "<&\">"]
VERSIONS = ["", "1", "1-1", "0:1-1", "1:1-1", "a:1", ":1", "1:", "-1", "1-", "2.0~rc1", "1:2:3-4-5", " 1:2", "\u00e9-\u00e9"]
PATHS = ["/etc/a", "/usr/bin/b", "/usr/share/c", "/opt/bin/d", "/usr/lib/sendmail", "/usr/lib/x<&>", "/usr/lib/\u00e9",
         b"/usr/lib/\xe9", "/usr/lib/\"q\"", "etc/a", "bin/b"]
TEXTS = ["", "x", "a b ", " a", "\u00e9", b"\xe9", b"\xc3\xa9\xff", "<&>\"'", "a\nb\tc\rd", "\u20ac\U0001f600", "\x7f\u0080\u009f"]
FLAGS = [0, 0, 0, EQ, EQ, GE, LE, LT, GT, PRE, POST | GE, PREREQ, MISSING, MISSING | EQ, 1 << 24, STRONG, 14, 1 << 28 | EQ]
MODES = [0o100644, 0o100755, 0o040755, 0o120777, 0o060600]


def at_random(chance, count):
    """name -> RPM"""
    made = {}
    for number in range(count):
        tags = basic("r%d" % number, SUMMARY=i18n(chance.choice(TEXTS)), DESCRIPTION=i18n(chance.choice(TEXTS)),
                     URL=text(chance.choice(TEXTS)), VENDOR=text(chance.choice(TEXTS)), PACKAGER=text(chance.choice(TEXTS)))
        for which in (PROVIDE, REQUIRE, REQUIRE, CONFLICT, OBSOLETE, OLDSUGGEST, OLDENHANCE) + WEAK:
            if which in (PROVIDE, REQUIRE) or chance.random() < .2:
                most = 25 if which == REQUIRE else 6
                relation(tags, which, *[(chance.choice(NAMES), chance.choice(FLAGS), chance.choice(VERSIONS))
                                        for _ in range(chance.randint(1, most))])
        if chance.random() < .7:
            files(tags, *[(chance.choice(PATHS), chance.choice(MODES), chance.choice((0, 0, 1, GHOST)))
                          for _ in range(chance.randint(1, 8))])
        if chance.random() < .7:
            changes(tags, *[(chance.randint(0, 4), chance.choice(TEXTS), chance.choice(TEXTS))
                            for _ in range(chance.randint(1, 14))])
        made["r%d" % number] = rpm(tags)
    return made


# ---- repaired ---------------------------------------------------------------------

def repairs():
    """RPMs, and per kind of document pieces that it must have"""
    made = {"control": rpm(changes(files(relation(basic("control", SUMMARY=i18n("a\x01b\u00e9\x1f")), REQUIRE,
                                                  ("r\x02", 0, "")), "/etc/f\x03"), (1, "me\x04", "\x05t"))),
            "no-xml": rpm(relation(basic("no-xml", PACKAGER=text("x\uffff\ufffey"), URL=text(b"s\xed\xa0\x80"),
                                         VENDOR=text(b"v\xf4\x90\x80\x80"), LICENSE=text(b"l\xc0\x80"),
                                         BUILDHOST=text(b"b\xf8\x88\x80\x80\x80")), REQUIRE, ("r\uffff", 0, "")))}
    return made, {"primary": ["<summary>ab\u00e9</summary>", 'name="r"/>', "<file>/etc/f</file>", "<packager>xy</packager>",
                              "<url>s\u00ed</url>", "vendor>v\u00f4<", "license>l\u00c0<", "buildhost>b\u00f8<"],
                  "filelists": ["<file>/etc/f</file>"], "other": ['author="me" date="1">t<']}


# ---- refused ------------------------------------------------------------------------

def refusals():
    """name -> (bytes, field, words)"""
    good = rpm(files(basic("x"), "/etc/a", "/etc/b"), payload=b"p" * 1000)
    start = 96 + len(good[96:].split(b"\x8e\xad\xe8\x01")[1]) + 4
    head = good[start:]

    def front(content):
        return good[:start] + content

    def changed(tags, **options):
        return rpm(tags, **options)

    def entry(number, tag=None, kind=None, at=None, count=None):
        place = 16 + 16 * number
        old = struct.unpack(">IIII", head[place:place + 16])
        new = [new if new is not None else was for new, was in zip((tag, kind, at, count), old)]
        return front(head[:place] + struct.pack(">IIII", *new) + head[place + 16:])

    two = files(basic("x"), "/etc/a", "/etc/b")
    return {
        "empty": (b"", "lead", "ends"),
        "short": (good[:50], "lead", "ends"),
        "text": (b"<html>not found</html>" * 100, "lead", "no RPM"),
        "format": (lead(major=2) + good[96:], "lead", "format 2"),
        "signature-type": (lead(signature=1) + good[96:], "lead", "type 1"),
        "no-signature": (good[:96] + b"\0" * 1000, "signature", "none behind"),
        "huge-signature": (good[:96] + intro(1, 65 << 20) + b"\0" * 100, "signature", "none behind"),
        "many-signatures": (good[:96] + intro(33, 16) + b"\0" * 1000, "signature", "none behind"),
        "cut-signature": (good[:130], "signature", "ends"),
        "bad-signature": (good[:112] + b"\xff" * 16 + good[128:], "signature", "entry 0"),
        "no-header": (good[:start] + b"x" * 100 + good[start:], "header", "none at byte"),
        "huge-header": (good[:start] + intro(5, 1 << 28) + good[start + 16:], "header", "none at byte"),
        "many-tags": (good[:start] + intro(65536, 100) + good[start + 16:], "header", "none at byte"),
        "no-tags": (good[:start] + intro(0, 100) + good[start + 16:], "header", "none at byte"),
        "cut-header": (good[:start + 200], "size", "cut short"),
        "cut-payload": (good[:-1], "size", "cut short"),
        "cut-unsigned": (rpm(basic("x"), signature={SIG_SIZE: None})[:-20], "header", "ends"),
        "type-0": (entry(3, kind=0), "header", "entry 3"),
        "type-10": (entry(3, kind=10), "header", "entry 3"),
        "offset": (entry(3, at=1 << 30), "header", "entry 3"),
        "offset-negative": (entry(3, at=0xfffffff0), "header", "entry 3"),
        "count": (entry(3, count=1 << 31), "header", "entry 3"),
        "count-0": (entry(3, count=0), "header", "entry 3"),
        "odd-number": (entry(7, at=1), "header", "entry 7"),
        "moved-text": (entry(8, at=1), "header", "rpm finds it damaged"),
        "overlap": (front(head[:16] + b"".join(struct.pack(">IIII", 2000 + i, BIN, 0, 800) for i in range(
            struct.unpack(">I", head[8:12])[0])) + head[16 + 16 * struct.unpack(">I", head[8:12])[0]:]), "header", "entry"),
        "many-values": (rpm(basic("x", BASENAMES=(STRINGS, [""] * ((4 << 20) + 1)))), "header", "entry"),
        "no-name": (changed(without(basic("x"), NAME)), "Name", "there is none"),
        "empty-version": (changed(basic("x", version="")), "Version", "there is none"),
        "no-arch": (changed(without(basic("x"), ARCH)), "Arch", "there is none"),
        "slash": (changed(basic("x/y")), "Name", "cannot be used"),
        "blank": (changed(basic("x y")), "Name", "cannot be used"),
        "newline": (changed(basic("x\ny")), "Name", "x?y"),
        "long-name": (changed(basic("x" * 5000)), "Name", "cannot be used"),
        "fewer-flags": (changed({**two, FILEFLAGS: int32(0)}), "Fileflags", "1 values where 2 belong"),
        "fewer-requirements": (changed({**requires("x", ("a", 0, ""), ("b", 0, "")), REQUIRE[1]: int32(0)}), "Requireflags",
                               "1 values where 2"),
        "boolean-parts": (changed(requires("x", (chain(2049), 0, ""))), "Requirename", "is too large"),
        "boolean-clauses": (changed(requires("x", (pairs(13), 0, ""))), "Requirename", "is too large"),
        "boolean-conflict": (changed(relation(basic("x"), CONFLICT, (pairs(13, "or", "and"), 0, ""))), "Conflictname", "is too large"),
        "boolean-depth": (changed(requires("x", ("(" * 300 + "a" + " if b)" * 300, 0, ""))), "Requirename", "is too large"),
        "long-relation": (changed(requires("x", ("a" * 65536, 0, ""))), "Requirename", "«aaa"),
        "long-escaped": (changed(relation(basic("x"), PROVIDE, ("&" * 14000, 0, ""))), "Providename", "«&&&"),
        "fewer-changes": (changed({**changes(basic("x"), (1, "a", "b"), (2, "c", "d")), CHANGELOGTIME: int32(5)}),
                          "Changelogtime", "1 values where 2"),
        "folder": (changed({**two, DIRINDEXES: int32(0, 1)}), "Dirindexes", "no number 1"),
        "growth": (changed({**files(basic("x"), *["/%s/%d" % ("d" * 3000, i) for i in range(2000)])}), "filelists",
                   "longer than"),
    }


# ---- built by rpmbuild --------------------------------------------------------------

SPEC = r"""
%global __os_install_post %{nil}
%global debug_package %{nil}
%global _build_id_links none
%define _binary_payload w1.gzdio
Name: built
Version: 1.0~rc1^git1
Release: 2
Epoch: 3
Summary: Grüße & <Umlaute>
License: MIT and "more"
URL: https://example.com/?a=1&b=2
Group: Test
Vendor: Vendor é
Packager: Someone <someone@example.com>
ExclusiveArch: x86_64
Requires: a >= 1, a < 2, b = 5:1-1
Requires: (c if d else e)
Requires(pre): /usr/sbin/useradd
Requires(post): f
Requires(preun): g >= 2
Requires: libc.so.6(GLIBC_2.4)(64bit), libc.so.6(GLIBC_2.34)(64bit), libc.so.6()(64bit), libm.so.6(GLIBC_2.29)(64bit)
Provides: built(thing) = 1:2-3, built(x), /usr/bin/other
Recommends: (i or j), k
Suggests: l > 3
Supplements: (m and n)
Enhances: o
Conflicts: p <= 1
Obsoletes: q < 4
Source0: built.tar
BuildRequires: r >= 1, (s with t)
%description
Mehrere Zeilen äöü,
  eingerückt & <spitz>.

%package none
Summary: without files
%description none
Nothing.

%package data
Summary: noarch data
BuildArch: noarch
Epoch: 0
Requires: built = %{epoch}:%{version}-%{release}
%description data
Data.

%install
mkdir -p %{buildroot}/usr/bin %{buildroot}/etc/built.d %{buildroot}/usr/share/built/deep/er %{buildroot}/usr/lib
echo '#!/bin/sh' >%{buildroot}/usr/bin/built
chmod 755 %{buildroot}/usr/bin/built
echo x >%{buildroot}/etc/built.conf
touch %{buildroot}/etc/built.ghost
echo x >"%{buildroot}/usr/share/built/with & < > ' and blank"
echo x >%{buildroot}/usr/share/built/größe
ln -s built %{buildroot}/usr/bin/built-link
echo x >%{buildroot}/usr/share/built/deep/er/file
%files
/usr/bin/*
%dir /etc/built.d
%config(noreplace) /etc/built.conf
%ghost /etc/built.ghost
%files none
%files data
/usr/share/built
%post
true
%changelog
"""


def build(folder, compare):
    if not shutil.which("rpmbuild"):
        print("skipped: rpmbuild is not here")
        return
    folder.mkdir()
    log = "".join("* %s <a@example.com> - 1-%d\n- change %d é\n- more\n\n" % (day, i, i) for i, day in enumerate(
        ["Mon Jan 08 2024 Ä Person", "Mon Jan 08 2024 B", "Sun Jan 07 2024 C"] + ["Sat Jan 06 2024 D"] * 20))
    spec = folder / "built.spec"
    spec.write_text(SPEC + log)
    (folder / "built.tar").write_bytes(b"x" * 100)
    command = ["rpmbuild", "-ba", "--quiet", "--nodeps", "--target", "x86_64", "--define", f"_topdir {folder}/top",
               "--define", f"_sourcedir {folder}", "--define", "_source_payload w1.gzdio", spec]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env={**os.environ, "LC_ALL": "C.UTF-8", "HOME": str(folder)})
    if done.returncode:
        raise SystemExit("rpmbuild failed:\n" + done.stdout.decode(errors="replace"))
    shutil.rmtree(folder / "top/BUILDROOT", ignore_errors=True)
    compare(folder / "top", "built by rpmbuild")
