# SPDX-License-Identifier: ISC
"""Logs: formats, rotation, and that a bad log never hurts a session."""
import ctypes
import json
import os
import re
import signal
import socket
import subprocess
import threading

from lib import procs
from lib.daemon import gateway, server
from lib.harness import Skip, eq, has, needs_root, ok, smoke, stays, \
    timeout, wait_until
from lib.peers import echo
from lib.wsraw import request, upgrade

ECHO = '\tlocation "/echo" { echo }\n' \
    '\tlocation "/metrics" { metrics allow from { 127.0.0.0/8 } }\n'
KEYS = ["time", "level", "process", "worker", "session", "event", "server",
        "location", "user", "client", "peer", "target", "x-forwarded-for",
        "bytes-in", "bytes-out", "duration", "state", "reason", "code"]
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


def one_session(t, d):
    w = t.ws(d.port(), "/echo")
    w.echo_check(b"hello")
    w.close(1000)
    w.expect_close(1000, answer=False)
    return w


def dropped(t, d):
    body = t.http(d.port(), request("/metrics")).body.decode()
    m = re.search(r"^tunneld_log_dropped_total (\d+)$", body, re.M)
    return int(m.group(1))


@smoke
def test_json(t):
    d = t.daemon(server(ECHO))
    one_session(t, d)
    o, c = d.wait_log("open"), d.wait_log("close")
    for r in d.logs():
        ok(re.fullmatch(TIME, r["time"]), r["time"])
        for k in ("level", "process", "event"):
            ok(r.get(k), "%s in %s" % (k, r))
    eq(o["session"], c["session"])
    eq((c["bytes-in"], c["bytes-out"], c["state"][0], c["reason"]),
       (5, 5, "-", "closed"))
    ok(isinstance(c["duration"], float), c["duration"])
    eq(c["process"], "relay")
    ok(d.wait_log("ready") and d.wait_log("listen"), "")
    d.stop()
    eq(len(d.logs("stop")), 1)


def test_key_names(t):
    """Keys of interface.md by those names; none contradicts them."""
    d = t.daemon(server("\ttrusted-proxies { 127.0.0.1 }\n" + ECHO +
                        gateway(t.port_refused())))
    w = t.ws(d.port(), "/ws", headers=[("X-Forwarded-For", "203.0.113.4")])
    w.expect_close(1011)
    t.http(d.port(), upgrade("/none"))
    d.wait_log("close")
    d.wait_log("refuse")
    seen = set(k for r in d.logs() for k in r)
    for k in KEYS:
        if k not in ("user", "worker"):
            ok(k in seen, "no record has %s: %s" % (k, sorted(seen)))
    for k in seen:
        ok(re.fullmatch(r"[a-z]+(-[a-z]+)*", k), "key %r" % k)


def text_lines(d):
    try:
        with open(d.log_path) as f:
            return f.read().split("\n")
    except FileNotFoundError:
        return []


@smoke
def test_text(t):
    d = t.daemon('log to "%s" format text\n' % t.path("d1.log") +
                 server(ECHO))
    one_session(t, d)
    [line] = wait_until(lambda: [x for x in text_lines(d)
                                 if re.search(r"\bclose\b", x)], "close")
    has(line, "127.0.0.1")
    ok(line.isascii(), line)


def test_pretty(t):
    d = t.daemon('log to "%s" format pretty\n' % t.path("d1.log") +
                 server(ECHO))
    one_session(t, d)
    wait_until(lambda: [x for x in text_lines(d) if "close" in x], "close")


def test_stderr(t):
    """-d without "log to": everything on stderr."""
    d = t.daemon("log to stderr format json\n" + server(ECHO))
    d.log_path = d.err_path
    one_session(t, d)
    d.wait_log("close")


def test_hostile_strings(t):
    """A stranger's bytes cannot forge a line or a terminal sequence."""
    for fmt in ("text", "pretty", "json"):
        path = t.path(fmt + ".log")
        d = t.daemon('log to "%s" format %s\n' % (path, fmt) + server(
            "\ttrusted-proxies { 127.0.0.1 }\n" + ECHO), name=fmt)
        for xff in ("a\"b\\c", "x y=z", "\xe4\xff\xfe", "'`$(id)%s%n",
                    "[31mred"):
            w = t.ws(d.port(), "/echo", headers=[("X-Forwarded-For", xff)])
            w.close(1000)
            w.expect_close(1000, answer=False)
        t.http(d.port(), upgrade("/%1b%5b31m%0aopen%0a"))
        d.stop()
        with open(path, "rb") as f:
            b = f.read()
        if fmt != "pretty":
            ok(b"\x1b" not in b, fmt + ": an escape in the log")
        ok(b"\x1b[31m" not in b or fmt == "pretty", "colour of a stranger")
        ok(not re.search(rb"^\W*open\W*$", b, re.M), fmt + ": a forged line")
        b = re.sub(rb"\x1b\[[0-9;]*m", b" ", b)
        ok(len(re.findall(rb'[" ]close[" ]', b)) >= 5, fmt + ": records")


