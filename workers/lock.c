#include "workers/lock.h"

#include <assert.h>

void
lock_init(struct lock *l)
{
	pthread_mutex_init(&l->mutex, NULL);
	l->held = false;
}

void
lock_free(struct lock *l)
{
	pthread_mutex_destroy(&l->mutex);
}

void
lock_take(struct lock *l)
{
	int failed = pthread_mutex_lock(&l->mutex);

	assert(failed == 0);
	(void)failed;
	l->holder = pthread_self();
	l->held = true;
}

void
lock_give(struct lock *l)
{
	lock_assert_held(l);
	l->held = false;
	pthread_mutex_unlock(&l->mutex);
}

/* Only its holder calls it, so what it reads was written by this very thread; anybody else is the bug that
 * it is there to find. */
void
lock_assert_held(const struct lock *l)
{
	assert(l->held && pthread_equal(l->holder, pthread_self()));
	(void)l;
}

void
lock_wait(struct lock *l, pthread_cond_t *cond)
{
	lock_assert_held(l);
	l->held = false;
	pthread_cond_wait(cond, &l->mutex);
	l->holder = pthread_self();
	l->held = true;
}
