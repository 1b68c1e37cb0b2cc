/* The rules of reading, one by one: what is asked next after a given answer, what is kept and what is
 * claimed. The histories (test_sync_histories.c) show that the rules are enough; these show what each is. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/isotime.h"
#include "lib/base/log.h"
#include "lib/sync/seen.h"
#include "lib/sync/sync.h"

#define NOW_S INT64_C(1800000000)
#define ROWS_MAX 2000

/* A store that remembers what it was told. */
struct memory {
	struct ledger ledger;
	char ids[ROWS_MAX][8];
	size_t n_put, uncommitted_bytes;
	unsigned quarantined, commits;
	bool finished, fails;
};

static const struct ledger *
memory_ledger(void *ctx)
{
	return &((struct memory *)ctx)->ledger;
}

static int
memory_set_since(void *ctx, int64_t since_s, struct err *e)
{
	(void)e;
	((struct memory *)ctx)->ledger.since_s = since_s;
	return 0;
}

static int
memory_put(void *ctx, const struct event *events, size_t n, struct err *e)
{
	struct memory *m = ctx;

	if (m->fails)
		return err_set(e, ERR_IO, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR, "disk full");
	for (size_t i = 0; i < n && m->n_put < ROWS_MAX; i++)
		memcpy(m->ids[m->n_put++], events[i].id, events[i].id_len + 1);
	return 0;
}

static int
memory_quarantine(void *ctx, const char *bytes, size_t len, struct err *e)
{
	(void)bytes, (void)len, (void)e;
	((struct memory *)ctx)->quarantined++;
	return 0;
}

static int
memory_commit(void *ctx, const struct covered *ranges, size_t n, bool finish, struct err *e)
{
	struct memory *m = ctx;

	(void)e;
	m->commits++;
	m->uncommitted_bytes = 0;
	m->finished |= finish;
	for (size_t i = 0; i < n; i++)
		ck_assert_int_eq(ledger_cover(&m->ledger, &ranges[i], 0), 0);
	return 0;
}

static size_t
memory_uncommitted(void *ctx)
{
	return ((struct memory *)ctx)->uncommitted_bytes;
}

static struct memory memory;
static struct sync *sync_under_test;
static struct atlas_question question;

/* Runs the store's steps; true where a question is asked, which is then in `question`. */
static bool
asks(void)
{
	enum sync_step step;

	while ((step = sync_next(sync_under_test, NOW_S, 0, &question)) == SYNC_STORE)
		sync_store_step(sync_under_test);
	return step == SYNC_ASK;
}

static void
begin(enum sync_start start, int64_t start_s, int64_t settle_s)
{
	struct sync_options options = { .name = "test", .start = start, .start_s = start_s,
		                        .settle_s = settle_s, .rows = 5 };
	struct sync_store store = { &memory, memory_ledger, memory_set_since, memory_put, memory_quarantine,
		                    memory_commit, memory_uncommitted };

	sync_free(sync_under_test);
	ledger_free(&memory.ledger);
	memset(&memory, 0, sizeof(memory));
	ledger_init(&memory.ledger);
	sync_under_test = sync_new(&options, &store);
	ck_assert_ptr_nonnull(sync_under_test);
}

/* An answer with n rows at the given seconds before NOW_S; ids are given names. */
struct row { int64_t before_s; const char *id; };

static void
answer_dated(const struct row *rows, size_t n, bool has_next, int64_t total, int64_t date_s)
{
	struct event events[ROWS_MAX];
	struct page page = { .events = events, .n_events = n, .rows = n, .has_next = has_next,
		             .total_count = total };

	for (size_t i = 0; i < n; i++)
		events[i] = (struct event){ rows[i].id, strlen(rows[i].id), rows[i].id, strlen(rows[i].id),
			                    (NOW_S - rows[i].before_s) * NS_PER_S };
	sync_take_page(sync_under_test, &page, date_s, NOW_S, 0);
}

#define ANSWER(has_next, total, ...) do { \
	const struct row rows_[] = { { 0, NULL }, __VA_ARGS__ }; \
	answer_dated(rows_ + 1, sizeof(rows_) / sizeof(rows_[0]) - 1, has_next, total, NOW_S); \
} while (0)

#define ASKED(from_before_s, to_before_s, page_number) do { \
	ck_assert(asks()); \
	ck_assert_int_eq(NOW_S - question.min_s, from_before_s); \
	ck_assert_int_eq(NOW_S - question.max_s, to_before_s); \
	ck_assert_uint_eq(question.page, page_number); \
} while (0)

