/* SPDX-License-Identifier: ISC */

/* sockopt.c: what differs between systems about a stream socket. */

#include "compat.h"

#include <sys/types.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <string.h>

#ifdef __linux__
#include <linux/filter.h>
#include <linux/sockios.h>
#endif

#include "sockopt.h"

/* Retransmissions without an answer before a peer may be called dead. */
#define RETRIES		3

void
sockopt_stream(int fd)
{
	int	 on = 1;
#ifdef TCP_KEEPIDLE
	int	 idle = 60, interval = 15, count = 5;
#endif

	/* Fails on a UNIX socket, which needs none of it. */
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == -1)
		return;
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
#ifdef TCP_KEEPIDLE
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval,
	    sizeof(interval));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
#endif
}

void
sockopt_reset_on_close(int fd, bool on)
{
	struct linger	 l = { .l_onoff = on, .l_linger = 0 };

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
}

void
sockopt_no_callers(int fd)
{
#ifdef __linux__
	/* Byte 13 of a TCP header holds the flags. */
	static struct sock_filter	 no_syn[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, TH_SYN | TH_ACK),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TH_SYN, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	const struct sock_fprog	 prog = {
		.len = nitems(no_syn), .filter = no_syn,
	};

	(void)setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog,
	    sizeof(prog));
#endif
}

/* A socket that was reset keeps its count, but nobody will take it. */
static bool
is_closed(int fd)
{
#ifdef __linux__
	struct tcp_info	 ti;
	socklen_t	 len = sizeof(ti);

	memset(&ti, 0, sizeof(ti));
	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &ti, &len) == 0 &&
	    ti.tcpi_state == TCP_CLOSE;
#else
	return false;
#endif
}

unsigned
sockopt_unacked(int fd)
{
	int	 n = 0;

#if defined(SIOCOUTQ)
	if (ioctl(fd, SIOCOUTQ, &n) == -1 || n < 0)
		return 0;
#elif defined(TIOCOUTQ)
	if (ioctl(fd, TIOCOUTQ, &n) == -1 || n < 0)
		return 0;
#endif
	return n == 0 || is_closed(fd) ? 0 : (unsigned)n;
}

bool
sockopt_peer_dead(int fd, unsigned ms)
{
#ifdef __linux__
	struct tcp_info	 ti;
	socklen_t	 len = sizeof(ti);

	memset(&ti, 0, sizeof(ti));
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &ti, &len) == -1)
		return false;
	/* An old ACK alone only says that it was quiet before. */
	return ti.tcpi_unacked != 0 && ti.tcpi_last_ack_recv > ms &&
	    ti.tcpi_backoff >= RETRIES;
#else
	return false;
#endif
}
