/* memory.h: memory for libraries that secrets pass through (libcurl, jansson); whether it was short.
 *
 * Both keep copies of keys and tokens and free them as they are. This memory is overwritten before it is
 * given back, also where that is because it had to grow.
 *
 * jansson drops bytes of a string when it cannot grow its buffer, and calls a text unsound when it cannot
 * copy a piece of it; either way what it hands over is not what was read. So where memory was short that is
 * noted, and its callers ask here. The note is each thread's own; nothing blocks.
 *
 * json_set_alloc_funcs() takes two of these at the program's start, curl_global_init_mem() all five.
 */
#ifndef ORGSYNC_BASE_MEMORY_H
#define ORGSYNC_BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* As malloc() and its like. */
void *memory_alloc(size_t size);
void *memory_calloc(size_t n, size_t size);
char *memory_strdup(const char *text);
void *memory_realloc(void *p, size_t size);
void memory_free(void *p);

/* Forgets what this thread noted before. */
void memory_watch(void);
/* True where memory_alloc() has failed in this thread since. */
bool memory_was_short(void);

#endif