#define COVERED(i, from_before_s, to_before_s) do { \
	ck_assert_uint_gt(memory.ledger.n_covered, i); \
	ck_assert_int_eq(NOW_S - memory.ledger.covered[i].from_s, from_before_s); \
	ck_assert_int_eq(NOW_S - memory.ledger.covered[i].to_s, to_before_s); \
} while (0)

START_TEST(a_short_page_ends_a_range)
{
	begin(SYNC_START_AT, NOW_S - 100, 10);
	ASKED(101, 10, 1); /* one second before the start, and the end itself */
	ANSWER(false, 2, { 10, "end" }, { 50, "a" }, { 100, "b" }, { 101, "early" });
	ck_assert(!asks());
	ck_assert_uint_eq(memory.n_put, 2); /* not those outside [start, end) */
	ck_assert_str_eq(memory.ids[0], "a");
	COVERED(0, 100, 10);
	ck_assert(sync_result(sync_under_test)->up_to_date);
	ck_assert(memory.finished);
}
END_TEST

START_TEST(a_full_page_goes_on_below_its_oldest_second)
{
	begin(SYNC_START_AT, NOW_S - 100, 10);
	ASKED(101, 10, 1);
	ANSWER(false, -1, { 20, "a" }, { 20, "b" }, { 30, "c" }, { 40, "d" }, { 40, "e" });
	ASKED(101, 39, 1);
	ck_assert_uint_eq(memory.n_put, 3); /* second 40 may go on: it is read again */
	ANSWER(false, 3, { 40, "e" }, { 40, "d" }, { 40, "f" });
	ck_assert(!asks());
	ck_assert_uint_eq(memory.n_put, 6);
	COVERED(0, 100, 10);
}
END_TEST

START_TEST(a_next_link_or_a_larger_count_is_more_too)
{
	begin(SYNC_START_AT, NOW_S - 100, 10);
	ASKED(101, 10, 1);
	ANSWER(true, 0, { 20, "a" }, { 30, "b" });   /* a server that gives two rows where five were asked */
	ASKED(101, 29, 1);
	ANSWER(false, 9, { 30, "b" }, { 40, "c" });
	ASKED(101, 39, 1);
	ANSWER(false, 1, { 40, "c" });
	ck_assert(!asks());
	ck_assert_uint_eq(memory.n_put, 3);
	COVERED(0, 100, 10);
}
END_TEST

START_TEST(a_second_that_fills_the_page_is_paged_by_number)
{
	begin(SYNC_START_AT, NOW_S - 100, 10);
	ASKED(101, 10, 1);
	ANSWER(true, 7, { 11, "a" }, { 11, "b" }, { 11, "c" }, { 11, "d" }, { 11, "e" });
	ASKED(101, 10, 2);
	ANSWER(false, 7, { 11, "f" }, { 12, "g" });
	ck_assert(!asks());
	ck_assert_uint_eq(memory.n_put, 7);
	COVERED(0, 100, 10);
}
END_TEST

START_TEST(rows_at_the_upper_bound_do_not_stop_it)
{
	begin(SYNC_START_AT, NOW_S - 100, 10);
	ASKED(101, 10, 1);
	ANSWER(true, 6, { 10, "a" }, { 10, "b" }, { 10, "c" }, { 10, "d" }, { 10, "e" });
	ASKED(101, 10, 2);
	ANSWER(false, 6, { 11, "f" });
	ck_assert(!asks());
	ck_assert_uint_eq(memory.n_put, 1);
	COVERED(0, 100, 10);
}
END_TEST

START_TEST(a_pass_with_a_repeated_row_is_read_again)
{
	begin(SYNC_START_AT, NOW_S - 12, 10);
	ASKED(13, 10, 1);
	ANSWER(true, 7, { 11, "a" }, { 11, "b" }, { 11, "c" }, { 11, "d" }, { 11, "e" });
	ASKED(13, 10, 2);
	ANSWER(false, 7, { 11, "a" }, { 12, "z" }); /* the order changed: one row twice, one never */
	ASKED(12, 10, 1);                           /* that second alone, from its first page */
	ANSWER(true, 6, { 11, "f" }, { 11, "b" }, { 11, "c" }, { 11, "d" }, { 11, "e" });
	ASKED(12, 10, 2);
	ANSWER(false, 6, { 11, "a" });
	ck_assert(!asks());
	COVERED(0, 12, 10);
	ck_assert(sync_result(sync_under_test)->up_to_date);
}
END_TEST

