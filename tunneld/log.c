/* SPDX-License-Identifier: ISC */
/*
 * log.c: build and decode log records; formatting is in logfmt.c.
 *
 * A record: level 8, event 8, role 8, slot 16, time 64, then fields of key 8
 * and either a 64-bit number or a 16-bit length and bytes, by the key's type.
 * All in network order.
 */

#include "compat.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf.h"
#include "log.h"
#include "stats.h"

#define HEAD_LEN	13
/*
 * The end of a record is kept for numbers and short words: a long path of a
 * stranger must not push out the byte counts.
 */
#define LONG_STR	32
#define TAIL_RESERVE	320

static enum role self_role = ROLE_PARENT;
static unsigned self_slot;
static enum log_level level_max = LOG_L_BRIEF;
static int (*sink)(const struct logrec *, void *);
static void *sink_arg;
static void (*fatal_hook)(void);
static uint64_t dropped;

#define LEVEL_WORDS { "error", "warn", "brief", "verbose", "debug" }
#define EVENT_WORD(id, word) word,
#define KEY_WORD(id, word, type) word,
#define KEY_TYPE(id, word, type) #type[0],

const char *
log_event_word(enum log_event event)
{
	static const char *words[] = { LOG_EVENTS(EVENT_WORD) };

	return (unsigned)event < LOG_EVENT_MAX ? words[event] : "?";
}

const char *
log_key_word(enum log_key key)
{
	static const char *words[] = { LOG_KEYS(KEY_WORD) };

	return (unsigned)key < LOG_KEY_MAX ? words[key] : "?";
}

char
log_key_type(enum log_key key)
{
	static const char types[] = { LOG_KEYS(KEY_TYPE) };

	return (unsigned)key < LOG_KEY_MAX ? types[key] : 's';
}

const char *
log_level_word(enum log_level level)
{
	static const char *words[] = LEVEL_WORDS;

	return (unsigned)level <= LOG_L_DEBUG ? words[level] : "?";
}

void
log_init(enum role role, unsigned slot)
{
	self_role = role;
	self_slot = slot;
}

void
log_to(int (*fn)(const struct logrec *, void *), void *arg)
{
	sink = fn;
	sink_arg = arg;
}

void
log_atfatal(void (*fn)(void))
{
	fatal_hook = fn;
}

void
log_setlevel(enum log_level level)
{
	level_max = level;
}

enum log_level
log_getlevel(void)
{
	return level_max;
}

uint64_t
log_dropped(void)
{
	return dropped;
}

static void
put(struct logrec *r, uint64_t v, unsigned bytes)
{
	while (bytes-- > 0)
		r->buf[r->len++] = (uint8_t)(v >> (8 * bytes));
}

void
log_begin(struct logrec *r, enum log_level level, enum log_event event)
{
	r->len = 0;
	put(r, level, 1);
	put(r, event, 1);
	put(r, self_role, 1);
	put(r, self_slot, 2);
	put(r, wall_usec(), 8);
}

void
log_strn(struct logrec *r, enum log_key key, const char *s, size_t len)
{
	size_t room = sizeof(r->buf) - r->len;

	if (len > LONG_STR)
		room = room > TAIL_RESERVE ? room - TAIL_RESERVE : 0;
	if (room < 3 || log_key_type(key) != 's')
		return;
	if (len > room - 3)
		len = room - 3;
	put(r, key, 1);
	put(r, len, 2);
	memcpy(r->buf + r->len, s, len);
	r->len += len;
}

void
log_str(struct logrec *r, enum log_key key, const char *s)
{
	if (s != NULL)
		log_strn(r, key, s, strlen(s));
}

void
log_num(struct logrec *r, enum log_key key, uint64_t num)
{
	if (sizeof(r->buf) - r->len < 9 || log_key_type(key) == 's')
		return;
	put(r, key, 1);
	put(r, num, 8);
}

void
log_addr(struct logrec *r, enum log_key key, const struct addr *a)
{
	char text[ADDR_TEXT];

	if (a->len != 0)
		log_str(r, key, addr_format(a, text, sizeof(text)));
}

/* Before there is a logger: text on stderr. */
int
log_stderr(const struct logrec *r)
{
	static char line[LOG_LINE_MAX];
	struct logrec_view v;
	size_t len;

	if (logrec_decode(r->buf, r->len, &v) == -1)
		return -1;
	len = logrec_format(&v, FORMAT_TEXT, line, sizeof(line));
	return write(STDERR_FILENO, line, len) == (ssize_t)len ? 0 : -1;
}

