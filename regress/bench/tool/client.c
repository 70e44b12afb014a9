/* SPDX-License-Identifier: ISC */

/* client.c: the load tool's connections, many at a time, in one thread. */

#include "compat.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"

#define OPENING_MAX	64		/* connects under way, if not a burst */
#define TURN_MAX	(1024 * 1024)	/* bytes written before others' turn */
#define SAID_MAX	10		/* failures that are shown */

static struct link	*links;
static unsigned int	 nopen, nopening, nfinished, nended;
static uint64_t		 started;	/* connections, in all */
static uint64_t		 progress;	/* ns: when something happened last */
static int		 ep, moved, stdin_open;

static void	 link_start(struct link *);

void
record(uint64_t ns)
{
	if (res.ntimes == res.maxtimes) {
		res.maxtimes = res.maxtimes == 0 ? 65536 : 2 * res.maxtimes;
		res.times = need(res.times, res.maxtimes * sizeof(*res.times));
	}
	res.times[res.ntimes++] = ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
}

static void
want(struct link *l, uint32_t events)
{
	struct epoll_event	 ev = { .events = events };

	ev.data.ptr = l;
	if (events == l->events)
		return;
	if (epoll_ctl(ep, l->events == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD,
	    l->fd, &ev) == -1)
		die("epoll_ctl: %s", strerror(errno));
	l->events = events;
}

/* Are there more connections to come? */
static int
more_to_start(void)
{
	if (!opt.mode->serial)
		return (started < opt.conns);
	if (opt.seconds > 0)
		return ((double)(now_ns() - res.begin) < opt.seconds * 1e9);
	return (started < opt.count);
}

/* The connection is over, well or not; in its place comes the next one. */
static void
link_over(struct link *l)
{
	if (l->state == ST_CONNECT || l->state == ST_UPGRADE)
		nopening--;
	else if (l->state != ST_IDLE)
		nopen--;
	if (l->fd != -1)
		close(l->fd);
	free(l->out);
	free(l->head);
	free(l->own);
	l->fd = -1;
	l->state = ST_IDLE;
	l->out = l->head = l->own = NULL;
	l->outlen = l->outoff = l->bulklen = l->bulkoff = l->headlen = 0;
	l->events = 0;
	nended++;
}

void
link_fail(struct link *l, const char *fmt, ...)
{
	static const char *const names[] = { "before connect", "connecting",
	    "upgrading", "open", "ending" };
	va_list	 ap;

	if (++res.errors <= SAID_MAX) {
		fprintf(stderr, "load: %s, connection %u, %s: ",
		    opt.mode->name, l->nr, names[l->state]);
		va_start(ap, fmt);
		vfprintf(stderr, fmt, ap);
		va_end(ap);
		fprintf(stderr, "\n");
	}
	/* Half a measurement is none; in a crowd the others go on. */
	if (!opt.mode->at_once)
		exit(1);
	if (l->finished == 0 && !opt.mode->serial)
		nfinished++;
	link_over(l);
}

/* ---- output ---- */

static void
queue(struct link *l, const void *buf, size_t len)
{
	if (l->outoff == l->outlen)
		l->outoff = l->outlen = 0;
	l->out = need(l->out, l->outlen + len);
	memcpy(l->out + l->outlen, buf, len);
	l->outlen += len;
}

static void
queue_frame(struct link *l, enum opcode op, const uint8_t *buf, size_t len)
{
	static uint8_t	 frame[PERIOD + FRAME_HEAD];

	queue(l, frame, ws_frame(frame, op, 1, buf, len, prng(&opt.seed)));
}

void
link_send(struct link *l, const uint8_t *buf, size_t len)
{
	if (opt.raw)
		queue(l, buf, len);
	else
		queue_frame(l, OP_BINARY, buf, len);
	l->sent += opt.mode->refill == NULL ? len : 0;
}

