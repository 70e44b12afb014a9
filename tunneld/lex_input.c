/* SPDX-License-Identifier: ISC */

/* lex_input.c: what the lexer reads: files, includes, values of macros. */

#include "compat.h"

#include <sys/types.h>
#include <sys/stat.h>

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lex_int.h"
#include "log.h"

#define INCLUDE_DEPTH	16
#define TOTAL_MAX	(4 * 1024 * 1024)	/* bytes of all files */
#define FILES_MAX	1000		/* files read, the same one again too */

void *
lex_alloc(size_t size)
{
	void	*p;

	if ((p = calloc(1, size)) == NULL)
		fatal("calloc");
	return p;
}

static char *
xstrdup(const char *s)
{
	char	*p;

	if ((p = strdup(s)) == NULL)
		fatal("strdup");
	return p;
}

struct lex *
lex_new(FILE *err)
{
	struct lex	*lx = lex_alloc(sizeof(*lx));

	lx->err = err;
	TAILQ_INIT(&lx->stack);
	TAILQ_INIT(&lx->macros);
	lx->mark.text = "end of file";
	lx->mark.file = "";
	return lx;
}

void
lex_pop(struct lex *lx)
{
	struct source	*s = TAILQ_FIRST(&lx->stack);

	TAILQ_REMOVE(&lx->stack, s, entry);
	free(s->buf);
	free(s);
}

void
lex_free(struct lex *lx)
{
	struct macro	*m;
	struct word	*w;
	struct name	*n;

	while (!TAILQ_EMPTY(&lx->stack))
		lex_pop(lx);
	while ((m = TAILQ_FIRST(&lx->macros)) != NULL) {
		TAILQ_REMOVE(&lx->macros, m, entry);
		free(m->name);
		free(m->value);
		free(m);
	}
	while ((w = lx->words) != NULL) {
		lx->words = w->all;
		free(w);
	}
	while ((n = lx->names) != NULL) {
		lx->names = n->next;
		free(n->text);
		free(n);
	}
	free(lx);
}

static const char *
keep_name(struct lex *lx, const char *text)
{
	struct name	*n = lex_alloc(sizeof(*n));

	n->text = xstrdup(text);
	n->next = lx->names;
	lx->names = n;
	return n->text;
}

/* -------------------------------------------------------------- sources */

/*
 * Text that holds control bytes is no configuration.  Says where, and returns
 * -1; what follows would be noise.
 */
static int
check_bytes(struct lex *lx, const char *name, const char *p, size_t len)
{
	struct word	 w = { .file = name, .line = 1 };
	char		 byte[8];
	size_t		 i;

	for (i = 0; i < len; i++) {
		unsigned char	c = (unsigned char)p[i];

		if (c == '\n') {
			w.line++;
			continue;
		}
		if ((c >= ' ' && c != 0x7f) || c == '\t')
			continue;
		(void)snprintf(byte, sizeof(byte), "0x%02x", c);
		w.text = byte;
		if (c == '\r' && i + 1 < len && p[i + 1] == '\n')
			lex_error(lx, &w, "lines that end in a newline only, "
			    "without a carriage return");
		else
			lex_error(lx, &w, "text, not a control byte");
		lx->hopeless = true;
		return -1;
	}
	return 0;
}

struct source *
lex_push(struct lex *lx, const char *name, char *buf, const char *text)
{
	struct source	*s = lex_alloc(sizeof(*s));

	s->name = name;
	s->buf = buf;
	s->p = text;
	s->line = 1;
	s->depth = lx->depth;
	TAILQ_INSERT_HEAD(&lx->stack, s, entry);
	return s;
}

/* All of fd as text with NUL; NULL with errno.  EFBIG: beyond our bound. */
static char *
slurp(struct lex *lx, int fd, size_t *lenp)
{
	size_t	 len = 0, size = 0;
	ssize_t	 n;
	char	*buf = NULL, *nbuf;

	for (;;) {
		if (len + 1 >= size) {
			size = size == 0 ? 8192 : size * 2;
			if ((nbuf = realloc(buf, size)) == NULL)
				fatal("realloc");
			buf = nbuf;
		}
		n = read(fd, buf + len, size - len - 1);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1) {
			free(buf);
			return NULL;
		}
		if (n == 0)
			break;
		len += (size_t)n;
		if (lx->total + len > TOTAL_MAX) {
			free(buf);
			errno = EFBIG;
			return NULL;
		}
	}
	buf[len] = '\0';
	lx->total += len;
	*lenp = len;
	return buf;
}

static const char *
why(int error)
{
	return error == EFBIG ? "more than 4 MB of configuration" :
	    strerror(error);
}

/*
 * Read fd (taken) and put it on the stack.  Returns 0, or -1 with errno, or
 * with errno 0 when the reason has been reported.
 */
static int
push_fd(struct lex *lx, int fd, const char *name)
{
	struct source	*s;
	struct stat	 st;
	size_t		 len;
	char		*buf;
	int		 error;

	if (fstat(fd, &st) == -1 || (buf = slurp(lx, fd, &len)) == NULL) {
		error = errno;
		close(fd);
		errno = error;
		return -1;
	}
	close(fd);
	if (check_bytes(lx, name, buf, len) == -1) {
		free(buf);
		errno = 0;
		return -1;
	}
	s = lex_push(lx, name, buf, buf);
	s->known = true;
	s->dev = st.st_dev;
	s->ino = st.st_ino;
	return 0;
}

