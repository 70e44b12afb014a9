# SPDX-License-Identifier: ISC
"""sokken's wire, as recorded transcripts.

sokken is no Debian package: these are the bytes its client and server were
seen to send (its versions d771cd1 and 6ad197c), replayed by hand.
"""
import socket

from lib.daemon import forward, server
from lib.harness import data, eq, has, ok, smoke, wait_until
from lib.peers import echo, expect_fin, expect_rst, recv_all, recv_exact, \
    roundtrip, send_async, source
from lib.wsraw import BINARY, CLOSE, CONT, WS, Response, accept_for, \
    close_payload, frame, read_head, request_fields

KEY = "x3JJHMbDL1EzLkh9GBhXDw=="

# The request of the original client, header for header.
REQUEST = (
    "GET /tunnel/%s HTTP/1.1\r\n"
    "Host: %s\r\n"
    "User-Agent: Go-http-client/1.1\r\n"
    "Connection: Upgrade\r\n"
    "Sec-Websocket-Extensions: permessage-deflate; "
    "client_no_context_takeover; server_no_context_takeover\r\n"
    "Sec-Websocket-Key: " + KEY + "\r\n"
    "Sec-Websocket-Protocol: %s\r\n"
    "Sec-Websocket-Version: 13\r\n"
    "Upgrade: websocket\r\n"
    "Accept-Encoding: gzip\r\n\r\n")

# The answer of the original server.
ANSWER = (
    "HTTP/1.1 101 Switching Protocols\r\n"
    "Connection: Upgrade\r\n"
    "Sec-Websocket-Accept: %s\r\n"
    "%s"
    "Upgrade: websocket\r\n\r\n")


def start(t, *targets, extra=""):
    d = t.daemon(server('%s\tlocation "/tunnel/*" { forward to { %s } '
                        'subprotocol "sokken" }' %
                        (extra, ", ".join(targets))))
    return d, d.port()


def client(t, port, target, protocol="sokken", host="127.0.0.1:8000",
           early=b"", without=None):
    """Replay the original client's opening; a WS in its hands."""
    req = REQUEST % (target, host, protocol)
    if without:
        req = "".join(ln for ln in req.splitlines(True)
                      if not ln.startswith(without))
    s = t.connect(port)
    s.sendall(req.encode() + early)
    head, rest = read_head(s)
    r = Response(head, rest)
    if r.status != 101:
        return r
    eq(r.header("Sec-WebSocket-Accept"), accept_for(KEY))
    eq(r.header("Sec-WebSocket-Extensions"), None, "deflate is not taken")
    return WS(s, True, rest, response=r)


# ---- transcripts of the client against our gateway ----------------------

@smoke
def test_client_transcript(t):
    e = t.serve(echo)
    d, port = start(t, "127.0.0.1:%d" % e.port)
    w = client(t, port, "127.0.0.1:%d" % e.port)
    eq(w.response.header("Sec-WebSocket-Protocol"), "sokken")
    # One frame per read of its socket, at most 32768 bytes.
    want = data(1, 100000)
    for i in range(0, len(want), 32768):
        w.binary(want[i:i + 32768])
    eq(w.recv(len(want)), want)
    w.close(1000)
    w.expect_close(1000, "", answer=False)


def test_client_data_with_the_handshake(t):
    e = t.serve(echo)
    d, port = start(t, "127.0.0.1:%d" % e.port)
    w = client(t, port, "127.0.0.1:%d" % e.port,
               early=frame(BINARY, b"SSH-2.0-Go\r\n", mask=True))
    eq(w.recv(12), b"SSH-2.0-Go\r\n")


def test_client_ipv6_target(t):
    e = t.serve(echo, host="::1")
    d, port = start(t, "[::1]:%d" % e.port)
    w = client(t, port, "[::1]:%d" % e.port)
    w.echo_check(b"six")


