/* SPDX-License-Identifier: ISC */

/* conf_print.c: a configuration as canonical text that parses to the same. */

#include "compat.h"

#include <inttypes.h>

#include "conf.h"
#include "conf_value.h"
#include "log.h"
#include "tunneld.h"

/* The lexer allows no control bytes, so two characters need care. */
static void
quoted(FILE *f, const char *s)
{
	fputc('"', f);
	for (; *s != '\0'; s++) {
		if (*s == '"' || *s == '\\')
			fputc('\\', f);
		fputc(*s, f);
	}
	fputc('"', f);
}

static void
line(FILE *f, const char *keyword, const char *value)
{
	fprintf(f, "%s ", keyword);
	quoted(f, value);
	fputc('\n', f);
}

static void
number(FILE *f, const char *keyword, uint64_t v)
{
	char	 buf[VALUE_TEXT];

	fprintf(f, "%s %s\n", keyword, value_number_format(v, buf));
}

static void
size(FILE *f, const char *keyword, uint64_t v)
{
	char	 buf[VALUE_TEXT];

	fprintf(f, "%s %s\n", keyword, value_size_format(v, buf));
}

static void
duration(FILE *f, const char *keyword, uint64_t v)
{
	char	 buf[VALUE_TEXT];

	fprintf(f, "%s %s\n", keyword, value_time_format(v, buf));
}

/*
 * What is left to the machine or to who starts us stays so when the text is
 * used elsewhere: it is only a comment.
 */
static void
print_process(const struct conf *c, FILE *f)
{
	if (c->user != NULL)
		line(f, "user", c->user);
	else
		fprintf(f, "# user: \"%s\", when started as root\n",
		    TUNNELD_USER);
	if (c->chroot_off)
		fprintf(f, "chroot off\n");
	else if (c->chroot != NULL)
		line(f, "chroot", c->chroot);
	else
		fprintf(f, "# chroot: an empty directory, when started as "
		    "root\n");
	if (c->prefork != 0)
		number(f, "prefork", c->prefork);
	else
		fprintf(f, "# prefork: the number of CPUs, at most %d\n",
		    RELAYS_DEFAULT_MAX);
	duration(f, "grace", c->grace);
	if (c->control_off)
		fprintf(f, "control off\n");
	else if (c->control_path != NULL) {
		fprintf(f, "control socket ");
		quoted(f, c->control_path);
		fprintf(f, " mode %04o\n", c->control_mode);
	} else
		fprintf(f, "# control socket: the default of who starts "
		    "tunneld\n");
}

static const char *
format_word(enum log_format format)
{
	switch (format) {
	case FORMAT_JSON:
		return "json";
	case FORMAT_PRETTY:
		return "pretty";
	case FORMAT_TEXT:
		break;
	}
	return "text";
}

static void
print_log(const struct conf *c, FILE *f)
{
	char	 bytes[VALUE_TEXT], age[VALUE_TEXT];

	if (!c->log_set)
		fprintf(f, "# log to: syslog, or stderr with -d\n");
	else {
		fprintf(f, "log to ");
		if (c->log_dest == LOG_STDERR)
			fprintf(f, "stderr");
		else if (c->log_dest == LOG_SYSLOG)
			fprintf(f, "syslog%s", c->log_path != NULL ? " " : "");
		if (c->log_path != NULL)
			quoted(f, c->log_path);
		fprintf(f, " format %s", format_word(c->log_format));
		if (c->log_dest == LOG_FILE)
			fprintf(f, " size %s age %s keep %u",
			    value_size_format(c->log_size, bytes),
			    value_time_format(c->log_age, age), c->log_keep);
		fputc('\n', f);
	}
	fprintf(f, "log level %s\n", c->log_level == LOG_L_DEBUG ? "debug" :
	    c->log_level == LOG_L_VERBOSE ? "verbose" : "brief");
}

