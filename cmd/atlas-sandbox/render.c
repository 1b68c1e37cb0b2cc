/* render.c: events as the real endpoint shows them: fields in alphabetical order, some of them odd.
 *
 * About one event in 32 carries fields of no published schema, with everything a careless reader
 * stumbles over: escapes, characters outside ASCII, numbers that a parser would rewrite, and nested
 * objects with an `id`, a `created` and an `orgId` of their own.
 */
#include "cmd/atlas-sandbox/render.h"

#include <assert.h>
#include <string.h>

#include "cmd/atlas-sandbox/hash.h"
#include "cmd/atlas-sandbox/types.h"
#include "lib/base/isotime.h"


static void
put(struct json_writer *w, const char *bytes, size_t len)
{
	memcpy(w->at, bytes, len);
	w->at += len;
}

#define PUT(w, literal) put(w, literal, sizeof(literal) - 1)

static void
put_str(struct json_writer *w, const char *text)
{
	put(w, text, strlen(text));
}

static void
put_line(struct json_writer *w)
{
	*w->at++ = '\n';
	for (unsigned i = 0; i < w->depth; i++)
		PUT(w, "  ");
}

/* What comes before a member or an element. */
static void
next(struct json_writer *w)
{
	if (!w->first)
		*w->at++ = ',';
	if (w->style == STYLE_PRETTY)
		put_line(w);
	else if (w->style == STYLE_SPACED && !w->first)
		*w->at++ = ' ';
	w->first = false;
}

static void
open_with(struct json_writer *w, char bracket)
{
	*w->at++ = bracket;
	w->depth++;
	w->first = true;
}

static void
close_with(struct json_writer *w, char bracket)
{
	w->depth--;
	if (w->style == STYLE_PRETTY && !w->first)
		put_line(w);
	*w->at++ = bracket;
	w->first = false;
}

static void
key(struct json_writer *w, const char *quoted, size_t len)
{
	next(w);
	put(w, quoted, len);
	*w->at++ = ':';
	if (w->style != STYLE_COMPACT)
		*w->at++ = ' ';
}

#define KEY(w, name) key(w, "\"" name "\"", sizeof(name) + 1)
#define FIELD(w, name, literal) (KEY(w, name), PUT(w, literal))

static void
put_hex_field(struct json_writer *w, uint64_t head, uint64_t tail)
{
	*w->at++ = '"';
	hash_hex(head, 8, w->at);
	hash_hex(tail, 16, w->at + 8);
	w->at += 24;
	*w->at++ = '"';
}

static void
put_quoted(struct json_writer *w, const char *text)
{
	*w->at++ = '"';
	put_str(w, text);
	*w->at++ = '"';
}

static void
put_number(struct json_writer *w, uint64_t value)
{
	char digits[20];
	int n = 0;

	do
		digits[n++] = (char)('0' + value % 10);
	while ((value /= 10) != 0);
	while (n > 0)
		*w->at++ = digits[--n];
}

static void
put_user(struct json_writer *w, uint64_t number)
{
	PUT(w, "\"user");
	put_number(w, number);
	PUT(w, "@example.com\"");
}

static void
put_address(struct json_writer *w, uint64_t hash)
{
	static const char *const nets[] = { "\"192.0.2.", "\"198.51.100.", "\"203.0.113." };

	put_str(w, nets[hash % 3]);
	put_number(w, hash / 3 % 254 + 1);
	*w->at++ = '"';
}

/* "2026-08-10T03:06:47.123Z" with 0, 3 or 6 digits of fraction. */
static void
put_created(struct json_writer *w, int64_t us, int digits)
{
	char text[ISOTIME_LEN + 1];
	int64_t fraction = us % 1000000;

	isotime_format_s(us / 1000000, text);
	*w->at++ = '"';
	put(w, text, ISOTIME_LEN - 1);
	if (digits > 0) {
		*w->at++ = '.';
		if (digits == 3)
			fraction /= 1000;
		for (int i = digits - 1; i >= 0; i--, fraction /= 10)
			w->at[i] = (char)('0' + fraction % 10);
		w->at += digits;
	}
	PUT(w, "Z\"");
}

