# SPDX-License-Identifier: ISC
"""The close-order matrix of tunneld-protocol(7): how each end arrives."""
import socket

from lib.daemon import gateway, server
from lib.harness import data, eq, ok, smoke, wait_until
from lib.peers import BlackHole, ending, expect_fin, expect_rst, recv_all, \
    recv_exact, reset, send_async
from lib.wsraw import BINARY, CLOSE, CONT, TEXT, close_payload, frame


def pair(t, extra="", top="", **kw):
    """A daemon, an open WebSocket and the target's connection."""
    li = t.listen(seconds=10 * t.slow)
    d = t.daemon(top + server(gateway(li.port, extra=extra)))
    w = t.ws(d.port(), "/ws", **kw)
    return d, w, li.accept()


# ---- the target ends ----------------------------------------------------

@smoke
def test_target_fin_after_data(t):
    """Target sends 8 MiB, then FIN: all of it, then Close 1000."""
    d, w, c = pair(t)
    want = data(1, 8 << 20)
    th = send_async(c, [want])
    eq(w.recv(len(want)) == want, True, "same bytes")
    th.join(5)
    c.shutdown(socket.SHUT_WR)
    got, code, reason = w.until_close()
    eq((got, code, reason), (b"", 1000, ""))
    w.close(1000)
    w.expect_eof()
    expect_fin(c)


def test_target_fin_inbound_goes_on(t):
    """After the target's FIN, client data is delivered up to its Close."""
    d, w, c = pair(t)
    c.sendall(b"bye")
    c.shutdown(socket.SHUT_WR)
    got, code, _ = w.until_close()
    eq((got, code), (b"bye", 1000))
    w.binary(b"last words")
    w.close(1000)
    eq(recv_all(c), b"last words")
    w.expect_eof()


@smoke
def test_target_reset(t):
    d, w, c = pair(t)
    c.sendall(b"x")
    eq(w.recv(1), b"x")
    reset(c)
    w.expect_close(1011, "reset by target")
    eq(d.wait_log("close")["reason"], "reset-by-target")


def test_target_reset_while_client_sends(t):
    d, w, c = pair(t)
    w.binary(data(1, 100000))
    recv_exact(c, 1000)
    reset(c)
    w.expect_close(1011, "reset by target")


def test_target_closes_with_unread_data(t):
    """close() with unread input is a RST too: not a clean end."""
    d, w, c = pair(t)
    w.binary(b"never read")
    wait_until(lambda: c.recv(1, socket.MSG_PEEK), "data at the target")
    c.close()
    w.expect_close(1011, "reset by target")


# ---- the target cannot be reached ---------------------------------------

@smoke
def test_refused(t):
    d = t.daemon(server(gateway(t.port_refused())))
    w = t.ws(d.port(), "/ws")
    w.expect_close(1011, "connection refused")
    r = d.wait_log("dial-failed")
    eq(r["reason"], "connection-refused")


def test_refused_with_early_data(t):
    """Frames that wait for the dial do not hide the reason."""
    d = t.daemon(server(gateway(t.port_refused())))
    w = t.ws(d.port(), "/ws", early=frame(BINARY, data(1, 50000), mask=True))
    w.expect_close(1011, "connection refused")


def test_unreachable(t):
    """The loopback net's broadcast address: ENETUNREACH at once."""
    d = t.daemon(server(gateway(9, host="127.255.255.255")))
    w = t.ws(d.port(), "/ws")
    w.expect_close(1011, "unreachable")


def test_timed_out(t):
    h = BlackHole()
    t.defer(h.close)
    d = t.daemon("timeout connect 1s\n" + server(gateway(h.port)))
    w = t.ws(d.port(), "/ws")
    w.expect_close(1011, "timed out")


def test_client_leaves_while_dialing(t):
    """Nothing of it is left when the dial has failed."""
    h = BlackHole()
    t.defer(h.close)
    d = t.daemon("timeout connect 1s\n" + server(gateway(h.port)))
    a, b = t.ws(d.port(), "/ws"), t.ws(d.port(), "/ws")
    d.wait_sessions(2)
    eq({s["state"] for s in d.sessions()}, {"dialing"})
    a.sock.close()
    reset(b.sock)
    d.wait_sessions(0)


# ---- the client ends ----------------------------------------------------

