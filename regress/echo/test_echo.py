# SPDX-License-Identifier: ISC
"""The echo location: each message comes back, with opcode and content."""
import time

from lib import procs
from lib.daemon import server
from lib.harness import alone, data, eq, kinds, ok, smoke, timeout
from lib.peers import send_async
from lib.wsraw import BINARY, CONT, TEXT, frame


def start(t, extra="", top=""):
    d = t.daemon(top + server('\tlocation "/echo" { echo %s }' % extra))
    return d, d.port()


@smoke
def test_opcodes(t):
    d, p = start(t)
    w = t.ws(p, "/echo")
    for op, b in ((TEXT, "gr\u00fc\u00df".encode()), (BINARY, b"\xff\x00"),
                  (TEXT, b""), (BINARY, b""), (TEXT, b"x" * 70000),
                  (BINARY, data(1, 70000))):
        w.send(op, b)
        eq(w.message(), (op, b))


def test_messages_stay_apart(t):
    """Many in one packet: as many come back, none glued or cut."""
    d, p = start(t)
    w = t.ws(p, "/echo")
    want = [(TEXT if i % 3 else BINARY, b"m%d" % i * (i % 50))
            for i in range(500)]
    w.raw(b"".join(frame(op, b, mask=True) for op, b in want))
    for m in want:
        eq(w.message(), m)


def test_fragments_one_message(t):
    d, p = start(t)
    w = t.ws(p, "/echo")
    want = "z\u00e4hlen ".encode() * 100
    w.send(TEXT, b"", fin=False)
    for i in range(len(want)):
        w.send(CONT, want[i:i + 1], fin=False)
        if i % 100 == 50:
            w.ping(b"%d" % i)
    w.send(CONT, b"")
    eq(w.message(), (TEXT, want))
    ok(len(w.pongs) >= 8, "Pongs between the fragments")


def test_unfinished_message_streams(t):
    """What came of a message is sent on before the message ends."""
    d, p = start(t)
    w = t.ws(p, "/echo")
    w.send(BINARY, b"a" * 100000, fin=False)
    got = 0
    while got < 100000:
        f = w.next()
        ok(not f.fin, "not the last frame yet")
        got += len(f.payload)
    w.send(CONT, b"end")
    f = w.next()
    while not f.fin:
        got += len(f.payload)
        f = w.next()
    eq(got + len(f.payload), 100003)


@kinds("plain")
@alone
@timeout(90)
def test_16_mib_bounded(t):
    """A message of 16 MiB comes back whole; the relay never holds it."""
    d, p = start(t, top="prefork 1\n")
    relay = d.workers("relay")[0]["pid"]
    w = t.ws(p, "/echo")
    w.echo_check(data(0, 1 << 20))
    before = procs.rss(relay)
    want = data(1, 16 << 20)
    raw = frame(BINARY, want, mask=True)
    # First nobody reads: what the relay holds is bounded.
    th = send_async(w.sock, [raw])
    end = time.monotonic() + 0.5
    most = 0
    while time.monotonic() < end:
        most = max(most, procs.rss(relay))
    op, got = w.message()
    th.join(10)
    most = max(most, procs.rss(relay))
    eq((op, got == want), (BINARY, True), "opcode, same bytes")
    ok(most - before < 1 << 20, "relay grew by %d KiB" %
       ((most - before) >> 10))


def test_bad_utf8(t):
    d, p = start(t)
    w = t.ws(p, "/echo")
    w.text(b"\xff")
    w.expect_close(1007)


def test_text_any(t):
    d, p = start(t, extra="text any")
    w = t.ws(p, "/echo")
    w.text(b"\xff")
    eq(w.message(), (TEXT, b"\xff"))


@smoke
def test_close_is_echoed(t):
    d, p = start(t)
    for code in (1000, 1001, 1011, 3000, 4999):
        w = t.ws(p, "/echo")
        w.close(code, "bye")
        got, back, _ = w.until_close()
        eq((got, back), (b"", code))
        w.expect_eof()


def test_close_inside_a_message(t):
    d, p = start(t)
    w = t.ws(p, "/echo")
    w.send(BINARY, b"half", fin=False)
    w.close(1000)
    got, code, _ = w.until_close()
    eq(code, 1000)
    ok(b"half".startswith(got), got)


def test_sessions_row(t):
    d, p = start(t)
    w = t.ws(p, "/echo")
    w.echo_check(b"123")
    [s] = d.sessions()
    eq((s["type"], s["target"], s["bytes-in"], s["bytes-out"], s["state"]),
       ("echo", None, 3, 3, "open"))


@kinds("plain", "asan")
def test_websockets_client(t):
    """python3-websockets: text, binary, fragments, ping, close."""
    import asyncio
    import websockets
    d, p = start(t)

    async def main():
        async with websockets.connect("ws://127.0.0.1:%d/echo" % p,
                                      max_size=None) as ws:
            eq(len(ws.extensions), 0, "extensions")
            await ws.send("gr\u00fc\u00df")
            eq(await ws.recv(), "gr\u00fc\u00df")
            await ws.send([b"a", b"b", b"c"])
            eq(await ws.recv(), b"abc")
            await asyncio.wait_for(await ws.ping(b"hi"), 5)
            big = data(5, 3 << 20)
            await ws.send(big)
            ok(await ws.recv() == big, "3 MiB")
            await ws.close(4321, "bye")
            eq(ws.close_code, 4321)
    asyncio.run(main())
