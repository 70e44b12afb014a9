/* SPDX-License-Identifier: ISC */
/* imsg_test.c: compat/imsg: framing, descriptors, bounds, errors. */
/* LINK: compat/imsg.c compat/imsg_buffer.c */

#include "compat.h"

#include <sys/types.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <imsg.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define HDR		16
#define MARK		0x80000000U
#define RBUF		65535		/* what one read takes */

/* Two ends of a socketpair, non-blocking, a may pass descriptors to b. */
struct pair {
	struct imsgbuf	 a, b;
	int		 fd[2];
};

static unsigned
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

static int
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
static int
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
static int
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

static void
check_token(int fd, int n)
{
	int	 got = -1;

	assert_int_not_equal(fd, -1);
	assert_int_equal(pread(fd, &got, sizeof(got), 0), sizeof(got));
	assert_int_equal(got, n);
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	close(fd);
}

static void
raw_header(unsigned char *buf, uint32_t type, uint32_t len)
{
	uint32_t	 h[4] = { type, len, 0, 1 };

	memcpy(buf, h, sizeof(h));
}

/* The next message; it must be of this type, with this many bytes. */
static void
expect(struct imsgbuf *b, struct imsg *m, uint32_t type, size_t len)
{
	assert_int_equal(imsgbuf_get(b, m), 1);
	assert_int_equal(imsg_get_type(m), type);
	assert_int_equal(imsg_get_len(m), len);
	if (len == 0)
		assert_null(m->data);
}

static void
expect_fd(struct imsgbuf *b, uint32_t type, size_t len, int n)
{
	struct imsg	 m;

	expect(b, &m, type, len);
	check_token(imsg_get_fd(&m), n);
	assert_int_equal(imsg_get_fd(&m), -1);	/* once */
	imsg_free(&m);
}

/* Send raw bytes, with up to two descriptors. */
static void
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

/* ------------------------------------------------------------- framing */

