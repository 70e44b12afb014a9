#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""The close-order matrix: what each cell must look like, and why some are not
executed.  As a program it prints all of it."""

SIDES = ("target", "client")

# How the side ends; * in mid-stream.
ENDS = {
    "fin":           "8 MiB, then FIN (a WebSocket: Close 1000, or the FIN "
                     "of tunneld.tcp.v1)",
    "rst":           "* RST by the end that sends",
    "rst-confirmed": "* the end that reads confirms 1 MiB, then RST",
    "rst-stalled":   "* RST by the end that sends, 20 s before the other one "
                     "reads on",
    "half":          "a request, FIN, the reply of the other end, its FIN",
    "kill-unread":   "* kill -9 of an end that has confirmed 1 MiB and has "
                     "unread data: its kernel sends RST",
    "kill-sending":  "* kill -9 of an end that sends and has nothing unread: "
                     "its kernel sends FIN; a WebSocket is inside a frame",
    "kill-between":  "kill -9 of a WebSocket end between two frames",
    "refuse":        "the target's port is closed",
    "hole":          "the target's backlog is full: no answer",
    "stall":         "* nothing read for 90 s, all buffers full; then on",
    "stall-small":   "the same, but what was sent fits into the buffers",
}

COLUMNS = {
    "gateway":    "raw client (binary) -> gateway -> TCP",
    "gateway-v1": "raw client (tunneld.tcp.v1) -> gateway -> TCP",
    "tunneld":    "TCP -> forward -> gateway -> TCP",
    "websockify": "TCP -> forward -> Debian's websockify -> TCP",
    "websockify-strict": "the same with \"strict close yes\"",
    "websockets": "TCP -> forward -> python3-websockets",
    "websockets-patient": "the same with its ping_timeout=None",
}

# column, side and end | what arrived | how it ended at the other side | how
# the side's own reading ended | close records of forward and gateway: state,
# reason, code.
#
# "all": every byte that was sent, or for an end that confirms its
# confirmation.  "prefix": the beginning, with everything that the next kernel
# had acknowledged (websockify, websockets and kill: that was confirmed).
EXPECTED = """
gateway target fin            | all | close 1000 | fin | -D closed 1000
gateway target rst            | prefix | close 1011 | - | TD reset-by-target 1011
gateway target rst-confirmed  | all | close 1011 | - | TD reset-by-target 1011
gateway target half           | all, reply | close 1000 | fin | -D closed 1000
gateway target kill-unread    | all | close 1011 | - | TD reset-by-target 1011
gateway target kill-sending   | prefix | close 1000 | - | -D closed 1000
gateway target refuse         | none | close 1011 | - | TQ connection-refused 1011
gateway target hole           | none | close 1011 | - | TQ timed-out 1011
gateway target stall          | all, all | fin | close 1000 | -D closed 1000
gateway target stall-small    | all, all | fin | close 1000 | -D closed 1000
gateway client fin            | all | fin | close 1000 | -D closed 1000
gateway client rst            | prefix | rst | - | CD reset-by-client -
gateway client rst-confirmed  | all | rst | - | CD reset-by-client -
gateway client half           | all, no reply | fin | close 1000 | -D closed 1000
gateway client kill-unread    | all | rst | - | CD reset-by-client -
gateway client kill-sending   | prefix | rst | - | CD truncated 1006
gateway client kill-between   | all | fin | - | -D no-close 1006
gateway target rst-stalled    | prefix | close 1011 | - | TD reset-by-target 1011
gateway client rst-stalled    | prefix | rst | - | CD reset-by-client -
gateway client stall          | all, all | close 1000 | fin | -D closed 1000
gateway client stall-small    | ended early | rst | close 1011 | DD ping-timeout 1011

gateway-v1 target fin           | all | fin | fin | -D closed 1000
gateway-v1 target rst           | prefix | close 4000 | - | TD reset-by-target 4000
gateway-v1 target rst-confirmed | all | close 4000 | - | TD reset-by-target 4000
gateway-v1 target half          | all, reply | fin | fin | -D closed 1000
gateway-v1 target kill-unread   | all | close 4000 | - | TD reset-by-target 4000
gateway-v1 target kill-sending  | prefix | fin | - | -D closed 1000
gateway-v1 target refuse        | none | close 4001 | - | TQ connection-refused 4001
gateway-v1 target hole          | none | close 4003 | - | TQ timed-out 4003
gateway-v1 target stall         | all, all | fin | fin | -D closed 1000
gateway-v1 target stall-small   | all, all | fin | fin | -D closed 1000
gateway-v1 client fin           | all | fin | fin | -D closed 1000
gateway-v1 client rst           | prefix | rst | - | CD reset-by-client -
gateway-v1 client rst-confirmed | all | rst | - | CD reset-by-client -
gateway-v1 client half          | all, reply | fin | fin | -D closed 1000
gateway-v1 client kill-unread   | all | rst | - | CD reset-by-client -
gateway-v1 client kill-sending  | prefix | rst | - | CD truncated 1006
gateway-v1 client kill-between  | all | rst | - | CD no-close 1006
gateway-v1 target rst-stalled   | prefix | close 4000 | - | TD reset-by-target 4000
gateway-v1 client rst-stalled   | prefix | rst | - | CD reset-by-client -
gateway-v1 client stall         | all, all | fin | fin | -D closed 1000
gateway-v1 client stall-small   | ended early | rst | close 1011 | DD ping-timeout 1011

