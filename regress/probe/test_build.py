# SPDX-License-Identifier: ISC
"""A normal build has nothing of the probes; a build with them is kept from
being installed."""
import os
import subprocess

from lib.daemon import Daemon, server
from lib.harness import eq, has, kinds, needs_tool, ok

NAMES = ("attach-filter", "garbage-to-peers", "TUNNELD_PROBE", "msg-table")


def words(t, path):
    """Symbols, and strings of the program without its debug information."""
    syms = t.run(["nm", "-a", path], code=0)[1]
    bare = t.path("bare")
    t.run(["strip", "-o", bare, path], code=0)
    return syms, t.run(["strings", "-a", bare], code=0)[1]


@needs_tool("nm", "strip", "strings")
@kinds("plain")
def test_normal_build_has_none(t):
    for path in (t.tunneld, t.tunnelctl):
        syms, text = words(t, path)
        has(syms, "main", "symbols")
        ok("usage: " in text, "strings")
        for s in syms.splitlines():
            name = s.split()[-1]
            ok("probe" not in name.lower(), "symbol %s in %s" % (s, path))
        for line in text.splitlines():
            ok("probe" not in line.lower() and
               not any(n in line for n in NAMES),
               "%r in %s" % (line, path))


@kinds("plain")
def test_normal_build_knows_no_probe(t):
    """The word is a usage error, the layers cannot be switched off."""
    d = Daemon(t, server('\tlocation "/echo" { echo }\n'),
               env={"TUNNELD_PROBE_LAYERS": "none"})
    d.start()
    rc, out, err = t.run([t.tunnelctl, "-s", d.sock, "probe", "relay",
                          "open"])
    eq((rc, out), (2, ""))
    has(err, "unknown argument: probe")
    for w in d.workers():
        if w["role"] != "parent":
            ok(w["sandbox"]["seccomp"], w)
            eq(w["sandbox"]["chroot"], t.root and w["role"] != "dialer", w)
    t.ws(d.port(), "/echo").echo_check(b"x")


@needs_tool("nm", "strip", "strings")
@kinds("probe")
def test_probe_build_has_them(t):
    """So that the test of the normal build looks in the right place."""
    for path in (t.tunneld, t.tunnelctl):
        syms, text = words(t, path)
        for n in NAMES[:2]:
            has(text, n, path)
    has(words(t, t.tunneld)[0], "probe_call")
    has(words(t, t.tunneld)[1], "TUNNELD_PROBE_LAYERS")
    has(t.run([t.tunneld, "-V"], code=0)[1], "built with PROBES")


@kinds("probe")
def test_usage(t):
    """tunnelctl says which roles and probes there are."""
    for args, word in ((["probe"], "relay"), (["probe", "relay"], "open"),
                       (["probe", "parent", "open"], "dialer"),
                       (["probe", "relay", "nonsense"], "socket")):
        rc, out, err = t.run([t.tunnelctl, "-s", "/nonexistent"] + args)
        eq((rc, out), (2, ""), args)
        has(err, "  %s\n" % word)


@kinds("probe")
def test_not_installed(t):
    dest = t.path("dest")
    rel = os.path.relpath(t.objdir, t.top)
    r = subprocess.run(["make", "-f", "build.mk", "O=" + rel,
                        "DESTDIR=" + dest, "install"], cwd=t.top,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       timeout=60, env=dict(os.environ, MAKEFLAGS=""))
    ok(r.returncode != 0, "make install")
    has(r.stdout.decode(), "a build with probes is for tests only")
    ok(not os.path.exists(dest), "nothing was installed")
