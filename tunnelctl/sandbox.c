/* SPDX-License-Identifier: ISC */
/* sandbox.c: what tunnelctl gives up, where the system offers a way. */

#include "compat.h"

#ifdef __OpenBSD__
#include <err.h>
#include <unistd.h>
#endif

#include "tunnelctl.h"

#ifdef __OpenBSD__

void
sandbox_begin(const char *path)
{
	if (unveil(path, "rw") == -1 || unveil(NULL, NULL) == -1)
		err(1, "unveil");
	if (pledge("stdio unix", NULL) == -1)
		err(1, "pledge");
}

void
sandbox_connected(void)
{
	if (pledge("stdio", NULL) == -1)
		err(1, "pledge");
}

#else

/*
 * Elsewhere it runs with the rights of who typed it: it reads one socket,
 * trusts nothing that comes from there, and writes to stdout.
 */
void
sandbox_begin(const char *path)
{
}

void
sandbox_connected(void)
{
}

#endif
