# SPDX-License-Identifier: ISC
"""Messages that a role may not send, malformed ones, and what a relay may not
ask the dialer for: with the check that stops them, and without it."""
import re

from lib import procs
from lib.daemon import forward, gateway, server
from lib.harness import Failure, eq, kinds, needs_root, ok, timeout, \
    wait_until
from lib.probes import KILLED, ProbeDaemon

NONE = ("uid", "nnp")           # not a word about messages


class World:
    """A daemon with a session in each relay, and targets that are listed
    (fixed: ours to see) and not."""

    def __init__(self, t, layers=None):
        self.t = t
        self.fixed = t.listen()
        self.other = t.listen()
        self.d = ProbeDaemon(
            t, server('\tlocation "/echo" { echo }\n' +
                      gateway(self.fixed.port, "/fixed") +
                      '\n\tlocation "/list/*" { forward to '
                      '{ 127.0.0.1:%d } }\n' % self.fixed.port) +
            forward("ws://127.0.0.1:%d/" % self.fixed.port),
            layers, env={"TUNNELD_PROBE_TARGET":
                         "127.0.0.1:%d" % self.other.port})
        self.d.start()
        self.ws = {}
        wait_until(self.occupy, "a session in both relays", 10 * t.slow)
        self.pids = self.now()

    def occupy(self):
        w = self.t.ws(self.d.port(), "/echo")
        w.echo_check(b"x")
        mine = w.sock.getsockname()[1]
        relay = [s["worker"] for s in self.d.sessions()
                 if s["peer"].endswith(":%d" % mine)][0]
        if self.ws.setdefault(relay, w) is not w:
            w.sock.close()
        return len(self.ws) == 2

    def now(self):
        return {(w["role"], w["id"]): w["pid"] for w in self.d.workers()}

    def settled(self):
        """The parent has read all that its children have sent so far."""
        self.d.ctl("reload")

    def notes(self, part):
        return [r for r in self.d.logs("note") if part in r["message"]]

    def wait_note(self, part):
        try:
            return wait_until(lambda: self.notes(part), part, 10)[0]
        except Failure:
            raise Failure("no note with %r: %s" % (part, [
                r["message"] for r in self.d.logs("note")][-12:])) from None

    def same(self, but=()):
        """All processes are the same but these."""
        now = self.now()
        for who, pid in self.pids.items():
            if who not in but:
                eq(now.get(who), pid, "process of %s %d" % who)

    def serves(self):
        """New sessions are served by everybody."""
        for _ in range(6):
            w = self.t.ws(self.d.port(), "/echo")
            w.echo_check(b"again")
            w.sock.close()

    def lives(self, relay):
        self.ws[relay].echo_check(b"still here")

    def restarted(self, role, n=0, seconds=10):
        """This one was replaced; all others and their sessions live."""
        self.d.wait_worker(role, {"id": n, "pid": self.pids[role, n]},
                           seconds)
        self.same(but=[(role, n)])
        for relay in self.ws:
            if (role, n) != ("relay", relay):
                self.lives(relay)
        self.serves()


def sent(w, role, name):
    """Sent, and if not survived, then by the sender's death only."""
    r = w.d.probe(role, name)
    ok(r in ("ok", KILLED), "%s in %s: %s" % (name, role, r))


# ---- to the parent: what a role may not send ---------------------------------

def forbidden(t, layers, role):
    w = World(t, layers)
    sent(w, role, "level-to-parent")
    w.wait_note("%s 0 sent SET_LOG_LEVEL, which it may not" % role)
    w.restarted(role)
    ok(not w.notes("log level debug"), "the level is as it was")
    w.pids = w.now()
    sent(w, role, "reload-to-parent")
    w.wait_note("%s 0 sent RELOAD, which it may not" % role)
    w.restarted(role)
    ok(not w.d.logs("reload"), "nothing was reloaded")


@needs_root
@kinds("probe")
def test_forbidden_to_parent(t):
    forbidden(t, None, "relay")


@needs_root
@kinds("probe")
def test_forbidden_to_parent_table_alone(t):
    forbidden(t, NONE + ("msg-table",), "relay")


@needs_root
@kinds("probe")
def test_forbidden_to_parent_dialer(t):
    forbidden(t, None, "dialer")


@needs_root
@kinds("probe")
def test_forbidden_to_parent_no_table(t):
    """Without the table it does what it was asked for."""
    for role in ("relay", "dialer"):
        w = World(t, NONE)
        eq(w.d.probe(role, "level-to-parent"), "ok")
        w.wait_note("log level debug")
        eq(w.d.probe(role, "reload-to-parent"), "ok")
        w.d.wait_log("reload")
        w.same()


# ---- to the parent: malformed ------------------------------------------------

