# SPDX-License-Identifier: ISC
"""Many signals and requests at once, and ends in the middle of things."""
import os
import resource
import signal

from lib import procs
from lib.daemon import Daemon, server
from lib.harness import eq, has, ok, stays, timeout, wait_until
from lib.peers import in_parallel

ECHO = '\tlocation "/echo" { echo }\n'


def named(name):
    return server(ECHO + '\tlocation "/%s" { echo }\n' % name)


def put(d, conf):
    """Replace the file at once: a reload may read it at any moment."""
    path = d.conf_path + ".new"
    with open(path, "w", encoding="utf-8") as f:
        f.write(d.text(conf))
    os.rename(path, d.conf_path)


def serves(t, p, path):
    try:
        t.ws(p, path).sock.close()
        return True
    except AssertionError:
        return False


# ---- storms -------------------------------------------------------------

@timeout(90)
def test_hup_storm(t):
    """100 SIGHUPs at once, then the file changes and the last one comes:
    one reload at a time, and what the last one means is not lost."""
    d = t.daemon(server(ECHO))
    p = d.port()
    w = t.ws(p, "/echo")
    for i in range(3):
        for _ in range(100):
            procs.kill(d.pid, signal.SIGHUP)
        put(d, named("last%d" % i))
        procs.kill(d.pid, signal.SIGHUP)
        wait_until(lambda: serves(t, p, "/last%d" % i), "the last file",
                   20 * t.slow)
    w.echo_check(b"x")
    gens = [r["generation"] for r in d.logs("reload")]
    eq(gens, list(range(2, 2 + len(gens))), "generations, one by one")
    eq(len(d.logs("reload-failed")), 0)


def test_hup_storm_while_held(t):
    """While a worker holds up a reload, all that come are one more."""
    d = t.daemon(server(ECHO))
    p = d.port()
    victim = d.workers("relay")[0]["pid"]
    procs.kill(victim, signal.SIGSTOP)
    procs.kill(d.pid, signal.SIGHUP)
    for i in range(100):
        put(d, named("n%d" % i))
        procs.kill(d.pid, signal.SIGHUP)
    stays(lambda: not d.logs("reload"), "held up", 0.3)
    procs.kill(victim, signal.SIGCONT)
    wait_until(lambda: serves(t, p, "/n99"), "the last file", 20 * t.slow)
    d.stop()
    ok(1 <= len(d.logs("reload")) <= 2, "%d reloads" %
       len(d.logs("reload")))


def test_usr1_storm(t):
    """The log is reopened again and again: no line is lost, no descriptor
    kept."""
    d = t.daemon(server(ECHO))
    d.expect_exits = True       # no balance: the log is in several files
    p = d.port()
    t.ws(p, "/echo").close(1000)
    before = procs.descriptors(d.pid)
    for i in range(50):
        for _ in range(10):
            procs.kill(d.pid, signal.SIGUSR1)
        if i % 10 == 0:                 # as logrotate does
            os.rename(d.log_path, "%s.%d" % (d.log_path, i))
        w = t.ws(p, "/echo")
        w.echo_check(b"x")
        w.close(1000)
        w.expect_close(1000, answer=False)
    d.wait_sessions(0)
    procs.kill(d.pid, signal.SIGUSR1)
    wait_until(lambda: os.path.exists(d.log_path), "the log again")
    wait_until(lambda: procs.descriptors(d.pid) == before,
               "descriptors of the parent as before", 10)
    d.stop()
    for i in range(0, 50, 10):
        with open("%s.%d" % (d.log_path, i), "rb") as f:
            old = f.read()
        with open(d.log_path, "ab") as f:
            f.write(old)
    eq(len(d.logs("open")), 51, "open records in all files")
    eq(len(d.logs("close")), 51, "close records in all files")


def test_reload_by_eight(t):
    """8 clients at once: each is answered with done, or told that another
    reload is under way; afterwards the file is what runs."""
    d = t.daemon(server(ECHO))
    p = d.port()

    def one(_):
        return t.run([t.tunnelctl, "-s", d.sock, "reload"])
    good = 0
    for i in range(5):
        d.write(named("r%d" % i))
        for rc, out, err in in_parallel(8, one):
            if rc == 0:
                good += 1
                continue
            eq(rc, 1)
            has(err, "another reload is under way")
        # The first to come had this file.
        ok(serves(t, p, "/r%d" % i), "the new file")
    ok(good >= 5, "%d were done" % good)


