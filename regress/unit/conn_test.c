/* SPDX-License-Identifier: ISC */
/* conn_test.c: order, half-close, lingering and reset of a socket. */
/* LINK: tunneld/conn.c tunneld/splice.c compat/sockopt.c */

#include "compat.h"

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <netinet/in.h>

#include <errno.h>
#include <event.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "conn.h"
#include "stats.h"
#include "tunneld.h"

/* A page of its own; stats.c brings the log and shared memory. */
static struct stats_page	 page;
struct stats_page		*stats = &page;

/* The same for the clock. */
uint64_t
mono_usec(void)
{
	struct timespec	 ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static uint8_t	 big[4 * 1024 * 1024], other[512 * 1024];
static int	 writable_calls;

static void
readable(struct conn *c)
{
	uint8_t	 buf[4096];
	ssize_t	 n;

	if ((n = conn_read(c, buf, sizeof(buf))) > 0)
		c->discarded += (uint32_t)n;
	/* As the owner does after each event. */
	if (c->end != END_NONE)
		(void)conn_step(c, c->t_end, UINT64_MAX, UINT64_MAX);
}

static void
writable(struct conn *c)
{
	writable_calls++;
}

static const struct conn_ops ops = { readable, writable };

/* A TCP pair on loopback: c->fd non-blocking, the other end blocking. */
static int
pair(struct conn *c)
{
	struct sockaddr_in	 sin;
	socklen_t		 len = sizeof(sin);
	int			 l, a, b;

	l = socket(AF_INET, SOCK_STREAM, 0);
	memset(&sin, 0, sizeof(sin));
	sin.sin_family = AF_INET;
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(l, (struct sockaddr *)&sin, len), 0);
	assert_int_equal(listen(l, 1), 0);
	assert_int_equal(getsockname(l, (struct sockaddr *)&sin, &len), 0);
	b = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(b, (struct sockaddr *)&sin, len), 0);
	a = accept4(l, NULL, NULL, SOCK_NONBLOCK);
	assert_true(a != -1);
	close(l);
	conn_init(c, &ops, NULL);
	conn_attach(c, a, true);
	return b;
}

static void
loop(void)
{
	struct timeval	 tv = { 0, 1000 };

	event_loopexit(&tv);
	event_dispatch();
}

/* Read everything the other end gets; returns errno of the end, 0: FIN. */
static int
drain(struct conn *c, int fd, size_t *total)
{
	static uint8_t	 buf[65536];
	ssize_t		 n;
	size_t		 i;

	*total = 0;
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	for (;;) {
		n = recv(fd, buf, sizeof(buf), 0);
		if (n == 0)
			return 0;
		if (n == -1 && errno == EAGAIN) {
			loop();
			(void)conn_step(c, mono_usec(), 2000000, 2000000);
			continue;
		}
		if (n == -1)
			return errno;
		for (i = 0; i < (size_t)n; i++)
			assert_int_equal(buf[i], (uint8_t)((*total + i) % 251));
		*total += (size_t)n;
	}
}

static int
setup(void **state)
{
	size_t	 i;

	for (i = 0; i < sizeof(big); i++)
		big[i] = (uint8_t)(i % 251);
	event_init();
	return 0;
}

static void
keeps_order_and_shuts_down(void **state)
{
	struct conn	 c;
	struct iovec	 iov[2];
	size_t		 total;
	int		 fd = pair(&c);

	iov[0].iov_base = big;
	iov[0].iov_len = 1000;
	iov[1].iov_base = big + 1000;
	iov[1].iov_len = sizeof(big) - 1000 - 5;
	assert_int_equal(conn_sendv(&c, iov, 2), 0);
	assert_true(conn_pending(&c) > 0);
	assert_int_equal(conn_queued(), conn_pending(&c));
	assert_int_equal(page.queued, conn_queued());
	assert_int_equal(conn_send(&c, big + sizeof(big) - 5, 5), 0);
	conn_shutdown(&c);
	assert_false(c.shut_done);
	/* Nothing may follow a FIN. */
	assert_int_equal(conn_send(&c, big, 100), 0);
	assert_int_equal(drain(&c, fd, &total), 0);
	assert_int_equal(total, sizeof(big));
	assert_true(c.shut_done);
	assert_null(c.out);
	assert_int_equal(conn_queued(), 0);
	/* The other direction still works. */
	assert_int_equal(send(fd, "x", 1, 0), 1);
	conn_read_on(&c);
	loop();
	assert_int_equal(c.discarded, 1);
	conn_close(&c);
	close(fd);
}

