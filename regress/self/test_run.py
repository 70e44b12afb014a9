# SPDX-License-Identifier: ISC
"""The runner itself: what it counts as red."""
import os
import shutil

from lib.harness import eq, has, ok

TESTS = """
import os
from lib.harness import ok

def test_good(t):
    ok(True, "")

def test_bad(t):
    ok(False, "always")
%s
def once(t, name):
    path = os.path.join(os.path.dirname(__file__), name)
    seen = os.path.exists(path)
    open(path, "w").close()
    ok(seen, "the first time")
"""
ONCE = """
def test_once%d(t):
    once(t, "mark%d")
"""


def tree(t, extra=0, bad=True):
    """A copy of the runner with tests of its own."""
    here = os.path.join(t.top, "regress")
    top = t.path(t.unique("tree"))
    os.makedirs(top + "/regress/x")
    os.makedirs(top + "/tunneld")
    shutil.copytree(here + "/lib", top + "/regress/lib",
                    ignore=shutil.ignore_patterns("__pycache__"))
    for name in "run", "skips":
        shutil.copy(here + "/" + name, top + "/regress/" + name)
    shutil.copy(t.tunneld, top + "/tunneld/tunneld")
    text = TESTS % "".join(ONCE % (i, i) for i in range(extra))
    if not bad:
        text = text.replace("False", "True")
    with open(top + "/regress/x/test_x.py", "w") as f:
        f.write(text)
    return top


def run(t, top, again):
    env = {k: v for k, v in os.environ.items()
           if k not in ("O", "TESTS", "KIND", "UNIT", "TUNNELD", "AGAIN")}
    if again:
        env["AGAIN"] = "1"
    return t.run([top + "/regress/run"], env=env)


def last(out):
    return out.strip().split("\n")[-1]


def test_red_is_red(t):
    top = tree(t, extra=1)
    rc, out, err = run(t, top, again=False)
    eq((rc, last(out)), (1, "1 passed, 2 failed, 0 skipped"))
    has(out, "FAIL x/bad")
    has(out, "FAIL x/once0")


def test_second_try(t):
    """Told, and counted by its second end; a real failure stays one."""
    top = tree(t, extra=2)
    rc, out, err = run(t, top, again=True)
    eq((rc, last(out)), (1, "3 passed, 1 failed, 0 skipped"))
    for name in "bad", "once0", "once1":
        has(out, "RED  x/" + name)
    has(out, "FAIL x/bad")
    ok("FAIL x/once" not in out, out)
    has(out, "tried a second time: x/")
    rc, out, err = run(t, tree(t, extra=1, bad=False), again=True)
    eq((rc, last(out)), (0, "3 passed, 0 failed, 0 skipped"))


def test_many_reds_are_red(t):
    rc, out, err = run(t, tree(t, extra=5, bad=False), again=True)
    eq((rc, last(out)), (1, "5 passed, 2 failed, 0 skipped"))
