/* SPDX-License-Identifier: ISC */

/* conf_diff.c: what a new configuration takes over from the running one. */

#include "compat.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "conf_diff.h"
#include "stats.h"

/*
 * Ids are counted for the life of the process, whatever becomes of the
 * configurations they were given to.
 */
static uint32_t
new_id(void)
{
	static uint32_t	 last;

	return ++last;
}

/* --------------------------------------------------- what cannot change */

static bool
same_text(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return strcmp(a, b) == 0;
}

static const char *
unchangeable(const struct conf *nc, const struct conf *oc)
{
	if (!same_text(nc->user, oc->user))
		return "user";
	if (nc->chroot_off != oc->chroot_off ||
	    !same_text(nc->chroot, oc->chroot))
		return "chroot";
	if (nc->control_off != oc->control_off ||
	    !same_text(nc->control_path, oc->control_path) ||
	    nc->control_mode != oc->control_mode)
		return "control socket";
	return NULL;
}

/* -------------------------------------------------------------- look-up */

static struct conf_server *
server_by_name(const struct conf *c, const char *name)
{
	struct conf_server	*s;

	if (c == NULL)
		return NULL;
	TAILQ_FOREACH(s, &c->servers, entry)
		if (strcmp(s->name, name) == 0)
			return s;
	return NULL;
}

static struct conf_loc *
loc_by_pattern(const struct conf_server *s, const char *pattern)
{
	struct conf_loc	*l;

	if (s == NULL)
		return NULL;
	TAILQ_FOREACH(l, &s->locs, entry)
		if (strcmp(l->pattern, pattern) == 0)
			return l;
	return NULL;
}

static bool
same_place(const struct conf_listen *a, const struct conf_listen *b)
{
	if (a->path != NULL || b->path != NULL)
		return same_text(a->path, b->path);
	return addr_equal(&a->addr, &b->addr, true);
}

/* Was ol given to one of these already?  Port 0 may stand there twice. */
static bool
taken(const struct conf_listens *list, const struct conf_listen *ol)
{
	const struct conf_listen	*l;

	TAILQ_FOREACH(l, list, entry)
		if (l->id == ol->id)
			return true;
	return false;
}

/* The old listener of the same owner that nl stands for. */
static struct conf_listen *
own_listen(const struct conf_listens *ours, const struct conf_listens *old,
    const struct conf_listen *nl)
{
	struct conf_listen	*ol;

	if (old == NULL)
		return NULL;
	TAILQ_FOREACH(ol, old, entry)
		if (same_place(ol, nl) && !taken(ours, ol))
			return ol;
	return NULL;
}

/*
 * An old listener anywhere: its socket goes on under another owner.  With
 * port 0 this one is nobody else's.
 */
static struct conf_listen *
any_listen(const struct conf *oc, const struct conf_listen *nl)
{
	const struct conf_server	*s;
	const struct conf_forward	*f;
	struct conf_listen		*l;

	if (oc == NULL || (nl->path == NULL && addr_port(&nl->addr) == 0))
		return NULL;
	TAILQ_FOREACH(s, &oc->servers, entry)
		TAILQ_FOREACH(l, &s->listens, entry)
			if (same_place(l, nl))
				return l;
	TAILQ_FOREACH(f, &oc->forwards, entry)
		TAILQ_FOREACH(l, &f->listens, entry)
			if (same_place(l, nl))
				return l;
	return NULL;
}

/* ------------------------------------------------------------- adoption */

static int
adopt_socket(struct conf_listen *nl, const struct conf_listen *ol, char *err,
    size_t errlen)
{
	if (ol == NULL || ol->fd == -1)
		return 0;
	if ((nl->fd = fcntl(ol->fd, F_DUPFD_CLOEXEC, 0)) == -1) {
		(void)snprintf(err, errlen, "cannot keep a listener: %s",
		    strerror(errno));
		return -1;
	}
	nl->bound = ol->bound;
	return 0;
}

/* old: the listeners of the same owner, or NULL. */
static int
adopt_listens(struct conf_listens *list, const struct conf_listens *old,
    const struct conf *oc, char *err, size_t errlen)
{
	struct conf_listen	*nl, *ol;

	TAILQ_FOREACH(nl, list, entry) {
		if ((ol = own_listen(list, old, nl)) != NULL)
			nl->id = ol->id;
		else {
			nl->id = new_id();
			ol = any_listen(oc, nl);
		}
		if (adopt_socket(nl, ol, err, errlen) == -1)
			return -1;
	}
	return 0;
}

/* Has a forward of nc taken over of's first listener already? */
static bool
forward_taken(const struct conf *nc, const struct conf_forward *of)
{
	const struct conf_forward	*f;
	const struct conf_listen	*l;

	TAILQ_FOREACH(f, &nc->forwards, entry)
		TAILQ_FOREACH(l, &f->listens, entry)
			if (l->id == TAILQ_FIRST(&of->listens)->id)
				return true;
	return false;
}

