/* SPDX-License-Identifier: ISC */
/* conf_test.c: look-ups, values, limits, and what a reload takes over. */
/* LINK: parse.y tunneld/lex.c tunneld/lex_input.c tunneld/conf.c tunneld/conf_build.c tunneld/conf_blocks.c tunneld/conf_value.c tunneld/conf_print.c tunneld/conf_diff.c tunneld/log.c tunneld/logfmt.c tunneld/util.c tunneld/stats.c lib/addr.c lib/url.c lib/json.c lib/utf8.c lib/visstr.c compat/shm.c compat/fdstat.c */

#include "compat.h"

#include <sys/types.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf_diff.h"
#include "conf_value.h"
#include "stats.h"
#include "tunneld.h"

#define S(name, port, rest)						\
    "server \"" name "\" { listen on 127.0.0.1 port " port "\n"	\
    "location \"/a\" { echo } " rest " }\n"

static struct conf *
parse(const char *text)
{
	struct conf	*c = conf_parse(NULL, text, NULL, stderr);

	assert_non_null(c);
	return c;
}

/* parse() and adopt, which must succeed; drops its reference to old. */
static struct conf *
next(struct conf *old, const char *text)
{
	struct conf	*c = parse(text);
	char		 err[256] = "";

	assert_int_equal(conf_adopt(c, old, err, sizeof(err)), 0);
	assert_string_equal(err, "");
	conf_unref(old);
	return c;
}

static struct conf_server *
server(const struct conf *c, const char *name)
{
	struct conf_server	*s;

	TAILQ_FOREACH(s, &c->servers, entry)
		if (strcmp(s->name, name) == 0)
			return s;
	fail_msg("no server %s", name);
	return NULL;
}

/* The n-th listener of a server, from 0. */
static struct conf_listen *
listener(const struct conf *c, const char *name, int n)
{
	struct conf_listen	*l = TAILQ_FIRST(&server(c, name)->listens);

	while (n-- > 0 && l != NULL)
		l = TAILQ_NEXT(l, entry);
	assert_non_null(l);
	return l;
}

static uint32_t
loc_id(const struct conf *c, const char *name, const char *path)
{
	struct conf_loc	*l = conf_loc_match(server(c, name), path);

	assert_non_null(l);
	return l->id;
}

/* ------------------------------------------------------------- look-ups */

static void
test_match(void **state)
{
	static const struct {
		const char	*path, *pattern;
	} cases[] = {
		{ "/", "/" },
		{ "/a", "/a" },
		{ "/a/", "/a/*" },
		{ "/a/b", "/a/b" },
		{ "/a/b/", "/a/b/*" },
		{ "/a/b/c/d", "/a/b/*" },
		{ "/a/bc", "/a/*" },
		{ "/a/*", "/a/*" },
		{ "/A", NULL },
		{ "/ab", NULL },
		{ "//", NULL },
		{ "", NULL },
		{ "/\303\266", "/\303\266" },
	};
	struct conf	*c;
	struct conf_loc	*l;
	size_t		 i;

	c = parse("server \"s\" { listen on 127.0.0.1 port 1\n"
	    "location \"/\" { echo } location \"/a\" { echo }\n"
	    "location \"/a/b\" { echo } location \"/a/b/*\" { echo }\n"
	    "location \"/a/*\" { echo } location \"/\303\266\" { echo } }");
	for (i = 0; i < nitems(cases); i++) {
		l = conf_loc_match(server(c, "s"), cases[i].path);
		if (cases[i].pattern == NULL)
			assert_null(l);
		else {
			assert_non_null(l);
			assert_string_equal(l->pattern, cases[i].pattern);
		}
	}
	conf_unref(c);
}

