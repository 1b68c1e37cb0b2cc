/* Which request comes next.
 *
 * A digest key: the question itself, with the key; libcurl answers the challenge inside one request. A
 * 401 that comes after an answer that was accepted may be a server that forgot the nonce without saying
 * so: the digest state is forgotten and the question asked once more. Otherwise the key is refused.
 *
 * A service account: a token first (in memory, else the kept file, else minted), then the question with
 * it. A token that is refused is dropped and another is got, once a question; one that was minted just
 * now and never worked is not worth another.
 *
 *     refused from the start: digest 2 requests on the wire (challenge and answer), client 1, token 2
 *     refused later: digest 1 + 2, kept token 1 + 1 + 1
 */
#include "lib/atlas/client.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/atlas/token.h"
#include "lib/base/isotime.h"
#include "lib/base/memory.h"

#define URL_MAX 65536
#define SECRET_MAX 65537   /* with its NUL */
#define SMALL_BODY_MAX 65536

enum asked { ASKED_EVENTS, ASKED_ORG };

struct atlas_client {
	struct atlas_options o;
	char *base;                    /* the same, as text of our own */
	enum asked asked;
	struct atlas_question question;
	struct buf url, secret;
	struct atlas_token token;
	bool token_asked;              /* the last request was the token's */
	bool accepted;                 /* digest: the key was seen to work */
	bool tried_again;              /* this question had its one fresh try */
	bool forget;                   /* the session's digest state is to be forgotten */
	struct atlas_limits limits;
	struct atlas_counts counts;
};

static const struct atlas_limits no_limits = { -1, -1, -1, -1 };

struct atlas_client *
atlas_client_new(const struct atlas_options *options)
{
	struct atlas_client *c = calloc(1, sizeof(*c));
	size_t len = strlen(options->base_url);

	if (c == NULL)
		return NULL;
	while (len > 0 && options->base_url[len - 1] == '/')
		len--;
	c->base = strndup(options->base_url, len);
	if (c->base == NULL) {
		free(c);
		return NULL;
	}
	c->o = *options;
	c->asked = ASKED_ORG;
	c->limits = no_limits;
	buf_init(&c->url, URL_MAX);
	buf_init(&c->secret, SECRET_MAX);
	return c;
}

void
atlas_client_free(struct atlas_client *c)
{
	if (c == NULL)
		return;
	atlas_token_drop(&c->token);
	buf_wipe(&c->secret);
	buf_free(&c->url);
	free(c->base);
	free(c);
}

const struct atlas_limits *
atlas_client_limits(const struct atlas_client *c)
{
	return &c->limits;
}

const struct atlas_counts *
atlas_client_counts(const struct atlas_client *c)
{
	return &c->counts;
}

static void
begin_question(struct atlas_client *c, enum asked asked)
{
	c->asked = asked;
	c->tried_again = false;
}

void
atlas_ask_events(struct atlas_client *c, const struct atlas_question *question)
{
	c->question = *question;
	begin_question(c, ASKED_EVENTS);
}

void
atlas_ask_org(struct atlas_client *c)
{
	begin_question(c, ASKED_ORG);
}

/* Appends text with everything but unreserved characters percent-encoded. */
static int
append_encoded(struct buf *b, const char *text)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

	for (const char *p = text; *p != '\0'; p++)
		if (strchr(plain, *p) != NULL ? buf_append(b, p, 1) != 0 :
		                                buf_printf(b, "%%%02X", (unsigned char)*p) != 0)
			return -1;
	return 0;
}

static int
append_time(struct buf *b, const char *key, int64_t epoch_s)
{
	char text[ISOTIME_LEN + 1];

	if (buf_printf(b, "&%s=", key) != 0)
		return -1;
	return append_encoded(b, isotime_format_s(epoch_s, text));
}

static const char *
api_path(enum atlas_api api)
{
	switch (api) {
	case ATLAS_API_V1_0:
		return "/api/atlas/v1.0";
	case ATLAS_API_PUBLIC_V1_0:
		return "/api/public/v1.0";
	case ATLAS_API_V2:
		break;
	}
	return "/api/atlas/v2";
}

/* includeCount is always asked for: without it a full page has no next link and a count of 0. */
static int
build_url(struct atlas_client *c)
{
	struct buf *b = &c->url;

	buf_reset(b);
	if (buf_printf(b, "%s%s/orgs/", c->base, api_path(c->o.api)) != 0 ||
	    append_encoded(b, c->o.org_id) != 0)
		return -1;
	if (c->asked == ASKED_ORG)
		return buf_str(b) == NULL ? -1 : 0;
	if (buf_printf(b, "/events?includeCount=true&includeRaw=%s&itemsPerPage=%u&pageNum=%u",
	               c->o.include_raw ? "true" : "false", c->question.rows, c->question.page) != 0 ||
	    append_time(b, "minDate", c->question.min_s) != 0 ||
	    append_time(b, "maxDate", c->question.max_s) != 0)
		return -1;
	for (size_t i = 0; i < c->o.n_event_types; i++)
		if (buf_append_str(b, "&eventType=") != 0 || append_encoded(b, c->o.event_types[i]) != 0)
			return -1;
	return buf_str(b) == NULL ? -1 : 0;
}

