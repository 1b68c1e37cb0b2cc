/* arena.h: many small allocations with one life, wiped when it ends (secrets pass through them).
 * One owner, one thread at a time; afterwards any thread may read what was allocated. */
#ifndef ORGSYNC_CONF_ARENA_H
#define ORGSYNC_CONF_ARENA_H

#include <stddef.h>

struct arena_chunk;
struct arena { struct arena_chunk *head; };

void arena_init(struct arena *a);
/* Overwrites and frees everything; a is as after arena_init(). */
void arena_free(struct arena *a);
/* size zero bytes, aligned for anything; NULL where memory is short. */
void *arena_alloc(struct arena *a, size_t size);
/* A copy of len bytes with a NUL behind; NULL where memory is short. */
char *arena_text(struct arena *a, const char *text, size_t len);
char *arena_printf(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
