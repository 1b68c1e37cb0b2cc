/* token.h: one access token of a service account, and its private file. Part of lib/atlas alone.
 *
 * A token lives about an hour, the token endpoint allows ten requests a minute and a hundred live
 * tokens (docs/ATLAS.md), so tokens are kept across runs: one file per base URL and client id, named by
 * a hash of both, mode 0600. A file is a convenience: where it cannot be read, is unsafe or unsound, the
 * token is minted anew; where it cannot be written, that is said once and the run goes on.
 * One owner, one thread at a time; several owners, also in other processes, may keep the same file.
 */
#ifndef ORGSYNC_ATLAS_TOKEN_H
#define ORGSYNC_ATLAS_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"

#define ATLAS_TOKEN_MAX 16384

struct atlas_token {
	char *text;            /* NULL: none */
	int64_t expires_at_s;  /* wall clock */
	int64_t lifetime_s;    /* as it was minted */
	bool fresh;            /* minted by this client, and not yet seen to work */
};

/* Whose token it is, and where it is kept. All borrowed. */
struct atlas_token_place {
	int dirfd;             /* -1: not kept */
	const char *base_url;
	const char *client_id;
	const char *name;      /* the organization's, for the log */
};

/* Overwrites and frees the token. */
void atlas_token_drop(struct atlas_token *t);

/* Whether it may still be used: until a twentieth of its life, at least a minute, before it expires. A
 * token of less than two minutes is used for half its life. */
bool atlas_token_usable(const struct atlas_token *t, int64_t now_s);

/* Reads the token endpoint's reply of status 200 and overwrites it. 0; -1 (ERR_SERVER, ERR_NOMEM). */
int atlas_token_parse(struct atlas_token *ret, struct buf *body, int64_t now_s, struct err *e)
	__attribute__((warn_unused_result));

/* The kept token, if there is a usable one in a safe file. Blocks on a small file. */
bool atlas_token_load(struct atlas_token *ret, const struct atlas_token_place *place, int64_t now_s);
/* Keeps it; a failure is logged. */
void atlas_token_keep(const struct atlas_token *t, const struct atlas_token_place *place);
/* Removes the kept file where it holds this token (another process may have replaced it). */
void atlas_token_forget(const struct atlas_token *t, const struct atlas_token_place *place);

#endif
