/* SPDX-License-Identifier: ISC */
/* conf_recv_test.c: a configuration cut, lost, bent, in the wrong order. */
/* LINK: parse.y tunneld/lex.c tunneld/lex_input.c tunneld/conf.c tunneld/conf_build.c tunneld/conf_blocks.c tunneld/conf_value.c tunneld/conf_print.c tunneld/conf_diff.c tunneld/conf_xfer.c tunneld/conf_recv.c tunneld/chan.c tunneld/log.c tunneld/logfmt.c tunneld/util.c tunneld/stats.c lib/addr.c lib/url.c lib/json.c lib/utf8.c lib/visstr.c compat/imsg.c compat/imsg_buffer.c compat/shm.c compat/fdstat.c */

#include "compat.h"

#include "conf_replay.h"

static int
lose(struct conf **c, const struct record *r, void *arg)
{
	return 0;
}

static int
twice(struct conf **c, const struct record *r, void *arg)
{
	return feed_record(c, r) == -1 ? -1 : feed_record(c, r);
}

/*
 * A second BEGIN starts afresh, so what comes next is missing; of all other
 * messages one too few or too many is noticed, at PREPARE at the latest.
 */
static void
test_lost_and_twice(void **state)
{
	enum role	 role;
	unsigned	 i;

	for (role = ROLE_CONTROL; role < ROLE_MAX; role++)
		for (i = 0; i < rec[role].n; i++) {
			if (i < rec[role].n - 1)
				assert_int_equal(replay(role, i, lose, NULL,
				    NULL), -1);
			if (i > 0)
				assert_int_equal(replay(role, i, twice, NULL,
				    NULL), -1);
		}
}

static int
cut(struct conf **c, const struct record *r, void *arg)
{
	return feed(c, r->type, r->data, *(size_t *)arg, r->fd);
}

static int
longer(struct conf **c, const struct record *r, void *arg)
{
	uint8_t	*p = calloc(1, r->len + 1);
	int	 ret;

	assert_non_null(p);
	memcpy(p, r->data, r->len);
	ret = feed(c, r->type, p, r->len + 1, r->fd);
	free(p);
	return ret;
}

static void
test_cut_and_longer(void **state)
{
	enum role	 role;
	unsigned	 i;
	size_t		 len;

	for (role = ROLE_CONTROL; role < ROLE_MAX; role++)
		for (i = 0; i < rec[role].n; i++) {
			assert_int_equal(replay(role, i, longer, NULL, NULL),
			    -1);
			for (len = 0; len < rec[role].r[i].len; len +=
			    len < 200 ? 1 : 997)
				assert_int_equal(replay(role, i, cut, &len,
				    NULL), -1);
		}
}

/* Every message in front of every stage it does not belong to. */
static void
test_order(void **state)
{
	const struct recording	*r;
	struct conf		*c;
	enum role		 role;
	unsigned		 i;

	for (role = ROLE_CONTROL; role < ROLE_MAX; role++) {
		r = &rec[role];
		for (i = 1; i < r->n; i++) {
			/* before BEGIN */
			c = NULL;
			assert_int_equal(feed_record(&c, &r->r[i]), -1);
			/* behind PREPARE */
			c = receive_all(role);
			assert_int_equal(feed_record(&c, &r->r[i]), -1);
			if (r->r[i].type == MSG_CONF_GLOBAL)
				continue;
			/* before GLOBAL */
			assert_int_equal(feed_record(&c, &r->r[0]), 0);
			assert_int_equal(feed_record(&c, &r->r[i]), -1);
		}
	}
	/* A list, location or listener before anything that could own it. */
	for (i = 2; i < rec[ROLE_RELAY].n - 1; i++) {
		r = &rec[ROLE_RELAY];
		if (r->r[i].type == MSG_CONF_SERVER ||
		    r->r[i].type == MSG_CONF_FORWARD)
			continue;
		c = NULL;
		assert_int_equal(feed_record(&c, &r->r[0]), 0);
		assert_int_equal(feed_record(&c, &r->r[1]), 0);
		assert_int_equal(feed_record(&c, &r->r[i]), -1);
	}
}

struct bend {
	size_t	 pos;
	uint8_t	 value;
};