static void
test_cidrs(void **state)
{
	static const struct {
		const char	*addr;
		bool		 in;
	} cases[] = {
		{ "10.0.0.1", true }, { "11.0.0.0", false },
		{ "::ffff:10.1.2.3", true }, { "::ffff:11.0.0.1", false },
		{ "2001:db8::1", true }, { "2001:db9::1", false },
		{ "192.0.2.1", true }, { "192.0.2.2", false }
	};
	struct conf		*c;
	struct conf_cidrs	*list, none;
	struct addr		 a;
	size_t			 i;

	c = parse(S("s", "1", "trusted-proxies { 10.0.0.0/8, 192.0.2.1, "
	    "2001:db8::/32 }"));
	list = &server(c, "s")->trusted;
	for (i = 0; i < nitems(cases); i++) {
		assert_int_equal(addr_parse(cases[i].addr, 5, &a), 0);
		assert_int_equal(conf_cidrs_match(list, &a), cases[i].in);
	}
	TAILQ_INIT(&none);
	assert_false(conf_cidrs_match(&none, &a));
	memset(&a, 0, sizeof(a));
	assert_false(conf_cidrs_match(list, &a));
	conf_unref(c);
}

static void
test_target_format(void **state)
{
	static const char *const	 want[] = { "127.0.0.1:22", "[::1]:22",
					    "name:443" };
	struct conf_target		*t;
	struct conf			*c;
	char				 buf[64], small[8];
	int				 i = 0;

	c = parse("server s { listen on 127.0.0.1 port 1 location \"/x/*\" {\n"
	    "forward to { 127.0.0.1:22, [::1]:22, Name:443 } }\n"
	    "location \"/u\" { forward to unix \"/a b\" } }");
	TAILQ_FOREACH(t, &conf_loc_match(server(c, "s"), "/x/")->targets,
	    entry)
		assert_string_equal(conf_target_format(t, buf, sizeof(buf)),
		    want[i++]);
	assert_int_equal(i, 3);
	t = TAILQ_FIRST(&conf_loc_match(server(c, "s"), "/u")->targets);
	assert_string_equal(conf_target_format(t, buf, sizeof(buf)),
	    "unix:/a b");
	assert_string_equal(conf_target_format(t, small, sizeof(small)),
	    "unix:/a");
	conf_unref(c);
}

static void
test_defaults(void **state)
{
	struct conf	*c = parse("");

	assert_true(TAILQ_EMPTY(&c->servers));
	assert_true(TAILQ_EMPTY(&c->forwards));
	assert_int_equal(c->generation, 1);
	assert_int_equal(c->grace, 30000000);
	assert_int_equal(c->control_mode, 0660);
	assert_false(c->log_set);
	assert_true(c->t_idle == OFF);
	assert_int_equal(c->t_stall, 300000000);
	assert_in_range(conf_prefork(c), 1, RELAYS_DEFAULT_MAX);
	c->prefork = 17;
	assert_int_equal(conf_prefork(c), 17);
	assert_ptr_equal(conf_ref(c), c);
	conf_unref(c);
	assert_int_equal(c->refs, 1);
	conf_unref(c);
	conf_unref(NULL);
}

/* --------------------------------------------------------------- values */

