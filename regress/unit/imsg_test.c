/* SPDX-License-Identifier: ISC */
/* imsg_test.c: compat/imsg: framing, bounds, writing, errors. */
/* LINK: compat/imsg.c compat/imsg_buffer.c */

#include "compat.h"

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "imsg_pair.h"

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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(roundtrip), T(every_split), T(too_short), T(zero_length),
		T(too_long), T(huge_length), T(maxsize), T(maxsize_differs),
		T(eof), T(eof_in_message), T(epipe), T(partial_writes),
		T(flush), T(bounded_queue), T(pipe), T(forward)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
