/* SPDX-License-Identifier: ISC */

/* conn.c: one socket of a relay, see conn.h. */

#include "compat.h"

#include <sys/types.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conn.h"
#include "log.h"
#include "sockopt.h"
#include "stats.h"
#include "tunneld.h"
#include "ws.h"

/* A connection without one ACK for this long, data being due, is dead. */
#define DEAD_MS		30000
/* A rest this small keeps its buffer. */
#define SMALL_REST	4096
/* How often an end that waits for ACKs looks again. */
#define END_POLL	20000

static void	 on_read(int, short, void *);
static void	 on_write(int, short, void *);

static uint64_t	 queued;
static unsigned	 nopen;

unsigned
conn_open(void)
{
	return nopen;
}

uint64_t
conn_queued(void)
{
	return queued;
}

void
conn_init(struct conn *c, const struct conn_ops *ops, void *owner)
{
	memset(c, 0, sizeof(*c));
	c->fd = -1;
	c->ops = ops;
	c->owner = owner;
	c->rsize = CONN_READ_MIN;
}

void
conn_attach(struct conn *c, int fd, bool dialled)
{
	c->fd = fd;
	nopen++;
	c->t_in = c->t_out = mono_usec();
	/* A stream that is cut because we die must not look complete. */
	if (dialled)
		sockopt_reset_on_close(fd, true);
	event_set(&c->rev, fd, EV_READ | EV_PERSIST, on_read, c);
}

static void
drop_rest(struct conn *c)
{
	queued -= conn_pending(c);
	stats->queued = queued;
	if (c->pipe != NULL)
		pipe_put(c->pipe);
	c->pipe = NULL;
	free(c->out);
	c->out = NULL;
	c->outoff = c->outlen = c->outsize = 0;
}

static void
no_write(struct conn *c)
{
	if (c->wev == NULL)
		return;
	event_del(c->wev);
	free(c->wev);
	c->wev = NULL;
}

void
conn_close(struct conn *c)
{
	if (c->fd == -1)
		return;
	c->reading = false;
	if (c->radded)
		event_del(&c->rev);
	c->radded = false;
	no_write(c);
	drop_rest(c);
	close(c->fd);
	c->fd = -1;
	nopen--;
}

void
conn_read_on(struct conn *c)
{
	if (c->reading || c->fd == -1 || c->eof || c->error != 0)
		return;
	if (!c->radded)
		event_add(&c->rev, NULL);
	c->reading = c->radded = true;
	c->t_on = mono_usec();
}

/*
 * Most pauses are over before anything comes: the event is only taken away
 * when it is in the way.
 */
void
conn_read_off(struct conn *c)
{
	c->reading = false;
}

/*
 * Nothing can be written any more.  Reading goes on: an answer that came
 * before the RST, and its FIN, still count.
 */
static void
write_broken(struct conn *c, int error)
{
	if (c->werror == 0)
		c->werror = error;
	no_write(c);
	drop_rest(c);
}

static void
broken(struct conn *c, int error)
{
	if (c->error == 0)
		c->error = error;
	/* A level-triggered error would spin; the owner acts on c->error. */
	conn_read_off(c);
	write_broken(c, error);
}

/* What a system call that reads has returned. */
static ssize_t
was_read(struct conn *c, ssize_t n)
{
	if (n > 0) {
		c->t_in = mono_usec();
		return n;
	}
	if (n == 0) {
		/* After a RST this is no FIN, or none that still matters. */
		if (c->werror != 0) {
			broken(c, c->werror);
			return -1;
		}
		c->eof = true;
		conn_read_off(c);
		return 0;
	}
	if (errno != EAGAIN && errno != EWOULDBLOCK)
		broken(c, errno);
	return -1;
}

ssize_t
conn_read(struct conn *c, void *buf, size_t len)
{
	ssize_t	 n;

	do
		n = recv(c->fd, buf, len, 0);
	while (n == -1 && errno == EINTR);
	return was_read(c, n);
}

static int
want_write(struct conn *c)
{
	if (c->wev != NULL)
		return 0;
	if ((c->wev = malloc(sizeof(*c->wev))) == NULL) {
		write_broken(c, ENOMEM);
		return -1;
	}
	event_set(c->wev, c->fd, EV_WRITE | EV_PERSIST, on_write, c);
	event_add(c->wev, NULL);
	return 0;
}

