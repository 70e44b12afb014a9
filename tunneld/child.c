/* SPDX-License-Identifier: ISC */

/* child.c: what is common to all children, see child.h. */

#include "compat.h"

#include <sys/types.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include <errno.h>
#include <event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "child.h"
#include "conf_xfer.h"
#include "log.h"
#include "probe.h"
#include "sandbox.h"
#include "stats.h"

/*
 *	exec --HELLO--> named --STATS--> init, sandbox --CONF_*, PREPARE-->
 *	prepared --COMMIT--> committed (and the role says child_ready())
 *
 * From then on CONF_*, PREPARE and COMMIT or ABORT may come again and again.
 * PEER and PEER_GONE may come at any time after the sandbox.
 */

#define HELLO_WAIT	10		/* seconds until the sandbox stands */
#define FLUSH_MS	500		/* for last words */
#define LOST_PINGS	3		/* of the parent: see peer_lost() */
#define EARLY_MAX	512		/* records kept while control is away */

struct early {
	TAILQ_ENTRY(early)	entry;
	struct logrec		rec;
};

static const struct role_ops	*ops;
static struct msg_hello		 hello;
static struct chan		*parent;
static struct chan		*peers[ROLE_MAX][RELAYS_MAX];
static struct {
	uint32_t	incarnation;	/* whose channel ended; 0: none */
	uint32_t	gone;		/* whose process did */
	unsigned	pings;		/* since then */
}				 lost[ROLE_MAX];
static struct conf		*current, *pending;
static bool			 named, jailed, prepared, ready, retire;
static struct event		 deadline;
static TAILQ_HEAD(, early)	 early = TAILQ_HEAD_INITIALIZER(early);
static unsigned			 nearly;

struct conf *
child_conf(void)
{
	return (current);
}

const struct msg_hello *
child_hello(void)
{
	return (&hello);
}

struct chan *
child_parent(void)
{
	return (parent);
}

struct chan *
child_peer(enum role role, unsigned slot)
{
	if ((unsigned)role >= ROLE_MAX || slot >= RELAYS_MAX)
		return (NULL);
	return (peers[role][slot]);
}

bool
child_retire(void)
{
	return (retire);
}

/*
 * Log records go to control.  While it is away (at start, or it died) some
 * are kept: the end of a session is told once or never.
 */
static int
log_control(struct chan *c, const struct logrec *r)
{
	struct ibuf	*b;

	/* Room is left for messages that somebody waits for. */
	if (chan_busy(c) || (b = chan_msg(c, MSG_LOG)) == NULL)
		return (-1);
	if (ibuf_add(b, r->buf, r->len) == -1) {
		ibuf_free(b);
		return (-1);
	}
	return (chan_send_soon(c, b));
}

static int
log_keep(const struct logrec *r)
{
	struct early	*e;

	if (nearly == EARLY_MAX || (e = malloc(sizeof(*e))) == NULL)
		return (-1);
	e->rec.len = r->len;
	memcpy(e->rec.buf, r->buf, r->len);
	TAILQ_INSERT_TAIL(&early, e, entry);
	nearly++;
	return (0);
}

static int
log_sink(const struct logrec *r, void *arg)
{
	struct chan	*c = peers[ROLE_CONTROL][0];

	return (c == NULL ? log_keep(r) : log_control(c, r));
}

static void
log_kept(struct chan *c)
{
	struct early	*e;

	while ((e = TAILQ_FIRST(&early)) != NULL) {
		TAILQ_REMOVE(&early, e, entry);
		nearly--;
		if (c != NULL)
			(void)log_control(c, &e->rec);
		else
			(void)log_stderr(&e->rec);
		free(e);
	}
}

/* Last words of fatal(): to control if it is there, or else to stderr. */
static void
child_fatal(void)
{
	struct chan	*c = peers[ROLE_CONTROL][0];

	log_kept(NULL);
	if (c != NULL)
		chan_flush(c, FLUSH_MS);
	if (parent != NULL)
		chan_flush(parent, FLUSH_MS);
}

