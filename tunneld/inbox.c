/* SPDX-License-Identifier: ISC */

/* inbox.c: what children tell the parent, and what they may ask of it. */

#include "compat.h"

#include <sys/types.h>

#include <imsg.h>
#include <string.h>

#include "conf.h"
#include "inbox.h"
#include "log.h"
#include "logfile.h"
#include "parent.h"
#include "plog.h"
#include "probe.h"
#include "reload.h"
#include "shutdown.h"
#include "supervise.h"

#define REOPEN_USEC	1000000	/* between two answers to LOG_REOPEN */
#define ROTATE_USEC	10000	/* when the file is full indeed */

static int
got_prepared(struct worker *w, struct imsg *m)
{
	struct msg_result	 res;

	if (msg_result_get(m, &res) == -1 || w->unanswered == 0)
		return (-1);
	w->unanswered--;
	/* The answer to an offer that was taken back? */
	if (w->unanswered > 0 || w->offer != OFFER_SENT ||
	    res.id != w->offered)
		return (0);
	if (res.ok)
		w->offer = OFFER_PREPARED;
	if (w->awaited)
		reload_prepared(w, &res);
	else if (res.ok)
		sup_commit(w);
	else {
		strlcpy(w->why, res.text, sizeof(w->why));
		log_error("%s %u cannot use the configuration: %s",
		    role_name(w->role), w->slot, res.text);
		sup_kill(w, "cannot work");
	}
	return (0);
}

static int
got_committed(struct worker *w, struct imsg *m)
{
	uint64_t	 generation;

	if (msg_num_get(m, &generation) == -1 || w->committing == 0 ||
	    generation != w->committing)
		return (-1);
	w->committed = w->committing;
	w->committing = 0;
	/* A reload may have begun since: then it waits for a later one. */
	if (w->awaited && w->committed == w->offered)
		reload_committed(w);
	return (0);
}

static int
got_drained(struct worker *w, struct imsg *m)
{
	uint64_t	 num;

	if (msg_num_get(m, &num) == -1)
		return (-1);
	w->drained = true;
	shutdown_drained(w);
	return (0);
}

static int
got_sandbox(struct worker *w, struct imsg *m)
{
	/* Each one makes a message to control. */
	if (w->jailed || w->state == WORKER_READY) {
		sup_kill(w, "said SANDBOX at the wrong time");
		return (0);
	}
	if (msg_sandbox_get(m, &w->sandbox) == -1)
		return (-1);
	w->jailed = true;
	sup_row(w);
	return (0);
}

static int
got_reload(struct worker *w, struct imsg *m)
{
	uint64_t	 id;

	if (msg_num_get(m, &id) == -1)
		return (-1);
	reload_start(RELOAD_CONTROL, id);
	return (0);
}

void
inbox_reopen(bool rotate, bool loud)
{
	char	 err[PATH_MAX_LEN + 256];
	int	 fd;

	if (rotate && logfile_rotate(parent.conf) == -1)
		log_warn("rotating \"%s\"", parent.conf->log_path);
	if ((fd = logfile_open(parent.conf, err, sizeof(err))) == -1 && loud)
		log_warnx("%s", err);
	sup_log_fd(fd);
}

static int
got_reopen(struct worker *w, struct imsg *m)
{
	static uint64_t	 last;
	static bool	 told;
	bool		 due;
	uint64_t	 now = mono_usec(), what;

	if (msg_num_get(m, &what) == -1 || what > 1)
		return (-1);
	due = what == 1 && logfile_due(parent.conf);
	if (last != 0 && now - last < (due ? ROTATE_USEC : REOPEN_USEC)) {
		if (!told)
			log_warnx("%s asks too often for the log",
			    role_name(w->role));
		told = true;
		return (0);
	}
	last = now;
	told = false;
	/* Old files are lost by it: its word alone is not enough. */
	inbox_reopen(due, what == 1);
	return (0);
}

/* Until the next reload says otherwise; also for those who come later. */
static int
got_level(struct worker *w, struct imsg *m)
{
	struct worker	*o;
	uint64_t	 level;

	if (msg_num_get(m, &level) == -1 || level < LOG_L_BRIEF ||
	    level > LOG_L_DEBUG)
		return (-1);
	parent.conf->log_level = (int)level;
	log_setlevel((enum log_level)level);
	for (o = sup_next(NULL); o != NULL; o = sup_next(o)) {
		if (sup_alive(o))
			sup_send_num(o, MSG_LOG_LEVEL, level);
	}
	log_verbose("log level %s", log_level_word((enum log_level)level));
	return (0);
}

static int
dispatch(struct worker *w, struct imsg *m)
{
	switch (imsg_get_type(m)) {
	case MSG_READY:
		if (msg_empty_get(m) == -1)
			return (-1);
		sup_ready(w);
		return (0);
	case MSG_ALIVE_OK:
		return (msg_empty_get(m));
	case MSG_PREPARED:
		return (got_prepared(w, m));
	case MSG_COMMITTED:
		return (got_committed(w, m));
	case MSG_DRAINED:
		return (got_drained(w, m));
	case MSG_SANDBOX:
		return (got_sandbox(w, m));
	case MSG_RELOAD:
		return (got_reload(w, m));
	case MSG_LOG_REOPEN:
		return (got_reopen(w, m));
	case MSG_SET_LOG_LEVEL:
		return (got_level(w, m));
	default:
		return (LAYER(DECODE) ? -1 : 0);
	}
}

/* The reason is to outlive control, too: its successor is told. */
static void
rules_broken(struct worker *w, const char *what, uint32_t type,
    const char *how)
{
	if (w->role == ROLE_CONTROL)
		plog_control(NULL);
	log_error("%s %u sent %s%s%s", role_name(w->role), w->slot, what,
	    msg_name(type), how);
	sup_kill(w, "breaks the rules");
}

void
inbox(struct worker *w, struct imsg *m)
{
	uint32_t	 type = imsg_get_type(m);

	/* What it sent before the signal reached it. */
	if (w->killed)
		return;
	if (!msg_allowed(type, w->role, ROLE_PARENT))
		rules_broken(w, "", type, ", which it may not");
	else if (dispatch(w, m) == -1)
		rules_broken(w, "a malformed ", type, "");
}
