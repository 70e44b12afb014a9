/* SPDX-License-Identifier: ISC */

/*
 * session.h: one session of a relay, from the accepted connection to its
 * last byte.  Files: session.c life, deadlines and the registry; upgrade.c
 * the server's handshake; forward.c the client's; dial.c the talk with the
 * dialer; pump.c bytes; wsend.c Close and other control frames; row.c show
 * and log.
 *
 *  accepted on a server                       accepted on a forward
 *	 |                                           |
 *	HEAD --health, metrics--> BODY --reply--+    |
 *	 | OPEN                                 |    | OPEN
 *	ADMIT --REFUSED--> HTTP error ----------+   ADMIT --REFUSED--> RST
 *	 | ADMITTED: 101                        |    | ADMITTED
 *	DIAL --FAILED--> Close 1011, 4001.. ----+   DIAL --FAILED--> RST
 *	 | CONNECTED                            |    | CONNECTED: our request
 *	 |                                      |   UPGRADE --not 101--> RST
 *	 |                                      |    | 101
 *	OPEN <--------------------------------------OPEN
 *	 | both directions ended, or aborted    |
 *	CLOSING <-------------------------------+
 *	 | nothing left to say (log `close')
 *	lingering
 *	 | both sockets closed (CLOSED to the dialer)
 *	gone
 *
 * Every event handler does its input or output and then calls settle(),
 * which is the only place that moves on or frees.
 */
#ifndef SESSION_H
#define SESSION_H

#include <sys/tree.h>

#include <stdbool.h>
#include <stdint.h>

#include "addr.h"
#include "conf.h"
#include "conn.h"
#include "http1.h"
#include "msg.h"
#include "reason.h"
#include "stats.h"
#include "wheel.h"
#include "ws.h"

/*
 * Bytes all sessions of a relay may have waiting.  One session is bounded by
 * CONN_READ_MAX each way, or PIPE_BYTES where it is spliced, in the pipe or
 * in memory; this bounds thousands of stalled ones.
 */
#define SESSION_BUDGET	(256ULL * 1024 * 1024)

struct chan;
struct imsg;

enum phase {
	PH_HEAD,		/* reading the request head */
	PH_BODY,		/* waiting for control's /health or /metrics */
	PH_ADMIT,		/* waiting for ADMITTED */
	PH_DIAL,		/* waiting for CONNECTED */
	PH_UPGRADE,		/* forward: waiting for the server's answer */
	PH_OPEN,
	PH_CLOSING
};

/* What a handshake needs; freed when it is over. */
struct upgrade {
	struct http1	http;
	char		*buf;		/* the head, and what came behind it */
	size_t		len, size;
	char		key[WS_KEY_LEN];	/* the forward's own key */
	char		accept[WS_ACCEPT_LEN];
	bool		head;		/* HEAD request */
	int		minor;		/* HTTP/1.minor, for the answer */
	char		*body;		/* BODY so far */
	size_t		bodylen;
};

struct session {
	RB_ENTRY(session) node;
	struct wheel_entry timer;
	uint64_t	id;
	enum session_type type;
	enum phase	phase;

	struct conf	*conf;		/* our generation, referenced */
	struct conf_server *server;	/* NULL: a forward */
	struct conf_loc	*loc;
	struct conf_forward *fwd;
	struct conf_listen *listen;

	struct conn	ws;		/* the WebSocket */
	struct conn	tcp;		/* target, or the forward's local peer */
	struct ws_dec	dec;
	uint32_t	message_max;	/* outgoing */

	struct upgrade	*up;
	uint8_t		*early;		/* frames behind the handshake */
	size_t		earlylen;
	uint8_t		*pong;		/* 1 + n bytes: Pong to be sent when
					 * the queue is empty */

	struct addr_packed peer;	/* who connected to us */
	struct addr_packed source;	/* the same, by trusted-proxies */
	char		*xff;
	char		*target;	/* as asked for */
	char		*reached;	/* as the dialer says; NULL: as target,
					 * see session_reached() */
	const char	*subprotocol;	/* static text or NULL */

	bool		v1;		/* tunneld.tcp.v1 */
	bool		sokken;
	bool		farewell;	/* upgraded only to be told a Close */
	bool		asked;		/* OPEN was sent or waits for a dialer */
	bool		admitted;
	bool		connected;	/* CONNECTED came */
	bool		counted;	/* open record written, gauges up */
	bool		finished;	/* close record written: its sockets
					 * only linger */
	bool		in_msg;		/* echo: inside a fragmented answer */
	bool		in_fin;		/* WebSocket -> TCP has ended */
	bool		out_fin;	/* TCP -> WebSocket has ended */
	bool		close_sent, close_rcvd;
	bool		splicing;	/* bulk: by pipe, past our memory */
	uint8_t		full;		/* full reads in a row, 16 KiB each */
	bool		doomed;		/* aborted: no more data is taken */
	bool		ping_waits;	/* a Ping of ours is unanswered */
	bool		pong_ever;
	bool		pinged;		/* the peer sends Pings */

	char		state[3];	/* termination state, see tunneld(8) */
	enum reason	reason;
	uint16_t	code;		/* Close code received, or sent */

