/* SPDX-License-Identifier: ISC */

/*
 * control.h: inside the control role: what its files give each other.
 *
 *	control.c	messages of the parent and the peers
 *	board.c		the newest rows and counter pages of all processes
 *	health.c	/health;  metrics.c  /metrics and show stats
 *	logger.c	records -> lines -> descriptor
 *	ctl_client.c	connections of tunnelctl;  ctl_show.c  their requests
 */
#ifndef CONTROL_H
#define CONTROL_H

#include <sys/types.h>
#include <sys/queue.h>

#include <event.h>
#include <imsg.h>
#include <stdbool.h>
#include <stdint.h>

#include "ctl.h"
#include "msg.h"
#include "stats.h"

struct chan;
struct conf;
struct json;
struct logrec;

/* DRAIN came: /health says so. */
bool	 control_draining(void);

/*
 * board.c.  Pages are written by processes that may have been taken over:
 * totals are taken only upwards and below 2^53, gauges are clamped.
 */
void	 board_worker(const struct msg_worker *);
/* Takes fd. */
void	 board_page(const struct msg_peer *, int fd);
/* NULL: never heard of, or its slot is gone. */
const struct msg_worker *board_get_worker(enum role, unsigned slot);
/* Restarts of all slots of a role, also of those that are gone. */
uint64_t board_restarts(enum role);
/* Read anew and checked; NULL: no page.  Valid until the next call for it. */
const struct stats_page *board_get_page(enum role, unsigned slot);
/* Sum of a relay's active sessions. */
uint64_t board_sessions(const struct stats_page *);

/* health.c */
struct health {
	const char	*status;	/* ok, draining, degraded */
	int		 http;		/* 200 or 503 */
	uint64_t	 uptime;	/* usec */
	uint64_t	 connections;
	uint64_t	 max;		/* OFF: there is no limit */
	uint64_t	 percent;	/* 0-100; OFF with max */
	uint64_t	 workers;	/* relays that are ready */
};
void	 health_get(struct health *);
void	 health_json(struct json *);

/*
 * metrics.c: all metrics in order: for each name first a call without value
 * (labelled tells whether its samples have labels), then its samples.
 */
#define METRIC_LABELS	2
struct metric {
	const char	*name;		/* without "tunneld_" */
	const char	*help;
	const char	*type;		/* "counter", "gauge" */
	bool		 sample;
	unsigned	 nlabels;
	struct {
		enum ctl_key	 key;
		const char	*value;
	}		 label[METRIC_LABELS];
	uint64_t	 value;
};
void	 metrics_walk(void (*)(const struct metric *, void *), void *);
/* Server names behind the indexes of pages; removed ones are remembered. */
void	 metrics_conf(const struct conf *);
/* Prometheus text 0.0.4, malloc'd with its length; NULL: out of memory. */
char	*metrics_text(size_t *len);

/* logger.c: nothing here blocks. */
void	 logger_init(void);
void	 logger_conf(const struct conf *);
/* The descriptor to write to from now on, taken; -1: there is none now. */
void	 logger_fd(int fd);
/*
 * Queue a record.  Returns 0, or -1 when the queue is full; the caller counts
 * it (log_to() does).
 */
int	 logger_put(const struct logrec *, void *);
/* Write what is queued, for at most ms. */
void	 logger_flush(int ms);

/* peercred.c: who is at the other end of a UNIX socket?  0 or -1. */
struct peercred {
	uid_t		 uid;
	gid_t		 gid;
	bool		 has_group;	/* has the group that was asked for */
};
int	 peercred(int fd, gid_t group, struct peercred *);

/* ctl_client.c */
struct ctl_client {
	TAILQ_ENTRY(ctl_client) entry;
	struct imsgbuf	 ibuf;
	struct event	 rev, wev;
	struct event	 deadline;	/* for the client to do something */
	struct event	 wait;		/* for a peer's answer */
	int		 fd;
	uid_t		 uid;
	bool		 radded, wadded;
	bool		 privileged;	/* root or the starting user */
	bool		 greeted;
	bool		 busy;		/* a request is being answered */
	bool		 closing;	/* as soon as all is written */
	bool		 dead;		/* freed at the next safe place */
	uint32_t	 reqid;		/* the client's */
	struct ctl_request req;
	/*
	 * Adds rows until ctl_client_full(); called again when there is room.
	 * Ends the request when it is done.  NULL: nothing to add.
	 */
	void		 (*pump)(struct ctl_client *);
	struct conf	*conf;		/* config, listeners: a reference */
	size_t		 pos;		/* how far pump() has come */
	/* what is asked of a peer */
	uint64_t	 token;		/* id of the question; 0: none */
	unsigned	 slot;		/* relay */
	uint64_t	 after;		/* last session id seen */
	unsigned	 rows;		/* of this slice */
};

void	 ctl_client_init(const struct msg_hello *);
/* The first configuration is committed: clients are accepted from now on. */
void	 ctl_client_start(void);
/* The socket to accept from, taken; -1: none.  group: its group. */
void	 ctl_client_listen(int fd, gid_t group);
void	 ctl_client_stop(void);
bool	 ctl_client_full(struct ctl_client *);
void	 ctl_client_row(struct ctl_client *, const struct ctl_row *);
void	 ctl_client_note(struct ctl_client *, const char *, ...)
	    __attribute__((__format__(printf, 2, 3)));
/* The request is answered: END, or ERROR with a text. */
void	 ctl_client_end(struct ctl_client *, const char *text);
void	 ctl_client_error(struct ctl_client *, const char *, ...)
	    __attribute__((__format__(printf, 2, 3)));
/* A new id for a question to a peer, which has ms to answer. */
uint64_t ctl_client_ask(struct ctl_client *, unsigned ms);
void	 ctl_client_answered(struct ctl_client *);
struct ctl_client *ctl_client_by_token(uint64_t);
/* Write and, when there is room, go on.  May free the client. */
void	 ctl_client_push(struct ctl_client *);
/* Call fn for each client; fn may end requests. */
void	 ctl_client_each(void (*)(struct ctl_client *, void *), void *);

/* ctl_show.c: the requests. */
void	 ctl_request_start(struct ctl_client *);
void	 ctl_request_timeout(struct ctl_client *);
void	 ctl_got_row(struct chan *, const struct msg_session *);
void	 ctl_got_end(struct chan *, const struct msg_end *);
/* KILL_RESULT, RELOAD_RESULT */
void	 ctl_got_result(struct chan *, const struct msg_result *);
void	 ctl_relay_down(unsigned slot);

#endif /* CONTROL_H */
