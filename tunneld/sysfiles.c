/* SPDX-License-Identifier: ISC */

/* sysfiles.c: hosts and resolv.conf, read in the parent. */

#include "compat.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf.h"
#include "log.h"
#include "sysfiles.h"

#define HOSTS		"/etc/hosts"
#define RESOLV_CONF	"/etc/resolv.conf"
#define SERVERS_MAX	8
#define DNS_PORT	53

/* What a file was like when it was looked at last. */
struct seen {
	bool		 there;
	dev_t		 dev;
	ino_t		 ino;
	off_t		 size;
	struct timespec	 mtime, ctime;
};
static struct seen	 seen_hosts, seen_resolv;

static void
look(const char *path, struct seen *s)
{
	struct stat	 st;

	memset(s, 0, sizeof(*s));
	if (stat(path, &st) == -1)
		return;
	s->there = true;
	s->dev = st.st_dev;
	s->ino = st.st_ino;
	s->size = st.st_size;
	s->mtime = st.st_mtim;
	s->ctime = st.st_ctim;
}

static bool
same(const struct seen *a, const struct seen *b)
{
	return (a->there == b->there && a->dev == b->dev &&
	    a->ino == b->ino && a->size == b->size &&
	    a->mtime.tv_sec == b->mtime.tv_sec &&
	    a->mtime.tv_nsec == b->mtime.tv_nsec &&
	    a->ctime.tv_sec == b->ctime.tv_sec &&
	    a->ctime.tv_nsec == b->ctime.tv_nsec);
}

/* A regular file's content with NUL, without NULs inside; NULL with errno. */
static char *
slurp(const char *path)
{
	struct stat	 st;
	char		*text;
	ssize_t		 n;
	size_t		 size, len = 0, i;
	int		 fd, saved;
	bool		 cut;

	/* Not blocked by a FIFO that somebody put there. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd == -1)
		return (NULL);
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode)) {
		close(fd);
		errno = EINVAL;
		return (NULL);
	}
	cut = st.st_size > CONF_HOSTS_MAX;
	size = cut ? CONF_HOSTS_MAX : (size_t)st.st_size;
	if ((text = malloc(size + 1)) == NULL)
		fatal("slurp");
	while (len < size && (n = read(fd, text + len, size - len)) != 0) {
		if (n > 0)
			len += (size_t)n;
		else if (errno != EINTR) {
			saved = errno;
			free(text);
			close(fd);
			errno = saved;
			return (NULL);
		}
	}
	close(fd);
	if (cut) {
		/* Half a line would be another name. */
		while (len > 0 && text[len - 1] != '\n')
			len--;
		log_warnx("%s has %lld bytes: only the first %zu are used",
		    path, (long long)st.st_size, len);
	}
	for (i = 0; i < len; i++) {
		if (text[i] == '\0')
			text[i] = ' ';
	}
	text[len] = '\0';
	return (text);
}

static void
add_server(struct conf *c, const char *word)
{
	struct conf_resolver	*r;

	if ((r = calloc(1, sizeof(*r))) == NULL)
		fatal("add_server");
	if (addr_parse(word, DNS_PORT, &r->addr) == -1) {
		log_warnx("%s: nameserver %s is not understood", RESOLV_CONF,
		    word);
		free(r);
		return;
	}
	TAILQ_INSERT_TAIL(&c->nameservers, r, entry);
}

/* resolv.conf(5): only who to ask; names are used as they are written. */
static void
parse_resolv(struct conf *c, char *text)
{
	char	*line, *word;
	int	 n = 0;

	while ((line = strsep(&text, "\n")) != NULL && n < SERVERS_MAX) {
		line[strcspn(line, "#;")] = '\0';
		line += strspn(line, " \t");
		word = strsep(&line, " \t");
		if (line == NULL || strcmp(word, "nameserver") != 0)
			continue;
		line += strspn(line, " \t");
		line[strcspn(line, " \t\r")] = '\0';
		if (*line == '\0')
			continue;
		add_server(c, line);
		n++;
	}
}

int
sysfiles_read(struct conf *c, FILE *err)
{
	const char	*hosts = c->hosts_path != NULL ? c->hosts_path : HOSTS;
	char		*text;

	/* Looked at before it is read: a change in between is seen later. */
	look(hosts, &seen_hosts);
	look(RESOLV_CONF, &seen_resolv);

	free(c->hosts_text);
	if ((c->hosts_text = slurp(hosts)) == NULL) {
		if (c->hosts_path != NULL) {
			fprintf(err, "%s: hosts \"%s\": %s\n", c->file, hosts,
			    strerror(errno));
			return (-1);
		}
		if (errno != ENOENT)
			log_warn("%s", hosts);
		if ((c->hosts_text = strdup("")) == NULL)
			fatal("strdup");
	}
	if (!TAILQ_EMPTY(&c->resolvers))
		return (0);
	if ((text = slurp(RESOLV_CONF)) != NULL) {
		parse_resolv(c, text);
		free(text);
	} else if (errno != ENOENT)
		log_warn("%s", RESOLV_CONF);
	/* resolv.conf(5): without any, the one of this machine. */
	if (TAILQ_EMPTY(&c->nameservers))
		add_server(c, "127.0.0.1");
	return (0);
}

void
sysfiles_forget(void)
{
	memset(&seen_hosts, 0, sizeof(seen_hosts));
	memset(&seen_resolv, 0, sizeof(seen_resolv));
}

bool
sysfiles_changed(const struct conf *c)
{
	struct seen	 hosts, resolv;
	bool		 changed;

	look(c->hosts_path != NULL ? c->hosts_path : HOSTS, &hosts);
	look(RESOLV_CONF, &resolv);
	changed = !same(&hosts, &seen_hosts) ||
	    (TAILQ_EMPTY(&c->resolvers) && !same(&resolv, &seen_resolv));
	seen_hosts = hosts;
	seen_resolv = resolv;
	return (changed);
}
