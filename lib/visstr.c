/* SPDX-License-Identifier: ISC */
/* visstr.c: the encoder of visstr.h. */

#include "compat.h"

#include <string.h>

#include "visstr.h"

/* One byte as 1, 2 or 4 characters. */
static size_t
encode(unsigned char c, bool quote, char out[4])
{
	out[0] = '\\';
	switch (c) {
	case '\n':
		out[1] = 'n';
		return 2;
	case '\r':
		out[1] = 'r';
		return 2;
	case '\t':
		out[1] = 't';
		return 2;
	case '\\':
		out[1] = '\\';
		return 2;
	case '"':
		if (quote) {
			out[1] = '"';
			return 2;
		}
		break;
	default:
		break;
	}
	if (c >= 0x20 && c < 0x7f) {
		out[0] = (char)c;
		return 1;
	}
	out[1] = (char)('0' + (c >> 6));
	out[2] = (char)('0' + ((c >> 3) & 7));
	out[3] = (char)('0' + (c & 7));
	return 4;
}

static size_t
copy(char *dst, size_t size, const char *src, size_t len, bool quote)
{
	size_t i, n, used = 0;
	char one[4];

	if (size == 0)
		return 0;
	for (i = 0; i < len; i++) {
		n = encode((unsigned char)src[i], quote, one);
		if (n >= size - used)
			break;
		memcpy(dst + used, one, n);
		used += n;
	}
	dst[used] = '\0';
	return used;
}

size_t
visstr(char *dst, size_t size, const char *src, size_t len)
{
	return copy(dst, size, src, len, false);
}

size_t
visstr_quoted(char *dst, size_t size, const char *src, size_t len)
{
	bool quote = len == 0;
	size_t i, n;

	for (i = 0; i < len && !quote; i++)
		quote = src[i] == ' ' || src[i] == '=' || src[i] == '"';
	if (!quote)
		return copy(dst, size, src, len, false);
	if (size < 3)
		return copy(dst, size, "", 0, false);
	dst[0] = '"';
	n = 1 + copy(dst + 1, size - 2, src, len, true);
	dst[n++] = '"';
	dst[n] = '\0';
	return n;
}
