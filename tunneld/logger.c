/* SPDX-License-Identifier: ISC */
/*
 * logger.c: records -> ring -> lines -> descriptor.  Never blocks: whatever
 * cannot be written waits in the ring, and is counted when it is lost.
 *
 *	put() -> ring -> current line --write--> done
 *	                    |  ^ full pipe, slow syslog: try again by timer
 *	                    |  | syslog is gone: keep, ask for a new socket
 *	                    |  | file is due: hold until the new one is there
 *	                    +--+ full disk, gone reader: lost, counted
 */

#include "compat.h"

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <errno.h>
#include <event.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fdstat.h"
#include "child.h"
#include "conf.h"
#include "control.h"
#include "json.h"
#include "log.h"
#include "stats.h"

#define RING_SIZE	(1024 * 1024)
#define BATCH		256		/* lines in one go */
#define PIPE_CHUNK	4096		/* fits when poll(2) says so */
#define DGRAM_LINE	8192		/* longest line for syslog */
#define RETRY_MIN	10		/* ms, doubling */
#define RETRY_MAX	250
#define REOPEN_EVERY	1000000		/* usec */
#define ROTATE_EVERY	20000
#define ROTATE_HOLD	2000000		/* wait for the new file */
#define ROTATE_FAILED	60000000	/* then leave it for a while */
#define REPORT_EVERY	1000000

enum sink { SINK_NONE, SINK_FILE, SINK_OTHER, SINK_STREAM, SINK_DGRAM };
enum result { WROTE, AGAIN, LOST, BROKEN };

static uint8_t		ring[RING_SIZE];
static size_t		ring_start, ring_used;

static struct logrec	cur;		/* the record behind line */
static bool		have_cur;
static char		line[LOG_LINE_MAX + 64];
static size_t		linelen, lineoff;

static int		out = -1;
static enum sink	sink = SINK_NONE;
static uint64_t		written, opened;	/* file: bytes, mono time */
static bool		midline;	/* the rest of a line was lost */
static bool		flowing;	/* the last write was good */
static bool		to_syslog;	/* "log to syslog": on a stream too */
static uint64_t		asked_at, rotate_at;	/* mono; 0: not asked */
static uint64_t		rotate_next, reopen_next;

static bool		configured;	/* format and limits are known */
static enum log_format	format = FORMAT_TEXT;
static uint64_t		max_size = OFF, max_age = OFF;

static uint64_t		unreported, reported_at;
static unsigned		retry = RETRY_MIN;
static struct event	timer;
static int64_t		zone;		/* seconds east of Greenwich */
static pid_t		daemon_pid;

static void	logger_run(int, short, void *);

void
logger_init(void)
{
	time_t now = time(NULL);
	struct tm tm;

	/*
	 * No file can be opened later: the time zone, which only syslog's
	 * header needs, is read now.
	 */
	tzset();
	if (localtime_r(&now, &tm) != NULL)
		zone = tm.tm_gmtoff;
	daemon_pid = getppid();
	/* Too big a file is an error like a full disk, not our end. */
	signal(SIGXFSZ, SIG_IGN);
	evtimer_set(&timer, logger_run, NULL);
}

void
logger_conf(const struct conf *c)
{
	configured = true;
	format = c->log_format;
	/* -d means stderr, whatever the default is. */
	to_syslog = c->log_dest == LOG_SYSLOG &&
	    (c->log_set || !child_hello()->debug);
	max_size = c->log_dest == LOG_FILE ? c->log_size : OFF;
	max_age = c->log_dest == LOG_FILE ? c->log_age : OFF;
	logger_run(-1, 0, NULL);
}

static bool
is_syslog(void)
{
	return sink == SINK_DGRAM || (sink == SINK_STREAM && to_syslog);
}

static void
schedule(uint64_t ms)
{
	struct timeval tv = { (time_t)(ms / 1000),
	    (suseconds_t)(ms % 1000 * 1000) };

	evtimer_add(&timer, &tv);
}

/* The ring: 16 bits of length, then the record. */
static void
ring_copy_in(size_t at, const uint8_t *p, size_t n)
{
	size_t first;

	at %= RING_SIZE;
	first = RING_SIZE - at < n ? RING_SIZE - at : n;
	memcpy(ring + at, p, first);
	memcpy(ring, p + first, n - first);
}

static void
ring_copy_out(size_t at, uint8_t *p, size_t n)
{
	size_t first;

	at %= RING_SIZE;
	first = RING_SIZE - at < n ? RING_SIZE - at : n;
	memcpy(p, ring + at, first);
	memcpy(p + first, ring, n - first);
}

static int
ring_put(const struct logrec *r)
{
	uint8_t head[2] = { (uint8_t)(r->len >> 8), (uint8_t)r->len };

	if (r->len + sizeof(head) > RING_SIZE - ring_used)
		return -1;
	ring_copy_in(ring_start + ring_used, head, sizeof(head));
	ring_copy_in(ring_start + ring_used + sizeof(head), r->buf, r->len);
	ring_used += sizeof(head) + r->len;
	return 0;
}