tunneld target fin            | all | fin | fin | -D closed 1000 | -D closed 1000
tunneld target rst            | prefix | rst | - | TD reset-by-target 4000 | TD reset-by-target 4000
tunneld target rst-confirmed  | all | rst | - | TD reset-by-target 4000 | TD reset-by-target 4000
tunneld target half           | all, reply | fin | fin | -D closed 1000 | -D closed 1000
tunneld target kill-unread    | all | rst | - | TD reset-by-target 4000 | TD reset-by-target 4000
tunneld target kill-sending   | prefix | fin | - | -D closed 1000 | -D closed 1000
tunneld target refuse         | none | rst | - | TD connection-refused 4001 | TQ connection-refused 4001
tunneld target hole           | none | rst | - | TD timed-out 4003 | TQ timed-out 4003
tunneld target stall          | all, all | fin | fin | -D closed 1000 | -D closed 1000
tunneld target stall-small    | all, all | fin | fin | -D closed 1000 | -D closed 1000
tunneld client fin            | all | fin | fin | -D closed 1000 | -D closed 1000
tunneld client rst            | prefix | rst | - | CD reset-by-client 4000 | CD reset-by-client 4000
tunneld client rst-confirmed  | all | rst | - | CD reset-by-client 4000 | CD reset-by-client 4000
tunneld client half           | all, reply | fin | fin | -D closed 1000 | -D closed 1000
tunneld client kill-unread    | all | rst | - | CD reset-by-client 4000 | CD reset-by-client 4000
tunneld client kill-sending   | prefix | fin | - | -D closed 1000 | -D closed 1000
tunneld target rst-stalled    | prefix | rst | - | TD reset-by-target 4000 | TD reset-by-target 4000
tunneld client rst-stalled    | prefix | rst | - | CD reset-by-client 4000 | CD reset-by-client 4000
tunneld client stall          | all, all | fin | fin | -D closed 1000 | -D closed 1000
tunneld client stall-small    | all, all | fin | fin | -D closed 1000 | -D closed 1000

websockify target fin           | all | fin | fin | -D closed 1000
websockify target rst           | prefix | fin | - | -D no-close 1006
websockify target half          | all, no reply | fin | fin | -D closed 1000
websockify target kill-sending  | prefix | fin | - | -D closed 1000
websockify target refuse        | none | rst | - | TD peer-close-code 1011
websockify target hole          | none | nothing | - | CD reset-by-client 1011
websockify target stall         | all, all | fin | fin | -D closed 1000
websockify target stall-small   | all, all | fin | fin | -D closed 1000
websockify client fin           | all | fin | fin | -D closed 1000
websockify client rst           | prefix | fin | - | CD reset-by-client 1011
websockify client rst-confirmed | all | fin | - | CD reset-by-client 1011
websockify client half          | all, reply | fin at the end | fin | -D closed 1000
websockify client kill-unread   | all | fin | - | CD reset-by-client 1011
websockify client kill-sending  | prefix | fin | - | -D closed 1000
websockify client stall         | all, all | fin | fin | -D closed 1000
websockify client stall-small   | all, all | fin | fin | -D closed 1000

websockify-strict target fin           | all | fin | fin | -D closed 1000
websockify-strict target rst           | prefix | rst | - | TD no-close 1006
websockify-strict target rst-confirmed | all | rst | - | TD *
websockify-strict target kill-unread   | all | rst | - | TD *

