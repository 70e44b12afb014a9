/* SPDX-License-Identifier: ISC */

/*
 * control_peer.h: the control role in a process of its own, between a parent,
 * two relays and clients that we play.  Included by its tests, once each.
 */
#ifndef CONTROL_PEER_H
#define CONTROL_PEER_H

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <errno.h>
#include <event.h>
#include <fcntl.h>
#include <imsg.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "child.h"
#include "conf.h"
#include "ctl.h"
#include "log.h"
#include "msg.h"
#include "stats.h"

/* Not every test needs everything that is here. */
#pragma GCC diagnostic ignored "-Wunused-function"

#define NRELAYS		2
#define WAIT_MS		5000

/*
 * The process under test: control.c and its files with a child.c, and a
 * configuration, of our own.
 */
static struct conf conf;
static struct conf_server server;
static struct conf_listen listens[2];
static struct msg_hello hello;
static struct chan *parent_chan, *relay_chan[NRELAYS];

struct conf *
child_conf(void)
{
	return &conf;
}

struct conf *
conf_ref(struct conf *c)
{
	c->refs++;
	return c;
}

void
conf_unref(struct conf *c)
{
	c->refs--;
}

const struct msg_hello *
child_hello(void)
{
	return &hello;
}

struct chan *
child_parent(void)
{
	return parent_chan;
}

struct chan *
child_peer(enum role role, unsigned slot)
{
	return role == ROLE_RELAY && slot < NRELAYS ? relay_chan[slot] : NULL;
}

void
child_ready(void)
{
	chan_signal(parent_chan, MSG_READY);
}

void
child_exit(int status)
{
	exit(status);
}

static void
peer_message(struct chan *c, struct imsg *m)
{
	uint64_t n;

	switch (imsg_get_type(m)) {
	case MSG_DRAIN:
		control_ops.drain();
		break;
	case MSG_STOP:
		control_ops.stop();
		break;
	case MSG_ABORT:			/* here: the size for rotation */
		if (msg_num_get(m, &n) == -1)
			_exit(3);
		conf.log_dest = LOG_FILE;
		conf.log_size = n;
		control_ops.commit(&conf, &conf);
		break;
	default:
		control_ops.message(c, m);
	}
}

static void
peer_gone(struct chan *c, const char *why)
{
	if (c == parent_chan)
		_exit(0);
	relay_chan[c->slot] = NULL;
	control_ops.peer_down(c);
	chan_free(c);
}

static void
make_conf(void)
{
	TAILQ_INIT(&conf.servers);
	TAILQ_INIT(&conf.forwards);
	TAILQ_INIT(&server.listens);
	conf.refs = 1;
	conf.generation = 7;
	conf.control_mode = 0600;
	conf.log_size = conf.log_age = OFF;
	conf.show_text = strdup("# a\nserver \"www\" {\n}\n");
	server.name = strdup("w\"w");
	server.statidx = 1;
	server.max_sessions = 10;
	addr_parse("127.0.0.1", 0, &listens[0].addr);
	addr_parse("127.0.0.1", 8080, &listens[0].bound);
	listens[1].path = strdup("/tmp/x.sock");
	TAILQ_INSERT_TAIL(&server.listens, &listens[0], entry);
	TAILQ_INSERT_TAIL(&server.listens, &listens[1], entry);
	TAILQ_INSERT_TAIL(&conf.servers, &server, entry);
}

static void
run_control(int parent_fd, const int *relays)
{
	unsigned i;

	event_init();
	make_conf();
	hello.role = ROLE_CONTROL;
	hello.started = mono_usec() - 90000000;
	log_init(ROLE_CONTROL, 0);
	control_ops.init(&hello);
	parent_chan = chan_new(parent_fd, ROLE_PARENT, 0, 0, peer_message,
	    peer_gone, NULL);
	for (i = 0; i < NRELAYS; i++)
		relay_chan[i] = chan_new(relays[i], ROLE_RELAY, i, 5 + i,
		    peer_message, peer_gone, NULL);
	control_ops.commit(&conf, NULL);
	event_dispatch();
	_exit(2);
}

