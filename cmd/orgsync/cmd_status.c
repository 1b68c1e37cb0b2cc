#include "cmd/orgsync/commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/orgsync/archive.h"
#include "cmd/orgsync/exit_code.h"
#include "cmd/orgsync/human.h"
#include "cmd/orgsync/json.h"
#include "cmd/orgsync/record.h"
#include "cmd/orgsync/session.h"
#include "cmd/orgsync/table.h"
#include "lib/base/isotime.h"

struct org_status {
	const struct conf_org *org;
	struct err err;                  /* the ledger cannot be read */
	struct archive_state state;
	uint64_t quarantined;            /* events in quarantine/ */
	json_t *ranges;                  /* covered ranges, for --json */
	const struct record_last *last;
	bool behind;                     /* further than --max-lag */
};

struct status {
	const struct session *s;
	const struct cli *cli;
	struct table *table;
	json_t *list;
	size_t failed, behind, never;
	uint64_t events;
	bool no_memory;
};

static bool
never_run(const struct org_status *o)
{
	return o->state.untouched && o->last->success_s < 0 && o->last->error_s < 0;
}

/* Covered ranges, those that touch joined: when they were asked is nothing a reader needs here. */
static json_t *
covered_json(const struct ledger *l, const struct conf_org *org)
{
	struct sync_options options = archive_sync_options(org);
	json_t *list = json_array();
	int64_t from_s = 0, to_s = -1;

	for (size_t i = 0; list != NULL && i <= l->n_covered; i++) {
		const struct covered *c = i < l->n_covered ? &l->covered[i] : NULL;

		if (c != NULL && !question_covers(&c->asked, &options.asked))
			continue;
		if (c != NULL && c->from_s == to_s) {
			to_s = c->to_s;
			continue;
		}
		if (to_s >= 0 && json_array_append_new(list, json_pack("{s:o, s:o}", "from", json_time(from_s),
		                                                       "to", json_time(to_s))) != 0) {
			json_decref(list);
			list = NULL;
		}
		if (c != NULL) {
			from_s = c->from_s;
			to_s = c->to_s;
		}
	}
	return list;
}

static json_t *
error_json(const struct record_last *last)
{
	if (last->error_s < 0)
		return json_null();
	return json_pack("{s:o, s:o, s:o, s:o}", "time", json_time(last->error_s), "code", json_text(last->code),
	                 "text", json_text(last->text), "hint", json_text(last->hint));
}

static json_t *
org_json(struct org_status *o)
{
	bool unknown = err_is(&o->err);
	json_t *lag = unknown || o->state.empty ? json_null() : json_integer((json_int_t)o->state.lag_s);
	json_t *ranges = o->ranges == NULL ? json_array() : json_incref(o->ranges);

	return json_pack("{s:s, s:s, s:b, s:o, s:I, s:o, s:I, s:I, s:I, s:b, s:o, s:o, s:o}", "name", o->org->name,
	                 "org_id", o->org->org_id, "never_run", !unknown && never_run(o), "covered", ranges,
	                 "gaps", (json_int_t)o->state.gaps, "lag_s", lag, "events", (json_int_t)o->state.events,
	                 "days", (json_int_t)o->state.days, "quarantined", (json_int_t)o->quarantined,
	                 "over_max_lag", (int)o->behind, "last_success",
	                 json_time(o->last->success_s), "last_error", error_json(o->last), "error",
	                 json_err(&o->err));
}

static void
add_error_notes(struct table *t, const struct record_last *last)
{
	char first[HUMAN_LEN + 8], when[HUMAN_LEN];

	/* An error that a success came after is history; --json still has it. */
	if (!last->error_stands)
		return;
	snprintf(first, sizeof(first), "    %s  ", human_minute(last->error_s, when));
	table_note(t, first, last->text[0] != '\0' ? last->text : last->code);
	if (last->hint[0] != '\0')
		table_note(t, "    what to do: ", last->hint);
}

