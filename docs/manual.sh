#!/bin/sh
# SPDX-License-Identifier: MIT
# docs/manual.sh SOURCE PROGRAM SCDOC: the manual page on stdout, its @KEYS@ filled in by `PROGRAM config`.
set -eu
keys=$("$2" config -c /dev/null | awk '
	/^\[/ { section = substr($0, 2, length($0) - 2); next }
	/^; / { meaning = substr($0, 3); next }
	/=/ {
		at = index($0, "="); value = substr($0, at + 1)
		gsub(/_/, "\\_", meaning)
		printf "*%s.%s*\n\t%s. Default: %s\n\n", section, substr($0, 1, at - 1), meaning,
			value == "" ? "empty" : "_" value "_"
	}')
awk -v keys="$keys" '$0 == "@KEYS@" { print keys; next } { print }' "$1" | "$3"