static int
bent(struct conf **c, const struct record *r, void *arg)
{
	const struct bend	*bend = arg;
	uint8_t			*p = malloc(r->len);
	int			 ret;

	assert_non_null(p);
	memcpy(p, r->data, r->len);
	p[bend->pos] = bend->value;
	ret = feed(c, r->type, p, r->len, r->fd);
	free(p);
	return ret;
}

/* Server and location messages may not come once forwards have begun. */
static void
test_behind_forwards(void **state)
{
	const struct recording	*r = &rec[ROLE_RELAY];
	struct conf		*c;
	struct bend		 bend = { 5, 100 };	/* id of a location */
	unsigned		 i, k;

	for (k = 2; r->r[k].type != MSG_CONF_FORWARD; k++)
		for (i = 0, c = NULL; i < r->n - 1; i++) {
			assert_int_equal(feed_record(&c, &r->r[i]), 0);
			if (i == r->n - 2)
				assert_int_equal(r->r[k].type == MSG_CONF_LOC ?
				    bent(&c, &r->r[k], &bend) :
				    feed_record(&c, &r->r[k]), -1);
		}
}

/* Nor a server that nobody has seen: its id, its index and name are new. */
static void
test_server_behind_forwards(void **state)
{
	const struct recording	*r = &rec[ROLE_RELAY];
	const struct record	*s = NULL;
	struct conf		*c = NULL;
	uint8_t			*p;
	unsigned		 i;

	for (i = 0; i < r->n - 1; i++) {
		assert_int_equal(feed_record(&c, &r->r[i]), 0);
		if (r->r[i].type == MSG_CONF_SERVER)
			s = &r->r[i];
	}
	assert_non_null(s);
	assert_non_null(p = malloc(s->len));
	memcpy(p, s->data, s->len);
	p[3] = 99;			/* id, index, length, name */
	p[7] = 9;
	p[10] = 'x';
	assert_int_equal(feed(&c, MSG_CONF_SERVER, p, s->len, -1), -1);
	/* In its place it is one. */
	for (i = 0; r->r[i].type != MSG_CONF_FORWARD; i++)
		assert_int_equal(feed_record(&c, &r->r[i]), 0);
	assert_int_equal(feed(&c, MSG_CONF_SERVER, p, s->len, -1), 0);
	conf_unref(c);
	free(p);
}

static int
without_fd(struct conf **c, const struct record *r, void *arg)
{
	return feed(c, r->type, r->data, r->len, -1);
}

static int
with_fd(struct conf **c, const struct record *r, void *arg)
{
	return feed(c, r->type, r->data, r->len, STDERR_FILENO);
}

static void
test_descriptors(void **state)
{
	struct conf	*c;
	unsigned	 i;

	c = receive_all(ROLE_RELAY);
	assert_false(c->fd_lost);
	conf_unref(c);
	/* Lost on its way: it can be read to its end, but must be refused. */
	for (i = 0; i < rec[ROLE_RELAY].n; i++)
		if (rec[ROLE_RELAY].r[i].type == MSG_CONF_LISTEN) {
			assert_int_equal(replay(ROLE_RELAY, i, without_fd,
			    NULL, &c), 0);
			assert_true(c->fd_lost);
			conf_unref(c);
		}
	for (i = 0; i < rec[ROLE_CONTROL].n; i++)
		if (rec[ROLE_CONTROL].r[i].type == MSG_CONF_LISTEN)
			assert_int_equal(replay(ROLE_CONTROL, i, with_fd,
			    NULL, NULL), -1);
}

static void
check_cidrs(const struct conf_cidrs *list)
{
	const struct conf_cidr	*e;

	TAILQ_FOREACH(e, list, entry)
		assert_in_range(e->cidr.bits, 0, e->cidr.af == 4 ? 32 : 128);
}

