# SPDX-License-Identifier: ISC
"""What is not upgraded: statuses, bodies, limits, and the strict head."""
import json
import re
import socket
import time

from lib.daemon import gateway, server
from lib.harness import eq, has, needs_tool, ok, smoke, tool, wait_until
from lib.peers import recv_all
from lib.wsraw import BINARY, Response, accept_for, frame, read_head, \
    read_response, request, upgrade

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
PLAIN = '\tlocation "/health" { health }\n' \
    '\tlocation "/metrics" { metrics allow from { 127.0.0.0/8 } }\n'


def start(t, top="", extra=""):
    """A server with every kind of location; its target must stay unused."""
    li = t.listen()
    d = t.daemon(top + server(extra + gateway(li.port) + "\n" + PLAIN +
                              '\tlocation "/echo" { echo }\n'))
    return d, d.port(), li


def refused(r, status):
    """The shape of every refusal."""
    eq(r.status, status, r.line)
    eq(r.version, "HTTP/1.1")
    eq((r.header("Connection") or "").lower().replace("upgrade", "").strip(
        " ,"), "close", "Connection")
    eq(int(r.header("Content-Length")), len(r.body), "Content-Length")
    ok(0 < len(r.body) < 1000, "a short body: %r" % r.body)
    ok(r.body.isascii() and b"\0" not in r.body, "readable: %r" % r.body)
    return r


def check(t, port, raw, status):
    return refused(t.http(port, raw), status)


# ---- one status each ----------------------------------------------------

@smoke
def test_404(t):
    d, port, li = start(t)
    check(t, port, upgrade("/nothing"), 404)
    check(t, port, request("/nothing"), 404)
    check(t, port, upgrade("/ws/"), 404)
    check(t, port, upgrade("/WS"), 404)
    li.nobody()


def test_query_is_ignored(t):
    d, port, li = start(t)
    t.ws(port, "/echo?token=1&x=/nothing").close()


def test_405(t):
    d, port, li = start(t)
    for path in ("/ws", "/health"):
        r = check(t, port, request(path, method="PUT"), 405)
        has(r.header("Allow"), "GET", "Allow")
    r = check(t, port, upgrade("/ws").replace(b"GET ", b"POST "), 405)
    has(r.header("Allow"), "GET")
    li.nobody()


def test_405_targets_without_a_path(t):
    """CONNECT and "OPTIONS *": known methods, but nothing is meant here."""
    d, port, li = start(t)
    for target, method in (("host:80", "CONNECT"), ("127.0.0.1:80",
                           "CONNECT"), ("/ws", "CONNECT"), ("*", "OPTIONS"),
                           ("/ws", "OPTIONS")):
        r = check(t, port, request(target, method=method), 405)
        has(r.header("Allow") or "", "GET", "Allow of %s" % method)
    li.nobody()


def test_426_plain_get(t):
    d, port, li = start(t)
    r = check(t, port, request("/ws"), 426)
    eq(r.header("Sec-WebSocket-Version"), "13")
    eq(r.header("Upgrade"), "websocket")
    has(r.header("Connection").lower(), "upgrade")


def test_426_other_version(t):
    d, port, li = start(t)
    for v in ("8", "14", "", "13x", "13, 8"):
        r = check(t, port, upgrade("/ws", version=v), 426)
        eq(r.header("Sec-WebSocket-Version"), "13", v)


def test_426_missing_parts(t):
    d, port, li = start(t)
    for name in ("Upgrade", "Connection"):
        check(t, port, upgrade("/ws", drop=(name,)), 426)


def test_426_http_1_0(t):
    d, port, li = start(t)
    raw = upgrade("/ws").replace(b"HTTP/1.1", b"HTTP/1.0")
    check(t, port, raw, 426)


def test_400_key(t):
    d, port, li = start(t)
    check(t, port, upgrade("/ws", drop=("Sec-WebSocket-Key",)), 400)
    for key in ("", "short", "dGhlIHNhbXBsZSBub25jZQ=", "!" * 24,
                "dGhlIHNhbXBsZSBub25jZTEy"):
        check(t, port, upgrade("/ws", key=key), 400)
    check(t, port, upgrade("/ws", headers=[("Sec-WebSocket-Key", KEY)]), 400)
    li.nobody()


