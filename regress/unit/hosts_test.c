/* SPDX-License-Identifier: ISC */
/* hosts_test.c: the table made of a hosts file. */
/* LINK: tunneld/hosts.c lib/addr.c */

#include "compat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hosts.h"

static const char file[] =
    "# comment\n"
    "127.0.0.1\tlocalhost\n"
    "::1 localhost ip6-localhost # and ip6-loopback\n"
    "  10.0.0.1   Alpha alpha.example\r\n"
    "10.0.0.2 alpha\n"
    "10.0.0.1 alpha\n"
    "fe80::1%3 scoped\n"
    "fe80::1%eth0 byname\n"
    "300.1.1.1 bad\n"
    "[::1] bracket\n"
    "10.0.0.9\n"
    "10.0.0.3 with_underscore a..b 10.1 x#y tail\n"
    "\n"
    "10.0.0.4 last";

static void
check(struct hosts *h, const char *name, unsigned n, const char *a,
    const char *b)
{
	struct addr	 out[4];
	char		 buf[ADDR_TEXT];

	assert_int_equal(hosts_lookup(h, name, out, 4), n);
	if (n > 0)
		assert_string_equal(addr_format_host(&out[0], buf,
		    sizeof(buf)), a);
	if (n > 1)
		assert_string_equal(addr_format_host(&out[1], buf,
		    sizeof(buf)), b);
	if (n > 0)
		assert_int_equal(addr_port(&out[0]), 0);
}

static void
test_lookup(void **state)
{
	struct hosts	*h = hosts_parse(file);

	assert_non_null(h);
	check(h, "localhost", 2, "127.0.0.1", "::1");
	check(h, "LocalHost", 2, "127.0.0.1", "::1");
	check(h, "ip6-localhost", 1, "::1", NULL);
	check(h, "ip6-loopback", 0, NULL, NULL);	/* in a comment */
	check(h, "alpha", 2, "10.0.0.1", "10.0.0.2");	/* no duplicate */
	check(h, "ALPHA", 2, "10.0.0.1", "10.0.0.2");
	check(h, "alpha.example", 1, "10.0.0.1", NULL);
	check(h, "alph", 0, NULL, NULL);
	check(h, "alphaa", 0, NULL, NULL);
	check(h, "scoped", 1, "fe80::1%3", NULL);
	check(h, "byname", 0, NULL, NULL);
	check(h, "bad", 0, NULL, NULL);
	check(h, "bracket", 0, NULL, NULL);
	check(h, "with_underscore", 1, "10.0.0.3", NULL);
	check(h, "a..b", 0, NULL, NULL);
	check(h, "10.1", 0, NULL, NULL);	/* never a name */
	check(h, "x", 1, "10.0.0.3", NULL);
	check(h, "y", 0, NULL, NULL);
	check(h, "tail", 0, NULL, NULL);
	check(h, "last", 1, "10.0.0.4", NULL);
	check(h, "", 0, NULL, NULL);
	hosts_free(h);
}

static void
test_empty(void **state)
{
	struct addr	 a;
	struct hosts	*h;
	char		 name[400];

	h = hosts_parse(NULL);
	assert_non_null(h);
	check(h, "localhost", 0, NULL, NULL);
	memset(name, 'a', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(hosts_lookup(h, name, &a, 1), 0);
	name[HOST_MAX] = '\0';
	assert_int_equal(hosts_lookup(h, name, &a, 1), 0);
	hosts_free(h);
	h = hosts_parse("");
	check(h, "localhost", 0, NULL, NULL);
	hosts_free(h);
	assert_int_equal(hosts_lookup(NULL, "localhost", &a, 1), 0);
	hosts_free(NULL);
}

/* A bound on the answer, long lines, many lines. */
static void
test_many(void **state)
{
	struct addr	 out[8];
	struct hosts	*h;
	char		*text, *p, name[32];
	size_t		 size = 60 * 20000 + 400000;
	unsigned	 i;

	text = p = malloc(size);
	assert_non_null(text);
	for (i = 0; i < 20000; i++)
		p += snprintf(p, 60, "10.%u.%u.%u same host%u.block\n",
		    i >> 16, i >> 8 & 255, i & 255, i);
	/* one line of 300000 bytes, and a name that is too long */
	p += snprintf(p, 60, "10.9.9.9 ");
	memset(p, 'b', 300000);
	p += 300000;
	(void)snprintf(p, 60, " behind\n");
	h = hosts_parse(text);
	free(text);
	assert_non_null(h);
	assert_int_equal(hosts_lookup(h, "same", out, 8), 8);
	assert_int_equal(hosts_lookup(h, "behind", out, 8), 1);
	for (i = 0; i < 20000; i += 777) {
		(void)snprintf(name, sizeof(name), "HOST%u.block", i);
		assert_int_equal(hosts_lookup(h, name, out, 8), 1);
	}
	hosts_free(h);
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(test_lookup),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_many),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
