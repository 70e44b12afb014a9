/* SPDX-License-Identifier: ISC */
/* addr_test.c: addresses, blocks and host:port words, also hostile ones. */
/* LINK: lib/addr.c */

#include "compat.h"

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "addr.h"

static struct addr
mk(const char *text, uint16_t port)
{
	struct addr	a;

	if (addr_parse(text, port, &a) == -1)
		fail_msg("addr_parse %s", text);
	return a;
}

static struct addr
mkunix(const char *path)
{
	struct addr		 a;
	struct sockaddr_un	*un = (void *)&a.ss;

	memset(&a, 0, sizeof(a));
	un->sun_family = AF_UNIX;
	(void)snprintf(un->sun_path, sizeof(un->sun_path), "%s", path);
	a.len = sizeof(*un);
	return a;
}

static void
parse_and_format(void **state)
{
	static const struct {
		const char	*in, *host, *full;	/* host NULL: bad */
	} s[] = {
		{ "1.2.3.4", "1.2.3.4", "1.2.3.4:80" },
		{ "255.255.255.255", "255.255.255.255", "255.255.255.255:80" },
		{ "::1", "::1", "[::1]:80" },
		{ "[::1]", "::1", "[::1]:80" },
		{ "::", "::", "[::]:80" },
		{ "2001:DB8:0:0::1", "2001:db8::1", "[2001:db8::1]:80" },
		{ "::ffff:1.2.3.4", "::ffff:1.2.3.4", "[::ffff:1.2.3.4]:80" },
		{ "fe80::1%3", "fe80::1%3", "[fe80::1%3]:80" },
		{ "[fe80::1%4294967295]", "fe80::1%4294967295",
		    "[fe80::1%4294967295]:80" },
		{ "", NULL, NULL }, { "1.2.3", NULL, NULL },
		{ "1.2.3.4.5", NULL, NULL }, { "1.2.3.256", NULL, NULL },
		{ "01.2.3.4", NULL, NULL }, { "0x7f.0.0.1", NULL, NULL },
		{ "2130706433", NULL, NULL }, { " 1.2.3.4", NULL, NULL },
		{ "1.2.3.4 ", NULL, NULL }, { "[1.2.3.4]", NULL, NULL },
		{ "[::1", NULL, NULL }, { "::1]", NULL, NULL },
		{ "[", NULL, NULL }, { "[]", NULL, NULL },
		{ "[[::1]]", NULL, NULL }, { ":::1", NULL, NULL },
		{ "::1%", NULL, NULL }, { "fe80::1%0", NULL, NULL },
		{ "fe80::1%eth0", NULL, NULL }, { "fe80::1%03", NULL, NULL },
		{ "fe80::1%3%3", NULL, NULL },
		{ "fe80::1%4294967296", NULL, NULL }, { "name", NULL, NULL },
		{ "*", NULL, NULL },
		{ "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc"
		    ":dddd:eeee:ffff", NULL, NULL },
	};
	struct addr	a;
	char		buf[ADDR_TEXT];
	size_t		i;

	for (i = 0; i < nitems(s); i++) {
		if (addr_parse(s[i].in, 80, &a) !=
		    (s[i].host == NULL ? -1 : 0))
			fail_msg("%s", s[i].in);
		if (s[i].host == NULL)
			continue;
		assert_string_equal(addr_format(&a, buf, sizeof(buf)),
		    s[i].full);
		assert_string_equal(addr_format_host(&a, buf, sizeof(buf)),
		    s[i].host);
		assert_int_equal(addr_port(&a), 80);
	}
}

