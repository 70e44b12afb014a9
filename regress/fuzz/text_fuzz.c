/* SPDX-License-Identifier: ISC */
/* text_fuzz.c: URLs, addresses, blocks, targets, names, origins, session ids. */
/* LINK: regress/fuzz/replay.c tunneld/conf.c tunneld/origin.c tunneld/policy.c tunneld/hosts.c tunneld/log.c tunneld/logfmt.c tunneld/util.c tunneld/sid.c tunneld/stats.c lib/addr.c lib/url.c lib/json.c lib/utf8.c lib/visstr.c compat/shm.c compat/fdstat.c */

#include "compat.h"

#include <strings.h>

#include "conf.h"
#include "fuzz.h"
#include "hosts.h"
#include "origin.h"
#include "policy.h"
#include "tunneld.h"
#include "url.h"

static void
fuzz_addr(const char *text)
{
	struct addr	 a, b;
	char		 buf[ADDR_TEXT], *small;
	size_t		 n;

	if (addr_parse(text, 4711, &a) == -1)
		return;
	CHECK(a.len > 0 && addr_port(&a) == 4711);
	addr_format_host(&a, buf, sizeof(buf));
	CHECK(addr_parse(buf, 4711, &b) == 0 && addr_equal(&a, &b, true));
	CHECK(addr_equal(&b, &a, true));
	addr_set_port(&b, 1);
	CHECK(!addr_equal(&a, &b, true) && addr_equal(&a, &b, false));
	addr_unmap(&b);
	CHECK(addr_is_local(&a) == addr_is_local(&b));
	CHECK(addr_is_loopback(&a) == addr_is_loopback(&b));
	CHECK(!addr_is_loopback(&a) || addr_is_local(&a));
	addr_format(&a, buf, sizeof(buf));
	for (n = 1; n <= strlen(buf) + 1; n++) {
		CHECK((small = malloc(n)) != NULL);
		addr_format(&a, small, n);
		CHECK(strlen(small) < n);
		free(small);
	}
}

static void
fuzz_cidr(const char *text)
{
	struct cidr	 c, d;
	struct addr	 a;
	char		 buf[ADDR_TEXT], *slash;

	if (cidr_parse(text, &c) == -1)
		return;
	CHECK(c.af == 4 ? c.bits <= 32 : c.af == 6 && c.bits <= 128);
	cidr_format(&c, buf, sizeof(buf));
	CHECK(cidr_parse(buf, &d) == 0 && d.af == c.af && d.bits == c.bits &&
	    memcmp(c.net, d.net, c.af == 4 ? 4 : 16) == 0);
	/* A block holds its first address. */
	if ((slash = strchr(buf, '/')) != NULL)
		*slash = '\0';
	CHECK(addr_parse(buf, 0, &a) == 0 && cidr_match(&c, &a));
}

