# SPDX-License-Identifier: ISC
"""What a role may not do, and which layer of its sandbox stops it.

A probe counts only where it succeeds with all layers off; each layer then has
to stop it alone.  Roles: r relay, d dialer, c control.
"""
import os
import platform
import shutil
import socket
import stat

from .daemon import Daemon
from .harness import Failure, Skip, eq, ok

ROLES = {"r": "relay", "d": "dialer", "c": "control"}
KILLED = "killed"
LAYERS = ("seccomp", "landlock", "chroot", "uid", "caps", "nnp", "dumpable",
          "rlimit", "msg-table", "peer", "decode", "frame", "owner",
          "policy")


class Stop:
    """A layer stops a probe with this result, in these roles."""

    def __init__(self, layer, result, roles="rdc", abi=0, base=()):
        self.layer, self.result, self.roles = layer, result, roles
        self.abi = abi                  # of Landlock, from which on it does
        self.base = base                # layers without which it means little


S = Stop("seccomp", KILLED)


def landlock(errno="EACCES", roles="rdc", abi=1):
    return Stop("landlock", "errno " + errno, roles, abi)


CHROOT = Stop("chroot", "errno ENOENT", "rc")    # not the dialer, by design


def uid(errno="EPERM"):
    return Stop("uid", "errno " + errno)


CAPS = Stop("caps", "errno EPERM")


# With the capabilities of root these two bind nobody.
def rlimit(errno, roles="rdc"):
    return Stop("rlimit", "errno " + errno, roles, base=("uid",))


def dumpable(errno):
    return Stop("dumpable", "errno " + errno, base=("uid",))


class Probe:
    def __init__(self, name, roles, *stops, off="ok", nr=None, base=(),
                 root=False):
        self.name, self.roles, self.stops = name, roles, stops
        self.off = off                  # its result when nothing stops it
        self.nr = nr                    # the call's number on x86_64; None:
        #                                 it dies without last words
        self.base = base                # layers that must be on for it
        self.root = root                # only started as root

    def stopped(self, layer, role, abi):
        for s in self.stops:
            if s.layer == layer and role in s.roles and \
                    (layer != "landlock" or abi >= s.abi):
                return s
        return None


CALLS = (
    Probe("open", "rdc", S, landlock(), CHROOT, nr=257),
    Probe("open-shadow", "rdc", S, landlock(), CHROOT, uid("EACCES"),
          nr=257, root=True),
    Probe("create", "rdc", S, landlock(), CHROOT, nr=257),
    Probe("write-file", "rdc", S, landlock(), CHROOT,
          rlimit("EFBIG", "rd"), nr=257),
    Probe("unlink", "rdc", S, landlock(), CHROOT, nr=87),
    Probe("chmod", "rdc", S, CHROOT, uid(), nr=90, root=True),
    Probe("stat", "rdc", S, CHROOT, nr=262),
    Probe("socket", "rc", S, nr=41),
    Probe("socket-netlink", "rdc", S, nr=41),
    Probe("connect", "rc", S, landlock(abi=4), nr=42),
    Probe("connect-unix", "rc", S, CHROOT, nr=42),
    Probe("connect-abstract", "rc", S, landlock("EPERM", abi=6), nr=42),
    Probe("connect-abstract", "d", landlock("EPERM", abi=6)),
    Probe("bind", "rdc", S, landlock(abi=4), nr=49),
    Probe("listen", "rdc", S, nr=50),
    Probe("accept", "d", S, nr=288),
    Probe("shutdown-read", "rdc", S, nr=48),
    Probe("shutdown-write", "dc", S, nr=48),
    Probe("setfl", "r", S, nr=72),
    Probe("fionbio", "rc", S, nr=16),
    Probe("dup", "rdc", S, nr=72),
    Probe("attach-filter", "rdc", S, nr=54, root=True),
    Probe("reuseport", "rdc", S, nr=54),
    Probe("linger", "dc", S, nr=54),
    Probe("pass-descriptor", "rc", S, nr=46),
    Probe("pipe", "rdc", S, nr=293),
    Probe("socketpair", "rdc", S, nr=53),
    Probe("splice-gift", "rdc", S, nr=275),
    Probe("vmsplice", "rdc", S, nr=278),
    Probe("execve", "rdc", S, landlock(), CHROOT, off="exit 42"),
    # Only somebody who is not root can gain by it.
    Probe("execve-setuid", "rdc", S,
          Stop("nnp", "errno EPERM", base=("uid",)), nr=293, base=("uid",)),
    Probe("fork", "rdc", S, rlimit("EAGAIN")),
    Probe("ptrace", "rdc", S, landlock("EPERM"), dumpable("EPERM")),
    Probe("kill", "rdc", S, landlock("EPERM", abi=6), nr=62),
    Probe("kill-parent", "rdc", S, landlock("EPERM", abi=6), uid(), nr=62,
          root=True),
    Probe("read-memory", "rdc", S, landlock(), CHROOT, dumpable("EACCES"),
          nr=257),
    Probe("mmap-exec", "rdc", S, nr=9),
    Probe("mprotect-exec", "rdc", S, nr=10),
    Probe("io-uring", "rdc", S, off="ok"),
    Probe("chroot", "rdc", S, uid(), CAPS, nr=161, root=True),
    Probe("setrlimit", "rdc", S, nr=302),
    Probe("prctl", "rdc", S, nr=157),
    Probe("sigaction", "rdc", S, nr=13),
    Probe("epoll-create", "rdc", S, nr=291),
    # The last one: where it succeeds the process is no longer root.
    Probe("setuid", "rdc", S, uid(), CAPS, root=True),
)

