/* file.h: files opened below a directory, and the steps that make them durable.
 *
 * All functions block. All follow no symbolic link in the last component (O_NOFOLLOW) and close on
 * exec. Any thread may call them; a file descriptor has one owner. Errors are filled as by
 * err_set_errno() with `what`, a name for the operator such as "acme/ledger.json".
 * A failed fsync is never tried again as if it had worked: after one, the caller gives the file up.
 */
#ifndef ORGSYNC_BASE_FILE_H
#define ORGSYNC_BASE_FILE_H

#include <stddef.h>
#include <sys/types.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"

/* For tests: called before each step that changes the disk, with its kind ("mkdir", "create", "write",
 * "fsync", "link", "rename", "unlink"), the file or, for all but write and fsync, its directory, and the `what` of
 * the call. Returns 0 to go on, or an errno with which the step then fails undone. NULL, as it is in
 * the programs: nothing is called. Set before the first thread. */
extern int (*file_step_hook)(const char *kind, int fd, const char *what);

/* Opens the directory `name` below dirfd (AT_FDCWD too), making it with mode 0700 where it is
 * missing (durably: the parent is fsynced) if make is not 0. A file descriptor of the caller's, or -1.
 * A symbolic link, something that is no directory, or a directory that another user owns or that
 * group or others may write to is refused. */
int file_open_dir(int dirfd, const char *name, int make, const char *what, struct err *e)
	__attribute__((warn_unused_result));

/* Makes every missing directory of path (mode 0700, durably) and opens the last, as file_open_dir().
 * Links among the directories before the last are followed. */
int file_open_dirs(const char *path, struct err *e) __attribute__((warn_unused_result));

/* Opens `name` below dirfd for writing, new and empty, mode 0600; an old file of that name is
 * removed first. A symbolic link, or anything else that is no regular file, is refused. */
int file_create(int dirfd, const char *name, const char *what, struct err *e)
	__attribute__((warn_unused_result));

/* Opens a regular file for reading. -1 with e untouched and errno ENOENT where there is none. */
int file_open_read(int dirfd, const char *name, const char *what, struct err *e)
	__attribute__((warn_unused_result));

/* Writes all len bytes, however many calls it takes. 0 or -1. */
int file_write(int fd, const void *bytes, size_t len, const char *what, struct err *e)
	__attribute__((warn_unused_result));

/* fsync of a file or of a directory. 0 or -1. */
int file_sync(int fd, const char *what, struct err *e) __attribute__((warn_unused_result));

/* Has the system begin to write the file's bytes to the disk, and does not wait: a later file_sync() of several such
 * files costs little more than one. Promises nothing. */
void file_begin_sync(int fd);

/* file_sync(), and closes it in any case. 0 or -1. */
int file_sync_close(int fd, const char *what, struct err *e) __attribute__((warn_unused_result));

/* rename(2). Durable only after file_sync() of the directory it goes to. */
int file_rename(int from_dirfd, const char *from, int to_dirfd, const char *to, const char *what,
                struct err *e) __attribute__((warn_unused_result));

/* Moves a file of whatever kind to another directory of the same file system, durably: at every moment it stands
 * in one of them at least. A `to` that is there already is what an earlier call has made that came to no end.
 * 0; 1 where there is neither (e untouched); -1. */
int file_move(int from_dirfd, const char *from, int to_dirfd, const char *to, const char *what, struct err *e)
	__attribute__((warn_unused_result));

/* unlink(2); a file that is not there is no error, and no step. Refuses as file_create(). */
int file_remove(int dirfd, const char *name, const char *what, struct err *e)
	__attribute__((warn_unused_result));

/* Reads the whole file into b (appending). 0; 1 where there is no such file (e untouched); -1: b's
 * contents are as they were. A file that would take b past its cap is an ERR_NOMEM. */
int file_read_all(int dirfd, const char *name, struct buf *b, const char *what, struct err *e)
	__attribute__((warn_unused_result));

/* Replaces `name` below dirfd durably: writes `name`.tmp aside, fsync, rename, fsync the directory.
 * After 0 the new bytes are on disk; after -1 the old or the new file is there, whole. */
int file_replace(int dirfd, const char *name, const void *bytes, size_t len, const char *what,
                 struct err *e) __attribute__((warn_unused_result));

/* The same without the last step: for many files whose directory the caller fsyncs once. */
int file_replace_later(int dirfd, const char *name, const void *bytes, size_t len, const char *what,
                       struct err *e) __attribute__((warn_unused_result));

#endif
