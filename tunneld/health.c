/* SPDX-License-Identifier: ISC */
/* health.c: is the daemon well?  Computed from what control knows already. */

#include "compat.h"

#include "child.h"
#include "conf.h"
#include "control.h"
#include "json.h"

/* Sessions of all relays; index 0 (forwards) apart. */
static void
count_sessions(uint64_t *all, uint64_t *servers)
{
	const struct stats_page *page;
	uint64_t n, forwards;
	unsigned slot, t;

	*all = *servers = 0;
	for (slot = 0; slot < RELAYS_MAX; slot++) {
		if ((page = board_get_page(ROLE_RELAY, slot)) == NULL)
			continue;
		n = board_sessions(page);
		for (t = 0, forwards = 0; t < SESSION_TYPE_MAX; t++)
			forwards += page->active[0][t];
		*all += n;
		*servers += n - forwards;
	}
}

/* Sum over the servers; OFF if one has no limit, or there is none. */
static uint64_t
max_sessions(void)
{
	const struct conf *c = child_conf();
	const struct conf_server *s;
	uint64_t sum = 0;

	if (c == NULL)
		return OFF;
	TAILQ_FOREACH(s, &c->servers, entry) {
		if (s->max_sessions == OFF || s->max_sessions > OFF - 1 - sum)
			return OFF;
		sum += s->max_sessions;
	}
	return sum > 0 ? sum : OFF;
}

/* Does a process miss, or die too often? */
static bool
degraded(uint64_t *relays)
{
	const struct msg_worker *w;
	unsigned role, slot;
	bool bad = false;

	*relays = 0;
	for (role = 0; role < ROLE_MAX; role++) {
		for (slot = 0; slot < RELAYS_MAX; slot++) {
			if ((w = board_get_worker(role, slot)) == NULL)
				continue;
			if (w->alarm || w->state == WORKER_WAITING ||
			    w->state == WORKER_STARTING)
				bad = true;
			if (role == ROLE_RELAY && w->state == WORKER_READY)
				(*relays)++;
		}
	}
	return bad;
}

void
health_get(struct health *h)
{
	bool bad = degraded(&h->workers);
	uint64_t servers;

	count_sessions(&h->connections, &servers);
	h->status = control_draining() ? "draining" : bad ? "degraded" : "ok";
	h->http = control_draining() ? 503 : 200;
	/* The wall clock may be set at any time, as it is at boot. */
	h->uptime = mono_usec() - child_hello()->started;
	h->max = max_sessions();
	h->percent = OFF;
	if (h->max != OFF) {
		if (servers >= h->max)
			h->percent = 100;
		else
			h->percent = servers * 100 / h->max;
	}
}

static void
number(struct json *j, const char *name, uint64_t v)
{
	json_name(j, name);
	if (v == OFF)
		json_null(j);
	else
		json_u64(j, v);
}

void
health_json(struct json *j)
{
	struct health h;

	health_get(&h);
	j->indent = true;
	json_object(j);
	json_name(j, "status");
	json_string(j, h.status);
	json_name(j, "version");
	json_string(j, VERSION);
	json_name(j, "uptime");
	json_duration(j, h.uptime);
	number(j, "connections", h.connections);
	number(j, "max-connections", h.max);
	number(j, "connections-capacity-percent", h.percent);
	number(j, "workers", h.workers);
	json_end_object(j);
}
