#include "tests/unit/run_world.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/rng.h"
#include "workers/private.h"

#define BEGIN_MS 1000000
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

enum state { STATE_OPEN, STATE_WORK, STATE_PREPARE, STATE_CLOSE, STATE_ENDED };

struct tenant {
	struct rng rng;
	struct run_result *result;
	const struct memory *memory;
	struct http_session *session;
	enum state state;
	unsigned left, failures;     /* answers still to be had; in a row */
	size_t answer_bytes, answer_cap, kept, uncommitted;
	bool asked, flush, flushed, stopped, backfill;
	int64_t ready_ms;
	struct err trouble, why;
};

static struct {
	pthread_mutex_t mutex;       /* taken after run->lock, never before it */
	pthread_cond_t moved;
	int64_t now_ms, stop_at_ms;
	struct run *run;
	struct http_engine *engines[64];
	size_t n_engines;
	struct world_options o;
	struct world_counts counts;
	size_t tenants, ended;
	int threads;
	size_t workers;              /* of the threads */
	struct timespec jumped;
} world = { .mutex = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER };

static _Noreturn void
broken(const char *what, size_t number)
{
	fprintf(stderr, "ORGSYNC_TEST_SEED of the run %llu, at %lld ms: %s (%zu)\n", (unsigned long long)world.o.seed,
	        (long long)(world.now_ms - BEGIN_MS), what, number);
	abort();
}

static int64_t
world_ms(void *ctx)
{
	int64_t now;

	(void)ctx;
	pthread_mutex_lock(&world.mutex);
	now = world.now_ms;
	pthread_mutex_unlock(&world.mutex);
	return now;
}

static const struct clock world_clock = { world_ms, world_ms, NULL };

/* ---- looking at a run in which nothing moves; both locks are held ---- */

enum place { PLACE_NONE, PLACE_QUEUE, PLACE_LARGE, PLACE_WIRE };

static void
put(enum place *places, const struct slot *slot, enum place place)
{
	if (places[slot->index] != PLACE_NONE)
		broken("an organization in two places", slot->index);
	places[slot->index] = place;
	if (slot->tenant == NULL)
		broken("an organization that has ended or not begun", slot->index);
	if ((slot->share.asked > 0) != (place == PLACE_WIRE && slot->share.large == 0))
		broken("an ordinary share that does not belong there", slot->index);
	if (place == PLACE_LARGE && slot->share.large != 0)
		broken("it waits for a large share and has one", slot->index);
	if (slot->share.large == 0 && slot->share.kept != slot->tenant->kept)
		broken("what it keeps is not what is counted", slot->index);
}

static size_t
put_heap(enum place *places, const struct queue_heap *heap)
{
	for (size_t i = 0; i < heap->n; i++)
		put(places, heap->entries[i].job, PLACE_QUEUE);
	return heap->n;
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
		broken("the shares are not what is spoken for", asked);
	if (m->asked + m->kept > m->ordinary || m->large_used > m->large)
		broken("more is spoken for than there is", m->asked + m->kept);
	if (m->kept > world.counts.kept_most)
		world.counts.kept_most = m->kept;
}

/* Whoever could go on now has been overlooked: a wake-up was lost. */
static void
check_nobody_is_overlooked(struct run *r, size_t queued, size_t waiting, size_t on_wire)
{
	bool place = false;

	if (atomic_load(&r->stopping) != 0) {
		if (queued + waiting > 0)
			broken("the run stops, and an organization still waits", queued + waiting);
		return;
	}
	if (waiting > 0 && r->memory.large_used == 0)
		broken("they wait for large shares that nobody has", waiting);
	if (!memory_has_room(&r->memory)) {
		world.counts.no_room++;
		if (on_wire == 0)
			broken("no memory, and nobody who would give some back", r->memory.kept);
		return;
	}
	for (size_t i = 0; i < world.workers; i++)
		place |= r->workers[i].in_flight < r->per_worker_max;
	if (place && r->in_flight < r->in_flight_max && outage_next_ms(&r->outage) <= world.now_ms &&
	    queue_next_ms(&r->queue, world.now_ms) <= world.now_ms)
		broken("an organization could ask, and no worker looks", queued);
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
	size_t queued, on_wire = 0, waiting = 0;

	for (size_t i = 0; i < world.workers; i++)
		if (!rests(world.engines[i]))
			return false;
	memset(places, 0, r->options.n_orgs * sizeof(*places));
	queued = put_heap(places, &r->queue.waiting);
	for (int i = 0; i < LANES; i++)
		queued += put_heap(places, &r->queue.ready[i]);
	for (const struct slot *slot = r->large_first; slot != NULL; slot = slot->next, waiting++)
		put(places, slot, PLACE_LARGE);
	for (size_t i = 0; i < world.n_engines; i++)
		for (const struct http_session *s = world.engines[i]->wire; s != NULL; s = s->next, on_wire++)
			put(places, s->user, PLACE_WIRE);
	if (r->disk_first != NULL || queued + waiting + on_wire != r->active)
		return false; /* a disk thread has one */
	if (r->in_flight != on_wire)
		broken("in_flight is not what is on the wire", on_wire);
	check_memory(r);
	check_nobody_is_overlooked(r, queued, waiting, on_wire);
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
		broken("it does not end", world.ended);
	clock_gettime(CLOCK_MONOTONIC, &world.jumped);
	pthread_cond_broadcast(&world.moved);
}

