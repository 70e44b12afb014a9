/* SPDX-License-Identifier: ISC */

/* imsg_buffer.c: the ibuf half of the imsg API; contracts in imsg.h. */

#include "compat.h"

#include <endian.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "imsg.h"

#define IBUF_NOFD	(-1)
#define IBUF_VIEW	(-2)		/* in fd: bytes are borrowed */
#define IBUF_GROW	64		/* smallest growth step */

static struct ibuf *
ibuf_alloc(size_t size, size_t max)
{
	struct ibuf	*b;

	if ((b = calloc(1, sizeof(*b))) == NULL)
		return NULL;
	if (size > 0 && (b->buf = calloc(1, size)) == NULL) {
		free(b);
		return NULL;
	}
	b->size = size;
	b->max = max;
	b->fd = IBUF_NOFD;
	return b;
}

struct ibuf *
ibuf_open(size_t len)
{
	return ibuf_alloc(len, len);
}

struct ibuf *
ibuf_dynamic(size_t len, size_t max)
{
	if (max == 0 || max < len) {
		errno = EINVAL;
		return NULL;
	}
	return ibuf_alloc(len, max);
}

/* Make room for len more bytes. */
static int
ibuf_grow(struct ibuf *b, size_t len)
{
	unsigned char	*p;
	size_t		 need, size;

	if (b->fd == IBUF_VIEW) {
		errno = EINVAL;
		return -1;
	}
	if (len > b->max - b->wpos) {
		errno = ERANGE;
		return -1;
	}
	need = b->wpos + len;
	if (need <= b->size)
		return 0;
	/* Double, so that adding field by field copies little. */
	size = b->size < IBUF_GROW ? IBUF_GROW : b->size;
	while (size < need)
		size = size > SIZE_MAX / 2 ? need : size * 2;
	if (size > b->max)
		size = b->max;
	if ((p = recallocarray(b->buf, b->size, size, 1)) == NULL)
		return -1;
	b->buf = p;
	b->size = size;
	return 0;
}

void *
ibuf_reserve(struct ibuf *b, size_t len)
{
	void	*p;

	if (ibuf_grow(b, len) == -1)
		return NULL;
	/* A buffer of no bytes at all still has an address to give. */
	p = b->buf == NULL ? (void *)b : b->buf + b->wpos;
	/* ibuf_truncate() may have left old bytes behind. */
	if (len > 0)
		memset(p, 0, len);
	b->wpos += len;
	return p;
}

int
ibuf_add(struct ibuf *b, const void *data, size_t len)
{
	void	*p;

	if ((p = ibuf_reserve(b, len)) == NULL)
		return -1;
	if (len > 0)
		memcpy(p, data, len);
	return 0;
}

int
ibuf_add_ibuf(struct ibuf *b, const struct ibuf *from)
{
	return ibuf_add(b, ibuf_data(from), ibuf_size(from));
}

int
ibuf_add_zero(struct ibuf *b, size_t len)
{
	return ibuf_reserve(b, len) == NULL ? -1 : 0;
}

static int
fits(uint64_t value, uint64_t max)
{
	if (value <= max)
		return 1;
	errno = EINVAL;
	return 0;
}

int
ibuf_add_n8(struct ibuf *b, uint64_t value)
{
	uint8_t	v = (uint8_t)value;

	return fits(value, UINT8_MAX) ? ibuf_add(b, &v, sizeof(v)) : -1;
}

int
ibuf_add_n16(struct ibuf *b, uint64_t value)
{
	uint16_t	v = htobe16((uint16_t)value);

	return fits(value, UINT16_MAX) ? ibuf_add(b, &v, sizeof(v)) : -1;
}

int
ibuf_add_n32(struct ibuf *b, uint64_t value)
{
	uint32_t	v = htobe32((uint32_t)value);

	return fits(value, UINT32_MAX) ? ibuf_add(b, &v, sizeof(v)) : -1;
}

int
ibuf_add_n64(struct ibuf *b, uint64_t value)
{
	uint64_t	v = htobe64(value);

	return ibuf_add(b, &v, sizeof(v));
}

