#include "tests/support/history.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/isotime.h"
#include "lib/base/rng.h"
#include "lib/sync/sync.h"

#define CALM_RUNS_MAX 14

struct history_totals history_totals;

struct sim_event {
	int64_t stored_ms, visible_ms, shown_s;
	unsigned type;
	uint32_t number;         /* its place in sim.events, and its id */
	char id[25];
	bool durable, pending;
};

struct sim {
	const struct history *h;
	struct rng rng;
	struct sim_event *events; /* ascending by stored_ms */
	size_t n_events;
	int64_t now_ms;           /* the server's clock */
	int64_t clock_off_s;      /* ours minus that */
	/* the store */
	struct ledger ledger;
	uint32_t *pending;        /* put, not committed */
	size_t n_pending, pending_size;
	unsigned steps, cut_at;   /* store steps of this run */
	bool cut;
	/* one answer */
	struct event *rows;
	uint32_t *matching;
	size_t rows_size;
	int64_t answered_s;       /* server time of the last answer of this run; -1 */
	int64_t first_answer_s;   /* of the last answer of the first run that had one and was not cut; -1 */
	const char *wrong;        /* the first thing found wrong */
	char text[300];
};

static const char *
wrong(struct sim *m, const char *text, int64_t a, int64_t b)
{
	if (m->wrong == NULL) {
		snprintf(m->text, sizeof(m->text), "%s (%lld, %lld)", text, (long long)a, (long long)b);
		m->wrong = m->text;
	}
	return m->wrong;
}

/* ---- the server ---- */

static int
by_stored(const void *a, const void *b)
{
	const struct sim_event *x = a, *y = b;

	if (x->stored_ms != y->stored_ms)
		return x->stored_ms < y->stored_ms ? -1 : 1;
	return x->type != y->type ? (x->type < y->type ? -1 : 1) : 0;
}

static int
make_events(struct sim *m)
{
	size_t n = 0, at = 0;

	for (size_t i = 0; i < m->h->n_groups; i++)
		n += m->h->groups[i].count;
	m->events = calloc(n + 1, sizeof(*m->events));
	m->matching = calloc(n + 1, sizeof(*m->matching));
	if (m->events == NULL || m->matching == NULL)
		return -1;
	for (size_t i = 0; i < m->h->n_groups; i++) {
		const struct history_group *g = &m->h->groups[i];
		struct rng rng;

		rng_seed(&rng, g->seed);
		for (unsigned k = 0; k < g->count; k++) {
			struct sim_event *e = &m->events[at++];

			e->stored_ms = g->at_ms + (int64_t)rng_below(&rng, (uint64_t)g->spread_ms + 1);
			e->visible_ms = e->stored_ms + (int64_t)rng_below(&rng, (uint64_t)g->late_ms + 1);
			e->type = g->type;
			e->shown_s = (e->stored_ms + (m->h->rounds ? 500 : 0)) / 1000;
		}
	}
	m->n_events = n;
	qsort(m->events, n, sizeof(*m->events), by_stored);
	for (size_t i = 0; i < n; i++) {
		m->events[i].number = (uint32_t)i;
		/* Scattered, so that the order of ids says nothing of time. */
		snprintf(m->events[i].id, sizeof(m->events[i].id), "%016llx%08x",
		         (unsigned long long)(i * UINT64_C(0x9e3779b97f4a7c15)), (unsigned)i);
	}
	history_totals.events += n;
	return 0;
}

