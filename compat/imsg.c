/* SPDX-License-Identifier: ISC */

/* imsg.c: imsg channels and messages; contracts in imsg.h. */

#include "compat.h"

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "imsg.h"

#define READ_SIZE	65535		/* one receive */
#define WRITE_IOV	64		/* messages in one send */
#define FD_MARK		0x80000000U	/* in hdr.len: a descriptor belongs */
#define ALLOW_FDPASS	0x01

/* What came for a marked message: a descriptor, or one of these. */
#define FD_NONE		(-1)
#define FD_LOST		(-3)		/* the kernel had no slot for it */

#ifndef MSG_CMSG_CLOEXEC
#define MSG_CMSG_CLOEXEC	0
#endif

TAILQ_HEAD(ibufs, ibuf);

struct msgbuf {
	/* out: the first one may be partly written (its rpos tells) */
	struct ibufs	 out;
	uint32_t	 outlen;
	size_t		 outbytes;
	size_t		 outmax;
	/* in */
	struct ibufs	 in;		/* complete messages */
	struct ibuf	*part;		/* incomplete one, its header done */
	size_t		 partlen;	/* its final length, with header */
	unsigned char	 hdr[IMSG_HEADER_SIZE];
	size_t		 hdrlen;	/* bytes of the next header so far */
	int		 hdrfd;		/* descriptor of the header in hdr */
	int		 error;		/* framing is lost: errno, final */
	unsigned	 lost;
	unsigned char	 rbuf[READ_SIZE];
};

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = FD_NONE;
}

static void
free_queue(struct ibufs *q)
{
	struct ibuf	*b;

	while ((b = TAILQ_FIRST(q)) != NULL) {
		TAILQ_REMOVE(q, b, entry);
		ibuf_free(b);
	}
}

/* ------------------------------------------------------------ channels */

int
imsgbuf_init(struct imsgbuf *ib, int fd)
{
	struct msgbuf	*w;

	memset(ib, 0, sizeof(*ib));
	if ((w = calloc(1, sizeof(*w))) == NULL)
		return -1;
	TAILQ_INIT(&w->out);
	TAILQ_INIT(&w->in);
	w->outmax = IMSG_QUEUE_MAX;
	w->hdrfd = FD_NONE;
	ib->w = w;
	ib->pid = getpid();
	ib->maxsize = MAX_IMSGSIZE;
	ib->fd = fd;
	return 0;
}

/* Drop all that came in, for good. */
static void
clear_input(struct msgbuf *w)
{
	free_queue(&w->in);
	ibuf_free(w->part);
	w->part = NULL;
	w->hdrlen = 0;
	close_fd(&w->hdrfd);
}

void
imsgbuf_clear(struct imsgbuf *ib)
{
	struct msgbuf	*w = ib->w;

	if (w == NULL)
		return;
	free_queue(&w->out);
	clear_input(w);
	freezero(w, sizeof(*w));
	ib->w = NULL;
}

void
imsgbuf_allow_fdpass(struct imsgbuf *ib)
{
	ib->flags |= ALLOW_FDPASS;
}

int
imsgbuf_set_maxsize(struct imsgbuf *ib, uint32_t max)
{
	if (max > UINT32_MAX - IMSG_HEADER_SIZE) {
		errno = ERANGE;
		return -1;
	}
	max += (uint32_t)IMSG_HEADER_SIZE;
	if (max & FD_MARK) {
		errno = EINVAL;
		return -1;
	}
	ib->maxsize = max;
	return 0;
}

uint32_t
imsgbuf_queuelen(struct imsgbuf *ib)
{
	return ib->w->outlen;
}

size_t
imsgbuf_queuebytes(struct imsgbuf *ib)
{
	return ib->w->outbytes;
}

void
imsgbuf_set_queuemax(struct imsgbuf *ib, size_t max)
{
	ib->w->outmax = max;
}

unsigned
imsgbuf_fdlost(struct imsgbuf *ib)
{
	return ib->w->lost;
}

/* ------------------------------------------------------------- writing */

