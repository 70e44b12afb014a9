/* SPDX-License-Identifier: ISC */

/*
 * imsg.h: OpenBSD's imsg API (as of 7.8) for systems without it; our own
 * code behind the same names.  Treat all members as private, so that users
 * compile unchanged against the system's <imsg.h>.
 *
 * What differs inside, on purpose:
 * - A descriptor that arrives with only a part of its message's header is
 *   kept until the header is complete.
 * - Received descriptors are close-on-exec.
 * - Messages without a descriptor are sent by writev(2): who writes ignores
 *   SIGPIPE.
 * - A framing error is final: from then on imsgbuf_read() and imsgbuf_get()
 *   return -1 with the same errno, and what was queued is gone.
 * - A process that is out of descriptors gets the message without its
 *   descriptor: imsg_get_fd() returns -1, as if none had been sent, the
 *   channel lives on, and imsgbuf_fdlost() counts it.  Who needs the
 *   descriptor must check for -1 anyway; ending the channel instead would
 *   let a moment's shortage cost every session behind it.
 * - The queue is bounded: imsgbuf_queuebytes(), imsgbuf_set_queuemax().
 */
#ifndef COMPAT_IMSG_H
#define COMPAT_IMSG_H

#include "compat.h"

#if HAVE_IMSG

#include_next <imsg.h>

/* Our extensions; the system's queue is bounded by the caller's counting. */
#define imsgbuf_queuebytes(b)						\
	((size_t)imsgbuf_queuelen(b) * MAX_IMSGSIZE)
#define imsgbuf_set_queuemax(b, n)	((void)(b), (void)(n))
#define imsgbuf_fdlost(b)		((void)(b), 0U)

#else

#include <sys/types.h>
#include <sys/queue.h>

#include <stddef.h>
#include <stdint.h>

#define IMSG_HEADER_SIZE	sizeof(struct imsg_hdr)
#define MAX_IMSGSIZE		16384	/* default maximum, with the header */
#define IMSG_QUEUE_MAX		(32U * 1024 * 1024)	/* default, bytes */

/* A buffer: [0, rpos) read, [rpos, wpos) unread, room up to max. */
struct ibuf {
	TAILQ_ENTRY(ibuf) entry;
	unsigned char	*buf;
	size_t		 size;		/* allocated */
	size_t		 max;		/* may grow to this */
	size_t		 wpos;
	size_t		 rpos;
	int		 fd;		/* owned; -1: none; -2: a view */
};

struct msgbuf;

struct imsgbuf {
	struct msgbuf	*w;
	pid_t		 pid;
	uint32_t	 maxsize;	/* with the header */
	int		 fd;		/* not owned */
	int		 flags;
};

struct imsg_hdr {
	uint32_t	 type;
	uint32_t	 len;		/* with the header; top bit: has fd */
	uint32_t	 peerid;
	uint32_t	 pid;
};

struct imsg {
	struct imsg_hdr	 hdr;
	void		*data;
	struct ibuf	*buf;
};

struct iovec;

/*
 * Buffers.  Unless said otherwise: 0, or -1 with errno: ERANGE beyond the
 * maximum, EINVAL a value that does not fit or growth of a view, EBADMSG
 * fewer bytes there than asked for (nothing is consumed then).  n is network
 * byte order, h the host's.  Views (ibuf_from_buffer() and the get_ibuf
 * family) are structs of the caller that borrow their bytes; freeing one or
 * giving it a descriptor is a bug and aborts.
 */
struct ibuf *ibuf_open(size_t);			/* fixed size; NULL */
struct ibuf *ibuf_dynamic(size_t, size_t);	/* first size, max; NULL */
int	 ibuf_add(struct ibuf *, const void *, size_t);
int	 ibuf_add_ibuf(struct ibuf *, const struct ibuf *);
int	 ibuf_add_zero(struct ibuf *, size_t);
int	 ibuf_add_n8(struct ibuf *, uint64_t);
int	 ibuf_add_n16(struct ibuf *, uint64_t);
int	 ibuf_add_n32(struct ibuf *, uint64_t);
int	 ibuf_add_n64(struct ibuf *, uint64_t);
int	 ibuf_add_h16(struct ibuf *, uint64_t);
int	 ibuf_add_h32(struct ibuf *, uint64_t);
int	 ibuf_add_h64(struct ibuf *, uint64_t);
/* A field of exactly len bytes: text, then NULs.  EOVERFLOW: too long. */
int	 ibuf_add_strbuf(struct ibuf *, const char *, size_t);
void	*ibuf_reserve(struct ibuf *, size_t);	/* NULL; bytes are zero */
/* len bytes at pos of the unread part; NULL and ERANGE when outside. */
void	*ibuf_seek(struct ibuf *, size_t pos, size_t len);
int	 ibuf_set(struct ibuf *, size_t pos, const void *, size_t);
int	 ibuf_set_n8(struct ibuf *, size_t, uint64_t);
int	 ibuf_set_n16(struct ibuf *, size_t, uint64_t);
int	 ibuf_set_n32(struct ibuf *, size_t, uint64_t);
int	 ibuf_set_n64(struct ibuf *, size_t, uint64_t);
int	 ibuf_set_h16(struct ibuf *, size_t, uint64_t);
int	 ibuf_set_h32(struct ibuf *, size_t, uint64_t);
int	 ibuf_set_h64(struct ibuf *, size_t, uint64_t);
void	*ibuf_data(const struct ibuf *);	/* the unread part */
size_t	 ibuf_size(const struct ibuf *);	/* bytes unread */
size_t	 ibuf_left(const struct ibuf *);	/* room */
/* Make the unread part len bytes long; zeros are added when it is shorter. */
int	 ibuf_truncate(struct ibuf *, size_t len);
void	 ibuf_rewind(struct ibuf *);
void	 ibuf_from_buffer(struct ibuf *, void *, size_t);
void	 ibuf_from_ibuf(struct ibuf *, const struct ibuf *);
int	 ibuf_get(struct ibuf *, void *, size_t);
int	 ibuf_get_ibuf(struct ibuf *, size_t, struct ibuf *);
int	 ibuf_get_n8(struct ibuf *, uint8_t *);
int	 ibuf_get_n16(struct ibuf *, uint16_t *);
int	 ibuf_get_n32(struct ibuf *, uint32_t *);
int	 ibuf_get_n64(struct ibuf *, uint64_t *);
int	 ibuf_get_h16(struct ibuf *, uint16_t *);
int	 ibuf_get_h32(struct ibuf *, uint32_t *);
int	 ibuf_get_h64(struct ibuf *, uint64_t *);
char	*ibuf_get_string(struct ibuf *, size_t);	/* malloc'd; NULL */
/* A field of exactly len bytes; EOVERFLOW without NUL; the tail is zeroed. */
int	 ibuf_get_strbuf(struct ibuf *, char *, size_t len);
int	 ibuf_skip(struct ibuf *, size_t);
void	 ibuf_free(struct ibuf *);	/* keeps errno; wipes; closes its fd */
int	 ibuf_fd_avail(struct ibuf *);
int	 ibuf_fd_get(struct ibuf *);	/* the caller's from then on; -1 */
void	 ibuf_fd_set(struct ibuf *, int);	/* takes it; closes an older */

