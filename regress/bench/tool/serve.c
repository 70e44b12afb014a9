/* SPDX-License-Identifier: ISC */

/*
 * serve.c: what stands behind a tunnel under load, in one process.
 *
 *	echo	sends back what comes
 *	source	is told a count, sends so many bytes, and waits for the end
 *	sink	is told a count, reads and compares so many bytes, says "ok"
 *
 * The count is ORDER_LEN bytes, decimal with a newline.
 */

#include "compat.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "load.h"

enum kind { ECHO, SOURCE, SINK };

struct peer {
	LIST_ENTRY(peer) entry;
	enum kind	 kind;
	int		 fd, listener;
	uint32_t	 events;	/* asked of epoll */
	char		 order[ORDER_LEN + 1];
	unsigned int	 norder;
	uint64_t	 want, done;	/* bytes */
	uint8_t		*rest;		/* echo: could not be written yet */
	size_t		 restlen;
};

static const char *const kinds[] = { "echo", "source", "sink" };
static LIST_HEAD(, peer) peers = LIST_HEAD_INITIALIZER(peers);
static uint8_t	 rbuf[RBUF];
static int	 ep, bad;
static volatile sig_atomic_t quit;

static void
on_term(int sig)
{
	(void)sig;
	quit = 1;
}

static void
want(struct peer *p, uint32_t events)
{
	struct epoll_event	 ev = { .events = events };

	ev.data.ptr = p;
	if (events == p->events)
		return;
	if (epoll_ctl(ep, p->events == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD,
	    p->fd, &ev) == -1)
		die("epoll_ctl: %s", strerror(errno));
	p->events = events;
}

static void
gone(struct peer *p)
{
	close(p->fd);
	LIST_REMOVE(p, entry);
	free(p->rest);
	free(p);
}

static struct peer *
fresh(void)
{
	struct peer	*p = need(NULL, sizeof(*p));

	memset(p, 0, sizeof(*p));
	LIST_INSERT_HEAD(&peers, p, entry);
	return (p);
}

/* A defect of the tunnel: seen on stderr and in the exit status. */
static void
complain(struct peer *p, const char *what)
{
	bad = 1;
	fprintf(stderr, "load: %s: %s after %" PRIu64 " of %" PRIu64
	    " bytes\n", kinds[p->kind], what, p->done, p->want);
}

/* The count; more of it may come.  -1 if it is none. */
static int
order(struct peer *p, const uint8_t **buf, size_t *len)
{
	char	*end;

	while (p->norder < ORDER_LEN && *len > 0) {
		p->order[p->norder++] = (char)*(*buf)++;
		(*len)--;
	}
	if (p->norder < ORDER_LEN)
		return (0);
	if (p->want == 0) {
		p->want = strtoull(p->order, &end, 10);
		if (*end != '\n' || p->want == 0)
			return (-1);
	}
	return (1);
}

/* -1 when the connection is to be closed. */
static int
source_write(struct peer *p)
{
	uint64_t	 n;
	ssize_t		 w;

	while (p->done < p->want) {
		n = p->want - p->done < PERIOD ? p->want - p->done : PERIOD;
		w = write(p->fd, pattern + p->done % PERIOD, (size_t)n);
		if (w == -1) {
			if (errno == EINTR)
				continue;
			if (errno == EAGAIN) {
				want(p, EPOLLIN | EPOLLOUT);
				return (0);
			}
			complain(p, strerror(errno));
			return (-1);
		}
		p->done += (uint64_t)w;
	}
	want(p, EPOLLIN);
	return (0);
}

static int
sink_read(struct peer *p, const uint8_t *buf, size_t len)
{
	if (p->done + len > p->want) {
		complain(p, "too many bytes");
		return (-1);
	}
	if (pattern_check(p->done, buf, len) != -1) {
		complain(p, "wrong bytes");
		return (-1);
	}
	p->done += len;
	/* Three bytes fit always: nothing was written before. */
	if (len > 0 && p->done == p->want && write(p->fd, "ok\n", 3) != 3) {
		complain(p, "the answer cannot be sent");
		return (-1);
	}
	return (0);
}

