/* SPDX-License-Identifier: ISC */
/* ctl_show.c: what tunnelctl may ask, and the answers as rows. */

#include "compat.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "child.h"
#include "conf.h"
#include "control.h"
#include "log.h"
#include "probe.h"

#define SLICE		64		/* session rows in one question */
#define WAIT_SESSIONS	2000		/* ms for one slice */
#define WAIT_KILL	5000
#define WAIT_RELOAD	30000
#define CONFIG_CHUNK	4096

static void
time_field(struct ctl_row *r, enum ctl_key key, enum ctl_value type,
    uint64_t usec)
{
	if (usec == OFF)
		ctl_row_null(r, key);
	else
		ctl_row_num(r, key, type, usec);
}

static void
number_field(struct ctl_row *r, enum ctl_key key, uint64_t num)
{
	time_field(r, key, CTL_U64, num);
}

/*
 * show sessions: slices of rows, relay by relay, and the next one only when
 * the client has taken the last: what is held here is one slice.
 *
 *	ask(slot, after) -> rows, END more ----> ask again when there is room
 *	      | 2 s, relay gone         no more -> next slot ... -> END
 *	      +-> note, next slot
 */
static void
sessions_next_slot(struct ctl_client *c)
{
	ctl_client_answered(c);
	c->slot++;
	c->after = 0;
	c->rows = 0;
}

static bool
sessions_ask(struct ctl_client *c, struct chan *relay)
{
	struct msg_show show = { .after = c->after, .max = SLICE };
	struct ibuf *b;

	show.id = ctl_client_ask(c, WAIT_SESSIONS);
	c->rows = 0;
	if ((b = chan_msg(relay, MSG_SHOW_SESSIONS)) != NULL &&
	    msg_show_put(b, &show) == -1) {
		ibuf_free(b);
		b = NULL;
	}
	return chan_send(relay, b, -1) == 0;
}

static void
sessions_pump(struct ctl_client *c)
{
	struct chan *relay;

	if (c->token != 0)
		return;
	for (; c->slot < RELAYS_MAX; sessions_next_slot(c)) {
		if ((relay = child_peer(ROLE_RELAY, c->slot)) == NULL)
			continue;
		if (sessions_ask(c, relay))
			return;
		ctl_client_note(c, "relay %u cannot be asked", c->slot);
	}
	ctl_client_end(c, "");
}

static void
addr_field(struct ctl_row *r, enum ctl_key key, const struct addr *a)
{
	char text[ADDR_TEXT];

	if (a->len == 0)
		ctl_row_null(r, key);
	else
		ctl_row_str(r, key, addr_format(a, text, sizeof(text)));
}

static void
session_row(struct ctl_row *r, const struct msg_session *s)
{
	char id[SID_TEXT];

	ctl_row_init(r);
	ctl_row_str(r, CTL_K_ID, sid_format(s->id, id));
	ctl_row_u64(r, CTL_K_WORKER, SID_SLOT(s->id));
	ctl_row_str(r, CTL_K_TYPE, session_type_word(s->type));
	ctl_row_str(r, CTL_K_SERVER, s->server);
	ctl_row_str(r, CTL_K_LOCATION, s->location);
	ctl_row_str(r, CTL_K_LISTENER, s->listener);
	ctl_row_null(r, CTL_K_USER);
	addr_field(r, CTL_K_CLIENT, &s->client);
	addr_field(r, CTL_K_PEER, &s->peer);
	ctl_row_str(r, CTL_K_XFF, s->xff);
	ctl_row_str(r, CTL_K_TARGET, s->target);
	ctl_row_str(r, CTL_K_STATE, session_state_word(s->state));
	time_field(r, CTL_K_STARTED, CTL_TIME, s->started);
	time_field(r, CTL_K_DURATION, CTL_DURATION, s->duration);
	time_field(r, CTL_K_IDLE, CTL_DURATION, s->idle);
	ctl_row_u64(r, CTL_K_BYTES_IN, s->in);
	ctl_row_u64(r, CTL_K_BYTES_OUT, s->out);
	ctl_row_str(r, CTL_K_SUBPROTOCOL, s->subprotocol);
	ctl_row_u64(r, CTL_K_GENERATION, s->generation);
}

