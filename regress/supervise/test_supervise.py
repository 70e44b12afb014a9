# SPDX-License-Identifier: ISC
"""Deaths: of each child under traffic, of the parent, and orderly ends."""
import os
import signal
import time

from lib import procs
from lib.daemon import forward, gateway, server
from lib.harness import alone, eq, has, ok, smoke, stays, timeout, wait_until
from lib.peers import BlackHole, connect, echo, expect_rst
from lib.traffic import Knocker, Traffic, WsEnd, both_ways
from lib.wsraw import request, upgrade

ECHO = '\tlocation "/echo" { echo }\n\tlocation "/health" { health }\n'


def kill_under_traffic(t, role):
    """(broken browsers, broken local peers, sessions the victims had)."""
    s, sconf, c, cconf, a, b = both_ways(t, 50)
    k = Knocker(t, [s.port(), c.forward_port()])
    mine = 0
    for d in (s, c):
        old = d.kill_worker(role)
        mine += old["sessions"] or 0
        d.wait_worker(role, old)
    a.more()
    b.more()
    k.stop()
    t.ws(s.port(), "/ws").echo_check(b"new session")
    for d in (s, c):
        r = d.wait_log("worker-exit", role=role)
        eq(r["signal"], 9)
        row = d.workers(role)[0]
        eq(row["restarts"], 1)
    return a.stop(), b.stop(), mine


@timeout(120)
def test_kill_relay(t):
    """Only the sessions of the killed relays end."""
    x, y, mine = kill_under_traffic(t, "relay")
    ok(mine > 0, "the victims carried sessions")
    ok(0 < x + y <= mine, "%d streams broke, the relays had %d" %
       (x + y, mine))


@timeout(120)
def test_kill_dialer(t):
    x, y, _ = kill_under_traffic(t, "dialer")
    eq(x + y, 0, "broken streams")


def test_records_wait_for_control(t):
    """What ends while control is away is logged by its successor."""
    d = t.daemon("prefork 1\n" + server(ECHO))
    p, n = d.port(), 20
    ws = [t.ws(p, "/echo") for _ in range(n)]
    os.kill(d.pid, signal.SIGSTOP)          # nobody is started meanwhile
    old = d.kill_worker("control")
    wait_until(lambda: not procs.alive(old["pid"]), "control to be dead")
    for w in ws:
        w.close(1000)
        w.expect_close(1000, answer=False)
    os.kill(d.pid, signal.SIGCONT)
    d.wait_worker("control", old)
    d.wait_log("close", count=n)
    eq(len(d.logs("close")), n)


@timeout(120)
def test_kill_control(t):
    x, y, _ = kill_under_traffic(t, "control")
    eq(x + y, 0, "broken streams")


def test_relay_death_is_a_reset(t):
    """What the dead relay carried never looks like an orderly end."""
    li = t.listen()
    d = t.daemon("prefork 1\n" + server(gateway(li.port)))
    w = t.ws(d.port(), "/ws")
    c = li.accept()
    w.binary(b"some")           # all read: a plain close would be a FIN
    eq(c.recv(6), b"some")
    c.sendall(b"back")
    eq(w.message()[1], b"back")
    old = d.kill_worker("relay")
    d.wait_worker("relay", old)
    expect_rst(c)
    expect_rst(w.sock)
    t.ws(d.port(), "/ws")


def test_totals_never_fall(t):
    d = t.daemon("prefork 1\n" + server(
        ECHO + '\tlocation "/metrics" { metrics allow from { 127.0.0.0/8 } '
        '}\n'))
    p = d.port()
    w = t.ws(p, "/echo")
    w.echo_check(b"12345")

    def total(name):
        body = t.http(p, request("/metrics")).body.decode()
        return sum(float(ln.split()[-1]) for ln in body.split("\n")
                   if ln.startswith(name + "{"))
    wait_until(lambda: total("tunneld_sessions_total") == 1, "one session")
    eq(total("tunneld_sessions_active"), 1)
    old = d.kill_worker("relay")
    d.wait_worker("relay", old)
    eq(total("tunneld_sessions_total"), 1)
    eq(total("tunneld_bytes_total"), 10)
    eq(total("tunneld_sessions_active"), 0)
    ok(total("tunneld_worker_restarts_total") >= 1, "restarts")


