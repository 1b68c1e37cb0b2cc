#include "lib/store/ledger.h"

#include <stdlib.h>
#include <string.h>

void
ledger_init(struct ledger *l)
{
	memset(l, 0, sizeof(*l));
	l->since_s = -1;
}

static void
question_free(struct question *q)
{
	for (size_t i = 0; q->event_types != NULL && i < q->n_event_types; i++)
		free(q->event_types[i]);
	free(q->event_types);
	memset(q, 0, sizeof(*q));
}

void
ledger_free(struct ledger *l)
{
	for (size_t i = 0; i < l->n_covered; i++)
		question_free(&l->covered[i].asked);
	free(l->covered);
	free(l->days);
	free(l->staging);
	free(l->becoming);
	free(l->repairs);
	ledger_init(l);
}

const char *
ledger_suffix_text(enum ledger_suffix s)
{
	return s == LEDGER_GZIP ? ".ndjson.gz" : s == LEDGER_ZSTD ? ".ndjson.zst" : ".ndjson";
}

static int
question_copy(const struct question *from, struct question *ret)
{
	struct question q = { NULL, 0, from->raw };

	if (from->n_event_types > 0) {
		q.event_types = calloc(from->n_event_types, sizeof(*q.event_types));
		if (q.event_types == NULL)
			return -1;
		q.n_event_types = from->n_event_types;
	}
	for (size_t i = 0; i < q.n_event_types; i++) {
		q.event_types[i] = strdup(from->event_types[i]);
		if (q.event_types[i] == NULL) {
			question_free(&q);
			return -1;
		}
	}
	*ret = q;
	return 0;
}

bool
question_covers(const struct question *wide, const struct question *narrow)
{
	size_t at = 0;

	if (narrow->raw && !wide->raw)
		return false;
	if (wide->n_event_types == 0)
		return true;
	if (narrow->n_event_types == 0)
		return false;
	for (size_t i = 0; i < narrow->n_event_types; i++) {
		while (at < wide->n_event_types &&
		       strcmp(wide->event_types[at], narrow->event_types[i]) < 0)
			at++;
		if (at == wide->n_event_types ||
		    strcmp(wide->event_types[at], narrow->event_types[i]) != 0)
			return false;
	}
	return true;
}

static bool
question_same(const struct question *a, const struct question *b)
{
	if (a->raw != b->raw || a->n_event_types != b->n_event_types)
		return false;
	for (size_t i = 0; i < a->n_event_types; i++)
		if (strcmp(a->event_types[i], b->event_types[i]) != 0)
			return false;
	return true;
}

static int64_t
add_capped(int64_t a, int64_t b)
{
	int64_t sum;

	if (__builtin_add_overflow(a, b, &sum))
		return b > 0 ? INT64_MAX : INT64_MIN;
	return sum;
}

/* The first second of c that is not final under overlap_s, at most c->to_s. Second t was asked at
 * min(as_of, t + c->overlap) or later, which reaches t + overlap_s for the earlier seconds first. */
static int64_t
final_until(const struct covered *c, int64_t overlap_s)
{
	int64_t end_s;

	if (c->overlap_s < overlap_s)
		return c->from_s;
	end_s = add_capped(add_capped(c->as_of_s, -overlap_s), 1);
	return end_s < c->from_s ? c->from_s : end_s > c->to_s ? c->to_s : end_s;
}

/* The largest overlap for which "asked at as_of_s, or at t + overlap" is true of each second of c.
 * as_of_s >= c->as_of_s. */
static int64_t
joined_overlap(const struct covered *c, int64_t as_of_s)
{
	int64_t least_s = add_capped(c->as_of_s, -(c->to_s - 1));

	if (as_of_s > c->as_of_s)
		return least_s < c->overlap_s ? least_s : c->overlap_s;
	return add_capped(c->from_s, c->overlap_s) < as_of_s ? c->overlap_s : INT64_MAX;
}