static void
add_quarantine_note(struct table *t, const struct org_status *o)
{
	char line[200], number[HUMAN_LEN];

	if (o->quarantined == 0)
		return;
	snprintf(line, sizeof(line), "%s in %s/quarantine/, which could not be filed",
	         human_count(o->quarantined, "event", number), o->org->name);
	table_note(t, "    ", line);
}

static void
add_row(struct status *st, const struct org_status *o)
{
	char covered[2 * HUMAN_LEN], from[HUMAN_LEN], to[HUMAN_LEN], gaps[HUMAN_LEN], lag[HUMAN_LEN];
	char events[HUMAN_LEN], ago[HUMAN_LEN + 8] = "never";
	const char *cells[] = { o->org->name, covered, gaps, lag, events, ago };
	const char *broken[] = { o->org->name, "not readable", NULL, NULL, NULL, ago };
	const enum text_style bad[] = { STYLE_PLAIN, STYLE_BAD, STYLE_PLAIN, STYLE_PLAIN, STYLE_PLAIN, STYLE_PLAIN };
	enum text_style styles[] = { STYLE_PLAIN, STYLE_PLAIN, STYLE_PLAIN, STYLE_PLAIN, STYLE_PLAIN, STYLE_PLAIN };

	if (o->last->success_s >= 0) {
		human_duration(st->s->now_s - o->last->success_s, ago);
		strcat(ago, " ago");
	}
	if (err_is(&o->err)) {
		table_row(st->table, broken, bad);
		table_note(st->table, "    ", o->err.text);
		if (o->err.hint[0] != '\0')
			table_note(st->table, "    what to do: ", o->err.hint);
		return;
	}
	if (o->state.empty)
		snprintf(covered, sizeof(covered), "%s", never_run(o)            ? "never run"
		                                        : o->state.untouched ? "nothing yet"
		                                                             : "asked narrower");
	else
		snprintf(covered, sizeof(covered), "%s – %s", isotime_format_day(o->state.from_s, from),
		         isotime_format_day(o->state.to_s - 1, to));
	human_number(o->state.gaps, gaps);
	human_duration(o->state.lag_s, lag);
	human_number(o->state.events, events);
	if (o->state.empty)
		cells[2] = cells[3] = NULL;
	if (o->state.empty && o->state.events == 0)
		cells[4] = NULL;
	if (o->state.gaps > 0)
		styles[2] = STYLE_WARN;
	if (o->behind)
		styles[3] = STYLE_BAD;
	table_row(st->table, cells, styles);
	add_quarantine_note(st->table, o);
	add_error_notes(st->table, o->last);
}

/* dirfd -1: no run was made yet. */
static void
look_at(struct status *st, const struct conf_org *org, const struct record_last *last, int dirfd)
{
	struct org_status o = { .org = org, .last = last };
	struct ledger empty;
	struct store *store = NULL;
	const struct ledger *ledger = &empty;

	err_clear(&o.err);
	ledger_init(&empty);
	if (dirfd >= 0) {
		store = archive_open_org(st->s->conf, org, dirfd, &o.err);
		if (store != NULL) {
			ledger = store_ledger(store);
			if (store_quarantine_count(store, &o.quarantined, &o.err) != 0)
				o.quarantined = 0;
		}
	}
	o.state.empty = o.state.untouched = true;
	if (!err_is(&o.err) && archive_state(ledger, org, st->s->now_s, &o.state) != 0)
		err_set(&o.err, ERR_NOMEM, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR, "no memory");
	o.behind = st->cli->max_lag_s >= 0 && !err_is(&o.err) &&
	           (o.state.empty || o.state.lag_s > st->cli->max_lag_s);
	st->failed += err_is(&o.err);
	st->behind += o.behind;
	st->never += !err_is(&o.err) && never_run(&o);
	st->events += o.state.events;
	if (st->list != NULL) {
		o.ranges = covered_json(ledger, org);
		st->no_memory |= json_array_append_new(st->list, org_json(&o)) != 0;
		json_decref(o.ranges);
	} else {
		add_row(st, &o);
	}
	store_close(store);
	ledger_free(&empty);
}

