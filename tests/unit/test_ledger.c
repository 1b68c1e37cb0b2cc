/* test_ledger.c: the ledger against a model that knows each second by itself, and its text. */
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/rng.h"
#include "lib/store/dayfile.h"
#include "lib/store/ledger.h"

#define BASE_S INT64_C(1754870400) /* 2025-08-11T00:00:00Z */
#define SPAN_S 90                  /* the model's seconds */
#define CASES 20000

static char type_a[] = "A", type_b[] = "B";
static char *types_a[] = { type_a }, *types_ab[] = { type_a, type_b }, *types_b[] = { type_b };
static const struct question questions[] = {
	{ NULL, 0, true }, { NULL, 0, false }, { types_ab, 2, true }, { types_a, 1, true },
	{ types_b, 1, false }, { types_ab, 2, false },
};
#define N_QUESTIONS (sizeof(questions) / sizeof(questions[0]))

/* As ck_assert_msg(), without its system call for each success. */
#define HOLDS(what, ...) do { \
	if (!(what)) { \
		char holds_text_[500]; \
		snprintf(holds_text_, sizeof(holds_text_), __VA_ARGS__); \
		ck_abort_msg("%s: %s", #what, holds_text_); \
	} \
} while (0)

static uint64_t
seed_of_test(void)
{
	const char *given = getenv("ORGSYNC_TEST_SEED");
	uint64_t seed = given != NULL ? strtoull(given, NULL, 0) : UINT64_C(20251122);

	printf("ORGSYNC_TEST_SEED=%" PRIu64 "\n", seed);
	return seed;
}

/* One second of the model: which question (-1: not covered), and the moment it was asked at or after. */
struct second { int question; int64_t asked_s; };

static int64_t
claimed_s(const struct covered *c, int64_t t)
{
	return c->overlap_s == INT64_MAX || c->as_of_s < t + c->overlap_s ? c->as_of_s : t + c->overlap_s;
}

static bool
same_question(const struct question *a, const struct question *b)
{
	return question_covers(a, b) && question_covers(b, a);
}

/* The ledger covers what the model covers, with the same questions, and claims no second to have been
 * asked later than it was. */
static void
hold_against(const struct ledger *l, const struct second *model, uint64_t which)
{
	size_t at = 0;

	for (size_t i = 1; i < l->n_covered; i++)
		HOLDS(l->covered[i - 1].to_s <= l->covered[i].from_s, "case %" PRIu64, which);
	for (int64_t t = 0; t < SPAN_S; t++) {
		while (at < l->n_covered && l->covered[at].to_s <= BASE_S + t)
			at++;
		bool has = at < l->n_covered && l->covered[at].from_s <= BASE_S + t;

		HOLDS(has == (model[t].question >= 0), "case %" PRIu64 " second %d", which, (int)t);
		if (!has)
			continue;
		HOLDS(same_question(&l->covered[at].asked, &questions[model[t].question]),
		      "case %" PRIu64 " second %d", which, (int)t);
		HOLDS(claimed_s(&l->covered[at], BASE_S + t) <= model[t].asked_s,
		      "case %" PRIu64 " second %d claims too much", which, (int)t);
	}
}

/* ledger_missing() against the model. exact: the same seconds; otherwise it may ask for more, as
 * provisional, never for less. */
