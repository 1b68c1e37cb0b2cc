/* reply.c: the error bodies, each as recorded or documented. */
#include "cmd/atlas-sandbox/reply.h"

#include <string.h>

void
reply_init(struct reply *r)
{
	memset(r, 0, sizeof *r);
	buf_init(&r->body, REPLY_BODY_MAX);
	r->status = 200;
	r->content_type = TYPE_JSON;
	r->limit = r->remaining = r->retry_after_s = -1;
}

void
reply_free(struct reply *r)
{
	buf_free(&r->body);
}

/* A short body; where memory is gone the body is empty, which no client may mistake for success. */
#define BODY(r, ...) \
	do { \
		buf_reset(&(r)->body); \
		if (buf_printf(&(r)->body, __VA_ARGS__) != 0) \
			buf_reset(&(r)->body); \
	} while (0)

void
reply_error(struct reply *r, int status, const char *reason, const char *code, const char *parameters,
            const char *detail)
{
	r->status = status;
	r->content_type = TYPE_JSON;
	BODY(r, "{\"detail\":\"%s\",\"error\":%d,\"errorCode\":\"%s\",\"parameters\":%s,\"reason\":\"%s\"}",
	     detail, status, code, parameters, reason);
}

void
reply_unauthorized(struct reply *r, struct sandbox *sb, bool stale)
{
	r->status = 401;
	r->content_type = TYPE_JSON;
	auth_challenge(sb, stale, r->challenge);
	BODY(r, "{\"error\":401,\"reason\":\"Unauthorized\","
	     "\"detail\":\"You are not authorized for this resource.\","
	     "\"errorCode\":\"UNEXPECTED_ERROR\"}");
}

void
reply_limited(struct reply *r, const struct sandbox *sb, const char *prefix, int64_t wait_s)
{
	const struct options *o = &sb->options;
	const char *path = prefix + 1;

	r->status = 429;
	r->content_type = TYPE_JSON;
	if (!o->no_limit_headers)
		r->retry_after_s = wait_s;
	BODY(r, "{\"detail\":\"Rate limit exceeded for %s/orgs. Please retry after %lld seconds. "
	     "Request capacity: %u. Refill rate: %u per %u seconds.\",\"error\":429,"
	     "\"errorCode\":\"RATE_LIMITED_TOKEN_BUCKET\",\"parameters\":[\"%s/orgs\",%lld,%u,%u,%u],"
	     "\"reason\":\"Too Many Requests\"}", path, (long long)wait_s, o->capacity, o->refill,
	     o->period_s, path, (long long)wait_s, o->capacity, o->refill, o->period_s);
}

void
reply_token(struct reply *r, const struct sandbox *sb, const struct token_answer *answer)
{
	r->no_store = true;
	switch (answer->outcome) {
	case TOKEN_MINTED:
		BODY(r, "{\"access_token\":\"%s\",\"expires_in\":%lld,\"token_type\":\"Bearer\"}",
		     answer->token, (long long)sb->options.token_life_s);
		break;
	case TOKEN_BAD_CLIENT:
		r->status = 401;
		BODY(r, "{\"error\":\"invalid_client\",\"error_description\":"
		     "\"The client credentials provided are invalid.\"}");
		break;
	case TOKEN_BAD_GRANT:
		r->status = 400;
		BODY(r, "{\"error\":\"unsupported_grant_type\",\"error_description\":"
		     "\"The grant type must be client_credentials.\"}");
		break;
	case TOKEN_TOO_MANY:
		r->status = 403;
		BODY(r, "{\"error\":\"access_denied\",\"error_description\":"
		     "\"The service account has as many active tokens as it may have.\"}");
		break;
	case TOKEN_LIMITED:
		reply_error(r, 429, "Too Many Requests", "RATE_LIMITED", "[\"/api/oauth/token\",10,1]",
		            "Resource /api/oauth/token is limited to 10 requests every 1 minutes.");
		if (!sb->options.no_limit_headers)
			r->retry_after_s = answer->retry_after_s;
		break;
	}
}

void
reply_html(struct reply *r, int status, const char *title)
{
	r->status = status;
	r->content_type = "text/html; charset=utf-8";
	BODY(r, "<html>\r\n<head><title>%d %s</title></head>\r\n<body>\r\n"
	     "<center><h1>%d %s</h1></center>\r\n</body>\r\n</html>\r\n", status, title, status, title);
}

void
reply_envelope(struct reply *r)
{
	struct buf whole;

	buf_init(&whole, REPLY_BODY_MAX);
	if (buf_printf(&whole, "{\"status\":%d,\"content\":", r->status) != 0 ||
	    buf_append(&whole, r->body.data, r->body.len) != 0 || buf_append(&whole, "}", 1) != 0) {
		buf_free(&whole);
		return;
	}
	buf_free(&r->body);
	r->body = whole;
	r->status = 200;
}
