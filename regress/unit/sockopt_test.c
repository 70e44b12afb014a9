/* SPDX-License-Identifier: ISC */
/* sockopt_test.c: who is dead, and what still waits for an ACK. */
/* LINK: compat/sockopt.c */

#include "compat.h"

#include <sys/types.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#ifdef __linux__
#include <linux/filter.h>
#endif

#include "sockopt.h"

#define SILENT_MS	50	/* instead of the 30 s of conn.c */
#define QUIET_MS	200

static int	 a, b;		/* the two ends of a TCP connection */

static int
setup(void **state)
{
	struct sockaddr_in	 sin;
	socklen_t		 len = sizeof(sin);
	int			 fd;

	memset(&sin, 0, sizeof(sin));
	sin.sin_family = AF_INET;
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	a = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(fd, (struct sockaddr *)&sin, len) == -1 ||
	    listen(fd, 1) == -1 ||
	    getsockname(fd, (struct sockaddr *)&sin, &len) == -1 ||
	    connect(a, (struct sockaddr *)&sin, len) == -1 ||
	    (b = accept(fd, NULL, NULL)) == -1)
		return -1;
	close(fd);
	sockopt_stream(a);
	sockopt_stream(b);
	return 0;
}

static int
teardown(void **state)
{
	close(a);
	if (b != -1)
		close(b);
	return 0;
}

