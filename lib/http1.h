/* SPDX-License-Identifier: ISC */

/*
 * http1.h: the head of an HTTP/1.x request or response (RFC 9112), sans-IO
 * and incremental.  The caller keeps the head in one buffer that only grows;
 * the parser keeps offsets, so the buffer may move.  Any split into feeds
 * gives the same result.
 */
#ifndef LIB_HTTP1_H
#define LIB_HTTP1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP1_HEADERS_MAX	128	/* upper bound of limits.count */

struct http1_limits {
	size_t		line;		/* first line, without its CRLF */
	size_t		bytes;		/* all header lines with their CRLFs */
	unsigned	count;		/* header lines */
};

struct http1_field {			/* offsets into the head */
	uint32_t	name, namelen;
	uint32_t	value, valuelen; /* without surrounding blanks */
};

enum http1_result {
	HTTP1_MORE,			/* feed more */
	HTTP1_DONE,			/* head complete: see headlen */
	HTTP1_ERROR			/* see status and why; final */
};

struct http1 {
	struct http1_limits limits;
	bool		response;	/* parse a status line instead */
	/* results, valid after HTTP1_DONE */
	size_t		headlen;	/* bytes of the head and its CRLFCRLF */
	uint32_t	method, methodlen;
	uint32_t	target, targetlen;	/* as it came */
	int		minor;		/* HTTP/1.minor */
	int		code;		/* response: status code */
	uint32_t	phrase, phraselen;
	unsigned	nfields;
	struct http1_field fields[HTTP1_HEADERS_MAX];
	/* after HTTP1_ERROR: the status to answer, and a static reason */
	int		status;
	const char	*why;
	/* private */
	size_t		pos;
	size_t		linestart;
	size_t		mark;
	int		state;
};

void	 http1_init_request(struct http1 *, const struct http1_limits *);
void	 http1_init_response(struct http1 *, const struct http1_limits *);

/*
 * Look at buf[0..len), the head from its first byte on; bytes seen by an
 * earlier call are not read again.  HTTP1_DONE as soon as the empty line is
 * there (bytes behind it are untouched).  Errors of a request carry the HTTP
 * status to answer: 400 syntax (NUL, bare CR or LF, folding, space before the
 * colon, bad token, missing, duplicate or malformed Host, Content-Length with
 * Transfer-Encoding, several differing or malformed Content-Length), 413 a
 * body announced (Content-Length above 0), 414 line, 431 headers,
 * 501 unknown method (not a registered one) or Transfer-Encoding,
 * 505 version.  One CRLF before the request line is skipped (RFC 9112, 2.2).
 * HTTP/1.0 requests may lack Host.  Errors of a response have status 502.
 * A Content-Length that is there twice, or a list, is refused even if the
 * values agree.  A method is judged at its end, a version at its last digit,
 * Host and bodies at the empty line; "PRI * HTTP/2.0" is 505.
 */
enum http1_result http1_feed(struct http1 *, const char *buf, size_t len);

/*
 * The n-th (from 0) field called name (any case), or NULL.
 */
const struct http1_field *http1_field(const struct http1 *, const char *buf,
	    const char *name, unsigned n);

/* How many fields are called name. */
unsigned http1_field_count(const struct http1 *, const char *buf,
	    const char *name);

/*
 * Does any field called name hold token in its comma-separated list (any
 * case; quoted strings and blanks handled)?
 */
bool	 http1_has_token(const struct http1 *, const char *buf,
	    const char *name, const char *token);

/*
 * Walk the list elements of all fields called name, in order.  *iter starts
 * at 0.  Returns true with one trimmed element, false at the end.
 */
bool	 http1_next_element(const struct http1 *, const char *buf,
	    const char *name, size_t *iter, const char **elem, size_t *len);

/* Is the method exactly this word (case matters)? */
bool	 http1_method_is(const struct http1 *, const char *buf,
	    const char *method);

/* The standard reason phrase of a status we send, never NULL. */
const char *http1_phrase(int status);

/*
 * Take the path out of a request target in origin-form, or absolute-form
 * ("http://host/path", whose authority must equal Host: else -1): one
 * percent-decode, no other normalising, query cut off.  out gets at most
 * outlen bytes with NUL; *query the raw query inside target, or NULL.
 * Returns 0, or -1 (answer 400): bad percent-encoding, encoded "/" or NUL, a
 * "." or ".." segment (plain or encoded), a control byte, too long, or a
 * form that is not the two above.  host is the Host value or NULL (then no
 * absolute-form is accepted).  CONNECT and "OPTIONS *" have other forms: look
 * at the method first.
 */
int	 http1_path(const char *target, size_t targetlen, const char *host,
	    size_t hostlen, char *out, size_t outlen, const char **query,
	    size_t *querylen);

#endif /* LIB_HTTP1_H */
