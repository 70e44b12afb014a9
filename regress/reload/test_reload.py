# SPDX-License-Identifier: ISC
"""Reload: all or nothing, and no session or connection pays for it."""
import json
import os
import signal
import subprocess
import threading
import time

from lib import procs
from lib.daemon import forward, gateway, server
from lib.harness import eq, has, needs_root, ok, smoke, stays, timeout, \
    wait_until
from lib.peers import connect, echo, recv_exact
from lib.traffic import Knocker, both_ways
from lib.wsraw import request, upgrade

ECHO = '\tlocation "/echo" { echo }\n'


@smoke
def test_good(t):
    d = t.daemon(server(ECHO, listen="127.0.0.1 port %d" % t.port_free()))
    p = d.port()
    w = t.ws(p, "/echo")
    old = t.http(p, request("/new"))
    eq(old.status, 404)
    d.reload(server(ECHO + '\tlocation "/new" { echo }\n',
                    listen="127.0.0.1 port %d" % p))
    t.ws(p, "/new").echo_check(b"new")
    w.echo_check(b"old session")
    eq(d.port(), p)
    r = d.wait_log("reload")
    gens = sorted(s["generation"] for s in d.sessions())
    ok(gens[0] < gens[-1], "generations: %s" % gens)
    eq(r["generation"], gens[-1])


def test_port_0_keeps_its_port(t):
    d = t.daemon(server(ECHO))
    p = d.port()
    d.reload()
    eq(d.port(), p)
    t.ws(p, "/echo").close()


@smoke
def test_broken(t):
    """Text back to tunnelctl, exit 1, nothing changed at all."""
    d = t.daemon(server(ECHO))
    p = d.port()
    w = t.ws(p, "/echo")
    before = (d.text_of("show", "config"), d.listeners(), d.workers())
    d.write(server(ECHO + "\tnonsense 5\n"))
    rc, out, err = t.run([t.tunnelctl, "-s", d.sock, "reload"])
    eq((rc, out), (1, ""), "exit code, stdout")
    has(err, "%s:" % d.conf_path)
    has(err, 'near "nonsense"')
    answer = d.ctl("reload", code=1)
    has(answer["error"], 'near "nonsense"')
    after = (d.text_of("show", "config"), d.listeners(), d.workers())
    eq(after[0], before[0])
    eq(after[1], before[1])
    eq([x["pid"] for x in after[2]], [x["pid"] for x in before[2]])
    w.echo_check(b"untouched")
    r = d.wait_log("reload-failed")
    has(json.dumps(r), "nonsense")
    d.reload(server(ECHO))


def test_missing_file(t):
    d = t.daemon(server(ECHO))
    os.rename(d.conf_path, d.conf_path + ".gone")
    has(d.ctl("reload", code=1)["error"], d.conf_path)
    os.rename(d.conf_path + ".gone", d.conf_path)
    d.ctl("reload")


def test_port_in_use(t):
    """A listener that cannot be bound: an error, nothing changed."""
    other = t.listen()
    d = t.daemon(server(ECHO))
    p = d.port()
    answer = d.ctl("show", "listeners")
    d.write(server(ECHO) + server(ECHO, name="b",
                                  listen="127.0.0.1 port %d" % other.port))
    has(d.ctl("reload", code=1)["error"], str(other.port))
    eq(d.ctl("show", "listeners"), answer)
    t.ws(p, "/echo").echo_check(b"x")


def test_fixed_things(t):
    """What reload cannot change says so."""
    d = t.daemon(server(ECHO))
    for line in ('control socket "%s"' % t.path("other.sock"),
                 'user "daemon"'):
        if line.startswith("user") and not t.root:
            continue
        d.write(line + "\n" + server(ECHO))
        err = d.ctl("reload", code=1)["error"]
        has(err, line.split()[0])
        has(err, "restart")
    d.write(server(ECHO))
    d.ctl("reload")


def test_sighup(t):
    d = t.daemon(server(ECHO))
    p = d.port()
    d.write(server(ECHO + '\tlocation "/new" { echo }\n'))
    procs.kill(d.pid, signal.SIGHUP)
    d.wait_log("reload")
    t.ws(p, "/new").close()
    d.write("broken {\n")
    procs.kill(d.pid, signal.SIGHUP)
    d.wait_log("reload-failed")
    t.ws(p, "/new").close()


