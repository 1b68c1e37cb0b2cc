/* limits.h: the token buckets of an organization. */
#ifndef ATLAS_SANDBOX_LIMITS_H
#define ATLAS_SANDBOX_LIMITS_H

#include "cmd/atlas-sandbox/sandbox.h"

enum bucket { BUCKET_EVENTS, BUCKET_ORG };

/* Takes one token. 0, or the whole real seconds after which there is one again (at least 1).
 * *ret_remaining is what is left. account->lock must not be held. */
int64_t limits_take(struct sandbox *sb, struct account *account, enum bucket bucket,
                    int64_t *ret_remaining);

#endif
