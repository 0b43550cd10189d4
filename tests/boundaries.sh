#!/bin/sh
# SPDX-License-Identifier: MIT
# tests/boundaries.sh: are the rooms entered only from above, and by their doors?
#
#   tests/boundaries.sh [FOLDER]     check the sources below FOLDER (default: this checkout)
#   tests/boundaries.sh --self-test  make one bad sample of each kind and expect it to be reported
#
# The rules are STYLE's table of rooms; a new room or a new outside library needs a row below.
# Exit code 0: sound, 1: each breach was printed as FILE:LINE: words, 2: wrong usage.
set -u
LC_ALL=C
export LC_ALL

# room | rooms (or single headers) it may include beside itself | its doors to others
rooms='
core/base          |                                                             | base.h
core/model         | core/base                                                   | model.h
core/catalogue     | core/base core/model                                        | catalogue.h
core/tree          | core/base core/model                                        | tree.h manifest.h
fs                 | core/base core/model core/catalogue core/tree/tree.h        | fs.h
rest               | core/base core/model core/catalogue core/tree/tree.h        | rest.h
cli                | core/base core/model                                        | cli.h
resolver/solve     | core/base core/model                                        | solve.h
resolver/snapshot  | core/base core/model resolver/solve                         | snapshot.h
resolver/fetch     | core/base core/model                                        | fetch.h mirrors.h asked.h
resolver/koji      | core/base core/model resolver/fetch                         | hub.h builds.h
resolver/modules   | core/base core/model resolver/fetch resolver/koji           | modules.h
resolver/header    | core/base core/model                                        | header.h keys.h store.h
resolver/compose   | core/base core/model core/tree/manifest.h resolver/solve resolver/snapshot | composer.h
resolver/sources   | core/base core/model resolver/solve resolver/snapshot resolver/fetch resolver/koji resolver/modules resolver/header resolver/compose | source.h
resolver/worker    | core/base core/model resolver/solve resolver/snapshot resolver/fetch resolver/koji resolver/modules resolver/header resolver/compose resolver/sources | worker.h
core/daemon        | core/base core/model core/catalogue core/tree/tree.h fs rest cli resolver/worker | daemon.h
'

# outside header (as the name begins) | rooms that may include it
reserved='
jansson            | core/model rest cli resolver/sources resolver/modules
openssl/           | core/base
sqlite3            | core/catalogue
ini.h              | core/daemon
fuse               | fs
linux/fuse         | fs
microhttpd         | rest
gnutls/            | rest
modulemd           | resolver/modules
yaml               | resolver/modules
expat              | resolver/snapshot resolver/koji
solv/              | resolver/solve
curl/              | resolver/fetch cli
librepo/           | resolver/fetch
rpm/               | resolver/header
glib               | resolver/fetch resolver/modules
gio/               | resolver/fetch
zlib               | resolver/snapshot resolver/compose
zstd               | resolver/snapshot resolver/header resolver/compose
lzma               | resolver/snapshot
bzlib              | resolver/snapshot
libdeflate         | resolver/compose
sys/prctl          | resolver/worker
linux/landlock     | resolver/worker
linux/seccomp      | resolver/worker
seccomp            | resolver/worker
'

# function | rooms that may call it
calls='
pthread_create     | core/base core/daemon resolver/snapshot
thrd_create        | core/base core/daemon resolver/snapshot
system             |
popen              |
'

# the C library and the kernel: free to all, unless reserved above
system_headers='^((sys|linux|arpa|netinet|net|asm)/.*|(assert|ctype|dirent|dlfcn|endian|err|errno|fcntl|fenv|float|fnmatch|ftw|getopt|glob|grp|ifaddrs|inttypes|langinfo|libgen|limits|locale|malloc|math|mntent|netdb|poll|pthread|pwd|regex|sched|search|semaphore|setjmp|signal|spawn|stdalign|stdarg|stdatomic|stdbool|stddef|stdint|stdio|stdlib|stdnoreturn|string|strings|sysexits|syslog|termios|threads|time|ucontext|unistd|utime|wchar|wctype)\.h)$'