static void
test_values(void **state)
{
	static const struct {
		const char	*text;
		uint64_t	 usec;
	} times[] = {
		{ "1ms", 1000 }, { "500ms", 500000 }, { "0s", 0 },
		{ "1s", 1000000 }, { "2m", 120000000 },
		{ "1h", 3600000000 }, { "7d", 604800000000 },
		{ "106751991d", 9223372022400000000 }
	};
	static const char *const badtimes[] = { "", "1", "s", "1 s", "1S",
	    "01s", "+1s", "-1s", "1.5s", "1us", "1sm", "106751992d",
	    "99999999999999999999s", "off", "1s " };
	static const char *const badsizes[] = { "", "K", "1k", "1KB", "1T",
	    "01", "-1", "0x10", "1.5K", "8589934592G", "1 K", "K1" };
	static const char *const badmodes[] = { "", "66", "0999", "00660",
	    "1660", "rw", "0668", "066\n", "-660" };
	char		 buf[VALUE_TEXT];
	uint64_t	 v;
	unsigned	 mode;
	size_t		 i;

	for (i = 0; i < nitems(times); i++) {
		assert_int_equal(value_time(times[i].text, &v), 0);
		assert_true(v == times[i].usec);
		value_time_format(v, buf);
		assert_int_equal(value_time(buf, &v), 0);
		assert_true(v == times[i].usec);
	}
	for (i = 0; i < nitems(badtimes); i++)
		assert_int_equal(value_time(badtimes[i], &v), -1);
	for (i = 0; i < nitems(badsizes); i++)
		assert_int_equal(value_size(badsizes[i], &v), -1);
	assert_int_equal(value_size("8589934591G", &v), 0);
	assert_true(v == 8589934591ULL << 30);
	assert_int_equal(value_number("9223372036854775807", &v), 0);
	assert_int_equal(value_number("9223372036854775808", &v), -1);
	assert_string_equal(value_time_format(90000000, buf), "90s");
	assert_string_equal(value_time_format(0, buf), "0ms");
	assert_string_equal(value_size_format(0, buf), "0");
	assert_string_equal(value_size_format(1536, buf), "1536");
	assert_string_equal(value_size_format(32768, buf), "32K");
	assert_string_equal(value_number_format(OFF, buf), "off");
	assert_string_equal(value_number_format(1024, buf), "1024");
	assert_int_equal(value_mode("0660", &mode), 0);
	assert_int_equal(mode, 0660);
	assert_int_equal(value_mode("600", &mode), 0);
	assert_int_equal(mode, 0600);
	for (i = 0; i < nitems(badmodes); i++)
		assert_int_equal(value_mode(badmodes[i], &mode), -1);
}

/* --------------------------------------------------------------- limits */

static int
check(const char *text, rlim_t nofile, char *said, size_t size)
{
	struct rlimit	 old, rl;
	struct conf	*c = parse(text);
	FILE		*f;
	int		 r;

	memset(said, 0, size);
	assert_non_null(f = fmemopen(said, size - 1, "w"));
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	rl = old;
	rl.rlim_cur = nofile;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &rl), 0);
	r = conf_check(c, "main.conf", f);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	fclose(f);
	conf_unref(c);
	return r;
}

static void
test_check(void **state)
{
	char	 said[1024];

	/* (1024 - 64 - 2 - 32) / 2 * 3 = 1389 sessions */
	assert_int_equal(check("prefork 3\n" S("s", "1", ""), 1024, said,
	    sizeof(said)), 0);
	assert_string_equal(said, "");
	/* 463 * 2: the default does not fit, which only warns. */
	assert_int_equal(check("prefork 2\n" S("s", "1", ""), 1024, said,
	    sizeof(said)), 0);
	assert_string_equal(said, "<command line>:2: warning: server \"s\" "
	    "allows 1000 sessions by default, but 1024 open files (ulimit "
	    "-n) and prefork 2 are enough for 926 of all servers together: "
	    "set max-sessions\n");
	/* Written, it is an error, from the first number that is too big. */
	assert_int_equal(check("prefork 2\n" S("s", "1",
	    "\nmax-sessions 927"), 1024, said, sizeof(said)), -1);
	assert_string_equal(said, "<command line>:4: near \"max-sessions\": "
	    "expected at most 926: 1024 open files (ulimit -n) and prefork 2 "
	    "are enough for 926 sessions of all servers together\n");
	assert_int_equal(check("prefork 2\n" S("s", "1", "max-sessions 926"),
	    1024, said, sizeof(said)), 0);
	assert_string_equal(said, "");
	/* Several servers share; one that is off claims nothing. */
	assert_int_equal(check("prefork 2\n" S("a", "1", "max-sessions 500")
	    S("b", "2", "max-sessions off") S("c", "3", "max-sessions 455"),
	    1024, said, sizeof(said)), -1);
	assert_non_null(strstr(said, "expected at most 422:"));
	/* Not even one session. */
	assert_int_equal(check(S("s", "1", ""), 65, said, sizeof(said)), -1);
	assert_non_null(strstr(said, "main.conf:1: near "));
}

/* --------------------------------------------------------------- reload */

