/* SPDX-License-Identifier: ISC */

/* addr.c: numeric addresses, CIDR blocks and host:port words, as text. */

#include "compat.h"

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <netinet/in.h>
#include <arpa/inet.h>

#include <stdio.h>
#include <string.h>

#include "addr.h"

#define V4_LEN		4
#define V6_LEN		16

static const uint8_t	mapped_prefix[12] =
	{ 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
static const uint8_t	compat_prefix[12];
static const uint8_t	nat64_prefix[12] = { 0x00, 0x64, 0xff, 0x9b };

/*
 * Decimal number of text[0..len) without sign, blanks or leading zeros: one
 * number has one spelling.  Returns 0, or -1 above max.
 */
static int
number(const char *text, size_t len, uint32_t max, uint32_t *out)
{
	uint64_t	n = 0;
	size_t		i;

	if (len == 0 || len > 10 || (text[0] == '0' && len > 1))
		return -1;
	for (i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -1;
		n = n * 10 + (uint64_t)(text[i] - '0');
	}
	if (n > max)
		return -1;
	*out = (uint32_t)n;
	return 0;
}

/* The 4 or 16 bytes of an IP address, or NULL for anything else. */
static const uint8_t *
ip_bytes(const struct addr *a, size_t *len)
{
	const struct sockaddr_in	*in4 = (const void *)&a->ss;
	const struct sockaddr_in6	*in6 = (const void *)&a->ss;

	if (a->len == 0)
		return NULL;
	switch (a->ss.ss_family) {
	case AF_INET:
		*len = V4_LEN;
		return (const uint8_t *)&in4->sin_addr;
	case AF_INET6:
		*len = V6_LEN;
		return in6->sin6_addr.s6_addr;
	default:
		return NULL;
	}
}

static void
make4(struct addr *a, const uint8_t ip[V4_LEN], uint16_t port)
{
	struct sockaddr_in	*in4 = (void *)&a->ss;

	memset(a, 0, sizeof(*a));
	in4->sin_family = AF_INET;
	in4->sin_port = htons(port);
	memcpy(&in4->sin_addr, ip, V4_LEN);
	a->len = sizeof(*in4);
}

static void
make6(struct addr *a, const uint8_t ip[V6_LEN], uint16_t port, uint32_t scope)
{
	struct sockaddr_in6	*in6 = (void *)&a->ss;

	memset(a, 0, sizeof(*a));
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	memcpy(in6->sin6_addr.s6_addr, ip, V6_LEN);
	in6->sin6_scope_id = scope;
	a->len = sizeof(*in6);
}

int
addr_parse(const char *text, uint16_t port, struct addr *a)
{
	char		 buf[INET6_ADDRSTRLEN + 16];
	uint8_t		 ip[V6_LEN];
	uint32_t	 scope = 0;
	size_t		 len = strlen(text);
	char		*percent;

	if (inet_pton(AF_INET, text, ip) == 1) {
		make4(a, ip, port);
		return 0;
	}
	if (text[0] == '[') {
		if (len < 2 || text[len - 1] != ']')
			return -1;
		text++;
		len -= 2;
	}
	if (len >= sizeof(buf))
		return -1;
	memcpy(buf, text, len);
	buf[len] = '\0';
	/* Scope as a number only: looking up a name would need a socket. */
	if ((percent = strchr(buf, '%')) != NULL) {
		*percent++ = '\0';
		if (number(percent, strlen(percent), UINT32_MAX,
		    &scope) == -1 || scope == 0)
			return -1;
	}
	if (inet_pton(AF_INET6, buf, ip) != 1)
		return -1;
	make6(a, ip, port, scope);
	return 0;
}

/* The address with its scope, as addr_format_host() writes it. */
static void
host_text(const struct addr *a, char *buf, size_t len)
{
	const struct sockaddr_in6	*in6 = (const void *)&a->ss;
	const uint8_t			*ip;
	char				 text[INET6_ADDRSTRLEN];
	size_t				 iplen;

	if ((ip = ip_bytes(a, &iplen)) == NULL) {
		(void)snprintf(buf, len, "%s", a->len != 0 &&
		    a->ss.ss_family == AF_UNIX ? "unix" : "-");
		return;
	}
	if (inet_ntop(a->ss.ss_family, ip, text, sizeof(text)) == NULL)
		text[0] = '\0';		/* not reached: text is long enough */
	if (iplen == V6_LEN && in6->sin6_scope_id != 0)
		(void)snprintf(buf, len, "%s%%%u", text,
		    (unsigned)in6->sin6_scope_id);
	else
		(void)snprintf(buf, len, "%s", text);
}

const char *
addr_format_host(const struct addr *a, char *buf, size_t len)
{
	host_text(a, buf, len);
	return buf;
}

const char *
addr_format(const struct addr *a, char *buf, size_t len)
{
	char	host[ADDR_TEXT];
	size_t	iplen;

	host_text(a, host, sizeof(host));
	if (ip_bytes(a, &iplen) == NULL)
		(void)snprintf(buf, len, "%s", host);
	else if (iplen == V6_LEN)
		(void)snprintf(buf, len, "[%s]:%u", host, addr_port(a));
	else
		(void)snprintf(buf, len, "%s:%u", host, addr_port(a));
	return buf;
}

uint16_t
addr_port(const struct addr *a)
{
	const struct sockaddr_in	*in4 = (const void *)&a->ss;
	const struct sockaddr_in6	*in6 = (const void *)&a->ss;
	size_t				 len;

	if (ip_bytes(a, &len) == NULL)
		return 0;
	return ntohs(len == V4_LEN ? in4->sin_port : in6->sin6_port);
}

void
addr_set_port(struct addr *a, uint16_t port)
{
	struct sockaddr_in	*in4 = (void *)&a->ss;
	struct sockaddr_in6	*in6 = (void *)&a->ss;
	size_t			 len;

	if (ip_bytes(a, &len) == NULL)
		return;
	if (len == V4_LEN)
		in4->sin_port = htons(port);
	else
		in6->sin6_port = htons(port);
}

void
addr_pack(const struct addr *a, struct addr_packed *p)
{
	const struct sockaddr_in	*in;
	const struct sockaddr_in6	*in6;

	memset(p, 0, sizeof(*p));
	if (a->len == 0)
		return;
	switch (a->ss.ss_family) {
	case AF_INET:
		in = (const struct sockaddr_in *)&a->ss;
		p->kind = 4;
		p->port = in->sin_port;
		memcpy(p->ip, &in->sin_addr, sizeof(in->sin_addr));
		break;
	case AF_INET6:
		in6 = (const struct sockaddr_in6 *)&a->ss;
		p->kind = 6;
		p->port = in6->sin6_port;
		p->scope = in6->sin6_scope_id;
		memcpy(p->ip, &in6->sin6_addr, sizeof(in6->sin6_addr));
		break;
	case AF_UNIX:
		p->kind = 1;
		break;
	}
}

void
addr_unpack(const struct addr_packed *p, struct addr *a)
{
	struct sockaddr_in	*in = (struct sockaddr_in *)&a->ss;
	struct sockaddr_in6	*in6 = (struct sockaddr_in6 *)&a->ss;

	memset(a, 0, sizeof(*a));
	switch (p->kind) {
	case 4:
		in->sin_family = AF_INET;
		in->sin_port = p->port;
		memcpy(&in->sin_addr, p->ip, sizeof(in->sin_addr));
		a->len = sizeof(*in);
		break;
	case 6:
		in6->sin6_family = AF_INET6;
		in6->sin6_port = p->port;
		in6->sin6_scope_id = p->scope;
		memcpy(&in6->sin6_addr, p->ip, sizeof(in6->sin6_addr));
		a->len = sizeof(*in6);
		break;
	case 1:
		a->ss.ss_family = AF_UNIX;
		a->len = offsetof(struct sockaddr_un, sun_path);
		break;
	default:
		return;
	}
#if HAVE_SS_LEN
	a->ss.ss_len = (uint8_t)a->len;
#endif
}

void
addr_unmap(struct addr *a)
{
	uint8_t		 v4[V4_LEN];
	const uint8_t	*ip;
	size_t		 len;

	if ((ip = ip_bytes(a, &len)) == NULL || len != V6_LEN ||
	    memcmp(ip, mapped_prefix, sizeof(mapped_prefix)) != 0)
		return;
	memcpy(v4, ip + sizeof(mapped_prefix), sizeof(v4));
	make4(a, v4, addr_port(a));
}

bool
addr_equal(const struct addr *a, const struct addr *b, bool ports)
{
	const struct sockaddr_in6	*a6, *b6;
	const uint8_t			*ip, *jp;
	struct addr			 x = *a, y = *b;
	size_t				 len, jlen;

	if (x.len == 0 || y.len == 0)
		return false;
	addr_unmap(&x);
	addr_unmap(&y);
	if (x.ss.ss_family != y.ss.ss_family)
		return false;
	if ((ip = ip_bytes(&x, &len)) == NULL ||
	    (jp = ip_bytes(&y, &jlen)) == NULL)
		return x.len == y.len && memcmp(&x.ss, &y.ss, x.len) == 0;
	if (len != jlen || memcmp(ip, jp, len) != 0)
		return false;
	if (len == V6_LEN) {
		a6 = (const void *)&x.ss;
		b6 = (const void *)&y.ss;
		if (a6->sin6_scope_id != b6->sin6_scope_id)
			return false;
	}
	return !ports || addr_port(&x) == addr_port(&y);
}

static bool
local4(const uint8_t *ip)
{
	return ip[0] == 0 || ip[0] == 127 || (ip[0] == 169 && ip[1] == 254);
}

/*
 * All spellings that could end at this host or link.  An IPv6 address that
 * carries an IPv4 one (mapped, compatible, NAT64, 6to4) is judged by it; the
 * compatible form also covers :: and ::1.
 */
bool
addr_is_local(const struct addr *a)
{
	const uint8_t	*ip;
	size_t		 len;

	if ((ip = ip_bytes(a, &len)) == NULL)
		return false;
	if (len == V4_LEN)
		return local4(ip);
	if (ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80)
		return true;
	if (memcmp(ip, mapped_prefix, sizeof(mapped_prefix)) == 0 ||
	    memcmp(ip, compat_prefix, sizeof(compat_prefix)) == 0 ||
	    memcmp(ip, nat64_prefix, sizeof(nat64_prefix)) == 0)
		return local4(ip + 12);
	if (ip[0] == 0x20 && ip[1] == 0x02)
		return local4(ip + 2);
	return false;
}

bool
addr_is_loopback(const struct addr *a)
{
	const uint8_t	*ip;
	struct addr	 x = *a;
	size_t		 len;

	addr_unmap(&x);
	if ((ip = ip_bytes(&x, &len)) == NULL)
		return false;
	if (len == V4_LEN)
		return ip[0] == 127;
	return memcmp(ip, &in6addr_loopback, V6_LEN) == 0;
}

/* Are all bits behind the first bits of net[0..len) zero? */
static bool
host_bits_zero(const uint8_t *net, size_t len, unsigned bits)
{
	size_t	i = bits / 8;

	if (bits % 8 != 0 && (net[i++] & (0xff >> (bits % 8))) != 0)
		return false;
	for (; i < len; i++)
		if (net[i] != 0)
			return false;
	return true;
}

int
cidr_parse(const char *text, struct cidr *c)
{
	const char	*slash = strchr(text, '/');
	char		 host[INET6_ADDRSTRLEN];
	uint8_t		 ip[V6_LEN];
	uint32_t	 bits;
	size_t		 len, hostlen;

	hostlen = slash != NULL ? (size_t)(slash - text) : strlen(text);
	if (hostlen >= sizeof(host))
		return -1;
	memcpy(host, text, hostlen);
	host[hostlen] = '\0';
	if (inet_pton(AF_INET, host, ip) == 1)
		len = V4_LEN;
	else if (inet_pton(AF_INET6, host, ip) == 1)
		len = V6_LEN;
	else
		return -1;
	bits = (uint32_t)len * 8;
	if (slash != NULL &&
	    number(slash + 1, strlen(slash + 1), bits, &bits) == -1)
		return -1;
	if (!host_bits_zero(ip, len, bits))
		return -1;
	/* Addresses are unmapped before they are compared: so is the block. */
	if (len == V6_LEN && bits >= 96 &&
	    memcmp(ip, mapped_prefix, sizeof(mapped_prefix)) == 0) {
		memmove(ip, ip + 12, V4_LEN);
		len = V4_LEN;
		bits -= 96;
	}
	memset(c, 0, sizeof(*c));
	c->af = len == V4_LEN ? 4 : 6;
	c->bits = (uint8_t)bits;
	memcpy(c->net, ip, len);
	return 0;
}

const char *
cidr_format(const struct cidr *c, char *buf, size_t len)
{
	char	text[INET6_ADDRSTRLEN];

	if (inet_ntop(c->af == 4 ? AF_INET : AF_INET6, c->net, text,
	    sizeof(text)) == NULL)
		text[0] = '\0';		/* not reached: text is long enough */
	(void)snprintf(buf, len, "%s/%u", text, c->bits);
	return buf;
}

bool
cidr_match(const struct cidr *c, const struct addr *a)
{
	const uint8_t	*ip;
	struct addr	 x = *a;
	unsigned	 whole, rest, shift;
	size_t		 len;

	addr_unmap(&x);
	if ((ip = ip_bytes(&x, &len)) == NULL ||
	    c->af != (len == V4_LEN ? 4 : 6) || c->bits > len * 8)
		return false;
	whole = c->bits / 8;
	rest = c->bits % 8;
	if (memcmp(ip, c->net, whole) != 0)
		return false;
	if (rest == 0)
		return true;
	shift = 8 - rest;
	return ip[whole] >> shift == c->net[whole] >> shift;
}

int
hostport_parse(const char *text, char *host, size_t hostlen, uint16_t *port,
    bool *numeric)
{
	const char	*colon;
	struct addr	 a;
	uint32_t	 n;
	size_t		 len;

	if ((colon = strrchr(text, ':')) == NULL ||
	    number(colon + 1, strlen(colon + 1), 65535, &n) == -1 || n == 0)
		return -1;
	len = (size_t)(colon - text);
	if (text[0] == '[') {
		if (len < 2 || text[len - 1] != ']')
			return -1;
		text++;
		len -= 2;
		if (memchr(text, ':', len) == NULL)
			return -1;
	} else if (memchr(text, ':', len) != NULL)
		return -1;
	if (len == 0 || len >= hostlen)
		return -1;
	memcpy(host, text, len);
	host[len] = '\0';
	/* "[[::1]]": brackets come off once */
	if (host[0] == '[')
		return -1;
	*numeric = addr_parse(host, (uint16_t)n, &a) == 0;
	if (!*numeric && !hostname_valid(host))
		return -1;
	*port = (uint16_t)n;
	return 0;
}

static bool
alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9');
}

