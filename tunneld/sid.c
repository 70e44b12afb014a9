/* SPDX-License-Identifier: ISC */
/* sid.c: session ids as text; tunnelctl has it, too. */

#include "compat.h"

#include <stdio.h>

#include "tunneld.h"

const char *
sid_format(uint64_t id, char *buf)
{
	snprintf(buf, SID_TEXT, "%u.%u.%llu", SID_SLOT(id),
	    (unsigned)SID_INCARNATION(id),
	    (unsigned long long)SID_COUNTER(id));
	return buf;
}

/* A decimal number below 2^bits without sign, blank or leading zero. */
static const char *
sid_field(const char *p, unsigned bits, uint64_t *out)
{
	const char *start = p;
	uint64_t v = 0;

	while (*p >= '0' && *p <= '9') {
		v = v * 10 + (uint64_t)(*p++ - '0');
		if (v >> bits != 0)
			return NULL;
	}
	if (p == start || (*start == '0' && p - start > 1))
		return NULL;
	*out = v;
	return p;
}

int
sid_parse(const char *text, uint64_t *id)
{
	const unsigned slotbits = 64 - SID_COUNTER_BITS - SID_INCARNATION_BITS;
	uint64_t slot, inc, n;
	const char *p;

	if ((p = sid_field(text, slotbits, &slot)) == NULL || *p++ != '.')
		return -1;
	if ((p = sid_field(p, SID_INCARNATION_BITS, &inc)) == NULL ||
	    *p++ != '.')
		return -1;
	if ((p = sid_field(p, SID_COUNTER_BITS, &n)) == NULL || *p != '\0')
		return -1;
	*id = SID_MAKE(slot, inc, n);
	return 0;
}
