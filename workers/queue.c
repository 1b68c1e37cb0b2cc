#include "workers/queue.h"

#include <stdlib.h>
#include <string.h>

void
queue_init(struct queue *q)
{
	memset(q, 0, sizeof(*q));
}

void
queue_free(struct queue *q)
{
	free(q->waiting.entries);
	for (int i = 0; i < LANES; i++)
		free(q->ready[i].entries);
	queue_init(q);
}

static int
heap_reserve(struct queue_heap *h, size_t n)
{
	struct queue_entry *entries;

	if (n <= h->size)
		return 0;
	entries = realloc(h->entries, n * sizeof(*entries));
	if (entries == NULL)
		return -1;
	h->entries = entries;
	h->size = n;
	return 0;
}

int
queue_reserve(struct queue *q, size_t n)
{
	if (heap_reserve(&q->waiting, n) != 0)
		return -1;
	for (int i = 0; i < LANES; i++)
		if (heap_reserve(&q->ready[i], n) != 0)
			return -1;
	return 0;
}

static bool
before(const struct queue_entry *a, const struct queue_entry *b)
{
	return a->key != b->key ? a->key < b->key : a->order < b->order;
}

static void
heap_push(struct queue_heap *h, const struct queue_entry *entry)
{
	size_t at = h->n++;

	for (; at > 0 && before(entry, &h->entries[(at - 1) / 2]); at = (at - 1) / 2)
		h->entries[at] = h->entries[(at - 1) / 2];
	h->entries[at] = *entry;
}

static struct queue_entry
heap_pop(struct queue_heap *h)
{
	struct queue_entry first = h->entries[0], last = h->entries[--h->n];
	size_t at = 0, child;

	while ((child = at * 2 + 1) < h->n) {
		if (child + 1 < h->n && before(&h->entries[child + 1], &h->entries[child]))
			child++;
		if (!before(&h->entries[child], &last))
			break;
		h->entries[at] = h->entries[child];
		at = child;
	}
	h->entries[at] = last;
	return first;
}

void
queue_push(struct queue *q, void *job, int64_t ready_ms, enum lane lane, int priority)
{
	struct queue_entry entry = { ready_ms, q->arrivals++, job, lane, priority };

	heap_push(&q->waiting, &entry);
}

/* Those whose time has come change from the heap by time to those by priority. */
static void
ripen(struct queue *q, int64_t now_ms)
{
	while (q->waiting.n > 0 && q->waiting.entries[0].key <= now_ms) {
		struct queue_entry entry = heap_pop(&q->waiting);

		entry.key = -(int64_t)entry.priority;
		heap_push(&q->ready[entry.lane], &entry);
	}
}

size_t
queue_waiting(struct queue *q, int64_t now_ms)
{
	ripen(q, now_ms);
	return q->waiting.n;
}

void *
queue_pick(struct queue *q, int64_t now_ms, bool backfill_may, enum lane *ret_lane)
{
	enum lane lane = LANE_FRESH;

	ripen(q, now_ms);
	if (q->ready[LANE_BACKFILL].n > 0 && (q->ready[LANE_FRESH].n == 0 || backfill_may))
		lane = LANE_BACKFILL;
	if (q->ready[lane].n == 0)
		return NULL;
	*ret_lane = lane;
	return heap_pop(&q->ready[lane]).job;
}

void *
queue_pick_any(struct queue *q)
{
	enum lane lane;
	void *job = queue_pick(q, INT64_MAX, true, &lane);

	return job;
}

int64_t
queue_next_ms(const struct queue *q, int64_t now_ms)
{
	if (q->ready[LANE_FRESH].n > 0 || q->ready[LANE_BACKFILL].n > 0)
		return now_ms;
	if (q->waiting.n == 0)
		return INT64_MAX;
	return q->waiting.entries[0].key > now_ms ? q->waiting.entries[0].key : now_ms;
}
