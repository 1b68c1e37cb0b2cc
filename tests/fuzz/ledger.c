/* A ledger: lib/store/ledger_read.c, ledger_write.c and ledger.c. The input is the text of a ledger.json. */
#include <stdlib.h>
#include <string.h>

#include "lib/store/ledger.h"
#include "tests/fuzz/fuzz.h"

#define TEXT_MAX ((size_t)16 << 20)

static void
check_order(const struct ledger *l)
{
	for (size_t i = 0; i < l->n_covered; i++) {
		MUST(l->covered[i].from_s < l->covered[i].to_s && l->covered[i].from_s >= 0);
		MUST(i == 0 || l->covered[i - 1].to_s <= l->covered[i].from_s);
	}
	for (size_t i = 0; i < l->n_days; i++) {
		MUST(i == 0 || l->days[i - 1].day_s < l->days[i].day_s);
		MUST(ledger_day(l, l->days[i].day_s) == &l->days[i]);
	}
}

static void
check_gaps(const struct ledger *l, int64_t from_s, int64_t to_s, const struct question *asked)
{
	struct gap *gaps = NULL;
	size_t n = 0;

	MUST(ledger_missing(l, from_s, to_s, asked, 3600, &gaps, &n) == 0);
	for (size_t i = 0; i < n; i++) {
		MUST(gaps[i].from_s < gaps[i].to_s && gaps[i].from_s >= from_s && gaps[i].to_s <= to_s);
		MUST(i == 0 || gaps[i - 1].to_s <= gaps[i].from_s);
	}
	free(gaps);
}

/* What is read and written again reads the same. */
static void
check_round_trip(const struct ledger *l, struct buf *b)
{
	struct ledger again;
	struct buf second;
	struct err e;

	buf_init(&second, TEXT_MAX);
	ledger_init(&again);
	err_clear(&e);
	MUST(ledger_write(l, b) == 0);
	MUST(ledger_read(&again, b->data, b->len, "again", &e) == 0);
	check_order(&again);
	MUST(ledger_write(&again, &second) == 0);
	MUST(second.len == b->len && memcmp(second.data, b->data, b->len) == 0);
	MUST(again.n_covered == l->n_covered && again.n_days == l->n_days && again.since_s == l->since_s &&
	     again.n_staging == l->n_staging && again.n_becoming == l->n_becoming);
	for (size_t i = 0; i < l->n_days; i++)
		MUST(again.days[i].first_ns == l->days[i].first_ns && again.days[i].last_ns == l->days[i].last_ns &&
		     again.days[i].bytes == l->days[i].bytes && again.days[i].events == l->days[i].events);
	for (size_t i = 0; i < l->n_covered; i++)
		MUST(again.covered[i].as_of_s == l->covered[i].as_of_s &&
		     again.covered[i].overlap_s == l->covered[i].overlap_s);
	ledger_free(&again);
	buf_free(&second);
}

/* What a run does with what it read: cover, ask what is missing, forget. */
static void
use(struct ledger *l)
{
	struct question all = { NULL, 0, true };
	struct covered middle = { 0, 0, FUZZ_NOW_S, INT64_MAX, all };
	struct gap *gaps = NULL;
	size_t n = 0;

	check_gaps(l, 0, FUZZ_NOW_S, &all);
	if (l->n_covered == 0)
		return;
	check_gaps(l, l->covered[0].from_s, l->covered[l->n_covered - 1].to_s, &l->covered[0].asked);
	middle.from_s = l->covered[0].from_s + (l->covered[0].to_s - l->covered[0].from_s) / 2;
	middle.to_s = l->covered[l->n_covered - 1].to_s;
	MUST(ledger_cover(l, &middle, 3600) == 0);
	check_order(l);
	MUST(ledger_missing(l, middle.from_s, middle.to_s, &all, 0, &gaps, &n) == 0);
	for (size_t i = 0; i < n; i++) /* only what was asked before it happened */
		MUST(gaps[i].provisional && gaps[i].to_s > FUZZ_NOW_S);
	free(gaps);
	MUST(ledger_uncover(l, middle.from_s + 1, middle.to_s) == 0);
	check_order(l);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_copy(data, size);
	struct ledger l;
	struct buf b;
	struct err e;

	ledger_init(&l);
	err_clear(&e);
	buf_init(&b, TEXT_MAX);
	if (ledger_read(&l, text, size, "acme/ledger.json", &e) == 0) {
		check_order(&l);
		check_round_trip(&l, &b);
		use(&l);
		buf_reset(&b);
		check_round_trip(&l, &b);
	} else {
		MUST(e.code == ERR_LEDGER && fuzz_is_line(e.text) && fuzz_is_line(e.hint));
		MUST(l.covered == NULL && l.days == NULL && l.since_s == -1);
	}
	ledger_free(&l);
	buf_free(&b);
	free(text);
	return 0;
}
