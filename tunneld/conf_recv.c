/* SPDX-License-Identifier: ISC */

/* conf_recv.c: receives a configuration: the child's half of conf_xfer. */

#include "compat.h"

#include <imsg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf_xfer.h"
#include "conf_xfer_int.h"
#include "http1.h"
#include "log.h"
#include "msg.h"

/*
 *	any state --BEGIN--> BEGUN --GLOBAL--> OBJECTS --PREPARE--> DONE
 *	                                       |     ^
 *	                                       +-----+ all others
 *
 * Among the objects: no SERVER behind a FORWARD; LOC, LISTEN and lists belong
 * to the server, location or forward that came last, and name its id.
 * PREPARE is good only if as much has come as it says was sent.
 * Getters return 0 or -1 and leave zeros, so results are or'ed together and
 * looked at before a value is used.  New objects are put into their list at
 * once: conf_unref() then frees them on every error.
 */
enum stage { STAGE_BEGUN, STAGE_OBJECTS, STAGE_DONE };

#define LIMIT_BYTES_MAX	(1024 * 1024)	/* of request line and headers */
#define ORIGIN_TEXT_MAX	320

static int
get_u32(struct ibuf *b, uint32_t *v)
{
	*v = 0;
	return ibuf_get_n32(b, v);
}

static int
get_u64(struct ibuf *b, uint64_t *v)
{
	*v = 0;
	return ibuf_get_n64(b, v);
}

static int
get_word(struct ibuf *b, unsigned max, unsigned *v)
{
	*v = 0;
	return get_enum(b, max, v);
}

/* A string that may not be empty. */
static int
get_text(struct ibuf *b, char **s, size_t max)
{
	if (get_strdup(b, s, max) == -1)
		return -1;
	return **s == '\0' ? -1 : 0;
}

static struct conf_server *
last_server(const struct conf *c)
{
	return TAILQ_LAST(&c->servers, conf_servers);
}

static struct conf_loc *
last_loc(const struct conf *c)
{
	struct conf_server	*s = last_server(c);

	return s == NULL ? NULL : TAILQ_LAST(&s->locs, conf_locs);
}

static void *
alloc(size_t size)
{
	void	*p;

	if ((p = calloc(1, size)) == NULL)
		fatal("conf_receive");
	return p;
}

static int
get_global(struct conf *c, struct ibuf *b)
{
	unsigned	 dest, format, level;
	int		 r = 0;

	r |= get_u32(b, &c->prefork);
	r |= get_u64(b, &c->grace);
	r |= get_bool(b, &c->log_set);
	r |= get_word(b, LOG_FILE + 1, &dest);
	r |= get_word(b, FORMAT_PRETTY + 1, &format);
	r |= get_u64(b, &c->log_size);
	r |= get_u64(b, &c->log_age);
	r |= get_u32(b, &c->log_keep);
	r |= get_word(b, LOG_L_DEBUG + 1, &level);
	r |= get_u64(b, &c->t_handshake);
	r |= get_u64(b, &c->t_connect);
	r |= get_u64(b, &c->t_close);
	r |= get_u64(b, &c->t_stall);
	r |= get_u64(b, &c->t_idle);
	r |= get_u64(b, &c->ping_every);
	r |= get_u64(b, &c->ping_timeout);
	if (r != 0 || c->prefork > RELAYS_MAX)
		return -1;
	c->log_dest = dest;
	c->log_format = format;
	c->log_level = (int)level;
	return 0;
}

static int
get_resolver(struct conf *c, struct ibuf *b)
{
	struct conf_resolvers	*list;
	struct conf_resolver	*e;
	struct addr		 a;
	bool			 configured;
	unsigned		 n = 0;

	if (get_bool(b, &configured) == -1 || get_addr(b, &a) == -1 ||
	    addr_port(&a) == 0)
		return -1;
	list = configured ? &c->resolvers : &c->nameservers;
	TAILQ_FOREACH(e, list, entry)
		n++;
	if (n == CONF_RESOLVERS_MAX)
		return -1;
	e = alloc(sizeof(*e));
	e->addr = a;
	TAILQ_INSERT_TAIL(list, e, entry);
	return 0;
}

