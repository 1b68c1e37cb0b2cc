/* sync.c: one organization's run from its first question to its last commit. How a range is read stands
 * in read.c, which ranges are read in plan.c. */
#include "lib/sync/sync.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/isotime.h"
#include "lib/base/log.h"
#include "lib/sync/private.h"

#define COMMIT_BYTES (4u << 20)
#define COMMIT_PUT_OFF 3           /* times commit_bytes may be uncommitted while the last day is not at its end */
#define COMMIT_MS 5000
#define COMMIT_CLAIMS 256
#define CONTROL_S (EVENT_CREATED_MIN_NS / NS_PER_S) /* a second without events, and so without bad ones */
#define PAGE_TRIES 3               /* of a question whose answer cannot be used */
#define SECOND_TRIES 8             /* of one about a single second: after these it stays uncovered in this run */
#define CLOCK_DIFFERENCE_S 300     /* a larger one is reported */
#define FRESH_S S_PER_DAY          /* of a first run: what is younger is not backfill */

struct sync *
sync_new(const struct sync_options *options, const struct sync_store *store)
{
	struct sync *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->options = *options;
	if (s->options.rows == 0)
		s->options.rows = ATLAS_PAGE_ROWS_MAX;
	if (s->options.commit_bytes == 0)
		s->options.commit_bytes = COMMIT_BYTES;
	if (s->options.commit_ms == 0)
		s->options.commit_ms = COMMIT_MS;
	s->store = *store;
	s->phase = PHASE_READ;
	seen_init(&s->seen);
	err_clear(&s->result.err);
	err_clear(&s->result.lost_why);
	return s;
}

void
sync_free(struct sync *s)
{
	if (s == NULL)
		return;
	seen_free(&s->seen);
	free(s->gaps);
	free(s->claims);
	free(s->keep);
	free(s);
}

void
sync_fail(struct sync *s, const struct err *why)
{
	if (!err_is(&s->result.err))
		s->result.err = *why;
	s->reading.active = false;
	s->phase = PHASE_DONE;
}

int
sync_push_gap(struct sync *s, int64_t from_s, int64_t to_s, bool narrowed)
{
	struct err e;

	if (s->n_gaps == s->gaps_size) {
		size_t size = s->gaps_size == 0 ? 8 : s->gaps_size * 2;
		struct waiting *gaps = realloc(s->gaps, size * sizeof(*gaps));

		if (gaps == NULL) {
			err_clear(&e);
			err_set(&e, ERR_NOMEM, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR, "out of memory");
			sync_fail(s, &e);
			return -1;
		}
		s->gaps = gaps;
		s->gaps_size = size;
	}
	s->gaps[s->n_gaps++] = (struct waiting){ from_s, to_s, narrowed };
	return 0;
}

/* Begins with the newest gap. What was cut up to find a bad second is one range again once it is found: while
 * it is looked for, the pieces are what makes the search short. */
static void
next_gap(struct sync *s)
{
	const struct waiting *gap = &s->gaps[--s->n_gaps];
	int64_t from_s = gap->from_s, to_s = gap->to_s;
	bool narrowed = gap->narrowed;

	while (s->rejoin && narrowed && s->n_gaps > 0 && s->gaps[s->n_gaps - 1].narrowed &&
	       s->gaps[s->n_gaps - 1].to_s == from_s) {
		from_s = s->gaps[--s->n_gaps].from_s;
		narrowed = s->gaps[s->n_gaps].narrowed;
	}
	reading_begin(s, from_s, to_s);
	s->reading.narrowed = narrowed && !s->rejoin;
	if (s->rejoin)
		s->gave_up = s->rejoin = false;
}

/* The first second of an organization without a start time: our clock's, or, where it had a start time
 * before, the end of what its archive holds, so that nothing falls between. */
static int64_t
first_since_s(const struct sync *s)
{
	const struct ledger *l = s->store.ledger(s->store.ctx);
	int64_t since_s = s->now_wall_s;

	if (l->n_covered > 0 && l->covered[l->n_covered - 1].to_s < since_s)
		since_s = l->covered[l->n_covered - 1].to_s;
	return since_s;
}