static int
created_digits(const struct org *org)
{
	return org->set.created == CREATED_MS ? 3 : org->set.created == CREATED_US ? 6 : 0;
}

/* What one event's rendering needs to know. */
struct subject {
	const struct org *org;
	uint64_t position;
	int64_t time_ms, created_us;
	uint64_t hash;
	const struct event_type *type;
	enum poison poison;
	char id[ID_TEXT_MAX];
};

static void
put_odd_fields(struct json_writer *w, const struct subject *s)
{
	KEY(w, "currentValue");
	open_with(w, '{');
	FIELD(w, "id", "\"not-the-event's-own\"");
	FIELD(w, "created", "\"1999-12-31T23:59:59Z\"");
	FIELD(w, "orgId", "\"000000000000000000000000\"");
	FIELD(w, "nothing", "null");
	FIELD(w, "empty", "{}");
	FIELD(w, "none", "[]");
	close_with(w, '}');
	KEY(w, "diffs");
	open_with(w, '[');
	next(w);
	open_with(w, '{');
	FIELD(w, "id", "\"\\u007b \\\"id\\\": \\\"x\\\" }\"");
	FIELD(w, "params", "[0.10,1e2,1E+2,-0,-0.0,12345678901234567890123,1.7976931348623157e+308]");
	close_with(w, '}');
	next(w);
	PUT(w, "true");
	close_with(w, ']');
	if (s->hash & 64)
		FIELD(w, "note", "\"tab\\t, slash \\/, back\\\\slash, , : caf\\u00e9 \\ud83d\\ude00 \\u0000\"");
	else
		FIELD(w, "note", "\"Größe, 東京, \U0001F600, [{\\\"a\\\": 1}, 2]\"");
}

static void
put_links(struct json_writer *w, const struct subject *s)
{
	KEY(w, "links");
	open_with(w, '[');
	next(w);
	open_with(w, '{');
	KEY(w, "href");
	PUT(w, "\"https://cloud.mongodb.com/api/atlas/v2/groups/null/events/");
	put_str(w, s->id);
	*w->at++ = '"';
	FIELD(w, "rel", "\"self\"");
	close_with(w, '}');
	close_with(w, ']');
}

static void
put_raw(struct json_writer *w, const struct subject *s, bool by_key)
{
	KEY(w, "raw");
	open_with(w, '{');
	FIELD(w, "_t", "\"ORG_AUDIT\"");
	FIELD(w, "alertConfigId", "null");
	FIELD(w, "cid", "null");
	KEY(w, "cre");
	put_created(w, s->time_ms * 1000, 3);
	KEY(w, "description");
	PUT(w, "\"");
	put_str(w, s->type->name);
	PUT(w, " by ");
	put_str(w, by_key ? "an API key" : "a user of the organization");
	PUT(w, "\"");
	KEY(w, "et");
	put_quoted(w, s->type->name);
	FIELD(w, "gn", "null");
	KEY(w, "id");
	put_hex_field(w, (uint64_t)(s->time_ms / 1000), hash_mix(s->hash));
	KEY(w, "orgId");
	put_quoted(w, s->org->org_id);
	KEY(w, "orgName");
	put_quoted(w, s->org->name);
	KEY(w, "ra");
	put_address(w, s->hash >> 8);
	FIELD(w, "severity", "\"INFO\"");
	KEY(w, "source");
	put_str(w, by_key ? "\"PUBLIC_API\"" : "\"UI\"");
	FIELD(w, "ua", "\"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
	      "Chrome/126.0.0.0 Safari/537.36\"");
	KEY(w, "un");
	put_user(w, s->hash >> 20 & 63);
	close_with(w, '}');
}

