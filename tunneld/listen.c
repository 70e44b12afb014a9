/* SPDX-License-Identifier: ISC */

/* listen.c: opening listening sockets, in the parent, for all relays. */

#include "compat.h"

#include <sys/socket.h>

#include <netinet/in.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "listen.h"
#include "log.h"
#include "parent.h"
#include "sockopt.h"
#include "unixsock.h"

#define PAIR_TRIES	32	/* for one free port in both families */
#define UNIX_MODE	0660	/* who may use a forward's UNIX socket */

struct job {
	const struct conf	*conf;
	FILE			*err;
	unsigned		 failed, in_use;
};

static void
complain(struct job *j, const struct conf_listen *l, const char *where,
    const char *why)
{
	j->failed++;
	fprintf(j->err, "%s:%d: cannot listen on %s%s%s\n", j->conf->file,
	    l->line, where, *where != '\0' ? ": " : "", why);
}

/* A TCP socket bound to a and listening; -1 with errno. */
static int
tcp_listen(const struct addr *a)
{
	int	 fd, on = 1, saved;

	fd = socket(a->ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0);
	if (fd == -1)
		return (-1);
	/* "::" takes IPv6 alone: "*" is two sockets, on any system. */
	if ((a->ss.ss_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6,
	    IPV6_V6ONLY, &on, sizeof(on)) == -1) ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == -1 ||
	    bind(fd, (const struct sockaddr *)&a->ss, a->len) == -1 ||
	    listen(fd, SOMAXCONN) == -1) {
		saved = errno;
		close(fd);
		errno = saved;
		return (-1);
	}
	return (fd);
}

static int
set_bound(struct conf_listen *l)
{
	memset(&l->bound, 0, sizeof(l->bound));
	l->bound.len = sizeof(l->bound.ss);
	return (getsockname(l->fd, (struct sockaddr *)&l->bound.ss,
	    &l->bound.len));
}

static int
open_tcp(struct conf_listen *l, uint16_t port)
{
	struct addr	 a = l->addr;
	int		 saved;

	if (port != 0)
		addr_set_port(&a, port);
	if ((l->fd = tcp_listen(&a)) == -1)
		return (-1);
	if (set_bound(l) == -1) {
		saved = errno;
		close(l->fd);
		l->fd = -1;
		errno = saved;
		return (-1);
	}
	return (0);
}

/* The other family of the same "*". */
static struct conf_listen *
sibling(struct conf_listens *list, const struct conf_listen *l)
{
	struct conf_listen	*o;

	TAILQ_FOREACH(o, list, entry) {
		if (o != l && o->any && l->any && o->line == l->line &&
		    o->path == NULL &&
		    o->addr.ss.ss_family != l->addr.ss.ss_family &&
		    addr_port(&o->addr) == addr_port(&l->addr))
			return (o);
	}
	return (NULL);
}

/*
 * "* port 0": one number for both families.  fresh: the other one was opened
 * just now and may still move.
 */
static int
open_second(struct conf_listen *l, struct conf_listen *other, bool fresh)
{
	int	 i;

	for (i = 0; i < PAIR_TRIES; i++) {
		if (open_tcp(l, addr_port(&other->bound)) == 0)
			return (0);
		if (errno != EADDRINUSE || !fresh)
			return (-1);
		close(other->fd);
		if (open_tcp(other, 0) == -1)
			return (-1);
	}
	errno = EADDRINUSE;
	return (-1);
}

static void
take_out(struct conf_listens *list, struct conf_listen *l)
{
	TAILQ_REMOVE(list, l, entry);
	free(l->path);
	free(l);
}

/* Returns l, or NULL when it could not be opened (and may be gone). */
static struct conf_listen *
open_one(struct job *j, struct conf_listens *list, struct conf_listen *l,
    const struct conf_listen *opened)
{
	struct conf_listen	*other = sibling(list, l);
	char			 text[ADDR_TEXT], why[PATH_MAX_LEN + 256];
	int			 r;

	if (l->path != NULL) {
		l->fd = unixsock_listen(l->path, UNIX_MODE,
		    parent.root ? parent.gid : (gid_t)-1, why, sizeof(why));
		if (l->fd != -1)
			return (l);
		if (errno == EADDRINUSE)
			j->in_use++;
		complain(j, l, "", why);
		return (NULL);
	}
	if (other != NULL && other->fd != -1 && addr_port(&l->addr) == 0)
		r = open_second(l, other, other == opened);
	else
		r = open_tcp(l, 0);
	if (r == 0)
		return (l);
	if ((errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL) &&
	    other != NULL) {
		take_out(list, l);
		return (NULL);
	}
	if (errno == EADDRINUSE)
		j->in_use++;
	complain(j, l, addr_format(&l->addr, text, sizeof(text)),
	    strerror(errno));
	return (NULL);
}

