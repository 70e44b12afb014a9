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
#include <stdlib.h>
#include <string.h>

#include "ws.h"

#define nitems(a)	(sizeof(a) / sizeof((a)[0]))
#define STREAM_MAX	(512 * 1024)
#define EVENTS_MAX	4096

/* What a stream decoded to, whatever the pieces it came in. */
struct trace {
	uint8_t		*data;
	size_t		 datalen;
	size_t		 nev;
	struct tevent {
		enum ws_event	 event;
		size_t		 at;		/* datalen before it */
		uint16_t	 code;
		uint8_t		 op;		/* MESSAGE, EMPTY_TEXT */
		uint8_t		 ctllen;
		uint8_t		 ctl[WS_CTL_MAX];
	}		 ev[EVENTS_MAX];
	bool		 boundary, inmessage;
};

static struct trace	 got, want;
static uint8_t		*stream;
static size_t		 slen;
static uint32_t		 seed;

static const uint8_t	 KEY[4] = { 0x37, 0xfa, 0x21, 0x3d };

static uint32_t
rnd(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return (seed % n);
}

static void
trace_reset(struct trace *t)
{
	t->datalen = t->nev = 0;
	t->boundary = t->inmessage = false;
}

static struct tevent *
trace_event(struct trace *t, enum ws_event event)
{
	struct tevent	*e;

	assert_true(t->nev < EVENTS_MAX);
	e = &t->ev[t->nev++];
	memset(e, 0, sizeof(*e));
	e->event = event;
	e->at = t->datalen;
	return (e);
}

static void
trace_data(struct trace *t, const uint8_t *p, size_t n)
{
	assert_true(t->datalen + n <= STREAM_MAX);
	if (n > 0)
		memcpy(t->data + t->datalen, p, n);
	t->datalen += n;
}

/*
 * Decode p[0..n) as one read() would bring it: in a block of exactly its size
 * for the sanitizer's sake.  Returns false after a final event.
 */
static bool
decode_piece(struct ws_dec *d, const uint8_t *p, size_t n)
{
	struct ws_out	 out;
	struct tevent	*e;
	uint8_t		*buf;
	size_t		 pos = 0;
	bool		 more = true;

	buf = malloc(n ? n : 1);
	assert_non_null(buf);
	memcpy(buf, p, n);
	do {
		ws_decode(d, buf + pos, n - pos, &out);
		assert_true(out.consumed <= n - pos);
		if (out.datalen > 0) {
			assert_true(out.data >= buf + pos);
			assert_true(out.data + out.datalen <=
			    buf + pos + out.consumed);
		}
		trace_data(&got, out.data, out.datalen);
		pos += out.consumed;
		if (out.event == WS_EV_NONE) {
			assert_int_equal(pos, n);
			break;
		}
		e = trace_event(&got, out.event);
		e->code = out.code;
		if (out.event == WS_EV_MESSAGE ||
		    out.event == WS_EV_EMPTY_TEXT)
			e->op = out.msgop;
		assert_true(out.ctllen <= WS_CTL_MAX);
		e->ctllen = (uint8_t)out.ctllen;
		if (out.event == WS_EV_PING || out.event == WS_EV_PONG ||
		    out.event == WS_EV_CLOSE)
			memcpy(e->ctl, out.ctl, out.ctllen);
		if (out.event == WS_EV_ERROR)
			assert_non_null(out.why);
		if (out.event == WS_EV_ERROR || out.event == WS_EV_CLOSE) {
			assert_int_equal(pos, n);
			more = false;
		}
	} while (more && pos < n);
	free(buf);
	return (more);
}

static void
decode_begin(struct ws_dec *d, unsigned flags, uint64_t max)
{
	trace_reset(&got);
	ws_dec_init(d, flags, max);
	assert_true(ws_dec_at_frame_boundary(d));
	assert_false(ws_dec_in_message(d));
}

static void
decode_end(const struct ws_dec *d)
{
	got.boundary = ws_dec_at_frame_boundary(d);
	got.inmessage = ws_dec_in_message(d);
}

/* Decode s in the pieces [0,a) [a,b) [b,n). */
static void
decode_split(unsigned flags, uint64_t max, const uint8_t *s, size_t n,
    size_t a, size_t b)
{
	struct ws_dec	 d;

	decode_begin(&d, flags, max);
	if (decode_piece(&d, s, a) && decode_piece(&d, s + a, b - a))
		decode_piece(&d, s + b, n - b);
	decode_end(&d);
}

/* Decode s in pieces of 1 to max bytes. */
static void
decode_random(unsigned flags, uint64_t maxmsg, const uint8_t *s, size_t n,
    uint32_t max)
{
	struct ws_dec	 d;
	size_t		 k, pos;

	decode_begin(&d, flags, maxmsg);
	for (pos = 0; pos < n; pos += k) {
		k = 1 + rnd(max);
		if (k > n - pos)
			k = n - pos;
		if (!decode_piece(&d, s + pos, k))
			break;
	}
	decode_end(&d);
}

/* --- the reference: slow, whole stream in memory, byte after byte --- */

