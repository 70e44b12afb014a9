# SPDX-License-Identifier: ISC
"""What happens in a cell of the close-order matrix: the ends of a session.

Each function brings about one end at side `s` (the other one is `o`) and
returns what arrived and how it ended there.
"""
import os
import time

from lib.harness import Failure, pause, stays
from lib.pausing import until_paused
from matrix.ends import CHUNK
from matrix.victim import ACK

BULK = 8 << 20
MID = 2 << 20                   # "in mid-stream" begins here
HALF = 1 << 20
SWEEP = 20                      # a relay looks at paused ends every 15 s
IDLE = 21                       # the first Pings, after 20 s, are answered


class Seen:
    """One cell's result, as the table writes it."""

    def __init__(self, arrived, end, own=None):
        self.arrived, self.end, self.own = arrived, end, own
        self.logs = []

    def text(self):
        return [self.arrived, self.end, self.own or "-"] + self.logs


def arrived(end, total, floor):
    """How much of a stream is there: all of it, at least what was confirmed,
    or less."""
    if end.error:
        raise Failure(end.error)
    if end.count > total:
        raise Failure("%d bytes, %d were sent" % (end.count, total))
    return "all" if end.count == total else \
        "prefix" if end.count >= floor else \
        "LESS: %d of %d, confirmed %d" % (end.count, total, floor)


def finish(s, o):
    """o ends too; what s sees of that, which is its own end."""
    o.fin()
    end = s.wait_end()
    for e in (s, o):
        e.bye()
    return end


def fin(p, side, big):
    """8 MiB, then FIN, or the Close that stands for it."""
    s, o = p.end(side), p.other(side)
    s.send(BULK)
    if p.bench.column.startswith("websockify"):
        # It throws its queue away when either side ends.
        o.wait_count(BULK)
    s.fin()
    end = o.wait_end()
    return Seen(arrived(o, BULK, BULK), end, finish(s, o))


def rst(p, side, big):
    """RST in mid-stream, by the end that sends."""
    s, o = p.end(side), p.other(side)
    while o.count < MID and not o.seen:
        s.send(CHUNK)
    floor = max(s.confirmed(), o.count)
    if p.bench.column.startswith("websockify"):
        floor = o.count                 # what waits there is thrown away
    s.rst()
    end = o.wait_end()
    return Seen(prefix(o, s, floor), end)


def prefix(o, s, floor):
    """As arrived(), for streams that were cut."""
    got = arrived(o, s.sent, floor)
    return "prefix" if got == "all" else got


def rst_stalled(p, side, big):
    """RST by the end that sends, while the other one does not read; past the
    time when a relay looks at what it does not read either."""
    s, o = p.end(side), p.other(side)
    o.limit(0)
    s.flood(24 << 20, 2)
    floor = s.confirmed()
    s.rst()
    # One read may have been under way.
    stays(lambda: not o.seen and o.count <= 4 * CHUNK, "stalled", SWEEP)
    o.limit(None)
    end = o.wait_end()
    return Seen(prefix(o, s, floor), end)


def rst_confirmed(p, side, big):
    """The end that reads a bulk confirms a part of it; then RST."""
    s, o = p.end(side), p.other(side)
    s.limit(HALF)
    o.flood(HALF + (1 << 20), 1)
    s.wait_count(HALF)
    s.send(ACK)
    s.settle()
    if p.bench.column.startswith("websockify"):
        o.wait_count(ACK)
    s.rst()
    end = o.wait_end()
    return Seen(arrived(o, ACK, ACK), end)


def half(p, side, big):
    """A request, FIN, and then the reply."""
    s, o = p.end(side), p.other(side)
    if o.kind == "ws" and not o.v1:
        o.polite = False                # its Close comes behind the reply
    s.send(HALF)
    if p.bench.column.startswith("websockify"):
        o.wait_count(HALF)
    s.fin()
    o.wait_count(HALF)
    # Does the FIN come through before the reply does?
    early = told(o)
    try:
        o.send(HALF)
    except OSError:
        pass
    own = finish(s, o)
    reply = "reply" if s.count == HALF else \
        "no reply" if s.count == 0 else "reply cut at %d" % s.count
    return Seen("%s, %s" % (arrived(o, HALF, HALF), reply),
                early or "%s at the end" % o.wait_end(), own)


def told(o, seconds=0.7):
    end = time.monotonic() + seconds
    while not o.seen and time.monotonic() < end:
        pause(0.01)
    return o.seen[0] if o.seen else None


