/* SPDX-License-Identifier: ISC */
/* policy_test.c: who may open what, by every kind of location and target. */
/* LINK: tunneld/policy.c tunneld/conf.c tunneld/log.c tunneld/logfmt.c tunneld/util.c tunneld/stats.c lib/addr.c lib/json.c lib/utf8.c lib/visstr.c compat/shm.c compat/fdstat.c */

#include "compat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "conf_make.h"
#include "policy.h"

enum { S1 = 1, S2 };
enum { FIX = 1, UNIX, NAME, LIST, SOKKEN, ECHO, HEALTH, METRICS, CLOSED,
	OTHER };

static struct conf	*conf;

static int
setup(void **state)
{
	struct conf_server	*s;
	struct conf_loc		*l;

	conf = conf_new();
	s = make_server(conf, S1);
	make_target(make_location(s, FIX, LOC_FORWARD), "127.0.0.1:22");
	make_target(make_location(s, UNIX, LOC_FORWARD), "/run/x");
	make_target(make_location(s, NAME, LOC_FORWARD), "db.internal:5432");
	l = make_location(s, LIST, LOC_LIST);
	make_target(l, "127.0.0.1:22");
	make_target(l, "[::1]:23");
	make_target(l, "Name.example:443");
	make_target(l, "/run/x");
	l = make_location(s, SOKKEN, LOC_LIST);
	l->sokken = true;
	make_target(l, "127.0.0.1:22");
	make_location(s, ECHO, LOC_ECHO);
	make_location(s, HEALTH, LOC_HEALTH);
	make_location(s, METRICS, LOC_METRICS);
	l = make_location(s, CLOSED, LOC_ECHO);
	make_allow(l, "10.1.0.0/16");
	make_allow(l, "2001:db8::/32");
	make_location(make_server(conf, S2), OTHER, LOC_ECHO);
	make_forward(conf, 5, "wss.example:8443");
	make_forward(conf, 6, "192.0.2.7:80");
	return (0);
}

static int
teardown(void **state)
{
	conf_unref(conf);
	return (0);
}

static struct decision	d;
static struct msg_open	o;

static void
ask(uint32_t loc, enum session_type type, const char *text,
    const char *source)
{
	memset(&o, 0, sizeof(o));
	o.session = 1;
	o.server = S1;
	o.loc = loc;
	o.type = type;
	strlcpy(o.target, text, sizeof(o.target));
	assert_int_equal(addr_parse(source, 5, &o.source), 0);
	policy_decide(conf, &o, &d);
}

static void
want(uint32_t loc, const char *text, const char *dest)
{
	char	 buf[TARGET_TEXT];

	ask(loc, SESSION_GATEWAY, text, "192.0.2.1");
	assert_int_equal(d.refuse, REASON_NONE);
	if (dest == NULL) {
		assert_int_equal(d.fail, loc == SOKKEN ?
		    REASON_SOKKEN_TARGET : REASON_TARGET_NOT_ALLOWED);
		assert_false(d.has_dest);
		return;
	}
	assert_int_equal(d.fail, REASON_NONE);
	assert_true(d.has_dest);
	assert_string_equal(dest_format(&d.dest, buf, sizeof(buf)), dest);
}

static void
test_fixed(void **state)
{
	want(FIX, "", "127.0.0.1:22");
	want(UNIX, "", "unix:/run/x");
	want(NAME, "", "db.internal:5432");
	/* What the URL says means nothing here. */
	want(FIX, "10.0.0.1:1", "127.0.0.1:22");
}

static void
test_list(void **state)
{
	static const char *const no[] = {
		"", ":", "127.0.0.1", "127.0.0.1:", "127.0.0.1:23",
		"127.0.0.2:22", "[::1]:22", "localhost:22", "127.1:22",
		"2130706433:22", "0x7f.1:22", "127.0.0.1:022", "127.0.0.1:0",
		"127.0.0.1:65558", "127.0.0.1:22 ", " 127.0.0.1:22",
		"[127.0.0.1:22", "::1:23", "name.example:444",
		"name.example.:443", "xname.example:443", "/run/x",
		"unix:/run/x", "unix", "name.example", "93.184.216.34:443",
		"127.0.0.1:22/", "127.0.0.1:22@evil:22", "[::1%1]:23",
	};
	size_t	 i;

	want(LIST, "127.0.0.1:22", "127.0.0.1:22");
	want(LIST, "[::ffff:127.0.0.1]:22", "127.0.0.1:22");
	want(LIST, "[::1]:23", "[::1]:23");
	want(LIST, "[0:0::0:1]:23", "[::1]:23");
	want(LIST, "name.example:443", "Name.example:443");
	want(LIST, "NAME.EXAMPLE:443", "Name.example:443");
	for (i = 0; i < nitems(no); i++)
		want(LIST, no[i], NULL);
	want(SOKKEN, "127.0.0.1:22", "127.0.0.1:22");
	want(SOKKEN, "127.0.0.1:23", NULL);
	want(SOKKEN, "", NULL);
}

