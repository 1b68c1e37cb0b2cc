/* short_memory.h: the n-th allocation fails. For a program that is linked with --wrap=malloc, --wrap=calloc and
 * --wrap=realloc: these calls of its own and of the libraries of this tree come here, those inside libyaml, jansson,
 * zlib and libc do not. tests/crash/alloc_hooks.h is the larger sister, for the whole program with its threads. */
#ifndef ORGSYNC_TESTS_SHORT_MEMORY_H
#define ORGSYNC_TESTS_SHORT_MEMORY_H

/* So many allocations succeed from now on, and the next one fails; -1: none fails. It is -1 again once one failed. */
extern long short_memory_after;

#endif