@smoke
def test_dev_full(t):
    """A full disk: sessions go on, every lost record is counted."""
    d = t.daemon("log to \"/dev/full\" format json\n" + server(ECHO))
    for _ in range(5):
        one_session(t, d)
    wait_until(lambda: dropped(t, d) >= 10, "dropped records counted")


@needs_root
def test_small_tmpfs(t):
    """A file system that runs full and gets room again."""
    libc = ctypes.CDLL(None, use_errno=True)
    mnt = t.path("mnt")
    os.mkdir(mnt)
    if libc.mount(b"tmpfs", mnt.encode(), b"tmpfs", 0, b"size=32k") != 0:
        raise Skip("no tmpfs here: %s" % os.strerror(ctypes.get_errno()))
    t.defer(libc.umount2, mnt.encode(), 2)
    path = os.path.join(mnt, "log")
    d = t.daemon('log to "%s" format json\n' % path + server(ECHO))
    d.log_path = t.path("copy")
    wait_until(lambda: (one_session(t, d), dropped(t, d))[1], "a full disk")
    with open(path, "w"):
        pass                    # the operator makes room

    def told():
        one_session(t, d)
        with open(path, "rb") as f:
            b = f.read()
        return b"log-dropped" in b and b'"close"' in b
    wait_until(told, "lines again, and how many were lost")
    with open(path, "rb") as f:
        for line in f.read().lstrip(b"\0").split(b"\n")[1:-1]:
            json.loads(line)    # no torn line but perhaps the first
    d.stop()


@smoke
def test_rotation_by_size(t):
    path = t.path("r.log")
    d = t.daemon('log to "%s" format json size 4K keep 3\n' % path +
                 server(ECHO))
    d.log_path = path

    def files():
        return sorted(n for n in os.listdir(t.tmp) if n.startswith("r.log"))
    n = 0
    while len(files()) < 4 and n < 300:
        one_session(t, d)
        n += 1
    for _ in range(40):
        one_session(t, d)
    wait_until(lambda: files() == ["r.log", "r.log.1", "r.log.2",
                                   "r.log.3"], "three old files")
    d.log_path = t.path("none")         # it is in pieces
    seen = 0
    for name in files():
        size = os.path.getsize(t.path(name))
        ok(size < 8192, "%s has %d bytes" % (name, size))
        with open(t.path(name)) as f:
            for line in f:
                json.loads(line)
                seen += 1
    ok(seen > 20, "%d lines" % seen)
    eq(dropped(t, d), 0, "no line lost by rotation")


def test_rotation_keep_0(t):
    path = t.path("r.log")
    d = t.daemon('log to "%s" format json size 4K keep 0\n' % path +
                 server(ECHO))
    d.log_path = t.path("none")
    for _ in range(60):
        one_session(t, d)
    eq(sorted(n for n in os.listdir(t.tmp) if n.startswith("r.log")),
       ["r.log"])
    ok(os.path.getsize(path) < 8192, "size")


def test_rotation_by_age(t):
    path = t.path("r.log")
    d = t.daemon('log to "%s" format json age 1s keep 2\n' % path +
                 server(ECHO))
    d.log_path = t.path("none")

    def rotated():
        one_session(t, d)
        return os.path.exists(path + ".1")
    wait_until(rotated, "rotation by age", 10, 0.1)


@smoke
def test_reopen(t):
    """SIGUSR1: what logrotate needs."""
    d = t.daemon(server(ECHO))
    one_session(t, d)
    d.wait_log("close")
    os.rename(d.log_path, t.path("old"))
    procs.kill(d.pid, signal.SIGUSR1)
    wait_until(lambda: os.path.exists(d.log_path), "a new file")
    one_session(t, d)
    d.wait_log("close")
    with open(t.path("old")) as f:
        eq(f.read().count('"close"'), 1, "close records in the old file")


def test_symlink_is_refused(t):
    """O_NOFOLLOW: who may write the directory cannot lead us elsewhere."""
    t.write("victim", "precious\n")
    os.symlink(t.path("victim"), t.path("l.log"))
    conf = t.write("x.conf", ('user "nobody"\n' if t.root else "") +
                   'control off\nlog to "%s"\n' % t.path("l.log") +
                   server(ECHO))
    rc, out, err = t.run([t.tunneld, "-d", "-f", conf])
    eq(rc, 1)
    has(err, "l.log")
    with open(t.path("victim")) as f:
        eq(f.read(), "precious\n")


# ---- syslog -------------------------------------------------------------

