# SPDX-License-Identifier: ISC
"""Starting and not starting: options, messages, exit codes, readiness."""
import glob
import json
import os
import pwd
import re
import signal
import socket
import subprocess

from lib import procs
from lib.daemon import USER, server
from lib.harness import eq, has, needs_root, needs_user, ok, smoke, \
    wait_until
from lib.peers import connect

ECHO = '\tlocation "/echo" { echo }\n'


def run(t, *args, **kw):
    return t.run([t.tunneld] + list(args), **kw)


def base(t):
    """What makes a configuration startable here."""
    lines = ['control socket "%s"\n' % t.path("c.sock")]
    if t.root:
        os.makedirs(t.path("empty"), 0o755, exist_ok=True)
        lines.append('user "%s"\nchroot "%s"\n' % (USER, t.path("empty")))
    return "".join(lines)


# ---- words and messages -------------------------------------------------

@smoke
def test_version(t):
    rc, out, err = run(t, "-V", code=0)
    ok(re.match(r"tunneld \d+\.\d+", out), repr(out))
    eq(err, "")


@smoke
def test_usage(t):
    for args in (("-x",), ("extra",), ("-f",), ("-D",), ("-f", "a", "b"),
                 ("-D", "novalue", "-n", "-e", "")):
        rc, out, err = run(t, *args)
        eq((rc, out), (2, ""), "tunneld %s" % " ".join(args))
        has(err, "usage:" if args[0] != "-D" or len(args) == 1 else "")


@smoke
def test_error_form(t):
    path = t.write("bad.conf", 'prefork 1\nserver "a" {\n\tlisten on nope\n'
                   "\tlocation /x { echo }\n}\nwhat is this\n")
    rc, out, err = run(t, "-n", "-f", path)
    eq((rc, out), (1, ""))
    for line in err.strip().split("\n"):
        ok(re.match(re.escape(path) + r":\d+: ", line), line)
    has(err, path + ":6: near \"what\": expected ")
    rc, out, err2 = run(t, "-d", "-f", path)
    eq((rc, err2), (1, err), "the same when really starting")


def test_error_names(t):
    """<stdin>, <command line>, and an included file by its own name."""
    bad = "nonsense\n"
    rc, out, err = run(t, "-n", "-f", "-", stdin=bad)
    eq(rc, 1)
    has(err, '<stdin>:1: near "nonsense": ')
    rc, out, err = run(t, "-n", "-e", bad)
    eq(rc, 1)
    has(err, '<command line>:1: near "nonsense": ')
    inc = t.write("inc.conf", "\n\n" + bad)
    main = t.write("main.conf", 'include "%s"\n' % inc)
    rc, out, err = run(t, "-n", "-f", main)
    eq(rc, 1)
    has(err, inc + ':3: near "nonsense": ')


def test_missing_file(t):
    rc, out, err = run(t, "-d", "-f", t.path("none.conf"))
    eq((rc, out), (1, ""))
    has(err, t.path("none.conf"))


@smoke
def test_check(t):
    path = t.write("ok.conf", server(ECHO))
    rc, out, err = run(t, "-n", "-f", path, code=0)
    has(out + err, "configuration OK")
    rc, out, err = run(t, "-n", "-v", "-f", path, code=0)
    rc, out2, err = run(t, "-nv", "-f", "-", stdin=out, code=0)
    eq(out2, out, "-nv parses back to the same")


def test_macros(t):
    path = t.write("m.conf", 'p = "1234"\n' + server(
        ECHO, listen="127.0.0.1 port $p"))
    rc, out, err = run(t, "-nv", "-f", path, code=0)
    has(out, "port 1234")
    rc, out, err = run(t, "-nv", "-D", "p=4321", "-f", path, code=0)
    has(out, "port 4321")


def test_shipped_examples(t):
    """Every configuration of etc/ parses, and prints back to itself."""
    files = sorted(glob.glob(os.path.join(t.top, "etc", "*.conf")))
    ok(len(files) >= 3, files)
    for path in files:
        rc, out, err = run(t, "-n", "-f", path)
        eq(rc, 0, "%s: %s" % (path, err))
        rc, out, err = run(t, "-nv", "-f", path, code=0)
        rc, again, err = run(t, "-nv", "-f", "-", stdin=out, code=0)
        eq(again, out, path)


# ---- readiness ----------------------------------------------------------

@smoke
def test_notify(t):
    """READY=1 comes when connections are served, not before."""
    d = t.daemon(server(ECHO))
    w = t.ws(d.port(), "/echo")
    w.echo_check(b"x")
    w.sock.close()
    d.wait_log("ready")
    d.told_so("READY=1")
    d.reload()
    procs.kill(d.pid, signal.SIGTERM)
    d.told_so("STOPPING=1")
    d.wait_end()


