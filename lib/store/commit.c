/* commit.c: the order of writing. docs/ARCHIVE.md says why it can neither lose nor repeat.
 *
 *   1. look:    which of the events to be merged do the day files hold already?  (nothing is written)
 *   2. stage:   the new events of days that are not merged now, in a file of .staging/     (durable)
 *   3. aside:   each day file that changes, whole, in .staging/ with .tmp after its name   (durable)
 *   4. ledger:  what each day file is about to become, and nothing else                    (durable)
 *   5. rename:  each .tmp into place, the directories fsynced; a file of another suffix goes
 *   6. ledger:  the day files as they are, the ranges, the staging of what still waits     (durable)
 *   7. unlink:  staging files of which nothing waits
 *
 * What goes to quarantine is durable before it begins (store_commit()). Where no day file changes, 3 to 5 fall away;
 * where nothing waits for its day, 2 does.
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

#define ASIDES_AT_ONCE 4 /* open files: workers/run.c counts them */

struct commit {
	struct store *s;
	const struct covered *ranges;
	size_t n_ranges;
	int staging_fd;
	size_t n_ready;              /* days whose files change */
	int aside_fds[ASIDES_AT_ONCE];
	size_t n_aside_fds;          /* of the last of `becoming`, not durable yet */
	struct merge merge;
	struct years years;
	struct day *becoming;
	size_t n_becoming;
	struct store_counts counts;  /* what the store's become if it comes to its end: a failed one wrote nothing new */
};

static void
aside_name(int64_t day_s, enum ledger_suffix suffix, char *out)
{
	strcat(dayfile_name(day_s, suffix, out), ".tmp");
}

