/* wire.c: a worker: it has questions sent, takes the answers, and looks at the clock. */
#include <string.h>

#include "lib/base/log.h"
#include "workers/private.h"

#define DRAIN_MS 5000              /* for answers on the way after run_stop() */
#define IDLE_MS 60000
#define ASK_AT_ONCE 8

static void
wire_add(struct worker *w, struct slot *slot)
{
	slot->wire_before = NULL;
	slot->wire_next = w->wire;
	if (w->wire != NULL)
		w->wire->wire_before = slot;
	w->wire = slot;
}

static void
wire_remove(struct worker *w, struct slot *slot)
{
	if (slot->wire_before != NULL)
		slot->wire_before->wire_next = slot->wire_next;
	else
		w->wire = slot->wire_next;
	if (slot->wire_next != NULL)
		slot->wire_next->wire_before = slot->wire_before;
}

static void
landed_locked(struct worker *w, struct slot *slot)
{
	struct run *r = w->run;

	lock_assert_held(&r->lock);
	memory_landed(&r->memory, &slot->share, tenant_kept_bytes(slot->tenant));
	w->in_flight--;
	r->in_flight--;
	r->in_flight_backfill -= slot->lane == LANE_BACKFILL;
	outage_dropped(&r->outage, slot->index);
}

/* The next organization whose turn it is and for whose answer there is memory. One that needs more of it than
 * there is now waits in a list of its own. */
static struct slot *
pick_locked(struct worker *w, int64_t now, bool backfill_may)
{
	struct run *r = w->run;
	struct slot *slot;

	lock_assert_held(&r->lock);
	while (memory_has_room(&r->memory) &&
	       (slot = queue_pick(&r->queue, now, backfill_may, &w->lane)) != NULL) {
		if ((r->large_first == NULL || slot->share.large > 0 ||
		     slot->answer_cap <= r->memory.answer_first) &&
		    memory_take(&r->memory, &slot->share, slot->answer_cap))
			return slot;
		slot->next = NULL;
		*r->large_last = slot;
		r->large_last = &slot->next;
	}
	return NULL;
}

/* Any organization that waits for anything: the run stops. */
static struct slot *
pick_any_locked(struct run *r)
{
	struct slot *slot = queue_pick_any(&r->queue);

	lock_assert_held(&r->lock);
	if (slot != NULL || r->large_first == NULL)
		return slot;
	slot = r->large_first;
	r->large_first = slot->next;
	if (r->large_first == NULL)
		r->large_last = &r->large_first;
	return slot;
}

/* The next organization whose turn it is, counted as in flight; NULL with *ret_wake_ms where none is. */
static struct slot *
take_ready(struct worker *w, int64_t *ret_wake_ms)
{
	struct run *r = w->run;
	int64_t now = run_now_ms(r), open_ms, held_ms, retry_ms;
	struct slot *slot = NULL;
	bool backfill_may;

	lock_take(&r->lock);
	w->asleep = false;
	retry_ms = places_retry_held_locked(r, now);
	open_ms = bucket_ready_ms(&r->all, now);
	held_ms = outage_next_ms(&r->outage);
	if (open_ms < held_ms)
		open_ms = held_ms;
	*ret_wake_ms = now + IDLE_MS;
	if (atomic_load(&r->stopping) != 0) {
		slot = pick_any_locked(r);
	} else if (w->in_flight < r->per_worker_max && r->in_flight < r->in_flight_max) {
		/* With this one too it must not be more than its share of what is in flight. */
		backfill_may = (r->in_flight_backfill + 1) * 100 <=
		               (size_t)r->options.conf->backfill_share * (r->in_flight + 1);
		if (open_ms <= now)
			slot = pick_locked(w, now, backfill_may);
		/* Without room in memory a worker is woken when there is some. */
		if (slot == NULL && memory_has_room(&r->memory)) {
			*ret_wake_ms = queue_next_ms(&r->queue, now);
			if (*ret_wake_ms < open_ms)
				*ret_wake_ms = open_ms;
		}
	}
	if (*ret_wake_ms > retry_ms)
		*ret_wake_ms = retry_ms;
	if (slot != NULL) {
		slot->lane = w->lane;
		w->in_flight++;
		r->in_flight++;
		r->in_flight_backfill += slot->lane == LANE_BACKFILL;
		bucket_charge(&r->all, 1, now);
		outage_asked(&r->outage, slot->index);
		/* What is left is another worker's from here on: what became possible at once, by memory or an outage's
		 * end, and what will be later, for which this one was to wake up. */
		if (w->in_flight == r->per_worker_max && queue_next_ms(&r->queue, now) != INT64_MAX)
			places_wake_one_locked(r);
	} else
		w->asleep = true;
	lock_give(&r->lock);
	return slot;
}

