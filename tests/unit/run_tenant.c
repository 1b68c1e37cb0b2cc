/* run_tenant.c: workers/tenant.c, played: an organization has a number of answers of one size to fetch,
 * keeps what it got until it is committed, and has a lot of ways to fail. */
#include <stdlib.h>

#include "lib/base/rng.h"
#include "tests/unit/run_world.h"
#include "workers/tenant.h"

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
	bool commit_first;           /* while a question stays asked */
	int64_t ready_ms;
	int64_t held_until_ms, lock_until_ms, lock_try_ms; /* by another run; is waited for until; is tried again */
	struct err trouble, why;
};

static bool
goes_wrong(struct tenant *t, unsigned times_rarer)
{
	return world_options()->trouble > 0 && rng_below(&t->rng, (uint64_t)world_options()->trouble * times_rarer) == 0;
}

struct tenant *
tenant_new(const struct run_options *options, const struct conf_org *org, uint64_t seed,
           const struct memory *memory, struct run_result *result)
{
	struct tenant *t = calloc(1, sizeof(*t));

	(void)options;
	(void)org;
	rng_seed(&t->rng, seed * 977 + world_options()->seed);
	if (goes_wrong(t, 20)) {
		free(t);
		return NULL;
	}
	t->result = result;
	t->memory = memory;
	t->session = http_session_new();
	t->left = (unsigned)rng_below(&t->rng, 24);
	t->answer_bytes = (size_t)rng_below(&t->rng, world_options()->answer_bytes_max + 1);
	if (rng_below(&t->rng, 8) == 0)
		t->answer_bytes = (size_t)rng_below(&t->rng, 10 * world_options()->answer_bytes_max + 1);
	t->answer_cap = memory->answer_first;
	t->backfill = rng_below(&t->rng, 2) == 0;
	if (world_options()->held > 0 && rng_below(&t->rng, world_options()->held) == 0)
		t->held_until_ms = rng_below(&t->rng, 4) == 0 ? INT64_MAX
		                 : world_ms() + (int64_t)rng_below(&t->rng, 20000);
	world_count(&world_counts()->tenants, 1);
	return t;
}

void
tenant_free(struct tenant *t)
{
	if (t == NULL)
		return;
	http_session_free(t->session);
	free(t);
	world_count(&world_counts()->tenants, UINT64_MAX); /* one less */
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
	world_count(&world_counts()->flushes, 1);
}

enum tenant_want
tenant_next(struct tenant *t, bool no_server, int64_t *ret_ready_ms, enum lane *ret_lane)
{
	if (t->state == STATE_ENDED)
		return TENANT_ENDED;
	if (t->state == STATE_OPEN && t->lock_try_ms > 0) {
		*ret_ready_ms = t->lock_try_ms;
		return TENANT_LOCKED;
	}
	if (t->state != STATE_WORK)
		return TENANT_DISK;
	if (!t->asked && (t->flush || t->uncommitted >= t->memory->commit))
		return TENANT_DISK;
	if (!t->asked && t->left == 0) {
		t->state = STATE_CLOSE;
		return TENANT_DISK;
	}
	t->asked = true;
	t->commit_first = t->uncommitted > 0 && no_server;
	if (t->commit_first)
		return TENANT_DISK;
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

/* True where it is tried again. */
static bool
is_held(struct tenant *t)
{
	int64_t now = world_ms();

	t->lock_try_ms = 0;
	if (now >= t->held_until_ms)
		return false;
	if (t->lock_until_ms == 0)
		t->lock_until_ms = now + world_options()->lock_wait_ms;
	if (now >= t->lock_until_ms) {
		fail_with(t, ERR_LOCKED);
		return true;
	}
	t->lock_try_ms = now + 1 + (int64_t)rng_below(&t->rng, 3000);
	t->lock_try_ms = t->lock_try_ms < t->lock_until_ms ? t->lock_try_ms : t->lock_until_ms;
	return true;
}

void
tenant_disk(struct tenant *t)
{
	switch (t->state) {
	case STATE_OPEN:
		if (is_held(t))
			break;
		t->state = STATE_WORK;
		if (goes_wrong(t, 10))
			fail_with(t, ERR_LOCKED);
		break;
	case STATE_WORK:
		if (!t->asked || t->commit_first)
			commit(t);
		t->commit_first = false;
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
		world_broken("the disk is wanted by one that has ended", 0);
	}
}

static bool
is_down(void)
{
	int64_t at = world_ms() - WORLD_BEGIN_MS;

	return at >= world_options()->down_from_ms && at < world_options()->down_to_ms;
}

int
tenant_request(struct tenant *t, struct http_request *ret_request, struct http_session **ret_session)
{
	if (!t->asked || t->state != STATE_WORK)
		world_broken("a request of one that has none", (size_t)t->state);
	/* Also where it was to find out whether the server is back. */
	if (goes_wrong(t, 2) || (is_down() && rng_below(&t->rng, 6) == 0)) {
		if (rng_below(&t->rng, 2) == 0)
			t->state = STATE_PREPARE;
		else
			t->ready_ms = world_ms() + (int64_t)rng_below(&t->rng, 30000);
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
	t->ready_ms = world_ms() + 1000;
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
tenant_take(struct tenant *t, struct http_answer *answer, struct page *page,
            const struct tenant_server *server, enum outage_sign *ret_sign)
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
