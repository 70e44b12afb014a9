/* SPDX-License-Identifier: ISC */
/* ctl_client_test.c: clients of the control role, good, slow and hostile. */
/* LINK: tunneld/control.c tunneld/board.c tunneld/health.c tunneld/metrics.c tunneld/logger.c tunneld/peercred.c tunneld/ctl_client.c tunneld/ctl_show.c tunneld/chan.c tunneld/msg.c tunneld/msg_session.c tunneld/log.c tunneld/logfmt.c tunneld/util.c tunneld/sid.c tunneld/stats.c tunneld/reason.c lib/ctl.c lib/addr.c lib/json.c lib/utf8.c lib/visstr.c compat/imsg.c compat/imsg_buffer.c compat/shm.c compat/fdstat.c */

#include "compat.h"

#include <sys/resource.h>

#include "control_peer.h"

static void
test_show(void **state)
{
	char text[CTL_TEXT_MAX + 1];
	struct ctl_field f;
	struct end c;
	struct imsg m;
	unsigned rows;

	client(&c);
	request(&c, CTL_SHOW_LISTENERS, 0);
	expect(&c, CTL_ROW, &m);
	assert_int_equal(row_field(&m, CTL_K_PORT).num, 8080);
	assert_string_equal(row_field(&m, CTL_K_TYPE).str, "server");
	assert_int_equal(row_field(&m, CTL_K_GENERATION).num, 7);
	imsg_free(&m);
	expect(&c, CTL_ROW, &m);
	assert_string_equal(row_field(&m, CTL_K_ADDRESS).str, "/tmp/x.sock");
	assert_int_equal(row_field(&m, CTL_K_PORT).type, CTL_NULL);
	imsg_free(&m);
	expect_text(&c, CTL_END, text);
	/* The same connection serves the next request. */
	page[1]->active[1][SESSION_ECHO] = 2;
	page[1]->descriptors = 17;
	request(&c, CTL_SHOW_WORKERS, 0);
	expect(&c, CTL_ROW, &m);
	assert_string_equal(row_field(&m, CTL_K_ROLE).str, "parent");
	assert_int_equal(row_field(&m, CTL_K_SESSIONS).type, CTL_NULL);
	imsg_free(&m);
	expect(&c, CTL_ROW, &m);
	imsg_free(&m);
	expect(&c, CTL_ROW, &m);
	assert_int_equal(row_field(&m, CTL_K_ID).num, 1);
	assert_int_equal(row_field(&m, CTL_K_SESSIONS).num, 2);
	assert_int_equal(row_field(&m, CTL_K_DESCRIPTORS).num, 17);
	assert_int_equal(row_field(&m, CTL_K_LANDLOCK).num, 7);
	imsg_free(&m);
	expect_text(&c, CTL_END, text);
	request(&c, CTL_SHOW_CONFIG, 0);
	expect(&c, CTL_ROW, &m);
	assert_string_equal(row_field(&m, CTL_K_TEXT).str,
	    "# a\nserver \"www\" {\n}\n");
	imsg_free(&m);
	expect_text(&c, CTL_END, text);
	request(&c, CTL_SHOW_HEALTH, 0);
	expect(&c, CTL_ROW, &m);
	f = row_field(&m, CTL_K_STATUS);
	assert_string_equal(f.str, "ok");
	assert_int_equal(row_field(&m, CTL_K_CAPACITY).num, 20);
	imsg_free(&m);
	expect_text(&c, CTL_END, text);
	request(&c, CTL_SHOW_STATS, 0);
	for (rows = 0; get_in(&c, &m, WAIT_MS) == 1 &&
	    imsg_get_type(&m) == CTL_ROW; rows++)
		imsg_free(&m);
	assert_true(rows > 20);
	assert_int_equal(imsg_get_type(&m), CTL_END);
	imsg_free(&m);
	end_free(&c);
}

