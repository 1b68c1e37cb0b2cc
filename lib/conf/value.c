#include "lib/conf/value.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/isotime.h"

int
value_wrong(struct values *v, const char *name, const char *wanted, const struct node *node)
{
	struct quoted q;

	if (node->kind != NODE_TEXT)
		report_error(v->report, node->at, "%s wants %s, not a %s", name, wanted,
		             node->kind == NODE_MAP ? "map" : "list");
	else if (node_is_null(node))
		report_error(v->report, node->at, "%s wants %s, but nothing is there", name, wanted);
	else
		report_error(v->report, node->at, "%s wants %s, not %s", name, wanted,
		             quote(&q, node->text, node->len));
	return -1;
}

/* ---- numbers and words ---- */

/* Decimal digits without leading zeros, underscores, signs but '-'. */
static bool
parse_int(const char *text, size_t len, int64_t *ret)
{
	bool negative = len > 0 && text[0] == '-';
	size_t i = negative ? 1 : 0;
	int64_t number = 0;

	if (i == len || len - i > 15 || (text[i] == '0' && (len - i > 1 || negative)))
		return false;
	for (; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		number = number * 10 + (text[i] - '0');
	}
	*ret = negative ? -number : number;
	return true;
}

static int
set_int(struct values *v, const struct key *key, const struct node *node, int *ret)
{
	int64_t number;
	bool fits = node->kind == NODE_TEXT && parse_int(node->text, node->len, &number);
	char wanted[80];

	if (key->min == key->max)
		snprintf(wanted, sizeof(wanted), "the number %lld", (long long)key->min);
	else
		snprintf(wanted, sizeof(wanted), "a whole number from %lld to %lld", (long long)key->min,
		         (long long)key->max);
	if (fits && !node->plain) {
		report_error(v->report, node->at, "%s wants a number: take the quotes off %s", key->name,
		             node->text);
		return -1;
	}
	if (!fits || number < key->min || number > key->max)
		return value_wrong(v, key->name, wanted, node);
	*ret = (int)number;
	return 0;
}

static int
check_version(struct values *v, const struct key *key, const struct node *node)
{
	int number;

	if (node->kind == NODE_TEXT && node->plain && strcmp(node->text, "1") == 0)
		return 0;
	if (node->kind == NODE_TEXT && node->plain && node->len > 0 && node->len < 6 &&
	    strspn(node->text, "0123456789") == node->len) {
		report_error(v->report, node->at, "version %s of the format is not known here, only 1 is",
		             node->text);
		return -1;
	}
	return set_int(v, key, node, &number);
}

static int
set_word(struct values *v, const struct key *key, const struct node *node, void *ret)
{
	char wanted[100] = "one of ";
	int n;

	for (n = 0; key->words[n] != NULL; n++) {
		if (node->kind == NODE_TEXT && strcmp(node->text, key->words[n]) == 0) {
			memcpy(ret, &n, sizeof(n));
			return 0;
		}
		snprintf(wanted + strlen(wanted), sizeof(wanted) - strlen(wanted), "%s%s",
		         n == 0 ? "" : ", ", key->words[n]);
	}
	return value_wrong(v, key->name, wanted, node);
}

/* ---- sizes ---- */

static const struct { const char *unit; int64_t bytes; } size_units[] = {
	{ "GiB", INT64_C(1) << 30 }, { "MiB", 1 << 20 }, { "KiB", 1 << 10 }
};

char *
value_format_size(int64_t bytes, char out[24])
{
	for (size_t i = 0; i < sizeof(size_units) / sizeof(*size_units); i++)
		if (bytes % size_units[i].bytes == 0) {
			snprintf(out, 24, "%lld%s", (long long)(bytes / size_units[i].bytes), size_units[i].unit);
			return out;
		}
	snprintf(out, 24, "%lld", (long long)bytes);
	return out;
}

static bool
parse_size(const char *text, size_t len, int64_t *ret_bytes)
{
	int64_t number;

	for (size_t i = 0; i < sizeof(size_units) / sizeof(*size_units); i++)
		if (len > 3 && memcmp(text + len - 3, size_units[i].unit, 3) == 0 &&
		    parse_int(text, len - 3, &number) && number > 0 && number <= 1000000000) {
			*ret_bytes = number * size_units[i].bytes;
			return true;
		}
	return false;
}

static int
set_size(struct values *v, const struct key *key, const struct node *node, int64_t *ret_bytes)
{
	char least[24], most[24], wanted[100];
	int64_t bytes;

	snprintf(wanted, sizeof(wanted), "a size from %s to %s, such as 512MiB or 2GiB",
	         value_format_size(key->min, least), value_format_size(key->max, most));
	if (node->kind != NODE_TEXT || !parse_size(node->text, node->len, &bytes) || bytes < key->min ||
	    bytes > key->max)
		return value_wrong(v, key->name, wanted, node);
	*ret_bytes = bytes;
	return 0;
}

/* ---- times ---- */

static const struct { const char *unit; int64_t ms; } units[] = {
	{ "d", 86400000 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 }
};

static bool
parse_duration(const char *text, size_t len, bool with_ms, int64_t *ret_ms)
{
	size_t n_units = sizeof(units) / sizeof(*units) - (with_ms ? 0 : 1);
	size_t digits = 0;
	int64_t number;

	if (len == 1 && text[0] == '0') {
		*ret_ms = 0;
		return true;
	}
	while (digits < len && (text[digits] < 'a' || text[digits] > 'z'))
		digits++;
	for (size_t i = 0; i < n_units; i++)
		if (len - digits == strlen(units[i].unit) && memcmp(text + digits, units[i].unit, len - digits) == 0 &&
		    parse_int(text, digits, &number) && number >= 0 && number <= 1000000000) {
			*ret_ms = number * units[i].ms;
			return true;
		}
	return false;
}