/* The client that waits for this relay's part, or NULL: too late. */
static struct ctl_client *
sessions_waiting(const struct chan *relay, uint64_t token)
{
	struct ctl_client *c = ctl_client_by_token(token);

	if (c == NULL || c->req.command != CTL_SHOW_SESSIONS ||
	    c->slot != relay->slot)
		return NULL;
	return c;
}

static void
sessions_cut(struct ctl_client *c, const char *why)
{
	ctl_client_note(c, "relay %u %s: its sessions are incomplete",
	    c->slot, why);
	sessions_next_slot(c);
}

void
ctl_got_row(struct chan *relay, const struct msg_session *s)
{
	struct ctl_client *c = sessions_waiting(relay, s->request);
	struct ctl_row row;

	if (c == NULL)
		return;
	/* Rising ids and a bounded slice: the walk must come to an end. */
	if (SID_SLOT(s->id) != relay->slot || s->id <= c->after ||
	    c->rows >= SLICE) {
		sessions_cut(c, "sent a wrong row");
		ctl_client_push(c);
		return;
	}
	c->after = s->id;
	c->rows++;
	session_row(&row, s);
	ctl_client_row(c, &row);
}

void
ctl_got_end(struct chan *relay, const struct msg_end *e)
{
	struct ctl_client *c = sessions_waiting(relay, e->id);

	if (c == NULL)
		return;
	if (e->more && c->rows > 0)
		ctl_client_answered(c);
	else
		sessions_next_slot(c);
	ctl_client_push(c);
}

/* show listeners: of the committed configuration, kept while we walk. */
static void
listener_row(struct ctl_client *c, const char *name, const char *type,
    const struct conf_listen *l)
{
	const struct addr *a = l->bound.len != 0 ? &l->bound : &l->addr;
	char text[ADDR_TEXT];
	struct ctl_row row;

	ctl_row_init(&row);
	ctl_row_str(&row, CTL_K_NAME, name);
	ctl_row_str(&row, CTL_K_TYPE, type);
	if (l->path != NULL) {
		ctl_row_str(&row, CTL_K_ADDRESS, l->path);
		ctl_row_null(&row, CTL_K_PORT);
	} else {
		ctl_row_str(&row, CTL_K_ADDRESS,
		    addr_format_host(a, text, sizeof(text)));
		ctl_row_u64(&row, CTL_K_PORT, addr_port(a));
	}
	ctl_row_u64(&row, CTL_K_GENERATION, c->conf->generation);
	ctl_client_row(c, &row);
}

/* Those from number *n on, as long as there is room; *n: all seen so far. */
static bool
listener_rows(struct ctl_client *c, const char *name, const char *type,
    const struct conf_listens *list, size_t *n)
{
	const struct conf_listen *l;

	TAILQ_FOREACH(l, list, entry) {
		if ((*n)++ < c->pos)
			continue;
		if (ctl_client_full(c))
			return false;
		listener_row(c, name, type, l);
		c->pos++;
	}
	return true;
}

static void
listeners_pump(struct ctl_client *c)
{
	const struct conf_server *s;
	const struct conf_forward *f;
	size_t n = 0;

	TAILQ_FOREACH(s, &c->conf->servers, entry) {
		if (!listener_rows(c, s->name, "server", &s->listens, &n))
			return;
	}
	TAILQ_FOREACH(f, &c->conf->forwards, entry) {
		if (!listener_rows(c, NULL, "forward", &f->listens, &n))
			return;
	}
	ctl_client_end(c, "");
}

/* show config: the text in pieces. */
static void
config_pump(struct ctl_client *c)
{
	const char *text = c->conf->show_text;
	struct ctl_row row;
	size_t n;

	while (!ctl_client_full(c)) {
		n = strnlen(text + c->pos, CONFIG_CHUNK);
		if (n == 0) {
			ctl_client_end(c, "");
			return;
		}
		ctl_row_init(&row);
		ctl_row_strn(&row, CTL_K_TEXT, text + c->pos, n);
		ctl_client_row(c, &row);
		c->pos += n;
	}
}