static void
send_row(unsigned slot, uint64_t question, uint64_t n)
{
	struct msg_session s;
	struct ibuf *b = buffer();

	memset(&s, 0, sizeof(s));
	s.request = question;
	s.id = SID_MAKE(slot, 5 + slot, n);
	s.type = SESSION_GATEWAY;
	s.state = SS_OPEN;
	memset(s.location, 'l', 1000);
	strlcpy(s.server, "www", sizeof(s.server));
	addr_parse("192.0.2.1", 4711, &s.client);
	s.duration = 1500000;
	assert_int_equal(msg_session_put(b, &s), 0);
	send_msg(&relay[slot], MSG_SESSION_ROW, b, -1);
}

static void
send_end(unsigned slot, uint64_t question, bool more)
{
	struct msg_end e = { question, more };
	struct ibuf *b = buffer();

	assert_int_equal(msg_end_put(b, &e), 0);
	send_msg(&relay[slot], MSG_SESSIONS_END, b, -1);
}

/* Answer one question for a slice of total sessions; false: none came. */
static bool
play_slice(unsigned slot, uint64_t total, int ms)
{
	struct msg_show q;
	struct imsg m;
	uint64_t n;

	if (get_in(&relay[slot], &m, ms) != 1)
		return false;
	assert_int_equal(imsg_get_type(&m), MSG_SHOW_SESSIONS);
	assert_int_equal(msg_show_get(&m, &q), 0);
	imsg_free(&m);
	assert_int_equal(q.max, 64);
	n = q.after == 0 ? 1 : SID_COUNTER(q.after) + 1;
	for (; n <= total && q.max-- > 0; n++)
		send_row(slot, q.id, n);
	send_end(slot, q.id, n <= total);
	return true;
}

static void
test_sessions(void **state)
{
	char text[CTL_TEXT_MAX + 1];
	struct end c;
	struct imsg m;
	unsigned rows = 0, slices;

	client(&c);
	request(&c, CTL_SHOW_SESSIONS, 0);
	/*
	 * 2000 sessions of 1 kB and a client that reads nothing: questions
	 * stop when the socket and the mark are full.
	 */
	for (slices = 0; play_slice(0, 2000, 500); slices++)
		;
	assert_true(slices >= 1 && slices < 10);
	/* Meanwhile others are served. */
	assert_int_equal(metric("tunneld_log_dropped_total "), 0);
	for (;;) {
		while (get_in(&c, &m, 50) == 1) {
			if (imsg_get_type(&m) == CTL_END)
				goto done;
			assert_int_equal(imsg_get_type(&m), CTL_ROW);
			if (rows++ == 0) {
				assert_string_equal(
				    row_field(&m, CTL_K_ID).str, "0.5.1");
				assert_string_equal(
				    row_field(&m, CTL_K_CLIENT).str,
				    "192.0.2.1:4711");
				assert_int_equal(
				    row_field(&m, CTL_K_DURATION).num,
				    1500000);
				assert_int_equal(
				    row_field(&m, CTL_K_USER).type, CTL_NULL);
			}
			imsg_free(&m);
		}
		if (rows < 2000)
			play_slice(0, 2000, 100);
		else
			play_slice(1, 1, 100);
	}
 done:
	imsg_free(&m);
	assert_int_equal(rows, 2001);
	/* A relay that is stopped: its part ends, with a note. */
	request(&c, CTL_SHOW_SESSIONS, 0);
	expect_text(&c, CTL_NOTE, text);
	assert_non_null(strstr(text, "relay 0 does not answer"));
	/* A relay that dies. */
	expect(&relay[1], MSG_SHOW_SESSIONS, &m);
	imsg_free(&m);
	end_free(&relay[1]);
	expect_text(&c, CTL_NOTE, text);
	assert_non_null(strstr(text, "relay 1 has died"));
	expect_text(&c, CTL_END, text);
	end_free(&c);
}

