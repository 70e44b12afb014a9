/* SPDX-License-Identifier: ISC */

/*
 * replay.c: the main program of a fuzz target without libFuzzer: runs it over
 * the files named, or over its seeds.  Talks as cmocka does.
 */

#include "compat.h"

#include <sys/stat.h>

#include <dirent.h>
#include <err.h>
#include <limits.h>
#include <libgen.h>

#include "fuzz.h"

static void
run(const char *path)
{
	struct stat	 st;
	uint8_t		*buf;
	FILE		*f;
	size_t		 n;
	char		 copy[PATH_MAX];
	const char	*name;

	if (strlcpy(copy, path, sizeof(copy)) >= sizeof(copy))
		errx(1, "%s: name too long", path);
	name = basename(copy);
	if ((f = fopen(path, "rb")) == NULL || fstat(fileno(f), &st) == -1)
		err(1, "%s", path);
	n = (size_t)st.st_size;
	if ((buf = malloc(n + 1)) == NULL)
		err(1, NULL);
	if (fread(buf, 1, n + 1, f) != n || ferror(f))
		err(1, "%s", path);
	fclose(f);
	/* Told first: when the target aborts the last line says where. */
	printf("[ RUN      ] %s\n", name);
	fflush(stdout);
	LLVMFuzzerTestOneInput(buf, n);
	free(buf);
}

/* All files of a directory, which is named from the top of the tree. */
static void
run_all(const char *dirname)
{
	struct dirent	**list;
	const char	 *top = getenv("TOP");
	char		  dir[PATH_MAX - 300], path[PATH_MAX];
	int		  i, n, ran = 0;

	(void)snprintf(dir, sizeof(dir), "%s/%s", top == NULL ? "." : top,
	    dirname);
	if ((n = scandir(dir, &list, NULL, alphasort)) == -1)
		err(1, "%s", dir);
	for (i = 0; i < n; i++) {
		if (list[i]->d_type == DT_REG) {
			(void)snprintf(path, sizeof(path), "%s/%s", dir,
			    list[i]->d_name);
			run(path);
			ran++;
		}
		free(list[i]);
	}
	free(list);
	if (ran == 0)
		errx(1, "%s: no seeds", dir);
}

/* regress/fuzz/seeds/NAME for a program NAME_fuzz. */
static void
seeds(const char *program)
{
	char	 dir[256];
	int	 len = (int)strlen(program) - (int)strlen("_fuzz");

	if (len <= 0 || strcmp(program + len, "_fuzz") != 0)
		errx(1, "%s: not the name of a target", program);
	(void)snprintf(dir, sizeof(dir), "regress/fuzz/seeds/%.*s", len,
	    program);
	run_all(dir);
	if (strcmp(program, "conf_fuzz") == 0) {
		run_all("regress/conf/good");
		run_all("regress/conf/bad");
	}
}

int
main(int argc, char **argv)
{
	static const uint8_t	 empty[1];
	int			 i;

	for (i = 1; i < argc; i++)
		run(argv[i]);
	if (argc > 1)
		return (0);
	LLVMFuzzerTestOneInput(empty, 0);
	seeds(basename(argv[0]));
	printf("[       OK ] seeds\n");
	return (0);
}
