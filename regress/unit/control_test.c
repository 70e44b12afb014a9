/* SPDX-License-Identifier: ISC */
/* control_test.c: the control role: logs, rotation, health, metrics. */
/* LINK: tunneld/control.c tunneld/board.c tunneld/health.c tunneld/metrics.c tunneld/logger.c tunneld/peercred.c tunneld/ctl_client.c tunneld/ctl_show.c tunneld/chan.c tunneld/msg.c tunneld/msg_session.c tunneld/log.c tunneld/logfmt.c tunneld/util.c tunneld/sid.c tunneld/stats.c tunneld/reason.c lib/ctl.c lib/addr.c lib/json.c lib/utf8.c lib/visstr.c compat/imsg.c compat/imsg_buffer.c compat/shm.c compat/fdstat.c */

#include "compat.h"

#include "control_peer.h"

static void
test_log(void **state)
{
	static char content[65536];
	struct ibuf *b = buffer();

	/* The channel counts, not what the record says. */
	log_from(&relay[1], ROLE_PARENT, 0, "forged\nline");
	assert_true(log_has("forged", content, sizeof(content)));
	assert_non_null(strstr(content,
	    "Z relay[1] note message=forged\\nline\n"));
	assert_int_equal(ibuf_add(b, "garbage", 7), 0);
	send_msg(&relay[0], MSG_LOG, b, -1);
	log_from(&relay[0], ROLE_RELAY, 0, "after");
	assert_true(log_has("relay[0] note message=after\n", content,
	    sizeof(content)));
	assert_null(strstr(content, "garbage"));
}

static void
test_full_disk(void **state)
{
	static char content[65536];
	int fd, i;

	assert_true((fd = open("/dev/full", O_WRONLY | O_CLOEXEC)) >= 0);
	send_num(&parent, MSG_LOG_FD, 0, fd);
	parent_sync();
	for (i = 0; i < 5; i++)
		log_from(&relay[0], ROLE_RELAY, 0, "lost");
	for (i = 0; i < 100 && metric("tunneld_log_dropped_total ") < 5; i++)
		poll(NULL, 0, 10);
	assert_int_equal(metric("tunneld_log_dropped_total "), 5);
	send_num(&parent, MSG_LOG_FD, 0, open_log(0));
	parent_sync();
	log_from(&relay[0], ROLE_RELAY, 0, "again");
	assert_true(log_has("control[0] log-dropped level=warn count=5\n",
	    content, sizeof(content)));
	assert_non_null(strstr(content, "message=again\n"));
	assert_null(strstr(content, "lost"));
}

/* A pipe nobody reads: bounded, and everything else goes on. */
static void
test_slow_log(void **state)
{
	int fds[2], i;
	char text[1000];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	send_num(&parent, MSG_LOG_FD, 0, fds[1]);
	parent_sync();
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (i = 0; i < 3000; i++)
		log_from(&relay[0], ROLE_RELAY, 0, text);
	assert_true(metric("tunneld_log_dropped_total ") > 1000);
	close(fds[0]);
}

static void
syslog_line(int fd, char *buf, size_t size)
{
	struct pollfd pfd = { fd, POLLIN, 0 };
	ssize_t n;

	assert_int_equal(poll(&pfd, 1, WAIT_MS), 1);
	assert_true((n = recv(fd, buf, size - 1, 0)) > 0);
	buf[n] = '\0';
}

/* Syslog goes away: lines wait, a new socket is asked for. */
static void
test_syslog(void **state)
{
	int pair[2], i;
	char buf[9000];
	struct imsg m;
	uint64_t what;

	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0,
	    pair), 0);
	send_num(&parent, MSG_LOG_FD, 0, pair[1]);
	parent_sync();
	log_from(&relay[1], ROLE_RELAY, 0, "hello");
	syslog_line(pair[0], buf, sizeof(buf));
	assert_memory_equal(buf, "<30>", 4);
	assert_non_null(strstr(buf, "]: relay[1] note message=hello"));
	assert_null(strchr(buf, '\n'));
	close(pair[0]);
	for (i = 0; i < 10; i++)
		log_from(&relay[1], ROLE_RELAY, 0, "kept");
	expect(&parent, MSG_LOG_REOPEN, &m);
	assert_int_equal(msg_num_get(&m, &what), 0);
	assert_int_equal(what, 0);
	imsg_free(&m);
	/* Not asked again and again. */
	assert_int_equal(get_in(&parent, &m, 300), -1);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0,
	    pair), 0);
	send_num(&parent, MSG_LOG_FD, 0, pair[1]);
	for (i = 0; i < 10; i++) {
		syslog_line(pair[0], buf, sizeof(buf));
		assert_non_null(strstr(buf, "message=kept"));
	}
	close(pair[0]);
	assert_int_equal(metric("tunneld_log_dropped_total "), 0);
}