static void
hold_missing(const struct ledger *l, const struct second *model, const struct question *asked,
             int64_t overlap_s, int64_t from, int64_t to, bool exact, uint64_t which)
{
	struct gap *gaps = NULL;
	size_t n = 0, at = 0;

	ck_assert_int_eq(ledger_missing(l, BASE_S + from, BASE_S + to, asked, overlap_s, &gaps, &n), 0);
	for (size_t i = 0; i < n; i++) {
		HOLDS(gaps[i].from_s < gaps[i].to_s, "case %" PRIu64, which);
		HOLDS(gaps[i].from_s >= BASE_S + from && gaps[i].to_s <= BASE_S + to, "case %" PRIu64, which);
		if (i > 0)
			HOLDS(gaps[i].from_s > gaps[i - 1].to_s ||
			      (gaps[i].from_s == gaps[i - 1].to_s &&
			       gaps[i].provisional != gaps[i - 1].provisional), "case %" PRIu64, which);
	}
	for (int64_t t = from; t < to; t++) {
		bool known = model[t].question >= 0 && question_covers(&questions[model[t].question], asked);
		bool final = known && model[t].asked_s >= BASE_S + t + overlap_s, has, provisional;

		while (at < n && gaps[at].to_s <= BASE_S + t)
			at++;
		has = at < n && gaps[at].from_s <= BASE_S + t;
		provisional = has && gaps[at].provisional;
		HOLDS(has || final, "case %" PRIu64 " second %d is not asked for", which, (int)t);
		HOLDS(!has || provisional == known, "case %" PRIu64 " second %d: kind", which, (int)t);
		if (exact)
			HOLDS(has == !final, "case %" PRIu64 " second %d: asked again", which, (int)t);
	}
	free(gaps);
}

/* What the ledger covers of any range, against the model: all of it, and from where to where. */
static void
hold_covers(const struct ledger *l, const struct second *model, uint64_t which)
{
	int64_t first = -1, last = -1, from_s = 0, to_s = 0, a = (int64_t)(which * 7 % SPAN_S);
	int64_t b = a + (int64_t)(which * 13 % (uint64_t)(SPAN_S - a + 1));
	/* Two that are to be recorded yet, the later one first. */
	const struct covered more[2] = { { .from_s = BASE_S + (a + b) / 2, .to_s = BASE_S + b },
	                                 { .from_s = BASE_S + a + 1, .to_s = BASE_S + a + (b - a) / 3 } };
	bool all = true, any, will = true;

	for (int64_t t = a; t < b; t++) {
		all = all && model[t].question >= 0;
		will = will && (model[t].question >= 0 || BASE_S + t >= more[0].from_s ||
		                (BASE_S + t >= more[1].from_s && BASE_S + t < more[1].to_s));
		if (model[t].question < 0)
			continue;
		first = first < 0 ? t : first;
		last = t;
	}
	HOLDS(ledger_covers(l, BASE_S + a, BASE_S + b) == all, "case %" PRIu64, which);
	HOLDS(ledger_will_cover(l, more, 2, BASE_S + a, BASE_S + b) == will, "case %" PRIu64, which);
	HOLDS(ledger_will_cover(l, NULL, 0, BASE_S + a, BASE_S + b) == all, "case %" PRIu64, which);
	any = ledger_covered_hull(l, BASE_S + a, BASE_S + b, &from_s, &to_s);
	HOLDS(any == (first >= 0), "case %" PRIu64, which);
	HOLDS(!any || (from_s == BASE_S + first && to_s == BASE_S + last + 1), "case %" PRIu64, which);
}

static void
hold_text(const struct ledger *l, uint64_t which)
{
	struct ledger back;
	struct buf one, two;
	struct err e;

	buf_init(&one, 1 << 20);
	buf_init(&two, 1 << 20);
	err_clear(&e);
	ledger_init(&back);
	ck_assert_int_eq(ledger_write(l, &one), 0);
	ck_assert_msg(ledger_read(&back, one.data, one.len, "x/ledger.json", &e) == 0,
	              "case %" PRIu64 ": %s", which, e.text);
	ck_assert_int_eq(ledger_write(&back, &two), 0);
	ck_assert_uint_eq(one.len, two.len);
	ck_assert_int_eq(memcmp(one.data, two.data, one.len), 0);
	ledger_free(&back);
	buf_free(&one);
	buf_free(&two);
}

