/* SPDX-License-Identifier: ISC */

/* ws_stream.h: WebSocket frames one behind the other, for the decoder. */
#ifndef WS_STREAM_H
#define WS_STREAM_H

#include <stdlib.h>
#include <string.h>

#include "ws.h"

#define STREAM_MAX	(512 * 1024)

static uint8_t		*stream;
static size_t		 slen;
static uint32_t		 seed;

static const uint8_t	 KEY[4] = { 0x37, 0xfa, 0x21, 0x3d };

static inline uint32_t
rnd(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return (seed % n);
}

/* Add a frame to the stream. */
static inline void
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

/* Before each test: the same numbers, an empty stream. */
static inline int
stream_reset(void **state)
{
	seed = 0x2545f491;
	slen = 0;
	return (0);
}

/* Before and after all of them. */
static inline int
stream_new(void **state)
{
	stream = malloc(STREAM_MAX);
	return (stream == NULL ? -1 : 0);
}

static inline int
stream_free(void **state)
{
	free(stream);
	return (0);
}

#endif /* WS_STREAM_H */
