/* SPDX-License-Identifier: ISC */

/*
 * addr.h: socket addresses with their length, CIDR blocks, host:port words.
 * Nothing here resolves names or touches a socket.
 */
#ifndef LIB_ADDR_H
#define LIB_ADDR_H

#include <sys/types.h>
#include <sys/socket.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A socket address carries its length: Linux has no sa_len. */
struct addr {
	struct sockaddr_storage	ss;
	socklen_t		len;		/* 0: no address */
};

/*
 * The same for those who keep thousands: 24 bytes instead of 136.  Of a UNIX
 * address only that it is one is kept.
 */
struct addr_packed {
	uint8_t		ip[16];		/* network order */
	uint32_t	scope;
	uint16_t	port;		/* network order */
	uint8_t		kind;		/* 0: no address; 1: UNIX; 4; 6 */
};

void	 addr_pack(const struct addr *a, struct addr_packed *p);
void	 addr_unpack(const struct addr_packed *p, struct addr *a);

/* Longest text addr_format() makes, with NUL: "[v6%scope]:65535", "unix". */
#define ADDR_TEXT	80
/* Longest host name we accept, without NUL (RFC 1035); not HOST_NAME_MAX. */
#define HOST_MAX	253

struct cidr {
	uint8_t		af;		/* 4 or 6 */
	uint8_t		bits;		/* prefix length */
	uint8_t		net[16];	/* network order, host bits zero */
};

/*
 * Parse a numeric IPv4 or IPv6 address, optionally in brackets, into *a with
 * port (host order).  An IPv6 scope is a number ("fe80::1%2").  Returns 0, or
 * -1 when text is not a numeric address.
 */
int	 addr_parse(const char *text, uint16_t port, struct addr *a);

/* Format as "1.2.3.4:80", "[::1]:80", "unix", or "-" for no address; always
 * NUL-terminates. */
const char *addr_format(const struct addr *a, char *buf, size_t len);

/* As addr_format(), the address alone without port or brackets. */
const char *addr_format_host(const struct addr *a, char *buf, size_t len);

/* Port in host order, 0 for a UNIX address. */
uint16_t addr_port(const struct addr *a);
void	 addr_set_port(struct addr *a, uint16_t port);

/*
 * Turn an IPv4-mapped IPv6 address into the IPv4 one, in place: policy and
 * logs must never see two spellings of one host.
 */
void	 addr_unmap(struct addr *a);

/* Same family, address, scope and (with ports) port.  v4-mapped equals v4; no
 * address equals nothing. */
bool	 addr_equal(const struct addr *a, const struct addr *b, bool ports);

/* Loopback, link-local, unspecified: v4, v6, and v4 inside v6 (mapped,
 * compatible, NAT64's 64:ff9b::/96, 6to4). */
bool	 addr_is_local(const struct addr *a);

/* Is it an IP address of 127.0.0.0/8 or ::1? */
bool	 addr_is_loopback(const struct addr *a);

/*
 * Parse "10.0.0.0/8", "::1/128" or a bare address (full prefix).  Host bits
 * that are not zero are an error; a block of v4-mapped addresses becomes the
 * IPv4 one.  Returns 0 or -1.
 */
int	 cidr_parse(const char *text, struct cidr *c);
const char *cidr_format(const struct cidr *c, char *buf, size_t len);
bool	 cidr_match(const struct cidr *c, const struct addr *a);

/*
 * Split "host:port", "[v6]:port" into host (no brackets, at most hostlen with
 * NUL) and port 1-65535.  Returns 0, or -1 on any syntax error, including an
 * unbracketed IPv6 address.  *numeric tells if host is a numeric address.
 */
int	 hostport_parse(const char *text, char *host, size_t hostlen,
	    uint16_t *port, bool *numeric);

/*
 * Is text a valid host name (letters, digits, "-", "_", dots; labels of
 * 1-63, at most HOST_MAX)?  Not if its last label is a decimal, octal or 0x
 * number: resolvers may read "127.1" or "0x7f000001" as an address.
 */
bool	 hostname_valid(const char *text);

#endif /* LIB_ADDR_H */
