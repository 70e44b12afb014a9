# SPDX-License-Identifier: ISC
"""What each process holds and may do, as the kernel sees it."""
import os
import pwd
import shutil
import signal

from lib import procs
from lib.daemon import USER, forward, gateway, server
from lib.harness import eq, has, kinds, needs_root, needs_tool, needs_user, \
    ok, smoke, tool, wait_until
from lib.peers import echo
from lib.wsraw import request, upgrade

ECHO = '\tlocation "/echo" { echo }\n\tlocation "/health" { health }\n'


def start(t, conf=""):
    e = t.serve(echo)
    d = t.daemon(conf + server(ECHO + gateway(e.port)) +
                 forward("ws://127.0.0.1:1/x"))
    t.ws(d.port(), "/ws").echo_check(b"x")
    return d


@smoke
@kinds("plain", "asan")
def test_status(t):
    """no_new_privs, seccomp filter, no capability, in every child."""
    d = start(t)
    kids = [w for w in d.workers() if w["role"] != "parent"]
    eq(len(kids), 4)
    for w in kids:
        st = procs.status(w["pid"])
        eq(st["NoNewPrivs"], "1", w["role"])
        eq(st["Seccomp"], "2", w["role"])
        for cap in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
            eq(int(st[cap], 16), 0, "%s of %s" % (cap, w["role"]))
        eq(st["Threads"], "1", w["role"])
        ok(w["sandbox"]["seccomp"], w)
        uids = set(st["Uid"].split())
        eq(len(uids), 1, "one uid: %s" % uids)
        eq(int(uids.pop()), w["sandbox"]["uid"])


@needs_root
@kinds("plain", "asan")
def test_user_and_root(t):
    """As root: the configured user, no group of root, an empty root."""
    d = start(t)
    pw = pwd.getpwnam(USER)
    for w in d.workers():
        if w["role"] == "parent":
            continue
        st = procs.status(w["pid"])
        eq(set(st["Uid"].split()), {str(pw.pw_uid)}, w["role"])
        eq(set(st["Gid"].split()), {str(pw.pw_gid)}, w["role"])
        ok("0" not in st["Groups"].split(), "groups: " + st["Groups"])
        root = os.readlink("/proc/%d/root" % w["pid"])
        if w["role"] == "dialer":
            ok(not w["sandbox"]["chroot"], "the dialer is not chrooted")
        else:
            eq(root, d.empty, "root of " + w["role"])
            eq(os.listdir("/proc/%d/root/" % w["pid"]), [])
            ok(w["sandbox"]["chroot"], w)
        eq(os.readlink("/proc/%d/cwd" % w["pid"]), root, "cwd")


@needs_user
@kinds("plain", "asan")
def test_ordinary_user(t):
    """Everything but chroot and setuid works without root."""
    d = start(t)
    for w in d.workers():
        if w["role"] != "parent":
            eq((w["sandbox"]["chroot"], w["sandbox"]["uid"],
                w["sandbox"]["seccomp"]), (False, os.getuid(), True))


@kinds("plain", "asan")
def test_landlock_is_told(t):
    d = start(t)
    for w in d.workers():
        if w["role"] != "parent":
            ok(w["sandbox"]["landlock"] is not None, w)


def fds(pid):
    """{number: what it is} of a process (root only)."""
    out = {}
    for n in os.listdir("/proc/%d/fd" % pid):
        try:
            out[int(n)] = os.readlink("/proc/%d/fd/%s" % (pid, n))
        except FileNotFoundError:
            pass
    return out


@needs_root
@kinds("plain")
def test_descriptors(t):
    """Only what the role needs: no file, no directory, no terminal."""
    d = start(t)
    for w in d.workers():
        if w["role"] == "parent":
            continue
        for n, what in fds(w["pid"]).items():
            fine = what.startswith(("socket:", "anon_inode:", "pipe:",
                                    "/memfd:", "/dev/null")) or \
                "(deleted)" in what
            if w["role"] == "control":
                fine = fine or what == d.log_path
            if n <= 2:
                fine = fine or what == d.err_path
            ok(fine, "%s holds %d %s" % (w["role"], n, what))
    control = [w for w in d.workers("control")][0]
    has(fds(control["pid"]).values(), d.log_path)
    for w in d.workers():
        if w["role"] in ("relay", "dialer"):
            ok(d.log_path not in fds(w["pid"]).values(), w["role"])


@needs_root
@kinds("plain")
def test_parent_leaks_no_descriptor(t):
    """Reloads, deaths and failed reloads leave the parent as it was."""
    d = start(t)
    d.expect_exits = True
    with open(d.conf_path) as f:
        conf = f.read()

    def round():
        d.reload()
        d.write("broken")
        d.ctl("reload", code=1)
        with open(d.conf_path, "w") as f:
            f.write(conf)
        for role in ("relay", "dialer", "control"):
            old = d.kill_worker(role)
            d.wait_worker(role, old)
    round()
    before = len(fds(d.pid))
    for _ in range(3):
        round()
    wait_until(lambda: len(fds(d.pid)) <= before,
               "parent's descriptors: %d, then %d: %s" % (
                   before, len(fds(d.pid)), sorted(fds(d.pid).values())), 5)


