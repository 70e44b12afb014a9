# SPDX-License-Identifier: ISC
"""Programs of others that tests talk to."""
import asyncio
import socket
import threading

from .harness import ok, wait_until


def websockets_server(t, handler, **kw):
    """A python3-websockets server in a thread; its port."""
    import websockets
    loop = asyncio.new_event_loop()
    box, up, stop = [], threading.Event(), asyncio.Event()

    async def main():
        async with websockets.serve(handler, "127.0.0.1", 0, max_size=None,
                                    **kw) as s:
            box.append(s.sockets[0].getsockname()[1])
            up.set()
            await stop.wait()
    th = threading.Thread(target=loop.run_until_complete, args=(main(),),
                          daemon=True)
    th.start()
    ok(up.wait(10), "python3-websockets did not start")

    def end():
        loop.call_soon_threadsafe(stop.set)
        th.join(10)
    t.defer(end)
    return box[0]


async def ws_echo(ws, path=None):
    async for m in ws:
        await ws.send(m)


def answers(port, host="127.0.0.1"):
    """Does somebody listen there?"""
    try:
        socket.create_connection((host, port), 1).close()
        return True
    except OSError:
        return False


def wait_port(port, what, seconds=15):
    wait_until(lambda: answers(port), what, seconds)
