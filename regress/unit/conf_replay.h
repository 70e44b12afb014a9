/* SPDX-License-Identifier: ISC */

/*
 * conf_replay.h: a configuration as the messages that each role is sent, and
 * conf_receive() fed with them again; for the tests of both halves.
 */
#ifndef CONF_REPLAY_H
#define CONF_REPLAY_H

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf_diff.h"
#include "conf_xfer.h"
#include "log.h"
#include "msg.h"

#define MAX_MESSAGES	4096

static const char text[] =
    "prefork 3 grace 7s user \"u\" chroot \"/c\" control socket \"/s\"\n"
    "log to \"/l\" format json size 5M age 2d keep 9 log level debug\n"
    "timeout handshake 1s timeout connect 2s timeout close 3s\n"
    "timeout stall 4s timeout idle off ping every 5s timeout 6s\n"
    "resolver 127.0.0.1 port 53 resolver ::1 port 5353 hosts \"/h\"\n"
    "server \"one\" {\n"
    "	listen on * port 0\n"
    "	listen on 127.0.0.1 port 8080\n"
    "	max-sessions 11 max-sessions-per-source 12\n"
    "	max-request-line 1K max-headers 13 max-header-bytes 2K\n"
    "	trusted-proxies { 10.0.0.0/8, ::1/128 }\n"
    "	origin { \"https://a\", \"http://b:8080\" }\n"
    "	location \"/ws\" { forward to host port 22 text any\n"
    "		max-sessions 14 message max 3K strict close yes }\n"
    "	location \"/u\" { forward to unix \"/p\" origin any }\n"
    "	location \"/t/*\" { forward to { 127.0.0.1:22 [::1]:23 n:24 }\n"
    "		subprotocol \"sokken\" origin { \"http://c\" }\n"
    "		allow from { 192.0.2.0/24, 2001:db8::/32 } }\n"
    "}\n"
    "server \"two\" { listen on ::1 port 8081 origin any\n"
    "	location \"/e\" { echo } location \"/h\" { health }\n"
    "	location \"/m\" { metrics allow from { 127.0.0.0/8 } } }\n"
    "forward 127.0.0.1 port 1 via \"ws://h:1/p?q=1\" subprotocol \"sokken\"\n"
    "forward * port 2 via \"ws://[::1]/\" half-close close message max 4K\n"
    "forward unix \"/f\" via \"ws://h\" half-close wait off strict close yes\n";

/* One message as it went over the channel. */
struct record {
	uint32_t	 type;
	size_t		 len;
	uint8_t		*data;
	int		 fd;
};

struct recording {
	struct record	 r[MAX_MESSAGES];
	unsigned	 n;
};

static struct recording	 rec[ROLE_MAX];

static struct conf *
make(void)
{
	struct conf		*c;
	struct conf_resolver	*r;
	struct conf_server	*s;
	struct conf_forward	*f;
	struct conf_listen	*l;
	char			 err[256];
	size_t			 i;

	c = conf_parse(NULL, text, NULL, stderr);
	assert_non_null(c);
	assert_int_equal(conf_adopt(c, NULL, err, sizeof(err)), 0);
	assert_non_null(r = calloc(1, sizeof(*r)));
	assert_int_equal(addr_parse("192.0.2.53", 53, &r->addr), 0);
	TAILQ_INSERT_TAIL(&c->nameservers, r, entry);
	/* Some chunks of hosts, the last one short. */
	assert_non_null(c->hosts_text = malloc(30001));
	for (i = 0; i < 30000; i++)
		c->hosts_text[i] = (char)(i % 89 == 0 ? '\n' : 'a' + i % 23);
	c->hosts_text[30000] = '\0';
	TAILQ_FOREACH(s, &c->servers, entry)
		TAILQ_FOREACH(l, &s->listens, entry)
			assert_true((l->fd = open("/dev/null",
			    O_RDONLY | O_CLOEXEC)) != -1);
	TAILQ_FOREACH(f, &c->forwards, entry)
		TAILQ_FOREACH(l, &f->listens, entry)
			assert_true((l->fd = open("/dev/zero",
			    O_RDONLY | O_CLOEXEC)) != -1);
	s = TAILQ_FIRST(&c->servers);
	l = TAILQ_FIRST(&s->listens);
	assert_int_equal(addr_parse("0.0.0.0", 4711, &l->bound), 0);
	return c;
}

/* ------------------------------------------------------------ recording */

