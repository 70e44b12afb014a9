/* SPDX-License-Identifier: ISC */

/*
 * conf_make.h: configurations built by hand, for tests of what uses them
 * without the parser.
 */
#ifndef CONF_MAKE_H
#define CONF_MAKE_H

#include <stdlib.h>
#include <string.h>

#include "conf.h"

static inline struct conf_server *
make_server(struct conf *c, uint32_t id)
{
	struct conf_server	*s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->id = id;
	s->name = strdup("main");
	s->max_sessions = s->max_per_source = OFF;
	TAILQ_INIT(&s->listens);
	TAILQ_INIT(&s->locs);
	TAILQ_INIT(&s->trusted);
	TAILQ_INIT(&s->origins);
	TAILQ_INSERT_TAIL(&c->servers, s, entry);
	return (s);
}

static inline struct conf_loc *
make_location(struct conf_server *s, uint32_t id, enum loc_kind kind)
{
	struct conf_loc	*l = calloc(1, sizeof(*l));

	assert_non_null(l);
	l->server = s;
	l->id = id;
	l->pattern = strdup("/x");
	l->kind = kind;
	l->max_sessions = OFF;
	TAILQ_INIT(&l->targets);
	TAILQ_INIT(&l->origins);
	TAILQ_INIT(&l->allow);
	TAILQ_INSERT_TAIL(&s->locs, l, entry);
	return (l);
}

static inline void
make_target(struct conf_loc *l, const char *text)
{
	struct conf_target	*t = calloc(1, sizeof(*t));
	char			 host[HOST_MAX + 1];
	bool			 numeric;

	assert_non_null(t);
	if (text[0] == '/') {
		t->kind = TARGET_UNIX;
		t->path = strdup(text);
	} else {
		assert_int_equal(hostport_parse(text, host, sizeof(host),
		    &t->port, &numeric), 0);
		if (numeric) {
			t->kind = TARGET_ADDR;
			assert_int_equal(addr_parse(host, t->port, &t->addr),
			    0);
		} else {
			t->kind = TARGET_NAME;
			t->name = strdup(host);
		}
	}
	TAILQ_INSERT_TAIL(&l->targets, t, entry);
}

static inline void
make_allow(struct conf_loc *l, const char *text)
{
	struct conf_cidr	*c = calloc(1, sizeof(*c));

	assert_non_null(c);
	assert_int_equal(cidr_parse(text, &c->cidr), 0);
	TAILQ_INSERT_TAIL(&l->allow, c, entry);
}

static inline void
make_forward(struct conf *c, uint32_t id, const char *url)
{
	struct conf_forward	*f = calloc(1, sizeof(*f));
	const char		*colon = strrchr(url, ':');

	/* wsurl_parse() has tests of its own. */
	assert_non_null(f);
	f->id = id;
	TAILQ_INIT(&f->listens);
	f->url.port = (uint16_t)atoi(colon + 1);
	memcpy(f->url.host, url, (size_t)(colon - url));
	f->url.numeric = f->url.host[0] >= '0' && f->url.host[0] <= '9';
	TAILQ_INSERT_TAIL(&c->forwards, f, entry);
}

#endif /* CONF_MAKE_H */
