# SPDX-License-Identifier: ISC
"""CPU time and memory of process trees, and runs of the load tool."""
import json
import os
import subprocess
import time

from regress.lib import procs

from .systems import Broken

TICK = 1000000000 // os.sysconf("SC_CLK_TCK")


def task_ns(pid):
    """Nanoseconds on a CPU of all threads of a process."""
    ns = 0
    for tid in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/schedstat" % (pid, tid)) as f:
            ns += int(f.read().split()[0])
    return ns


def ended_ns(pid):
    """What its children used that have ended, to 10 ms."""
    with open("/proc/%d/stat" % pid) as f:
        v = f.read().rsplit(")", 1)[1].split()
    return (int(v[13]) + int(v[14])) * TICK


def cpu(system):
    """{process: ns}, and under None that of those which have ended."""
    out = {None: 0}
    for pid in system.pids():
        try:
            out[pid] = task_ns(pid)
            out[None] += ended_ns(pid)
        except (FileNotFoundError, ProcessLookupError):
            pass                # a process per connection: seen by its parent
    return out


def quiet(system, seconds=2.0):
    """Wait until it has nothing left to do; then its CPU times."""
    end = time.monotonic() + seconds
    old = cpu(system)
    while True:
        time.sleep(0.03)
        new = cpu(system)
        if (sum(new.values()) - sum(old.values()) < 300000 or
                time.monotonic() > end):
            return new
        old = new


def anonymous(system):
    """Bytes of memory that are nobody else's, over all processes."""
    total = 0
    for pid in system.pids():
        with open("/proc/%d/smaps_rollup" % pid) as f:
            for line in f:
                if line.startswith("Anonymous:"):
                    total += int(line.split()[1]) * 1024
    return total


class Load:
    """One run of the load tool, step by step.  It gives up by itself when
    nothing moves."""

    def __init__(self, place, args):
        self.args = [str(a) for a in args]
        self.p = place.spawn(
            [os.path.join(place.objdir, "regress/bench/load")] + self.args,
            place.load_cpu, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, bufsize=1)

    def fail(self, why):
        self.p.kill()
        _, err = self.p.communicate()
        return Broken("load %s: %s" % (" ".join(self.args),
                                       (err or why).strip()[:400]))

    def line(self):
        text = self.p.stdout.readline()
        if not text:
            raise self.fail("no answer")
        return text.strip()

    def expect(self, word):
        text = self.line()
        if text != word:
            raise self.fail("%r instead of %r" % (text, word))

    def go(self):
        try:
            self.p.stdin.write("\n")
        except BrokenPipeError:
            raise self.fail("it has ended") from None

    def result(self):
        out, err = self.p.communicate()
        if self.p.returncode != 0:
            raise Broken("load %s: %s" % (" ".join(self.args),
                                          (err or out).strip()[:400]))
        return json.loads(out.strip().split("\n")[-1])


def run(place, system, args):
    """The load tool against a system: its results, with cpu-ns added."""
    load = Load(place, args)
    load.expect("ready")
    before = quiet(system)
    load.go()
    load.expect("done")
    after = quiet(system)
    load.go()
    out = load.result()
    why = system.healthy()
    if why:
        raise Broken("%s: %s" % (system.name, why))
    if not system.slow and set(before) - set(after):
        raise Broken("%s: a process died" % system.name)
    used = {p: ns - before.get(p, 0) for p, ns in after.items()}
    # What has ended since was counted as living before.
    used[None] -= sum(ns for p, ns in before.items() if p not in after)
    out["cpu-ns"] = max(0, sum(used.values()))
    out["cpu-ns-by-process"] = {
        procs.title(p) or str(p): ns for p, ns in used.items()
        if p is not None and ns > 0 and len(used) < 20}
    return out


def idle(place, system, conns, args):
    """Memory per idle session."""
    before = anonymous(system)
    load = Load(place, args)
    load.expect("ready")
    quiet(system)
    after = anonymous(system)
    load.go()
    out = load.result()
    out["memory-bytes"] = (after - before) / conns
    return out
