# SPDX-License-Identifier: ISC
"""The rc.d script with a stub of OpenBSD's rc.subr, the systemd unit's
commands, and what make install puts where."""
import os
import re
import shutil
import signal

from lib import procs
from lib.harness import eq, has, needs_tool, ok, wait_until

CONF = 'server "s" {\n\tlisten on 127.0.0.1 port 0\n' \
       '\tlocation "/echo" { echo }\n}\n'

# What rc.subr(8) of OpenBSD 7.8 does, as far as the script relies on it.
STUB = r"""
daemon_flags=${RC_FLAGS}
pexp="${daemon}${daemon_flags:+ ${daemon_flags}}"
rc_exec() { /bin/sh -c "$1"; }
rc_check() { pgrep -xf "${pexp}" >/dev/null; }
rc_start() { rc_exec "${daemon} ${daemon_flags}"; }
rc_reload() { pkill -HUP -xf "${pexp}"; }
rc_stop() { pkill -TERM -xf "${pexp}"; }
rc_cmd() {
	case "$1" in
	pids)		pgrep -xf "${pexp}" ;;
	check)		rc_check ;;
	configtest)	rc_configtest ;;
	start)		rc_configtest && rc_start ;;
	reload)		rc_check && rc_configtest && rc_reload ;;
	stop)		rc_check && rc_stop ;;
	timeout)	echo "${daemon_timeout}" ;;
	*)		exit 1 ;;
	esac
}
"""


def script(t, conf_path):
    """The rc.d script pointed at our program and the stub: a runner."""
    with open(os.path.join(t.top, "contrib/rc.d/tunneld")) as f:
        text = f.read()
    # A program path of its own, so that pgrep finds no other test's daemon.
    prog = t.path("tunneld")
    shutil.copy2(t.tunneld, prog)
    for old, new in (("/usr/local/sbin/tunneld", prog),
                     ("/etc/rc.d/rc.subr", t.write("rc.subr", STUB))):
        ok(old in text, old + " stands in the script")
        text = text.replace(old, new)
    path = t.write("rc", text, 0o755)
    env = dict(os.environ, RC_FLAGS="-f " + conf_path)

    def rc(action, code=0):
        out = t.path("rc.out")
        # Not through pipes: a daemon that kept them would hang the test.
        t.run(["/bin/sh", "-c", 'exec sh "$0" "$1" >"$2" 2>&1 </dev/null',
               path, action, out], code=code, env=env)
        with open(out) as f:
            return f.read()
    return rc


@needs_tool("pgrep")
def test_rc_d(t):
    from lib.daemon import Daemon
    d = Daemon(t, CONF, debug=False)
    rc = script(t, d.conf_path)
    rc("check", 1)
    has(rc("configtest"), "configuration OK")
    rc("start")
    pids = [int(p) for p in rc("pids").split()]
    eq(len(pids), 1, "processes that the script takes for the daemon")
    pid = pids[0]
    t.defer(procs.kill, pid)
    kids = [p for p in procs.descendants(pid)]
    ok(len(kids) >= 3, "children run")
    ok(pid not in kids, "the parent was found")
    rc("check")
    ok(int(rc("timeout")) > 30, "rc.subr waits longer than grace")

    def reloads():
        with open(d.log_path) as f:
            return [line for line in f if '"event":"reload"' in line]
    before = len(reloads())
    rc("reload")
    wait_until(lambda: len(reloads()) > before, "a reload in the log")

    # A broken file stops at configtest: no SIGHUP, the daemon serves on.
    count = len(reloads())
    with open(d.conf_path) as f:
        good = f.read()
    with open(d.conf_path, "a") as f:
        f.write("nonsense\n")
    has(rc("configtest", 1), "nonsense")
    rc("reload", 1)
    rc("check")
    eq(len(reloads()), count, "reloads after a broken file")
    with open(d.conf_path) as f:
        ok(f.read() != good, "the file is broken")
    rc("stop")
    wait_until(lambda: procs.reap() or not procs.descendants(os.getpid()),
               "the end of all processes", 10 * t.slow)
    rc("check", 1)


def unit(t):
    """The unit's [Service] assignments: {key: [values]}."""
    out = {}
    with open(os.path.join(t.top, "contrib/systemd/tunneld.service")) as f:
        for line in f:
            m = re.match(r"(\w+)=(.*)", line)
            if m:
                out.setdefault(m.group(1), []).append(m.group(2))
    return out


def test_unit_commands(t):
    """ExecStart and ExecReload as systemd would run them."""
    from lib.daemon import Daemon
    u = unit(t)
    eq(u["Type"], ["notify"])
    eq(u["NotifyAccess"], ["main"])
    eq(u["KillMode"], ["mixed"])
    d = Daemon(t, CONF)

    def words(cmd):
        return cmd.replace("/usr/local/sbin/tunneld", t.tunneld).replace(
            "/etc/tunneld.conf", d.conf_path).replace(
            "$MAINPID", str(d.pid)).split()
    d.argv = lambda: words(u["ExecStart"][0])
    d.start()       # waits for READY=1 on a NOTIFY_SOCKET of its own
    main = d.pid
    check, hup = u["ExecReload"]
    t.run(words(check), code=0)
    t.run(words(hup), code=0)

    def log(event):
        with open(d.log_path) as f:
            return '"event":"%s"' % event in f.read()
    wait_until(lambda: log("reload"), "a reload in the log")
    with open(d.conf_path, "a") as f:
        f.write("nonsense\n")
    t.run(words(check), code=1)
    eq(d.pid, main, "main process")
    os.kill(main, 0)
    d.write(CONF)
    # KillMode=mixed: SIGTERM goes to the main process only.
    os.kill(main, signal.SIGTERM)
    eq(d.p.wait(20 * t.slow), 0, "exit code after SIGTERM")
    d.stopped = True


