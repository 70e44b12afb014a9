# SPDX-License-Identifier: ISC
"""Whatever a peer does to stay without saying anything ends by a deadline,
with its reason in the log, and not before."""
import socket
import threading
import time

from lib import procs
from lib.daemon import gateway, server
from lib.harness import data, eq, needs_root, ok, timeout, wait_until
from lib.peers import SMALL, connect, ending, in_parallel
from lib.wsraw import BINARY, CLOSE, CONT, PING, frame, request, upgrade

HALF = upgrade("/ws")[:-2]
TIMES = "timeout handshake %s\ntimeout stall %s\ntimeout idle %s\n" \
        "timeout close 500ms\nping off\n"


def start(t, handshake="1s", stall="30s", idle="30s", top=""):
    li = t.listen(rcvbuf=SMALL)
    d = t.daemon(TIMES % (handshake, stall, idle) + top +
                 server(gateway(li.port)))
    return d, li


def lasted(t, seconds, began, what):
    """Not earlier than its deadline, and not much later."""
    took = time.monotonic() - began
    ok(seconds - 0.1 <= took <= (seconds + 4) * t.slow,
       "%s ended after %.1f s" % (what, took))


def test_half_sent_handshakes(t):
    """Sixty of them, with heads almost as long as they may be."""
    d, _ = start(t)
    port = d.port()
    began = time.monotonic()

    def one(i):
        s = connect(port, 20 * t.slow)
        s.sendall(HALF + b"X-Fill: " + b"a" * (200 * i))
        got, how = ending(s)
        s.close()
        return got[:12], how
    for got in in_parallel(60, one, 30 * t.slow):
        eq(got, (b"HTTP/1.1 408", "fin"))
    lasted(t, 1, began, "handshakes")
    wait_until(lambda: len(d.logs("refuse", reason="handshake-timeout",
                                  status=408)) == 60,
               "60 refusals in the log", 10 * t.slow, 0.05)


def test_header_byte_by_byte(t):
    """Bytes that come do not put the deadline off."""
    d, _ = start(t)
    s = connect(d.port(), 20 * t.slow)
    done = threading.Event()

    def drip():
        for i in range(len(HALF)):
            if done.wait(0.1):
                return
            try:
                s.sendall(HALF[i:i + 1])
            except OSError:
                return
    th = threading.Thread(target=drip)
    th.start()
    began = time.monotonic()
    got = s.recv(4096)
    lasted(t, 1, began, "a handshake")
    done.set()
    th.join()
    s.close()
    eq(got[:12], b"HTTP/1.1 408")
    eq(d.wait_log("refuse")["reason"], "handshake-timeout")


def useless(t, feed, interval=0.05):
    """A session that says feed again and again is idle all the same."""
    d, li = start(t, idle="1s")
    w = t.ws(d.port(), "/ws")
    c = li.accept()
    began = time.monotonic()
    w.raw(feed[0])
    w.sock.settimeout(interval)
    while time.monotonic() < began + 20 * t.slow:
        try:
            if w.sock.recv(65536) == b"":
                break
            continue
        except TimeoutError:
            pass
        except OSError:
            break
        try:
            w.raw(feed[1])
        except OSError:
            break
    lasted(t, 1, began, "the session")
    eq(ending(c)[1], "rst")
    r = d.wait_log("close")
    eq((r["state"], r["reason"]), ("DD", "idle"))


def test_endless_pings_are_idle(t):
    useless(t, (frame(PING, b"p" * 125, mask=True),) * 2)


def test_empty_fragments_are_idle(t):
    """Frames without a byte: nothing goes on to the target."""
    useless(t, (frame(BINARY, b"", fin=False, mask=True),
                frame(CONT, b"", fin=False, mask=True) * 20))


def test_huge_length_and_nothing(t):
    """A frame that announces 2^62 bytes, then nothing."""
    useless(t, (frame(BINARY, b"", length=1 << 62, form=64, mask=True), b""))


