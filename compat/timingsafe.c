/* SPDX-License-Identifier: ISC */

/* timingsafe.c: comparisons whose time does not depend on the bytes. */

#include "compat.h"

#include <limits.h>
#include <stddef.h>

int
timingsafe_bcmp(const void *a, const void *b, size_t len)
{
	const volatile unsigned char	*p = a, *q = b;
	unsigned			 diff = 0;

	while (len-- > 0)
		diff |= (unsigned)(*p++ ^ *q++);
	return diff != 0;
}

int
timingsafe_memcmp(const void *a, const void *b, size_t len)
{
	const volatile unsigned char	*p = a, *q = b;
	int				 d, res = 0, done = 0;

	while (len-- > 0) {
		d = (int)*p++ - (int)*q++;
		/* The first difference counts; done is 0 or -1. */
		res |= d & ~done;
		done |= -(d != 0);
	}
	return res;
}