static void
fuzz_hostport(const char *text)
{
	struct addr	 a;
	char		 host[HOST_MAX + 1], again[HOST_MAX + 1];
	char		 buf[HOST_MAX + 16];
	uint16_t	 port, port2;
	bool		 numeric, numeric2;

	if (hostname_valid(text)) {
		CHECK(strlen(text) <= HOST_MAX && text[0] != '\0');
		CHECK(strspn(text, "abcdefghijklmnopqrstuvwxyz"
		    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") ==
		    strlen(text));
		/* No resolver could take it for an address. */
		CHECK(addr_parse(text, 0, &a) == -1);
	}
	if (hostport_parse(text, host, sizeof(host), &port, &numeric) == -1)
		return;
	CHECK(port > 0 && host[0] != '\0');
	CHECK(numeric ? addr_parse(host, port, &a) == 0 :
	    hostname_valid(host));
	(void)snprintf(buf, sizeof(buf), strchr(host, ':') != NULL ?
	    "[%s]:%u" : "%s:%u", host, port);
	CHECK(hostport_parse(buf, again, sizeof(again), &port2,
	    &numeric2) == 0);
	CHECK(port == port2 && numeric == numeric2 &&
	    strcmp(host, again) == 0);
}

static void
fuzz_url(const char *text)
{
	struct wsurl	 u, v;
	const char	*why = NULL, *p;
	char		 buf[URL_MAX + HOST_MAX + 32];

	if (wsurl_parse(text, &u, &why) == -1) {
		CHECK(why != NULL && why[0] != '\0');
		return;
	}
	CHECK(u.port != 0 && u.path[0] == '/');
	/* Both go into a request. */
	for (p = u.path; *p != '\0'; p++)
		CHECK(*p > ' ' && *p < 0x7f && *p != '#');
	for (p = u.hostport; *p != '\0'; p++)
		CHECK(*p > ' ' && *p < 0x7f && strchr("/?#@", *p) == NULL);
	(void)snprintf(buf, sizeof(buf), "%s://%s%s", u.tls ? "wss" : "ws",
	    u.hostport, u.path);
	if (strlen(buf) >= URL_MAX)
		return;
	CHECK(wsurl_parse(buf, &v, &why) == 0);
	CHECK(u.tls == v.tls && u.numeric == v.numeric && u.port == v.port &&
	    strcmp(u.host, v.host) == 0 && strcmp(u.path, v.path) == 0 &&
	    strcmp(u.hostport, v.hostport) == 0);
}

static void
fuzz_sid(const char *text)
{
	uint64_t	 id;
	char		 buf[SID_TEXT];

	if (sid_parse(text, &id) == 0)
		CHECK(strcmp(sid_format(id, buf), text) == 0);
}

/* "origin host", in blocks of their own size. */
static void
fuzz_origin(const char *text)
{
	struct conf_origins	 list = TAILQ_HEAD_INITIALIZER(list);
	struct conf_origin	 entry;
	const char		*blank = strchr(text, ' ');
	size_t			 olen, hlen;
	char			*origin, *host;

	olen = blank == NULL ? strlen(text) : (size_t)(blank - text);
	hlen = blank == NULL ? 0 : strlen(blank + 1);
	origin = fuzz_copy(text, olen);
	host = fuzz_copy(blank == NULL ? "" : blank + 1, hlen);
	CHECK(origin_allowed(ORIGIN_ANY, &list, origin, olen, host, hlen));
	CHECK(!origin_allowed(ORIGIN_LIST, &list, origin, olen, host, hlen));
	if (origin_allowed(ORIGIN_SAME_HOST, &list, origin, olen, host,
	    hlen)) {
		CHECK(olen > 7 && hlen > 0 && strncasecmp(origin, "http",
		    4) == 0);
		CHECK(!origin_allowed(ORIGIN_SAME_HOST, &list, origin, olen,
		    NULL, 0));
	}
	entry.origin = fuzz_text(origin, olen);
	TAILQ_INSERT_TAIL(&list, &entry, entry);
	CHECK(origin_allowed(ORIGIN_LIST, &list, origin, olen, host, hlen));
	free(entry.origin);
	fuzz_free(origin, olen);
	fuzz_free(host, hlen);
}

/* What a URL names, under a location that allows a few targets. */
static void
fuzz_target(const char *text)
{
	static struct conf	*c;
	static struct conf_server s;
	static struct conf_loc	 l;
	static struct conf_target t[2];
	struct decision		 d;
	struct msg_open		 o;
	char			 buf[TARGET_TEXT];

	if (c == NULL) {
		CHECK((c = conf_new()) != NULL);
		s.id = 1;
		s.name = fuzz_text("s", 1);
		TAILQ_INIT(&s.listens);
		TAILQ_INIT(&s.locs);
		TAILQ_INIT(&s.trusted);
		TAILQ_INIT(&s.origins);
		l.server = &s;
		l.id = 2;
		l.kind = LOC_LIST;
		l.pattern = fuzz_text("/t/*", 4);
		TAILQ_INIT(&l.targets);
		TAILQ_INIT(&l.origins);
		TAILQ_INIT(&l.allow);
		t[0].kind = TARGET_ADDR;
		CHECK(addr_parse("127.0.0.1", 22, &t[0].addr) == 0);
		t[0].port = 22;
		t[1].kind = TARGET_NAME;
		t[1].name = fuzz_text("name", 4);
		t[1].port = 443;
		TAILQ_INSERT_TAIL(&l.targets, &t[0], entry);
		TAILQ_INSERT_TAIL(&l.targets, &t[1], entry);
		TAILQ_INSERT_TAIL(&s.locs, &l, entry);
		TAILQ_INSERT_TAIL(&c->servers, &s, entry);
	}
	memset(&o, 0, sizeof(o));
	o.server = 1;
	o.loc = 2;
	o.type = SESSION_GATEWAY;
	CHECK(addr_parse("192.0.2.1", 1, &o.source) == 0);
	if (strlcpy(o.target, text, sizeof(o.target)) >= sizeof(o.target))
		return;
	memset(&d, 0, sizeof(d));
	policy_decide(c, &o, &d);
	if (d.refuse != REASON_NONE || d.fail != REASON_NONE)
		return;
	/* Only what is listed; nothing reads as another thing. */
	CHECK(d.has_dest);
	dest_format(&d.dest, buf, sizeof(buf));
	CHECK(strcmp(buf, "127.0.0.1:22") == 0 ||
	    strcmp(buf, "name:443") == 0);
}

static void
fuzz_hosts(const char *text)
{
	struct hosts	*h = hosts_parse(text);
	struct addr	 a[4];
	char		 name[64];
	unsigned	 i, n;

	CHECK(h != NULL);
	(void)strlcpy(name, text + strcspn(text, " \t"), sizeof(name));
	name[strcspn(name, "\n")] = '\0';
	n = hosts_lookup(h, name + strspn(name, " \t"), a, nitems(a));
	CHECK(n <= nitems(a));
	for (i = 0; i < n; i++)
		CHECK(a[i].len > 0 && addr_port(&a[i]) == 0);
	hosts_free(h);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void	(*const fuzz[])(const char *) = {
		fuzz_addr, fuzz_cidr, fuzz_hostport, fuzz_url, fuzz_sid,
		fuzz_origin, fuzz_target, fuzz_hosts
	};
	char		*text;
	size_t		 i;

	if (size > 4096)
		return (0);
	text = fuzz_text(data, size);
	for (i = 0; i < nitems(fuzz); i++)
		fuzz[i](text);
	free(text);
	return (0);
}
