/* SPDX-License-Identifier: ISC */
/* xfer_fuzz.c: a configuration as a child is sent it, message by message. */
/* LINK: regress/fuzz/replay.c tunneld/conf.c tunneld/conf_recv.c tunneld/chan.c tunneld/log.c tunneld/logfmt.c tunneld/util.c tunneld/stats.c lib/addr.c lib/url.c lib/json.c lib/utf8.c lib/visstr.c compat/imsg.c compat/imsg_buffer.c compat/shm.c compat/fdstat.c */

#include "compat.h"

#include <sys/types.h>

#include <fcntl.h>
#include <unistd.h>

#include "codecs.h"
#include "conf_xfer.h"
#include "imsg_make.h"
#include "log.h"
#include "msg.h"

/*
 * An input is a sequence of messages: kind, with FD when a descriptor comes
 * with it; length, 16 bits in network order; so many bytes.  Kinds name a
 * type by its place: append only.
 */
#define FD	0x80

static const uint32_t	 kinds[] = {
	MSG_CONF_BEGIN, MSG_CONF_GLOBAL, MSG_CONF_TEXT, MSG_CONF_RESOLVER,
	MSG_CONF_SERVER, MSG_CONF_LISTEN, MSG_CONF_LOC, MSG_CONF_TARGET,
	MSG_CONF_CIDR, MSG_CONF_ORIGIN, MSG_CONF_FORWARD, MSG_CONF_SHOW,
	MSG_PREPARE
};

static const enum codec	 decodes[MSG_MAX] = {
#define ROW(type, from, to) [MSG_##type] = DECODES_##type,
	MESSAGES(ROW)
#undef ROW
};

/* Every message that is decoded by conf_receive() is a kind. */
static void
check_kinds(void)
{
	uint32_t	 type;
	size_t		 i;

	for (type = MSG_NONE + 1; type < MSG_MAX; type++) {
		for (i = 0; i < nitems(kinds); i++)
			if (kinds[i] == type)
				break;
		CHECK((decodes[type] == CODEC_conf) == (i < nitems(kinds)));
		CHECK(conf_is_xfer(type) == (i < nitems(kinds)));
	}
}

static int
lowest(void)
{
	int	 fd = dup(STDERR_FILENO);

	CHECK(fd != -1);
	close(fd);
	return (fd);
}

static void
check_list(const struct conf_cidrs *list)
{
	struct addr	 a;

	CHECK(addr_parse("192.0.2.1", 1, &a) == 0);
	(void)conf_cidrs_match(list, &a);
	CHECK(addr_parse("2001:db8::1", 1, &a) == 0);
	(void)conf_cidrs_match(list, &a);
}

/* Whatever was taken can be used by who took it. */
static void
check_use(const struct conf *c)
{
	const struct conf_server	*s;
	const struct conf_loc		*l;
	const struct conf_forward	*f;
	const struct conf_target	*t;
	char				 text[400];

	TAILQ_FOREACH(s, &c->servers, entry) {
		CHECK(conf_server_by_id(c, s->id) == s);
		CHECK(s->max_headers <= 128 && s->name[0] != '\0');
		check_list(&s->trusted);
		TAILQ_FOREACH(l, &s->locs, entry) {
			CHECK(conf_loc_by_id(c, l->id) == l);
			CHECK(l->server == s && l->pattern[0] == '/');
			check_list(&l->allow);
			TAILQ_FOREACH(t, &l->targets, entry) {
				conf_target_format(t, text, sizeof(text));
				CHECK(text[0] != '\0');
			}
		}
		(void)conf_loc_match(s, "/a/b");
	}
	TAILQ_FOREACH(f, &c->forwards, entry) {
		CHECK(conf_forward_by_id(c, f->id) == f);
		CHECK(f->url.host[0] != '\0' && f->url.path[0] == '/');
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf	*c = NULL;
	struct imsg	 m;
	size_t		 n;
	uint32_t	 type;
	int		 before = lowest(), r = 0;
	bool		 fd;

	check_kinds();
	while (size >= 3 && r == 0) {
		type = kinds[(data[0] & ~FD) % nitems(kinds)];
		fd = data[0] & FD;
		n = (size_t)(data[1] << 8 | data[2]);
		data += 3;
		size -= 3;
		if (n > size)
			n = size;
		if (n > CHAN_MAXSIZE - IMSG_HEADER_SIZE)
			break;
		imsg_make(&m, type, data, n, fd ?
		    fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0) : -1);
		r = conf_receive(&c, &m);
		imsg_free(&m);
		CHECK((c == NULL) == (r == -1));
		data += n;
		size -= n;
		/* Also in the middle: the next message may never come. */
		if (c != NULL)
			check_use(c);
	}
	conf_unref(c);
	CHECK(lowest() == before);
	return (0);
}
