/* verify.c: is the archive what its ledger says?
 *
 * It may look at an archive that another process is writing to (a read_only store has no lock): before
 * anything is called wrong, the ledger is read again and the file is held against what it says then.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/base/isotime.h"
#include "lib/store/store_private.h"

#define ASK_AGAIN 3 /* a writer may be faster than we are, but not for ever */
#define WHAT_TO_DO "bring the file back from a backup, or let verify --repair set it aside"

struct verify {
	struct store *s;
	void (*found)(void *ctx, const struct store_finding *finding);
	void *ctx;
	struct err *e;
	struct ledger fresh;         /* the newest ledger read */
	struct years years;
	struct day_reader in;
	struct id_hash *ids;         /* of the day under way */
	size_t n_ids, ids_size;
	bool quiet;                  /* findings are counted, not told */
	int n_found;
};

struct id_hash { uint64_t a, b; };

__attribute__((format(printf, 6, 7)))
static void
find(struct verify *v, enum store_finding_kind kind, const char *path, int64_t from_s, int64_t to_s,
     const char *format, ...)
{
	struct store_finding finding = { kind, path, from_s, to_s, NULL };
	char text[500];
	va_list args;

	v->n_found++;
	if (v->quiet)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	finding.text = text;
	v->found(v->ctx, &finding);
}

static int
read_again(struct verify *v)
{
	struct ledger new;

	ledger_init(&new);
	if (store_read_ledger(v->s, &new, v->e) != 0) {
		ledger_free(&new);
		return -1;
	}
	ledger_free(&v->fresh);
	v->fresh = new;
	return 0;
}

/* One day file -------------------------------------------------------------------------------------- */

static struct id_hash
hash_of(const char *id, size_t len)
{
	struct id_hash h = { UINT64_C(0x243f6a8885a308d3) ^ len, UINT64_C(0x13198a2e03707344) + len };

	for (size_t i = 0; i < len; i++) {
		h.a = (h.a ^ (unsigned char)id[i]) * UINT64_C(0x100000001b3);
		h.b = (h.b + (unsigned char)id[i] + 1) * UINT64_C(0xff51afd7ed558ccd);
		h.b ^= h.b >> 29;
	}
	return h;
}

static int
compare_hash(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct id_hash));
}

static int
note_id(struct verify *v, const struct event *event)
{
	size_t size = v->ids_size == 0 ? 1024 : v->ids_size * 2;
	struct id_hash *ids;

	if (v->n_ids == v->ids_size) {
		ids = realloc(v->ids, size * sizeof(*ids));
		if (ids == NULL)
			return err_set_errno(v->e, ENOMEM, "%s: cannot compare the ids of a day", v->s->name);
		v->ids = ids;
		v->ids_size = size;
	}
	v->ids[v->n_ids++] = hash_of(event->id, event->id_len);
	return 0;
}

static bool
has_repeat(struct verify *v)
{
	if (v->n_ids > 1)
		qsort(v->ids, v->n_ids, sizeof(*v->ids), compare_hash);
	for (size_t i = 1; i < v->n_ids; i++)
		if (compare_hash(&v->ids[i - 1], &v->ids[i]) == 0)
			return true;
	return false;
}

/* What the lines of a file say. */
struct lines {
	struct event last;           /* its id is in last_id */
	char last_id[EVENT_ID_MAX];
	uint64_t n;
	int64_t first_ns;
	uint64_t unreadable, disorder, strange; /* the first such line; 0: none */
};

static int
look_at(struct verify *v, const struct day *d, const char *line, size_t len, struct lines *l)
{
	char scratch[EVENT_SCRATCH_SIZE];
	struct event_scan scan;
	int64_t second_s;

	l->n++;
	if (len == 0 || line[0] != '{' || event_scan(line, line + len, scratch, &scan) != line + len ||
	    scan.fault != EVENT_SOUND) {
		if (l->unreadable == 0)
			l->unreadable = l->n;
		return 0;
	}
	second_s = isotime_second(scan.event.created_ns);
	if ((second_s < d->day_s || second_s >= d->day_s + S_PER_DAY) && l->strange == 0)
		l->strange = l->n;
	if (l->last.id_len > 0 && event_compare(&l->last, &scan.event) >= 0 && l->disorder == 0)
		l->disorder = l->n;
	if (l->last.id_len == 0)
		l->first_ns = scan.event.created_ns;
	l->last = scan.event;
	memcpy(l->last_id, scan.event.id, scan.event.id_len);
	l->last.id = l->last_id;
	return note_id(v, &scan.event);
}