static void
format_edges(void **state)
{
	struct addr	a = mkunix("/x"), none;
	char		buf[ADDR_TEXT];
	size_t		n;

	memset(&none, 0, sizeof(none));
	assert_string_equal(addr_format(&a, buf, sizeof(buf)), "unix");
	assert_string_equal(addr_format_host(&a, buf, sizeof(buf)), "unix");
	assert_string_equal(addr_format(&none, buf, sizeof(buf)), "-");
	assert_int_equal(addr_port(&a), 0);
	assert_int_equal(addr_port(&none), 0);
	addr_set_port(&a, 7);
	addr_set_port(&none, 7);
	assert_int_equal(addr_port(&a), 0);
	/* the longest text fits; a short buffer is cut and terminated */
	a = mk("1111:2222:3333:4444:5555:6666:7777:8888%4294967295", 65535);
	assert_string_equal(addr_format(&a, buf, sizeof(buf)),
	    "[1111:2222:3333:4444:5555:6666:7777:8888%4294967295]:65535");
	for (n = 1; n < 20; n++) {
		memset(buf, 'x', sizeof(buf));
		addr_format(&a, buf, n);
		assert_int_equal(strlen(buf), n - 1);
		assert_int_equal(buf[n], 'x');
	}
	addr_set_port(&a, 1);
	assert_int_equal(addr_port(&a), 1);
	a = mk("1.2.3.4", 1);
	addr_set_port(&a, 65535);
	assert_int_equal(addr_port(&a), 65535);
}

static void
equal_and_unmap(void **state)
{
	static const struct {
		const char	*a;
		uint16_t	 aport;
		const char	*b;
		uint16_t	 bport;
		bool		 host, full;
	} s[] = {
		{ "1.2.3.4", 1, "1.2.3.4", 1, true, true },
		{ "1.2.3.4", 1, "1.2.3.4", 2, true, false },
		{ "1.2.3.4", 1, "1.2.3.5", 1, false, false },
		{ "1.2.3.4", 1, "::ffff:1.2.3.4", 1, true, true },
		{ "::ffff:102:304", 1, "1.2.3.4", 2, true, false },
		{ "1.2.3.4", 1, "::1.2.3.4", 1, false, false },
		{ "::1", 1, "0:0::1", 1, true, true },
		{ "::1", 1, "::1", 2, true, false },
		{ "::1", 1, "127.0.0.1", 1, false, false },
		{ "fe80::1%1", 1, "fe80::1%2", 1, false, false },
		{ "fe80::1%2", 1, "fe80::1%2", 1, true, true },
	};
	struct addr	a, b, none;
	char		buf[ADDR_TEXT];
	size_t		i;

	for (i = 0; i < nitems(s); i++) {
		a = mk(s[i].a, s[i].aport);
		b = mk(s[i].b, s[i].bport);
		if (addr_equal(&a, &b, false) != s[i].host ||
		    addr_equal(&b, &a, false) != s[i].host ||
		    addr_equal(&a, &b, true) != s[i].full ||
		    addr_equal(&b, &a, true) != s[i].full)
			fail_msg("%s %s", s[i].a, s[i].b);
	}
	memset(&none, 0, sizeof(none));
	assert_false(addr_equal(&none, &none, false));
	assert_false(addr_equal(&none, &a, false));
	a = mkunix("/a");
	b = mkunix("/a");
	assert_true(addr_equal(&a, &b, true));
	b = mkunix("/b");
	assert_false(addr_equal(&a, &b, true));
	b = mk("::1", 1);
	assert_false(addr_equal(&a, &b, false));

	a = mk("::ffff:1.2.3.4", 80);
	addr_unmap(&a);
	assert_int_equal(a.ss.ss_family, AF_INET);
	assert_string_equal(addr_format(&a, buf, sizeof(buf)), "1.2.3.4:80");
	a = mk("::1.2.3.4", 80);
	addr_unmap(&a);
	assert_int_equal(a.ss.ss_family, AF_INET6);
}