static void
test_rotation(void **state)
{
	static char content[65536];
	struct stat st;
	struct imsg m;
	uint64_t what;
	char text[32], old[80];
	int i;

	send_num(&parent, MSG_ABORT, 1000, -1);
	parent_sync();
	for (i = 0; i < 40; i++) {
		snprintf(text, sizeof(text), "line-%02d", i);
		log_from(&relay[0], ROLE_RELAY, 0, text);
	}
	snprintf(old, sizeof(old), "%s.0", logname);
	expect(&parent, MSG_LOG_REOPEN, &m);
	assert_int_equal(msg_num_get(&m, &what), 0);
	assert_int_equal(what, 1);
	imsg_free(&m);
	/* Held: the old file grows no more. */
	poll(NULL, 0, 100);
	assert_int_equal(stat(logname, &st), 0);
	assert_true(st.st_size > 500 && st.st_size <= 1000);
	assert_int_equal(rename(logname, old), 0);
	send_num(&parent, MSG_LOG_FD, 0, open_log(0));
	expect(&parent, MSG_LOG_REOPEN, &m);
	imsg_free(&m);
	assert_true(log_has("line-20", content, sizeof(content)));
	assert_int_equal(stat(logname, &st), 0);
	assert_true(st.st_size <= 1000);
	unlink(old);
	/* No answer: after a while lines go on into the old file. */
	assert_true(log_has("line-39", content, sizeof(content)));
	assert_int_equal(metric("tunneld_log_dropped_total "), 0);
}

static void
test_health(void **state)
{
	char body[CHUNK_MAX + 1];
	struct msg_body q = { 11, BODY_HEALTH };
	struct msg_chunk c;
	struct ibuf *b;
	struct imsg m;
	int i;

	page[0]->active[1][SESSION_GATEWAY] = 3;
	page[1]->active[1][SESSION_ECHO] = 1;
	page[1]->active[0][SESSION_FORWARD] = 2;
	for (i = 0; i < 2; i++) {
		b = buffer();
		assert_int_equal(msg_body_put(b, &q), 0);
		send_msg(&relay[1], MSG_BODY, b, -1);
		expect(&relay[1], MSG_BODY_REPLY, &m);
		assert_int_equal(msg_chunk_get(&m, &c), 0);
		assert_int_equal(c.id, 11);
		assert_int_equal(c.status, i == 0 ? 200 : 503);
		assert_true(c.last);
		memcpy(body, c.data, c.len);
		body[c.len] = '\0';
		imsg_free(&m);
		assert_non_null(strstr(body, i == 0 ? "\"status\": \"ok\"" :
		    "\"status\": \"draining\""));
		assert_non_null(strstr(body, "\"connections\": 6"));
		assert_non_null(strstr(body, "\"max-connections\": 10"));
		assert_non_null(strstr(body,
		    "\"connections-capacity-percent\": 40"));
		assert_non_null(strstr(body, "\"workers\": 2"));
		assert_non_null(strstr(body, "\"uptime\": 9"));
		assert_int_equal(body[c.len - 1], '\n');
		if (i == 0)
			send_num(&parent, MSG_DRAIN, 0, -1);
		parent_sync();
	}
}

static void
test_metrics(void **state)
{
	const char *total =
	    "tunneld_sessions_total{server=\"w\\\"w\",type=\"gateway\"} ";
	const char *active =
	    "tunneld_sessions_active{server=\"w\\\"w\",type=\"gateway\"} ";

	page[0]->total[1][SESSION_GATEWAY] = 10;
	page[1]->total[1][SESSION_GATEWAY] = 5;
	page[0]->active[1][SESSION_GATEWAY] = 2;
	assert_int_equal(metric(total), 15);
	assert_int_equal(metric(active), 2);
	/* A page that lies: totals neither fall nor jump beyond reason. */
	page[0]->total[1][SESSION_GATEWAY] = 1;
	page[1]->total[1][SESSION_GATEWAY] = UINT64_MAX;
	page[0]->active[1][SESSION_GATEWAY] = UINT64_MAX;
	assert_int_equal(metric(total), 15);
	assert_true(metric(active) <= 1 << 20);
	/* A dead relay has no sessions, whatever its page still says. */
	send_worker(ROLE_RELAY, 0, WORKER_WAITING, 3);
	page[1]->active[1][SESSION_GATEWAY] = 4;
	parent_sync();
	assert_int_equal(metric(active), 4);
	assert_int_equal(metric(
	    "tunneld_worker_restarts_total{role=\"relay\"} "), 3);
	assert_int_equal(metric("tunneld_build_info{version=\"" VERSION
	    "\"} "), 1);
	page[0]->refusals[REASON_ORIGIN] = 8;
	assert_int_equal(metric("tunneld_refusals_total{reason=\"origin\"} "),
	    8);
	assert_int_equal(metric(
	    "tunneld_dial_failures_total{reason=\"timed-out\"} "), 0);
}

static void
test_stop(void **state)
{
	static char content[65536];
	int status;

	log_from(&relay[0], ROLE_RELAY, 0, "last words");
	poll(NULL, 0, 50);
	send_num(&parent, MSG_STOP, 0, -1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_true(log_has("last words", content, sizeof(content)));
	if ((pid = fork()) == 0)
		_exit(0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_log), T(test_full_disk), T(test_slow_log),
		T(test_syslog), T(test_rotation), T(test_health),
		T(test_metrics), T(test_stop),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
