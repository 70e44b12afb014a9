/* SPDX-License-Identifier: ISC */
/* ctl.c: payloads of the control protocol of ctl.h. */

#include "compat.h"

#include <string.h>

#include "ctl.h"

/* A field: key 16, type 8, then 64 bits, or a 16-bit length and bytes. */
#define FIELD_HEAD	3

const char *
ctl_key_word(enum ctl_key key)
{
#define KEY_WORD(id, word) word,
	static const char *words[] = { CTL_KEYS(KEY_WORD) };

	return (unsigned)key < CTL_KEY_MAX ? words[key] : "?";
}

static uint8_t *
put(uint8_t *p, uint64_t v, unsigned bytes)
{
	while (bytes-- > 0)
		*p++ = (uint8_t)(v >> (8 * bytes));
	return p;
}

static uint64_t
get(const uint8_t *p, unsigned bytes)
{
	uint64_t v = 0;

	while (bytes-- > 0)
		v = v << 8 | *p++;
	return v;
}

void
ctl_row_init(struct ctl_row *r)
{
	r->len = 0;
	r->full = false;
}

/* Where the value of len bytes goes, or NULL. */
static uint8_t *
field(struct ctl_row *r, enum ctl_key key, enum ctl_value type, size_t len)
{
	uint8_t *p;

	if (r->full || sizeof(r->buf) - r->len < FIELD_HEAD + len) {
		r->full = true;
		return NULL;
	}
	p = put(r->buf + r->len, (uint64_t)key, 2);
	p = put(p, (uint64_t)type, 1);
	r->len += FIELD_HEAD + len;
	return p;
}

void
ctl_row_null(struct ctl_row *r, enum ctl_key key)
{
	field(r, key, CTL_NULL, 0);
}

void
ctl_row_num(struct ctl_row *r, enum ctl_key key, enum ctl_value type,
    uint64_t num)
{
	uint8_t *p;

	if ((p = field(r, key, type, 8)) != NULL)
		put(p, num, 8);
}

void
ctl_row_bool(struct ctl_row *r, enum ctl_key key, bool v)
{
	ctl_row_num(r, key, CTL_BOOL, v ? 1 : 0);
}

void
ctl_row_u64(struct ctl_row *r, enum ctl_key key, uint64_t num)
{
	ctl_row_num(r, key, CTL_U64, num);
}

void
ctl_row_strn(struct ctl_row *r, enum ctl_key key, const char *s, size_t len)
{
	uint8_t *p;

	if (len == 0) {
		ctl_row_null(r, key);
		return;
	}
	if (len > CTL_MSG_MAX) {
		r->full = true;
		return;
	}
	if ((p = field(r, key, CTL_STRING, 2 + len)) != NULL)
		memcpy(put(p, len, 2), s, len);
}

void
ctl_row_str(struct ctl_row *r, enum ctl_key key, const char *s)
{
	ctl_row_strn(r, key, s, s == NULL ? 0 : strlen(s));
}

int
ctl_row_next(const uint8_t **pp, size_t *len, struct ctl_field *f)
{
	const uint8_t *p = *pp;
	size_t left = *len;
	unsigned key, type;

	if (left == 0)
		return 0;
	if (left < FIELD_HEAD)
		return -1;
	key = (unsigned)get(p, 2);
	type = (unsigned)get(p + 2, 1);
	if (key >= CTL_KEY_MAX || type >= CTL_VALUE_MAX)
		return -1;
	p += FIELD_HEAD;
	left -= FIELD_HEAD;
	f->key = (enum ctl_key)key;
	f->type = (enum ctl_value)type;
	f->num = 0;
	f->str = NULL;
	f->len = 0;
	if (f->type == CTL_STRING) {
		if (left < 2 || (f->len = (size_t)get(p, 2)) > left - 2)
			return -1;
		f->str = (const char *)p + 2;
		p += 2 + f->len;
		left -= 2 + f->len;
	} else if (f->type != CTL_NULL) {
		if (left < 8)
			return -1;
		f->num = get(p, 8);
		if (f->type == CTL_BOOL && f->num > 1)
			return -1;
		p += 8;
		left -= 8;
	}
	*pp = p;
	*len = left;
	return 1;
}

size_t
ctl_put_text(uint8_t *buf, const char *text)
{
	size_t len = strlen(text);

	if (len > CTL_TEXT_MAX)
		len = CTL_TEXT_MAX;
	memcpy(buf, text, len);
	return len;
}

int
ctl_get_text(const uint8_t *p, size_t len, char *text)
{
	if (len > CTL_TEXT_MAX || (len > 0 && memchr(p, '\0', len) != NULL))
		return -1;
	if (len > 0)
		memcpy(text, p, len);
	text[len] = '\0';
	return 0;
}

size_t
ctl_put_hello(uint8_t *buf, const struct ctl_hello *h)
{
	size_t len = strnlen(h->program, CTL_PROGRAM_MAX);

	memcpy(put(buf, h->version, 4), h->program, len);
	return 4 + len;
}

int
ctl_get_hello(const uint8_t *p, size_t len, struct ctl_hello *h)
{
	if (len < 4 || len > 4 + CTL_PROGRAM_MAX ||
	    (len > 4 && memchr(p + 4, '\0', len - 4) != NULL))
		return -1;
	h->version = (uint32_t)get(p, 4);
	memcpy(h->program, p + 4, len - 4);
	h->program[len - 4] = '\0';
	return 0;
}

size_t
ctl_put_request(uint8_t *buf, const struct ctl_request *r)
{
	put(put(buf, (uint64_t)r->command, 2), r->arg, 8);
	return 10;
}

int
ctl_get_request(const uint8_t *p, size_t len, struct ctl_request *r)
{
	if (len != 10 || get(p, 2) >= CTL_COMMAND_MAX)
		return -1;
	r->command = (enum ctl_command)get(p, 2);
	r->arg = get(p + 2, 8);
	return 0;
}