/* A forward is its first listener. */
static struct conf_forward *
same_forward(const struct conf *nc, const struct conf *oc,
    const struct conf_forward *nf)
{
	struct conf_forward	*of;

	if (oc == NULL)
		return NULL;
	TAILQ_FOREACH(of, &oc->forwards, entry)
		if (same_place(TAILQ_FIRST(&of->listens),
		    TAILQ_FIRST(&nf->listens)) &&
		    !forward_taken(nc, of))
			return of;
	return NULL;
}

/*
 * The dialer is told of a forward by its id, and must not connect a session
 * that has the old path to the new server: another server is another id.
 */
static bool
same_server(const struct conf_forward *a, const struct conf_forward *b)
{
	return strcmp(a->url.host, b->url.host) == 0 &&
	    a->url.port == b->url.port;
}

static int
adopt_forwards(struct conf *nc, const struct conf *oc, char *err,
    size_t errlen)
{
	struct conf_forward	*nf, *of;

	TAILQ_FOREACH(nf, &nc->forwards, entry) {
		of = same_forward(nc, oc, nf);
		nf->id = of != NULL && same_server(nf, of) ? of->id :
		    new_id();
		if (adopt_listens(&nf->listens, of != NULL ? &of->listens :
		    NULL, oc, err, errlen) == -1)
			return -1;
	}
	return 0;
}

static int
adopt_servers(struct conf *nc, const struct conf *oc, char *err,
    size_t errlen)
{
	struct conf_server	*ns, *os;
	struct conf_loc		*nl, *ol;

	TAILQ_FOREACH(ns, &nc->servers, entry) {
		os = server_by_name(oc, ns->name);
		ns->id = os != NULL ? os->id : new_id();
		TAILQ_FOREACH(nl, &ns->locs, entry) {
			ol = loc_by_pattern(os, nl->pattern);
			nl->id = ol != NULL ? ol->id : new_id();
		}
		if (adopt_listens(&ns->listens, os != NULL ? &os->listens :
		    NULL, oc, err, errlen) == -1)
			return -1;
	}
	return 0;
}

/* ------------------------------------------- places in the counter pages */

/* The name each index was given to last, and when. */
static struct place {
	char		 name[NAME_MAX_LEN + 1];
	uint64_t	 used;		/* 0: never */
} places[STATS_SERVERS];

static bool
index_used(const struct conf *c, uint32_t idx)
{
	const struct conf_server	*s;

	if (c == NULL)
		return false;
	TAILQ_FOREACH(s, &c->servers, entry)
		if (s->statidx == idx)
			return true;
	return false;
}

/*
 * Totals must not move to another name while there is a choice: a server that
 * comes back finds its own, a new one takes an index that was never used,
 * then the one unused for longest, and one that oc has but nc has not only
 * when nothing else is left.
 */
static uint32_t
new_index(const struct conf *nc, const struct conf *oc, const char *name)
{
	uint32_t	 i, best = 0;
	bool		 old, bestold = true;

	for (i = 1; i < STATS_SERVERS; i++) {
		if (index_used(nc, i))
			continue;
		if (places[i].used != 0 && strcmp(places[i].name, name) == 0)
			return i;
		old = index_used(oc, i);
		if (best == 0 || (bestold && !old) || (bestold == old &&
		    places[i].used < places[best].used)) {
			best = i;
			bestold = old;
		}
	}
	return best;		/* servers are fewer than indices */
}

static void
adopt_indices(struct conf *nc, const struct conf *oc)
{
	static uint64_t		 clock;
	struct conf_server	*ns, *os;
	struct place		*p;

	/* Those that stay first: a new one must not take their places. */
	TAILQ_FOREACH(ns, &nc->servers, entry)
		if ((os = server_by_name(oc, ns->name)) != NULL)
			ns->statidx = os->statidx;
	clock++;
	TAILQ_FOREACH(ns, &nc->servers, entry) {
		if (ns->statidx == 0)
			ns->statidx = new_index(nc, oc, ns->name);
		p = &places[ns->statidx];
		(void)snprintf(p->name, sizeof(p->name), "%s", ns->name);
		p->used = clock;
	}
}

int
conf_adopt(struct conf *nc, const struct conf *oc, char *err, size_t errlen)
{
	const char	*what;

	if (oc != NULL && (what = unchangeable(nc, oc)) != NULL) {
		(void)snprintf(err, errlen, "%s cannot be changed by reload: "
		    "restart", what);
		return -1;
	}
	nc->generation = oc != NULL ? oc->generation + 1 : 1;
	if (adopt_servers(nc, oc, err, errlen) == -1 ||
	    adopt_forwards(nc, oc, err, errlen) == -1)
		return -1;
	adopt_indices(nc, oc);
	return 0;
}
