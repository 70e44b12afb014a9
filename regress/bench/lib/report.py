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
        return "%.4f s/GB, %.0f MB/s" % (cost(line) / 1e3, rate(line))
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


# ---- for README.md ----

COLUMNS = ("gateway", "forward+gateway", "haproxy-splice", "haproxy",
           "haproxy-2-hops", "lighttpd", "websockify")


def number(x):
    """Three digits that mean something."""
    return "%.0f" % x if x >= 100 else "%.3g" % x


def cell(best):
    if best is None:
        return ""
    if "error" in best:
        return "failed"
    if best["unit"] == "memory":
        return number(best["memory"])
    return number(best["cpu"] / (1e3 if best["unit"] == "GB" else 1))


def markdown(lines):
    """Two tables: costs by test and system, and the bars."""
    best = {(x["test"], x["system"]): x for x in bests(lines)}
    rows = [["CPU time"] + list(COLUMNS), ["---"] + ["--:"] * len(COLUMNS)]
    per = {"GB": "s/GB", "message": "\u00b5s each", "connection": "\u00b5s each",
           "memory": "KiB"}
    for t in TESTS:
        if not any((t.name, c) in best for c in COLUMNS):
            continue
        rows.append(["%s, %s" % (t.title, per[t.unit])] + [
            cell(best.get((t.name, c))) for c in COLUMNS])
        if t.name == "echo-1":
            rows.append([t.title + ", p50 in \u00b5s"] + [
                number(best[t.name, c]["p50-us"])
                if "p50-us" in best.get((t.name, c), {}) else ""
                for c in COLUMNS])
    out = ["| %s |" % " | ".join(r) for r in rows] + [""]
    out += ["| bar | compared with | ratio | at most | |",
            "| --- | --- | --: | --: | --- |"]
    for b in bars(lines):
        out.append("| %s | %s | %s | %s | %s |" % (
            b["what"], b["against"] or "(absolute)", ratio(b),
            "%.2f" % b["limit"], verdict(b)))
    return "\n".join(out)


def ratio(b):
    return "-" if b["ratio"] is None else "%.3f" % b["ratio"]


def verdict(b):
    return {None: "no figure", True: "met", False: "**missed**"}[b["met"]]


# ---- the chart ----

ROW, LEFT, UNIT, RIGHT, TOP = 26, 190, 240, 290, 58
MET, MISSED, INK, FAINT = "#2b6cb0", "#c05621", "#1a202c", "#718096"
FARTHEST = 2.0          # times the bar; longer ones are cut off


def text(x, y, words, fill=INK, size=12, anchor="start", weight="normal"):
    words = (words.replace("&", "&amp;").replace("<", "&lt;")
             .replace(">", "&gt;"))
    return ('<text x="%d" y="%d" fill="%s" font-size="%d" text-anchor="%s" '
            'font-weight="%s">%s</text>' % (x, y, fill, size, anchor, weight,
                                            words))


def svg(lines):
    """Each ratio as a part of what its bar allows; the line is the bar."""
    rows = [b for b in bars(lines) if b["ratio"] is not None]
    run = next(x for x in lines if x["type"] == "run")
    width = LEFT + int(UNIT * FARTHEST) + RIGHT
    height = TOP + ROW * len(rows) + 40
    line = LEFT + UNIT
    out = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" '
           'width="%d" height="%d" font-family="DejaVu Sans, Verdana, '
           'sans-serif">' % (width, height, width, height),
           '<rect width="100%" height="100%" fill="#ffffff"/>',
           text(12, 22, "What tunneld costs beside others, as a part of what "
                "its bar allows; shorter is better", size=14, weight="bold"),
           text(line, TOP - 10, "the bar", FAINT, 11, "middle")]
    for i, b in enumerate(rows):
        part = b["ratio"] / b["limit"]
        y = TOP + ROW * i
        color = MET if b["met"] else MISSED
        shown = min(part, FARTHEST)
        end = LEFT + UNIT * shown
        out += [text(LEFT - 8, y + 17, b["what"], anchor="end"),
                '<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>' % (
                    LEFT, y + 4, UNIT * shown, ROW - 8, color)]
        if part > FARTHEST:
            out.append('<path d="M%.1f %d l12 %d l-12 %d z" fill="%s"/>' % (
                end, y + 4, (ROW - 8) / 2, (ROW - 8) / 2, color))
            end += 12
        words = ("%s x %s (bar: %.2f)" % (number(b["ratio"]), b["against"],
                                          b["limit"])
                 if b["against"] else
                 "%s (bar: %.2f)" % (number(b["ratio"]), b["limit"]))
        out.append(text(max(end, line) + 8, y + 17,
                        words + ("" if b["met"] else ", missed"), color))
    bottom = TOP + ROW * len(rows)
    out += ['<line x1="%d" y1="%d" x2="%d" y2="%d" stroke="%s" '
            'stroke-width="2" stroke-dasharray="5 3"/>' % (
                line, TOP - 4, line, bottom + 4, INK),
            '<line x1="%d" y1="%d" x2="%d" y2="%d" stroke="%s"/>' % (
                LEFT, TOP - 4, LEFT, bottom + 4, FAINT),
            text(12, bottom + 28, "make bench, best of %d rounds, %s; %s, %d "
                 "CPUs, Linux %s, TCP %s" % (
                     run["rounds"], run["date"][:10], run["system"],
                     run["cpus"], run["kernel"].split("-")[0],
                     run["congestion-control"]), FAINT, 11),
            "</svg>"]
    return "\n".join(out) + "\n"
