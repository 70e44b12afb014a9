#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""dnsstub.py: a name server for tests: UDP and TCP on one loopback port.

    dnsstub.py [--address ADDR] [--port N] [--log FILE] ZONE.json

ZONE.json ("-": stdin) maps lower-case names to what is answered:

    {"a.test": {"A": ["127.0.0.1"], "AAAA": ["::1"]},
     "alias.test": {"CNAME": "a.test"},
     "bad.test": {"rcode": "SERVFAIL"},
     "slow.test": {"A": ["127.0.0.1"], "delay": 0.5},
     "late6.test": {"A": [...], "AAAA": [...], "delay-AAAA": 0.2},
     "mute.test": {"drop": true}, "mute6.test": {"A": [...], "drop": "AAAA"},
     "big.test": {"A": [...], "truncate": true}}

Other names do not exist (NXDOMAIN); a type that a name lacks is an empty
answer.  "truncate" sets TC over UDP, so that the whole is asked by TCP.
"rcode-A" and "rcode-AAAA" hold for one type, as "delay-..." do.  The port is
printed as a line when the server is ready.  --log appends a line
`udp|tcp TYPE NAME' for each question.  It ends by a signal, or when a pipe
that is its stdin is closed.

Or from Python:

    with DnsStub({"a.test": {"A": ["127.0.0.1"]}}) as dns:
        ... dns.port, dns.questions ...
"""

import argparse
import ipaddress
import json
import os
import select
import socket
import stat
import struct
import sys
import threading
import time

TYPES = {"A": 1, "CNAME": 5, "AAAA": 28}
NAMES = {v: k for k, v in TYPES.items()}
RCODES = {"NOERROR": 0, "FORMERR": 1, "SERVFAIL": 2, "NXDOMAIN": 3,
          "NOTIMP": 4, "REFUSED": 5}
FLAG_QR, FLAG_TC, FLAG_RD, FLAG_RA = 0x8000, 0x0200, 0x0100, 0x0080
CNAME_DEPTH = 8


def encode_name(name):
    out = b""
    for label in name.split("."):
        raw = label.encode("ascii")
        out += bytes([len(raw)]) + raw
    return out + b"\0"


def decode_question(query):
    """(name, type, bytes of the question) of a query with one question."""
    if len(query) < 12 or struct.unpack("!H", query[4:6])[0] != 1:
        raise ValueError("not one question")
    pos, labels = 12, []
    while True:
        length = query[pos]
        pos += 1
        if length == 0:
            break
        if length > 63:
            raise ValueError("compressed question")
        labels.append(query[pos:pos + length].decode("ascii"))
        pos += length
    qtype, _ = struct.unpack("!HH", query[pos:pos + 4])
    return ".".join(labels).lower(), qtype, query[12:pos + 4]


def record(name, kind, data):
    return encode_name(name) + struct.pack(
        "!HHIH", TYPES[kind], 1, 60, len(data)) + data


class DnsStub:
    def __init__(self, zone, address="127.0.0.1", port=0, log=None):
        self.zone = zone
        self.log = log
        self.questions = []
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.udp, self.tcp = self._bind(family, address, port)
        self.port = self.udp.getsockname()[1]
        self.clients = {}
        self.later = []         # (when, send, answer)
        self.wake = socket.socketpair()
        self.thread = None

    @staticmethod
    def _bind(family, address, port):
        for _ in range(50):
            udp = socket.socket(family, socket.SOCK_DGRAM)
            tcp = socket.socket(family, socket.SOCK_STREAM)
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            udp.bind((address, port))
            try:
                tcp.bind((address, udp.getsockname()[1]))
                tcp.listen(16)
                return udp, tcp
            except OSError:
                udp.close()
                tcp.close()
                if port:
                    raise
        raise OSError("no port that is free for UDP and TCP")

    def __enter__(self):
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.wake[1].send(b"x")
        if self.thread:
            self.thread.join(5)

    def value(self, entry, key, kind):
        return entry.get(key + "-" + kind, entry.get(key))

    def answers(self, name, kind):
        """(rcode, records): follows CNAMEs inside the zone."""
        out = []
        for _ in range(CNAME_DEPTH):
            entry = self.zone.get(name)
            if entry is None:
                return RCODES["NXDOMAIN"], out
            rcode = self.value(entry, "rcode", kind)
            if rcode:
                return RCODES[rcode], out
            if "CNAME" not in entry:
                break
            out.append(record(name, "CNAME", encode_name(entry["CNAME"])))
            name = entry["CNAME"]
        for text in entry.get(kind, []):
            out.append(record(name, kind, ipaddress.ip_address(text).packed))
        return 0, out

    def answer(self, query, proto):
        """(delay, bytes), or None for no answer at all."""
        name, qtype, question = decode_question(query)
        kind = NAMES.get(qtype, str(qtype))
        self.questions.append((proto, kind, name))
        if self.log:
            with open(self.log, "a", encoding="ascii") as f:
                f.write("%s %s %s\n" % (proto, kind, name))
        entry = self.zone.get(name, {})
        drop = entry.get("drop")
        if drop is True or drop == kind:
            return None
        rcode, records = self.answers(name, kind)
        flags = FLAG_QR | FLAG_RD | FLAG_RA | rcode
        if proto == "udp" and entry.get("truncate"):
            flags |= FLAG_TC
            records = []
        out = query[:2] + struct.pack("!HHHHH", flags, 1, len(records), 0, 0)
        delay = float(self.value(entry, "delay", kind) or 0)
        return delay, out + question + b"".join(records)

    def reply(self, query, proto, send):
        try:
            got = self.answer(query, proto)
        except (ValueError, IndexError, struct.error, UnicodeDecodeError):
            return
        if got is None:
            return
        delay, out = got
        if delay:
            self.later.append((time.monotonic() + delay, send, out))
        else:
            self.send(send, out)

    @staticmethod
    def send(send, out):
        try:
            send(out)
        except OSError:
            pass                # the asker has gone

    def read_udp(self):
        query, peer = self.udp.recvfrom(4096)
        self.reply(query, "udp", lambda out: self.udp.sendto(out, peer))

    def read_tcp(self, client):
        try:
            data = client.recv(4096)
        except OSError:
            data = b""
        if not data:
            del self.clients[client]
            client.close()
            return
        buf = self.clients[client] + data
        while len(buf) >= 2:
            length = struct.unpack("!H", buf[:2])[0]
            if len(buf) < 2 + length:
                break
            query, buf = buf[2:2 + length], buf[2 + length:]
            self.reply(query, "tcp", lambda out: client.sendall(
                struct.pack("!H", len(out)) + out))
        self.clients[client] = buf

    def run(self):
        try:
            while self.turn():
                pass
        finally:
            for s in [self.udp, self.tcp, *self.clients, *self.wake]:
                s.close()

    def turn(self):
        now = time.monotonic()
        for item in [i for i in self.later if i[0] <= now]:
            self.later.remove(item)
            self.send(item[1], item[2])
        wait = min([i[0] for i in self.later], default=now + 60) - now
        ready, _, _ = select.select(
            [self.udp, self.tcp, self.wake[0], *self.clients], [], [],
            max(wait, 0))
        for s in ready:
            if s is self.wake[0]:
                return False
            if s is self.udp:
                self.read_udp()
            elif s is self.tcp:
                self.clients[self.tcp.accept()[0]] = b""
            else:
                self.read_tcp(s)
        return True


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--address", default="127.0.0.1")
    p.add_argument("--port", type=int, default=0)
    p.add_argument("--log")
    p.add_argument("zone")
    a = p.parse_args()
    if a.zone == "-":
        zone = json.load(sys.stdin)
    else:
        with open(a.zone, encoding="utf-8") as f:
            zone = json.load(f)
    stub = DnsStub(zone, a.address, a.port, a.log)
    if a.zone != "-" and stat.S_ISFIFO(os.fstat(0).st_mode):
        # A parent that dies closes our stdin: nothing is left behind.
        threading.Thread(
            target=lambda: (sys.stdin.buffer.read(), stub.stop()),
            daemon=True).start()
    print(stub.port, flush=True)
    try:
        stub.run()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