/* One write(2): 1 to go on, 0 if it must wait, -1 when the link is over. */
static int
put(struct link *l, const uint8_t *buf, size_t len, size_t *off)
{
	ssize_t	 n = write(l->fd, buf + *off, len - *off);

	if (n == -1 && errno == EINTR)
		return (1);
	if (n == -1 && errno == EAGAIN)
		return (0);
	if (n == -1) {
		link_fail(l, "write: %s", strerror(errno));
		return (-1);
	}
	*off += (size_t)n;
	moved = 1;
	return (1);
}

void
link_flush(struct link *l)
{
	size_t	 turn = 0, was;
	int	 r = 1;

	while (r == 1) {
		/* Small frames go between two of a batch, never inside. */
		if (l->outoff < l->outlen && l->bulkoff == 0)
			r = put(l, l->out, l->outlen, &l->outoff);
		else if (l->bulkoff < l->bulklen && turn < TURN_MAX) {
			was = l->bulkoff;
			r = put(l, l->bulk, l->bulklen, &l->bulkoff);
			turn += l->bulkoff - was;
			if (r != -1 && l->bulkoff == l->bulklen)
				l->bulkoff = l->bulklen = 0;
		} else if (l->bulklen > 0) {
			r = 0;		/* the others' turn */
		} else if (l->state != ST_OPEN || opt.mode->refill == NULL ||
		    !l->begun || l->finished || !opt.mode->refill(l))
			break;
	}
	if (r == -1)
		return;
	if (r == 1 && l->outoff == l->outlen) {
		free(l->out);
		l->out = NULL;
		l->outoff = l->outlen = 0;
	}
	want(l, r == 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

/* ---- life of a connection ---- */

/* Orderly, from our side. */
static void
link_end(struct link *l)
{
	static const uint8_t	 code[2] = { 1000 >> 8, 1000 & 0xff };

	if (l->state != ST_OPEN)
		return;
	l->state = ST_ENDING;
	if (!opt.raw) {
		queue_frame(l, OP_CLOSE, code, sizeof(code));
		link_flush(l);
	} else if (shutdown(l->fd, SHUT_WR) == -1)
		link_fail(l, "shutdown: %s", strerror(errno));
}

void
link_finished(struct link *l)
{
	if (l->finished)
		return;
	l->finished = 1;
	nfinished++;
	if (opt.mode->serial) {
		res.connections++;
		link_end(l);
	}
}

static void
link_begin(struct link *l)
{
	l->begun = 1;
	opt.mode->begin(l);
}

static void
opened(struct link *l)
{
	l->state = ST_OPEN;
	nopening--;
	nopen++;
	free(l->head);
	l->head = NULL;
	want(l, EPOLLIN);
	/* Others begin when all are open. */
	if (opt.mode->at_once)
		link_begin(l);
}

static void
connected(struct link *l)
{
	char		 text[1024];
	size_t		 n;
	int		 err = 0;
	socklen_t	 len = sizeof(err);

	if (getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &err, &len) == -1)
		err = errno;
	if (err != 0) {
		link_fail(l, "%s", strerror(err));
		return;
	}
	if (opt.raw) {
		opened(l);
		return;
	}
	if ((n = ws_request(text, sizeof(text), opt.host, opt.path)) == 0)
		die("the path is too long");
	l->state = ST_UPGRADE;
	queue(l, text, n);
	link_flush(l);
}

static void
link_start(struct link *l)
{
	struct sockaddr_in	 sin = { .sin_family = AF_INET };
	int			 on = 1;

	started++;
	l->nr = (unsigned int)(started - 1);
	l->began = now_ns();
	l->sent = l->got = l->messages = 0;
	l->begun = l->finished = l->peer_closed = 0;
	memset(&l->in, 0, sizeof(l->in));
	l->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (l->fd == -1)
		die("socket: %s", strerror(errno));
	(void)setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	sin.sin_addr.s_addr = opt.addr;
	sin.sin_port = htons(opt.port);
	l->state = ST_CONNECT;
	nopening++;
	if (connect(l->fd, (struct sockaddr *)&sin, sizeof(sin)) == -1 &&
	    errno != EINPROGRESS) {
		link_fail(l, "connect: %s", strerror(errno));
		return;
	}
	want(l, EPOLLOUT);
}

/* ---- input ---- */

static void
control(struct link *l)
{
	struct wsin	*w = &l->in;
	unsigned int	 code = 1005;

	switch (w->opcode) {
	case OP_PING:
		if (l->state == ST_OPEN)
			queue_frame(l, OP_PONG, w->control, w->ncontrol);
		return;
	case OP_PONG:
		return;
	}
	if (w->ncontrol >= 2)
		code = (unsigned int)w->control[0] << 8 | w->control[1];
	if (l->state == ST_ENDING && w->ncontrol != 1 &&
	    (code == 1000 || opt.foreign))
		l->peer_closed = 1;
	else
		link_fail(l, "Close %u \"%.*s\" from the server", code,
		    w->ncontrol > 2 ? (int)w->ncontrol - 2 : 0,
		    (char *)w->control + 2);
}

static void
frames(struct link *l, const uint8_t *buf, size_t len)
{
	const uint8_t	*data;
	const char	*err;
	size_t		 n;

	while (l->state != ST_IDLE) {
		if (l->peer_closed && len > 0) {
			link_fail(l, "data behind Close");
			return;
		}
		switch (wsin_feed(&l->in, &buf, &len, &data, &n, &err)) {
		case FOUND_MORE:
			if (l->outoff < l->outlen && l->state == ST_OPEN)
				link_flush(l);
			return;
		case FOUND_DATA:
			if (l->state == ST_ENDING)
				link_fail(l, "data after the end");
			else
				opt.mode->data(l, data, n);
			break;
		case FOUND_CONTROL:
			control(l);
			break;
		case FOUND_ERROR:
			link_fail(l, "%s", err);
			return;
		}
	}
}

static void
answer(struct link *l, const uint8_t *buf, size_t len)
{
	const char	*err;
	uint8_t		*rest;
	int		 n;

	l->head = need(l->head, l->headlen + len);
	memcpy(l->head + l->headlen, buf, len);
	l->headlen += len;
	n = ws_response(l->head, l->headlen, &err);
	if (n == -1)
		link_fail(l, "%s", err);
	if (n <= 0)
		return;
	rest = l->head;
	l->head = NULL;
	opened(l);
	frames(l, rest + n, l->headlen - (size_t)n);
	free(rest);
}

static void
ended(struct link *l, const char *how)
{
	if (l->state != ST_ENDING || (how != NULL && !opt.foreign))
		link_fail(l, "unexpected %s", how != NULL ? how :
		    "end of file");
	else if (!opt.raw && !l->peer_closed && !opt.foreign)
		link_fail(l, "end of file without Close");
	else
		link_over(l);
}

static void
readable(struct link *l)
{
	static uint8_t	 rbuf[RBUF];
	ssize_t		 n = read(l->fd, rbuf, sizeof(rbuf));

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	moved = 1;
	if (n <= 0)
		ended(l, n == 0 ? NULL : strerror(errno));
	else if (l->state == ST_UPGRADE)
		answer(l, rbuf, (size_t)n);
	else if (!opt.raw)
		frames(l, rbuf, (size_t)n);
	else if (l->state == ST_OPEN)
		opt.mode->data(l, rbuf, (size_t)n);
	else
		link_fail(l, "data after the end");
}

static void
handle(struct link *l, uint32_t events)
{
	if (l->state == ST_IDLE)
		return;
	if (l->state == ST_CONNECT) {
		connected(l);
		return;
	}
	/* What came before a reset is still read first. */
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		readable(l);
	if (events & EPOLLOUT && l->state != ST_IDLE)
		link_flush(l);
}

/* ---- the loop ---- */

static void
talk(uint64_t now)
{
	unsigned int	 i;

	for (i = 0; i < opt.talkers && i < opt.conns; i++) {
		struct link *l = &links[i];

		if (l->state != ST_OPEN || l->next > now)
			continue;
		if (l->sent != l->got) {	/* the one before */
			if (now - l->began > opt.patience * 1000000000ULL)
				link_fail(l, "no echo for %u s", opt.patience);
			continue;
		}
		l->next = now + opt.interval * 1000000ULL;
		l->began = now;
		link_send(l, pattern + (l->nr * 4099U + l->got) % PERIOD,
		    opt.size);
		link_flush(l);
	}
}

/* Is a talker's message still on its way? */
static int
talking(void)
{
	unsigned int	 i;

	for (i = 0; i < opt.talkers && i < opt.conns; i++)
		if (links[i].state == ST_OPEN && links[i].sent != links[i].got)
			return (1);
	return (0);
}

/* One turn; ms is how long to wait at most. */
static void
turn(int ms)
{
	struct epoll_event	 ev[256];
	uint64_t		 now;
	unsigned int		 i, limit;
	int			 j, n;

	limit = opt.mode->burst ? opt.conns : OPENING_MAX;
	for (i = 0; i < opt.conns && nopening < limit && more_to_start(); i++)
		if (links[i].state == ST_IDLE)
			link_start(&links[i]);
	n = epoll_wait(ep, ev, nitems(ev), ms);
	for (j = 0; j < n; j++)
		if (ev[j].data.ptr != NULL)
			handle(ev[j].data.ptr, ev[j].events);
		else
			stdin_open = 0;	/* a line or its end */
	now = now_ns();
	if (moved)
		progress = now;
	else if (now - progress > opt.patience * 1000000000ULL)
		die("%s: nothing happened for %u s: %u opening, %u open, "
		    "%u done", opt.mode->name, opt.patience, nopening, nopen,
		    nfinished);
	moved = 0;
}

/* Somebody measures: say where we are, go on when they have. */
static void
gate(const char *where)
{
	char	 c;

	if (!opt.gate)
		return;
	printf("%s\n", where);
	fflush(stdout);
	while (read(STDIN_FILENO, &c, 1) == 1 && c != '\n')
		;
	progress = now_ns();
}

/* Connections stay until time is up, or until a line on stdin, or its end. */
static void
hold(void)
{
	struct epoll_event	 ev = { .events = EPOLLIN };
	uint64_t		 until;

	printf("ready\n");
	fflush(stdout);
	until = now_ns() + (uint64_t)(opt.seconds * 1e9);
	if (opt.seconds == 0 &&
	    epoll_ctl(ep, EPOLL_CTL_ADD, STDIN_FILENO, &ev) == 0)
		stdin_open = 1;
	while (opt.seconds > 0 ? now_ns() < until : stdin_open) {
		progress = now_ns();
		talk(progress);
		turn(opt.talkers > 0 ? 5 : 100);
	}
	while (talking())
		turn(1000);
	if (opt.seconds == 0)
		(void)epoll_ctl(ep, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
}

void
client_run(void)
{
	unsigned int	 i;
	int		 serial = opt.mode->serial;

	if ((ep = epoll_create1(EPOLL_CLOEXEC)) == -1)
		die("epoll_create1: %s", strerror(errno));
	links = need(NULL, opt.conns * sizeof(*links));
	memset(links, 0, opt.conns * sizeof(*links));
	for (i = 0; i < opt.conns; i++)
		links[i].fd = -1;
	mode_init();
	res.begin = progress = now_ns();
	if (opt.mode->at_once)
		gate("ready");
	else {
		while (nopen + nended < opt.conns)
			turn(1000);
		gate("ready");
	}
	res.begin = now_ns();
	for (i = 0; i < opt.conns && !opt.mode->at_once; i++)
		link_begin(&links[i]);
	while (serial ? more_to_start() || nopening + nopen > 0 :
	    nfinished < opt.conns)
		turn(1000);
	res.end = now_ns();
	if (!serial)
		res.connections = nopen;
	if (opt.mode->holds)
		hold();
	gate("done");
	for (i = 0; i < opt.conns; i++)
		link_end(&links[i]);
	while (nopening + nopen > 0)
		turn(1000);
}