START_TEST(an_unstable_second_is_given_up_and_the_rest_goes_on)
{
	int questions = 0;

	begin(SYNC_START_AT, NOW_S - 20, 10);
	while (asks() && questions++ < 100) {
		if (question.page == 1)
			ANSWER(true, 7, { 11, "a" }, { 11, "b" }, { 11, "c" }, { 11, "d" }, { 11, "e" });
		else
			ANSWER(false, 7, { 11, "a" }, { 11, "b" });
	}
	ck_assert_int_eq(questions, 2 * 11); /* what is older was whole on page 2 */
	ck_assert_uint_eq(memory.ledger.n_covered, 1);
	COVERED(0, 20, 11);
	ck_assert_uint_eq(sync_result(sync_under_test)->lost_seconds, 1);
	ck_assert_int_eq(sync_result(sync_under_test)->lost_why.code, ERR_UNSTABLE);
	ck_assert(!sync_result(sync_under_test)->up_to_date);
}
END_TEST

START_TEST(an_answer_that_ends_before_its_count_is_read_twice)
{
	begin(SYNC_START_AT, NOW_S - 12, 10);
	ASKED(13, 10, 1);
	ANSWER(true, 9, { 11, "a" }, { 11, "b" }, { 11, "c" }, { 11, "d" }, { 11, "e" });
	ASKED(13, 10, 2);
	ANSWER(false, 9, { 11, "f" });
	ASKED(13, 10, 3);
	ANSWER(false, 9);
	ASKED(13, 10, 1); /* nine were promised: once more */
	ANSWER(true, 9, { 11, "a" }, { 11, "b" }, { 11, "c" }, { 11, "d" }, { 11, "e" });
	ASKED(13, 10, 2);
	ANSWER(false, 9, { 11, "f" });
	ASKED(13, 10, 3);
	ANSWER(false, 9);
	ck_assert(!asks());
	COVERED(0, 12, 10);
}
END_TEST

START_TEST(a_silent_cap_is_taken_over_for_page_numbers)
{
	begin(SYNC_START_AT, NOW_S - 12, 10);
	ASKED(13, 10, 1);
	ck_assert_uint_eq(question.rows, 5);
	ANSWER(false, 5, { 11, "a" }, { 11, "b" }, { 11, "c" });
	ASKED(13, 10, 2);
	ck_assert_uint_eq(question.rows, 3);
	ANSWER(false, 5, { 11, "d" }, { 11, "e" });
	ck_assert(!asks());
	ck_assert_uint_eq(memory.n_put, 5);
	COVERED(0, 12, 10);
}
END_TEST

START_TEST(a_count_that_says_nothing_is_not_believed)
{
	const int64_t counts[] = { 0, -1, 2 };

	for (int i = 0; i < 3; i++) {
		/* A server that caps its pages at three rows, without a word, and counts nothing. */
		begin(SYNC_START_AT, NOW_S - 100, 10);
		ASKED(101, 10, 1);
		ANSWER(false, counts[i], { 20, "a" }, { 30, "b" }, { 40, "c" });
		ASKED(101, 39, 1);
		ANSWER(false, counts[i], { 40, "c" }, { 50, "d" }, { 60, "e" });
		ASKED(101, 59, 1);
		ANSWER(false, counts[i] > 0 ? 0 : counts[i], { 60, "e" });
		ASKED(101, 59, 2); /* one row of three: it is empty that ends it */
		ANSWER(false, 0);
		ck_assert(!asks());
		ck_assert_uint_eq(memory.n_put, 5);
		COVERED(0, 100, 10);
	}
}
END_TEST

START_TEST(a_page_in_no_order_is_halved)
{
	begin(SYNC_START_AT, NOW_S - 18, 10);
	ASKED(19, 10, 1);
	ANSWER(true, 9, { 12, "a" }, { 17, "b" }, { 11, "c" }, { 15, "d" }, { 16, "e" });
	ASKED(15, 10, 1);
	ck_assert_uint_eq(memory.n_put, 0);
	ANSWER(false, 2, { 12, "a" }, { 11, "c" }); /* no order, and all of it: fine */
	ASKED(19, 14, 1);
	ANSWER(false, 3, { 17, "b" }, { 15, "d" }, { 16, "e" });
	ck_assert(!asks());
	ck_assert_uint_eq(memory.n_put, 5);
	COVERED(0, 18, 10);
	ck_assert_uint_eq(sync_result(sync_under_test)->unordered_pages, 1);
}
END_TEST

