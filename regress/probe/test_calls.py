# SPDX-License-Identifier: ISC
"""System calls that a role may not make: stopped by all layers together, by
each layer alone, and by nothing when none is on."""
import os
import pwd
import re

from lib.daemon import USER, server
from lib.harness import eq, kinds, needs_root, ok, timeout

from lib import probes
from lib.probes import CALLS, KILLED, LAYERS, ROLES, SENDS, Errors, ProbeDaemon

ECHO = 'prefork 1\n' + server('\tlocation "/echo" { echo }\n')


def start(t, layers, user=None):
    probes.files(t, user)
    d = ProbeDaemon(t, ECHO, layers, user)
    d.start()
    for w in d.workers():
        if w["role"] != "parent":
            eq(bool(w["sandbox"]["seccomp"]),
               layers is None or "seccomp" in layers, "seccomp")
    return d


def abi(d):
    """Of Landlock: of the running kernel, when this daemon uses it."""
    return d.row("relay")["sandbox"]["landlock"]


def all_layers(t, user=None):
    d = start(t, None, user)
    e, ll = Errors(), abi(d)
    for role, p in probes.each(user):
        stops = [s for s in (p.stopped(x, role, ll) for x in LAYERS) if s]
        if not stops:
            continue                    # an older kernel
        got, w = probes.attempt(d, role, p)
        want = [s.result for s in stops]
        if KILLED in want:
            want = [KILLED]
        e.expect("%s in %s" % (p.name, ROLES[role]), got, want)
        if got == KILLED:
            probes.check_violation(d, role, p, w["pid"])
    e.done(60)
    t.ws(d.port(), "/echo").echo_check(b"x")


def nothing(t, user=None):
    """The probes themselves work: what stops them otherwise is a layer."""
    d = start(t, (), user)
    e = Errors()
    for role, p in probes.each(user):
        if not p.base or user:
            got, _ = probes.attempt(d, role, p)
            e.expect("%s in %s" % (p.name, ROLES[role]), got, [p.off])
    e.done(60)


def alone(t, layer, user=None, extra=(), least=1):
    """This layer, and the base it needs, stops what it is to stop."""
    bases = {s.base for p in CALLS for s in p.stops if s.layer == layer}
    eq(len(bases), 1, "one base for " + layer)
    base = () if user else bases.pop()
    d = start(t, tuple(base) + (layer,) + extra, user)
    e, ll = Errors(), abi(d)
    for role, p in probes.each(user):
        s = p.stopped(layer, role, ll)
        if s is None:
            continue
        got, w = probes.attempt(d, role, p)
        e.expect("%s in %s" % (p.name, ROLES[role]), got, [s.result])
        if got == KILLED:
            probes.check_violation(d, role, p, w["pid"])
    e.done(least)


@needs_root
@timeout(120)
@kinds("probe")
def test_all_layers(t):
    all_layers(t)


@needs_root
@kinds("probe")
def test_no_layer(t):
    nothing(t)


@needs_root
@timeout(120)
@kinds("probe")
def test_seccomp_alone(t):
    alone(t, "seccomp", least=60)


@needs_root
@kinds("probe")
def test_landlock_alone(t):
    alone(t, "landlock", least=15)


@needs_root
@kinds("probe")
def test_chroot_alone(t):
    alone(t, "chroot", least=12)


@needs_root
@kinds("probe")
def test_uid_alone(t):
    alone(t, "uid", least=9)


@needs_root
@kinds("probe")
def test_caps_alone(t):
    alone(t, "caps", least=6)


@needs_root
@kinds("probe")
def test_rlimit_alone(t):
    alone(t, "rlimit", least=5)


@needs_root
@kinds("probe")
def test_dumpable_alone(t):
    alone(t, "dumpable", least=6)


@needs_root
@kinds("probe")
def test_nnp_alone(t):
    alone(t, "nnp", least=3)


@needs_root
@kinds("probe")
def test_only_another_user(t):
    """The base of some layers: without them these probes succeed."""
    d = start(t, ("uid",))
    e = Errors()
    for role, p in probes.each(False):
        if any(s.base == ("uid",) and role in s.roles for s in p.stops):
            got, _ = probes.attempt(d, role, p)
            e.expect("%s in %s" % (p.name, ROLES[role]), got, [p.off])
    e.done(14)


def somebody():
    return pwd.getpwnam(USER).pw_uid


@needs_root
@timeout(120)
@kinds("probe")
def test_user_all_layers(t):
    """Started by an ordinary user: all but chroot and the user's own rights
    stand."""
    all_layers(t, somebody())


@needs_root
@kinds("probe")
def test_user_no_layer(t):
    nothing(t, somebody())


# Without root, seccomp and Landlock want no_new_privs.

@needs_root
@timeout(120)
@kinds("probe")
def test_user_seccomp_alone(t):
    alone(t, "seccomp", somebody(), ("nnp",), 60)


@needs_root
@kinds("probe")
def test_user_landlock_alone(t):
    alone(t, "landlock", somebody(), ("nnp",), 15)


@needs_root
@kinds("probe")
def test_user_rlimit_alone(t):
    alone(t, "rlimit", somebody(), least=5)


@needs_root
@kinds("probe")
def test_user_dumpable_alone(t):
    alone(t, "dumpable", somebody(), least=6)


@needs_root
@kinds("probe")
def test_user_nnp_alone(t):
    alone(t, "nnp", somebody(), least=3)


@kinds("probe")
def test_table_is_complete(t):
    """Every probe that is built stands in our tables, and every layer."""
    with open(os.path.join(t.top, "tunneld/probe_list.h")) as f:
        text = f.read()
    names = set(re.findall(r'P\(\w+,\s+"([a-z-]+)"\)', text))
    ok(len(names) > 50, "names found")
    eq({p.name for p in CALLS} | set(SENDS), names)
    eq(set(LAYERS), set(re.findall(r'L\(\w+,\s+"([a-z-]+)"\)', text)))
