/* SPDX-License-Identifier: ISC */
/* output_text.c: answers for people: aligned columns, nothing unprintable. */

#include "compat.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "tunnelctl.h"
#include "utf8.h"
#include "visstr.h"

#define ANSWER_MAX	(512UL * 1024 * 1024)
#define COLUMNS_MAX	16
#define CELL_MAX	128

/*
 * A column of a table.  right: numbers.
 */
struct column {
	enum ctl_key	 key;
	const char	*title;
	bool		 right;
};

static const struct column sessions[] = {
	{ CTL_K_ID, "ID", false }, { CTL_K_TYPE, "TYPE", false },
	{ CTL_K_STATE, "STATE", false }, { CTL_K_SERVER, "SERVER", false },
	{ CTL_K_LOCATION, "LOCATION", false },
	{ CTL_K_CLIENT, "CLIENT", false }, { CTL_K_TARGET, "TARGET", false },
	{ CTL_K_DURATION, "DURATION", true }, { CTL_K_IDLE, "IDLE", true },
	{ CTL_K_BYTES_IN, "IN", true }, { CTL_K_BYTES_OUT, "OUT", true },
};

static const struct column listeners[] = {
	{ CTL_K_NAME, "NAME", false }, { CTL_K_TYPE, "TYPE", false },
	{ CTL_K_ADDRESS, "ADDRESS", false }, { CTL_K_PORT, "PORT", true },
	{ CTL_K_GENERATION, "GENERATION", true },
};

static const struct column workers[] = {
	{ CTL_K_ROLE, "ROLE", false }, { CTL_K_ID, "ID", true },
	{ CTL_K_PID, "PID", true }, { CTL_K_STATE, "STATE", false },
	{ CTL_K_RESTARTS, "RESTARTS", true }, { CTL_K_ALARM, "ALARM", false },
	{ CTL_K_SESSIONS, "SESSIONS", true },
	{ CTL_K_DESCRIPTORS, "FDS", true },
	{ CTL_K_SECCOMP, "SECCOMP", false },
	{ CTL_K_LANDLOCK, "LANDLOCK", true },
	{ CTL_K_CHROOT, "CHROOT", false }, { CTL_K_UID, "UID", true },
};

static enum ctl_command command;
static const struct column *columns;
static size_t ncolumns;
static size_t widths[COLUMNS_MAX];
static char metric[64];

/* What will be printed: cells one behind the other, each with its NUL. */
static char *out;
static size_t outlen, outsize;

static int
keep(const char *p, size_t len)
{
	size_t size = outsize;
	char *more;

	if (len > ANSWER_MAX - outlen)
		return -1;
	while (size - outlen < len)
		size = size < 4096 ? 4096 : size * 2;
	if (size != outsize) {
		if ((more = realloc(out, size)) == NULL)
			return -1;
		out = more;
		outsize = size;
	}
	memcpy(out + outlen, p, len);
	outlen += len;
	return 0;
}

static int
keep_cell(size_t column, const char *cell)
{
	size_t len = strlen(cell);

	if (len > widths[column])
		widths[column] = len;
	return keep(cell, len + 1);
}

static void
text_head(enum ctl_command c)
{
	size_t i;

	command = c;
	switch (c) {
	case CTL_SHOW_SESSIONS:
		columns = sessions;
		ncolumns = nitems(sessions);
		break;
	case CTL_SHOW_LISTENERS:
		columns = listeners;
		ncolumns = nitems(listeners);
		break;
	case CTL_SHOW_WORKERS:
		columns = workers;
		ncolumns = nitems(workers);
		break;
	default:
		break;
	}
	for (i = 0; i < ncolumns; i++)
		keep_cell(i, columns[i].title);
}

/* 1d02h, 1h02m, 1m02s, 3.4s: two units are enough for eyes. */
static void
duration(char *buf, size_t size, uint64_t usec)
{
	unsigned long long s = usec / 1000000;

	if (s >= 86400)
		snprintf(buf, size, "%llud%02lluh", s / 86400,
		    s / 3600 % 24);
	else if (s >= 3600)
		snprintf(buf, size, "%lluh%02llum", s / 3600, s / 60 % 60);
	else if (s >= 60)
		snprintf(buf, size, "%llum%02llus", s / 60, s % 60);
	else
		snprintf(buf, size, "%llu.%llus", s,
		    (unsigned long long)(usec / 100000 % 10));
}

static void
cell(char *buf, size_t size, const struct ctl_field *f)
{
	char when[RFC3339_LEN];

	switch (f->type) {
	case CTL_BOOL:
		strlcpy(buf, f->num == 1 ? "yes" : "no", size);
		break;
	case CTL_U64:
		snprintf(buf, size, "%llu", (unsigned long long)f->num);
		break;
	case CTL_DURATION:
		duration(buf, size, f->num);
		break;
	case CTL_TIME:
		strlcpy(buf, rfc3339(f->num, when), size);
		break;
	case CTL_STRING:
		visstr(buf, size, f->str, f->len);
		break;
	default:
		strlcpy(buf, "-", size);
		break;
	}
}

static int
table_row(const uint8_t *p, size_t len)
{
	char cells[COLUMNS_MAX][CELL_MAX];
	struct ctl_field f;
	size_t i;
	int r;

	for (i = 0; i < ncolumns; i++)
		strlcpy(cells[i], "-", sizeof(cells[i]));
	while ((r = ctl_row_next(&p, &len, &f)) == 1) {
		for (i = 0; i < ncolumns; i++) {
			if (columns[i].key == f.key)
				cell(cells[i], sizeof(cells[i]), &f);
		}
	}
	if (r == -1)
		return -1;
	for (i = 0; i < ncolumns; i++) {
		if (keep_cell(i, cells[i]) == -1)
			return -1;
	}
	return 0;
}

