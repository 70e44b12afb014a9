/* SPDX-License-Identifier: ISC */

/* plog.c: log records of the parent on their way to control. */

#include "compat.h"

#include <sys/queue.h>

#include <stdlib.h>
#include <string.h>

#include "chan.h"
#include "log.h"
#include "msg.h"
#include "plog.h"

#define KEPT_MAX	256

struct kept {
	TAILQ_ENTRY(kept) entry;
	struct logrec	rec;
};
static TAILQ_HEAD(, kept) kept = TAILQ_HEAD_INITIALIZER(kept);
static unsigned		 nkept;
static struct chan	*control;

static int
keep(const struct logrec *r)
{
	struct kept	*k;

	if (nkept == KEPT_MAX || (k = malloc(sizeof(*k))) == NULL)
		return (-1);
	memcpy(k->rec.buf, r->buf, r->len);
	k->rec.len = r->len;
	TAILQ_INSERT_TAIL(&kept, k, entry);
	nkept++;
	return (0);
}

static int
send_record(const struct logrec *r)
{
	struct ibuf	*b;

	if (chan_busy(control) ||
	    (b = chan_msg(control, MSG_LOG_PARENT)) == NULL)
		return (-1);
	if (ibuf_add(b, r->buf, r->len) == -1) {
		ibuf_free(b);
		return (-1);
	}
	return (chan_send(control, b, -1));
}

static int
sink(const struct logrec *r, void *arg)
{
	if (control == NULL || control->dead)
		return (keep(r));
	return (send_record(r));
}

void
plog_init(void)
{
	log_to(sink, NULL);
	log_atfatal(plog_dump);
}

void
plog_control(struct chan *c)
{
	struct kept	*k;

	if ((control = c) == NULL)
		return;
	while ((k = TAILQ_FIRST(&kept)) != NULL) {
		TAILQ_REMOVE(&kept, k, entry);
		nkept--;
		(void)send_record(&k->rec);
		free(k);
	}
}

void
plog_dump(void)
{
	struct kept	*k;

	while ((k = TAILQ_FIRST(&kept)) != NULL) {
		TAILQ_REMOVE(&kept, k, entry);
		nkept--;
		(void)log_stderr(&k->rec);
		free(k);
	}
}
