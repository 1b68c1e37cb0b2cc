/* alloc_hooks.h: every allocation of the program under test, counted, kept account of, and made to fail.
 *
 * The linker sends malloc() and its like of everything in the program here (--wrap), and with it jansson's and
 * libcurl's, to which the program gives functions of its own. What libyaml, zlib, zstd, OpenSSL and libc take
 * inside themselves is not seen.
 */
#ifndef ORGSYNC_TESTS_CRASH_ALLOC_HOOKS_H
#define ORGSYNC_TESTS_CRASH_ALLOC_HOOKS_H

#include <stddef.h>

/* Once in a process: from here on allocations are counted from 1 and kept account of; number `fail_at` fails, and where `on` is
 * true every one after it too. 0: none. */
void alloc_hooks_arm(size_t fail_at, int on);
/* How many there were since, and how many of these were not given back. Disarms. */
size_t alloc_hooks_disarm(size_t *ret_live);
/* Prints the sizes of what was not given back, and who asked for it, to stderr. */
void alloc_hooks_print_live(void);

#endif
