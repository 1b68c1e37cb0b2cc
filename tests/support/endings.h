/* endings.h: a run that writes to a disk, ended before each of its steps that change it.
 *
 * The run is played once. Before each step, and after the last, what an end at that moment would leave is built
 * in another place and handed to judge(), which looks at it and goes on from it; then the run itself goes on as
 * if nothing had been. So n steps cost one run and not n of them. Steps are those that lib/base/file.h announces:
 * mkdir, create, write, fsync, rename, unlink.
 * The program is linked with --wrap=write and --wrap=fsync: a write can be torn, and what an fsync promises is the
 * model's matter. For tests alone; failures abort the test.
 */
#ifndef ORGSYNC_TESTS_ENDINGS_H
#define ORGSYNC_TESTS_ENDINGS_H

#include "tests/support/disk_model.h"

enum ending {
	ENDING_KILLED,            /* the process is gone, the disk has all it was told */
	ENDING_TORN_WRITE,        /* killed inside a write, of which a random part came to the disk */
	ENDING_POWER_LOST,        /* only what was fsynced is left */
	ENDING_TORN,              /* as that, but of the rest anything may be left */
	ENDING_KILLED_TWICE,      /* killed, and the next run, while it repairs, too */
	ENDING_KILLED_POWER_LOST, /* killed, and while the next run repairs, the power fails: what the first had no time
	                           * to fsync the second one finds, and must not take for durable */
	ENDING_KILLED_TORN,
	N_ENDINGS
};
extern const char *const ending_names[N_ENDINGS];

struct endings {
	/* Does the run. 0, or -1 where a step failed. */
	int (*run)(void *ctx, const struct place *p);
	/* `when` says how the run ended: for messages. */
	void (*judge)(void *ctx, const struct place *left, const char *when);
	void *ctx;
	uint64_t seed;            /* of all that is left to chance */
	unsigned times;           /* how often it is left to chance at each step */
	unsigned stride;          /* every so manieth step (1: each) */
	long steps;               /* what came of it: the run's steps */
	long played[N_ENDINGS];   /* and how often it was ended; an end that leaves what the one before left is none */
};

/* Ends the run everywhere; each time it begins with what stands in `before`, which stays as it is. */
void endings_play(struct endings *e, const struct place *before);
long endings_played(const struct endings *e); /* of all kinds */

#endif
