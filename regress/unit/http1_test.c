/* SPDX-License-Identifier: ISC */
/* http1_test.c: heads good, bad and hostile, fed in every split. */
/* LINK: lib/http1.c */

#include "compat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http1.h"

#define H		"Host: h\r\n"
#define END		"\r\n"
/* A literal with its length: samples hold NUL bytes. */
#define S(text)		text, sizeof(text) - 1

static const struct http1_limits defaults = { 8192, 16384, 64 };

struct sample {
	const char	*text;
	size_t		 len;
	int		 status;	/* 0: good */
};

/*
 * Feed a copy of exactly the bytes allowed so far, so that a sanitizer sees
 * any look beyond them; the copy moves, as the caller's buffer may.
 */
static enum http1_result
feed(struct http1 *h, const char *text, size_t len)
{
	enum http1_result	 r;
	char			*copy = malloc(len == 0 ? 1 : len);

	assert_non_null(copy);
	memcpy(copy, text, len);
	r = http1_feed(h, copy, len);
	free(copy);
	return r;
}

static void
init(struct http1 *h, bool response, const struct http1_limits *limits)
{
	if (response)
		http1_init_response(h, limits);
	else
		http1_init_request(h, limits);
}

/* All that a caller may look at must be the same. */
static void
assert_same(enum http1_result r, const struct http1 *a, const struct http1 *b)
{
	if (r == HTTP1_MORE)
		return;
	if (r == HTTP1_ERROR) {
		assert_int_equal(a->status, b->status);
		assert_ptr_equal(a->why, b->why);
		return;
	}
	assert_int_equal(a->headlen, b->headlen);
	assert_int_equal(a->method, b->method);
	assert_int_equal(a->methodlen, b->methodlen);
	assert_int_equal(a->target, b->target);
	assert_int_equal(a->targetlen, b->targetlen);
	assert_int_equal(a->minor, b->minor);
	assert_int_equal(a->code, b->code);
	assert_int_equal(a->phrase, b->phrase);
	assert_int_equal(a->phraselen, b->phraselen);
	assert_int_equal(a->nfields, b->nfields);
	assert_memory_equal(a->fields, b->fields,
	    a->nfields * sizeof(a->fields[0]));
}

/*
 * Whole, byte by byte, and in two parts at every point: same result.  Then
 * once more behind the end: results are final.
 */
static enum http1_result
run(struct http1 *whole, bool response, const struct http1_limits *limits,
    const char *text, size_t len)
{
	struct http1		h;
	enum http1_result	r, q;
	size_t			i;

	init(whole, response, limits);
	r = feed(whole, text, len);
	for (i = 0; i <= len; i++) {
		init(&h, response, limits);
		q = feed(&h, text, i);
		if (q != HTTP1_MORE)
			assert_int_equal(q, r);
		q = feed(&h, text, len);
		assert_int_equal(q, r);
		assert_same(r, whole, &h);
	}
	init(&h, response, limits);
	q = HTTP1_MORE;
	for (i = 0; i <= len; i++) {
		if (q != HTTP1_MORE)
			assert_int_equal(feed(&h, text, i), q);
		else
			q = feed(&h, text, i);
	}
	assert_int_equal(q, r);
	assert_same(r, whole, &h);
	return r;
}

static void
run_samples(bool response, const struct sample *s, size_t n)
{
	struct http1		h;
	enum http1_result	r;

	for (; n > 0; n--, s++) {
		r = run(&h, response, &defaults, s->text, s->len);
		if (s->status == 0 && r == HTTP1_DONE)
			continue;
		if (s->status != 0 && r == HTTP1_ERROR &&
		    h.status == s->status && h.why != NULL)
			continue;
		fail_msg("result %d status %d (%s), not %d: %s", r,
		    r == HTTP1_ERROR ? h.status : 0,
		    r == HTTP1_ERROR ? h.why : "-", s->status, s->text);
	}
}

