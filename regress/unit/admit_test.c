/* SPDX-License-Identifier: ISC */
/* admit_test.c: sessions and limits: counts come back whatever the order. */
/* LINK: tunneld/admit.c lib/addr.c */

#include "compat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "admit.h"

static const struct admit_limits	nolimits = { UINT64_MAX, UINT64_MAX,
	UINT64_MAX };

static void
fill(struct msg_open *o, uint64_t id, uint32_t server, uint32_t loc,
    const char *source)
{
	memset(o, 0, sizeof(*o));
	o->session = id;
	o->server = server;
	o->loc = loc;
	o->type = SESSION_GATEWAY;
	if (source != NULL)
		assert_int_equal(addr_parse(source, 1, &o->source), 0);
}

static enum reason
add(uint64_t id, uint32_t server, uint32_t loc, const char *source,
    uint64_t lserver, uint64_t lloc, uint64_t lsource)
{
	struct admit_limits	 l = { lserver, lloc, lsource };
	struct msg_open		 o;
	struct admit		*a;

	fill(&o, id, server, loc, source);
	return (admit_add(&o, &l, &a));
}

static void
clear(void)
{
	struct admit	*a;

	while ((a = admit_first(0)) != NULL)
		admit_remove(a);
}

static void
test_registry(void **state)
{
	struct msg_open	 o, p;
	struct admit	*a, *b;

	fill(&o, SID_MAKE(1, 2, 3), 10, 20, "10.0.0.1");
	strlcpy(o.target, "h:1", sizeof(o.target));
	assert_int_equal(admit_add(&o, &nolimits, &a), REASON_NONE);
	assert_ptr_equal(admit_find(o.session), a);
	assert_null(admit_find(o.session + 1));
	admit_open(a, &p);
	assert_memory_equal(&o, &p, sizeof(o));
	/* Twice is an error, and counts once. */
	assert_int_equal(admit_add(&o, &nolimits, &b), REASON_INTERNAL);
	assert_int_equal(admit_server_count(10), 1);
	admit_remove(a);
	assert_null(admit_find(o.session));
	assert_int_equal(admit_server_count(10), 0);
}

static void
test_server_and_loc(void **state)
{
	assert_int_equal(add(1, 1, 11, "10.0.0.1", 2, 9, 9), REASON_NONE);
	assert_int_equal(add(2, 1, 12, "10.0.0.1", 2, 9, 9), REASON_NONE);
	assert_int_equal(add(3, 1, 11, "10.0.0.1", 2, 9, 9),
	    REASON_MAX_SESSIONS);
	/* A refused one has left nothing behind. */
	assert_null(admit_find(3));
	assert_int_equal(admit_server_count(1), 2);
	/* Another server does not care. */
	assert_int_equal(add(4, 2, 21, "10.0.0.1", 2, 9, 9), REASON_NONE);
	/* A location's own limit. */
	assert_int_equal(add(5, 1, 11, "10.0.0.1", 9, 1, 9),
	    REASON_MAX_SESSIONS);
	assert_int_equal(add(5, 1, 13, "10.0.0.1", 9, 1, 9), REASON_NONE);
	admit_remove(admit_find(1));
	assert_int_equal(add(6, 1, 11, "10.0.0.1", 9, 1, 9), REASON_NONE);
	/* A limit of none at all. */
	assert_int_equal(add(7, 3, 31, "10.0.0.1", 0, 9, 9),
	    REASON_MAX_SESSIONS);
	clear();
	assert_int_equal(admit_server_count(1), 0);
}

static void
test_source(void **state)
{
	const uint64_t	 n = 100;

	assert_int_equal(add(1, 1, 1, "10.0.0.1", n, n, 1), REASON_NONE);
	assert_int_equal(add(2, 1, 2, "10.0.0.1", n, n, 1),
	    REASON_MAX_PER_SOURCE);
	assert_int_equal(add(2, 1, 1, "::ffff:10.0.0.1", n, n, 1),
	    REASON_MAX_PER_SOURCE);
	assert_int_equal(add(2, 1, 1, "10.0.0.2", n, n, 1), REASON_NONE);
	/* Sources count for each server on its own. */
	assert_int_equal(add(3, 2, 1, "10.0.0.1", n, n, 1), REASON_NONE);
	/* A /64 is one source, its neighbour another. */
	assert_int_equal(add(4, 1, 1, "2001:db8:0:1::1", n, n, 1),
	    REASON_NONE);
	assert_int_equal(add(5, 1, 1, "2001:db8:0:1:ffff::2", n, n, 1),
	    REASON_MAX_PER_SOURCE);
	assert_int_equal(add(5, 1, 1, "2001:db8:0:2::1", n, n, 1),
	    REASON_NONE);
	/* 10.0.0.1 is not 0a00:0001::/64. */
	assert_int_equal(add(6, 1, 1, "a00:1::", n, n, 1), REASON_NONE);
	/* All whose proxy told no address are one source. */
	assert_int_equal(add(7, 1, 1, NULL, n, n, 1), REASON_NONE);
	assert_int_equal(add(8, 1, 1, NULL, n, n, 1), REASON_MAX_PER_SOURCE);
	admit_remove(admit_find(1));
	assert_int_equal(add(9, 1, 1, "10.0.0.1", n, n, 1), REASON_NONE);
	clear();
}

