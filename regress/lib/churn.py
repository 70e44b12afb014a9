# SPDX-License-Identifier: ISC
"""What goes on in a soak: sessions of every kind and end, from a process of
its own (measure.Helper)."""
import os
import random
import select
import socket
import time

from .harness import Failure
from .measure import drop
from .peers import connect, recv_all, recv_exact
from .wsraw import BINARY, CLOSE, CONT, PING, frame, http, request, \
    upgrade, ws_connect

STALLED = 8             # that a churner leaves behind at once


class Wrong(Exception):
    """Not an error that a killed worker explains."""


class Churner:
    """ports: server and forward.  Every action opens and ends by itself."""

    def __init__(self, ports, seed):
        self.server, self.forward = ports
        self.rnd = random.Random(seed)
        self.stalled = []

    def ws(self, path, **kw):
        return ws_connect(self.server, path, seconds=10, **kw)

    def bytes(self, most):
        return self.rnd.randbytes(self.rnd.randrange(1, most))

    def same(self, got, want):
        if got != want:
            raise Wrong("%d bytes came back changed" % len(want))

    # -- sessions that go well --

    def message(self):
        w = self.ws(self.rnd.choice(("/target", "/echo")))
        want = self.bytes(6000)
        w.binary(want)
        self.same(w.recv(len(want)), want)
        w.close(1000)
        w.until_close()
        w.sock.close()

    def tunnel(self):
        """Bulk through both daemons and back, by half-close."""
        s = connect(self.forward, 10)
        want = self.bytes(400000)
        s.sendall(want[:100000])
        self.same(recv_exact(s, len(want[:100000])), want[:100000])
        s.shutdown(socket.SHUT_WR)
        self.same(recv_all(s), b"")
        s.close()

    def download(self):
        """Bulk until we have enough."""
        w = self.ws("/source")
        left = self.rnd.randrange(1 << 20)
        while left > 0:
            left -= len(w.sock.recv(262144)) or left
        if self.rnd.random() < 0.5:
            w.close(1000)
        drop(w.sock)

    def pings(self):
        w = self.ws("/target")
        for i in range(self.rnd.randrange(1, 40)):
            w.send(PING, b"%d" % i)
        w.expect_pong(b"%d" % i)
        w.close(1000)
        w.until_close()
        w.sock.close()

    def page(self):
        path = self.rnd.choice(("/health", "/metrics", "/nothing"))
        r = http(self.server, request(path))
        if r.status != (404 if path == "/nothing" else 200):
            raise Wrong("%s: %d" % (path, r.status))

    # -- sessions that do not --

    def reset(self):
        w = self.ws(self.rnd.choice(("/target", "/echo", "/source")))
        w.binary(self.bytes(3000))
        drop(w.sock)

    def reset_of_a_forward(self):
        s = connect(self.forward, 10)
        s.sendall(self.bytes(30000))
        drop(s)

    def no_close(self):
        w = self.ws("/target")
        w.binary(self.bytes(3000))
        w.fin()
        while w.sock.recv(65536):
            pass
        w.sock.close()

    def refused(self):
        w = self.ws("/refused")
        w.until_close()
        w.close(1000)
        w.sock.close()

    def garbage(self):
        w = self.ws("/target")
        w.raw(self.rnd.choice((
            frame(BINARY, b"unmasked"), frame(CONT, b"x", mask=True),
            frame(BINARY, b"x", mask=True, rsv=4), frame(CLOSE, b"x",
                                                        mask=True))))
        w.until_close()
        w.sock.close()

    def half_handshake(self):
        s = connect(self.server, 10)
        s.sendall(upgrade("/target")[:self.rnd.randrange(1, 100)])
        if self.rnd.random() < 0.5:
            drop(s)
        else:
            self.stall(s)

    def no_http(self):
        s = connect(self.server, 10)
        s.sendall(self.bytes(300) + b"\r\n\r\n")
        while s.recv(4096):
            pass
        s.close()

    def stall(self, s):
        """Leave it; a deadline ends it, or a later one of us."""
        self.stalled.append(s)
        if len(self.stalled) > STALLED:
            drop(self.stalled.pop(0))

    def stalled_client(self):
        self.stall(self.ws("/source", rcvbuf=4096).sock)

    def stalled_target(self):
        w = self.ws("/mute")
        w.sock.settimeout(0.05)
        try:
            while True:
                w.binary(bytes(60000))
        except OSError:
            self.stall(w.sock)

    ACTIONS = (message, message, message, tunnel, tunnel, download, pings,
               page, reset, reset_of_a_forward, no_close, refused, garbage,
               half_handshake, no_http, stalled_client, stalled_target)

    def one(self):
        """Any of them: None, or how it failed."""
        act = self.rnd.choice(self.ACTIONS)
        try:
            act(self)
        except (OSError, Failure) as e:
            return "%s: %s" % (act.__name__, e)
        return None

    def leave(self):
        for s in self.stalled:
            drop(s)
        self.stalled = []


def churner(ports, seed, pace):
    """A Helper's generator: asked for {"go": true} it begins, for {"pause":
    true} it ends all and tells what it did since."""
    c = Churner(ports, seed)
    going = False
    done, failed, wrong = 0, [], []
    question = yield None
    while True:
        if question is None:
            if going:
                began = time.monotonic()
                try:
                    error = c.one()
                    done += 1
                    if error:
                        failed.append(error)
                except Wrong as e:
                    wrong.append(str(e))
                select.select([], [], [], max(
                    0.001, pace - (time.monotonic() - began)))
            else:
                select.select([], [], [], 0.01)
            question = yield None
            continue
        going = "go" in question
        if not going:
            c.leave()
        answer = {"done": done, "failed": len(failed), "wrong": wrong[:3],
                  "why": failed[:3]}
        done, failed, wrong = 0, [], []
        question = yield answer


def describe(pid):
    """Role and slot of a process of tunneld, from its title."""
    with open("/proc/%d/cmdline" % pid, "rb") as f:
        words = f.read().replace(b"\0", b" ").decode("latin-1").split()
    title = " ".join(words)
    if "tunneld:" in words[0]:
        return " ".join(words[1:3])
    return "parent" if os.path.basename(words[0]) == "tunneld" else title
