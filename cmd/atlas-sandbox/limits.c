/* limits.c: buckets that refill evenly over the period. */
#include "cmd/atlas-sandbox/limits.h"

int64_t
limits_take(struct sandbox *sb, struct account *account, enum bucket bucket, int64_t *ret_remaining)
{
	const struct options *o = &sb->options;
	double per_ms = (double)o->refill / (1000.0 * o->period_s), level;
	int64_t now = sandbox_limits_ms(sb), wait_s = 0;

	pthread_mutex_lock(&account->lock);
	level = account->level[bucket];
	if (now > account->level_at_ms[bucket]) {
		if (account->level_at_ms[bucket] != 0)
			level += (double)(now - account->level_at_ms[bucket]) * per_ms;
		account->level_at_ms[bucket] = now;
	}
	if (level > o->capacity)
		level = o->capacity;
	if (level >= 1 || o->no_limits) {
		level -= o->no_limits ? 0 : 1;
	} else { /* the wait is told in real seconds, however fast the simulated ones pass */
		wait_s = (int64_t)((1 - level) / per_ms / o->time_scale / 1000) + 1;
		account->limited++;
	}
	account->level[bucket] = level;
	*ret_remaining = (int64_t)level;
	pthread_mutex_unlock(&account->lock);
	return wait_s;
}
