# SPDX-License-Identifier: ISC
"""Attacks in kind, each paced: what they cost in memory and CPU, and that
others do not wait for them.

Memory is the sum of Anonymous of all processes; pages of pipes are the
kernel's and bounded by count (tunneld.conf(5)).  The bounds per session are
README's: 128 KiB and a frame header wait where one direction is blocked, or
what a pipe held where it is spliced; a head is bounded by max-request-line
and max-header-bytes; nothing is held of frames.

CPU may cost what the input justifies: COST_CONN for each connection from
accept to its last log record, COST_FRAME for each data frame, COST_PING for
each Ping, COST_BURST for each of many that come at once, COST_BYTE for each byte moved, all about
five times of what they cost on an idle machine.

Others: p99 of an echo of 64 bytes stays within twice that of the phases
without attack; below measure.FLOOR it is the machine's own noise.
"""
import os
import select
import socket
import struct
import time

from lib.daemon import gateway, server
from lib.harness import alone, kinds, needs_root, timeout, wait_until
from lib.measure import Helper, Turns, drop, ended, metric, prober, target
from lib.wsraw import BINARY, CONT, PING, frame, upgrade, ws_connect

COST_CONN = 0.001
COST_FRAME = 5e-6
COST_PING = 40e-6
COST_BURST = 2e-6       # a Ping among many
COST_BYTE = 8e-9
SLACK = 0.15            # seconds: ticks are 10 ms, and there are 5 processes

BLOCKED = (128 << 10) + 4096            # one direction, and the session
SPLICED = (256 << 10) + 4096            # the same, when it was spliced
HEAD = (8 << 10) + (16 << 10) + 1024 + 8192
FRAMES = 16 << 10                       # what is held of them: nothing
TICK = 0.01
# One relay: the good session waits where the bad ones are served.
TOP = "prefork 1\ntimeout close 1s\nping off\n"

MASK = b"\x11\x22\x33\x44"
ONE = frame(BINARY, b"x", mask=MASK)
FIRST = frame(BINARY, b"x", mask=MASK, fin=False)
MORE = frame(CONT, b"x", mask=MASK, fin=False)
PING0 = frame(PING, b"", mask=MASK)
PING125 = frame(PING, b"p" * 125, mask=MASK)
HUGE = frame(BINARY, b"", mask=MASK, form=64, length=1 << 62)
BULK = frame(BINARY, bytes(60000), mask=b"\0\0\0\0")
HEADER = upgrade("/sink")[:-2] + b"X-Fill: "


class Attacker:
    """One connection of an attack.  step(now): called every TICK; how many
    frames it sent."""
    path, rcvbuf, handshake = "/sink", None, True
    frame_cost = COST_FRAME

    def __init__(self, port):
        if self.handshake:
            self.sock = ws_connect(port, self.path, seconds=20,
                                   rcvbuf=self.rcvbuf).sock
        else:
            self.sock = socket.create_connection(("127.0.0.1", port), 20)
        self.sock.setblocking(False)
        self.at = time.monotonic()
        self.begin()

    def begin(self):
        pass

    def step(self, now):
        return 0

    def gone(self):
        return ended(self.sock)

    def send(self, b):
        """Non-blocking; a rest is forgotten, so send little."""
        try:
            return self.sock.send(b)
        except OSError:
            return 0


class StalledClient(Attacker):
    path, rcvbuf = "/source", 4096

    def gone(self):
        """Without reading."""
        return False


class StalledTarget(Attacker):
    path = "/mute"
    rest = b""

    def step(self, now):
        for _ in range(8):
            if not self.rest:
                self.rest = BULK
            n = self.send(self.rest)
            if not n:
                break
            self.rest = self.rest[n:]
        return 0


class Frames(Attacker):
    """50 a tick."""

    def step(self, now):
        return self.send(ONE * 50) // len(ONE)


class Fragments(Attacker):
    def begin(self):
        self.send(FIRST)

    def step(self, now):
        return self.send(MORE * 50) // len(MORE)


class EchoedFragments(Fragments):
    path = "/echo"


class Pings(Attacker):
    path, frame_cost = "/mute", COST_PING

    def step(self, now):
        return self.send(PING125 * 12) // len(PING125)


class PingBursts(Attacker):
    """20000 empty Pings at once, three times a second: one read of ours must
    not become 20000 writes while others wait."""
    path, frame_cost = "/mute", COST_BURST
    due = 0

    def step(self, now):
        if now < self.due:
            return 0
        self.due = now + 0.3
        return self.send(PING0 * 20000) // len(PING0)