START_TEST(a_bad_page_is_narrowed_to_one_second)
{
	struct err why;
	int questions = 0;

	err_clear(&why);
	err_set(&why, ERR_PAGE, ERR_SCOPE_PAGE, ERR_RETRY_NOW, "not JSON");
	begin(SYNC_START_AT, NOW_S - 42, 10);
	while (asks()) {
		ck_assert_int_lt(questions++, 60);
		/* An event stored inside second 30 spoils every answer that holds it. */
		if (question.min_s <= NOW_S - 30 && question.max_s > NOW_S - 30) {
			sync_take_bad_page(sync_under_test, &why);
			continue;
		}
		if (question.min_s <= NOW_S - 29 && question.max_s >= NOW_S - 28)
			ANSWER(false, 1, { 29, "after" });
		else
			ANSWER(false, 0);
	}
	/* 30 cannot be read. 29 was read without the second before it, which might hold a rounded one of its:
	 * what it gave is kept, and it is not claimed. */
	ck_assert_uint_eq(memory.n_put, 1);
	ck_assert_uint_eq(sync_result(sync_under_test)->lost_seconds, 2);
	ck_assert_uint_eq(memory.ledger.n_covered, 2);
	COVERED(0, 42, 30);
	COVERED(1, 28, 10);
}
END_TEST

START_TEST(a_bad_second_in_two_years_is_found_in_few_questions)
{
	const int64_t bad_s = NOW_S - 20000000;
	int questions = 0;
	struct err why;

	err_clear(&why);
	err_set(&why, ERR_PAGE, ERR_SCOPE_PAGE, ERR_RETRY_NOW, "not JSON");
	begin(SYNC_START_AT, NOW_S - 63072000, 10);
	while (asks()) {
		bool bad = question.min_s <= bad_s && question.max_s > bad_s;

		/* As tenant.c asks: a bad answer as often as it is worth it. */
		questions += bad ? (int)sync_page_tries(sync_under_test) : 1;
		if (bad)
			sync_take_bad_page(sync_under_test, &why);
		else
			ANSWER(false, 0);
	}
	ck_assert_int_le(questions, 80); /* 26 halvings, each with its sound other half, and the last seconds */
	ck_assert_uint_eq(sync_result(sync_under_test)->lost_seconds, 2);
	ck_assert_uint_eq(memory.ledger.n_covered, 2);
}
END_TEST

START_TEST(a_second_is_not_given_up_for_a_few_bad_answers)
{
	struct err why;

	err_clear(&why);
	err_set(&why, ERR_PAGE, ERR_SCOPE_PAGE, ERR_RETRY_NOW, "not JSON");
	begin(SYNC_START_AT, NOW_S - 12, 10);
	ASKED(13, 10, 1);
	ck_assert_uint_eq(sync_page_tries(sync_under_test), 3); /* two seconds can still be narrowed down */
	sync_take_bad_page(sync_under_test, &why);
	ck_assert(asks());
	ck_assert_uint_eq(sync_page_tries(sync_under_test), 3); /* the control question */
	ANSWER(false, 0);
	ASKED(12, 10, 1);
	ck_assert_uint_eq(sync_page_tries(sync_under_test), 8); /* nothing is left to narrow */
	sync_take_bad_page(sync_under_test, &why);
	ck_assert(asks());
	ck_assert_uint_eq(sync_page_tries(sync_under_test), 3); /* beside it: what comes is kept, not claimed */
	ANSWER(false, 0);
	ASKED(13, 11, 1);
	ck_assert_uint_eq(sync_page_tries(sync_under_test), 8);
	ANSWER(false, 0);
	ck_assert(!asks());
	ck_assert_uint_eq(sync_result(sync_under_test)->lost_seconds, 1);
}
END_TEST

START_TEST(nothing_is_covered_that_has_not_settled_on_either_clock)
{
	begin(SYNC_START_AT, NOW_S - 100, 10);
	ASKED(101, 10, 1);
	/* The server's clock is 40 s behind ours. */
	answer_dated((const struct row[]){ { 60, "a" } }, 1, false, 1, NOW_S - 40);
	ck_assert(!asks());
	COVERED(0, 100, 50);
	ck_assert_int_eq(NOW_S - memory.ledger.covered[0].as_of_s, 40);
	ck_assert_int_eq(sync_result(sync_under_test)->clock_difference_s, 40);
	/* Ours is behind: nothing after our own now. */
	begin(SYNC_START_AT, NOW_S - 100, 10);
	ASKED(101, 10, 1);
	answer_dated(NULL, 0, false, 0, NOW_S + 86400);
	ck_assert(!asks());
	COVERED(0, 100, 10);
	/* Nor is a second final because of that: it may be the server's clock that is wrong. */
	ck_assert_int_eq(memory.ledger.covered[0].as_of_s, NOW_S);
	ck_assert(sync_result(sync_under_test)->up_to_date);
	/* No Date at all, or one that no clock shows. */
	begin(SYNC_START_AT, NOW_S - 100, 10);
	ASKED(101, 10, 1);
	answer_dated(NULL, 0, false, 0, 1000000);
	ck_assert(!asks());
	COVERED(0, 100, 10);
	ck_assert_int_eq(sync_result(sync_under_test)->clock_difference_s, 0);
	ck_assert(sync_result(sync_under_test)->up_to_date);
}
END_TEST

