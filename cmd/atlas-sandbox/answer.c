/* answer.c: what the API does with a request. */
#include "cmd/atlas-sandbox/answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/atlas-sandbox/hash.h"
#include "cmd/atlas-sandbox/limits.h"
#include "cmd/atlas-sandbox/prepared.h"
#include "cmd/atlas-sandbox/render.h"

#define HANG_MS 300000
#define URL_MAX 2200

enum api { API_V2, API_V1, API_PUBLIC };
static const char *const prefixes[] = { "/api/atlas/v2", "/api/atlas/v1.0", "/api/public/v1.0" };

enum route { ROUTE_NONE, ROUTE_TOKEN, ROUTE_REVOKE, ROUTE_ORG, ROUTE_EVENTS };

struct target {
	enum route route;
	enum api api;
	char org_id[64];
	const char *query;   /* after '?', or NULL */
};

void
answer_init(struct answer *a)
{
	memset(a, 0, sizeof *a);
	reply_init(&a->reply);
	a->in_flight = -1;
}

void
answer_free(struct answer *a, struct sandbox *sb)
{
	reply_free(&a->reply);
	if (a->in_flight >= 0) {
		struct account *account = &sb->accounts[a->in_flight];

		pthread_mutex_lock(&account->lock);
		account->now_in_flight--;
		pthread_mutex_unlock(&account->lock);
	}
}

static void
parse_target(const char *uri, struct target *t)
{
	size_t path_len = strcspn(uri, "?"), len;
	const char *rest;

	memset(t, 0, sizeof *t);
	t->query = uri[path_len] == '?' ? uri + path_len + 1 : NULL;
	if (path_len == 16 && memcmp(uri, "/api/oauth/token", 16) == 0)
		t->route = ROUTE_TOKEN;
	if (path_len == 17 && memcmp(uri, "/api/oauth/revoke", 17) == 0)
		t->route = ROUTE_REVOKE;
	for (int api = API_V2; api <= API_PUBLIC; api++) {
		len = strlen(prefixes[api]);
		if (strncmp(uri, prefixes[api], len) != 0 || strncmp(uri + len, "/orgs/", 6) != 0)
			continue;
		t->api = (enum api)api;
		rest = uri + len + 6;
		len = strcspn(rest, "/?");
		if (len == 0 || len >= sizeof t->org_id || strcspn(rest, "\"\\<>%") < len)
			return;
		memcpy(t->org_id, rest, len);
		rest += len;
		if (rest == uri + path_len)
			t->route = ROUTE_ORG;
		else if ((size_t)(uri + path_len - rest) == 7 && memcmp(rest, "/events", 7) == 0)
			t->route = ROUTE_EVENTS;
	}
}

/* Counts a request of the organization whose path it is; a credential of another one is a violation. */
static void
count_request(struct answer *a, struct sandbox *sb, int org, const struct question *q,
              const struct auth *auth)
{
	struct account *account = &sb->accounts[org];

	pthread_mutex_lock(&account->lock);
	account->requests++;
	if (account->last_connection != q->connection) {
		account->last_connection = q->connection;
		account->connections++;
	}
	if (auth->kind == AUTH_NOTHING)
		account->challenges++;
	else if (!auth->ok)
		account->unauthorized++;
	if (auth->claimed >= 0 && auth->claimed != org)
		account->violations++;
	if (++account->now_in_flight > account->max_in_flight)
		account->max_in_flight = account->now_in_flight;
	pthread_mutex_unlock(&account->lock);
	a->in_flight = org;
}

static const char *const versions[] = { /* published ones; each resolves to 2023-01-01 here */
	"2023-01-01", "2023-02-01", "2023-10-01", "2023-11-15", "2024-05-30", "2024-08-05",
	"2024-10-23", "2024-11-13", "2025-02-19", "2025-03-12"
};

static bool
version_known(const char *accept)
{
	const char *at = accept == NULL ? NULL : strstr(accept, "application/vnd.atlas.");

	if (at == NULL)
		return false;
	at += 22;
	for (size_t i = 0; i < sizeof versions / sizeof *versions; i++)
		if (strncmp(at, versions[i], 10) == 0 && strncmp(at + 10, "+json", 5) == 0)
			return true;
	return false;
}