/*
 * Our side.
 */
struct end {
	int		fd;
	struct imsgbuf	ibuf;
};

static struct end parent, relay[NRELAYS];
static pid_t pid;
static char dir[] = "/tmp/control_test.XXXXXX";
static char sockname[64], logname[64];

static void parent_sync(void);
static struct stats_page *page[NRELAYS];

static void
end_init(struct end *e, int fd)
{
	e->fd = fd;
	assert_int_equal(imsgbuf_init(&e->ibuf, fd), 0);
	imsgbuf_allow_fdpass(&e->ibuf);
}

static void
end_free(struct end *e)
{
	if (e->fd == -1)
		return;
	imsgbuf_clear(&e->ibuf);
	close(e->fd);
	e->fd = -1;
}

/* The next message; 0 at EOF, -1 when none comes in time. */
static int
get_in(struct end *e, struct imsg *m, int ms)
{
	struct pollfd pfd = { e->fd, POLLIN, 0 };
	int r;

	while ((r = imsgbuf_get(&e->ibuf, m)) == 0) {
		if (poll(&pfd, 1, ms) != 1)
			return -1;
		r = imsgbuf_read(&e->ibuf);
		if (r == 0 || (r == -1 && errno == ECONNRESET))
			return 0;
		assert_int_equal(r, 1);
	}
	assert_int_equal(r, 1);
	return 1;
}

static void
expect(struct end *e, uint32_t type, struct imsg *m)
{
	assert_int_equal(get_in(e, m, WAIT_MS), 1);
	assert_int_equal(imsg_get_type(m), type);
}

static void
send_msg(struct end *e, uint32_t type, struct ibuf *b, int fd)
{
	struct ibuf *m;

	m = imsg_create(&e->ibuf, type, 0, 0, 0);
	assert_non_null(m);
	if (b != NULL)
		assert_int_equal(imsg_add(m, ibuf_data(b), ibuf_size(b)),
		    (int)ibuf_size(b));
	ibuf_free(b);
	if (fd != -1)
		ibuf_fd_set(m, fd);
	imsg_close(&e->ibuf, m);
	assert_int_equal(imsgbuf_flush(&e->ibuf), 0);
}

static struct ibuf *
buffer(void)
{
	struct ibuf *b = ibuf_dynamic(64, 16384);

	assert_non_null(b);
	return b;
}

static void
send_num(struct end *e, uint32_t type, uint64_t n, int fd)
{
	struct ibuf *b = buffer();

	assert_int_equal(msg_num_put(b, n), 0);
	send_msg(e, type, b, fd);
}

