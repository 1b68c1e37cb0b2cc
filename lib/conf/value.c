#include "lib/conf/value.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "lib/base/isotime.h"
#include "lib/conf/url.h"

static int
no_memory(struct values *v)
{
	return report_no_memory(v->report);
}

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

/* What YAML 1.1, or a person, may take for true (1) or false (0); -1: neither. */
static int
truth_of(const struct node *node)
{
	static const char *const yes[] = { "true", "yes", "y", "on" };
	static const char *const no[] = { "false", "no", "n", "off" };

	for (size_t i = 0; i < 4; i++) {
		if (strcasecmp(node->text, yes[i]) == 0)
			return 1;
		if (strcasecmp(node->text, no[i]) == 0)
			return 0;
	}
	return -1;
}

static int
set_bool(struct values *v, const struct key *key, const struct node *node, bool *ret)
{
	int truth = node->kind == NODE_TEXT ? truth_of(node) : -1;
	const char *word = truth == 1 ? "true" : "false";
	struct quoted q;

	if (truth < 0)
		return value_wrong(v, key->name, "true or false", node);
	if (!node->plain || strcmp(node->text, word) != 0) {
		report_error(v->report, node->at, "%s wants true or false, not %s; write %s%s", key->name,
		             quote(&q, node->text, node->len), word, node->plain ? "" : " without quotes");
		return -1;
	}
	*ret = truth == 1;
	return 0;
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

/* ---- texts ---- */

int
value_check_text(struct values *v, const char *name, const struct node *node)
{
	if (node->kind != NODE_TEXT || node_is_null(node))
		return value_wrong(v, name, "a text", node);
	if (node->len == 0) {
		report_error(v->report, node->at, "%s is empty", name);
		return -1;
	}
	if (node->plain && (strcasecmp(node->text, "true") == 0 || strcasecmp(node->text, "false") == 0)) {
		report_error(v->report, node->at, "%s wants a text: put %s in quotes", name, node->text);
		return -1;
	}
	if (node->breaks) {
		report_error(v->report, node->at, "%s holds a tab or a line break", name);
		return -1;
	}
	return 0;
}

/* A secret in a key that is shown, logged or made into a name or a path. */
static int
check_misplaced(struct values *v, const char *name, const struct node *node)
{
	if (!looks_secret(node->text, node->len))
		return 0;
	report_error(v->report, node->at, "%s holds what looks like a secret; is it in the wrong key?", name);
	return -1;
}

static int
set_text(struct values *v, const struct key *key, const struct node *node, char **ret)
{
	struct quoted q;
	char *copy;

	if (value_check_text(v, key->name, node) != 0 || check_misplaced(v, key->name, node) != 0)
		return -1;
	if (!form_fits(key->form, node->text, node->len)) {
		report_error(v->report, node->at, "%s %s is not %s", key->name,
		             quote(&q, node->text, node->len), key->form->says);
		return -1;
	}
	copy = arena_text(v->arena, node->text, node->len);
	if (copy == NULL)
		return no_memory(v);
	for (char *p = copy; (key->flags & KEY_LOWER) && *p != '\0'; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	*ret = copy;
	return 0;
}

static int
compare_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Drops repeats; where sorted they are neighbours, otherwise the list is short (KEY_TEXTS' max). */
static size_t
drop_repeats(char **texts, size_t n, bool sorted)
{
	size_t kept = 0, j;

	if (sorted && n > 0)
		qsort(texts, n, sizeof(*texts), compare_texts);
	for (size_t i = 0; i < n; i++) {
		for (j = sorted && kept > 0 ? kept - 1 : 0; j < kept; j++)
			if (strcmp(texts[j], texts[i]) == 0)
				break;
		if (j == kept)
			texts[kept++] = texts[i];
	}
	return kept;
}

static int
check_item(struct values *v, const struct key *key, const struct node *item)
{
	char upper[101];
	struct quoted q;

	if (value_check_text(v, key->name, item) != 0 || check_misplaced(v, key->name, item) != 0)
		return -1;
	if (form_fits(key->form, item->text, item->len))
		return 0;
	for (size_t i = 0; i <= item->len && i < sizeof(upper) - 1; i++)
		upper[i] = (char)(item->text[i] >= 'a' && item->text[i] <= 'z' ?
		                  item->text[i] - 'a' + 'A' : item->text[i]);
	if (item->len < sizeof(upper) - 1 && form_fits(key->form, upper, item->len))
		report_error(v->report, item->at, "%s: %s is not in %s; write %s", key->name,
		             quote(&q, item->text, item->len), key->form->says, upper);
	else
		report_error(v->report, item->at, "%s: %s is not %s", key->name,
		             quote(&q, item->text, item->len), key->form->says);
	return -1;
}

static int
set_texts(struct values *v, const struct key *key, const struct node *node, char *into)
{
	bool sorted = (key->flags & KEY_SORTED) != 0, failed = false;
	char **texts;
	size_t n;

	if (node->kind != NODE_LIST) {
		if (node->kind == NODE_TEXT && !node_is_null(node) &&
		    form_fits(key->form, node->text, node->len)) {
			report_error(v->report, node->at, "%s wants a list: [%s]", key->name, node->text);
			return -1;
		}
		return value_wrong(v, key->name, "a list of texts", node);
	}
	if (node->n < (size_t)key->min || node->n > (size_t)key->max) {
		report_error(v->report, node->at, node->n == 0 ? "%s is an empty list; leave it out" :
		             "%s is too long a list: at most %lld", key->name, (long long)key->max);
		return -1;
	}
	for (size_t i = 0; i < node->n; i++)
		failed = check_item(v, key, node->items[i]) != 0 || failed;
	if (failed)
		return -1;
	texts = arena_alloc(v->arena, (node->n + 1) * sizeof(*texts));
	if (texts == NULL)
		return no_memory(v);
	for (size_t i = 0; i < node->n; i++) {
		texts[i] = arena_text(v->arena, node->items[i]->text, node->items[i]->len);
		if (texts[i] == NULL)
			return no_memory(v);
	}
	n = drop_repeats(texts, node->n, sorted);
	texts[n] = NULL;
	memcpy(into + key->offset, &texts, sizeof(texts));
	memcpy(into + key->offset2, &n, sizeof(n));
	return 0;
}

/* What YAML takes for a number: no reason. A date is none. */
static bool
is_number(const char *text)
{
	char *end;

	if (strchr("+-.0123456789", text[0]) == NULL)
		return false;
	(void)strtod(text, &end);
	return *end == '\0';
}

static int
set_disabled(struct values *v, const struct key *key, const struct node *node, char **ret)
{
	const char *wanted = "a reason, true or false";
	int truth;

	if (node->kind != NODE_TEXT || node_is_null(node))
		return value_wrong(v, key->name, wanted, node);
	truth = node->plain ? truth_of(node) : -1;
	/* `disabled: no` must not disable an organization for the reason "no". */
	if (truth >= 0 && strcmp(node->text, truth ? "true" : "false") != 0) {
		report_error(v->report, node->at, "%s: write %s, or a reason in quotes", key->name,
		             truth ? "true" : "false");
		return -1;
	}
	if (truth == 0) {
		*ret = NULL;
		return 0;
	}
	if (truth < 0 && node->plain && is_number(node->text))
		return value_wrong(v, key->name, wanted, node);
	if (truth < 0 && (value_check_text(v, key->name, node) != 0 ||
	                  check_misplaced(v, key->name, node) != 0))
		return -1;
	*ret = truth == 1 ? arena_text(v->arena, "disabled", 8) :
	       arena_text(v->arena, node->text, node->len);
	return *ret == NULL ? no_memory(v) : 0;
}

/* ---- paths and URLs ---- */

char *
value_path(struct values *v, const char *name, const struct node *node)
{
	const char *home = getenv("HOME"), *text = node->text;
	char *path;

	if (value_check_text(v, name, node) != 0 || check_misplaced(v, name, node) != 0)
		return NULL;
	if (text[0] == '~' && text[1] == '/' && home != NULL && home[0] == '/') {
		report_error(v->report, node->at, "%s: \"~\" is not expanded; write %s%s", name, home, text + 1);
		return NULL;
	}
	if (text[0] == '~' || text[0] == '$') {
		report_error(v->report, node->at, "%s: \"%c\" is not expanded; write the path out", name, text[0]);
		return NULL;
	}
	if (node->len > 4000) {
		report_error(v->report, node->at, "%s is too long for a path", name);
		return NULL;
	}
	while (text[0] == '.' && text[1] == '/')
		for (text += 2; *text == '/'; text++)
			;
	if (node->text[0] == '/')
		path = arena_text(v->arena, node->text, node->len);
	else if (*text == '\0' || strcmp(text, ".") == 0)
		path = arena_printf(v->arena, "%s", node->at.source->dir[0] == '\0' ? "/" : node->at.source->dir);
	else
		path = arena_printf(v->arena, "%s/%s", node->at.source->dir, text);
	if (path == NULL)
		no_memory(v);
	return path;
}

static int
set_path(struct values *v, const struct key *key, const struct node *node, char **ret)
{
	char *path = value_path(v, key->name, node);
	int fd;

	if (path == NULL)
		return -1;
	if (key->flags & KEY_READABLE) {
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (fd < 0) {
			report_error(v->report, node->at, "%s: %s cannot be read: %s", key->name, path,
			             strerrordesc_np(errno));
			return -1;
		}
		close(fd);
	}
	*ret = path;
	return 0;
}

static int
set_url(struct values *v, const struct key *key, const struct node *node, char **ret)
{
	size_t len = node->len;
	const char *wrong;
	char *copy;

	if (value_check_text(v, key->name, node) != 0 || check_misplaced(v, key->name, node) != 0)
		return -1;
	wrong = key->kind == KEY_PROXY ? url_check_proxy(node->text, node->len) :
	        url_check_base(node->text, node->len, &len);
	if (wrong != NULL) {
		report_error(v->report, node->at, "%s: %s", key->name, wrong);
		return -1;
	}
	copy = arena_text(v->arena, node->text, len);
	if (copy == NULL)
		return no_memory(v);
	*ret = copy;
	return 0;
}

/* ---- all of them ---- */

int
value_set(struct values *v, const struct key *key, const struct node *node, void *into)
{
	void *at = (char *)into + key->offset;

	switch (key->kind) {
	case KEY_VERSION:
		return check_version(v, key, node);
	case KEY_INT:
		return set_int(v, key, node, at);
	case KEY_BOOL:
		return set_bool(v, key, node, at);
	case KEY_WORD:
		return set_word(v, key, node, at);
	case KEY_TEXT:
		return set_text(v, key, node, at);
	case KEY_PATH:
		return set_path(v, key, node, at);
	case KEY_BASE_URL:
	case KEY_PROXY:
		return set_url(v, key, node, at);
	case KEY_DURATION:
		return set_duration(v, key, node, at);
	case KEY_START:
		return set_start(v, key, node, into);
	case KEY_SECRET:
		return value_secret(v, key, node, at);
	case KEY_TEXTS:
		return set_texts(v, key, node, into);
	case KEY_DISABLED:
		return set_disabled(v, key, node, at);
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
