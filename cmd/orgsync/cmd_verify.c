#include "cmd/orgsync/commands.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cmd/orgsync/archive.h"
#include "cmd/orgsync/exit_code.h"
#include "cmd/orgsync/human.h"
#include "cmd/orgsync/json.h"
#include "cmd/orgsync/progress.h"
#include "cmd/orgsync/session.h"
#include "cmd/orgsync/text.h"
#include "lib/base/clock.h"

#define LOCK_POLL_MS 200

/* What store_repair() said of one file. */
struct aside {
	char *path, *moved_to;     /* moved_to NULL: it was missing */
	int64_t from_s, to_s;      /* forgotten; 0 and 0: nothing */
	bool compared;
};

struct verify {
	const struct session *s;
	bool repair;
	struct aside *asides;      /* of the organization at hand */
	size_t n_asides, asides_size;
	size_t set_aside, locked;
	struct screen screen;
	json_t *list;              /* --json */
	const struct conf_org *org;
	json_t *org_findings;      /* --json: of the organization at hand */
	size_t org_n;              /* its findings */
	size_t findings, damaged, failed, empty;
	uint64_t days, events;
	atomic_size_t done;        /* read by the progress thread */
	bool no_memory;
};

/* From store_verify(). */
static void
found(void *ctx, const struct store_finding *finding)
{
	char from[HUMAN_LEN], to[HUMAN_LEN], line[400];
	bool has_range = finding->from_s < finding->to_s; /* a file of another kind belongs to no time */
	struct verify *v = ctx;
	json_t *entry;

	v->findings++;
	v->org_n++;
	if (v->list != NULL) {
		entry = json_pack("{s:o, s:o, s:o, s:o}", "path", json_text(finding->path), "from",
		                  has_range ? json_time(finding->from_s) : json_null(), "to",
		                  has_range ? json_time(finding->to_s) : json_null(), "text",
		                  json_text(finding->text));
		v->no_memory |= json_array_append_new(v->org_findings, entry) != 0;
		return;
	}
	if (v->org_n == 1) {
		text_styled(&v->screen, STYLE_BAD, v->org->name);
		putchar('\n');
	}
	if (finding->path != NULL)
		snprintf(line, sizeof(line), "%s/%s", v->org->name, finding->path);
	else
		snprintf(line, sizeof(line), "%s – %s", human_second(finding->from_s, from),
		         human_second(finding->to_s, to));
	text_wrap(&v->screen, "  ", line);
	text_wrap(&v->screen, "    ", finding->text);
}

/* From store_repair(). */
static void
repaired(void *ctx, const struct store_repaired *r)
{
	struct verify *v = ctx;
	size_t size = v->asides_size == 0 ? 16 : 2 * v->asides_size;
	struct aside *asides, new = { NULL, NULL, r->from_s, r->to_s, r->compared };

	v->set_aside++;
	if (v->n_asides == v->asides_size) {
		asides = realloc(v->asides, size * sizeof(*asides));
		if (asides == NULL) {
			v->no_memory = true;
			return;
		}
		v->asides = asides;
		v->asides_size = size;
	}
	new.path = strdup(r->path);
	new.moved_to = r->moved_to == NULL ? NULL : strdup(r->moved_to);
	if (new.path == NULL || (r->moved_to != NULL && new.moved_to == NULL)) {
		free(new.path);
		free(new.moved_to);
		v->no_memory = true;
		return;
	}
	v->asides[v->n_asides++] = new;
}

static void
free_asides(struct verify *v)
{
	for (size_t i = 0; i < v->n_asides; i++) {
		free(v->asides[i].path);
		free(v->asides[i].moved_to);
	}
	v->n_asides = 0;
}

/* The part of what was forgotten that the next sync reads; false: none. */
static bool
is_read_again(const struct aside *a, const struct archive_state *state, int64_t *ret_from_s, int64_t *ret_to_s)
{
	*ret_from_s = a->from_s > state->wanted_from_s ? a->from_s : state->wanted_from_s;
	*ret_to_s = a->to_s < state->wanted_to_s ? a->to_s : state->wanted_to_s;
	return *ret_from_s < *ret_to_s;
}

static json_t *
range_json(bool is, int64_t from_s, int64_t to_s)
{
	return is ? json_pack("{s:o, s:o}", "from", json_time(from_s), "to", json_time(to_s)) : json_null();
}

static json_t *
asides_json(struct verify *v, const struct archive_state *state)
{
	json_t *list = json_array();
	int64_t from_s, to_s;

	for (size_t i = 0; i < v->n_asides; i++) {
		const struct aside *a = &v->asides[i];
		bool again = is_read_again(a, state, &from_s, &to_s);
		json_t *one = json_pack("{s:o, s:o, s:o, s:o, s:b}", "path", json_text(a->path), "moved_to",
		                        json_text(a->moved_to), "forgotten",
		                        range_json(a->from_s < a->to_s, a->from_s, a->to_s), "read_again",
		                        range_json(again, from_s, to_s), "compared", (int)a->compared);

		v->no_memory |= json_array_append_new(list, one) != 0;
	}
	return list;
}