websockets target fin           | all | fin | close 1000 | -D closed 1000
websockets target rst           | prefix | rst | - | TD reset-by-target -
websockets target rst-confirmed | all | rst | - | TD reset-by-target -
websockets target kill-unread   | all | rst | - | TD reset-by-target -
websockets target kill-sending  | prefix | rst | - | TD truncated 1006
websockets target kill-between  | all | fin | - | -D no-close 1006
websockets target refuse        | none | rst | - | TQ connection-refused -
websockets target hole          | none | rst | - | TQ timed-out -
websockets target stall         | ended early | rst | close * | TD peer-close-code 1011
websockets target stall-small   | all, all | close 1000 | fin | -D closed 1000
websockets client fin           | all | close 1000 | fin | -D closed 1000
websockets client rst           | prefix | close 1011 | - | CD reset-by-client 1011
websockets client rst-confirmed | all | close 1011 | - | CD reset-by-client 1011
websockets client half          | all, reply | close 1000 at the end | fin | -D closed 1000
websockets client kill-unread   | all | close 1011 | - | CD reset-by-client 1011
websockets client kill-sending  | prefix | close 1000 | - | -D closed 1000
websockets client stall         | all, all | fin | close 1000 | -D closed 1000
websockets client stall-small   | ended early | close * | rst | TD peer-close-code 1011

websockets-patient target stall       | all, all | close 1000 | fin | -D closed 1000
websockets-patient target stall-small | all, all | close 1000 | fin | -D closed 1000
websockets-patient client stall       | all, all | fin | close 1000 | -D closed 1000
websockets-patient client stall-small | all, all | fin | close 1000 | -D closed 1000
"""

# Cells that do not exist, or are not ours.  "*" is any word.
LISTED = """
* client refuse | nobody connects to a client
* client hole | nobody connects to a client
gateway target kill-between | TCP has no frames: as kill-sending
gateway-v1 target kill-between | TCP has no frames: as kill-sending
tunneld * kill-between | TCP has no frames: as kill-sending
websockify * kill-between | TCP has no frames: as kill-sending
websockify target rst-confirmed | FIN or RST: websockify drops the connection without Close, and its kernel sends RST if data is unread; see websockify-strict
websockify target kill-unread | as rst-confirmed
websockify * rst-stalled | what it has queued is lost in itself: as rst
websockets * rst-stalled | what it has read ahead is its own: as rst
websockify-strict * * | as websockify
websockets client kill-between | TCP has no frames: as kill-sending
websockets target half | the library can only close
websockets-patient * * | as websockets
"""

# What a reader of the table would ask.
NOTES = """
gateway client half | without tunneld.tcp.v1 there is only Close: it ends both directions, and the reply has no way
gateway client stall-small | a client that answers no Ping for its timeout is dead; "ping every 20s timeout off" never says so
gateway-v1 client stall-small | as gateway
websockify target fin | websockify throws away what it has queued when its target ends: all was confirmed before the FIN here
websockify target half | websockify can only close
websockify target rst | it ends without a Close, which is a FIN unless the forward has "strict close yes"
websockify target hole | it accepts the WebSocket before it connects: only its own deadline, or the client, ends that
websockify client rst | websockify ends its target with FIN whatever the code of the Close
websockets target stall | its own keepalive: ping_interval and ping_timeout, 20 s each; websockets-patient avoids that
websockets client stall-small | its Ping lies unread behind data that the client does not take; websockets-patient avoids that
"""


def rows(text):
    """[([column, side, end], [fields])] of one of the texts above."""
    out = []
    for line in text.strip().splitlines():
        if line:
            first, *rest = [f.strip() for f in line.split("|")]
            out.append((first.split(), rest))
    return out


WANT = {tuple(k): v for k, v in rows(EXPECTED)}


def executed():
    """[(column, side, end)] in the order of the table."""
    return list(WANT)


def listed(cell):
    """Why a cell is not executed, or None."""
    for pattern, (why,) in rows(LISTED):
        if all(p in ("*", c) for p, c in zip(pattern, cell)):
            return why
    return None


def agrees(want, seen):
    """Field by field; a word "*" at the end of a field is anything."""
    return len(want) == len(seen) and all(
        w == s or (w.endswith("*") and s.startswith(w[:-1]))
        for w, s in zip(want, seen))


def line(cell, fields):
    return "%-18s %-6s %-13s | %s" % (tuple(cell) + (" | ".join(fields),))


def product():
    return [(c, s, e) for c in COLUMNS for s in SIDES for e in ENDS]


def main():
    for title, words in (("ends", ENDS), ("columns", COLUMNS)):
        print(title)
        for k, v in words.items():
            print("  %-18s %s" % (k, v))
    notes = {tuple(k): v[0] for k, v in rows(NOTES)}
    for cell in product():
        print(line(cell, WANT[cell] if cell in WANT
                   else ["not executed: %s" % listed(cell)]))
        if cell in notes:
            print("%40s %s" % ("", notes[cell]))


if __name__ == "__main__":
    main()
