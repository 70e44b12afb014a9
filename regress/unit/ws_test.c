/* SPDX-License-Identifier: ISC */
/* ws_test.c: WebSocket framing against the RFC and a byte-wise reference. */
/* LINK: lib/ws.c lib/utf8.c */

#include "compat.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "ws_trace.h"

/* RFC 6455, 5.7: every example, both as text of the RFC and every split. */
static void
test_rfc_examples(void **state)
{
	static const uint8_t	 hello[] = { 0x81, 0x05, 'H', 'e', 'l', 'l',
				    'o' };
	static const uint8_t	 masked[] = { 0x81, 0x85, 0x37, 0xfa, 0x21,
				    0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58 };
	static const uint8_t	 frag[] = { 0x01, 0x03, 'H', 'e', 'l',
				    0x80, 0x02, 'l', 'o' };
	static const uint8_t	 ping[] = { 0x89, 0x05, 'H', 'e', 'l', 'l',
				    'o' };
	static const uint8_t	 pong[] = { 0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d,
				    0x7f, 0x9f, 0x4d, 0x51, 0x58 };
	static const struct {
		const uint8_t	*s;
		size_t		 n;
		unsigned	 flags;
		enum ws_event	 event;
	} t[] = {
		{ hello, sizeof(hello), 0, WS_EV_MESSAGE },
		{ masked, sizeof(masked), WS_DEC_MASKED, WS_EV_MESSAGE },
		{ frag, sizeof(frag), 0, WS_EV_MESSAGE },
		{ ping, sizeof(ping), 0, WS_EV_PING },
		{ pong, sizeof(pong), WS_DEC_MASKED, WS_EV_PONG },
	};
	size_t			 i;

	for (i = 0; i < nitems(t); i++) {
		all_splits(t[i].flags | WS_DEC_MESSAGES, 0, t[i].s, t[i].n);
		assert_int_equal(got.nev, 1);
		assert_int_equal(got.ev[0].event, t[i].event);
		if (t[i].event == WS_EV_MESSAGE) {
			assert_int_equal(got.ev[0].op, WS_OP_TEXT);
			assert_int_equal(got.datalen, 5);
			assert_memory_equal(got.data, "Hello", 5);
		} else {
			assert_int_equal(got.datalen, 0);
			assert_int_equal(got.ev[0].ctllen, 5);
			assert_memory_equal(got.ev[0].ctl, "Hello", 5);
		}
	}
}

/* Frames around every change of header size go through unharmed. */
static void
test_frame_sizes(void **state)
{
	static const size_t	 sizes[] = { 0, 1, 2, 124, 125, 126, 127, 128,
				    65534, 65535, 65536, 65537 };
	static uint8_t		 pay[65537];
	size_t			 i, j;
	unsigned		 masked;

	for (i = 0; i < sizeof(pay); i++)
		pay[i] = (uint8_t)rnd(256);
	for (masked = 0; masked < 2; masked++)
		for (i = 0; i < nitems(sizes); i++) {
			slen = 0;
			frame(WS_OP_BINARY, false, pay, sizes[i],
			    masked ? KEY : NULL);
			frame(WS_OP_PING, true, pay, 125, masked ? KEY : NULL);
			frame(WS_OP_CONT, true, pay, sizes[i],
			    masked ? KEY : NULL);
			reference(masked | WS_DEC_MESSAGES, 0, stream, slen);
			assert_int_equal(want.datalen, 2 * sizes[i]);
			for (j = 0; j <= 20 && j <= slen; j++) {
				decode_split(masked | WS_DEC_MESSAGES, 0,
				    stream, slen, j, slen - j < j ? j :
				    slen - j);
				compare();
			}
			decode_random(masked | WS_DEC_MESSAGES, 0, stream,
			    slen, 300);
			compare();
		}
}

