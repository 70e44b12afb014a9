/* SPDX-License-Identifier: ISC */

/* worker.c: the table of children, and what the parent says to them. */

#include "compat.h"

#include <sys/socket.h>

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "conf_xfer.h"
#include "log.h"
#include "logfile.h"
#include "parent.h"
#include "plog.h"
#include "supervise.h"
#include "worker.h"

static struct worker	 control, dialer, relays[RELAYS_MAX];

static void
init_worker(struct worker *w, enum role role, unsigned slot,
    void (*again)(int, short, void *))
{
	memset(w, 0, sizeof(*w));
	w->role = role;
	w->slot = slot;
	w->state = WORKER_GONE;
	w->violation = w->stats = -1;
	evtimer_set(&w->again, again, w);
}

void
worker_init(void (*again)(int, short, void *))
{
	unsigned	 i;

	init_worker(&control, ROLE_CONTROL, 0, again);
	init_worker(&dialer, ROLE_DIALER, 0, again);
	for (i = 0; i < RELAYS_MAX; i++)
		init_worker(&relays[i], ROLE_RELAY, i, again);
}

struct worker *
sup_get(enum role role, unsigned slot)
{
	switch (role) {
	case ROLE_CONTROL:
		return (slot == 0 ? &control : NULL);
	case ROLE_DIALER:
		return (slot == 0 ? &dialer : NULL);
	case ROLE_RELAY:
		return (slot < RELAYS_MAX ? &relays[slot] : NULL);
	default:
		return (NULL);
	}
}

struct worker *
sup_next(const struct worker *w)
{
	struct worker	*next;

	for (;;) {
		if (w == NULL)
			next = &control;
		else if (w == &control)
			next = &dialer;
		else if (w == &dialer)
			next = &relays[0];
		else if (w == &relays[RELAYS_MAX - 1])
			return (NULL);
		else
			next = &relays[w - relays + 1];
		if (next->used)
			return (next);
		w = next;
	}
}

bool
sup_alive(const struct worker *w)
{
	return (w->chan != NULL && !w->chan->dead);
}

bool
sup_all_ready(void)
{
	struct worker	*w;

	for (w = sup_next(NULL); w != NULL; w = sup_next(w)) {
		if (w->state != WORKER_READY)
			return (false);
	}
	return (true);
}

/*
 * Sending.
 */
void
sup_kill(struct worker *w, const char *why)
{
	if (w->pid == 0 || w->killed)
		return;
	w->killed = true;
	/* Why it had to go is told to its successor. */
	if (w->role == ROLE_CONTROL)
		plog_control(NULL);
	log_warnx("%s %u (pid %ld) %s: killed", role_name(w->role), w->slot,
	    (long)w->pid, why);
	(void)kill(w->pid, SIGKILL);
}

static void
deliver(struct worker *w, struct ibuf *b, int encoded, int fd)
{
	if (b != NULL && encoded == -1) {
		ibuf_free(b);
		b = NULL;
	}
	if (w->chan == NULL) {
		ibuf_free(b);
		if (fd != -1)
			close(fd);
	} else if (chan_send(w->chan, b, fd) == -1 && !w->chan->dead)
		sup_kill(w, "does not read its messages");
}

static struct ibuf *
compose(struct worker *w, uint32_t type)
{
	return (w->chan == NULL ? NULL : chan_msg(w->chan, type));
}

void
sup_send_fd(struct worker *w, uint32_t type, uint64_t num, int fd)
{
	struct ibuf	*b = compose(w, type);

	deliver(w, b, b == NULL ? -1 : msg_num_put(b, num), fd);
}

void
sup_send_num(struct worker *w, uint32_t type, uint64_t num)
{
	sup_send_fd(w, type, num, -1);
}

void
sup_signal(struct worker *w, uint32_t type)
{
	deliver(w, compose(w, type), 0, -1);
}

void
sup_send_result(struct worker *w, uint32_t type, const struct msg_result *res)
{
	struct ibuf	*b = compose(w, type);

	deliver(w, b, b == NULL ? -1 : msg_result_put(b, res), -1);
}

static void
send_peer(struct worker *w, uint32_t type, const struct worker *about, int fd)
{
	struct msg_peer	 p;
	struct ibuf	*b = compose(w, type);

	p.role = about->role;
	p.slot = about->slot;
	p.incarnation = about->incarnation;
	deliver(w, b, b == NULL ? -1 : msg_peer_put(b, &p), fd);
}

void
sup_row(struct worker *w)
{
	struct msg_worker	 m;
	struct ibuf		*b;

	if (!sup_alive(&control))
		return;
	memset(&m, 0, sizeof(m));
	if (w == NULL) {
		m.role = ROLE_PARENT;
		m.pid = (uint32_t)getpid();
		m.state = parent.phase == PHASE_START ? WORKER_STARTING :
		    parent.phase == PHASE_RUN ? WORKER_READY :
		    WORKER_DRAINING;
		m.sandbox.uid = (uint32_t)getuid();
	} else {
		m.role = w->role;
		m.slot = w->slot;
		m.incarnation = w->incarnation;
		m.pid = (uint32_t)w->pid;
		m.state = w->state;
		m.restarts = w->restarts;
		m.alarm = w->alarm;
		m.sandbox = w->sandbox;
	}
	b = compose(&control, MSG_WORKER);
	deliver(&control, b, b == NULL ? -1 : msg_worker_put(b, &m), -1);
}

