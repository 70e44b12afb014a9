/* SPDX-License-Identifier: ISC */
/* http1_fuzz.c: heads of requests and responses, whole and in pieces. */
/* LINK: regress/fuzz/replay.c lib/http1.c */

#include "compat.h"

#include <strings.h>

#include "fuzz.h"
#include "http1.h"

/*
 * The first byte chooses (as ASCII digit, seeds are text): bit 0 a response,
 * bits 1 and 2 the limits.
 */
static const struct http1_limits	 limits[] = {
	{ 8192, 16384, 64 }, { 32, 64, 3 }, { 1U << 24, 1U << 24, 1000 },
	{ 0, 0, 0 }
};

static void
begin(struct http1 *h, unsigned how, const struct http1_limits *l)
{
	memset(h, 0xa5, sizeof(*h));
	if (how & 1)
		http1_init_response(h, l);
	else
		http1_init_request(h, l);
}

/* All results; fields behind nfields are the parser's own business. */
static bool
same(const struct http1 *a, const struct http1 *b)
{
	return (a->headlen == b->headlen && a->method == b->method &&
	    a->methodlen == b->methodlen && a->target == b->target &&
	    a->targetlen == b->targetlen && a->minor == b->minor &&
	    a->code == b->code && a->phrase == b->phrase &&
	    a->phraselen == b->phraselen && a->nfields == b->nfields &&
	    memcmp(a->fields, b->fields, a->nfields * sizeof(a->fields[0])) ==
	    0 && a->status == b->status && a->why == b->why &&
	    a->pos == b->pos);
}

static void
inside(const struct http1 *h, uint32_t at, uint32_t len)
{
	CHECK(at <= h->headlen && len <= h->headlen - at);
}

static void
check_lists(const struct http1 *h, const char *head, const char *name)
{
	const char	*elem;
	size_t		 iter = 0, len, last = 0;
	unsigned	 n = 0;

	while (http1_next_element(h, head, name, &iter, &elem, &len)) {
		CHECK(len > 0 && elem >= head + last &&
		    elem + len <= head + h->headlen);
		CHECK(*elem != ' ' && *elem != '\t' && elem[len - 1] != ' ' &&
		    elem[len - 1] != '\t');
		CHECK(iter > last);
		last = iter;
		n++;
	}
	if (n > 0)
		CHECK(http1_field_count(h, head, name) > 0);
	if (http1_has_token(h, head, name, "upgrade"))
		CHECK(n > 0);
}

/* The path of a target that was let through. */
static void
check_path(const char *target, size_t len, const char *host, size_t hostlen)
{
	const char	*query, *p, *end;
	size_t		 querylen, size, n;
	char		*out, *t;

	t = fuzz_copy(target, len);
	for (size = 1; size < 5000; size = size * 7 + 1) {
		CHECK((out = malloc(size)) != NULL);
		if (http1_path(t, len, host, hostlen, out, size, &query,
		    &querylen) == 0) {
			n = strlen(out);
			CHECK(n > 0 && n < size && out[0] == '/');
			CHECK(n <= len + 1);
			if (query != NULL)
				CHECK(query > t &&
				    query + querylen == t + len);
			for (p = out; *p != '\0'; p++)
				CHECK((unsigned char)*p >= ' ' && *p != 0x7f);
			for (p = out + 1;; p = end + 1) {
				end = p + strcspn(p, "/");
				CHECK(strncmp(p, ".", (size_t)(end - p)) !=
				    0 || end - p != 1);
				CHECK(strncmp(p, "..", (size_t)(end - p)) !=
				    0 || end - p != 2);
				if (*end == '\0')
					break;
			}
		}
		free(out);
	}
	fuzz_free(t, len);
}

