# SPDX-License-Identifier: MIT
# The rows of src/admin/metrics.def as list items of roost(8).
/^METRIC\(/ {
	split($0, part, "\"")
	split(part[3], type, ", ")
	help = part[6]
	gsub(/\\/, "\\e", help)
	n = split(part[4], label, " ")
	labels = ""
	for (i = 1; i <= n; i++)
		labels = labels (i > 1 ? ", " : "") label[i]
	print ".It Cm " part[2] (n ? " Brq " labels : "")
	printf "%s%s", toupper(substr(type[2], 1, 1)), tolower(substr(type[2], 2))
	print "."
	# each sentence on a line of its own; none begins with a control character
	gsub(/\. /, ".\n", help)
	print help
}
