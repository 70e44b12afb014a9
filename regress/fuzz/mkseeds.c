/* SPDX-License-Identifier: ISC */
/* mkseeds.c: writes the seeds that our own encoders make: messages, records. */
/* LINK: parse.y tunneld/lex.c tunneld/lex_input.c tunneld/conf.c tunneld/conf_build.c tunneld/conf_blocks.c tunneld/conf_value.c tunneld/conf_print.c tunneld/conf_diff.c tunneld/conf_xfer.c tunneld/conf_recv.c tunneld/msg.c tunneld/msg_session.c tunneld/chan.c tunneld/log.c tunneld/logfmt.c tunneld/util.c tunneld/stats.c */

/*
 * usage: mkseeds DIR CONF, DIR being regress/fuzz/seeds and CONF a
 * configuration with a bit of everything.  To be run again when a message or
 * record changes, and its new form committed.
 */
#include "compat.h"

#include <sys/types.h>
#include <sys/socket.h>

#include <fcntl.h>
#include <unistd.h>

#include "codecs.h"
#include "conf_diff.h"
#include "conf_xfer.h"
#include "ctl.h"
#include "fuzz.h"
#include "log.h"
#include "msg.h"

static const char	*dir;

static FILE *
seed(const char *target, const char *name)
{
	char	 path[1024];
	FILE	*f;

	(void)snprintf(path, sizeof(path), "%s/%s/%s", dir, target, name);
	CHECK((f = fopen(path, "wb")) != NULL);
	return (f);
}

static void
save(const char *target, const char *name, int first, const void *p, size_t n)
{
	FILE	*f = seed(target, name);

	if (first != -1)
		fputc(first, f);
	fwrite(p, 1, n, f);
	CHECK(fclose(f) == 0);
}

/* ------------------------------------------------------------- messages */

/* A message as it is, cut by a byte, and with one too many. */
static void
three(const char *name, enum codec codec, struct ibuf *b)
{
	char	 what[64];

	save("msg", name, '@' + (int)codec, ibuf_data(b), ibuf_size(b));
	(void)snprintf(what, sizeof(what), "%s-cut", name);
	save("msg", what, '@' + (int)codec, ibuf_data(b), ibuf_size(b) - 1);
	(void)snprintf(what, sizeof(what), "%s-long", name);
	CHECK(ibuf_add_n8(b, 1) == 0);
	save("msg", what, '@' + (int)codec, ibuf_data(b), ibuf_size(b));
}