static void
print_globals(const struct conf *c, FILE *f)
{
	const struct conf_resolver	*r;
	char				 text[ADDR_TEXT], t[VALUE_TEXT];

	print_process(c, f);
	print_log(c, f);
	duration(f, "timeout handshake", c->t_handshake);
	duration(f, "timeout connect", c->t_connect);
	duration(f, "timeout close", c->t_close);
	duration(f, "timeout stall", c->t_stall);
	duration(f, "timeout idle", c->t_idle);
	if (c->ping_every == OFF)
		fprintf(f, "ping off\n");
	else {
		fprintf(f, "ping every %s", value_time_format(c->ping_every,
		    t));
		fprintf(f, " timeout %s\n",
		    value_time_format(c->ping_timeout, t));
	}
	TAILQ_FOREACH(r, &c->resolvers, entry)
		fprintf(f, "resolver %s port %u\n",
		    addr_format_host(&r->addr, text, sizeof(text)),
		    addr_port(&r->addr));
	if (TAILQ_EMPTY(&c->resolvers))
		fprintf(f, "# resolver: those of /etc/resolv.conf\n");
	line(f, "hosts", c->hosts_path != NULL ? c->hosts_path :
	    "/etc/hosts");
}

/* "ADDR port N" or "unix "PATH"". */
static void
print_listen(const struct conf_listen *l, FILE *f)
{
	char	 text[ADDR_TEXT];

	if (l->path != NULL) {
		fprintf(f, "unix ");
		quoted(f, l->path);
	} else
		fprintf(f, "%s port %u", l->any ? "*" :
		    addr_format_host(&l->addr, text, sizeof(text)),
		    addr_port(&l->addr));
}

static void
print_cidrs(const struct conf_cidrs *list, const char *indent, FILE *f)
{
	const struct conf_cidr	*e;
	char			 text[ADDR_TEXT];

	fprintf(f, "{\n");
	TAILQ_FOREACH(e, list, entry)
		fprintf(f, "%s\t%s\n", indent,
		    cidr_format(&e->cidr, text, sizeof(text)));
	fprintf(f, "%s}\n", indent);
}

static void
print_origin(enum origin_mode mode, const struct conf_origins *list,
    const char *indent, FILE *f)
{
	const struct conf_origin	*e;

	switch (mode) {
	case ORIGIN_INHERIT:
		return;
	case ORIGIN_SAME_HOST:
		fprintf(f, "%sorigin same-host\n", indent);
		return;
	case ORIGIN_ANY:
		fprintf(f, "%sorigin any\n", indent);
		return;
	case ORIGIN_LIST:
		break;
	}
	fprintf(f, "%sorigin {\n", indent);
	TAILQ_FOREACH(e, list, entry) {
		fprintf(f, "%s\t", indent);
		quoted(f, e->origin);
		fputc('\n', f);
	}
	fprintf(f, "%s}\n", indent);
}

static void
print_target(const struct conf_target *t, FILE *f)
{
	char	 text[ADDR_TEXT];

	switch (t->kind) {
	case TARGET_ADDR:
		fprintf(f, "%s port %u", addr_format_host(&t->addr, text,
		    sizeof(text)), addr_port(&t->addr));
		break;
	case TARGET_NAME:
		quoted(f, t->name);
		fprintf(f, " port %u", t->port);
		break;
	case TARGET_UNIX:
		fprintf(f, "unix ");
		quoted(f, t->path);
		break;
	}
}

static void
print_action(const struct conf_loc *l, FILE *f)
{
	const struct conf_target	*t;
	char				 text[HOST_MAX + 8];

	switch (l->kind) {
	case LOC_FORWARD:
		fprintf(f, "forward to ");
		TAILQ_FOREACH(t, &l->targets, entry)
			print_target(t, f);
		break;
	case LOC_LIST:
		fprintf(f, "forward to {\n");
		TAILQ_FOREACH(t, &l->targets, entry)
			fprintf(f, "\t\t\t%s\n", conf_target_format(t, text,
			    sizeof(text)));
		fprintf(f, "\t\t}");
		break;
	case LOC_ECHO:
		fprintf(f, "echo");
		break;
	case LOC_HEALTH:
		fprintf(f, "health");
		break;
	case LOC_METRICS:
		fprintf(f, "metrics");
		break;
	}
	fputc('\n', f);
}

