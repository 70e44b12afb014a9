/* SPDX-License-Identifier: ISC */

/*
 * splice.h: the relay's pool of pipes for splice(2), made before the sandbox.
 * A pipe belongs to the socket it is being emptied into (conn.pipe) from its
 * fill until its last byte is out; an idle connection has none.
 *
 *	pool --pipe_get()--> empty --pipe_fill()--> full
 *	  ^                                          |
 *	  +----------- pipe_put() ---- empty <-------+ pipe_drain(), pipe_read()
 *
 * Where the system has no splice(2) the pool is empty: everything is copied.
 */
#ifndef SPLICE_H
#define SPLICE_H

#include <sys/types.h>

#include <stdbool.h>
#include <stdint.h>

#define PIPE_BYTES	(256 * 1024)	/* in one pipe at most */

struct pipe {
	struct pipe	*next;		/* in the pool */
	int		 rd, wr;
	uint32_t	 len;		/* bytes inside */
	uint32_t	 frame_max;	/* payload of a WebSocket message; 0:
					 * no headers are wanted */
	uint32_t	 frame_left;	/* of the frame whose header is out */
};

/* Make up to n pipes; fewer, or none, is no error. */
void	 pipe_pool(unsigned n);
/* How many there are, in use or not; two descriptors each; may shrink. */
unsigned pipe_count(void);

/* An empty pipe, or NULL while all are in use. */
struct pipe *pipe_get(void);
/*
 * Back to the pool; what is inside is thrown away.  One that does not become
 * empty is closed: no other session may ever get what is in it.
 */
void	 pipe_put(struct pipe *);

/*
 * All as splice(2) says: bytes, 0 at EOF of fd, or -1 with errno.  They never
 * block.  more: other bytes follow at once.
 */
ssize_t	 pipe_fill(struct pipe *, int fd, size_t max);
ssize_t	 pipe_drain(struct pipe *, int fd, size_t max, bool more);
/* The same into memory; buf has room for max bytes. */
ssize_t	 pipe_read(struct pipe *, void *buf, size_t max);

#endif /* SPLICE_H */
