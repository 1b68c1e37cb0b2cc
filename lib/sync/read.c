/* read.c: how a range of seconds is read newest to oldest by time, and when a second is complete.
 *
 * Let [from, to) be the range. The question is minDate = from - 1, maxDate = to: what is shown as a second
 * may be stored as a fraction of it (cut) or as up to half a second before it (rounded), and both bounds
 * are inclusive. Rows shown in [from - 1, to] are therefore expected; those in [from, to) are kept.
 *
 * Why it is complete, given answers that are newest first by second:
 *  - A page that is not followed by another holds everything.
 *  - A page that is followed by another, with rows older than the second before `to`: its oldest second S
 *    may go on on the next page, every newer second of it stands wholly on this page. [S + 1, to) is
 *    complete; reading goes on with [from, S + 1), page 1. So what arrives meanwhile shifts nothing.
 *  - Otherwise the second to - 1 fills the page and paging by number cannot be avoided. Its rows take one
 *    block of the answer. The pages of a pass, all of one size, read every place of that block once, so
 *    N different rows in N places are all of them; and so is a union over passes of that size. A row that
 *    arrives during a pass pushes another one into a place that is read again: the pass then has a row
 *    twice, or one more place, and never proves too much.
 * Rows outside [from - 1, to] (a server that ignores a bound, an event with a wrong date) are filed under
 * the time they show unless that lies before the start, but end nothing: only a page of nothing but older
 * ones does.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/isotime.h"
#include "lib/base/log.h"
#include "lib/sync/private.h"

#define PASSES_MAX 11            /* readings of one second before it is given up: one, and ten again */
#define PASS_PAGES_MAX 100000    /* pages of one pass */
#define EMPTY_PAGES_MAX 10       /* pages without rows that claim a next one, in a row */
#define LOST_MAX 20              /* seconds given up with no usable page between: then it is not the seconds */
#define LOST_FIRST_MAX 3         /* the same where no page of this run was usable yet */
#define MARGINS 4

static void
begin_pass(struct reading *r)
{
	r->page = 1;
	r->empty = 0;
	r->short_page = false;
	r->short_next = false;
	r->pass_broken = false;
	r->pass_rows = 0;
	r->pass_total = -1;
	r->pass_as_of_s = INT64_MAX;
	r->last_s = INT64_MAX;
}

void
reading_begin(struct sync *s, int64_t from_s, int64_t to_s)
{
	struct reading *r = &s->reading;

	memset(r, 0, sizeof(*r));
	r->active = true;
	r->from_s = from_s;
	r->to_s = to_s;
	r->rows = s->options.rows;
	begin_pass(r);
	if (s->seen.rows > 0 || s->seen.used > 0)
		seen_reset(&s->seen);
}

void
reading_question(const struct sync *s, struct atlas_question *ret_question)
{
	const struct reading *r = &s->reading;

	/* Margins 1 to 3 leave out the second before, the second after, or both, to step around a
	 * neighbour that makes every answer unreadable. */
	ret_question->min_s = r->from_s - ((r->margin & 1) ? 0 : 1);
	ret_question->max_s = r->to_s - ((r->margin & 2) ? 1 : 0);
	ret_question->page = r->page;
	ret_question->rows = r->rows;
}

static void
out_of_memory(struct sync *s)
{
	struct err e;

	err_clear(&e);
	err_set(&e, ERR_NOMEM, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR, "out of memory");
	sync_fail(s, &e);
}

/* [from_s, to_s) was read completely. */
static int
claim(struct sync *s, int64_t from_s, int64_t to_s, int64_t as_of_s)
{
	struct covered *c;

	if (from_s >= to_s)
		return 0;
	if (s->n_claims == s->claims_size) {
		size_t size = s->claims_size == 0 ? 16 : s->claims_size * 2;

		c = realloc(s->claims, size * sizeof(*c));
		if (c == NULL) {
			out_of_memory(s);
			return -1;
		}
		s->claims = c;
		s->claims_size = size;
	}
	c = &s->claims[s->n_claims++];
	c->from_s = from_s;
	c->to_s = to_s;
	c->as_of_s = as_of_s;
	c->overlap_s = INT64_MAX;
	c->asked = s->options.asked;
	return 0;
}

