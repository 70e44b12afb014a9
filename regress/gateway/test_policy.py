# SPDX-License-Identifier: ISC
"""Who may open what: origins, limits, allow-lists, addresses of clients."""
import socket

from lib.daemon import gateway, server
from lib.harness import eq, has, ok, smoke, wait_until
from lib.peers import connect, echo
from lib.wsraw import refusal, request, upgrade

ECHO = '\tlocation "/echo" { echo }\n'


def refuse(t, port, status, **kw):
    eq(t.http(port, upgrade(**kw)).status, status, "status of %s" % kw)


# ---- Origin -------------------------------------------------------------

@smoke
def test_origin_same_host(t):
    d = t.daemon(server(ECHO))
    p = d.port()
    t.ws(p, "/echo").close()                    # no Origin: no browser
    t.ws(p, "/echo", origin="http://127.0.0.1").close()
    t.ws(p, "/echo", host="h:%d" % p, origin="http://h:%d" % p).close()
    t.ws(p, "/echo", host="h:%d" % p, origin="http://H:%d" % p).close()
    for origin in ("http://evil", "http://127.0.0.1.evil", "null", "",
                   "127.0.0.1", "http://127.0.0.1:1"):
        refuse(t, p, 403, path="/echo", origin=origin)
    eq(d.wait_log("refuse")["reason"], "origin")


def test_origin_port_must_match(t):
    d = t.daemon(server(ECHO))
    p = d.port()
    refuse(t, p, 403, path="/echo", host="h:80", origin="http://h:8080")
    refuse(t, p, 403, path="/echo", host="h:8080", origin="http://h")
    t.ws(p, "/echo", host="h:80", origin="http://h").close()
    t.ws(p, "/echo", host="h", origin="http://h:80").close()


def test_origin_any(t):
    d = t.daemon(server("\torigin any\n" + ECHO))
    t.ws(d.port(), "/echo", origin="https://evil.example").close()
    t.ws(d.port(), "/echo", origin="null").close()


def test_origin_list(t):
    d = t.daemon(server('\torigin { "https://good.example", '
                        '"http://b.example:8000" }\n' + ECHO))
    p = d.port()
    t.ws(p, "/echo", origin="https://good.example").close()
    t.ws(p, "/echo", origin="http://b.example:8000").close()
    t.ws(p, "/echo", origin="https://GOOD.example").close()
    for origin in ("http://good.example", "https://good.example.evil",
                   "http://b.example", "https://xgood.example",
                   "https://good.example:444"):
        refuse(t, p, 403, path="/echo", origin=origin)


def test_origin_of_location(t):
    d = t.daemon(server('\torigin { "https://a" }\n'
                        '\tlocation "/any" { echo origin any }\n' + ECHO))
    p = d.port()
    t.ws(p, "/any", origin="https://x").close()
    refuse(t, p, 403, path="/echo", origin="https://x")


def test_two_origins(t):
    d = t.daemon(server(ECHO))
    r = t.http(d.port(), upgrade("/echo", headers=[
        ("Origin", "http://127.0.0.1"), ("Origin", "http://evil")]))
    ok(r.status in (400, 403), r.line)


# ---- allow from ---------------------------------------------------------

def test_allow_from(t):
    d = t.daemon(server(
        '\tlocation "/in" { echo allow from { 127.0.0.0/8, ::1 } }\n'
        '\tlocation "/out" { echo allow from { 192.0.2.0/24 } }\n'))
    t.ws(d.port(), "/in").close()
    refuse(t, d.port(), 403, path="/out")
    eq(d.wait_log("refuse")["reason"], "source-not-allowed")


# ---- limits -------------------------------------------------------------

@smoke
def test_max_sessions(t):
    d = t.daemon(server("\tmax-sessions 2\n" + ECHO))
    p = d.port()
    a, b = t.ws(p, "/echo"), t.ws(p, "/echo")
    r = t.http(p, upgrade("/echo"))
    eq(r.status, 429)
    eq(d.wait_log("refuse")["reason"], "max-sessions")
    a.close(1000)
    a.expect_close(1000, answer=False)

    def again():
        try:
            return t.ws(p, "/echo")
        except AssertionError:
            return None
    wait_until(again, "a place to be free again", 5)
    b.echo_check(b"untouched")


def test_max_sessions_of_location(t):
    d = t.daemon(server('\tlocation "/one" { echo max-sessions 1 }\n' +
                        ECHO))
    p = d.port()
    t.ws(p, "/one")
    refuse(t, p, 429, path="/one")
    t.ws(p, "/echo")


def test_max_sessions_per_source(t):
    d = t.daemon(server("\tmax-sessions-per-source 2\n" + ECHO))
    p = d.port()
    t.ws(p, "/echo")
    t.ws(p, "/echo")
    refuse(t, p, 429, path="/echo")
    # 127.0.0.2 is another source.
    s = socket.socket()
    t.defer(s.close)
    s.settimeout(10)
    s.bind(("127.0.0.2", 0))
    s.connect(("127.0.0.1", p))
    s.sendall(upgrade("/echo"))
    has(s.recv(4096), b" 101 ")


