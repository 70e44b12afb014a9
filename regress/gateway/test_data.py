# SPDX-License-Identifier: ISC
"""Bytes through the gateway: a browser's WebSocket to a TCP or UNIX target."""
import time

from lib.daemon import gateway, server
from lib.harness import data, eq, ok, smoke
from lib.peers import echo, banner_echo, in_parallel, recv_all, \
    send_async, source
from lib.wsraw import BINARY, CLOSE, CONT, TEXT, WS, Response, frame, \
    read_head, upgrade


def open_gateway(t, extra="", **kw):
    """(daemon, port, target listener) with location /ws to the target."""
    li = t.listen()
    d = t.daemon(server(gateway(li.port, extra=extra)), **kw)
    return d, d.port(), li


def open_echo(t, extra="", **kw):
    s = t.serve(echo)
    d = t.daemon(server(gateway(s.port, extra=extra)), **kw)
    return d, d.port()


@smoke
def test_binary(t):
    d, port = open_echo(t)
    w = t.ws(port, "/ws")
    w.echo_check(b"hello")
    w.echo_check(data(1, 100000))
    w.close(1000)
    w.expect_close(1000, answer=False)


def test_text_in_binary_out(t):
    d, port = open_echo(t)
    w = t.ws(port, "/ws")
    w.text("gr\u00fc\u00df dich")
    eq(w.recv(11), "gr\u00fc\u00df dich".encode())


def test_text_any(t):
    """text any: bytes that are no UTF-8 pass in text messages."""
    d, port = open_echo(t, extra="text any")
    w = t.ws(port, "/ws")
    w.text(b"\xff\xfe\x80")
    eq(w.recv(3), b"\xff\xfe\x80")


@smoke
def test_fragmented(t):
    """A message in many frames, control frames between them, empty ones."""
    d, port = open_echo(t)
    w = t.ws(port, "/ws")
    want = data(2, 5000)
    w.send(BINARY, want[:1], fin=False)
    w.send(CONT, b"", fin=False)
    for i in range(1, 4999):
        w.send(CONT, want[i:i + 1], fin=False)
        if i % 1000 == 0:
            w.ping(b"p%d" % i)
    w.send(CONT, want[4999:])
    eq(w.recv(5000), want)
    eq(w.pongs, [b"p1000", b"p2000", b"p3000", b"p4000"])


def test_text_split_inside_a_character(t):
    """The UTF-8 check goes on over frames and reads."""
    d, port = open_echo(t)
    w = t.ws(port, "/ws")
    b = "a\u20ac\U0001f600z".encode()
    for i in range(1, len(b)):
        w.send(TEXT, b[:i], fin=False)
        w.send(CONT, b[i:])
        eq(w.recv(len(b)), b, "split at %d" % i)


def test_byte_by_byte(t):
    """Every split of the input: the request and two frames, a byte each."""
    d, port = open_echo(t)
    s = t.connect(port)
    raw = upgrade("/ws") + frame(BINARY, b"abc", mask=True) + \
        frame(BINARY, data(3, 200), mask=True)
    th = send_async(s, [raw[i:i + 1] for i in range(len(raw))])
    head, rest = read_head(s)
    eq(Response(head, b"").status, 101)
    w = WS(s, True, rest)
    eq(w.recv(203), b"abc" + data(3, 200))
    th.join(5)


@smoke
def test_early_data(t):
    """What comes in one packet with the upgrade request are frames."""
    d, port = open_echo(t)
    early = frame(BINARY, b"early ", mask=True) + \
        frame(BINARY, b"bird", mask=True)
    w = t.ws(port, "/ws", early=early)
    eq(w.recv(10), b"early bird")
    half = frame(BINARY, b"cut", mask=b"1234")
    w = t.ws(port, "/ws", early=half[:4])
    w.raw(half[4:])
    eq(w.recv(3), b"cut")


def test_early_data_and_close(t):
    """All of a short session may be in the client's first packet."""
    d, port, li = open_gateway(t)
    early = frame(BINARY, b"all", mask=True) + \
        frame(CLOSE, b"\x03\xe8", mask=True)
    w = t.ws(port, "/ws", early=early)
    c = li.accept()
    eq(recv_all(c), b"all")
    c.close()
    w.expect_close(1000, answer=False)


