/* SPDX-License-Identifier: ISC */

/* json.c: a streaming JSON writer (RFC 8259). */

#include "compat.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "utf8.h"

#define JSON_FIRST	256		/* first size of a growing buffer */
#define JSON_DEPTH	31		/* bits of struct json's more */

#define USEC		1000000U	/* per second */
#define DAY		86400U		/* seconds */

void
json_init(struct json *j)
{
	memset(j, 0, sizeof(*j));
}

void
json_init_fixed(struct json *j, char *buf, size_t size)
{
	memset(j, 0, sizeof(*j));
	j->buf = buf;
	j->size = size;
	j->fixed = true;
	if (size > 0)
		buf[0] = '\0';
	else
		j->failed = true;
}

void
json_free(struct json *j)
{
	if (!j->fixed)
		free(j->buf);
	memset(j, 0, sizeof(*j));
}

/* Make room for n more bytes and NUL. */
static int
room(struct json *j, size_t n)
{
	char	*buf;
	size_t	 size;

	if (j->failed)
		return (-1);
	if (n < j->size - j->len)
		return (0);
	if (j->fixed || n >= SIZE_MAX / 4 - j->len)
		goto fail;
	for (size = j->size ? j->size : JSON_FIRST; size <= j->len + n; )
		size *= 2;
	if ((buf = realloc(j->buf, size)) == NULL)
		goto fail;
	j->buf = buf;
	j->size = size;
	return (0);
 fail:
	j->failed = true;
	return (-1);
}

static void
put(struct json *j, const char *s, size_t n)
{
	if (room(j, n) == -1)
		return;
	memcpy(j->buf + j->len, s, n);
	j->len += n;
	j->buf[j->len] = '\0';
}

static void
newline(struct json *j)
{
	unsigned	 i;

	if (!j->indent)
		return;
	put(j, "\n", 1);
	for (i = 0; i < j->depth; i++)
		put(j, "  ", 2);
}

/* What stands before a member or an element. */
static void
separate(struct json *j)
{
	uint32_t	 bit = (uint32_t)1 << j->depth;

	if (j->aftername) {
		j->aftername = false;
		return;
	}
	if (j->more & bit)
		put(j, ",", 1);
	j->more |= bit;
	if (j->depth > 0)
		newline(j);
}

static void
begin(struct json *j, const char *bracket)
{
	separate(j);
	put(j, bracket, 1);
	if (j->depth == JSON_DEPTH) {
		j->failed = true;
		return;
	}
	j->depth++;
	j->more &= ~((uint32_t)1 << j->depth);
}

static void
end(struct json *j, const char *bracket)
{
	bool	 more;

	if (j->depth == 0) {
		j->failed = true;
		return;
	}
	more = (j->more & (uint32_t)1 << j->depth) != 0;
	j->depth--;
	if (more)
		newline(j);
	put(j, bracket, 1);
}

void
json_object(struct json *j)
{
	begin(j, "{");
}

void
json_array(struct json *j)
{
	begin(j, "[");
}

void
json_end_object(struct json *j)
{
	end(j, "}");
}

void
json_end_array(struct json *j)
{
	end(j, "]");
}

/*
 * Length of the first character of s[0..n), n > 0; *valid tells if it is one,
 * else the length is that of the bytes that one U+FFFD stands for.
 */
static size_t
character(const char *s, size_t n, bool *valid)
{
	uint32_t	 state = 0;
	size_t		 i;

	*valid = false;
	for (i = 0; i < n; i++) {
		if (utf8_check(&state, (const uint8_t *)s + i, 1) == -1)
			return (i > 0 ? i : 1);
		if (state == 0) {
			*valid = true;
			return (i + 1);
		}
	}
	return (n);
}

/*
 * Control characters are escaped, DEL and those of U+0080 to U+009F too: the
 * text may be shown on a terminal.
 */
static void
put_escape(struct json *j, unsigned c)
{
	char	 esc[8];
	int	 n;

	switch (c) {
	case '"':
		put(j, "\\\"", 2);
		return;
	case '\\':
		put(j, "\\\\", 2);
		return;
	case '\b':
		put(j, "\\b", 2);
		return;
	case '\f':
		put(j, "\\f", 2);
		return;
	case '\n':
		put(j, "\\n", 2);
		return;
	case '\r':
		put(j, "\\r", 2);
		return;
	case '\t':
		put(j, "\\t", 2);
		return;
	}
	if ((n = snprintf(esc, sizeof(esc), "\\u%04x", c)) > 0)
		put(j, esc, (size_t)n);
}