static void
sent(struct msgbuf *w, size_t n)
{
	struct ibuf	*b;
	size_t		 len;

	w->outbytes -= n;
	while ((b = TAILQ_FIRST(&w->out)) != NULL && n > 0) {
		/* The first byte took the descriptor with it. */
		close_fd(&b->fd);
		if ((len = ibuf_size(b)) > n) {
			b->rpos += n;
			return;
		}
		n -= len;
		TAILQ_REMOVE(&w->out, b, entry);
		w->outlen--;
		ibuf_free(b);
	}
}

int
imsgbuf_write(struct imsgbuf *ib)
{
	struct msgbuf	*w = ib->w;
	struct iovec	 iov[WRITE_IOV];
	struct msghdr	 msg;
	struct cmsghdr	*cmsg;
	struct ibuf	*b;
	union {
		struct cmsghdr	hdr;
		unsigned char	buf[CMSG_SPACE(sizeof(int))];
	}		 ctl;
	size_t		 niov = 0;
	ssize_t		 n;

	TAILQ_FOREACH(b, &w->out, entry) {
		/* A descriptor travels with the first byte of a send. */
		if (niov == WRITE_IOV || (niov > 0 && b->fd >= 0))
			break;
		iov[niov].iov_base = ibuf_data(b);
		iov[niov++].iov_len = ibuf_size(b);
	}
	if (niov == 0)
		return 0;
	b = TAILQ_FIRST(&w->out);
	if (b->fd >= 0) {
		memset(&msg, 0, sizeof(msg));
		memset(&ctl, 0, sizeof(ctl));
		msg.msg_iov = iov;
		msg.msg_iovlen = niov;
		msg.msg_control = ctl.buf;
		msg.msg_controllen = CMSG_SPACE(sizeof(int));
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_len = CMSG_LEN(sizeof(int));
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		memcpy(CMSG_DATA(cmsg), &b->fd, sizeof(int));
	}
	/* Who passes no descriptors may be forbidden sendmsg(2). */
	do {
		if (b->fd >= 0)
			n = sendmsg(ib->fd, &msg, MSG_NOSIGNAL);
		else
			n = writev(ib->fd, iov, (int)niov);
	} while (n == -1 && errno == EINTR);
	if (n == -1) {
		/* Linux: too many descriptors in flight, until some arrive. */
		if (errno == EAGAIN || errno == ENOBUFS ||
		    errno == ETOOMANYREFS)
			return 0;
		return -1;
	}
	sent(w, (size_t)n);
	return 0;
}

int
imsgbuf_flush(struct imsgbuf *ib)
{
	struct pollfd	 pfd;
	size_t		 before;

	while ((before = ib->w->outbytes) > 0) {
		if (imsgbuf_write(ib) == -1)
			return -1;
		if (ib->w->outbytes != before)
			continue;
		pfd.fd = ib->fd;
		pfd.events = POLLOUT;
		if (poll(&pfd, 1, 100) == -1 && errno != EINTR)
			return -1;
	}
	return 0;
}

/* ------------------------------------------------------------- reading */

/*
 * Linux glues bytes that were sent earlier to the first bytes of a send that
 * carries a descriptor, but ends the receive with that send.  So one receive
 * brings at most one descriptor, and it belongs to the last header that
 * began in these bytes, complete or not.  The sender marks that header.
 *
 *	... | header A | payload A | header B (marked) | payl
 *	    `--- sent earlier -----+--- sent with the descriptor
 *	receive 1: ........................]             B complete: claims it
 *	receive 1: ..................]                   B cut: hdrfd waits
 *	receive 2:                    [...               B complete: claims it
 *	receive 2 may bring the next descriptor: it belongs behind B.
 */

/*
 * A header is complete: start its message, or NULL with errno.  *fd is what
 * this receive brought.
 */
