/* SPDX-License-Identifier: ISC */

/* conf_blocks.c: builds servers, locations and forwards from words. */

#include "compat.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "conf_build.h"

#define SOKKEN_MESSAGE	32768		/* its longest message */

/* -------------------------------------------------------- shared pieces */

int
build_cidrs(struct build *b, struct conf_cidrs *to, const struct word *list)
{
	struct conf_cidr	*e;
	struct cidr		 cidr;
	int			 r = 0;

	for (; list != NULL; list = list->next) {
		if (!build_item(b, list))
			return -1;
		if (cidr_parse(list->text, &cidr) == -1) {
			lex_error(b->lx, list, "an address block such as "
			    "10.0.0.0/8 or ::1/128, with no bits set behind "
			    "its prefix");
			r = -1;
			continue;
		}
		e = build_alloc(sizeof(*e));
		e->cidr = cidr;
		TAILQ_INSERT_TAIL(to, e, entry);
	}
	return r;
}

/* host[:port] of an origin, in place; a default port is cut off. */
static bool
origin_host(char *host, const char *port)
{
	char		*colon = strrchr(host, ':'), name[HOST_MAX + 1];
	char		 with[HOST_MAX + 16];
	uint16_t	 n;
	bool		 numeric, hasport;

	if (strlen(host) > HOST_MAX + 8)
		return false;
	hasport = colon != NULL && (host[0] != '[' || colon[-1] == ']');
	(void)snprintf(with, sizeof(with), "%s%s", host, hasport ? "" : ":1");
	if (hostport_parse(with, name, sizeof(name), &n, &numeric) == -1)
		return false;
	if (hasport && port != NULL && strcmp(colon + 1, port) == 0)
		*colon = '\0';
	return true;
}

/*
 * An origin as browsers send it (RFC 6454, 6.2): lower case, without the
 * default port of its scheme.  malloc'd, or NULL.
 */
static char *
origin_canonical(const char *text)
{
	static const struct {
		const char	*scheme, *port;
	} defaults[] = { { "http", "80" }, { "https", "443" } };
	const char	*port = NULL;
	char		*o, *sep, *p;
	size_t		 i;

	o = build_lower(text);
	if (!isalpha((unsigned char)o[0]) || (sep = strstr(o, "://")) == NULL)
		goto bad;
	for (p = o; p < sep; p++)
		if (!isalnum((unsigned char)*p) && strchr("+-.", *p) == NULL)
			goto bad;
	for (i = 0; i < nitems(defaults); i++)
		if (strlen(defaults[i].scheme) == (size_t)(sep - o) &&
		    memcmp(o, defaults[i].scheme, (size_t)(sep - o)) == 0)
			port = defaults[i].port;
	if ((size_t)(sep - o) > 32 || !origin_host(sep + 3, port))
		goto bad;
	return o;
bad:
	free(o);
	return NULL;
}

int
build_origins(struct build *b, struct conf_origins *to,
    const struct word *list)
{
	struct conf_origin	*e;
	char			*o;
	int			 r = 0;

	for (; list != NULL; list = list->next) {
		if (!build_item(b, list))
			return -1;
		if ((o = origin_canonical(list->text)) == NULL) {
			lex_error(b->lx, list, "an origin such as "
			    "\"https://www.example.org\" or "
			    "\"http://host:8080\", without a path");
			r = -1;
			continue;
		}
		e = build_alloc(sizeof(*e));
		e->origin = o;
		TAILQ_INSERT_TAIL(to, e, entry);
	}
	return r;
}

void
conf_set_origin(struct build *b, const struct word *kw,
    const struct word *mode, const struct word *list)
{
	enum origin_mode	*m;
	struct conf_origins	*origins;

	if (!build_once(b, SET_ORIGIN, kw))
		return;
	m = b->loc != NULL ? &b->loc->origin_mode : &b->server->origin_mode;
	origins = b->loc != NULL ? &b->loc->origins : &b->server->origins;
	if (list != NULL) {
		*m = ORIGIN_LIST;
		build_origins(b, origins, list);
	} else if (strcmp(mode->text, "same-host") == 0)
		*m = ORIGIN_SAME_HOST;
	else if (strcmp(mode->text, "any") == 0)
		*m = ORIGIN_ANY;
	else
		lex_error(b->lx, mode, "same-host, any, or a list of origins "
		    "in { }");
}