static void
good_requests(void **state)
{
	static const struct sample s[] = {
		{ S("GET / HTTP/1.1\r\n" H END), 0 },
		{ S("\r\nGET / HTTP/1.1\r\n" H END), 0 },
		{ S("GET / HTTP/1.0\r\n" END), 0 },
		{ S("HEAD /health HTTP/1.0\r\n" H END), 0 },
		{ S("GET / HTTP/1.9\r\n" H END), 0 },
		{ S("POST / HTTP/1.1\r\n" H END), 0 },
		{ S("PUT / HTTP/1.1\r\n" H END), 0 },
		{ S("DELETE / HTTP/1.1\r\n" H END), 0 },
		{ S("OPTIONS * HTTP/1.1\r\n" H END), 0 },
		{ S("PATCH / HTTP/1.1\r\n" H END), 0 },
		{ S("TRACE / HTTP/1.1\r\n" H END), 0 },
		{ S("CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n" END), 0 },
		{ S("GET /tunnel/[::1]:22?a={b|c} HTTP/1.1\r\n" H END), 0 },
		{ S("GET http://h/x HTTP/1.1\r\n" H END), 0 },
		{ S("GET / HTTP/1.1\r\nhOsT:h\r\n" END), 0 },
		{ S("GET / HTTP/1.1\r\nHost:\t h.example:8080 \t \r\n" END),
		    0 },
		{ S("GET / HTTP/1.1\r\nHost: [::1]\r\n" END), 0 },
		{ S("GET / HTTP/1.1\r\nHost: [2001:db8::1]:65535\r\n" END),
		    0 },
		{ S("GET / HTTP/1.1\r\nHost: 127.0.0.1:\r\n" END), 0 },
		{ S("GET / HTTP/1.1\r\n" H "X:\r\nY: \r\nZ:\t\r\n" END), 0 },
		{ S("GET / HTTP/1.1\r\n" H "X: a\tb \xc3\xa4\xff\r\n" END), 0 },
		{ S("GET / HTTP/1.1\r\n" H "!#$%&'*+-.^_`|~09azAZ: x\r\n" END),
		    0 },
		{ S("GET / HTTP/1.1\r\n" H "Content-Length: 0\r\n" END), 0 },
		{ S("GET / HTTP/1.1\r\n" H "Content-Length: 000\r\n" END), 0 },
		{ S("GET / HTTP/1.1\r\n" H END "\x81\x05 frames\r\n\r\n"), 0 },
	};

	run_samples(false, s, nitems(s));
}

static void
bad_syntax(void **state)
{
	static const struct sample s[] = {
		/* line ends */
		{ S("\nGET / HTTP/1.1\r\n" H END), 400 },
		{ S("\r\n\r\nGET / HTTP/1.1\r\n" H END), 400 },
		{ S("\rGET / HTTP/1.1\r\n" H END), 400 },
		{ S("GET / HTTP/1.1\n" H END), 400 },
		{ S("GET / HTTP/1.1\r" H END), 400 },
		{ S("GET / HTTP/1.1\r\r\n" H END), 400 },
		{ S("GET / HTTP/1.1\r\nHost: h\n" END), 400 },
		{ S("GET / HTTP/1.1\r\nHost: h\rX: y\r\n" END), 400 },
		{ S("GET / HTTP/1.1\r\nHost: h\r\r\n" END), 400 },
		{ S("GET / HTTP/1.1\r\n" H "\n"), 400 },
		{ S("GET / HTTP/1.1\r\n" H "\rX"), 400 },
		/* the request line */
		{ S("\x16\x03\x01\x02\x00\x01"), 400 },
		{ S("\0GET / HTTP/1.1\r\n" H END), 400 },
		{ S(" GET / HTTP/1.1\r\n" H END), 400 },
		{ S("G\0T / HTTP/1.1\r\n" H END), 400 },
		{ S("GE(T / HTTP/1.1\r\n" H END), 400 },
		{ S("GET\t/ HTTP/1.1\r\n" H END), 400 },
		{ S("GET  / HTTP/1.1\r\n" H END), 400 },
		{ S("GET /  HTTP/1.1\r\n" H END), 400 },
		{ S("GET /a b HTTP/1.1\r\n" H END), 400 },
		{ S("GET /\0 HTTP/1.1\r\n" H END), 400 },
		{ S("GET /\x7f HTTP/1.1\r\n" H END), 400 },
		{ S("GET /\xc3\xa4 HTTP/1.1\r\n" H END), 400 },
		{ S("GET /a#b HTTP/1.1\r\n" H END), 400 },
		{ S("GET /<> HTTP/1.1\r\n" H END), 400 },
		{ S("GET /\r\n" H END), 400 },
		{ S("GET\r\n" H END), 400 },
		{ S("GET / \r\n" H END), 400 },
		{ S("GET / http/1.1\r\n" H END), 400 },
		{ S("GET / HTTP/1.1 \r\n" H END), 400 },
		{ S("GET / HTTP/11\r\n" H END), 400 },
		{ S("GET / HTTP/1.11\r\n" H END), 400 },
		{ S("GET / HTTP/11.1\r\n" H END), 400 },
		{ S("GET / HTTP/1.\r\n" H END), 400 },
		{ S("GET / HTTP/ 1.1\r\n" H END), 400 },
		{ S("GET / HTTPS/1.1\r\n" H END), 400 },
		{ S("GET / HTTP/1.x\r\n" H END), 400 },
		/* header lines */
		{ S("GET / HTTP/1.1\r\n Host: h\r\n" END), 400 },
		{ S("GET / HTTP/1.1\r\n" H " folded\r\n" END), 400 },
		{ S("GET / HTTP/1.1\r\n" H "X: y\r\n\tfolded\r\n" END), 400 },
		{ S("GET / HTTP/1.1\r\n" H "X : y\r\n" END), 400 },
		{ S("GET / HTTP/1.1\r\n" H "X\t: y\r\n" END), 400 },
		{ S("GET / HTTP/1.1\r\n" H "X y: z\r\n" END), 400 },
		{ S("GET / HTTP/1.1\r\n" H ": y\r\n" END), 400 },
		{ S("GET / HTTP/1.1\r\n" H "Xy\r\n" END), 400 },
		{ S("GET / HTTP/1.1\r\n" H "X\0: y\r\n" END), 400 },
		{ S("GET / HTTP/1.1\r\n" H "X@: y\r\n" END), 400 },
		{ S("GET / HTTP/1.1\r\n" H "X\xe4: y\r\n" END), 400 },
		{ S("GET / HTTP/1.1\r\n" H "X: a\0b\r\n" END), 400 },
		{ S("GET / HTTP/1.1\r\n" H "X: a\x01" "b\r\n" END), 400 },
		{ S("GET / HTTP/1.1\r\n" H "X: a\x1b[0m\r\n" END), 400 },
		{ S("GET / HTTP/1.1\r\n" H "X: a\x7f\r\n" END), 400 },
		{ S("GET / HTTP/1.1\r\n" H "X: a\vb\r\n" END), 400 },
		/* the first error wins */
		{ S("GET / HTTP/1.1\r\nX : y\r\nTransfer-Encoding: x\r\n" END),
		    400 },
	};

	run_samples(false, s, nitems(s));
}

