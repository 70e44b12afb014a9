/* SPDX-License-Identifier: ISC */

/* load.h: what the parts of the load tool share. */
#ifndef LOAD_H
#define LOAD_H

#include <stdint.h>

/*
 * The bytes that travel: a stream of pseudo-random ones, the same in every
 * process, which repeats after PERIOD.  Whoever receives them compares each.
 */
#define PERIOD		131072
#define RBUF		262144	/* bytes of one read(2) */
#define FRAME_HEAD	14	/* longest header of a masked frame */
#define ORDER_LEN	20	/* a count in decimal, and a newline */

/* Twice the period: PERIOD bytes can be had from any offset. */
extern uint8_t	 pattern[2 * PERIOD];

enum opcode { OP_CONT, OP_TEXT, OP_BINARY, OP_CLOSE = 8, OP_PING, OP_PONG };

/* A client's parser of what a WebSocket server sends. */
struct wsin {
	uint64_t	 left;		/* payload bytes of this frame */
	uint8_t		 head[10];
	uint8_t		 control[125];
	unsigned int	 nhead, ncontrol;
	uint8_t		 opcode;	/* of this frame */
	uint8_t		 in_payload, in_message;
};

/* What wsin_feed() found. */
enum found { FOUND_MORE, FOUND_DATA, FOUND_CONTROL, FOUND_ERROR };

/* pattern.c */

/* Fills the pattern; call it first. */
void	 pattern_init(void);

/*
 * Compares len bytes with the stream at offset.  -1 if they are the same,
 * else the index of the first wrong one.
 */
int64_t	 pattern_check(uint64_t offset, const uint8_t *, size_t len);

/* A pseudo-random number; the same sequence for the same *seed. */
uint32_t prng(uint32_t *seed);

/* Nanoseconds of a clock that never goes back. */
uint64_t now_ns(void);

/* Prints a message and ends the program with status 1. */
__dead void die(const char *, ...) __attribute__((__format__(printf, 1, 2)));

/* Reserves memory, or dies. */
void	*need(void *, size_t);

/* wsclient.c, RFC 6455 from the client's side */

/* Writes an upgrade request for path; its length, or 0 if it is too long. */
size_t	 ws_request(char *, size_t, const char *host, const char *path);

/*
 * The answer so far, without its end or complete.  Its length if it is a
 * complete and right one, 0 if more is needed, -1 with *err otherwise.
 */
int	 ws_response(const uint8_t *, size_t, const char **err);

/*
 * Writes one masked frame, FRAME_HEAD + len bytes at most; fin 0 means that
 * more of the message follows.  The number of bytes written.
 */
size_t	 ws_frame(uint8_t *, enum opcode, int fin, const uint8_t *, size_t len,
	    uint32_t mask);

/*
 * Takes what it can from *buf and moves *buf and *len.  FOUND_DATA: *data and
 * *datalen are payload; FOUND_CONTROL: a whole control frame is in opcode,
 * control, ncontrol; FOUND_MORE: all is consumed; FOUND_ERROR: *err says how
 * the server broke the protocol.
 */
enum found wsin_feed(struct wsin *, const uint8_t **buf, size_t *len,
	    const uint8_t **data, size_t *datalen, const char **err);

/* serve.c */

/* Backends until SIGTERM: each word is KIND[:PORT].  The exit status. */
int	 serve(int argc, char **argv);

#endif