static struct ibuf *
begin_message(struct imsgbuf *ib, int *fd)
{
	struct msgbuf	*w = ib->w;
	struct imsg_hdr	 hdr;
	struct ibuf	*b;
	int		*mine = NULL;

	memcpy(&hdr, w->hdr, sizeof(hdr));
	if (hdr.len & FD_MARK) {
		hdr.len &= ~FD_MARK;
		/* One that came with the header's first part goes first. */
		mine = w->hdrfd != FD_NONE ? &w->hdrfd : fd;
	} else if (w->hdrfd != FD_NONE) {
		errno = EBADMSG;
		return NULL;
	}
	if (hdr.len < IMSG_HEADER_SIZE || hdr.len > ib->maxsize) {
		errno = ERANGE;
		return NULL;
	}
	/* Grows as the bytes come, not by what the peer says. */
	if ((b = ibuf_dynamic(IMSG_HEADER_SIZE, hdr.len)) == NULL)
		return NULL;
	if (ibuf_add(b, &hdr, sizeof(hdr)) == -1) {
		ibuf_free(b);
		return NULL;
	}
	w->partlen = hdr.len;
	w->hdrlen = 0;
	if (mine != NULL) {
		if (*mine == FD_LOST)
			w->lost++;
		ibuf_fd_set(b, *mine);
		*mine = FD_NONE;
	}
	return b;
}

/* Cut what was received into messages. */
static int
parse(struct imsgbuf *ib, size_t len, int *fd)
{
	struct msgbuf	*w = ib->w;
	size_t		 pos = 0, n;

	while (pos < len) {
		if (w->part == NULL) {
			n = IMSG_HEADER_SIZE - w->hdrlen;
			if (n > len - pos)
				n = len - pos;
			memcpy(w->hdr + w->hdrlen, w->rbuf + pos, n);
			w->hdrlen += n;
			pos += n;
			if (w->hdrlen < IMSG_HEADER_SIZE)
				break;
			if ((w->part = begin_message(ib, fd)) == NULL)
				return -1;
		}
		n = w->partlen - w->part->wpos;
		if (n > len - pos)
			n = len - pos;
		if (ibuf_add(w->part, w->rbuf + pos, n) == -1)
			return -1;
		pos += n;
		if (w->part->wpos == w->partlen) {
			TAILQ_INSERT_TAIL(&w->in, w->part, entry);
			w->part = NULL;
		}
	}
	if (*fd == FD_NONE)
		return 0;
	if (w->hdrlen > 0) {
		if (w->hdrfd != FD_NONE) {	/* two for one header */
			errno = EBADMSG;
			return -1;
		}
		w->hdrfd = *fd;
		*fd = FD_NONE;
		return 0;
	}
	/* Nobody's.  A peer that does not mark, or no longer honest. */
	close_fd(fd);
	return 0;
}

/* Take the descriptors out of a receive; all but one are an error. */
static int
take_fds(struct msghdr *msg, int *fd)
{
	struct cmsghdr	*cmsg;
	size_t		 i, n;
	int		 got, extra = 0;

	for (cmsg = CMSG_FIRSTHDR(msg); cmsg != NULL;
	    cmsg = CMSG_NXTHDR(msg, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET ||
		    cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < n; i++) {
			memcpy(&got, CMSG_DATA(cmsg) + i * sizeof(int),
			    sizeof(int));
			if (*fd == FD_NONE) {
				*fd = got;
				if (MSG_CMSG_CLOEXEC == 0)
					fcntl(got, F_SETFD, FD_CLOEXEC);
			} else {
				close(got);
				extra = 1;
			}
		}
	}
	if (extra) {
		errno = EBADMSG;
		return -1;
	}
	if (*fd == FD_NONE && (msg->msg_flags & MSG_CTRUNC))
		*fd = FD_LOST;
	return 0;
}

static ssize_t
receive(struct imsgbuf *ib, struct msghdr *msg, void *ctl, size_t ctllen)
{
	ssize_t	 n;
	int	 lost = 0;

	for (;;) {
		msg->msg_control = lost ? NULL : ctl;
		msg->msg_controllen = lost ? 0 : ctllen;
		msg->msg_flags = 0;
		n = recvmsg(ib->fd, msg, MSG_CMSG_CLOEXEC);
		if (n == -1 && errno == ENOTSOCK) {
			msg->msg_controllen = 0;
			n = readv(ib->fd, msg->msg_iov, 1);
		}
		if (n == -1 && errno == EINTR)
			continue;
		/* BSD, no slot free: the message is still there. */
		if (n == -1 && errno == EMSGSIZE && ctllen > 0 && !lost) {
			lost = 1;
			continue;
		}
		if (n > 0 && lost)
			msg->msg_flags |= MSG_CTRUNC;
		return n;
	}
}

