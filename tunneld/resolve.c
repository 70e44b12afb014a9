/* SPDX-License-Identifier: ISC */

/* resolve.c: the hosts table and c-ares, driven by libevent. */

#include "compat.h"

#include <sys/types.h>
#include <sys/socket.h>

#include <netinet/in.h>

#define CARES_NO_DEPRECATED	/* ares_query() is all we want of it */
#include <ares.h>
#include <event.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "resolve.h"

/*
 * c-ares is used for its wire side only: ares_query() and the parsers of
 * replies.  Its other lookups open /etc/hosts, services or gai.conf each
 * time, which the sandbox forbids.  Servers are set by hand for the same
 * reason.
 *
 * Each server is asked in turn, and after a round again, with twice the
 * patience.  The first round has to end within half of "timeout connect", or
 * a dead server would hide a good one.  A channel takes its patience when it
 * is made, which opens files, too: so there is one for each, made before the
 * sandbox, and one of them is in use.
 */
#define DNS_TRIES	3
#define SERVERS_MAX	8

/*
 * One question on its way.  Names come from the configuration, so there is
 * a bound on how many differ, whatever clients do.
 *
 *	c-ares -> (answer) -> waiters' callbacks -> freed
 *	   ^          |
 *	   +- again --+  servers changed meanwhile
 */
struct lookup {
	TAILQ_ENTRY(lookup) entry;
	TAILQ_HEAD(, resolve) waiters;
	int		 af;
	bool		 asked;		/* c-ares will call back */
	bool		 again;
	bool		 answered;
	enum resolve_status status;
	const char	*why;
	unsigned	 n;
	struct addr	 addrs[RESOLVE_MAX];
	struct event	 deliver;	/* never from inside resolve_start() */
	char		 name[HOST_MAX + 1];
};

struct resolve {
	TAILQ_ENTRY(resolve) entry;
	struct lookup	*lookup;
	resolve_cb	*cb;
	void		*arg;
};

struct watch {				/* a socket of c-ares */
	TAILQ_ENTRY(watch) entry;
	struct event	 ev;
	int		 fd;
};

static const int		 patience[] = { 2000, 1000, 500, 250, 125 };
static ares_channel		 channels[nitems(patience)];
static ares_channel		 channel;	/* the one in use */
static struct event		 timer;
static TAILQ_HEAD(, lookup)	 lookups = TAILQ_HEAD_INITIALIZER(lookups);
static TAILQ_HEAD(, watch)	 watches = TAILQ_HEAD_INITIALIZER(watches);
static struct hosts		*table;
static struct addr		 servers[SERVERS_MAX];
static unsigned			 nservers;

static void
set_timer(void)
{
	struct timeval	 tv, *t;

	if ((t = ares_timeout(channel, NULL, &tv)) == NULL)
		event_del(&timer);
	else if (event_add(&timer, t) == -1)
		fatal("resolve: event_add");
}