static int
print_table(const struct status *st, int code)
{
	char orgs[HUMAN_LEN], events[HUMAN_LEN], number[HUMAN_LEN], lag[HUMAN_LEN];
	struct screen screen = screen_of(stdout);

	if (table_print(st->table, &screen) != 0 && code == 0)
		code = EXIT_CANNOT_GO_ON;
	printf("\n%s · %s in %s\n", human_count(st->s->n_orgs, "organization", orgs),
	       human_count(st->events, "event", events), st->s->conf->directory);
	if (st->never > 0)
		printf("%s never run; the first run is: orgsync sync\n", human_number(st->never, number));
	if (st->cli->max_lag_s >= 0)
		printf("%s further behind than %s\n", human_number(st->behind, number),
		       human_duration(st->cli->max_lag_s, lag));
	if (st->failed > 0)
		printf("%s not readable\n", human_number(st->failed, number));
	return results_end(code);
}

static int
print_json(struct status *st, int code)
{
	json_t *document = NULL;

	if (!st->no_memory)
		document = json_pack("{s:o, s:o, s:o, s:O, s:{s:I, s:I, s:I, s:I, s:I}}", "time",
		                     json_time(st->s->now_s), "directory", json_text(st->s->conf->directory),
		                     "max_lag_s",
		                     st->cli->max_lag_s < 0 ? json_null() : json_integer(st->cli->max_lag_s),
		                     "organizations", st->list, "totals", "organizations",
		                     (json_int_t)st->s->n_orgs, "never_run", (json_int_t)st->never,
		                     "over_max_lag", (json_int_t)st->behind, "not_readable",
		                     (json_int_t)st->failed, "events", (json_int_t)st->events);
	return json_print(document, code);
}

/* Looks at every organization and prints. */
static int
show(struct status *st, int dirfd)
{
	struct record_last *last = calloc(st->s->n_orgs + 1, sizeof(*last));
	struct exit_facts facts = { .selected = st->s->n_orgs };
	size_t unreadable = 0;
	struct err e;
	int code;

	err_clear(&e);
	if (last == NULL || (st->table == NULL && st->list == NULL)) {
		free(last);
		fputs("orgsync: no memory\n", stderr);
		return EXIT_CANNOT_GO_ON;
	}
	for (size_t i = 0; i < st->s->n_orgs; i++)
		last[i].success_s = last[i].error_s = -1;
	if (dirfd >= 0 && record_last(dirfd, st->s->orgs, st->s->n_orgs, st->s->now_s, last, &unreadable, &e) != 0)
		say_err(&e);
	if (unreadable > 0)
		fprintf(stderr, "orgsync: %zu run records cannot be read and are passed over (.orgsync/runs)\n",
		        unreadable);
	for (size_t i = 0; i < st->s->n_orgs; i++)
		look_at(st, st->s->orgs[i], &last[i], dirfd);
	facts.failed = st->failed + st->behind;
	code = exit_code(&facts);
	code = st->cli->json ? print_json(st, code) : print_table(st, code);
	free(last);
	return code;
}

int
cmd_status(const struct cli *cli)
{
	static const struct table_column columns[] = {
		{ "ORGANIZATION", false, true }, { "COVERED", false, false }, { "GAPS", true, false },
		{ "LAG", true, false },          { "EVENTS", true, false },   { "LAST SUCCESS", true, false },
	};
	struct session s;
	struct status st = { .s = &s, .cli = cli };
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
		st.list = json_array();
	else
		st.table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
	code = show(&st, dirfd);
	json_decref(st.list);
	table_free(st.table);
	if (dirfd >= 0)
		close(dirfd);
	session_close(&s);
	return code;
}
