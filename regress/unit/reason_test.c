/* SPDX-License-Identifier: ISC */
/* reason_test.c: the closed list of reasons keeps its own rules. */
/* LINK: tunneld/reason.c lib/ws.c lib/utf8.c -lmd -lresolv */

#include "compat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "reason.h"
#include "ws.h"

static void
test_rows(void **state)
{
	const char *w;
	unsigned i, j;
	int http;

	for (i = 0; i < REASON_MAX; i++) {
		w = reason_word(i);
		assert_non_null(w);
		assert_true(w[0] != '\0');
		/* A metric label and a log word: no quoting, ever. */
		assert_int_equal(strspn(w, "abcdefghijklmnopqrstuvwxyz"
		    "0123456789-"), strlen(w));
		for (j = 0; j < i; j++)
			assert_string_not_equal(w, reason_word(j));
		http = reason_http(i);
		assert_true(http == 0 || (http >= 400 && http <= 505));
		assert_true(ws_close_code_valid(reason_close(i, 0)));
		assert_true(ws_close_code_valid(reason_close(i, 1)));
		/* 123 bytes are left behind the code, RFC 6455 5.5.1. */
		assert_true(strlen(reason_text(i)) <= WS_CTL_MAX - 2);
		/* Codes of tunneld.tcp.v1 never leave for other peers. */
		assert_true(reason_close(i, 0) < 4000);
		/* An end that is not orderly never reads as one: 1000. */
		if (i > REASON_CLOSED && i != REASON_PEER_CLOSE)
			assert_int_not_equal(reason_close(i, 0), 1000);
	}
}

static void
test_values(void **state)
{
	assert_string_equal(reason_word(REASON_CONN_REFUSED),
	    "connection-refused");
	assert_string_equal(reason_text(REASON_TARGET_NOT_ALLOWED),
	    "target not allowed");
	assert_int_equal(reason_http(REASON_MAX_SESSIONS), 429);
	assert_int_equal(reason_close(REASON_CONN_REFUSED, 0), 1011);
	assert_int_equal(reason_close(REASON_CONN_REFUSED, 1),
	    WS_CLOSE_REFUSED);
	assert_int_equal(reason_close(REASON_RESTART, 0), WS_CLOSE_RESTART);
}

static void
test_unknown(void **state)
{
	assert_string_equal(reason_word(REASON_MAX), "internal");
	assert_string_equal(reason_word((enum reason)-1), "internal");
	assert_int_equal(reason_http((enum reason)12345), 500);
	assert_int_equal(reason_close((enum reason)12345, 1), 1011);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
