#include "workers/tenant.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/isotime.h"
#include "lib/base/log.h"
#include "lib/store/store.h"
#include "lib/sync/sync.h"

#define PAGE_TRIES 3             /* of an answer to RUN_TEST that cannot be used */
#define REFUSALS_MAX 20          /* 429 answers in a row before the organization is given up */
#define BACKOFF_MAX_MS 60000
#define MIXED_FACTOR 4           /* so many times the tries where the failures differ: see no_good_answer() */
#define PAUSE_MAX_MS 3600000     /* a longer pause that the server asks for is left to the next run */
#define ATTEMPTS 6
#define BACKOFF_MS 1000
#define ANSWER_GROWTH 4          /* from one cap of an answer to the next */
#define SMALL_ANSWERS 8          /* in a row, before large ones are no more expected */
#define EVENTS_CAPACITY 500      /* documented; learned from there on: see bucket.h */
#define EVENTS_REFILL 250
#define TOKENS_PER_MINUTE 10
#define LOCK_PAUSE_MS 50         /* before a held archive is tried again; doubles, to LOCK_PAUSE_MAX_MS */
#define LOCK_PAUSE_MAX_MS 2000

enum state {
	STATE_OPEN,      /* the archive has to be opened */
	STATE_WORK,
	STATE_PREPARE,   /* the next request needs a secret that a command gives: not on a worker's thread */
	STATE_CLOSE,     /* all is said; the archive has to be closed */
	STATE_ENDED
};

struct tenant {
	const struct run_options *options;
	const struct conf_org *org;
	struct run_result *result;
	enum state state;
	struct http_session *session;
	struct atlas_client *client;
	struct store *store;
	struct sync *sync;
	struct bucket atlas, own, token;
	struct rng rng;
	size_t commit_bytes, pending_bytes, answer_first, answer_most;
	size_t answer_cap;       /* of the next answer: from answer_first to answer_most */
	bool flushed;            /* since the last answer */
	unsigned small_answers;  /* in a row, that answer_first had been enough for */
	bool asked;              /* the client has a question that is not answered yet */
	bool commit_first;       /* what was read is committed before the question goes */
	bool prepared;           /* request holds what to send next */
	bool may_block;          /* inside tenant_disk() */
	bool needs_command;      /* the secret was wanted outside of it */
	struct http_request request;
	bool token_request, forget;
	bool token_next;         /* a guess: the next request is one for a token */
	unsigned failures, refusals, bad_pages, bad_pages_seen;
	unsigned alike;          /* the last so many of the failures were of one kind: */
	enum err_code kind;
	int kind_status;
	unsigned outages;        /* of the server, when a failure was counted last */
	struct err trouble;      /* why the last answer was none */
	int64_t wait_until_ms;   /* backoff */
	int64_t lock_until_ms;   /* another run holds the archive, and is waited for until then; 0: not yet */
	int64_t lock_pause_ms;
	int64_t lock_try_ms;     /* when it is tried again; 0: it is not waited for */
	int64_t asked_wall_s, first_sent_ms;
	bool stopped, deadline, tested;
};

static int64_t
now_ms(const struct tenant *t)
{
	return clock_mono_ms(t->options->clock);
}

static int
read_secret(void *ctx, struct buf *b, struct err *e)
{
	struct tenant *t = ctx;
	const struct conf_secret *secret = t->org->client_id != NULL ? &t->org->client_secret
	                                                              : &t->org->private_key;

	if (secret->kind == CONF_SECRET_COMMAND && !t->may_block) {
		t->needs_command = true;
		return err_set(e, ERR_SECRET, ERR_SCOPE_ORGANIZATION, ERR_RETRY_NOW, "not here");
	}
	return conf_secret_read(secret, b, e);
}

