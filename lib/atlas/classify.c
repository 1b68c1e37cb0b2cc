/* What an answer that is no 200 means. By HTTP status first: every refused key is told apart by its 401
 * alone (its body says UNEXPECTED_ERROR), and a proxy may answer HTML; by errorCode second. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "lib/atlas/client.h"
#include "lib/base/memory.h"

#define BODY_MAX 65536
#define WAIT_MAX_S INT64_C(1000000000)

/* An error body, as far as it is one. */
struct error_body {
	char code[80];       /* errorCode, or OAuth's error in its own small letters; "" */
	char address[64];    /* parameters[0] where it reads like an IP address; "" */
	bool is_json;        /* an object, whoever wrote it */
	bool no_memory;      /* to read it: nothing is known of it */
	int64_t numbers[4];  /* parameters[1..4] where they are numbers, else -1 */
};

/* Nothing of a server's words goes into our messages but what passes these two: a body may quote what
 * it was sent. */
static bool
is_address(const char *text)
{
	return strlen(text) < 64 && strpbrk(text, ".:") != NULL &&
	       strspn(text, "0123456789abcdefABCDEF.:/") == strlen(text);
}

static bool
is_code(const char *text, const char *letters)
{
	return strlen(text) < 64 && strspn(text, letters) == strlen(text);
}

static void
read_parameters(struct error_body *b, json_t *list)
{
	const char *first = json_string_value(json_array_get(list, 0));
	json_t *value;

	if (first != NULL && is_address(first))
		snprintf(b->address, sizeof(b->address), "%s", first);
	for (size_t i = 0; i < 4; i++) {
		value = json_array_get(list, i + 1);
		if (json_is_number(value) && json_number_value(value) >= 0)
			b->numbers[i] = json_number_value(value) > WAIT_MAX_S ?
			                WAIT_MAX_S : (int64_t)json_number_value(value);
	}
}

static void
read_body(struct error_body *b, const struct buf *body)
{
	json_t *object = NULL, *code, *error;

	memset(b, 0, sizeof(*b));
	for (size_t i = 0; i < 4; i++)
		b->numbers[i] = -1;
	memory_watch();
	if (body != NULL && body->len > 0 && body->len <= BODY_MAX)
		object = json_loadb(body->data, body->len, 0, NULL);
	b->no_memory = memory_was_short();
	if (json_is_object(object) && !b->no_memory) {
		b->is_json = true;
		code = json_object_get(object, "errorCode");
		error = json_object_get(object, "error");
		if (json_is_string(code) && is_code(json_string_value(code), "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"))
			snprintf(b->code, sizeof(b->code), "%s", json_string_value(code));
		else if (json_is_string(error) && is_code(json_string_value(error), "abcdefghijklmnopqrstuvwxyz_"))
			snprintf(b->code, sizeof(b->code), "%s", json_string_value(error));
		read_parameters(b, json_object_get(object, "parameters"));
	}
	json_decref(object);
}

static bool
code_is(const struct error_body *b, const char *code)
{
	return strcmp(b->code, code) == 0;
}

static bool
code_begins(const struct error_body *b, const char *prefix)
{
	return strncmp(b->code, prefix, strlen(prefix)) == 0;
}

/* The key is right, but not for this. */
static bool
is_role(const struct error_body *b)
{
	return code_is(b, "USER_UNAUTHORIZED") || code_is(b, "USER_CANNOT_ACCESS_ORG") ||
	       code_begins(b, "NOT_ORG_");
}

/* " (CODE)", or nothing. out holds 90 bytes. */
static const char *
in_brackets(const struct error_body *b, char *out)
{
	out[0] = '\0';
	if (b->code[0] != '\0')
		snprintf(out, 90, " (%s)", b->code);
	return out;
}

static void
role(const struct error_body *b, int status, struct err *e)
{
	char code[90];

	err_set(e, ERR_ROLE, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR,
	        "the credential may not read this organization's events: status %d%s", status,
	        in_brackets(b, code));
	err_hint(e, "check that org_id and credential belong together, and give the credential the role "
	            "Organization Member (or Organization Read Only)");
}

static void
tenant(const struct error_body *b, int status, struct err *e)
{
	char code[90];

	err_set(e, ERR_TENANT, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR,
	        "Atlas has suspended or closed this organization: status %d%s", status,
	        in_brackets(b, code));
	err_hint(e, status == 402 ? "pay what is due for the organization, or disable it here" :
	                            "have the organization reactivated, or disable it here");
}

