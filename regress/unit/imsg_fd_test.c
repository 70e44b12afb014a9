/* SPDX-License-Identifier: ISC */
/* imsg_fd_test.c: compat/imsg: descriptors, and the message each belongs to. */
/* LINK: compat/imsg.c compat/imsg_buffer.c */

#include "compat.h"

#include <sys/types.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "imsg_pair.h"

#define RBUF		65535		/* what one read takes */

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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(fd), T(split_header), T(header_byte_by_byte),
		T(unmarked_split), T(two_on_one_header), T(two_in_one_send),
		T(unclaimed), T(out_of_descriptors), T(fdpass_off),
		T(fd_after_failure)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
