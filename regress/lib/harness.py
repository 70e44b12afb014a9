# SPDX-License-Identifier: ISC
"""What a test function gets: t, and the few words it is written with.

A test is a function test_NAME(t) in regress/DIR/test_*.py and is called
DIR/NAME.  Each runs in a process of its own with its own short directory
t.tmp; whatever it starts is ended when it returns, and what does not end is
a failure.  Nothing sleeps: wait_until() polls with a deadline.
"""
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import time

from . import procs

KINDS = ("plain", "asan", "leak", "smoke", "probe")
# How long what must come is waited for.  Less, where it is known not to come:
# regress/planted.
PATIENCE = float(os.environ.get("PATIENCE") or 10)


class Failure(AssertionError):
    """The test is red."""


class Skip(Exception):
    """The test cannot run here; the reason must stand in regress/skips."""


# ---- decorators ---------------------------------------------------------

def timeout(seconds):
    """The test may take so long (default: 60)."""
    def mark(fn):
        fn.timeout = seconds
        return fn
    return mark


def kinds(*which):
    """The test belongs to these kinds of run only."""
    assert all(k in KINDS for k in which)

    def mark(fn):
        fn.kinds = which
        return fn
    return mark


def smoke(fn):
    """The test is also part of the short run."""
    fn.smoke = True
    return fn


def alone(fn):
    """Nothing else runs beside it: it measures time or memory."""
    fn.alone = True
    return fn


def needs_root(fn):
    fn.needs = getattr(fn, "needs", ()) + ("root",)
    return fn


def needs_user(fn):
    fn.needs = getattr(fn, "needs", ()) + ("user",)
    return fn


def needs_tool(*names):
    """Programs, by name; sbin directories are searched too."""
    def mark(fn):
        fn.tools = getattr(fn, "tools", ()) + names
        return fn
    return mark


def tool(name):
    """Full path of a program, or None."""
    return shutil.which(name, path=os.environ.get("PATH", "") +
                        ":/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin")


# ---- assertions and waiting ---------------------------------------------

def show(value, limit=400):
    text = repr(value)
    return text if len(text) <= limit else text[:limit] + "... (cut)"


def eq(got, want, what=""):
    if got != want:
        raise Failure("%s: got %s, want %s" %
                      (what or "value", show(got), show(want)))


def ok(cond, what):
    if not cond:
        raise Failure(what)


def has(text, part, what=""):
    if part not in text:
        raise Failure("%s: %s is not in %s" %
                      (what or "text", show(part), show(text, 1500)))


def pause(seconds):
    """Only inside polling loops."""
    select.select([], [], [], seconds)


def wait_until(fn, what, seconds=PATIENCE, step=0.01):
    """Poll fn until it returns something true; that is the result."""
    end = time.monotonic() + seconds
    while True:
        value = fn()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure("not within %.1f s: %s" % (seconds, what))
        pause(step)