int
imsgbuf_read(struct imsgbuf *ib)
{
	struct msgbuf	*w = ib->w;
	struct msghdr	 msg;
	struct iovec	 iov;
	union {
		struct cmsghdr	hdr;
		unsigned char	buf[CMSG_SPACE(sizeof(int))];
	}		 ctl;
	ssize_t		 n;
	int		 fd = FD_NONE;

	if (w->error != 0) {
		errno = w->error;
		return -1;
	}
	memset(&msg, 0, sizeof(msg));
	memset(&ctl, 0, sizeof(ctl));
	iov.iov_base = w->rbuf;
	iov.iov_len = sizeof(w->rbuf);
	msg.msg_iov = &iov;
	msg.msg_iovlen = 1;
	n = receive(ib, &msg, ctl.buf,
	    ib->flags & ALLOW_FDPASS ? sizeof(ctl.buf) : 0);
	if (n == -1)
		return errno == EAGAIN ? 1 : -1;
	if (n == 0)
		return 0;
	if ((ib->flags & ALLOW_FDPASS && take_fds(&msg, &fd) == -1) ||
	    parse(ib, (size_t)n, &fd) == -1) {
		w->error = errno;
		close_fd(&fd);
		clear_input(w);
		errno = w->error;
		return -1;
	}
	return 1;
}

int
imsgbuf_get(struct imsgbuf *ib, struct imsg *m)
{
	struct msgbuf	*w = ib->w;
	struct ibuf	*b;

	memset(m, 0, sizeof(*m));
	if (w->error != 0) {
		errno = w->error;
		return -1;
	}
	if ((b = TAILQ_FIRST(&w->in)) == NULL)
		return 0;
	TAILQ_REMOVE(&w->in, b, entry);
	if (ibuf_get(b, &m->hdr, sizeof(m->hdr)) == -1) {
		ibuf_free(b);
		return -1;
	}
	m->buf = b;
	m->data = ibuf_size(b) > 0 ? ibuf_data(b) : NULL;
	return 1;
}

/* -------------------------------------------------------- messages out */

struct ibuf *
imsg_create(struct imsgbuf *ib, uint32_t type, uint32_t id, pid_t pid,
    size_t len)
{
	struct imsg_hdr	 hdr;
	struct ibuf	*b;

	if (len > ib->maxsize - IMSG_HEADER_SIZE) {
		errno = ERANGE;
		return NULL;
	}
	len += IMSG_HEADER_SIZE;
	if (ib->w->outbytes > ib->w->outmax ||
	    len > ib->w->outmax - ib->w->outbytes) {
		errno = ENOBUFS;
		return NULL;
	}
	memset(&hdr, 0, sizeof(hdr));
	hdr.type = type;
	hdr.peerid = id;
	hdr.pid = (uint32_t)(pid != 0 ? pid : ib->pid);
	if ((b = ibuf_dynamic(len, ib->maxsize)) == NULL)
		return NULL;
	if (ibuf_add(b, &hdr, sizeof(hdr)) == -1) {
		ibuf_free(b);
		return NULL;
	}
	return b;
}

int
imsg_add(struct ibuf *b, const void *data, size_t len)
{
	if (ibuf_add(b, data, len) == -1) {
		ibuf_free(b);
		return -1;
	}
	return (int)len;
}