/* The second is given up in this run: it stays uncovered, and is reported. */
static void
lose(struct sync *s, int64_t second_s, const struct err *why)
{
	char when[ISOTIME_LEN + 1];

	if (s->result.lost_seconds++ == 0) {
		s->result.lost_first_s = second_s;
		s->result.lost_why = *why;
	}
	log_error(s->options.name, "msg=\"a second stays unread; the next run tries it again\" second=%s "
	          "why=\"%s\"", isotime_format_s(second_s, when), why->text);
}

/* A bad second is given up and the rest goes on. Where answer after answer is bad, narrowing would go on for
 * as long as there are seconds: then the organization fails. */
static void
give_up_second(struct sync *s, const struct err *why)
{
	struct err e;

	lose(s, s->reading.from_s, why);
	s->gave_up = true;
	s->reading.active = false;
	if (++s->lost_in_a_row < (s->result.pages > 0 ? LOST_MAX : LOST_FIRST_MAX))
		return;
	err_clear(&e);
	err_set(&e, why->code, ERR_SCOPE_ORGANIZATION, ERR_RETRY_LATER, "no answer can be used: %s", why->text);
	err_hint(&e, "check base_url and api, and what else on the way may have written these answers");
	sync_stop(s, &e);
}

/* Goes on with the newer half; the older one waits. narrowed: it is a bad answer that is looked for. */
static void
halve(struct sync *s, bool narrowed)
{
	struct reading *r = &s->reading;
	int64_t middle_s = r->from_s + (r->to_s - r->from_s) / 2, to_s = r->to_s;

	if (sync_push_gap(s, r->from_s, middle_s, narrowed) != 0)
		return;
	reading_begin(s, middle_s, to_s);
	r->narrowed = narrowed;
}

void
reading_take_bad_page(struct sync *s, const struct err *why)
{
	struct reading *r = &s->reading;

	s->bad_why = *why;
	if (r->to_s - r->from_s > 1) {
		halve(s, true);
		return;
	}
	if (++r->margin < MARGINS) {
		seen_reset(&s->seen);
		begin_pass(r);
		return;
	}
	s->sound = false;
	give_up_second(s, why);
}

struct rows {               /* what the rows of one page say about the range */
	int64_t oldest_s;       /* oldest second among the expected rows; INT64_MAX: there are none */
	bool ordered;           /* expected rows newest first, in the page and after the page before */
	bool all_before;        /* rows, and all of them older than asked */
};

/* max_s: the newest second that was asked for. */
static void
look_at_rows(const struct reading *r, const struct page *page, int64_t max_s, struct rows *ret)
{
	int64_t before_s = r->last_s, second_s;
	size_t older = 0;

	ret->oldest_s = INT64_MAX;
	ret->ordered = true;
	for (size_t i = 0; i < page->n_events; i++) {
		second_s = isotime_second(page->events[i].created_ns);
		if (second_s < r->from_s - 1)
			older++;
		if (second_s < r->from_s - 1 || second_s > max_s)
			continue;
		if (second_s > before_s)
			ret->ordered = false;
		before_s = second_s;
		if (second_s < ret->oldest_s)
			ret->oldest_s = second_s;
	}
	ret->all_before = older > 0 && older == page->rows;
}

/* Whether the answer goes on after this page. A totalCount is an estimate: one that is too large costs a
 * question, and an empty page ends the matter. So do many of them that name a next one: some servers always
 * do. One that is absent, or smaller than what came, says nothing at all: then only a page that is asked for
 * and empty shows the end, for the server may give fewer rows than it was asked for. */
static bool
goes_on(const struct reading *r, const struct page *page)
{
	uint64_t so_far = r->pass_rows + page->rows;

	if (page->has_next)
		return page->rows > 0 || r->empty < EMPTY_PAGES_MAX;
	if (page->rows == 0 && r->page > 1)
		return false;
	if (page->rows >= r->rows)
		return true;
	if (page->total_count < 0 || (uint64_t)page->total_count < so_far)
		return page->rows > 0;
	return (uint64_t)page->total_count > so_far;
}

