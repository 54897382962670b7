# SPDX-License-Identifier: MIT
# The rows of src/base/reasons.def or causes.def as rows of a list of roost(8).
/^(REASON|CAUSE)\(/ {
	n = split($0, part, "\"")
	status = "-"
	if (match(part[3], /[1-9][0-9][0-9]/))
		status = substr(part[3], RSTART, 3)
	print ".It " part[2] (/^REASON/ ? " Ta " status : "") " Ta " part[n - 1]
}