def test_400_syntax(t):
    d, port, li = start(t)
    good = upgrade("/echo")
    for name, raw in (
            ("no version", b"GET /echo\r\n\r\n"),
            ("junk", b"\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n"),
            ("two blanks", good.replace(b"GET ", b"GET  ", 1)),
            ("tab", good.replace(b"GET ", b"GET\t", 1)),
            ("NUL", good.replace(b"Upgrade: w", b"Upgrade: \0w", 1)),
            ("bare CR", good.replace(b"Upgrade: w", b"Upgrade: \rw", 1)),
            ("bare LF", good.replace(b"\r\nUpgrade", b"\nUpgrade", 1)),
            ("folding", good.replace(b"Upgrade: w", b"Upgrade:\r\n w", 1)),
            ("space before colon", good.replace(b"Upgrade:", b"Upgrade :",
                                                1)),
            ("bad token", good.replace(b"Upgrade:", b"Upgr(ade:", 1)),
            ("empty name", good.replace(b"Upgrade:", b":", 1)),
            ("no colon", good.replace(b"Upgrade:", b"Upgrade", 1)),
            ("no Host", good.replace(b"Host: 127.0.0.1\r\n", b"", 1)),
            ("two Hosts", good.replace(b"Upgrade:", b"Host: a\r\nUpgrade:",
                                       1)),
            ("bad Host", good.replace(b"127.0.0.1", b"a b", 1)),
            ("CL with TE", good.replace(
                b"Upgrade:", b"Content-Length: 1\r\nTransfer-Encoding: "
                b"chunked\r\nUpgrade:", 1)),
            ("CL twice", good.replace(
                b"Upgrade:", b"Content-Length: 1\r\nContent-Length: 2\r\n"
                b"Upgrade:", 1)),
            ("CL bad", good.replace(b"Upgrade:",
                                    b"Content-Length: -1\r\nUpgrade:", 1))):
        try:
            check(t, port, raw, 400)
        except AssertionError as e:
            raise AssertionError("%s: %s" % (name, e)) from None


def test_400_path(t):
    d, port, li = start(t)
    for path in ("/a/../ws", "/..", "/%2e%2e/ws", "/ws%2fx", "/ws%00",
                 "/ws%", "/ws%4", "/ws%zz", "/./ws", "*",
                 "http://other.host/ws"):
        check(t, port, upgrade(path), 400)
    li.nobody()


def test_percent_encoding(t):
    """One decode, no other normalising."""
    d, port, li = start(t)
    t.ws(port, "/ec%68o").close()
    t.ws(port, "/%65cho").close()
    check(t, port, upgrade("//echo"), 404)
    check(t, port, upgrade("/ec%2568o"), 404)
    t.ws(port, "http://127.0.0.1/echo").close()     # absolute-form


def test_413(t):
    d, port, li = start(t)
    check(t, port, upgrade("/ws", headers=[("Content-Length", "10")]), 413)
    check(t, port, request("/health", method="GET",
                           headers=[("Content-Length", "1")]) + b"x", 413)


def test_content_length_zero_is_no_body(t):
    d, port, li = start(t)
    t.ws(port, "/echo", headers=[("Content-Length", "0")]).close()


def test_414(t):
    d, port, li = start(t, extra="\tmax-request-line 256\n")
    check(t, port, upgrade("/" + "a" * 300), 414)
    check(t, port, upgrade("/" + "a" * 9000), 414)


def test_431_count(t):
    d, port, li = start(t, extra="\tmax-headers 20\n")
    some = [("X-%d" % i, "y") for i in range(10)]
    t.ws(port, "/echo", headers=some).close()
    check(t, port, upgrade("/echo", headers=some * 3), 431)


def test_431_bytes(t):
    d, port, li = start(t, extra="\tmax-header-bytes 1000\n")
    check(t, port, upgrade("/echo", headers=[("X", "y" * 1000)]), 431)
    check(t, port, upgrade("/echo", headers=[("X", "y" * 100000)]), 431)


def test_default_limits(t):
    d, port, li = start(t)
    t.ws(port, "/echo?" + "a" * 8000,
         headers=[("X-%d" % i, "y" * 200) for i in range(55)]).close()
    check(t, port, upgrade("/" + "a" * 8200), 414)
    check(t, port, upgrade("/echo", headers=[("X", "y")] * 64), 431)
    check(t, port, upgrade("/echo", headers=[("X", "y" * 17000)]), 431)