static void
compare_clocks(struct sync *s, int64_t date_s, int64_t asked_wall_s)
{
	int64_t difference_s = asked_wall_s - date_s;

	if (llabs(difference_s) <= llabs(s->result.clock_difference_s))
		return;
	if (llabs(difference_s) > CLOCK_DIFFERENCE_S &&
	    llabs(s->result.clock_difference_s) <= CLOCK_DIFFERENCE_S)
		log_warn(s->options.name, "msg=\"this machine's clock and the server's differ\" ours_minus_theirs_s=%lld",
		         (long long)difference_s);
	s->result.clock_difference_s = difference_s;
}

/* The server's Date of an earlier answer cannot lie ahead of us: a clock that was set back is seen by that even where
 * it leaves nothing to ask. */
static void
compare_with_ledger(struct sync *s, const struct ledger *l, int64_t now_wall_s)
{
	int64_t newest_s = INT64_MIN;

	for (size_t i = 0; i < l->n_covered; i++)
		if (l->covered[i].as_of_s > newest_s)
			newest_s = l->covered[i].as_of_s;
	if (newest_s > now_wall_s)
		compare_clocks(s, newest_s, now_wall_s);
}

/* Decides what this run reads. */
static void
plan(struct sync *s, int64_t now_wall_s)
{
	const struct ledger *l = s->store.ledger(s->store.ctx);
	struct gap *gaps = NULL;
	size_t n = 0;
	int failed;
	struct err e;

	s->planned = true;
	s->now_wall_s = now_wall_s;
	compare_with_ledger(s, l, now_wall_s);
	if (s->options.start == SYNC_START_SINCE && l->since_s < 0) {
		s->phase = PHASE_SINCE;
		s->since_s = first_since_s(s);
		return;
	}
	failed = sync_plan(&s->options, l, now_wall_s, &gaps, &n, &s->result.wanted_from_s,
	                   &s->result.wanted_to_s);
	for (size_t i = 0; i < n && !failed; i++)
		failed = sync_push_gap(s, gaps[i].from_s, gaps[i].to_s, false);
	free(gaps);
	if (failed) {
		err_clear(&e);
		err_set(&e, ERR_NOMEM, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR, "out of memory");
		sync_fail(s, &e);
		return;
	}
	s->newest_gap_from_s = s->n_gaps > 0 ? s->gaps[s->n_gaps - 1].from_s : INT64_MIN;
	if (s->options.start == SYNC_START_SINCE && l->n_covered == 0 && s->n_gaps == 0) {
		s->phase = PHASE_PROBE;
		s->since_s = l->since_s;
	}
}

/* Did what was read last reach the first second of a day? */
static bool
day_has_ended(const struct sync *s)
{
	const struct covered *last = s->n_claims > 0 ? &s->claims[s->n_claims - 1] : NULL;

	return last != NULL && isotime_day_start_s(last->to_s - 1) >= last->from_s;
}

/* A commit in the midst of a day writes its events twice, to staging and to the day's file: where the end of the day is
 * near, it waits for it. */
static bool
commit_is_due(const struct sync *s, int64_t now_mono_ms)
{
	size_t bytes;

	if (!s->dirty)
		return false;
	if (s->n_claims >= COMMIT_CLAIMS || now_mono_ms - s->dirty_since_ms >= s->options.commit_ms)
		return true;
	bytes = s->store.uncommitted_bytes(s->store.ctx);
	return bytes >= s->options.commit_bytes &&
	       (!s->reading.active || day_has_ended(s) || bytes / COMMIT_PUT_OFF >= s->options.commit_bytes);
}