def test_notify_abstract(t):
    """NOTIFY_SOCKET may name an abstract socket (@...)."""
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    t.defer(s.close)
    name = "tunneld-test-%d" % os.getpid()
    s.bind("\0" + name)
    s.settimeout(10 * t.slow)
    conf = t.write("n.conf", base(t) + server(ECHO))
    p = t.spawn([t.tunneld, "-d", "-f", conf], log="n.err",
                env=dict(os.environ, NOTIFY_SOCKET="@" + name))
    has(s.recv(1000).decode().split("\n"), "READY=1")
    p.terminate()
    eq(p.wait(10 * t.slow), 0)


@smoke
def test_detached(t):
    """Without -d: the command returns when it is ready, exit 0."""
    conf = t.write("d.conf", base(t) + 'prefork 1\nlog to "%s" format json\n'
                   % t.path("d.log") + server(ECHO))
    rc, out, err = run(t, "-f", conf, code=0)
    eq((out, err), ("", ""))
    ctl = [t.tunnelctl, "-s", t.path("c.sock"), "-j"]
    rows = json.loads(t.run(ctl + ["show", "workers"], code=0)[1])["workers"]
    pid = [w["pid"] for w in rows if w["role"] == "parent"][0]
    kids = procs.children(pid)
    port = json.loads(t.run(ctl + ["show", "listeners"],
                            code=0)[1])["listeners"][0]["port"]
    w = t.ws(port, "/echo")
    w.echo_check(b"x")
    w.sock.close()
    # Nobody writes to the terminal it was started from.
    for q in [pid] + (kids if t.root else []):
        for n in (0, 1, 2):
            eq(os.readlink("/proc/%d/fd/%d" % (q, n)), "/dev/null",
               "descriptor %d of %s" % (n, procs.title(q)))
    # Its own session, no terminal, no directory held.
    ok(os.getsid(pid) != os.getsid(0), "a session of its own")
    eq(os.readlink("/proc/%d/cwd" % pid), "/")
    procs.kill(pid, signal.SIGTERM)
    wait_until(lambda: (procs.reap(), not procs.alive(pid))[1], "the end",
               10 * t.slow)
    wait_until(lambda: (procs.reap(), not any(map(procs.alive, kids)))[1],
               "children", 2)


def test_detached_failure(t):
    """A start that fails is told by the command itself."""
    li = t.listen()
    conf = t.write("d.conf", base(t) + server(
        ECHO, listen="127.0.0.1 port %d" % li.port))
    rc, out, err = run(t, "-f", conf)
    eq((rc, out), (1, ""))
    has(err, str(li.port))


# ---- what prevents a start ----------------------------------------------

@smoke
def test_port_in_use(t):
    li = t.listen()
    conf = t.write("p.conf", base(t) + server(
        ECHO, listen="127.0.0.1 port %d" % li.port))
    rc, out, err = run(t, "-d", "-f", conf)
    eq((rc, out), (1, ""))
    has(err, str(li.port))
    has(err.lower(), "in use")
    ok(not os.path.exists(t.path("c.sock")), "no socket left behind")


@smoke
def test_control_socket_in_use(t):
    """A live socket of another daemon is an error; it stays alive."""
    d = t.daemon(server(ECHO))
    conf = t.write("p.conf", base(t).replace(t.path("c.sock"), d.sock) +
                   server(ECHO))
    rc, out, err = run(t, "-d", "-f", conf)
    eq((rc, out), (1, ""))
    has(err, d.sock)
    eq(d.health()["status"], "ok")


def test_stale_control_socket(t):
    s = socket.socket(socket.AF_UNIX)
    s.bind(t.path("d1.sock"))
    s.close()
    d = t.daemon(server(ECHO))
    eq(d.sock, t.path("d1.sock"))
    d.health()


def test_control_socket_is_a_file(t):
    """Something else stands there: never removed."""
    t.write("c.sock", "precious\n")
    conf = t.write("p.conf", base(t) + server(ECHO))
    rc, out, err = run(t, "-d", "-f", conf)
    eq(rc, 1)
    has(err, t.path("c.sock"))
    with open(t.path("c.sock")) as f:
        eq(f.read(), "precious\n")


@needs_root
def test_root_without_user(t):
    """Root without _tunneld: an error naming the cure."""
    try:
        pwd.getpwnam("_tunneld")
        return
    except KeyError:
        pass
    conf = t.write("u.conf", 'control socket "%s"\n' % t.path("c.sock") +
                   server(ECHO))
    rc, out, err = run(t, "-d", "-f", conf)
    eq((rc, out), (1, ""))
    has(err, "_tunneld")
    ok("useradd" in err or "adduser" in err or "user \"" in err or
       "sysusers" in err, "a cure: " + err)


