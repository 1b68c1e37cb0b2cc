#include "tests/crash/sync_world.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/isotime.h"
#include "lib/base/rng.h"
#include "lib/store/dayfile.h"

#define ROWS 13
#define QUESTIONS_MAX 2000
#define N_TYPES 4

struct held {
	int64_t created_s, visible_s;
	unsigned id, type, order; /* order: inside its second */
	struct event raw, plain;  /* with and without the raw document */
};

static struct held held[WORLD_EVENTS];   /* newest first */
static const char poisoned[] = "{\"id\":5,\"created\":\"soon\"}";
static char *type_names[N_TYPES] = { (char[]){ "A" }, (char[]){ "B" }, (char[]){ "C" }, (char[]){ "D" } };

/* The server ----------------------------------------------------------------------------------------- */

static int
newest_first(const void *a, const void *b)
{
	const struct held *x = a, *y = b;

	if (x->created_s != y->created_s)
		return x->created_s < y->created_s ? 1 : -1;
	return x->order < y->order ? -1 : x->order > y->order;
}

static void
make_one(struct held *h, struct rng *r)
{
	char json[500], created[ISOTIME_LEN + 1], raw[80];
	unsigned pad = 1 + (unsigned)rng_below(r, 60);

	isotime_format_s(h->created_s, created);
	snprintf(json, sizeof(json), "{\"created\":\"%s\",\"id\":\"%024x\",\"eventTypeName\":\"%s\",\"pad\":\"%0*u\"}",
	         created, h->id, type_names[h->type], (int)pad, 0u);
	h->plain = test_event_of(json);
	snprintf(raw, sizeof(raw), ",\"raw\":{\"n\":%u.50}}", h->id);
	strcpy(json + strlen(json) - 1, raw);
	h->raw = test_event_of(json);
}

void
world_make(uint64_t seed)
{
	struct rng r;

	rng_seed(&r, seed);
	for (unsigned i = 0; i < WORLD_EVENTS; i++) {
		struct held *h = &held[i];

		h->id = 1 + (unsigned)((i * UINT64_C(2654435761)) & 0x7fffffff); /* says nothing of time */
		h->created_s = BASE_S - 3 * DAY_S + (int64_t)rng_below(&r, 4 * DAY_S + 9000);
		if (i % 5 == 0) /* seconds with many, next to midnight */
			h->created_s = BASE_S - 1 + (int64_t)rng_below(&r, 2);
		if (i % 7 == 0) /* the hour before the first run's end */
			h->created_s = BASE_S + 20000 - (int64_t)rng_below(&r, 3000);
		h->visible_s = h->created_s;
		if (i % 6 == 0) /* late, and never later than is looked for */
			h->visible_s += (int64_t)rng_below(&r, WORLD_OVERLAP_S);
		h->type = (unsigned)rng_below(&r, N_TYPES);
		h->order = (unsigned)rng_next(&r);
		make_one(h, &r);
	}
	qsort(held, WORLD_EVENTS, sizeof(held[0]), newest_first);
}

void
world_free(void)
{
	for (unsigned i = 0; i < WORLD_EVENTS; i++) {
		test_event_free(&held[i].raw);
		test_event_free(&held[i].plain);
	}
}

static bool
is_asked(unsigned types, unsigned type)
{
	return types == 0 || (types >> type & 1) != 0;
}

/* The answer. The event that cannot be filed is a row of its second, the last. */
static void
serve(const struct world_run *run, const struct atlas_question *q, struct event *rows, struct page_fault *fault,
      struct page *ret)
{
	size_t skip = (size_t)(q->page - 1) * q->rows, n = 0;
	bool poison = q->min_s <= WORLD_POISON_S && WORLD_POISON_S <= q->max_s && run->now_s >= WORLD_POISON_S;

