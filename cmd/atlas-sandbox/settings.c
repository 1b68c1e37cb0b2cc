/* settings.c: reading the text form of an organization's behaviour. */
#include "cmd/atlas-sandbox/settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/isotime.h"

#define MS_PER_S INT64_C(1000)
#define EVENTS_MAX UINT64_C(1000000000000)
#define EVENT_BYTES_MAX 16777216

/* Fixed dates, so that the same command line means the same events on every day. */
#define DEFAULT_FROM_MS (INT64_C(1735689600) * MS_PER_S)  /* 2025-01-01T00:00:00Z */
#define DEFAULT_TO_MS (INT64_C(1793491200) * MS_PER_S)    /* 2026-11-01T00:00:00Z */

struct word { const char *text; int value; };

static const struct word words_created[] = {
	{ "cut", CREATED_CUT }, { "round", CREATED_ROUND }, { "ms", CREATED_MS }, { "us", CREATED_US },
	{ NULL, 0 }
};
static const struct word words_order[] = {
	{ "stable", ORDER_STABLE }, { "changing", ORDER_CHANGING }, { NULL, 0 }
};
static const struct word words_style[] = {
	{ "spaced", STYLE_SPACED }, { "compact", STYLE_COMPACT }, { NULL, 0 }
};
static const struct word words_count[] = { { "exact", 0 }, { "wrong", 1 }, { NULL, 0 } };
static const struct word words_refuse[] = {
	{ "bad-key", REFUSE_BAD_KEY }, { "access-list", REFUSE_ACCESS_LIST },
	{ "unknown", REFUSE_UNKNOWN }, { "suspended", REFUSE_SUSPENDED }, { "role", REFUSE_ROLE },
	{ "role-401", REFUSE_ROLE_401 }, { "inactive", REFUSE_INACTIVE }, { "none", REFUSE_NONE },
	{ NULL, 0 }
};
static const struct word words_credentials[] = {
	{ "digest", CREDENTIAL_DIGEST }, { "service-account", CREDENTIAL_SERVICE_ACCOUNT },
	{ "both", CREDENTIAL_DIGEST | CREDENTIAL_SERVICE_ACCOUNT }, { "mixed", CREDENTIAL_MIXED },
	{ NULL, 0 }
};
static const struct word words_poison[] = {
	{ "foreign", POISON_FOREIGN }, { "no-id", POISON_NO_ID }, { "no-created", POISON_NO_CREATED },
	{ "odd-date", POISON_ODD_DATE }, { "bad-utf8", POISON_BAD_UTF8 },
	{ "duplicate-keys", POISON_DUPLICATE_KEYS }, { "path-id", POISON_PATH_ID }, { NULL, 0 }
};
static const struct word words_fault[] = {
	{ "429", FAULT_429 }, { "500", FAULT_500 }, { "503", FAULT_503 }, { "reset", FAULT_RESET },
	{ "truncate", FAULT_TRUNCATE }, { "malformed", FAULT_MALFORMED }, { "stale", FAULT_STALE },
	{ "redirect", FAULT_REDIRECT }, { "hang", FAULT_HANG }, { "gateway", FAULT_GATEWAY },
	{ "empty", FAULT_EMPTY }, { NULL, 0 }
};

void
settings_default(struct settings *s)
{
	memset(s, 0, sizeof *s);
	s->events_min = 1000;
	s->events_max = 5000;
	s->from_ms = DEFAULT_FROM_MS;
	s->to_ms = DEFAULT_TO_MS;
	s->credentials = CREDENTIAL_DIGEST;
}

void
settings_free(struct settings *s)
{
	free(s->specials);
	s->specials = NULL;
	s->n_specials = 0;
}

int
parse_iso_ms(const char *text, int64_t *ret_ms)
{
	int64_t ns;

	if (isotime_parse(text, strlen(text), &ns) != 0)
		return -1;
	*ret_ms = ns / (NS_PER_S / MS_PER_S);
	return 0;
}

int
parse_u64(const char *text, uint64_t max, uint64_t *ret)
{
	unsigned long long value;
	char *end;

	if (*text < '0' || *text > '9')
		return -1;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno != 0 || *end != '\0' || value > max)
		return -1;
	*ret = value;
	return 0;
}