/* Keep the rest of iov behind what already waits. */
static int
keep(struct conn *c, const struct iovec *iov, int n)
{
	size_t	 need = 0, size;
	uint8_t	*p;
	int	 i;

	for (i = 0; i < n; i++)
		need += iov[i].iov_len;
	if (need == 0)
		return 0;
	if (c->outoff != 0 && c->outoff + c->outlen + need > c->outsize) {
		memmove(c->out, c->out + c->outoff, c->outlen);
		c->outoff = 0;
	}
	if (c->outlen + need > c->outsize) {
		size = c->outlen + need;
		if ((p = realloc(c->out, size)) == NULL) {
			write_broken(c, ENOMEM);
			return -1;
		}
		c->out = p;
		c->outsize = (uint32_t)size;
	}
	if (c->outlen == 0)
		c->t_out = mono_usec();
	for (i = 0; i < n; i++) {
		memcpy(c->out + c->outoff + c->outlen, iov[i].iov_base,
		    iov[i].iov_len);
		c->outlen += (uint32_t)iov[i].iov_len;
	}
	queued += need;
	stats->queued = queued;
	return want_write(c);
}

int
conn_sendv(struct conn *c, struct iovec *iov, int n)
{
	ssize_t		 w;

	if (c->fd == -1 || c->werror != 0)
		return -1;
	if (c->shut_want || c->end != END_NONE)
		return 0;
	conn_unsplice(c);
	if (c->outlen == 0) {
		/* Not sendmsg(2), which a relay may not; SIGPIPE is ignored. */
		do
			w = writev(c->fd, iov, n);
		while (w == -1 && errno == EINTR);
		if (w == -1) {
			if (errno != EAGAIN && errno != EWOULDBLOCK &&
			    errno != ENOBUFS) {
				write_broken(c, errno);
				return -1;
			}
			w = 0;
		}
		if (w > 0)
			c->t_out = mono_usec();
		while (n > 0 && (size_t)w >= iov->iov_len) {
			w -= (ssize_t)iov->iov_len;
			iov++;
			n--;
		}
		if (n > 0) {
			iov->iov_base = (uint8_t *)iov->iov_base + w;
			iov->iov_len -= (size_t)w;
		}
	}
	return keep(c, iov, n);
}

int
conn_send(struct conn *c, const void *buf, size_t len)
{
	struct iovec	 iov;

	iov.iov_base = (void *)(uintptr_t)buf;
	iov.iov_len = len;
	return conn_sendv(c, &iov, 1);
}

/* Write the header of the next frame to hdr; returns its length. */
static size_t
frame_begin(struct pipe *p, uint8_t *hdr)
{
	p->frame_left = p->len < p->frame_max ? p->len : p->frame_max;
	return ws_header(hdr, WS_OP_BINARY, true, p->frame_left, NULL);
}

/*
 * The next bytes of the pipe, behind a header of their own if one is due.
 * Returns -1 with errno as the write did.
 */
static int
send_piped(struct conn *c)
{
	struct pipe	*p = c->pipe;
	uint8_t		 hdr[WS_HDR_MAX];
	struct iovec	 iov;
	size_t		 len;
	ssize_t		 n;

	if (p->frame_max != 0 && p->frame_left == 0) {
		len = frame_begin(p, hdr);
		n = send(c->fd, hdr, len, MSG_NOSIGNAL | MSG_MORE);
		if (n == -1 && errno == EINTR)
			n = 0;
		if (n == -1 && errno != EAGAIN && errno != ENOBUFS)
			return -1;
		if (n != (ssize_t)len) {
			iov.iov_base = hdr + (n > 0 ? n : 0);
			iov.iov_len = len - (size_t)(n > 0 ? n : 0);
			if (keep(c, &iov, 1) == 0)
				errno = EAGAIN;
			return -1;
		}
	}
	len = p->frame_max != 0 ? p->frame_left : p->len;
	if ((n = pipe_drain(p, c->fd, len, len < p->len)) <= 0) {
		if (n == 0)
			errno = EPIPE;
		return -1;
	}
	if (p->frame_max != 0)
		p->frame_left -= (uint32_t)n;
	queued -= (uint64_t)n;
	return 0;
}

/*
 * Bytes that went out give their memory back: a peer that takes all but the
 * last ones must not hold much more than the budget knows of.
 */
