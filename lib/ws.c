/* SPDX-License-Identifier: ISC */

/* ws.c: WebSocket framing (RFC 6455): decoder, headers, control frames. */

#include "compat.h"

#include <sys/types.h>
#include <netinet/in.h>
#include <resolv.h>

#include <sha1.h>
#include <string.h>

#include "utf8.h"
#include "ws.h"

/*
 * States of the decoder.  Control frames may stand between the frames of a
 * message; what belongs to the message (msgop, msglen, utf8) is therefore kept
 * apart from what belongs to the frame (op, left, mask).
 *
 *                 header of a data frame
 *            +-------------------------------+
 *            |                               v
 *   start -> HEADER <------ left == 0 ----- DATA
 *            |    ^
 *            v    |
 *           CONTROL --- Close --> CLOSED            any violation -> FAILED
 */
enum {
	STATE_HEADER,
	STATE_DATA,
	STATE_CONTROL,
	STATE_CLOSED,
	STATE_FAILED
};

#define BIT_FIN		0x80
#define BITS_RSV	0x70
#define BITS_OPCODE	0x0f
#define BIT_CONTROL	0x08		/* in the opcode */
#define BIT_MASK	0x80
#define BITS_LEN	0x7f
#define LEN_16		126
#define LEN_64		127

static const char ws_guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

static uint64_t
get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return (v);
}

static void
put64(uint8_t *p, uint64_t v)
{
	memcpy(p, &v, sizeof(v));
}

/*
 * dst[i] = src[i] ^ mask[(pos + i) % 4].  dst may be src, or lie before it by
 * any distance: a word is stored only after all words up to it were read.
 */
static void
xor_move(uint8_t *dst, const uint8_t *src, size_t n, const uint8_t mask[4],
    size_t pos)
{
	uint8_t		 rot[8];
	uint64_t	 key, a, b, c, d;
	size_t		 i;

	for (i = 0; i < sizeof(rot); i++)
		rot[i] = mask[(pos + i) & 3];
	key = get64(rot);
	while (n >= 32) {
		a = get64(src) ^ key;
		b = get64(src + 8) ^ key;
		c = get64(src + 16) ^ key;
		d = get64(src + 24) ^ key;
		put64(dst, a);
		put64(dst + 8, b);
		put64(dst + 16, c);
		put64(dst + 24, d);
		src += 32;
		dst += 32;
		n -= 32;
	}
	while (n >= 8) {
		put64(dst, get64(src) ^ key);
		src += 8;
		dst += 8;
		n -= 8;
	}
	for (i = 0; i < n; i++)
		dst[i] = (uint8_t)(src[i] ^ rot[i]);
}

void
ws_mask(uint8_t *buf, size_t len, const uint8_t mask[4], size_t pos)
{
	xor_move(buf, buf, len, mask, pos & 3);
}

void
ws_dec_init(struct ws_dec *d, unsigned flags, uint64_t max_message)
{
	memset(d, 0, sizeof(*d));
	d->flags = flags;
	d->max_message = max_message;
	d->state = STATE_HEADER;
}

bool
ws_dec_at_frame_boundary(const struct ws_dec *d)
{
	return (d->state == STATE_CLOSED ||
	    (d->state == STATE_HEADER && d->hdrlen == 0));
}

bool
ws_dec_in_message(const struct ws_dec *d)
{
	return (d->msgop != 0);
}

/* Set the event that the decoder ends with, now or in an earlier call. */
static void
final_event(const struct ws_dec *d, struct ws_out *out)
{
	out->code = d->code;
	if (d->state == STATE_FAILED) {
		out->event = WS_EV_ERROR;
		out->why = d->why;
		return;
	}
	out->event = WS_EV_CLOSE;
	out->ctl = d->ctl + 2;
	out->ctllen = d->ctllen > 2 ? d->ctllen - 2U : 0;
}

static int
fail(struct ws_dec *d, struct ws_out *out, uint16_t code, const char *why)
{
	d->state = STATE_FAILED;
	d->code = code;
	d->why = why;
	final_event(d, out);
	return (-1);
}