@smoke
def test_listener_added_and_removed(t):
    a, b = t.port_free(), t.port_free()
    both = "127.0.0.1 port %d\n\tlisten on 127.0.0.1 port %d" % (a, b)
    d = t.daemon(server(ECHO, listen="127.0.0.1 port %d" % a))
    wa = t.ws(a, "/echo")
    d.reload(server(ECHO, listen=both))
    wb = t.ws(b, "/echo")
    wa.echo_check(b"a")
    d.reload(server(ECHO, listen="127.0.0.1 port %d" % b))
    wait_until(lambda: refused(a), "the port to be closed")
    eq([x["port"] for x in d.listeners()], [b])
    wa.echo_check(b"the session of a removed listener")
    wb.echo_check(b"b")


def test_server_removed(t):
    """With the server its permission is gone."""
    one = server(ECHO, name="a")
    d = t.daemon(one + server(ECHO, name="b"))
    w = t.ws(d.port("b"), "/echo")
    x = t.ws(d.port("a"), "/echo")
    d.reload(one)
    w.expect_close(1008)
    x.echo_check(b"stays")


def refused(port):
    try:
        connect(port, 2).close()
        return False
    except ConnectionRefusedError:
        return True


def test_queued_connections_survive_removal(t):
    """Connections that came before the removal are still served."""
    p = t.port_free()
    rest = "prefork 1\n" + server(ECHO)
    d = t.daemon("prefork 1\n" +
                 server(ECHO, listen="127.0.0.1 port 0\n\tlisten on "
                        "127.0.0.1 port %d" % p))
    # Stopped relays leave connections in the backlog.
    relays = [w["pid"] for w in d.workers("relay")]
    for pid in relays:
        procs.kill(pid, signal.SIGSTOP)
    # More than the event loop takes before the decision comes.
    socks = [t.connect(p) for _ in range(400)]
    for s in socks:
        s.sendall(upgrade("/echo"))
    d.write(rest)
    ctl = subprocess.Popen([t.tunnelctl, "-s", d.sock, "reload"])
    t.defer(t.end, ctl)
    stays(lambda: ctl.poll() is None, "reload waits for its workers", 0.2)
    for pid in relays:
        procs.kill(pid, signal.SIGCONT)
    eq(ctl.wait(10), 0)
    for s in socks:
        head = s.recv(4096)
        ok(head.startswith(b"HTTP/1.1 101"), "queued connection: %r" % head)


class Storm(threading.Thread):
    """connect() and a request, again and again."""

    def __init__(self, t, port):
        super().__init__(daemon=True)
        self.port = port
        self.socks = []                 # (when connect() had succeeded, it)
        self.ending = threading.Event()
        t.defer(self.end)
        self.start()

    def run(self):
        try:
            while not self.ending.is_set() and len(self.socks) < 2000:
                s = connect(self.port, 0.3)
                self.socks.append((time.monotonic(), s))
                s.settimeout(10)
                s.sendall(request("/none"))
        except OSError:
            pass                        # refused, or not even that

    def end(self):
        self.ending.set()
        self.join(10)
        for _, s in self.socks:
            s.close()


def served(s):
    try:
        return s.recv(4096).startswith(b"HTTP/1.1 404")
    except ConnectionResetError:
        return False


@timeout(90)
@needs_root
def test_removal_in_a_storm(t):
    """Whose connect() succeeded before the reload was answered is served."""
    rest = server(ECHO)
    d = t.daemon(rest)
    # The parent has its listeners too, and comes last.
    os.sched_setscheduler(d.pid, os.SCHED_IDLE, os.sched_param(0))
    n = lost = 0
    for _ in range(10):
        p = t.port_free()
        d.reload(server(ECHO, listen="127.0.0.1 port 0\n\tlisten on "
                        "127.0.0.1 port %d" % p))
        storms = [Storm(t, p) for _ in range(3)]
        wait_until(lambda: all(len(x.socks) > 10 for x in storms), "storm")
        d.reload(rest)
        answered = time.monotonic()
        for x in storms:
            x.ending.set()
            x.join(10)
        early = [s for x in storms for when, s in x.socks if when < answered]
        n += len(early)
        lost += sum(not served(s) for s in early)
        for x in storms:
            x.end()
    eq(lost, 0, "lost of %d connections" % n)


