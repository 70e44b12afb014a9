# SPDX-License-Identifier: ISC
"""Bulk that goes by pipe (Linux), past the relay's memory: exact, in order,
bounded; and what ends, breaks or asks for an answer while a pipe is full."""
import hashlib
import socket
import threading

from lib import procs
from lib.daemon import forward, gateway, server
from lib.harness import Failure, alone, data, eq, kinds, ok, smoke, \
    stays, timeout, wait_until
from lib.peers import expect_rst, recv_exact, reset
from lib.wsraw import BINARY, CLOSE, PONG, frame

MEG = 1024 * 1024
BLOCK = data(7, 65537)
RCVBUF = 65536


def spliced(d):
    return d.stats()["spliced_bytes_total"]


def queued(d):
    return sum(s["bytes-out"] for s in d.sessions())


def pattern(n):
    """n bytes in which no two places look alike for long."""
    return (BLOCK * (n // len(BLOCK) + 1))[:n]


class Source(threading.Thread):
    """Sends a payload on a connection; then FIN, RST or nothing."""

    def __init__(self, t, sock, payload, then="fin"):
        super().__init__(daemon=True)
        self.sock, self.payload, self.then = sock, payload, then
        self.error = None
        sock.settimeout(60 * t.slow)
        self.start()

    def run(self):
        try:
            self.sock.sendall(self.payload)
            if self.then == "fin":
                self.sock.shutdown(socket.SHUT_WR)
            elif self.then == "rst":
                reset(self.sock)
        except OSError as e:
            self.error = e


def was_reset(t, source):
    """The source's connection ended with RST: whichever of its sending and
    our reading meets it first is told, the other one sees an end."""
    source.join(20 * t.slow)
    if isinstance(source.error, ConnectionResetError):
        return
    expect_rst(source.sock)


def start(t, conf="prefork 1\nping off\n", extra="", more="", **kw):
    li = t.listen()
    return t.daemon(conf + server(gateway(li.port, extra=extra)) + more,
                    **kw), li


def pair(t, d, li, **kw):
    """(WebSocket, its connection at the target)."""
    w = t.ws(d.port(), "/ws", seconds=60 * t.slow, **kw)
    return w, t.socket(li.accept())


def stall(t, d, seconds=20):
    """Wait until no session moves a byte any more."""
    def still():
        a = queued(d)
        try:
            stays(lambda: queued(d) == a, "quiet", 0.4)
        except Failure:
            return False
        return a > 0
    wait_until(still, "the stream to stall", seconds * t.slow)


def same(got, want):
    eq(len(got), len(want), "length")
    eq(hashlib.sha256(got).hexdigest(), hashlib.sha256(want).hexdigest(),
       "bytes")


@smoke
@timeout(90)
def test_down(t):
    """Target to client: every byte, in messages within the bound, and FIN
    behind them."""
    d, li = start(t)
    w, c = pair(t, d, li)
    want = pattern(24 * MEG)
    Source(t, c, want)
    parts, code = [], None
    while code is None:
        f = w.next()
        if f.op == CLOSE:
            code = int.from_bytes(f.payload[:2], "big")
            break
        ok(f.fin and f.op == BINARY and len(f.payload) <= 32768,
           "a frame of %d bytes" % len(f.payload))
        parts.append(f.payload)
    eq(code, 1000)
    same(b"".join(parts), want)
    ok(spliced(d) > len(want) // 2, "%d bytes by splice" % spliced(d))
    w.close(1000)
    r = d.wait_log("close")
    eq((r["bytes-out"], r["state"]), (len(want), "-D"))


@timeout(90)
def test_urgent_data(t):
    """A pipe does not get past an urgent byte: what follows it, and the FIN
    behind that, still arrive."""
    d, li = start(t)
    w, c = pair(t, d, li)
    want = pattern(8 * MEG)
    Source(t, c, want, then=None)
    got, code = 0, None
    parts = []
    while code is None:
        f = w.next()
        if f.op == CLOSE:
            code = int.from_bytes(f.payload[:2], "big")
            break
        parts.append(f.payload)
        got += len(f.payload)
        if got == len(want):
            ok(spliced(d) > 0, "nothing was spliced")
            c.send(b"!", socket.MSG_OOB)
            c.sendall(b"behind it")
            c.shutdown(socket.SHUT_WR)
    eq(code, 1000)
    same(b"".join(parts), want + b"behind it")
    w.close(1000)


@timeout(90)
def test_forward_down(t):
    """Between two tunnelds: in and out of large frames, half-close behind."""
    li = t.listen()
    port = t.port_free()
    d = t.daemon("prefork 1\nping off\n" + server(
        gateway(li.port), listen="127.0.0.1 port %d" % port) +
        forward("ws://127.0.0.1:%d/ws" % port))
    a = t.connect(d.forward_port(), 60 * t.slow)
    c = t.socket(li.accept())
    want = pattern(24 * MEG)
    Source(t, c, want)
    same(recv_exact(a, len(want)), want)
    eq(a.recv(1), b"")
    a.sendall(b"answer")
    eq(recv_exact(c, 6), b"answer")
    ok(spliced(d) > len(want), "%d bytes by splice" % spliced(d))


@timeout(90)
def test_forward_frames_of_all_sizes(t):
    """What a foreign server sends by chance: large, small, split, pinged."""
    from lib.wsraw import ws_accept
    li = t.listen()
    d = t.daemon("prefork 1\nping off\n" +
                 forward("ws://127.0.0.1:%d/x" % li.port))
    a = t.connect(d.forward_port(), 60 * t.slow)
    w = ws_accept(t.socket(li.accept()))
    want = pattern(20 * MEG)
    sizes = [600000, 1, 70000, 125, 16384, 126, 300000, 65535, 8191, 1000000]
    out, pos, i = [], 0, 0
    while pos < len(want):
        n = sizes[i % len(sizes)]
        part = want[pos:pos + n]
        cut = len(part) // 3
        if i % 3 == 0:
            out += [frame(BINARY, part[:cut], fin=False), frame(9, b"ping"),
                    frame(0, part[cut:])]
        else:
            out.append(frame(BINARY, part))
        pos += n
        i += 1
    Source(t, w.sock, b"".join(out), then=None)
    same(recv_exact(a, len(want)), want)
    ok(spliced(d) > 4 * MEG, "%d bytes by splice" % spliced(d))
    f = w.frame()
    eq((f.op, f.payload), (PONG, b"ping"))


@timeout(90)
def test_stops_and_goes(t):
    """A client that reads now and then; a pipe nobody reads is emptied into
    memory after a second, and nothing is lost or doubled."""
    d, li = start(t)
    w, c = pair(t, d, li, rcvbuf=RCVBUF)
    want = pattern(24 * MEG)
    Source(t, c, want)
    got, have = [], 0
    for i in range(3):
        while have <= 7 * MEG * i:
            got.append(w.next().payload)
            have += len(got[-1])
        stall(t, d)
        stays(lambda: True, "a pipe to be given up", 1.2)
    rest, code, _ = w.until_close()
    eq(code, 1000)
    same(b"".join(got) + rest, want)
    ok(spliced(d) > 0, "nothing by splice")


@timeout(90)
def test_ping_behind_a_full_pipe(t):
    """The Pong waits for the end of what is on its way, at a frame's end."""
    d, li = start(t)
    w, c = pair(t, d, li, rcvbuf=RCVBUF)
    want = pattern(16 * MEG)
    Source(t, c, want, then=None)
    got = [w.next().payload for _ in range(20)]
    stall(t, d)
    w.ping(b"one")
    w.ping(b"two")
    have = sum(map(len, got))
    while have < len(want):
        f = w.frame()
        if f.op == PONG:
            w.pongs.append(f.payload)
            continue
        eq(f.op, BINARY)
        got.append(f.payload)
        have += len(f.payload)
    same(b"".join(got), want)
    w.expect_pong(b"two")


@timeout(90)
def test_reset_by_target(t):
    """RST behind spliced data: a prefix in whole frames, then Close 1011."""
    d, li = start(t)
    w, c = pair(t, d, li, rcvbuf=RCVBUF)
    want = pattern(16 * MEG)
    s = Source(t, c, want, then="rst")
    got = [w.next().payload for _ in range(20)]
    stall(t, d)
    s.join(0.1)
    if s.is_alive():
        # Not all of it fits on the way: the RST comes in the middle.
        reset(c)
    rest, code, reason = w.until_close()
    eq((code, reason), (1011, "reset by target"))
    got = b"".join(got) + rest
    ok(len(got) > 0 and want.startswith(got), "a prefix")
    w.close(1011)


@timeout(90)
def test_reset_by_client(t):
    """RST of the client while its pipe is full: RST to the target."""
    d, li = start(t)
    w, c = pair(t, d, li, rcvbuf=RCVBUF)
    s = Source(t, c, pattern(16 * MEG), then=None)
    for _ in range(20):
        w.next()
    stall(t, d)
    reset(w.sock)
    was_reset(t, s)
    eq(d.wait_log("close")["reason"], "reset-by-client")


@timeout(90)
def test_killed_with_a_full_pipe(t):
    """The Close of an operator's kill stands behind all that was spliced."""
    d, li = start(t)
    w, c = pair(t, d, li, rcvbuf=RCVBUF)
    want = pattern(16 * MEG)
    Source(t, c, want, then=None)
    got = [w.next().payload for _ in range(20)]
    stall(t, d)
    d.ctl("kill", "session", d.sessions()[0]["id"])
    rest, code, _ = w.until_close()
    got = b"".join(got) + rest
    ok(len(got) > MEG // 2 and want.startswith(got), "a prefix")
    eq(code, 1008)
    eq(d.wait_log("close")["bytes-out"], len(got))


@timeout(90)
def test_relay_dies(t):
    """kill -9 of a relay with full pipes: RST for both sides, never FIN."""
    d, li = start(t)
    w, c = pair(t, d, li, rcvbuf=RCVBUF)
    s = Source(t, c, pattern(16 * MEG), then=None)
    for _ in range(20):
        w.next()
    stall(t, d)
    old = d.kill_worker("relay")
    was_reset(t, s)
    try:
        while True:
            w.frame()
    except Failure as e:
        ok("RST" in str(e), "the client's end: %s" % e)
    d.wait_worker("relay", old)
    w, c = pair(t, d, li)
    want = pattern(8 * MEG)
    Source(t, c, want)
    got, code, _ = w.until_close()
    eq(code, 1000)
    same(got, want)


@timeout(120)
def test_dry_pool(t):
    """More stalled sessions than pipes, also before a pipe is given up: the
    others are copied, and all of them come to their end."""
    import resource
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        d, li = start(t)                # 256 / 64: four pipes
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    relay = d.workers("relay")[0]["pid"]
    want = pattern(6 * MEG)
    ws = []
    for _ in range(10):
        w, c = pair(t, d, li, rcvbuf=RCVBUF)
        ws.append((w, Source(t, c, want)))
    for w, s in ws:
        got, code, _ = w.until_close()
        eq(code, 1000)
        same(got, want)
    ok(procs.alive(relay), "the relay")
    ok(spliced(d) > 0, "nothing by splice")


def test_small_messages_are_copied(t):
    """message max below 16K: a header for each would cost more."""
    d, li = start(t, extra="message max 4K")
    w, c = pair(t, d, li)
    want = pattern(4 * MEG)
    Source(t, c, want)
    got, code, _ = w.until_close()
    eq(code, 1000)
    same(got, want)
    eq(spliced(d), 0)


@kinds("plain")
@alone
@timeout(180)
def test_100_stalled(t):
    """100 clients that stop reading cost memory within the bound, take no
    pipe for longer than a second, and lose nothing."""
    d, li = start(t)
    relay = d.workers("relay")[0]["pid"]
    before = procs.rss(relay)
    want = pattern(4 * MEG)
    ws = []
    for _ in range(100):
        w, c = pair(t, d, li, rcvbuf=RCVBUF, mss=1460)
        s = Source(t, c, want)
        got = bytearray()
        while len(got) < MEG:
            got += w.next().payload
        ws.append((w, s, got))
    stall(t, d, 60)
    waiting = sum(s["bytes-out"] < len(want) for s in d.sessions())
    ok(waiting > 60, "%d of 100 are stalled" % waiting)
    each = (procs.rss(relay) - before) // len(ws)
    ok(each < 512 * 1024, "%d bytes per stalled session" % each)
    had, big = spliced(d), pattern(8 * MEG)

    def bulk():
        """Another one goes by pipe as soon as there are some again."""
        w, c = pair(t, d, li)
        Source(t, c, big)
        got, code, _ = w.until_close()
        eq(code, 1000)
        same(got, big)
        w.sock.close()
        return spliced(d) - had > MEG
    wait_until(bulk, "the pipes to be free again", 15 * t.slow, 0.1)
    for w, s, got in ws[:20]:
        rest, code, _ = w.until_close()
        eq(code, 1000)
        same(bytes(got) + rest, want)
    for w, s, _ in ws[20:]:
        w.sock.close()
        s.sock.close()
