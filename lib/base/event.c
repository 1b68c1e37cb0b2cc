#include "lib/base/event.h"

#include <string.h>

#include "lib/base/isotime.h"
#include "lib/base/jsonscan.h"

#define CREATED_MAX 64 /* no date is longer */

/* A wanted member, as it stands in the object. */
struct field {
	const char *text; /* of a string: between the quotes; of anything else: all of it; NULL: absent */
	size_t len;
	size_t space;     /* white space between tokens before it */
	bool is_string;
	bool escape;      /* text holds escapes */
	bool ambiguous;   /* it stands twice, with different values */
};

enum { FIELD_ID, FIELD_CREATED, FIELD_ORG_ID, FIELDS };

int
event_compare(const struct event *a, const struct event *b)
{
	size_t len = a->id_len < b->id_len ? a->id_len : b->id_len;
	int order;

	if (a->created_ns != b->created_ns)
		return a->created_ns < b->created_ns ? -1 : 1;
	order = len == 0 ? 0 : memcmp(a->id, b->id, len);
	if (order != 0)
		return order < 0 ? -1 : 1;
	return (a->id_len > b->id_len) - (a->id_len < b->id_len);
}

const char *
event_fault_text(enum event_fault fault)
{
	switch (fault) {
	case EVENT_SOUND:
		return "it is sound";
	case EVENT_NO_ID:
		return "it has no readable id";
	case EVENT_NO_CREATED:
		return "it has no readable creation date";
	case EVENT_ODD_DATE:
		return "its creation date is before 2000 or after 2099";
	case EVENT_BAD_UTF8:
		return "it holds bytes that are not UTF-8";
	case EVENT_AMBIGUOUS:
		return "its id, created or orgId stands twice with different values";
	}
	return "it has an unknown fault";
}

/* Which wanted member a name means, or FIELDS. */
static int
field_of(const char *name, size_t len, bool escape)
{
	static const char *const names[FIELDS] = { "id", "created", "orgId" };

	if (!escape) {
		if (len == 2 && memcmp(name, "id", 2) == 0)
			return FIELD_ID;
		if (len == 7 && memcmp(name, "created", 7) == 0)
			return FIELD_CREATED;
		if (len == 5 && memcmp(name, "orgId", 5) == 0)
			return FIELD_ORG_ID;
		return FIELDS;
	}
	for (int i = 0; i < FIELDS; i++)
		if (json_same_text(name, len, names[i], strlen(names[i])))
			return i;
	return FIELDS;
}

/* Notes the value [text, end) of a wanted member. */
static void
note_field(struct field *f, const char *text, const char *end, bool escape, size_t space)
{
	struct field now = { text, (size_t)(end - text), space, *text == '"', escape, false };

	if (now.is_string) {
		now.text++;
		now.len -= 2;
	}
	if (f->text == NULL) {
		*f = now;
		return;
	}
	if (now.is_string != f->is_string)
		f->ambiguous = true;
	else if (now.is_string)
		f->ambiguous |= !json_same_text(f->text, f->len, now.text, now.len);
	else
		f->ambiguous |= f->len != now.len || memcmp(f->text, now.text, now.len) != 0;
}

/* Writes a string's text without its escapes. The number of bytes, or -1 where they are more than size
 * or no text (half a surrogate pair has no UTF-8). */
static int
resolve(const struct field *f, char *out, size_t size)
{
	const char *p = f->text, *end = f->text + f->len;
	size_t len = 0, need;
	uint32_t c;

	while (p < end) {
		c = json_next_char(&p, end);
		if (c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
			return -1;
		need = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
		if (size - len < need)
			return -1;
		if (need == 1) {
			out[len++] = (char)c;
			continue;
		}
		for (size_t i = need - 1; i > 0; i--, c >>= 6)
			out[len + i] = (char)(0x80 | (c & 0x3f));
		out[len] = (char)((0xf00u >> need) | c);
		len += need;
	}
	return (int)len;
}

/* True where good UTF-8 holds no control character (C0, DEL, C1). */
static bool
is_plain_text(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c < 0x20 || c == 0x7f)
			return false;
		if (c == 0xc2 && i + 1 < len && (unsigned char)text[i + 1] < 0xa0)
			return false;
	}
	return true;
}