/* Makes one of a and b, which follows it, where that says nothing untrue. b's question is freed then. */
static bool
join(struct covered *a, struct covered *b, int64_t overlap_s)
{
	int64_t as_of_s, in_a_s, in_b_s;

	if (a->to_s != b->from_s || !question_same(&a->asked, &b->asked))
		return false;
	if (a->as_of_s != b->as_of_s || a->overlap_s != b->overlap_s) {
		if (final_until(a, overlap_s) < a->to_s || final_until(b, overlap_s) < b->to_s)
			return false;
		as_of_s = a->as_of_s > b->as_of_s ? a->as_of_s : b->as_of_s;
		in_a_s = joined_overlap(a, as_of_s);
		in_b_s = joined_overlap(b, as_of_s);
		a->as_of_s = as_of_s;
		a->overlap_s = in_a_s < in_b_s ? in_a_s : in_b_s;
	}
	a->to_s = b->to_s;
	question_free(&b->asked);
	return true;
}

/* Replaces [from_s, to_s) by c (owned; NULL: by nothing). On failure l is as it was and c too. */
static int
splice(struct ledger *l, int64_t from_s, int64_t to_s, struct covered *c)
{
	struct covered *out = malloc((l->n_covered + 2) * sizeof(*out));
	const struct covered *around = NULL; /* what reaches beyond both ends: it becomes two */
	struct question split = { NULL, 0, false };
	size_t n = 0, i;

	if (out == NULL)
		return -1;
	for (i = 0; i < l->n_covered; i++)
		if (l->covered[i].from_s < from_s && l->covered[i].to_s > to_s)
			around = &l->covered[i];
	if (around != NULL && question_copy(&around->asked, &split) != 0) {
		free(out);
		return -1;
	}
	for (i = 0; i < l->n_covered && l->covered[i].from_s < from_s; i++) {
		out[n] = l->covered[i];
		if (out[n].to_s > from_s)
			out[n].to_s = from_s;
		n++;
	}
	if (around != NULL) { /* its middle was taken: what follows is left */
		if (c != NULL)
			out[n++] = *c;
		out[n] = *around;
		out[n].asked = split;
		out[n++].from_s = to_s;
	} else if (c != NULL) {
		out[n++] = *c;
	}
	for (; i < l->n_covered; i++) {
		if (l->covered[i].to_s <= to_s) {
			question_free(&l->covered[i].asked);
			continue;
		}
		out[n] = l->covered[i];
		if (out[n].from_s < to_s)
			out[n].from_s = to_s;
		n++;
	}
	free(l->covered);
	l->covered = out;
	l->n_covered = n;
	return 0;
}

static bool
time_fits(int64_t s)
{
	return s >= 0 && s <= LEDGER_TIME_MAX_S;
}

int
ledger_cover(struct ledger *l, const struct covered *c, int64_t overlap_s)
{
	struct covered add = *c;
	size_t kept = 0;

	if (c->from_s >= c->to_s)
		return 0;
	if (!time_fits(c->from_s) || !time_fits(c->to_s) || !time_fits(c->as_of_s) || c->overlap_s < 0)
		return -1;
	if (question_copy(&c->asked, &add.asked) != 0)
		return -1;
	if (splice(l, c->from_s, c->to_s, &add) != 0) {
		question_free(&add.asked);
		return -1;
	}
	for (size_t i = 1; i < l->n_covered; i++)
		if (!join(&l->covered[kept], &l->covered[i], overlap_s))
			l->covered[++kept] = l->covered[i];
	l->n_covered = kept + 1;
	return 0;
}

int
ledger_uncover(struct ledger *l, int64_t from_s, int64_t to_s)
{
	return from_s >= to_s ? 0 : splice(l, from_s, to_s, NULL);
}

/* Adds [from_s, to_s) cut to the wanted range, joined to the last gap where it continues it. */
static void
add_gap(struct gap *gaps, size_t *n, int64_t from_s, int64_t to_s, bool provisional)
{
	if (from_s >= to_s)
		return;
	if (*n > 0 && gaps[*n - 1].to_s == from_s && gaps[*n - 1].provisional == provisional) {
		gaps[*n - 1].to_s = to_s;
		return;
	}
	gaps[(*n)++] = (struct gap){ from_s, to_s, provisional };
}

