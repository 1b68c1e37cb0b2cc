/* ledger_json.c: the ledger as text.
 *
 * Written by hand, one range or day a line, because it is written several times a run for thousands of
 * organizations; read by jansson, and then held against everything a ledger can say: a reader that
 * passes over what it does not understand would one day claim seconds that nobody read.
 */
#include "lib/store/ledger.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/isotime.h"
#include "lib/base/memory.h"

/* Writing ---------------------------------------------------------------------------------------- */

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
	static const char digits[] = "0123456789abcdef";
	char text[65];

	for (int i = 0; i < 32; i++) {
		text[2 * i] = digits[sha[i] >> 4];
		text[2 * i + 1] = digits[sha[i] & 15];
	}
	text[64] = '\0';
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
	put(&o, ",\n \"staging\": [");
	for (size_t i = 0; i < l->n_staging; i++) {
		put(&o, i == 0 ? "\n  {\"file\": \"" : ",\n  {\"file\": \"");
		put(&o, l->staging[i].file);
		put(&o, "\", \"bytes\": ");
		put_number(&o, l->staging[i].bytes);
		put_sha(&o, l->staging[i].sha256);
	}
	put(&o, "]");
	put_days(&o, "becoming", l->becoming, l->n_becoming);
	put(&o, "}\n");
	if (o.failed)
		b->len = start;
	return o.failed ? -1 : 0;
}

/* Reading ---------------------------------------------------------------------------------------- */

struct reader {
	const char *what;
	struct err *e;
};

static int
damaged(struct reader *r, const char *why)
{
	err_set(r->e, ERR_LEDGER, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR, "%s: damaged: %s", r->what, why);
	err_hint(r->e, "bring %s back from a backup; nothing is written until it can be read", r->what);
	return -1;
}

static int
read_time(const json_t *j, int64_t *ret_s)
{
	int64_t ns;

	if (!json_is_string(j) || json_string_length(j) != ISOTIME_LEN ||
	    json_string_value(j)[ISOTIME_LEN - 1] != 'Z' ||
	    isotime_parse(json_string_value(j), ISOTIME_LEN, &ns) != 0)
		return -1;
	*ret_s = isotime_second(ns);
	return 0;
}

/* Whole seconds, or all nine digits of a fraction that is not 0. */
static int
read_time_ns(const json_t *j, int64_t *ret_ns)
{
	size_t len = json_string_length(j);
	int64_t ns, s;

	if (read_time(j, &s) == 0) {
		*ret_ns = s * NS_PER_S;
		return 0;
	}
	if (!json_is_string(j) || len != ISOTIME_LEN + 10 || json_string_value(j)[len - 1] != 'Z' ||
	    json_string_value(j)[ISOTIME_LEN - 1] != '.' ||
	    isotime_parse(json_string_value(j), len, &ns) != 0 || ns % NS_PER_S == 0)
		return -1;
	*ret_ns = ns;
	return 0;
}

static int
read_number(const json_t *j, uint64_t *ret)
{
	if (!json_is_integer(j) || json_integer_value(j) < 0)
		return -1;
	*ret = (uint64_t)json_integer_value(j);
	return 0;
}

static int
read_sha(const json_t *j, unsigned char *ret)
{
	static const char digits[] = "0123456789abcdef";
	const char *text = json_string_value(j), *high, *low;

	if (text == NULL || json_string_length(j) != 64)
		return -1;
	for (int i = 0; i < 32; i++) {
		high = memchr(digits, text[2 * i], 16);
		low = memchr(digits, text[2 * i + 1], 16);
		if (high == NULL || low == NULL)
			return -1;
		ret[i] = (unsigned char)((high - digits) << 4 | (low - digits));
	}
	return 0;
}

