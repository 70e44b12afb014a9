# SPDX-License-Identifier: ISC
"""The systems under test: tunneld, and what others use for the same job.

Each is started for one test, with one target, by its best configuration for
one CPU, and without a log line per session where it can do without.
"""
import ctypes
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import time

from regress.lib import procs

PR_SET_PDEATHSIG = 1
SPLICE = """	option splice-request
	option splice-response
"""


class Broken(Exception):
    """A run that says nothing about speed."""


class Place:
    """Where and how things run: CPUs, directories, programs."""

    def __init__(self, top, objdir, tmp):
        self.top, self.objdir, self.tmp = top, objdir, tmp
        cpus = sorted(os.sched_getaffinity(0))
        self.cpu, self.load_cpu = cpus[0], cpus[-1]
        self.port = 8000
        self.libc = ctypes.CDLL(None)

    def free_port(self):
        """The namespace is ours alone, and clients' ports are higher."""
        self.port = 8000 + (self.port - 8000 + 1) % 2000
        return self.port

    def spawn(self, argv, cpu, **kw):
        def prepare():
            os.sched_setaffinity(0, {cpu})
            self.libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        return subprocess.Popen(argv, preexec_fn=prepare,
                                start_new_session=True, **kw)


def wait_port(port, alive, what, seconds=20):
    """Until something accepts there."""
    end = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 5).close()
            return
        except OSError as e:
            if not alive() or time.monotonic() > end:
                raise Broken("%s does not start: %s" % (what, e)) from None
        time.sleep(0.01)


class System:
    """name: in tables and JSON.  raw: spoken to by plain TCP."""
    package = None
    foreign = True              # its ends need not be orderly
    raw = False
    slow = False                # a process per connection, or like it

    def __init__(self, place):
        self.place = place
        self.roots = []         # the processes we started
        self.logs = []

    def available(self):
        return shutil.which(self.package) is not None

    def version(self):
        return ""

    def config(self):
        """One line: how it is set up."""
        return ""

    def url(self):
        return "%s://127.0.0.1:%d%s" % ("tcp" if self.raw else "ws",
                                        self.port, "" if self.raw else "/t")

    def file(self, name, text):
        path = os.path.join(self.place.tmp, "%s-%d-%s" % (
            self.name, self.port, name))
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, 0o644)
        return path

    def run(self, argv, port):
        path = self.file("out-%d" % port, "")
        self.logs.append(path)
        with open(path, "ab") as out:
            p = self.place.spawn(argv, self.place.cpu, stdout=out,
                                 stderr=out, stdin=subprocess.DEVNULL)
        self.roots.append(p)
        wait_port(port, lambda: p.poll() is None, "%s: %s" % (
            self.name, " ".join(argv)))

    def start(self, target):
        self.port = self.place.free_port()
        self.launch(target)

    def pids(self):
        out = []
        for p in self.roots:
            out += [p.pid] + procs.descendants(p.pid)
        return out

    def healthy(self):
        """Nothing died on the way; the reason otherwise."""
        for p in self.roots:
            if p.poll() is not None:
                return "it ended with %s" % p.returncode
        return None

    def stop(self):
        kids = self.pids()
        for p in self.roots:
            p.terminate()
        for p in self.roots:
            try:
                p.wait(10)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
        end = time.monotonic() + 5
        while any(map(procs.alive, kids)):
            if time.monotonic() > end:
                for k in kids:
                    procs.kill(k)
            procs.reap()
            time.sleep(0.01)
        self.roots = []


class Direct(System):
    """No tunnel at all: what the load tool itself can do."""
    name, raw = "direct", True
    foreign = False

    def available(self):
        return True

    def config(self):
        return "no tunnel: the load tool's own limit"

    def start(self, target):
        self.port = target


class Tunneld(System):
    foreign = False
    prefork = 1

    def available(self):
        return os.access(self.program("tunneld"), os.X_OK)

    def program(self, name):
        return os.path.join(self.place.objdir, name, name)

    def version(self):
        out = subprocess.run([self.program("tunneld"), "-V"],
                             capture_output=True, text=True)
        return (out.stdout + out.stderr).strip()

    def config(self):
        return ("prefork %d; message max 256K (default 32K); sandbox on; log "
                "level brief to /dev/null (not quite off: lines are still "
                "made)" % self.prefork)

    def head(self, port, prefork):
        lines = []
        if os.getuid() == 0:
            empty = os.path.join(self.place.tmp, "empty")
            os.makedirs(empty, 0o755, exist_ok=True)
            lines += ['user "nobody"', 'chroot "%s"' % empty]
        sock = os.path.join(self.place.tmp, "ctl-%d" % port)
        lines += ["prefork %d" % prefork, "grace 1s",
                  'control socket "%s"' % sock, 'log to "/dev/null"',
                  "log level brief"]
        return "\n".join(lines) + "\n", sock

    def daemon(self, port, text, prefork):
        head, sock = self.head(port, prefork)
        conf = self.file("conf-%d" % port, head + text)
        self.run([self.program("tunneld"), "-d", "-f", conf], port)
        end = time.monotonic() + 20
        while not self.sandboxed(sock, prefork):
            if time.monotonic() > end:
                raise Broken("tunneld: no relays in a sandbox")
            time.sleep(0.01)

    def sandboxed(self, sock, prefork):
        """All relays say that they are."""
        out = subprocess.run([self.program("tunnelctl"), "-j", "-s", sock,
                              "show", "workers"], capture_output=True,
                             text=True)
        if out.returncode != 0:
            return False
        return prefork == sum(
            1 for w in json.loads(out.stdout)["workers"]
            if w["role"] == "relay" and w["sandbox"]["seccomp"])

    def gateway(self, port, target):
        self.daemon(port, """server "bench" {
	listen on 127.0.0.1 port %d
	max-sessions off
	location "/t" { forward to 127.0.0.1 port %d message max 256K }
}
""" % (port, target), self.prefork)

    def launch(self, target):
        self.gateway(self.port, target)