class Syslog:
    """A stub of /dev/log."""

    def __init__(self, t, path):
        self.path = path
        self.lines = []
        self.sock = None
        self.t = t
        self.up()
        t.defer(self.down)

    def up(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(self.path)
        os.chmod(self.path, 0o777)
        s = self.sock

        def loop():
            while True:
                try:
                    b = s.recv(65536)
                except OSError:
                    return
                if not b:
                    return
                self.lines.append(b.decode("utf-8", "replace"))
        self.th = threading.Thread(target=loop, daemon=True)
        self.th.start()

    def down(self):
        if self.sock:
            try:
                self.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            self.th.join(5)
            self.sock.close()
            self.sock = None
            os.unlink(self.path)

    def wait(self, word, n=1):
        wait_until(lambda: len([x for x in self.lines if word in x]) >= n,
                   "%s in syslog: %s" % (word, self.lines[-3:]))


@smoke
def test_syslog(t):
    log = Syslog(t, t.path("log.sock"))
    d = t.daemon('log to syslog "%s"\n' % log.path + server(ECHO))
    one_session(t, d)
    log.wait("close")
    line = [x for x in log.lines if "close" in x][0]
    # <facility 3 (daemon) * 8 + severity>, then "tunneld".
    m = re.match(r"<(\d+)>", line)
    eq(int(m.group(1)) >> 3, 3, "facility of %s" % line)
    has(line, "tunneld")
    ok("\n" not in line.rstrip("\n") and "\0" not in line, repr(line))


def test_syslog_vanishes(t):
    """syslogd restarts: sessions go on, and lines come again."""
    log = Syslog(t, t.path("log.sock"))
    d = t.daemon('log to syslog "%s"\n' % log.path + server(ECHO))
    one_session(t, d)
    log.wait("close")
    log.down()
    for _ in range(20):
        one_session(t, d)
    stays(lambda: d.p.poll() is None, "running", 0.2)
    log.lines.clear()
    log.up()

    def again():
        one_session(t, d)
        return [x for x in log.lines if "close" in x]
    wait_until(again, "syslog again", 15, 0.2)


def test_syslog_missing_at_start(t):
    """No syslogd yet is no reason to fail or to stop."""
    d = t.daemon('log to syslog "%s"\n' % t.path("none.sock") + server(ECHO))
    one_session(t, d)
    ok(d.p.poll() is None, "running")


def test_syslog_missing_after_reload(t):
    """A reload to a syslogd that is not there yet: done, with a warning,
    and the lines come when it comes."""
    d = t.daemon(server(ECHO))
    one_session(t, d)
    first = d.log_path
    path = t.path("log.sock")
    d.reload('log to syslog "%s"\n' % path + server(ECHO))
    one_session(t, d)
    log = Syslog(t, path)

    def again():
        one_session(t, d)
        return [x for x in log.lines if "close" in x]
    wait_until(again, "syslog", 20 * t.slow, 0.2)
    # It is written to the old place or, a moment later, kept for the new.
    with open(first, encoding="utf-8") as f:
        has(f.read() + "".join(log.lines), path + ": No such file",
            "the warning")
    # What has no place any more is closed: the file can be removed.
    if t.root:
        for pid in [d.pid] + d.children():
            ok(first not in files(pid), "%d still has %s" % (pid, first))


def files(pid):
    """What its descriptors are."""
    out = []
    for n in os.listdir("/proc/%d/fd" % pid):
        try:
            out.append(os.readlink("/proc/%d/fd/%s" % (pid, n)))
        except FileNotFoundError:
            pass
    return out


@timeout(90)
def test_syslog_stuck(t):
    """A syslogd that does not read never blocks a session."""
    path = t.path("log.sock")
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.bind(path)
    os.chmod(path, 0o777)
    t.defer(s.close)
    d = t.daemon('log to syslog "%s"\n' % path + server(ECHO))
    for _ in range(100):
        one_session(t, d)
    eq(d.health()["status"], "ok")


def test_stderr_pipe_stuck(t):
    """The same for a stderr that nobody reads, and one that is gone."""
    r, w = os.pipe()
    conf = t.write("p.conf", ('user "nobody"\n' if t.root else "") +
                   'control socket "%s"\nprefork 1\ngrace 1s\n'
                   "log to stderr format json\nlog level debug\n" %
                   t.path("p.sock") + server(ECHO))
    p = subprocess.Popen([t.tunneld, "-d", "-f", conf], stderr=w,
                         stdin=subprocess.DEVNULL, start_new_session=True)
    t.defer(t.end, p)
    os.close(w)

    def port():
        rc, out, err = t.run([t.tunnelctl, "-s", t.path("p.sock"), "-j",
                              "show", "listeners"])
        return rc == 0 and json.loads(out)["listeners"][0]["port"]
    p1 = wait_until(port, "the daemon", 10, 0.05)

    class D:
        @staticmethod
        def port():
            return p1
    for _ in range(300):
        one_session(t, D)
    os.close(r)
    for _ in range(20):
        one_session(t, D)
    ok(p.poll() is None, "running")
    p.terminate()
    eq(p.wait(10), 0)


def test_one_open_one_close(t):
    """Of every session, whatever its end; refusals are no sessions."""
    e = t.serve(echo)
    d = t.daemon(server(ECHO + gateway(e.port)))
    p = d.port()
    for i in range(30):
        w = t.ws(p, "/ws" if i % 2 else "/echo")
        w.binary(b"x")
        if i % 3 == 0:
            w.close(1000)
        elif i % 3 == 1:
            w.raw(b"\xff\xff")
        w.sock.close()
    t.http(p, upgrade("/none"))
    d.wait_sessions(0)
    d.stop()
    eq((len(d.logs("open")), len(d.logs("close"))), (30, 30))
