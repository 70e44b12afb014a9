/* SPDX-License-Identifier: ISC */

/*
 * lex.h: words of a configuration text: files and their includes, macros,
 * quotes, comments.  Knows nothing of the grammar but braces and lines.
 */
#ifndef LEX_H
#define LEX_H

#include <stdbool.h>
#include <stdio.h>

struct lex;

/* A word and where it stood; lives until lex_free(). */
struct word {
	struct word	*all;		/* chain of all words */
	struct word	*next, *last;	/* for lists, by the parser */
	const char	*text;
	const char	*file;
	int		 line;
	bool		 quoted;
};

enum lex_kind {
	LEX_END,			/* end of everything */
	LEX_NEWLINE,
	LEX_WORD,			/* bare: may be a keyword */
	LEX_QUOTED,
	LEX_NAME,			/* bare, and "=" comes next */
	LEX_CHAR,			/* one of { } , = */
	LEX_BAD,			/* an error that was reported */
	LEX_SYNC			/* end of what lex_sync() skips */
};

/* Errors go to err. */
struct lex *lex_new(FILE *err);
void	 lex_free(struct lex *);

/*
 * What to read: a file ("-": stdin), or text under the given name.  Returns
 * 0, or -1 after reporting why not.
 */
int	 lex_file(struct lex *, const char *path);
int	 lex_text(struct lex *, const char *name, const char *text);

/* "name=value" of -D; wins over the file's.  Returns 0 or -1 (reported). */
int	 lex_define(struct lex *, const char *arg);
/* name = "value" in the file. */
void	 lex_macro(struct lex *, struct word *name, struct word *value);
/* Read another file next; relative to the file w stands in. */
void	 lex_include(struct lex *, struct word *w);

/* The next word; *w is never NULL (an end has a text for messages, too). */
enum lex_kind lex_next(struct lex *, struct word **w);

/*
 * The word read last does not fit.  Skip to the end of its statement, in a
 * block of that many braces: the next word is LEX_SYNC, the one after it the
 * next statement, or the "}" that ends the block.
 */
void	 lex_sync(struct lex *, int depth);

/*
 * Report FILE:LINE: near "WORD": expected ...; fmt begins behind "expected ".
 * At most 20, then the text ends early.
 */
void	 lex_error(struct lex *, const struct word *, const char *fmt, ...)
	    __attribute__((__format__(printf, 3, 4)));
/* Errors so far. */
int	 lex_errors(const struct lex *);
/*
 * Is this the end of the text, and a "{" still open?  Then this is reported
 * already, for the innermost one.
 */
bool	 lex_unclosed(struct lex *);

#endif /* LEX_H */
