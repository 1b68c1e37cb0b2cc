#include "lib/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_BYTES 65536 /* the first read of a file */

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

/* Makes the entry of `name` (perhaps with directories before it) in its parent durable. */
static int
sync_parent(int dirfd, const char *name, const char *what, struct err *e)
{
	const char *slash = strrchr(name, '/');
	size_t len = slash == NULL || slash == name ? 1 : (size_t)(slash - name);
	char *parent = strndup(slash == NULL ? "." : name, len);
	int fd, failed;

	if (parent == NULL)
		return err_set_errno(e, ENOMEM, "%s", what);
	fd = openat(dirfd, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(parent);
	if (fd < 0)
		return err_set_errno(e, errno, "%s: cannot open the directory it is in", what);
	failed = file_sync(fd, what, e);
	close(fd);
	return failed;
}

/* mkdir(2) that lasts. A directory that is there already is no error. */
static int
make_dir(int dirfd, const char *name, const char *what, struct err *e)
{
	if (step("mkdir", dirfd, what) != 0)
		return err_set_errno(e, errno, "%s: cannot make the directory", what);
	if (mkdirat(dirfd, name, 0700) == 0)
		return sync_parent(dirfd, name, what, e);
	if (errno != EEXIST)
		return err_set_errno(e, errno, "%s: cannot make the directory", what);
	return 0;
}

int
file_open_dir(int dirfd, const char *name, int make, const char *what, struct err *e)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(dirfd, name, flags);

	if (fd < 0 && errno == ENOENT && make) {
		if (make_dir(dirfd, name, what, e) != 0)
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
	int fd, failed = 0;

	if (copy == NULL)
		return err_set_errno(e, ENOMEM, "%s", path);
	for (size_t len = strlen(copy); len > 1 && copy[len - 1] == '/'; len--)
		copy[len - 1] = '\0';
	/* The parents are the operator's; only the last directory is ours, and checked. */
	for (at = copy + (copy[0] == '/'); !failed && (at = strchr(at, '/')) != NULL; at++) {
		*at = '\0';
		failed = make_dir(AT_FDCWD, copy, copy, e);
		*at = '/';
	}
	fd = failed ? -1 : file_open_dir(AT_FDCWD, copy, 1, copy, e);
	free(copy);
	return fd;
}

/* Something else stands where a file of ours should: whoever can put it there can make us follow it one day. */
static int
no_file(const char *what, struct err *e)
{
	err_set(e, ERR_IO, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR,
	        "%s: a symbolic link or something else that is no regular file", what);
	err_hint(e, "look at who put it there, then remove it");
	return -1;
}

/* 1: a regular file stands under this name, 0: nothing does, -1. */
static int
is_file(int dirfd, const char *name, const char *what, struct err *e)
{
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return S_ISREG(st.st_mode) ? 1 : no_file(what, e);
	return errno == ENOENT ? 0 : err_set_errno(e, errno, "%s: cannot look at the file", what);
}

int
file_create(int dirfd, const char *name, const char *what, struct err *e)
{
	int fd, old = is_file(dirfd, name, what, e);

	if (old < 0)
		return -1;
	if (step("create", dirfd, what) != 0)
		return err_set_errno(e, errno, "%s: cannot make the file", what);
	if (old && unlinkat(dirfd, name, 0) != 0 && errno != ENOENT)
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
	int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC), why = errno;

	if (fd < 0 && why == ENOENT)
		return -1;
	if (fd < 0 && why != ELOOP) {
		err_set_errno(e, why, "%s: cannot open the file", what);
		errno = why;
		return -1;
	}
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return fd;
	if (fd >= 0)
		close(fd);
	no_file(what, e);
	errno = EINVAL; /* never ENOENT, which says that there is nothing */
	return -1;
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
		if (n <= 0) /* a file that takes nothing and says nothing would keep us here for ever */
			return err_set_errno(e, n < 0 ? errno : EIO, "%s: cannot write", what);
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

void
file_begin_sync(int fd)
{
	/* Blocks are found for the bytes now, so one commit of the file system's journal is enough for several files. An
	 * error, or a file system without this, is file_sync()'s matter. */
	(void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

int
file_sync_close(int fd, const char *what, struct err *e)
{
	int failed = file_sync(fd, what, e);

	if (close(fd) != 0 && !failed)
		return err_set_errno(e, errno, "%s: cannot close", what);
	return failed;
}

int
file_rename(int from_dirfd, const char *from, int to_dirfd, const char *to, const char *what,
            struct err *e)
{
	if (step("rename", to_dirfd, what) != 0 || renameat(from_dirfd, from, to_dirfd, to) != 0)
		return err_set_errno(e, errno, "%s: cannot rename the new file into place", what);
	return 0;
}

static bool
is_there(int dirfd, const char *name)
{
	struct stat st;

	return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* A second name first, so that no crash between the two directories can leave none. What cannot have two names (a
 * directory; some file systems) is renamed. */
static int
give_name(int from_dirfd, const char *from, int to_dirfd, const char *to, const char *what, struct err *e)
{
	if (step("link", to_dirfd, what) != 0)
		return err_set_errno(e, errno, "%s: cannot move it", what);
	if (linkat(from_dirfd, from, to_dirfd, to, 0) == 0)
		return 0;
	if ((errno == EPERM || errno == EMLINK || errno == EOPNOTSUPP || errno == ENOSYS) &&
	    renameat(from_dirfd, from, to_dirfd, to) == 0)
		return 0;
	return err_set_errno(e, errno, "%s: cannot move it", what);
}

int
file_move(int from_dirfd, const char *from, int to_dirfd, const char *to, const char *what, struct err *e)
{
	if (!is_there(to_dirfd, to)) {
		if (!is_there(from_dirfd, from))
			return 1;
		if (give_name(from_dirfd, from, to_dirfd, to, what, e) != 0)
			return -1;
	}
	if (file_sync(to_dirfd, what, e) != 0)
		return -1;
	/* Not file_remove(): what is moved may be a link, or anything. */
	if (is_there(from_dirfd, from) && (step("unlink", from_dirfd, what) != 0 || unlinkat(from_dirfd, from, 0) != 0))
		return err_set_errno(e, errno, "%s: cannot remove it from where it was", what);
	return file_sync(from_dirfd, what, e);
}

int
file_remove(int dirfd, const char *name, const char *what, struct err *e)
{
	int there = is_file(dirfd, name, what, e);

	if (there <= 0)
		return there;
	if (step("unlink", dirfd, what) != 0 || (unlinkat(dirfd, name, 0) != 0 && errno != ENOENT))
		return err_set_errno(e, errno, "%s: cannot remove the file", what);
	return 0;
}

/* How much may be read into b at once: its size may pass its cap by the place of a NUL. */
static size_t
room_bytes(const struct buf *b)
{
	return (b->size < b->cap_bytes ? b->size : b->cap_bytes) - b->len;
}

/* Makes room for at least one byte more, if the cap allows it. */
static int
read_room(struct buf *b)
{
	if (room_bytes(b) > 0)
		return 0;
	if (buf_reserve(b, b->size < READ_BYTES ? READ_BYTES : b->size) == 0)
		return 0;
	return buf_reserve(b, 1); /* the last of the cap, or of the memory */
}

/* One read into b, or at its cap into nothing: that the file ends just there can be seen only so.
 * Bytes read; 0 at the end; -1 with e. */
static ssize_t
read_some(int fd, struct buf *b, const char *what, struct err *e)
{
	const bool full = b->len == b->cap_bytes;
	char beyond;
	ssize_t n;

	if (!full && read_room(b) != 0)
		return err_set(e, ERR_NOMEM, ERR_SCOPE_ORGANIZATION, ERR_RETRY_LATER,
		               "%s: not enough memory to read it", what);
	do {
		n = full ? read(fd, &beyond, 1) : read(fd, b->data + b->len, room_bytes(b));
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_set_errno(e, errno, "%s: cannot read", what);
	if (full && n > 0)
		return err_set(e, ERR_NOMEM, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR,
		               "%s: larger than the %zu bytes it may have", what, b->cap_bytes);
	b->len += (size_t)n;
	return n;
}

int
file_read_all(int dirfd, const char *name, struct buf *b, const char *what, struct err *e)
{
	int fd = file_open_read(dirfd, name, what, e);
	size_t len_before = b->len;
	ssize_t n;

	if (fd < 0)
		return errno == ENOENT ? 1 : -1;
	do
		n = read_some(fd, b, what, e);
	while (n > 0);
	close(fd);
	if (n == 0)
		return 0;
	b->len = len_before;
	return -1;
}

int
file_replace_later(int dirfd, const char *name, const void *bytes, size_t len, const char *what,
                   struct err *e)
{
	char aside[300];
	int fd, failed;

	if ((size_t)snprintf(aside, sizeof(aside), "%s.tmp", name) >= sizeof(aside))
		return err_set_errno(e, ENAMETOOLONG, "%s", what);
	fd = file_create(dirfd, aside, what, e);
	if (fd < 0)
		return -1;
	failed = file_write(fd, bytes, len, what, e) != 0;
	if (failed)
		close(fd);
	if (failed || file_sync_close(fd, what, e) != 0 || file_rename(dirfd, aside, dirfd, name, what, e) != 0) {
		unlinkat(dirfd, aside, 0);
		return -1;
	}
	return 0;
}

int
file_replace(int dirfd, const char *name, const void *bytes, size_t len, const char *what,
             struct err *e)
{
	if (file_replace_later(dirfd, name, bytes, len, what, e) != 0)
		return -1;
	return file_sync(dirfd, what, e);
}
