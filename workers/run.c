/* run.c: the threads of a run, and who has which organization when.
 *
 * Three kinds of threads: the one that called run_go() and waits, the workers (each drives one http engine
 * and as many requests as its share of in_flight), and the disk threads. An organization is always in
 * exactly one place: not begun (index next_tenant and up), in the ready queue, in the disk list, on the wire
 * of one worker, in the hands of one thread that moves it from one of these to the next, or ended. It changes
 * places under the run's lock; it is worked on outside of it. That is the whole of the locking: whoever took
 * an organization out of a place is the only one to touch it.
 */
#include "workers/run.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "lib/base/log.h"
#include "workers/bucket.h"
#include "workers/lock.h"
#include "workers/queue.h"
#include "workers/tenant.h"

#define DISK_THREADS 8
#define DRAIN_MS 5000              /* for answers on the way after run_stop() */
#define FILES_PER_TENANT 8         /* open at most: directories, lock, one day file being merged */
#define FILES_OF_THE_RUN 128
#define ACTIVE_MAX 4096
#define BUFFERS_BYTES (512u << 20) /* events of all organizations that wait for a commit, at most about */
#define BUFFER_MIN_BYTES (128u << 10)
#define BUFFER_MAX_BYTES (4u << 20)
#define IDLE_MS 60000

struct slot {
	struct tenant *tenant;     /* NULL: not begun, or ended */
	struct slot *next;         /* in the disk list */
	struct slot *wire_next, *wire_before; /* on a worker's wire; that worker's own */
	enum lane lane;            /* of the request on the wire */
	size_t index;
};

struct worker {
	struct run *run;
	pthread_t thread;
	struct http_engine *engine;
	struct page page;          /* scratch */
	struct slot *wire;         /* what this worker has on the wire */
	size_t in_flight;          /* guarded by run->lock */
	bool asleep;               /* guarded by run->lock: in http_drive(), may be woken */
	enum lane lane;            /* of the job picked last; its own */
};

struct run {
	struct run_options options;
	struct run_result *results;
	struct slot *slots;
	size_t *order;             /* slots in the order they begin: priority, then configuration */
	struct worker *workers;
	size_t n_workers, n_started, in_flight_max, per_worker_max, active_max, buffer_bytes;
	pthread_t disks[DISK_THREADS];
	size_t n_disks;
	atomic_int stopping;       /* 0, STOP_SIGNAL or STOP_DEADLINE */
	int64_t deadline_at_ms;    /* monotonic; INT64_MAX: none */

	struct lock lock;          /* guards all below, and the contents of queue and disk list */
	pthread_cond_t disk_work;  /* the disk list is not empty, or all is over */
	struct queue queue;
	struct slot *disk_first, **disk_last;
	struct bucket all;         /* the process's own limit */
	size_t next_tenant;        /* order[next_tenant …] are not begun */
	size_t active, ended, failed;
	size_t in_flight, in_flight_backfill;
	int64_t stop_at_ms;        /* when stopping was first seen; 0: not yet */
	uint64_t events_new, pages, requests;
	struct lock finish_lock;   /* guards the calls of options.finished; taken alone */
};

enum { STOP_SIGNAL = 1, STOP_DEADLINE = 2 };

static int64_t
now_ms(const struct run *r)
{
	return clock_mono_ms(r->options.clock);
}

/* ---- making and ending ---- */

static int
by_priority(const void *a, const void *b, void *ctx)
{
	const struct run_result *results = ctx;
	size_t x = *(const size_t *)a, y = *(const size_t *)b;
	int p = results[x].org->priority, q = results[y].org->priority;

	return p != q ? (p > q ? -1 : 1) : (x < y ? -1 : x > y);
}

/* How many organizations may be open at once: each holds a few files. */
static size_t
active_limit(size_t in_flight_max)
{
	struct rlimit files;
	size_t n = ACTIVE_MAX;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
		getrlimit(RLIMIT_NOFILE, &files);
		if (files.rlim_cur != RLIM_INFINITY &&
		    files.rlim_cur < FILES_OF_THE_RUN + in_flight_max + n * FILES_PER_TENANT)
			n = files.rlim_cur > FILES_OF_THE_RUN + in_flight_max + FILES_PER_TENANT
			        ? (files.rlim_cur - FILES_OF_THE_RUN - in_flight_max) / FILES_PER_TENANT : 1;
	}
	return n;
}

static int
make_workers(struct run *r, struct err *e)
{
	struct http_options http = r->options.http;

	http.max_connections = (long)r->per_worker_max;
	for (size_t i = 0; i < r->n_workers; i++) {
		struct worker *w = &r->workers[i];

		w->run = r;
		page_init(&w->page);
		w->engine = http_engine_new(&http, e);
		if (w->engine == NULL)
			return -1;
	}
	return 0;
}