@needs_root
def test_root_as_root_is_refused(t):
    conf = t.write("u.conf", 'user "root"\ncontrol off\n' + server(ECHO))
    rc, out, err = run(t, "-d", "-f", conf)
    eq((rc, out), (1, ""))
    has(err, "root")


@needs_root
def test_chroot_must_be_there(t):
    conf = t.write("u.conf", 'user "%s"\nchroot "%s"\ncontrol off\n' % (
        USER, t.path("none")) + server(ECHO))
    rc, out, err = run(t, "-d", "-f", conf)
    eq((rc, out), (1, ""))
    has(err, t.path("none"))


@needs_root
def test_chroot_of_others_is_refused(t):
    """Who can write to the jail can put something into it."""
    for name, uid, mode in (("theirs", pwd.getpwnam(USER).pw_uid, 0o755),
                            ("open", 0, 0o777)):
        os.mkdir(t.path(name))
        os.chown(t.path(name), uid, 0)
        os.chmod(t.path(name), mode)
        conf = t.write("u.conf", 'user "%s"\nchroot "%s"\ncontrol off\n' % (
            USER, t.path(name)) + server(
                ECHO, listen="127.0.0.1 port %d" % t.listen().port))
        rc, out, err = run(t, "-d", "-f", conf)
        eq((rc, out), (1, ""))
        has(err, "must belong to root", name)


@needs_user
def test_default_control_socket_of_a_user(t):
    """$XDG_RUNTIME_DIR/tunneld.sock."""
    conf = t.write("x.conf", server(ECHO))
    p = t.spawn([t.tunneld, "-d", "-f", conf], log="x.err",
                env=dict(os.environ, XDG_RUNTIME_DIR=t.tmp))
    wait_until(lambda: os.path.exists(t.path("tunneld.sock")), "socket")
    env = dict(os.environ, XDG_RUNTIME_DIR=t.tmp)
    wait_until(lambda: t.run([t.tunnelctl, "show", "health"],
                             env=env)[0] == 0, "an answer")
    p.terminate()
    eq(p.wait(10 * t.slow), 0)


def test_command_line_configuration(t):
    """-e TEXT, no file: no control socket unless it is asked for."""
    port = t.port_free()
    text = "grace 1s\n" + server(ECHO, listen="127.0.0.1 port %d" % port)
    if t.root:
        text = 'user "%s"\nchroot off\n' % USER + text
    p = t.spawn([t.tunneld, "-d", "-e", text], log="e.err")

    def up():
        try:
            connect(port, 1).close()
            return True
        except OSError:
            return False
    wait_until(up, "the listener", 10 * t.slow)
    w = t.ws(port, "/echo")
    w.echo_check(b"x")
    w.sock.close()
    p.terminate()
    eq(p.wait(10 * t.slow), 0)


def test_stdin_configuration(t):
    conf = base(t) + server(ECHO)
    r, w = os.pipe()
    with open(t.path("s.err"), "wb") as err:
        p = subprocess.Popen([t.tunneld, "-d", "-f", "-"], stdin=r,
                             stderr=err, start_new_session=True)
    t.defer(t.end, p)
    os.close(r)
    os.write(w, conf.encode())
    os.close(w)
    wait_until(lambda: t.run([t.tunnelctl, "-s", t.path("c.sock"), "show",
                              "health"])[0] == 0, "an answer", 10 * t.slow)
    p.terminate()
    eq(p.wait(10 * t.slow), 0)


def test_closed_standard_descriptors(t):
    """Started with 0, 1 and 2 closed: no socket gets their numbers."""
    conf = t.write("z.conf", base(t) + 'log to "%s" format json\n' %
                   t.path("z.log") + server(ECHO))
    p = t.spawn(["sh", "-c", "exec '%s' -d -f '%s' <&- >&- 2>&-" %
                 (t.tunneld, conf)])
    wait_until(lambda: t.run([t.tunnelctl, "-s", t.path("c.sock"), "show",
                              "health"])[0] == 0, "an answer", 10 * t.slow)
    p.terminate()
    eq(p.wait(10 * t.slow), 0)


def test_many_starts(t):
    """Start and stop 10 times: no port, socket or process stays."""
    p = t.port_free()
    conf = server(ECHO, listen="127.0.0.1 port %d" % p)
    for i in range(10):
        d = t.daemon('control socket "%s"\n' % t.path("c.sock") + conf)
        t.ws(p, "/echo").sock.close()
        d.stop()