/* A day file where the ledger knows of none is not ours to overwrite: a ledger may have been lost. */
static int
refuse_unknown(struct commit *c, int year_fd, int64_t day_s, struct err *e)
{
	char name[DAYFILE_NAME_MAX], what[STORE_WHAT_MAX];
	struct stat st;

	for (int i = LEDGER_PLAIN; i <= LEDGER_ZSTD; i++) {
		enum ledger_suffix suffix = (enum ledger_suffix)i;

		if (fstatat(year_fd, dayfile_name(day_s, suffix, name), &st, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		err_set(e, ERR_DAMAGE, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR,
		        "%s: it is there, and the ledger does not know it",
		        store_what_day(c->s, day_s, suffix, what));
		err_hint(e, "bring back the ledger it belongs to, or let orgsync verify --repair set the file aside; it is not "
		            "overwritten");
		return -1;
	}
	return 0;
}

static int
look(struct commit *c, struct pend_day *d, struct err *e)
{
	const struct day *old = ledger_day(&c->s->ledger, d->day_s);
	struct store_counts *counts = &c->counts;
	int fd = years_open(&c->years, c->s, d->day_s, true, e);

	if (fd < 0)
		return -1;
	if (old == NULL) {
		pending_sort(d);
		return refuse_unknown(c, fd, d->day_s, e);
	}
	store_what_day(c->s, d->day_s, old->suffix, c->merge.what);
	if (merge_look(&c->merge, fd, old, d, e) != 0)
		return -1;
	for (size_t i = 0; i < d->n; i++) {
		/* What an earlier process staged it may have merged too: that is no answer known already. */
		if (d->events[i]->batch->recovered)
			continue;
		counts->events_known += d->events[i]->state == PEND_KNOWN;
		counts->events_changed += d->events[i]->state == PEND_CHANGED;
	}
	pending_drop_known(d);
	return 0;
}

/* Makes them durable, unless something failed before, and closes them. 0, or rc, or -1. */
static int
close_asides(struct commit *c, int rc, struct err *e)
{
	const struct day *days = c->becoming + c->n_becoming - c->n_aside_fds;
	char what[STORE_WHAT_MAX];

	for (size_t i = 0; i < c->n_aside_fds; i++) {
		store_what_day(c->s, days[i].day_s, days[i].suffix, what);
		if (rc != 0)
			close(c->aside_fds[i]);
		else
			rc = file_sync_close(c->aside_fds[i], what, e);
	}
	c->n_aside_fds = 0;
	return rc;
}

static int
write_aside(struct commit *c, const struct pend_day *d, struct err *e)
{
	const struct day *old = ledger_day(&c->s->ledger, d->day_s);
	struct store_counts *counts = &c->counts;
	struct day *new = &c->becoming[c->n_becoming];
	char aside[DAYFILE_NAME_MAX];
	int fd = years_open(&c->years, c->s, d->day_s, true, e);

	if (fd < 0)
		return -1;
	aside_name(d->day_s, c->s->suffix, aside);
	store_what_day(c->s, d->day_s, c->s->suffix, c->merge.what);
	if (merge_write(&c->merge, fd, old, d, c->s->suffix, c->staging_fd, aside, new,
	                &c->aside_fds[c->n_aside_fds], e) != 0)
		return -1;
	if (c->n_ready > 1) /* on its way to the disk while the others are written */
		file_begin_sync(c->aside_fds[c->n_aside_fds]);
	c->n_becoming++;
	c->n_aside_fds++;
	counts->events_new += d->n;
	counts->days_written++;
	counts->bytes_written += new->bytes;
	return c->n_aside_fds == ASIDES_AT_ONCE ? close_asides(c, 0, e) : 0;
}

static int
write_asides(struct commit *c, struct err *e)
{
	const struct pending *p = &c->s->pending;
	int rc = 0;

	c->becoming = calloc(c->n_ready + 1, sizeof(*c->becoming));
	if (c->becoming == NULL)
		return err_set_errno(e, ENOMEM, "%s: cannot list the day files", c->s->name);
	for (size_t i = 0; i < p->n_days && rc == 0; i++)
		if (p->days[i].ready && p->days[i].n > 0)
			rc = write_aside(c, &p->days[i], e);
	return close_asides(c, rc, e);
}

/* Steps 1 to 3. */
static int
prepare(struct commit *c, struct err *e)
{
	struct pending *p = &c->s->pending;

	for (size_t i = 0; i < p->n_days; i++) {
		if (p->days[i].ready && look(c, &p->days[i], e) != 0)
			return -1;
		c->n_ready += p->days[i].ready && p->days[i].n > 0;
	}
	if (c->n_ready > 0 || (p->open != NULL && p->open->n_waiting > 0)) {
		c->staging_fd = staging_open_dir(c->s, true, e);
		if (c->staging_fd < 0)
			return -1;
	}
	if (p->open != NULL && p->open->n_waiting > 0 &&
	    staging_write(c->s, c->staging_fd, &c->merge.out, p->open, e) != 0)
		return -1;
	p->open = NULL;
	return c->n_ready == 0 ? 0 : write_asides(c, e);
}

/* Step 5: when it ends, each day file is durably what `becoming` says, and no other is left. */
static int
replace_files(struct commit *c, struct err *e)
{
	char name[DAYFILE_NAME_MAX], aside[DAYFILE_NAME_MAX], what[STORE_WHAT_MAX];
	int fd;

	for (size_t i = 0; i < c->n_becoming; i++) {
		const struct day *new = &c->becoming[i];

		fd = years_open(&c->years, c->s, new->day_s, true, e);
		if (fd < 0)
			return -1;
		aside_name(new->day_s, new->suffix, aside);
		if (file_rename(c->staging_fd, aside, fd, dayfile_name(new->day_s, new->suffix, name),
		                store_what_day(c->s, new->day_s, new->suffix, what), e) != 0)
			return -1;
		years_changed(&c->years, new->day_s);
	}
	if (years_sync(&c->years, c->s, e) != 0)
		return -1;
	for (size_t i = 0; i < c->n_becoming; i++) {
		const struct day *new = &c->becoming[i], *old = ledger_day(&c->s->ledger, new->day_s);

		if (old == NULL || old->suffix == new->suffix)
			continue;
		fd = years_open(&c->years, c->s, new->day_s, true, e);
		if (fd < 0 || file_remove(fd, dayfile_name(old->day_s, old->suffix, name),
		                          store_what_day(c->s, old->day_s, old->suffix, what), e) != 0)
			return -1;
		years_changed(&c->years, new->day_s);
	}
	return years_sync(&c->years, c->s, e);
}

/* Steps 4 and 5. No range is covered yet: its events may be in nothing but the files that are about to be renamed. */
static int
replace_days(struct commit *c, struct err *e)
{
	struct ledger *l = &c->s->ledger;
	int failed;

	free(l->becoming); /* empty, but allocated where the ledger was read */
	l->becoming = c->becoming;
	l->n_becoming = c->n_becoming;
	failed = store_write_ledger(c->s, e) != 0 || replace_files(c, e) != 0;
	l->becoming = NULL;
	l->n_becoming = 0;
	c->s->ledger_changed = true;
	for (size_t i = 0; i < c->n_becoming && !failed; i++)
		if (ledger_set_day(l, &c->becoming[i]) != 0)
			failed = err_set_errno(e, ENOMEM, "%s: cannot note a day file", c->s->name);
	return failed ? -1 : 0;
}

/* Step 6. */
static int
cover(struct commit *c, struct err *e)
{
	struct store *s = c->s;

	for (size_t i = 0; i < c->n_ranges; i++) {
		if (ledger_cover(&s->ledger, &c->ranges[i], s->overlap_s) != 0)
			return err_set_errno(e, ENOMEM, "%s: cannot note what was read", s->name);
		s->ledger_changed |= c->ranges[i].from_s < c->ranges[i].to_s;
	}
	pending_drop_ready(&s->pending);
	if (staging_list(s, e) != 0)
		return -1;
	return s->ledger_changed ? store_write_ledger(s, e) : 0;
}

/* After a failure of step 3, as on a full disk: gives the room back. What cannot be removed now, the next
 * store_open() removes. */
static void
remove_asides(struct commit *c)
{
	char aside[DAYFILE_NAME_MAX];
	struct err ignored;

	for (size_t i = 0; i < c->s->pending.n_days && c->staging_fd >= 0; i++) {
		const struct pend_day *d = &c->s->pending.days[i];

		err_clear(&ignored);
		aside_name(d->day_s, c->s->suffix, aside);
		if (d->ready && file_remove(c->staging_fd, aside, aside, &ignored) != 0)
			continue; /* it stays; what is none of ours is not removed at all */
	}
}

static void
add_counts(struct store_counts *to, const struct store_counts *more)
{
	to->events_new += more->events_new;
	to->events_known += more->events_known;
	to->events_changed += more->events_changed;
	to->days_written += more->days_written;
	to->bytes_written += more->bytes_written;
}

int
commit_run(struct store *s, const struct covered *ranges, size_t n, struct err *e)
{
	struct commit c = { .s = s, .ranges = ranges, .n_ranges = n, .staging_fd = -1 };
	int rc;

	merge_init(&c.merge);
	years_init(&c.years);
	rc = prepare(&c, e);
	if (rc != 0)
		remove_asides(&c);
	else if (c.n_becoming > 0)
		rc = replace_days(&c, e);
	if (rc == 0)
		rc = cover(&c, e);
	if (rc == 0) {
		add_counts(&s->counts, &c.counts);
		rc = staging_remove_done(s, e);
	}
	if (rc == 0)
		pending_free_done(&s->pending);
	merge_free(&c.merge);
	years_free(&c.years);
	if (c.staging_fd >= 0)
		close(c.staging_fd);
	free(c.becoming);
	return rc;
}
