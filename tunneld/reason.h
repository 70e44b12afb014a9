/* SPDX-License-Identifier: ISC */

/*
 * reason.h: why a session was refused or ended: one closed list for logs,
 * metrics, HTTP statuses and Close codes.  tunneld(8) lists the words.
 *
 * R(id, word for logs and metrics, HTTP status before the upgrade or 0,
 *   Close code, Close code under tunneld.tcp.v1, text of Close and body)
 */
#ifndef REASON_H
#define REASON_H

#include <stdint.h>

#define REASONS(R)							\
R(NONE,		"none",			0,   1000, 1000, "")		\
/* orderly ends */							\
R(CLOSED,	"closed",		0,   1000, 1000, "")		\
/* refused before the upgrade */					\
R(BAD_REQUEST,	"bad-request",		400, 1002, 1002, "bad request")	\
R(ORIGIN,	"origin",		403, 1008, 1008, "origin not allowed") \
R(NOT_ALLOWED,	"source-not-allowed",	403, 1008, 1008, "not allowed from this address") \
R(NO_LOCATION,	"no-location",		404, 1008, 1008, "no such location") \
R(METHOD,	"method",		405, 1002, 1002, "method not allowed") \
R(HANDSHAKE_TIMEOUT, "handshake-timeout", 408, 1002, 1002, "request took too long") \
R(BODY,		"body",			413, 1002, 1002, "a request body is not accepted") \
R(LINE_TOO_LONG, "line-too-long",	414, 1002, 1002, "request line too long") \
R(NO_UPGRADE,	"upgrade-required",	426, 1002, 1002, "WebSocket upgrade required") \
R(MAX_SESSIONS,	"max-sessions",		429, 1013, 1013, "too many sessions") \
R(MAX_PER_SOURCE, "max-sessions-per-source", 429, 1013, 1013, "too many sessions from this address") \
R(HEADERS_TOO_BIG, "headers-too-large",	431, 1002, 1002, "headers too large") \
R(NOT_IMPLEMENTED, "not-implemented",	501, 1002, 1002, "not implemented") \
R(HTTP_VERSION,	"http-version",		505, 1002, 1002, "HTTP version not supported") \
R(DRAINING,	"draining",		503, 1012, 1012, "service restart") \
R(NO_DESCRIPTORS, "out-of-descriptors",	503, 1013, 1013, "try again later") \
R(UNAVAILABLE,	"unavailable",		503, 1013, 1013, "try again later") \
/* the target could not be reached (after the 101) */			\
R(TARGET_NOT_ALLOWED, "target-not-allowed", 403, 1008, 4005, "target not allowed") \
R(CONN_REFUSED,	"connection-refused",	502, 1011, 4001, "connection refused") \
R(TIMED_OUT,	"timed-out",		504, 1011, 4003, "timed out")	\
R(UNREACHABLE,	"unreachable",		502, 1011, 4002, "unreachable")	\
R(NO_NAME,	"no-such-name",		502, 1011, 4004, "no such name") \
R(HANDSHAKE_REFUSED, "handshake-refused", 502, 1011, 4001, "handshake refused") \
R(SOKKEN_PROTO,	"sokken-subprotocol",	0,   1008, 1008, "client not using sokken subprotocol") \
R(SOKKEN_TARGET, "sokken-target",	0,   1011, 4005, "target address not allowed") \
/* ends of running sessions */						\
R(RESET_BY_TARGET, "reset-by-target",	0,   1011, 4000, "reset by target") \
R(RESET_BY_CLIENT, "reset-by-client",	0,   1011, 4000, "reset by client") \
R(PEER_CLOSE,	"peer-close-code",	0,   1000, 1000, "")		\
R(TRUNCATED,	"truncated",		0,   1002, 1002, "connection ended inside a frame") \
R(NO_CLOSE,	"no-close",		0,   1002, 1002, "connection ended without Close") \
R(PROTOCOL,	"protocol-error",	0,   1002, 1002, "protocol error") \
R(DATATYPE,	"forbidden-data",	0,   1003, 1003, "unsupported data") \
R(UTF8,		"bad-utf8",		0,   1007, 1007, "text is not UTF-8") \
R(TOO_BIG,	"message-too-big",	0,   1009, 1009, "message too big") \
R(STALL,	"stalled",		0,   1011, 1011, "stalled")	\
R(IDLE,		"idle",			0,   1011, 1011, "idle")	\
R(PING_TIMEOUT,	"ping-timeout",		0,   1011, 1011, "no pong")	\
R(CLOSE_TIMEOUT, "close-timeout",	0,   1011, 1011, "close timed out") \
R(DEAD_PEER,	"dead-peer",		0,   1011, 1011, "peer is gone") \
R(KILLED,	"killed",		0,   1008, 1008, "ended by operator") \
R(REVOKED,	"no-longer-allowed",	0,   1008, 4005, "no longer allowed") \
R(RESTART,	"restart",		0,   1012, 1012, "service restart") \
R(BUDGET,	"budget",		0,   1013, 1013, "try again later") \
R(INTERNAL,	"internal",		500, 1011, 1011, "internal error")

#define REASON_ENUM(id, word, http, code, v1code, text)	REASON_##id,
enum reason {
	REASONS(REASON_ENUM)
	REASON_MAX
};
#undef REASON_ENUM

/* All of these accept any value; an unknown one reads as INTERNAL. */
const char *reason_word(enum reason);	/* "connection-refused" */
const char *reason_text(enum reason);	/* "connection refused" */
int	 reason_http(enum reason);	/* 0: never said by HTTP */
uint16_t reason_close(enum reason, int tcpv1);

#endif /* REASON_H */
