/* SPDX-License-Identifier: ISC */
/* origin_test.c: which pages may open a WebSocket. */
/* LINK: tunneld/origin.c */

#include "compat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "origin.h"

static bool
same(const char *origin, const char *host)
{
	struct conf_origins	 none = TAILQ_HEAD_INITIALIZER(none);

	return origin_allowed(ORIGIN_SAME_HOST, &none, origin, strlen(origin),
	    host, host != NULL ? strlen(host) : 0);
}

static void
same_host(void **state)
{
	assert_true(same("http://a.example", "a.example"));
	assert_true(same("https://a.example", "a.example"));
	assert_true(same("HTTP://A.Example", "a.eXample"));
	assert_true(same("http://a.example:8080", "a.example:8080"));
	assert_true(same("http://[::1]:81", "[::1]:81"));
	/* Default ports may be written or not, by either side. */
	assert_true(same("http://a.example:80", "a.example"));
	assert_true(same("http://a.example", "a.example:80"));
	assert_true(same("https://a.example", "a.example:443"));
	assert_true(same("http://[::1]", "[::1]:80"));
}

static void
other_host(void **state)
{
	assert_false(same("http://b.example", "a.example"));
	assert_false(same("http://a.example.evil", "a.example"));
	assert_false(same("http://evil-a.example", "a.example"));
	assert_false(same("http://a.example:81", "a.example"));
	assert_false(same("http://a.example:443", "a.example"));
	assert_false(same("https://a.example", "a.example:80"));
	assert_false(same("http://user@a.example", "a.example"));
	assert_false(same("http://a.example/", "a.example"));
	assert_false(same("null", "a.example"));
	assert_false(same("null", "null"));
	assert_false(same("", ""));
	assert_false(same("http://", ""));
	assert_false(same("http://:80", ""));
	assert_false(same("file://a.example", "a.example"));
	assert_false(same("http://a.example", NULL));
	/* ":80" alone is not a default port of nothing. */
	assert_false(same("http://:80", ":80"));
}

static void
list(void **state)
{
	char			 x[] = "https://x.example", y[] = "null";
	struct conf_origin	 a, b;
	struct conf_origins	 l = TAILQ_HEAD_INITIALIZER(l);

	a.origin = x;
	b.origin = y;
	TAILQ_INSERT_TAIL(&l, &a, entry);
	assert_true(origin_allowed(ORIGIN_LIST, &l, "https://X.example", 17,
	    "h", 1));
	assert_false(origin_allowed(ORIGIN_LIST, &l, "https://x.example:444",
	    21, "h", 1));
	assert_false(origin_allowed(ORIGIN_LIST, &l, "http://h", 8, "h", 1));
	assert_false(origin_allowed(ORIGIN_LIST, &l, "null", 4, "h", 1));
	TAILQ_INSERT_TAIL(&l, &b, entry);
	assert_true(origin_allowed(ORIGIN_LIST, &l, "null", 4, "h", 1));
	assert_true(origin_allowed(ORIGIN_ANY, &l, "null", 4, "h", 1));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_host),
		cmocka_unit_test(other_host),
		cmocka_unit_test(list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