static int
read_question(struct reader *r, const json_t *types, const json_t *raw, struct question *q)
{
	size_t n = json_array_size(types);
	const char *text;

	if (!json_is_boolean(raw))
		return damaged(r, "include_raw is neither true nor false");
	q->raw = json_is_true(raw);
	if (json_is_null(types))
		return 0;
	if (!json_is_array(types) || n == 0)
		return damaged(r, "event_types is neither null nor a list of names");
	q->event_types = calloc(n, sizeof(*q->event_types));
	if (q->event_types == NULL)
		return err_set_errno(r->e, ENOMEM, "%s", r->what);
	q->n_event_types = n;
	for (size_t i = 0; i < n; i++) {
		text = json_string_value(json_array_get(types, i));
		if (text == NULL || text[0] == '\0' ||
		    (i > 0 && strcmp(q->event_types[i - 1], text) >= 0))
			return damaged(r, "event_types is not a sorted list of names");
		q->event_types[i] = strdup(text);
		if (q->event_types[i] == NULL)
			return err_set_errno(r->e, ENOMEM, "%s", r->what);
	}
	return 0;
}

static int
read_range(struct reader *r, const json_t *j, struct covered *c)
{
	const json_t *overlap = json_object_get(j, "overlap");
	uint64_t overlap_s = INT64_MAX;

	if (json_object_size(j) != (overlap == NULL ? 5 : 6) ||
	    read_time(json_object_get(j, "from"), &c->from_s) != 0 ||
	    read_time(json_object_get(j, "to"), &c->to_s) != 0 ||
	    read_time(json_object_get(j, "as_of"), &c->as_of_s) != 0 ||
	    (overlap != NULL && read_number(overlap, &overlap_s) != 0))
		return damaged(r, "a range of covered has other members than it should, or odd ones");
	c->overlap_s = (int64_t)overlap_s;
	if (c->from_s >= c->to_s)
		return damaged(r, "a range of covered ends before it begins");
	return read_question(r, json_object_get(j, "event_types"), json_object_get(j, "include_raw"),
	                     &c->asked);
}

static int
read_covered(struct reader *r, const json_t *j, struct ledger *l)
{
	size_t n = json_array_size(j);

	if (!json_is_array(j))
		return damaged(r, "covered is no list");
	l->covered = calloc(n + 1, sizeof(*l->covered));
	if (l->covered == NULL)
		return err_set_errno(r->e, ENOMEM, "%s", r->what);
	for (size_t i = 0; i < n; i++) {
		l->n_covered = i + 1;
		if (read_range(r, json_array_get(j, i), &l->covered[i]) != 0)
			return -1;
		if (i > 0 && l->covered[i - 1].to_s > l->covered[i].from_s)
			return damaged(r, "the ranges of covered overlap, or are out of order");
	}
	return 0;
}

static int
read_suffix(const json_t *j, enum ledger_suffix *ret)
{
	for (int s = LEDGER_PLAIN; s <= LEDGER_ZSTD; s++)
		if (json_is_string(j) &&
		    strcmp(json_string_value(j), ledger_suffix_text((enum ledger_suffix)s)) == 0) {
			*ret = (enum ledger_suffix)s;
			return 0;
		}
	return -1;
}

static int
read_day(const char *name, const json_t *j, struct day *d)
{
	if (isotime_parse_day(name, strlen(name), &d->day_s) != 0 || json_object_size(j) != 6 ||
	    read_suffix(json_object_get(j, "suffix"), &d->suffix) != 0 ||
	    read_number(json_object_get(j, "events"), &d->events) != 0 || d->events == 0 ||
	    read_number(json_object_get(j, "bytes"), &d->bytes) != 0 || d->bytes < d->events ||
	    read_time_ns(json_object_get(j, "first"), &d->first_ns) != 0 ||
	    read_time_ns(json_object_get(j, "last"), &d->last_ns) != 0 ||
	    read_sha(json_object_get(j, "sha256"), d->sha256) != 0)
		return -1;
	return d->first_ns > d->last_ns || isotime_second(d->first_ns) < d->day_s ||
	       isotime_second(d->last_ns) >= d->day_s + S_PER_DAY ? -1 : 0;
}

