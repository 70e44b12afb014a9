#!/bin/sh
# SPDX-License-Identifier: ISC
#
# clean.sh [--all] OBJDIR: remove what the build made; with --all also what
# configure made, in every object directory.

set -eu

# Only files that a build makes, below a directory that configure marked.
clean() {
	[ -f "$1/config.src" ] || return 0
	while read -r file _; do
		base=$1/${file%.[cy]}
		case $file in
		*.y)	rm -f "$base.c" "$base.o" "$base.d" ;;
		regress/*|tunneld/tunneld.c|tunnelctl/tunnelctl.c)
			rm -f "$base.o" "$base.d" "$base" ;;
		*.c)	rm -f "$base.o" "$base.d" ;;
		esac
	done <"$1/config.src"
	rm -f "$1/libtunnel.a"
}

if [ "${1-}" = --all ]; then
	clean .
	rm -f config.args config.h config.log config.mk config.src rules.mk \
	    planted.h planted.mk
	rm -rf planted
	for dir in obj.*; do
		[ -f "$dir/config.src" ] && rm -rf "$dir"
	done
	find regress -name __pycache__ -type d -prune -exec rm -rf {} +
else
	clean "$1"
fi