/* Where all that our clock asks for is covered nobody is asked; what the ledger knows of the server's clock shows
 * all the same that ours was set back. */
START_TEST(a_clock_that_was_set_back_is_seen_by_the_ledger)
{
	struct covered c = { NOW_S - 100, NOW_S + 3000, NOW_S + 3600, INT64_MAX, { NULL, 0, false } };

	begin(SYNC_START_AT, NOW_S - 100, 10);
	ck_assert_int_eq(ledger_cover(&memory.ledger, &c, 0), 0);
	ck_assert(!asks());
	ck_assert_int_eq(sync_result(sync_under_test)->clock_difference_s, -3600);
	ck_assert(sync_result(sync_under_test)->up_to_date);
	ck_assert_uint_eq(memory.ledger.n_covered, 1);
	COVERED(0, 100, -3000);
	/* An answer of a moment ago says nothing. */
	begin(SYNC_START_AT, NOW_S - 100, 10);
	c.to_s = NOW_S - 20;
	c.as_of_s = NOW_S - 10;
	ck_assert_int_eq(ledger_cover(&memory.ledger, &c, 0), 0);
	ASKED(21, 10, 1);
	ck_assert_int_eq(sync_result(sync_under_test)->clock_difference_s, 0);
}
END_TEST

START_TEST(a_page_after_the_end_was_moved_is_not_used)
{
	begin(SYNC_START_AT, NOW_S - 100, 10);
	ASKED(101, 10, 1);
	/* By the server's clock the end is 50; the page lies in the second before that. */
	answer_dated((const struct row[]){ { 51, "a" }, { 51, "b" }, { 51, "c" }, { 51, "d" }, { 51, "e" } }, 5,
	             true, 6, NOW_S - 40);
	ASKED(101, 50, 1); /* page 2 of the old question would be other rows */
}
END_TEST

START_TEST(a_first_run_without_a_start_asks_once_and_fetches_nothing)
{
	begin(SYNC_START_SINCE, 0, 10);
	ck_assert(asks());
	ck_assert_int_eq(memory.ledger.since_s, NOW_S); /* durable before the first question */
	ck_assert_uint_eq(question.rows, 1);
	ANSWER(false, 1, { 0, "now" });
	ck_assert(!asks());
	ck_assert_uint_eq(memory.n_put, 0);
	ck_assert_int_eq(memory.ledger.since_s, NOW_S);
	ck_assert(sync_result(sync_under_test)->up_to_date);
}
END_TEST

START_TEST(a_fast_clock_does_not_make_the_first_second_too_late)
{
	begin(SYNC_START_SINCE, 0, 10);
	ck_assert(asks());
	answer_dated(NULL, 0, false, 0, NOW_S - 86400);
	ck_assert(!asks());
	ck_assert_int_eq(memory.ledger.since_s, NOW_S - 86400);
}
END_TEST

START_TEST(an_event_of_another_organization_ends_it)
{
	struct page page = { .rows = 1, .n_foreign = 1, .total_count = 1, .foreign_org_id = "elsewhere" };

	begin(SYNC_START_AT, NOW_S - 100, 10);
	ASKED(101, 10, 1);
	sync_take_page(sync_under_test, &page, NOW_S, NOW_S, 0);
	ck_assert(!asks());
	ck_assert_int_eq(sync_result(sync_under_test)->err.code, ERR_FOREIGN_EVENT);
	ck_assert_uint_eq(memory.ledger.n_covered, 0);
}
END_TEST

START_TEST(an_event_that_cannot_be_filed_is_kept_apart_and_covered)
{
	struct page_fault fault = { "{}", 2, EVENT_NO_ID };
	struct page page = { .rows = 1, .faults = &fault, .n_faults = 1, .total_count = 1 };

	begin(SYNC_START_AT, NOW_S - 100, 10);
	ASKED(101, 10, 1);
	sync_take_page(sync_under_test, &page, NOW_S, NOW_S, 0);
	ck_assert(!asks());
	ck_assert_uint_eq(memory.quarantined, 1);
	ck_assert_uint_eq(sync_result(sync_under_test)->faults, 1);
	COVERED(0, 100, 10);
}
END_TEST

START_TEST(an_event_with_a_wrong_date_ends_nothing)
{
	begin(SYNC_START_AT, NOW_S - 100, 10);
	ASKED(101, 10, 1);
	ANSWER(true, 9, { 20, "a" }, { 25, "b" }, { 30, "c" }, { 40, "d" }, { 40, "e" });
	ASKED(101, 39, 1);
	/* "stray" was asked for by nobody. If it counted, [39, 10) would be read again. */
	ANSWER(true, 9, { 5, "stray" }, { 45, "f" }, { 50, "g" }, { 60, "h" }, { 60, "i" });
	ASKED(101, 59, 1);
	ck_assert_uint_eq(memory.n_put, 6);
	ck_assert_str_eq(memory.ids[3], "stray"); /* and it is not lost either */
}
END_TEST