class Gateway(Tunneld):
    name = "gateway"


class Gateway4(Tunneld):
    name, prefork = "gateway-4", 4


class Forward(Tunneld):
    """Two daemons: a local port, a WebSocket, a gateway."""
    name, raw = "forward+gateway", True

    def launch(self, target):
        inner = self.place.free_port()
        self.gateway(inner, target)
        self.daemon(self.port, 'forward 127.0.0.1 port %d via '
                    '"ws://127.0.0.1:%d/t"\n' % (self.port, inner),
                    self.prefork)


class Haproxy(System):
    name, raw, package = "haproxy", True, "haproxy"
    tune = options = ""
    hops = 1
    # It wants two descriptors for each, and some for pipes.
    maxconn = (resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 500) // 3

    def version(self):
        out = subprocess.run(["haproxy", "-v"], capture_output=True,
                             text=True)
        return out.stdout.split("\n")[0]

    def config(self):
        words = (self.tune + self.options).replace("\n", "; ")
        return "%smode tcp; nbthread 1; no log; %s" % (
            "%d hops; " % self.hops if self.hops > 1 else "",
            " ".join(words.split()) or "all else by default")

    def hop(self, port, target):
        conf = self.file("conf-%d" % port, """global
	nbthread 1
	maxconn %d
%sdefaults
	mode tcp
	timeout connect 10s
	timeout client 1h
	timeout server 1h
%slisten bench
	bind 127.0.0.1:%d
	server target 127.0.0.1:%d
""" % (self.maxconn, self.tune, self.options, port, target))
        self.run(["haproxy", "-db", "-q", "-f", conf], port)

    def launch(self, target):
        ports = [self.place.free_port() for _ in range(self.hops - 1)]
        for port in ports:
            self.hop(port, target)
            target = port
        self.hop(self.port, target)


class HaproxySplice(Haproxy):
    name = "haproxy-splice"
    tune = "\ttune.pipesize 262144\n"
    options = SPLICE


class HaproxyBig(Haproxy):
    name = "haproxy-64k"
    tune = "\ttune.bufsize 65536\n"


class Haproxy2(Haproxy):
    name, hops = "haproxy-2-hops", 2


class Haproxy2Splice(HaproxySplice):
    name, hops = "haproxy-splice-2-hops", 2


class Websockify(System):
    name, package, slow = "websockify", "websockify", True

    def version(self):
        out = subprocess.run(["dpkg-query", "-W", "-f", "${Version}",
                              "websockify"], capture_output=True, text=True)
        return "websockify " + out.stdout

    def config(self):
        have = subprocess.run(["/usr/bin/python3", "-c", "import numpy"],
                              capture_output=True).returncode == 0
        return "a process per connection; numpy: %s; output to a file" % (
            "yes" if have else "no")

    def launch(self, target):
        self.run(["websockify", "127.0.0.1:%d" % self.port,
                  "127.0.0.1:%d" % target], self.port)


class Lighttpd(System):
    name, package = "lighttpd", "lighttpd"

    def available(self):
        return super().available() and os.path.exists(
            "/usr/lib/lighttpd/mod_wstunnel.so")

    def version(self):
        out = subprocess.run(["lighttpd", "-v"], capture_output=True,
                             text=True)
        return out.stdout.split("\n")[0].split(" - ")[0]

    def config(self):
        return ("mod_wstunnel; frame-type binary; one process; no access "
                "log")

    def launch(self, target):
        conf = self.file("conf", """
server.modules = ( "mod_wstunnel" )
server.document-root = "%s"
server.bind = "127.0.0.1"
server.port = %d
server.max-fds = 20000
server.max-connections = 9900
server.max-read-idle = 3600
server.max-write-idle = 3600
server.errorlog = "/dev/null"
wstunnel.server = ( "/t" => (( "host" => "127.0.0.1", "port" => %d )) )
wstunnel.frame-type = "binary"
wstunnel.ping-interval = 0
""" % (self.place.tmp, self.port, target))
        self.run(["lighttpd", "-D", "-f", conf], self.port)


ALL = (Gateway, Gateway4, Forward, HaproxySplice, Haproxy, HaproxyBig,
       Haproxy2Splice, Haproxy2, Lighttpd, Websockify, Direct)
