/* SPDX-License-Identifier: ISC */
/*
 * control.c: the control role: logs of all processes, tunnelctl, bodies of
 * /health and /metrics.  It has no network.
 */

#include "compat.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "child.h"
#include "conf.h"
#include "control.h"
#include "json.h"
#include "log.h"
#include "probe.h"

#define FLUSH_MS	200
#define COUNT_SECONDS	5		/* between counts of descriptors */

#define STOP_USEC	500000		/* for the last records of the others */

static bool draining, stopping;
static struct event count_timer, stop_timer;

bool
control_draining(void)
{
	return draining;
}

static void
last_words(void)
{
	logger_flush(FLUSH_MS);
}

static void
count_descriptors(int fd, short ev, void *arg)
{
	struct timeval tv = { COUNT_SECONDS, 0 };

	stats_descriptors();
	evtimer_add(&count_timer, &tv);
}

static void
control_init(const struct msg_hello *hello)
{
	logger_init();
	ctl_client_init(hello);
	log_to(logger_put, NULL);
	log_atfatal(last_words);
	evtimer_set(&count_timer, count_descriptors, NULL);
}

static void
control_commit(struct conf *newconf, struct conf *old)
{
	logger_conf(newconf);
	metrics_conf(newconf);
	if (old != NULL)
		return;
	count_descriptors(-1, 0, NULL);
	ctl_client_start();
	child_ready();
}

/* A record of a peer: what it says of its origin is not believed. */
static void
got_log(struct chan *c, struct imsg *m)
{
	struct logrec_view v;
	struct logrec r;
	struct ibuf b;

	if (imsg_get_ibuf(m, &b) == -1 || ibuf_size(&b) > sizeof(r.buf)) {
		stats->log_dropped++;
		return;
	}
	r.len = ibuf_size(&b);
	memcpy(r.buf, ibuf_data(&b), r.len);
	if (logrec_decode(r.buf, r.len, &v) == -1) {
		stats->log_dropped++;
		return;
	}
	logrec_identify(&r, c->peer, c->slot);
	if (logger_put(&r, NULL) == -1)
		stats->log_dropped++;
}

/* A reply in chunks; a relay that reads none of it loses it. */
static void
send_body(struct chan *c, uint64_t id, int status, const char *body,
    size_t len)
{
	struct msg_chunk chunk = { .id = id, .status = (uint16_t)status };
	struct ibuf *b;

	do {
		chunk.data = body;
		chunk.len = len < CHUNK_MAX ? len : CHUNK_MAX;
		chunk.last = chunk.len == len;
		if ((b = chan_msg(c, MSG_BODY_REPLY)) != NULL &&
		    msg_chunk_put(b, &chunk) == -1) {
			ibuf_free(b);
			b = NULL;
		}
		if (chan_send(c, b, -1) == -1)
			return;
		body += chunk.len;
		len -= chunk.len;
	} while (!chunk.last);
}

static void
send_health(struct chan *c, uint64_t id)
{
	struct health h;
	struct json j;
	char buf[1024];

	health_get(&h);
	/* One byte is kept for the newline. */
	json_init_fixed(&j, buf, sizeof(buf) - 1);
	health_json(&j);
	buf[j.len++] = '\n';
	send_body(c, id, h.http, buf, j.len);
}

static void
got_body(struct chan *c, struct imsg *m)
{
	struct msg_body body;
	size_t len;
	char *text;

	if (msg_body_get(m, &body) == -1) {
		log_warnx("malformed BODY from relay %u", c->slot);
		return;
	}
	if (body.kind == BODY_HEALTH) {
		send_health(c, body.id);
		return;
	}
	if ((text = metrics_text(&len)) == NULL) {
		send_body(c, body.id, 503, "", 0);
		return;
	}
	send_body(c, body.id, 200, text, len);
	free(text);
}

static void
got_session_row(struct chan *c, struct imsg *m)
{
	struct msg_session s;

	if (msg_session_get(m, &s) == -1)
		log_warnx("malformed SESSION_ROW from relay %u", c->slot);
	else
		ctl_got_row(c, &s);
}

