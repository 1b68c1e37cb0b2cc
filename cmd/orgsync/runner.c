#include "cmd/orgsync/runner.h"

#include <errno.h>
#include <jansson.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "cmd/orgsync/human.h"
#include "cmd/orgsync/progress.h"
#include "cmd/orgsync/signals.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

#define TEST_WAIT_MS 10000             /* for a server that answers nobody */
#define MMAP_BYTES (256 << 10)         /* blocks from this size on go back to the system when they are freed */
#define HEADER_CAP_BYTES (256u << 10)

/* The C library keeps what is freed, and the more the larger the blocks were: then the process's size would say
 * nothing of what it needs, and the configured cap little of its size. */
static void
give_memory_back(void)
{
	mallopt(M_MMAP_THRESHOLD, MMAP_BYTES);
	mallopt(M_TRIM_THRESHOLD, MMAP_BYTES);
}

static uint64_t
random_seed(void)
{
	uint64_t seed;

	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != (ssize_t)sizeof(seed))
		seed = (uint64_t)clock_wall_ms(&clock_system) ^ (uint64_t)getpid() << 40;
	return seed;
}

static void
progress_of(void *ctx, char *out, size_t size)
{
	char ended[HUMAN_LEN], total[HUMAN_LEN], failed[HUMAN_LEN], events[HUMAN_LEN], requests[HUMAN_LEN];
	char elapsed[HUMAN_LEN];
	struct runner *r = ctx;
	struct run_progress p;

	run_progress(r->run, &p);
	snprintf(out, size, "  %s/%s organizations · %s failed · %s events · %s requests · %s",
	         human_number(p.ended, ended), human_number(p.total, total), human_number(p.failed, failed),
	         human_number(p.events_new, events), human_number(p.requests, requests),
	         human_clock(clock_wall_s(&clock_system) - r->started_s, elapsed));
}

static void
stop(void *ctx)
{
	run_stop(ctx);
}

struct watch { const struct session *s; struct runner *r; };

/* One call at a time, says run.h. */
static void
finished(void *ctx, const struct run_result *result)
{
	struct watch *w = ctx;

	for (size_t i = 0; i < w->s->n_orgs; i++)
		if (w->s->orgs[i] == result->org)
			w->r->ended_at_s[i] = clock_wall_s(&clock_system);
}

static int
begin(const struct session *s, const struct cli *cli, struct watch *watch, enum run_task task, int output_dirfd, int tokens_dirfd,
      struct runner *ret)
{
	const struct conf *conf = s->conf;
	struct run_options options = {
		.conf = conf,
		.orgs = s->orgs,
		.n_orgs = s->n_orgs,
		.task = task,
		.output_dirfd = output_dirfd,
		.tokens_dirfd = tokens_dirfd,
		.clock = &clock_system,
		.http = {
			.user_agent = "orgsync/" ORGSYNC_VERSION,
			.ca_file = conf->ca_file,
			.proxy = conf->proxy,
			.connect_timeout_ms = conf->connect_timeout_ms,
			.silence_timeout_ms = conf->silence_timeout_ms,
			.total_timeout_ms = conf->answer_timeout_ms,
			.body_cap_bytes = (size_t)conf->organization_memory_bytes / 4,
			.header_cap_bytes = HEADER_CAP_BYTES,
			.max_connections = conf->in_flight,
		},
		.seed = random_seed(),
		.deadline_ms = conf->deadline_s * 1000,
		.lock_wait_ms = task == RUN_SYNC && cli->lock_wait_s > 0 ? cli->lock_wait_s * 1000 : 0,
		.attempts = conf->retries + 1,
		.backoff_ms = conf->backoff_ms,
		/* Somebody waits for the answer of `test`. */
		.outage_wait_ms = task == RUN_TEST && conf->outage_wait_ms > TEST_WAIT_MS ? TEST_WAIT_MS
		                                                                            : conf->outage_wait_ms,
		.finished = finished,
		.finished_ctx = watch,
	};

	ret->ended_at_s = calloc(s->n_orgs, sizeof(*ret->ended_at_s));
	if (ret->ended_at_s == NULL)
		return err_set_errno(&ret->err, ENOMEM, "cannot begin the run");
	if (http_global_init(&ret->err) != 0)
		return -1;
	json_object_seed(0);
	signals_block();
	ret->run = run_new(&options, &ret->err);
	if (ret->run == NULL)
		return -1;
	ret->results = run_results(ret->run);
	ret->n_results = s->n_orgs;
	return signals_begin(stop, ret->run, &ret->err);
}

void
runner_go(const struct session *s, const struct cli *cli, enum run_task task, int output_dirfd,
          int tokens_dirfd, struct runner *ret)
{
	int64_t started_ms = clock_mono_ms(&clock_system);
	struct watch watch = { s, ret };

	memset(ret, 0, sizeof(*ret));
	err_clear(&ret->err);
	ret->started_s = clock_wall_s(&clock_system);
	give_memory_back();
	if (s->n_orgs > 0 && begin(s, cli, &watch, task, output_dirfd, tokens_dirfd, ret) == 0) {
		if (!cli->quiet)
			progress_begin(progress_of, ret);
		if (run_go(ret->run, &ret->err) != 0 && !err_is(&ret->err))
			err_set(&ret->err, ERR_IO, ERR_SCOPE_RUN, ERR_RETRY_OPERATOR, "the run could not go on");
		progress_end();
	}
	signals_end();
	ret->signal = signals_came();
	ret->ended_s = clock_wall_s(&clock_system);
	ret->elapsed_ms = clock_mono_ms(&clock_system) - started_ms;
}

void
runner_free(struct runner *r)
{
	run_free(r->run);
	free(r->ended_at_s);
	if (r->n_results > 0)
		http_global_free();
	memset(r, 0, sizeof(*r));
}