def test_messages_to_client_are_bounded(t):
    """The original reads at most 32768 bytes per message."""
    want = data(2, 2 << 20)
    s = t.serve(source(want))
    d, port = start(t, "127.0.0.1:%d" % s.port)
    w = client(t, port, "127.0.0.1:%d" % s.port)
    got = []
    while True:
        f = w.next()
        if f.op == CLOSE:
            break
        ok(f.fin and f.op == BINARY and len(f.payload) <= 32768, repr(f))
        got.append(f.payload)
    ok(b"".join(got) == want, "same bytes")
    eq(f.payload, close_payload(1000), "Close 1000, no reason")


def test_deflate_shape_without_deflate(t):
    """FIN=0 first, then an empty continuation, as its library sends."""
    e = t.serve(echo)
    d, port = start(t, "127.0.0.1:%d" % e.port)
    w = client(t, port, "127.0.0.1:%d" % e.port)
    w.send(BINARY, b"payload", fin=False)
    w.send(CONT, b"")
    eq(w.recv(7), b"payload")


def test_close_1000_and_1001_are_eof(t):
    for code in (1000, 1001):
        li = t.listen()
        d, port = start(t, "127.0.0.1:%d" % li.port)
        w = client(t, port, "127.0.0.1:%d" % li.port)
        c = li.accept()
        w.binary(b"bytes")
        w.close(code)
        eq(recv_all(c), b"bytes")
        c.close()
        w.expect_close(code, answer=False)


def test_text_is_refused(t):
    li = t.listen()
    d, port = start(t, "127.0.0.1:%d" % li.port)
    w = client(t, port, "127.0.0.1:%d" % li.port)
    c = li.accept()
    w.text("hello")
    w.expect_close(1003)
    expect_rst(c)


@smoke
def test_without_subprotocol(t):
    """101 first, then Close 1008 with this text."""
    e = t.serve(echo)
    d, port = start(t, "127.0.0.1:%d" % e.port)
    target = "127.0.0.1:%d" % e.port
    for w in (client(t, port, target, without="Sec-Websocket-Protocol"),
              client(t, port, target, protocol="binary"),
              client(t, port, target, protocol="chat")):
        w.expect_close(1008, "client not using sokken subprotocol")
    eq(e.count, 0, "connections to the target")


def test_upper_case_subprotocol(t):
    e = t.serve(echo)
    d, port = start(t, "127.0.0.1:%d" % e.port)
    w = client(t, port, "127.0.0.1:%d" % e.port, protocol="SOKKEN")
    w.expect_close(1008, "client not using sokken subprotocol")


@smoke
def test_target_not_in_list(t):
    e = t.serve(echo)
    d, port = start(t, "127.0.0.1:%d" % e.port)
    w = client(t, port, "127.0.0.1:1")
    w.expect_close(1011, "target address not allowed")
    eq(e.count, 0, "connections to the target")


def test_target_down(t):
    """The original leaves the socket open for ever; we say it."""
    p = t.port_refused()
    d, port = start(t, "127.0.0.1:%d" % p)
    client(t, port, "127.0.0.1:%d" % p).expect_close(
        1011, "connection refused")


def test_too_many(t):
    e = t.serve(echo)
    d, port = start(t, "127.0.0.1:%d" % e.port, extra="\tmax-sessions 1\n")
    target = "127.0.0.1:%d" % e.port
    client(t, port, target)
    r = client(t, port, target)
    eq(r.status, 429)


def test_origin(t):
    e = t.serve(echo)
    d, port = start(t, "127.0.0.1:%d" % e.port)
    r = client(t, port, "127.0.0.1:%d" % e.port,
               host="127.0.0.1:8000\r\nOrigin: http://evil")
    eq(r.status, 403)


# ---- transcripts of the server against our forward ----------------------

def served(t, protocol="Sec-Websocket-Protocol: sokken\r\n"):
    """(daemon, local peer, WS in the original server's hands)."""
    li = t.listen(seconds=10 * t.slow)
    d = t.daemon(forward("ws://127.0.0.1:%d/tunnel/127.0.0.1:22" % li.port,
                         extra='subprotocol "sokken"'))
    a = t.connect(d.forward_port())
    s = li.accept()
    head, rest = read_head(s)
    f = dict(request_fields(head))
    eq(f["sec-websocket-protocol"], "sokken")
    has(head, b"GET /tunnel/127.0.0.1:22 HTTP/1.1\r\n")
    ok("sec-websocket-extensions" not in f, "no extension offered")
    s.sendall((ANSWER % (accept_for(f["sec-websocket-key"]),
                         protocol)).encode())
    return d, a, WS(s, False, rest, head=head)


