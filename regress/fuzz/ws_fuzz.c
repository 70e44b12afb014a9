/* SPDX-License-Identifier: ISC */
/* ws_fuzz.c: frames for both roles, whole, in pieces, and by the reference. */
/* LINK: regress/fuzz/replay.c lib/ws.c lib/utf8.c */

#include "compat.h"

#include <stdbool.h>

#include "fuzz.h"

#define assert_true(e)			CHECK(e)
#define assert_false(e)			CHECK(!(e))
#define assert_non_null(p)		CHECK((p) != NULL)
#define assert_int_equal(a, b)		CHECK((a) == (b))
#define assert_memory_equal(a, b, n)					\
	CHECK((n) == 0 || memcmp(a, b, n) == 0)

#include "../unit/ws_trace.h"

/* Two bytes make an event, and a trace holds so many. */
#define INPUT_MAX	(2 * EVENTS_MAX)

/* What was decoded is framed again, and decoded to the same. */
static void
check_frames(unsigned flags, const uint8_t *p, size_t n)
{
	uint8_t		 frame[WS_HDR_MAX + WS_CTL_MAX];
	const uint8_t	*mask = flags & WS_DEC_MASKED ? KEY : NULL;
	struct ws_dec	 d;
	struct ws_out	 out;
	uint8_t		*buf;
	char		*reason;
	size_t		 len, cut = n < WS_CTL_MAX ? n : WS_CTL_MAX;

	CHECK((buf = malloc(WS_HDR_MAX + n)) != NULL);
	len = ws_header(buf, WS_OP_BINARY, true, n, mask);
	if (n > 0)
		memcpy(buf + len, p, n);
	if (mask != NULL)
		ws_mask(buf + len, n, mask, 0);
	ws_dec_init(&d, flags | WS_DEC_MESSAGES, n);
	ws_decode(&d, buf, len + n, &out);
	CHECK(out.event == WS_EV_MESSAGE && out.consumed == len + n);
	CHECK(out.datalen == n && (n == 0 || memcmp(out.data, p, n) == 0));
	CHECK(ws_dec_at_frame_boundary(&d) && !ws_dec_in_message(&d));
	free(buf);

	len = ws_control(frame, WS_OP_PONG, p, n, mask);
	ws_dec_init(&d, flags, 0);
	ws_decode(&d, frame, len, &out);
	CHECK(out.event == WS_EV_PONG && out.consumed == len);
	CHECK(out.ctllen == cut && (cut == 0 || memcmp(out.ctl, p, cut) == 0));

	/* A Close we make is one that we accept, whatever it is to say. */
	reason = fuzz_text(p, n);
	len = ws_control_close(frame, n < 2 ? WS_CLOSE_NONE :
	    (uint16_t)(p[0] << 8 | p[1]), reason, mask);
	ws_dec_init(&d, flags, 0);
	ws_decode(&d, frame, len, &out);
	CHECK(out.event == WS_EV_CLOSE && out.consumed == len);
	CHECK(out.ctllen <= strlen(reason) &&
	    memcmp(out.ctl, reason, out.ctllen) == 0);
	free(reason);
}

static void
check_keys(const uint8_t *p, size_t n)
{
	char	 accept[WS_ACCEPT_LEN], text[WS_KEY_LEN];
	char	*key = fuzz_copy(p, n);

	(void)ws_key_valid(key, n);
	ws_accept_key(key, n, accept);
	CHECK(strlen(accept) == WS_ACCEPT_LEN - 1);
	if (n >= 16) {
		ws_key_text(p, text);
		CHECK(strlen(text) == WS_KEY_LEN - 1);
		CHECK(ws_key_valid(text, WS_KEY_LEN - 1));
	}
	fuzz_free(key, n);
}

/* The first two bytes: WS_DEC_ flags, the longest message (0: any). */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned	 flags;
	uint64_t	 max;
	uint32_t	 s = fuzz_seed(data, size);

	if (size < 2 || size > INPUT_MAX)
		return (0);
	if (stream == NULL)
		CHECK(trace_new(NULL) == 0);
	seed = s;
	flags = data[0] & 0x1f;
	max = data[1] & 0x3f;
	data += 2;
	size -= 2;

	reference(flags, max, data, size);
	decode_split(flags, max, data, size, size, size);
	compare();
	decode_random(flags, max, data, size, 1);
	compare();
	decode_random(flags, max, data, size, 20);
	compare();
	if (size > 0) {
		decode_random(flags, max, data, size, (uint32_t)size);
		compare();
	}
	check_frames(flags & WS_DEC_MASKED, data, size);
	check_keys(data, size);
	return (0);
}