static void
test_ids(void **state)
{
	struct conf	*c;
	uint32_t	 a, b, la, lb, xa, xb, f1, f2;

	c = next(NULL, S("a", "1", "location \"/x\" { echo }")
	    S("b", "2", "") "forward 127.0.0.1 port 3 via \"ws://h\"\n"
	    "forward unix \"/f\" via \"ws://h\"\n");
	assert_int_equal(c->generation, 1);
	a = server(c, "a")->id;
	b = server(c, "b")->id;
	la = listener(c, "a", 0)->id;
	lb = listener(c, "b", 0)->id;
	xa = loc_id(c, "a", "/a");
	xb = loc_id(c, "b", "/a");
	f1 = TAILQ_FIRST(&c->forwards)->id;
	f2 = TAILQ_NEXT(TAILQ_FIRST(&c->forwards), entry)->id;
	assert_true(a != 0 && b != 0 && a != b);
	assert_true(la != 0 && lb != 0 && la != lb);
	assert_true(xa != 0 && xb != 0 && xa != xb);
	assert_true(f1 != 0 && f2 != 0 && f1 != f2);

	/* Order, kind and all else may change. */
	c = next(c, "forward unix \"/f\" via \"ws://h/other\" half-close close\n"
	    "forward 127.0.0.1 port 3 via \"ws://h\"\n" S("b", "2", "")
	    "server \"a\" { listen on 127.0.0.1 port 9\n"
	    "listen on 127.0.0.1 port 1\n"
	    "location \"/y\" { echo } location \"/a\" { health } }");
	assert_int_equal(c->generation, 2);
	assert_int_equal(server(c, "a")->id, a);
	assert_int_equal(server(c, "b")->id, b);
	assert_int_equal(listener(c, "a", 1)->id, la);
	assert_int_not_equal(listener(c, "a", 0)->id, la);
	assert_int_equal(listener(c, "b", 0)->id, lb);
	assert_int_equal(loc_id(c, "a", "/a"), xa);
	assert_int_equal(loc_id(c, "b", "/a"), xb);
	assert_int_equal(TAILQ_FIRST(&c->forwards)->id, f2);
	assert_int_equal(TAILQ_NEXT(TAILQ_FIRST(&c->forwards), entry)->id, f1);

	/* What comes back after it was gone is somebody else. */
	c = next(c, S("b", "2", ""));
	c = next(c, S("a", "1", "") S("b", "2", "")
	    "forward 127.0.0.1 port 3 via \"ws://h\"\n");
	assert_int_equal(c->generation, 4);
	assert_int_not_equal(server(c, "a")->id, a);
	assert_int_not_equal(listener(c, "a", 0)->id, la);
	assert_int_not_equal(loc_id(c, "a", "/a"), xa);
	assert_int_not_equal(TAILQ_FIRST(&c->forwards)->id, f1);
	assert_int_equal(server(c, "b")->id, b);
	conf_unref(c);
}

/*
 * A forward that gets another server is another one, on the same listener;
 * also where two stand on equal words.
 */
static void
test_forward_moves(void **state)
{
	struct conf_forward	*f, *g;
	struct conf		*c;
	uint32_t		 idf, idg, lf, lg;

	c = next(NULL, "forward 127.0.0.1 port 0 via \"ws://h/a\"\n"
	    "forward 127.0.0.1 port 0 via \"ws://i/b\"\n");
	f = TAILQ_FIRST(&c->forwards);
	g = TAILQ_NEXT(f, entry);
	idf = f->id;
	idg = g->id;
	lf = TAILQ_FIRST(&f->listens)->id;
	lg = TAILQ_FIRST(&g->listens)->id;
	c = next(c, "forward 127.0.0.1 port 0 via \"ws://h:81/a\"\n"
	    "forward 127.0.0.1 port 0 via \"ws://j/b\"\n");
	f = TAILQ_FIRST(&c->forwards);
	g = TAILQ_NEXT(f, entry);
	assert_true(f->id != idf && f->id != idg);
	assert_true(g->id != idf && g->id != idg && g->id != f->id);
	assert_int_equal(TAILQ_FIRST(&f->listens)->id, lf);
	assert_int_equal(TAILQ_FIRST(&g->listens)->id, lg);
	conf_unref(c);
}

