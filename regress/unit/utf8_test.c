/* SPDX-License-Identifier: ISC */
/* utf8_test.c: the incremental UTF-8 check, all code points and edges. */
/* LINK: lib/utf8.c */

#include "compat.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"

#define nitems(a)	(sizeof(a) / sizeof((a)[0]))

enum verdict { GOOD, BAD, CUT };

/* Check s in the pieces [0,a) [a,b) [b,n), in a block of just its size. */
static enum verdict
check(const char *s, size_t n, size_t a, size_t b)
{
	uint32_t	 state = 0;
	uint8_t		*p = malloc(n ? n : 1);
	enum verdict	 v = BAD;

	assert_non_null(p);
	memcpy(p, s, n);
	if (utf8_check(&state, p, a) == 0 &&
	    utf8_check(&state, p + a, b - a) == 0 &&
	    utf8_check(&state, p + b, n - b) == 0)
		v = state == 0 ? GOOD : CUT;
	free(p);
	return (v);
}

static void
all_splits(const char *s, size_t n, enum verdict v)
{
	size_t	 a, b;

	for (a = 0; a <= n; a++)
		for (b = a; b <= n; b++)
			assert_int_equal(check(s, n, a, b), v);
}

static size_t
encode(uint32_t c, char *s)
{
	if (c < 0x80) {
		s[0] = (char)c;
		return (1);
	}
	if (c < 0x800) {
		s[0] = (char)(0xc0 | c >> 6);
		s[1] = (char)(0x80 | (c & 0x3f));
		return (2);
	}
	if (c < 0x10000) {
		s[0] = (char)(0xe0 | c >> 12);
		s[1] = (char)(0x80 | (c >> 6 & 0x3f));
		s[2] = (char)(0x80 | (c & 0x3f));
		return (3);
	}
	s[0] = (char)(0xf0 | c >> 18);
	s[1] = (char)(0x80 | (c >> 12 & 0x3f));
	s[2] = (char)(0x80 | (c >> 6 & 0x3f));
	s[3] = (char)(0x80 | (c & 0x3f));
	return (4);
}

/* Each code point alone, and nothing above the last one. */
static void
test_code_points(void **state)
{
	enum verdict	 v;
	uint32_t	 c;
	char		 s[4];
	size_t		 n;

	for (c = 0; c < 0x200000; c++) {
		n = encode(c, s);
		v = (c >= 0xd800 && c < 0xe000) || c > 0x10ffff ? BAD : GOOD;
		assert_int_equal(check(s, n, 0, n), v);
	}
}

/*
 * All strings of two bytes, and of three with an interesting start, against
 * the set of what a valid character may begin with.
 */
static bool
begins_character(const uint8_t *p, size_t n)
{
	static const uint32_t	 edge[] = { 0x80, 0x7ff, 0x800, 0xfff, 0x1000,
				    0xcfff, 0xd000, 0xd7ff, 0xe000, 0xffff,
				    0x10000, 0x3ffff, 0x40000, 0xfffff,
				    0x100000, 0x10ffff };
	char			 lo[4], hi[4];
	size_t			 i, len;

	for (i = 0; i < nitems(edge); i += 2) {
		len = encode(edge[i], lo);
		encode(edge[i + 1], hi);
		if (n <= len && memcmp(p, lo, n) >= 0 &&
		    memcmp(p, hi, n) <= 0 && (p[n - 1] & 0xc0) != 0x40 &&
		    (n < 2 || (p[1] & 0xc0) == 0x80) &&
		    (n < 3 || (p[2] & 0xc0) == 0x80) &&
		    (n < 4 || (p[3] & 0xc0) == 0x80))
			return (true);
	}
	return (false);
}

static void
test_prefixes(void **state)
{
	uint8_t		 p[4];
	uint32_t	 st;
	unsigned	 a, b, c;
	size_t		 n;
	int		 ret;

	for (a = 0x80; a < 256; a++)
	for (b = 0; b < 256; b++)
	for (c = 0; c < 256; c += 13)
		for (n = 1; n <= 3; n++) {
			p[0] = (uint8_t)a;
			p[1] = (uint8_t)b;
			p[2] = (uint8_t)c;
			st = 0;
			ret = 0;
			/* one character: stop where it ends */
			if (utf8_check(&st, p, 1) == -1 ||
			    (n > 1 && st != 0 &&
			    utf8_check(&st, p + 1, 1) == -1) ||
			    (n > 2 && st != 0 &&
			    utf8_check(&st, p + 2, 1) == -1))
				ret = -1;
			if (n == 3 && a < 0xe0)
				continue;
			assert_int_equal(ret == 0, begins_character(p, n));
		}
}

#define T(s, v)	{ s, sizeof(s) - 1, v }