static enum atlas_api
api_of(enum conf_api api)
{
	switch (api) {
	case CONF_API_V1_0:
		return ATLAS_API_V1_0;
	case CONF_API_PUBLIC_V1_0:
		return ATLAS_API_PUBLIC_V1_0;
	case CONF_API_V2:
		break;
	}
	return ATLAS_API_V2;
}

struct tenant *
tenant_new(const struct run_options *options, const struct conf_org *org, uint64_t seed,
           const struct memory *memory, struct run_result *result)
{
	struct tenant *t = calloc(1, sizeof(*t));
	struct atlas_options client;

	if (t == NULL)
		return NULL;
	t->options = options;
	t->org = org;
	t->result = result;
	t->commit_bytes = memory->commit;
	t->pending_bytes = memory->pending;
	t->answer_cap = t->answer_first = memory->answer_first;
	t->answer_most = memory->answer_most;
	t->first_sent_ms = -1;
	t->state = options->task == RUN_SYNC ? STATE_OPEN : STATE_WORK;
	rng_seed(&t->rng, seed);
	client = (struct atlas_options){
		.name = org->name, .org_id = org->org_id, .base_url = options->conf->base_url,
		.api = api_of(options->conf->api), .service_account = org->client_id != NULL,
		.user = org->client_id != NULL ? org->client_id : org->public_key,
		.event_types = (const char *const *)org->event_types, .n_event_types = org->n_event_types,
		.include_raw = org->include_raw, .tokens_dirfd = options->tokens_dirfd,
		.clock = options->clock, .read_secret = read_secret, .read_secret_ctx = t,
	};
	t->client = atlas_client_new(&client);
	t->session = http_session_new();
	if (t->client == NULL || t->session == NULL) {
		tenant_free(t);
		return NULL;
	}
	bucket_init(&t->atlas, EVENTS_CAPACITY, EVENTS_REFILL, 60000, now_ms(t));
	bucket_init_per_minute(&t->own, org->requests_per_minute, now_ms(t));
	bucket_init(&t->token, TOKENS_PER_MINUTE, TOKENS_PER_MINUTE, 60000, now_ms(t));
	return t;
}

void
tenant_free(struct tenant *t)
{
	if (t == NULL)
		return;
	sync_free(t->sync);
	store_close(t->store);
	atlas_client_free(t->client);
	http_session_free(t->session);
	free(t);
}

/* The organization has failed before, or apart from, its reading. */
static void
end_with(struct tenant *t, const struct err *why)
{
	if (!err_is(&t->result->err))
		t->result->err = *why;
	t->state = STATE_CLOSE;
}

/* Something ended the reading; what was read is still committed. */
static void
stop_reading(struct tenant *t, const struct err *why)
{
	t->asked = t->prepared = false;
	if (t->sync != NULL)
		sync_stop(t->sync, why);
	else if (why != NULL)
		end_with(t, why);
	else
		t->state = STATE_CLOSE;
}

void
tenant_stop(struct tenant *t, bool deadline, const struct err *why)
{
	if (t->stopped || t->state == STATE_CLOSE || t->state == STATE_ENDED)
		return;
	t->stopped = true;
	t->deadline = deadline;
	if (t->state == STATE_PREPARE)
		t->state = STATE_WORK;
	if (t->state == STATE_OPEN && why != NULL)
		end_with(t, why);
	else if (t->state == STATE_OPEN)
		t->state = STATE_CLOSE;
	else
		stop_reading(t, why);
}

/* ---- memory ---- */

size_t
tenant_kept_bytes(const struct tenant *t)
{
	return t->store == NULL ? 0 : store_kept_bytes(t->store);
}

size_t
tenant_answer_cap(const struct tenant *t)
{
	return t->answer_cap;
}

void
tenant_flush(struct tenant *t)
{
	if (t->state != STATE_WORK || t->sync == NULL || t->asked || t->flushed || tenant_kept_bytes(t) == 0)
		return;
	t->flushed = true; /* once an answer: a store that keeps something all the same must not be asked for ever */
	sync_flush(t->sync);
}

