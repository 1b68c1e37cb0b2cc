/* seen.h: which ids were seen, in this pass over a second and in all of them.
 *
 * An id is kept as a 64-bit hash. Two ids with one hash would be taken for one: that makes a pass look less
 * complete than it is, never more, so it can cost a reading but not an event.
 * One owner, one thread at a time; nothing blocks.
 */
#ifndef ORGSYNC_SYNC_SEEN_H
#define ORGSYNC_SYNC_SEEN_H

#include <stddef.h>
#include <stdint.h>

struct seen_slot { uint64_t hash; uint32_t pass; };

struct seen {
	struct seen_slot *slots;  /* open addressing; pass 0: empty */
	size_t size, used;
	uint32_t pass;            /* the pass under way, from 1 */
	uint64_t rows;            /* rows of this pass */
	uint64_t distinct;        /* different ids among them */
	uint64_t before;          /* different ids of all earlier passes */
};

void seen_init(struct seen *s);
void seen_free(struct seen *s);
/* Forgets everything, keeps the memory; pass 1 begins. */
void seen_reset(struct seen *s);
/* Begins the next pass over the same rows. */
void seen_next_pass(struct seen *s);
/* Notes one row. 0, or -1 (memory). */
int seen_add(struct seen *s, const char *id, size_t id_len) __attribute__((warn_unused_result));
/* Different ids over all passes. */
static inline uint64_t seen_union(const struct seen *s) { return s->used; }

#endif
