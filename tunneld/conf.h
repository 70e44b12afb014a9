/* SPDX-License-Identifier: ISC */

/*
 * conf.h: one parsed configuration ("generation").  Built by the parser in
 * the parent, sent object by object to the children (conf_xfer), immutable
 * after that, reference-counted: a session keeps the generation it began
 * under.
 */
#ifndef CONF_H
#define CONF_H

#include <sys/queue.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "addr.h"
#include "url.h"

#define NAME_MAX_LEN	64		/* server name */
#define PATH_MAX_LEN	1024		/* location, UNIX path: see also sun_path */
#define OFF		UINT64_MAX	/* a time or number that is "off" */

/*
 * Bounds on one configuration: it is sent to every child in one go, and must
 * fit the queue of a channel.
 */
#define CONF_SERVERS_MAX	63	/* STATS_SERVERS - 1 */
#define CONF_LISTENS_MAX	256	/* listening sockets, all together */
#define CONF_LOCS_MAX		1024	/* locations, all together */
#define CONF_FORWARDS_MAX	256
#define CONF_ITEMS_MAX		16384	/* targets, blocks, origins, together */
#define CONF_RESOLVERS_MAX	8
#define CONF_HOSTS_MAX		(1024 * 1024)	/* hosts_text, bytes */
#define CONF_SHOW_MAX		(16 * 1024 * 1024) /* show_text, bytes */

struct conf_cidr {
	TAILQ_ENTRY(conf_cidr) entry;
	struct cidr	cidr;
};
TAILQ_HEAD(conf_cidrs, conf_cidr);

/* Origins: "https://host[:port]" as the browser sends it, lower case. */
struct conf_origin {
	TAILQ_ENTRY(conf_origin) entry;
	char		*origin;
};
TAILQ_HEAD(conf_origins, conf_origin);

enum origin_mode {
	ORIGIN_INHERIT,			/* location only: as the server */
	ORIGIN_SAME_HOST,		/* default */
	ORIGIN_ANY,
	ORIGIN_LIST
};

enum target_kind {
	TARGET_ADDR,			/* numeric address and port */
	TARGET_NAME,			/* host name and port */
	TARGET_UNIX
};

struct conf_target {
	TAILQ_ENTRY(conf_target) entry;
	enum target_kind kind;
	struct addr	addr;		/* TARGET_ADDR (with port) */
	char		*name;		/* TARGET_NAME: lower case */
	uint16_t	port;
	char		*path;		/* TARGET_UNIX */
};
TAILQ_HEAD(conf_targets, conf_target);

enum loc_kind {
	LOC_FORWARD,			/* one fixed target */
	LOC_LIST,			/* target named by the URL, "/x/" + "*" */
	LOC_ECHO,
	LOC_HEALTH,
	LOC_METRICS
};

struct conf_server;

struct conf_loc {
	TAILQ_ENTRY(conf_loc) entry;
	struct conf_server *server;
	uint32_t	id;		/* stable over reloads: server + pattern */
	int		line;
	char		*pattern;	/* "/ws", "/tunnel/" + "*" */
	bool		prefix;		/* pattern ends in "*" */
	enum loc_kind	kind;
	struct conf_targets targets;	/* one or many; empty in relays */
	bool		sokken;
	bool		text_any;
	bool		strict_close;
	enum origin_mode origin_mode;
	struct conf_origins origins;
	struct conf_cidrs allow;	/* empty: from anywhere */
	uint64_t	max_sessions;	/* OFF: only the server's limit */
	uint64_t	message_max;	/* outgoing bytes; 0: default */
};
TAILQ_HEAD(conf_locs, conf_loc);

/*
 * A listening socket.  "listen on *" makes two (v4 and v6).  id is stable
 * over reloads for the same address (or UNIX path) and owner.
 */
struct conf_listen {
	TAILQ_ENTRY(conf_listen) entry;
	uint32_t	id;
	int		line;
	bool		any;		/* written as "*" */
	struct addr	addr;		/* port 0: the kernel picks; after bind
					 * the parent stores the real one in
					 * bound */
	struct addr	bound;
	char		*path;		/* UNIX listener (forward only) */
	int		fd;		/* -1: not open here */
};
TAILQ_HEAD(conf_listens, conf_listen);

struct conf_server {
	TAILQ_ENTRY(conf_server) entry;
	uint32_t	id;		/* stable over reloads: name */
	uint32_t	statidx;	/* index in the counter pages, 1.. */
	char		*file;		/* as in messages; parent only */
	int		line;
	char		*name;
	struct conf_listens listens;
	struct conf_locs locs;
	uint64_t	max_sessions;	/* OFF; default 1000 */
	int		max_sessions_line; /* where it is set; 0: default */
	uint64_t	max_per_source;	/* OFF by default */
	uint32_t	max_request_line;	/* bytes, default 8K */
	uint32_t	max_headers;		/* default 64, at most 128 */
	uint32_t	max_header_bytes;	/* default 16K */
	struct conf_cidrs trusted;
	enum origin_mode origin_mode;
	struct conf_origins origins;
};
TAILQ_HEAD(conf_servers, conf_server);

enum half_close { HALF_CLOSE_WAIT, HALF_CLOSE_CLOSE };