static void
put_id_fields(struct json_writer *w, const struct subject *s)
{
	if (s->poison == POISON_NO_ID)
		return;
	KEY(w, "id");
	put_quoted(w, s->id);
	if (s->poison == POISON_DUPLICATE_KEYS) {
		KEY(w, "id");
		put_hex_field(w, 0, s->hash);
	}
}

static void
put_created_field(struct json_writer *w, const struct subject *s)
{
	if (s->poison == POISON_NO_CREATED)
		return;
	if (s->poison == POISON_ODD_DATE) {
		FIELD(w, "created", "\"9999-12-31T23:59:59Z\"");
		return;
	}
	KEY(w, "created");
	put_created(w, s->created_us, created_digits(s->org));
}

/* Fields a kind of event has, from targetPublicKey on. */
static void
put_target_fields(struct json_writer *w, const struct subject *s)
{
	unsigned fields = s->type->fields;

	if (fields & FIELD_RESOURCE) {
		KEY(w, "resourceId");
		put_hex_field(w, 0x65000000, hash_mix(s->hash >> 30 & 255));
		FIELD(w, "resourceType", "\"project\"");
	}
	if (fields & FIELD_TARGET_KEY) {
		KEY(w, "targetPublicKey");
		PUT(w, "\"pubkey");
		put_number(w, s->hash >> 40 & 31);
		*w->at++ = '"';
	}
	if (fields & FIELD_TARGET_USER) {
		KEY(w, "targetUsername");
		put_user(w, s->hash >> 40 & 255);
	}
	if (fields & FIELD_TEAM) {
		KEY(w, "teamId");
		put_hex_field(w, 0x64f00000, hash_mix(s->hash >> 32 & 15));
	}
}

static void
put_event(struct json_writer *w, const struct subject *s, bool raw)
{
	unsigned actor = (unsigned)(s->hash % 20); /* 0..8 a key, 9..18 a user, 19 nobody */
	bool by_key = actor < 9, by_user = !by_key && actor < 19;

	open_with(w, '{');
	if (by_key) {
		KEY(w, "apiKeyId");
		put_hex_field(w, 0x6835e821, hash_mix(s->hash >> 20 & 7));
	}
	if (s->type->fields & FIELD_CLIENT) {
		KEY(w, "clientId");
		PUT(w, "\"mdb_sa_id_");
		hash_hex(hash_mix(s->hash >> 44 & 15), 16, w->at);
		hash_hex(0x65000000, 8, w->at + 16);
		w->at += 24;
		*w->at++ = '"';
	}
	put_created_field(w, s);
	if ((s->hash >> 50) % 32 == 0)
		put_odd_fields(w, s);
	KEY(w, "eventTypeName");
	put_quoted(w, s->type->name);
	if (s->type->fields & FIELD_GROUP) {
		KEY(w, "groupId");
		put_hex_field(w, 0x64e00000, hash_mix(s->hash >> 24 & 31));
	}
	put_id_fields(w, s);
	if (s->type->fields & FIELD_INVOICE) {
		KEY(w, "invoiceId");
		put_hex_field(w, (uint64_t)(s->time_ms / 1000), hash_mix(s->hash + 5));
	}
	FIELD(w, "isGlobalAdmin", "false");
	put_links(w, s);
	KEY(w, "orgId");
	put_quoted(w, s->poison == POISON_FOREIGN ? s->org->foreign_id : s->org->org_id);
	if (s->org->set.event_bytes > 0) {
		KEY(w, "padding");
		*w->at++ = '"';
		memset(w->at, 'x', s->org->set.event_bytes);
		w->at += s->org->set.event_bytes;
		*w->at++ = '"';
	}
	if (by_key) {
		KEY(w, "publicKey");
		PUT(w, "\"pubkey");
		put_number(w, s->hash >> 20 & 7);
		*w->at++ = '"';
	}
	if (raw)
		put_raw(w, s, by_key);
	if (by_key || by_user) {
		KEY(w, "remoteAddress");
		put_address(w, s->hash >> 8);
	}
	put_target_fields(w, s);
	if (s->poison == POISON_BAD_UTF8)
		FIELD(w, "userAlias", "\"ab\xff\xfe\xc3(cd\"");
	if (by_user) {
		KEY(w, "userId");
		put_hex_field(w, 0x63000000, hash_mix(s->hash >> 20 & 63));
		KEY(w, "username");
		put_user(w, s->hash >> 20 & 63);
	}
	if (s->type->fields & FIELD_ACCESS_ENTRY) {
		KEY(w, "whitelistEntry");
		put_address(w, s->hash >> 13);
	}
	if (s->poison == POISON_MALFORMED)
		PUT(w, ", \"broken\": tru");
	close_with(w, '}');
}