static void
test_roundtrip(void **state)
{
	struct pair	*p = *state;
	struct imsg	 m;
	struct iovec	 iov[3];
	struct ibuf	*b, view;
	char		 text[6], c;

	assert_int_equal(imsgbuf_read(&p->b), 1);	/* EAGAIN */
	assert_int_equal(imsgbuf_get(&p->b, &m), 0);
	assert_int_equal(imsg_compose(&p->a, 7, 8, 9, -1, "hello", 6), 1);
	iov[0].iov_base = "ab";
	iov[0].iov_len = 2;
	iov[1].iov_base = NULL;
	iov[1].iov_len = 0;
	iov[2].iov_base = "c";
	iov[2].iov_len = 1;
	assert_int_equal(imsg_composev(&p->a, 10, 0, 0, -1, iov, 3), 1);
	assert_int_equal(imsg_compose(&p->a, 11, 0, 0, -1, NULL, 0), 1);
	b = ibuf_dynamic(1, 100);
	assert_non_null(b);
	assert_int_equal(ibuf_add_n16(b, 0x1234), 0);
	assert_int_equal(imsg_compose_ibuf(&p->a, 12, 0, 0, b), 1);
	assert_int_equal(imsgbuf_queuelen(&p->a), 4);
	assert_int_equal(imsgbuf_queuebytes(&p->a), 4 * HDR + 6 + 3 + 2);
	assert_int_equal(imsgbuf_write(&p->a), 0);
	assert_int_equal(imsgbuf_queuelen(&p->a), 0);
	assert_int_equal(imsgbuf_queuebytes(&p->a), 0);
	assert_int_equal(imsgbuf_write(&p->a), 0);	/* nothing: fine */

	assert_int_equal(imsgbuf_read(&p->b), 1);
	expect(&p->b, &m, 7, 6);
	assert_int_equal(imsg_get_id(&m), 8);
	assert_int_equal(imsg_get_pid(&m), 9);
	assert_int_equal(imsg_get_fd(&m), -1);
	assert_int_equal(imsg_get_data(&m, text, 0), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(imsg_get_data(&m, text, 5), -1);
	assert_int_equal(errno, EBADMSG);
	assert_int_equal(imsg_get_data(&m, text, 6), 0);
	assert_string_equal(text, "hello");
	assert_int_equal(imsg_get_len(&m), 0);
	assert_int_equal(imsg_get_ibuf(&m, &view), -1);
	assert_int_equal(errno, EBADMSG);
	imsg_free(&m);
	imsg_free(&m);				/* harmless */

	expect(&p->b, &m, 10, 3);
	assert_int_equal(imsg_get_pid(&m), getpid());
	assert_int_equal(imsg_get_buf(&m, &c, 1), 0);
	assert_int_equal(c, 'a');
	assert_int_equal(imsg_get_len(&m), 2);
	assert_int_equal(imsg_get_buf(&m, text, 3), -1);
	assert_int_equal(errno, EBADMSG);
	assert_int_equal(imsg_get_ibuf(&m, &view), 0);
	assert_int_equal(ibuf_size(&view), 2);
	assert_memory_equal(ibuf_data(&view), "bc", 2);
	imsg_free(&m);

	expect(&p->b, &m, 11, 0);
	imsg_free(&m);
	expect(&p->b, &m, 12, 2);
	imsg_free(&m);
	assert_int_equal(imsgbuf_get(&p->b, &m), 0);
}

/* The same stream, cut at every place, gives the same messages. */
static void
test_every_split(void **state)
{
	struct pair	*p = *state;
	unsigned char	 s[3 * HDR + 5 + 1];
	struct imsg	 m;
	size_t		 i, j;

	raw_header(s, 1, HDR + 5);
	memcpy(s + HDR, "12345", 5);
	raw_header(s + HDR + 5, 2, HDR);
	raw_header(s + 2 * HDR + 5, 3, HDR + 1);
	s[3 * HDR + 5] = 'x';
	for (i = 0; i <= sizeof(s); i++) {
		for (j = i; j <= sizeof(s); j++) {
			if (i > 0) {
				raw_send(p->fd[0], s, i, NULL, 0);
				assert_int_equal(imsgbuf_read(&p->b), 1);
			}
			if (j > i) {
				raw_send(p->fd[0], s + i, j - i, NULL, 0);
				assert_int_equal(imsgbuf_read(&p->b), 1);
			}
			if (j < sizeof(s)) {
				raw_send(p->fd[0], s + j, sizeof(s) - j,
				    NULL, 0);
				assert_int_equal(imsgbuf_read(&p->b), 1);
			}
			expect(&p->b, &m, 1, 5);
			assert_memory_equal(m.data, "12345", 5);
			imsg_free(&m);
			expect(&p->b, &m, 2, 0);
			imsg_free(&m);
			expect(&p->b, &m, 3, 1);
			imsg_free(&m);
			assert_int_equal(imsgbuf_get(&p->b, &m), 0);
		}
	}
}

static void
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

static void
bad_length(void **state, uint32_t len)
{
	struct pair	*p = *state;
	unsigned char	 s[2 * HDR];
	int		 fd = token(1);

	raw_header(s, 1, HDR | MARK);
	raw_header(s + HDR, 2, len);
	raw_send(p->fd[0], s, sizeof(s), &fd, 1);
	close(fd);
	check_final(p, ERANGE);
}

static void
test_too_short(void **state)
{
	bad_length(state, HDR - 1);
}

static void
test_zero_length(void **state)
{
	bad_length(state, 0);
}

static void
test_too_long(void **state)
{
	bad_length(state, MAX_IMSGSIZE + 1);
}

static void
test_huge_length(void **state)
{
	bad_length(state, MARK - 1);
}

static void
test_maxsize(void **state)
{
	struct pair	*p = *state;
	struct imsg	 m;
	char		*big;
	uint32_t	 max = 200000;

	assert_non_null(big = calloc(1, max + 1));
	big[max - 1] = 'z';
	/* The default counts the header. */
	assert_int_equal(imsg_compose(&p->a, 1, 0, 0, -1, big,
	    MAX_IMSGSIZE - HDR), 1);
	assert_int_equal(imsg_compose(&p->a, 1, 0, 0, -1, big,
	    MAX_IMSGSIZE - HDR + 1), -1);
	assert_int_equal(errno, ERANGE);
	assert_int_equal(imsgbuf_set_maxsize(&p->a, UINT32_MAX), -1);
	assert_int_equal(errno, ERANGE);
	assert_int_equal(imsgbuf_set_maxsize(&p->a, MARK - HDR), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(imsgbuf_set_maxsize(&p->a, MARK - HDR - 1), 0);
	/* Larger than one read, through a socket smaller than that. */
	assert_int_equal(imsgbuf_set_maxsize(&p->a, max), 0);
	assert_int_equal(imsgbuf_set_maxsize(&p->b, max), 0);
	assert_int_equal(imsg_compose(&p->a, 2, 0, 0, -1, big, max), 1);
	assert_int_equal(imsg_compose(&p->a, 2, 0, 0, -1, big, max + 1), -1);
	assert_int_equal(errno, ERANGE);
	while (imsgbuf_queuelen(&p->a) > 0) {
		assert_int_equal(imsgbuf_write(&p->a), 0);
		assert_int_equal(imsgbuf_read(&p->b), 1);
	}
	do
		assert_int_equal(imsgbuf_read(&p->b), 1);
	while (recv(p->fd[1], &m, 1, MSG_PEEK) == 1);
	expect(&p->b, &m, 1, MAX_IMSGSIZE - HDR);
	imsg_free(&m);
	expect(&p->b, &m, 2, max);
	assert_memory_equal(m.data, big, max);
	imsg_free(&m);
	free(big);
}

/* A receiver with a smaller maximum refuses what the sender may send. */
static void
test_maxsize_differs(void **state)
{
	struct pair	*p = *state;

	assert_int_equal(imsgbuf_set_maxsize(&p->b, 10), 0);
	assert_int_equal(imsg_compose(&p->a, 1, 0, 0, -1, "0123456789", 10),
	    1);
	assert_int_equal(imsg_compose(&p->a, 2, 0, 0, -1, "0123456789a", 11),
	    1);
	assert_int_equal(imsgbuf_write(&p->a), 0);
	check_final(p, ERANGE);
}

static void
test_eof(void **state)
{
	struct pair	*p = *state;
	struct imsg	 m;

	assert_int_equal(imsg_compose(&p->a, 1, 0, 0, -1, "x", 1), 1);
	assert_int_equal(imsgbuf_write(&p->a), 0);
	close(p->fd[0]);
	p->fd[0] = -1;
	assert_int_equal(imsgbuf_read(&p->b), 1);
	assert_int_equal(imsgbuf_read(&p->b), 0);
	assert_int_equal(imsgbuf_read(&p->b), 0);
	expect(&p->b, &m, 1, 1);	/* what came before stays */
	imsg_free(&m);
	assert_int_equal(imsgbuf_get(&p->b, &m), 0);
}

static void
test_eof_in_message(void **state)
{
	struct pair	*p = *state;
	unsigned char	 s[HDR + 1];
	struct imsg	 m;
	int		 fd = token(3);

	raw_header(s, 1, (HDR + 2) | MARK);
	s[HDR] = 0;
	raw_send(p->fd[0], s, sizeof(s), &fd, 1);
	close(fd);
	close(p->fd[0]);
	p->fd[0] = -1;
	assert_int_equal(imsgbuf_read(&p->b), 1);
	assert_int_equal(imsgbuf_read(&p->b), 0);
	assert_int_equal(imsgbuf_get(&p->b, &m), 0);
}

/* ------------------------------------------------------------- writing */

/* With a descriptor and without one; SIGPIPE is the user's to ignore. */
static void
test_epipe(void **state)
{
	struct pair	*p = *state;

	assert_ptr_not_equal(signal(SIGPIPE, SIG_IGN), SIG_ERR);
	close(p->fd[1]);
	p->fd[1] = -1;
	assert_int_equal(imsg_compose(&p->a, 1, 0, 0, token(1), "x", 1), 1);
	assert_int_equal(imsgbuf_write(&p->a), -1);
	assert_int_equal(errno, EPIPE);
	assert_int_equal(imsgbuf_flush(&p->a), -1);
	assert_int_equal(imsgbuf_queuelen(&p->a), 1);
	assert_int_equal(imsg_compose(&p->b, 1, 0, 0, -1, "x", 1), 1);
	close(p->fd[0]);
	p->fd[0] = -1;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, p->fd), 0);
	close(p->fd[0]);
	p->fd[0] = -1;
	p->b.fd = p->fd[1];
	assert_int_equal(imsgbuf_write(&p->b), -1);
	assert_int_equal(errno, EPIPE);
	assert_int_equal(imsgbuf_queuelen(&p->b), 1);
	/* teardown: the queued descriptor is closed with the queue */
}

