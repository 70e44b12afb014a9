/* SPDX-License-Identifier: ISC */

/*
 * conf_build.h: what the grammar's actions call: check words, add them to the
 * configuration that is being built.  Errors are reported through the lexer
 * and counted there; building goes on, to find more of them.  kw is always
 * the keyword of the setting, for "set twice".
 */
#ifndef CONF_BUILD_H
#define CONF_BUILD_H

#include <stdbool.h>

#include "conf.h"
#include "lex.h"

/* Everything that may be set once in its block. */
enum setting {
	SET_USER, SET_CHROOT, SET_PREFORK, SET_GRACE, SET_CONTROL, SET_LOG_TO,
	SET_LOG_FORMAT, SET_LOG_SIZE, SET_LOG_AGE, SET_LOG_KEEP, SET_LOG_LEVEL,
	SET_T_HANDSHAKE, SET_T_CONNECT, SET_T_CLOSE, SET_T_STALL, SET_T_IDLE,
	SET_PING, SET_PING_EVERY, SET_PING_TIMEOUT, SET_HOSTS,
	SET_MAX_SESSIONS, SET_MAX_PER_SOURCE, SET_MAX_REQUEST_LINE,
	SET_MAX_HEADERS, SET_MAX_HEADER_BYTES, SET_TRUSTED, SET_ORIGIN,
	SET_ACTION, SET_LOC_MAX_SESSIONS, SET_TEXT, SET_ALLOW, SET_STRICT,
	SET_SUBPROTOCOL, SET_LOC_MESSAGE, SET_FORWARD_MESSAGE, SET_HALF_CLOSE,
	SET_WAIT, SET_MAX
};

enum scope { IN_GLOBAL, IN_SERVER, IN_LOC, IN_FORWARD, SCOPE_MAX };

/* A configuration in the making. */
struct build {
	struct lex		*lx;
	struct conf		*c;
	struct conf_server	*server;	/* the blocks we are in */
	struct conf_loc		*loc;
	struct conf_forward	*forward;
	const struct word	*server_word, *loc_word;
	int			 server_errors, loc_errors;
	const struct word	*seen[SCOPE_MAX][SET_MAX];
	unsigned		 nservers, nlistens, nlocs, nforwards, nitems;
};

/* For the builders themselves: */
enum scope build_scope(const struct build *);
/* First time in this block?  Else reported, and false. */
bool	 build_once(struct build *, enum setting, const struct word *kw);
/* Lists are bounded all together.  false: reported. */
bool	 build_item(struct build *, const struct word *);
void	*build_alloc(size_t);			/* zeroed, never NULL */
char	*build_strdup(const char *);
char	*build_lower(const char *);		/* a copy in lower case */
/* 0, or -1 after a report. */
int	 build_port(struct build *, const struct word *, unsigned min,
	    uint16_t *);
int	 build_sunpath(struct build *, const struct word *);
int	 build_cidrs(struct build *, struct conf_cidrs *,
	    const struct word *list);
int	 build_origins(struct build *, struct conf_origins *,
	    const struct word *list);

/* Globals and plain values of any block. */
void	 conf_set(struct build *, enum setting, const struct word *kw,
	    const struct word *value);
void	 conf_set_user(struct build *, const struct word *kw,
	    const struct word *name);
void	 conf_set_chroot(struct build *, const struct word *kw,
	    const struct word *dir);		/* "off" unquoted: none */
void	 conf_set_hosts(struct build *, const struct word *kw,
	    const struct word *path);
void	 conf_set_control(struct build *, const struct word *kw,
	    const struct word *path, const struct word *mode); /* may be NULL */
void	 conf_set_log(struct build *, const struct word *kw,
	    enum log_dest, const struct word *path);	/* may be NULL */
void	 conf_set_log_option(struct build *, enum setting,
	    const struct word *kw, const struct word *value);
void	 conf_set_log_level(struct build *, const struct word *kw,
	    const struct word *level);
void	 conf_set_timeout(struct build *, const struct word *name,
	    const struct word *value);
void	 conf_set_ping(struct build *, const struct word *kw,
	    const struct word *every, const struct word *timeout); /* NULL: off */
void	 conf_add_resolver(struct build *, const struct word *addr,
	    const struct word *port);

/* Servers. */
void	 conf_server_begin(struct build *, const struct word *name);
void	 conf_server_end(struct build *);
void	 conf_server_listen(struct build *, const struct word *addr,
	    const struct word *port);
void	 conf_server_trusted(struct build *, const struct word *kw,
	    const struct word *list);
/* Of a server or location: a word, or a list. */
void	 conf_set_origin(struct build *, const struct word *kw,
	    const struct word *mode, const struct word *list);

/* Locations. */
void	 conf_loc_begin(struct build *, const struct word *pattern);
void	 conf_loc_end(struct build *);
void	 conf_loc_plain(struct build *, const struct word *kw, enum loc_kind);
void	 conf_loc_forward(struct build *, const struct word *kw,
	    const struct word *host, const struct word *port);
void	 conf_loc_unix(struct build *, const struct word *kw,
	    const struct word *path);
void	 conf_loc_list(struct build *, const struct word *kw,
	    const struct word *list);
void	 conf_loc_text(struct build *, const struct word *kw,
	    const struct word *any);
void	 conf_loc_allow(struct build *, const struct word *kw,
	    const struct word *list);
void	 conf_set_strict(struct build *, const struct word *kw,
	    const struct word *what, const struct word *yesno);
/* Of a location or forward. */
void	 conf_set_subprotocol(struct build *, const struct word *kw,
	    const struct word *name);

/* Forwards. */
void	 conf_forward_begin(struct build *, const struct word *kw,
	    const struct word *addr, const struct word *port);
void	 conf_forward_unix(struct build *, const struct word *kw,
	    const struct word *path);
void	 conf_forward_url(struct build *, const struct word *url);
void	 conf_forward_half_close(struct build *, const struct word *kw,
	    const struct word *wait, const struct word *other);
void	 conf_forward_end(struct build *);

#endif /* CONF_BUILD_H */
