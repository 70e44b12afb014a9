/* SPDX-License-Identifier: ISC */

/* policy.c: which session may be, and what it may reach. */

#include "compat.h"

#include <stdio.h>
#include <string.h>

#include "policy.h"
#include "probe.h"

const char *
dest_format(const struct dest *d, char *buf, size_t size)
{
	switch (d->kind) {
	case TARGET_ADDR:
		return (addr_format(&d->addr, buf, size));
	case TARGET_NAME:
		(void)snprintf(buf, size, "%s:%u", d->name, d->port);
		break;
	case TARGET_UNIX:
		(void)snprintf(buf, size, "unix:%s", d->path);
		break;
	}
	return (buf);
}

/* Returns -1 if t cannot be a destination (a path that is too long). */
static int
dest_from_target(struct dest *d, const struct conf_target *t)
{
	memset(d, 0, sizeof(*d));
	d->kind = t->kind;
	switch (t->kind) {
	case TARGET_ADDR:
		d->addr = t->addr;
		d->port = addr_port(&t->addr);
		return (0);
	case TARGET_NAME:
		d->port = t->port;
		return (strlcpy(d->name, t->name, sizeof(d->name)) <
		    sizeof(d->name) ? 0 : -1);
	case TARGET_UNIX:
		return (strlcpy(d->path, t->path, sizeof(d->path)) <
		    sizeof(d->path) ? 0 : -1);
	}
	return (-1);
}

/*
 * The entry of the list that text names.  Addresses match as addresses, names
 * as names: a name is never resolved to see if it means a listed address.
 */
static const struct conf_target *
list_find(const struct conf_loc *loc, const char *text)
{
	const struct conf_target	*t;
	struct addr			 a;
	char				 host[HOST_MAX + 1];
	uint16_t			 port;
	bool				 numeric;

	if (hostport_parse(text, host, sizeof(host), &port, &numeric) == -1)
		return (NULL);
	if (numeric && addr_parse(host, port, &a) == -1)
		return (NULL);
	TAILQ_FOREACH(t, &loc->targets, entry) {
		if (numeric) {
			if (t->kind == TARGET_ADDR &&
			    addr_equal(&t->addr, &a, true))
				return (t);
		} else if (t->kind == TARGET_NAME && t->port == port &&
		    strcasecmp(t->name, host) == 0)
			return (t);
	}
	return (NULL);
}

/* What comes of a text that no rule names when nobody looks at the rules. */
static bool
unruled(struct dest *d, const char *text)
{
	char	 host[HOST_MAX + 1];
	bool	 numeric;

	if (LAYER(POLICY) || hostport_parse(text, host, sizeof(host),
	    &d->port, &numeric) == -1 || !numeric)
		return (false);
	d->kind = TARGET_ADDR;
	return (addr_parse(host, d->port, &d->addr) == 0);
}

static void
decide_forward(const struct conf *c, const struct msg_open *o,
    struct decision *d)
{
	const struct conf_forward	*f;

	if (o->server != 0 || o->loc != 0 || o->type != SESSION_FORWARD ||
	    (f = conf_forward_by_id(c, o->forward)) == NULL) {
		d->refuse = REASON_TARGET_NOT_ALLOWED;
		return;
	}
	d->has_dest = true;
	d->dest.port = f->url.port;
	if (f->url.numeric) {
		d->dest.kind = TARGET_ADDR;
		if (addr_parse(f->url.host, f->url.port, &d->dest.addr) == -1)
			d->refuse = REASON_INTERNAL;
	} else {
		d->dest.kind = TARGET_NAME;
		(void)strlcpy(d->dest.name, f->url.host,
		    sizeof(d->dest.name));
	}
}

static void
decide_location(const struct msg_open *o, struct decision *d)
{
	const struct conf_loc		*loc = d->loc;
	const struct conf_target	*t = NULL;

	switch (loc->kind) {
	case LOC_ECHO:
		if (o->type != SESSION_ECHO)
			d->refuse = REASON_TARGET_NOT_ALLOWED;
		return;
	case LOC_FORWARD:
		t = TAILQ_FIRST(&loc->targets);
		break;
	case LOC_LIST:
		t = list_find(loc, o->target);
		break;
	case LOC_HEALTH:
	case LOC_METRICS:
		d->refuse = REASON_TARGET_NOT_ALLOWED;
		return;
	}
	if (o->type != SESSION_GATEWAY)
		d->refuse = REASON_TARGET_NOT_ALLOWED;
	else if (unruled(&d->dest, o->target))
		d->has_dest = true;
	else if (t == NULL || dest_from_target(&d->dest, t) == -1)
		/*
		 * Known before the upgrade, but a browser's script never sees
		 * an HTTP error: it gets the reason as a Close instead.
		 */
		d->fail = loc->sokken ? REASON_SOKKEN_TARGET :
		    REASON_TARGET_NOT_ALLOWED;
	else
		d->has_dest = true;
}

void
policy_decide(const struct conf *c, const struct msg_open *o,
    struct decision *d)
{
	memset(d, 0, sizeof(*d));
	d->refuse = d->fail = REASON_NONE;
	if (o->forward != 0) {
		decide_forward(c, o, d);
		return;
	}
	/* The relay may know an older generation than we do. */
	d->server = conf_server_by_id(c, o->server);
	d->loc = conf_loc_by_id(c, o->loc);
	if (d->server == NULL || d->loc == NULL ||
	    d->loc->server != d->server) {
		d->server = NULL;
		d->loc = NULL;
		d->refuse = REASON_TARGET_NOT_ALLOWED;
		return;
	}
	if (!TAILQ_EMPTY(&d->loc->allow) &&
	    !conf_cidrs_match(&d->loc->allow, &o->source)) {
		d->refuse = REASON_NOT_ALLOWED;
		return;
	}
	decide_location(o, d);
}

bool
policy_addr_ok(const struct conf *c, uint32_t loc, const struct dest *d,
    const struct addr *a)
{
	const struct conf_loc		*l;
	const struct conf_target	*t;

	/* A forward's server is our own choice, not a stranger's. */
	if (d->kind != TARGET_NAME || loc == 0 || !addr_is_local(a) ||
	    strcasecmp(d->name, "localhost") == 0)
		return (true);
	/* DNS must not make a name mean what is private to this host. */
	if ((l = conf_loc_by_id(c, loc)) == NULL)
		return (false);
	TAILQ_FOREACH(t, &l->targets, entry)
		if (t->kind == TARGET_ADDR && addr_equal(&t->addr, a, true))
			return (true);
	return (false);
}

bool
policy_still(const struct conf *c, const struct msg_open *o,
    const char *dest, const char *reached)
{
	struct decision	 d;
	struct addr	 a;
	char		 text[TARGET_TEXT];
	uint16_t	 port;
	bool		 numeric;

	policy_decide(c, o, &d);
	if (d.refuse != REASON_NONE || d.fail != REASON_NONE)
		return (false);
	if (dest == NULL || !d.has_dest)
		return (true);
	/* The location is still there, but leads to another place now. */
	if (strcmp(dest_format(&d.dest, text, sizeof(text)), dest) != 0)
		return (false);
	if (reached != NULL && d.dest.kind == TARGET_NAME &&
	    hostport_parse(reached, text, sizeof(text), &port,
	    &numeric) == 0 && numeric && addr_parse(text, port, &a) == 0)
		return (policy_addr_ok(c, o->loc, &d.dest, &a));
	return (true);
}
