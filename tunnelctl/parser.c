/* SPDX-License-Identifier: ISC */
/* parser.c: the command language of tunnelctl, as tables of words. */

#include "compat.h"

#include <string.h>

#include "log.h"
#include "probe.h"
#include "tunneld.h"
#include "tunnelctl.h"

#define SHOW_SECONDS	90
#define KILL_SECONDS	15
#define RELOAD_SECONDS	40

enum token { T_END, T_WORD, T_SESSION };

struct word {
	enum token		 token;
	const char		*word;
	const struct word	*next;	/* NULL: the command is complete */
	enum ctl_command	 command;
	uint64_t		 arg;
	unsigned		 seconds;
};

static const struct word t_show[] = {
	{ T_WORD, "config", NULL, CTL_SHOW_CONFIG, 0, SHOW_SECONDS },
	{ T_WORD, "health", NULL, CTL_SHOW_HEALTH, 0, SHOW_SECONDS },
	{ T_WORD, "listeners", NULL, CTL_SHOW_LISTENERS, 0, SHOW_SECONDS },
	{ T_WORD, "sessions", NULL, CTL_SHOW_SESSIONS, 0, SHOW_SECONDS },
	{ T_WORD, "stats", NULL, CTL_SHOW_STATS, 0, SHOW_SECONDS },
	{ T_WORD, "workers", NULL, CTL_SHOW_WORKERS, 0, SHOW_SECONDS },
	{ .token = T_END }
};

static const struct word t_id[] = {
	{ T_SESSION, "ID", NULL, CTL_KILL_SESSION, 0, KILL_SECONDS },
	{ .token = T_END }
};

static const struct word t_kill[] = {
	{ .token = T_WORD, .word = "session", .next = t_id },
	{ .token = T_END }
};

static const struct word t_log[] = {
	{ T_WORD, "brief", NULL, CTL_LOG_LEVEL, LOG_L_BRIEF, KILL_SECONDS },
	{ T_WORD, "debug", NULL, CTL_LOG_LEVEL, LOG_L_DEBUG, KILL_SECONDS },
	{ T_WORD, "verbose", NULL, CTL_LOG_LEVEL, LOG_L_VERBOSE,
	    KILL_SECONDS },
	{ .token = T_END }
};

#ifdef TUNNELD_PROBES
#define PROBE_WORD(fn, name)						\
	{ T_WORD, name, NULL, CTL_PROBE, PROBE_##fn, KILL_SECONDS },
static const struct word t_probe[] = {
	PROBES(PROBE_WORD)
	{ .token = T_END }
};

static const struct word t_role[] = {
	{ .token = T_WORD, .word = "control", .next = t_probe,
	    .arg = PROBE_ARG(ROLE_CONTROL, 0) },
	{ .token = T_WORD, .word = "dialer", .next = t_probe,
	    .arg = PROBE_ARG(ROLE_DIALER, 0) },
	{ .token = T_WORD, .word = "relay", .next = t_probe,
	    .arg = PROBE_ARG(ROLE_RELAY, 0) },
	{ .token = T_END }
};
#endif

static const struct word t_main[] = {
	{ .token = T_WORD, .word = "kill", .next = t_kill },
	{ .token = T_WORD, .word = "log", .next = t_log },
#ifdef TUNNELD_PROBES
	{ .token = T_WORD, .word = "probe", .next = t_role },
#endif
	{ T_WORD, "reload", NULL, CTL_RELOAD, 0, RELOAD_SECONDS },
	{ .token = T_WORD, .word = "show", .next = t_show },
	{ .token = T_END }
};

static void
valid(const struct word *table, FILE *err)
{
	const struct word *w;

	fprintf(err, "valid here:\n");
	for (w = table; w->token != T_END; w++) {
		if (w->token == T_SESSION)
			fprintf(err, "  <session id, as 0.1.23>\n");
		else
			fprintf(err, "  %s\n", w->word);
	}
}

/* The word meant by arg; *matches: how many it could be. */
static const struct word *
match(const struct word *table, const char *arg, unsigned *matches,
    uint64_t *id)
{
	const struct word *w, *found = NULL;

	*matches = 0;
	for (w = table; w->token != T_END; w++) {
		if (w->token == T_SESSION) {
			if (sid_parse(arg, id) == -1)
				continue;
		} else {
			if (strcmp(w->word, arg) == 0) {
				*matches = 1;
				return w;
			}
			if (*arg == '\0' ||
			    strncmp(w->word, arg, strlen(arg)) != 0)
				continue;
		}
		found = w;
		(*matches)++;
	}
	return *matches == 1 ? found : NULL;
}

int
parse_command(int argc, char **argv, struct command *cmd, FILE *err)
{
	const struct word *table = t_main, *w = NULL;
	unsigned matches;
	int i;

	memset(cmd, 0, sizeof(*cmd));
	for (i = 0; i < argc; i++) {
		if (table == NULL) {
			fprintf(err, "superfluous argument: %s\n", argv[i]);
			return -1;
		}
		w = match(table, argv[i], &matches, &cmd->req.arg);
		if (w == NULL) {
			fprintf(err, "%s argument: %s\n", matches > 1 ?
			    "ambiguous" : "unknown", argv[i]);
			valid(table, err);
			return -1;
		}
		if (w->token != T_SESSION)
			cmd->req.arg |= w->arg;
		table = w->next;
	}
	if (table != NULL) {
		fprintf(err, "missing argument\n");
		valid(table, err);
		return -1;
	}
	cmd->req.command = w->command;
	cmd->deadline = w->seconds;
	return 0;
}
