/* SPDX-License-Identifier: ISC */
/* chan_test.c: channels: bounds, their end, freeing inside callbacks, fds. */
/* LINK: tunneld/chan.c tunneld/log.c tunneld/logfmt.c tunneld/util.c tunneld/stats.c lib/addr.c lib/json.c lib/utf8.c lib/visstr.c compat/imsg.c compat/imsg_buffer.c compat/shm.c compat/fdstat.c */

#include "compat.h"

#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "addr.h"
#include "chan.h"

struct end {
	struct chan	*c;
	unsigned	 got;		/* messages */
	unsigned	 gone;
	unsigned	 turn;		/* most messages in one turn */
	unsigned	 thisturn;
	bool		 free_in_message, free_in_gone;
	int		 fd;		/* last one received */
	uint64_t	 next;		/* number expected */
	char		 why[40];
};

static struct event_base	*base;

static void
on_message(struct chan *c, struct imsg *m)
{
	struct end	*e = c->arg;
	struct ibuf	 b;
	uint64_t	 n;
	int		 fd;

	e->got++;
	if (++e->thisturn > e->turn)
		e->turn = e->thisturn;
	assert_int_equal(imsg_get_type(m), 7);
	assert_int_equal(imsg_get_ibuf(m, &b), 0);
	assert_int_equal(ibuf_get_n64(&b, &n), 0);
	assert_int_equal(n, e->next);
	e->next++;
	if ((fd = imsg_get_fd(m)) != -1) {
		if (e->fd != -1)
			close(e->fd);
		e->fd = fd;
	}
	if (e->free_in_message) {
		chan_free(c);
		e->c = NULL;
		/* A second call, and use until we return, must be harmless. */
		chan_free(c);
		assert_int_equal(chan_signal(c, 7), -1);
	}
}

static void
on_gone(struct chan *c, const char *why)
{
	struct end	*e = c->arg;

	e->gone++;
	assert_true(c->dead);
	assert_non_null(why);
	snprintf(e->why, sizeof(e->why), "%s", why);
	if (e->free_in_gone) {
		chan_free(c);
		e->c = NULL;
	}
}

static void
turn(struct end *a, struct end *b)
{
	if (a != NULL)
		a->thisturn = 0;
	if (b != NULL)
		b->thisturn = 0;
	event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
}

/* Turn the loop until *what is at least n; a bound stands for the clock. */
static void
until(struct end *a, struct end *b, const unsigned *what, unsigned n)
{
	int	 i;

	for (i = 0; i < 100000 && *what < n; i++)
		turn(a, b);
	assert_true(*what >= n);
}

static void
fresh(struct end *e, int fd)
{
	memset(e, 0, sizeof(*e));
	e->fd = -1;
	e->free_in_gone = true;
	e->c = chan_new(fd, ROLE_RELAY, 3, 9, on_message, on_gone, e);
}

static void
both(struct end *a, struct end *b)
{
	int	 sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	fresh(a, sv[0]);
	fresh(b, sv[1]);
}

static int
send_n(struct chan *c, uint64_t n, size_t pad, int fd)
{
	struct ibuf	*b = chan_msg(c, 7);

	if (b != NULL) {
		assert_int_equal(ibuf_add_n64(b, n), 0);
		if (pad > 0)
			assert_int_equal(ibuf_add_zero(b, pad), 0);
	}
	return (chan_send(c, b, fd));
}

