# SPDX-License-Identifier: ISC
"""Torture: children are killed and files reloaded, again and again, while
connections come and carry data.

SEED=N repeats the choices of a run.  Who may break is known exactly: before
each kill it is asked which relays carry which stream.
"""
import errno
import os
import random
import shutil
import signal
import socket
import threading
import time

from lib import procs
from lib.daemon import forward, gateway, server
from lib.harness import Failure, eq, has, ok, pause, timeout, \
    wait_until
from lib.peers import banner_echo, connect, echo, recv_exact
from lib.traffic import TcpEnd, WsEnd
from lib.wsraw import request, ws_connect

WINDOW = 11.0           # seconds; five deaths of a role in it are no alarm
DEATHS = 5
STREAMS = 4             # of each way in


def is_reset(e):
    """Did a connection end by RST, as TCP tells it?  shutdown() says of one
    that was reset before that it is not connected."""
    return isinstance(e, (ConnectionResetError, BrokenPipeError)) or \
        getattr(e, "errno", 0) == errno.ENOTCONN or "RST" in str(e)


class Stream(threading.Thread):
    """A long-lived connection to an echo that notes how it ended."""

    def __init__(self, way, end):
        super().__init__(daemon=True)
        self.way, self.end = way, end
        self.pids = set()               # of the relays that carry it
        self.rounds = 0
        self.error = None
        self.ending = threading.Event()

    def run(self):
        rnd = random.Random(id(self))
        try:
            while not self.ending.wait(0.05):
                want = rnd.randbytes(rnd.randrange(1, 3000))
                self.end.send(want)
                if self.end.recv(len(want)) != want:
                    raise Failure("bytes came back changed")
                self.rounds += 1
            self.end.finish()
        except (OSError, AssertionError) as e:
            self.error = e
        finally:
            self.end.sock.close()


class Knocker(threading.Thread):
    """New connections all the time; each must be served to its end, unless
    it is reset while one of kills() was killed."""

    def __init__(self, t, what, one, kills):
        super().__init__(daemon=True)
        self.what, self.one, self.kills = what, one, kills
        self.served = self.reset = 0
        self.longest = 0.0
        self.failures = []
        self.ending = threading.Event()
        t.defer(self.ending.set)
        self.start()

    def run(self):
        while not self.ending.wait(0.01):
            began = time.monotonic()
            try:
                self.one()
                self.served += 1
            except (OSError, AssertionError) as e:
                # A killed process is torn down a little later.
                if is_reset(e) and any(when > began - 1.0
                                       for when in list(self.kills)):
                    self.reset += 1
                else:
                    self.failures.append("%s: %r" % (self.what, e))
            self.longest = max(self.longest, time.monotonic() - began)

    def stop(self, seconds):
        self.ending.set()
        self.join(seconds)
        ok(not self.is_alive(), "%s: a connection hangs" % self.what)
        if self.failures:
            raise Failure("%d of %d connections failed: %s" % (
                len(self.failures), len(self.failures) + self.served,
                self.failures[:3]))
        ok(self.served > 0, "%s: nobody came through" % self.what)


class Victims:
    """One daemon, its children, and who was killed when."""

    def __init__(self, d):
        self.d = d
        self.deaths = {}                # role: times
        self.relay_kills = []           # times, read by knockers
        self.killed = 0

    def choose(self, rnd):
        """A random child whose role has not died too often lately."""
        now = time.monotonic()
        out = []
        for pid in self.d.children():
            words = procs.title(pid).split()
            if len(words) < 2 or words[0] != "tunneld:":
                continue                # not yet, or not any more
            times = self.deaths.get(words[1], [])
            if len(times) < DEATHS or now - times[-DEATHS] > WINDOW:
                out.append((words[1], pid))
        return rnd.choice(out) if out else None

    def kill(self, role, pid):
        now = time.monotonic()
        if role == "relay":
            self.relay_kills.append(now)
        if not procs.kill(pid):
            raise Failure("%s %d was gone already" % (role, pid))
        # Not to be chosen twice.
        wait_until(lambda: not procs.alive(pid), "a killed child to die", 20)
        self.deaths.setdefault(role, []).append(now)
        self.killed += 1


def ask(d, *words):
    """As d.ctl(), but control may just be away."""
    end = time.monotonic() + 20 * d.t.slow
    while True:
        try:
            return d.ctl(*words)[words[-1]]
        except Failure:
            if time.monotonic() > end:
                raise
            pause(0.05)