static void
one_case(struct rng *r, uint64_t which, bool one_overlap)
{
	static const int64_t overlaps[] = { 0, 5, 20, 60, INT64_MAX };
	int64_t overlap_s = (int64_t)rng_below(r, 30), now_s = BASE_S + (int64_t)rng_below(r, SPAN_S), a, b;
	struct second model[SPAN_S];
	struct ledger l;
	unsigned steps = 1 + (unsigned)rng_below(r, 12), kinds = rng_below(r, 2) ? 1 : N_QUESTIONS;

	ledger_init(&l);
	memcpy(l.org_id, "32b6e34b3d91647abb20e7b8", 25);
	for (size_t t = 0; t < SPAN_S; t++)
		model[t] = (struct second){ -1, 0 };
	for (unsigned i = 0; i < steps; i++) {
		a = (int64_t)rng_below(r, SPAN_S);
		b = a + (int64_t)rng_below(r, 40);
		b = b > SPAN_S ? SPAN_S : b;
		if (rng_below(r, 8) == 0) {
			ck_assert_int_eq(ledger_uncover(&l, BASE_S + a, BASE_S + b), 0);
			for (int64_t t = a; t < b; t++)
				model[t].question = -1;
		} else {
			int q = (int)rng_below(r, kinds);
			struct covered c = { BASE_S + a, BASE_S + b, now_s + (int64_t)rng_below(r, 4),
				rng_below(r, 4) ? INT64_MAX : overlaps[rng_below(r, 5)], questions[q] };

			if (!one_overlap)
				overlap_s = (int64_t)rng_below(r, 30);
			ck_assert_int_eq(ledger_cover(&l, &c, overlap_s), 0);
			for (int64_t t = a; t < b; t++)
				model[t] = (struct second){ q, claimed_s(&c, BASE_S + t) };
		}
		now_s += (int64_t)rng_below(r, 30);
		hold_against(&l, model, which);
		hold_covers(&l, model, which + (uint64_t)i);
		a = (int64_t)rng_below(r, SPAN_S);
		b = a + (int64_t)rng_below(r, (uint64_t)(SPAN_S - a) + 1);
		hold_missing(&l, model, &questions[rng_below(r, N_QUESTIONS)],
		             one_overlap ? overlap_s : (int64_t)rng_below(r, 30), a, b, one_overlap, which);
	}
	if (which % 8 == 0)
		hold_text(&l, which);
	ledger_free(&l);
}

START_TEST(random_histories)
{
	uint64_t seed = seed_of_test();
	struct rng r;

	for (uint64_t i = 0; i < CASES; i++) {
		rng_seed(&r, seed + i);
		one_case(&r, i, i % 4 != 0);
	}
}
END_TEST

START_TEST(wider_questions_cover_narrower)
{
	static const char expected[N_QUESTIONS][N_QUESTIONS + 1] = {
		/* narrow:  raw  all  ABr  Ar   B    AB */
		"111111", "010011", "001111", "000100", "000010", "000011",
	};

	for (size_t w = 0; w < N_QUESTIONS; w++)
		for (size_t n = 0; n < N_QUESTIONS; n++)
			ck_assert_msg(question_covers(&questions[w], &questions[n]) == (expected[w][n] == '1'),
			              "wide %zu narrow %zu", w, n);
}
END_TEST

/* A thousand nights, each reading the last hour again, leave one range and one provisional tail. */
START_TEST(nights_join)
{
	struct ledger l;
	struct gap *gaps = NULL;
	size_t n = 0;
	int64_t now_s = BASE_S;

	ledger_init(&l);
	for (int night = 0; night < 1000; night++, now_s += 86400 + night % 7) {
		ck_assert_int_eq(ledger_missing(&l, BASE_S - 86400, now_s - 120, &questions[0], 3600, &gaps, &n), 0);
		ck_assert_uint_eq(n, night == 0 ? 1 : 2);
		for (size_t i = 0; i < n; i++) {
			struct covered c = { gaps[i].from_s, gaps[i].to_s, now_s, INT64_MAX, questions[0] };

			ck_assert_int_eq(ledger_cover(&l, &c, 3600), 0);
		}
		free(gaps);
		ck_assert_uint_le(l.n_covered, 2);
	}
	ck_assert(l.covered[0].from_s == BASE_S - 86400);
	ck_assert(l.covered[0].overlap_s >= 3600 && l.covered[0].overlap_s < 3700);
	ledger_free(&l);
}
END_TEST

