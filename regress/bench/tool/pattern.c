/* SPDX-License-Identifier: ISC */

/* pattern.c: the bytes that the load tool sends, and small helpers. */

#include "compat.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "load.h"

uint8_t	 pattern[2 * PERIOD];

uint32_t
prng(uint32_t *seed)
{
	/* xorshift32: zero would stay zero */
	uint32_t	 x = *seed != 0 ? *seed : 2463534242U;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return (*seed = x);
}

void
pattern_init(void)
{
	uint32_t	 seed = 20261121, r;
	size_t		 i;

	for (i = 0; i < PERIOD; i += sizeof(r)) {
		r = prng(&seed);
		memcpy(pattern + i, &r, sizeof(r));
	}
	memcpy(pattern + PERIOD, pattern, PERIOD);
}

int64_t
pattern_check(uint64_t offset, const uint8_t *buf, size_t len)
{
	size_t	 done, at, n, i;

	for (done = 0; done < len; done += n) {
		at = (offset + done) % PERIOD;
		n = len - done < PERIOD - at ? len - done : PERIOD - at;
		if (memcmp(buf + done, pattern + at, n) == 0)
			continue;
		for (i = 0; buf[done + i] == pattern[at + i]; i++)
			;
		return ((int64_t)(done + i));
	}
	return (-1);
}

uint64_t
now_ns(void)
{
	struct timespec	 ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec);
}

void
die(const char *fmt, ...)
{
	va_list	 ap;

	fflush(stdout);
	fprintf(stderr, "load: ");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n");
	exit(1);
}

void *
need(void *p, size_t len)
{
	if ((p = realloc(p, len)) == NULL)
		die("out of memory");
	return (p);
}
