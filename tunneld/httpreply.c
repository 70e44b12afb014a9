/* SPDX-License-Identifier: ISC */

/* httpreply.c: the answers a relay gives by HTTP instead of a 101. */

#include "compat.h"

#include <stdio.h>
#include <string.h>

#include "httpreply.h"
#include "log.h"
#include "tunneld.h"

void
httpreply_send(struct session *s, int status, const char *type,
    const char *extra, const char *body, size_t bodylen)
{
	struct iovec	 iov[2];
	char		 head[1024];
	int		 n;

	/* 426 offers the upgrade, which is itself a connection option. */
	n = snprintf(head, sizeof(head),
	    "HTTP/1.1 %d %s\r\n"
	    "Content-Type: %s\r\n"
	    "Content-Length: %zu\r\n"
	    "Cache-Control: no-store\r\n"
	    "Connection: close%s\r\n"
	    "%s\r\n",
	    status, http1_phrase(status), type, bodylen,
	    status == 426 ? ", Upgrade" : "", extra);
	if (n < 0 || (size_t)n >= sizeof(head))
		fatalx("response head of %d bytes", n);
	iov[0].iov_base = head;
	iov[0].iov_len = (size_t)n;
	iov[1].iov_base = (void *)(uintptr_t)body;
	iov[1].iov_len = s->up != NULL && s->up->head ? 0 : bodylen;
	(void)conn_sendv(&s->ws, iov, 2);
	session_phase(s, PH_CLOSING);
	pump_end(&s->ws, END_LINGER);
}

void
httpreply_error(struct session *s, int status, const char *text,
    const char *detail, const char *allow)
{
	char	 body[512], extra[256] = "";
	int	 n;

	if (detail != NULL)
		n = snprintf(body, sizeof(body), "%d %s: %s (%s)\n", status,
		    http1_phrase(status), text, detail);
	else
		n = snprintf(body, sizeof(body), "%d %s: %s\n", status,
		    http1_phrase(status), text);
	if (n < 0)
		n = 0;
	if ((size_t)n >= sizeof(body))
		n = sizeof(body) - 1;
	if (allow != NULL)
		(void)snprintf(extra, sizeof(extra), "Allow: %s\r\n", allow);
	else if (status == 426)
		(void)strlcpy(extra, "Upgrade: websocket\r\n"
		    "Sec-WebSocket-Version: 13\r\n", sizeof(extra));
	else if (status == 503 || status == 429)
		(void)strlcpy(extra, "Retry-After: 5\r\n", sizeof(extra));
	httpreply_send(s, status, "text/plain; charset=utf-8", extra, body,
	    (size_t)n);
}