static void
local(void **state)
{
	static const struct {
		const char	*a;
		bool		 local, loopback;
	} s[] = {
		{ "0.0.0.0", true, false }, { "0.1.2.3", true, false },
		{ "0.255.255.255", true, false }, { "1.0.0.0", false, false },
		{ "126.255.255.255", false, false },
		{ "127.0.0.0", true, true }, { "127.0.0.1", true, true },
		{ "127.255.255.255", true, true },
		{ "128.0.0.0", false, false },
		{ "169.253.255.255", false, false },
		{ "169.254.0.0", true, false },
		{ "169.254.169.254", true, false },
		{ "169.255.0.0", false, false }, { "10.0.0.1", false, false },
		{ "192.168.1.1", false, false },
		{ "::", true, false }, { "::1", true, true },
		{ "::2", true, false },		/* as 0.0.0.2 */
		{ "fe7f::1", false, false }, { "fe80::1", true, false },
		{ "febf::1", true, false }, { "fec0::1", false, false },
		{ "2001:db8::1", false, false },
		{ "::ffff:127.0.0.1", true, true },
		{ "::ffff:0.0.0.0", true, false },
		{ "::ffff:169.254.1.1", true, false },
		{ "::ffff:8.8.8.8", false, false },
		{ "::127.0.0.1", true, false },
		{ "::169.254.1.1", true, false },
		{ "::8.8.8.8", false, false },
		{ "64:ff9b::127.0.0.1", true, false },
		{ "64:ff9b::169.254.169.254", true, false },
		{ "64:ff9b::0.0.0.0", true, false },
		{ "64:ff9b::8.8.8.8", false, false },
		{ "64:ff9b:0:0:0:1:7f00:1", false, false },
		{ "2002:7f00:1::", true, false },
		{ "2002:808:808::1", false, false },
	};
	struct addr	a;
	size_t		i;

	for (i = 0; i < nitems(s); i++) {
		a = mk(s[i].a, 80);
		if (addr_is_local(&a) != s[i].local ||
		    addr_is_loopback(&a) != s[i].loopback)
			fail_msg("%s", s[i].a);
	}
	a = mkunix("/x");
	assert_false(addr_is_local(&a));
	assert_false(addr_is_loopback(&a));
}

static void
cidrs(void **state)
{
	static const struct {
		const char	*in, *out;	/* NULL: bad */
	} s[] = {
		{ "10.0.0.0/8", "10.0.0.0/8" },
		{ "10.1.2.3", "10.1.2.3/32" },
		{ "10.1.2.3/32", "10.1.2.3/32" },
		{ "0.0.0.0/0", "0.0.0.0/0" },
		{ "128.0.0.0/1", "128.0.0.0/1" },
		{ "10.1.2.0/23", "10.1.2.0/23" },
		{ "::/0", "::/0" }, { "::1", "::1/128" },
		{ "fe80::/10", "fe80::/10" },
		{ "2001:db8::/33", "2001:db8::/33" },
		{ "::ffff:10.0.0.0/104", "10.0.0.0/8" },
		{ "::ffff:0:0/96", "0.0.0.0/0" },
		{ "::ffff:1.2.3.4", "1.2.3.4/32" },
		{ "", NULL }, { "/8", NULL }, { "10.0.0.0/", NULL },
		{ "10.0.0.0/33", NULL }, { "10.0.0.0/-1", NULL },
		{ "10.0.0.0/08", NULL }, { "10.0.0.0/8 ", NULL },
		{ "10.0.0.0/+8", NULL }, { "10.0.0.0/8/8", NULL },
		{ "10.0.0.0/99999999999", NULL },
		{ "10.0.0.0/255.0.0.0", NULL },
		{ "10.0.0.1/8", NULL }, { "10.1.3.0/23", NULL },
		{ "128.0.0.0/0", NULL }, { "::1/127", NULL },
		{ "2001:db8:8000::/32", NULL }, { "::/129", NULL },
		{ "10/8", NULL }, { "[::1]/128", NULL }, { "any", NULL },
		{ "fe80::1%1", NULL },
	};
	struct cidr	c;
	char		buf[ADDR_TEXT], big[300];
	size_t		i;

	memset(big, '0', sizeof(big));
	for (i = 1; i < sizeof(big) - 3; i++) {
		memcpy(big + i, "/8", 3);
		assert_int_equal(cidr_parse(big, &c), -1);
		big[i] = '0';
		big[i + 1] = '0';
	}
	for (i = 0; i < nitems(s); i++) {
		if (cidr_parse(s[i].in, &c) != (s[i].out == NULL ? -1 : 0))
			fail_msg("%s", s[i].in);
		if (s[i].out != NULL)
			assert_string_equal(cidr_format(&c, buf, sizeof(buf)),
			    s[i].out);
	}
}

