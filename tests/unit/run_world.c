#include "tests/unit/run_world.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/rng.h"
#include "workers/private.h"

#define JUMPS_MAX 100000
#define STUCK_S 120          /* of real time without a jump: only a run that hangs takes so long */

struct http_session {
	struct http_engine *engine;  /* NULL: not on the wire */
	struct http_session *next;   /* of the engine's */
	void *user;
	int64_t lands_ms;
	struct http_answer answer;
	struct buf body;
};

struct http_engine {
	struct http_session *wire;
	bool inside, woken;          /* in http_drive(); somebody called http_wake() */
	int64_t until_ms;
};

/* Guarded by mutex, but for what is set before the threads begin. */
static struct {
	pthread_mutex_t mutex;       /* taken after run->lock, never before it */
	pthread_cond_t moved;
	int64_t now_ms, stop_at_ms;
	struct run *run;
	struct http_engine *engines[64];
	size_t n_engines;
	struct world_options o;
	struct world_counts counts;
	size_t ended;
	int threads;
	size_t workers;              /* of the threads */
	struct timespec jumped;
} world = { .mutex = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER };

_Noreturn void
world_broken(const char *what, size_t number)
{
	fprintf(stderr, "the run of seed %llu, at %lld ms: %s (%zu)\n", (unsigned long long)world.o.seed,
	        (long long)(world.now_ms - WORLD_BEGIN_MS), what, number);
	abort();
}

const struct world_options *
world_options(void)
{
	return &world.o;
}

void
world_count(uint64_t *count, uint64_t n)
{
	pthread_mutex_lock(&world.mutex);
	*count += n;
	pthread_mutex_unlock(&world.mutex);
}

struct world_counts *
world_counts(void)
{
	return &world.counts;
}

int64_t
world_ms(void)
{
	int64_t now;

	pthread_mutex_lock(&world.mutex);
	now = world.now_ms;
	pthread_mutex_unlock(&world.mutex);
	return now;
}

static int64_t
clock_ms(void *ctx)
{
	(void)ctx;
	return world_ms();
}

static const struct clock world_clock = { clock_ms, clock_ms, NULL };

/* ---- looking at a run in which nothing moves; both locks are held ---- */

enum place { PLACE_NONE, PLACE_QUEUE, PLACE_HELD, PLACE_LARGE, PLACE_WIRE };

static void
put(enum place *places, const struct slot *slot, enum place place)
{
	if (places[slot->index] != PLACE_NONE)
		world_broken("an organization in two places", slot->index);
	places[slot->index] = place;
	if (slot->tenant == NULL)
		world_broken("an organization that has ended or not begun", slot->index);
	if ((slot->share.asked > 0) != (place == PLACE_WIRE && slot->share.large == 0))
		world_broken("an ordinary share that does not belong there", slot->index);
	if (place == PLACE_LARGE && slot->share.large != 0)
		world_broken("it waits for a large share and has one", slot->index);
	if (slot->share.large == 0 && slot->share.kept != tenant_kept_bytes(slot->tenant))
		world_broken("what it keeps is not what is counted", slot->index);
}

static size_t
put_queue(enum place *places, const struct queue *queue, enum place place)
{
	size_t n = 0;

	for (int i = 0; i <= LANES; i++) {
		const struct queue_heap *heap = i < LANES ? &queue->ready[i] : &queue->waiting;

		for (size_t k = 0; k < heap->n; k++)
			put(places, heap->entries[k].job, place);
		n += heap->n;
	}
	return n;
}

static void
check_memory(const struct run *r)
{
	const struct memory *m = &r->memory;
	size_t asked = 0, kept = 0, large = 0;

	for (size_t i = 0; i < r->options.n_orgs; i++) {
		asked += r->slots[i].share.asked;
		kept += r->slots[i].share.kept;
		large += r->slots[i].share.large;
	}
	if (asked != m->asked || kept != m->kept || large != m->large_used)
		world_broken("the shares are not what is spoken for", asked);
	if (m->asked + m->kept > m->ordinary || m->large_used > m->large)
		world_broken("more is spoken for than there is", m->asked + m->kept);
	if (m->kept > world.counts.kept_most)
		world.counts.kept_most = m->kept;
}