static void
linger_delivers_despite_unread_input(void **state)
{
	struct conn	 c;
	size_t		 total;
	int		 fd = pair(&c), i;

	/* Unread input at close(2) would make a RST and lose the data. */
	assert_int_equal(send(fd, big, 50000, 0), 50000);
	assert_int_equal(conn_send(&c, big, sizeof(big)), 0);
	conn_end(&c, END_LINGER);
	assert_int_equal(drain(&c, fd, &total), 0);
	assert_int_equal(total, sizeof(big));
	close(fd);
	for (i = 0; i < 2000 && !conn_step(&c, mono_usec(), 5000000, 5000000);
	    i++)
		loop();
	assert_int_equal(c.fd, -1);
	assert_int_equal(c.discarded, 50000);
}

static void
linger_gives_up(void **state)
{
	struct conn	 c;
	int		 fd = pair(&c);

	conn_end(&c, END_LINGER);
	loop();
	/* The peer does not close. */
	assert_false(conn_step(&c, c.t_end + 1000, 5000000, 5000000));
	assert_true(conn_next(&c, c.t_end + 1000, 5000000) != 0);
	assert_true(conn_step(&c, c.t_end + 5000000, 5000000, 5000000));
	assert_int_equal(c.fd, -1);
	close(fd);
}

static void
linger_discards_a_bounded_amount(void **state)
{
	struct conn	 c;
	int		 fd = pair(&c), i;

	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	conn_end(&c, END_LINGER);
	for (i = 0; i < 100000 && !conn_step(&c, c.t_end, UINT64_MAX,
	    UINT64_MAX); i++) {
		(void)send(fd, big, 65536, MSG_NOSIGNAL);
		loop();
	}
	assert_int_equal(c.fd, -1);
	assert_true(c.discarded > CONN_DISCARD);
	assert_true(c.discarded < CONN_DISCARD + 65536);
	close(fd);
}

static void
reset_follows_the_data(void **state)
{
	struct conn	 c;
	size_t		 total;
	int		 fd = pair(&c);

	assert_int_equal(conn_send(&c, big, 300000), 0);
	conn_end(&c, END_RESET);
	assert_int_equal(drain(&c, fd, &total), ECONNRESET);
	assert_int_equal(total, 300000);
	assert_int_equal(c.fd, -1);
	close(fd);
}

static void
reset_does_not_wait_for_ever(void **state)
{
	struct conn	 c;
	int		 fd = pair(&c);

	assert_int_equal(conn_send(&c, big, sizeof(big)), 0);
	assert_true(conn_pending(&c) > 0);
	conn_end(&c, END_LINGER);
	conn_end(&c, END_RESET);	/* overrides */
	conn_end(&c, END_LINGER);	/* does not */
	assert_false(conn_step(&c, c.t_end + CONN_RESET_WAIT - 1, UINT64_MAX,
	    UINT64_MAX));
	assert_true(conn_step(&c, c.t_end + CONN_RESET_WAIT, UINT64_MAX,
	    UINT64_MAX));
	assert_int_equal(conn_queued(), 0);
	close(fd);
}

static void
sweep_sees_a_reset(void **state)
{
	struct linger	 l = { 1, 0 };
	struct conn	 c;
	int		 fd = pair(&c);

	assert_int_equal(conn_sweep(&c), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l)),
	    0);
	close(fd);
	assert_int_equal(conn_sweep(&c), ECONNRESET);
	assert_int_equal(conn_send(&c, "x", 1), -1);
	assert_int_equal(c.error, 0);
	assert_int_not_equal(c.werror, 0);
	conn_close(&c);
}

/* ------------------------------------------------------------- splicing */

/* Fill the socket buffers of c, whose other end does not read. */
static void
block(struct conn *c)
{
	int	 small = 4096;

	assert_int_equal(setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &small,
	    sizeof(small)), 0);
}

/* Unmasked binary frames of at most max bytes; returns the payload's length. */
static size_t
unframe(uint8_t *p, size_t n, size_t max)
{
	size_t	 pos = 0, out = 0, len, h;

	while (pos < n) {
		assert_int_equal(p[pos], 0x82);
		len = p[pos + 1];
		h = 2;
		if (len == 126) {
			len = (size_t)p[pos + 2] << 8 | p[pos + 3];
			h = 4;
		} else
			assert_true(len < 126);
		assert_true(len > 0 && len <= max && pos + h + len <= n);
		memmove(p + out, p + pos + h, len);
		out += len;
		pos += h + len;
	}
	return out;
}