char *
value_format_duration(int64_t ms, char out[24])
{
	size_t i = 0;

	if (ms == 0)
		return strcpy(out, "0");
	while (ms % units[i].ms != 0)
		i++;
	snprintf(out, 24, "%lld%s", (long long)(ms / units[i].ms), units[i].unit);
	return out;
}

/* unit_ms: what the value is counted in, and the shortest unit that it may be written in. */
static int
set_duration(struct values *v, const struct key *key, const struct node *node, int64_t unit_ms, int64_t *ret)
{
	char shortest[24], longest[24], wanted[120];
	int64_t ms, number;

	snprintf(wanted, sizeof(wanted), "a duration from %s to %s, such as %s",
	         value_format_duration(key->min * unit_ms, shortest),
	         value_format_duration(key->max * unit_ms, longest),
	         unit_ms == 1 ? "250ms, 90s or 2m" : "90s, 2m, 1h or 1d");
	if (node->kind != NODE_TEXT || !parse_duration(node->text, node->len, unit_ms == 1, &ms)) {
		if (node->kind == NODE_TEXT && parse_int(node->text, node->len, &number) && number > 0) {
			report_error(v->report, node->at, "%s wants a unit: %s%s, %s%s, %s%s or %s%s?", key->name,
			             node->text, unit_ms == 1 ? "ms" : "s", node->text, unit_ms == 1 ? "s" : "m",
			             node->text, unit_ms == 1 ? "m" : "h", node->text, unit_ms == 1 ? "h" : "d");
			return -1;
		}
		return value_wrong(v, key->name, wanted, node);
	}
	if (ms / unit_ms < key->min || ms / unit_ms > key->max)
		return value_wrong(v, key->name, wanted, node);
	*ret = ms / unit_ms;
	return 0;
}

static int
set_start(struct values *v, const struct key *key, const struct node *node, char *into)
{
	const char *wanted = "an instant such as 2023-06-01T00:00:00Z, or all";
	enum conf_start start = CONF_START_AT;
	char with_z[64];
	int64_t ns = 0, second;

	if (node->kind != NODE_TEXT || node_is_null(node))
		return value_wrong(v, key->name, wanted, node);
	if (strcmp(node->text, "all") == 0) {
		start = CONF_START_ALL;
	} else if (isotime_parse_day(node->text, node->len, &second) == 0) {
		report_error(v->report, node->at, "%s has neither hour nor zone: write %sT00:00:00Z for the "
		             "day's beginning in UTC", key->name, node->text);
		return -1;
	} else if (isotime_parse(node->text, node->len, &ns) != 0) {
		snprintf(with_z, sizeof(with_z), "%.60sZ", node->text);
		if (node->len <= 60 && isotime_parse(with_z, node->len + 1, &ns) == 0) {
			report_error(v->report, node->at, "%s has no zone: write %s for UTC, or an offset "
			             "such as +02:00", key->name, with_z);
			return -1;
		}
		return value_wrong(v, key->name, wanted, node);
	}
	second = isotime_second(ns);
	if (start == CONF_START_AT && second > v->now_s)
		report_warning(v->report, node->at, "%s lies in the future: nothing is fetched before then",
		               key->name);
	memcpy(into + key->offset, &start, sizeof(start));
	memcpy(into + key->offset2, &second, sizeof(second));
	return 0;
}

/* ---- all of them ---- */

int
value_set(struct values *v, const struct key *key, const struct node *node, void *into)
{
	void *at;

	if (key->kind == KEY_VERSION) /* goes nowhere */
		return check_version(v, key, node);
	at = (char *)into + key->offset;
	switch (key->kind) {
	case KEY_INT:
		return set_int(v, key, node, at);
	case KEY_BOOL:
		return value_set_bool(v, key, node, at);
	case KEY_WORD:
		return set_word(v, key, node, at);
	case KEY_TEXT:
		return value_set_text(v, key, node, at);
	case KEY_PATH:
		return value_set_path(v, key, node, at);
	case KEY_BASE_URL:
	case KEY_PROXY:
		return value_set_url(v, key, node, at);
	case KEY_DURATION:
		return set_duration(v, key, node, 1000, at);
	case KEY_SHORT:
		return set_duration(v, key, node, 1, at);
	case KEY_SIZE:
		return set_size(v, key, node, at);
	case KEY_START:
		return set_start(v, key, node, into);
	case KEY_SECRET:
		return value_secret(v, key, node, at);
	case KEY_TEXTS:
		return value_set_texts(v, key, node, into);
	case KEY_DISABLED:
		return value_set_disabled(v, key, node, at);
	case KEY_VERSION:
	case KEY_SECTION:
	case KEY_ORGS:
	case KEY_GLOBS:
		break;  /* the first is dealt with, the others are load.c's */
	}
	return -1;
}

int
value_set_fallbacks(struct values *v, const struct section *section, void *into)
{
	static const struct source built_in = { .path = "(built in)", .dir = "" };
	struct node node = { .kind = NODE_TEXT, .plain = true, .at = { &built_in, 1, 1 } };

	for (size_t i = 0; i < section->n; i++) {
		if (section->keys[i].fallback == NULL)
			continue;
		node.text = section->keys[i].fallback;
		node.len = strlen(node.text);
		if (value_set(v, &section->keys[i], &node, into) != 0)
			return -1;
	}
	return 0;
}
