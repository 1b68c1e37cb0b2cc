/* memory.h: whether memory was short while a library was at work that does not say so.
 *
 * jansson drops bytes of a string when it cannot grow its buffer, and calls a text unsound when it cannot copy
 * a piece of it; either way what it hands over is not what was read. Given these functions at the program's start
 * (json_set_alloc_funcs), its callers ask here. The note is each thread's own; nothing blocks.
 */
#ifndef ORGSYNC_BASE_MEMORY_H
#define ORGSYNC_BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* malloc() and free(), the first noting where it fails. */
void *memory_alloc(size_t size);
void memory_free(void *p);

/* Forgets what this thread noted before. */
void memory_watch(void);
/* True where memory_alloc() has failed in this thread since. */
bool memory_was_short(void);

#endif
