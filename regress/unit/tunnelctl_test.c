/* SPDX-License-Identifier: ISC */
/* tunnelctl_test.c: words of the command line, and answers as text and JSON. */
/* LINK: tunnelctl/parser.c tunnelctl/output_json.c tunnelctl/output_text.c tunneld/sid.c lib/ctl.c lib/json.c lib/utf8.c lib/visstr.c */

#include "compat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "log.h"
#include "tunneld.h"
#include "../../tunnelctl/tunnelctl.h"

static char text[65536];

/* Parse "a b c"; what it says goes to text. */
static int
parse(const char *line, struct command *cmd)
{
	char copy[256], *argv[16], *p = copy;
	int argc = 0, r;
	FILE *err;

	strlcpy(copy, line, sizeof(copy));
	while ((argv[argc] = strsep(&p, " ")) != NULL)
		argc++;
	if (line[0] == '\0')
		argc = 0;
	memset(text, 0, sizeof(text));
	err = fmemopen(text, sizeof(text), "w");
	assert_non_null(err);
	r = parse_command(argc, argv, cmd, err);
	fclose(err);
	return r;
}

static void
test_words(void **state)
{
	static const struct {
		const char	*line;
		enum ctl_command command;
		uint64_t	 arg;
	} good[] = {
		{ "show sessions", CTL_SHOW_SESSIONS, 0 },
		{ "sh se", CTL_SHOW_SESSIONS, 0 },
		{ "s st", CTL_SHOW_STATS, 0 },
		{ "s w", CTL_SHOW_WORKERS, 0 },
		{ "s l", CTL_SHOW_LISTENERS, 0 },
		{ "s h", CTL_SHOW_HEALTH, 0 },
		{ "s c", CTL_SHOW_CONFIG, 0 },
		{ "r", CTL_RELOAD, 0 },
		{ "log brief", CTL_LOG_LEVEL, LOG_L_BRIEF },
		{ "l v", CTL_LOG_LEVEL, LOG_L_VERBOSE },
		{ "l d", CTL_LOG_LEVEL, LOG_L_DEBUG },
		{ "k s 1.2.3", CTL_KILL_SESSION, SID_MAKE(1, 2, 3) },
		{ "kill session 0.1.0", CTL_KILL_SESSION, SID_MAKE(0, 1, 0) },
	};
	struct command cmd;
	unsigned i;

	for (i = 0; i < nitems(good); i++) {
		assert_int_equal(parse(good[i].line, &cmd), 0);
		assert_int_equal(cmd.req.command, good[i].command);
		assert_true(cmd.req.arg == good[i].arg);
		assert_true(cmd.deadline > 0);
		assert_string_equal(text, "");
	}
}

static void
test_bad_words(void **state)
{
	static const struct {
		const char	*line, *says;
	} bad[] = {
		{ "", "missing argument\nvalid here:\n  kill\n  log\n"
		    "  reload\n  show\n" },
		{ "show", "missing argument\nvalid here:\n  config\n" },
		{ "show s", "ambiguous argument: s\nvalid here:\n" },
		{ "show ", "unknown argument: \n" },
		{ "show sessionsx", "unknown argument: sessionsx\n" },
		{ "Show sessions", "unknown argument: Show\n" },
		{ "kill session", "missing argument\nvalid here:\n  <session" },
		{ "kill session 1.2", "unknown argument: 1.2\nvalid here:\n"
		    "  <session" },
		{ "kill session 1.2.3 4", "superfluous argument: 4\n" },
		{ "reload now", "superfluous argument: now\n" },
		{ "log", "missing argument\n" },
		{ "monitor", "unknown argument: monitor\n" },
	};
	struct command cmd;
	unsigned i;

	for (i = 0; i < nitems(bad); i++) {
		assert_int_equal(parse(bad[i].line, &cmd), -1);
		assert_non_null(strstr(text, bad[i].says));
	}
}

