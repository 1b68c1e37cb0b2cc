#include "lib/conf/org.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/conf/secret.h"

void
section_read(struct values *v, const struct section *section, const struct node *map, void *into,
             const struct node **ret_seen)
{
	const struct node *key, *value;
	char suggestion[120];
	struct quoted q;
	int at;

	memset(ret_seen, 0, section->n * sizeof(struct node *));
	if (map->kind != NODE_MAP) {
		if (!node_is_null(map))
			value_wrong(v, section == &section_org ? "an organization" : section->name,
			            "a map of keys", map);
	}
	for (size_t i = 0; map->kind == NODE_MAP && i < map->n; i++) {
		key = map->pairs[i].key;
		value = map->pairs[i].value;
		at = key_find(section, key->text, key->len);
		if (at >= 0 && section == &section_defaults && (section->keys[at].flags & KEY_OWN)) {
			report_error(v->report, key->at, "\"%s\" is each organization's own and has no default",
			             section->keys[at].name);
		} else if (at < 0) {
			report_error(v->report, key->at, "unknown key %s%s", quote(&q, key->text, key->len),
			             key_suggestion(section, key->text, key->len, suggestion,
			                            sizeof(suggestion)));
		} else {
			ret_seen[at] = value;
			if (value_set(v, &section->keys[at], value, into) != 0)
				continue;  /* reported */
		}
	}
	for (size_t i = 0; i < section->n; i++)
		if ((section->keys[i].flags & KEY_REQUIRED) && ret_seen[i] == NULL &&
		    section != &section_defaults && (map->kind == NODE_MAP || node_is_null(map)))
			report_error(v->report, map->at, "missing key \"%s\"", section->keys[i].name);
}

static void
check_secrets(struct values *v, const struct node *const *seen, const struct conf_org *org)
{
	if (v->no_secrets)
		return;
	if (seen[ORG_CLIENT_SECRET] != NULL)
		secret_check(v, "client_secret", seen[ORG_CLIENT_SECRET]->at, &org->client_secret);
	if (seen[ORG_PRIVATE_KEY] != NULL)
		secret_check(v, "private_key", seen[ORG_PRIVATE_KEY]->at, &org->private_key);
}

int
org_defaults_read(struct values *v, const struct node *map, struct org_defaults *d)
{
	memset(d, 0, sizeof(*d));
	if (value_set_fallbacks(v, &section_org, &d->org) != 0)
		return -1;
	if (map != NULL) {
		section_read(v, &section_defaults, map, &d->org, d->seen);
		check_secrets(v, d->seen, &d->org);
	}
	return v->report->no_memory ? -1 : 0;
}

/* An organization with credentials of one kind does not take those of the other kind from defaults:
 * a service account there must not outdo the organization's own key. */
static void
drop_other_kind(struct conf_org *org, const struct node *const *own, const struct node **seen)
{
	bool account = own[ORG_CLIENT_ID] != NULL || own[ORG_CLIENT_SECRET] != NULL;
	bool key = own[ORG_PUBLIC_KEY] != NULL || own[ORG_PRIVATE_KEY] != NULL;

	if (account && !key) {
		org->public_key = NULL;
		memset(&org->private_key, 0, sizeof(org->private_key));
		seen[ORG_PUBLIC_KEY] = seen[ORG_PRIVATE_KEY] = NULL;
	}
	if (key && !account) {
		org->client_id = NULL;
		memset(&org->client_secret, 0, sizeof(org->client_secret));
		seen[ORG_CLIENT_ID] = seen[ORG_CLIENT_SECRET] = NULL;
	}
}

static void
check_pair(struct values *v, struct place at, const char *who, const struct node *const *seen,
           enum org_key a, enum org_key b)
{
	const struct key *keys = section_org.keys;

	if ((seen[a] == NULL) == (seen[b] == NULL))
		return;
	if (seen[a] == NULL) {
		enum org_key swap = a;

		a = b;
		b = swap;
	}
	report_error(v->report, at, "%s has %s but no %s", who, keys[a].name, keys[b].name);
}

