/* lib/http against a server that sends exactly what a case says. */
#include <check.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "lib/base/clock.h"
#include "tests/unit/http_world.h"

#define OK_HEAD "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
#define OK_REPLY OK_HEAD "Content-Length: 2\r\n\r\n{}"
#define SECRET "s3cr3t-private-key"

static void
assert_body(const struct http_answer *a, const char *text)
{
	ck_assert_msg(!err_is(&a->err), "%s", a->err.text);
	ck_assert_uint_eq(a->body->len, strlen(text));
	ck_assert(memcmp(a->body->data, text, a->body->len) == 0);
}

static void
assert_failed(const struct http_answer *a, enum err_code code, enum err_scope scope, enum err_retry retry,
              const char *words)
{
	ck_assert_msg(a->err.code == code, "%s: %s", err_code_name(a->err.code), a->err.text);
	ck_assert_int_eq(a->err.scope, scope);
	ck_assert_int_eq(a->err.retry, retry);
	ck_assert_int_eq(a->status, 0);
	ck_assert_uint_eq(a->body->len, 0);
	ck_assert_msg(strstr(a->err.text, words) != NULL, "no \"%s\" in: %s", words, a->err.text);
	ck_assert_ptr_null(strstr(a->err.text, SECRET));
	ck_assert_ptr_null(strstr(a->err.hint, SECRET));
}

START_TEST(plain_answer)
{
	SCRIPT(w, { .bytes = "HTTP/1.1 200 OK\r\n"
	                     "DATE: Mon, 10 Aug 2026 03:06:50 GMT\r\n"
	                     "content-TYPE:application/vnd.atlas.2023-01-01+json;charset=utf-8 \r\n"
	                     "Ratelimit-Limit: 500\r\nRATELIMIT-REMAINING:\t499\r\n"
	                     "Content-Length: 2\r\n\r\n{}" });
	struct http_answer *a;
	const char *request;

	world_open(&w, NULL, NULL, NULL);
	a = world_ask(&w, (struct http_request){ .accept = "application/vnd.atlas.2023-01-01+json" });
	assert_body(a, "{}");
	ck_assert_int_eq(a->status, 200);
	ck_assert_int_eq(a->date_s, 1786331210);
	ck_assert_int_eq(a->ratelimit_limit, 500);
	ck_assert_int_eq(a->ratelimit_remaining, 499);
	ck_assert_int_eq(a->retry_after_s, -1);
	ck_assert_str_eq(a->content_type, "application/vnd.atlas.2023-01-01+json;charset=utf-8");
	ck_assert_str_eq(a->location_host, "");
	ck_assert_uint_eq(a->exchanges, 1);
	ck_assert_uint_eq(a->challenges, 0);
	ck_assert_int_ge(a->elapsed_ms, 0);
	request = scripted_server_request(w.server, 0);
	ck_assert_ptr_nonnull(strstr(request, "GET /x?y=1 HTTP/1.1\r\n"));
	ck_assert_ptr_nonnull(strstr(request, "\r\nAccept: application/vnd.atlas.2023-01-01+json\r\n"));
	ck_assert_ptr_nonnull(strstr(request, "\r\nAccept-Encoding: gzip\r\n"));
	ck_assert_ptr_nonnull(strstr(request, "\r\nUser-Agent: orgsync/test\r\n"));
	ck_assert_ptr_null(strstr(request, "Authorization"));
	world_close(&w);
}
END_TEST

static const struct {
	const char *value;
	int64_t retry_after_s;
} retry_cases[] = {
	{ "55", 55 },
	{ "0", 0 },
	{ "Mon, 10 Aug 2026 03:08:50 GMT", 120 },
	{ "Mon, 10 Aug 2026 03:06:49 GMT", 0 },
	{ "-5", -1 },
	{ "soon", -1 },
	{ "5.5", -1 },
	{ "99999999999999999999", -1 },
	{ "", -1 },
	{ "12 monkeys", -1 },
};

START_TEST(retry_after)
{
	char text[300];
	struct scripted_reply reply = { .bytes = text };
	struct http_world w = { .script = &reply, .n_script = 1 };
	struct http_answer *a;

	snprintf(text, sizeof(text),
	         "HTTP/1.1 429 Too Many\r\nretry-after: %s\r\nDate: Mon, 10 Aug 2026 03:06:50 GMT\r\n"
	         "Content-Length: 0\r\n\r\n", retry_cases[_i].value);
	world_open(&w, NULL, NULL, NULL);
	a = world_get(&w);
	ck_assert_int_eq(a->status, 429);
	ck_assert_msg(a->retry_after_s == retry_cases[_i].retry_after_s, "%s: %lld",
	              retry_cases[_i].value, (long long)a->retry_after_s);
	world_close(&w);
}
END_TEST

START_TEST(retry_after_date_without_date)
{
	char text[300], date[64];
	struct scripted_reply reply = { .bytes = text };
	struct http_world w = { .script = &reply, .n_script = 1 };
	time_t then = time(NULL) + 100;
	struct tm tm;
	struct http_answer *a;

	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&then, &tm));
	snprintf(text, sizeof(text), "HTTP/1.1 503 x\r\nRetry-After: %s\r\nContent-Length: 0\r\n\r\n", date);
	world_open(&w, NULL, NULL, NULL);
	a = world_get(&w);
	ck_assert_int_ge(a->retry_after_s, 90);
	ck_assert_int_le(a->retry_after_s, 100);
	world_close(&w);
}
END_TEST