/*
 * Would inet_aton(3) read a name ending in this label as an address?  It
 * takes decimal, octal and 0x numbers, one to four of them.
 */
static bool
numeric_label(const char *label, size_t len)
{
	bool	hex;
	size_t	i = 0;

	hex = len >= 2 && label[0] == '0' &&
	    (label[1] == 'x' || label[1] == 'X');
	if (hex)
		i = 2;
	for (; i < len; i++) {
		if (label[i] >= '0' && label[i] <= '9')
			continue;
		if (hex && ((label[i] >= 'a' && label[i] <= 'f') ||
		    (label[i] >= 'A' && label[i] <= 'F')))
			continue;
		return false;
	}
	return true;
}

bool
hostname_valid(const char *text)
{
	const char	*label;
	size_t		 i, n, len = strlen(text);

	if (len == 0 || len > HOST_MAX)
		return false;
	for (label = text;; label += n + 1) {
		n = strcspn(label, ".");
		if (n == 0 || n > 63 || label[0] == '-' ||
		    label[n - 1] == '-')
			return false;
		for (i = 0; i < n; i++)
			if (!alnum(label[i]) && label[i] != '-' &&
			    label[i] != '_')
				return false;
		if (label[n] == '\0')
			return !numeric_label(label, n);
	}
}
