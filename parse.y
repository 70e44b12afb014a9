%{
/* SPDX-License-Identifier: ISC */

/*
 * parse.y: the grammar of tunneld.conf(5).  Actions call conf_*() builders
 * and do nothing else.
 *
 * Statements end where the next one begins; a newline inside one is an error
 * except in { }.  The empty w_*() rules say what is expected next, for the
 * message when something else comes.  After an error the lexer skips the rest
 * of the statement and says SYNC.
 */

#include "compat.h"

#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "conf_build.h"
#include "lex.h"

/* One parser at a time: yacc's interface leaves no other way. */
static struct lex	*lx;
static struct build	*b;
static struct word	*last;		/* what yylex() returned last */
static enum lex_kind	 last_kind;
static const char	*wanted;
static int		 level;		/* blocks we are in */

static void	want(const char *);
static void	in_top(void);
static void	in_server(void);
static void	in_loc(void);
static void	in_forward(void);
static void	set_macro(struct word *, struct word *);
int		yylex(void);
void		yyerror(const char *);
int		yyparse(void);
%}

%union {
	struct word	*w;
}

%token		SYNC NOTYET
%token	<w>	STRING NAME
%token	<w>	AGE ALLOW CHROOT CONTROL KECHO EVERY FORMAT FORWARD FROM GRACE
%token	<w>	HALFCLOSE HEALTH HOSTS INCLUDE KEEP LEVEL LISTEN LOCATION LOG
%token	<w>	MAXHEADERBYTES MAXHEADERS MAXREQUESTLINE MAXSESSIONS
%token	<w>	MAXPERSOURCE MAXIMUM MESSAGE METRICS MODE OFFWORD ON ORIGIN
%token	<w>	PING PORT PREFORK RESOLVER SERVER SIZE SOCKET STDERR STRICT
%token	<w>	SUBPROTOCOL SYSLOG TEXT TIMEOUT TO TRUSTED UNIX USER VIA WAIT
%type	<w>	valoff list items syslogsock ctlmode word

%%

stmts	: /* empty */
	| stmts '\n'
	| stmts stmt			{ in_top(); }
	| stmts error SYNC		{ yyerrok; in_top(); }
	;

stmt	: INCLUDE w_file STRING		{ lex_include(lx, $3); }
	| NAME '=' w_value STRING	{ set_macro($1, $4); }
	| USER w_user STRING		{ conf_set_user(b, $1, $3); }
	| CHROOT w_dir valoff		{ conf_set_chroot(b, $1, $3); }
	| PREFORK w_number STRING	{ conf_set(b, SET_PREFORK, $1, $3); }
	| GRACE w_timeoff valoff	{ conf_set(b, SET_GRACE, $1, $3); }
	| CONTROL w_control control
	| LOG w_log log
	| TIMEOUT w_timeout STRING w_timeoff valoff {
		conf_set_timeout(b, $3, $5);
	}
	| PING w_ping ping
	| RESOLVER w_addr STRING w_port PORT w_portno STRING {
		conf_add_resolver(b, $3, $7);
	}
	| HOSTS w_path STRING		{ conf_set_hosts(b, $1, $3); }
	| server
	| forward
	;

control	: OFFWORD			{ conf_set_control(b, $1, NULL, NULL); }
	| SOCKET w_path STRING w_mode ctlmode {
		conf_set_control(b, $1, $3, $5);
	}
	;

ctlmode	: /* empty */			{ $$ = NULL; }
	| MODE w_modeno STRING		{ $$ = $3; }
	;

log	: TO w_logdest logdest logopts
	| LEVEL w_level STRING		{ conf_set_log_level(b, $1, $3); }
	;

logdest	: STDERR		{ conf_set_log(b, $1, LOG_STDERR, NULL); }
	| SYSLOG w_syslog syslogsock {
		conf_set_log(b, $1, LOG_SYSLOG, $3);
	}
	| STRING		{ conf_set_log(b, $1, LOG_FILE, $1); }
	;