START_TEST(unreadable_fields_are_absent)
{
	SCRIPT(w, { .bytes = "HTTP/1.1 200 OK\r\nDate: yesterday-ish\r\nRateLimit-Limit: many\r\n"
	                     "RateLimit-Remaining: -1\r\n: empty\r\n"
	                     "Content-Length: 2\r\n\r\n{}" });
	struct http_answer *a;

	world_open(&w, NULL, NULL, NULL);
	a = world_get(&w);
	assert_body(a, "{}");
	ck_assert_int_eq(a->date_s, -1);
	ck_assert_int_eq(a->ratelimit_limit, -1);
	ck_assert_int_eq(a->ratelimit_remaining, -1);
	ck_assert_str_eq(a->content_type, "");
	world_close(&w);
}
END_TEST

START_TEST(only_the_last_response_counts)
{
	SCRIPT(w, { .bytes = "HTTP/1.1 401 no\r\nRetry-After: 7\r\nRateLimit-Limit: 1\r\n"
	                     "Content-Type: text/challenge\r\nDate: Mon, 10 Aug 2026 03:06:50 GMT\r\n"
	                     "WWW-Authenticate: Digest realm=\"r\", nonce=\"n1\", qop=\"auth\", algorithm=MD5\r\n"
	                     "Content-Length: 9\r\n\r\nchallenge" },
	       { .bytes = "HTTP/1.1 100 Continue\r\nRateLimit-Limit: 2\r\n\r\n"
	                  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	                  "3\r\n{\"a\r\n4\r\n\":1}\r\n0\r\nRateLimit-Limit: 3\r\n\r\n" });
	struct http_answer *a;

	world_open(&w, NULL, NULL, NULL);
	a = world_ask(&w, (struct http_request){ .auth = HTTP_AUTH_DIGEST, .user = "u", .secret = SECRET });
	assert_body(a, "{\"a\":1}");
	ck_assert_int_eq(a->status, 200);
	ck_assert_int_eq(a->retry_after_s, -1);
	ck_assert_int_eq(a->ratelimit_limit, -1);
	ck_assert_int_eq(a->date_s, -1);
	ck_assert_str_eq(a->content_type, "");
	ck_assert_uint_eq(a->exchanges, 2);
	ck_assert_uint_eq(a->challenges, 1);
	world_close(&w);
}
END_TEST

/* ---- digest ---- */

struct digest_server {
	struct http_world w;       /* first: the server's ctx is the world */
	unsigned nonce;            /* the one that is valid now; guarded by the tests' one request at a time */
	unsigned nc;               /* last count seen with it */
	const char *password;
	char reply[600];
};

static void
md5_hex(const char *text, char *out)
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned len;

	ck_assert_int_eq(EVP_Digest(text, strlen(text), sum, &len, EVP_md5(), NULL), 1);
	for (unsigned i = 0; i < len; i++)
		sprintf(out + 2 * i, "%02x", sum[i]);
}

/* Copies the value of key="value" or key=value out of an Authorization line. */
static bool
field(const char *request, const char *key, char *out, size_t size)
{
	const char *line = strstr(request, "\r\nAuthorization: Digest "), *p;
	char pattern[40];
	size_t len;

	out[0] = '\0';
	if (line == NULL)
		return false;
	snprintf(pattern, sizeof(pattern), "%s=", key);
	for (p = strstr(line, pattern); p != NULL && p[-1] != ' ' && p[-1] != ','; )
		p = strstr(p + 1, pattern);
	if (p == NULL)
		return false;
	p += strlen(pattern);
	len = *p == '"' ? strcspn(++p, "\"") : strcspn(p, ", \r");
	snprintf(out, size, "%.*s", (int)len, p);
	return true;
}

/* The server's own calculation of RFC 2617, and its own counting of nc. */
static void
digest_reply(void *ctx, size_t n, const char *request, struct scripted_reply *ret)
{
	struct digest_server *d = ctx;
	char nonce[64], nc[16], cnonce[128], response[64], uri[100], text[500], ha1[33], ha2[33], want[33];
	char wanted_nonce[32];
	bool known, counted, right = false;

	(void)n;
	field(request, "uri", uri, sizeof(uri));
	field(request, "nc", nc, sizeof(nc));
	field(request, "cnonce", cnonce, sizeof(cnonce));
	field(request, "response", response, sizeof(response));
	snprintf(wanted_nonce, sizeof(wanted_nonce), "nonce%u", d->nonce);
	known = field(request, "nonce", nonce, sizeof(nonce)) && strcmp(nonce, wanted_nonce) == 0;
	counted = known && strtoul(nc, NULL, 16) == d->nc + 1;
	if (counted) {
		d->nc++;
		snprintf(text, sizeof(text), "u:MMS Public API:%s", d->password);
		md5_hex(text, ha1);
		snprintf(text, sizeof(text), "GET:%s", uri);
		md5_hex(text, ha2);
		snprintf(text, sizeof(text), "%s:%s:%s:%s:auth:%s", ha1, nonce, nc, cnonce, ha2);
		md5_hex(text, want);
		right = strcmp(want, response) == 0 && strcmp(uri, "/x?y=1") == 0;
	}
	if (right) {
		ret->bytes = OK_REPLY;
		return;
	}
	d->nc = 0;
	d->nonce++;
	snprintf(d->reply, sizeof(d->reply),
	         "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"MMS Public API\", domain=\"\", "
	         "nonce=\"nonce%u\", algorithm=MD5, qop=\"auth\", stale=%s\r\nContent-Length: 0\r\n\r\n",
	         d->nonce, nonce[0] != '\0' && !known ? "true" : "false");
	ret->bytes = d->reply;
}

static struct http_answer *
ask_digest(struct digest_server *d)
{
	return world_ask(&d->w, (struct http_request){ .auth = HTTP_AUTH_DIGEST, .user = "u",
	                                               .secret = SECRET });
}

