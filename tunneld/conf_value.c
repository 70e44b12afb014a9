/* SPDX-License-Identifier: ISC */

/* conf_value.c: numbers, times and sizes, to and from text. */

#include "compat.h"

#include <stdio.h>
#include <string.h>

#include "conf_value.h"

struct unit {
	const char	*word;
	uint64_t	 factor;
};

/* Biggest first: the format functions take the first that divides. */
static const struct unit times[] = {
	{ "d", 86400000000ULL },
	{ "h", 3600000000ULL },
	{ "m", 60000000ULL },
	{ "s", 1000000ULL },
	{ "ms", 1000ULL },
	{ NULL, 0 }
};

static const struct unit sizes[] = {
	{ "G", 1024ULL * 1024 * 1024 },
	{ "M", 1024ULL * 1024 },
	{ "K", 1024ULL },
	{ "", 1 },
	{ NULL, 0 }
};

/* Digits at *p, which moves behind them. */
static int
digits(const char **p, uint64_t *out)
{
	const char	*start = *p;
	uint64_t	 v = 0;
	unsigned	 d;

	for (; **p >= '0' && **p <= '9'; (*p)++) {
		d = (unsigned)(**p - '0');
		if (v > ((uint64_t)INT64_MAX - d) / 10)
			return -1;
		v = v * 10 + d;
	}
	if (*p == start || (*start == '0' && *p - start > 1))
		return -1;
	*out = v;
	return 0;
}

static int
with_unit(const char *text, const struct unit *u, uint64_t *out)
{
	uint64_t	 v;

	if (digits(&text, &v) == -1)
		return -1;
	for (; u->word != NULL; u++) {
		if (strcmp(text, u->word) != 0)
			continue;
		if (v > (uint64_t)INT64_MAX / u->factor)
			return -1;
		*out = v * u->factor;
		return 0;
	}
	return -1;
}

int
value_number(const char *text, uint64_t *out)
{
	if (digits(&text, out) == -1 || *text != '\0')
		return -1;
	return 0;
}

int
value_time(const char *text, uint64_t *out)
{
	return with_unit(text, times, out);
}

int
value_size(const char *text, uint64_t *out)
{
	return with_unit(text, sizes, out);
}

int
value_mode(const char *text, unsigned *out)
{
	size_t	 i, len = strlen(text);

	if (len < 3 || len > 4 || (len == 4 && text[0] != '0'))
		return -1;
	*out = 0;
	for (i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '7')
			return -1;
		*out = *out << 3 | (unsigned)(text[i] - '0');
	}
	return 0;
}

static const char *
format(uint64_t v, const struct unit *u, char buf[VALUE_TEXT])
{
	if (v == UINT64_MAX)
		return "off";
	/* Zero divides by all: "0s" would do, but nobody sets a zero time. */
	while (u[1].word != NULL && (v == 0 || v % u->factor != 0))
		u++;
	(void)snprintf(buf, VALUE_TEXT, "%llu%s",
	    (unsigned long long)(v / u->factor), u->word);
	return buf;
}

const char *
value_number_format(uint64_t v, char buf[VALUE_TEXT])
{
	return format(v, &sizes[nitems(sizes) - 2], buf);
}

const char *
value_time_format(uint64_t v, char buf[VALUE_TEXT])
{
	return format(v, times, buf);
}

const char *
value_size_format(uint64_t v, char buf[VALUE_TEXT])
{
	return format(v, sizes, buf);
}
