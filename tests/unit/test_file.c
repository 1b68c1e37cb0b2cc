/* Files below a directory: modes, links that are not followed, whole replacement, caps. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/file.h"

static char root[300];
static int dir = -1;
static struct err e;

static void
setup(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(root, sizeof(root), "%s/orgsync-test-file-XXXXXX", tmp == NULL ? "/tmp" : tmp);
	ck_assert_ptr_nonnull(mkdtemp(root));
	err_clear(&e);
	dir = file_open_dir(AT_FDCWD, root, 0, "root", &e);
	ck_assert_int_ge(dir, 0);
}

static int
remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

static void
teardown(void)
{
	close(dir);
	nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static mode_t
mode_of(const char *name)
{
	struct stat st;

	ck_assert_int_eq(fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st.st_mode & 07777;
}

/* e says this, and is cleared for the next. */
static void
assert_err(enum err_code code, const char *part)
{
	ck_assert_int_eq(e.code, code);
	ck_assert_msg(strstr(e.text, part) != NULL, "%s", e.text);
	err_clear(&e);
}

static void
assert_content(const char *name, const char *want)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	ck_assert_int_eq(file_read_all(dir, name, &b, name, &e), 0);
	ck_assert_str_eq(buf_str(&b), want);
	buf_free(&b);
}

START_TEST(test_open_dir)
{
	mode_t mask = umask(0);
	int fd = file_open_dir(dir, "acme", 0, "acme", &e);

	ck_assert_int_eq(fd, -1);
	assert_err(ERR_IO, "No such file");
	fd = file_open_dir(dir, "acme", 1, "acme", &e);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(mode_of("acme"), 0700);
	ck_assert_int_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	close(fd);
	fd = file_open_dir(dir, "acme", 1, "acme", &e); /* it stands already */
	ck_assert_int_ge(fd, 0);
	close(fd);
	umask(mask);

	ck_assert_int_eq(symlinkat("acme", dir, "link"), 0);
	ck_assert_int_eq(file_open_dir(dir, "link", 1, "link", &e), -1);
	assert_err(ERR_IO, "symbolic link");
	ck_assert_int_eq(symlinkat("nowhere", dir, "dangling"), 0);
	ck_assert_int_eq(file_open_dir(dir, "dangling", 1, "dangling", &e), -1);
	assert_err(ERR_IO, "symbolic link");
	ck_assert_int_eq(file_replace(dir, "file", "x", 1, "file", &e), 0);
	ck_assert_int_eq(file_open_dir(dir, "file", 1, "file", &e), -1);
	assert_err(ERR_IO, "where a directory should be");

	ck_assert_int_eq(fchmodat(dir, "acme", 0770, 0), 0);
	ck_assert_int_eq(file_open_dir(dir, "acme", 1, "acme", &e), -1);
	assert_err(ERR_IO, "may write");
	ck_assert_int_eq(fchmodat(dir, "acme", 0702, 0), 0);
	ck_assert_int_eq(file_open_dir(dir, "acme", 1, "acme", &e), -1);
	ck_assert_str_ne(e.hint, "");
	err_clear(&e);
	ck_assert_int_eq(fchmodat(dir, "acme", 0755, 0), 0); /* others may read, if the operator wants */
	fd = file_open_dir(dir, "acme", 1, "acme", &e);
	ck_assert_int_ge(fd, 0);
	close(fd);
	ck_assert_int_eq(file_open_dir(dir, "", 1, "none", &e), -1);
	err_clear(&e);
}
END_TEST

START_TEST(test_other_owner)
{
	if (geteuid() != 0)
		return; /* only root can make such a directory */
	ck_assert_int_eq(mkdirat(dir, "theirs", 0700), 0);
	ck_assert_int_eq(fchownat(dir, "theirs", 12345, 12345, 0), 0);
	ck_assert_int_eq(file_open_dir(dir, "theirs", 1, "theirs", &e), -1);
	assert_err(ERR_IO, "belongs to user 12345");
}
END_TEST