START_TEST(times_outside_are_refused)
{
	struct covered c = { BASE_S, BASE_S + 1, BASE_S, INT64_MAX, questions[0] };
	struct ledger l;

	ledger_init(&l);
	c.from_s = -1;
	ck_assert_int_eq(ledger_cover(&l, &c, 0), -1);
	c.from_s = BASE_S;
	c.to_s = LEDGER_TIME_MAX_S + 1;
	ck_assert_int_eq(ledger_cover(&l, &c, 0), -1);
	c.to_s = BASE_S;
	ck_assert_int_eq(ledger_cover(&l, &c, 0), 0);
	ck_assert_uint_eq(l.n_covered, 0);
	c.to_s = LEDGER_TIME_MAX_S;
	ck_assert_int_eq(ledger_cover(&l, &c, INT64_MAX), 0);
	ck_assert_uint_eq(l.n_covered, 1);
	ledger_free(&l);
}
END_TEST

static struct day
a_day(int64_t day_s, enum ledger_suffix suffix)
{
	struct day d = { day_s, suffix, 3, 300, day_s * INT64_C(1000000000) + 5, /* with a fraction */
		(day_s + 86399) * INT64_C(1000000000), { 0 } };

	for (int i = 0; i < 32; i++)
		d.sha256[i] = (unsigned char)(i * 7 + day_s / 86400);
	return d;
}

static void
fill(struct ledger *l)
{
	struct day d;
	struct covered c = { BASE_S, BASE_S + 100, BASE_S + 5000, INT64_MAX, questions[2] };
	const struct repair moving = { "2025-08-10.1", "2025-08-10.ndjson.gz", true, BASE_S - 86400, BASE_S, 12 };
	const struct repair moved = { "staging.12", "", false, BASE_S, BASE_S + 1, 0 };

	ledger_init(l);
	memcpy(l->org_id, "32b6e34b3d91647abb20e7b8", 25);
	l->since_s = BASE_S;
	ck_assert_int_eq(ledger_cover(l, &c, 60), 0);
	c = (struct covered){ BASE_S + 100, BASE_S + 200, BASE_S + 6000, 3600, questions[0] };
	ck_assert_int_eq(ledger_cover(l, &c, 60), 0);
	for (int i = 0; i < 5; i++) {
		d = a_day(BASE_S + 86400 * ((i * 3) % 5), (enum ledger_suffix)(i % 3));
		ck_assert_int_eq(ledger_set_day(l, &d), 0);
	}
	l->becoming = malloc(sizeof(d));
	ck_assert_ptr_nonnull(l->becoming);
	l->becoming[0] = a_day(BASE_S, LEDGER_ZSTD);
	l->n_becoming = 1;
	l->staging = calloc(1, sizeof(*l->staging));
	ck_assert_ptr_nonnull(l->staging);
	l->n_staging = 1;
	strcpy(l->staging[0].file, "000001.ndjson");
	l->staging[0].bytes = 77;
	l->staging[0].from_s = BASE_S + 5;
	l->staging[0].to_s = BASE_S + 9;
	ck_assert_int_eq(ledger_add_repair(l, &moving), 0);
	ck_assert_int_eq(ledger_add_repair(l, &moved), 0);
}

START_TEST(days_stand_in_order)
{
	struct ledger l;
	struct day d;

	fill(&l);
	ck_assert_uint_eq(l.n_days, 5);
	for (size_t i = 0; i < 5; i++) {
		ck_assert(l.days[i].day_s == BASE_S + 86400 * (int64_t)i);
		ck_assert_ptr_eq(ledger_day(&l, l.days[i].day_s), &l.days[i]);
	}
	ck_assert_ptr_null(ledger_day(&l, BASE_S - 86400));
	ck_assert_ptr_null(ledger_day(&l, BASE_S + 86400 * 5));
	d = a_day(BASE_S + 86400, LEDGER_PLAIN);
	d.events = 9;
	ck_assert_int_eq(ledger_set_day(&l, &d), 0);
	ck_assert_uint_eq(l.n_days, 5);
	ck_assert_uint_eq(l.days[1].events, 9);
	hold_text(&l, 0);
	ledger_free(&l);
}
END_TEST

