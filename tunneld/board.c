/* SPDX-License-Identifier: ISC */
/* board.c: the newest state of every process, as the control role knows it. */

#include "compat.h"

#include <string.h>
#include <unistd.h>

#include "control.h"
#include "log.h"

#define TOTAL_LIMIT	(1ULL << 53)	/* exact in a JSON number */
#define COUNT_LIMIT	(1ULL << 20)	/* sessions, connections, descriptors */
#define BYTES_LIMIT	(1ULL << 40)

struct process {
	bool			 known;
	struct msg_worker	 worker;
	const struct stats_page	*live;
	struct stats_page	 seen;	/* checked copy */
};

static struct process board[ROLE_MAX][RELAYS_MAX];

void
board_worker(const struct msg_worker *w)
{
	struct process *p;

	if ((unsigned)w->role >= ROLE_MAX || w->slot >= RELAYS_MAX)
		return;
	p = &board[w->role][w->slot];
	p->worker = *w;
	p->known = true;
}

void
board_page(const struct msg_peer *who, int fd)
{
	const struct stats_page *page;
	struct process *p;

	/* Our own page we need not map again. */
	if ((unsigned)who->role >= ROLE_MAX || who->slot >= RELAYS_MAX ||
	    who->role == ROLE_CONTROL) {
		close(fd);
		return;
	}
	if ((page = stats_map(fd)) == NULL) {
		log_warnx("cannot map the counters of %s %u",
		    role_name(who->role), who->slot);
		return;
	}
	p = &board[who->role][who->slot];
	stats_unmap(p->live);
	p->live = page;
}

const struct msg_worker *
board_get_worker(enum role role, unsigned slot)
{
	const struct process *p = &board[role][slot];

	if (!p->known || p->worker.state == WORKER_GONE)
		return NULL;
	return &p->worker;
}

uint64_t
board_restarts(enum role role)
{
	uint64_t n = 0;
	unsigned slot;

	for (slot = 0; slot < RELAYS_MAX; slot++)
		n += board[role][slot].worker.restarts;
	return n;
}

static void
read_totals(uint64_t *seen, const uint64_t *live, size_t n)
{
	uint64_t v;
	size_t i;

	for (i = 0; i < n; i++) {
		v = __atomic_load_n(&live[i], __ATOMIC_RELAXED);
		if (v > seen[i] && v <= TOTAL_LIMIT)
			seen[i] = v;
	}
}

static void
read_gauges(uint64_t *seen, const uint64_t *live, size_t n, uint64_t limit)
{
	uint64_t v;
	size_t i;

	for (i = 0; i < n; i++) {
		v = __atomic_load_n(&live[i], __ATOMIC_RELAXED);
		seen[i] = v <= limit ? v : limit;
	}
}

static bool
is_alive(const struct process *p)
{
	return p->known && (p->worker.state == WORKER_READY ||
	    p->worker.state == WORKER_DRAINING);
}

#define ELEMENTS(a)	(sizeof(a) / sizeof(uint64_t))

const struct stats_page *
board_get_page(enum role role, unsigned slot)
{
	struct process *p = &board[role][slot];
	const struct stats_page *live = p->live;
	struct stats_page *seen = &p->seen;

	if (role == ROLE_CONTROL)
		live = slot == 0 ? stats : NULL;
	if (live == NULL)
		return NULL;
	read_totals(&seen->total[0][0], &live->total[0][0],
	    ELEMENTS(seen->total));
	read_totals(seen->bytes_in, live->bytes_in, ELEMENTS(seen->bytes_in));
	read_totals(seen->bytes_out, live->bytes_out,
	    ELEMENTS(seen->bytes_out));
	read_totals(seen->refusals, live->refusals, ELEMENTS(seen->refusals));
	read_totals(seen->dial_failures, live->dial_failures,
	    ELEMENTS(seen->dial_failures));
	read_totals(&seen->log_dropped, &live->log_dropped, 1);
	read_totals(&seen->spliced, &live->spliced, 1);
	/* The gauges of a dead process stand until its successor comes. */
	if (!is_alive(p)) {
		memset(seen->active, 0, sizeof(seen->active));
		seen->connections = seen->queued = seen->descriptors = 0;
		return seen;
	}
	read_gauges(&seen->active[0][0], &live->active[0][0],
	    ELEMENTS(seen->active), COUNT_LIMIT);
	read_gauges(&seen->connections, &live->connections, 1, COUNT_LIMIT);
	read_gauges(&seen->descriptors, &live->descriptors, 1, COUNT_LIMIT);
	read_gauges(&seen->queued, &live->queued, 1, BYTES_LIMIT);
	return seen;
}

uint64_t
board_sessions(const struct stats_page *page)
{
	uint64_t n = 0;
	unsigned i, t;

	for (i = 0; i < STATS_SERVERS; i++) {
		for (t = 0; t < SESSION_TYPE_MAX; t++)
			n += page->active[i][t];
	}
	return n;
}