void
worker_state(struct worker *w, enum worker_state state)
{
	w->state = state;
	sup_row(w);
}

/*
 * Configuration.
 */
int
sup_offer(struct worker *w, struct conf *c)
{
	if (conf_send(w->chan, c) == -1)
		return (sup_alive(w) ? -1 : 0);
	w->offer = OFFER_SENT;
	w->offered = c->generation;
	w->unanswered++;
	return (0);
}

void
sup_commit(struct worker *w)
{
	w->offer = OFFER_NONE;
	w->committing = w->offered;
	sup_send_num(w, MSG_COMMIT, w->offered);
}

void
sup_abort(struct worker *w)
{
	w->offer = OFFER_NONE;
	w->offered = 0;
	sup_signal(w, MSG_ABORT);
}

void
sup_offer_waiting(void)
{
	struct worker	*w;

	for (w = sup_next(NULL); w != NULL; w = sup_next(w)) {
		if (sup_alive(w) && w->offer == OFFER_NONE &&
		    w->committing == 0 && w->committed == 0 &&
		    !w->retired && sup_offer(w, parent.conf) == -1)
			sup_kill(w, "cannot be sent the configuration");
	}
}

/*
 * Peers.
 */
static bool
are_peers(const struct worker *a, const struct worker *b)
{
	if (a->role == b->role)
		return (false);
	return (a->role == ROLE_CONTROL || b->role == ROLE_CONTROL ||
	    a->role == ROLE_DIALER || b->role == ROLE_DIALER);
}

/* Channels to all that live: a new one for this incarnation. */
void
worker_connect(struct worker *w)
{
	struct worker	*o;
	int		 sv[2];

	for (o = sup_next(NULL); o != NULL; o = sup_next(o)) {
		if (o == w || !sup_alive(o) || !are_peers(w, o))
			continue;
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC |
		    SOCK_NONBLOCK, 0, sv) == -1) {
			log_warn("socketpair");
			sup_kill(w, "cannot be connected to its peers");
			return;
		}
		send_peer(w, MSG_PEER, o, sv[0]);
		send_peer(o, MSG_PEER, w, sv[1]);
	}
}

void
worker_tell_gone(struct worker *w)
{
	struct worker	*o;

	for (o = sup_next(NULL); o != NULL; o = sup_next(o)) {
		if (o != w && sup_alive(o) && are_peers(w, o))
			send_peer(o, MSG_PEER_GONE, w, -1);
	}
}

/*
 * What control holds for us.
 */
void
worker_page(struct worker *of)
{
	int	 fd;

	if (of->stats == -1 || !sup_alive(&control))
		return;
	if ((fd = fcntl(of->stats, F_DUPFD_CLOEXEC, 10)) == -1)
		log_warn("counters of %s %u", role_name(of->role), of->slot);
	else
		send_peer(&control, MSG_STATS_OF, of, fd);
}

void
sup_log_fd(int fd)
{
	if (sup_alive(&control)) {
		if (fd != -1)
			logfile_sent();
		sup_send_fd(&control, MSG_LOG_FD,
		    (uint64_t)logfile_dest(parent.conf), fd);
	} else if (fd != -1)
		close(fd);
}

void
worker_equip_control(void)
{
	struct worker	*w;
	unsigned	 i;
	char		 err[PATH_MAX_LEN + 256];
	int		 fd;

	if ((fd = logfile_open(parent.conf, err, sizeof(err))) == -1)
		log_warnx("%s", err);
	sup_log_fd(fd);
	if (parent.control_fd != -1) {
		fd = fcntl(parent.control_fd, F_DUPFD_CLOEXEC, 10);
		if (fd == -1)
			fatal("control socket");
		sup_send_fd(&control, MSG_CONTROL_FD,
		    parent.root ? parent.gid : getegid(), fd);
	}
	sup_row(NULL);
	for (w = sup_next(NULL); w != NULL; w = sup_next(w))
		sup_row(w);
	/* Also of slots that are no longer used: totals never fall. */
	worker_page(&control);
	worker_page(&dialer);
	for (i = 0; i < RELAYS_MAX; i++)
		worker_page(&relays[i]);
}

/* The first two messages. */
void
worker_hello(struct worker *w)
{
	struct msg_hello	 h;
	struct ibuf		*b;
	int			 fd;

	memset(&h, 0, sizeof(h));
	h.role = w->role;
	h.slot = w->slot;
	h.incarnation = w->incarnation;
	h.build = build_id();
	h.debug = parent.debug;
	h.jail_root = parent.root;
	h.uid = (uint32_t)parent.uid;
	h.gid = (uint32_t)parent.gid;
	h.started = parent.started;
	if (w->role == ROLE_RELAY)
		h.pipes = conf_pipes(parent.conf);
	(void)strlcpy(h.chroot, parent.chroot, sizeof(h.chroot));
	b = compose(w, MSG_HELLO);
	deliver(w, b, b == NULL ? -1 : msg_hello_put(b, &h), -1);
	if ((fd = fcntl(w->stats, F_DUPFD_CLOEXEC, 10)) == -1)
		fatal("counters");
	deliver(w, compose(w, MSG_STATS), 0, fd);
}