def test_max_sessions_holds_over_relays(t):
    """One count for all relays, whichever accepts."""
    d = t.daemon("prefork 4\n" + server("\tmax-sessions 10\n" + ECHO))
    p = d.port()
    ws = [t.ws(p, "/echo") for _ in range(10)]
    for _ in range(10):
        refuse(t, p, 429, path="/echo")
    for w in ws:
        w.echo_check(b"x")


def test_refused_sessions_do_not_count(t):
    """A failed dial and a refused origin return their place."""
    d = t.daemon(server("\tmax-sessions 1\n" + gateway(t.port_refused()) +
                        "\n" + ECHO))
    p = d.port()
    for _ in range(3):
        w = wait_until(lambda: attempt(t, p, "/ws"), "a place", 5)
        w.expect_close(1011)
        refuse(t, p, 403, path="/ws", origin="http://evil")
    wait_until(lambda: attempt(t, p, "/echo"), "a place", 5)


def attempt(t, p, path):
    try:
        return t.ws(p, path)
    except AssertionError:
        return None


# ---- X-Forwarded-For ----------------------------------------------------

def test_xff_from_stranger(t):
    """Not from a trusted proxy: logged as a claim, never believed."""
    d = t.daemon(server(ECHO))
    t.ws(d.port(), "/echo", headers=[("X-Forwarded-For", "203.0.113.9")])
    [s] = d.sessions()
    ok(s["client"].startswith("127.0.0.1:"), s["client"])
    eq(s["peer"], s["client"])


def test_xff_from_trusted_proxy(t):
    d = t.daemon(server("\ttrusted-proxies { 127.0.0.0/8 }\n" + ECHO))
    t.ws(d.port(), "/echo", headers=[("X-Forwarded-For", "203.0.113.9")])
    [s] = d.sessions()
    has(s["client"], "203.0.113.9")
    ok(s["peer"].startswith("127.0.0.1:"), s["peer"])
    eq(s["x-forwarded-for"], "203.0.113.9")
    r = d.wait_log("open")
    has(r["client"], "203.0.113.9")
    eq(r["x-forwarded-for"], "203.0.113.9")


def test_xff_chain(t):
    """The last address that is no trusted proxy: the rest can be forged."""
    d = t.daemon(server("\ttrusted-proxies { 127.0.0.1, 10.0.0.0/8 }\n" +
                        ECHO))
    t.ws(d.port(), "/echo", headers=[
        ("X-Forwarded-For", "1.1.1.1, 203.0.113.9, 10.1.2.3")])
    [s] = d.sessions()
    has(s["client"], "203.0.113.9")


def test_xff_junk(t):
    """What is no address makes the client unknown; nothing said, the proxy
    itself."""
    d = t.daemon(server("\ttrusted-proxies { 127.0.0.1 }\n" + ECHO))
    for i, junk in enumerate(("junk", "1.2.3.4.5", "", ", ,", "\xff" * 50,
                              "a" * 3000)):
        w = t.ws(d.port(), "/echo", headers=[("X-Forwarded-For", junk)])
        w.echo_check(b"x")
        w.close(1000)
        w.expect_close(1000, answer=False)
    for i, r in enumerate(d.logs("open")):
        if i in (2, 3):
            has(r["client"], "127.0.0.1")
        else:
            eq(r["client"], "unknown")
            has(r["peer"], "127.0.0.1")


def test_xff_decides_policy(t):
    """allow from and the per-source limit use the believed address."""
    d = t.daemon(server(
        "\ttrusted-proxies { 127.0.0.1 }\n\tmax-sessions-per-source 1\n"
        '\tlocation "/in" { echo allow from { 203.0.113.0/24 } }\n'))
    p = d.port()
    a = [("X-Forwarded-For", "203.0.113.1")]
    b = [("X-Forwarded-For", "203.0.113.2")]
    t.ws(p, "/in", headers=a)
    t.ws(p, "/in", headers=b)
    refuse(t, p, 429, path="/in", headers=a)
    refuse(t, p, 403, path="/in", headers=[("X-Forwarded-For", "198.51.1.1")])
    refuse(t, p, 403, path="/in")


# ---- the allow-list location --------------------------------------------

def listed(t, *targets, extra=""):
    d = t.daemon(server('\tlocation "/tunnel/*" { forward to { %s } %s }' %
                        (", ".join(targets), extra)))
    return d, d.port()


@smoke
def test_list_ipv4(t):
    s = t.serve(echo)
    d, p = listed(t, "127.0.0.1:%d" % s.port)
    w = t.ws(p, "/tunnel/127.0.0.1:%d" % s.port)
    w.echo_check(b"hello")
    eq(d.sessions()[0]["target"], "127.0.0.1:%d" % s.port)


