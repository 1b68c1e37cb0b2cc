/* quarantine.c: events that cannot be filed, verbatim, each in a file named by its SHA-256. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/store/store_private.h"

struct unfiled {
	struct unfiled *next;
	size_t len;
	char bytes[];
};

int
store_quarantine(struct store *s, const char *bytes, size_t len, struct err *e)
{
	struct unfiled *one;

	if (store_may_write(s, e) != 0)
		return -1;
	if (store_has_room(s, len, e) != 0)
		return store_outcome(s, -1);
	one = malloc(sizeof(*one) + len);
	if (one == NULL)
		return store_outcome(s, err_set_errno(e, ENOMEM, "%s: cannot take more events", s->name));
	one->next = s->unfiled;
	one->len = len;
	memcpy(one->bytes, bytes, len);
	s->unfiled = one;
	s->unfiled_bytes += sizeof(*one) + len;
	return 0;
}

void
quarantine_forget(struct store *s)
{
	for (struct unfiled *one = s->unfiled, *next; one != NULL; one = next) {
		next = one->next;
		free(one);
	}
	s->unfiled = NULL;
	s->unfiled_bytes = 0;
}

/* Durable only when the directory is. */
static int
write_one(struct store *s, int fd, const struct unfiled *one, struct err *e)
{
	char name[80], rest[100], what[STORE_WHAT_MAX];
	unsigned char sha256[32];
	struct stat st;

	if (sha256_of(one->bytes, one->len, sha256) != 0)
		return err_set_errno(e, ENOMEM, "%s: cannot take a SHA-256", s->name);
	sha256_hex(sha256, name);
	strcpy(name + 64, ".json");
	snprintf(rest, sizeof(rest), QUARANTINE_DIR "/%s", name);
	store_what(s, rest, what);
	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
		if (file_replace_later(fd, name, one->bytes, one->len, what, e) != 0)
			return -1;
		s->counts.quarantined++;
		return 0;
	}
	if (S_ISREG(st.st_mode) && st.st_size == (off_t)one->len)
		return 0;
	err_set(e, ERR_DAMAGE, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR, "%s: it is there, and not what was put there",
	        what);
	err_hint(e, "look at who changed it, then move it away; it is kept anew");
	return -1;
}

int
quarantine_write(struct store *s, struct err *e)
{
	char what[STORE_WHAT_MAX];
	int fd, rc = 0;

	if (s->unfiled == NULL)
		return 0;
	store_what(s, QUARANTINE_DIR, what);
	fd = file_open_dir(s->dirfd, QUARANTINE_DIR, 1, what, e);
	if (fd < 0)
		return -1;
	for (const struct unfiled *one = s->unfiled; one != NULL && rc == 0; one = one->next)
		rc = write_one(s, fd, one, e);
	/* For those too that stand there, and that a process made which ended just then. */
	if (rc == 0)
		rc = file_sync(fd, what, e);
	close(fd);
	if (rc == 0)
		quarantine_forget(s);
	return rc;
}

int
store_quarantine_count(const struct store *s, uint64_t *ret_n, struct err *e)
{
	char what[STORE_WHAT_MAX];
	struct dirent *entry;
	struct stat st;
	uint64_t n = 0;
	DIR *dir;
	int fd;

	*ret_n = 0;
	if (s->dirfd < 0 ||
	    (fstatat(s->dirfd, QUARANTINE_DIR, &st, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT))
		return 0;
	fd = file_open_dir(s->dirfd, QUARANTINE_DIR, 0, store_what(s, QUARANTINE_DIR, what), e);
	if (fd < 0)
		return -1;
	dir = fdopendir(fd);
	if (dir == NULL) {
		err_set_errno(e, errno, "%s: cannot list the directory", what);
		close(fd);
		return -1;
	}
	while ((entry = readdir(dir)) != NULL)
		n += strlen(entry->d_name) == 69 && strspn(entry->d_name, "0123456789abcdef") == 64 &&
		     strcmp(entry->d_name + 64, ".json") == 0;
	closedir(dir);
	*ret_n = n;
	return 0;
}
