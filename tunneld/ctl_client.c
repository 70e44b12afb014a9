/* SPDX-License-Identifier: ISC */
/*
 * ctl_client.c: connections to the control socket.  A client that is slow,
 * mute or malformed costs only itself.
 *
 *	accept -> HELLO -> idle --REQUEST--> busy --END, ERROR--> idle
 *	            |        |                |  pump() while there is room
 *	            +--------+----------------+--> closing -> closed
 *
 * While a client is busy or has output to read, its input waits unread.
 */

#include "compat.h"

#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "child.h"
#include "conf.h"
#include "control.h"
#include "log.h"

#define CLIENTS_PER_UID	8
#define CLIENTS_OTHERS	16		/* besides root and the starting user */
#define CLIENT_WAIT	10		/* seconds to say or read something */
#define QUEUE_MARK	(16 * 1024)	/* bytes; pump() stops above */
#define QUEUE_MAX	(512 * 1024)	/* one slice of rows is far below */

static TAILQ_HEAD(, ctl_client) clients = TAILQ_HEAD_INITIALIZER(clients);
static int		listener = -1;
static gid_t		group;
static uid_t		start_uid;
static uid_t		worker_uid;	/* start_uid: they have none */
static struct event	accept_ev, accept_later;
static uint64_t		tokens;

static void	client_accept(int, short, void *);
static void	client_read(int, short, void *);
static void	client_write(int, short, void *);
static void	client_late(int, short, void *);
static void	client_waited(int, short, void *);

/*
 * Who is answered can rely on a configuration: until the first one is
 * committed, here or in a successor, callers wait in the queue.
 */
static void
accept_some(void)
{
	if (listener != -1 && child_conf() != NULL)
		event_add(&accept_ev, NULL);
}

static void
accept_again(int fd, short ev, void *arg)
{
	accept_some();
}

void
ctl_client_start(void)
{
	accept_some();
}

void
ctl_client_init(const struct msg_hello *hello)
{
	/* Before the sandbox we are still who started the parent. */
	start_uid = getuid();
	worker_uid = hello->jail_root ? (uid_t)hello->uid : start_uid;
	evtimer_set(&accept_later, accept_again, NULL);
}

void
ctl_client_listen(int fd, gid_t gid)
{
	if (listener != -1) {
		event_del(&accept_ev);
		close(listener);
	}
	event_del(&accept_later);
	listener = fd;
	group = gid;
	if (fd == -1)
		return;
	if (fcntl(fd, F_SETFL, O_NONBLOCK) == -1)
		log_warn("control socket");
	event_set(&accept_ev, fd, EV_READ | EV_PERSIST, client_accept, NULL);
	accept_some();
}

static void
client_free(struct ctl_client *c)
{
	event_del(&c->rev);
	event_del(&c->wev);
	event_del(&c->deadline);
	event_del(&c->wait);
	TAILQ_REMOVE(&clients, c, entry);
	imsgbuf_clear(&c->ibuf);
	close(c->fd);
	if (c->conf != NULL)
		conf_unref(c->conf);
	free(c);
}

void
ctl_client_stop(void)
{
	struct ctl_client *c, *next;

	ctl_client_listen(-1, 0);
	for (c = TAILQ_FIRST(&clients); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		/* What is queued may still fit into the socket. */
		imsgbuf_write(&c->ibuf);
		client_free(c);
	}
}

/*
 * Root, the user who started us, the socket's group: what its mode grants.
 * But never a process like ourselves: the dialer is in that group and may
 * connect to UNIX sockets, and whoever takes it over must not give orders.
 */
static bool
permitted(const struct peercred *who)
{
	const struct conf *conf = child_conf();
	unsigned mode = conf != NULL ? conf->control_mode : 0600;

	if (who->uid == 0 || who->uid == start_uid)
		return true;
	if (who->uid == worker_uid)
		return false;
	if ((mode & 0060) == 0060 && who->has_group)
		return true;
	return (mode & 0006) == 0006;
}

static bool
room_for(const struct peercred *who, bool privileged)
{
	const struct ctl_client *c;
	unsigned same = 0, others = 0;

	TAILQ_FOREACH(c, &clients, entry) {
		same += c->uid == who->uid;
		others += !c->privileged;
	}
	return same < CLIENTS_PER_UID &&
	    (privileged || others < CLIENTS_OTHERS);
}

static void
wait_for_client(struct ctl_client *c)
{
	struct timeval tv = { CLIENT_WAIT, 0 };

	event_add(&c->deadline, &tv);
}

