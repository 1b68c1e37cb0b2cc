/* suggest.h: what somebody who mistyped may have meant. */
#ifndef ORGSYNC_CMD_SUGGEST_H
#define ORGSYNC_CMD_SUGGEST_H

#include <stddef.h>

/* The candidate nearest to the word by edits (insert, delete, replace, swap of neighbours; letter case
 * ignored), or the only one that begins with it; NULL where none is near. Any thread. */
const char *suggest(const char *word, const char *const *candidates, size_t n);

#endif