/* Judge the first two bytes of a frame, all that can be wrong in them. */
static int
check_start(struct ws_dec *d, const uint8_t *h, struct ws_out *out)
{
	uint8_t	 op = h[0] & BITS_OPCODE, len = h[1] & BITS_LEN;
	bool	 masked = (h[1] & BIT_MASK) != 0;

	if (h[0] & BITS_RSV)
		return (fail(d, out, WS_CLOSE_PROTOCOL, "reserved bit set"));
	switch (op) {
	case WS_OP_CONT:
		if (d->msgop == 0)
			return (fail(d, out, WS_CLOSE_PROTOCOL,
			    "continuation without a message"));
		break;
	case WS_OP_TEXT:
	case WS_OP_BINARY:
		if (d->msgop != 0)
			return (fail(d, out, WS_CLOSE_PROTOCOL,
			    "new message inside another"));
		if (op == WS_OP_TEXT && (d->flags & WS_DEC_NO_TEXT))
			return (fail(d, out, WS_CLOSE_DATATYPE,
			    "text message"));
		break;
	case WS_OP_CLOSE:
	case WS_OP_PING:
	case WS_OP_PONG:
		if ((h[0] & BIT_FIN) == 0)
			return (fail(d, out, WS_CLOSE_PROTOCOL,
			    "fragmented control frame"));
		if (len > WS_CTL_MAX)
			return (fail(d, out, WS_CLOSE_PROTOCOL,
			    "control frame too long"));
		break;
	default:
		return (fail(d, out, WS_CLOSE_PROTOCOL, "reserved opcode"));
	}
	if (masked && (d->flags & WS_DEC_MASKED) == 0)
		return (fail(d, out, WS_CLOSE_PROTOCOL, "masked frame"));
	if (!masked && (d->flags & WS_DEC_MASKED))
		return (fail(d, out, WS_CLOSE_PROTOCOL, "unmasked frame"));
	return (0);
}

/* Length of a whole header by its second byte. */
static size_t
header_size(uint8_t b)
{
	size_t	 n = 2;

	if ((b & BITS_LEN) == LEN_16)
		n += 2;
	else if ((b & BITS_LEN) == LEN_64)
		n += 8;
	return (b & BIT_MASK ? n + 4 : n);
}

/* A complete header that passed check_start(). */
static int
begin_frame(struct ws_dec *d, const uint8_t *h, struct ws_out *out)
{
	const uint8_t	*p = h + 2;
	uint64_t	 len = h[1] & BITS_LEN, min = 0;
	int		 i, bytes = 0;

	if (len == LEN_16) {
		bytes = 2;
		min = LEN_16;
	} else if (len == LEN_64) {
		bytes = 8;
		min = UINT16_MAX + 1;
	}
	if (bytes != 0)
		for (len = 0, i = 0; i < bytes; i++)
			len = len << 8 | *p++;
	if (len < min)
		return (fail(d, out, WS_CLOSE_PROTOCOL, "length not minimal"));
	if (len >> 63)
		return (fail(d, out, WS_CLOSE_PROTOCOL, "length over 2^63"));
	if (h[1] & BIT_MASK)
		memcpy(d->mask, p, sizeof(d->mask));

	d->hdrlen = 0;
	d->maskpos = 0;
	d->left = len;
	d->op = h[0] & BITS_OPCODE;
	d->fin = (h[0] & BIT_FIN) != 0;
	if (d->op & BIT_CONTROL) {
		d->ctllen = 0;
		d->state = STATE_CONTROL;
		return (0);
	}
	if (d->op != WS_OP_CONT) {
		d->msgop = d->op;
		d->msglen = 0;
	}
	if (d->max_message != 0 && len > d->max_message - d->msglen)
		return (fail(d, out, WS_CLOSE_TOOBIG, "message too big"));
	d->msglen += len;
	d->state = STATE_DATA;
	return (0);
}

/*
 * Take a header, or what there is of it, from p[0..n), n > 0.  A header that
 * lies in the input whole is used where it is.  Returns the bytes used.
 */
static size_t
take_header(struct ws_dec *d, const uint8_t *p, size_t n, struct ws_out *out)
{
	size_t	 k, need;

	if (d->hdrlen == 0 && n >= 2) {
		if (check_start(d, p, out) == -1)
			return (n);
		if (n >= (need = header_size(p[1]))) {
			begin_frame(d, p, out);
			return (need);
		}
		memcpy(d->hdr, p, n);
		d->hdrlen = (uint8_t)n;
		d->hdrneed = (uint8_t)need;
		return (n);
	}
	if (d->hdrlen == 0)
		d->hdrneed = 2;
	k = (size_t)(d->hdrneed - d->hdrlen);
	if (k > n)
		k = n;
	memcpy(d->hdr + d->hdrlen, p, k);
	d->hdrlen = (uint8_t)(d->hdrlen + k);
	if (d->hdrlen < d->hdrneed)
		return (k);
	if (d->hdrneed == 2) {
		if (check_start(d, d->hdr, out) == -1)
			return (k);
		d->hdrneed = (uint8_t)header_size(d->hdr[1]);
		if (d->hdrneed > 2)
			return (k);
	}
	begin_frame(d, d->hdr, out);
	return (k);
}

