/* SPDX-License-Identifier: ISC */

/* chan.c: imsg channels between processes, driven by libevent. */

#include "compat.h"

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <netinet/in.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "addr.h"
#include "chan.h"
#include "log.h"
#include "probe.h"

/*
 *	open --- write error, chan_send() to a closed peer ---> dead
 *	  |                                                      |
 *	  | EOF, read or framing error          what had come before is read,
 *	  v                                     then gone(), from the loop
 *	gone() -> chan_free()
 *
 * A peer that dies leaves its last messages in the socket: they are
 * delivered before gone() tells of its end, also when we learn of it by a
 * failed write.
 */

#define PUSH_BATCH	32	/* messages that wait for the turn's end */
#define SOON_USEC	5000
#define READ_BATCH	64	/* messages per event: others want a turn */

static void	chan_read(int, short, void *);
static void	chan_write(int, short, void *);
static void	chan_later(int, short, void *);
static void	chan_pushed(int, short, void *);
static void	chan_work(struct chan *);
static void	chan_push(struct chan *);

struct chan *
chan_new(int fd, enum role peer, unsigned slot, uint32_t incarnation,
    void (*message)(struct chan *, struct imsg *),
    void (*gone)(struct chan *, const char *), void *arg)
{
	struct chan	*c;
	int		 fl;

	/*
	 * A relay's filter forbids F_SETFL and F_SETFD: there descriptors come
	 * ready-made and are only looked at.
	 */
	if ((fl = fcntl(fd, F_GETFL)) == -1)
		fatal("chan_new: F_GETFL");
	if (!(fl & O_NONBLOCK) && fcntl(fd, F_SETFL, fl | O_NONBLOCK) == -1)
		fatal("chan_new: F_SETFL");
	if ((fl = fcntl(fd, F_GETFD)) == -1)
		fatal("chan_new: F_GETFD");
	if (!(fl & FD_CLOEXEC) && fcntl(fd, F_SETFD, fl | FD_CLOEXEC) == -1)
		fatal("chan_new: F_SETFD");

	if ((c = calloc(1, sizeof(*c))) == NULL)
		fatal("chan_new");
	c->fd = fd;
	c->peer = peer;
	c->slot = slot;
	c->incarnation = incarnation;
	c->queue_max = CHAN_QUEUE_MAX;
	c->message = message;
	c->gone = gone;
	c->arg = arg;
	if (imsgbuf_init(&c->ibuf, fd) == -1 ||
	    imsgbuf_set_maxsize(&c->ibuf, (LAYER(FRAME) ? CHAN_MAXSIZE :
	    4 * CHAN_MAXSIZE) - IMSG_HEADER_SIZE) == -1)
		fatal("chan_new: imsgbuf");
	imsgbuf_allow_fdpass(&c->ibuf);

	event_set(&c->rev, fd, EV_READ | EV_PERSIST, chan_read, c);
	event_set(&c->wev, fd, EV_WRITE | EV_PERSIST, chan_write, c);
	evtimer_set(&c->later, chan_later, c);
	evtimer_set(&c->push, chan_pushed, c);
	if (event_add(&c->rev, NULL) == -1)
		fatal("chan_new: event_add");
	return (c);
}

static void
chan_destroy(struct chan *c)
{
	imsgbuf_clear(&c->ibuf);
	free(c);
}

void
chan_free(struct chan *c)
{
	if (c == NULL || c->freed)
		return;
	if (!c->dead && imsgbuf_queuelen(&c->ibuf) > 0)
		chan_push(c);
	c->freed = c->dead = true;
	/* Events go before the descriptor: epoll knows it by number. */
	event_del(&c->rev);
	event_del(&c->wev);
	event_del(&c->later);
	event_del(&c->push);
	close(c->fd);
	c->fd = -1;
	if (c->depth == 0)
		chan_destroy(c);
}

/* Go on in the next round of the event loop, after other descriptors. */
static void
chan_defer(struct chan *c)
{
	/*
	 * Not event_active(): an event that re-activates itself keeps
	 * libevent 2 from polling at all.
	 */
	static const struct timeval now = { 0, 0 };

	if (event_add(&c->later, &now) == -1)
		fatal("chan_defer: event_add");
}

static void
chan_die(struct chan *c, const char *why)
{
	if (c->dead)
		return;
	c->dead = true;
	c->why = why;
	if (c->wadded) {
		event_del(&c->wev);
		c->wadded = false;
	}
	chan_defer(c);
}

