/* SPDX-License-Identifier: ISC */

/* lex_int.h: what lex.c and lex_input.c share; nobody else includes it. */
#ifndef LEX_INT_H
#define LEX_INT_H

#include <sys/types.h>
#include <sys/queue.h>

#include "lex.h"

#define WORD_MAX	4096		/* bytes */
#define NEAR_MAX	40		/* bytes of a word in messages */
#define OPEN_KEPT	8		/* "{" whose lines are kept */

/*
 * A text being read; they are stacked.  The value of a macro is one, too:
 * what it holds is read as if it stood in place of $name.
 */
struct source {
	TAILQ_ENTRY(source) entry;
	const char	*name;
	char		*buf;		/* NUL-terminated; NULL: not ours */
	const char	*p;		/* next byte */
	int		 line;
	int		 depth;		/* braces open where it began */
	bool		 macro;
	bool		 known;		/* dev and ino are set */
	dev_t		 dev;
	ino_t		 ino;
};
TAILQ_HEAD(sources, source);

struct macro {
	TAILQ_ENTRY(macro) entry;
	char		*name;
	char		*value;
	bool		 cmdline;
	int		 line;
};
TAILQ_HEAD(macros, macro);

struct name {				/* of a file: words point at it */
	struct name	*next;
	char		*text;
};

struct lex {
	FILE		*err;
	struct sources	 stack;		/* the first is read from */
	struct macros	 macros;
	struct word	*words;
	struct name	*names;
	struct word	 mark;		/* ends of lines and of the file */
	enum lex_kind	 kind;		/* of the word returned last */
	char		 ch;		/* for LEX_CHAR */
	int		 depth;		/* braces open */
	int		 open[OPEN_KEPT];	/* their lines */
	int		 errors;
	int		 files;
	size_t		 total;		/* bytes of files read */
	size_t		 expanded;	/* bytes of macros used */
	bool		 hopeless;	/* there is nothing but the end */
	bool		 skipping;	/* errors are not reported, $ is not
					 * expanded */
	int		 skipdepth;
	bool		 unclosed;	/* return "}" once more */
	char		 buf[WORD_MAX + 1];
};

/* lex_input.c */
void	*lex_alloc(size_t);		/* zeroed, never NULL */
/*
 * Text that goes before what is read now.  Takes buf; with NULL text is
 * somebody else's and lives long enough, as name does.
 */
struct source *lex_push(struct lex *, const char *name, char *buf,
	    const char *text);
void	 lex_pop(struct lex *);
/* Length of the name that begins here, or 0. */
size_t	 lex_name_len(const char *);
/* The value of a macro that is set, or NULL. */
const char *lex_macro_value(struct lex *, const char *name, size_t len);

#endif /* LEX_INT_H */
