# SPDX-License-Identifier: ISC
"""The columns of the close-order matrix: what stands between both ends.

gateway     raw client that offers "binary" -> gateway -> TCP target
gateway-v1  raw client that offers "tunneld.tcp.v1" -> gateway -> TCP target
tunneld     TCP client -> forward -> gateway -> TCP target
websockify  TCP client -> forward -> Debian's websockify -> TCP target
websockets  TCP client -> forward -> python3-websockets, which is the target

Each cell has a location, a forward and a target of its own, so that log
records can be told apart and cells may run side by side.
"""
import os
import queue
import socket
import subprocess

from lib.daemon import forward, gateway, server
from lib.foreign import wait_port, websockets_server
from lib.harness import Failure, wait_until
from lib.peers import SMALL, BlackHole
from matrix.ends import LibEnd, TcpEnd, WsEnd

HERE = os.path.dirname(os.path.abspath(__file__))
VICTIM = os.path.join(HERE, "victim.py")


class Pair:
    """The open session of one cell: what the test holds of it."""

    def __init__(self, bench, name):
        self.bench, self.name = bench, name
        self.client = self.target = None
        self.child = None               # the end that is a process

    def other(self, side):
        return self.client if side == "target" else self.target

    def end(self, side):
        return self.target if side == "target" else self.client

    def logs(self):
        """[what the forward's, what the gateway's close record says]."""
        out = []
        for d, key in ((self.bench.forward, "target"),
                       (self.bench.gateway, "location")):
            if d is None:
                continue
            r = d.wait_close(key, self.name)
            out.append("%s %s %s" % (r["state"], r["reason"],
                                     r.get("code", "-")))
        return out


class Watched:
    """A daemon whose close records are found by a cell's name."""

    def __init__(self, t, d):
        self.t, self.d = t, d

    def wait_close(self, key, name):
        def found():
            return [r for r in self.d.logs("close")
                    if r.get(key, "").endswith(name)]
        return wait_until(found, "close record of %s in %s" % (
            name, self.d.log_path), 12 * self.t.slow, 0.05)[0]


class Bench:
    """The daemons of one column, and how a cell's session is opened.

    cells: {name: {"target": "tcp" | "refuse" | "hole" | "child:MODE" (a
    process from the start), "size": of that, "child": the side that becomes a
    process, "small": the side with a small receive buffer, "forward": its
    options, "lib": options of the python3-websockets server}}
    """

    def __init__(self, t, column, cells, top=""):
        self.t, self.column, self.cells = t, column, cells
        self.gateway = self.forward = None
        self.targets, self.libs, self.arrived = {}, {}, {}
        self.ports = {}
        for name, c in cells.items():
            self.make_target(name, c)
        if column.startswith("websockify"):
            url = self.websockify()
        elif column.startswith("websockets"):
            url = None
        else:
            g = t.daemon(top + server("".join(
                gateway(self.ports[n], path="/" + n) + "\n" for n in cells)),
                name="gate-" + column)
            self.gport = g.port()
            self.gateway = Watched(t, g)
            url = "ws://127.0.0.1:%d/%%s" % self.gport
        if column.startswith("gateway"):
            return
        d = t.daemon(top + "".join(
            forward(url % n if url else "ws://127.0.0.1:%d/%s" % (
                self.ports[n], n), extra=c.get("forward", ""))
            for n, c in cells.items()), name="fwd-" + column)
        self.forward = Watched(t, d)
        self.fports = dict(zip(cells, (li["port"]
                                       for li in d.listeners("forward"))))

    # -- targets --

    def make_target(self, name, c):
        t, how = self.t, c["target"]
        if how == "refuse":
            self.ports[name] = t.port_refused()
        elif how == "hole":
            h = BlackHole()
            t.defer(h.close)
            self.ports[name] = h.port
        elif self.column.startswith("websockets"):
            self.lib_target(name, c, how)
        else:
            li = t.listen(seconds=10 * t.slow, rcvbuf=SMALL
                          if c.get("small") == "target" else None)
            self.targets[name] = li
            self.ports[name] = li.port

    def lib_target(self, name, c, how):
        if how.startswith("child:"):
            p = self.victim("lib", 0, how[6:], c["size"], name, "target")
            self.libs[name] = p
            self.ports[name] = int(p.stdout.readline())
            return
        came = self.arrived[name] = queue.Queue()

        async def handler(ws, path=None):
            import asyncio
            end = LibEnd(ws, asyncio.get_running_loop(),
                         *self.seeds(name, "target"), 15 * self.t.slow)
            came.put(end)
            await end.serve()
        self.ports[name] = websockets_server(
            self.t, handler, subprotocols=["binary"], **c.get("lib", {}))

    def websockify(self):
        t = self.t
        tokens = t.write("tokens", "".join(
            "%s: 127.0.0.1:%d\n" % (n, self.ports[n]) for n in self.cells))
        port = t.port_free()
        t.spawn(["/usr/bin/websockify", "--token-plugin", "TokenFile",
                 "--token-source", tokens, "127.0.0.1:%d" % port],
                log="websockify.out")
        wait_port(port, "websockify")
        return "ws://127.0.0.1:%d/?token=%%s" % port

    @staticmethod
    def seeds(name, side):
        """Seeds of what this side sends and reads."""
        up, down = name + " up", name + " down"
        return (up, down) if side == "client" else (down, up)

    # -- sessions --

    def open(self, name, wait=True):
        """A Pair; wait: for the target's end too."""
        c, t = self.cells[name], self.t
        seconds = 15 * t.slow
        p = Pair(self, name)
        small = SMALL if c.get("small") == "client" else None
        args = self.seeds(name, "client") + (seconds,)
        if self.column.startswith("gateway"):
            v1 = self.column == "gateway-v1"
            w = t.ws(self.gport, "/" + name, rcvbuf=small,
                     protocols="tunneld.tcp.v1" if v1 else "binary")
            p.client = WsEnd(w, v1, *args, read=c.get("child") != "client")
        else:
            s = t.socket(socket.socket())
            if small:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, small)
            s.settimeout(seconds)
            try:
                s.connect(("127.0.0.1", self.fports[name]))
            except ConnectionResetError:
                return p                # accepted, and reset already
            p.client = TcpEnd(s, *args, read=c.get("child") != "client")
        if not wait or name in self.libs:
            p.child = self.libs.get(name)
            return p
        if name in self.arrived:
            p.target = self.arrived[name].get(timeout=seconds)
            t.defer(p.target.close)
        else:
            p.target = TcpEnd(self.targets[name].accept(),
                              *self.seeds(name, "target"), seconds,
                              read=c.get("child") != "target")
        return p

    def victim(self, kind, fd, mode, size, name, side):
        return self.t.spawn(
            ["/usr/bin/python3", VICTIM, kind, str(fd), mode, str(size)] +
            list(self.seeds(name, side)), pass_fds=(fd,) if fd else (),
            stdout=subprocess.PIPE)

    def give_away(self, p, side, mode, size):
        """From now on this end is a process of its own."""
        if p.child:
            return
        end = p.end(side)
        if end.count or end.seen:
            raise Failure("too late to give this end away")
        fd = end.release()
        os.set_blocking(fd, True)
        p.child = self.victim(end.kind, fd, mode, size, p.name, side)
        os.close(fd)
