/* SPDX-License-Identifier: ISC */

/* utf8.c: incremental UTF-8 check. */

#include "compat.h"

#include <string.h>

#include "utf8.h"

/*
 * A state other than 0 holds how many bytes of the character are missing, and
 * the range the next of them must lie in: the second byte is where overlong
 * forms, surrogates and values above U+10FFFF show (RFC 3629, 4).
 */
#define NEED(n, lo, hi)	((uint32_t)(n) | (uint32_t)(lo) << 8 | \
			    (uint32_t)(hi) << 16)
#define BAD		NEED(1, 0xff, 0x00)	/* an empty range: for ever */

static uint32_t
first_byte(uint8_t c)
{
	if (c < 0xc2)			/* continuation, or overlong */
		return (BAD);
	if (c < 0xe0)
		return (NEED(1, 0x80, 0xbf));
	if (c == 0xe0)
		return (NEED(2, 0xa0, 0xbf));
	if (c == 0xed)			/* U+D800 to U+DFFF */
		return (NEED(2, 0x80, 0x9f));
	if (c < 0xf0)
		return (NEED(2, 0x80, 0xbf));
	if (c == 0xf0)
		return (NEED(3, 0x90, 0xbf));
	if (c < 0xf4)
		return (NEED(3, 0x80, 0xbf));
	if (c == 0xf4)
		return (NEED(3, 0x80, 0x8f));
	return (BAD);
}

/* The first place in p[i..n) that is not ASCII, or n. */
static size_t
skip_ascii(const uint8_t *p, size_t i, size_t n)
{
	uint64_t	 w[2];

	while (n - i >= sizeof(w)) {
		memcpy(w, p + i, sizeof(w));
		if ((w[0] | w[1]) & 0x8080808080808080ULL)
			break;
		i += sizeof(w);
	}
	while (i < n && p[i] < 0x80)
		i++;
	return (i);
}

int
utf8_check(uint32_t *state, const uint8_t *p, size_t n)
{
	uint32_t	 left, s = *state;
	size_t		 i = 0;

	while (i < n && s != BAD) {
		if (s == 0) {
			if ((i = skip_ascii(p, i, n)) < n)
				s = first_byte(p[i++]);
			continue;
		}
		if (p[i] < (s >> 8 & 0xff) || p[i] > (s >> 16 & 0xff)) {
			s = BAD;
			break;
		}
		i++;
		left = (s & 0xff) - 1;
		s = left == 0 ? 0 : NEED(left, 0x80, 0xbf);
	}
	*state = s;
	return (s == BAD ? -1 : 0);
}
