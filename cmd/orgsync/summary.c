#include "cmd/orgsync/summary.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cmd/orgsync/human.h"
#include "cmd/orgsync/record.h"
#include "cmd/orgsync/table.h"

#define ALIKE_MIN 4     /* organizations that failed for one reason: fewer are told one by one */
#define ALIKE_NAMES 20  /* of them that are named */

static const char *
state_text(const struct run_result *r)
{
	switch (r->outcome) {
	case RUN_DONE:
		return record_is_reported(r) ? "needs a look" : "up to date";
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
	return "not begun";
}

static enum text_style
state_style(const struct run_result *r)
{
	if (r->outcome == RUN_FAILED)
		return STYLE_BAD;
	return r->outcome == RUN_DONE && !record_is_reported(r) ? STYLE_GOOD : STYLE_WARN;
}

static int
print_rows(const struct screen *screen, const struct summary *s)
{
	static const struct table_column columns[] = {
		{ "ORGANIZATION", false, true }, { "NEW EVENTS", true, false }, { "COVERED UP TO", false, false },
		{ "STATE", false, false },
	};
	char events[HUMAN_LEN], to[HUMAN_LEN];
	struct table *t = table_new(columns, sizeof(columns) / sizeof(columns[0]));
	int failed;

	if (t == NULL)
		return -1;
	for (size_t i = 0; i < s->n; i++) {
		const struct run_result *r = &s->results[i];
		int64_t to_s = s->covered_to_s == NULL ? 0 : s->covered_to_s[i];
		const char *cells[] = { r->org->name, human_number(r->events_new, events),
			                to_s > 0 ? human_second(to_s, to) : "–", state_text(r) };
		const enum text_style styles[] = { STYLE_PLAIN, STYLE_PLAIN, STYLE_PLAIN, state_style(r) };

		table_row(t, cells, styles);
	}
	failed = table_print(t, screen);
	table_free(t);
	fputc('\n', screen->out);
	return failed;
}

static void
print_name(const struct screen *screen, const struct run_result *r)
{
	fputs("  ", screen->out);
	text_styled(screen, STYLE_BOLD, r->org->name);
	fputc('\n', screen->out);
}

static bool
same_failure(const struct run_result *a, const struct run_result *b)
{
	return b->outcome == RUN_FAILED && strcmp(a->err.text, b->err.text) == 0 &&
	       strcmp(a->err.hint, b->err.hint) == 0;
}

/* How many failed for the reason of this one; their names are printed where `print`. */
static size_t
failed_alike(const struct screen *screen, const struct summary *s, const struct run_result *one, bool print)
{
	char names[ALIKE_NAMES * 70] = "", number[HUMAN_LEN];
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++) {
		if (!same_failure(one, &s->results[i]))
			continue;
		if (n++ < ALIKE_NAMES)
			snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s", n > 1 ? ", " : "",
			         s->results[i].org->name);
	}
	if (!print)
		return n;
	if (n > ALIKE_NAMES)
		snprintf(names + strlen(names), sizeof(names) - strlen(names), " and %s more",
		         human_number(n - ALIKE_NAMES, number));
	text_wrap(screen, "  ", names);
	return n;
}

static bool
was_printed(const struct summary *s, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (s->results[i].outcome == RUN_FAILED && same_failure(&s->results[i], &s->results[at]))
			return true;
	return false;
}

/* Each with its reason and what to do; many of one reason (a server that answers nobody) together. */
static void
print_failed(const struct screen *screen, const struct summary *s)
{
	bool any = false;

	for (size_t i = 0; i < s->n; i++) {
		const struct run_result *r = &s->results[i];
		bool alike;

		if (r->outcome != RUN_FAILED)
			continue;
		alike = failed_alike(screen, s, r, false) >= ALIKE_MIN;
		if (alike && was_printed(s, i))
			continue;
		if (!any)
			fputs("Failed:\n", screen->out);
		any = true;
		if (alike)
			failed_alike(screen, s, r, true);
		else
			print_name(screen, r);
		text_wrap(screen, "    ", r->err.text);
		if (r->err.hint[0] != '\0')
			text_wrap(screen, "    what to do: ", r->err.hint);
	}
	if (any)
		fputc('\n', screen->out);
}