static void
tell_lines(struct verify *v, const char *path, const struct day *d, const struct lines *l)
{
	int64_t end_s = d->day_s + S_PER_DAY;

	if (l->unreadable != 0)
		find(v, STORE_DAY_FILE, path, d->day_s, end_s, "line %" PRIu64 " is no event: " WHAT_TO_DO, l->unreadable);
	if (l->strange != 0)
		find(v, STORE_DAY_FILE, path, d->day_s, end_s, "line %" PRIu64 " is of another day: " WHAT_TO_DO, l->strange);
	if (l->disorder != 0)
		find(v, STORE_DAY_FILE, path, d->day_s, end_s, "line %" PRIu64 " is out of order: " WHAT_TO_DO, l->disorder);
	if (has_repeat(v))
		find(v, STORE_DAY_FILE, path, d->day_s, end_s, "an id stands twice: " WHAT_TO_DO);
}

static int
check_content(struct verify *v, const char *path, const struct day *d)
{
	struct lines l = { .n = 0 };
	unsigned char sha256[32];
	const char *line;
	struct err own;
	size_t len;
	int rc;

	err_clear(&own);
	v->n_ids = 0;
	while ((rc = day_reader_line(&v->in, &line, &len, &own)) == 1)
		if (look_at(v, d, line, len, &l) != 0)
			return -1;
	if (rc == 0 && day_reader_sha256(&v->in, sha256, &own) != 0)
		rc = -1;
	if (rc < 0 && own.code == ERR_NOMEM) {
		*v->e = own;
		return -1;
	}
	if (rc < 0)
		find(v, STORE_DAY_FILE, path, d->day_s, d->day_s + S_PER_DAY, "%s; " WHAT_TO_DO, own.text);
	else if (l.n == d->events && v->in.offset == d->bytes && memcmp(sha256, d->sha256, 32) != 0)
		find(v, STORE_DAY_FILE, path, d->day_s, d->day_s + S_PER_DAY, "it has the %" PRIu64 " events and %" PRIu64
		     " bytes of the ledger, and not its SHA-256: it was altered: " WHAT_TO_DO, l.n, v->in.offset);
	else if (l.n != d->events || v->in.offset != d->bytes)
		find(v, STORE_DAY_FILE, path, d->day_s, d->day_s + S_PER_DAY, "its %" PRIu64 " events in %" PRIu64
		     " bytes are not the %" PRIu64 " in %" PRIu64 " of the ledger: " WHAT_TO_DO, l.n,
		     v->in.offset, d->events, d->bytes);
	else if (l.last.id_len > 0 && (l.first_ns != d->first_ns || l.last.created_ns != d->last_ns))
		find(v, STORE_DAY_FILE, path, d->day_s, d->day_s + S_PER_DAY,
		     "its first or last event is not the one of the ledger: bring the ledger back from a backup");
	tell_lines(v, path, d, &l);
	return 0;
}

/* Holds the file that d names against d. */
static int
check_day(struct verify *v, const struct day *d)
{
	char name[DAYFILE_NAME_MAX], path[64], what[STORE_WHAT_MAX];
	struct err own;
	int fd, rc = 1;

	dayfile_name(d->day_s, d->suffix, name);
	snprintf(path, sizeof(path), "events/%.4s/%s", name, name);
	err_clear(&own);
	fd = years_open(&v->years, v->s, d->day_s, false, &own);
	if (fd >= 0)
		rc = day_reader_open(&v->in, fd, name, d->suffix, true, store_what(v->s, path, what), &own);
	if (rc < 0 && (own.code == ERR_NOMEM || errno == EMFILE || errno == ENFILE)) { /* says nothing of the file */
		*v->e = own;
		return -1;
	}
	if (fd == -1 || rc < 0)
		find(v, fd == -1 ? STORE_DIRECTORY : STORE_DAY_FILE, path, d->day_s, d->day_s + S_PER_DAY, "%s", own.text);
	else if (rc == 1)
		find(v, STORE_DAY_FILE, path, d->day_s, d->day_s + S_PER_DAY,
		     "the ledger names it, and it is not there: " WHAT_TO_DO);
	else if (check_content(v, path, d) != 0)
		return -1;
	day_reader_close(&v->in);
	return 0;
}

static const struct day *
becoming_of(const struct ledger *l, int64_t day_s)
{
	for (size_t i = 0; i < l->n_becoming; i++)
		if (l->becoming[i].day_s == day_s)
			return &l->becoming[i];
	return NULL;
}

/* As check_day(), without telling. 1: it is right, 0: it is not, -1. */
static int
is_right(struct verify *v, const struct day *d)
{
	int before = v->n_found, rc;

	if (d == NULL)
		return 0;
	v->quiet = true;
	rc = check_day(v, d);
	v->quiet = false;
	rc = rc != 0 ? -1 : v->n_found == before;
	v->n_found = before;
	return rc;
}