def test_greeting_of_the_target(t):
    s = t.serve(banner_echo(b"SSH-2.0-x\r\n"))
    d = t.daemon(server(gateway(s.port)))
    w = t.ws(d.port(), "/ws")
    eq(w.recv(11), b"SSH-2.0-x\r\n")
    w.echo_check(b"after")


def test_big_both_ways(t):
    """16 MiB through an echo target, both directions at once."""
    d, port = open_echo(t)
    w = t.ws(port, "/ws")
    want = data(4, 16 << 20)
    th = send_async(w.sock, (frame(BINARY, want[i:i + 100000], mask=True)
                             for i in range(0, len(want), 100000)))
    eq(w.recv(len(want)) == want, True, "same bytes")
    th.join(10)


def test_one_huge_message(t):
    """A frame of 20 MiB with a 64-bit length is no problem."""
    s = t.serve(echo)
    d = t.daemon(server(gateway(s.port)))
    w = t.ws(d.port(), "/ws")
    want = data(5, 20 << 20)
    th = send_async(w.sock, [frame(BINARY, want, mask=True)])
    eq(w.recv(len(want)) == want, True, "same bytes")
    th.join(10)


def test_many_small_frames(t):
    """20,000 frames of one byte, sent at once."""
    d, port = open_echo(t)
    w = t.ws(port, "/ws")
    want = data(6, 20000)
    raw = b"".join(frame(BINARY, want[i:i + 1], mask=b"abcd")
                   for i in range(len(want)))
    th = send_async(w.sock, [raw])
    eq(w.recv(len(want)), want)
    th.join(10)


def test_message_max_outgoing(t):
    """Messages of the gateway are at most 32 KiB; "message max" changes it."""
    want = data(7, 1 << 20)
    s = t.serve(source(want))
    d = t.daemon(server(gateway(s.port, "/a") + "\n" + gateway(
        s.port, "/b", extra="message max 1000")))
    for path, limit in (("/a", 32768), ("/b", 1000)):
        w = t.ws(d.port(), path)
        got, biggest = [], 0
        while True:
            f = w.next()
            if f.op == CLOSE:
                break
            ok(f.op == BINARY and f.fin, "one frame per message: %r" % f)
            biggest = max(biggest, len(f.payload))
            got.append(f.payload)
        eq(b"".join(got) == want, True, "same bytes")
        ok(biggest <= limit, "%s: a message of %d" % (path, biggest))


@smoke
def test_unix_target(t):
    path = t.path("u.sock")
    t.serve(echo, unix=path)
    d = t.daemon(server('\tlocation "/u" { forward to unix "%s" }' % path))
    w = t.ws(d.port(), "/u")
    w.echo_check(data(8, 300000))
    [s] = d.sessions()
    eq(s["target"], "unix:" + path)
    w.close(1000)
    w.expect_close(1000, answer=False)


def test_unix_target_missing(t):
    d = t.daemon(server('\tlocation "/u" { forward to unix "%s" }' %
                        t.path("none")))
    w = t.ws(d.port(), "/u")
    _, code, reason = w.until_close()
    eq(code, 1011)
    ok(reason in ("connection refused", "unreachable", "no such name"),
       reason)


def test_ipv6_listener_and_target(t):
    s = t.serve(echo, host="::1")
    d = t.daemon(server(gateway(s.port, host="::1"),
                        listen="::1 port 0"))
    w = t.ws(("::1", d.port()), "/ws", host="[::1]")
    w.echo_check(b"six")
    [row] = d.sessions()
    eq(row["target"], "[::1]:%d" % s.port)
    ok(row["client"].startswith("[::1]:"), row["client"])


def test_twenty_sessions_with_checksums(t):
    d, port = open_echo(t)

    def one(i):
        w = t.ws(port, "/ws")
        want = data(i, 300000)
        th = send_async(w.sock, [frame(BINARY, want, mask=True)])
        ok(w.recv(len(want)) == want, "stream %d changed" % i)
        th.join(10)
        w.close(1000)
        w.expect_close(1000, answer=False)
    in_parallel(20, one)
    d.wait_sessions(0)


