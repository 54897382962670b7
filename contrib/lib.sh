# SPDX-License-Identifier: MIT
# What demo and check share: packages, a copy of the sources, builds out of tree.
#
# Everything happens below build/, which git ignores. The sources are copied to
# build/src first: a tree in which a developer has run ./configure cannot be built out
# of tree, and must not be touched either.
# shellcheck shell=bash

# shellcheck disable=SC2034 # for those who read this file
BUILD_PACKAGES=(build-essential autoconf automake pkg-config libevent-dev libssl-dev
	libyaml-dev uthash-dev libxxhash-dev libjansson-dev zlib1g-dev libbrotli-dev libsystemd-dev
	check)

say() { printf '== %s\n' "$*" >&2; }
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		die "need root or sudo for: $*"
	fi
}

# need_packages NAME...: installs those Debian packages that are missing, if any are
need_packages() {
	local missing=() p
	for p in "$@"; do
		dpkg-query -W -f '${db:Status-Status}\n' "$p" 2>/dev/null |
			grep -qx installed || missing+=("$p")
	done
	[ ${#missing[@]} = 0 ] && return
	command -v apt-get >/dev/null || die "please install: ${missing[*]}"
	say "installing ${missing[*]}"
	as_root apt-get update -qq >&2
	as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
		--no-install-recommends "${missing[@]}" >&2 || die "apt-get failed"
}

# install_npm TOP: the npm packages of tests/integration/node, kept as long as
# their lock is the same
install_npm() {
	local from=$1/tests/integration/node to=$1/build/node
	cmp -s "$from/package-lock.json" "$to/done" && return
	say "npm ci (build/node)"
	mkdir -p "$to"
	cp "$from/package.json" "$from/package-lock.json" "$from/.npmrc" "$to/"
	(cd "$to" && npm ci --silent) || return 1
	cp "$from/package-lock.json" "$to/done"
}

# list_sources TOP: every file that belongs to the project, NUL-separated
list_sources() {
	if git -C "$1" rev-parse --is-inside-work-tree >/dev/null 2>&1; then
		git -C "$1" ls-files -z --cached --others --exclude-standard
	else
		(cd "$1" && find . -path ./build -prune -o -type f \
			! -name '*.o' ! -name '*.a' ! -name config.status ! -name config.log \
			! -path ./Makefile ! -path ./config.h ! -path ./stamp-h1 \
			! -path '*/.deps/*' ! -path '*/node_modules/*' -print0)
	fi
}

# copy_sources TOP: brings TOP/build/src up to date; times are kept, so that make
# builds only what changed
copy_sources() {
	local src=$1/build/src d
	mkdir -p "$src"
	for d in src tests man etc doc contrib; do
		rm -rf "${src:?}/$d"
	done
	list_sources "$1" |
		tar -C "$1" --null --no-recursion --ignore-failed-read -T - -cf - 2>/dev/null |
		tar -C "$src" -xf - || die "cannot copy the sources"
	[ -x "$src/configure" ] || (cd "$src" && ./autogen.sh) >&2 || die "autogen.sh failed"
}

# configure_in TOP DIR FLAG...: configures build/src in TOP/build/DIR unless the same was
# done before
configure_in() {
	local src=$1/build/src dir=$1/build/$2
	shift 2
	mkdir -p "$dir"
	if [ -f "$dir/Makefile" ] && [ "$(cat "$dir/.flags" 2>/dev/null)" = "$*" ]; then
		return
	fi
	(cd "$dir" && "$src/configure" --quiet "$@") || return 1
	printf '%s' "$*" >"$dir/.flags"
}