int
lex_file(struct lex *lx, const char *path)
{
	const char	*name;
	int		 fd;

	if (strcmp(path, "-") == 0) {
		name = "<stdin>";
		fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
	} else {
		name = keep_name(lx, path);
		fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	if (fd == -1 || push_fd(lx, fd, name) == -1) {
		if (errno != 0)
			fprintf(lx->err, "%s: %s\n", name, why(errno));
		lx->errors++;
		return -1;
	}
	return 0;
}

int
lex_text(struct lex *lx, const char *name, const char *text)
{
	if (check_bytes(lx, name, text, strlen(text)) == -1)
		return -1;
	lex_push(lx, keep_name(lx, name), NULL, text);
	return 0;
}

/* Is this file being read already?  Or too many of them? */
static const char *
include_check(struct lex *lx, int fd)
{
	const struct source	*s;
	struct stat		 st;
	int			 depth = 0;

	if (fstat(fd, &st) == -1)
		return strerror(errno);
	if (!S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? "Is a directory" :
		    "Not a regular file";
	TAILQ_FOREACH(s, &lx->stack, entry) {
		if (s->macro)
			continue;
		if (s->known && s->dev == st.st_dev && s->ino == st.st_ino)
			return "it would include itself";
		if (++depth == INCLUDE_DEPTH)
			return "includes are nested too deep";
	}
	if (++lx->files > FILES_MAX)
		return "too many includes";
	return NULL;
}

void
lex_include(struct lex *lx, struct word *w)
{
	const char	*slash, *reason = NULL, *name;
	char		 path[PATH_MAX];
	int		 fd, n;

	slash = strrchr(w->file, '/');
	if (w->text[0] == '/' || slash == NULL)
		n = snprintf(path, sizeof(path), "%s", w->text);
	else
		n = snprintf(path, sizeof(path), "%.*s%s",
		    (int)(slash - w->file + 1), w->file, w->text);
	if (n < 0 || (size_t)n >= sizeof(path)) {
		lex_error(lx, w, "a shorter file name");
		return;
	}
	/* Not to wait for a writer of a FIFO. */
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd == -1)
		reason = strerror(errno);
	else if ((reason = include_check(lx, fd)) != NULL)
		close(fd);
	else {
		name = keep_name(lx, path);
		if (push_fd(lx, fd, name) == -1 && errno != 0)
			reason = why(errno);
	}
	if (reason != NULL)
		lex_error(lx, w, "a file to include: %s: %s", path, reason);
}

/* --------------------------------------------------------------- macros */

static bool
name_start(char c)
{
	return isalpha((unsigned char)c) || c == '_';
}

static bool
name_char(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-';
}

size_t
lex_name_len(const char *p)
{
	size_t	 n = 0;

	if (name_start(*p))
		while (name_char(p[n]))
			n++;
	return n;
}

static struct macro *
macro_find(struct lex *lx, const char *name, size_t len)
{
	struct macro	*m;

	TAILQ_FOREACH(m, &lx->macros, entry)
		if (strlen(m->name) == len && memcmp(m->name, name, len) == 0)
			return m;
	return NULL;
}

static struct macro *
macro_add(struct lex *lx, const char *name, size_t len, const char *value)
{
	struct macro	*m = lex_alloc(sizeof(*m));

	if ((m->name = strndup(name, len)) == NULL)
		fatal("strndup");
	m->value = xstrdup(value);
	TAILQ_INSERT_TAIL(&lx->macros, m, entry);
	return m;
}

int
lex_define(struct lex *lx, const char *arg)
{
	struct word	 w = { .text = arg, .file = "<command line>",
			    .line = 1 };
	size_t		 len = lex_name_len(arg);

	if (len == 0 || arg[len] != '=') {
		lex_error(lx, &w, "name=value behind -D");
		return -1;
	}
	if (check_bytes(lx, w.file, arg, strlen(arg)) == -1)
		return -1;
	if (strchr(arg, '\n') != NULL) {
		lex_error(lx, &w, "one line as the value of a macro");
		return -1;
	}
	if (macro_find(lx, arg, len) != NULL) {
		lex_error(lx, &w, "each macro only once");
		return -1;
	}
	macro_add(lx, arg, len, arg + len + 1)->cmdline = true;
	return 0;
}

void
lex_macro(struct lex *lx, struct word *name, struct word *value)
{
	struct macro	*m;
	size_t		 len = strlen(name->text);

	if (lex_name_len(name->text) != len) {
		lex_error(lx, name, "a name of letters, digits, \"-\" and "
		    "\"_\" before \"=\"");
		return;
	}
	if ((m = macro_find(lx, name->text, len)) == NULL) {
		m = macro_add(lx, name->text, len, value->text);
		m->line = name->line;
	} else if (!m->cmdline)
		lex_error(lx, name, "another name: this macro is set in "
		    "line %d already", m->line);
}

const char *
lex_macro_value(struct lex *lx, const char *name, size_t len)
{
	const struct macro	*m = macro_find(lx, name, len);

	return m == NULL ? NULL : m->value;
}