START_TEST(a_server_that_ignores_the_start_fills_no_archive)
{
	begin(SYNC_START_AT, NOW_S - 100, 10);
	ASKED(101, 10, 1);
	/* If a year ago counted as progress, all that is older than 30 would be lost. */
	ANSWER(true, 9, { 20, "a" }, { 25, "b" }, { 30, "c" }, { 30, "d" }, { 31536000, "before" });
	ASKED(101, 29, 1);
	ANSWER(true, 9, { 30, "c" }, { 30, "d" }, { 31536000, "x" }, { 31536001, "y" }, { 31536002, "z" });
	ASKED(101, 29, 2);
	ANSWER(true, 9, { 31536003, "u" }, { 31536004, "v" });
	ck_assert(!asks());
	ck_assert_uint_eq(memory.n_put, 4);
	COVERED(0, 100, 10);
}
END_TEST

START_TEST(a_store_that_fails_ends_it_without_another_write)
{
	begin(SYNC_START_AT, NOW_S - 100, 10);
	ASKED(101, 10, 1);
	memory.fails = true;
	ANSWER(false, 1, { 20, "a" });
	ck_assert(!asks());
	ck_assert_int_eq(sync_result(sync_under_test)->err.code, ERR_IO);
	ck_assert_uint_eq(memory.commits, 0);
}
END_TEST

START_TEST(a_stop_commits_what_was_read)
{
	begin(SYNC_START_AT, NOW_S - 100, 10);
	ASKED(101, 10, 1);
	ANSWER(true, 9, { 20, "a" }, { 20, "b" }, { 30, "c" }, { 40, "d" }, { 40, "e" });
	ASKED(101, 39, 1);
	sync_stop(sync_under_test, NULL);
	ck_assert(!asks());
	ck_assert(sync_result(sync_under_test)->stopped);
	ck_assert(!sync_result(sync_under_test)->up_to_date);
	COVERED(0, 39, 10);
}
END_TEST

START_TEST(a_next_that_is_always_there_ends_with_empty_pages)
{
	int questions = 0;

	begin(SYNC_START_AT, NOW_S - 1000000, 10);
	while (asks()) {
		ck_assert_int_lt(questions++, 20);
		answer_dated(NULL, 0, true, 0, NOW_S);
	}
	ck_assert(sync_result(sync_under_test)->up_to_date);
	COVERED(0, 1000000, 10);
}
END_TEST

START_TEST(a_count_that_is_always_too_large_does_not_cut_empty_history_into_seconds)
{
	int questions = 0;

	begin(SYNC_START_AT, NOW_S - 1000000, 10);
	while (asks()) {
		ck_assert_int_lt(questions++, 20);
		answer_dated(NULL, 0, false, 13, NOW_S);
	}
	ck_assert(sync_result(sync_under_test)->up_to_date);
	COVERED(0, 1000000, 10);
}
END_TEST

static int
questions_until_given_up(bool one_good_page)
{
	int questions = 0;
	struct err why;

	err_clear(&why);
	err_set(&why, ERR_PAGE, ERR_SCOPE_PAGE, ERR_RETRY_LATER, "no JSON object");
	begin(SYNC_START_AT, NOW_S - 100000000, 10);
	while (asks()) {
		ck_assert_int_lt(questions++, 2000);
		if (one_good_page && questions == 1)
			ANSWER(true, 5, { 20, "a" }, { 21, "b" }, { 30, "c" }, { 40, "d" }, { 50, "e" });
		else
			sync_take_bad_page(sync_under_test, &why);
	}
	ck_assert_int_eq(sync_result(sync_under_test)->err.code, ERR_PAGE);
	ck_assert_int_eq(sync_result(sync_under_test)->err.scope, ERR_SCOPE_ORGANIZATION);
	ck_assert(!sync_result(sync_under_test)->up_to_date);
	return questions;
}

START_TEST(answers_that_are_all_bad_end_the_organization)
{
	ck_assert_int_lt(questions_until_given_up(false), 100);
	ck_assert_uint_eq(memory.ledger.n_covered, 0);
	ck_assert_int_lt(questions_until_given_up(true), 500);
	COVERED(0, 49, 10); /* what was good is kept */
}
END_TEST