/*
 * n bytes from src by pipe to dst, in frames of at most max bytes; with
 * memory: the pipe is given up while it is not empty.  What follows it stays
 * behind it.
 */
static void
splice_case(size_t n, uint32_t max, bool memory)
{
	struct conn	 src, dst;
	size_t		 got = 0, total, waits;
	ssize_t		 r;
	int		 from, to, i;

	from = pair(&src);
	to = pair(&dst);
	block(&dst);
	for (total = 0; total < n; total += (size_t)r) {
		r = send(from, big + total, n - total, MSG_DONTWAIT);
		assert_true(r > 0);
	}
	for (i = 0; i < 1000 && got < n; i++) {
		if (conn_pending(&dst) != 0) {
			loop();
			if (memory || i > 20)
				break;
			continue;
		}
		r = conn_splice(&dst, &src, n - got, max);
		if (r > 0)
			got += (size_t)r;
		else
			assert_int_equal(errno, ENOBUFS);
	}
	assert_true(got > 0);
	waits = conn_pending(&dst);
	assert_true(waits > 0);
	assert_true(conn_queued() >= waits);
	if (memory) {
		assert_non_null(dst.pipe);
		conn_unsplice(&dst);
		assert_null(dst.pipe);
		assert_true(conn_pending(&dst) >= waits);
		assert_true(conn_pending(&dst) <=
		    waits + (waits / (max != 0 ? max : waits) + 2) * 14);
	}
	assert_int_equal(conn_send(&dst, "\x82\x01!", 3), 0);
	assert_null(dst.pipe);
	conn_shutdown(&dst);
	total = 0;
	fcntl(to, F_SETFL, O_NONBLOCK);
	while ((r = recv(to, other + total, sizeof(other) - total, 0)) != 0) {
		if (r == -1) {
			assert_int_equal(errno, EAGAIN);
			loop();
			continue;
		}
		total += (size_t)r;
	}
	if (max != 0)
		total = unframe(other, total, max);
	else {
		assert_memory_equal(other + total - 3, "\x82\x01!", 3);
		other[total - 3] = '!';
		total -= 2;
	}
	assert_int_equal(total, got + 1);
	assert_memory_equal(other, big, got);
	assert_int_equal(other[got], '!');
	conn_close(&dst);
	conn_close(&src);
	assert_int_equal(conn_queued(), 0);
	close(from);
	close(to);
}

static void
test_splice(void **state)
{
	size_t	 i;

	for (i = 0; i < sizeof(big); i++)
		big[i] = (uint8_t)(i * 7 + i / 251);
	pipe_pool(3);
	if (pipe_count() == 0)		/* a system without splice(2) */
		skip();
	splice_case(200000, 32768, false);
	splice_case(200000, 32768, true);
	splice_case(200000, 0, false);
	splice_case(200000, 0, true);
	splice_case(100000, 128, true);
}

/* The pool is bounded; a pipe comes back with its socket's end, empty. */
static void
test_splice_pool(void **state)
{
	struct conn	 src, dst;
	struct pipe	*p[3];
	int		 from, to, i;

	if (pipe_count() == 0)
		skip();
	from = pair(&src);
	to = pair(&dst);
	block(&dst);
	assert_int_equal(send(from, big, 200000, MSG_DONTWAIT) > 100000, 1);
	for (i = 0; i < 1000 && conn_pending(&dst) == 0; i++)
		(void)conn_splice(&dst, &src, 100000, 0);
	assert_non_null(dst.pipe);
	p[0] = pipe_get();
	p[1] = pipe_get();
	assert_non_null(p[1]);
	assert_null(pipe_get());
	errno = 0;
	conn_close(&dst);
	p[2] = pipe_get();
	assert_non_null(p[2]);
	assert_int_equal(p[2]->len, 0);
	assert_int_equal(pipe_read(p[2], other, 1), -1);
	assert_int_equal(errno, EAGAIN);
	close(to);
	to = pair(&dst);
	assert_int_equal(conn_splice(&dst, &src, 1000, 0), -1);
	assert_int_equal(errno, ENOBUFS);
	for (i = 0; i < 3; i++)
		pipe_put(p[i]);
	conn_close(&dst);
	conn_close(&src);
	close(from);
	close(to);
}

/*
 * A pipe cannot get past an urgent byte: the kernel says EAGAIN though there
 * is something to read, or even EOF before the bytes that follow it.
 */