/* An answer was larger than it might be. True where it may be larger: the same is asked again. */
static bool
allow_larger(struct tenant *t)
{
	t->small_answers = 0;
	if (t->answer_cap >= t->answer_most)
		return false;
	t->answer_cap = t->answer_cap > t->answer_most / ANSWER_GROWTH ? t->answer_most
	                                                                : t->answer_cap * ANSWER_GROWTH;
	log_debug(t->org->name, "msg=\"a large answer; asking again with room for it\" bytes=%zu", t->answer_cap);
	return true;
}

static void
note_answer_size(struct tenant *t, size_t bytes)
{
	t->small_answers = bytes > t->answer_first ? 0 : t->small_answers + 1;
	if (t->small_answers >= SMALL_ANSWERS)
		t->answer_cap = t->answer_first;
}

/* ---- what comes next ---- */

/* Decides, while nothing is asked, whether the disk or a question is next. */
static enum tenant_want
next_step(struct tenant *t)
{
	struct atlas_question question;

	if (t->options->task == RUN_TEST) {
		if (t->tested) {
			t->state = STATE_CLOSE;
			return TENANT_DISK;
		}
		atlas_ask_org(t->client);
		t->asked = true;
		return TENANT_SEND;
	}
	switch (sync_next(t->sync, clock_wall_s(t->options->clock), now_ms(t), &question)) {
	case SYNC_ASK:
		atlas_ask_events(t->client, &question);
		t->asked = true;
		return TENANT_SEND;
	case SYNC_STORE:
		return TENANT_DISK;
	case SYNC_DONE:
		break;
	}
	t->state = STATE_CLOSE;
	return TENANT_DISK;
}

/* When the limits and the backoff let the next request go. */
static int64_t
ready_ms(struct tenant *t)
{
	int64_t now = now_ms(t), ready = t->wait_until_ms, other;

	if (t->token_next)
		other = bucket_ready_ms(&t->token, now);
	else
		other = bucket_ready_ms(&t->atlas, now);
	if (other > ready)
		ready = other;
	other = bucket_ready_ms(&t->own, now);
	return other > ready ? other : ready;
}

enum tenant_want
tenant_next(struct tenant *t, bool no_server, int64_t *ret_ready_ms, enum lane *ret_lane)
{
	if (t->state == STATE_ENDED)
		return TENANT_ENDED;
	if (t->state == STATE_OPEN && t->lock_try_ms > 0) {
		*ret_ready_ms = t->lock_try_ms;
		return TENANT_LOCKED;
	}
	if (t->state != STATE_WORK || (!t->asked && next_step(t) == TENANT_DISK))
		return TENANT_DISK;
	*ret_ready_ms = ready_ms(t);
	t->commit_first = t->sync != NULL && sync_commit_before(t->sync, no_server ? INT64_MAX : *ret_ready_ms);
	if (t->commit_first)
		return TENANT_DISK;
	*ret_lane = t->sync != NULL && sync_is_backfill(t->sync) ? LANE_BACKFILL : LANE_FRESH;
	return TENANT_SEND;
}

/* ---- disk ---- */

static struct sync_options
sync_options_of(const struct tenant *t)
{
	const struct conf_org *org = t->org;
	enum sync_start start = org->start == CONF_START_ALL ? SYNC_START_ALL
	                      : org->start == CONF_START_AT ? SYNC_START_AT : SYNC_START_SINCE;

	return (struct sync_options){
		.name = org->name, .start = start, .start_s = org->start_s, .settle_s = org->settle_s,
		.overlap_s = org->overlap_s,
		.asked = { org->event_types, org->n_event_types, org->include_raw },
		.commit_bytes = t->commit_bytes,
	};
}

