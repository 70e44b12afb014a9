/* SPDX-License-Identifier: ISC */
/* tunnelctl.c: ask a running tunneld one thing and show the answer. */
/* LINK: tunneld/sid.c lib/ctl.c lib/json.c lib/utf8.c lib/visstr.c */

#include "compat.h"

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <imsg.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "probe.h"
#include "tunnelctl.h"
#include "visstr.h"

#define ROOT_SOCKET	"/var/run/tunneld.sock"
#define CONNECT_SECONDS	10
#define CONNECT_AGAIN	50		/* ms, while the backlog is full */
#define REQUEST_ID	1

static const struct output *output = &output_text;
static bool json;
#ifdef TUNNELD_PROBES
static bool probing;
static unsigned probe;
#endif
static struct timespec deadline;

static void usage(void) __attribute__((__noreturn__));
static void fail(const char *, ...)
    __attribute__((__noreturn__, __format__(printf, 1, 2)));

static void
usage(void)
{
	fprintf(stderr,
	    "usage: tunnelctl [-j] [-s socket] command [argument ...]\n");
	exit(2);
}

/* The reason on stderr; with -j as an object on stdout, too. */
static void
fail(const char *fmt, ...)
{
	char text[CTL_TEXT_MAX + 256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	output_text.error(text);
	if (json)
		output_json.error(text);
	exit(1);
}

static void
set_deadline(unsigned seconds)
{
	if (clock_gettime(CLOCK_MONOTONIC, &deadline) == -1)
		fail("clock_gettime: %s", strerror(errno));
	deadline.tv_sec += seconds;
}

/* Milliseconds that are left; 0: it is over. */
static int
time_left(void)
{
	struct timespec now;
	long long ms;

	if (clock_gettime(CLOCK_MONOTONIC, &now) == -1)
		fail("clock_gettime: %s", strerror(errno));
	ms = (long long)(deadline.tv_sec - now.tv_sec) * 1000 +
	    (deadline.tv_nsec - now.tv_nsec) / 1000000;
	return ms > 0 ? (int)ms : 0;
}

/*
 * Where the daemon of who we are listens.  In /tmp anybody could stand in
 * for it: the directory must be ours.
 */
static void
default_path(char *buf, size_t size)
{
	const char *run = getenv("XDG_RUNTIME_DIR");
	struct stat st;
	char dir[64];
	int n;

	if (geteuid() == 0)
		n = snprintf(buf, size, "%s", ROOT_SOCKET);
	else if (run != NULL && *run == '/')
		n = snprintf(buf, size, "%s/tunneld.sock", run);
	else {
		snprintf(dir, sizeof(dir), "/tmp/tunneld-%u",
		    (unsigned)geteuid());
		if (lstat(dir, &st) == -1)
			fail("%s: %s (is tunneld running?)", dir,
			    strerror(errno));
		if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() ||
		    (st.st_mode & 022) != 0)
			fail("%s: not a directory that only you can write "
			    "to", dir);
		n = snprintf(buf, size, "%s/tunneld.sock", dir);
	}
	if (n < 0 || (size_t)n >= size)
		fail("path of the control socket is too long");
}

