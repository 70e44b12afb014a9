# SPDX-License-Identifier: ISC
"""What a daemon costs while somebody attacks it: memory, CPU, and how long
others wait.  Attackers, targets and the one who measures are processes of
their own, so that none of them waits for another's interpreter."""
import json
import os
import resource
import select
import socket
import struct
import sys
import time
import traceback

from . import procs
from .harness import Failure, ok, wait_until
from .wsraw import BINARY, PING, PONG, frame, upgrade, ws_connect

FLOOR = 0.005           # seconds: a p99 below is the machine's own noise
PHASES = 5              # each of them without and with the attack
TRIES = 3               # of the whole measurement
PROBE = 64              # bytes of one question


# ---- what processes hold ------------------------------------------------

def anonymous(pid):
    """Bytes of private memory that one process has touched."""
    with open("/proc/%d/smaps_rollup" % pid) as f:
        for line in f:
            if line.startswith("Anonymous:"):
                return int(line.split()[1]) * 1024
    raise Failure("no Anonymous line of %d" % pid)


class Usage:
    """All processes of a daemon: their memory, their CPU time."""

    def __init__(self, d):
        self.pids = [d.pid] + d.children()

    def memory(self):
        """Bytes; pages of pipes and sockets are the kernel's."""
        return sum(anonymous(p) for p in self.pids)

    def cpu(self):
        """Seconds so far."""
        return sum(procs.cpu(p) for p in self.pids) / 100.0

    def descriptors(self):
        return sum(procs.descriptors(p) for p in self.pids)


def metric(d, name):
    """Sum of all samples of a metric; 0 if there is none of this name."""
    value = d.stats().get(name)
    if value is None:
        return 0
    if isinstance(value, list):
        return sum(row["value"] for row in value)
    return value


def figure(text):
    """A line that regress/run shows even if all is well."""
    print("| " + text, flush=True)


# ---- processes that serve and attack ------------------------------------

class Helper:
    """A forked process that runs fn(asks), one JSON answer per question.

    fn is a generator function: it yields answers and is sent questions
    (None: nothing was asked, go on); it is ended with the test.
    """

    def __init__(self, t, fn, *args):
        self.t = t
        ours, theirs = socket.socketpair()
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            ours.close()
            try:
                serve(theirs, fn(*args))
            except BaseException:
                traceback.print_exc()
            os._exit(1)
        theirs.close()
        self.sock = ours
        self.file = ours.makefile("r")
        t.defer(self.close)

    def ask(self, question, seconds=30):
        self.sock.settimeout(seconds * self.t.slow)
        self.sock.sendall((json.dumps(question) + "\n").encode())
        try:
            line = self.file.readline()
        except socket.timeout:
            raise Failure("a helper does not answer %r" % question) from None
        if not line:
            raise Failure("a helper died of %r" % question)
        return json.loads(line)

    def close(self):
        self.file.close()
        self.sock.close()
        procs.kill(self.pid)
        wait_until(lambda: (procs.reap(), not procs.alive(self.pid))[1],
                   "a helper to end", 5)


def serve(sock, gen):
    """Run the generator of a Helper; between questions it is resumed with
    None as often as it wants (it waits by itself)."""
    next(gen)
    buf = b""
    sock.setblocking(False)
    while True:
        try:
            b = sock.recv(65536)
            if not b:
                os._exit(0)
            buf += b
        except BlockingIOError:
            pass
        if b"\n" not in buf:
            gen.send(None)
            continue
        line, buf = buf.split(b"\n", 1)
        answer = gen.send(json.loads(line))
        while answer is None:           # not done yet
            answer = gen.send(None)
        sock.setblocking(True)
        sock.sendall((json.dumps(answer) + "\n").encode())
        sock.setblocking(False)


def target(kind, rcvbuf=None, host="127.0.0.1", backlog=4096):
    """A Helper's generator: a TCP service; ask it for its port.

    echo: sends back; sink: reads and forgets; source: sends without end;
    mute: neither reads nor writes.
    """
    li = socket.socket()
    if rcvbuf:
        li.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
    li.bind((host, 0))
    li.listen(backlog)
    li.setblocking(False)
    ep = select.epoll()
    ep.register(li, select.EPOLLIN)
    conns, rest = {}, {}
    zeros = bytes(65536)
    events = select.EPOLLIN if kind in ("echo", "sink") else \
        select.EPOLLOUT if kind == "source" else 0
    question = yield None
    while True:
        if question is not None:
            question = yield {"port": li.getsockname()[1],
                              "connections": len(conns)}
            continue
        for fd, what in ep.poll(0.02):
            if fd == li.fileno():
                while True:
                    try:
                        c, _ = li.accept()
                    except OSError:
                        break
                    c.setblocking(False)
                    c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    conns[c.fileno()] = c
                    ep.register(c, events)
                continue
            c = conns[fd]
            try:
                if what & (select.EPOLLHUP | select.EPOLLERR):
                    raise OSError("gone")
                if kind == "source":
                    c.send(zeros)
                elif fd in rest:
                    rest[fd] = rest[fd][c.send(rest[fd]):]
                    if not rest[fd]:
                        del rest[fd]
                        ep.modify(c, events)
                else:
                    b = c.recv(65536)
                    if not b:
                        raise OSError("gone")
                    if kind == "echo":
                        n = c.send(b)
                        if n < len(b):
                            rest[fd] = b[n:]
                            ep.modify(c, select.EPOLLOUT)
            except BlockingIOError:
                pass
            except OSError:
                ep.unregister(c)
                del conns[fd]
                rest.pop(fd, None)
                c.close()
        question = yield None


