# SPDX-License-Identifier: ISC
"""The best of the rounds, the bars, and how they are shown."""
from .tests import BARS, TESTS

UNITS = {t.name: t.unit for t in TESTS}
WHAT = {t.name: t.what for t in TESTS}


def cost(line):
    """CPU by GB (s), by message or connection (us); memory (KiB)."""
    unit = UNITS[line["test"]]
    if unit == "memory":
        return line["memory-bytes"] / 1024
    n = {"GB": line["bytes"] / 1e6, "message": line["messages"],
         "connection": line["connections"]}[unit]
    return line["cpu-ns"] / 1e3 / n


def rate(line):
    """MB, messages or connections in a second."""
    unit = UNITS[line["test"]]
    if unit == "memory":
        return None
    n = {"GB": line["bytes"] / 1e6, "message": line["messages"],
         "connection": line["connections"]}[unit]
    return n / line["seconds"]


def bests(lines):
    """One line per test and system: the best round for each figure."""
    out = []
    seen = {}
    for line in lines:
        if line["type"] == "result":
            seen.setdefault((line["test"], line["system"]), []).append(line)
    for (test, system), all_rounds in seen.items():
        bad = [x for x in all_rounds if "error" in x]
        best = dict(type="best", test=test, system=system,
                    unit=UNITS[test])
        if bad:
            best["error"] = bad[0]["error"]
        else:
            key = "memory" if UNITS[test] == "memory" else "cpu"
            best[key] = min(map(cost, all_rounds))
            if key == "cpu":
                best["rate"] = max(map(rate, all_rounds))
                if all_rounds[0]["p50-us"]:
                    for p in ("p50-us", "p99-us"):
                        best[p] = min(x[p] for x in all_rounds)
        out.append(best)
    return out


def bars(lines):
    best = {(x["test"], x["system"]): x for x in bests(lines)}
    out = []
    for b in BARS:
        ours = best.get((b.test, b.system), {}).get(b.metric)
        theirs = (best.get((b.test, b.against), {}).get(b.metric)
                  if b.against else 1.0)
        if (b.test, b.system) not in best:
            continue
        ratio = ours / theirs if ours is not None and theirs else None
        out.append(dict(type="bar", what=b.what, test=b.test,
                        system=b.system, against=b.against, metric=b.metric,
                        value=ours, reference=theirs if b.against else None,
                        ratio=ratio, limit=b.limit,
                        met=None if ratio is None else ratio <= b.limit))
    return out


def figures(line):
    """One measurement in words."""
    unit = UNITS[line["test"]]
    if unit == "memory":
        return "%.2f KiB" % cost(line)
    if unit == "GB":
        return "%.4f s/GB, %.0f MB/s" % (cost(line) / 1e3 * 1, rate(line))
    text = "%.2f us, %.0f/s" % (cost(line), rate(line))
    if line.get("p50-us"):
        text += ", p50 %.0f us, p99 %.0f us" % (line["p50-us"],
                                               line["p99-us"])
    return text


def grid(rows):
    """Columns as wide as they must be; the first two to the left."""
    widths = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(
        c.ljust(w) if i < 2 else c.rjust(w)
        for i, (c, w) in enumerate(zip(r, widths))).rstrip() for r in rows)


def table(lines):
    rows = [["test", "system", "CPU or memory", "", "speed", "p50", "p99"]]
    for b in bests(lines):
        if "error" in b:
            rows.append([b["test"], b["system"], "failed", "", "", "", ""])
            continue
        unit = b["unit"]
        if unit == "memory":
            rows.append([b["test"], b["system"], "%.2f" % b["memory"], "KiB",
                         "", "", ""])
            continue
        value = ("%.3f" % (b["cpu"] / 1e3), "s/GB") if unit == "GB" else (
            "%.1f" % b["cpu"], "us")
        speed = "%.0f %s" % (b["rate"], "MB/s" if unit == "GB" else "/s")
        rows.append([b["test"], b["system"], value[0], value[1], speed] +
                    ["%.0f us" % b[p] if p in b else ""
                     for p in ("p50-us", "p99-us")])
    return grid(rows)


def bar_table(lines):
    rows = [["bar", "compared with", "ratio", "at most", ""]]
    for b in bars(lines):
        rows.append([
            b["what"], b["against"] or "(absolute)",
            "-" if b["ratio"] is None else "%.3f" % b["ratio"],
            "%.2f" % b["limit"],
            {None: "no figure", True: "met", False: "MISSED"}[b["met"]]])
    return grid(rows)


def svg(lines):
    return ""
