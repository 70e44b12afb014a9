/* SPDX-License-Identifier: ISC */

/* utf8.h: incremental UTF-8 check (RFC 3629). */
#ifndef LIB_UTF8_H
#define LIB_UTF8_H

#include <stddef.h>
#include <stdint.h>

/*
 * Check n more bytes.  *state is 0 at the start, and 0 again whenever the
 * bytes so far end on a character boundary.  Returns 0, or -1 as soon as the
 * bytes can no longer become valid (surrogates, overlong forms, above
 * U+10FFFF).  ASCII is skipped word-wise.
 */
int	 utf8_check(uint32_t *state, const uint8_t *p, size_t n);

#endif /* LIB_UTF8_H */