/* Another run holds the archive. True where it is tried again: its lock goes with its process. */
static bool
wait_for_lock(struct tenant *t)
{
	int64_t now = now_ms(t);

	if (t->options->lock_wait_ms <= 0 || t->stopped)
		return false;
	if (t->lock_until_ms == 0) {
		t->lock_until_ms = now + t->options->lock_wait_ms;
		t->lock_pause_ms = LOCK_PAUSE_MS;
		log_info(t->org->name, "msg=\"another run is at work on it; waiting\" at_most_ms=%lld",
		         (long long)t->options->lock_wait_ms);
	}
	if (now >= t->lock_until_ms)
		return false;
	t->lock_try_ms = now + t->lock_pause_ms < t->lock_until_ms ? now + t->lock_pause_ms : t->lock_until_ms;
	t->lock_pause_ms = t->lock_pause_ms * 2 < LOCK_PAUSE_MAX_MS ? t->lock_pause_ms * 2 : LOCK_PAUSE_MAX_MS;
	return true;
}

static void
open_archive(struct tenant *t)
{
	static const enum ledger_suffix suffixes[] = {
		[CONF_COMPRESSION_NONE] = LEDGER_PLAIN, [CONF_COMPRESSION_GZIP] = LEDGER_GZIP,
		[CONF_COMPRESSION_ZSTD] = LEDGER_ZSTD,
	};
	struct store_options options = {
		.dirfd = t->options->output_dirfd, .name = t->org->name, .org_id = t->org->org_id,
		.suffix = suffixes[t->options->conf->compression], .overlap_s = t->org->overlap_s,
		.pending_cap_bytes = t->pending_bytes,
		/* Beside an answer's copies there may be all that did not have to be written yet. */
		.memory_cap_bytes = 2 * (t->pending_bytes + t->commit_bytes + t->answer_most),
	};
	struct sync_options reading = sync_options_of(t);
	struct sync_store store;
	struct err e;

	err_clear(&e);
	t->lock_try_ms = 0;
	t->store = store_open(&options, &e);
	if (t->store == NULL) {
		if (e.code != ERR_LOCKED || !wait_for_lock(t))
			end_with(t, &e);
		return;
	}
	store = sync_store_of(t->store);
	t->sync = sync_new(&reading, &store);
	if (t->sync == NULL) {
		err_set(&e, ERR_NOMEM, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR, "out of memory");
		end_with(t, &e);
		return;
	}
	t->state = STATE_WORK;
}

static enum run_outcome
outcome_of(const struct tenant *t)
{
	const struct run_result *r = t->result;

	if (err_is(&r->err))
		return r->err.code == ERR_LOCKED ? RUN_LOCKED : RUN_FAILED;
	if (t->sync != NULL ? sync_result(t->sync)->stopped : t->stopped && !t->tested)
		return t->deadline ? RUN_DEADLINE : RUN_STOPPED;
	return RUN_DONE;
}

/* From store_compare(). */
static void
compared(void *ctx, const struct store_compared *c)
{
	struct tenant *t = ctx;

	t->result->events_gone += c->gone;
	t->result->events_altered += c->altered;
	log_line(c->gone > 0 || c->altered > 0 ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, t->org->name,
	         "msg=\"a damaged file was compared with what the server gave anew\" not_given=%llu altered=%llu "
	         "kept_in=\"%s/%s\"", (unsigned long long)c->gone, (unsigned long long)c->altered, t->org->name, c->path);
}

/* What was damaged is compared once it has been read again. */
static void
compare_repaired(struct tenant *t)
{
	struct err e;

	err_clear(&e);
	if (t->store != NULL && !err_is(&t->result->err) && store_compare(t->store, compared, t, &e) != 0)
		t->result->err = e;
}

