/* The days of a ledger are read in two ways: as they are written, and by jansson where they stand otherwise. Whatever
 * is done to the text, both say the same. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/rng.h"
#include "lib/store/dayfile.h"
#include "lib/store/ledger.h"
#include "lib/store/ledger_text.h"
#include "tests/support/seed.h"

#define HEAD ",\n \"days\": {"

static void
random_ledger(struct ledger *l, struct rng *r)
{
	size_t n = 1 + rng_below(r, 6);

	ledger_init(l);
	strcpy(l->org_id, "32b6e34b3d91647abb20e7b8");
	for (size_t i = 0; i < n; i++) {
		struct day d = { .day_s = (int64_t)rng_below(r, 40000) * 86400 };

		d.suffix = (enum ledger_suffix)rng_below(r, 3);
		d.events = 1 + rng_below(r, 1 + (UINT64_C(1) << rng_below(r, 40)));
		d.bytes = d.events + rng_below(r, 1 + (UINT64_C(1) << rng_below(r, 40)));
		d.first_ns = (d.day_s + (int64_t)rng_below(r, 43200)) * 1000000000 + (int64_t)(rng_below(r, 2) * rng_below(r, 1000000000));
		d.last_ns = (d.day_s + 43200 + (int64_t)rng_below(r, 43200)) * 1000000000;
		for (int k = 0; k < 32; k++)
			d.sha256[k] = (unsigned char)rng_below(r, 256);
		ck_assert_int_eq(ledger_set_day(l, &d), 0);
	}
}

/* The text with a right last line again. */
static void
seal(struct buf *b)
{
	unsigned char sha256[32];
	char hex[65];

	b->len -= SUM_LEN;
	ck_assert_int_eq(sha256_of(b->data, b->len, sha256), 0);
	sha256_hex(sha256, hex);
	ck_assert_int_eq(buf_printf(b, SUM_HEAD "%s" SUM_END, hex), 0);
}

/* The same ledger, written so that only jansson can read its days. */
static void
loosen(const struct buf *from, struct buf *to)
{
	const char *head = memmem(from->data, from->len, HEAD, sizeof(HEAD) - 1);
	size_t before;

	buf_reset(to);
	if (head == NULL) {
		ck_assert_int_eq(buf_append(to, from->data, from->len), 0);
		return;
	}
	before = (size_t)(head - from->data) + sizeof(HEAD) - 2;
	ck_assert_int_eq(buf_append(to, from->data, before), 0);
	ck_assert_int_eq(buf_append_str(to, " "), 0);
	ck_assert_int_eq(buf_append(to, from->data + before, from->len - before), 0);
	seal(to);
}

static void
same(const struct buf *text, const struct buf *loose, const char *round)
{
	struct ledger a, b;
	struct err e, f;
	int one, other;

	err_clear(&e);
	err_clear(&f);
	ledger_init(&a);
	ledger_init(&b);
	one = ledger_read(&a, text->data, text->len, "ledger", &e);
	other = ledger_read(&b, loose->data, loose->len, "ledger", &f);
	ck_assert_msg(one == other && strcmp(e.text, f.text) == 0, "%s: %d \"%s\", %d \"%s\"\n%.*s", round, one, e.text,
	              other, f.text, (int)text->len, text->data);
	ck_assert_uint_eq(a.n_days, b.n_days);
	for (size_t i = 0; i < a.n_days; i++)
		ck_assert_msg(a.days[i].day_s == b.days[i].day_s && a.days[i].suffix == b.days[i].suffix &&
		              a.days[i].events == b.days[i].events && a.days[i].bytes == b.days[i].bytes &&
		              a.days[i].first_ns == b.days[i].first_ns && a.days[i].last_ns == b.days[i].last_ns &&
		              memcmp(a.days[i].sha256, b.days[i].sha256, 32) == 0, "%s: day %zu", round, i);
	ledger_free(&a);
	ledger_free(&b);
}

/* One to three bytes of the days become others: those that mean something in a ledger, as a rule. */
static void
spoil(struct buf *b, struct rng *r)
{
	static const char letters[] = "0123456789abcdef\"\"{}[],,:: \n-.TZzsuffixevents\\";
	const char *head = memmem(b->data, b->len, HEAD, sizeof(HEAD) - 1);
	size_t from = (size_t)(head - b->data) + sizeof(HEAD) - 1, left;

	for (uint64_t n = 1 + rng_below(r, 3); n > 0; n--) {
		left = b->len - SUM_LEN - from;
		size_t at = from + rng_below(r, left);

		switch (rng_below(r, 3)) {
		case 0: /* another byte */
			b->data[at] = letters[rng_below(r, sizeof(letters) - 1)];
			break;
		case 1: /* one less */
			memmove(b->data + at, b->data + at + 1, b->len - at - 1);
			b->len--;
			break;
		default: /* a piece of it once more */
			left = rng_below(r, 40);
			if (at + left > b->len - SUM_LEN)
				break;
			ck_assert_int_eq(buf_reserve(b, left), 0);
			memmove(b->data + at + left, b->data + at, b->len - at);
			b->len += left;
			break;
		}
	}
	seal(b);
}

START_TEST(both_ways_say_the_same)
{
	uint64_t seed = test_seed("ledger_days");
	size_t rounds = 6000, sound = 0;
	struct buf text, loose;
	struct ledger l, again;
	const char *begin, *end;
	struct day *days;
	struct rng r;
	struct err e;
	char round[40];
	size_t n;

	rng_seed(&r, seed);
	buf_init(&text, 1 << 20);
	buf_init(&loose, 1 << 20);
	for (size_t i = 0; i < rounds; i++) {
		snprintf(round, sizeof(round), "round %zu", i);
		random_ledger(&l, &r);
		buf_reset(&text);
		ck_assert_int_eq(ledger_write(&l, &text), 0);
		/* As it is written it is read the short way. */
		ck_assert_int_eq(ledger_days_read(text.data, text.len, &days, &n, &begin, &end), 0);
		ck_assert_uint_eq(n, l.n_days);
		free(days);
		if (i % 4 > 0)
			spoil(&text, &r);
		loosen(&text, &loose);
		ck_assert_int_ne(ledger_days_read(loose.data, loose.len, &days, &n, &begin, &end), 0);
		same(&text, &loose, round);
		err_clear(&e);
		ledger_init(&again);
		sound += ledger_read(&again, text.data, text.len, "ledger", &e) == 0;
		ledger_free(&again);
		ledger_free(&l);
	}
	buf_free(&text);
	buf_free(&loose);
	printf("ledger_days: %zu ledgers read both ways, %zu of them sound\n", rounds, sound);
	ck_assert_uint_gt(sound, rounds / 4);
	ck_assert_uint_lt(sound, rounds);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("the days of a ledger");
	TCase *tc = tcase_create("days");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, both_ways_say_the_same);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