#define MESSAGE(name, ...) do {						\
	static const struct msg_##name v = { __VA_ARGS__ };		\
	struct ibuf	*b = ibuf_dynamic(64, CHAN_MAXSIZE);		\
									\
	CHECK(b != NULL && msg_##name##_put(b, &v) == 0);		\
	three(#name, CODEC_##name, b);					\
	ibuf_free(b);							\
} while (0)

static void
messages(void)
{
	save("msg", "empty", '@' + CODEC_empty, "", 0);
	save("msg", "num", '@' + CODEC_num, "\0\0\0\0\0\0\0\1", 8);
	MESSAGE(hello, ROLE_RELAY, 1, 2, 3, true, true, 4, 5, "/var/empty", 6,
	    16);
	MESSAGE(peer, ROLE_DIALER, 0, 1);
	MESSAGE(result, 7, true, "done");
	MESSAGE(sandbox, true, true, 3, 1000, 1024);
	MESSAGE(worker, ROLE_RELAY, 1, 2, 4711, WORKER_READY, 3, false,
	    { true, false, 0, 0, 1024 });
	MESSAGE(open, 9, 1, 2, 0, SESSION_GATEWAY, { .len = 0 }, "name:22",
	    "ticket", 6);
	MESSAGE(answer, 9, REASON_CONN_REFUSED, 111, "127.0.0.1:22");
	MESSAGE(announce, { 9, 1, 2, 0, SESSION_GATEWAY, { .len = 0 },
	    "name:22", "", 0 }, "127.0.0.1:22", true);
	MESSAGE(body, 5, BODY_METRICS);
	MESSAGE(chunk, 5, 200, true, "{}\n", 3);
	MESSAGE(show, 5, 9, 50);
	MESSAGE(end, 5, true);
	MESSAGE(session, .request = 5, .id = 9, .type = SESSION_FORWARD,
	    .state = SS_OPEN, .server = "main", .location = "/ws",
	    .listener = "127.0.0.1:80", .target = "name:22",
	    .subprotocol = "binary", .xff = "192.0.2.1", .started = 1,
	    .duration = 2, .idle = 3, .in = 4, .out = 5, .generation = 6);
	MESSAGE(kill, 5, 9);
}

static void
records(void)
{
	static struct logrec	 r;
	struct addr		 a;

	log_init(ROLE_RELAY, 1);
	CHECK(addr_parse("2001:db8::1", 443, &a) == 0);
	log_begin(&r, LOG_L_BRIEF, EV_LOG_CLOSE);
	log_str(&r, LK_SESSION, "0.1.2");
	log_addr(&r, LK_CLIENT, &a);
	log_num(&r, LK_BYTES_IN, 12345678901234ULL);
	log_num(&r, LK_DURATION, 1234567);
	log_str(&r, LK_REASON, "peer \"close\"\n\033[2J\303\244\377");
	save("log", "close", -1, r.buf, r.len);
	save("log", "close-cut", -1, r.buf, r.len - 1);
	save("msg", "log", '@' + CODEC_log, r.buf, r.len);
	log_begin(&r, LOG_L_ERROR, EV_LOG_NOTE);
	log_str(&r, LK_MESSAGE, "something = wrong");
	save("log", "note", -1, r.buf, r.len);
	log_begin(&r, LOG_L_WARN, EV_LOG_STOP);
	save("log", "stop", -1, r.buf, r.len);
}

static void
control(void)
{
	static struct ctl_row	 r;

	ctl_row_init(&r);
	ctl_row_str(&r, CTL_K_ID, "0.1.2");
	ctl_row_null(&r, CTL_K_USER);
	ctl_row_bool(&r, CTL_K_SECCOMP, true);
	ctl_row_u64(&r, CTL_K_BYTES_IN, 4711);
	ctl_row_num(&r, CTL_K_IDLE, CTL_DURATION, 1500000);
	ctl_row_num(&r, CTL_K_STARTED, CTL_TIME, 1700000000000000ULL);
	save("ctl", "row", '0', r.buf, r.len);
	save("ctl", "row-cut", '0', r.buf, r.len - 1);
	ctl_row_init(&r);
	ctl_row_num(&r, CTL_K_SECCOMP, CTL_BOOL, 2);
	save("ctl", "row-bool", '0', r.buf, r.len);
	ctl_row_init(&r);
	ctl_row_str(&r, CTL_K_ID, "0.1.2");
	save("ctl", "row-string-cut", '0', r.buf, r.len - 1);
	save("ctl", "row-string-short", '0', r.buf, 4);
	save("ctl", "hello", '1', "\0\0\0\1tunnelctl 1.0", 17);
	save("ctl", "request", '2', "\0\6\0\0\0\0\0\0\0\1", 10);
	save("ctl", "text", '3', "no such session", 15);
}

/* -------------------------------------------------------- configuration */

static void
on_gone(struct chan *ch, const char *why)
{
	CHECK(0);
}

/* As xfer_fuzz.c reads them: its kinds are these types in their order. */
static void
on_message(struct chan *ch, struct imsg *m)
{
	FILE		*f = ch->arg;
	struct ibuf	 b;
	int		 fd = imsg_get_fd(m);

	CHECK(imsg_get_ibuf(m, &b) == 0);
	fputc((int)(imsg_get_type(m) - MSG_CONF_BEGIN) | (fd != -1 ? 0x80 : 0),
	    f);
	fputc((int)(ibuf_size(&b) >> 8), f);
	fputc((int)(ibuf_size(&b) & 0xff), f);
	fwrite(ibuf_data(&b), 1, ibuf_size(&b), f);
	if (fd != -1)
		close(fd);
	if (imsg_get_type(m) == MSG_PREPARE)
		event_loopexit(NULL);
}

static void
transfer(struct conf *c, enum role role, const char *name)
{
	struct chan	*a, *b;
	FILE		*f = seed("xfer", name);
	int		 sv[2];

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == 0);
	a = chan_new(sv[0], role, 0, 1, on_message, on_gone, NULL);
	b = chan_new(sv[1], ROLE_PARENT, 0, 0, on_message, on_gone, f);
	CHECK(conf_send(a, c) == 0);
	CHECK(event_dispatch() == 0);
	chan_free(a);
	chan_free(b);
	CHECK(fclose(f) == 0);
}

static void
configuration(const char *path)
{
	struct conf		*c = conf_parse(path, NULL, NULL, stderr);
	struct conf_server	*s;
	struct conf_forward	*f;
	struct conf_listen	*l;
	char			 err[256];

	CHECK(c != NULL);
	CHECK(conf_adopt(c, NULL, err, sizeof(err)) == 0);
	CHECK((c->hosts_text = strdup("127.0.0.1 localhost\n")) != NULL);
	TAILQ_FOREACH(s, &c->servers, entry)
		TAILQ_FOREACH(l, &s->listens, entry)
			l->fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	TAILQ_FOREACH(f, &c->forwards, entry)
		TAILQ_FOREACH(l, &f->listens, entry)
			l->fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	transfer(c, ROLE_RELAY, "relay");
	transfer(c, ROLE_DIALER, "dialer");
	transfer(c, ROLE_CONTROL, "control");
	conf_unref(c);
}

int
main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: mkseeds DIR CONF\n");
		return (2);
	}
	dir = argv[1];
	CHECK(event_init() != NULL);
	messages();
	records();
	control();
	configuration(argv[2]);
	return (0);
}
