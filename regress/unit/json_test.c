/* SPDX-License-Identifier: ISC */
/* json_test.c: the JSON writer: nesting, escapes, bounds, times. */
/* LINK: lib/json.c lib/utf8.c */

#include "compat.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "json.h"

#define nitems(a)	(sizeof(a) / sizeof((a)[0]))

static void
sample(struct json *j)
{
	json_object(j);
	json_name(j, "a");
	json_u64(j, UINT64_MAX);
	json_name(j, "list");
	json_array(j);
	json_i64(j, INT64_MIN);
	json_bool(j, true);
	json_bool(j, false);
	json_null(j);
	json_object(j);
	json_end_object(j);
	json_array(j);
	json_end_array(j);
	json_end_array(j);
	json_name(j, "s");
	json_string(j, "x");
	json_name(j, "none");
	json_string(j, NULL);
	json_name(j, "in");
	json_object(j);
	json_name(j, "t");
	json_duration(j, 1234567);
	json_end_object(j);
	json_end_object(j);
}

static const char sample_text[] =
    "{\"a\":18446744073709551615,\"list\":[-9223372036854775808,true,false,"
    "null,{},[]],\"s\":\"x\",\"none\":null,\"in\":{\"t\":1.234}}";

static void
test_nesting(void **state)
{
	struct json	 j;

	json_init(&j);
	sample(&j);
	assert_false(j.failed);
	assert_int_equal(j.depth, 0);
	assert_string_equal(j.buf, sample_text);
	assert_int_equal(j.len, sizeof(sample_text) - 1);
	json_free(&j);
}

static void
test_indent(void **state)
{
	struct json	 j;

	json_init(&j);
	j.indent = true;
	json_object(&j);
	json_name(&j, "status");
	json_string(&j, "ok");
	json_name(&j, "list");
	json_array(&j);
	json_u64(&j, 1);
	json_u64(&j, 2);
	json_end_array(&j);
	json_name(&j, "empty");
	json_array(&j);
	json_end_array(&j);
	json_end_object(&j);
	assert_string_equal(j.buf, "{\n  \"status\": \"ok\",\n  \"list\": [\n"
	    "    1,\n    2\n  ],\n  \"empty\": []\n}");
	json_free(&j);
}

