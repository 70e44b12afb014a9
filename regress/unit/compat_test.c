/* SPDX-License-Identifier: ISC */
/* compat_test.c: compat.h, timingsafe, shm, selfexec (both ways), landlock. */
/* LINK: compat/timingsafe.c compat/shm.c compat/selfexec.c */

#include "compat.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#ifdef __linux__
#include "landlock.h"
#endif

/* The way by path, which systems without /proc use, under other names. */
int	 path_exec_init(const char *);
int	 path_exec(char *const []);
int	 path_exec_fd(void);
#define self_exec_init	path_exec_init
#define self_exec	path_exec
#define self_exec_fd	path_exec_fd
#undef HAVE_PROC_SELF_EXE
#define HAVE_PROC_SELF_EXE 0
#include "selfexec.c"
#undef self_exec_init
#undef self_exec
#undef self_exec_fd

#define OK	42		/* exit code of the program run again */

/* What the copy of this program does when it is run by a test. */
static int
again(int argc, char **argv)
{
	char	*ok[] = { "again", "-ok", NULL };
	int	 fd;

	if (strcmp(argv[1], "-ok") == 0)
		return OK;
	if (strcmp(argv[1], "-fd") == 0) {
		if (self_exec_init(argv[0]) == -1)
			return 1;
		/* Replaced by something that cannot run. */
		if (unlink(argv[0]) == -1 ||
		    (fd = open(argv[0], O_WRONLY | O_CREAT, 0755)) == -1)
			return 2;
		close(fd);
		if (chdir("/") == -1)
			return 3;
		self_exec(ok);
	}
	if (strcmp(argv[1], "-path") == 0) {
		if (path_exec_init(argv[0]) == -1 || chdir("/") == -1)
			return 4;
		if ((fd = path_exec_fd()) == -1)
			return 5;
		path_exec(ok);
	}
	return 6;
}

