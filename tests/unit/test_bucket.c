/* Token buckets: never more than allowed in any window, never slower than allowed, and what the server says
 * is followed. Time is a number; nothing waits. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/rng.h"
#include "tests/support/seed.h"
#include "workers/bucket.h"

/* Sends as soon as allowed until end_ms; notes when. */
static size_t
send_all(struct bucket *b, int64_t from_ms, int64_t end_ms, int64_t *when_ms, size_t most)
{
	int64_t now_ms = from_ms;
	size_t n = 0;

	while (n < most) {
		now_ms = bucket_ready_ms(b, now_ms);
		if (now_ms >= end_ms)
			break;
		when_ms[n++] = now_ms;
		bucket_charge(b, 1, now_ms);
	}
	return n;
}

START_TEST(a_bucket_gives_its_capacity_and_its_refill)
{
	static int64_t when_ms[4000];
	struct bucket b;
	size_t n;

	bucket_init(&b, 500, 250, 60000, 1000);
	n = send_all(&b, 1000, 1000 + 600000, when_ms, 4000);
	ck_assert_uint_eq(n, 500 + 10 * 250 - 1); /* the last one would come at the very end */
	ck_assert_int_eq(when_ms[499], 1000);
	ck_assert_int_eq(when_ms[500], 1000 + 240);
}
END_TEST

START_TEST(no_minute_holds_more_than_the_users_cap)
{
	static int64_t when_ms[4000];
	uint64_t seed = test_seed("bucket");
	struct rng r;

	rng_seed(&r, seed);
	for (int round = 0; round < 200; round++) {
		int64_t cap = 1 + (int64_t)rng_below(&r, 600);
		struct bucket b;
		size_t n;

		bucket_init_per_minute(&b, cap, 5000);
		n = send_all(&b, 5000, 5000 + 300000, when_ms, 4000);
		ck_assert_uint_ge(n, (size_t)cap * 5 * 99 / 100);
		for (size_t i = (size_t)cap; i < n; i++)
			ck_assert_int_ge(when_ms[i] - when_ms[i - (size_t)cap], 60000);
	}
}
END_TEST

START_TEST(no_cap_is_no_wait)
{
	struct bucket b;

	bucket_init_per_minute(&b, 0, 7);
	for (int i = 0; i < 100000; i++) {
		ck_assert_int_eq(bucket_ready_ms(&b, 7), 7);
		bucket_charge(&b, 1, 7);
	}
	bucket_learn_headers(&b, 10, 0, 7);
	bucket_learn_refusal(&b, 10, 5, 60, 1000, 7);
	ck_assert_int_eq(bucket_ready_ms(&b, 7), 7);
}
END_TEST

START_TEST(headers_are_followed)
{
	struct bucket b;

	bucket_init(&b, 500, 250, 60000, 0);
	bucket_learn_headers(&b, 500, 1, 0);
	ck_assert_int_eq(bucket_ready_ms(&b, 0), 0);
	bucket_charge(&b, 1, 0);
	ck_assert_int_eq(bucket_ready_ms(&b, 0), 241); /* a millisecond for the clock */
	bucket_learn_headers(&b, -1, 300, 10); /* somebody was more generous than we counted */
	ck_assert_int_eq(bucket_ready_ms(&b, 10), 10);
	bucket_learn_headers(&b, 50, 0, 20);   /* a smaller bucket: the refill shrinks with it */
	ck_assert_int_eq(b.capacity, 50);
	ck_assert_int_eq(bucket_ready_ms(&b, 20), 20 + 2400 + 1);
	bucket_learn_headers(&b, -5, 99999999, 20); /* nonsense */
	bucket_learn_headers(&b, 99999999, -1, 20);
	ck_assert_int_eq(b.capacity, 50);
	ck_assert_int_eq(bucket_ready_ms(&b, 20), 20 + 2400 + 1);
}
END_TEST

START_TEST(a_refusal_closes_it_and_teaches_it)
{
	struct bucket b;

	bucket_init(&b, 500, 250, 60000, 0);
	bucket_learn_refusal(&b, 10, 5, 60, 55000, 100);
	ck_assert_int_eq(bucket_ready_ms(&b, 100), 55100);
	ck_assert_int_eq(b.capacity, 10);
	bucket_charge(&b, 1, 55100);
	bucket_charge(&b, 4, 55100);
	ck_assert_int_gt(bucket_ready_ms(&b, 55100), 55100);
	bucket_learn_refusal(&b, -1, -1, -1, 3000, 60000); /* a 429 that says nothing */
	ck_assert_int_ge(bucket_ready_ms(&b, 60000), 63000);
	ck_assert_int_eq(b.refill, 5);
}
END_TEST