static const char *
chan_why(int error, const char *other)
{
	switch (error) {
	case EPIPE:
	case ECONNRESET:
		return ("closed");
	case EMSGSIZE:
	case EBADMSG:
	case ERANGE:
	case EINVAL:
		return ("malformed message");
	case EMFILE:
	case ENFILE:
		return ("out of descriptors");
	default:
		return (other);
	}
}

/* Tell the owner, once; it calls chan_free(), now or a little later. */
static void
chan_gone(struct chan *c, const char *why)
{
	c->dead = true;
	event_del(&c->rev);
	event_del(&c->later);
	event_del(&c->push);
	if (c->wadded) {
		event_del(&c->wev);
		c->wadded = false;
	}
	c->depth++;
	c->gone(c, why);
	if (--c->depth == 0 && c->freed)
		chan_destroy(c);
}

static bool
window_full(const struct chan *c)
{
	return (c->window != 0 && !c->dead &&
	    imsgbuf_queuelen((struct imsgbuf *)(uintptr_t)&c->ibuf) >=
	    c->window);
}

/* Stop reading; chan_push() goes on. */
static void
chan_hold(struct chan *c)
{
	event_del(&c->rev);
	event_del(&c->later);
	c->held = true;
}

/*
 * Hand out queued messages, at most up to *n of them are left; *fd: one
 * carried a descriptor.
 */
static int
chan_deliver(struct chan *c, int *n, bool *fd)
{
	struct imsg	 m;
	int		 r = 0;

	c->depth++;
	while (!c->freed && *n > 0 && !window_full(c)) {
		if ((r = imsgbuf_get(&c->ibuf, &m)) != 1)
			break;
		(*n)--;
		*fd = *fd || ibuf_fd_avail(m.buf);
		c->message(c, &m);
		imsg_free(&m);
		r = 0;
	}
	if (--c->depth == 0 && c->freed) {
		chan_destroy(c);
		return (1);
	}
	return (r);
}

/*
 * One turn: what is left from the last one, then one read.  A read ends behind
 * a message with a descriptor, whatever waits after it: so it is followed by
 * another one, or a sender of descriptors, for each connection that we accept,
 * would always be faster than us.
 */
static void
chan_work(struct chan *c)
{
	bool	 fd, first = true;
	int	 n = READ_BATCH, r;

	for (;;) {
		fd = false;
		if ((r = chan_deliver(c, &n, &fd)) == 1)
			return;			/* freed by its owner */
		if (r == -1) {
			chan_gone(c, "malformed message");
			return;
		}
		if (window_full(c)) {
			chan_hold(c);
			return;
		}
		if (n == 0) {
			chan_defer(c);
			return;
		}
		if (!first && !fd)
			break;
		first = false;
		if ((r = imsgbuf_read(&c->ibuf)) == 0) {
			chan_gone(c, "closed");
			return;
		}
		if (r == -1) {
			chan_gone(c, chan_why(errno, "read error"));
			return;
		}
	}
	if (!c->dead)
		return;
	/* After a failed write: nothing more came, so that was the end. */
	if (n == READ_BATCH)
		chan_gone(c, c->why);
	else
		chan_defer(c);
}

static void
chan_read(int fd, short ev, void *arg)
{
	struct chan	*c = arg;

	/* A turn is due already: no more is read until that is handed out. */
	if (evtimer_pending(&c->later, NULL))
		return;
	chan_work(c);
}

static void
chan_later(int fd, short ev, void *arg)
{
	chan_work(arg);
}

static void
chan_push(struct chan *c)
{
	bool	 want;

	if (imsgbuf_write(&c->ibuf) == -1) {
		chan_die(c, chan_why(errno, "write error"));
		return;
	}
	want = imsgbuf_queuelen(&c->ibuf) > 0;
	if (want && !c->wadded) {
		if (event_add(&c->wev, NULL) == -1)
			fatal("chan_push: event_add");
	} else if (!want && c->wadded)
		event_del(&c->wev);
	c->wadded = want;
	if (c->held && imsgbuf_queuelen(&c->ibuf) <= c->window / 2) {
		c->held = false;
		if (event_add(&c->rev, NULL) == -1)
			fatal("chan_push: event_add");
		/* Some may have been read already. */
		chan_defer(c);
	}
}

static void
chan_write(int fd, short ev, void *arg)
{
	chan_push(arg);
}

