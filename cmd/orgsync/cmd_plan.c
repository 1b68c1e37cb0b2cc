#include "cmd/orgsync/commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "cmd/orgsync/archive.h"
#include "cmd/orgsync/exit_code.h"
#include "cmd/orgsync/human.h"
#include "cmd/orgsync/json.h"
#include "cmd/orgsync/plan.h"
#include "cmd/orgsync/session.h"
#include "cmd/orgsync/table.h"

struct planning {
	const struct session *s;
	struct table *table;     /* or */
	json_t *list;            /* --json */
	size_t failed, with_work, n_ranges;
	uint64_t pages;
	bool at_least, no_memory;
};

static void
range_row(struct planning *p, const char *name, const struct conf_org *org, const struct plan *plan,
          const struct plan_range *r)
{
	char from[HUMAN_LEN], to[HUMAN_LEN], events[HUMAN_LEN], pages[HUMAN_LEN], number[HUMAN_LEN];
	bool all = org->start == CONF_START_ALL && r->from_s == plan->wanted_from_s;
	const char *cells[] = { name, all ? "the beginning" : human_minute(r->from_s, from),
		                human_minute(r->to_s, to), plan_why_text(r->why), events, pages };

	snprintf(events, sizeof(events), "%s",
	         r->events_guess < 0 ? "?" : human_number((uint64_t)r->events_guess, number));
	snprintf(pages, sizeof(pages), "%s%s", r->joined ? "" : r->pages_at_least ? "≥ " : "",
	         r->joined ? "" : human_number(r->pages_guess, number));
	table_row(p->table, cells, NULL);
}

static json_t *
range_json(const struct plan_range *r)
{
	return json_pack("{s:o, s:o, s:s, s:o, s:b}", "from", json_time(r->from_s), "to", json_time(r->to_s), "why",
	                 plan_why_name(r->why), "events_guess",
	                 r->events_guess < 0 ? json_null() : json_integer(r->events_guess), "read_with_next",
	                 (int)r->joined);
}

static json_t *
org_json(const struct conf_org *org, const struct plan *plan, const struct err *e)
{
	json_t *ranges = json_array();

	for (size_t i = 0; ranges != NULL && i < plan->n_ranges; i++)
		if (json_array_append_new(ranges, range_json(&plan->ranges[i])) != 0) {
			json_decref(ranges);
			return NULL;
		}
	return json_pack("{s:s, s:s, s:b, s:o, s:o, s:o, s:I, s:b, s:o}", "name", org->name, "org_id", org->org_id,
	                 "begins_with_first_sync", (int)plan->first_sync, "wanted_from",
	                 json_time(err_is(e) ? -1 : plan->wanted_from_s), "wanted_to",
	                 json_time(err_is(e) ? -1 : plan->wanted_to_s), "ranges", ranges, "pages_guess",
	                 (json_int_t)plan->pages_guess, "pages_at_least", (int)plan->pages_at_least, "error",
	                 json_err(e));
}

static void
show_org(struct planning *p, const struct conf_org *org, const struct plan *plan, const struct err *e)
{
	const char *nothing[] = { org->name, plan->first_sync ? "its first sync" : "up to date", NULL, NULL, NULL,
		                  NULL };
	const char *broken[] = { org->name, "not known", NULL, NULL, NULL, NULL };
	const enum text_style bad[] = { STYLE_PLAIN, STYLE_BAD, STYLE_PLAIN, STYLE_PLAIN, STYLE_PLAIN, STYLE_PLAIN };

	if (p->list != NULL) {
		p->no_memory |= json_array_append_new(p->list, org_json(org, plan, e)) != 0;
		return;
	}
	if (err_is(e)) {
		table_row(p->table, broken, bad);
		table_note(p->table, "    ", e->text);
		if (e->hint[0] != '\0')
			table_note(p->table, "    what to do: ", e->hint);
		return;
	}
	if (plan->n_ranges == 0)
		table_row(p->table, nothing, NULL);
	for (size_t i = 0; i < plan->n_ranges; i++)
		range_row(p, i == 0 ? org->name : "", org, plan, &plan->ranges[i]);
}