static void
test_partial_writes(void **state)
{
	struct pair	*p = *state;
	struct imsg	 m;
	unsigned char	 data[3000];
	unsigned	 i, got = 0, rounds = 0;
	int		 small = 1;

	assert_int_equal(setsockopt(p->fd[0], SOL_SOCKET, SO_SNDBUF, &small,
	    sizeof(small)), 0);
	for (i = 0; i < 300; i++) {
		memset(data, (int)i, sizeof(data));
		assert_int_equal(imsg_compose(&p->a, i, 0, 0,
		    i % 7 == 0 ? token((int)i) : -1, data, i * 10), 1);
	}
	while (imsgbuf_queuelen(&p->a) > 0 || got < 300) {
		assert_true(rounds++ < 10000);
		assert_int_equal(imsgbuf_write(&p->a), 0);
		assert_int_equal(imsgbuf_read(&p->b), 1);
		while (imsgbuf_get(&p->b, &m) == 1) {
			assert_int_equal(imsg_get_type(&m), got);
			assert_int_equal(imsg_get_len(&m), got * 10);
			memset(data, (int)got, sizeof(data));
			if (got > 0)
				assert_memory_equal(m.data, data, got * 10);
			if (got % 7 == 0)
				check_token(imsg_get_fd(&m), (int)got);
			else
				assert_int_equal(imsg_get_fd(&m), -1);
			imsg_free(&m);
			got++;
		}
	}
	assert_true(rounds > 20);	/* it was cut indeed */
	assert_int_equal(imsgbuf_queuebytes(&p->a), 0);
}

