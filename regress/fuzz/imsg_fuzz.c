/* SPDX-License-Identifier: ISC */
/* imsg_fuzz.c: any bytes, with descriptors among them, as a channel's stream. */
/* LINK: regress/fuzz/replay.c compat/imsg.c compat/imsg_buffer.c */

#include "compat.h"

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <errno.h>
#include <fcntl.h>
#include <imsg.h>
#include <stdbool.h>
#include <unistd.h>

#include "fuzz.h"

#define INPUT_MAX	16384		/* goes into a socket at once */
#define MESSAGES_MAX	(INPUT_MAX / 16)

struct got {
	unsigned	 n;
	int		 error;		/* errno, 0: none */
	struct {
		uint32_t	 type, id;
		pid_t		 pid;
		size_t		 len;
		uint32_t	 sum;
	}		 m[MESSAGES_MAX];
};

static int
lowest(void)
{
	int	 fd = dup(STDERR_FILENO);

	CHECK(fd != -1);
	close(fd);
	return (fd);
}

static void
give(int s, const uint8_t *p, size_t len, int fd)
{
	struct msghdr	 msg;
	struct iovec	 iov;
	struct cmsghdr	*cmsg;
	union {
		struct cmsghdr	h;
		unsigned char	buf[CMSG_SPACE(sizeof(int))];
	}		 ctl;

	memset(&msg, 0, sizeof(msg));
	memset(&ctl, 0, sizeof(ctl));
	iov.iov_base = (void *)(uintptr_t)p;
	iov.iov_len = len;
	msg.msg_iov = &iov;
	msg.msg_iovlen = 1;
	if (fd != -1) {
		msg.msg_control = &ctl;
		msg.msg_controllen = CMSG_SPACE(sizeof(int));
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
	}
	CHECK(sendmsg(s, &msg, MSG_NOSIGNAL) == (ssize_t)len);
}

/* Take what is there; false after an error. */
static bool
take(struct imsgbuf *b, struct got *g)
{
	struct imsg	 m;
	struct ibuf	 view;
	int		 r, fd;

	while ((r = imsgbuf_get(b, &m)) == 1) {
		CHECK(g->n < MESSAGES_MAX);
		g->m[g->n].type = imsg_get_type(&m);
		g->m[g->n].id = imsg_get_id(&m);
		g->m[g->n].pid = imsg_get_pid(&m);
		g->m[g->n].len = imsg_get_len(&m);
		g->m[g->n].sum = 0;
		if (imsg_get_ibuf(&m, &view) == 0) {
			CHECK(ibuf_size(&view) == g->m[g->n].len);
			g->m[g->n].sum = fuzz_seed(ibuf_data(&view),
			    ibuf_size(&view));
		} else
			CHECK(imsg_get_len(&m) == 0);
		g->n++;
		if ((fd = imsg_get_fd(&m)) != -1) {
			CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
			close(fd);
		}
		imsg_free(&m);
	}
	if (r == -1)
		g->error = errno;
	return (r == 0);
}

/*
 * Feed data in pieces (seed 0: in one); every piece may bring a descriptor.
 * The stream ends, and whatever was open is closed at the end.
 */
static void
feed(const uint8_t *data, size_t size, uint32_t seed, bool fds, struct got *g)
{
	struct imsgbuf	 in;
	int		 sv[2], before = lowest(), r;
	size_t		 n;
	bool		 good = true;

	g->n = 0;
	g->error = 0;
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    0, sv) == 0);
	CHECK(imsgbuf_init(&in, sv[1]) == 0);
	imsgbuf_allow_fdpass(&in);
	for (; size > 0 && good; data += n, size -= n) {
		n = seed == 0 ? size : fuzz_piece(&seed, size);
		give(sv[0], data, n, fds && fuzz_rnd(&seed, 3) == 0 ?
		    STDERR_FILENO : -1);
		if (imsgbuf_read(&in) == -1) {
			g->error = errno;
			good = false;
		} else
			good = take(&in, g);
	}
	close(sv[0]);
	if (good) {
		while ((r = imsgbuf_read(&in)) == 1)
			continue;
		CHECK(r == 0 && take(&in, g));
	} else {
		/* It stays broken. */
		CHECK(imsgbuf_read(&in) == -1 && errno == g->error);
	}
	imsgbuf_clear(&in);
	close(sv[1]);
	CHECK(lowest() == before);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct got	 whole, pieces;
	uint32_t		 seed = fuzz_seed(data, size);

	if (size > INPUT_MAX)
		return (0);
	feed(data, size, 0, false, &whole);
	feed(data, size, seed, false, &pieces);
	/* Messages read together with a framing error are gone with it. */
	CHECK(whole.error == pieces.error);
	CHECK(whole.error == 0 ? whole.n == pieces.n : whole.n <= pieces.n);
	CHECK(memcmp(whole.m, pieces.m, whole.n * sizeof(whole.m[0])) == 0);
	/* Descriptors that come with the wrong bytes may end it earlier. */
	feed(data, size, seed, true, &pieces);
	CHECK(pieces.error == 0 || pieces.error == ERANGE ||
	    pieces.error == EBADMSG);
	return (0);
}
