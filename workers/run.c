/* run.c: making a run, and its beginning and end. Who has which organization when stands in private.h. */
#include "workers/run.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "lib/base/log.h"
#include "workers/private.h"

#define FILES_PER_TENANT 8         /* open at most: directories, lock, one day file being merged */
#define FILES_PER_WORKER 7         /* what wakes it (ours, and what libcurl has for that), a look-up of a name, a connection */
#define FILES_LEAST 24             /* of a run without its workers: standard streams, directories, one organization
                                    * and four day files aside */
#define FILES_SPARE 140            /* of which 32 for day files aside: four a disk thread */
#define ACTIVE_MAX 4096
#define OUTAGE_PAUSE_MS 1000        /* before the first probe */

static int
by_priority(const void *a, const void *b, void *ctx)
{
	const struct run_result *results = ctx;
	size_t x = *(const size_t *)a, y = *(const size_t *)b;
	int p = results[x].org->priority, q = results[y].org->priority;

	return p != q ? (p > q ? -1 : 1) : (x < y ? -1 : x > y);
}

/* How many files the process may have open, once it has asked for all it can get. */
static size_t
files_limit(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) != 0)
		return SIZE_MAX;
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == RLIM_INFINITY)
		return SIZE_MAX;
	return files.rlim_cur;
}

/* How many organizations may be open at once: each holds a few files. */
static size_t
active_limit(const struct run *r)
{
	size_t others = FILES_LEAST + FILES_SPARE + r->n_workers * FILES_PER_WORKER + r->in_flight_max;
	size_t n = r->files_max > others ? (r->files_max - others) / FILES_PER_TENANT : 0;

	return n < 1 ? 1 : n > ACTIVE_MAX ? ACTIVE_MAX : n;
}

/* Where there are too few files for all the workers, there are fewer of these. -1: too few for one. */
static int
fit_workers(struct run *r, struct err *e)
{
	size_t fit;

	if (r->files_max < FILES_LEAST + FILES_PER_WORKER) {
		err_set_errno(e, EMFILE, "this process may have %zu files open, and a run takes %d at least",
		              r->files_max, FILES_LEAST + FILES_PER_WORKER);
		e->scope = ERR_SCOPE_RUN;
		return -1;
	}
	fit = (r->files_max - FILES_LEAST) / FILES_PER_WORKER;
	if (fit < r->n_workers)
		r->n_workers = fit;
	return 0;
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

static int
set_limits(struct run *r, struct err *e)
{
	const struct conf *conf = r->options.conf;
	size_t n = r->options.n_orgs;

	r->in_flight_max = conf->in_flight > 0 ? (size_t)conf->in_flight : 64;
	r->n_workers = conf->workers > 0 ? (size_t)conf->workers : 4;
	if (r->n_workers > n)
		r->n_workers = n > 0 ? n : 1;
	if (r->n_workers > r->in_flight_max)
		r->n_workers = r->in_flight_max;
	r->files_max = files_limit();
	if (fit_workers(r, e) != 0)
		return -1;
	r->per_worker_max = (r->in_flight_max + r->n_workers - 1) / r->n_workers;
	memory_plan(&r->memory, (size_t)conf->memory_bytes, (size_t)conf->organization_memory_bytes, n,
	            r->in_flight_max);
	r->active_max = active_limit(r);
	if (r->active_max > r->memory.active_max)
		r->active_max = r->memory.active_max;
	bucket_init_per_minute(&r->all, conf->requests_per_minute, run_now_ms(r));
	return 0;
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
	r->large_last = &r->large_first;
	lock_init(&r->lock);
	lock_init(&r->finish_lock);
	pthread_cond_init(&r->disk_work, NULL);
	queue_init(&r->queue);
	queue_init(&r->held);
	if (set_limits(r, e) != 0) {
		run_free(r);
		return NULL;
	}
	r->results = calloc(n + 1, sizeof(*r->results));
	r->slots = calloc(n + 1, sizeof(*r->slots));
	r->order = calloc(n + 1, sizeof(*r->order));
	r->workers = calloc(r->n_workers, sizeof(*r->workers));
	if (r->results == NULL || r->slots == NULL || r->order == NULL || r->workers == NULL ||
	    queue_reserve(&r->queue, n) != 0 || queue_reserve(&r->held, n) != 0 ||
	    outage_init(&r->outage, n, options->backoff_ms > 0 ? options->backoff_ms : OUTAGE_PAUSE_MS,
	                options->outage_wait_ms) != 0)
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
	queue_free(&r->held);
	outage_free(&r->outage);
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

/* ---- the run ---- */

/* Starts as many threads as the system gives; one of each kind is enough. */
static int
start_threads(struct run *r, struct err *e)
{
	size_t n = 0;
	int failed = 0, disk_failed = 0;

	for (; n < r->n_workers && !failed; n += !failed)
		failed = pthread_create(&r->workers[n].thread, NULL, wire_main, &r->workers[n]);
	r->n_started = n;
	for (r->n_disks = 0; n > 0 && r->n_disks < DISK_THREADS && !disk_failed; r->n_disks += !disk_failed)
		disk_failed = pthread_create(&r->disks[r->n_disks], NULL, places_disk_main, r);
	if (disk_failed)
		failed = disk_failed;
	if (failed)
		log_warn(NULL, "msg=\"fewer threads than wanted\" workers=%zu disk=%zu why=\"%s\"", n, r->n_disks,
		         strerrordesc_np(failed));
	if (n > 0 && r->n_disks > 0)
		return 0;
	err_set_errno(e, failed, "cannot start the threads of the run");
	e->scope = ERR_SCOPE_RUN;
	return -1;
}

/* What was taken for an organization has come back, whichever way it ended. */
static void
assert_all_given_back(const struct run *r)
{
	const struct memory *m = &r->memory;

	assert(r->active == 0 && r->in_flight == 0 && r->in_flight_backfill == 0);
	assert(m->asked == 0 && m->kept == 0 && m->large_used == 0);
	assert(r->disk_first == NULL && r->large_first == NULL);
	assert(queue_next_ms(&r->queue, 0) == INT64_MAX && queue_next_ms(&r->held, 0) == INT64_MAX);
	(void)m;
}

int
run_go(struct run *r, struct err *e)
{
	int result;

	if (r->options.n_orgs == 0)
		return 0;
	r->deadline_at_ms = r->options.deadline_ms > 0 ? run_now_ms(r) + r->options.deadline_ms : INT64_MAX;
	lock_take(&r->lock);
	places_admit_locked(r);
	lock_give(&r->lock);
	result = start_threads(r, e);
	if (result != 0) {
		/* Without disk threads nothing can have begun: the workers are told that all is over. */
		lock_take(&r->lock);
		r->ended = r->options.n_orgs;
		places_wake_all_locked(r);
		lock_give(&r->lock);
	}
	for (size_t i = 0; i < r->n_disks; i++)
		pthread_join(r->disks[i], NULL);
	for (size_t i = 0; i < r->n_started; i++)
		pthread_join(r->workers[i].thread, NULL);
	if (result == 0)
		assert_all_given_back(r);
	return result;
}

void
run_stop(struct run *r)
{
	int none = 0;

	if (!atomic_compare_exchange_strong(&r->stopping, &none, STOP_SIGNAL))
		return;
	lock_take(&r->lock);
	places_wake_all_locked(r);
	lock_give(&r->lock);
}
