# SPDX-License-Identifier: ISC
"""One tunneld under test: written configuration, start until READY, questions
through tunnelctl, and an end that checks what must always hold."""
import json
import os
import re
import signal
import socket
import subprocess
import time

from . import procs
from .harness import PATIENCE, Failure, eq, pause, show, wait_until

USER = "nobody"         # root's tests: everybody has this user
REPORTS = ("AddressSanitizer", "LeakSanitizer", "runtime error:",
           "UndefinedBehaviorSanitizer", "MemorySanitizer")


def has_statement(conf, words):
    return re.search(r"^\s*" + words.replace(" ", r"\s+") + r"\b", conf,
                     re.M) is not None


class Daemon:
    """conf: configuration text without the parts every test needs.

    Added unless written: user and chroot (root), prefork 2, grace 2s, control
    socket, log to a JSON file in the test's directory, level verbose.
    as_user: root's test starts it as this user id, which t.tmp then belongs
    to.
    """

    def __init__(self, t, conf, name=None, args=(), env=None, bare=False,
                 debug=True, as_user=None):
        self.t = t
        self.as_user = as_user
        self.root = t.root and as_user is None
        if as_user is not None:
            os.chown(t.tmp, as_user, as_user)
            self.program = t.public(t.tunneld)
        self.name = name or t.unique("d")
        self.args = list(args)
        self.env = dict(os.environ, **(env or {}))
        # Asking the terminal for colours is more than the sandbox allows.
        self.env["ASAN_OPTIONS"] = ":".join(
            filter(None, [self.env.get("ASAN_OPTIONS"), "color=never"]))
        self.bare = bare                # the text is complete as it is
        self.debug = debug              # -d; else it detaches
        self.conf_path = t.path(self.name + ".conf")
        self.sock = t.path(self.name + ".sock")
        self.log_path = t.path(self.name + ".log")
        self.err_path = t.path(self.name + ".err")
        self.empty = t.path("empty")
        self.p = None
        self.pid = None
        self.notify = None
        self.told = []                  # what came to NOTIFY_SOCKET
        self.expect_exits = False       # the test kills workers
        self.expect_violations = False  # the test provokes them
        self.expect_code = 0
        self.stopped = False
        self.write(conf)
        t.daemons.append(self)
        t.logs += [self.err_path, self.log_path]

    # -- configuration --

    def text(self, conf):
        """conf with the parts every test needs."""
        if self.bare:
            return conf
        add = []
        if self.root:
            if not has_statement(conf, "user"):
                add.append('user "%s"' % USER)
            if not has_statement(conf, "chroot"):
                if not os.path.isdir(self.empty):
                    os.mkdir(self.empty, 0o755)
                add.append('chroot "%s"' % self.empty)
        for words, line in (
                ("prefork", "prefork 2"), ("grace", "grace 2s"),
                ("control", 'control socket "%s"' % self.sock),
                ("log to", 'log to "%s" format json' % self.log_path),
                ("log level", "log level verbose")):
            if not has_statement(conf, words):
                add.append(line)
        return "\n".join(add) + "\n" + conf

    def write(self, conf):
        with open(self.conf_path, "w") as f:
            f.write(self.text(conf))

    # -- life --

    def argv(self):
        a = [self.t.tunneld]
        if self.as_user is not None:
            a = ["/usr/bin/setpriv", "--reuid=%d" % self.as_user,
                 "--regid=%d" % self.as_user, "--clear-groups",
                 "--inh-caps=-all", self.program]
        if self.debug:
            a.append("-d")
        return a + ["-f", self.conf_path] + self.args

    def launch(self):
        """Start it, without waiting."""
        path = self.t.path(self.name + ".notify")
        if os.path.exists(path):
            os.unlink(path)
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(path)
        os.chmod(path, 0o777)           # the daemon may be another user
        self.env["NOTIFY_SOCKET"] = path
        with open(self.err_path, "ab") as err:
            self.p = subprocess.Popen(
                self.argv(), stdin=subprocess.DEVNULL, stdout=err,
                stderr=err, env=self.env, start_new_session=True)
        self.pid = self.p.pid
        self.stopped = False
        self.t.defer(self._cleanup)

    def start(self):
        self.launch()
        self.wait_ready()
        return self

    def told_so(self, word, seconds=10):
        """Wait until word came to NOTIFY_SOCKET."""
        end = time.monotonic() + seconds * self.t.slow
        while True:
            for m in self.told:
                if word in m.split("\n"):
                    return m
            self.notify.settimeout(0.05)
            try:
                self.told.append(self.notify.recv(4096).decode())
                continue
            except socket.timeout:
                pass
            if self.debug and self.p.poll() is not None:
                raise Failure("tunneld ended with %s before %s: %s" % (
                    self.p.returncode, word, show(self.stderr(), 2000)))
            if time.monotonic() > end:
                raise Failure("no %s: %s" % (word,
                                             show(self.stderr(), 2000)))

    def wait_ready(self, seconds=10):
        self.told_so("READY=1", seconds)

    def _cleanup(self):
        try:
            if not self.stopped and not self.t.failed:
                self.stop()
        finally:
            if self.p.poll() is None or not self.stopped:
                self.destroy()
            self.notify.close()

    def destroy(self):
        """No questions: end it and its children."""
        self.stopped = True
        kids = self.children()
        for p in [self.pid] + kids:
            procs.kill(p)
        if self.p.poll() is None:
            self.p.wait(10)
        wait_until(lambda: (procs.reap(), not any(map(procs.alive, kids)))[1],
                   "killed workers to go", 5)

    def children(self):
        return procs.children(self.pid)

    def stop(self, sig=signal.SIGTERM, seconds=15):
        """Orderly end: exit code, no child left, nothing odd in the logs."""
        kids = self.children()
        self.stopped = True
        if self.p.poll() is not None:
            raise Failure("tunneld was gone already, exit %s: %s" % (
                self.p.returncode, show(self.stderr(), 2000)))
        procs.kill(self.pid, sig)
        self.wait_end(seconds, kids)

    def wait_end(self, seconds=15, kids=()):
        """The parent ends by itself now; then as stop()."""
        self.stopped = True
        try:
            code = self.p.wait(seconds * self.t.slow)
        except subprocess.TimeoutExpired:
            who = ["%d %s" % (p, procs.title(p)) for p in kids
                   if procs.alive(p)]
            self.destroy()
            raise Failure("tunneld did not end; children: %s" % who) from None
        eq(code, self.expect_code, "exit code of tunneld")
        self.gone(kids, 1.0 * self.t.slow)
        self.check()

    def gone(self, kids, seconds):
        """All these processes are gone in time."""
        try:
            wait_until(lambda: (procs.reap(),
                                not any(map(procs.alive, kids)))[1],
                       "children to end", seconds)
        except Failure:
            left = ["%d %s" % (p, procs.title(p)) for p in kids
                    if procs.alive(p)]
            for p in kids:
                procs.kill(p)
            raise Failure("children outlived the parent: %s" % left) from None

    def check(self):
        """What must hold at the end of every daemon."""
        if self.report():
            raise Failure("sanitizer report")   # shown by the runner
        log = self.logs()
        bad = [r for r in log if r.get("event") == "sandbox-violation"]
        if bad and not self.expect_violations:
            raise Failure("sandbox violation: %s" % bad[0])
        if self.expect_exits:
            return
        bad = [r for r in log if r.get("event") == "worker-exit" and
               r.get("level") in ("error", "warn")]
        if bad:
            raise Failure("a worker died: %s" % bad[0])
        self.check_balance(log)

    def report(self):
        """What a sanitizer had to say, or None."""
        err = self.stderr()
        for word in REPORTS:
            if word in err:
                at = err.rfind("\n", 0, err.index(word)) + 1
                return err[at:at + 3000]
        return None

    def check_balance(self, log=None):
        """Exactly one open and one close per session."""
        count = {}
        for r in self.logs() if log is None else log:
            if r.get("event") in ("open", "close") and r.get("session"):
                c = count.setdefault(r["session"], {"open": 0, "close": 0})
                c[r["event"]] += 1
        for sid, c in count.items():
            if c != {"open": 1, "close": 1}:
                raise Failure("session %s in the log: %s" % (sid, c))

    def stderr(self):
        try:
            with open(self.err_path, errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    # -- the log --

    def logs(self, event=None, **match):
        """Records of the JSON log; keys with "_" stand for "-"."""
        out = []
        try:
            with open(self.log_path, "rb") as f:
                text = f.read()
        except FileNotFoundError:
            return out
        for line in text.split(b"\n")[:-1]:
            try:
                r = json.loads(line)
            except ValueError:
                if line[:1] == b"{":
                    raise Failure("broken log line: %s" %
                                  show(line)) from None
                continue                # another format
            if event and r.get("event") != event:
                continue
            if all(r.get(k.replace("_", "-")) == v
                   for k, v in match.items()):
                out.append(r)
        return out

    def wait_log(self, event, seconds=PATIENCE, count=1, **match):
        """The count-th record that matches; waits for it."""
        try:
            return wait_until(lambda: self.logs(event, **match)[count - 1:],
                              "log", seconds * self.t.slow)[0]
        except Failure:
            raise Failure("no %s record with %s; there are: %s" % (
                event, match, show(self.logs(event), 2000))) from None

    # -- tunnelctl --

    def ctl(self, *words, code=0, flags=("-j",)):
        """tunnelctl -j WORDS; the JSON object it prints."""
        rc, out, err = self.t.run([self.t.tunnelctl, "-s", self.sock] +
                                  list(flags) + list(words))
        if code is not None and rc != code:
            raise Failure("tunnelctl %s: exit %d, want %d: %s%s" % (
                " ".join(words), rc, code, show(out), show(err)))
        if "-j" not in flags:
            return out
        if not out.strip():
            return None
        try:
            return json.loads(out)
        except ValueError:
            raise Failure("tunnelctl -j %s: no JSON: %s" %
                          (" ".join(words), show(out))) from None

    def text_of(self, *words, code=0):
        return self.ctl(*words, code=code, flags=())

    def sessions(self):
        return self.ctl("show", "sessions")["sessions"]

    def wait_sessions(self, n, seconds=PATIENCE):
        wait_until(lambda: len(self.sessions()) == n,
                   "%d sessions" % n, seconds * self.t.slow, 0.05)

    def workers(self, role=None):
        return [w for w in self.ctl("show", "workers")["workers"]
                if role is None or w["role"] == role]

    def listeners(self, kind=None):
        return [li for li in self.ctl("show", "listeners")["listeners"]
                if kind is None or li["type"] == kind]

    def port(self, name=None, kind="server", n=0):
        """The real port of a listener: by server's name, or the n-th."""
        found = [li for li in self.listeners(kind)
                 if name is None or li["name"] == name]
        if len(found) <= n:
            raise Failure("no listener %s: %s" % (name, found))
        return found[n]["port"]

    def forward_port(self, n=0):
        return self.port(kind="forward", n=n)

    def health(self):
        return self.ctl("show", "health")

    def stats(self):
        return self.ctl("show", "stats")

    def reload(self, conf=None, code=0):
        """Write conf and reload; what tunnelctl -j printed."""
        if conf is not None:
            self.write(conf)
        return self.ctl("reload", code=code)

    def kill_worker(self, role, n=0):
        """kill -9 one worker; waits until its successor is ready."""
        self.expect_exits = True
        w = [w for w in self.workers(role)][n]
        procs.kill(w["pid"])
        return w

    def wait_worker(self, role, old, seconds=10):
        """The successor of worker row old is ready."""
        def new():
            for w in self.ctl("show", "workers", code=None)["workers"]:
                if (w["role"], w["id"]) == (role, old["id"]) and \
                        w["pid"] != old["pid"] and w["state"] == "ready":
                    return w
            return None

        def quietly():
            try:
                return new()
            except (Failure, KeyError, TypeError):
                pause(0.05)             # control itself may be away
                return None
        return wait_until(quietly, "a new " + role, seconds * self.t.slow,
                          0.05)


def server(body, name="s", listen="127.0.0.1 port 0"):
    """A server block."""
    return 'server "%s" {\n\tlisten on %s\n%s\n}\n' % (name, listen, body)


def gateway(port, path="/ws", host="127.0.0.1", extra=""):
    """A location with one target."""
    return '\tlocation "%s" { forward to %s port %d %s }' % (
        path, host, port, extra)


def forward(url, listen="127.0.0.1 port 0", extra=""):
    return 'forward %s via "%s" %s\n' % (listen, url, extra)
