/* merge.c: a day's file and a day's new events become one.
 *
 * Two passes over the old file, so that memory holds the new events and one line, whatever the file's
 * size. The first checks it against the ledger, finds which of the new events it holds already, and notes
 * for each of the others the offset at which it belongs; the second copies bytes and looks at nothing.
 */
#include <string.h>

#include "lib/store/store_private.h"

void
merge_init(struct merge *m)
{
	day_reader_init(&m->in);
	day_writer_init(&m->out);
	m->what[0] = '\0';
}

void
merge_free(struct merge *m)
{
	day_reader_free(&m->in);
	day_writer_free(&m->out);
}

static int
open_old(struct merge *m, int year_fd, const struct day *old, bool hash, struct err *e)
{
	char name[DAYFILE_NAME_MAX];
	int rc = day_reader_open(&m->in, year_fd, dayfile_name(old->day_s, old->suffix, name), old->suffix,
	                         hash, m->what, e);

	return rc == 1 ? dayfile_damaged(m->what, "the ledger names it, and it is not there", e) : rc;
}

/* Notes what a line of the old file means for the new events; *at is the first of them that may still
 * belong before the line. */
static int
look_at_line(struct merge *m, const char *line, size_t len, struct pend_day *d, size_t *at, struct err *e)
{
	char scratch[EVENT_SCRATCH_SIZE];
	struct event_scan scan;
	struct pend *same;

	if (len == 0 || line[0] != '{' || event_scan(line, line + len, scratch, &scan) != line + len ||
	    scan.fault != EVENT_SOUND)
		return dayfile_damaged(m->what, "it holds a line that is no event", e);
	same = pending_find(d, scan.event.id, scan.event.id_len);
	if (same != NULL)
		same->state = same->event.len == len && memcmp(same->event.bytes, line, len) == 0
		              ? PEND_KNOWN : PEND_CHANGED;
	while (*at < d->n && event_compare(&d->events[*at]->event, &scan.event) < 0)
		d->events[(*at)++]->at = m->in.offset - len - 1;
	return 0;
}

int
merge_look(struct merge *m, int year_fd, const struct day *old, struct pend_day *d, struct err *e)
{
	unsigned char sha256[32];
	uint64_t events = 0;
	const char *line;
	size_t len, at = 0;
	int rc;

	pending_sort(d);
	if (open_old(m, year_fd, old, true, e) != 0)
		return -1;
	while ((rc = day_reader_line(&m->in, &line, &len, e)) == 1) {
		if (look_at_line(m, line, len, d, &at, e) != 0)
			return -1;
		events++;
	}
	if (rc < 0 || day_reader_sha256(&m->in, sha256, e) != 0)
		return -1;
	if (events != old->events || m->in.offset != old->bytes || memcmp(sha256, old->sha256, 32) != 0)
		return dayfile_damaged(m->what, "its content is not what the ledger says", e);
	for (; at < d->n; at++)
		d->events[at]->at = old->bytes;
	return 0;
}

/* Copies the old file's bytes up to the offset `until`. */
static int
copy_old(struct merge *m, uint64_t until, struct err *e)
{
	const char *bytes;
	size_t len;
	int rc;

	while (m->in.offset < until) {
		rc = day_reader_bytes(&m->in, until - m->in.offset, &bytes, &len, e);
		if (rc == 0)
			return dayfile_damaged(m->what, "it became shorter while it was read", e);
		if (rc < 0 || day_writer_put(&m->out, bytes, len, e) != 0)
			return -1;
	}
	return 0;
}

static int
write_union(struct merge *m, const struct day *old, const struct pend_day *d, struct err *e)
{
	for (size_t i = 0; i < d->n; i++) {
		const struct pend *one = d->events[i];

		if ((old != NULL && copy_old(m, one->at, e) != 0) ||
		    day_writer_put(&m->out, one->event.bytes, one->event.len, e) != 0 ||
		    day_writer_put(&m->out, "\n", 1, e) != 0)
			return -1;
	}
	return old == NULL ? 0 : copy_old(m, old->bytes, e);
}

int
merge_write(struct merge *m, int year_fd, const struct day *old, const struct pend_day *d,
            enum ledger_suffix suffix, int aside_fd, const char *aside, struct day *ret_day, int *ret_fd,
            struct err *e)
{
	struct day new = { .day_s = d->day_s, .suffix = suffix };

	new.events = d->n;
	for (size_t i = 0; i < d->n; i++)
		new.bytes += d->events[i]->event.len + 1;
	new.first_ns = d->events[0]->event.created_ns;
	new.last_ns = d->events[d->n - 1]->event.created_ns;
	if (old != NULL) {
		new.events += old->events;
		new.bytes += old->bytes;
		new.first_ns = old->first_ns < new.first_ns ? old->first_ns : new.first_ns;
		new.last_ns = old->last_ns > new.last_ns ? old->last_ns : new.last_ns;
		if (open_old(m, year_fd, old, false, e) != 0)
			return -1;
	}
	if (day_writer_open(&m->out, aside_fd, aside, suffix, new.bytes, m->what, e) != 0 ||
	    write_union(m, old, d, e) != 0 || day_writer_hand_over(&m->out, new.sha256, ret_fd, e) != 0)
		return -1;
	day_reader_close(&m->in);
	*ret_day = new;
	return 0;
}
