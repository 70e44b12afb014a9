/* SPDX-License-Identifier: ISC */
/* load.c: load for tunnels: WebSocket and TCP clients, and backends. */
/* LINK: regress/bench/tool/client.c regress/bench/tool/modes.c */
/* LINK: regress/bench/tool/pattern.c regress/bench/tool/serve.c */
/* LINK: regress/bench/tool/wsclient.c */

#include "compat.h"

#include <arpa/inet.h>

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool/client.h"

struct options	 opt = {
	.conns = 1, .bytes = 64 * 1024 * 1024, .count = 10000, .each = 1,
	.interval = 100, .patience = 30, .seed = 1
};
struct results	 res;

static __dead void
usage(void)
{
	const struct mode	*m;

	fprintf(stderr,
	    "usage: load MODE [option ...] ws://ADDR:PORT/PATH | "
	    "tcp://ADDR:PORT\n"
	    "       load serve echo|source|sink[:PORT] ...\n\n"
	    "modes:\n");
	for (m = modes; m->name != NULL; m++)
		fprintf(stderr, "  %-8s %s\n", m->name, m->what);
	fprintf(stderr, "\n"
	    "  -b N   bytes of each connection (K, M, G); up rounds to 128K\n"
	    "  -c N   connections at the same time, 1 by default\n"
	    "  -e     foreign server: its end need not be orderly\n"
	    "  -g     print \"ready\" and \"done\"; read a line after each\n"
	    "  -i MS  a talker's pause between messages, 100 by default\n"
	    "  -k N   talkers (idle)\n"
	    "  -m N   messages of each connection (conns, burst), else 1\n"
	    "  -n N   messages (echo) or connections (conns), in all\n"
	    "  -r N   seed of what is random\n"
	    "  -s N   bytes of a message or frame; else 64 (echo), 16K (up), 16\n"
	    "  -t S   seconds (conns instead of -n; idle prints \"ready\", and\n"
	    "         without -t stays until a line on stdin, or its end)\n"
	    "  -w S   fail when nothing happens for so long, 30 by default\n\n"
	    "Every byte is compared; every end must be orderly.  One line of\n"
	    "JSON tells the result; exit status 1 when anything went wrong.\n"
	    "serve prints KIND PORT for each word, and ends on SIGTERM; down\n"
	    "wants a source, up a sink, all other modes an echo.\n");
	exit(2);
}

static uint64_t
number(const char *s, uint64_t min, uint64_t max)
{
	char		*end;
	uint64_t	 n = strtoull(s, &end, 10);
	unsigned int	 shift = 0;

	switch (*end) {
	case 'G':
		shift = 30;
		break;
	case 'M':
		shift = 20;
		break;
	case 'K':
		shift = 10;
		break;
	}
	if (shift != 0)
		end++;
	if (end == s || *end != '\0' || n > max >> shift || n << shift < min)
		die("%s: want a number from %" PRIu64 " to %" PRIu64, s, min,
		    max);
	return (n << shift);
}

static void
target(const char *url)
{
	struct in_addr	 in;
	const char	*err;
	char		*colon;
	size_t		 n;

	if (strncmp(url, "tcp://", 6) == 0)
		opt.raw = 1;
	else if (strncmp(url, "ws://", 5) != 0)
		usage();
	url += opt.raw ? 6 : 5;
	n = strcspn(url, "/");
	opt.path = url[n] == '/' ? url + n : "/";
	if (n >= sizeof(opt.host))
		usage();
	memcpy(opt.host, url, n);
	opt.host[n] = '\0';
	if ((colon = strchr(opt.host, ':')) == NULL)
		usage();
	*colon = '\0';
	if (inet_pton(AF_INET, opt.host, &in) != 1)
		die("%s: not an IPv4 address", opt.host);
	*colon = ':';
	opt.addr = in.s_addr;
	opt.port = (uint16_t)strtonum(colon + 1, 1, 65535, &err);
	if (err != NULL)
		die("port %s: %s", colon + 1, err);
}

static void
options(int argc, char **argv)
{
	int	 ch;

	while ((ch = getopt(argc, argv, "b:c:egi:k:m:n:r:s:t:w:")) != -1) {
		switch (ch) {
		case 'b':
			opt.bytes = number(optarg, 1, 1ULL << 50);
			break;
		case 'c':
			opt.conns = (unsigned int)number(optarg, 1, 1 << 20);
			break;
		case 'e':
			opt.foreign = 1;
			break;
		case 'g':
			opt.gate = 1;
			break;
		case 'i':
			opt.interval = (unsigned int)number(optarg, 1, 1 << 30);
			break;
		case 'k':
			opt.talkers = (unsigned int)number(optarg, 0, 1 << 20);
			break;
		case 'm':
			opt.each = (unsigned int)number(optarg, 1, 1 << 30);
			break;
		case 'n':
			opt.count = number(optarg, 1, 1ULL << 50);
			break;
		case 'r':
			opt.seed = (uint32_t)number(optarg, 1, UINT32_MAX);
			break;
		case 's':
			opt.size = number(optarg, 1, PERIOD);
			break;
		case 't':
			opt.seconds = (double)number(optarg, 1, 1 << 30);
			break;
		case 'w':
			opt.patience = (unsigned int)number(optarg, 1, 1 << 30);
			break;
		default:
			usage();
		}
	}
	if (argc - optind != 1)
		usage();
	target(argv[optind]);
}

static int
compare(const void *a, const void *b)
{
	uint32_t	 x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x < y ? -1 : x > y);
}

/* Microseconds that so many per mille of the times do not exceed. */
static double
quantile(unsigned int permille)
{
	size_t	 i;

	if (res.ntimes == 0)
		return (0);
	i = (res.ntimes - 1) * permille / 1000;
	return (res.times[i] / 1e3);
}

static void
report(void)
{
	double	 s = (double)(res.end - res.begin) / 1e9;

	if (res.ntimes > 0)
		qsort(res.times, res.ntimes, sizeof(*res.times), compare);
	printf("{\"mode\":\"%s\",\"connections\":%" PRIu64 ",\"messages\":%"
	    PRIu64 ",\"bytes\":%" PRIu64 ",\"seconds\":%.6f,"
	    "\"p50-us\":%.1f,\"p99-us\":%.1f,\"max-us\":%.1f,"
	    "\"errors\":%" PRIu64 "}\n", opt.mode->name, res.connections,
	    res.messages, res.bytes, s, quantile(500), quantile(990),
	    quantile(1000), res.errors);
}

int
main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	pattern_init();
	if (argc < 3)
		usage();
	if (strcmp(argv[1], "serve") == 0)
		return (serve(argc - 2, argv + 2));
	if ((opt.mode = mode_find(argv[1])) == NULL)
		usage();
	options(argc - 1, argv + 1);
	if (opt.size == 0)
		opt.size = strcmp(opt.mode->name, "echo") == 0 ? 64 :
		    strcmp(opt.mode->name, "up") == 0 ? 16384 : 16;
	client_run();
	report();
	return (res.errors != 0);
}
