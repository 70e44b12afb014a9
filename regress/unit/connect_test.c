/* SPDX-License-Identifier: ISC */
/* connect_test.c: names and addresses against a name server of our own. */
/* LINK: tunneld/connect.c tunneld/resolve.c tunneld/hosts.c tunneld/policy.c tunneld/conf.c tunneld/log.c tunneld/logfmt.c tunneld/util.c tunneld/stats.c tunneld/reason.c lib/addr.c lib/json.c lib/utf8.c lib/visstr.c compat/shm.c compat/sockopt.c -lcares compat/fdstat.c */

#include "compat.h"

#include <sys/types.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <netinet/in.h>

#include <errno.h>
#include <event.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "connect.h"
#include "resolve.h"

/*
 * The name server: what it says of each name, and after how long.
 */
#define MUTE	-1			/* never answers */
static const struct zone {
	const char	*name;
	const char	*a, *aaaa;	/* texts separated by blanks */
	int		 rcode;		/* 2 SERVFAIL, 3 NXDOMAIN */
	int		 ms_a, ms_aaaa;
} zone[] = {
	{ "both.test", "127.0.0.1", "::1", 0, 0, 0 },
	{ "four.test", "127.0.0.1", "", 0, 0, 0 },
	{ "soon6.test", "127.0.0.1", "::1", 0, 0, 10 },
	{ "mute6.test", "127.0.0.1", "::1", 0, 0, MUTE },
	{ "mute.test", "127.0.0.1", "::1", 0, MUTE, MUTE },
	{ "late4.test", "127.0.0.1", "", 0, 100, 0 },
	{ "empty.test", "", "", 0, 0, 0 },
	{ "fail.test", "", "", 2, 0, 0 },
	{ "dead6.test", "127.0.0.1", "::1", 0, 0, 0 },
	{ "hang.test", "127.0.0.2 127.0.0.1", "", 0, 0, 0 },
	{ "twelve.test", "127.0.0.11 127.0.0.12 127.0.0.13 127.0.0.14 "
	    "127.0.0.15 127.0.0.16 127.0.0.17 127.0.0.18 127.0.0.19 "
	    "127.0.0.20 127.0.0.21 127.0.0.1", "", 0, 0, 0 },
	{ "mapped.test", "", "::ffff:127.0.0.1", 0, 0, 0 },
};

struct stub {
	int		 fd;
	uint16_t	 port;
	bool		 mute;
	unsigned	 questions;
	struct event	 ev;
};
struct late {
	struct event	 ev;
	struct stub	*stub;
	struct sockaddr_in peer;
	size_t		 len;
	uint8_t		 buf[1024];
};

static struct stub	 stub, stub2;
static struct event_base *base;

static void
late_send(int fd, short what, void *arg)
{
	struct late	*l = arg;

	(void)sendto(l->stub->fd, l->buf, l->len, 0,
	    (struct sockaddr *)&l->peer, sizeof(l->peer));
	free(l);
}

/* Append an answer for each address in text. */
static void
add_answers(struct late *l, const char *text, int af)
{
	char		 copy[512], *p, *last;
	struct addr	 a;
	size_t		 len = af == AF_INET ? 4 : 16;
	uint8_t		*w;

	strlcpy(copy, text, sizeof(copy));
	for (p = strtok_r(copy, " ", &last); p != NULL;
	    p = strtok_r(NULL, " ", &last)) {
		assert_int_equal(addr_parse(p, 0, &a), 0);
		w = l->buf + l->len;
		memcpy(w, "\xc0\x0c\0\0\0\1\0\0\0\x3c\0", 11);
		w[3] = af == AF_INET ? 1 : 28;
		w[11] = (uint8_t)len;
		if (af == AF_INET)
			memcpy(w + 12,
			    &((struct sockaddr_in *)&a.ss)->sin_addr, 4);
		else
			memcpy(w + 12,
			    &((struct sockaddr_in6 *)&a.ss)->sin6_addr, 16);
		l->len += 12 + len;
		l->buf[7]++;
	}
}