def test_share_of_a_dead_relay_returns(t):
    """max-sessions: the places of a killed relay are free again."""
    d = t.daemon("prefork 2\n" + server("\tmax-sessions 10\n" + ECHO))
    p = d.port()
    [t.ws(p, "/echo") for _ in range(10)]
    eq(t.http(p, upgrade("/echo")).status, 429)
    olds = [d.kill_worker("relay", i) for i in range(2)]
    for old in olds:
        d.wait_worker("relay", old)

    def room():
        try:
            return t.ws(p, "/echo")
        except AssertionError:
            return None
    for _ in range(10):
        wait_until(room, "a place", 5)
    eq(t.http(p, upgrade("/echo")).status, 429)


def test_counts_survive_the_dialer(t):
    """A new dialer learns of the sessions that are there."""
    d = t.daemon(server("\tmax-sessions 3\n" + ECHO))
    p = d.port()
    ws = [t.ws(p, "/echo") for _ in range(3)]
    old = d.kill_worker("dialer")
    d.wait_worker("dialer", old)
    eq(t.http(p, upgrade("/echo")).status, 429)
    ws[0].close(1000)
    ws[0].expect_close(1000, answer=False)

    def room():
        try:
            return t.ws(p, "/echo")
        except AssertionError:
            return None
    wait_until(room, "a place", 5)
    eq(t.http(p, upgrade("/echo")).status, 429)


def places(t, p, n):
    """So many sessions find a place, and no more."""
    def room():
        try:
            return t.ws(p, "/echo")
        except AssertionError:
            return None
    out = [wait_until(room, "a place", 10 * t.slow) for _ in range(n)]
    eq(t.http(p, upgrade("/echo")).status, 429)
    return out


def test_ends_while_the_dialer_is_stopped(t):
    """What has ended while the dialer did not listen is not counted for
    ever: neither when it goes on, nor in its successor."""
    d = t.daemon(server("\tmax-sessions 4\n" + ECHO))
    d.expect_exits = True
    p = d.port()
    ws = [t.ws(p, "/echo") for _ in range(4)]
    for die in (False, True):
        old = d.workers("dialer")[0]
        procs.kill(old["pid"], signal.SIGSTOP)
        for w in ws[:2]:
            w.close(1000)
            w.expect_close(1000, answer=False)
        d.wait_sessions(2)
        procs.kill(old["pid"], signal.SIGKILL if die else signal.SIGCONT)
        if die:
            d.wait_worker("dialer", old)
        ws = ws[2:] + places(t, p, 2)


def test_requests_wait_for_the_dialer(t):
    """Handshakes in the gap are held, not refused."""
    e = t.serve(echo)
    d = t.daemon(server(gateway(e.port)))
    p = d.port()
    d.kill_worker("dialer")
    for i in range(10):
        t.ws(p, "/ws").echo_check(b"%d" % i)


def test_dialer_dies_while_dialing(t):
    """A pending dial is asked again, or fails with a reason: no hang."""
    h = BlackHole()
    t.defer(h.close)
    d = t.daemon("timeout connect 2s\n" + server(gateway(h.port)))
    w = t.ws(d.port(), "/ws")
    wait_until(lambda: d.sessions()[0]["state"] == "dialing", "dialing")
    old = d.kill_worker("dialer")
    d.wait_worker("dialer", old)
    got, code, reason = w.until_close()
    ok(code in (1011, 1013), (code, reason))


