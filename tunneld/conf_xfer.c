/* SPDX-License-Identifier: ISC */

/* conf_xfer.c: sends a configuration to a child: the parent's half. */

#include "compat.h"

#include <fcntl.h>
#include <imsg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf_xfer.h"
#include "conf_xfer_int.h"
#include "log.h"
#include "msg.h"

/*
 * Order of the messages; conf_recv.c draws what it accepts:
 *
 *	BEGIN GLOBAL [RESOLVER* TEXT*]
 *	{ SERVER LISTEN* [CIDR*] [ORIGIN*] { LOC [TARGET*] [CIDR*] [ORIGIN*] }* }*
 *	{ FORWARD LISTEN* }*
 *	[SHOW*] PREPARE
 *
 * Adding to a buffer returns 0 or -1, so results are or'ed together.
 */

#define PACK	8192		/* list entries of one message, bytes */

struct sender {
	struct chan	*ch;
	bool		 relay, dialer, control;
	struct xfer_counts n;
};

static int
finish(struct sender *s, struct ibuf *b, int r, int fd)
{
	if (r != 0) {
		ibuf_free(b);
		if (fd != -1)
			close(fd);
		return -1;
	}
	return chan_send(s->ch, b, fd);
}

static int
send_begin(struct sender *s, const struct conf *c)
{
	struct ibuf	*b;

	if ((b = chan_msg(s->ch, MSG_CONF_BEGIN)) == NULL)
		return -1;
	return finish(s, b, ibuf_add_n32(b, c->generation), -1);
}

static int
send_global(struct sender *s, const struct conf *c)
{
	struct ibuf	*b;
	int		 r = 0;

	if ((b = chan_msg(s->ch, MSG_CONF_GLOBAL)) == NULL)
		return -1;
	r |= ibuf_add_n32(b, c->prefork);
	r |= ibuf_add_n64(b, c->grace);
	r |= put_bool(b, c->log_set);
	r |= ibuf_add_n8(b, c->log_dest);
	r |= ibuf_add_n8(b, c->log_format);
	r |= ibuf_add_n64(b, c->log_size);
	r |= ibuf_add_n64(b, c->log_age);
	r |= ibuf_add_n32(b, c->log_keep);
	r |= ibuf_add_n8(b, (unsigned)c->log_level);
	r |= ibuf_add_n64(b, c->t_handshake);
	r |= ibuf_add_n64(b, c->t_connect);
	r |= ibuf_add_n64(b, c->t_close);
	r |= ibuf_add_n64(b, c->t_stall);
	r |= ibuf_add_n64(b, c->t_idle);
	r |= ibuf_add_n64(b, c->ping_every);
	r |= ibuf_add_n64(b, c->ping_timeout);
	return finish(s, b, r, -1);
}

static int
send_resolvers(struct sender *s, const struct conf_resolvers *list,
    bool configured)
{
	const struct conf_resolver	*e;
	struct ibuf			*b;
	int				 r;

	TAILQ_FOREACH(e, list, entry) {
		s->n.resolvers++;
		if ((b = chan_msg(s->ch, MSG_CONF_RESOLVER)) == NULL)
			return -1;
		r = put_bool(b, configured);
		r |= put_addr(b, &e->addr);
		if (finish(s, b, r, -1) == -1)
			return -1;
	}
	return 0;
}

static int
send_text(struct sender *s, uint32_t type, const char *text, uint32_t *total)
{
	struct ibuf	*b;
	size_t		 len = text == NULL ? 0 : strlen(text), off, n;
	int		 r;

	if (len > (type == MSG_CONF_SHOW ? CONF_SHOW_MAX : CONF_HOSTS_MAX))
		return -1;
	for (off = 0; off < len; off += n) {
		n = len - off < PACK ? len - off : PACK;
		if ((b = chan_msg(s->ch, type)) == NULL)
			return -1;
		r = ibuf_add_n32(b, off);
		r |= put_strn(b, text + off, n);
		if (finish(s, b, r, -1) == -1)
			return -1;
	}
	*total = (uint32_t)len;
	return 0;
}

/* ---------------------------------------------------------------- lists */

static struct ibuf *
owned(struct sender *s, uint32_t type, enum xfer_owner owner, uint32_t id)
{
	struct ibuf	*b;

	if ((b = chan_msg(s->ch, type)) == NULL)
		return NULL;
	if (ibuf_add_n8(b, owner) == -1 || ibuf_add_n32(b, id) == -1) {
		ibuf_free(b);
		return NULL;
	}
	return b;
}

