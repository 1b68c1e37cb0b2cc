/* A page of events: lib/atlas/page.c, lib/base/event.c, jsonscan.c, jsonstrip.c. The input is the body. */
#include <stdlib.h>
#include <string.h>

#include "lib/atlas/page.h"
#include "lib/base/event.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/event_plain.h"

static bool
same_text(const char *a, size_t a_len, const char *b, size_t b_len)
{
	return a_len == b_len && (a_len == 0 || memcmp(a, b, a_len) == 0);
}

/* The scanner in plain C and the one that takes 16 bytes at once find the same in the event at p. */
static void
hold_twins(const char *p, const char *end)
{
	char scratch[EVENT_SCRATCH_SIZE], plain_scratch[EVENT_SCRATCH_SIZE];
	struct event_scan a, b;
	const char *after = event_scan(p, end, scratch, &a);

	MUST(plain_event_scan(p, end, plain_scratch, &b) == after);
	if (after == NULL)
		return;
	MUST(after > p && after <= end && a.event.bytes == p && a.event.len == (size_t)(after - p));
	MUST(a.fault == b.fault && a.has_space == b.has_space && a.id_space == b.id_space &&
	     a.event.len == b.event.len);
	MUST((a.org_id == NULL) == (b.org_id == NULL));
	MUST(a.org_id == NULL || same_text(a.org_id, a.org_id_len, b.org_id, b.org_id_len));
	if (a.fault != EVENT_SOUND)
		return;
	MUST(a.event.id_len > 0 && a.event.id_len <= EVENT_ID_MAX && event_compare(&a.event, &b.event) == 0);
	MUST(a.event.created_ns >= EVENT_CREATED_MIN_NS && a.event.created_ns < EVENT_CREATED_END_NS);
}

/* As above for any value: where it ends, and what is left of it without space. */
static void
hold_value_twins(const char *bytes, size_t size)
{
	const char *end = bytes + size, *p = json_skip_space(bytes, end), *after;
	bool bad = false, space = false, plain_bad = false, plain_space = false;
	char *out, *plain;
	size_t len;

	after = json_skip_value(p, end, 0, &bad, &space);
	MUST(plain_json_skip_value(p, end, 0, &plain_bad, &plain_space) == after);
	MUST(bad == plain_bad && space == plain_space);
	if (after == NULL)
		return;
	MUST(after > p && after <= end);
	len = (size_t)(after - p);
	out = fuzz_copy(p, len);
	plain = fuzz_copy(p, len);
	len = json_strip_space(out, len, out);
	MUST(plain_json_strip_space(plain, (size_t)(after - p), plain) == len);
	MUST(memcmp(out, plain, len) == 0 && (space || len == (size_t)(after - p)));
	plain_bad = plain_space = false;
	MUST(json_skip_value(out, out + len, 0, &plain_bad, &plain_space) == out + len);
	MUST(plain_bad == bad && !plain_space);
	free(out);
	free(plain);
}

static void
check_event(const struct event *ev)
{
	char scratch[EVENT_SCRATCH_SIZE];
	struct event_scan again;

	MUST(event_scan(ev->bytes, ev->bytes + ev->len, scratch, &again) == ev->bytes + ev->len);
	MUST(again.fault == EVENT_SOUND && !again.has_space);
	MUST(same_text(again.event.id, again.event.id_len, ev->id, ev->id_len));
	MUST(again.event.created_ns == ev->created_ns);
	MUST(again.org_id == NULL || again.org_id_len == strlen(FUZZ_ORG_ID));
	MUST(memchr(ev->bytes, '\n', ev->len) == NULL);
}

static void
check_page(const struct page *p, const char *body, size_t size)
{
	char scratch[EVENT_SCRATCH_SIZE];
	const char *before = body;
	struct event_scan again;

	MUST(p->rows == p->n_events + p->n_faults + p->n_foreign);
	MUST(p->total_count >= -1 && (p->n_foreign > 0 || p->foreign_org_id[0] == '\0'));
	MUST(memchr(p->foreign_org_id, '\0', sizeof(p->foreign_org_id)) != NULL);
	MUST(fuzz_is_line(p->foreign_org_id));
	for (size_t i = 0; i < p->n_events; i++) {
		const struct event *ev = &p->events[i];

		MUST(ev->bytes >= before && ev->len <= size && ev->bytes + ev->len <= body + size);
		check_event(ev);
		before = ev->bytes + ev->len;
	}
	before = body;
	for (size_t i = 0; i < p->n_faults; i++) {
		const struct page_fault *f = &p->faults[i];

		MUST(f->bytes >= before && f->len <= size && f->bytes + f->len <= body + size);
		MUST(event_scan(f->bytes, f->bytes + f->len, scratch, &again) == f->bytes + f->len);
		MUST(again.fault == f->fault && f->fault != EVENT_SOUND && !again.has_space);
		before = f->bytes + f->len;
	}
}

/* Two scans of the same bytes, one into a page that held others before. */
static void
check_same(const struct page *a, const struct page *b)
{
	MUST(a->rows == b->rows && a->n_events == b->n_events && a->n_faults == b->n_faults);
	MUST(a->has_next == b->has_next && a->total_count == b->total_count);
	MUST(strcmp(a->foreign_org_id, b->foreign_org_id) == 0);
	for (size_t i = 0; i < a->n_events; i++)
		MUST(event_compare(&a->events[i], &b->events[i]) == 0 &&
		     same_text(a->events[i].bytes, a->events[i].len, b->events[i].bytes, b->events[i].len));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *body = fuzz_copy(data, size), *other = fuzz_copy(data, size);
	static struct page used;
	struct page fresh;
	struct err e, same;
	int rc;

	hold_value_twins(body, size);
	for (size_t i = 0; i < size && i < 4096; i++)
		if (body[i] == '{')
			hold_twins(body + i, body + size);
	page_init(&fresh);
	err_clear(&e);
	err_clear(&same);
	rc = page_scan(&fresh, body, size, FUZZ_ORG_ID, &e);
	MUST(page_scan(&used, other, size, FUZZ_ORG_ID, &same) == rc);
	MUST((rc == 0) == !err_is(&e) && fuzz_is_line(e.text) && strcmp(e.text, same.text) == 0);
	if (rc == 0) {
		check_page(&fresh, body, size);
		check_page(&used, other, size);
	} else {
		MUST(e.code == ERR_PAGE && e.scope == ERR_SCOPE_PAGE && fresh.rows == 0 && fresh.n_events == 0);
	}
	check_same(&fresh, &used);
	page_free(&fresh);
	free(body);
	free(other);
	return 0;
}
