/* pending.h: events that were put and are not yet in day files.
 *
 * Two views of the same events: by batch (what one commit took; those that wait on for their day it makes durable in
 * one staging file) and by UTC day (what one merge writes). An id counts once a day: the first copy
 * stays. Ids are not compared across days, so that what an archive holds does not depend on how
 * its reading was cut into commits. Private to lib/store; one owner, one thread; nothing blocks.
 */
#ifndef ORGSYNC_STORE_PENDING_H
#define ORGSYNC_STORE_PENDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/event.h"
#include "lib/store/ledger.h"

enum pend_state { PEND_NEW, PEND_KNOWN, PEND_CHANGED };

struct pend {
	struct event event;       /* leads into the batch's memory */
	struct batch *batch;
	uint64_t at;              /* merge: where in the old day file's bytes it belongs */
	uint32_t hash;
	enum pend_state state;    /* merge: what the old day file says of it */
};

struct chunk;

struct batch {
	struct batch *next;       /* older first */
	size_t n_waiting;         /* of its events not yet in a day file */
	size_t bytes;             /* of its events, each with its line end */
	struct staged staged;     /* file "" until it is durable */
	bool recovered;           /* read back from staging by store_open() */
	struct chunk *chunks;
};

struct pend_day {
	int64_t day_s;
	struct pend **events;
	size_t n, size;
	struct pend **table;      /* by id; open addressing, NULL: free; 2^k of at least 2n slots */
	size_t table_size;
	bool ready;               /* to be merged by the commit under way */
};

struct pending {
	struct batch *batches;    /* the last may be the one that grows */
	struct batch *open;       /* takes what is put; NULL: none yet */
	struct pend_day *days;    /* sorted */
	size_t n_days, days_size;
	size_t bytes;             /* memory of all events, what belongs to them included */
};

void pending_init(struct pending *p);
void pending_free(struct pending *p);

enum pending_put { PENDING_NEW, PENDING_KNOWN, PENDING_CHANGED, PENDING_NOMEM };

/* Copies the event into the open batch, unless its day holds the id already. */
enum pending_put pending_put(struct pending *p, const struct event *event);

/* Opens a batch of its own for what is put from now on. NULL: no memory. */
struct batch *pending_new_batch(struct pending *p);

/* The event with this id in the day, or NULL. */
struct pend *pending_find(const struct pend_day *d, const char *id, size_t id_len);

/* Puts the day's events into the order of the archive. */
void pending_sort(struct pend_day *d);

/* Takes the events that are not PEND_NEW out of the day. */
void pending_drop_known(struct pend_day *d);

/* Takes out the days that are ready and everything in them. */
void pending_drop_ready(struct pending *p);

/* Gives back the memory of batches of which no event waits any more. */
void pending_free_done(struct pending *p);

#endif