class Way:
    """A way in: how a stream of it is opened, and which daemons carry it,
    each told by the location or listener of its sessions."""

    def __init__(self, name, opener, path):
        self.name, self.opener = name, opener
        self.path = path                # [(Victims, key, value)]


class Torture:
    def __init__(self, t, ways):
        self.t, self.ways = t, ways
        self.streams = []
        self.seen = {}                  # id(Victims): ids of our sessions
        self.broken = 0
        t.defer(self.abandon)

    def open(self, way):
        """One more; its relays are those that have one session more."""
        s = Stream(way, way.opener())
        self.streams.append(s)
        s.start()
        wait_until(lambda: s.rounds > 0 or s.error, "a new stream",
                   20 * self.t.slow)
        if s.error:
            raise Failure("a new %s stream broke: %r" % (way.name, s.error))
        for v, key, value in way.path:
            s.pids.add(self.relay_of(v, key, value))

    def relay_of(self, v, key, value):
        seen = self.seen.setdefault((id(v), value), set())

        def new():
            rows = [r for r in ask(v.d, "show", "sessions")
                    if r[key] == value and r["id"] not in seen]
            return rows
        row = wait_until(new, "the new session", 10 * self.t.slow)
        eq(len(row), 1, "new sessions")
        seen.add(row[0]["id"])
        for w in ask(v.d, "show", "workers"):
            if w["role"] == "relay" and w["id"] == row[0]["worker"]:
                return w["pid"]
        raise Failure("no relay %s" % row[0]["worker"])

    def fill(self):
        for way in self.ways:
            have = sum(s.way is way for s in self.streams)
            for _ in range(STREAMS - have):
                self.open(way)

    def check(self, pid=None):
        """Exactly the streams of this relay end, and by RST."""
        mine = [s for s in self.streams if pid in s.pids]
        wait_until(lambda: all(s.error for s in mine),
                   "the streams of a killed relay to end",
                   10 * self.t.slow)
        for s in mine:
            if not is_reset(s.error):
                raise Failure("%s stream of a killed relay did not end by "
                              "RST: %r" % (s.way.name, s.error))
        self.streams = [s for s in self.streams if s not in mine]
        self.broken += len(mine)
        for s in self.streams:
            if s.error:
                raise Failure("%s stream, whose relays %s live, broke: %r" %
                              (s.way.name, sorted(s.pids), s.error))

    def go_on(self):
        """None is stuck."""
        mark = {s: s.rounds for s in self.streams}
        wait_until(lambda: all(s.error or s.rounds > n
                               for s, n in mark.items()),
                   "streams to go on", 20 * self.t.slow)

    def stop(self):
        self.go_on()
        for s in self.streams:
            s.ending.set()
        for s in self.streams:
            s.join(20 * self.t.slow)
            ok(not s.is_alive(), "a stream hangs")
        self.check()

    def abandon(self):
        for s in self.streams:
            s.ending.set()


def seed(t):
    n = int(os.environ.get("SEED") or random.randrange(1 << 32))
    print("SEED=%d" % n)                # in the output of a red test
    return random.Random(n)


# ---- reloads all the while ----------------------------------------------