static void
bad_request(const struct error_body *b, int status, bool token_request, struct err *e)
{
	char code[90];

	err_set(e, ERR_REQUEST, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR, "%s refuses the question: "
	        "status %d%s", token_request ? "the token endpoint" : "the server", status,
	        in_brackets(b, code));
	if (code_is(b, "INVALID_ENUM_VALUE"))
		err_hint(e, "check event_types: this server does not know one of the names");
	else if (status == 406 || status == 410 || code_is(b, "INVALID_VERSION_DATE"))
		err_hint(e, "this server does not speak the API version asked for: check api, or look for a "
		            "newer orgsync");
	else
		err_hint(e, "check base_url and api; if they are right this is a fault of orgsync's to report");
}

/* 401 and 403 of the token endpoint, and its 400 in OAuth's manner. */
static void
client_refused(const struct error_body *b, int status, struct err *e)
{
	char code[90];

	err_set(e, ERR_CREDENTIAL, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR,
	        "no access token is given for this service account: status %d%s", status,
	        in_brackets(b, code));
	if (code_is(b, "access_denied"))
		err_hint(e, "a service account may hold 100 live access tokens: revoke some, or wait an hour "
		            "for them to expire");
	else
		err_hint(e, "check client_id and client_secret; the secret may have expired: make a new one");
}

static void
unauthorized(const struct error_body *b, bool token_request, struct err *e)
{
	char code[90];

	if (!token_request && is_role(b)) {
		role(b, 401, e);
		return;
	}
	if (token_request) {
		client_refused(b, 401, e);
		return;
	}
	err_set(e, ERR_CREDENTIAL, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR,
	        "the credential is refused: status 401%s", in_brackets(b, code));
	err_hint(e, "check that the key or the service account still exists in this organization and that "
	            "its secret is the right one");
}

static void
not_atlas(int status, enum err_retry retry, struct err *e)
{
	err_set(e, ERR_SERVER, ERR_SCOPE_ORGANIZATION, retry,
	        "an answer that is not Atlas's: status %d without an Atlas error", status);
	err_hint(e, "check base_url; a proxy or firewall on the way may have answered");
}

static void
forbidden(const struct error_body *b, bool token_request, struct err *e)
{
	if (code_is(b, "IP_ADDRESS_NOT_ON_ACCESS_LIST") || code_is(b, "IP_ADDRESS_NOT_ON_WHITELIST")) {
		err_set(e, ERR_ACCESS_LIST, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR,
		        "this machine's address%s%s is not on the API access list (%s)",
		        b->address[0] == '\0' ? "" : " ", b->address, b->code);
		err_hint(e, "add %s to the API access list of this key or service account",
		         b->address[0] == '\0' ? "this machine's public address" : b->address);
	} else if (code_begins(b, "ORG_REQUIRES_")) {
		err_set(e, ERR_ACCESS_LIST, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR,
		        "the organization wants an API access list on every credential (%s)", b->code);
		err_hint(e, "give this key or service account an API access list with this machine's public "
		            "address");
	} else if (code_is(b, "INACTIVE_ORG") || code_is(b, "ACCOUNT_SUSPENDED")) {
		tenant(b, 403, e);
	} else if (!b->is_json) {
		not_atlas(403, ERR_RETRY_LATER, e);
	} else if (token_request) {
		client_refused(b, 403, e);
	} else {
		role(b, 403, e);
	}
}

static void
not_found(const struct error_body *b, bool token_request, struct err *e)
{
	char code[90];

	if (token_request) {
		bad_request(b, 404, true, e);
		return;
	}
	err_set(e, ERR_ORG_UNKNOWN, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR,
	        "no such organization: status 404%s", in_brackets(b, code));
	err_hint(e, b->is_json ? "check org_id" : "check org_id, base_url and api: the answer is not Atlas's");
}

