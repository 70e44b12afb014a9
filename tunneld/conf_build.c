/* SPDX-License-Identifier: ISC */

/* conf_build.c: checks words of the grammar; the global settings. */

#include "compat.h"

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <ctype.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "conf_build.h"
#include "conf_value.h"
#include "http1.h"
#include "log.h"
#include "tunneld.h"

#define SEC		1000000ULL
#define DAY		(86400 * SEC)
#define K		1024ULL

enum type { T_NUMBER, T_TIME, T_SIZE };

/*
 * Settings that are one number.  A field is uint64_t or uint32_t; off is
 * UINT64_MAX, so only the former can be.
 */
static const struct number {
	enum type	 type;
	enum scope	 scope;		/* whose field */
	size_t		 offset, size;
	uint64_t	 min, max;
	bool		 off;
} numbers[SET_MAX] = {
#define FIELD(s, f)	offsetof(struct s, f), sizeof(((struct s *)0)->f)
	[SET_PREFORK] = { T_NUMBER, IN_GLOBAL, FIELD(conf, prefork),
	    1, RELAYS_MAX, false },
	[SET_GRACE] = { T_TIME, IN_GLOBAL, FIELD(conf, grace),
	    1000, 365 * DAY, true },
	[SET_LOG_SIZE] = { T_SIZE, IN_GLOBAL, FIELD(conf, log_size),
	    4 * K, 1024 * K * K * K, true },
	[SET_LOG_AGE] = { T_TIME, IN_GLOBAL, FIELD(conf, log_age),
	    SEC, 3650 * DAY, true },
	[SET_LOG_KEEP] = { T_NUMBER, IN_GLOBAL, FIELD(conf, log_keep),
	    0, 1000, false },
	[SET_T_HANDSHAKE] = { T_TIME, IN_GLOBAL, FIELD(conf, t_handshake),
	    1000, 365 * DAY, true },
	[SET_T_CONNECT] = { T_TIME, IN_GLOBAL, FIELD(conf, t_connect),
	    1000, 365 * DAY, true },
	[SET_T_CLOSE] = { T_TIME, IN_GLOBAL, FIELD(conf, t_close),
	    1000, 365 * DAY, true },
	[SET_T_STALL] = { T_TIME, IN_GLOBAL, FIELD(conf, t_stall),
	    1000, 365 * DAY, true },
	[SET_T_IDLE] = { T_TIME, IN_GLOBAL, FIELD(conf, t_idle),
	    1000, 365 * DAY, true },
	[SET_PING_EVERY] = { T_TIME, IN_GLOBAL, FIELD(conf, ping_every),
	    1000, 365 * DAY, false },
	[SET_PING_TIMEOUT] = { T_TIME, IN_GLOBAL, FIELD(conf, ping_timeout),
	    1000, 365 * DAY, false },
	[SET_MAX_SESSIONS] = { T_NUMBER, IN_SERVER,
	    FIELD(conf_server, max_sessions), 1, 1000000, true },
	[SET_MAX_PER_SOURCE] = { T_NUMBER, IN_SERVER,
	    FIELD(conf_server, max_per_source), 1, 1000000, true },
	[SET_MAX_REQUEST_LINE] = { T_SIZE, IN_SERVER,
	    FIELD(conf_server, max_request_line), 256, 64 * K, false },
	[SET_MAX_HEADERS] = { T_NUMBER, IN_SERVER,
	    FIELD(conf_server, max_headers), 8, HTTP1_HEADERS_MAX, false },
	[SET_MAX_HEADER_BYTES] = { T_SIZE, IN_SERVER,
	    FIELD(conf_server, max_header_bytes), 512, 64 * K, false },
	[SET_LOC_MAX_SESSIONS] = { T_NUMBER, IN_LOC,
	    FIELD(conf_loc, max_sessions), 1, 1000000, true },
	[SET_LOC_MESSAGE] = { T_SIZE, IN_LOC,
	    FIELD(conf_loc, message_max), 128, 64 * K * K, false },
	[SET_FORWARD_MESSAGE] = { T_SIZE, IN_FORWARD,
	    FIELD(conf_forward, message_max), 128, 64 * K * K, false },
	[SET_WAIT] = { T_TIME, IN_FORWARD,
	    FIELD(conf_forward, half_close_wait), 1000, 365 * DAY, true },
#undef FIELD
};

