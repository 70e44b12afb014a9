# SPDX-License-Identifier: ISC
"""OpenSSH through forward and gateway, with an sshd of our own."""
import getpass
import hashlib
import os
import pwd

from lib.daemon import forward, gateway, server
from lib.foreign import wait_port
from lib.harness import Skip, data, eq, needs_tool, ok, smoke, timeout, tool
from lib.peers import in_parallel


class Ssh:
    """A scratch sshd on loopback and a client that knows its key."""

    def __init__(self, t):
        if pwd.getpwuid(os.getuid()).pw_shell.endswith(("nologin", "false")):
            raise Skip("needs a user who may log in")
        self.t = t
        self.dir = t.path("ssh")
        os.mkdir(self.dir, 0o700)
        for name in ("host", "user"):
            t.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f",
                   os.path.join(self.dir, name)], code=0)
        os.link(os.path.join(self.dir, "user.pub"),
                os.path.join(self.dir, "authorized"))
        self.port = t.port_free()
        conf = os.path.join(self.dir, "sshd_config")
        with open(conf, "w") as f:
            f.write("ListenAddress 127.0.0.1\nPort %d\nHostKey %s/host\n"
                    "AuthorizedKeysFile %s/authorized\nUsePAM no\n"
                    "PasswordAuthentication no\nStrictModes no\n"
                    "PermitRootLogin yes\nPidFile none\nLogLevel ERROR\n"
                    "MaxStartups 100\nMaxSessions 100\n"
                    "Subsystem sftp internal-sftp\n" %
                    (self.port, self.dir, self.dir))
        if t.root:
            os.makedirs("/run/sshd", 0o755, exist_ok=True)
        t.spawn([tool("sshd"), "-D", "-e", "-f", conf], log="sshd.out")
        wait_port(self.port, "sshd")

    def options(self, port):
        return ["-F", "none", "-i", os.path.join(self.dir, "user"),
                "-o", "Port=%d" % port, "-o", "BatchMode=yes",
                "-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR",
                "-o", "UserKnownHostsFile=/dev/null",
                "-o", "IdentitiesOnly=yes", "-o", "ConnectTimeout=20"]

    def host(self):
        return getpass.getuser() + "@127.0.0.1"


def through(t, top=""):
    """(sshd, forward daemon, gateway daemon, local port)."""
    ssh = Ssh(t)
    s = t.daemon(server(gateway(ssh.port, "/ssh")), name="srv")
    c = t.daemon(top + forward("ws://127.0.0.1:%d/ssh" % s.port()),
                 name="cli")
    return ssh, c, s, c.forward_port()


@smoke
@needs_tool("sshd", "ssh", "ssh-keygen")
def test_command(t):
    ssh, c, s, port = through(t)
    rc, out, err = t.run(["ssh"] + ssh.options(port) +
                         [ssh.host(), "echo through; exit 7"])
    eq((rc, out), (7, "through\n"), "exit code and output: " + err)


@needs_tool("sshd", "scp", "ssh-keygen")
@timeout(120)
def test_scp_100_mib(t):
    """There and back again: 100 MiB, checksums equal."""
    ssh, c, s, port = through(t)
    size = (100 << 20) if t.kind == "plain" else (20 << 20)
    h = hashlib.sha256()
    with open(t.path("a"), "wb") as f:
        for i in range(size >> 20):
            b = data(i, 1 << 20)
            h.update(b)
            f.write(b)
    opt = ["-q"] + ssh.options(port)
    t.run(["scp"] + opt + [t.path("a"), "%s:%s" % (ssh.host(), t.path("b"))],
          100, code=0)
    t.run(["scp"] + opt + ["%s:%s" % (ssh.host(), t.path("b")), t.path("c")],
          100, code=0)
    for name in ("b", "c"):
        with open(t.path(name), "rb") as f:
            eq(hashlib.file_digest(f, "sha256").hexdigest(), h.hexdigest(),
               "checksum of " + name)
    for name in ("a", "b", "c"):
        os.unlink(t.path(name))


@needs_tool("sshd", "ssh", "ssh-keygen")
@timeout(120)
def test_twenty_at_once(t):
    ssh, c, s, port = through(t)

    def one(i):
        want = data(i, 100000)
        rc, out, err = run_bytes(ssh, port, "cat", want)
        eq(rc, 0, err)
        ok(out == want, "session %d: other bytes" % i)
    in_parallel(20, one, 100)
    c.wait_sessions(0)
    s.wait_sessions(0)
    ends = [r["state"][0] for r in c.logs("close")]
    eq(ends, ["-"] * 20, "orderly ends")


def run_bytes(ssh, port, command, stdin):
    import subprocess
    r = subprocess.run(["ssh"] + ssh.options(port) + [ssh.host(), command],
                       input=stdin, timeout=80, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE)
    return r.returncode, r.stdout, r.stderr.decode()


@needs_tool("sshd", "ssh", "ssh-keygen")
def test_cat_with_eof(t):
    """ssh host cat <file: the end of the input arrives, the output too."""
    ssh, c, s, port = through(t)
    want = data(1, 3 << 20)
    rc, out, err = run_bytes(ssh, port, "cat; echo end", want)
    eq(rc, 0, err)
    ok(out == want + b"end\n", "%d bytes came back" % len(out))


@needs_tool("sshd", "ssh", "ssh-keygen")
def test_proxy_command_unix(t):
    """A UNIX listener as ProxyCommand's other end."""
    ssh = Ssh(t)
    path = t.path("f.sock")
    s = t.daemon(server(gateway(ssh.port, "/ssh")), name="srv")
    t.daemon(forward("ws://127.0.0.1:%d/ssh" % s.port(),
                     listen='unix "%s"' % path), name="cli")
    rc, out, err = t.run(["ssh"] + ssh.options(ssh.port) +
                         ["-o", "ProxyCommand=/usr/bin/python3 %s pipe %s" % (
                             os.path.join(t.top, "regress/lib/tcptool.py"),
                             path), ssh.host(),
                          "echo ok"])
    eq((rc, out), (0, "ok\n"), err)
