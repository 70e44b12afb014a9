# SPDX-License-Identifier: ISC
"""HTTP and WebSocket by hand, bytes in the open, for both ends.

No library: a test must be able to send what no library would, and to see
every frame as it came.
"""
import base64
import hashlib
import os
import socket
import struct

from .harness import Failure, eq, show
from .peers import connect

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def accept_for(key):
    return base64.b64encode(hashlib.sha1(key.encode() + GUID).digest()
                            ).decode()


def xor(payload, mask):
    """RFC 6455, 5.3, fast enough for megabytes."""
    n = len(payload)
    if not n:
        return b""
    key = (mask * (n // 4 + 1))[:n]
    return (int.from_bytes(payload, "little") ^
            int.from_bytes(key, "little")).to_bytes(n, "little")


def frame(op, payload=b"", fin=True, mask=None, rsv=0, form=None,
          length=None):
    """One frame.  mask: 4 bytes, True (random) or None.

    form: 7, 16 or 64 forces that length form, minimal or not; length: the
    announced length instead of the real one.
    """
    n = len(payload) if length is None else length
    if form is None:
        form = 7 if n < 126 else 16 if n < 65536 else 64
    first = (0x80 if fin else 0) | rsv << 4 | op
    bit = 0x80 if mask else 0
    if form == 7:
        head = struct.pack("!BB", first, bit | n)
    elif form == 16:
        head = struct.pack("!BBH", first, bit | 126, n)
    else:
        head = struct.pack("!BBQ", first, bit | 127, n)
    if not mask:
        return head + payload
    if mask is True:
        mask = os.urandom(4)
    return head + mask + xor(payload, mask)


def close_payload(code, reason=""):
    if code is None:
        return b""
    return struct.pack("!H", code) + (
        reason if isinstance(reason, bytes) else reason.encode())


class Response:
    """One HTTP answer."""

    def __init__(self, head, body):
        self.raw = head + b"\r\n\r\n" + body
        lines = head.decode("latin-1").split("\r\n")
        self.line = lines[0]
        parts = lines[0].split(" ", 2)
        if len(parts) < 2 or not parts[0].startswith("HTTP/1."):
            raise Failure("not an HTTP answer: %s" % show(lines[0]))
        self.version, self.status = parts[0], int(parts[1])
        self.headers = []
        for line in lines[1:]:
            k, v = line.split(":", 1)
            self.headers.append((k.lower(), v.strip()))
        self.body = body

    def header(self, name):
        got = [v for k, v in self.headers if k == name.lower()]
        return ", ".join(got) if got else None


def request(path="/", method="GET", host="127.0.0.1", version="HTTP/1.1",
            headers=()):
    """The head of a request; headers: (name, value) pairs."""
    lines = ["%s %s %s" % (method, path, version)]
    if host is not None:
        lines.append("Host: " + host)
    lines += ["%s: %s" % h for h in headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def upgrade(path="/", host="127.0.0.1", key="dGhlIHNhbXBsZSBub25jZQ==",
            protocols=None, origin=None, headers=(), version="13", drop=()):
    """An upgrade request; drop: names of standard fields left out."""
    h = [("Upgrade", "websocket"), ("Connection", "Upgrade"),
         ("Sec-WebSocket-Key", key), ("Sec-WebSocket-Version", version)]
    h = [(k, v) for k, v in h if k not in drop]
    if protocols is not None:
        h.append(("Sec-WebSocket-Protocol", protocols))
    if origin is not None:
        h.append(("Origin", origin))
    return request(path, host=host, headers=h + list(headers))


def read_head(sock):
    """(head without the empty line, bytes behind it)."""
    buf = b""
    while b"\r\n\r\n" not in buf:
        try:
            b = sock.recv(65536)
        except socket.timeout:
            raise Failure("no answer; so far %s" % show(buf)) from None
        except ConnectionResetError:
            raise Failure("RST instead of an answer") from None
        if not b:
            raise Failure("EOF instead of an answer; so far %s" % show(buf))
        buf += b
    head, rest = buf.split(b"\r\n\r\n", 1)
    return head, rest


def read_response(sock, proxied=False):
    """An answer that ends with the connection (a RST is a failure).

    proxied: or by its Content-Length, as a proxy in between may have it.
    """
    head, body = read_head(sock)
    if head.startswith(b"HTTP/1.1 101 "):
        raise Failure("%s: upgraded instead of answered" %
                      head.split(b"\r\n")[0])
    length = Response(head, b"").header("Content-Length")
    while not (proxied and length and len(body) >= int(length)):
        try:
            b = sock.recv(65536)
        except socket.timeout:
            raise Failure("%s: the connection was not closed" %
                          head.split(b"\r\n")[0]) from None
        except ConnectionResetError:
            raise Failure("%s: RST behind the answer" %
                          head.split(b"\r\n")[0]) from None
        if not b:
            break
        body += b
    return Response(head, body)


def http(port, req, seconds=10, proxied=False):
    """Send bytes, read the answer up to EOF."""
    if isinstance(req, str):
        req = req.encode("latin-1")
    s = connect(port, seconds)
    try:
        s.sendall(req)
        return read_response(s, proxied)
    finally:
        s.close()


def refusal(port, req, seconds=10):
    """As http(), for requests that must not be upgraded."""
    r = http(port, req, seconds)
    if r.status == 101:
        raise Failure("upgraded instead of refused")
    return r


class Frame:
    def __init__(self, fin, rsv, op, masked, payload):
        self.fin, self.rsv, self.op = fin, rsv, op
        self.masked, self.payload = masked, payload

    def __repr__(self):
        return "<frame op=%d fin=%d %s>" % (self.op, self.fin,
                                            show(self.payload, 60))


class WS:
    """One end of an open WebSocket.  client: we mask, the peer must not."""

    def __init__(self, sock, client, rest=b"", response=None, head=None):
        self.sock, self.client = sock, client
        self.buf = bytearray(rest)
        self.response = response        # Response (client)
        self.head = head                # request head (server), bytes
        self.pings = []                 # payloads of Pings that came
        self.pongs = []
        self.answer = True              # answer Pings

    # -- out --

    def send(self, op, payload=b"", **kw):
        kw.setdefault("mask", True if self.client else None)
        self.raw(frame(op, payload, **kw))

    def raw(self, b):
        self.sock.sendall(b)

    def binary(self, payload, **kw):
        self.send(BINARY, payload, **kw)

    def text(self, payload, **kw):
        self.send(TEXT, payload.encode() if isinstance(payload, str)
                  else payload, **kw)

    def ping(self, payload=b""):
        self.send(PING, payload)

    def close(self, code=1000, reason=""):
        """Send a Close; code None: an empty one."""
        self.send(CLOSE, close_payload(code, reason))

    # -- in --

    def _fill(self, n):
        while len(self.buf) < n:
            try:
                b = self.sock.recv(262144)
            except socket.timeout:
                raise Failure("no frame came; %d bytes of one so far" %
                              len(self.buf)) from None
            except ConnectionResetError:
                raise Failure("RST instead of a frame") from None
            if not b:
                raise Failure("EOF instead of a frame; %d bytes of one "
                              "so far" % len(self.buf))
            self.buf += b

    def frame(self):
        """The next frame, whatever it is; its form is checked."""
        self._fill(2)
        b0, b1 = self.buf[0], self.buf[1]
        n, pos = b1 & 0x7f, 2
        if n == 126:
            self._fill(4)
            n, pos = struct.unpack_from("!H", self.buf, 2)[0], 4
            if n < 126:
                raise Failure("length not minimal: %d" % n)
        elif n == 127:
            self._fill(10)
            n, pos = struct.unpack_from("!Q", self.buf, 2)[0], 10
            if n < 65536:
                raise Failure("length not minimal: %d" % n)
        masked = bool(b1 & 0x80)
        mask = b""
        if masked:
            self._fill(pos + 4)
            mask = bytes(self.buf[pos:pos + 4])
            pos += 4
        self._fill(pos + n)
        payload = bytes(self.buf[pos:pos + n])
        del self.buf[:pos + n]
        if masked:
            payload = xor(payload, mask)
        f = Frame(bool(b0 & 0x80), b0 >> 4 & 7, b0 & 15, masked, payload)
        f.mask = mask
        if masked == self.client:
            raise Failure("masked the wrong way: %r" % f)
        if f.rsv:
            raise Failure("reserved bits set: %r" % f)
        if f.op >= 8 and (not f.fin or n > 125):
            raise Failure("bad control frame: %r" % f)
        return f

    def next(self):
        """The next frame that is neither Ping nor Pong."""
        while True:
            f = self.frame()
            if f.op == PING:
                self.pings.append(f.payload)
                if self.answer:
                    self.send(PONG, f.payload)
            elif f.op == PONG:
                self.pongs.append(f.payload)
            else:
                return f

    def message(self):
        """(opcode, content) of the next message."""
        f = self.next()
        if f.op not in (TEXT, BINARY):
            if f.op == CLOSE:
                raise Failure("Close %s instead of a message" %
                              (parse_close(f.payload),))
            raise Failure("a message cannot begin with %r" % f)
        op, parts = f.op, [f.payload]
        while not f.fin:
            f = self.next()
            if f.op != CONT:
                raise Failure("inside a message: %r" % f)
            parts.append(f.payload)
        return op, b"".join(parts)

    def recv(self, n):
        """Exactly n bytes of binary payload, whatever the messages."""
        parts, left = [], n
        while left > 0:
            op, b = self.message()
            if op != BINARY:
                raise Failure("opcode %d, want binary" % op)
            parts.append(b)
            left -= len(b)
        got = b"".join(parts)
        if left:
            raise Failure("%d bytes too many: %s" % (-left,
                                                     show(got[left:])))
        return got

    def until_close(self):
        """(all payload up to the Close, code, reason)."""
        parts = []
        while True:
            f = self.next()
            if f.op == CLOSE:
                code, reason = parse_close(f.payload)
                return b"".join(parts), code, reason
            parts.append(f.payload)

    def expect_close(self, code, reason=None, answer=True):
        """The next thing is this Close; then the end of the connection.

        answer: send ours back (False: it went out before).
        """
        got, c, r = self.until_close()
        if got:
            raise Failure("%d bytes before the Close" % len(got))
        eq(c, code, "Close code (reason %r)" % r)
        if reason is not None:
            eq(r, reason, "Close reason")
        if answer:
            try:
                self.close(code)
            except OSError:
                pass
        if self.client:
            self.expect_eof()
        return r

    def expect_pong(self, payload):
        while payload not in self.pongs:
            f = self.frame()
            if f.op == PONG:
                self.pongs.append(f.payload)
            elif f.op != PING:
                raise Failure("%r instead of a Pong" % f)

    def expect_eof(self):
        """Nothing more but the end of the TCP stream, without RST."""
        if self.buf:
            raise Failure("behind the Close: %s" % show(bytes(self.buf)))
        try:
            b = self.sock.recv(65536)
        except socket.timeout:
            raise Failure("the connection was not closed") from None
        except ConnectionResetError:
            raise Failure("RST instead of FIN at the end") from None
        if b:
            raise Failure("behind the Close: %s" % show(b))
        self.sock.close()

    def echo_check(self, payload):
        """Through a TCP echo target and back."""
        self.binary(payload)
        got = self.recv(len(payload))
        if got != payload:
            raise Failure("payload came back changed")

    def fin(self):
        """TCP FIN in our direction, without a Close."""
        self.sock.shutdown(socket.SHUT_WR)


def parse_close(payload):
    """(code or None, reason)."""
    if not payload:
        return None, ""
    if len(payload) == 1:
        raise Failure("a Close of one byte")
    return struct.unpack("!H", payload[:2])[0], payload[2:].decode()


def ws_connect(port, path="/", protocols=None, origin=None, headers=(),
               host="127.0.0.1", early=b"", seconds=10, rcvbuf=None,
               mss=None, expect=True):
    """Open a WebSocket; everything of the answer is checked.

    early: bytes sent right behind the request, in the same write.
    rcvbuf, mss: what the socket gets before it connects; small segments keep
    the kernel from buffering megabytes on loopback.
    """
    key = base64.b64encode(os.urandom(16)).decode()
    req = upgrade(path, host=host, key=key, protocols=protocols,
                  origin=origin, headers=headers)
    if rcvbuf:
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        if mss:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, mss)
        s.settimeout(seconds)
        s.connect(("127.0.0.1", port) if isinstance(port, int) else port)
    else:
        s = connect(port, seconds)
    try:
        s.sendall(req + early)
        head, rest = read_head(s)
        r = Response(head, rest)
        if r.status != 101:
            raise Failure("no upgrade: %s %s" % (r.line, show(rest)))
        if expect:
            check_101(r, key, protocols)
    except Exception:
        s.close()
        raise
    return WS(s, True, rest, response=r)


def check_101(r, key, protocols):
    eq(r.header("Upgrade").lower(), "websocket", "Upgrade")
    eq(r.header("Connection").lower(), "upgrade", "Connection")
    eq(r.header("Sec-WebSocket-Accept"), accept_for(key), "Accept")
    eq(r.header("Sec-WebSocket-Extensions"), None, "extensions")
    got = r.header("Sec-WebSocket-Protocol")
    if got is not None:
        offered = [p.strip() for p in (protocols or "").split(",")]
        if got not in offered:
            raise Failure("subprotocol %r was never offered" % got)


def request_fields(head):
    """[(lower-case name, value)] of a request head."""
    out = []
    for line in head.decode("latin-1").split("\r\n")[1:]:
        k, v = line.split(":", 1)
        out.append((k.lower(), v.strip()))
    return out


def ws_accept(sock, protocol=None, status="101 Switching Protocols",
              headers=(), accept=None, early=b""):
    """The server's side of the handshake, for what our forward connects to.

    protocol: what is echoed (None: nothing).  Returns a WS.
    """
    head, rest = read_head(sock)
    fields = dict(request_fields(head))
    key = fields.get("sec-websocket-key", "")
    lines = ["HTTP/1.1 " + status, "Upgrade: websocket",
             "Connection: Upgrade",
             "Sec-WebSocket-Accept: " + (accept or accept_for(key))]
    if protocol is not None:
        lines.append("Sec-WebSocket-Protocol: " + protocol)
    lines += ["%s: %s" % h for h in headers]
    sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode() + early)
    return WS(sock, False, rest, head=head)