/* A relay that never comes to an end, and one that shows what is not its. */
static void
test_sessions_hostile(void **state)
{
	char text[CTL_TEXT_MAX + 1];
	struct msg_show q;
	struct end c;
	struct imsg m;

	client(&c);
	request(&c, CTL_SHOW_SESSIONS, 0);
	expect(&relay[0], MSG_SHOW_SESSIONS, &m);
	assert_int_equal(msg_show_get(&m, &q), 0);
	imsg_free(&m);
	send_row(0, q.id, 5);
	send_row(0, q.id, 5);
	expect(&c, CTL_ROW, &m);
	imsg_free(&m);
	expect_text(&c, CTL_NOTE, text);
	assert_non_null(strstr(text, "wrong row"));
	send_row(0, q.id, 6);			/* too late: ignored */
	send_row(1, q.id, 7);			/* not its question */
	expect(&relay[1], MSG_SHOW_SESSIONS, &m);
	assert_int_equal(msg_show_get(&m, &q), 0);
	imsg_free(&m);
	send_end(1, q.id, true);		/* "more" without a row */
	expect_text(&c, CTL_END, text);
	end_free(&c);
}

static void
test_kill(void **state)
{
	char text[CTL_TEXT_MAX + 1];
	struct msg_kill k;
	struct end c;
	struct imsg m;

	client(&c);
	/* Wrong incarnation, no such relay. */
	request(&c, CTL_KILL_SESSION, SID_MAKE(1, 5, 1));
	expect_text(&c, CTL_ERROR, text);
	assert_string_equal(text, "no session 1.5.1");
	request(&c, CTL_KILL_SESSION, UINT64_MAX);
	expect_text(&c, CTL_ERROR, text);
	request(&c, CTL_KILL_SESSION, SID_MAKE(1, 6, 77));
	expect(&relay[1], MSG_KILL_SESSION, &m);
	assert_int_equal(msg_kill_get(&m, &k), 0);
	assert_true(k.session == SID_MAKE(1, 6, 77));
	imsg_free(&m);
	/* Another relay cannot answer for it. */
	send_result(&relay[0], MSG_KILL_RESULT, k.id, true, "forged");
	poll(NULL, 0, 50);
	send_result(&relay[1], MSG_KILL_RESULT, k.id, true, "session 1.6.77 "
	    "killed");
	expect_text(&c, CTL_END, text);
	assert_string_equal(text, "session 1.6.77 killed");
	request(&c, CTL_KILL_SESSION, SID_MAKE(1, 6, 78));
	expect(&relay[1], MSG_KILL_SESSION, &m);
	assert_int_equal(msg_kill_get(&m, &k), 0);
	imsg_free(&m);
	send_result(&relay[1], MSG_KILL_RESULT, k.id, false, "");
	expect_text(&c, CTL_ERROR, text);
	assert_string_equal(text, "refused");
	end_free(&c);
}

static void
test_reload_and_level(void **state)
{
	char text[CTL_TEXT_MAX + 1];
	uint64_t id[2], level;
	struct end c[2];
	struct imsg m;
	int i;

	for (i = 0; i < 2; i++) {
		client(&c[i]);
		request(&c[i], CTL_RELOAD, 0);
		expect(&parent, MSG_RELOAD, &m);
		assert_int_equal(msg_num_get(&m, &id[i]), 0);
		imsg_free(&m);
	}
	assert_true(id[0] != id[1]);
	send_result(&parent, MSG_RELOAD_RESULT, id[1], false,
	    "a reload is under way");
	expect_text(&c[1], CTL_ERROR, text);
	assert_string_equal(text, "a reload is under way");
	send_result(&parent, MSG_RELOAD_RESULT, id[0], true, "generation 8");
	expect_text(&c[0], CTL_END, text);
	assert_string_equal(text, "generation 8");
	request(&c[0], CTL_LOG_LEVEL, LOG_L_DEBUG);
	expect(&parent, MSG_SET_LOG_LEVEL, &m);
	assert_int_equal(msg_num_get(&m, &level), 0);
	assert_int_equal(level, LOG_L_DEBUG);
	imsg_free(&m);
	expect_text(&c[0], CTL_END, text);
	request(&c[0], CTL_LOG_LEVEL, 99);
	expect_text(&c[0], CTL_ERROR, text);
	for (i = 0; i < 2; i++)
		end_free(&c[i]);
}