def stays(fn, what, seconds):
    """fn must stay true for so long: for things that must not happen."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        ok(fn(), "did not stay so: " + what)
        pause(0.02)


def data(seed, size):
    """size bytes that only this seed makes."""
    return random.Random(seed).randbytes(size)


# ---- t ------------------------------------------------------------------

class T:
    """One running test."""

    def __init__(self, name, tmp, kind, top, objdir):
        self.name = name
        self.tmp = tmp
        self.kind = kind
        self.top = top                  # the source tree
        self.objdir = objdir
        self.tunneld = os.path.join(objdir, "tunneld/tunneld")
        self.tunnelctl = os.path.join(objdir, "tunnelctl/tunnelctl")
        self.root = os.getuid() == 0
        self.slow = 4 if kind in ("asan", "leak") else 1
        self.daemons = []
        self.logs = []                  # files shown when the test fails
        self.failed = False
        self._defer = []
        self._socks = []                # closed before daemons are stopped
        self._count = 0

    # -- life --

    def defer(self, fn, *args):
        """Call fn at the end, last come first served."""
        self._defer.append((fn, args))

    def socket(self, s):
        """A connection of the test's: closed before any daemon is stopped."""
        self._socks.append(s)
        return s

    def finish(self):
        """Undo everything; the first error counts."""
        first = None
        for s in self._socks:
            s.close()
        while self._defer:
            fn, args = self._defer.pop()
            try:
                fn(*args)
            except Exception as e:      # all the others must still be run
                self.failed = True
                first = first or e
        left = self._leftovers()
        if left and first is None:
            first = Failure("left running: " + "; ".join(left))
        if first:
            raise first

    def _leftovers(self):
        end = time.monotonic() + 2.0
        while True:
            procs.reap()
            pids = procs.descendants(os.getpid())
            if not pids:
                return []
            if time.monotonic() > end:
                break
            pause(0.02)
        names = ["%d %s" % (p, procs.title(p) or "?") for p in pids]
        for p in pids:
            procs.kill(p)
        wait_until(lambda: (procs.reap(), not procs.descendants(os.getpid())
                            )[1], "killed leftovers to go", 5)
        return names

    def path(self, name):
        return os.path.join(self.tmp, name)

    def write(self, name, text, mode=0o644):
        """A file in the test's directory; returns its path."""
        path = self.path(name)
        with open(path, "wb") as f:
            f.write(text if isinstance(text, bytes) else text.encode())
        os.chmod(path, mode)
        return path

    def public(self, program):
        """A copy that every user reaches: the tree may lie below /root."""
        copy = self.path(os.path.basename(program))
        shutil.copy(program, copy)
        os.chmod(copy, 0o755)
        return copy

    def unique(self, stem):
        self._count += 1
        return "%s%d" % (stem, self._count)

    # -- processes --

    def spawn(self, argv, log=None, **kw):
        """Start a program in a process group of its own; ended at the end."""
        if log:
            path = self.path(log)
            self.logs.append(path)
            kw["stdout"] = kw["stderr"] = open(path, "ab")
        kw.setdefault("stdin", subprocess.DEVNULL)
        p = subprocess.Popen(argv, start_new_session=True, **kw)
        if log:
            kw["stdout"].close()
        self.defer(self.end, p)
        return p

    def end(self, p, sig=signal.SIGTERM, seconds=5):
        """End a process started by spawn() and its group."""
        if p.poll() is None:
            try:
                os.killpg(p.pid, sig)
                p.wait(seconds)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                pass
        try:
            os.killpg(p.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        if p.poll() is None:
            p.wait(seconds)
        for f in (p.stdin, p.stdout, p.stderr):
            if f:
                f.close()

    def run(self, argv, seconds=3 * PATIENCE, code=None, stdin=b"", **kw):
        """Run a program to its end: (exit code, stdout, stderr) as text."""
        if isinstance(stdin, str):
            stdin = stdin.encode()
        r = subprocess.run(argv, input=stdin, timeout=seconds * self.slow,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           **kw)
        out = r.stdout.decode("utf-8", "replace")
        err = r.stderr.decode("utf-8", "replace")
        if code is not None and r.returncode != code:
            raise Failure("%s: exit %s, want %s\nstdout: %s\nstderr: %s" % (
                " ".join(argv[:6]), r.returncode, code, show(out, 1500),
                show(err, 1500)))
        return r.returncode, out, err

    # -- the things nearly every test needs --

    def daemon(self, conf, **kw):
        """A started tunneld; see daemon.py."""
        from .daemon import Daemon
        d = Daemon(self, conf, **kw)
        d.start()
        return d

    def listen(self, **kw):
        """A TCP (or unix=PATH) listener; see peers.py."""
        from .peers import Listener
        li = Listener(taken=self.socket, **kw)
        self.defer(li.close)
        return li

    def serve(self, handler, **kw):
        """A listener whose connections handler(sock) serves in threads."""
        from .peers import Server
        s = Server(handler, **kw)
        self.defer(s.close)
        return s

    def connect(self, addr, seconds=PATIENCE):
        """A TCP (addr: port or (host, port)) or UNIX (path) connection."""
        from .peers import connect
        return self.socket(connect(addr, seconds * self.slow))

    def ws(self, port, path="/", **kw):
        """An open WebSocket to a gateway; see wsraw.py."""
        from .wsraw import ws_connect
        kw.setdefault("seconds", PATIENCE * self.slow)
        w = ws_connect(port, path, **kw)
        self.socket(w.sock)
        return w

    def http(self, port, request, **kw):
        """Send bytes, read one HTTP answer up to EOF; see wsraw.py."""
        from .wsraw import http
        kw.setdefault("seconds", PATIENCE * self.slow)
        return http(port, request, **kw)

    def port_refused(self, host="127.0.0.1"):
        """A port that nobody listens on and nobody else can take."""
        fam = socket.AF_INET6 if ":" in host else socket.AF_INET
        s = socket.socket(fam, socket.SOCK_STREAM)
        s.bind((host, 0))
        self.defer(s.close)
        return s.getsockname()[1]

    def port_free(self):
        """A port that was free a moment ago; only for foreign programs."""
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            return s.getsockname()[1]
