/* org.c: an organization's names and credentials, and its segments. */
#include "cmd/atlas-sandbox/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/atlas-sandbox/hash.h"

#define MS_PER_S INT64_C(1000)
#define LIVE_SPAN_MS (INT64_C(3652) * 86400 * MS_PER_S) /* live events go on for ten years */

static void
hex_text(uint64_t key, unsigned number, unsigned which, int digits, char *out)
{
	for (unsigned part = 0; digits > 0; part++, digits -= 16, out += 16)
		hash_hex(hash_two(key + which * 16 + part, number), digits < 16 ? digits : 16, out);
}

void
org_identify(struct org *org, uint64_t seed, unsigned number)
{
	uint64_t key = hash_mix(seed), letters;
	char hex[33];

	memset(org, 0, sizeof *org);
	org->number = number;
	org->id_key = key;
	org->key = hash_two(key, number);
	snprintf(org->name, sizeof org->name, "org%04u", number);

	/* Eight letters: an affine bijection modulo 26^8, so no key comes twice. */
	letters = (uint64_t)(((unsigned __int128)number * 123456789011 + key % 208827064576) % 208827064576);
	for (int i = 7; i >= 0; i--, letters /= 26)
		org->public_key[i] = (char)('a' + letters % 26);

	hash_hex(0x64000000 + hash_two(key, number) % 0x1000000, 8, org->org_id);
	hash_hex(hash_mix(key ^ number), 16, org->org_id + 8);
	hash_hex(0x63000000, 8, org->foreign_id);
	hash_hex(hash_mix(key ^ number ^ UINT64_C(0x8000000000000000)), 16, org->foreign_id + 8);

	hex_text(key, number, 1, 32, hex);
	snprintf(org->private_key, sizeof org->private_key, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8,
	         hex + 12, hex + 16, hex + 20);
	memcpy(org->client_id, "mdb_sa_id_", 10);
	hash_hex(0x65000000 + number, 8, org->client_id + 10);
	hash_hex(hash_two(key + 7, number), 16, org->client_id + 18);
	memcpy(org->client_secret, "mdb_sa_sk_", 10);
	hex_text(key, number, 2, 40, org->client_secret + 10);
}

static int
compare_specials(const void *a, const void *b)
{
	const struct special *x = a, *y = b;

	return (x->t0_ms > y->t0_ms) - (x->t0_ms < y->t0_ms);
}

static int
compare_segments(const void *a, const void *b)
{
	const struct segment *x = a, *y = b;

	return (x->t0_ms > y->t0_ms) - (x->t0_ms < y->t0_ms);
}

static void
add_segment(struct org *org, int64_t t0_ms, int64_t t1_ms, uint64_t count)
{
	struct segment *s = &org->segments[org->n_segments];

	if (count == 0 || t0_ms >= t1_ms)
		return;
	s->t0_ms = t0_ms;
	s->t1_ms = t1_ms;
	s->count = count;
	org->n_segments++;
}

/* Spreads count events evenly over [t0, t1) without the seconds that belong to something special. */
static int
add_spread(struct org *org, const struct special *specials, size_t n, int64_t t0_ms, int64_t t1_ms,
           uint64_t count)
{
	int64_t cursor, free_ms = t1_ms - t0_ms, used_ms = 0;
	uint64_t given = 0;

	if (count == 0)
		return 0;
	for (size_t pass = 0; pass < 2; pass++) {
		cursor = t0_ms;
		for (size_t i = 0; i <= n; i++) {
			int64_t from = i < n ? specials[i].t0_ms - specials[i].t0_ms % MS_PER_S : t1_ms;
			int64_t to = from + MS_PER_S;
			uint64_t upto;

			from = from < cursor ? cursor : from > t1_ms ? t1_ms : from;
			to = to < cursor ? cursor : to > t1_ms ? t1_ms : to;
			if (pass == 0) {
				free_ms -= i < n ? to - from : 0;
			} else {
				used_ms += from - cursor;
				upto = (uint64_t)((unsigned __int128)count * (uint64_t)used_ms / (uint64_t)free_ms);
				add_segment(org, cursor, from, upto - given);
				given = upto;
			}
			cursor = to;
		}
		if (free_ms <= 0)
			return -1;
	}
	return 0;
}

