# SPDX-License-Identifier: ISC
"""tunnelctl and the control socket: words, keys, exit codes, bad clients."""
import json
import os
import re
import socket
import stat
import struct

from lib import procs
from lib.daemon import USER, Daemon, forward, gateway, server
from lib.harness import eq, has, needs_root, ok, smoke, wait_until
from lib.peers import connect, echo
from lib.wsraw import request

BODY = '\tlocation "/echo" { echo }\n\tlocation "/health" { health }\n' \
    '\tlocation "/metrics" { metrics allow from { 127.0.0.0/8 } }\n'
SESSION = ["id", "worker", "type", "server", "location", "listener", "user",
           "client", "peer", "x-forwarded-for", "target", "state", "started",
           "duration", "idle", "bytes-in", "bytes-out", "subprotocol",
           "generation"]
WORKER = ["role", "id", "pid", "state", "restarts", "sessions",
          "descriptors", "sandbox"]
SANDBOX = ["seccomp", "landlock", "chroot", "uid"]
LISTENER = ["name", "type", "address", "port", "generation"]
HEALTH = ["status", "version", "uptime", "connections", "max-connections",
          "connections-capacity-percent", "workers"]


def start(t, conf=""):
    d = t.daemon(conf + server(BODY))
    return d, d.port()


def covers(row, keys, what):
    missing = [k for k in keys if k not in row]
    eq(missing, [], "%s: missing keys in %s" % (what, sorted(row)))
    for k in row:
        ok(re.fullmatch(r"[a-z]+(-[a-z]+)*", k), "key %r" % k)


def run(t, d, *words):
    return t.run([t.tunnelctl, "-s", d.sock] + list(words))


# ---- what is shown ------------------------------------------------------

@smoke
def test_sessions_keys(t):
    e = t.serve(echo)
    d = t.daemon(server(BODY + gateway(e.port)))
    w = t.ws(d.port(), "/ws", protocols="binary")
    w.echo_check(b"12345")
    answer = d.ctl("show", "sessions")
    eq(list(answer), ["sessions"])
    [s] = answer["sessions"]
    covers(s, SESSION, "session")
    ok(re.fullmatch(r"\d+\.\d+\.\d+", s["id"]), "id %r" % s["id"])
    eq((s["type"], s["server"], s["location"], s["user"], s["state"]),
       ("gateway", "s", "/ws", None, "open"))
    eq(s["target"], "127.0.0.1:%d" % e.port)
    ok(s["client"].startswith("127.0.0.1:"), s["client"])
    eq(s["peer"], s["client"])
    eq(s["listener"], "127.0.0.1:%d" % d.port())
    eq((s["x-forwarded-for"], s["subprotocol"]), (None, "binary"))
    eq((s["bytes-in"], s["bytes-out"]), (5, 5))
    ok(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", s["started"]),
       s["started"])
    raw = d.t.run([t.tunnelctl, "-s", d.sock, "-j", "show", "sessions"])[1]
    ok(re.search(r'"duration":\s*\d+\.\d{3}\b', raw), raw)
    eq(s["generation"], 1)
    eq(d.wait_log("open")["session"], s["id"])


def test_workers_keys(t):
    d, p = start(t)
    t.ws(p, "/echo")
    answer = d.ctl("show", "workers")
    eq(list(answer), ["workers"])
    rows = answer["workers"]
    for w in rows:
        covers(w, WORKER, "worker")
        covers(w["sandbox"], SANDBOX, "sandbox")
        ok(procs.alive(w["pid"]), "pid of %s" % w["role"])
    eq(sorted(w["role"] for w in rows),
       ["control", "dialer", "parent", "relay", "relay"])
    eq([w["pid"] for w in rows if w["role"] == "parent"], [d.pid])
    eq(sum(w["sessions"] or 0 for w in rows if w["role"] == "relay"), 1)
    eq({w["state"] for w in rows}, {"ready"})


def test_listeners_keys(t):
    path = t.path("u.sock")
    d = t.daemon(server(BODY, name="web") +
                 server(BODY, name="six", listen="::1 port 0") +
                 forward("ws://127.0.0.1:1/x") +
                 forward("ws://127.0.0.1:1/x", listen='unix "%s"' % path))
    answer = d.ctl("show", "listeners")
    eq(list(answer), ["listeners"])
    rows = answer["listeners"]
    for r in rows:
        covers(r, LISTENER, "listener")
    eq(len(rows), 4)
    by = {r["name"]: r for r in rows}
    eq((by["web"]["type"], by["web"]["address"]), ("server", "127.0.0.1"))
    eq(by["six"]["address"].strip("[]"), "::1")
    ok(by["web"]["port"] > 0, "the kernel's port")
    fwd = [r for r in rows if r["type"] == "forward"]
    eq(len(fwd), 2)
    eq([r["port"] for r in fwd if path in r["address"]], [None])