struct ref_utf8 {
	uint32_t	 cp;
	int		 total, have;
};

/* Can cp, with n more 6-bit groups to come, become a character? */
static bool
ref_possible(uint32_t cp, int n, int total)
{
	uint32_t	 lo = cp << 6 * n, hi = lo | ((1U << 6 * n) - 1);
	uint32_t	 min = total == 2 ? 0x80 : total == 3 ? 0x800 : 0x10000;
	uint32_t	 max = total == 2 ? 0x7ff : total == 3 ? 0xffff :
			    0x10ffff;

	if (hi < min || lo > max)
		return (false);
	return (!(lo >= 0xd800 && hi <= 0xdfff));
}

static bool
ref_utf8_byte(struct ref_utf8 *u, uint8_t c)
{
	if (u->total == 0) {
		if (c < 0x80)
			return (true);
		u->have = 1;
		if ((c & 0xe0) == 0xc0) {
			u->total = 2;
			u->cp = c & 0x1f;
		} else if ((c & 0xf0) == 0xe0) {
			u->total = 3;
			u->cp = c & 0x0f;
		} else if ((c & 0xf8) == 0xf0) {
			u->total = 4;
			u->cp = c & 0x07;
		} else
			return (false);
	} else {
		if ((c & 0xc0) != 0x80)
			return (false);
		u->cp = u->cp << 6 | (c & 0x3f);
		u->have++;
	}
	if (!ref_possible(u->cp, u->total - u->have, u->total))
		return (false);
	if (u->have == u->total)
		memset(u, 0, sizeof(*u));
	return (true);
}

static bool
ref_close_code(unsigned c)
{
	if (c >= 3000 && c < 5000)
		return (true);
	return (c == 1000 || c == 1001 || c == 1002 || c == 1003 ||
	    c == 1007 || c == 1008 || c == 1009 || c == 1010 || c == 1011 ||
	    c == 1012 || c == 1013 || c == 1014);
}

static void
ref_error(uint16_t code)
{
	trace_event(&want, WS_EV_ERROR)->code = code;
}

/* Returns false when the Close ends in an error. */
static bool
ref_close(const uint8_t *p, size_t n)
{
	struct ref_utf8	 u = { 0 };
	struct tevent	*e;
	size_t		 i;
	unsigned	 code;

	if (n == 0) {
		trace_event(&want, WS_EV_CLOSE)->code = 1005;
		return (true);
	}
	code = n == 1 ? 0 : p[0] * 256U + p[1];
	if (!ref_close_code(code)) {
		ref_error(1002);
		return (false);
	}
	for (i = 2; i < n; i++)
		if (!ref_utf8_byte(&u, p[i]))
			break;
	if (i < n || u.total != 0) {
		ref_error(1007);
		return (false);
	}
	e = trace_event(&want, WS_EV_CLOSE);
	e->code = (uint16_t)code;
	e->ctllen = (uint8_t)(n - 2);
	memcpy(e->ctl, p + 2, n - 2);
	return (true);
}

/*
 * The header at s[0..n): its length and what it says, 0: incomplete, -1: an
 * error was recorded.  in: opcode of the message it stands in, 0: none.
 */
static int
ref_header(unsigned flags, unsigned in, const uint8_t *s, size_t n,
    uint64_t *len, uint8_t mask[4])
{
	unsigned	 op, i;
	size_t		 h;

	if (n < 2)
		return (0);
	op = s[0] & 15;
	if ((s[0] & 0x70) || (op > 2 && op < 8) || op > 10 ||
	    (op >= 8 && (s[0] < 128 || (s[1] & 127) > 125)) ||
	    (op == 0 && in == 0) || ((op == 1 || op == 2) && in)) {
		ref_error(1002);
		return (-1);
	}
	if (op == 1 && (flags & WS_DEC_NO_TEXT)) {
		ref_error(1003);
		return (-1);
	}
	if (s[1] >> 7 != ((flags & WS_DEC_MASKED) != 0)) {
		ref_error(1002);
		return (-1);
	}
	*len = s[1] & 127;
	h = 2 + (*len == 126 ? 2 : *len == 127 ? 8 : 0) + (s[1] >> 7 ? 4 : 0);
	if (n < h)
		return (0);
	if (*len == 126) {
		*len = s[2] * 256U + s[3];
		if (*len < 126) {
			ref_error(1002);
			return (-1);
		}
	} else if (*len == 127) {
		for (*len = 0, i = 0; i < 8; i++)
			*len = *len * 256 + s[2 + i];
		if (*len < 65536 || *len > INT64_MAX) {
			ref_error(1002);
			return (-1);
		}
	}
	memset(mask, 0, 4);
	if (s[1] >> 7)
		memcpy(mask, s + h - 4, 4);
	return ((int)h);
}

