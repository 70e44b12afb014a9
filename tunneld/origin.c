/* SPDX-License-Identifier: ISC */

/* origin.c: the Origin check (RFC 6455, 10.2). */

#include "compat.h"

#include <string.h>
#include <strings.h>

#include "origin.h"

static bool
ends_with(const char *s, size_t len, const char *tail)
{
	size_t	 n = strlen(tail);

	return len > n && strncmp(s + len - n, tail, n) == 0;
}

/* Length of an authority without the default port of its scheme. */
static size_t
strip_port(const char *authority, size_t len, bool tls)
{
	const char	*port = tls ? ":443" : ":80";

	return ends_with(authority, len, port) ? len - strlen(port) : len;
}

static bool
same_host(const char *origin, size_t len, const char *host, size_t hostlen)
{
	bool	 tls;

	if (len > 7 && strncasecmp(origin, "http://", 7) == 0) {
		origin += 7;
		len -= 7;
		tls = false;
	} else if (len > 8 && strncasecmp(origin, "https://", 8) == 0) {
		origin += 8;
		len -= 8;
		tls = true;
	} else
		return false;
	if (*origin == ':')
		return false;		/* no host is no host */
	len = strip_port(origin, len, tls);
	hostlen = strip_port(host, hostlen, tls);
	return len == hostlen && strncasecmp(origin, host, len) == 0;
}

bool
origin_allowed(enum origin_mode mode, const struct conf_origins *list,
    const char *origin, size_t originlen, const char *host, size_t hostlen)
{
	struct conf_origin	*o;

	switch (mode) {
	case ORIGIN_ANY:
		return true;
	case ORIGIN_LIST:
		TAILQ_FOREACH(o, list, entry)
			if (strlen(o->origin) == originlen &&
			    strncasecmp(o->origin, origin, originlen) == 0)
				return true;
		return false;
	case ORIGIN_INHERIT:
	case ORIGIN_SAME_HOST:
		break;
	}
	return host != NULL && same_host(origin, originlen, host, hostlen);
}
