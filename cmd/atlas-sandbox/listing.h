/* listing.h: the exact set of events an organization holds, in the order of an archive: ascending by
 * (created as shown, id). What tests compare with. */
#ifndef ATLAS_SANDBOX_LISTING_H
#define ATLAS_SANDBOX_LISTING_H

#include <stdbool.h>

#include "cmd/atlas-sandbox/model.h"
#include "lib/base/buf.h"

/* What a line is. LISTING_POISON: "KIND BYTES" of the events that no archive may hold. */
enum listing_kind { LISTING_IDS, LISTING_EVENTS, LISTING_POISON };

struct listing_entry;

struct listing {
	const struct org *org;
	enum listing_kind kind;
	bool raw;
	int64_t now_ms;
	int64_t from_us, to_us;          /* created as shown, half-open */
	uint64_t next, end;              /* positions still to come */
	struct listing_entry *entries;   /* one second's events, sorted */
	size_t n_entries, next_entry, size_entries;
};

/* from_ms and to_ms bound `created` as shown: [from, to). */
void listing_init(struct listing *l, const struct org *org, enum listing_kind kind, bool raw,
                  int64_t now_ms, int64_t from_ms, int64_t to_ms);
void listing_free(struct listing *l);

/* Appends lines to b until it holds at least enough_bytes. 1: there may be more; 0: that was all;
 * -1: no memory. */
int listing_some(struct listing *l, struct buf *b, size_t enough_bytes)
	__attribute__((warn_unused_result));

#endif