static void
on_message(struct chan *ch, struct imsg *m)
{
	struct recording	*to = ch->arg;
	struct record		*r;
	struct ibuf		 b;

	assert_true(to->n < MAX_MESSAGES);
	r = &to->r[to->n++];
	r->type = imsg_get_type(m);
	assert_int_equal(imsg_get_ibuf(m, &b), 0);
	r->len = ibuf_size(&b);
	assert_non_null(r->data = malloc(r->len));
	memcpy(r->data, ibuf_data(&b), r->len);
	r->fd = imsg_get_fd(m);
}

static void
on_gone(struct chan *ch, const char *why)
{
	fail_msg("channel gone: %s", why);
}

static int
setup(void **state)
{
	struct event_base	*base;
	struct recording	*to;
	struct chan		*a, *b;
	struct conf		*c = make();
	enum role		 role;
	int			 sv[2];

	assert_non_null(base = event_init());
	for (role = ROLE_CONTROL; role < ROLE_MAX; role++) {
		to = &rec[role];
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
		a = chan_new(sv[0], role, 0, 1, on_message, on_gone, NULL);
		b = chan_new(sv[1], ROLE_PARENT, 0, 0, on_message, on_gone,
		    to);
		assert_int_equal(conf_send(a, c), 0);
		while (to->n == 0 || to->r[to->n - 1].type != MSG_PREPARE)
			assert_int_equal(event_loop(EVLOOP_ONCE), 0);
		chan_free(a);
		chan_free(b);
	}
	conf_unref(c);
	event_base_free(base);
	return 0;
}

static int
teardown(void **state)
{
	enum role	 role;
	unsigned	 i;

	for (role = 0; role < ROLE_MAX; role++)
		for (i = 0; i < rec[role].n; i++) {
			free(rec[role].r[i].data);
			if (rec[role].r[i].fd != -1)
				close(rec[role].r[i].fd);
		}
	return 0;
}

/* ------------------------------------------------------------ replaying */

static struct imsgbuf	 in, out;

static void
pair_open(void)
{
	int	 sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	assert_int_equal(imsgbuf_init(&out, sv[0]), 0);
	assert_int_equal(imsgbuf_init(&in, sv[1]), 0);
	imsgbuf_allow_fdpass(&out);
	imsgbuf_allow_fdpass(&in);
}

static void
pair_close(void)
{
	close(in.fd);
	close(out.fd);
	imsgbuf_clear(&in);
	imsgbuf_clear(&out);
}

/* Give one message to conf_receive(); fd is dup'd. */
static int
feed(struct conf **c, uint32_t type, const void *data, size_t len, int fd)
{
	struct imsg	 m;
	int		 r;

	if (fd != -1)
		assert_true((fd = fcntl(fd, F_DUPFD_CLOEXEC, 0)) != -1);
	assert_int_equal(imsg_compose(&out, type, 0, 0, fd, data, len), 1);
	assert_int_equal(imsgbuf_flush(&out), 0);
	while ((r = imsgbuf_get(&in, &m)) == 0)
		assert_int_equal(imsgbuf_read(&in), 1);
	assert_int_equal(r, 1);
	r = conf_receive(c, &m);
	imsg_free(&m);
	if (r == -1)
		assert_null(*c);
	else
		assert_non_null(*c);
	return r;
}

static int
feed_record(struct conf **c, const struct record *r)
{
	return feed(c, r->type, r->data, r->len, r->fd);
}

/*
 * All messages of a role, but message i handed over as fn wants.  0 when it
 * was taken up to the end.
 */
static int
replay(enum role role, unsigned i,
    int (*fn)(struct conf **, const struct record *, void *), void *arg,
    struct conf **result)
{
	struct conf	*c = NULL;
	unsigned	 k;
	int		 r = 0;

	for (k = 0; k < rec[role].n && r == 0; k++)
		r = k == i ? fn(&c, &rec[role].r[k], arg) :
		    feed_record(&c, &rec[role].r[k]);
	if (result != NULL)
		*result = c;
	else
		conf_unref(c);
	return r;
}

static struct conf *
receive_all(enum role role)
{
	struct conf	*c;

	assert_int_equal(replay(role, UINT32_MAX, NULL, NULL, &c), 0);
	return c;
}

/* First and last test: no descriptor is left open by those between. */
static int	 first_free;

static int
lowest(void)
{
	int	 fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_true(fd != -1);
	close(fd);
	return fd;
}

static void
test_first(void **state)
{
	pair_open();
	first_free = lowest();
}

static void
test_last(void **state)
{
	assert_int_equal(lowest(), first_free);
	pair_close();
}

#endif /* CONF_REPLAY_H */
