/* SPDX-License-Identifier: ISC */

/* connect.c: happy eyeballs (RFC 8305), and UNIX sockets. */

#include "compat.h"

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <netinet/in.h>

#include <errno.h>
#include <event.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "connect.h"
#include "log.h"
#include "resolve.h"
#include "sockopt.h"

/*
 *	start --address, hosts table---------------------------+
 *	  | A and AAAA asked                                   v
 *	  +--AAAA here, or A here and AAAA not for 50 ms--> trying
 *	  |                                                    | each 250 ms,
 *	  | both came without address                          | and at each
 *	  v                                                    v failure: next
 *	failed <--none left to try, deadline, all forbidden-- attempts
 *	                                                       | first success
 *	                                                       v
 *	                                                     done
 */
#define RESOLUTION_DELAY	50000	/* usec; RFC 8305, 8 */
#define ATTEMPT_DELAY		250000
#define UNIX_RETRY		50000	/* its backlog is full */
#define ATTEMPTS_MAX		8

struct attempt {
	struct connecting *k;
	struct event	 ev;
	int		 fd;		/* -1: over */
	struct addr	 addr;
};

struct family {
	struct resolve	*query;
	enum resolve_status status;
	const char	*why;
	struct addr	 addrs[RESOLVE_MAX];
	unsigned	 n, next;
};

enum { V6, V4 };			/* the order of preference */

struct connecting {
	struct dest	 dest;
	const struct connect_ops *ops;
	void		*arg;
	struct event	 deadline, next;
	struct family	 fam[2];
	bool		 started;	/* the first attempt was made */
	int		 lastfam;
	struct attempt	 att[ATTEMPTS_MAX];
	unsigned	 tried, running;
	/* the failure that tells most so far */
	enum reason	 reason;
	int		 error;
	struct addr	 where;
	bool		 forbidden;	/* an address was not allowed */
	struct addr	 forbidden_addr;
};

static void	step(struct connecting *);

enum reason
connect_reason(int error)
{
	switch (error) {
	case ECONNREFUSED:
	case ECONNRESET:
	case ENOENT:			/* no such UNIX socket */
		return (REASON_CONN_REFUSED);
	case ETIMEDOUT:
		return (REASON_TIMED_OUT);
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		return (REASON_NO_DESCRIPTORS);
	default:
		return (REASON_UNREACHABLE);
	}
}

/* Of several failures the one that says most about the target is told. */
static int
rank(enum reason r)
{
	switch (r) {
	case REASON_CONN_REFUSED:
		return (4);
	case REASON_TIMED_OUT:
		return (3);
	case REASON_NO_DESCRIPTORS:
		return (2);
	case REASON_NONE:
		return (0);
	default:
		return (1);
	}
}

static void
arm(struct event *ev, uint64_t usec)
{
	struct timeval	 tv;

	tv.tv_sec = (time_t)(usec / 1000000);
	tv.tv_usec = (suseconds_t)(usec % 1000000);
	if (event_add(ev, &tv) == -1)
		fatal("connect: event_add");
}

static void
attempt_close(struct attempt *a)
{
	if (a->fd == -1)
		return;
	event_del(&a->ev);
	close(a->fd);
	a->fd = -1;
}

static void
connecting_free(struct connecting *k)
{
	unsigned	 i;

	event_del(&k->deadline);
	event_del(&k->next);
	for (i = 0; i < nitems(k->fam); i++)
		resolve_cancel(k->fam[i].query);
	for (i = 0; i < k->tried; i++)
		attempt_close(&k->att[i]);
	free(k);
}

void
connect_cancel(struct connecting *k)
{
	if (k != NULL)
		connecting_free(k);
}

static void
finish(struct connecting *k, struct connect_result *res)
{
	const struct connect_ops	*ops = k->ops;
	void				*arg = k->arg;

	connecting_free(k);
	ops->done(arg, res);
}

static void
fail(struct connecting *k, enum reason reason, int error, const char *detail)
{
	struct connect_result	 res;

	memset(&res, 0, sizeof(res));
	res.fd = -1;
	res.reason = reason;
	res.error = error;
	(void)strlcpy(res.detail, detail, sizeof(res.detail));
	finish(k, &res);
}

/* fd is connected. */
static void
succeed(struct connecting *k, int fd, const struct addr *a)
{
	struct connect_result	 res;

	memset(&res, 0, sizeof(res));
	res.fd = fd;
	res.reason = REASON_NONE;
	if (k->dest.kind == TARGET_UNIX)
		(void)dest_format(&k->dest, res.reached, sizeof(res.reached));
	else
		(void)addr_format(a, res.reached, sizeof(res.reached));
	finish(k, &res);
}

static void
note(struct connecting *k, int error, const struct addr *a)
{
	enum reason	 r = connect_reason(error);

	if (rank(r) < rank(k->reason))
		return;
	k->reason = r;
	k->error = error;
	k->where = *a;
}