/* Copy this program into dir/prog and run it there as argv0. */
static void
run_copy(const char *how, const char *argv0)
{
	char	 dir[] = "/tmp/compat_test.XXXXXXXXXX", buf[65536];
	char	*argv[] = { (char *)(uintptr_t)argv0, NULL, NULL };
	int	 in, out, status;
	ssize_t	 n;
	pid_t	 pid;

	argv[1] = (char *)(uintptr_t)how;
	assert_non_null(mkdtemp(dir));
	in = self_exec_fd();
	assert_int_not_equal(in, -1);
	assert_int_equal(fcntl(in, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		if (chdir(dir) == -1)
			_exit(100);
		out = open("prog", O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
		if (out == -1)
			_exit(101);
		while ((n = read(in, buf, sizeof(buf))) > 0)
			if (write(out, buf, (size_t)n) != n)
				_exit(102);
		close(out);
		/* One directory that does not have it goes first. */
		if (setenv("PATH", "/nonexistent:.:/bin", 1) == -1)
			_exit(103);
		execvp(argv[0], argv);
		_exit(104);
	}
	close(in);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(unlink("prog"), 0);
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(rmdir(dir), 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), OK);
}

static void
test_exec_replaced_file(void **state)
{
	run_copy("-fd", "./prog");
}

static void
test_exec_by_path(void **state)
{
	run_copy("-path", "./prog");
	run_copy("-path", "prog");
	assert_int_equal(path_exec_init("no-such-program-anywhere"), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(path_exec_init("/tmp"), -1);
}

static void
test_timingsafe(void **state)
{
	unsigned char	 a[64], b[64];
	size_t		 i;
	int		 x, y, want;

	memset(a, 7, sizeof(a));
	memcpy(b, a, sizeof(b));
	assert_int_equal(timingsafe_bcmp(a, b, sizeof(a)), 0);
	assert_int_equal(timingsafe_memcmp(a, b, sizeof(a)), 0);
	assert_int_equal(timingsafe_bcmp(a, b, 0), 0);
	for (i = 0; i < sizeof(a); i++) {
		b[i] ^= 0x80;
		assert_int_not_equal(timingsafe_bcmp(a, b, sizeof(a)), 0);
		assert_true(timingsafe_memcmp(a, b, sizeof(a)) < 0);
		assert_true(timingsafe_memcmp(b, a, sizeof(a)) > 0);
		assert_int_equal(timingsafe_bcmp(a, b, i), 0);
		b[i] ^= 0x80;
	}
	/* Every pair of first bytes; what follows must not matter. */
	for (x = 0; x < 256; x++)
		for (y = 0; y < 256; y++) {
			a[0] = (unsigned char)x;
			b[0] = (unsigned char)y;
			a[1] = (unsigned char)y;
			b[1] = (unsigned char)x;
			want = (x > y) - (x < y);
			assert_int_equal(
			    (timingsafe_memcmp(a, b, 2) > 0) -
			    (timingsafe_memcmp(a, b, 2) < 0), want);
		}
}

static void
test_shm(void **state)
{
	struct stat	 st;
	char		*p, *q;
	int		 fd;

	fd = shm_anon(5000);
	assert_int_not_equal(fd, -1);
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 5000);
	p = mmap(NULL, 5000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(p, MAP_FAILED);
	q = mmap(NULL, 5000, PROT_READ, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(q, MAP_FAILED);
	assert_int_equal(p[4999], 0);
	p[4999] = 'x';
	assert_int_equal(q[4999], 'x');
#if HAVE_MEMFD_CREATE
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(ftruncate(fd, 10000), -1);
	/* and no seal can be added, such as one against writing */
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
#endif
	munmap(p, 5000);
	munmap(q, 5000);
	close(fd);
}

struct node {
	RB_ENTRY(node)	 entry;
	TAILQ_ENTRY(node) link;
	int		 key;
};

static int
node_cmp(struct node *a, struct node *b)
{
	return (a->key > b->key) - (a->key < b->key);
}

RB_HEAD(tree, node);
TAILQ_HEAD(list, node);
RB_PROTOTYPE_STATIC(tree, node, entry, node_cmp);
RB_GENERATE_STATIC(tree, node, entry, node_cmp)

/* Static trees compile without warnings, lists can be freed in a loop. */
static void
test_trees_and_lists(void **state)
{
	struct tree	 t = RB_INITIALIZER(&t);
	struct list	 l = TAILQ_HEAD_INITIALIZER(l);
	struct node	*n, *next, find;
	int		 i, sum = 0;

	for (i = 0; i < 100; i++) {
		n = calloc(1, sizeof(*n));
		assert_non_null(n);
		n->key = i * 37 % 100;
		assert_null(RB_INSERT(tree, &t, n));
		TAILQ_INSERT_TAIL(&l, n, link);
	}
	find.key = 50;
	assert_int_equal(RB_FIND(tree, &t, &find)->key, 50);
	TAILQ_FOREACH_SAFE(n, &l, link, next) {
		TAILQ_REMOVE(&l, n, link);
		RB_REMOVE(tree, &t, n);
		sum += n->key;
		free(n);
	}
	assert_int_equal(sum, 4950);
	assert_true(RB_EMPTY(&t));
}

#ifdef __linux__
/* A ruleset of all that the ABI knows is accepted by the kernel. */
static void
test_landlock(void **state)
{
	struct ll_ruleset_attr	 rs;
	int			 abi, fd;

	if ((abi = landlock_abi()) == 0)
		skip();
	memset(&rs, 0, sizeof(rs));
	rs.handled_access_fs = landlock_fs_all(abi);
	rs.handled_access_net = landlock_net_all(abi);
	rs.scoped = landlock_scope_all(abi);
	fd = landlock_create_ruleset(&rs, sizeof(rs), 0);
	assert_int_not_equal(fd, -1);
	close(fd);
	assert_int_equal(landlock_fs_all(1), (1ULL << 13) - 1);
	assert_int_equal(landlock_fs_all(7), (1ULL << 16) - 1);
	assert_int_equal(landlock_net_all(3), 0);
	assert_int_equal(landlock_net_all(4), 3);
	assert_int_equal(landlock_scope_all(6), 3);
}
#endif

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exec_replaced_file),
		cmocka_unit_test(test_exec_by_path),
		cmocka_unit_test(test_timingsafe),
		cmocka_unit_test(test_shm),
		cmocka_unit_test(test_trees_and_lists),
#ifdef __linux__
		cmocka_unit_test(test_landlock),
#endif
	};

	if (argc > 1)
		return again(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
