# SPDX-License-Identifier: ISC
"""The configuration's grammar: good/*.conf print as good/*.ok and parse back
to the same; bad/*.conf are refused with the messages of bad/*.err; hostile
input ends quickly."""
import glob
import os
import random
import resource
import subprocess

from lib.harness import Failure, eq, has, ok, timeout

SERVER = """server "s" {
	listen on 127.0.0.1 port 1
	location "/x" { echo }
}
"""
# Our own limit of open files, so that the machine's does not matter.
NOFILE = 4096


def limit():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard == resource.RLIM_INFINITY or hard > NOFILE:
        hard = NOFILE
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def tunneld(t, args, **kw):
    return t.run([t.tunneld] + args, preexec_fn=limit, **kw)


def pairs(t, kind, ext):
    """(name of a .conf, what its other half holds), all of good or bad."""
    where = os.path.join(t.top, "regress/conf", kind)
    names = sorted(glob.glob(os.path.join(where, "*.conf")))
    ok(len(names) >= (10 if kind == "good" else 25),
       "only %d files in %s" % (len(names), where))
    for path in names:
        with open(path[:-5] + ext) as f:
            yield where, os.path.basename(path), f.read()


def differs(what, got, want):
    """None, or a line that says where."""
    got, want = got.splitlines(), want.splitlines()
    for i in range(max(len(got), len(want))):
        g = got[i] if i < len(got) else "(nothing)"
        w = want[i] if i < len(want) else "(nothing)"
        if g != w:
            return "%s, line %d:\n  got  %s\n  want %s" % (what, i + 1, g, w)
    return None


def complain(wrong):
    wrong = [w for w in wrong if w]
    if wrong:
        raise Failure("\n".join(wrong[:20]))


def test_good(t):
    """Parse and print; print again what was printed, from file and -e."""
    wrong = []
    for where, name, want in pairs(t, "good", ".ok"):
        _, out, err = tunneld(t, ["-nv", "-f", name], code=0, cwd=where)
        eq(err, "configuration OK\n", name)
        wrong.append(differs(name, out, want))
        okfile = name[:-5] + ".ok"
        _, out, err = tunneld(t, ["-nv", "-f", okfile], code=0, cwd=where)
        wrong.append(differs(okfile, out, want))
        _, out, err = tunneld(t, ["-nv", "-e", want], code=0, cwd="/")
        wrong.append(differs(okfile + " by -e", out, want))
        _, out, err = tunneld(t, ["-nv", "-f", "-"], stdin=want, code=0)
        wrong.append(differs(okfile + " by stdin", out, want))
        _, out, err = tunneld(t, ["-n", "-f", name], code=0, cwd=where)
        eq(out, "", "stdout of -n")
    complain(wrong)


def test_bad(t):
    """Exactly these messages, nothing on stdout, exit 1."""
    wrong = []
    for where, name, want in pairs(t, "bad", ".err"):
        code, out, err = tunneld(t, ["-nv", "-f", name], cwd=where)
        if code != 1 or out:
            wrong.append("%s: exit %s, stdout %r" % (name, code, out[:100]))
        wrong.append(differs(name, err, want))
        ok(want, name + ": no error")
        for line in want.splitlines():
            ok(": expected " in line or line.endswith(": too many errors"),
               "the form of: " + line)
    complain(wrong)


def test_names(t):
    """What FILE is in messages."""
    path = t.write("main.conf", 'include "sub/x.inc"\ngrace 1\n')
    os.mkdir(t.path("sub"))
    t.write("sub/x.inc", "\nprefork x\n")
    _, _, err = tunneld(t, ["-n", "-f", path], code=1)
    want = ('%s/sub/x.inc:2: near "x": expected a number from 1 to 32\n'
            '%s:2: near "1": expected a time' % (t.tmp, path))
    eq(err[:len(want)], want)
    _, _, err = tunneld(t, ["-n", "-f", "-"], code=1, stdin="\n\nfoo\n")
    has(err, '<stdin>:3: near "foo": expected ')
    _, _, err = tunneld(t, ["-n", "-e", "\nfoo"], code=1)
    has(err, '<command line>:2: near "foo": expected ')
    _, _, err = tunneld(t, ["-n", "-f", t.path("none")], code=1)
    has(err, t.path("none") + ": No such file or directory")
    _, _, err = tunneld(t, ["-n", "-f", t.tmp], code=1)
    has(err, t.tmp + ": Is a directory")
    # Includes are looked for beside the file, or in the working directory.
    _, _, err = tunneld(t, ["-n", "-f", "-"], code=1, cwd=t.path("sub"),
                        stdin='include "x.inc"\n')
    has(err, 'x.inc:2: near "x": expected ')


