/* SPDX-License-Identifier: ISC */

/* http1.c: strict parser of HTTP/1.x heads, one byte at a time. */

#include "compat.h"

#include <sys/socket.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <string.h>
#include <strings.h>

#include "http1.h"

/*
 * Every byte is looked at once, in order, and the first error wins; what can
 * only be judged by the whole head (Host, bodies) is judged at the empty
 * line.  So the result cannot depend on how the head was split into reads.
 *
 *  request:                               response:
 *
 *  START --CR--> START_LF --LF--> LINE
 *    |                             |
 *    +----------+------------------+        VERSION (HTTP/) -> MAJOR -> DOT
 *               v                             ^                          |
 *            METHOD --SP--> TARGET            |            +-- MINOR <---+
 *                             |SP             |            |SP
 *                             v               |            v
 *      MINOR <- DOT <- MAJOR <- VERSION       |           CODE --SP--> PHRASE
 *        |CR                                start          |CR           |CR
 *        +-----------------------+-------------------------+-------------+
 *                                v
 *                             LINE_LF
 *                                |LF
 *                                v
 *      +--LF-- VALUE_LF      FIELD --CR--> END_LF --LF--> DONE
 *      |          ^            |  ^
 *      |          |CR          v  |
 *      |        VALUE <-- : -- NAME
 *      +--------------------------+
 *
 *  A blank at FIELD is folding.  Anything not drawn is FAILED, which is final.
 */
enum state {
	ST_START, ST_START_LF, ST_LINE, ST_METHOD, ST_TARGET, ST_VERSION,
	ST_MAJOR, ST_DOT, ST_MINOR, ST_VERSION_END, ST_CODE, ST_PHRASE,
	ST_LINE_LF, ST_FIELD, ST_NAME, ST_VALUE, ST_VALUE_LF, ST_END_LF,
	ST_DONE, ST_FAILED
};

#define LIMIT_MAX	(1U << 24)	/* offsets stay far inside 32 bits */

/* RFC 9110, 9.3 and RFC 5789; the rest of IANA's list is WebDAV. */
static const char *const methods[] = {
	"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE",
	"CONNECT"
};

