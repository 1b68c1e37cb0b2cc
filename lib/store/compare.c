/* compare.c: once the seconds of a file that was set aside are covered again: which of its events did the server no
 * longer give, and which did it give with other bytes?
 *
 * Every event that can still be read in the file is looked for, by its id, in the file of the day it was filed
 * under and in that of its own `created`. What is not there goes verbatim to missing.ndjson beside the file, what
 * is there with other bytes to altered.ndjson, and then result.json says that it was done; after that the
 * ledger forgets it. Stopped before, it is done again, with the same result. Neither the archive nor the file
 * set aside is touched.
 *
 * Memory: 56 bytes for each event of the file.
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

enum state { GONE, ALTERED, SAME };

/* One event of the file set aside. */
struct mark {
	unsigned char id[16], line[16]; /* of SHA-256 sums: equal ones are the same bytes */
	int64_t day_s;
	size_t at;                      /* which line of the file */
	enum state state;
};

struct compare {
	struct store *s;
	const struct repair *repair;
	int aside_fd;
	char what[STORE_WHAT_MAX];      /* the file set aside, for messages */
	struct day_reader in;
	struct day_writer out;
	struct years years;
	struct mark *marks;             /* sorted by id; of equal ids by line */
	size_t n, size;
	uint64_t unreadable;            /* lines that are no event, and 1 for a rest that cannot be read at all */
	uint64_t now;                   /* events that the day has now */
	struct store_compared result;
};

/* The file set aside --------------------------------------------------------------------------------- */

static int
half_sha256(const void *bytes, size_t len, unsigned char ret[16])
{
	unsigned char whole[32];

	if (sha256_of(bytes, len, whole) != 0)
		return -1;
	memcpy(ret, whole, 16);
	return 0;
}

static int
no_memory(const struct compare *c, struct err *e)
{
	return err_set_errno(e, ENOMEM, "%s: cannot compare it", c->what);
}

static int
mark_event(struct compare *c, const struct event *event, size_t at, struct err *e)
{
	size_t size = c->size == 0 ? 1024 : 2 * c->size;
	struct mark *marks, *m;

	if (c->n == c->size) {
		marks = realloc(c->marks, size * sizeof(*marks));
		if (marks == NULL)
			return no_memory(c, e);
		c->marks = marks;
		c->size = size;
	}
	m = &c->marks[c->n++];
	*m = (struct mark){ .at = at, .day_s = isotime_day_start_s(isotime_second(event->created_ns)) };
	if (half_sha256(event->id, event->id_len, m->id) != 0 ||
	    half_sha256(event->bytes, event->len, m->line) != 0)
		return no_memory(c, e);
	return 0;
}

static bool
scan_line(const char *line, size_t len, char scratch[static EVENT_SCRATCH_SIZE], struct event_scan *ret)
{
	return len > 0 && line[0] == '{' && event_scan(line, line + len, scratch, ret) == line + len &&
	       ret->fault == EVENT_SOUND;
}

/* The next line of the file set aside, and at its end what may be a whole event without its line end. 1, 0 where
 * there is no more that can be read, -1. */
static int
next_line(struct compare *c, bool *broken, const char **ret_line, size_t *ret_len, struct err *e)
{
	struct err own;
	int rc;

	if (*broken)
		return 0;
	err_clear(&own);
	rc = day_reader_line(&c->in, ret_line, ret_len, &own);
	if (rc >= 0)
		return rc;
	if (own.code == ERR_NOMEM) {
		*e = own;
		return -1;
	}
	*broken = true;
	day_reader_rest(&c->in, ret_line, ret_len);
	return 1;
}

static int
open_aside_file(struct compare *c, struct err *e)
{
	enum ledger_suffix suffix = LEDGER_PLAIN;
	int64_t day_s;

	if (!dayfile_parse_name(c->repair->file, &day_s, &suffix))
		suffix = LEDGER_PLAIN; /* of staging */
	return day_reader_open(&c->in, c->aside_fd, c->repair->file, suffix, false, c->what, e);
}

static int
compare_marks(const void *a, const void *b)
{
	const struct mark *x = a, *y = b;
	int order = memcmp(x->id, y->id, sizeof(x->id));

	return order != 0 ? order : (x->at > y->at) - (x->at < y->at);
}

