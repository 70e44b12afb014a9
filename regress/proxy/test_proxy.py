# SPDX-License-Identifier: ISC
"""nginx and haproxy in front of the gateway, as operators have them."""
import json
import os
import signal
import socket

from lib import procs
from lib.daemon import forward, server
from lib.foreign import wait_port
from lib.harness import data, eq, has, needs_tool, ok, tool, wait_until
from lib.peers import digest, digest_text, echo, expect_fin, in_parallel, \
    recv_all, roundtrip, send_async
from lib.wsraw import BINARY, frame, request, upgrade

NGINX = """
daemon off;
pid %(dir)s/nginx.pid;
error_log stderr warn;
worker_processes 1;
events { worker_connections 512; }
http {
	access_log off;
	client_body_temp_path %(dir)s/b;
	proxy_temp_path %(dir)s/p;
	fastcgi_temp_path %(dir)s/f;
	uwsgi_temp_path %(dir)s/u;
	scgi_temp_path %(dir)s/s;
	map $http_upgrade $connection_upgrade {
		default upgrade;
		'' close;
	}
	server {
		listen 127.0.0.1:%(port)d;
		location / {
			proxy_pass http://127.0.0.1:%(to)d;
			proxy_http_version 1.1;
			proxy_set_header Upgrade $http_upgrade;
			proxy_set_header Connection $connection_upgrade;
			proxy_set_header Host $http_host;
			proxy_set_header X-Forwarded-For
			    $proxy_add_x_forwarded_for;
		}
	}
}
"""
HAPROXY = """
defaults
	mode http
	timeout connect 5s
	timeout client 30s
	timeout client-fin 30s
	timeout server 30s
	timeout tunnel 60s
	option forwardfor
frontend f
	bind 127.0.0.1:%(port)d
	default_backend b
backend b
	server s 127.0.0.1:%(to)d
"""


def nginx(t, to):
    port = t.port_free()
    work = t.path("nginx")
    os.mkdir(work)
    os.chmod(work, 0o777)
    conf = t.write("nginx.conf", NGINX % {"dir": work, "port": port,
                                          "to": to})
    t.spawn([tool("nginx"), "-c", conf, "-p", work, "-e", "stderr"],
            log="nginx.out")
    wait_port(port, "nginx")
    return port


def haproxy(t, to):
    port = t.port_free()
    conf = t.write("haproxy.cfg", HAPROXY % {"port": port, "to": to})
    t.spawn([tool("haproxy"), "-db", "-f", conf], log="haproxy.out")
    wait_port(port, "haproxy")
    return port


def behind(t, proxy):
    """(daemon, port of the proxy) with an echo and a digest target."""
    e, g = t.serve(echo), t.serve(digest)
    d = t.daemon(server("""
	trusted-proxies { 127.0.0.0/8 }
	location "/ws" { forward to 127.0.0.1 port %d }
	location "/digest" { forward to 127.0.0.1 port %d }
	location "/echo" { echo }
	location "/health" { health }""" % (e.port, g.port)), name="srv")
    return d, proxy(t, d.port())


def browser(t, proxy):
    """What a browser does: data, ping, closes, address of the client."""
    d, port = behind(t, proxy)
    host = "127.0.0.1:%d" % port
    w = t.ws(port, "/ws", host=host, origin="http://" + host,
             headers=[("X-Forwarded-For", "203.0.113.7")])
    want = data(1, 4 << 20)
    th = send_async(w.sock, (frame(BINARY, want[i:i + 50000], mask=True)
                             for i in range(0, len(want), 50000)))
    ok(w.recv(len(want)) == want, "4 MiB")
    th.join(10)
    w.ping(b"through")
    w.expect_pong(b"through")
    [s] = d.sessions()
    # The proxy appended 127.0.0.1, which is trusted: the next one counts.
    has(s["client"], "203.0.113.7")
    has(s["x-forwarded-for"], "203.0.113.7, 127.0.0.1")
    w.close(1000)
    w.expect_close(1000, answer=False)
    d.wait_sessions(0)
    eq(json.loads(t.http(port, request("/health", headers=[
        ("Connection", "close")])).body)["status"], "ok")


def refusals(t, proxy):
    d, port = behind(t, proxy)
    r = t.http(port, upgrade("/none"), proxied=True)
    eq(r.status, 404)
    r = t.http(port, upgrade("/ws", origin="http://evil"), proxied=True)
    eq(r.status, 403)


def tunnel(t, proxy):
    """A forward through the proxy: half-close and 20 streams."""
    d, port = behind(t, proxy)
    c = t.daemon(forward("ws://127.0.0.1:%d/digest" % port) +
                 forward("ws://127.0.0.1:%d/ws" % port), name="cli")
    ports = [li["port"] for li in c.listeners("forward")]
    want = data(2, 3 << 20)

    def half_closed(p):
        a = t.connect(p, 20)
        try:
            a.sendall(want)
            a.shutdown(socket.SHUT_WR)
            return recv_all(a)
        except OSError:
            return b""
    # Which port is which: the digest location alone answers so.
    answers = [half_closed(p) for p in ports]
    ok(digest_text(want) in answers, "half-close: %r" %
       [x[:80] for x in answers])
    ok(want in answers, "echo")
    p = ports[answers.index(want)]

    def one(i):
        a = t.connect(p, 30)
        roundtrip(a, i, 200000)
        a.shutdown(socket.SHUT_WR)
        expect_fin(a)
    in_parallel(20, one)
    c.wait_sessions(0)


@needs_tool("nginx")
def test_nginx_browser(t):
    browser(t, nginx)


@needs_tool("nginx")
def test_nginx_refusals(t):
    refusals(t, nginx)


@needs_tool("nginx")
def test_nginx_forward(t):
    tunnel(t, nginx)


@needs_tool("haproxy")
def test_haproxy_browser(t):
    browser(t, haproxy)


@needs_tool("haproxy")
def test_haproxy_refusals(t):
    refusals(t, haproxy)


@needs_tool("haproxy")
def test_haproxy_forward(t):
    tunnel(t, haproxy)


@needs_tool("nginx")
def test_nginx_drain(t):
    """Drain behind a proxy: /health turns to 503, the session goes on."""
    d, port = behind(t, nginx)
    d.reload(d_conf(d, "grace 10s"))
    w = t.ws(port, "/ws")
    w.echo_check(b"before")
    procs.kill(d.pid, signal.SIGTERM)
    wait_until(lambda: t.http(port, request("/health", headers=[
        ("Connection", "close")])).status == 503, "503 of /health")
    w.echo_check(b"during")
    w.close(1000)
    w.expect_close(1000, answer=False)
    d.wait_end()


def d_conf(d, line):
    """The daemon's configuration with one more line, as text."""
    with open(d.conf_path) as f:
        return f.read().replace("grace 2s", line)
