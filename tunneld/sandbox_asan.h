/* SPDX-License-Identifier: ISC */

/*
 * sandbox_asan.h: what sanitizer builds (TUNNELD_ASAN) may do on top, in one
 * place and nowhere else.  Their run-time library asks the system about
 * itself, and when it reports it wants to start a symbolizer: that fails
 * politely, so that the report is written without names.
 */
#ifndef SANDBOX_ASAN_H
#define SANDBOX_ASAN_H

static const uint32_t sc_asan_noent[] = { ENOENT };
static const uint32_t sc_asan_perm[] = { EPERM };

static const struct sc_rule sc_asan[] = {
	{ __NR_sigaltstack, SC_ALLOW, 0, 0, NULL },
	{ __NR_sched_getaffinity, SC_ALLOW, 0, 0, NULL },
	{ __NR_prlimit64, SC_ALLOW, 0, 0, NULL },
	{ __NR_getrusage, SC_ALLOW, 0, 0, NULL },
	{ __NR_uname, SC_ALLOW, 0, 0, NULL },
	{ __NR_lseek, SC_ALLOW, 0, 0, NULL },
	{ __NR_pread64, SC_ALLOW, 0, 0, NULL },
	{ __NR_pipe2, SC_ALLOW, 0, 0, NULL },
	{ __NR_dup, SC_ALLOW, 0, 0, NULL },
	{ __NR_wait4, SC_ALLOW, 0, 0, NULL },
	{ __NR_nanosleep, SC_ALLOW, 0, 0, NULL },
	{ __NR_clock_nanosleep, SC_ALLOW, 0, 0, NULL },
	{ __NR_sched_yield, SC_ALLOW, 0, 0, NULL },
#ifdef __NR_pipe
	{ __NR_pipe, SC_ALLOW, 0, 0, NULL },
#endif
	{ __NR_getppid, SC_ERRNO, 0, 1, sc_asan_perm },
	{ __NR_prctl, SC_ERRNO, 0, 1, sc_asan_perm },
	{ __NR_personality, SC_ERRNO, 0, 1, sc_asan_perm },
	{ __NR_openat, SC_ERRNO, 0, 1, sc_asan_noent },
	{ __NR_readlinkat, SC_ERRNO, 0, 1, sc_asan_noent },
	{ __NR_newfstatat, SC_ALLOW, 0, 0, NULL },
	{ __NR_getcwd, SC_ERRNO, 0, 1, sc_asan_noent },
#ifdef __NR_open
	{ __NR_open, SC_ERRNO, 0, 1, sc_asan_noent },
	{ __NR_stat, SC_ERRNO, 0, 1, sc_asan_noent },
	{ __NR_lstat, SC_ERRNO, 0, 1, sc_asan_noent },
	{ __NR_access, SC_ERRNO, 0, 1, sc_asan_noent },
	{ __NR_readlink, SC_ERRNO, 0, 1, sc_asan_noent },
	{ __NR_fork, SC_ERRNO, 0, 1, sc_asan_perm },
	{ __NR_vfork, SC_ERRNO, 0, 1, sc_asan_perm },
#endif
	{ __NR_clone, SC_ERRNO, 0, 1, sc_asan_perm },
#ifdef __NR_clone3
	{ __NR_clone3, SC_ERRNO, 0, 1, sc_asan_perm },
#endif
	{ __NR_execve, SC_ERRNO, 0, 1, sc_asan_perm },
	{ __NR_ptrace, SC_ERRNO, 0, 1, sc_asan_perm },
};

#endif /* SANDBOX_ASAN_H */