void
conf_set_subprotocol(struct build *b, const struct word *kw,
    const struct word *name)
{
	if (!build_once(b, SET_SUBPROTOCOL, kw))
		return;
	if (strcmp(name->text, "sokken") != 0)
		lex_error(b->lx, name, "\"sokken\": others are chosen without "
		    "being configured");
	else if (b->loc != NULL)
		b->loc->sokken = true;
	else
		b->forward->sokken = true;
}

/* ------------------------------------------------------------ listeners */

/* Does anybody listen there already?  Port 0 is a new one each time. */
static const struct conf_listen *
find_listen(const struct conf_listens *list, const struct addr *a,
    const char *path)
{
	const struct conf_listen	*l;

	TAILQ_FOREACH(l, list, entry) {
		if (path != NULL) {
			if (l->path != NULL && strcmp(l->path, path) == 0)
				return l;
		} else if (l->path == NULL && addr_port(a) != 0 &&
		    addr_equal(&l->addr, a, true))
			return l;
	}
	return NULL;
}

static const struct conf_listen *
find_listener(const struct conf *c, const struct addr *a, const char *path)
{
	const struct conf_server	*s;
	const struct conf_forward	*f;
	const struct conf_listen	*l;

	TAILQ_FOREACH(s, &c->servers, entry)
		if ((l = find_listen(&s->listens, a, path)) != NULL)
			return l;
	TAILQ_FOREACH(f, &c->forwards, entry)
		if ((l = find_listen(&f->listens, a, path)) != NULL)
			return l;
	return NULL;
}

static struct conf_listen *
new_listen(struct build *b, const struct word *w, const struct addr *a,
    const char *path)
{
	const struct conf_listen	*other;
	struct conf_listen		*l;

	if ((other = find_listener(b->c, a, path)) != NULL) {
		lex_error(b->lx, w, path != NULL ?
		    "another path: it is listened on since line %d" :
		    "another address or port: it is listened on since line %d",
		    other->line);
		return NULL;
	}
	if (b->nlistens++ >= CONF_LISTENS_MAX) {
		if (b->nlistens == CONF_LISTENS_MAX + 1)
			lex_error(b->lx, w, "at most %d listening sockets",
			    CONF_LISTENS_MAX);
		return NULL;
	}
	l = build_alloc(sizeof(*l));
	l->fd = -1;
	l->line = w->line;
	if (path != NULL)
		l->path = build_strdup(path);
	else
		l->addr = *a;
	return l;
}

/* One listener, or the two of "*". */
static void
add_listens(struct build *b, struct conf_listens *to, const struct word *addr,
    const struct word *port)
{
	static const char *const	 wild[] = { "0.0.0.0", "::" };
	struct conf_listen		*l;
	struct addr			 a;
	uint16_t			 n;
	bool				 any = strcmp(addr->text, "*") == 0;
	size_t				 i;

	if (!any && addr_parse(addr->text, 0, &a) == -1) {
		lex_error(b->lx, addr, "a numeric address, or *");
		return;
	}
	if (build_port(b, port, 0, &n) == -1)
		return;
	for (i = 0; i < (any ? nitems(wild) : 1); i++) {
		if (any)
			addr_parse(wild[i], 0, &a);
		addr_set_port(&a, n);
		if ((l = new_listen(b, addr, &a, NULL)) == NULL)
			return;
		l->any = any;
		TAILQ_INSERT_TAIL(to, l, entry);
	}
}

/* -------------------------------------------------------------- servers */

static bool
server_name_valid(const char *s)
{
	size_t	 i;

	for (i = 0; s[i] != '\0'; i++)
		if (!isalnum((unsigned char)s[i]) &&
		    strchr("._-", s[i]) == NULL)
			return false;
	return i > 0 && i <= NAME_MAX_LEN;
}