/* flush waits for a reader instead of spinning or giving up. */
static void
test_flush(void **state)
{
	struct pair	*p = *state;
	struct imsg	 m;
	struct pollfd	 pfd;
	char		 data[10000] = { 0 };
	unsigned	 i, got = 0;
	int		 status;
	pid_t		 pid;

	pid = fork();
	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		alarm(30);
		close(p->fd[1]);
		for (i = 0; i < 200; i++)
			if (imsg_compose(&p->a, i, 0, 0, -1, data,
			    sizeof(data)) != 1)
				_exit(1);
		_exit(imsgbuf_flush(&p->a) == 0 ? 0 : 2);
	}
	close(p->fd[0]);
	p->fd[0] = -1;
	/* Two megabytes: it meets a full socket more than once. */
	pfd.fd = p->fd[1];
	pfd.events = POLLIN;
	assert_int_equal(poll(&pfd, 1, 10000), 1);
	fcntl(p->fd[1], F_SETFL, 0);
	while (imsgbuf_read(&p->b) == 1)
		while (imsgbuf_get(&p->b, &m) == 1) {
			assert_int_equal(imsg_get_type(&m), got++);
			imsg_free(&m);
		}
	assert_int_equal(got, 200);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void
test_bounded_queue(void **state)
{
	struct pair	*p = *state;
	struct imsg	 m;
	struct ibuf	*b;
	char		 data[1000] = { 0 };
	int		 fd, n = 0;

	imsgbuf_set_queuemax(&p->a, 10 * (sizeof(data) + HDR));
	while (imsg_compose(&p->a, 1, 0, 0, -1, data, sizeof(data)) == 1)
		assert_true(++n < 100);
	assert_int_equal(errno, ENOBUFS);
	assert_int_equal(n, 10);
	assert_int_equal(imsgbuf_queuebytes(&p->a),
	    10 * (sizeof(data) + HDR));
	/* A refused message leaves the descriptor to the caller. */
	fd = token(5);
	assert_int_equal(imsg_compose(&p->a, 1, 0, 0, fd, data, 1), -1);
	check_token(fcntl(fd, F_DUPFD_CLOEXEC, 0), 5);
	close(fd);
	assert_null(imsg_create(&p->a, 1, 0, 0, 0));
	assert_int_equal(errno, ENOBUFS);
	b = ibuf_open(4);
	assert_non_null(b);
	assert_int_equal(imsg_compose_ibuf(&p->a, 1, 0, 0, b), -1);
	assert_int_equal(errno, ENOBUFS);
	/* It goes on when some has left. */
	assert_int_equal(imsgbuf_write(&p->a), 0);
	assert_int_equal(imsg_compose(&p->a, 2, 0, 0, -1, data, 1), 1);
	assert_int_equal(imsgbuf_read(&p->b), 1);
	while (imsgbuf_get(&p->b, &m) == 1) {
		n--;
		imsg_free(&m);
	}
	assert_int_equal(n, 0);
}

