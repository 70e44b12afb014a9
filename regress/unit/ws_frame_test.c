/* SPDX-License-Identifier: ISC */
/* ws_frame_test.c: WebSocket headers, masks, runs, Close frames, keys. */
/* LINK: lib/ws.c lib/utf8.c */

#include "compat.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ws_stream.h"

/* RFC 6455, 5.2 and 5.7: sizes of headers, shortest form only. */
static void
test_header_sizes(void **state)
{
	static const struct {
		uint64_t	 len;
		size_t		 n;
		const char	*hdr;
	} t[] = {
		{ 0, 2, "\x82\x00" },
		{ 1, 2, "\x82\x01" },
		{ 125, 2, "\x82\x7d" },
		{ 126, 4, "\x82\x7e\x00\x7e" },
		{ 256, 4, "\x82\x7e\x01\x00" },
		{ 65535, 4, "\x82\x7e\xff\xff" },
		{ 65536, 10, "\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00" },
		{ (uint64_t)1 << 62, 10,
		    "\x82\x7f\x40\x00\x00\x00\x00\x00\x00\x00" },
		{ INT64_MAX, 10, "\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff" },
	};
	uint8_t	 hdr[WS_HDR_MAX], expect[WS_HDR_MAX];
	size_t	 i, n;

	for (i = 0; i < nitems(t); i++) {
		n = ws_header(hdr, WS_OP_BINARY, true, t[i].len, NULL);
		assert_int_equal(n, t[i].n);
		assert_memory_equal(hdr, t[i].hdr, n);
		n = ws_header(hdr, WS_OP_TEXT, false, t[i].len, KEY);
		assert_int_equal(n, t[i].n + 4);
		memcpy(expect, t[i].hdr, t[i].n);
		memcpy(expect + t[i].n, KEY, 4);
		expect[0] = 0x01;
		expect[1] |= 0x80;
		assert_memory_equal(hdr, expect, n);
	}
}

/* A mask applies whatever the alignment, length and starting offset. */
static void
test_mask(void **state)
{
	uint8_t	 a[160], b[160];
	size_t	 off, len, pos, i;

	for (off = 0; off < 16; off++)
		for (len = 0; len <= 100; len++)
			for (pos = 0; pos < 6; pos++) {
				for (i = 0; i < sizeof(a); i++)
					a[i] = b[i] = (uint8_t)rnd(256);
				ws_mask(a + off, len, KEY, pos);
				for (i = 0; i < len; i++)
					b[off + i] ^= KEY[(pos + i) % 4];
				assert_memory_equal(a, b, sizeof(a));
			}
}

/*
 * Two frames in one buffer: the second payload moves down by the length of
 * its header, that is by 2 to 14 bytes, from every alignment and size.
 */
static void
test_compaction_distances(void **state)
{
	uint8_t		 pay[300], *buf;
	struct ws_dec	 d;
	struct ws_out	 out;
	size_t		 a, b, i, off;
	unsigned	 masked;

	for (i = 0; i < sizeof(pay); i++)
		pay[i] = (uint8_t)rnd(256);
	buf = malloc(1024);
	assert_non_null(buf);
	for (masked = 0; masked < 2; masked++)
	for (off = 0; off < 8; off++)
	for (a = 0; a < 20; a++)
	for (b = 0; b < sizeof(pay); b += b < 80 ? 1 : 13) {
		slen = 0;
		frame(WS_OP_BINARY, true, pay, a, masked ? KEY : NULL);
		frame(WS_OP_BINARY, true, pay, b, masked ? KEY : NULL);
		memset(buf, 0xee, 1024);
		memcpy(buf + off, stream, slen);
		ws_dec_init(&d, masked, 0);
		ws_decode(&d, buf + off, slen, &out);
		assert_int_equal(out.event, WS_EV_NONE);
		assert_int_equal(out.consumed, slen);
		assert_int_equal(out.datalen, a + b);
		assert_memory_equal(out.data, pay, a);
		assert_memory_equal(out.data + a, pay, b);
		for (i = 0; i < off; i++)
			assert_int_equal(buf[i], 0xee);
		for (i = off + slen; i < 1024; i++)
			assert_int_equal(buf[i], 0xee);
	}
	free(buf);
}