# name, what the log says, the layers that stop it, each alone
MALFORMED = (
    ("unknown-type", r" sent \?, which it may not", "msg-table"),
    ("unknown-type", r" sent a malformed \?", "decode"),
    ("short-payload", r" sent a malformed DRAINED", "decode"),
    ("long-payload", r" sent a malformed ALIVE_OK", "decode"),
    ("oversized", r"channel of .*: malformed message", "frame"),
    ("oversized", r" sent a malformed ALIVE_OK", "decode"),
)
# What nothing could make sense of.
GARBAGE = (
    ("cut", r"malformed"),
    ("no-length", r"channel of .*: malformed message"),
    ("garbage", r"channel of .*: malformed message"),
)


def punished(w, role, name, pattern):
    """The sender dies, with a word in the log; nobody else does."""
    w.pids = w.now()
    before = len(w.d.logs("note"))
    sent(w, role, name)
    w.d.wait_worker(role, {"id": 0, "pid": w.pids[role, 0]})
    w.same(but=[(role, 0)])
    end = w.d.wait_log("worker-exit", role=role, pid=w.pids[role, 0])
    # Killed by the parent, or it saw its channel end before that.
    ok(end.get("signal") == 9 or end.get("status") == 1, end)

    def told():
        return any(re.search(pattern, r["message"])
                   for r in w.d.logs("note")[before:])
    try:
        wait_until(told, pattern, 10)
    except Failure:
        raise Failure("%s from %s: no %r in %s" % (
            name, role, pattern, [r["message"] for r in
                                  w.d.logs("note")[before:]])) from None
    w.lives(1)
    if role != "relay":
        w.lives(0)


@needs_root
@kinds("probe")
def test_malformed_to_parent(t):
    """Every role, every kind: fatal for the sender only."""
    w = World(t)
    for role in ("dialer", "control", "relay"):
        first = {}
        for name, pattern, _ in MALFORMED:
            first.setdefault(name, pattern)
        for name, pattern in list(first.items()) + list(GARBAGE):
            punished(w, role, name, pattern)
        if role == "control":
            punished(w, role, "bad-value", " sent a malformed SET_LOG_LEVEL")
    w.serves()


@needs_root
@kinds("probe")
def test_malformed_each_check_alone(t):
    for layer in ("msg-table", "decode", "frame"):
        w = World(t, NONE + (layer,))
        for name, pattern, which in MALFORMED:
            if which == layer:
                punished(w, "relay", name, pattern)
        w.serves()


@needs_root
@kinds("probe")
def test_malformed_no_check(t):
    """Without the checks the same messages hurt nobody, so they work."""
    w = World(t, NONE)
    for name in sorted({m[0] for m in MALFORMED}):
        for role in ("relay", "dialer", "control"):
            eq(w.d.probe(role, name), "ok")
            w.settled()
            w.same()
    w.serves()


@needs_root
@kinds("probe")
def test_unwanted_descriptors(t):
    """Descriptors that nobody asked for do not stay in the parent."""
    w = World(t)

    def count():
        return procs.descriptors(w.d.pid)
    before = count()
    eq(w.d.probe("dialer", "descriptors"), "ok")
    w.settled()
    wait_until(lambda: count() <= before,
               "parent's descriptors: %d before" % before, 5)
    w.same()


# ---- between children --------------------------------------------------------

def forged(d):
    return [w for w in d.workers() if w["restarts"] == 4242]


def worker_refused(t, layers, role):
    w = World(t, layers)
    sent(w, role, "worker-to-control")
    w.wait_note("%s 0 sent WORKER, which it may not: channel closed" % role)
    eq(forged(w.d), [])
    w.same()
    w.lives(1)


@needs_root
@kinds("probe")
def test_forged_worker(t):
    worker_refused(t, None, "relay")


@needs_root
@kinds("probe")
def test_forged_worker_table_alone(t):
    worker_refused(t, NONE + ("msg-table",), "dialer")


@needs_root
@kinds("probe")
def test_forged_worker_no_table(t):
    w = World(t, NONE)
    for role in ("relay", "dialer"):
        eq(w.d.probe(role, "worker-to-control"), "ok")
        eq(len(forged(w.d)), 1, "the row it made up")


def revoke_refused(t, layers):
    w = World(t, layers)
    sent(w, "control", "revoke-to-relay")
    # The relay has nobody to tell it to: control is cut off.
    wait_until(lambda: not any(s["worker"] == 0 for s in w.d.sessions()),
               "relay 0 to be cut off", 10)
    w.lives(0)
    w.lives(1)
    w.same()


@needs_root
@kinds("probe")
def test_forged_revoke(t):
    revoke_refused(t, None)


@needs_root
@kinds("probe")
def test_forged_revoke_table_alone(t):
    revoke_refused(t, NONE + ("msg-table",))


@needs_root
@kinds("probe")
def test_forged_revoke_no_table(t):
    w = World(t, NONE)
    eq(w.d.probe("control", "revoke-to-relay"), "ok")
    w.d.wait_log("close", worker=0, reason="no-longer-allowed")
    w.lives(1)


