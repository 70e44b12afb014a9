/* SPDX-License-Identifier: ISC */

/*
 * stats.h: counters in one shared page per child slot.  The child writes its
 * own page, control maps all of them read-only and trusts no value.  The page
 * outlives the child: totals never fall; a new incarnation zeroes its gauges.
 */
#ifndef STATS_H
#define STATS_H

#include <stddef.h>
#include <stdint.h>

#include "reason.h"

#define STATS_SERVERS	64		/* 0: forwards (no server) */

enum session_type {
	SESSION_GATEWAY, SESSION_FORWARD, SESSION_ECHO, SESSION_TYPE_MAX
};
const char *session_type_word(enum session_type);	/* "gateway" ... */

struct stats_page {
	uint64_t	active[STATS_SERVERS][SESSION_TYPE_MAX];  /* gauge */
	uint64_t	total[STATS_SERVERS][SESSION_TYPE_MAX];
	uint64_t	bytes_in[STATS_SERVERS];
	uint64_t	bytes_out[STATS_SERVERS];
	uint64_t	refusals[REASON_MAX];
	uint64_t	dial_failures[REASON_MAX];
	uint64_t	log_dropped;
	uint64_t	spliced;	/* bytes moved by splice(2) */
	uint64_t	connections;	/* gauge: open client connections */
	uint64_t	queued;		/* gauge: bytes of leftovers held */
	uint64_t	descriptors;	/* gauge, see stats_descriptors(); 0:
					 * not counted yet */
};

/*
 * Our own page; a private one until the parent's arrives, so that counting
 * never fails.
 */
extern struct stats_page *stats;

/* Map the parent's page (takes fd) and zero its gauges.  Returns 0 or -1. */
int	 stats_attach(int fd);
/* For control: map a page read-only; takes fd.  NULL on failure. */
const struct stats_page *stats_map(int fd);
void	 stats_unmap(const struct stats_page *);
/* For the parent: an anonymous page, sealed against resizing.  -1 on error. */
int	 stats_create(void);

/*
 * Count our open descriptors into the gauge.  One fcntl(F_GETFD) for each up
 * to a little beyond the highest ever seen: for a timer of 5 s or so.
 */
void	 stats_descriptors(void);

#endif /* STATS_H */