static void
chan_pushed(int fd, short ev, void *arg)
{
	struct chan	*c = arg;

	c->pushing = false;
	if (!c->dead)
		chan_push(c);
}

struct ibuf *
chan_msg(struct chan *c, uint32_t type)
{
	if (c->dead)
		return (NULL);
	return (imsg_create(&c->ibuf, type, 0, 0, 256));
}

static int
enqueue(struct chan *c, struct ibuf *b, int fd)
{
	if (b == NULL || c->dead ||
	    imsgbuf_queuelen(&c->ibuf) >= c->queue_max) {
		ibuf_free(b);
		if (fd != -1)
			close(fd);
		return (-1);
	}
	if (fd != -1)
		ibuf_fd_set(b, fd);
	imsg_close(&c->ibuf, b);
	return (0);
}

int
chan_send(struct chan *c, struct ibuf *b, int fd)
{
	if (enqueue(c, b, fd) == -1)
		return (-1);
	if (c->wadded)
		return (0);
	/* The socket mostly has room: that saves a turn of the event loop. */
	if (!c->batching || imsgbuf_queuelen(&c->ibuf) >= PUSH_BATCH)
		chan_push(c);
	else if (!c->pushing) {
		c->pushing = true;
		event_active(&c->push, EV_TIMEOUT, 1);
	}
	return (c->dead ? -1 : 0);
}

int
chan_send_soon(struct chan *c, struct ibuf *b)
{
	static const struct timeval	 soon = { 0, SOON_USEC };

	if (!c->batching || imsgbuf_queuelen(&c->ibuf) >= PUSH_BATCH)
		return (chan_send(c, b, -1));
	if (enqueue(c, b, -1) == -1)
		return (-1);
	if (!c->wadded && !c->pushing && !evtimer_pending(&c->push, NULL) &&
	    event_add(&c->push, &soon) == -1)
		fatal("chan_send_soon: event_add");
	return (0);
}

int
chan_signal(struct chan *c, uint32_t type)
{
	return (chan_send(c, chan_msg(c, type), -1));
}

bool
chan_busy(const struct chan *c)
{
	/* OpenBSD's imsgbuf_queuelen() lacks the const. */
	return (imsgbuf_queuelen((struct imsgbuf *)(uintptr_t)&c->ibuf) >
	    c->queue_max / 2);
}

void
chan_flush(struct chan *c, int ms)
{
	struct pollfd	 pfd;
	uint64_t	 now, end;

	if (ms < 0)
		ms = 0;
	end = mono_usec() + (uint64_t)ms * 1000;
	while (!c->dead) {
		chan_push(c);
		if (c->dead || imsgbuf_queuelen(&c->ibuf) == 0)
			return;
		if ((now = mono_usec()) >= end)
			return;
		pfd.fd = c->fd;
		pfd.events = POLLOUT;
		if (poll(&pfd, 1, (int)((end - now + 999) / 1000)) == -1 &&
		    errno != EINTR)
			return;
	}
}

int
put_strn(struct ibuf *b, const void *p, size_t len)
{
	if (b == NULL || len > UINT16_MAX)
		return (-1);
	if (ibuf_add_n16(b, len) == -1)
		return (-1);
	return (len == 0 ? 0 : ibuf_add(b, p, len));
}

int
put_str(struct ibuf *b, const char *s)
{
	return (put_strn(b, s, s == NULL ? 0 : strlen(s)));
}

/* The length of a string field, checked against what is there. */
static int
get_len(struct ibuf *b, size_t max, size_t *len)
{
	uint16_t	 n;

	if (ibuf_get_n16(b, &n) == -1 || n > max || n > ibuf_size(b))
		return (-1);
	if (n > 0 && memchr(ibuf_data(b), '\0', n) != NULL)
		return (-1);
	*len = n;
	return (0);
}

int
get_str(struct ibuf *b, char *buf, size_t size)
{
	size_t	 len;

	if (size == 0 || get_len(b, size - 1, &len) == -1)
		return (-1);
	if (len > 0 && ibuf_get(b, buf, len) == -1)
		return (-1);
	buf[len] = '\0';
	return (0);
}

int
get_strdup(struct ibuf *b, char **s, size_t max)
{
	size_t	 len;
	char	*p;

	if (get_len(b, max, &len) == -1)
		return (-1);
	/* len is at most what has arrived: the sender cannot inflate it. */
	if ((p = malloc(len + 1)) == NULL)
		return (-1);
	if (len > 0 && ibuf_get(b, p, len) == -1) {
		free(p);
		return (-1);
	}
	p[len] = '\0';
	*s = p;
	return (0);
}