/* What the organization itself has against the request. True where the reply is made. */
static bool
refused(struct answer *a, const struct org *org, const struct question *q)
{
	struct reply *r = &a->reply;
	char parameters[96];

	switch (org->set.refuse) {
	case REFUSE_ACCESS_LIST:
		snprintf(parameters, sizeof parameters, "[\"%s\"]", q->address);
		reply_error(r, 403, "Forbidden", "IP_ADDRESS_NOT_ON_ACCESS_LIST", parameters,
		            "IP address is not allowed to access this resource.");
		return true;
	case REFUSE_UNKNOWN:
		snprintf(parameters, sizeof parameters, "[\"%s\"]", org->org_id);
		reply_error(r, 404, "Not Found", "ORG_NOT_FOUND", parameters,
		            "No organization with that ID exists.");
		return true;
	case REFUSE_SUSPENDED:
		reply_error(r, 402, "Payment Required", "ACCOUNT_SUSPENDED", "[]",
		            "The organization is suspended until its invoices are paid.");
		return true;
	case REFUSE_ROLE:
		reply_error(r, 403, "Forbidden", "USER_UNAUTHORIZED", "[]",
		            "Current user is not authorized to perform this action.");
		return true;
	case REFUSE_ROLE_401:
		reply_error(r, 401, "Unauthorized", "USER_UNAUTHORIZED", "[]",
		            "Current user is not authorized to perform this action.");
		return true;
	case REFUSE_INACTIVE:
		reply_error(r, 400, "Bad Request", "INACTIVE_ORG", "[]", "The organization is inactive.");
		return true;
	default:
		return false;
	}
}

/* Takes a token from the bucket. True where there is none and the reply is made. */
static bool
limited(struct answer *a, struct sandbox *sb, int org, enum bucket bucket)
{
	int64_t remaining, wait_s = limits_take(sb, &sb->accounts[org], bucket, &remaining);

	if (!sb->options.no_limit_headers) {
		a->reply.limit = sb->options.capacity;
		a->reply.remaining = remaining;
	}
	if (wait_s == 0)
		return false;
	reply_limited(&a->reply, sb, a->prefix, wait_s);
	return true;
}

/* Draws the fault of a request. True where it takes the place of the answer. A nonce can be stale only
 * where there is one. */
static bool
faulty(struct answer *a, struct sandbox *sb, int index, const struct question *q, bool has_nonce)
{
	const struct org *org = &sb->orgs[index];
	struct account *account = &sb->accounts[index];

	pthread_mutex_lock(&account->lock);
	a->salt = ++account->questions;
	a->fault = fault_of(&org->set, sb->options.fault_seed, org->number, a->salt);
	if (a->fault == FAULT_STALE && !has_nonce)
		a->fault = FAULT_NONE;
	account->faults += a->fault != FAULT_NONE;
	pthread_mutex_unlock(&account->lock);
	switch (a->fault) {
	case FAULT_429:
		reply_limited(&a->reply, sb, a->prefix, 1);
		return true;
	case FAULT_500:
		reply_error(&a->reply, 500, "Internal Server Error", "UNEXPECTED_ERROR", "[]",
		            "Unexpected error.");
		return true;
	case FAULT_503:
		reply_html(&a->reply, 503, "Service Temporarily Unavailable");
		return true;
	case FAULT_RESET:
		a->then = ANSWER_RESET;
		return true;
	case FAULT_STALE:
		reply_unauthorized(&a->reply, sb, true);
		return true;
	case FAULT_REDIRECT:
		a->reply.status = 302;
		snprintf(a->reply.location, sizeof a->reply.location, "http://%s/_sandbox/elsewhere",
		         q->host != NULL ? q->host : "127.0.0.1");
		return true;
	case FAULT_GATEWAY:
		if (hash_mix(a->salt) % 2 == 0)
			reply_html(&a->reply, 502, "Bad Gateway");
		else
			reply_html(&a->reply, 504, "Gateway Time-out");
		return true;
	case FAULT_EMPTY: /* nothing at all, or the page of whoever stands in between */
		if (hash_mix(a->salt) % 2 == 0)
			reply_html(&a->reply, 200, "Welcome");
		return true;
	case FAULT_HANG:
		a->then = ANSWER_HANG;
		a->wait_ms = (int64_t)(HANG_MS / sb->options.time_scale);
		return true;
	default: /* truncated and malformed ones are done to the finished page */
		return false;
	}
}

static bool
is_hex24(const char *text)
{
	return strlen(text) == ID_LEN && text[strspn(text, "0123456789abcdef")] == '\0';
}