static void
cidr_matches(void **state)
{
	static const struct {
		const char	*c, *a;
		bool		 match;
	} s[] = {
		{ "10.0.0.0/8", "10.255.255.255", true },
		{ "10.0.0.0/8", "11.0.0.0", false },
		{ "10.0.0.0/8", "::ffff:10.0.0.1", true },
		{ "10.1.2.0/23", "10.1.3.255", true },
		{ "10.1.2.0/23", "10.1.4.0", false },
		{ "10.1.2.0/23", "10.1.1.255", false },
		{ "128.0.0.0/1", "200.0.0.1", true },
		{ "128.0.0.0/1", "127.0.0.1", false },
		{ "0.0.0.0/0", "1.2.3.4", true },
		{ "0.0.0.0/0", "::1", false },
		{ "::/0", "1.2.3.4", false },
		{ "::/0", "::ffff:1.2.3.4", false },
		{ "::/0", "2001:db8::1", true },
		{ "::ffff:0:0/96", "1.2.3.4", true },
		{ "1.2.3.4", "1.2.3.4", true },
		{ "1.2.3.4", "1.2.3.5", false },
		{ "fe80::/10", "fe80::1%2", true },
		{ "fe80::/10", "fec0::1", false },
		{ "2001:db8::/33", "2001:db8:7fff::1", true },
		{ "2001:db8::/33", "2001:db8:8000::1", false },
		{ "::1", "::1", true }, { "::1", "::2", false },
	};
	struct cidr	c;
	struct addr	a;
	size_t		i;

	for (i = 0; i < nitems(s); i++) {
		assert_int_equal(cidr_parse(s[i].c, &c), 0);
		a = mk(s[i].a, 80);
		if (cidr_match(&c, &a) != s[i].match)
			fail_msg("%s %s", s[i].c, s[i].a);
	}
	/* nothing that is no IP address matches, not even everything */
	assert_int_equal(cidr_parse("0.0.0.0/0", &c), 0);
	a = mkunix("/x");
	assert_false(cidr_match(&c, &a));
	memset(&a, 0, sizeof(a));
	assert_false(cidr_match(&c, &a));
	/* a block from elsewhere that says too much */
	memset(&c, 0xff, sizeof(c));
	a = mk("::1", 1);
	assert_false(cidr_match(&c, &a));
	c.af = 6;
	assert_false(cidr_match(&c, &a));
}