static void
send_request(struct worker *w, struct slot *slot)
{
	struct run *r = w->run;
	struct http_session *session;
	struct http_request request;
	struct err e;

	err_clear(&e);
	if (atomic_load(&r->stopping) == 0 && tenant_request(slot->tenant, &request, &session) == 0) {
		http_session_set_user(session, slot);
		if (http_start(w->engine, session, &request, &e) == 0) {
			wire_add(w, slot);
			return;
		}
		tenant_lost(slot->tenant, &e);
	}
	lock_take(&r->lock);
	landed_locked(w, slot);
	lock_give(&r->lock);
	places_move_on(r, slot);
}

/* Where the API is, without the scheme. */
static const char *
host_of(const struct run *r)
{
	const char *rest = strstr(r->options.conf->base_url, "://");

	return rest == NULL ? r->options.conf->base_url : rest + 3;
}

/* The server answers nobody, and nothing is to be hoped for: the run ends. why: NULL where nobody was left to
 * ask. */
static void
give_up_locked(struct run *r, const struct err *why)
{
	enum err_code code = why != NULL ? why->code : ERR_NETWORK;
	int none = 0;

	lock_assert_held(&r->lock);
	if (atomic_load(&r->stopping) != 0)
		return;
	err_clear(&r->outage_why);
	err_set(&r->outage_why, code, ERR_SCOPE_RUN, ERR_RETRY_OPERATOR,
	        "not tried, or no longer: %s answers none of the organizations that are left%s%s", host_of(r),
	        why != NULL ? ": " : "", why != NULL ? why->text : "");
	err_hint(&r->outage_why, "%s", why != NULL && why->hint[0] != '\0' ? why->hint :
	         "check base_url and the network; the next sync goes on from here");
	log_error(NULL, "msg=\"the server answers nobody; the run ends\" server=%s organizations_waiting=%zu "
	          "why=\"%s\"", host_of(r), r->options.n_orgs - r->ended, why != NULL ? why->text : "");
	atomic_compare_exchange_strong(&r->stopping, &none, STOP_OUTAGE);
}

static void
note_outcome_locked(struct run *r, const struct slot *slot, enum outage_sign sign, const struct err *why)
{
	bool probe = r->outage.state == OUTAGE_ON && r->outage.probing && r->outage.prober == slot->index;

	lock_assert_held(&r->lock);
	switch (outage_note(&r->outage, slot->index, sign, run_now_ms(r))) {
	case OUTAGE_SAME:
		if (!probe)
			return;
		break;
	case OUTAGE_BEGINS:
		log_warn(NULL, "msg=\"the server answers nobody; waiting for it\" server=%s "
		         "organizations_waiting=%zu at_most_ms=%lld why=\"%s\"", host_of(r),
		         r->options.n_orgs - r->ended, (long long)r->options.outage_wait_ms, why->text);
		places_look_again_locked(r);
		break;
	case OUTAGE_ENDS:
		log_warn(NULL, "msg=\"the server answers again\" server=%s", host_of(r));
		break;
	case OUTAGE_GIVEN_UP:
		give_up_locked(r, why);
		break;
	}
	/* When the next question may go has changed: every worker looks at it again. */
	places_wake_all_locked(r);
}

