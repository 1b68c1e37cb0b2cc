#include "cmd/orgsync/commands.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmd/orgsync/archive.h"
#include "cmd/orgsync/exit_code.h"
#include "cmd/orgsync/human.h"
#include "cmd/orgsync/json.h"
#include "cmd/orgsync/progress.h"
#include "cmd/orgsync/session.h"
#include "cmd/orgsync/text.h"

struct verify {
	const struct session *s;
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

/* What a ledger that cannot be trusted means: damage, as much as a day file that is not what it should be. */
static bool
is_damage(const struct err *e)
{
	return e->code == ERR_LEDGER || e->code == ERR_DAMAGE;
}

static void
add_org_json(struct verify *v, bool empty, size_t days, uint64_t events, const struct err *e)
{
	json_t *o = json_pack("{s:s, s:s, s:b, s:I, s:I, s:O, s:o}", "name", v->org->name, "org_id",
	                      v->org->org_id, "no_archive", (int)empty, "days", (json_int_t)days, "events",
	                      (json_int_t)events, "findings", v->org_findings, "error", json_err(e));

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

/* dirfd -1: no run was made yet. */
static void
verify_org(struct verify *v, const struct conf_org *org, int dirfd)
{
	const struct ledger *l = NULL;
	struct store *store = NULL;
	uint64_t events = 0;
	bool empty;
	struct err e;

	err_clear(&e);
	v->org = org;
	v->org_n = 0;
	if (v->list != NULL)
		v->org_findings = json_array();
	if (dirfd >= 0)
		store = archive_open_org(v->s->conf, org, dirfd, &e);
	if (store != NULL) {
		l = store_ledger(store);
		events = store_events(store);
		if (store_verify(store, found, v, &e) < 0 && !err_is(&e))
			err_set(&e, ERR_IO, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR, "cannot be checked");
	}
	empty = !err_is(&e) && v->org_n == 0 && (l == NULL || (l->n_covered == 0 && l->n_days == 0));
	if (err_is(&e) && is_damage(&e)) {
		v->findings++;
		v->org_n++;
	}
	v->failed += err_is(&e) && !is_damage(&e);
	v->damaged += v->org_n > 0;
	v->empty += empty;
	v->days += l == NULL ? 0 : l->n_days;
	v->events += events;
	if (v->list != NULL)
		add_org_json(v, empty, l == NULL ? 0 : l->n_days, events, &e);
	else if (err_is(&e))
		say_failure(v, &e);
	json_decref(v->org_findings);
	v->org_findings = NULL;
	store_close(store);
	atomic_fetch_add(&v->done, 1);
}

static int
print_summary(const struct verify *v, int code)
{
	char orgs[HUMAN_LEN], days[HUMAN_LEN], events[HUMAN_LEN], number[HUMAN_LEN], damaged[HUMAN_LEN];

	if (v->findings + v->failed > 0)
		putchar('\n');
	printf("%s checked: %s, %s\n", human_count(v->s->n_orgs - v->failed, "organization", orgs),
	       human_count(v->days, "day file", days), human_count(v->events, "event", events));
	if (v->findings > 0)
		printf("%s in %s\n", human_count(v->findings, "finding", number),
		       human_count(v->damaged, "organization", damaged));
	else if (v->failed == 0)
		printf("nothing wrong was found\n");
	if (v->empty > 0)
		printf("%s without an archive so far\n", human_number(v->empty, number));
	if (v->failed > 0)
		printf("%s could not be checked\n", human_number(v->failed, number));
	return results_end(code);
}

static int
print_json(struct verify *v, int code)
{
	json_t *document = NULL;

	if (!v->no_memory)
		document = json_pack("{s:o, s:o, s:O, s:{s:I, s:I, s:I, s:I, s:I, s:I}}", "time",
		                     json_time(v->s->now_s), "directory", json_text(v->s->conf->directory),
		                     "organizations", v->list, "totals", "organizations",
		                     (json_int_t)v->s->n_orgs, "no_archive", (json_int_t)v->empty, "failed",
		                     (json_int_t)v->failed, "findings", (json_int_t)v->findings, "days",
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
	struct verify v = { .s = &s, .screen = screen_of(stdout) };
	struct exit_facts facts = { 0 };
	struct err e;
	int code = session_open(cli, SESSION_OFFLINE, &s), dirfd = -1;

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
	for (size_t i = 0; i < s.n_orgs; i++)
		verify_org(&v, s.orgs[i], dirfd);
	progress_end();
	facts.selected = s.n_orgs;
	facts.failed = v.failed;
	code = v.findings > 0 ? EXIT_DAMAGED : exit_code(&facts);
	code = cli->json ? print_json(&v, code) : print_summary(&v, code);
	json_decref(v.list);
	if (dirfd >= 0)
		close(dirfd);
	session_close(&s);
	return code;
}