/* key value, one a line */
static int
health_row(const uint8_t *p, size_t len)
{
	char line[CELL_MAX + 64], buf[CELL_MAX];
	struct ctl_field f;
	int r;

	while ((r = ctl_row_next(&p, &len, &f)) == 1) {
		cell(buf, sizeof(buf), &f);
		snprintf(line, sizeof(line), "%-30s%s\n",
		    ctl_key_word(f.key), buf);
		if (keep(line, strlen(line)) == -1)
			return -1;
	}
	return r;
}

/* name{label="value",...} number, as in /metrics */
static int
stats_row(const uint8_t *p, size_t len)
{
	char line[512], buf[CELL_MAX];
	struct ctl_field f;
	bool labels = false;
	int r;

	strlcpy(line, metric, sizeof(line));
	while ((r = ctl_row_next(&p, &len, &f)) == 1) {
		if (f.key == CTL_K_NAME && f.type == CTL_STRING) {
			visstr(metric, sizeof(metric), f.str, f.len);
			return 0;
		}
		cell(buf, sizeof(buf), &f);
		if (f.key == CTL_K_VALUE) {
			strlcat(line, labels ? "} " : " ", sizeof(line));
			strlcat(line, buf, sizeof(line));
			continue;
		}
		strlcat(line, labels ? "," : "{", sizeof(line));
		strlcat(line, ctl_key_word(f.key), sizeof(line));
		strlcat(line, "=\"", sizeof(line));
		if (f.type != CTL_NULL)
			strlcat(line, buf, sizeof(line));
		strlcat(line, "\"", sizeof(line));
		labels = true;
	}
	strlcat(line, "\n", sizeof(line));
	return r == -1 ? -1 : keep(line, strlen(line));
}

/* Rows may cut a character in two: print_config() looks at the whole. */
static int
config_row(const uint8_t *p, size_t len)
{
	struct ctl_field f;

	if (ctl_row_next(&p, &len, &f) != 1 || f.type != CTL_STRING)
		return -1;
	return keep(f.str, f.len);
}

static int
text_row(const uint8_t *p, size_t len)
{
	if (columns != NULL)
		return table_row(p, len);
	switch (command) {
	case CTL_SHOW_HEALTH:
#ifdef TUNNELD_PROBES
	case CTL_PROBE:
#endif
		return health_row(p, len);
	case CTL_SHOW_STATS:
		return stats_row(p, len);
	case CTL_SHOW_CONFIG:
		return config_row(p, len);
	default:
		return -1;
	}
}

static void
print_table(void)
{
	const char *p = out, *end = out + outlen;
	size_t i;

	while (p < end) {
		for (i = 0; i < ncolumns; i++) {
			if (columns[i].right)
				printf("%*s", (int)widths[i], p);
			else if (i + 1 == ncolumns)
				printf("%s", p);
			else
				printf("%-*s", (int)widths[i], p);
			putchar(i + 1 == ncolumns ? '\n' : ' ');
			p += strlen(p) + 1;
		}
	}
}

/* Bytes of the character at p if a terminal may see it as it is, or 0. */
static size_t
harmless(const uint8_t *p, size_t len)
{
	uint32_t state = 0;
	size_t n = 0;

	if (p[0] < 0x80)
		return p[0] == '\n' || p[0] == '\t' ||
		    (p[0] >= 0x20 && p[0] != 0x7f);
	do {
		if (n == len || utf8_check(&state, p + n, 1) == -1)
			return 0;
		n++;
	} while (state != 0);
	/* U+0080 to U+009F: U+009B is as good as ESC [. */
	return p[0] == 0xc2 && p[1] < 0xa0 ? 0 : n;
}

/* The operator's own text; still, no escape sequence reaches a terminal. */
static void
print_config(void)
{
	char one[VISSTR_SIZE(1)];
	size_t i, n;

	for (i = 0; i < outlen; i += n) {
		n = harmless((const uint8_t *)out + i, outlen - i);
		if (n > 0) {
			fwrite(out + i, 1, n, stdout);
			continue;
		}
		n = 1;
		visstr(one, sizeof(one), out + i, n);
		fputs(one, stdout);
	}
}

/* What the daemon says may quote file names and words of the configuration. */
static void
print_said(FILE *to, const char *said)
{
	char line[VISSTR_SIZE(CTL_TEXT_MAX)];
	size_t n;

	while (*said != '\0') {
		n = strcspn(said, "\n");
		visstr(line, sizeof(line), said, n);
		fprintf(to, "%s\n", line);
		said += n;
		if (*said == '\n')
			said++;
	}
}

static int
text_tail(const char *said)
{
	if (columns != NULL)
		print_table();
	else if (command == CTL_SHOW_CONFIG)
		print_config();
	else if (outlen > 0)
		fwrite(out, 1, outlen, stdout);
	print_said(stdout, said);
	free(out);
	out = NULL;
	return fflush(stdout) == 0 && !ferror(stdout) ? 0 : -1;
}

static void
text_error(const char *why)
{
	fprintf(stderr, "tunnelctl: ");
	print_said(stderr, why);
}

const struct output output_text = {
	text_head, text_row, text_tail, text_error
};