	memset(ret, 0, sizeof(*ret));
	ret->events = rows;
	ret->faults = fault;
	for (unsigned i = 0; i <= WORLD_EVENTS; i++) {
		const struct held *h = i < WORLD_EVENTS ? &held[i] : NULL;
		bool here = n >= skip && n < skip + q->rows;

		if (poison && (h == NULL || h->created_s < WORLD_POISON_S)) {
			if (here)
				fault[ret->n_faults++] = (struct page_fault){ poisoned, strlen(poisoned), EVENT_NO_ID };
			poison = false;
			here = ++n >= skip && n < skip + q->rows;
		}
		if (h == NULL || h->created_s < q->min_s || h->created_s > q->max_s || h->visible_s > run->now_s ||
		    !is_asked(run->types, h->type))
			continue;
		if (here)
			rows[ret->n_events++] = run->not_raw ? h->plain : h->raw;
		n++;
	}
	ret->rows = ret->n_events + ret->n_faults;
	ret->total_count = (int64_t)n;
	ret->has_next = skip + ret->rows < n;
}

/* The client ----------------------------------------------------------------------------------------- */

static struct sync_options
options_of(const struct world_run *run, char **types)
{
	struct sync_options o = { .name = WORLD_NAME, .settle_s = WORLD_SETTLE_S, .overlap_s = WORLD_OVERLAP_S,
		.start = run->start_s == WORLD_SINCE ? SYNC_START_SINCE : SYNC_START_AT, .start_s = run->start_s,
		.rows = run->rows == 0 ? ROWS : run->rows, .commit_ms = INT64_MAX,
		.commit_bytes = run->commit_bytes == 0 ? SIZE_MAX : run->commit_bytes };

	o.asked.raw = !run->not_raw;
	o.asked.event_types = types;
	for (unsigned i = 0; i < N_TYPES && run->types != 0; i++)
		if (is_asked(run->types, i))
			types[o.asked.n_event_types++] = type_names[i];
	return o;
}

static int
drive(struct sync *s, const struct world_run *run)
{
	struct event rows[WORLD_EVENTS];
	struct page_fault fault[1];
	struct atlas_question q;
	struct page page;
	enum sync_step what;
	unsigned questions = 0;

	while ((what = sync_next(s, run->now_s, (int64_t)questions * 100, &q)) != SYNC_DONE) {
		if (what == SYNC_STORE) {
			sync_store_step(s);
			continue;
		}
		HOLDS(++questions < QUESTIONS_MAX, "it does not end");
		if (questions == run->stop_after) {
			sync_stop(s, NULL);
			continue;
		}
		serve(run, &q, rows, fault, &page);
		sync_take_page(s, &page, run->now_s, run->now_s, (int64_t)questions * 100);
	}
	return err_is(&sync_result(s)->err) ? -1 : 0;
}

int
world_run(const struct place *p, const struct world_run *run, struct err *e)
{
	struct store_options o = { .dirfd = p->fd, .name = WORLD_NAME, .org_id = ORG_A, .suffix = run->suffix,
		.overlap_s = WORLD_OVERLAP_S, .pending_cap_bytes = run->cap_bytes };
	char *types[N_TYPES];
	struct sync_options reading = options_of(run, types);
	struct sync_store of;
	struct store *store;
	struct sync *s;
	int rc;

	err_clear(e);
	store = store_open(&o, e);
	if (store == NULL)
		return -1;
	of = sync_store_of(store);
	s = sync_new(&reading, &of);
	HOLDS(s != NULL, "memory");
	rc = drive(s, run);
	*e = sync_result(s)->err;
	HOLDS(rc != 0 || sync_result(s)->up_to_date || run->stop_after > 0, "it ends without being up to date");
	HOLDS(rc == 0 || store_set_since(store, 5, NULL) == -1, "after a failure it goes on writing");
	sync_free(s);
	store_close(store);
	return rc;
}

/* What is there -------------------------------------------------------------------------------------- */

static const struct ledger *
look(const struct place *p, struct store **ret, const char *when)
{
	struct store_options o = { .dirfd = p->fd, .name = WORLD_NAME, .org_id = ORG_A, .overlap_s = WORLD_OVERLAP_S,
		.read_only = true };
	struct err e;

	err_clear(&e);
	*ret = store_open(&o, &e);
	HOLDS(*ret != NULL, "%s: %s", when, e.text);
	return store_ledger(*ret);
}

static const struct held *
find(const char *id, size_t len)
{
	char text[25];

	for (unsigned i = 0; i < WORLD_EVENTS && len == 24; i++) {
		snprintf(text, sizeof(text), "%024x", held[i].id);
		if (memcmp(text, id, 24) == 0)
			return &held[i];
	}
	return NULL;
}