/* Short streams of every kind, cut in every way, in both roles. */
static void
test_all_splits(void **state)
{
	static const unsigned	 flags[] = { 0, WS_DEC_MESSAGES,
				    WS_DEC_EMPTY_TEXT, WS_DEC_TEXT_ANY,
				    WS_DEC_MESSAGES | WS_DEC_EMPTY_TEXT };
	const uint8_t		*k;
	unsigned		 masked;
	size_t			 i;

	for (masked = 0; masked < 2; masked++) {
		k = masked ? KEY : NULL;
		for (i = 0; i < nitems(flags); i++) {
			slen = 0;
			frame(WS_OP_TEXT, false, "k\xc3", 2, k);
			frame(WS_OP_PING, true, "p", 1, k);
			frame(WS_OP_CONT, false, "", 0, k);
			frame(WS_OP_PONG, true, "", 0, k);
			frame(WS_OP_CONT, true, "\xa9!", 2, k);
			frame(WS_OP_TEXT, true, "", 0, k);
			frame(WS_OP_BINARY, true, "\xff\xfe", 2, k);
			frame(WS_OP_CLOSE, true, "\x03\xe8ok", 4, k);
			frame(WS_OP_TEXT, true, "late", 4, k);
			all_splits(masked | flags[i], 0, stream, slen);
			assert_int_equal(got.ev[got.nev - 1].event,
			    WS_EV_CLOSE);
			assert_int_equal(got.ev[got.nev - 1].code, 1000);
			assert_int_equal(got.datalen, 6);

			slen = 0;
			frame(WS_OP_TEXT, false, "", 0, k);
			frame(WS_OP_CONT, false, "", 0, k);
			frame(WS_OP_CONT, true, "", 0, k);
			frame(WS_OP_BINARY, true, "", 0, k);
			frame(WS_OP_BINARY, false, "data", 4, k);
			frame(WS_OP_CLOSE, true, "", 0, k);
			all_splits(masked | flags[i], 4, stream, slen);
			assert_int_equal(got.ev[got.nev - 1].code,
			    WS_CLOSE_NONE);
			assert_true(got.inmessage);
		}
	}
}

/* One frame of random kind; *in is the message it stands in, 0: none. */
static void
random_frame(unsigned *in, bool masked, bool damage)
{
	static const char *const texts[] = { "", "a",
	    "ascii text, long enough for several words at once",
	    "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
	    "\xed\x9f\xbf\xee\x80\x80" };
	uint8_t		 pay[700], mask[4];
	const char	*text;
	unsigned	 i, op;
	size_t		 n, cut, start = slen;
	bool		 fin;

	for (i = 0; i < 4; i++)
		mask[i] = (uint8_t)rnd(256);
	op = rnd(8) == 0 ? 9 + rnd(2) : *in ? 0 : 1 + rnd(2);
	fin = op >= 8 || rnd(3) != 0;
	text = texts[rnd(nitems(texts))];
	n = strlen(text);
	if (op >= 8)
		n = rnd(4) ? rnd(126) : 0;
	else if ((op ? op : *in) != 1)
		n = rnd(4) ? rnd(12) : rnd(sizeof(pay));
	if (op >= 8 || (op ? op : *in) != 1)
		for (i = 0; i < n; i++)
			pay[i] = (uint8_t)rnd(256);
	else
		memcpy(pay, text, n);
	if (op < 8 && (op ? op : *in) == 1 && n > 1) {
		/* Cut text anywhere, also inside a character. */
		cut = rnd((uint32_t)n);
		frame(op, false, pay, cut, masked ? mask : NULL);
		op = 0;
		memmove(pay, pay + cut, n - cut);
		n -= cut;
		*in = 1;
	}
	frame(op, fin, pay, n, masked ? mask : NULL);
	if (op < 8)
		*in = fin ? 0 : op ? op : *in;
	if (damage)
		stream[start + rnd((uint32_t)(slen - start))] ^=
		    (uint8_t)(1U << rnd(8));
}

/* Random streams in random pieces decode as the reference says. */
static void
random_streams(bool damage)
{
	static const uint32_t	 pieces[] = { 1, 2, 7, 40, 1000, 100000 };
	unsigned		 flags, i, in, round, n;
	uint64_t		 max;
	bool			 masked;

	for (round = 0; round < 3000; round++) {
		masked = round & 1;
		flags = rnd(32) & ~(unsigned)(WS_DEC_MASKED | WS_DEC_NO_TEXT);
		if (damage && rnd(20) == 0)
			flags |= WS_DEC_NO_TEXT;
		flags |= masked ? WS_DEC_MASKED : 0;
		max = damage && rnd(4) == 0 ? rnd(700) : 0;
		slen = 0;
		in = 0;
		n = 1 + rnd(40);
		for (i = 0; i < n; i++)
			random_frame(&in, masked, damage && i == n - 1);
		if (!damage && rnd(3) == 0)
			slen -= rnd((uint32_t)slen);	/* truncated */
		else if (rnd(3) == 0)
			frame(WS_OP_CLOSE, true, "\x0f\xa1why", 5,
			    masked ? KEY : NULL);
		reference(flags, max, stream, slen);
		if (!damage && want.nev > 0)
			assert_int_not_equal(want.ev[want.nev - 1].event,
			    WS_EV_ERROR);
		for (i = 0; i < nitems(pieces); i++) {
			decode_random(flags, max, stream, slen, pieces[i]);
			compare();
		}
	}
}

