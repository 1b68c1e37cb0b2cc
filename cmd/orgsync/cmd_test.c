#include "cmd/orgsync/commands.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "cmd/orgsync/archive.h"
#include "cmd/orgsync/exit_code.h"
#include "cmd/orgsync/json.h"
#include "cmd/orgsync/record.h"
#include "cmd/orgsync/runner.h"
#include "cmd/orgsync/session.h"
#include "cmd/orgsync/summary.h"
#include "lib/base/file.h"

/* The directory of kept tokens where a sync made one, so that testing mints no token without need; -1
 * where there is none. Nothing is made: a test leaves no trace. */
static int
open_tokens(const struct conf *conf)
{
	int output, own, tokens = -1;

	if (archive_open(conf, &output, NULL) != 0)
		return -1;
	own = file_open_dir(output, ".orgsync", 0, ".orgsync", NULL);
	if (own >= 0) {
		tokens = file_open_dir(own, "tokens", 0, ".orgsync/tokens", NULL);
		close(own);
	}
	close(output);
	return tokens;
}

static json_t *
result_json(const struct run_result *r)
{
	return json_pack("{s:s, s:s, s:s, s:b, s:o, s:I, s:I, s:I, s:I}", "name", r->org->name, "org_id",
	                 r->org->org_id, "credential", r->org->client_id != NULL ? "service_account" : "api_key",
	                 "works", (int)(r->outcome == RUN_DONE), "error", json_err(&r->err), "requests",
	                 (json_int_t)r->requests, "tokens_minted", (json_int_t)r->tokens_minted,
	                 "clock_difference_s", (json_int_t)r->clock_difference_s, "elapsed_ms",
	                 (json_int_t)r->elapsed_ms);
}

static int
print_json(const struct runner *r, int code)
{
	json_t *list = json_array();

	for (size_t i = 0; list != NULL && i < r->n_results; i++)
		if (json_array_append_new(list, result_json(&r->results[i])) != 0) {
			json_decref(list);
			list = NULL;
		}
	return json_print(list == NULL ? NULL
	                               : json_pack("{s:o, s:i, s:o}", "time", json_time(r->started_s),
	                                           "exit_code", code, "organizations", list),
	                  code);
}

static int
conclude(const struct session *s, const struct cli *cli, const struct runner *r)
{
	struct summary summary = { .directory = s->conf->directory, .results = r->results, .n = r->n_results };
	struct exit_facts facts = { .cannot_go_on = err_is(&r->err), .signal = r->signal };
	struct screen screen = screen_of(stdout);
	struct record_totals t;
	int code;

	record_count(r->results, r->n_results, &t);
	facts.cannot_go_on |= r->signal == 0 && t.not_begun > 0;
	facts.selected = t.selected;
	facts.failed = t.failed;
	facts.credentials = t.credentials;
	facts.deadline = t.deadline;
	code = exit_code(&facts);
	if (err_is(&r->err))
		say_err(&r->err);
	if (cli->json)
		return print_json(r, code);
	if (summary_test(&screen, &summary) != 0)
		fputs("orgsync: no memory for the whole table\n", stderr);
	return results_end(code);
}

int
cmd_test(const struct cli *cli)
{
	struct session s;
	struct runner r = { 0 };
	int code = session_open(cli, SESSION_ASKS, &s), tokens;

	if (code != 0)
		return code;
	session_count(&s, cli);
	tokens = open_tokens(s.conf);
	runner_go(&s, cli, RUN_TEST, -1, tokens, &r);
	code = conclude(&s, cli, &r);
	runner_free(&r);
	if (tokens >= 0)
		close(tokens);
	session_close(&s);
	return code;
}