static void
send_page(unsigned slot)
{
	struct msg_peer who = { ROLE_RELAY, slot, 5 + slot };
	struct ibuf *b = buffer();
	int fd;

	assert_true((fd = stats_create()) >= 0);
	page[slot] = mmap(NULL, sizeof(struct stats_page),
	    PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(page[slot] != MAP_FAILED);
	assert_int_equal(msg_peer_put(b, &who), 0);
	send_msg(&parent, MSG_STATS_OF, b, fd);
}

static void
send_worker(enum role role, unsigned slot, enum worker_state state,
    unsigned restarts)
{
	struct msg_worker w;
	struct ibuf *b = buffer();

	memset(&w, 0, sizeof(w));
	w.role = role;
	w.slot = slot;
	w.pid = 100 + slot;
	w.state = state;
	w.restarts = restarts;
	w.sandbox.seccomp = true;
	w.sandbox.landlock = 7;
	assert_int_equal(msg_worker_put(b, &w), 0);
	send_msg(&parent, MSG_WORKER, b, -1);
}

static int
open_log(int flags)
{
	int fd = open(logname, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC |
	    flags, 0600);

	assert_true(fd >= 0);
	return fd;
}

static void
listen_at(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	strlcpy(sun.sun_path, sockname, sizeof(sun.sun_path));
	unlink(sockname);
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	assert_int_equal(listen(fd, 16), 0);
	send_num(&parent, MSG_CONTROL_FD, getgid(), fd);
}

static int
setup(void **state)
{
	int pair[1 + NRELAYS][2], theirs[NRELAYS];
	struct imsg m;
	unsigned i;

	signal(SIGPIPE, SIG_IGN);
	snprintf(sockname, sizeof(sockname), "%s/sock", dir);
	snprintf(logname, sizeof(logname), "%s/log", dir);
	unlink(logname);
	for (i = 0; i < 1 + NRELAYS; i++)
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM |
		    SOCK_CLOEXEC, 0, pair[i]), 0);
	assert_true((pid = fork()) != -1);
	if (pid == 0) {
		for (i = 0; i < NRELAYS; i++) {
			theirs[i] = pair[1 + i][1];
			close(pair[1 + i][0]);
		}
		close(pair[0][0]);
		run_control(pair[0][1], theirs);
	}
	end_init(&parent, pair[0][0]);
	close(pair[0][1]);
	for (i = 0; i < NRELAYS; i++) {
		end_init(&relay[i], pair[1 + i][0]);
		close(pair[1 + i][1]);
	}
	expect(&parent, MSG_READY, &m);
	imsg_free(&m);
	send_num(&parent, MSG_LOG_FD, 0, open_log(0));
	listen_at();
	for (i = 0; i < NRELAYS; i++) {
		send_worker(ROLE_RELAY, i, WORKER_READY, 0);
		send_page(i);
	}
	send_worker(ROLE_PARENT, 0, WORKER_READY, 0);
	parent_sync();
	return 0;
}

static int
teardown(void **state)
{
	int status;
	unsigned i;

	end_free(&parent);
	for (i = 0; i < NRELAYS; i++) {
		end_free(&relay[i]);
		munmap(page[i], sizeof(*page[i]));
	}
	if (waitpid(pid, &status, 0) != pid || status != 0) {
		print_error("control: status %x\n", status);
		return -1;
	}
	return 0;
}

/* A client: connected, greeted unless raw. */
static void
client_open(struct end *e)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	strlcpy(sun.sun_path, sockname, sizeof(sun.sun_path));
	assert_int_equal(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	e->fd = fd;
	assert_int_equal(imsgbuf_init(&e->ibuf, fd), 0);
}

static void
client_send(struct end *e, uint32_t type, uint32_t id, const void *p,
    size_t len)
{
	assert_int_equal(imsg_compose(&e->ibuf, type, id, 0, -1, p, len), 1);
	assert_int_equal(imsgbuf_flush(&e->ibuf), 0);
}

static void
client_hello(struct end *e, uint32_t version)
{
	struct ctl_hello h = { version, "test" };
	uint8_t buf[CTL_MSG_MAX];
	struct imsg m;

	client_send(e, CTL_HELLO, 0, buf, ctl_put_hello(buf, &h));
	expect(e, CTL_HELLO, &m);
	imsg_free(&m);
}

static void
client(struct end *e)
{
	client_open(e);
	client_hello(e, CTL_VERSION);
}

static void
request(struct end *e, enum ctl_command command, uint64_t arg)
{
	struct ctl_request r = { command, arg };
	uint8_t buf[CTL_MSG_MAX];

	client_send(e, CTL_REQUEST, 9, buf, ctl_put_request(buf, &r));
}

/* A message with a text; it is copied into text. */
static void
expect_text(struct end *e, uint32_t type, char *text)
{
	struct imsg m;
	struct ibuf b;

	expect(e, type, &m);
	text[0] = '\0';
	if (imsg_get_len(&m) > 0) {
		assert_int_equal(imsg_get_ibuf(&m, &b), 0);
		assert_int_equal(ctl_get_text(ibuf_data(&b), ibuf_size(&b),
		    text), 0);
	}
	imsg_free(&m);
}