/* A server's bucket, as exact as it can be. */
struct served { double level, capacity, per_ms; int64_t at_ms, others; };

/* True where the request is answered; *ret_remaining is what the header says. */
static bool
serve(struct served *s, int64_t now_ms, int64_t *ret_remaining)
{
	s->level += (double)(now_ms - s->at_ms) * s->per_ms;
	if (s->level > s->capacity)
		s->level = s->capacity;
	s->at_ms = now_ms;
	*ret_remaining = (int64_t)s->level;
	if (s->level < 1)
		return false;
	*ret_remaining = (int64_t)--s->level;
	return true;
}

/* What is documented is wrong, the headers say how many are left and nothing of the refill: all of it is used. One
 * request may be refused, where the refill is slower than documented and too slow to be measured before the bucket is
 * empty; the refusal says what it is. */
START_TEST(the_refill_is_measured)
{
	uint64_t seed = test_seed("bucket");
	struct rng r;

	rng_seed(&r, seed);
	for (int round = 0; round < 300; round++) {
		int64_t now_ms = 1000, remaining, latency_ms = 1 + (int64_t)rng_below(&r, 120), begun_ms = now_ms;
		int64_t capacity = 20 + (int64_t)rng_below(&r, 1000), answered = 0, refused = 0, refill;
		struct served s = { .capacity = (double)capacity, .level = (double)capacity, .at_ms = now_ms };
		double allowed;
		struct bucket b;

		/* Slower than one request after the other: else there is no limit to reach. */
		refill = 1 + (int64_t)rng_below(&r, 48000 / (uint64_t)latency_ms);
		s.per_ms = (double)refill / 60000;
		bucket_init(&b, 500, 250, 60000, now_ms);
		while (now_ms < begun_ms + 600000) {
			now_ms = bucket_ready_ms(&b, now_ms);
			bucket_charge(&b, 1, now_ms);
			if (serve(&s, now_ms + latency_ms / 2, &remaining)) {
				answered++;
				now_ms += latency_ms;
				bucket_learn_headers(&b, capacity, remaining, now_ms);
				continue;
			}
			refused++;
			now_ms += latency_ms;
			bucket_learn_refusal(&b, capacity, refill, 60, (int64_t)((1 - s.level) / s.per_ms) + 1000, now_ms);
		}
		allowed = (double)capacity + (double)(now_ms - begun_ms) * s.per_ms;
		ck_assert_msg((double)answered >= 0.97 * allowed && refused <= 1,
		              "round %d: %lld of %.0f, %lld refused; capacity %lld, %.4f a ms, %lld ms an answer", round,
		              (long long)answered, allowed, (long long)refused, (long long)capacity, s.per_ms,
		              (long long)latency_ms);
	}
}
END_TEST

/* A server may say anything, in any order: what is ready stays a time that can be waited for, and nothing overflows
 * (six answers once made the refill 2^58, and the next division one by zero). */
START_TEST(nothing_that_is_said_breaks_it)
{
	static const int64_t numbers[] = { -1, 0, 1, 2, 3, 50, 500, 524288, 999999, 1000000, 1000001, INT64_C(1) << 40 };
	uint64_t seed = test_seed("bucket");
	int64_t now_ms = 0, ready_ms;
	struct bucket b;
	struct rng r;

#define ANY numbers[rng_below(&r, sizeof(numbers) / sizeof(*numbers))]
	bucket_init(&b, 500, 250, 60000, 0);
	bucket_learn_refusal(&b, 1, -1, -1, 1000, 0);
	for (int i = 0; i < 3; i++) {
		bucket_learn_headers(&b, 524288, -1, 0);
		bucket_learn_refusal(&b, 1, -1, -1, 1000, 0);
	}
	bucket_learn_headers(&b, 2, -1, 0);
	ck_assert_int_ge(bucket_ready_ms(&b, 0), 0);
	rng_seed(&r, seed);
	for (int round = 0; round < 2000; round++) {
		bucket_init(&b, 500, 250, 60000, now_ms);
		for (int i = 0; i < 100; i++) {
			now_ms += (int64_t)(rng_below(&r, 20) == 0 ? rng_below(&r, UINT64_C(1) << 34) : rng_below(&r, 1000));
			switch (rng_below(&r, 4)) {
			case 0:
				bucket_learn_refusal(&b, ANY, ANY, ANY, (int64_t)rng_below(&r, 4000000), now_ms);
				break;
			case 1:
				bucket_charge(&b, 1 + (int64_t)rng_below(&r, 3), now_ms);
				break;
			case 2:
				bucket_lost(&b);
				break;
			default:
				bucket_learn_headers(&b, ANY, ANY, now_ms);
			}
			ready_ms = bucket_ready_ms(&b, now_ms);
			if (ready_ms < now_ms || ready_ms > now_ms + INT64_C(400) * 86400 * 1000 || b.refill < 1)
				ck_abort_msg("round %d, step %d: ready after %lld ms, refill %lld", round, i,
				             (long long)(ready_ms - now_ms), (long long)b.refill);
		}
	}
#undef ANY
}
END_TEST

