/* SPDX-License-Identifier: ISC */

/*
 * chan.h: one imsg channel between two processes, with its events.  Bounded:
 * a peer that does not read makes chan_send() fail, never memory grow.  Who
 * answers each message sets a window instead: then a peer that does not read
 * the answers is not asked for more questions, and no answer is lost.
 */
#ifndef CHAN_H
#define CHAN_H

#include <sys/types.h>

#include <event.h>
#include <imsg.h>
#include <stdbool.h>
#include <stdint.h>

#include "tunneld.h"

#define CHAN_MAXSIZE	16384		/* one message with its header */
#define CHAN_QUEUE_MAX	8192		/* messages waiting; see chan_full() */

struct chan {
	struct imsgbuf	ibuf;
	struct event	rev, wev;
	int		fd;
	enum role	peer;
	unsigned	slot;
	uint32_t	incarnation;
	unsigned	queue_max;
	unsigned	window;		/* nothing is taken from the peer while
					 * so many messages to it wait; 0: it
					 * always is */
	bool		dead;		/* gone() was called or is due */
	bool		wadded;
	bool		held;		/* not reading: the window is full */
	bool		freed;		/* inside a callback: free on return */
	unsigned	depth;		/* callbacks we are inside of */
	const char	*why;		/* of a gone() that is due */
	/*
	 * What a turn of the event loop has to say leaves together, by an
	 * event behind those that are active then: the peer wakes up once.
	 * For the owner to set.
	 */
	bool		batching;
	bool		pushing;	/* the event is active */
	struct event	push;
	struct event	later;		/* next turn: more messages, gone() */
	/* One message; it is freed by the caller of message(). */
	void		(*message)(struct chan *, struct imsg *);
	/*
	 * EOF, error or a framing violation: called once, from the event loop;
	 * the callee calls chan_free().
	 */
	void		(*gone)(struct chan *, const char *why);
	void		*arg;
};

/* Take over fd (made non-blocking and close-on-exec).  Never NULL. */
struct chan *chan_new(int fd, enum role peer, unsigned slot,
	    uint32_t incarnation, void (*message)(struct chan *, struct imsg *),
	    void (*gone)(struct chan *, const char *), void *arg);
/* Close and free; safe inside its own callbacks. */
void	 chan_free(struct chan *);

/*
 * Build a message: chan_msg() gives a buffer to add fields to (ibuf_add_n32
 * and friends), chan_send() queues it and takes fd (or -1) in every case.
 * Returns 0, or -1 when the peer is gone or its queue is full: the message
 * and fd are gone then too.  b may be NULL (an earlier failure): -1.
 */
struct ibuf *chan_msg(struct chan *, uint32_t type);
int	 chan_send(struct chan *, struct ibuf *b, int fd);
/*
 * The same for what nobody waits for: it may lie for 5 ms, or until anything
 * else is sent, and many such messages wake the peer once.
 */
int	 chan_send_soon(struct chan *, struct ibuf *b);
/* A message without payload. */
int	 chan_signal(struct chan *, uint32_t type);
/* More than half of the queue is used: producers should pause. */
bool	 chan_busy(const struct chan *);
/* Write what is queued now, waiting at most ms; for the last words. */
void	 chan_flush(struct chan *, int ms);

/* Helpers for fields: 16-bit length and bytes. */
int	 put_str(struct ibuf *, const char *);		/* NULL: empty */
int	 put_strn(struct ibuf *, const void *, size_t);
/* Into buf with NUL; -1 if it does not fit, holds NUL, or is short. */
int	 get_str(struct ibuf *, char *buf, size_t size);
/* malloc'd; max: longest accepted, without NUL. */
int	 get_strdup(struct ibuf *, char **, size_t max);
int	 put_bool(struct ibuf *, bool);
int	 get_bool(struct ibuf *, bool *);		/* 0 or 1 only */
/* One byte (ibuf_add_n8), below max. */
int	 get_enum(struct ibuf *, unsigned max, unsigned *);
struct addr;
int	 put_addr(struct ibuf *, const struct addr *);
int	 get_addr(struct ibuf *, struct addr *);

#endif /* CHAN_H */
