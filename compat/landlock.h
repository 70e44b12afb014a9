/* SPDX-License-Identifier: ISC */

/*
 * landlock.h: Landlock up to ABI 7: what the installed kernel header lacks
 * (Debian 12 has ABI 2's), and the three system calls, for which glibc has no
 * wrapper.  Which rights to handle depends on landlock_abi(), at run time.
 */
#ifndef COMPAT_LANDLOCK_H
#define COMPAT_LANDLOCK_H

#include <sys/syscall.h>

#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#ifndef __NR_landlock_create_ruleset	/* the same on all architectures */
#define __NR_landlock_create_ruleset	444
#define __NR_landlock_add_rule		445
#define __NR_landlock_restrict_self	446
#endif

/* ABI 1 */
#define LL_FS_EXECUTE		(1ULL << 0)
#define LL_FS_WRITE_FILE	(1ULL << 1)
#define LL_FS_READ_FILE		(1ULL << 2)
#define LL_FS_READ_DIR		(1ULL << 3)
#define LL_FS_REMOVE_DIR	(1ULL << 4)
#define LL_FS_REMOVE_FILE	(1ULL << 5)
#define LL_FS_MAKE_CHAR		(1ULL << 6)
#define LL_FS_MAKE_DIR		(1ULL << 7)
#define LL_FS_MAKE_REG		(1ULL << 8)
#define LL_FS_MAKE_SOCK		(1ULL << 9)
#define LL_FS_MAKE_FIFO		(1ULL << 10)
#define LL_FS_MAKE_BLOCK	(1ULL << 11)
#define LL_FS_MAKE_SYM		(1ULL << 12)
#define LL_FS_REFER		(1ULL << 13)	/* ABI 2 */
#define LL_FS_TRUNCATE		(1ULL << 14)	/* ABI 3 */
#define LL_FS_IOCTL_DEV		(1ULL << 15)	/* ABI 5 */
#define LL_NET_BIND_TCP		(1ULL << 0)	/* ABI 4 */
#define LL_NET_CONNECT_TCP	(1ULL << 1)	/* ABI 4 */
#define LL_SCOPE_ABSTRACT_UNIX	(1ULL << 0)	/* ABI 6 */
#define LL_SCOPE_SIGNAL		(1ULL << 1)	/* ABI 6 */

#define LL_RULE_PATH_BENEATH	1
#define LL_RULE_NET_PORT	2		/* ABI 4 */

#define LL_CREATE_VERSION	(1U << 0)

/* An older kernel accepts the longer struct if what it lacks is zero. */
struct ll_ruleset_attr {
	uint64_t	handled_access_fs;
	uint64_t	handled_access_net;	/* ABI 4 */
	uint64_t	scoped;			/* ABI 6 */
};

struct ll_path_beneath_attr {
	uint64_t	allowed_access;
	int32_t		parent_fd;
} __attribute__((__packed__));

struct ll_net_port_attr {
	uint64_t	allowed_access;
	uint64_t	port;			/* host order */
};

/* The ABI of the running kernel; 0: no Landlock, or it is switched off. */
static inline int
landlock_abi(void)
{
	long	 abi;

	abi = syscall(__NR_landlock_create_ruleset, NULL, (size_t)0,
	    LL_CREATE_VERSION);
	return abi < 1 ? 0 : (int)abi;
}

/* Every file right that this ABI knows: unhandled rights are allowed. */
static inline uint64_t
landlock_fs_all(int abi)
{
	uint64_t	 all = LL_FS_REFER - 1;

	if (abi >= 2)
		all |= LL_FS_REFER;
	if (abi >= 3)
		all |= LL_FS_TRUNCATE;
	if (abi >= 5)
		all |= LL_FS_IOCTL_DEV;
	return all;
}

static inline uint64_t
landlock_net_all(int abi)
{
	return abi >= 4 ? LL_NET_BIND_TCP | LL_NET_CONNECT_TCP : 0;
}

static inline uint64_t
landlock_scope_all(int abi)
{
	return abi >= 6 ? LL_SCOPE_ABSTRACT_UNIX | LL_SCOPE_SIGNAL : 0;
}

/* A ruleset's descriptor (close-on-exec), or -1. */
static inline int
landlock_create_ruleset(const struct ll_ruleset_attr *attr, size_t size,
    uint32_t flags)
{
	return (int)syscall(__NR_landlock_create_ruleset, attr, size, flags);
}

static inline int
landlock_add_rule(int ruleset, int type, const void *attr, uint32_t flags)
{
	return (int)syscall(__NR_landlock_add_rule, ruleset, type, attr,
	    flags);
}

static inline int
landlock_restrict_self(int ruleset, uint32_t flags)
{
	return (int)syscall(__NR_landlock_restrict_self, ruleset, flags);
}

#endif /* COMPAT_LANDLOCK_H */
