/* An archive that another process left behind, and what opening it makes of it: lib/store/recover.c, staging.c,
 * commit.c, merge.c, verify.c; and what a repair
 * makes of it: repair.c, compare.c.
 *
 * The input: two bytes of flags, then four parts with 0x1e between them: the day file, a staging file, what
 * the day file was about to become, events of this run. As no fuzzer makes a SHA-256, the ledger is made
 * here, to fit the parts (and, by flag, not to fit them).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/isotime.h"
#include "lib/store/store_private.h"
#include "tests/fuzz/fuzz.h"

#define INPUT_MAX 8192
#define DAY_S INT64_C(1754870400) /* 2025-08-11 */
#define EVENTS_MAX 512

enum { PART_DAY, PART_STAGED, PART_BECOMING, PART_PUT, PARTS };
enum {
	OLD = 1, OLD_GONE = 2, BECOMING = 4, RENAMED = 8, STAGED = 16, STAGED_LIES = 32, STRAY = 64, DAY_LIES = 128
};

struct part { const char *bytes; size_t len; };

struct world {
	struct part part[PARTS];
	unsigned flags;
	enum ledger_suffix old_suffix, new_suffix; /* of the day file; of the store */
	struct day old, becoming;
	bool old_sound, becoming_sound;
};

/* What the ledger has to say of a day file of these lines. False: they are no file that orgsync writes. */
static bool
day_of(const struct part *p, enum ledger_suffix suffix, struct day *ret)
{
	char scratch[EVENT_SCRATCH_SIZE], last_scratch[EVENT_SCRATCH_SIZE];
	const char *at = p->bytes, *end = p->bytes + p->len, *nl;
	struct event_scan scan, last = { .event = { .bytes = NULL } };
	bool sound = p->len > 0 && end[-1] == '\n';

	*ret = (struct day){ .day_s = DAY_S, .suffix = suffix, .bytes = p->len, .first_ns = DAY_S * NS_PER_S,
		             .last_ns = DAY_S * NS_PER_S };
	MUST(sha256_of(p->bytes, p->len, ret->sha256) == 0);
	for (; at < end; at = nl + 1) {
		nl = memchr(at, '\n', (size_t)(end - at));
		nl = nl == NULL ? end : nl;
		ret->events++;
		if (nl == at || event_scan(at, nl, scratch, &scan) != nl || scan.fault != EVENT_SOUND ||
		    isotime_day_start_s(isotime_second(scan.event.created_ns)) != DAY_S ||
		    (last.event.bytes != NULL && event_compare(&last.event, &scan.event) >= 0)) {
			sound = false;
			continue;
		}
		if (last.event.bytes == NULL)
			ret->first_ns = scan.event.created_ns;
		ret->last_ns = scan.event.created_ns;
		last = scan;
		memcpy(last_scratch, scratch, sizeof(last_scratch));
		if (last.event.id == scratch)
			last.event.id = last_scratch;
	}
	if (ret->last_ns < ret->first_ns)
		ret->last_ns = ret->first_ns;
	return sound;
}

/* No id twice in a sorted file? Two events of one id may stand at two times. */
static bool
ids_differ(const struct part *p)
{
	char scratch[EVENT_SCRATCH_SIZE];
	char (*ids)[EVENT_ID_MAX] = malloc(EVENTS_MAX * sizeof(*ids));
	size_t lens[EVENTS_MAX], n = 0;
	const char *at = p->bytes, *end = p->bytes + p->len, *nl;
	struct event_scan scan;
	bool differ = true;

	MUST(ids != NULL);
	for (; at < end && differ; at = nl + 1) {
		nl = memchr(at, '\n', (size_t)(end - at));
		if (nl == NULL || n == EVENTS_MAX || event_scan(at, nl, scratch, &scan) != nl)
			break;
		for (size_t i = 0; i < n; i++)
			differ &= lens[i] != scan.event.id_len || memcmp(ids[i], scan.event.id, lens[i]) != 0;
		memcpy(ids[n], scan.event.id, scan.event.id_len);
		lens[n++] = scan.event.id_len;
	}
	free(ids);
	return differ && n < EVENTS_MAX;
}

static void
write_day(const struct part *p, enum ledger_suffix suffix)
{
	char name[DAYFILE_NAME_MAX], path[80];
	unsigned char sha[32];
	struct day_writer w;
	struct err e;

	fuzz_write("acme/events/2025/x", "", 0);
	MUST(unlinkat(fuzz_dirfd(), "acme/events/2025/x", 0) == 0);
	snprintf(path, sizeof(path), "acme/events/2025/%s", dayfile_name(DAY_S, suffix, name));
	day_writer_init(&w);
	err_clear(&e);
	MUST(day_writer_open(&w, fuzz_dirfd(), path, suffix, p->len, path, &e) == 0);
	MUST(day_writer_put(&w, p->bytes, p->len, &e) == 0 && day_writer_finish(&w, sha, &e) == 0);
	day_writer_free(&w);
}