static void
check_credentials(struct values *v, struct place at, const struct conf_org *org,
                  const struct node *const *seen)
{
	char who[100];

	snprintf(who, sizeof(who), org->name == NULL ? "the organization" : "organization \"%s\"", org->name);
	check_pair(v, at, who, seen, ORG_CLIENT_ID, ORG_CLIENT_SECRET);
	check_pair(v, at, who, seen, ORG_PUBLIC_KEY, ORG_PRIVATE_KEY);
	if (seen[ORG_CLIENT_ID] == NULL && seen[ORG_CLIENT_SECRET] == NULL &&
	    seen[ORG_PUBLIC_KEY] == NULL && seen[ORG_PRIVATE_KEY] == NULL && org->disabled == NULL)
		report_error(v->report, at, "%s has no credentials: give client_id and client_secret (service "
		             "account), or public_key and private_key (API key)", who);
}

void
org_read(struct values *v, const struct org_defaults *d, const struct node *node,
         struct conf_org *ret_org, struct org_places *ret_places)
{
	const struct node *own[ORG_KEYS], *seen[ORG_KEYS];
	struct conf_org org = d->org;
	struct place at;

	if (node_is_null(node)) {
		report_error(v->report, node->at, "an empty entry in organizations");
		memset(own, 0, sizeof(own));
	} else {
		section_read(v, &section_org, node, &org, own);
	}
	at = own[ORG_NAME] != NULL ? own[ORG_NAME]->at : node->at;
	for (size_t i = 0; i < ORG_KEYS; i++)
		seen[i] = own[i] != NULL ? own[i] : d->seen[i];
	drop_other_kind(&org, own, seen);
	if (node->kind == NODE_MAP)
		check_credentials(v, at, &org, seen);
	/* The secrets of a disabled organization may be gone already. */
	if (org.disabled == NULL)
		check_secrets(v, own, &org);
	org.pos = (struct conf_pos){ at.source->path, at.line, at.column };
	ret_places->name = at;
	ret_places->org_id = own[ORG_ORG_ID] != NULL ? own[ORG_ORG_ID]->at : at;
	*ret_org = org;
}

/* ---- across organizations ---- */

struct sorted { const char *text; struct place at; size_t index; };

static int
compare(const void *left, const void *right)
{
	const struct sorted *a = left, *b = right;
	int order = strcasecmp(a->text, b->text);

	return order != 0 ? order : a->index < b->index ? -1 : 1;
}

/* Each after the first of its kind is reported, with the place of the first. */
static void
report_twice(struct report *report, struct sorted *list, size_t n, const char *key)
{
	const struct sorted *first = list;

	if (n > 1)
		qsort(list, n, sizeof(*list), compare);
	for (size_t i = 1; i < n; i++) {
		if (strcasecmp(list[i].text, first->text) != 0) {
			first = &list[i];
			continue;
		}
		report_error(report, list[i].at, "%s \"%s\" twice; first%s%s%s at %s:%u:%u", key,
		             list[i].text, strcmp(list[i].text, first->text) == 0 ? "" : " as \"",
		             strcmp(list[i].text, first->text) == 0 ? "" : first->text,
		             strcmp(list[i].text, first->text) == 0 ? "" : "\"", first->at.source->path,
		             first->at.line, first->at.column);
	}
}

int
org_check_unique(struct report *report, const struct conf_org *orgs, const struct org_places *places,
                 size_t n)
{
	struct sorted *list = calloc(n + 1, sizeof(*list));
	size_t count = 0;

	if (list == NULL)
		return report_no_memory(report);
	for (size_t i = 0; i < n; i++)
		if (orgs[i].name != NULL)
			list[count++] = (struct sorted){ .text = orgs[i].name, .at = places[i].name, .index = i };
	report_twice(report, list, count, "name");
	count = 0;
	for (size_t i = 0; i < n; i++)
		if (orgs[i].org_id != NULL)
			list[count++] = (struct sorted){ .text = orgs[i].org_id, .at = places[i].org_id,
			                                 .index = i };
	report_twice(report, list, count, "org_id");
	free(list);
	return 0;
}
