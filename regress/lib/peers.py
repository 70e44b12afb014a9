# SPDX-License-Identifier: ISC
"""TCP and UNIX peers: listeners that a test scripts step by step, servers
that run a handler per connection, and the ways a TCP connection can end."""
import hashlib
import os
import queue
import socket
import struct
import threading

from .harness import PATIENCE, Failure, data

SMALL = 4096                    # bytes of a deliberately small buffer


def connect(addr, seconds=10):
    """addr: a port of 127.0.0.1, (host, port), or the path of a socket."""
    if isinstance(addr, str):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(seconds)
        s.connect(addr)
        return s
    if isinstance(addr, int):
        addr = ("127.0.0.1", addr)
    s = socket.create_connection(addr, seconds)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


def reset(sock):
    """End with RST instead of FIN."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                    struct.pack("ii", 1, 0))
    sock.close()


def recv_exact(sock, n, what="data"):
    """Exactly n bytes."""
    parts, left = [], n
    while left:
        try:
            b = sock.recv(min(left, 262144))
        except socket.timeout:
            raise Failure("%s: %d of %d bytes, then nothing" %
                          (what, n - left, n)) from None
        except ConnectionResetError:
            raise Failure("%s: RST after %d of %d bytes" %
                          (what, n - left, n)) from None
        if not b:
            raise Failure("%s: EOF after %d of %d bytes" %
                          (what, n - left, n))
        parts.append(b)
        left -= len(b)
    return b"".join(parts)


def recv_all(sock, what="data"):
    """Everything up to EOF; a RST or silence is a failure."""
    parts = []
    while True:
        try:
            b = sock.recv(262144)
        except socket.timeout:
            raise Failure("%s: no EOF after %d bytes" %
                          (what, sum(map(len, parts)))) from None
        except ConnectionResetError:
            raise Failure("%s: RST after %d bytes" %
                          (what, sum(map(len, parts)))) from None
        if not b:
            return b"".join(parts)
        parts.append(b)


def ending(sock):
    """Read to the end: (bytes, "fin" | "rst" | "open")."""
    parts = []
    while True:
        try:
            b = sock.recv(262144)
        except socket.timeout:
            return b"".join(parts), "open"
        except ConnectionResetError:
            return b"".join(parts), "rst"
        if not b:
            return b"".join(parts), "fin"
        parts.append(b)


def expect_fin(sock, what="end"):
    got, how = ending(sock)
    if how != "fin" or got:
        raise Failure("%s: want a plain FIN, got %d bytes and %s" %
                      (what, len(got), how))


def expect_rst(sock, what="end"):
    _, how = ending(sock)
    if how != "rst":
        raise Failure("%s: want RST, got %s" % (what, how))


def refused(port, seconds=10):
    """Connect where a forward cannot get through: accepted, then RST."""
    try:
        s = connect(port, seconds)
    except ConnectionResetError:
        return                          # before connect() could tell
    try:
        expect_rst(s, "refused connection")
    finally:
        s.close()


def send_async(sock, chunks):
    """Write chunks in a thread; join() it.  Errors: thread.error."""
    class Sender(threading.Thread):
        error = None

        def run(self):
            try:
                for c in chunks:
                    sock.sendall(c)
            except OSError as e:
                self.error = e
    th = Sender(daemon=True)
    th.start()
    return th


class Listener:
    """A listening socket; the test takes the connections itself."""

    def __init__(self, host="127.0.0.1", port=0, unix=None, backlog=128,
                 rcvbuf=None, seconds=PATIENCE, taken=None):
        self.path = unix
        self.took = taken               # told of every connection
        self.seconds = seconds
        if unix:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.bind(unix)
            os.chmod(unix, 0o777)       # the dialer is another user
        else:
            self.sock = socket.socket(
                socket.AF_INET6 if ":" in host else socket.AF_INET)
            if port:
                self.sock.setsockopt(socket.SOL_SOCKET,
                                     socket.SO_REUSEADDR, 1)
            if rcvbuf:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF,
                                     rcvbuf)
            self.sock.bind((host, port))
        self.sock.listen(backlog)
        self.sock.settimeout(seconds)
        self.port = None if unix else self.sock.getsockname()[1]

    def accept(self, seconds=None):
        self.sock.settimeout(seconds or self.seconds)
        try:
            c, _ = self.sock.accept()
        except socket.timeout:
            raise Failure("no connection came to the target") from None
        c.settimeout(self.seconds)
        if not self.path:
            c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.took:
            self.took(c)
        return c

    def nobody(self, seconds=0.2):
        """Nobody connects within so long."""
        self.sock.settimeout(seconds)
        try:
            c, who = self.sock.accept()
        except socket.timeout:
            return
        c.close()
        raise Failure("an unwanted connection from %r" % (who,))

    def close(self):
        self.sock.close()


class Server:
    """A listener that runs handler(sock) in a thread per connection.

    A handler may raise OSError (the peer went: normal); any other exception
    is the test's failure, shown by close().
    """

    def __init__(self, handler, **kw):
        self.handler = handler
        self.listener = Listener(**kw)
        self.port = self.listener.port
        self.path = self.listener.path
        self.errors = queue.Queue()
        self.conns = []
        self.count = 0
        self.lock = threading.Lock()
        self.closing = False
        self.listener.sock.settimeout(None)
        self.thread = threading.Thread(target=self._loop, daemon=True)
        self.thread.start()

    def _loop(self):
        while True:
            try:
                c, _ = self.listener.sock.accept()
            except OSError:
                return
            if self.closing:
                c.close()
                return
            with self.lock:
                self.conns.append(c)
                self.count += 1
            threading.Thread(target=self._one, args=(c,), daemon=True).start()

    def _one(self, c):
        try:
            self.handler(c)
        except OSError:
            pass
        except Exception as e:
            self.errors.put(e)
        finally:
            with self.lock:
                if c in self.conns:
                    self.conns.remove(c)
            c.close()

    def close(self):
        self.closing = True
        try:
            self.listener.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        with self.lock:
            for c in self.conns:
                try:
                    c.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        self.thread.join(5)
        self.listener.close()
        if not self.errors.empty():
            raise Failure("in a peer: %r" % self.errors.get())


# ---- handlers for Server ------------------------------------------------

def echo(sock):
    """Send everything back; FIN after the peer's FIN."""
    while True:
        b = sock.recv(65536)
        if not b:
            break
        sock.sendall(b)
    sock.shutdown(socket.SHUT_WR)