void
child_exit(int code)
{
	struct chan	*c = peers[ROLE_CONTROL][0];

	if (c != NULL)
		chan_flush(c, FLUSH_MS);
	if (parent != NULL)
		chan_flush(parent, FLUSH_MS);
	/* The channel stays open: its EOF means that we are gone. */
	exit(code);
}

void
child_ready(void)
{
	if (ready)
		return;
	ready = true;
	if (chan_signal(parent, MSG_READY) == -1)
		fatalx("cannot tell the parent that we are ready");
}

static void
answer_num(uint32_t type, uint64_t num)
{
	struct ibuf	*b = chan_msg(parent, type);

	if (b != NULL && msg_num_put(b, num) == -1) {
		ibuf_free(b);
		b = NULL;
	}
	if (chan_send(parent, b, -1) == -1)
		fatalx("cannot answer the parent");
}

/*
 * Peers.
 */
/*
 * A channel ended, but did the process?  Mostly it did, and the parent says
 * so.  If not, one of the two has broken the rules and was cut off.  A relay
 * without a dialer, or a dialer without control, is of no use, and nobody
 * would notice: it ends, and the supervisor makes a new one.  A relay without
 * control serves, but is neither seen nor heard: it ends as soon as it has no
 * session.  Never the other way round: a relay must not be able to end those
 * that serve all.
 *
 * Counted in pings, not by the clock: a parent that is stopped says nothing.
 */
static void
peer_lost(const struct chan *c)
{
	if (c->peer > ops->role || c->incarnation == lost[c->peer].gone)
		return;
	lost[c->peer].incarnation = c->incarnation;
	lost[c->peer].pings = 0;
}

static void
check_lost(void)
{
	enum role	 r;

	for (r = ROLE_CONTROL; r < ROLE_MAX; r++) {
		if (lost[r].incarnation == 0 ||
		    ++lost[r].pings <= LOST_PINGS)
			continue;
		if (r != ROLE_CONTROL || ops->idle == NULL || ops->idle())
			fatalx("cut off from the %s", role_name(r));
	}
}

static void
peer_drop(struct chan *c)
{
	if (peers[c->peer][c->slot] == c) {
		peers[c->peer][c->slot] = NULL;
		peer_lost(c);
		if (ops->peer_down != NULL)
			ops->peer_down(c);
	}
	chan_free(c);
}

/*
 * Its successor is here before its channel has ended.  What a dead process
 * still wanted is void, but its last log records are not: control reads such
 * a channel to its end.
 */
static void
peer_replaced(struct chan *c)
{
	if (c == NULL)
		return;
	if (ops->role != ROLE_CONTROL) {
		peer_drop(c);
		return;
	}
	peers[c->peer][c->slot] = NULL;
	if (ops->peer_down != NULL)
		ops->peer_down(c);
}

static void
peer_gone(struct chan *c, const char *why)
{
	if (strcmp(why, "closed") != 0)
		log_error("channel to %s %u: %s: closed", role_name(c->peer),
		    c->slot, why);
	else
		log_debug("channel to %s %u ended", role_name(c->peer),
		    c->slot);
	peer_drop(c);
}

static void
peer_message(struct chan *c, struct imsg *m)
{
	uint32_t	 type = imsg_get_type(m);

	/* It may have gone inside the same batch of messages. */
	if (peers[c->peer][c->slot] != c)
		return;
	if (!msg_allowed(type, c->peer, ops->role)) {
		log_error("%s %u sent %s, which it may not: channel closed",
		    role_name(c->peer), c->slot, msg_name(type));
		peer_drop(c);
		return;
	}
	if (!PROBE_MESSAGE(c, m))
		ops->message(c, m);
}

static void
got_peer(struct imsg *m)
{
	struct msg_peer	 p;
	struct chan	*c;
	int		 fd = imsg_get_fd(m);

	if (msg_peer_get(m, &p) == -1 || p.role == ROLE_PARENT)
		fatalx("malformed PEER");
	/*
	 * Without its peer a process is of no use, and nobody would notice:
	 * the supervisor is to make a new one.
	 */
	if (fd == -1)
		fatalx("PEER %s %u without descriptor", role_name(p.role),
		    p.slot);
	peer_replaced(peers[p.role][p.slot]);
	c = chan_new(fd, p.role, p.slot, p.incarnation, peer_message,
	    peer_gone, NULL);
	c->batching = true;
	peers[p.role][p.slot] = c;
	lost[p.role].incarnation = 0;
	if (p.role == ROLE_CONTROL)
		log_kept(c);
	if (ops->peer_up != NULL)
		ops->peer_up(c);
}

