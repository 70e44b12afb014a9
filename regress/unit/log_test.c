/* SPDX-License-Identifier: ISC */
/* log_test.c: log records: hostile strings, limits, truncation, formats. */
/* LINK: tunneld/log.c tunneld/logfmt.c tunneld/util.c tunneld/sid.c tunneld/stats.c lib/addr.c lib/json.c lib/utf8.c lib/visstr.c compat/shm.c compat/fdstat.c */

#include "compat.h"

#include <sys/wait.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf.h"
#include "log.h"
#include "stats.h"
#include "visstr.h"

static struct logrec last;
static unsigned sent;
static int sink_result;

static int
sink(const struct logrec *r, void *arg)
{
	last = *r;
	sent++;
	return sink_result;
}

static int
setup(void **state)
{
	log_init(ROLE_RELAY, 3);
	log_to(sink, NULL);
	log_setlevel(LOG_L_BRIEF);
	sent = 0;
	sink_result = 0;
	return 0;
}

/* Everything after "time " for text; the time is checked for its form. */
static const char *
format(const struct logrec *r, int fmt)
{
	static char line[LOG_LINE_MAX];
	struct logrec_view v;
	size_t n;

	assert_int_equal(logrec_decode(r->buf, r->len, &v), 0);
	n = logrec_format(&v, fmt, line, sizeof(line));
	assert_true(n > 0 && n < sizeof(line));
	assert_int_equal(strlen(line), n);
	assert_int_equal(line[n - 1], '\n');
	assert_ptr_equal(strchr(line, '\n'), line + n - 1);
	return line;
}

static void
test_text(void **state)
{
	struct logrec r;
	const char *line;

	log_begin(&r, LOG_L_BRIEF, EV_LOG_CLOSE);
	log_str(&r, LK_SESSION, "3.7.1");
	log_str(&r, LK_LOCATION, "");
	log_str(&r, LK_TARGET, "a b");
	log_num(&r, LK_BYTES_IN, UINT64_MAX);
	log_num(&r, LK_DURATION, 1234567);
	line = format(&r, FORMAT_TEXT);
	assert_int_equal(line[4], '-');
	assert_int_equal(line[10], 'T');
	assert_int_equal(line[23], 'Z');
	assert_string_equal(line + 25, "relay[3] close session=3.7.1 "
	    "location=\"\" target=\"a b\" bytes-in=18446744073709551615 "
	    "duration=1.234\n");
}

static void
test_json(void **state)
{
	struct logrec r;
	const char *line;

	log_begin(&r, LOG_L_WARN, EV_LOG_REFUSE);
	log_str(&r, LK_SERVER, "www");
	log_str(&r, LK_SESSION, "3.7.1");
	log_num(&r, LK_CODE, 429);
	line = format(&r, FORMAT_JSON);
	assert_memory_equal(line, "{\"time\":\"", 9);
	assert_string_equal(line + 9 + 24, "\",\"level\":\"warn\","
	    "\"process\":\"relay\",\"worker\":3,\"session\":\"3.7.1\","
	    "\"event\":\"refuse\",\"server\":\"www\",\"code\":429}\n");
}

static void
test_hostile(void **state)
{
	static const char evil[] =
	    "a\nb\rc\t\033[31m\"=\\ \x80\xff\xc3\xa9\xe2\x80\xae\x7f";
	struct logrec r;
	const char *line, *p;
	int formats[] = { FORMAT_TEXT, FORMAT_JSON };
	unsigned i;

	log_begin(&r, LOG_L_BRIEF, EV_LOG_OPEN);
	log_strn(&r, LK_XFF, evil, sizeof(evil));	/* with its NUL */
	for (i = 0; i < 2; i++) {
		line = format(&r, formats[i]);
		for (p = line; *p != '\n'; p++)
			assert_true((unsigned char)*p >= 0x20 && *p != 0x7f);
	}
	line = format(&r, FORMAT_TEXT);
	assert_non_null(strstr(line, "x-forwarded-for=\"a\\nb\\rc\\t\\033[31m"
	    "\\\"=\\\\ \\200\\377\\303\\251\\342\\200\\256\\177\\000\"\n"));
	/* Pretty has its own escapes, none of the stranger's. */
	line = format(&r, FORMAT_PRETTY);
	assert_null(strstr(line, "[31m\""));
	assert_non_null(strstr(line, "\\033[31m"));
	/* Valid UTF-8 stays in JSON, the rest is replaced. */
	line = format(&r, FORMAT_JSON);
	assert_non_null(strstr(line, "\xef\xbf\xbd"));
}