static void
write_ledger(struct world *w)
{
	struct ledger l;
	struct staged staged = { .file = "000007.ndjson", .bytes = w->part[PART_STAGED].len,
		                 .from_s = DAY_S, .to_s = DAY_S + S_PER_DAY };
	struct buf b;

	ledger_init(&l);
	buf_init(&b, 1 << 20);
	strcpy(l.org_id, FUZZ_ORG_ID);
	MUST(sha256_of(w->part[PART_STAGED].bytes, staged.bytes, staged.sha256) == 0);
	staged.sha256[0] ^= (w->flags & STAGED_LIES) != 0;
	if (w->flags & DAY_LIES)
		w->old.events++;
	if (w->flags & OLD)
		MUST(ledger_set_day(&l, &w->old) == 0);
	if (w->flags & STAGED) {
		l.staging = &staged;
		l.n_staging = 1;
	}
	if (w->flags & BECOMING) {
		l.becoming = &w->becoming;
		l.n_becoming = 1;
	}
	MUST(ledger_write(&l, &b) == 0);
	fuzz_write("acme/ledger.json", b.data, b.len);
	l.staging = NULL;
	l.becoming = NULL;
	l.n_staging = l.n_becoming = 0;
	ledger_free(&l);
	buf_free(&b);
}

static void
set_up(struct world *w, const uint8_t *data, size_t size)
{
	const char *at = (const char *)data + 2, *end = (const char *)data + size, *mark;

	memset(w, 0, sizeof(*w));
	w->flags = data[0];
	w->old_suffix = (enum ledger_suffix)(data[1] % 3);
	w->new_suffix = (enum ledger_suffix)(data[1] / 3 % 3);
	for (int i = 0; i < PARTS; i++) {
		mark = memchr(at, 0x1e, (size_t)(end - at));
		w->part[i] = (struct part){ at, (size_t)((mark == NULL ? end : mark) - at) };
		at = mark == NULL ? end : mark + 1;
	}
	if (w->part[PART_DAY].len == 0)
		w->flags &= ~(unsigned)OLD;
	if (w->part[PART_BECOMING].len == 0)
		w->flags &= ~(unsigned)BECOMING;
	w->old_sound = day_of(&w->part[PART_DAY], w->old_suffix, &w->old) && ids_differ(&w->part[PART_DAY]);
	w->becoming_sound = day_of(&w->part[PART_BECOMING], w->new_suffix, &w->becoming) &&
	                    ids_differ(&w->part[PART_BECOMING]);
	fuzz_empty_dir();
	fuzz_write("acme/.staging/000007.ndjson", w->part[PART_STAGED].bytes, w->part[PART_STAGED].len);
	if (!(w->flags & (STAGED | STRAY)))
		MUST(unlinkat(fuzz_dirfd(), "acme/.staging/000007.ndjson", 0) == 0);
	if ((w->flags & OLD) && !(w->flags & OLD_GONE))
		write_day(&w->part[PART_DAY], w->old_suffix);
	if ((w->flags & (BECOMING | RENAMED)) == (BECOMING | RENAMED))
		write_day(&w->part[PART_BECOMING], w->new_suffix);
	if (w->flags & STRAY)
		fuzz_write("acme/events/2025/2025-08-11.ndjson.gz.tmp", "half", 4);
	write_ledger(w);
}

static struct store *
open_store(const struct world *w, bool read_only, struct err *e)
{
	struct store_options o = { .dirfd = fuzz_dirfd(), .name = "acme", .org_id = FUZZ_ORG_ID,
		.suffix = w->new_suffix, .overlap_s = 3600, .read_only = read_only };

	err_clear(e);
	return store_open(&o, e);
}

static void
found(void *ctx, const struct store_finding *finding)
{
	(void)ctx;
	MUST(fuzz_is_line(finding->text));
}

static int
verify(const struct world *w)
{
	struct err e;
	struct store *s = open_store(w, true, &e);
	int n;

	if (s == NULL) { /* DAY_LIES: more events than bytes */
		MUST(e.code == ERR_LEDGER && fuzz_is_line(e.text));
		return -1;
	}
	n = store_verify(s, found, NULL, &e);
	store_close(s);
	return n;
}

/* Opening once more finds nothing to do. */
static void
check_at_rest(const struct world *w)
{
	size_t before_len = 0, after_len = 0;
	char *before = fuzz_read("acme/ledger.json", &before_len), *after;
	struct err e;
	struct store *s = open_store(w, false, &e);

	MUST(s != NULL && store_ledger(s)->n_staging == 0 && store_ledger(s)->n_becoming == 0);
	store_close(s);
	after = fuzz_read("acme/ledger.json", &after_len);
	MUST(before != NULL && after != NULL && before_len == after_len && memcmp(before, after, after_len) == 0);
	free(before);
	free(after);
}