/* The value of key in a row; type CTL_VALUE_MAX: not there. */
static struct ctl_field
row_field(struct imsg *m, enum ctl_key key)
{
	static char copy[CTL_MSG_MAX];
	struct ctl_field f, found = { .type = CTL_VALUE_MAX };
	const uint8_t *p = m->data;	/* may be read again and again */
	size_t len = m->hdr.len - IMSG_HEADER_SIZE;
	int r;

	while ((r = ctl_row_next(&p, &len, &f)) == 1) {
		if (f.key != key)
			continue;
		found = f;
		if (f.type == CTL_STRING) {
			memcpy(copy, f.str, f.len);
			copy[f.len] = '\0';
			found.str = copy;
		}
	}
	assert_int_equal(r, 0);
	return found;
}

static void
send_result(struct end *e, uint32_t type, uint64_t id, bool ok,
    const char *text)
{
	struct msg_result r = { .id = id, .ok = ok };
	struct ibuf *b = buffer();

	strlcpy(r.text, text, sizeof(r.text));
	assert_int_equal(msg_result_put(b, &r), 0);
	send_msg(e, type, b, -1);
}

/* Everything that we sent as parent so far has been seen. */
static void
parent_sync(void)
{
	char text[CTL_TEXT_MAX + 1];
	uint64_t id;
	struct end c;
	struct imsg m;

	client(&c);
	request(&c, CTL_RELOAD, 0);
	expect(&parent, MSG_RELOAD, &m);
	assert_int_equal(msg_num_get(&m, &id), 0);
	imsg_free(&m);
	send_result(&parent, MSG_RELOAD_RESULT, id, true, "");
	expect_text(&c, CTL_END, text);
	end_free(&c);
}

static void
log_from(struct end *e, enum role role, unsigned slot, const char *text)
{
	struct logrec r;
	struct ibuf *b = buffer();

	log_begin(&r, LOG_L_BRIEF, EV_LOG_NOTE);
	logrec_identify(&r, role, slot);
	log_str(&r, LK_MESSAGE, text);
	assert_int_equal(ibuf_add(b, r.buf, r.len), 0);
	send_msg(e, MSG_LOG, b, -1);
}

/* Does the log come to hold this text?  The whole log in *content. */
static bool
log_has(const char *text, char *content, size_t size)
{
	ssize_t n;
	int fd, i;

	for (i = 0; i < WAIT_MS / 10; i++) {
		assert_true((fd = open(logname, O_RDONLY)) >= 0);
		n = read(fd, content, size - 1);
		close(fd);
		content[n > 0 ? n : 0] = '\0';
		if (strstr(content, text) != NULL)
			return true;
		poll(NULL, 0, 10);
	}
	return false;
}

static uint64_t
metric(const char *line)
{
	static char body[65536];
	struct msg_body q = { 3, BODY_METRICS };
	struct msg_chunk c;
	struct ibuf *b = buffer();
	struct imsg m;
	size_t len = 0;
	char want[128], *p;

	assert_int_equal(msg_body_put(b, &q), 0);
	send_msg(&relay[0], MSG_BODY, b, -1);
	do {
		expect(&relay[0], MSG_BODY_REPLY, &m);
		assert_int_equal(msg_chunk_get(&m, &c), 0);
		assert_int_equal(c.id, 3);
		assert_int_equal(c.status, 200);
		assert_true(len + c.len < sizeof(body));
		memcpy(body + len, c.data, c.len);
		len += c.len;
		body[len] = '\0';
		imsg_free(&m);
	} while (!c.last);
	snprintf(want, sizeof(want), "\n%s", line);
	if ((p = strstr(body, want)) == NULL) {
		print_error("no %s in %s", line, body);
		fail();
	}
	return strtoull(p + strlen(want), NULL, 10);
}

static int
group_setup(void **state)
{
	return mkdtemp(dir) == NULL ? -1 : 0;
}

static int
group_teardown(void **state)
{
	unlink(sockname);
	unlink(logname);
	return rmdir(dir);
}

#define T(fn)	cmocka_unit_test_setup_teardown(fn, setup, teardown)

#endif /* CONTROL_PEER_H */
