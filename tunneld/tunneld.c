/* SPDX-License-Identifier: ISC */

/* tunneld.c: the parent: options, start, signals, exit. */

#include "compat.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include <errno.h>
#include <event.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "child.h"
#include "ctlsock.h"
#include "inbox.h"
#include "listen.h"
#include "log.h"
#include "logfile.h"
#include "notify.h"
#include "parent.h"
#include "planted.h"
#include "plog.h"
#include "reload.h"
#include "sandbox.h"
#include "shutdown.h"
#include "supervise.h"
#include "unixsock.h"

#define CONF_FILE	SYSCONFDIR "/tunneld.conf"
#define EMPTY_DIR	"/var/empty"
#define MACROS_MAX	64
#ifdef __OpenBSD__
#define USERADD		"useradd -s /sbin/nologin -d /var/empty "
#else
#define USERADD		"useradd --system --no-create-home " \
			    "--shell /usr/sbin/nologin "
#endif
#define IN_USE_TRIES	10	/* the children of a killed parent need a */
#define IN_USE_USEC	100000	/* moment to let go of its addresses */

struct parent	 parent = { .control_fd = -1 };

static struct event	 hup_ev, usr1_ev, term_ev, int_ev;

static __dead void
usage(void)
{
	fprintf(stderr, "usage: tunneld [-dnvV] [-D name=value] "
	    "[-e text | -f file]\n");
	exit(2);
}

static void
complain(const char *fmt, va_list ap)
{
	fprintf(stderr, "tunneld: ");
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, "\n");
}

/* Before anything was made that would have to be removed. */
static __dead void __attribute__((__format__(printf, 1, 2)))
refuse(const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	complain(fmt, ap);
	exit(1);
}

void
parent_fail(const char *fmt, ...)
{
	va_list	 ap;

	sup_kill_all();
	plog_dump();
	va_start(ap, fmt);
	complain(fmt, ap);
	va_end(ap);
	unixsock_unlink_all();
	exit(1);
}

void
parent_exit(int code)
{
	if (code != 0)
		plog_dump();
	unixsock_unlink_all();
	conf_unref(parent.conf);
	exit(code);
}

void
parent_ready(void)
{
	struct logrec	 r;

	parent.phase = PHASE_RUN;
	sup_row(NULL);
	listen_log(parent.conf, NULL);
	log_begin(&r, LOG_L_BRIEF, EV_LOG_READY);
	log_num(&r, LK_GENERATION, parent.conf->generation);
	log_num(&r, LK_PID, (uint64_t)getpid());
	if (PLANTED[0] != '\0')
		log_str(&r, LK_MESSAGE, "planted " PLANTED);
	log_send(&r);
	sandbox_parent(parent.conf);
	notify_ready();
	if (!parent.debug) {
		logfile_detach(parent.conf);
		daemon_started();
	}
	reload_pending();
}

/*
 * Preparations.
 */
/*
 * 0-2 are open, whoever started us, and the numbers that a child gets its
 * channel on stay free of anything that the way there still needs.
 */
static void
open_standard_fds(void)
{
	int	 fd;

	closefrom(STDERR_FILENO + 1);
	do {
		if ((fd = open("/dev/null", O_RDWR)) == -1)
			exit(1);
		if (fd > STDERR_FILENO &&
		    fcntl(fd, F_SETFD, FD_CLOEXEC) == -1)
			exit(1);
	} while (fd < VIOLATION_FD);
}

static void
raise_limits(void)
{
	struct rlimit	 rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == -1 || rl.rlim_cur == rl.rlim_max)
		return;
	rl.rlim_cur = rl.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &rl) == -1)
		log_warn("RLIMIT_NOFILE");
}

/* As daemons leave the directory they were started in. */
static const char *
absolute(const char *file)
{
	char	 cwd[PATH_MAX], *path;

	if (*file == '/' || strcmp(file, "-") == 0)
		return (file);
	if (getcwd(cwd, sizeof(cwd)) == NULL)
		refuse("current directory: %s", strerror(errno));
	if (asprintf(&path, "%s/%s", cwd, file) == -1)
		refuse("%s", strerror(errno));
	return (path);
}

