#include "workers/bucket.h"

#include <string.h>

#define MICRO INT64_C(1000000)

void
bucket_init(struct bucket *b, int64_t capacity, int64_t refill, int64_t period_ms, int64_t now_ms)
{
	memset(b, 0, sizeof(*b));
	b->capacity = capacity;
	b->refill = refill;
	b->period_ms = period_ms;
	b->micro = capacity * MICRO;
	b->at_ms = now_ms;
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

	if (passed_ms <= 0 || b->capacity == 0)
		return;
	b->at_ms = now_ms;
	/* After a day any bucket is full; without the bound the product could overflow. */
	if (passed_ms > 86400000 || b->micro > most)
		b->micro = most;
	else
		b->micro += passed_ms * b->refill * MICRO / b->period_ms;
	if (b->micro > most)
		b->micro = most;
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
		ready_ms = now_ms + ((MICRO - b->micro) * b->period_ms + rate - 1) / rate;
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
}

void
bucket_learn_headers(struct bucket *b, int64_t limit, int64_t remaining, int64_t now_ms)
{
	if (b->capacity == 0)
		return;
	fill(b, now_ms);
	if (limit > 0 && limit <= 1000000 && limit != b->capacity) {
		/* Nothing is said of the refill: the documented buckets all refill half of it a minute. */
		b->refill = (b->refill * limit + b->capacity - 1) / b->capacity;
		b->capacity = limit;
	}
	if (remaining >= 0 && remaining <= b->capacity)
		b->micro = remaining * MICRO;
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
	}
	/* When the wait is over there is a token, whatever our own count says. */
	b->micro = 0;
	b->closed_until_ms = now_ms + wait_ms;
	b->at_ms = now_ms;
}