def is_ready(p):
    """Has the child said so?  Never waits."""
    import select
    return select.select([p.child.stdout], [], [], 0)[0] and \
        p.child.stdout.readline() == b"ready\n"


def kill(p):
    os.kill(p.child.pid, 9)
    p.child.wait()


def last(o):
    """How o sees the end of one that is gone; a half-close is answered."""
    end = o.wait_end()
    if end == "fin":
        o.fin()
        o.bye()
    return end


def kill_unread(p, side, big):
    """kill -9 of an end that has confirmed a part and has unread data."""
    o = p.other(side)
    p.bench.give_away(p, side, "receive", HALF)
    # websockify carries nothing in the other direction while it is blocked in
    # this one; python3-websockets reads ahead more than a megabyte.
    most = (64 << 20) if p.name in p.bench.libs else HALF + 4 * CHUNK
    end = time.monotonic() + o.seconds
    while not is_ready(p):
        o.flood(min(most, o.sent + 4 * CHUNK), 0.2)
        pause(0.01)
        if time.monotonic() > end:
            raise Failure("the process never had unread data")
    if p.bench.column.startswith("websockify"):
        o.wait_count(ACK)
    kill(p)
    end = o.wait_end()
    return Seen(arrived(o, ACK, ACK), end)


def kill_sending(p, side, big):
    """kill -9 of an end in mid-stream that has nothing unread; a WebSocket
    is inside a frame then."""
    o = p.other(side)
    o.limit(MID)
    p.bench.give_away(p, side, "send", 0)
    o.wait_count(MID)
    floor = o.count
    kill(p)
    o.limit(None)
    return Seen(arrived(o, 1 << 40, floor), last(o))


def kill_between(p, side, big):
    """kill -9 of a WebSocket end between two frames, nothing unread."""
    o = p.other(side)
    p.bench.give_away(p, side, "whole", HALF)
    end = time.monotonic() + o.seconds
    while not is_ready(p):
        pause(0.02)
        if time.monotonic() > end:
            raise Failure("the process has not sent all")
    kill(p)
    return Seen(arrived(o, HALF, HALF), last(o))


def unreachable(p, side, big):
    """The target refuses, or does not answer; data was sent already."""
    o = p.client
    if o is None:
        return Seen("none", "rst")      # faster than connect()
    try:
        o.send(50000)
    except OSError:
        pass
    if p.bench.cells[p.name].get("stays"):
        stays(lambda: not o.seen, "waiting", 2)
        o.rst()
        return Seen("none", "nothing")
    return Seen("none", o.wait_end())


def fill(p, side, s, o):
    """Send so much that the daemon next to s stops reading, and no more."""
    d, key, which = (p.bench.forward, "target", "bytes-out") \
        if side == "client" else (p.bench.gateway, "location", "bytes-in")
    if d and s.kind == "tcp":
        until_paused(d.d, key, p.name, which, o.send)
    else:
        o.send(50000)


def stall(p, side, big, seconds=90):
    """s does not read for so long, then goes on.  big: o fills every buffer
    in between; else all that was sent fits into them."""
    s, o = p.end(side), p.other(side)
    # Who has never answered a Ping is not taken for dead by the lack of one.
    stays(lambda: not o.seen, "open while idle", IDLE)
    began = time.monotonic()
    s.limit(0)
    if big:
        o.flood(24 << 20, 2)
    else:
        fill(p, side, s, o)
    while time.monotonic() - began < seconds:
        if o.seen:
            break
        pause(0.1)
    s.limit(None)
    if o.seen:
        return Seen("ended early", o.seen[0], s.wait_end())
    o.send(1 << 20)
    s.wait_count(o.sent)
    s.send(1 << 20)
    o.wait_count(s.sent)
    got = arrived(s, o.sent, o.sent), arrived(o, s.sent, s.sent)
    o.fin()
    end = s.wait_end()
    return Seen("%s, %s" % got, end, finish(o, s))


DO = {
    "fin": fin, "rst": rst, "rst-stalled": rst_stalled,
    "rst-confirmed": rst_confirmed, "half": half,
    "kill-unread": kill_unread, "kill-sending": kill_sending,
    "kill-between": kill_between, "refuse": unreachable,
    "hole": unreachable, "stall": stall, "stall-small": stall,
}


def run(bench, name, side, end):
    """One cell, from its session to its records."""
    p = bench.open(name, wait=end not in ("refuse", "hole"))
    seen = DO[end](p, side, end == "stall")
    for e in (p.client, p.target):
        if e is not None and not (e.kind == "tcp" and e.sock.fileno() < 0):
            e.close()
    seen.logs = p.logs()
    return seen
