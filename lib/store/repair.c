/* repair.c: what is damaged is set aside, and just its seconds are forgotten.
 *
 *   1. look:    store_verify(); the directories below quarantine/damaged/ are made             (durable)
 *   2. ledger:  without the seconds and the entries of what is wrong; with what is to be moved  (durable)
 *   3. move:    each file, see file_move()                                                      (durable)
 *   4. ledger:  nothing is to be moved any more                                                 (durable)
 *
 * Ended before 2, nothing has happened but an empty directory, which the next repair takes. After 2 the ledger
 * claims nothing that the damaged file was needed for; where 3 came to no end the next store_open() does
 * it, before anything is read or written: a new file of that day is never taken for the damaged one. The entry
 * of `repairs` stays until the file was compared with what was read anew (compare.c).
 *
 * What the ledger says nothing of (a stray name) is only moved.
 */
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

#define PATH_MAX_BYTES 560
#define ASIDE_MAX 100000 /* directories of one day */

struct item {
	char path[PATH_MAX_BYTES];   /* below the organization's directory */
	char aside[sizeof(((struct repair *)0)->aside)];
	bool there;                  /* there is something to move */
	bool is_day, damaged;        /* a day file's name; of a day of which no file is right */
	int64_t day_s;
	bool noted;                  /* the ledger is to know it: it is compared later */
	int64_t from_s, to_s;        /* forgotten; 0 and 0: none */
	int64_t wait_from_s, wait_to_s; /* noted: the seconds that are to be covered first */
	uint64_t events;             /* noted: that it held, by the ledger */
};

struct repairing {
	struct store *s;
	void (*found)(void *ctx, const struct store_finding *finding);
	void *ctx;
	struct item *items;
	size_t n, size;
	char directory[PATH_MAX_BYTES]; /* that is not to be trusted; "": none */
	char directory_why[400];
	unsigned others;             /* the number of the last directory for a file of no day: each is tried once */
	bool no_memory;
};

static const char *
base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? path : slash + 1;
}