void
conf_server_begin(struct build *b, const struct word *name)
{
	struct conf_server	*s, *other;

	b->server_errors = lex_errors(b->lx);
	memset(b->seen[IN_SERVER], 0, sizeof(b->seen[IN_SERVER]));
	if (!server_name_valid(name->text))
		lex_error(b->lx, name, "a server name of 1 to %d letters, "
		    "digits, \".\", \"_\" or \"-\"", NAME_MAX_LEN);
	TAILQ_FOREACH(other, &b->c->servers, entry)
		if (strcmp(other->name, name->text) == 0) {
			lex_error(b->lx, name, "another name: the server of "
			    "line %d has this one", other->line);
			break;
		}
	if (b->nservers++ == CONF_SERVERS_MAX)
		lex_error(b->lx, name, "at most %d servers",
		    CONF_SERVERS_MAX);

	s = build_alloc(sizeof(*s));
	TAILQ_INIT(&s->listens);
	TAILQ_INIT(&s->locs);
	TAILQ_INIT(&s->trusted);
	TAILQ_INIT(&s->origins);
	s->name = build_strdup(name->text);
	s->file = build_strdup(name->file);
	s->line = name->line;
	s->max_sessions = 1000;
	s->max_per_source = OFF;
	s->max_request_line = 8 * 1024;
	s->max_headers = 64;
	s->max_header_bytes = 16 * 1024;
	s->origin_mode = ORIGIN_SAME_HOST;
	TAILQ_INSERT_TAIL(&b->c->servers, s, entry);
	b->server = s;
	b->server_word = name;
}

void
conf_server_end(struct build *b)
{
	struct conf_server	*s = b->server;

	/* What seems to be missing may stand in a line that was refused. */
	if (lex_errors(b->lx) == b->server_errors) {
		if (TAILQ_EMPTY(&s->listens))
			lex_error(b->lx, b->server_word,
			    "\"listen on\" in this server");
		if (TAILQ_EMPTY(&s->locs))
			lex_error(b->lx, b->server_word,
			    "a \"location\" in this server");
	}
	b->server = NULL;
}

void
conf_server_listen(struct build *b, const struct word *addr,
    const struct word *port)
{
	add_listens(b, &b->server->listens, addr, port);
}

void
conf_server_trusted(struct build *b, const struct word *kw,
    const struct word *list)
{
	if (build_once(b, SET_TRUSTED, kw))
		build_cidrs(b, &b->server->trusted, list);
}

/* ------------------------------------------------------------ locations */

/*
 * What is wrong with a pattern, or NULL.  It is compared with a decoded path
 * without its query, and paths with "." and ".." segments are refused: a
 * pattern that could never match is a mistake.
 */
static const char *
pattern_wrong(const char *p)
{
	const char	*seg, *star;
	size_t		 n;

	if (p[0] != '/')
		return "a path that starts with \"/\"";
	if (strlen(p) >= PATH_MAX_LEN)
		return "a path of at most 1023 bytes";
	if ((star = strchr(p, '*')) != NULL &&
	    (star[1] != '\0' || star[-1] != '/'))
		return "\"*\" only as the end of a path: \"/path/*\"";
	if (strchr(p, '%') != NULL)
		return "a decoded path, without \"%\"";
	if (strpbrk(p, "?#") != NULL)
		return "a path without query or fragment";
	for (seg = p + 1;; seg += n + 1) {
		n = strcspn(seg, "/");
		if ((n == 1 && seg[0] == '.') ||
		    (n == 2 && seg[0] == '.' && seg[1] == '.'))
			return "a path without \".\" and \"..\"";
		if (seg[n] == '\0')
			return NULL;
	}
}

/*
 * First match in file order: a second one of the same pattern is never met.
 * That an earlier "/a/" + "*" covers a later "/a/b" is left to the operator.
 */
static void
check_twice(struct build *b, const struct word *w)
{
	const struct conf_loc	*l;

	TAILQ_FOREACH(l, &b->server->locs, entry)
		if (strcmp(l->pattern, w->text) == 0) {
			lex_error(b->lx, w, "another path: the location of "
			    "line %d has this one", l->line);
			return;
		}
}

