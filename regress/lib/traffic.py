# SPDX-License-Identifier: ISC
"""Sessions that carry data all the time, each checked byte by byte."""
import random
import socket
import threading
import time

from .daemon import forward, gateway, server
from .harness import Failure, ok, wait_until
from .peers import connect, echo, recv_exact
from .wsraw import ws_connect


class Stream(threading.Thread):
    """One connection to an echo: sends, reads back, compares, again."""

    def __init__(self, seed, opener, pace):
        super().__init__(daemon=True)
        self.seed, self.opener, self.pace = seed, opener, pace
        self.rounds = 0
        self.error = None
        self.ending = threading.Event()

    def run(self):
        rnd = random.Random(self.seed)
        try:
            end = self.opener()
        except (OSError, AssertionError) as e:
            self.error = "open: %s" % e
            return
        try:
            while not self.ending.wait(self.pace):
                want = rnd.randbytes(rnd.randrange(1, 6000))
                end.send(want)
                got = end.recv(len(want))
                if got != want:
                    self.error = "bytes came back changed"
                    return
                self.rounds += 1
            end.finish()
        except (OSError, AssertionError) as e:
            self.error = str(e) or repr(e)
        finally:
            end.sock.close()


class TcpEnd:
    """A local peer of a forward."""

    def __init__(self, port, seconds=20):
        self.sock = connect(port, seconds)

    def send(self, b):
        self.sock.sendall(b)

    def recv(self, n):
        return recv_exact(self.sock, n)

    def finish(self):
        self.sock.shutdown(socket.SHUT_WR)
        b = self.sock.recv(1)
        ok(b == b"", "data instead of FIN")


class WsEnd:
    """A browser at a gateway."""

    def __init__(self, port, path, seconds=20):
        self.ws = ws_connect(port, path, seconds=seconds)
        self.sock = self.ws.sock

    def send(self, b):
        self.ws.binary(b)

    def recv(self, n):
        return self.ws.recv(n)

    def finish(self):
        self.ws.close(1000)
        self.ws.expect_close(1000, answer=False)


class Traffic:
    """n streams.  Those that break are counted, never ignored."""

    def __init__(self, t, n, opener, pace=0.02):
        self.t = t
        self.streams = [Stream("%s %d" % (t.name, i), opener, pace)
                        for i in range(n)]
        for s in self.streams:
            s.start()
        t.defer(self.abandon)

    def running(self):
        """Wait until every stream has carried data."""
        wait_until(lambda: all(s.rounds > 1 or s.error
                               for s in self.streams),
                   "all streams to carry data", 20 * self.t.slow)
        self.none_broken("at the start")

    def broken(self):
        return [s.error for s in self.streams if s.error]

    def none_broken(self, when):
        if self.broken():
            raise Failure("%d of %d streams broke %s: %s" % (
                len(self.broken()), len(self.streams), when,
                self.broken()[0]))

    def more(self, rounds=3):
        """Every stream that lives goes on for so many rounds."""
        mark = {s: s.rounds for s in self.streams if not s.error}

        def on():
            return all(s.error or s.rounds >= n + rounds
                       for s, n in mark.items())
        wait_until(on, "streams to go on", 20 * self.t.slow)

    def stop(self):
        """End all; how many broke."""
        for s in self.streams:
            s.ending.set()
        for s in self.streams:
            s.join(20 * self.t.slow)
        if any(s.is_alive() for s in self.streams):
            raise Failure("a stream hangs")
        return len(self.broken())

    def abandon(self):
        for s in self.streams:
            s.ending.set()
        end = time.monotonic() + 5
        for s in self.streams:
            s.join(max(0.0, end - time.monotonic()))


class Knocker(threading.Thread):
    """connect() again and again: none may be refused."""

    def __init__(self, t, ports):
        super().__init__(daemon=True)
        self.ports = ports
        self.count = self.resets = 0
        self.failures = []
        self.ending = threading.Event()
        t.defer(self.ending.set)
        self.start()

    def run(self):
        while not self.ending.wait(0.005):
            for p in self.ports:
                try:
                    connect(p, 5).close()
                    self.count += 1
                except ConnectionResetError:
                    # Not refused: a relay had accepted it and was killed
                    # before connect() looked.
                    self.resets += 1
                except OSError as e:
                    self.failures.append("port %d: %r" % (p, e))

    def stop(self):
        self.ending.set()
        self.join(10)
        if self.failures:
            raise Failure("%d of %d connect() failed: %s" % (
                len(self.failures), self.count + len(self.failures),
                self.failures[0]))
        ok(self.count > 0, "nobody knocked")
        ok(self.resets <= 4, "%d connections were reset" % self.resets)


def both_ways(t, n, pace=0.02):
    """Server, client, n/2 browsers and n/2 local peers with data."""
    e = t.serve(echo, backlog=512)
    ps = t.port_free()
    sconf = server(gateway(e.port) + '\n\tlocation "/health" { health }',
                   listen="127.0.0.1 port %d" % ps)
    s = t.daemon(sconf, name="srv")
    pc = t.port_free()
    cconf = forward("ws://127.0.0.1:%d/ws" % ps,
                    listen="127.0.0.1 port %d" % pc)
    c = t.daemon(cconf, name="cli")
    a = Traffic(t, n // 2, lambda: WsEnd(ps, "/ws", 20 * t.slow), pace)
    b = Traffic(t, n - n // 2, lambda: TcpEnd(pc, 20 * t.slow), pace)
    a.running()
    b.running()
    return s, sconf, c, cconf, a, b