static void
too_many(const struct error_body *b, bool token_request, struct atlas_limits *limits, struct err *e)
{
	char code[90], wait[60] = "";
	/* ["api/atlas/v2/orgs", wait, capacity, refill, period in s] or ["/api/oauth/token", count, minutes] */
	if (code_is(b, "RATE_LIMITED") && b->numbers[2] < 0) {
		limits->capacity = limits->refill = b->numbers[0];
		limits->refill_period_s = b->numbers[1] < 0 ? -1 : b->numbers[1] * 60;
	} else {
		if (b->numbers[0] > limits->retry_after_s)
			limits->retry_after_s = b->numbers[0];
		limits->capacity = b->numbers[1];
		limits->refill = b->numbers[2];
		limits->refill_period_s = b->numbers[3];
	}
	if (limits->retry_after_s >= 0)
		snprintf(wait, sizeof(wait), "; it asks for a pause of %lld s", (long long)limits->retry_after_s);
	err_set(e, ERR_RATE_LIMITED, ERR_SCOPE_ORGANIZATION, ERR_RETRY_LATER,
	        "%s answers that requests come too fast: status 429%s%s",
	        token_request ? "the token endpoint" : "the server", in_brackets(b, code), wait);
	err_hint(e, "other tools of this organization draw on the same allowance; a lower "
	            "requests_per_minute leaves them some");
}

/* Never followed, so it costs nothing to ask again: one that calls itself temporary is what a proxy, a
 * login page or a server under maintenance sends, and may be gone the next time. */
static void
redirected(const struct http_answer *answer, struct err *e)
{
	bool temporary = answer->status == 302 || answer->status == 303 || answer->status == 307;
	bool named = answer->location_host[0] != '\0';

	err_set(e, ERR_REDIRECT, ERR_SCOPE_ORGANIZATION, temporary ? ERR_RETRY_LATER : ERR_RETRY_OPERATOR,
	        "the server redirects%s%s (status %d); redirects are never followed", named ? " to " : "",
	        answer->location_host, answer->status);
	err_hint(e, "set base_url to where the API really is, if that is a host to trust");
}

static void
server_trouble(const struct error_body *b, int status, struct err *e)
{
	char code[90];

	err_set(e, ERR_SERVER, ERR_SCOPE_ORGANIZATION, ERR_RETRY_LATER,
	        "the server has trouble: status %d%s%s", status, in_brackets(b, code),
	        b->is_json ? "" : ", without an Atlas error");
}

static void
client_error(const struct error_body *b, const struct http_answer *answer, bool token_request,
             struct atlas_limits *limits, struct err *e)
{
	switch (answer->status) {
	case 400:
		if (code_is(b, "INACTIVE_ORG"))
			tenant(b, 400, e);
		else if (token_request && (code_is(b, "invalid_client") || code_is(b, "unauthorized_client")))
			client_refused(b, 400, e);
		else
			bad_request(b, 400, token_request, e);
		break;
	case 401:
		unauthorized(b, token_request, e);
		break;
	case 402:
		tenant(b, 402, e);
		break;
	case 403:
		forbidden(b, token_request, e);
		break;
	case 404:
		not_found(b, token_request, e);
		break;
	case 408:
	case 425:
		server_trouble(b, answer->status, e);
		break;
	case 429:
		too_many(b, token_request, limits, e);
		break;
	default:
		bad_request(b, answer->status, token_request, e);
		break;
	}
}

void
atlas_classify(const struct http_answer *answer, bool token_request, struct atlas_limits *ret_limits,
               struct err *e)
{
	struct atlas_limits limits = { -1, -1, -1, answer->retry_after_s };
	struct error_body b;

	read_body(&b, answer->body);
	if (limits.retry_after_s > WAIT_MAX_S)
		limits.retry_after_s = WAIT_MAX_S;
	if (b.no_memory)
		err_set(e, ERR_NOMEM, ERR_SCOPE_ORGANIZATION, ERR_RETRY_LATER,
		        "no memory to read the answer of status %d", answer->status);
	else if (answer->status >= 500 && answer->status <= 599)
		server_trouble(&b, answer->status, e);
	else if (answer->status >= 400 && answer->status <= 499)
		client_error(&b, answer, token_request, &limits, e);
	else if (answer->status >= 300 && answer->status <= 399 && answer->status != 304)
		redirected(answer, e);
	else
		not_atlas(answer->status, ERR_RETRY_LATER, e);
	e->http_status = answer->status;
	if (limits.retry_after_s >= 0)
		e->retry_after_ms = limits.retry_after_s * 1000;
	*ret_limits = limits;
}