static void
close_archive(struct tenant *t)
{
	struct run_result *r = t->result;

	if (t->sync != NULL) {
		const struct sync_result *s = sync_result(t->sync);

		if (!err_is(&r->err))
			r->err = s->err;
		r->pages = s->pages;
		r->lost_seconds = s->lost_seconds;
		r->lost_first_s = s->lost_first_s;
		r->lost_why = s->lost_why;
		r->faults = s->faults;
		r->wanted_to_s = s->wanted_to_s;
		r->clock_difference_s = s->clock_difference_s;
	}
	compare_repaired(t);
	if (t->store != NULL) {
		const struct store_counts *c = store_counts(t->store);

		r->events_new = c->events_new;
		r->events_changed = c->events_changed;
		r->quarantined = c->quarantined;
	}
	r->tokens_minted = atlas_client_counts(t->client)->tokens_minted;
	if (t->first_sent_ms >= 0)
		r->elapsed_ms = now_ms(t) - t->first_sent_ms;
	if (r->err.code == ERR_IO)
		err_hint(&r->err, "check the output directory: whose it is, what it may be written by, and the disk "
		                  "itself; the next run goes on from what is kept");
	r->outcome = outcome_of(t);
	sync_free(t->sync);
	t->sync = NULL;
	store_close(t->store);
	t->store = NULL;
	t->state = STATE_ENDED;
}

/* Asks the client what to send. 0: request is ready. */
static int
prepare(struct tenant *t)
{
	bool forget;
	struct err e;

	err_clear(&e);
	t->needs_command = false;
	if (atlas_next(t->client, &t->request, &t->token_request, &forget, &e) == 0) {
		t->forget |= forget;
		t->prepared = true;
		return 0;
	}
	if (t->needs_command && !t->may_block)
		t->state = STATE_PREPARE;
	else
		stop_reading(t, &e);
	return -1;
}

void
tenant_disk(struct tenant *t)
{
	t->may_block = true;
	switch (t->state) {
	case STATE_OPEN:
		open_archive(t);
		break;
	case STATE_WORK:
		if (t->sync != NULL && (!t->asked || t->commit_first))
			sync_store_step(t->sync);
		if (t->commit_first && err_is(&sync_result(t->sync)->err))
			t->asked = false; /* the archive failed: what was to be asked is not */
		t->commit_first = false;
		break;
	case STATE_PREPARE:
		t->state = STATE_WORK;
		prepare(t);
		break;
	case STATE_CLOSE:
		close_archive(t);
		break;
	case STATE_ENDED:
		break;
	}
	t->may_block = false;
}

/* ---- wire ---- */

struct http_session *
tenant_session(const struct tenant *t)
{
	return t->session;
}

int
tenant_request(struct tenant *t, struct http_request *ret_request, struct http_session **ret_session)
{
	if (!t->prepared && prepare(t) != 0)
		return -1;
	/* The limits were those of the request that was expected; a token's is its own. */
	if (t->token_request && !t->token_next && bucket_ready_ms(&t->token, now_ms(t)) > now_ms(t)) {
		t->token_next = true;
		return -1;
	}
	if (t->forget)
		http_session_forget(t->session);
	t->forget = false;
	t->asked_wall_s = clock_wall_s(t->options->clock);
	if (t->first_sent_ms < 0)
		t->first_sent_ms = now_ms(t);
	if (t->token_request)
		bucket_charge(&t->token, 1, now_ms(t));
	else
		bucket_charge(&t->atlas, 1, now_ms(t));
	bucket_charge(&t->own, 1, now_ms(t));
	/* A server that breaks connections is not to be asked over every one that is kept. */
	t->request.fresh = t->failures > 0;
	t->request.body_cap_bytes = t->answer_cap;
	*ret_request = t->request;
	*ret_session = t->session;
	return 0;
}

/* Exponential, capped, half of it jitter. */
static int64_t
backoff_ms(struct tenant *t, unsigned failures)
{
	int64_t base_ms = t->options->backoff_ms > 0 ? t->options->backoff_ms : BACKOFF_MS;
	int64_t ms = failures > 16 ? BACKOFF_MAX_MS : base_ms << (failures - 1);

	if (ms > BACKOFF_MAX_MS)
		ms = BACKOFF_MAX_MS;
	return ms / 2 + (int64_t)rng_below(&t->rng, (uint64_t)ms / 2 + 1);
}

