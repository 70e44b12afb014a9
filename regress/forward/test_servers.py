# SPDX-License-Identifier: ISC
"""The forward against servers that are not ours: scripted frame by frame,
python3-websockets, Debian's websockify."""
import socket

from lib.daemon import forward
from lib.foreign import wait_port, websockets_server, ws_echo
from lib.harness import data, eq, has, needs_tool, ok, smoke, stays
from lib.peers import digest, echo, ending, expect_fin, \
    expect_rst, in_parallel, recv_all, recv_exact, refused, reset, \
    roundtrip, send_async
from lib.wsraw import BINARY, CLOSE, CONT, TEXT, close_payload, frame, \
    read_head, request_fields, ws_accept


def local(t, extra="", top="", path="/ws", subprotocol=None, early=b""):
    """(daemon, local peer, our raw WebSocket server's end)."""
    li = t.listen(seconds=10 * t.slow)
    d = t.daemon(top + forward("ws://127.0.0.1:%d%s" % (li.port, path),
                               extra=extra))
    a = t.connect(d.forward_port())
    return d, a, ws_accept(li.accept(), subprotocol, early=early)


# ---- the handshake ------------------------------------------------------

@smoke
def test_request(t):
    d, a, w = local(t, path="/a/b?c=d%20e")
    head = w.head.decode()
    has(head, "GET /a/b?c=d%20e HTTP/1.1\r\n")
    f = request_fields(w.head)
    names = [k for k, _ in f]
    eq(len(names), len(set(names)), "no field twice: %s" % names)
    f = dict(f)
    has(f["host"], "127.0.0.1:")
    eq(f["upgrade"].lower(), "websocket")
    eq(f["connection"].lower(), "upgrade")
    eq(f["sec-websocket-version"], "13")
    eq(f["sec-websocket-protocol"], "tunneld.tcp.v1,binary")
    ok("sec-websocket-extensions" not in f, "no extension is offered")
    ok("origin" not in f, "no Origin")
    import base64
    eq(len(base64.b64decode(f["sec-websocket-key"], validate=True)), 16)


def test_keys_and_masks_are_fresh(t):
    li = t.listen()
    d = t.daemon(forward("ws://127.0.0.1:%d/" % li.port))
    keys, masks = set(), set()
    for _ in range(8):
        a = t.connect(d.forward_port())
        w = ws_accept(li.accept())
        keys.add(dict(request_fields(w.head))["sec-websocket-key"])
        for _ in range(4):
            a.sendall(b"hello")
            f = w.frame()
            eq((f.op, f.payload), (BINARY, b"hello"))
            masks.add(f.mask)
    eq(len(keys), 8, "different keys")
    ok(len(masks) >= 31, "different masks: %d of 32" % len(masks))


def test_mask_of_control_frames(t):
    """Every frame of ours is masked, Pong and Close too (the tools check)."""
    d, a, w = local(t)
    w.ping(b"p")
    w.expect_pong(b"p")
    w.close(1000)
    w.expect_close(1000, answer=False)


def test_early_frames_behind_the_101(t):
    d, a, w = local(t, early=frame(BINARY, b"SSH-2.0-x\r\n"))
    eq(recv_exact(a, 11), b"SSH-2.0-x\r\n")


def refusal(t, answer, end=True):
    """The log record of a handshake that is answered with these bytes."""
    li = t.listen()
    d = t.daemon(forward("ws://127.0.0.1:%d/p" % li.port))
    a = t.connect(d.forward_port())
    c = li.accept()
    read_head(c)
    c.sendall(answer)
    if end:
        c.close()
    expect_rst(a)
    r = d.wait_log("dial-failed")
    eq(r["reason"], "handshake-refused")
    d.wait_sessions(0)
    return r


