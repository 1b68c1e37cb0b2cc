#include "lib/store/pending.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/isotime.h"
#include "lib/store/chunk.h"

#define CHUNK_MIN_BYTES 4096

void
pending_init(struct pending *p)
{
	memset(p, 0, sizeof(*p));
}

static void
batch_free(struct batch *b)
{
	chunks_free(b->chunks);
	free(b);
}

static void
day_free(struct pend_day *d)
{
	free(d->events);
	free(d->table);
}

void
pending_free(struct pending *p)
{
	for (struct batch *b = p->batches, *next; b != NULL; b = next) {
		next = b->next;
		batch_free(b);
	}
	for (size_t i = 0; i < p->n_days; i++)
		day_free(&p->days[i]);
	free(p->days);
	pending_init(p);
}

struct batch *
pending_new_batch(struct pending *p)
{
	struct batch *b = calloc(1, sizeof(*b)), **end = &p->batches;

	if (b == NULL)
		return NULL;
	while (*end != NULL)
		end = &(*end)->next;
	*end = b;
	p->open = b;
	return b;
}

/* Memory that lives as long as its batch. Chunks grow with the batch: an organization with three
 * events a night should not cost a megabyte. */
static void *
batch_alloc(struct pending *p, struct batch *b, size_t len)
{
	struct chunk *c = b->chunks;
	size_t size;

	len = (len + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
	if (c == NULL || c->size - c->used < len) {
		size = c == NULL ? CHUNK_MIN_BYTES : c->size >= CHUNK_MAX_BYTES / 2 ? CHUNK_MAX_BYTES : c->size * 2;
		c = chunk_new(size < len ? len : size);
		if (c == NULL)
			return NULL;
		c->next = b->chunks;
		b->chunks = c;
	}
	c->used += len;
	p->bytes += len;
	return c->bytes + c->used - len;
}

static uint32_t
hash_id(const char *id, size_t len)
{
	uint64_t h = len * UINT64_C(0x9e3779b97f4a7c15), part;

	for (; len >= 8; id += 8, len -= 8) {
		memcpy(&part, id, 8);
		h = (h ^ part) * UINT64_C(0xff51afd7ed558ccd);
		h ^= h >> 32;
	}
	for (part = 0; len > 0; len--)
		part = part << 8 | (unsigned char)id[len - 1];
	h = (h ^ part) * UINT64_C(0xc4ceb9fe1a85ec53);
	return (uint32_t)(h ^ h >> 32);
}

/* The slot that holds the id, or the free one where it would stand. */
static size_t
slot_of(const struct pend_day *d, const char *id, size_t id_len, uint32_t hash)
{
	size_t mask = d->table_size - 1, at = hash & mask;

	for (; d->table[at] != NULL; at = (at + 1) & mask)
		if (d->table[at]->hash == hash && d->table[at]->event.id_len == id_len &&
		    memcmp(d->table[at]->event.id, id, id_len) == 0)
			break;
	return at;
}

struct pend *
pending_find(const struct pend_day *d, const char *id, size_t id_len)
{
	return d->table_size == 0 ? NULL : d->table[slot_of(d, id, id_len, hash_id(id, id_len))];
}

static int
table_grow(struct pend_day *d)
{
	size_t size = d->table_size == 0 ? 8 : d->table_size * 2;
	struct pend **old = d->table, **table = calloc(size, sizeof(*table));

	if (table == NULL)
		return -1;
	d->table = table;
	d->table_size = size;
	for (size_t i = 0; i < d->n; i++) {
		const struct pend *one = d->events[i];

		table[slot_of(d, one->event.id, one->event.id_len, one->hash)] = d->events[i];
	}
	free(old);
	return 0;
}

/* The day's list, made where it is missing; NULL: no memory. */
static struct pend_day *
day_of(struct pending *p, int64_t day_s)
{
	size_t low = 0, high = p->n_days, mid, size;
	struct pend_day *days;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (p->days[mid].day_s < day_s)
			low = mid + 1;
		else
			high = mid;
	}
	if (low < p->n_days && p->days[low].day_s == day_s)
		return &p->days[low];
	if (p->n_days == p->days_size) {
		size = p->days_size == 0 ? 4 : p->days_size * 2;
		days = realloc(p->days, size * sizeof(*days));
		if (days == NULL)
			return NULL;
		p->days = days;
		p->days_size = size;
	}
	memmove(&p->days[low + 1], &p->days[low], (p->n_days - low) * sizeof(*p->days));
	memset(&p->days[low], 0, sizeof(*p->days));
	p->days[low].day_s = day_s;
	p->n_days++;
	return &p->days[low];
}

