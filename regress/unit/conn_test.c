/* SPDX-License-Identifier: ISC */
/* conn_test.c: order, half-close, lingering and reset of a socket. */
/* LINK: tunneld/conn.c compat/sockopt.c */

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

static uint8_t	 big[4 * 1024 * 1024];
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
	conn_attach(c, a);
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
		cmocka_unit_test(drained_rest_gives_memory_back),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