syslogsock
	: /* empty */			{ $$ = NULL; }
	| STRING
	;

logopts	: w_logopt
	| logopts logopt w_logopt
	;

logopt	: FORMAT w_format word {
		conf_set_log_option(b, SET_LOG_FORMAT, $1, $3);
	}
	| SIZE w_sizeoff valoff {
		conf_set_log_option(b, SET_LOG_SIZE, $1, $3);
	}
	| AGE w_timeoff valoff {
		conf_set_log_option(b, SET_LOG_AGE, $1, $3);
	}
	| KEEP w_number STRING {
		conf_set_log_option(b, SET_LOG_KEEP, $1, $3);
	}
	;

ping	: OFFWORD			{ conf_set_ping(b, $1, NULL, NULL); }
	| EVERY w_time STRING w_pingtimeout TIMEOUT w_time STRING {
		conf_set_ping(b, $1, $3, $7);
	}
	;

/* A value, one that may be "off", one that happens to be a keyword. */
valoff	: STRING
	| OFFWORD
	;

word	: STRING
	| TEXT
	;

/* The words of a list, chained. */
list	: '{' w_item nls items '}'	{ $$ = $4; }
	;

items	: STRING w_more			{ $$ = $1; $$->last = $1; }
	| items STRING {
		$1->last->next = $2;
		$1->last = $2;
		$$ = $1;
	}
	| items ','
	| items '\n'
	;

nls	: /* empty */
	| nls '\n'
	;

/* ----------------------------------------------------------- servers */

server	: SERVER w_name STRING { conf_server_begin(b, $3); } w_open nls
	    '{' { in_server(); } sstmts '}' { conf_server_end(b); }
	;

sstmts	: /* empty */
	| sstmts '\n'
	| sstmts sstmt			{ in_server(); }
	| sstmts error SYNC		{ yyerrok; in_server(); }
	;

sstmt	: LISTEN w_on ON w_addrany STRING w_port PORT w_portno STRING {
		conf_server_listen(b, $5, $9);
	}
	| MAXSESSIONS w_numberoff valoff {
		conf_set(b, SET_MAX_SESSIONS, $1, $3);
	}
	| MAXPERSOURCE w_numberoff valoff {
		conf_set(b, SET_MAX_PER_SOURCE, $1, $3);
	}
	| MAXREQUESTLINE w_size STRING {
		conf_set(b, SET_MAX_REQUEST_LINE, $1, $3);
	}
	| MAXHEADERS w_number STRING {
		conf_set(b, SET_MAX_HEADERS, $1, $3);
	}
	| MAXHEADERBYTES w_size STRING {
		conf_set(b, SET_MAX_HEADER_BYTES, $1, $3);
	}
	| TRUSTED w_list list		{ conf_server_trusted(b, $1, $3); }
	| origin
	| location
	| include
	;

include	: INCLUDE w_file STRING		{ lex_include(lx, $3); }
	;

origin	: ORIGIN w_origin STRING	{ conf_set_origin(b, $1, $3, NULL); }
	| ORIGIN w_origin list		{ conf_set_origin(b, $1, NULL, $3); }
	;

/* --------------------------------------------------------- locations */

location: LOCATION w_pattern STRING { conf_loc_begin(b, $3); } w_open nls
	    '{' { in_loc(); } lstmts '}' { conf_loc_end(b); }
	;

lstmts	: /* empty */
	| lstmts '\n'
	| lstmts lstmt			{ in_loc(); }
	| lstmts error SYNC		{ yyerrok; in_loc(); }
	;