/* dirfd is -1 where no run was made yet: then everything wanted is to be read. */
static void
plan_org(struct planning *p, const struct conf_org *org, int dirfd)
{
	struct ledger empty;
	struct store *store = NULL;
	struct plan plan = { 0 };
	struct err e;

	err_clear(&e);
	ledger_init(&empty);
	if (dirfd >= 0)
		store = archive_open_org(p->s->conf, org, dirfd, &e);
	if (!err_is(&e) && plan_make(org, store == NULL ? &empty : store_ledger(store), p->s->now_s, &plan) != 0)
		err_set(&e, ERR_NOMEM, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR, "no memory for the plan");
	p->failed += err_is(&e);
	p->with_work += plan.n_ranges > 0;
	p->n_ranges += plan.n_ranges;
	p->pages += plan.pages_guess;
	p->at_least |= plan.pages_at_least;
	show_org(p, org, &plan, &e);
	plan_free(&plan);
	store_close(store);
	ledger_free(&empty);
}

static int
print_table(const struct planning *p, int code)
{
	char orgs[HUMAN_LEN], all[HUMAN_LEN], ranges[HUMAN_LEN], pages[HUMAN_LEN], failed[HUMAN_LEN];
	struct screen screen = screen_of(stdout);

	if (table_print(p->table, &screen) != 0 && code == 0)
		code = EXIT_CANNOT_GO_ON;
	printf("\n%s of %s to be read\n", human_number(p->with_work, orgs),
	       human_count(p->s->n_orgs, "organization", all));
	if (p->with_work > 0)
		printf("%s, %s %s of up to 500 events\n", human_count(p->n_ranges, "range", ranges),
		       p->at_least ? "at least" : "about", human_count(p->pages, "page", pages));
	if (p->failed > 0)
		printf("%s cannot be planned\n", human_count(p->failed, "organization", failed));
	return results_end(code);
}

static int
print_json(struct planning *p, int code)
{
	json_t *document = NULL;

	if (!p->no_memory)
		document = json_pack("{s:o, s:O, s:{s:I, s:I, s:I, s:I, s:b}}", "time", json_time(p->s->now_s),
		                     "organizations", p->list, "totals", "organizations",
		                     (json_int_t)p->s->n_orgs, "failed", (json_int_t)p->failed, "ranges",
		                     (json_int_t)p->n_ranges, "pages_guess", (json_int_t)p->pages,
		                     "pages_at_least", (int)p->at_least);
	return json_print(document, code);
}

int
cmd_plan(const struct cli *cli)
{
	static const struct table_column columns[] = {
		{ "ORGANIZATION", false, true }, { "FROM", false, false }, { "TO", false, false },
		{ "WHY", false, false },         { "EVENTS", true, false }, { "PAGES", true, false },
	};
	struct session s;
	struct planning p = { .s = &s };
	struct exit_facts facts = { 0 };
	struct err e;
	int code = session_open(cli, SESSION_OFFLINE, &s), dirfd = -1;

	if (code != 0)
		return code;
	err_clear(&e);
	if (archive_open(s.conf, &dirfd, &e) < 0) {
		say_err(&e);
		session_close(&s);
		return EXIT_CANNOT_GO_ON;
	}
	if (cli->json)
		p.list = json_array();
	else
		p.table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
	if (p.list != NULL || p.table != NULL) {
		for (size_t i = 0; i < s.n_orgs; i++)
			plan_org(&p, s.orgs[i], dirfd);
		facts.selected = s.n_orgs;
		facts.failed = p.failed;
		code = exit_code(&facts);
		code = cli->json ? print_json(&p, code) : print_table(&p, code);
	} else {
		fputs("orgsync: no memory\n", stderr);
		code = EXIT_CANNOT_GO_ON;
	}
	json_decref(p.list);
	table_free(p.table);
	if (dirfd >= 0)
		close(dirfd);
	session_close(&s);
	return code;
}
