/* SPDX-License-Identifier: ISC */

/* reload.c: a new configuration, all or nothing. */

#include "compat.h"

#include <sys/socket.h>
#include <sys/time.h>

#include <errno.h>
#include <event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf_diff.h"
#include "listen.h"
#include "log.h"
#include "logfile.h"
#include "notify.h"
#include "parent.h"
#include "reload.h"
#include "supervise.h"
#include "sysfiles.h"

/*
 *	        error                    any child refuses
 *	  +---------------- result <-- ABORT <---------+
 *	  v                                            |
 *	IDLE --parse, check, bind, PREPARE--> PREPARE -+
 *	  ^                                            | all prepared, or dead
 *	  |                                            v
 *	  +-- result <-- relays <-- control <-- COMMIT dialer
 *
 * From the moment of the decision a new child gets the new configuration.
 * Who does not answer in time is killed, which counts as an answer.
 */
#define ANSWER_SECONDS	5
#define LOOK_SECONDS	5	/* for changes of hosts and resolv.conf */

static const enum role order[] = { ROLE_DIALER, ROLE_CONTROL, ROLE_RELAY };

static enum { IDLE, PREPARE, COMMIT } step;
static struct conf	*next, *old;
static enum reload_kind	 kind;
static uint64_t		 request;
static uint32_t		 asker;		/* incarnation of control */
static size_t		 group;		/* index of order */
static int		 new_log = -1;
static bool		 again, again_refresh;
static struct event	 deadline_ev, look_ev;

bool
reload_undecided(void)
{
	return (step == PREPARE);
}

/*
 * Reading.
 */
static struct conf *
check_numbers(struct conf *c, FILE *err)
{
	if (c == NULL)
		return (NULL);
	if (parent.verbose && c->log_level < LOG_L_VERBOSE)
		c->log_level = LOG_L_VERBOSE;
	if (conf_check(c, c->file, err) == -1) {
		conf_unref(c);
		return (NULL);
	}
	return (c);
}

struct conf *
reload_parse(FILE *err)
{
	return (check_numbers(conf_parse(parent.file, parent.text,
	    parent.macros, err), err));
}

/*
 * The configuration in force once more, to be given new hosts: by its text,
 * since the file may have been edited without a reload.
 */
static struct conf *
parse_again(FILE *err)
{
	struct conf	*c;
	FILE		*f;
	char		*text = NULL, *file;
	size_t		 len;

	if ((f = open_memstream(&text, &len)) == NULL ||
	    (file = strdup(parent.conf->file)) == NULL)
		fatal("parse_again");
	conf_print(parent.conf, f);
	if (fclose(f) != 0)
		fatal("parse_again");
	c = conf_parse(NULL, text, NULL, err);
	free(text);
	if (c == NULL) {
		free(file);
		return (NULL);
	}
	free(c->file);
	c->file = file;
	c->log_set = parent.conf->log_set;
	return (check_numbers(c, err));
}

int
reload_adopt(struct conf *c, const struct conf *from, FILE *err)
{
	char	 text[PATH_MAX_LEN + 256];

	if (conf_adopt(c, from, text, sizeof(text)) == -1) {
		fprintf(err, "%s: %s\n", c->file, text);
		return (-1);
	}
	return (sysfiles_read(c, err));
}

/* All of that for a reload; NULL: the running one stays. */
static struct conf *
read_next(FILE *err)
{
	struct conf	*c;

	if (kind == RELOAD_REFRESH)
		c = parse_again(err);
	else if (parent.file != NULL && strcmp(parent.file, "-") == 0) {
		fprintf(err, "<stdin>: cannot be read again\n");
		return (NULL);
	} else
		c = reload_parse(err);
	if (c == NULL)
		return (NULL);
	if (reload_adopt(c, parent.conf, err) == -1) {
		conf_unref(c);
		return (NULL);
	}
	if (listen_open(c, err) == -1) {
		listen_unlink(c, parent.conf);
		conf_unref(c);
		return (NULL);
	}
	return (c);
}

/*
 * Results.
 */
static void
answer_to(uint32_t incarnation, uint64_t id, bool ok, const char *text)
{
	struct worker		*w = sup_get(ROLE_CONTROL, 0);
	struct msg_result	 res;

	if (!sup_alive(w) || w->incarnation != incarnation)
		return;
	memset(&res, 0, sizeof(res));
	res.id = id;
	res.ok = ok;
	(void)strlcpy(res.text, text, sizeof(res.text));
	sup_send_result(w, MSG_RELOAD_RESULT, &res);
}