/* Notes the events in some lines, each of which must be one that the server sent. */
static void
note_lines(const char *bytes, size_t len, bool *there, const char *when)
{
	const char *end = bytes + len, *nl;
	char scratch[EVENT_SCRATCH_SIZE];
	struct event_scan scan;

	for (const char *line = bytes; line < end; line = nl + 1) {
		const struct held *h;

		nl = memchr(line, '\n', (size_t)(end - line));
		HOLDS(nl != NULL, "%s: half a line", when);
		HOLDS(event_scan(line, nl, scratch, &scan) == nl && scan.fault == EVENT_SOUND, "%s: no event", when);
		h = find(scan.event.id, scan.event.id_len);
		HOLDS(h != NULL, "%s: an event nobody sent", when);
		HOLDS((h->raw.len == scan.event.len && memcmp(h->raw.bytes, line, h->raw.len) == 0) ||
		      (h->plain.len == scan.event.len && memcmp(h->plain.bytes, line, h->plain.len) == 0),
		      "%s: other bytes than were sent", when);
		there[h - held] = true;
	}
}

static void
note_staged(const struct place *p, const struct staged *staged, bool *there, const char *when)
{
	char path[100];
	unsigned char sha256[32];
	struct buf b;

	buf_init(&b, 1 << 24);
	snprintf(path, sizeof(path), WORLD_NAME "/.staging/%s", staged->file);
	HOLDS(test_exists(p, path), "%s: %s is named and not there", when, path);
	test_read(p, path, &b);
	HOLDS(b.len >= staged->bytes && sha256_of(b.data, staged->bytes, sha256) == 0 &&
	      memcmp(sha256, staged->sha256, 32) == 0, "%s: %s is not what the ledger names", when, path);
	note_lines(b.data, staged->bytes, there, when);
	buf_free(&b);
}

/* The day's file must be what `days` says or what `becoming` does. */
static void
note_day(const struct place *p, const struct ledger *l, int64_t day_s, bool *there, const char *when)
{
	const struct day *entry = ledger_day(l, day_s);
	unsigned char sha256[32];
	struct buf b;
	bool right;

	buf_init(&b, 1 << 24);
	for (int suffix = LEDGER_PLAIN; suffix <= LEDGER_ZSTD; suffix++) {
		char path[100], name[DAYFILE_NAME_MAX];

		dayfile_name(day_s, (enum ledger_suffix)suffix, name);
		snprintf(path, sizeof(path), WORLD_NAME "/events/%.4s/%s", name, name);
		if (!test_exists(p, path))
			continue;
		buf_reset(&b);
		test_read_file(p, path, (enum ledger_suffix)suffix, &b);
		HOLDS(sha256_of(b.data, b.len, sha256) == 0, "memory");
		right = entry != NULL && entry->bytes == b.len && memcmp(entry->sha256, sha256, 32) == 0;
		for (size_t i = 0; i < l->n_becoming; i++)
			right |= l->becoming[i].day_s == day_s && l->becoming[i].bytes == b.len &&
			         memcmp(l->becoming[i].sha256, sha256, 32) == 0;
		HOLDS(right, "%s: %s is neither what it was nor what it was to become", when, path);
		note_lines(b.data, b.len, there, when);
	}
	buf_free(&b);
}

static void
note_all(const struct place *p, const struct ledger *l, bool *there, const char *when)
{
	memset(there, 0, WORLD_EVENTS * sizeof(*there));
	for (size_t i = 0; i < l->n_days; i++)
		note_day(p, l, l->days[i].day_s, there, when);
	for (size_t i = 0; i < l->n_becoming; i++)
		if (ledger_day(l, l->becoming[i].day_s) == NULL)
			note_day(p, l, l->becoming[i].day_s, there, when);
	for (size_t i = 0; i < l->n_staging; i++)
		note_staged(p, &l->staging[i], there, when);
}

static bool
is_in_question(const struct question *q, unsigned type)
{
	for (size_t i = 0; i < q->n_event_types; i++)
		if (q->event_types[i][0] == (char)('A' + type))
			return true;
	return q->n_event_types == 0;
}