START_TEST(one_challenge_a_nonce)
{
	struct digest_server d = { .password = SECRET };
	struct http_answer *a;

	world_open(&d.w, NULL, NULL, digest_reply);
	for (unsigned i = 0; i < 20; i++) {
		a = ask_digest(&d);
		ck_assert_msg(a->status == 200, "request %u: %d %s", i, a->status, a->err.text);
		ck_assert_uint_eq(a->exchanges, i == 0 ? 2 : 1);
		ck_assert_uint_eq(a->challenges, i == 0 ? 1 : 0);
	}
	ck_assert_uint_eq(d.nc, 20);
	ck_assert_uint_eq(scripted_server_requests(d.w.server), 21);
	ck_assert_uint_eq(scripted_server_connections(d.w.server), 1);
	world_close(&d.w);
}
END_TEST

START_TEST(stale_nonce_costs_one_challenge)
{
	struct digest_server d = { .password = SECRET };
	struct http_answer *a;

	world_open(&d.w, NULL, NULL, digest_reply);
	ck_assert_int_eq(ask_digest(&d)->status, 200);
	d.nonce++; /* expires */
	d.nc = 0;
	a = ask_digest(&d);
	ck_assert_int_eq(a->status, 200);
	ck_assert_uint_eq(a->exchanges, 2);
	ck_assert_uint_eq(a->challenges, 1);
	ck_assert_uint_eq(ask_digest(&d)->exchanges, 1);
	world_close(&d.w);
}
END_TEST

START_TEST(refused_key)
{
	struct digest_server d = { .password = "another" };
	struct http_answer *a;

	world_open(&d.w, NULL, NULL, digest_reply);
	a = ask_digest(&d);
	ck_assert_int_eq(a->status, 401);
	ck_assert(!err_is(&a->err));
	ck_assert_uint_eq(a->exchanges, 2);
	ck_assert_uint_eq(a->challenges, 1);
	world_close(&d.w);
}
END_TEST

START_TEST(forgotten_state_starts_afresh)
{
	struct digest_server d = { .password = SECRET };
	struct http_answer *a;

	world_open(&d.w, NULL, NULL, digest_reply);
	ck_assert_int_eq(ask_digest(&d)->status, 200);
	http_session_forget(d.w.session);
	a = ask_digest(&d);
	ck_assert_int_eq(a->status, 200);
	ck_assert_uint_eq(a->exchanges, 2);
	ck_assert_ptr_null(strstr(scripted_server_request(d.w.server, 2), "Authorization"));
	world_close(&d.w);
}
END_TEST

static void
always_stale(void *ctx, size_t n, const char *request, struct scripted_reply *ret)
{
	static char text[300];

	(void)ctx;
	(void)request;
	snprintf(text, sizeof(text), "HTTP/1.1 401 no\r\nWWW-Authenticate: Digest realm=\"r\", qop=\"auth\", "
	         "nonce=\"n%zu\", stale=true\r\nContent-Length: 0\r\n\r\n", n);
	ret->bytes = text;
}

/* libcurl takes every stale=true at its word; a server that never stops must not keep us for ever. */
START_TEST(endless_stale_nonces_end)
{
	struct digest_server d = { .password = SECRET };
	struct http_answer *a;

	world_open(&d.w, NULL, NULL, always_stale);
	a = ask_digest(&d);
	assert_failed(a, ERR_NETWORK, ERR_SCOPE_ORGANIZATION, ERR_RETRY_LATER, "again and again");
	ck_assert_uint_eq(scripted_server_requests(d.w.server), 3);
	ck_assert_uint_eq(a->exchanges, 3);
	world_close(&d.w);
}
END_TEST

struct mover {
	struct digest_server *d;
	int status;
	unsigned exchanges;
};

static void *
ask_elsewhere(void *arg)
{
	struct mover *m = arg;
	struct http_options o = world_options();
	struct http_world w = m->d->w;
	struct http_answer *a;
	struct err e = { 0 };

	w.engine = http_engine_new(&o, &e);
	a = world_ask(&w, (struct http_request){ .auth = HTTP_AUTH_DIGEST, .user = "u", .secret = SECRET });
	m->status = a->status;
	m->exchanges = a->exchanges;
	http_engine_free(w.engine);
	return NULL;
}

START_TEST(session_moves_between_threads)
{
	struct digest_server d = { .password = SECRET };
	struct mover m = { .d = &d };
	pthread_t thread;

	world_open(&d.w, NULL, NULL, digest_reply);
	ck_assert_int_eq(ask_digest(&d)->status, 200);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(pthread_create(&thread, NULL, ask_elsewhere, &m), 0);
		ck_assert_int_eq(pthread_join(thread, NULL), 0);
		ck_assert_int_eq(m.status, 200);
		ck_assert_uint_eq(m.exchanges, 1); /* the nonce went along */
		ck_assert_uint_eq(ask_digest(&d)->exchanges, 1);
	}
	world_close(&d.w);
}
END_TEST

START_TEST(basic_and_bearer)
{
	SCRIPT(w, { .bytes = OK_REPLY });
	struct http_answer *a;

	world_open(&w, NULL, NULL, NULL);
	a = world_ask(&w, (struct http_request){ .auth = HTTP_AUTH_BASIC, .user = "id", .secret = "pw",
	                                         .form = "grant_type=client_credentials",
	                                         .accept = "application/json" });
	ck_assert_int_eq(a->status, 200);
	a = world_ask(&w, (struct http_request){ .auth = HTTP_AUTH_BEARER, .secret = "tok" });
	ck_assert_int_eq(a->status, 200);
	a = world_get(&w);
	ck_assert_int_eq(a->status, 200);
	ck_assert_uint_eq(a->exchanges, 1);
	ck_assert_ptr_nonnull(strstr(scripted_server_request(w.server, 0), "POST /x?y=1 "));
	ck_assert_ptr_nonnull(strstr(scripted_server_request(w.server, 0),
	                             "\r\nAuthorization: Basic aWQ6cHc=\r\n"));
	ck_assert_ptr_nonnull(strstr(scripted_server_request(w.server, 0),
	                             "\r\nContent-Type: application/x-www-form-urlencoded\r\n"));
	ck_assert_ptr_nonnull(strstr(scripted_server_request(w.server, 0),
	                             "\r\n\r\ngrant_type=client_credentials"));
	ck_assert_ptr_nonnull(strstr(scripted_server_request(w.server, 1), "GET /x?y=1 "));
	ck_assert_ptr_nonnull(strstr(scripted_server_request(w.server, 1),
	                             "\r\nAuthorization: Bearer tok\r\n"));
	/* Nothing of earlier requests clings to the handle. */
	ck_assert_ptr_null(strstr(scripted_server_request(w.server, 2), "Authorization"));
	ck_assert_ptr_null(strstr(scripted_server_request(w.server, 2), "Accept: application/json"));
	world_close(&w);
}
END_TEST

