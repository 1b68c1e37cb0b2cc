/* memory.h: how much of the run's memory is spoken for, so that it stays below its cap.
 *
 * What counts: answers that are being received, the copies of their events that wait for the disk, and
 * those that wait in memory for the rest of their day. Two pools, so that an organization with huge answers
 * takes nothing from the others:
 *
 *   ordinary  an answer up to answer_first: 2 × that, and something for the rows, is taken while the question is
 *             out (the body, and the copies made of it); what an organization keeps afterwards is counted as it is
 *   large     a larger one, up to answer_most, only after an ordinary one was too small: 4 × its cap (a day
 *             file's line is read and written beside body and copies), until all of it is on the disk
 *
 * memory_pressed(): half of the ordinary pool is kept. Whoever lands then has to write out all it keeps before
 * it asks again. That is why nobody waits for ever: what is asked for lands, what lands under pressure is
 * written out, so that those who wait for their turn never keep more than half of the pool, and the other
 * half has room for at least one question. In the large pool the first that waits is the first to be
 * served, who has got his share waits for nothing but wire and disk, and any share is smaller than the pool.
 *
 * Numbers only, no memory of its own. Guarded by its owner's lock; nothing blocks.
 */
#ifndef ORGSYNC_WORKERS_MEMORY_H
#define ORGSYNC_WORKERS_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

#define MEMORY_CAP_MIN ((size_t)256 << 20)  /* of the process */
#define MEMORY_ORGANIZATION_MIN ((size_t)16 << 20)
#define MEMORY_ORGANIZATION_PARTS 4         /* an organization's cap is at most this part of the process's */

struct memory {
	size_t answer_first, answer_most; /* what an answer may hold */
	size_t commit, pending;           /* of one organization: uncommitted, up to three times that in the midst of a
	                                   * day; kept for the rest of its day */
	size_t active_max;                /* organizations open at once */
	size_t ordinary, large;           /* the pools */
	size_t asked, kept, large_used;   /* what is spoken for of them */
};

/* What belongs to one organization; zeros in the beginning. */
struct memory_share { size_t asked, kept, large; };

/* Plans for n organizations and so many questions at once. The caps are at least the minima above; smaller ones count as these. */
void memory_plan(struct memory *m, size_t cap, size_t organization_cap, size_t n, size_t in_flight);

/* Whether one more ordinary question may go. */
bool memory_has_room(const struct memory *m);
/* Takes what a question needs whose answer may have answer_cap bytes. False: a large one for which there is no
 * room now. Nothing is taken twice. */
bool memory_take(struct memory *m, struct memory_share *share, size_t answer_cap);
/* The answer is there, or will not come; kept: the bytes that the organization holds now. */
void memory_landed(struct memory *m, struct memory_share *share, size_t kept);
/* It goes back to its turn, or ends (kept 0): its large share is given back. */
void memory_settled(struct memory *m, struct memory_share *share, size_t kept);
bool memory_pressed(const struct memory *m);

#endif
