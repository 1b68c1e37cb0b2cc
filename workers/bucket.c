#include "workers/bucket.h"

#include <string.h>

#define MICRO INT64_C(1000000)
#define REFILL_MAX INT64_C(1000000)
#define CLOCK_STEP_MS 1       /* so much later than now_ms the server may have counted */
#define MEASURED_MIN 8        /* tokens that must have been refilled for a measure: one more or less is rounding */
#define MEASURED_MIN_MS 100   /* sooner it is no refill, but somebody who gave or took many at once */
#define MEASURED_ENOUGH 64    /* then, or after so long, the next measure begins */
#define MEASURED_ENOUGH_MS 10000
#define MEASURED_MAX_MS 120000 /* a measure that came to nothing within it is given up */

void
bucket_init(struct bucket *b, int64_t capacity, int64_t refill, int64_t period_ms, int64_t now_ms)
{
	memset(b, 0, sizeof(*b));
	b->capacity = capacity;
	b->refill = refill;
	b->period_ms = period_ms;
	b->micro = capacity * MICRO;
	b->at_ms = now_ms;
	b->mark_ms = -1;
}

void
bucket_init_per_minute(struct bucket *b, int64_t requests_per_minute, int64_t now_ms)
{
	/* A capacity of one: with more, the first minute would allow the burst and the refill. */
	bucket_init(b, requests_per_minute > 0 ? 1 : 0, requests_per_minute, 60000, now_ms);
}

static void
fill(struct bucket *b, int64_t now_ms)
{
	int64_t passed_ms = now_ms - b->at_ms, most = b->capacity * MICRO;
	__int128 refilled;

	if (passed_ms <= 0 || b->capacity == 0)
		return;
	b->at_ms = now_ms;
	/* Months of a million a millisecond do not fit into 64 bits. */
	refilled = (__int128)passed_ms * b->refill * MICRO / b->period_ms;
	b->micro = refilled > most - b->micro ? most : b->micro + (int64_t)refilled;
}

int64_t
bucket_ready_ms(struct bucket *b, int64_t now_ms)
{
	int64_t ready_ms = now_ms, rate;

	if (b->capacity == 0)
		return now_ms;
	fill(b, now_ms);
	if (b->micro < MICRO) {
		rate = b->refill * MICRO; /* millionths a period */
		ready_ms = now_ms + (int64_t)(((__int128)(MICRO - b->micro) * b->period_ms + rate - 1) / rate);
		if (b->at_ms == now_ms + CLOCK_STEP_MS)
			ready_ms += CLOCK_STEP_MS;
	}
	return ready_ms > b->closed_until_ms ? ready_ms : b->closed_until_ms;
}

void
bucket_charge(struct bucket *b, int64_t n, int64_t now_ms)
{
	if (b->capacity == 0)
		return;
	fill(b, now_ms);
	b->micro -= n * MICRO;
	b->spent += n;
}

static void
mark(struct bucket *b, int64_t remaining, int64_t now_ms)
{
	b->mark_ms = now_ms;
	b->mark_remaining = remaining;
	b->spent = 0;
}

void
bucket_lost(struct bucket *b)
{
	b->mark_ms = -1;
}

/* A full bucket refills nothing: while it is full nothing can be measured, and when it has become full what was
 * refilled is the least that it can have been. The figure errs to the low side,
 * where it costs nothing: when what is left runs out, the next question goes a little later, and its answer says
 * that more is there than was thought. */
static void
measure_refill(struct bucket *b, int64_t remaining, int64_t now_ms)
{
	int64_t refilled = remaining - b->mark_remaining + b->spent, passed_ms = now_ms - b->mark_ms;

	bool full = remaining + 1 >= b->capacity, anew = b->mark_ms < 0 || full;

	if (b->told)
		return;
	if (b->mark_ms >= 0 && refilled >= MEASURED_MIN && refilled <= MICRO && passed_ms >= MEASURED_MIN_MS &&
	    passed_ms <= MEASURED_MAX_MS &&
	    (!full || (refilled - 1) * b->period_ms > b->refill * passed_ms)) {
		b->refill = refilled - 1;
		b->period_ms = passed_ms;
		anew |= refilled >= MEASURED_ENOUGH || passed_ms >= MEASURED_ENOUGH_MS;
	}
	if (anew || passed_ms < 0 || passed_ms > MEASURED_MAX_MS)
		mark(b, remaining, now_ms);
}

void
bucket_learn_headers(struct bucket *b, int64_t limit, int64_t remaining, int64_t now_ms)
{
	if (b->capacity == 0)
		return;
	fill(b, now_ms);
	if (b->micro >= (b->capacity - 1) * MICRO) {
		b->micro = (b->capacity - 1) * MICRO;
		b->at_ms = now_ms + CLOCK_STEP_MS;
	}
	if (limit > 0 && limit <= 1000000 && limit != b->capacity) {
		/* Nothing is said of the refill: the documented buckets all refill half of it a minute. */
		b->refill = (b->refill * limit + b->capacity - 1) / b->capacity;
		if (b->refill > REFILL_MAX) /* limits that grow and shrink by turns would take it anywhere */
			b->refill = REFILL_MAX;
		b->capacity = limit;
		b->told = false;
		b->mark_ms = -1;
	}
	if (remaining < 0 || remaining > b->capacity)
		return;
	measure_refill(b, remaining, now_ms);
	b->micro = remaining * MICRO;
	b->at_ms = now_ms + CLOCK_STEP_MS;
}

void
bucket_learn_refusal(struct bucket *b, int64_t capacity, int64_t refill, int64_t period_s, int64_t wait_ms,
                     int64_t now_ms)
{
	if (b->capacity == 0)
		return;
	fill(b, now_ms);
	if (capacity > 0 && capacity <= 1000000)
		b->capacity = capacity;
	if (refill > 0 && refill <= 1000000 && period_s > 0 && period_s <= 86400) {
		b->refill = refill;
		b->period_ms = period_s * 1000;
		b->told = true;
	}
	b->mark_ms = -1;
	/* When the wait is over there is a token, whatever our own count says. */
	b->micro = 0;
	b->closed_until_ms = now_ms + wait_ms;
	b->at_ms = now_ms + CLOCK_STEP_MS;
}