static void
stub_read(int fd, short what, void *arg)
{
	struct stub		*s = arg;
	struct late		*l = calloc(1, sizeof(*l));
	const struct zone	*z = NULL;
	socklen_t		 plen = sizeof(l->peer);
	struct timeval		 tv = { 0, 0 };
	char			 name[256];
	size_t			 i, pos = 12, n = 0;
	ssize_t			 len;
	int			 ms = 0;

	len = recvfrom(fd, l->buf, 512, 0, (struct sockaddr *)&l->peer,
	    &plen);
	if (len < 17) {
		free(l);
		return;
	}
	s->questions++;
	while (l->buf[pos] != 0) {
		memcpy(name + n, l->buf + pos + 1, l->buf[pos]);
		n += l->buf[pos];
		name[n++] = '.';
		pos += l->buf[pos] + 1U;
	}
	name[n - 1] = '\0';
	pos += 5;
	l->len = pos;
	l->stub = s;
	l->buf[2] |= 0x80;
	for (i = 0; i < nitems(zone); i++)
		if (strcasecmp(zone[i].name, name) == 0)
			z = &zone[i];
	l->buf[3] = (uint8_t)(0x80 | (z == NULL ? 3 : z->rcode));
	if (z != NULL) {
		ms = l->buf[pos - 3] == 1 ? z->ms_a : z->ms_aaaa;
		if (l->buf[pos - 3] == 1)
			add_answers(l, z->a, AF_INET);
		else
			add_answers(l, z->aaaa, AF_INET6);
	}
	if (ms == MUTE || s->mute) {
		free(l);
		return;
	}
	tv.tv_usec = ms * 1000;
	evtimer_set(&l->ev, late_send, l);
	evtimer_add(&l->ev, &tv);
}

static void
stub_start(struct stub *s)
{
	struct sockaddr_in	 in = { .sin_family = AF_INET };
	socklen_t		 len = sizeof(in);

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s->fd = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(bind(s->fd, (struct sockaddr *)&in, len), 0);
	assert_int_equal(getsockname(s->fd, (struct sockaddr *)&in, &len), 0);
	s->port = ntohs(in.sin_port);
	event_set(&s->ev, s->fd, EV_READ | EV_PERSIST, stub_read, s);
	event_add(&s->ev, NULL);
}

/* Use this server (NULL: none) and this hosts file. */
static void
configure(const struct stub *s, const char *hosts)
{
	struct conf		*c = conf_new();
	struct conf_resolver	*r = calloc(1, sizeof(*r));

	if (s != NULL) {
		assert_int_equal(addr_parse("127.0.0.1", s->port, &r->addr),
		    0);
		TAILQ_INSERT_TAIL(&c->resolvers, r, entry);
	} else
		free(r);
	resolve_configure(hosts_parse(hosts), c);
	conf_unref(c);
}

/*
 * Listeners.  A full one answers no SYN: connecting to it hangs.
 */
static int
listener(const char *text, uint16_t port)
{
	struct addr	 a;
	int		 fd, on = 1;

	assert_int_equal(addr_parse(text, port, &a), 0);
	fd = socket(a.ss.ss_family, SOCK_STREAM, 0);
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&a.ss, a.len) == -1 ||
	    listen(fd, port == 0 ? 0 : 64) == -1) {
		close(fd);
		return (-1);
	}
	return (fd);
}

static uint16_t
port_of(int fd)
{
	struct addr	 a;

	memset(&a, 0, sizeof(a));
	a.len = sizeof(a.ss);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a.ss, &a.len), 0);
	return (addr_port(&a));
}

static int	full[6];		/* the listener and what fills it */

