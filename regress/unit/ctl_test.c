/* SPDX-License-Identifier: ISC */
/* ctl_test.c: payloads of the control protocol, good and hostile. */
/* LINK: lib/ctl.c */

#include "compat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ctl.h"

/* Walk a copy of exactly len bytes; the number of fields, or -1. */
static int
walk(const uint8_t *buf, size_t len)
{
	struct ctl_field f;
	const uint8_t *p;
	uint8_t *copy;
	int n = 0, r;

	copy = malloc(len > 0 ? len : 1);
	assert_non_null(copy);
	memcpy(copy, buf, len);
	p = copy;
	while ((r = ctl_row_next(&p, &len, &f)) == 1) {
		n++;
		assert_true(f.key < CTL_KEY_MAX && f.type < CTL_VALUE_MAX);
		if (f.type == CTL_STRING && f.len > 0)
			assert_true(f.str[f.len - 1] == f.str[f.len - 1]);
	}
	free(copy);
	return r == -1 ? -1 : n;
}

static void
make(struct ctl_row *r)
{
	ctl_row_init(r);
	ctl_row_str(r, CTL_K_ID, "1.2.3");
	ctl_row_str(r, CTL_K_USER, NULL);
	ctl_row_str(r, CTL_K_SERVER, "");
	ctl_row_u64(r, CTL_K_BYTES_IN, UINT64_MAX);
	ctl_row_num(r, CTL_K_DURATION, CTL_DURATION, 1500000);
	ctl_row_bool(r, CTL_K_CHROOT, true);
	ctl_row_num(r, CTL_K_STARTED, CTL_TIME, 1);
	ctl_row_strn(r, CTL_K_TARGET, "a\0b", 3);
}

static void
test_row(void **state)
{
	struct ctl_row r;
	struct ctl_field f;
	const uint8_t *p;
	size_t len;

	make(&r);
	assert_false(r.full);
	p = r.buf;
	len = r.len;
	assert_int_equal(ctl_row_next(&p, &len, &f), 1);
	assert_int_equal(f.key, CTL_K_ID);
	assert_int_equal(f.type, CTL_STRING);
	assert_int_equal(f.len, 5);
	assert_memory_equal(f.str, "1.2.3", 5);
	assert_int_equal(ctl_row_next(&p, &len, &f), 1);
	assert_int_equal(f.type, CTL_NULL);
	assert_int_equal(ctl_row_next(&p, &len, &f), 1);
	assert_int_equal(f.type, CTL_NULL);
	assert_int_equal(ctl_row_next(&p, &len, &f), 1);
	assert_int_equal(f.type, CTL_U64);
	assert_true(f.num == UINT64_MAX);
	assert_int_equal(ctl_row_next(&p, &len, &f), 1);
	assert_int_equal(f.type, CTL_DURATION);
	assert_int_equal(f.num, 1500000);
	assert_int_equal(ctl_row_next(&p, &len, &f), 1);
	assert_int_equal(f.type, CTL_BOOL);
	assert_int_equal(f.num, 1);
	assert_int_equal(ctl_row_next(&p, &len, &f), 1);
	assert_int_equal(f.type, CTL_TIME);
	assert_int_equal(ctl_row_next(&p, &len, &f), 1);
	assert_int_equal(f.len, 3);
	assert_int_equal(ctl_row_next(&p, &len, &f), 0);
	assert_int_equal(ctl_row_next(&p, &len, &f), 0);
}

static void
test_row_full(void **state)
{
	static char big[CTL_MSG_MAX + 1];
	struct ctl_row r;
	size_t before;
	int i;

	ctl_row_init(&r);
	memset(big, 'x', sizeof(big));
	ctl_row_strn(&r, CTL_K_TEXT, big, CTL_MSG_MAX - 5);
	assert_false(r.full);
	assert_int_equal(r.len, CTL_MSG_MAX);
	assert_int_equal(walk(r.buf, r.len), 1);
	ctl_row_null(&r, CTL_K_ID);
	assert_true(r.full);
	assert_int_equal(r.len, CTL_MSG_MAX);
	for (i = 0; i < 2; i++) {
		ctl_row_init(&r);
		ctl_row_strn(&r, CTL_K_TEXT, big, sizeof(big) - (size_t)i);
		assert_true(r.full);
		assert_int_equal(r.len, 0);
	}
	/* Once full, nothing that is smaller slips in behind the gap. */
	before = r.len;
	ctl_row_u64(&r, CTL_K_PID, 1);
	assert_int_equal(r.len, before);
}

static void
test_row_cut(void **state)
{
	struct ctl_row r;
	unsigned good = 0;
	size_t i;

	make(&r);
	for (i = 0; i <= r.len; i++) {
		if (walk(r.buf, i) != -1)
			good++;
	}
	assert_int_equal(good, 9);	/* between its eight fields */
}