static void
bad_host(void **state)
{
	static const struct sample s[] = {
		{ S("GET / HTTP/1.1\r\n" END), 400 },
		{ S("GET / HTTP/1.1\r\nHosts: h\r\n" END), 400 },
		{ S("GET / HTTP/1.1\r\n" H H END), 400 },
		{ S("GET / HTTP/1.1\r\n" H "X: y\r\nhost: h\r\n" END), 400 },
		{ S("GET / HTTP/1.0\r\n" H "host: g\r\n" END), 400 },
		{ S("GET / HTTP/1.1\r\nHost:\r\n" END), 400 },
		{ S("GET / HTTP/1.1\r\nHost: h g\r\n" END), 400 },
		{ S("GET / HTTP/1.1\r\nHost: h,g\r\n" END), 400 },
		{ S("GET / HTTP/1.1\r\nHost: u@h\r\n" END), 400 },
		{ S("GET / HTTP/1.1\r\nHost: h/x\r\n" END), 400 },
		{ S("GET / HTTP/1.1\r\nHost: :80\r\n" END), 400 },
		{ S("GET / HTTP/1.1\r\nHost: h:x\r\n" END), 400 },
		{ S("GET / HTTP/1.1\r\nHost: h:80:80\r\n" END), 400 },
		{ S("GET / HTTP/1.1\r\nHost: h:65536\r\n" END), 400 },
		{ S("GET / HTTP/1.1\r\nHost: h:000080\r\n" END), 400 },
		{ S("GET / HTTP/1.1\r\nHost: h:-1\r\n" END), 400 },
		{ S("GET / HTTP/1.1\r\nHost: ::1\r\n" END), 400 },
		{ S("GET / HTTP/1.1\r\nHost: [::1\r\n" END), 400 },
		{ S("GET / HTTP/1.1\r\nHost: []\r\n" END), 400 },
		{ S("GET / HTTP/1.1\r\nHost: [1.2.3.4]\r\n" END), 400 },
		{ S("GET / HTTP/1.1\r\nHost: [::1]x\r\n" END), 400 },
		{ S("GET / HTTP/1.1\r\nHost: [::1]80\r\n" END), 400 },
		{ S("GET / HTTP/1.1\r\nHost: [0000:0000:0000:0000:0000:0000:"
		    "0000:0000:0000:0000]\r\n" END), 400 },
		{ S("GET / HTTP/1.1\r\nHost: h%2e\r\n" END), 400 },
		{ S("GET / HTTP/1.1\r\nHost: h\xe4\r\n" END), 400 },
	};

	run_samples(false, s, nitems(s));
}

