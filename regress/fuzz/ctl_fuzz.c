/* SPDX-License-Identifier: ISC */
/* ctl_fuzz.c: payloads of the control socket, for both of its ends. */
/* LINK: regress/fuzz/replay.c lib/ctl.c */

#include "compat.h"

#include "ctl.h"
#include "fuzz.h"

static void
fuzz_hello(const uint8_t *p, size_t n)
{
	struct ctl_hello	 h;
	uint8_t			 out[CTL_MSG_MAX];

	if (ctl_get_hello(p, n, &h) == 0)
		CHECK(ctl_put_hello(out, &h) == n && memcmp(out, p, n) == 0);
}

static void
fuzz_request(const uint8_t *p, size_t n)
{
	struct ctl_request	 r;
	uint8_t			 out[CTL_MSG_MAX];

	if (ctl_get_request(p, n, &r) == 0) {
		CHECK(r.command < CTL_COMMAND_MAX);
		CHECK(ctl_put_request(out, &r) == n &&
		    memcmp(out, p, n) == 0);
	}
}

static void
fuzz_words(const uint8_t *p, size_t n)
{
	uint8_t	 out[CTL_MSG_MAX];
	char	*text = malloc(CTL_TEXT_MAX + 1);

	CHECK(text != NULL);
	if (ctl_get_text(p, n, text) == 0)
		CHECK(ctl_put_text(out, text) == n &&
		    (n == 0 || memcmp(out, p, n) == 0));
	free(text);
}

static void
fuzz_row(const uint8_t *p, size_t n)
{
	static struct ctl_row	 row;
	struct ctl_field	 f;
	const uint8_t		*start = p, *was = p;
	size_t			 left = n, had = n;
	bool			 canonical = true;
	int			 r;

	ctl_row_init(&row);
	while ((r = ctl_row_next(&p, &left, &f)) == 1) {
		CHECK(p > was && p + left == start + n && left < had);
		CHECK(f.key < CTL_KEY_MAX && f.type < CTL_VALUE_MAX);
		CHECK(strcmp(ctl_key_word(f.key), "?") != 0);
		CHECK(f.type != CTL_BOOL || f.num <= 1);
		switch (f.type) {
		case CTL_NULL:
			ctl_row_null(&row, f.key);
			break;
		case CTL_STRING:
			CHECK((const uint8_t *)f.str > was &&
			    (const uint8_t *)f.str + f.len == p);
			/* We never send an empty one. */
			canonical = canonical && f.len > 0;
			ctl_row_strn(&row, f.key, f.str, f.len);
			break;
		default:
			ctl_row_num(&row, f.key, f.type, f.num);
		}
		was = p;
		had = left;
	}
	/* Nothing is used up by the end or an error. */
	CHECK(p == was && left == had && (r == 0) == (left == 0));
	CHECK(!row.full || n > CTL_MSG_MAX);
	if (r == 0 && canonical && !row.full)
		CHECK(row.len == n && (n == 0 ||
		    memcmp(row.buf, start, n) == 0));
}

/* The first byte chooses, as a digit. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t	*p;

	if (size < 1 || size > 2 * CTL_MSG_MAX)
		return (0);
	p = fuzz_copy(data + 1, size - 1);
	switch (data[0] & 3) {
	case 0:
		fuzz_row(p, size - 1);
		break;
	case 1:
		fuzz_hello(p, size - 1);
		break;
	case 2:
		fuzz_request(p, size - 1);
		break;
	case 3:
		fuzz_words(p, size - 1);
		break;
	}
	fuzz_free(p, size - 1);
	return (0);
}
