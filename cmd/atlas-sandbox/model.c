/* model.c: times, ids and order of events, computed from their position.
 *
 * Inside a segment the events come in groups of up to GROUP: each group has an equal slot of the
 * segment, starts somewhere in its first half and spreads over at most three eighths of it, so times
 * never fall from one position to the next, and events of one second are common even in a sparse
 * organization.
 */
#include "cmd/atlas-sandbox/model.h"

#include <stdlib.h>
#include <string.h>

#include "cmd/atlas-sandbox/hash.h"
#include "cmd/atlas-sandbox/types.h"

#define GROUP 4
#define GROUP_STEP_MAX_MS 700

uint64_t
model_hash(const struct org *org, uint64_t position, unsigned which)
{
	return hash_two(org->key + which, position);
}

/* floor(a * b / c) for a < c. */
static uint64_t
scale(uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t product;

	if (!__builtin_mul_overflow(a, b, &product))
		return product / c;
	return (uint64_t)((unsigned __int128)a * b / c);
}

static int64_t
segment_time_ms(const struct org *org, const struct segment *s, uint64_t index)
{
	uint64_t span = (uint64_t)(s->t1_ms - s->t0_ms);
	uint64_t groups = (s->count + GROUP - 1) / GROUP, group = index / GROUP;
	uint64_t start = scale(group, span, groups);
	uint64_t width = (group + 1 == groups ? span : scale(group + 1, span, groups)) - start;
	uint64_t hash = hash_two(org->key, s->first + group * GROUP);
	uint64_t step_max = width / 8 < GROUP_STEP_MAX_MS ? width / 8 : GROUP_STEP_MAX_MS;

	return s->t0_ms + (int64_t)(start + (hash >> 32) % (width / 2 + 1) +
	                            index % GROUP * ((hash & 0xffffffff) % (step_max + 1)));
}

int64_t
model_time_ms(const struct org *org, uint64_t position)
{
	size_t low = 0, high = org->n_segments - 1;

	while (low < high) {
		size_t middle = (low + high + 1) / 2;

		if (org->segments[middle].first <= position)
			low = middle;
		else
			high = middle - 1;
	}
	return segment_time_ms(org, &org->segments[low], position - org->segments[low].first);
}

uint64_t
model_first_at(const struct org *org, int64_t t_ms)
{
	size_t low = 0, high = org->n_segments;
	const struct segment *s;
	uint64_t from, to;

	while (low < high) { /* the first segment that ends after t_ms */
		size_t middle = (low + high) / 2;

		if (org->segments[middle].t1_ms > t_ms)
			high = middle;
		else
			low = middle + 1;
	}
	if (low == org->n_segments)
		return org->total;
	s = &org->segments[low];
	if (t_ms <= s->t0_ms)
		return s->first;
	from = 0;
	to = s->count;
	while (from < to) {
		uint64_t middle = from + (to - from) / 2;

		if (segment_time_ms(org, s, middle) >= t_ms)
			to = middle;
		else
			from = middle + 1;
	}
	return s->first + from;
}

int64_t
model_shown_s(const struct org *org, int64_t t_ms)
{
	return (t_ms + (org->set.created == CREATED_ROUND ? 500 : 0)) / 1000;
}

int64_t
model_created_us(const struct org *org, uint64_t position, int64_t t_ms)
{
	switch (org->set.created) {
	case CREATED_MS:
		return t_ms * 1000;
	case CREATED_US:
		return t_ms * 1000 + (int64_t)(model_hash(org, position, 1) % 1000);
	default:
		return model_shown_s(org, t_ms) * 1000000;
	}
}

enum poison
model_poison(const struct org *org, uint64_t position)
{
	for (size_t i = 0; i < org->n_poisoned; i++)
		if (org->poisoned[i].position == position)
			return org->poisoned[i].poison;
	return POISON_NONE;
}

static bool
is_late(const struct org *org, uint64_t position)
{
	return (double)(model_hash(org, position, 2) >> 11) * 0x1p-53 < org->set.late_share;
}

bool
model_visible(const struct org *org, uint64_t position, int64_t now_ms)
{
	int64_t t = model_time_ms(org, position);

	if (t > now_ms)
		return false;
	return org->set.late_share <= 0 || t + org->set.late_ms <= now_ms || !is_late(org, position);
}

