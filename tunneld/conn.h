/* SPDX-License-Identifier: ISC */

/*
 * conn.h: one socket of a relay: reading that can be paused, a bounded rest
 * of what could not be written, half-close, and an end that loses nothing.
 *
 *	OPEN --conn_shutdown()--> OPEN, SHUT_WR once all is written
 *	  |
 *	  +--conn_end(LINGER)--> write all, SHUT_WR, discard until EOF --> closed
 *	  +--conn_end(RESET)---> write all, wait for its ACK, RST -------> closed
 *
 * No function here frees or calls back into the owner except from the event
 * loop; errors are remembered in conn.error and conn.werror for the owner.
 */
#ifndef CONN_H
#define CONN_H

#include <sys/types.h>
#include <sys/uio.h>

#include <event.h>
#include <stdbool.h>
#include <stdint.h>

#include "splice.h"

#define CONN_READ_MIN	(16 * 1024)
#define CONN_READ_MAX	(128 * 1024)	/* also bounds what is left over of a
					 * read; of a pipe: PIPE_BYTES */
#define CONN_DISCARD	(1024 * 1024)	/* read and thrown away at the end */
#define CONN_RESET_WAIT	1000000		/* usec a RST waits for queued data */

enum conn_end { END_NONE, END_LINGER, END_RESET };

struct conn;

struct conn_ops {
	void	(*readable)(struct conn *);
	void	(*writable)(struct conn *);	/* some of the rest went out */
};

struct conn {
	int		fd;		/* -1: closed or not there yet */
	struct event	rev;
	struct event	*wev;		/* NULL while nothing waits */
	const struct conn_ops *ops;
	void		*owner;
	uint8_t		*out;		/* rest; NULL while nothing waits */
	uint32_t	outoff, outlen, outsize;
	struct pipe	*pipe;		/* to be sent behind out, or NULL */
	uint32_t	rsize;		/* next read size */
	int		error;		/* errno of a failed read: all is over */
	int		werror;		/* errno of a failed write: what the
					 * peer sent before can still be read */
	bool		reading;
	bool		radded;		/* may be true a little longer */
	bool		eof;		/* FIN was read */
	bool		cut;		/* its end lost what was to be sent */
	bool		fin_waits;	/* conn_sweep() saw a FIN not read yet */
	bool		shut_want;	/* SHUT_WR when all is written */
	bool		shut_done;
	enum conn_end	end;
	uint32_t	discarded;
	uint64_t	t_in;		/* last byte read */
	uint64_t	t_on;		/* reading was last switched on */
	uint64_t	t_out;		/* last progress of writing, or the
					 * start of waiting */
	uint64_t	t_end;		/* conn_end(), or last progress since */
};

/* A conn without socket. */
void	 conn_init(struct conn *, const struct conn_ops *, void *owner);
/*
 * Take over a connected, non-blocking stream socket with the options of
 * sockopt_stream(); reading starts off.  An accepted one has inherited from
 * its listener that closing it resets; a dialled one has not.
 */
void	 conn_attach(struct conn *, int fd, bool dialled);
/* Close at once, whatever waits.  Safe on a closed one. */
void	 conn_close(struct conn *);

void	 conn_read_on(struct conn *);
void	 conn_read_off(struct conn *);

/*
 * Read once.  Returns bytes, 0 at EOF (conn.eof), -1 with errno EAGAIN, or -1
 * with conn.error set.  Adapts conn.rsize: the caller asks for at most that.
 */
ssize_t	 conn_read(struct conn *, void *buf, size_t len);

/*
 * Write now or keep what does not fit; order is kept.  Returns 0, or -1 when
 * nothing can be written any more (conn.werror; nothing is kept then), or the
 * socket is closed.  Data given after
 * conn_shutdown() or conn_end() is a programming error and is dropped.
 */
int	 conn_send(struct conn *, const void *buf, size_t len);
int	 conn_sendv(struct conn *, struct iovec *, int n);
/*
 * conn_send() of the last bytes: conn_shutdown() follows at once, and its FIN
 * leaves in the same segment.
 */
int	 conn_send_last(struct conn *, const void *buf, size_t len);

/*
 * Move up to max bytes (PIPE_BYTES at most) from src to dst, on which nothing
 * may wait, by a pipe of the pool and without copying.  frame_max: each run of
 * that many bytes gets the header of an unmasked binary WebSocket message; 0:
 * none.  What dst does not take waits in the pipe, before all that is sent
 * later.  Returns bytes, or -1: with conn.error of src set; or with errno
 * ENOBUFS or EINVAL: not possible now, or never, with these; nothing has
 * happened, and conn_read() is to be used, which alone sees an EOF.
 */
ssize_t	 conn_splice(struct conn *dst, struct conn *src, size_t max,
	    uint32_t frame_max);
/* Give the pipe back to the pool: what is inside is kept in memory. */
void	 conn_unsplice(struct conn *);

/* Bytes waiting to be written. */
static inline size_t
conn_pending(const struct conn *c)
{
	return c->outlen + (c->pipe != NULL ? c->pipe->len : 0);
}

/* SHUT_WR as soon as everything is written. */
void	 conn_shutdown(struct conn *);
/* End as drawn above; RESET overrides LINGER.  Idempotent. */
void	 conn_end(struct conn *, enum conn_end);
/*
 * To be called by the owner after events and from its timer while an end is
 * under way: does the next step.  Returns true when the socket is closed.
 * t_flush, t_close: usec without progress before giving up writing, and
 * before giving up waiting for the peer's FIN.  UINT64_MAX: never.
 */
bool	 conn_step(struct conn *, uint64_t now, uint64_t t_flush,
	    uint64_t t_close);
/* When conn_step() wants to be called again at the latest; 0: no need. */
uint64_t conn_next(const struct conn *, uint64_t now, uint64_t t_close);

/*
 * Look at a socket whose reading may be off: returns 0, or the errno that
 * says it is dead: reset (conn.werror is set too; what came before can still
 * be read), or data unacknowledged without any ACK for 30 s.  Sets
 * conn.fin_waits.
 */
int	 conn_sweep(struct conn *);

/* Bytes in the kernel that the peer has not acknowledged; 0 if unknown. */
unsigned conn_unacked(const struct conn *);

/* How many have a socket now. */
unsigned conn_open(void);

/* Sum of conn_pending() over all conns of this process. */
uint64_t conn_queued(void);

#endif /* CONN_H */