/* Hands the events of seconds [from_s, to_s) to the store, and those outside of what was asked. */
static int
keep(struct sync *s, const struct page *page, int64_t from_s, int64_t to_s, int64_t max_s)
{
	const struct reading *r = &s->reading;
	size_t n = 0;
	struct err e;

	if (page->n_events > s->keep_size) {
		struct event *grown = realloc(s->keep, page->n_events * sizeof(*grown));

		if (grown == NULL) {
			out_of_memory(s);
			return -1;
		}
		s->keep = grown;
		s->keep_size = page->n_events;
	}
	for (size_t i = 0; i < page->n_events; i++) {
		int64_t second_s = isotime_second(page->events[i].created_ns);

		if (second_s < s->result.wanted_from_s)
			continue; /* a server that ignores minDate: nothing from before the start is wanted */
		if ((second_s >= from_s && second_s < to_s) || second_s < r->from_s - 1 || second_s > max_s)
			s->keep[n++] = page->events[i];
	}
	if (n == 0)
		return 0;
	err_clear(&e);
	if (s->store.put(s->store.ctx, s->keep, n, &e) != 0) {
		sync_fail(s, &e);
		return -1;
	}
	return 0;
}

/* More rows in one second than ids can be kept of: the others go on. */
static void
give_up_crowded(struct sync *s)
{
	struct reading *r = &s->reading;
	int64_t from_s = r->from_s, second_s = r->to_s - 1;
	struct err why;

	err_clear(&why);
	err_set(&why, ERR_TOO_BIG, ERR_SCOPE_PAGE, ERR_RETRY_OPERATOR, "it holds more events than can be told apart");
	r->active = false;
	if (from_s == second_s || sync_push_gap(s, from_s, second_s, false) == 0)
		lose(s, second_s, &why);
}

/* Counts the rows of the pass over the second before `to` (mixed: every row). An event that cannot be
 * filed takes a place too, and nobody knows in which second. */
static int
count_rows(struct sync *s, const struct page *page)
{
	const struct reading *r = &s->reading;
	int failed = 0;

	for (size_t i = 0; i < page->n_events && !failed; i++)
		if (r->mixed || isotime_second(page->events[i].created_ns) == r->to_s - 1)
			failed = seen_add(&s->seen, page->events[i].id, page->events[i].id_len);
	for (size_t i = 0; i < page->n_faults && !failed; i++)
		failed = seen_add(&s->seen, page->faults[i].bytes, page->faults[i].len);
	if (failed && seen_is_full(&s->seen))
		give_up_crowded(s);
	else if (failed)
		out_of_memory(s);
	return failed;
}

/* Whether the answer may hold rows that no page of the pass showed: a totalCount that speaks of more rows than
 * came is an estimate that is too large, or a server that skipped some. */
static bool
rows_are_short(const struct reading *r, const struct page *page)
{
	return r->pass_total > 0 && (uint64_t)r->pass_total > r->pass_rows + page->rows;
}

/* Whether the pass that ends with this page proves its second complete. short_rows: the answer ended before
 * its totalCount; then a second pass must have found nothing new. */
static bool
pass_complete(const struct sync *s, bool short_rows)
{
	const struct seen *seen = &s->seen;

	if (s->reading.pass_broken || (seen->distinct != seen->rows && seen_union(seen) < seen->rows))
		return false;
	return !short_rows || (seen->pass > 1 && seen_union(seen) == seen->before);
}

/* Asks for the page after this one. */
static void
turn_page(struct sync *s, const struct page *page, const struct rows *rows)
{
	struct reading *r = &s->reading;
	struct err why;

	r->empty = page->rows == 0 ? r->empty + 1 : 0;
	if (r->page >= PASS_PAGES_MAX) {
		err_clear(&why);
		err_set(&why, ERR_PAGE, ERR_SCOPE_PAGE, ERR_RETRY_LATER, "its pages do not end");
		reading_take_bad_page(s, &why);
		return;
	}
	if (page->rows > 0 && page->rows < r->rows) {
		/* A server that silently gives fewer rows than asked for: from here on it is asked for what
		 * it gives, so that page numbers mean the same places to both. */
		if (r->page == 1)
			r->rows = (unsigned)page->rows;
		else
			r->short_page = true;
	}
	r->pass_rows += page->rows;
	if (rows->oldest_s != INT64_MAX)
		r->last_s = rows->oldest_s;
	r->page++;
}