int
ledger_missing(const struct ledger *l, int64_t from_s, int64_t to_s, const struct question *asked,
               int64_t overlap_s, struct gap **ret_gaps, size_t *ret_n)
{
	/* Each entry adds at most what lacks before it and its provisional end; then the last gap. */
	struct gap *gaps = malloc((2 * l->n_covered + 1) * sizeof(*gaps));
	int64_t at_s = from_s, start_s, end_s, final_s;
	size_t n = 0;

	if (gaps == NULL)
		return -1;
	for (size_t i = 0; i < l->n_covered && at_s < to_s; i++) {
		const struct covered *c = &l->covered[i];

		if (c->to_s <= at_s || c->from_s >= to_s || !question_covers(&c->asked, asked))
			continue;
		start_s = c->from_s > at_s ? c->from_s : at_s;
		end_s = c->to_s < to_s ? c->to_s : to_s;
		final_s = final_until(c, overlap_s);
		add_gap(gaps, &n, at_s, start_s, false);
		add_gap(gaps, &n, final_s > start_s ? final_s : start_s, end_s, true);
		at_s = end_s;
	}
	add_gap(gaps, &n, at_s, to_s, false);
	*ret_gaps = gaps;
	*ret_n = n;
	return 0;
}

/* Where day_s stands, or would be inserted. */
static size_t
day_index(const struct ledger *l, int64_t day_s)
{
	size_t low = 0, high = l->n_days, mid;

	if (high > 0 && l->days[high - 1].day_s < day_s)
		return high;
	while (low < high) {
		mid = low + (high - low) / 2;
		if (l->days[mid].day_s < day_s)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct day *
ledger_day(const struct ledger *l, int64_t day_s)
{
	size_t at = day_index(l, day_s);

	return at < l->n_days && l->days[at].day_s == day_s ? &l->days[at] : NULL;
}

int
ledger_set_day(struct ledger *l, const struct day *d)
{
	size_t at = day_index(l, d->day_s);
	struct day *days;

	if (at < l->n_days && l->days[at].day_s == d->day_s) {
		l->days[at] = *d;
		return 0;
	}
	days = realloc(l->days, (l->n_days + 1) * sizeof(*days));
	if (days == NULL)
		return -1;
	memmove(&days[at + 1], &days[at], (l->n_days - at) * sizeof(*days));
	days[at] = *d;
	l->days = days;
	l->n_days++;
	return 0;
}

static void
drop_day(struct day *days, size_t *n, int64_t day_s)
{
	for (size_t i = 0; i < *n; i++)
		if (days[i].day_s == day_s) {
			memmove(&days[i], &days[i + 1], (--*n - i) * sizeof(*days));
			return;
		}
}

void
ledger_drop_day(struct ledger *l, int64_t day_s)
{
	drop_day(l->days, &l->n_days, day_s);
	drop_day(l->becoming, &l->n_becoming, day_s);
}

int
ledger_add_repair(struct ledger *l, const struct repair *r)
{
	struct repair *repairs = realloc(l->repairs, (l->n_repairs + 1) * sizeof(*repairs));

	if (repairs == NULL)
		return -1;
	l->repairs = repairs;
	l->repairs[l->n_repairs++] = *r;
	return 0;
}

bool
ledger_covered_hull(const struct ledger *l, int64_t from_s, int64_t to_s, int64_t *ret_from_s, int64_t *ret_to_s)
{
	int64_t first_s = to_s, end_s = from_s;

	for (size_t i = 0; i < l->n_covered; i++) {
		const struct covered *c = &l->covered[i];

		if (c->to_s <= from_s || c->from_s >= to_s)
			continue;
		if (first_s == to_s)
			first_s = c->from_s > from_s ? c->from_s : from_s;
		end_s = c->to_s < to_s ? c->to_s : to_s;
	}
	if (first_s >= end_s)
		return false;
	*ret_from_s = first_s;
	*ret_to_s = end_s;
	return true;
}

/* The end of the ranges that follow each other from at_s on. */
static int64_t
end_of(const struct covered *ranges, size_t n, int64_t at_s)
{
	for (size_t i = 0; i < n; i++)
		if (ranges[i].from_s <= at_s && ranges[i].to_s > at_s)
			at_s = ranges[i].to_s;
	return at_s;
}

bool
ledger_covers(const struct ledger *l, int64_t from_s, int64_t to_s)
{
	return end_of(l->covered, l->n_covered, from_s) >= to_s;
}

bool
ledger_will_cover(const struct ledger *l, const struct covered *more, size_t n, int64_t from_s, int64_t to_s)
{
	int64_t at_s = from_s, before_s;

	do {
		before_s = at_s;
		at_s = end_of(more, n, end_of(l->covered, l->n_covered, at_s));
	} while (at_s > before_s && at_s < to_s);
	return at_s >= to_s;
}