static void
set_limits(struct run *r)
{
	const struct conf *conf = r->options.conf;
	size_t n = r->options.n_orgs;

	r->in_flight_max = conf->in_flight > 0 ? (size_t)conf->in_flight : 64;
	r->n_workers = conf->workers > 0 ? (size_t)conf->workers : 4;
	if (r->n_workers > n)
		r->n_workers = n > 0 ? n : 1;
	if (r->n_workers > r->in_flight_max)
		r->n_workers = r->in_flight_max;
	r->per_worker_max = (r->in_flight_max + r->n_workers - 1) / r->n_workers;
	r->active_max = active_limit(r->in_flight_max);
	r->buffer_bytes = BUFFERS_BYTES / (n < r->active_max ? n + 1 : r->active_max);
	if (r->buffer_bytes < BUFFER_MIN_BYTES)
		r->buffer_bytes = BUFFER_MIN_BYTES;
	if (r->buffer_bytes > BUFFER_MAX_BYTES)
		r->buffer_bytes = BUFFER_MAX_BYTES;
	bucket_init_per_minute(&r->all, conf->requests_per_minute, now_ms(r));
}

struct run *
run_new(const struct run_options *options, struct err *e)
{
	struct run *r = calloc(1, sizeof(*r));
	size_t n = options->n_orgs;

	if (r == NULL)
		goto no_memory;
	r->options = *options;
	r->disk_last = &r->disk_first;
	lock_init(&r->lock);
	lock_init(&r->finish_lock);
	pthread_cond_init(&r->disk_work, NULL);
	queue_init(&r->queue);
	set_limits(r);
	r->results = calloc(n + 1, sizeof(*r->results));
	r->slots = calloc(n + 1, sizeof(*r->slots));
	r->order = calloc(n + 1, sizeof(*r->order));
	r->workers = calloc(r->n_workers, sizeof(*r->workers));
	if (r->results == NULL || r->slots == NULL || r->order == NULL || r->workers == NULL ||
	    queue_reserve(&r->queue, n) != 0)
		goto no_memory;
	for (size_t i = 0; i < n; i++) {
		r->results[i].org = options->orgs[i];
		err_clear(&r->results[i].err);
		r->slots[i].index = r->order[i] = i;
	}
	qsort_r(r->order, n, sizeof(*r->order), by_priority, r->results);
	if (make_workers(r, e) == 0)
		return r;
	run_free(r);
	return NULL;

no_memory:
	err_set(e, ERR_NOMEM, ERR_SCOPE_RUN, ERR_RETRY_OPERATOR, "out of memory");
	run_free(r);
	return NULL;
}

void
run_free(struct run *r)
{
	if (r == NULL)
		return;
	for (size_t i = 0; r->slots != NULL && i < r->options.n_orgs; i++)
		tenant_free(r->slots[i].tenant);
	for (size_t i = 0; r->workers != NULL && i < r->n_workers; i++) {
		http_engine_free(r->workers[i].engine);
		page_free(&r->workers[i].page);
	}
	queue_free(&r->queue);
	pthread_cond_destroy(&r->disk_work);
	lock_free(&r->lock);
	lock_free(&r->finish_lock);
	free(r->workers);
	free(r->order);
	free(r->slots);
	free(r->results);
	free(r);
}

const struct run_result *
run_results(const struct run *r)
{
	return r->results;
}

void
run_progress(struct run *r, struct run_progress *ret)
{
	lock_take(&r->lock);
	*ret = (struct run_progress){ r->options.n_orgs, r->ended, r->failed, r->events_new, r->pages,
		                      r->requests, r->in_flight };
	lock_give(&r->lock);
}

/* ---- places ---- */

static void
wake_all_locked(struct run *r)
{
	lock_assert_held(&r->lock);
	for (size_t i = 0; i < r->n_workers; i++)
		http_wake(r->workers[i].engine);
	pthread_cond_broadcast(&r->disk_work);
}

static void
wake_one_locked(struct run *r)
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

