/* SPDX-License-Identifier: ISC */

/* splice.c: the relay's pool of pipes, see splice.h. */

#include "compat.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "splice.h"

static struct pipe	*pool;
static unsigned		 npipes;

#if HAVE_SPLICE

/*
 * Pipes count against the user's fs.pipe-user-pages-soft: beyond it the size
 * is refused, and a new pipe is too small to be worth a system call.
 */
static struct pipe *
pipe_new(void)
{
	struct pipe	*p;
	int		 fd[2];

	if ((p = calloc(1, sizeof(*p))) == NULL)
		return NULL;
	if (pipe2(fd, O_CLOEXEC | O_NONBLOCK) == -1) {
		free(p);
		return NULL;
	}
	if (fcntl(fd[1], F_SETPIPE_SZ, PIPE_BYTES) == -1) {
		close(fd[0]);
		close(fd[1]);
		free(p);
		return NULL;
	}
	p->rd = fd[0];
	p->wr = fd[1];
	return p;
}

static ssize_t
move(int from, int to, size_t max, bool more)
{
	unsigned	 flags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK;
	ssize_t		 n;

	if (more)
		flags |= SPLICE_F_MORE;
	do
		n = splice(from, NULL, to, NULL, max, flags);
	while (n == -1 && errno == EINTR);
	return n;
}

#else

static struct pipe *
pipe_new(void)
{
	return NULL;
}

static ssize_t
move(int from, int to, size_t max, bool more)
{
	errno = ENOSYS;
	return -1;
}

#endif /* HAVE_SPLICE */

void
pipe_pool(unsigned n)
{
	struct pipe	*p;

	while (npipes < n && (p = pipe_new()) != NULL) {
		npipes++;
		pipe_put(p);
	}
}

unsigned
pipe_count(void)
{
	return npipes;
}

struct pipe *
pipe_get(void)
{
	struct pipe	*p = pool;

	if (p != NULL)
		pool = p->next;
	return p;
}

void
pipe_put(struct pipe *p)
{
	uint8_t	 buf[4096];

	while (p->len != 0 && pipe_read(p, buf, sizeof(buf)) > 0)
		;
	if (p->len != 0) {
		close(p->rd);
		close(p->wr);
		free(p);
		npipes--;
		return;
	}
	p->next = pool;
	pool = p;
}

ssize_t
pipe_fill(struct pipe *p, int fd, size_t max)
{
	ssize_t	 n;

	if ((n = move(fd, p->wr, max, false)) > 0)
		p->len += (uint32_t)n;
	return n;
}

ssize_t
pipe_drain(struct pipe *p, int fd, size_t max, bool more)
{
	ssize_t	 n;

	if ((n = move(p->rd, fd, max, more)) > 0)
		p->len -= (uint32_t)n;
	return n;
}

ssize_t
pipe_read(struct pipe *p, void *buf, size_t max)
{
	ssize_t	 n;

	do
		n = read(p->rd, buf, max);
	while (n == -1 && errno == EINTR);
	if (n > 0)
		p->len -= (uint32_t)n;
	return n;
}
