#!/bin/sh
# SPDX-License-Identifier: MIT
# Holds the documents against the program: every key, flag, endpoint, command and metric is
# in its manual, and nothing else is; roostctl reaches every endpoint; the sample shows every
# key, loads, and states true defaults; boards and alert rules name metrics that there are.

: "${top_srcdir:?}" "${top_builddir:?}"
roost=$top_builddir/roost
ctl=$top_builddir/roostctl
sample=$top_srcdir/etc/roost.yaml
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
failed=0

# same TEXT A B: the sorted lists A and B are equal; A is what the program says
same() {
	comm -23 "$2" "$3" >"$tmp/missing"
	comm -13 "$2" "$3" >"$tmp/surplus"
	sed "s|^|FAIL $1 lacks |" "$tmp/missing"
	sed "s|^|FAIL $1 has unknown |" "$tmp/surplus"
	[ -s "$tmp/missing" ] || [ -s "$tmp/surplus" ] || { echo "ok   $1"; return; }
	failed=1
}

# upstreams.NAME.backends[].weight ... from the indentation of a block-style file
keys_of() {
	awk '/^ *(- )?[a-z_0-9]+:/ {
		match($0, /^ */); depth = RLENGTH / 2; line = substr($0, RLENGTH + 1)
		if (sub(/^- /, "", line)) name[depth++] = "[]"
		sub(/:.*/, "", line); name[depth] = line; path = name[0]
		for (i = 1; i <= depth; i++)
			path = path (name[i] == "[]" ? "" : ".") \
			    (i == 1 && name[0] == "upstreams" ? "NAME" : name[i])
		if ($0 ~ /:[ \t]+[^ \t]/) print path
	}' "$1" | LC_ALL=C sort -u
}

export LC_ALL=C
"$roost" --list-keys | sort >"$tmp/keys" && [ -s "$tmp/keys" ] || exit 1
sed -n 's/^\.It Cm \([a-z][][a-zA-Z_0-9.]*\).*/\1/p' "$top_srcdir/man/roost.yaml.5" |
	sort -u >"$tmp/man"
same "roost.yaml(5)" "$tmp/keys" "$tmp/man"

# one sign: defaults, which change nothing; two signs: examples
sed 's/^\( *\)#\([a-z_0-9]*:\)/\1\2/' "$sample" >"$tmp/defaults.yaml"
echo 0123456789abcdef >"$tmp/token"
chmod 600 "$tmp/token"
sed "s/^\\( *\\)##/\\1/; s|/var/log/roost|$tmp|; s|/run/roost|$tmp|; s|file: .*\.html|file: $sample|; s/\(token\|secret\)_file: .*/\1_file: token/; s|_file: token|_file: $tmp/token|" \
	"$tmp/defaults.yaml" >"$tmp/full.yaml"
keys_of "$tmp/full.yaml" >"$tmp/sample"
same "etc/roost.yaml" "$tmp/keys" "$tmp/sample"

"$roost" --help | grep -oE -e '--[a-z][a-z-]*' | sort -u >"$tmp/help"
grep -oE 'Fl (Fl |\\?-)[a-z][a-z-]*' "$top_builddir/man/roost.8" |
	sed -E 's/^Fl (Fl |\\?-)/--/' | sort -u >"$tmp/flags"
same "roost(8)" "$tmp/help" "$tmp/flags"

sed -n 's/^ENDPOINT(\([A-Z]*\), "\([^"]*\)".*/\1 \2/p' \
	"$top_srcdir/src/admin/endpoints.def" | sort >"$tmp/endpoints"
sed -n 's/^\.It Cm \([A-Z]*\) \(\/[^ ]*\).*/\1 \2/p' "$top_builddir/man/roost.8" |
	sort >"$tmp/documented"
same "endpoints of roost(8)" "$tmp/endpoints" "$tmp/documented"

grep -oE '(GET|POST|PUT|DELETE) /[^",]*' "$top_srcdir/src/ctl/commands.def" | sort -u >"$tmp/asked"
same "roostctl's endpoints" "$tmp/endpoints" "$tmp/asked"

