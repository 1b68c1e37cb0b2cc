/* queue.h: the organizations that wait for their turn: by time while they must wait, then by lane,
 * priority and order of arrival. Priority is strict: while organizations of a higher one want to ask, those
 * of a lower one wait. Not for ever: what a run reads is fixed when it begins, each asks one question at a
 * time, and its own rate limit lets the others through. Guarded by its owner's lock; nothing blocks. */
#ifndef ORGSYNC_WORKERS_QUEUE_H
#define ORGSYNC_WORKERS_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum lane { LANE_FRESH, LANE_BACKFILL, LANES };

struct queue_entry { int64_t key, order; void *job; enum lane lane; int priority; };
struct queue_heap { struct queue_entry *entries; size_t n, size; };

struct queue {
	struct queue_heap waiting;        /* by time */
	struct queue_heap ready[LANES];   /* by priority, then arrival */
	int64_t arrivals;
};

void queue_init(struct queue *q);
void queue_free(struct queue *q);

/* Makes room for n jobs in all, so that queue_push() cannot fail. 0 or -1. */
int queue_reserve(struct queue *q, size_t n) __attribute__((warn_unused_result));

/* The job may run from ready_ms (monotonic) on. A higher priority goes first. */
void queue_push(struct queue *q, void *job, int64_t ready_ms, enum lane lane, int priority);

/* The next job that may run now, or NULL. backfill_may: whether the backfill lane may be served before a
 * waiting fresh one; an empty fresh lane never holds backfill up. */
void *queue_pick(struct queue *q, int64_t now_ms, bool backfill_may, enum lane *ret_lane);
/* Any job, whatever its time; NULL where there is none. */
void *queue_pick_any(struct queue *q);
/* How many jobs wait for a time that has not come. */
size_t queue_waiting(struct queue *q, int64_t now_ms);
/* When the next job may run: now_ms or later, INT64_MAX where there is none. */
int64_t queue_next_ms(const struct queue *q, int64_t now_ms);

#endif