#define COVERED \
" \"org_id\": \"32b6e34b3d91647abb20e7b8\",\n \"since\": \"2025-08-11T00:00:00Z\",\n" \
" \"covered\": [\n" \
"  {\"from\": \"2025-08-11T00:00:00Z\", \"to\": \"2025-08-11T00:01:40Z\", \"as_of\": \"2025-08-11T01:23:20Z\"," \
" \"event_types\": [\"A\", \"B\"], \"include_raw\": true},\n" \
"  {\"from\": \"2025-08-11T00:01:40Z\", \"to\": \"2025-08-11T00:03:20Z\", \"as_of\": \"2025-08-11T01:40:00Z\"," \
" \"overlap\": 3600, \"event_types\": null, \"include_raw\": true}],\n" \
" \"days\": {\n  \"2025-08-11\": {\"suffix\": \".ndjson.zst\", \"events\": 2, \"bytes\": 40, \"first\":" \
" \"2025-08-11T00:00:01Z\", \"last\": \"2025-08-11T23:59:59.500000000Z\", \"sha256\":" \
" \"0707070707070707070707070707070707070707070707070707070707070707\"}},\n"
#define SHA " \"sha256\": \"0707070707070707070707070707070707070707070707070707070707070707\"}],\n"

/* Of format 1, which is read. */
static const char sound[] =
"{\"format\": 1,\n" COVERED
" \"staging\": [\n  {\"file\": \"000001.ndjson\", \"bytes\": 5," SHA
" \"becoming\": {}}\n";

/* What is written, but for its last line. */
static const char written[] =
"{\"format\": 2,\n" COVERED
" \"staging\": [\n  {\"file\": \"000001.ndjson\", \"bytes\": 5, \"from\": \"2025-08-11T00:00:00Z\", \"to\":"
" \"2025-08-11T00:00:07Z\"," SHA
" \"becoming\": {},\n"
" \"repairs\": [\n"
"  {\"aside\": \"2025-08-10.1\", \"file\": \"2025-08-10.ndjson.gz\", \"moving\": true, \"from\":"
" \"2025-08-10T00:00:00Z\", \"to\": \"2025-08-11T00:00:00Z\", \"events\": 12},\n"
"  {\"aside\": \"2025-08-09.3\", \"file\": null, \"moving\": false, \"from\": \"2025-08-09T00:00:00Z\", \"to\":"
" \"2025-08-10T00:00:00Z\", \"events\": 1}]";

/* Puts the last line after the text. */
static void
seal(struct buf *b)
{
	unsigned char sha256[32];
	char hex[65];

	ck_assert_int_eq(sha256_of(b->data, b->len, sha256), 0);
	sha256_hex(sha256, hex);
	ck_assert_int_eq(buf_printf(b, ",\n \"sha256\": \"%s\"}\n", hex), 0);
}

START_TEST(text_is_what_the_book_says)
{
	struct buf b, again;
	struct ledger l;
	struct err e;

	err_clear(&e);
	ledger_init(&l);
	buf_init(&b, 1 << 20);
	ck_assert_msg(ledger_read(&l, sound, strlen(sound), "acme/ledger.json", &e) == 0, "%s", e.text);
	ck_assert(l.since_s == BASE_S);
	ck_assert_uint_eq(l.n_covered, 2);
	ck_assert(l.covered[0].overlap_s == INT64_MAX && l.covered[1].overlap_s == 3600);
	ck_assert(l.days[0].last_ns == (BASE_S + 86399) * INT64_C(1000000000) + 500000000);
	ck_assert(l.staging[0].from_s == 0 && l.staging[0].to_s == LEDGER_TIME_MAX_S); /* nobody knows */
	ck_assert_uint_eq(l.n_repairs, 0);
	hold_text(&l, 0);
	ck_assert_int_eq(buf_append_str(&b, written), 0);
	seal(&b);
	ck_assert_msg(ledger_read(&l, b.data, b.len, "acme/ledger.json", &e) == 0, "%s", e.text);
	ck_assert(l.staging[0].from_s == BASE_S && l.staging[0].to_s == BASE_S + 7);
	ck_assert_uint_eq(l.n_repairs, 2);
	ck_assert_str_eq(l.repairs[0].file, "2025-08-10.ndjson.gz");
	ck_assert_str_eq(l.repairs[1].aside, "2025-08-09.3");
	ck_assert_str_eq(l.repairs[1].file, "");
	ck_assert(l.repairs[0].moving && !l.repairs[1].moving && l.repairs[0].events == 12);
	buf_init(&again, 1 << 20);
	ck_assert_int_eq(ledger_write(&l, &again), 0);
	ck_assert_uint_eq(again.len, b.len);
	ck_assert_int_eq(memcmp(again.data, b.data, b.len), 0);
	buf_free(&again);
	buf_free(&b);
	ledger_free(&l);
}
END_TEST