@smoke
def test_refused_200(t):
    r = refusal(t, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
    eq(r["status"], 200)
    has(str(r), "is this a WebSocket path?")


def test_refused_statuses(t):
    for status, word in ((301, "redirect"), (403, "allowed"), (404, "path"),
                         (429, "sessions"), (502, "answer"),
                         (503, "restart")):
        r = refusal(t, b"HTTP/1.1 %d X\r\nConnection: close\r\n\r\n" % status)
        eq(r["status"], status)
        has(r["message"], word)


def test_refused_wrong_accept(t):
    li = t.listen()
    d = t.daemon(forward("ws://127.0.0.1:%d/p" % li.port))
    a = t.connect(d.forward_port())
    ws_accept(li.accept(), accept="AAAAAAAAAAAAAAAAAAAAAAAAAAA=")
    expect_rst(a)
    eq(d.wait_log("dial-failed")["reason"], "handshake-refused")


def test_refused_unknown_subprotocol(t):
    li = t.listen()
    d = t.daemon(forward("ws://127.0.0.1:%d/p" % li.port))
    a = t.connect(d.forward_port())
    ws_accept(li.accept(), "chat")
    expect_rst(a)
    d.wait_log("dial-failed")


def test_refused_extension(t):
    li = t.listen()
    d = t.daemon(forward("ws://127.0.0.1:%d/p" % li.port))
    a = t.connect(d.forward_port())
    ws_accept(li.accept(), headers=[("Sec-WebSocket-Extensions",
                                     "permessage-deflate")])
    expect_rst(a)
    d.wait_log("dial-failed")


def test_refused_junk(t):
    for junk in (b"SSH-2.0-OpenSSH\r\n\r\n", b"\0" * 100 + b"\r\n\r\n",
                 b"HTTP/1.1 101\r\n\r\n", b"HTTP/1.1 101 X\r\n\r\n",
                 b"HTTP/1.1 101 X\r\nA: " + b"b" * 100000):
        refusal(t, junk, end=False)


def test_refused_eof(t):
    refusal(t, b"")


def test_silent_server(t):
    """A server that never answers: the handshake's deadline."""
    li = t.listen()
    d = t.daemon("timeout handshake 500ms\n" +
                 forward("ws://127.0.0.1:%d/p" % li.port))
    a = t.connect(d.forward_port())
    li.accept()
    expect_rst(a)
    d.wait_sessions(0)


@smoke
def test_server_down(t):
    d = t.daemon(forward("ws://127.0.0.1:%d/p" % t.port_refused()))
    refused(d.forward_port())
    eq(d.wait_log("dial-failed")["reason"], "connection-refused")


def test_server_down_then_up(t):
    """Every connection tries anew: no state of the failure is kept."""
    p = t.port_free()
    d = t.daemon(forward("ws://127.0.0.1:%d/p" % p))
    refused(d.forward_port())
    li = t.listen(port=p)
    a = t.connect(d.forward_port())
    w = ws_accept(li.accept())
    a.sendall(b"now")
    eq(w.recv(3), b"now")


# ---- data and ends against a server of plain binary ---------------------

def test_text_from_server(t):
    d, a, w = local(t)
    w.text("gr\u00fc\u00df")
    eq(recv_exact(a, 6), "gr\u00fc\u00df".encode())


def test_fragments_from_server(t):
    d, a, w = local(t)
    want = data(1, 3000)
    w.send(BINARY, b"", fin=False)
    for i in range(0, 3000, 3):
        w.send(CONT, want[i:i + 3], fin=False)
    w.send(CONT, b"")
    eq(recv_exact(a, 3000), want)


def test_outgoing_message_limit(t):
    """Foreign servers get messages of at most 32 KiB."""
    d, a, w = local(t)
    want = data(2, 2 << 20)
    th = send_async(a, [want])
    got = b""
    while len(got) < len(want):
        op, b = w.message()
        ok(len(b) <= 32768, "a message of %d" % len(b))
        got += b
    ok(got == want, "same bytes")
    th.join(5)


def test_server_close_is_fin(t):
    d, a, w = local(t)
    want = data(3, 1 << 20)
    w.binary(want)
    w.close(1000)
    eq(recv_all(a) == want, True, "all data, then FIN")
    w.expect_close(1000, answer=False)


def test_server_empty_close_is_fin(t):
    d, a, w = local(t)
    w.binary(b"x")
    w.close(None)
    eq(recv_all(a), b"x")


def test_server_1001_is_no_clean_end(t):
    """"Going away" from a server: it may have cut the stream."""
    d, a, w = local(t)
    w.close(1001)
    expect_rst(a)


def test_server_1011_is_rst(t):
    d, a, w = local(t)
    w.binary(b"x")
    w.close(1011, "connection refused")
    got, how = ending(a)
    eq(how, "rst")


def test_server_illegal_close_keeps_data(t):
    """Debian's websockify answers an empty Close with 1005: no data lost."""
    d, a, w = local(t)
    want = data(4, 500000)
    w.binary(want)
    w.send(CLOSE, close_payload(1005))
    got, how = ending(a)
    eq(len(got), len(want), "bytes before the " + how)


def test_server_fin_without_close(t):
    d, a, w = local(t)
    w.binary(b"bytes")
    w.fin()
    eq(recv_all(a), b"bytes")


def test_server_fin_without_close_strict(t):
    """strict close yes: it may have been cut, so it does not look complete."""
    d, a, w = local(t, extra="strict close yes")
    w.binary(b"bytes")
    eq(recv_exact(a, 5), b"bytes")
    w.fin()
    expect_rst(a)
    r = d.wait_log("close")
    eq((r["state"], r["reason"], r["code"]), ("TD", "no-close", 1006))


def test_server_fin_inside_frame(t):
    d, a, w = local(t)
    w.raw(frame(BINARY, b"abc", length=1000, form=16))
    w.fin()
    got, how = ending(a)
    eq(how, "rst")


def test_server_reset(t):
    d, a, w = local(t)
    reset(w.sock)
    expect_rst(a)


def test_server_masks(t):
    """A client must refuse masked frames (RFC 6455, 5.1)."""
    d, a, w = local(t)
    w.raw(frame(BINARY, b"x", mask=True))
    expect_rst(a)
    w.expect_close(1002)


def test_local_fin_waits(t):
    """half-close wait: our FIN holds the WebSocket open for the answer."""
    d, a, w = local(t)
    a.sendall(b"request")
    a.shutdown(socket.SHUT_WR)
    eq(w.recv(7), b"request")
    w.binary(b"answer")
    eq(recv_exact(a, 6), b"answer")
    w.close(1000)
    expect_fin(a)


def test_local_fin_wait_is_bounded(t):
    """Without progress the wait ends; with progress it goes on."""
    d, a, w = local(t, extra="half-close wait 500ms")
    a.shutdown(socket.SHUT_WR)
    for i in range(8):
        stays(lambda: True, "", 0.2)
        w.binary(b"%d" % i)
    eq(recv_exact(a, 8), b"01234567")
    got, code, _ = w.until_close()
    eq(code, 1000)


def test_local_fin_close(t):
    """half-close close: the Close goes at once; what comes is delivered."""
    d, a, w = local(t, extra="half-close close")
    a.sendall(b"request")
    a.shutdown(socket.SHUT_WR)
    eq(w.recv(7), b"request")
    got, code, _ = w.until_close()
    eq((got, code), (b"", 1000))
    w.binary(b"late answer")
    w.close(1000)
    eq(recv_all(a), b"late answer")


def test_local_reset(t):
    """A RST of the local peer never looks like an orderly end."""
    d, a, w = local(t)
    reset(a)
    try:
        got, code, _ = w.until_close()
        ok(code not in (1000, 1001, None), "Close %s" % code)
    except AssertionError as e:
        has(str(e), "RST")


def test_tcpv1_frames(t):
    """tunneld.tcp.v1 on the wire: empty text = FIN, 1000 after both."""
    d, a, w = local(t, subprotocol="tunneld.tcp.v1")
    a.sendall(b"abc")
    a.shutdown(socket.SHUT_WR)
    eq(w.recv(3), b"abc")
    eq(w.message(), (TEXT, b""))
    w.binary(b"def")
    eq(recv_exact(a, 3), b"def")
    w.text(b"")
    expect_fin(a)
    w.expect_close(1000)


def test_tcpv1_fin_from_server_first(t):
    d, a, w = local(t, subprotocol="tunneld.tcp.v1")
    w.binary(b"abc")
    w.text(b"")
    eq(recv_all(a), b"abc")
    a.sendall(b"still")
    eq(w.recv(5), b"still")
    a.shutdown(socket.SHUT_WR)
    eq(w.message(), (TEXT, b""))
    w.expect_close(1000)


def test_tcpv1_reset(t):
    d, a, w = local(t, subprotocol="tunneld.tcp.v1")
    a.sendall(b"x")
    eq(w.recv(1), b"x")
    reset(a)
    got, code, _ = w.until_close()
    eq(code, 4000)


def test_tcpv1_tcp_fin_is_truncation(t):
    """Under tunneld.tcp.v1 an end without Close is RST, not FIN."""
    d, a, w = local(t, subprotocol="tunneld.tcp.v1")
    w.binary(b"abc")
    w.fin()
    got, how = ending(a)
    eq(how, "rst")


def test_tcpv1_close_1000_too_early(t):
    """1000 before both directions ended: the stream is not complete."""
    d, a, w = local(t, subprotocol="tunneld.tcp.v1")
    w.binary(b"abc")
    w.close(1000)
    got, how = ending(a)
    ok(how in ("fin", "rst"), how)
    d.wait_sessions(0)


def test_tcpv1_fragmented_empty_text(t):
    """An empty text message is a FIN whatever its fragmentation."""
    d, a, w = local(t, subprotocol="tunneld.tcp.v1")
    w.binary(b"abc")
    w.send(TEXT, b"", fin=False)
    w.send(CONT, b"")
    eq(recv_all(a), b"abc")


def test_tcpv1_larger_messages(t):
    """Between tunnelds up to 256 KiB; all bytes are the same."""
    d, a, w = local(t, subprotocol="tunneld.tcp.v1")
    want = data(5, 3 << 20)
    th = send_async(a, [want])
    got = b""
    while len(got) < len(want):
        op, b = w.message()
        ok(len(b) <= 262144, "a message of %d" % len(b))
        got += b
    ok(got == want, "same bytes")
    th.join(5)


# ---- python3-websockets -------------------------------------------------

@smoke
def test_websockets_server(t):
    port = websockets_server(t, ws_echo, subprotocols=["binary"])
    d = t.daemon(forward("ws://127.0.0.1:%d/x" % port,
                         extra="half-close close"))
    listener = d.forward_port()         # control serves 8 of us at once

    def one(i):
        a = t.connect(listener)
        roundtrip(a, i, 400000)
        a.close()
    in_parallel(10, one)
    d.wait_sessions(0)


def test_websockets_server_without_subprotocol(t):
    port = websockets_server(t, ws_echo)
    d = t.daemon(forward("ws://127.0.0.1:%d/x" % port))
    roundtrip(t.connect(d.forward_port()), 1, 100000)


def test_websockets_server_closes(t):
    async def bye(ws, path=None):
        await ws.send(b"x" * 300000)
        await ws.close(1000)
    port = websockets_server(t, bye, subprotocols=["binary"])
    d = t.daemon(forward("ws://127.0.0.1:%d/x" % port))
    eq(len(recv_all(t.connect(d.forward_port()))), 300000)


# ---- Debian's websockify ------------------------------------------------

def websockify(t, target_port):
    port = t.port_free()
    t.spawn(["/usr/bin/websockify", "127.0.0.1:%d" % port,
             "127.0.0.1:%d" % target_port], log="websockify.out")
    wait_port(port, "websockify")
    return port


@needs_tool("websockify")
def test_websockify_echo(t):
    e = t.serve(echo)
    port = websockify(t, e.port)
    d = t.daemon(forward("ws://127.0.0.1:%d/" % port,
                         extra="half-close close"))

    def one(i):
        a = t.connect(d.forward_port())
        roundtrip(a, i, 300000)
        a.close()
    in_parallel(4, one)
    eq(d.wait_log("close")["subprotocol"], "binary")


@needs_tool("websockify")
def test_websockify_target_ends(t):
    """Everything of the target arrives, then FIN."""
    from lib.peers import source
    want = data(6, 2 << 20)
    s = t.serve(source(want))
    port = websockify(t, s.port)
    d = t.daemon(forward("ws://127.0.0.1:%d/" % port))
    a = t.connect(d.forward_port())
    eq(recv_all(a) == want, True, "same bytes")


@needs_tool("websockify")
def test_websockify_half_close_wait(t):
    """Its target answers on EOF only, which it cannot hear: the wait ends
    the session in time, with everything delivered that was sent."""
    s = t.serve(digest)
    port = websockify(t, s.port)
    d = t.daemon(forward("ws://127.0.0.1:%d/" % port,
                         extra="half-close wait 500ms"))
    a = t.connect(d.forward_port())
    a.sendall(b"request")
    a.shutdown(socket.SHUT_WR)
    got, how = ending(a)
    d.wait_sessions(0)


@needs_tool("websockify")
def test_websockify_request_answer(t):
    """A target that answers before EOF gets through with half-close wait."""
    def answer(sock):
        b = b""
        while len(b) < 7:
            b += sock.recv(100)
        sock.sendall(b"answer to " + b)
        sock.close()
    s = t.serve(answer)
    port = websockify(t, s.port)
    d = t.daemon(forward("ws://127.0.0.1:%d/" % port))
    a = t.connect(d.forward_port())
    a.sendall(b"request")
    a.shutdown(socket.SHUT_WR)
    eq(recv_all(a), b"answer to request")


@needs_tool("websockify")
def test_websockify_half_close_close(t):
    s = t.serve(echo)
    port = websockify(t, s.port)
    d = t.daemon(forward("ws://127.0.0.1:%d/" % port,
                         extra="half-close close"))
    a = t.connect(d.forward_port())
    roundtrip(a, 7, 1000)
    a.shutdown(socket.SHUT_WR)
    ending(a)
    d.wait_sessions(0)
    eq(d.wait_log("close")["bytes-in"], 1000)


@needs_tool("websockify")
def test_websockify_refused(t):
    """Its target is down: the local peer sees no clean end."""
    port = websockify(t, t.port_refused())
    d = t.daemon(forward("ws://127.0.0.1:%d/" % port))
    a = t.connect(d.forward_port())
    a.sendall(b"x")
    ending(a)
    d.wait_sessions(0)
