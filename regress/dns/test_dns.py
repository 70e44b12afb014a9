# SPDX-License-Identifier: ISC
"""Names: our own name server, the hosts table, policy on what they resolve
to, and two families (RFC 8305)."""
import socket
import threading
import time

from lib import procs
from lib.daemon import forward, server
from lib.dnsstub import DnsStub
from lib.harness import eq, ok, smoke, wait_until
from lib.peers import BlackHole, echo, refused, roundtrip


def start(t, zone, names, listed, hosts="", top=""):
    """(daemon, stub): /t/* with these names and addresses."""
    dns = DnsStub(zone)
    dns.__enter__()
    t.defer(dns.stop)
    path = t.write("hosts", hosts)
    d = t.daemon('%sresolver 127.0.0.1 port %d\nhosts "%s"\n' % (
        top, dns.port, path) + server(
            '\tlocation "/t/*" { forward to { %s } }' %
            ", ".join(names + listed)))
    return d, dns


def reached(d, w):
    """The address a session went to: in its close record."""
    w.close(1000)
    w.expect_close(1000, answer=False)
    return d.wait_log("close")["address"]


def ask(t, d, target):
    return t.ws(d.port(), "/t/" + target)


@smoke
def test_a(t):
    e = t.serve(echo)
    d, dns = start(t, {"v4.test": {"A": ["127.0.0.1"]}},
                   ["v4.test:%d" % e.port], ["127.0.0.1:%d" % e.port])
    w = ask(t, d, "v4.test:%d" % e.port)
    w.echo_check(b"x")
    eq(d.sessions()[0]["target"], "v4.test:%d" % e.port)
    eq(reached(d, w), "127.0.0.1:%d" % e.port)
    eq({q[1] for q in dns.questions}, {"A", "AAAA"}, "questions")


def test_aaaa(t):
    e = t.serve(echo, host="::1")
    d, dns = start(t, {"v6.test": {"AAAA": ["::1"]}},
                   ["v6.test:%d" % e.port], ["[::1]:%d" % e.port])
    w = ask(t, d, "v6.test:%d" % e.port)
    w.echo_check(b"x")
    eq(reached(d, w), "[::1]:%d" % e.port)


def test_cname(t):
    e = t.serve(echo)
    d, dns = start(t, {"a.test": {"A": ["127.0.0.1"]},
                       "c.test": {"CNAME": "a.test"}},
                   ["c.test:%d" % e.port], ["127.0.0.1:%d" % e.port])
    ask(t, d, "c.test:%d" % e.port).echo_check(b"x")


def test_truncated(t):
    """An answer too long for UDP comes by TCP."""
    e = t.serve(echo)
    d, dns = start(t, {"big.test": {
        "A": ["127.0.0.1"] * 60, "truncate": True}},
        ["big.test:%d" % e.port], ["127.0.0.1:%d" % e.port])
    ask(t, d, "big.test:%d" % e.port).echo_check(b"x")
    ok(any(q[0] == "tcp" for q in dns.questions), "asked by TCP")


@smoke
def test_nxdomain(t):
    d, dns = start(t, {}, ["none.test:1"], [])
    ask(t, d, "none.test:1").expect_close(1011, "no such name")
    eq(d.wait_log("dial-failed")["reason"], "no-such-name")


def test_no_address(t):
    """The name exists, without addresses."""
    d, dns = start(t, {"empty.test": {}}, ["empty.test:1"], [])
    ask(t, d, "empty.test:1").expect_close(1011, "no such name")


def test_servfail(t):
    d, dns = start(t, {"bad.test": {"rcode": "SERVFAIL"}}, ["bad.test:1"],
                   [])
    w = ask(t, d, "bad.test:1")
    got, code, reason = w.until_close()
    eq(code, 1011)
    ok(reason in ("no such name", "unreachable", "timed out"), reason)


def test_mute_server(t):
    """No answer: the deadline of the dial."""
    d, dns = start(t, {"mute.test": {"drop": True}}, ["mute.test:1"], [],
                   top="timeout connect 700ms\n")
    began = time.monotonic()
    ask(t, d, "mute.test:1").expect_close(1011, "timed out")
    ok(time.monotonic() - began < 3 * t.slow, "in time")