/* Begins with some of the questions whose turn it is: with all, those begun first would wait for the last. Returns when
 * to look again. */
static int64_t
ask(struct worker *w)
{
	struct slot *slot;
	int64_t wake_ms;

	for (int i = 0; i < ASK_AT_ONCE; i++) {
		slot = take_ready(w, &wake_ms);
		if (slot == NULL)
			return wake_ms;
		send_request(w, slot);
	}
	return run_now_ms(w->run);
}

/* One at a time: a place on the wire that an answer has freed is not to wait for the answers of the others, and neither
 * is the clock. */
static void
take_answer(struct worker *w)
{
	struct run *r = w->run;
	struct http_session *session;
	struct tenant_server server;
	enum outage_sign sign;
	struct http_answer *answer;
	struct slot *slot;
	unsigned exchanges;

	session = http_next(w->engine, &answer);
	if (session == NULL)
		return;
	slot = http_session_user(session);
	wire_remove(w, slot);
	lock_take(&r->lock);
	server = (struct tenant_server){ r->outage.state != OUTAGE_NONE, r->outage.number };
	lock_give(&r->lock);
	exchanges = tenant_take(slot->tenant, answer, &w->page, &server, &sign);
	http_answer_done(session);
	lock_take(&r->lock);
	note_outcome_locked(r, slot, sign, tenant_trouble(slot->tenant));
	landed_locked(w, slot);
	r->requests += exchanges;
	r->pages++;
	bucket_charge(&r->all, exchanges - 1, run_now_ms(r));
	lock_give(&r->lock);
	places_move_on(r, slot);
}

/* After run_stop(): what is still on the wire when its time is over is broken off. */
static void
break_off(struct worker *w)
{
	struct run *r = w->run;
	struct slot *slot;

	while ((slot = w->wire) != NULL) {
		http_cancel(w->engine, tenant_session(slot->tenant));
		wire_remove(w, slot);
		lock_take(&r->lock);
		landed_locked(w, slot);
		lock_give(&r->lock);
		places_move_on(r, slot);
	}
}

/* Looks at the deadline and at the stop; returns until when the worker may wait. */
static int64_t
watch(struct worker *w, int64_t wake_ms)
{
	struct run *r = w->run;
	int64_t now = run_now_ms(r), stop_at_ms;
	int none = 0;

	lock_take(&r->lock);
	if (outage_tick(&r->outage, now) == OUTAGE_GIVEN_UP) {
		give_up_locked(r, NULL);
		places_wake_all_locked(r);
	}
	lock_give(&r->lock);
	if (now >= r->deadline_at_ms && atomic_compare_exchange_strong(&r->stopping, &none, STOP_DEADLINE)) {
		lock_take(&r->lock);
		places_wake_all_locked(r);
		lock_give(&r->lock);
	}
	if (wake_ms > r->deadline_at_ms && atomic_load(&r->stopping) == 0)
		wake_ms = r->deadline_at_ms;
	if (atomic_load(&r->stopping) == 0)
		return wake_ms;
	lock_take(&r->lock);
	if (r->stop_at_ms == 0)
		r->stop_at_ms = now;
	stop_at_ms = r->stop_at_ms;
	lock_give(&r->lock);
	if (now - stop_at_ms >= DRAIN_MS)
		break_off(w);
	return wake_ms < stop_at_ms + DRAIN_MS ? wake_ms : stop_at_ms + DRAIN_MS;
}

static bool
all_ended(struct run *r)
{
	bool ended;

	lock_take(&r->lock);
	ended = r->ended == r->options.n_orgs;
	lock_give(&r->lock);
	return ended;
}

void *
wire_main(void *arg)
{
	struct worker *w = arg;
	struct run *r = w->run;
	int64_t wake_ms, now;

	while (!all_ended(r)) {
		wake_ms = watch(w, ask(w));
		now = run_now_ms(r);
		http_drive(w->engine, wake_ms <= now ? 0 : wake_ms - now > IDLE_MS ? IDLE_MS : (int)(wake_ms - now));
		take_answer(w);
	}
	return NULL;
}
