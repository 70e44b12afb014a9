/* SPDX-License-Identifier: ISC */

/*
 * ctl.h: what tunneld and tunnelctl say to each other on the control socket.
 * Sans-IO: payloads only; they travel as imsg messages without descriptors,
 * with enum ctl_type as type and the client's number of the request as id.
 *
 *	client                          daemon
 *	HELLO version, program   -->
 *	                         <--    HELLO version, program
 *	REQUEST command, arg     -->
 *	                         <--    ROW* NOTE*, then END or ERROR
 *	REQUEST ...
 *
 * A client that speaks another version gets HELLO (with the daemon's) and
 * ERROR; these two and their form never change.  One request at a time.  All
 * numbers are in network order; every limit below is checked on receipt.
 */
#ifndef LIB_CTL_H
#define LIB_CTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CTL_VERSION	1
#define CTL_MSG_MAX	8192	/* payload of any message */
#define CTL_PROGRAM_MAX	64	/* "tunneld 1.0", without NUL */
#define CTL_TEXT_MAX	4096	/* END, ERROR, NOTE, without NUL */

enum ctl_type {
	CTL_HELLO = 1,
	CTL_ERROR,			/* text: why not; ends the request */
	CTL_REQUEST,
	CTL_ROW,
	CTL_NOTE,			/* text: what is missing in the rows */
	CTL_END				/* text, often empty: done */
};

enum ctl_command {
	CTL_SHOW_SESSIONS,
	CTL_SHOW_LISTENERS,
	CTL_SHOW_WORKERS,
	CTL_SHOW_HEALTH,
	CTL_SHOW_STATS,
	CTL_SHOW_CONFIG,
	CTL_KILL_SESSION,		/* arg: session id */
	CTL_RELOAD,
	CTL_LOG_LEVEL,			/* arg: enum log_level of tunneld */
#ifdef TUNNELD_PROBES
	CTL_PROBE,			/* arg: see tunneld/probe_list.h */
#endif
	CTL_COMMAND_MAX
};

struct ctl_hello {
	uint32_t	version;
	char		program[CTL_PROGRAM_MAX + 1];
};

struct ctl_request {
	enum ctl_command command;
	uint64_t	arg;		/* 0 when the command has none */
};

#ifdef TUNNELD_PROBES
#define CTL_PROBE_KEYS(K) K(PROBE, "probe") K(RESULT, "result")
#else
#define CTL_PROBE_KEYS(K)
#endif

/*
 * Keys of rows.  The words are those of the JSON output; "a.b" is member b
 * of the object a.  Numbers are part of the protocol: append only.
 */
#define CTL_KEYS(K)							\
K(ID, "id") K(WORKER, "worker") K(TYPE, "type") K(SERVER, "server")	\
K(LOCATION, "location") K(LISTENER, "listener") K(USER, "user")		\
K(CLIENT, "client") K(PEER, "peer") K(XFF, "x-forwarded-for")		\
K(TARGET, "target") K(STATE, "state") K(STARTED, "started")		\
K(DURATION, "duration") K(IDLE, "idle") K(BYTES_IN, "bytes-in")		\
K(BYTES_OUT, "bytes-out") K(SUBPROTOCOL, "subprotocol")			\
K(GENERATION, "generation") K(ROLE, "role") K(PID, "pid")		\
K(RESTARTS, "restarts") K(ALARM, "alarm") K(SESSIONS, "sessions")	\
K(DESCRIPTORS, "descriptors") K(SECCOMP, "sandbox.seccomp")		\
K(LANDLOCK, "sandbox.landlock") K(CHROOT, "sandbox.chroot")		\
K(UID, "sandbox.uid") K(NAME, "name") K(ADDRESS, "address")		\
K(PORT, "port") K(STATUS, "status") K(VERSION, "version")		\
K(UPTIME, "uptime") K(CONNECTIONS, "connections")			\
K(MAX_CONNECTIONS, "max-connections")					\
K(CAPACITY, "connections-capacity-percent") K(WORKERS, "workers")	\
K(DIRECTION, "direction") K(REASON, "reason") K(VALUE, "value")		\
K(TEXT, "text") CTL_PROBE_KEYS(K)
#define CTL_KEY_ENUM(id, word) CTL_K_##id,
enum ctl_key { CTL_KEYS(CTL_KEY_ENUM) CTL_KEY_MAX };
#undef CTL_KEY_ENUM
const char *ctl_key_word(enum ctl_key);		/* "?" */

enum ctl_value {
	CTL_NULL,			/* absent */
	CTL_BOOL,			/* num 0 or 1 */
	CTL_U64,
	CTL_DURATION,			/* usec */
	CTL_TIME,			/* usec since the epoch */
	CTL_STRING,			/* str, len: any bytes, no NUL behind */
	CTL_VALUE_MAX
};

/* A row under construction.  When something does not fit, full is set. */
struct ctl_row {
	uint8_t		buf[CTL_MSG_MAX];
	size_t		len;
	bool		full;
};

struct ctl_field {
	enum ctl_key	key;
	enum ctl_value	type;
	uint64_t	num;
	const char	*str;		/* into the payload */
	size_t		len;
};

void	 ctl_row_init(struct ctl_row *);
void	 ctl_row_null(struct ctl_row *, enum ctl_key);
void	 ctl_row_bool(struct ctl_row *, enum ctl_key, bool);
void	 ctl_row_num(struct ctl_row *, enum ctl_key, enum ctl_value, uint64_t);
void	 ctl_row_u64(struct ctl_row *, enum ctl_key, uint64_t);
/* NULL and the empty string are null. */
void	 ctl_row_str(struct ctl_row *, enum ctl_key, const char *);
void	 ctl_row_strn(struct ctl_row *, enum ctl_key, const char *, size_t);

/*
 * Take the next field off a payload.  Returns 1, 0 at the end, or -1 when it
 * is malformed (cut, an unknown key or type, a bool that is neither).
 */
int	 ctl_row_next(const uint8_t **p, size_t *len, struct ctl_field *);

/*
 * Write a payload into buf (CTL_MSG_MAX bytes) and return its length; texts
 * that are too long are cut.
 */
size_t	 ctl_put_hello(uint8_t *buf, const struct ctl_hello *);
size_t	 ctl_put_request(uint8_t *buf, const struct ctl_request *);
size_t	 ctl_put_text(uint8_t *buf, const char *);

/* Read a payload; 0, or -1 when it is malformed. */
int	 ctl_get_hello(const uint8_t *, size_t, struct ctl_hello *);
int	 ctl_get_request(const uint8_t *, size_t, struct ctl_request *);
/* text holds CTL_TEXT_MAX + 1 bytes; a NUL inside is malformed. */
int	 ctl_get_text(const uint8_t *, size_t, char *text);

#endif /* LIB_CTL_H */