@smoke
def test_health_is_the_same(t):
    d, p = start(t)
    h = d.health()
    eq(list(h), HEALTH)
    body = json.loads(t.http(p, request("/health")).body)
    eq(list(body), HEALTH)
    for k in HEALTH:
        if k not in ("uptime", "connections"):
            eq(body[k], h[k], k)
    eq(h["max-connections"], 1000)


def test_stats_are_the_metrics(t):
    d, p = start(t)
    t.ws(p, "/echo").echo_check(b"x")
    s = d.stats()
    body = t.http(p, request("/metrics")).body.decode()
    names = set(re.findall(r"^tunneld_([a-z_]+)", body, re.M))
    text = json.dumps(s)
    for name in names:
        has(text, name, "show stats")


@smoke
def test_config(t):
    """show config: the effective text; it parses back to the same."""
    d, p = start(t)
    text = d.ctl("show", "config")
    eq(list(text), ["text"])
    eq(d.text_of("show", "config").strip(), text["text"].strip())
    path = t.write("shown.conf", text["text"])
    rc, out, err = t.run([t.tunneld, "-nv", "-f", path], code=0)
    eq(out.strip(), text["text"].strip())


@smoke
def test_text_output(t):
    """Every command has a text form for people."""
    d, p = start(t)
    w = t.ws(p, "/echo")
    sid = d.sessions()[0]["id"]
    has(d.text_of("show", "sessions"), sid)
    has(d.text_of("show", "workers"), "relay")
    has(d.text_of("show", "listeners"), str(p))
    has(d.text_of("show", "health"), "ok")
    has(d.text_of("show", "stats"), "sessions_total")
    for words in (("show", "sessions"), ("show", "workers"),
                  ("show", "listeners"), ("show", "health")):
        text = d.text_of(*words)
        ok(text.endswith("\n") and "\0" not in text, words)
        ok(not re.search(r"[^\x20-\x7e\n]", text), "plain ASCII: %r" % text)
    w.close()


def test_hostile_strings_are_encoded(t):
    """Strangers' bytes reach neither terminal nor log as they are."""
    d = t.daemon(server("\ttrusted-proxies { 127.0.0.1 }\n" + BODY))
    s = t.connect(d.port())
    s.sendall(b"GET /\x1b[31m%07 HTTP/1.1\r\nHost: x\r\n\r\n")
    s.recv(1000)
    w = t.ws(d.port(), "/echo", headers=[
        ("X-Forwarded-For", "10.1.1.1, evil\xff\"\\<>")])
    text = d.text_of("show", "sessions")
    ok(not re.search(r"[^\x20-\x7e\n]", text), "plain ASCII: %r" % text)
    d.sessions()
    for r in d.logs():
        json.dumps(r)
    w.close()


def test_many_sessions(t):
    """More rows than one message or one slice holds."""
    d = t.daemon("prefork 2\n" + server(BODY))
    p = d.port()
    ws = [t.ws(p, "/echo") for _ in range(300)]
    ids = [s["id"] for s in d.sessions()]
    eq((len(ids), len(set(ids))), (300, 300))
    ws[0].close()


# ---- words --------------------------------------------------------------

@smoke
def test_abbreviations(t):
    d, p = start(t)
    eq(run(t, d, "sh", "h")[0], 0)
    eq(run(t, d, "show", "li")[1], run(t, d, "show", "listeners")[1])
    eq(run(t, d, "sho", "wor")[0], 0)
    rc, out, err = run(t, d, "show", "s")       # sessions or stats?
    eq((rc, out), (2, ""))
    has(err, "sessions")
    has(err, "stats")


@smoke
def test_usage(t):
    """Exit 2 with what would have been valid."""
    d, p = start(t)
    for words, hint in ((("nonsense",), "show"), (("show",), "sessions"),
                        (("show", "nonsense"), "workers"),
                        (("kill",), "session"), ((), "show"),
                        (("kill", "session"), ""), (("log", "x"), "brief"),
                        (("reload", "x"), ""),
                        (("show", "health", "x"), "")):
        rc, out, err = run(t, d, *words)
        eq((rc, out), (2, ""), "tunnelctl %s" % " ".join(words))
        has(err, hint, " ".join(words))
    rc, out, err = t.run([t.tunnelctl, "-x"])
    eq((rc, out), (2, ""))
    has(err, "usage:")