int
parse_double(const char *text, double min, double max, double *ret)
{
	double value;
	char *end;

	if (*text == '\0')
		return -1;
	value = strtod(text, &end);
	if (*end != '\0' || !(value >= min && value <= max))
		return -1;
	*ret = value;
	return 0;
}

static int
find_word(const struct word *words, const char *text, size_t len, int *ret)
{
	for (; words->text != NULL; words++) {
		if (strlen(words->text) == len && memcmp(words->text, text, len) == 0) {
			*ret = words->value;
			return 0;
		}
	}
	return -1;
}

static int
add_special(struct settings *s, int64_t t0_ms, int64_t span_ms, uint64_t count, enum poison poison)
{
	struct special *more = realloc(s->specials, (s->n_specials + 1) * sizeof *more);

	if (more == NULL)
		return -1;
	s->specials = more;
	more += s->n_specials++;
	more->t0_ms = t0_ms;
	more->t1_ms = t0_ms + span_ms;
	more->count = count;
	more->poison = poison;
	return 0;
}

/* "ISO/COUNT" or "ISO/COUNT/SPAN_MS": the events of a burst lie in [ISO, ISO + span), within the second. */
static int
apply_burst(struct settings *s, const char *value)
{
	char copy[96], *count_text, *span_text;
	uint64_t count, span = 0;
	int64_t t0;

	if (strlen(value) >= sizeof copy)
		return -1;
	strcpy(copy, value);
	count_text = strchr(copy, '/');
	if (count_text == NULL)
		return -1;
	*count_text++ = '\0';
	span_text = strchr(count_text, '/');
	if (span_text != NULL)
		*span_text++ = '\0';
	if (parse_iso_ms(copy, &t0) != 0 || parse_u64(count_text, UINT64_C(10000000), &count) != 0)
		return -1;
	if (span_text != NULL && (parse_u64(span_text, 1000, &span) != 0 || span == 0))
		return -1;
	if (span == 0)
		span = (uint64_t)(MS_PER_S - t0 % MS_PER_S);
	if (t0 % MS_PER_S + (int64_t)span > MS_PER_S)
		return -1;
	return count == 0 ? 0 : add_special(s, t0, (int64_t)span, count, POISON_NONE);
}

static int
apply_poison(struct settings *s, const char *value)
{
	const char *at = strchr(value, '@');
	int64_t t0;
	int kind;

	if (at == NULL || find_word(words_poison, value, (size_t)(at - value), &kind) != 0 ||
	    parse_iso_ms(at + 1, &t0) != 0)
		return -1;
	return add_special(s, t0 - t0 % MS_PER_S, MS_PER_S, 1, (enum poison)kind);
}

static int
apply_malformed(struct settings *s, const char *value)
{
	int64_t t0;

	if (parse_iso_ms(value, &t0) != 0)
		return -1;
	return add_special(s, t0 - t0 % MS_PER_S, MS_PER_S, 1, POISON_MALFORMED);
}

static int
apply_events(struct settings *s, const char *value)
{
	char copy[64];
	const char *dots = strstr(value, "..");
	uint64_t min, max;

	if (dots == NULL) {
		if (parse_u64(value, EVENTS_MAX, &min) != 0)
			return -1;
		max = min;
	} else {
		if ((size_t)(dots - value) >= sizeof copy)
			return -1;
		memcpy(copy, value, (size_t)(dots - value));
		copy[dots - value] = '\0';
		if (parse_u64(copy, EVENTS_MAX, &min) != 0 || parse_u64(dots + 2, EVENTS_MAX, &max) != 0 ||
		    min > max)
			return -1;
	}
	s->events_min = min;
	s->events_max = max;
	return 0;
}

/* "SHARE:SECONDS" */
static int
apply_late(struct settings *s, const char *value)
{
	const char *colon = strchr(value, ':');
	char copy[32];
	double share;
	uint64_t seconds;

	if (colon == NULL || (size_t)(colon - value) >= sizeof copy)
		return -1;
	memcpy(copy, value, (size_t)(colon - value));
	copy[colon - value] = '\0';
	if (parse_double(copy, 0, 1, &share) != 0 || parse_u64(colon + 1, 100000000, &seconds) != 0)
		return -1;
	s->late_share = share;
	s->late_ms = (int64_t)seconds * MS_PER_S;
	return 0;
}