# Reads file names, prints breaches and, last, what was looked at; 1 when there was a breach or nothing.
program='
function trim(text) { gsub(/^[ \t]+|[ \t]+$/, "", text); return text }
function breach(words) { printf "%s:%d: %s\n", name, FNR, words; breaches++ }
function has(list, word) { return index(" " list " ", " " word " ") > 0 }
function split_rows(text, first, second, third,   row, rows, i, cell) {
	rows = split(text, row, "\n")
	for (i = 1; i <= rows; i++)
		if (split(row[i], cell, "|") > 1) {
			first[++first[0]] = trim(cell[1])
			second[trim(cell[1])] = trim(cell[2])
			third[trim(cell[1])] = trim(cell[3])
		}
}
function room_of(path,   i, found) {
	for (i = 1; i <= room[0]; i++)
		if (index(path, room[i] "/") == 1)
			found = room[i]
	return found
}
# Take out comments (also over several lines) and what stands in quotes, unless it is an #include.
function code_of(line,   out, c, next2, quote) {
	out = ""
	while (line != "") {
		c = substr(line, 1, 1)
		next2 = substr(line, 1, 2)
		if (in_comment) {
			if (next2 == "*/") { in_comment = 0; line = substr(line, 3) }
			else line = substr(line, 2)
		} else if (next2 == "/*") { in_comment = 1; line = substr(line, 3) }
		else if (next2 == "//") line = ""
		else if ((c == "\"" || c == "\047") && out !~ /^[ \t]*#[ \t]*include/) {
			quote = c
			line = substr(line, 2)
			while (line != "" && substr(line, 1, 1) != quote)
				line = substr(line, substr(line, 1, 1) == "\\" ? 3 : 2)
			line = substr(line, 2)
			out = out quote quote
		} else { out = out c; line = substr(line, 2) }
	}
	return out
}
function project_include(path,   other, file) {
	if (path ~ /(^|\/)\.\.?(\/|$)/) { breach("\"" path "\" is not written from the top"); return }
	if (path !~ /\//) return # made by the build, or beside the file: its own room
	other = room_of(path)
	if (other == "") { breach("\"" path "\" is in no room"); return }
	if (other == here) return
	file = substr(path, length(other) + 2)
	if (!has(below[here], other) && !has(below[here], path))
		breach(here " may not include " other " (\"" path "\")")
	else if (!has(doors[other], file))
		breach("\"" path "\" is no door of " other)
}
function outside_include(path,   i, rows) {
	for (i = 1; i <= outside[0]; i++)
		if (index(path, outside[i]) == 1) {
			rows++
			if (has(owners[outside[i]], here)) return
		}
	if (rows) breach("<" path "> is not for " here)
	else if (path !~ system_headers) breach("<" path "> has no row in the table")
}
BEGIN {
	split_rows(ENVIRON["rooms"], room, below, doors)
	split_rows(ENVIRON["reserved"], outside, owners, unused)
	split_rows(ENVIRON["calls"], called, callers, unused)
	system_headers = ENVIRON["system_headers"]
	gsub(/\\\./, "[.]", system_headers)
}
FNR == 1 {
	name = FILENAME
	sub(/^\.\//, "", name)
	in_comment = 0
	files++
	here = room_of(name)
	if (here == "") breach("stands in no room")
	else if (!(here in seen)) { seen[here] = 1; seen_rooms++ }
}
here == "" { next }
{ code = code_of($0) }
code ~ /^[ \t]*#[ \t]*include/ {
	includes++
	path = code
	sub(/^[ \t]*#[ \t]*include[ \t]*/, "", path)
	if (path ~ /^"[^"]+"/) { split(path, part, "\""); project_include(part[2]) }
	else if (path ~ /^<[^>]+>/) { split(path, part, /[<>]/); outside_include(part[2]) }
	else breach("an include that cannot be read")
	next
}
{
	for (i = 1; i <= called[0]; i++)
		if (code ~ ("(^|[^A-Za-z0-9_.>])" called[i] "[ \t]*[(]") && !has(callers[called[i]], here))
			breach(called[i] "() is not for " here)
}
END {
	printf "boundaries: %d files of %d rooms, %d includes: %d breaches\n", files, seen_rooms, includes, breaches
	exit breaches > 0 || !files || !includes
}'
export rooms reserved calls system_headers