static void
test_random_valid(void **state)
{
	random_streams(false);
}

static void
test_random_damaged(void **state)
{
	random_streams(true);
}

#define M	WS_DEC_MASKED
#define MASK0	"\0\0\0\0"
#define V(name, flags, max, s, code)					\
	{ name, flags, max, s, sizeof(s) - 1, code }

static const struct violation {
	const char	*name;
	unsigned	 flags;
	uint64_t	 max;
	const char	*s;
	size_t		 n;
	uint16_t	 code;
} violations[] = {
	V("RSV1", 0, 0, "\xc1\x00", 1002),
	V("RSV2", 0, 0, "\xa2\x00", 1002),
	V("RSV3", 0, 0, "\x92\x00", 1002),
	V("RSV1 in a continuation", 0, 0, "\x02\x01x\xc0\x00", 1002),
	V("RSV1 in a ping", 0, 0, "\xc9\x00", 1002),
	V("opcode 3", 0, 0, "\x83\x00", 1002),
	V("opcode 4", 0, 0, "\x84\x00", 1002),
	V("opcode 5", 0, 0, "\x85\x00", 1002),
	V("opcode 6", 0, 0, "\x86\x00", 1002),
	V("opcode 7", 0, 0, "\x87\x00", 1002),
	V("opcode 11", 0, 0, "\x8b\x00", 1002),
	V("opcode 12", 0, 0, "\x8c\x00", 1002),
	V("opcode 13", 0, 0, "\x8d\x00", 1002),
	V("opcode 14", 0, 0, "\x8e\x00", 1002),
	V("opcode 15", 0, 0, "\x8f\x00", 1002),
	V("unmasked to the server", M, 0, "\x82\x01x", 1002),
	V("unmasked empty to the server", M, 0, "\x82\x00", 1002),
	V("unmasked ping to the server", M, 0, "\x89\x00", 1002),
	V("masked to the client", 0, 0, "\x82\x81" MASK0 "x", 1002),
	V("masked Close to the client", 0, 0, "\x88\x80" MASK0, 1002),
	V("fragmented ping", 0, 0, "\x09\x00", 1002),
	V("fragmented pong", 0, 0, "\x0a\x00", 1002),
	V("fragmented Close", 0, 0, "\x08\x00", 1002),
	V("ping of 126", 0, 0, "\x89\x7e\x00\x7e", 1002),
	V("pong of 64-bit length", M, 0, "\x8a\xff", 1002),
	V("Close of 126", 0, 0, "\x88\x7e\x00\x7e", 1002),
	V("continuation first", 0, 0, "\x80\x00", 1002),
	V("continuation first, open", 0, 0, "\x00\x01x", 1002),
	V("continuation after a whole message", 0, 0,
	    "\x82\x01x\x80\x01y", 1002),
	V("text inside binary", 0, 0, "\x02\x01x\x81\x01y", 1002),
	V("binary inside text", 0, 0, "\x01\x01x\x02\x01y", 1002),
	V("text inside text after ping", 0, 0, "\x01\x01x\x89\x00\x81\x01y",
	    1002),
	V("16-bit length of 125", 0, 0, "\x82\x7e\x00\x7d", 1002),
	V("16-bit length of 0", M, 0, "\x82\xfe\x00\x00" MASK0, 1002),
	V("64-bit length of 65535", 0, 0,
	    "\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff", 1002),
	V("64-bit length of 1", 0, 0,
	    "\x82\x7f\x00\x00\x00\x00\x00\x00\x00\x01", 1002),
	V("length 2^63", 0, 0,
	    "\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00", 1002),
	V("length 2^64 - 1", 0, 0,
	    "\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff", 1002),
	V("Close with one byte", 0, 0, "\x88\x01\x03", 1002),
	V("Close 0", 0, 0, "\x88\x02\x00\x00", 1002),
	V("Close 999", 0, 0, "\x88\x02\x03\xe7", 1002),
	V("Close 1004", 0, 0, "\x88\x02\x03\xec", 1002),
	V("Close 1005", 0, 0, "\x88\x02\x03\xed", 1002),
	V("Close 1006", 0, 0, "\x88\x02\x03\xee", 1002),
	V("Close 1015", 0, 0, "\x88\x02\x03\xf7", 1002),
	V("Close 2999", 0, 0, "\x88\x02\x0b\xb7", 1002),
	V("Close 5000", 0, 0, "\x88\x02\x13\x88", 1002),
	V("Close 65535", 0, 0, "\x88\x02\xff\xff", 1002),
	V("illegal Close after data", 0, 0, "\x82\x02hi\x88\x02\x03\xed",
	    1002),
	V("Close reason: bad byte", 0, 0, "\x88\x03\x03\xe8\xff", 1007),
	V("Close reason: cut character", 0, 0, "\x88\x04\x03\xe8\xe2\x82",
	    1007),
	V("Close reason: surrogate", M, 0,
	    "\x88\x85" MASK0 "\x03\xe8\xed\xa0\x80", 1007),
	V("text: bad byte", 0, 0, "\x81\x03" "a\xff" "b", 1007),
	V("text: cut character at the end", 0, 0, "\x81\x02\xe2\x82", 1007),
	V("text: cut character at the end of fragments", 0, 0,
	    "\x01\x01\xe2\x00\x00\x80\x01\x82", 1007),
	V("text: empty last fragment inside a character", 0, 0,
	    "\x01\x01\xc3\x80\x00", 1007),
	V("text: broken across fragments and a ping", 0, 0,
	    "\x01\x02\xe2\x82\x89\x00\x80\x01z", 1007),
	V("text: overlong, first fragment", 0, 0, "\x01\x02\xc0\xaf", 1007),
	V("text: above U+10FFFF", 0, 0, "\x01\x02\xf4\x90", 1007),
	V("one byte too many", 0, 4, "\x82\x05", 1009),
	V("too big over fragments", 0, 4, "\x02\x02xx\x80\x03", 1009),
	V("too big: 2^62", M, 1 << 20,
	    "\x82\xff\x40\x00\x00\x00\x00\x00\x00\x00" MASK0, 1009),
	V("too big: 2^63 - 1 after a byte", 0, UINT64_MAX >> 1,
	    "\x02\x01x\x80\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", 1009),
	V("text where it is forbidden", WS_DEC_NO_TEXT, 0, "\x81\x01x", 1003),
	V("empty text where it is forbidden", WS_DEC_NO_TEXT | M, 0,
	    "\x81\x80" MASK0, 1003),
	V("text fragment where it is forbidden", WS_DEC_NO_TEXT, 0,
	    "\x82\x01x\x01\x01x", 1003),
};