def test_no_daemon(t):
    path = t.path("none.sock")
    rc, out, err = t.run([t.tunnelctl, "-s", path, "show", "health"])
    eq((rc, out), (1, ""))
    has(err, path)
    rc, out, err = t.run([t.tunnelctl, "-j", "-s", path, "show", "health"])
    eq(rc, 1)
    eq(list(json.loads(out)), ["error"])


# ---- what is done -------------------------------------------------------

@smoke
def test_kill_session(t):
    d, p = start(t)
    a, b = t.ws(p, "/echo"), t.ws(p, "/echo")
    a.echo_check(b"x")
    first = d.sessions()[0]["id"]
    eq(run(t, d, "kill", "session", first)[0], 0)
    d.wait_sessions(1)
    eq(d.logs("close", session=first)[0]["reason"], "killed")
    rc, out, err = run(t, d, "kill", "session", first)
    eq((rc, out), (1, ""), "already gone")
    has(err, first)
    has(d.ctl("kill", "session", "9.9.9", code=1)["error"], "9.9.9")
    for bad in ("x", "1", "1.2", "-1.2.3", "1.2.3.4", "1.2.99999999999999999",
                "999.1.1"):
        rc, out, err = run(t, d, "kill", "session", bad)
        ok(rc in (1, 2), "id %s: exit %d" % (bad, rc))
    eq(len(d.sessions()), 1)
    b.close()


def test_log_level(t):
    """brief | verbose | debug take effect at once, in every process."""
    d, p = start(t, "log level brief\n")
    loud = ("verbose", "debug")
    t.ws(p, "/echo").close()
    d.wait_log("open")
    eq([r for r in d.logs() if r["level"] in loud], [])
    for word in ("verbose", "d"):
        eq(run(t, d, "log", word)[0], 0)
    w = t.ws(p, "/echo")
    w.raw(b"\xff\xff")            # what is wrong is told in detail
    w.expect_close(1002)
    wait_until(lambda: [r for r in d.logs() if r["level"] in loud],
               "records above brief")


def test_reload_by_ctl(t):
    d, p = start(t)
    eq(run(t, d, "reload")[0], 0)
    d.wait_log("reload")


# ---- the socket ---------------------------------------------------------

def test_socket_mode(t):
    d, p = start(t)
    m = os.stat(d.sock)
    eq(stat.S_IMODE(m.st_mode), 0o660)
    d.stop()
    ok(not os.path.exists(d.sock), "removed at the end")


def test_socket_mode_configured(t):
    d = t.daemon('control socket "%s" mode 0600\n' % t.path("c.sock") +
                 server(BODY))
    d.sock = t.path("c.sock")
    eq(stat.S_IMODE(os.stat(d.sock).st_mode), 0o600)
    d.health()


def test_control_off(t):
    d = t.daemon("control off\n" + server(BODY))
    ok(not os.path.exists(d.sock), "no socket")
    ok(d.wait_log("ready"), "ready")


@needs_root
def test_stranger_is_refused(t):
    """Another user: not even a look."""
    d, p = start(t)
    rc, out, err = t.run([t.public(t.tunnelctl), "-s", d.sock, "show",
                          "health"], user=USER)
    eq((rc, out), (1, ""))
    ok(err, "a reason")


@needs_root
def test_group_is_allowed(t):
    """Members of the socket's group may; supplementary groups count."""
    d, p = start(t)
    gid = os.stat(d.sock).st_gid
    ctl = t.public(t.tunnelctl)
    rc, out, err = t.run([ctl, "-s", d.sock, "show", "health"],
                         user="daemon", group="daemon", extra_groups=[gid])
    eq(rc, 0, err)
    rc, out, err = t.run([ctl, "-s", d.sock, "show", "health"],
                         user="daemon", group="daemon", extra_groups=[])
    eq(rc, 1, "not a member")


@needs_root
def test_worker_is_refused(t):
    """A dialer that was taken over gives no orders: not by its group, and
    not by a socket that is open to everybody."""
    for mode in ("0660", "0666"):
        sock = t.path("m%s.sock" % mode)
        d = t.daemon('control socket "%s" mode %s\n' % (sock, mode) +
                     server(BODY), name="m" + mode)
        d.sock = sock
        gid = os.stat(sock).st_gid
        ctl = [t.public(t.tunnelctl), "-s", sock]
        for words in (["show", "health"], ["reload"], ["log", "debug"]):
            rc, out, err = t.run(ctl + words, user=USER, group=gid,
                                 extra_groups=[])
            eq((rc, out), (1, ""))
            has(err, "permission denied")
        rc, out, err = t.run(ctl + ["show", "health"], user="daemon",
                             group="daemon", extra_groups=[gid])
        eq(rc, 0, err)
        eq(len(d.logs("reload")), 0)