static void
print_range(const struct verify *v, const char *first, int64_t from_s, int64_t to_s, const char *last)
{
	char from[HUMAN_LEN], to[HUMAN_LEN], line[400];

	snprintf(line, sizeof(line), "%s – %s%s", human_second(from_s, from), human_second(to_s, to), last);
	text_wrap(&v->screen, first, line);
}

static void
print_asides(const struct verify *v, const struct archive_state *state)
{
	char line[1400];
	int64_t from_s, to_s;

	for (size_t i = 0; i < v->n_asides; i++) {
		const struct aside *a = &v->asides[i];
		bool again = is_read_again(a, state, &from_s, &to_s);

		snprintf(line, sizeof(line), "%s/%s", v->org->name, a->path);
		text_wrap(&v->screen, a->moved_to != NULL ? "  set aside: " : "  missing:   ", line);
		if (a->moved_to != NULL) {
			snprintf(line, sizeof(line), "%s/%s", v->org->name, a->moved_to);
			text_wrap(&v->screen, "    to: ", line);
		}
		if (again)
			print_range(v, "    the next sync reads again: ", from_s, to_s, "");
		if (a->from_s < a->to_s && (!again || from_s > a->from_s))
			print_range(v, "    not read again: ", a->from_s, again ? from_s : a->to_s,
			            ", which the configuration does not ask for; an earlier backfill_start_time has it read");
	}
}

/* What a ledger that cannot be trusted means: damage, as much as a day file that is not what it should be. */
static bool
is_damage(const struct err *e)
{
	return e->code == ERR_LEDGER || e->code == ERR_DAMAGE;
}

static void
add_org_json(struct verify *v, bool empty, size_t days, uint64_t events, const struct archive_state *state,
             const struct err *e)
{
	json_t *o = json_pack("{s:s, s:s, s:b, s:I, s:I, s:O, s:o, s:o}", "name", v->org->name, "org_id",
	                      v->org->org_id, "no_archive", (int)empty, "days", (json_int_t)days, "events",
	                      (json_int_t)events, "findings", v->org_findings, "repaired", asides_json(v, state), "error",
	                      json_err(e));

	v->no_memory |= json_array_append_new(v->list, o) != 0;
}

static void
say_failure(struct verify *v, const struct err *e)
{
	text_styled(&v->screen, STYLE_BAD, v->org->name);
	putchar('\n');
	text_wrap(&v->screen, "  ", e->text);
	if (e->hint[0] != '\0')
		text_wrap(&v->screen, "  what to do: ", e->hint);
}

/* dirfd -1: no run was made yet. may_wait: where another run holds it nothing is noted, and false returned. */
static bool
verify_org(struct verify *v, const struct conf_org *org, int dirfd, bool may_wait)
{
	struct archive_state state = { 0 };
	const struct ledger *l = NULL;
	struct store *store = NULL;
	uint64_t events = 0;
	bool empty;
	struct err e;
	int n = 0;

	err_clear(&e);
	if (dirfd >= 0)
		store = v->repair ? archive_open_damaged(v->s->conf, org, dirfd, &e)
		                  : archive_open_org(v->s->conf, org, dirfd, &e);
	if (e.code == ERR_LOCKED && may_wait)
		return false;
	v->org = org;
	v->org_n = 0;
	if (v->list != NULL)
		v->org_findings = json_array();
	if (store != NULL) {
		l = store_ledger(store);
		n = v->repair ? store_repair(store, found, repaired, v, &e) : store_verify(store, found, v, &e);
		if (n < 0 && !err_is(&e))
			err_set(&e, ERR_IO, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR, "cannot be checked");
		events = store_events(store);
		if (v->n_asides > 0 && archive_state(l, org, v->s->now_s, &state) != 0)
			v->no_memory = true;
	}
	empty = !err_is(&e) && v->org_n == 0 && (l == NULL || (l->n_covered == 0 && l->n_days == 0));
	if (err_is(&e) && is_damage(&e)) {
		v->findings++;
		v->org_n++;
	}
	v->locked += e.code == ERR_LOCKED;
	v->failed += err_is(&e) && !is_damage(&e) && e.code != ERR_LOCKED;
	v->damaged += v->org_n > 0;
	v->empty += empty;
	v->days += l == NULL ? 0 : l->n_days;
	v->events += events;
	if (v->list != NULL)
		add_org_json(v, empty, l == NULL ? 0 : l->n_days, events, &state, &e);
	else
		print_asides(v, &state);
	if (v->list == NULL && err_is(&e))
		say_failure(v, &e);
	free_asides(v);
	json_decref(v->org_findings);
	v->org_findings = NULL;
	store_close(store);
	atomic_fetch_add(&v->done, 1);
	return true;
}