@timeout(90)
@needs_root
def test_forward_moves_in_a_storm(t):
    """A forward gets another server and path: whoever connects meanwhile
    reaches the old server by the old path or the new by the new."""
    urls = []
    for name in ("one", "two"):
        e = t.serve(echo, backlog=512)
        s = t.daemon(server(gateway(e.port, "/" + name)), name=name)
        urls.append("ws://127.0.0.1:%d/%s" % (s.port(), name))
    d = t.daemon(forward(urls[0]))
    p = d.forward_port()
    # The parent sends COMMIT to the dialer first, and takes its time.
    os.sched_setscheduler(d.pid, os.SCHED_IDLE, os.sched_param(0))
    served, failures, ending = [], [], threading.Event()

    def storm():
        while not ending.is_set():
            try:
                s = connect(p, 20 * t.slow)
                s.sendall(b"x")
                eq(recv_exact(s, 1), b"x")
                s.close()
                served.append(1)
            except (OSError, AssertionError) as e:
                failures.append(repr(e))
    ths = [threading.Thread(target=storm, daemon=True) for _ in range(4)]
    t.defer(ending.set)
    for th in ths:
        th.start()
    for i in range(40):
        d.reload(forward(urls[(i + 1) % 2]))
        n = len(served)
        wait_until(lambda: len(served) > n + 5 or failures, "traffic")
    ending.set()
    for th in ths:
        th.join(30 * t.slow)
    eq(failures[:3], [], "%d of %d" % (len(failures), len(served)))
    eq([r["message"] for r in d.logs("dial-failed")], [])


def test_removed_and_added_again(t):
    """At once: nobody holds the address still."""
    p = t.port_free()
    rest = server(ECHO)
    both = server(ECHO, listen="127.0.0.1 port 0\n\tlisten on "
                  "127.0.0.1 port %d" % p)
    d = t.daemon(both)
    for _ in range(5):
        w = t.ws(p, "/echo")
        d.reload(rest)
        d.reload(both)
        w.echo_check(b"of the removed listener")
        t.ws(p, "/echo").echo_check(b"of the new one")


def test_policy_is_the_newest(t):
    """A session that is no longer allowed ends; others stay."""
    e = t.serve(echo)
    f = t.serve(echo)
    body = '\tlocation "/tunnel/*" { forward to { %s } }'
    both = body % ("127.0.0.1:%d, 127.0.0.1:%d" % (e.port, f.port))
    d = t.daemon(server(both))
    p = d.port()
    we = t.ws(p, "/tunnel/127.0.0.1:%d" % e.port)
    wf = t.ws(p, "/tunnel/127.0.0.1:%d" % f.port)
    we.echo_check(b"1")
    wf.echo_check(b"1")
    d.reload(server(body % ("127.0.0.1:%d" % e.port)))
    wf.expect_close(1008)
    we.echo_check(b"2")
    eq(d.wait_log("close")["reason"], "no-longer-allowed")
    t.ws(p, "/tunnel/127.0.0.1:%d" % f.port).expect_close(1008)


def test_location_removed(t):
    e = t.serve(echo)
    d = t.daemon(server(ECHO + gateway(e.port)))
    p = d.port()
    w = t.ws(p, "/ws")
    x = t.ws(p, "/echo")
    w.echo_check(b"x")
    d.reload(server(ECHO))
    w.expect_close(1008)
    x.echo_check(b"stays")
    eq(t.http(p, upgrade("/ws")).status, 404)


def test_target_changed(t):
    """New sessions reach the new target."""
    e = t.serve(echo)
    li = t.listen()
    d = t.daemon(server(gateway(e.port)))
    p = d.port()
    t.ws(p, "/ws").echo_check(b"x")
    d.reload(server(gateway(li.port)))
    w = t.ws(p, "/ws")
    c = li.accept()
    c.sendall(b"new")
    eq(w.recv(3), b"new")


