/* SPDX-License-Identifier: ISC */
/* conf_fuzz.c: configuration text: lexer, grammar, builders, printing. */
/* LINK: regress/fuzz/replay.c parse.y tunneld/lex.c tunneld/conf.c tunneld/conf_build.c tunneld/conf_blocks.c tunneld/conf_value.c tunneld/conf_print.c tunneld/conf_diff.c tunneld/log.c tunneld/logfmt.c tunneld/util.c tunneld/stats.c lib/addr.c lib/url.c lib/json.c lib/utf8.c lib/visstr.c compat/shm.c compat/fdstat.c */

#include "compat.h"

#include <sys/mman.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "fuzz.h"

/*
 * An include finds a file of ours, never one of this machine: behind a byte
 * of 1, which no configuration holds, stands its content; behind a second one
 * what -D gives.
 */
static int	 include_fd = -1;

static int
include_open(const char *path, int flags)
{
	char	 self[32];

	if (include_fd == -1 || strstr(path, "inc") == NULL) {
		errno = ENOENT;
		return (-1);
	}
	(void)snprintf(self, sizeof(self), "/dev/fd/%d", include_fd);
	return (open(self, flags));
}
#define open(path, flags)	include_open(path, flags)
#include "../../tunneld/lex_input.c"
#undef open

#include "conf.h"
#include "conf_diff.h"

static char *
print(const struct conf *c)
{
	char	*text;
	size_t	 len;
	FILE	*f;

	CHECK((f = open_memstream(&text, &len)) != NULL);
	conf_print(c, f);
	CHECK(fclose(f) == 0 && strlen(text) == len);
	return (text);
}

/* Errors are lines of text: what a terminal is shown. */
static struct conf *
parse(const char *text, char **macros)
{
	struct conf	*c;
	char		*err;
	size_t		 len, i;
	FILE		*f;

	CHECK((f = open_memstream(&err, &len)) != NULL);
	c = conf_parse(NULL, text, macros, f);
	CHECK(fclose(f) == 0);
	CHECK((c == NULL) == (len > 0));
	CHECK(len == 0 || err[len - 1] == '\n');
	for (i = 0; i < len; i++)
		CHECK(err[i] == '\n' || ((unsigned char)err[i] >= ' ' &&
		    err[i] != 0x7f));
	free(err);
	return (c);
}

/* All that a child will look for is there, and found by its number. */
static void
check_ids(const struct conf *c)
{
	struct conf_server	*s;
	struct conf_loc		*l;
	struct conf_forward	*f;

	TAILQ_FOREACH(s, &c->servers, entry) {
		CHECK(s->id != 0 && conf_server_by_id(c, s->id) == s);
		CHECK(!TAILQ_EMPTY(&s->listens));
		TAILQ_FOREACH(l, &s->locs, entry) {
			CHECK(l->server == s);
			CHECK(l->id != 0 && conf_loc_by_id(c, l->id) == l);
		}
		(void)conf_loc_match(s, "/");
	}
	TAILQ_FOREACH(f, &c->forwards, entry)
		CHECK(f->id != 0 && conf_forward_by_id(c, f->id) == f);
}

/* What is printed parses to what prints the same, and changes nothing. */
static void
check_good(struct conf *c)
{
	struct conf	*again;
	char		*first = print(c), *second, err[256] = "";

	if ((again = parse(first, NULL)) == NULL) {
		fputs(first, stderr);
		CHECK(again != NULL);
	}
	second = print(again);
	if (strcmp(first, second) != 0) {
		fprintf(stderr, "%s----\n%s", first, second);
		CHECK(0);
	}
	CHECK(conf_adopt(c, NULL, err, sizeof(err)) == 0 && c->generation ==
	    1);
	check_ids(c);
	CHECK(conf_adopt(again, c, err, sizeof(err)) == 0 &&
	    again->generation == 2);
	check_ids(again);
	free(first);
	free(second);
	conf_unref(again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf	*c;
	char		*text, *include, *define = NULL;
	char		*macros[2] = { NULL, NULL };

	if (size > 16384)
		return (0);
	text = fuzz_text(data, size);
	if ((include = strchr(text, 1)) != NULL) {
		*include++ = '\0';
		if ((define = strchr(include, 1)) != NULL)
			*define++ = '\0';
		CHECK((include_fd = memfd_create("include",
		    MFD_CLOEXEC)) != -1);
		CHECK(write(include_fd, include, strlen(include)) ==
		    (ssize_t)strlen(include));
		macros[0] = define;
	}
	if ((c = parse(text, macros)) != NULL)
		check_good(c);
	conf_unref(c);
	if (include_fd != -1)
		close(include_fd);
	include_fd = -1;
	free(text);
	return (0);
}
