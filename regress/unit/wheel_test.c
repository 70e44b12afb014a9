/* SPDX-License-Identifier: ISC */
/* wheel_test.c: timers are never early, in order, and may be freed in fire(). */
/* LINK: tunneld/wheel.c */

#include "compat.h"

#include <sys/time.h>

#include <event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tunneld.h"
#include "wheel.h"

/* The clock stands still unless a test moves it. */
static uint64_t	 now = 1000000000;

uint64_t
mono_usec(void)
{
	return now;
}

#define N	64

static struct wheel_entry	 e[N];
static int			 fired[N], order[N], nfired;
static int			 again = -1, drop = -1;

static void
fire(struct wheel_entry *x)
{
	int	 i = (int)(x - e);

	assert_int_equal(x->due, 0);
	fired[i]++;
	order[nfired++ % N] = i;
	if (again == i)
		wheel_set(x, now + 100000);
	if (drop >= 0) {
		wheel_del(&e[drop]);
		drop = -1;
	}
}

/* Move the clock and let libevent run its timer at once. */
static void
pass(uint64_t usec)
{
	now += usec;
	event_loop(EVLOOP_NONBLOCK);
}

static int
setup(void **state)
{
	static int	 once;

	if (!once++) {
		event_init();
		wheel_init(fire);
	}
	memset(fired, 0, sizeof(fired));
	nfired = 0;
	again = drop = -1;
	return 0;
}

/*
 * libevent's own clock is real: wait until its timer, armed for a past or a
 * near time, has run.
 */
static void
run_until(int n, uint64_t step)
{
	int	 i;

	for (i = 0; i < 2000 && nfired < n; i++) {
		now += step;
		event_loop(EVLOOP_ONCE);
	}
}

static void
never_early(void **state)
{
	uint64_t	 due = now + 55000;

	wheel_set(&e[0], due);
	assert_true(e[0].due >= due);
	assert_true(e[0].due <= due + WHEEL_TICK);
	pass(10000);
	assert_int_equal(nfired, 0);
	run_until(1, 20000);
	assert_int_equal(fired[0], 1);
	assert_true(now >= due);
}

static void
hasten(void **state)
{
	uint64_t	 t = now;

	wheel_set(&e[0], t + 10000000);
	wheel_hasten(&e[0], t + 20000000);
	assert_true(e[0].due <= t + 10000000 + WHEEL_TICK);
	wheel_hasten(&e[0], t + 40000);
	assert_true(e[0].due <= t + 40000 + WHEEL_TICK);
	wheel_del(&e[0]);
	assert_int_equal(e[0].due, 0);
	wheel_del(&e[0]);
}

/* Two entries of one slot, a turn of the wheel apart. */
static void
turns(void **state)
{
	uint64_t	 t = now;

	wheel_set(&e[1], t + 40000 + 1024ULL * WHEEL_TICK);
	wheel_set(&e[0], t + 40000);
	run_until(1, 20000);
	assert_int_equal(fired[0], 1);
	assert_int_equal(fired[1], 0);
	assert_true(e[1].due != 0);
	/* Stopped for longer than a turn: nothing is forgotten. */
	now += 3000ULL * WHEEL_TICK;
	wheel_set(&e[2], now);
	run_until(3, 20000);
	assert_int_equal(fired[1], 1);
	assert_int_equal(fired[2], 1);
}

static void
set_and_delete_inside(void **state)
{
	int	 i;

	for (i = 0; i < 8; i++)
		wheel_set(&e[i], now + 30000);
	again = 0;
	drop = 7;
	run_until(7, 20000);
	assert_int_equal(fired[0], 1);
	for (i = 1; i < 7; i++)
		assert_int_equal(fired[i], 1);
	assert_int_equal(fired[7], 0);
	run_until(8, 20000);
	assert_int_equal(fired[0], 2);
	wheel_del(&e[0]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(never_early, setup),
		cmocka_unit_test_setup(hasten, setup),
		cmocka_unit_test_setup(turns, setup),
		cmocka_unit_test_setup(set_and_delete_inside, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