/* Nothing more to try, nothing more to come: say why. */
static void
give_up(struct connecting *k)
{
	char			 a[ADDR_TEXT], text[160];
	const struct family	*f, *worst = NULL;
	unsigned		 i;
	bool			 noname = false;

	if (k->tried > 0) {
		(void)snprintf(text, sizeof(text), "%s: %s",
		    addr_format(&k->where, a, sizeof(a)),
		    strerror(k->error));
		fail(k, k->reason, k->error, text);
		return;
	}
	if (k->forbidden) {
		(void)snprintf(text, sizeof(text), "the name resolves to %s,"
		    " which is local and not listed",
		    addr_format(&k->forbidden_addr, a, sizeof(a)));
		fail(k, REASON_TARGET_NOT_ALLOWED, 0, text);
		return;
	}
	/* That a name does not exist is certain if one answer says so. */
	for (i = 0; i < nitems(k->fam); i++) {
		f = &k->fam[i];
		if (f->status == RESOLVE_NONAME)
			noname = true;
		else if (f->status == RESOLVE_TIMEOUT ||
		    (f->status == RESOLVE_FAILED && worst == NULL))
			worst = f;
	}
	if (noname || worst == NULL) {
		fail(k, REASON_NO_NAME, 0,
		    noname ? "no such name" : "the name has no address");
		return;
	}
	(void)snprintf(text, sizeof(text), "name lookup: %s", worst->why);
	fail(k, worst->status == RESOLVE_TIMEOUT ? REASON_TIMED_OUT :
	    REASON_UNREACHABLE, 0, text);
}

/* An address for k, of the family where it belongs. */
static void
add_addr(struct connecting *k, const struct addr *addr)
{
	struct addr	 a = *addr;
	struct family	*f;

	addr_unmap(&a);
	addr_set_port(&a, k->dest.port);
	if (!k->ops->allowed(k->arg, &a)) {
		k->forbidden = true;
		k->forbidden_addr = a;
		return;
	}
	f = &k->fam[a.ss.ss_family == AF_INET6 ? V6 : V4];
	if (f->n < nitems(f->addrs))
		f->addrs[f->n++] = a;
}

static bool
more(const struct connecting *k)
{
	return (k->tried < ATTEMPTS_MAX &&
	    (k->fam[V6].next < k->fam[V6].n ||
	    k->fam[V4].next < k->fam[V4].n));
}

/* Families take turns, v6 first (RFC 8305, 4). */
static const struct addr *
pick(struct connecting *k)
{
	int	 f = k->lastfam == V6 ? V4 : V6;

	if (k->fam[f].next == k->fam[f].n)
		f = f == V6 ? V4 : V6;
	k->lastfam = f;
	return (&k->fam[f].addrs[k->fam[f].next++]);
}

/*
 * A connect(2) to a free local port out of the range the kernel picks from
 * can meet itself: that is nobody listening.
 */
static bool
met_itself(int fd, const struct addr *peer)
{
	struct addr	 self;

	if (!addr_is_loopback(peer))
		return (false);
	memset(&self, 0, sizeof(self));
	self.len = sizeof(self.ss);
	if (getsockname(fd, (struct sockaddr *)&self.ss, &self.len) == -1)
		return (false);
	return (addr_equal(&self, peer, true));
}

static void
on_attempt(int fd, short what, void *arg)
{
	struct attempt		*a = arg;
	struct connecting	*k = a->k;
	int			 error = 0;
	socklen_t		 len = sizeof(error);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
		error = errno;
	if (error == 0 && met_itself(fd, &a->addr))
		error = ECONNREFUSED;
	if (error == 0) {
		event_del(&a->ev);
		a->fd = -1;
		succeed(k, fd, &a->addr);
		return;
	}
	note(k, error, &a->addr);
	attempt_close(a);
	k->running--;
	/* No reason to wait for the next one. */
	event_del(&k->next);
	step(k);
}

/*
 * On loopback the handshake is over before connect(2) returns, although it
 * says EINPROGRESS: one look saves a turn of the event loop and two changes of
 * what it waits for.
 */
static bool
is_over(const struct attempt *a)
{
	struct pollfd	 pfd = { .fd = a->fd, .events = POLLOUT };

	return (addr_is_loopback(&a->addr) && poll(&pfd, 1, 0) == 1);
}

/*
 * Try the next address.  Returns true while an attempt is under way; false
 * when it failed at once.
 */
static bool
attempt(struct connecting *k)
{
	struct attempt	*a = &k->att[k->tried];

	a->k = k;
	a->addr = *pick(k);
	a->fd = socket(a->addr.ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0);
	k->tried++;
	if (a->fd == -1) {
		note(k, errno, &a->addr);
		return (false);
	}
	sockopt_stream(a->fd);
	if (connect(a->fd, (struct sockaddr *)&a->addr.ss,
	    a->addr.len) == -1 && errno != EINPROGRESS && errno != EINTR) {
		note(k, errno, &a->addr);
		close(a->fd);
		a->fd = -1;
		return (false);
	}
	/* Also when it succeeded at once: the event tells, from the loop. */
	event_set(&a->ev, a->fd, EV_WRITE, on_attempt, a);
	if (is_over(a))
		event_active(&a->ev, EV_WRITE, 1);
	else if (event_add(&a->ev, NULL) == -1)
		fatal("connect: event_add");
	k->running++;
	return (true);
}