def test_huge_length_flows(t):
    """Of a frame of 2^62 bytes each byte is delivered as it comes."""
    d, li = start(t)
    w = t.ws(d.port(), "/ws")
    c = li.accept()
    w.raw(frame(BINARY, b"", length=1 << 62, form=64, mask=b"\0\0\0\0"))
    for i in range(20):
        w.raw(b"%04d" % i)
        eq(c.recv(100), b"%04d" % i)


@timeout(90)
def test_all_that_stall(t):
    """Twenty stalled clients, twenty stalled targets at once."""
    li = t.listen(rcvbuf=SMALL)
    d = t.daemon(TIMES % ("5s", "1s", "off") + server(gateway(li.port)))
    bulk = frame(BINARY, bytes(60000), mask=b"\0\0\0\0")
    ends = []
    for i in range(40):
        w = t.ws(d.port(), "/ws", rcvbuf=SMALL)
        ends.append((w.sock, bulk) if i % 2 else (li.accept(), bytes(60000)))
        if i % 2:
            ends.append((li.accept(), None))

    def fill(s, chunk):
        s.settimeout(30 * t.slow)
        try:
            while True:
                s.sendall(chunk)
        except OSError:
            pass
    ths = [threading.Thread(target=fill, args=e, daemon=True)
           for e in ends if e[1]]
    for th in ths:
        th.start()
    wait_until(lambda: len(d.logs("close")) == 40, "40 to be ended",
               30 * t.slow, 0.1)
    for r in d.logs("close"):
        eq((r["state"], r["reason"]), ("DD", "stalled"))
        ok(r["duration"] >= 0.9, "ended after %s s" % r["duration"])
    d.wait_sessions(0)
    for th in ths:
        th.join(10 * t.slow)


@needs_root
def test_answer_not_fetched(t):
    """A stranger who asks for a page and does not read it has the time to
    close, not that of a session."""
    d = t.daemon(TIMES % ("5s", "60s", "off") +
                 server('\tlocation "/metrics" { metrics }'))
    relays = [w["pid"] for w in d.workers("relay")]
    port = d.port()

    def held():
        return sum(map(procs.descriptors, relays))
    before = held()
    s = deaf(t, port)
    s.sendall(request("/metrics"))
    wait_until(lambda: s.recv(1, socket.MSG_PEEK), "the answer to come")
    began = time.monotonic()
    eq(held(), before + 1, "descriptors")
    wait_until(lambda: held() == before, "the connection to be given up",
               20 * t.slow)
    lasted(t, 0.5, began, "the connection")


def deaf(t, port):
    """A connection of a client that reads nothing."""
    s = socket.socket()
    t.socket(s)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    s.settimeout(10 * t.slow)
    s.connect(("127.0.0.1", port))
    return s


def test_unfetched_rest_counts(t):
    """What a client has not fetched keeps its place: max-sessions bounds
    those too whose target has ended long ago."""
    li = t.listen()
    d = t.daemon(TIMES % ("5s", "60s", "off") + server(
        "\tmax-sessions 1\n" + gateway(li.port)))
    port = d.port()
    s = deaf(t, port)
    s.sendall(upgrade("/ws"))
    c = li.accept()
    want = data(1, 60000)
    c.sendall(want)
    c.shutdown(socket.SHUT_WR)
    s.recv(1, socket.MSG_PEEK)
    s.sendall(frame(CLOSE, b"\x03\xe8", mask=True))
    d.wait_log("close")
    eq(t.http(port, upgrade("/ws")).status, 429, "its place")
    s.close()
    c.close()

    def room():
        """The answer to one more, and its end."""
        n = connect(port, 10 * t.slow)
        n.sendall(upgrade("/ws"))
        line = n.recv(12)
        n.close()
        return line == b"HTTP/1.1 101"
    wait_until(room, "its place to be free", 10 * t.slow, 0.05)