lstmt	: FORWARD w_to TO w_target STRING w_port PORT w_portno STRING {
		conf_loc_forward(b, $1, $5, $9);
	}
	| FORWARD w_to TO w_target UNIX w_path STRING {
		conf_loc_unix(b, $1, $7);
	}
	| FORWARD w_to TO w_target list	{ conf_loc_list(b, $1, $5); }
	| KECHO				{ conf_loc_plain(b, $1, LOC_ECHO); }
	| HEALTH			{ conf_loc_plain(b, $1, LOC_HEALTH); }
	| METRICS			{ conf_loc_plain(b, $1, LOC_METRICS); }
	| TEXT w_any STRING		{ conf_loc_text(b, $1, $3); }
	| origin
	| ALLOW w_from FROM w_list list	{ conf_loc_allow(b, $1, $5); }
	| MAXSESSIONS w_numberoff valoff {
		conf_set(b, SET_LOC_MAX_SESSIONS, $1, $3);
	}
	| MESSAGE w_max MAXIMUM w_size STRING {
		conf_set(b, SET_LOC_MESSAGE, $1, $5);
	}
	| strict
	| subprotocol
	| include
	;

strict	: STRICT w_close STRING w_yesno STRING {
		conf_set_strict(b, $1, $3, $5);
	}
	;

subprotocol
	: SUBPROTOCOL w_proto STRING	{ conf_set_subprotocol(b, $1, $3); }
	;

/* ---------------------------------------------------------- forwards */

forward	: FORWARD w_fwdaddr fwdfrom w_via VIA w_url STRING {
		conf_forward_url(b, $7);
	} fopts fblock			{ conf_forward_end(b); }
	;

fwdfrom	: STRING w_port PORT w_portno STRING {
		conf_forward_begin(b, $1, $1, $5);
	}
	| UNIX w_path STRING		{ conf_forward_unix(b, $1, $3); }
	;

fopts	: w_fopt
	| fopts fopt w_fopt
	;

fblock	: /* empty */
	| '{' { in_forward(); } fstmts '}'
	;

fstmts	: /* empty */
	| fstmts '\n'
	| fstmts fopt			{ in_forward(); }
	| fstmts error SYNC		{ yyerrok; in_forward(); }
	;

fopt	: strict
	| subprotocol
	| MESSAGE w_max MAXIMUM w_size STRING {
		conf_set(b, SET_FORWARD_MESSAGE, $1, $5);
	}
	| HALFCLOSE w_half WAIT w_timeoff valoff {
		conf_forward_half_close(b, $1, $5, NULL);
	}
	| HALFCLOSE w_half STRING {
		conf_forward_half_close(b, $1, NULL, $3);
	}
	;

/* --------------------------------------------- what is expected next */

w_addr	: { want("a numeric address"); } ;
w_addrany: { want("a numeric address, or *"); } ;
w_any	: { want("\"any\""); } ;
w_close	: { want("\"close\""); } ;
w_control: { want("\"socket\" and a path, or \"off\""); } ;
w_dir	: { want("the path of a directory, or \"off\""); } ;
w_file	: { want("the name of a file in quotes"); } ;
w_fopt	: { want("subprotocol, half-close, message, strict, \"{\" or the "
		"end of the line"); } ;