/* One more piece of a text: it begins where the last one ended. */
static int
get_piece(struct ibuf *b, char **text, size_t *len, size_t max)
{
	char		*piece = NULL, *p;
	uint32_t	 off;
	size_t		 n;

	if (get_u32(b, &off) == -1 || off != *len ||
	    get_text(b, &piece, UINT16_MAX) == -1) {
		free(piece);
		return -1;
	}
	n = strlen(piece);
	if (n > max - *len || (p = realloc(*text, *len + n + 1)) == NULL) {
		free(piece);
		return -1;
	}
	memcpy(p + *len, piece, n + 1);
	free(piece);
	*text = p;
	*len += n;
	return 0;
}

static int
get_server(struct conf *c, struct ibuf *b)
{
	struct conf_server	*s, *e;
	unsigned		 mode, n = 0;
	int			 r = 0;

	TAILQ_FOREACH(e, &c->servers, entry)
		n++;
	if (n == CONF_SERVERS_MAX)
		return -1;
	s = alloc(sizeof(*s));
	TAILQ_INIT(&s->listens);
	TAILQ_INIT(&s->locs);
	TAILQ_INIT(&s->trusted);
	TAILQ_INIT(&s->origins);
	TAILQ_INSERT_TAIL(&c->servers, s, entry);
	r |= get_u32(b, &s->id);
	r |= get_u32(b, &s->statidx);
	r |= get_text(b, &s->name, NAME_MAX_LEN);
	r |= get_u64(b, &s->max_sessions);
	r |= get_u64(b, &s->max_per_source);
	r |= get_u32(b, &s->max_request_line);
	r |= get_u32(b, &s->max_headers);
	r |= get_u32(b, &s->max_header_bytes);
	r |= get_word(b, ORIGIN_LIST + 1, &mode);
	if (r != 0 || mode == ORIGIN_INHERIT || s->id == 0 ||
	    s->statidx == 0 || s->statidx >= STATS_SERVERS ||
	    s->max_request_line == 0 || s->max_headers == 0 ||
	    s->max_header_bytes == 0 ||
	    s->max_request_line > LIMIT_BYTES_MAX ||
	    s->max_header_bytes > LIMIT_BYTES_MAX ||
	    s->max_headers > HTTP1_HEADERS_MAX)
		return -1;
	s->origin_mode = mode;
	TAILQ_FOREACH(e, &c->servers, entry)
		if (e != s && (e->id == s->id || e->statidx == s->statidx ||
		    strcmp(e->name, s->name) == 0))
			return -1;
	return 0;
}

static int
get_loc(struct conf *c, struct ibuf *b)
{
	struct conf_server	*s = last_server(c);
	struct conf_loc		*l;
	uint32_t		 id, owner_id;
	unsigned		 owner, kind, mode;
	size_t			 len;
	int			 r = 0;

	r |= get_word(b, OWNER_MAX, &owner);
	r |= get_u32(b, &owner_id);
	r |= get_u32(b, &id);
	if (r != 0 || s == NULL || owner != OWNER_SERVER ||
	    owner_id != s->id || id == 0 || conf_loc_by_id(c, id) != NULL)
		return -1;
	l = alloc(sizeof(*l));
	TAILQ_INIT(&l->targets);
	TAILQ_INIT(&l->origins);
	TAILQ_INIT(&l->allow);
	l->server = s;
	l->id = id;
	TAILQ_INSERT_TAIL(&s->locs, l, entry);
	r |= get_text(b, &l->pattern, PATH_MAX_LEN - 1);
	r |= get_word(b, LOC_METRICS + 1, &kind);
	r |= get_bool(b, &l->sokken);
	r |= get_bool(b, &l->text_any);
	r |= get_bool(b, &l->strict_close);
	r |= get_word(b, ORIGIN_LIST + 1, &mode);
	r |= get_u64(b, &l->max_sessions);
	r |= get_u64(b, &l->message_max);
	if (r != 0 || l->pattern[0] != '/')
		return -1;
	len = strlen(l->pattern);
	l->prefix = l->pattern[len - 1] == '*';
	l->kind = kind;
	l->origin_mode = mode;
	return 0;
}

