/* SPDX-License-Identifier: ISC */

/* msg.c: who may say what to whom; messages of the parent and its children. */

#include "compat.h"

#include <sys/types.h>

#include <elf.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

#include "chan.h"
#include "msg.h"

#define ROLE_ANY	ROLE_MAX	/* any child */

static const struct msg_rule {
	const char	*name;
	enum role	 from, to;
} rules[MSG_MAX] = {
#define MSG_RULE(type, from, to)					\
	[MSG_##type] = { #type, ROLE_##from, ROLE_##to },
	MESSAGES(MSG_RULE)
#undef MSG_RULE
};

const char *
msg_name(uint32_t type)
{
	if (type >= MSG_MAX || rules[type].name == NULL)
		return ("?");
	return (rules[type].name);
}

static bool
role_matches(enum role rule, enum role r)
{
	if (rule == ROLE_ANY)
		return (r != ROLE_PARENT && r < ROLE_MAX);
	return (rule == r);
}

bool
msg_allowed(uint32_t type, enum role from, enum role to)
{
	if (!LAYER(TABLE))
		return (true);
	if (type >= MSG_MAX || rules[type].name == NULL)
		return (false);
	return (role_matches(rules[type].from, from) &&
	    role_matches(rules[type].to, to));
}

const char *
worker_state_word(enum worker_state s)
{
	static const char *const words[WORKER_STATE_MAX] = {
		[WORKER_STARTING] = "starting",
		[WORKER_READY] = "ready",
		[WORKER_DRAINING] = "draining",
		[WORKER_WAITING] = "waiting",
		[WORKER_GONE] = "gone"
	};

	return ((unsigned)s < WORKER_STATE_MAX ? words[s] : "?");
}

/*
 * All loaded parts of the executable that nothing writes to: code where it
 * may be read, constants, and the linker's build id where there is one.
 */
static int	build_hash(struct dl_phdr_info *, size_t, void *)
		    /* it reads the red zones between constants, too */
		    __attribute__((__no_sanitize__("address")));

static int
build_hash(struct dl_phdr_info *info, size_t size, void *arg)
{
	uint64_t	*h = arg;
	const uint8_t	*p;
	size_t		 i, n;
	unsigned	 seg;

	for (seg = 0; seg < info->dlpi_phnum; seg++) {
		if (info->dlpi_phdr[seg].p_type != PT_LOAD ||
		    !(info->dlpi_phdr[seg].p_flags & PF_R) ||
		    (info->dlpi_phdr[seg].p_flags & PF_W))
			continue;
		p = (const uint8_t *)(uintptr_t)(info->dlpi_addr +
		    info->dlpi_phdr[seg].p_vaddr);
		n = info->dlpi_phdr[seg].p_filesz;
		for (i = 0; i < n; i++)		/* FNV-1a */
			*h = (*h ^ p[i]) * 0x100000001b3ULL;
	}
	return (1);				/* the executable comes first */
}

uint64_t
build_id(void)
{
	static uint64_t	 id;

	if (id == 0) {
		id = 0xcbf29ce484222325ULL;
		dl_iterate_phdr(build_hash, &id);
	}
	return (id);
}

static int
get_role(struct ibuf *b, enum role *role)
{
	unsigned	 v;

	if (get_enum(b, ROLE_MAX, &v) == -1)
		return (-1);
	*role = (enum role)v;
	return (0);
}

/* Slots index tables everywhere: none above the bound gets in. */
static int
get_slot(struct ibuf *b, unsigned *slot)
{
	uint32_t	 v;

	if (ibuf_get_n32(b, &v) == -1 || v >= RELAYS_MAX)
		return (-1);
	*slot = v;
	return (0);
}

int
msg_empty_get(struct imsg *m)
{
	return (imsg_get_len(m) == 0 || !LAYER(DECODE) ? 0 : -1);
}

int
msg_hello_put(struct ibuf *b, const struct msg_hello *h)
{
	if (b == NULL || ibuf_add_n8(b, h->role) == -1 ||
	    ibuf_add_n32(b, h->slot) == -1 ||
	    ibuf_add_n32(b, h->incarnation) == -1 ||
	    ibuf_add_n64(b, h->build) == -1 ||
	    put_bool(b, h->debug) == -1 ||
	    put_bool(b, h->jail_root) == -1 ||
	    ibuf_add_n32(b, h->uid) == -1 ||
	    ibuf_add_n32(b, h->gid) == -1 ||
	    put_str(b, h->chroot) == -1 ||
	    ibuf_add_n64(b, h->started) == -1 ||
	    ibuf_add_n32(b, h->pipes) == -1)
		return (-1);
	return (0);
}

int
msg_hello_get(struct imsg *m, struct msg_hello *h)
{
	struct ibuf	 b;

	memset(h, 0, sizeof(*h));
	if (imsg_get_ibuf(m, &b) == -1 || get_role(&b, &h->role) == -1 ||
	    get_slot(&b, &h->slot) == -1 ||
	    ibuf_get_n32(&b, &h->incarnation) == -1 ||
	    ibuf_get_n64(&b, &h->build) == -1 ||
	    get_bool(&b, &h->debug) == -1 ||
	    get_bool(&b, &h->jail_root) == -1 ||
	    ibuf_get_n32(&b, &h->uid) == -1 ||
	    ibuf_get_n32(&b, &h->gid) == -1 ||
	    get_str(&b, h->chroot, sizeof(h->chroot)) == -1 ||
	    ibuf_get_n64(&b, &h->started) == -1 ||
	    ibuf_get_n32(&b, &h->pipes) == -1 ||
	    ibuf_size(&b) != 0)
		return (-1);
	return (0);
}

int
msg_peer_put(struct ibuf *b, const struct msg_peer *p)
{
	if (b == NULL || ibuf_add_n8(b, p->role) == -1 ||
	    ibuf_add_n32(b, p->slot) == -1 ||
	    ibuf_add_n32(b, p->incarnation) == -1)
		return (-1);
	return (0);
}

int
msg_peer_get(struct imsg *m, struct msg_peer *p)
{
	struct ibuf	 b;

	memset(p, 0, sizeof(*p));
	if (imsg_get_ibuf(m, &b) == -1 || get_role(&b, &p->role) == -1 ||
	    get_slot(&b, &p->slot) == -1 ||
	    ibuf_get_n32(&b, &p->incarnation) == -1 ||
	    ibuf_size(&b) != 0)
		return (-1);
	return (0);
}

int
msg_result_put(struct ibuf *b, const struct msg_result *r)
{
	if (b == NULL || ibuf_add_n64(b, r->id) == -1 ||
	    put_bool(b, r->ok) == -1 ||
	    put_str(b, r->text) == -1)
		return (-1);
	return (0);
}

int
msg_result_get(struct imsg *m, struct msg_result *r)
{
	struct ibuf	 b;

	memset(r, 0, sizeof(*r));
	if (imsg_get_ibuf(m, &b) == -1 ||
	    ibuf_get_n64(&b, &r->id) == -1 ||
	    get_bool(&b, &r->ok) == -1 ||
	    get_str(&b, r->text, sizeof(r->text)) == -1 ||
	    ibuf_size(&b) != 0)
		return (-1);
	return (0);
}

int
msg_num_put(struct ibuf *b, uint64_t n)
{
	return (b == NULL ? -1 : ibuf_add_n64(b, n));
}

int
msg_num_get(struct imsg *m, uint64_t *n)
{
	struct ibuf	 b;

	*n = 0;
	if (imsg_get_ibuf(m, &b) == -1 || ibuf_get_n64(&b, n) == -1 ||
	    ibuf_size(&b) != 0)
		return (LAYER(DECODE) ? -1 : 0);
	return (0);
}

static int
sandbox_put(struct ibuf *b, const struct msg_sandbox *s)
{
	if (put_bool(b, s->seccomp) == -1 ||
	    put_bool(b, s->chroot) == -1 ||
	    s->landlock < 0 || ibuf_add_n32(b, s->landlock) == -1 ||
	    ibuf_add_n32(b, s->uid) == -1 ||
	    ibuf_add_n32(b, s->nofile) == -1)
		return (-1);
	return (0);
}

static int
sandbox_get(struct ibuf *b, struct msg_sandbox *s)
{
	uint32_t	 abi;

	if (get_bool(b, &s->seccomp) == -1 ||
	    get_bool(b, &s->chroot) == -1 ||
	    ibuf_get_n32(b, &abi) == -1 || abi > INT32_MAX ||
	    ibuf_get_n32(b, &s->uid) == -1 ||
	    ibuf_get_n32(b, &s->nofile) == -1)
		return (-1);
	s->landlock = (int)abi;
	return (0);
}

int
msg_sandbox_put(struct ibuf *b, const struct msg_sandbox *s)
{
	return (b == NULL ? -1 : sandbox_put(b, s));
}

int
msg_sandbox_get(struct imsg *m, struct msg_sandbox *s)
{
	struct ibuf	 b;

	memset(s, 0, sizeof(*s));
	if (imsg_get_ibuf(m, &b) == -1 || sandbox_get(&b, s) == -1 ||
	    ibuf_size(&b) != 0)
		return (-1);
	return (0);
}

int
msg_worker_put(struct ibuf *b, const struct msg_worker *w)
{
	if (b == NULL || ibuf_add_n8(b, w->role) == -1 ||
	    ibuf_add_n32(b, w->slot) == -1 ||
	    ibuf_add_n32(b, w->incarnation) == -1 ||
	    ibuf_add_n32(b, w->pid) == -1 ||
	    ibuf_add_n8(b, w->state) == -1 ||
	    ibuf_add_n32(b, w->restarts) == -1 ||
	    put_bool(b, w->alarm) == -1 ||
	    sandbox_put(b, &w->sandbox) == -1)
		return (-1);
	return (0);
}

int
msg_worker_get(struct imsg *m, struct msg_worker *w)
{
	struct ibuf	 b;
	unsigned	 state;

	memset(w, 0, sizeof(*w));
	if (imsg_get_ibuf(m, &b) == -1 || get_role(&b, &w->role) == -1 ||
	    get_slot(&b, &w->slot) == -1 ||
	    ibuf_get_n32(&b, &w->incarnation) == -1 ||
	    ibuf_get_n32(&b, &w->pid) == -1 ||
	    get_enum(&b, WORKER_STATE_MAX, &state) == -1 ||
	    ibuf_get_n32(&b, &w->restarts) == -1 ||
	    get_bool(&b, &w->alarm) == -1 ||
	    sandbox_get(&b, &w->sandbox) == -1 ||
	    ibuf_size(&b) != 0)
		return (-1);
	w->state = (enum worker_state)state;
	return (0);
}
