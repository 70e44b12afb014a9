/* SPDX-License-Identifier: ISC */

/* admit.c: registry of admitted sessions and their counts. */

#include "compat.h"

#include <netinet/in.h>

#include <stdlib.h>
#include <string.h>

#include "admit.h"

enum count_kind { COUNT_SERVER, COUNT_LOC, COUNT_SOURCE };

/* One tree of counters: each lives while a session counts on it. */
struct admit_count {
	RB_ENTRY(admit_count) node;
	struct count_key {
		uint32_t	kind;	/* enum count_kind */
		uint32_t	id;	/* of the server or location */
		uint8_t		af;	/* source: 4 or 6 */
		uint8_t		ip[16];
		uint8_t		zero[7];
	}		key;
	uint64_t	n;
};

static int
count_cmp(struct admit_count *a, struct admit_count *b)
{
	return (memcmp(&a->key, &b->key, sizeof(a->key)));
}

RB_HEAD(counts, admit_count);
RB_GENERATE_STATIC(counts, admit_count, node, count_cmp)

static int
admit_cmp(struct admit *a, struct admit *b)
{
	return (a->id < b->id ? -1 : a->id > b->id);
}

RB_HEAD(admits, admit);
RB_GENERATE_STATIC(admits, admit, node, admit_cmp)

static struct counts	counts = RB_INITIALIZER(&counts);
static struct admits	admits = RB_INITIALIZER(&admits);

/*
 * Whom limits per source hold against; false: nobody (a UNIX client).  All
 * whose proxy did not tell an address are one source.
 */
static bool
source_key(struct count_key *k, uint32_t server, const struct addr *source)
{
	const struct sockaddr_in	*in;
	const struct sockaddr_in6	*in6;
	struct addr			 a = *source;

	memset(k, 0, sizeof(*k));
	k->kind = COUNT_SOURCE;
	k->id = server;
	if (a.len == 0)
		return (true);
	addr_unmap(&a);
	switch (a.ss.ss_family) {
	case AF_INET:
		in = (const void *)&a.ss;
		k->af = 4;
		memcpy(k->ip, &in->sin_addr, 4);
		return (true);
	case AF_INET6:
		/* A host has a /64 of addresses to come from. */
		in6 = (const void *)&a.ss;
		k->af = 6;
		memcpy(k->ip, &in6->sin6_addr, 8);
		return (true);
	default:
		return (false);
	}
}

static uint64_t
count_value(const struct count_key *k)
{
	struct admit_count	 key, *c;

	key.key = *k;
	c = RB_FIND(counts, &counts, &key);
	return (c == NULL ? 0 : c->n);
}

static struct admit_count *
count_up(const struct count_key *k)
{
	struct admit_count	*c, *old;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		return (NULL);
	c->key = *k;
	if ((old = RB_INSERT(counts, &counts, c)) != NULL) {
		free(c);
		c = old;
	}
	c->n++;
	return (c);
}

static void
count_down(struct admit_count *c)
{
	if (c == NULL || --c->n > 0)
		return;
	RB_REMOVE(counts, &counts, c);
	free(c);
}

static void
admit_free(struct admit *a)
{
	size_t	 i;

	for (i = 0; i < nitems(a->counts); i++)
		count_down(a->counts[i]);
	free(a->target);
	if (a->reached != a->dest)
		free(a->reached);
	free(a->dest);
	free(a);
}

static void
id_key(struct count_key *k, enum count_kind kind, uint32_t id)
{
	memset(k, 0, sizeof(*k));
	k->kind = kind;
	k->id = id;
}

static enum reason
admit_register(const struct msg_open *o, const struct count_key *keys,
    unsigned nkeys, struct admit **ap)
{
	struct admit	*a;
	unsigned	 i;

	if ((a = calloc(1, sizeof(*a))) == NULL)
		return (REASON_INTERNAL);
	a->id = o->session;
	a->server = o->server;
	a->loc = o->loc;
	a->forward = o->forward;
	a->type = o->type;
	addr_pack(&o->source, &a->source);
	if (o->target[0] != '\0' &&
	    (a->target = strdup(o->target)) == NULL)
		goto fail;
	for (i = 0; i < nkeys; i++)
		if ((a->counts[i] = count_up(&keys[i])) == NULL)
			goto fail;
	if (RB_INSERT(admits, &admits, a) != NULL)
		goto fail;
	*ap = a;
	return (REASON_NONE);
fail:
	admit_free(a);
	return (REASON_INTERNAL);
}

enum reason
admit_add(const struct msg_open *o, const struct admit_limits *l,
    struct admit **ap)
{
	struct count_key	 keys[3];
	unsigned		 n = 0;

	/* Forwards are our own side's and have no limits. */
	if (o->forward == 0) {
		id_key(&keys[0], COUNT_SERVER, o->server);
		id_key(&keys[1], COUNT_LOC, o->loc);
		n = 2;
		if (l != NULL && (count_value(&keys[0]) >= l->server ||
		    count_value(&keys[1]) >= l->loc))
			return (REASON_MAX_SESSIONS);
		if (source_key(&keys[2], o->server, &o->source)) {
			n = 3;
			if (l != NULL && count_value(&keys[2]) >= l->source)
				return (REASON_MAX_PER_SOURCE);
		}
	}
	return (admit_register(o, keys, n, ap));
}

struct admit *
admit_find(uint64_t id)
{
	struct admit	 key;

	key.id = id;
	return (RB_FIND(admits, &admits, &key));
}

void
admit_remove(struct admit *a)
{
	RB_REMOVE(admits, &admits, a);
	admit_free(a);
}

struct admit *
admit_first(uint64_t from)
{
	struct admit	 key;

	key.id = from;
	return (RB_NFIND(admits, &admits, &key));
}

struct admit *
admit_next(struct admit *a)
{
	return (RB_NEXT(admits, &admits, a));
}

void
admit_open(const struct admit *a, struct msg_open *o)
{
	memset(o, 0, sizeof(*o));
	o->session = a->id;
	o->server = a->server;
	o->loc = a->loc;
	o->forward = a->forward;
	o->type = a->type;
	addr_unpack(&a->source, &o->source);
	if (a->target != NULL)
		(void)strlcpy(o->target, a->target, sizeof(o->target));
}

uint64_t
admit_server_count(uint32_t server)
{
	struct count_key	 k;

	id_key(&k, COUNT_SERVER, server);
	return (count_value(&k));
}
