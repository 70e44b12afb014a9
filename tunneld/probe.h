/* SPDX-License-Identifier: ISC */

/*
 * probe.h: hooks for probe builds (./configure --enable-probes): there single
 * layers of the sandbox can be switched off at run time, and `tunnelctl probe
 * ROLE NAME' makes a process try what it may not.  In every other build each
 * hook is a constant and all layers are on.
 */
#ifndef PROBE_H
#define PROBE_H

#ifdef TUNNELD_PROBES

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "probe_list.h"

struct chan;
struct ctl_client;
struct imsg;

/*
 * Kept in the environment of children.  LAYERS: words of the layers that are
 * on, with commas, or "none"; not set: all.  DIR: what probes of files and
 * sockets use.  TARGET: ADDR:PORT for probes of OPEN.
 */
#define PROBE_ENV		"TUNNELD_PROBE_"
#define PROBE_ENV_LAYERS	"TUNNELD_PROBE_LAYERS"
#define PROBE_ENV_DIR		"TUNNELD_PROBE_DIR"
#define PROBE_ENV_TARGET	"TUNNELD_PROBE_TARGET"

/* In the header: what it is used in is linked alone into unit tests. */
static inline bool
probe_layer(enum probe_layer layer)
{
#define PROBE_LAYER_WORD(name, word) word,
	static const char *const words[] = { PROBE_LAYERS(PROBE_LAYER_WORD) };
#undef PROBE_LAYER_WORD
	const char	*p = getenv(PROBE_ENV_LAYERS);
	size_t		 len = strlen(words[layer]);

	if (p == NULL)
		return true;
	while (*p != '\0') {
		if (strncmp(p, words[layer], len) == 0 &&
		    (p[len] == ',' || p[len] == '\0'))
			return true;
		p += strcspn(p, ",");
		p += *p == ',';
	}
	return false;
}

/* May this layer do its work? */
#define LAYER(name)	probe_layer(PROBE_LAYER_##name)

/* Rows of MESSAGES(). */
#define PROBE_MESSAGES(M)						\
M(PROBE,		CONTROL,	ANY)	/* try this */		\
M(PROBE_RESULT,		ANY,		CONTROL)

/* In a child before the sandbox: what some probes are tried with. */
void	 probe_prepare(void);
/* A message of a peer: true if it was one of ours. */
bool	 probe_message(struct chan *, struct imsg *);
/* Control: a request; the answer of a peer that has died. */
void	 probe_request(struct ctl_client *);
void	 probe_peer_down(struct chan *);

/* Try it; what came of it, as text. */
struct probe_arg {
	int	other;		/* process id of a sibling */
};
const char *probe_call(enum probe, const struct probe_arg *);
const char *probe_send(enum probe);

#define PROBE_PREPARE()		probe_prepare()
#define PROBE_MESSAGE(c, m)	probe_message(c, m)
#define PROBE_PEER_DOWN(c)	probe_peer_down(c)
/* Whole runs of probes that kill are no reason to slow down. */
#define PROBE_DEATHS(n)		(1000 * (n))

#else /* !TUNNELD_PROBES */

#define LAYER(name)		true
#define PROBE_MESSAGES(M)
#define PROBE_PREPARE()
#define PROBE_MESSAGE(c, m)	false
#define PROBE_PEER_DOWN(c)
#define PROBE_DEATHS(n)		(n)

#endif /* TUNNELD_PROBES */

#endif /* PROBE_H */