def test_501(t):
    d, port, li = start(t)
    check(t, port, request("/ws", method="BREW"), 501)
    check(t, port, request("/ws", method="get"), 501)
    check(t, port, upgrade("/ws", headers=[("Transfer-Encoding", "chunked")]),
          501)


def test_505(t):
    d, port, li = start(t)
    check(t, port, request("/health", version="HTTP/2.0"), 505)
    check(t, port, request("/health", version="HTTP/0.9"), 505)
    check(t, port, request("/health", version="HTTP/3.1"), 505)


@smoke
def test_408_slowloris(t):
    """A byte now and then does not buy more time."""
    d, port, li = start(t, top="timeout handshake 1s\n")
    s = t.connect(port)
    raw = upgrade("/ws")
    began = time.monotonic()
    s.settimeout(0.1)
    sent, got = 0, b""
    while not got and time.monotonic() - began < 5 * t.slow:
        try:
            s.sendall(raw[sent:sent + 1])
            sent += 1
            got = s.recv(65536)
        except socket.timeout:
            pass
    ok(got.startswith(b"HTTP/1.1 408 "), "answer: %r" % got[:60])
    ok(0.9 < time.monotonic() - began < 3 * t.slow,
       "after %.1f s" % (time.monotonic() - began))


def test_408_half_a_request(t):
    d, port, li = start(t, top="timeout handshake 1s\n")
    s = t.connect(port)
    s.sendall(upgrade("/ws")[:40])
    refused(read_response(s), 408)


def test_silent_connection_ends(t):
    """Nothing at all: ended at the deadline, with or without a word."""
    d, port, li = start(t, top="timeout handshake 1s\n")
    s = t.connect(port)
    b = recv_all(s, "silent connection")
    ok(not b or b.startswith(b"HTTP/1.1 408 "), repr(b[:60]))


def test_eof_in_head(t):
    d, port, li = start(t)
    s = t.connect(port)
    s.sendall(upgrade("/ws")[:50])
    s.shutdown(socket.SHUT_WR)
    recv_all(s, "half a head and FIN")
    t.ws(port, "/echo").close()


# ---- nothing behind a refused request -----------------------------------

def test_nothing_behind_a_refusal(t):
    """A second request in the same packet is never looked at."""
    d, port, li = start(t)
    raw = upgrade("/nothing") + upgrade("/ws") + frame(BINARY, b"evil",
                                                       mask=True)
    r = check(t, port, raw, 404)
    ok(b"101" not in r.raw, "one answer only")
    raw = request("/health") + request("/health")
    r = t.http(port, raw)
    eq(r.raw.count(b"HTTP/1.1"), 1, "answers")
    li.nobody()


def test_refusal_survives_unread_input(t):
    """The lingering close: a long body does not destroy the error page."""
    d, port, li = start(t)
    s = t.connect(port)
    s.sendall(request("/nothing", method="POST",
                      headers=[("Content-Length", "300000")]))
    try:
        for _ in range(30):
            s.sendall(b"x" * 10000)
    except OSError:
        pass
    r = read_response(s)
    ok(r.status in (404, 405, 413), r.line)