/* The secret is read once and kept only as long as it may be needed again. */
static int
need_secret(struct atlas_client *c, struct err *e)
{
	if (c->secret.len > 0)
		return 0;
	if (c->o.read_secret(c->o.read_secret_ctx, &c->secret, e) != 0) {
		buf_wipe(&c->secret);
		return -1;
	}
	if (buf_str(&c->secret) != NULL && c->secret.data[0] != '\0')
		return 0;
	buf_wipe(&c->secret);
	return err_set(e, ERR_SECRET, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR, "the secret is empty");
}

static struct atlas_token_place
token_place(const struct atlas_client *c)
{
	struct atlas_token_place place = { c->o.tokens_dirfd, c->base, c->o.user, c->o.name };

	return place;
}

/* True where a token is at hand; a kept one is looked for but once the kept one was refused. */
static bool
have_token(struct atlas_client *c)
{
	struct atlas_token_place place = token_place(c);
	int64_t now_s = clock_wall_s(c->o.clock);

	if (atlas_token_usable(&c->token, now_s))
		return true;
	atlas_token_drop(&c->token);
	return !c->tried_again && atlas_token_load(&c->token, &place, now_s);
}

static int
next_token(struct atlas_client *c, struct http_request *ret, struct err *e)
{
	struct buf *b = &c->url;

	if (need_secret(c, e) != 0)
		return -1;
	buf_reset(b);
	if (buf_printf(b, "%s/api/oauth/token", c->base) != 0 || buf_str(b) == NULL)
		return err_set_errno(e, ENOMEM, "token request");
	ret->url = b->data;
	ret->accept = "application/json";
	ret->form = "grant_type=client_credentials";
	ret->auth = HTTP_AUTH_BASIC;
	ret->user = c->o.user;
	ret->secret = c->secret.data;
	return 0;
}

static int
next_question(struct atlas_client *c, struct http_request *ret, struct err *e)
{
	if (!c->o.service_account && need_secret(c, e) != 0)
		return -1;
	if (build_url(c) != 0)
		return err_set_errno(e, ENOMEM, "question");
	ret->url = c->url.data;
	ret->accept = c->o.api == ATLAS_API_V2 ? "application/vnd.atlas.2023-01-01+json" : "application/json";
	ret->auth = c->o.service_account ? HTTP_AUTH_BEARER : HTTP_AUTH_DIGEST;
	ret->user = c->o.service_account ? NULL : c->o.user;
	ret->secret = c->o.service_account ? c->token.text : c->secret.data;
	c->counts.questions++;
	return 0;
}

int
atlas_next(struct atlas_client *c, struct http_request *ret_request, bool *ret_token, bool *ret_forget,
           struct err *e)
{
	struct http_request request = { 0 };
	bool token = c->o.service_account && !have_token(c);

	if ((token ? next_token(c, &request, e) : next_question(c, &request, e)) != 0)
		return -1;
	c->token_asked = token;
	*ret_request = request;
	*ret_token = token;
	*ret_forget = c->forget;
	c->forget = false;
	return 0;
}

static enum atlas_outcome
fail(struct err *e, const struct err *why)
{
	if (!err_is(e))
		*e = *why;
	return ATLAS_FAILED;
}

static enum atlas_outcome
take_token(struct atlas_client *c, struct http_answer *answer, struct err *e)
{
	struct atlas_token_place place = token_place(c);
	struct err why = { 0 };

	if (answer->status != 200) {
		atlas_classify(answer, true, &c->limits, &why);
		buf_wipe(answer->body);
		if (why.code == ERR_CREDENTIAL)
			buf_wipe(&c->secret);
		return fail(e, &why);
	}
	if (atlas_token_parse(&c->token, answer->body, clock_wall_s(c->o.clock), &why) != 0)
		return fail(e, &why);
	c->counts.tokens_minted++;
	buf_wipe(&c->secret);
	atlas_token_keep(&c->token, &place);
	return ATLAS_ASK_AGAIN;
}

/* A 401 to a question. True where it is worth one more try. */
static bool
refused(struct atlas_client *c, const struct http_answer *answer)
{
	struct atlas_token_place place = token_place(c);
	bool again;

	if (c->o.service_account) {
		again = !c->token.fresh && !c->tried_again;
		atlas_token_forget(&c->token, &place);
		atlas_token_drop(&c->token);
	} else {
		/* libcurl gives up silently on a challenge that it has no memory for: the key was not shown. */
		again = (c->accepted || answer->challenges == 0) && !c->tried_again;
		c->forget = true;
		if (!again)
			buf_wipe(&c->secret);
	}
	c->tried_again = true;
	return again;
}