/* ---- lib/http's engine ---- */

struct http_engine *
http_engine_new(const struct http_options *options, struct err *e)
{
	struct http_engine *engine = calloc(1, sizeof(*engine));

	(void)options;
	(void)e;
	return world.engines[world.n_engines++] = engine;
}

void
http_engine_free(struct http_engine *engine)
{
	if (engine->wire != NULL)
		broken("an engine ends with something on its wire", 0);
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
http_start(struct http_engine *engine, struct http_session *s, const struct http_request *request, struct err *e)
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
		broken("what is broken off is not on this wire", 0);
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
		broken("it hangs", r->ended);
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

/* ---- workers/tenant.c ---- */

static bool
goes_wrong(struct tenant *t, unsigned times_rarer)
{
	return world.o.trouble > 0 && rng_below(&t->rng, (uint64_t)world.o.trouble * times_rarer) == 0;
}

struct tenant *
tenant_new(const struct run_options *options, const struct conf_org *org, uint64_t seed,
           const struct memory *memory, struct run_result *result)
{
	struct tenant *t = calloc(1, sizeof(*t));

	(void)options;
	(void)org;
	rng_seed(&t->rng, seed * 977 + world.o.seed);
	if (goes_wrong(t, 20)) {
		free(t);
		return NULL;
	}
	t->result = result;
	t->memory = memory;
	t->session = calloc(1, sizeof(*t->session));
	t->left = (unsigned)rng_below(&t->rng, 24);
	t->answer_bytes = (size_t)rng_below(&t->rng, world.o.answer_bytes_max + 1);
	if (rng_below(&t->rng, 8) == 0)
		t->answer_bytes = (size_t)rng_below(&t->rng, 10 * world.o.answer_bytes_max + 1);
	t->answer_cap = memory->answer_first;
	t->backfill = rng_below(&t->rng, 2) == 0;
	pthread_mutex_lock(&world.mutex);
	world.tenants++;
	pthread_mutex_unlock(&world.mutex);
	return t;
}

void
tenant_free(struct tenant *t)
{
	if (t == NULL)
		return;
	if (t->session->engine != NULL)
		broken("an organization ends with its question on the wire", 0);
	free(t->session);
	free(t);
	pthread_mutex_lock(&world.mutex);
	world.tenants--;
	pthread_mutex_unlock(&world.mutex);
}

struct http_session *
tenant_session(const struct tenant *t)
{
	return t->session;
}

size_t
tenant_kept_bytes(const struct tenant *t)
{
	return t->kept;
}

size_t
tenant_answer_cap(const struct tenant *t)
{
	return t->answer_cap;
}

const struct err *
tenant_trouble(const struct tenant *t)
{
	return &t->trouble;
}

static void
fail(struct tenant *t, const struct err *why)
{
	t->asked = false;
	t->why = *why;
	t->state = STATE_CLOSE;
}

static void
fail_with(struct tenant *t, enum err_code code)
{
	struct err e;

	err_clear(&e);
	err_set(&e, code, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR, "played");
	fail(t, &e);
}

void
tenant_flush(struct tenant *t)
{
	if (t->state != STATE_WORK || t->asked || t->flushed || t->kept == 0)
		return;
	t->flush = t->flushed = true;
	pthread_mutex_lock(&world.mutex);
	world.counts.flushes++;
	pthread_mutex_unlock(&world.mutex);
}

enum tenant_want
tenant_next(struct tenant *t, int64_t *ret_ready_ms, enum lane *ret_lane)
{
	if (t->state == STATE_ENDED)
		return TENANT_ENDED;
	if (t->state != STATE_WORK)
		return TENANT_DISK;
	if (!t->asked && (t->flush || t->uncommitted >= t->memory->commit))
		return TENANT_DISK;
	if (!t->asked && t->left == 0) {
		t->state = STATE_CLOSE;
		return TENANT_DISK;
	}
	t->asked = true;
	*ret_ready_ms = t->ready_ms;
	*ret_lane = t->backfill ? LANE_BACKFILL : LANE_FRESH;
	return TENANT_SEND;
}

/* What does not belong to a day that is whole stays, up to what may wait. */
static void
commit(struct tenant *t)
{
	t->kept = t->flush || t->kept > t->memory->pending ? 0 : (size_t)rng_below(&t->rng, t->kept + 1);
	t->uncommitted = 0;
	t->flush = false;
	if (goes_wrong(t, 10))
		fail_with(t, ERR_IO);
}

void
tenant_disk(struct tenant *t)
{
	switch (t->state) {
	case STATE_OPEN:
		t->state = STATE_WORK;
		if (goes_wrong(t, 10))
			fail_with(t, ERR_LOCKED);
		break;
	case STATE_WORK:
		if (!t->asked)
			commit(t);
		break;
	case STATE_PREPARE:
		t->state = STATE_WORK;
		break;
	case STATE_CLOSE:
		t->kept = 0;
		t->result->err = t->why;
		t->result->outcome = err_is(&t->why) ? RUN_FAILED : t->stopped ? RUN_STOPPED : RUN_DONE;
		t->state = STATE_ENDED;
		break;
	case STATE_ENDED:
		broken("the disk is wanted by one that has ended", 0);
	}
}

static bool
is_down(void)
{
	int64_t at = world_ms(NULL) - BEGIN_MS;

	return at >= world.o.down_from_ms && at < world.o.down_to_ms;
}

int
tenant_request(struct tenant *t, struct http_request *ret_request, struct http_session **ret_session)
{
	if (!t->asked || t->state != STATE_WORK)
		broken("a request of one that has none", (size_t)t->state);
	/* Also where it was to find out whether the server is back. */
	if (goes_wrong(t, 2) || (is_down() && rng_below(&t->rng, 6) == 0)) {
		if (rng_below(&t->rng, 2) == 0)
			t->state = STATE_PREPARE;
		else
			t->ready_ms = world_ms(NULL) + (int64_t)rng_below(&t->rng, 30000);
		return -1;
	}
	/* The world's own use of it: what becomes of the request. */
	*ret_request = (struct http_request){ .url = (const char *)(uintptr_t)rng_next(&t->rng) };
	*ret_session = t->session;
	return 0;
}

void
tenant_lost(struct tenant *t, const struct err *why)
{
	t->ready_ms = world_ms(NULL) + 1000;
	if (++t->failures > 5)
		fail(t, why);
}

/* Half of the time it is asked for less from then on. */
static void
take_too_big(struct tenant *t)
{
	if (t->answer_cap < t->memory->answer_most) {
		t->answer_cap = t->answer_cap * 4 < t->memory->answer_most ? t->answer_cap * 4
		                                                          : t->memory->answer_most;
		return;
	}
	t->asked = false;
	t->answer_bytes /= 2;
}

unsigned
tenant_take(struct tenant *t, struct http_answer *answer, struct page *page, const struct tenant_server *server,
            enum outage_sign *ret_sign)
{
	bool down = is_down();

	(void)answer;
	(void)page;
	*ret_sign = down ? OUTAGE_SILENT : OUTAGE_ANSWERED;
	err_clear(&t->trouble);
	if (down || goes_wrong(t, 1)) {
		err_set(&t->trouble, ERR_SERVER, ERR_SCOPE_ORGANIZATION, ERR_RETRY_LATER, "played");
		if (down && server->silent)
			return 1;
		if (!down && goes_wrong(t, 3))
			fail(t, &t->trouble);
		else
			tenant_lost(t, &t->trouble);
		return 1;
	}
	t->failures = 0;
	if (t->answer_bytes > t->answer_cap) {
		take_too_big(t);
		return 1;
	}
	t->asked = t->flushed = false;
	t->left--;
	t->kept += t->answer_bytes;
	t->uncommitted += t->answer_bytes;
	t->ready_ms = 0;
	return 1;
}

void
tenant_stop(struct tenant *t, bool deadline, const struct err *why)
{
	(void)deadline;
	if (t->stopped || t->state == STATE_CLOSE || t->state == STATE_ENDED)
		return;
	t->stopped = true;
	t->asked = false;
	if (why != NULL)
		t->why = *why;
	t->state = STATE_CLOSE;
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
		broken("an organization that has ended says that it waits", world.ended);
	world.ended++;
}

static void
check_end(struct run *r)
{
	const struct memory *m = &r->memory;

	if (world.ended != world.o.n_orgs)
		broken("not every organization has ended once", world.ended);
	if (world.tenants != 0)
		broken("organizations left over", world.tenants);
	if (m->asked != 0 || m->kept != 0 || m->large_used != 0)
		broken("memory is still spoken for", m->asked + m->kept + m->large_used);
	if (r->in_flight != 0 || r->active != 0 || r->disk_first != NULL || r->large_first != NULL ||
	    queue_pick_any(&r->queue) != NULL)
		broken("the run has ended, and something is left of it", r->in_flight);
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
	world.now_ms = BEGIN_MS;
	world.stop_at_ms = options->stop_ms > 0 ? BEGIN_MS + options->stop_ms : 0;
	world.n_engines = world.tenants = world.ended = 0;
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
		broken(ret_e->text, 0);
	result = run_go(world.run, ret_e);
	if (result == 0)
		check_end(world.run);
	else if (world.ended > 0 || world.tenants > 0)
		broken("a run that could not begin has begun", world.ended);
	run_free(world.run);
	*ret_counts = world.counts;
	free(list);
	free(orgs);
	return result;
}