static void
shrink(struct conn *c)
{
	uint8_t	*p;

	if (c->outlen == 0 || c->outsize <= SMALL_REST ||
	    c->outlen > c->outsize / 2)
		return;
	memmove(c->out, c->out + c->outoff, c->outlen);
	c->outoff = 0;
	if ((p = realloc(c->out, c->outlen)) == NULL)
		return;
	c->out = p;
	c->outsize = c->outlen;
}

/* Write what waits, as far as it goes. */
static void
flush(struct conn *c)
{
	ssize_t	 n;

	while (c->outlen != 0 || c->pipe != NULL) {
		if (c->outlen != 0) {
			n = send(c->fd, c->out + c->outoff, c->outlen,
			    MSG_NOSIGNAL | (c->pipe != NULL ? MSG_MORE : 0));
			if (n > 0) {
				c->outoff += (uint32_t)n;
				c->outlen -= (uint32_t)n;
				queued -= (uint64_t)n;
			}
		} else
			n = send_piped(c);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1) {
			if (errno != EAGAIN && errno != EWOULDBLOCK &&
			    errno != ENOBUFS)
				write_broken(c, errno);
			else
				(void)want_write(c);
			break;
		}
		c->t_out = c->t_end = mono_usec();
		if (conn_pending(c) == 0) {
			no_write(c);
			drop_rest(c);
		} else if (c->pipe == NULL)
			break;		/* a short write: the buffer is full */
	}
	if (c->outlen != 0)
		shrink(c);
	stats->queued = queued;
}

ssize_t
conn_splice(struct conn *dst, struct conn *src, size_t max,
    uint32_t frame_max)
{
	struct pipe	*p;
	ssize_t		 n;
	int		 error;

	if (dst->fd == -1 || dst->shut_want || dst->end != END_NONE) {
		errno = EINVAL;
		return -1;
	}
	if ((p = pipe_get()) == NULL) {
		errno = ENOBUFS;
		return -1;
	}
	n = pipe_fill(p, src->fd, max);
	if (n <= 0) {
		error = errno;
		pipe_put(p);
		if (n == -1 && (error == EINVAL || error == ENOSYS ||
		    error == ENOMEM)) {
			errno = EINVAL;
			return -1;
		}
		/*
		 * No pipe gets past urgent data: for as long as nobody reads,
		 * Linux says EAGAIN of a socket that is readable, or after a
		 * FIN says EOF before bytes that are still to come.
		 */
		if (n == 0 || error == EAGAIN) {
			errno = ENOBUFS;
			return -1;
		}
		errno = error;
		return was_read(src, n);
	}
	p->frame_max = frame_max;
	p->frame_left = 0;
	queued += (uint64_t)n;
	dst->pipe = p;
	dst->t_out = mono_usec();
	flush(dst);
	return was_read(src, n);
}

void
conn_unsplice(struct conn *c)
{
	struct pipe	*p = c->pipe;
	uint8_t		*buf;
	size_t		 len = c->outlen, size;
	uint32_t	 want;
	ssize_t		 n;

	if (p == NULL)
		return;
	size = len + p->len;
	if (p->frame_max != 0)
		size += (p->len / p->frame_max + 1) * WS_HDR_MAX;
	if ((buf = malloc(size)) == NULL) {
		write_broken(c, ENOMEM);
		return;
	}
	if (len != 0)
		memcpy(buf, c->out + c->outoff, len);
	while (p->len != 0) {
		if (p->frame_max != 0 && p->frame_left == 0)
			len += frame_begin(p, buf + len);
		want = p->frame_max != 0 ? p->frame_left : p->len;
		if ((n = pipe_read(p, buf + len, want)) <= 0) {
			free(buf);
			write_broken(c, n == 0 ? EPIPE : errno);
			return;
		}
		p->frame_left -= p->frame_max != 0 ? (uint32_t)n : 0;
		queued -= (uint64_t)n;
		len += (size_t)n;
	}
	pipe_put(p);
	c->pipe = NULL;
	free(c->out);
	queued += len - c->outlen;
	stats->queued = queued;
	c->out = buf;
	c->outoff = 0;
	c->outlen = (uint32_t)len;
	c->outsize = (uint32_t)size;
	(void)want_write(c);
}

int
conn_send_last(struct conn *c, const void *buf, size_t len)
{
	ssize_t	 n = 0;

	if (c->fd != -1 && c->werror == 0 && !c->shut_want &&
	    c->end == END_NONE && conn_pending(c) == 0) {
		n = send(c->fd, buf, len, MSG_NOSIGNAL | MSG_MORE);
		if (n == -1)
			n = 0;		/* conn_send() will see why */
	}
	return (size_t)n == len ? 0 :
	    conn_send(c, (const uint8_t *)buf + n, len - (size_t)n);
}