/* Gallops: a second has few events as a rule, and may have a million. */
void
model_second(const struct org *org, uint64_t position, uint64_t *ret_start, uint64_t *ret_end)
{
	int64_t second = model_shown_s(org, model_time_ms(org, position));
	uint64_t in = position, out, step;

	for (step = 1;; step *= 2) { /* downwards: in is inside, out the last known outside + 1 */
		if (in < step) {
			out = 0;
			break;
		}
		if (model_shown_s(org, model_time_ms(org, in - step)) != second) {
			out = in - step + 1;
			break;
		}
		in -= step;
	}
	while (out < in) {
		uint64_t middle = out + (in - out) / 2;

		if (model_shown_s(org, model_time_ms(org, middle)) == second)
			in = middle;
		else
			out = middle + 1;
	}
	*ret_start = in;
	in = position;
	for (step = 1;; step *= 2) {
		if (org->total - in <= step) {
			out = org->total;
			break;
		}
		if (model_shown_s(org, model_time_ms(org, in + step)) != second) {
			out = in + step;
			break;
		}
		in += step;
	}
	while (in + 1 < out) {
		uint64_t middle = in + (out - in) / 2;

		if (model_shown_s(org, model_time_ms(org, middle)) == second)
			in = middle;
		else
			out = middle;
	}
	*ret_end = in + 1;
}

void
model_id(const struct org *org, uint64_t position, char *out)
{
	int64_t second = model_shown_s(org, model_time_ms(org, position));

	if (model_poison(org, position) == POISON_PATH_ID) {
		strcpy(out, "../../../../tmp/atlas-sandbox-");
		hash_hex((uint64_t)second, 8, out + 30);
		out[38] = '\0';
		return;
	}
	hash_hex((uint64_t)second, 8, out);
	/* A bijection of (organization, position), so no id comes twice. */
	hash_hex(hash_mix(org->id_key ^ (uint64_t)org->number << 40 ^ position), 16, out + 8);
	out[ID_LEN] = '\0';
}

unsigned
model_type(const struct org *org, uint64_t position)
{
	return (unsigned)(model_hash(org, position, 3) % EVENT_TYPES);
}

/* Position k of a permutation of 0 .. n - 1: a four-round Feistel network over the next even number
 * of bits, walked until it falls inside. */
static uint64_t
permute(uint64_t k, uint64_t n, uint64_t key)
{
	unsigned half = 1;
	uint64_t mask;

	if (n <= 1)
		return 0;
	while (half < 32 && (UINT64_C(1) << (2 * half)) < n)
		half++;
	mask = (UINT64_C(1) << half) - 1;
	do {
		uint64_t left = k >> half, right = k & mask;

		for (unsigned round = 0; round < 4; round++) {
			uint64_t next = left ^ (hash_mix(key + right * 4 + round) & mask);

			left = right;
			right = next;
		}
		k = left << half | right;
	} while (k >= n);
	return k;
}

static bool
matches(const struct org *org, const struct filter *f, uint64_t position)
{
	if (f->types != NULL) {
		unsigned type = model_type(org, position);

		if ((f->types[type / 64] >> (type % 64) & 1) == 0)
			return false;
	}
	return model_visible(org, position, f->now_ms);
}

/* The first position from which on each event must be looked at: everything below it is a row. Always
 * the start of a second. */
static uint64_t
checked_from(const struct org *org, const struct filter *f)
{
	uint64_t start, end;

	if (f->types != NULL)
		return 0;
	if (org->set.late_share <= 0)
		return org->total;
	start = model_first_at(org, f->now_ms - org->set.late_ms);
	if (start < org->total)
		model_second(org, start, &start, &end);
	return start;
}

size_t
model_page(const struct org *org, const struct filter *f, uint64_t offset, size_t limit, uint64_t salt,
           uint64_t *ret_positions, uint64_t *ret_total)
{
	int64_t last_ms = f->max_ms < f->now_ms ? f->max_ms : f->now_ms;
	uint64_t low = model_first_at(org, f->min_ms), high = model_first_at(org, last_ms + 1);
	uint64_t checked, cursor = high, skip = offset, start, end;
	size_t n = 0;

	if (ret_total != NULL)
		*ret_total = 0;
	if (low >= high)
		return 0;
	checked = checked_from(org, f);
	if (ret_total != NULL) {
		uint64_t from = checked > low ? checked : low;

		*ret_total = checked > low ? (checked < high ? checked : high) - low : 0;
		for (uint64_t p = from; p < high; p++)
			*ret_total += matches(org, f, p);
	}
	while (cursor > low && n < limit) {
		if (cursor <= checked && skip > 0) { /* all below are rows: jump to the right second */
			if (skip >= cursor - low)
				break;
			model_second(org, cursor - 1 - skip, &start, &end);
			if (end < cursor) {
				skip -= cursor - end;
				cursor = end;
			}
		}
		model_second(org, cursor - 1, &start, &end);
		uint64_t key = hash_two(org->key ^ salt, start + 0x5eed);

		for (uint64_t k = 0; k < end - start && n < limit; k++) {
			uint64_t p = start + permute(k, end - start, key);

			if (p < low || p >= high || (start >= checked && !matches(org, f, p)))
				continue;
			if (skip > 0)
				skip--;
			else
				ret_positions[n++] = p;
		}
		cursor = start;
	}
	return n;
}