/* The pass did not prove the second complete: the second alone once more, or never again in this run. */
static void
read_again(struct sync *s)
{
	struct reading *r = &s->reading;
	struct err why;

	r->from_s = r->to_s - 1;
	if (s->seen.pass < PASSES_MAX) {
		seen_next_pass(&s->seen);
		begin_pass(r);
		return;
	}
	err_clear(&why);
	err_set(&why, ERR_UNSTABLE, ERR_SCOPE_PAGE, ERR_RETRY_LATER,
	        "its events come in another order each time, and %d readings did not agree", PASSES_MAX);
	lose(s, r->from_s, &why);
	r->active = false;
}

/* A page that is not newest first, and not the whole answer. */
static void
take_unordered(struct sync *s)
{
	struct reading *r = &s->reading;
	char from[ISOTIME_LEN + 1], to[ISOTIME_LEN + 1];

	if (s->result.unordered_pages++ == 0)
		log_warn(s->options.name, "msg=\"a page is not newest first: reading smaller ranges\" "
		         "from=%s to=%s", isotime_format_s(r->from_s, from), isotime_format_s(r->to_s, to));
	if (r->to_s - r->from_s > 1) {
		halve(s, false);
		return;
	}
	r->mixed = true;
	seen_reset(&s->seen);
	begin_pass(r);
}

/* One second in no order: all places of the answer are read, and all rows must differ. */
static void
take_mixed(struct sync *s, const struct page *page, const struct rows *rows, bool more)
{
	struct reading *r = &s->reading;

	if (count_rows(s, page) != 0 || keep(s, page, r->from_s, r->to_s, r->to_s) != 0)
		return;
	if (more)
		turn_page(s, page, rows);
	else if (!pass_complete(s, rows_are_short(r, page)))
		read_again(s);
	else if (claim(s, r->from_s, r->to_s, r->pass_as_of_s) == 0)
		r->active = false;
}

/* One second beside a neighbour that cannot be read: what comes is kept, nothing is claimed. */
static void
take_narrow(struct sync *s, const struct page *page, const struct rows *rows, bool more)
{
	struct reading *r = &s->reading;

	if (keep(s, page, r->from_s, r->to_s, r->to_s) != 0)
		return;
	if (more) {
		turn_page(s, page, rows);
		return;
	}
	give_up_second(s, &s->bad_why);
}

/* The first page of a range, when it is enough to go on by time. max_s: the newest second asked for.
 * False where the second before `to` needs its next page. */
static bool
take_first(struct sync *s, const struct page *page, const struct rows *rows, bool more, int64_t max_s,
           int64_t as_of_s)
{
	struct reading *r = &s->reading;
	int64_t from_s = r->from_s;

	if (more && rows->oldest_s >= r->to_s - 1)
		return false;
	if (more && rows->oldest_s >= from_s)
		from_s = rows->oldest_s + 1;
	if (r->narrowed && s->gave_up)
		s->rejoin = true;
	if (keep(s, page, from_s, r->to_s, max_s) != 0 || claim(s, from_s, r->to_s, as_of_s) != 0)
		return true;
	if (from_s == r->from_s)
		r->active = false;
	else
		reading_begin(s, r->from_s, from_s);
	return true;
}

/* The last page of a pass that went through the whole answer to [from, to) and found fewer rows than
 * totalCount said. It is not cut to the second before `to`: a count that is always too large would make every
 * second of an empty year a range of its own. A second pass that finds nothing new proves the whole range. */