static void
got_sessions_end(struct chan *c, struct imsg *m)
{
	struct msg_end e;

	if (msg_end_get(m, &e) == -1)
		log_warnx("malformed SESSIONS_END from relay %u", c->slot);
	else
		ctl_got_end(c, &e);
}

static void
got_result(struct chan *c, struct imsg *m)
{
	struct msg_result r;

	if (msg_result_get(m, &r) == -1)
		log_warnx("malformed result from %s %u", role_name(c->peer),
		    c->slot);
	else
		ctl_got_result(c, &r);
}

static void
got_page(struct imsg *m)
{
	struct msg_peer p;
	int fd = imsg_get_fd(m);

	if (msg_peer_get(m, &p) == -1)
		fatalx("malformed STATS_OF");
	/* -1: no descriptor was left for it; its numbers are missing. */
	if (fd == -1)
		log_warnx("no counters of %s %u", role_name(p.role), p.slot);
	else
		board_page(&p, fd);
}

static void
got_worker(struct imsg *m)
{
	struct msg_worker w;

	if (msg_worker_get(m, &w) == -1)
		fatalx("malformed WORKER");
	board_worker(&w);
}

static void
got_listener(struct imsg *m)
{
	int fd = imsg_get_fd(m);
	uint64_t group;

	if (msg_num_get(m, &group) == -1)
		fatalx("malformed CONTROL_FD");
	ctl_client_listen(fd, (gid_t)group);
}

static void
control_message(struct chan *c, struct imsg *m)
{
	switch (imsg_get_type(m)) {
	case MSG_LOG:
	case MSG_LOG_PARENT:
		got_log(c, m);
		break;
	case MSG_BODY:
		got_body(c, m);
		break;
	case MSG_SESSION_ROW:
		got_session_row(c, m);
		break;
	case MSG_SESSIONS_END:
		got_sessions_end(c, m);
		break;
	case MSG_KILL_RESULT:
	case MSG_RELOAD_RESULT:
		got_result(c, m);
		break;
	case MSG_STATS_OF:
		got_page(m);
		break;
	case MSG_WORKER:
		got_worker(m);
		break;
	case MSG_LOG_FD:
		logger_fd(imsg_get_fd(m));
		break;
	case MSG_CONTROL_FD:
		got_listener(m);
		break;
	default:
		log_warnx("unexpected %s from %s %u",
		    msg_name(imsg_get_type(m)), role_name(c->peer), c->slot);
		break;
	}
}

static void
finish(int fd, short ev, void *arg)
{
	logger_flush(FLUSH_MS);
	child_exit(0);
}

/* Is there a channel that may still hold records? */
static bool
any_peer(void)
{
	unsigned slot;

	for (slot = 0; slot < RELAYS_MAX; slot++)
		if (child_peer(ROLE_RELAY, slot) != NULL)
			return true;
	return child_peer(ROLE_DIALER, 0) != NULL;
}

static void
control_peer_down(struct chan *c)
{
	if (c->peer == ROLE_RELAY)
		ctl_relay_down(c->slot);
	PROBE_PEER_DOWN(c);
	if (stopping && !any_peer())
		finish(-1, 0, NULL);
}

static void
control_drain(void)
{
	draining = true;
}

/*
 * The others are dead by now, but their last records may still lie in our
 * channels: those are read to their ends.
 */
static void
control_stop(void)
{
	static const struct timeval tv = { 0, STOP_USEC };

	ctl_client_stop();
	if (!any_peer())
		finish(-1, 0, NULL);
	stopping = true;
	evtimer_set(&stop_timer, finish, NULL);
	evtimer_add(&stop_timer, &tv);
}

const struct role_ops control_ops = {
	.role = ROLE_CONTROL,
	.init = control_init,
	.commit = control_commit,
	.peer_down = control_peer_down,
	.message = control_message,
	.drain = control_drain,
	.stop = control_stop,
};