static void
test_violations(void **state)
{
	const struct violation	*v;
	const struct tevent	*e;
	struct ws_dec		 d;
	struct ws_out		 out;
	uint8_t			 more[8];
	int			 i;

	for (v = violations; v < violations + nitems(violations); v++) {
		print_message("  %s\n", v->name);
		memcpy(stream, v->s, v->n);
		/* Nothing behind a violation is looked at. */
		memcpy(stream + v->n, "\x89\x01!\x82\x01x", 6);
		all_splits(v->flags, v->max, stream, v->n + 6);
		e = &got.ev[got.nev - 1];
		assert_int_equal(e->event, WS_EV_ERROR);
		assert_int_equal(e->code, v->code);
		/* The violation is complete without what follows. */
		decode_split(v->flags, v->max, stream, v->n, 0, 0);
		e = &got.ev[got.nev - 1];
		assert_int_equal(e->event, WS_EV_ERROR);
		assert_int_equal(e->code, v->code);

		/* It stays: same event, same words, everything eaten. */
		ws_dec_init(&d, v->flags, v->max);
		do {
			ws_decode(&d, stream, v->n, &out);
			if (out.event == WS_EV_ERROR)
				break;
			memmove(stream, stream + out.consumed,
			    v->n - out.consumed + 6);
		} while (out.event != WS_EV_NONE);
		assert_int_equal(out.event, WS_EV_ERROR);
		assert_non_null(out.why);
		for (i = 0; i < 2; i++) {
			memset(more, 'x', sizeof(more));
			ws_decode(&d, more, sizeof(more), &out);
			assert_int_equal(out.event, WS_EV_ERROR);
			assert_int_equal(out.code, v->code);
			assert_non_null(out.why);
			assert_int_equal(out.consumed, sizeof(more));
			assert_int_equal(out.datalen, 0);
			assert_false(ws_dec_at_frame_boundary(&d));
		}
	}
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test_setup(test_rfc_examples, stream_reset),
		cmocka_unit_test_setup(test_frame_sizes, stream_reset),
		cmocka_unit_test_setup(test_all_splits, stream_reset),
		cmocka_unit_test_setup(test_random_valid, stream_reset),
		cmocka_unit_test_setup(test_random_damaged, stream_reset),
		cmocka_unit_test_setup(test_violations, stream_reset),
	};

	return (cmocka_run_group_tests(tests, trace_new, trace_free));
}
