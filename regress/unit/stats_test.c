/* SPDX-License-Identifier: ISC */
/* stats_test.c: counter pages: totals outlive a child, gauges do not. */
/* LINK: tunneld/stats.c compat/shm.c compat/fdstat.c */

#include "compat.h"

#include <sys/wait.h>

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "stats.h"

static void
test_page(void **state)
{
	const struct stats_page *seen;
	int fd;

	/* What is counted before the page is there is not lost. */
	stats->refusals[REASON_ORIGIN] = 2;
	stats->log_dropped = 1;
	assert_true((fd = stats_create()) >= 0);
	assert_non_null(seen = stats_map(dup(fd)));
	assert_int_equal(seen->refusals[REASON_ORIGIN], 0);
	assert_int_equal(stats_attach(dup(fd)), 0);
	assert_int_equal(seen->refusals[REASON_ORIGIN], 2);
	assert_int_equal(seen->log_dropped, 1);
	stats->active[1][SESSION_ECHO] = 3;
	stats->total[1][SESSION_ECHO] = 4;
	stats->bytes_in[0] = 5;
	stats->connections = 6;
	stats->queued = 7;
	stats_descriptors();
	assert_int_equal(seen->active[1][SESSION_ECHO], 3);
	assert_true(seen->descriptors >= 4);
	/* A successor: the same page, gauges at zero, totals kept. */
	assert_int_equal(stats_attach(fd), 0);
	assert_int_equal(seen->active[1][SESSION_ECHO], 0);
	assert_int_equal(seen->connections, 0);
	assert_int_equal(seen->queued, 0);
	assert_int_equal(seen->descriptors, 0);
	assert_int_equal(seen->total[1][SESSION_ECHO], 4);
	assert_int_equal(seen->bytes_in[0], 5);
	assert_int_equal(seen->refusals[REASON_ORIGIN], 2);
	assert_int_equal(seen->log_dropped, 1);
	stats_unmap(seen);
	stats_unmap(NULL);
}

/* Whoever reads cannot write. */
static void
test_read_only(void **state)
{
	const struct stats_page *seen;
	int fd, status;
	pid_t pid;

	assert_true((fd = stats_create()) >= 0);
	assert_non_null(seen = stats_map(fd));
	if ((pid = fork()) == 0) {
		signal(SIGSEGV, SIG_DFL);
		((struct stats_page *)(uintptr_t)seen)->queued = 1;
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	/* A signal, or a sanitizer's report. */
	assert_int_not_equal(status, 0);
	stats_unmap(seen);
}

static void
test_sealed(void **state)
{
	int fd;

	assert_true((fd = stats_create()) >= 0);
	/* Whoever could shrink it would kill its readers by SIGBUS. */
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(ftruncate(fd, 1 << 20), -1);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
}

static void
test_bad(void **state)
{
	char name[] = "/tmp/stats_test.XXXXXX";
	int fd, dev;

	assert_true((fd = mkstemp(name)) >= 0);
	unlink(name);
	assert_int_equal(ftruncate(fd, sizeof(struct stats_page) - 1), 0);
	assert_null(stats_map(dup(fd)));
	assert_int_equal(stats_attach(fd), -1);
	assert_int_equal(fcntl(fd, F_GETFD), -1);	/* taken */
	assert_true((dev = open("/dev/null", O_RDWR)) >= 0);
	assert_null(stats_map(dev));
	assert_null(stats_map(-1));
	/* Counting goes on whatever happened. */
	stats->total[0][SESSION_FORWARD]++;
}

static void
test_descriptors(void **state)
{
	uint64_t before;
	int fds[20];
	unsigned i;

	stats_descriptors();
	before = stats->descriptors;
	for (i = 0; i < nitems(fds); i++)
		assert_true((fds[i] = dup(0)) >= 0);
	close(fds[3]);
	stats_descriptors();
	assert_int_equal(stats->descriptors, before + nitems(fds) - 1);
	for (i = 0; i < nitems(fds); i++) {
		if (i != 3)
			close(fds[i]);
	}
	stats_descriptors();
	assert_int_equal(stats->descriptors, before);
}

static void
test_words(void **state)
{
	assert_string_equal(session_type_word(SESSION_GATEWAY), "gateway");
	assert_string_equal(session_type_word(SESSION_ECHO), "echo");
	assert_string_equal(session_type_word(SESSION_TYPE_MAX), "?");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_page),
		cmocka_unit_test(test_read_only),
		cmocka_unit_test(test_sealed),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
