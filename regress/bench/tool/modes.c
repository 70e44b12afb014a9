/* SPDX-License-Identifier: ISC */

/* modes.c: what the load tool's connections do. */

#include "compat.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"

#define MESSAGE_MAX	65536	/* of streams */

static uint8_t	*batch;		/* a period of the pattern, in frames */
static size_t	 batchlen;

/* The count that a source or a sink waits for. */
static void
send_order(struct link *l)
{
	char	 text[ORDER_LEN + 1];

	snprintf(text, sizeof(text), "%0*" PRIu64 "\n", ORDER_LEN - 1,
	    opt.bytes);
	link_send(l, (uint8_t *)text, ORDER_LEN);
}

/* ---- down: from a source ---- */

static void
down_begin(struct link *l)
{
	send_order(l);
	link_flush(l);
}

static void
down_data(struct link *l, const uint8_t *buf, size_t len)
{
	int64_t	 at;

	if ((at = pattern_check(l->got, buf, len)) != -1) {
		link_fail(l, "wrong byte at %" PRIu64, l->got + (uint64_t)at);
		return;
	}
	l->got += len;
	res.bytes += len;
	if (l->got > opt.bytes)
		link_fail(l, "more than %" PRIu64 " bytes", opt.bytes);
	else if (l->got == opt.bytes)
		link_finished(l);
}

/* ---- up: into a sink ---- */

/*
 * Frames of opt.size with a whole period of the pattern, the last one maybe
 * shorter, so that the same bytes can be sent over and over.
 */
static void
make_batch(void)
{
	uint32_t	 seed = opt.seed;
	size_t		 at, n;

	if (opt.raw) {
		batch = pattern;
		batchlen = PERIOD;
		return;
	}
	batch = need(NULL, PERIOD + (PERIOD / opt.size + 1) * FRAME_HEAD);
	for (at = 0; at < PERIOD; at += n) {
		n = PERIOD - at < opt.size ? PERIOD - at : opt.size;
		batchlen += ws_frame(batch + batchlen, OP_BINARY, 1,
		    pattern + at, n, prng(&seed));
	}
}

static void
up_begin(struct link *l)
{
	send_order(l);
	link_flush(l);
}

static int
up_refill(struct link *l)
{
	if (l->sent == opt.bytes)
		return (0);
	l->bulk = batch;
	l->bulklen = batchlen;
	l->sent += PERIOD;
	return (1);
}

static void
up_data(struct link *l, const uint8_t *buf, size_t len)
{
	static const char	 ok[] = "ok\n";

	if (l->sent != opt.bytes || l->got + len > 3 ||
	    memcmp(buf, ok + l->got, len) != 0) {
		link_fail(l, "an answer from the sink that is not ok");
		return;
	}
	l->got += len;
	if (l->got == 3) {
		res.bytes += opt.bytes;
		link_finished(l);
	}
}

/* ---- echo, conns, burst, idle: messages that come back ---- */

/* Each connection has a place of its own in the pattern. */
static uint64_t
place(const struct link *l)
{
	return (l->nr * 4099U + l->got);
}

static void
send_message(struct link *l)
{
	l->began = now_ns();
	link_send(l, pattern + place(l) % PERIOD, opt.size);
	link_flush(l);
}

/* 1: a whole message is back. */
static int
message_back(struct link *l, const uint8_t *buf, size_t len)
{
	if (pattern_check(place(l), buf, len) != -1) {
		link_fail(l, "a message comes back changed");
		return (0);
	}
	l->got += len;
	res.bytes += len;
	if (l->got > (l->messages + 1) * opt.size) {
		link_fail(l, "more comes back than was sent");
		return (0);
	}
	if (l->got < (l->messages + 1) * opt.size)
		return (0);
	l->messages++;
	res.messages++;
	return (1);
}

static void
echo_data(struct link *l, const uint8_t *buf, size_t len)
{
	if (!message_back(l, buf, len))
		return;
	record(now_ns() - l->began);
	if (l->messages < opt.count / opt.conns)
		send_message(l);
	else
		link_finished(l);
}