/* Many tiny frames become one run; a lone payload stays where it lies. */
static void
test_compaction(void **state)
{
	struct ws_dec	 d;
	struct ws_out	 out;
	uint8_t		 c, pay[4096];
	unsigned	 masked;
	size_t		 i, h;

	for (masked = 0; masked < 2; masked++) {
		slen = 0;
		for (i = 0; i < 20000; i++) {
			c = (uint8_t)(i * 7);
			frame(i % 3 ? WS_OP_CONT : WS_OP_BINARY, i % 3 == 2,
			    &c, 1, masked ? KEY : NULL);
			if (i % 5 == 0)
				frame(i % 3 == 2 ? WS_OP_BINARY : WS_OP_CONT,
				    i % 3 == 2, NULL, 0, masked ? KEY : NULL);
		}
		ws_dec_init(&d, masked, 0);
		ws_decode(&d, stream, slen, &out);
		assert_int_equal(out.event, WS_EV_NONE);
		assert_int_equal(out.consumed, slen);
		assert_int_equal(out.datalen, 20000);
		for (i = 0; i < 20000; i++)
			assert_int_equal(out.data[i], (uint8_t)(i * 7));

		memset(pay, 'x', sizeof(pay));
		slen = 0;
		frame(WS_OP_BINARY, true, pay, sizeof(pay),
		    masked ? KEY : NULL);
		h = slen - sizeof(pay);
		ws_dec_init(&d, masked, 0);
		ws_decode(&d, stream, slen, &out);
		assert_ptr_equal(out.data, stream + h);
		assert_int_equal(out.datalen, sizeof(pay));
		assert_memory_equal(out.data, pay, sizeof(pay));

		/* In the middle of a frame it lies at the buffer's start. */
		slen = 0;
		frame(WS_OP_BINARY, true, pay, sizeof(pay),
		    masked ? KEY : NULL);
		ws_dec_init(&d, masked, 0);
		ws_decode(&d, stream, h + 1001, &out);
		assert_int_equal(out.datalen, 1001);
		ws_decode(&d, stream + h + 1001, sizeof(pay) - 1001, &out);
		assert_ptr_equal(out.data, stream + h + 1001);
		assert_int_equal(out.datalen, sizeof(pay) - 1001);
		assert_memory_equal(out.data, pay, out.datalen);
	}
}

/* Data that came before a bad Close in the same read is not lost. */
static void
test_data_before_error(void **state)
{
	struct ws_dec	 d;
	struct ws_out	 out;

	memcpy(stream, "\x82\x05hello\x82\x01!\x88\x02\x03\xed", 14);
	ws_dec_init(&d, 0, 0);
	ws_decode(&d, stream, 14, &out);
	assert_int_equal(out.event, WS_EV_ERROR);
	assert_int_equal(out.code, 1002);
	assert_int_equal(out.datalen, 6);
	assert_memory_equal(out.data, "hello!", 6);
	assert_int_equal(out.consumed, 14);
}

/* RFC 6455, 7.4, and IANA's registry for 1012 to 1014. */
static bool
may_be_sent(unsigned code)
{
	static const unsigned	 ok[] = { 1000, 1001, 1002, 1003, 1007, 1008,
				    1009, 1010, 1011, 1012, 1013, 1014 };
	size_t			 i;

	for (i = 0; i < nitems(ok); i++)
		if (ok[i] == code)
			return (true);
	return (code >= 3000 && code < 5000);
}

static void
test_close_codes(void **state)
{
	struct ws_dec	 d;
	struct ws_out	 out;
	unsigned	 code;
	uint8_t		 f[4];

	for (code = 0; code <= UINT16_MAX; code++) {
		assert_int_equal(ws_close_code_valid((uint16_t)code),
		    may_be_sent(code));
		f[0] = 0x88;
		f[1] = 2;
		f[2] = (uint8_t)(code >> 8);
		f[3] = (uint8_t)code;
		ws_dec_init(&d, 0, 0);
		ws_decode(&d, f, sizeof(f), &out);
		if (may_be_sent(code)) {
			assert_int_equal(out.event, WS_EV_CLOSE);
			assert_int_equal(out.code, code);
			assert_int_equal(out.ctllen, 0);
		} else {
			assert_int_equal(out.event, WS_EV_ERROR);
			assert_int_equal(out.code, 1002);
		}
	}
}