/* Each answer in a process of its own: it keeps its state in statics. */
static void
answer(const struct output *o, enum ctl_command c, void (*rows)(
    const struct output *), const char *said, int want)
{
	int fds[2], status;
	size_t len = 0;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	fflush(stdout);
	assert_true((pid = fork()) != -1);
	if (pid == 0) {
		dup2(fds[1], STDOUT_FILENO);
		close(fds[0]);
		close(fds[1]);
		o->head(c);
		rows(o);
		_exit(o->tail(said) == 0 ? 0 : 1);
	}
	close(fds[1]);
	while ((n = read(fds[0], text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, want);
}

static void
put(const struct output *o, const struct ctl_row *r)
{
	if (o->row(r->buf, r->len) == -1)
		_exit(9);
}

static void
no_rows(const struct output *o)
{
}

static void
worker_rows(const struct output *o)
{
	struct ctl_row r;

	ctl_row_init(&r);
	ctl_row_str(&r, CTL_K_ROLE, "relay");
	ctl_row_u64(&r, CTL_K_ID, 3);
	ctl_row_null(&r, CTL_K_PID);
	ctl_row_bool(&r, CTL_K_SECCOMP, true);
	ctl_row_u64(&r, CTL_K_LANDLOCK, 7);
	ctl_row_bool(&r, CTL_K_CHROOT, false);
	ctl_row_u64(&r, CTL_K_UID, 99);
	put(o, &r);
	put(o, &r);
}

static void
session_rows(const struct output *o)
{
	struct ctl_row r;

	ctl_row_init(&r);
	ctl_row_str(&r, CTL_K_ID, "1.2.3");
	ctl_row_str(&r, CTL_K_LOCATION, "/a\n\033[31m\"\xff");
	ctl_row_num(&r, CTL_K_STARTED, CTL_TIME, 1767323045678000);
	ctl_row_num(&r, CTL_K_DURATION, CTL_DURATION, 3725678900);
	ctl_row_num(&r, CTL_K_IDLE, CTL_DURATION, 1234567);
	ctl_row_u64(&r, CTL_K_BYTES_IN, UINT64_MAX);
	ctl_row_null(&r, CTL_K_USER);
	put(o, &r);
}

static void
stats_rows(const struct output *o)
{
	struct ctl_row r;
	int i;

	ctl_row_init(&r);
	ctl_row_str(&r, CTL_K_NAME, "empty_total");
	put(o, &r);
	ctl_row_init(&r);
	ctl_row_str(&r, CTL_K_NAME, "sessions_active");
	ctl_row_str(&r, CTL_K_TYPE, "gauge");
	put(o, &r);
	for (i = 0; i < 2; i++) {
		ctl_row_init(&r);
		ctl_row_str(&r, CTL_K_SERVER, i == 0 ? "www" : "");
		ctl_row_str(&r, CTL_K_TYPE, "echo");
		ctl_row_u64(&r, CTL_K_VALUE, 5);
		put(o, &r);
	}
	ctl_row_init(&r);
	ctl_row_str(&r, CTL_K_NAME, "log_dropped_total");
	put(o, &r);
	ctl_row_init(&r);
	ctl_row_u64(&r, CTL_K_VALUE, 0);
	put(o, &r);
}

static void
config_rows(const struct output *o)
{
	struct ctl_row r;

	ctl_row_init(&r);
	ctl_row_str(&r, CTL_K_TEXT, "server \"");
	put(o, &r);
	ctl_row_init(&r);
	ctl_row_str(&r, CTL_K_TEXT, "a\" {\n\t\033\n}\n");
	put(o, &r);
}

/* UTF-8 cut by rows; C1, Latin-1, surrogate, overlong and an unfinished one. */
static void
utf8_rows(const struct output *o)
{
	static const char *parts[] = { "\xc3", "\xa9\xe2\x82", "\xac\xc2\xa0|",
	    ("\xc2\x9b" "31m\xc2\x80\xc2"), "\x9f|\x9b\xe9|\xed\xa0\x80|",
	    "\xc0\x9b\x7f\r\xf0\x9f\x98\x80\\\n\xe2\x82" };
	struct ctl_row r;
	size_t i;

	for (i = 0; i < nitems(parts); i++) {
		ctl_row_init(&r);
		ctl_row_str(&r, CTL_K_TEXT, parts[i]);
		put(o, &r);
	}
}

static void
bad_rows(const struct output *o)
{
	static const uint8_t cut[] = { 0, CTL_K_ROLE, CTL_STRING, 0, 9, 'x' };

	if (o->row(cut, sizeof(cut)) != -1)
		_exit(8);
}

static void
test_json(void **state)
{
	const struct output *o = &output_json;

	answer(o, CTL_SHOW_WORKERS, worker_rows, "", 0);
	assert_string_equal(text, "{\"workers\":[{\"role\":\"relay\",\"id\":3,"
	    "\"pid\":null,\"sandbox\":{\"seccomp\":true,\"landlock\":7,"
	    "\"chroot\":false,\"uid\":99}},{\"role\":\"relay\",\"id\":3,"
	    "\"pid\":null,\"sandbox\":{\"seccomp\":true,\"landlock\":7,"
	    "\"chroot\":false,\"uid\":99}}]}\n");
	answer(o, CTL_SHOW_SESSIONS, no_rows, "", 0);
	assert_string_equal(text, "{\"sessions\":[]}\n");
	answer(o, CTL_SHOW_SESSIONS, session_rows, "", 0);
	assert_string_equal(text, "{\"sessions\":[{\"id\":\"1.2.3\","
	    "\"location\":\"/a\\n\\u001b[31m\\\"\xef\xbf\xbd\","
	    "\"started\":\"2026-01-02T03:04:05.678Z\",\"duration\":3725.678,"
	    "\"idle\":1.234,\"bytes-in\":18446744073709551615,"
	    "\"user\":null}]}\n");
	answer(o, CTL_SHOW_STATS, stats_rows, "", 0);
	assert_string_equal(text, "{\"empty_total\":[],\"sessions_active\":["
	    "{\"server\":\"www\",\"type\":\"echo\",\"value\":5},"
	    "{\"server\":null,\"type\":\"echo\",\"value\":5}],"
	    "\"log_dropped_total\":0}\n");
	answer(o, CTL_SHOW_CONFIG, config_rows, "", 0);
	assert_string_equal(text,
	    "{\"text\":\"server \\\"a\\\" {\\n\\t\\u001b\\n}\\n\"}\n");
	answer(o, CTL_RELOAD, no_rows, "generation 2", 0);
	assert_string_equal(text, "{\"ok\":true,\"text\":\"generation 2\"}\n");
	answer(o, CTL_SHOW_WORKERS, bad_rows, "", 0);
}

static void
test_text(void **state)
{
	const struct output *o = &output_text;

	answer(o, CTL_SHOW_WORKERS, worker_rows, "", 0);
	assert_string_equal(text,
	    "ROLE  ID PID STATE RESTARTS ALARM SESSIONS FDS SECCOMP LANDLOCK "
	    "CHROOT UID\n"
	    "relay  3   - -            - -            -   - yes            7 "
	    "no      99\n"
	    "relay  3   - -            - -            -   - yes            7 "
	    "no      99\n");
	answer(o, CTL_SHOW_SESSIONS, session_rows, "", 0);
	assert_non_null(strstr(text, "/a\\n\\033[31m\"\\377"));
	assert_non_null(strstr(text, "1h02m"));
	assert_null(strchr(text, '\033'));
	answer(o, CTL_SHOW_STATS, stats_rows, "", 0);
	assert_string_equal(text,
	    "sessions_active{server=\"www\",type=\"echo\"} 5\n"
	    "sessions_active{server=\"\",type=\"echo\"} 5\n"
	    "log_dropped_total 0\n");
	answer(o, CTL_SHOW_CONFIG, config_rows, "", 0);
	assert_string_equal(text, "server \"a\" {\n\t\\033\n}\n");
	answer(o, CTL_SHOW_CONFIG, utf8_rows, "", 0);
	assert_string_equal(text, "\xc3\xa9\xe2\x82\xac\xc2\xa0|"
	    "\\302\\23331m\\302\\200\\302\\237|\\233\\351|\\355\\240\\200|"
	    "\\300\\233\\177\\r\xf0\x9f\x98\x80\\\n\\342\\202");
	answer(o, CTL_RELOAD, no_rows, "two\nlines\033", 0);
	assert_string_equal(text, "two\nlines\\033\n");
	answer(o, CTL_SHOW_HEALTH, bad_rows, "", 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_bad_words),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