/* --------------------------------------------------------- descriptors */

static void
test_fd(void **state)
{
	struct pair	*p = *state;
	struct ibuf	*b;
	struct imsg	 m;

	/* Messages without one before and behind, all glued together. */
	assert_int_equal(imsg_compose(&p->a, 1, 0, 0, -1, "a", 1), 1);
	assert_int_equal(imsg_compose(&p->a, 2, 0, 0, token(2), NULL, 0), 1);
	assert_int_equal(imsg_compose(&p->a, 3, 0, 0, -1, "c", 1), 1);
	b = imsg_create(&p->a, 4, 0, 0, 4);
	assert_non_null(b);
	assert_int_equal(ibuf_add_n32(b, 4), 0);
	ibuf_fd_set(b, token(99));
	ibuf_fd_set(b, token(4));		/* the older one is closed */
	assert_true(ibuf_fd_avail(b));
	imsg_close(&p->a, b);
	assert_int_equal(imsg_compose(&p->a, 5, 0, 0, token(5), "e", 1), 1);
	assert_int_equal(imsg_compose(&p->a, 6, 0, 0, token(6), "f", 1), 1);
	while (imsgbuf_queuelen(&p->a) > 0)
		assert_int_equal(imsgbuf_write(&p->a), 0);
	do
		assert_int_equal(imsgbuf_read(&p->b), 1);
	while (recv(p->fd[1], &m, 1, MSG_PEEK) == 1);
	expect(&p->b, &m, 1, 1);
	assert_int_equal(imsg_get_fd(&m), -1);
	imsg_free(&m);
	expect_fd(&p->b, 2, 0, 2);
	expect(&p->b, &m, 3, 1);
	assert_int_equal(imsg_get_fd(&m), -1);
	imsg_free(&m);
	expect_fd(&p->b, 4, 4, 4);
	expect(&p->b, &m, 5, 1);
	imsg_free(&m);			/* unclaimed: closed, see teardown */
	/* 6 stays queued: closed by imsgbuf_clear() */
	assert_int_equal(imsgbuf_fdlost(&p->b), 0);
}

