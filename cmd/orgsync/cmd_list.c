#include "cmd/orgsync/commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/orgsync/exit_code.h"
#include "cmd/orgsync/human.h"
#include "cmd/orgsync/json.h"
#include "cmd/orgsync/session.h"
#include "cmd/orgsync/table.h"

/* Selects disabled organizations too: the list is where one looks for them. Works on a copy of the
 * descriptions in which none is disabled; fills ret_chosen with pointers into s->conf. 0 or the code. */
static int
select_all(const struct cli *cli, const struct session *s, const struct conf_org **ret_chosen, size_t *ret_n)
{
	struct conf copy = *s->conf;
	struct err e;
	int code = 0;

	err_clear(&e);
	copy.orgs = calloc(s->conf->n_orgs + 1, sizeof(*copy.orgs));
	if (copy.orgs == NULL) {
		fputs("orgsync: no memory\n", stderr);
		return EXIT_CANNOT_GO_ON;
	}
	for (size_t i = 0; i < copy.n_orgs; i++) {
		copy.orgs[i] = s->conf->orgs[i];
		copy.orgs[i].disabled = NULL;
	}
	if (conf_select(&copy, &cli->selection, ret_chosen, ret_n, &e) != 0) {
		say_err(&e);
		code = EXIT_NOT_ATTEMPTED;
	}
	for (size_t i = 0; code == 0 && i < *ret_n; i++)
		ret_chosen[i] = &s->conf->orgs[ret_chosen[i] - copy.orgs];
	free(copy.orgs);
	return code;
}

static const char *
start_text(const struct conf_org *org, char *out)
{
	if (org->start == CONF_START_ALL)
		return "all";
	if (org->start == CONF_START_NONE)
		return "first run";
	human_second(org->start_s, out);
	if (strcmp(out + 10, " 00:00:00") == 0)
		out[10] = '\0';
	else if (strcmp(out + 16, ":00") == 0)
		out[16] = '\0';
	return out;
}

static char *
join(char *const *texts, size_t n)
{
	size_t len = 1;
	char *joined;

	for (size_t i = 0; i < n; i++)
		len += strlen(texts[i]) + 2;
	joined = calloc(1, len);
	for (size_t i = 0; joined != NULL && i < n; i++) {
		if (i > 0)
			strcat(joined, ", ");
		strcat(joined, texts[i]);
	}
	return joined;
}

static int
print_table(const struct conf_org *const *orgs, size_t n)
{
	static const struct table_column columns[] = {
		{ "ORGANIZATION", false, true },
		{ "ORG ID", false, false },
		{ "CREDENTIAL", false, false },
		{ "START", false, false },
		{ "TAGS", false, true },
	};
	struct screen screen = screen_of(stdout);
	struct table *t = table_new(columns, sizeof(columns) / sizeof(columns[0]));
	char start[HUMAN_LEN], number[HUMAN_LEN];
	size_t disabled = 0;
	int failed = t == NULL;

	for (size_t i = 0; t != NULL && i < n; i++) {
		char *tags = join(orgs[i]->tags, orgs[i]->n_tags);
		const char *cells[] = { orgs[i]->name, orgs[i]->org_id,
			                orgs[i]->client_id != NULL ? "account" : "API key",
			                start_text(orgs[i], start), tags };

		table_row(t, cells, NULL);
		disabled += orgs[i]->disabled != NULL;
		if (orgs[i]->disabled != NULL)
			table_note(t, "    disabled: ", orgs[i]->disabled);
		failed |= tags == NULL;
		free(tags);
	}
	if (t != NULL)
		failed |= table_print(t, &screen) != 0;
	table_free(t);
	printf("\n%s", human_count(n, "organization", number));
	if (disabled > 0)
		printf(", %s disabled", human_number(disabled, number));
	putchar('\n');
	if (failed)
		fputs("orgsync: no memory for the whole list\n", stderr);
	return results_end(failed ? EXIT_CANNOT_GO_ON : EXIT_UP_TO_DATE);
}

static json_t *
texts(char *const *list, size_t n)
{
	json_t *array = json_array();

	for (size_t i = 0; array != NULL && i < n; i++)
		if (json_array_append_new(array, json_text(list[i])) != 0) {
			json_decref(array);
			return NULL;
		}
	return array;
}

static json_t *
org_json(const struct conf_org *org)
{
	json_t *start = org->start == CONF_START_ALL    ? json_string("all")
	                : org->start == CONF_START_NONE ? json_string("first_run")
	                                                : json_time(org->start_s);

	return json_pack("{s:o, s:s, s:s, s:o, s:o, s:i, s:b, s:o, s:o, s:s, s:i}", "name", json_text(org->name),
	                 "org_id", org->org_id, "credential",
	                 org->client_id != NULL ? "service_account" : "api_key", "start", start, "tags",
	                 texts(org->tags, org->n_tags), "priority", org->priority, "include_raw",
	                 (int)org->include_raw, "event_types",
	                 org->event_types == NULL ? json_null() : texts(org->event_types, org->n_event_types),
	                 "disabled", json_text(org->disabled), "file", org->pos.file, "line",
	                 (int)org->pos.line);
}

static int
print_json(const struct session *s, const struct conf_org *const *orgs, size_t n)
{
	json_t *list = json_array(), *document = NULL;

	for (size_t i = 0; list != NULL && i < n; i++)
		if (json_array_append_new(list, org_json(orgs[i])) != 0) {
			json_decref(list);
			list = NULL;
		}
	if (list != NULL)
		document = json_pack("{s:o, s:I, s:I, s:o}", "configuration", json_text(s->path), "read",
		                     (json_int_t)s->conf->n_orgs, "disabled", (json_int_t)s->n_disabled,
		                     "organizations", list);
	return json_print(document, EXIT_UP_TO_DATE);
}

int
cmd_list(const struct cli *cli)
{
	const struct conf_org **orgs;
	struct session s;
	size_t n = 0;
	int code = session_load(cli, SESSION_OFFLINE, &s);

	if (code != 0)
		return code;
	orgs = calloc(s.conf->n_orgs + 1, sizeof(*orgs));
	code = orgs == NULL ? EXIT_CANNOT_GO_ON : select_all(cli, &s, orgs, &n);
	if (code == 0)
		code = cli->json ? print_json(&s, orgs, n) : print_table(orgs, n);
	free(orgs);
	session_close(&s);
	return code;
}
