#include "lib/atlas/page.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/jsonscan.h"

#define EVENTS_FIRST 512  /* a full page */
#define FAULTS_FIRST 16
#define CHUNK_BYTES 16384 /* room for ids that were written with escapes */

/* Chunks never move, so an id stays where it is while later ones are read. */
struct chunk {
	struct chunk *next;
	char bytes[CHUNK_BYTES];
};

struct page_memory {
	size_t events_size, faults_size; /* how many the arrays hold */
	struct chunk *chunks;
	struct chunk *chunk;             /* the one in use, NULL where there is none yet */
	size_t chunk_used;
};

enum { MEMBER_LINKS, MEMBER_RESULTS, MEMBER_TOTAL_COUNT, MEMBERS };

/* One walk over one body. */
struct walk {
	struct page *page;
	char *body;
	struct json_scan s;
	const char *org_id;
	size_t org_id_len;
	struct err *e;
};

void
page_init(struct page *p)
{
	memset(p, 0, sizeof(*p));
	p->total_count = -1;
}

void
page_free(struct page *p)
{
	struct chunk *c, *next;

	if (p->memory != NULL) {
		for (c = p->memory->chunks; c != NULL; c = next) {
			next = c->next;
			free(c);
		}
	}
	free(p->memory);
	free(p->events);
	free(p->faults);
	page_init(p);
}

/* Forgets the last page; keeps the memory. */
static void
forget(struct page *p)
{
	p->n_events = p->n_faults = p->rows = p->n_foreign = 0;
	p->has_next = false;
	p->total_count = -1;
	p->foreign_org_id[0] = '\0';
	if (p->memory != NULL) {
		p->memory->chunk = p->memory->chunks;
		p->memory->chunk_used = 0;
	}
}

static int
no_memory(struct err *e)
{
	return err_set(e, ERR_NOMEM, ERR_SCOPE_ORGANIZATION, ERR_RETRY_LATER,
	               "not enough memory for the events of a page");
}

static int
not_a_page(struct walk *w, const char *at, const char *why)
{
	return err_set(w->e, ERR_PAGE, ERR_SCOPE_PAGE, ERR_RETRY_NOW,
	               "the answer is no page of events: %s (byte %zu)", why, (size_t)(at - w->body));
}

/* Makes room for one more element. The array, moved perhaps; NULL: no memory, the old one stands. */
static void *
grow(void *array, size_t *size, size_t used, size_t first, size_t element_bytes)
{
	size_t more = *size == 0 ? first : *size * 2;
	void *grown;

	if (used < *size)
		return array;
	if (more > SIZE_MAX / element_bytes)
		return NULL;
	grown = realloc(array, more * element_bytes);
	if (grown != NULL)
		*size = more;
	return grown;
}

/* Room for one id; the page's until page_scan() is called again. NULL: no memory. */
static char *
id_room(struct page_memory *m)
{
	struct chunk *c;

	if (m->chunk != NULL && CHUNK_BYTES - m->chunk_used >= EVENT_SCRATCH_SIZE)
		return m->chunk->bytes + m->chunk_used;
	if (m->chunk == NULL || m->chunk->next == NULL) {
		c = malloc(sizeof(*c));
		if (c == NULL)
			return NULL;
		c->next = NULL;
		if (m->chunk == NULL)
			m->chunks = c;
		else
			m->chunk->next = c;
		m->chunk = c;
	} else {
		m->chunk = m->chunk->next;
	}
	m->chunk_used = 0;
	return m->chunk->bytes;
}

static bool
is_foreign(const struct walk *w, const struct event_scan *scan)
{
	return scan->org_id != NULL &&
	       (scan->org_id_len != w->org_id_len ||
	        strncasecmp(scan->org_id, w->org_id, w->org_id_len) != 0);
}

