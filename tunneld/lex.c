/* SPDX-License-Identifier: ISC */

/* lex.c: a configuration as words; messages about them. */

#include "compat.h"

#include <ctype.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lex_int.h"
#include "visstr.h"

#define ERRORS_MAX	20
#define EXPANDED_MAX	(4 * 1024 * 1024)	/* bytes, of all macros used */

/* ------------------------------------------------------------- messages */

void
lex_error(struct lex *lx, const struct word *w, const char *fmt, ...)
{
	char	 vis[VISSTR_SIZE(NEAR_MAX)];
	size_t	 len = strlen(w->text);
	va_list	 ap;

	if (lx->hopeless || lx->skipping)
		return;
	if (lx->errors == ERRORS_MAX) {
		fprintf(lx->err, "%s:%d: too many errors\n", w->file, w->line);
		lx->hopeless = true;
		return;
	}
	lx->errors++;
	visstr(vis, sizeof(vis), w->text, len > NEAR_MAX ? NEAR_MAX : len);
	fprintf(lx->err, "%s:%d: near \"%s%s\": expected ", w->file, w->line,
	    vis, len > NEAR_MAX ? "..." : "");
	va_start(ap, fmt);
	vfprintf(lx->err, fmt, ap);
	va_end(ap);
	fputc('\n', lx->err);
}

int
lex_errors(const struct lex *lx)
{
	return lx->errors;
}

bool
lex_unclosed(struct lex *lx)
{
	if (lx->kind != LEX_END || lx->depth == 0 || lx->depth > OPEN_KEPT)
		return false;
	lex_error(lx, &lx->mark, "\"}\" for the \"{\" in line %d",
	    lx->open[lx->depth - 1]);
	return true;
}

/* ---------------------------------------------------------------- words */

static struct word *
mark(struct lex *lx, const char *text)
{
	const struct source	*s = TAILQ_FIRST(&lx->stack);

	lx->mark.text = text;
	if (s != NULL) {
		lx->mark.file = s->name;
		lx->mark.line = s->line;
	}
	return &lx->mark;
}

static struct word *
word(struct lex *lx, const char *text, size_t len)
{
	const struct source	*s = TAILQ_FIRST(&lx->stack);
	struct word		*w = lex_alloc(sizeof(*w) + len + 1);
	char			*p = (char *)(w + 1);

	memcpy(p, text, len);
	w->text = p;
	w->file = s->name;
	w->line = s->line;
	w->all = lx->words;
	lx->words = w;
	return w;
}

static enum lex_kind
bad(struct lex *lx, struct word **wp, const char *text, size_t len,
    const char *expected)
{
	*wp = word(lx, text, len);
	lex_error(lx, *wp, "%s", expected);
	return LEX_BAD;
}

/* ---------------------------------------------------------------- lexer */

/* At "$": put the macro's value in its place. */
static enum lex_kind
expand(struct lex *lx, struct source *s, struct word **wp)
{
	struct source	*ns;
	const char	*p = s->p, *value;
	size_t		 len = lex_name_len(p + 1);

	s->p += 1 + len;
	if (lx->skipping) {
		*wp = word(lx, p, len + 1);
		return LEX_WORD;
	}
	if (len == 0)
		return bad(lx, wp, p, 1, "the name of a macro behind \"$\"");
	if (s->macro)
		return bad(lx, wp, p, len + 1,
		    "no macro in the value of a macro");
	if ((value = lex_macro_value(lx, p + 1, len)) == NULL)
		return bad(lx, wp, p, len + 1, "a macro that is set before: "
		    "name = \"value\"");
	if ((lx->expanded += strlen(value)) > EXPANDED_MAX) {
		lex_error(lx, word(lx, p, len + 1), "fewer or shorter macros");
		lx->hopeless = true;
		return LEX_SYNC;
	}
	ns = lex_push(lx, s->name, NULL, value);
	ns->macro = true;
	ns->line = s->line;
	return LEX_SYNC;		/* go on in there */
}

static enum lex_kind
quoted(struct lex *lx, struct source *s, struct word **wp)
{
	const char	*p = s->p + 1, *err = NULL;
	size_t		 n = 0;

	for (; *p != '"'; p++) {
		if (*p == '\0' || *p == '\n') {
			err = "a closing quote on the same line";
			break;
		}
		if (*p == '\t' && err == NULL)
			err = "no tab inside quotes";
		if (*p == '\\' && *++p != '"' && *p != '\\') {
			if (err == NULL)
				err = "\\\" or \\\\ behind a backslash "
				    "inside quotes";
			p--;
		}
		if (n < WORD_MAX)
			lx->buf[n++] = *p;
		else if (err == NULL)
			err = "a shorter word, at most 4096 bytes";
	}
	s->p = *p == '"' ? p + 1 : p;
	if (err != NULL)
		return bad(lx, wp, lx->buf, n, err);
	*wp = word(lx, lx->buf, n);
	(*wp)->quoted = true;
	return LEX_QUOTED;
}

/* A character of several bytes is shown as a whole. */
static size_t
char_len(const char *p)
{
	size_t	 n = 1;

	while (((unsigned char)p[n] & 0xc0) == 0x80 && n < 4)
		n++;
	return n;
}