static void
show_conf(struct ctl_client *c, void (*pump)(struct ctl_client *))
{
	if (child_conf() == NULL || (c->req.command == CTL_SHOW_CONFIG &&
	    child_conf()->show_text == NULL)) {
		ctl_client_error(c, "there is no configuration yet");
		return;
	}
	c->conf = conf_ref(child_conf());
	c->pump = pump;
}

static void
worker_row(struct ctl_client *c, const struct msg_worker *w)
{
	const struct stats_page *page = board_get_page(w->role, w->slot);
	struct ctl_row row;

	ctl_row_init(&row);
	ctl_row_str(&row, CTL_K_ROLE, role_name(w->role));
	ctl_row_u64(&row, CTL_K_ID, w->slot);
	if (w->pid != 0)
		ctl_row_u64(&row, CTL_K_PID, w->pid);
	else
		ctl_row_null(&row, CTL_K_PID);
	ctl_row_str(&row, CTL_K_STATE, worker_state_word(w->state));
	ctl_row_u64(&row, CTL_K_RESTARTS, w->restarts);
	number_field(&row, CTL_K_SESSIONS, w->role == ROLE_RELAY &&
	    page != NULL ? board_sessions(page) : OFF);
	number_field(&row, CTL_K_DESCRIPTORS, page != NULL &&
	    page->descriptors > 0 ? page->descriptors : OFF);
	ctl_row_bool(&row, CTL_K_ALARM, w->alarm);
	ctl_row_bool(&row, CTL_K_SECCOMP, w->sandbox.seccomp);
	ctl_row_u64(&row, CTL_K_LANDLOCK, w->sandbox.landlock > 0 ?
	    (uint64_t)w->sandbox.landlock : 0);
	ctl_row_bool(&row, CTL_K_CHROOT, w->sandbox.chroot);
	ctl_row_u64(&row, CTL_K_UID, w->sandbox.uid);
	ctl_client_row(c, &row);
}

static void
show_workers(struct ctl_client *c)
{
	const struct msg_worker *w;
	unsigned role, slot;

	for (role = 0; role < ROLE_MAX; role++) {
		for (slot = 0; slot < RELAYS_MAX; slot++) {
			if ((w = board_get_worker(role, slot)) != NULL)
				worker_row(c, w);
		}
	}
	ctl_client_end(c, "");
}

static void
show_health(struct ctl_client *c)
{
	struct ctl_row row;
	struct health h;

	health_get(&h);
	ctl_row_init(&row);
	ctl_row_str(&row, CTL_K_STATUS, h.status);
	ctl_row_str(&row, CTL_K_VERSION, VERSION);
	ctl_row_num(&row, CTL_K_UPTIME, CTL_DURATION, h.uptime);
	number_field(&row, CTL_K_CONNECTIONS, h.connections);
	number_field(&row, CTL_K_MAX_CONNECTIONS, h.max);
	number_field(&row, CTL_K_CAPACITY, h.percent);
	number_field(&row, CTL_K_WORKERS, h.workers);
	ctl_client_row(c, &row);
	ctl_client_end(c, "");
}

/* A row with "name" starts a metric, the others are its samples. */
static void
stats_row(const struct metric *m, void *arg)
{
	struct ctl_row row;
	unsigned i;

	ctl_row_init(&row);
	if (!m->sample) {
		ctl_row_str(&row, CTL_K_NAME, m->name);
		ctl_row_str(&row, CTL_K_TYPE, m->type);
	} else {
		for (i = 0; i < m->nlabels; i++)
			ctl_row_str(&row, m->label[i].key, m->label[i].value);
		ctl_row_u64(&row, CTL_K_VALUE, m->value);
	}
	ctl_client_row(arg, &row);
}