static void
tell(void *ctx, const struct store_finding *f)
{
	const char *when = ctx;

	HOLDS(f->path == NULL, "%s: verify says of %s: %s", when, f->path, f->text);
}

static void
check_range(const struct place *p, const struct covered *c, const bool *there, const char *when)
{
	char quarantined[100] = WORLD_NAME "/quarantine/";
	unsigned char sha256[32];
	size_t len = strlen(quarantined);

	for (unsigned i = 0; i < WORLD_EVENTS; i++) {
		const struct held *h = &held[i];
		int64_t asked_at_s = c->as_of_s;

		if (h->created_s < c->from_s || h->created_s >= c->to_s || !is_in_question(&c->asked, h->type))
			continue;
		if (c->overlap_s != INT64_MAX && h->created_s + c->overlap_s < asked_at_s)
			asked_at_s = h->created_s + c->overlap_s;
		HOLDS(there[i] || h->visible_s > asked_at_s, "%s: the ledger claims event %024x, which is nowhere", when,
		      h->id);
	}
	if (c->from_s > WORLD_POISON_S || c->to_s <= WORLD_POISON_S)
		return;
	HOLDS(sha256_of(poisoned, strlen(poisoned), sha256) == 0, "memory");
	for (int i = 0; i < 32; i++)
		len += (size_t)snprintf(quarantined + len, 3, "%02x", sha256[i]);
	strcpy(quarantined + len, ".json");
	HOLDS(test_exists(p, quarantined), "%s: the ledger claims the second of an event that is not quarantined", when);
}

unsigned
world_check_claims(const struct place *p, const char *when)
{
	bool there[WORLD_EVENTS];
	const struct ledger *l;
	struct store *store;
	unsigned n = 0;
	struct err e;

	if (!test_exists(p, WORLD_NAME))
		return 0;
	l = look(p, &store, when);
	note_all(p, l, there, when);
	for (size_t i = 0; i < l->n_covered; i++)
		check_range(p, &l->covered[i], there, when);
	err_clear(&e);
	HOLDS(store_verify(store, tell, (void *)(uintptr_t)when, &e) >= 0, "%s: %s", when, e.text);
	store_close(store);
	for (unsigned i = 0; i < WORLD_EVENTS; i++)
		n += there[i];
	return n;
}

void
world_check_all(const struct place *p, const struct world_run *run, const char *when)
{
	char *types[N_TYPES];
	struct sync_options o = options_of(run, types);
	bool there[WORLD_EVENTS];
	struct store *store;
	const struct ledger *l = look(p, &store, when);
	int64_t from_s = o.start == SYNC_START_AT ? o.start_s : l->since_s;

	HOLDS(l->n_staging == 0 && l->n_becoming == 0, "%s: something is left to do", when);
	HOLDS(from_s > 0, "%s: no start", when);
	note_all(p, l, there, when);
	for (unsigned i = 0; i < WORLD_EVENTS; i++)
		HOLDS(there[i] || held[i].created_s < from_s || held[i].created_s >= run->now_s - WORLD_SETTLE_S ||
		      held[i].visible_s > run->now_s || !is_asked(run->types, held[i].type),
		      "%s: event %024x is missing", when, held[i].id);
	store_close(store);
}

void
world_meaning(const struct place *p, const struct world_run *run, struct buf *b)
{
	char *types[N_TYPES];
	struct sync_options o = options_of(run, types);
	struct store *store;
	const struct ledger *l = look(p, &store, "meaning");
	struct gap *gaps = NULL;
	size_t n = 0;

	HOLDS(ledger_missing(l, BASE_S - 5 * DAY_S, run->now_s, &o.asked, WORLD_OVERLAP_S, &gaps, &n) == 0, "memory");
	HOLDS(buf_printf(b, "since %lld\n", (long long)l->since_s) == 0, "memory");
	for (size_t i = 0; i < n; i++)
		HOLDS(buf_printf(b, "%s %lld %lld\n", gaps[i].provisional ? "again" : "missing",
		                 (long long)gaps[i].from_s, (long long)gaps[i].to_s) == 0, "memory");
	free(gaps);
	store_close(store);
}
