/* SPDX-License-Identifier: ISC */
/* logfmt.c: a log record as a line of text, JSON or colour. */

#include "compat.h"

#include <stdio.h>
#include <string.h>

#include "conf.h"
#include "json.h"
#include "log.h"
#include "visstr.h"

/* A line under construction; cut when full, with room for "\n" kept. */
struct line {
	char		*buf;
	size_t		len, size;
};

static void
add(struct line *l, const char *fmt, ...)
    __attribute__((__format__(printf, 2, 3)));

static void
add(struct line *l, const char *fmt, ...)
{
	size_t room = l->size - l->len;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(l->buf + l->len, room, fmt, ap);
	va_end(ap);
	if (n > 0)
		l->len += (size_t)n < room ? (size_t)n : room - 1;
}

static size_t
finish(struct line *l)
{
	l->buf[l->len++] = '\n';
	l->buf[l->len] = '\0';
	return l->len;
}

/* " key=value" */
static void
add_field(struct line *l, const struct logrec_view *v, unsigned i,
    const char *before, const char *after)
{
	enum log_key key = v->kv[i].key;
	uint64_t num = v->kv[i].num;

	add(l, " %s%s=%s", before, log_key_word(key), after);
	switch (log_key_type(key)) {
	case 'n':
		add(l, "%llu", (unsigned long long)num);
		break;
	case 'd':
		add(l, "%llu.%03u", (unsigned long long)(num / 1000000),
		    (unsigned)(num / 1000 % 1000));
		break;
	default:
		l->len += visstr_quoted(l->buf + l->len, l->size - l->len,
		    v->kv[i].str, v->kv[i].len);
		break;
	}
}

static size_t
format_text(const struct logrec_view *v, struct line *l)
{
	char when[RFC3339_LEN];
	unsigned i;

	add(l, "%s %s[%u] %s", rfc3339(v->time, when), role_name(v->role),
	    v->slot, log_event_word(v->event));
	if (v->level <= LOG_L_WARN)
		add(l, " level=%s", log_level_word(v->level));
	for (i = 0; i < v->nkv; i++)
		add_field(l, v, i, "", "");
	return finish(l);
}

static const char *
colour(const struct logrec_view *v)
{
	if (v->level == LOG_L_ERROR)
		return "\033[1;31m";
	if (v->level == LOG_L_WARN)
		return "\033[33m";
	if (v->event == EV_LOG_OPEN || v->event == EV_LOG_READY)
		return "\033[32m";
	return "\033[36m";
}

static size_t
format_pretty(const struct logrec_view *v, struct line *l)
{
	char when[RFC3339_LEN], who[16];
	unsigned i;

	rfc3339(v->time, when);
	snprintf(who, sizeof(who), "%s %u", role_name(v->role), v->slot);
	/* The time of day is enough for eyes that follow. */
	add(l, "\033[2m%.12s\033[0m %-9s %s%-13s\033[0m", when + 11, who,
	    colour(v), log_event_word(v->event));
	for (i = 0; i < v->nkv; i++) {
		if (v->kv[i].key != LK_MESSAGE) {
			add_field(l, v, i, "\033[2m", "\033[0m");
			continue;
		}
		add(l, " ");
		l->len += visstr(l->buf + l->len, l->size - l->len,
		    v->kv[i].str, v->kv[i].len);
	}
	return finish(l);
}

static void
json_field(struct json *j, const struct logrec_view *v, unsigned i)
{
	json_name(j, log_key_word(v->kv[i].key));
	switch (log_key_type(v->kv[i].key)) {
	case 'n':
		json_u64(j, v->kv[i].num);
		break;
	case 'd':
		json_duration(j, v->kv[i].num);
		break;
	default:
		json_stringn(j, v->kv[i].str, v->kv[i].len);
		break;
	}
}

static void
json_head(struct json *j, const struct logrec_view *v, bool session)
{
	unsigned i;

	json_object(j);
	json_name(j, "time");
	json_time(j, v->time);
	json_name(j, "level");
	json_string(j, log_level_word(v->level));
	json_name(j, "process");
	json_string(j, role_name(v->role));
	json_name(j, "worker");
	json_u64(j, v->slot);
	for (i = 0; session && i < v->nkv; i++) {
		if (v->kv[i].key == LK_SESSION)
			json_field(j, v, i);
	}
	json_name(j, "event");
	json_string(j, log_event_word(v->event));
}

static size_t
format_json(const struct logrec_view *v, struct line *l)
{
	struct json j;
	unsigned i;

	json_init_fixed(&j, l->buf, l->size);
	json_head(&j, v, true);
	for (i = 0; i < v->nkv; i++) {
		if (v->kv[i].key != LK_SESSION)
			json_field(&j, v, i);
	}
	json_end_object(&j);
	if (j.failed) {
		json_init_fixed(&j, l->buf, l->size);
		json_head(&j, v, false);
		json_end_object(&j);
		if (j.failed) {
			l->buf[0] = '\0';
			return 0;
		}
	}
	l->len = j.len;
	return finish(l);
}

size_t
logrec_format(const struct logrec_view *v, int format, char *buf, size_t size)
{
	/* One byte less: finish() adds the newline. */
	struct line l = { buf, 0, size - 1 };

	if (size < 3) {
		if (size > 0)
			buf[0] = '\0';
		return 0;
	}
	switch (format) {
	case FORMAT_JSON:
		return format_json(v, &l);
	case FORMAT_PRETTY:
		return format_pretty(v, &l);
	default:
		return format_text(v, &l);
	}
}