def test_list_ipv6(t):
    s = t.serve(echo, host="::1")
    d, p = listed(t, "[::1]:%d" % s.port)
    t.ws(p, "/tunnel/[::1]:%d" % s.port).echo_check(b"six")
    t.ws(p, "/tunnel/%%5B::1%%5D:%d" % s.port).echo_check(b"six")
    # As an address, whatever its spelling.
    t.ws(p, "/tunnel/[0:0::0:1]:%d" % s.port).echo_check(b"six")


def test_list_name(t):
    s = t.serve(echo)
    d, p = listed(t, "localhost:%d" % s.port)
    t.ws(p, "/tunnel/localhost:%d" % s.port).echo_check(b"name")
    t.ws(p, "/tunnel/LocalHost:%d" % s.port).echo_check(b"any case")


@smoke
def test_list_not_allowed(t):
    s = t.serve(echo)
    d, p = listed(t, "127.0.0.1:%d" % s.port)
    for target in ("127.0.0.1:1", "127.0.0.2:%d" % s.port,
                   "localhost:%d" % s.port, "evil.example:%d" % s.port,
                   "[::ffff:127.0.0.9]:%d" % s.port):
        w = t.ws(p, "/tunnel/" + target)
        w.expect_close(1008, "target not allowed")
    eq(s.count, 0, "connections to the target")


def test_list_name_does_not_imply_address(t):
    s = t.serve(echo)
    d, p = listed(t, "localhost:%d" % s.port)
    t.ws(p, "/tunnel/127.0.0.1:%d" % s.port).expect_close(
        1008, "target not allowed")


def test_list_bad_targets(t):
    """No host:port at all: refused, one way or the other, never dialled."""
    s = t.serve(echo)
    d, p = listed(t, "127.0.0.1:%d" % s.port)
    for target in ("", "127.0.0.1", ":%d" % s.port, "127.0.0.1:0",
                   "127.0.0.1:99999", "127.0.0.1:%d:1" % s.port,
                   "::1:%d" % s.port, "127.1:%d" % s.port,
                   "0x7f.0.0.1:%d" % s.port, "2130706433:%d" % s.port,
                   "a" * 400 + ":1", "127.0.0.1:+%d" % s.port,
                   "127.0.0.1:%d%%20" % s.port):
        try:
            w = t.ws(p, "/tunnel/" + target)
        except AssertionError as e:
            ok("400" in str(e) or "403" in str(e) or "404" in str(e), e)
            continue
        w.expect_close(1008, "target not allowed")
    eq(s.count, 0, "connections to the target")


def test_list_with_path_behind(t):
    s = t.serve(echo)
    d, p = listed(t, "127.0.0.1:%d" % s.port)
    try:
        w = t.ws(p, "/tunnel/127.0.0.1:%d/x" % s.port)
        w.expect_close(1008)
    except AssertionError as e:
        ok(" 40" in str(e), e)
    eq(s.count, 0, "connections to the target")


def test_location_order(t):
    """First match in file order."""
    d = t.daemon(server('\tlocation "/a/x" { echo }\n'
                        '\tlocation "/a/*" { health }\n'))
    t.ws(d.port(), "/a/x").echo_check(b"1")
    eq(t.http(d.port(), request("/a/y")).status, 200)
    eq(t.http(d.port(), request("/a/")).status, 200)
    eq(t.http(d.port(), request("/a")).status, 404)


def test_two_servers(t):
    """Two server blocks do not share locations or limits."""
    d = t.daemon(server("\tmax-sessions 1\n" + ECHO, name="one") +
                 server('\tlocation "/other" { echo }', name="two"))
    p1, p2 = d.port("one"), d.port("two")
    t.ws(p1, "/echo")
    refuse(t, p1, 429, path="/echo")
    t.ws(p2, "/other")
    refuse(t, p2, 404, path="/echo")
    eq(sorted(s["server"] for s in d.sessions()), ["one", "two"])


def test_listen_star(t):
    """"listen on *" serves both families."""
    p = t.port_free()
    d = t.daemon(server(ECHO, listen="* port %d" % p))
    t.ws(p, "/echo").echo_check(b"4")
    t.ws(("::1", p), "/echo", host="[::1]").echo_check(b"6")
    clients = [s["client"] for s in d.sessions()]
    ok(not any("ffff" in c for c in clients), "two spellings: %s" % clients)


def test_refusal_function(t):
    """refusal() of the tools notices an upgrade."""
    d = t.daemon(server(ECHO))
    c = connect(d.port())
    c.close()
    try:
        refusal(d.port(), upgrade("/echo"), seconds=1)
    except AssertionError:
        return
    ok(False, "an upgrade passed as a refusal")