/* A message has all its frames. */
static void
end_message(struct ws_dec *d, struct ws_out *out)
{
	if (d->utf8 != 0) {
		fail(d, out, WS_CLOSE_UTF8, "text ends inside a character");
		return;
	}
	if (d->msgop == WS_OP_TEXT && d->msglen == 0 &&
	    (d->flags & WS_DEC_EMPTY_TEXT))
		out->event = WS_EV_EMPTY_TEXT;
	else if (d->flags & WS_DEC_MESSAGES)
		out->event = WS_EV_MESSAGE;
	d->msgop = 0;
}

/* n payload bytes of a data frame; n is 0 only for an empty frame. */
static void
take_data(struct ws_dec *d, uint8_t *p, size_t n, struct ws_out *out)
{
	uint8_t	*dst;

	out->msgop = d->msgop;
	if (n > 0) {
		if (out->datalen == 0)
			out->data = p;
		dst = out->data + out->datalen;
		if (d->flags & WS_DEC_MASKED) {
			xor_move(dst, p, n, d->mask, d->maskpos);
			d->maskpos = (uint8_t)((d->maskpos + n) & 3);
		} else if (dst != p)
			memmove(dst, p, n);
		if (d->msgop == WS_OP_TEXT &&
		    (d->flags & WS_DEC_TEXT_ANY) == 0 &&
		    utf8_check(&d->utf8, dst, n) == -1) {
			fail(d, out, WS_CLOSE_UTF8, "text is not UTF-8");
			return;
		}
		out->datalen += n;
		d->left -= n;
	}
	if (d->left > 0)
		return;
	d->state = STATE_HEADER;
	if (d->fin)
		end_message(d, out);
}

/* RFC 6455, 5.5.1 and 7.4. */
static void
end_close(struct ws_dec *d, struct ws_out *out)
{
	uint32_t	 utf8 = 0;

	if (d->ctllen == 0)
		d->code = WS_CLOSE_NONE;
	else if (d->ctllen == 1) {
		fail(d, out, WS_CLOSE_PROTOCOL, "Close with one byte");
		return;
	} else {
		d->code = (uint16_t)(d->ctl[0] << 8 | d->ctl[1]);
		if (!ws_close_code_valid(d->code)) {
			fail(d, out, WS_CLOSE_PROTOCOL, "illegal Close code");
			return;
		}
		if (utf8_check(&utf8, d->ctl + 2, d->ctllen - 2U) == -1 ||
		    utf8 != 0) {
			fail(d, out, WS_CLOSE_UTF8,
			    "Close reason is not UTF-8");
			return;
		}
	}
	d->state = STATE_CLOSED;
	final_event(d, out);
}

/* n payload bytes of a control frame; n is 0 only for an empty one. */
static void
take_control(struct ws_dec *d, const uint8_t *p, size_t n, struct ws_out *out)
{
	if (n > 0) {
		if (d->flags & WS_DEC_MASKED) {
			xor_move(d->ctl + d->ctllen, p, n, d->mask, d->maskpos);
			d->maskpos = (uint8_t)((d->maskpos + n) & 3);
		} else
			memcpy(d->ctl + d->ctllen, p, n);
		d->ctllen = (uint8_t)(d->ctllen + n);
		d->left -= n;
	}
	if (d->left > 0)
		return;
	if (d->op == WS_OP_CLOSE) {
		end_close(d, out);
		return;
	}
	d->state = STATE_HEADER;
	out->event = d->op == WS_OP_PING ? WS_EV_PING : WS_EV_PONG;
	out->ctl = d->ctl;
	out->ctllen = d->ctllen;
}

/*
 * The last byte of a frame may end a message, which ws_decode() may have to
 * tell: so an owner that asks for messages takes nothing past it.
 */
uint64_t
ws_dec_raw(const struct ws_dec *d)
{
	if (d->state != STATE_DATA ||
	    (d->flags & (WS_DEC_MASKED | WS_DEC_MESSAGES)) != 0 ||
	    (d->msgop == WS_OP_TEXT && (d->flags & WS_DEC_TEXT_ANY) == 0))
		return (0);
	return (d->left);
}

void
ws_dec_skip(struct ws_dec *d, uint64_t n)
{
	d->left -= n;
	if (d->left > 0)
		return;
	d->state = STATE_HEADER;
	if (d->fin)
		d->msgop = 0;
}