static void
note_foreign(struct page *p, const struct event_scan *scan)
{
	size_t i;

	if (p->n_foreign++ > 0)
		return;
	for (i = 0; i < scan->org_id_len && i + 1 < sizeof(p->foreign_org_id); i++) {
		if (scan->org_id[i] < 0x20 || scan->org_id[i] > 0x7e)
			break;
		p->foreign_org_id[i] = scan->org_id[i];
	}
	p->foreign_org_id[i] = '\0';
}

/* Takes the white space out of an event, in its place. An id that stands in it moves with it. */
static void
compact(struct walk *w, struct event_scan *scan, const char *room)
{
	struct event *ev = &scan->event;
	char *start = w->body + (ev->bytes - w->body);

	ev->len = json_strip_space(start, ev->len, start);
	if (ev->id != NULL && ev->id != room)
		ev->id -= scan->id_space;
}

/* Appends one that can be filed. 0; -1: no memory. */
static int
keep_event(struct walk *w, const struct event *ev, const char *room)
{
	struct page *p = w->page;
	struct page_memory *m = p->memory;
	struct event *events = grow(p->events, &m->events_size, p->n_events, EVENTS_FIRST,
	                            sizeof(*events));

	if (events == NULL)
		return no_memory(w->e);
	p->events = events;
	p->events[p->n_events++] = *ev;
	if (ev->id == room)
		m->chunk_used += ev->id_len;
	return 0;
}

/* Appends one that cannot. 0; -1: no memory. */
static int
keep_fault(struct walk *w, const struct event_scan *scan)
{
	struct page *p = w->page;
	struct page_fault *faults = grow(p->faults, &p->memory->faults_size, p->n_faults, FAULTS_FIRST,
	                                 sizeof(*faults));

	if (faults == NULL)
		return no_memory(w->e);
	p->faults = faults;
	p->faults[p->n_faults++] = (struct page_fault){ scan->event.bytes, scan->event.len, scan->fault };
	return 0;
}

/* Files what event_scan() found. 0; -1: no memory. */
static int
keep(struct walk *w, struct event_scan *scan, const char *room)
{
	w->page->rows++;
	if (is_foreign(w, scan)) {
		note_foreign(w->page, scan);
		return 0;
	}
	if (scan->has_space)
		compact(w, scan, room);
	return scan->fault == EVENT_SOUND ? keep_event(w, &scan->event, room) : keep_fault(w, scan);
}

/* The value of results at `at`: an array of objects. NULL: w->e says why. */
static const char *
scan_results(struct walk *w, const char *at)
{
	const char *after;
	struct event_scan scan;
	bool closed = false;
	char *room;

	if (*at != '[') {
		not_a_page(w, at, "results is no array");
		return NULL;
	}
	at = json_space(&w->s, at + 1);
	if (at < w->s.end && *at == ']')
		return at + 1;
	while (!closed) {
		room = id_room(w->page->memory);
		if (room == NULL) {
			no_memory(w->e);
			return NULL;
		}
		if (at < w->s.end && *at != '{') {
			not_a_page(w, at, "an element of results is no object");
			return NULL;
		}
		after = event_scan(at, w->s.end, room, &scan);
		if (after == NULL) {
			not_a_page(w, at, "the JSON of an event is not sound");
			return NULL;
		}
		if (keep(w, &scan, room) != 0)
			return NULL;
		at = json_separator(&w->s, after, ']', &closed);
		if (at == NULL) {
			not_a_page(w, after, "after an event neither a comma nor the end of results");
			return NULL;
		}
	}
	return at;
}

/* The object at `at`, a link: sets has_next where its rel is "next". NULL: not JSON. */
static const char *
scan_link(struct walk *w, const char *at)
{
	const char *name, *name_end, *value;
	bool closed = false;

	at = json_space(&w->s, at + 1);
	if (at < w->s.end && *at == '}')
		return at + 1;
	while (at != NULL && !closed) {
		name = at + 1;
		value = json_name(&w->s, at, &name_end);
		at = value == NULL ? NULL : json_value(&w->s, value, 3);
		if (at == NULL)
			return NULL;
		if (*value == '"' && json_same_text(name, (size_t)(name_end - name), "rel", 3) &&
		    json_same_text(value + 1, (size_t)(at - value - 2), "next", 4))
			w->page->has_next = true;
		at = json_separator(&w->s, at, '}', &closed);
	}
	return at;
}

