/* SPDX-License-Identifier: ISC */
/* stats.c: the shared counter pages of stats.h. */

#include "compat.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "fdstat.h"
#include "stats.h"

/* How far beyond the highest descriptor ever seen open we look. */
#define DESCRIPTORS_AHEAD	256
#define DESCRIPTORS_LIMIT	65536

static struct stats_page private_page;
struct stats_page *stats = &private_page;

const char *
session_type_word(enum session_type type)
{
	static const char *words[SESSION_TYPE_MAX] = {
		[SESSION_GATEWAY] = "gateway",
		[SESSION_FORWARD] = "forward",
		[SESSION_ECHO] = "echo",
	};

	if ((unsigned)type >= SESSION_TYPE_MAX)
		return "?";
	return words[type];
}

/* Takes fd.  A page that is too short would be a SIGBUS later. */
static void *
map_page(int fd, int prot)
{
	struct stat st;
	void *p = NULL;

	if (fd_stat(fd, &st) == 0 &&
	    st.st_size >= (off_t)sizeof(struct stats_page))
		p = mmap(NULL, sizeof(struct stats_page), prot, MAP_SHARED,
		    fd, 0);
	close(fd);
	return p == MAP_FAILED ? NULL : p;
}

int
stats_attach(int fd)
{
	struct stats_page *p;
	unsigned i;

	if ((p = map_page(fd, PROT_READ | PROT_WRITE)) == NULL)
		return -1;
	memset(p->active, 0, sizeof(p->active));
	p->connections = p->queued = p->descriptors = 0;
	/* What was counted before the page came. */
	if (stats == &private_page) {
		for (i = 0; i < REASON_MAX; i++) {
			p->refusals[i] += stats->refusals[i];
			p->dial_failures[i] += stats->dial_failures[i];
		}
		p->log_dropped += stats->log_dropped;
	} else
		munmap(stats, sizeof(*stats));
	stats = p;
	return 0;
}

const struct stats_page *
stats_map(int fd)
{
	return map_page(fd, PROT_READ);
}

void
stats_unmap(const struct stats_page *p)
{
	if (p != NULL)
		munmap((void *)(uintptr_t)p, sizeof(*p));
}

int
stats_create(void)
{
	return shm_anon(sizeof(struct stats_page));
}

void
stats_descriptors(void)
{
	static int high = STDERR_FILENO;
	uint64_t n = 0;
	int fd;

	for (fd = 0; fd <= high + DESCRIPTORS_AHEAD &&
	    fd < DESCRIPTORS_LIMIT; fd++) {
		if (fcntl(fd, F_GETFD) == -1)
			continue;
		n++;
		if (fd > high)
			high = fd;
	}
	stats->descriptors = n;
}
