/* lock.h: a mutex that knows its holder, so that a function which needs it can say so and be believed.
 * Any thread. A lock is never held over HTTP, disk or a wait other than lock_wait(). */
#ifndef ORGSYNC_WORKERS_LOCK_H
#define ORGSYNC_WORKERS_LOCK_H

#include <pthread.h>
#include <stdbool.h>

struct lock {
	pthread_mutex_t mutex;
	pthread_t holder;   /* guarded by mutex; read without it only to compare with oneself */
	bool held;
};

void lock_init(struct lock *l);
void lock_free(struct lock *l);
void lock_take(struct lock *l);
void lock_give(struct lock *l);
/* Ends the process where the caller does not hold the lock: a bug of ours. */
void lock_assert_held(const struct lock *l);
/* Waits on cond as pthread_cond_wait(); the lock is held before and after. */
void lock_wait(struct lock *l, pthread_cond_t *cond);

#endif