static void
answer(bool ok, const char *text)
{
	if (kind == RELOAD_CONTROL)
		answer_to(asker, request, ok, text);
}

/* Lines as one, for a record. */
static const char *
flatten(const char *text, char *buf, size_t size)
{
	size_t	 i, len;

	if ((len = strlcpy(buf, text, size)) >= size)
		len = size - 1;
	while (len > 0 && buf[len - 1] == '\n')
		buf[--len] = '\0';
	for (i = 0; i < len; i++) {
		if (buf[i] == '\n')
			buf[i] = ';';
	}
	return (buf);
}

static void
failed(const char *text)
{
	struct logrec	 r;
	char		 flat[1024];

	log_begin(&r, LOG_L_ERROR, EV_LOG_RELOAD_FAILED);
	log_num(&r, LK_GENERATION, parent.conf->generation);
	log_str(&r, LK_MESSAGE, flatten(text, flat, sizeof(flat)));
	log_send(&r);
	answer(false, text);
	if (kind != RELOAD_REFRESH)
		notify_ready();
}

static void
go_on(void)
{
	step = IDLE;
	if (again) {
		again = false;
		reload_start(RELOAD_SIGNAL, 0);
	} else if (again_refresh) {
		again_refresh = false;
		reload_start(RELOAD_REFRESH, 0);
	}
}

/*
 * Phases.
 */
static void
set_deadline(void)
{
	struct timeval	 tv = { .tv_sec = ANSWER_SECONDS };

	evtimer_add(&deadline_ev, &tv);
}

static bool
any_awaited(void)
{
	struct worker	*w;

	for (w = sup_next(NULL); w != NULL; w = sup_next(w)) {
		if (w->awaited)
			return (true);
	}
	return (false);
}

static void
drop_next(void)
{
	if (new_log != -1)
		close(new_log);
	new_log = -1;
	listen_unlink(next, parent.conf);
	conf_unref(next);
	next = NULL;
}

static void
abort_reload(const char *text)
{
	struct worker	*w;

	evtimer_del(&deadline_ev);
	for (w = sup_next(NULL); w != NULL; w = sup_next(w)) {
		w->awaited = false;
		if (sup_alive(w) && w->offered == next->generation)
			sup_abort(w);
	}
	drop_next();
	sysfiles_forget();
	failed(text);
	step = IDLE;
	/* Some may have been waiting for the decision. */
	sup_offer_waiting();
	go_on();
}

static void
finish(void)
{
	struct logrec	 r;

	listen_log(parent.conf, old);
	listen_unlink(old, parent.conf);
	conf_unref(old);
	old = NULL;
	if (parent.phase == PHASE_RUN) {
		sup_populate(conf_prefork(parent.conf));
		/* What made them fail may be mended. */
		sup_retry();
	}
	if (kind == RELOAD_REFRESH)
		log_verbose("hosts or resolv.conf changed: generation %u",
		    parent.conf->generation);
	else {
		log_begin(&r, LOG_L_BRIEF, EV_LOG_RELOAD);
		log_num(&r, LK_GENERATION, parent.conf->generation);
		log_send(&r);
		notify_ready();
	}
	answer(true, "");
	go_on();
}

/* COMMIT to the next group that has somebody to commit. */
static void
next_group(void)
{
	struct worker	*w;
	bool		 some;

	for (some = false; group < nitems(order) && !some; group++) {
		for (w = sup_next(NULL); w != NULL; w = sup_next(w)) {
			if (w->role != order[group] || !sup_alive(w) ||
			    w->offer != OFFER_PREPARED)
				continue;
			w->awaited = some = true;
			sup_commit(w);
		}
	}
	if (some)
		set_deadline();
	else
		finish();
}

static void
decide(void)
{
	old = parent.conf;
	parent.conf = next;
	next = NULL;
	step = COMMIT;
	group = 0;
	listen_retire(old, parent.conf);
	log_setlevel((enum log_level)parent.conf->log_level);
	if (new_log != -1)
		sup_log_fd(new_log);
	new_log = -1;
	sup_offer_waiting();
	next_group();
}

static void
check(void)
{
	if (step == IDLE || any_awaited())
		return;
	evtimer_del(&deadline_ev);
	if (step == PREPARE)
		decide();
	else
		next_group();
}

static void
on_deadline(int fd, short ev, void *arg)
{
	struct worker	*w;

	for (w = sup_next(NULL); w != NULL; w = sup_next(w)) {
		if (!w->awaited)
			continue;
		sup_kill(w, "did not answer a reload in 5 s");
		w->awaited = false;
	}
	check();
}