/* conns: the time that counts is from connect to the last echo. */
static void
conns_begin(struct link *l)
{
	link_send(l, pattern + place(l) % PERIOD, opt.size);
	link_flush(l);
}

static void
conns_data(struct link *l, const uint8_t *buf, size_t len)
{
	if (!message_back(l, buf, len))
		return;
	if (l->messages < opt.each) {
		conns_begin(l);
		return;
	}
	record(now_ns() - l->began);
	link_finished(l);
}

static void
idle_data(struct link *l, const uint8_t *buf, size_t len)
{
	if (!message_back(l, buf, len))
		return;
	if (l->messages == 1)
		link_finished(l);
	else
		record(now_ns() - l->began);
}

/* ---- streams: both directions at once, frames of any size ---- */

static int
streams_refill(struct link *l)
{
	static uint8_t	 plain[MESSAGE_MAX];
	uint64_t	 left = opt.bytes - l->sent;
	size_t		 n, at;
	uint32_t	 r = prng(&l->seed);

	if (left == 0)
		return (0);
	/* Every order of magnitude as often as any other. */
	n = 1 + prng(&l->seed) % (1U << (r % 17));
	if (n > left)
		n = (size_t)left;
	at = (l->nr * 4099U + l->sent) % PERIOD;
	memcpy(plain, pattern + at, n);
	if (opt.raw) {
		memcpy(l->own, plain, n);
		l->bulklen = n;
	} else {
		/* Whether a message ends here means nothing to a tunnel. */
		int fin = n == left || (r & 0x300) != 0;

		l->bulklen = ws_frame(l->own, l->messages ? OP_CONT : OP_BINARY,
		    fin, plain, n, prng(&l->seed));
		l->messages = !fin;
	}
	l->bulk = l->own;
	l->sent += n;
	return (1);
}

static void
streams_begin(struct link *l)
{
	l->own = need(l->own, MESSAGE_MAX + FRAME_HEAD);
	l->seed = opt.seed + l->nr * 7919U;
	link_flush(l);
}

static void
streams_data(struct link *l, const uint8_t *buf, size_t len)
{
	int64_t	 at;

	if (l->got + len > l->sent) {
		link_fail(l, "more comes back than was sent");
		return;
	}
	if ((at = pattern_check(place(l), buf, len)) != -1) {
		link_fail(l, "wrong byte at %" PRIu64, l->got + (uint64_t)at);
		return;
	}
	l->got += len;
	res.bytes += len;
	if (l->got == opt.bytes)
		link_finished(l);
}

const struct mode modes[] = {
	{ .name = "down", .begin = down_begin, .data = down_data,
	    .what = "read -b bytes from a source" },
	{ .name = "up", .begin = up_begin, .data = up_data,
	    .refill = up_refill,
	    .what = "write -b bytes in frames of -s into a sink" },
	{ .name = "echo", .begin = send_message, .data = echo_data,
	    .what = "-n messages of -s bytes, each when the last is back" },
	{ .name = "streams", .begin = streams_begin, .data = streams_data,
	    .refill = streams_refill,
	    .what = "-b bytes to an echo and back at once, random frames" },
	{ .name = "conns", .serial = 1, .at_once = 1, .begin = conns_begin,
	    .data = conns_data,
	    .what = "-n times or -t seconds: connect, echo, close" },
	{ .name = "burst", .burst = 1, .at_once = 1, .begin = conns_begin,
	    .data = conns_data,
	    .what = "-c connects at once; all stay until all have echoed" },
	{ .name = "idle", .at_once = 1, .holds = 1, .begin = conns_begin,
	    .data = idle_data,
	    .what = "-c connections that echoed once; -k of them go on" },
	{ .name = NULL }
};

const struct mode *
mode_find(const char *name)
{
	const struct mode	*m;

	for (m = modes; m->name != NULL; m++)
		if (strcmp(m->name, name) == 0)
			return (m);
	return (NULL);
}

void
mode_init(void)
{
	if (opt.mode->refill == up_refill) {
		opt.bytes = (opt.bytes + PERIOD - 1) / PERIOD * PERIOD;
		make_batch();
	}
}
