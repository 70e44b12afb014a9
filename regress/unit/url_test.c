/* SPDX-License-Identifier: ISC */
/* url_test.c: the URLs of forwards, good and bad. */
/* LINK: lib/url.c lib/addr.c */

#include "compat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "url.h"

static void
good(void **state)
{
	static const struct {
		const char	*text;
		bool		 tls;
		const char	*host;
		bool		 numeric;
		uint16_t	 port;
		const char	*path, *hostport;
	} s[] = {
		{ "ws://h", false, "h", false, 80, "/", "h" },
		{ "ws://h/", false, "h", false, 80, "/", "h" },
		{ "WSS://H.example/x", true, "H.example", false, 443, "/x",
		    "H.example" },
		{ "http://h:80/", false, "h", false, 80, "/", "h" },
		{ "https://h:80/", true, "h", false, 80, "/", "h:80" },
		{ "wss://h:443", true, "h", false, 443, "/", "h" },
		{ "ws://h:443", false, "h", false, 443, "/", "h:443" },
		{ "ws://127.0.0.1:65535/a/b?c=d&e", false, "127.0.0.1", true,
		    65535, "/a/b?c=d&e", "127.0.0.1:65535" },
		{ "ws://[::1]/", false, "::1", true, 80, "/", "[::1]" },
		{ "ws://[2001:db8::1]:8080?q", false, "2001:db8::1", true,
		    8080, "/?q", "[2001:db8::1]:8080" },
		{ "ws://h/tunnel/[::1]:22", false, "h", false, 80,
		    "/tunnel/[::1]:22", "h" },
		{ "ws://h?", false, "h", false, 80, "/?", "h" },
		{ "ws://h/%41?%2f@:", false, "h", false, 80, "/%41?%2f@:",
		    "h" },
	};
	struct wsurl	 u;
	const char	*why;
	size_t		 i;

	for (i = 0; i < nitems(s); i++) {
		if (wsurl_parse(s[i].text, &u, &why) == -1)
			fail_msg("%s: %s", s[i].text, why);
		assert_int_equal(u.tls, s[i].tls);
		assert_string_equal(u.host, s[i].host);
		assert_int_equal(u.numeric, s[i].numeric);
		assert_int_equal(u.port, s[i].port);
		assert_string_equal(u.path, s[i].path);
		assert_string_equal(u.hostport, s[i].hostport);
	}
}

static void
bad(void **state)
{
	static const struct {
		const char	*text, *why;	/* why: a word of it */
	} s[] = {
		{ "", "scheme" }, { "h", "scheme" }, { "h:80/x", "scheme" },
		{ "ftp://h/", "scheme" }, { "ws:/h/", "scheme" },
		{ "ws//h/", "scheme" }, { " ws://h/", "scheme" },
		{ "wss:h", "scheme" },
		{ "ws://", "empty host" }, { "ws:///x", "empty host" },
		{ "ws://:80/", "empty host" }, { "ws://?x", "empty host" },
		{ "ws://u@h/", "user" }, { "ws://u:p@h:80/", "user" },
		{ "ws://h:/", "bad port" }, { "ws://h:0/", "bad port" },
		{ "ws://h:65536/", "bad port" }, { "ws://h:x/", "bad port" },
		{ "ws://h:080/", "bad port" }, { "ws://[::1]:/", "bad port" },
		{ "ws://[::1]:99999/", "bad port" },
		{ "ws://::1/", "bad host" }, { "ws://[::1/", "bad host" },
		{ "ws://[::1]x/", "bad host" }, { "ws://[::1]80/", "bad host" },
		{ "ws://[", "bad host" }, { "ws://[/", "bad host" },
		{ "ws://]", "bad host" }, { "ws://[a", "bad host" },
		{ "ws://[]/", "bad host" }, { "ws://[]:80/", "bad host" },
		{ "ws://[h]/", "bad host" }, { "ws://[1.2.3.4]/", "bad host" },
		{ "ws://[fe80::1%2]/", "bad host" },
		{ "ws://[fe80::1%252]/", "bad host" },
		{ "ws://127.1/", "bad host" },
		{ "ws://0x7f000001/", "bad host" },
		{ "ws://h h/", "bad host" }, { "ws://-h/", "bad host" },
		{ "ws://h.:80/", "bad host" }, { "ws://h\\x/", "bad host" },
		{ "ws://a:b:80/", "bad host" },
		{ "ws://h/#f", "fragment" }, { "ws://h#f", "fragment" },
		{ "ws://h/?a#", "fragment" },
		{ "ws://h/a b", "encoded" }, { "ws://h/a\n", "encoded" },
		{ "ws://h/\xc3\xa4", "encoded" }, { "ws://h/\x7f", "encoded" },
		{ "ws://h/{}", "encoded" }, { "ws://h/?\"", "encoded" },
		{ "ws://h/a\r\nX: y", "encoded" },
		{ "ws://h/%", "encoding" }, { "ws://h/%4", "encoding" },
		{ "ws://h/%4x", "encoding" },
	};
	struct wsurl	 u;
	const char	*why;
	size_t		 i;

	for (i = 0; i < nitems(s); i++) {
		if (wsurl_parse(s[i].text, &u, &why) == 0)
			fail_msg("taken: %s", s[i].text);
		assert_non_null(why);
		if (strstr(why, s[i].why) == NULL)
			fail_msg("%s: %s", s[i].text, why);
	}
}

/* The longest text, the longest host. */
static void
lengths(void **state)
{
	char		 text[URL_MAX + 1];
	struct wsurl	 u;
	const char	*why;
	size_t		 i;

	memset(text, 'a', sizeof(text));
	memcpy(text, "ws://h/", 7);
	text[URL_MAX - 1] = '\0';
	assert_int_equal(wsurl_parse(text, &u, &why), 0);
	assert_string_equal(u.path, text + 6);
	text[URL_MAX - 1] = 'a';
	text[URL_MAX] = '\0';
	assert_int_equal(wsurl_parse(text, &u, &why), -1);
	assert_string_equal(why, "too long");

	memset(text, 'a', sizeof(text));
	memcpy(text, "wss://", 6);
	for (i = 6 + 63; i < 6 + HOST_MAX; i += 50)
		text[i] = '.';
	memcpy(text + 6 + HOST_MAX, ":65535", 7);
	if (wsurl_parse(text, &u, &why) == -1)
		fail_msg("%s", why);
	assert_int_equal(strlen(u.host), HOST_MAX);
	assert_string_equal(u.hostport, text + 6);
	memcpy(text + 6 + HOST_MAX, "", 1);
	assert_int_equal(wsurl_parse(text, &u, &why), 0);
	assert_string_equal(u.hostport, text + 6);
	memcpy(text + 6 + HOST_MAX, "a:65535", 8);
	assert_int_equal(wsurl_parse(text, &u, &why), -1);
	assert_string_equal(why, "bad host");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(good),
		cmocka_unit_test(bad),
		cmocka_unit_test(lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