/* A configuration that was thrown away leaves no id behind. */
static void
test_ids_aborted(void **state)
{
	struct conf	*c, *aborted;
	uint32_t	 id;
	char		 err[256];

	c = next(NULL, S("a", "1", ""));
	aborted = parse(S("a", "1", "") S("new", "2", ""));
	assert_int_equal(conf_adopt(aborted, c, err, sizeof(err)), 0);
	id = server(aborted, "new")->id;
	conf_unref(aborted);
	c = next(c, S("a", "1", "") S("other", "2", ""));
	assert_int_not_equal(server(c, "other")->id, id);
	assert_int_equal(c->generation, 2);
	conf_unref(c);
}

/* Give a listener a descriptor that can be told from others. */
static ino_t
give_fd(struct conf_listen *l, uint16_t bound)
{
	struct stat	 st;
	int		 p[2];

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	close(p[1]);
	l->fd = p[0];
	l->bound = l->addr;
	if (l->path == NULL)
		addr_set_port(&l->bound, bound);
	assert_int_equal(fstat(l->fd, &st), 0);
	return st.st_ino;
}

static void
has_fd(const struct conf_listen *l, ino_t ino)
{
	struct stat	 st;

	assert_int_equal(fstat(l->fd, &st), 0);
	assert_int_equal(st.st_ino, ino);
	assert_true(fcntl(l->fd, F_GETFD) & FD_CLOEXEC);
}

static void
test_sockets(void **state)
{
	struct conf		*c;
	struct conf_forward	*f;
	uint32_t		 id, z0, z1;
	ino_t			 a, p0, p1, v4, v6, u;

	c = next(NULL, "server \"s\" { listen on 127.0.0.1 port 1\n"
	    "listen on 127.0.0.1 port 0 listen on 127.0.0.1 port 0\n"
	    "listen on * port 5 location \"/a\" { echo } }\n"
	    "forward unix \"/f\" via \"ws://h\"");
	a = give_fd(listener(c, "s", 0), 1);
	p0 = give_fd(listener(c, "s", 1), 4000);
	p1 = give_fd(listener(c, "s", 2), 4001);
	v4 = give_fd(listener(c, "s", 3), 5);
	v6 = give_fd(listener(c, "s", 4), 5);
	u = give_fd(TAILQ_FIRST(&TAILQ_FIRST(&c->forwards)->listens), 0);
	id = listener(c, "s", 0)->id;
	z0 = listener(c, "s", 1)->id;
	z1 = listener(c, "s", 2)->id;
	assert_int_not_equal(z0, z1);

	c = next(c, "server \"s\" { listen on * port 5\n"
	    "listen on 127.0.0.1 port 0 listen on 127.0.0.1 port 0\n"
	    "listen on 127.0.0.1 port 0 listen on 127.0.0.1 port 1\n"
	    "listen on 127.0.0.1 port 2 location \"/a\" { echo } }\n"
	    "forward unix \"/f\" via \"ws://h\"");
	has_fd(listener(c, "s", 0), v4);
	has_fd(listener(c, "s", 1), v6);
	has_fd(listener(c, "s", 2), p0);
	has_fd(listener(c, "s", 3), p1);
	assert_int_equal(listener(c, "s", 2)->id, z0);
	assert_int_equal(listener(c, "s", 3)->id, z1);
	assert_int_equal(addr_port(&listener(c, "s", 2)->bound), 4000);
	assert_int_equal(addr_port(&listener(c, "s", 3)->bound), 4001);
	assert_int_equal(listener(c, "s", 4)->fd, -1);
	has_fd(listener(c, "s", 5), a);
	assert_int_equal(listener(c, "s", 5)->id, id);
	assert_int_equal(listener(c, "s", 6)->fd, -1);
	has_fd(TAILQ_FIRST(&TAILQ_FIRST(&c->forwards)->listens), u);

	/* Another owner: another id, the same socket; but not for port 0. */
	c = next(c, "server \"t\" { listen on 127.0.0.1 port 0\n"
	    "location \"/a\" { echo } }\n"
	    "forward 127.0.0.1 port 1 via \"ws://h\"\n");
	assert_int_equal(listener(c, "t", 0)->fd, -1);
	f = TAILQ_FIRST(&c->forwards);
	has_fd(TAILQ_FIRST(&f->listens), a);
	assert_int_not_equal(TAILQ_FIRST(&f->listens)->id, id);
	conf_unref(c);
}