def raw(d):
    s = connect(d.sock, 10)
    d.t.defer(s.close)
    return s


def imsg(kind, payload=b"", length=None, peer=1):
    n = 16 + len(payload) if length is None else length
    return struct.pack("=IIII", kind, n, peer, 0) + payload


def closed(s):
    try:
        while s.recv(65536):
            pass
        return True
    except ConnectionResetError:
        return True
    except socket.timeout:
        return False


HELLO = imsg(1, struct.pack("!I", 1) + b"test")


def test_malformed_clients(t):
    """Each costs itself and nobody else."""
    d, p = start(t)
    ctl = d.workers("control")[0]["pid"]
    for what in (b"GET / HTTP/1.1\r\n\r\n", b"\0" * 64, b"\xff" * 64,
                 imsg(1, b"\0"), imsg(99, b"x"), imsg(1, length=3),
                 imsg(1, length=1 << 30), imsg(1, length=70000),
                 HELLO + imsg(3), HELLO + imsg(3, b"\0" * 9),
                 HELLO + imsg(3, b"\xff" * 10), HELLO + imsg(4, b"x" * 50),
                 HELLO + HELLO, imsg(3, b"\0" * 10)):
        s = raw(d)
        try:
            s.sendall(what)
        except OSError:
            pass
        ok(closed(s), "still open after %r" % what[:40])
        eq(d.health()["status"], "ok")
    eq(d.workers("control")[0]["pid"], ctl, "control's pid")


def test_other_version_is_told(t):
    d, p = start(t)
    s = raw(d)
    s.sendall(imsg(1, struct.pack("!I", 7777) + b"future"))
    b = b""
    try:
        while True:
            x = s.recv(65536)
            if not x:
                break
            b += x
    except (ConnectionResetError, socket.timeout):
        pass
    kind, n, _, _ = struct.unpack_from("=IIII", b)
    eq(kind, 1, "HELLO first")
    eq(struct.unpack_from("!I", b, 16)[0], 1, "the daemon's version")
    kind, _, _, _ = struct.unpack_from("=IIII", b, n)
    eq(kind, 2, "then ERROR")


def test_fd_sent_to_control(t):
    """A client that sends descriptors: they are closed, not kept."""
    d, p = start(t)
    r, w = os.pipe()
    before = d.workers("control")[0]["descriptors"]
    for _ in range(4):
        s = raw(d)
        socket.send_fds(s, [HELLO], [w])
        socket.send_fds(s, [imsg(3, b"\0\0" + b"\0" * 8)], [w])
        s.close()
    os.close(w)
    os.set_blocking(r, False)

    def eof():
        try:
            return os.read(r, 1) == b""
        except BlockingIOError:
            return False
    wait_until(eof, "control to close descriptors", 12)
    os.close(r)
    wait_until(lambda: (d.workers("control")[0]["descriptors"] or 0) <=
               (before or 0) + 2, "descriptors", 12)


def test_slow_clients(t):
    """Mute ones and ones that do not read: the others are served at once."""
    d, p = start(t)
    ws = [t.ws(p, "/echo") for _ in range(100)]
    mute = [raw(d) for _ in range(3)]
    lazy = [raw(d) for _ in range(3)]
    for s in lazy:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        s.sendall(HELLO)
        for _ in range(50):
            s.sendall(imsg(3, struct.pack("!HQ", 0, 0)))
    for _ in range(5):
        eq(len(d.sessions()), 100)
    t.ws(p, "/echo").echo_check(b"x")
    for s in mute + lazy:
        s.close()
    ws[0].close()


def test_mute_client_is_dropped(t):
    d, p = start(t)
    s = raw(d)
    s.settimeout(20)
    ok(closed(s), "dropped within 20 s")


# ---- before there is a configuration ------------------------------------

def test_first_answer(t):
    """Who is answered is answered from a configuration, however early."""
    # A long one takes the control role a while to read.
    many = "".join('\tlocation "/l%d" { echo }\n' % i for i in range(200))
    for _ in range(20):
        d = Daemon(t, server(many))
        d.launch()
        answers = []

        def answered():
            answers.append(run(t, d, "show", "listeners"))
            return "is tunneld running" not in answers[-1][2]
        wait_until(answered, "an answer", step=0)
        eq((answers[-1][0], answers[-1][2]), (0, ""))
        d.wait_ready()
        d.stop()
