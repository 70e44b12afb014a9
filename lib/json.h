/* SPDX-License-Identifier: ISC */

/*
 * json.h: a tiny streaming JSON writer into a growing or fixed buffer.
 * Commas and nesting are its own business.  Strings are escaped; bytes that
 * are no UTF-8 become U+FFFD.
 */
#ifndef LIB_JSON_H
#define LIB_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json {
	char		*buf;		/* NUL-terminated text */
	size_t		len, size;
	bool		fixed;		/* buf is the caller's */
	bool		failed;		/* out of room or memory: text is cut */
	bool		indent;		/* one key a line, two blanks */
	unsigned	depth;
	uint32_t	more;		/* bit per depth: not empty */
	bool		aftername;
};

void	 json_init(struct json *);			/* grows; json_free() */
void	 json_init_fixed(struct json *, char *buf, size_t size);
void	 json_free(struct json *);
void	 json_object(struct json *);			/* { */
void	 json_array(struct json *);			/* [ */
void	 json_end_object(struct json *);
void	 json_end_array(struct json *);
void	 json_name(struct json *, const char *);
void	 json_string(struct json *, const char *);	/* NULL: null */
void	 json_stringn(struct json *, const char *, size_t);
void	 json_u64(struct json *, uint64_t);
void	 json_i64(struct json *, int64_t);
void	 json_bool(struct json *, bool);
void	 json_null(struct json *);
/* microseconds as seconds with three decimals: 1234567 -> 1.234 */
void	 json_duration(struct json *, uint64_t usec);
/* microseconds since the epoch as RFC 3339 UTC with milliseconds */
void	 json_time(struct json *, uint64_t usec);

/* The text json_time() quotes, e.g. 2026-01-02T03:04:05.678Z; 25 bytes. */
#define RFC3339_LEN	25
const char *rfc3339(uint64_t usec, char out[RFC3339_LEN]);

#endif /* LIB_JSON_H */
