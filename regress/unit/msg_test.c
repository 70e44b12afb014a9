/* SPDX-License-Identifier: ISC */
/* msg_test.c: every message: round trip, truncated, too long, out of range. */
/* LINK: tunneld/msg.c tunneld/msg_session.c tunneld/chan.c tunneld/log.c tunneld/logfmt.c tunneld/util.c tunneld/stats.c lib/addr.c lib/json.c lib/utf8.c lib/visstr.c compat/imsg.c compat/imsg_buffer.c compat/shm.c compat/fdstat.c */

#include "compat.h"

#include <sys/types.h>
#include <sys/socket.h>

#include <netinet/in.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "chan.h"
#include "msg.h"

/*
 * A message goes through a real channel.  put and get have the types of the
 * codec under test; size is that of its struct.
 */
struct codec {
	const char	*name;
	size_t		 size;
	void		(*fill)(void *);
	int		(*put)(struct ibuf *, const void *);
	int		(*get)(struct imsg *, void *);
};

static struct imsgbuf	tx, rx;

static uint64_t
rnd(void)
{
	/* xorshift: the same numbers each run */
	static uint64_t	 x = 88172645463325252ULL;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (x);
}

static void
text(char *p, size_t size)
{
	size_t	 len, i;

	/* Often empty, often as long as it gets. */
	switch (rnd() % 4) {
	case 0:
		len = 0;
		break;
	case 1:
		len = size - 1;
		break;
	default:
		len = rnd() % size;
	}
	memset(p, 0, size);
	for (i = 0; i < len; i++)
		p[i] = (char)(1 + rnd() % 255);
}

static void
address(struct addr *a)
{
	static const char *const all[] = { "10.1.2.3", "::1", "fe80::1%1",
		"::ffff:1.2.3.4", "255.255.255.255" };
	size_t	 n = rnd() % (nitems(all) + 1);

	memset(a, 0, sizeof(*a));
	if (n < nitems(all) && addr_parse(all[n], (uint16_t)rnd(), a) == -1)
		memset(a, 0, sizeof(*a));
}

/* Send len bytes as one message and receive it. */
static void
through(const void *p, size_t len, struct imsg *m)
{
	struct ibuf	*b = imsg_create(&tx, 1, 0, 0, len);

	assert_non_null(b);
	if (len > 0)
		assert_int_equal(ibuf_add(b, p, len), 0);
	imsg_close(&tx, b);
	assert_int_equal(imsgbuf_write(&tx), 0);
	assert_int_equal(imsgbuf_read(&rx), 1);
	assert_int_equal(imsgbuf_get(&rx, m), 1);
}

static int
decode(const struct codec *c, const void *p, size_t len, void *out)
{
	struct imsg	 m;
	int		 r;

	through(p, len, &m);
	r = c->get(&m, out);
	imsg_free(&m);
	return (r);
}

static void
check(const struct codec *c, unsigned rounds)
{
	unsigned char	 bytes[CHAN_MAXSIZE];
	void		*in, *out;
	struct ibuf	*b;
	size_t		 len, i;
	unsigned	 n;

	in = calloc(1, c->size);
	/* Exactly as long as the struct: ASan sees what is written beyond. */
	out = calloc(1, c->size);
	assert_non_null(in);
	assert_non_null(out);
	for (n = 0; n < rounds; n++) {
		memset(in, 0, c->size);
		c->fill(in);
		b = ibuf_dynamic(64, CHAN_MAXSIZE - IMSG_HEADER_SIZE);
		assert_int_equal(c->put(b, in), 0);
		len = ibuf_size(b);
		assert_in_range(len, 1, CHAN_MAXSIZE - IMSG_HEADER_SIZE - 1);
		memcpy(bytes, ibuf_data(b), len);
		ibuf_free(b);
		memset(out, 0xaa, c->size);
		assert_int_equal(decode(c, bytes, len, out), 0);
		/* Again: the same bytes mean the same values. */
		b = ibuf_dynamic(64, CHAN_MAXSIZE - IMSG_HEADER_SIZE);
		assert_int_equal(c->put(b, out), 0);
		assert_int_equal(ibuf_size(b), len);
		assert_memory_equal(ibuf_data(b), bytes, len);
		ibuf_free(b);
		if (memcmp(in, out, c->size) != 0)
			fail_msg("%s: decoded differently", c->name);
		/* All truncations of the first messages, some of later ones. */
		for (i = 0; i < len; i += n < 3 ? 1 : 1 + rnd() % 97)
			if (decode(c, bytes, i, out) != -1)
				fail_msg("%s: %zu of %zu bytes were enough",
				    c->name, i, len);
		bytes[len] = 0;
		if (decode(c, bytes, len + 1, out) != -1)
			fail_msg("%s: an extra byte was accepted", c->name);
	}
	assert_int_equal(c->put(NULL, in), -1);
	free(in);
	free(out);
}

