/* SPDX-License-Identifier: ISC */

/* imsg_pair.h: two ends of a channel for the tests of compat/imsg. */
#ifndef IMSG_PAIR_H
#define IMSG_PAIR_H

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <errno.h>
#include <fcntl.h>
#include <imsg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HDR		16
#define MARK		0x80000000U

/* Two ends of a socketpair, non-blocking, a may pass descriptors to b. */
struct pair {
	struct imsgbuf	 a, b;
	int		 fd[2];
};

static inline unsigned
open_fds(void)
{
	unsigned	 n = 0;
	int		 fd;

	for (fd = 0; fd < 1024; fd++)
		if (fcntl(fd, F_GETFD) != -1)
			n++;
	return n;
}

static unsigned	 fds_before;

static inline int
setup(void **state)
{
	struct pair	*p;

	fds_before = open_fds();
	if ((p = calloc(1, sizeof(*p))) == NULL)
		return -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, p->fd) == -1)
		return -1;
	if (imsgbuf_init(&p->a, p->fd[0]) == -1 ||
	    imsgbuf_init(&p->b, p->fd[1]) == -1)
		return -1;
	imsgbuf_allow_fdpass(&p->a);
	imsgbuf_allow_fdpass(&p->b);
	*state = p;
	return 0;
}

/* Every test must give back every descriptor. */
static inline int
teardown(void **state)
{
	struct pair	*p = *state;
	unsigned	 now;

	imsgbuf_clear(&p->a);
	imsgbuf_clear(&p->b);
	imsgbuf_clear(&p->b);			/* again is harmless */
	if (p->fd[0] != -1)
		close(p->fd[0]);
	if (p->fd[1] != -1)
		close(p->fd[1]);
	free(p);
	if ((now = open_fds()) != fds_before) {
		print_error("%u descriptors before, %u after\n", fds_before,
		    now);
		return -1;
	}
	return 0;
}

/* A descriptor that can be told from others: its file holds n. */
static inline int
token(int n)
{
	char	 path[] = "/tmp/imsg_test.XXXXXXXXXX";
	int	 fd;

	fd = mkstemp(path);
	assert_int_not_equal(fd, -1);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(write(fd, &n, sizeof(n)), sizeof(n));
	return fd;
}

static inline void
check_token(int fd, int n)
{
	int	 got = -1;

	assert_int_not_equal(fd, -1);
	assert_int_equal(pread(fd, &got, sizeof(got), 0), sizeof(got));
	assert_int_equal(got, n);
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	close(fd);
}

static inline void
raw_header(unsigned char *buf, uint32_t type, uint32_t len)
{
	uint32_t	 h[4] = { type, len, 0, 1 };

	memcpy(buf, h, sizeof(h));
}

/* The next message; it must be of this type, with this many bytes. */
static inline void
expect(struct imsgbuf *b, struct imsg *m, uint32_t type, size_t len)
{
	assert_int_equal(imsgbuf_get(b, m), 1);
	assert_int_equal(imsg_get_type(m), type);
	assert_int_equal(imsg_get_len(m), len);
	if (len == 0)
		assert_null(m->data);
}

static inline void
expect_fd(struct imsgbuf *b, uint32_t type, size_t len, int n)
{
	struct imsg	 m;

	expect(b, &m, type, len);
	check_token(imsg_get_fd(&m), n);
	assert_int_equal(imsg_get_fd(&m), -1);	/* once */
	imsg_free(&m);
}

/* Send raw bytes, with up to two descriptors. */
static inline void
raw_send(int s, const void *buf, size_t len, const int *fds, size_t nfds)
{
	struct msghdr	 msg;
	struct iovec	 iov;
	struct cmsghdr	*cmsg;
	union {
		struct cmsghdr	h;
		unsigned char	buf[CMSG_SPACE(2 * sizeof(int))];
	}		 ctl;

	memset(&msg, 0, sizeof(msg));
	memset(&ctl, 0, sizeof(ctl));
	iov.iov_base = (void *)(uintptr_t)buf;
	iov.iov_len = len;
	msg.msg_iov = &iov;
	msg.msg_iovlen = 1;
	if (nfds > 0) {
		msg.msg_control = &ctl;
		msg.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(cmsg), fds, nfds * sizeof(int));
	}
	assert_int_equal(sendmsg(s, &msg, MSG_NOSIGNAL), len);
}

static inline void
check_final(struct pair *p, int error)
{
	struct imsg	 m;
	int		 i;

	assert_int_equal(imsgbuf_read(&p->b), -1);
	assert_int_equal(errno, error);
	/* Good bytes behind do not heal it, good messages before are gone. */
	assert_int_equal(imsg_compose(&p->a, 1, 0, 0, -1, "x", 1), 1);
	assert_int_equal(imsgbuf_write(&p->a), 0);
	for (i = 0; i < 3; i++) {
		errno = 0;
		assert_int_equal(imsgbuf_read(&p->b), -1);
		assert_int_equal(errno, error);
		errno = 0;
		assert_int_equal(imsgbuf_get(&p->b, &m), -1);
		assert_int_equal(errno, error);
	}
}

#define T(name)	cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

#endif /* IMSG_PAIR_H */
