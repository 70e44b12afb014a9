/* SPDX-License-Identifier: ISC */

/*
 * log.h: log records.  Every role builds records; control formats and writes
 * them (logger.c).  A record is an event with typed keys, never a formatted
 * line: strangers' strings are encoded at the very end.
 */
#ifndef LOG_H
#define LOG_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "tunneld.h"

struct imsg;

/* Configuration words brief|verbose|debug let through up to this level. */
enum log_level { LOG_L_ERROR, LOG_L_WARN, LOG_L_BRIEF, LOG_L_VERBOSE,
	LOG_L_DEBUG };

#define LOG_EVENTS(E)							\
E(NOTE, "note") E(READY, "ready") E(LISTEN, "listen") E(OPEN, "open")	\
E(CLOSE, "close") E(REFUSE, "refuse") E(DIAL_FAILED, "dial-failed")	\
E(RELOAD, "reload") E(RELOAD_FAILED, "reload-failed")			\
E(WORKER_EXIT, "worker-exit") E(WORKER_READY, "worker-ready")		\
E(SANDBOX_VIOLATION, "sandbox-violation")				\
E(LOG_DROPPED, "log-dropped") E(DRAIN, "drain") E(STOP, "stop")
#define LOG_EVENT_ENUM(id, word) EV_LOG_##id,
enum log_event { LOG_EVENTS(LOG_EVENT_ENUM) LOG_EVENT_MAX };
#undef LOG_EVENT_ENUM

/* Keys besides time, level, process, worker, event (those are in the head).
 * The second word tells how the value is written: s string, n number,
 * d duration (usec in the record, seconds with 3 decimals in the log). */
#define LOG_KEYS(K)							\
K(SESSION, "session", s) K(SERVER, "server", s)				\
K(LOCATION, "location", s) K(LISTENER, "listener", s) K(USER, "user", s)\
K(CLIENT, "client", s) K(PEER, "peer", s) K(TARGET, "target", s)	\
K(XFF, "x-forwarded-for", s) K(BYTES_IN, "bytes-in", n)			\
K(BYTES_OUT, "bytes-out", n) K(DURATION, "duration", d)			\
K(STATE, "state", s) K(REASON, "reason", s) K(CODE, "code", n)		\
K(ROLE, "role", s) K(ID, "id", n) K(PID, "pid", n)			\
K(STATUS, "status", n) K(SIGNAL, "signal", n) K(SYSCALL, "syscall", n)	\
K(COUNT, "count", n) K(GENERATION, "generation", n)			\
K(SUBPROTOCOL, "subprotocol", s) K(ADDRESS, "address", s)		\
K(MESSAGE, "message", s)
#define LOG_KEY_ENUM(id, word, type) LK_##id,
enum log_key { LOG_KEYS(LOG_KEY_ENUM) LOG_KEY_MAX };
#undef LOG_KEY_ENUM

#define LOGREC_MAX	2048		/* encoded record, bytes */

struct logrec {
	uint8_t		buf[LOGREC_MAX];
	size_t		len;
};

/*
 * Who we are and where records go.  Until log_to() is called records are
 * formatted as text onto stderr.  fn gets a complete record and returns 0,
 * or -1 when it had to drop it: counted here, in log_dropped() and in
 * stats->log_dropped, not by fn.
 */
void	 log_init(enum role, unsigned slot);
void	 log_to(int (*fn)(const struct logrec *, void *), void *);
void	 log_setlevel(enum log_level);
enum log_level log_getlevel(void);
uint64_t log_dropped(void);
/* Called once by fatal() before it exits: to flush what is queued. */
void	 log_atfatal(void (*fn)(void));

/* Format as text onto stderr.  Returns 0 or -1. */
int	 log_stderr(const struct logrec *);

/* Build a record: begin, add keys, send.  A value that does not fit is cut. */
void	 log_begin(struct logrec *, enum log_level, enum log_event);
void	 log_str(struct logrec *, enum log_key, const char *);
void	 log_strn(struct logrec *, enum log_key, const char *, size_t);
void	 log_num(struct logrec *, enum log_key, uint64_t);
void	 log_addr(struct logrec *, enum log_key, const struct addr *);
/* Send if the level lets it through. */
void	 log_send(const struct logrec *);

/* A note (event "note", key message).  warn() forms add strerror(errno). */
void	 log_error(const char *, ...) __attribute__((__format__(printf, 1, 2)));
void	 log_warn(const char *, ...) __attribute__((__format__(printf, 1, 2)));
void	 log_warnx(const char *, ...) __attribute__((__format__(printf, 1, 2)));
void	 log_brief(const char *, ...) __attribute__((__format__(printf, 1, 2)));
void	 log_verbose(const char *, ...)
	    __attribute__((__format__(printf, 1, 2)));
void	 log_debug(const char *, ...) __attribute__((__format__(printf, 1, 2)));

/* Programming errors and lost privilege boundaries only: log, then exit 1. */
void	 fatal(const char *, ...)
	    __attribute__((__noreturn__, __format__(printf, 1, 2)));
void	 fatalx(const char *, ...)
	    __attribute__((__noreturn__, __format__(printf, 1, 2)));

/* A decoded record. */
struct logrec_view {
	enum log_level	level;
	enum log_event	event;
	enum role	role;
	unsigned	slot;
	uint64_t	time;		/* wall, usec */
	struct {
		enum log_key	key;
		const char	*str;	/* NULL: number */
		size_t		len;
		uint64_t	num;
	}		kv[LOG_KEY_MAX];
	unsigned	nkv;
};

/* Put another origin into a decodable record: the channel's, not its claim. */
void	 logrec_identify(struct logrec *, enum role, unsigned slot);

/* Check and decode len bytes of an encoded record.  Returns 0 or -1. */
int	 logrec_decode(const uint8_t *buf, size_t len, struct logrec_view *);
const char *log_event_word(enum log_event);
const char *log_key_word(enum log_key);
char	 log_key_type(enum log_key);		/* 's', 'n' or 'd' */
const char *log_level_word(enum log_level);	/* error warn brief ... */

/*
 * Format a decoded record as one line with newline into buf; strings are
 * vis-encoded (text, pretty) or JSON-escaped.  Returns the length, at most
 * size - 1.  format is an enum log_format of conf.h.  A buffer of
 * LOG_LINE_MAX holds any record; a shorter one gets a line that is cut (text,
 * pretty), or a small whole object in its place (json).
 */
#define LOG_LINE_MAX	16384
size_t	 logrec_format(const struct logrec_view *, int format, char *buf,
	    size_t size);

#endif /* LOG_H */
