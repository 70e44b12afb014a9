# SPDX-License-Identifier: ISC
"""Each process, field by field: user, root, privileges, limits, memory and
every single descriptor, started by root and by an ordinary user.

What a role may hold is a table: a feature that adds something adds it there.
"""
import collections
import ctypes
import os
import pwd

from lib import procs
from lib.daemon import USER, Daemon, forward, gateway, server
from lib.harness import Failure, eq, kinds, needs_root, ok, wait_until
from lib.peers import echo

RELAYS = 2

# What a role may hold besides 0-2, as (least, most).  In a relay each session
# adds two "tcp" and each listener one.
HOLDS = {
    "relay": {
        "channel": (3, 3),              # parent, control, dialer
        "violation pipe": (1, 1),
        "epoll": (1, 1),
        "pipe pair": (1, 65),           # libevent's, and the pool
        "tcp listener": (2, 2),
        "unix listener": (1, 1),
    },
    "dialer": {
        "channel": (2 + RELAYS, 2 + RELAYS),
        "violation pipe": (1, 1),
        "epoll": (1, 1),
        "pipe pair": (1, 1),
    },
    "control": {
        "channel": (2 + RELAYS, 2 + RELAYS),
        "violation pipe": (1, 1),
        "epoll": (1, 1),
        "pipe pair": (1, 1),
        "control socket": (1, 1),
        "log file": (1, 1),
    },
}

# Shared memory: pages of counters, mapped read-write (our own) and read-only
# (control: of every other child).
PAGES = {"relay": (1, 0), "dialer": (1, 0), "control": (1, RELAYS + 1)}

# Soft and hard.
NONE = ("0", "0")
FREE = ("unlimited", "unlimited")
LIMITS = {
    "relay": {"core file size": NONE, "processes": NONE, "file size": NONE},
    "dialer": {"core file size": NONE, "processes": NONE, "file size": NONE},
    "control": {"core file size": NONE, "processes": NONE,
                "file size": FREE},     # it writes the log
}

O_ACCMODE, O_CLOEXEC = 3, 0o2000000
WRITE_ONLY = 1


def start(t, user=None):
    e = t.serve(echo)
    d = Daemon(t, server('\tlocation "/echo" { echo }\n' + gateway(e.port)) +
               forward("ws://127.0.0.1:1/x") +
               'forward unix "%s" via "ws://127.0.0.1:1/x"\n' %
               t.path("fwd.sock"), as_user=user)
    d.start()
    return d


def roles(d):
    rows = [w for w in d.workers() if w["role"] != "parent"]
    eq(sorted(w["role"] for w in rows),
       ["control", "dialer"] + ["relay"] * RELAYS)
    return rows


def table(path, key, value):
    """{column key: columns} of a file in /proc/net."""
    out = {}
    with open(path) as f:
        next(f)
        for line in f:
            col = line.split()
            out[col[key]] = value(col)
    return out


def sockets():
    """{inode: kind}."""
    out = {}
    for name in ("tcp", "tcp6"):
        out.update(table("/proc/net/" + name, 9, lambda c:
                         "tcp listener" if c[3] == "0A" else "tcp"))

    def unix(col):
        path = col[7] if len(col) > 7 else ""
        if int(col[3], 16) & 0x10000:
            return "control socket" if path.endswith("d1.sock") else \
                "unix listener"
        if path.endswith("d1.sock"):
            return "control client"
        return "channel" if not path and col[5] == "03" else "unix " + path
    out.update(table("/proc/net/unix", 6, unix))
    return out


def flags(pid, n):
    with open("/proc/%d/fdinfo/%d" % (pid, n)) as f:
        for line in f:
            if line.startswith("flags:"):
                return int(line.split()[1], 8)
    raise Failure("no flags")


def held(d, pid):
    """What the process holds: {kind: how many}."""
    count, pipes = collections.Counter(), collections.defaultdict(list)
    links = {int(n): os.readlink("/proc/%d/fd/%s" % (pid, n))
             for n in os.listdir("/proc/%d/fd" % pid)}
    kinds_of = sockets()
    for n, what in sorted(links.items()):
        fl = flags(pid, n)
        if n <= 2:
            eq(what, "/dev/null", "descriptor %d" % n)
            continue
        ok(fl & O_CLOEXEC, "%d %s would survive exec" % (n, what))
        if what.startswith("pipe:"):
            pipes[what].append((n, fl & O_ACCMODE))
        elif what == "anon_inode:[eventpoll]":
            count["epoll"] += 1
        elif what.startswith("socket:["):
            count[kinds_of.get(what[8:-1], "unknown " + what)] += 1
        elif what == d.log_path:
            eq(fl & O_ACCMODE, WRITE_ONLY, "the log is written only")
            ok(fl & os.O_APPEND, "and at its end")
            count["log file"] += 1
        else:
            count["%d %s" % (n, what)] += 1
    for ends in pipes.values():
        if ends == [(4, WRITE_ONLY)]:
            count["violation pipe"] += 1
        elif len(ends) == 2:
            count["pipe pair"] += 1
        else:
            count["end of a pipe"] += 1
    eq(sorted(links)[:5], [0, 1, 2, 3, 4])
    return dict(count)