@timeout(90)
def test_hanging_worker_is_replaced(t):
    """10 s of silence: killed and respawned."""
    d = t.daemon("prefork 2\n" + server(ECHO))
    d.expect_exits = True
    victim = d.workers("dialer")[0]
    procs.kill(victim["pid"], signal.SIGSTOP)
    d.wait_worker("dialer", victim, 30)
    t.ws(d.port(), "/echo").echo_check(b"x")


@alone
@timeout(90)
def test_crash_loop_is_slowed(t):
    """More than 5 deaths in 10 s: 1 s between tries, an alarm, still up."""
    d = t.daemon("prefork 2\n" + server(ECHO))
    d.expect_exits = True
    p = d.port()
    w = t.ws(p, "/echo")
    mine = {s["worker"] for s in d.sessions()}
    victim = [r for r in d.workers("relay") if r["id"] not in mine and
              "relay %s" % r["id"] not in mine][0]
    seen = 0
    began = time.monotonic()
    while seen < 7:
        now = [r for r in d.workers("relay") if r["id"] == victim["id"] and
               r["state"] == "ready" and r["pid"] != victim["pid"]]
        if seen == 0:
            now = [victim]
        if now:
            victim = now[0]
            procs.kill(victim["pid"])
            seen += 1
        ok(time.monotonic() - began < 60, "respawning stopped")
    wait_until(lambda: d.health()["status"] == "degraded", "degraded")
    w.echo_check(b"the other relay goes on")
    t.ws(p, "/echo").echo_check(b"x")


def test_start_of_children_after_kill_keeps_pids_of_others(t):
    d = t.daemon("prefork 2\n" + server(ECHO))
    before = {(w["role"], w["id"]): w["pid"] for w in d.workers()}
    old = d.kill_worker("relay", 1)
    d.wait_worker("relay", old)
    after = {(w["role"], w["id"]): w["pid"] for w in d.workers()}
    changed = [k for k in before if before[k] != after[k]]
    eq(changed, [("relay", old["id"])])


# ---- the parent ---------------------------------------------------------

@smoke
def test_parent_killed(t):
    """kill -9 of the parent: children gone within 1 s, a new start finds
    ports and socket free."""
    e = t.serve(echo)
    p = t.port_free()
    conf = server(gateway(e.port) + "\n" + ECHO,
                  listen="127.0.0.1 port %d" % p)
    d = t.daemon(conf, name="one")
    ws = [t.ws(p, "/ws") for _ in range(10)]
    for w in ws:
        w.echo_check(b"x")
    kids = d.children()
    eq(len(kids), 4, "children: control, dialer, two relays")
    d.stopped = True
    procs.kill(d.pid)
    d.p.wait(5)
    began = time.monotonic()
    d.gone(kids, 1.0 * t.slow)
    ok(time.monotonic() - began < 1.0 * t.slow, "within a second")
    ok(os.path.exists(d.sock), "the stale socket is still there")
    n = t.daemon('control socket "%s"\n' % d.sock + conf, name="two")
    n.sock = d.sock
    eq(n.port(), p)
    t.ws(p, "/ws").echo_check(b"again")


@timeout(90)
def test_parent_killed_under_load(t):
    """Also while children are busy with 50 streams."""
    s, sconf, c, cconf, a, b = both_ways(t, 50)
    kids = s.children()
    s.stopped = True
    procs.kill(s.pid)
    s.p.wait(5)
    s.gone(kids, 1.0 * t.slow)
    a.stop()
    b.stop()
    n = t.daemon(sconf, name="again")
    t.ws(n.port(), "/ws").echo_check(b"x")


# ---- orderly ends -------------------------------------------------------

