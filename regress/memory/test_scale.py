# SPDX-License-Identifier: ISC
"""Ten thousand sessions in two relays."""
import resource
import signal

from lib import procs
from lib.daemon import gateway, server
from lib.harness import alone, eq, kinds, needs_root, ok, pause, timeout, \
    wait_until
from lib.measure import Helper, Usage, crowd, figure, target
from lib.wsraw import upgrade

SESSIONS = 10000
EACH = 4096             # bytes an idle session may cost, all processes
BURST = 30              # seconds
PING_EVERY = 6          # seconds: each session is pinged while we look on
COST_PING = 60e-6       # CPU seconds for a Ping and its Pong, five times what
#                         it costs on an idle machine
IDLE_CPU = 0.05         # of one processor, besides


def sessions_for(limit):
    """A relay needs two descriptors for each; none gets all of them."""
    return min(SESSIONS, limit // 2)


@alone
@needs_root
@kinds("plain")
@timeout(180)
def test_ten_thousand(t):
    """All come within BURST and are answered; idle they cost little; one
    percent talks and is answered; they go and leave nothing behind."""
    n = sessions_for(resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    back = Helper(t, target, "echo")
    conf = "ping every %ds timeout 5s\nlog level brief\n" % PING_EVERY
    d = t.daemon(conf + server(
        "\tmax-sessions %d\n" % n + gateway(back.ask({})["port"])))
    people = Helper(t, crowd, d.port(), 1000)
    # Before they come, one has been there: buffers and pages are touched.
    eq(people.ask({"come": 1})["answers"], 1)
    people.ask({"go": True})
    d.wait_sessions(0)
    use = Usage(d)
    memory, fds = use.memory(), use.descriptors()

    got = people.ask({"come": n}, 90)
    figure("%d came in %.1f s (bound %d), first answer at once %.1f ms, "
           "at worst %.0f ms" % (got["there"], got["seconds"], BURST,
                                 got["p50"] * 1000, got["max"] * 1000))
    eq((got["there"], got["answers"], got["wrong"]), (n, n, 0),
       "all came and were answered %s" % got["why"])
    ok(got["seconds"] <= BURST, "the burst took too long")
    eq(d.health()["connections"], n, "connections")

    each = (use.memory() - memory) / n
    figure("an idle session costs %d bytes (bound %d)" % (each, EACH))
    ok(each <= EACH, "%d bytes for an idle session" % each)

    cpu = use.cpu()
    got = people.ask({"idle": PING_EVERY}, 60)
    busy = (use.cpu() - cpu) / got["seconds"]
    bound = IDLE_CPU + n / PING_EVERY * COST_PING
    figure("idle, %d Pings a second: %.1f %% of a processor (bound %.1f)" % (
        n / PING_EVERY, busy * 100, bound * 100))
    ok(busy <= bound, "idle sessions cost %.1f %% CPU" % (busy * 100))

    got = people.ask({"talk": 0.01}, 60)
    figure("1 %% talk: p50 %.1f ms, at worst %.1f ms" % (
        got["p50"] * 1000, got["max"] * 1000))
    eq((got["there"], got["answers"], got["unanswered"], got["wrong"]),
       (n, n // 100, 0, 0), "talkers %s" % got["why"])
    eq(d.health()["connections"], n, "all stayed")

    people.ask({"go": True})
    wait_until(lambda: d.health()["connections"] == 0, "all to be gone", 30,
               0.2)
    wait_until(lambda: use.descriptors() <= fds, "descriptors to come back",
               10, 0.2)
    left = use.memory() - memory
    figure("%d KiB more than before when all are gone" % (left / 1024))


@needs_root
@kinds("plain")
@timeout(120)
def test_many_are_announced(t):
    """A new dialer is told of all sessions of a relay, however many they are:
    the limit still holds, and what they leave is free again."""
    n = min(9500, sessions_for(
        resource.getrlimit(resource.RLIMIT_NOFILE)[1]) * 95 // 100)
    d = t.daemon("prefork 1\nping off\nlog level brief\n" + server(
        '\tmax-sessions %d\n\tlocation "/echo" { echo }' % n))
    port = d.port()
    people = Helper(t, crowd, port, 256, "/echo")
    eq(people.ask({"come": n}, 90)["answers"], n, "sessions")
    eq(t.http(port, upgrade("/echo")).status, 429, "one too many")
    before = d.children()
    old = d.kill_worker("dialer")
    # Its successor is slow to read what it is told.
    new = wait_until(lambda: [p for p in d.children() if p not in before],
                     "a new dialer", 10, 0.001)
    procs.kill(new[0], signal.SIGSTOP)
    pause(0.5)
    procs.kill(new[0], signal.SIGCONT)
    d.wait_worker("dialer", old, 20)
    eq(t.http(port, upgrade("/echo")).status, 429, "one too many, later")
    people.ask({"go": True})
    d.wait_sessions(0, 30)
    eq(people.ask({"come": n}, 90)["answers"], n, "sessions again")
