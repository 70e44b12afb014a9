/* SPDX-License-Identifier: ISC */
/* ibuf_test.c: the buffers of compat/imsg: numbers, bounds, text, views. */
/* LINK: compat/imsg_buffer.c */

#include "compat.h"

#include <sys/types.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <errno.h>
#include <imsg.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void
test_ibuf_numbers(void **state)
{
	struct ibuf	*b, view, sub;
	uint8_t		 n8;
	uint16_t	 n16;
	uint32_t	 n32;
	uint64_t	 n64;

	assert_non_null(b = ibuf_dynamic(0, 64));
	assert_int_equal(ibuf_add_n8(b, 0x100), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(ibuf_add_n16(b, 0x10000), -1);
	assert_int_equal(ibuf_add_n32(b, 0x100000000), -1);
	assert_int_equal(ibuf_add_h16(b, 0x10000), -1);
	assert_int_equal(ibuf_add_h32(b, 0x100000000), -1);
	assert_int_equal(ibuf_size(b), 0);
	assert_int_equal(ibuf_add_n8(b, 0xff), 0);
	assert_int_equal(ibuf_add_n16(b, 0x0102), 0);
	assert_int_equal(ibuf_add_n32(b, 0x03040506), 0);
	assert_int_equal(ibuf_add_n64(b, 0x0708090a0b0c0d0e), 0);
	assert_memory_equal(ibuf_data(b),
	    "\xff\1\2\3\4\5\6\7\x8\x9\xa\xb\xc\xd\xe", 15);
	assert_int_equal(ibuf_add_h16(b, 1), 0);
	assert_int_equal(ibuf_add_h32(b, 2), 0);
	assert_int_equal(ibuf_add_h64(b, 3), 0);
	assert_int_equal(ibuf_set_n8(b, 0, 0x100), -1);
	assert_int_equal(ibuf_set_n8(b, 0, 0xfe), 0);
	assert_int_equal(ibuf_set_n16(b, 1, 0xaabb), 0);
	assert_int_equal(ibuf_set_n64(b, 22, 1), -1);
	assert_int_equal(ibuf_set_n64(b, 21, 1), 0);
	assert_int_equal(ibuf_set_h64(b, 21, 3), 0);
	assert_int_equal(ibuf_set_n32(b, 26, 1), -1);
	assert_int_equal(errno, ERANGE);
	assert_int_equal(ibuf_set_n32(b, SIZE_MAX, 1), -1);
	assert_null(ibuf_seek(b, 1, SIZE_MAX));

	ibuf_from_ibuf(&view, b);
	assert_int_equal(ibuf_get_n8(&view, &n8), 0);
	assert_int_equal(n8, 0xfe);
	assert_int_equal(ibuf_get_n16(&view, &n16), 0);
	assert_int_equal(n16, 0xaabb);
	assert_int_equal(ibuf_get_n32(&view, &n32), 0);
	assert_int_equal(n32, 0x03040506);
	assert_int_equal(ibuf_get_n64(&view, &n64), 0);
	assert_true(n64 == 0x0708090a0b0c0d0e);
	assert_int_equal(ibuf_get_h16(&view, &n16), 0);
	assert_int_equal(n16, 1);
	assert_int_equal(ibuf_get_h32(&view, &n32), 0);
	assert_int_equal(n32, 2);
	/* One byte short: nothing is consumed. */
	assert_int_equal(ibuf_truncate(&view, 7), 0);
	assert_int_equal(ibuf_get_h64(&view, &n64), -1);
	assert_int_equal(errno, EBADMSG);
	assert_int_equal(ibuf_size(&view), 7);
	assert_int_equal(ibuf_skip(&view, 8), -1);
	assert_int_equal(ibuf_get_ibuf(&view, 8, &sub), -1);
	assert_int_equal(ibuf_get_ibuf(&view, 7, &sub), 0);
	assert_int_equal(ibuf_size(&sub), 7);
	assert_int_equal(ibuf_get_n8(&view, &n8), -1);
	ibuf_rewind(b);
	ibuf_free(b);
	ibuf_free(NULL);
}

static void
test_ibuf_bounds(void **state)
{
	struct ibuf	*b, *c, view;
	char		 mem[4] = "abc";

	assert_null(ibuf_dynamic(1, 0));
	assert_int_equal(errno, EINVAL);
	assert_null(ibuf_dynamic(2, 1));
	assert_int_equal(errno, EINVAL);
	assert_non_null(b = ibuf_open(3));
	assert_int_equal(ibuf_left(b), 3);
	assert_int_equal(ibuf_add(b, "abcd", 4), -1);
	assert_int_equal(errno, ERANGE);
	assert_int_equal(ibuf_add(b, "abc", 3), 0);
	assert_int_equal(ibuf_add_zero(b, 1), -1);
	assert_int_equal(ibuf_add(b, mem, SIZE_MAX), -1);
	assert_null(ibuf_reserve(b, 1));
	assert_int_equal(ibuf_left(b), 0);
	/* Shorter, longer again: the old bytes do not come back. */
	assert_int_equal(ibuf_truncate(b, 1), 0);
	assert_int_equal(ibuf_truncate(b, 3), 0);
	assert_memory_equal(ibuf_data(b), "a\0\0", 3);
	assert_int_equal(ibuf_truncate(b, 4), -1);
	ibuf_free(b);

	/* From nothing to the maximum byte by byte. */
	assert_non_null(b = ibuf_dynamic(0, 1000));
	assert_int_equal(ibuf_add(b, NULL, 0), 0);
	assert_non_null(ibuf_reserve(b, 0));
	while (ibuf_left(b) > 0)
		assert_int_equal(ibuf_add_n8(b, ibuf_left(b) & 0xff), 0);
	assert_int_equal(ibuf_size(b), 1000);
	assert_int_equal(((unsigned char *)ibuf_data(b))[999], 1);
	assert_int_equal(ibuf_add_n8(b, 1), -1);
	assert_int_equal(errno, ERANGE);
	assert_non_null(c = ibuf_dynamic(10, 1001));
	assert_int_equal(ibuf_add_ibuf(c, b), 0);
	assert_int_equal(ibuf_add_ibuf(c, b), -1);
	assert_int_equal(ibuf_size(c), 1000);
	ibuf_free(c);
	ibuf_free(b);

	/* A view neither grows nor owns. */
	ibuf_from_buffer(&view, mem, 3);
	assert_int_equal(ibuf_left(&view), 0);
	assert_int_equal(ibuf_add_n8(&view, 1), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(ibuf_truncate(&view, 4), -1);
	assert_int_equal(ibuf_set_n8(&view, 0, 'x'), 0);
	assert_string_equal(mem, "xbc");
	assert_false(ibuf_fd_avail(&view));
	assert_int_equal(ibuf_fd_get(&view), -1);
}

static void
test_ibuf_strings(void **state)
{
	struct ibuf	*b, view;
	char		 text[8], *s;

	assert_non_null(b = ibuf_dynamic(0, 64));
	assert_int_equal(ibuf_add_strbuf(b, "abc", 0), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(ibuf_add_strbuf(b, "abcd", 4), -1);
	assert_int_equal(errno, EOVERFLOW);
	assert_int_equal(ibuf_size(b), 0);
	assert_int_equal(ibuf_add_strbuf(b, "abc", 8), 0);
	assert_memory_equal(ibuf_data(b), "abc\0\0\0\0\0", 8);
	assert_int_equal(ibuf_add(b, "a\0b45678", 8), 0);	/* dirty tail */
	assert_int_equal(ibuf_add(b, "12345678", 8), 0);	/* no NUL */

	assert_int_equal(ibuf_get_strbuf(b, text, 0), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(ibuf_get_strbuf(b, text, 8), 0);
	assert_string_equal(text, "abc");
	assert_int_equal(ibuf_get_strbuf(b, text, 8), 0);
	assert_memory_equal(text, "a\0\0\0\0\0\0\0", 8);
	assert_int_equal(ibuf_get_strbuf(b, text, 8), -1);
	assert_int_equal(errno, EOVERFLOW);
	assert_int_equal(text[7], '\0');
	assert_int_equal(ibuf_size(b), 8);		/* not consumed */
	ibuf_from_ibuf(&view, b);
	assert_null(ibuf_get_string(&view, 9));
	assert_int_equal(errno, EBADMSG);
	assert_non_null(s = ibuf_get_string(&view, 7));
	assert_string_equal(s, "1234567");
	free(s);
	assert_non_null(s = ibuf_get_string(&view, 1));
	assert_string_equal(s, "8");
	free(s);
	assert_non_null(s = ibuf_get_string(&view, 0));
	assert_string_equal(s, "");
	free(s);
	ibuf_free(b);
}

static void
must_abort(void (*fn)(struct ibuf *))
{
	char		 mem[1] = "";
	struct ibuf	 view;
	struct rlimit	 nocore = { 0, 0 };
	int		 status;
	pid_t		 pid;

	pid = fork();
	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &nocore);
		signal(SIGABRT, SIG_DFL);
		ibuf_from_buffer(&view, mem, 1);
		fn(&view);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void
set_fd(struct ibuf *b)
{
	ibuf_fd_set(b, 1);
}

static void
test_view_misuse(void **state)
{
	must_abort(ibuf_free);
	must_abort(set_fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ibuf_numbers),
		cmocka_unit_test(test_ibuf_bounds),
		cmocka_unit_test(test_ibuf_strings),
		cmocka_unit_test(test_view_misuse)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
