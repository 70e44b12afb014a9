# SPDX-License-Identifier: ISC
"""A fresh network namespace of our own, with one congestion control for all."""
import ctypes
import fcntl
import os
import socket
import struct

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
SYSCTL = "/proc/sys/net/ipv4/"
WANTED = "cubic"


class Unable(Exception):
    """Why there is no such namespace here."""


def read(name):
    with open(SYSCTL + name) as f:
        return f.read().strip()


def write(name, text):
    with open(SYSCTL + name, "w") as f:
        f.write(text)


def unshare(flags):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(flags) != 0:
        err = ctypes.get_errno()
        raise OSError(err, os.strerror(err))


def map_self(uid, gid):
    """We stay who we are; until the next exec with rights over the net."""
    for name, text in (("setgroups", "deny"),
                       ("uid_map", "%d %d 1" % (uid, uid)),
                       ("gid_map", "%d %d 1" % (gid, gid))):
        with open("/proc/self/" + name, "w") as f:
            f.write(text)


def loopback_up():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        req = bytearray(struct.pack("16sh22x", b"lo", 0))
        fcntl.ioctl(s, SIOCGIFFLAGS, req)
        flags = struct.unpack_from("h", req, 16)[0] | IFF_UP
        struct.pack_into("h", req, 16, flags)
        fcntl.ioctl(s, SIOCSIFFLAGS, req)


def setns(fd):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(fd, CLONE_NEWNET) != 0:
        err = ctypes.get_errno()
        raise OSError(err, os.strerror(err))


class Allowed:
    """A namespace may only choose among what the first one allows, and that
    list cannot be written from inside: make it longer for a moment."""

    def __init__(self):
        self.old = self.ns = None
        try:
            allowed = read("tcp_allowed_congestion_control")
            if os.getuid() == 0 and WANTED not in allowed.split():
                self.ns = os.open("/proc/self/ns/net", os.O_RDONLY)
                write("tcp_allowed_congestion_control",
                      allowed + " " + WANTED)
                self.old = allowed
        except OSError:
            pass                # choosing it will tell

    def restore(self):
        if self.old is not None:
            here = os.open("/proc/self/ns/net", os.O_RDONLY)
            setns(self.ns)
            write("tcp_allowed_congestion_control", self.old)
            setns(here)
            os.close(here)
        if self.ns is not None:
            os.close(self.ns)


def enter():
    """Moves this process into a new namespace; the value read back."""
    uid, gid = os.getuid(), os.getgid()
    who = "root" if uid == 0 else "an ordinary user"
    allowed = Allowed()
    try:
        try:
            unshare(CLONE_NEWNET | (CLONE_NEWUSER if uid else 0))
            if uid:
                map_self(uid, gid)
            loopback_up()
            write("ip_local_port_range", "10240 65000")
        except OSError as e:
            raise Unable("no network namespace for %s: %s" % (who, e)) \
                from None
        was = read("tcp_congestion_control")
        if was != WANTED:
            try:
                write("tcp_congestion_control", WANTED)
            except OSError as e:
                raise Unable("TCP congestion control is %s, and %s may not "
                             "choose %s: %s" % (was, who, WANTED, e)) \
                    from None
    finally:
        allowed.restore()
    return read("tcp_congestion_control")