static void
splice_and_urgent_data(void **state)
{
	struct conn	 src, dst;
	size_t		 got = 0;
	ssize_t		 r;
	int		 from, to, i;

	if (pipe_count() == 0)
		skip();
	from = pair(&src);
	to = pair(&dst);
	assert_int_equal(send(from, "ab", 2, 0), 2);
	assert_int_equal(send(from, "!", 1, MSG_OOB), 1);
	assert_int_equal(send(from, "cd", 2, 0), 2);
	assert_int_equal(shutdown(from, SHUT_WR), 0);
	for (i = 0; i < 1000 && !src.eof; i++) {
		r = conn_splice(&dst, &src, 1000, 0);
		if (r == -1 && errno == ENOBUFS &&
		    (r = conn_read(&src, other, 1000)) > 0)
			assert_int_equal(conn_send(&dst, other, (size_t)r), 0);
		if (r == -1)
			loop();
		else
			got += (size_t)r;
	}
	assert_true(src.eof);
	assert_int_equal(got, 4);
	assert_int_equal(recv(to, other, 4, MSG_WAITALL), 4);
	assert_memory_equal(other, "abcd", 4);
	conn_close(&dst);
	conn_close(&src);
	close(from);
	close(to);
}

/*
 * Behind a FIN, or to a socket that is closed, nothing is sent: it is left to
 * conn_read() and its owner.
 */
static void
splice_behind_a_fin(void **state)
{
	struct conn	 src, dst;
	int		 from, to, i;

	if (pipe_count() == 0)
		skip();
	from = pair(&src);
	to = pair(&dst);
	conn_shutdown(&dst);
	assert_int_equal(send(from, "late", 4, 0), 4);
	for (i = 0; i < 20; i++) {
		assert_int_equal(conn_splice(&dst, &src, 1000, 0), -1);
		assert_int_equal(errno, EINVAL);
		loop();
	}
	assert_int_equal(dst.werror, 0);
	conn_close(&dst);
	conn_init(&dst, &ops, NULL);
	assert_int_equal(conn_splice(&dst, &src, 1000, 0), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(conn_read(&src, other, 1000), 4);
	conn_close(&src);
	close(from);
	close(to);
}

/*
 * A pipe of which we do not know that it is empty is nobody's any more: what
 * may be in it belongs to the session that had it.
 */
static void
doubtful_pipe_is_not_used_again(void **state)
{
	struct pipe	*p;
	unsigned	 n = pipe_count();

	if (n == 0)
		skip();
	assert_non_null(p = pipe_get());
	p->len = 1;		/* but there is nothing */
	pipe_put(p);
	assert_int_equal(pipe_count(), n - 1);
	pipe_pool(n);
	assert_int_equal(pipe_count(), n);
}

/* A peer that takes all but a little holds little. */
static void
drained_rest_gives_memory_back(void **state)
{
	static uint8_t	 buf[65536];
	struct conn	 c;
	size_t		 most;
	int		 fd = pair(&c), i, small = 8192;

	assert_int_equal(setsockopt(c.fd, SOL_SOCKET, SO_SNDBUF, &small,
	    sizeof(small)), 0);
	assert_int_equal(conn_send(&c, big, sizeof(big)), 0);
	most = conn_pending(&c);
	assert_true(most > 100000);
	for (i = 0; i < 100000 && conn_pending(&c) > most / 10; i++) {
		assert_true(recv(fd, buf, sizeof(buf), MSG_DONTWAIT) != 0);
		loop();
	}
	assert_in_range(conn_pending(&c), 1, most / 10);
	assert_true(c.outsize <= 2 * conn_pending(&c) + 4096);
	conn_close(&c);
	assert_int_equal(conn_queued(), 0);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_order_and_shuts_down),
		cmocka_unit_test(linger_delivers_despite_unread_input),
		cmocka_unit_test(linger_gives_up),
		cmocka_unit_test(linger_discards_a_bounded_amount),
		cmocka_unit_test(reset_follows_the_data),
		cmocka_unit_test(reset_does_not_wait_for_ever),
		cmocka_unit_test(sweep_sees_a_reset),
		cmocka_unit_test(test_splice),
		cmocka_unit_test(test_splice_pool),
		cmocka_unit_test(splice_and_urgent_data),
		cmocka_unit_test(splice_behind_a_fin),
		cmocka_unit_test(doubtful_pipe_is_not_used_again),
		cmocka_unit_test(drained_rest_gives_memory_back),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