	uint64_t	started;	/* wall clock */
	uint64_t	t_start;	/* the rest: monotonic */
	uint64_t	t_phase;	/* entered this phase */
	uint64_t	t_data;		/* last payload, either way */
	uint64_t	t_sent;		/* last frame sent, control included */
	uint64_t	t_payload_out;	/* last payload frame sent */
	uint64_t	t_ping;		/* our Ping was queued */
	uint64_t	t_sweep;
	uint64_t	t_close;	/* progress of the closing handshake */
	uint64_t	bytes_in;	/* payload, client to target */
	uint64_t	bytes_out;
};

RB_HEAD(sessions, session);
RB_PROTOTYPE(sessions, session, node, session_cmp)
extern struct sessions sessions;
#define FAREWELLS_MAX	64		/* of a relay at a time */
extern unsigned session_farewells;
extern unsigned session_count;		/* with those that only linger */
extern unsigned session_live;		/* without them */

/* session.c */

/*
 * Begin a session with a connection accepted on l (server or fwd is its
 * owner).  Takes fd.  NULL: out of memory, fd is closed.
 */
struct session *session_new(struct conf *, struct conf_server *,
	    struct conf_forward *, struct conf_listen *, int fd,
	    const struct addr *peer);
struct session *session_find(uint64_t id);
void	 session_phase(struct session *, enum phase);
/* Write the `open' record and count; once per session. */
void	 session_open(struct session *);
/*
 * Remember why it ends; the first reason stays.  who is the first letter of
 * the termination state.
 */
void	 session_why(struct session *, char who, enum reason);
/*
 * End it before its time: HTTP error, Close with code and reason, RST to TCP
 * peers, as far as it has come.  settle() must follow.
 */
void	 session_abort(struct session *, char who, enum reason);
/* Move on as far as possible; may free the session. */
void	 settle(struct session *);
/* The relay exits: close and log what is left, without further ado. */
void	 session_drop_all(void);
/* The wheel's callback; also the budget's hard limit. */
void	 session_timer(struct wheel_entry *);
void	 session_budget(void);
/* The address its target was reached at, or tried; NULL: none. */
static inline const char *
session_reached(const struct session *s)
{
	return s->reached == NULL && s->connected ? s->target : s->reached;
}
/* Is it a client end (a forward), which masks? */
static inline bool
session_is_client(const struct session *s)
{
	return s->fwd != NULL;
}

/* upgrade.c */
extern const struct conn_ops upgrade_ops;
void	 upgrade_begin(struct session *);
void	 upgrade_free(struct session *);
/* ADMITTED came: send the 101. */
void	 upgrade_accept(struct session *);
/* Answer with an HTTP status and end; allow: value of Allow, or NULL. */
void	 upgrade_refuse(struct session *, enum reason, const char *why);
void	 upgrade_body(struct session *, const struct msg_chunk *);
/* Requests for control that had no channel to go out on. */
void	 upgrade_body_retry(void);

/* forward.c */
void	 forward_begin(struct session *);	/* ask for admission */
void	 forward_request(struct session *);	/* connected: send request */
void	 forward_readable(struct conn *);

/* dial.c */
void	 dial_ask(struct session *);
void	 dial_closed(struct session *);
/* Tell the dialer of the ends it could not be told of. */
void	 dial_closed_retry(void);
void	 dial_peer_up(struct chan *);
void	 dial_peer_down(void);
void	 dial_message(struct imsg *);

/* pump.c */
extern const struct conn_ops pump_ws_ops;
/* Both ends are there: start moving bytes; early frames first. */
void	 pump_begin(struct session *);
/* Switch reading on or off by what the other side can take. */
void	 pump_interest(struct session *);
/* Full pipes nobody reads go back to the pool; returns when to look again. */
uint64_t pump_unsplice(struct session *, uint64_t now);
/* conn_end(), and from now on throw away what is read. */
void	 pump_end(struct conn *, enum conn_end);

/* wsend.c: frames of our own on the WebSocket; no effect once closed */
/* One frame header with a fresh mask when we are the client. */
size_t	 wsend_header(struct session *, uint8_t *hdr, enum ws_opcode, bool fin,
	    uint8_t *payload, size_t len);
void	 wsend_fin(struct session *);		/* tunneld.tcp.v1 */
void	 wsend_close(struct session *, uint16_t code, const char *reason);
void	 wsend_ping(struct session *);
/* A Pong; it leaves with wsend_pongs(), before anything else is sent. */
void	 wsend_pong(struct session *, const uint8_t *, size_t);
void	 wsend_pongs(struct session *);
void	 wsend_pending(struct session *);	/* the Pong that waited */

/* row.c */
void	 row_fill(const struct session *, struct msg_session *);
void	 row_log_open(const struct session *);
void	 row_log_close(const struct session *);
void	 row_log_refuse(const struct session *, enum reason, int status,
	    const char *why);
/* What `target' reads in rows and logs; never NULL. */
const char *row_target(const struct session *);

/* relay.c */
extern bool relay_draining;
/* True when another session can be carried with the descriptors we have. */
bool	 relay_has_room(void);
/* Not even room to say so: stop accepting for a while. */
bool	 relay_is_full(void);
/* A session has said all: a drain may be over. */
void	 relay_session_finished(void);
/* A session is gone: descriptors are free, and a stop may be over. */
void	 relay_session_gone(void);

#endif /* SESSION_H */
