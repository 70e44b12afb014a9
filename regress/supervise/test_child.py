# SPDX-License-Identifier: ISC
"""A child whose parent is played by the test: it believes not even that."""
import os
import pwd
import re
import socket
import struct
import subprocess

from lib.daemon import USER
from lib.harness import PATIENCE, eq, has, kinds, ok

ROLES = ("parent", "control", "dialer", "relay")


def types(t):
    """{name: number} of the messages, as msg.h has them."""
    with open(os.path.join(t.top, "tunneld/msg.h")) as f:
        text = f.read()
    text = text[text.index("#define MESSAGES(M)"):text.index("MSG_ENUM")]
    return {n: i for i, n in enumerate(re.findall(r"^M\((\w+),", text, re.M),
                                       1)}


class Child:
    """tunneld -R ROLE with a channel to us."""

    def __init__(self, t, role):
        self.t, self.role, self.types = t, role, types(t)
        self.chan, far = socket.socketpair()
        t.socket(self.chan)
        r, w = os.pipe()        # for its record of a violation
        self.err = open(t.path("child.err"), "w+b")
        t.defer(self.err.close)

        def fds():
            a, b = os.dup(far.fileno()), os.dup(w)
            os.dup2(a, 3)
            os.dup2(b, 4)
            os.closerange(5, 100)
        self.p = subprocess.Popen([t.tunneld, "-R", role], close_fds=False,
                                  stdin=subprocess.DEVNULL, stderr=self.err,
                                  preexec_fn=fds, start_new_session=True)
        t.defer(t.end, self.p)
        far.close()
        os.close(r)
        os.close(w)

    def send(self, name, payload=b""):
        self.chan.sendall(struct.pack("=IIII", self.types[name], 16 + len(
            payload), 0, os.getpid()) + payload)

    def hello(self, build):
        pw = pwd.getpwnam(USER)
        self.send("HELLO", struct.pack(
            ">BIIQBBIIHQI", ROLES.index(self.role), 0, 1, build, True,
            self.t.root, pw.pw_uid, pw.pw_gid, 0, 0, 0))

    def ended(self):
        """Exit code and last words."""
        code = self.p.wait(PATIENCE * self.t.slow)
        self.err.seek(0)
        return code, self.err.read().decode()


@kinds("plain")
def test_child_of_another_build(t):
    """Two versions are never mixed."""
    c = Child(t, "relay")
    c.hello(1)
    code, words = c.ended()
    eq(code, 1)
    has(words, "the executable has changed")


@kinds("plain")
def test_child_wants_order(t):
    """HELLO first, and nothing of a child to a child's parent."""
    for name in ("STATS", "COMMIT", "OPEN", "READY"):
        c = Child(t, "dialer")
        c.send(name)
        code, words = c.ended()
        eq(code, 1)
        has(words, "unexpected %s from the parent" % name)


@kinds("plain")
def test_child_alone(t):
    """Whoever types -R has no parent."""
    rc, out, err = t.run([t.tunneld, "-R", "relay"])
    eq(rc, 1)
    ok("-R is for tunneld itself" in err, err)
