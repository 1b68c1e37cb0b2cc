/* commit.c: the order of writing. docs/ARCHIVE.md says why it can neither lose nor repeat.
 *
 *   1. look:    which of the events to be merged do the day files hold already?  (nothing is written)
 *   2. stage:   the new events of this commit, in a file of .staging/                      (durable)
 *   3. aside:   each day file that changes, whole, under its name with .tmp                (durable)
 *   4. ledger:  the ranges; the staging files; what each day file is about to become       (durable)
 *   5. rename:  each .tmp into place, the directories fsynced; a file of another suffix goes
 *   6. ledger:  the day files as they are, nothing staged but what still waits             (durable)
 *   7. unlink:  staging files of which nothing waits
 *
 * Where no day file changes, 3, 5 and 6 fall away; where nothing is new, 2 as well.
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

struct commit {
	struct store *s;
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
	if (merge_write(&c->merge, fd, old, d, c->s->suffix, aside, new, e) != 0)
		return -1;
	c->n_becoming++;
	counts->events_new += d->n;
	counts->days_written++;
	counts->bytes_written += new->bytes;
	return 0;
}

/* Steps 1 to 3. */
static int
prepare(struct commit *c, struct err *e)
{
	struct pending *p = &c->s->pending;
	size_t n_ready = 0;

	for (size_t i = 0; i < p->n_days; i++) {
		if (p->days[i].ready && look(c, &p->days[i], e) != 0)
			return -1;
		n_ready += p->days[i].ready && p->days[i].n > 0;
	}
	if (p->open != NULL && p->open->n_waiting > 0 &&
	    staging_write(c->s, &c->merge.out, p->open, e) != 0)
		return -1;
	p->open = NULL;
	c->becoming = calloc(n_ready + 1, sizeof(*c->becoming));
	if (c->becoming == NULL)
		return err_set_errno(e, ENOMEM, "%s: cannot list the day files", c->s->name);
	for (size_t i = 0; i < p->n_days; i++)
		if (p->days[i].ready && p->days[i].n > 0 && write_aside(c, &p->days[i], e) != 0)
			return -1;
	return staging_list(c->s, e);
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
		if (file_rename(fd, aside, fd, dayfile_name(new->day_s, new->suffix, name),
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

/* Steps 4 to 6. */
static int
publish(struct commit *c, struct err *e)
{
	struct ledger *l = &c->s->ledger;
	int failed;

	if (c->n_becoming == 0) {
		pending_drop_ready(&c->s->pending);
		return c->s->ledger_changed ? store_write_ledger(c->s, e) : 0;
	}
	free(l->becoming); /* empty, but allocated where the ledger was read */
	l->becoming = c->becoming;
	l->n_becoming = c->n_becoming;
	failed = store_write_ledger(c->s, e) != 0 || replace_files(c, e) != 0;
	l->becoming = NULL;
	l->n_becoming = 0;
	if (failed)
		return -1;
	for (size_t i = 0; i < c->n_becoming; i++)
		if (ledger_set_day(l, &c->becoming[i]) != 0)
			return err_set_errno(e, ENOMEM, "%s: cannot note a day file", c->s->name);
	pending_drop_ready(&c->s->pending);
	return staging_list(c->s, e) != 0 ? -1 : store_write_ledger(c->s, e);
}

/* After a failure of step 3, as on a full disk: gives the room back. What cannot be removed now, the next
 * store_open() removes. */
static void
remove_asides(struct commit *c)
{
	char aside[DAYFILE_NAME_MAX];
	struct err ignored;
	int fd;

	for (size_t i = 0; i < c->s->pending.n_days; i++) {
		const struct pend_day *d = &c->s->pending.days[i];

		err_clear(&ignored);
		fd = d->ready ? years_open(&c->years, c->s, d->day_s, false, &ignored) : -1;
		aside_name(d->day_s, c->s->suffix, aside);
		if (fd >= 0 && file_remove(fd, aside, aside, &ignored) != 0)
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
commit_run(struct store *s, struct err *e)
{
	struct commit c = { .s = s };
	int rc;

	merge_init(&c.merge);
	years_init(&c.years);
	rc = prepare(&c, e);
	if (rc == 0)
		rc = publish(&c, e);
	else
		remove_asides(&c);
	if (rc == 0) {
		add_counts(&s->counts, &c.counts);
		rc = staging_remove_done(s, e);
	}
	if (rc == 0)
		pending_free_done(&s->pending);
	merge_free(&c.merge);
	years_free(&c.years);
	free(c.becoming);
	return rc;
}