def test_mute_server_first(t):
    """A dead name server does not hide a good one, however short "timeout
    connect" is; also after a reload has changed it."""
    e = t.serve(echo)
    mute = DnsStub({"a.test": {"drop": True}})
    good = DnsStub({"a.test": {"A": ["127.0.0.1"]}})
    for s in (mute, good):
        s.__enter__()
        t.defer(s.stop)
    conf = "".join("resolver 127.0.0.1 port %d\n" % s.port
                   for s in (mute, good)) + \
        'hosts "%s"\n' % t.write("hosts", "") + server(
            '\tlocation "/t/*" { forward to { a.test:%d, 127.0.0.1:%d } }' %
            (e.port, e.port))
    d = t.daemon("timeout connect 30s\n" + conf)
    # Some of these are asked of the good one first.
    for limit in ("2s", "1900ms", "1800ms"):
        d.reload("timeout connect %s\n" % limit + conf)
        ask(t, d, "a.test:%d" % e.port).echo_check(b"x")
    ok(mute.questions, "the mute one was asked, too")


def test_nxdomain_and_silence(t):
    """The name does not exist, though only one family was answered."""
    d, dns = start(t, {"half.test": {"rcode-A": "NXDOMAIN",
                                     "drop": "AAAA"}}, ["half.test:1"], [],
                   top="timeout connect 700ms\n")
    ask(t, d, "half.test:1").expect_close(1011, "no such name")


def test_slow_answer(t):
    """A slow name does not hold up others."""
    e = t.serve(echo)
    d, dns = start(t, {"slow.test": {"A": ["127.0.0.1"], "delay": 1.0},
                       "fast.test": {"A": ["127.0.0.1"]}},
                   ["slow.test:%d" % e.port, "fast.test:%d" % e.port],
                   ["127.0.0.1:%d" % e.port])
    w = ask(t, d, "slow.test:%d" % e.port)
    began = time.monotonic()
    ask(t, d, "fast.test:%d" % e.port).echo_check(b"x")
    ok(time.monotonic() - began < 0.8 * t.slow, "the fast one waited")
    w.echo_check(b"slow")


@smoke
def test_hosts_first(t):
    """The hosts table counts before the name server, which is not asked."""
    e = t.serve(echo)
    d, dns = start(t, {"h.test": {"A": ["127.0.0.9"]}},
                   ["h.test:%d" % e.port], ["127.0.0.1:%d" % e.port],
                   hosts="# a comment\n127.0.0.1\tother.test H.TEST # x\n")
    ask(t, d, "h.test:%d" % e.port).echo_check(b"x")
    eq(dns.questions, [])


def test_hosts_changed(t):
    """A changed hosts file is seen at reload."""
    e = t.serve(echo)
    d, dns = start(t, {}, ["h.test:%d" % e.port],
                   ["127.0.0.1:%d" % e.port])
    ask(t, d, "h.test:%d" % e.port).expect_close(1011, "no such name")
    t.write("hosts", "127.0.0.1 h.test\n")
    d.reload()
    ask(t, d, "h.test:%d" % e.port).echo_check(b"x")


@smoke
def test_name_to_loopback_is_refused(t):
    """DNS must not make a name mean what is private to this host."""
    e = t.serve(echo)
    zone = {"evil.test": {"A": ["127.0.0.1"]},
            "zero.test": {"A": ["0.0.0.0"]},
            "six.test": {"AAAA": ["::1"]},
            "mapped.test": {"AAAA": ["::ffff:127.0.0.1"]},
            "ll.test": {"AAAA": ["fe80::1"]},
            "apipa.test": {"A": ["169.254.169.254"]}}
    d, dns = start(t, zone, ["%s:%d" % (n, e.port) for n in zone], [])
    for name in zone:
        w = ask(t, d, "%s:%d" % (name, e.port))
        got, code, reason = w.until_close()
        eq((name, code, reason), (name, 1008, "target not allowed"))
    eq(e.count, 0, "connections to the target")


def test_other_port_listed_is_not_enough(t):
    e = t.serve(echo)
    d, dns = start(t, {"evil.test": {"A": ["127.0.0.1"]}},
                   ["evil.test:%d" % e.port], ["127.0.0.1:1"])
    ask(t, d, "evil.test:%d" % e.port).expect_close(
        1008, "target not allowed")


def test_mixed_addresses(t):
    """One allowed, one refused address of a name: the allowed one only."""
    e = t.serve(echo)
    d, dns = start(t, {"mix.test": {"A": ["127.0.0.9", "127.0.0.1"]}},
                   ["mix.test:%d" % e.port], ["127.0.0.1:%d" % e.port])
    ask(t, d, "mix.test:%d" % e.port).echo_check(b"x")


def test_localhost_is_allowed(t):
    e = t.serve(echo)
    d, dns = start(t, {}, ["localhost:%d" % e.port], [],
                   hosts="127.0.0.1 localhost\n")
    ask(t, d, "localhost:%d" % e.port).echo_check(b"x")


