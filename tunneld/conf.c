/* SPDX-License-Identifier: ISC */

/* conf.c: a configuration in memory: defaults, references, look-ups. */

#include "compat.h"

#include <sys/types.h>
#include <sys/resource.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf.h"
#include "log.h"
#include "tunneld.h"

#define USEC		1000000ULL

/* Descriptors of a relay that are not sessions: channels, events, spare. */
#define FILES_SPARE	64
#define FILES_PIPE	2
#define PIPES_ALL	128	/* fs.pipe-user-pages-soft: 256 of our size */
#define PIPES_RELAY	64
#define FILES_SESSION	2	/* client and target */

struct conf *
conf_new(void)
{
	struct conf	*c;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		fatal("conf_new");
	c->refs = 1;
	c->generation = 1;
	c->grace = 30 * USEC;
	c->control_mode = 0660;
	c->log_dest = LOG_SYSLOG;
	c->log_format = FORMAT_TEXT;
	c->log_size = OFF;
	c->log_age = OFF;
	c->log_keep = 7;
	c->log_level = LOG_L_BRIEF;
	c->t_handshake = 10 * USEC;
	c->t_connect = 10 * USEC;
	c->t_close = 5 * USEC;
	c->t_stall = 300 * USEC;
	c->t_idle = OFF;
	c->ping_every = 20 * USEC;
	c->ping_timeout = 10 * USEC;
	TAILQ_INIT(&c->resolvers);
	TAILQ_INIT(&c->nameservers);
	TAILQ_INIT(&c->servers);
	TAILQ_INIT(&c->forwards);
	return c;
}

struct conf *
conf_ref(struct conf *c)
{
	c->refs++;
	return c;
}

static void
free_cidrs(struct conf_cidrs *list)
{
	struct conf_cidr	*e;

	while ((e = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, e, entry);
		free(e);
	}
}

static void
free_origins(struct conf_origins *list)
{
	struct conf_origin	*e;

	while ((e = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, e, entry);
		free(e->origin);
		free(e);
	}
}

static void
free_listens(struct conf_listens *list)
{
	struct conf_listen	*e;

	while ((e = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, e, entry);
		if (e->fd != -1)
			close(e->fd);
		free(e->path);
		free(e);
	}
}

static void
free_resolvers(struct conf_resolvers *list)
{
	struct conf_resolver	*e;

	while ((e = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, e, entry);
		free(e);
	}
}

static void
free_loc(struct conf_loc *l)
{
	struct conf_target	*t;

	while ((t = TAILQ_FIRST(&l->targets)) != NULL) {
		TAILQ_REMOVE(&l->targets, t, entry);
		free(t->name);
		free(t->path);
		free(t);
	}
	free_origins(&l->origins);
	free_cidrs(&l->allow);
	free(l->pattern);
	free(l);
}

static void
free_server(struct conf_server *s)
{
	struct conf_loc	*l;

	while ((l = TAILQ_FIRST(&s->locs)) != NULL) {
		TAILQ_REMOVE(&s->locs, l, entry);
		free_loc(l);
	}
	free_listens(&s->listens);
	free_cidrs(&s->trusted);
	free_origins(&s->origins);
	free(s->file);
	free(s->name);
	free(s);
}

void
conf_unref(struct conf *c)
{
	struct conf_server	*s;
	struct conf_forward	*f;

	if (c == NULL || --c->refs > 0)
		return;
	while ((s = TAILQ_FIRST(&c->servers)) != NULL) {
		TAILQ_REMOVE(&c->servers, s, entry);
		free_server(s);
	}
	while ((f = TAILQ_FIRST(&c->forwards)) != NULL) {
		TAILQ_REMOVE(&c->forwards, f, entry);
		free_listens(&f->listens);
		free(f->urltext);
		free(f);
	}
	free_resolvers(&c->resolvers);
	free_resolvers(&c->nameservers);
	free(c->file);
	free(c->show_text);
	free(c->user);
	free(c->chroot);
	free(c->control_path);
	free(c->log_path);
	free(c->hosts_path);
	free(c->hosts_text);
	free(c);
}

struct conf_server *
conf_server_by_id(const struct conf *c, uint32_t id)
{
	struct conf_server	*s;

	TAILQ_FOREACH(s, &c->servers, entry)
		if (s->id == id)
			return s;
	return NULL;
}

struct conf_loc *
conf_loc_by_id(const struct conf *c, uint32_t id)
{
	struct conf_server	*s;
	struct conf_loc		*l;

	TAILQ_FOREACH(s, &c->servers, entry)
		TAILQ_FOREACH(l, &s->locs, entry)
			if (l->id == id)
				return l;
	return NULL;
}

struct conf_forward *
conf_forward_by_id(const struct conf *c, uint32_t id)
{
	struct conf_forward	*f;

	TAILQ_FOREACH(f, &c->forwards, entry)
		if (f->id == id)
			return f;
	return NULL;
}

