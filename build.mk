# SPDX-License-Identifier: ISC
#
# build.mk: the second half of Makefile, read when configure has done its
# work: what needs its variables.

.SUFFIXES:

programs:

include $(O)/config.mk
include $(O)/planted.mk
include $(O)/rules.mk

programs: $(PROGRAMS)

unit: cmocka $(TESTS_C) $(FUZZ_C)

fuzzers: $(FUZZ_C)

tools: $(TOOLS_C)

cmocka:
	@test -n "$(CMOCKA_LIBS)" || { \
	    echo "make: missing: cmocka (Debian: libcmocka-dev);" \
	    "as root: make deps-regress" >&2; exit 1; }

install:
	DESTDIR="$(DESTDIR)" PREFIX="$(PREFIX)" SBINDIR="$(SBINDIR)" \
	    MANDIR="$(MANDIR)" SYSCONFDIR="$(SYSCONFDIR)" O="$(O)" \
	    sh contrib/install.sh

.PHONY: programs unit fuzzers tools cmocka install