/* The value of links. Anything but an array of objects holds no next, and is no reason to refuse the
 * page. NULL: not JSON. */
static const char *
scan_links(struct walk *w, const char *at)
{
	bool closed = false;

	if (*at != '[')
		return json_value(&w->s, at, 1);
	at = json_space(&w->s, at + 1);
	if (at < w->s.end && *at == ']')
		return at + 1;
	while (at != NULL && !closed) {
		if (at < w->s.end && *at == '{')
			at = scan_link(w, at);
		else
			at = json_value(&w->s, at, 2);
		if (at != NULL)
			at = json_separator(&w->s, at, ']', &closed);
	}
	return at;
}

/* A whole number that an int64_t holds, or -1. */
static int64_t
read_count(const char *at, const char *end)
{
	int64_t count = 0;

	for (; at < end; at++) {
		if (*at < '0' || *at > '9' || count > (INT64_MAX - (*at - '0')) / 10)
			return -1;
		count = count * 10 + (*at - '0');
	}
	return count;
}

/* Which of the members we know a name means, or MEMBERS. */
static int
member_of(const char *name, size_t len)
{
	static const char *const names[MEMBERS] = { "links", "results", "totalCount" };

	for (int i = 0; i < MEMBERS; i++)
		if (json_same_text(name, len, names[i], strlen(names[i])))
			return i;
	return MEMBERS;
}

/* One member's value. NULL: not JSON, or w->e says why. */
static const char *
scan_member(struct walk *w, int which, const char *at)
{
	const char *after;

	if (at >= w->s.end)
		return NULL;
	if (which == MEMBER_RESULTS)
		return scan_results(w, at);
	if (which == MEMBER_LINKS)
		return scan_links(w, at);
	after = json_value(&w->s, at, 1);
	if (after != NULL && which == MEMBER_TOTAL_COUNT)
		w->page->total_count = read_count(at, after);
	return after;
}

static int
scan_body(struct walk *w)
{
	const char *at = json_space(&w->s, w->body), *name, *name_end, *after;
	bool closed, seen[MEMBERS + 1] = { false };
	int which;

	if (at >= w->s.end || *at != '{')
		return not_a_page(w, at, "no JSON object");
	at = json_space(&w->s, at + 1);
	closed = at < w->s.end && *at == '}';
	if (closed)
		at++;
	while (!closed) {
		name = at;
		after = json_name(&w->s, at, &name_end);
		if (after == NULL)
			return not_a_page(w, at, "the JSON is not sound");
		which = member_of(name + 1, (size_t)(name_end - name - 1));
		if (which != MEMBERS && seen[which])
			return not_a_page(w, at, "links, results or totalCount stands twice");
		seen[which] = true;
		at = after;
		after = scan_member(w, which, at);
		if (after == NULL)
			return not_a_page(w, at, "the JSON is not sound");
		at = json_separator(&w->s, after, '}', &closed);
		if (at == NULL)
			return not_a_page(w, after, "the JSON is not sound, or cut short");
	}
	after = json_space(&w->s, at);
	if (after < w->s.end)
		return not_a_page(w, after, "more text after its end");
	if (!seen[MEMBER_RESULTS])
		return not_a_page(w, after, "it has no results");
	return 0;
}

int
page_scan(struct page *p, char *bytes, size_t len, const char *org_id, struct err *e)
{
	struct walk w = { p, bytes, { .end = bytes + len }, org_id, strlen(org_id), e };

	forget(p);
	if (p->memory == NULL) {
		p->memory = calloc(1, sizeof(*p->memory));
		if (p->memory == NULL)
			return no_memory(e);
	}
	if (scan_body(&w) == 0)
		return 0;
	forget(p);
	return -1;
}
