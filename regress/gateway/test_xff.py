# SPDX-License-Identifier: ISC
"""X-Forwarded-For that a trusted proxy has appended to: what the client
wrote there itself decides nothing."""
from lib.daemon import server
from lib.harness import eq
from lib.wsraw import Response, read_head, upgrade

CONF = "\ttrusted-proxies { 127.0.0.0/8 }\n" \
    '\tlocation "/any" { echo }\n' \
    '\tlocation "/local" { echo allow from { 127.0.0.0/8, ::1 } }\n' \
    '\tlocation "/client" { echo allow from { 203.0.113.9 } }\n' \
    '\tlocation "/all" { echo allow from { 0.0.0.0/0, ::/0 } }\n'

# What a client may send to hide the address that the proxy appends.
HIDING = ('"x', '"', '"a\\', "'", '", "', '"x"y', 'for="127.0.0.1', "(", "\\",
          "127.0.0.1", "127.0.0.1, \"", '[::1', ',,', ' \t"')


def via(value):
    return [("X-Forwarded-For", value)]


def status(t, port, path, headers):
    s = t.connect(port)
    s.sendall(upgrade(path, headers=headers))
    return Response(*read_head(s)).status


def known(t, d, headers):
    """(client in the session's row, client in its log record), no ports."""
    w = t.ws(d.port(), "/any", headers=headers)
    [row] = d.sessions()
    r = d.wait_log("open", session=row["id"])
    w.close(1000)
    w.expect_close(1000, answer=False)
    d.wait_sessions(0)
    return tuple((x["client"] or "unknown").rsplit(":", 1)[0]
                 for x in (row, r))


def test_xff_quote_hides_nothing(t):
    """A quote that the client opens does not swallow what follows it."""
    d = t.daemon(server(CONF))
    p = d.port()
    for junk in HIDING:
        h = via(junk + ", 203.0.113.9")
        eq(known(t, d, h), ("203.0.113.9",) * 2, "client behind %r" % junk)
        eq(status(t, p, "/local", h), 403, "/local behind %r" % junk)
        t.ws(p, "/client", headers=h).sock.close()
        d.wait_sessions(0)


def test_xff_quote_in_a_field_of_its_own(t):
    """The proxy may append a second field instead."""
    d = t.daemon(server(CONF))
    for junk in HIDING:
        h = via(junk) + via("203.0.113.9")
        eq(known(t, d, h), ("203.0.113.9",) * 2, "client behind %r" % junk)
        eq(status(t, d.port(), "/local", h), 403, "behind %r" % junk)


def test_xff_unknown(t):
    """The last element is no address: nobody that a list could mean."""
    d = t.daemon(server(CONF))
    p = d.port()
    for last in ("unknown", "_hidden", "203.0.113.9x", '"203.0.113.9"',
                 "203.0.113", "a" * 500):
        h = via("203.0.113.9, " + last)
        eq(known(t, d, h), ("unknown",) * 2, "client for %r" % last)
        for path in ("/local", "/client", "/all"):
            eq(status(t, p, path, h), 403, "%s for %r" % (path, last))


def test_xff_unknown_counts_as_one_source(t):
    """max-sessions-per-source also holds for those nobody knows."""
    d = t.daemon(server("\tmax-sessions-per-source 1\n" + CONF))
    p = d.port()
    t.ws(p, "/any", headers=via("1.1.1.1, unknown"))
    eq(status(t, p, "/any", via("2.2.2.2, unknown")), 429)
    eq(status(t, p, "/any", via("_other")), 429)
    # The proxy's own address and the one in front have their own share.
    t.ws(p, "/any")
    t.ws(p, "/any", headers=via("1.1.1.1"))
    eq(len(d.sessions()), 3, "sources")