/* Whoever could go on now has been overlooked: a wake-up was lost. */
static void
check_nobody_is_overlooked(struct run *r, size_t queued, size_t held, size_t waiting, size_t on_wire)
{
	int64_t awake_ms = INT64_MAX;
	bool place = false;

	if (atomic_load(&r->stopping) != 0) {
		if (queued + held + waiting > 0)
			world_broken("the run stops, and an organization still waits", queued + held + waiting);
		return;
	}
	for (size_t i = 0; i < world.workers; i++)
		awake_ms = world.engines[i]->until_ms < awake_ms ? world.engines[i]->until_ms : awake_ms;
	if (r->active < r->active_max && queue_next_ms(&r->held, world.now_ms) < awake_ms)
		world_broken("one that was held is to be tried again, and no worker will look by then", held);
	if (r->active < r->active_max && r->next_tenant < r->options.n_orgs && !places_are_taken_locked(r, world.now_ms))
		world_broken("one could begin, and does not", r->next_tenant);
	if (waiting > 0 && r->memory.large_used == 0)
		world_broken("they wait for large shares that nobody has", waiting);
	if (!memory_has_room(&r->memory)) {
		world.counts.no_room++;
		if (on_wire == 0)
			world_broken("no memory, and nobody who would give some back", r->memory.kept);
		return;
	}
	for (size_t i = 0; i < world.workers; i++)
		place |= r->workers[i].in_flight < r->per_worker_max;
	if (place && r->in_flight < r->in_flight_max && outage_next_ms(&r->outage) <= world.now_ms &&
	    queue_next_ms(&r->queue, world.now_ms) <= world.now_ms)
		world_broken("an organization could ask, and no worker looks", queued);
}

static struct http_session *
landed(const struct http_engine *engine)
{
	struct http_session *s = engine->wire;

	while (s != NULL && s->lands_ms > world.now_ms)
		s = s->next;
	return s;
}

/* Whether its worker waits in http_drive(), and has nothing to wake up for. */
static bool
rests(const struct http_engine *engine)
{
	return engine->inside && !engine->woken && world.now_ms < engine->until_ms && landed(engine) == NULL;
}

/* False where somebody has work in his hands after all. */
static bool
look(struct run *r)
{
	static enum place places[4096];
	size_t queued, held, on_wire = 0, waiting = 0;

	for (size_t i = 0; i < world.workers; i++)
		if (!rests(world.engines[i]))
			return false;
	memset(places, 0, r->options.n_orgs * sizeof(*places));
	queued = put_queue(places, &r->queue, PLACE_QUEUE);
	held = put_queue(places, &r->held, PLACE_HELD);
	for (const struct slot *slot = r->large_first; slot != NULL; slot = slot->next, waiting++)
		put(places, slot, PLACE_LARGE);
	for (size_t i = 0; i < world.n_engines; i++)
		for (const struct http_session *s = world.engines[i]->wire; s != NULL; s = s->next, on_wire++)
			put(places, s->user, PLACE_WIRE);
	if (r->disk_first != NULL || queued + waiting + on_wire != r->active)
		return false; /* a disk thread has one */
	if (r->in_flight != on_wire)
		world_broken("in_flight is not what is on the wire", on_wire);
	check_memory(r);
	check_nobody_is_overlooked(r, queued, held, waiting, on_wire);
	world.counts.holds += held > 0;
	world.counts.waits_for_large += waiting > 0;
	return true;
}

/* To the next moment at which something happens. */
static void
jump(void)
{
	int64_t to = INT64_MAX;

	for (size_t i = 0; i < world.workers; i++) {
		to = world.engines[i]->until_ms < to ? world.engines[i]->until_ms : to;
		for (const struct http_session *s = world.engines[i]->wire; s != NULL; s = s->next)
			to = s->lands_ms < to ? s->lands_ms : to;
	}
	if (world.stop_at_ms > 0 && world.stop_at_ms < to)
		to = world.stop_at_ms;
	world.now_ms = to > world.now_ms ? to : world.now_ms;
	if (++world.counts.jumps > JUMPS_MAX)
		world_broken("it does not end", world.ended);
	clock_gettime(CLOCK_MONOTONIC, &world.jumped);
	pthread_cond_broadcast(&world.moved);
}

/* ---- lib/http's engine ---- */