static void
reference(unsigned flags, uint64_t max, const uint8_t *s, size_t n)
{
	struct ref_utf8	 u = { 0 };
	struct tevent	*e;
	uint64_t	 len, msg = 0, i;
	uint8_t		 ctl[WS_CTL_MAX], mask[4], c;
	size_t		 pos = 0;
	unsigned	 op, in = 0;
	int		 h;
	bool		 fin;

	trace_reset(&want);
	for (;;) {
		want.inmessage = in != 0;
		want.boundary = pos == n;
		h = ref_header(flags, in, s + pos, n - pos, &len, mask);
		if (h <= 0)
			return;
		op = s[pos] & 15;
		fin = s[pos] >> 7;
		pos += (size_t)h;
		want.boundary = false;
		if (op < 8) {
			if (op != 0) {
				in = op;
				msg = 0;
				memset(&u, 0, sizeof(u));
			}
			want.inmessage = true;
			msg += len;
			if (max != 0 && msg > max) {
				ref_error(1009);
				return;
			}
		}
		for (i = 0; i < len && pos < n; i++) {
			c = (uint8_t)(s[pos++] ^ mask[i % 4]);
			if (op >= 8) {
				ctl[i] = c;
				continue;
			}
			if (in == 1 && !(flags & WS_DEC_TEXT_ANY) &&
			    !ref_utf8_byte(&u, c)) {
				ref_error(1007);
				return;
			}
			trace_data(&want, &c, 1);
		}
		if (i < len)
			return;
		if (op == 8) {
			want.boundary = ref_close(ctl, len);
			return;
		}
		if (op > 8) {
			e = trace_event(&want, op == 9 ? WS_EV_PING :
			    WS_EV_PONG);
			e->ctllen = (uint8_t)len;
			memcpy(e->ctl, ctl, len);
			continue;
		}
		if (!fin)
			continue;
		if (u.total != 0) {
			ref_error(1007);
			return;
		}
		if (in == 1 && msg == 0 && (flags & WS_DEC_EMPTY_TEXT))
			trace_event(&want, WS_EV_EMPTY_TEXT)->op = 1;
		else if (flags & WS_DEC_MESSAGES)
			trace_event(&want, WS_EV_MESSAGE)->op = (uint8_t)in;
		in = 0;
	}
}

static void
compare(void)
{
	const struct tevent	*g, *w;
	size_t			 i;
	bool			 utf8;

	assert_int_equal(got.nev, want.nev);
	utf8 = want.nev > 0 && want.ev[want.nev - 1].event == WS_EV_ERROR &&
	    want.ev[want.nev - 1].code == 1007;
	for (i = 0; i < want.nev; i++) {
		g = &got.ev[i];
		w = &want.ev[i];
		assert_int_equal(g->event, w->event);
		assert_int_equal(g->code, w->code);
		assert_int_equal(g->op, w->op);
		assert_int_equal(g->ctllen, w->ctllen);
		assert_memory_equal(g->ctl, w->ctl, w->ctllen);
		/* Text before a bad byte in the same piece is held back. */
		if (i + 1 < want.nev || !utf8)
			assert_int_equal(g->at, w->at);
	}
	if (utf8)
		assert_true(got.datalen <= want.datalen);
	else
		assert_int_equal(got.datalen, want.datalen);
	assert_memory_equal(got.data, want.data, got.datalen);
	if (want.nev > 0 && want.ev[want.nev - 1].event == WS_EV_ERROR)
		return;
	assert_int_equal(got.boundary, want.boundary);
	assert_int_equal(got.inmessage, want.inmessage);
}

/* Every way to cut s into one, two and three pieces, and into bytes. */
static void
all_splits(unsigned flags, uint64_t max, const uint8_t *s, size_t n)
{
	size_t	 a, b;

	reference(flags, max, s, n);
	for (a = 0; a <= n; a++)
		for (b = a; b <= n; b++) {
			decode_split(flags, max, s, n, a, b);
			compare();
		}
	decode_random(flags, max, s, n, 1);
	compare();
}

/* --- building streams --- */

static void
frame(unsigned op, bool fin, const void *payload, size_t n,
    const uint8_t *mask)
{
	assert_true(slen + WS_HDR_MAX + n <= STREAM_MAX);
	slen += ws_header(stream + slen, (enum ws_opcode)op, fin, n, mask);
	if (n > 0)
		memcpy(stream + slen, payload, n);
	if (mask != NULL)
		ws_mask(stream + slen, n, mask, 0);
	slen += n;
}

static int
setup(void **state)
{
	seed = 0x2545f491;
	slen = 0;
	return (0);
}

static int
group_setup(void **state)
{
	got.data = malloc(STREAM_MAX);
	want.data = malloc(STREAM_MAX);
	stream = malloc(STREAM_MAX);
	return (got.data && want.data && stream ? 0 : -1);
}

static int
group_teardown(void **state)
{
	free(got.data);
	free(want.data);
	free(stream);
	return (0);
}

/* --- the tests --- */

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
		cmocka_unit_test_setup(test_rfc_examples, setup),
		cmocka_unit_test_setup(test_frame_sizes, setup),
		cmocka_unit_test_setup(test_all_splits, setup),
		cmocka_unit_test_setup(test_random_valid, setup),
		cmocka_unit_test_setup(test_random_damaged, setup),
		cmocka_unit_test_setup(test_violations, setup),
	};

	return (cmocka_run_group_tests(tests, group_setup, group_teardown));
}