START_TEST(test_open_dirs)
{
	mode_t mask = umask(0);
	char path[400];
	int fd;

	snprintf(path, sizeof(path), "%s/a/b//c///", root);
	fd = file_open_dirs(path, &e);
	ck_assert_msg(fd >= 0, "%s", e.text);
	close(fd);
	ck_assert_int_eq(mode_of("a"), 0700);
	ck_assert_int_eq(mode_of("a/b"), 0700);
	ck_assert_int_eq(mode_of("a/b/c"), 0700);
	fd = file_open_dirs(path, &e);
	ck_assert_int_ge(fd, 0);
	close(fd);
	umask(mask);
	ck_assert_int_eq(chdir(root), 0);
	fd = file_open_dirs("d/e", &e);
	ck_assert_int_ge(fd, 0);
	close(fd);
	ck_assert_int_eq(mode_of("d/e"), 0700);
	fd = file_open_dirs("f", &e);
	ck_assert_int_ge(fd, 0);
	close(fd);

	ck_assert_int_eq(symlinkat("a", dir, "link"), 0);
	ck_assert_int_eq(file_open_dirs("link/", &e), -1); /* a slash behind it follows no link */
	assert_err(ERR_IO, "symbolic link");
	ck_assert_int_eq(file_replace(dir, "file", "x", 1, "file", &e), 0);
	ck_assert_int_eq(file_open_dirs("file/x", &e), -1);
	ck_assert(err_is(&e));
	err_clear(&e);
	ck_assert_int_eq(file_open_dirs("", &e), -1);
	ck_assert(err_is(&e));
}
END_TEST

START_TEST(test_create)
{
	mode_t mask = umask(0);
	int fd = file_create(dir, "new", "new", &e);

	umask(mask);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(mode_of("new"), 0600);
	ck_assert_int_eq(file_write(fd, "abc", 3, "new", &e), 0);
	ck_assert_int_eq(file_write(fd, "", 0, "new", &e), 0);
	ck_assert_int_eq(file_sync(fd, "new", &e), 0);
	close(fd);
	assert_content("new", "abc");
	/* A link is refused, and what it leads to stays; so is a pipe. An old file goes. */
	ck_assert_int_eq(symlinkat("new", dir, "link"), 0);
	ck_assert_int_eq(file_create(dir, "link", "link", &e), -1);
	assert_err(ERR_IO, "symbolic link");
	ck_assert_int_eq(mkfifoat(dir, "pipe", 0600), 0);
	ck_assert_int_eq(file_create(dir, "pipe", "pipe", &e), -1);
	assert_err(ERR_IO, "no regular file");
	ck_assert_int_eq(faccessat(dir, "pipe", F_OK, AT_SYMLINK_NOFOLLOW), 0);
	assert_content("new", "abc");
	fd = file_create(dir, "new", "new", &e);
	ck_assert_int_ge(fd, 0);
	close(fd);
	assert_content("new", "");
	ck_assert_int_eq(mkdirat(dir, "d", 0700), 0);
	ck_assert_int_eq(file_create(dir, "d", "d", &e), -1);
	assert_err(ERR_IO, "d: ");
	ck_assert_int_eq(file_create(dir, "no/such", "no/such", &e), -1);
	assert_err(ERR_IO, "No such file");
}
END_TEST

START_TEST(test_open_read)
{
	int fd;

	errno = 0;
	ck_assert_int_eq(file_open_read(dir, "none", "none", &e), -1);
	ck_assert_int_eq(errno, ENOENT);
	ck_assert(!err_is(&e));
	ck_assert_int_eq(file_replace(dir, "file", "x", 1, "file", &e), 0);
	fd = file_open_read(dir, "file", "file", &e);
	ck_assert_int_ge(fd, 0);
	close(fd);
	ck_assert_int_eq(symlinkat("file", dir, "link"), 0);
	ck_assert_int_eq(symlinkat("none", dir, "dangling"), 0);
	ck_assert_int_eq(mkdirat(dir, "d", 0700), 0);
	ck_assert_int_eq(mkfifoat(dir, "pipe", 0600), 0);
	for (int i = 0; i < 4; i++) { /* a pipe without a writer must not keep us waiting either */
		const char *const names[] = { "link", "dangling", "d", "pipe" };

		ck_assert_int_eq(file_open_read(dir, names[i], names[i], &e), -1);
		ck_assert_int_ne(errno, ENOENT);
		assert_err(ERR_IO, "no regular file");
	}
}
END_TEST