enum sync_step
sync_next(struct sync *s, int64_t now_wall_s, int64_t now_mono_ms, struct atlas_question *ret_question)
{
	if (!s->planned)
		plan(s, now_wall_s);
	switch (s->phase) {
	case PHASE_SINCE:
	case PHASE_LOWER:
	case PHASE_FINISH:
		return SYNC_STORE;
	case PHASE_PROBE:
		*ret_question = (struct atlas_question){ s->since_s - 1, s->since_s, 1, 1 };
		return SYNC_ASK;
	case PHASE_CONTROL:
		if (s->flush)
			return SYNC_STORE;
		*ret_question = (struct atlas_question){ CONTROL_S, CONTROL_S, 1, 1 };
		return SYNC_ASK;
	case PHASE_DONE:
		return SYNC_DONE;
	case PHASE_READ:
		break;
	}
	if (s->flush || commit_is_due(s, now_mono_ms))
		return SYNC_STORE;
	if (!s->reading.active && s->n_gaps == 0) {
		s->phase = PHASE_FINISH;
		return SYNC_STORE;
	}
	if (!s->reading.active)
		next_gap(s);
	reading_question(s, ret_question);
	return SYNC_ASK;
}

/* False where the page must not be used: the organization has failed. */
static bool
page_is_ours(struct sync *s, const struct page *page)
{
	struct err e;

	err_clear(&e);
	if (page->n_foreign > 0) {
		err_set(&e, ERR_FOREIGN_EVENT, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR,
		        "the server sent %zu event%s of another organization (%s); none was written",
		        page->n_foreign, page->n_foreign == 1 ? "" : "s", page->foreign_org_id);
		err_hint(&e, "check org_id and the credential; if both are right, tell MongoDB support");
		sync_stop(s, &e);
		return false;
	}
	for (size_t i = 0; i < page->n_faults; i++) {
		if (s->store.quarantine(s->store.ctx, page->faults[i].bytes, page->faults[i].len, &e) != 0) {
			sync_fail(s, &e);
			return false;
		}
		s->result.faults++;
	}
	return true;
}

/* Events carry the server's time: a fast clock of ours must not have made `since` too late. Only while
 * nothing is covered; afterwards the archive itself says where it begins. */
static bool
since_is_late(const struct sync *s, int64_t as_of_s)
{
	const struct ledger *l = s->store.ledger(s->store.ctx);

	return s->options.start == SYNC_START_SINCE && l->since_s > as_of_s && l->n_covered == 0 &&
	       s->n_claims == 0;
}

void
sync_take_page(struct sync *s, const struct page *page, int64_t date_s, int64_t asked_wall_s,
               int64_t now_mono_ms)
{
	/* A Date from before there were events is no clock. One ahead of ours would make a second final too soon,
	 * and what appears late would never be looked for; too late costs questions only. */
	bool dated = date_s >= CONTROL_S;
	int64_t as_of_s = dated && date_s < asked_wall_s ? date_s : asked_wall_s;
	int64_t limit_s = as_of_s - s->options.settle_s;

	if (dated)
		compare_clocks(s, date_s, asked_wall_s);
	if (s->phase == PHASE_PROBE)
		s->phase = PHASE_FINISH;
	if (since_is_late(s, as_of_s)) {
		s->since_s = as_of_s;
		s->reading.active = false;
		s->n_gaps = 0;
		s->phase = PHASE_LOWER;
	}
	if (s->phase == PHASE_CONTROL) {
		s->phase = PHASE_READ;
		s->sound = true;
		reading_take_bad_page(s, &s->bad_why);
		return;
	}
	if (s->phase != PHASE_READ)
		return;
	s->sound = true;
	if (!s->dirty)
		s->dirty_since_ms = now_mono_ms;
	s->dirty = true;
	s->result.pages++;
	s->result.rows += page->rows;
	if (limit_s < s->result.wanted_to_s)
		s->result.wanted_to_s = limit_s > s->result.wanted_from_s ? limit_s : s->result.wanted_from_s;
	if (page_is_ours(s, page))
		reading_take_page(s, page, as_of_s, limit_s);
}

/* Not even the control question had an answer that can be used: it is not a matter of some second, and
 * narrowing would go on for every second there is. */
static void
no_sound_answer(struct sync *s, const struct err *why)
{
	struct err e = *why;

	e.scope = ERR_SCOPE_ORGANIZATION;
	e.retry = ERR_RETRY_LATER;
	err_hint(&e, "no answer of this server can be used: check base_url and api; a proxy or a login page on the "
	             "way may have answered");
	sync_stop(s, &e);
}