void
log_send(const struct logrec *r)
{
	int saved = errno;

	if (r->buf[0] > (uint8_t)level_max)
		return;
	if ((sink != NULL ? sink(r, sink_arg) : log_stderr(r)) == -1) {
		dropped++;
		stats->log_dropped++;
	}
	errno = saved;
}

static void
note(enum log_level level, int error, const char *fmt, va_list ap)
    __attribute__((__format__(printf, 3, 0)));

static void
note(enum log_level level, int error, const char *fmt, va_list ap)
{
	struct logrec r;
	char text[1024];
	size_t len;

	if (level > level_max)
		return;
	if (vsnprintf(text, sizeof(text), fmt, ap) < 0)
		text[0] = '\0';
	len = strlen(text);
	if (error != 0)
		snprintf(text + len, sizeof(text) - len, "%s%s",
		    len > 0 ? ": " : "", strerror(error));
	log_begin(&r, level, EV_LOG_NOTE);
	log_str(&r, LK_MESSAGE, text);
	log_send(&r);
}

#define NOTE(name, level, error)					\
void									\
name(const char *fmt, ...)						\
{									\
	int saved = errno;						\
	va_list ap;							\
									\
	va_start(ap, fmt);						\
	note(level, error, fmt, ap);					\
	va_end(ap);							\
	errno = saved;							\
}

NOTE(log_error, LOG_L_ERROR, 0)
NOTE(log_warn, LOG_L_WARN, saved)
NOTE(log_warnx, LOG_L_WARN, 0)
NOTE(log_brief, LOG_L_BRIEF, 0)
NOTE(log_verbose, LOG_L_VERBOSE, 0)
NOTE(log_debug, LOG_L_DEBUG, 0)

static void
die(int error, const char *fmt, va_list ap)
    __attribute__((__noreturn__, __format__(printf, 2, 0)));

static void
die(int error, const char *fmt, va_list ap)
{
	static bool dying;
	char text[512];

	/* A sink or hook that fails in its turn must not bring us back. */
	if (!dying) {
		dying = true;
		snprintf(text, sizeof(text), "fatal in %s: %s",
		    role_name(self_role), fmt);
		note(LOG_L_ERROR, error, text, ap);
		if (fatal_hook != NULL)
			fatal_hook();
	}
	_exit(1);
}

void
fatal(const char *fmt, ...)
{
	int error = errno;
	va_list ap;

	va_start(ap, fmt);
	die(error, fmt, ap);
}

void
fatalx(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	die(0, fmt, ap);
}

void
logrec_identify(struct logrec *r, enum role role, unsigned slot)
{
	r->buf[2] = (uint8_t)role;
	r->buf[3] = (uint8_t)(slot >> 8);
	r->buf[4] = (uint8_t)slot;
}

static uint64_t
get(const uint8_t *p, unsigned bytes)
{
	uint64_t v = 0;

	while (bytes-- > 0)
		v = v << 8 | *p++;
	return v;
}

/* One field at p; returns what it takes, or 0 if it is malformed. */
static size_t
decode_field(const uint8_t *p, size_t len, struct logrec_view *v)
{
	enum log_key key = p[0];
	unsigned i;
	size_t n;

	if (p[0] >= LOG_KEY_MAX)
		return 0;
	for (i = 0; i < v->nkv; i++) {
		if (v->kv[i].key == key)
			return 0;
	}
	v->kv[v->nkv].key = key;
	v->kv[v->nkv].str = NULL;
	v->kv[v->nkv].len = 0;
	v->kv[v->nkv].num = 0;
	if (log_key_type(key) != 's') {
		if (len < 9)
			return 0;
		v->kv[v->nkv++].num = get(p + 1, 8);
		return 9;
	}
	if (len < 3 || (n = (size_t)get(p + 1, 2)) > len - 3)
		return 0;
	v->kv[v->nkv].str = (const char *)p + 3;
	v->kv[v->nkv++].len = n;
	return 3 + n;
}

int
logrec_decode(const uint8_t *buf, size_t len, struct logrec_view *v)
{
	size_t pos, n;

	v->nkv = 0;
	if (len < HEAD_LEN || len > LOGREC_MAX)
		return -1;
	if (buf[0] > LOG_L_DEBUG || buf[1] >= LOG_EVENT_MAX ||
	    buf[2] >= ROLE_MAX)
		return -1;
	v->level = buf[0];
	v->event = buf[1];
	v->role = buf[2];
	v->slot = (unsigned)get(buf + 3, 2);
	v->time = get(buf + 5, 8);
	for (pos = HEAD_LEN; pos < len; pos += n) {
		if ((n = decode_field(buf + pos, len - pos, v)) == 0)
			return -1;
	}
	return 0;
}