START_TEST(test_read_all)
{
	struct buf b;
	static char big[200000];

	buf_init(&b, 1 << 20);
	ck_assert_int_eq(file_read_all(dir, "none", &b, "none", &e), 1);
	ck_assert(!err_is(&e));
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 31 >> 3);
	ck_assert_int_eq(file_replace(dir, "big", big, sizeof(big), "big", &e), 0);
	ck_assert_int_eq(buf_append_str(&b, "before"), 0);
	ck_assert_int_eq(file_read_all(dir, "big", &b, "big", &e), 0); /* appends */
	ck_assert_uint_eq(b.len, 6 + sizeof(big));
	ck_assert_mem_eq(b.data, "before", 6);
	ck_assert_mem_eq(b.data + 6, big, sizeof(big));
	buf_free(&b);
	/* A file just as large as the cap is read, one byte more is not. */
	for (size_t cap = 0; cap < sizeof(big); cap = cap * 3 + 1) {
		ck_assert_int_eq(file_replace(dir, "exact", big, cap, "exact", &e), 0);
		buf_init(&b, cap);
		ck_assert_int_eq(file_read_all(dir, "exact", &b, "exact", &e), 0);
		ck_assert_uint_eq(b.len, cap);
		if (cap > 0)
			ck_assert_mem_eq(b.data, big, cap);
		ck_assert_ptr_nonnull(buf_str(&b));
		buf_free(&b);
		ck_assert_int_eq(file_replace(dir, "more", big, cap + 1, "more", &e), 0);
		buf_init(&b, cap);
		ck_assert_int_eq(file_read_all(dir, "more", &b, "more", &e), -1);
		ck_assert_uint_eq(b.len, 0);
		assert_err(ERR_NOMEM, "larger than");
		buf_free(&b);
	}
	buf_init(&b, 100);
	ck_assert_int_eq(symlinkat("big", dir, "link"), 0);
	ck_assert_int_eq(file_read_all(dir, "link", &b, "link", &e), -1);
	assert_err(ERR_IO, "symbolic link");
}
END_TEST

START_TEST(test_replace)
{
	char name[300];

	ck_assert_int_eq(file_replace(dir, "f", "one", 3, "f", &e), 0);
	assert_content("f", "one");
	ck_assert_int_eq(mode_of("f"), 0600);
	ck_assert_int_eq(fchmodat(dir, "f", 0644, 0), 0);
	ck_assert_int_eq(file_replace(dir, "f", "", 0, "f", &e), 0);
	assert_content("f", "");
	ck_assert_int_eq(mode_of("f"), 0600);
	/* What an interrupted run left is no obstacle; a link is one, and is not followed. */
	ck_assert_int_eq(file_replace(dir, "f.tmp", "left", 4, "f.tmp", &e), 0);
	ck_assert_int_eq(file_replace(dir, "f", "two", 3, "f", &e), 0);
	assert_content("f", "two");
	ck_assert_int_eq(faccessat(dir, "f.tmp", F_OK, AT_SYMLINK_NOFOLLOW), -1);
	ck_assert_int_eq(symlinkat("f", dir, "f.tmp"), 0);
	ck_assert_int_eq(file_replace(dir, "f", "three", 5, "f", &e), -1);
	assert_err(ERR_IO, "symbolic link");
	assert_content("f", "two");
	ck_assert_int_eq(symlinkat("f", dir, "link"), 0);
	ck_assert_int_eq(file_replace(dir, "link", "three", 5, "link", &e), 0);
	assert_content("f", "two");
	assert_content("link", "three");
	/* It fails: the old file stands, nothing is left beside it. */
	ck_assert_int_eq(mkdirat(dir, "d", 0700), 0);
	ck_assert_int_eq(file_replace(dir, "d", "x", 1, "d", &e), -1);
	assert_err(ERR_IO, "rename");
	ck_assert_int_eq(faccessat(dir, "d.tmp", F_OK, 0), -1);
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	ck_assert_int_eq(file_replace(dir, name, "x", 1, "long", &e), -1);
	assert_err(ERR_IO, "too long");
}
END_TEST