static size_t
scan_events(const struct part *p, struct event *events, char *scratch)
{
	const char *at = p->bytes, *end = p->bytes + p->len, *nl;
	struct event_scan scan;
	size_t n = 0;

	for (; at < end && n < EVENTS_MAX; at = nl + 1) {
		nl = memchr(at, '\n', (size_t)(end - at));
		nl = nl == NULL ? end : nl;
		if (event_scan(at, nl, scratch + n * EVENT_SCRATCH_SIZE, &scan) == nl && scan.fault == EVENT_SOUND)
			events[n++] = scan.event;
	}
	return n;
}

/* This run's events go in; once more, and nothing changes. */
static void
put_twice(const struct world *w)
{
	struct event *events = malloc(EVENTS_MAX * sizeof(*events));
	char *scratch = malloc((size_t)EVENTS_MAX * EVENT_SCRATCH_SIZE), *ledgers[2] = { NULL, NULL };
	size_t n, lens[2] = { 0, 0 };
	struct covered range = { DAY_S, DAY_S + 86400, FUZZ_NOW_S, INT64_MAX, { NULL, 0, true } };
	struct err e;

	MUST(events != NULL && scratch != NULL);
	n = scan_events(&w->part[PART_PUT], events, scratch);
	for (int i = 0; i < 2; i++) {
		struct store *s = open_store(w, false, &e);

		MUST(s != NULL && store_put(s, events, n, &e) == 0);
		MUST(store_commit(s, &range, 1, true, &e) == 0);
		MUST(i == 0 || store_counts(s)->events_new == 0);
		MUST(store_uncommitted_bytes(s) == 0 && store_ledger(s)->n_staging == 0);
		store_close(s);
		ledgers[i] = fuzz_read("acme/ledger.json", &lens[i]);
	}
	MUST(lens[0] == lens[1] && memcmp(ledgers[0], ledgers[1], lens[0]) == 0);
	free(ledgers[0]);
	free(ledgers[1]);
	free(events);
	free(scratch);
}

/* The day file is one that orgsync wrote, and what the ledger says of it is true. */
static bool
day_is_sound(const struct world *w)
{
	bool renamed = (w->flags & (BECOMING | RENAMED)) == (BECOMING | RENAMED);

	if (renamed)
		return w->becoming_sound;
	return (w->flags & OLD) == 0 || (w->old_sound && (w->flags & (OLD_GONE | DAY_LIES)) == 0);
}

static void
repaired(void *ctx, const struct store_repaired *r)
{
	(void)ctx;
	MUST(r->path != NULL && r->from_s <= r->to_s);
	MUST(r->moved_to == NULL || strncmp(r->moved_to, "quarantine/damaged/", 19) == 0);
}

static void
compared(void *ctx, const struct store_compared *c)
{
	(void)ctx;
	MUST(c->path != NULL && c->gone >= c->missing);
}

/* Whatever is wrong with it but the ledger: repaired and read again, nothing is. */
static void
check_repair(const struct world *w)
{
	struct store_options o = { .dirfd = fuzz_dirfd(), .name = "acme", .org_id = FUZZ_ORG_ID, .repair = true };
	struct err e;
	struct store *s;

	err_clear(&e);
	s = store_open(&o, &e);
	if (s == NULL) {
		MUST(e.code == ERR_LEDGER && fuzz_is_line(e.text));
		return;
	}
	MUST(store_repair(s, found, repaired, NULL, &e) >= 0);
	store_close(s);
	put_twice(w);
	MUST(verify(w) == 0);
	s = open_store(w, false, &e);
	MUST(s != NULL && store_compare(s, compared, NULL, &e) == 0 && store_ledger(s)->n_repairs == 0);
	store_close(s);
	check_at_rest(w);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t before_len = 0, after_len = 0;
	char *before, *after;
	struct store *s;
	struct world w;
	struct err e;

	if (size < 2 || size > INPUT_MAX)
		return 0;
	set_up(&w, data, size);
	verify(&w); /* whatever it says, it says it in one line each */
	before = fuzz_read("acme/ledger.json", &before_len);
	s = open_store(&w, false, &e);
	if (s == NULL) {
		MUST((e.code == ERR_DAMAGE || e.code == ERR_LEDGER) && fuzz_is_line(e.text) && e.hint[0] != '\0');
		after = fuzz_read("acme/ledger.json", &after_len);
		MUST(after_len == before_len && memcmp(before, after, after_len) == 0);
		free(after);
	} else {
		MUST(store_ledger(s)->n_staging == 0 && store_ledger(s)->n_becoming == 0);
		store_close(s);
		check_at_rest(&w);
		if (day_is_sound(&w)) {
			MUST(verify(&w) == 0);
			put_twice(&w);
			MUST(verify(&w) == 0);
			check_at_rest(&w);
		}
	}
	/* A file with the sum that was noted for it when it was written, and no events in it, nobody wrote. */
	if (!(w.flags & BECOMING) || w.becoming_sound)
		check_repair(&w);
	free(before);
	return 0;
}