static void
test_strings(void **state)
{
	static const struct {
		const char	*s;
		size_t		 n;
		const char	*out;
	} t[] = {
		{ "", 0, "\"\"" },
		{ "plain / text", 12, "\"plain / text\"" },
		{ "q\"b\\", 4, "\"q\\\"b\\\\\"" },
		{ "\b\f\n\r\t", 5, "\"\\b\\f\\n\\r\\t\"" },
		{ "\0\x01\x1f\x7f", 4, "\"\\u0000\\u0001\\u001f\\u007f\"" },
		{ "\xc2\x9b" "31m", 5, "\"\\u009b31m\"" },
		{ "\xc2\x80\xc2\x9f", 4, "\"\\u0080\\u009f\"" },
		{ "\xc2\xa0\xc3\xa9", 4, "\"\xc2\xa0\xc3\xa9\"" },
		{ "\xe2\x82\xac\xf0\x9f\x98\x80", 7,
		    "\"\xe2\x82\xac\xf0\x9f\x98\x80\"" },
		/* what is no UTF-8 becomes U+FFFD */
		{ "a\xff" "b", 3, "\"a\xef\xbf\xbd" "b\"" },
		{ "\x80\x80", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "\xe2\x82", 2, "\"\xef\xbf\xbd\"" },
		{ "\xe2\x82z", 3, "\"\xef\xbf\xbdz\"" },
		{ "\xe2\x82\"", 3, "\"\xef\xbf\xbd\\\"\"" },
		{ "\xf0\x9f\x98\xe2\x82\xac", 6,
		    "\"\xef\xbf\xbd\xe2\x82\xac\"" },
		{ "\xc0\xaf", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "\xed\xa0\x80", 3,
		    "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
	};
	struct json	 j;
	char		*copy;
	size_t		 i;

	for (i = 0; i < nitems(t); i++) {
		copy = malloc(t[i].n ? t[i].n : 1);
		assert_non_null(copy);
		memcpy(copy, t[i].s, t[i].n);
		json_init(&j);
		json_stringn(&j, copy, t[i].n);
		assert_string_equal(j.buf, t[i].out);
		json_free(&j);
		free(copy);
	}
	json_init(&j);
	json_object(&j);
	json_name(&j, "k\"\n");
	json_null(&j);
	json_end_object(&j);
	assert_string_equal(j.buf, "{\"k\\\"\\n\":null}");
	json_free(&j);
}

/* A fixed buffer of any size: cut and told, never overrun. */
static void
test_fixed(void **state)
{
	struct json	 j;
	char		*buf;
	size_t		 size;

	for (size = 0; size < sizeof(sample_text) + 10; size++) {
		buf = malloc(size ? size : 1);
		assert_non_null(buf);
		json_init_fixed(&j, buf, size);
		sample(&j);
		assert_int_equal(j.failed, size < sizeof(sample_text));
		if (size > 0) {
			assert_true(j.len < size);
			assert_int_equal(buf[j.len], '\0');
			assert_memory_equal(buf, sample_text, j.len);
		}
		json_free(&j);
		free(buf);
	}
}

static void
test_grows(void **state)
{
	struct json	 j;
	char		 big[5000];
	unsigned	 i;

	memset(big, 'x', sizeof(big));
	json_init(&j);
	json_array(&j);
	for (i = 0; i < 200; i++)
		json_stringn(&j, big, sizeof(big));
	json_end_array(&j);
	assert_false(j.failed);
	assert_int_equal(j.len, 2 + 199 + 200 * (sizeof(big) + 2));
	assert_int_equal(strlen(j.buf), j.len);
	json_free(&j);
	assert_null(j.buf);
}

/* Too deep, or closed too often, is told and harmless. */
static void
test_depth(void **state)
{
	struct json	 j;
	unsigned	 i;

	json_init(&j);
	for (i = 0; i < 31; i++)
		json_array(&j);
	assert_false(j.failed);
	for (i = 0; i < 31; i++)
		json_end_array(&j);
	assert_false(j.failed);
	assert_int_equal(j.len, 62);
	json_end_array(&j);
	assert_true(j.failed);
	json_free(&j);

	json_init(&j);
	for (i = 0; i < 100; i++)
		json_array(&j);
	assert_true(j.failed);
	json_free(&j);
}

static void
test_durations(void **state)
{
	static const struct {
		uint64_t	 usec;
		const char	*out;
	} t[] = { { 0, "0.000" }, { 999, "0.000" }, { 1000, "0.001" },
	    { 1234567, "1.234" }, { 60000000, "60.000" },
	    { UINT64_MAX, "18446744073709.551" } };
	struct json	 j;
	size_t		 i;

	for (i = 0; i < nitems(t); i++) {
		json_init(&j);
		json_duration(&j, t[i].usec);
		assert_string_equal(j.buf, t[i].out);
		json_free(&j);
	}
}

static void
test_times(void **state)
{
	static const struct {
		uint64_t	 usec;
		const char	*out;
	} t[] = {
		{ 0, "1970-01-01T00:00:00.000Z" },
		{ 999, "1970-01-01T00:00:00.000Z" },
		{ 951782399999999ULL, "2000-02-28T23:59:59.999Z" },
		{ 951782400000000ULL, "2000-02-29T00:00:00.000Z" },
		{ 951868800000000ULL, "2000-03-01T00:00:00.000Z" },
		{ 1767323045678000ULL, "2026-01-02T03:04:05.678Z" },
		{ 4107542400000000ULL, "2100-03-01T00:00:00.000Z" },
		{ 253402300799999999ULL, "9999-12-31T23:59:59.999Z" },
		{ 253402300800000000ULL, "9999-12-31T23:59:59.999Z" },
		{ UINT64_MAX, "9999-12-31T23:59:59.999Z" },
	};
	char		 out[RFC3339_LEN], ref[64];
	struct json	 j;
	struct tm	 tm;
	time_t		 sec;
	size_t		 i;

	for (i = 0; i < nitems(t); i++)
		assert_string_equal(rfc3339(t[i].usec, out), t[i].out);
	/* Every day of 300 years, against the C library. */
	for (sec = 0; sec < (time_t)86400 * 366 * 300; sec += 86400 - 7) {
		assert_non_null(gmtime_r(&sec, &tm));
		assert_true(strftime(ref, sizeof(ref), "%Y-%m-%dT%H:%M:%S",
		    &tm) == 19);
		assert_memory_equal(rfc3339((uint64_t)sec * 1000000 + 5000,
		    out), ref, 19);
		assert_string_equal(out + 19, ".005Z");
	}
	json_init(&j);
	json_time(&j, 1767323045678000ULL);
	assert_string_equal(j.buf, "\"2026-01-02T03:04:05.678Z\"");
	json_free(&j);
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(test_nesting),
		cmocka_unit_test(test_indent),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_fixed),
		cmocka_unit_test(test_grows),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_times),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
