#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs each fuzz target once over its corpus: tests/fuzz/fuzz_NAME over corpus/NAME.
# With libFuzzer -runs=0 means just that; replay.c takes no notice of it.
# Writes to no directory of the source, which may be read-only.

: "${top_srcdir:?}" "${top_builddir:?}"
programs=$top_builddir/tests/fuzz
corpora=$top_srcdir/tests/fuzz/corpus
failed=0

fail() {
	echo "FAIL $1: $2"
	failed=1
}

output=$(mktemp) || exit 1
trap 'rm -f "$output"' EXIT

for corpus in "$corpora"/*/; do
	name=$(basename "$corpus")
	program=$programs/fuzz_$name
	if [ ! -x "$program" ]; then
		fail "$name" "no program $program"
	elif "$program" -runs=0 "$corpus" >"$output" 2>&1; then
		echo "ok   $name: $(find "$corpus" -type f | wc -l) inputs"
	else
		fail "$name" "stopped"
		cat "$output"
	fi
done

# a target without a corpus would otherwise go unnoticed
for source in "$top_srcdir"/tests/fuzz/fuzz_*.c; do
	name=$(basename "$source" .c)
	name=${name#fuzz_}
	[ -n "$(ls "$corpora/$name" 2>/dev/null)" ] || fail "$name" "no corpus $corpora/$name"
done
exit $failed