static int
verify_day(struct verify *v, int64_t day_s)
{
	const struct day *d = ledger_day(&v->fresh, day_s);
	int rc = 0;

	for (int i = 0; i < ASK_AGAIN && rc == 0; i++) {
		rc = is_right(v, d);
		if (rc == 0)
			rc = is_right(v, becoming_of(&v->fresh, day_s));
		if (rc != 0)
			break;
		if (read_again(v) != 0)
			return -1;
		d = ledger_day(&v->fresh, day_s);
	}
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	return d == NULL ? 0 : check_day(v, d);
}

/* A day that is to get its first file, or one of another suffix: there is none yet, or it is what it was to be. */
static int
verify_becoming(struct verify *v, const struct day *b)
{
	const struct day *d = ledger_day(&v->fresh, b->day_s);
	char name[DAYFILE_NAME_MAX], path[64];
	struct stat st;
	int fd, rc;

	if (d != NULL && d->suffix == b->suffix)
		return 0;
	fd = years_open(&v->years, v->s, b->day_s, false, v->e);
	if (fd == -2 || (fd >= 0 && fstatat(fd, dayfile_name(b->day_s, b->suffix, name), &st, AT_SYMLINK_NOFOLLOW) != 0))
		return 0;
	rc = fd < 0 ? -1 : is_right(v, b);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (d == NULL)
		return check_day(v, b);
	rc = is_right(v, d);
	if (rc == 1) { /* otherwise the day was told already */
		snprintf(path, sizeof(path), "events/%.4s/%s", name, name);
		find(v, STORE_STRAY, path, b->day_s, b->day_s + S_PER_DAY,
		     "it is not what the ledger says it was to become: move it away, or let verify --repair do it");
	}
	return rc < 0 ? -1 : 0;
}

/* What is there and should not be --------------------------------------------------------------------- */

static bool
is_named(const struct ledger *l, const char *name)
{
	enum ledger_suffix suffix;
	const struct day *d, *b;
	int64_t day_s;

	if (!dayfile_parse_name(name, &day_s, &suffix))
		return false;
	d = ledger_day(l, day_s);
	b = becoming_of(l, day_s);
	return (d != NULL && d->suffix == suffix) || (b != NULL && b->suffix == suffix);
}

static int
verify_entry(struct verify *v, const char *year, const char *name)
{
	char path[560];
	int64_t day_s = 0;
	enum ledger_suffix suffix;

	if (store_is_dot(name) || is_named(&v->fresh, name))
		return 0;
	if (read_again(v) != 0)
		return -1;
	if (is_named(&v->fresh, name))
		return 0;
	snprintf(path, sizeof(path), "events/%s/%s", year, name);
	if (faccessat(v->s->dirfd, path, F_OK, AT_SYMLINK_NOFOLLOW) != 0)
		return 0; /* it went meanwhile */
	if (!dayfile_parse_name(name, &day_s, &suffix))
		find(v, STORE_STRAY, path, 0, 0, "the ledger does not know it: move it away, or let verify --repair do it");
	else
		find(v, STORE_STRAY, path, day_s, day_s + S_PER_DAY, "the ledger does not know it: move it away, or let verify --repair do it");
	return 0;
}

static int
verify_year(struct verify *v, int events_fd, const char *year)
{
	char what[STORE_WHAT_MAX], path[300];
	struct dirent *entry;
	struct err own;
	DIR *dir = NULL;
	int fd, rc = 0;

	snprintf(path, sizeof(path), "events/%s", year);
	err_clear(&own);
	if (strlen(year) != 4 || strspn(year, "0123456789") != 4) {
		find(v, STORE_STRAY, path, 0, 0, "the ledger does not know it: move it away, or let verify --repair do it");
		return 0;
	}
	fd = file_open_dir(events_fd, year, 0, store_what(v->s, path, what), &own);
	if (fd >= 0)
		dir = store_list(fd, what, &own);
	if (dir == NULL)
		find(v, STORE_DIRECTORY, path, 0, 0, "%s", own.text);
	while (dir != NULL && rc == 0 && (entry = readdir(dir)) != NULL)
		rc = verify_entry(v, year, entry->d_name);
	if (dir != NULL)
		closedir(dir);
	if (fd >= 0)
		close(fd);
	return rc;
}

