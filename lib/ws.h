/* SPDX-License-Identifier: ISC */

/*
 * ws.h: RFC 6455 framing, sans-IO, for both ends of a connection.  Nothing
 * here allocates, reads or writes; state is a plain struct.
 */
#ifndef LIB_WS_H
#define LIB_WS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ws_opcode {			/* RFC 6455, 5.2 */
	WS_OP_CONT	= 0x0,
	WS_OP_TEXT	= 0x1,
	WS_OP_BINARY	= 0x2,
	WS_OP_CLOSE	= 0x8,
	WS_OP_PING	= 0x9,
	WS_OP_PONG	= 0xa
};

enum ws_close {			/* RFC 6455, 7.4.1; IANA for 1012-1014 */
	WS_CLOSE_NORMAL		= 1000,
	WS_CLOSE_AWAY		= 1001,
	WS_CLOSE_PROTOCOL	= 1002,
	WS_CLOSE_DATATYPE	= 1003,
	WS_CLOSE_NONE		= 1005,	/* never on the wire: empty Close */
	WS_CLOSE_ABNORMAL	= 1006,	/* never on the wire: no Close came */
	WS_CLOSE_UTF8		= 1007,
	WS_CLOSE_POLICY		= 1008,
	WS_CLOSE_TOOBIG		= 1009,
	WS_CLOSE_INTERNAL	= 1011,
	WS_CLOSE_RESTART	= 1012,
	WS_CLOSE_LATER		= 1013,
	WS_CLOSE_RESET		= 4000,	/* tunneld.tcp.v1, see protocol(7) */
	WS_CLOSE_REFUSED	= 4001,
	WS_CLOSE_UNREACHABLE	= 4002,
	WS_CLOSE_TIMEDOUT	= 4003,
	WS_CLOSE_NONAME		= 4004,
	WS_CLOSE_NOTALLOWED	= 4005
};

#define WS_CTL_MAX	125		/* payload of a control frame, 5.5 */
#define WS_HDR_MAX	14		/* 2 + 8 + 4 */

/* Decoder flags. */
#define WS_DEC_MASKED	0x01	/* we are the server: frames must be masked */
#define WS_DEC_MESSAGES	0x02	/* stop at each message end (echo) */
#define WS_DEC_TEXT_ANY	0x04	/* do not check text as UTF-8 */
#define WS_DEC_NO_TEXT	0x08	/* a text message is error 1003 (sokken) */
#define WS_DEC_EMPTY_TEXT 0x10	/* report an empty text message (tcp.v1 FIN) */

enum ws_event {
	WS_EV_NONE,		/* input used up; out->data may hold payload */
	WS_EV_MESSAGE,		/* a message ended here (WS_DEC_MESSAGES) */
	WS_EV_EMPTY_TEXT,	/* an empty text message (WS_DEC_EMPTY_TEXT) */
	WS_EV_PING,		/* ctl, ctllen: to be sent back in a Pong */
	WS_EV_PONG,
	WS_EV_CLOSE,		/* code (WS_CLOSE_NONE: empty), ctl: reason */
	WS_EV_ERROR		/* code: the Close code to answer; final */
};

struct ws_dec {
	unsigned	flags;		/* WS_DEC_* */
	uint64_t	max_message;	/* bytes, 0: no limit */
	/* private from here on */
	uint64_t	left;		/* of this frame's payload */
	uint64_t	msglen;		/* payload of this message so far */
	uint32_t	utf8;		/* state of the text check */
	uint8_t		mask[4];
	uint8_t		maskpos;	/* 0-3 */
	uint8_t		state;
	uint8_t		hdr[WS_HDR_MAX];
	uint8_t		hdrlen;
	uint8_t		hdrneed;
	uint8_t		op;		/* opcode of this frame */
	uint8_t		msgop;		/* opcode of this message, 0: none */
	bool		fin;
	uint8_t		ctllen;
	uint8_t		ctl[WS_CTL_MAX];
	uint16_t	code;
	const char	*why;
};

struct ws_out {
	size_t		consumed;	/* bytes of the input used */
	uint8_t		*data;		/* payload, inside the buffer */
	size_t		datalen;
	uint8_t		msgop;		/* opcode of the message data is from,
					 * or that ended here; 0: neither */
	enum ws_event	event;		/* what came right behind data */
	uint16_t	code;		/* WS_EV_CLOSE, WS_EV_ERROR */
	const uint8_t	*ctl;		/* WS_EV_PING/PONG/CLOSE, never NULL */
	size_t		ctllen;		/* then; valid until the next call */
	const char	*why;		/* WS_EV_ERROR: static text */
};

