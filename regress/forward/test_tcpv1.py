# SPDX-License-Identifier: ISC
"""forward -> gateway between two tunnelds: TCP as it is, ends included."""
import os
import socket

from lib.daemon import forward, gateway, server
from lib.harness import data, eq, has, ok, smoke, wait_until
from lib.peers import BlackHole, digest, digest_text, echo, expect_fin, \
    expect_rst, in_parallel, recv_all, recv_exact, refused, reset, \
    roundtrip, send_async


def chain(t, target_port, top="", extra="", gtop=""):
    """(client daemon, server daemon, the forward's local port)."""
    s = t.daemon(gtop + server(gateway(target_port)), name="srv")
    c = t.daemon(top + forward("ws://127.0.0.1:%d/ws" % s.port(),
                               extra=extra), name="cli")
    return c, s, c.forward_port()


def pair(t, **kw):
    """Both daemons, the local peer and the target's connection."""
    li = t.listen(seconds=10 * t.slow)
    c, s, port = chain(t, li.port, **kw)
    a = t.connect(port)
    return c, s, a, li.accept()


@smoke
def test_echo(t):
    e = t.serve(echo)
    c, s, port = chain(t, e.port)
    a = t.connect(port)
    roundtrip(a, 1, 1 << 20)
    [row] = c.sessions()
    eq((row["type"], row["subprotocol"], row["bytes-in"], row["bytes-out"]),
       ("forward", "tunneld.tcp.v1", 1 << 20, 1 << 20))
    has(row["target"], "ws://127.0.0.1:")
    [row] = s.sessions()
    eq((row["type"], row["subprotocol"]), ("gateway", "tunneld.tcp.v1"))
    a.shutdown(socket.SHUT_WR)
    expect_fin(a)
    c.wait_sessions(0)
    s.wait_sessions(0)
    for d in (c, s):
        r = d.wait_log("close")
        eq((r["state"][0], r["bytes-in"], r["bytes-out"]),
           ("-", 1 << 20, 1 << 20))


@smoke
def test_half_close_by_client(t):
    """request; shutdown(WR); read the reply: 8 MiB of request."""
    e = t.serve(digest)
    c, s, port = chain(t, e.port)
    want = data(2, 8 << 20)
    a = t.connect(port, 20)
    a.sendall(want)
    a.shutdown(socket.SHUT_WR)
    eq(recv_all(a), digest_text(want))


def test_half_close_by_target(t):
    """The target ends first; the client goes on for as long as it likes."""
    c, s, a, b = pair(t)
    b.sendall(b"greeting")
    b.shutdown(socket.SHUT_WR)
    eq(recv_all(a), b"greeting")
    for i in range(5):
        a.sendall(b"more %d" % i)
        eq(recv_exact(b, 6), b"more %d" % i)
    want = data(3, 3 << 20)
    th = send_async(a, [want])
    ok(recv_exact(b, len(want)) == want, "3 MiB after the target's FIN")
    th.join(5)
    a.shutdown(socket.SHUT_WR)
    expect_fin(b)
    c.wait_sessions(0)
    s.wait_sessions(0)


def test_half_close_then_silence(t):
    """A half-closed connection is healthy: no deadline of ours ends it."""
    from lib.harness import stays
    c, s, a, b = pair(t, top="timeout close 300ms\nping every 200ms timeout "
                      "300ms\n", gtop="timeout close 300ms\nping every 200ms "
                      "timeout 300ms\n")
    a.sendall(b"q")
    a.shutdown(socket.SHUT_WR)
    eq(recv_all(b), b"q")
    stays(lambda: len(c.sessions()) == 1, "session open", 1.5)
    b.sendall(b"late answer")
    b.close()
    eq(recv_all(a), b"late answer")


def test_both_fin_at_once(t):
    li = t.listen()
    c, s, port = chain(t, li.port)
    for _ in range(20):
        a = t.connect(port)
        b = li.accept()
        a.shutdown(socket.SHUT_WR)
        b.shutdown(socket.SHUT_WR)
        expect_fin(a)
        expect_fin(b)
    c.wait_sessions(0)
    s.wait_sessions(0)


def test_reset_by_client(t):
    c, s, a, b = pair(t)
    a.sendall(b"x")
    eq(recv_exact(b, 1), b"x")
    reset(a)
    expect_rst(b)
    eq(c.wait_log("close")["reason"], "reset-by-client")
    s.wait_log("close")


@smoke
def test_reset_by_target(t):
    c, s, a, b = pair(t)
    b.sendall(b"x")
    eq(recv_exact(a, 1), b"x")
    reset(b)
    expect_rst(a)
    eq(s.wait_log("close")["reason"], "reset-by-target")
    eq(c.wait_log("close")["reason"], "reset-by-target")


def test_reset_after_half_close(t):
    """FIN one way, then RST the other way: both arrive as what they are."""
    c, s, a, b = pair(t)
    a.shutdown(socket.SHUT_WR)
    expect_fin(b)
    reset(b)
    expect_rst(a)


def test_reset_by_client_after_half_close(t):
    c, s, a, b = pair(t)
    b.shutdown(socket.SHUT_WR)
    expect_fin(a)
    reset(a)
    expect_rst(b)


@smoke
def test_refused(t):
    c, s, port = chain(t, t.port_refused())
    refused(port)
    r = s.wait_log("dial-failed")
    eq(r["reason"], "connection-refused")
    r = c.wait_log("close")
    eq((r["reason"], r["code"]), ("connection-refused", 4001))