struct conf_loc *
conf_loc_match(const struct conf_server *s, const char *path)
{
	struct conf_loc	*l;

	TAILQ_FOREACH(l, &s->locs, entry) {
		if (l->prefix ? strncmp(l->pattern, path,
		    strlen(l->pattern) - 1) == 0 :
		    strcmp(l->pattern, path) == 0)
			return l;
	}
	return NULL;
}

bool
conf_cidrs_match(const struct conf_cidrs *list, const struct addr *a)
{
	const struct conf_cidr	*e;
	struct addr		 plain = *a;

	addr_unmap(&plain);
	TAILQ_FOREACH(e, list, entry)
		if (cidr_match(&e->cidr, &plain))
			return true;
	return false;
}

const char *
conf_target_format(const struct conf_target *t, char *buf, size_t len)
{
	switch (t->kind) {
	case TARGET_ADDR:
		return addr_format(&t->addr, buf, len);
	case TARGET_NAME:
		(void)snprintf(buf, len, "%s:%u", t->name, t->port);
		break;
	case TARGET_UNIX:
		(void)snprintf(buf, len, "unix:%s", t->path);
		break;
	}
	return buf;
}

unsigned
conf_prefork(const struct conf *c)
{
	long	 n;

	if (c->prefork != 0)
		return c->prefork;
	n = sysconf(_SC_NPROCESSORS_ONLN);
	if (n < 1)
		return 1;
	return n > RELAYS_DEFAULT_MAX ? RELAYS_DEFAULT_MAX : (unsigned)n;
}

unsigned
conf_pipes(const struct conf *c)
{
#if HAVE_SPLICE
	struct rlimit	 rl;
	rlim_t		 n = PIPES_ALL / conf_prefork(c);

	if (n > PIPES_RELAY)
		n = PIPES_RELAY;
	if (getrlimit(RLIMIT_NOFILE, &rl) == 0 && rl.rlim_cur / 64 < n)
		n = rl.rlim_cur / 64;
	return (unsigned)n;
#else
	return 0;
#endif
}

/*
 * Sessions that all relays together have descriptors for, as relay.c counts:
 * each listener twice, since a reload brings it again.
 */
static uint64_t
capacity(const struct conf *c, uint64_t nofile)
{
	const struct conf_server	*s;
	const struct conf_forward	*f;
	const struct conf_listen	*l;
	uint64_t			 used = FILES_SPARE;

	TAILQ_FOREACH(s, &c->servers, entry)
		TAILQ_FOREACH(l, &s->listens, entry)
			used += 2;
	TAILQ_FOREACH(f, &c->forwards, entry)
		TAILQ_FOREACH(l, &f->listens, entry)
			used += 2;
	used += FILES_PIPE * conf_pipes(c);
	if (nofile <= used)
		return 0;
	return (nofile - used) / FILES_SESSION * conf_prefork(c);
}

int
conf_check(const struct conf *c, const char *name, FILE *err)
{
	const struct conf_server	*s;
	struct rlimit			 rl;
	uint64_t			 fit, left, nofile;
	const char			*file;

	if (getrlimit(RLIMIT_NOFILE, &rl) == -1 ||
	    rl.rlim_cur == RLIM_INFINITY)
		return 0;
	nofile = rl.rlim_cur;
	if ((fit = capacity(c, nofile)) == 0) {
		fprintf(err, "%s:1: near \"start of file\": expected a limit "
		    "of open files above %" PRIu64 " (ulimit -n)\n",
		    name, nofile);
		return -1;
	}
	/* Written limits claim their share first: defaults only warn. */
	left = fit;
	TAILQ_FOREACH(s, &c->servers, entry) {
		if (s->max_sessions_line == 0 || s->max_sessions == OFF)
			continue;
		if (s->max_sessions <= left) {
			left -= s->max_sessions;
			continue;
		}
		file = s->file != NULL ? s->file : name;
		fprintf(err, "%s:%d: near \"max-sessions\": expected at most "
		    "%" PRIu64 ": %" PRIu64 " open files (ulimit -n) and "
		    "prefork %u are enough for %" PRIu64 " sessions of all "
		    "servers together\n", file, s->max_sessions_line, left,
		    nofile, conf_prefork(c), fit);
		return -1;
	}
	TAILQ_FOREACH(s, &c->servers, entry) {
		if (s->max_sessions_line != 0)
			continue;
		if (s->max_sessions <= left) {
			left -= s->max_sessions;
			continue;
		}
		file = s->file != NULL ? s->file : name;
		fprintf(err, "%s:%d: warning: server \"%s\" allows %" PRIu64
		    " sessions by default, but %" PRIu64 " open files "
		    "(ulimit -n) and prefork %u are enough for %" PRIu64
		    " of all servers together: set max-sessions\n", file,
		    s->line, s->name, s->max_sessions, nofile,
		    conf_prefork(c), fit);
		break;
	}
	return 0;
}
