/* SPDX-License-Identifier: ISC */

/* imsg_make.h: a received message without a channel, for decoders. */
#ifndef IMSG_MAKE_H
#define IMSG_MAKE_H

#include <sys/types.h>

#include <imsg.h>

#include "fuzz.h"

/* A message of exactly these bytes; fd is taken.  Free with imsg_free(). */
static inline void
imsg_make(struct imsg *m, uint32_t type, const void *p, size_t n, int fd)
{
	memset(m, 0, sizeof(*m));
	m->hdr.type = type;
	m->hdr.len = (uint32_t)(IMSG_HEADER_SIZE + n);
	CHECK((m->buf = ibuf_open(n)) != NULL);
	if (n > 0)
		CHECK(ibuf_add(m->buf, p, n) == 0);
	m->data = n == 0 ? NULL : ibuf_data(m->buf);
	if (fd != -1)
		ibuf_fd_set(m->buf, fd);
}

#endif /* IMSG_MAKE_H */