static int
get_listen(struct conf *c, struct ibuf *b, struct imsg *m)
{
	struct conf_server	*s = last_server(c);
	struct conf_forward	*f = TAILQ_LAST(&c->forwards, conf_forwards);
	struct conf_listens	*list;
	struct conf_listen	*l;
	uint32_t		 owner_id;
	unsigned		 owner, n = 0;
	bool			 hasfd;
	int			 r = 0;

	r |= get_word(b, OWNER_MAX, &owner);
	r |= get_u32(b, &owner_id);
	if (r != 0)
		return -1;
	if (owner == OWNER_SERVER && f == NULL && s != NULL &&
	    owner_id == s->id && TAILQ_EMPTY(&s->locs))
		list = &s->listens;
	else if (owner == OWNER_FORWARD && f != NULL && owner_id == f->id)
		list = &f->listens;
	else
		return -1;
	TAILQ_FOREACH(l, list, entry)
		n++;
	if (n == CONF_LISTENS_MAX)
		return -1;

	l = alloc(sizeof(*l));
	l->fd = -1;
	TAILQ_INSERT_TAIL(list, l, entry);
	r |= get_u32(b, &l->id);
	r |= get_bool(b, &l->any);
	r |= get_addr(b, &l->addr);
	r |= get_addr(b, &l->bound);
	r |= get_strdup(b, &l->path, PATH_MAX_LEN - 1);
	r |= get_bool(b, &hasfd);
	if (r != 0 || l->id == 0)
		return -1;
	if (*l->path == '\0') {
		free(l->path);
		l->path = NULL;
	}
	if ((l->path == NULL) == (l->addr.len == 0) ||
	    (l->path != NULL && owner != OWNER_FORWARD))
		return -1;
	l->fd = imsg_get_fd(m);
	if (l->fd != -1 && !hasfd)
		return -1;
	/* Out of descriptors it comes without one. */
	c->fd_lost = c->fd_lost || (l->fd == -1 && hasfd);
	return 0;
}

static int
get_forward(struct conf *c, struct ibuf *b)
{
	struct conf_forward	*f, *e;
	const char		*why;
	unsigned		 half, n = 0;
	int			 r = 0;

	TAILQ_FOREACH(e, &c->forwards, entry)
		n++;
	if (n == CONF_FORWARDS_MAX)
		return -1;
	f = alloc(sizeof(*f));
	TAILQ_INIT(&f->listens);
	TAILQ_INSERT_TAIL(&c->forwards, f, entry);
	r |= get_u32(b, &f->id);
	r |= get_text(b, &f->urltext, URL_MAX - 1);
	r |= get_bool(b, &f->sokken);
	r |= get_bool(b, &f->strict_close);
	r |= get_word(b, HALF_CLOSE_CLOSE + 1, &half);
	r |= get_u64(b, &f->half_close_wait);
	r |= get_u64(b, &f->message_max);
	if (r != 0 || f->id == 0 ||
	    wsurl_parse(f->urltext, &f->url, &why) == -1)
		return -1;
	f->half_close = half;
	TAILQ_FOREACH(e, &c->forwards, entry)
		if (e != f && e->id == f->id)
			return -1;
	return 0;
}

/* ---------------------------------------------------------------- lists */

