# SPDX-License-Identifier: ISC
"""What goes wrong in the parent stays small: files that are too large or not
ours, children that die while a reload ends."""
import os
import pwd
import signal

from lib import procs
from lib.daemon import USER, server
from lib.harness import eq, has, needs_root, ok, wait_until

ECHO = '\tlocation "/echo" { echo }\n'


def test_hosts_too_large(t):
    """What fits is used, with a warning; the dialer lives."""
    line = "127.0.0.1 h%07d.example.test\n"
    path = t.write("hosts", "".join(line % i for i in range(10)))
    d = t.daemon('hosts "%s"\n' % path + server(ECHO))
    dialer = d.workers("dialer")[0]["pid"]
    t.write("hosts", "".join(line % i for i in range(60000)))
    ok(os.stat(path).st_size > 1 << 20, "more than 1 MiB")
    d.reload()
    ok(any(path in str(r) and "only the first" in str(r)
           for r in d.logs("note")), "a warning")
    eq(d.workers("dialer")[0]["pid"], dialer)
    t.ws(d.port(), "/echo").echo_check(b"x")


def test_last_relay_dies_in_a_reload(t):
    """Its slot is to go: nobody starts it anew outside of the table."""
    d = t.daemon("prefork 2\n" + server(ECHO))
    pid = d.workers("relay")[1]["pid"]
    d.expect_exits = True       # the silent one is killed
    os.kill(pid, signal.SIGSTOP)
    d.reload("prefork 1\n" + server(ECHO))
    wait_until(lambda: len(d.children()) == 3 and
               not procs.alive(pid), "three children", 15)
    eq(len(d.workers("relay")), 1)
    t.ws(d.port(), "/echo").echo_check(b"x")


def test_log_file_of_others(t):
    """A log file with a second name is refused."""
    log = t.write("second.log", "")
    os.link(log, t.path("other-name"))
    user = 'user "%s"\nchroot "%s"\n' % (USER, t.path("empty")) \
        if t.root else ""
    if t.root:
        os.mkdir(t.path("empty"), 0o755)
    rc, out, err = t.run([t.tunneld, "-f", t.write(
        "x.conf", '%slog to "%s"\ncontrol socket "%s"\n%s' % (
            user, log, t.path("c.sock"), server(ECHO)))])
    eq(rc, 1)
    has(err, "%s\": has another name" % log)


@needs_root
def test_log_file_of_another_user(t):
    """Nor does root write to what somebody else could have put there."""
    log = t.write("theirs.log", "")
    os.chown(log, pwd.getpwnam(USER).pw_uid, -1)
    os.mkdir(t.path("empty"), 0o755)
    rc, out, err = t.run([t.tunneld, "-f", t.write(
        "x.conf", 'user "%s"\nchroot "%s"\nlog to "%s"\ncontrol off\n%s' % (
            USER, t.path("empty"), log, server(ECHO)))])
    eq(rc, 1)
    has(err, "%s\": belongs to another user" % log)