static void
print_loc(const struct conf_loc *l, FILE *f)
{
	fprintf(f, "\tlocation ");
	quoted(f, l->pattern);
	fprintf(f, " {\n\t\t");
	print_action(l, f);
	if (l->sokken)
		fprintf(f, "\t\tsubprotocol \"sokken\"\n");
	print_origin(l->origin_mode, &l->origins, "\t\t", f);
	if (!TAILQ_EMPTY(&l->allow)) {
		fprintf(f, "\t\tallow from ");
		print_cidrs(&l->allow, "\t\t", f);
	}
	number(f, "\t\tmax-sessions", l->max_sessions);
	/* The default of "message max" depends on the peer. */
	if (l->message_max != 0)
		size(f, "\t\tmessage max", l->message_max);
	if (l->text_any)
		fprintf(f, "\t\ttext any\n");
	fprintf(f, "\t\tstrict close %s\n", l->strict_close ? "yes" : "no");
	fprintf(f, "\t}\n");
}

static void
print_server(const struct conf_server *s, FILE *f)
{
	const struct conf_listen	*l, *prev = NULL;
	const struct conf_loc		*loc;

	fprintf(f, "\nserver ");
	quoted(f, s->name);
	fprintf(f, " {\n");
	TAILQ_FOREACH(l, &s->listens, entry) {
		/* "*" made two, unless this system has no IPv6. */
		if (l->any && prev != NULL && prev->any &&
		    l->addr.ss.ss_family != prev->addr.ss.ss_family) {
			prev = NULL;
			continue;
		}
		fprintf(f, "\tlisten on ");
		print_listen(l, f);
		fputc('\n', f);
		prev = l;
	}
	/* Where descriptors are too few, a default warns, a number fails. */
	number(f, s->max_sessions_line != 0 ? "\tmax-sessions" :
	    "\t# max-sessions", s->max_sessions);
	number(f, "\tmax-sessions-per-source", s->max_per_source);
	size(f, "\tmax-request-line", s->max_request_line);
	number(f, "\tmax-headers", s->max_headers);
	size(f, "\tmax-header-bytes", s->max_header_bytes);
	if (!TAILQ_EMPTY(&s->trusted)) {
		fprintf(f, "\ttrusted-proxies ");
		print_cidrs(&s->trusted, "\t", f);
	}
	print_origin(s->origin_mode, &s->origins, "\t", f);
	TAILQ_FOREACH(loc, &s->locs, entry)
		print_loc(loc, f);
	fprintf(f, "}\n");
}

static void
print_forward(const struct conf_forward *fw, FILE *f)
{
	fprintf(f, "\nforward ");
	print_listen(TAILQ_FIRST(&fw->listens), f);
	fprintf(f, " via ");
	quoted(f, fw->urltext);
	fprintf(f, " {\n");
	if (fw->sokken)
		fprintf(f, "\tsubprotocol \"sokken\"\n");
	if (fw->half_close == HALF_CLOSE_CLOSE)
		fprintf(f, "\thalf-close close\n");
	else
		duration(f, "\thalf-close wait", fw->half_close_wait);
	if (fw->message_max != 0)
		size(f, "\tmessage max", fw->message_max);
	fprintf(f, "\tstrict close %s\n", fw->strict_close ? "yes" : "no");
	fprintf(f, "}\n");
}

void
conf_print(const struct conf *c, FILE *f)
{
	const struct conf_server	*s;
	const struct conf_forward	*fw;

	print_globals(c, f);
	TAILQ_FOREACH(s, &c->servers, entry)
		print_server(s, f);
	TAILQ_FOREACH(fw, &c->forwards, entry)
		print_forward(fw, f);
}
