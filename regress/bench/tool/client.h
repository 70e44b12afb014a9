/* SPDX-License-Identifier: ISC */

/* client.h: connections of the load tool, and what its modes do with them. */
#ifndef CLIENT_H
#define CLIENT_H

#include <stdint.h>

#include "load.h"

/*
 *	          connect, upgrade        work done, or told to
 *	IDLE ---> CONNECT ---> UPGRADE ---> OPEN ---> ENDING ---> IDLE
 *	                (raw TCP: at once)       Close or FIN sent,
 *	                                         waits for the peer's
 *
 * Anything else that happens is a failure.
 */
enum state { ST_IDLE, ST_CONNECT, ST_UPGRADE, ST_OPEN, ST_ENDING };

struct link {
	int		 fd;
	unsigned int	 nr;		/* which one, from 0 */
	enum state	 state;
	uint32_t	 events;	/* asked of epoll */
	int		 peer_closed;	/* its Close has come */
	uint64_t	 began;		/* ns: connect, or this message */

	uint8_t		*out;		/* head and small frames, to be sent */
	size_t		 outlen, outoff;
	const uint8_t	*bulk;		/* frames of a bulk mode */
	size_t		 bulklen, bulkoff;
	uint8_t		*own;		/* bulk points here, if not shared */

	struct wsin	 in;
	uint8_t		*head;		/* HTTP answer until it is complete */
	size_t		 headlen;

	/* the mode's */
	uint64_t	 sent, got;	/* payload bytes */
	uint64_t	 messages;	/* echoed, of this connection */
	uint64_t	 next;		/* ns: a talker's next message */
	uint32_t	 seed;
	int		 begun, finished;
};

struct mode {
	const char	*name;
	unsigned int	 serial:1,	/* connections replace each other */
			 at_once:1,	/* each begins when it is open, */
					/* else when all of them are */
			 burst:1,	/* all connect at the same time */
			 holds:1;	/* and stay */
	void		(*begin)(struct link *);
	/* Payload has come. */
	void		(*data)(struct link *, const uint8_t *, size_t);
	/* bulk is sent: set it anew and return 1, or return 0 for the end. */
	int		(*refill)(struct link *);
	const char	*what;
};

struct options {
	const struct mode *mode;
	unsigned int	 conns;		/* at the same time */
	unsigned int	 talkers;	/* of them */
	uint64_t	 bytes;		/* per connection */
	uint64_t	 count;		/* messages or connections, in all */
	uint64_t	 size;		/* of a message or frame */
	unsigned int	 each;		/* messages per connection (conns) */
	unsigned int	 interval;	/* ms between a talker's messages */
	double		 seconds;	/* how long, for open-ended modes */
	unsigned int	 patience;	/* s without any progress */
	int		 gate, foreign, raw;
	uint32_t	 seed;
	char		 host[64];	/* as in the URL, with port */
	const char	*path;
	uint16_t	 port;
	uint32_t	 addr;
};

struct results {
	uint64_t	 bytes, messages, connections, errors;
	uint64_t	 begin, end;	/* ns */
	uint32_t	*times;		/* ns each, up to 4 s */
	size_t		 ntimes, maxtimes;
};

extern struct options	 opt;
extern struct results	 res;
extern const struct mode modes[];

/* client.c */

/* Runs the mode to its end; results are in res. */
void	 client_run(void);

/* Sends payload as one message. */
void	 link_send(struct link *, const uint8_t *, size_t);

/* Writes what there is to write. */
void	 link_flush(struct link *);

/* The work of this link is done. */
void	 link_finished(struct link *);

/* Something went wrong: counts it, says so, and ends the connection. */
void	 link_fail(struct link *, const char *, ...)
	    __attribute__((__format__(printf, 2, 3)));

/* One more time to report. */
void	 record(uint64_t ns);

/* modes.c */

/* The mode of that name, or NULL. */
const struct mode *mode_find(const char *);

/* Prepares what all connections of the mode share. */
void	 mode_init(void);

#endif