w_format: { want("text, json or pretty"); } ;
w_from	: { want("\"from\""); } ;
w_fwdaddr: { want("a numeric address or *, or \"unix\" and a path"); } ;
w_half	: { want("\"wait\" and a time, or \"close\""); } ;
w_item	: { want("at least one word in this list"); } ;
w_level	: { want("brief, verbose or debug"); } ;
w_list	: { want("a list of address blocks in { }"); } ;
w_log	: { want("\"to\" or \"level\""); } ;
w_logdest: { want("stderr, syslog, or the path of a file in quotes"); } ;
w_logopt: { want("format, size, age, keep or the end of the line"); } ;
w_max	: { want("\"max\""); } ;
w_mode	: { want("\"mode\" or the end of the line"); } ;
w_modeno: { want("an octal mode such as 0660"); } ;
w_more	: { want("another word of this list, or \"}\""); } ;
w_name	: { want("the name of the server in quotes"); } ;
w_number: { want("a number"); } ;
w_numberoff: { want("a number, or \"off\""); } ;
w_on	: { want("\"on\""); } ;
w_open	: { want("\"{\""); } ;
w_origin: { want("same-host, any, or a list of origins in { }"); } ;
w_path	: { want("a path in quotes"); } ;
w_pattern: { want("the path of the location in quotes"); } ;
w_ping	: { want("\"every\" and a time, or \"off\""); } ;
w_pingtimeout: { want("\"timeout\" and a time"); } ;
w_port	: { want("\"port\" and a number"); } ;
w_portno: { want("the number of a port"); } ;
w_proto	: { want("\"sokken\""); } ;
w_size	: { want("a size such as 32K"); } ;
w_sizeoff: { want("a size such as 10M, or \"off\""); } ;
w_syslog: { want("the path of a socket, format or the end of the line"); } ;
w_target: { want("a host, \"unix\" and a path, or a list of targets in "
		"{ }"); } ;
w_time	: { want("a time such as 10s"); } ;
w_timeoff: { want("a time such as 10s, or \"off\""); } ;
w_timeout: { want("handshake, connect, close, stall or idle"); } ;
w_to	: { want("\"to\""); } ;
w_url	: { want("a URL such as \"ws://host:port/path\""); } ;
w_user	: { want("the name of a user in quotes"); } ;
w_value	: { want("a value in quotes"); } ;
w_via	: { want("\"via\" and a URL"); } ;
w_yesno	: { want("yes or no"); } ;

%%

/* Sorted, for bsearch(3). */
static const struct keyword {
	const char	*word;
	int		 token;
} keywords[] = {
	{ "age",			AGE },
	{ "allow",			ALLOW },
	{ "chroot",			CHROOT },
	{ "control",			CONTROL },
	{ "echo",			KECHO },
	{ "every",			EVERY },
	{ "expose",			NOTYET },
	{ "format",			FORMAT },
	{ "forward",			FORWARD },
	{ "from",			FROM },
	{ "grace",			GRACE },
	{ "half-close",			HALFCLOSE },
	{ "health",			HEALTH },
	{ "hosts",			HOSTS },
	{ "include",			INCLUDE },
	{ "keep",			KEEP },
	{ "level",			LEVEL },
	{ "listen",			LISTEN },
	{ "location",			LOCATION },
	{ "log",			LOG },
	{ "max",			MAXIMUM },
	{ "max-header-bytes",		MAXHEADERBYTES },
	{ "max-headers",		MAXHEADERS },
	{ "max-request-line",		MAXREQUESTLINE },
	{ "max-sessions",		MAXSESSIONS },
	{ "max-sessions-per-source",	MAXPERSOURCE },
	{ "message",			MESSAGE },
	{ "metrics",			METRICS },
	{ "mode",			MODE },
	{ "off",			OFFWORD },
	{ "on",				ON },
	{ "origin",			ORIGIN },
	{ "ping",			PING },
	{ "port",			PORT },
	{ "prefork",			PREFORK },
	{ "resolver",			RESOLVER },
	{ "server",			SERVER },
	{ "size",			SIZE },
	{ "socket",			SOCKET },
	{ "stderr",			STDERR },
	{ "strict",			STRICT },
	{ "subprotocol",		SUBPROTOCOL },
	{ "syslog",			SYSLOG },
	{ "text",			TEXT },
	{ "timeout",			TIMEOUT },
	{ "tls",			NOTYET },
	{ "to",				TO },
	{ "trusted-proxies",		TRUSTED },
	{ "tunnel",			NOTYET },
	{ "unix",			UNIX },
	{ "user",			USER },
	{ "users",			NOTYET },
	{ "via",			VIA },
	{ "wait",			WAIT }
};