void
sync_take_bad_page(struct sync *s, const struct err *why)
{
	if (s->phase == PHASE_PROBE) {
		s->phase = PHASE_FINISH; /* it was only asked for its Date */
	} else if (s->phase == PHASE_CONTROL) {
		no_sound_answer(s, why);
	} else if (s->phase == PHASE_READ && !s->sound) {
		s->bad_why = *why;
		s->phase = PHASE_CONTROL;
	} else if (s->phase == PHASE_READ) {
		reading_take_bad_page(s, why);
	}
}

unsigned
sync_page_tries(const struct sync *s)
{
	const struct reading *r = &s->reading;

	if (s->phase != PHASE_READ || !r->active)
		return PAGE_TRIES;
	if (r->to_s - r->from_s == 1 && r->margin == 0)
		return SECOND_TRIES;
	return r->narrowed && r->to_s - r->from_s > 1 ? 1 : PAGE_TRIES;
}

void
sync_stop(struct sync *s, const struct err *why)
{
	if (s->phase == PHASE_DONE || (why == NULL && s->phase == PHASE_FINISH))
		return;
	if (why == NULL)
		s->result.stopped = true;
	else if (!err_is(&s->result.err))
		s->result.err = *why;
	s->reading.active = false;
	s->n_gaps = 0;
	if (!s->planned || s->phase == PHASE_SINCE)
		s->phase = PHASE_DONE;
	else if (s->phase != PHASE_LOWER)
		s->phase = PHASE_FINISH;
}

static void
finish(struct sync *s)
{
	s->phase = PHASE_DONE;
	s->result.up_to_date = !err_is(&s->result.err) && !s->result.stopped && s->result.lost_seconds == 0;
}

static int
commit(struct sync *s, bool finishing, struct err *e)
{
	if (s->store.commit(s->store.ctx, s->claims, s->n_claims, finishing, e) != 0)
		return -1;
	s->n_claims = 0;
	s->dirty = false;
	s->flush = false;
	return 0;
}

bool
sync_commit_before(const struct sync *s, int64_t at_mono_ms)
{
	return (s->phase == PHASE_READ || s->phase == PHASE_CONTROL) && s->dirty &&
	       at_mono_ms - s->dirty_since_ms >= s->options.commit_ms;
}

void
sync_flush(struct sync *s)
{
	if (s->phase == PHASE_READ || s->phase == PHASE_CONTROL)
		s->flush = true;
}

void
sync_store_step(struct sync *s)
{
	struct err e;
	int failed = 0;

	err_clear(&e);
	switch (s->phase) {
	case PHASE_SINCE:
		failed = s->store.set_since(s->store.ctx, s->since_s, &e);
		s->result.wanted_from_s = s->result.wanted_to_s = s->since_s;
		s->phase = PHASE_PROBE;
		break;
	case PHASE_LOWER:
		failed = s->store.set_since(s->store.ctx, s->since_s, &e);
		s->result.wanted_from_s = s->result.wanted_to_s = s->since_s;
		s->phase = PHASE_FINISH;
		break;
	case PHASE_READ:
	case PHASE_CONTROL:
		failed = commit(s, s->flush, &e);
		break;
	case PHASE_FINISH:
		failed = commit(s, true, &e);
		if (!failed)
			finish(s);
		break;
	case PHASE_PROBE:
	case PHASE_DONE:
		break;
	}
	if (failed)
		sync_fail(s, &e);
}

bool
sync_is_backfill(const struct sync *s)
{
	const struct reading *r = &s->reading;

	if (s->phase != PHASE_READ || !r->active)
		return false;
	return r->to_s <= s->newest_gap_from_s ||
	       (s->newest_gap_from_s == s->result.wanted_from_s && r->to_s <= s->now_wall_s - FRESH_S);
}

const struct sync_result *
sync_result(const struct sync *s)
{
	return &s->result;
}