void
ws_decode(struct ws_dec *d, uint8_t *buf, size_t len, struct ws_out *out)
{
	size_t	 n, pos = 0;

	memset(out, 0, sizeof(*out));
	out->data = buf;
	out->consumed = len;
	if (d->state == STATE_CLOSED || d->state == STATE_FAILED) {
		final_event(d, out);
		return;
	}
	while (out->event == WS_EV_NONE) {
		if (d->state == STATE_HEADER) {
			if (pos == len)
				break;
			pos += take_header(d, buf + pos, len - pos, out);
			continue;
		}
		n = len - pos;
		if (n == 0 && d->left > 0)
			break;
		if (n > d->left)
			n = (size_t)d->left;
		if (d->state == STATE_DATA)
			take_data(d, buf + pos, n, out);
		else
			take_control(d, buf + pos, n, out);
		pos += n;
	}
	if (d->state != STATE_CLOSED && d->state != STATE_FAILED)
		out->consumed = pos;
}

size_t
ws_header(uint8_t *hdr, enum ws_opcode op, bool fin, uint64_t len,
    const uint8_t mask[4])
{
	size_t	 n = 2;
	int	 shift;

	hdr[0] = (uint8_t)((fin ? BIT_FIN : 0) | op);
	if (len < LEN_16) {
		hdr[1] = (uint8_t)len;
		shift = 0;
	} else if (len <= UINT16_MAX) {
		hdr[1] = LEN_16;
		shift = 16;
	} else {
		hdr[1] = LEN_64;
		shift = 64;
	}
	while (shift > 0) {
		shift -= 8;
		hdr[n++] = (uint8_t)(len >> shift);
	}
	if (mask != NULL) {
		hdr[1] |= BIT_MASK;
		memcpy(hdr + n, mask, 4);
		n += 4;
	}
	return (n);
}

size_t
ws_control(uint8_t *buf, enum ws_opcode op, const void *payload, size_t len,
    const uint8_t mask[4])
{
	size_t	 n;

	if (len > WS_CTL_MAX)
		len = WS_CTL_MAX;
	n = ws_header(buf, op, true, len, mask);
	if (len > 0)
		memcpy(buf + n, payload, len);
	if (mask != NULL)
		ws_mask(buf + n, len, mask, 0);
	return (n + len);
}

size_t
ws_control_close(uint8_t *buf, uint16_t code, const char *reason,
    const uint8_t mask[4])
{
	uint8_t		 payload[WS_CTL_MAX];
	uint32_t	 utf8 = 0;
	size_t		 i, len = 2;

	if (code == WS_CLOSE_NONE)
		return (ws_control(buf, WS_OP_CLOSE, NULL, 0, mask));
	if (!ws_close_code_valid(code))
		code = WS_CLOSE_INTERNAL;
	payload[0] = (uint8_t)(code >> 8);
	payload[1] = (uint8_t)code;
	for (i = 2; reason != NULL && *reason != '\0' && i < WS_CTL_MAX; i++) {
		payload[i] = (uint8_t)*reason++;
		if (utf8_check(&utf8, payload + i, 1) == -1)
			break;
		if (utf8 == 0)
			len = i + 1;
	}
	return (ws_control(buf, WS_OP_CLOSE, payload, len, mask));
}

bool
ws_close_code_valid(uint16_t code)
{
	return ((code >= 1000 && code <= 1003) ||
	    (code >= 1007 && code <= 1014) ||
	    (code >= 3000 && code <= 4999));
}

void
ws_accept_key(const char *key, size_t keylen, char out[WS_ACCEPT_LEN])
{
	SHA1_CTX	 ctx;
	uint8_t		 sum[SHA1_DIGEST_LENGTH];

	SHA1Init(&ctx);
	SHA1Update(&ctx, (const uint8_t *)key, keylen);
	SHA1Update(&ctx, (const uint8_t *)ws_guid, sizeof(ws_guid) - 1);
	SHA1Final(sum, &ctx);
	if (b64_ntop(sum, sizeof(sum), out, WS_ACCEPT_LEN) == -1)
		out[0] = '\0';		/* 28 characters always fit */
}

bool
ws_key_valid(const char *key, size_t keylen)
{
	char	 text[WS_KEY_LEN];
	uint8_t	 raw[WS_KEY_LEN];

	/*
	 * b64_pton() skips white space, but 16 bytes need all 24 characters.
	 */
	if (keylen != WS_KEY_LEN - 1)
		return (false);
	memcpy(text, key, keylen);
	text[keylen] = '\0';
	return (b64_pton(text, raw, sizeof(raw)) == 16);
}

void
ws_key_text(const uint8_t nonce[16], char out[WS_KEY_LEN])
{
	if (b64_ntop(nonce, 16, out, WS_KEY_LEN) == -1)
		out[0] = '\0';		/* 24 characters always fit */
}