struct http_engine *
http_engine_new(const struct http_options *options, struct err *e)
{
	(void)options;
	(void)e;
	world.engines[world.n_engines] = calloc(1, sizeof(struct http_engine));
	return world.engines[world.n_engines++];
}

void
http_engine_free(struct http_engine *engine)
{
	if (engine->wire != NULL)
		world_broken("an engine ends with something on its wire", 0);
	free(engine);
}

void
http_wake(struct http_engine *engine)
{
	pthread_mutex_lock(&world.mutex);
	engine->woken = true;
	pthread_cond_broadcast(&world.moved);
	pthread_mutex_unlock(&world.mutex);
}

struct http_session *
http_session_new(void)
{
	return calloc(1, sizeof(struct http_session));
}

void
http_session_free(struct http_session *s)
{
	if (s->engine != NULL)
		world_broken("an organization ends with its question on the wire", 0);
	free(s);
}

void
http_session_set_user(struct http_session *s, void *user)
{
	s->user = user;
}

void *
http_session_user(const struct http_session *s)
{
	return s->user;
}

int
http_start(struct http_engine *engine, struct http_session *s, const struct http_request *request,
           struct err *e)
{
	struct rng rng = { (uint64_t)(uintptr_t)request->url };

	if (rng_below(&rng, 100) == 0 && world.o.trouble > 0)
		return err_set(e, ERR_NOMEM, ERR_SCOPE_ORGANIZATION, ERR_RETRY_LATER, "not sent");
	pthread_mutex_lock(&world.mutex);
	s->lands_ms = world.now_ms + (int64_t)rng_below(&rng, rng_below(&rng, 20) == 0 ? 90000 : 300);
	s->next = engine->wire;
	engine->wire = s;
	s->engine = engine;
	world.counts.questions++;
	pthread_mutex_unlock(&world.mutex);
	return 0;
}

static void
take_off(struct http_session *s)
{
	struct http_session **at = &s->engine->wire;

	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	s->engine = NULL;
}

void
http_answer_done(struct http_session *s)
{
	buf_reset(&s->body);
}

void
http_cancel(struct http_engine *engine, struct http_session *s)
{
	pthread_mutex_lock(&world.mutex);
	if (s->engine != engine)
		world_broken("what is broken off is not on this wire", 0);
	take_off(s);
	pthread_mutex_unlock(&world.mutex);
}

struct http_session *
http_next(struct http_engine *engine, struct http_answer **ret_answer)
{
	struct http_session *s;

	pthread_mutex_lock(&world.mutex);
	s = landed(engine);
	if (s != NULL)
		take_off(s);
	pthread_mutex_unlock(&world.mutex);
	if (s == NULL)
		return NULL;
	s->answer = (struct http_answer){ .status = 200, .body = &s->body, .exchanges = 1 };
	*ret_answer = &s->answer;
	return s;
}

/* Lets time jump where nothing moves; a thread that does not hold the world's lock. */
static void
try_to_jump(struct run *r)
{
	struct timespec now;

	lock_take(&r->lock);
	pthread_mutex_lock(&world.mutex);
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec - world.jumped.tv_sec > STUCK_S)
		world_broken("it hangs", r->ended);
	if (r->ended < r->options.n_orgs && look(r))
		jump();
	pthread_mutex_unlock(&world.mutex);
	lock_give(&r->lock);
}

void
http_drive(struct http_engine *engine, int timeout_ms)
{
	struct timespec nap;
	bool stop;

	pthread_mutex_lock(&world.mutex);
	engine->until_ms = world.now_ms + timeout_ms;
	engine->inside = true;
	while (rests(engine) && (world.stop_at_ms == 0 || world.now_ms < world.stop_at_ms)) {
		pthread_mutex_unlock(&world.mutex);
		try_to_jump(world.run);
		pthread_mutex_lock(&world.mutex);
		if (!rests(engine))
			break;
		clock_gettime(CLOCK_REALTIME, &nap);
		nap.tv_nsec += 200000;
		nap.tv_sec += nap.tv_nsec / 1000000000;
		nap.tv_nsec %= 1000000000;
		pthread_cond_timedwait(&world.moved, &world.mutex, &nap);
	}
	engine->inside = engine->woken = false;
	stop = world.stop_at_ms > 0 && world.now_ms >= world.stop_at_ms;
	if (stop)
		world.stop_at_ms = 0;
	pthread_mutex_unlock(&world.mutex);
	if (stop)
		run_stop(world.run);
}

