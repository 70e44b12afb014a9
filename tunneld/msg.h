/* SPDX-License-Identifier: ISC */

/*
 * msg.h: every message between two processes: its type, who may send it to
 * whom (msg_allowed()), and an encode/decode pair per payload.  Fields are
 * explicit and in network order; decoders must use up the payload exactly.
 */
#ifndef MSG_H
#define MSG_H

#include <stdbool.h>
#include <stdint.h>

#include "addr.h"
#include "probe.h"
#include "reason.h"
#include "stats.h"
#include "tunneld.h"

struct imsg;
struct ibuf;

#define PATH_MAX_MSG	1024		/* paths and locations in messages */

/*
 *     M(type,          from,           to)     role ANY: any child
 */
#define MESSAGES(M)							\
/* the parent and its children */					\
M(HELLO,		PARENT,		ANY)	/* who you are */	\
M(PEER,			PARENT,		ANY)	/* + fd: a channel */	\
M(PEER_GONE,		PARENT,		ANY)	/* its process died */	\
M(STATS,		PARENT,		ANY)	/* + fd: own page */	\
M(STATS_OF,		PARENT,		CONTROL) /* + fd: a child's page */ \
M(CONF_BEGIN,		PARENT,		ANY)				\
M(CONF_GLOBAL,		PARENT,		ANY)				\
M(CONF_TEXT,		PARENT,		DIALER)	/* hosts, in chunks */	\
M(CONF_RESOLVER,	PARENT,		DIALER)				\
M(CONF_SERVER,		PARENT,		ANY)				\
M(CONF_LISTEN,		PARENT,		ANY)	/* + fd for relays */	\
M(CONF_LOC,		PARENT,		ANY)				\
M(CONF_TARGET,		PARENT,		ANY)				\
M(CONF_CIDR,		PARENT,		ANY)				\
M(CONF_ORIGIN,		PARENT,		ANY)				\
M(CONF_FORWARD,		PARENT,		ANY)				\
M(CONF_SHOW,		PARENT,		CONTROL) /* printed text, chunks */ \
M(PREPARE,		PARENT,		ANY)	/* all sent: check it */ \
M(COMMIT,		PARENT,		ANY)				\
M(ABORT,		PARENT,		ANY)				\
M(LOG_LEVEL,		PARENT,		ANY)				\
M(ALIVE,		PARENT,		ANY)	/* answer ALIVE_OK */	\
M(DRAIN,		PARENT,		ANY)				\
M(STOP,			PARENT,		ANY)	/* end now */		\
M(LOG_FD,		PARENT,		CONTROL) /* + fd: file, syslog */ \
M(CONTROL_FD,		PARENT,		CONTROL) /* + fd: listener */	\
M(WORKER,		PARENT,		CONTROL) /* a row of show workers */ \
M(RELOAD_RESULT,	PARENT,		CONTROL)			\
M(READY,		ANY,		PARENT)				\
M(PREPARED,		ANY,		PARENT)	/* empty text: good */	\
M(COMMITTED,		ANY,		PARENT)				\
M(ALIVE_OK,		ANY,		PARENT)				\
M(DRAINED,		ANY,		PARENT)	/* no session left */	\
M(SANDBOX,		ANY,		PARENT)	/* what could be set up */ \
M(RELOAD,		CONTROL,	PARENT)				\
M(LOG_REOPEN,		CONTROL,	PARENT)	/* 0 reopen, 1 rotate */ \
M(SET_LOG_LEVEL,	CONTROL,	PARENT)				\
/* relay and dialer */							\
M(OPEN,			RELAY,		DIALER)				\
M(CLOSED,		RELAY,		DIALER)	/* admission returns */	\
M(ANNOUNCE,		RELAY,		DIALER)	/* to a new dialer */	\
M(ANNOUNCED,		RELAY,		DIALER)	/* that was all */	\
M(ADMITTED,		DIALER,		RELAY)				\
M(REFUSED,		DIALER,		RELAY)				\
M(CONNECTED,		DIALER,		RELAY)	/* + fd */		\
M(FAILED,		DIALER,		RELAY)				\
M(REVOKE,		DIALER,		RELAY)	/* policy changed */	\
/* everybody and control */						\
M(LOG,			ANY,		CONTROL)			\
M(LOG_PARENT,		PARENT,		CONTROL)			\
M(BODY,			RELAY,		CONTROL) /* /health, /metrics */ \
M(BODY_REPLY,		CONTROL,	RELAY)	/* in chunks */		\
M(SHOW_SESSIONS,	CONTROL,	RELAY)	/* next rows, please */	\
M(SESSION_ROW,		RELAY,		CONTROL)			\
M(SESSIONS_END,		RELAY,		CONTROL)			\
M(KILL_SESSION,		CONTROL,	RELAY)				\
M(KILL_RESULT,		RELAY,		CONTROL)				\
PROBE_MESSAGES(M)