check() # FOLDER
{
	(
		cd "$1" || exit 2
		folders=
		for folder in core fs rest cli resolver; do
			[ -d "$folder" ] && folders="$folders $folder"
		done
		# no folder: awk reads nothing and says so
		# shellcheck disable=SC2086
		{ [ -z "$folders" ] || find -L $folders -name '*.[ch]' -type f; } | sort >"$list"
		set --
		while IFS= read -r file; do
			set -- "$@" "./$file"
		done <"$list"
		[ $# -gt 0 ] || set -- /dev/null
		awk "$program" "$@"
	)
}

# ---- self-test -----------------------------------------------------------

# A small checkout that keeps every rule, and tries to look as if it did not.
good_sample()
{
	rm -rf "$folder/sample"
	mkdir -p "$folder/sample"
	put core/base/base.h '#include <errno.h>'
	put core/base/digest.c '#include "core/base/base.h"' '#include <openssl/evp.h>'
	put core/model/model.h '#include "core/base/base.h"' '#include <jansson.h>'
	put core/catalogue/sql.c '#include "core/model/model.h"' '#include "schema.inc"' '#include <sqlite3.h>'
	put core/tree/tree.h '#include "core/model/model.h"'
	put core/tree/manifest.h '#include <stdint.h>'
	put core/tree/file.c '#include "core/tree/private.h"' '#include <linux/openat2.h>'
	put fs/session.c '#include <fuse_lowlevel.h>' '  #  include "core/tree/tree.h" /* door */' \
		'/* #include "rest/rest.h" and then system("x")' ' * #include <sqlite3.h> */' \
		'// #include <solv/pool.h>' \
		'const char *s = "popen(\"x\")"; char c = '\''"'\''; int t = file_system(1) + s.system(2);'
	put resolver/snapshot/build.c '#include <zlib.h>' 'int r = pthread_create(&t, NULL, f, NULL);'
	put resolver/compose/write.c '#include "core/tree/manifest.h"' '#include "resolver/snapshot/snapshot.h"'
	put core/daemon/main.c '#include "fs/fs.h"' '#include "resolver/worker/worker.h"' 'pthread_create (a);'
}

put() # PATH LINE...
{
	path=$folder/sample/$1
	shift
	mkdir -p "${path%/*}"
	printf '%s\n' "$@" >>"$path"
}

samples=0 failures=0

# bad PATH WORDS LINE...: with these lines added, exactly one breach is reported, there and in those words.
bad()
{
	good_sample
	where=$1 words=$2
	shift 2
	put "$where" "$@"
	samples=$((samples + 1))
	if check "$folder/sample" >"$folder/out"; then
		echo "self-test: not refused: $where: $*"
		failures=$((failures + 1))
	elif [ "$(grep -c . "$folder/out")" -ne 2 ] || ! grep -q "^$where:[0-9]*: .*$words" "$folder/out"; then
		echo "self-test: $where: $*: want «$words», got:"
		cat "$folder/out"
		failures=$((failures + 1))
	fi
}

self_test()
{
	good_sample
	if ! check "$folder/sample" >"$folder/out" || ! grep -q ' 0 breaches$' "$folder/out"; then
		echo 'self-test: the sound sample is refused:'
		cat "$folder/out"
		failures=1
	fi
	# upwards and sideways
	bad core/base/text.c 'may not include core/model' '#include "core/model/model.h"'
	bad core/model/spec.c 'may not include core/catalogue' '#include "core/catalogue/catalogue.h"'
	bad core/catalogue/sql.c 'may not include core/tree' '#include "core/tree/tree.h"'
	bad core/tree/tree.h 'may not include core/catalogue' '#include "core/catalogue/catalogue.h"'
	bad fs/session.c 'may not include rest' '#include "rest/rest.h"'
	bad rest/files.c 'may not include fs' '#include "fs/fs.h"'
	bad rest/files.c 'may not include core/daemon' '#include "core/daemon/daemon.h"'
	bad fs/session.c 'may not include core/tree' '#include "core/tree/manifest.h"'
	bad cli/list.c 'may not include core/catalogue' '#include "core/catalogue/catalogue.h"'
	bad resolver/solve/solve.c 'may not include resolver/snapshot' '#include "resolver/snapshot/snapshot.h"'
	bad resolver/header/read.c 'may not include resolver/snapshot' '#include "resolver/snapshot/snapshot.h"'
	bad resolver/snapshot/build.c 'may not include resolver/fetch' '#include "resolver/fetch/fetch.h"'
	bad resolver/fetch/local.c 'may not include resolver/snapshot' '#include "resolver/snapshot/snapshot.h"'
	bad resolver/koji/hub.c 'may not include resolver/sources' '#include "resolver/sources/source.h"'
	bad resolver/compose/write.c 'may not include core/tree' '#include "core/tree/tree.h"'
	bad resolver/compose/write.c 'may not include resolver/sources' '#include "resolver/sources/source.h"'
	bad resolver/sources/repo.c 'may not include resolver/worker' '#include "resolver/worker/worker.h"'
	bad resolver/worker/main.c 'may not include core/catalogue' '#include "core/catalogue/catalogue.h"'
	bad core/tree/tree.c 'may not include resolver/compose' '#include "resolver/compose/composer.h"'
	# past the door, beside the way
	bad fs/session.c 'is no door of core/catalogue' '#include "core/catalogue/internal.h"'
	bad resolver/sources/tag.c 'is no door of resolver/koji' '#include "resolver/koji/xmlrpc.h"'
	bad resolver/worker/main.c 'is no door of resolver/solve' '#include "resolver/solve/pool.h"'
	bad fs/session.c 'not written from the top' '#include "../rest/rest.h"'
	bad fs/session.c 'not written from the top' '#include "./words.h"'
	bad fs/session.c 'is in no room' '#include "tests/unit/test.h"'
	bad core/model/spec.c 'cannot be read' '#include HEADER'
	bad core/extra/new.c 'stands in no room' '#include <stdio.h>'
	# outside headers
	bad core/catalogue/sql.c '<jansson.h> is not for' '#include <jansson.h>'
	bad core/tree/file.c '<openssl/sha.h> is not for' '#include <openssl/sha.h>'
	bad rest/files.c '<sqlite3.h> is not for' '#include <sqlite3.h>'
	bad rest/files.c '<fuse_lowlevel.h> is not for' '#include <fuse_lowlevel.h>'
	bad core/daemon/main.c '<linux/fuse.h> is not for' '#include <linux/fuse.h>'
	bad fs/session.c '<microhttpd.h> is not for' '#include <microhttpd.h>'
	bad core/daemon/config.c '<gnutls/x509.h> is not for' '#include <gnutls/x509.h>'
	bad core/daemon/main.c '<expat.h> is not for' '#include <expat.h>'
	bad resolver/sources/tag.c '<solv/pool.h> is not for' '#include <solv/pool.h>'
	bad resolver/solve/solve.c '<curl/curl.h> is not for' '#include <curl/curl.h>'
	bad resolver/sources/tag.c '<rpm/rpmlib.h> is not for' '#include <rpm/rpmlib.h>'
	bad resolver/sources/tag.c '<librepo/librepo.h> is not for' '#include <librepo/librepo.h>'
	bad core/tree/file.c '<zstd.h> is not for' '#include <zstd.h>'
	bad resolver/compose/write.c '<lzma.h> is not for' '#include <lzma.h>'
	bad resolver/snapshot/build.c '<libdeflate.h> is not for' '#include <libdeflate.h>'
	bad resolver/sources/tag.c '<expat.h> is not for' '#include <expat.h>'
	bad resolver/koji/hub.c '<curl/curl.h> is not for' '#include <curl/curl.h>'
	bad core/daemon/main.c '<sys/prctl.h> is not for' '#include <sys/prctl.h>'
	bad core/daemon/main.c '<linux/landlock.h> is not for' '#include <linux/landlock.h>'
	bad rest/files.c '<ini.h> is not for' '#include <ini.h>'
	bad core/model/spec.c '<toml.h> has no row' '#include <toml.h>'
	bad resolver/sources/module.c '<modulemd.h> is not for' '#include <modulemd.h>'
	bad resolver/modules/mbs.c 'may not include resolver/sources' '#include "resolver/sources/source.h"'
	bad core/model/spec.c '<stringx.h> has no row' '#include <stringx.h>'
	# calls
	bad fs/session.c 'pthread_create() is not for fs' 'r = pthread_create(&t, NULL, f, NULL);'
	bad resolver/fetch/local.c 'thrd_create() is not for' 'thrd_create (&t, f, NULL);'
	bad core/daemon/main.c 'system() is not for' '	r = /* a comment */ system("true");'
	bad resolver/worker/main.c 'popen() is not for' 'FILE *f = popen("true", "r");'
	bad rest/files.c 'system() is not for' '/* one' '*/ system(x); /* two */'
	# nothing to look at is no success
	rm -rf "$folder/sample"
	mkdir "$folder/sample"
	samples=$((samples + 1))
	if check "$folder/sample" >"$folder/out"; then
		echo 'self-test: an empty folder passes'
		failures=$((failures + 1))
	fi
	echo "boundaries: self-test of $samples bad samples: $failures failed"
	[ "$failures" -eq 0 ]
}

folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM
list=$folder/list
case ${1-} in
--self-test) self_test ;;
-*)
	echo "usage: $0 [FOLDER | --self-test]" >&2
	exit 2
	;;
*) check "${1:-$(dirname "$0")/..}" ;;
esac
