/* SPDX-License-Identifier: ISC */

/* conf_xfer_int.h: what sender and receiver of a configuration share. */
#ifndef CONF_XFER_INT_H
#define CONF_XFER_INT_H

#include <stdint.h>

/* Whose list or listener it is; then comes the id. */
enum xfer_owner { OWNER_SERVER, OWNER_LOC, OWNER_FORWARD, OWNER_MAX };

/* PREPARE says how much was sent. */
struct xfer_counts {
	uint32_t	resolvers, servers, locs, listens, forwards;
	uint32_t	items;		/* entries of all lists */
	uint32_t	hosts, show;	/* bytes */
};

#endif /* CONF_XFER_INT_H */