def test_nodelay_and_keepalive(t):
    """TCP_NODELAY: a small message is not held back for an ACK."""
    d, port = open_echo(t)
    w = t.ws(port, "/ws")
    began = time.monotonic()
    for i in range(50):
        w.binary(b"a")
        w.binary(b"b")
        eq(w.recv(2), b"ab")
    # Nagle against delayed ACK would cost 40 ms a round.
    ok(time.monotonic() - began < 1.0 * t.slow, "delayed small messages")


@smoke
def test_ping(t):
    d, port = open_echo(t)
    w = t.ws(port, "/ws")
    for p in (b"", b"x", data(9, 125)):
        w.ping(p)
        w.expect_pong(p)
    w.echo_check(b"still here")


def test_unsolicited_pong_is_ignored(t):
    d, port = open_echo(t)
    w = t.ws(port, "/ws")
    w.send(10, b"unasked")
    w.echo_check(b"fine")


def test_empty_messages_carry_nothing(t):
    """Empty messages of either kind are no end: only tcp.v1 has that."""
    d, port = open_echo(t)
    w = t.ws(port, "/ws")
    for _ in range(3):
        w.text("")
        w.binary(b"")
    w.echo_check(b"go on")


def test_subprotocol_binary(t):
    d, port = open_echo(t)
    w = t.ws(port, "/ws", protocols="binary")
    eq(w.response.header("Sec-WebSocket-Protocol"), "binary")
    w.echo_check(b"x")
    w = t.ws(port, "/ws")
    eq(w.response.header("Sec-WebSocket-Protocol"), None)
    w.echo_check(b"x")
    w = t.ws(port, "/ws", protocols="base64, binary")
    eq(w.response.header("Sec-WebSocket-Protocol"), "binary")
    w.echo_check(b"x")


def test_subprotocol_unknown_is_not_echoed(t):
    d, port = open_echo(t)
    w = t.ws(port, "/ws", protocols="chat, superchat")
    eq(w.response.header("Sec-WebSocket-Protocol"), None)
    w.echo_check(b"x")


def test_subprotocol_case_matters(t):
    d, port = open_echo(t)
    w = t.ws(port, "/ws", protocols="BINARY")
    eq(w.response.header("Sec-WebSocket-Protocol"), None)


def test_tcpv1_data_behind_its_fin(t):
    """The empty text was the end of that direction: more is a violation."""
    d, port, li = open_gateway(t)
    w = t.ws(port, "/ws", protocols="tunneld.tcp.v1")
    c = li.accept()
    w.binary(b"all")
    w.text(b"")
    w.binary(b"more")
    w.expect_close(1002)
    eq(recv_all(c), b"all")


def test_subprotocol_base64_is_refused(t):
    d, port, li = open_gateway(t)
    w = t.ws(port, "/ws", protocols="base64")
    w.expect_close(1003)


def test_tcpv1_preferred(t):
    d, port = open_echo(t)
    w = t.ws(port, "/ws", protocols="binary,tunneld.tcp.v1")
    eq(w.response.header("Sec-WebSocket-Protocol"), "tunneld.tcp.v1")


def test_extensions_are_not_negotiated(t):
    d, port = open_echo(t)
    w = t.ws(port, "/ws", headers=[(
        "Sec-WebSocket-Extensions", "permessage-deflate; "
        "client_max_window_bits")])
    eq(w.response.header("Sec-WebSocket-Extensions"), None)
    w.echo_check(b"plain")


def test_close_counts_in_log(t):
    """One open and one close record with what went through."""
    d, port = open_echo(t)
    w = t.ws(port, "/ws")
    w.echo_check(data(10, 5000))
    w.close(1000)
    w.expect_close(1000, answer=False)
    r = d.wait_log("close")
    eq((r["bytes-in"], r["bytes-out"]), (5000, 5000))
    eq(r["server"], "s")
    eq(r["location"], "/ws")
    eq(r["state"][0], "-")
    o = d.wait_log("open")
    eq(o["session"], r["session"])
    ok(r["target"].startswith("127.0.0.1:"), r["target"])
