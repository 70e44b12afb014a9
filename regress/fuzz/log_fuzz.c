/* SPDX-License-Identifier: ISC */
/* log_fuzz.c: log records of other processes, and the lines made of them. */
/* LINK: regress/fuzz/replay.c tunneld/log.c tunneld/logfmt.c tunneld/util.c tunneld/sid.c tunneld/stats.c lib/addr.c lib/json.c lib/utf8.c lib/visstr.c compat/shm.c compat/fdstat.c */

#include "compat.h"

#include "conf.h"
#include "fuzz.h"
#include "jsoncheck.h"
#include "log.h"

/* Printable; in colours only those that we write. */
static void
check_text(const char *p, size_t n, bool pretty)
{
	static const char *const colours[] = { "\033[1;31m", "\033[33m",
	    "\033[32m", "\033[36m", "\033[2m", "\033[0m" };
	size_t	 i, k;

	for (i = 0; i < n; i++) {
		if (pretty && p[i] == '\033') {
			/* The last one may be cut. */
			for (k = 0; k < nitems(colours); k++)
				if (strncmp(p + i, colours[k],
				    strlen(colours[k])) == 0)
					break;
			CHECK(k < nitems(colours) || n - i < 8);
			continue;
		}
		CHECK(p[i] >= ' ' && p[i] < 0x7f);
	}
}

static void
check_line(const struct logrec_view *v, int format, size_t size)
{
	char	*buf = malloc(size);
	size_t	 n, i;

	CHECK(buf != NULL);
	n = logrec_format(v, format, buf, size);
	CHECK(n < size && buf[n] == '\0' && strlen(buf) == n);
	CHECK(n > 0 && buf[n - 1] == '\n');
	if (format == FORMAT_JSON)
		CHECK(json_valid(buf, n - 1));
	else
		check_text(buf, n - 1, format == FORMAT_PRETTY);
	/* With room for any record, no key is missing. */
	for (i = 0; size == LOG_LINE_MAX && i < v->nkv; i++)
		CHECK(v->kv[i].key == LK_MESSAGE ||
		    strstr(buf, log_key_word(v->kv[i].key)) != NULL);
	free(buf);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t	 sizes[] = { LOG_LINE_MAX, 300, 200 };
	struct logrec_view	 v;
	struct logrec		 rec;
	uint8_t			*p;
	size_t			 i;
	unsigned		 k;

	p = fuzz_copy(data, size);
	if (logrec_decode(p, size, &v) == 0) {
		CHECK(v.event < LOG_EVENT_MAX && v.role < ROLE_MAX &&
		    v.nkv <= LOG_KEY_MAX);
		for (k = 0; k < v.nkv; k++) {
			CHECK(v.kv[k].key < LOG_KEY_MAX);
			if (v.kv[k].str != NULL)
				CHECK((const uint8_t *)v.kv[k].str > p &&
				    (const uint8_t *)v.kv[k].str +
				    v.kv[k].len <= p + size);
		}
		for (i = 0; i < nitems(sizes); i++) {
			check_line(&v, FORMAT_TEXT, sizes[i]);
			check_line(&v, FORMAT_PRETTY, sizes[i]);
			check_line(&v, FORMAT_JSON, sizes[i]);
		}
		/* Another origin, and it is still a record. */
		CHECK(size <= sizeof(rec.buf));
		memcpy(rec.buf, data, size);
		rec.len = size;
		logrec_identify(&rec, ROLE_RELAY, 7);
		CHECK(logrec_decode(rec.buf, rec.len, &v) == 0 &&
		    v.role == ROLE_RELAY && v.slot == 7);
	}
	fuzz_free(p, size);
	return (0);
}
