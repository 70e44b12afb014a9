# SPDX-License-Identifier: ISC
#
# plant.awk DEFECT SOURCE: the source with the defect's edits, on stdout.
# Old and new are whole lines; each old must stand in the source once.

BEGIN { ORS = "" }

FNR == NR && $0 == "old:"	{ part = "old"; n++; next }
FNR == NR && $0 == "new:"	{ part = "new"; next }
FNR == NR && $0 == "end:"	{ part = ""; next }
FNR == NR && part == "old"	{ old[n] = old[n] $0 "\n"; next }
FNR == NR && part == "new"	{ new[n] = new[n] $0 "\n"; next }
FNR == NR			{ next }
				{ text = text $0 "\n" }

function die(why)
{
	print ARGV[1] ": " why "\n" >"/dev/stderr"
	bad = 1
	exit 1
}

END {
	if (bad)
		exit 1
	if (n == 0)
		die("no edit")
	text = "\n" text
	for (i = 1; i <= n; i++) {
		if (old[i] == "" || old[i] == new[i])
			die("an edit that changes nothing")
		at = index(text, "\n" old[i])
		if (at == 0)
			die("the old text is not in " ARGV[2])
		rest = substr(text, at + length(old[i]))
		if (index(rest, "\n" old[i]) != 0)
			die("the old text is in " ARGV[2] " more than once")
		text = substr(text, 1, at) new[i] substr(rest, 2)
	}
	# Messages shall name the file that people know.
	if (ARGV[2] ~ /\.c$/)
		print "#line 1 \"" ARGV[2] "\"\n"
	print substr(text, 2)
}
