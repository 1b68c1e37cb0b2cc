#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "lib/conf/conf.h"
#include "lib/conf/suggest.h"

static int
usage(struct err *e, const char *what, const char *word, const char *why)
{
	return err_set(e, ERR_USAGE, ERR_SCOPE_RUN, ERR_RETRY_OPERATOR, "%s \"%.100s\" %s", what, word, why);
}

static bool
matches_name(const struct conf_org *org, const char *pattern)
{
	return fnmatch(pattern, org->name, FNM_CASEFOLD) == 0;
}

static bool
has_tag(const struct conf_org *org, const char *tag, size_t len)
{
	for (size_t i = 0; i < org->n_tags; i++)
		if (strlen(org->tags[i]) == len && memcmp(org->tags[i], tag, len) == 0)
			return true;
	return false;
}

/* "eu+prod": all of them. */
static bool
matches_tags(const struct conf_org *org, const char *expression)
{
	const char *p = expression;

	for (;;) {
		size_t len = strcspn(p, "+");

		if (!has_tag(org, p, len))
			return false;
		if (p[len] == '\0')
			return true;
		p += len + 1;
	}
}

typedef bool matcher(const struct conf_org *org, const char *text);

/* How many enabled organizations match, and the first disabled one that does. */
static size_t
count(const struct conf *conf, matcher *match, const char *text, const struct conf_org **ret_disabled)
{
	size_t n = 0;

	*ret_disabled = NULL;
	for (size_t i = 0; i < conf->n_orgs; i++) {
		if (!match(&conf->orgs[i], text))
			continue;
		if (conf->orgs[i].disabled == NULL)
			n++;
		else if (*ret_disabled == NULL)
			*ret_disabled = &conf->orgs[i];
	}
	return n;
}

static void
hint_disabled(const struct conf_org *org, struct err *e)
{
	err_hint(e, "%s is disabled: %.150s", org->name, org->disabled);
}

static int
check_pattern(const struct conf *conf, const char *what, const char *pattern, bool disabled_will_do,
              struct err *e)
{
	const struct conf_org *disabled;
	struct suggest s;

	if (count(conf, matches_name, pattern, &disabled) > 0 || (disabled_will_do && disabled != NULL))
		return 0;
	if (disabled != NULL) {
		usage(e, what, pattern, "matches only disabled organizations");
		hint_disabled(disabled, e);
		return -1;
	}
	usage(e, what, pattern, "matches no organization");
	suggest_begin(&s, pattern, strlen(pattern));
	for (size_t i = 0; i < conf->n_orgs; i++)
		suggest_offer(&s, conf->orgs[i].name);
	if (s.best != NULL)
		err_hint(e, "did you mean %s?", s.best);
	return -1;
}

static void
suggest_tag(const struct conf *conf, const char *expression, struct err *e)
{
	for (const char *p = expression; ; p++) {
		size_t len = strcspn(p, "+");
		bool known = false;
		struct suggest s;

		suggest_begin(&s, p, len);
		for (size_t i = 0; i < conf->n_orgs; i++) {
			known = known || has_tag(&conf->orgs[i], p, len);
			for (size_t j = 0; j < conf->orgs[i].n_tags; j++)
				suggest_offer(&s, conf->orgs[i].tags[j]);
		}
		if (!known && s.best != NULL)
			err_hint(e, "did you mean %s in place of %.*s?", s.best, (int)len, p);
		else if (!known)
			err_hint(e, "no organization has the tag %.*s", (int)(len > 64 ? 64 : len), p);
		p += len;
		if (*p == '\0')
			return;
	}
}

static int
check_tag(const struct conf *conf, const char *expression, struct err *e)
{
	const struct conf_org *disabled;
	size_t len = strlen(expression);

	if (len == 0 || expression[0] == '+' || expression[len - 1] == '+' || strstr(expression, "++") != NULL)
		return usage(e, "tag", expression, "is not tags joined by '+'");
	if (count(conf, matches_tags, expression, &disabled) > 0)
		return 0;
	if (disabled != NULL) {
		usage(e, "tag", expression, "matches only disabled organizations");
		hint_disabled(disabled, e);
		return -1;
	}
	usage(e, "tag", expression, "matches no organization");
	suggest_tag(conf, expression, e);
	return -1;
}

static bool
any(const struct conf_org *org, matcher *match, const char *const *texts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (match(org, texts[i]))
			return true;
	return false;
}

static int
check(const struct conf *conf, const struct conf_selection *s, struct err *e)
{
	for (size_t i = 0; i < s->n_patterns; i++)
		if (check_pattern(conf, "organization", s->patterns[i], false, e) != 0)
			return -1;
	for (size_t i = 0; i < s->n_tags; i++)
		if (check_tag(conf, s->tags[i], e) != 0)
			return -1;
	/* A slip in what was to be left out would run just that. */
	for (size_t i = 0; i < s->n_excludes; i++)
		if (check_pattern(conf, "exclude", s->excludes[i], true, e) != 0)
			return -1;
	return 0;
}

int
conf_select(const struct conf *conf, const struct conf_selection *s, const struct conf_org **ret_chosen,
            size_t *ret_n, struct err *e)
{
	size_t n = 0;

	if (check(conf, s, e) != 0)
		return -1;
	for (size_t i = 0; i < conf->n_orgs; i++) {
		const struct conf_org *org = &conf->orgs[i];

		if (org->disabled != NULL ||
		    (s->n_patterns > 0 && !any(org, matches_name, s->patterns, s->n_patterns)) ||
		    (s->n_tags > 0 && !any(org, matches_tags, s->tags, s->n_tags)) ||
		    any(org, matches_name, s->excludes, s->n_excludes))
			continue;
		ret_chosen[n++] = org;
	}
	if (n == 0 && s->n_patterns + s->n_tags + s->n_excludes > 0)
		return err_set(e, ERR_USAGE, ERR_SCOPE_RUN, ERR_RETRY_OPERATOR,
		               "names, tags and excludes together leave no organization");
	*ret_n = n;
	return 0;
}