def check_held(d, w, more=None):
    want = dict(HOLDS[w["role"]])
    for kind, n in (more or {}).items():
        want[kind] = (n, n)

    def right():
        try:
            got = held(d, w["pid"])
        except FileNotFoundError:       # closed while we looked
            return None
        if set(got) - set(want):
            return None
        return all(lo <= got.get(k, 0) <= hi
                   for k, (lo, hi) in want.items())
    try:                                # tunnelctl of a moment ago may linger
        wait_until(right, "descriptors", 5)
    except Failure:
        raise Failure("%s %d holds %s, want %s" % (
            w["role"], w["id"], held(d, w["pid"]), want)) from None


def check_pages(w):
    own = other = 0
    with open("/proc/%d/maps" % w["pid"]) as f:
        for line in f:
            mode = line.split()[1]
            ok("w" not in mode or "x" not in mode, "writable code: " + line)
            if "/memfd:tunneld" in line:
                own += mode == "rw-s"
                other += mode == "r--s"
            else:
                ok(mode[3] == "p", "shared: " + line)
    eq((own, other), PAGES[w["role"]], "pages of " + w["role"])


def check_limits(w):
    got = {}
    with open("/proc/%d/limits" % w["pid"]) as f:
        for line in f:
            if line.startswith("Max "):
                got[line[4:26].strip()] = tuple(line[26:].split()[:2])
    for name, want in LIMITS[w["role"]].items():
        eq(got[name], want, "%s of %s" % (name, w["role"]))


def landlock_abi():
    """Of this kernel: landlock_create_ruleset(NULL, 0, VERSION)."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    return max(0, libc.syscall(ctypes.c_long(444), None, ctypes.c_size_t(0),
                               ctypes.c_uint(1)))


def check_privileges(w, uid, gid):
    st = procs.status(w["pid"])
    eq(set(st["Uid"].split()), {str(uid)}, "user of " + w["role"])
    eq(set(st["Gid"].split()), {str(gid)}, "group of " + w["role"])
    ok(set(st["Groups"].split()) <= {str(gid)}, "groups: " + st["Groups"])
    eq((st["NoNewPrivs"], st["Seccomp"], st["Threads"]), ("1", "2", "1"))
    eq(st.get("Seccomp_filters", "1"), "1", "filters")
    for cap in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        eq(int(st[cap], 16), 0, "%s of %s" % (cap, w["role"]))
    # Not dumpable: what is in /proc belongs to root, whoever it runs as.
    for name in ("mem", "environ", "fd"):
        eq(os.stat("/proc/%d/%s" % (w["pid"], name)).st_uid, 0, name)
    box = w["sandbox"]
    eq((box["seccomp"], box["uid"], box["landlock"]),
       (True, uid, landlock_abi()), "show workers")


def check_all(d, uid, gid, jailed):
    for w in roles(d):
        check_privileges(w, uid, gid)
        check_limits(w)
        check_pages(w)
        check_held(d, w)
        root = os.readlink("/proc/%d/root" % w["pid"])
        chroot = jailed and w["role"] != "dialer"
        eq(root, d.empty if chroot else "/", "root of " + w["role"])
        eq(os.readlink("/proc/%d/cwd" % w["pid"]), root, "directory")
        eq(w["sandbox"]["chroot"], chroot)
        if chroot:
            eq(os.listdir("/proc/%d/root/" % w["pid"]), [])
            st = os.stat(d.empty)
            eq((st.st_uid, st.st_mode & 0o022), (0, 0), "not its own")


@needs_root
@kinds("plain")
def test_every_child(t):
    pw = pwd.getpwnam(USER)
    check_all(start(t), pw.pw_uid, pw.pw_gid, True)


@needs_root
@kinds("plain")
def test_every_child_of_a_user(t):
    """Started without root: no chroot, no other user; all else is the same."""
    pw = pwd.getpwnam(USER)
    check_all(start(t, pw.pw_uid), pw.pw_uid, pw.pw_uid, False)


@needs_root
@kinds("plain")
def test_every_successor(t):
    """Who comes later is locked in like the first; nothing piles up."""
    pw = pwd.getpwnam(USER)
    d = start(t)
    for role in ("control", "dialer", "relay"):
        old = d.kill_worker(role)
        d.wait_worker(role, old)
    d.reload()
    check_all(d, pw.pw_uid, pw.pw_gid, True)


@needs_root
@kinds("plain")
def test_sessions_add_two_each(t):
    """A session is two sockets in its relay, and nothing anywhere else."""
    d = start(t)
    for n in range(5):
        t.ws(d.port(), "/ws").echo_check(b"x")
    mine = collections.Counter(s["worker"] for s in d.sessions())
    eq(sum(mine.values()), 5)
    for w in roles(d):
        more = {}
        if w["role"] == "relay":
            more = {"tcp": 2 * mine[w["id"]]}
        check_held(d, w, more)
