# SPDX-License-Identifier: ISC
"""A peer that says Close and is gone before the answer: nothing is left of
its session.  The relay is stopped for a moment, so that it sees both at
once, in either order."""
import signal

from lib import procs
from lib.daemon import forward, gateway, server
from lib.harness import eq, smoke
from lib.peers import connect, reset
from lib.wsraw import ws_accept


def together(t, d, *steps):
    """Do steps while no relay runs."""
    relay = d.workers("relay")[0]["pid"]
    procs.kill(relay, signal.SIGSTOP)
    try:
        for step in steps:
            step()
    finally:
        procs.kill(relay, signal.SIGCONT)


def ended(d):
    d.wait_sessions(0)
    r = d.wait_log("close")
    eq((r["state"], r["reason"]), ("-D", "closed"), "its end")


def vanishing_client(t, path, data_first):
    li = t.listen()
    d = t.daemon("prefork 1\nping off\n" + server(
        gateway(li.port) + '\n\tlocation "/echo" { echo }'))
    w = t.ws(d.port(), path)
    c = li.accept() if path == "/ws" else None

    def answer():
        if c:
            c.sendall(b"answer")
        else:
            w.binary(b"question")

    def vanish():
        w.close(1000)
        reset(w.sock)
    if data_first:
        together(t, d, answer, vanish)
    else:
        together(t, d, vanish, answer)
    ended(d)


@smoke
def test_client_closes_and_resets_behind_data(t):
    vanishing_client(t, "/ws", True)


def test_client_closes_and_resets_before_data(t):
    vanishing_client(t, "/ws", False)


def test_echo_client_closes_and_resets(t):
    vanishing_client(t, "/echo", True)


def test_server_closes_and_resets(t):
    """The same from the side of a forward."""
    li = t.listen()
    d = t.daemon("prefork 1\nping off\n" +
                 forward("ws://127.0.0.1:%d/ws" % li.port))
    s = t.socket(connect(d.forward_port()))
    w = ws_accept(li.accept())

    def vanish():
        w.close(1000)
        reset(w.sock)
    together(t, d, lambda: s.sendall(b"question"), vanish)
    ended(d)
