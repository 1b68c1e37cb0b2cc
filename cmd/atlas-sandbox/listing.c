/* listing.c: walks an organization second by second; memory is that of one second. */
#include "cmd/atlas-sandbox/listing.h"

#include <stdlib.h>
#include <string.h>

#include "cmd/atlas-sandbox/render.h"

struct listing_entry {
	int64_t created_us;
	uint64_t position;
	char id[ID_TEXT_MAX];
};

static const char *const poison_names[] = {
	"none", "foreign", "no-id", "no-created", "odd-date", "bad-utf8", "duplicate-keys", "path-id",
	"malformed"
};

void
listing_init(struct listing *l, const struct org *org, enum listing_kind kind, bool raw, int64_t now_ms,
             int64_t from_ms, int64_t to_ms)
{
	memset(l, 0, sizeof *l);
	l->org = org;
	l->kind = kind;
	l->raw = raw;
	l->now_ms = now_ms;
	l->from_us = from_ms * 1000;
	l->to_us = to_ms * 1000;
	/* A rounded event shows up to half a second from its time. */
	l->next = model_first_at(org, from_ms - 1000);
	l->end = model_first_at(org, (to_ms < now_ms ? to_ms : now_ms) + 1001);
}

void
listing_free(struct listing *l)
{
	free(l->entries);
	l->entries = NULL;
}

static int
compare_entries(const void *a, const void *b)
{
	const struct listing_entry *x = a, *y = b;

	if (x->created_us != y->created_us)
		return x->created_us < y->created_us ? -1 : 1;
	return strcmp(x->id, y->id);
}

/* Collects the second that begins at l->next. */
static int
collect(struct listing *l)
{
	uint64_t start, end;

	model_second(l->org, l->next, &start, &end);
	l->n_entries = l->next_entry = 0;
	for (uint64_t p = l->next; p < end; p++) {
		struct listing_entry entry = { .position = p };

		entry.created_us = model_created_us(l->org, p, model_time_ms(l->org, p));
		if (entry.created_us < l->from_us || entry.created_us >= l->to_us ||
		    !model_visible(l->org, p, l->now_ms) ||
		    render_fileable(l->org, p) != (l->kind != LISTING_POISON))
			continue;
		if (l->n_entries == l->size_entries) {
			size_t size = l->size_entries == 0 ? 64 : 2 * l->size_entries;
			struct listing_entry *more = realloc(l->entries, size * sizeof *more);

			if (more == NULL)
				return -1;
			l->entries = more;
			l->size_entries = size;
		}
		model_id(l->org, p, entry.id);
		l->entries[l->n_entries++] = entry;
	}
	l->next = end;
	if (l->n_entries > 1)
		qsort(l->entries, l->n_entries, sizeof *l->entries, compare_entries);
	return 0;
}

int
listing_some(struct listing *l, struct buf *b, size_t enough_bytes)
{
	while (b->len < enough_bytes) {
		const struct listing_entry *entry;

		if (l->next_entry == l->n_entries) {
			if (l->next >= l->end)
				return 0;
			if (collect(l) != 0)
				return -1;
			continue;
		}
		entry = &l->entries[l->next_entry++];
		if (l->kind == LISTING_POISON &&
		    (buf_append_str(b, poison_names[model_poison(l->org, entry->position)]) != 0 ||
		     buf_append(b, " ", 1) != 0))
			return -1;
		if (l->kind == LISTING_IDS
		        ? buf_append_str(b, entry->id) != 0
		        : render_event(b, l->org, entry->position, l->raw, STYLE_COMPACT, 0) != 0)
			return -1;
		if (buf_append(b, "\n", 1) != 0)
			return -1;
	}
	return 1;
}
