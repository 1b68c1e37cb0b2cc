/* admin.h: /_sandbox/…: what tests ask of the sandbox itself. No credential is needed. */
#ifndef ATLAS_SANDBOX_ADMIN_H
#define ATLAS_SANDBOX_ADMIN_H

#include "cmd/atlas-sandbox/answer.h"
#include "cmd/atlas-sandbox/listing.h"

/* Answers a request below /_sandbox/. False where it is none. Where *ret_listing is not NULL the body
 * is that listing, the caller's to free (listing_free(), free()). */
bool admin_answer(struct answer *a, struct sandbox *sb, const struct question *q,
                  struct listing **ret_listing);

#endif
