/* The values of the description that are texts: names, lists of them, reasons, paths, URLs; and truth
 * values, which share with reasons what people take for true. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "lib/conf/url.h"
#include "lib/conf/value.h"

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

int
value_set_text(struct values *v, const struct key *key, const struct node *node, char **ret)
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
		return report_no_memory(v->report);
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

int
value_set_texts(struct values *v, const struct key *key, const struct node *node, char *into)
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
		return report_no_memory(v->report);
	for (size_t i = 0; i < node->n; i++) {
		texts[i] = arena_text(v->arena, node->items[i]->text, node->items[i]->len);
		if (texts[i] == NULL)
			return report_no_memory(v->report);
	}
	n = drop_repeats(texts, node->n, sorted);
	texts[n] = NULL;
	memcpy(into + key->offset, &texts, sizeof(texts));
	memcpy(into + key->offset2, &n, sizeof(n));
	return 0;
}

/* ---- true, false and reasons ---- */

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

int
value_set_bool(struct values *v, const struct key *key, const struct node *node, bool *ret)
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

int
value_set_disabled(struct values *v, const struct key *key, const struct node *node, char **ret)
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
	return *ret == NULL ? report_no_memory(v->report) : 0;
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
		report_no_memory(v->report);
	return path;
}

int
value_set_path(struct values *v, const struct key *key, const struct node *node, char **ret)
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

int
value_set_url(struct values *v, const struct key *key, const struct node *node, char **ret)
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
		return report_no_memory(v->report);
	*ret = copy;
	return 0;
}
