/* places.c: where each organization is, and the threads that work on the disk. */
#include <sys/resource.h>
#include <unistd.h>

#include "workers/private.h"

#define AHEAD 2     /* for each place on the wire or at the disk, so many organizations are begun */
#define DISK_NICE 5 /* of the disk threads, more than the process has */

void
places_wake_all_locked(struct run *r)
{
	lock_assert_held(&r->lock);
	for (size_t i = 0; i < r->n_workers; i++)
		http_wake(r->workers[i].engine);
	pthread_cond_broadcast(&r->disk_work);
}

void
places_wake_one_locked(struct run *r)
{
	lock_assert_held(&r->lock);
	for (size_t i = 0; i < r->n_workers; i++) {
		struct worker *w = &r->workers[i];

		if (w->asleep && w->in_flight < r->per_worker_max) {
			w->asleep = false;
			http_wake(w->engine);
			return;
		}
	}
}

static void
to_disk_locked(struct run *r, struct slot *slot)
{
	lock_assert_held(&r->lock);
	slot->next = NULL;
	*r->disk_last = slot;
	r->disk_last = &slot->next;
	pthread_cond_signal(&r->disk_work);
}

bool
places_are_taken_locked(struct run *r, int64_t now_ms)
{
	size_t waiting;

	lock_assert_held(&r->lock);
	waiting = queue_waiting(&r->queue, now_ms);
	return r->active - waiting >= AHEAD * (r->in_flight_max + DISK_THREADS);
}

void
places_admit_locked(struct run *r)
{
	lock_assert_held(&r->lock);
	while (r->active < r->active_max && r->next_tenant < r->options.n_orgs &&
	       !places_are_taken_locked(r, run_now_ms(r))) {
		struct slot *slot = &r->slots[r->order[r->next_tenant++]];

		r->active++;
		to_disk_locked(r, slot);
	}
}

int64_t
places_retry_held_locked(struct run *r, int64_t now_ms)
{
	const bool stopping = atomic_load(&r->stopping) != 0;
	struct slot *slot;
	enum lane lane;

	lock_assert_held(&r->lock);
	while (stopping || r->active < r->active_max) {
		slot = stopping ? queue_pick_any(&r->held) : queue_pick(&r->held, now_ms, true, &lane);
		if (slot == NULL)
			return queue_next_ms(&r->held, now_ms);
		r->active++;
		to_disk_locked(r, slot);
	}
	return INT64_MAX;
}

void
places_look_again_locked(struct run *r)
{
	struct slot *slot;

	lock_assert_held(&r->lock);
	while ((slot = queue_pick_any(&r->queue)) != NULL)
		to_disk_locked(r, slot);
}

/* Another run holds it: it is out of the way until it is tried again. */
static void
hold_locked(struct run *r, struct slot *slot, int64_t ready_ms)
{
	lock_assert_held(&r->lock);
	queue_push(&r->held, slot, ready_ms, LANE_FRESH, r->results[slot->index].org->priority);
	r->active--;
	places_admit_locked(r);
	http_wake(r->workers[0].engine); /* whatever it waits for: it has to look at the time anew */
}

void
places_settle_locked(struct run *r, struct slot *slot, size_t kept)
{
	struct slot *first;

	lock_assert_held(&r->lock);
	memory_settled(&r->memory, &slot->share, kept);
	/* In the order of arrival: one that needs much is not passed over for ever. */
	while ((first = r->large_first) != NULL && memory_take(&r->memory, &first->share, first->answer_cap)) {
		r->large_first = first->next;
		if (r->large_first == NULL)
			r->large_last = &r->large_first;
		queue_push(&r->queue, first, 0, first->lane, r->results[first->index].org->priority);
	}
}