def deps(t, what, have, uid):
    """deps.sh with stub tools: (code, what apt-get saw, output)."""
    stubs = t.path(t.unique("stubs"))
    os.mkdir(stubs)
    seen, policy = os.path.join(stubs, "seen"), os.path.join(stubs, "policy")
    open(seen, "w").close()

    def stub(name, text):
        path = os.path.join(stubs, name)
        with open(path, "w") as f:
            f.write("#!/bin/sh\n" + text)
        os.chmod(path, 0o755)
    stub("id", "echo %d\n" % uid)
    stub("dpkg-query", 'for p; do :; done\ncase " %s " in *" $p "*) '
         'echo "ii " ;; *) exit 1 ;; esac\n' % " ".join(have))
    stub("apt-get", 'echo "$@" >>%s\n[ ! -x %s ] || '
         '{ %s; echo policy $? >>%s; }\n' % (seen, policy, policy, seen))
    stub("systemctl", 'echo systemctl "$@" >>%s\n' % seen)
    env = dict(os.environ, POLICY_RC_D=policy,
               PATH=stubs + ":" + os.environ["PATH"])
    code, out, err = t.run(["sh", os.path.join(
        t.top, "contrib/deps.sh"), what], env=env)
    ok(not os.path.exists(policy), "policy-rc.d is gone afterwards")
    with open(seen) as f:
        return code, f.read(), out + err


ALL = ("gcc libc6-dev make pkg-config byacc libevent-dev libbsd-dev libmd-dev "
       "libc-ares-dev curl libcmocka-dev bison bmake clang libclang-rt-dev "
       "clang-tidy mandoc shellcheck python3 python3-websockets procps openssl "
       "openssh-server openssh-client nginx-light haproxy websockify lighttpd").split()


def test_deps(t):
    code, seen, out = deps(t, "regress", ALL, 0)
    eq((code, seen, out), (0, "", ""), "all there: nothing is done")
    some = [p for p in ALL if p not in ("nginx-light", "curl")]
    # A user gets the line to run, and nothing is tried.
    code, seen, out = deps(t, "regress", some, 1000)
    eq((code, seen), (1, ""), "as a user")
    has(out, "make deps-regress")
    has(out, "apt-get install --no-install-recommends curl nginx-light\n")
    # The build alone does not ask for test peers.
    code, seen, out = deps(t, "build", some, 0)
    eq(code, 0)
    ok("nginx" not in seen, "make deps leaves test peers alone")
    # Root: no question, no service started now or at the next boot.
    code, seen, out = deps(t, "regress", some, 0)
    eq(code, 0)
    has(seen, " -y ")
    has(seen, "curl nginx-light")
    has(seen, "policy 101")
    has(seen, "systemctl --quiet disable nginx.service")
    ok("ssh" not in seen, "a service that was there is left alone")


def test_install(t):
    dest = t.path("dest")
    # As it was configured: "." or a name below, else as it is.
    objdir = os.path.relpath(t.objdir, t.top)
    if objdir.startswith(".."):
        objdir = t.objdir

    def install(*args, env=None):
        return t.run(["make", "-C", t.top, "O=" + objdir, "install",
                      "DESTDIR=" + dest] + list(args), code=0, env=env)
    env = {k: v for k, v in os.environ.items()
           if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES")}
    install("PREFIX=/opt/t", env=env)
    for path in ("opt/t/sbin/tunneld", "opt/t/sbin/tunnelctl",
                 "opt/t/share/man/man8/tunneld.8",
                 "opt/t/share/man/man8/tunnelctl.8",
                 "opt/t/share/man/man5/tunneld.conf.5",
                 "opt/t/share/man/man7/tunneld-protocol.7",
                 "etc/tunneld.conf",
                 "opt/t/lib/systemd/system/tunneld.service",
                 "opt/t/lib/sysusers.d/tunneld.conf"):
        ok(os.path.isfile(os.path.join(dest, path)), path + " is installed")
    with open(os.path.join(
            dest, "opt/t/lib/systemd/system/tunneld.service")) as f:
        text = f.read()
    has(text, "ExecStart=/opt/t/sbin/tunneld ")
    ok("/usr/local" not in text, "no other prefix in the unit")
    t.run([os.path.join(dest, "opt/t/sbin/tunneld"), "-V"], code=0)
    # A second time: the configuration of the user stays.
    conf = os.path.join(dest, "etc/tunneld.conf")
    os.chmod(conf, 0o644)
    with open(conf, "w") as f:
        f.write("# mine\n")
    install("PREFIX=/opt/t", env=env)
    with open(conf) as f:
        eq(f.read(), "# mine\n")