def digest(sock):
    """Read up to FIN, then answer "LENGTH SHA256" and FIN: half-close."""
    h, n = hashlib.sha256(), 0
    while True:
        b = sock.recv(262144)
        if not b:
            break
        h.update(b)
        n += len(b)
    sock.sendall(b"%d %s" % (n, h.hexdigest().encode()))
    sock.shutdown(socket.SHUT_WR)


def digest_text(b):
    """What digest() answers to b."""
    return b"%d %s" % (len(b), hashlib.sha256(b).hexdigest().encode())


def source(payload):
    """A handler that sends payload, then FIN, and reads what comes."""
    def handler(sock):
        sock.sendall(payload)
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(65536):
            pass
    return handler


def banner_echo(text):
    """A greeting first, as many services do, then echo."""
    def handler(sock):
        sock.sendall(text)
        echo(sock)
    return handler


# ---- a listener that black-holes connections ----------------------------

class BlackHole:
    """A port whose backlog is full: a connect() to it hangs in SYN_SENT."""

    def __init__(self, host="127.0.0.1", port=0):
        fam = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.sock = socket.socket(fam)
        self.sock.bind((host, port))
        self.sock.listen(0)
        self.port = self.sock.getsockname()[1]
        self.fill = []
        while True:
            s = socket.socket(fam)
            s.settimeout(0.3)
            self.fill.append(s)
            try:
                s.connect((host, self.port))
            except socket.timeout:
                break
            if len(self.fill) > 20:
                raise Failure("cannot fill a backlog here")

    def close(self):
        for s in self.fill:
            s.close()
        self.sock.close()


# ---- many connections at once -------------------------------------------

def in_parallel(n, fn, seconds=60):
    """fn(i) for i in 0..n-1, each in a thread; the results in order."""
    results, errors = [None] * n, []

    def one(i):
        try:
            results[i] = fn(i)
        except Exception as e:
            errors.append("%d: %r" % (i, e))
    ths = [threading.Thread(target=one, args=(i,), daemon=True)
           for i in range(n)]
    for th in ths:
        th.start()
    for th in ths:
        th.join(seconds)
    if any(th.is_alive() for th in ths):
        raise Failure("%d of %d did not end" %
                      (sum(th.is_alive() for th in ths), n))
    if errors:
        raise Failure("%d of %d failed: %s" % (len(errors), n, errors[0]))
    return results


def roundtrip(sock, seed, size):
    """Send size bytes, read them back from an echo, compare."""
    want = data(seed, size)
    th = send_async(sock, [want])
    got = recv_exact(sock, size, "stream %r" % (seed,))
    th.join(10)
    if got != want:
        raise Failure("stream %r came back changed" % (seed,))
