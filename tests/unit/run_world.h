/* run_world.h: a world for workers/run.c, places.c and wire.c without a network, a disk or a real clock.
 *
 * The functions of lib/http's engine are played by run_world.c, those of workers/tenant.c by run_tenant.c.
 * The threads are real ones. Time stands still while any of them has something to do and jumps when none
 * has, so that an hour takes as long as what happens in it. At each such moment, in which nothing moves, the
 * world looks at the run: every organization in one place, every share of memory accounted for, and nobody
 * left waiting for what he could have.
 */
#ifndef ORGSYNC_TESTS_RUN_WORLD_H
#define ORGSYNC_TESTS_RUN_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "workers/run.h"

struct world_options {
	uint64_t seed;
	size_t n_orgs;
	int workers, in_flight;
	int64_t memory_bytes, organization_memory_bytes;
	unsigned trouble;             /* 0: none; otherwise one thing in so many goes wrong */
	size_t answer_bytes_max;      /* of most; one organization in eight has answers of up to ten times that */
	bool priorities;
	int64_t down_from_ms, down_to_ms; /* the server answers nobody in between */
	int64_t outage_wait_ms;
	unsigned held;                /* one organization in so many is held by another run for a while,
	                               * some for ever; 0: none */
	int64_t lock_wait_ms;         /* how long they are waited for */
	int64_t deadline_ms, stop_ms; /* 0: none */
	int threads_max;              /* so many can be started; 0: as many as are wanted */
};

struct world_counts {
	uint64_t questions, waits_for_large, flushes, jumps, outages, no_room, holds;
	uint64_t tenants;             /* made and not freed */
	size_t kept_most, done, failed, stopped;
};

/* For run_tenant.c. Any thread. */
#define WORLD_BEGIN_MS 1000000
int64_t world_ms(void);
const struct world_options *world_options(void);
struct world_counts *world_counts(void);
void world_count(uint64_t *count, uint64_t n);
_Noreturn void world_broken(const char *what, size_t number);

/* Plays one run to its end. It prints what is wrong and ends the program where anything is. What run_go()
 * gave; *ret_e then says why. */
int world_play(const struct world_options *options, struct world_counts *ret_counts, struct err *ret_e);

#endif