#define MSG_ENUM(type, from, to) MSG_##type,
enum msg_type { MSG_NONE, MESSAGES(MSG_ENUM) MSG_MAX };
#undef MSG_ENUM

const char *msg_name(uint32_t type);		/* "OPEN"; "?" */
bool	 msg_allowed(uint32_t type, enum role from, enum role to);

/*
 * Every encoder adds to a buffer from chan_msg() and returns 0 or -1; every
 * decoder returns 0, or -1 if the payload is short, long or out of range.
 * Decoded strings are NUL-terminated and bounded by their arrays.
 */

/* A message without payload (READY, ANNOUNCED ...) must really have none. */
int	 msg_empty_get(struct imsg *);

struct msg_hello {
	enum role	role;
	unsigned	slot;
	uint32_t	incarnation;
	uint64_t	build;		/* must equal build_id() */
	bool		debug;
	bool		jail_root;	/* started as root: chroot, setuid */
	uint32_t	uid, gid;
	char		chroot[PATH_MAX_MSG];
	uint64_t	started;	/* the parent's start, mono_usec() */
	uint32_t	pipes;		/* for splice(2), at most */
};
int	 msg_hello_put(struct ibuf *, const struct msg_hello *);
int	 msg_hello_get(struct imsg *, struct msg_hello *);
/* Of the running executable; a changed binary must not be mixed in. */
uint64_t build_id(void);

struct msg_peer {			/* PEER, PEER_GONE, STATS_OF */
	enum role	role;
	unsigned	slot;
	uint32_t	incarnation;
};
int	 msg_peer_put(struct ibuf *, const struct msg_peer *);
int	 msg_peer_get(struct imsg *, struct msg_peer *);

/* PREPARED, RELOAD_RESULT, KILL_RESULT: id, ok and a text for people. */
struct msg_result {
	uint64_t	id;
	bool		ok;
	char		text[4096];
};
int	 msg_result_put(struct ibuf *, const struct msg_result *);
int	 msg_result_get(struct imsg *, struct msg_result *);

/* RELOAD, SET_LOG_LEVEL, LOG_LEVEL, LOG_REOPEN, DRAIN, STOP, COMMIT,
 * KILL_SESSION, DRAINED, COMMITTED ...: one number. */
int	 msg_num_put(struct ibuf *, uint64_t);
int	 msg_num_get(struct imsg *, uint64_t *);
#define DRAIN_RETIRE	(UINT64_MAX - 1) /* DRAIN: see child_retire() */

struct msg_sandbox {
	bool		seccomp, chroot;
	int		landlock;	/* ABI, 0: none */
	uint32_t	uid;
	uint32_t	nofile;		/* soft RLIMIT_NOFILE */
};
int	 msg_sandbox_put(struct ibuf *, const struct msg_sandbox *);
int	 msg_sandbox_get(struct imsg *, struct msg_sandbox *);

/* A row of show workers; control keeps the newest per role and slot. */
enum worker_state { WORKER_STARTING, WORKER_READY, WORKER_DRAINING,
	WORKER_WAITING /* for its next try */, WORKER_GONE /* slot removed */,
	WORKER_STATE_MAX };
const char *worker_state_word(enum worker_state);
struct msg_worker {
	enum role	role;
	unsigned	slot;
	uint32_t	incarnation;
	uint32_t	pid;
	enum worker_state state;
	uint32_t	restarts;	/* of this slot, since start */
	bool		alarm;		/* dies too often */
	struct msg_sandbox sandbox;
};
int	 msg_worker_put(struct ibuf *, const struct msg_worker *);
int	 msg_worker_get(struct imsg *, struct msg_worker *);