static void
test_long(void **state)
{
	static char big[LOGREC_MAX * 2];
	struct logrec r;
	struct logrec_view v;
	const char *line;
	char small[200];
	unsigned i, k;
	size_t n;

	/* Long strings in every place: numbers and short words survive. */
	memset(big, '\001', sizeof(big));
	log_begin(&r, LOG_L_BRIEF, EV_LOG_CLOSE);
	for (k = 0; k < LOG_KEY_MAX; k++) {
		if (log_key_type(k) == 's' && k != LK_STATE)
			log_strn(&r, k, big, sizeof(big));
	}
	for (k = 0; k < LOG_KEY_MAX; k++) {
		if (log_key_type(k) != 's')
			log_num(&r, k, k);
	}
	log_str(&r, LK_STATE, "CD");
	assert_true(r.len <= sizeof(r.buf));
	line = format(&r, FORMAT_TEXT);
	assert_non_null(strstr(line, " bytes-out="));
	assert_non_null(strstr(line, " state=CD"));
	assert_non_null(strstr(format(&r, FORMAT_JSON), "\"state\":\"CD\""));
	assert_int_equal(logrec_decode(r.buf, r.len, &v), 0);
	/* Any buffer size: a whole line, nothing beyond the end. */
	for (i = 0; i < sizeof(small); i++) {
		for (k = FORMAT_TEXT; k <= FORMAT_PRETTY; k++) {
			memset(small, 'X', sizeof(small));
			n = logrec_format(&v, (int)k, small, i);
			assert_true(n == 0 || n < i);
			if (i > 0)
				assert_int_equal(small[n], '\0');
			if (n > 0)
				assert_int_equal(small[n - 1], '\n');
			if (n > 0 && k == FORMAT_JSON)
				assert_int_equal(small[n - 2], '}');
			assert_int_equal(small[i], 'X');
		}
	}
}

static void
test_truncated(void **state)
{
	struct logrec r, bad;
	struct logrec_view v;
	uint8_t *copy;
	unsigned ok = 0;
	size_t i;

	log_begin(&r, LOG_L_BRIEF, EV_LOG_CLOSE);
	log_str(&r, LK_SESSION, "3.7.1");
	log_num(&r, LK_BYTES_IN, 5);
	for (i = 0; i < r.len; i++) {
		/* An exact allocation, so that ASan sees a read beyond. */
		copy = malloc(i > 0 ? i : 1);
		assert_non_null(copy);
		memcpy(copy, r.buf, i);
		if (logrec_decode(copy, i, &v) == 0)
			ok++;
		free(copy);
	}
	/* Only the cuts between fields: bare head, and after the session. */
	assert_int_equal(ok, 2);
	assert_int_equal(logrec_decode(r.buf, LOGREC_MAX + 1, &v), -1);
	/* A key twice, unknown keys, events, levels, roles. */
	bad = r;
	log_num(&bad, LK_BYTES_IN, 6);
	assert_int_equal(logrec_decode(bad.buf, bad.len, &v), -1);
	for (i = 0; i < 3; i++) {
		bad = r;
		bad.buf[i] = 0xff;
		assert_int_equal(logrec_decode(bad.buf, bad.len, &v), -1);
	}
	bad = r;
	bad.buf[13] = LOG_KEY_MAX;
	assert_int_equal(logrec_decode(bad.buf, bad.len, &v), -1);
}

/* A good record with a few bytes changed: decoded or refused, never worse. */
static void
test_mutations(void **state)
{
	struct logrec good, r;
	struct logrec_view v;
	static char line[LOG_LINE_MAX];
	uint32_t x = 1;
	unsigned i, k, taken = 0;

	log_begin(&good, LOG_L_BRIEF, EV_LOG_CLOSE);
	log_str(&good, LK_SESSION, "3.7.1");
	log_num(&good, LK_BYTES_IN, 5);
	log_str(&good, LK_TARGET, "127.0.0.1:22");
	for (i = 0; i < 100000; i++) {
		r = good;
		for (k = 0; k < 1 + i % 3; k++) {
			x = x * 1664525 + 1013904223;
			r.buf[(x >> 8) % r.len] = (uint8_t)(x >> 24);
		}
		if (logrec_decode(r.buf, r.len, &v) == -1)
			continue;
		taken++;
		assert_true(v.nkv <= LOG_KEY_MAX);
		for (k = 0; k < 3; k++)
			logrec_format(&v, (int)k, line, sizeof(line));
	}
	assert_true(taken > 1000 && taken < 99000);
}

