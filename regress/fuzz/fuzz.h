/* SPDX-License-Identifier: ISC */

/*
 * fuzz.h: what the fuzz targets share.  A target is one function that is
 * given any bytes at all; it ends the process when something does not hold.
 * clang's libFuzzer calls it with inputs of its own making, replay.c with the
 * seeds.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Always 0. */
int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

#define CHECK(e) do {							\
	if (!(e)) {							\
		fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__,	\
		    __LINE__, #e);					\
		abort();						\
	}								\
} while (0)

/* A copy in a block of exactly its size, for AddressSanitizer's sake. */
static inline void *
fuzz_copy(const void *p, size_t n)
{
	uint8_t	*copy = calloc(1, n == 0 ? 1 : n);

	CHECK(copy != NULL);
	if (n > 0)
		memcpy(copy, p, n);
	/* A block is never empty: let nobody read the one byte. */
	return (n == 0 ? copy + 1 : copy);
}

static inline void
fuzz_free(void *p, size_t n)
{
	free(n == 0 ? (uint8_t *)p - 1 : p);
}

/* The same as text with NUL; ends at the first NUL of p. */
static inline char *
fuzz_text(const void *p, size_t n)
{
	char	*text = calloc(1, n + 1);

	CHECK(text != NULL);
	if (n > 0)
		memcpy(text, p, n);
	return (text);
}

/* Numbers that depend on the input alone: a crash happens again. */
static inline uint32_t
fuzz_seed(const uint8_t *p, size_t n)
{
	uint32_t	 h = 2166136261U;

	while (n-- > 0)
		h = (h ^ *p++) * 16777619U;
	return (h == 0 ? 1 : h);
}

static inline uint32_t
fuzz_rnd(uint32_t *seed, size_t n)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return (*seed % (uint32_t)n);
}

/*
 * The length of the next piece of left bytes: single bytes, short ones, or
 * about anything.
 */
static inline size_t
fuzz_piece(uint32_t *seed, size_t left)
{
	static const size_t	 most[] = { 1, 3, 16, 4096 };
	size_t			 n = most[fuzz_rnd(seed, 4)];

	return (1 + fuzz_rnd(seed, n < left ? n : left));
}

#endif /* FUZZ_H */