def test_define(t):
    """-D sets a macro and wins over the file."""
    text = 'p = "1"\n' + SERVER.replace("port 1", "port $p")
    _, out, _ = tunneld(t, ["-nv", "-e", text], code=0)
    has(out, "127.0.0.1 port 1\n")
    _, out, _ = tunneld(t, ["-nv", "-D", "p=77", "-e", text], code=0)
    has(out, "127.0.0.1 port 77\n")
    _, out, _ = tunneld(
        t, ["-nv", "-D", 'p=1\tlocation "/$q" { echo }', "-D", "q=2", "-e",
            text], code=0)
    has(out, 'location "/$q" {')
    for bad, near in (("=x", "=x"), ("9=x", "9=x"), ("-=x", "-=x"),
                      ("a b=c", "a b=c"), ("a=b\nc", "a=b\\nc"),
                      ("a=\x01", "0x01")):
        _, _, err = tunneld(t, ["-n", "-D", bad, "-e", text], code=1)
        has(err, '<command line>:1: near "%s": expected ' % near)
    _, _, err = tunneld(t, ["-n", "-D", "p=1", "-D", "p=2", "-e", text],
                        code=1)
    has(err, 'near "p=2": expected each macro only once')
    _, _, err = tunneld(t, ["-n", "-D", "p=many", "-e", text], code=1)
    has(err, '<command line>:3: near "many": expected a port from 0 to 65535')


def test_descriptors(t):
    """max-sessions against the limit of open files: the number that fits."""
    def few():
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))

    def run(text, code):
        return t.run([t.tunneld, "-n", "-e", "prefork 2\n" + text],
                     preexec_fn=few, code=code)[2]

    err = run(SERVER, 0)
    has(err, '<command line>:2: warning: server "s" allows 1000 sessions')
    has(err, "configuration OK")
    many = SERVER.replace("\tloc", "\tmax-sessions %d\n\tloc")
    eq(run(many % 926, 0), "configuration OK\n")
    err = run(many % 927, 1)
    has(err, '<command line>:4: near "max-sessions": expected at most 926: ')