/* Data after a Close is ignored; the Close is told again. */
static void
test_close_sticky(void **state)
{
	struct ws_dec	 d;
	struct ws_out	 out;
	int		 i;

	frame(WS_OP_BINARY, true, "data", 4, KEY);
	frame(WS_OP_CLOSE, true, "\x0f\xa0" "because", 9, KEY);
	frame(WS_OP_BINARY, true, "late", 4, KEY);
	ws_dec_init(&d, WS_DEC_MASKED, 0);
	for (i = 0; i < 3; i++) {
		ws_decode(&d, stream, slen, &out);
		assert_int_equal(out.event, WS_EV_CLOSE);
		assert_int_equal(out.code, 4000);
		assert_int_equal(out.ctllen, 7);
		assert_memory_equal(out.ctl, "because", 7);
		assert_int_equal(out.consumed, slen);
		assert_int_equal(out.datalen, i == 0 ? 4 : 0);
		assert_true(ws_dec_at_frame_boundary(&d));
	}
	ws_decode(&d, stream, 0, &out);
	assert_int_equal(out.event, WS_EV_CLOSE);
	assert_int_equal(out.consumed, 0);
}

/* A length is only a number: nothing is sized by it, data flows at once. */
static void
test_huge_length(void **state)
{
	struct ws_dec	 d;
	struct ws_out	 out;
	unsigned	 masked;
	size_t		 h, i;

	for (masked = 0; masked < 2; masked++) {
		h = ws_header(stream, WS_OP_BINARY, true, (uint64_t)1 << 62,
		    masked ? KEY : NULL);
		memset(stream + h, 'z', 1000);
		if (masked)
			ws_mask(stream + h, 1000, KEY, 0);
		ws_dec_init(&d, masked, 0);
		ws_decode(&d, stream, h + 1000, &out);
		assert_int_equal(out.event, WS_EV_NONE);
		assert_int_equal(out.consumed, h + 1000);
		assert_ptr_equal(out.data, stream + h);
		assert_int_equal(out.datalen, 1000);
		for (i = 0; i < out.datalen; i++)
			assert_int_equal(out.data[i], 'z');
		assert_false(ws_dec_at_frame_boundary(&d));
		assert_true(ws_dec_in_message(&d));
		memset(stream, 'y', 777);
		ws_decode(&d, stream, 777, &out);
		assert_int_equal(out.datalen, 777);
		assert_true(d.left == ((uint64_t)1 << 62) - 1777);
	}
}

/* No limit on the count of fragments, and none is remembered. */
static void
test_many_fragments(void **state)
{
	struct ws_dec	 d;
	struct ws_out	 out;
	uint64_t	 total = 0;
	unsigned	 i;

	ws_dec_init(&d, WS_DEC_MASKED | WS_DEC_MESSAGES, 1000000);
	for (i = 0; i < 1000000; i++) {
		slen = 0;
		frame(i ? WS_OP_CONT : WS_OP_TEXT, i == 999999, "q", 1, KEY);
		ws_decode(&d, stream, slen, &out);
		assert_int_equal(out.msgop, WS_OP_TEXT);
		total += out.datalen;
		if (i < 999999) {
			assert_int_equal(out.event, WS_EV_NONE);
			assert_true(ws_dec_in_message(&d));
		}
	}
	assert_int_equal(out.event, WS_EV_MESSAGE);
	assert_int_equal(total, 1000000);
	assert_false(ws_dec_in_message(&d));
}