static bool
ring_get(struct logrec *r)
{
	uint8_t head[2];

	if (ring_used == 0)
		return false;
	ring_copy_out(ring_start, head, sizeof(head));
	r->len = (size_t)head[0] << 8 | head[1];
	ring_copy_out(ring_start + sizeof(head), r->buf, r->len);
	ring_used -= sizeof(head) + r->len;
	/* An empty ring begins anew: pages that were never needed stay so. */
	if (ring_used == 0)
		ring_start = 0;
	else
		ring_start = (ring_start + sizeof(head) + r->len) % RING_SIZE;
	return true;
}

int
logger_put(const struct logrec *r, void *arg)
{
	if (ring_put(r) == -1) {
		unreported++;
		return -1;
	}
	/* Not at once: records come in bursts, and from inside callbacks. */
	if (!evtimer_pending(&timer, NULL))
		schedule(0);
	return 0;
}

static void
lost(void)
{
	stats->log_dropped++;
	unreported++;
	flowing = false;
	have_cur = false;
}

/* One record tells how many were lost, once lines flow again. */
static void
report(uint64_t now)
{
	struct logrec r;

	if (unreported == 0 || !flowing)
		return;
	if (reported_at != 0 && now - reported_at < REPORT_EVERY) {
		if (!evtimer_pending(&timer, NULL))
			schedule(REPORT_EVERY / 1000);
		return;
	}
	log_begin(&r, LOG_L_WARN, EV_LOG_LOG_DROPPED);
	log_num(&r, LK_COUNT, unreported);
	if (ring_put(&r) == -1)
		return;
	unreported = 0;
	reported_at = now;
	if (!evtimer_pending(&timer, NULL))
		schedule(0);
}

/*
 * RFC 3164, 4.1: "<PRI>Jan  2 03:04:05 tunneld[pid]: ".  Local time, as
 * syslog(3) would write.
 */
static size_t
syslog_head(const struct logrec_view *v, char *buf, size_t size)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	static const int severity[] = {
		[LOG_L_ERROR] = 3, [LOG_L_WARN] = 4, [LOG_L_BRIEF] = 6,
		[LOG_L_VERBOSE] = 6, [LOG_L_DEBUG] = 7
	};
	char t[RFC3339_LEN];
	unsigned month;
	int n;

	rfc3339(v->time + (uint64_t)(zone * 1000000), t);
	month = (unsigned)((t[5] - '0') * 10 + (t[6] - '0') - 1) % 12;
	n = snprintf(buf, size, "<%d>%.3s %c%c %.8s tunneld[%ld]: ",
	    (3 << 3) | severity[v->level], months + (size_t)month * 3,
	    t[8] == '0' ? ' ' : t[8], t[9], t + 11, (long)daemon_pid);
	return n > 0 && (size_t)n < size ? (size_t)n : 0;
}

/* Make line from cur.  false: the record is no good. */
static bool
make_line(void)
{
	struct logrec_view v;
	enum log_format f = format;
	size_t head = 0, n, room = sizeof(line);

	lineoff = linelen = 0;
	if (logrec_decode(cur.buf, cur.len, &v) == -1)
		return false;
	if (is_syslog()) {
		head = syslog_head(&v, line, sizeof(line));
		room = DGRAM_LINE;
		if (f == FORMAT_PRETTY)
			f = FORMAT_TEXT;
	} else if (midline)
		line[head++] = '\n';
	n = logrec_format(&v, (int)f, line + head, room - head);
	if (n == 0)
		return false;
	if (is_syslog()) {
		/* A datagram needs no newline, and the header has the time. */
		if (sink == SINK_DGRAM)
			n--;
		if (f == FORMAT_TEXT && n > RFC3339_LEN) {
			memmove(line + head, line + head + RFC3339_LEN,
			    n - RFC3339_LEN);
			n -= RFC3339_LEN;
		}
	}
	linelen = head + n;
	return true;
}

static bool
next_line(void)
{
	while (!have_cur && ring_get(&cur)) {
		have_cur = make_line();
		if (!have_cur)
			lost();
	}
	return have_cur;
}

static void
ask(uint64_t what)
{
	struct chan *parent = child_parent();
	struct ibuf *b = chan_msg(parent, MSG_LOG_REOPEN);

	if (b != NULL && msg_num_put(b, what) == -1) {
		ibuf_free(b);
		b = NULL;
	}
	chan_send(parent, b, -1);
}

/* Syslog went away: a new socket, please, but not all the time. */
static void
ask_reopen(uint64_t now)
{
	if (now < reopen_next)
		return;
	reopen_next = now + REOPEN_EVERY;
	ask(0);
}