@timeout(120)
def test_hostile(t):
    """Big, binary and endless input: one message, or a few, and an end."""
    rnd = random.Random(3)
    meg = 1024 * 1024
    loop = "".join('include "f%d"\n' % (i % 3) for i in range(50))
    for i in range(3):
        t.write("f%d" % i, loop)
    for i in range(40):
        t.write("deep%d" % i, 'include "deep%d"\n' % (i + 1))
    t.write("deep40", "")
    t.write("wide0", "# nothing\n")
    for i in range(1, 15):
        t.write("wide%d" % i, 'include "wide%d"\n' % (i - 1) * 30)
    cases = {
        "random": rnd.randbytes(meg),
        "letters": bytes(rnd.choice(b'ab {}"\\#$=,\n') for _ in range(meg)),
        "words": b" ".join(rnd.choice(
            (b"server", b"{", b"}", b"location", b"listen", b"on", b'"a"',
             b"\n", b"forward", b"to", b"port", b"1", b"via", b",", b"echo",
             b"origin", b"log", b"include", b"$a", b"a =", b"off"))
            for _ in range(200000)),
        "one word": b"a" * meg,
        "one string": b'user "' + b"a" * meg + b'"',
        "no end": b'user "' + b"a" * meg,
        "one comment": b"#" + b"a" * meg + b"\nfoo",
        "open": b"{" * meg,
        "close": b"}" * meg,
        "blocks": b"server s {\n" * 100000,
        "list": SERVER.replace("\tloc", "\ttrusted-proxies { %s }\n\tloc" %
                               ("::1 " * 100000)).encode(),
        "macros": b'a = "' + b"b " * 2000 + b'"\n' + b"$a " * 100000,
        "newlines": b"\n" * meg + b"x",
        "continued": b"\\\n" * meg + b"x",
        "equals": b"a=" * (meg // 2),
        "dollars": b"$" * meg,
        "too big": b"# comment\n" * meg,
        "nul": b"\0" * meg,
        "loop": b'include "f0"\n',
        "deep": b'include "deep0"\n',
        "wide": b'include "wide14"\n',
    }
    for name, text in cases.items():
        path = t.write("hostile.conf", text)
        code, out, err = tunneld(t, ["-n", "-f", path], seconds=10)
        eq(code, 1, name)
        lines = err.splitlines()
        ok(1 <= len(lines) <= 21, "%s: %d lines" % (name, len(lines)))
        ok(max(map(len, lines)) < 400, name + ": a long line")
        ok(err.isascii() and err.replace("\n", "").isprintable(),
           name + ": unprintable message")
        path = t.write("hostile.inc", text)
        if name not in ("loop", "deep", "wide"):
            code, out, err = tunneld(t, ["-n", "-e", 'include "%s"' % path],
                                     seconds=10)
            eq(code, 1, name + ", included")
    # A FIFO without a writer must not be waited for.
    os.mkfifo(t.path("fifo"))
    code, out, err = tunneld(
        t, ["-n", "-e", 'include "%s"' % t.path("fifo")], seconds=10, code=1)
    has(err, "Not a regular file")


def test_bounds(t):
    """Nothing is wrong with these but their size, depth or number."""
    t.write("empty", "")
    for i in range(16):
        t.write("deep%d" % i, 'include "deep%d"\n' % (i + 1))
    t.write("deep16", "")
    os.mkfifo(t.path("fifo"))
    for text, want in (
            ('include "deep0"\n', "includes are nested too deep"),
            ('include "empty"\n' * 1001, "too many includes"),
            ('include "fifo"\n', "Not a regular file"),
            ("# comment\n" * 420000, "more than 4 MB of configuration")):
        path = t.write("x.conf", SERVER + text)
        code, out, err = tunneld(t, ["-n", "-f", path], seconds=10)
        has(err, want)
        eq(code, 1, want)
    for text in ('include "deep2"\n', 'include "empty"\n' * 1000):
        tunneld(t, ["-n", "-f", t.write("x.conf", SERVER + text)], code=0)


@timeout(120)
def test_mutations(t):
    """Good files with some bytes changed: refused, or still a round trip."""
    rnd = random.Random(5)
    texts = [open(p, "rb").read() for p in
             sorted(glob.glob(os.path.join(t.top, "regress/conf/good/*.ok")))]
    accepted = 0
    for _ in range(150 // t.slow):
        text = bytearray(rnd.choice(texts))
        for _ in range(rnd.randrange(1, 4)):
            at = rnd.randrange(len(text))
            what = rnd.randrange(4)
            if what == 0:
                del text[at:at + rnd.randrange(1, 20)]
            elif what == 1:
                text[at] = rnd.randrange(256)
            elif what == 2:
                text[at:at] = text[at - 10:at]
            else:
                text[at:at] = rnd.choice((b"{", b"}", b'"', b"\n", b" off ",
                                          b" 1 ", b"#", b"$x"))
        path = t.write("m.conf", bytes(text))
        code, out, err = tunneld(t, ["-nv", "-f", path], seconds=10)
        ok(code in (0, 1), "exit %s of %r" % (code, bytes(text)))
        if code == 1:
            ok(err, "no message for %r" % bytes(text))
            continue
        accepted += 1
        _, again, _ = tunneld(t, ["-nv", "-e", out], code=0)
        complain([differs("a mutation", again, out)])
    ok(accepted > 0, "nothing was accepted")


def test_example(t):
    """The examples that are installed parse."""
    names = sorted(glob.glob(os.path.join(t.top, "etc/*.conf")))
    ok(names, "no example in etc/")
    for name in names:
        tunneld(t, ["-n", "-f", name], code=0)


def test_planted_difference(t):
    """A golden file that does not fit is seen (this test of the tests)."""
    eq(differs("x", "a\nb\n", "a\nb\n"), None)
    ok(differs("x", "a\nb\n", "a\nc\n"), "a changed line is not seen")
    ok(differs("x", "a\n", "a\nb\n"), "a missing line is not seen")
    ok(subprocess.run([t.tunneld, "-n", "-e", "x"], stderr=subprocess.DEVNULL
                      ).returncode == 1, "an unknown word is not refused")