static void
test_unchangeable(void **state)
{
	static const struct {
		const char	*before, *after, *what;
	} cases[] = {
		{ "user a", "user b", "user" },
		{ "", "user b", "user" },
		{ "chroot off", "", "chroot" },
		{ "chroot \"/a\"", "chroot \"/b\"", "chroot" },
		{ "control off", "", "control socket" },
		{ "control socket \"/a\"", "control socket \"/b\"",
		    "control socket" },
		{ "control socket \"/a\"", "control socket \"/a\" mode 0600",
		    "control socket" },
		{ "control socket \"/a\"", "", "control socket" }
	};
	struct conf	*a, *b;
	char		 err[256], want[256];
	size_t		 i;

	for (i = 0; i < nitems(cases); i++) {
		a = next(NULL, cases[i].before);
		b = parse(cases[i].after);
		assert_int_equal(conf_adopt(b, a, err, sizeof(err)), -1);
		(void)snprintf(want, sizeof(want), "%s cannot be changed by "
		    "reload: restart", cases[i].what);
		assert_string_equal(err, want);
		conf_unref(b);
		conf_unref(next(a, cases[i].before));
	}
	/* The default written out is not the default. */
	a = next(NULL, "prefork 2 grace 1s log level brief");
	conf_unref(next(a, "prefork 9 log to stderr ping off"));
}

static char *
numbered(int from, int to)
{
	char	*text;
	size_t	 len;
	FILE	*f;
	int	 i;

	assert_non_null(f = open_memstream(&text, &len));
	for (i = from; i < to; i++)
		fprintf(f, S("n%d", "%d", ""), i, 1000 + i);
	fclose(f);
	return text;
}

/* 63 at once, all different; names keep theirs, newcomers avoid used ones. */
static void
test_indices(void **state)
{
	struct conf		*c, *old;
	struct conf_server	*s, *t;
	bool			 seen[STATS_SERVERS];
	char			*text;
	uint32_t		 first, second;
	int			 i;

	c = next(NULL, S("a", "1", "") S("b", "2", ""));
	first = server(c, "a")->statidx;
	second = server(c, "b")->statidx;
	assert_in_range(first, 1, STATS_SERVERS - 1);
	assert_in_range(second, 1, STATS_SERVERS - 1);
	assert_int_not_equal(first, second);
	/* Gone and back, with another in between. */
	c = next(c, S("b", "2", "") S("c", "3", ""));
	assert_int_equal(server(c, "b")->statidx, second);
	assert_int_not_equal(server(c, "c")->statidx, first);
	c = next(c, S("d", "4", "") S("a", "1", ""));
	assert_int_equal(server(c, "a")->statidx, first);

	for (i = 0; i < 130; i += 13) {
		text = numbered(i, i + 63);
		old = conf_ref(c);
		c = next(c, text);
		free(text);
		TAILQ_FOREACH(s, &old->servers, entry)
			TAILQ_FOREACH(t, &c->servers, entry)
				if (strcmp(s->name, t->name) == 0)
					assert_int_equal(s->statidx,
					    t->statidx);
		conf_unref(old);
		memset(seen, 0, sizeof(seen));
		TAILQ_FOREACH(s, &c->servers, entry) {
			assert_in_range(s->statidx, 1, STATS_SERVERS - 1);
			assert_false(seen[s->statidx]);
			seen[s->statidx] = true;
		}
	}
	conf_unref(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_match),
		cmocka_unit_test(test_cidrs),
		cmocka_unit_test(test_target_format),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_forward_moves),
		cmocka_unit_test(test_ids_aborted),
		cmocka_unit_test(test_sockets),
		cmocka_unit_test(test_unchangeable),
		cmocka_unit_test(test_indices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