static int
keyword_compare(const void *key, const void *k)
{
	return strcmp(key, ((const struct keyword *)k)->word);
}

static int
keyword(const struct word *w)
{
	const struct keyword	*k;

	k = bsearch(w->text, keywords, nitems(keywords), sizeof(keywords[0]),
	    keyword_compare);
	return k == NULL ? STRING : k->token;
}

int
yylex(void)
{
	last_kind = lex_next(lx, &last);
	yylval.w = last;
	switch (last_kind) {
	case LEX_END:
		return 0;
	case LEX_NEWLINE:
		return '\n';
	case LEX_WORD:
		return keyword(last);
	case LEX_QUOTED:
		return STRING;
	case LEX_NAME:
		return NAME;
	case LEX_CHAR:
		return last->text[0];
	case LEX_SYNC:
		return SYNC;
	case LEX_BAD:
		break;
	}
	/* No rule has it; yyerror() knows that all is said. */
	return NOTYET;
}

static void
want(const char *what)
{
	wanted = what;
}

void
yyerror(const char *msg)
{
	bool	 bare = last_kind == LEX_WORD || last_kind == LEX_NAME;

	if (last_kind == LEX_BAD)
		;
	else if (bare && keyword(last) == NOTYET)
		lex_error(lx, last, "no \"%s\": it is not built yet",
		    last->text);
	else if (lex_unclosed(lx))
		;
	else if (last_kind == LEX_NAME && level > 0)
		lex_error(lx, last, "no \"=\" here: macros are set outside "
		    "of { }");
	else
		lex_error(lx, last, "%s", wanted);
	lex_sync(lx, level);
}

static void
set_macro(struct word *name, struct word *value)
{
	if (keyword(name) != STRING)
		lex_error(lx, name, "no \"=\" behind a keyword, or another "
		    "name for a macro");
	else
		lex_macro(lx, name, value);
}

/* What may come next, and which blocks are closed, in each kind of block. */

static void
in_top(void)
{
	level = 0;
	b->server = NULL;
	b->loc = NULL;
	b->forward = NULL;
	want("chroot, control, forward, grace, hosts, include, log, ping, "
	    "prefork, resolver, server, timeout, user, or name = \"value\"");
}

static void
in_server(void)
{
	level = 1;
	b->loc = NULL;
	want("listen, location, max-header-bytes, max-headers, "
	    "max-request-line, max-sessions, max-sessions-per-source, origin, "
	    "trusted-proxies or \"}\"");
}

static void
in_loc(void)
{
	level = 2;
	want("allow, echo, forward, health, max-sessions, message, metrics, "
	    "origin, strict, subprotocol, text or \"}\"");
}

static void
in_forward(void)
{
	level = 1;
	want("half-close, message, strict, subprotocol or \"}\"");
}

/* Start reading; -1: reported. */
static int
open_input(const char *file, const char *text, char **macros)
{
	int	 r = 0;

	for (; macros != NULL && *macros != NULL; macros++)
		if (lex_define(lx, *macros) == -1)
			r = -1;
	if (file != NULL)
		return lex_file(lx, file) == -1 ? -1 : r;
	return lex_text(lx, "<command line>", text) == -1 ? -1 : r;
}

struct conf *
conf_parse(const char *file, const char *text, char **macros, FILE *err)
{
	struct build	 build;
	struct conf	*c;

	memset(&build, 0, sizeof(build));
	b = &build;
	c = b->c = conf_new();
	c->file = build_strdup(file == NULL ? "<command line>" :
	    strcmp(file, "-") == 0 ? "<stdin>" : file);
	lx = b->lx = lex_new(err);
	in_top();
	if (open_input(file, text, macros) == -1 || yyparse() != 0 ||
	    lex_errors(lx) > 0) {
		conf_unref(c);
		c = NULL;
	}
	lex_free(lx);
	lx = NULL;
	b = NULL;
	return c;
}
