# SPDX-License-Identifier: ISC
"""The two ends of a session in the close-order matrix.

An end sends and reads one stream that both sides can compute, byte by byte;
what it sees is kept as a list of words: "fin", "rst", "close 1000", "cut"
(the connection ended inside a frame).  A thread reads all the time, so that
no RST can hide what was there before it; limit() holds it back.
"""
import array
import asyncio
import collections
import fcntl
import socket
import struct
import termios
import threading
import time

from lib.harness import Failure, data, wait_until
from lib.peers import reset
from lib.wsraw import BINARY, CLOSE, PING, PONG, TEXT, frame, parse_close

SIOCOUTQ = termios.TIOCOUTQ
CHUNK = 65536
TCP_CLOSE = 7


def outq(sock):
    """Bytes that the peer's kernel has not acknowledged."""
    buf = array.array("i", [0])
    fcntl.ioctl(sock.fileno(), SIOCOUTQ, buf)
    return buf[0]


def inq(sock):
    """Bytes that wait to be read."""
    buf = array.array("i", [0])
    fcntl.ioctl(sock.fileno(), termios.FIONREAD, buf)
    return buf[0]


class Stream:
    """An endless stream that only this seed makes."""
    SIZE = 1000003

    def __init__(self, seed):
        base = data(seed, self.SIZE)
        self.twice = base + base

    def at(self, offset, n):
        offset %= self.SIZE
        return self.twice[offset:offset + n]

    def same(self, offset, b):
        return self.at(offset, len(b)) == b


class End:
    """What all kinds have in common."""

    def __init__(self, seed_out, seed_in, seconds, most=None):
        self.out, self.inn = Stream(seed_out), Stream(seed_in)
        self.seconds = seconds
        self.sent = self.count = 0
        self.seen = []
        self.error = None               # bytes that nobody sent
        self.most = most                # read so much, then hold
        self.change = threading.Condition()

    # -- in --

    def limit(self, n):
        """Read up to about n bytes; None: all."""
        with self.change:
            self.most = n
            self.change.notify_all()

    def held(self):
        with self.change:
            while self.most is not None and self.count >= self.most:
                self.change.wait()

    def took(self, b):
        if not self.inn.same(self.count, b):
            self.error = "other bytes behind %d" % self.count
        self.count += len(b)

    def saw(self, word):
        self.seen.append(word)

    def wait_count(self, n):
        wait_until(lambda: self.count >= n or self.seen, "%d bytes, there are "
                   "%d" % (n, self.count), self.seconds)

    def wait_end(self, n=1):
        """The n-th thing seen."""
        return wait_until(lambda: self.seen[n - 1:], "end %d of this side, "
                          "seen: %s" % (n, self.seen), self.seconds)[0]

    # -- out --

    def send(self, n):
        """Send the next n bytes; a blocked peer is a failure."""
        end = self.sent + n
        while self.sent < end:
            self.one(min(CHUNK, end - self.sent), self.seconds)

    def flood(self, most, patience):
        """Send until nobody takes any more for so many seconds."""
        try:
            while self.sent < most:
                self.one(min(CHUNK, most - self.sent), patience)
        except socket.timeout:
            pass


class TcpEnd(End):
    kind = "tcp"

    def __init__(self, sock, *args, read=True):
        super().__init__(*args)
        self.sock = sock
        sock.settimeout(0.5)
        self.wire = 0                   # bytes given to the kernel
        self.shut = False
        if read:
            threading.Thread(target=self.loop, daemon=True).start()

    def loop(self):
        while True:
            self.held()
            try:
                b = self.sock.recv(CHUNK)
            except socket.timeout:
                continue
            except OSError as e:
                if e.errno != 9:        # we have closed it ourselves
                    self.saw("rst")
                return
            if not b:
                self.saw("rst" if self.is_reset() else "fin")
                return
            self.took(b)

    def is_reset(self):
        """A RST that a send() was told of looks like a FIN to recv()."""
        state = self.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO,
                                     1)[0]
        return state == TCP_CLOSE and not self.shut

    def push(self, b, patience):
        """Write b; returns how much when nothing moves for so long."""
        n, end = 0, time.monotonic() + patience
        while n < len(b):
            try:
                k = self.sock.send(memoryview(b)[n:])
                n += k
                self.wire += k
                end = time.monotonic() + patience
            except socket.timeout:
                if time.monotonic() > end:
                    break
        return n

    def one(self, n, patience):
        k = self.push(self.out.at(self.sent, n), patience)
        self.sent += k
        if k < n:
            raise socket.timeout("blocked")

    def confirmed(self):
        """Payload bytes that the next kernel has for sure."""
        return self.wire - outq(self.sock)

    def settle(self):
        """Until the next kernel has everything."""
        wait_until(lambda: outq(self.sock) == 0, "ACK", self.seconds)

    def fin(self):
        self.shut = True
        self.sock.shutdown(socket.SHUT_WR)

    def bye(self):
        """All that an orderly end still waits for."""

    def rst(self):
        reset(self.sock)

    def release(self):
        """The descriptor, which is no longer ours: for a child."""
        return self.sock.detach()

    def close(self):
        self.sock.close()


