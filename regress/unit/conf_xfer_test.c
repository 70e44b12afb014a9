/* SPDX-License-Identifier: ISC */
/* conf_xfer_test.c: a configuration sent and received by every role. */
/* LINK: parse.y tunneld/lex.c tunneld/lex_input.c tunneld/conf.c tunneld/conf_build.c tunneld/conf_blocks.c tunneld/conf_value.c tunneld/conf_print.c tunneld/conf_diff.c tunneld/conf_xfer.c tunneld/conf_recv.c tunneld/chan.c tunneld/log.c tunneld/logfmt.c tunneld/util.c tunneld/stats.c lib/addr.c lib/url.c lib/json.c lib/utf8.c lib/visstr.c compat/imsg.c compat/imsg_buffer.c compat/shm.c compat/fdstat.c */

#include "compat.h"

#include "conf_replay.h"

static char *
printed(const struct conf *c)
{
	char	*p;
	size_t	 len;
	FILE	*f;

	assert_non_null(f = open_memstream(&p, &len));
	conf_print(c, f);
	fclose(f);
	return p;
}

static void
drop_origins(struct conf_origins *list)
{
	struct conf_origin	*o;

	while ((o = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, o, entry);
		free(o->origin);
		free(o);
	}
}

static void
drop_cidrs(struct conf_cidrs *list)
{
	struct conf_cidr	*e;

	while ((e = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, e, entry);
		free(e);
	}
}

static void
drop_listens(struct conf_listens *list)
{
	struct conf_listen	*l;

	while ((l = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, l, entry);
		close(l->fd);
		free(l->path);
		free(l);
	}
}

static void
drop_targets(struct conf_targets *list)
{
	struct conf_target	*t;

	while ((t = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, t, entry);
		free(t->name);
		free(t->path);
		free(t);
	}
}

/* What that role is not to be told, taken out of a complete one. */
static void
strip(struct conf *c, enum role role)
{
	struct conf_resolver	*r;
	struct conf_server	*s;
	struct conf_loc		*l;

	free(c->user);
	free(c->chroot);
	free(c->control_path);
	free(c->log_path);
	free(c->hosts_path);
	c->user = c->chroot = c->control_path = c->hosts_path = NULL;
	c->log_path = NULL;
	if (role != ROLE_DIALER)
		while ((r = TAILQ_FIRST(&c->resolvers)) != NULL) {
			TAILQ_REMOVE(&c->resolvers, r, entry);
			free(r);
		}
	TAILQ_FOREACH(s, &c->servers, entry) {
		s->max_sessions_line = 0;
		if (role != ROLE_RELAY) {
			drop_listens(&s->listens);
			drop_origins(&s->origins);
			drop_cidrs(&s->trusted);
		}
		TAILQ_FOREACH(l, &s->locs, entry) {
			if (role != ROLE_DIALER)
				drop_targets(&l->targets);
			if (role != ROLE_RELAY)
				drop_origins(&l->origins);
		}
	}
}

static void
same_ids(const struct conf *a, const struct conf *b, bool locs)
{
	const struct conf_server	*s, *t;
	const struct conf_loc		*l, *k;
	const struct conf_forward	*f, *g;

	assert_int_equal(a->generation, b->generation);
	t = TAILQ_FIRST(&b->servers);
	TAILQ_FOREACH(s, &a->servers, entry) {
		assert_int_equal(s->statidx, t->statidx);
		assert_string_equal(s->name,
		    conf_server_by_id(b, s->id)->name);
		k = TAILQ_FIRST(&t->locs);
		if (locs)
			TAILQ_FOREACH(l, &s->locs, entry) {
				assert_ptr_equal(conf_loc_by_id(b, l->id), k);
				assert_ptr_equal(k->server, t);
				assert_string_equal(l->pattern, k->pattern);
				assert_int_equal(l->prefix, k->prefix);
				k = TAILQ_NEXT(k, entry);
			}
		assert_null(k);
		t = TAILQ_NEXT(t, entry);
	}
	assert_null(t);
	TAILQ_FOREACH(f, &a->forwards, entry) {
		assert_non_null(g = conf_forward_by_id(b, f->id));
		assert_memory_equal(&f->url, &g->url, sizeof(f->url));
	}
}

/* The ids of both sides; the sender's are made anew, in the same order. */
static struct conf *
expected(enum role role, const struct conf *got)
{
	struct conf			*c = make();
	struct conf_server		*s;
	struct conf_forward		*f;
	struct conf_loc			*l;
	const struct conf_server	*t = TAILQ_FIRST(&got->servers);
	const struct conf_forward	*g = TAILQ_FIRST(&got->forwards);
	const struct conf_loc		*k;

	TAILQ_FOREACH(s, &c->servers, entry) {
		assert_non_null(t);
		s->id = t->id;
		k = TAILQ_FIRST(&t->locs);
		TAILQ_FOREACH(l, &s->locs, entry)
			if (k != NULL) {
				l->id = k->id;
				k = TAILQ_NEXT(k, entry);
			}
		t = TAILQ_NEXT(t, entry);
	}
	TAILQ_FOREACH(f, &c->forwards, entry) {
		assert_non_null(g);
		f->id = g->id;
		g = TAILQ_NEXT(g, entry);
	}
	same_ids(c, got, role != ROLE_CONTROL);
	strip(c, role);
	return c;
}