@smoke
def test_client_close_delivers_all(t):
    """8 MiB, then Close 1000: the target gets all, then FIN."""
    d, w, c = pair(t)
    want = data(2, 8 << 20)
    th = send_async(w.sock, [frame(BINARY, want, mask=True),
                             frame(CLOSE, close_payload(1000), mask=True)])
    eq(recv_all(c) == want, True, "same bytes")
    th.join(5)
    c.close()
    w.expect_close(1000, answer=False)


def ends_with(t, how, extra="", log=None):
    """Data, then how(w): what the target sees behind the data."""
    d, w, c = pair(t, extra)
    want = data(3, 200000)
    w.binary(want)
    how(w)
    got, end = ending(c)
    c.close()
    if log:
        r = d.wait_log("close")
        for k, v in log.items():
            eq(r.get(k), v, "log " + k)
    return got == want, end


def test_client_close_1001(t):
    eq(ends_with(t, lambda w: w.close(1001)), (True, "fin"))


def test_client_empty_close(t):
    eq(ends_with(t, lambda w: w.close(None)), (True, "fin"))


def test_empty_close_is_answered(t):
    d, w, c = pair(t)
    w.close(None)
    expect_fin(c)
    c.close()
    _, code, _ = w.until_close()
    ok(code in (None, 1000), "never 1005 on the wire: %s" % code)
    w.expect_eof()


def test_client_close_4000(t):
    """Any other code: RST, never FIN."""
    eq(ends_with(t, lambda w: w.close(4000))[1], "rst")


def test_client_close_1011(t):
    eq(ends_with(t, lambda w: w.close(1011, "broken"))[1], "rst")


def test_client_close_1012_to_1014_are_legal(t):
    for code in (1012, 1013, 1014, 3000, 4999):
        d, w, c = pair(t)
        w.close(code)
        expect_rst(c)
        got, back, _ = w.until_close()
        eq(back, code, "legal: echoed, not 1002")


def test_client_fin_at_boundary(t):
    """No Close, but between frames: FIN; logged as 1006."""
    eq(ends_with(t, lambda w: w.fin(), log={"reason": "no-close",
                                           "code": 1006}), (True, "fin"))


def test_client_fin_at_boundary_strict(t):
    eq(ends_with(t, lambda w: w.fin(), extra="strict close yes")[1], "rst")


def test_client_fin_inside_header(t):
    eq(ends_with(t, lambda w: (w.raw(b"\x82"), w.fin()))[1], "rst")


def test_client_fin_inside_payload(t):
    def how(w):
        w.raw(frame(BINARY, b"abc", mask=True, length=1000, form=16))
        w.fin()
    eq(ends_with(t, how)[1], "rst")


def test_client_reset(t):
    eq(ends_with(t, lambda w: reset(w.sock))[1], "rst")


def test_client_fin_between_fragments(t):
    """At a frame boundary, though inside a message: bytes are complete."""
    def how(w):
        w.send(BINARY, b"", fin=False)
        w.fin()
    ended = ends_with(t, how)
    ok(ended[1] in ("fin", "rst"), ended)


# ---- illegal Close codes after all data ---------------------------------

def illegal(t, payload, want=1002):
    """Data, an illegal Close: data is there, the answer is 1002."""
    d, w, c = pair(t)
    body = data(4, 500000)
    w.binary(body)
    w.send(CLOSE, payload)
    got, end = ending(c)
    ok(body.startswith(got), "other bytes arrived")
    eq(len(got), len(body), "bytes that arrived before the " + end)
    got, code, _ = w.until_close()
    eq(code, want)


def test_illegal_close_1005(t):
    illegal(t, close_payload(1005))


def test_illegal_close_1006(t):
    illegal(t, close_payload(1006))


def test_illegal_close_999(t):
    illegal(t, close_payload(999))


def test_illegal_close_1004(t):
    illegal(t, close_payload(1004))


def test_illegal_close_5000(t):
    illegal(t, close_payload(5000))


def test_illegal_close_one_byte(t):
    illegal(t, b"\x03")


def test_illegal_close_reason(t):
    """A reason that is no UTF-8 (RFC 6455, 5.5.1 and 8.1)."""
    illegal(t, close_payload(1000, b"\xff"), 1007)


def test_data_behind_close_is_ignored(t):
    d, w, c = pair(t)
    w.raw(frame(BINARY, b"yes", mask=True) +
          frame(CLOSE, close_payload(1000), mask=True) +
          frame(BINARY, b"no", mask=True))
    eq(recv_all(c), b"yes")
    c.close()
    w.expect_close(1000, answer=False)


