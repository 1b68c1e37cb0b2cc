/* suggest.h: which known word may have been meant. Pure functions; any thread. */
#ifndef ORGSYNC_CONF_SUGGEST_H
#define ORGSYNC_CONF_SUGGEST_H

#include <stdbool.h>
#include <stddef.h>

/* How likely `known` was meant by `typed`, the smaller the better: 0 the same but for letter case and
 * '-', '_', ' ' between words; 1, 2 single-letter slips; 3 the beginning of it; -1 not at all. */
int suggest_distance(const char *typed, size_t typed_len, const char *known);

/* A search through any list: feed every word, then read best (NULL: nothing near). */
struct suggest { const char *typed; size_t typed_len; const char *best; int best_distance; };
void suggest_begin(struct suggest *s, const char *typed, size_t typed_len);
void suggest_offer(struct suggest *s, const char *known);

#endif
