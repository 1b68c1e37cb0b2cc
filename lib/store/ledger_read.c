/* ledger_read.c: the text of a ledger, read by jansson, and then held against everything a ledger can say: a
 * reader that passes over what it does not understand would one day claim seconds that nobody read.
 */
#include "lib/store/ledger.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/isotime.h"
#include "lib/base/memory.h"
#include "lib/store/dayfile.h"
#include "lib/store/ledger_text.h"

struct reader {
	const char *what;
	struct err *e;
	json_int_t format;
};

static int
damaged(struct reader *r, const char *why)
{
	err_set(r->e, ERR_LEDGER, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR, "%s: damaged: %s", r->what, why);
	err_hint(r->e, "bring %s back from a backup and run verify --repair, or move the organization's directory away and "
	         "sync anew; nothing is written until then", r->what);
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

static int
read_time_ns(const json_t *j, int64_t *ret_ns)
{
	return json_is_string(j) ? ledger_read_time_ns(json_string_value(j), json_string_length(j), ret_ns) : -1;
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
	return json_is_string(j) && json_string_length(j) == 64 ? ledger_read_sha(json_string_value(j), ret) : -1;
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
	    read_number(json_object_get(j, "events"), &d->events) != 0 ||
	    read_number(json_object_get(j, "bytes"), &d->bytes) != 0 ||
	    read_time_ns(json_object_get(j, "first"), &d->first_ns) != 0 ||
	    read_time_ns(json_object_get(j, "last"), &d->last_ns) != 0 ||
	    read_sha(json_object_get(j, "sha256"), d->sha256) != 0)
		return -1;
	return ledger_day_is_possible(d) ? 0 : -1;
}