/* An empty text message is the FIN of tunneld.tcp.v1, only where asked for. */
static void
test_empty_text(void **state)
{
	static const unsigned	 flags[] = { 0, WS_DEC_EMPTY_TEXT,
				    WS_DEC_MESSAGES,
				    WS_DEC_EMPTY_TEXT | WS_DEC_MESSAGES };
	static const enum ws_event event[] = { WS_EV_NONE, WS_EV_EMPTY_TEXT,
				    WS_EV_MESSAGE, WS_EV_EMPTY_TEXT };
	struct ws_dec		 d;
	struct ws_out		 out;
	size_t			 i;

	for (i = 0; i < nitems(flags); i++) {
		/* Behind data, in three empty frames; more data follows. */
		slen = 0;
		frame(WS_OP_TEXT, false, "", 0, KEY);
		frame(WS_OP_CONT, false, "", 0, KEY);
		frame(WS_OP_CONT, true, "", 0, KEY);
		frame(WS_OP_BINARY, true, "", 0, KEY);
		frame(WS_OP_TEXT, true, "ab", 2, KEY);
		ws_dec_init(&d, WS_DEC_MASKED | flags[i], 0);
		ws_decode(&d, stream, slen, &out);
		assert_int_equal(out.event, event[i]);
		if (event[i] == WS_EV_NONE) {
			assert_int_equal(out.datalen, 2);
			continue;
		}
		assert_int_equal(out.datalen, 0);
		assert_int_equal(out.msgop, WS_OP_TEXT);
		assert_int_equal(out.consumed, 18);
		ws_decode(&d, stream + 18, slen - 18, &out);
		if (flags[i] & WS_DEC_MESSAGES) {
			/* An empty binary message is only a message. */
			assert_int_equal(out.event, WS_EV_MESSAGE);
			assert_int_equal(out.msgop, WS_OP_BINARY);
			assert_int_equal(out.datalen, 0);
			assert_int_equal(out.consumed, 6);
			ws_decode(&d, stream + 24, slen - 24, &out);
			assert_int_equal(out.event, WS_EV_MESSAGE);
			assert_int_equal(out.msgop, WS_OP_TEXT);
		} else
			assert_int_equal(out.event, WS_EV_NONE);
		assert_int_equal(out.datalen, 2);
	}

	/* Text that has a byte in any fragment is no FIN. */
	slen = 0;
	frame(WS_OP_TEXT, false, "", 0, NULL);
	frame(WS_OP_CONT, false, "x", 1, NULL);
	frame(WS_OP_CONT, true, "", 0, NULL);
	ws_dec_init(&d, WS_DEC_EMPTY_TEXT, 0);
	ws_decode(&d, stream, slen, &out);
	assert_int_equal(out.event, WS_EV_NONE);
	assert_int_equal(out.datalen, 1);
}

/* msgop names the message that data is from, in every piece of it. */
static void
test_msgop(void **state)
{
	struct ws_dec	 d;
	struct ws_out	 out;

	frame(WS_OP_TEXT, false, "one", 3, NULL);
	frame(WS_OP_PING, true, "p", 1, NULL);
	frame(WS_OP_CONT, true, "two", 3, NULL);
	frame(WS_OP_BINARY, true, "three", 5, NULL);
	ws_dec_init(&d, WS_DEC_MESSAGES, 0);
	ws_decode(&d, stream, 1, &out);
	assert_int_equal(out.msgop, 0);
	ws_decode(&d, stream + 1, slen - 1, &out);
	assert_int_equal(out.event, WS_EV_PING);
	assert_int_equal(out.msgop, WS_OP_TEXT);
	assert_int_equal(out.datalen, 3);
	ws_decode(&d, stream + 8, slen - 8, &out);
	assert_int_equal(out.event, WS_EV_MESSAGE);
	assert_int_equal(out.msgop, WS_OP_TEXT);
	assert_memory_equal(out.data, "two", 3);
	ws_decode(&d, stream + 13, 4, &out);
	assert_int_equal(out.event, WS_EV_NONE);
	assert_int_equal(out.msgop, WS_OP_BINARY);
	assert_int_equal(out.datalen, 2);
	ws_decode(&d, stream + 17, 3, &out);
	assert_int_equal(out.event, WS_EV_MESSAGE);
	assert_int_equal(out.msgop, WS_OP_BINARY);
	assert_int_equal(out.datalen, 3);
}

