/* recover.c: what an unclean end left behind, brought to an end.
 *
 * A file in .staging/ is the sign of one, or a ledger with something left to do. So at rest one look into an empty
 * directory is all that opening costs.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/store/store_private.h"

static bool
ends_in_tmp(const char *name)
{
	size_t len = strlen(name);

	return len > 4 && strcmp(name + len - 4, ".tmp") == 0;
}

static int
remove_tmp_of_year(struct store *s, int events_fd, const char *year, struct err *e)
{
	char what[STORE_WHAT_MAX];
	struct dirent *entry;
	DIR *dir = NULL;
	int fd, rc = 0;

	store_what(s, "events", what);
	fd = file_open_dir(events_fd, year, 0, what, e);
	if (fd >= 0)
		dir = store_list(fd, what, e);
	if (dir == NULL)
		rc = -1;
	while (rc == 0 && (entry = readdir(dir)) != NULL)
		if (ends_in_tmp(entry->d_name))
			rc = file_remove(fd, entry->d_name, what, e);
	if (dir != NULL)
		closedir(dir);
	if (fd >= 0)
		close(fd);
	return rc;
}

/* Day files that an earlier build wrote aside in their own directory and did not rename. */
static int
remove_tmp(struct store *s, struct err *e)
{
	char what[STORE_WHAT_MAX];
	struct dirent *entry;
	DIR *dir = NULL;
	int fd, rc = 0;

	store_what(s, "events", what);
	if (faccessat(s->dirfd, "events", F_OK, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT)
		return 0;
	fd = file_open_dir(s->dirfd, "events", 0, what, e);
	if (fd >= 0)
		dir = store_list(fd, what, e);
	if (dir == NULL)
		rc = -1;
	while (rc == 0 && (entry = readdir(dir)) != NULL)
		if (strlen(entry->d_name) == 4 && strspn(entry->d_name, "0123456789") == 4)
			rc = remove_tmp_of_year(s, fd, entry->d_name, e);
	if (dir != NULL)
		closedir(dir);
	if (fd >= 0)
		close(fd);
	return rc;
}

/* Puts the events of a staging file into memory again, in a batch that knows the file. */
static int
load_events(struct store *s, const struct staged *staged, const char *bytes, struct err *e)
{
	struct batch *b = pending_new_batch(&s->pending);
	const char *p = bytes, *end = bytes + staged->bytes, *nl;
	char scratch[EVENT_SCRATCH_SIZE];
	struct event_scan scan;

	if (b == NULL)
		return err_set_errno(e, ENOMEM, "%s: cannot read what is staged", s->name);
	b->staged = *staged;
	b->recovered = true;
	for (; p < end; p = nl + 1) {
		nl = memchr(p, '\n', (size_t)(end - p));
		if (nl == NULL || *p != '{' || event_scan(p, nl, scratch, &scan) != nl ||
		    scan.fault != EVENT_SOUND)
			return dayfile_damaged(staged->file, "it holds a line that is no event", e);
		if (pending_put(&s->pending, &scan.event) == PENDING_NOMEM)
			return err_set_errno(e, ENOMEM, "%s: cannot read what is staged", s->name);
	}
	return 0;
}

static int
load_staging(struct store *s, int staging_fd, struct err *e)
{
	const struct ledger *l = &s->ledger;
	char *bytes = NULL;
	int rc = 0;

	for (size_t i = 0; i < l->n_staging && rc == 0; i++) {
		rc = staging_read(s, staging_fd, &l->staging[i], &bytes, e);
		if (rc == 0)
			rc = load_events(s, &l->staging[i], bytes, e);
		free(bytes);
		bytes = NULL;
	}
	s->pending.open = NULL;
	if (rc == 0 && l->n_staging > 0)
		s->next_staging = strtoull(l->staging[l->n_staging - 1].file, NULL, 10) + 1;
	return rc;
}

/* Is the day's file what `becoming` says? 1, 0 (none there, or other content), -1. */
static int
became(struct merge *m, int year_fd, const struct day *b, struct err *e)
{
	char name[DAYFILE_NAME_MAX];
	unsigned char sha256[32];
	const char *bytes;
	size_t len;
	int rc;

	rc = day_reader_open(&m->in, year_fd, dayfile_name(b->day_s, b->suffix, name), b->suffix, true,
	                     m->what, e);
	if (rc != 0)
		return rc == 1 ? 0 : -1;
	while ((rc = day_reader_bytes(&m->in, UINT64_MAX, &bytes, &len, e)) == 1)
		;
	if (rc < 0 || day_reader_sha256(&m->in, sha256, e) != 0)
		return -1;
	return m->in.offset == b->bytes && memcmp(sha256, b->sha256, 32) == 0;
}

/* Settles which of its two files a day has. What was renamed is made durable before the ledger says it;
 * the file of another suffix goes before the ledger forgets it. */
static int
settle(struct store *s, struct merge *m, struct years *years, const struct day *b, struct err *e)
{
	const struct day *old = ledger_day(&s->ledger, b->day_s);
	char name[DAYFILE_NAME_MAX];
	int fd = years_open(years, s, b->day_s, true, e), rc;

	if (fd < 0)
		return -1;
	store_what_day(s, b->day_s, b->suffix, m->what);
	rc = became(m, fd, b, e);
	if (rc < 0)
		return -1;
	if (rc == 0)
		return 0; /* then it is still what it was: merging checks that, and does the rest */
	years_changed(years, b->day_s);
	if (years_sync(years, s, e) != 0)
		return -1;
	if (old != NULL && old->suffix != b->suffix) {
		store_what_day(s, old->day_s, old->suffix, m->what);
		if (file_remove(fd, dayfile_name(old->day_s, old->suffix, name), m->what, e) != 0)
			return -1;
		years_changed(years, b->day_s);
		if (years_sync(years, s, e) != 0)
			return -1;
	}
	if (ledger_set_day(&s->ledger, b) != 0)
		return err_set_errno(e, ENOMEM, "%s: cannot note a day file", s->name);
	return 0;
}

static int
settle_becoming(struct store *s, struct err *e)
{
	struct ledger *l = &s->ledger;
	struct merge m;
	struct years years;
	int rc = 0;

	merge_init(&m);
	years_init(&years);
	for (size_t i = 0; i < l->n_becoming && rc == 0; i++)
		rc = settle(s, &m, &years, &l->becoming[i], e);
	merge_free(&m);
	years_free(&years);
	s->ledger_changed |= l->n_becoming > 0;
	free(l->becoming);
	l->becoming = NULL;
	l->n_becoming = 0;
	return rc;
}

/* Files of .staging/ that the ledger does not name, the last sign of an unclean end. */
static int
remove_unnamed(struct store *s, int staging_fd, struct err *e)
{
	char what[STORE_WHAT_MAX];
	struct dirent *entry;
	DIR *dir = store_list(staging_fd, store_what(s, STAGING_DIR, what), e);
	bool named;
	int rc = 0;

	while (dir != NULL && rc == 0 && (entry = readdir(dir)) != NULL) {
		named = store_is_dot(entry->d_name);
		for (size_t i = 0; i < s->ledger.n_staging && !named; i++)
			named = strcmp(s->ledger.staging[i].file, entry->d_name) == 0;
		if (!named)
			rc = file_remove(staging_fd, entry->d_name, what, e);
	}
	if (dir != NULL)
		closedir(dir);
	return dir == NULL ? -1 : rc;
}

static int
recover(struct store *s, int staging_fd, struct err *e)
{
	char what[STORE_WHAT_MAX];

	/* The ledger that was read may be one whose rename is not durable yet; from here on it must be. */
	if (file_sync(s->dirfd, store_what(s, "", what), e) != 0 ||
	    load_staging(s, staging_fd, e) != 0 || settle_becoming(s, e) != 0 ||
	    remove_tmp(s, e) != 0 || (staging_fd >= 0 && remove_unnamed(s, staging_fd, e) != 0))
		return -1;
	for (size_t i = 0; i < s->pending.n_days; i++)
		s->pending.days[i].ready = true;
	return commit_run(s, NULL, 0, e);
}

int
store_recover(struct store *s, bool anyway, struct err *e)
{
	int fd = staging_open_dir(s, false, e), rc = 0;
	bool empty = true;

	if (fd == -1)
		return -1;
	if (fd >= 0)
		rc = staging_is_empty(s, fd, &empty, e);
	if (rc == 0 && (anyway || !empty || s->ledger.n_staging > 0 || s->ledger.n_becoming > 0))
		rc = recover(s, fd, e);
	if (fd >= 0)
		close(fd);
	return rc;
}