static void
check_ranges(const struct conf *c)
{
	const struct conf_server	*s;
	const struct conf_loc		*l;

	assert_true(c->log_dest <= LOG_FILE);
	assert_true(c->log_format <= FORMAT_PRETTY);
	assert_true(c->log_level <= LOG_L_DEBUG);
	assert_true(c->prefork <= RELAYS_MAX);
	TAILQ_FOREACH(s, &c->servers, entry) {
		assert_in_range(s->statidx, 1, STATS_SERVERS - 1);
		assert_in_range(s->max_headers, 1, 128);
		assert_in_range(s->max_request_line, 1, 1024 * 1024);
		assert_in_range(s->max_header_bytes, 1, 1024 * 1024);
		assert_in_range(s->origin_mode, ORIGIN_SAME_HOST, ORIGIN_LIST);
		check_cidrs(&s->trusted);
		TAILQ_FOREACH(l, &s->locs, entry) {
			check_cidrs(&l->allow);
			assert_true(l->kind <= LOC_METRICS);
			assert_true(l->origin_mode <= ORIGIN_LIST);
		}
	}
}

/* Any byte may be anything: no crash, no leak, and nothing out of range. */
static void
test_bent(void **state)
{
	static const uint8_t	 values[] = { 0, 1, 0x7f, 0x80, 0xff };
	struct conf		*c;
	struct bend		 bend;
	enum role		 role;
	unsigned		 i, k;

	for (role = ROLE_CONTROL; role < ROLE_MAX; role++)
		for (i = 0; i < rec[role].n; i++)
			for (bend.pos = 0; bend.pos < rec[role].r[i].len &&
			    bend.pos < 150; bend.pos++)
				for (k = 0; k < nitems(values); k++) {
					bend.value = values[k];
					if (replay(role, i, bent, &bend,
					    &c) == 0)
						check_ranges(c);
					conf_unref(c);
				}
}

/* What names another owner, or none, is refused. */
static void
test_owner(void **state)
{
	static const uint8_t	 owners[] = { 0, 1, 2, 3, 255 };
	const struct record	*r;
	struct bend		 bend;
	enum role		 role;
	unsigned		 i, k;

	for (role = ROLE_CONTROL; role < ROLE_MAX; role++)
		for (i = 0; i < rec[role].n; i++) {
			r = &rec[role].r[i];
			if (r->type != MSG_CONF_LISTEN &&
			    r->type != MSG_CONF_LOC &&
			    r->type != MSG_CONF_TARGET &&
			    r->type != MSG_CONF_CIDR &&
			    r->type != MSG_CONF_ORIGIN)
				continue;
			bend.pos = 0;
			for (k = 0; k < nitems(owners); k++) {
				bend.value = owners[k];
				if (r->data[0] != owners[k])
					assert_int_equal(replay(role, i, bent,
					    &bend, NULL), -1);
			}
			bend.pos = 4;
			bend.value = 200;
			assert_int_equal(replay(role, i, bent, &bend, NULL),
			    -1);
		}
}

/* As much text as is announced, but not the right piece. */
static int
next_instead(struct conf **c, const struct record *r, void *arg)
{
	return feed_record(c, r + 1);
}

static void
test_text_order(void **state)
{
	const struct recording	*r = &rec[ROLE_DIALER];
	unsigned		 i, n = 0;

	for (i = 0; i < r->n - 1; i++)
		if (r->r[i].type == MSG_CONF_TEXT &&
		    r->r[i + 1].type == MSG_CONF_TEXT &&
		    r->r[i].len == r->r[i + 1].len) {
			assert_int_equal(replay(ROLE_DIALER, i, next_instead,
			    NULL, NULL), -1);
			n++;
		}
	assert_true(n > 1);
}

static int
foreign(struct conf **c, const struct record *r, void *arg)
{
	return feed(c, *(uint32_t *)arg, r->data, r->len, -1);
}

static void
test_types(void **state)
{
	uint32_t	 type;

	for (type = 0; type < MSG_MAX + 2; type++) {
		assert_int_equal(conf_is_xfer(type), type >= MSG_CONF_BEGIN &&
		    type <= MSG_PREPARE);
		if (!conf_is_xfer(type))
			assert_int_equal(replay(ROLE_RELAY, 3, foreign, &type,
			    NULL), -1);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first),
		cmocka_unit_test(test_lost_and_twice),
		cmocka_unit_test(test_cut_and_longer),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_behind_forwards),
		cmocka_unit_test(test_server_behind_forwards),
		cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_bent),
		cmocka_unit_test(test_owner),
		cmocka_unit_test(test_text_order),
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_last),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