/*
 * OPEN: ask for admission and a target.  server, loc: ids of the relay's
 * generation (0 for a forward); forward: its id (0 otherwise).  target: what
 * the URL named under a LOC_LIST location, else empty.  ticket: reserved for
 * the auth role; empty now.
 */
#define TICKET_MAX	128
#define TARGET_TEXT	300
struct msg_open {
	uint64_t	session;
	uint32_t	server, loc, forward;
	enum session_type type;
	struct addr	source;		/* the client, by trusted-proxies */
	char		target[TARGET_TEXT];
	uint8_t		ticket[TICKET_MAX];
	uint16_t	ticketlen;
};
int	 msg_open_put(struct ibuf *, const struct msg_open *);
int	 msg_open_get(struct imsg *, struct msg_open *);

/* ADMITTED, REFUSED, CONNECTED (+ fd), FAILED, CLOSED, REVOKE. */
struct msg_answer {
	uint64_t	session;
	enum reason	reason;		/* REFUSED, FAILED, REVOKE */
	int32_t		error;		/* errno behind it, or 0 */
	char		target[TARGET_TEXT];	/* for logs; ADMITTED: as the
						 * configuration has it,
						 * CONNECTED: what was reached
						 * "127.0.0.1:22" */
};
int	 msg_answer_put(struct ibuf *, const struct msg_answer *);
int	 msg_answer_get(struct imsg *, struct msg_answer *);

/* ANNOUNCE: a living session told to a new dialer. */
struct msg_announce {
	struct msg_open	open;
	char		reached[TARGET_TEXT];	/* as CONNECTED told, or empty */
	bool		pending;	/* still waits for its descriptor: the
					 * relay will send OPEN again */
};
int	 msg_announce_put(struct ibuf *, const struct msg_announce *);
int	 msg_announce_get(struct imsg *, struct msg_announce *);

/* BODY: what a relay wants from control, and for which request. */
enum body_kind { BODY_HEALTH, BODY_METRICS };
struct msg_body {
	uint64_t	id;		/* the relay's */
	enum body_kind	kind;
};
int	 msg_body_put(struct ibuf *, const struct msg_body *);
int	 msg_body_get(struct imsg *, struct msg_body *);
/*
 * BODY_REPLY: id, HTTP status, last?, bytes.  data points into the imsg.
 */
struct msg_chunk {
	uint64_t	id;
	uint16_t	status;
	bool		last;
	const void	*data;
	size_t		len;
};
#define CHUNK_MAX	8192
int	 msg_chunk_put(struct ibuf *, const struct msg_chunk *);
int	 msg_chunk_get(struct imsg *, struct msg_chunk *);

/*
 * SHOW_SESSIONS: up to max rows with session id above after.  Answer: rows,
 * then SESSIONS_END with the id of the request and whether there are more.
 */
struct msg_show {
	uint64_t	id;		/* of the request */
	uint64_t	after;
	uint32_t	max;
};
int	 msg_show_put(struct ibuf *, const struct msg_show *);
int	 msg_show_get(struct imsg *, struct msg_show *);
struct msg_end {
	uint64_t	id;
	bool		more;
};
int	 msg_end_put(struct ibuf *, const struct msg_end *);
int	 msg_end_get(struct imsg *, struct msg_end *);

enum session_state { SS_HANDSHAKE, SS_DIALING, SS_OPEN, SS_CLOSING,
	SS_MAX };
const char *session_state_word(enum session_state);
struct msg_session {
	uint64_t	request;
	uint64_t	id;
	enum session_type type;
	enum session_state state;
	char		server[65];
	char		location[PATH_MAX_MSG];
	char		listener[ADDR_TEXT > 108 ? ADDR_TEXT : 109];
	struct addr	client, peer;
	char		xff[256];
	char		target[TARGET_TEXT];
	char		subprotocol[64];
	uint64_t	started;	/* wall, usec */
	uint64_t	duration, idle;	/* usec */
	uint64_t	in, out;	/* payload bytes */
	uint32_t	generation;
};
int	 msg_session_put(struct ibuf *, const struct msg_session *);
int	 msg_session_get(struct imsg *, struct msg_session *);

/* KILL_SESSION: request id and session. */
struct msg_kill {
	uint64_t	id;
	uint64_t	session;
};
int	 msg_kill_put(struct ibuf *, const struct msg_kill *);
int	 msg_kill_get(struct imsg *, struct msg_kill *);

#endif /* MSG_H */