/* Start a decoder; max_message 0 means any size. */
void	 ws_dec_init(struct ws_dec *, unsigned flags, uint64_t max_message);

/*
 * Decode buf[0..len) in place.  Payload of consecutive data frames is
 * unmasked and compacted into one run at out->data (word-wise, one pass), up
 * to the first event.  Call again with buf + consumed while consumed < len;
 * the bytes before are free once data has been used.  A message whose frames
 * span calls is never collected.  Without WS_DEC_MESSAGES a run may hold
 * several messages: msgop is the last one's.  WS_EV_EMPTY_TEXT goes before
 * WS_EV_MESSAGE when both are asked for.  Data that came before a Close or an
 * error is returned with it.  After WS_EV_ERROR and WS_EV_CLOSE nothing more
 * is decoded: this call and every later one return that event with
 * consumed == len (RFC 6455, 5.5.1: data after a Close is to be ignored).
 *
 * Errors: 1002 for reserved bits and opcodes, wrong masking, a fragmented or
 * long control frame, a continuation out of place, a length not minimally
 * encoded or with the top bit set, a Close with one byte or a code that must
 * not be sent; 1007 for text or close reasons that are no UTF-8; 1009 above
 * max_message (as soon as a frame announces it); 1003 with WS_DEC_NO_TEXT.
 */
void	 ws_decode(struct ws_dec *, uint8_t *buf, size_t len, struct ws_out *);

/*
 * How many bytes of the input, from here on, are payload to be taken as they
 * are: inside an unmasked data frame whose bytes need no check.  0: the next
 * byte must go through ws_decode().
 */
uint64_t ws_dec_raw(const struct ws_dec *);
/* n of them, at most that many, were taken past the decoder. */
void	 ws_dec_skip(struct ws_dec *, uint64_t n);

/* Is the decoder between two frames (a FIN here truncates nothing)? */
bool	 ws_dec_at_frame_boundary(const struct ws_dec *);

/* Inside a fragmented message, that is between its first and last frame? */
bool	 ws_dec_in_message(const struct ws_dec *);

/*
 * Write a frame header for a payload of len bytes into hdr (WS_HDR_MAX
 * bytes).  mask NULL: unmasked.  Returns the header's length.
 */
size_t	 ws_header(uint8_t *hdr, enum ws_opcode, bool fin, uint64_t len,
	    const uint8_t mask[4]);

/*
 * XOR buf with mask, word-wise, starting at offset pos of the frame.  Masks
 * and unmasks alike (5.3).
 */
void	 ws_mask(uint8_t *buf, size_t len, const uint8_t mask[4], size_t pos);

/*
 * Write a complete control frame: hdr and payload into buf (at least
 * WS_HDR_MAX + WS_CTL_MAX bytes).  len above WS_CTL_MAX is cut.  Returns the
 * frame's length.
 */
size_t	 ws_control(uint8_t *buf, enum ws_opcode, const void *payload,
	    size_t len, const uint8_t mask[4]);

/*
 * The same for a Close with code and reason (cut to 123 bytes on a character
 * boundary, and before the first byte that is no UTF-8; may be NULL).
 * WS_CLOSE_NONE makes an empty Close; any other code that must not be sent
 * goes out as 1011, never as an orderly end.
 */
size_t	 ws_control_close(uint8_t *buf, uint16_t code, const char *reason,
	    const uint8_t mask[4]);

/* May this code stand in a Close frame on the wire (7.4.1, 7.4.2)? */
bool	 ws_close_code_valid(uint16_t code);

/* Sec-WebSocket-Accept for a key, as NUL-terminated text (29 bytes). */
#define WS_ACCEPT_LEN	29
#define WS_KEY_LEN	25
void	 ws_accept_key(const char *key, size_t keylen, char out[WS_ACCEPT_LEN]);

/* Does key decode to exactly 16 bytes (4.2.1)? */
bool	 ws_key_valid(const char *key, size_t keylen);

/* Make the text of a key from 16 random bytes. */
void	 ws_key_text(const uint8_t nonce[16], char out[WS_KEY_LEN]);

#endif /* LIB_WS_H */