static int
get_target(struct conf_loc *l, struct ibuf *b)
{
	struct conf_target	*t;
	unsigned		 kind;

	if (get_word(b, TARGET_UNIX + 1, &kind) == -1)
		return -1;
	t = alloc(sizeof(*t));
	t->kind = kind;
	TAILQ_INSERT_TAIL(&l->targets, t, entry);
	switch (t->kind) {
	case TARGET_ADDR:
		if (get_addr(b, &t->addr) == -1)
			return -1;
		t->port = addr_port(&t->addr);
		return t->port == 0 ? -1 : 0;
	case TARGET_NAME:
		if (get_text(b, &t->name, HOST_MAX) == -1 ||
		    ibuf_get_n16(b, &t->port) == -1)
			return -1;
		return t->port == 0 ? -1 : 0;
	case TARGET_UNIX:
		return get_text(b, &t->path, PATH_MAX_LEN - 1);
	}
	return -1;
}

static int
get_cidr(struct conf_cidrs *list, struct ibuf *b)
{
	struct conf_cidr	*e;

	e = alloc(sizeof(*e));
	TAILQ_INSERT_TAIL(list, e, entry);
	if (ibuf_get_n8(b, &e->cidr.af) == -1 ||
	    ibuf_get_n8(b, &e->cidr.bits) == -1 ||
	    ibuf_get(b, e->cidr.net, sizeof(e->cidr.net)) == -1)
		return -1;
	if (e->cidr.af == 4)
		return e->cidr.bits <= 32 ? 0 : -1;
	return e->cidr.af == 6 && e->cidr.bits <= 128 ? 0 : -1;
}

static int
get_origin(struct conf_origins *list, struct ibuf *b)
{
	struct conf_origin	*e;

	e = alloc(sizeof(*e));
	TAILQ_INSERT_TAIL(list, e, entry);
	return get_text(b, &e->origin, ORIGIN_TEXT_MAX);
}

/* Entries of a list of the server or location that came last. */
static int
get_items(struct conf *c, uint32_t type, struct ibuf *b)
{
	struct conf_server	*s = last_server(c);
	struct conf_loc		*l = last_loc(c);
	uint32_t		 id;
	unsigned		 owner;
	int			 r;

	if (get_word(b, OWNER_MAX, &owner) == -1 || get_u32(b, &id) == -1)
		return -1;
	if (owner == OWNER_SERVER ? s == NULL || l != NULL || id != s->id ||
	    type == MSG_CONF_TARGET :
	    owner != OWNER_LOC || l == NULL || id != l->id)
		return -1;
	do {
		if (c->xfer_items++ == CONF_ITEMS_MAX + CONF_LOCS_MAX)
			return -1;
		if (type == MSG_CONF_TARGET)
			r = get_target(l, b);
		else if (type == MSG_CONF_CIDR)
			r = get_cidr(owner == OWNER_SERVER ? &s->trusted :
			    &l->allow, b);
		else
			r = get_origin(owner == OWNER_SERVER ? &s->origins :
			    &l->origins, b);
	} while (r == 0 && ibuf_size(b) > 0);
	return r;
}

/* ------------------------------------------------------------------ end */

static void
count(const struct conf *c, struct xfer_counts *n)
{
	const struct conf_server	*s;
	const struct conf_forward	*f;
	const struct conf_listen	*l;
	const struct conf_loc		*loc;
	const struct conf_resolver	*r;

	memset(n, 0, sizeof(*n));
	TAILQ_FOREACH(r, &c->resolvers, entry)
		n->resolvers++;
	TAILQ_FOREACH(r, &c->nameservers, entry)
		n->resolvers++;
	TAILQ_FOREACH(s, &c->servers, entry) {
		n->servers++;
		TAILQ_FOREACH(l, &s->listens, entry)
			n->listens++;
		TAILQ_FOREACH(loc, &s->locs, entry)
			n->locs++;
	}
	TAILQ_FOREACH(f, &c->forwards, entry) {
		n->forwards++;
		TAILQ_FOREACH(l, &f->listens, entry)
			n->listens++;
	}
	n->items = c->xfer_items;
	n->hosts = (uint32_t)c->xfer_hosts;
	n->show = (uint32_t)c->xfer_show;
}

