# SPDX-License-Identifier: ISC
"""What is measured, and the bars."""
import platform
import resource

OURS = ("gateway", "gateway-4", "forward+gateway")
WS = ("gateway", "lighttpd", "websockify")
TCP = ("haproxy-splice", "haproxy", "forward+gateway", "haproxy-2-hops",
       "direct")
BULK = WS + TCP + ("haproxy-64k", "haproxy-splice-2-hops")
K, M = 1024, 1024 * 1024


def descriptors():
    """As many as we may have; the limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def machine():
    name = platform.freedesktop_os_release().get("PRETTY_NAME", "?")
    return "%s, %s" % (name, platform.machine())


class Test:
    """unit: what CPU is divided by: GB, message, connection; or memory.

    amount: how much one round is, by_system for slow ones; quick: which part
    of it is enough to see that it runs.
    """

    def __init__(self, name, title, what, mode, backend, unit, systems,
                 flags, amount, quick, by_system=None):
        self.name, self.title, self.what = name, title, what
        self.mode = mode
        self.backend, self.unit, self.systems = backend, unit, systems
        self.flags, self.full, self.quick = flags, amount, quick
        self.by_system = by_system or {}
        self.memory = unit == "memory"

    def rounds(self, args):
        # Memory has no noise to speak of.
        return min(args.rounds, 2) if self.memory else args.rounds

    def amount(self, system, quick, scale=1.0):
        full = self.by_system.get(system.name, self.full)
        return max(1, int((full * self.quick if quick else full) * scale))

    def argv(self, system, quick, scale=1.0):
        n = str(self.amount(system, quick, scale))
        letter = {"GB": "-b", "memory": "-c"}.get(self.unit, "-n")
        return ([self.mode, letter, n] + self.flags +
                ([] if self.memory else ["-g"]) +
                (["-e"] if system.foreign else []) + [system.url()])


def up(name, size, title, systems, amount, by_system):
    return Test("up-" + name, "upload, %s frames" % title,
                "one upload in frames of %d bytes" % size,
                "up", "sink", "GB", systems, ["-s", str(size)], amount, 1 / 16,
                by_system)


TESTS = (
    Test("down", "download", "one download", "down", "source", "GB", BULK,
         [], 1024 * M, 1 / 16, {"websockify": 512 * M}),
    up("64K", 64 * K, "64 KiB", BULK, 1024 * M,
       {"websockify": 256 * M, "lighttpd": 256 * M}),
    up("16K", 16 * K, "16 KiB", BULK, 1024 * M,
       {"websockify": 128 * M, "lighttpd": 256 * M}),
    up("1K", K, "1 KiB", WS, 512 * M,
       {"websockify": 8 * M, "lighttpd": 128 * M}),
    up("125", 125, "125 B", WS, 256 * M,
       {"websockify": 1 * M, "lighttpd": 16 * M}),
    Test("echo-1", "64 B echo, 1 connection",
         "64 bytes there and back, 1 connection", "echo", "echo",
         "message", WS + TCP, ["-s", "64"], 10000, 1 / 10,
         {"websockify": 3000}),
    Test("echo-64", "64 B echo, 64 connections",
         "64 bytes there and back, 64 connections", "echo",
         "echo", "message", WS + TCP, ["-s", "64", "-c", "64"], 64000,
         1 / 10, {"websockify": 6400}),
    Test("conns", "connect, echo 16 B, close",
         "connect, upgrade, 16 bytes there and back, close; 8 at a time",
         "conns", "echo", "connection",
         WS + TCP + ("gateway-4",), ["-s", "16", "-c", "8"], 4000, 1 / 20,
         {"websockify": 100}),
    Test("idle", "memory of an idle session",
         "memory of an idle session that has talked", "idle", "echo",
         "memory", WS + TCP[:-1], [], 5000, 1 / 10, {"websockify": 50}),
    Test("streams", "8 streams, random frames, both ways",
         "8 verified streams at once, random frames, both ways",
         "streams", "echo", "GB", WS + TCP, ["-c", "8"], 32 * M, 1 / 8,
         {"websockify": 1 * M, "lighttpd": 4 * M}),
)


class Bar:
    """system may cost at most limit times what against costs, in the same
    run; without against: at most limit, absolutely."""

    def __init__(self, what, test, system, metric, limit, against=None,
                 unit=""):
        self.what, self.test, self.system = what, test, system
        self.metric, self.limit, self.against = metric, limit, against
        self.unit = unit


BARS = (
    Bar("download", "down", "gateway", "cpu", 1.15, "haproxy-splice"),
    Bar("upload, 16 KiB frames", "up-16K", "gateway", "cpu", 0.65, "haproxy"),
    Bar("upload, 1 KiB frames", "up-1K", "gateway", "cpu", 0.08, "lighttpd"),
    Bar("upload, 125 B frames", "up-125", "gateway", "cpu", 0.02,
        "lighttpd"),
    Bar("echo, 64 connections", "echo-64", "gateway", "cpu", 1.1, "haproxy"),
    Bar("echo, 1 connection, p50", "echo-1", "gateway", "p50-us", 1.1,
        "haproxy"),
    Bar("a connection", "conns", "gateway", "cpu", 1.3, "lighttpd"),
    Bar("a connection, prefork 4", "conns", "gateway-4", "cpu", 1.3,
        "gateway"),
    Bar("an idle session, KiB", "idle", "gateway", "memory", 1.5),
    Bar("forward + gateway, down", "down", "forward+gateway", "cpu", 0.6,
        "haproxy-2-hops"),
    Bar("forward + gateway, up", "up-16K", "forward+gateway", "cpu", 0.8,
        "haproxy-2-hops"),
)
