# SPDX-License-Identifier: ISC
"""Variables given to make are used besides what the build needs."""
import os

from lib.harness import eq, has, kinds, needs_tool


def given(t, make):
    """What make would do for some objects and a program, flags given."""
    obj = t.path("obj." + make)
    flags = ["O=" + obj, "CFLAGS=-O1 -DGIVEN_C", "CPPFLAGS=-DGIVEN_CPP",
             "LDFLAGS=-Wl,-O1"]
    # The one that runs the tests may have been given some, too.
    env = {k: v for k, v in os.environ.items()
           if k not in ("MAKEFLAGS", "MAKEOVERRIDES", "MFLAGS", "CC")}
    t.run([make, "conf"] + flags, 120, code=0, cwd=t.top, env=env)
    _, out, _ = t.run([make, "-n", "-f", "build.mk"] + flags +
                      [obj + "/lib/addr.o", obj + "/tunneld/tunneld"],
                      code=0, cwd=t.top, env=env)
    lines = out.splitlines()
    lib = [l for l in lines if l.endswith(" lib/addr.c") and " -c " in l]
    eq(len(lib), 1, "one line compiles lib/addr.c")
    for word in ("-std=gnu11", "-D_GNU_SOURCE", "-Icompat", "-I" + obj,
                 "-Wconversion", "-Wsign-conversion", "-fPIE", "-O1",
                 "-DGIVEN_C", "-DGIVEN_CPP"):
        has(lib[0].split(), word)
    link = [l for l in lines if " -o %s/tunneld/tunneld " % obj in l]
    eq(len(link), 1, "one line links tunneld")
    for word in ("-pie", "-Wl,-z,relro,-z,now", "-Wl,-O1", "-levent_core"):
        has(link[0].split(), word)


@kinds("plain")
@needs_tool("make")
def test_make_variables(t):
    given(t, "make")


@kinds("plain")
@needs_tool("bmake")
def test_bmake_variables(t):
    given(t, "bmake")