#define CODEC(name, type, fields)					\
static void								\
name##_fill(void *p)							\
{									\
	struct type *v = p;						\
	fields;								\
}									\
static int								\
name##_put(struct ibuf *b, const void *p)				\
{									\
	return (msg_##name##_put(b, p));				\
}									\
static int								\
name##_get(struct imsg *m, void *p)					\
{									\
	return (msg_##name##_get(m, p));				\
}									\
static const struct codec name##_codec = { #name, sizeof(struct type),	\
	name##_fill, name##_put, name##_get };				\
static void								\
test_##name(void **state)						\
{									\
	check(&name##_codec, 40);					\
}

CODEC(hello, msg_hello,
    v->role = rnd() % ROLE_MAX; v->slot = rnd() % RELAYS_MAX;
    v->incarnation = (uint32_t)rnd(); v->build = rnd();
    v->debug = rnd() & 1; v->jail_root = rnd() & 1;
    v->uid = (uint32_t)rnd(); v->gid = (uint32_t)rnd();
    text(v->chroot, sizeof(v->chroot)); v->started = rnd();
    v->pipes = (uint32_t)rnd())
CODEC(peer, msg_peer,
    v->role = rnd() % ROLE_MAX; v->slot = rnd() % RELAYS_MAX;
    v->incarnation = (uint32_t)rnd())
CODEC(result, msg_result,
    v->id = rnd(); v->ok = rnd() & 1; text(v->text, sizeof(v->text)))
CODEC(sandbox, msg_sandbox,
    v->seccomp = rnd() & 1; v->chroot = rnd() & 1;
    v->landlock = (int)(rnd() % 10); v->uid = (uint32_t)rnd();
    v->nofile = (uint32_t)rnd())
CODEC(worker, msg_worker,
    v->role = rnd() % ROLE_MAX; v->slot = rnd() % RELAYS_MAX;
    v->incarnation = (uint32_t)rnd(); v->pid = (uint32_t)rnd();
    v->state = rnd() % WORKER_STATE_MAX; v->restarts = (uint32_t)rnd();
    v->alarm = rnd() & 1; v->sandbox.seccomp = rnd() & 1;
    v->sandbox.landlock = 3; v->sandbox.nofile = 20000)
CODEC(open, msg_open,
    v->session = rnd(); v->server = (uint32_t)rnd();
    v->loc = (uint32_t)rnd(); v->forward = (uint32_t)rnd();
    v->type = rnd() % SESSION_TYPE_MAX; address(&v->source);
    text(v->target, sizeof(v->target));
    v->ticketlen = (uint16_t)(rnd() % (TICKET_MAX + 1));
    for (unsigned i = 0; i < v->ticketlen; i++)
	v->ticket[i] = (uint8_t)rnd())
CODEC(answer, msg_answer,
    v->session = rnd(); v->reason = rnd() % REASON_MAX;
    v->error = (int32_t)(rnd() % 200); text(v->target, sizeof(v->target)))
CODEC(announce, msg_announce,
    open_fill(&v->open); text(v->reached, sizeof(v->reached));
    v->pending = rnd() & 1)
CODEC(body, msg_body,
    v->id = rnd(); v->kind = rnd() & 1 ? BODY_HEALTH : BODY_METRICS)
CODEC(show, msg_show,
    v->id = rnd(); v->after = rnd(); v->max = (uint32_t)rnd())
CODEC(end, msg_end, v->id = rnd(); v->more = rnd() & 1)
CODEC(kill, msg_kill, v->id = rnd(); v->session = rnd())
CODEC(session, msg_session,
    v->request = rnd(); v->id = rnd(); v->type = rnd() % SESSION_TYPE_MAX;
    v->state = rnd() % SS_MAX; text(v->server, sizeof(v->server));
    text(v->location, sizeof(v->location));
    text(v->listener, sizeof(v->listener));
    address(&v->client); address(&v->peer); text(v->xff, sizeof(v->xff));
    text(v->target, sizeof(v->target));
    text(v->subprotocol, sizeof(v->subprotocol));
    v->started = rnd(); v->duration = rnd(); v->idle = rnd();
    v->in = rnd(); v->out = rnd(); v->generation = (uint32_t)rnd())

/* Each message with a byte replaced by every value that is out of range. */
static void
bad_byte(const struct codec *c, size_t pos, unsigned from)
{
	unsigned char	 bytes[CHAN_MAXSIZE];
	void		*v = calloc(1, c->size);
	struct ibuf	*b;
	size_t		 len;
	unsigned	 i;

	b = ibuf_dynamic(64, CHAN_MAXSIZE - IMSG_HEADER_SIZE);
	assert_int_equal(c->put(b, v), 0);
	len = ibuf_size(b);
	assert_true(pos < len);
	memcpy(bytes, ibuf_data(b), len);
	ibuf_free(b);
	for (i = 0; i < 256; i++) {
		bytes[pos] = (unsigned char)i;
		if (decode(c, bytes, len, v) != (i < from ? 0 : -1))
			fail_msg("%s: byte %zu = %u", c->name, pos, i);
	}
	free(v);
}

static void
test_ranges(void **state)
{
	bad_byte(&hello_codec, 0, ROLE_MAX);
	bad_byte(&hello_codec, 1, 1);		/* slot, top byte */
	bad_byte(&hello_codec, 4, RELAYS_MAX);	/* slot, low byte */
	bad_byte(&hello_codec, 17, 2);		/* debug */
	bad_byte(&hello_codec, 18, 2);
	bad_byte(&peer_codec, 0, ROLE_MAX);
	bad_byte(&peer_codec, 4, RELAYS_MAX);
	bad_byte(&result_codec, 8, 2);
	bad_byte(&sandbox_codec, 0, 2);
	bad_byte(&sandbox_codec, 1, 2);
	bad_byte(&sandbox_codec, 2, 0x80);	/* landlock is not negative */
	bad_byte(&worker_codec, 0, ROLE_MAX);
	bad_byte(&worker_codec, 13, WORKER_STATE_MAX);
	bad_byte(&worker_codec, 18, 2);
	bad_byte(&open_codec, 20, SESSION_TYPE_MAX);
	bad_byte(&answer_codec, 8, REASON_MAX);
	bad_byte(&answer_codec, 9, 0x80);	/* errno is not negative */
	bad_byte(&body_codec, 8, BODY_METRICS + 1);
	bad_byte(&end_codec, 8, 2);
	bad_byte(&session_codec, 16, SESSION_TYPE_MAX);
	bad_byte(&session_codec, 17, SS_MAX);
}

/* A text that fills its array in the sender must not overflow here. */
static void
test_long_text(void **state)
{
	struct msg_answer	 a;
	struct ibuf		*b;
	char			 big[TARGET_TEXT + 1];

	memset(big, 'x', sizeof(big));
	b = ibuf_dynamic(64, 4096);
	ibuf_add_n64(b, 1);
	ibuf_add_n8(b, 1);
	ibuf_add_n32(b, 0);
	put_strn(b, big, TARGET_TEXT);		/* one too many */
	assert_int_equal(decode(&answer_codec, ibuf_data(b), ibuf_size(b), &a),
	    -1);
	ibuf_free(b);
	b = ibuf_dynamic(64, 4096);
	ibuf_add_n64(b, 1);
	ibuf_add_n8(b, 1);
	ibuf_add_n32(b, 0);
	put_strn(b, big, TARGET_TEXT - 1);
	assert_int_equal(decode(&answer_codec, ibuf_data(b), ibuf_size(b), &a),
	    0);
	assert_int_equal(strlen(a.target), TARGET_TEXT - 1);
	ibuf_free(b);
}

/* The same for a ticket, whose bytes are no text. */
static void
test_long_ticket(void **state)
{
	struct msg_open	 o;
	struct ibuf	*b;
	char		 big[TICKET_MAX + 1];
	size_t		 len;

	memset(big, 'x', sizeof(big));
	for (len = TICKET_MAX; len <= sizeof(big); len++) {
		b = ibuf_dynamic(64, 4096);
		ibuf_add_n64(b, 1);
		ibuf_add_n32(b, 1);
		ibuf_add_n32(b, 1);
		ibuf_add_n32(b, 0);
		ibuf_add_n8(b, SESSION_GATEWAY);
		ibuf_add_n8(b, 0);		/* no source */
		put_str(b, "");
		put_strn(b, big, len);
		assert_int_equal(decode(&open_codec, ibuf_data(b),
		    ibuf_size(b), &o), len <= TICKET_MAX ? 0 : -1);
		ibuf_free(b);
	}
}

static void
test_num(void **state)
{
	unsigned char	 bytes[9];
	struct ibuf	*b;
	struct imsg	 m;
	uint64_t	 n;
	size_t		 len;

	b = ibuf_dynamic(64, 64);
	assert_int_equal(msg_num_put(b, 0x0102030405060708ULL), 0);
	assert_int_equal(msg_num_put(NULL, 1), -1);
	memset(bytes, 0, sizeof(bytes));
	memcpy(bytes, ibuf_data(b), 8);
	ibuf_free(b);
	for (len = 0; len <= 9; len++) {
		through(bytes, len, &m);
		assert_int_equal(msg_empty_get(&m), len == 0 ? 0 : -1);
		assert_int_equal(msg_num_get(&m, &n), len == 8 ? 0 : -1);
		if (len == 8)
			assert_true(n == 0x0102030405060708ULL);
		imsg_free(&m);
	}
}

static void
test_chunk(void **state)
{
	unsigned char		 data[CHUNK_MAX + 1], bytes[CHAN_MAXSIZE];
	struct msg_chunk	 c, d;
	struct ibuf		*b;
	struct imsg		 m;
	const size_t		 lens[] = { 0, 1, 255, 256, CHUNK_MAX };
	size_t			 i, j, len;

	for (i = 0; i < sizeof(data); i++)
		data[i] = (unsigned char)rnd();	/* NULs are fine here */
	for (i = 0; i < nitems(lens); i++) {
		memset(&c, 0, sizeof(c));
		c.id = rnd();
		c.status = 503;
		c.last = i & 1;
		c.data = data;
		c.len = lens[i];
		b = ibuf_dynamic(64, CHAN_MAXSIZE - IMSG_HEADER_SIZE);
		assert_int_equal(msg_chunk_put(b, &c), 0);
		len = ibuf_size(b);
		memcpy(bytes, ibuf_data(b), len);
		ibuf_free(b);
		through(bytes, len, &m);
		assert_int_equal(msg_chunk_get(&m, &d), 0);
		assert_true(d.id == c.id && d.status == 503);
		assert_int_equal(d.last, c.last);
		assert_int_equal(d.len, c.len);
		if (d.len > 0)
			assert_memory_equal(d.data, data, d.len);
		imsg_free(&m);
		for (j = 0; j < len; j += 1 + j / 16) {
			through(bytes, j, &m);
			assert_int_equal(msg_chunk_get(&m, &d), -1);
			imsg_free(&m);
		}
		through(bytes, len + 1, &m);
		assert_int_equal(msg_chunk_get(&m, &d), -1);
		imsg_free(&m);
	}
	c.len = CHUNK_MAX + 1;
	b = ibuf_dynamic(64, CHAN_MAXSIZE - IMSG_HEADER_SIZE);
	assert_int_equal(msg_chunk_put(b, &c), -1);
	ibuf_free(b);
}

static void
test_table(void **state)
{
	unsigned	 t, from, to, n;

	for (t = MSG_NONE + 1; t < MSG_MAX; t++) {
		assert_string_not_equal(msg_name(t), "?");
		for (n = 0, from = 0; from < ROLE_MAX; from++)
			for (to = 0; to < ROLE_MAX; to++)
				n += msg_allowed(t, from, to);
		/* Somebody may send it, and nobody may send all. */
		assert_in_range(n, 1, (ROLE_MAX - 1) * (ROLE_MAX - 1));
	}
	assert_string_equal(msg_name(MSG_OPEN), "OPEN");
	assert_string_equal(msg_name(MSG_NONE), "?");
	assert_string_equal(msg_name(MSG_MAX), "?");
	assert_string_equal(msg_name(UINT32_MAX), "?");
	assert_true(msg_allowed(MSG_OPEN, ROLE_RELAY, ROLE_DIALER));
	assert_false(msg_allowed(MSG_OPEN, ROLE_CONTROL, ROLE_DIALER));
	assert_false(msg_allowed(MSG_OPEN, ROLE_DIALER, ROLE_RELAY));
	assert_true(msg_allowed(MSG_HELLO, ROLE_PARENT, ROLE_RELAY));
	assert_false(msg_allowed(MSG_HELLO, ROLE_RELAY, ROLE_CONTROL));
	assert_false(msg_allowed(MSG_HELLO, ROLE_PARENT, ROLE_PARENT));
	assert_true(msg_allowed(MSG_LOG, ROLE_RELAY, ROLE_CONTROL));
	assert_false(msg_allowed(MSG_LOG, ROLE_PARENT, ROLE_CONTROL));
	assert_false(msg_allowed(MSG_RELOAD, ROLE_RELAY, ROLE_PARENT));
	assert_false(msg_allowed(MSG_NONE, ROLE_RELAY, ROLE_PARENT));
	assert_false(msg_allowed(MSG_MAX, ROLE_RELAY, ROLE_PARENT));
	assert_false(msg_allowed(UINT32_MAX, ROLE_RELAY, ROLE_PARENT));
}

static void
test_words(void **state)
{
	unsigned	 i;

	for (i = 0; i < SS_MAX; i++)
		assert_string_not_equal(session_state_word(i), "?");
	assert_string_equal(session_state_word(SS_DIALING), "dialing");
	assert_string_equal(session_state_word(SS_MAX), "?");
	for (i = 0; i < WORKER_STATE_MAX; i++)
		assert_string_not_equal(worker_state_word(i), "?");
	assert_string_equal(worker_state_word(WORKER_STATE_MAX), "?");
	assert_true(build_id() != 0);
	assert_true(build_id() == build_id());
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(test_hello),
		cmocka_unit_test(test_peer),
		cmocka_unit_test(test_result),
		cmocka_unit_test(test_sandbox),
		cmocka_unit_test(test_worker),
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_answer),
		cmocka_unit_test(test_announce),
		cmocka_unit_test(test_body),
		cmocka_unit_test(test_show),
		cmocka_unit_test(test_end),
		cmocka_unit_test(test_kill),
		cmocka_unit_test(test_session),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_long_text),
		cmocka_unit_test(test_long_ticket),
		cmocka_unit_test(test_num),
		cmocka_unit_test(test_chunk),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_words),
	};
	int	 sv[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv) == -1 ||
	    imsgbuf_init(&tx, sv[0]) == -1 || imsgbuf_init(&rx, sv[1]) == -1)
		return (1);
	r = cmocka_run_group_tests(tests, NULL, NULL);
	imsgbuf_clear(&tx);
	imsgbuf_clear(&rx);
	close(sv[0]);
	close(sv[1]);
	return (r);
}