static void
print_looks(const struct screen *screen, const struct run_result *r)
{
	char number[HUMAN_LEN], line[300];

	if (r->quarantined > 0) {
		snprintf(line, sizeof(line), "%s could not be filed and %s kept as sent in %s/quarantine/",
		         human_count(r->quarantined, "event", number), r->quarantined == 1 ? "is" : "are",
		         r->org->name);
		text_wrap(screen, "    ", line);
	}
	if (r->lost_seconds > 0) {
		snprintf(line, sizeof(line), "%s could not be read; %s not covered, and the next sync tries again",
		         human_count(r->lost_seconds, "second", number), r->lost_seconds == 1 ? "it is" : "they are");
		text_wrap(screen, "    ", line);
	}
	if (r->events_gone > 0) {
		snprintf(line, sizeof(line), "%s of a damaged file %s not given by the server any more; what could be "
		         "read of %s is kept in %s/quarantine/damaged/",
		         human_count(r->events_gone, "event", number), r->events_gone == 1 ? "was" : "were",
		         r->events_gone == 1 ? "it" : "them", r->org->name);
		text_wrap(screen, "    ", line);
	}
	if (r->events_altered > 0) {
		snprintf(line, sizeof(line), "%s stood altered in a damaged file; what the server gave is in the archive, "
		         "and what stood there in %s/quarantine/damaged/",
		         human_count(r->events_altered, "event", number), r->org->name);
		text_wrap(screen, "    ", line);
	}
	if (r->events_changed > 0) {
		snprintf(line, sizeof(line), "%s came with other bytes than at first; the first copy stays",
		         human_count(r->events_changed, "event", number));
		text_wrap(screen, "    ", line);
	}
}

static bool
needs_look(const struct run_result *r)
{
	return r->quarantined > 0 || r->lost_seconds > 0 || r->events_changed > 0 || r->events_gone > 0 ||
	       r->events_altered > 0;
}

/* The clock is the machine's, not an organization's: told once. */
static void
print_clock(const struct screen *screen, const struct summary *s)
{
	int64_t most_s = 0;
	char duration[HUMAN_LEN], line[200];

	for (size_t i = 0; i < s->n; i++) {
		int64_t d = s->results[i].clock_difference_s;

		if ((d < 0 ? -d : d) > (most_s < 0 ? -most_s : most_s))
			most_s = d;
	}
	if (most_s >= -RECORD_CLOCK_DIFFERENCE_S && most_s <= RECORD_CLOCK_DIFFERENCE_S)
		return;
	snprintf(line, sizeof(line),
	         "This machine's clock is %s %s the server's. Nothing is lost by it, but set it (NTP).",
	         human_duration(most_s < 0 ? -most_s : most_s, duration), most_s < 0 ? "behind" : "ahead of");
	text_wrap(screen, "", line);
	fputc('\n', screen->out);
}

static void
print_reported(const struct screen *screen, const struct summary *s)
{
	bool any = false;

	for (size_t i = 0; i < s->n; i++) {
		const struct run_result *r = &s->results[i];

		if (!needs_look(r))
			continue;
		if (!any)
			fputs("To look at:\n", screen->out);
		any = true;
		print_name(screen, r);
		print_looks(screen, r);
	}
	if (any)
		fputc('\n', screen->out);
	print_clock(screen, s);
}

static void
print_locked(const struct screen *screen, const struct summary *s)
{
	bool any = false;

	for (size_t i = 0; i < s->n; i++) {
		if (s->results[i].outcome != RUN_LOCKED)
			continue;
		if (!any)
			text_wrap(screen, "", "Locked, because another run is at work on them. Wait for it to end, or let "
			          "this one wait with --lock-wait 10m; fuser -v NAME/.lock shows whose it is:");
		any = true;
		print_name(screen, &s->results[i]);
	}
	if (any)
		fputc('\n', screen->out);
}