static int
read_days(struct reader *r, json_t *j, struct day **ret, size_t *ret_n)
{
	const char *name;
	json_t *value;

	if (!json_is_object(j))
		return damaged(r, "days or becoming is no object");
	*ret = calloc(json_object_size(j) + 1, sizeof(**ret));
	if (*ret == NULL)
		return err_set_errno(r->e, ENOMEM, "%s", r->what);
	json_object_foreach(j, name, value) {
		struct day *d = &(*ret)[*ret_n];

		if (read_day(name, value, d) != 0 || (*ret_n > 0 && d[-1].day_s >= d->day_s))
			return damaged(r, "an entry of days or becoming says impossible things");
		++*ret_n;
	}
	return 0;
}

/* The names are made by staging.c; anything else must not become a path. */
static bool
is_staging_name(const char *name)
{
	size_t digits = strspn(name, "0123456789");

	return digits >= 6 && digits <= 20 && strcmp(name + digits, ".ndjson") == 0;
}

static int
read_staging(struct reader *r, const json_t *j, struct ledger *l)
{
	size_t n = json_array_size(j);
	const char *file;

	if (!json_is_array(j))
		return damaged(r, "staging is no list");
	l->staging = calloc(n + 1, sizeof(*l->staging));
	if (l->staging == NULL)
		return err_set_errno(r->e, ENOMEM, "%s", r->what);
	for (size_t i = 0; i < n; i++) {
		const json_t *one = json_array_get(j, i);
		struct staged *s = &l->staging[i];

		file = json_string_value(json_object_get(one, "file"));
		if (json_object_size(one) != 3 || file == NULL || !is_staging_name(file) ||
		    read_number(json_object_get(one, "bytes"), &s->bytes) != 0 ||
		    read_sha(json_object_get(one, "sha256"), s->sha256) != 0)
			return damaged(r, "an entry of staging says impossible things");
		memcpy(s->file, file, strlen(file) + 1);
		if (i > 0 && strcmp(s[-1].file, s->file) >= 0)
			return damaged(r, "the entries of staging are out of order");
		l->n_staging = i + 1;
	}
	return 0;
}

static int
read_head(struct reader *r, const json_t *root, struct ledger *l)
{
	const json_t *format = json_object_get(root, "format"), *since = json_object_get(root, "since");
	const char *org_id = json_string_value(json_object_get(root, "org_id"));

	if (!json_is_integer(format) || json_integer_value(format) < 1)
		return damaged(r, "it has no format number");
	if (json_integer_value(format) > LEDGER_FORMAT) {
		err_set(r->e, ERR_LEDGER, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR,
		        "%s: written by a newer orgsync (format %" JSON_INTEGER_FORMAT ", this one knows %d)",
		        r->what, json_integer_value(format), LEDGER_FORMAT);
		err_hint(r->e, "run the newer orgsync");
		return -1;
	}
	if (json_object_size(root) != 7)
		return damaged(r, "it has other members than a ledger has");
	if (org_id == NULL || strlen(org_id) != 24 || strspn(org_id, "0123456789abcdef") != 24)
		return damaged(r, "org_id is not 24 hexadecimal digits");
	memcpy(l->org_id, org_id, 25);
	if (since == NULL || (!json_is_null(since) && read_time(since, &l->since_s) != 0))
		return damaged(r, "since is neither null nor a time");
	return 0;
}

int
ledger_read(struct ledger *l, const char *text, size_t len, const char *what, struct err *e)
{
	struct reader r = { what, e };
	struct ledger new;
	json_t *root;
	int failed;

	memory_watch();
	root = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	if (memory_was_short()) { /* what was read may lack something */
		json_decref(root);
		return err_set_errno(e, ENOMEM, "%s", what);
	}
	if (root == NULL)
		return damaged(&r, "it is not sound JSON");
	ledger_init(&new);
	failed = read_head(&r, root, &new) != 0 ||
	         read_covered(&r, json_object_get(root, "covered"), &new) != 0 ||
	         read_days(&r, json_object_get(root, "days"), &new.days, &new.n_days) != 0 ||
	         read_staging(&r, json_object_get(root, "staging"), &new) != 0 ||
	         read_days(&r, json_object_get(root, "becoming"), &new.becoming, &new.n_becoming) != 0;
	json_decref(root);
	if (failed) {
		ledger_free(&new);
		return -1;
	}
	ledger_free(l);
	*l = new;
	return 0;
}
