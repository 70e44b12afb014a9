# SPDX-License-Identifier: ISC
"""Orders in which ends cross: the target's with the client's, data behind
an end, a RST behind a FIN."""
import contextlib
import fcntl
import signal
import socket
import struct
import termios

from lib import procs
from lib.daemon import gateway, server
from lib.harness import data, eq, ok, wait_until
from lib.peers import SMALL, expect_rst, recv_all, reset, send_async
from lib.wsraw import BINARY, CLOSE, PING, close_payload, frame


def pair(t, top="", protocols=None, target=None, client=None):
    """A daemon, an open WebSocket and the target's connection.

    target, client: sizes of their receive buffers.
    """
    li = t.listen(rcvbuf=target, seconds=10 * t.slow)
    d = t.daemon("prefork 1\n" + top + server(gateway(li.port)))
    w = t.ws(d.port(), "/ws", protocols=protocols, rcvbuf=client)
    return d, w, li.accept()


@contextlib.contextmanager
def frozen(d):
    """The relay stands still: what happens meanwhile happens at once."""
    pid = d.workers("relay")[0]["pid"]
    procs.kill(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: procs.table()[pid][1] in "Tt", "relay to stop")
        yield
    finally:
        procs.kill(pid, signal.SIGCONT)


def taken(d, n):
    """The relay has read n bytes of payload from the client."""
    wait_until(lambda: all(s["bytes-in"] >= n for s in d.sessions()),
               "%d bytes from the client" % n)


def unsent(sock):
    """Bytes, or a FIN, that the peer has not acknowledged."""
    return struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ,
                                          b"\0\0\0\0"))[0]


# ---- the target answers and closes, the client still sends --------------

MORE = data(1, 200000)          # more than one write: RST, then EPIPE


def answered(d, w, c, how):
    """50000 bytes, then the end, while client data is on its way."""
    want = data(2, 50000)
    with frozen(d):
        w.binary(MORE)
        c.sendall(want)
        how(c)
    got, code, _ = w.until_close()
    ok(got == want, "%d of %d bytes of the answer" % (len(got), len(want)))
    # It sent FIN, and RST for what came behind that: both are true.
    ok(code in (1000, 1011), "Close %s" % code)
    w.close(code)


def test_answer_of_a_unix_target_that_closes(t):
    li = t.listen(unix=t.path("target"), seconds=10 * t.slow)
    d = t.daemon("prefork 1\n" + server(
        '\tlocation "/ws" { forward to unix "%s" }' % li.path))
    w = t.ws(d.port(), "/ws")
    answered(d, w, li.accept(), lambda c: c.close())
    w.expect_eof()


def test_answer_of_a_target_that_closes(t):
    d, w, c = pair(t)
    answered(d, w, c, lambda c: c.close())
    w.expect_eof()


def test_answer_of_a_target_that_shuts_down(t):
    """It still reads: nothing is lost in any direction."""
    d, w, c = pair(t)
    answered(d, w, c, lambda c: c.shutdown(socket.SHUT_WR))
    ok(recv_all(c) == MORE, "same bytes")
    c.close()
    w.expect_eof()


def test_long_answer_to_a_slow_client(t):
    """The relay does not even read when the RST comes: megabytes wait."""
    d, w, c = pair(t, client=SMALL)
    want = bytearray()

    def more():
        want.extend(data(len(want), 50000))
        c.sendall(want[-50000:])
        wait_until(lambda: not unsent(c), "the relay's system to take it")

    def passed_on():
        try:
            return wait_until(lambda: d.sessions()[0]["bytes-out"] ==
                              len(want), "", 0.2)
        except AssertionError:
            return False
    while passed_on():
        more()
    more()
    c.shutdown(socket.SHUT_WR)
    wait_until(lambda: not unsent(c), "the FIN to be there")
    c.close()
    w.binary(MORE)
    got, code, _ = w.until_close()
    ok(got == want, "%d of %d bytes of the answer" % (len(got), len(want)))
    ok(code in (1000, 1011), "Close %s" % code)


# ---- the client closes, the target still sends --------------------------

def test_close_while_the_target_sends(t):
    """A target that first writes 2 MB and then reads gets all and a FIN."""
    d, w, c = pair(t, target=SMALL)
    want = data(3, 1000000)
    th = send_async(w.sock, [frame(BINARY, want, mask=True),
                             frame(CLOSE, close_payload(1000), mask=True)])
    th.join(10)
    got, code, _ = w.until_close()
    eq((got, code), (b"", 1000))
    c.sendall(data(4, 2000000))
    ok(recv_all(c) == want, "same bytes")
    c.close()
    w.expect_eof()


# ---- the target has ended, and how the client then ends -----------------

def test_close_1011_crosses_the_fin(t):
    """Our Close 1000 is no answer to the client's 1011: RST, not FIN."""
    d, w, c = pair(t)
    c.shutdown(socket.SHUT_WR)
    eq(w.until_close(), (b"", 1000, ""))
    w.raw(frame(BINARY, b"partial", mask=True) +
          frame(CLOSE, close_payload(1011), mask=True))
    expect_rst(c)
    eq(d.wait_log("close")["state"][0], "C", "termination state")


def test_frame_cut_where_the_target_reset(t):
    """What nobody takes any more is still read as frames."""
    d, w, c = pair(t)
    c.close()
    eq(w.until_close(), (b"", 1000, ""))
    w.binary(b"a")                      # the target's system answers: RST
    taken(d, 1)
    cut = frame(BINARY, data(5, 1000), mask=True)
    w.raw(frame(BINARY, b"b", mask=True) + frame(PING, b"", mask=True) +
          cut[:500])
    taken(d, 2)
    w.raw(cut[500:] + frame(CLOSE, close_payload(1000), mask=True))
    w.expect_eof()
    r = d.wait_log("close")
    eq((r["state"][0], r["reason"]), ("-", "closed"))


def test_v1_reset_behind_both_fins(t):
    """Close 1000 would say that the target has all: it did not read it."""
    d, w, c = pair(t, protocols="tunneld.tcp.v1", target=SMALL)
    c.shutdown(socket.SHUT_WR)
    f = w.next()
    eq((f.op, f.payload), (1, b""), "the FIN")
    w.binary(data(6, 400000))
    w.text(b"")
    taken(d, 400000)
    reset(c)
    got, code, _ = w.until_close()
    eq((got, code), (b"", 4000))
    r = d.wait_log("close")
    eq((r["state"][0], r["reason"]), ("T", "reset-by-target"))


def test_v1_close_waits_for_the_target(t):
    """As long as it takes; and 1000 when all has been read."""
    d, w, c = pair(t, protocols="tunneld.tcp.v1", target=SMALL,
                   top="timeout close 200ms\n")
    c.shutdown(socket.SHUT_WR)
    w.next()
    want = data(7, 400000)
    w.binary(want)
    w.text(b"")
    taken(d, 400000)
    w.sock.settimeout(0.6)
    try:
        ok(w.sock.recv(1) == b"silence", "said before the target read")
    except socket.timeout:
        w.sock.settimeout(10 * t.slow)
    ok(recv_all(c) == want, "same bytes")
    c.close()
    w.expect_close(1000)