static uint16_t
full_start(const char *text, uint16_t port)
{
	struct addr	 a;
	size_t		 i;

	assert_int_equal(addr_parse(text, port, &a), 0);
	full[0] = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(full[0], (struct sockaddr *)&a.ss, a.len), 0);
	assert_int_equal(listen(full[0], 0), 0);
	addr_set_port(&a, port_of(full[0]));
	for (i = 1; i < nitems(full); i++) {
		full[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)connect(full[i], (struct sockaddr *)&a.ss, a.len);
	}
	return (addr_port(&a));
}

static void
full_stop(void)
{
	size_t	 i;

	for (i = 0; i < nitems(full); i++)
		close(full[i]);
}

/*
 * One connection.
 */
static struct connect_result	 result;
static unsigned			 results, asked_allowed;
static bool			 only_public, no_four;

static bool
allowed(void *arg, const struct addr *a)
{
	asked_allowed++;
	if (no_four && a->ss.ss_family == AF_INET)
		return (false);
	return (!only_public || !addr_is_local(a));
}

static void
done(void *arg, struct connect_result *res)
{
	if (result.fd > 0)
		close(result.fd);
	result = *res;
	results++;
}

static const struct connect_ops	ops = { allowed, done };

static struct dest
dest(const char *host, uint16_t port)
{
	struct dest	 d;

	memset(&d, 0, sizeof(d));
	d.port = port;
	if (host[0] == '/') {
		d.kind = TARGET_UNIX;
		strlcpy(d.path, host, sizeof(d.path));
	} else if (addr_parse(host, port, &d.addr) == 0)
		d.kind = TARGET_ADDR;
	else {
		d.kind = TARGET_NAME;
		strlcpy(d.name, host, sizeof(d.name));
	}
	return (d);
}

/* Turn until n results are there; 20 s stand for a hang. */
static void
wait_results(unsigned n)
{
	uint64_t	 end = mono_usec() + 20000000;

	while (results < n && mono_usec() < end)
		event_base_loop(base, EVLOOP_ONCE);
	assert_int_equal(results, n);
}

