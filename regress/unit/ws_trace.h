/* SPDX-License-Identifier: ISC */

/*
 * ws_trace.h: what the WebSocket decoder makes of a stream, cut into pieces
 * in any way, and what a slow reference makes of it.  Tests and the fuzzer
 * bring assert_true() and its like.
 */
#ifndef WS_TRACE_H
#define WS_TRACE_H

#include "ws_stream.h"

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

static inline void
trace_reset(struct trace *t)
{
	t->datalen = t->nev = 0;
	t->boundary = t->inmessage = false;
}

static inline struct tevent *
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

static inline void
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
static inline bool
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

static inline void
decode_begin(struct ws_dec *d, unsigned flags, uint64_t max)
{
	trace_reset(&got);
	ws_dec_init(d, flags, max);
	assert_true(ws_dec_at_frame_boundary(d));
	assert_false(ws_dec_in_message(d));
}

static inline void
decode_end(const struct ws_dec *d)
{
	got.boundary = ws_dec_at_frame_boundary(d);
	got.inmessage = ws_dec_in_message(d);
}

/* Decode s in the pieces [0,a) [a,b) [b,n). */
static inline void
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
static inline void
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
static inline bool
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

static inline bool
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

static inline bool
ref_close_code(unsigned c)
{
	if (c >= 3000 && c < 5000)
		return (true);
	return (c == 1000 || c == 1001 || c == 1002 || c == 1003 ||
	    c == 1007 || c == 1008 || c == 1009 || c == 1010 || c == 1011 ||
	    c == 1012 || c == 1013 || c == 1014);
}

static inline void
ref_error(uint16_t code)
{
	trace_event(&want, WS_EV_ERROR)->code = code;
}

/* Returns false when the Close ends in an error. */
static inline bool
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
static inline int
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

static inline void
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

static inline void
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
static inline void
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

/* Before and after all tests. */
static inline int
trace_new(void **state)
{
	got.data = malloc(STREAM_MAX);
	want.data = malloc(STREAM_MAX);
	if (got.data == NULL || want.data == NULL)
		return (-1);
	return (stream_new(state));
}

static inline int
trace_free(void **state)
{
	free(got.data);
	free(want.data);
	return (stream_free(state));
}

#endif /* WS_TRACE_H */