/* Begins organizations while there is room for them. */
static void
admit_locked(struct run *r)
{
	lock_assert_held(&r->lock);
	while (r->active < r->active_max && r->next_tenant < r->options.n_orgs) {
		struct slot *slot = &r->slots[r->order[r->next_tenant++]];

		r->active++;
		to_disk_locked(r, slot);
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
	r->active--;
	r->ended++;
	r->failed += result->outcome == RUN_FAILED;
	r->events_new += result->events_new;
	admit_locked(r);
	if (r->ended == r->options.n_orgs)
		wake_all_locked(r);
	lock_give(&r->lock);
}

/* Puts an organization that the calling thread has in its hands where it belongs next. */
static void
move_on(struct run *r, struct slot *slot)
{
	int stopping = atomic_load(&r->stopping);
	int64_t ready_ms = 0;
	enum lane lane = LANE_FRESH;
	enum tenant_want want;

	if (stopping != 0)
		tenant_stop(slot->tenant, stopping == STOP_DEADLINE);
	want = tenant_next(slot->tenant, &ready_ms, &lane);
	if (want == TENANT_ENDED) {
		retire(r, slot);
		return;
	}
	lock_take(&r->lock);
	if (want == TENANT_DISK)
		to_disk_locked(r, slot);
	else {
		queue_push(&r->queue, slot, ready_ms, lane, r->results[slot->index].org->priority);
		wake_one_locked(r);
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
		result->outcome = stopping == STOP_DEADLINE ? RUN_DEADLINE : RUN_STOPPED;
		retire(r, slot);
		return false;
	}
	slot->tenant = tenant_new(&r->options, result->org, r->options.seed + slot->index, r->buffer_bytes,
	                          result);
	if (slot->tenant != NULL)
		return true;
	err_set(&result->err, ERR_NOMEM, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR, "out of memory");
	result->outcome = RUN_FAILED;
	retire(r, slot);
	return false;
}

static void *
disk_main(void *arg)
{
	struct run *r = arg;
	struct slot *slot;

	while ((slot = take_disk(r)) != NULL) {
		if (!begin(r, slot))
			continue;
		tenant_disk(slot->tenant);
		move_on(r, slot);
	}
	return NULL;
}

/* ---- workers ---- */

static void
wire_add(struct worker *w, struct slot *slot)
{
	slot->wire_before = NULL;
	slot->wire_next = w->wire;
	if (w->wire != NULL)
		w->wire->wire_before = slot;
	w->wire = slot;
}

static void
wire_remove(struct worker *w, struct slot *slot)
{
	if (slot->wire_before != NULL)
		slot->wire_before->wire_next = slot->wire_next;
	else
		w->wire = slot->wire_next;
	if (slot->wire_next != NULL)
		slot->wire_next->wire_before = slot->wire_before;
}

static void
landed_locked(struct worker *w, struct slot *slot)
{
	struct run *r = w->run;

	lock_assert_held(&r->lock);
	w->in_flight--;
	r->in_flight--;
	r->in_flight_backfill -= slot->lane == LANE_BACKFILL;
}

/* The next organization whose turn it is, counted as in flight; NULL with *ret_wake_ms where none is. */
static struct slot *
take_ready(struct worker *w, int64_t *ret_wake_ms)
{
	struct run *r = w->run;
	int64_t now = now_ms(r), open_ms;
	struct slot *slot = NULL;
	bool backfill_may;

	lock_take(&r->lock);
	w->asleep = false;
	open_ms = bucket_ready_ms(&r->all, now);
	*ret_wake_ms = now + IDLE_MS;
	if (atomic_load(&r->stopping) != 0) {
		slot = queue_pick_any(&r->queue);
	} else if (w->in_flight < r->per_worker_max && r->in_flight < r->in_flight_max) {
		/* With this one too it must not be more than its share of what is in flight. */
		backfill_may = (r->in_flight_backfill + 1) * 100 <=
		               (size_t)r->options.conf->backfill_share * (r->in_flight + 1);
		if (open_ms <= now)
			slot = queue_pick(&r->queue, now, backfill_may, &w->lane);
		if (slot == NULL) {
			*ret_wake_ms = queue_next_ms(&r->queue, now);
			if (*ret_wake_ms < open_ms)
				*ret_wake_ms = open_ms;
		}
	}
	if (slot != NULL) {
		slot->lane = w->lane;
		w->in_flight++;
		r->in_flight++;
		r->in_flight_backfill += slot->lane == LANE_BACKFILL;
		bucket_charge(&r->all, 1, now);
	} else
		w->asleep = true;
	lock_give(&r->lock);
	return slot;
}

static void
send_request(struct worker *w, struct slot *slot)
{
	struct run *r = w->run;
	struct http_session *session;
	struct http_request request;
	struct err e;

	err_clear(&e);
	if (atomic_load(&r->stopping) == 0 && tenant_request(slot->tenant, &request, &session) == 0) {
		http_session_set_user(session, slot);
		if (http_start(w->engine, session, &request, &e) == 0) {
			wire_add(w, slot);
			return;
		}
		tenant_lost(slot->tenant, &e);
	}
	lock_take(&r->lock);
	landed_locked(w, slot);
	lock_give(&r->lock);
	move_on(r, slot);
}

static void
take_answers(struct worker *w)
{
	struct run *r = w->run;
	struct http_session *session;
	struct http_answer *answer;
	struct slot *slot;
	unsigned exchanges;

	while ((session = http_next(w->engine, &answer)) != NULL) {
		slot = http_session_user(session);
		wire_remove(w, slot);
		exchanges = tenant_take(slot->tenant, answer, &w->page);
		buf_free(answer->body);
		lock_take(&r->lock);
		landed_locked(w, slot);
		r->requests += exchanges;
		r->pages++;
		bucket_charge(&r->all, exchanges - 1, now_ms(r));
		lock_give(&r->lock);
		move_on(r, slot);
	}
}

/* After run_stop(): what is still on the wire when its time is over is broken off. */
static void
break_off(struct worker *w)
{
	struct run *r = w->run;
	struct slot *slot;

	while ((slot = w->wire) != NULL) {
		http_cancel(w->engine, tenant_session(slot->tenant));
		wire_remove(w, slot);
		lock_take(&r->lock);
		landed_locked(w, slot);
		lock_give(&r->lock);
		move_on(r, slot);
	}
}

/* Looks at the deadline and at the stop; returns until when the worker may wait. */
static int64_t
watch(struct worker *w, int64_t wake_ms)
{
	struct run *r = w->run;
	int64_t now = now_ms(r), stop_at_ms;
	int none = 0;

	if (now >= r->deadline_at_ms && atomic_compare_exchange_strong(&r->stopping, &none, STOP_DEADLINE)) {
		lock_take(&r->lock);
		wake_all_locked(r);
		lock_give(&r->lock);
	}
	if (wake_ms > r->deadline_at_ms && atomic_load(&r->stopping) == 0)
		wake_ms = r->deadline_at_ms;
	if (atomic_load(&r->stopping) == 0)
		return wake_ms;
	lock_take(&r->lock);
	if (r->stop_at_ms == 0)
		r->stop_at_ms = now;
	stop_at_ms = r->stop_at_ms;
	lock_give(&r->lock);
	if (now - stop_at_ms >= DRAIN_MS)
		break_off(w);
	return wake_ms < stop_at_ms + DRAIN_MS ? wake_ms : stop_at_ms + DRAIN_MS;
}

static bool
all_ended(struct run *r)
{
	bool ended;

	lock_take(&r->lock);
	ended = r->ended == r->options.n_orgs;
	lock_give(&r->lock);
	return ended;
}

static void *
worker_main(void *arg)
{
	struct worker *w = arg;
	struct run *r = w->run;
	struct slot *slot;
	int64_t wake_ms, now;

	while (!all_ended(r)) {
		while ((slot = take_ready(w, &wake_ms)) != NULL)
			send_request(w, slot);
		wake_ms = watch(w, wake_ms);
		now = now_ms(r);
		http_drive(w->engine, wake_ms <= now ? 0 : wake_ms - now > IDLE_MS ? IDLE_MS : (int)(wake_ms - now));
		take_answers(w);
	}
	return NULL;
}

/* ---- the run ---- */

/* Starts as many threads as the system gives; one of each kind is enough. */
static int
start_threads(struct run *r, struct err *e)
{
	size_t n = 0;
	int failed = 0;

	for (; n < r->n_workers && !failed; n += !failed)
		failed = pthread_create(&r->workers[n].thread, NULL, worker_main, &r->workers[n]);
	r->n_started = n;
	for (r->n_disks = 0; n > 0 && r->n_disks < DISK_THREADS; r->n_disks++) {
		failed = pthread_create(&r->disks[r->n_disks], NULL, disk_main, r);
		if (failed)
			break;
	}
	if (failed)
		log_warn(NULL, "msg=\"fewer threads than wanted\" workers=%zu disk=%zu why=\"%s\"", n, r->n_disks,
		         strerrordesc_np(failed));
	if (n > 0 && r->n_disks > 0)
		return 0;
	err_set_errno(e, failed, "cannot start the threads of the run");
	e->scope = ERR_SCOPE_RUN;
	return -1;
}

int
run_go(struct run *r, struct err *e)
{
	int result;

	if (r->options.n_orgs == 0)
		return 0;
	r->deadline_at_ms = r->options.deadline_ms > 0 ? now_ms(r) + r->options.deadline_ms : INT64_MAX;
	lock_take(&r->lock);
	admit_locked(r);
	lock_give(&r->lock);
	result = start_threads(r, e);
	if (result != 0) {
		/* Without disk threads nothing can have begun: the workers are told that all is over. */
		lock_take(&r->lock);
		r->ended = r->options.n_orgs;
		wake_all_locked(r);
		lock_give(&r->lock);
	}
	for (size_t i = 0; i < r->n_disks; i++)
		pthread_join(r->disks[i], NULL);
	for (size_t i = 0; i < r->n_started; i++)
		pthread_join(r->workers[i].thread, NULL);
	return result;
}

void
run_stop(struct run *r)
{
	int none = 0;

	if (!atomic_compare_exchange_strong(&r->stopping, &none, STOP_SIGNAL))
		return;
	lock_take(&r->lock);
	wake_all_locked(r);
	lock_give(&r->lock);
}
