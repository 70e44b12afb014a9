# SPDX-License-Identifier: ISC
"""The load tool: its modes work through tunnels, and nothing that goes wrong
there remains unnoticed."""
import json
import os
import subprocess

from lib.daemon import server
from lib.harness import eq, has, ok, smoke, timeout
from lib.peers import echo, recv_exact, reset
from lib.wsraw import BINARY, CLOSE, TEXT, close_payload, frame, ws_accept


def load(t, *args, code=0):
    """Run it: what it reports, and its stderr."""
    _, out, err = t.run([os.path.join(t.objdir, "regress/bench/load")] +
                        [str(a) for a in args], seconds=60, code=code)
    lines = out.split("\n")
    return json.loads(lines[-2]) if len(lines) > 1 else None, err


def backends(t):
    """{kind: port} of a serving load tool."""
    p = t.spawn([os.path.join(t.objdir, "regress/bench/load"), "serve",
                 "echo", "source:0", "sink"], stdout=subprocess.PIPE)
    return dict((k, int(n)) for k, n in
                (p.stdout.readline().decode().split() for _ in range(3)))


def check_modes(t, url, small):
    """url: of a kind of backend; small: one round of each."""
    ws = url("echo").startswith("ws")
    r, _ = load(t, "down", "-b", "3M", "-c", 2, url("source"))
    eq(r["bytes"], 6 << 20, "down")
    for size in (125, 1000, "64K") if ws else ("16K",):
        r, _ = load(t, "up", "-b", "2M", "-s", size, url("sink"))
        eq(r["bytes"], 2 << 20, "up")
    r, _ = load(t, "echo", "-n", 200, "-c", 4, url("echo"))
    eq((r["messages"], r["connections"]), (200, 4), "echo")
    ok(0 < r["p50-us"] <= r["p99-us"] <= r["max-us"], "times: %s" % r)
    r, _ = load(t, "streams", "-c", 8, "-b", "512K", url("echo"))
    eq(r["bytes"], 4 << 20, "streams")
    r, _ = load(t, "conns", "-n", small, "-c", 8, "-m", 2, url("echo"))
    eq((r["connections"], r["messages"]), (small, 2 * small), "conns")
    r, _ = load(t, "burst", "-c", small, url("echo"))
    eq((r["connections"], r["errors"]), (small, 0), "burst")
    r, _ = load(t, "idle", "-c", small, "-k", 10, "-i", 50, "-t", 1,
                url("echo"))
    ok(r["messages"] >= small + 10, "talkers: %s" % r)


@smoke
@timeout(120)
def test_modes_through_gateway(t):
    ports = backends(t)
    d = t.daemon(server("".join(
        '\tlocation "/%s" { forward to 127.0.0.1 port %d }\n' % kp
        for kp in ports.items())))
    check_modes(t, lambda kind: "ws://127.0.0.1:%d/%s" % (d.port(), kind), 50)


def test_modes_through_nothing(t):
    ports = backends(t)
    check_modes(t, lambda kind: "tcp://127.0.0.1:%d" % ports[kind], 50)


def test_gate(t):
    """What measures is told when, and asked before it goes on."""
    port = t.serve(echo).port
    p = t.spawn([os.path.join(t.objdir, "regress/bench/load"), "echo", "-g",
                 "-n", "5", "tcp://127.0.0.1:%d" % port],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    eq(p.stdout.readline(), b"ready\n")
    p.stdin.write(b"\n")
    p.stdin.flush()
    eq(p.stdout.readline(), b"done\n")
    p.stdin.write(b"\n")
    p.stdin.flush()
    eq(json.loads(p.stdout.readline())["messages"], 5)
    eq(p.wait(10 * t.slow), 0)


def defect(t, misbehave, says, mode=("echo", "-n", "1", "-s", "8")):
    """A WebSocket server with one fault: found, and named."""
    def handler(sock):
        w = ws_accept(sock, protocol="binary")
        misbehave(w, w.message()[1])
        sock.recv(1)                    # until the tool gives up
    url = "ws://127.0.0.1:%d/" % t.serve(handler).port
    _, err = load(t, *mode, url, code=1)
    has(err, says, misbehave.__name__ + ": stderr")


def test_defects_are_found(t):
    def wrong_byte(w, b):
        w.binary(b[:-1] + bytes([b[-1] ^ 1]))

    def too_much(w, b):
        w.binary(b + b"x")

    def text(w, b):
        w.send(TEXT, b"abcdefgh")

    def masked(w, b):
        w.raw(frame(BINARY, b, mask=True))

    def reserved(w, b):
        w.raw(frame(BINARY, b, rsv=4))

    def closes(w, b):
        w.raw(frame(CLOSE, close_payload(1011, "no more")))

    def ends(w, b):
        w.sock.close()

    def resets(w, b):
        reset(w.sock)

    for fn, says in ((wrong_byte, "comes back changed"),
                     (too_much, "comes back"), (text, "neither a binary"),
                     (masked, "masked"), (reserved, "reserved"),
                     (closes, 'Close 1011 "no more"'),
                     (ends, "unexpected end of file"),
                     (resets, "Connection reset")):
        defect(t, fn, says)


def test_bad_ends_are_found(t):
    """After the work is done; with -e they are no fault."""
    def handler(sock):
        w = ws_accept(sock, protocol="binary")
        w.binary(w.message()[1])
        w.next()                        # Close, which is not answered
    url = "ws://127.0.0.1:%d/" % t.serve(handler).port
    _, err = load(t, "echo", "-n", 1, url, code=1)
    has(err, "end of file without Close")
    load(t, "echo", "-n", 1, "-e", url)


def test_short_source_is_found(t):
    def handler(sock):
        recv_exact(sock, 20)
        sock.sendall(b"\0" * 10)
    port = t.serve(handler).port
    _, err = load(t, "down", "-b", 1000, "tcp://127.0.0.1:%d" % port, code=1)
    has(err, "wrong byte at ")


def test_silence_is_found(t):
    port = t.serve(lambda sock: sock.recv(1000) and sock.recv(1)).port
    _, err = load(t, "echo", "-n", 1, "-w", 1,
                  "tcp://127.0.0.1:%d" % port, code=1)
    has(err, "nothing happened for 1 s")
    _, err = load(t, "idle", "-c", 1, "-t", 1, "ws://127.0.0.1:%d/" %
                  t.port_refused(), code=1)
    has(err, "Connection refused")