static struct ctl_client *
client_new(int fd, const struct peercred *who)
{
	struct ctl_client *c;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		return NULL;
	/* Descriptors are neither sent nor taken here. */
	if (imsgbuf_init(&c->ibuf, fd) == -1 ||
	    imsgbuf_set_maxsize(&c->ibuf, CTL_MSG_MAX) == -1) {
		free(c);
		return NULL;
	}
	c->fd = fd;
	c->uid = who->uid;
	c->privileged = who->uid == 0 || who->uid == start_uid;
	event_set(&c->rev, fd, EV_READ | EV_PERSIST, client_read, c);
	event_set(&c->wev, fd, EV_WRITE | EV_PERSIST, client_write, c);
	evtimer_set(&c->deadline, client_late, c);
	evtimer_set(&c->wait, client_waited, c);
	TAILQ_INSERT_TAIL(&clients, c, entry);
	return c;
}

static void
compose(struct ctl_client *c, enum ctl_type type, const void *p, size_t len)
{
	if (c->dead)
		return;
	if (imsgbuf_queuebytes(&c->ibuf) + len > QUEUE_MAX ||
	    imsg_compose(&c->ibuf, type, c->reqid, 0, -1, p, len) == -1)
		c->dead = true;
}

static void
compose_text(struct ctl_client *c, enum ctl_type type, const char *text)
{
	uint8_t buf[CTL_MSG_MAX];

	compose(c, type, buf, ctl_put_text(buf, text));
}

static void
greet(struct ctl_client *c)
{
	struct ctl_hello h = { CTL_VERSION, "tunneld " VERSION };
	uint8_t buf[CTL_MSG_MAX];

	compose(c, CTL_HELLO, buf, ctl_put_hello(buf, &h));
}

/* Say no and end: the client reads the text whatever it sent. */
static void
refuse(struct ctl_client *c, const char *why)
{
	greet(c);
	compose_text(c, CTL_ERROR, why);
	c->closing = true;
}

static void
client_accept(int lfd, short ev, void *arg)
{
	struct timeval second = { 1, 0 };
	struct ctl_client *c;
	struct peercred who;
	bool ok, room;
	int fd;

	fd = accept4(lfd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd == -1) {
		/* The connection waits on: without a pause we would spin. */
		if (errno != EAGAIN && errno != EWOULDBLOCK &&
		    errno != EINTR && errno != ECONNABORTED) {
			event_del(&accept_ev);
			event_add(&accept_later, &second);
		}
		return;
	}
	if (peercred(fd, group, &who) == -1) {
		close(fd);
		return;
	}
	ok = permitted(&who);
	room = room_for(&who, who.uid == 0 || who.uid == start_uid);
	if ((c = client_new(fd, &who)) == NULL) {
		close(fd);
		return;
	}
	if (!ok || !room) {
		refuse(c, ok ? "too many control connections" :
		    "permission denied");
		imsgbuf_write(&c->ibuf);
		client_free(c);
		return;
	}
	wait_for_client(c);
	ctl_client_push(c);
}

bool
ctl_client_full(struct ctl_client *c)
{
	return c->dead || imsgbuf_queuebytes(&c->ibuf) >= QUEUE_MARK;
}

void
ctl_client_row(struct ctl_client *c, const struct ctl_row *r)
{
	if (r->full)
		c->dead = true;
	compose(c, CTL_ROW, r->buf, r->len);
}

void
ctl_client_note(struct ctl_client *c, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	compose_text(c, CTL_NOTE, text);
}

static void
request_done(struct ctl_client *c)
{
	ctl_client_answered(c);
	c->busy = false;
	c->pump = NULL;
	c->pos = 0;
	if (c->conf != NULL)
		conf_unref(c->conf);
	c->conf = NULL;
}

void
ctl_client_end(struct ctl_client *c, const char *text)
{
	compose_text(c, CTL_END, text);
	request_done(c);
}

void
ctl_client_error(struct ctl_client *c, const char *fmt, ...)
{
	char text[CTL_TEXT_MAX + 1];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	compose_text(c, CTL_ERROR, text);
	request_done(c);
}

uint64_t
ctl_client_ask(struct ctl_client *c, unsigned ms)
{
	struct timeval tv = { ms / 1000, (suseconds_t)(ms % 1000) * 1000 };

	c->token = ++tokens;
	event_add(&c->wait, &tv);
	return c->token;
}

void
ctl_client_answered(struct ctl_client *c)
{
	c->token = 0;
	event_del(&c->wait);
}

struct ctl_client *
ctl_client_by_token(uint64_t token)
{
	struct ctl_client *c;

	if (token == 0)
		return NULL;
	TAILQ_FOREACH(c, &clients, entry) {
		if (c->token == token)
			return c;
	}
	return NULL;
}

