/* SPDX-License-Identifier: ISC */

/*
 * wsclient.c: RFC 6455 from the client's side, strictly.  On purpose it shares
 * nothing with lib/ws.c: what measures must not repeat its mistakes.
 */

#include "compat.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "load.h"

/* The example of RFC 6455 1.3; nobody caches here, so one nonce will do. */
#define NONCE	"dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT	"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

size_t
ws_request(char *buf, size_t len, const char *host, const char *path)
{
	int	 n;

	n = snprintf(buf, len, "GET %s HTTP/1.1\r\nHost: %s\r\n"
	    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Key: " NONCE "\r\nSec-WebSocket-Version: 13\r\n"
	    "Sec-WebSocket-Protocol: binary\r\n\r\n", path, host);
	return (n < 0 || (size_t)n >= len ? 0 : (size_t)n);
}

/* A field of a head that ends in NUL; 0 if it is not there or too long. */
static int
field(const char *head, const char *name, char *value, size_t len)
{
	const char	*p;
	size_t		 n;

	for (p = head; (p = strstr(p, "\r\n")) != NULL;) {
		p += 2;
		if (strncasecmp(p, name, strlen(name)) != 0 ||
		    p[strlen(name)] != ':')
			continue;
		p += strlen(name) + 1;
		p += strspn(p, " \t");
		n = strcspn(p, "\r");
		while (n > 0 && (p[n - 1] == ' ' || p[n - 1] == '\t'))
			n--;
		if (n >= len)
			return (0);
		memcpy(value, p, n);
		value[n] = '\0';
		return (1);
	}
	return (0);
}

int
ws_response(const uint8_t *buf, size_t len, const char **err)
{
	static char	 head[8192], text[128];
	char		 value[256];
	char		*end;

	if (len >= sizeof(head))
		len = sizeof(head) - 1;
	memcpy(head, buf, len);
	head[len] = '\0';
	if ((end = strstr(head, "\r\n\r\n")) == NULL) {
		*err = "an HTTP head without end";
		return (len == sizeof(head) - 1 ? -1 : 0);
	}
	end[2] = '\0';
	*err = NULL;
	if (strncmp(head, "HTTP/1.1 101 ", 13) != 0) {
		snprintf(text, sizeof(text), "HTTP answer \"%.*s\"",
		    (int)strcspn(head, "\r\n"), head);
		*err = text;
	} else if (!field(head, "Upgrade", value, sizeof(value)) ||
	    strcasecmp(value, "websocket") != 0)
		*err = "101 without Upgrade: websocket";
	else if (!field(head, "Connection", value, sizeof(value)) ||
	    strcasestr(value, "upgrade") == NULL)
		*err = "101 without Connection: upgrade";
	else if (!field(head, "Sec-WebSocket-Accept", value, sizeof(value)) ||
	    strcmp(value, ACCEPT) != 0)
		*err = "101 with a wrong Sec-WebSocket-Accept";
	else if (field(head, "Sec-WebSocket-Protocol", value,
	    sizeof(value)) && strcmp(value, "binary") != 0)
		*err = "101 with a subprotocol that was not offered";
	else if (field(head, "Sec-WebSocket-Extensions", value,
	    sizeof(value)))
		*err = "101 with an extension that was not offered";
	return (*err != NULL ? -1 : (int)(end + 4 - head));
}

size_t
ws_frame(uint8_t *out, enum opcode op, int fin, const uint8_t *payload,
    size_t len, uint32_t mask)
{
	uint64_t	 mask8, word;
	uint8_t		*p = out, key[4];
	size_t		 i;

	*p++ = (uint8_t)((fin ? 0x80 : 0) | op);
	if (len < 126)
		*p++ = (uint8_t)(0x80 | len);
	else if (len < 65536) {
		*p++ = 0x80 | 126;
		*p++ = (uint8_t)(len >> 8);
		*p++ = (uint8_t)len;
	} else {
		*p++ = 0x80 | 127;
		for (i = 0; i < 8; i++)
			*p++ = (uint8_t)((uint64_t)len >> (56 - 8 * i));
	}
	memcpy(key, &mask, sizeof(key));
	memcpy(p, key, sizeof(key));
	p += sizeof(key);
	mask8 = (uint64_t)mask << 32 | mask;
	for (i = 0; i + sizeof(word) <= len; i += sizeof(word)) {
		memcpy(&word, payload + i, sizeof(word));
		word ^= mask8;
		memcpy(p + i, &word, sizeof(word));
	}
	for (; i < len; i++)
		p[i] = payload[i] ^ key[i & 3];
	return ((size_t)(p - out) + len);
}

/* A complete header of server's: its meaning, and what is wrong with it. */
static const char *
header(struct wsin *w)
{
	const uint8_t	*h = w->head;
	uint64_t	 len = h[1] & 0x7f;
	unsigned int	 i;

	w->opcode = h[0] & 0x0f;
	if (len == 126) {
		len = (uint64_t)h[2] << 8 | h[3];
		if (len < 126)
			return ("a length in more bytes than it needs");
	} else if (len == 127) {
		for (len = 0, i = 2; i < 10; i++)
			len = len << 8 | h[i];
		if (len < 65536 || len >> 63)
			return ("a wrong 64-bit length");
	}
	w->left = len;
	if (h[0] & 0x70)
		return ("reserved bits are set");
	if (w->opcode >= OP_CLOSE) {
		if (w->opcode > OP_PONG)
			return ("an unknown control frame");
		if (!(h[0] & 0x80) || len > sizeof(w->control))
			return ("a control frame that is fragmented or long");
		return (NULL);
	}
	if (w->opcode != OP_CONT && w->opcode != OP_BINARY)
		return ("neither a binary nor a continuation frame");
	if ((w->opcode == OP_CONT) != w->in_message)
		return (w->in_message ? "a new message inside of one" :
		    "a continuation of nothing");
	w->in_message = !(h[0] & 0x80);
	return (NULL);
}

/* How long the header is, as far as is known. */
static unsigned int
header_len(const struct wsin *w)
{
	if (w->nhead < 2)
		return (2);
	switch (w->head[1] & 0x7f) {
	case 126:
		return (4);
	case 127:
		return (10);
	}
	return (2);
}

enum found
wsin_feed(struct wsin *w, const uint8_t **buf, size_t *len,
    const uint8_t **data, size_t *datalen, const char **err)
{
	size_t	 n;

	for (;;) {
		if (!w->in_payload) {
			while (w->nhead < header_len(w)) {
				if (*len == 0)
					return (FOUND_MORE);
				w->head[w->nhead++] = *(*buf)++;
				(*len)--;
				if (w->nhead == 2 && w->head[1] & 0x80) {
					*err = "a masked frame from a server";
					return (FOUND_ERROR);
				}
			}
			if ((*err = header(w)) != NULL)
				return (FOUND_ERROR);
			w->in_payload = 1;
			w->ncontrol = w->nhead = 0;
		}
		n = *len < w->left ? *len : (size_t)w->left;
		*data = *buf;
		*datalen = n;
		*buf += n;
		*len -= n;
		w->left -= n;
		if (w->left == 0)
			w->in_payload = 0;
		if (w->opcode < OP_CLOSE) {
			if (n > 0)
				return (FOUND_DATA);
		} else {
			memcpy(w->control + w->ncontrol, *data, n);
			w->ncontrol += (unsigned int)n;
			if (w->left == 0)
				return (FOUND_CONTROL);
		}
		if (*len == 0 && w->in_payload)
			return (FOUND_MORE);
	}
}