static void
same_text(const struct conf *a, const struct conf *b)
{
	char	*p = printed(a), *q = printed(b);

	assert_string_equal(p, q);
	free(p);
	free(q);
}

static void
test_relay(void **state)
{
	struct conf			*c = receive_all(ROLE_RELAY), *want;
	const struct conf_server	*s;
	const struct conf_forward	*f;
	const struct conf_listen	*l;
	struct stat			 null, zero, st;

	want = expected(ROLE_RELAY, c);
	same_text(c, want);
	assert_int_equal(stat("/dev/null", &null), 0);
	assert_int_equal(stat("/dev/zero", &zero), 0);
	TAILQ_FOREACH(s, &c->servers, entry)
		TAILQ_FOREACH(l, &s->listens, entry) {
			assert_int_equal(fstat(l->fd, &st), 0);
			assert_int_equal(st.st_rdev, null.st_rdev);
			assert_true(fcntl(l->fd, F_GETFD) & FD_CLOEXEC);
		}
	TAILQ_FOREACH(f, &c->forwards, entry)
		TAILQ_FOREACH(l, &f->listens, entry) {
			assert_int_equal(fstat(l->fd, &st), 0);
			assert_int_equal(st.st_rdev, zero.st_rdev);
		}
	l = TAILQ_FIRST(&TAILQ_FIRST(&c->servers)->listens);
	assert_int_equal(addr_port(&l->bound), 4711);
	assert_null(c->hosts_text);
	assert_null(c->show_text);
	conf_unref(want);
	conf_unref(c);
}

static void
test_dialer(void **state)
{
	struct conf		*c = receive_all(ROLE_DIALER), *want;
	struct conf_forward	*f, *g;

	want = expected(ROLE_DIALER, c);
	assert_string_equal(c->hosts_text, want->hosts_text);
	assert_int_equal(addr_port(&TAILQ_FIRST(&c->nameservers)->addr), 53);
	assert_null(c->show_text);
	/* A forward without listeners cannot be printed. */
	while ((f = TAILQ_FIRST(&want->forwards)) != NULL) {
		g = TAILQ_FIRST(&c->forwards);
		assert_int_equal(g->id, f->id);
		assert_int_equal(g->message_max, f->message_max);
		assert_string_equal(g->urltext, f->urltext);
		assert_true(TAILQ_EMPTY(&g->listens));
		TAILQ_REMOVE(&want->forwards, f, entry);
		TAILQ_REMOVE(&c->forwards, g, entry);
		drop_listens(&f->listens);
		free(f->urltext);
		free(f);
		free(g->urltext);
		free(g);
	}
	same_text(c, want);
	conf_unref(want);
	conf_unref(c);
}

static void
test_control(void **state)
{
	struct conf			*c = receive_all(ROLE_CONTROL), *all;
	const struct conf_server	*s;
	const struct conf_listen	*l;
	char				*p;
	unsigned			 n = 0;

	all = make();
	p = printed(all);
	assert_string_equal(c->show_text, p);
	free(p);
	TAILQ_FOREACH(s, &c->servers, entry) {
		assert_true(TAILQ_EMPTY(&s->locs));
		TAILQ_FOREACH(l, &s->listens, entry) {
			assert_int_equal(l->fd, -1);
			n++;
		}
	}
	assert_int_equal(n, 4);
	assert_int_equal(c->log_format, FORMAT_JSON);
	assert_int_equal(c->log_level, LOG_L_DEBUG);
	assert_null(c->hosts_text);
	conf_unref(all);
	conf_unref(c);
}

/* A relay without its listener's descriptor is not sent half of it. */
static void
test_send_fails(void **state)
{
	struct event_base	*base;
	struct conf		*c = make();
	struct chan		*a, *b;
	struct conf_listen	*l;
	int			 sv[2];

	assert_non_null(base = event_init());
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	a = chan_new(sv[0], ROLE_RELAY, 0, 1, on_message, on_gone, NULL);
	b = chan_new(sv[1], ROLE_PARENT, 0, 0, on_message, on_gone, NULL);
	l = TAILQ_FIRST(&TAILQ_FIRST(&c->servers)->listens);
	close(l->fd);
	l->fd = -1;
	assert_int_equal(conf_send(a, c), -1);
	a->dead = true;
	assert_int_equal(conf_send(a, c), -1);
	chan_free(a);
	chan_free(b);
	conf_unref(c);
	event_base_free(base);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first),
		cmocka_unit_test(test_relay),
		cmocka_unit_test(test_dialer),
		cmocka_unit_test(test_control),
		cmocka_unit_test(test_send_fails),
		cmocka_unit_test(test_last),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
