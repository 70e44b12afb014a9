# SPDX-License-Identifier: ISC
#
# Makefile: for GNU make and bmake.  configure writes config.mk and rules.mk
# into the object directory O; it is run from here whenever that is due.
#
#	make                 build, in place
#	make deps            install what building and the demo need (root)
#	make demo            see it work, in under a minute
#	make install         DESTDIR= and PREFIX= as usual
#	make deps-regress    install what the tests talk to (root)
#	make regress         all tests; TESTS="name ..." a part of them;
#	                     as root it brings what it needs
#	make soak            half an hour of everything at once (root);
#	                     make soak SOAK=60: a minute
#	make bench           measure it, beside others; BENCH="test ..." a part,
#	                     BENCHFLAGS=-q quickly: does it run at all?
#	make O=DIR ...       another object directory
#	make planted         take each defence away: a test must go red
#	make asan            sanitizer build into obj.asan
#	make fuzz            feed the parsers with what clang's libFuzzer makes
#	                     up, FUZZ_SECONDS=180 each; FUZZ="name ..." some
#	make coverage        lines of lib/ that tests and fuzz seeds run
#	make lint            manual pages and style
#	make unit tools      only build the C unit tests; what tests and bench use
#	make clean distclean remove what O holds; what all builds made

O = .
TESTS =
SOAK ?= 1800
FUZZ =
FUZZ_SECONDS = 180
BENCH =
BENCHFLAGS =

all: conf
	@$(MAKE) -f build.mk O=$(O) programs

conf:
	@sh ./configure --refresh --objdir=$(O)

unit: conf
	@$(MAKE) -f build.mk O=$(O) unit

tools: conf
	@$(MAKE) -f build.mk O=$(O) tools

install: all
	@$(MAKE) -f build.mk O=$(O) install

deps:
	@sh contrib/deps.sh build

deps-regress:
	@sh contrib/deps.sh regress

demo: demo-deps
	@$(MAKE) O=$(O) all
	@O=$(O) regress/demo

# As root the demo brings what it needs; a user gets the line to run.
demo-deps:
	@sh contrib/deps.sh build

regress:
	@sh contrib/deps.sh regress
	@$(MAKE) O=$(O) all unit tools
	@O=$(O) TESTS="$(TESTS)" regress/run

soak: all
	@O=$(O) SOAK="$(SOAK)" regress/soak

# As root it brings what to compare with; a user compares with what is there.
bench:
	@test "$$(id -u)" -ne 0 || sh contrib/deps.sh regress
	@$(MAKE) O=$(O) all tools
	@O=$(O) BENCH="$(BENCH)" regress/bench/bench $(BENCHFLAGS)

planted:
	@regress/planted/run

asan:
	@test -f obj.asan/config.args || \
	    sh ./configure --enable-asan --objdir=obj.asan
	@$(MAKE) O=obj.asan all unit tools

fuzz:
	@test -f obj.fuzz/config.args || \
	    sh ./configure --enable-fuzz --objdir=obj.fuzz
	@sh ./configure --refresh --objdir=obj.fuzz
	@$(MAKE) -f build.mk O=obj.fuzz fuzzers
	@O=obj.fuzz regress/fuzz/run -t $(FUZZ_SECONDS) $(FUZZ)

coverage:
	@regress/coverage

lint: all
	@sh contrib/lint.sh

clean:
	@sh contrib/clean.sh $(O)

distclean:
	@sh contrib/clean.sh --all

.PHONY: all conf unit tools install deps deps-regress demo \
	demo-deps regress planted bench soak asan fuzz coverage lint clean \
	distclean