static bool
plain(unsigned char c)
{
	return (c >= 0x20 && c < 0x7f && c != '"' && c != '\\');
}

static void
put_quoted(struct json *j, const char *s, size_t n)
{
	size_t	 i, k;
	bool	 valid;

	put(j, "\"", 1);
	for (i = 0; i < n; i += k) {
		for (k = 0; i + k < n && plain((unsigned char)s[i + k]); )
			k++;
		if (k > 0) {
			put(j, s + i, k);
			continue;
		}
		k = character(s + i, n - i, &valid);
		if (!valid)
			put(j, "\xef\xbf\xbd", 3);
		else if (k == 1)
			put_escape(j, (unsigned char)s[i]);
		else if (k == 2 && (unsigned char)s[i] == 0xc2 &&
		    (unsigned char)s[i + 1] < 0xa0)
			put_escape(j, (unsigned char)s[i + 1]);
		else
			put(j, s + i, k);
	}
	put(j, "\"", 1);
}

void
json_name(struct json *j, const char *name)
{
	separate(j);
	put_quoted(j, name, strlen(name));
	put(j, ": ", j->indent ? 2 : 1);
	j->aftername = true;
}

void
json_string(struct json *j, const char *s)
{
	if (s == NULL)
		json_null(j);
	else
		json_stringn(j, s, strlen(s));
}

void
json_stringn(struct json *j, const char *s, size_t n)
{
	separate(j);
	put_quoted(j, s, n);
}

void
json_u64(struct json *j, uint64_t v)
{
	char	 num[24];
	int	 n;

	separate(j);
	if ((n = snprintf(num, sizeof(num), "%" PRIu64, v)) > 0)
		put(j, num, (size_t)n);
}

void
json_i64(struct json *j, int64_t v)
{
	char	 num[24];
	int	 n;

	separate(j);
	if ((n = snprintf(num, sizeof(num), "%" PRId64, v)) > 0)
		put(j, num, (size_t)n);
}

void
json_bool(struct json *j, bool v)
{
	separate(j);
	if (v)
		put(j, "true", 4);
	else
		put(j, "false", 5);
}

void
json_null(struct json *j)
{
	separate(j);
	put(j, "null", 4);
}

void
json_duration(struct json *j, uint64_t usec)
{
	char	 num[32];
	int	 n;

	separate(j);
	n = snprintf(num, sizeof(num), "%" PRIu64 ".%03u", usec / USEC,
	    (unsigned)(usec % USEC / 1000));
	if (n > 0)
		put(j, num, (size_t)n);
}

void
json_time(struct json *j, uint64_t usec)
{
	char	 text[RFC3339_LEN];

	json_string(j, rfc3339(usec, text));
}

static void
digits(char *p, unsigned v, int n)
{
	while (n-- > 0) {
		p[n] = (char)('0' + v % 10);
		v /= 10;
	}
}

/*
 * By hand and not by gmtime_r(3), which may open the time zone file: a jailed
 * process must not.  Years begin in March here, so that the leap day is their
 * last day; 719468 days lie between 0000-03-01 and 1970-01-01.
 */
const char *
rfc3339(uint64_t usec, char out[RFC3339_LEN])
{
	uint64_t	 sec = usec / USEC, days = sec / DAY + 719468;
	unsigned	 ms = (unsigned)(usec % USEC / 1000);
	unsigned	 s = (unsigned)(sec % DAY);
	unsigned	 era, doe, yoe, doy, m, year, month;

	memcpy(out, "9999-12-31T23:59:59.999Z", RFC3339_LEN);
	if (sec >= 253402300800ULL)		/* year 10000 */
		return (out);
	era = (unsigned)(days / 146097);	/* 400 years */
	doe = (unsigned)(days % 146097);
	yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	m = (5 * doy + 2) / 153;
	month = m < 10 ? m + 3 : m - 9;
	year = yoe + era * 400 + (month <= 2);

	digits(out, year, 4);
	digits(out + 5, month, 2);
	digits(out + 8, doy - (153 * m + 2) / 5 + 1, 2);
	digits(out + 11, s / 3600, 2);
	digits(out + 14, s / 60 % 60, 2);
	digits(out + 17, s % 60, 2);
	digits(out + 20, ms, 3);
	return (out);
}