void *
build_alloc(size_t size)
{
	void	*p;

	if ((p = calloc(1, size)) == NULL)
		fatal("calloc");
	return p;
}

char *
build_strdup(const char *s)
{
	char	*p;

	if ((p = strdup(s)) == NULL)
		fatal("strdup");
	return p;
}

char *
build_lower(const char *s)
{
	char	*p, *q;

	p = build_strdup(s);
	for (q = p; *q != '\0'; q++)
		*q = (char)tolower((unsigned char)*q);
	return p;
}

enum scope
build_scope(const struct build *b)
{
	if (b->loc != NULL)
		return IN_LOC;
	if (b->server != NULL)
		return IN_SERVER;
	return b->forward != NULL ? IN_FORWARD : IN_GLOBAL;
}

bool
build_once(struct build *b, enum setting set, const struct word *kw)
{
	const struct word	**seen = &b->seen[build_scope(b)][set];

	if (*seen == NULL) {
		*seen = kw;
		return true;
	}
	if (strcmp((*seen)->file, kw->file) == 0)
		lex_error(b->lx, kw, "this only once: it is set in line %d "
		    "already", (*seen)->line);
	else
		lex_error(b->lx, kw, "this only once: it is set in %s:%d "
		    "already", (*seen)->file, (*seen)->line);
	return false;
}

bool
build_item(struct build *b, const struct word *w)
{
	if (b->nitems++ < CONF_ITEMS_MAX)
		return true;
	if (b->nitems == CONF_ITEMS_MAX + 1)
		lex_error(b->lx, w, "at most %d entries in all lists together",
		    CONF_ITEMS_MAX);
	return false;
}

static bool
is_off(const struct word *w)
{
	return !w->quoted && strcmp(w->text, "off") == 0;
}

int
build_port(struct build *b, const struct word *w, unsigned min, uint16_t *port)
{
	uint64_t	 v;

	if (value_number(w->text, &v) == -1 || v < min || v > 65535) {
		lex_error(b->lx, w, "a port from %u to 65535", min);
		return -1;
	}
	*port = (uint16_t)v;
	return 0;
}

static int
check_path(struct build *b, const struct word *w)
{
	if (w->text[0] != '/' || w->text[1] == '\0') {
		lex_error(b->lx, w, "an absolute path");
		return -1;
	}
	if (strlen(w->text) >= PATH_MAX_LEN) {
		lex_error(b->lx, w, "a path of at most %d bytes",
		    PATH_MAX_LEN - 1);
		return -1;
	}
	return 0;
}

int
build_sunpath(struct build *b, const struct word *w)
{
	const struct sockaddr_un	*un;

	if (check_path(b, w) == -1)
		return -1;
	if (strlen(w->text) >= sizeof(un->sun_path)) {
		lex_error(b->lx, w, "a path of at most %zu bytes: a UNIX "
		    "socket's cannot be longer", sizeof(un->sun_path) - 1);
		return -1;
	}
	return 0;
}

/* -------------------------------------------------------------- numbers */