static void
subject_init(struct subject *s, const struct org *org, uint64_t position)
{
	s->org = org;
	s->position = position;
	s->time_ms = model_time_ms(org, position);
	s->created_us = model_created_us(org, position, s->time_ms);
	s->hash = model_hash(org, position, 4);
	s->type = &event_types[model_type(org, position)];
	s->poison = org->n_poisoned > 0 ? model_poison(org, position) : POISON_NONE;
	model_id(org, position, s->id);
}

bool
render_fileable(const struct org *org, uint64_t position)
{
	enum poison poison = model_poison(org, position);

	return poison == POISON_NONE || poison == POISON_PATH_ID;
}

int
render_event(struct buf *b, const struct org *org, uint64_t position, bool raw, enum json_style style,
             unsigned depth)
{
	struct json_writer w = { .style = style, .depth = depth };
	size_t most = RENDER_EVENT_MAX + (size_t)org->set.event_bytes;
	struct subject s;

	if (buf_reserve(b, most) != 0)
		return -1;
	subject_init(&s, org, position);
	w.at = b->data + b->len;
	put_event(&w, &s, raw);
	assert((size_t)(w.at - b->data) - b->len <= most); /* all its parts are ours */
	b->len = (size_t)(w.at - b->data);
	return 0;
}

static void
put_link(struct json_writer *w, const char *href, const char *rel)
{
	if (href == NULL)
		return;
	next(w);
	open_with(w, '{');
	KEY(w, "href");
	put_quoted(w, href);
	KEY(w, "rel");
	put_quoted(w, rel);
	close_with(w, '}');
}

static size_t
link_len(const char *href)
{
	return href == NULL ? 0 : strlen(href) + 64;
}

int
render_page(struct buf *b, const struct render_page *page)
{
	struct json_writer w = { .style = page->style };
	size_t head = 256 + link_len(page->self) + link_len(page->next) + link_len(page->previous);

	if (buf_reserve(b, head) != 0)
		return -1;
	w.at = b->data + b->len;
	if (page->envelope) {
		open_with(&w, '{');
		FIELD(&w, "status", "200");
		KEY(&w, "content");
	}
	open_with(&w, '{');
	KEY(&w, "links");
	open_with(&w, '[');
	put_link(&w, page->self, "self");
	put_link(&w, page->next, "next");
	put_link(&w, page->previous, "previous");
	close_with(&w, ']');
	KEY(&w, "results");
	open_with(&w, '[');
	if (page->ret_rows_at != NULL)
		*page->ret_rows_at = (size_t)(w.at - b->data);
	for (size_t i = 0; i < page->n; i++) {
		next(&w);
		b->len = (size_t)(w.at - b->data);
		if (render_event(b, page->org, page->positions[i], page->raw, page->style, w.depth) != 0 ||
		    buf_reserve(b, 256) != 0)
			return -1;
		w.at = b->data + b->len;
	}
	close_with(&w, ']');
	KEY(&w, "totalCount");
	put_number(&w, page->total_count);
	close_with(&w, '}');
	if (page->envelope)
		close_with(&w, '}');
	b->len = (size_t)(w.at - b->data);
	return 0;
}