def test_prefork_changed(t):
    d = t.daemon("prefork 1\n" + server(ECHO))
    p = d.port()
    w = t.ws(p, "/echo")
    d.reload("prefork 3\n" + server(ECHO))
    wait_until(lambda: len([r for r in d.workers("relay")
                            if r["state"] == "ready"]) == 3, "3 relays")
    w.echo_check(b"x")
    ws = [t.ws(p, "/echo") for _ in range(10)]
    d.reload("prefork 1\n" + server(ECHO))
    # Relays to go finish what they carry.
    for x in ws + [w]:
        x.echo_check(b"still")
        x.close(1000)
        x.expect_close(1000, answer=False)
    wait_until(lambda: len(d.workers("relay")) == 1, "1 relay")
    t.ws(p, "/echo").close()


def test_log_file_changed(t):
    d = t.daemon(server(ECHO))
    second = t.path("second.log")
    d.reload('log to "%s" format json\n' % second + server(ECHO))
    t.ws(d.port(), "/echo").close()

    def there():
        with open(second) as f:
            return '"open"' in f.read()
    wait_until(lambda: os.path.exists(second) and there(), "the new file")


def test_sighup_many(t):
    """Reloads on top of each other: one at a time, the last one counts."""
    d = t.daemon(server(ECHO))
    p = d.port()
    w = t.ws(p, "/echo")
    for i in range(30):
        d.write(server(ECHO + '\tlocation "/n%d" { echo }\n' % i))
        procs.kill(d.pid, signal.SIGHUP)
    wait_until(lambda: opens(t, p, "/n29"), "the newest", 10)
    w.echo_check(b"x")


def opens(t, p, path):
    try:
        t.ws(p, path).sock.close()
        return True
    except AssertionError:
        return False


@timeout(120)
def test_under_traffic(t):
    """50 sessions carry data through good and broken reloads."""
    s, sconf, c, cconf, a, b = both_ways(t, 50)
    k = Knocker(t, [s.port(), c.forward_port()])
    for i in range(5):
        s.reload(sconf.replace("/health", "/health%d" % i))
        c.reload(cconf + "# %d\n" % i)
        s.write("broken")
        s.ctl("reload", code=1)
        c.write(cconf + "also broken\n")
        c.ctl("reload", code=1)
    a.more()
    b.more()
    k.stop()
    eq((a.stop(), b.stop()), (0, 0), "broken streams")


def test_check_and_print(t):
    """-n and -nv do not disturb what runs, and print what parses back."""
    d = t.daemon(server(ECHO))
    w = t.ws(d.port(), "/echo")
    rc, out, err = t.run([t.tunneld, "-n", "-f", d.conf_path], code=0)
    has(out + err, "configuration OK")
    rc, out, err = t.run([t.tunneld, "-nv", "-f", d.conf_path], code=0)
    again = t.write("again.conf", out)
    rc, out2, err = t.run([t.tunneld, "-nv", "-f", again], code=0)
    eq(out2, out)
    w.echo_check(b"x")
    d.write("prefork nonsense\n")
    rc, out, err = t.run([t.tunneld, "-n", "-f", d.conf_path], code=1)
    has(err, "%s:" % d.conf_path)
    w.echo_check(b"x")


def test_stuck_worker(t):
    """A relay that does not answer PREPARE is killed; the reload is done."""
    d = t.daemon("prefork 2\n" + server(ECHO))
    d.expect_exits = True
    p = d.port()
    victim = d.workers("relay")[0]
    procs.kill(victim["pid"], signal.SIGSTOP)
    first = t.spawn([t.tunnelctl, "-s", d.sock, "reload"], log="first")
    stays(lambda: first.poll() is None, "waiting for the relay", 0.3)
    # One at a time: what is undecided is not mixed with another one.
    has(d.ctl("reload", code=1)["error"], "another reload is under way")
    eq(first.wait(20), 0)
    # Not by the 10 s after which anybody who is silent is killed.
    ok(any("did not answer a reload" in r.get("message", "")
           for r in d.logs("note")), "why it was killed")
    d.wait_worker("relay", victim, 15)
    t.ws(p, "/echo").echo_check(b"x")
