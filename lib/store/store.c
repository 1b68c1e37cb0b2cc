#include "lib/store/store.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/base/isotime.h"
#include "lib/store/store_private.h"

#define TEXT_KEPT_MAX 16384

char *
store_what(const struct store *s, const char *rest, char *out)
{
	snprintf(out, STORE_WHAT_MAX, "%s%s%s", s->name, rest[0] == '\0' ? "" : "/", rest);
	return out;
}

char *
store_what_day(const struct store *s, int64_t day_s, enum ledger_suffix suffix, char *out)
{
	char name[DAYFILE_NAME_MAX];

	dayfile_name(day_s, suffix, name);
	snprintf(out, STORE_WHAT_MAX, "%s/events/%.4s/%s", s->name, name, name);
	return out;
}

DIR *
store_list(int dirfd, const char *what, struct err *e)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (dir == NULL) {
		err_set_errno(e, errno, "%s: cannot list the directory", what);
		if (fd >= 0)
			close(fd);
	}
	return dir;
}

bool
store_is_dot(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

int
store_write_ledger(struct store *s, struct err *e)
{
	char what[STORE_WHAT_MAX];

	store_what(s, LEDGER_FILE, what);
	buf_reset(&s->text);
	if (ledger_write(&s->ledger, &s->text) != 0)
		return err_set_errno(e, ENOMEM, "%s: cannot be put into text", what);
	if (file_replace(s->dirfd, LEDGER_FILE, s->text.data, s->text.len, what, e) != 0)
		return -1;
	s->ledger_changed = false;
	/* Of a thousand open organizations with years of days these texts would be a good part of the memory. */
	if (s->text.size > TEXT_KEPT_MAX)
		buf_free(&s->text);
	return 0;
}

int
store_read_ledger(struct store *s, struct ledger *l, struct err *e)
{
	char what[STORE_WHAT_MAX];
	int rc;

	store_what(s, LEDGER_FILE, what);
	memcpy(l->org_id, s->org_id, sizeof(l->org_id));
	buf_reset(&s->text);
	rc = file_read_all(s->dirfd, LEDGER_FILE, &s->text, what, e);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	return ledger_read(l, s->text.data, s->text.len, what, e);
}

static int
check_owner(const struct store *s, struct err *e)
{
	if (strcmp(s->ledger.org_id, s->org_id) == 0)
		return 0;
	err_set(e, ERR_LEDGER, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR,
	        "%s/" LEDGER_FILE ": the archive of organization %s, not of %s", s->name, s->ledger.org_id,
	        s->org_id);
	err_hint(e, "give this organization another name, or correct its org_id");
	return -1;
}

static int
take_options(struct store *s, const struct store_options *o, struct err *e)
{
	if (!store_name_is_valid(o->name))
		return err_set(e, ERR_CONFIG, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR,
		               "an organization's name that cannot be a directory's name");
	strcpy(s->name, o->name);
	if (strlen(o->org_id) != 24 || strspn(o->org_id, "0123456789abcdefABCDEF") != 24)
		return err_set(e, ERR_CONFIG, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR,
		               "%s: its org_id is not 24 hexadecimal digits", s->name);
	for (int i = 0; i <= 24; i++)
		s->org_id[i] = (char)tolower((unsigned char)o->org_id[i]);
	s->out_dirfd = o->dirfd;
	s->suffix = o->suffix;
	s->overlap_s = o->overlap_s;
	s->read_only = o->read_only;
	s->repair = o->repair;
	s->cap_bytes = o->pending_cap_bytes == 0 ? STORE_PENDING_CAP_BYTES : o->pending_cap_bytes;
	s->memory_cap_bytes = o->memory_cap_bytes == 0 ? 4 * s->cap_bytes : o->memory_cap_bytes;
	s->next_staging = 1;
	return 0;
}

static int
open_for_reading(struct store *s, struct err *e)
{
	struct stat st;

	if (fstatat(s->out_dirfd, s->name, &st, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT) {
		memcpy(s->ledger.org_id, s->org_id, sizeof(s->org_id));
		return 0;
	}
	s->dirfd = file_open_dir(s->out_dirfd, s->name, 0, s->name, e);
	if (s->dirfd < 0 || (s->repair && store_lock(s, e) != 0) || store_read_ledger(s, &s->ledger, e) != 0 ||
	    store_refuse_lost_ledger(s, e) != 0)
		return -1;
	return check_owner(s, e);
}

static int
open_for_writing(struct store *s, struct err *e)
{
	char what[STORE_WHAT_MAX];

	if (store_index(s, e) != 0)
		return -1;
	s->dirfd = file_open_dir(s->out_dirfd, s->name, 1, s->name, e);
	if (s->dirfd < 0 || store_lock(s, e) != 0 || store_read_ledger(s, &s->ledger, e) != 0 ||
	    store_refuse_lost_ledger(s, e) != 0 || check_owner(s, e) != 0)
		return -1;
	if (file_remove(s->dirfd, LEDGER_FILE ".tmp", store_what(s, LEDGER_FILE ".tmp", what), e) != 0)
		return -1;
	return repair_finish_moves(s, e) != 0 ? -1 : store_recover(s, false, e);
}

struct store *
store_open(const struct store_options *options, struct err *e)
{
	struct store *s = calloc(1, sizeof(*s));
	struct err own;
	int rc;

	if (e == NULL) {
		err_clear(&own);
		e = &own;
	}
	if (s == NULL) {
		err_set_errno(e, ENOMEM, "cannot open an archive");
		return NULL;
	}
	s->dirfd = s->lock_fd = -1;
	ledger_init(&s->ledger);
	pending_init(&s->pending);
	buf_init(&s->text, STORE_LEDGER_MAX_BYTES);
	rc = take_options(s, options, e);
	if (rc == 0)
		rc = s->read_only || s->repair ? open_for_reading(s, e) : open_for_writing(s, e);
	if (rc != 0) {
		store_close(s);
		return NULL;
	}
	buf_free(&s->text);
	return s;
}

void
store_close(struct store *s)
{
	if (s == NULL)
		return;
	pending_free(&s->pending);
	quarantine_forget(s);
	ledger_free(&s->ledger);
	buf_free(&s->text);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	if (s->dirfd >= 0)
		close(s->dirfd);
	free(s);
}

const struct ledger *
store_ledger(const struct store *s)
{
	return &s->ledger;
}

int
store_may_write(const struct store *s, struct err *e)
{
	if (!s->read_only && !s->repair && !s->broken)
		return 0;
	return err_set(e, ERR_IO, ERR_SCOPE_ORGANIZATION, ERR_RETRY_NEVER, "%s: %s", s->name,
	               s->read_only || s->repair ? "the archive was opened for reading"
	                            : "an earlier step failed; the archive takes nothing more in this run");
}

int
store_outcome(struct store *s, int rc)
{
	if (rc != 0)
		s->broken = true;
	return rc;
}

int
store_set_since(struct store *s, int64_t since_s, struct err *e)
{
	if (store_may_write(s, e) != 0)
		return -1;
	if (s->ledger.since_s == since_s)
		return 0;
	s->ledger.since_s = since_s;
	return store_outcome(s, store_write_ledger(s, e));
}

static int
put_one(struct store *s, const struct event *event, struct err *e)
{
	if (event->len == 0 || memchr(event->bytes, '\n', event->len) != NULL)
		return err_set(e, ERR_PAGE, ERR_SCOPE_ORGANIZATION, ERR_RETRY_NEVER,
		               "%s: an event that is no single line", s->name);
	switch (pending_put(&s->pending, event)) {
	case PENDING_NEW:
		break;
	case PENDING_KNOWN:
		s->counts.events_known++;
		break;
	case PENDING_CHANGED:
		s->counts.events_changed++;
		break;
	case PENDING_NOMEM:
		return err_set_errno(e, ENOMEM, "%s: cannot take more events", s->name);
	}
	return 0;
}

int
store_put(struct store *s, const struct event *events, size_t n, struct err *e)
{
	size_t len = 0;

	if (store_may_write(s, e) != 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		len += events[i].len;
	if (store_has_room(s, len, e) != 0)
		return store_outcome(s, -1);
	for (size_t i = 0; i < n; i++)
		if (put_one(s, &events[i], e) != 0)
			return store_outcome(s, -1);
	return 0;
}

int
store_has_room(struct store *s, size_t len, struct err *e)
{
	size_t kept = store_kept_bytes(s);

	if (kept == 0 || (len <= SIZE_MAX - kept && kept + len <= s->memory_cap_bytes))
		return 0;
	return err_set(e, ERR_NOMEM, ERR_SCOPE_ORGANIZATION, ERR_RETRY_NEVER,
	               "%s: more events in memory than may be (%zu bytes)", s->name, s->memory_cap_bytes);
}

size_t
store_uncommitted_bytes(const struct store *s)
{
	return s->unfiled_bytes + (s->pending.open == NULL ? 0 : s->pending.open->bytes);
}

size_t
store_kept_bytes(const struct store *s)
{
	return s->unfiled_bytes + s->pending.bytes;
}

/* A day is merged when reading it came to its end: newest to oldest, that is its first second. Merging
 * it earlier, because an older reading covered it, would write its file once a commit. */
static bool
is_complete(const struct store *s, int64_t day_s, const struct covered *ranges, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (ranges[i].from_s <= day_s && ranges[i].to_s > day_s)
			return ledger_will_cover(&s->ledger, ranges, n, day_s, day_s + S_PER_DAY);
	return false;
}

/* Will this commit read the day's file anyway? */
static bool
is_merged_now(const struct store *s, int64_t day_s)
{
	for (size_t i = 0; i < s->pending.n_days; i++)
		if (s->pending.days[i].day_s == day_s)
			return s->pending.days[i].ready && s->pending.days[i].n > 0;
	return false;
}

static int
check_file_of(const struct store *s, struct years *years, const struct day *d, struct err *e)
{
	char name[DAYFILE_NAME_MAX], what[STORE_WHAT_MAX];
	struct stat st;
	int fd = years_open(years, s, d->day_s, false, e);

	if (fd == -1)
		return -1;
	store_what_day(s, d->day_s, d->suffix, what);
	if (fd >= 0 && fstatat(fd, dayfile_name(d->day_s, d->suffix, name), &st, AT_SYMLINK_NOFOLLOW) == 0)
		return d->suffix != LEDGER_PLAIN || (uint64_t)st.st_size == d->bytes
		       ? 0 : dayfile_damaged(what, "its size is not what the ledger says", e);
	if (fd < 0 || errno == ENOENT)
		return dayfile_damaged(what, "the ledger names it, and it is not there", e);
	return err_set_errno(e, errno, "%s: cannot look at it", what);
}

/* Seconds of a day whose file is gone must not be called covered because nothing new came for it. What a look at
 * the file's entry costs, for the days of what was read just now: a day or two, most nights. Its content, and all other
 * days, are store_verify()'s matter. */
static int
check_files_of(const struct store *s, const struct covered *ranges, size_t n, struct err *e)
{
	struct years years;
	int rc = 0;

	years_init(&years);
	for (size_t i = s->ledger.n_days; i > 0 && rc == 0; i--) {
		const struct day *d = &s->ledger.days[i - 1];
		bool touched = false;

		for (size_t k = 0; k < n && !touched; k++)
			touched = ranges[k].from_s < d->day_s + S_PER_DAY && ranges[k].to_s > d->day_s;
		if (touched && !is_merged_now(s, d->day_s))
			rc = check_file_of(s, &years, d, e);
	}
	years_free(&years);
	return rc;
}

int
store_commit(struct store *s, const struct covered *ranges, size_t n, bool finish, struct err *e)
{
	struct pending *p = &s->pending;
	bool all = finish || p->bytes > s->cap_bytes, claims = s->ledger_changed;

	if (store_may_write(s, e) != 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		claims |= ranges[i].from_s < ranges[i].to_s;
	if (quarantine_write(s, e) != 0)
		return store_outcome(s, -1);
	if (!claims && (p->n_days == 0 || (p->open == NULL && !all)))
		return 0;
	for (size_t i = 0; i < p->n_days; i++)
		p->days[i].ready = all || is_complete(s, p->days[i].day_s, ranges, n);
	if (check_files_of(s, ranges, n, e) != 0)
		return store_outcome(s, -1);
	return store_outcome(s, commit_run(s, ranges, n, e));
}

const struct store_counts *
store_counts(const struct store *s)
{
	return &s->counts;
}

uint64_t
store_events(const struct store *s)
{
	uint64_t n = 0;

	for (size_t i = 0; i < s->ledger.n_days; i++)
		n += s->ledger.days[i].events;
	return n;
}
