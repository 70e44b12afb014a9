/* SPDX-License-Identifier: ISC */

/* probe.c: `tunnelctl probe' of probe builds: from control and back to it. */

#include "compat.h"

#ifdef TUNNELD_PROBES

#include <sys/types.h>

#include <imsg.h>
#include <stdio.h>
#include <string.h>

#include "chan.h"
#include "child.h"
#include "control.h"
#include "log.h"
#include "msg.h"
#include "probe.h"

/*
 *	tunnelctl --CTL_PROBE--> control --PROBE--> role: try it
 *	tunnelctl <--row------- control <--PROBE_RESULT-- it lives
 *	tunnelctl <--"killed"-- control <---------- EOF - it does not
 *
 * Control tries in itself what is meant for it: its end is EOF to tunnelctl.
 */
#define WAIT_PROBE	10000		/* ms */
#define RESULT_MAX	256

static const char *const names[] = {
#define PROBE_NAME(fn, name) name,
	PROBES(PROBE_NAME)
#undef PROBE_NAME
};

static bool
is_call(enum probe p)
{
#define PROBE_CASE(fn, name) case PROBE_##fn:
	switch (p) {
	PROBE_CALLS(PROBE_CASE)
		return (true);
	default:
		return (false);
	}
#undef PROBE_CASE
}

static const char *
try(enum probe p, const struct probe_arg *arg)
{
	log_verbose("probe %s", names[p]);
	return (is_call(p) ? probe_call(p, arg) : probe_send(p));
}

/*
 * In the role.
 */
static void
got_probe(struct chan *c, struct imsg *m)
{
	struct probe_arg	 arg;
	struct ibuf		 b, *answer;
	uint64_t		 token;
	uint32_t		 probe, other;
	const char		*result;

	if (imsg_get_ibuf(m, &b) == -1 || ibuf_get_n64(&b, &token) == -1 ||
	    ibuf_get_n32(&b, &probe) == -1 ||
	    ibuf_get_n32(&b, &other) == -1 || probe >= PROBE_MAX)
		fatalx("malformed PROBE");
	arg.other = (int)other;
	result = try((enum probe)probe, &arg);
	/* It may have cost us the channel. */
	if ((c = child_peer(ROLE_CONTROL, 0)) == NULL)
		return;
	if ((answer = chan_msg(c, MSG_PROBE_RESULT)) == NULL)
		return;
	if (ibuf_add_n64(answer, token) == -1 ||
	    put_str(answer, result) == -1)
		fatalx("probe");
	(void)chan_send(c, answer, -1);
}

/*
 * In control.
 */
static void
show(struct ctl_client *c, const char *result)
{
	struct ctl_row	 row;

	ctl_row_init(&row);
	ctl_row_str(&row, CTL_K_PROBE, names[PROBE_ARG_PROBE(c->req.arg)]);
	ctl_row_str(&row, CTL_K_RESULT, result);
	ctl_client_row(c, &row);
	ctl_client_end(c, "");
}

static void
got_result(struct imsg *m)
{
	struct ctl_client	*c;
	struct ibuf		 b;
	uint64_t		 token;
	char			 result[RESULT_MAX];

	if (imsg_get_ibuf(m, &b) == -1 || ibuf_get_n64(&b, &token) == -1 ||
	    get_str(&b, result, sizeof(result)) == -1)
		fatalx("malformed PROBE_RESULT");
	if ((c = ctl_client_by_token(token)) == NULL ||
	    c->req.command != CTL_PROBE)
		return;
	show(c, result);
	ctl_client_push(c);
}

bool
probe_message(struct chan *c, struct imsg *m)
{
	switch (imsg_get_type(m)) {
	case MSG_PROBE:
		got_probe(c, m);
		return (true);
	case MSG_PROBE_RESULT:
		if (child_hello()->role == ROLE_CONTROL)
			got_result(m);
		return (true);
	default:
		return (false);
	}
}

/* A process that the role has no business with. */
static uint32_t
sibling(enum role role)
{
	const struct msg_worker	*w;

	w = role == ROLE_DIALER ? board_get_worker(ROLE_RELAY, 0) :
	    board_get_worker(ROLE_DIALER, 0);
	return (w != NULL ? w->pid : 0);
}

void
probe_request(struct ctl_client *c)
{
	enum role	 role = (enum role)PROBE_ARG_ROLE(c->req.arg);
	unsigned	 probe = PROBE_ARG_PROBE(c->req.arg);
	struct probe_arg arg;
	struct chan	*peer;
	struct ibuf	*b;

	if (role == ROLE_PARENT || role >= ROLE_MAX || probe >= PROBE_MAX) {
		ctl_client_error(c, "no such probe");
		return;
	}
	if (role == ROLE_CONTROL) {
		arg.other = (int)sibling(role);
		show(c, try((enum probe)probe, &arg));
		return;
	}
	if ((peer = child_peer(role, 0)) == NULL ||
	    (b = chan_msg(peer, MSG_PROBE)) == NULL) {
		ctl_client_error(c, "there is no %s", role_name(role));
		return;
	}
	if (ibuf_add_n64(b, ctl_client_ask(c, WAIT_PROBE)) == -1 ||
	    ibuf_add_n32(b, probe) == -1 ||
	    ibuf_add_n32(b, sibling(role)) == -1)
		fatalx("probe");
	if (chan_send(peer, b, -1) == -1)
		ctl_client_error(c, "the %s cannot be reached",
		    role_name(role));
}

static void
peer_down(struct ctl_client *c, void *arg)
{
	const struct chan	*peer = arg;

	if (c->busy && c->token != 0 && c->req.command == CTL_PROBE &&
	    PROBE_ARG_ROLE(c->req.arg) == (unsigned)peer->peer &&
	    peer->slot == 0)
		show(c, "killed");
}

void
probe_peer_down(struct chan *c)
{
	ctl_client_each(peer_down, c);
}

#endif /* TUNNELD_PROBES */
