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

/* ---- times ---- */

static const struct { char unit; int64_t seconds; } units[] = {
	{ 'd', 86400 }, { 'h', 3600 }, { 'm', 60 }, { 's', 1 }
};

static bool
parse_duration(const char *text, size_t len, int64_t *ret_s)
{
	int64_t number;

	if (len == 1 && text[0] == '0') {
		*ret_s = 0;
		return true;
	}
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
		if (len > 1 && text[len - 1] == units[i].unit && parse_int(text, len - 1, &number) &&
		    number >= 0 && number <= 1000000000) {
			*ret_s = number * units[i].seconds;
			return true;
		}
	return false;
}

char *
value_format_duration(int64_t seconds, char out[24])
{
	size_t i = 0;

	if (seconds == 0)
		return strcpy(out, "0");
	while (seconds % units[i].seconds != 0)
		i++;
	snprintf(out, 24, "%lld%c", (long long)(seconds / units[i].seconds), units[i].unit);
	return out;
}

static int
set_duration(struct values *v, const struct key *key, const struct node *node, int64_t *ret_s)
{
	char longest[24], wanted[100];
	int64_t seconds, number;

	snprintf(wanted, sizeof(wanted), "a duration from %lld to %s, such as 90s, 2m, 1h or 1d",
	         (long long)key->min, value_format_duration(key->max, longest));
	if (node->kind != NODE_TEXT || !parse_duration(node->text, node->len, &seconds)) {
		if (node->kind == NODE_TEXT && parse_int(node->text, node->len, &number) && number > 0) {
			report_error(v->report, node->at, "%s wants a unit: %ss, %sm, %sh or %sd?", key->name,
			             node->text, node->text, node->text, node->text);
			return -1;
		}
		return value_wrong(v, key->name, wanted, node);
	}
	if (seconds < key->min || seconds > key->max)
		return value_wrong(v, key->name, wanted, node);
	*ret_s = seconds;
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
	void *at = into == NULL ? NULL : (char *)into + key->offset; /* version goes nowhere */

	switch (key->kind) {
	case KEY_VERSION:
		return check_version(v, key, node);
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
		return set_duration(v, key, node, at);
	case KEY_START:
		return set_start(v, key, node, into);
	case KEY_SECRET:
		return value_secret(v, key, node, at);
	case KEY_TEXTS:
		return value_set_texts(v, key, node, into);
	case KEY_DISABLED:
		return value_set_disabled(v, key, node, at);
	case KEY_SECTION:
	case KEY_ORGS:
	case KEY_GLOBS:
		break;  /* load.c's */
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