static void
begin_org(struct answer *a, struct sandbox *sb, const struct target *t)
{
	const struct org *org = a->org;

	a->reply.content_type = t->api == API_V2 ? TYPE_V2 : TYPE_JSON;
	a->reply.java_method = "ApiOrganizationsResource::getOrg";
	if (buf_printf(&a->reply.body, "{\"id\":\"%s\",\"isDeleted\":false,\"links\":[],\"name\":\"%s\"}",
	               org->org_id, org->name) != 0)
		reply_error(&a->reply, 500, "Internal Server Error", "UNEXPECTED_ERROR", "[]", "No memory.");
	(void)sb;
}

static void
begin_events(struct answer *a, const struct target *t)
{
	struct query_error error;
	char parameters[96];

	a->reply.java_method = "ApiOrgEventsResource::getAllEvents";
	if (query_parse(t->query, &a->query, &error) != 0) {
		size_t n = strspn(error.parameter, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");

		snprintf(parameters, sizeof parameters, "[\"%.*s\"]", (int)n, error.parameter);
		reply_error(&a->reply, 400, "Bad Request", error.code, parameters, error.detail);
		if (a->query.envelope)
			reply_envelope(&a->reply);
		return;
	}
	a->reply.content_type = t->api == API_V2 ? TYPE_V2 : TYPE_JSON;
	a->is_page = true;
}

/* A request to an organization's path: the order of the checks is the one of the real API as far as it
 * is known (the credential first). */
static void
begin_api(struct answer *a, struct sandbox *sb, const struct target *t, const struct question *q)
{
	int index = sandbox_find_org_id(sb, t->org_id);
	struct auth auth;

	auth_check(sb, q->authorization, q->method, q->uri, &auth);
	if (index >= 0)
		count_request(a, sb, index, q, &auth);
	a->prefix = prefixes[t->api];
	if (index >= 0)
		a->wait_ms = sb->orgs[index].set.latency_ms;
	if (!auth.ok || (auth.kind == AUTH_BEARER && t->api == API_PUBLIC)) {
		reply_unauthorized(&a->reply, sb, auth.stale);
		return;
	}
	a->wait_ms = sb->orgs[auth.claimed].set.latency_ms;
	if (limited(a, sb, auth.claimed, t->route == ROUTE_EVENTS ? BUCKET_EVENTS : BUCKET_ORG) ||
	    faulty(a, sb, auth.claimed, q, auth.kind == AUTH_DIGEST))
		return;
	if (t->api == API_V2 && !version_known(q->accept)) {
		reply_error(&a->reply, 406, "Not Acceptable", "INVALID_VERSION_DATE", "[]",
		            "The Accept header names no version of this resource.");
		return;
	}
	if (index < 0) {
		bool sane = is_hex24(t->org_id);
		char parameters[96];

		snprintf(parameters, sizeof parameters, "[\"%s\"]", t->org_id);
		reply_error(&a->reply, 404, "Not Found", sane ? "ORG_NOT_FOUND" : "INVALID_ORG_ID",
		            parameters, "No organization with that ID exists.");
		return;
	}
	if (index != auth.claimed) {
		reply_error(&a->reply, 403, "Forbidden", "USER_CANNOT_ACCESS_ORG", "[]",
		            "Current user is not authorized to access this organization.");
		return;
	}
	a->org = &sb->orgs[index];
	if (refused(a, a->org, q))
		return;
	if (t->route == ROUTE_ORG)
		begin_org(a, sb, t);
	else
		begin_events(a, t);
}

static void
begin_token(struct answer *a, struct sandbox *sb, const struct question *q)
{
	struct token_answer answer;

	auth_token(sb, q->authorization, q->form, q->address, &answer);
	a->prefix = "/api/oauth/token";
	if (answer.org >= 0) {
		a->wait_ms = sb->orgs[answer.org].set.latency_ms;
		if (answer.outcome == TOKEN_MINTED && faulty(a, sb, answer.org, q, false))
			return;
	}
	reply_token(&a->reply, sb, &answer);
}

void
answer_begin(struct answer *a, struct sandbox *sb, const struct question *q)
{
	struct target t;
	bool post = strcmp(q->method, "POST") == 0;

	parse_target(q->uri, &t);
	if (t.route == ROUTE_NONE) {
		reply_error(&a->reply, 404, "Not Found", "RESOURCE_NOT_FOUND", "[]",
		            "Cannot find the resource of this path.");
		return;
	}
	if (post != (t.route == ROUTE_TOKEN || t.route == ROUTE_REVOKE) ||
	    (!post && strcmp(q->method, "GET") != 0)) {
		reply_error(&a->reply, 405, "Method Not Allowed", "METHOD_NOT_ALLOWED", "[]",
		            "This method is not allowed here.");
		return;
	}
	switch (t.route) {
	case ROUTE_TOKEN:
		begin_token(a, sb, q);
		break;
	case ROUTE_REVOKE:
		a->reply.status = auth_revoke(sb, q->authorization, q->form) ? 200 : 401;
		break;
	default:
		begin_api(a, sb, &t, q);
	}
}

static void
make_page(struct answer *a, struct sandbox *sb, const struct question *q)
{
	const struct org *org = a->org;
	const struct query *query = &a->query;
	unsigned rows = query->rows;
	uint64_t positions[ROWS_MAX], total = 0, salt = org->set.order == ORDER_CHANGING ? a->salt : 0;
	struct filter filter = {
		.min_ms = query->min_ms, .max_ms = query->max_ms, .now_ms = sandbox_now_ms(sb),
		.types = query->has_types ? query->types : NULL
	};
	struct render_page page = {
		.org = org, .positions = positions, .raw = query->raw, .envelope = query->envelope,
		.style = query->pretty ? STYLE_PRETTY : org->set.style
	};
	char urls[3][URL_MAX + 200], base[URL_MAX];
	const char *query_text = strchr(q->uri, '?');

	if (org->set.silent_cap > 0 && rows > org->set.silent_cap)
		rows = org->set.silent_cap;
	page.n = model_page(org, &filter, (query->page - 1) * rows, rows, salt, positions,
	                    query->count ? &total : NULL);
	snprintf(base, sizeof base, "%s://%.255s%s/orgs/%s/events?", sb->options.tls_cert ? "https" : "http",
	         q->host != NULL && q->host[strcspn(q->host, "\"\\")] == '\0' ? q->host : "127.0.0.1",
	         a->prefix, org->org_id);
	for (int i = 0; i < 3; i++) {
		size_t n = (size_t)snprintf(urls[i], sizeof urls[i], "%s", base);
		uint64_t number = i == 0 ? query->page : i == 1 ? query->page + 1 : query->page - 1;

		query_link(query_text != NULL ? query_text + 1 : NULL, number, query->rows, urls[i] + n,
		           sizeof urls[i] - n);
	}
	page.self = urls[0];
	page.next = query->count && query->page * rows < total ? urls[1] : NULL;
	page.previous = query->page > 1 ? urls[2] : NULL;
	page.total_count = total;
	if (query->count && org->set.count_wrong) {
		uint64_t off = hash_two(org->key + 9, a->salt) % 7;

		page.total_count = total + off < 3 ? 0 : total + off - 3;
	}
	/* What is done to a page as text is done to text. */
	a->reply.packed = sb->prepared != NULL && q->takes_gzip && !sb->options.no_gzip && a->fault == FAULT_NONE && page.n > 0 &&
	                  !page.envelope && page.style != STYLE_PRETTY;
	if ((a->reply.packed ? prepared_page(sb->prepared, &a->reply.body, &page) : render_page(&a->reply.body, &page)) != 0) {
		a->reply.packed = false;
		buf_reset(&a->reply.body);
		reply_error(&a->reply, 500, "Internal Server Error", "UNEXPECTED_ERROR", "[]", "No memory.");
		return;
	}
	pthread_mutex_lock(&sb->accounts[org->number - 1].lock);
	sb->accounts[org->number - 1].rows += page.n;
	pthread_mutex_unlock(&sb->accounts[org->number - 1].lock);
}

void
answer_finish(struct answer *a, struct sandbox *sb, const struct question *q)
{
	struct reply *r = &a->reply;

	if (a->is_page)
		make_page(a, sb, q);
	if (a->fault == FAULT_TRUNCATE)
		r->truncate = true;
	if (a->fault == FAULT_MALFORMED && r->body.len > 0)
		r->body.len = fault_damage(r->body.data, r->body.len, hash_mix(a->salt));
	if (a->in_flight >= 0 && r->status == 200 && a->fault == FAULT_NONE) {
		pthread_mutex_lock(&sb->accounts[a->in_flight].lock);
		sb->accounts[a->in_flight].ok++;
		pthread_mutex_unlock(&sb->accounts[a->in_flight].lock);
	}
}