static int
get_prepare(struct conf *c, struct ibuf *b)
{
	struct xfer_counts	 is, said;
	uint32_t		 generation;
	int			 r = 0;

	count(c, &is);
	r |= get_u32(b, &generation);
	r |= get_u32(b, &said.resolvers);
	r |= get_u32(b, &said.servers);
	r |= get_u32(b, &said.locs);
	r |= get_u32(b, &said.listens);
	r |= get_u32(b, &said.forwards);
	r |= get_u32(b, &said.items);
	r |= get_u32(b, &said.hosts);
	r |= get_u32(b, &said.show);
	if (r != 0 || generation != c->generation ||
	    said.resolvers != is.resolvers ||
	    said.servers != is.servers || said.locs != is.locs ||
	    said.listens != is.listens || said.forwards != is.forwards ||
	    said.items != is.items || said.hosts != is.hosts ||
	    said.show != is.show)
		return -1;
	c->xfer_stage = STAGE_DONE;
	return 0;
}

static int
get_object(struct conf *c, uint32_t type, struct ibuf *b, struct imsg *m)
{
	bool	 forwards = !TAILQ_EMPTY(&c->forwards);

	switch (type) {
	case MSG_CONF_RESOLVER:
		return get_resolver(c, b);
	case MSG_CONF_TEXT:
		return get_piece(b, &c->hosts_text, &c->xfer_hosts,
		    CONF_HOSTS_MAX);
	case MSG_CONF_SHOW:
		return get_piece(b, &c->show_text, &c->xfer_show,
		    CONF_SHOW_MAX);
	case MSG_CONF_SERVER:
		return forwards ? -1 : get_server(c, b);
	case MSG_CONF_LOC:
		return forwards ? -1 : get_loc(c, b);
	case MSG_CONF_TARGET:
	case MSG_CONF_CIDR:
	case MSG_CONF_ORIGIN:
		return forwards ? -1 : get_items(c, type, b);
	case MSG_CONF_LISTEN:
		return get_listen(c, b, m);
	case MSG_CONF_FORWARD:
		return get_forward(c, b);
	default:
		return -1;
	}
}

static int
get_begin(struct conf **c, struct ibuf *b)
{
	conf_unref(*c);
	*c = conf_new();
	(*c)->xfer_stage = STAGE_BEGUN;
	if (get_u32(b, &(*c)->generation) == -1)
		return -1;
	return (*c)->generation == 0 ? -1 : 0;
}

static int
receive(struct conf **c, uint32_t type, struct ibuf *b, struct imsg *m)
{
	if (type == MSG_CONF_BEGIN)
		return get_begin(c, b);
	if (*c == NULL)
		return -1;
	switch ((enum stage)(*c)->xfer_stage) {
	case STAGE_BEGUN:
		if (type != MSG_CONF_GLOBAL)
			return -1;
		(*c)->xfer_stage = STAGE_OBJECTS;
		return get_global(*c, b);
	case STAGE_OBJECTS:
		if (type == MSG_PREPARE)
			return get_prepare(*c, b);
		return get_object(*c, type, b, m);
	case STAGE_DONE:
		break;
	}
	return -1;
}

bool
conf_is_xfer(uint32_t type)
{
	return type >= MSG_CONF_BEGIN && type <= MSG_PREPARE;
}

int
conf_receive(struct conf **c, struct imsg *m)
{
	struct ibuf	 b;

	if (imsg_get_ibuf(m, &b) == -1 ||
	    receive(c, imsg_get_type(m), &b, m) == -1 || ibuf_size(&b) != 0) {
		conf_unref(*c);
		*c = NULL;
		return -1;
	}
	return 0;
}
