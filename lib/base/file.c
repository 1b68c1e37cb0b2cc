#include "lib/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int (*file_step_hook)(const char *kind, int fd, const char *what);

/* 0, or -1 with errno set where a test wants the step to fail. */
static int
step(const char *kind, int fd, const char *what)
{
	int failed = file_step_hook == NULL ? 0 : file_step_hook(kind, fd, what);

	if (failed == 0)
		return 0;
	errno = failed;
	return -1;
}

static int
check_dir(int fd, const char *what, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return err_set_errno(e, errno, "%s: cannot look at the directory", what);
	if (st.st_uid != geteuid()) {
		err_set(e, ERR_IO, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR,
		        "%s: the directory belongs to user %u, not to this one (%u)", what,
		        (unsigned)st.st_uid, (unsigned)geteuid());
		err_hint(e, "run as the user that owns the archive, or chown the directory");
		return -1;
	}
	if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
		err_set(e, ERR_IO, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR,
		        "%s: group or others may write to the directory (mode %04o)", what,
		        (unsigned)(st.st_mode & 07777));
		err_hint(e, "chmod go-w the directory");
		return -1;
	}
	return 0;
}

int
file_open_dir(int dirfd, const char *name, int make, const char *what, struct err *e)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(dirfd, name, flags);

	if (fd < 0 && errno == ENOENT && make) {
		if (step("mkdir", dirfd, what) != 0 || (mkdirat(dirfd, name, 0700) != 0 && errno != EEXIST))
			return err_set_errno(e, errno, "%s: cannot make the directory", what);
		if (dirfd != AT_FDCWD && file_sync(dirfd, what, e) != 0)
			return -1;
		fd = openat(dirfd, name, flags);
	}
	if (fd < 0 && (errno == ELOOP || errno == ENOTDIR)) {
		err_set(e, ERR_IO, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR,
		        "%s: a symbolic link or a file stands where a directory should be", what);
		err_hint(e, "look at who put it there, then remove it");
		return -1;
	}
	if (fd < 0)
		return err_set_errno(e, errno, "%s: cannot open the directory", what);
	if (check_dir(fd, what, e) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

int
file_open_dirs(const char *path, struct err *e)
{
	char *copy = strdup(path), *at;
	int fd;

	if (copy == NULL)
		return err_set_errno(e, ENOMEM, "%s", path);
	for (size_t len = strlen(copy); len > 1 && copy[len - 1] == '/'; len--)
		copy[len - 1] = '\0';
	/* The parents are the operator's; only the last directory is ours, and checked. */
	for (at = strchr(copy + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
		*at = '\0';
		if (mkdir(copy, 0700) != 0 && errno != EEXIST) {
			err_set_errno(e, errno, "%s: cannot make the directory", copy);
			free(copy);
			return -1;
		}
		*at = '/';
	}
	fd = file_open_dir(AT_FDCWD, copy, 1, copy, e);
	free(copy);
	return fd;
}

int
file_create(int dirfd, const char *name, const char *what, struct err *e)
{
	int fd;

	if (step("create", dirfd, what) != 0)
		return err_set_errno(e, errno, "%s: cannot make the file", what);
	if (unlinkat(dirfd, name, 0) != 0 && errno != ENOENT)
		return err_set_errno(e, errno, "%s: cannot remove the old file", what);
	fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_set_errno(e, errno, "%s: cannot make the file", what);
	return fd;
}

int
file_open_read(int dirfd, const char *name, const char *what, struct err *e)
{
	struct stat st;
	int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return -1;
	if (fd < 0)
		return err_set_errno(e, errno, "%s: cannot open the file", what);
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		err_set(e, ERR_IO, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR,
		        "%s: not a regular file", what);
		errno = EINVAL;
		return -1;
	}
	return fd;
}

int
file_write(int fd, const void *bytes, size_t len, const char *what, struct err *e)
{
	const char *p = bytes;
	ssize_t n;

	if (step("write", fd, what) != 0)
		return err_set_errno(e, errno, "%s: cannot write", what);
	while (len > 0) {
		n = write(fd, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set_errno(e, errno, "%s: cannot write", what);
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int
file_sync(int fd, const char *what, struct err *e)
{
	if (step("fsync", fd, what) != 0 || fsync(fd) != 0)
		return err_set_errno(e, errno, "%s: cannot make it durable (fsync)", what);
	return 0;
}

int
file_rename(int from_dirfd, const char *from, int to_dirfd, const char *to, const char *what,
            struct err *e)
{
	if (step("rename", to_dirfd, what) != 0 || renameat(from_dirfd, from, to_dirfd, to) != 0)
		return err_set_errno(e, errno, "%s: cannot rename the new file into place", what);
	return 0;
}

int
file_remove(int dirfd, const char *name, const char *what, struct err *e)
{
	if (step("unlink", dirfd, what) != 0 || (unlinkat(dirfd, name, 0) != 0 && errno != ENOENT))
		return err_set_errno(e, errno, "%s: cannot remove the file", what);
	return 0;
}

int
file_read_all(int dirfd, const char *name, struct buf *b, const char *what, struct err *e)
{
	int fd = file_open_read(dirfd, name, what, e);
	ssize_t n;

	if (fd < 0)
		return errno == ENOENT ? 1 : -1;
	do {
		if (b->size - b->len < 4096 && buf_reserve(b, b->size < 65536 ? 65536 : b->size) != 0 &&
		    buf_reserve(b, 1) != 0) {
			close(fd);
			return err_set(e, ERR_NOMEM, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR,
			               "%s: larger than the %zu bytes it may have", what, b->cap_bytes);
		}
		n = read(fd, b->data + b->len, b->size - b->len);
		if (n > 0)
			b->len += (size_t)n;
	} while (n > 0 || (n < 0 && errno == EINTR));
	if (n < 0)
		err_set_errno(e, errno, "%s: cannot read", what);
	close(fd);
	return n < 0 ? -1 : 0;
}

int
file_replace(int dirfd, const char *name, const void *bytes, size_t len, const char *what,
             struct err *e)
{
	char aside[300];
	int fd, failed;

	if ((size_t)snprintf(aside, sizeof(aside), "%s.tmp", name) >= sizeof(aside))
		return err_set_errno(e, ENAMETOOLONG, "%s", what);
	fd = file_create(dirfd, aside, what, e);
	if (fd < 0)
		return -1;
	failed = file_write(fd, bytes, len, what, e) != 0 || file_sync(fd, what, e) != 0;
	if (close(fd) != 0 && !failed)
		failed = err_set_errno(e, errno, "%s: cannot close", what) != 0;
	if (failed || file_rename(dirfd, aside, dirfd, name, what, e) != 0) {
		unlinkat(dirfd, aside, 0);
		return -1;
	}
	return file_sync(dirfd, what, e);
}