/*
 * The read buffer ends n bytes into the header of a marked message: its
 * descriptor has come, its mark has not.
 */
static void
split_header(struct pair *p, size_t n)
{
	struct imsg	 m;
	char		*fill;
	size_t		 want = RBUF - n, len;
	unsigned	 count = 0;
	int		 big = 400000;

	assert_non_null(fill = calloc(1, RBUF));
	assert_int_equal(setsockopt(p->fd[0], SOL_SOCKET, SO_SNDBUF, &big,
	    sizeof(big)), 0);
	/* Fill one read up to its last n bytes. */
	while (want > 0) {
		len = want > MAX_IMSGSIZE + HDR ? MAX_IMSGSIZE : want;
		assert_int_equal(imsg_compose(&p->a, 1, 0, 0, -1, fill,
		    len - HDR), 1);
		want -= len;
		count++;
	}
	assert_int_equal(imsgbuf_write(&p->a), 0);
	/* Two in a row: the second may come while the first one waits. */
	assert_int_equal(imsg_compose(&p->a, 2, 0, 0, token(2), "x", 1), 1);
	assert_int_equal(imsg_compose(&p->a, 3, 0, 0, token(3), "y", 1), 1);
	assert_int_equal(imsg_compose(&p->a, 4, 0, 0, -1, "z", 1), 1);
	while (imsgbuf_queuelen(&p->a) > 0)
		assert_int_equal(imsgbuf_write(&p->a), 0);
	assert_int_equal(imsgbuf_read(&p->b), 1);
	while (count-- > 0) {
		assert_int_equal(imsgbuf_get(&p->b, &m), 1);
		assert_int_equal(imsg_get_type(&m), 1);
		assert_int_equal(imsg_get_fd(&m), -1);
		imsg_free(&m);
	}
	/* The test is about this: the header is not complete yet. */
	if (n < HDR)
		assert_int_equal(imsgbuf_get(&p->b, &m), 0);
	do
		assert_int_equal(imsgbuf_read(&p->b), 1);
	while (recv(p->fd[1], &m, 1, MSG_PEEK) == 1);
	expect_fd(&p->b, 2, 1, 2);
	expect_fd(&p->b, 3, 1, 3);
	expect(&p->b, &m, 4, 1);
	assert_int_equal(imsg_get_fd(&m), -1);
	imsg_free(&m);
	assert_int_equal(imsgbuf_get(&p->b, &m), 0);
	free(fill);
}

static void
test_split_header(void **state)
{
	size_t	 n;

	for (n = 0; n <= HDR + 1; n++)
		split_header(*state, n);
}

/* The sender's first byte alone, as another implementation might send. */
static void
test_header_byte_by_byte(void **state)
{
	struct pair	*p = *state;
	unsigned char	 s[HDR];
	size_t		 i;
	int		 fd = token(8);

	raw_header(s, 1, HDR | MARK);
	for (i = 0; i < sizeof(s); i++) {
		raw_send(p->fd[0], s + i, 1, &fd, i == 0 ? 1 : 0);
		assert_int_equal(imsgbuf_read(&p->b), 1);
	}
	close(fd);
	expect_fd(&p->b, 1, 0, 8);
}

/* A waiting descriptor whose header turns out to be unmarked. */
static void
test_unmarked_split(void **state)
{
	struct pair	*p = *state;
	unsigned char	 s[HDR];
	int		 fd = token(8);

	raw_header(s, 1, HDR);
	raw_send(p->fd[0], s, 3, &fd, 1);
	close(fd);
	assert_int_equal(imsgbuf_read(&p->b), 1);
	raw_send(p->fd[0], s + 3, HDR - 3, NULL, 0);
	check_final(p, EBADMSG);
}

