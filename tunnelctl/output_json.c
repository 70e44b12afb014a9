/* SPDX-License-Identifier: ISC */
/* output_json.c: answers as one JSON object, see tunnelctl(8). */

#include "compat.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "tunnelctl.h"

#define ANSWER_MAX	(512UL * 1024 * 1024)

static struct json j;
static enum ctl_command command;
static enum { STATS_NONE, STATS_NUMBER, STATS_ARRAY } stats_state;
static bool begun;		/* stats: a metric has been named */
/* show config: pieces of the text. */
static char *text;
static size_t textlen;

/* The name of the array rows go into; NULL: there is one row, the object. */
static const char *
array_name(enum ctl_command c)
{
	switch (c) {
	case CTL_SHOW_SESSIONS:
		return "sessions";
	case CTL_SHOW_LISTENERS:
		return "listeners";
	case CTL_SHOW_WORKERS:
		return "workers";
	default:
		return NULL;
	}
}

/* Is the answer one object, made of one row? */
static bool
one_row(enum ctl_command c)
{
#ifdef TUNNELD_PROBES
	if (c == CTL_PROBE)
		return true;
#endif
	return c == CTL_SHOW_HEALTH;
}

static void
json_head(enum ctl_command c)
{
	command = c;
	json_init(&j);
	json_object(&j);
	if (array_name(c) != NULL) {
		json_name(&j, array_name(c));
		json_array(&j);
	}
}

static void
value(const struct ctl_field *f)
{
	switch (f->type) {
	case CTL_BOOL:
		json_bool(&j, f->num == 1);
		break;
	case CTL_U64:
		json_u64(&j, f->num);
		break;
	case CTL_DURATION:
		json_duration(&j, f->num);
		break;
	case CTL_TIME:
		json_time(&j, f->num);
		break;
	case CTL_STRING:
		json_stringn(&j, f->str, f->len);
		break;
	default:
		json_null(&j);
		break;
	}
}

/* The members of a row; "a.b" and "a.c" become one object a. */
static int
members(const uint8_t *p, size_t len)
{
	struct ctl_field f;
	const char *word, *dot;
	char group[32] = "";
	size_t n;
	int r;

	while ((r = ctl_row_next(&p, &len, &f)) == 1) {
		word = ctl_key_word(f.key);
		dot = strchr(word, '.');
		n = dot != NULL ? (size_t)(dot - word) : 0;
		if (group[0] != '\0' &&
		    (n != strlen(group) || strncmp(group, word, n) != 0)) {
			json_end_object(&j);
			group[0] = '\0';
		}
		if (n > 0 && n < sizeof(group) && group[0] == '\0') {
			memcpy(group, word, n);
			group[n] = '\0';
			json_name(&j, group);
			json_object(&j);
		}
		json_name(&j, dot != NULL ? dot + 1 : word);
		value(&f);
	}
	if (group[0] != '\0')
		json_end_object(&j);
	return r;
}

/* A metric without labels is a number, the others are lists of samples. */
static void
stats_close(void)
{
	if (stats_state == STATS_ARRAY)
		json_end_array(&j);
	else if (begun && stats_state == STATS_NONE) {
		json_array(&j);
		json_end_array(&j);
	}
	stats_state = STATS_NONE;
	begun = false;
}

static int
stats_name(const struct ctl_field *f)
{
	char name[64];

	if (f->type != CTL_STRING || f->len >= sizeof(name))
		return -1;
	stats_close();
	memcpy(name, f->str, f->len);
	name[f->len] = '\0';
	json_name(&j, name);
	begun = true;
	return 0;
}

static int
stats_row(const uint8_t *p, size_t len)
{
	const uint8_t *next = p;
	struct ctl_field f;
	size_t left = len;

	if (ctl_row_next(&next, &left, &f) != 1)
		return -1;
	if (f.key == CTL_K_NAME)
		return stats_name(&f);
	if (!begun || stats_state == STATS_NUMBER)
		return -1;
	if (f.key == CTL_K_VALUE && stats_state == STATS_NONE) {
		value(&f);
		stats_state = STATS_NUMBER;
		return 0;
	}
	if (stats_state == STATS_NONE)
		json_array(&j);
	stats_state = STATS_ARRAY;
	json_object(&j);
	if (members(p, len) == -1)
		return -1;
	json_end_object(&j);
	return 0;
}

static int
config_row(const uint8_t *p, size_t len)
{
	struct ctl_field f;
	char *more;

	if (ctl_row_next(&p, &len, &f) != 1 || f.type != CTL_STRING ||
	    f.len > ANSWER_MAX - textlen)
		return -1;
	if ((more = realloc(text, textlen + f.len)) == NULL)
		return -1;
	text = more;
	memcpy(text + textlen, f.str, f.len);
	textlen += f.len;
	return 0;
}

static int
json_row(const uint8_t *p, size_t len)
{
	if (j.len > ANSWER_MAX)
		return -1;
	switch (command) {
	case CTL_SHOW_CONFIG:
		return config_row(p, len);
	case CTL_SHOW_STATS:
		return stats_row(p, len);
	case CTL_SHOW_HEALTH:
#ifdef TUNNELD_PROBES
	case CTL_PROBE:
#endif
		return members(p, len);
	case CTL_SHOW_SESSIONS:
	case CTL_SHOW_LISTENERS:
	case CTL_SHOW_WORKERS:
		json_object(&j);
		if (members(p, len) == -1)
			return -1;
		json_end_object(&j);
		return 0;
	default:
		return -1;
	}
}

static int
print(struct json *w)
{
	int r = -1;

	if (!w->failed && fwrite(w->buf, 1, w->len, stdout) == w->len &&
	    putchar('\n') != EOF && fflush(stdout) == 0)
		r = 0;
	json_free(w);
	return r;
}

static int
json_tail(const char *said)
{
	if (array_name(command) != NULL)
		json_end_array(&j);
	else if (command == CTL_SHOW_STATS)
		stats_close();
	else if (command == CTL_SHOW_CONFIG) {
		json_name(&j, "text");
		json_stringn(&j, text != NULL ? text : "", textlen);
	} else if (!one_row(command)) {
		json_name(&j, "ok");
		json_bool(&j, true);
		json_name(&j, "text");
		json_string(&j, said[0] != '\0' ? said : NULL);
	}
	json_end_object(&j);
	return print(&j);
}

static void
json_error(const char *why)
{
	struct json e;

	json_init(&e);
	json_object(&e);
	json_name(&e, "error");
	json_string(&e, why);
	json_end_object(&e);
	print(&e);
}

const struct output output_json = {
	json_head, json_row, json_tail, json_error
};