static void
number_error(struct build *b, const struct number *n, const struct word *w)
{
	char		 min[VALUE_TEXT], max[VALUE_TEXT];
	const char	*off = n->off ? ", or \"off\"" : "";

	switch (n->type) {
	case T_NUMBER:
		lex_error(b->lx, w, "a number from %" PRIu64 " to %" PRIu64
		    "%s", n->min, n->max, off);
		break;
	case T_TIME:
		lex_error(b->lx, w, "a time such as 500ms, 10s, 5m, 2h or 7d, "
		    "from %s to %s%s", value_time_format(n->min, min),
		    value_time_format(n->max, max), off);
		break;
	case T_SIZE:
		lex_error(b->lx, w, "a size such as 512, 32K, 10M or 1G, "
		    "from %s to %s%s", value_size_format(n->min, min),
		    value_size_format(n->max, max), off);
		break;
	}
}

static int
number_parse(const struct number *n, const struct word *w, uint64_t *v)
{
	int	 r = -1;

	if (n->off && is_off(w)) {
		*v = OFF;
		return 0;
	}
	switch (n->type) {
	case T_NUMBER:
		r = value_number(w->text, v);
		break;
	case T_TIME:
		r = value_time(w->text, v);
		break;
	case T_SIZE:
		r = value_size(w->text, v);
		break;
	}
	return r == -1 || *v < n->min || *v > n->max ? -1 : 0;
}

void
conf_set(struct build *b, enum setting set, const struct word *kw,
    const struct word *value)
{
	const struct number	*n = &numbers[set];
	uint64_t		 v;
	uint32_t		 v32;
	char			*base = (char *)b->c;

	if (!build_once(b, set, kw))
		return;
	if (number_parse(n, value, &v) == -1) {
		number_error(b, n, value);
		return;
	}
	if (n->scope == IN_SERVER)
		base = (char *)b->server;
	else if (n->scope == IN_LOC)
		base = (char *)b->loc;
	else if (n->scope == IN_FORWARD)
		base = (char *)b->forward;
	if (n->size == sizeof(v))
		memcpy(base + n->offset, &v, sizeof(v));
	else {
		v32 = (uint32_t)v;
		memcpy(base + n->offset, &v32, sizeof(v32));
	}
	if (set == SET_MAX_SESSIONS)
		b->server->max_sessions_line = kw->line;
}

/* -------------------------------------------------------------- globals */

void
conf_set_user(struct build *b, const struct word *kw, const struct word *name)
{
	size_t	 i;

	if (!build_once(b, SET_USER, kw))
		return;
	for (i = 0; name->text[i] != '\0'; i++)
		if (!isalnum((unsigned char)name->text[i]) &&
		    strchr("_-.$", name->text[i]) == NULL)
			break;
	if (i == 0 || i > 32 || name->text[i] != '\0' ||
	    name->text[0] == '-') {
		lex_error(b->lx, name, "the name of a user");
		return;
	}
	b->c->user = build_strdup(name->text);
}

void
conf_set_chroot(struct build *b, const struct word *kw, const struct word *dir)
{
	if (!build_once(b, SET_CHROOT, kw))
		return;
	if (is_off(dir))
		b->c->chroot_off = true;
	else if (check_path(b, dir) == 0)
		b->c->chroot = build_strdup(dir->text);
}

void
conf_set_hosts(struct build *b, const struct word *kw, const struct word *path)
{
	if (build_once(b, SET_HOSTS, kw) && check_path(b, path) == 0)
		b->c->hosts_path = build_strdup(path->text);
}

void
conf_set_control(struct build *b, const struct word *kw,
    const struct word *path, const struct word *mode)
{
	if (!build_once(b, SET_CONTROL, kw))
		return;
	if (path == NULL) {
		b->c->control_off = true;
		return;
	}
	if (mode != NULL && (value_mode(mode->text, &b->c->control_mode) ==
	    -1 || (b->c->control_mode & 0600) != 0600)) {
		lex_error(b->lx, mode, "an octal mode such as 0660");
		return;
	}
	if (build_sunpath(b, path) == 0)
		b->c->control_path = build_strdup(path->text);
}

