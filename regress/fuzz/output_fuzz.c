/* SPDX-License-Identifier: ISC */
/* output_fuzz.c: strangers' strings as JSON and as text for terminals. */
/* LINK: regress/fuzz/replay.c lib/json.c lib/utf8.c lib/visstr.c */

#include "compat.h"

#include "fuzz.h"
#include "json.h"
#include "jsoncheck.h"
#include "utf8.h"
#include "visstr.h"

#define DEPTH	30

/*
 * Call after call as the bytes say: a value, or a block begun or ended.  A
 * string is what comes next, up to a byte of 255.
 */
static void
write_json(struct json *j, const uint8_t *p, size_t n)
{
	bool		 object[DEPTH + 1] = { false };
	unsigned	 depth = 0, op;
	uint64_t	 num;
	size_t		 k;
	char		*name;

	json_array(j);
	depth = 1;
	while (n > 0) {
		op = *p++ & 15;
		n--;
		for (k = 0; k < n && p[k] != 255; k++)
			continue;
		num = n > 7 ? (uint64_t)p[0] << 56 | (uint64_t)p[3] << 32 |
		    (uint64_t)p[5] << 16 | p[7] : k;
		if (op < 2) {
			if (depth == 1)
				continue;
			if (object[depth])
				json_end_object(j);
			else
				json_end_array(j);
			depth--;
			continue;
		}
		if (object[depth]) {
			name = fuzz_text(p, k);
			json_name(j, name);
			free(name);
		}
		if ((op == 2 || op == 3) && depth < DEPTH) {
			object[++depth] = op == 2;
			if (op == 2)
				json_object(j);
			else
				json_array(j);
			continue;
		}
		switch (op) {
		case 4:
			json_u64(j, num);
			break;
		case 5:
			json_i64(j, (int64_t)num);
			break;
		case 6:
			json_bool(j, num & 1);
			break;
		case 7:
			json_duration(j, num);
			break;
		case 8:
			json_time(j, num);
			break;
		case 9:
			json_string(j, NULL);
			break;
		default:
			json_stringn(j, (const char *)p, k);
			p += k;
			n -= k;
		}
	}
	for (; depth > 0; depth--) {
		if (object[depth])
			json_end_object(j);
		else
			json_end_array(j);
	}
}

static void
fuzz_json(const uint8_t *p, size_t n, bool indent)
{
	struct json	 j, fixed;
	size_t		 size;
	char		*buf;

	json_init(&j);
	j.indent = indent;
	write_json(&j, p, n);
	CHECK(!j.failed && j.depth == 0 && strlen(j.buf) == j.len);
	CHECK(json_valid(j.buf, j.len));
	/* In any room too small it fails and stays inside; in enough, not. */
	size = j.len + 2 - (n > 0 ? p[n - 1] % (j.len + 2) : 0);
	CHECK((buf = malloc(size)) != NULL);
	json_init_fixed(&fixed, buf, size);
	fixed.indent = indent;
	write_json(&fixed, p, n);
	CHECK(fixed.failed == (size <= j.len));
	CHECK(fixed.len < size && strlen(buf) == fixed.len);
	CHECK(memcmp(buf, j.buf, fixed.len) == 0);
	if (!fixed.failed)
		CHECK(fixed.len == j.len);
	free(buf);
	json_free(&j);
	json_free(&fixed);
}

/* The byte that the escape at *s stands for; *s moves behind it. */
static int
unvis(const char **s)
{
	const char	*p = *s;

	if (*p != '\\') {
		*s = p + 1;
		return ((unsigned char)*p);
	}
	*s = p + 2;
	switch (p[1]) {
	case 'n':
		return ('\n');
	case 'r':
		return ('\r');
	case 't':
		return ('\t');
	case '\\':
	case '"':
		return (p[1]);
	}
	CHECK(p[1] >= '0' && p[1] <= '3' && p[2] >= '0' && p[2] <= '7' &&
	    p[3] >= '0' && p[3] <= '7');
	*s = p + 4;
	return ((p[1] - '0') << 6 | (p[2] - '0') << 3 | (p[3] - '0'));
}

/* Printable, whole escapes, and nothing lost: it can be read back. */
static void
fuzz_vis(const char *p, size_t n, bool quoted, size_t size)
{
	size_t		 len, i = 0, k;
	char		*out = malloc(size == 0 ? 1 : size), *s;
	const char	*q;
	bool		 all = size >= VISSTR_SIZE(n);

	CHECK(out != NULL);
	out[0] = '\0';
	len = quoted ? visstr_quoted(out, size, p, n) :
	    visstr(out, size, p, n);
	CHECK(size == 0 ? len == 0 : len < size && strlen(out) == len);
	for (k = 0; k < len; k++)
		CHECK(out[k] >= ' ' && out[k] < 0x7f);
	s = out;
	if (quoted && len > 0 && out[0] == '"') {
		CHECK(len >= 2 && out[len - 1] == '"');
		out[len - 1] = '\0';
		s++;
	} else if (quoted)
		CHECK(strpbrk(out, " =\"") == NULL);
	for (q = s; *q != '\0'; i++)
		CHECK(i < n && unvis(&q) == (unsigned char)p[i]);
	if (all)
		CHECK(i == n);
	free(out);
}

static void
fuzz_utf8(const uint8_t *p, size_t n, uint32_t seed)
{
	uint32_t	 whole = 0, bytes = 0, pieces = 0;
	size_t		 i, k;
	int		 want, r = 0;

	want = utf8_check(&whole, p, n);
	for (i = 0; i < n && r == 0; i++)
		r = utf8_check(&bytes, p + i, 1);
	CHECK(r == want && (r == -1 || bytes == whole));
	for (i = 0, r = 0; i < n && r == 0; i += k) {
		k = fuzz_piece(&seed, n - i);
		r = utf8_check(&pieces, p + i, k);
	}
	CHECK(r == want && (r == -1 || pieces == whole));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t	 seed = fuzz_seed(data, size);
	size_t		 n, small;
	uint8_t		*p;
	int		 quoted;

	if (size < 1 || size > 4096)
		return (0);
	n = size - 1;
	p = fuzz_copy(data + 1, n);
	fuzz_json(p, n, data[0] & 1);
	small = data[0] % (VISSTR_SIZE(n) + 1);
	for (quoted = 0; quoted < 2; quoted++) {
		fuzz_vis((char *)p, n, quoted, VISSTR_SIZE(n));
		fuzz_vis((char *)p, n, quoted, small);
	}
	fuzz_utf8(p, n, seed);
	fuzz_free(p, n);
	return (0);
}