void
reload_prepared(struct worker *w, const struct msg_result *res)
{
	char	 text[sizeof(res->text) + 64];

	w->awaited = false;
	if (step != PREPARE)
		return;
	if (!res->ok) {
		snprintf(text, sizeof(text), "%s %u: %s\n",
		    role_name(w->role), w->slot, res->text);
		abort_reload(text);
		return;
	}
	check();
}

void
reload_committed(struct worker *w)
{
	w->awaited = false;
	check();
}

void
reload_died(struct worker *w)
{
	if (!w->awaited)
		return;
	w->awaited = false;
	check();
}

static void
offer_to_all(void)
{
	struct worker	*w;
	char		 text[128];

	step = PREPARE;
	set_deadline();
	for (w = sup_next(NULL); w != NULL; w = sup_next(w)) {
		if (!sup_alive(w) || w->retired)
			continue;
		w->awaited = true;
		if (sup_offer(w, next) == 0)
			continue;
		snprintf(text, sizeof(text), "%s %u: the configuration cannot "
		    "be sent\n", role_name(w->role), w->slot);
		sup_abort(w);	/* it may have a part of it */
		abort_reload(text);
		return;
	}
	check();
}

static void
open_log(FILE *err)
{
	char	 text[PATH_MAX_LEN + 256];

	if (!logfile_differs(parent.conf, next))
		return;
	if ((new_log = logfile_open(next, text, sizeof(text))) != -1)
		return;
	/* Syslog may come back at any time; a file must be right now. */
	if (logfile_dest(next) == LOG_SYSLOG) {
		log_warnx("%s", text);
		/*
		 * Not connected to anybody: control lets go of the old place
		 * and, since sending fails, asks for another one.
		 */
		new_log = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC |
		    SOCK_NONBLOCK, 0);
		if (new_log != -1)
			return;
		snprintf(text, sizeof(text), "socket: %s", strerror(errno));
	}
	fprintf(err, "%s: %s\n", next->file, text);
	drop_next();
}

static void
begin(void)
{
	FILE	*err;
	char	*text = NULL, flat[1024];
	size_t	 len;

	if ((err = open_memstream(&text, &len)) == NULL)
		fatal("open_memstream");
	if ((next = read_next(err)) != NULL)
		open_log(err);
	if (fclose(err) != 0)
		fatal("open_memstream");
	if (next == NULL) {
		/* What cannot be read is tried again when it changes. */
		if (kind != RELOAD_REFRESH)
			sysfiles_forget();
		failed(text);
		free(text);
		go_on();
		return;
	}
	if (len > 0)
		log_warnx("%s", flatten(text, flat, sizeof(flat)));
	free(text);
	offer_to_all();
}

/* Only control is told: who sends a signal does not listen. */
static void
refuse(enum reload_kind who, uint64_t id, const char *text)
{
	if (who != RELOAD_REFRESH)
		log_brief("reload refused: %s", text);
	if (who == RELOAD_CONTROL)
		answer_to(sup_get(ROLE_CONTROL, 0)->incarnation, id, false,
		    text);
}

void
reload_start(enum reload_kind who, uint64_t id)
{
	if (parent.phase == PHASE_DRAIN || parent.phase == PHASE_STOP) {
		refuse(who, id, "tunneld is about to stop");
		return;
	}
	if (step != IDLE || parent.phase == PHASE_START) {
		if (who == RELOAD_SIGNAL)
			again = true;
		else if (who == RELOAD_REFRESH)
			again_refresh = true;
		else
			refuse(who, id, step != IDLE ?
			    "another reload is under way" :
			    "tunneld is still starting");
		return;
	}
	kind = who;
	request = id;
	asker = sup_get(ROLE_CONTROL, 0)->incarnation;
	if (kind != RELOAD_REFRESH)
		notify_reloading();
	begin();
}

void
reload_stop(const char *why)
{
	if (step == PREPARE)
		abort_reload(why);
}

void
reload_pending(void)
{
	if (step == IDLE)
		go_on();
}

static void
on_look(int fd, short ev, void *arg)
{
	struct timeval	 tv = { .tv_sec = LOOK_SECONDS };

	evtimer_add(&look_ev, &tv);
	if (parent.phase == PHASE_RUN && sysfiles_changed(parent.conf))
		reload_start(RELOAD_REFRESH, 0);
}

void
reload_init(void)
{
	struct timeval	 tv = { .tv_sec = LOOK_SECONDS };

	evtimer_set(&deadline_ev, on_deadline, NULL);
	evtimer_set(&look_ev, on_look, NULL);
	evtimer_add(&look_ev, &tv);
}
