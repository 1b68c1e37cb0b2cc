#include "cmd/orgsync/record.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/orgsync/json.h"
#include "lib/base/file.h"
#include "lib/base/isotime.h"

bool
record_is_reported(const struct run_result *r)
{
	return r->outcome != RUN_FAILED && (r->quarantined > 0 || r->lost_seconds > 0 || r->events_gone > 0);
}

void
record_count(const struct run_result *results, size_t n, struct record_totals *ret)
{
	struct record_totals t = { .selected = n };

	for (size_t i = 0; i < n; i++) {
		const struct run_result *r = &results[i];

		t.up_to_date += r->outcome == RUN_DONE;
		t.failed += r->outcome == RUN_FAILED;
		t.credentials += r->outcome == RUN_FAILED && err_is_credential(r->err.code);
		t.reported += record_is_reported(r);
		t.locked += r->outcome == RUN_LOCKED;
		t.deadline += r->outcome == RUN_DEADLINE;
		t.stopped += r->outcome == RUN_STOPPED;
		t.not_begun += r->outcome == RUN_WAITING;
		t.events_new += r->events_new;
		t.events_changed += r->events_changed;
		t.quarantined += r->quarantined;
		t.lost_seconds += r->lost_seconds;
		t.events_gone += r->events_gone;
		t.events_altered += r->events_altered;
		t.pages += r->pages;
		t.requests += r->requests;
		t.retries += r->retries;
		t.tokens_minted += r->tokens_minted;
	}
	*ret = t;
}

static const char *
outcome_name(enum run_outcome outcome)
{
	switch (outcome) {
	case RUN_DONE:
		return "up_to_date";
	case RUN_FAILED:
		return "failed";
	case RUN_LOCKED:
		return "locked";
	case RUN_DEADLINE:
		return "deadline";
	case RUN_STOPPED:
		return "stopped";
	case RUN_WAITING:
		break;
	}
	return "not_begun";
}

static json_t *
result_json(const struct run_result *r, int64_t ended_s)
{
	return json_pack("{s:s, s:s, s:s, s:b, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:I, s:I}",
	                 "name", r->org->name, "org_id", r->org->org_id, "outcome", outcome_name(r->outcome),
	                 "reported", (int)record_is_reported(r), "error", json_err(&r->err), "ended",
	                 json_time(ended_s > 0 ? ended_s : -1), "events_new", (json_int_t)r->events_new,
	                 "events_changed", (json_int_t)r->events_changed, "quarantined",
	                 (json_int_t)r->quarantined, "lost_seconds", (json_int_t)r->lost_seconds, "events_gone",
	                 (json_int_t)r->events_gone, "events_altered", (json_int_t)r->events_altered, "pages",
	                 (json_int_t)r->pages, "requests", (json_int_t)r->requests, "retries",
	                 (json_int_t)r->retries, "tokens_minted", (json_int_t)r->tokens_minted, "wanted_to",
	                 json_time(r->wanted_to_s > 0 ? r->wanted_to_s : -1), "clock_difference_s",
	                 (json_int_t)r->clock_difference_s, "elapsed_ms", (json_int_t)r->elapsed_ms);
}

static json_t *
totals_json(const struct record_facts *f)
{
	struct record_totals t;

	record_count(f->results, f->n_results, &t);
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
	                 "s:I, s:I, s:I}",
	                 "read", (json_int_t)f->n_read, "disabled", (json_int_t)f->n_disabled, "selected",
	                 (json_int_t)t.selected, "up_to_date", (json_int_t)t.up_to_date, "failed",
	                 (json_int_t)t.failed, "credentials", (json_int_t)t.credentials, "reported",
	                 (json_int_t)t.reported, "locked", (json_int_t)t.locked, "deadline",
	                 (json_int_t)t.deadline, "stopped", (json_int_t)t.stopped, "not_begun",
	                 (json_int_t)t.not_begun, "events_new", (json_int_t)t.events_new, "events_changed",
	                 (json_int_t)t.events_changed, "quarantined", (json_int_t)t.quarantined,
	                 "lost_seconds", (json_int_t)t.lost_seconds, "events_gone", (json_int_t)t.events_gone,
	                 "events_altered", (json_int_t)t.events_altered, "pages", (json_int_t)t.pages, "requests",
	                 (json_int_t)t.requests, "retries", (json_int_t)t.retries,
	                 "tokens_minted", (json_int_t)t.tokens_minted);
}

json_t *
record_build(const struct record_facts *f)
{
	json_t *list = json_array();

	for (size_t i = 0; list != NULL && i < f->n_results; i++)
		if (json_array_append_new(list, result_json(&f->results[i], f->ended_at_s[i])) != 0) {
			json_decref(list);
			list = NULL;
		}
	if (list == NULL)
		return NULL;
	return json_pack("{s:i, s:s, s:s, s:o, s:o, s:o, s:o, s:I, s:i, s:o, s:o}", "format", RECORD_FORMAT,
	                 "version", f->version, "command", f->command, "run", json_text(f->run), "directory",
	                 json_text(f->directory), "started", json_time(f->started_s), "ended",
	                 json_time(f->ended_s), "elapsed_ms", (json_int_t)f->elapsed_ms, "exit_code",
	                 f->exit_code, "totals", totals_json(f), "organizations", list);
}

int
record_make_dir(int runs_dirfd, int64_t started_s, long pid, char ret_run[RECORD_RUN_MAX], int *ret_dirfd,
                struct err *e)
{
	char stamp[ISOTIME_LEN + 1], compact[ISOTIME_LEN + 1], name[RECORD_RUN_MAX], what[RECORD_RUN_MAX + 16];
	size_t len = 0;
	int fd;

	isotime_format_s(started_s, stamp);
	for (const char *p = stamp; *p != '\0'; p++)
		if (*p != '-' && *p != ':')
			compact[len++] = *p;
	compact[len] = '\0';
	snprintf(name, sizeof(name), "%s-%ld", compact, pid);
	for (unsigned i = 2; mkdirat(runs_dirfd, name, 0700) != 0; i++) {
		if (errno != EEXIST || i > 1000)
			return err_set_errno(e, errno, ".orgsync/runs/%s: cannot make the directory", name);
		snprintf(name, sizeof(name), "%s-%ld-%u", compact, pid, i);
	}
	snprintf(what, sizeof(what), ".orgsync/runs/%s", name);
	if (file_sync(runs_dirfd, ".orgsync/runs", e) != 0)
		return -1;
	fd = file_open_dir(runs_dirfd, name, 0, what, e);
	if (fd < 0)
		return -1;
	memcpy(ret_run, name, strlen(name) + 1);
	*ret_dirfd = fd;
	return 0;
}

int
record_write(int run_dirfd, const json_t *report, struct err *e)
{
	char *text = json_dumps(report, JSON_INDENT(1));
	int result;

	if (text == NULL)
		return err_set_errno(e, ENOMEM, "the run's report.json");
	result = file_replace(run_dirfd, "report.json", text, strlen(text), "the run's report.json", e);
	free(text);
	return result;
}