static void
test_control(void **state)
{
	uint8_t		 buf[WS_HDR_MAX + WS_CTL_MAX + 1], pay[200];
	struct ws_dec	 d;
	struct ws_out	 out;
	size_t		 len, n;
	unsigned	 masked;

	for (n = 0; n < sizeof(pay); n++)
		pay[n] = (uint8_t)rnd(256);
	for (masked = 0; masked < 2; masked++)
		for (n = 0; n < sizeof(pay); n++) {
			len = ws_control(buf, WS_OP_PING, pay, n,
			    masked ? KEY : NULL);
			assert_true(len <= 6 + WS_CTL_MAX);
			ws_dec_init(&d, masked, 0);
			ws_decode(&d, buf, len, &out);
			assert_int_equal(out.event, WS_EV_PING);
			assert_int_equal(out.consumed, len);
			assert_int_equal(out.ctllen, n < WS_CTL_MAX ? n :
			    WS_CTL_MAX);
			assert_memory_equal(out.ctl, pay, out.ctllen);
		}
}

static void
test_control_close(void **state)
{
	static const struct {
		uint16_t	 code, sent;
		const char	*reason, *cut;
	} t[] = {
		{ 1000, 1000, "", "" },
		{ 1000, 1000, NULL, "" },
		{ 1005, 1005, "never sent", "" },
		{ 1006, 1011, "x", "x" },
		{ 0, 1011, "", "" },
		{ 1015, 1011, "", "" },
		{ 4000, 4000, "reset", "reset" },
		{ 1011, 1011, "caf\xc3\xa9", "caf\xc3\xa9" },
		{ 1011, 1011, "ab\xff" "cd", "ab" },
		{ 1011, 1011, "ab\xe2\x82", "ab" },
	};
	char		 text[300], cut[300];
	uint8_t		 buf[WS_HDR_MAX + WS_CTL_MAX];
	struct ws_dec	 d;
	struct ws_out	 out;
	size_t		 i, len, n;

	for (i = 0; i < nitems(t); i++) {
		len = ws_control_close(buf, t[i].code, t[i].reason, KEY);
		ws_dec_init(&d, WS_DEC_MASKED, 0);
		ws_decode(&d, buf, len, &out);
		assert_int_equal(out.event, WS_EV_CLOSE);
		assert_int_equal(out.code, t[i].sent);
		assert_int_equal(out.ctllen, strlen(t[i].cut));
		assert_memory_equal(out.ctl, t[i].cut, out.ctllen);
	}
	/* Cut to 123 bytes, never inside a character. */
	for (n = 115; n < 130; n++) {
		memset(text, 'r', n);
		memcpy(text + n, "\xe2\x82\xac\xf0\x9f\x98\x80", 8);
		memcpy(cut, text, sizeof(cut));
		cut[n + 7 <= 123 ? n + 7 : n + 3 <= 123 ? n + 3 :
		    n < 123 ? n : 123] = '\0';
		len = ws_control_close(buf, 1000, text, NULL);
		ws_dec_init(&d, 0, 0);
		ws_decode(&d, buf, len, &out);
		assert_int_equal(out.event, WS_EV_CLOSE);
		assert_int_equal(out.ctllen, strlen(cut));
		assert_memory_equal(out.ctl, cut, out.ctllen);
	}
}