struct conf_forward {
	TAILQ_ENTRY(conf_forward) entry;
	uint32_t	id;		/* stable over reloads: listener */
	int		line;
	struct conf_listens listens;	/* one, or two for "*" */
	struct wsurl	url;
	char		*urltext;
	bool		sokken;		/* subprotocol "sokken" */
	bool		strict_close;
	enum half_close	half_close;
	uint64_t	half_close_wait; /* usec, default 60 s; OFF: no limit */
	uint64_t	message_max;	/* outgoing; 0: default */
};
TAILQ_HEAD(conf_forwards, conf_forward);

struct conf_resolver {
	TAILQ_ENTRY(conf_resolver) entry;
	struct addr	addr;
};
TAILQ_HEAD(conf_resolvers, conf_resolver);

enum log_dest { LOG_STDERR, LOG_SYSLOG, LOG_FILE };
enum log_format { FORMAT_TEXT, FORMAT_JSON, FORMAT_PRETTY };

struct conf {
	unsigned	refs;
	uint32_t	generation;	/* 1 at start, +1 per committed reload */
	char		*file;		/* as in messages; parent only */
	char		*show_text;	/* control only: conf_print() of it */
	bool		fd_lost;	/* a listener came without descriptor:
					 * PREPARE must be refused */
	unsigned	xfer_stage;	/* how far conf_receive() is, and how */
	unsigned	xfer_items;	/* many list entries have come */
	size_t		xfer_hosts, xfer_show; /* bytes of the texts */

	char		*user;		/* NULL: TUNNELD_USER */
	char		*chroot;	/* NULL: the default empty directory */
	bool		chroot_off;
	unsigned	prefork;	/* 0: number of CPUs, at most 8 */
	uint64_t	grace;		/* all times in usec; OFF */
	char		*control_path;	/* NULL: the default */
	unsigned	control_mode;	/* 0660 */
	bool		control_off;

	enum log_dest	log_dest;
	bool		log_set;	/* "log to" stood in the file */
	char		*log_path;	/* file, or syslog's socket; may be NULL */
	enum log_format	log_format;
	uint64_t	log_size;	/* bytes, OFF */
	uint64_t	log_age;	/* usec, OFF */
	unsigned	log_keep;
	int		log_level;	/* enum log_level, see log.h */

	uint64_t	t_handshake;	/* 10 s */
	uint64_t	t_connect;	/* 10 s */
	uint64_t	t_close;	/* 5 s */
	uint64_t	t_stall;	/* 5 min */
	uint64_t	t_idle;		/* OFF */
	uint64_t	ping_every;	/* 20 s, OFF */
	uint64_t	ping_timeout;	/* 10 s */

	struct conf_resolvers resolvers;	/* as written */
	char		*hosts_path;		/* NULL: /etc/hosts */
	/*
	 * Read by the parent, used by the dialer: content of the hosts file,
	 * and the name servers of resolv.conf when none is configured.
	 */
	char		*hosts_text;
	struct conf_resolvers nameservers;

	struct conf_servers servers;
	struct conf_forwards forwards;
};

/* Fresh configuration with the defaults above; refs 1.  Never NULL. */
struct conf *conf_new(void);
struct conf *conf_ref(struct conf *);
/* Drop a reference; the last one frees all, and closes listener fds. */
void	 conf_unref(struct conf *);

/*
 * Parse file ("-": stdin), or text when file is NULL (then secrets written
 * literally are errors).  name as in messages: the path, "<stdin>",
 * "<command line>".  macros: name=value from -D, NULL-terminated, or NULL.
 * All errors found are written to err, one line each:
 * FILE:LINE: near "WORD": expected ...   Returns NULL when there was one.
 */
struct conf *conf_parse(const char *file, const char *text, char **macros,
	    FILE *err);

/*
 * What -n checks beyond the grammar: the numbers against RLIMIT_NOFILE (the
 * soft limit as it is now: raise it first) and prefork.  Writes errors in the
 * same form.  A default that does not fit is only a warning there.  Returns 0
 * or -1.
 */
int	 conf_check(const struct conf *, const char *name, FILE *err);

/* The effective configuration as canonical text that parses to the same. */
void	 conf_print(const struct conf *, FILE *);

/* The number of relays: prefork, or its default on this machine. */
unsigned conf_prefork(const struct conf *);
/*
 * Pipes for splice(2) a relay may make: all relays together stay within half
 * of what Linux grants a user by default, and of the open files of one they
 * take little.
 */
unsigned conf_pipes(const struct conf *);

/* Lookups; NULL when absent. */
struct conf_server *conf_server_by_id(const struct conf *, uint32_t id);
struct conf_loc *conf_loc_by_id(const struct conf *, uint32_t id);
struct conf_forward *conf_forward_by_id(const struct conf *, uint32_t id);
/* First location in file order whose pattern matches the decoded path. */
struct conf_loc *conf_loc_match(const struct conf_server *, const char *path);

/* Is a in the list?  An empty list holds nothing. */
bool	 conf_cidrs_match(const struct conf_cidrs *, const struct addr *);

/* "127.0.0.1:22", "name:443", "unix:/path" into buf; always terminated. */
const char *conf_target_format(const struct conf_target *, char *, size_t);

#endif /* CONF_H */