static void
kill_session(struct ctl_client *c)
{
	struct msg_kill msg = { .session = c->req.arg };
	struct chan *relay;
	struct ibuf *b;
	char id[SID_TEXT];

	c->slot = SID_SLOT(msg.session);
	relay = child_peer(ROLE_RELAY, c->slot);
	if (relay == NULL ||
	    relay->incarnation != SID_INCARNATION(msg.session)) {
		ctl_client_error(c, "no session %s",
		    sid_format(msg.session, id));
		return;
	}
	msg.id = ctl_client_ask(c, WAIT_KILL);
	if ((b = chan_msg(relay, MSG_KILL_SESSION)) != NULL &&
	    msg_kill_put(b, &msg) == -1) {
		ibuf_free(b);
		b = NULL;
	}
	if (chan_send(relay, b, -1) == -1)
		ctl_client_error(c, "relay %u cannot be reached", c->slot);
}

static bool
tell_parent(uint32_t type, uint64_t num)
{
	struct ibuf *b = chan_msg(child_parent(), type);

	if (b != NULL && msg_num_put(b, num) == -1) {
		ibuf_free(b);
		b = NULL;
	}
	return chan_send(child_parent(), b, -1) == 0;
}

static void
reload(struct ctl_client *c)
{
	if (!tell_parent(MSG_RELOAD, ctl_client_ask(c, WAIT_RELOAD)))
		ctl_client_error(c, "the parent cannot be reached");
}

static void
set_level(struct ctl_client *c)
{
	if (c->req.arg < LOG_L_BRIEF || c->req.arg > LOG_L_DEBUG)
		ctl_client_error(c, "no such log level");
	else if (!tell_parent(MSG_SET_LOG_LEVEL, c->req.arg))
		ctl_client_error(c, "the parent cannot be reached");
	else
		ctl_client_end(c, "");
}

void
ctl_request_start(struct ctl_client *c)
{
	switch (c->req.command) {
	case CTL_SHOW_SESSIONS:
		c->slot = 0;
		c->after = 0;
		c->pump = sessions_pump;
		break;
	case CTL_SHOW_LISTENERS:
		show_conf(c, listeners_pump);
		break;
	case CTL_SHOW_WORKERS:
		show_workers(c);
		break;
	case CTL_SHOW_HEALTH:
		show_health(c);
		break;
	case CTL_SHOW_STATS:
		metrics_walk(stats_row, c);
		ctl_client_end(c, "");
		break;
	case CTL_SHOW_CONFIG:
		show_conf(c, config_pump);
		break;
	case CTL_KILL_SESSION:
		kill_session(c);
		break;
	case CTL_RELOAD:
		reload(c);
		break;
	case CTL_LOG_LEVEL:
		set_level(c);
		break;
#ifdef TUNNELD_PROBES
	case CTL_PROBE:
		probe_request(c);
		break;
#endif
	case CTL_COMMAND_MAX:
		ctl_client_error(c, "no such command");
		break;
	}
}

void
ctl_got_result(struct chan *from, const struct msg_result *r)
{
	struct ctl_client *c = ctl_client_by_token(r->id);

	if (c == NULL)
		return;
	if (c->req.command == CTL_KILL_SESSION ?
	    from->peer != ROLE_RELAY || from->slot != c->slot :
	    c->req.command != CTL_RELOAD || from->peer != ROLE_PARENT)
		return;
	if (r->ok)
		ctl_client_end(c, r->text);
	else
		ctl_client_error(c, "%s", r->text[0] != '\0' ? r->text :
		    "refused");
	ctl_client_push(c);
}

void
ctl_request_timeout(struct ctl_client *c)
{
	switch (c->req.command) {
	case CTL_SHOW_SESSIONS:
		sessions_cut(c, "does not answer");
		break;
	case CTL_KILL_SESSION:
		ctl_client_error(c, "relay %u does not answer", c->slot);
		break;
	default:
		ctl_client_error(c, "the parent does not answer");
		break;
	}
}

static void
relay_down(struct ctl_client *c, void *arg)
{
	const unsigned *slot = arg;

	if (!c->busy || c->token == 0 || c->slot != *slot)
		return;
	if (c->req.command == CTL_SHOW_SESSIONS)
		sessions_cut(c, "has died");
	else if (c->req.command == CTL_KILL_SESSION)
		ctl_client_error(c, "relay %u has died", c->slot);
}

void
ctl_relay_down(unsigned slot)
{
	ctl_client_each(relay_down, &slot);
}
