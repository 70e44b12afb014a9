/* SPDX-License-Identifier: ISC */

/* accept.c: accepting on the shared listeners, within our descriptors. */

#include "compat.h"

#include <sys/types.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <errno.h>
#include <event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "accept.h"
#include "log.h"
#include "session.h"
#include "sockopt.h"
#include "tunneld.h"

#define BATCH		8		/* connections per event */
#define PAUSE_USEC	100000

struct acceptor {
	TAILQ_ENTRY(acceptor) entry;
	struct event	 ev;
	struct conf	*conf;		/* newest that has it, referenced */
	struct conf_listen *listen;	/* of that one */
	struct conf_server *server;	/* or */
	struct conf_forward *fwd;
	uint32_t	 id;
	int		 fd;		/* our own duplicate */
	bool		 seen, on;
	bool		 retiring;	/* removed, but not yet empty */
};
static TAILQ_HEAD(, acceptor) acceptors = TAILQ_HEAD_INITIALIZER(acceptors);

static struct event	 pause_ev;
static bool		 paused;

static void	 on_accept(int, short, void *);
static void	 on_resume(int, short, void *);
static void	 acceptor_retire(struct acceptor *);

static void
on(struct acceptor *a)
{
	if (!a->on && !paused) {
		event_add(&a->ev, NULL);
		a->on = true;
	}
}

static void
off(struct acceptor *a)
{
	if (a->on)
		event_del(&a->ev);
	a->on = false;
}

/*
 * Out of room.  Listeners are level-triggered: without a pause they would
 * spin.  The backlog holds the callers.
 */
static void
pause_all(void)
{
	struct timeval	 tv = { 0, PAUSE_USEC };
	struct acceptor	*a;

	if (paused)
		return;
	paused = true;
	TAILQ_FOREACH(a, &acceptors, entry)
		off(a);
	evtimer_set(&pause_ev, on_resume, NULL);
	evtimer_add(&pause_ev, &tv);
}

static void
on_resume(int fd, short what, void *arg)
{
	accept_resume();
}

void
accept_resume(void)
{
	struct acceptor	*a, *next;

	if (!paused)
		return;
	paused = false;
	evtimer_del(&pause_ev);
	TAILQ_FOREACH_SAFE(a, &acceptors, entry, next)
		if (a->retiring)
			acceptor_retire(a);
		else
			on(a);
}

/*
 * Take one connection.  Returns false when there is none, or no room.
 */
static bool
accept_one(struct acceptor *a)
{
	struct session	*s;
	struct addr	 peer;
	int		 fd;

	memset(&peer, 0, sizeof(peer));
	peer.len = sizeof(peer.ss);
	fd = accept4(a->fd, (struct sockaddr *)&peer.ss, &peer.len,
	    SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd == -1) {
		switch (errno) {
		case EMFILE:
		case ENFILE:
		case ENOBUFS:
		case ENOMEM:
			pause_all();
			return false;
		case EAGAIN:
			return false;
		default:	/* that connection was not to be */
			return errno == ECONNABORTED || errno == EINTR;
		}
	}
	addr_unmap(&peer);
	s = session_new(a->conf, a->server, a->fwd, a->listen, fd, &peer);
	if (s == NULL)
		return true;
	if (!relay_has_room()) {
		if (a->fwd != NULL) {
			stats->refusals[REASON_NO_DESCRIPTORS]++;
			row_log_refuse(s, REASON_NO_DESCRIPTORS, 0, NULL);
		}
		session_abort(s, 'P', REASON_NO_DESCRIPTORS);
	} else if (a->fwd != NULL)
		forward_begin(s);
	else
		upgrade_begin(s);
	settle(s);
	return true;
}

static void
on_accept(int fd, short what, void *arg)
{
	struct acceptor	*a = arg;
	int		 i;

	for (i = 0; i < BATCH && !paused; i++) {
		if (relay_is_full())
			pause_all();
		else if (!accept_one(a))
			break;
	}
}

static void
acceptor_free(struct acceptor *a)
{
	off(a);
	TAILQ_REMOVE(&acceptors, a, entry);
	close(a->fd);
	conf_unref(a->conf);
	free(a);
}

/* A removed listener: whoever is in its queue was promised service. */
static void
acceptor_retire(struct acceptor *a)
{
	int	 i;

	off(a);
	a->retiring = true;
	for (i = 0; i < 65536 && !relay_is_full() && accept_one(a); i++)
		;
	/* No room for the rest of them now: accept_resume() goes on. */
	if (relay_is_full())
		pause_all();
	if (!paused)
		acceptor_free(a);
}

static void
serve(struct conf *c, struct conf_listen *l, struct conf_server *server,
    struct conf_forward *fwd)
{
	struct acceptor	*a;
	int		 fd;

	if (l->fd == -1)
		return;
	TAILQ_FOREACH(a, &acceptors, entry)
		if (a->id == l->id)
			break;
	if (a == NULL) {
		/* The configuration's descriptor becomes ours. */
		fd = l->fd;
		l->fd = -1;
		if ((a = calloc(1, sizeof(*a))) == NULL)
			fatal("calloc");
		a->id = l->id;
		a->conf = conf_ref(c);
		a->fd = fd;
		/* What each accepted socket would need, it inherits. */
		sockopt_stream(fd);
		sockopt_reset_on_close(fd, true);
		event_set(&a->ev, fd, EV_READ | EV_PERSIST, on_accept, a);
		TAILQ_INSERT_TAIL(&acceptors, a, entry);
	} else {
		close(l->fd);
		l->fd = -1;
		conf_unref(a->conf);
		a->conf = conf_ref(c);
	}
	a->listen = l;
	a->server = server;
	a->fwd = fwd;
	a->seen = true;
}

void
accept_commit(struct conf *newconf)
{
	struct acceptor		*a, *next;
	struct conf_server	*server;
	struct conf_forward	*fwd;
	struct conf_listen	*l;

	TAILQ_FOREACH(a, &acceptors, entry)
		a->seen = false;
	TAILQ_FOREACH(server, &newconf->servers, entry)
		TAILQ_FOREACH(l, &server->listens, entry)
			serve(newconf, l, server, NULL);
	TAILQ_FOREACH(fwd, &newconf->forwards, entry)
		TAILQ_FOREACH(l, &fwd->listens, entry)
			serve(newconf, l, NULL, fwd);
	/* Those still queued belong to the generation that was. */
	TAILQ_FOREACH_SAFE(a, &acceptors, entry, next)
		if (!a->seen)
			acceptor_retire(a);
	TAILQ_FOREACH(a, &acceptors, entry)
		if (!a->retiring && (!relay_draining || a->fwd == NULL))
			on(a);
}

unsigned
accept_listeners(const struct conf *c)
{
	const struct conf_server	*server;
	const struct conf_forward	*fwd;
	const struct conf_listen	*l;
	unsigned			 n = 0;

	TAILQ_FOREACH(server, &c->servers, entry)
		TAILQ_FOREACH(l, &server->listens, entry)
			n++;
	TAILQ_FOREACH(fwd, &c->forwards, entry)
		TAILQ_FOREACH(l, &fwd->listens, entry)
			n++;
	return n;
}

void
accept_drain(void)
{
	struct acceptor	*a, *next;

	TAILQ_FOREACH_SAFE(a, &acceptors, entry, next)
		if (a->fwd != NULL)
			acceptor_free(a);
}

void
accept_stop(void)
{
	struct acceptor	*a;

	while ((a = TAILQ_FIRST(&acceptors)) != NULL)
		acceptor_free(a);
}
