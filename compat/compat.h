/* SPDX-License-Identifier: ISC */

/*
 * compat.h: first include of every .c file: config.h, and what this system
 * lacks of OpenBSD's.  Every HAVE_ name is defined, as 0 or 1: -Wundef finds
 * one that configure does not know.
 */
#ifndef COMPAT_H
#define COMPAT_H

#include "config.h"

#include <sys/types.h>
#include <sys/queue.h>
#include <sys/tree.h>

#include <stddef.h>

#ifndef __dead
#define __dead		__attribute__((__noreturn__))
#endif

#ifndef nitems
#define nitems(a)	(sizeof(a) / sizeof((a)[0]))
#endif

#ifndef TAILQ_FOREACH_SAFE
#define TAILQ_FOREACH_SAFE(var, head, field, tvar)			\
	for ((var) = TAILQ_FIRST(head);					\
	    (var) != NULL && ((tvar) = TAILQ_NEXT(var, field), 1);	\
	    (var) = (tvar))
#endif

/*
 * libbsd's RB_*_STATIC say __unused, which it cannot define: Linux headers
 * have members of that name.  So say it here without the macro.
 */
#ifndef __unused
#undef RB_PROTOTYPE_STATIC
#define RB_PROTOTYPE_STATIC(name, type, field, cmp)			\
	RB_PROTOTYPE_INTERNAL(name, type, field, cmp,			\
	    __attribute__((__unused__)) static)
#undef RB_GENERATE_STATIC
#define RB_GENERATE_STATIC(name, type, field, cmp)			\
	RB_GENERATE_INTERNAL(name, type, field, cmp,			\
	    __attribute__((__unused__)) static)
#endif

#if !HAVE_SETPROCTITLE_INIT
#define setproctitle_init(argc, argv, envp)	((void)0)
#endif

#if !HAVE_TIMINGSAFE
/* 0 if equal; takes the same time wherever the difference is. */
int	 timingsafe_bcmp(const void *, const void *, size_t);
/* As memcmp(3), in constant time. */
int	 timingsafe_memcmp(const void *, const void *, size_t);
#endif

/*
 * Anonymous shared memory of size bytes, zeroed, close-on-exec, without a
 * name; where the system can, sealed so that nobody can resize it (a map of
 * a shrunk object would die of SIGBUS).  Returns a descriptor, or -1 with
 * errno.
 */
int	 shm_anon(size_t size);

/*
 * Run our own executable again, even when its file has been replaced.
 * self_exec_init() is called once, first thing in main(), before any chdir:
 * it keeps a descriptor (close-on-exec) where the system can execute one, or
 * else the absolute path.  Returns 0, or -1 with errno.
 * self_exec() replaces the process like execv(3); it returns only on failure.
 * self_exec_fd() is a new descriptor open for reading our executable (the
 * caller closes it), or -1 with errno.
 */
int	 self_exec_init(const char *argv0);
int	 self_exec(char *const argv[]);
int	 self_exec_fd(void);

#endif /* COMPAT_H */