static void
shut_if_drained(struct conn *c)
{
	if (!c->shut_want || c->shut_done || conn_pending(c) != 0 || c->fd == -1 ||
	    c->werror != 0)
		return;
	c->shut_done = true;
	if (c->end == END_LINGER)
		sockopt_reset_on_close(c->fd, false);
	if (shutdown(c->fd, SHUT_WR) == -1 && errno != ENOTCONN)
		write_broken(c, errno);
}

void
conn_shutdown(struct conn *c)
{
	conn_unsplice(c);
	c->shut_want = true;
	shut_if_drained(c);
}

static void
on_write(int fd, short what, void *arg)
{
	struct conn	*c = arg;

	flush(c);
	shut_if_drained(c);
	c->ops->writable(c);
}

static void
on_read(int fd, short what, void *arg)
{
	struct conn	*c = arg;

	if (!c->reading) {
		event_del(&c->rev);
		c->radded = false;
		return;
	}
	c->ops->readable(c);
}

void
conn_end(struct conn *c, enum conn_end how)
{
	if (c->fd == -1 || c->end >= how)
		return;
	conn_unsplice(c);
	c->end = how;
	c->t_end = mono_usec();
	if (how == END_LINGER) {
		if (c->shut_done)
			sockopt_reset_on_close(c->fd, false);
		conn_shutdown(c);
		conn_read_on(c);
	} else
		conn_read_off(c);
}

/*
 * Both kinds of waiting at the end are polled: neither the ACK of the last
 * byte nor unread input is worth a byte of per-session state.
 */
bool
conn_step(struct conn *c, uint64_t now, uint64_t t_flush, uint64_t t_close)
{
	unsigned	 unacked;
	bool		 flushing;

	if (c->fd == -1)
		return true;
	if (c->error != 0 || (c->werror != 0 && c->end != END_NONE)) {
		conn_close(c);
		return true;
	}
	if (c->end == END_NONE)
		return false;
	unacked = conn_unacked(c);
	flushing = conn_pending(c) != 0 || unacked != 0;
	if (c->end == END_RESET) {
		if (flushing && now < c->t_end + CONN_RESET_WAIT)
			return false;
		sockopt_reset_on_close(c->fd, true);
		conn_close(c);
		return true;
	}
	/*
	 * Lingering: data still on its way is only bounded by lack of
	 * progress; an idle peer that does not close, by t_close.
	 */
	if (c->eof && !flushing) {
		conn_close(c);
		return true;
	}
	if (now - c->t_end >= (flushing ? t_flush : t_close) ||
	    (!flushing && c->discarded > CONN_DISCARD)) {
		c->cut = flushing;
		conn_close(c);
		return true;
	}
	return false;
}

uint64_t
conn_next(const struct conn *c, uint64_t now, uint64_t t_close)
{
	if (c->fd == -1)
		return 0;
	switch (c->end) {
	case END_NONE:
		return 0;
	case END_RESET:
		return now + END_POLL;
	case END_LINGER:
		break;
	}
	/* Only the last ACK is missing; look less often the longer it takes. */
	if (c->eof && conn_pending(c) == 0)
		return now + END_POLL + (now - c->t_end) / 8;
	if (t_close == UINT64_MAX || c->t_end + t_close <= now)
		return now + 250000;
	return c->t_end + t_close;
}

unsigned
conn_unacked(const struct conn *c)
{
	return sockopt_unacked(c->fd);
}

int
conn_sweep(struct conn *c)
{
	struct pollfd	 pfd;
	socklen_t	 len;
	int		 error;

	if (c->fd == -1 || c->error != 0)
		return c->error;
	pfd.fd = c->fd;
	pfd.events = POLLRDHUP;
	pfd.revents = 0;
	if (poll(&pfd, 1, 0) == -1)
		return 0;
	c->fin_waits = (pfd.revents & (POLLRDHUP | POLLHUP)) != 0;
	if (pfd.revents & (POLLERR | POLLNVAL)) {
		error = 0;
		len = sizeof(error);
		if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) ==
		    -1 || error == 0)
			error = ECONNRESET;
		write_broken(c, error);
		return error;
	}
	if (sockopt_peer_dead(c->fd, DEAD_MS))
		return ETIMEDOUT;
	return 0;
}
