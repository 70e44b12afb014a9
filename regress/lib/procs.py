# SPDX-License-Identifier: ISC
"""Processes as /proc shows them: who descends from whom, what they may do.

Linux only, as the rest of the end-to-end tests.
"""
import ctypes
import os
import signal

PR_SET_CHILD_SUBREAPER = 36


def subreaper():
    """Orphans below us become our children, so that none can get away."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def table():
    """{pid: (parent's pid, state, command)} of everything that runs."""
    out = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open("/proc/%s/stat" % name, "rb") as f:
                text = f.read().decode("latin-1")
        except OSError:
            continue
        right = text.rindex(")")
        rest = text[right + 2:].split()
        out[int(name)] = (int(rest[1]), rest[0],
                          text[text.index("(") + 1:right])
    return out


def children(pid):
    """Living children of pid, zombies left out."""
    return sorted(p for p, (pp, st, _) in table().items()
                  if pp == pid and st not in "ZX")


def descendants(pid):
    """All living processes below pid."""
    tab = table()
    below, grown = {pid}, True
    while grown:
        grown = False
        for p, (pp, _, _) in tab.items():
            if pp in below and p not in below:
                below.add(p)
                grown = True
    below.discard(pid)
    return sorted(p for p in below if tab[p][1] not in "ZX")


def alive(pid):
    """Does pid run (a zombie does not)?"""
    try:
        with open("/proc/%d/stat" % pid, "rb") as f:
            return f.read().decode("latin-1").rsplit(")", 1)[1][1] not in "ZX"
    except OSError:
        return False


def title(pid):
    """The command line as ps shows it."""
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as f:
            return f.read().replace(b"\0", b" ").decode("latin-1").strip()
    except OSError:
        return ""


def status(pid):
    """/proc/PID/status as {field: text}."""
    with open("/proc/%d/status" % pid) as f:
        return dict((k, v.strip()) for k, v in
                    (line.split(":", 1) for line in f if ":" in line))


def rss(pid):
    """Resident memory in bytes."""
    return int(status(pid)["VmRSS"].split()[0]) * 1024


def cpu(pid):
    """Ticks of 10 ms that it has worked, in user mode and in the kernel."""
    with open("/proc/%d/stat" % pid) as f:
        v = f.read().rsplit(")", 1)[1].split()
    return int(v[11]) + int(v[12])


def wakeups(pid):
    """How often it has slept and was woken."""
    return int(status(pid)["voluntary_ctxt_switches"])


def descriptors(pid, pipes=True):
    """How many it has open; of a sandboxed process only root may know."""
    names = os.listdir("/proc/%d/fd" % pid)
    if pipes:
        return len(names)
    n = 0
    for name in names:
        try:
            n += not os.readlink("/proc/%d/fd/%s" % (pid, name)
                                 ).startswith("pipe:")
        except OSError:
            pass                        # closed meanwhile
    return n


def kill(pid, sig=signal.SIGKILL):
    """Signal one process; True if it was there."""
    try:
        os.kill(pid, sig)
        return True
    except ProcessLookupError:
        return False


def reap():
    """Collect every child that has ended, without waiting."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