static void
on_timer(int fd, short what, void *arg)
{
	ares_process_fd(channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	set_timer();
}

static void
on_socket(int fd, short what, void *arg)
{
	/* The watch may be gone when this returns. */
	ares_process_fd(arg, what & EV_READ ? fd : ARES_SOCKET_BAD,
	    what & EV_WRITE ? fd : ARES_SOCKET_BAD);
	set_timer();
}

static void
on_state(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct watch	*w;

	TAILQ_FOREACH(w, &watches, entry)
		if (w->fd == fd)
			break;
	if (w != NULL)
		event_del(&w->ev);
	if (!readable && !writable) {
		if (w != NULL) {
			TAILQ_REMOVE(&watches, w, entry);
			free(w);
		}
		return;
	}
	if (w == NULL) {
		if ((w = calloc(1, sizeof(*w))) == NULL)
			fatal("resolve");
		w->fd = fd;
		TAILQ_INSERT_TAIL(&watches, w, entry);
	}
	event_set(&w->ev, fd, EV_PERSIST | (readable ? EV_READ : 0) |
	    (writable ? EV_WRITE : 0), on_socket, *(ares_channel *)arg);
	if (event_add(&w->ev, NULL) == -1)
		fatal("resolve: event_add");
}

static int
channel_init(ares_channel *c, int ms)
{
	struct ares_options	 o;

	memset(&o, 0, sizeof(o));
	o.flags = ARES_FLAG_NOALIASES | ARES_FLAG_NOSEARCH;
	o.timeout = ms;
	o.tries = DNS_TRIES;
	o.ndots = 1;
	o.lookups = (char *)(uintptr_t)"b";
	o.sock_state_cb = on_state;
	o.sock_state_cb_data = c;
	return (ares_init_options(c, &o, ARES_OPT_FLAGS |
	    ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_NDOTS |
	    ARES_OPT_LOOKUPS | ARES_OPT_SERVERS | ARES_OPT_DOMAINS |
	    ARES_OPT_SORTLIST | ARES_OPT_SOCK_STATE_CB));
}

int
resolve_init(const char **why)
{
	size_t	 i;
	int	 r;

	if ((r = ares_library_init(ARES_LIB_INIT_ALL)) != ARES_SUCCESS) {
		*why = ares_strerror(r);
		return (-1);
	}
	for (i = 0; i < nitems(channels); i++) {
		if ((r = channel_init(&channels[i], patience[i])) ==
		    ARES_SUCCESS)
			continue;
		*why = ares_strerror(r);
		while (i > 0)
			ares_destroy(channels[--i]);
		ares_library_cleanup();
		return (-1);
	}
	channel = channels[0];
	evtimer_set(&timer, on_timer, NULL);
	return (0);
}

static void
lookup_free(struct lookup *l)
{
	event_del(&l->deliver);
	TAILQ_REMOVE(&lookups, l, entry);
	free(l);
}

void
resolve_done(void)
{
	struct lookup	*l;
	size_t		 i;

	for (i = 0; i < nitems(channels); i++)
		ares_destroy(channels[i]);
	ares_library_cleanup();
	event_del(&timer);
	while ((l = TAILQ_FIRST(&lookups)) != NULL)
		lookup_free(l);
	hosts_free(table);
	table = NULL;
	nservers = 0;
}

static void
on_deliver(int fd, short what, void *arg)
{
	struct lookup	*l = arg;
	struct resolve	*r;

	while ((r = TAILQ_FIRST(&l->waiters)) != NULL) {
		TAILQ_REMOVE(&l->waiters, r, entry);
		/* A callback may cancel other waiters, and ask again. */
		r->cb(r, l->status, l->addrs, l->n, l->why, r->arg);
		free(r);
	}
	lookup_free(l);
}

/* The answer is known; tell the waiters in the next round. */
static void
lookup_answer(struct lookup *l, enum resolve_status status, const char *why)
{
	static const struct timeval	 now = { 0, 0 };

	l->answered = true;
	l->status = status;
	l->why = why;
	if (event_add(&l->deliver, &now) == -1)
		fatal("resolve: event_add");
}

static void
take_reply(struct lookup *l, unsigned char *buf, int len)
{
	struct ares_addrttl	 a4[RESOLVE_MAX];
	struct ares_addr6ttl	 a6[RESOLVE_MAX];
	struct sockaddr_in	*in;
	struct sockaddr_in6	*in6;
	int			 n = RESOLVE_MAX, r, i;

	if (l->af == AF_INET)
		r = ares_parse_a_reply(buf, len, NULL, a4, &n);
	else
		r = ares_parse_aaaa_reply(buf, len, NULL, a6, &n);
	if (r == ARES_ENODATA || (r == ARES_SUCCESS && n <= 0)) {
		lookup_answer(l, RESOLVE_NODATA, "no address");
		return;
	}
	if (r != ARES_SUCCESS) {
		lookup_answer(l, RESOLVE_FAILED, ares_strerror(r));
		return;
	}
	memset(l->addrs, 0, sizeof(l->addrs));
	for (i = 0; i < n && i < RESOLVE_MAX; i++) {
		if (l->af == AF_INET) {
			in = (struct sockaddr_in *)&l->addrs[i].ss;
			in->sin_family = AF_INET;
			in->sin_addr = a4[i].ipaddr;
			l->addrs[i].len = sizeof(*in);
		} else {
			in6 = (struct sockaddr_in6 *)&l->addrs[i].ss;
			in6->sin6_family = AF_INET6;
			memcpy(&in6->sin6_addr, &a6[i].ip6addr, 16);
			l->addrs[i].len = sizeof(*in6);
		}
	}
	l->n = (unsigned)i;
	lookup_answer(l, RESOLVE_OK, "");
}

static void
on_reply(void *arg, int status, int timeouts, unsigned char *buf, int len)
{
	struct lookup	*l = arg;

	l->asked = false;
	switch (status) {
	case ARES_SUCCESS:
		take_reply(l, buf, len);
		break;
	case ARES_ENOTFOUND:
		lookup_answer(l, RESOLVE_NONAME, "no such name");
		break;
	case ARES_ENODATA:
		lookup_answer(l, RESOLVE_NODATA, "no address");
		break;
	case ARES_ETIMEOUT:
		lookup_answer(l, RESOLVE_TIMEOUT, "no name server answered");
		break;
	case ARES_ECANCELLED:
		if (l->again)
			break;
		/* FALLTHROUGH */
	default:
		lookup_answer(l, RESOLVE_FAILED, ares_strerror(status));
		break;
	}
}

static void
lookup_ask(struct lookup *l)
{
	l->again = false;
	if (nservers == 0) {
		lookup_answer(l, RESOLVE_FAILED, "no name server is known");
		return;
	}
	l->asked = true;
	ares_query(channel, l->name, 1 /* class IN */,
	    l->af == AF_INET ? 1 /* A */ : 28 /* AAAA */, on_reply, l);
	set_timer();
}

static int
set_servers(void)
{
	struct ares_addr_port_node	 nodes[SERVERS_MAX];
	const struct sockaddr_in	*in;
	const struct sockaddr_in6	*in6;
	unsigned			 i;

	memset(nodes, 0, sizeof(nodes));
	for (i = 0; i < nservers; i++) {
		nodes[i].next = i + 1 < nservers ? &nodes[i + 1] : NULL;
		nodes[i].family = servers[i].ss.ss_family;
		nodes[i].udp_port = nodes[i].tcp_port =
		    addr_port(&servers[i]);
		in = (const void *)&servers[i].ss;
		in6 = (const void *)&servers[i].ss;
		if (nodes[i].family == AF_INET)
			nodes[i].addr.addr4 = in->sin_addr;
		else
			memcpy(&nodes[i].addr.addr6, &in6->sin6_addr, 16);
	}
	return (ares_set_servers_ports(channel,
	    nservers > 0 ? nodes : NULL));
}

/* The servers c says to use.  Returns whether they are others than before. */
static bool
take_servers(const struct conf *c)
{
	const struct conf_resolvers	*list = &c->resolvers;
	const struct conf_resolver	*r;
	struct addr			 old[SERVERS_MAX];
	unsigned			 i, nold = nservers;

	memcpy(old, servers, sizeof(old));
	if (TAILQ_EMPTY(list))
		list = &c->nameservers;
	nservers = 0;
	TAILQ_FOREACH(r, list, entry) {
		if (nservers == SERVERS_MAX)
			break;
		if (r->addr.ss.ss_family == AF_INET ||
		    r->addr.ss.ss_family == AF_INET6)
			servers[nservers++] = r->addr;
	}
	if (nservers != nold)
		return (true);
	for (i = 0; i < nservers; i++)
		if (!addr_equal(&servers[i], &old[i], true))
			return (true);
	return (false);
}

/* The most patient one that leaves half of the time for connecting. */
static ares_channel
pick_channel(const struct conf *c)
{
	uint64_t	 round;
	size_t		 i;

	for (i = 0; i < nitems(patience) - 1; i++) {
		round = (uint64_t)patience[i] * 1000 * nservers;
		if (c->t_connect == OFF || round <= c->t_connect / 2)
			break;
	}
	return (channels[i]);
}

void
resolve_configure(struct hosts *h, const struct conf *c)
{
	struct lookup	*l;
	ares_channel	 old = channel;
	bool		 changed;
	int		 r;

	hosts_free(table);
	table = h;
	changed = take_servers(c);
	channel = pick_channel(c);
	if (!changed && channel == old)
		return;
	/* c-ares takes new servers only while nothing is on its way. */
	TAILQ_FOREACH(l, &lookups, entry)
		l->again = l->asked;
	ares_cancel(old);
	if ((r = set_servers()) != ARES_SUCCESS) {
		log_warnx("cannot set name servers: %s", ares_strerror(r));
		nservers = 0;
	}
	TAILQ_FOREACH(l, &lookups, entry)
		if (l->again)
			lookup_ask(l);
	set_timer();
}

unsigned
resolve_local(const char *name, struct addr *out, unsigned max)
{
	unsigned	 n;

	if ((n = hosts_lookup(table, name, out, max)) > 0)
		return (n);
	if (max < 2 || strcasecmp(name, "localhost") != 0)
		return (0);
	/* RFC 6761, 6.3: never a question for a server. */
	if (addr_parse("::1", 0, &out[0]) == -1 ||
	    addr_parse("127.0.0.1", 0, &out[1]) == -1)
		return (0);
	return (2);
}

struct resolve *
resolve_start(const char *name, int af, resolve_cb *cb, void *arg)
{
	struct lookup	*l;
	struct resolve	*r;

	if ((r = calloc(1, sizeof(*r))) == NULL)
		return (NULL);
	r->cb = cb;
	r->arg = arg;
	/* One that is being told has all its waiters already. */
	TAILQ_FOREACH(l, &lookups, entry)
		if (l->af == af && !l->answered &&
		    strcasecmp(l->name, name) == 0)
			break;
	if (l != NULL) {
		r->lookup = l;
		TAILQ_INSERT_TAIL(&l->waiters, r, entry);
		return (r);
	}
	if ((l = calloc(1, sizeof(*l))) == NULL ||
	    strlcpy(l->name, name, sizeof(l->name)) >= sizeof(l->name)) {
		free(l);
		free(r);
		return (NULL);
	}
	l->af = af;
	TAILQ_INIT(&l->waiters);
	evtimer_set(&l->deliver, on_deliver, l);
	TAILQ_INSERT_TAIL(&lookups, l, entry);
	r->lookup = l;
	TAILQ_INSERT_TAIL(&l->waiters, r, entry);
	lookup_ask(l);
	return (r);
}

void
resolve_cancel(struct resolve *r)
{
	if (r == NULL)
		return;
	/* The question stays: its answer may help the next one who asks. */
	TAILQ_REMOVE(&r->lookup->waiters, r, entry);
	free(r);
}