static void
turns(unsigned ms)
{
	uint64_t	 end = mono_usec() + ms * 1000;

	while (mono_usec() < end)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

static unsigned
descriptors(void)
{
	unsigned	 n = 0;
	int		 fd;

	for (fd = 0; fd < 512; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return (n);
}

static uint64_t
dial(const char *host, uint16_t port, unsigned ms)
{
	struct dest	 d = dest(host, port);
	uint64_t	 start = mono_usec();

	if (result.fd > 0)
		close(result.fd);
	memset(&result, 0, sizeof(result));
	result.fd = -1;
	results = asked_allowed = 0;
	assert_non_null(connect_start(&d, ms * 1000ULL, &ops, NULL));
	assert_int_equal(results, 0);	/* never from inside */
	wait_results(1);
	return (mono_usec() - start);
}

static void
reached(const char *host, uint16_t port)
{
	char	 text[ADDR_TEXT];

	snprintf(text, sizeof(text), strchr(host, ':') == NULL ? "%s:%u" :
	    "[%s]:%u", host, port);
	assert_int_equal(result.reason, REASON_NONE);
	assert_string_equal(result.reached, text);
	assert_true(fcntl(result.fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(result.fd, F_GETFD) & FD_CLOEXEC);
	close(result.fd);
	result.fd = -1;
}

static int	four = -1, six = -1, dead;
static uint16_t	port, deadport;

static void
test_numeric(void **state)
{
	dial("127.0.0.1", port, 5000);
	reached("127.0.0.1", port);
	dial("127.0.0.1", deadport, 5000);
	assert_int_equal(result.reason, REASON_CONN_REFUSED);
	assert_int_equal(result.error, ECONNREFUSED);
	assert_non_null(strstr(result.detail, "127.0.0.1"));
}

static void
test_hosts_and_localhost(void **state)
{
	unsigned	 before = stub.questions;
	uint64_t	 t;

	configure(&stub, "127.0.0.9 two\n127.0.0.1 two\n");
	/* The first one refuses: the second is tried without waiting. */
	t = dial("two", port, 5000);
	reached("127.0.0.1", port);
	assert_true(t < 240000);
	dial("LocalHost", port, 5000);
	reached(six != -1 ? "::1" : "127.0.0.1", port);
	configure(&stub, "127.0.0.1 localhost\n");
	dial("localhost", port, 5000);
	reached("127.0.0.1", port);
	assert_int_equal(stub.questions, before);
	configure(&stub, "");
}

static void
test_order(void **state)
{
	uint64_t	 t;
	int		 i;

	if (six == -1)
		skip();
	dial("both.test", port, 5000);
	reached("::1", port);
	dial("BOTH.Test", port, 5000);
	reached("::1", port);
	/*
	 * v6 a little late still goes first.  A machine that stands still
	 * for 40 ms must not turn this red: three tries.
	 */
	for (i = 0; i < 3; i++) {
		dial("soon6.test", port, 5000);
		if (strstr(result.reached, "::1") != NULL)
			break;
	}
	reached("::1", port);
	/* But for no longer than 50 ms. */
	t = dial("mute6.test", port, 5000);
	reached("127.0.0.1", port);
	assert_in_range(t, 45000, 1500000);
	/* v6 there but refused: v4, also when it comes later. */
	dial("late4.test", port, 5000);
	reached("127.0.0.1", port);
	dial("mapped.test", port, 5000);
	reached("127.0.0.1", port);
}

static void
test_attempt_delay(void **state)
{
	unsigned	 before = descriptors();
	uint64_t	 t;
	int		 fd;
	uint16_t	 p = full_start("127.0.0.2", 0);

	fd = listener("127.0.0.1", p);
	assert_int_not_equal(fd, -1);
	t = dial("hang.test", p, 5000);
	reached("127.0.0.1", p);
	assert_in_range(t, 240000, 2500000);
	close(fd);
	/* Now the second one refuses, and the first hangs to the end. */
	t = dial("hang.test", p, 600);
	assert_int_equal(result.reason, REASON_TIMED_OUT);
	assert_in_range(t, 590000, 3000000);
	full_stop();
	assert_int_equal(descriptors(), before);
}

static void
test_names_that_fail(void **state)
{
	uint64_t	 t;

	dial("nx.test", port, 5000);
	assert_int_equal(result.reason, REASON_NO_NAME);
	dial("empty.test", port, 5000);
	assert_int_equal(result.reason, REASON_NO_NAME);
	dial("fail.test", port, 5000);
	assert_int_equal(result.reason, REASON_UNREACHABLE);
	assert_non_null(strstr(result.detail, "name lookup: "));
	t = dial("mute.test", port, 300);
	assert_int_equal(result.reason, REASON_TIMED_OUT);
	assert_non_null(strstr(result.detail, "name lookup: "));
	assert_in_range(t, 290000, 2000000);
	/* What the known address said is worth more than the clock. */
	dial("mute6.test", deadport, 300);
	assert_int_equal(result.reason, REASON_CONN_REFUSED);
	configure(NULL, "");
	dial("four.test", port, 5000);
	assert_int_equal(result.reason, REASON_UNREACHABLE);
	configure(&stub, "");
	dial("four.test", port, 5000);
	reached("127.0.0.1", port);
}

static void
test_forbidden(void **state)
{
	only_public = true;
	dial("both.test", port, 5000);
	assert_int_equal(result.reason, REASON_TARGET_NOT_ALLOWED);
	assert_int_equal(asked_allowed, 2);
	dial("mapped.test", port, 5000);
	assert_int_equal(result.reason, REASON_TARGET_NOT_ALLOWED);
	dial("localhost", port, 5000);	/* the caller makes exceptions */
	assert_int_equal(result.reason, REASON_TARGET_NOT_ALLOWED);
	only_public = false;
	no_four = true;
	dial("four.test", port, 5000);
	assert_int_equal(result.reason, REASON_TARGET_NOT_ALLOWED);
	dial("dead6.test", deadport, 5000);
	assert_int_equal(result.reason, REASON_CONN_REFUSED);
	no_four = false;
}

/* Eight addresses and no more. */
static void
test_many_addresses(void **state)
{
	dial("twelve.test", port, 5000);
	assert_int_equal(result.reason, REASON_CONN_REFUSED);
	assert_in_range(asked_allowed, 1, 8);
}

static void
test_unix(void **state)
{
	struct sockaddr_un	 un = { .sun_family = AF_UNIX };
	struct dest		 d;
	char			 dir[] = "/tmp/connect_test.XXXXXX";
	int			 l, c, filler[8];
	unsigned		 n;

	assert_non_null(mkdtemp(dir));
	snprintf(un.sun_path, sizeof(un.sun_path), "%s/s", dir);
	dial(un.sun_path, 0, 1000);
	assert_int_equal(result.reason, REASON_CONN_REFUSED);
	assert_int_equal(result.error, ENOENT);
	assert_non_null(strstr(result.detail, un.sun_path));
	/* Not to wait in accept(2) for who has not tried again yet. */
	l = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(l, (struct sockaddr *)&un, sizeof(un)), 0);
	dial(un.sun_path, 0, 1000);
	assert_int_equal(result.error, ECONNREFUSED);
	assert_int_equal(listen(l, 0), 0);
	dial(un.sun_path, 0, 1000);
	assert_int_equal(result.reason, REASON_NONE);
	assert_int_equal(strncmp(result.reached, "unix:/", 6), 0);
	close(result.fd);
	result.fd = -1;
	/* A full backlog is waited for: to the deadline ... */
	for (n = 0; n < nitems(filler); n++) {
		filler[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)connect(filler[n], (struct sockaddr *)&un, sizeof(un));
	}
	dial(un.sun_path, 0, 200);
	assert_int_equal(result.reason, REASON_TIMED_OUT);
	/* ... or until there is room. */
	results = 0;
	d = dest(un.sun_path, 0);
	connect_start(&d, 5000000, &ops, NULL);
	turns(100);
	assert_int_equal(results, 0);
	while (results == 0) {
		if ((c = accept4(l, NULL, NULL, SOCK_NONBLOCK)) != -1)
			close(c);
		turns(20);
	}
	assert_int_equal(result.reason, REASON_NONE);
	close(result.fd);
	result.fd = -1;
	for (n = 0; n < nitems(filler); n++)
		close(filler[n]);
	close(l);
	unlink(un.sun_path);
	rmdir(dir);
}

/* At every stage: no callback afterwards, no descriptor left. */
static void
test_cancel(void **state)
{
	static const char *const hosts[] = { "127.0.0.1", "localhost",
		"both.test", "mute.test", "mute6.test", "nx.test",
		"/nonexistent" };
	struct connecting	*k;
	struct dest		 d;
	unsigned		 before, ms;
	size_t			 i;
	uint16_t		 p;

	p = full_start("127.0.0.2", 0);
	turns(50);
	before = descriptors();
	for (i = 0; i < nitems(hosts); i++)
		for (ms = 0; ms < 3; ms++) {
			results = 0;
			d = dest(hosts[i], deadport);
			k = connect_start(&d, 5000000, &ops, NULL);
			turns(ms);
			if (results == 0)
				connect_cancel(k);
			turns(2);
			assert_in_range(results, 0, 1);
		}
	results = 0;
	d = dest("127.0.0.2", p);
	k = connect_start(&d, 5000000, &ops, NULL);
	turns(20);
	assert_int_equal(results, 0);
	connect_cancel(k);
	connect_cancel(NULL);
	/* c-ares keeps a socket while mute questions are out. */
	assert_in_range(descriptors(), before, before + 1);
	full_stop();
}

static void
test_one_question(void **state)
{
	struct dest	 d = dest("both.test", port);
	unsigned	 i, before = stub.questions;

	results = 0;
	result.fd = -1;
	for (i = 0; i < 40; i++)
		connect_start(&d, 5000000, &ops, NULL);
	wait_results(40);
	assert_int_equal(stub.questions - before, 2);
	assert_int_equal(result.reason, REASON_NONE);
	close(result.fd);
	result.fd = -1;
}

/* Other servers: what is on its way is asked again there. */
static void
test_new_servers(void **state)
{
	struct dest	 d = dest("four.test", port);
	uint64_t	 start = mono_usec();

	results = 0;
	result.fd = -1;
	stub.mute = true;
	connect_start(&d, 9000000, &ops, NULL);
	turns(50);
	assert_int_equal(results, 0);
	configure(&stub, "");			/* the same: nothing happens */
	turns(20);
	assert_int_equal(results, 0);
	configure(&stub2, "");
	wait_results(1);
	reached("127.0.0.1", port);
	assert_true(mono_usec() - start < 1900000);
	stub.mute = false;
	configure(&stub, "");
}

static void
test_out_of_descriptors(void **state)
{
	struct rlimit	 old, low;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	low = old;
	low.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	dial("127.0.0.1", port, 5000);
	assert_int_equal(result.reason, REASON_NO_DESCRIPTORS);
	dial("/nonexistent", 0, 5000);
	assert_int_equal(result.reason, REASON_NO_DESCRIPTORS);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
}

static void
test_reasons(void **state)
{
	assert_int_equal(connect_reason(ECONNREFUSED), REASON_CONN_REFUSED);
	assert_int_equal(connect_reason(ECONNRESET), REASON_CONN_REFUSED);
	assert_int_equal(connect_reason(ENOENT), REASON_CONN_REFUSED);
	assert_int_equal(connect_reason(ETIMEDOUT), REASON_TIMED_OUT);
	assert_int_equal(connect_reason(ENETUNREACH), REASON_UNREACHABLE);
	assert_int_equal(connect_reason(EHOSTUNREACH), REASON_UNREACHABLE);
	assert_int_equal(connect_reason(EACCES), REASON_UNREACHABLE);
	assert_int_equal(connect_reason(EPERM), REASON_UNREACHABLE);
	assert_int_equal(connect_reason(EMFILE), REASON_NO_DESCRIPTORS);
	assert_int_equal(connect_reason(ENFILE), REASON_NO_DESCRIPTORS);
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(test_numeric),
		cmocka_unit_test(test_hosts_and_localhost),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_attempt_delay),
		cmocka_unit_test(test_names_that_fail),
		cmocka_unit_test(test_forbidden),
		cmocka_unit_test(test_many_addresses),
		cmocka_unit_test(test_unix),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_one_question),
		cmocka_unit_test(test_new_servers),
		cmocka_unit_test(test_out_of_descriptors),
		cmocka_unit_test(test_reasons),
	};
	const char	*why;
	int		 r;

	base = event_init();
	if (resolve_init(&why) == -1)
		return (1);
	stub_start(&stub);
	stub_start(&stub2);
	configure(&stub, "");
	result.fd = -1;
	/* The same port on both, and one that nobody listens on. */
	four = listener("127.0.0.1", 0);
	port = port_of(four);
	listen(four, 128);
	six = listener("::1", port);
	dead = socket(AF_INET, SOCK_STREAM, 0);
	{
		struct addr	 a;

		(void)addr_parse("127.0.0.1", 0, &a);
		if (bind(dead, (struct sockaddr *)&a.ss, a.len) == -1)
			return (1);
		deadport = port_of(dead);
	}
	r = cmocka_run_group_tests(tests, NULL, NULL);
	resolve_done();
	event_del(&stub.ev);
	event_del(&stub2.ev);
	event_base_free(base);
	return (r);
}
