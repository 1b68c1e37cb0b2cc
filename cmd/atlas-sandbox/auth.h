/* auth.h: who asks: digest with nonces (RFC 7616, MD5, qop=auth), and service accounts' tokens.
 * Every function may be called from any thread; none blocks but on a lock held for microseconds. */
#ifndef ATLAS_SANDBOX_AUTH_H
#define ATLAS_SANDBOX_AUTH_H

#include "cmd/atlas-sandbox/sandbox.h"

#define CHALLENGE_MAX 160
#define TOKEN_TEXT_MAX 128

int auth_init(struct sandbox *sb) __attribute__((warn_unused_result));
void auth_free(struct sandbox *sb);

enum auth_kind { AUTH_NOTHING, AUTH_DIGEST, AUTH_BEARER, AUTH_OTHER };

struct auth {
	enum auth_kind kind;
	int claimed;   /* index of the organization whose credential this claims to be, or -1 */
	bool ok;       /* and is */
	bool stale;    /* right, but the nonce has lived its time */
};

/* Judges an Authorization header (NULL: none) of a request for uri, as it stood on the request line. */
void auth_check(struct sandbox *sb, const char *header, const char *method, const char *uri,
                struct auth *ret);

/* Writes a WWW-Authenticate value with a new nonce. */
void auth_challenge(struct sandbox *sb, bool stale, char out[CHALLENGE_MAX]);

/* The token endpoint. header is the Authorization header, form the request's body. */
enum token_outcome {
	TOKEN_MINTED, TOKEN_BAD_CLIENT, TOKEN_BAD_GRANT, TOKEN_TOO_MANY, TOKEN_LIMITED
};
struct token_answer {
	enum token_outcome outcome;
	int org;                        /* -1: unknown client */
	char token[TOKEN_TEXT_MAX];
	int64_t retry_after_s;
};
void auth_token(struct sandbox *sb, const char *header, const char *form, const char *address,
                struct token_answer *ret);
/* The revoke endpoint. True where the client is known. */
bool auth_revoke(struct sandbox *sb, const char *header, const char *form);

#endif