/* At least what the server asked for, then clearly longer each time, with jitter. */
static void
take_refusal(struct tenant *t, const struct err *e)
{
	const struct atlas_limits *said = atlas_client_limits(t->client);
	struct bucket *bucket = t->token_request ? &t->token : &t->atlas;
	int64_t asked_ms = e->retry_after_ms > 0 ? e->retry_after_ms : 0, wait_ms;

	t->refusals++;
	t->token_next = t->token_request;
	wait_ms = asked_ms > 0 ? asked_ms + asked_ms * (t->refusals - 1) / 2 : 0;
	wait_ms += backoff_ms(t, t->refusals);
	bucket_learn_refusal(bucket, said->capacity, said->refill, said->refill_period_s, wait_ms, now_ms(t));
	log_warn(t->org->name, "msg=\"rate limited; waiting\" wait_ms=%lld in_a_row=%u", (long long)wait_ms,
	         t->refusals);
	if (t->refusals > REFUSALS_MAX)
		stop_reading(t, e);
}

/* While the server answers nobody the run decides who asks when, and when to give up. */
static bool
is_of_the_server(struct tenant *t, const struct tenant_server *server, enum outage_sign sign)
{
	if (server->outages != t->outages)
		t->failures = t->alike = 0;
	t->outages = server->outages;
	return server->silent && (sign == OUTAGE_SILENT || sign == OUTAGE_WRONG);
}

/* The organization is left when its failures are all of one kind: then it is the organization, or what stands
 * before it, and more of the same shows nothing. Failures that differ from one to the next are a bad wire, where
 * the next try is worth as much as the first; they are given more of them, not any number, and pauses that stop
 * growing where the others' end. */
static void
no_good_answer(struct tenant *t, const struct err *e)
{
	unsigned attempts = t->options->attempts > 0 ? (unsigned)t->options->attempts : ATTEMPTS;
	int64_t wait_ms;

	t->alike = e->code == t->kind && e->http_status == t->kind_status ? t->alike + 1 : 1;
	t->kind = e->code;
	t->kind_status = e->http_status;
	t->failures++;
	if (t->alike >= attempts || t->failures / MIXED_FACTOR >= attempts) {
		struct err last = *e;

		err_hint(&last, t->options->task == RUN_TEST
		         ? "this says nothing of the credential: check base_url and the network, and test again"
		         : "the next sync goes on from here; if it stays so, check base_url and the network");
		stop_reading(t, &last);
		return;
	}
	wait_ms = backoff_ms(t, t->failures < attempts ? t->failures : attempts);
	if (e->retry_after_ms > wait_ms)
		wait_ms = e->retry_after_ms;
	t->wait_until_ms = now_ms(t) + wait_ms;
	log_warn(t->org->name, "msg=\"no good answer; trying again\" try=%u of=%u wait_ms=%lld why=\"%s\"",
	         t->failures, t->failures == t->alike ? attempts : attempts * MIXED_FACTOR, (long long)wait_ms, e->text);
}

