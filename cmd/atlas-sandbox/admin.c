/* admin.c: ids, events, stats, and moving the clock. */
#include "cmd/atlas-sandbox/admin.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static void
not_found(struct answer *a)
{
	reply_error(&a->reply, 404, "Not Found", "RESOURCE_NOT_FOUND", "[]", "No such sandbox resource.");
}

/* The value of name in the query, decoded. False where it is not there. */
static bool
argument(const char *uri, const char *name, char *out, size_t size)
{
	const char *p = strchr(uri, '?');
	size_t name_len = strlen(name);

	while (p != NULL && *p != '\0') {
		size_t len = strcspn(++p, "&");

		if (len > name_len && strncmp(p, name, name_len) == 0 && p[name_len] == '=')
			return query_decode(p + name_len + 1, len - name_len - 1, out, size) >= 0;
		p += len;
	}
	return false;
}

static void
list(struct answer *a, struct sandbox *sb, const struct question *q, enum listing_kind kind,
     const char *name, struct listing **ret)
{
	int64_t from = 0, to = INT64_C(4102444800000);
	char text[64], org[80];
	size_t len = strcspn(name, "?");
	bool raw = true;
	int index;

	if (len >= sizeof org) {
		not_found(a);
		return;
	}
	memcpy(org, name, len);
	org[len] = '\0';
	index = sandbox_find(sb, org);
	if (argument(q->uri, "raw", text, sizeof text))
		raw = strcmp(text, "false") != 0;
	if ((argument(q->uri, "from", text, sizeof text) && parse_iso_ms(text, &from) != 0) ||
	    (argument(q->uri, "to", text, sizeof text) && parse_iso_ms(text, &to) != 0)) {
		reply_error(&a->reply, 400, "Bad Request", "INVALID_DATE_FORMAT", "[]", "from, to");
		return;
	}
	*ret = index < 0 ? NULL : malloc(sizeof **ret);
	if (*ret == NULL) {
		not_found(a);
		return;
	}
	a->reply.content_type = "text/plain; charset=utf-8";
	listing_init(*ret, &sb->orgs[index], kind, raw, sandbox_now_ms(sb), from, to);
}

static json_t *
account_json(const struct org *org, struct account *account)
{
	json_t *object;

	pthread_mutex_lock(&account->lock);
	object = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:i}",
	                   "org_id", org->org_id, "requests", (json_int_t)account->requests,
	                   "ok", (json_int_t)account->ok, "challenges", (json_int_t)account->challenges,
	                   "unauthorized", (json_int_t)account->unauthorized,
	                   "limited", (json_int_t)account->limited,
	                   "tokens_minted", (json_int_t)account->minted,
	                   "connections", (json_int_t)account->connections,
	                   "credential_violations", (json_int_t)account->violations,
	                   "faults", (json_int_t)account->faults, "rows", (json_int_t)account->rows,
	                   "max_concurrent", (int)account->max_in_flight);
	pthread_mutex_unlock(&account->lock);
	return object;
}

static void
stats(struct answer *a, struct sandbox *sb)
{
	json_t *orgs = json_object(), *whole, *one;
	char *text = NULL;
	json_int_t violations = 0;

	for (size_t i = 0; i < sb->n_orgs; i++) {
		one = account_json(&sb->orgs[i], &sb->accounts[i]);
		violations += json_integer_value(json_object_get(one, "credential_violations"));
		json_object_set_new(orgs, sb->orgs[i].name, one);
	}
	whole = json_pack("{s:I, s:I, s:I, s:I, s:o}",
	                  "now_ms", (json_int_t)sandbox_now_ms(sb),
	                  "connections", (json_int_t)atomic_load(&sb->connections),
	                  "redirects_followed", (json_int_t)atomic_load(&sb->redirected),
	                  "credential_violations", violations, "organizations", orgs);
	text = whole == NULL ? NULL : json_dumps(whole, JSON_INDENT(1));
	if (text == NULL || buf_append_str(&a->reply.body, text) != 0)
		a->reply.status = 500;
	free(text);
	json_decref(whole);
}

static void
shift(struct answer *a, struct sandbox *sb, const struct question *q)
{
	char text[64];
	double seconds;

	if (strcmp(q->method, "POST") != 0 || !argument(q->uri, "seconds", text, sizeof text) ||
	    parse_double(text, 0, 1e9, &seconds) != 0) {
		reply_error(&a->reply, 400, "Bad Request", "INVALID_QUERY_PARAMETER", "[]",
		            "POST with seconds=N is needed.");
		return;
	}
	atomic_fetch_add(&sb->shift_ms, (int64_t)(seconds * 1000));
	if (buf_printf(&a->reply.body, "{\"now_ms\":%lld}\n", (long long)sandbox_now_ms(sb)) != 0)
		a->reply.status = 500;
}

bool
admin_answer(struct answer *a, struct sandbox *sb, const struct question *q,
             struct listing **ret_listing)
{
	const char *rest = q->uri + 10;
	size_t len;

	*ret_listing = NULL;
	if (strncmp(q->uri, "/_sandbox/", 10) != 0)
		return false;
	len = strcspn(rest, "?");
	if (strncmp(rest, "ids/", 4) == 0) {
		list(a, sb, q, LISTING_IDS, rest + 4, ret_listing);
	} else if (strncmp(rest, "events/", 7) == 0) {
		list(a, sb, q, LISTING_EVENTS, rest + 7, ret_listing);
	} else if (strncmp(rest, "poison/", 7) == 0) {
		list(a, sb, q, LISTING_POISON, rest + 7, ret_listing);
	} else if (len == 5 && memcmp(rest, "stats", 5) == 0) {
		stats(a, sb);
	} else if (len == 5 && memcmp(rest, "shift", 5) == 0) {
		shift(a, sb, q);
	} else if (len == 9 && memcmp(rest, "elsewhere", 9) == 0) {
		atomic_fetch_add(&sb->redirected, 1);
		reply_error(&a->reply, 200, "OK", "ELSEWHERE", "[]", "A redirect was followed.");
	} else {
		not_found(a);
	}
	return true;
}
