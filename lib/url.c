/* SPDX-License-Identifier: ISC */

/* url.c: take a ws:// or wss:// URL apart. */

#include "compat.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "addr.h"
#include "url.h"

static const struct scheme {
	const char	*prefix;
	bool		 tls;
	uint16_t	 port;
} schemes[] = {
	{ "ws://",	false,	80 },
	{ "wss://",	true,	443 },
	{ "http://",	false,	80 },
	{ "https://",	true,	443 }
};

static bool
hexdigit(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') ||
	    (c >= 'A' && c <= 'F');
}

/*
 * Path and query: RFC 3986 without the fragment, but with "[" and "]", which
 * our own "/tunnel/[::1]:22" needs.
 */
static int
check_path(const char *p, const char **why)
{
	for (; *p != '\0'; p++) {
		if (*p == '#') {
			*why = "a fragment (#) is not sent to servers";
			return -1;
		}
		if (*p == '%' && (!hexdigit(p[1]) || !hexdigit(p[2]))) {
			*why = "bad percent-encoding";
			return -1;
		}
		if (*p <= ' ' || *p > '~' ||
		    strchr("\"<>\\^`{|}", *p) != NULL) {
			*why = "a byte that must be percent-encoded";
			return -1;
		}
	}
	return 0;
}

/* host[:port] of len bytes, not terminated; u->port holds the default. */
static int
parse_authority(const char *text, size_t len, struct wsurl *u,
    const char **why)
{
	char		 buf[HOST_MAX + 16], host[HOST_MAX + 1], *colon;
	uint16_t	 defport = u->port;
	bool		 hasport;
	int		 n;

	if (memchr(text, '@', len) != NULL) {
		*why = "user information is not supported";
		return -1;
	}
	if (len == 0 || (text[0] == ':' &&
	    memchr(text + 1, ':', len - 1) == NULL)) {
		*why = "empty host";
		return -1;
	}
	/* An IPv6 scope means something on this machine only. */
	if (len > HOST_MAX + 8 || memchr(text, '%', len) != NULL) {
		*why = "bad host";
		return -1;
	}
	memcpy(buf, text, len);
	buf[len] = '\0';
	hasport = text[0] == '[' ? text[len - 1] != ']' :
	    memchr(text, ':', len) != NULL;
	if (!hasport)
		(void)snprintf(buf + len, sizeof(buf) - len, ":%u", defport);
	if (hostport_parse(buf, host, sizeof(host), &u->port,
	    &u->numeric) == -1) {
		/* Whose fault?  Try the host with a port that is good. */
		*why = "bad host";
		if (hasport && (colon = strrchr(buf, ':')) != NULL) {
			memcpy(colon, ":1", 3);
			if (hostport_parse(buf, host, sizeof(host), &u->port,
			    &u->numeric) == 0)
				*why = "bad port";
		}
		return -1;
	}
	(void)snprintf(u->host, sizeof(u->host), "%s", host);
	n = snprintf(u->hostport, sizeof(u->hostport),
	    strchr(host, ':') != NULL ? "[%s]" : "%s", host);
	if (u->port != defport)
		(void)snprintf(u->hostport + n, sizeof(u->hostport) -
		    (size_t)n, ":%u", u->port);
	return 0;
}

int
wsurl_parse(const char *text, struct wsurl *u, const char **why)
{
	const struct scheme	*s = NULL;
	const char		*path;
	size_t			 i, len;

	memset(u, 0, sizeof(*u));
	*why = NULL;
	if (strlen(text) >= URL_MAX) {
		*why = "too long";
		return -1;
	}
	for (i = 0; i < nitems(schemes); i++) {
		len = strlen(schemes[i].prefix);
		if (strncasecmp(text, schemes[i].prefix, len) == 0) {
			s = &schemes[i];
			text += len;
			break;
		}
	}
	if (s == NULL) {
		*why = "unknown scheme, not ws:// or wss://";
		return -1;
	}
	u->tls = s->tls;
	u->port = s->port;
	path = text + strcspn(text, "/?#");
	if (parse_authority(text, (size_t)(path - text), u, why) == -1 ||
	    check_path(path, why) == -1)
		return -1;
	(void)snprintf(u->path, sizeof(u->path), "%s%s",
	    *path == '/' ? "" : "/", path);
	return 0;
}