static void
take_short(struct sync *s, const struct page *page)
{
	struct reading *r = &s->reading;
	bool was_mixed = r->mixed;
	int failed;

	r->mixed = true;
	failed = count_rows(s, page);
	r->mixed = was_mixed;
	if (failed || keep(s, page, r->from_s, r->to_s, r->to_s) != 0)
		return;
	if (pass_complete(s, true)) {
		if (claim(s, r->from_s, r->to_s, r->pass_as_of_s) == 0)
			r->active = false;
	} else if (s->seen.pass == 1) {
		seen_next_pass(&s->seen);
		begin_pass(r);
	} else
		halve(s, false);
}

/* A page of a pass over the second before `to`, which fills more than one page. */
static void
take_pass(struct sync *s, const struct page *page, const struct rows *rows, bool more)
{
	struct reading *r = &s->reading;
	int64_t second_s = r->to_s - 1, from_s = r->from_s;
	bool complete, short_rows = !more && !rows->all_before && rows_are_short(r, page);

	if (short_rows && !r->pass_broken && r->to_s - r->from_s > 1) {
		take_short(s, page);
		return;
	}
	if (count_rows(s, page) != 0)
		return;
	if (more && rows->oldest_s >= second_s) {
		if (keep(s, page, second_s, r->to_s, r->to_s) == 0)
			turn_page(s, page, rows);
		return;
	}
	/* Older seconds on this page are whole, unless pages were skipped on the way to it. */
	if (r->pass_broken || short_rows)
		from_s = second_s;
	else if (more && rows->oldest_s >= from_s)
		from_s = rows->oldest_s + 1;
	complete = pass_complete(s, short_rows);
	if (keep(s, page, from_s, r->to_s, r->to_s) != 0 ||
	    claim(s, from_s, complete ? r->to_s : second_s, r->pass_as_of_s) != 0)
		return;
	if (!complete) {
		if (from_s == r->from_s || sync_push_gap(s, r->from_s, from_s, false) == 0)
			read_again(s);
	} else if (from_s == r->from_s)
		r->active = false;
	else
		reading_begin(s, r->from_s, from_s);
}

void
reading_take_page(struct sync *s, const struct page *page, int64_t as_of_s, int64_t limit_s)
{
	struct reading *r = &s->reading;
	int64_t max_s = r->to_s;
	struct rows rows;
	bool more;

	s->lost_in_a_row = r->margin > 0 ? s->lost_in_a_row : 0;
	if (limit_s < r->to_s) {
		/* By the server's clock the end of the range has not settled yet. */
		if (limit_s <= r->from_s) {
			r->active = false;
			return;
		}
		if (r->page > 1 || r->margin > 0) {
			reading_begin(s, r->from_s, limit_s);
			return;
		}
		r->to_s = limit_s;
	}
	/* Every page of a pass but the last must be as long as the first, or numbers mean other places. Whether
	 * a short one was the last, what follows says: its own `next` may be one that is always there. */
	if (r->page > 1 && page->rows > 0 && (r->short_page || page->rows > r->rows))
		r->pass_broken = true;
	if (r->short_next && page->rows == 0 && !page->has_next)
		r->pass_broken = true;
	if (r->page > 1 && page->rows > 0 && page->rows < r->rows && page->has_next)
		r->short_next = true;
	/* What appears between two pages may stand on neither: a pass speaks for the moment it began. */
	if (as_of_s < r->pass_as_of_s)
		r->pass_as_of_s = as_of_s;
	if (page->total_count > r->pass_total)
		r->pass_total = page->total_count;
	look_at_rows(r, page, max_s, &rows);
	more = goes_on(r, page) && !rows.all_before;

	if (r->margin > 0)
		take_narrow(s, page, &rows, more);
	else if (r->mixed)
		take_mixed(s, page, &rows, more);
	else if (!rows.ordered && (more || r->page > 1))
		take_unordered(s);
	else if (r->page > 1)
		take_pass(s, page, &rows, more);
	else if (!take_first(s, page, &rows, more, max_s, as_of_s)) {
		if (max_s != r->to_s)
			reading_begin(s, r->from_s, r->to_s); /* another maxDate: other page numbers */
		else
			take_pass(s, page, &rows, more);
	}
}
