# SPDX-License-Identifier: ISC
"""An end that does not read cannot answer Pings: it must show life in time
for the other end's deadline, which is shorter than a ping interval."""
import socket
import time

from lib.daemon import forward, gateway, server
from lib.harness import eq, kinds, ok, stays
from lib.pausing import until_paused
from lib.peers import SMALL, recv_exact
from lib.wsraw import BINARY, PING, PONG, frame, ws_accept

PINGS = "ping every 3s timeout 2s\n"


def small_peer(t, port):
    """A local peer that will not read much."""
    s = t.socket(socket.socket())
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
    s.settimeout(20 * t.slow)
    s.connect(("127.0.0.1", port))
    return s


def paused(t, sender, reader, d, pinger, which):
    """All that was sent fits into the buffers, and yet d does not read: the
    pinger's Pings are acknowledged by the kernel and not answered."""
    sender.settimeout(20 * t.slow)
    # Who has never answered a Ping is not taken for dead by the lack of one.
    stays(lambda: pinger.sessions(), "an idle session", 3.5)
    n = until_paused(d, "client", "", which,
                     lambda k: sender.sendall(bytes(k)))
    stays(lambda: pinger.sessions(), "a paused session", 9)
    sender.sendall(b"end")
    eq(recv_exact(reader, n + 3)[-3:], b"end")


def pair(t, rcvbuf=None):
    li = t.listen(seconds=10 * t.slow, rcvbuf=rcvbuf)
    s = t.daemon(PINGS + server(gateway(li.port)), name="srv")
    c = t.daemon(PINGS + forward("ws://127.0.0.1:%d/ws" % s.port()),
                 name="cli")
    return li, s, c


@kinds("plain", "asan")
def test_paused_forward(t):
    """The forward is paused by its local peer, and the gateway pings it."""
    li, s, c = pair(t)
    a = small_peer(t, c.forward_port())
    paused(t, li.accept(), a, c, s, "bytes-out")


@kinds("plain", "asan")
def test_paused_gateway(t):
    """The gateway is paused by its target, and the forward pings it."""
    li, s, c = pair(t, SMALL)
    a = t.connect(c.forward_port())
    b = li.accept()
    b.settimeout(20 * t.slow)
    paused(t, a, b, s, c, "bytes-in")


def flooded(t, top):
    """A forward that is paused: (its raw server, when that was)."""
    li = t.listen(seconds=10 * t.slow)
    d = t.daemon(top + forward("ws://127.0.0.1:%d/ws" % li.port))
    a = small_peer(t, d.forward_port())
    w = ws_accept(li.accept())
    w.ping(b"1")
    w.expect_pong(b"1")
    w.sock.settimeout(0.5)
    try:
        while True:
            w.raw(frame(BINARY, bytes(60000)))
    except socket.timeout:
        w.sock.settimeout(20 * t.slow)
    return a, w, time.monotonic()


@kinds("plain", "asan")
def test_pongs_are_in_time(t):
    """Unsolicited Pongs: at least every half ping timeout."""
    a, w, began = flooded(t, "ping every 6s timeout 2s\n")
    for i in range(4):
        f = w.frame()
        while f.op == PING:
            f = w.frame()
        eq((f.op, f.payload), (PONG, b""), "the Pong")
    ok(time.monotonic() - began < 6 * t.slow, "Pongs after %.1f s" %
       (time.monotonic() - began))


@kinds("plain", "asan")
def test_pongs_although_ping_is_off(t):
    """Whoever pings us wants to see life, whether we ping or not."""
    a, w, began = flooded(t, "ping off\n")
    f = w.frame()
    eq((f.op, f.payload), (PONG, b""), "the Pong")
    ok(time.monotonic() - began < 8 * t.slow, "the Pong after %.1f s" %
       (time.monotonic() - began))