/* The organization has ended: its result is whole. */
static void
retire(struct run *r, struct slot *slot)
{
	struct run_result *result = &r->results[slot->index];

	tenant_free(slot->tenant);
	slot->tenant = NULL;
	if (r->options.finished != NULL) {
		lock_take(&r->finish_lock);
		r->options.finished(r->options.finished_ctx, result);
		lock_give(&r->finish_lock);
	}
	lock_take(&r->lock);
	places_settle_locked(r, slot, 0);
	places_wake_one_locked(r);
	r->active--;
	r->ended++;
	r->failed += result->outcome == RUN_FAILED;
	r->events_new += result->events_new;
	if (places_retry_held_locked(r, run_now_ms(r)) != INT64_MAX)
		http_wake(r->workers[0].engine);
	places_admit_locked(r);
	if (r->ended == r->options.n_orgs)
		places_wake_all_locked(r);
	lock_give(&r->lock);
}

void
places_move_on(struct run *r, struct slot *slot)
{
	int stopping = atomic_load(&r->stopping);
	int64_t ready_ms = 0;
	enum lane lane = LANE_FRESH;
	enum tenant_want want;
	bool flush, no_server;

	if (stopping != 0)
		tenant_stop(slot->tenant, stopping == STOP_DEADLINE, stopping == STOP_OUTAGE ? &r->outage_why : NULL);
	lock_take(&r->lock);
	flush = slot->share.large > 0 || memory_pressed(&r->memory);
	no_server = r->outage.state == OUTAGE_ON;
	lock_give(&r->lock);
	if (flush)
		tenant_flush(slot->tenant);
	want = tenant_next(slot->tenant, no_server, &ready_ms, &lane);
	if (want == TENANT_ENDED) {
		retire(r, slot);
		return;
	}
	lock_take(&r->lock);
	if (want == TENANT_DISK) {
		to_disk_locked(r, slot);
	} else if (want == TENANT_LOCKED) {
		hold_locked(r, slot, ready_ms);
	} else {
		places_settle_locked(r, slot, tenant_kept_bytes(slot->tenant));
		slot->answer_cap = tenant_answer_cap(slot->tenant);
		slot->lane = lane;
		queue_push(&r->queue, slot, ready_ms, lane, r->results[slot->index].org->priority);
		places_admit_locked(r);
		places_wake_one_locked(r);
	}
	lock_give(&r->lock);
}

/* ---- disk threads ---- */

static struct slot *
take_disk(struct run *r)
{
	struct slot *slot;

	lock_take(&r->lock);
	while (r->disk_first == NULL && r->ended < r->options.n_orgs)
		lock_wait(&r->lock, &r->disk_work);
	slot = r->disk_first;
	if (slot != NULL) {
		r->disk_first = slot->next;
		if (r->disk_first == NULL)
			r->disk_last = &r->disk_first;
	}
	lock_give(&r->lock);
	return slot;
}

/* Makes the organization's job, the first time it comes by. False where it ended instead. */
static bool
begin(struct run *r, struct slot *slot)
{
	struct run_result *result = &r->results[slot->index];
	int stopping = atomic_load(&r->stopping);

	if (slot->tenant != NULL)
		return true;
	if (stopping != 0) {
		result->outcome = stopping == STOP_DEADLINE ? RUN_DEADLINE
		                : stopping == STOP_OUTAGE ? RUN_FAILED : RUN_STOPPED;
		if (stopping == STOP_OUTAGE)
			result->err = r->outage_why;
		retire(r, slot);
		return false;
	}
	slot->tenant = tenant_new(&r->options, result->org, r->options.seed + slot->index, &r->memory,
	                          result);
	if (slot->tenant != NULL)
		return true;
	err_set(&result->err, ERR_NOMEM, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR, "out of memory");
	result->outcome = RUN_FAILED;
	retire(r, slot);
	return false;
}

void *
places_disk_main(void *arg)
{
	struct run *r = arg;
	struct slot *slot;

	/* A question that waits for a processor is a place on the wire that does nothing: the workers come first. */
	(void)setpriority(PRIO_PROCESS, (id_t)gettid(), getpriority(PRIO_PROCESS, 0) + DISK_NICE);
	while ((slot = take_disk(r)) != NULL) {
		if (!begin(r, slot))
			continue;
		tenant_disk(slot->tenant);
		places_move_on(r, slot);
	}
	return NULL;
}