/* What to replace in the sound text, and with what, so that it must be refused. */
static const struct { const char *old, *new; } wrong[] = {
	{ "\"format\": 1", "\"format\": 0" },
	{ "\"format\": 1", "\"format\": \"1\"" },
	{ "\"format\": 1,", "" },
	{ "\"format\": 1", "\"format\": 1, \"extra\": 1" },
	{ "\"format\": 1", "\"format\": 1, \"format\": 1" },
	{ "\"32b6", "\"32B6" },
	{ "\"32b6", "\"x2b6" },
	{ "7b8\"", "7b\"" },
	{ "\"since\": \"2025-08-11T00:00:00Z\"", "\"since\": 5" },
	{ "\"since\": \"2025-08-11T00:00:00Z\"", "\"since\": \"2025-08-11\"" },
	{ "\"since\": \"2025-08-11T00:00:00Z\",", "" },
	{ "\"to\": \"2025-08-11T00:01:40Z\"", "\"to\": \"2025-08-11T00:00:00Z\"" },
	{ "\"to\": \"2025-08-11T00:01:40Z\"", "\"to\": \"2025-08-11T00:01:41Z\"" },
	{ "\"from\": \"2025-08-11T00:01:40Z\"", "\"from\": \"2025-13-11T00:01:40Z\"" },
	{ "\"overlap\": 3600", "\"overlap\": -1" },
	{ "\"overlap\": 3600", "\"overlap\": 1.5" },
	{ "\"overlap\": 3600", "\"over_lap\": 3600" },
	{ "[\"A\", \"B\"]", "[]" },
	{ "[\"A\", \"B\"]", "[\"B\", \"A\"]" },
	{ "[\"A\", \"B\"]", "[\"A\", \"A\"]" },
	{ "[\"A\", \"B\"]", "[\"\", \"B\"]" },
	{ "[\"A\", \"B\"]", "[1]" },
	{ "[\"A\", \"B\"]", "\"A\"" },
	{ "\"include_raw\": true", "\"include_raw\": 1" },
	{ "\"2025-08-11\"", "\"2025-02-30\"" },
	{ "\"2025-08-11\"", "\"2025-08-12\"" },
	{ "\"2025-08-11\"", "\"../08-11\"" },
	{ ".ndjson.zst", ".ndjson.xz" },
	{ "\"events\": 2", "\"events\": 0" },
	{ "\"events\": 2", "\"events\": -2" },
	{ "\"events\": 2", "\"events\": 2.0" },
	{ "\"events\": 2", "\"events\": 99999999999999999999" },
	{ "\"bytes\": 40", "\"bytes\": 1" },
	{ "00:00:01Z", "00:00:01.0Z" },
	{ "00:00:01Z", "00:00:01.000000000Z" },
	{ "00:00:01Z", "00:00:01.5Z" },
	{ "11T23:59:59.500000000Z", "12T00:00:00Z" },
	{ "\"first\": \"2025-08-11T00:00:01Z\"", "\"first\": \"2025-08-11T23:59:59.600000000Z\"" },
	{ "\"sha256\": \"07", "\"sha256\": \"0" },
	{ "\"sha256\": \"07", "\"sha256\": \"0A" },
	{ "000001.ndjson", "1.ndjson" },
	{ "000001.ndjson", "../1.ndjson" },
	{ "000001.ndjson", "000001.ndjson\\u0000" },
	{ "000001.ndjson", "000000000000000000000000000000001.ndjson" },
	{ "\"bytes\": 5", "\"bytes\": \"5\"" },
	{ "\"becoming\": {}", "\"becoming\": []" },
	{ "\"becoming\": {}", "\"becoming\": {\"2025-08-11\": {}}" },
	{ "\"becoming\": {}}", "\"becoming\": {}} {}" },
	{ "\"becoming\": {}}", "\"becoming\": {}" },
};

