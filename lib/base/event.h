/* event.h: one event as the server sent it, and the validating JSON scanner that finds its fields.
 *
 * The archive keeps the very bytes of each event, so nothing here builds a tree: the scanner walks
 * the bytes once, checks that they are JSON (RFC 8259) and notes where the wanted fields lie. It
 * stands in lib/base because both lib/atlas (pages) and lib/store (day files) read events.
 * Every function may be called from any thread; none allocates, blocks or keeps a pointer.
 */
#ifndef ORGSYNC_BASE_EVENT_H
#define ORGSYNC_BASE_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_DEPTH_MAX 128      /* arrays and objects inside one another, from the scan's start */
#define EVENT_ID_MAX 256        /* an id of more bytes cannot be filed */
#define EVENT_ORG_ID_MAX 64     /* an orgId of more bytes, written with escapes, is given as it stands */
#define EVENT_SCRATCH_SIZE (EVENT_ID_MAX + EVENT_ORG_ID_MAX)
#define EVENT_CREATED_MIN_NS (INT64_C(946684800) * 1000000000)  /* 2000-01-01: before Atlas existed */
#define EVENT_CREATED_END_NS (INT64_C(4102444800) * 1000000000) /* 2100-01-01 */

/* An event that can be filed. Its pointers lead into bytes that somebody else owns. */
struct event {
	const char *bytes;   /* the object, from '{' to '}' */
	size_t len;
	const char *id;      /* the id's text; escapes already resolved (see event_scan) */
	size_t id_len;       /* 1 .. EVENT_ID_MAX */
	int64_t created_ns;  /* in [EVENT_CREATED_MIN_NS, EVENT_CREATED_END_NS) */
};

/* Order of the archive: by created, then by the id's bytes, a shorter id before its extensions. */
int event_compare(const struct event *a, const struct event *b);

enum event_fault {           /* why an object cannot be filed */
	EVENT_SOUND = 0,
	EVENT_NO_ID,         /* absent, not a string, empty, too long, or not plain text */
	EVENT_NO_CREATED,    /* absent, not a string, or no readable date */
	EVENT_ODD_DATE,      /* a date outside [EVENT_CREATED_MIN_NS, EVENT_CREATED_END_NS) */
	EVENT_BAD_UTF8,      /* a byte sequence that is not UTF-8 in one of its strings */
	EVENT_AMBIGUOUS      /* id, created or orgId stands twice with different values */
};
const char *event_fault_text(enum event_fault fault); /* static: "it has no readable id", … */

/* What one scan of one object found. */
struct event_scan {
	struct event event;      /* sound only where fault is EVENT_SOUND; bytes and len always */
	enum event_fault fault;
	const char *org_id;      /* orgId's text; NULL where it is absent, null or ambiguous; "" where it
	                          * is no string */
	size_t org_id_len;
	bool has_space;          /* white space between tokens */
	size_t id_space;         /* bytes of it before the id: how far the id moves when it is stripped */
};

/* Scans the JSON object that starts at p (*p is '{') and ends before end. Only the object's own
 * members count, not those of objects inside it; a member name written with escapes ("\u0069d") is
 * the same name. id, created and orgId written with escapes are resolved into scratch (borrowed, at
 * least EVENT_SCRATCH_SIZE bytes): event.id, then at its start, and org_id may point there until the
 * caller reuses it.
 * A member that stands twice with the same value counts once; with different values the event is
 * EVENT_AMBIGUOUS.
 * Returns the first byte after the object, or NULL where the bytes are not JSON or nest deeper than
 * JSON_DEPTH_MAX (*ret is then untouched). Bad UTF-8 inside strings is a fault of the event,
 * not of the JSON: scanning goes on. */
const char *event_scan(const char *p, const char *end, char scratch[static EVENT_SCRATCH_SIZE],
                       struct event_scan *ret);

/* Skips white space (space, tab, line feed, carriage return). */
const char *json_skip_space(const char *p, const char *end);

/* Scans one JSON value of any kind at p, without leading space. depth is how many arrays and objects
 * are open around it. Sets *ret_bad_utf8 and *ret_has_space to true where it meets such (never to
 * false). First byte after it, or NULL (not JSON, too deep, or end reached). */
const char *json_skip_value(const char *p, const char *end, int depth, bool *ret_bad_utf8,
                            bool *ret_has_space);

/* Copies the JSON text [bytes, bytes + len) to out without the white space between tokens, and returns
 * the number of bytes that are left (<= len). out has room for len bytes, all of which may be written
 * to; it may be bytes itself. The text must have been scanned before. */
size_t json_strip_space(const char *bytes, size_t len, char *out);

#endif
