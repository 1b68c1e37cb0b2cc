/* tokens.h: access tokens. A token says whose it is and until when, with a proof; so one that a client
 * has kept is good after a restart of this program with the same seed. */
#ifndef ATLAS_SANDBOX_TOKENS_H
#define ATLAS_SANDBOX_TOKENS_H

#include "cmd/atlas-sandbox/sandbox.h"

/* Memory for the counts of requests by address and client; NULL: none. */
struct token_window *tokens_windows_new(void);

/* True where the token is good now. *ret_org is whose it claims to be, or untouched. */
bool tokens_check(struct sandbox *sb, const char *token, int *ret_org);

#endif