@smoke
def test_drain(t):
    """SIGTERM: 503 draining, what is open finishes, then exit 0."""
    e = t.serve(echo)
    d = t.daemon("grace 20s\n" + server(gateway(e.port) + "\n" + ECHO))
    p = d.port()
    w, x = t.ws(p, "/ws"), t.ws(p, "/echo")
    w.echo_check(b"x")
    x.echo_check(b"x")
    procs.kill(d.pid, signal.SIGTERM)
    r = wait_until(lambda: is_503(t, p), "503 of /health")
    has(r.body, b"draining")
    r = t.http(p, upgrade("/ws"))
    eq(r.status, 503)
    ok(int(r.header("Retry-After")) > 0, "Retry-After")
    eq(d.health()["status"], "draining")
    w.echo_check(b"still carried")
    w.close(1000)
    w.expect_close(1000, answer=False)
    ok(d.p.poll() is None, "one session is still open")
    x.echo_check(b"me too")
    x.close(1000)
    x.expect_close(1000, answer=False)
    d.wait_end(5)
    eq(len(d.logs("drain")), 1, "drain records")
    ok(not os.path.exists(d.sock), "control socket is gone")


def is_503(t, p):
    r = t.http(p, request("/health"))
    return r if r.status == 503 else None


def test_drain_closes_forward_listeners_at_once(t):
    e = t.serve(echo)
    s = t.daemon(server(gateway(e.port)), name="srv")
    c = t.daemon("grace 20s\n" + forward("ws://127.0.0.1:%d/ws" % s.port()),
                 name="cli")
    p = c.forward_port()
    a = t.connect(p)
    a.sendall(b"x")
    eq(a.recv(1), b"x")
    procs.kill(c.pid, signal.SIGTERM)

    def refused():
        try:
            connect(p, 1).close()
            return False
        except ConnectionRefusedError:
            return True
    wait_until(refused, "the forward's port to be closed")
    a.sendall(b"y")
    eq(a.recv(1), b"y")
    a.close()
    c.wait_end(5)


def test_grace_over(t):
    d = t.daemon("grace 500ms\n" + server(ECHO))
    ws = [t.ws(d.port(), "/echo") for _ in range(5)]
    procs.kill(d.pid, signal.SIGTERM)
    for w in ws:
        w.expect_close(1012, "service restart")
    d.wait_end(5)
    eq([r["state"][0] for r in d.logs("close")], ["K"] * 5)


def test_grace_over_with_dead_clients(t):
    """Clients that never answer the Close do not hold the exit for long."""
    d = t.daemon("grace 300ms\ntimeout close 500ms\n" + server(ECHO))
    [t.ws(d.port(), "/echo") for _ in range(5)]
    procs.kill(d.pid, signal.SIGTERM)
    d.wait_end(5)


@smoke
def test_second_sigterm(t):
    d = t.daemon("grace 60s\n" + server(ECHO))
    w = t.ws(d.port(), "/echo")
    procs.kill(d.pid, signal.SIGTERM)
    d.wait_log("drain")
    stays(lambda: d.p.poll() is None, "draining", 0.3)
    procs.kill(d.pid, signal.SIGTERM)
    d.wait_end(5)
    try:
        got, code, _ = w.until_close()
        eq(code, 1012)
    except AssertionError as e:
        has(str(e), "instead of a frame")


def test_sigint(t):
    d = t.daemon(server(ECHO))
    d.stop(signal.SIGINT)


def test_sigint_while_draining(t):
    d = t.daemon("grace 60s\n" + server(ECHO))
    t.ws(d.port(), "/echo")
    procs.kill(d.pid, signal.SIGTERM)
    d.wait_log("drain")
    procs.kill(d.pid, signal.SIGINT)
    d.wait_end(5)


@timeout(90)
def test_drain_under_traffic(t):
    """50 busy sessions: none breaks before it ends itself."""
    e = t.serve(echo, backlog=512)
    d = t.daemon("grace 30s\n" + server(gateway(e.port) + "\n" + ECHO))
    p = d.port()
    a = Traffic(t, 50, lambda: WsEnd(p, "/ws", 20 * t.slow))
    a.running()
    procs.kill(d.pid, signal.SIGTERM)
    d.wait_log("drain")
    a.more()
    eq(a.stop(), 0, "broken streams")
    d.wait_end(10)
    eq([r["state"][0] for r in d.logs("close")], ["-"] * 50)
