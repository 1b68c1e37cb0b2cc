#include "cmd/orgsync/commands.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/orgsync/archive.h"
#include "cmd/orgsync/exit_code.h"
#include "cmd/orgsync/json.h"
#include "cmd/orgsync/record.h"
#include "cmd/orgsync/runner.h"
#include "cmd/orgsync/session.h"
#include "cmd/orgsync/summary.h"
#include "lib/base/clock.h"
#include "lib/base/file.h"

/* The output directory and what of it belongs to the program rather than to an organization. */
struct places {
	int output, tokens, run;       /* directories; -1: not open */
	char run_name[RECORD_RUN_MAX];
};

static void
close_places(struct places *p)
{
	if (p->output >= 0)
		close(p->output);
	if (p->tokens >= 0)
		close(p->tokens);
	if (p->run >= 0)
		close(p->run);
}

static int
open_places(const struct conf *conf, struct places *p, struct err *e)
{
	int own, runs = -1, failed = -1;

	p->output = p->tokens = p->run = -1;
	p->output = file_open_dirs(conf->directory, e);
	if (p->output < 0)
		return -1;
	own = file_open_dir(p->output, ".orgsync", 1, ".orgsync", e);
	if (own < 0)
		return -1;
	p->tokens = file_open_dir(own, "tokens", 1, ".orgsync/tokens", e);
	if (p->tokens >= 0)
		runs = file_open_dir(own, "runs", 1, ".orgsync/runs", e);
	if (runs >= 0)
		failed = record_make_dir(runs, clock_wall_s(&clock_system), (long)getpid(), p->run_name, &p->run, e);
	if (runs >= 0)
		close(runs);
	close(own);
	return failed;
}

static int
code_of(const struct runner *r)
{
	struct record_totals t;
	struct exit_facts facts = { .cannot_go_on = err_is(&r->err), .signal = r->signal };

	record_count(r->results, r->n_results, &t);
	facts.cannot_go_on |= r->signal == 0 && t.not_begun > 0;
	facts.selected = t.selected;
	facts.failed = t.failed;
	facts.credentials = t.credentials;
	facts.reported = t.reported;
	facts.deadline = t.deadline;
	facts.locked = t.locked;
	return exit_code(&facts);
}

/* Where each archive ends now; zeros where it is not known. The caller's to free(); NULL: no memory, and
 * nothing is shown. */
static int64_t *
covered_ends(const struct session *s, const struct runner *r, int dirfd)
{
	int64_t *ends = calloc(r->n_results + 1, sizeof(*ends));

	for (size_t i = 0; ends != NULL && i < r->n_results; i++) {
		struct store *store;
		const struct ledger *l;

		if (r->results[i].outcome == RUN_DONE && r->results[i].lost_seconds == 0) {
			ends[i] = r->results[i].wanted_to_s;
			continue;
		}
		store = archive_open_org(s->conf, s->orgs[i], dirfd, NULL);
		l = store == NULL ? NULL : store_ledger(store);
		if (l != NULL && l->n_covered > 0)
			ends[i] = l->covered[l->n_covered - 1].to_s;
		store_close(store);
	}
	return ends;
}

static int
print_table(const struct session *s, const struct runner *r, const struct places *p, bool recorded, int code)
{
	char record[RECORD_RUN_MAX + 40];
	struct screen screen = screen_of(stdout);
	struct summary summary = {
		.directory = s->conf->directory,
		.record = recorded ? record : NULL,
		.results = r->results,
		.n = r->n_results,
		.elapsed_ms = r->elapsed_ms,
	};
	int64_t *ends = NULL;

	snprintf(record, sizeof(record), ".orgsync/runs/%s/report.json", p->run_name);
	if (r->n_results <= SUMMARY_ROWS_MAX)
		ends = covered_ends(s, r, p->output);
	summary.covered_to_s = ends;
	if (summary_sync(&screen, &summary) != 0)
		fputs("orgsync: no memory for the whole table\n", stderr);
	free(ends);
	return results_end(code);
}

/* Writes the record and prints what came of the run. */
static int
conclude(const struct session *s, const struct cli *cli, const struct runner *r, const struct places *p)
{
	struct record_facts facts = {
		.version = ORGSYNC_VERSION,
		.command = "sync",
		.run = p->run_name,
		.directory = s->conf->directory,
		.started_s = r->started_s,
		.ended_s = r->ended_s,
		.elapsed_ms = r->elapsed_ms,
		.exit_code = code_of(r),
		.n_read = s->conf->n_orgs,
		.n_disabled = s->n_disabled,
		.results = r->results,
		.ended_at_s = r->ended_at_s,
		.n_results = r->n_results,
	};
	json_t *report = record_build(&facts);
	int code = facts.exit_code;
	struct err e;

	err_clear(&e);
	if (report == NULL)
		err_set_errno(&e, ENOMEM, "the run's report.json");
	else if (record_write(p->run, report, &e) != 0)
		err_hint(&e, "the archives themselves are as the table says; status will not know of this run");
	if (err_is(&r->err))
		say_err(&r->err);
	if (err_is(&e)) {
		say_err(&e);
		code = code == 0 ? EXIT_CANNOT_GO_ON : code;
	}
	if (cli->json)
		return json_print(report, code);
	json_decref(report);
	return print_table(s, r, p, !err_is(&e), code);
}

int
cmd_sync(const struct cli *cli)
{
	struct places places;
	struct session s;
	struct runner r = { 0 };
	struct err e;
	int code = session_open(cli, SESSION_ASKS, &s);

	if (code != 0)
		return code;
	err_clear(&e);
	session_count(&s, cli);
	if (open_places(s.conf, &places, &e) != 0) {
		say_err(&e);
		code = EXIT_CANNOT_GO_ON;
	} else {
		runner_go(&s, cli, RUN_SYNC, places.output, places.tokens, &r);
		code = conclude(&s, cli, &r, &places);
		runner_free(&r);
	}
	close_places(&places);
	session_close(&s);
	return code;
}