static void
test_two_on_one_header(void **state)
{
	struct pair	*p = *state;
	unsigned char	 s[HDR];
	int		 fd = token(8);

	raw_header(s, 1, HDR | MARK);
	raw_send(p->fd[0], s, 3, &fd, 1);
	assert_int_equal(imsgbuf_read(&p->b), 1);
	raw_send(p->fd[0], s + 3, 3, &fd, 1);
	close(fd);
	check_final(p, EBADMSG);
}

static void
test_two_in_one_send(void **state)
{
	struct pair	*p = *state;
	unsigned char	 s[HDR];
	int		 fd[2];

	fd[0] = token(1);
	fd[1] = token(2);
	raw_header(s, 1, HDR | MARK);
	raw_send(p->fd[0], s, HDR, fd, 2);
	close(fd[0]);
	close(fd[1]);
	check_final(p, EBADMSG);
}

/* A descriptor that no header claims is closed, nothing else happens. */
static void
test_unclaimed(void **state)
{
	struct pair	*p = *state;
	unsigned char	 s[HDR];
	struct imsg	 m;
	int		 fd = token(1);

	raw_header(s, 1, HDR);
	raw_send(p->fd[0], s, HDR, &fd, 1);
	close(fd);
	assert_int_equal(imsgbuf_read(&p->b), 1);
	expect(&p->b, &m, 1, 0);
	assert_int_equal(imsg_get_fd(&m), -1);
	imsg_free(&m);
}

/*
 * No free descriptor at the receiver: the message comes without, is counted,
 * and the descriptor of the next one does not go astray.
 */
static void
out_of_descriptors(struct pair *p, size_t split)
{
	struct rlimit	 old, none;
	struct imsg	 m;
	unsigned char	 s[HDR];
	unsigned	 before = imsgbuf_fdlost(&p->b);
	int		 fd = token(1);

	raw_header(s, 1, HDR | MARK);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = old;
	none.rlim_cur = 3;
	raw_send(p->fd[0], s, split, &fd, 1);
	close(fd);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(imsgbuf_read(&p->b), 1);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	if (split < HDR)
		raw_send(p->fd[0], s + split, HDR - split, NULL, 0);
	assert_int_equal(imsg_compose(&p->a, 2, 0, 0, token(2), NULL, 0), 1);
	assert_int_equal(imsgbuf_write(&p->a), 0);
	do
		assert_int_equal(imsgbuf_read(&p->b), 1);
	while (recv(p->fd[1], &m, 1, MSG_PEEK) == 1);
	expect(&p->b, &m, 1, 0);
	assert_int_equal(imsg_get_fd(&m), -1);
	imsg_free(&m);
	assert_int_equal(imsgbuf_fdlost(&p->b), before + 1);
	expect_fd(&p->b, 2, 0, 2);
}

static void
test_out_of_descriptors(void **state)
{
	size_t	 n;

	for (n = 1; n <= HDR; n++)
		out_of_descriptors(*state, n);
}

/* Passing not allowed: taken from the caller, closed, not announced. */
static void
test_fdpass_off(void **state)
{
	struct pair	*p = *state;
	struct imsgbuf	 a, b;
	struct imsg	 m;

	assert_int_equal(imsgbuf_init(&a, p->fd[0]), 0);
	assert_int_equal(imsgbuf_init(&b, p->fd[1]), 0);
	assert_int_equal(imsg_compose(&a, 1, 0, 0, token(1), "x", 1), 1);
	assert_int_equal(open_fds(), fds_before + 2);
	assert_int_equal(imsgbuf_write(&a), 0);
	assert_int_equal(imsgbuf_read(&b), 1);
	expect(&b, &m, 1, 1);
	assert_int_equal(imsg_get_fd(&m), -1);
	imsg_free(&m);
	/* A sender that does it all the same. */
	assert_int_equal(imsg_compose(&p->a, 2, 0, 0, token(2), "x", 1), 1);
	assert_int_equal(imsgbuf_write(&p->a), 0);
	assert_int_equal(imsgbuf_read(&b), 1);
	expect(&b, &m, 2, 1);
	assert_int_equal(imsg_get_fd(&m), -1);
	imsg_free(&m);
	imsgbuf_clear(&a);
	imsgbuf_clear(&b);
	assert_int_equal(open_fds(), fds_before + 2);
}