/*
 * The process is gone.  Its channel, if still there, ends by itself as soon
 * as its last messages have been read.
 */
static void
got_peer_gone(struct imsg *m)
{
	struct msg_peer	 p;

	if (msg_peer_get(m, &p) == -1)
		fatalx("malformed PEER_GONE");
	log_debug("%s %u of incarnation %u is gone", role_name(p.role),
	    p.slot, p.incarnation);
	lost[p.role].gone = p.incarnation;
	if (lost[p.role].incarnation == p.incarnation)
		lost[p.role].incarnation = 0;
}

/*
 * Start.
 */
static void
got_hello(struct imsg *m)
{
	if (named || msg_hello_get(m, &hello) == -1)
		fatalx("malformed HELLO");
	if (hello.role != ops->role)
		fatalx("HELLO for another role");
	if (hello.build != build_id())
		fatalx("the executable has changed: restart tunneld");
	named = true;
	log_init(hello.role, hello.slot);
	log_to(log_sink, NULL);
	log_atfatal(child_fatal);
	if (hello.role == ROLE_RELAY)
		setproctitle("relay %u", hello.slot);
	else
		setproctitle("%s", role_name(hello.role));
}

static void
got_stats(struct imsg *m)
{
	struct msg_sandbox	 res;
	struct ibuf		*b;
	int			 fd = imsg_get_fd(m);

	if (!named || jailed || fd == -1)
		fatalx("malformed STATS");
	if (stats_attach(fd) == -1)
		fatal("stats page");
	if (ops->init != NULL)
		ops->init(&hello);
#ifndef TUNNELD_ASAN
	/* From here on all words go by the log: not past it to a terminal. */
	if (dup2(STDIN_FILENO, STDERR_FILENO) == -1)
		fatal("stderr");
#endif
	PROBE_PREPARE();
	sandbox_enter(ops->role, &hello, &res);
	jailed = true;
	evtimer_del(&deadline);
	if ((b = chan_msg(parent, MSG_SANDBOX)) == NULL ||
	    msg_sandbox_put(b, &res) == -1 || chan_send(parent, b, -1) == -1)
		fatalx("cannot report the sandbox");
}

/*
 * Configuration.
 */
static void
drop_pending(void)
{
	if (pending != NULL)
		conf_unref(pending);
	pending = NULL;
	prepared = false;
}

static void
answer_prepare(void)
{
	struct msg_result	 res;
	struct ibuf		*b;

	memset(&res, 0, sizeof(res));
	res.id = pending->generation;
	if (pending->fd_lost)
		strlcpy(res.text, "out of descriptors", sizeof(res.text));
	res.ok = prepared = !pending->fd_lost && (ops->prepare == NULL ||
	    ops->prepare(pending, res.text, sizeof(res.text)) == 0);
	if (!res.ok && res.text[0] == '\0')
		strlcpy(res.text, "refused without a reason",
		    sizeof(res.text));
	if (!res.ok)
		drop_pending();
	if ((b = chan_msg(parent, MSG_PREPARED)) == NULL ||
	    msg_result_put(b, &res) == -1 || chan_send(parent, b, -1) == -1)
		fatalx("cannot answer PREPARE");
}

/* CONF_BEGIN to PREPARE: the last one wants an answer. */
static void
got_conf(struct imsg *m)
{
	uint32_t	 type = imsg_get_type(m);

	prepared = false;
	if (conf_receive(&pending, m) == -1)
		fatalx("malformed configuration (%s)", msg_name(type));
	if (type == MSG_PREPARE)
		answer_prepare();
}