/* Whatever a client sends, it alone is dropped. */
static void
test_malformed(void **state)
{
	char text[CTL_TEXT_MAX + 1];
	uint8_t buf[CTL_MSG_MAX];
	struct ctl_hello h = { CTL_VERSION + 1, "future" };
	struct imsg_hdr hdr = { .type = CTL_REQUEST };
	struct end c, good;
	struct imsg m;
	unsigned i;

	client(&good);
	for (i = 0; i < 7; i++) {
		client_open(&c);
		switch (i) {
		case 0:				/* no imsg at all */
			memset(buf, 0xff, sizeof(buf));
			assert_true(write(c.fd, buf, 64) == 64);
			break;
		case 1:				/* a request without hello */
			request(&c, CTL_SHOW_HEALTH, 0);
			break;
		case 2:				/* a short hello */
			client_send(&c, CTL_HELLO, 0, "ab", 2);
			break;
		case 3:				/* unknown command */
			client_hello(&c, CTL_VERSION);
			memset(buf, 0x7f, 10);
			client_send(&c, CTL_REQUEST, 1, buf, 10);
			break;
		case 4:				/* what only we may send */
			client_hello(&c, CTL_VERSION);
			client_send(&c, CTL_ROW, 1, buf, 10);
			break;
		case 6:				/* more than anybody has to say */
			client_hello(&c, CTL_VERSION);
			hdr.len = CTL_MSG_MAX + IMSG_HEADER_SIZE + 1;
			assert_true(write(c.fd, &hdr, sizeof(hdr)) ==
			    sizeof(hdr));
			break;
		case 5:				/* another version */
			client_send(&c, CTL_HELLO, 0, buf,
			    ctl_put_hello(buf, &h));
			expect(&c, CTL_HELLO, &m);
			imsg_free(&m);
			expect_text(&c, CTL_ERROR, text);
			assert_non_null(strstr(text, "different versions"));
			break;
		}
		assert_int_equal(get_in(&c, &m, WAIT_MS), 0);
		end_free(&c);
	}
	request(&good, CTL_SHOW_HEALTH, 0);
	expect(&good, CTL_ROW, &m);
	imsg_free(&m);
	expect_text(&good, CTL_END, text);
	end_free(&good);
}

/* Requests one behind the other are answered in order. */
static void
test_pipelined(void **state)
{
	char text[CTL_TEXT_MAX + 1];
	struct end c;
	struct imsg m;
	uint64_t id;
	int i;

	client(&c);
	request(&c, CTL_RELOAD, 0);
	for (i = 0; i < 20; i++)
		request(&c, CTL_SHOW_HEALTH, 0);
	expect(&parent, MSG_RELOAD, &m);
	assert_int_equal(msg_num_get(&m, &id), 0);
	imsg_free(&m);
	assert_int_equal(get_in(&c, &m, 100), -1);
	send_result(&parent, MSG_RELOAD_RESULT, id, true, "done");
	expect_text(&c, CTL_END, text);
	for (i = 0; i < 20; i++) {
		expect(&c, CTL_ROW, &m);
		imsg_free(&m);
		expect_text(&c, CTL_END, text);
	}
	end_free(&c);
}

static void
test_too_many(void **state)
{
	char text[CTL_TEXT_MAX + 1];
	struct end c[9];
	struct imsg m;
	unsigned i;

	for (i = 0; i < 8; i++)
		client(&c[i]);
	client_open(&c[8]);
	expect(&c[8], CTL_HELLO, &m);
	imsg_free(&m);
	expect_text(&c[8], CTL_ERROR, text);
	assert_string_equal(text, "too many control connections");
	assert_int_equal(get_in(&c[8], &m, WAIT_MS), 0);
	end_free(&c[8]);
	end_free(&c[3]);
	poll(NULL, 0, 50);
	client(&c[3]);
	for (i = 0; i < 8; i++)
		end_free(&c[i]);
}