static void
test_levels(void **state)
{
	struct logrec_view v;
	uint64_t before = log_dropped(), page = stats->log_dropped;

	log_debug("no");
	log_verbose("no");
	assert_int_equal(sent, 0);
	log_brief("yes %d", 1);
	log_warnx("yes");
	log_error("yes");
	assert_int_equal(sent, 3);
	log_setlevel(LOG_L_DEBUG);
	errno = ENOENT;
	log_warn("file %s", "x");
	assert_int_equal(errno, ENOENT);
	assert_int_equal(logrec_decode(last.buf, last.len, &v), 0);
	assert_int_equal(v.level, LOG_L_WARN);
	assert_int_equal(v.event, EV_LOG_NOTE);
	assert_int_equal(v.role, ROLE_RELAY);
	assert_int_equal(v.slot, 3);
	assert_int_equal(v.nkv, 1);
	assert_int_equal(v.kv[0].len, strlen("file x: No such file or "
	    "directory"));
	sink_result = -1;
	log_debug("lost");
	assert_int_equal(log_dropped(), before + 1);
	assert_int_equal(stats->log_dropped, page + 1);
}

static int
fatal_sink(const struct logrec *r, void *arg)
{
	/* A sink that fails fatally itself must not loop. */
	fatalx("again");
}

static void
test_fatal(void **state)
{
	int status;
	pid_t pid;

	if ((pid = fork()) == 0) {
		log_to(fatal_sink, NULL);
		fatalx("first");
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
}

static void
test_visstr(void **state)
{
	char buf[32];
	size_t i, n;

	/* Whole escapes only, whatever the room. */
	for (i = 0; i < sizeof(buf); i++) {
		memset(buf, 'X', sizeof(buf));
		n = visstr(buf, i, "a\033\n", 3);
		assert_true(n == 0 || n == 1 || n == 5 || n == 7);
		assert_true(i == 0 || n < i);
		n = visstr_quoted(buf, i, "\" \033", 3);
		assert_true(n == 0 || (buf[0] == '"' && buf[n - 1] == '"'));
		assert_true(i == 0 || (n < i && buf[n] == '\0'));
	}
	assert_int_equal(visstr(buf, sizeof(buf), "\"\\", 2), 3);
	assert_string_equal(buf, "\"\\\\");
}

static void
test_sid(void **state)
{
	static const char *bad[] = { "", "1", "1.2", "1.2.", "1.2.3.", "a.1.1",
	    "-1.1.1", " 1.1.1", "1.1.1 ", "01.1.1", "64.1.1", "1.4194304.1",
	    "1.1.68719476736", "1.1.99999999999999999999999999", "1..1" };
	char text[SID_TEXT];
	uint64_t id;
	unsigned i;

	for (i = 0; i < nitems(bad); i++)
		assert_int_equal(sid_parse(bad[i], &id), -1);
	assert_int_equal(sid_parse("63.4194303.68719476735", &id), 0);
	assert_true(id == UINT64_MAX);
	assert_string_equal(sid_format(id, text), "63.4194303.68719476735");
	assert_int_equal(sid_parse("0.0.0", &id), 0);
	assert_true(id == 0);
	assert_int_equal(sid_parse("2.5.77", &id), 0);
	assert_int_equal(SID_SLOT(id), 2);
	assert_int_equal(SID_INCARNATION(id), 5);
	assert_int_equal(SID_COUNTER(id), 77);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_text, setup),
		cmocka_unit_test_setup(test_json, setup),
		cmocka_unit_test_setup(test_hostile, setup),
		cmocka_unit_test_setup(test_long, setup),
		cmocka_unit_test_setup(test_truncated, setup),
		cmocka_unit_test_setup(test_mutations, setup),
		cmocka_unit_test_setup(test_levels, setup),
		cmocka_unit_test_setup(test_fatal, setup),
		cmocka_unit_test(test_visstr),
		cmocka_unit_test(test_sid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