/* A copy of the event, with its id, in the memory of the batch. */
static struct pend *
copy_event(struct pending *p, struct batch *b, const struct event *event, uint32_t hash)
{
	bool id_inside = event->id >= event->bytes && event->id < event->bytes + event->len;
	size_t len = sizeof(struct pend) + event->len + (id_inside ? 0 : event->id_len);
	struct pend *one = batch_alloc(p, b, len);
	char *bytes;

	if (one == NULL)
		return NULL;
	memset(one, 0, sizeof(*one));
	bytes = (char *)(one + 1);
	memcpy(bytes, event->bytes, event->len);
	if (!id_inside)
		memcpy(bytes + event->len, event->id, event->id_len);
	one->event = *event;
	one->event.bytes = bytes;
	one->event.id = bytes + (id_inside ? (size_t)(event->id - event->bytes) : event->len);
	one->hash = hash;
	one->batch = b;
	return one;
}

enum pending_put
pending_put(struct pending *p, const struct event *event)
{
	struct pend_day *d = day_of(p, isotime_day_start_s(isotime_second(event->created_ns)));
	struct batch *b = p->open != NULL ? p->open : pending_new_batch(p);
	uint32_t hash = hash_id(event->id, event->id_len);
	struct pend *one, **events;
	size_t slot, size;

	if (d == NULL || b == NULL || (2 * (d->n + 1) > d->table_size && table_grow(d) != 0))
		return PENDING_NOMEM;
	slot = slot_of(d, event->id, event->id_len, hash);
	one = d->table[slot];
	if (one != NULL)
		return one->event.len == event->len && memcmp(one->event.bytes, event->bytes, event->len) == 0
		               ? PENDING_KNOWN : PENDING_CHANGED;
	if (d->n == d->size) {
		size = d->size == 0 ? 4 : d->size * 2;
		events = realloc(d->events, size * sizeof(*events));
		if (events == NULL)
			return PENDING_NOMEM;
		d->events = events;
		d->size = size;
	}
	one = copy_event(p, b, event, hash);
	if (one == NULL)
		return PENDING_NOMEM;
	d->table[slot] = one;
	d->events[d->n++] = one;
	b->n_waiting++;
	b->bytes += event->len + 1;
	return PENDING_NEW;
}

static int
compare(const void *a, const void *b)
{
	return event_compare(&(*(struct pend *const *)a)->event, &(*(struct pend *const *)b)->event);
}

void
pending_sort(struct pend_day *d)
{
	struct pend *swap;
	size_t i, j;

	/* Pages come newest first: turned over, they are in order but for what shares a second. */
	if (d->n > 1 && compare(&d->events[0], &d->events[d->n - 1]) > 0)
		for (i = 0, j = d->n - 1; i < j; i++, j--) {
			swap = d->events[i];
			d->events[i] = d->events[j];
			d->events[j] = swap;
		}
	for (i = 1; i < d->n && compare(&d->events[i - 1], &d->events[i]) < 0; i++)
		;
	if (i < d->n)
		qsort(d->events, d->n, sizeof(*d->events), compare);
}

void
pending_drop_known(struct pend_day *d)
{
	size_t kept = 0;

	/* The table keeps them, and with it their memory's addresses: it is used no more for this day. */
	for (size_t i = 0; i < d->n; i++) {
		if (d->events[i]->state == PEND_NEW)
			d->events[kept++] = d->events[i];
		else
			d->events[i]->batch->n_waiting--;
	}
	d->n = kept;
}

void
pending_drop_ready(struct pending *p)
{
	size_t kept = 0;

	for (size_t i = 0; i < p->n_days; i++) {
		struct pend_day *d = &p->days[i];

		if (!d->ready) {
			p->days[kept++] = *d;
			continue;
		}
		for (size_t j = 0; j < d->n; j++)
			d->events[j]->batch->n_waiting--;
		day_free(d);
	}
	p->n_days = kept;
}

void
pending_free_done(struct pending *p)
{
	struct batch **at = &p->batches, *b;

	while ((b = *at) != NULL) {
		if (b->n_waiting > 0) {
			at = &b->next;
			continue;
		}
		for (struct chunk *c = b->chunks; c != NULL; c = c->next)
			p->bytes -= c->used;
		*at = b->next;
		if (p->open == b)
			p->open = NULL;
		batch_free(b);
	}
}