static void
open_list(struct job *j, struct conf_listens *list)
{
	struct conf_listen	*l, *next, *opened = NULL;

	TAILQ_FOREACH_SAFE(l, list, entry, next) {
		if (l->fd == -1)
			opened = open_one(j, list, l, opened);
	}
}

int
listen_open(struct conf *c, FILE *err)
{
	struct job		 j = { .conf = c, .err = err };
	struct conf_server	*s;
	struct conf_forward	*f;

	TAILQ_FOREACH(s, &c->servers, entry)
		open_list(&j, &s->listens);
	TAILQ_FOREACH(f, &c->forwards, entry)
		open_list(&j, &f->listens);
	if (j.failed == 0)
		return (0);
	errno = j.failed == j.in_use ? EADDRINUSE : 0;
	return (-1);
}

static bool
list_has(const struct conf_listens *list, const struct conf_listen *l)
{
	const struct conf_listen	*o;

	TAILQ_FOREACH(o, list, entry) {
		if (l->path != NULL ? o->path != NULL &&
		    strcmp(o->path, l->path) == 0 : o->path == NULL &&
		    addr_equal(&o->bound, &l->bound, true))
			return (true);
	}
	return (false);
}

/* Does c listen there too? */
static bool
conf_has(const struct conf *c, const struct conf_listen *l)
{
	const struct conf_server	*s;
	const struct conf_forward	*f;

	if (c == NULL)
		return (false);
	TAILQ_FOREACH(s, &c->servers, entry) {
		if (list_has(&s->listens, l))
			return (true);
	}
	TAILQ_FOREACH(f, &c->forwards, entry) {
		if (list_has(&f->listens, l))
			return (true);
	}
	return (false);
}

static void
retire_list(const struct conf_listens *list, const struct conf *c)
{
	const struct conf_listen	*l;

	TAILQ_FOREACH(l, list, entry)
		if (l->fd != -1 && l->path == NULL && !conf_has(c, l))
			sockopt_no_callers(l->fd);
}

void
listen_retire(const struct conf *old, const struct conf *c)
{
	const struct conf_server	*s;
	const struct conf_forward	*f;

	TAILQ_FOREACH(s, &old->servers, entry)
		retire_list(&s->listens, c);
	TAILQ_FOREACH(f, &old->forwards, entry)
		retire_list(&f->listens, c);
}

static void
log_list(const struct conf_listens *list, const char *server,
    const struct conf *old)
{
	const struct conf_listen	*l;
	struct logrec			 r;
	char				 text[PATH_MAX_LEN + 8];

	TAILQ_FOREACH(l, list, entry) {
		if (conf_has(old, l))
			continue;
		log_begin(&r, LOG_L_BRIEF, EV_LOG_LISTEN);
		if (server != NULL)
			log_str(&r, LK_SERVER, server);
		if (l->path != NULL)
			snprintf(text, sizeof(text), "unix:%s", l->path);
		else
			addr_format(&l->bound, text, sizeof(text));
		log_str(&r, LK_ADDRESS, text);
		log_send(&r);
	}
}

void
listen_log(const struct conf *c, const struct conf *old)
{
	const struct conf_server	*s;
	const struct conf_forward	*f;

	TAILQ_FOREACH(s, &c->servers, entry)
		log_list(&s->listens, s->name, old);
	TAILQ_FOREACH(f, &c->forwards, entry)
		log_list(&f->listens, NULL, old);
}

static void
close_list(struct conf_listens *list)
{
	struct conf_listen	*l;

	TAILQ_FOREACH(l, list, entry) {
		if (l->fd == -1)
			continue;
		close(l->fd);
		l->fd = -1;
		if (l->path != NULL)
			unixsock_unlink(l->path);
	}
}

void
listen_close_forwards(struct conf *c)
{
	struct conf_forward	*f;

	TAILQ_FOREACH(f, &c->forwards, entry)
		close_list(&f->listens);
}

void
listen_close_all(struct conf *c)
{
	struct conf_server	*s;

	listen_close_forwards(c);
	TAILQ_FOREACH(s, &c->servers, entry)
		close_list(&s->listens);
}

void
listen_unlink(const struct conf *old, const struct conf *c)
{
	const struct conf_forward	*f;
	const struct conf_listen	*l;

	TAILQ_FOREACH(f, &old->forwards, entry) {
		TAILQ_FOREACH(l, &f->listens, entry) {
			if (l->path != NULL && !conf_has(c, l))
				unixsock_unlink(l->path);
		}
	}
}