/* RFC 6455, 1.3 and 4.1. */
static void
test_keys(void **state)
{
	static const char *const good[] = { "dGhlIHNhbXBsZSBub25jZQ==",
	    "AQIDBAUGBwgJCgsMDQ4PEA==", "AAAAAAAAAAAAAAAAAAAAAA==",
	    "/////////////////////w==" };
	static const char *const bad[] = { "", "dGhlIHNhbXBsZSBub25jZQ",
	    "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZQ== ",
	    "dGhlIHNhbXBsZSBub25j ZQ=", " GhlIHNhbXBsZSBub25jZQ==",
	    "dGhlIHNhbXBsZSBub25jZQ=\t", "dGhlIHNhbXBsZSBub25jZWE=",
	    "dGhlIHNhbXBsZSBub25jZWFi", "dGhlIHNhbXBsZSBub25jZ===",
	    "dGhlIHNhbXBsZSBub25jZQA==", "dGhl!HNhbXBsZSBub25jZQ==",
	    "dGhl-HNhbXBsZSBub25jZQ==", "dGhl\xc9HNhbXBsZSBub25jZQ==",
	    "========================",
	    "dGhlIHNhbXBsZSBub25jZQ==dGhlIHNhbXBsZSBub25jZQ==" };
	static const uint8_t	 nonce[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
				    11, 12, 13, 14, 15, 16 };
	char			 out[WS_ACCEPT_LEN], key[WS_KEY_LEN];
	size_t			 i;

	ws_accept_key("dGhlIHNhbXBsZSBub25jZQ==", 24, out);
	assert_string_equal(out, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
	ws_key_text(nonce, key);
	assert_string_equal(key, "AQIDBAUGBwgJCgsMDQ4PEA==");
	for (i = 0; i < nitems(good); i++)
		assert_true(ws_key_valid(good[i], strlen(good[i])));
	for (i = 0; i < nitems(bad); i++)
		assert_false(ws_key_valid(bad[i], strlen(bad[i])));
	assert_false(ws_key_valid("dGhlIHNhbXBsZSBub25j\0Q==", 24));
}

/* Payload taken past the decoder: only where nothing is to be done to it. */
static void
test_raw(void **state)
{
	uint8_t		 in[] = { 0x02, 5, 'a', 'b', 'c', 'd', 'e', 0x80, 2,
			    'f', 'g', 0x82, 1, 'h' };
	uint8_t		 text[] = { 0x81, 3, 'a', 'b', 'c' };
	struct ws_dec	 d;
	struct ws_out	 o;

	ws_dec_init(&d, 0, 0);
	assert_int_equal(ws_dec_raw(&d), 0);
	ws_decode(&d, in, 3, &o);
	assert_int_equal(o.datalen, 1);
	assert_int_equal(ws_dec_raw(&d), 4);
	ws_dec_skip(&d, 3);
	assert_int_equal(ws_dec_raw(&d), 1);
	assert_false(ws_dec_at_frame_boundary(&d));
	ws_dec_skip(&d, 1);
	assert_int_equal(ws_dec_raw(&d), 0);
	assert_true(ws_dec_at_frame_boundary(&d));
	assert_true(ws_dec_in_message(&d));
	ws_decode(&d, in + 7, 2, &o);
	assert_int_equal(ws_dec_raw(&d), 2);
	ws_dec_skip(&d, 2);
	assert_false(ws_dec_in_message(&d));
	ws_decode(&d, in + 11, 3, &o);
	assert_int_equal(o.event, WS_EV_NONE);
	assert_int_equal(o.datalen, 1);
	assert_int_equal(o.data[0], 'h');

	/* Text is to be checked, masked data unmasked, messages told. */
	ws_dec_init(&d, 0, 0);
	ws_decode(&d, text, 3, &o);
	assert_int_equal(ws_dec_raw(&d), 0);
	ws_dec_init(&d, WS_DEC_TEXT_ANY, 0);
	ws_decode(&d, text, 3, &o);
	assert_int_equal(ws_dec_raw(&d), 2);
	ws_dec_init(&d, WS_DEC_MESSAGES, 0);
	ws_decode(&d, in, 3, &o);
	assert_int_equal(ws_dec_raw(&d), 0);
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(test_raw),
		cmocka_unit_test_setup(test_header_sizes, stream_reset),
		cmocka_unit_test_setup(test_mask, stream_reset),
		cmocka_unit_test_setup(test_compaction_distances, stream_reset),
		cmocka_unit_test_setup(test_compaction, stream_reset),
		cmocka_unit_test_setup(test_data_before_error, stream_reset),
		cmocka_unit_test_setup(test_close_codes, stream_reset),
		cmocka_unit_test_setup(test_close_sticky, stream_reset),
		cmocka_unit_test_setup(test_huge_length, stream_reset),
		cmocka_unit_test_setup(test_many_fragments, stream_reset),
		cmocka_unit_test_setup(test_empty_text, stream_reset),
		cmocka_unit_test_setup(test_msgop, stream_reset),
		cmocka_unit_test_setup(test_control, stream_reset),
		cmocka_unit_test_setup(test_control_close, stream_reset),
		cmocka_unit_test_setup(test_keys, stream_reset),
	};

	return (cmocka_run_group_tests(tests, stream_new, stream_free));
}