static bool
is_alpha(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/* RFC 9110, 5.6.2 */
static bool
is_tchar(uint8_t c)
{
	return is_alpha(c) || is_digit(c) ||
	    (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

/* Field values and reason phrases: HTAB, SP, VCHAR, obs-text (5.5). */
static bool
is_text(uint8_t c)
{
	return c == '\t' || (c >= ' ' && c != 0x7f);
}

/*
 * Visible ASCII but for what no URI holds even when sloppily written; "[",
 * "|" and the like are sent unencoded by browsers.
 */
static bool
is_target(uint8_t c)
{
	return c > ' ' && c < 0x7f && c != '"' && c != '<' && c != '>' &&
	    c != '#';
}

static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static void
init(struct http1 *h, const struct http1_limits *limits)
{
	memset(h, 0, sizeof(*h));
	h->limits = *limits;
	if (h->limits.line > LIMIT_MAX)
		h->limits.line = LIMIT_MAX;
	if (h->limits.bytes > LIMIT_MAX)
		h->limits.bytes = LIMIT_MAX;
	if (h->limits.count > HTTP1_HEADERS_MAX)
		h->limits.count = HTTP1_HEADERS_MAX;
}

void
http1_init_request(struct http1 *h, const struct http1_limits *limits)
{
	init(h, limits);
	h->state = ST_START;
}

void
http1_init_response(struct http1 *h, const struct http1_limits *limits)
{
	init(h, limits);
	h->response = true;
	h->state = ST_VERSION;
}

static void
fail(struct http1 *h, int status, const char *why)
{
	h->state = ST_FAILED;
	h->status = h->response ? 502 : status;
	h->why = why;
}

/* LF without CR, CR without LF, NUL and the rest get names of their own. */
static void
fail_byte(struct http1 *h, uint8_t c, const char *why)
{
	if (c == '\n')
		why = "bare LF";
	else if (c == '\r')
		why = "CR out of place";
	else if (c == '\0')
		why = "NUL byte";
	fail(h, 400, why);
}

static void
expect_lf(struct http1 *h, uint8_t c, int next)
{
	if (c == '\n')
		h->state = next;
	else
		fail(h, 400, "bare CR");
}

static void
end_of_method(struct http1 *h, const char *buf)
{
	size_t	i;

	h->methodlen = (uint32_t)(h->pos - h->method);
	h->target = (uint32_t)h->pos + 1;
	h->state = ST_TARGET;
	/* HTTP/2's preface: wait for its version, the answer is 505. */
	if (http1_method_is(h, buf, "PRI"))
		return;
	for (i = 0; i < nitems(methods); i++)
		if (http1_method_is(h, buf, methods[i]))
			return;
	fail(h, 501, "unknown method");
}

/* "HTTP/d.d" and, in a response, the code: both kinds of first line. */
static void
step_version(struct http1 *h, const char *buf, uint8_t c)
{
	static const char	name[] = "HTTP/";

	switch (h->state) {
	case ST_VERSION:
		if (c != (uint8_t)name[h->pos - h->mark])
			fail_byte(h, c, "not HTTP");
		else if (h->pos - h->mark == sizeof(name) - 2)
			h->state = ST_MAJOR;
		break;
	case ST_MAJOR:
		if (!is_digit(c))
			fail_byte(h, c, "bad HTTP version");
		else {
			h->minor = c - '0';	/* the major one, for now */
			h->state = ST_DOT;
		}
		break;
	case ST_DOT:
		if (c != '.')
			fail_byte(h, c, "bad HTTP version");
		else
			h->state = ST_MINOR;
		break;
	case ST_MINOR:
		if (!is_digit(c))
			fail_byte(h, c, "bad HTTP version");
		else if (h->minor != 1)
			fail(h, 505, "not HTTP/1.x");
		else if (!h->response && http1_method_is(h, buf, "PRI"))
			fail(h, 501, "unknown method");
		else {
			h->minor = c - '0';
			h->state = ST_VERSION_END;
		}
		break;
	}
}

static void
step_request(struct http1 *h, const char *buf, uint8_t c)
{
	switch (h->state) {
	case ST_START:
		if (c == '\r') {
			h->state = ST_START_LF;
			break;
		}
		/* FALLTHROUGH */
	case ST_LINE:
		h->linestart = h->pos;
		h->method = (uint32_t)h->pos;
		h->state = ST_METHOD;
		if (!is_tchar(c))
			fail_byte(h, c, "bad method");
		break;
	case ST_START_LF:
		expect_lf(h, c, ST_LINE);
		break;
	case ST_METHOD:
		if (c == ' ')
			end_of_method(h, buf);
		else if (!is_tchar(c))
			fail_byte(h, c, "bad method");
		break;
	case ST_TARGET:
		if (c == ' ') {
			h->targetlen = (uint32_t)h->pos - h->target;
			h->mark = h->pos + 1;
			h->state = ST_VERSION;
			if (h->targetlen == 0)
				fail(h, 400, "empty request target");
		} else if (!is_target(c))
			fail_byte(h, c, "bad request target");
		break;
	case ST_VERSION_END:
		if (c == '\r')
			h->state = ST_LINE_LF;
		else
			fail_byte(h, c, "bad HTTP version");
		break;
	}
}

static void
end_of_code(struct http1 *h, uint8_t c)
{
	if (h->pos - h->mark != 3 || h->code < 100 || h->code > 599) {
		fail_byte(h, c == '\r' ? ' ' : c, "bad status code");
		return;
	}
	h->phrase = (uint32_t)h->pos + (c == ' ');
	h->state = c == ' ' ? ST_PHRASE : ST_LINE_LF;
}

static void
step_status(struct http1 *h, uint8_t c)
{
	switch (h->state) {
	case ST_VERSION_END:
		if (c != ' ')
			fail_byte(h, c, "bad HTTP version");
		else {
			h->mark = h->pos + 1;
			h->state = ST_CODE;
		}
		break;
	case ST_CODE:
		/* "HTTP/1.1 101" CRLF without a blank is met in the wild. */
		if (c == ' ' || c == '\r')
			end_of_code(h, c);
		else if (!is_digit(c) || h->pos - h->mark >= 3)
			fail_byte(h, c, "bad status code");
		else
			h->code = h->code * 10 + (c - '0');
		break;
	case ST_PHRASE:
		if (c == '\r') {
			h->phraselen = (uint32_t)h->pos - h->phrase;
			h->state = ST_LINE_LF;
		} else if (!is_text(c))
			fail_byte(h, c, "bad reason phrase");
		break;
	}
}

/* The first line, up to its CR. */
static void
step_line(struct http1 *h, const char *buf, uint8_t c)
{
	if (h->state > ST_LINE && c != '\r' &&
	    h->pos - h->linestart >= h->limits.line) {
		fail(h, 414, "first line too long");
		return;
	}
	if (h->state >= ST_VERSION && h->state <= ST_MINOR)
		step_version(h, buf, c);
	else if (h->response)
		step_status(h, c);
	else
		step_request(h, buf, c);
}

static void
step_field(struct http1 *h, uint8_t c)
{
	struct http1_field	*f;

	if (c == '\r') {
		h->state = ST_END_LF;
		return;
	}
	if (is_blank(c)) {
		fail(h, 400, "folded header line");
		return;
	}
	if (h->nfields >= h->limits.count) {
		fail(h, 431, "too many header lines");
		return;
	}
	f = &h->fields[h->nfields];
	f->name = (uint32_t)h->pos;
	h->state = ST_NAME;
	if (!is_tchar(c))
		fail_byte(h, c, "bad header name");
}

/*
 * Header lines, their CRLFs included in the limit of bytes.  mark is one past
 * the last byte of the value that is no blank.
 */
static void
step_header(struct http1 *h, uint8_t c)
{
	struct http1_field	*f;

	if (!(h->state == ST_FIELD && c == '\r') &&
	    h->pos - h->linestart >= h->limits.bytes) {
		fail(h, 431, "header lines too long");
		return;
	}
	if (h->state == ST_FIELD) {
		step_field(h, c);
		return;
	}
	/* From here on a line was begun, so there is room for it. */
	f = &h->fields[h->nfields];
	switch (h->state) {
	case ST_NAME:
		if (c == ':') {
			f->namelen = (uint32_t)h->pos - f->name;
			f->value = 0;
			h->state = ST_VALUE;
		} else if (is_blank(c))
			fail(h, 400, "blank in a header name");
		else if (!is_tchar(c))
			fail_byte(h, c, "bad header name");
		break;
	case ST_VALUE:
		if (c == '\r') {
			if (f->value == 0)
				h->mark = f->value = (uint32_t)h->pos;
			f->valuelen = (uint32_t)h->mark - f->value;
			h->state = ST_VALUE_LF;
		} else if (!is_text(c))
			fail_byte(h, c, "control byte in a header value");
		else if (!is_blank(c)) {
			if (f->value == 0)
				f->value = (uint32_t)h->pos;
			h->mark = h->pos + 1;
		}
		break;
	case ST_VALUE_LF:
		h->nfields++;
		expect_lf(h, c, ST_FIELD);
		break;
	}
}

/*
 * RFC 9110, 7.2: uri-host [ ":" port ].  Of RFC 3986's reg-name only what
 * host names are made of; userinfo, lists and percent-encoding have no use
 * here but confusing whoever else reads the field.
 */
static bool
host_valid(const char *p, size_t len)
{
	struct in6_addr	in6;
	char		v6[INET6_ADDRSTRLEN];
	unsigned long	port = 0;
	size_t		i = 0;

	if (len > 0 && p[0] == '[') {
		while (i < len && p[i] != ']')
			i++;
		if (i == len || i - 1 >= sizeof(v6))
			return false;
		memcpy(v6, p + 1, i - 1);
		v6[i - 1] = '\0';
		if (inet_pton(AF_INET6, v6, &in6) != 1)
			return false;
		i++;
	} else {
		while (i < len && (is_alpha((uint8_t)p[i]) ||
		    is_digit((uint8_t)p[i]) || p[i] == '-' || p[i] == '.' ||
		    p[i] == '_' || p[i] == '~'))
			i++;
		if (i == 0)
			return false;
	}
	if (i == len)
		return true;
	if (p[i++] != ':' || len - i > 5)
		return false;
	for (; i < len; i++) {
		if (!is_digit((uint8_t)p[i]))
			return false;
		port = port * 10 + (unsigned long)(p[i] - '0');
	}
	return port <= 65535;
}

/* What can only be said at the end of a request's head (RFC 9112, 3.2, 6). */
static void
check_request(struct http1 *h, const char *buf)
{
	const struct http1_field	*host, *cl;
	unsigned			 nhost, ncl;
	bool				 te, zero = true;
	size_t				 i;

	nhost = http1_field_count(h, buf, "Host");
	if (nhost > 1) {
		fail(h, 400, "more than one Host");
		return;
	}
	if (nhost == 0 && h->minor >= 1) {
		fail(h, 400, "no Host");
		return;
	}
	host = http1_field(h, buf, "Host", 0);
	if (host != NULL && !host_valid(buf + host->value, host->valuelen)) {
		fail(h, 400, "bad Host");
		return;
	}
	ncl = http1_field_count(h, buf, "Content-Length");
	te = http1_field_count(h, buf, "Transfer-Encoding") > 0;
	if (te && ncl > 0) {
		fail(h, 400, "Content-Length with Transfer-Encoding");
		return;
	}
	if (te) {
		fail(h, 501, "Transfer-Encoding is not supported");
		return;
	}
	if (ncl == 0)
		return;
	if (ncl > 1) {
		fail(h, 400, "more than one Content-Length");
		return;
	}
	cl = http1_field(h, buf, "Content-Length", 0);
	for (i = 0; i < cl->valuelen; i++) {
		if (!is_digit((uint8_t)buf[cl->value + i])) {
			fail(h, 400, "bad Content-Length");
			return;
		}
		zero = zero && buf[cl->value + i] == '0';
	}
	if (cl->valuelen == 0)
		fail(h, 400, "bad Content-Length");
	else if (!zero)
		fail(h, 413, "a request body is not accepted");
}

enum http1_result
http1_feed(struct http1 *h, const char *buf, size_t len)
{
	uint8_t	c;

	for (; h->state < ST_DONE && h->pos < len; h->pos++) {
		c = (uint8_t)buf[h->pos];
		if (h->state < ST_LINE_LF)
			step_line(h, buf, c);
		else if (h->state == ST_LINE_LF) {
			expect_lf(h, c, ST_FIELD);
			h->linestart = h->pos + 1;
		} else if (h->state < ST_END_LF)
			step_header(h, c);
		else {
			expect_lf(h, c, ST_DONE);
			if (h->state == ST_DONE && !h->response)
				check_request(h, buf);
			h->headlen = h->pos + 1;
		}
	}
	if (h->state == ST_DONE)
		return HTTP1_DONE;
	return h->state == ST_FAILED ? HTTP1_ERROR : HTTP1_MORE;
}

static bool
name_is(const struct http1_field *f, const char *buf, const char *name)
{
	return strlen(name) == f->namelen &&
	    strncasecmp(buf + f->name, name, f->namelen) == 0;
}

const struct http1_field *
http1_field(const struct http1 *h, const char *buf, const char *name,
    unsigned n)
{
	unsigned	i;

	for (i = 0; i < h->nfields; i++)
		if (name_is(&h->fields[i], buf, name) && n-- == 0)
			return &h->fields[i];
	return NULL;
}

unsigned
http1_field_count(const struct http1 *h, const char *buf, const char *name)
{
	unsigned	i, n = 0;

	for (i = 0; i < h->nfields; i++)
		n += name_is(&h->fields[i], buf, name);
	return n;
}

/* Where the list element at p ends: a comma outside quotes, or end. */
static size_t
element_end(const char *buf, size_t p, size_t end)
{
	bool	quoted = false;

	for (; p < end; p++) {
		if (quoted && buf[p] == '\\' && p + 1 < end)
			p++;
		else if (buf[p] == '"')
			quoted = !quoted;
		else if (buf[p] == ',' && !quoted)
			break;
	}
	return p;
}

/* *iter is the offset in the head where the next element may begin. */
bool
http1_next_element(const struct http1 *h, const char *buf, const char *name,
    size_t *iter, const char **elem, size_t *len)
{
	const struct http1_field	*f;
	size_t				 from, to, end;
	unsigned			 i;

	for (i = 0; i < h->nfields; i++) {
		f = &h->fields[i];
		end = (size_t)f->value + f->valuelen;
		if (*iter >= end || !name_is(f, buf, name))
			continue;
		if (*iter < f->value)
			*iter = f->value;
		while (*iter < end) {
			from = *iter;
			to = element_end(buf, from, end);
			*iter = to + 1;
			while (from < to && is_blank((uint8_t)buf[from]))
				from++;
			while (to > from && is_blank((uint8_t)buf[to - 1]))
				to--;
			if (from == to)
				continue;	/* RFC 9110, 5.6.1.2 */
			*elem = buf + from;
			*len = to - from;
			return true;
		}
	}
	return false;
}

bool
http1_has_token(const struct http1 *h, const char *buf, const char *name,
    const char *token)
{
	const char	*elem;
	size_t		 iter = 0, len;

	while (http1_next_element(h, buf, name, &iter, &elem, &len))
		if (len == strlen(token) &&
		    strncasecmp(elem, token, len) == 0)
			return true;
	return false;
}

bool
http1_method_is(const struct http1 *h, const char *buf, const char *method)
{
	return strlen(method) == h->methodlen &&
	    memcmp(buf + h->method, method, h->methodlen) == 0;
}

const char *
http1_phrase(int status)
{
	static const struct {
		int		 status;
		const char	*phrase;
	} phrases[] = {
		{ 101, "Switching Protocols" },
		{ 200, "OK" },
		{ 400, "Bad Request" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 408, "Request Timeout" },
		{ 413, "Content Too Large" },
		{ 414, "URI Too Long" },
		{ 426, "Upgrade Required" },
		{ 429, "Too Many Requests" },
		{ 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" },
		{ 501, "Not Implemented" },
		{ 502, "Bad Gateway" },
		{ 503, "Service Unavailable" },
		{ 504, "Gateway Timeout" },
		{ 505, "HTTP Version Not Supported" }
	};
	size_t	i;

	for (i = 0; i < nitems(phrases); i++)
		if (phrases[i].status == status)
			return phrases[i].phrase;
	return "Unknown";
}

static int
hexval(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/*
 * Skip "http://authority" (or https: a proxy in front may have ended TLS) and
 * return what is left, or NULL if the authority is not host.
 */
static const char *
skip_authority(const char *p, const char *end, const char *host,
    size_t hostlen)
{
	size_t	len = (size_t)(end - p);

	if (len >= 7 && strncasecmp(p, "http://", 7) == 0)
		p += 7;
	else if (len >= 8 && strncasecmp(p, "https://", 8) == 0)
		p += 8;
	else
		return NULL;
	len = (size_t)(end - p);
	if (host == NULL || hostlen == 0 || len < hostlen ||
	    strncasecmp(p, host, hostlen) != 0)
		return NULL;
	p += hostlen;
	return p == end || *p == '/' || *p == '?' ? p : NULL;
}

/* One byte of the path into *c; returns how many were used, 0: bad. */
static size_t
decode_byte(const char *p, const char *end, char *c)
{
	int	hi, lo;

	*c = *p;
	if (*p != '%')
		return is_target((uint8_t)*p) ? 1 : 0;
	if (end - p < 3 || (hi = hexval(p[1])) == -1 ||
	    (lo = hexval(p[2])) == -1)
		return 0;
	hi = hi * 16 + lo;
	*c = (char)(uint8_t)hi;
	return hi == '/' || hi < ' ' || hi == 0x7f ? 0 : 3;
}

int
http1_path(const char *target, size_t targetlen, const char *host,
    size_t hostlen, char *out, size_t outlen, const char **query,
    size_t *querylen)
{
	const char	*p = target, *end = target + targetlen;
	size_t		 i, n = 0, seg = 1, used;

	*query = NULL;
	*querylen = 0;
	if (p == end || (*p != '/' &&
	    (p = skip_authority(p, end, host, hostlen)) == NULL))
		return -1;
	if (p == end || *p == '?') {	/* "http://host", "http://host?x" */
		if (outlen < 2)
			return -1;
		out[n++] = '/';
	}
	for (; p < end && *p != '?'; p += used) {
		if (n + 1 >= outlen ||
		    (used = decode_byte(p, end, &out[n])) == 0)
			return -1;
		n++;
	}
	out[n] = '\0';
	if (p < end) {
		*query = ++p;
		*querylen = (size_t)(end - p);
		for (; p < end; p++)
			if (!is_target((uint8_t)*p))
				return -1;
	}
	/* Segments of the decoded path: out[seg..i) between slashes. */
	for (i = 1; i <= n; i++) {
		if (out[i] != '/' && out[i] != '\0')
			continue;
		if ((i - seg == 1 && out[seg] == '.') || (i - seg == 2 &&
		    out[seg] == '.' && out[seg + 1] == '.'))
			return -1;
		seg = i + 1;
	}
	return 0;
}