/* Before the next question all that is in memory is written out, if that was asked for, and only once. */
START_TEST(a_flush_comes_before_the_next_question)
{
	begin(SYNC_START_AT, NOW_S - 100, 10);
	ASKED(101, 10, 1);
	ANSWER(false, -1, { 20, "a" }, { 20, "b" }, { 30, "c" }, { 40, "d" }, { 40, "e" });
	sync_flush(sync_under_test);
	ck_assert_uint_eq(memory.commits, 0);
	ASKED(101, 39, 1);
	ck_assert_uint_eq(memory.commits, 1);
	ck_assert(memory.finished);
	COVERED(0, 39, 10);
	memory.finished = false;
	ASKED(101, 39, 1);
	ck_assert_uint_eq(memory.commits, 1);
	ANSWER(false, 3, { 40, "e" }, { 40, "d" }, { 40, "f" });
	ck_assert(!asks());
	ck_assert_uint_eq(memory.commits, 2);
	COVERED(0, 100, 10);
}
END_TEST

/* What a commit finds of an unfinished day is written twice. So it waits for the first second of the day (28,800 s before
 * NOW_S, and 115,200), but not for ever, and not where the range has ended. */
START_TEST(a_commit_waits_for_the_end_of_the_day)
{
	static const size_t mib = (size_t)1 << 20;
	struct covered known = { .from_s = NOW_S - 150000, .to_s = NOW_S - 140000, .as_of_s = NOW_S };

	begin(SYNC_START_AT, NOW_S - 200000, 10);
	ck_assert_int_eq(ledger_cover(&memory.ledger, &known, 0), 0);
	ASKED(140001, 10, 1);
	ANSWER(true, -1, { 20, "a" }, { 28799, "b" });
	memory.uncommitted_bytes = 5 * mib;
	ASKED(140001, 28798, 1);
	ck_assert_uint_eq(memory.commits, 0);
	ANSWER(true, -1, { 28799, "b" }, { 28801, "c" }); /* the day's first second is whole, that before it not */
	ASKED(140001, 28800, 1);
	ck_assert_uint_eq(memory.commits, 1);
	COVERED(1, 28800, 10);

	ANSWER(true, -1, { 28801, "c" }, { 50000, "d" });
	memory.uncommitted_bytes = 12 * mib - 1;
	ASKED(140001, 49999, 1);
	ck_assert_uint_eq(memory.commits, 1);
	ANSWER(true, -1, { 50000, "d" }, { 60000, "e" });
	memory.uncommitted_bytes = 12 * mib;
	ASKED(140001, 59999, 1);
	ck_assert_uint_eq(memory.commits, 2);

	ANSWER(true, -1, { 60000, "e" }, { 116000, "f" }); /* past it, and too little to commit */
	memory.uncommitted_bytes = 4 * mib - 1;
	ASKED(140001, 115999, 1);
	ck_assert_uint_eq(memory.commits, 2);
	ANSWER(false, 1, { 116000, "f" });
	memory.uncommitted_bytes = 4 * mib;
	ASKED(200001, 150000, 1);
	ck_assert_uint_eq(memory.commits, 3);
	COVERED(0, 150000, 10);
}
END_TEST

/* A question that cannot go before a commit would be due lets it be made at once, and stays what it is. */
START_TEST(a_commit_may_be_made_before_a_pause)
{
	begin(SYNC_START_AT, NOW_S - 100, 10);
	ASKED(101, 10, 1);
	ck_assert(!sync_commit_before(sync_under_test, INT64_MAX)); /* nothing was read */
	ANSWER(true, 9, { 20, "a" }, { 20, "b" }, { 30, "c" }, { 40, "d" }, { 40, "e" });
	ASKED(101, 39, 1);
	ck_assert(!sync_commit_before(sync_under_test, 4999));
	ck_assert(sync_commit_before(sync_under_test, 5000));
	ck_assert_uint_eq(memory.commits, 0);
	sync_store_step(sync_under_test);
	ck_assert_uint_eq(memory.commits, 1);
	ck_assert(!memory.finished);
	COVERED(0, 39, 10);
	ck_assert(!sync_commit_before(sync_under_test, INT64_MAX));
	ASKED(101, 39, 1);
	ANSWER(false, 3, { 40, "e" }, { 40, "d" }, { 40, "f" });
	ck_assert(!asks());
	ck_assert(!sync_commit_before(sync_under_test, INT64_MAX));
}
END_TEST