int
ibuf_add_h16(struct ibuf *b, uint64_t value)
{
	uint16_t	v = (uint16_t)value;

	return fits(value, UINT16_MAX) ? ibuf_add(b, &v, sizeof(v)) : -1;
}

int
ibuf_add_h32(struct ibuf *b, uint64_t value)
{
	uint32_t	v = (uint32_t)value;

	return fits(value, UINT32_MAX) ? ibuf_add(b, &v, sizeof(v)) : -1;
}

int
ibuf_add_h64(struct ibuf *b, uint64_t value)
{
	return ibuf_add(b, &value, sizeof(value));
}

int
ibuf_add_strbuf(struct ibuf *b, const char *str, size_t len)
{
	size_t	 n;
	char	*p;

	if (len == 0) {
		errno = EINVAL;
		return -1;
	}
	if ((n = strnlen(str, len)) == len) {
		errno = EOVERFLOW;
		return -1;
	}
	if ((p = ibuf_reserve(b, len)) == NULL)
		return -1;
	memcpy(p, str, n);
	return 0;
}

void *
ibuf_seek(struct ibuf *b, size_t pos, size_t len)
{
	if (pos > ibuf_size(b) || len > ibuf_size(b) - pos) {
		errno = ERANGE;
		return NULL;
	}
	return b->buf == NULL ? (void *)b : b->buf + b->rpos + pos;
}

int
ibuf_set(struct ibuf *b, size_t pos, const void *data, size_t len)
{
	void	*p;

	if ((p = ibuf_seek(b, pos, len)) == NULL)
		return -1;
	if (len > 0)
		memcpy(p, data, len);
	return 0;
}

int
ibuf_set_n8(struct ibuf *b, size_t pos, uint64_t value)
{
	uint8_t	v = (uint8_t)value;

	return fits(value, UINT8_MAX) ? ibuf_set(b, pos, &v, sizeof(v)) : -1;
}

int
ibuf_set_n16(struct ibuf *b, size_t pos, uint64_t value)
{
	uint16_t	v = htobe16((uint16_t)value);

	return fits(value, UINT16_MAX) ? ibuf_set(b, pos, &v, sizeof(v)) : -1;
}

int
ibuf_set_n32(struct ibuf *b, size_t pos, uint64_t value)
{
	uint32_t	v = htobe32((uint32_t)value);

	return fits(value, UINT32_MAX) ? ibuf_set(b, pos, &v, sizeof(v)) : -1;
}

int
ibuf_set_n64(struct ibuf *b, size_t pos, uint64_t value)
{
	uint64_t	v = htobe64(value);

	return ibuf_set(b, pos, &v, sizeof(v));
}

int
ibuf_set_h16(struct ibuf *b, size_t pos, uint64_t value)
{
	uint16_t	v = (uint16_t)value;

	return fits(value, UINT16_MAX) ? ibuf_set(b, pos, &v, sizeof(v)) : -1;
}

int
ibuf_set_h32(struct ibuf *b, size_t pos, uint64_t value)
{
	uint32_t	v = (uint32_t)value;

	return fits(value, UINT32_MAX) ? ibuf_set(b, pos, &v, sizeof(v)) : -1;
}

int
ibuf_set_h64(struct ibuf *b, size_t pos, uint64_t value)
{
	return ibuf_set(b, pos, &value, sizeof(value));
}

void *
ibuf_data(const struct ibuf *b)
{
	return b->buf == NULL ? NULL : b->buf + b->rpos;
}

size_t
ibuf_size(const struct ibuf *b)
{
	return b->wpos - b->rpos;
}

size_t
ibuf_left(const struct ibuf *b)
{
	return b->fd == IBUF_VIEW ? 0 : b->max - b->wpos;
}

int
ibuf_truncate(struct ibuf *b, size_t len)
{
	if (len <= ibuf_size(b)) {
		b->wpos = b->rpos + len;
		return 0;
	}
	return ibuf_add_zero(b, len - ibuf_size(b));
}

void
ibuf_rewind(struct ibuf *b)
{
	b->rpos = 0;
}

void
ibuf_from_buffer(struct ibuf *b, void *data, size_t len)
{
	memset(b, 0, sizeof(*b));
	b->buf = data;
	b->size = b->max = b->wpos = len;
	b->fd = IBUF_VIEW;
}