# Judged by what happens elsewhere: in test_messages.py.
SENDS = ("level-to-parent", "reload-to-parent", "worker-to-control",
         "open-to-dialer", "revoke-to-relay", "unknown-type",
         "short-payload", "long-payload", "oversized", "cut", "no-length",
         "garbage", "descriptors", "bad-value", "garbage-to-peers",
         "bad-payload-to-peers", "open-target", "open-foreign")


class ProbeDaemon(Daemon):
    """layers: those that are on; None: all.  user: not started as root."""

    def __init__(self, t, conf, layers=None, user=None, env=None, **kw):
        env = dict(env or {}, TUNNELD_PROBE_DIR=t.path("probe"))
        if layers is not None:
            env["TUNNELD_PROBE_LAYERS"] = ",".join(layers) or "none"
        super().__init__(t, conf, env=env, as_user=user, **kw)
        self.layers = layers
        self.expect_exits = self.expect_violations = True

    def row(self, role, n=0):
        return self.workers(role)[n]

    def probe(self, role, name):
        """What tunnelctl says that came of it."""
        a = self.ctl("probe", role, name)
        eq(a["probe"], name)
        return a["result"]


def files(t, owner=None):
    """What the probes of files and UNIX sockets use."""
    top = t.path("probe")
    os.mkdir(top)
    os.chmod(top, 0o777)
    for name in ("writable", "chmod"):
        t.write("probe/" + name, "x", 0o666)
    suid = shutil.copy("/usr/bin/id", os.path.join(top, "suid"))
    os.chmod(suid, 0o4755)
    if owner is not None:
        os.chown(os.path.join(top, "chmod"), owner, owner)
    t.listen(unix=os.path.join(top, "sock"))
    s = t.socket(socket.socket(socket.AF_UNIX))
    s.bind("\0" + os.path.join(top, "abstract"))
    s.listen(128)


def prepare(t, probe):
    if probe.name == "unlink":
        t.write("probe/unlink", "x")
    if probe.name == "execve-setuid" and \
            os.statvfs(t.path("probe")).f_flag & os.ST_NOSUID:
        raise Skip("setuid files do nothing here: " + t.tmp)
    if probe.name == "execve-setuid":
        st = os.stat(t.path("probe/suid"))
        ok(st.st_mode & stat.S_ISUID and st.st_uid == 0, "suid file")


def attempt(d, role, probe):
    """(result, worker row that was probed); the role is back afterwards."""
    old = d.row(ROLES[role])
    prepare(d.t, probe)
    result = d.probe(ROLES[role], probe.name)
    if result != KILLED:
        eq(d.row(ROLES[role])["pid"], old["pid"], "it lives")
        return result, old
    d.wait_worker(ROLES[role], old)
    end = d.wait_log("worker-exit", role=ROLES[role], pid=old["pid"])
    if "status" in end:                 # something took its place
        return "exit %d" % end["status"], old
    eq(end["signal"], 31, "SIGSYS")
    return result, old


def check_violation(d, role, probe, pid):
    """The log names the role and, where there were last words, the call."""
    r = d.wait_log("sandbox-violation", role=ROLES[role], pid=pid)
    if probe.nr is None:
        eq(r.get("syscall"), None, "no last words for " + probe.name)
    elif platform.machine() == "x86_64":
        eq(r["syscall"], probe.nr, "number of " + probe.name)
    else:
        ok("syscall" in r, "a number for " + probe.name)


def each(user):
    """Every (role, probe) that makes sense."""
    for role in ROLES:
        for p in CALLS:
            if role in p.roles and not (user and p.root):
                yield role, p


class Errors:
    """All that is wrong, not only the first."""

    def __init__(self):
        self.list = []
        self.n = 0

    def expect(self, what, got, want):
        self.n += 1
        if got not in want:
            self.list.append("%s: %s, want %s" % (what, got,
                                                  " or ".join(want)))

    def done(self, least=1):
        if self.list:
            raise Failure("%d of %d:\n  %s" % (len(self.list), self.n,
                                               "\n  ".join(self.list)))
        ok(self.n >= least, "only %d probes" % self.n)