/* A second whose ids have no end takes bounded memory, and the seconds before it are read all the same. */
START_TEST(a_second_with_too_many_events_is_given_up)
{
	static char ids[ROWS_MAX][8];
	static struct event events[ROWS_MAX];
	struct page page = { .events = events, .n_events = 500, .rows = 500, .has_next = true,
		             .total_count = -1 };
	unsigned n = 0, questions = 0;

	begin(SYNC_START_AT, NOW_S - 20, 10);
	while (asks() && question.max_s == NOW_S - 10 && questions++ < 1000000) {
		for (size_t i = 0; i < page.rows; i++) {
			snprintf(ids[i], sizeof(ids[i]), "%x", n++);
			events[i] = (struct event){ ids[i], strlen(ids[i]), ids[i], strlen(ids[i]),
				                    (NOW_S - 11) * NS_PER_S };
		}
		sync_take_page(sync_under_test, &page, NOW_S, NOW_S, 0);
	}
	ck_assert_uint_gt(n, 100000);
	ck_assert_uint_lt(n, 600000);
	ck_assert_uint_eq(sync_result(sync_under_test)->lost_seconds, 1);
	ck_assert_int_eq(sync_result(sync_under_test)->lost_first_s, NOW_S - 11);
	ASKED(21, 11, 1);
	ANSWER(false, 1, { 15, "old" });
	ck_assert(!asks());
	COVERED(0, 20, 11);
}
END_TEST

START_TEST(ids_have_a_bound)
{
	struct seen seen;
	size_t n = 0;

	seen_init(&seen);
	while (seen_add(&seen, (const char *)&n, sizeof(n)) == 0)
		n++;
	ck_assert(seen_is_full(&seen));
	ck_assert_uint_eq(n, SEEN_SLOTS_MAX / 2);
	ck_assert_uint_eq(seen.size, SEEN_SLOTS_MAX);
	seen_reset(&seen);
	ck_assert(!seen_is_full(&seen));
	ck_assert_int_eq(seen_add(&seen, "x", 1), 0);
	seen_free(&seen);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("sync");
	TCase *tc = tcase_create("rules");
	SRunner *runner;
	int failed;

	log_open(-1, LOG_LEVEL_ERROR);
	tcase_add_test(tc, a_short_page_ends_a_range);
	tcase_add_test(tc, a_full_page_goes_on_below_its_oldest_second);
	tcase_add_test(tc, a_next_link_or_a_larger_count_is_more_too);
	tcase_add_test(tc, a_second_that_fills_the_page_is_paged_by_number);
	tcase_add_test(tc, rows_at_the_upper_bound_do_not_stop_it);
	tcase_add_test(tc, a_pass_with_a_repeated_row_is_read_again);
	tcase_add_test(tc, an_unstable_second_is_given_up_and_the_rest_goes_on);
	tcase_add_test(tc, an_answer_that_ends_before_its_count_is_read_twice);
	tcase_add_test(tc, a_silent_cap_is_taken_over_for_page_numbers);
	tcase_add_test(tc, a_count_that_says_nothing_is_not_believed);
	tcase_add_test(tc, a_page_in_no_order_is_halved);
	tcase_add_test(tc, a_bad_page_is_narrowed_to_one_second);
	tcase_add_test(tc, a_bad_second_in_two_years_is_found_in_few_questions);
	tcase_add_test(tc, a_second_is_not_given_up_for_a_few_bad_answers);
	tcase_add_test(tc, nothing_is_covered_that_has_not_settled_on_either_clock);
	tcase_add_test(tc, a_page_after_the_end_was_moved_is_not_used);
	tcase_add_test(tc, a_first_run_without_a_start_asks_once_and_fetches_nothing);
	tcase_add_test(tc, a_clock_that_was_set_back_is_seen_by_the_ledger);
	tcase_add_test(tc, a_fast_clock_does_not_make_the_first_second_too_late);
	tcase_add_test(tc, an_event_of_another_organization_ends_it);
	tcase_add_test(tc, an_event_that_cannot_be_filed_is_kept_apart_and_covered);
	tcase_add_test(tc, an_event_with_a_wrong_date_ends_nothing);
	tcase_add_test(tc, a_server_that_ignores_the_start_fills_no_archive);
	tcase_add_test(tc, a_store_that_fails_ends_it_without_another_write);
	tcase_add_test(tc, a_stop_commits_what_was_read);
	tcase_add_test(tc, a_next_that_is_always_there_ends_with_empty_pages);
	tcase_add_test(tc, a_count_that_is_always_too_large_does_not_cut_empty_history_into_seconds);
	tcase_add_test(tc, answers_that_are_all_bad_end_the_organization);
	tcase_add_test(tc, a_flush_comes_before_the_next_question);
	tcase_add_test(tc, a_commit_waits_for_the_end_of_the_day);
	tcase_add_test(tc, a_commit_may_be_made_before_a_pause);
	tcase_add_test(tc, a_second_with_too_many_events_is_given_up);
	tcase_add_test(tc, ids_have_a_bound);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	sync_free(sync_under_test);
	ledger_free(&memory.ledger);
	return failed != 0;
}