def test_upgrade_any_case(t):
    """Tokens and field names in any case, lists, several fields."""
    d, port, li = start(t)
    raw = ("GET /echo HTTP/1.1\r\nhOST: 127.0.0.1\r\n"
           "UPGRADE: WebSocket\r\nconnection: keep-alive\r\n"
           "Connection:   UPGRADE  ,x\r\nsec-websocket-KEY:\t%s \r\n"
           "sec-websocket-version:13\r\n\r\n" % KEY)
    s = t.connect(port)
    s.sendall(raw.encode())
    r = Response(read_head(s)[0], b"")
    eq(r.status, 101)
    eq(r.header("Sec-WebSocket-Accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    eq(accept_for(KEY), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")


def test_leading_crlf(t):
    d, port, li = start(t)
    r = t.http(port, b"\r\n" + request("/health"))
    eq(r.status, 200)


# ---- health and metrics -------------------------------------------------

@smoke
def test_health(t):
    d, port, li = start(t)
    r = t.http(port, request("/health"))
    eq(r.status, 200)
    has(r.header("Content-Type"), "application/json")
    eq(int(r.header("Content-Length")), len(r.body))
    h = json.loads(r.body)
    eq(sorted(h), sorted(
        ["status", "version", "uptime", "connections", "max-connections",
         "connections-capacity-percent", "workers"]), "keys of health")
    eq(h["status"], "ok")
    ok(isinstance(h["connections-capacity-percent"], int), "integer")
    ok(0 <= h["connections-capacity-percent"] <= 100, "percent")
    ok(h["max-connections"] > 0, "max-connections")


def test_health_head_and_1_0(t):
    d, port, li = start(t)
    for path in ("/health", "/metrics"):
        full = t.http(port, request(path))
        eq(full.status, 200)
        head = t.http(port, request(path, method="HEAD"))
        eq((head.status, head.body), (200, b""))
        ok(int(head.header("Content-Length")) > 0, "length of HEAD")
        old = t.http(port, request(path, version="HTTP/1.0", host=None))
        eq(old.status, 200)
        ok(old.body, "body")


def test_health_counts_sessions(t):
    d, port, li = start(t)
    for _ in range(5):
        t.ws(port, "/echo")
    wait_until(lambda: json.loads(t.http(port, request(
        "/health")).body)["connections"] >= 5, "five connections", 5)


@smoke
def test_metrics(t):
    d, port, li = start(t)
    w = t.ws(port, "/echo")
    w.echo_check(b"12345")
    t.http(port, request("/nothing"))
    body = t.http(port, request("/metrics")).body.decode()
    for line in ('tunneld_sessions_active{server="s",type="echo"} 1',
                 'tunneld_sessions_total{server="s",type="echo"} 1',
                 'tunneld_bytes_total{server="s",direction="in"} 5',
                 'tunneld_bytes_total{server="s",direction="out"} 5',
                 'tunneld_refusals_total{reason="no-location"} 1',
                 "tunneld_spliced_bytes_total 0",
                 "tunneld_log_dropped_total 0"):
        has(body.split("\n"), line, "metrics:\n" + body)
    for name in ("tunneld_worker_restarts_total", "tunneld_build_info"):
        has(body, name)
    types = [ln for ln in body.split("\n") if ln.startswith("# TYPE ")]
    eq(len(types), len(set(types)), "one TYPE line per name")
    ok(body.endswith("\n"), "last line ends")


def test_metrics_form(t):
    """Every line is a comment or NAME{labels} NUMBER; names have a TYPE."""
    d, port, li = start(t)
    t.ws(port, "/echo").echo_check(b"x")
    r = t.http(port, request("/metrics"))
    has(r.header("Content-Type"), "text/plain")
    typed = set()
    for line in r.body.decode().rstrip("\n").split("\n"):
        if line.startswith("# TYPE "):
            typed.add(line.split()[2])
        elif not line.startswith("# HELP "):
            m = re.fullmatch(r'([a-z_]+)(\{([a-z]+="[^"]*",?)+\})? [0-9.e+]+',
                             line)
            ok(m and m.group(1) in typed, "line: " + line)


def test_metrics_from_elsewhere(t):
    li = t.listen()
    d = t.daemon(server('\tlocation "/metrics" { metrics allow from '
                        '{ 10.0.0.0/8 } }'))
    check(t, d.port(), request("/metrics"), 403)


@smoke
@needs_tool("curl")
def test_curl(t):
    """An independent HTTP client."""
    d, port, li = start(t)
    curl = tool("curl")
    base = "http://127.0.0.1:%d" % port
    rc, out, err = t.run([curl, "-sS", "-f", base + "/health"], code=0)
    has(out, '"status"')
    rc, out, err = t.run([curl, "-sS", "-f", "-0", base + "/metrics"], code=0)
    has(out, "tunneld_build_info")
    rc, out, err = t.run([curl, "-sS", "-I", base + "/health"], code=0)
    has(out, "200 OK")
    rc, out, err = t.run([curl, "-sS", "-o", "/dev/null", "-w",
                          "%{http_code}", base + "/ws"], code=0)
    eq(out, "426")