/* ---- a run ---- */

int __wrap_pthread_create(pthread_t *ret, const pthread_attr_t *attributes, void *(*f)(void *), void *arg);
int __real_pthread_create(pthread_t *ret, const pthread_attr_t *attributes, void *(*f)(void *), void *arg);

int
__wrap_pthread_create(pthread_t *ret, const pthread_attr_t *attributes, void *(*f)(void *), void *arg)
{
	if (world.o.threads_max > 0 && world.threads >= world.o.threads_max)
		return EAGAIN;
	pthread_mutex_lock(&world.mutex);
	world.threads++;
	world.workers += f == wire_main;
	pthread_mutex_unlock(&world.mutex);
	return __real_pthread_create(ret, attributes, f, arg);
}

static void
on_finished(void *ctx, const struct run_result *result)
{
	(void)ctx;
	if (result->outcome == RUN_WAITING)
		world_broken("an organization that has ended says that it waits", world.ended);
	world.ended++;
}

static void
check_end(struct run *r)
{
	const struct memory *m = &r->memory;

	if (world.ended != world.o.n_orgs)
		world_broken("not every organization has ended once", world.ended);
	if (world.counts.tenants != 0)
		world_broken("organizations left over", (size_t)world.counts.tenants);
	if (m->asked != 0 || m->kept != 0 || m->large_used != 0)
		world_broken("memory is still spoken for", m->asked + m->kept + m->large_used);
	if (r->in_flight != 0 || r->active != 0 || r->disk_first != NULL || r->large_first != NULL ||
	    queue_pick_any(&r->queue) != NULL || queue_pick_any(&r->held) != NULL)
		world_broken("the run has ended, and something is left of it", r->in_flight);
	for (size_t i = 0; i < world.o.n_orgs; i++) {
		const struct run_result *result = &run_results(r)[i];

		world.counts.done += result->outcome == RUN_DONE;
		world.counts.failed += result->outcome == RUN_FAILED;
		world.counts.stopped += result->outcome == RUN_STOPPED || result->outcome == RUN_DEADLINE;
	}
	world.counts.outages = r->outage.number;
}

int
world_play(const struct world_options *options, struct world_counts *ret_counts, struct err *ret_e)
{
	struct conf_org *orgs = calloc(options->n_orgs, sizeof(*orgs));
	const struct conf_org **list = calloc(options->n_orgs, sizeof(struct conf_org *));
	static char base_url[] = "https://played.invalid", name[] = "played";
	struct conf conf = {
		.base_url = base_url, .workers = options->workers, .in_flight = options->in_flight,
		.memory_bytes = options->memory_bytes, .backfill_share = 50,
		.organization_memory_bytes = options->organization_memory_bytes,
	};
	struct run_options run = {
		.conf = &conf, .orgs = list, .n_orgs = options->n_orgs, .task = RUN_SYNC, .clock = &world_clock,
		.seed = options->seed, .deadline_ms = options->deadline_ms, .backoff_ms = 100,
		.outage_wait_ms = options->outage_wait_ms, .finished = on_finished,
	};
	int result;

	world.o = *options;
	memset(&world.counts, 0, sizeof(world.counts));
	world.now_ms = WORLD_BEGIN_MS;
	world.stop_at_ms = options->stop_ms > 0 ? WORLD_BEGIN_MS + options->stop_ms : 0;
	world.n_engines = world.ended = 0;
	world.threads = 0;
	world.workers = 0;
	clock_gettime(CLOCK_MONOTONIC, &world.jumped);
	for (size_t i = 0; i < options->n_orgs; i++) {
		orgs[i].name = name;
		orgs[i].priority = options->priorities ? (int)(i % 3) : 0;
		list[i] = &orgs[i];
	}
	err_clear(ret_e);
	world.run = run_new(&run, ret_e);
	if (world.run == NULL)
		world_broken(ret_e->text, 0);
	result = run_go(world.run, ret_e);
	if (result == 0)
		check_end(world.run);
	else if (world.ended > 0 || world.counts.tenants > 0)
		world_broken("a run that could not begin has begun", world.ended);
	run_free(world.run);
	*ret_counts = world.counts;
	free(list);
	free(orgs);
	return result;
}
