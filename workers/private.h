/* private.h: the state of a run, for run.c, places.c and wire.c alone.
 *
 * Three kinds of threads: the one that called run_go() and waits, the workers (each drives one http engine
 * and as many requests as its share of in_flight), and the disk threads. An organization is always in
 * exactly one place: not begun (index next_tenant and up), in the ready queue, in the queue of those that another run
 * holds, in the list of those that wait for memory, in the disk list, on the wire of one worker, in the hands of one
 * thread that moves it from one of these to the next, or ended. It changes places under the run's lock; it is worked
 * on outside of it. That is the whole of the locking: whoever took an organization out of a place is the only one to
 * touch it.
 */
#ifndef ORGSYNC_WORKERS_PRIVATE_H
#define ORGSYNC_WORKERS_PRIVATE_H

#include <stdatomic.h>

#include "workers/bucket.h"
#include "workers/lock.h"
#include "workers/memory.h"
#include "workers/outage.h"
#include "workers/queue.h"
#include "workers/run.h"
#include "workers/tenant.h"

#define DISK_THREADS 8

struct slot {
	struct tenant *tenant;     /* NULL: not begun, or ended */
	struct slot *next;         /* in the disk list, or in that of the large answers */
	struct slot *wire_next, *wire_before; /* on a worker's wire; that worker's own */
	enum lane lane;            /* of the request on the wire */
	size_t index;
	size_t answer_cap;         /* of its next answer; set by whoever put it into the queue */
	struct memory_share share; /* guarded by run->lock */
};

struct worker {
	struct run *run;
	pthread_t thread;
	struct http_engine *engine;
	struct page page;          /* scratch */
	struct slot *wire;         /* what this worker has on the wire */
	size_t in_flight;          /* guarded by run->lock */
	bool asleep;               /* guarded by run->lock: in http_drive(), may be woken */
	enum lane lane;            /* of the job picked last; its own */
};

struct run {
	struct run_options options;
	struct run_result *results;
	struct slot *slots;
	size_t *order;             /* slots in the order they begin: priority, then configuration */
	struct worker *workers;
	size_t n_workers, n_started, in_flight_max, per_worker_max, active_max, files_max;
	pthread_t disks[DISK_THREADS];
	size_t n_disks;
	atomic_int stopping;       /* 0 or one of STOP_… */
	struct err outage_why;     /* written before stopping becomes STOP_OUTAGE, read after */
	int64_t deadline_at_ms;    /* monotonic; INT64_MAX: none */

	struct lock lock;          /* guards all below, and the contents of queue and disk list */
	pthread_cond_t disk_work;  /* the disk list is not empty, or all is over */
	struct queue queue;
	struct queue held;         /* by another run; not active meanwhile: they hold no file and no memory */
	struct slot *disk_first, **disk_last;
	struct slot *large_first, **large_last; /* wait for room for a large answer */
	struct memory memory;
	struct bucket all;         /* the process's own limit */
	struct outage outage;
	size_t next_tenant;        /* order[next_tenant …] are not begun */
	size_t active, ended, failed;
	size_t in_flight, in_flight_backfill;
	int64_t stop_at_ms;        /* when stopping was first seen; 0: not yet */
	uint64_t events_new, pages, requests;
	struct lock finish_lock;   /* guards the calls of options.finished; taken alone */
};

enum { STOP_SIGNAL = 1, STOP_DEADLINE, STOP_OUTAGE };

static inline int64_t
run_now_ms(const struct run *r)
{
	return clock_mono_ms(r->options.clock);
}

/* places.c: who has which organization. */
void places_wake_all_locked(struct run *r);
void places_wake_one_locked(struct run *r);
/* Whether so many are begun that neither wire nor disk ever waits for one. No more are: each that is begun holds its
 * ledger and its handle. Those that wait for a time (a limit, a pause) do not count. So a priority, too, holds from the
 * first on. */
bool places_are_taken_locked(struct run *r, int64_t now_ms);
/* Begins organizations while there is room for them. */
void places_admit_locked(struct run *r);
/* Has those that another run held tried again whose time has come, while there is room for them, or, where the run
 * stops, all. Returns when to look again: INT64_MAX where nobody waits, or there is no room. */
int64_t places_retry_held_locked(struct run *r, int64_t now_ms);
/* Has everybody who waits for a time look at what comes next anew. */
void places_look_again_locked(struct run *r);
/* Gives its large share of memory back, and the next that waits for one its turn. kept: bytes that it holds. */
void places_settle_locked(struct run *r, struct slot *slot, size_t kept);
/* Puts an organization that the calling thread has in its hands where it belongs next. */
void places_move_on(struct run *r, struct slot *slot);
/* The threads; arg: the run, and the worker. */
void *places_disk_main(void *arg);
void *wire_main(void *arg);

#endif
