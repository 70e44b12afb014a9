# SPDX-License-Identifier: ISC
"""The tools of the tests against an independent implementation."""
import asyncio
import os
import socket
import threading

from lib import peers, procs
from lib.foreign import websockets_server, ws_echo
from lib.harness import data, eq, ok, wait_until
from lib.peers import BlackHole, connect, digest, digest_text, in_parallel, \
    recv_all, roundtrip
from lib.wsraw import BINARY, CONT, TEXT, ws_accept


def test_raw_client_with_websockets(t):
    port = websockets_server(t, ws_echo)
    w = t.ws(port, "/")
    for n in (0, 1, 125, 126, 127, 65535, 65536, 200000):
        b = data(n, n)
        w.binary(b)
        eq(w.message(), (BINARY, b), "echo of %d" % n)
    w.send(TEXT, b"ab", fin=False)
    w.ping(b"x")
    w.send(CONT, "\u00e9".encode())
    w.expect_pong(b"x")
    eq(w.message(), (TEXT, b"ab\xc3\xa9"))
    w.close(1000)
    w.expect_close(1000, answer=False)


def test_raw_server_with_websockets(t):
    import websockets
    li = t.listen()

    async def client():
        async with websockets.connect("ws://127.0.0.1:%d/x" % li.port,
                                      compression=None) as ws:
            await ws.send(b"hello")
            eq(await ws.recv(), b"HELLO")
    box = []

    def run():
        try:
            asyncio.run(client())
        except Exception as e:
            box.append(e)
    th = threading.Thread(target=run, daemon=True)
    th.start()
    w = ws_accept(li.accept())
    eq(w.recv(5), b"hello")
    w.binary(b"HELLO")
    w.expect_close(1000, answer=False)
    w.close(1000)
    w.sock.close()
    th.join(10)
    eq(box, [])


def test_peers(t):
    s = t.serve(digest)
    c = t.connect(s.port)
    c.sendall(b"abc")
    c.shutdown(socket.SHUT_WR)
    eq(recv_all(c), digest_text(b"abc"))
    e = t.serve(peers.echo)
    in_parallel(5, lambda i: roundtrip(t.connect(e.port), i, 100000))
    h = BlackHole()
    t.defer(h.close)
    try:
        connect(h.port, 0.2)
    except socket.timeout:
        return
    ok(False, "the black hole let a connection in")


def test_leftovers_are_found(t):
    p = t.spawn(["sh", "-c", "(setsid tail -f /dev/null &) ; exec tail -f "
                 "/dev/null"])
    pids = wait_until(lambda: procs.title(p.pid).startswith("tail") and
                      len(procs.children(os.getpid())) == 2 and
                      procs.children(os.getpid()), "an escaped child")
    for q in pids:
        if q != p.pid:
            procs.kill(q)