/* May the line go into this file?  false: wait for the next one. */
static bool
rotate(uint64_t now)
{
	if (rotate_at != 0) {
		if (now - rotate_at < ROTATE_HOLD)
			return false;
		rotate_at = 0;
		rotate_next = now + ROTATE_FAILED;
		return true;
	}
	if (sink != SINK_FILE || written == 0 || lineoff != 0)
		return true;
	if ((max_size == OFF || written + linelen <= max_size) &&
	    (max_age == OFF || now - opened < max_age))
		return true;
	if (now < rotate_next)
		return rotate_next - now > ROTATE_EVERY;
	rotate_at = now;
	ask(1);
	return false;
}

static enum result
write_line(void)
{
	size_t left = linelen - lineoff;
	struct pollfd pfd = { out, POLLOUT, 0 };
	ssize_t n;

	switch (sink) {
	case SINK_DGRAM:
		n = send(out, line, linelen, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n >= 0)
			n = (ssize_t)linelen;
		break;
	case SINK_STREAM:
		n = send(out, line + lineoff, left,
		    MSG_DONTWAIT | MSG_NOSIGNAL);
		break;
	case SINK_OTHER:
		/*
		 * A terminal or pipe we share with others: its O_NONBLOCK is
		 * theirs.
		 */
		if (poll(&pfd, 1, 0) != 1 || pfd.revents == 0)
			return AGAIN;
		if (left > PIPE_CHUNK)
			left = PIPE_CHUNK;
		/* FALLTHROUGH */
	default:
		n = write(out, line + lineoff, left);
		break;
	}
	if (n >= 0) {
		lineoff += (size_t)n;
		written += (uint64_t)n;
		return WROTE;
	}
	if (errno == EAGAIN || errno == EINTR || errno == ENOBUFS)
		return AGAIN;
	if (is_syslog() && errno != EMSGSIZE)
		return BROKEN;
	return LOST;
}

/* One step.  true: go on at once. */
static bool
step(uint64_t now)
{
	if (!next_line())
		return false;
	if (!rotate(now)) {
		schedule(RETRY_MIN);
		return false;
	}
	switch (write_line()) {
	case WROTE:
		retry = RETRY_MIN;
		midline = lineoff < linelen;
		if (!midline) {
			have_cur = false;
			flowing = true;
		}
		return true;
	case LOST:
		lost();
		return true;
	case BROKEN:
		ask_reopen(now);
		flowing = false;
		break;
	case AGAIN:
		break;
	}
	schedule(retry);
	retry = retry * 2 > RETRY_MAX ? RETRY_MAX : retry * 2;
	return false;
}

static void
logger_run(int fd, short ev, void *arg)
{
	uint64_t now = mono_usec();
	unsigned n;

	/*
	 * A successor is told what was kept for it before it is told of the
	 * configuration: that waits, for its format.
	 */
	if (!configured)
		return;
	if (sink == SINK_NONE) {
		if (asked_at != 0) {
			ask_reopen(now);
			schedule(REOPEN_EVERY / 1000);
		}
		return;
	}
	for (n = 0; n < BATCH; n++) {
		if (!step(now))
			break;
	}
	if (n == BATCH)
		schedule(0);
	report(now);
}

void
logger_fd(int fd)
{
	socklen_t len = sizeof(int);
	uint64_t now = mono_usec();
	struct stat st;
	int type;

	/* Opening failed: a socket or file we have is still the better one. */
	if (fd == -1) {
		if (out == -1) {
			asked_at = now;
			schedule(REOPEN_EVERY / 1000);
		}
		return;
	}
	if (out != -1)
		close(out);
	out = fd;
	asked_at = 0;
	written = 0;
	opened = now;
	midline = false;
	retry = RETRY_MIN;
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0)
		sink = type == SOCK_STREAM ? SINK_STREAM : SINK_DGRAM;
	else if (fd_stat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		sink = SINK_FILE;
		written = (uint64_t)st.st_size;
	} else
		sink = SINK_OTHER;
	/* If the parent could not rotate, the same file comes back. */
	if (rotate_at != 0)
		rotate_next = now + (max_size != OFF && written >= max_size ?
		    ROTATE_FAILED : ROTATE_EVERY);
	rotate_at = 0;
	/* What was begun in the old place is told whole in the new one. */
	if (have_cur && !make_line())
		lost();
	schedule(0);
}

void
logger_flush(int ms)
{
	uint64_t end = mono_usec() + (uint64_t)ms * 1000;
	struct pollfd pfd;

	configured = true;		/* last words, whatever their form */
	while (sink != SINK_NONE && (have_cur || ring_used > 0)) {
		logger_run(-1, 0, NULL);
		if (mono_usec() >= end)
			break;
		if (!have_cur && ring_used == 0)
			break;
		pfd.fd = -1;
		pfd.events = 0;
		poll(&pfd, 1, sink == SINK_FILE && rotate_at == 0 ? 0 : 5);
	}
}