static int
connect_to(const char *path)
{
	struct sockaddr_un sun;
	int fd, error;

	memset(&sun, 0, sizeof(sun));
	sun.sun_family = AF_UNIX;
	if (strlcpy(sun.sun_path, path, sizeof(sun.sun_path)) >=
	    sizeof(sun.sun_path))
		fail("%s: path is too long", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		fail("socket: %s", strerror(errno));
	while (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1) {
		error = errno;
		if (error == EAGAIN && time_left() > 0)
			poll(NULL, 0, CONNECT_AGAIN);
		else if (error == EAGAIN)
			fail("%s: tunneld does not answer", path);
		else if (error != EINTR)
			fail("%s: %s%s", path, strerror(error),
			    error == ENOENT || error == ECONNREFUSED ?
			    " (is tunneld running?)" : "");
	}
	return fd;
}

#ifdef TUNNELD_PROBES
/* A probe has killed the one who was to tell us of it. */
static void
probe_killed(void)
{
#define NAME(fn, name) name,
	static const char *const names[] = { PROBES(NAME) };
#undef NAME
	struct ctl_row row;

	ctl_row_init(&row);
	ctl_row_str(&row, CTL_K_PROBE, names[probe]);
	ctl_row_str(&row, CTL_K_RESULT, "killed");
	exit(output->row(row.buf, row.len) == -1 ||
	    output->tail("") == -1);
}
#endif

/* Wait until something can be read, and write what is queued meanwhile. */
static void
wait_for(struct imsgbuf *ibuf, int fd)
{
	struct pollfd pfd;
	int ms;

	if ((ms = time_left()) == 0)
		fail("tunneld does not answer");
	pfd.fd = fd;
	pfd.events = POLLIN;
	if (imsgbuf_queuelen(ibuf) > 0)
		pfd.events |= POLLOUT;
	if (poll(&pfd, 1, ms) == -1) {
		if (errno == EINTR)
			return;
		fail("poll: %s", strerror(errno));
	}
	/* EPIPE: the reason may still be there to read. */
	if ((pfd.revents & POLLOUT) && imsgbuf_write(ibuf) == -1 &&
	    errno != EPIPE)
		fail("tunneld: %s", strerror(errno));
	if ((pfd.revents & (POLLIN | POLLHUP | POLLERR)) == 0)
		return;
	switch (imsgbuf_read(ibuf)) {
	case 0:
#ifdef TUNNELD_PROBES
		if (probing)
			probe_killed();
#endif
		fail("tunneld closed the connection");
	case -1:
		if (errno == ERANGE || errno == EBADMSG)
			fail("malformed answer: is this tunneld?");
		fail("tunneld: %s", strerror(errno));
	default:
		break;
	}
}

static void
next_message(struct imsgbuf *ibuf, int fd, struct imsg *m)
{
	int r;

	while ((r = imsgbuf_get(ibuf, m)) == 0)
		wait_for(ibuf, fd);
	if (r == -1)
		fail("malformed answer");
}

static void
payload(struct imsg *m, const uint8_t **p, size_t *len)
{
	struct ibuf b;

	*p = NULL;
	*len = 0;
	if (imsg_get_len(m) == 0)
		return;
	if (imsg_get_ibuf(m, &b) == -1)
		fail("malformed answer");
	*p = ibuf_data(&b);
	*len = ibuf_size(&b);
}

static void
text_of(struct imsg *m, char *text)
{
	const uint8_t *p;
	size_t len;

	payload(m, &p, &len);
	if (ctl_get_text(p, len, text) == -1)
		fail("malformed answer");
}

static void
hello(struct imsgbuf *ibuf, int fd)
{
	struct ctl_hello h = { CTL_VERSION, "tunnelctl " VERSION }, peer;
	uint8_t buf[CTL_MSG_MAX];
	char text[CTL_TEXT_MAX + 1];
	const uint8_t *p;
	struct imsg m;
	size_t len;

	if (imsg_compose(ibuf, CTL_HELLO, 0, 0, -1, buf,
	    ctl_put_hello(buf, &h)) == -1)
		fail("imsg_compose: %s", strerror(errno));
	next_message(ibuf, fd, &m);
	payload(&m, &p, &len);
	if (imsg_get_type(&m) != CTL_HELLO ||
	    ctl_get_hello(p, len, &peer) == -1)
		fail("malformed answer: is this tunneld?");
	imsg_free(&m);
	if (peer.version == CTL_VERSION)
		return;
	/* Its own words tell more than we know. */
	next_message(ibuf, fd, &m);
	if (imsg_get_type(&m) != CTL_ERROR)
		fail("malformed answer");
	text_of(&m, text);
	fail("%s (%s here, %s there)", text, h.program, peer.program);
}

/* Rows until END or ERROR.  Returns the exit status. */
static int
answer(struct imsgbuf *ibuf, int fd)
{
	char text[CTL_TEXT_MAX + 1], line[VISSTR_SIZE(CTL_TEXT_MAX)];
	const uint8_t *p;
	struct imsg m;
	size_t len;

	for (;;) {
		next_message(ibuf, fd, &m);
		switch (imsg_get_type(&m)) {
		case CTL_ROW:
			payload(&m, &p, &len);
			if (output->row(p, len) == -1)
				fail("malformed answer");
			break;
		case CTL_NOTE:
			text_of(&m, text);
			visstr(line, sizeof(line), text, strlen(text));
			fprintf(stderr, "tunnelctl: %s\n", line);
			break;
		case CTL_ERROR:
			text_of(&m, text);
			fail("%s", text);
		case CTL_END:
			text_of(&m, text);
			imsg_free(&m);
			if (output->tail(text) == -1)
				fail("standard output: %s", strerror(errno));
			return 0;
		default:
			fail("malformed answer");
		}
		imsg_free(&m);
	}
}

int
main(int argc, char *argv[])
{
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	const char *sockname = NULL;
	uint8_t buf[CTL_MSG_MAX];
	struct imsgbuf ibuf;
	struct command cmd;
	int ch, fd, status;

	while ((ch = getopt(argc, argv, "js:")) != -1) {
		switch (ch) {
		case 'j':
			json = true;
			output = &output_json;
			break;
		case 's':
			sockname = optarg;
			break;
		default:
			usage();
		}
	}
	argc -= optind;
	argv += optind;
	if (parse_command(argc, argv, &cmd, stderr) == -1)
		usage();

	signal(SIGPIPE, SIG_IGN);
	set_deadline(CONNECT_SECONDS);
	if (sockname == NULL) {
		default_path(path, sizeof(path));
		sockname = path;
	}
	sandbox_begin(sockname);
	fd = connect_to(sockname);
	sandbox_connected();
	if (imsgbuf_init(&ibuf, fd) == -1 ||
	    imsgbuf_set_maxsize(&ibuf, CTL_MSG_MAX) == -1)
		fail("imsgbuf_init: %s", strerror(errno));
	hello(&ibuf, fd);
	set_deadline(cmd.deadline);
	if (imsg_compose(&ibuf, CTL_REQUEST, REQUEST_ID, 0, -1, buf,
	    ctl_put_request(buf, &cmd.req)) == -1)
		fail("imsg_compose: %s", strerror(errno));
#ifdef TUNNELD_PROBES
	probing = cmd.req.command == CTL_PROBE;
	probe = PROBE_ARG_PROBE(cmd.req.arg);
#endif
	output->head(cmd.req.command);
	status = answer(&ibuf, fd);
	imsgbuf_clear(&ibuf);
	close(fd);
	return status;
}