/* 0; 1 where the file is there no more, or is no file; -1. */
static int
read_aside(struct compare *c, struct err *e)
{
	char scratch[EVENT_SCRATCH_SIZE];
	struct event_scan scan;
	bool broken = false;
	const char *line;
	size_t len, at = 0;
	struct stat st;
	int rc;

	if (fstatat(c->aside_fd, c->repair->file, &st, AT_SYMLINK_NOFOLLOW) != 0 ? errno == ENOENT : !S_ISREG(st.st_mode))
		return 1;
	rc = open_aside_file(c, e);
	if (rc != 0)
		return rc;
	while ((rc = next_line(c, &broken, &line, &len, e)) == 1) {
		if (!scan_line(line, len, scratch, &scan))
			c->unreadable++;
		else if (mark_event(c, &scan.event, at, e) != 0)
			return -1;
		at++;
	}
	day_reader_close(&c->in);
	if (rc < 0)
		return -1;
	if (c->n > 1)
		qsort(c->marks, c->n, sizeof(*c->marks), compare_marks);
	return 0;
}

/* The archive ---------------------------------------------------------------------------------------- */

static void
mark_found(struct compare *c, const unsigned char id[16], const unsigned char line[16])
{
	size_t low = 0, high = c->n, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (memcmp(c->marks[mid].id, id, 16) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	for (; low < c->n && memcmp(c->marks[low].id, id, 16) == 0; low++) {
		struct mark *m = &c->marks[low];

		if (memcmp(m->line, line, 16) == 0)
			m->state = SAME;
		else if (m->state == GONE)
			m->state = ALTERED;
	}
}

/* Looks for the events in the day's file, if there is one. */
static int
look_in(struct compare *c, int64_t day_s, struct err *e)
{
	const struct day *d = ledger_day(&c->s->ledger, day_s);
	char name[DAYFILE_NAME_MAX], what[STORE_WHAT_MAX], scratch[EVENT_SCRATCH_SIZE];
	unsigned char id[16], sum[16];
	struct event_scan scan;
	const char *line;
	size_t len;
	int fd, rc;

	if (d == NULL)
		return 0;
	store_what_day(c->s, day_s, d->suffix, what);
	fd = years_open(&c->years, c->s, day_s, false, e);
	if (fd == -1)
		return -1;
	rc = fd < 0 ? 1 : day_reader_open(&c->in, fd, dayfile_name(day_s, d->suffix, name), d->suffix, false, what, e);
	if (rc == 1)
		return dayfile_damaged(what, "the ledger names it, and it is not there", e);
	while (rc == 0 && (rc = day_reader_line(&c->in, &line, &len, e)) == 1) {
		if (!scan_line(line, len, scratch, &scan))
			return dayfile_damaged(what, "it holds a line that is no event", e);
		if (half_sha256(scan.event.id, scan.event.id_len, id) != 0 || half_sha256(line, len, sum) != 0)
			return no_memory(c, e);
		mark_found(c, id, sum);
		rc = 0;
	}
	day_reader_close(&c->in);
	return rc;
}

static int
compare_days(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* In every day that may hold one of them: the one they were filed under, and their own. */
static int
look_everywhere(struct compare *c, struct err *e)
{
	int64_t *days = calloc(c->n + 1, sizeof(*days)), filed_s;
	enum ledger_suffix suffix;
	size_t n = 0;
	int rc = 0;

	if (days == NULL)
		return no_memory(c, e);
	for (size_t i = 0; i < c->n; i++)
		days[n++] = c->marks[i].day_s;
	if (dayfile_parse_name(c->repair->file, &filed_s, &suffix))
		days[n++] = filed_s;
	qsort(days, n, sizeof(*days), compare_days);
	for (size_t i = 0; i < n && rc == 0; i++)
		if (i == 0 || days[i] != days[i - 1])
			rc = look_in(c, days[i], e);
	free(days);
	return rc;
}

/* What came of it ------------------------------------------------------------------------------------- */

static int
by_line(const void *a, const void *b)
{
	const struct mark *x = a, *y = b;

	return (x->at > y->at) - (x->at < y->at);
}

/* Copies the lines of that state to a file of their own, verbatim. The marks are sorted by line. */
static int
keep_lines(struct compare *c, enum state state, const char *name, struct err *e)
{
	size_t len, at = 0, next = 0;
	bool broken = false;
	const char *line;
	unsigned char sha256[32];
	int rc;

	rc = open_aside_file(c, e);
	if (rc == 1)
		err_set_errno(e, ENOENT, "%s: the file set aside has gone while it was compared", c->what);
	if (rc != 0 || day_writer_open(&c->out, c->aside_fd, name, LEDGER_PLAIN, 0, c->what, e) != 0)
		return -1;
	while ((rc = next_line(c, &broken, &line, &len, e)) == 1) {
		while (next < c->n && c->marks[next].at < at)
			next++;
		if (next < c->n && c->marks[next].at == at && c->marks[next].state == state &&
		    (day_writer_put(&c->out, line, len, e) != 0 || day_writer_put(&c->out, "\n", 1, e) != 0))
			return -1;
		at++;
	}
	day_reader_close(&c->in);
	return rc < 0 ? -1 : day_writer_finish(&c->out, sha256, e);
}

static int
write_result(struct compare *c, struct err *e)
{
	const struct store_compared *r = &c->result;
	char text[500];
	int len = snprintf(text, sizeof(text),
	                   "{\"file\": %s%s%s,\n \"readable\": %" PRIu64 ", \"unreadable\": %" PRIu64 ",\n"
	                   " \"ledger_said\": %" PRIu64 ", \"day_has_now\": %" PRIu64 ",\n"
	                   " \"same\": %" PRIu64 ", \"altered\": %" PRIu64 ", \"missing\": %" PRIu64 ","
	                   " \"gone_at_least\": %" PRIu64 "}\n",
	                   c->repair->file[0] == '\0' ? "" : "\"", c->repair->file[0] == '\0' ? "null" : c->repair->file,
	                   c->repair->file[0] == '\0' ? "" : "\"", (uint64_t)c->n, c->unreadable, c->repair->events,
	                   c->now, (uint64_t)c->n - r->altered - r->missing, r->altered, r->missing, r->gone);

	return file_replace(c->aside_fd, "result.json", text, (size_t)len, c->what, e);
}

/* Of a file of which not all could be read, the numbers say what the events cannot. */
static void
count(struct compare *c)
{
	struct store_compared *r = &c->result;
	char day[11];
	int64_t day_s;
	const struct day *d = NULL;

	for (size_t i = 0; i < c->n; i++) {
		r->missing += c->marks[i].state == GONE;
		r->altered += c->marks[i].state == ALTERED;
	}
	snprintf(day, sizeof(day), "%.10s", c->repair->aside);
	if (isotime_parse_day(day, strlen(day), &day_s) == 0)
		d = ledger_day(&c->s->ledger, day_s);
	c->now = d == NULL ? 0 : d->events;
	r->gone = r->missing;
	if (c->repair->events > c->now && c->repair->events - c->now > r->gone)
		r->gone = c->repair->events - c->now;
}

static int
compare_one(struct compare *c, struct err *e)
{
	int rc = 0;

	/* Where the operator took the file away, there is only the number of its events to compare. */
	if (c->repair->file[0] != '\0')
		rc = read_aside(c, e);
	if (rc < 0 || (c->n > 0 && look_everywhere(c, e) != 0))
		return -1;
	count(c);
	if (c->n > 1)
		qsort(c->marks, c->n, sizeof(*c->marks), by_line);
	if ((c->result.missing > 0 && keep_lines(c, GONE, "missing.ndjson", e) != 0) ||
	    (c->result.altered > 0 && keep_lines(c, ALTERED, "altered.ndjson", e) != 0))
		return -1;
	return write_result(c, e);
}

static int
compare_repair(struct store *s, const struct repair *repair, struct store_compared *ret, char path[96],
               struct err *e)
{
	struct compare c = { .s = s, .repair = repair };
	char rest[96];
	int rc;

	snprintf(rest, sizeof(rest), QUARANTINE_DIR "/" DAMAGED_DIR "/%s", repair->aside);
	store_what(s, rest, c.what);
	c.aside_fd = repair_open_aside(s, repair->aside, true, e);
	if (c.aside_fd < 0)
		return -1;
	day_reader_init(&c.in);
	day_writer_init(&c.out);
	years_init(&c.years);
	rc = compare_one(&c, e);
	day_reader_free(&c.in);
	day_writer_free(&c.out);
	years_free(&c.years);
	close(c.aside_fd);
	free(c.marks);
	if (rc != 0)
		return -1;
	strcpy(path, rest);
	*ret = c.result;
	ret->path = path;
	return 0;
}

int
store_compare(struct store *s, void (*compared)(void *ctx, const struct store_compared *compared), void *ctx,
              struct err *e)
{
	struct ledger *l = &s->ledger;
	struct store_compared one;
	char path[96];
	size_t kept = 0;

	if (l->n_repairs == 0)
		return 0;
	if (store_may_write(s, e) != 0)
		return -1;
	for (size_t i = 0; i < l->n_repairs; i++) {
		struct repair *r = &l->repairs[i];

		if (r->moving || !ledger_covers(l, r->from_s, r->to_s)) {
			l->repairs[kept++] = *r;
			continue;
		}
		if (compare_repair(s, r, &one, path, e) != 0) {
			memmove(&l->repairs[kept], r, (l->n_repairs - i) * sizeof(*r));
			l->n_repairs = kept + l->n_repairs - i;
			s->broken = true;
			return -1;
		}
		compared(ctx, &one);
	}
	if (kept == l->n_repairs)
		return 0;
	l->n_repairs = kept;
	if (store_write_ledger(s, e) == 0)
		return 0;
	s->broken = true;
	return -1;
}