START_TEST(damaged_text_is_refused)
{
	struct ledger l;
	struct err e;
	struct buf b;
	const char *at;

	buf_init(&b, 1 << 20);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		buf_reset(&b);
		at = strstr(sound, wrong[i].old);
		ck_assert_msg(at != NULL, "no %s", wrong[i].old);
		ck_assert_int_eq(buf_append(&b, sound, (size_t)(at - sound)), 0);
		ck_assert_int_eq(buf_append_str(&b, wrong[i].new), 0);
		ck_assert_int_eq(buf_append_str(&b, at + strlen(wrong[i].old)), 0);
		fill(&l);
		err_clear(&e);
		ck_assert_msg(ledger_read(&l, b.data, b.len, "acme/ledger.json", &e) == -1,
		              "%s -> %s was read", wrong[i].old, wrong[i].new);
		ck_assert_int_eq(e.code, ERR_LEDGER);
		ck_assert_ptr_nonnull(strstr(e.text, "acme/ledger.json"));
		ck_assert_str_ne(e.hint, "");
		ck_assert_uint_eq(l.n_days, 5); /* untouched */
		ledger_free(&l);
	}
	buf_free(&b);
}
END_TEST

/* As wrong[], of what only format 2 has; the last line is right each time. */
static const struct { const char *old, *new; } wrong_2[] = {
	{ "\"format\": 2", "\"format\": 1" },
	{ "\"from\": \"2025-08-11T00:00:00Z\", \"to\": \"2025-08-11T00:00:07Z\",", "" },
	{ "\"2025-08-11T00:00:07Z\"", "\"2025-08-11T00:00:00Z\"" },
	{ "2025-08-10.1", "../08-10.1" },
	{ "2025-08-10.1", ".." },
	{ "2025-08-10.1", "2025/08-10.1" },
	{ "2025-08-10.1", "2025-08-10.1111111111111" },
	{ "\"aside\": \"2025-08-10.1\"", "\"aside\": null" },
	{ "2025-08-10.ndjson.gz", "../../acme/ledger.json" },
	{ "2025-08-10.ndjson.gz", "ledger.json" },
	{ "\"moving\": true", "\"moving\": 1" },
	{ "\"moving\": true, ", "" },
	{ "\"moving\": true", "\"moving\": true, \"more\": 1" },
	{ "\"from\": \"2025-08-10T00:00:00Z\"", "\"from\": \"2025-08-12T00:00:00Z\"" },
	{ "\"events\": 12", "\"events\": -12" },
	{ "\"repairs\": [", "\"repairs\": null, \"other\": [" },
	{ "\"repairs\": [", "\"others\": [" },
};

START_TEST(damaged_text_of_format_2_is_refused)
{
	struct ledger l;
	struct err e;
	struct buf b;
	const char *at;

	buf_init(&b, 1 << 20);
	for (size_t i = 0; i < sizeof(wrong_2) / sizeof(wrong_2[0]); i++) {
		buf_reset(&b);
		at = strstr(written, wrong_2[i].old);
		ck_assert_msg(at != NULL, "no %s", wrong_2[i].old);
		ck_assert_int_eq(buf_append(&b, written, (size_t)(at - written)), 0);
		ck_assert_int_eq(buf_append_str(&b, wrong_2[i].new), 0);
		ck_assert_int_eq(buf_append_str(&b, at + strlen(wrong_2[i].old)), 0);
		seal(&b);
		ledger_init(&l);
		err_clear(&e);
		ck_assert_msg(ledger_read(&l, b.data, b.len, "acme/ledger.json", &e) == -1, "%s -> %s was read",
		              wrong_2[i].old, wrong_2[i].new);
		ck_assert_int_eq(e.code, ERR_LEDGER);
		ck_assert_msg(strstr(e.text, "SHA-256") == NULL, "%s", e.text);
		ledger_free(&l);
	}
	buf_free(&b);
}
END_TEST