void
conf_loc_begin(struct build *b, const struct word *pattern)
{
	struct conf_loc	*l;
	const char	*wrong;

	b->loc_errors = lex_errors(b->lx);
	memset(b->seen[IN_LOC], 0, sizeof(b->seen[IN_LOC]));
	if ((wrong = pattern_wrong(pattern->text)) != NULL)
		lex_error(b->lx, pattern, "%s", wrong);
	else
		check_twice(b, pattern);
	if (b->nlocs++ == CONF_LOCS_MAX)
		lex_error(b->lx, pattern, "at most %d locations",
		    CONF_LOCS_MAX);

	l = build_alloc(sizeof(*l));
	TAILQ_INIT(&l->targets);
	TAILQ_INIT(&l->origins);
	TAILQ_INIT(&l->allow);
	l->server = b->server;
	l->line = pattern->line;
	l->pattern = build_strdup(pattern->text);
	l->prefix = wrong == NULL && strchr(pattern->text, '*') != NULL;
	l->origin_mode = ORIGIN_INHERIT;
	l->max_sessions = OFF;
	TAILQ_INSERT_TAIL(&b->server->locs, l, entry);
	b->loc = l;
	b->loc_word = pattern;
}

void
conf_loc_end(struct build *b)
{
	const struct word	**seen = b->seen[IN_LOC];
	struct conf_loc		 *l = b->loc;

	if (seen[SET_ACTION] == NULL) {
		if (lex_errors(b->lx) == b->loc_errors)
			lex_error(b->lx, b->loc_word, "\"forward to\", "
			    "\"echo\", \"health\" or \"metrics\" in this "
			    "location");
	} else if (l->sokken && l->kind != LOC_FORWARD && l->kind != LOC_LIST)
		lex_error(b->lx, seen[SET_SUBPROTOCOL], "it only together "
		    "with \"forward to\"");
	if (l->sokken && l->message_max > SOKKEN_MESSAGE)
		lex_error(b->lx, seen[SET_LOC_MESSAGE], "at most 32K with "
		    "subprotocol \"sokken\"");
	b->loc = NULL;
}

void
conf_loc_plain(struct build *b, const struct word *kw, enum loc_kind kind)
{
	if (build_once(b, SET_ACTION, kw))
		b->loc->kind = kind;
}

static struct conf_target *
new_target(struct build *b, enum target_kind kind)
{
	struct conf_target	*t;

	t = build_alloc(sizeof(*t));
	t->kind = kind;
	TAILQ_INSERT_TAIL(&b->loc->targets, t, entry);
	return t;
}

static void
add_target(struct build *b, const char *host, uint16_t port)
{
	struct conf_target	*t;
	struct addr		 a;

	if (addr_parse(host, port, &a) == 0) {
		t = new_target(b, TARGET_ADDR);
		addr_unmap(&a);
		t->addr = a;
	} else {
		t = new_target(b, TARGET_NAME);
		t->name = build_lower(host);
	}
	t->port = port;
}

void
conf_loc_forward(struct build *b, const struct word *kw,
    const struct word *host, const struct word *port)
{
	struct addr	 a;
	uint16_t	 n;

	if (!build_once(b, SET_ACTION, kw))
		return;
	b->loc->kind = LOC_FORWARD;
	if (addr_parse(host->text, 0, &a) == -1 &&
	    !hostname_valid(host->text)) {
		lex_error(b->lx, host, "a host name or address, without port");
		return;
	}
	if (build_port(b, port, 1, &n) == 0)
		add_target(b, host->text, n);
}

void
conf_loc_unix(struct build *b, const struct word *kw, const struct word *path)
{
	if (!build_once(b, SET_ACTION, kw))
		return;
	b->loc->kind = LOC_FORWARD;
	if (build_sunpath(b, path) == 0)
		new_target(b, TARGET_UNIX)->path = build_strdup(path->text);
}

void
conf_loc_list(struct build *b, const struct word *kw, const struct word *list)
{
	char		 host[HOST_MAX + 1];
	uint16_t	 port;
	bool		 numeric;

	if (!build_once(b, SET_ACTION, kw))
		return;
	b->loc->kind = LOC_LIST;
	if (!b->loc->prefix)
		lex_error(b->lx, kw, "a location that ends in \"/*\" for a "
		    "list of targets: clients name one there");
	for (; list != NULL; list = list->next) {
		if (!build_item(b, list))
			return;
		if (hostport_parse(list->text, host, sizeof(host), &port,
		    &numeric) == -1) {
			lex_error(b->lx, list, strncmp(list->text, "unix:",
			    5) == 0 ? "NAME:PORT or ADDRESS:PORT: a UNIX "
			    "socket is reached by forward to unix \"PATH\"" :
			    "NAME:PORT or ADDRESS:PORT, such as host:22 or "
			    "[::1]:22");
			continue;
		}
		add_target(b, host, port);
	}
}

