/* SPDX-License-Identifier: ISC */

/* hosts.c: a hosts(5) file as a table of names. */

#include "compat.h"

#include <sys/types.h>

#include <netinet/in.h>

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hosts.h"

/*
 * One node for each name of each line, ordered by name and then by place in
 * the file: blocking lists of 100000 lines are common, so it is small.
 */
struct host {
	RB_ENTRY(host)	node;
	unsigned	seq;
	uint32_t	scope;
	uint8_t		af;		/* 4 or 6 */
	uint8_t		ip[16];
	char		name[];
};
RB_HEAD(host_tree, host);

struct hosts {
	struct host_tree tree;
	unsigned	 n;
};

static int
host_cmp(struct host *a, struct host *b)
{
	int	 r;

	if ((r = strcasecmp(a->name, b->name)) != 0)
		return (r);
	return (a->seq < b->seq ? -1 : a->seq > b->seq);
}

RB_GENERATE_STATIC(host_tree, host, node, host_cmp)

static int
hosts_add(struct hosts *h, const char *name, size_t len,
    const struct addr *a)
{
	const struct sockaddr_in	*in = (const void *)&a->ss;
	const struct sockaddr_in6	*in6 = (const void *)&a->ss;
	struct host			*n;

	if ((n = calloc(1, sizeof(*n) + len + 1)) == NULL)
		return (-1);
	memcpy(n->name, name, len);
	n->seq = ++h->n;
	if (a->ss.ss_family == AF_INET) {
		n->af = 4;
		memcpy(n->ip, &in->sin_addr, 4);
	} else {
		n->af = 6;
		memcpy(n->ip, &in6->sin6_addr, 16);
		n->scope = in6->sin6_scope_id;
	}
	RB_INSERT(host_tree, &h->tree, n);
	return (0);
}

static void
host_addr(const struct host *n, struct addr *a)
{
	struct sockaddr_in	*in = (void *)&a->ss;
	struct sockaddr_in6	*in6 = (void *)&a->ss;

	memset(a, 0, sizeof(*a));
	if (n->af == 4) {
		in->sin_family = AF_INET;
		memcpy(&in->sin_addr, n->ip, 4);
		a->len = sizeof(*in);
	} else {
		in6->sin6_family = AF_INET6;
		memcpy(&in6->sin6_addr, n->ip, 16);
		in6->sin6_scope_id = n->scope;
		a->len = sizeof(*in6);
	}
}

/* The next word of a line: its length, 0 at the end or before a comment. */
static size_t
word(const char **p)
{
	*p += strspn(*p, " \t\r\f\v");
	return (strcspn(*p, " \t\r\f\v\n#"));
}

static int
hosts_line(struct hosts *h, const char *p)
{
	char		 buf[HOST_MAX + 1];
	struct addr	 a;
	size_t		 len;

	if ((len = word(&p)) == 0 || len >= sizeof(buf) || *p == '[')
		return (0);
	memcpy(buf, p, len);
	buf[len] = '\0';
	if (addr_parse(buf, 0, &a) == -1)
		return (0);
	for (p += len; (len = word(&p)) > 0; p += len) {
		if (len >= sizeof(buf))
			continue;
		memcpy(buf, p, len);
		buf[len] = '\0';
		if (hostname_valid(buf) && hosts_add(h, buf, len, &a) == -1)
			return (-1);
	}
	return (0);
}

struct hosts *
hosts_parse(const char *text)
{
	struct hosts	*h;

	if ((h = calloc(1, sizeof(*h))) == NULL)
		return (NULL);
	RB_INIT(&h->tree);
	while (text != NULL) {
		if (hosts_line(h, text) == -1) {
			hosts_free(h);
			return (NULL);
		}
		if ((text = strchr(text, '\n')) != NULL)
			text++;
	}
	return (h);
}

void
hosts_free(struct hosts *h)
{
	struct host	*n;

	if (h == NULL)
		return;
	while ((n = RB_ROOT(&h->tree)) != NULL) {
		RB_REMOVE(host_tree, &h->tree, n);
		free(n);
	}
	free(h);
}

unsigned
hosts_lookup(struct hosts *h, const char *name, struct addr *out,
    unsigned max)
{
	union {			/* a node with room for any name */
		struct host	 h;
		char		 room[sizeof(struct host) + HOST_MAX + 1];
	}		 key;
	struct host	*n;
	unsigned	 i, found = 0;
	size_t		 len = strlen(name);

	if (h == NULL || len > HOST_MAX)
		return (0);
	memset(&key, 0, sizeof(key));
	memcpy(key.room + offsetof(struct host, name), name, len + 1);
	for (n = RB_NFIND(host_tree, &h->tree, &key.h);
	    n != NULL && found < max && strcasecmp(n->name, name) == 0;
	    n = RB_NEXT(host_tree, &h->tree, n)) {
		host_addr(n, &out[found]);
		for (i = 0; i < found; i++)
			if (addr_equal(&out[i], &out[found], false))
				break;
		if (i == found)
			found++;
	}
	return (found);
}