/*
 * Channels.  The descriptor is never closed here.
 */
int	 imsgbuf_init(struct imsgbuf *, int);		/* 0, -1 */
void	 imsgbuf_clear(struct imsgbuf *);		/* again is harmless */
void	 imsgbuf_allow_fdpass(struct imsgbuf *);
/* Longest payload, the same at both ends.  0, or -1 ERANGE, EINVAL. */
int	 imsgbuf_set_maxsize(struct imsgbuf *, uint32_t);
/*
 * One receive.  1: look with imsgbuf_get() (also when nothing was there to
 * read); 0: closed; -1: error; ERANGE a length out of bounds, EBADMSG a
 * descriptor that belongs to no message: both final.
 */
int	 imsgbuf_read(struct imsgbuf *);
/* 1: a message, to be imsg_free()d; 0: none complete; -1: see above. */
int	 imsgbuf_get(struct imsgbuf *, struct imsg *);
/*
 * One send.  0, also when the socket is full or too many descriptors are on
 * their way already; -1: error (EPIPE: the peer is gone).
 */
int	 imsgbuf_write(struct imsgbuf *);
/* All of it, waiting: not for an event loop.  0, -1. */
int	 imsgbuf_flush(struct imsgbuf *);
uint32_t imsgbuf_queuelen(struct imsgbuf *);		/* messages */
/* Our extensions. */
size_t	 imsgbuf_queuebytes(struct imsgbuf *);		/* bytes not sent */
void	 imsgbuf_set_queuemax(struct imsgbuf *, size_t);	/* bytes */
unsigned imsgbuf_fdlost(struct imsgbuf *);	/* descriptors, since init */

/*
 * Messages out.  1, or -1 with errno: ERANGE above the maximum, ENOBUFS the
 * queue is full, ENOMEM.  After 1 the descriptor (or -1) is the queue's,
 * which closes it when sent; after -1 it is still the caller's.  pid 0 means
 * our own.
 */
int	 imsg_compose(struct imsgbuf *, uint32_t type, uint32_t id, pid_t,
	    int fd, const void *, size_t);
int	 imsg_composev(struct imsgbuf *, uint32_t type, uint32_t id, pid_t,
	    int fd, const struct iovec *, int);
/* The unread part of a buffer, which is freed in every case. */
int	 imsg_compose_ibuf(struct imsgbuf *, uint32_t type, uint32_t id, pid_t,
	    struct ibuf *);
/*
 * Step by step: create (NULL on failure; len is the expected payload), add
 * (datalen, or -1 and the message is freed) or any ibuf_add function, close.
 */
struct ibuf *imsg_create(struct imsgbuf *, uint32_t type, uint32_t id, pid_t,
	    size_t len);
int	 imsg_add(struct ibuf *, const void *, size_t datalen);
void	 imsg_close(struct imsgbuf *, struct ibuf *);
/* The whole message, without descriptor, onto another channel. */
int	 imsg_forward(struct imsgbuf *, struct imsg *);
void	 imsg_free(struct imsg *);

/*
 * Messages in.  get_data wants exactly all that is left (EBADMSG), get_buf a
 * part of it; both -1 on failure.  get_fd gives the descriptor away, once.
 */
uint32_t imsg_get_type(struct imsg *);
uint32_t imsg_get_id(struct imsg *);
pid_t	 imsg_get_pid(struct imsg *);
size_t	 imsg_get_len(struct imsg *);		/* payload not yet read */
int	 imsg_get_data(struct imsg *, void *, size_t);
int	 imsg_get_buf(struct imsg *, void *, size_t);
int	 imsg_get_strbuf(struct imsg *, char *, size_t);
int	 imsg_get_ibuf(struct imsg *, struct ibuf *);	/* EBADMSG: empty */
int	 imsg_get_fd(struct imsg *);

#endif /* HAVE_IMSG */

#endif /* COMPAT_IMSG_H */