static uint64_t
msec(void)
{
	struct timespec	 ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void
quiet(int ms)
{
	(void)poll(NULL, 0, ms);
}

/* How often a's peer counts as dead in n looks within ms milliseconds. */
static int
dead(int n, int ms)
{
	uint64_t	 end = msec() + (uint64_t)ms;
	int		 i, count = 0;

	for (i = 0; i < n && msec() < end; i++)
		count += sockopt_peer_dead(a, SILENT_MS);
	return count;
}

/* Request and answer: from now on b delays its ACKs, for 40 ms on Linux. */
static void
make_interactive(void)
{
	char	 c = 'x';
	int	 i;

	for (i = 0; i < 5; i++) {
		assert_int_equal(send(a, &c, 1, 0), 1);
		assert_int_equal(recv(b, &c, 1, 0), 1);
		assert_int_equal(send(b, &c, 1, 0), 1);
		assert_int_equal(recv(a, &c, 1, 0), 1);
	}
}

static void
quiet_peer_is_alive(void **state)
{
	assert_int_equal(dead(1, 1000), 0);
	quiet(QUIET_MS);
	assert_int_equal(dead(200, 40), 0);
}

/* The last ACK is old, since nothing was said: that tells nothing. */
static void
first_byte_after_quiet(void **state)
{
	make_interactive();
	quiet(QUIET_MS);
	assert_int_equal(send(a, "x", 1, 0), 1);
	assert_int_equal(dead(200, 40), 0);
	quiet(QUIET_MS);
	assert_int_equal(dead(200, 40), 0);
}

/* A peer that does not read closes its window, and still acknowledges. */
static void
full_peer_is_alive(void **state)
{
	static char	 buf[65536];
	int		 i;

	while (send(a, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
	assert_int_equal(errno, EAGAIN);
	assert_int_not_equal(sockopt_unacked(a), 0);
	for (i = 0; i < 16; i++) {
		quiet(QUIET_MS / 2);
		assert_int_equal(dead(20, 10), 0);
	}
}

#ifdef __linux__
/* b's system drops all that comes: as if the peer's machine was gone. */
static void
vanish(bool gone)
{
	struct sock_filter	 drop[] = { BPF_STMT(BPF_RET | BPF_K, 0) };
	struct sock_fprog	 prog = { .len = 1, .filter = drop };

	/* Some kernels let only root put a filter on a socket. */
	if (setsockopt(b, SOL_SOCKET, gone ? SO_ATTACH_FILTER :
	    SO_DETACH_FILTER, &prog, sizeof(prog)) == -1) {
		if (errno == EPERM && geteuid() != 0)
			skip();
		fail_msg("filter: %s", strerror(errno));
	}
}

static void
vanished_peer_is_dead(void **state)
{
	uint64_t	 end = msec() + 20000;

	make_interactive();
	vanish(true);
	quiet(QUIET_MS);
	assert_int_equal(dead(1, 1000), 0);	/* nothing was sent */
	assert_int_equal(send(a, "x", 1, 0), 1);
	quiet(2 * SILENT_MS);
	assert_int_equal(dead(1, 1000), 0);	/* not sent again yet */
	while (dead(1, 1000) == 0 && msec() < end)
		quiet(10);
	assert_int_equal(dead(1, 1000), 1);
	assert_int_equal(sockopt_unacked(a), 1);

	/* It was only a cable: the next try gets through. */
	vanish(false);
	while (sockopt_unacked(a) != 0 && msec() < end)
		quiet(10);
	assert_int_equal(sockopt_unacked(a), 0);
	assert_int_equal(dead(1, 1000), 0);
}
#endif

static void
unacked_until_read_by_system(void **state)
{
	uint64_t	 end = msec() + 5000;

	assert_int_equal(sockopt_unacked(a), 0);
	assert_int_equal(send(a, "hello", 5, 0), 5);
	while (sockopt_unacked(a) != 0 && msec() < end)
		quiet(1);
	assert_int_equal(sockopt_unacked(a), 0);
}

/* After a RST nobody will ever acknowledge what was sent. */
static void
nothing_is_unacked_after_reset(void **state)
{
	uint64_t	 end = msec() + 5000;
	struct pollfd	 pfd = { .fd = a };

	close(b);
	b = -1;
	(void)send(a, "hello", 5, MSG_NOSIGNAL);
	while (poll(&pfd, 1, 10) == 0 && msec() < end)
		;
	assert_true((pfd.revents & (POLLERR | POLLHUP)) != 0);
	assert_int_equal(sockopt_unacked(a), 0);
	assert_int_equal(dead(1, 1000), 0);
}

static void
stream_options(void **state)
{
	static const struct {
		int	 level, option;
	} options[] = {
		{ SOL_SOCKET, SO_KEEPALIVE },
		{ IPPROTO_TCP, TCP_NODELAY }
	};
	socklen_t	 len;
	size_t		 i;
	int		 on;

	for (i = 0; i < nitems(options); i++) {
		on = 0;
		len = sizeof(on);
		assert_int_equal(getsockopt(a, options[i].level,
		    options[i].option, &on, &len), 0);
		assert_int_not_equal(on, 0);
	}
}

#ifdef __linux__
/* Who was there before is accepted; who comes now is not even told no. */
static void
no_callers(void **state)
{
	struct sockaddr_in	 sin;
	struct pollfd		 pfd = { .events = POLLOUT };
	socklen_t		 len = sizeof(sin);
	int			 fd, early, late, c;

	memset(&sin, 0, sizeof(sin));
	sin.sin_family = AF_INET;
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_true((fd = socket(AF_INET, SOCK_STREAM, 0)) != -1);
	assert_int_equal(bind(fd, (struct sockaddr *)&sin, len), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	assert_true((early = socket(AF_INET, SOCK_STREAM, 0)) != -1);
	assert_int_equal(connect(early, (struct sockaddr *)&sin, len), 0);
	sockopt_no_callers(fd);
	late = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_true(late != -1);
	assert_int_equal(connect(late, (struct sockaddr *)&sin, len), -1);
	assert_int_equal(errno, EINPROGRESS);
	/* Some kernels let only root put a filter on a socket. */
	len = 0;
	if (getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, NULL, &len) == 0 &&
	    len == 0 && geteuid() != 0)
		skip();
	pfd.fd = late;
	assert_int_equal(poll(&pfd, 1, QUIET_MS), 0);
	assert_true((c = accept(fd, NULL, NULL)) != -1);
	close(c);
	close(early);
	close(late);
	close(fd);
}
#endif

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
#define T(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(quiet_peer_is_alive),
		T(first_byte_after_quiet),
		T(full_peer_is_alive),
#ifdef __linux__
		T(vanished_peer_is_dead),
#endif
		T(unacked_until_read_by_system),
		T(nothing_is_unacked_after_reset),
		T(stream_options),
#ifdef __linux__
		T(no_callers),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