/* Written again from what was understood, it is understood the same. */
static void
check_again(const struct http1 *h, unsigned how, const char *head)
{
	const struct http1_field	*f;
	struct http1			 again;
	struct http1_limits		 l = { 1U << 24, 1U << 24,
					    HTTP1_HEADERS_MAX };
	char				*text;
	size_t				 len;
	unsigned			 i;
	FILE				*out;

	CHECK((out = open_memstream(&text, &len)) != NULL);
	if (how & 1)
		fprintf(out, "HTTP/1.%d %d %.*s\r\n", h->minor, h->code,
		    (int)h->phraselen, head + h->phrase);
	else
		fprintf(out, "%.*s %.*s HTTP/1.%d\r\n", (int)h->methodlen,
		    head + h->method, (int)h->targetlen, head + h->target,
		    h->minor);
	for (i = 0; i < h->nfields; i++) {
		f = &h->fields[i];
		fprintf(out, "%.*s:%.*s\r\n", (int)f->namelen, head + f->name,
		    (int)f->valuelen, head + f->value);
	}
	fputs("\r\n", out);
	CHECK(fclose(out) == 0);
	begin(&again, how, &l);
	CHECK(http1_feed(&again, text, len) == HTTP1_DONE);
	CHECK(again.headlen == len && again.minor == h->minor &&
	    again.code == h->code && again.nfields == h->nfields &&
	    again.targetlen == h->targetlen &&
	    again.phraselen == h->phraselen);
	CHECK(memcmp(text + again.target, head + h->target, h->targetlen) ==
	    0);
	for (i = 0; i < h->nfields; i++) {
		f = &h->fields[i];
		CHECK(again.fields[i].namelen == f->namelen &&
		    again.fields[i].valuelen == f->valuelen);
		CHECK(memcmp(text + again.fields[i].value, head + f->value,
		    f->valuelen) == 0);
	}
	free(text);
}

static void
check_done(const struct http1 *h, unsigned how, const char *head)
{
	const struct http1_field	*host;
	unsigned			 i;

	CHECK(h->nfields <= h->limits.count);
	CHECK(h->headlen >= 4 &&
	    memcmp(head + h->headlen - 4, "\r\n\r\n", 4) == 0);
	inside(h, h->method, h->methodlen);
	inside(h, h->target, h->targetlen);
	inside(h, h->phrase, h->phraselen);
	for (i = 0; i < h->nfields; i++) {
		inside(h, h->fields[i].name, h->fields[i].namelen);
		inside(h, h->fields[i].value, h->fields[i].valuelen);
		CHECK(h->fields[i].namelen > 0);
	}
	check_lists(h, head, "Connection");
	check_lists(h, head, "Upgrade");
	check_lists(h, head, "Sec-WebSocket-Protocol");
	check_lists(h, head, "X-Forwarded-For");
	check_again(h, how, head);
	if (how & 1) {
		CHECK(h->code >= 100 && h->code <= 599);
		return;
	}
	host = http1_field(h, head, "host", 0);
	CHECK(host != NULL || h->minor == 0);
	if (host != NULL)
		check_path(head + h->target, h->targetlen,
		    head + host->value, host->valuelen);
	check_path(head + h->target, h->targetlen, NULL, 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct http1	 whole, pieces;
	enum http1_result	 want, got = HTTP1_MORE;
	uint32_t		 seed = fuzz_seed(data, size);
	unsigned		 how;
	size_t			 n = 0;
	char			*head, *part;

	if (size < 1)
		return (0);
	how = *data++ & 7;
	size--;
	head = fuzz_copy(data, size);
	begin(&whole, how, &limits[how >> 1]);
	want = http1_feed(&whole, head, size);
	CHECK(whole.pos <= size);
	if (want == HTTP1_MORE)
		CHECK(whole.pos == size);
	if (want == HTTP1_ERROR) {
		CHECK(whole.why != NULL);
		CHECK(how & 1 ? whole.status == 502 :
		    strcmp(http1_phrase(whole.status), "Unknown") != 0);
	}

	begin(&pieces, how, &limits[how >> 1]);
	while (n < size && got == HTTP1_MORE) {
		n += fuzz_piece(&seed, size - n);
		/* It moves each time, and ends where it ends. */
		part = fuzz_copy(data, n);
		got = http1_feed(&pieces, part, n);
		fuzz_free(part, n);
	}
	CHECK(got == want && same(&whole, &pieces));
	/* A final result stays. */
	if (want != HTTP1_MORE)
		CHECK(http1_feed(&pieces, head, size) == want &&
		    same(&whole, &pieces));
	if (want == HTTP1_DONE)
		check_done(&whole, how, head);
	fuzz_free(head, size);
	return (0);
}
