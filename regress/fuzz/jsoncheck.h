/* SPDX-License-Identifier: ISC */

/*
 * jsoncheck.h: is it one JSON value (RFC 8259), with nothing a terminal would
 * obey in it?  Slow and by the letter; shares nothing with lib/json.c.
 */
#ifndef JSONCHECK_H
#define JSONCHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct jtext {
	const unsigned char	*p, *end;
	unsigned		 depth;
};

static inline void
j_blanks(struct jtext *t)
{
	while (t->p < t->end && (*t->p == ' ' || *t->p == '\n'))
		t->p++;
}

static inline bool
j_take(struct jtext *t, char c)
{
	if (t->p == t->end || *t->p != (unsigned char)c)
		return (false);
	t->p++;
	return (true);
}

static inline bool
j_word(struct jtext *t, const char *word)
{
	size_t	 n = strlen(word);

	if ((size_t)(t->end - t->p) < n || memcmp(t->p, word, n) != 0)
		return (false);
	t->p += n;
	return (true);
}

/* One character of more than one byte; U+0080 to U+009F are refused. */
static inline bool
j_utf8(struct jtext *t)
{
	unsigned	 c = *t->p++, n, min, i;

	if (c >= 0xf0 && c < 0xf8) {
		n = 3;
		min = 0x10000;
		c &= 7;
	} else if (c >= 0xe0 && c < 0xf0) {
		n = 2;
		min = 0x800;
		c &= 15;
	} else if (c >= 0xc0 && c < 0xe0) {
		n = 1;
		min = 0xa0;
		c &= 31;
	} else
		return (false);
	for (i = 0; i < n; i++) {
		if (t->p == t->end || *t->p < 0x80 || *t->p > 0xbf)
			return (false);
		c = c << 6 | (*t->p++ & 0x3f);
	}
	return (c >= min && c <= 0x10ffff && (c < 0xd800 || c > 0xdfff));
}

static inline bool
j_string(struct jtext *t)
{
	int	 i;

	if (!j_take(t, '"'))
		return (false);
	while (t->p < t->end && *t->p != '"') {
		if (*t->p >= 0x80) {
			if (!j_utf8(t))
				return (false);
		} else if (*t->p == '\\') {
			t->p++;
			if (j_take(t, 'u')) {
				for (i = 0; i < 4; i++, t->p++)
					if (t->p == t->end || strchr(
					    "0123456789abcdef", *t->p) == NULL)
						return (false);
			} else if (t->p == t->end || *t->p == '\0' ||
			    strchr("\"\\bfnrt", *t->p++) == NULL)
				return (false);
		} else if (*t->p < 0x20 || *t->p == 0x7f)
			return (false);
		else
			t->p++;
	}
	return (j_take(t, '"'));
}

static inline bool
j_number(struct jtext *t)
{
	const unsigned char	*start;

	(void)j_take(t, '-');
	if (!j_take(t, '0')) {
		start = t->p;
		while (t->p < t->end && *t->p >= '0' && *t->p <= '9')
			t->p++;
		if (t->p == start)
			return (false);
	}
	if (!j_take(t, '.'))
		return (true);
	start = t->p;
	while (t->p < t->end && *t->p >= '0' && *t->p <= '9')
		t->p++;
	return (t->p > start);
}

static inline bool	 j_value(struct jtext *);

static inline bool
j_list(struct jtext *t, bool names, char close)
{
	if (++t->depth > 64)
		return (false);
	t->p++;
	j_blanks(t);
	if (!j_take(t, close)) {
		do {
			j_blanks(t);
			if (names) {
				if (!j_string(t) || !j_take(t, ':'))
					return (false);
				j_blanks(t);
			}
			if (!j_value(t))
				return (false);
			j_blanks(t);
		} while (j_take(t, ','));
		if (!j_take(t, close))
			return (false);
	}
	t->depth--;
	return (true);
}

static inline bool
j_value(struct jtext *t)
{
	if (t->p == t->end)
		return (false);
	switch (*t->p) {
	case '{':
		return (j_list(t, true, '}'));
	case '[':
		return (j_list(t, false, ']'));
	case '"':
		return (j_string(t));
	case 't':
		return (j_word(t, "true"));
	case 'f':
		return (j_word(t, "false"));
	case 'n':
		return (j_word(t, "null"));
	default:
		return (j_number(t));
	}
}

static inline bool
json_valid(const char *p, size_t n)
{
	struct jtext	 t = { (const unsigned char *)p,
			    (const unsigned char *)p + n, 0 };

	return (j_value(&t) && t.p == t.end);
}

#endif /* JSONCHECK_H */