static void
got_commit(struct imsg *m)
{
	struct conf	*old = current;
	uint64_t	 generation;

	if (msg_num_get(m, &generation) == -1)
		fatalx("malformed COMMIT");
	if (pending != NULL && prepared &&
	    pending->generation == generation) {
		current = pending;
		pending = NULL;
		prepared = false;
		log_setlevel((enum log_level)current->log_level);
		ops->commit(current, old);
		if (old != NULL)
			conf_unref(old);
	} else if (current == NULL || current->generation != generation)
		fatalx("COMMIT of an unknown generation");
	answer_num(MSG_COMMITTED, generation);
}

static void
got_level(struct imsg *m)
{
	uint64_t	 level;

	if (msg_num_get(m, &level) == -1 || level > LOG_L_DEBUG)
		fatalx("malformed LOG_LEVEL");
	log_setlevel((enum log_level)level);
}

static void
got_drain(struct imsg *m)
{
	uint64_t	 num;

	if (msg_num_get(m, &num) == -1)
		fatalx("malformed DRAIN");
	retire = num == DRAIN_RETIRE;
	if (ops->drain != NULL)
		ops->drain();
}

static void
got_stop(void)
{
	if (ops->stop == NULL)
		child_exit(0);
	ops->stop();
}

/* HELLO, then STATS, then anything. */
static bool
in_order(uint32_t type)
{
	if (jailed)
		return (type != MSG_HELLO && type != MSG_STATS);
	return (type == (named ? MSG_STATS : MSG_HELLO));
}

static void
parent_message(struct chan *c, struct imsg *m)
{
	uint32_t	 type = imsg_get_type(m);

	if (!msg_allowed(type, ROLE_PARENT, ops->role) || !in_order(type))
		fatalx("unexpected %s from the parent", msg_name(type));
	if (conf_is_xfer(type)) {
		got_conf(m);
		return;
	}
	switch (type) {
	case MSG_HELLO:
		got_hello(m);
		break;
	case MSG_STATS:
		got_stats(m);
		break;
	case MSG_PEER:
		got_peer(m);
		break;
	case MSG_PEER_GONE:
		got_peer_gone(m);
		break;
	case MSG_COMMIT:
		got_commit(m);
		break;
	case MSG_ABORT:
		drop_pending();
		break;
	case MSG_LOG_LEVEL:
		got_level(m);
		break;
	case MSG_ALIVE:
		if (chan_signal(parent, MSG_ALIVE_OK) == -1)
			fatalx("cannot answer ALIVE");
		check_lost();
		break;
	case MSG_DRAIN:
		got_drain(m);
		break;
	case MSG_STOP:
		got_stop();
		break;
	default:
		ops->message(c, m);
		break;
	}
}

/* The parent is gone: so are we, at once. */
static void
parent_gone(struct chan *c, const char *why)
{
	_exit(1);
}

static void
too_late(int fd, short ev, void *arg)
{
	fatalx("the parent says nothing");
}

void
child_main(const struct role_ops *role)
{
	static const int	 ignored[] = { SIGPIPE, SIGINT, SIGTERM, SIGHUP,
				    SIGUSR1 };
	struct timeval		 tv = { .tv_sec = HELLO_WAIT };
	size_t			 i;

	ops = role;
	log_init(role->role, 0);
	if (fcntl(CHANNEL_FD, F_GETFD) == -1)
		fatalx("-R is for tunneld itself");
	(void)fcntl(VIOLATION_FD, F_SETFD, FD_CLOEXEC);
#ifdef __linux__
	/* Executed by descriptor, we would be called by its number. */
	(void)prctl(PR_SET_NAME, "tunneld", 0, 0, 0);
#endif
	/* The parent says when to end; a terminal's ^C goes to it as well. */
	for (i = 0; i < nitems(ignored); i++) {
		if (signal(ignored[i], SIG_IGN) == SIG_ERR)
			fatal("signal");
	}
	if (chdir("/") == -1)
		fatal("chdir");
	event_init();
	evtimer_set(&deadline, too_late, NULL);
	evtimer_add(&deadline, &tv);
	parent = chan_new(CHANNEL_FD, ROLE_PARENT, 0, 0, parent_message,
	    parent_gone, NULL);
	event_dispatch();
	fatalx("event loop ended");
}