/* Two parsers that disagree about a body are how requests are smuggled. */
static void
smuggling(void **state)
{
#define REQ	"POST / HTTP/1.1\r\n" H
	static const struct sample s[] = {
		{ S(REQ "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"
		    END "0\r\n\r\nGET /x HTTP/1.1\r\n"), 400 },
		{ S(REQ "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n"
		    END), 400 },
		{ S(REQ "TRANSFER-ENCODING: x\r\ncontent-length: x\r\n" END),
		    400 },
		{ S(REQ "Transfer-Encoding: chunked\r\n" END), 501 },
		{ S(REQ "Transfer-Encoding:\r\n" END), 501 },
		{ S(REQ "Transfer-Encoding: identity\r\n" END), 501 },
		{ S(REQ "Transfer-Encoding: x\r\nTransfer-Encoding: chunked"
		    "\r\n" END), 501 },
		{ S(REQ "Transfer-Encoding : chunked\r\n" END), 400 },
		{ S(REQ "Transfer-Encoding\v: chunked\r\n" END), 400 },
		{ S(REQ "Transfer-Encoding:\vchunked\r\n" END), 400 },
		{ S(REQ "X: y\nTransfer-Encoding: chunked\r\n" END), 400 },
		{ S(REQ "X: y\rTransfer-Encoding: chunked\r\n" END), 400 },
		{ S(REQ "X: y\r\n Transfer-Encoding: chunked\r\n" END), 400 },
		{ S(REQ "Content-Length: 0\r\nContent-Length: 5\r\n" END),
		    400 },
		{ S(REQ "Content-Length: 5\r\nContent-Length: 5\r\n" END),
		    400 },
		{ S(REQ "Content-Length: 0\r\ncontent-length: 0\r\n" END),
		    400 },
		{ S(REQ "Content-Length: 0, 5\r\n" END), 400 },
		{ S(REQ "Content-Length: 0,0\r\n" END), 400 },
		{ S(REQ "Content-Length:\r\n" END), 400 },
		{ S(REQ "Content-Length: +0\r\n" END), 400 },
		{ S(REQ "Content-Length: -0\r\n" END), 400 },
		{ S(REQ "Content-Length: 0x0\r\n" END), 400 },
		{ S(REQ "Content-Length: 0 0\r\n" END), 400 },
		{ S(REQ "Content-Length: 0;\r\n" END), 400 },
		{ S(REQ "Content-Length: 5\r\n" END "hello"), 413 },
		{ S(REQ "Content-Length: 00000000000000000000001\r\n" END),
		    413 },
		{ S(REQ "Content-Length: 18446744073709551616\r\n" END), 413 },
		{ S(REQ "Content-Length: 340282366920938463463374607431768211"
		    "456000\r\n" END), 413 },
		/* Host is judged before bodies */
		{ S("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" END),
		    400 },
	};
#undef REQ

	run_samples(false, s, nitems(s));
}