def test_unreachable(t):
    s = t.daemon(server(gateway(9, host="127.255.255.255")), name="srv")
    c = t.daemon(forward("ws://127.0.0.1:%d/ws" % s.port()), name="cli")
    refused(c.forward_port())
    r = c.wait_log("close")
    eq((r["reason"], r["code"]), ("unreachable", 4002))


def test_timed_out(t):
    h = BlackHole()
    t.defer(h.close)
    c, s, port = chain(t, h.port, gtop="timeout connect 500ms\n")
    refused(port)
    r = c.wait_log("close")
    eq((r["reason"], r["code"]), ("timed-out", 4003))


def test_not_allowed(t):
    s = t.daemon(server('\tlocation "/tunnel/*" { forward to '
                        '{ 127.0.0.1:1 } }'), name="srv")
    c = t.daemon(forward("ws://127.0.0.1:%d/tunnel/127.0.0.1:2" % s.port()),
                 name="cli")
    refused(c.forward_port())
    r = c.wait_log("close")
    eq((r["reason"], r["code"]), ("target-not-allowed", 4005))


def test_data_before_the_dial_is_not_lost(t):
    """The local peer writes and ends at once, long before the target."""
    li = t.listen()
    c, s, port = chain(t, li.port)
    a = t.connect(port)
    want = data(4, 100000)
    a.sendall(want)
    a.shutdown(socket.SHUT_WR)
    b = li.accept()
    eq(recv_all(b) == want, True, "same bytes")
    b.sendall(b"ok")
    b.close()
    eq(recv_all(a), b"ok")


def test_unix_listener(t):
    e = t.serve(echo)
    path = t.path("fwd.sock")
    s = t.daemon(server(gateway(e.port)), name="srv")
    c = t.daemon(forward("ws://127.0.0.1:%d/ws" % s.port(),
                         listen='unix "%s"' % path), name="cli")
    a = t.connect(path)
    roundtrip(a, 5, 300000)
    a.shutdown(socket.SHUT_WR)
    expect_fin(a)
    c.stop()
    ok(not os.path.exists(path), "the socket file is gone after the end")


def test_unix_both_ends(t):
    """UNIX listener here, UNIX target there: half-close works as well."""
    up = t.path("target.sock")
    path = t.path("fwd.sock")
    t.serve(digest, unix=up)
    s = t.daemon(server('\tlocation "/u" { forward to unix "%s" }' % up),
                 name="srv")
    t.daemon(forward("ws://127.0.0.1:%d/u" % s.port(),
                     listen='unix "%s"' % path), name="cli")
    a = t.connect(path)
    want = data(6, 1 << 20)
    a.sendall(want)
    a.shutdown(socket.SHUT_WR)
    eq(recv_all(a), digest_text(want))


@smoke
def test_twenty_streams(t):
    e = t.serve(echo)
    c, s, port = chain(t, e.port)

    def one(i):
        a = t.connect(port)
        roundtrip(a, i, 500000)
        a.shutdown(socket.SHUT_WR)
        expect_fin(a)
    in_parallel(20, one)
    c.wait_sessions(0)
    s.wait_sessions(0)


def test_to_echo_location(t):
    """The echo location as a TCP echo.  It speaks messages, not tcp.v1, so
    that our FIN can only close."""
    s = t.daemon(server('\tlocation "/echo" { echo }'), name="srv")
    c = t.daemon(forward("ws://127.0.0.1:%d/echo" % s.port(),
                         extra="half-close close"), name="cli")
    a = t.connect(c.forward_port())
    roundtrip(a, 7, 100000)
    a.shutdown(socket.SHUT_WR)
    expect_fin(a)


def test_one_daemon_both_roles(t):
    """A daemon may be forward and gateway at once."""
    e = t.serve(echo)
    p = t.port_free()
    d = t.daemon(server(gateway(e.port), listen="127.0.0.1 port %d" % p) +
                 forward("ws://127.0.0.1:%d/ws" % p))
    roundtrip(t.connect(d.forward_port()), 8, 100000)
    eq(sorted(r["type"] for r in d.sessions()), ["forward", "gateway"])


def test_name_in_url(t):
    e = t.serve(echo)
    s = t.daemon(server(gateway(e.port)), name="srv")
    c = t.daemon(forward("ws://localhost:%d/ws" % s.port()), name="cli")
    roundtrip(t.connect(c.forward_port()), 9, 1000)


def test_killed_on_either_side(t):
    """An operator's kill arrives as RST, never as a clean end."""
    c, s, a, b = pair(t)
    s.ctl("kill", "session", s.sessions()[0]["id"])
    expect_rst(a)
    expect_rst(b)
    c.wait_sessions(0)
    a = t.connect(c.forward_port())
    wait_until(lambda: [r for r in c.sessions() if r["state"] == "open"],
               "second session")
    c.ctl("kill", "session", c.sessions()[0]["id"])
    expect_rst(a)
    s.wait_sessions(0)


def test_server_killed(t):
    """The carrier is lost: RST, not FIN."""
    c, s, a, b = pair(t)
    b.sendall(b"x")
    eq(recv_exact(a, 1), b"x")
    s.destroy()
    expect_rst(a)
    c.wait_sessions(0)


def test_server_stops_orderly(t):
    """Grace over: 1012 on the WebSocket is a RST for TCP peers."""
    c, s, a, b = pair(t, gtop="grace 500ms\n")
    s.stop()
    expect_rst(a)
    expect_rst(b)
    eq(c.wait_log("close")["code"], 1012)