/* Those that another run holds come after the others, again and again until the time is over. */
static int
verify_all(struct verify *v, int dirfd, int64_t lock_wait_ms)
{
	const struct conf_org **waiting = calloc(v->s->n_orgs + 1, sizeof(*waiting));
	struct timespec pause = { 0, LOCK_POLL_MS * 1000000L };
	size_t n = 0, left;
	int64_t until_ms;

	if (waiting == NULL)
		return -1;
	for (size_t i = 0; i < v->s->n_orgs; i++)
		if (!verify_org(v, v->s->orgs[i], dirfd, lock_wait_ms > 0))
			waiting[n++] = v->s->orgs[i];
	until_ms = clock_mono_ms(&clock_system) + lock_wait_ms;
	while (n > 0) {
		bool again = clock_mono_ms(&clock_system) < until_ms;

		if (again)
			nanosleep(&pause, NULL);
		left = 0;
		for (size_t i = 0; i < n; i++)
			if (!verify_org(v, waiting[i], dirfd, again))
				waiting[left++] = waiting[i];
		n = left;
	}
	free(waiting);
	return 0;
}

static int
print_summary(const struct verify *v, int code)
{
	char orgs[HUMAN_LEN], days[HUMAN_LEN], events[HUMAN_LEN], number[HUMAN_LEN], damaged[HUMAN_LEN];

	if (v->findings + v->failed + v->locked > 0)
		putchar('\n');
	printf("%s checked: %s, %s\n", human_count(v->s->n_orgs - v->failed - v->locked, "organization", orgs),
	       human_count(v->days, "day file", days), human_count(v->events, "event", events));
	if (v->findings > 0)
		printf("%s in %s\n", human_count(v->findings, "finding", number),
		       human_count(v->damaged, "organization", damaged));
	else if (v->failed + v->locked == 0)
		printf("nothing wrong was found\n");
	if (v->set_aside > 0)
		printf("%s set aside or forgotten: run sync, then verify again\n",
		       human_count(v->set_aside, "file", number));
	if (v->empty > 0)
		printf("%s without an archive so far\n", human_number(v->empty, number));
	if (v->failed > 0)
		printf("%s could not be checked\n", human_number(v->failed, number));
	if (v->locked > 0)
		printf("%s locked, because another run is at work on them\n", human_number(v->locked, number));
	return results_end(code);
}

static int
print_json(struct verify *v, int code)
{
	json_t *document = NULL;

	if (!v->no_memory)
		document = json_pack("{s:o, s:o, s:O, s:{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}}", "time",
		                     json_time(v->s->now_s), "directory", json_text(v->s->conf->directory),
		                     "organizations", v->list, "totals", "organizations",
		                     (json_int_t)v->s->n_orgs, "no_archive", (json_int_t)v->empty, "failed",
		                     (json_int_t)v->failed, "locked", (json_int_t)v->locked, "findings",
		                     (json_int_t)v->findings, "repaired", (json_int_t)v->set_aside, "days",
		                     (json_int_t)v->days, "events", (json_int_t)v->events);
	return json_print(document, code);
}

static void
progress_of(void *ctx, char *out, size_t size)
{
	struct verify *v = ctx;

	snprintf(out, size, "  %zu/%zu organizations checked", atomic_load(&v->done), v->s->n_orgs);
}

int
cmd_verify(const struct cli *cli)
{
	struct session s;
	struct verify v = { .s = &s, .screen = screen_of(stdout), .repair = cli->repair };
	struct exit_facts facts = { 0 };
	struct err e;
	int code, dirfd = -1;

	if (cli->lock_wait_s >= 0 && !cli->repair)
		return usage_error("verify takes --lock-wait only with --repair: without it, it needs no lock");
	code = session_open(cli, SESSION_OFFLINE, &s);
	if (code != 0)
		return code;
	err_clear(&e);
	if (cli->json)
		v.list = json_array();
	if ((cli->json && v.list == NULL) || archive_open(s.conf, &dirfd, &e) < 0) {
		if (!err_is(&e))
			err_set(&e, ERR_NOMEM, ERR_SCOPE_RUN, ERR_RETRY_OPERATOR, "no memory");
		say_err(&e);
		json_decref(v.list);
		session_close(&s);
		return EXIT_CANNOT_GO_ON;
	}
	/* Findings go to stdout as they come: on a terminal they and the progress line would mix. */
	if (!cli->quiet && (cli->json || !isatty(STDOUT_FILENO)))
		progress_begin(progress_of, &v);
	facts.cannot_go_on = verify_all(&v, dirfd, cli->lock_wait_s > 0 ? cli->lock_wait_s * 1000 : 0) != 0;
	progress_end();
	facts.selected = s.n_orgs;
	facts.failed = v.failed;
	facts.locked = v.locked;
	code = v.findings > 0 ? EXIT_DAMAGED : exit_code(&facts);
	code = cli->json ? print_json(&v, code) : print_summary(&v, code);
	json_decref(v.list);
	free(v.asides);
	if (dirfd >= 0)
		close(dirfd);
	session_close(&s);
	return code;
}