@needs_root
@kinds("plain")
def test_relay_leaks_no_descriptor(t):
    d = start(t, "prefork 1\n")
    relay = d.workers("relay")[0]["pid"]
    dialer = d.workers("dialer")[0]["pid"]
    p = d.port()

    def many(n):
        for i in range(n):
            w = t.ws(p, "/ws" if i % 2 else "/echo")
            w.binary(b"x")
            w.sock.close()
            t.http(p, upgrade("/none"))
            t.http(p, request("/health"))
        d.wait_sessions(1)
    many(20)
    # Lingering closes have their own deadline.
    wait_until(lambda: settled(relay), "relay to be quiet", 10)
    a, b = len(fds(relay)), len(fds(dialer))
    many(100)
    wait_until(lambda: len(fds(relay)) <= a and len(fds(dialer)) <= b,
               "descriptors to be closed: %d, %d" % (a, b), 15)


def settled(pid):
    n = len(fds(pid))
    wait = [n]

    def same():
        wait.append(len(fds(pid)))
        return wait[-1] == wait[-2]
    return all(same() for _ in range(5))


@kinds("plain", "asan")
def test_not_dumpable(t):
    """Nobody but root may look into a child: /proc/PID/mem is closed."""
    d = start(t)
    for pid in d.children():
        owner = os.stat("/proc/%d/mem" % pid).st_uid
        eq(owner, 0, "owner of /proc/%d" % pid)
        lim = dict((ln[:26].strip(), ln[26:].split()[0]) for ln in
                   open("/proc/%d/limits" % pid))
        eq(lim["Max core file size"], "0")


@kinds("plain", "asan")
def test_titles(t):
    d = start(t)
    titles = sorted(procs.title(p) for p in d.children())
    eq(titles, ["tunneld: control", "tunneld: dialer", "tunneld: relay 0",
                "tunneld: relay 1"])


@needs_root
@kinds("plain")
def test_environment_is_not_inherited(t):
    """No secret of the starter's environment lives on in a child."""
    e = t.serve(echo)
    d = t.daemon(server(ECHO + gateway(e.port)),
                 env={"SECRET_OF_THE_STARTER": "xyzzy123"})
    for pid in d.children():
        with open("/proc/%d/environ" % pid, "rb") as f:
            ok(b"xyzzy123" not in f.read(), procs.title(pid))
        # setproctitle() writes over that; a copy may have been made before.
        ok(not remembers(pid, b"xyzzy123"),
           "the secret is in the memory of " + procs.title(pid))
    ok(remembers(d.pid, b"xyzzy123"), "it can be found: in the parent")


def remembers(pid, secret):
    """Does it stand in what pid can write to?"""
    with open("/proc/%d/maps" % pid) as f:
        maps = [ln.split() for ln in f]
    with open("/proc/%d/mem" % pid, "rb", 0) as f:
        for m in maps:
            lo, hi = (int(x, 16) for x in m[0].split("-"))
            if "w" not in m[1]:
                continue
            try:
                f.seek(lo)
                if secret in f.read(hi - lo):
                    return True
            except OSError:
                pass
    return False


@needs_root
@kinds("plain", "asan")
def test_groups_of_the_starter(t):
    """What groups root was in is nobody's business below."""
    os.setgroups([0, 4, 27])
    d = start(t)
    gid = str(pwd.getpwnam(USER).pw_gid)
    for w in d.workers():
        if w["role"] != "parent":
            eq(procs.status(w["pid"])["Groups"].split(), [gid], w["role"])


@needs_root
@needs_tool("setpriv")
@kinds("plain", "asan")
def test_capabilities_of_the_starter(t):
    """A user who was given some, as systemd does: none is left below."""
    pw = pwd.getpwnam(USER)
    t.tunneld = t.public(t.tunneld)
    os.mkdir(t.path("own"), 0o700)
    os.chown(t.path("own"), pw.pw_uid, pw.pw_gid)
    conf = t.write("c.conf", 'control socket "%s"\nprefork 1\n' %
                   t.path("own/sock") + server(ECHO))
    cap = "+net_bind_service"
    p = t.spawn([tool("setpriv"), "--reuid", USER, "--regid",
                 str(pw.pw_gid), "--clear-groups", "--inh-caps", cap,
                 "--ambient-caps", cap, t.tunneld, "-d", "-f", conf],
                log="c.err")
    wait_until(lambda: t.run([t.tunnelctl, "-s", t.path("own/sock"), "show",
                              "health"])[0] == 0, "an answer", 10 * t.slow)
    eq(int(procs.status(p.pid)["CapEff"], 16), 1 << 10, "of the parent")
    kids = procs.children(p.pid)
    eq(len(kids), 3)
    for pid in kids:
        for cap in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
            eq(int(procs.status(pid)[cap], 16), 0, "%s of %s" % (
                cap, procs.title(pid)))


@kinds("plain", "asan")
def test_stopped_child_dies_with_the_parent(t):
    """One that cannot see its channel close is ended by the system."""
    d = t.daemon(server(ECHO))
    kids = d.children()
    d.stopped = True
    for pid in kids:
        os.kill(pid, signal.SIGSTOP)
    procs.kill(d.pid)
    d.p.wait(5)
    d.gone(kids, 2.0 * t.slow)


@needs_root
@kinds("plain")
def test_build_is_pinned(t):
    """A replaced executable is not mixed in: children come from the old."""
    d0 = t.path("bin")
    os.mkdir(d0)
    exe = os.path.join(d0, "tunneld")
    shutil.copy(t.tunneld, exe)
    mine, t.tunneld = t.tunneld, exe
    d = t.daemon(server(ECHO))
    t.tunneld = mine
    with open(exe + ".new", "w") as f:
        f.write("#!/bin/sh\nexit 1\n")
    os.chmod(exe + ".new", 0o755)
    os.rename(exe + ".new", exe)
    old = d.kill_worker("relay")
    d.wait_worker("relay", old)
    t.ws(d.port(), "/echo").echo_check(b"x")