/* The directory that path is in, below the organization's; -1, or -2 where it is missing. */
static int
open_parent(const struct store *s, const char *path, struct err *e)
{
	char dir[PATH_MAX_BYTES], what[STORE_WHAT_MAX], *rest;
	struct stat st;
	int fd = -1, up;

	snprintf(dir, sizeof(dir), "%.*s", (int)(base_name(path) - path), path);
	up = file_open_dir(s->dirfd, ".", 0, s->name, e);
	for (char *name = strtok_r(dir, "/", &rest); name != NULL && up >= 0; name = strtok_r(NULL, "/", &rest)) {
		if (fstatat(up, name, &st, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT) {
			close(up);
			return -2;
		}
		fd = file_open_dir(up, name, 0, store_what(s, name, what), e);
		close(up);
		up = fd;
	}
	return up;
}

static bool
is_there(const struct store *s, const char *path)
{
	struct err ignored;
	struct stat st;
	bool there;
	int fd;

	err_clear(&ignored);
	fd = open_parent(s, path, &ignored);
	there = fd >= 0 && fstatat(fd, base_name(path), &st, AT_SYMLINK_NOFOLLOW) == 0;
	if (fd >= 0)
		close(fd);
	return there;
}

/* The day and suffix of a path that a day file may have. */
static bool
is_day_path(const char *path, int64_t *ret_day_s, enum ledger_suffix *ret_suffix)
{
	char right[64], name[DAYFILE_NAME_MAX];

	if (!dayfile_parse_name(base_name(path), ret_day_s, ret_suffix))
		return false;
	dayfile_name(*ret_day_s, *ret_suffix, name);
	snprintf(right, sizeof(right), "events/%.4s/%s", name, name);
	return strcmp(path, right) == 0;
}

static void
add_item(struct repairing *r, const char *path, bool damaged)
{
	size_t size = r->size == 0 ? 16 : 2 * r->size;
	enum ledger_suffix suffix;
	struct item *items, *item;

	for (size_t i = 0; i < r->n; i++)
		if (strcmp(r->items[i].path, path) == 0)
			return;
	if (r->n == r->size) {
		items = realloc(r->items, size * sizeof(*items));
		if (items == NULL) {
			r->no_memory = true;
			return;
		}
		r->items = items;
		r->size = size;
	}
	item = &r->items[r->n++];
	memset(item, 0, sizeof(*item));
	snprintf(item->path, sizeof(item->path), "%s", path);
	item->there = is_there(r->s, path);
	item->is_day = is_day_path(path, &item->day_s, &suffix);
	item->damaged = damaged;
}

/* Of a day whose file is not right, every file goes, whatever its suffix. */
static void
add_other_suffixes(struct repairing *r, int64_t day_s)
{
	char path[64], name[DAYFILE_NAME_MAX];

	for (int i = LEDGER_PLAIN; i <= LEDGER_ZSTD; i++) {
		dayfile_name(day_s, (enum ledger_suffix)i, name);
		snprintf(path, sizeof(path), "events/%.4s/%s", name, name);
		if (is_there(r->s, path))
			add_item(r, path, true);
	}
}

/* From store_verify(). */
static void
collect(void *ctx, const struct store_finding *finding)
{
	struct repairing *r = ctx;
	enum ledger_suffix suffix;
	int64_t day_s;

	r->found(r->ctx, finding);
	switch (finding->kind) {
	case STORE_DAY_FILE:
		add_item(r, finding->path, true);
		if (is_day_path(finding->path, &day_s, &suffix))
			add_other_suffixes(r, day_s);
		break;
	case STORE_STRAY:
	case STORE_STAGED:
		add_item(r, finding->path, false);
		break;
	case STORE_DIRECTORY:
		if (r->directory[0] != '\0')
			break;
		snprintf(r->directory, sizeof(r->directory), "%s", finding->path);
		snprintf(r->directory_why, sizeof(r->directory_why), "%s", finding->text);
		break;
	case STORE_HOLE:
		break;
	}
}

/* Step 1: where it all goes --------------------------------------------------------------------------- */

int
repair_open_aside(const struct store *s, const char *aside, bool make, struct err *e)
{
	const char *const names[] = { QUARANTINE_DIR, DAMAGED_DIR, aside };
	char what[STORE_WHAT_MAX], rest[80] = "";
	struct stat st;
	int fd = -1, up = s->dirfd;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(rest + strlen(rest), sizeof(rest) - strlen(rest), "%s%s", i == 0 ? "" : "/", names[i]);
		if (!make && fstatat(up, names[i], &st, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT)
			fd = -2;
		else
			fd = file_open_dir(up, names[i], make, store_what(s, rest, what), e);
		if (up != s->dirfd)
			close(up);
		if (fd < 0)
			return fd;
		up = fd;
	}
	return fd;
}

static bool
is_taken(const struct repairing *r, const char *aside)
{
	for (size_t i = 0; i < r->s->ledger.n_repairs; i++)
		if (strcmp(r->s->ledger.repairs[i].aside, aside) == 0)
			return true;
	for (size_t i = 0; i < r->n; i++)
		if (strcmp(r->items[i].aside, aside) == 0)
			return true;
	return false;
}

static int
is_empty(int fd, const char *what, bool *ret, struct err *e)
{
	DIR *dir = store_list(fd, what, e);
	struct dirent *entry;

	if (dir == NULL)
		return -1;
	while ((entry = readdir(dir)) != NULL && store_is_dot(entry->d_name))
		;
	*ret = entry == NULL;
	closedir(dir);
	return 0;
}

/* A directory of its own: nothing that was set aside earlier is ever written over. */
static int
make_aside(struct repairing *r, struct item *item, struct err *e)
{
	char kind[16] = "other", aside[sizeof(item->aside)], what[STORE_WHAT_MAX];
	bool empty = false;
	unsigned i = 1;
	int fd, failed;

	if (item->is_day)
		isotime_format_day(item->day_s, kind);
	else if (strncmp(item->path, STAGING_DIR "/", strlen(STAGING_DIR) + 1) == 0)
		strcpy(kind, "staging");
	if (!item->is_day)
		i = r->others + 1;
	for (; i < ASIDE_MAX; i++) {
		snprintf(aside, sizeof(aside), "%s.%u", kind, i);
		if (is_taken(r, aside))
			continue;
		fd = repair_open_aside(r->s, aside, true, e);
		if (fd < 0)
			return -1;
		failed = is_empty(fd, store_what(r->s, QUARANTINE_DIR "/" DAMAGED_DIR, what), &empty, e);
		close(fd);
		if (failed)
			return -1;
		if (empty) {
			strcpy(item->aside, aside);
			r->others = item->is_day ? r->others : i;
			return 0;
		}
	}
	return err_set(e, ERR_IO, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR,
	               "%s/" QUARANTINE_DIR "/" DAMAGED_DIR ": too many directories of %s", r->s->name, kind);
}

/* The directories are found again by name after a crash only if their own entries are durable: whoever made
 * them may have ended before its fsync. */
static int
sync_asides(const struct store *s, struct err *e)
{
	char what[STORE_WHAT_MAX];
	int quarantine = file_open_dir(s->dirfd, QUARANTINE_DIR, 1, store_what(s, QUARANTINE_DIR, what), e), fd = -1;
	int rc = -1;

	if (quarantine >= 0)
		fd = file_open_dir(quarantine, DAMAGED_DIR, 1, what, e);
	if (fd >= 0 && file_sync(s->dirfd, what, e) == 0 && file_sync(quarantine, what, e) == 0)
		rc = file_sync(fd, what, e);
	if (fd >= 0)
		close(fd);
	if (quarantine >= 0)
		close(quarantine);
	return rc;
}

/* Step 2: what the ledger forgets ---------------------------------------------------------------------- */

/* The seconds of its day in which the file has events; false: none can be read. */
static bool
span_of(const struct store *s, const struct item *item, int64_t *ret_from_s, int64_t *ret_to_s)
{
	int64_t first_s = item->day_s + S_PER_DAY, end_s = item->day_s, day_s, second_s;
	char scratch[EVENT_SCRATCH_SIZE];
	enum ledger_suffix suffix = LEDGER_PLAIN;
	struct event_scan scan;
	struct day_reader in;
	struct err ignored;
	const char *line;
	size_t len;
	int fd;

	err_clear(&ignored);
	fd = open_parent(s, item->path, &ignored);
	day_reader_init(&in);
	if (fd >= 0 && is_day_path(item->path, &day_s, &suffix) &&
	    day_reader_open(&in, fd, base_name(item->path), suffix, false, item->path, &ignored) == 0)
		while (day_reader_line(&in, &line, &len, &ignored) == 1) {
			if (len == 0 || line[0] != '{' || event_scan(line, line + len, scratch, &scan) != line + len ||
			    scan.fault != EVENT_SOUND)
				continue;
			second_s = isotime_second(scan.event.created_ns);
			if (second_s < item->day_s || second_s >= item->day_s + S_PER_DAY)
				continue;
			first_s = second_s < first_s ? second_s : first_s;
			end_s = second_s + 1 > end_s ? second_s + 1 : end_s;
		}
	day_reader_free(&in);
	if (fd >= 0)
		close(fd);
	if (first_s >= end_s)
		return false;
	*ret_from_s = first_s;
	*ret_to_s = end_s;
	return true;
}

/* Of a day none of whose files is right all that is covered goes, and so it does where the ledger covers a
 * day and knows of no file: one of the two is wrong. A second file beside a right one is only compared. */
static void
measure_day(struct repairing *r, struct item *item)
{
	const struct ledger *l = &r->s->ledger;
	const struct day *d = ledger_day(l, item->day_s);
	char name[DAYFILE_NAME_MAX];

	item->noted = ledger_covered_hull(l, item->day_s, item->day_s + S_PER_DAY, &item->wait_from_s,
	                                  &item->wait_to_s);
	if (item->noted && (d == NULL || item->damaged)) {
		item->from_s = item->wait_from_s;
		item->to_s = item->wait_to_s;
	}
	if (!item->noted && d != NULL && item->damaged) {
		item->noted = true;
		item->wait_from_s = isotime_second(d->first_ns);
		item->wait_to_s = isotime_second(d->last_ns) + 1;
	}
	if (!item->noted)
		item->noted = span_of(r->s, item, &item->wait_from_s, &item->wait_to_s);
	if (d != NULL && item->damaged && strcmp(base_name(item->path), dayfile_name(d->day_s, d->suffix, name)) == 0)
		item->events = d->events;
}

static struct staged *
staged_of(struct repairing *r, const struct item *item)
{
	struct ledger *l = &r->s->ledger;

	for (size_t i = 0; i < l->n_staging && !item->is_day; i++)
		if (strncmp(item->path, STAGING_DIR "/", strlen(STAGING_DIR) + 1) == 0 &&
		    strcmp(l->staging[i].file, base_name(item->path)) == 0)
			return &l->staging[i];
	return NULL;
}

/* What is to be forgotten on account of the item; the ledger stays as it is. */
static void
measure(struct repairing *r, struct item *item)
{
	const struct staged *staged = staged_of(r, item);

	if (item->is_day) {
		measure_day(r, item);
	} else if (staged != NULL) {
		item->noted = ledger_covered_hull(&r->s->ledger, staged->from_s, staged->to_s, &item->from_s, &item->to_s);
		item->wait_from_s = item->from_s;
		item->wait_to_s = item->to_s;
	}
}

static int
forget(struct repairing *r, const struct item *item, struct err *e)
{
	struct repair new = { .moving = item->there, .from_s = item->wait_from_s, .to_s = item->wait_to_s,
		              .events = item->events };
	struct ledger *l = &r->s->ledger;
	struct staged *staged = staged_of(r, item);

	if (staged != NULL) {
		memmove(staged, staged + 1, (size_t)(l->staging + l->n_staging - (staged + 1)) * sizeof(*staged));
		l->n_staging--;
	}
	if (item->damaged)
		ledger_drop_day(l, item->day_s);
	if (item->from_s < item->to_s && ledger_uncover(l, item->from_s, item->to_s) != 0)
		return err_set_errno(e, ENOMEM, "%s: cannot forget what was read", r->s->name);
	if (!item->noted)
		return 0;
	snprintf(new.aside, sizeof(new.aside), "%s", item->aside);
	if (item->there)
		snprintf(new.file, sizeof(new.file), "%.39s", base_name(item->path));
	if (ledger_add_repair(l, &new) != 0)
		return err_set_errno(e, ENOMEM, "%s: cannot note a repair", r->s->name);
	return 0;
}

/* Step 3: the moves ----------------------------------------------------------------------------------- */

static int
move(const struct store *s, const char *path, const char *aside, struct err *e)
{
	char what[STORE_WHAT_MAX];
	int from = open_parent(s, path, e), to, rc = 0;

	if (from < 0)
		return from == -2 ? 0 : -1;
	to = repair_open_aside(s, aside, true, e);
	if (to < 0 || file_move(from, base_name(path), to, base_name(path), store_what(s, path, what), e) < 0)
		rc = -1;
	if (to >= 0)
		close(to);
	close(from);
	return rc;
}

int
repair_finish_moves(struct store *s, struct err *e)
{
	struct ledger *l = &s->ledger;
	char path[64], what[STORE_WHAT_MAX];
	enum ledger_suffix suffix;
	int64_t day_s;
	bool any = false;

	for (size_t i = 0; i < l->n_repairs; i++)
		any |= l->repairs[i].moving;
	if (!any)
		return 0;
	/* The ledger that was read may be one whose rename is not durable yet; from here on it must be. */
	if (file_sync(s->dirfd, store_what(s, "", what), e) != 0)
		return -1;
	for (size_t i = 0; i < l->n_repairs; i++) {
		struct repair *r = &l->repairs[i];

		if (!r->moving)
			continue;
		if (dayfile_parse_name(r->file, &day_s, &suffix))
			snprintf(path, sizeof(path), "events/%.4s/%s", r->file, r->file);
		else
			snprintf(path, sizeof(path), STAGING_DIR "/%s", r->file);
		if (move(s, path, r->aside, e) != 0)
			return -1;
		r->moving = false;
	}
	return store_write_ledger(s, e);
}

/* All together ---------------------------------------------------------------------------------------- */

/* Steps 1 to 4. */
static int
set_aside(struct repairing *r, struct err *e)
{
	bool changed = false;

	for (size_t i = 0; i < r->n; i++)
		if (make_aside(r, &r->items[i], e) != 0)
			return -1;
	if (sync_asides(r->s, e) != 0)
		return -1;
	for (size_t i = 0; i < r->n; i++)
		measure(r, &r->items[i]);
	for (size_t i = 0; i < r->n; i++) {
		const struct item *item = &r->items[i];

		changed |= item->noted || item->damaged || staged_of(r, item) != NULL;
		if (forget(r, item, e) != 0)
			return -1;
	}
	if (changed && store_write_ledger(r->s, e) != 0)
		return -1;
	for (size_t i = 0; i < r->n; i++)
		if (r->items[i].there && !r->items[i].noted && move(r->s, r->items[i].path, r->items[i].aside, e) != 0)
			return -1;
	return repair_finish_moves(r->s, e);
}

static void
tell(const struct item *item, void (*repaired)(void *ctx, const struct store_repaired *repaired), void *ctx)
{
	char moved_to[PATH_MAX_BYTES + 64];
	struct store_repaired one = { item->path, NULL, item->from_s, item->to_s, item->noted };

	snprintf(moved_to, sizeof(moved_to), QUARANTINE_DIR "/" DAMAGED_DIR "/%s/%s", item->aside,
	         base_name(item->path));
	if (item->there)
		one.moved_to = moved_to;
	repaired(ctx, &one);
}

int
store_repair(struct store *s, void (*found)(void *ctx, const struct store_finding *finding),
             void (*repaired)(void *ctx, const struct store_repaired *repaired), void *ctx, struct err *e)
{
	struct repairing r = { .s = s, .found = found, .ctx = ctx };
	int n = -1;

	if (!s->repair)
		return err_set(e, ERR_IO, ERR_SCOPE_ORGANIZATION, ERR_RETRY_NEVER,
		               "%s: the archive was not opened to be repaired", s->name);
	if (s->dirfd < 0)
		return 0;
	/* What an earlier repair left half done is no new damage. */
	if (repair_finish_moves(s, e) != 0)
		return -1;
	n = store_verify(s, collect, &r, e);
	if (n < 0)
		goto out;
	if (r.no_memory) {
		n = err_set_errno(e, ENOMEM, "%s: cannot list what is damaged", s->name);
	} else if (r.directory[0] != '\0') {
		n = err_set(e, ERR_IO, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR, "nothing was repaired: %s",
		            r.directory_why);
		err_hint(e, "put %s/%s in order, then repair", s->name, r.directory);
	} else if (r.n > 0) {
		if (set_aside(&r, e) != 0) {
			n = -1;
			goto out;
		}
		for (size_t i = 0; i < r.n; i++)
			tell(&r.items[i], repaired, ctx);
		if (store_recover(s, true, e) != 0)
			n = -1;
	}
out:
	free(r.items);
	return n;
}