def prober(port, path, pace=0.001):
    """A Helper's generator: one good session; asked for seconds it sends
    PROBE bytes, waits for their echo, pauses, again and again, and tells how
    long that took."""
    w = ws_connect(port, path, seconds=30)
    s = w.sock
    s.setblocking(True)
    s.settimeout(30)
    question = frame(BINARY, os.urandom(PROBE), mask=True)
    seconds = yield None
    while True:
        if seconds is None:
            select.select([], [], [], 0.002)
            seconds = yield None
            continue
        times = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            began = time.monotonic()
            s.sendall(question)
            got = 0
            while got < PROBE + 2:
                b = s.recv(4096)
                if not b:
                    raise OSError("the good session was ended")
                got += len(b)
            times.append(time.monotonic() - began)
            select.select([], [], [], pace)
        times.sort()
        n = len(times)
        seconds = yield {"n": n, "p50": times[n // 2],
                         "p99": times[min(n - 1, n * 99 // 100)],
                         "max": times[-1]}


class Visitor:
    """One of a crowd: a non-blocking WebSocket that says WORD and wants it
    back, then idles and answers Pings."""
    WORD = b"sixteen bytes ok"
    MASK = b"\x01\x02\x03\x04"
    SAY = frame(BINARY, WORD, mask=MASK)
    HEARD = frame(BINARY, WORD)

    def __init__(self, ep, port, path, source):
        self.buf = b""
        self.hello = upgrade(path)
        self.state = "connect"
        self.said = 0.0
        self.sock = s = socket.socket()
        s.setblocking(False)
        s.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
        s.bind((source, 0))
        s.connect_ex(("127.0.0.1", port))
        ep.register(s, select.EPOLLOUT)

    def say(self):
        self.said = time.monotonic()
        self.sock.send(self.SAY)
        self.state = "said"

    def event(self, ep):
        """Go on; returns seconds when WORD came back, else None."""
        if self.state == "connect":
            error = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                raise OSError(error, os.strerror(error))
            self.sock.send(self.hello)
            self.state = "upgrade"
            ep.modify(self.sock, select.EPOLLIN)
            return None
        b = self.sock.recv(4096)
        if not b:
            raise OSError("ended after %r" % self.buf)
        self.buf += b
        if self.state == "upgrade":
            if b"\r\n\r\n" not in self.buf:
                return None
            head, self.buf = self.buf.split(b"\r\n\r\n", 1)
            if not head.startswith(b"HTTP/1.1 101 "):
                raise OSError("no upgrade: %r" % head[:60])
            self.say()
        return self.frames()

    def frames(self):
        took = None
        while len(self.buf) >= 2:
            n = 2 + self.buf[1]
            if len(self.buf) < n:
                break
            one, self.buf = self.buf[:n], self.buf[n:]
            if one[0] == 0x80 | PING:
                self.sock.send(frame(PONG, one[2:], mask=self.MASK))
            elif one == self.HEARD and self.state == "said":
                self.state = "idle"
                took = time.monotonic() - self.said
            elif one[0] != 0x80 | PONG:
                raise OSError("unexpected %r" % one[:40])
        return took


def crowd(port, window=256, path="/ws"):
    """A Helper's generator: ask {"come": n}, {"talk": share}, {"idle": s},
    {"go": true}.  It tells how many are there, what was wrong, and the
    slowest answers."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    ep = select.epoll()
    there, wrong = {}, []
    want = waiting = 0
    times = []
    until = 0.0
    job = None
    began = 0.0
    question = yield None
    while True:
        if question is not None:
            job, began, times, until = question, time.monotonic(), [], 0.0
            if "come" in job:
                want = len(there) + job["come"]
            elif "talk" in job:
                for v in list(there.values())[::int(1 / job["talk"])]:
                    v.say()
                    waiting += 1
            elif "idle" in job:
                until = began + job["idle"]
            else:
                for v in there.values():
                    drop(v.sock)
                there, want, waiting = {}, 0, 0
        while len(there) < want and waiting < window and not wrong:
            v = Visitor(ep, port, path, "127.0.0.%d" % (2 + len(there) % 8))
            there[v.sock.fileno()] = v
            waiting += 1
        for fd, _ in ep.poll(0.01, 1024):
            try:
                took = there[fd].event(ep)
                if took is not None:
                    times.append(took)
                    waiting -= 1
            except OSError as e:
                wrong.append(str(e))
                v = there.pop(fd)
                if v.state != "idle":
                    waiting -= 1
                want -= 1
                v.sock.close()
        busy = waiting or len(there) < want or time.monotonic() < until
        if job is None or busy and time.monotonic() - began < 60:
            question = yield None
            continue
        times.sort()
        job = None
        question = yield {
            "there": len(there), "unanswered": waiting,
            "wrong": len(wrong), "why": wrong[:1],
            "seconds": time.monotonic() - began, "answers": len(times),
            "p50": times[len(times) // 2] if times else 0,
            "max": times[-1] if times else 0}


# ---- control and attack, turn by turn -----------------------------------

def median(values):
    return sorted(values)[len(values) // 2]


def ms(values):
    return " ".join("%.2f" % (v * 1000) for v in values)


class Turns:
    """One measurement of several turns; raises Failure if a bound is broken.

    attack: a Helper that is asked {"start": true} and {"stop": true}, which
    answers with counts.  each: bytes an attacking session may hold.
    cost(counts, moved): CPU seconds that so much input justifies.  ready:
    called when the attack has begun, waits until it is what it is to be.
    """

    def __init__(self, d, probe, attack, each, cost, seconds=0.3,
                 phases=PHASES, ready=None):
        self.d, self.probe, self.attack = d, probe, attack
        self.each, self.cost, self.seconds = each, cost, seconds
        self.phases, self.ready = phases, ready

    def run(self, label):
        """Up to TRIES times; every figure is printed."""
        for i in range(TRIES):
            try:
                self.once("%s, try %d" % (label, i + 1))
                return
            except Failure as e:
                figure("%s, try %d: %s" % (label, i + 1, e))
                if i == TRIES - 1:
                    raise

    def once(self, label):
        use = Usage(self.d)
        self.probe.ask(0.2)                     # warm
        quiet, busy = [], []
        base = use.memory()
        spent = spare = grown = moved = 0.0
        counts = {}
        for _ in range(self.phases):
            a = use.cpu()
            quiet.append(self.probe.ask(self.seconds))
            b = use.cpu()
            before = metric(self.d, "bytes_total")
            at = time.monotonic()
            c0 = use.cpu()
            self.attack.ask({"start": True})
            if self.ready:
                self.ready()
            busy.append(self.probe.ask(self.seconds))
            grown = max(grown, use.memory() - base)
            for k, v in self.attack.ask({"stop": True}).items():
                counts[k] = counts.get(k, 0) + v
            spent += use.cpu() - c0
            # What the good session costs anyway, in as much time.
            spare += (b - a) * (time.monotonic() - at) / self.seconds
            moved += metric(self.d, "bytes_total") - before
        n = counts["sessions"] // self.phases
        q = [p["p99"] for p in quiet]
        y = [p["p99"] for p in busy]
        limit = max(2 * median(q), FLOOR)
        room = n * self.each + (1 << 20)
        justified = spare * 2 + self.cost(counts, moved)
        figure("%s: p99 in ms without %s, with %s; medians %.2f, %.2f; "
               "bound %.2f" % (label, ms(q), ms(y), median(q) * 1000,
                               median(y) * 1000, limit * 1000))
        figure("    memory +%d KiB of %d (%d sessions), CPU %.2f s of %.2f "
               "(%s, %d bytes moved)" % (
                   grown / 1024, room / 1024, n, spent, justified,
                   ", ".join("%d %s" % (v, k)
                             for k, v in sorted(counts.items())), moved))
        ok(median(y) <= limit, "others wait: p99 %.2f ms, without the "
           "attack %.2f ms" % (median(y) * 1000, median(q) * 1000))
        ok(grown <= room, "memory grew by %d KiB, bound %d KiB" %
           (grown / 1024, room / 1024))
        ok(spent <= justified, "%.2f s of CPU, bound %.2f s" %
           (spent, justified))


def ended(path_sock):
    """Has the daemon ended this connection (reads what came)?"""
    try:
        return path_sock.recv(65536) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def drop(sock):
    """End an attacker's connection without a word."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                        struct.pack("ii", 1, 0))
    except OSError:
        pass
    sock.close()