int
put_bool(struct ibuf *b, bool v)
{
	return (b == NULL ? -1 : ibuf_add_n8(b, v ? 1 : 0));
}

int
get_bool(struct ibuf *b, bool *v)
{
	uint8_t	 n;

	if (ibuf_get_n8(b, &n) == -1 || n > 1)
		return (-1);
	*v = n == 1;
	return (0);
}

int
get_enum(struct ibuf *b, unsigned max, unsigned *v)
{
	uint8_t	 n;

	if (ibuf_get_n8(b, &n) == -1 || n >= max)
		return (-1);
	*v = n;
	return (0);
}

/* Kinds of addresses on a channel. */
enum { ADDR_NONE = 0, ADDR_UNIX = 1, ADDR_V4 = 4, ADDR_V6 = 6 };

int
put_addr(struct ibuf *b, const struct addr *a)
{
	const struct sockaddr_in	*in;
	const struct sockaddr_in6	*in6;
	const struct sockaddr_un	*un;
	size_t				 off;

	if (b == NULL)
		return (-1);
	if (a->len == 0)
		return (ibuf_add_n8(b, ADDR_NONE));
	switch (a->ss.ss_family) {
	case AF_INET:
		in = (const struct sockaddr_in *)&a->ss;
		if (ibuf_add_n8(b, ADDR_V4) == -1 ||
		    ibuf_add(b, &in->sin_addr, sizeof(in->sin_addr)) == -1 ||
		    ibuf_add(b, &in->sin_port, sizeof(in->sin_port)) == -1)
			return (-1);
		return (0);
	case AF_INET6:
		in6 = (const struct sockaddr_in6 *)&a->ss;
		if (ibuf_add_n8(b, ADDR_V6) == -1 ||
		    ibuf_add(b, &in6->sin6_addr,
		    sizeof(in6->sin6_addr)) == -1 ||
		    ibuf_add(b, &in6->sin6_port,
		    sizeof(in6->sin6_port)) == -1 ||
		    ibuf_add_n32(b, in6->sin6_scope_id) == -1)
			return (-1);
		return (0);
	case AF_UNIX:
		un = (const struct sockaddr_un *)&a->ss;
		off = offsetof(struct sockaddr_un, sun_path);
		if (a->len < off || a->len - off > sizeof(un->sun_path) ||
		    ibuf_add_n8(b, ADDR_UNIX) == -1)
			return (-1);
		return (put_strn(b, un->sun_path,
		    strnlen(un->sun_path, a->len - off)));
	default:
		return (-1);
	}
}

int
get_addr(struct ibuf *b, struct addr *a)
{
	struct sockaddr_in	*in = (struct sockaddr_in *)&a->ss;
	struct sockaddr_in6	*in6 = (struct sockaddr_in6 *)&a->ss;
	struct sockaddr_un	*un = (struct sockaddr_un *)&a->ss;
	uint8_t			 kind;

	memset(a, 0, sizeof(*a));
	if (ibuf_get_n8(b, &kind) == -1)
		return (-1);
	switch (kind) {
	case ADDR_NONE:
		return (0);
	case ADDR_V4:
		if (ibuf_get(b, &in->sin_addr, sizeof(in->sin_addr)) == -1 ||
		    ibuf_get(b, &in->sin_port, sizeof(in->sin_port)) == -1)
			return (-1);
		in->sin_family = AF_INET;
		a->len = sizeof(*in);
		break;
	case ADDR_V6:
		if (ibuf_get(b, &in6->sin6_addr,
		    sizeof(in6->sin6_addr)) == -1 ||
		    ibuf_get(b, &in6->sin6_port,
		    sizeof(in6->sin6_port)) == -1 ||
		    ibuf_get_n32(b, &in6->sin6_scope_id) == -1)
			return (-1);
		in6->sin6_family = AF_INET6;
		a->len = sizeof(*in6);
		break;
	case ADDR_UNIX:
		if (get_str(b, un->sun_path, sizeof(un->sun_path)) == -1)
			return (-1);
		un->sun_family = AF_UNIX;
		a->len = sizeof(*un);
		break;
	default:
		return (-1);
	}
#if HAVE_SS_LEN
	a->ss.ss_len = a->len;
#endif
	return (0);
}