@smoke
def test_server_transcript(t):
    d, a, w = served(t)
    want = data(3, 200000)
    th = send_async(a, [want])
    got = b""
    while len(got) < len(want):
        op, b = w.message()
        ok(op == BINARY and len(b) <= 32768, "%d bytes, opcode %d" %
           (len(b), op))
        got += b
    ok(got == want, "same bytes")
    th.join(5)
    w.binary(b"x" * 32768)
    eq(recv_exact(a, 32768), b"x" * 32768)
    eq(d.sessions()[0]["subprotocol"], "sokken")
    w.close(1000)
    expect_fin(a)
    w.expect_close(1000, "", answer=False)


def test_server_without_subprotocol_in_answer(t):
    d, a, w = served(t, protocol="")
    a.sendall(b"hello")
    eq(w.recv(5), b"hello")


def test_server_1001_is_eof(t):
    d, a, w = served(t)
    w.binary(b"last")
    w.close(1001)
    eq(recv_all(a), b"last")


def test_local_fin_closes(t):
    """Its server knows no half-close: Close 1000, empty reason."""
    d, a, w = served(t)
    a.sendall(b"bye")
    a.shutdown(socket.SHUT_WR)
    eq(w.recv(3), b"bye")


def test_server_refuses_target(t):
    d, a, w = served(t)
    w.close(1011, "target address not allowed")
    expect_rst(a)
    r = d.wait_log("close")
    eq(r["code"], 1011)


def test_our_two_ends(t):
    """Our forward and our gateway speaking sokken to each other."""
    e = t.serve(echo)
    d, port = start(t, "127.0.0.1:%d" % e.port)
    c = t.daemon(forward("ws://127.0.0.1:%d/tunnel/127.0.0.1:%d" %
                         (port, e.port), extra='subprotocol "sokken"'))
    a = t.connect(c.forward_port())
    roundtrip(a, 4, 1 << 20)
    eq([s["subprotocol"] for s in d.sessions()], ["sokken"])


def test_message_of_32769_bytes(t):
    """Its reading limit is ours too: 32768 pass, one more is 1009."""
    e = t.serve(echo)
    d, port = start(t, "127.0.0.1:%d" % e.port)
    w = client(t, port, "127.0.0.1:%d" % e.port)
    w.echo_check(data(5, 32768))
    w.send(BINARY, b"x" * 20000, fin=False)
    w.send(CONT, b"x" * 12769)
    got, code, _ = w.until_close()
    eq(code, 1009)
    ok(len(got) <= 32769, "%d bytes came back" % len(got))


def test_wrong_subprotocol_is_bounded(t):
    """Those who are only told a Close stand outside of max-sessions: 64 of
    them in a relay at a time, the next are told by HTTP."""
    e = t.serve(echo)
    target = "127.0.0.1:%d" % e.port
    d, p = start(t, target, extra="\tmax-sessions 1\n")
    d.reload("prefork 1\n" + "timeout close 30s\n" + server(
        '\tmax-sessions 1\n\tlocation "/tunnel/*" { forward to { %s } '
        'subprotocol "sokken" }' % target))
    wait_until(lambda: len(d.workers("relay")) == 1, "one relay")
    held = [client(t, p, target, protocol="binary") for _ in range(64)]
    for _ in range(3):
        r = client(t, p, target, protocol="binary")
        eq(getattr(r, "status", 101), 503)
    w = client(t, p, target)            # a good one has its place
    w.binary(b"x")
    eq(w.recv(1), b"x")
    for h in held[:2]:                  # who goes makes room
        h.expect_close(1008, "client not using sokken subprotocol")
    wait_until(lambda: isinstance(client(t, p, target, protocol="binary"),
                                  WS), "room")