/* Look where k stands and do what is next; k may be gone afterwards. */
static void
step(struct connecting *k)
{
	bool	 asking = k->fam[V6].query != NULL || k->fam[V4].query != NULL;

	if (!k->started && more(k)) {
		if (k->fam[V6].query != NULL) {
			/* Only v4 is here: v6 gets a moment (RFC 8305, 3). */
			if (!evtimer_pending(&k->next, NULL))
				arm(&k->next, RESOLUTION_DELAY);
			return;
		}
		k->started = true;
		event_del(&k->next);
	}
	/* The timer paces attempts while one is under way. */
	if (evtimer_pending(&k->next, NULL))
		return;
	while (more(k)) {
		if (attempt(k)) {
			arm(&k->next, ATTEMPT_DELAY);
			return;
		}
	}
	if (k->running == 0 && !asking)
		give_up(k);
}

static void
try_unix(struct connecting *k)
{
	struct sockaddr_un	 un;
	char			 text[160];
	int			 fd, error;

	memset(&un, 0, sizeof(un));
	un.sun_family = AF_UNIX;
	(void)strlcpy(un.sun_path, k->dest.path, sizeof(un.sun_path));
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    0)) != -1) {
		if (connect(fd, (struct sockaddr *)&un, sizeof(un)) == 0) {
			succeed(k, fd, NULL);
			return;
		}
		error = errno;
		close(fd);
	} else
		error = errno;
	if (error == EAGAIN) {		/* its backlog is full */
		arm(&k->next, UNIX_RETRY);
		return;
	}
	(void)snprintf(text, sizeof(text), "%s: %s", k->dest.path,
	    strerror(error));
	fail(k, connect_reason(error), error, text);
}

static void
on_next(int fd, short what, void *arg)
{
	struct connecting	*k = arg;

	if (k->dest.kind == TARGET_UNIX) {
		try_unix(k);
		return;
	}
	if (!k->started && more(k))
		k->started = true;	/* v6 had its moment */
	step(k);
}

static void
on_deadline(int fd, short what, void *arg)
{
	struct connecting	*k = arg;

	/* What we wait for is more addresses; what we had tells enough. */
	if (k->running == 0 && (k->tried > 0 || k->forbidden ||
	    k->fam[V6].status == RESOLVE_NONAME ||
	    k->fam[V4].status == RESOLVE_NONAME)) {
		give_up(k);
		return;
	}
	fail(k, REASON_TIMED_OUT, ETIMEDOUT, k->running > 0 ||
	    k->dest.kind == TARGET_UNIX ? "connect: timed out" :
	    "name lookup: timed out");
}

static void
on_resolved(struct resolve *r, enum resolve_status status,
    const struct addr *addrs, unsigned n, const char *why, void *arg)
{
	struct connecting	*k = arg;
	struct family		*f;
	unsigned		 i;

	f = &k->fam[k->fam[V6].query == r ? V6 : V4];
	f->query = NULL;
	f->status = status;
	f->why = why;
	if (status == RESOLVE_OK)
		for (i = 0; i < n; i++)
			add_addr(k, &addrs[i]);
	step(k);
}

/* Returns -1 when out of memory. */
static int
find_name(struct connecting *k)
{
	struct addr	 a[RESOLVE_MAX * 2];
	unsigned	 i, n;

	n = resolve_local(k->dest.name, a, nitems(a));
	for (i = 0; i < n; i++)
		add_addr(k, &a[i]);
	if (n > 0) {
		arm(&k->next, 0);
		return (0);
	}
	k->fam[V6].query = resolve_start(k->dest.name, AF_INET6, on_resolved,
	    k);
	k->fam[V4].query = resolve_start(k->dest.name, AF_INET, on_resolved,
	    k);
	return (k->fam[V6].query == NULL || k->fam[V4].query == NULL ?
	    -1 : 0);
}

struct connecting *
connect_start(const struct dest *d, uint64_t usec,
    const struct connect_ops *ops, void *arg)
{
	struct connecting	*k;

	if ((k = calloc(1, sizeof(*k))) == NULL)
		return (NULL);
	k->dest = *d;
	k->ops = ops;
	k->arg = arg;
	k->lastfam = V4;
	k->reason = REASON_NONE;
	evtimer_set(&k->deadline, on_deadline, k);
	evtimer_set(&k->next, on_next, k);
	if (usec != OFF)
		arm(&k->deadline, usec);
	switch (d->kind) {
	case TARGET_ADDR:
		add_addr(k, &d->addr);
		arm(&k->next, 0);
		break;
	case TARGET_NAME:
		if (find_name(k) == -1) {
			connecting_free(k);
			return (NULL);
		}
		break;
	case TARGET_UNIX:
		arm(&k->next, 0);
		break;
	}
	return (k);
}