static void
test_refused(void **state)
{
	/* Types and kinds must fit. */
	ask(ECHO, SESSION_ECHO, "", "192.0.2.1");
	assert_int_equal(d.refuse, REASON_NONE);
	assert_int_equal(d.fail, REASON_NONE);
	assert_false(d.has_dest);
	ask(ECHO, SESSION_GATEWAY, "", "192.0.2.1");
	assert_int_equal(d.refuse, REASON_TARGET_NOT_ALLOWED);
	ask(FIX, SESSION_ECHO, "", "192.0.2.1");
	assert_int_equal(d.refuse, REASON_TARGET_NOT_ALLOWED);
	ask(FIX, SESSION_FORWARD, "", "192.0.2.1");
	assert_int_equal(d.refuse, REASON_TARGET_NOT_ALLOWED);
	ask(HEALTH, SESSION_GATEWAY, "", "192.0.2.1");
	assert_int_equal(d.refuse, REASON_TARGET_NOT_ALLOWED);
	ask(METRICS, SESSION_GATEWAY, "", "192.0.2.1");
	assert_int_equal(d.refuse, REASON_TARGET_NOT_ALLOWED);
	/* No such location; one of another server; no such server. */
	ask(99, SESSION_ECHO, "", "192.0.2.1");
	assert_int_equal(d.refuse, REASON_TARGET_NOT_ALLOWED);
	ask(0, SESSION_ECHO, "", "192.0.2.1");
	assert_int_equal(d.refuse, REASON_TARGET_NOT_ALLOWED);
	ask(OTHER, SESSION_ECHO, "", "192.0.2.1");
	assert_int_equal(d.refuse, REASON_TARGET_NOT_ALLOWED);
	assert_null(d.loc);
	o.server = S2;
	policy_decide(conf, &o, &d);
	assert_int_equal(d.refuse, REASON_NONE);
	o.server = 77;
	policy_decide(conf, &o, &d);
	assert_int_equal(d.refuse, REASON_TARGET_NOT_ALLOWED);
}

static void
test_allow(void **state)
{
	ask(CLOSED, SESSION_ECHO, "", "10.1.2.3");
	assert_int_equal(d.refuse, REASON_NONE);
	ask(CLOSED, SESSION_ECHO, "", "::ffff:10.1.2.3");
	assert_int_equal(d.refuse, REASON_NONE);
	ask(CLOSED, SESSION_ECHO, "", "2001:db8::9");
	assert_int_equal(d.refuse, REASON_NONE);
	ask(CLOSED, SESSION_ECHO, "", "10.2.0.1");
	assert_int_equal(d.refuse, REASON_NOT_ALLOWED);
	ask(CLOSED, SESSION_ECHO, "", "2001:db9::9");
	assert_int_equal(d.refuse, REASON_NOT_ALLOWED);
	/* Who has no address is in no list. */
	memset(&o.source, 0, sizeof(o.source));
	policy_decide(conf, &o, &d);
	assert_int_equal(d.refuse, REASON_NOT_ALLOWED);
}

static void
test_forward(void **state)
{
	char	 buf[TARGET_TEXT];

	memset(&o, 0, sizeof(o));
	o.type = SESSION_FORWARD;
	o.forward = 5;
	policy_decide(conf, &o, &d);
	assert_int_equal(d.refuse, REASON_NONE);
	assert_string_equal(dest_format(&d.dest, buf, sizeof(buf)),
	    "wss.example:8443");
	o.forward = 6;
	policy_decide(conf, &o, &d);
	assert_string_equal(dest_format(&d.dest, buf, sizeof(buf)),
	    "192.0.2.7:80");
	o.forward = 7;
	policy_decide(conf, &o, &d);
	assert_int_equal(d.refuse, REASON_TARGET_NOT_ALLOWED);
	/* A forward's number is no way around a location's rules. */
	o.forward = 5;
	o.server = S1;
	o.loc = LIST;
	policy_decide(conf, &o, &d);
	assert_int_equal(d.refuse, REASON_TARGET_NOT_ALLOWED);
	o.server = o.loc = 0;
	o.type = SESSION_GATEWAY;
	policy_decide(conf, &o, &d);
	assert_int_equal(d.refuse, REASON_TARGET_NOT_ALLOWED);
}

