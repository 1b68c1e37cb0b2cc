#include "workers/outage.h"

#include <stdlib.h>
#include <string.h>

#define ENOUGH_MIN 3
#define ENOUGH_MAX 8
#define PAUSE_MAX_MS 60000

int
outage_init(struct outage *o, size_t n, int64_t first_pause_ms, int64_t patience_ms)
{
	memset(o, 0, sizeof(*o));
	o->failing_since = calloc(n + 1, sizeof(*o->failing_since));
	if (o->failing_since == NULL)
		return -1;
	o->epoch = 1;
	o->first_pause_ms = first_pause_ms;
	o->patience_ms = patience_ms;
	if (n >= ENOUGH_MIN)
		o->enough = (n + 1) / 2 < ENOUGH_MIN ? ENOUGH_MIN : (n + 1) / 2 > ENOUGH_MAX ? ENOUGH_MAX : (n + 1) / 2;
	return 0;
}

void
outage_free(struct outage *o)
{
	free(o->failing_since);
	memset(o, 0, sizeof(*o));
}

int64_t
outage_next_ms(const struct outage *o)
{
	if (o->state == OUTAGE_NONE)
		return INT64_MIN;
	return o->state == OUTAGE_OVER || o->probing ? INT64_MAX : o->probe_at_ms;
}

void
outage_asked(struct outage *o, size_t org)
{
	if (o->state != OUTAGE_ON)
		return;
	o->probing = true;
	o->prober = org;
}

void
outage_dropped(struct outage *o, size_t org)
{
	if (o->probing && o->prober == org)
		o->probing = false;
}

static enum outage_change
take_answer(struct outage *o, size_t org)
{
	enum outage_change change = o->state == OUTAGE_ON ? OUTAGE_ENDS : OUTAGE_SAME;

	o->failing_since[org] = 0;
	if (o->failing > 0)
		o->epoch++;
	o->failing = 0;
	o->silent = false;
	o->probing = false;
	if (o->state == OUTAGE_ON)
		o->state = OUTAGE_NONE;
	return change;
}

/* The last probe goes when patience ends, not before. */
static void
plan_probe(struct outage *o, int64_t now_ms)
{
	int64_t end_ms = o->since_ms + o->patience_ms;

	o->probe_at_ms = now_ms + o->pause_ms;
	if (o->probe_at_ms > end_ms && now_ms < end_ms)
		o->probe_at_ms = end_ms;
	o->pause_ms = o->pause_ms > PAUSE_MAX_MS / 2 ? PAUSE_MAX_MS : o->pause_ms * 2;
}

static enum outage_change
give_up(struct outage *o)
{
	o->state = OUTAGE_OVER;
	return OUTAGE_GIVEN_UP;
}

static enum outage_change
begin(struct outage *o, int64_t now_ms)
{
	o->number++;
	if (!o->silent || o->patience_ms == 0)
		return give_up(o);
	o->state = OUTAGE_ON;
	o->since_ms = now_ms;
	o->pause_ms = o->first_pause_ms;
	o->probing = false;
	plan_probe(o, now_ms);
	return OUTAGE_BEGINS;
}

enum outage_change
outage_note(struct outage *o, size_t org, enum outage_sign sign, int64_t now_ms)
{
	bool probe = o->probing && o->prober == org;

	if (o->state == OUTAGE_OVER)
		return OUTAGE_SAME;
	if (sign == OUTAGE_ANSWERED)
		return take_answer(o, org);
	outage_dropped(o, org);
	if (sign == OUTAGE_NOTHING)
		return OUTAGE_SAME;
	if (o->failing_since[org] == 0) {
		o->failing_since[org] = o->epoch;
		o->failing++;
		o->silent |= sign == OUTAGE_SILENT;
	}
	if (o->state == OUTAGE_NONE)
		return o->enough > 0 && o->failing >= o->enough ? begin(o, now_ms) : OUTAGE_SAME;
	if (!probe)
		return OUTAGE_SAME; /* it was on its way when the outage began */
	if (now_ms - o->since_ms >= o->patience_ms)
		return give_up(o);
	plan_probe(o, now_ms);
	return OUTAGE_SAME;
}

enum outage_change
outage_tick(struct outage *o, int64_t now_ms)
{
	/* A pause longer than the last probe's time: there was nobody to send it for. */
	if (o->state == OUTAGE_ON && !o->probing && now_ms - o->since_ms > o->patience_ms + PAUSE_MAX_MS)
		return give_up(o);
	return OUTAGE_SAME;
}