static void
test_new(void **state)
{
	struct end	 a, b;

	both(&a, &b);
	assert_true(fcntl(a.c->fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(a.c->fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(a.c->peer, ROLE_RELAY);
	assert_int_equal(a.c->slot, 3);
	assert_int_equal(a.c->incarnation, 9);
	chan_free(a.c);
	chan_free(b.c);
	chan_free(NULL);
}

static void
test_order_and_turns(void **state)
{
	struct end	 a, b;
	unsigned	 i;

	both(&a, &b);
	for (i = 0; i < 3000; i++)
		assert_int_equal(send_n(a.c, i, i % 50, -1), 0);
	until(&a, &b, &b.got, 3000);
	assert_int_equal(b.next, 3000);
	/* Bounded work, and more than one message for a wakeup. */
	assert_in_range(b.turn, 2, 64);
	assert_false(a.c->wadded);
	chan_free(a.c);
	until(NULL, &b, &b.gone, 1);
	assert_int_equal(b.gone, 1);
	assert_string_equal(b.why, "closed");
	assert_null(b.c);
}

/* Another descriptor gets its turn while a full channel is worked off. */
static unsigned	 ticks;

static void
on_tick(int fd, short ev, void *arg)
{
	char	 c;

	if (read(fd, &c, 1) == 1)
		ticks++;
}

static void
test_others_get_turns(void **state)
{
	struct end	 a, b;
	struct event	 ev;
	int		 p[2], i;

	both(&a, &b);
	assert_int_equal(pipe(p), 0);
	event_set(&ev, p[0], EV_READ | EV_PERSIST, on_tick, NULL);
	event_add(&ev, NULL);
	for (i = 0; i < 1000; i++)
		assert_int_equal(send_n(a.c, (uint64_t)i, 0, -1), 0);
	ticks = 0;
	assert_int_equal(write(p[1], "x", 1), 1);
	for (i = 0; i < 3; i++)
		turn(&a, &b);
	assert_int_equal(ticks, 1);
	assert_true(b.got < 1000);
	until(&a, &b, &b.got, 1000);
	event_del(&ev);
	close(p[0]);
	close(p[1]);
	chan_free(a.c);
	chan_free(b.c);
}

static void
test_bound_and_slow_reader(void **state)
{
	struct end	 a, b;
	unsigned	 sent, refused = 0, i;

	both(&a, &b);
	a.c->queue_max = 100;
	for (sent = 0; sent < 5000 && !chan_busy(a.c); sent++)
		assert_int_equal(send_n(a.c, sent, 4000, -1), 0);
	assert_true(sent < 5000);
	assert_false(a.c->dead);
	while (send_n(a.c, sent, 4000, -1) == 0)
		sent++;
	for (i = 0; i < 1000; i++)
		if (send_n(a.c, 999999, 4000, -1) == -1)
			refused++;
	assert_int_equal(refused, 1000);
	assert_true(imsgbuf_queuelen(&a.c->ibuf) <= 100);
	assert_false(a.c->dead);
	assert_true(a.c->wadded);
	/* The reader wakes up: all that was accepted arrives, in order. */
	until(&a, &b, &b.got, sent);
	assert_int_equal(b.next, sent);
	assert_false(chan_busy(a.c));
	assert_int_equal(send_n(a.c, sent, 0, -1), 0);
	until(&a, &b, &b.got, sent + 1);
	assert_false(a.c->wadded);
	chan_free(a.c);
	chan_free(b.c);
}

/* a answers each message of b with one of 4000 bytes. */
static void
on_question(struct chan *c, struct imsg *m)
{
	struct end	*e = c->arg;

	on_message(c, m);
	if (send_n(c, e->next - 1, 4000, -1) == -1)
		assert_true(c->dead);
}

static void
test_window(void **state)
{
	struct end	 a, b;
	unsigned	 i, most = 0, got;

	both(&a, &b);
	a.c->window = 50;
	a.c->message = on_question;
	event_del(&b.c->rev);		/* b asks, but does not read */
	for (i = 0; i < 2000; i++)
		assert_int_equal(send_n(b.c, i, 0, -1), 0);
	for (i = 0; i < 2000; i++) {
		turn(&a, &b);
		if (imsgbuf_queuelen(&a.c->ibuf) > most)
			most = imsgbuf_queuelen(&a.c->ibuf);
	}
	assert_int_equal(most, 50);
	assert_true(a.c->held);
	got = a.got;
	assert_true(got < 2000);
	/* It reads: everything is answered, in order. */
	event_add(&b.c->rev, NULL);
	until(&a, &b, &b.got, 2000);
	assert_int_equal(b.next, 2000);
	assert_false(a.c->held);
	/* A peer that goes while it is not read from is noticed. */
	event_del(&b.c->rev);
	for (i = 2000; i < 4000; i++)
		assert_int_equal(send_n(b.c, i, 0, -1), 0);
	for (i = 0; i < 2000 && !a.c->held; i++)
		turn(&a, &b);
	assert_true(a.c->held);
	chan_free(b.c);
	until(&a, NULL, &a.gone, 1);
}

static void
test_free_in_message(void **state)
{
	struct end	 a, b;
	unsigned	 i;

	both(&a, &b);
	for (i = 0; i < 10; i++)
		send_n(a.c, i, 0, -1);
	b.free_in_message = true;
	until(&a, &b, &b.got, 1);
	for (i = 0; i < 10; i++)
		turn(&a, &b);
	assert_int_equal(b.got, 1);
	assert_int_equal(b.gone, 0);
	until(&a, &b, &a.gone, 1);
	assert_null(a.c);
}

/* gone() once, also when the owner frees later; the last words come first. */
static void
test_gone(void **state)
{
	struct end	 a, b;
	unsigned	 i;

	both(&a, &b);
	b.free_in_gone = false;
	for (i = 0; i < 200; i++)
		send_n(a.c, i, 0, -1);
	chan_free(a.c);
	until(NULL, &b, &b.gone, 1);
	assert_int_equal(b.got, 200);
	for (i = 0; i < 10; i++)
		turn(NULL, &b);
	assert_int_equal(b.gone, 1);
	assert_int_equal(send_n(b.c, 0, 0, -1), -1);
	assert_null(chan_msg(b.c, 7));
	chan_free(b.c);
}

/* A failed write must not lose what the peer said before it went. */
static void
test_gone_by_write(void **state)
{
	struct end	 a, b;
	unsigned	 i;

	both(&a, &b);
	for (i = 0; i < 200; i++)
		send_n(a.c, i, 0, -1);
	chan_free(a.c);
	assert_int_equal(send_n(b.c, 0, 0, -1), -1);
	assert_true(b.c->dead);
	/* Never from inside chan_send(). */
	assert_int_equal(b.gone, 0);
	until(NULL, &b, &b.gone, 1);
	assert_int_equal(b.got, 200);
	assert_int_equal(b.gone, 1);
}

static void
test_violation(void **state)
{
	struct end	 b;
	int		 sv[2];
	uint32_t	 hdr[4] = { 7, 1u << 30, 0, 0 };

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	fresh(&b, sv[1]);
	assert_int_equal(write(sv[0], hdr, sizeof(hdr)), sizeof(hdr));
	until(NULL, &b, &b.gone, 1);
	assert_string_equal(b.why, "malformed message");
	close(sv[0]);
}

static void
test_fd(void **state)
{
	struct end	 a, b;
	int		 p[2];
	char		 c = 0;

	both(&a, &b);
	assert_int_equal(pipe(p), 0);
	send_n(a.c, 0, 100, -1);
	assert_int_equal(send_n(a.c, 1, 0, p[1]), 0);
	send_n(a.c, 2, 0, -1);
	until(&a, &b, &b.got, 3);
	/* The sender's copy is gone, ours is close-on-exec and works. */
	assert_int_equal(fcntl(p[1], F_GETFD), b.fd == p[1] ? FD_CLOEXEC : -1);
	assert_int_not_equal(b.fd, -1);
	assert_true(fcntl(b.fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(write(b.fd, "y", 1), 1);
	close(b.fd);
	assert_int_equal(read(p[0], &c, 1), 1);
	assert_int_equal(c, 'y');
	assert_int_equal(read(p[0], &c, 1), 0);
	close(p[0]);

	/* Refused: the descriptor is gone too. */
	assert_int_equal(pipe2(p, O_NONBLOCK), 0);
	a.c->queue_max = 0;
	assert_int_equal(send_n(a.c, 3, 0, p[1]), -1);
	assert_int_equal(read(p[0], &c, 1), 0);
	close(p[0]);
	assert_int_equal(pipe2(p, O_NONBLOCK), 0);
	assert_int_equal(chan_send(a.c, NULL, p[1]), -1);
	assert_int_equal(read(p[0], &c, 1), 0);
	close(p[0]);
	chan_free(a.c);
	chan_free(b.c);
}

/* A read ends behind each descriptor; a turn of the loop must not. */
static void
test_many_fds(void **state)
{
	struct end	 a, b;
	unsigned	 i;

	both(&a, &b);
	for (i = 0; i < 200; i++)
		assert_int_equal(send_n(a.c, i, 0, dup(a.c->fd)), 0);
	until(&a, &b, &b.got, 200);
	assert_in_range(b.turn, 32, 64);
	close(b.fd);
	chan_free(a.c);
	chan_free(b.c);
}

/* Descriptors still in the queue are closed with the channel. */
static void
test_fd_unsent(void **state)
{
	struct end	 a, b;
	int		 p[2];
	char		 c;
	uint64_t	 n = 0;

	both(&a, &b);
	while (!a.c->wadded)
		send_n(a.c, n++, 8000, -1);
	assert_int_equal(pipe2(p, O_NONBLOCK), 0);
	assert_int_equal(send_n(a.c, n, 0, p[1]), 0);
	chan_free(a.c);
	assert_int_equal(read(p[0], &c, 1), 0);
	close(p[0]);
	chan_free(b.c);
}

static void
test_flush(void **state)
{
	struct end	 a, b;
	uint64_t	 n = 0, start;

	both(&a, &b);
	while (!a.c->wadded)
		send_n(a.c, n++, 8000, -1);
	start = mono_usec();
	chan_flush(a.c, 50);		/* nobody reads */
	assert_in_range(mono_usec() - start, 40000, 5000000);
	assert_true(imsgbuf_queuelen(&a.c->ibuf) > 0);
	until(&a, &b, &b.got, (unsigned)n);
	chan_flush(a.c, 1000);
	assert_int_equal(imsgbuf_queuelen(&a.c->ibuf), 0);
	chan_free(a.c);
	chan_free(b.c);
}

static void
test_fields(void **state)
{
	struct ibuf	*b;
	struct addr	 in, out;
	char		 s[8], *p;
	bool		 v;
	unsigned	 e;
	const char	*texts[] = { "1.2.3.4", "2001:db8::1", "::" };
	size_t		 i;

	b = ibuf_dynamic(16, 70000);
	assert_int_equal(put_str(b, NULL), 0);
	assert_int_equal(put_str(b, "seven77"), 0);
	assert_int_equal(put_str(b, "eight888"), 0);
	assert_int_equal(get_str(b, s, sizeof(s)), 0);
	assert_string_equal(s, "");
	assert_int_equal(get_str(b, s, sizeof(s)), 0);
	assert_string_equal(s, "seven77");
	assert_int_equal(get_str(b, s, sizeof(s)), -1);
	ibuf_free(b);

	b = ibuf_dynamic(16, 70000);
	assert_int_equal(put_strn(b, "a\0b", 3), 0);
	assert_int_equal(get_str(b, s, sizeof(s)), -1);
	ibuf_free(b);

	b = ibuf_dynamic(16, 70000);
	assert_int_equal(put_str(b, "abc"), 0);
	assert_int_equal(put_str(b, "abcd"), 0);
	assert_int_equal(get_strdup(b, &p, 3), 0);
	assert_string_equal(p, "abc");
	free(p);
	assert_int_equal(get_strdup(b, &p, 3), -1);
	ibuf_free(b);

	/* A length beyond what is there. */
	b = ibuf_dynamic(16, 70000);
	ibuf_add_n16(b, 5);
	ibuf_add(b, "abc", 3);
	assert_int_equal(get_strdup(b, &p, 100), -1);
	ibuf_free(b);
	assert_int_equal(put_strn(NULL, "x", 1), -1);

	b = ibuf_dynamic(16, 70000);
	put_bool(b, true);
	put_bool(b, false);
	ibuf_add_n8(b, 2);
	assert_int_equal(get_bool(b, &v), 0);
	assert_true(v);
	assert_int_equal(get_bool(b, &v), 0);
	assert_false(v);
	assert_int_equal(get_bool(b, &v), -1);
	ibuf_add_n8(b, 4);
	ibuf_add_n8(b, 5);
	assert_int_equal(get_enum(b, 5, &e), 0);
	assert_int_equal(e, 4);
	assert_int_equal(get_enum(b, 5, &e), -1);
	ibuf_free(b);

	for (i = 0; i < nitems(texts); i++) {
		b = ibuf_dynamic(16, 70000);
		assert_int_equal(addr_parse(texts[i], 8022, &in), 0);
		assert_int_equal(put_addr(b, &in), 0);
		assert_int_equal(get_addr(b, &out), 0);
		assert_int_equal(ibuf_size(b), 0);
		assert_true(addr_equal(&in, &out, true));
		assert_int_equal(in.len, out.len);
		ibuf_free(b);
	}
	b = ibuf_dynamic(16, 70000);
	memset(&in, 0, sizeof(in));
	assert_int_equal(put_addr(b, &in), 0);
	assert_int_equal(get_addr(b, &out), 0);
	assert_int_equal(out.len, 0);
	ibuf_add_n8(b, 5);
	assert_int_equal(get_addr(b, &out), -1);
	ibuf_free(b);
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(test_new),
		cmocka_unit_test(test_order_and_turns),
		cmocka_unit_test(test_others_get_turns),
		cmocka_unit_test(test_bound_and_slow_reader),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_free_in_message),
		cmocka_unit_test(test_gone),
		cmocka_unit_test(test_gone_by_write),
		cmocka_unit_test(test_violation),
		cmocka_unit_test(test_fd),
		cmocka_unit_test(test_many_fds),
		cmocka_unit_test(test_fd_unsent),
		cmocka_unit_test(test_flush),
		cmocka_unit_test(test_fields),
	};
	int	 r;

	(void)signal(SIGPIPE, SIG_IGN);
	base = event_init();
	r = cmocka_run_group_tests(tests, NULL, NULL);
	event_base_free(base);
	return (r);
}