static bool
bare_char(char c)
{
	return isalnum((unsigned char)c) ||
	    (c != '\0' && strchr("_-.:/[]*%@+~?&!()", c) != NULL);
}

static enum lex_kind
bare(struct lex *lx, struct source *s, struct word **wp)
{
	const char	*p = s->p, *q;
	size_t		 len, n;

	/*
	 * "=" may stand in a word (a URL's query) but not behind what can be
	 * the name of a macro.
	 */
	n = lex_name_len(p);
	for (q = p; bare_char(*q) || (*q == '=' && (size_t)(q - p) > n); q++)
		;
	len = (size_t)(q - p);
	if (len == 0) {
		len = char_len(p);
		s->p += len;
		return bad(lx, wp, p, len, strchr("\\'`", *p) != NULL ?
		    "a word, or one in \"quotes\"" :
		    "quotes around a word with this character");
	}
	s->p = q;
	if (len > WORD_MAX)
		return bad(lx, wp, p, NEAR_MAX + 1,
		    "a shorter word, at most 4096 bytes");
	*wp = word(lx, p, len);
	/* A word that goes on with what it may not hold is no word. */
	if (*q != '\0' && strchr(" \t\n#{},=\\", *q) == NULL)
		return bad(lx, wp, p, len + char_len(q),
		    "blanks between words, or quotes around all of it");
	while (*q == ' ' || *q == '\t')
		q++;
	return *q == '=' && len == n ? LEX_NAME : LEX_WORD;
}

static enum lex_kind
brace(struct lex *lx, struct source *s, struct word **wp)
{
	lx->ch = *s->p;
	*wp = word(lx, s->p++, 1);
	if (lx->ch == '{') {
		if (lx->depth < OPEN_KEPT)
			lx->open[lx->depth] = s->line;
		if (lx->depth < INT_MAX)
			lx->depth++;
	} else if (lx->ch == '}' && lx->depth > 0)
		lx->depth--;
	return LEX_CHAR;
}

/* The end of a source.  LEX_SYNC: go on in the one below. */
static enum lex_kind
source_end(struct lex *lx, struct source *s, struct word **wp)
{
	if (TAILQ_NEXT(s, entry) == NULL) {
		*wp = mark(lx, "end of file");
		return LEX_END;
	}
	if (s->macro) {
		lex_pop(lx);
		return LEX_SYNC;
	}
	*wp = mark(lx, "end of file");
	if (lx->depth != s->depth && !lx->skipping) {
		lex_error(lx, *wp, "as many \"}\" as \"{\" in an included "
		    "file");
		lx->hopeless = true;
	}
	lex_pop(lx);
	return LEX_NEWLINE;		/* it ends a statement as well */
}

static enum lex_kind
scan(struct lex *lx, struct word **wp)
{
	struct source	*s;
	enum lex_kind	 kind;

	for (;;) {
		if (lx->hopeless) {
			*wp = mark(lx, "end of file");
			return LEX_END;
		}
		s = TAILQ_FIRST(&lx->stack);
		switch (*s->p) {
		case ' ':
		case '\t':
			s->p++;
			continue;
		case '\\':
			if (s->p[1] != '\n')
				return bare(lx, s, wp);
			s->p += 2;
			s->line++;
			continue;
		case '#':
			s->p += strcspn(s->p, "\n");
			continue;
		case '\n':
			*wp = mark(lx, "end of line");
			s->p++;
			s->line++;
			return LEX_NEWLINE;
		case '\0':
			kind = source_end(lx, s, wp);
			break;
		case '"':
			return quoted(lx, s, wp);
		case '$':
			kind = expand(lx, s, wp);
			break;
		case '{':
		case '}':
		case ',':
		case '=':
			return brace(lx, s, wp);
		default:
			return bare(lx, s, wp);
		}
		if (kind != LEX_SYNC)
			return kind;
	}
}

/*
 * The rest of a statement that is not understood, with the blocks in it, so
 * that one mistake gives one message.
 */
static void
skip(struct lex *lx, struct word **wp)
{
	enum lex_kind	 kind = lx->kind;

	for (;;) {
		if (kind == LEX_END)
			break;
		if (kind == LEX_CHAR && lx->ch == '}' &&
		    lx->depth < lx->skipdepth) {
			/* The end of our block: it counts again. */
			lx->depth++;
			lx->unclosed = true;
			kind = LEX_SYNC;
			break;
		}
		if (kind == LEX_NEWLINE && lx->depth <= lx->skipdepth) {
			kind = LEX_SYNC;
			break;
		}
		kind = scan(lx, wp);
	}
	lx->skipping = false;
	lx->kind = kind;
	lex_unclosed(lx);
}

enum lex_kind
lex_next(struct lex *lx, struct word **wp)
{
	if (lx->skipping) {
		*wp = &lx->mark;
		skip(lx, wp);
	} else if (lx->unclosed) {
		lx->unclosed = false;
		lx->depth--;
		lx->ch = '}';
		*wp = word(lx, "}", 1);
		lx->kind = LEX_CHAR;
	} else
		lx->kind = scan(lx, wp);
	return lx->kind;
}

void
lex_sync(struct lex *lx, int depth)
{
	lx->skipping = true;
	lx->skipdepth = depth;
}