/* "KIND:PROBABILITY" */
static int
apply_fault(struct settings *s, const char *value)
{
	const char *colon = strchr(value, ':');
	double probability;
	int kind;

	if (colon == NULL || find_word(words_fault, value, (size_t)(colon - value), &kind) != 0 ||
	    parse_double(colon + 1, 0, 1, &probability) != 0)
		return -1;
	s->faults[kind] = probability;
	return 0;
}

static int
apply_word(const struct word *words, const char *value, int *ret)
{
	return find_word(words, value, strlen(value), ret);
}

static int
apply_number(struct settings *s, const char *key, const char *value)
{
	uint64_t number;

	if (strcmp(key, "live") == 0)
		return parse_double(value, 0, 100000, &s->live_per_s);
	if (parse_u64(value, 1000000000, &number) != 0)
		return -1;
	if (strcmp(key, "silent-cap") == 0)
		s->silent_cap = (unsigned)number;
	else if (strcmp(key, "event-bytes") == 0 && number > EVENT_BYTES_MAX)
		return -1;
	else if (strcmp(key, "event-bytes") == 0)
		s->event_bytes = (unsigned)number;
	else
		s->latency_ms = (int64_t)number;
	return 0;
}

int
settings_apply_one(struct settings *s, const char *key, const char *value, char *why, size_t why_size)
{
	int word = 0, bad;

	if (strcmp(key, "events") == 0) {
		bad = apply_events(s, value);
	} else if (strcmp(key, "from") == 0) {
		bad = parse_iso_ms(value, &s->from_ms);
	} else if (strcmp(key, "to") == 0) {
		bad = parse_iso_ms(value, &s->to_ms);
	} else if (strcmp(key, "burst") == 0) {
		bad = apply_burst(s, value);
	} else if (strcmp(key, "poison") == 0) {
		bad = apply_poison(s, value);
	} else if (strcmp(key, "malformed") == 0) {
		bad = apply_malformed(s, value);
	} else if (strcmp(key, "late") == 0) {
		bad = apply_late(s, value);
	} else if (strcmp(key, "fault") == 0) {
		bad = apply_fault(s, value);
	} else if (strcmp(key, "live") == 0 || strcmp(key, "silent-cap") == 0 ||
	           strcmp(key, "latency") == 0 || strcmp(key, "event-bytes") == 0) {
		bad = apply_number(s, key, value);
	} else if (strcmp(key, "created") == 0) {
		bad = apply_word(words_created, value, &word);
		s->created = bad ? s->created : (enum created_form)word;
	} else if (strcmp(key, "order") == 0) {
		bad = apply_word(words_order, value, &word);
		s->order = bad ? s->order : (enum row_order)word;
	} else if (strcmp(key, "json") == 0) {
		bad = apply_word(words_style, value, &word);
		s->style = bad ? s->style : (enum json_style)word;
	} else if (strcmp(key, "count") == 0) {
		bad = apply_word(words_count, value, &word);
		s->count_wrong = bad ? s->count_wrong : word != 0;
	} else if (strcmp(key, "refuse") == 0) {
		bad = apply_word(words_refuse, value, &word);
		s->refuse = bad ? s->refuse : (enum refusal)word;
	} else if (strcmp(key, "credentials") == 0) {
		bad = apply_word(words_credentials, value, &word);
		s->credentials = bad ? s->credentials : (unsigned)word;
	} else {
		snprintf(why, why_size, "no such key: %s", key);
		return -1;
	}
	if (bad)
		snprintf(why, why_size, "not a value for %s: %s", key, value);
	return bad ? -1 : 0;
}

int
settings_apply(struct settings *s, const char *text, char *why, size_t why_size)
{
	char *copy = strdup(text), *rest = copy, *pair, *value;
	int result = -1;

	if (copy == NULL) {
		snprintf(why, why_size, "out of memory");
		return -1;
	}
	while ((pair = strsep(&rest, ",")) != NULL) {
		value = strchr(pair, '=');
		if (value == NULL) {
			snprintf(why, why_size, "KEY=VALUE expected: %s", pair);
			goto out;
		}
		*value++ = '\0';
		if (settings_apply_one(s, pair, value, why, why_size) != 0)
			goto out;
	}
	result = 0;
out:
	free(copy);
	return result;
}