/* Every single byte that is changed, put in or taken out is found. */
START_TEST(its_own_sum_finds_every_edit)
{
	struct buf b;
	struct ledger l;
	struct err e;

	buf_init(&b, 1 << 20);
	ck_assert_int_eq(buf_append_str(&b, written), 0);
	seal(&b);
	for (size_t at = 0; at < b.len; at++)
		for (int how = 0; how < 3; how++) {
			char *text = malloc(b.len + 1);
			size_t len = b.len;

			ck_assert_ptr_nonnull(text);
			memcpy(text, b.data, len);
			if (how == 0) {
				text[at] ^= 1;
			} else if (how == 1) {
				memmove(text + at, text + at + 1, --len - at);
			} else {
				memmove(text + at + 1, text + at, len++ - at);
				text[at] = ' ';
			}
			err_clear(&e);
			ledger_init(&l);
			HOLDS(ledger_read(&l, text, len, "x", &e) == -1 && e.code == ERR_LEDGER, "byte %zu, %d", at, how);
			ledger_free(&l);
			free(text);
		}
	buf_free(&b);
}
END_TEST

START_TEST(newer_format_is_named)
{
	static const char newer[] = "{\"format\": 3, \"something\": \"else\"}";
	struct ledger l;
	struct err e;

	err_clear(&e);
	ledger_init(&l);
	ck_assert_int_eq(ledger_read(&l, newer, strlen(newer), "acme/ledger.json", &e), -1);
	ck_assert_int_eq(e.code, ERR_LEDGER);
	ck_assert_ptr_nonnull(strstr(e.text, "newer orgsync (format 3"));
	ledger_free(&l);
}
END_TEST

/* Bytes changed, cut, doubled: refused, or a ledger that can be written and read again. */
START_TEST(mangled_text)
{
	uint64_t seed = seed_of_test();
	size_t refused = 0;
	struct rng r;
	struct err e;

	rng_seed(&r, seed);
	for (int i = 0; i < 4000; i++) {
		size_t len = strlen(sound), at = rng_below(&r, len);
		char *text = malloc(2 * len);
		struct ledger l;

		ck_assert_ptr_nonnull(text);
		memcpy(text, sound, len);
		if (i % 4 == 0)
			len = at;
		else if (i % 4 == 1)
			memmove(text + at, text + at + 1, --len - at);
		else
			text[at] = (char)(i % 4 == 2 ? text[rng_below(&r, len)] : (char)rng_below(&r, 256));
		err_clear(&e);
		ledger_init(&l);
		if (ledger_read(&l, text, len, "x", &e) == 0)
			hold_text(&l, (uint64_t)i);
		else
			refused++;
		ledger_free(&l);
		free(text);
	}
	ck_assert_uint_gt(refused, 3000);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("ledger");
	TCase *t = tcase_create("ledger");
	SRunner *runner;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_test(t, random_histories);
	tcase_add_test(t, wider_questions_cover_narrower);
	tcase_add_test(t, nights_join);
	tcase_add_test(t, times_outside_are_refused);
	tcase_add_test(t, days_stand_in_order);
	tcase_add_test(t, text_is_what_the_book_says);
	tcase_add_test(t, damaged_text_is_refused);
	tcase_add_test(t, damaged_text_of_format_2_is_refused);
	tcase_add_test(t, its_own_sum_finds_every_edit);
	tcase_add_test(t, newer_format_is_named);
	tcase_add_test(t, mangled_text);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