void
ibuf_from_ibuf(struct ibuf *b, const struct ibuf *from)
{
	ibuf_from_buffer(b, ibuf_data(from), ibuf_size(from));
}

/* The next len unread bytes, or NULL and nothing consumed. */
static const void *
ibuf_take(struct ibuf *b, size_t len)
{
	const void	*p;

	if (ibuf_size(b) < len) {
		errno = EBADMSG;
		return NULL;
	}
	p = b->buf == NULL ? (const void *)b : b->buf + b->rpos;
	b->rpos += len;
	return p;
}

int
ibuf_get(struct ibuf *b, void *data, size_t len)
{
	const void	*p;

	if ((p = ibuf_take(b, len)) == NULL)
		return -1;
	if (len > 0)
		memcpy(data, p, len);
	return 0;
}

int
ibuf_get_ibuf(struct ibuf *b, size_t len, struct ibuf *view)
{
	unsigned char	*p = ibuf_data(b);

	if (ibuf_take(b, len) == NULL)
		return -1;
	ibuf_from_buffer(view, p, len);
	return 0;
}

int
ibuf_get_h16(struct ibuf *b, uint16_t *value)
{
	return ibuf_get(b, value, sizeof(*value));
}

int
ibuf_get_h32(struct ibuf *b, uint32_t *value)
{
	return ibuf_get(b, value, sizeof(*value));
}

int
ibuf_get_h64(struct ibuf *b, uint64_t *value)
{
	return ibuf_get(b, value, sizeof(*value));
}

int
ibuf_get_n8(struct ibuf *b, uint8_t *value)
{
	return ibuf_get(b, value, sizeof(*value));
}

int
ibuf_get_n16(struct ibuf *b, uint16_t *value)
{
	if (ibuf_get(b, value, sizeof(*value)) == -1)
		return -1;
	*value = be16toh(*value);
	return 0;
}

int
ibuf_get_n32(struct ibuf *b, uint32_t *value)
{
	if (ibuf_get(b, value, sizeof(*value)) == -1)
		return -1;
	*value = be32toh(*value);
	return 0;
}

int
ibuf_get_n64(struct ibuf *b, uint64_t *value)
{
	if (ibuf_get(b, value, sizeof(*value)) == -1)
		return -1;
	*value = be64toh(*value);
	return 0;
}

char *
ibuf_get_string(struct ibuf *b, size_t len)
{
	char	*str;

	if (ibuf_size(b) < len) {
		errno = EBADMSG;
		return NULL;
	}
	if ((str = malloc(len + 1)) == NULL)
		return NULL;
	if (len > 0)
		memcpy(str, ibuf_take(b, len), len);
	str[len] = '\0';
	return str;
}

int
ibuf_get_strbuf(struct ibuf *b, char *str, size_t len)
{
	size_t	 n;

	if (len == 0) {
		errno = EINVAL;
		return -1;
	}
	if (ibuf_get(b, str, len) == -1)
		return -1;
	if ((n = strnlen(str, len)) == len) {
		str[len - 1] = '\0';
		b->rpos -= len;
		errno = EOVERFLOW;
		return -1;
	}
	memset(str + n, 0, len - n);
	return 0;
}

int
ibuf_skip(struct ibuf *b, size_t len)
{
	return ibuf_take(b, len) == NULL ? -1 : 0;
}

void
ibuf_free(struct ibuf *b)
{
	int	 saved = errno;

	if (b == NULL)
		return;
	if (b->fd == IBUF_VIEW)
		abort();
	if (b->fd >= 0)
		close(b->fd);
	freezero(b->buf, b->size);
	free(b);
	errno = saved;
}

int
ibuf_fd_avail(struct ibuf *b)
{
	return b->fd >= 0;
}

int
ibuf_fd_get(struct ibuf *b)
{
	int	 fd = b->fd;

	if (fd < 0)
		return -1;
	b->fd = IBUF_NOFD;
	return fd;
}

void
ibuf_fd_set(struct ibuf *b, int fd)
{
	if (b->fd == IBUF_VIEW)
		abort();
	if (b->fd >= 0)
		close(b->fd);
	b->fd = fd < 0 ? IBUF_NOFD : fd;
}
