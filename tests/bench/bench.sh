#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds peer.c into a temporary folder, which bench.py removes, and runs the benchmark:
# tests/bench/bench.sh --roost ./roost [--roost-old ../old/roost]; the rest is there.
here=$(cd "$(dirname "$0")" && pwd) || exit 2
dir=$(mktemp -d) || exit 2
${CC:-cc} -std=gnu11 -O2 -Wall -Wextra -o "$dir/peer" "$here/peer.c" -lcrypto ||
	{ rm -rf "$dir"; exit 2; }
BENCH_DIR=$dir exec /usr/bin/python3 -B "$here/bench.py" "$@"