/* Many entries go in one message; *b is NULL between two. */
static int
next_item(struct sender *s, struct ibuf **b, uint32_t type,
    enum xfer_owner owner, uint32_t id)
{
	s->n.items++;
	if (*b != NULL && ibuf_size(*b) > PACK) {
		if (chan_send(s->ch, *b, -1) == -1)
			return -1;
		*b = NULL;
	}
	if (*b == NULL)
		*b = owned(s, type, owner, id);
	return *b == NULL ? -1 : 0;
}

static int
last_item(struct sender *s, struct ibuf *b, int r)
{
	return b == NULL ? r : finish(s, b, r, -1);
}

static int
send_cidrs(struct sender *s, enum xfer_owner owner, uint32_t id,
    const struct conf_cidrs *list)
{
	const struct conf_cidr	*e;
	struct ibuf		*b = NULL;
	int			 r = 0;

	TAILQ_FOREACH(e, list, entry) {
		if (next_item(s, &b, MSG_CONF_CIDR, owner, id) == -1)
			return -1;
		r |= ibuf_add_n8(b, e->cidr.af);
		r |= ibuf_add_n8(b, e->cidr.bits);
		r |= ibuf_add(b, e->cidr.net, sizeof(e->cidr.net));
	}
	return last_item(s, b, r);
}

static int
send_origins(struct sender *s, enum xfer_owner owner, uint32_t id,
    const struct conf_origins *list)
{
	const struct conf_origin	*e;
	struct ibuf			*b = NULL;
	int				 r = 0;

	TAILQ_FOREACH(e, list, entry) {
		if (next_item(s, &b, MSG_CONF_ORIGIN, owner, id) == -1)
			return -1;
		r |= put_str(b, e->origin);
	}
	return last_item(s, b, r);
}

static int
send_targets(struct sender *s, const struct conf_loc *l)
{
	const struct conf_target	*e;
	struct ibuf			*b = NULL;
	int				 r = 0;

	TAILQ_FOREACH(e, &l->targets, entry) {
		if (next_item(s, &b, MSG_CONF_TARGET, OWNER_LOC, l->id) == -1)
			return -1;
		r |= ibuf_add_n8(b, e->kind);
		switch (e->kind) {
		case TARGET_ADDR:
			r |= put_addr(b, &e->addr);
			break;
		case TARGET_NAME:
			r |= put_str(b, e->name);
			r |= ibuf_add_n16(b, e->port);
			break;
		case TARGET_UNIX:
			r |= put_str(b, e->path);
			break;
		}
	}
	return last_item(s, b, r);
}

/* --------------------------------------------------------------- blocks */

static int
send_listens(struct sender *s, enum xfer_owner owner, uint32_t id,
    const struct conf_listens *list)
{
	const struct conf_listen	*l;
	struct ibuf			*b;
	int				 fd, r;

	TAILQ_FOREACH(l, list, entry) {
		s->n.listens++;
		if ((b = owned(s, MSG_CONF_LISTEN, owner, id)) == NULL)
			return -1;
		r = ibuf_add_n32(b, l->id);
		r |= put_bool(b, l->any);
		r |= put_addr(b, &l->addr);
		r |= put_addr(b, &l->bound);
		r |= put_str(b, l->path);
		r |= put_bool(b, s->relay);	/* comes with a descriptor */
		fd = -1;
		if (s->relay && (fd = fcntl(l->fd, F_DUPFD_CLOEXEC, 0)) == -1)
			r = -1;
		if (finish(s, b, r, fd) == -1)
			return -1;
	}
	return 0;
}

static int
send_loc(struct sender *s, const struct conf_loc *l)
{
	struct ibuf	*b;
	int		 r;

	s->n.locs++;
	if ((b = owned(s, MSG_CONF_LOC, OWNER_SERVER, l->server->id)) == NULL)
		return -1;
	r = ibuf_add_n32(b, l->id);
	r |= put_str(b, l->pattern);
	r |= ibuf_add_n8(b, l->kind);
	r |= put_bool(b, l->sokken);
	r |= put_bool(b, l->text_any);
	r |= put_bool(b, l->strict_close);
	r |= ibuf_add_n8(b, l->origin_mode);
	r |= ibuf_add_n64(b, l->max_sessions);
	r |= ibuf_add_n64(b, l->message_max);
	if (finish(s, b, r, -1) == -1)
		return -1;
	if (s->dialer && send_targets(s, l) == -1)
		return -1;
	if (s->relay &&
	    send_origins(s, OWNER_LOC, l->id, &l->origins) == -1)
		return -1;
	return send_cidrs(s, OWNER_LOC, l->id, &l->allow);
}

