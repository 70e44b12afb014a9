/* SPDX-License-Identifier: ISC */

/*
 * probe_list.h: what a probe build can try inside a process, by name: for
 * tunneld and tunnelctl.  Nobody includes it in a normal build.
 */
#ifndef PROBE_LIST_H
#define PROBE_LIST_H

/*
 * Layers of the sandbox that TUNNELD_PROBE_LAYERS can name.
 *     L(name, word)
 */
#define PROBE_LAYERS(L)							\
L(SECCOMP, "seccomp")							\
L(LANDLOCK, "landlock")							\
L(CHROOT, "chroot")							\
L(UID, "uid")			/* another user than root */		\
L(CAPS, "caps")			/* no capabilities */			\
L(NNP, "nnp")			/* no_new_privs */			\
L(DUMPABLE, "dumpable")		/* nobody may look into it */		\
L(RLIMIT, "rlimit")							\
L(TABLE, "msg-table")		/* msg_allowed() */			\
L(PEER, "peer")			/* a role's own look at the sender */	\
L(DECODE, "decode")		/* payloads must be as they should */	\
L(FRAME, "frame")		/* size of a message */			\
L(OWNER, "owner")		/* a relay speaks for its own sessions */ \
L(POLICY, "policy")		/* only targets that a rule names */

#define PROBE_LAYER_ENUM(name, word) PROBE_LAYER_##name,
enum probe_layer { PROBE_LAYERS(PROBE_LAYER_ENUM) PROBE_LAYER_MAX };
#undef PROBE_LAYER_ENUM

/* P(function, name): a system call, in probe_call.c, by its errno. */
#define PROBE_CALLS(P)							\
P(open, "open") P(open_shadow, "open-shadow") P(create, "create")	\
P(write_file, "write-file") P(unlink, "unlink") P(chmod, "chmod")	\
P(stat, "stat") P(socket, "socket") P(netlink, "socket-netlink")	\
P(connect, "connect") P(unix_connect, "connect-unix")			\
P(abstract, "connect-abstract") P(bind, "bind") P(listen, "listen")	\
P(accept, "accept") P(shut_rd, "shutdown-read")				\
P(shut_wr, "shutdown-write") P(setfl, "setfl") P(fionbio, "fionbio")	\
P(dup, "dup") P(filter, "attach-filter") P(reuseport, "reuseport")	\
P(linger, "linger") P(pass, "pass-descriptor") P(pipe, "pipe")		\
P(socketpair, "socketpair") P(splice, "splice-gift")			\
P(vmsplice, "vmsplice") P(execve, "execve") P(suid, "execve-setuid")	\
P(fork, "fork") P(ptrace, "ptrace") P(kill, "kill")			\
P(kill_parent, "kill-parent") P(mem, "read-memory")			\
P(mmap_exec, "mmap-exec") P(mprotect_exec, "mprotect-exec")		\
P(io_uring, "io-uring") P(setuid, "setuid") P(chroot, "chroot")		\
P(rlimit, "setrlimit") P(prctl, "prctl") P(sigaction, "sigaction")	\
P(epoll_create, "epoll-create")

/* P(function, name): a message, in probe_msg.c; "ok" means that it is sent. */
#define PROBE_SENDS(P)							\
P(level_parent, "level-to-parent") P(reload_parent, "reload-to-parent")	\
P(worker_control, "worker-to-control") P(open_dialer, "open-to-dialer")	\
P(revoke_relay, "revoke-to-relay") P(unknown_type, "unknown-type")	\
P(short_payload, "short-payload") P(long_payload, "long-payload")	\
P(oversized, "oversized") P(cut, "cut") P(no_length, "no-length")	\
P(garbage, "garbage") P(descriptors, "descriptors")			\
P(bad_value, "bad-value") P(garbage_peers, "garbage-to-peers")		\
P(bad_peers, "bad-payload-to-peers")					\
P(open_target, "open-target") P(open_owner, "open-foreign")

#define PROBES(P)	PROBE_CALLS(P) PROBE_SENDS(P)
#define PROBE_ENUM(fn, name) PROBE_##fn,
enum probe { PROBES(PROBE_ENUM) PROBE_MAX };
#undef PROBE_ENUM

/* The argument of CTL_PROBE. */
#define PROBE_ARG(role, probe)	((uint64_t)(role) << 32 | (probe))
#define PROBE_ARG_ROLE(arg)	((unsigned)((arg) >> 32))
#define PROBE_ARG_PROBE(arg)	((unsigned)((arg) & 0xffffffff))

#endif /* PROBE_LIST_H */