# ---- protocol violations ------------------------------------------------

def violation(t, raw, code, early=False):
    """raw gets this Close and then the end; the target a RST."""
    d, w, c = pair(t)
    w.binary(b"good")
    eq(recv_exact(c, 4), b"good")
    w.raw(raw)
    expect_rst(c)
    w.expect_close(code)
    eq(d.wait_log("close")["state"][0], "E", "termination state")


def test_violation_unmasked(t):
    violation(t, frame(BINARY, b"x"), 1002)


def test_violation_unmasked_empty(t):
    violation(t, frame(BINARY, b""), 1002)


def test_violation_rsv1(t):
    violation(t, frame(BINARY, b"x", mask=True, rsv=4), 1002)


def test_violation_rsv2(t):
    violation(t, frame(BINARY, b"x", mask=True, rsv=2), 1002)


def test_violation_rsv3(t):
    violation(t, frame(BINARY, b"x", mask=True, rsv=1), 1002)


def test_violation_opcode_3(t):
    violation(t, frame(3, b"x", mask=True), 1002)


def test_violation_opcode_7(t):
    violation(t, frame(7, b"", mask=True), 1002)


def test_violation_opcode_11(t):
    violation(t, frame(11, b"x", mask=True), 1002)


def test_violation_opcode_15(t):
    violation(t, frame(15, b"", mask=True), 1002)


def test_violation_continuation_first(t):
    violation(t, frame(CONT, b"x", mask=True), 1002)


def test_violation_new_message_inside(t):
    violation(t, frame(BINARY, b"x", mask=True, fin=False) +
              frame(BINARY, b"y", mask=True), 1002)


def test_violation_fragmented_ping(t):
    violation(t, frame(9, b"x", mask=True, fin=False), 1002)


def test_violation_long_ping(t):
    violation(t, frame(9, data(1, 126), mask=True), 1002)


def test_violation_length_16_not_minimal(t):
    violation(t, frame(BINARY, b"abc", mask=True, form=16), 1002)


def test_violation_length_64_not_minimal(t):
    violation(t, frame(BINARY, data(1, 300), mask=True, form=64), 1002)


def test_violation_length_top_bit(t):
    violation(t, frame(BINARY, b"", mask=True, form=64, length=1 << 63), 1002)


def test_violation_utf8(t):
    violation(t, frame(TEXT, b"\xc0\x80", mask=True), 1007)


def test_violation_utf8_early(t):
    """Refused as soon as it cannot become valid: the frame is not over."""
    violation(t, frame(TEXT, b"\xed\xa0", mask=True, length=1000, form=16),
              1007)


def test_violation_utf8_cut(t):
    violation(t, frame(TEXT, b"\xe2\x82", mask=True), 1007)


def test_violation_sends_what_came_before(t):
    """Valid frames before a violation in the same packet still arrive."""
    d, w, c = pair(t)
    w.raw(frame(BINARY, b"good", mask=True) + frame(3, b"", mask=True))
    got, end = ending(c)
    eq((got, end), (b"good", "rst"))
    w.expect_close(1002)


def test_length_64_bits_allocates_nothing(t):
    """A frame that announces 2^62 bytes is merely a long frame."""
    d, w, c = pair(t)
    w.raw(frame(BINARY, b"begin", mask=b"\0\0\0\0", form=64,
                length=1 << 62))
    eq(recv_exact(c, 5), b"begin")
    w.raw(b"more")
    eq(recv_exact(c, 4), b"more")


# ---- what the other side gets when we end it ----------------------------

def test_killed_session(t):
    d, w, c = pair(t)
    [s] = d.sessions()
    d.ctl("kill", "session", s["id"])
    expect_rst(c)
    w.expect_close(1008)
    r = d.wait_log("close")
    eq((r["state"][0], r["reason"]), ("K", "killed"))


def test_grace_over(t):
    import signal
    from lib import procs
    d, w, c = pair(t, top="grace 1s\n")
    procs.kill(d.pid, signal.SIGTERM)
    w.expect_close(1012, "service restart")
    expect_rst(c)
    d.wait_end()


def test_idle_timeout(t):
    d, w, c = pair(t, top="timeout idle 1s\n")
    w.expect_close(1011)
    expect_rst(c)
    r = d.wait_log("close")
    eq((r["state"][0], r["reason"]), ("D", "idle"))
