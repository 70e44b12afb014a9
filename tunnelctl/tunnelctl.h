/* SPDX-License-Identifier: ISC */

/* tunnelctl.h: what the files of tunnelctl give each other. */
#ifndef TUNNELCTL_H
#define TUNNELCTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "ctl.h"

struct command {
	struct ctl_request req;
	unsigned	deadline;	/* seconds for everything */
};

/*
 * parser.c: words of the command line; each may be cut to a unique prefix.
 * Returns 0, or -1 after telling on err what is wrong and what would have
 * been valid.
 */
int	 parse_command(int argc, char **argv, struct command *, FILE *err);

/*
 * How an answer is shown.  row() returns -1 for a row that is malformed or
 * more than we are willing to keep.  Nothing is written before tail(): a
 * failure half way must not leave half an answer on stdout.  text: what the
 * daemon said at the end.
 */
struct output {
	void	(*head)(enum ctl_command);
	int	(*row)(const uint8_t *, size_t);
	int	(*tail)(const char *text);	/* 0, or -1: not written */
	void	(*error)(const char *text);	/* in place of tail() */
};
extern const struct output output_text, output_json;

/* sandbox.c: nothing but the control socket from now on; then not even it. */
void	 sandbox_begin(const char *path);
void	 sandbox_connected(void);

#endif /* TUNNELCTL_H */
