# SPDX-License-Identifier: ISC
"""What is about to end: it ends in time, it costs nothing while it waits,
and Pongs alone do not keep it."""
import socket
import time

from lib import procs
from lib.daemon import forward, gateway, server
from lib.harness import alone, data, eq, kinds, needs_root, ok, stays, \
    timeout, wait_until
from lib.peers import SMALL, ending, expect_fin, recv_exact, send_async
from lib.wsraw import CLOSE, PING, PONG, TEXT, ws_accept

PINGS = "ping every 300ms timeout 10s\n"


def pair(t, top="", **kw):
    li = t.listen(seconds=15 * t.slow)
    d = t.daemon("prefork 1\n" + top + server(gateway(li.port)))
    w = t.ws(d.port(), "/ws", **kw)
    return d, w, li.accept()


def relay_fds(d):
    return procs.descriptors(d.workers("relay")[0]["pid"])


def all_gone(t, d, before):
    """After 2 s no socket of a session is left, not even to linger."""
    wait_until(lambda: relay_fds(d) <= before,
               "the relay's last socket to be closed", 2 * t.slow, 0.05)


# ---- gone in time -------------------------------------------------------

@needs_root
def test_hundred_close_and_go(t):
    """Close, then close() at once: nothing of them lingers."""
    d = t.daemon("prefork 1\n" + server('\tlocation "/echo" { echo }'))
    p, before = d.port(), relay_fds(d)
    for _ in range(100):
        w = t.ws(p, "/echo")
        w.close(1000)
        w.sock.close()
    all_gone(t, d, before)


@needs_root
def test_hundred_close_and_go_of_a_gateway(t):
    li = t.listen(seconds=10 * t.slow)
    d = t.daemon("prefork 1\n" + server(gateway(li.port)))
    p, before = d.port(), relay_fds(d)
    for _ in range(100):
        w = t.ws(p, "/ws")
        c = li.accept()
        w.close(1000)
        w.sock.close()
        expect_fin(c)
        c.close()
    all_gone(t, d, before)


@needs_root
def test_killed_while_the_client_does_not_read(t):
    """timeout close bounds it, not timeout stall."""
    d, w, c = pair(t, "timeout close 1s\ntimeout stall 5m\n", rcvbuf=SMALL)
    held = relay_fds(d)
    c.settimeout(0.3)
    try:
        while True:
            c.sendall(bytes(65536))
    except socket.timeout:
        c.settimeout(10)
    [s] = d.sessions()
    began = time.monotonic()
    d.ctl("kill", "session", s["id"])
    r = d.wait_log("close", seconds=2)
    eq((r["state"][0], r["reason"]), ("K", "killed"))
    all_gone(t, d, held - 2)
    ok(time.monotonic() - began < 2 * t.slow, "in time")
    eq(ending(c)[1], "rst")


# ---- Pongs are life, not progress ---------------------------------------

@timeout(20)
def test_idle_although_pongs_come(t):
    d, w, c = pair(t, PINGS + "timeout idle 2s\n")
    w.binary(b"x")
    eq(recv_exact(c, 1), b"x")
    while len(w.pings) < 4:             # 1.2 s
        f = w.frame()
        eq(f.op, PING)
        w.pings.append(f.payload)
        w.send(PONG, f.payload)
    [s] = d.sessions()
    ok(s["idle"] > 0.8, "idle for %s s" % s["idle"])
    w.expect_close(1011)                # answers Pings meanwhile
    r = d.wait_log("close")
    eq((r["state"][0], r["reason"]), ("D", "idle"))
    ok(r["duration"] < 3 * t.slow, "after %s s" % r["duration"])


@timeout(20)
def test_half_close_wait_although_pongs_come(t):
    li = t.listen(seconds=10 * t.slow)
    d = t.daemon(PINGS + forward("ws://127.0.0.1:%d/" % li.port,
                                 extra="{ half-close wait 2s }"))
    a = t.connect(d.forward_port())
    w = ws_accept(li.accept())
    a.sendall(b"request")
    eq(w.recv(7), b"request")
    began = time.monotonic()
    a.shutdown(socket.SHUT_WR)
    eq(w.until_close(), (b"", 1000, ""))
    waited = time.monotonic() - began
    ok(1.9 < waited < 3 * t.slow, "Close after %.1f s" % waited)
    ok(len(w.pings) > 3, "%d Pings" % len(w.pings))


@timeout(20)
def test_half_close_wait_with_progress(t):
    """Data, as opposed to Pongs, does prolong it."""
    li = t.listen(seconds=10 * t.slow)
    d = t.daemon(PINGS + forward("ws://127.0.0.1:%d/" % li.port,
                                 extra="{ half-close wait 500ms }"))
    a = t.connect(d.forward_port())
    w = ws_accept(li.accept())
    a.shutdown(socket.SHUT_WR)
    for i in range(8):                  # 1.6 s
        w.binary(b"x")
        eq(recv_exact(a, 1), b"x")
        stays(lambda: True, "", 0.2)
    w.until_close()
    w.close(1000)
    expect_fin(a)


# ---- waiting costs nothing ----------------------------------------------

def quiet(d):
    """For 2 s the relay neither works nor wakes up all the time."""
    pid = d.workers("relay")[0]["pid"]
    ticks, woken = procs.cpu(pid), procs.wakeups(pid)
    stays(lambda: True, "", 2.0)
    ticks, woken = procs.cpu(pid) - ticks, procs.wakeups(pid) - woken
    ok(ticks < 3, "%d ticks of CPU in 2 s" % ticks)
    ok(woken < 60, "woken %d times in 2 s" % woken)


@kinds("plain")
@alone
def test_slow_reader_of_a_close_costs_no_cpu(t):
    """Our Close waits behind 2 MB, for longer than timeout close."""
    d, w, c = pair(t, "timeout close 300ms\n")
    want = data(1, 2000000)
    th = send_async(c, [want])
    wait_until(lambda: d.sessions()[0]["bytes-out"] == len(want),
               "the relay to have it all")
    th.join(5)
    c.shutdown(socket.SHUT_WR)
    stays(lambda: True, "", 0.5)
    quiet(d)
    got, code, _ = w.until_close()
    eq((got == want, code), (True, 1000), "all of it, then 1000")
    w.close(1000)
    w.expect_eof()
    expect_fin(c)


@kinds("plain")
@alone
def test_old_half_close_costs_no_cpu(t):
    """half-close wait is for servers that know no half-close."""
    li = t.listen(seconds=10)
    d = t.daemon("prefork 1\n" + forward("ws://127.0.0.1:%d/" % li.port,
                                         extra="{ half-close wait 300ms }"))
    a = t.connect(d.forward_port())
    w = ws_accept(li.accept(), "tunneld.tcp.v1")
    a.sendall(b"request")
    a.shutdown(socket.SHUT_WR)
    eq(w.recv(7), b"request")
    f = w.next()
    eq((f.op, f.payload), (TEXT, b""), "the FIN")
    stays(lambda: True, "", 0.5)
    quiet(d)
    w.binary(b"late answer")
    w.text(b"")
    eq(recv_exact(a, 11), b"late answer")
    expect_fin(a)
    eq(w.next().op, CLOSE)
