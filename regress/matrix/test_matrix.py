# SPDX-License-Identifier: ISC
"""The close-order matrix: {target, client} x {how it ends} x {what stands in
between}, against the table in table.py."""
import sys
import traceback

from lib.harness import Failure, kinds, needs_tool, ok, smoke, timeout
from lib.peers import in_parallel
from matrix import cells, table
from matrix.columns import Bench


def name_of(side, end):
    return "%s-%s" % (side, end)


def needs(column, side, end):
    """What the bench must have ready for a cell; see Bench."""
    c = {"target": "tcp"}
    if end in ("refuse", "hole"):
        c["target"] = end
    if end.startswith("kill"):
        c["child"] = side
        if column == "websockets" and side == "target":
            mode = {"kill-unread": "receive", "kill-sending": "send",
                    "kill-between": "whole"}[end]
            c.update(target="child:" + mode, size=cells.HALF)
    if end == "rst-stalled":
        c["small"] = "client" if side == "target" else "target"
    if end.startswith("stall") and (end == "stall" or not (
            side == "client" and column.startswith("gateway"))):
        c["small"] = side
    if not column.startswith("gateway") and column != "tunneld":
        c["forward"] = "half-close wait 1s"
    if column == "websockify-strict":
        c["forward"] += " strict close yes"
    if column == "websockets-patient":
        c["lib"] = {"ping_timeout": None}
    if column == "websockify" and end in ("refuse", "hole"):
        # It is websockify that connects: our forward only sees its end.
        c["stays"] = end == "hole"
    return c


def column(t, col, ends, parallel=False, top=""):
    """Run the cells of one column, print them, fail if one differs."""
    todo = [c for c in table.executed() if c[0] == col and c[2] in ends]
    bench = Bench(t, col, {name_of(s, e): needs(col, s, e)
                           for _, s, e in todo}, top)

    def one(i):
        _, side, end = todo[i]
        try:
            return cells.run(bench, name_of(side, end), side, end).text()
        except (Failure, OSError) as e:
            traceback.print_exc()
            return ["error: %s" % e]
    if parallel:
        got = in_parallel(len(todo), one, 200 * t.slow)
    else:
        got = [one(i) for i in range(len(todo))]
    bad = []
    for cell, seen in zip(todo, got):
        want = table.WANT[cell]
        print(table.line(cell, seen))
        if not table.agrees(want, seen):
            print("differs, expected:%s" %
                  table.line(cell, want)[len("differs, expected:"):])
            bad.append(table.line(cell, seen))
    for d in (bench.forward, bench.gateway):
        n = d.d.stats().get("spliced_bytes_total") if d else None
        if n is not None:
            print("%s: %s bytes went by splice(2)" % (d.d.name, n))
    sys.stdout.flush()
    if bad:
        raise Failure("%d cells differ:\n%s" % (len(bad), "\n".join(bad)))


QUICK = [e for e in table.ENDS if "stall" not in e]
STALLS = [e for e in table.ENDS if "stall" in e]
HOLE = "timeout connect 1s\n"


def test_cells(t):
    """Every cell of the product is executed, or listed with a reason."""
    cells = table.product()
    for cell in cells:
        run, why = cell in table.WANT, table.listed(cell)
        if not run and why is None:
            raise Failure("neither executed nor listed: %s %s %s" % cell)
    for cell in table.executed():
        ok(cell in cells, "no such cell: %s %s %s" % cell)
    for (cell, _) in table.rows(table.NOTES):
        ok(tuple(cell) in table.WANT, "a note on no cell: %s" % cell)
    print("\n".join(table.line(c, table.WANT.get(c) or
                               [table.listed(c)]) for c in cells))


@smoke
def test_gateway(t):
    column(t, "gateway", QUICK, top=HOLE)


@kinds("plain", "asan")
def test_gateway_v1(t):
    column(t, "gateway-v1", QUICK, top=HOLE)


@smoke
def test_tunneld(t):
    column(t, "tunneld", QUICK, top=HOLE)


@kinds("plain", "asan")
@needs_tool("websockify")
def test_websockify(t):
    column(t, "websockify", QUICK, top=HOLE)


@kinds("plain", "asan")
@needs_tool("websockify")
def test_websockify_strict(t):
    column(t, "websockify-strict", QUICK, top=HOLE)


@kinds("plain", "asan")
def test_websockets(t):
    column(t, "websockets", QUICK, top=HOLE)


@kinds("plain")
@needs_tool("websockify")
@timeout(180)
def test_stall(t):
    """90 s without reading, then on, with pings as they are by default."""
    cols = [c for c in table.COLUMNS
            if any(cell[0] == c and cell[2] in STALLS
                   for cell in table.executed())]
    in_parallel(len(cols), lambda i: column(t, cols[i], STALLS, True), 170)