"$ctl" --help | sed -n '/^flags/q; s/^  \([a-z]*\) .*/\1/p' | sort >"$tmp/commands"
sed -n 's/^\.It Cm \([a-z]*\).*/\1/p' "$top_builddir/man/roostctl.8" | sort >"$tmp/documented"
same "commands of roostctl(8)" "$tmp/commands" "$tmp/documented"

{ "$ctl" --help; while read -r command; do "$ctl" help "$command"; done <"$tmp/commands"; } |
	grep -oE '^ +(-.,)? *--[a-z][a-z-]*' | grep -oE -e '--.*' | sort -u >"$tmp/help"
grep -oE 'Fl Fl [a-z][a-z-]*' "$top_builddir/man/roostctl.8" |
	sed 's/^Fl Fl /--/' | sort -u >"$tmp/flags"
same "flags of roostctl(8)" "$tmp/help" "$tmp/flags"

sed -n 's/^METRIC("\([^"]*\)", \([A-Z]*\), "\([^"]*\)".*/\1 \2 \3/p' \
	"$top_srcdir/src/admin/metrics.def" | sort >"$tmp/table"
[ "$(grep -c '^METRIC(' "$top_srcdir/src/admin/metrics.def")" = \
	"$(wc -l <"$tmp/table")" ] || { echo "FAIL metrics.def: a row is not one line"; failed=1; }
sed 's/^\([^ ]*\) [A-Z]* */\1 /; s/ *$//' "$tmp/table" >"$tmp/metrics"
sed -n '/^\.Sh METRICS/,/^\.Sh LOGGING/s/^\.It Cm \(.*\)/\1/p' "$top_builddir/man/roost.8" |
	sed 's/ Brq//; s/,//g' | sort >"$tmp/documented"
same "metrics of roost(8)" "$tmp/metrics" "$tmp/documented"

# of a histogram there are _bucket, _count and _sum
awk '$2 == "HISTOGRAM" { print $1 "_bucket\n" $1 "_count\n" $1 "_sum"; next }
	{ print $1 }' "$tmp/table" | sort >"$tmp/series"
for file in roost-alerts.yaml roost-dashboard.json; do
	grep -oE '\b(roost|process)_[a-z_]+' "$top_srcdir/contrib/ops/$file" | sort -u >"$tmp/used"
	comm -12 "$tmp/used" "$tmp/series" >"$tmp/known"
	same "contrib/ops/$file" "$tmp/known" "$tmp/used"
done
# what nobody looks at need not be counted
grep -ohE '\b(roost|process)_[a-z_]+' "$top_srcdir"/contrib/ops/roost-* |
	sed -E 's/_(bucket|count|sum)$//' | sort -u >"$tmp/used"
cut -d' ' -f1 "$tmp/table" | grep -v -e '^process_start' -e '^process_virtual' |
	sort >"$tmp/shown"
comm -13 "$tmp/used" "$tmp/shown" | sed 's/^/FAIL contrib\/ops shows nothing of /' |
	grep . && failed=1
if command -v promtool >/dev/null; then
	promtool check rules "$top_srcdir/contrib/ops/roost-alerts.yaml" >"$tmp/rules" 2>&1 &&
		echo "ok   alert rules" || { cat "$tmp/rules"; failed=1; }
fi

sed -n 's/^KIND([A-Z_]*, [A-Z]*, \([A-Z]*\), \([0-9]*\), "\(.*\)")/\3 Ta \1 Ta \2/p' \
	"$top_srcdir/src/base/log_kinds.def" | tr A-Z a-z | sort >"$tmp/kinds"
sed -n 's/^\.It \([a-z A-Z]* Ta [a-z]* Ta [0-9]*\)$/\1/p' "$top_builddir/man/roost.8" |
	tr A-Z a-z | sort >"$tmp/documented"
same "limits of lines in roost(8)" "$tmp/kinds" "$tmp/documented"

for file in "$sample" "$tmp/full.yaml"; do
	"$roost" -t -c "$file" || failed=1
done
"$roost" -T -c "$sample" >"$tmp/a"
"$roost" -T -c "$tmp/defaults.yaml" >"$tmp/b"
diff "$tmp/a" "$tmp/b" && echo "ok   defaults of etc/roost.yaml" || failed=1
exit $failed
