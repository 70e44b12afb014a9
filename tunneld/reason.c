/* SPDX-License-Identifier: ISC */
/* reason.c: the table behind reason.h. */

#include "compat.h"

#include "reason.h"

struct reason_row {
	const char	*word;
	const char	*text;
	int		 http;
	uint16_t	 code;
	uint16_t	 v1code;
};

#define REASON_ROW(id, w, h, c, v1, t)					\
	[REASON_##id] = { .word = w, .text = t, .http = h, .code = c,	\
	    .v1code = v1 },
static const struct reason_row rows[REASON_MAX] = { REASONS(REASON_ROW) };

static const struct reason_row *
row(enum reason reason)
{
	if ((unsigned)reason >= REASON_MAX)
		reason = REASON_INTERNAL;
	return &rows[reason];
}

const char *
reason_word(enum reason reason)
{
	return row(reason)->word;
}

const char *
reason_text(enum reason reason)
{
	return row(reason)->text;
}

int
reason_http(enum reason reason)
{
	return row(reason)->http;
}

uint16_t
reason_close(enum reason reason, int tcpv1)
{
	return tcpv1 ? row(reason)->v1code : row(reason)->code;
}
