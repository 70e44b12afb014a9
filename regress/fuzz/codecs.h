/* SPDX-License-Identifier: ISC */

/*
 * codecs.h: which decoder each message of MESSAGES has.  A message without a
 * line here does not compile.
 */
#ifndef CODECS_H
#define CODECS_H

/*
 * C(name): a struct msg_NAME with msg_NAME_put() and msg_NAME_get().  Inputs
 * name a codec by its place: append only.
 */
#define CODECS(C)							\
C(hello) C(peer) C(result) C(sandbox) C(worker) C(open) C(answer)	\
C(announce) C(body) C(chunk) C(show) C(end) C(session) C(kill)

#define CODEC_ENUM(name) CODEC_##name,
enum codec {
	CODEC_empty,		/* msg_empty_get() */
	CODEC_num,		/* msg_num_get() */
	CODEC_log,		/* logrec_decode() */
	CODEC_conf,		/* conf_receive(): xfer_fuzz.c's */
	CODECS(CODEC_ENUM)
	CODEC_MAX
};
#undef CODEC_ENUM

#define DECODES_HELLO		CODEC_hello
#define DECODES_PEER		CODEC_peer
#define DECODES_PEER_GONE	CODEC_peer
#define DECODES_STATS		CODEC_empty
#define DECODES_STATS_OF	CODEC_peer
#define DECODES_CONF_BEGIN	CODEC_conf
#define DECODES_CONF_GLOBAL	CODEC_conf
#define DECODES_CONF_TEXT	CODEC_conf
#define DECODES_CONF_RESOLVER	CODEC_conf
#define DECODES_CONF_SERVER	CODEC_conf
#define DECODES_CONF_LISTEN	CODEC_conf
#define DECODES_CONF_LOC	CODEC_conf
#define DECODES_CONF_TARGET	CODEC_conf
#define DECODES_CONF_CIDR	CODEC_conf
#define DECODES_CONF_ORIGIN	CODEC_conf
#define DECODES_CONF_FORWARD	CODEC_conf
#define DECODES_CONF_SHOW	CODEC_conf
#define DECODES_PREPARE		CODEC_conf
#define DECODES_COMMIT		CODEC_num
#define DECODES_ABORT		CODEC_empty
#define DECODES_LOG_LEVEL	CODEC_num
#define DECODES_ALIVE		CODEC_empty
#define DECODES_DRAIN		CODEC_num
#define DECODES_STOP		CODEC_empty
#define DECODES_LOG_FD		CODEC_num
#define DECODES_CONTROL_FD	CODEC_empty
#define DECODES_WORKER		CODEC_worker
#define DECODES_RELOAD_RESULT	CODEC_result
#define DECODES_READY		CODEC_empty
#define DECODES_PREPARED	CODEC_result
#define DECODES_COMMITTED	CODEC_num
#define DECODES_ALIVE_OK	CODEC_empty
#define DECODES_DRAINED		CODEC_num
#define DECODES_SANDBOX		CODEC_sandbox
#define DECODES_RELOAD		CODEC_num
#define DECODES_LOG_REOPEN	CODEC_num
#define DECODES_SET_LOG_LEVEL	CODEC_num
#define DECODES_OPEN		CODEC_open
#define DECODES_CLOSED		CODEC_answer
#define DECODES_ANNOUNCE	CODEC_announce
#define DECODES_ANNOUNCED	CODEC_empty
#define DECODES_ADMITTED	CODEC_answer
#define DECODES_REFUSED		CODEC_answer
#define DECODES_CONNECTED	CODEC_answer
#define DECODES_FAILED		CODEC_answer
#define DECODES_REVOKE		CODEC_answer
#define DECODES_LOG		CODEC_log
#define DECODES_LOG_PARENT	CODEC_log
#define DECODES_BODY		CODEC_body
#define DECODES_BODY_REPLY	CODEC_chunk
#define DECODES_SHOW_SESSIONS	CODEC_show
#define DECODES_SESSION_ROW	CODEC_session
#define DECODES_SESSIONS_END	CODEC_end
#define DECODES_KILL_SESSION	CODEC_kill
#define DECODES_KILL_RESULT	CODEC_result

#endif /* CODECS_H */
