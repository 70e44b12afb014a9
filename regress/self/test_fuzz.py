# SPDX-License-Identifier: ISC
"""What regress/fuzz/run says, and its exit code, with targets of ours."""
import os

from lib.harness import eq, has, kinds, ok

TARGET = """#!/bin/sh
for a; do
	case $a in
	-artifact_prefix=*) prefix=${a#*=} ;;
	esac
done
echo "#2 INITED cov: 7 ft: 9"
echo "stat::number_of_executed_units: 4711"
%s
"""
BROKEN = 'echo bad >"${prefix}crash-1234"; echo "does not hold"; exit 77'


def fuzz(t, **targets):
    obj = t.path("obj")
    os.makedirs(os.path.join(obj, "regress/fuzz"), exist_ok=True)
    for name, body in targets.items():
        t.write("obj/regress/fuzz/%s_fuzz" % name, TARGET % body, 0o755)
    code, out, _ = t.run(
        [os.path.join(t.top, "regress/fuzz/run"), "-t", "1"], cwd=t.top,
        env=dict(os.environ, O=obj, CI="true"))
    return code, out


@kinds("plain")
def test_fuzz_clean(t):
    code, out = fuzz(t, ws="exit 0", http1="exit 0")
    eq(code, 0, "exit code")
    has(out, "4711 inputs, 7 edges")
    has(out, "fuzz: 2 targets, 0 with findings")


@kinds("plain")
def test_fuzz_finding(t):
    code, out = fuzz(t, ws=BROKEN, http1="exit 0")
    eq(code, 1, "exit code")
    has(out, "FAIL ws")
    has(out, "does not hold")
    has(out, "ws-crash-1234\n", "the file that is kept is named")
    has(out, "fuzz: 2 targets, 1 with findings")
    ok(os.path.exists(t.path("obj/crashes/ws-crash-1234")), "it is there")


@kinds("plain")
def test_fuzz_nothing(t):
    """No target built, or a name that is none, is not success."""
    code, out = fuzz(t)
    eq(code, 2, "exit code")
    has(out, "no such target")
