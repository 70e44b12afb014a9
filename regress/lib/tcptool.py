#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Small TCP things for shell scripts.

tcptool.py digest           serve: read up to FIN, answer "LENGTH SHA256"
tcptool.py file PATH        serve: send the file, then FIN
        both print their port on stdout, then serve until they are ended
tcptool.py pipe WHERE       stdin to WHERE (a port of 127.0.0.1 or the path
                            of a UNIX socket), what comes back to stdout;
                            the end of stdin is a half-close
"""
import hashlib
import os
import socket
import sys
import threading


def serve(handler):
    li = socket.socket()
    li.bind(("127.0.0.1", 0))
    li.listen(64)
    print(li.getsockname()[1], flush=True)
    while True:
        c, _ = li.accept()
        threading.Thread(target=one, args=(handler, c), daemon=True).start()


def one(handler, c):
    try:
        handler(c)
    except OSError:
        pass
    finally:
        c.close()


def digest(c):
    h, n = hashlib.sha256(), 0
    while True:
        b = c.recv(65536)
        if not b:
            break
        h.update(b)
        n += len(b)
    c.sendall(b"%d %s\n" % (n, h.hexdigest().encode()))


def send_file(path):
    def handler(c):
        with open(path, "rb") as f:
            c.sendfile(f)
        c.shutdown(socket.SHUT_WR)
        while c.recv(65536):
            pass
    return handler


def pipe(where):
    if where.isdigit():
        s = socket.create_connection(("127.0.0.1", int(where)), 10)
    else:
        s = socket.socket(socket.AF_UNIX)
        s.connect(where)
    s.settimeout(None)

    def up():
        while True:
            b = os.read(0, 65536)
            if not b:
                break
            s.sendall(b)
        s.shutdown(socket.SHUT_WR)
    threading.Thread(target=up, daemon=True).start()
    while True:
        b = s.recv(65536)
        if not b:
            return
        while b:
            b = b[os.write(1, b):]


def main(args):
    if args == ["digest"]:
        serve(digest)
    elif len(args) == 2 and args[0] == "file":
        serve(send_file(args[1]))
    elif len(args) == 2 and args[0] == "pipe":
        pipe(args[1])
    else:
        sys.stderr.write(__doc__)
        return 2
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (OSError, KeyboardInterrupt) as e:
        sys.exit("tcptool: %s" % e)