/* Whether the body begins as a web page does, under a type that is no JSON. */
static bool
is_html(const struct http_answer *answer)
{
	const struct buf *b = answer->body;
	size_t i = 0;

	if (strcasestr(answer->content_type, "json") != NULL)
		return false;
	while (i < b->len && strchr(" \t\r\n\xef\xbb\xbf", b->data[i]) != NULL && b->data[i] != '\0')
		i++;
	return i < b->len && b->data[i] == '<';
}

/* The organization's own description: is it the one that was meant, and is it alive? */
static enum atlas_outcome
take_org(struct atlas_client *c, const struct http_answer *answer, struct err *e)
{
	json_t *object = NULL;
	const char *id;
	struct err why = { 0 };

	memory_watch();
	if (answer->body->len > 0 && answer->body->len <= SMALL_BODY_MAX)
		object = json_loadb(answer->body->data, answer->body->len, 0, NULL);
	if (memory_was_short()) {
		err_set_errno(&why, ENOMEM, "the organization's description");
	} else if (!json_is_object(object)) {
		err_set(&why, ERR_PAGE, ERR_SCOPE_PAGE, ERR_RETRY_NOW,
		        "the organization's description is not sound JSON");
		c->counts.malformed++;
	} else {
		id = json_string_value(json_object_get(object, "id"));
		if (id == NULL) {
			/* Whatever answers with 200 to anything would pass for a credential that works. */
			err_set(&why, ERR_PAGE, ERR_SCOPE_PAGE, ERR_RETRY_NOW,
			        "the answer is no organization's description: it has no id");
			err_hint(&why, "check base_url and api; a proxy or a login page on the way may have answered");
		} else if (strcasecmp(id, c->o.org_id) != 0) {
			err_set(&why, ERR_ROLE, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR,
			        "the server answers for another organization than %s", c->o.org_id);
			err_hint(&why, "check that org_id and credential belong together");
		} else if (json_is_true(json_object_get(object, "isDeleted"))) {
			err_set(&why, ERR_TENANT, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR,
			        "the organization is deleted");
			err_hint(&why, "remove it from the configuration, or disable it there");
		}
	}
	json_decref(object);
	if (!err_is(&why))
		return ATLAS_ANSWERED;
	why.http_status = answer->status;
	return fail(e, &why);
}

static enum atlas_outcome
take_events(struct atlas_client *c, const struct http_answer *answer, struct page *page, struct err *e)
{
	static char nothing[1];
	struct err why = { 0 };

	if (page_scan(page, answer->body->len > 0 ? answer->body->data : nothing, answer->body->len,
	              c->o.org_id, &why) == 0)
		return ATLAS_ANSWERED;
	if (why.code == ERR_PAGE) {
		c->counts.malformed++;
		why.http_status = answer->status;
	}
	return fail(e, &why);
}

static enum atlas_outcome
take_question(struct atlas_client *c, struct http_answer *answer, struct page *page, struct err *e)
{
	struct err why = { 0 };

	if (answer->status != 200) {
		atlas_classify(answer, false, &c->limits, &why);
		if (answer->status == 401 && why.code == ERR_CREDENTIAL && refused(c, answer))
			return ATLAS_ASK_AGAIN;
		return fail(e, &why);
	}
	if (is_html(answer)) {
		err_set(&why, ERR_SERVER, ERR_SCOPE_ORGANIZATION, ERR_RETRY_LATER,
		        "the answer is a web page, not Atlas's");
		err_hint(&why, "check base_url; a proxy or a login page on the way may have answered");
		why.http_status = answer->status;
		return fail(e, &why);
	}
	c->accepted = true;
	c->token.fresh = false;
	return c->asked == ASKED_ORG ? take_org(c, answer, e) : take_events(c, answer, page, e);
}

enum atlas_outcome
atlas_take(struct atlas_client *c, struct http_answer *answer, struct page *page, struct err *e)
{
	struct err why;

	c->limits = no_limits;
	if (!err_is(&answer->err))
		return c->token_asked ? take_token(c, answer, e) : take_question(c, answer, page, e);
	why = answer->err;
	/* Only a page of events can be asked for in smaller parts. */
	if (why.code == ERR_TOO_BIG && (c->token_asked || c->asked == ASKED_ORG)) {
		why.code = ERR_SERVER;
		why.scope = ERR_SCOPE_ORGANIZATION;
		why.retry = ERR_RETRY_LATER;
	}
	return fail(e, &why);
}
