# SPDX-License-Identifier: MIT
# scripts/packages.sh: what the distribution must supply, and installing what is missing of it.
# Sourced by scripts/run and scripts/test. need_packages build|demo|test|bench

# gnutls: certificates of clients, which libmicrohttpd does not judge; librpm: headers of RPMs that no
# repository describes; libmodulemd and libyaml: documents of modules; librepo: lists of mirrors
debian_build="gcc meson ninja-build pkg-config libfuse3-dev fuse3 libsolv-dev libsolvext-dev
 libsqlite3-dev libjansson-dev libmicrohttpd-dev libexpat1-dev zlib1g-dev libzstd-dev liblzma-dev
 libbz2-dev libdeflate-dev libcurl4-gnutls-dev libssl-dev libgnutls28-dev libinih-dev librpm-dev
 libmodulemd-dev libyaml-dev librepo-dev scdoc"
debian_demo="rpm dnf createrepo-c curl jq"
# python3-gssapi is for the stock odcs client of the tests: pip could not build it without Kerberos' headers;
# openssl makes the certificates that tests/system/tls.py tries; gir1.2-modulemd-2.0: the other opinion on modules;
# gnupg (with rpm's rpmsign): keys and signatures of repositories
debian_test="python3 python3-venv python3-dnf clang libclang-rt-14-dev sqlite3 xz-utils bzip2 zstd
 rsync vim-tiny attr faketime util-linux procps python3-gssapi openssl python3-gi gir1.2-modulemd-2.0
 gnupg"
# nginx-light: the web server that files are served beside
debian_bench="wrk libsolv-tools nginx-light"

fedora_build="gcc meson ninja-build pkgconf-pkg-config fuse3-devel fuse3 libsolv-devel sqlite-devel
 jansson-devel libmicrohttpd-devel expat-devel zlib-devel libzstd-devel xz-devel bzip2-devel
 libdeflate-devel libcurl-devel openssl-devel gnutls-devel inih-devel rpm-devel libmodulemd-devel
 libyaml-devel librepo-devel scdoc"
fedora_demo="rpm-build dnf createrepo_c curl jq"
fedora_test="python3 python3-dnf clang compiler-rt libasan libubsan libtsan sqlite xz bzip2 zstd rsync
 vim-minimal attr libfaketime util-linux procps-ng python3-gssapi openssl python3-libmodulemd gnupg2
 rpm-sign"
fedora_bench="wrk libsolv-tools nginx-core"

as_root() {
	if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# prints the packages among its arguments that are not installed
missing_packages() {
	for package in "$@"; do
		if command -v dpkg-query >/dev/null; then
			[ "$(dpkg-query -W -f='${db:Status-Abbrev}' "$package" 2>/dev/null | cut -c1-2)" = ii ] ||
				echo "$package"
		else
			rpm -q --whatprovides "$package" >/dev/null 2>&1 || echo "$package"
		fi
	done
}

need_packages() {
	if command -v apt-get >/dev/null; then system=debian; else system=fedora; fi
	list=
	for group in "$@"; do
		eval "list=\"\$list \$${system}_$group\""
	done
	# shellcheck disable=SC2086 # the list is words
	missing=$(missing_packages $list)
	# another -dev package of libcurl serves as well: they cannot stand beside each other
	if pkg-config --exists libcurl 2>/dev/null; then
		missing=$(echo "$missing" | grep -v '^libcurl4-gnutls-dev$' || true)
	fi
	[ -n "$missing" ] || return 0
	echo "installing: $(echo "$missing" | tr '\n' ' ')"
	if [ "$system" = debian ]; then
		as_root apt-get update -qq
		# shellcheck disable=SC2086
		as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
			--no-install-recommends $missing >/dev/null
	else
		# shellcheck disable=SC2086
		as_root dnf install -y -q --setopt=install_weak_deps=False $missing
	fi
}