# ---- ends in the middle -------------------------------------------------

def held_reload(t, d):
    """(stopped relay, tunnelctl): a reload that waits for a relay."""
    victim = d.workers("relay")[0]["pid"]
    procs.kill(victim, signal.SIGSTOP)
    ctl = t.spawn([t.tunnelctl, "-s", d.sock, "reload"], log="ctl.err")
    stays(lambda: ctl.poll() is None, "the reload waits", 0.3)
    return victim, ctl


def test_term_in_a_reload(t):
    """SIGTERM while a reload is undecided: it is refused, with a reason,
    and the old configuration is what drains."""
    d = t.daemon("grace 20s\n" + server(ECHO))
    p = d.port()
    w = t.ws(p, "/echo")
    d.write("grace 20s\n" + named("new"))
    victim, ctl = held_reload(t, d)
    procs.kill(d.pid, signal.SIGTERM)
    eq(ctl.wait(10 * t.slow), 1)
    with open(t.path("ctl.err"), encoding="utf-8") as f:
        has(f.read(), "about to stop")
    procs.kill(victim, signal.SIGCONT)
    w.echo_check(b"still served")
    eq(d.health()["status"], "draining")
    procs.kill(d.pid, signal.SIGHUP)    # no reload begins any more
    stays(lambda: not d.logs("reload"), "no reload", 0.2)
    w.close(1000)
    w.expect_close(1000, answer=False)
    d.wait_end(10)
    has(str(d.logs("reload-failed")), "about to stop")


def test_parent_killed_in_a_reload(t):
    """kill -9 of the parent: the children are gone within a second."""
    d = t.daemon(server(ECHO))
    d.write(named("new"))
    victim, ctl = held_reload(t, d)
    kids = d.children()
    eq(len(kids), 4)
    d.stopped = True
    procs.kill(d.pid)
    d.p.wait(5)
    procs.kill(victim, signal.SIGCONT)
    eq(ctl.wait(10 * t.slow), 1)
    d.gone(kids, 1.0 * t.slow)


@timeout(120)
def test_term_while_starting(t):
    """SIGTERM at any moment of a start: an exit, nothing left behind."""
    for i in range(20):
        d = Daemon(t, server(ECHO), name="s%d" % i)
        d.launch()
        # Up to 40 ms, the time of a start.
        stays(lambda: True, "a moment", i * 0.002)
        procs.kill(d.pid, signal.SIGTERM)
        d.stopped = True
        # Before there is a handler the signal itself ends it.
        ok(d.p.wait(20 * t.slow) in (0, -signal.SIGTERM), "exit code %d" %
           d.p.returncode)
        wait_until(lambda: (procs.reap(), not [
            p for p in procs.descendants(os.getpid())
            if procs.title(p).startswith("tunneld")])[1],
            "children to go", 3 * t.slow)
        if d.p.returncode == 0:
            ok(not os.path.exists(d.sock), "control socket is gone")


# ---- what is short ------------------------------------------------------

def no_processes(t):
    """A start of an ordinary user who may have no further process."""
    exe = t.public(t.tunneld)
    home = t.path("home")
    os.mkdir(home)
    os.chmod(home, 0o777)
    conf = t.write("np.conf", 'control socket "%s/c.sock"\n' % home +
                   server(ECHO))
    kw = {"user": "nobody", "group": "nogroup"} if t.root else {}
    rc, out, err = t.run(
        [exe, "-d", "-f", conf], cwd="/", preexec_fn=lambda:
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0)), **kw)
    return rc, err, home


def test_no_more_processes(t):
    """RLIMIT_NPROC: told after three tries, exit 1, nothing is left."""
    rc, err, home = no_processes(t)
    eq(rc, 1)
    has(err, "cannot start control 0: new process: Resource temporarily "
        "unavailable")
    eq(os.listdir(home), [], "left behind")