static void
test_fd_after_failure(void **state)
{
	struct pair	*p = *state;
	char		*big;
	struct iovec	 iov;
	int		 fd = token(6);

	assert_non_null(big = calloc(1, MAX_IMSGSIZE));
	iov.iov_base = big;
	iov.iov_len = MAX_IMSGSIZE;
	assert_int_equal(imsg_compose(&p->a, 1, 0, 0, fd, big, MAX_IMSGSIZE),
	    -1);
	assert_int_equal(imsg_composev(&p->a, 1, 0, 0, fd, &iov, 1), -1);
	free(big);
	check_token(fcntl(fd, F_DUPFD_CLOEXEC, 0), 6);
	close(fd);
}

/* Pipes have no sendmsg; messages without descriptors go through. */
static void
test_pipe(void **state)
{
	struct imsgbuf	 a, b;
	struct imsg	 m;
	int		 fd[2];

	assert_int_equal(pipe(fd), 0);
	assert_int_equal(imsgbuf_init(&a, fd[1]), 0);
	assert_int_equal(imsgbuf_init(&b, fd[0]), 0);
	imsgbuf_allow_fdpass(&b);
	assert_int_equal(imsg_compose(&a, 1, 0, 0, -1, "x", 1), 1);
	assert_int_equal(imsgbuf_write(&a), 0);
	assert_int_equal(imsgbuf_read(&b), 1);
	expect(&b, &m, 1, 1);
	imsg_free(&m);
	close(fd[1]);
	assert_int_equal(imsgbuf_read(&b), 0);
	close(fd[0]);
	imsgbuf_clear(&a);
	imsgbuf_clear(&b);
}

static void
test_forward(void **state)
{
	struct pair	*p = *state;
	struct imsg	 m, n;
	char		 c;
	int		 i;

	assert_int_equal(imsg_compose(&p->a, 5, 6, 77, token(9), "abc", 3),
	    1);
	assert_int_equal(imsgbuf_write(&p->a), 0);
	assert_int_equal(imsgbuf_read(&p->b), 1);
	expect(&p->b, &m, 5, 3);
	assert_int_equal(imsg_get_buf(&m, &c, 1), 0);	/* partly read */
	for (i = 0; i < 2; i++) {
		assert_int_equal(imsg_forward(&p->b, &m), 1);
		assert_int_equal(imsg_get_len(&m), 3);
	}
	assert_int_equal(imsgbuf_write(&p->b), 0);
	check_token(imsg_get_fd(&m), 9);	/* stayed here */
	imsg_free(&m);
	assert_int_equal(imsgbuf_read(&p->a), 1);
	for (i = 0; i < 2; i++) {
		expect(&p->a, &n, 5, 3);
		assert_int_equal(imsg_get_id(&n), 6);
		assert_int_equal(imsg_get_pid(&n), 77);
		assert_memory_equal(n.data, "abc", 3);
		assert_int_equal(imsg_get_fd(&n), -1);
		imsg_free(&n);
	}
}

#define T(name)	cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(roundtrip), T(every_split), T(too_short), T(zero_length),
		T(too_long), T(huge_length), T(maxsize), T(maxsize_differs),
		T(eof), T(eof_in_message), T(epipe), T(partial_writes),
		T(flush), T(bounded_queue), T(fd), T(split_header),
		T(header_byte_by_byte), T(unmarked_split),
		T(two_on_one_header), T(two_in_one_send), T(unclaimed),
		T(out_of_descriptors), T(fdpass_off), T(fd_after_failure),
		T(pipe), T(forward)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