class WsEnd(TcpEnd):
    """A raw WebSocket client of a gateway."""
    kind = "ws"

    def __init__(self, ws, v1, *args, read=True):
        self.ws, self.v1 = ws, v1
        self.lock = threading.Lock()
        self.pongs = collections.deque()
        self.rest = b""                 # of a frame not written to its end
        self.closed = False
        self.polite = True              # answer a Close at once
        super().__init__(ws.sock, *args, read=read)

    def loop(self):
        while True:
            self.held()
            try:
                f = self.ws.frame()
            except Failure as e:
                if "no frame came" in str(e):
                    continue
                cut = len(self.ws.buf) != 0
                if "RST" in str(e):
                    self.saw("rst")
                else:
                    self.saw("cut" if cut else "eof")
                return
            except OSError:
                return
            if f.op == PING:
                self.pongs.append(f.payload)
                self.answer()
            elif f.op == CLOSE:
                code, _ = parse_close(f.payload)
                self.saw("close %s" % code)
                if self.polite and not self.closed:
                    self.closed = True
                    self.say(CLOSE, f.payload[:2])
            elif f.op == TEXT and not f.payload:
                self.saw("fin")
            elif f.op != PONG:
                self.took(f.payload)

    def answer(self):
        """Pongs go out between frames, by whoever is there."""
        if self.lock.acquire(blocking=False):
            try:
                if self.rest:
                    return
                while self.pongs:
                    self.push(frame(PONG, self.pongs.popleft(), mask=True),
                              self.seconds)
            except OSError:
                pass
            finally:
                self.lock.release()

    def say(self, op, payload=b""):
        try:
            with self.lock:
                self.push(frame(op, payload, mask=True), self.seconds)
        except OSError:
            pass

    def one(self, n, patience):
        with self.lock:
            if self.rest:
                b = self.rest
            else:
                b = frame(BINARY, self.out.at(self.sent, n), mask=True)
                self.sent += n
            k = self.push(b, patience)
            self.rest = b[k:]
        if self.rest:
            raise socket.timeout("blocked")
        self.answer()

    def confirmed(self):
        """Frames of CHUNK bytes with headers of 14."""
        frames, part = divmod(self.wire - outq(self.sock), CHUNK + 14)
        return frames * CHUNK + max(0, part - 14)

    def finish_frame(self):
        """What a flood left over of its last frame."""
        with self.lock:
            if self.rest and self.push(self.rest, self.seconds) < \
                    len(self.rest):
                raise Failure("blocked inside a frame")
            self.rest = b""

    def send(self, n):
        self.finish_frame()
        super().send(n)

    def fin(self):
        self.finish_frame()
        if self.v1:
            self.say(TEXT)
        else:
            self.closed = True
            self.say(CLOSE, struct.pack("!H", 1000))

    def bye(self):
        wait_until(lambda: self.seen[-1:] in (["eof"], ["rst"]),
                   "the connection's end behind %s" % self.seen,
                   self.seconds)


class LibEnd(End):
    """A connection of a python3-websockets server in this process."""
    kind = "lib"

    def __init__(self, ws, loop, *args):
        super().__init__(*args)
        self.ws, self.loop = ws, loop
        self.go = asyncio.Event()
        self.gone = asyncio.Event()

    def limit(self, n):
        self.most = n
        self.loop.call_soon_threadsafe(self.go.set)

    async def serve(self):
        """The handler: runs in the server's loop."""
        import websockets
        try:
            while True:
                while self.most is not None and self.count >= self.most:
                    self.go.clear()
                    await self.go.wait()
                self.took(await self.ws.recv())
        except websockets.ConnectionClosed:
            self.saw("close %s" % self.ws.close_code)
        await self.gone.wait()

    def call(self, coro, patience):
        f = asyncio.run_coroutine_threadsafe(coro, self.loop)
        try:
            return f.result(patience)
        except (TimeoutError, asyncio.TimeoutError):
            raise socket.timeout("blocked") from None

    def one(self, n, patience):
        self.sent += n                  # given away, whenever it is written
        self.call(self.push(self.out.at(self.sent - n, n)), patience)

    async def push(self, b):
        import websockets
        try:
            await self.ws.send(b)
        except websockets.ConnectionClosed:
            pass

    def confirmed(self):
        return 0                        # only the application knows

    def settle(self):
        sock = self.ws.transport.get_extra_info("socket")
        wait_until(lambda: self.ws.transport.get_write_buffer_size() == 0 and
                   outq(sock) == 0, "ACK", self.seconds)

    def fin(self):
        self.call(self.ws.close(1000), self.seconds)

    def bye(self):
        """close() has waited for it."""

    def rst(self):
        def abort():
            sock = self.ws.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                            struct.pack("ii", 1, 0))
            self.ws.transport.abort()
        self.loop.call_soon_threadsafe(abort)

    def close(self):
        self.limit(None)
        self.loop.call_soon_threadsafe(self.gone.set)