/* " · 3 failed", left out where the number is 0. */
static void
also(FILE *out, size_t number, const char *what)
{
	char text[HUMAN_LEN];

	if (number > 0)
		fprintf(out, " · %s %s", human_number(number, text), what);
}

static void
print_totals(const struct screen *screen, const struct summary *s)
{
	char events[HUMAN_LEN], requests[HUMAN_LEN], number[HUMAN_LEN], elapsed[HUMAN_LEN];
	struct record_totals t;
	FILE *out = screen->out;

	record_count(s->results, s->n, &t);
	fprintf(out, "%s up to date", human_count(t.up_to_date, "organization", number));
	also(out, t.failed, "failed");
	also(out, t.locked, "locked");
	also(out, t.deadline, "not finished: deadline");
	also(out, t.stopped, "stopped");
	also(out, t.not_begun, "not begun");
	fprintf(out, "\n%s · %s · %s\n", human_count(t.events_new, "new event", events),
	        human_count(t.requests, "request", requests),
	        human_elapsed(s->elapsed_ms, elapsed));
	text_wrap(screen, "archive: ", s->directory);
	if (s->record != NULL)
		text_wrap(screen, "record:  ", s->record);
}

int
summary_sync(const struct screen *screen, const struct summary *s)
{
	int failed = 0;

	if (s->n > 0 && s->n <= SUMMARY_ROWS_MAX)
		failed = print_rows(screen, s);
	print_locked(screen, s);
	print_reported(screen, s);
	print_failed(screen, s);
	print_totals(screen, s);
	return failed;
}

/* Nobody answered, or not Atlas: the credential was not looked at. */
static bool
says_nothing(const struct err *e)
{
	return e->code == ERR_NETWORK || e->code == ERR_TIMEOUT || e->code == ERR_TLS || e->code == ERR_SERVER ||
	       e->code == ERR_REDIRECT || e->code == ERR_RATE_LIMITED || e->code == ERR_NOMEM;
}

int
summary_test(const struct screen *screen, const struct summary *s)
{
	static const struct table_column columns[] = {
		{ "ORGANIZATION", false, true }, { "CREDENTIAL", false, false }, { "WORKS", false, false },
	};
	struct table *t = table_new(columns, sizeof(columns) / sizeof(columns[0]));
	char works[HUMAN_LEN], requests[HUMAN_LEN];
	struct record_totals totals;
	int failed;

	if (t == NULL)
		return -1;
	for (size_t i = 0; i < s->n; i++) {
		const struct run_result *r = &s->results[i];
		const char *cells[] = { r->org->name,
			                r->org->client_id != NULL ? "service account" : "API key",
			                r->outcome == RUN_DONE     ? "yes"
			                : r->outcome == RUN_FAILED ? (says_nothing(&r->err) ? "not known" : "no")
			                                           : state_text(r) };
		const enum text_style styles[] = { STYLE_PLAIN, STYLE_PLAIN, state_style(r) };

		table_row(t, cells, styles);
		if (r->outcome == RUN_FAILED) {
			table_note(t, "    ", r->err.text);
			if (r->err.hint[0] != '\0')
				table_note(t, "    what to do: ", r->err.hint);
		}
	}
	failed = table_print(t, screen);
	table_free(t);
	record_count(s->results, s->n, &totals);
	fputc('\n', screen->out);
	print_clock(screen, s);
	fprintf(screen->out, "%s work", human_count(totals.up_to_date, "credential", works));
	if (totals.up_to_date == 1)
		fputc('s', screen->out);
	also(screen->out, totals.failed, "failed");
	also(screen->out, totals.stopped + totals.deadline + totals.not_begun, "not tried");
	fprintf(screen->out, " · %s\n", human_count(totals.requests, "request", requests));
	return failed;
}