void
imsg_close(struct imsgbuf *ib, struct ibuf *b)
{
	struct imsg_hdr	 hdr;

	/* Sending it unmarked would be wrong, sending it is not allowed. */
	if (!(ib->flags & ALLOW_FDPASS))
		close_fd(&b->fd);
	b->rpos = 0;
	memcpy(&hdr, b->buf, sizeof(hdr));
	hdr.len = (uint32_t)b->wpos;
	if (ibuf_fd_avail(b))
		hdr.len |= FD_MARK;
	memcpy(b->buf, &hdr, sizeof(hdr));
	TAILQ_INSERT_TAIL(&ib->w->out, b, entry);
	ib->w->outlen++;
	ib->w->outbytes += b->wpos;
}

int
imsg_composev(struct imsgbuf *ib, uint32_t type, uint32_t id, pid_t pid,
    int fd, const struct iovec *iov, int iovcnt)
{
	struct ibuf	*b;
	size_t		 len = 0;
	int		 i;

	for (i = 0; i < iovcnt; i++) {
		if (iov[i].iov_len > SIZE_MAX - len) {
			errno = ERANGE;
			return -1;
		}
		len += iov[i].iov_len;
	}
	if ((b = imsg_create(ib, type, id, pid, len)) == NULL)
		return -1;
	for (i = 0; i < iovcnt; i++)
		if (imsg_add(b, iov[i].iov_base, iov[i].iov_len) == -1)
			return -1;
	ibuf_fd_set(b, fd);
	imsg_close(ib, b);
	return 1;
}

int
imsg_compose(struct imsgbuf *ib, uint32_t type, uint32_t id, pid_t pid,
    int fd, const void *data, size_t len)
{
	struct ibuf	*b;

	if ((b = imsg_create(ib, type, id, pid, len)) == NULL)
		return -1;
	if (imsg_add(b, data, len) == -1)
		return -1;
	ibuf_fd_set(b, fd);
	imsg_close(ib, b);
	return 1;
}

int
imsg_compose_ibuf(struct imsgbuf *ib, uint32_t type, uint32_t id, pid_t pid,
    struct ibuf *body)
{
	int	 r;

	r = imsg_compose(ib, type, id, pid, -1, ibuf_data(body),
	    ibuf_size(body));
	ibuf_free(body);
	return r;
}

int
imsg_forward(struct imsgbuf *ib, struct imsg *m)
{
	ibuf_rewind(m->buf);
	if (ibuf_skip(m->buf, IMSG_HEADER_SIZE) == -1)
		return -1;
	return imsg_compose(ib, m->hdr.type, m->hdr.peerid,
	    (pid_t)m->hdr.pid, -1, ibuf_data(m->buf), ibuf_size(m->buf));
}

void
imsg_free(struct imsg *m)
{
	ibuf_free(m->buf);
	m->buf = NULL;
	m->data = NULL;
}

/* --------------------------------------------------------- messages in */

uint32_t
imsg_get_type(struct imsg *m)
{
	return m->hdr.type;
}

uint32_t
imsg_get_id(struct imsg *m)
{
	return m->hdr.peerid;
}

pid_t
imsg_get_pid(struct imsg *m)
{
	return (pid_t)m->hdr.pid;
}

size_t
imsg_get_len(struct imsg *m)
{
	return m->buf == NULL ? 0 : ibuf_size(m->buf);
}

int
imsg_get_data(struct imsg *m, void *data, size_t len)
{
	if (len == 0) {
		errno = EINVAL;
		return -1;
	}
	if (ibuf_size(m->buf) != len) {
		errno = EBADMSG;
		return -1;
	}
	return ibuf_get(m->buf, data, len);
}

int
imsg_get_buf(struct imsg *m, void *data, size_t len)
{
	return ibuf_get(m->buf, data, len);
}

int
imsg_get_strbuf(struct imsg *m, char *str, size_t len)
{
	return ibuf_get_strbuf(m->buf, str, len);
}

int
imsg_get_ibuf(struct imsg *m, struct ibuf *view)
{
	if (ibuf_size(m->buf) == 0) {
		errno = EBADMSG;
		return -1;
	}
	return ibuf_get_ibuf(m->buf, ibuf_size(m->buf), view);
}

int
imsg_get_fd(struct imsg *m)
{
	return ibuf_fd_get(m->buf);
}