class Reloader(threading.Thread):
    """Good and broken files in turn; a good one changes what it can."""

    def __init__(self, t, v, base, rnd, targets):
        super().__init__(daemon=True)
        self.t, self.d, self.base, self.rnd = t, v.d, base, rnd
        self.kills = v.relay_kills
        self.targets = targets          # (port, greeting)
        self.good = self.broken = self.again = 0
        self.error = None
        self.ending = threading.Event()
        t.defer(self.ending.set)
        self.start()

    def reload(self):
        """What tunnelctl says: (exit code, stderr)."""
        rc, _, err = self.t.run([self.t.tunnelctl, "-s", self.d.sock,
                                 "reload"])
        return rc, err

    def one_broken(self):
        """Not to be parsed, cut off, or not to be bound."""
        text = self.d.text(self.base(None))
        self.t.write(self.d.name + ".conf", self.rnd.choice((
            text + "nonsense\n", text[:len(text) // 2] + "{",
            text + server("\tlocation \"/x\" { echo }", name="taken",
                          listen="127.0.0.1 port %d" % self.targets[0][0]))))

    def one_good(self):
        """(what was added, which target): listeners come and go."""
        added = self.rnd.random() < 0.5
        target = self.rnd.choice(self.targets)
        conf = self.base(target[0])
        if added:
            conf += server('\tlocation "/added" { echo }', name="added")
        n = self.rnd.choice((2, 2, 3))
        self.d.write("prefork %d\n" % n + conf)
        return added, target

    def answered(self):
        """Reload until the answer arrives: control may die meanwhile."""
        for _ in range(50):
            rc, err = self.reload()
            if rc == 0 or "onnection" not in err and \
                    "another reload" not in err and "closed" not in err:
                return rc, err
            self.again += 1
            pause(0.05)
        raise Failure("no answer to a reload: %s" % err)

    def look(self, added, target):
        """What was just told to be done is done."""
        rows = ask(self.d, "show", "listeners")
        ports = [li["port"] for li in rows if li["name"] == "added"]
        eq(len(ports), int(added), "added listeners")
        for p in ports:
            self.try_it(knock_ws(p, "/added", self.t.slow))
        main = [li["port"] for li in rows if li["name"] == "s"][0]
        self.try_it(lambda: self.greeted(main, target[1]))

    def greeted(self, port, greeting):
        w = ws_connect(port, "/moved", seconds=20 * self.t.slow)
        try:
            eq(w.recv(len(greeting)), greeting, "target")
        finally:
            w.sock.close()

    def try_it(self, one):
        """Its relay may just be killed."""
        for _ in range(5):
            began = time.monotonic()
            try:
                one()
                return
            except (OSError, AssertionError) as e:
                if not is_reset(e) or not any(
                        when > began - 1.0 for when in list(self.kills)):
                    raise
        raise Failure("killed five times in a row?")

    def round(self):
        if self.rnd.random() < 0.5:
            self.one_broken()
            rc, err = self.answered()
            eq(rc, 1, "a broken file: %s" % err)
            has(err, self.d.conf_path, "the error")
            self.broken += 1
            return
        added, target = self.one_good()
        rc, err = self.answered()
        eq(rc, 0, "a good file: %s" % err)
        self.look(added, target)
        self.good += 1

    def run(self):
        try:
            while not self.ending.wait(0.1):
                self.round()
        except Exception as e:
            self.error = e

    def stop(self):
        self.ending.set()
        self.join(60 * self.t.slow)
        ok(not self.is_alive(), "a reload hangs")
        if self.error:
            raise Failure("reload %d: %s" % (self.good + self.broken,
                                             self.error))


# ---- what must be as before ---------------------------------------------

def descriptors(d):
    """{title: open descriptors}; those of a sandboxed child: only root.  A
    new relay gets fewer pipes while all daemons of its user hold many."""
    if d.t.root:
        return {procs.title(p): procs.descriptors(p, pipes=False)
                for p in [d.pid] + d.children()}
    return {"parent": procs.descriptors(d.pid)}


def at_rest(d):
    """Without sessions, all ready and nobody more."""
    wait_until(lambda: not ask(d, "show", "sessions"), "sessions to end",
               20 * d.t.slow, 0.1)
    wait_until(lambda: d.health()["status"] == "ok" and
               len(d.children()) == 4, "health ok", 30 * d.t.slow, 0.1)


def settled(d):
    """Their descriptors when nobody asks; clients of control are gone."""
    last = []

    def same():
        last.append(descriptors(d))
        return len(last) > 5 and all(x == last[-1] for x in last[-5:])
    wait_until(same, "descriptors to settle", 10 * d.t.slow, 0.05)
    return last[-1]


def no_growth(d, before, rss):
    now = settled(d)
    if now != before:
        raise Failure("descriptors of %s: %s before, %s now" % (
            d.name, before, now))
    now = procs.rss(d.pid)
    if d.t.kind == "plain":
        ok(now < rss + (2 << 20), "the parent grew from %d to %d" %
           (rss, now))


def knock_ws(port, path, slow):
    def one():
        w = ws_connect(port, path, seconds=20 * slow)
        try:
            w.echo_check(b"knock")
            w.close(1000)
            w.expect_close(1000, answer=False)
        finally:
            w.sock.close()
    return one


def knock_http(port, slow):
    def one():
        s = connect(port, 20 * slow)
        try:
            s.sendall(request("/none"))
            b = s.recv(4096)
            ok(b.startswith(b"HTTP/1.1 404"), "answer: %r" % b)
        finally:
            s.close()
    return one


def knock_tcp(port, slow):
    def one():
        s = connect(port, 20 * slow)
        try:
            s.sendall(b"knock")
            eq(recv_exact(s, 5), b"knock")
            s.shutdown(socket.SHUT_WR)
            eq(s.recv(1), b"")
        finally:
            s.close()
    return one


class Both:
    """Time stamps of several lists as one."""

    def __init__(self, *lists):
        self.lists = lists

    def __iter__(self):
        return iter([x for one in self.lists for x in list(one)])


def replace(exe):
    """As a package upgrade does: another file of the same name."""
    with open(exe + ".new", "w", encoding="ascii") as f:
        f.write("#!/bin/sh\nexit 1\n")
    os.chmod(exe + ".new", 0o755)
    os.rename(exe + ".new", exe)


def same_build(d):
    """All children run the file that the parent runs."""
    files = {os.stat("/proc/%d/exe" % p)[1:3] for p in
             [d.pid] + d.children()}
    eq(len(files), 1, "executables of %s" % d.name)


def house(t):
    """A server and two clients of it, with streams and knockers."""
    shutil.copy(t.tunneld, t.path("tunneld"))
    t.tunneld = t.path("tunneld")
    e = t.serve(echo, backlog=512)
    a = t.serve(banner_echo(b"a"))
    b = t.serve(banner_echo(b"b"))

    def base(port):
        return "grace 600s\n" + server("\n".join((
            gateway(e.port, "/ws"), gateway(e.port, "/one"),
            gateway(e.port, "/two"), gateway(e.port, "/knock"),
            gateway(port or a.port, "/moved"),
            '\tlocation "/echo" { echo }')))
    s = t.daemon(base(None), name="srv")
    vs = Victims(s)
    ps = s.port()
    ways = [Way("ws", lambda: WsEnd(ps, "/ws", 20 * t.slow),
                [(vs, "location", "/ws")])]
    knockers = [("ws", knock_ws(ps, "/echo", t.slow), vs.relay_kills),
                ("http", knock_http(ps, t.slow), vs.relay_kills)]
    victims = [vs]
    for name in ("one", "two"):
        c = t.daemon(
            forward("ws://127.0.0.1:%d/%s" % (ps, name)) +
            forward("ws://127.0.0.1:%d/knock" % ps), name=name)
        v = Victims(c)
        port, knock = c.forward_port(0), c.forward_port(1)
        victims.append(v)
        ways.append(Way(name, lambda p=port: TcpEnd(p, 20 * t.slow),
                        [(v, "listener", "127.0.0.1:%d" % port),
                         (vs, "location", "/" + name)]))
        knockers.append((name, knock_tcp(knock, t.slow),
                         Both(vs.relay_kills, v.relay_kills)))
    for v in victims:
        v.d.expect_exits = True
    return base, victims, ways, knockers, ((a.port, b"a"), (b.port, b"b"))


@timeout(300)
def test_torture(t):
    """Random children are killed while files are reloaded: every connection
    is served, but those of the killed relay, which end by RST."""
    rnd = seed(t)
    rounds = 200 if t.kind == "plain" else 40
    base, victims, ways, knockers, targets = house(t)
    rest = {}
    # Slots keep their counters, so the third is used once beforehand.
    for n in (3, 2):
        victims[0].d.reload("prefork %d\n" % n + base(None))
    for v in victims:
        at_rest(v.d)
        rest[v.d] = settled(v.d)
    x = Torture(t, ways)
    knock = [Knocker(t, *k) for k in knockers]
    reloader = Reloader(t, victims[0], base, rnd, targets)
    rss = {}
    done = 0
    while done < rounds:
        x.fill()
        x.check()
        v = rnd.choice(victims)
        who = v.choose(rnd)
        if who is None:
            pause(0.05)
            continue
        v.kill(*who)
        x.check(who[1])
        done += 1
        if done == rounds // 4:         # all of it has happened by now
            rss = {v.d: procs.rss(v.d.pid) for v in victims}
        if done == rounds // 2:
            replace(t.tunneld)
        if done % 20 == 0:
            x.go_on()
        if reloader.error:
            break
    wait_until(lambda: reloader.error or
               reloader.good + reloader.broken >= rounds, "reloads", 60)
    reloader.stop()
    x.fill()
    x.stop()
    for k in knock:
        k.stop(30 * t.slow)
    print("%d kills, %d streams broke, %d good and %d broken reloads "
          "(%d again), %s" % (done, x.broken, reloader.good,
                              reloader.broken, reloader.again,
                              [(k.served, k.reset, round(k.longest, 1))
                               for k in knock]))
    # The server as it began: then its descriptors must be as they were.
    victims[0].d.reload("prefork 2\n" + base(None))
    for v in victims:
        at_rest(v.d)
        no_growth(v.d, rest[v.d], rss[v.d])
        told(v)
        if t.root:                      # nobody else may look
            same_build(v.d)


def told(v):
    """The log names the dead, and tunnelctl counts them."""
    rows = v.d.workers()
    eq([w for w in rows if w["alarm"]], [], "alarms")
    if v.d.name != "srv":               # there, slots come and go
        eq(sum(w["restarts"] for w in rows), v.killed, "restarts")
    exits = v.d.logs("worker-exit", signal=9)
    # Some are lost with the process that was to write them.
    ok(len(exits) > v.killed * 0.8, "%d exits in the log, %d were killed" %
       (len(exits), v.killed))


# ---- a relay that stands still ------------------------------------------

@timeout(90)
def test_stopped_relay(t):
    """SIGSTOP: new connections go to the other relay at once, and after
    10 s of silence it is replaced; only its own sessions end, by RST."""
    e = t.serve(echo, backlog=512)
    d = t.daemon(server(gateway(e.port) + '\n\tlocation "/echo" { echo }'))
    v = Victims(d)
    d.expect_exits = True
    p = d.port()
    x = Torture(t, [Way("ws", lambda: WsEnd(p, "/ws", 30 * t.slow),
                        [(v, "location", "/ws")])])
    x.fill()
    old = d.workers("relay")[0]
    knock = [Knocker(t, "ws", knock_ws(p, "/echo", t.slow), v.relay_kills),
             Knocker(t, "http", knock_http(p, t.slow), v.relay_kills)]
    wait_until(lambda: all(k.served > 5 for k in knock), "knockers", 20)
    began = time.monotonic()
    # One that it has accepted already would have to share its fate.
    v.relay_kills.append(began + 20 * t.slow)
    procs.kill(old["pid"], signal.SIGSTOP)
    mark = [k.served for k in knock]
    wait_until(lambda: all(k.served > n + 20 for k, n in zip(knock, mark)),
               "connections to go to the other relay", 8)
    d.wait_worker("relay", old, 40)
    ok(time.monotonic() - began > 5, "it was given time")
    x.check(old["pid"])
    for k in knock:
        k.stop(30 * t.slow)
        ok(k.reset <= 1, "%d connections of one knocker were reset" %
           k.reset)
    x.fill()
    x.stop()
    at_rest(d)
    has(str(d.logs("note")), "is silent for 10 s")


# ---- the alarm ----------------------------------------------------------

def die_often(d, role, n=6):
    """Kill this many of a role, as fast as they come; the last one."""
    dead = []
    for _ in range(n):
        row = wait_until(lambda: [w for w in ask(d, "show", "workers")
                                  if w["role"] == role and
                                  w["state"] == "ready" and
                                  w["pid"] not in dead],
                         "a %s to kill" % role, 20, 0.02)[0]
        procs.kill(row["pid"])
        dead.append(row["pid"])
    return row


@timeout(120)
def test_alarm_and_its_end(t):
    """More than 5 deaths of a role in 10 s: told, slowed down to a try a
    second; after 10 s of peace that is told, too, and forgotten."""
    d = t.daemon(server('\tlocation "/echo" { echo }'))
    d.expect_exits = True
    p = d.port()
    for role in ("relay", "dialer", "control"):
        last = die_often(d, role)
        began = time.monotonic()
        d.wait_worker(role, last, 20)
        ok(time.monotonic() - began > 0.8, "%s: slowed down" % role)
    has(d.health()["status"], "degraded")
    rows = d.workers()
    eq({w["role"] for w in rows if w["alarm"]},
       {"relay", "dialer", "control"}, "alarms")
    t.ws(p, "/echo").echo_check(b"served all the same")
    wait_until(lambda: d.health()["status"] == "ok", "the end of the alarm",
               40 * t.slow, 0.1)
    ok(not any(w["alarm"] for w in d.workers()), "alarms are over")
    text = str(d.logs())
    for role in ("relay", "dialer", "control"):
        has(text, "%s processes die too often: more than 5 in 10 s" % role)
        has(text, "%s processes live again" % role)