static void
hostports(void **state)
{
	static const struct {
		const char	*in, *host;		/* NULL: bad */
		uint16_t	 port;
		bool		 numeric;
	} s[] = {
		{ "127.0.0.1:22", "127.0.0.1", 22, true },
		{ "[::1]:22", "::1", 22, true },
		{ "[fe80::1%2]:22", "fe80::1%2", 22, true },
		{ "name:443", "name", 443, false },
		{ "Name.Example:1", "Name.Example", 1, false },
		{ "a_b-c.d:65535", "a_b-c.d", 65535, false },
		{ "1a:1", "1a", 1, false },
		{ "", NULL, 0, false }, { ":", NULL, 0, false },
		{ ":22", NULL, 0, false }, { "h:", NULL, 0, false },
		{ "h", NULL, 0, false }, { "h:0", NULL, 0, false },
		{ "h:65536", NULL, 0, false }, { "h:022", NULL, 0, false },
		{ "h:+22", NULL, 0, false }, { "h:-22", NULL, 0, false },
		{ "h: 22", NULL, 0, false }, { "h:22 ", NULL, 0, false },
		{ "h:0x16", NULL, 0, false }, { "h:ssh", NULL, 0, false },
		{ "h:4294967318", NULL, 0, false },
		{ "h:99999999999999999999", NULL, 0, false },
		{ "::1:22", NULL, 0, false }, { "::1", NULL, 0, false },
		{ "[::1]", NULL, 0, false }, { "[::1]22", NULL, 0, false },
		{ "[::1:22", NULL, 0, false }, { "[]:22", NULL, 0, false },
		{ "[name]:22", NULL, 0, false },
		{ "[1.2.3.4]:22", NULL, 0, false },
		{ "[[::1]]:22", NULL, 0, false },
		{ "[::1]x:22", NULL, 0, false }, { "a:b:22", NULL, 0, false },
		{ "127.1:22", NULL, 0, false },
		{ "2130706433:22", NULL, 0, false },
		{ "0177.0.0.1:22", NULL, 0, false },
		{ "0x7f000001:22", NULL, 0, false },
		{ "256.1.1.1:22", NULL, 0, false },
		{ "u@h:22", NULL, 0, false }, { "h/x:22", NULL, 0, false },
		{ "unix:/x", NULL, 0, false },
	};
	char		host[HOST_MAX + 1], name[HOST_MAX + 16];
	uint16_t	port;
	bool		numeric;
	size_t		i;

	for (i = 0; i < nitems(s); i++) {
		if (hostport_parse(s[i].in, host, sizeof(host), &port,
		    &numeric) != (s[i].host == NULL ? -1 : 0))
			fail_msg("%s", s[i].in);
		if (s[i].host == NULL)
			continue;
		assert_string_equal(host, s[i].host);
		assert_int_equal(port, s[i].port);
		assert_int_equal(numeric, s[i].numeric);
	}
	/* room: five bytes and NUL */
	assert_int_equal(hostport_parse("abcde:1", host, 6, &port, &numeric),
	    0);
	assert_int_equal(hostport_parse("abcde:1", host, 5, &port, &numeric),
	    -1);
	assert_int_equal(hostport_parse("[::1]:1", host, 4, &port, &numeric),
	    0);
	assert_int_equal(hostport_parse("[::1]:1", host, 3, &port, &numeric),
	    -1);
	memset(name, 'a', sizeof(name));
	memcpy(name + sizeof(name) - 3, ":1", 3);
	assert_int_equal(hostport_parse(name, host, sizeof(host), &port,
	    &numeric), -1);
}

static void
hostnames(void **state)
{
	static const char *const good[] = {
		"a", "localhost", "a.b", "A-b_c.example", "_sip._tcp.example",
		"xn--bcher-kva.example", "1.example", "1a", "0x7g", "a.0xg",
		"127.0.0.1.example", "4u", "abc", "face.b00c", "a--b"
	};
	static const char *const bad[] = {
		"", ".", "a.", ".a", "a..b", "-a", "a-", "a.-b", "a-.b",
		"a b", "a/b", "a:b", "a@b", "a%b", "a\nb", "b\xc3\xbc", "*",
		"*.example", "[::1]", "::1", "1.2.3.4",
		"2130706433", "0x7f000001", "0X7F000001", "127.1", "127.0.1",
		"0177.0.0.1", "017700000001", "0", "00", "0x", "0x7f.1",
		"1.0x0", "127.0.0.0x1", "a.1", "example.0x1f", "1.2.3.4.5",
		"256.256.256.256", "99999999999999999999"
	};
	char	name[HOST_MAX + 2];
	size_t	i;

	for (i = 0; i < nitems(good); i++)
		if (!hostname_valid(good[i]))
			fail_msg("%s", good[i]);
	for (i = 0; i < nitems(bad); i++)
		if (hostname_valid(bad[i]))
			fail_msg("%s", bad[i]);
	/* a label of 63 and 64; a name of 253 and 254 */
	memset(name, 'a', sizeof(name));
	name[63] = '\0';
	assert_true(hostname_valid(name));
	name[63] = 'a';
	name[64] = '\0';
	assert_false(hostname_valid(name));
	memset(name, 'a', sizeof(name));
	for (i = 63; i < sizeof(name); i += 50)
		name[i] = '.';
	name[HOST_MAX] = '\0';
	assert_true(hostname_valid(name));
	name[HOST_MAX] = 'a';
	name[HOST_MAX + 1] = '\0';
	assert_false(hostname_valid(name));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(parse_and_format),
		cmocka_unit_test(format_edges),
		cmocka_unit_test(equal_and_unmap),
		cmocka_unit_test(local),
		cmocka_unit_test(cidrs),
		cmocka_unit_test(cidr_matches),
		cmocka_unit_test(hostports),
		cmocka_unit_test(hostnames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