static void
take_failure(struct tenant *t, const struct err *e)
{
	unsigned tries;

	t->prepared = false;
	if (e->retry != ERR_RETRY_NOW && e->retry != ERR_RETRY_LATER) {
		stop_reading(t, e);
		return;
	}
	if (e->retry_after_ms > PAUSE_MAX_MS) {
		struct err last = *e;

		last.hint[0] = '\0';
		err_hint(&last, "a sync does not wait for longer than an hour; run it again after the pause");
		stop_reading(t, &last);
		return;
	}
	t->result->retries++;
	if (e->code == ERR_RATE_LIMITED) {
		take_refusal(t, e);
		return;
	}
	if (e->code == ERR_TOO_BIG && e->scope == ERR_SCOPE_PAGE && allow_larger(t))
		return;
	if (e->scope == ERR_SCOPE_PAGE) {
		tries = t->sync != NULL ? sync_page_tries(t->sync) : PAGE_TRIES;
		if (e->code == ERR_TOO_BIG && tries > PAGE_TRIES)
			tries = PAGE_TRIES; /* chance has less to do with that, and each try is as large */
		/* Narrowing down is one piece of news, however many questions it takes. */
		log_line(t->bad_pages_seen++ == 0 ? LOG_LEVEL_WARN : LOG_LEVEL_DEBUG, t->org->name,
		         "msg=\"unusable page; asking again, then for less at once\" why=\"%s\"", e->text);
		if (++t->bad_pages < tries)
			return;
		t->bad_pages = 0;
		t->asked = false;
		if (t->sync != NULL)
			sync_take_bad_page(t->sync, e);
		else
			stop_reading(t, e);
		return;
	}
	no_good_answer(t, e);
}

static void
take_answer(struct tenant *t, struct http_answer *answer, struct page *page)
{
	t->failures = t->alike = t->refusals = t->bad_pages = 0;
	t->asked = t->flushed = false;
	log_debug(t->org->name, "msg=\"page\" rows=%zu total=%lld next=%d ms=%lld",
	          t->sync != NULL ? page->rows : 0, t->sync != NULL ? (long long)page->total_count : 0,
	          t->sync != NULL && page->has_next, (long long)answer->elapsed_ms);
	if (t->sync != NULL)
		sync_take_page(t->sync, page, answer->date_s, t->asked_wall_s, now_ms(t));
	else
		t->tested = true;
}

static enum outage_sign
sign_of(enum atlas_outcome outcome, const struct err *e)
{
	if (outcome != ATLAS_FAILED)
		return OUTAGE_ANSWERED;
	switch (e->code) {
	case ERR_NETWORK:
	case ERR_TIMEOUT:
	case ERR_SERVER:
	case ERR_TLS:
	case ERR_REDIRECT:
		return e->retry == ERR_RETRY_OPERATOR ? OUTAGE_WRONG : OUTAGE_SILENT;
	case ERR_NOMEM:
		return OUTAGE_NOTHING;
	default:
		return OUTAGE_ANSWERED;
	}
}

unsigned
tenant_take(struct tenant *t, struct http_answer *answer, struct page *page, const struct tenant_server *server,
            enum outage_sign *ret_sign)
{
	unsigned exchanges = answer->exchanges > 0 ? answer->exchanges : 1;
	size_t bytes = answer->body->len;
	struct err *e = &t->trouble;
	enum atlas_outcome outcome;

	t->prepared = false;
	t->token_next = false;
	t->result->requests += exchanges;
	bucket_charge(&t->own, exchanges - 1, now_ms(t));
	if (t->token_request)
		bucket_charge(&t->token, exchanges - 1, now_ms(t));
	if (!t->token_request && answer->status != 200)
		bucket_lost(&t->atlas);
	else if (!t->token_request)
		bucket_learn_headers(&t->atlas, answer->ratelimit_limit, answer->ratelimit_remaining, now_ms(t));
	err_clear(e);
	outcome = atlas_take(t->client, answer, page, e);
	*ret_sign = sign_of(outcome, e);
	if (outcome == ATLAS_ANSWERED) {
		note_answer_size(t, bytes);
		take_answer(t, answer, page);
	}
	if (outcome == ATLAS_FAILED && !is_of_the_server(t, server, *ret_sign))
		take_failure(t, e);
	return exchanges;
}

const struct err *
tenant_trouble(const struct tenant *t)
{
	return &t->trouble;
}

void
tenant_lost(struct tenant *t, const struct err *why)
{
	take_failure(t, why);
}