void
conf_loc_text(struct build *b, const struct word *kw, const struct word *any)
{
	if (!build_once(b, SET_TEXT, kw))
		return;
	if (strcmp(any->text, "any") != 0)
		lex_error(b->lx, any, "\"any\"");
	b->loc->text_any = true;
}

void
conf_loc_allow(struct build *b, const struct word *kw, const struct word *list)
{
	if (build_once(b, SET_ALLOW, kw))
		build_cidrs(b, &b->loc->allow, list);
}

void
conf_set_strict(struct build *b, const struct word *kw,
    const struct word *what, const struct word *yesno)
{
	bool	*strict = b->loc != NULL ? &b->loc->strict_close :
		    &b->forward->strict_close;

	if (!build_once(b, SET_STRICT, kw))
		return;
	if (strcmp(what->text, "close") != 0)
		lex_error(b->lx, what, "\"close\"");
	if (strcmp(yesno->text, "yes") == 0)
		*strict = true;
	else if (strcmp(yesno->text, "no") != 0)
		lex_error(b->lx, yesno, "yes or no");
}

/* ------------------------------------------------------------- forwards */

static struct conf_forward *
new_forward(struct build *b, const struct word *kw)
{
	struct conf_forward	*f;

	memset(b->seen[IN_FORWARD], 0, sizeof(b->seen[IN_FORWARD]));
	if (b->nforwards++ == CONF_FORWARDS_MAX)
		lex_error(b->lx, kw, "at most %d forwards",
		    CONF_FORWARDS_MAX);
	f = build_alloc(sizeof(*f));
	TAILQ_INIT(&f->listens);
	f->line = kw->line;
	f->half_close = HALF_CLOSE_WAIT;
	f->half_close_wait = 60 * 1000000ULL;
	TAILQ_INSERT_TAIL(&b->c->forwards, f, entry);
	b->forward = f;
	return f;
}

void
conf_forward_begin(struct build *b, const struct word *kw,
    const struct word *addr, const struct word *port)
{
	add_listens(b, &new_forward(b, kw)->listens, addr, port);
}

void
conf_forward_unix(struct build *b, const struct word *kw,
    const struct word *path)
{
	struct conf_forward	*f = new_forward(b, kw);
	struct conf_listen	*l;

	if (build_sunpath(b, path) == 0 &&
	    (l = new_listen(b, path, NULL, path->text)) != NULL)
		TAILQ_INSERT_TAIL(&f->listens, l, entry);
}

void
conf_forward_url(struct build *b, const struct word *url)
{
	struct conf_forward	*f = b->forward;
	const char		*why;

	if (wsurl_parse(url->text, &f->url, &why) == -1)
		lex_error(b->lx, url, "a URL such as "
		    "\"ws://host:port/path\": %s", why);
	else if (f->url.tls)
		lex_error(b->lx, url, "a ws:// URL: TLS is not built yet");
	else
		f->urltext = build_strdup(url->text);
}

void
conf_forward_half_close(struct build *b, const struct word *kw,
    const struct word *wait, const struct word *other)
{
	if (!build_once(b, SET_HALF_CLOSE, kw))
		return;
	if (wait != NULL)
		conf_set(b, SET_WAIT, kw, wait);
	else if (strcmp(other->text, "close") == 0)
		b->forward->half_close = HALF_CLOSE_CLOSE;
	else
		lex_error(b->lx, other, "\"wait\" and a time, or \"close\"");
}

void
conf_forward_end(struct build *b)
{
	const struct word	**seen = b->seen[IN_FORWARD];

	if (b->forward->sokken && b->forward->message_max > SOKKEN_MESSAGE)
		lex_error(b->lx, seen[SET_FORWARD_MESSAGE], "at most 32K "
		    "with subprotocol \"sokken\"");
	b->forward = NULL;
}