static void
methods_and_versions(void **state)
{
	static const struct sample s[] = {
		{ S("BREW / HTTP/1.1\r\n" H END), 501 },
		{ S("get / HTTP/1.1\r\n" H END), 501 },
		{ S("GETS / HTTP/1.1\r\n" H END), 501 },
		{ S("GE / HTTP/1.1\r\n" H END), 501 },
		{ S("PROPFIND / HTTP/1.1\r\n" H END), 501 },
		{ S("BREW / HTTP/2.0\r\n" H END), 501 },
		{ S("GET / HTTP/2.0\r\n" H END), 505 },
		{ S("GET / HTTP/0.9\r\n" H END), 505 },
		{ S("GET / HTTP/3.0\r\n" H END), 505 },
		{ S("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505 },
		{ S("PRI * HTTP/1.1\r\n" H END), 501 },
	};

	run_samples(false, s, nitems(s));
}

static void
responses(void **state)
{
#define OK	"HTTP/1.1 101 Switching Protocols\r\n"
	static const struct sample s[] = {
		{ S(OK END), 0 },
		{ S(OK "Upgrade: websocket\r\n" END "\x81\x00"), 0 },
		{ S("HTTP/1.0 200 OK\r\n" END), 0 },
		{ S("HTTP/1.1 200 \r\n" END), 0 },
		{ S("HTTP/1.1 200\r\n" END), 0 },
		{ S("HTTP/1.1 100 \r\n" END), 0 },
		{ S("HTTP/1.1 599 a\tb \xe4\r\n" END), 0 },
		{ S(OK "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"
		    "Content-Length: 7\r\n" END), 0 },
		{ S("HTTP/1.1 099 x\r\n" END), 502 },
		{ S("HTTP/1.1 600 x\r\n" END), 502 },
		{ S("HTTP/1.1 20 x\r\n" END), 502 },
		{ S("HTTP/1.1 2000 x\r\n" END), 502 },
		{ S("HTTP/1.1 2x0 x\r\n" END), 502 },
		{ S("HTTP/1.1  200 x\r\n" END), 502 },
		{ S("HTTP/1.1 \r\n" END), 502 },
		{ S("HTTP/1.1\r\n" END), 502 },
		{ S("HTTP/2.0 200 x\r\n" END), 502 },
		{ S("HTTP/2 200\r\n" END), 502 },
		{ S("\r\n" OK END), 502 },
		{ S("SSH-2.0-OpenSSH_9.2\r\n"), 502 },
		{ S("HTTP/1.1 200 x\n" END), 502 },
		{ S("HTTP/1.1 200\n" END), 502 },
		{ S("HTTP/1.1 200 x\0\r\n" END), 502 },
		{ S("HTTP/1.1 200 x\ry\r\n" END), 502 },
		{ S("HTTP/1.1 200 x\x7f\r\n" END), 502 },
		{ S(OK "X: y\n" END), 502 },
		{ S(OK "X : y\r\n" END), 502 },
		{ S(OK "X: y\r\n z\r\n" END), 502 },
		{ S(OK "X: y\0z\r\n" END), 502 },
	};
	struct http1	h;
	const char	t[] = "HTTP/1.0 404 Not Found \r\nA:b\r\n\r\nbody";

	run_samples(true, s, nitems(s));
	assert_int_equal(run(&h, true, &defaults, t, sizeof(t) - 1),
	    HTTP1_DONE);
	assert_int_equal(h.code, 404);
	assert_int_equal(h.minor, 0);
	assert_int_equal(h.phraselen, 10);
	assert_memory_equal(t + h.phrase, "Not Found ", 10);
	assert_int_equal(h.headlen, sizeof(t) - 1 - 4);
	assert_int_equal(run(&h, true, &defaults,
	    S("HTTP/1.1 204\r\n\r\n")), HTTP1_DONE);
	assert_int_equal(h.phraselen, 0);
#undef OK
}

static void
contents(void **state)
{
	static const char	 t[] = "\r\nGET /ws?x HTTP/1.1\r\n"
	    "Host: h:80\r\nX: \t a b \t \r\nEmpty:\r\nx:2\r\n\r\nrest";
	const struct http1_field *f;
	struct http1		 h;

	assert_int_equal(run(&h, false, &defaults, t, sizeof(t) - 1),
	    HTTP1_DONE);
	assert_int_equal(h.headlen, sizeof(t) - 1 - 4);
	assert_int_equal(h.minor, 1);
	assert_true(http1_method_is(&h, t, "GET"));
	assert_false(http1_method_is(&h, t, "get"));
	assert_false(http1_method_is(&h, t, "GE"));
	assert_int_equal(h.targetlen, 5);
	assert_memory_equal(t + h.target, "/ws?x", 5);
	assert_int_equal(h.nfields, 4);
	f = http1_field(&h, t, "x", 0);
	assert_non_null(f);
	assert_int_equal(f->valuelen, 3);
	assert_memory_equal(t + f->value, "a b", 3);
	f = http1_field(&h, t, "X", 1);
	assert_non_null(f);
	assert_int_equal(f->valuelen, 1);
	assert_null(http1_field(&h, t, "X", 2));
	assert_null(http1_field(&h, t, "Hos", 0));
	f = http1_field(&h, t, "EMPTY", 0);
	assert_non_null(f);
	assert_int_equal(f->valuelen, 0);
	assert_int_equal(http1_field_count(&h, t, "x"), 2);
	assert_int_equal(http1_field_count(&h, t, "y"), 0);
}

/* A head that is cut anywhere is never done and never an error. */
static void
truncated(void **state)
{
	static const char	t[] = "\r\nGET / HTTP/1.1\r\nHost: h\r\nA:\r\n"
	    "Transfer-Encoding: x\r\nB: c\r\n\r\n";
	struct http1		h;
	size_t			i;

	for (i = 0; i < sizeof(t) - 1; i++) {
		http1_init_request(&h, &defaults);
		assert_int_equal(feed(&h, t, i), HTTP1_MORE);
	}
	assert_int_equal(feed(&h, t, i), HTTP1_ERROR);
	assert_int_equal(h.status, 501);
}

static char *
text_of(size_t *len, const char *head, const char *fill, size_t n,
    const char *tail)
{
	size_t	 i, headlen = strlen(head), filllen = strlen(fill);
	char	*p = malloc(headlen + n * filllen + strlen(tail) + 1);

	assert_non_null(p);
	memcpy(p, head, headlen);
	for (i = 0; i < n; i++)
		memcpy(p + headlen + i * filllen, fill, filllen);
	memcpy(p + headlen + n * filllen, tail, strlen(tail) + 1);
	*len = strlen(p);
	return p;
}

static void
expect(bool response, const struct http1_limits *limits, const char *head,
    const char *fill, size_t n, const char *tail, int status)
{
	struct http1		 h;
	enum http1_result	 r;
	size_t			 len;
	char			*p;

	p = text_of(&len, head, fill, n, tail);
	r = run(&h, response, limits, p, len);
	free(p);
	assert_int_equal(r, status == 0 ? HTTP1_DONE : HTTP1_ERROR);
	if (status != 0)
		assert_int_equal(h.status, status);
	if (status == 431)
		assert_string_equal(h.why, strchr(fill, ':') != NULL ?
		    "too many header lines" : "header lines too long");
}

/* Exactly at the limit is good, one more is not. */
static void
limits(void **state)
{
	static const struct http1_limits small = { 40, 50, 4 };
	static const struct http1_limits big = { 8192, 16384, 1000 };
	static const char	line[] = " HTTP/1.1\r\n" H END;

	/* "GET /" is 5 bytes, " HTTP/1.1" 9: 26 more make 40. */
	expect(false, &small, "GET /", "a", 26, line, 0);
	expect(false, &small, "GET /", "a", 27, line, 414);
	expect(false, &small, "\r\nGET /", "a", 26, line, 0);
	expect(false, &small, "\r\nGET /", "a", 27, line, 414);
	expect(false, &small, "GET /", "a", 4000, "", 414);
	expect(false, &small, "", "A", 41, " / HTTP/1.1\r\n", 414);
	expect(false, &small, "", "A", 40, "/ HTTP/1.1\r\n", 414);
	expect(false, &small, "", "A", 39, " / HTTP/1.1\r\n", 501);
	expect(true, &small, "HTTP/1.1 200 ", "a", 27, "\r\n\r\n", 0);
	expect(true, &small, "HTTP/1.1 200 ", "a", 28, "\r\n\r\n", 502);
	/* H is 9 bytes, "X: " and CRLF 5: 36 more make 50. */
	expect(false, &small, "GET / HTTP/1.1\r\n" H "X: ", "b", 36,
	    "\r\n\r\n", 0);
	expect(false, &small, "GET / HTTP/1.1\r\n" H "X: ", "b", 37,
	    "\r\n\r\n", 431);
	expect(false, &small, "GET / HTTP/1.1\r\n" H "X: ", " ", 37,
	    "\r\n\r\n", 431);
	expect(false, &small, "GET / HTTP/1.1\r\n" H, "b", 4000, "", 431);
	expect(false, &small, "GET / HTTP/1.1\r\n" H "X: ", "b", 36,
	    "\r\nY:\r\n\r\n", 431);
	expect(true, &small, "HTTP/1.1 200 x\r\nX: ", "b", 45,
	    "\r\n\r\n", 0);
	expect(true, &small, "HTTP/1.1 200 x\r\nX: ", "b", 46,
	    "\r\n\r\n", 502);
	/* H and 3 more are 4 lines. */
	expect(false, &small, "GET / HTTP/1.1\r\n" H, "A:\r\n", 3, END, 0);
	expect(false, &small, "GET / HTTP/1.1\r\n" H, "A:\r\n", 4, END, 431);
	expect(true, &small, "HTTP/1.1 200 x\r\n", "A:\r\n", 4, END, 0);
	expect(true, &small, "HTTP/1.1 200 x\r\n", "A:\r\n", 5, END, 502);
	/* The array's size bounds whatever is configured. */
	expect(false, &big, "GET / HTTP/1.1\r\n" H, "A:\r\n",
	    HTTP1_HEADERS_MAX - 1, END, 0);
	expect(false, &big, "GET / HTTP/1.1\r\n" H, "A:\r\n",
	    HTTP1_HEADERS_MAX, END, 431);
}

/* Every byte value at every place of a good head: no crash, one result. */
static void
mutations(void **state)
{
	static const char	t[] = "GET / HTTP/1.1\r\nHost: [::1]:8\r\n"
	    "Content-Length: 0\r\nX: y\r\n\r\n";
	char			m[sizeof(t)];
	struct http1		a, b;
	enum http1_result	r, q;
	size_t			i, j;
	int			c;

	for (i = 0; i < sizeof(t) - 1; i++)
		for (c = 0; c < 256; c++) {
			memcpy(m, t, sizeof(t));
			m[i] = (char)c;
			http1_init_request(&a, &defaults);
			r = http1_feed(&a, m, sizeof(t) - 1);
			http1_init_request(&b, &defaults);
			for (q = HTTP1_MORE, j = 1; j < sizeof(t); j++)
				q = http1_feed(&b, m, j);
			assert_int_equal(q, r);
			assert_same(r, &a, &b);
			if (c == '\0')
				assert_int_equal(r, HTTP1_ERROR);
		}
}

static void
expect_elements(const char *head, const char *name, const char *want)
{
	struct http1	 h;
	const char	*elem;
	char		 got[256] = "";
	size_t		 iter = 0, len, n = 0;

	http1_init_request(&h, &defaults);
	assert_int_equal(http1_feed(&h, head, strlen(head)), HTTP1_DONE);
	while (http1_next_element(&h, head, name, &iter, &elem, &len))
		n += (size_t)snprintf(got + n, sizeof(got) - n, "<%.*s>",
		    (int)len, elem);
	assert_string_equal(got, want);
	assert_false(http1_next_element(&h, head, name, &iter, &elem, &len));
}

static void
elements(void **state)
{
#define G	"GET / HTTP/1.1\r\nHost: h\r\n"
	expect_elements(G END, "L", "");
	expect_elements(G "L:\r\n" END, "L", "");
	expect_elements(G "L: a\r\n" END, "L", "<a>");
	expect_elements(G "L: a,b\r\nM: c\r\nl: d , e\r\n" END, "L",
	    "<a><b><d><e>");
	expect_elements(G "L: ,, a ,\t, b,\r\nL:,\r\nL: c\r\n" END, "L",
	    "<a><b><c>");
	expect_elements(G "L: \"a,b\", c;x=\"\\\",\", d\r\n" END, "L",
	    "<\"a,b\"><c;x=\"\\\",\"><d>");
	expect_elements(G "L: a, \"b, c\r\nL: d\\\r\nL: \"\\\r\n" END, "L",
	    "<a><\"b, c><d\\><\"\\>");
#undef G
}

static void
tokens(void **state)
{
	static const char	t[] = "GET / HTTP/1.1\r\nHost: h\r\n"
	    "Connection: keep-alive, \"Close\"\r\nUpgrade: xwebsocket\r\n"
	    "connection:UPGRADE\r\nV: 13 \r\n\r\n";
	struct http1		h;

	http1_init_request(&h, &defaults);
	assert_int_equal(http1_feed(&h, t, sizeof(t) - 1), HTTP1_DONE);
	assert_true(http1_has_token(&h, t, "Connection", "upgrade"));
	assert_true(http1_has_token(&h, t, "connection", "Keep-Alive"));
	assert_false(http1_has_token(&h, t, "Connection", "close"));
	assert_false(http1_has_token(&h, t, "Connection", "keep"));
	assert_false(http1_has_token(&h, t, "Upgrade", "websocket"));
	assert_false(http1_has_token(&h, t, "Nothing", "websocket"));
	assert_true(http1_has_token(&h, t, "V", "13"));
}

static void
paths(void **state)
{
	static const struct {
		const char	*target, *host;
		const char	*path, *query;	/* path NULL: 400 */
	} s[] = {
		{ "/", NULL, "/", NULL },
		{ "/ws", "h", "/ws", NULL },
		{ "/ws?", "h", "/ws", "" },
		{ "/ws?a=1&b=%00%2f?/..", "h", "/ws", "a=1&b=%00%2f?/.." },
		{ "/?x", "h", "/", "x" },
		{ "/%77s", NULL, "/ws", NULL },
		{ "/%C3%a4", NULL, "/\xc3\xa4", NULL },
		{ "/a%3fb", NULL, "/a?b", NULL },
		{ "/a%20b", NULL, "/a b", NULL },
		{ "/a%23b", NULL, "/a#b", NULL },
		{ "/a+b", NULL, "/a+b", NULL },
		{ "/%252e%252e/x", NULL, "/%2e%2e/x", NULL },
		{ "/%252F", NULL, "/%2F", NULL },
		{ "//", NULL, "//", NULL },
		{ "//h/x", "h", "//h/x", NULL },
		{ "/a//b/", NULL, "/a//b/", NULL },
		{ "/...", NULL, "/...", NULL },
		{ "/..a/.b/c..", NULL, "/..a/.b/c..", NULL },
		{ "/WS", NULL, "/WS", NULL },
		{ "/tunnel/[::1]:22", NULL, "/tunnel/[::1]:22", NULL },
		{ "/tunnel/%5B::1%5D:22", NULL, "/tunnel/[::1]:22", NULL },
		{ "/tunnel/unix:/x", NULL, "/tunnel/unix:/x", NULL },
		{ "http://h/x?y", "h", "/x", "y" },
		{ "HTTP://H:80/x", "h:80", "/x", NULL },
		{ "https://[::1]:8/x", "[::1]:8", "/x", NULL },
		{ "http://h", "h", "/", NULL },
		{ "http://h?q", "h", "/", "q" },
		{ "http://h/%2e%2e", "h", NULL, NULL },
		{ "http://h/x", NULL, NULL, NULL },
		{ "http://h/x", "", NULL, NULL },
		{ "http://h/x", "g", NULL, NULL },
		{ "http://hh/x", "h", NULL, NULL },
		{ "http://h/x", "hh", NULL, NULL },
		{ "http://h:80/x", "h", NULL, NULL },
		{ "http://h/x", "h:80", NULL, NULL },
		{ "http://u@h/x", "h", NULL, NULL },
		{ "http://h@g/x", "h", NULL, NULL },
		{ "http:/h/x", "h", NULL, NULL },
		{ "http://", "h", NULL, NULL },
		{ "ftp://h/x", "h", NULL, NULL },
		{ "*", "h", NULL, NULL },
		{ "", "h", NULL, NULL },
		{ "h:443", "h", NULL, NULL },
		{ "ws", "h", NULL, NULL },
		{ "?x", "h", NULL, NULL },
		{ "%2fws", "h", NULL, NULL },
		{ "/.", NULL, NULL, NULL },
		{ "/..", NULL, NULL, NULL },
		{ "/./a", NULL, NULL, NULL },
		{ "/a/../b", NULL, NULL, NULL },
		{ "/a/..", NULL, NULL, NULL },
		{ "/a/..?x", NULL, NULL, NULL },
		{ "/a/%2e%2E/b", NULL, NULL, NULL },
		{ "/a/.%2e", NULL, NULL, NULL },
		{ "/%2e/b", NULL, NULL, NULL },
		{ "/a%2fb", NULL, NULL, NULL },
		{ "/a%2Fb", NULL, NULL, NULL },
		{ "/a%00", NULL, NULL, NULL },
		{ "/a%0a", NULL, NULL, NULL },
		{ "/a%7f", NULL, NULL, NULL },
		{ "/a%", NULL, NULL, NULL },
		{ "/a%4", NULL, NULL, NULL },
		{ "/a%4?1", NULL, NULL, NULL },
		{ "/a%4g", NULL, NULL, NULL },
		{ "/a%-1", NULL, NULL, NULL },
		{ "/a\x01", NULL, NULL, NULL },
		{ "/a b", NULL, NULL, NULL },
		{ "/a\xe4", NULL, NULL, NULL },
		{ "/a#b", NULL, NULL, NULL },
		{ "/a?b#c", NULL, NULL, NULL },
		{ "/a?\n", NULL, NULL, NULL },
	};
	const char	*query;
	char		 out[64], *copy;
	size_t		 i, len, querylen;
	int		 r;

	for (i = 0; i < nitems(s); i++) {
		/* not terminated, as in the head */
		len = strlen(s[i].target);
		copy = malloc(len + 1);
		assert_non_null(copy);
		copy = realloc(copy, len == 0 ? 1 : len);
		assert_non_null(copy);
		memcpy(copy, s[i].target, len);
		r = http1_path(copy, len, s[i].host,
		    s[i].host == NULL ? 0 : strlen(s[i].host), out,
		    sizeof(out), &query, &querylen);
		if (r != (s[i].path == NULL ? -1 : 0))
			fail_msg("%s: %d", s[i].target, r);
		if (r == 0) {
			assert_string_equal(out, s[i].path);
			assert_int_equal(query == NULL, s[i].query == NULL);
			if (query != NULL) {
				assert_int_equal(querylen,
				    strlen(s[i].query));
				assert_memory_equal(query, s[i].query,
				    querylen);
			}
		}
		free(copy);
	}
}

static void
path_room(void **state)
{
	const char	*q;
	char		*out;
	size_t		 qlen, n;

	for (n = 0; n <= 6; n++) {
		out = malloc(n == 0 ? 1 : n);
		assert_non_null(out);
		assert_int_equal(http1_path("/a%62c", 6, NULL, 0, out, n, &q,
		    &qlen), n >= 5 ? 0 : -1);
		assert_int_equal(http1_path("http://h", 8, "h", 1, out, n, &q,
		    &qlen), n >= 2 ? 0 : -1);
		free(out);
	}
	/* NUL in a target does not end it */
	out = malloc(16);
	assert_non_null(out);
	assert_int_equal(http1_path("/a\0b", 4, NULL, 0, out, 16, &q, &qlen),
	    -1);
	free(out);
}

/* Offsets are 32 bits: no limit is ever more than those can say. */
static void
bounded_limits(void **state)
{
	static const struct http1_limits big = { SIZE_MAX, SIZE_MAX,
	    UINT32_MAX };
	struct http1	h;

	http1_init_request(&h, &big);
	assert_in_range(h.limits.line, 65536, UINT32_MAX / 4);
	assert_in_range(h.limits.bytes, 65536, UINT32_MAX / 4);
	assert_int_equal(h.limits.count, HTTP1_HEADERS_MAX);
	http1_init_response(&h, &big);
	assert_in_range(h.limits.line, 65536, UINT32_MAX / 4);
	assert_in_range(h.limits.bytes, 65536, UINT32_MAX / 4);
	assert_int_equal(h.limits.count, HTTP1_HEADERS_MAX);
}

static void
phrases(void **state)
{
	int	status;

	for (status = -1; status < 700; status++)
		assert_non_null(http1_phrase(status));
	assert_string_equal(http1_phrase(101), "Switching Protocols");
	assert_string_equal(http1_phrase(426), "Upgrade Required");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_requests),
		cmocka_unit_test(bad_syntax),
		cmocka_unit_test(bad_host),
		cmocka_unit_test(smuggling),
		cmocka_unit_test(methods_and_versions),
		cmocka_unit_test(responses),
		cmocka_unit_test(contents),
		cmocka_unit_test(truncated),
		cmocka_unit_test(limits),
		cmocka_unit_test(mutations),
		cmocka_unit_test(elements),
		cmocka_unit_test(tokens),
		cmocka_unit_test(paths),
		cmocka_unit_test(path_room),
		cmocka_unit_test(bounded_limits),
		cmocka_unit_test(phrases),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
