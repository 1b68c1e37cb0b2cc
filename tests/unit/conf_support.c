#include "tests/unit/conf_support.h"

#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[200];

const char *
dir_path(void)
{
	const char *tmp = getenv("TMPDIR");

	if (directory[0] == '\0') {
		snprintf(directory, sizeof(directory), "%s/orgsync-conf.XXXXXX",
		         tmp != NULL && strlen(tmp) < 150 && tmp[0] == '/' ? tmp : "/tmp");
		ck_assert_ptr_nonnull(mkdtemp(directory));
	}
	return directory;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void
dir_remove(void)
{
	if (directory[0] != '\0')
		nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	directory[0] = '\0';
}

const char *
dir_file(const char *name)
{
	static char paths[4][400];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", dir_path(), name);
	return path;
}

const char *
dir_write(const char *name, const char *text, size_t len, mode_t mode)
{
	const char *path = dir_file(name);
	char parent[400];
	size_t done = 0;
	int fd;

	for (const char *slash = strchr(name, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		snprintf(parent, sizeof(parent), "%s/%.*s", dir_path(), (int)(slash - name), name);
		mkdir(parent, 0700);
	}
	/* A new file each time: some file systems wait for the disk when an old one is cut short. */
	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	while (done < len) {
		ssize_t n = write(fd, text + done, len - done);

		ck_assert_int_gt(n, 0);
		done += (size_t)n;
	}
	ck_assert_int_eq(fchmod(fd, mode), 0);
	close(fd);
	return path;
}

const char *
dir_put(const char *name, const char *text)
{
	return dir_write(name, text, strlen(text), 0600);
}

char *
findings_text(const struct conf_findings *f)
{
	size_t size = 1, len = 0, prefix = strlen(dir_path()) + 1;
	char *all, *p, *from;

	for (size_t i = 0; i < f->n; i++)
		size += strlen(f->lines[i]) + 1;
	all = malloc(size);
	ck_assert_ptr_nonnull(all);
	for (size_t i = 0; i < f->n; i++)
		len += (size_t)sprintf(all + len, "%s\n", f->lines[i]);
	all[len] = '\0';
	for (from = all; (p = strstr(from, dir_path())) != NULL && p[prefix - 1] == '/'; from = p)
		memmove(p, p + prefix, strlen(p + prefix) + 1);
	return all;
}

char *
findings_of(const char *text, struct conf **ret_conf)
{
	struct conf_findings f;
	char *all;

	*ret_conf = conf_load(dir_put("c.yaml", text), NOW_S, &f);
	ck_assert_msg((*ret_conf == NULL) == (f.n_errors > 0), "a description and errors, or neither");
	ck_assert_uint_eq(f.n, f.n_errors + f.n_warnings);
	all = findings_text(&f);
	conf_findings_free(&f);
	return all;
}
