# SPDX-License-Identifier: MIT
"""RPM files with the headers that a test asks for, byte by byte: craft.rpm({craft.NAME: craft.text("x"), …}).

Good ones carry right digests, so that every reader takes them; nothing here is meant to be installed."""
import hashlib
import struct

CHAR, INT8, INT16, INT32, INT64, STRING, BIN, STRINGS, I18N = range(1, 10)
WIDTH = {CHAR: 1, INT8: 1, INT16: 2, INT32: 4, INT64: 8}
CODE = {CHAR: "B", INT8: "B", INT16: "H", INT32: "I", INT64: "Q"}

I18NTABLE, NAME, VERSION, RELEASE, EPOCH, SUMMARY, DESCRIPTION, BUILDTIME, BUILDHOST = (
    100, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1007)
SIZE, VENDOR, LICENSE, PACKAGER, GROUP, URL, OS, ARCH = 1009, 1011, 1014, 1015, 1016, 1020, 1021, 1022
OLDFILENAMES, SOURCERPM, ARCHIVESIZE, RPMVERSION, SOURCEPACKAGE = 1027, 1044, 1046, 1064, 1106
EXCLUDEARCH, EXCLUSIVEARCH = 1059, 1061
FILESIZES, FILEMODES, FILEFLAGS, DIRINDEXES, BASENAMES, DIRNAMES = 1028, 1030, 1037, 1116, 1117, 1118
CHANGELOGTIME, CHANGELOGNAME, CHANGELOGTEXT = 1080, 1081, 1082
LONGFILESIZES, LONGSIZE = 5008, 5009
# name, flags, version
PROVIDE, REQUIRE, CONFLICT, OBSOLETE = (1047, 1112, 1113), (1049, 1048, 1050), (1054, 1053, 1055), (1090, 1114, 1115)
RECOMMEND, SUGGEST, SUPPLEMENT, ENHANCE = (
    (5046, 5048, 5047), (5049, 5051, 5050), (5052, 5054, 5053), (5055, 5057, 5056))
OLDSUGGEST, OLDENHANCE = (1156, 1158, 1157), (1159, 1161, 1160)
SIG_SHA1, SIG_LONGSIZE, SIG_LONGARCHIVESIZE, SIG_SHA256, SIG_SIZE, SIG_MD5, SIG_PAYLOADSIZE = (
    269, 270, 271, 273, 1000, 1004, 1007)
LT, GT, EQ, LE, GE = 2, 4, 8, 10, 12
PREREQ, PRE, POST, STRONG = 1 << 6, 1 << 9, 1 << 10, 1 << 27
GHOST = 1 << 6


def raw(value):
    return value if isinstance(value, bytes) else value.encode()


def text(value):
    return STRING, [value]


def texts(*values):
    return STRINGS, list(values)


def i18n(*values):
    return I18N, list(values)


def int16(*values):
    return INT16, list(values)


def int32(*values):
    return INT32, list(values)


def int64(*values):
    return INT64, list(values)


def blob(region, tags):
    """the bytes of one header, with its intro; region None: none, as rpm 3 wrote them"""
    data, index = bytearray(), []
    for tag in sorted(tags):
        kind, values = tags[tag]
        if kind in WIDTH:
            data += b"\0" * (-len(data) % WIDTH[kind])
        at = len(data)
        if kind == BIN:
            data += values
        elif kind in WIDTH:
            data += struct.pack(">%d%s" % (len(values), CODE[kind]), *values)
        else:
            data += b"".join(raw(value) + b"\0" for value in values)
        index.append(struct.pack(">IIII", tag, kind, at, len(values)))
    if region is not None:
        trailer = struct.pack(">IIiI", region, BIN, -16 * (len(index) + 1), 16)
        index.insert(0, struct.pack(">IIII", region, BIN, len(data), 16))
        data += trailer
    return intro(len(index), len(data)) + b"".join(index) + bytes(data)


def intro(count, length):
    return b"\x8e\xad\xe8\x01\0\0\0\0" + struct.pack(">II", count, length)


def lead(name="x", source=False, magic=b"\xed\xab\xee\xdb", major=3, signature=5):
    return struct.pack(">4sBBHH66sHH16s", magic, major, 0, int(source), 1, raw(name)[:65], 1, signature, b"")


def basic(name="x", version="1", release="1", arch="noarch", **more):
    """what every package has; more: tags by the name they have here"""
    tags = {I18NTABLE: texts("C"), NAME: text(name), VERSION: text(version), RELEASE: text(release),
            SUMMARY: i18n("Summary"), DESCRIPTION: i18n("Text."), BUILDTIME: int32(1600000000),
            BUILDHOST: text("host.example.com"), SIZE: int32(0), LICENSE: text("MIT"), GROUP: i18n("Unspecified"),
            OS: text("linux"), ARCH: text(arch), SOURCERPM: text("x-1-1.src.rpm"), RPMVERSION: text("4.18.0")}
    relation(tags, PROVIDE, (name, EQ, version + "-" + release))
    tags.update({globals()[key]: value for key, value in more.items()})
    return tags


def relation(tags, which, *rows):
    """rows: (name, flags, version)"""
    tags[which[0]] = texts(*[row[0] for row in rows])
    tags[which[1]] = int32(*[row[1] for row in rows])
    tags[which[2]] = texts(*[row[2] for row in rows])
    return tags


def files(tags, *rows):
    """rows: path, or (path, mode, flags)"""
    rows = [row if isinstance(row, tuple) else (row, 0o100644, 0) for row in rows]
    cut = [raw(path).rpartition(b"/") for path, _, _ in rows]
    folders = list(dict.fromkeys(folder + slash for folder, slash, _ in cut))
    tags[DIRNAMES] = texts(*folders)
    tags[BASENAMES] = texts(*[base for _, _, base in cut])
    tags[DIRINDEXES] = int32(*[folders.index(folder + slash) for folder, slash, _ in cut])
    tags[FILEMODES] = int16(*[mode for _, mode, _ in rows])
    tags[FILEFLAGS] = int32(*[flags for _, _, flags in rows])
    tags[FILESIZES] = int32(*[0 for _ in rows])
    return tags


def changes(tags, *rows):
    """rows: (time, author, text), the newest first"""
    tags[CHANGELOGTIME] = int32(*[row[0] for row in rows])
    tags[CHANGELOGNAME] = texts(*[row[1] for row in rows])
    tags[CHANGELOGTEXT] = texts(*[row[2] for row in rows])
    return tags


def rpm(tags, payload=b"payload", signature=None, region=63, source=False, front=None):
    """signature: tags to add to, or (None as value) to take from, the usual ones"""
    head = blob(region, tags)
    usual = {SIG_SHA1: text(hashlib.sha1(head).hexdigest()), SIG_SHA256: text(hashlib.sha256(head).hexdigest()),
             SIG_SIZE: int32(len(head) + len(payload)), SIG_MD5: (BIN, hashlib.md5(head + payload).digest()),
             SIG_PAYLOADSIZE: int32(len(payload))}
    usual.update(signature or {})
    sig = blob(62, {tag: value for tag, value in usual.items() if value is not None})
    sig += b"\0" * (-len(sig) % 8)
    return (lead(source=source) if front is None else front) + sig + head + payload