/* The first event stored at or after ms. */
static size_t
first_at(const struct sim *m, int64_t ms)
{
	size_t low = 0, high = m->n_events;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (m->events[middle].stored_ms < ms)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void
shuffle(struct rng *rng, uint32_t *p, size_t n)
{
	for (size_t i = n; i > 1; i--) {
		size_t k = rng_below(rng, i);
		uint32_t held = p[i - 1];

		p[i - 1] = p[k];
		p[k] = held;
	}
}

/* All that the question matches, in the order the server has them: newest first, inside a shown second in
 * an order of its own. */
static size_t
match(struct sim *m, const struct atlas_question *q, unsigned types)
{
	size_t n = 0;
	struct rng stable;

	for (size_t i = first_at(m, (q->max_s * 1000) + 1); i-- > 0;) {
		if (m->events[i].stored_ms < q->min_s * 1000)
			break;
		if (m->events[i].visible_ms <= m->now_ms && (types >> m->events[i].type & 1) != 0)
			m->matching[n++] = (uint32_t)i;
	}
	rng_seed(&stable, m->h->seed);
	for (size_t i = 0, k; i < n; i = k) {
		for (k = i; k < n && m->events[m->matching[k]].shown_s == m->events[m->matching[i]].shown_s; k++)
			continue;
		shuffle(m->h->changes ? &m->rng : &stable, m->matching + i, k - i);
	}
	return n;
}

/* True where somebody who looks at the places [skip, skip + rows) can see that they are not newest first. */
static bool
looks_unordered(const struct sim *m, size_t skip, size_t rows)
{
	for (size_t i = skip + 1; i < skip + rows; i++)
		if (m->events[m->matching[i]].shown_s > m->events[m->matching[i - 1]].shown_s)
			return true;
	return false;
}

/* Oldest first, or no order at all; but never so that the page cannot tell: nobody could read that. */
static void
disorder(struct sim *m, const struct atlas_question *q, unsigned types, size_t n, size_t skip, size_t rows)
{
	if (rng_below(&m->rng, 2) == 0)
		shuffle(&m->rng, m->matching, n);
	else
		for (size_t i = 0; i < n / 2; i++) {
			uint32_t held = m->matching[i];

			m->matching[i] = m->matching[n - 1 - i];
			m->matching[n - 1 - i] = held;
		}
	if (looks_unordered(m, skip, rows))
		history_totals.unordered++;
	else
		match(m, q, types);
}

/* True where the answer is a sound page. */
static bool
serve(struct sim *m, const struct atlas_question *q, unsigned types, struct page *ret)
{
	const struct history *h = m->h;
	unsigned cap = h->silent_cap > 0 && h->cap_wavers ? 1 + (unsigned)rng_below(&m->rng, h->silent_cap)
	                                                  : h->silent_cap;
	unsigned given = cap > 0 && cap < q->rows ? cap : q->rows;
	size_t skip = (size_t)(q->page - 1) * (h->skip_by_asked ? q->rows : given);
	size_t n = match(m, q, types), rows = skip >= n ? 0 : n - skip < given ? n - skip : given;

	if (rng_below(&m->rng, 100) < h->bad_pct) {
		history_totals.bad_pages++;
		return false;
	}
	if (rng_below(&m->rng, 100) < h->unordered_pct)
		disorder(m, q, types, n, skip, rows);
	if (rows > m->rows_size) {
		free(m->rows);
		m->rows = calloc(rows, sizeof(*m->rows));
		m->rows_size = rows;
	}
	for (size_t i = 0; i < rows; i++) {
		const struct sim_event *e = &m->events[m->matching[skip + i]];

		if (h->poison_s != 0 && e->stored_ms / 1000 == h->poison_s)
			return false;
		m->rows[i] = (struct event){ e->id, 24, e->id, 24, e->shown_s * NS_PER_S };
	}
	memset(ret, 0, sizeof(*ret));
	ret->events = m->rows;
	ret->n_events = ret->rows = rows;
	ret->has_next = h->always_next || (!h->never_next && skip + rows < n);
	ret->total_count = h->no_count ? -1 : n == 0 && !h->lies_of_none ? 0 : (int64_t)n + h->lie;
	if (ret->total_count < -1)
		ret->total_count = 0;
	return true;
}

/* ---- the store ---- */

/* One step of the store; false where it is cut off here. */
static bool
step(struct sim *m)
{
	if (m->cut || ++m->steps == m->cut_at) {
		m->cut = true;
		return false;
	}
	return true;
}

static int
cut_off(struct err *e)
{
	return err_set(e, ERR_IO, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR, "cut off");
}

static const struct ledger *
sim_ledger(void *ctx)
{
	return &((struct sim *)ctx)->ledger;
}

static int
sim_set_since(void *ctx, int64_t since_s, struct err *e)
{
	struct sim *m = ctx;

	if (!step(m))
		return cut_off(e);
	m->ledger.since_s = since_s;
	return step(m) ? 0 : cut_off(e);
}

static int
sim_put(void *ctx, const struct event *events, size_t n, struct err *e)
{
	struct sim *m = ctx;

	if (m->n_pending + n > m->pending_size) {
		m->pending_size = (m->n_pending + n) * 2;
		m->pending = realloc(m->pending, m->pending_size * sizeof(*m->pending));
	}
	for (size_t i = 0; i < n; i++) {
		uint32_t number = (uint32_t)strtoul(events[i].id + 16, NULL, 16);

		if (number >= m->n_events || memcmp(m->events[number].id, events[i].id, 24) != 0)
			return err_set(e, ERR_IO, ERR_SCOPE_RUN, ERR_RETRY_NEVER, "an event nobody sent");
		if (m->events[number].durable || m->events[number].pending)
			continue;
		m->events[number].pending = true;
		m->pending[m->n_pending++] = number;
	}
	return 0;
}

static int
sim_quarantine(void *ctx, const char *bytes, size_t len, struct err *e)
{
	(void)ctx, (void)bytes, (void)len;
	return err_set(e, ERR_IO, ERR_SCOPE_RUN, ERR_RETRY_NEVER, "nothing here is to be quarantined");
}

static int
sim_commit(void *ctx, const struct covered *ranges, size_t n, bool finish, struct err *e)
{
	struct sim *m = ctx;

	(void)finish;
	history_totals.commits++;
	if (!step(m))
		return cut_off(e);
	for (size_t i = 0; i < m->n_pending; i++)
		m->events[m->pending[i]].durable = true;
	m->n_pending = 0;
	if (!step(m))
		return cut_off(e);
	for (size_t i = 0; i < n; i++) {
		if (ranges[i].to_s > m->now_ms / 1000 - m->h->settle_s)
			wrong(m, "a range that has not settled is claimed", ranges[i].to_s, m->now_ms);
		if (ledger_cover(&m->ledger, &ranges[i], m->h->overlap_s) != 0)
			return cut_off(e);
	}
	return step(m) ? 0 : cut_off(e);
}

static size_t
sim_uncommitted_bytes(void *ctx)
{
	return ((struct sim *)ctx)->n_pending * 900;
}

/* ---- one run ---- */

static size_t
question_of(unsigned types, char **names, char *storage, struct question *ret)
{
	size_t n = 0;

	for (unsigned i = 0; i < 4; i++) {
		storage[i * 2] = (char)('A' + i);
		storage[i * 2 + 1] = '\0';
		if ((types >> i & 1) != 0)
			names[n++] = storage + i * 2;
	}
	ret->raw = false;
	ret->event_types = n == 4 ? NULL : names;
	ret->n_event_types = n == 4 ? 0 : n;
	return n;
}

/* True where the range says at least that all events of `types` in the second were read. */
static bool
asked_for(const struct covered *c, unsigned type)
{
	if (c->asked.event_types == NULL)
		return true;
	for (size_t i = 0; i < c->asked.n_event_types; i++)
		if (c->asked.event_types[i][0] == (char)('A' + type))
			return true;
	return false;
}

/* The ledger must claim nothing untrue. */
static void
check_claims(struct sim *m)
{
	for (size_t i = 0; i < m->ledger.n_covered; i++) {
		const struct covered *c = &m->ledger.covered[i];

		for (size_t k = first_at(m, (c->from_s - 1) * 1000);
		     k < m->n_events && m->events[k].stored_ms <= c->to_s * 1000; k++) {
			const struct sim_event *e = &m->events[k];
			int64_t asked_at_s = c->as_of_s;

			if (e->shown_s < c->from_s || e->shown_s >= c->to_s || !asked_for(c, e->type) || e->durable)
				continue;
			if (c->overlap_s != INT64_MAX && e->shown_s + c->overlap_s < asked_at_s)
				asked_at_s = e->shown_s + c->overlap_s;
			if (e->visible_ms <= asked_at_s * 1000)
				wrong(m, "an event that the ledger claims is not there (second, from t0)",
				      e->shown_s - HISTORY_T0_S, e->stored_ms - HISTORY_T0_S * 1000);
		}
	}
}

static void
answer(struct sim *m, struct sync *s, const struct atlas_question *q, unsigned types)
{
	int64_t asked_wall_s = m->now_ms / 1000 + m->clock_off_s;
	int64_t date_s = m->h->no_date ? -1 : m->now_ms / 1000;
	struct page page;
	struct err why;

	for (int tries = 1;; tries++) {
		history_totals.questions++;
		if (serve(m, q, types, &page)) {
			m->answered_s = m->now_ms / 1000;
			sync_take_page(s, &page, date_s, asked_wall_s, m->now_ms);
			return;
		}
		if (tries == 2)
			break;
	}
	err_clear(&why);
	err_set(&why, ERR_PAGE, ERR_SCOPE_PAGE, ERR_RETRY_NOW, "not sound");
	sync_take_bad_page(s, &why);
}

/* The question waits for a limit: what was read may be committed before it goes, and it stays the same. False where
 * the store ended it. */
static bool
commit_before(struct sim *m, struct sync *s, const struct atlas_question *q)
{
	struct atlas_question again = { 0 };

	if (!sync_commit_before(s, m->now_ms + (int64_t)rng_below(&m->rng, 4000)))
		return true;
	sync_store_step(s);
	if (sync_next(s, m->now_ms / 1000 + m->clock_off_s, m->now_ms, &again) != SYNC_ASK)
		return false;
	if (again.min_s != q->min_s || again.max_s != q->max_s || again.page != q->page || again.rows != q->rows)
		wrong(m, "a commit changed the question (from, page)", again.min_s, again.page);
	return true;
}

/* Runs once; true where the organization says that it is up to date. */
static bool
run_once(struct sim *m, const struct history_run *run, bool calm)
{
	char *names[4], storage[8];
	struct sync_options options = {
		.name = "sim", .start = m->h->since ? SYNC_START_SINCE : SYNC_START_AT,
		.start_s = run->start_s, .settle_s = m->h->settle_s, .overlap_s = m->h->overlap_s,
		.rows = m->h->rows, .commit_bytes = 1 + rng_below(&m->rng, 400000), .commit_ms = 2000,
	};
	struct sync_store store = { m, sim_ledger, sim_set_since, sim_put, sim_quarantine, sim_commit,
		                    sim_uncommitted_bytes };
	struct atlas_question q;
	enum sync_step what;
	unsigned questions = 0;
	struct sync *s;
	struct err why;
	bool up_to_date;

	history_totals.runs++;
	question_of(run->types, names, storage, &options.asked);
	m->clock_off_s = run->clock_off_s;
	m->steps = 0;
	m->cut = false;
	m->answered_s = -1;
	m->cut_at = calm ? 0 : run->cut_at;
	s = sync_new(&options, &store);
	while ((what = sync_next(s, m->now_ms / 1000 + m->clock_off_s, m->now_ms, &q)) != SYNC_DONE) {
		if (what == SYNC_STORE) {
			sync_store_step(s);
			continue;
		}
		if (++questions > 400000) {
			wrong(m, "it does not end (questions, page)", questions, q.page);
			break;
		}
		if (!calm && questions == run->fail_at) {
			err_clear(&why);
			err_set(&why, ERR_NETWORK, ERR_SCOPE_ORGANIZATION, ERR_RETRY_LATER, "gone");
			sync_stop(s, &why);
			continue;
		}
		if (rng_below(&m->rng, 16) == 0 && !commit_before(m, s, &q))
			continue;
		answer(m, s, &q, run->types);
		if (!calm && rng_below(&m->rng, 16) == 0)
			sync_flush(s);
		m->now_ms += (int64_t)rng_below(&m->rng, (uint64_t)m->h->tick_ms + 1);
	}
	up_to_date = sync_result(s)->up_to_date;
	history_totals.cuts += m->cut;
	if (m->first_answer_s < 0 && !m->cut)
		m->first_answer_s = m->answered_s;
	sync_free(s);
	/* What was only in memory is gone. */
	for (size_t i = 0; i < m->n_pending; i++)
		m->events[m->pending[i]].pending = false;
	for (size_t i = 0; i < m->n_events; i++)
		m->events[i].pending = false;
	m->n_pending = 0;
	check_claims(m);
	return up_to_date;
}

/* After the calm runs: the store is the server's set, but for what no answer ever shows. */
static void
check_whole(struct sim *m, int64_t from_s, int64_t to_s)
{
	const int64_t poison_s = m->h->poison_s;

	if (m->h->since) {
		if (m->ledger.since_s > m->first_answer_s)
			wrong(m, "`since` is after the first answer", m->ledger.since_s, m->first_answer_s);
		from_s = m->ledger.since_s;
	}
	for (size_t i = 0; i < m->n_events; i++) {
		const struct sim_event *e = &m->events[i];

		if (poison_s != 0 && e->stored_ms / 1000 >= poison_s - 1 && e->stored_ms / 1000 <= poison_s + 1)
			continue;
		if (e->shown_s >= from_s && e->shown_s < to_s && !e->durable)
			wrong(m, "an event is missing at the end (second from t0, number)",
			      e->shown_s - HISTORY_T0_S, (int64_t)i);
		if (e->durable && e->shown_s < from_s && !m->h->since && from_s == m->h->runs[0].start_s &&
		    m->h->n_runs == 1)
			wrong(m, "an event from before the start was written", e->shown_s, from_s);
	}
}

static void
play(struct sim *m)
{
	const struct history *h = m->h;
	int64_t end_ms = h->n_runs > 0 ? h->runs[h->n_runs - 1].at_ms : HISTORY_T0_S * 1000;
	int64_t covered_s = 0, wanted_s = 0, earliest_s = h->n_runs > 0 ? h->runs[0].start_s : HISTORY_T0_S;
	struct history_run calm = { .types = 15 };
	bool up_to_date = false;
	struct history quiet = *h;

	for (size_t i = 0; i < h->n_runs && m->wrong == NULL; i++) {
		if (h->runs[i].at_ms > m->now_ms)
			m->now_ms = h->runs[i].at_ms;
		run_once(m, &h->runs[i], false);
		if (h->runs[i].start_s < earliest_s)
			earliest_s = h->runs[i].start_s;
	}
	for (size_t i = 0; i < m->n_events; i++)
		if (m->events[i].visible_ms > end_ms)
			end_ms = m->events[i].visible_ms;
	end_ms += (h->settle_s + h->overlap_s + 10) * 1000;
	if (end_ms > m->now_ms)
		m->now_ms = end_ms;
	quiet.bad_pct = 0;
	quiet.unordered_pct = 0;
	quiet.cap_wavers = false;
	m->h = &quiet;
	calm.start_s = earliest_s;
	for (int i = 0; i < CALM_RUNS_MAX && !up_to_date && m->wrong == NULL; i++) {
		wanted_s = m->now_ms / 1000 - h->settle_s;
		up_to_date = run_once(m, &calm, true);
		if (h->poison_s != 0 && i == 1)
			break; /* it is never up to date: two runs have seen what can be seen */
		m->now_ms += 1000;
	}
	if (!up_to_date && h->poison_s == 0)
		wrong(m, "it is not up to date after many calm runs", (int64_t)m->ledger.n_covered, 0);
	for (size_t i = 0; i < m->ledger.n_covered; i++)
		covered_s += m->ledger.covered[i].to_s - m->ledger.covered[i].from_s;
	if (up_to_date && !h->since && covered_s < wanted_s - earliest_s - 1)
		wrong(m, "up to date, and not all is covered", covered_s, wanted_s - earliest_s);
	if (h->poison_s != 0 && covered_s < wanted_s - earliest_s - 4)
		wrong(m, "more than the bad second and its neighbours is uncovered", covered_s,
		      wanted_s - earliest_s);
	check_whole(m, earliest_s, wanted_s);
	m->h = h;
}

const char *
history_run(const struct history *h)
{
	static char text[300];
	struct sim m = { .h = h, .first_answer_s = -1, .now_ms = HISTORY_T0_S * 1000 };
	const char *result = NULL;

	rng_seed(&m.rng, h->seed);
	ledger_init(&m.ledger);
	if (make_events(&m) == 0)
		play(&m);
	else
		wrong(&m, "out of memory", 0, 0);
	if (m.wrong != NULL) {
		memcpy(text, m.text, sizeof(text));
		result = text;
	}
	ledger_free(&m.ledger);
	free(m.events);
	free(m.matching);
	free(m.pending);
	free(m.rows);
	return result;
}