/* Errors inside of it read FILE:LINE; that it cannot be had is ours. */
static void
find_file(void)
{
	if (parent.file == NULL || strcmp(parent.file, "-") == 0 ||
	    access(parent.file, R_OK) == 0)
		return;
	refuse("%s: %s%s", parent.file, strerror(errno),
	    strcmp(parent.file, CONF_FILE) == 0 ?
	    " (another configuration: -f FILE)" : "");
}

/* The user the children become; they stay what we are when we are not root. */
static void
find_user(const struct conf *c)
{
	const char	*name = c->user != NULL ? c->user : TUNNELD_USER;
	struct passwd	*pw;

	parent.uid = geteuid();
	parent.gid = getegid();
	if (geteuid() != 0)
		return;
	parent.root = true;
	if ((pw = getpwnam(name)) == NULL)
		refuse("user \"%s\": there is no such user: create it ("
		    USERADD "%s), or name another one in the configuration "
		    "(user \"nobody\")", name, name);
	if (pw->pw_uid == 0 || pw->pw_gid == 0)
		refuse("user \"%s\": must not be root", name);
	parent.uid = pw->pw_uid;
	parent.gid = pw->pw_gid;
}

/* Nobody but root may ever be able to put something into it. */
static void
find_chroot(const struct conf *c)
{
	const char	*dir = c->chroot != NULL ? c->chroot : EMPTY_DIR;
	struct stat	 st;

	if (!parent.root || c->chroot_off)
		return;
	if (strcmp(dir, EMPTY_DIR) == 0 && mkdir(dir, 0755) == -1 &&
	    errno != EEXIST)
		refuse("chroot \"%s\": %s", dir, strerror(errno));
	if (stat(dir, &st) == -1)
		refuse("chroot \"%s\": %s", dir, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		refuse("chroot \"%s\": not a directory", dir);
	if (st.st_uid != 0 || (st.st_mode & 022) != 0)
		refuse("chroot \"%s\": must belong to root, and nobody else "
		    "may write to it", dir);
	if (strlcpy(parent.chroot, dir, sizeof(parent.chroot)) >=
	    sizeof(parent.chroot))
		refuse("chroot \"%s\": path too long", dir);
}

static void
read_conf(void)
{
	find_file();
	if ((parent.conf = reload_parse(stderr)) == NULL)
		exit(1);
	log_setlevel((enum log_level)parent.conf->log_level);
	find_user(parent.conf);
	find_chroot(parent.conf);
	if (reload_adopt(parent.conf, NULL, stderr) == -1)
		exit(1);
}

static void
open_listeners(void)
{
	FILE	*err;
	char	*text;
	size_t	 len;
	int	 i, r, saved;

	for (i = 0;; i++) {
		text = NULL;
		if ((err = open_memstream(&text, &len)) == NULL)
			refuse("%s", strerror(errno));
		r = listen_open(parent.conf, err);
		saved = errno;
		if (fclose(err) != 0)
			refuse("%s", strerror(errno));
		if (r == 0 || saved != EADDRINUSE || i == IN_USE_TRIES)
			break;
		free(text);
		usleep(IN_USE_USEC);
	}
	fputs(text, stderr);
	free(text);
	if (r == -1) {
		unixsock_unlink_all();
		exit(1);
	}
}

static void
open_control(void)
{
	char	 err[PATH_MAX_LEN + 512];
	int	 i;

	for (i = 0;; i++) {
		err[0] = '\0';
		parent.control_fd = ctlsock_open(parent.conf, err,
		    sizeof(err));
		if (parent.control_fd != -1 || err[0] == '\0')
			return;
		if (errno != EADDRINUSE || i == IN_USE_TRIES)
			parent_fail("%s", err);
		usleep(IN_USE_USEC);
	}
}

static void
check_log(void)
{
	char	 err[PATH_MAX_LEN + 256];
	int	 fd;

	if ((fd = logfile_open(parent.conf, err, sizeof(err))) != -1)
		close(fd);
	else if (logfile_dest(parent.conf) == LOG_SYSLOG)
		/* It may come; until then records are lost, and counted. */
		fprintf(stderr, "tunneld: %s\n", err);
	else
		parent_fail("%s", err);
}

/*
 * -n: nothing is opened; -v prints what the configuration means.
 */
static __dead void
only_check(void)
{
	struct conf	*c;

	find_file();
	c = conf_parse(parent.file, parent.text, parent.macros, stderr);
	if (c == NULL || conf_check(c, c->file, stderr) == -1)
		exit(1);
	if (parent.verbose) {
		conf_print(c, stdout);
		if (fflush(stdout) == EOF)
			refuse("standard output: %s", strerror(errno));
	}
	conf_unref(c);
	fprintf(stderr, "configuration OK\n");
	exit(0);
}

/*
 * Signals.
 */
static void
on_hup(int sig, short ev, void *arg)
{
	reload_start(RELOAD_SIGNAL, 0);
}

static void
on_usr1(int sig, short ev, void *arg)
{
	inbox_reopen(false, true);
}

static void
on_term(int sig, short ev, void *arg)
{
	shutdown_begin();
}

static void
catch(struct event *ev, int sig, void (*fn)(int, short, void *))
{
	signal_set(ev, sig, fn, NULL);
	if (signal_add(ev, NULL) == -1)
		fatal("signal %d", sig);
}

static __dead void
run(void)
{
	event_init();
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		fatal("SIGPIPE");
	catch(&hup_ev, SIGHUP, on_hup);
	catch(&usr1_ev, SIGUSR1, on_usr1);
	catch(&term_ev, SIGTERM, on_term);
	catch(&int_ev, SIGINT, on_term);
	shutdown_init();
	reload_init();
	sup_init();
	sup_populate(conf_prefork(parent.conf));
	event_dispatch();
	fatalx("event loop ended");
}

static __dead void
become_child(const char *role)
{
	static const struct role_ops *const all[] = { &control_ops,
					    &dialer_ops, &relay_ops };
	size_t	 i;

	for (i = 0; i < nitems(all); i++) {
		if (strcmp(role_name(all[i]->role), role) == 0)
			child_main(all[i]);
	}
	usage();
}

static __dead void
version(void)
{
	/* Of configure --enable-planted. */
	const char	*defect = PLANTED[0] != '\0' ? " (planted "
			    PLANTED ": for tests only)" : "";

#if defined(TUNNELD_PROBES)
	printf("tunneld %s (built with PROBES: for tests only)%s\n",
	    VERSION, defect);
#elif defined(TUNNELD_NO_SECCOMP)
	printf("tunneld %s (built WITHOUT a sandbox: for tests only)%s\n",
	    VERSION, defect);
#else
	printf("tunneld %s%s\n", VERSION, defect);
#endif
	exit(0);
}

static bool
options(int argc, char **argv)
{
	static char	*macros[MACROS_MAX + 1];
	size_t		 nmacros = 0;
	bool		 check = false;
	int		 ch;

	while ((ch = getopt(argc, argv, "D:de:f:nR:vV")) != -1) {
		switch (ch) {
		case 'D':
			if (strchr(optarg, '=') == NULL ||
			    nmacros == MACROS_MAX)
				usage();
			macros[nmacros++] = optarg;
			break;
		case 'd':
			parent.debug = true;
			break;
		case 'e':
			parent.text = optarg;
			break;
		case 'f':
			parent.file = optarg;
			break;
		case 'n':
			check = true;
			break;
		case 'R':
			become_child(optarg);
		case 'v':
			parent.verbose = true;
			break;
		case 'V':
			version();
		default:
			usage();
		}
	}
	if (optind != argc ||
	    (parent.text != NULL && parent.file != NULL))
		usage();
	if (parent.text == NULL && parent.file == NULL)
		parent.file = CONF_FILE;
	if (nmacros > 0)
		parent.macros = macros;
	return (check);
}

int
main(int argc, char **argv)
{
	bool	 check;

#if HAVE_SETPROCTITLE_INIT
	extern char	**environ;

	setproctitle_init(argc, argv, environ);
#endif
	log_init(ROLE_PARENT, 0);
	check = options(argc, argv);
	open_standard_fds();
	raise_limits();
	if (check)
		only_check();
	if (self_exec_init(argv[0]) == -1)
		refuse("cannot find our own executable: %s", strerror(errno));
	umask(022);
	parent.started = mono_usec();
	notify_init();
	logfile_init();
	read_conf();
	open_listeners();
	open_control();
	check_log();
	if (!parent.debug) {
		if (parent.file != NULL)
			parent.file = absolute(parent.file);
		daemon_fork();
	}
	plog_init();
	run();
}