def test_second_address_when_first_refuses(t):
    """127.0.0.2 refuses, 127.0.0.1 answers."""
    e = t.serve(echo)
    d, dns = start(t, {"two.test": {"A": ["127.0.0.2", "127.0.0.1"]}},
                   ["two.test:%d" % e.port],
                   ["127.0.0.1:%d" % e.port, "127.0.0.2:%d" % e.port])
    ask(t, d, "two.test:%d" % e.port).echo_check(b"x")


def two_families(t):
    """An echo on 127.0.0.1 and a black hole on [::1], the same port."""
    for _ in range(20):
        e = t.serve(echo)
        try:
            h = BlackHole("::1", e.port)
        except OSError:
            continue
        t.defer(h.close)
        return e
    raise AssertionError("no port that is free in both families")


@smoke
def test_happy_eyeballs(t):
    """IPv6 is a black hole: IPv4 after 250 ms, not after the timeout."""
    e = two_families(t)
    d, dns = start(t, {"both.test": {"A": ["127.0.0.1"],
                                     "AAAA": ["::1"]}},
                   ["both.test:%d" % e.port],
                   ["127.0.0.1:%d" % e.port, "[::1]:%d" % e.port],
                   top="timeout connect 20s\n")
    began = time.monotonic()
    w = ask(t, d, "both.test:%d" % e.port)
    w.echo_check(b"x")
    took = time.monotonic() - began
    ok(0.2 < took < 1.5 * t.slow, "after %.2f s" % took)
    eq(reached(d, w), "127.0.0.1:%d" % e.port)


def test_ipv6_is_preferred(t):
    e6 = t.serve(echo, host="::1")
    d, dns = start(t, {"both.test": {"A": ["127.0.0.1"],
                                     "AAAA": ["::1"]}},
                   ["both.test:%d" % e6.port],
                   ["127.0.0.1:%d" % e6.port, "[::1]:%d" % e6.port])
    w = ask(t, d, "both.test:%d" % e6.port)
    w.echo_check(b"x")
    eq(reached(d, w), "[::1]:%d" % e6.port)


def test_late_aaaa(t):
    """A is there, AAAA does not come: no waiting for it (RFC 8305, 3)."""
    e = t.serve(echo)
    d, dns = start(t, {"late.test": {"A": ["127.0.0.1"], "drop": "AAAA"}},
                   ["late.test:%d" % e.port], ["127.0.0.1:%d" % e.port])
    began = time.monotonic()
    ask(t, d, "late.test:%d" % e.port).echo_check(b"x")
    ok(time.monotonic() - began < 1.0 * t.slow, "in time")


def test_forward_by_name(t):
    """The name in a forward's URL; localhost-like policy is not for it."""
    e = t.serve(echo)
    s = t.daemon(server('\tlocation "/ws" { forward to 127.0.0.1 port %d }' %
                        e.port), name="srv")
    dns = DnsStub({"gw.test": {"A": ["127.0.0.1"]}})
    dns.__enter__()
    t.defer(dns.stop)
    c = t.daemon("resolver 127.0.0.1 port %d\n" % dns.port +
                 forward("ws://gw.test:%d/ws" % s.port()) +
                 forward("ws://none.test:%d/ws" % s.port()), name="cli")
    good, bad = [li["port"] for li in c.listeners("forward")]
    roundtrip(t.connect(good), 1, 10000)
    refused(bad)
    eq(c.wait_log("dial-failed")["reason"], "no-such-name")


def test_hostile_answers(t):
    """Junk from the name server kills nobody."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", 0))
    t.defer(s.close)

    def loop():
        while True:
            try:
                q, who = s.recvfrom(4096)
            except OSError:
                return
            for junk in (b"", b"\0" * 12, q[:2] + b"\xff" * 300, q,
                         q[:2] + b"\x81\x80" + q[4:6] + b"\xff\xff" +
                         q[8:] + b"\xc0\x0c" * 100):
                s.sendto(junk, who)
    th = threading.Thread(target=loop, daemon=True)
    th.start()
    d = t.daemon("timeout connect 500ms\nresolver 127.0.0.1 port %d\n" %
                 s.getsockname()[1] + server(
                     '\tlocation "/t/*" { forward to { a.test:1 } }\n'
                     '\tlocation "/echo" { echo }'))
    pid = d.workers("dialer")[0]["pid"]
    for _ in range(3):
        w = ask(t, d, "a.test:1")
        got, code, _ = w.until_close()
        eq(code, 1011)
    eq(d.workers("dialer")[0]["pid"], pid, "the same dialer")
    ok(procs.alive(pid), "alive")
    wait_until(lambda: not d.sessions(), "sessions to end")