static int
send_server(struct sender *s, const struct conf_server *sv)
{
	const struct conf_loc	*l;
	struct ibuf		*b;
	int			 r;

	s->n.servers++;
	if ((b = chan_msg(s->ch, MSG_CONF_SERVER)) == NULL)
		return -1;
	r = ibuf_add_n32(b, sv->id);
	r |= ibuf_add_n32(b, sv->statidx);
	r |= put_str(b, sv->name);
	r |= ibuf_add_n64(b, sv->max_sessions);
	r |= ibuf_add_n64(b, sv->max_per_source);
	r |= ibuf_add_n32(b, sv->max_request_line);
	r |= ibuf_add_n32(b, sv->max_headers);
	r |= ibuf_add_n32(b, sv->max_header_bytes);
	r |= ibuf_add_n8(b, sv->origin_mode);
	if (finish(s, b, r, -1) == -1)
		return -1;
	if ((s->relay || s->control) &&
	    send_listens(s, OWNER_SERVER, sv->id, &sv->listens) == -1)
		return -1;
	if (s->control)
		return 0;
	if (s->relay &&
	    (send_cidrs(s, OWNER_SERVER, sv->id, &sv->trusted) == -1 ||
	    send_origins(s, OWNER_SERVER, sv->id, &sv->origins) == -1))
		return -1;
	TAILQ_FOREACH(l, &sv->locs, entry)
		if (send_loc(s, l) == -1)
			return -1;
	return 0;
}

static int
send_forward(struct sender *s, const struct conf_forward *f)
{
	struct ibuf	*b;
	int		 r;

	s->n.forwards++;
	if ((b = chan_msg(s->ch, MSG_CONF_FORWARD)) == NULL)
		return -1;
	r = ibuf_add_n32(b, f->id);
	r |= put_str(b, f->urltext);
	r |= put_bool(b, f->sokken);
	r |= put_bool(b, f->strict_close);
	r |= ibuf_add_n8(b, f->half_close);
	r |= ibuf_add_n64(b, f->half_close_wait);
	r |= ibuf_add_n64(b, f->message_max);
	if (finish(s, b, r, -1) == -1)
		return -1;
	if (s->dialer)
		return 0;
	return send_listens(s, OWNER_FORWARD, f->id, &f->listens);
}

/* What show config prints, as text. */
static int
send_show(struct sender *s, const struct conf *c)
{
	char	*text = NULL;
	size_t	 len;
	FILE	*f;
	int	 r;

	if ((f = open_memstream(&text, &len)) == NULL)
		fatal("open_memstream");
	conf_print(c, f);
	if (fclose(f) == EOF)
		fatal("open_memstream");
	r = send_text(s, MSG_CONF_SHOW, text, &s->n.show);
	free(text);
	return r;
}

static int
send_prepare(struct sender *s, const struct conf *c)
{
	struct ibuf	*b;
	int		 r;

	if ((b = chan_msg(s->ch, MSG_PREPARE)) == NULL)
		return -1;
	r = ibuf_add_n32(b, c->generation);
	r |= ibuf_add_n32(b, s->n.resolvers);
	r |= ibuf_add_n32(b, s->n.servers);
	r |= ibuf_add_n32(b, s->n.locs);
	r |= ibuf_add_n32(b, s->n.listens);
	r |= ibuf_add_n32(b, s->n.forwards);
	r |= ibuf_add_n32(b, s->n.items);
	r |= ibuf_add_n32(b, s->n.hosts);
	r |= ibuf_add_n32(b, s->n.show);
	return finish(s, b, r, -1);
}

int
conf_send(struct chan *ch, struct conf *c)
{
	struct sender			 s;
	const struct conf_server	*sv;
	const struct conf_forward	*f;

	memset(&s, 0, sizeof(s));
	s.ch = ch;
	s.relay = ch->peer == ROLE_RELAY;
	s.dialer = ch->peer == ROLE_DIALER;
	s.control = ch->peer == ROLE_CONTROL;

	if (send_begin(&s, c) == -1 || send_global(&s, c) == -1)
		return -1;
	if (s.dialer &&
	    (send_resolvers(&s, &c->resolvers, true) == -1 ||
	    send_resolvers(&s, &c->nameservers, false) == -1 ||
	    send_text(&s, MSG_CONF_TEXT, c->hosts_text, &s.n.hosts) == -1))
		return -1;
	TAILQ_FOREACH(sv, &c->servers, entry)
		if (send_server(&s, sv) == -1)
			return -1;
	TAILQ_FOREACH(f, &c->forwards, entry)
		if (send_forward(&s, f) == -1)
			return -1;
	if (s.control && send_show(&s, c) == -1)
		return -1;
	return send_prepare(&s, c);
}
