/* reply.h: an answer before it is sent, and the bodies of those that are no page. */
#ifndef ATLAS_SANDBOX_REPLY_H
#define ATLAS_SANDBOX_REPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "cmd/atlas-sandbox/auth.h"
#include "lib/base/buf.h"

#define REPLY_BODY_MAX (1u << 30)
#define TYPE_JSON "application/json"
#define TYPE_V2 "application/vnd.atlas.2023-01-01+json;charset=utf-8"

struct reply {
	int status;
	const char *content_type;
	const char *java_method;          /* NULL: none */
	struct buf body;
	char challenge[CHALLENGE_MAX];    /* "": none */
	char location[200];               /* "": none */
	int64_t limit, remaining, retry_after_s; /* -1: no such header */
	bool truncate, no_store, packed;         /* packed: the body is gzip already */
};

void reply_init(struct reply *r);
void reply_free(struct reply *r);

/* The ordinary error form. parameters is JSON text: "[]", "[\"x\"]". */
void reply_error(struct reply *r, int status, const char *reason, const char *code,
                 const char *parameters, const char *detail);
/* 401 with a fresh challenge. */
void reply_unauthorized(struct reply *r, struct sandbox *sb, bool stale);
void reply_limited(struct reply *r, const struct sandbox *sb, const char *prefix, int64_t wait_s);
void reply_token(struct reply *r, const struct sandbox *sb, const struct token_answer *answer);
/* A web page, as proxies and balancers write them. */
void reply_html(struct reply *r, int status, const char *title);
/* Puts the body into {"status":N,"content":…} and answers 200. */
void reply_envelope(struct reply *r);

#endif
