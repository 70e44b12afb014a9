/* SPDX-License-Identifier: ISC */

/*
 * visstr.h: strings of strangers for terminals and line-based logs.  As
 * vis(3) with VIS_CSTYLE | VIS_OCTAL and always the same whatever the locale:
 * the result is printable ASCII on one line.
 */
#ifndef LIB_VISSTR_H
#define LIB_VISSTR_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of room that always suffice for n bytes of input, with NUL. */
#define VISSTR_SIZE(n)	(4 * (n) + 3)

/*
 * Encode src[0..len) into dst: "\" doubled, \n \r \t, other bytes that are no
 * printable ASCII as \ooo.  Whole escapes only; what does not fit is cut.
 * NUL-terminates when size > 0.  Returns the length of the text in dst.
 */
size_t	 visstr(char *dst, size_t size, const char *src, size_t len);

/*
 * The same as the value of key=value: in double quotes (with \") if it is
 * empty, or holds a blank, "=" or a double quote.
 */
size_t	 visstr_quoted(char *dst, size_t size, const char *src, size_t len);

#endif /* LIB_VISSTR_H */
