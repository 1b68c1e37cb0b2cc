/* staging.c: events that are durable and not yet in day files.
 *
 * One file a commit, events one a line, read back only after an unclean end. A staging file counts only when the ledger
 * names it, and only as far as the ledger says.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/base/isotime.h"
#include "lib/store/store_private.h"

int
staging_open_dir(const struct store *s, bool make, struct err *e)
{
	char what[STORE_WHAT_MAX];
	struct stat st;

	if (!make && fstatat(s->dirfd, STAGING_DIR, &st, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT)
		return -2;
	return file_open_dir(s->dirfd, STAGING_DIR, make, store_what(s, STAGING_DIR, what), e);
}

int
staging_is_empty(const struct store *s, int staging_fd, bool *ret, struct err *e)
{
	char what[STORE_WHAT_MAX];
	struct dirent *entry;
	DIR *dir = store_list(staging_fd, store_what(s, STAGING_DIR, what), e);

	if (dir == NULL)
		return -1;
	while ((entry = readdir(dir)) != NULL && store_is_dot(entry->d_name))
		;
	*ret = entry == NULL;
	closedir(dir);
	return 0;
}

static char *
staging_what(const struct store *s, const char *file, char *out)
{
	char rest[64];

	snprintf(rest, sizeof(rest), STAGING_DIR "/%s", file);
	return store_what(s, rest, out);
}

/* The first of the batch's events in the day, which were put last: d->n where it has none. */
static size_t
first_of(const struct pend_day *d, const struct batch *b)
{
	size_t at = d->n;

	while (at > 0 && d->events[at - 1]->batch == b)
		at--;
	return at;
}

static int
write_waiting(const struct pend_day *d, const struct batch *b, struct day_writer *w, struct staged *new, struct err *e)
{
	for (size_t i = first_of(d, b); i < d->n; i++) {
		const struct pend *one = d->events[i];
		int64_t second_s = isotime_second(one->event.created_ns);

		if (day_writer_put(w, one->event.bytes, one->event.len, e) != 0 || day_writer_put(w, "\n", 1, e) != 0)
			return -1;
		new->from_s = second_s < new->from_s ? second_s : new->from_s;
		new->to_s = second_s + 1 > new->to_s ? second_s + 1 : new->to_s;
	}
	return 0;
}

static bool
has_waiting(const struct pending *p, const struct batch *b)
{
	for (size_t i = 0; i < p->n_days; i++)
		if (!p->days[i].ready && first_of(&p->days[i], b) < p->days[i].n)
			return true;
	return false;
}

int
staging_write(struct store *s, int staging_fd, struct day_writer *w, struct batch *b, struct err *e)
{
	const struct pending *p = &s->pending;
	char what[STORE_WHAT_MAX];
	struct staged new = { .from_s = INT64_MAX };

	if (!has_waiting(p, b))
		return 0;
	snprintf(new.file, sizeof(new.file), "%06" PRIu64 ".ndjson", s->next_staging);
	staging_what(s, new.file, what);
	if (day_writer_open(w, staging_fd, new.file, LEDGER_PLAIN, 0, what, e) != 0)
		return -1;
	for (size_t i = 0; i < p->n_days; i++)
		if (!p->days[i].ready && write_waiting(&p->days[i], b, w, &new, e) != 0)
			return -1;
	new.bytes = w->bytes;
	if (day_writer_finish(w, new.sha256, e) != 0 || file_sync(staging_fd, what, e) != 0)
		return -1;
	s->next_staging++;
	b->staged = new;
	return 0;
}

int
staging_list(struct store *s, struct err *e)
{
	struct ledger *l = &s->ledger;
	struct staged *list;
	size_t n = 0;

	for (const struct batch *b = s->pending.batches; b != NULL; b = b->next)
		n += b->n_waiting > 0 && b->staged.file[0] != '\0';
	list = calloc(n + 1, sizeof(*list));
	if (list == NULL)
		return err_set_errno(e, ENOMEM, "%s: cannot list what is staged", s->name);
	n = 0;
	for (const struct batch *b = s->pending.batches; b != NULL; b = b->next)
		if (b->n_waiting > 0 && b->staged.file[0] != '\0')
			list[n++] = b->staged;
	if (n != l->n_staging)
		s->ledger_changed = true;
	for (size_t i = 0; i < n && !s->ledger_changed; i++)
		s->ledger_changed = strcmp(list[i].file, l->staging[i].file) != 0;
	free(l->staging);
	l->staging = list;
	l->n_staging = n;
	return 0;
}

int
staging_remove_done(struct store *s, struct err *e)
{
	char what[STORE_WHAT_MAX];
	int dirfd = -1, rc = 0;

	for (struct batch *b = s->pending.batches; b != NULL && rc == 0; b = b->next) {
		if (b->n_waiting > 0 || b->staged.file[0] == '\0')
			continue;
		if (dirfd < 0)
			dirfd = staging_open_dir(s, true, e);
		rc = dirfd < 0 ? -1 : file_remove(dirfd, b->staged.file,
		                                  staging_what(s, b->staged.file, what), e);
		b->staged.file[0] = '\0';
	}
	if (dirfd >= 0)
		close(dirfd);
	return rc;
}

static int
damaged(const char *what, const char *why, struct err *e)
{
	err_set(e, ERR_DAMAGE, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR, "%s: damaged: %s", what, why);
	err_hint(e, "bring it back from a backup, or run orgsync verify --repair: it sets the file aside, and the next sync "
	            "reads its seconds again");
	return -1;
}

int
staging_read(const struct store *s, int staging_fd, const struct staged *staged, char **ret_bytes,
             struct err *e)
{
	char what[STORE_WHAT_MAX], *bytes = NULL;
	unsigned char sha256[32];
	struct stat st;
	size_t len = 0;
	ssize_t n;
	int fd, rc = -1;

	staging_what(s, staged->file, what);
	errno = ENOENT;
	fd = staging_fd < 0 ? -1 : file_open_read(staging_fd, staged->file, what, e);
	if (fd < 0)
		return errno == ENOENT ? damaged(what, "the ledger names it, and it is not there", e) : -1;
	if (fstat(fd, &st) != 0 || (uint64_t)st.st_size < staged->bytes) {
		damaged(what, "it is shorter than the ledger says", e);
		goto out;
	}
	bytes = malloc(staged->bytes + 1);
	if (bytes == NULL) {
		err_set_errno(e, ENOMEM, "%s", what);
		goto out;
	}
	while (len < staged->bytes) {
		n = read(fd, bytes + len, staged->bytes - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			err_set_errno(e, n == 0 ? EIO : errno, "%s: cannot read", what);
			goto out;
		}
		len += (size_t)n;
	}
	if (sha256_of(bytes, len, sha256) != 0)
		err_set_errno(e, ENOMEM, "%s", what);
	else if (memcmp(sha256, staged->sha256, 32) != 0 || (len > 0 && bytes[len - 1] != '\n'))
		damaged(what, "its content is not what the ledger says", e);
	else
		rc = 0;
out:
	close(fd);
	if (rc == 0)
		*ret_bytes = bytes;
	else
		free(bytes);
	return rc;
}

bool
staging_is_sound(const char *bytes, size_t len)
{
	const char *p = bytes, *end = bytes + len, *nl;
	char scratch[EVENT_SCRATCH_SIZE];
	struct event_scan scan;

	for (; p < end; p = nl + 1) {
		nl = memchr(p, '\n', (size_t)(end - p));
		if (nl == NULL || *p != '{' || event_scan(p, nl, scratch, &scan) != nl || scan.fault != EVENT_SOUND)
			return false;
	}
	return true;
}