static bool
read_id(const struct field *f, char *scratch, struct event *ev)
{
	int len;

	if (f->text == NULL || !f->is_string)
		return false;
	ev->id = f->text;
	ev->id_len = f->len;
	if (f->escape) {
		len = resolve(f, scratch, EVENT_ID_MAX);
		if (len < 0)
			return false;
		ev->id = scratch;
		ev->id_len = (size_t)len;
	}
	return ev->id_len > 0 && ev->id_len <= EVENT_ID_MAX && is_plain_text(ev->id, ev->id_len);
}

static bool
read_created(const struct field *f, int64_t *ret_ns)
{
	char text[CREATED_MAX];
	int len;

	if (f->text == NULL || !f->is_string)
		return false;
	if (!f->escape)
		return isotime_parse(f->text, f->len, ret_ns) == 0;
	len = resolve(f, text, sizeof(text));
	return len >= 0 && isotime_parse(text, (size_t)len, ret_ns) == 0;
}

static void
read_org_id(const struct field *f, char *room, struct event_scan *ret)
{
	int len;

	ret->org_id = NULL;
	ret->org_id_len = 0;
	if (f->text == NULL || f->ambiguous)
		return;
	if (!f->is_string) {
		if (f->len != 4 || memcmp(f->text, "null", 4) != 0)
			ret->org_id = "";
		return;
	}
	ret->org_id = f->text;
	ret->org_id_len = f->len;
	if (!f->escape)
		return;
	len = resolve(f, room, EVENT_ORG_ID_MAX);
	if (len < 0)
		return; /* as it stands, with its backslashes: no organization's */
	ret->org_id = room;
	ret->org_id_len = (size_t)len;
}

/* The object's members, from the byte after its '{'. */
static const char *
scan_members(struct json_scan *s, const char *p, struct field *fields)
{
	const char *name, *name_end, *value;
	bool closed = false;
	size_t space;
	int which;

	p = json_space(s, p);
	if (p < s->end && *p == '}')
		return p + 1;
	while (!closed) {
		name = p + 1;
		s->escape = false;
		p = json_name(s, p, &name_end);
		if (p == NULL)
			return NULL;
		value = p;
		space = s->space;
		which = field_of(name, (size_t)(name_end - name), s->escape);
		s->escape = false;
		p = json_value_inline(s, p, 1);
		if (p == NULL)
			return NULL;
		if (which != FIELDS)
			note_field(&fields[which], value, p, s->escape, space);
		p = json_separator(s, p, '}', &closed);
		if (p == NULL)
			return NULL;
	}
	return p;
}

const char *
event_scan(const char *p, const char *end, char scratch[static EVENT_SCRATCH_SIZE],
           struct event_scan *ret)
{
	struct field fields[FIELDS] = { 0 };
	struct json_scan s = { .end = end };
	const char *after;
	bool has_id, has_created;

	if (p >= end || *p != '{')
		return NULL;
	after = scan_members(&s, p + 1, fields);
	if (after == NULL)
		return NULL;
	ret->event = (struct event){ p, (size_t)(after - p), NULL, 0, 0 };
	ret->has_space = s.space > 0;
	ret->id_space = fields[FIELD_ID].space;
	has_id = read_id(&fields[FIELD_ID], scratch, &ret->event);
	has_created = read_created(&fields[FIELD_CREATED], &ret->event.created_ns);
	read_org_id(&fields[FIELD_ORG_ID], scratch + EVENT_ID_MAX, ret);
	if (s.bad_utf8)
		ret->fault = EVENT_BAD_UTF8;
	else if (fields[FIELD_ID].ambiguous || fields[FIELD_CREATED].ambiguous ||
	         fields[FIELD_ORG_ID].ambiguous)
		ret->fault = EVENT_AMBIGUOUS;
	else if (!has_id)
		ret->fault = EVENT_NO_ID;
	else if (!has_created)
		ret->fault = EVENT_NO_CREATED;
	else if (ret->event.created_ns < EVENT_CREATED_MIN_NS ||
	         ret->event.created_ns >= EVENT_CREATED_END_NS)
		ret->fault = EVENT_ODD_DATE;
	else
		ret->fault = EVENT_SOUND;
	return after;
}