class UnreadPings(Pings):
    """Its Pongs lie unread until nothing more fits."""
    rcvbuf = 4096

    def gone(self):
        return False


class HugeLength(Attacker):
    def begin(self):
        self.send(HUGE)

    def step(self, now):
        return min(1, self.send(bytes(1000)))


class HalfHandshake(Attacker):
    handshake = False

    def begin(self):
        self.send(HEADER + b"a" * 7000 + b"\r\nX-More: " + b"b" * 7000)


class HeaderByteBySecond(Attacker):
    handshake = False
    told = 0

    def step(self, now):
        if now - self.at >= self.told:
            self.send(HEADER[self.told:self.told + 1])
            self.told += 1
        return 0


def attacker(kind, n, port):
    """A Helper's generator."""
    conns, frames, opened = [], 0, 0
    question = yield None
    while True:
        if question is None:
            tick = time.monotonic() + TICK
            for i, c in enumerate(conns):
                frames += c.step(time.monotonic())
                if c.gone():
                    c.sock.close()
                    conns[i] = kind(port)
                    opened += 1
            select.select([], [], [], max(0, tick - time.monotonic()))
            question = yield None
        elif "start" in question:
            conns = [kind(port) for _ in range(n)]
            opened += n
            question = yield {}
        else:
            for c in conns:
                drop(c.sock)
            answer = {"sessions": len(conns), "frames": frames,
                      "opened": opened}
            conns, frames, opened = [], 0, 0
            question = yield answer


def quiet(d):
    """Wait until no session moves bytes any more: all are stalled."""
    seen = [-1]

    def still():
        now = metric(d, "bytes_total")
        same = now == seen[0]
        seen[0] = now
        return same
    wait_until(still, "all sessions to stall", 60, 0.15)


def attack(t, kind, n, each, ready=None, top="", **kw):
    echo = Helper(t, target, "echo").ask({})["port"]
    conf = TOP + top + server(
        gateway(echo, "/probe") +
        "\n\tmax-sessions 1000\n\tlocation \"/echo\" { echo }\n" +
        "\n".join(gateway(Helper(t, target, k, 4096).ask({})["port"],
                          "/" + k) for k in ("sink", "source", "mute")))
    d = t.daemon(conf)
    port = d.port()
    if kind is StalledClient and "spliced_bytes_total" in d.stats():
        each = SPLICED
    probe = Helper(t, prober, port, "/probe")
    probe.ask(0.05)
    a = Helper(t, attacker, kind, n, port)

    def cost(counts, moved):
        return SLACK + counts["opened"] * COST_CONN + \
            counts["frames"] * kind.frame_cost + moved * COST_BYTE
    Turns(d, probe, a, each, cost, ready=ready and (lambda: ready(d)),
          **kw).run(kind.__name__)
    d.wait_sessions(1)


# Each is measured alone, and in a plain build.

def test_stalled_client(t):
    attack(t, StalledClient, 4, BLOCKED, quiet)


def test_stalled_target(t):
    """That a client has reset is seen when its deadline ends the session,
    so those of the phase before may still be there."""
    attack(t, StalledTarget, 4, 2 * BLOCKED, quiet, "timeout stall 1s\n")


def test_one_byte_frames(t):
    attack(t, Frames, 4, FRAMES)


def test_one_byte_fragments(t):
    attack(t, Fragments, 4, FRAMES)


def test_echoed_fragments(t):
    attack(t, EchoedFragments, 4, FRAMES)


def test_endless_pings(t):
    attack(t, Pings, 4, FRAMES)


def test_ping_bursts(t):
    attack(t, PingBursts, 1, FRAMES)


def test_pings_and_unread_pongs(t):
    attack(t, UnreadPings, 4, FRAMES)


def test_huge_length(t):
    attack(t, HugeLength, 4, FRAMES)


def test_60_half_handshakes(t):
    attack(t, HalfHandshake, 60, HEAD, top="timeout handshake 300ms\n")


def test_header_byte_by_second(t):
    attack(t, HeaderByteBySecond, 60, HEAD, top="timeout handshake 300ms\n")


def test_300_stalled(t):
    """Spliced or copied: what waits for a client that does not read; the
    pages of its pipe, which are the kernel's, or the same in our memory."""
    attack(t, StalledClient, 300, BLOCKED, quiet, phases=3)


for fn in [v for k, v in list(globals().items()) if k.startswith("test_")]:
    needs_root(timeout(120)(kinds("plain")(alone(fn))))