def open_refused(t, layers):
    w = World(t, layers)
    sent(w, "control", "open-to-dialer")
    w.fixed.nobody(0.5)
    w.same()
    w.lives(0)


@needs_root
@kinds("probe")
def test_open_from_control(t):
    open_refused(t, None)


@needs_root
@kinds("probe")
def test_open_from_control_table_alone(t):
    open_refused(t, NONE + ("msg-table",))


@needs_root
@kinds("probe")
def test_open_from_control_peer_alone(t):
    open_refused(t, NONE + ("peer",))


@needs_root
@kinds("probe")
def test_open_from_control_no_check(t):
    w = World(t, NONE)
    eq(w.d.probe("control", "open-to-dialer"), "ok")
    w.fixed.accept()


@needs_root
@timeout(90)
@kinds("probe")
def test_relay_sends_garbage(t):
    """Dialer and control cut it off and live; it is replaced."""
    w = World(t)
    sent(w, "relay", "garbage-to-peers")
    w.wait_note("channel to relay 0: malformed message: closed")
    # It notices after some pings of the parent.
    w.restarted("relay", 0, 40)


@needs_root
@timeout(90)
@kinds("probe")
def test_dialer_sends_garbage(t):
    """A relay without a dialer serves nobody: it does not stay."""
    w = World(t)
    sent(w, "dialer", "garbage-to-peers")
    for n in (0, 1):
        w.d.wait_worker("relay", {"id": n, "pid": w.pids["relay", n]}, 40)
    eq(w.now()["parent", 0], w.pids["parent", 0])
    w.serves()


@needs_root
@timeout(90)
@kinds("probe")
def test_control_sends_garbage(t):
    """A dialer without control ends; a relay when it has no session."""
    w = World(t)
    sent(w, "control", "garbage-to-peers")
    w.d.wait_worker("dialer", {"id": 0, "pid": w.pids["dialer", 0]}, 40)
    w.serves()
    w.same(but=[("dialer", 0)])
    w.lives(0)
    w.lives(1)
    w.ws[0].sock.close()
    w.d.wait_worker("relay", {"id": 0, "pid": w.pids["relay", 0]}, 40)
    w.lives(1)
    w.serves()


@needs_root
@kinds("probe")
def test_bad_payload_to_peers(t):
    """The dialer and control survive what a relay makes up."""
    w = World(t)
    eq(w.d.probe("relay", "bad-payload-to-peers"), "ok")
    w.wait_note("relay 0 sent a bad OPEN")
    w.wait_note("malformed BODY from relay 0")
    w.same()
    for n in w.ws:
        w.lives(n)
    w.serves()


# ---- what a relay may not ask for --------------------------------------------

def target_refused(t, layers):
    w = World(t, layers)
    eq(w.d.probe("relay", "open-target"), "ok")
    r = w.d.wait_log("dial-failed", location="/list/*")
    eq(r["reason"], "target-not-allowed")
    w.other.nobody(0.3)
    w.same()


@needs_root
@kinds("probe")
def test_open_target(t):
    """A target that no rule names."""
    target_refused(t, None)


@needs_root
@kinds("probe")
def test_open_target_policy_alone(t):
    target_refused(t, NONE + ("policy",))


@needs_root
@kinds("probe")
def test_open_target_no_policy(t):
    w = World(t, NONE)
    eq(w.d.probe("relay", "open-target"), "ok")
    w.other.accept()


def foreign_refused(t, layers):
    w = World(t, layers)
    eq(w.d.probe("relay", "open-foreign"), "ok")
    w.wait_note("relay 0 sent a bad OPEN")
    w.fixed.nobody(0.3)
    w.same()


@needs_root
@kinds("probe")
def test_open_foreign(t):
    """A session in the name of another relay."""
    foreign_refused(t, None)


@needs_root
@kinds("probe")
def test_open_foreign_owner_alone(t):
    foreign_refused(t, NONE + ("owner",))


@needs_root
@kinds("probe")
def test_open_foreign_no_owner(t):
    w = World(t, NONE)
    eq(w.d.probe("relay", "open-foreign"), "ok")
    w.fixed.accept()


# ---- a violation costs its own sessions only ---------------------------------

@needs_root
@kinds("probe")
def test_traffic_goes_on(t):
    for role in ("relay", "dialer", "control"):
        w = World(t)
        eq(w.d.probe(role, "open"), KILLED)
        r = w.d.wait_log("sandbox-violation", role=role,
                         pid=w.pids[role, 0])
        eq(r["id"], 0)
        ok("syscall" in r, r)
        w.restarted(role)
        if role == "relay":
            try:
                w.ws[0].echo_check(b"x")
            except (Failure, OSError):
                continue
            raise Failure("a session of the dead relay lives")
