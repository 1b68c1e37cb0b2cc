/* delays.c: a heap of moments and one thread that waits for the first. */
#include "cmd/atlas-sandbox/delays.h"

#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "lib/base/clock.h"

struct delay { int64_t at_mono_ms; struct MHD_Connection *connection; };

struct delays {
	pthread_mutex_t lock;   /* guards all below */
	pthread_cond_t changed; /* on CLOCK_MONOTONIC */
	struct delay *heap;     /* the earliest first */
	size_t n, size;
	bool stopping;
	pthread_t thread;
};

static void
heap_push(struct delay *heap, size_t n, struct delay item)
{
	while (n > 0 && heap[(n - 1) / 2].at_mono_ms > item.at_mono_ms) {
		heap[n] = heap[(n - 1) / 2];
		n = (n - 1) / 2;
	}
	heap[n] = item;
}

/* Takes the first of n. */
static struct delay
heap_pop(struct delay *heap, size_t n)
{
	struct delay first = heap[0], item = heap[n - 1];
	size_t i = 0;

	for (n--; 2 * i + 1 < n;) {
		size_t child = 2 * i + 1;

		if (child + 1 < n && heap[child + 1].at_mono_ms < heap[child].at_mono_ms)
			child++;
		if (heap[child].at_mono_ms >= item.at_mono_ms)
			break;
		heap[i] = heap[child];
		i = child;
	}
	heap[i] = item;
	return first;
}

static void *
run(void *arg)
{
	struct delays *d = arg;

	pthread_mutex_lock(&d->lock);
	for (;;) {
		if (d->n > 0 && (d->stopping || d->heap[0].at_mono_ms <= clock_mono_ms(&clock_system))) {
			struct delay due = heap_pop(d->heap, d->n--);

			/* Resuming only flags the connection and wakes its thread: it takes no lock of ours. */
			MHD_resume_connection(due.connection);
		} else if (d->stopping) {
			break;
		} else if (d->n == 0) {
			pthread_cond_wait(&d->changed, &d->lock);
		} else {
			struct timespec until;
			int64_t wait_ms = d->heap[0].at_mono_ms - clock_mono_ms(&clock_system);

			clock_gettime(CLOCK_MONOTONIC, &until);
			if (wait_ms > 0) {
				until.tv_sec += (time_t)(wait_ms / 1000);
				until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
			}
			if (until.tv_nsec >= 1000000000) {
				until.tv_sec++;
				until.tv_nsec -= 1000000000;
			}
			pthread_cond_timedwait(&d->changed, &d->lock, &until);
		}
	}
	pthread_mutex_unlock(&d->lock);
	return NULL;
}

struct delays *
delays_new(void)
{
	struct delays *d = calloc(1, sizeof *d);
	pthread_condattr_t attr;

	if (d == NULL)
		return NULL;
	pthread_mutex_init(&d->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&d->changed, &attr);
	pthread_condattr_destroy(&attr);
	if (pthread_create(&d->thread, NULL, run, d) != 0) {
		free(d);
		return NULL;
	}
	return d;
}

void
delays_suspend(struct delays *d, struct MHD_Connection *connection, int64_t after_ms)
{
	struct delay item = { clock_mono_ms(&clock_system) + after_ms, connection };
	bool kept = false;

	MHD_suspend_connection(connection);
	pthread_mutex_lock(&d->lock);
	if (!d->stopping && d->n == d->size) {
		size_t size = d->size == 0 ? 256 : 2 * d->size;
		struct delay *more = realloc(d->heap, size * sizeof *more);

		if (more != NULL) {
			d->heap = more;
			d->size = size;
		}
	}
	if (!d->stopping && d->n < d->size) {
		heap_push(d->heap, d->n++, item);
		pthread_cond_signal(&d->changed);
		kept = true;
	}
	pthread_mutex_unlock(&d->lock);
	if (!kept)
		MHD_resume_connection(connection);
}

void
delays_stop(struct delays *d)
{
	pthread_mutex_lock(&d->lock);
	d->stopping = true;
	pthread_cond_signal(&d->changed);
	pthread_mutex_unlock(&d->lock);
	pthread_join(d->thread, NULL);
}

void
delays_free(struct delays *d)
{
	if (d == NULL)
		return;
	free(d->heap);
	pthread_mutex_destroy(&d->lock);
	pthread_cond_destroy(&d->changed);
	free(d);
}
