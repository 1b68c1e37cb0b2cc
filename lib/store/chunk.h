/* chunk.h: memory for events, a piece at a time.
 *
 * A campaign fills and empties megabytes a thousand times over. Given back to the system, each page of them would
 * be asked for, cleared and mapped anew; so a few of the large pieces are kept, for whichever organization needs one
 * next. Private to lib/store; any thread may call; nothing blocks.
 */
#ifndef ORGSYNC_STORE_CHUNK_H
#define ORGSYNC_STORE_CHUNK_H

#include <stddef.h>

#define CHUNK_MAX_BYTES ((size_t)1024 * 1024)
#define CHUNKS_KEPT 16 /* at most, of CHUNK_MAX_BYTES each; their memory is in no organization's account */

struct chunk {
	struct chunk *next;          /* the owner's */
	size_t used, size;           /* of bytes */
	_Alignas(max_align_t) char bytes[];
};

/* A chunk of at least size bytes, none of them used. NULL: no memory. */
struct chunk *chunk_new(size_t size);
/* Frees the chunk and those that follow it. NULL is fine. */
void chunks_free(struct chunk *first);

#endif