/* The kinds of cases that section 6 of the Autobahn suite asks for. */
static const struct {
	const char	*s;
	size_t		 n;
	enum verdict	 v;
} table[] = {
	T("", GOOD),
	T("\0", GOOD),
	T("Hello", GOOD),
	T("Hello-\xc2\xb5@\xc3\x9f\xc3\xb6\xc3\xa4\xc3\xbc\xc3\xa0\xc3\xa1-"
	    "UTF-8!!", GOOD),
	T("\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5", GOOD),
	T("\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80" "edited",
	    BAD),
	T("\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80",
	    BAD),
	/* cut off anywhere */
	T("\xce", CUT),
	T("\xce\xba\xe1", CUT),
	T("\xce\xba\xe1\xbd", CUT),
	T("\xf0\x9f\x98", CUT),
	/* first and last of each length */
	T("\xc2\x80", GOOD),
	T("\xdf\xbf", GOOD),
	T("\xe0\xa0\x80", GOOD),
	T("\xef\xbf\xbf", GOOD),
	T("\xf0\x90\x80\x80", GOOD),
	T("\xf4\x8f\xbf\xbf", GOOD),
	T("\xf4\x90\x80\x80", BAD),
	T("\xf7\xbf\xbf\xbf", BAD),
	/* five and six bytes */
	T("\xf8\x88\x80\x80\x80", BAD),
	T("\xfb\xbf\xbf\xbf\xbf", BAD),
	T("\xfc\x84\x80\x80\x80\x80", BAD),
	T("\xfd\xbf\xbf\xbf\xbf\xbf", BAD),
	/* around the surrogates */
	T("\xed\x9f\xbf", GOOD),
	T("\xee\x80\x80", GOOD),
	T("\xef\xbf\xbd", GOOD),
	T("\xed\xa0\x80", BAD),
	T("\xed\xad\xbf", BAD),
	T("\xed\xae\x80", BAD),
	T("\xed\xaf\xbf", BAD),
	T("\xed\xb0\x80", BAD),
	T("\xed\xbf\xbf", BAD),
	T("\xed\xa0\x80\xed\xb0\x80", BAD),
	/* stray continuations, and bytes that never occur */
	T("\x80", BAD),
	T("\xbf", BAD),
	T("\x80\xbf\x80\xbf", BAD),
	T("\xfe", BAD),
	T("\xff", BAD),
	T("\xfe\xfe\xff\xff", BAD),
	/* a first byte without its continuation */
	T("\xc2 ", BAD),
	T("\xe1 ", BAD),
	T("\xe1\x80 ", BAD),
	T("\xf1\x80\x80 ", BAD),
	T("\xc3\xc3", BAD),
	T("\xe2\x82\xe2\x82\xac", BAD),
	/* overlong */
	T("\xc0\xaf", BAD),
	T("\xe0\x80\xaf", BAD),
	T("\xf0\x80\x80\xaf", BAD),
	T("\xc1\xbf", BAD),
	T("\xe0\x9f\xbf", BAD),
	T("\xf0\x8f\xbf\xbf", BAD),
	T("\xc0\x80", BAD),
	/* noncharacters are characters on the wire */
	T("\xef\xbf\xbe", GOOD),
	T("\xf0\x9f\xbf\xbe\xf0\x9f\xbf\xbf", GOOD),
	T("\xf4\x8f\xbf\xbe", GOOD),
	T("\xef\xb7\x90", GOOD),
};

static void
test_table(void **state)
{
	size_t	 i;

	for (i = 0; i < nitems(table); i++)
		all_splits(table[i].s, table[i].n, table[i].v);
}

/* Bad bytes are seen at once, not when a character ends. */
static void
test_fails_fast(void **state)
{
	static const struct {
		const char	*s;
		size_t		 n;
	} t[] = { { "\xc0", 1 }, { "\xe0\x80", 2 }, { "\xed\xa0", 2 },
	    { "\xf0\x80", 2 }, { "\xf4\x90", 2 }, { "\xf5", 1 } };
	uint32_t	 st;
	size_t		 i;

	for (i = 0; i < nitems(t); i++) {
		st = 0;
		assert_int_equal(utf8_check(&st, (const uint8_t *)t[i].s,
		    t[i].n - 1), 0);
		assert_int_equal(utf8_check(&st, (const uint8_t *)t[i].s +
		    t[i].n - 1, 1), -1);
		/* and nothing mends it */
		assert_int_equal(utf8_check(&st, (const uint8_t *)"\x80ok", 3),
		    -1);
		assert_int_equal(utf8_check(&st, NULL, 0), -1);
		assert_int_not_equal(st, 0);
	}
}

/* A non-ASCII byte at every place around the word-wise skip. */
static void
test_ascii_skip(void **state)
{
	uint8_t		 buf[128];
	uint32_t	 st;
	size_t		 off, n, i;

	for (off = 0; off < 16; off++)
		for (n = 0; n < 70; n++)
			for (i = 0; i <= n; i++) {
				memset(buf, 'a', sizeof(buf));
				buf[off + n] = 0xff;	/* behind the end */
				if (i < n)
					buf[off + i] = 0xbf;
				st = 0;
				assert_int_equal(utf8_check(&st, buf + off, n),
				    i < n ? -1 : 0);
			}
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(test_code_points),
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_fails_fast),
		cmocka_unit_test(test_ascii_skip),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