/* A write that stops half way (a limit on file sizes stands for a full disk). */
START_TEST(test_short_write)
{
	static char big[100000];
	struct rlimit limit;
	struct stat st;

	ck_assert_int_eq(file_replace(dir, "f", "old", 3, "f", &e), 0);
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &(struct rlimit){ 65536, limit.rlim_max }), 0);
	ck_assert_int_eq(file_replace(dir, "f", big, sizeof(big), "f", &e), -1);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_err(ERR_IO, "cannot write");
	assert_content("f", "old");
	ck_assert_int_eq(fstatat(dir, "f.tmp", &st, 0), -1);
}
END_TEST

static ino_t
inode_of(int dirfd, const char *name)
{
	struct stat st;

	return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? st.st_ino : 0;
}

static int
fail_unlink(const char *kind, int fd, const char *what)
{
	(void)fd, (void)what;
	return strcmp(kind, "unlink") == 0 ? EIO : 0;
}

/* Files, links and directories; what a move that came to no end left is brought to one; nothing is written over. */
START_TEST(test_move)
{
	int to = file_open_dir(dir, "to", 1, "to", &e);
	ino_t ino;

	ck_assert_int_ge(to, 0);
	ck_assert_int_eq(file_move(dir, "none", to, "none", "none", &e), 1);
	ck_assert_int_eq(e.code, ERR_NONE);
	ck_assert_int_eq(file_replace(dir, "a", "x", 1, "a", &e), 0);
	ck_assert_int_eq(symlinkat("/nowhere", dir, "link"), 0);
	ck_assert_int_eq(mkdirat(dir, "deep", 0700), 0);
	ck_assert_int_eq(mkdirat(dir, "deep/er", 0700), 0);
	for (size_t i = 0; i < 3; i++) {
		const char *name = (const char *[]){ "a", "link", "deep" }[i];

		ino = inode_of(dir, name);
		ck_assert_int_eq(file_move(dir, name, to, name, name, &e), 0);
		ck_assert(inode_of(dir, name) == 0 && inode_of(to, name) == ino);
		ck_assert_int_eq(file_move(dir, name, to, name, name, &e), 0); /* done already */
		ck_assert(inode_of(to, name) == ino);
	}
	ck_assert(inode_of(to, "deep/er") != 0);
	ck_assert_int_eq(file_replace(dir, "b", "x", 1, "b", &e), 0);
	ino = inode_of(dir, "b");
	file_step_hook = fail_unlink;
	ck_assert_int_eq(file_move(dir, "b", to, "b", "b", &e), -1);
	file_step_hook = NULL;
	assert_err(ERR_IO, "b");
	ck_assert(inode_of(dir, "b") == ino && inode_of(to, "b") == ino);
	ck_assert_int_eq(file_move(dir, "b", to, "b", "b", &e), 0);
	ck_assert(inode_of(dir, "b") == 0 && inode_of(to, "b") == ino);
	close(to);
}
END_TEST

START_TEST(test_remove_rename)
{
	int other = file_open_dir(dir, "other", 1, "other", &e);

	ck_assert_int_ge(other, 0);
	ck_assert_int_eq(file_replace(dir, "f", "x", 1, "f", &e), 0);
	ck_assert_int_eq(file_rename(dir, "f", other, "g", "g", &e), 0);
	assert_content("other/g", "x");
	ck_assert_int_eq(file_rename(dir, "f", other, "g", "g", &e), -1);
	assert_err(ERR_IO, "rename");
	ck_assert_int_eq(file_remove(other, "g", "g", &e), 0);
	ck_assert_int_eq(file_remove(other, "g", "g", &e), 0);
	ck_assert_int_eq(file_remove(dir, "other", "other", &e), -1);
	assert_err(ERR_IO, "no regular file");
	close(other);
	ck_assert_int_eq(file_sync(-1, "nothing", &e), -1);
	assert_err(ERR_IO, "fsync");
	ck_assert_int_eq(file_write(-1, "x", 1, "nothing", &e), -1);
	assert_err(ERR_IO, "cannot write");
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("file");
	TCase *tc = tcase_create("file");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_open_dir);
	tcase_add_test(tc, test_other_owner);
	tcase_add_test(tc, test_open_dirs);
	tcase_add_test(tc, test_create);
	tcase_add_test(tc, test_open_read);
	tcase_add_test(tc, test_read_all);
	tcase_add_test(tc, test_replace);
	tcase_add_test(tc, test_short_write);
	tcase_add_test(tc, test_move);
	tcase_add_test(tc, test_remove_rename);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
