/* prepared.h: pages that were asked for before, compressed and kept, so that a benchmark measures its client and not
 * this server. What changes from one question to the next (links, totalCount) is put around them each time. */
#ifndef ATLAS_SANDBOX_PREPARED_H
#define ATLAS_SANDBOX_PREPARED_H

#include "cmd/atlas-sandbox/render.h"

struct prepared;

/* Keeps up to cap_bytes. NULL: no memory. */
struct prepared *prepared_new(size_t cap_bytes);
void prepared_free(struct prepared *p); /* NULL is fine */

/* Appends the gzip form of the page to b: what render_page() writes, its rows as they were compressed the first time.
 * 0 or -1 (memory, cap). Any thread; a page that is not kept yet is rendered without a lock. */
int prepared_page(struct prepared *p, struct buf *b, const struct render_page *page)
	__attribute__((warn_unused_result));

#endif