/* Puts what happens in one second together: later entries join the first of their second. */
static size_t
merge_specials(struct special *specials, size_t n)
{
	size_t kept = 0;

	if (n == 0)
		return 0;
	qsort(specials, n, sizeof *specials, compare_specials);
	for (size_t i = 1; i < n; i++) {
		struct special *last = &specials[kept];

		if (specials[i].t0_ms / MS_PER_S != last->t0_ms / MS_PER_S) {
			specials[++kept] = specials[i];
			continue;
		}
		last->count += specials[i].count;
		if (specials[i].t1_ms > last->t1_ms)
			last->t1_ms = specials[i].t1_ms;
	}
	return kept + 1;
}

/* The poisoned events of a second are the first positions of its segment. */
static int
place_poison(struct org *org)
{
	const struct settings *set = &org->set;

	org->poisoned = calloc(set->n_specials + 1, sizeof *org->poisoned);
	if (org->poisoned == NULL)
		return -1;
	for (size_t i = 0; i < set->n_specials; i++) {
		uint64_t position;

		if (set->specials[i].poison == POISON_NONE)
			continue;
		position = model_first_at(org, set->specials[i].t0_ms - set->specials[i].t0_ms % MS_PER_S);
		while (model_poison(org, position) != POISON_NONE)
			position++;
		org->poisoned[org->n_poisoned].position = position;
		org->poisoned[org->n_poisoned++].poison = set->specials[i].poison;
	}
	return 0;
}

int
org_build(struct org *org, uint64_t seed, char *why, size_t why_size)
{
	const struct settings *set = &org->set;
	uint64_t hash = hash_two(hash_mix(seed) + 11, org->number);
	uint64_t count = set->events_min + hash % (set->events_max - set->events_min + 1);
	double live = set->live_per_s * ((double)LIVE_SPAN_MS / MS_PER_S);
	struct special *specials = calloc(set->n_specials + 1, sizeof *specials);
	size_t n;
	int result = -1;

	org->segments = calloc(3 * (set->n_specials + 1) + 1, sizeof *org->segments);
	if (specials == NULL || org->segments == NULL) {
		snprintf(why, why_size, "out of memory");
		goto out;
	}
	if (set->n_specials > 0)
		memcpy(specials, set->specials, set->n_specials * sizeof *specials);
	n = merge_specials(specials, set->n_specials);
	for (size_t i = 0; i < n; i++)
		add_segment(org, specials[i].t0_ms, specials[i].t1_ms, specials[i].count);
	if (add_spread(org, specials, n, set->from_ms, set->to_ms, count) != 0 ||
	    add_spread(org, specials, n, set->to_ms, set->to_ms + LIVE_SPAN_MS, (uint64_t)live) != 0) {
		snprintf(why, why_size, "%s has events and no time for them: `to` must be after `from`, and a second with a "
		         "burst or a poisoned event holds nothing else", org->name);
		goto out;
	}
	qsort(org->segments, org->n_segments, sizeof *org->segments, compare_segments);
	for (size_t i = 0; i < org->n_segments; i++) {
		org->segments[i].first = org->total;
		org->total += org->segments[i].count;
		if (org->total > POSITIONS_MAX) {
			snprintf(why, why_size, "%s has too many events", org->name);
			goto out;
		}
	}
	if (place_poison(org) != 0) {
		snprintf(why, why_size, "out of memory");
		goto out;
	}
	result = 0;
out:
	free(specials);
	return result;
}

void
org_free(struct org *org)
{
	free(org->segments);
	free(org->poisoned);
	settings_free(&org->set);
}