START_TEST(bearer_refused_is_not_tried_again)
{
	SCRIPT(w, { .bytes = "HTTP/1.1 401 no\r\nWWW-Authenticate: Bearer error=\"invalid_token\"\r\n"
	                     "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\"\r\n"
	                     "Content-Length: 2\r\n\r\n{}" });
	struct http_answer *a;

	world_open(&w, NULL, NULL, NULL);
	a = world_ask(&w, (struct http_request){ .auth = HTTP_AUTH_BEARER, .secret = "tok" });
	ck_assert_int_eq(a->status, 401);
	ck_assert_uint_eq(a->exchanges, 1);
	world_close(&w);
}
END_TEST

/* ---- bodies ---- */

/* Puts header and gzipped text into *reply. */
static void
gzip_reply(struct scripted_reply *reply, const char *text, size_t len)
{
	z_stream z = { 0 };
	uLong bound = len + 1000;
	unsigned char *packed = malloc(bound);
	char *bytes = malloc(bound + 200);
	int head;

	ck_assert_int_eq(deflateInit2(&z, 9, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = (unsigned char *)(uintptr_t)text;
	z.avail_in = (uInt)len;
	z.next_out = packed;
	z.avail_out = (uInt)bound;
	ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
	head = sprintf(bytes, OK_HEAD "Content-Encoding: gzip\r\nContent-Length: %lu\r\n\r\n", z.total_out);
	memcpy(bytes + head, packed, z.total_out);
	reply->bytes = bytes;
	reply->len = (size_t)head + z.total_out;
	deflateEnd(&z);
	free(packed);
}

START_TEST(gzip_sound_and_damaged)
{
	struct scripted_reply replies[2] = { { 0 } };
	struct http_world w = { .script = replies, .n_script = 2 };
	struct http_answer *a;
	char *text = malloc(60001);

	memset(text, 'x', 60000);
	text[60000] = '\0';
	gzip_reply(&replies[0], text, 60000);
	gzip_reply(&replies[1], text, 60000);
	((char *)(uintptr_t)replies[1].bytes)[replies[1].len - 6] ^= 1; /* the checksum */
	world_open(&w, NULL, NULL, NULL);
	assert_body(world_get(&w), text);
	a = world_get(&w);
	assert_failed(a, ERR_NETWORK, ERR_SCOPE_ORGANIZATION, ERR_RETRY_LATER, "damaged");
	world_close(&w);
	free((char *)(uintptr_t)replies[0].bytes);
	free((char *)(uintptr_t)replies[1].bytes);
	free(text);
}
END_TEST

START_TEST(gzip_bomb_meets_the_cap)
{
	struct scripted_reply reply = { 0 };
	struct http_world w = { .script = &reply, .n_script = 1 };
	char *text = calloc(1, 20 << 20);

	gzip_reply(&reply, text, 20 << 20);
	ck_assert_uint_lt(reply.len, 65536); /* on the wire it is under the cap */
	world_open(&w, NULL, NULL, NULL);
	assert_failed(world_get(&w), ERR_TOO_BIG, ERR_SCOPE_PAGE, ERR_RETRY_NOW, "65536");
	world_close(&w);
	free((char *)(uintptr_t)reply.bytes);
	free(text);
}
END_TEST

START_TEST(body_up_to_the_cap_and_over)
{
	static char bytes[2][70000];
	struct scripted_reply replies[2];
	struct http_world w = { .script = replies, .n_script = 2 };
	int head;

	for (size_t i = 0; i < 2; i++) {
		head = sprintf(bytes[i], OK_HEAD "Content-Length: %zu\r\n\r\n", 65536 + i);
		memset(bytes[i] + head, 'y', 65536 + i);
		replies[i] = (struct scripted_reply){ .bytes = bytes[i], .len = (size_t)head + 65536 + i };
	}
	world_open(&w, NULL, NULL, NULL);
	ck_assert_uint_eq(world_get(&w)->body->len, 65536);
	assert_failed(world_get(&w), ERR_TOO_BIG, ERR_SCOPE_PAGE, ERR_RETRY_NOW, "larger");
	world_close(&w);
}
END_TEST

START_TEST(endless_body_is_broken_off)
{
	static char block[1100];
	struct scripted_reply reply = { .bytes = block, .repeat = 1 << 20 };
	struct http_world w = { .script = &reply, .n_script = 1 };

	/* No length at all: the body ends when the server hangs up, which it never does by itself. */
	snprintf(block, sizeof(block), OK_HEAD "\r\n");
	memset(block + strlen(block), 'z', 1000);
	world_open(&w, NULL, NULL, NULL);
	assert_failed(world_get(&w), ERR_TOO_BIG, ERR_SCOPE_PAGE, ERR_RETRY_NOW, "larger");
	world_close(&w);
}
END_TEST

START_TEST(header_flood)
{
	static char text[20000];
	struct scripted_reply reply = { .bytes = text };
	struct http_world w = { .script = &reply, .n_script = 1 };
	size_t len = (size_t)sprintf(text, "HTTP/1.1 200 OK\r\n");

	for (int i = 0; i < 400; i++)
		len += (size_t)sprintf(text + len, "X-%d: bbbbbbbbbbbbbbbbbbbbbbbb\r\n", i);
	strcpy(text + len, "Content-Length: 2\r\n\r\n{}");
	world_open(&w, NULL, NULL, NULL);
	assert_failed(world_get(&w), ERR_TOO_BIG, ERR_SCOPE_ORGANIZATION, ERR_RETRY_LATER, "header");
	world_close(&w);
}
END_TEST

START_TEST(flood_of_continues)
{
	SCRIPT(w, { .bytes = "HTTP/1.1 100 Continue\r\n\r\n", .repeat = 1 << 20 });

	world_open(&w, NULL, NULL, NULL);
	assert_failed(world_get(&w), ERR_TOO_BIG, ERR_SCOPE_ORGANIZATION, ERR_RETRY_LATER, "header");
	world_close(&w);
}
END_TEST

START_TEST(one_endless_header_line)
{
	static char line[1 << 18];
	struct scripted_reply reply = { .bytes = line };
	struct http_world w = { .script = &reply, .n_script = 1 };

	strcpy(line, "HTTP/1.1 200 OK\r\nX-A: ");
	memset(line + strlen(line), 'a', sizeof(line) - 100);
	world_open(&w, NULL, NULL, NULL);
	assert_failed(world_get(&w), ERR_TOO_BIG, ERR_SCOPE_ORGANIZATION, ERR_RETRY_LATER, "header");
	world_close(&w);
}
END_TEST

/* ---- broken transfers ---- */

static const struct {
	struct scripted_reply reply;
	enum err_code code;
	const char *words;
	unsigned exchanges;
} broken_cases[] = {
	{ { .bytes = OK_HEAD "Content-Length: 100\r\n\r\n{}", .end = CLOSE }, ERR_NETWORK, "broke off", 1 },
	{ { .bytes = OK_HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"a\":", .end = CLOSE },
	  ERR_NETWORK, "broke off", 1 },
	{ { .bytes = OK_HEAD "Transfer-Encoding: chunked\r\n\r\nzzz\r\n{}", .end = CLOSE },
	  ERR_NETWORK, "broke off", 1 },
	{ { .bytes = OK_HEAD "Content-Length: 100\r\n\r\n{}", .end = RESET }, ERR_NETWORK, "broke off", 1 },
	{ { .bytes = OK_HEAD, .end = CLOSE }, ERR_NETWORK, "broke off", 1 },
	{ { .bytes = OK_HEAD "no colon here\r\n\r\n", .end = KEEP }, ERR_NETWORK, "broke off", 1 },
	{ { .bytes = "HTTP/1.1 100 Continue\r\n\r\n", .end = CLOSE }, ERR_NETWORK, "no answer", 1 },
	{ { .bytes = NULL, .end = CLOSE }, ERR_NETWORK, "no answer", 1 },
	{ { .bytes = NULL, .end = RESET }, ERR_NETWORK, "no answer", 1 },
	{ { .bytes = "hello, this is no http\r\n\r\n", .end = CLOSE }, ERR_NETWORK, "no answer", 1 },
	{ { .bytes = OK_HEAD "Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello" },
	  ERR_NETWORK, "damaged", 1 },
	{ { .bytes = OK_HEAD "Content-Encoding: rot13\r\nContent-Length: 5\r\n\r\nhello" },
	  ERR_NETWORK, "not asked for", 1 },
	{ { .bytes = NULL, .end = HANG }, ERR_TIMEOUT, "nothing came for 300 ms", 1 },
	{ { .bytes = OK_HEAD "Content-Length: 100\r\n\r\n{}", .end = HANG }, ERR_TIMEOUT,
	  "nothing came for 300 ms", 1 },
	{ { .bytes = "HTTP/1.1 20", .end = HANG }, ERR_TIMEOUT, "nothing came for 300 ms", 1 },
};

START_TEST(broken_transfer)
{
	struct http_world w = { .script = &broken_cases[_i].reply, .n_script = 1 };
	struct http_options o = world_options();
	struct http_answer *a;

	if (broken_cases[_i].code == ERR_TIMEOUT)
		o.silence_timeout_ms = 300;
	world_open(&w, &o, NULL, NULL);
	a = world_get(&w);
	assert_failed(a, broken_cases[_i].code, ERR_SCOPE_ORGANIZATION, ERR_RETRY_LATER,
	              broken_cases[_i].words);
	ck_assert_uint_eq(a->exchanges, broken_cases[_i].exchanges);
	ck_assert_ptr_nonnull(strstr(a->err.text, "127.0.0.1:"));
	if (a->err.code == ERR_TIMEOUT)
		ck_assert_int_ge(a->elapsed_ms, 300);
	ck_assert_int_lt(a->elapsed_ms, 25000);
	world_close(&w);
}
END_TEST

START_TEST(session_works_after_each_failure)
{
	SCRIPT(w, { .bytes = NULL, .end = RESET }, { .bytes = OK_REPLY },
	       { .bytes = OK_HEAD "Content-Length: 100\r\n\r\n{}", .end = CLOSE }, { .bytes = OK_REPLY },
	       { .bytes = NULL, .end = HANG }, { .bytes = OK_REPLY });
	struct http_options o = world_options();

	o.silence_timeout_ms = 1000;
	world_open(&w, &o, NULL, NULL);
	for (int i = 0; i < 3; i++) {
		ck_assert(err_is(&world_get(&w)->err));
		assert_body(world_get(&w), "{}");
	}
	world_close(&w);
}
END_TEST

START_TEST(retry_after_survives_a_broken_body)
{
	SCRIPT(w, { .bytes = "HTTP/1.1 429 x\r\nRetry-After: 9\r\nContent-Length: 9\r\n\r\nhalf", .end = CLOSE });
	struct http_answer *a;

	world_open(&w, NULL, NULL, NULL);
	a = world_get(&w);
	assert_failed(a, ERR_NETWORK, ERR_SCOPE_ORGANIZATION, ERR_RETRY_LATER, "broke off");
	ck_assert_int_eq(a->err.retry_after_ms, 9000);
	world_close(&w);
}
END_TEST

START_TEST(nobody_listens)
{
	SCRIPT(w, { .bytes = OK_REPLY });
	struct http_answer *a;

	world_open(&w, NULL, NULL, NULL);
	a = world_ask(&w, (struct http_request){ .url = "http://127.0.0.1:1/" });
	assert_failed(a, ERR_NETWORK, ERR_SCOPE_ORGANIZATION, ERR_RETRY_LATER,
	              "no answer from 127.0.0.1:1: connection refused");
	ck_assert_uint_eq(a->exchanges, 0);
	a = world_ask(&w, (struct http_request){ .url = "http://no-such-host.invalid/" });
	assert_failed(a, ERR_NETWORK, ERR_SCOPE_ORGANIZATION, ERR_RETRY_LATER,
	              "no answer from no-such-host.invalid:80: its name cannot be resolved");
	world_close(&w);
}
END_TEST

/* Bytes that keep coming are no silence; the total limit ends them. */
START_TEST(trickle_meets_the_total_limit)
{
	static char slow[3000];
	struct scripted_reply replies[] = {
		{ .bytes = OK_HEAD "Content-Length: 40\r\n\r\n0123456789012345678901234567890123456789",
		  .pause_ms = 8 },
		{ .bytes = slow, .pause_ms = 8 },
	};
	struct http_world w = { .script = replies, .n_script = 2 };
	struct http_options o = world_options();
	struct http_answer *a;

	o.silence_timeout_ms = 600;
	o.total_timeout_ms = 60000; /* on a busy machine, too */
	sprintf(slow, OK_HEAD "Content-Length: 2000\r\n\r\n%02000d", 0);
	world_open(&w, &o, NULL, NULL);
	a = world_get(&w);
	ck_assert_msg(a->status == 200 && a->body->len == 40, "%s", a->err.text);
	ck_assert_int_ge(a->elapsed_ms, 600); /* longer than the silence that was allowed */
	world_close(&w);
	o.total_timeout_ms = 1500;
	w = (struct http_world){ .script = &replies[1], .n_script = 1 };
	world_open(&w, &o, NULL, NULL);
	a = world_get(&w);
	assert_failed(a, ERR_TIMEOUT, ERR_SCOPE_ORGANIZATION, ERR_RETRY_LATER,
	              "not complete within 1500 ms");
	ck_assert_int_ge(a->elapsed_ms, 1500);
	ck_assert_int_lt(a->elapsed_ms, 15000);
	world_close(&w);
}
END_TEST

START_TEST(redirect_is_reported_not_followed)
{
	SCRIPT(w, { .bytes = "HTTP/1.1 302 Found\r\nLocation: https://user:pw@evil.example:8443/steal?x\r\n"
	                     "Content-Length: 0\r\n\r\n" },
	       { .bytes = "HTTP/1.1 301 Moved\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n" },
	       { .bytes = "HTTP/1.1 200 OK\r\nLocation: https://evil.example/\r\nContent-Length: 2\r\n\r\n{}" });
	struct http_answer *a;

	world_open(&w, NULL, NULL, NULL);
	a = world_ask(&w, (struct http_request){ .auth = HTTP_AUTH_BEARER, .secret = SECRET });
	ck_assert_int_eq(a->status, 302);
	ck_assert_str_eq(a->location_host, "evil.example:8443");
	ck_assert_uint_eq(a->exchanges, 1);
	a = world_get(&w);
	ck_assert_int_eq(a->status, 301);
	ck_assert_ptr_nonnull(strstr(a->location_host, "127.0.0.1"));
	a = world_get(&w);
	ck_assert_int_eq(a->status, 200);
	ck_assert_str_eq(a->location_host, "");
	ck_assert_uint_eq(scripted_server_requests(w.server), 3);
	world_close(&w);
}
END_TEST

/* ---- many at once, cancelling, waking ---- */

#define MANY 50

static void
echo_path(void *ctx, size_t n, const char *request, struct scripted_reply *ret)
{
	static _Thread_local char text[300];
	char path[60];

	(void)ctx;
	(void)n;
	ck_assert_int_eq(sscanf(request, "GET %59s", path), 1);
	ret->len = (size_t)sprintf(text, OK_HEAD "Content-Length: %zu\r\n\r\n%s", strlen(path), path);
	ret->bytes = text;
	if (strstr(path, "close") != NULL)
		ret->end = CLOSE;
}

START_TEST(many_at_once)
{
	struct http_world w = { 0 };
	struct http_session *sessions[MANY], *s;
	struct http_answer *a;
	char urls[MANY][100];
	struct err e = { 0 };

	world_open(&w, NULL, NULL, echo_path);
	for (int i = 0; i < MANY; i++) {
		sessions[i] = http_session_new();
		http_session_set_user(sessions[i], urls[i]);
	}
	for (int round = 0; round < 4; round++) {
		for (int i = 0; i < MANY; i++) {
			sprintf(urls[i], "http://127.0.0.1:%d/%s/%d/%d", scripted_server_port(w.server),
			        i % 3 == 0 ? "close" : "keep", i, round);
			ck_assert_int_eq(http_start(w.engine, sessions[i],
			                            &(struct http_request){ .url = urls[i] }, &e), 0);
		}
		for (int i = 0; i < MANY; i++) {
			s = world_wait(&w, &a);
			ck_assert_msg(a->status == 200, "%s", a->err.text);
			ck_assert_uint_eq(a->body->len, strlen(strchr((char *)http_session_user(s) + 8, '/')));
			ck_assert(memcmp(a->body->data, strchr((char *)http_session_user(s) + 8, '/'),
			                 a->body->len) == 0);
		}
		ck_assert_ptr_null(http_next(w.engine, &a));
	}
	for (int i = 0; i < MANY; i++)
		http_session_free(sessions[i]);
	world_close(&w);
}
END_TEST

START_TEST(cancel_at_any_moment)
{
	SCRIPT(w, { .bytes = OK_REPLY }, { .bytes = OK_HEAD "Content-Length: 9\r\n\r\n{}", .end = HANG },
	       { .bytes = OK_REPLY });
	struct http_request request = { .auth = HTTP_AUTH_DIGEST, .user = "u", .secret = SECRET };
	struct http_answer *a;
	struct err e = { 0 };

	world_open(&w, NULL, NULL, NULL);
	request.url = w.url;
	http_cancel(w.engine, w.session); /* was never started */
	ck_assert_int_eq(http_start(w.engine, w.session, &request, &e), 0);
	http_cancel(w.engine, w.session); /* nothing was sent yet */
	ck_assert_ptr_null(http_next(w.engine, &a));
	ck_assert_int_eq(http_start(w.engine, w.session, &request, &e), 0);
	while (scripted_server_requests(w.server) < 1)
		http_drive(w.engine, 20);
	for (int i = 0; i < 20; i++)
		http_drive(w.engine, 10); /* finished, not handed out */
	http_cancel(w.engine, w.session);
	ck_assert_ptr_null(http_next(w.engine, &a));
	ck_assert_int_eq(http_start(w.engine, w.session, &request, &e), 0);
	while (scripted_server_requests(w.server) < 2)
		http_drive(w.engine, 20);
	http_cancel(w.engine, w.session); /* in the middle of the answer */
	http_cancel(w.engine, w.session);
	ck_assert_ptr_null(http_next(w.engine, &a));
	ck_assert_int_eq(world_ask(&w, request)->status, 200);
	http_cancel(w.engine, w.session); /* handed out already */
	world_close(&w);
}
END_TEST

static void *
wake_it(void *arg)
{
	http_wake(arg);
	return NULL;
}

START_TEST(wake_ends_the_wait)
{
	SCRIPT(w, { .bytes = OK_REPLY });
	int64_t begin_ms = clock_mono_ms(&clock_system);
	pthread_t thread;

	world_open(&w, NULL, NULL, NULL);
	ck_assert_int_eq(pthread_create(&thread, NULL, wake_it, w.engine), 0);
	http_drive(w.engine, 15000); /* whether the wake comes before or during */
	ck_assert_int_lt(clock_mono_ms(&clock_system) - begin_ms, 10000);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	http_drive(w.engine, 0); /* should it have come late */
	begin_ms = clock_mono_ms(&clock_system);
	http_wake(w.engine); /* surely before: it must not be lost while what is there already is looked at */
	http_drive(w.engine, 15000);
	ck_assert_int_lt(clock_mono_ms(&clock_system) - begin_ms, 10000);
	world_close(&w);
}
END_TEST

/* ---- what is refused before anything is sent ---- */

static const struct {
	const char *url;
	enum http_auth auth;
} refused_urls[] = {
	{ "ftp://127.0.0.1/", HTTP_AUTH_NONE },
	{ "file:///etc/passwd", HTTP_AUTH_NONE },
	{ "no url", HTTP_AUTH_NONE },
	{ "", HTTP_AUTH_NONE },
	{ "http://user:" SECRET "@127.0.0.1/", HTTP_AUTH_NONE },
	{ "http://192.0.2.1/", HTTP_AUTH_DIGEST },
	{ "http://localhost.example.com/", HTTP_AUTH_BEARER },
	{ "http://127.0.0.1.example.com/", HTTP_AUTH_BASIC },
};

START_TEST(refused_before_sending)
{
	SCRIPT(w, { .bytes = OK_REPLY });
	struct http_request request = { .url = refused_urls[_i].url, .auth = refused_urls[_i].auth,
	                                .user = "u", .secret = SECRET };
	struct http_answer *a;
	struct err e = { 0 };

	world_open(&w, NULL, NULL, NULL);
	ck_assert_int_eq(http_start(w.engine, w.session, &request, &e), -1);
	ck_assert_int_eq(e.code, ERR_CONFIG);
	ck_assert_int_eq(e.retry, ERR_RETRY_OPERATOR);
	ck_assert_ptr_null(strstr(e.text, SECRET));
	ck_assert_ptr_null(http_next(w.engine, &a));
	assert_body(world_get(&w), "{}");
	world_close(&w);
}
END_TEST

/* A plain request goes direct even where a proxy elsewhere is named: it would read the credentials. */
START_TEST(plain_http_takes_no_proxy)
{
	SCRIPT(w, { .bytes = OK_REPLY });
	struct http_options o = world_options();

	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("all_proxy", "http://127.0.0.1:1", 1);
	o.proxy = "http://192.0.2.1:1";
	world_open(&w, &o, NULL, NULL);
	assert_body(world_get(&w), "{}");
	world_close(&w);
	unsetenv("http_proxy");
	unsetenv("all_proxy");
}
END_TEST

/* But a proxy on this machine, named in the configuration, gets it: for rehearsals. */
START_TEST(plain_http_takes_a_proxy_on_this_machine)
{
	SCRIPT(w, { .bytes = OK_REPLY });
	struct http_request request = { .url = "http://127.0.0.1:1/x" };
	struct http_options o = world_options();
	struct http_engine *direct;
	char proxy[60];
	struct err e = { 0 };

	world_open(&w, NULL, NULL, NULL);
	snprintf(proxy, sizeof(proxy), "127.0.0.1:%d", scripted_server_port(w.server));
	o.proxy = proxy;
	direct = w.engine;
	w.engine = http_engine_new(&o, &e);
	assert_body(world_ask(&w, request), "{}");
	ck_assert_ptr_nonnull(strstr(scripted_server_request(w.server, 0), "GET http://127.0.0.1:1/x HTTP/1.1\r\n"));
	http_engine_free(direct);
	world_close(&w);
}
END_TEST

/* https asks the proxy for a tunnel, without credentials, and what the proxy says is named. */
START_TEST(proxy_sees_only_a_tunnel)
{
	SCRIPT(w, { .bytes = "HTTP/1.1 407 x\r\nContent-Length: 0\r\n\r\n" },
	       { .bytes = "HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n" });
	struct http_request request = { .url = "https://atlas.invalid/x", .auth = HTTP_AUTH_BASIC,
	                                .user = "u", .secret = SECRET };
	struct http_options o = world_options();
	struct http_engine *proxied;
	struct http_answer *a;
	char proxy[60];
	struct err e = { 0 };

	world_open(&w, NULL, NULL, NULL);
	snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%d", scripted_server_port(w.server));
	o.proxy = proxy;
	proxied = w.engine;
	w.engine = http_engine_new(&o, &e);
	a = world_ask(&w, request);
	assert_failed(a, ERR_NETWORK, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR, "407");
	ck_assert_uint_eq(a->exchanges, 0);
	ck_assert_ptr_nonnull(strstr(a->err.hint, "password"));
	a = world_ask(&w, request);
	assert_failed(a, ERR_NETWORK, ERR_SCOPE_ORGANIZATION, ERR_RETRY_LATER, "503");
	for (size_t i = 0; i < scripted_server_requests(w.server); i++) {
		ck_assert_ptr_nonnull(strstr(scripted_server_request(w.server, i),
		                             "CONNECT atlas.invalid:443 HTTP/1.1\r\n"));
		ck_assert_ptr_null(strstr(scripted_server_request(w.server, i), "\r\nAuthorization"));
	}
	http_engine_free(proxied);
	world_close(&w);
}
END_TEST

START_TEST(unreadable_ca_file_is_refused)
{
	struct http_options o = world_options();
	struct err e = { 0 };

	ck_assert_int_eq(http_global_init(&e), 0);
	o.ca_file = "/nonexistent/ca.pem";
	ck_assert_ptr_null(http_engine_new(&o, &e));
	ck_assert_ptr_nonnull(strstr(e.text, "/nonexistent/ca.pem"));
	ck_assert_int_eq(e.retry, ERR_RETRY_OPERATOR);
	err_clear(&e);
	o.ca_file = NULL;
	setenv("SSL_CERT_FILE", "/nonexistent/from-environment.pem", 1);
	ck_assert_ptr_null(http_engine_new(&o, &e));
	unsetenv("SSL_CERT_FILE");
	ck_assert_ptr_nonnull(strstr(e.text, "from-environment"));
	http_global_free();
}
END_TEST

#define N(cases) ((int)(sizeof(cases) / sizeof(*(cases))))

int
main(void)
{
	Suite *suite = suite_create("http");
	TCase *t = tcase_create("http");
	SRunner *runner = srunner_create(suite);
	int failed;

	/* The tests' own environment must not lead them through somebody's proxy or bundle. */
	unsetenv("http_proxy");
	unsetenv("https_proxy");
	unsetenv("all_proxy");
	unsetenv("HTTPS_PROXY");
	unsetenv("ALL_PROXY");
	unsetenv("CURL_CA_BUNDLE");
	unsetenv("SSL_CERT_FILE");
	suite_add_tcase(suite, t);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, plain_answer);
	tcase_add_loop_test(t, retry_after, 0, N(retry_cases));
	tcase_add_test(t, retry_after_date_without_date);
	tcase_add_test(t, unreadable_fields_are_absent);
	tcase_add_test(t, only_the_last_response_counts);
	tcase_add_test(t, one_challenge_a_nonce);
	tcase_add_test(t, stale_nonce_costs_one_challenge);
	tcase_add_test(t, refused_key);
	tcase_add_test(t, forgotten_state_starts_afresh);
	tcase_add_test(t, endless_stale_nonces_end);
	tcase_add_test(t, session_moves_between_threads);
	tcase_add_test(t, basic_and_bearer);
	tcase_add_test(t, bearer_refused_is_not_tried_again);
	tcase_add_test(t, gzip_sound_and_damaged);
	tcase_add_test(t, gzip_bomb_meets_the_cap);
	tcase_add_test(t, body_up_to_the_cap_and_over);
	tcase_add_test(t, endless_body_is_broken_off);
	tcase_add_test(t, header_flood);
	tcase_add_test(t, flood_of_continues);
	tcase_add_test(t, one_endless_header_line);
	tcase_add_loop_test(t, broken_transfer, 0, N(broken_cases));
	tcase_add_test(t, session_works_after_each_failure);
	tcase_add_test(t, retry_after_survives_a_broken_body);
	tcase_add_test(t, nobody_listens);
	tcase_add_test(t, trickle_meets_the_total_limit);
	tcase_add_test(t, redirect_is_reported_not_followed);
	tcase_add_test(t, many_at_once);
	tcase_add_test(t, cancel_at_any_moment);
	tcase_add_test(t, wake_ends_the_wait);
	tcase_add_loop_test(t, refused_before_sending, 0, N(refused_urls));
	tcase_add_test(t, plain_http_takes_no_proxy);
	tcase_add_test(t, plain_http_takes_a_proxy_on_this_machine);
	tcase_add_test(t, proxy_sees_only_a_tunnel);
	tcase_add_test(t, unreadable_ca_file_is_refused);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
