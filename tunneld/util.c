/* SPDX-License-Identifier: ISC */
/* util.c: names of roles, the two clocks. */

#include "compat.h"

#include <time.h>

#include "log.h"
#include "tunneld.h"

const char *
role_name(enum role role)
{
	static const char *names[ROLE_MAX] = {
		[ROLE_PARENT] = "parent",
		[ROLE_CONTROL] = "control",
		[ROLE_DIALER] = "dialer",
		[ROLE_RELAY] = "relay",
	};

	if ((unsigned)role >= ROLE_MAX)
		return "?";
	return names[role];
}

static uint64_t
clock_usec(clockid_t clock)
{
	struct timespec ts;

	if (clock_gettime(clock, &ts) == -1)
		fatal("clock_gettime");
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t
mono_usec(void)
{
	return clock_usec(CLOCK_MONOTONIC);
}

uint64_t
wall_usec(void)
{
	return clock_usec(CLOCK_REALTIME);
}