static void
test_row_bad(void **state)
{
	uint8_t key[] = { 0, CTL_KEY_MAX, CTL_NULL };
	uint8_t high[] = { 1, 0, CTL_NULL };
	uint8_t type[] = { 0, 0, CTL_VALUE_MAX };
	uint8_t boolean[] = { 0, 0, CTL_BOOL, 0, 0, 0, 0, 0, 0, 0, 2 };
	uint8_t length[] = { 0, 0, CTL_STRING, 0xff, 0xff, 'x' };
	const uint8_t *p = length;
	size_t left = sizeof(length);
	struct ctl_field f;
	struct ctl_row r, bad;
	uint32_t x = 7;
	unsigned i;

	assert_int_equal(ctl_row_next(&p, &left, &f), -1);
	assert_int_equal(walk(key, sizeof(key)), -1);
	assert_int_equal(walk(high, sizeof(high)), -1);
	assert_int_equal(walk(type, sizeof(type)), -1);
	assert_int_equal(walk(boolean, sizeof(boolean)), -1);
	assert_int_equal(walk(length, sizeof(length)), -1);
	make(&r);
	for (i = 0; i < 100000; i++) {
		bad = r;
		x = x * 1664525 + 1013904223;
		bad.buf[(x >> 8) % r.len] = (uint8_t)(x >> 24);
		x = x * 1664525 + 1013904223;
		bad.buf[(x >> 8) % r.len] ^= (uint8_t)(x >> 24);
		walk(bad.buf, bad.len);
	}
}

static void
test_hello(void **state)
{
	static const uint8_t nul[] = { 0, 0, 0, 1, 'a', 0, 'b' };
	uint8_t buf[CTL_MSG_MAX];
	struct ctl_hello h, got;
	size_t len, i;

	memset(&h, 0, sizeof(h));
	h.version = 0x01020304;
	memset(h.program, 'p', CTL_PROGRAM_MAX);
	len = ctl_put_hello(buf, &h);
	assert_int_equal(len, 4 + CTL_PROGRAM_MAX);
	assert_int_equal(ctl_get_hello(buf, len, &got), 0);
	assert_int_equal(got.version, h.version);
	assert_string_equal(got.program, h.program);
	for (i = 0; i < 4; i++)
		assert_int_equal(ctl_get_hello(buf, i, &got), -1);
	assert_int_equal(ctl_get_hello(buf, len + 1, &got), -1);
	assert_int_equal(ctl_get_hello(nul, sizeof(nul), &got), -1);
	h.program[0] = '\0';
	len = ctl_put_hello(buf, &h);
	assert_int_equal(ctl_get_hello(buf, len, &got), 0);
	assert_string_equal(got.program, "");
}

static void
test_request(void **state)
{
	uint8_t buf[CTL_MSG_MAX];
	struct ctl_request r = { CTL_KILL_SESSION, UINT64_MAX - 1 }, got;
	size_t len, i;

	len = ctl_put_request(buf, &r);
	assert_int_equal(ctl_get_request(buf, len, &got), 0);
	assert_int_equal(got.command, CTL_KILL_SESSION);
	assert_true(got.arg == r.arg);
	for (i = 0; i < len; i++)
		assert_int_equal(ctl_get_request(buf, i, &got), -1);
	assert_int_equal(ctl_get_request(buf, len + 1, &got), -1);
	buf[1] = CTL_COMMAND_MAX;
	assert_int_equal(ctl_get_request(buf, len, &got), -1);
	buf[0] = 1;
	buf[1] = 0;
	assert_int_equal(ctl_get_request(buf, len, &got), -1);
}

static void
test_text(void **state)
{
	static char big[CTL_TEXT_MAX + 2];
	char text[CTL_TEXT_MAX + 1];
	uint8_t buf[CTL_MSG_MAX];
	size_t len;

	memset(big, 'x', sizeof(big) - 1);
	len = ctl_put_text(buf, big);
	assert_int_equal(len, CTL_TEXT_MAX);
	assert_int_equal(ctl_get_text(buf, len, text), 0);
	assert_int_equal(strlen(text), CTL_TEXT_MAX);
	assert_int_equal(ctl_get_text(buf, len + 1, text), -1);
	assert_int_equal(ctl_get_text((const uint8_t *)"a\0b", 3, text), -1);
	assert_int_equal(ctl_get_text(NULL, 0, text), 0);
	assert_string_equal(text, "");
}

static void
test_keys(void **state)
{
	unsigned i, j;

	for (i = 0; i < CTL_KEY_MAX; i++) {
		/* kebab-case, at most one dot: interface.md */
		assert_int_equal(strspn(ctl_key_word(i),
		    "abcdefghijklmnopqrstuvwxyz-."), strlen(ctl_key_word(i)));
		for (j = 0; j < i; j++)
			assert_string_not_equal(ctl_key_word(i),
			    ctl_key_word(j));
	}
	assert_string_equal(ctl_key_word(CTL_KEY_MAX), "?");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_row),
		cmocka_unit_test(test_row_full),
		cmocka_unit_test(test_row_cut),
		cmocka_unit_test(test_row_bad),
		cmocka_unit_test(test_hello),
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