static int
verify_unknown(struct verify *v)
{
	char what[STORE_WHAT_MAX];
	struct dirent *entry;
	DIR *dir;
	int fd, rc = 0;

	if (faccessat(v->s->dirfd, "events", F_OK, AT_SYMLINK_NOFOLLOW) != 0)
		return 0;
	fd = file_open_dir(v->s->dirfd, "events", 0, store_what(v->s, "events", what), v->e);
	if (fd < 0)
		return -1;
	dir = store_list(fd, what, v->e);
	if (dir == NULL)
		rc = -1;
	while (dir != NULL && rc == 0 && (entry = readdir(dir)) != NULL)
		if (!store_is_dot(entry->d_name))
			rc = verify_year(v, fd, entry->d_name);
	if (dir != NULL)
		closedir(dir);
	close(fd);
	return rc;
}

/* Staging, ranges ------------------------------------------------------------------------------------ */

static const struct staged *
staged_of(const struct ledger *l, const char *file)
{
	for (size_t i = 0; i < l->n_staging; i++)
		if (strcmp(l->staging[i].file, file) == 0)
			return &l->staging[i];
	return NULL;
}

/* Is it as the ledger says? 1, 0 with the reason in ret_why, -1. */
static int
is_staged_right(struct verify *v, const struct staged *staged, struct err *ret_why)
{
	int fd = staging_open_dir(v->s, false, v->e), rc;
	char *bytes = NULL;

	if (fd == -1)
		return -1;
	err_clear(ret_why);
	rc = staging_read(v->s, fd, staged, &bytes, ret_why) == 0;
	if (rc == 1 && !staging_is_sound(bytes, (size_t)staged->bytes)) {
		dayfile_damaged(staged->file, "it holds a line that is no event", ret_why);
		rc = 0;
	}
	free(bytes);
	if (fd >= 0)
		close(fd);
	if (rc == 0 && ret_why->code == ERR_NOMEM) {
		*v->e = *ret_why;
		return -1;
	}
	return rc;
}

static int
verify_staged(struct verify *v, const char *file)
{
	const struct staged *staged = staged_of(&v->fresh, file);
	char path[64];
	struct err why;
	int rc = staged == NULL;

	for (int i = 0; i < ASK_AGAIN && rc == 0; i++) {
		rc = is_staged_right(v, staged, &why);
		if (rc != 0)
			break;
		if (read_again(v) != 0)
			return -1;
		staged = staged_of(&v->fresh, file);
		rc = staged == NULL; /* it is merged */
	}
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	snprintf(path, sizeof(path), STAGING_DIR "/%s", file);
	find(v, STORE_STAGED, path, 0, 0, "%s; %s", why.text, why.hint);
	return 0;
}

static int
verify_staging(struct verify *v)
{
	size_t n = v->fresh.n_staging;
	struct staged *list = calloc(n + 1, sizeof(*list));
	int rc = 0;

	if (list == NULL)
		return err_set_errno(v->e, ENOMEM, "%s: cannot list what is staged", v->s->name);
	if (n > 0)
		memcpy(list, v->fresh.staging, n * sizeof(*list));
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = verify_staged(v, list[i].file);
	free(list);
	return rc;
}

static void
verify_ranges(struct verify *v)
{
	for (size_t i = 1; i < v->fresh.n_covered; i++) {
		int64_t from_s = v->fresh.covered[i - 1].to_s, to_s = v->fresh.covered[i].from_s;

		if (from_s < to_s)
			find(v, STORE_HOLE, NULL, from_s, to_s,
			     "not read, between ranges that were: the next sync reads it");
	}
}

int
store_verify(struct store *s, void (*found)(void *ctx, const struct store_finding *finding), void *ctx,
             struct err *e)
{
	struct verify v = { .s = s, .found = found, .ctx = ctx, .e = e };
	int64_t *days = NULL;
	size_t n;
	int rc = -1;

	if (s->dirfd < 0)
		return 0;
	ledger_init(&v.fresh);
	years_init(&v.years);
	day_reader_init(&v.in);
	if (read_again(&v) != 0)
		goto out;
	n = v.fresh.n_days;
	days = calloc(n + 1, sizeof(*days));
	if (days == NULL) {
		err_set_errno(e, ENOMEM, "%s: cannot list the days", s->name);
		goto out;
	}
	for (size_t i = 0; i < n; i++)
		days[i] = v.fresh.days[i].day_s;
	rc = 0;
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = verify_day(&v, days[i]);
	/* Without the lock a run may just be at it; and what it left behind is not called wrong before it is. */
	for (size_t i = 0; s->repair && i < v.fresh.n_becoming && rc == 0; i++)
		rc = verify_becoming(&v, &v.fresh.becoming[i]);
	if (rc == 0 && verify_unknown(&v) == 0 && verify_staging(&v) == 0)
		verify_ranges(&v);
	else
		rc = -1;
out:
	free(days);
	free(v.ids);
	years_free(&v.years);
	day_reader_free(&v.in);
	ledger_free(&v.fresh);
	return rc < 0 ? -1 : v.n_found;
}
