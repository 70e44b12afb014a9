/* SPDX-License-Identifier: ISC */
/* metrics.c: every number there is, for /metrics and tunnelctl show stats. */

#include "compat.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "control.h"
#include "reason.h"

#define TEXT_MAX	(1024 * 1024)

static char names[STATS_SERVERS][NAME_MAX_LEN + 1];
static struct stats_page sum;

struct walk {
	void		(*fn)(const struct metric *, void *);
	void		*arg;
	struct metric	m;
};

void
metrics_conf(const struct conf *c)
{
	const struct conf_server *s;

	TAILQ_FOREACH(s, &c->servers, entry) {
		if (s->statidx < STATS_SERVERS)
			strlcpy(names[s->statidx], s->name, sizeof(names[0]));
	}
}

static void
add(uint64_t *to, const uint64_t *from, size_t n)
{
	size_t i;

	/* Each is below 2^53 and there are few pages: no overflow. */
	for (i = 0; i < n; i++)
		to[i] += from[i];
}

static void
add_pages(void)
{
	const struct stats_page *p;
	unsigned role, slot;

	memset(&sum, 0, sizeof(sum));
	for (role = 0; role < ROLE_MAX; role++) {
		for (slot = 0; slot < RELAYS_MAX; slot++) {
			if ((p = board_get_page(role, slot)) == NULL)
				continue;
			add((uint64_t *)&sum, (const uint64_t *)p,
			    sizeof(sum) / sizeof(uint64_t));
		}
	}
}

static void
family(struct walk *w, const char *name, const char *type, const char *help)
{
	w->m.name = name;
	w->m.type = type;
	w->m.help = help;
	w->m.sample = false;
	w->m.nlabels = 0;
	w->fn(&w->m, w->arg);
	w->m.sample = true;
}

static void
label(struct walk *w, enum ctl_key key, const char *value)
{
	w->m.label[w->m.nlabels].key = key;
	w->m.label[w->m.nlabels++].value = value;
}

/* With the labels so far, which are used up. */
static void
sample(struct walk *w, uint64_t value)
{
	w->m.value = value;
	w->fn(&w->m, w->arg);
	w->m.nlabels = 0;
}

/* Index 0 is the forwards, which have no server. */
static void
by_server_and_type(struct walk *w, const uint64_t v[][SESSION_TYPE_MAX])
{
	unsigned i, t;

	for (i = 0; i < STATS_SERVERS; i++) {
		for (t = 0; t < SESSION_TYPE_MAX; t++) {
			if ((i == 0) != (t == SESSION_FORWARD))
				continue;
			if (i > 0 && names[i][0] == '\0')
				continue;
			label(w, CTL_K_SERVER, names[i]);
			label(w, CTL_K_TYPE, session_type_word(t));
			sample(w, v[i][t]);
		}
	}
}

static void
by_direction(struct walk *w)
{
	unsigned i;

	for (i = 0; i < STATS_SERVERS; i++) {
		if (i > 0 && names[i][0] == '\0')
			continue;
		label(w, CTL_K_SERVER, names[i]);
		label(w, CTL_K_DIRECTION, "in");
		sample(w, sum.bytes_in[i]);
		label(w, CTL_K_SERVER, names[i]);
		label(w, CTL_K_DIRECTION, "out");
		sample(w, sum.bytes_out[i]);
	}
}

/* All that can happen, from the start at 0, and whatever did happen. */
static void
by_reason(struct walk *w, const uint64_t *v, bool dial)
{
	bool usual;
	unsigned r;

	for (r = 0; r < REASON_MAX; r++) {
		usual = dial ? r >= REASON_TARGET_NOT_ALLOWED &&
		    r <= REASON_HANDSHAKE_REFUSED : reason_http(r) != 0;
		if (!usual && v[r] == 0)
			continue;
		label(w, CTL_K_REASON, reason_word(r));
		sample(w, v[r]);
	}
}

void
metrics_walk(void (*fn)(const struct metric *, void *), void *arg)
{
	struct walk w = { .fn = fn, .arg = arg };
	unsigned role;

	add_pages();
	family(&w, "sessions_active", "gauge", "Sessions open now.");
	by_server_and_type(&w, sum.active);
	family(&w, "sessions_total", "counter", "Sessions since start.");
	by_server_and_type(&w, sum.total);
	family(&w, "bytes_total", "counter",
	    "Payload bytes, in is client to target.");
	by_direction(&w);
	family(&w, "spliced_bytes_total", "counter",
	    "Payload bytes that went by splice(2), uncopied.");
	sample(&w, sum.spliced);
	family(&w, "refusals_total", "counter",
	    "Requests and sessions refused.");
	by_reason(&w, sum.refusals, false);
	family(&w, "dial_failures_total", "counter",
	    "Targets that could not be reached.");
	by_reason(&w, sum.dial_failures, true);
	family(&w, "worker_restarts_total", "counter",
	    "Processes replaced after their death.");
	for (role = ROLE_CONTROL; role < ROLE_MAX; role++) {
		label(&w, CTL_K_ROLE, role_name(role));
		sample(&w, board_restarts(role));
	}
	family(&w, "log_dropped_total", "counter",
	    "Log records that were lost.");
	sample(&w, sum.log_dropped);
	family(&w, "build_info", "gauge", "The running version; always 1.");
	label(&w, CTL_K_VERSION, VERSION);
	sample(&w, 1);
}

struct text {
	char	*buf;
	size_t	 len, size;
};

static void
text_add(struct text *t, const char *s, size_t n)
{
	size_t size;
	char *p;

	if (t->buf == NULL || n > TEXT_MAX - t->len)
		return;
	if (n >= t->size - t->len) {
		for (size = t->size; n >= size - t->len; size *= 2)
			;
		if ((p = realloc(t->buf, size)) == NULL) {
			free(t->buf);
			t->buf = NULL;
			return;
		}
		t->buf = p;
		t->size = size;
	}
	memcpy(t->buf + t->len, s, n);
	t->len += n;
}

static void
text_printf(struct text *t, const char *fmt, ...)
    __attribute__((__format__(printf, 2, 3)));

static void
text_printf(struct text *t, const char *fmt, ...)
{
	char buf[256];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	if (n > 0 && (size_t)n < sizeof(buf))
		text_add(t, buf, (size_t)n);
}

/* Label values escape backslash, double quote and newline. */
static void
text_label(struct text *t, const char *value)
{
	for (; *value != '\0'; value++) {
		if (*value == '\n')
			text_add(t, "\\n", 2);
		else if (*value == '\\' || *value == '"')
			text_printf(t, "\\%c", *value);
		else
			text_add(t, value, 1);
	}
}

static void
text_metric(const struct metric *m, void *arg)
{
	struct text *t = arg;
	unsigned i;

	if (!m->sample) {
		text_printf(t, "# HELP tunneld_%s %s\n", m->name, m->help);
		text_printf(t, "# TYPE tunneld_%s %s\n", m->name, m->type);
		return;
	}
	text_printf(t, "tunneld_%s", m->name);
	for (i = 0; i < m->nlabels; i++) {
		text_printf(t, "%s%s=\"", i == 0 ? "{" : ",",
		    ctl_key_word(m->label[i].key));
		text_label(t, m->label[i].value);
		text_add(t, "\"", 1);
	}
	text_printf(t, "%s %llu\n", m->nlabels > 0 ? "}" : "",
	    (unsigned long long)m->value);
}

char *
metrics_text(size_t *len)
{
	struct text t = { malloc(8192), 0, 8192 };

	metrics_walk(text_metric, &t);
	*len = t.len;
	return t.buf;
}