static bool
addr_ok(uint32_t loc, const char *name, const char *text, uint16_t port)
{
	struct dest	 dest;
	struct addr	 a;

	memset(&dest, 0, sizeof(dest));
	dest.kind = TARGET_NAME;
	dest.port = port;
	strlcpy(dest.name, name, sizeof(dest.name));
	assert_int_equal(addr_parse(text, port, &a), 0);
	return (policy_addr_ok(conf, loc, &dest, &a));
}

static void
test_resolved(void **state)
{
	static const char *const local[] = { "127.0.0.1", "127.9.9.9", "::1",
		"169.254.169.254", "fe80::1", "0.0.0.0", "::",
		"::ffff:127.0.0.1" };
	size_t	 i;

	for (i = 0; i < nitems(local); i++) {
		assert_false(addr_ok(NAME, "db.internal", local[i], 5432));
		assert_true(addr_ok(NAME, "localhost", local[i], 5432));
		assert_true(addr_ok(NAME, "LOCALHOST", local[i], 5432));
		/* Forwards go where our own configuration says. */
		assert_true(addr_ok(0, "db.internal", local[i], 5432));
		assert_false(addr_ok(NAME, "x.localhost", local[i], 5432));
		assert_false(addr_ok(99, "db.internal", local[i], 5432));
	}
	assert_true(addr_ok(NAME, "db.internal", "10.0.0.1", 5432));
	assert_true(addr_ok(NAME, "db.internal", "2001:db8::1", 5432));
	/* Listed as an address: address and port. */
	assert_true(addr_ok(LIST, "name.example", "127.0.0.1", 22));
	assert_true(addr_ok(LIST, "name.example", "::ffff:127.0.0.1", 22));
	assert_false(addr_ok(LIST, "name.example", "127.0.0.1", 443));
	assert_false(addr_ok(LIST, "name.example", "::1", 22));
	assert_true(addr_ok(LIST, "name.example", "::1", 23));
}

/* After a reload. */
static void
test_still(void **state)
{
	struct conf_loc		*l;
	struct conf_target	*t;

	ask(FIX, SESSION_GATEWAY, "", "192.0.2.1");
	assert_true(policy_still(conf, &o, "127.0.0.1:22", "127.0.0.1:22"));
	assert_true(policy_still(conf, &o, "127.0.0.1:22", NULL));
	assert_true(policy_still(conf, &o, NULL, NULL));
	assert_false(policy_still(conf, &o, "127.0.0.1:2222", NULL));
	assert_false(policy_still(conf, &o, "unix:/run/x", NULL));

	ask(LIST, SESSION_GATEWAY, "name.example:443", "192.0.2.1");
	assert_true(policy_still(conf, &o, "Name.example:443",
	    "203.0.113.1:443"));
	assert_false(policy_still(conf, &o, "Name.example:443",
	    "127.0.0.1:443"));
	l = conf_loc_by_id(conf, LIST);
	t = TAILQ_FIRST(&l->targets);
	TAILQ_REMOVE(&l->targets, t, entry);
	ask(LIST, SESSION_GATEWAY, "127.0.0.1:22", "192.0.2.1");
	assert_false(policy_still(conf, &o, "127.0.0.1:22", NULL));
	TAILQ_INSERT_HEAD(&l->targets, t, entry);
	assert_true(policy_still(conf, &o, "127.0.0.1:22", NULL));

	ask(CLOSED, SESSION_ECHO, "", "10.1.2.3");
	assert_true(policy_still(conf, &o, NULL, NULL));
	ask(CLOSED, SESSION_ECHO, "", "10.2.2.3");
	assert_false(policy_still(conf, &o, NULL, NULL));
	ask(99, SESSION_ECHO, "", "10.1.2.3");
	assert_false(policy_still(conf, &o, NULL, NULL));
	/* The location now leads somewhere else altogether. */
	ask(FIX, SESSION_ECHO, "", "10.1.2.3");
	assert_false(policy_still(conf, &o, NULL, NULL));
}

/* A path that fits no socket address is no destination. */
static void
test_long_path(void **state)
{
	struct conf_loc	*l = conf_loc_by_id(conf, UNIX);
	char		 path[200];

	memset(path, 'p', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	free(TAILQ_FIRST(&l->targets)->path);
	TAILQ_FIRST(&l->targets)->path = strdup(path);
	want(UNIX, "", NULL);
}

int
main(void)
{
#define T(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest	 tests[] = {
		T(test_fixed),
		T(test_list),
		T(test_refused),
		T(test_allow),
		T(test_forward),
		T(test_resolved),
		T(test_still),
		T(test_long_path),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