static int
read_days(struct reader *r, json_t *j, struct day **ret, size_t *ret_n)
{
	const char *name;
	json_t *value;

	if (!json_is_object(j))
		return damaged(r, "days or becoming is no object");
	if (*ret != NULL) /* read already; what is left of the member is empty */
		return 0;
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

/* Of which seconds its events are; before format 2 nobody wrote it down. */
static int
read_staged_span(const struct reader *r, const json_t *one, struct staged *s)
{
	if (r->format == 1) {
		s->from_s = 0;
		s->to_s = LEDGER_TIME_MAX_S;
		return json_object_size(one) == 3 ? 0 : -1;
	}
	return json_object_size(one) != 5 || read_time(json_object_get(one, "from"), &s->from_s) != 0 ||
	       read_time(json_object_get(one, "to"), &s->to_s) != 0 || s->from_s >= s->to_s ? -1 : 0;
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
		if (read_staged_span(r, one, s) != 0 || file == NULL || !is_staging_name(file) ||
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

/* Made by repair.c; they become paths too. */
static bool
is_aside_name(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len < sizeof(((struct repair *)0)->aside) && name[0] != '.' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-.") == len;
}

static bool
is_aside_file(const char *name)
{
	enum ledger_suffix suffix;
	int64_t day_s;

	return dayfile_parse_name(name, &day_s, &suffix) || is_staging_name(name);
}

static int
read_repairs(struct reader *r, const json_t *j, struct ledger *l)
{
	size_t n = json_array_size(j);

	if (r->format == 1)
		return 0;
	if (!json_is_array(j))
		return damaged(r, "repairs is no list");
	l->repairs = calloc(n + 1, sizeof(*l->repairs));
	if (l->repairs == NULL)
		return err_set_errno(r->e, ENOMEM, "%s", r->what);
	for (size_t i = 0; i < n; i++) {
		const json_t *one = json_array_get(j, i), *moving = json_object_get(one, "moving");
		const json_t *file = json_object_get(one, "file");
		const char *aside = json_string_value(json_object_get(one, "aside"));
		struct repair *repair = &l->repairs[i];

		if (json_object_size(one) != 6 || aside == NULL || !is_aside_name(aside) || !json_is_boolean(moving) ||
		    (!json_is_null(file) && (!json_is_string(file) || !is_aside_file(json_string_value(file)))) ||
		    read_time(json_object_get(one, "from"), &repair->from_s) != 0 ||
		    read_time(json_object_get(one, "to"), &repair->to_s) != 0 || repair->from_s > repair->to_s ||
		    read_number(json_object_get(one, "events"), &repair->events) != 0)
			return damaged(r, "an entry of repairs says impossible things");
		memcpy(repair->aside, aside, strlen(aside) + 1);
		if (json_is_string(file))
			memcpy(repair->file, json_string_value(file), json_string_length(file) + 1);
		repair->moving = json_is_true(moving);
		l->n_repairs = i + 1;
	}
	return 0;
}

/* Is the text, byte for byte, what was written? */
static int
check_sum(struct reader *r, const char *text, size_t len)
{
	unsigned char sha256[32];
	char hex[65];
	const char *sum = text + len - SUM_LEN;

	if (r->format == 1)
		return 0;
	if (len < SUM_LEN || memcmp(sum, SUM_HEAD, sizeof(SUM_HEAD) - 1) != 0 ||
	    memcmp(text + len - (sizeof(SUM_END) - 1), SUM_END, sizeof(SUM_END) - 1) != 0)
		return damaged(r, "its last line is not its own SHA-256: it was edited, or written by something else");
	if (sha256_of(text, len - SUM_LEN, sha256) != 0)
		return err_set_errno(r->e, ENOMEM, "%s", r->what);
	sha256_hex(sha256, hex);
	if (memcmp(sum + sizeof(SUM_HEAD) - 1, hex, 64) != 0)
		return damaged(r, "it is not as it was written (its own SHA-256 does not fit): it was edited, or the "
		                  "disk lost something");
	return 0;
}

static int
read_format(struct reader *r, const json_t *root)
{
	const json_t *format = json_object_get(root, "format");

	if (!json_is_integer(format) || json_integer_value(format) < 1)
		return damaged(r, "it has no format number");
	if (json_integer_value(format) > LEDGER_FORMAT) {
		err_set(r->e, ERR_LEDGER, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR,
		        "%s: written by a newer orgsync (format %" JSON_INTEGER_FORMAT ", this one knows %d)",
		        r->what, json_integer_value(format), LEDGER_FORMAT);
		err_hint(r->e, "run the newer orgsync");
		return -1;
	}
	r->format = json_integer_value(format);
	return 0;
}

static int
read_head(struct reader *r, const json_t *root, struct ledger *l)
{
	const json_t *since = json_object_get(root, "since");
	const char *org_id = json_string_value(json_object_get(root, "org_id"));

	if (json_object_size(root) != (r->format == 1 ? 7 : 9))
		return damaged(r, "it has other members than a ledger has");
	if (org_id == NULL || strlen(org_id) != 24 || strspn(org_id, "0123456789abcdef") != 24)
		return damaged(r, "org_id is not 24 hexadecimal digits");
	memcpy(l->org_id, org_id, 25);
	if (since == NULL || (!json_is_null(since) && read_time(since, &l->since_s) != 0))
		return damaged(r, "since is neither null nor a time");
	return 0;
}

/* The text as a tree, or NULL where it is no sound JSON; but for the days, where these can be read without. 0, or -1
 * for lack of memory. */
static int
load(const char *text, size_t len, json_t **ret_root, struct ledger *l)
{
	const char *begin, *end;
	char *rest;
	bool short_of;

	memory_watch();
	if (ledger_days_read(text, len, &l->days, &l->n_days, &begin, &end) == 0) {
		size_t before = (size_t)(begin - text), after = len - (size_t)(end - text);

		rest = malloc(before + after);
		if (rest == NULL)
			return -1;
		memcpy(rest, text, before);
		memcpy(rest + before, end, after);
		*ret_root = json_loadb(rest, before + after, JSON_REJECT_DUPLICATES, NULL);
		free(rest);
	} else {
		*ret_root = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	}
	short_of = memory_was_short(); /* what was read may lack something */
	if (short_of || *ret_root == NULL) {
		free(l->days);
		l->days = NULL;
		l->n_days = 0;
	}
	if (short_of)
		json_decref(*ret_root);
	return short_of ? -1 : 0;
}

int
ledger_read(struct ledger *l, const char *text, size_t len, const char *what, struct err *e)
{
	struct reader r = { what, e, 0 };
	struct ledger new;
	json_t *root;
	int failed;

	ledger_init(&new);
	if (load(text, len, &root, &new) != 0) {
		ledger_free(&new);
		return err_set_errno(e, ENOMEM, "%s", what);
	}
	if (root == NULL)
		return damaged(&r, "it is not sound JSON");
	failed = read_format(&r, root) != 0 || check_sum(&r, text, len) != 0 || read_head(&r, root, &new) != 0 ||
	         read_covered(&r, json_object_get(root, "covered"), &new) != 0 ||
	         read_days(&r, json_object_get(root, "days"), &new.days, &new.n_days) != 0 ||
	         read_staging(&r, json_object_get(root, "staging"), &new) != 0 ||
	         read_days(&r, json_object_get(root, "becoming"), &new.becoming, &new.n_becoming) != 0 ||
	         read_repairs(&r, json_object_get(root, "repairs"), &new) != 0;
	json_decref(root);
	if (failed) {
		ledger_free(&new);
		return -1;
	}
	ledger_free(l);
	*l = new;
	return 0;
}
