#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""The application at one end of a session, which the matrix kills.

victim.py tcp|ws FD send N seeds...     send for ever (ws: in one frame)
victim.py tcp|ws FD whole N ...         send N bytes, in whole frames
victim.py tcp|ws FD receive N ...       read N bytes, confirm that with
                                        ACK bytes, and read no more
victim.py lib 0 send|whole|receive ...  the same as python3-websockets server

"ready" on stdout: the thing has been done, and the kernel of the next hop has
acknowledged what was sent; receive: and more lies unread.
"""
import asyncio
import os
import signal
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                ".."))
sys.dont_write_bytecode = True

from lib.harness import wait_until  # noqa: E402
from lib.wsraw import BINARY, WS, frame  # noqa: E402
from matrix.ends import CHUNK, TcpEnd, Stream, inq, outq  # noqa: E402
from matrix.ends import WsEnd  # noqa: E402

ACK = 1000
GIANT = 32 << 20


def ready():
    print("ready", flush=True)


def on_socket(kind, fd, mode, n, seeds):
    sock = socket.socket(fileno=fd)
    args = list(seeds) + [3600, n if mode == "receive" else 0]
    if kind == "tcp":
        end = TcpEnd(sock, *args)
    else:
        end = WsEnd(WS(sock, True), False, *args)
    if mode == "send":
        if kind == "ws":
            end.push(frame(BINARY, mask=b"\0\0\0\0", length=1 << 40), 3600)
        ready()
        while True:
            end.sent += end.push(end.out.at(end.sent, CHUNK), 3600)
    if mode == "whole":
        end.send(n)
    else:
        end.wait_count(n)
        end.send(ACK)
        wait_until(lambda: inq(sock) > 0, "unread data", 3600)
    end.settle()
    ready()
    signal.pause()


def library(mode, n, seeds):
    import websockets
    out = Stream(seeds[0])

    async def handler(ws, path=None):
        sock = ws.transport.get_extra_info("socket")

        async def until(fn):
            while not fn():
                await asyncio.sleep(0.01)
        if mode == "send":
            ready()
            await ws.send(out.at(0, Stream.SIZE) * (GIANT // Stream.SIZE))
        elif mode == "whole":
            for off in range(0, n, CHUNK):
                await ws.send(out.at(off, CHUNK))
            await until(lambda: outq(sock) == 0)
            ready()
        else:
            got = 0
            while got < n:
                got += len(await ws.recv())
            await ws.send(out.at(0, ACK))
            # It reads ahead until its own queue is full.
            await until(lambda: not ws.transport.is_reading() and
                        inq(sock) > 0 and outq(sock) == 0)
            ready()
        await asyncio.Event().wait()

    async def main():
        async with websockets.serve(handler, "127.0.0.1", 0, max_size=None,
                                    ping_interval=None,
                                    subprotocols=["binary"]) as s:
            print(s.sockets[0].getsockname()[1], flush=True)
            await asyncio.Event().wait()
    asyncio.run(main())


def main():
    kind, fd, mode, n = sys.argv[1:5]
    if kind == "lib":
        library(mode, int(n), sys.argv[5:])
    else:
        on_socket(kind, int(fd), mode, int(n), sys.argv[5:])


if __name__ == "__main__":
    main()