#ifdef __linux__
/* The first number a new descriptor of the control role would get. */
static rlim_t
lowest_free(void)
{
	char path[64], to[64];
	int fd;

	for (fd = 0; fd < 1000; fd++) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, fd);
		if (readlink(path, to, sizeof(to)) == -1)
			break;
	}
	return (rlim_t)fd;
}

/* Hundredths of a second that it has worked. */
static unsigned long
worked(void)
{
	char path[64], line[512];
	unsigned long user = 0, sys = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	assert_non_null(f = fopen(path, "r"));
	assert_non_null(fgets(line, sizeof(line), f));
	fclose(f);
	assert_int_equal(sscanf(strrchr(line, ')') + 1, " %*c %*d %*d %*d "
	    "%*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &sys), 2);
	return user + sys;
}

/* Out of descriptors: callers wait, nothing spins, and then it goes on. */
static void
test_out_of_descriptors(void **state)
{
	struct ctl_hello h = { CTL_VERSION, "test" };
	struct rlimit old, low;
	uint8_t buf[CTL_MSG_MAX];
	struct end a, c;
	struct imsg m;
	unsigned long n;

	client(&a);
	poll(NULL, 0, 50);
	assert_int_equal(prlimit(pid, RLIMIT_NOFILE, NULL, &old), 0);
	low = old;
	low.rlim_cur = lowest_free();
	assert_int_equal(prlimit(pid, RLIMIT_NOFILE, &low, NULL), 0);
	client_open(&c);
	client_send(&c, CTL_HELLO, 0, buf, ctl_put_hello(buf, &h));
	n = worked();
	assert_int_equal(get_in(&c, &m, 1500), -1);
	assert_in_range(worked() - n, 0, 20);
	/* Who is there is served. */
	request(&a, CTL_SHOW_HEALTH, 0);
	expect(&a, CTL_ROW, &m);
	imsg_free(&m);
	assert_int_equal(prlimit(pid, RLIMIT_NOFILE, &old, NULL), 0);
	expect(&c, CTL_HELLO, &m);
	imsg_free(&m);
	end_free(&c);
	end_free(&a);
}
#endif

/* Ten seconds are enough for anybody. */
static void
test_mute(void **state)
{
	struct end silent, greeted;
	struct imsg m;
	uint64_t start = mono_usec();

	client_open(&silent);
	client(&greeted);
	assert_int_equal(get_in(&silent, &m, 15000), 0);
	assert_true(mono_usec() - start > 8000000);
	assert_int_equal(get_in(&greeted, &m, 3000), 0);
	end_free(&silent);
	end_free(&greeted);
}

/* Another user: only when mode and group grant it. */
static void
test_stranger(void **state)
{
	char text[CTL_TEXT_MAX + 1];
	struct end c;
	struct imsg m;
	int status;
	pid_t p;

	if (getuid() != 0)
		skip();
	assert_int_equal(chmod(dir, 0755), 0);
	assert_int_equal(chmod(sockname, 0666), 0);
	if ((p = fork()) == 0) {
		if (setresuid(65534, 65534, 65534) == -1)
			_exit(2);
		client_open(&c);
		expect(&c, CTL_HELLO, &m);
		imsg_free(&m);
		expect_text(&c, CTL_ERROR, text);
		_exit(strcmp(text, "permission denied") == 0 ? 0 : 3);
	}
	assert_int_equal(waitpid(p, &status, 0), p);
	assert_int_equal(status, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_show), T(test_sessions), T(test_sessions_hostile),
		T(test_kill), T(test_reload_and_level), T(test_malformed),
		T(test_pipelined), T(test_too_many), T(test_mute),
		T(test_stranger),
#ifdef __linux__
		T(test_out_of_descriptors),
#endif
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