/* Announced sessions and forwards count, or not, without being refused. */
static void
test_announced_and_forward(void **state)
{
	struct msg_open	 o;
	struct admit	*a;

	fill(&o, 1, 1, 1, "10.0.0.1");
	assert_int_equal(admit_add(&o, NULL, &a), REASON_NONE);
	fill(&o, 2, 1, 1, "10.0.0.1");
	assert_int_equal(admit_add(&o, NULL, &a), REASON_NONE);
	assert_int_equal(admit_server_count(1), 2);
	assert_int_equal(add(3, 1, 1, "10.0.0.1", 2, 9, 9),
	    REASON_MAX_SESSIONS);
	fill(&o, 4, 0, 0, "10.0.0.1");
	o.forward = 7;
	assert_int_equal(admit_add(&o, &(struct admit_limits){ 0, 0, 0 }, &a),
	    REASON_NONE);
	assert_int_equal(admit_server_count(0), 0);
	clear();
}

/* A relay's share: all of its slot, nobody else's; walking while removing. */
static void
test_share(void **state)
{
	struct admit	*a, *next;
	unsigned	 slot, i, n;

	for (slot = 0; slot < 4; slot++)
		for (i = 0; i < 100; i++)
			assert_int_equal(add(SID_MAKE(slot, 5 + i % 2, i), 1,
			    1, "10.0.0.1", 1000, 1000, 1000), REASON_NONE);
	assert_int_equal(admit_server_count(1), 400);
	n = 0;
	a = admit_first(SID_MAKE(2, 0, 0));
	for (; a != NULL && SID_SLOT(a->id) == 2; a = next) {
		next = admit_next(a);
		admit_remove(a);
		n++;
	}
	assert_int_equal(n, 100);
	assert_int_equal(admit_server_count(1), 300);
	assert_non_null(admit_find(SID_MAKE(3, 5, 0)));
	assert_non_null(admit_find(SID_MAKE(1, 6, 99)));
	clear();
	assert_int_equal(admit_server_count(1), 0);
	assert_null(admit_first(0));
}

/* Against a plain model: random comings and goings, counts always agree. */
static void
test_model(void **state)
{
	static const char *const sources[] = { "10.0.0.1", "10.0.0.2",
		"2001:db8::1", "2001:db8::2", "2001:db8:1::1" };
	static const unsigned	 group[] = { 0, 1, 2, 2, 3 };
	struct { bool live; unsigned server, src; } m[64];
	unsigned		 i, k, s, n, round, ns, nsrc;
	enum reason		 r, want;

	memset(m, 0, sizeof(m));
	srand(7);
	for (round = 0; round < 20000; round++) {
		k = (unsigned)rand() % 64;
		if (m[k].live) {
			admit_remove(admit_find(1000 + k));
			m[k].live = false;
			continue;
		}
		s = (unsigned)rand() % 3 + 1;
		n = (unsigned)rand() % 5;
		for (ns = nsrc = 0, i = 0; i < 64; i++) {
			if (!m[i].live || m[i].server != s)
				continue;
			ns++;
			nsrc += group[m[i].src] == group[n];
		}
		want = ns >= 12 ? REASON_MAX_SESSIONS :
		    nsrc >= 4 ? REASON_MAX_PER_SOURCE : REASON_NONE;
		r = add(1000 + k, s, s, sources[n], 12, 99, 4);
		assert_int_equal(r, want);
		if (r == REASON_NONE) {
			m[k].live = true;
			m[k].server = s;
			m[k].src = n;
			ns++;
		}
		assert_int_equal(admit_server_count(s), ns);
	}
	clear();
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(test_registry),
		cmocka_unit_test(test_server_and_loc),
		cmocka_unit_test(test_source),
		cmocka_unit_test(test_announced_and_forward),
		cmocka_unit_test(test_share),
		cmocka_unit_test(test_model),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