static int
echo_write(struct peer *p, const uint8_t *buf, size_t len)
{
	ssize_t	 w;

	while (len > 0) {
		w = write(p->fd, buf, len);
		if (w == -1 && errno == EINTR)
			continue;
		if (w == -1 && errno == EAGAIN)
			break;
		if (w == -1)
			return (-1);
		buf += w;
		len -= (size_t)w;
		p->done += (uint64_t)w;
	}
	if (len == 0) {
		free(p->rest);
		p->rest = NULL;
		p->restlen = 0;
		want(p, EPOLLIN);
		return (0);
	}
	if (p->rest == NULL) {
		p->rest = need(NULL, len);
		memcpy(p->rest, buf, len);
	} else
		memmove(p->rest, buf, len);
	p->restlen = len;
	want(p, EPOLLOUT);
	return (0);
}

static int
took(struct peer *p, const uint8_t *buf, size_t len)
{
	int	 r;

	if (p->kind == ECHO)
		return (echo_write(p, buf, len));
	if ((r = order(p, &buf, &len)) == 0)
		return (0);
	if (r == -1) {
		complain(p, "no count at the beginning");
		return (-1);
	}
	if (p->kind == SINK)
		return (sink_read(p, buf, len));
	if (len > 0) {
		complain(p, "bytes that nobody asked for");
		return (-1);
	}
	return (source_write(p));
}

static void
handle(struct peer *p, uint32_t events)
{
	ssize_t	 n;
	int	 r = 0;

	if (events & EPOLLOUT && p->kind == SOURCE)
		r = source_write(p);
	else if (events & EPOLLOUT && p->rest != NULL)
		r = echo_write(p, p->rest, p->restlen);
	if (r == -1) {
		gone(p);
		return;
	}
	if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)) || p->restlen > 0)
		return;
	n = read(p->fd, rbuf, sizeof(rbuf));
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0 && took(p, rbuf, (size_t)n) == 0)
		return;
	if (n <= 0 && p->done < p->want)
		complain(p, n == 0 ? "end of file" : strerror(errno));
	gone(p);
}

static void
take(struct peer *l)
{
	struct peer	*p;
	int		 fd, on = 1;

	while ((fd = accept4(l->fd, NULL, NULL,
	    SOCK_NONBLOCK | SOCK_CLOEXEC)) != -1) {
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		p = fresh();
		p->kind = l->kind;
		p->fd = fd;
		want(p, EPOLLIN);
	}
	if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
		die("accept: %s", strerror(errno));
}

static void
listener(const char *word)
{
	struct sockaddr_in	 sin = { .sin_family = AF_INET };
	struct peer		*p;
	socklen_t		 len = sizeof(sin);
	const char		*err = NULL;
	size_t			 n = strcspn(word, ":");
	int			 on = 1;

	p = fresh();
	p->listener = 1;
	while (strlen(kinds[p->kind]) != n ||
	    strncmp(word, kinds[p->kind], n) != 0)
		if (++p->kind == nitems(kinds))
			die("%s: not one of echo, source, sink", word);
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (word[n] == ':')
		sin.sin_port = htons((uint16_t)strtonum(word + n + 1, 0, 65535,
		    &err));
	if (err != NULL)
		die("%s: port is %s", word, err);
	p->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (p->fd == -1 ||
	    setsockopt(p->fd, SOL_SOCKET, SO_REUSEADDR, &on,
	    sizeof(on)) == -1 ||
	    bind(p->fd, (struct sockaddr *)&sin, sizeof(sin)) == -1 ||
	    listen(p->fd, 4096) == -1 ||
	    getsockname(p->fd, (struct sockaddr *)&sin, &len) == -1)
		die("%s: %s", word, strerror(errno));
	want(p, EPOLLIN);
	printf("%s %d\n", kinds[p->kind], ntohs(sin.sin_port));
}

int
serve(int argc, char **argv)
{
	struct epoll_event	 ev[64];
	struct sigaction	 sa = { .sa_handler = on_term };
	int			 i, n;

	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	if ((ep = epoll_create1(EPOLL_CLOEXEC)) == -1)
		die("epoll_create1: %s", strerror(errno));
	for (i = 0; i < argc; i++)
		listener(argv[i]);
	fflush(stdout);
	while (!quit) {
		n = epoll_wait(ep, ev, nitems(ev), -1);
		for (i = 0; i < n; i++) {
			struct peer *p = ev[i].data.ptr;

			if (p->listener)
				take(p);
			else
				handle(p, ev[i].events);
		}
	}
	while (!LIST_EMPTY(&peers))
		gone(LIST_FIRST(&peers));
	return (bad);
}
