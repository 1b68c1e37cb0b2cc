/* ledger_write.c: the ledger as text. By hand, one range or day a line, because it is written several times a
 * run for thousands of organizations.
 */
#include "lib/store/ledger.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/isotime.h"
#include "lib/store/dayfile.h"
#include "lib/store/ledger_text.h"

struct out {
	struct buf *b;
	bool failed; /* once true, nothing more is appended */
};

static void
put(struct out *o, const char *text)
{
	if (!o->failed && buf_append_str(o->b, text) != 0)
		o->failed = true;
}

static void
put_number(struct out *o, uint64_t n)
{
	char text[24], *p = text + sizeof(text) - 1;

	*p = '\0';
	do
		*--p = (char)('0' + n % 10);
	while ((n /= 10) > 0);
	put(o, p);
}

static void
put_time_ns(struct out *o, int64_t ns)
{
	char text[ISOTIME_LEN + 12], *p;
	int64_t fraction = ns - isotime_second(ns) * NS_PER_S;

	isotime_format_s(isotime_second(ns), text);
	if (fraction != 0) {
		text[ISOTIME_LEN - 1] = '.';
		for (p = text + ISOTIME_LEN + 8; p >= text + ISOTIME_LEN; p--, fraction /= 10)
			*p = (char)('0' + fraction % 10);
		memcpy(text + ISOTIME_LEN + 9, "Z", 2);
	}
	put(o, "\"");
	put(o, text);
	put(o, "\"");
}

static void
put_time(struct out *o, int64_t s)
{
	if (s < 0 || s > LEDGER_TIME_MAX_S)
		o->failed = true;
	else
		put_time_ns(o, s * NS_PER_S);
}

static void
put_sha(struct out *o, const unsigned char *sha)
{
	char text[65];

	sha256_hex(sha, text);
	put(o, ", \"sha256\": \"");
	put(o, text);
	put(o, "\"}");
}

static void
put_text(struct out *o, const char *text)
{
	char one[8] = "";

	put(o, "\"");
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text < 0x20)
			snprintf(one, sizeof(one), "\\u%04x", (unsigned)(unsigned char)*text);
		else
			snprintf(one, sizeof(one), *text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
		put(o, one);
	}
	put(o, "\"");
}

static void
put_covered(struct out *o, const struct covered *c)
{
	put(o, "{\"from\": ");
	put_time(o, c->from_s);
	put(o, ", \"to\": ");
	put_time(o, c->to_s);
	put(o, ", \"as_of\": ");
	put_time(o, c->as_of_s);
	if (c->overlap_s != INT64_MAX) {
		put(o, ", \"overlap\": ");
		put_number(o, (uint64_t)c->overlap_s);
	}
	put(o, ", \"event_types\": ");
	for (size_t i = 0; i < c->asked.n_event_types; i++) {
		put(o, i == 0 ? "[" : ", ");
		put_text(o, c->asked.event_types[i]);
	}
	put(o, c->asked.n_event_types == 0 ? "null" : "]");
	put(o, c->asked.raw ? ", \"include_raw\": true}" : ", \"include_raw\": false}");
}

static void
put_days(struct out *o, const char *member, const struct day *days, size_t n)
{
	char name[11];

	put(o, ",\n \"");
	put(o, member);
	put(o, "\": {");
	for (size_t i = 0; i < n; i++) {
		put(o, i == 0 ? "\n  \"" : ",\n  \"");
		put(o, isotime_format_day(days[i].day_s, name));
		put(o, "\": {\"suffix\": \"");
		put(o, ledger_suffix_text(days[i].suffix));
		put(o, "\", \"events\": ");
		put_number(o, days[i].events);
		put(o, ", \"bytes\": ");
		put_number(o, days[i].bytes);
		put(o, ", \"first\": ");
		put_time_ns(o, days[i].first_ns);
		put(o, ", \"last\": ");
		put_time_ns(o, days[i].last_ns);
		put_sha(o, days[i].sha256);
	}
	put(o, "}");
}

static void
put_staging(struct out *o, const struct ledger *l)
{
	put(o, ",\n \"staging\": [");
	for (size_t i = 0; i < l->n_staging; i++) {
		const struct staged *s = &l->staging[i];

		put(o, i == 0 ? "\n  {\"file\": \"" : ",\n  {\"file\": \"");
		put(o, s->file);
		put(o, "\", \"bytes\": ");
		put_number(o, s->bytes);
		put(o, ", \"from\": ");
		put_time(o, s->from_s);
		put(o, ", \"to\": ");
		put_time(o, s->to_s);
		put_sha(o, s->sha256);
	}
	put(o, "]");
}

static void
put_repairs(struct out *o, const struct ledger *l)
{
	put(o, ",\n \"repairs\": [");
	for (size_t i = 0; i < l->n_repairs; i++) {
		const struct repair *r = &l->repairs[i];

		put(o, i == 0 ? "\n  {\"aside\": \"" : ",\n  {\"aside\": \"");
		put(o, r->aside);
		put(o, r->file[0] == '\0' ? "\", \"file\": null" : "\", \"file\": \"");
		put(o, r->file);
		put(o, r->file[0] == '\0' ? "" : "\"");
		put(o, r->moving ? ", \"moving\": true, \"from\": " : ", \"moving\": false, \"from\": ");
		put_time(o, r->from_s);
		put(o, ", \"to\": ");
		put_time(o, r->to_s);
		put(o, ", \"events\": ");
		put_number(o, r->events);
		put(o, "}");
	}
	put(o, "]");
}

static void
put_sum(struct out *o, size_t start)
{
	unsigned char sha256[32];
	char text[65];

	if (o->failed || sha256_of(o->b->data + start, o->b->len - start, sha256) != 0) {
		o->failed = true;
		return;
	}
	sha256_hex(sha256, text);
	put(o, SUM_HEAD);
	put(o, text);
	put(o, SUM_END);
}

int
ledger_write(const struct ledger *l, struct buf *b)
{
	struct out o = { b, false };
	size_t start = b->len;

	put(&o, "{\"format\": ");
	put_number(&o, LEDGER_FORMAT);
	put(&o, ",\n \"org_id\": \"");
	put(&o, l->org_id);
	put(&o, "\",\n \"since\": ");
	if (l->since_s < 0)
		put(&o, "null");
	else
		put_time(&o, l->since_s);
	put(&o, ",\n \"covered\": [");
	for (size_t i = 0; i < l->n_covered; i++) {
		put(&o, i == 0 ? "\n  " : ",\n  ");
		put_covered(&o, &l->covered[i]);
	}
	put(&o, "]");
	put_days(&o, "days", l->days, l->n_days);
	put_staging(&o, l);
	put_days(&o, "becoming", l->becoming, l->n_becoming);
	put_repairs(&o, l);
	put_sum(&o, start);
	if (o.failed)
		b->len = start;
	return o.failed ? -1 : 0;
}