void
ctl_client_each(void (*fn)(struct ctl_client *, void *), void *arg)
{
	struct ctl_client *c, *next;

	for (c = TAILQ_FIRST(&clients); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		fn(c, arg);
		ctl_client_push(c);
	}
}

/* -1: malformed, or not allowed now. */
static int
client_message(struct ctl_client *c, struct imsg *m)
{
	struct ctl_hello h;
	struct ibuf b;
	const uint8_t *p = NULL;
	size_t len = 0;

	if (imsg_get_len(m) > 0) {
		if (imsg_get_ibuf(m, &b) == -1)
			return -1;
		p = ibuf_data(&b);
		len = ibuf_size(&b);
	}
	if (!c->greeted) {
		if (imsg_get_type(m) != CTL_HELLO ||
		    ctl_get_hello(p, len, &h) == -1)
			return -1;
		if (h.version != CTL_VERSION) {
			refuse(c, "tunneld and tunnelctl are of different "
			    "versions");
			return 0;
		}
		c->greeted = true;
		greet(c);
		return 0;
	}
	if (imsg_get_type(m) != CTL_REQUEST ||
	    ctl_get_request(p, len, &c->req) == -1)
		return -1;
	c->reqid = imsg_get_id(m);
	c->busy = true;
	c->pos = 0;
	ctl_request_start(c);
	return 0;
}

/* Take what has been read, one request at a time. */
static void
client_process(struct ctl_client *c)
{
	struct imsg m;
	int r;

	while (!c->busy && !c->closing && !c->dead &&
	    imsgbuf_queuebytes(&c->ibuf) == 0) {
		if ((r = imsgbuf_get(&c->ibuf, &m)) == 0)
			break;
		if (r == -1) {
			c->dead = true;
			break;
		}
		if (client_message(c, &m) == -1)
			c->dead = true;
		imsg_free(&m);
		/* Write between two answers, so that the queue says much. */
		if (!c->dead && imsgbuf_write(&c->ibuf) == -1)
			c->dead = true;
	}
}

static void
set_events(struct ctl_client *c)
{
	bool queued = imsgbuf_queuelen(&c->ibuf) > 0;
	bool want = !c->busy && !queued && !c->closing;

	if (want != c->radded) {
		if (want)
			event_add(&c->rev, NULL);
		else
			event_del(&c->rev);
		c->radded = want;
	}
	if (queued != c->wadded) {
		if (queued)
			event_add(&c->wev, NULL);
		else
			event_del(&c->wev);
		c->wadded = queued;
	}
	/* The client is to speak or to read: not while a peer is asked. */
	if (!want && !queued)
		event_del(&c->deadline);
	else if (!evtimer_pending(&c->deadline, NULL))
		wait_for_client(c);
}

void
ctl_client_push(struct ctl_client *c)
{
	size_t before = imsgbuf_queuebytes(&c->ibuf);

	if (!c->dead && imsgbuf_write(&c->ibuf) == -1)
		c->dead = true;
	/* It reads: its time begins anew, whatever is queued next. */
	if (imsgbuf_queuebytes(&c->ibuf) < before)
		event_del(&c->deadline);
	client_process(c);
	while (c->pump != NULL && !ctl_client_full(c)) {
		c->pump(c);
		if (!c->dead && imsgbuf_write(&c->ibuf) == -1)
			c->dead = true;
		/* A peer is asked, or the socket is full. */
		if (c->token != 0 || imsgbuf_queuelen(&c->ibuf) > 0)
			break;
		client_process(c);
	}
	if (c->dead ||
	    (c->closing && imsgbuf_queuelen(&c->ibuf) == 0)) {
		client_free(c);
		return;
	}
	set_events(c);
}

static void
client_read(int fd, short ev, void *arg)
{
	struct ctl_client *c = arg;

	if (imsgbuf_read(&c->ibuf) != 1) {
		client_free(c);
		return;
	}
	event_del(&c->deadline);
	ctl_client_push(c);
}

static void
client_write(int fd, short ev, void *arg)
{
	ctl_client_push(arg);
}

static void
client_late(int fd, short ev, void *arg)
{
	struct ctl_client *c = arg;

	log_debug("control client of uid %u: too slow", (unsigned)c->uid);
	client_free(c);
}

/* The peer did not answer. */
static void
client_waited(int fd, short ev, void *arg)
{
	struct ctl_client *c = arg;

	c->token = 0;
	ctl_request_timeout(c);
	ctl_client_push(c);
}