START_TEST(a_clock_that_stands_or_leaps_breaks_nothing)
{
	struct bucket b;

	bucket_init(&b, 500, 250, 60000, 1000000);
	bucket_charge(&b, 500, 1000000);
	ck_assert_int_eq(bucket_ready_ms(&b, 999000), 999240); /* never earlier than what is known */
	ck_assert_int_eq(bucket_ready_ms(&b, INT64_MAX / 4), INT64_MAX / 4);
	bucket_charge(&b, 1, INT64_MAX / 4);
	ck_assert_int_eq(b.micro, 499 * INT64_C(1000000));
}
END_TEST

/* A server that counts in microseconds, and answers at once or takes its time: our clock has seen only whole milliseconds,
 * and must not take the rest of one for time in which something was refilled; nor the time in which a request was on its
 * way to a bucket that was full until it came. How often it refused. */
static unsigned
refusals_of(struct rng *r, bool headers, size_t n)
{
	const int64_t capacity = 50, refill = 25, micro = 1000000;
	int64_t now_us = 1000000000 + (int64_t)rng_below(r, 1000), at_us = now_us;
	int64_t tokens = (int64_t)rng_below(r, (uint64_t)(capacity * micro)); /* others drew on it */
	unsigned refused = 0;
	struct bucket b;

	bucket_init(&b, 500, 250, 60000, now_us / 1000);
	while (n-- > 0) {
		int64_t ready_ms = bucket_ready_ms(&b, now_us / 1000);

		if (ready_ms > now_us / 1000)
			now_us = ready_ms * 1000 + (int64_t)rng_below(r, 50); /* it wakes as soon as its clock says so */
		bucket_charge(&b, 1, now_us / 1000);
		now_us += (int64_t)rng_below(r, rng_below(r, 8) == 0 ? 50000 : 100); /* on its way */
		tokens += (now_us - at_us) * refill;
		tokens = tokens > capacity * micro ? capacity * micro : tokens;
		at_us = now_us;
		now_us += (int64_t)rng_below(r, 100);
		if (tokens < micro) {
			refused++;
			bucket_learn_refusal(&b, capacity, refill, 1, 1000 + (int64_t)rng_below(r, 2000), now_us / 1000);
		} else {
			tokens -= micro;
			bucket_learn_headers(&b, headers ? capacity : -1, headers ? tokens / micro : -1, now_us / 1000);
		}
	}
	return refused;
}

START_TEST(what_is_not_refilled_is_not_counted)
{
	struct rng r;

	rng_seed(&r, test_seed("bucket"));
	for (int round = 0; round < 300; round++) {
		ck_assert_uint_le(refusals_of(&r, false, 2000), 1);
		ck_assert_uint_le(refusals_of(&r, true, 2000), 1);
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("buckets");
	TCase *tc = tcase_create("bucket");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, a_bucket_gives_its_capacity_and_its_refill);
	tcase_add_test(tc, no_minute_holds_more_than_the_users_cap);
	tcase_add_test(tc, no_cap_is_no_wait);
	tcase_add_test(tc, headers_are_followed);
	tcase_add_test(tc, a_refusal_closes_it_and_teaches_it);
	tcase_add_test(tc, the_refill_is_measured);
	tcase_add_test(tc, what_is_not_refilled_is_not_counted);
	tcase_add_test(tc, nothing_that_is_said_breaks_it);
	tcase_add_test(tc, a_clock_that_stands_or_leaps_breaks_nothing);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
