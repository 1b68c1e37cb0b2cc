/* store_open.c: whose directory it is: its name, its lock, and the list of organizations. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/store/store_private.h"

#define LOCK_FILE ".lock"
#define LOCK_TRIES 10

bool
store_name_is_valid(const char *name)
{
	static const char alnum[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	size_t len = strlen(name);

	return len >= 1 && len <= STORE_NAME_MAX && strchr(alnum, name[0]) != NULL &&
	       strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == len;
}

static int
locked(const struct store *s, struct err *e)
{
	err_set(e, ERR_LOCKED, ERR_SCOPE_ORGANIZATION, ERR_RETRY_LATER,
	        "%s: another run is working on this organization", s->name);
	err_hint(e, "wait for it to end, as --lock-wait does; the lock goes with the process that holds it");
	return -1;
}

static int
no_lock(const char *what, int why, struct err *e)
{
	if (why != ELOOP && why != EISDIR)
		return err_set_errno(e, why, "%s: cannot open the lock", what);
	err_set(e, ERR_IO, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR,
	        "%s: a symbolic link or a directory stands where the lock should be", what);
	err_hint(e, "look at who put it there, then remove it");
	return -1;
}

int
store_lock(struct store *s, struct err *e)
{
	char what[STORE_WHAT_MAX];
	struct stat ours, there;
	int fd, gone;

	store_what(s, LOCK_FILE, what);
	for (int i = 0; i < LOCK_TRIES; i++) {
		fd = openat(s->dirfd, LOCK_FILE, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
		if (fd < 0)
			return no_lock(what, errno, e);
		if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
			int why = errno;

			close(fd);
			if (why == EWOULDBLOCK)
				return locked(s, e);
			return err_set_errno(e, why, "%s: cannot take the lock", what);
		}
		/* A lock on a file that was removed meanwhile would keep nobody out. */
		gone = fstat(fd, &ours) != 0 || fstatat(s->dirfd, LOCK_FILE, &there, AT_SYMLINK_NOFOLLOW) != 0 ||
		       ours.st_ino != there.st_ino || ours.st_dev != there.st_dev;
		if (!gone) {
			s->lock_fd = fd;
			return 0;
		}
		close(fd);
	}
	return locked(s, e);
}

/* Does the directory `other` below the output directory hold an archive of our organization? 1, 0, -1. */
static int
holds_our_ledger(const struct store *s, const char *other, struct err *e)
{
	struct store there = { .out_dirfd = s->out_dirfd, .lock_fd = -1 };
	struct ledger l;
	struct stat st;
	int rc = -1;

	if (fstatat(s->out_dirfd, other, &st, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT)
		return 0;
	snprintf(there.name, sizeof(there.name), "%s", other);
	there.dirfd = file_open_dir(s->out_dirfd, other, 0, other, e);
	if (there.dirfd < 0)
		return -1;
	buf_init(&there.text, STORE_LEDGER_MAX_BYTES);
	ledger_init(&l);
	if (store_read_ledger(&there, &l, e) == 0)
		rc = strcmp(l.org_id, s->org_id) == 0;
	ledger_free(&l);
	buf_free(&there.text);
	close(there.dirfd);
	return rc;
}

/* The name noted for our organization, without its line end; "" where there is none or no sane one. */
static int
read_index(const struct store *s, int fd, const char *what, char name[STORE_NAME_MAX + 1], struct err *e)
{
	struct buf b;
	int rc;

	name[0] = '\0';
	buf_init(&b, 4096);
	rc = file_read_all(fd, s->org_id, &b, what, e);
	if (rc == 0 && b.len >= 2 && b.len <= STORE_NAME_MAX + 1 && b.data[b.len - 1] == '\n') {
		memcpy(name, b.data, b.len - 1);
		name[b.len - 1] = '\0';
		if (strlen(name) != b.len - 1 || !store_name_is_valid(name))
			name[0] = '\0';
	}
	buf_free(&b);
	return rc < 0 ? -1 : 0;
}

int
store_index(struct store *s, struct err *e)
{
	char was[STORE_NAME_MAX + 1], what[STORE_WHAT_MAX], text[STORE_NAME_MAX + 2];
	int own_fd, fd = -1, rc = -1, elsewhere = 0;

	snprintf(what, sizeof(what), ".orgsync/organizations/%s", s->org_id);
	own_fd = file_open_dir(s->out_dirfd, ".orgsync", 1, ".orgsync", e);
	if (own_fd >= 0)
		fd = file_open_dir(own_fd, "organizations", 1, ".orgsync/organizations", e);
	if (fd < 0 || read_index(s, fd, what, was, e) != 0)
		goto out;
	rc = 0;
	if (strcmp(was, s->name) == 0)
		goto out;
	if (was[0] != '\0')
		elsewhere = holds_our_ledger(s, was, e);
	if (elsewhere == 1) {
		err_set(e, ERR_LEDGER, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR,
		        "%s: organization %s is kept in %s already", s->name, s->org_id, was);
		err_hint(e, "rename the directory %s to %s, or give the organization its old name", was,
		         s->name);
	}
	snprintf(text, sizeof(text), "%s\n", s->name);
	rc = elsewhere != 0 ? -1 : file_replace(fd, s->org_id, text, strlen(text), what, e);
out:
	if (fd >= 0)
		close(fd);
	if (own_fd >= 0)
		close(own_fd);
	return rc;
}

/* Is there a file below events/ that some ledger must have known? 1, 0, -1. Those written aside none need know. */
static int
has_day_files(const struct store *s, struct err *e)
{
	char what[STORE_WHAT_MAX];
	struct dirent *year, *file;
	DIR *years, *files;
	int fd, found = 0;

	if (faccessat(s->dirfd, "events", F_OK, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT)
		return 0;
	fd = file_open_dir(s->dirfd, "events", 0, store_what(s, "events", what), e);
	years = fd < 0 ? NULL : store_list(fd, what, e);
	while (years != NULL && found == 0 && (year = readdir(years)) != NULL) {
		int year_fd = store_is_dot(year->d_name) ? -1
		              : openat(fd, year->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		files = year_fd < 0 ? NULL : fdopendir(year_fd);
		while (files != NULL && found == 0 && (file = readdir(files)) != NULL)
			found = !store_is_dot(file->d_name) && strstr(file->d_name, ".tmp") == NULL;
		if (files != NULL)
			closedir(files);
		else if (year_fd >= 0)
			close(year_fd);
	}
	if (years != NULL)
		closedir(years);
	if (fd >= 0)
		close(fd);
	return years == NULL ? -1 : found;
}

int
store_refuse_lost_ledger(const struct store *s, struct err *e)
{
	const struct ledger *l = &s->ledger;
	int found;

	if (l->n_covered > 0 || l->n_days > 0 || l->since_s >= 0 || l->n_repairs > 0 ||
	    faccessat(s->dirfd, LEDGER_FILE, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	found = has_day_files(s, e);
	/* Beside a first run: its ledger came before its first day file. */
	if (found <= 0 || faccessat(s->dirfd, LEDGER_FILE, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return found < 0 ? -1 : 0;
	err_set(e, ERR_LEDGER, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR,
	        "%s/" LEDGER_FILE ": it is not there, but day files are: nobody knows what they are to be", s->name);
	err_hint(e, "bring the ledger back from a backup, or move the directory %s away and sync anew: nothing is "
	         "written beside day files without a ledger", s->name);
	return -1;
}
