#include "cmd/orgsync/plan.h"

#include <stdlib.h>
#include <string.h>

#include "cmd/orgsync/archive.h"
#include "lib/atlas/client.h"
#include "lib/base/isotime.h"

#define DENSITY_DAYS 28  /* day files looked at for a guess */

static const struct { const char *name, *text; } whys[] = {
	[PLAN_NEW] = { "new", "new" },
	[PLAN_OLDER] = { "older_history", "older history" },
	[PLAN_LEFT_OPEN] = { "left_open", "left open" },
	[PLAN_NARROWER] = { "asked_narrower", "asked narrower" },
	[PLAN_PROVISIONAL] = { "provisional", "read again" },
};

const char *
plan_why_name(enum plan_why why)
{
	return whys[why].name;
}

const char *
plan_why_text(enum plan_why why)
{
	return whys[why].text;
}

/* How much of [from_s, to_s) was read: a day without events has no file, and the newest day is not over. */
static int64_t
covered_seconds(const struct ledger *l, int64_t from_s, int64_t to_s)
{
	int64_t sum_s = 0;

	for (size_t i = 0; i < l->n_covered; i++) {
		int64_t begin_s = l->covered[i].from_s > from_s ? l->covered[i].from_s : from_s;
		int64_t end_s = l->covered[i].to_s < to_s ? l->covered[i].to_s : to_s;

		sum_s += end_s > begin_s ? end_s - begin_s : 0;
	}
	return sum_s;
}

double
plan_density(const struct ledger *l, int64_t from_s, int64_t to_s)
{
	int64_t middle_s = from_s + (to_s - from_s) / 2, known_s;
	size_t first = 0, end;
	uint64_t events = 0;

	if (l->n_days == 0)
		return l->n_covered > 0 ? 0 : -1;
	while (first < l->n_days && l->days[first].day_s < middle_s)
		first++;
	/* Grow the window [first, end) towards whichever side is nearer. */
	for (end = first; end - first < DENSITY_DAYS && (first > 0 || end < l->n_days);) {
		if (end == l->n_days ||
		    (first > 0 && middle_s - l->days[first - 1].day_s < l->days[end].day_s - middle_s))
			first--;
		else
			end++;
	}
	for (size_t i = first; i < end; i++)
		events += l->days[i].events;
	known_s = covered_seconds(l, l->days[first].day_s, l->days[end - 1].day_s + S_PER_DAY);
	return (double)events * (double)S_PER_DAY / (double)(known_s < 3600 ? 3600 : known_s);
}

static int
add_range(struct plan *p, const struct ledger *l, int64_t from_s, int64_t to_s, enum plan_why why)
{
	struct plan_range *ranges = reallocarray(p->ranges, p->n_ranges + 1, sizeof(*ranges));
	double density;

	if (ranges == NULL)
		return -1;
	p->ranges = ranges;
	ranges += p->n_ranges++;
	memset(ranges, 0, sizeof(*ranges));
	ranges->from_s = from_s;
	ranges->to_s = to_s;
	ranges->why = why;
	density = plan_density(l, from_s, to_s);
	ranges->events_guess =
		density < 0 ? -1 : (int64_t)(density * (double)(to_s - from_s) / (double)S_PER_DAY + 0.5);
	return 0;
}

/* Cuts a gap where covered ranges begin and end, since each part has a reason of its own. */
static int
add_gap(struct plan *p, const struct ledger *l, const struct question *asked, const struct gap *gap)
{
	int64_t from_s = gap->from_s, to_s;
	const struct covered *c;
	enum plan_why why;
	size_t i = 0;

	while (from_s < gap->to_s) {
		while (i < l->n_covered && l->covered[i].to_s <= from_s)
			i++;
		c = i < l->n_covered ? &l->covered[i] : NULL;
		if (c == NULL)
			why = PLAN_NEW;
		else if (c->from_s <= from_s)
			why = question_covers(&c->asked, asked) ? PLAN_PROVISIONAL : PLAN_NARROWER;
		else
			why = i == 0 ? PLAN_OLDER : PLAN_LEFT_OPEN;
		to_s = c == NULL ? gap->to_s : c->from_s <= from_s ? c->to_s : c->from_s;
		if (to_s > gap->to_s)
			to_s = gap->to_s;
		if (p->n_ranges > 0 && p->ranges[p->n_ranges - 1].to_s == from_s &&
		    p->ranges[p->n_ranges - 1].why == why) {
			struct plan_range last = p->ranges[--p->n_ranges];

			from_s = last.from_s;
		}
		if (add_range(p, l, from_s, to_s, why) != 0)
			return -1;
		from_s = to_s;
	}
	return 0;
}

/* Guesses the pages of ranges that adjoin and are therefore read as one. */
static void
count_pages(struct plan *p)
{
	uint64_t events = 0, pages;
	bool unknown = false;

	for (size_t i = 0; i < p->n_ranges; i++) {
		struct plan_range *r = &p->ranges[i];

		if (r->events_guess >= 0)
			events += (uint64_t)r->events_guess;
		else
			unknown = true;
		r->joined = i + 1 < p->n_ranges && r->to_s == p->ranges[i + 1].from_s;
		if (r->joined)
			continue;
		pages = (events + ATLAS_PAGE_ROWS_MAX - 1) / ATLAS_PAGE_ROWS_MAX;
		r->pages_guess = pages > 0 ? pages : 1;
		r->pages_at_least = unknown;
		p->pages_guess += r->pages_guess;
		p->pages_at_least |= unknown;
		events = 0;
		unknown = false;
	}
}

int
plan_make(const struct conf_org *org, const struct ledger *ledger, int64_t now_s, struct plan *ret)
{
	struct sync_options options = archive_sync_options(org);
	struct plan p = { 0 };
	struct gap *gaps;
	size_t n;
	int failed = 0;

	if (sync_plan(&options, ledger, now_s, &gaps, &n, &p.wanted_from_s, &p.wanted_to_s) != 0)
		return -1;
	for (size_t i = 0; i < n && !failed; i++)
		failed = add_gap(&p, ledger, &options.asked, &gaps[i]) != 0;
	free(gaps);
	if (failed) {
		plan_free(&p);
		return -1;
	}
	/* "The beginning" is long before the organization's own, which nobody knows yet. */
	if (org->start == CONF_START_ALL && p.n_ranges > 0 && p.ranges[0].from_s == p.wanted_from_s)
		p.ranges[0].events_guess = -1;
	count_pages(&p);
	p.first_sync = org->start == CONF_START_NONE && ledger->since_s < 0 && ledger->n_covered == 0;
	*ret = p;
	return 0;
}

void
plan_free(struct plan *p)
{
	free(p->ranges);
	memset(p, 0, sizeof(*p));
}