void
conf_set_log(struct build *b, const struct word *kw, enum log_dest dest,
    const struct word *path)
{
	if (!build_once(b, SET_LOG_TO, kw))
		return;
	b->c->log_set = true;
	b->c->log_dest = dest;
	if (path != NULL && (dest == LOG_SYSLOG ? build_sunpath(b, path) :
	    check_path(b, path)) == 0)
		b->c->log_path = build_strdup(path->text);
}

void
conf_set_log_option(struct build *b, enum setting set, const struct word *kw,
    const struct word *value)
{
	if (set != SET_LOG_FORMAT) {
		if (b->c->log_dest != LOG_FILE)
			lex_error(b->lx, kw, "\"%s\" only behind the name of "
			    "a file: other logs are not rotated", kw->text);
		else
			conf_set(b, set, kw, value);
		return;
	}
	if (!build_once(b, set, kw))
		return;
	if (strcmp(value->text, "text") == 0)
		b->c->log_format = FORMAT_TEXT;
	else if (strcmp(value->text, "json") == 0)
		b->c->log_format = FORMAT_JSON;
	else if (strcmp(value->text, "pretty") == 0)
		b->c->log_format = FORMAT_PRETTY;
	else
		lex_error(b->lx, value, "text, json or pretty");
}

void
conf_set_log_level(struct build *b, const struct word *kw,
    const struct word *level)
{
	if (!build_once(b, SET_LOG_LEVEL, kw))
		return;
	if (strcmp(level->text, "brief") == 0)
		b->c->log_level = LOG_L_BRIEF;
	else if (strcmp(level->text, "verbose") == 0)
		b->c->log_level = LOG_L_VERBOSE;
	else if (strcmp(level->text, "debug") == 0)
		b->c->log_level = LOG_L_DEBUG;
	else
		lex_error(b->lx, level, "brief, verbose or debug");
}

void
conf_set_timeout(struct build *b, const struct word *name,
    const struct word *value)
{
	static const struct {
		const char	*word;
		enum setting	 set;
	} names[] = {
		{ "handshake", SET_T_HANDSHAKE },
		{ "connect", SET_T_CONNECT },
		{ "close", SET_T_CLOSE },
		{ "stall", SET_T_STALL },
		{ "idle", SET_T_IDLE }
	};
	size_t	 i;

	for (i = 0; i < nitems(names); i++)
		if (strcmp(name->text, names[i].word) == 0) {
			conf_set(b, names[i].set, name, value);
			return;
		}
	lex_error(b->lx, name, "handshake, connect, close, stall or idle");
}

void
conf_set_ping(struct build *b, const struct word *kw, const struct word *every,
    const struct word *timeout)
{
	if (!build_once(b, SET_PING, kw))
		return;
	if (every == NULL) {
		b->c->ping_every = OFF;
		return;
	}
	conf_set(b, SET_PING_EVERY, kw, every);
	conf_set(b, SET_PING_TIMEOUT, kw, timeout);
}

void
conf_add_resolver(struct build *b, const struct word *addr,
    const struct word *port)
{
	struct conf_resolver	*r, *e;
	struct addr		 a;
	uint16_t		 n;
	unsigned		 count = 0;

	if (addr_parse(addr->text, 0, &a) == -1) {
		lex_error(b->lx, addr, "a numeric address");
		return;
	}
	if (build_port(b, port, 1, &n) == -1)
		return;
	addr_set_port(&a, n);
	TAILQ_FOREACH(e, &b->c->resolvers, entry) {
		count++;
		if (addr_equal(&e->addr, &a, true)) {
			lex_error(b->lx, addr, "each resolver only once");
			return;
		}
	}
	if (count == CONF_RESOLVERS_MAX) {
		lex_error(b->lx, addr, "at most %d resolvers",
		    CONF_RESOLVERS_MAX);
		return;
	}
	r = build_alloc(sizeof(*r));
	r->addr = a;
	TAILQ_INSERT_TAIL(&b->c->resolvers, r, entry);
}
