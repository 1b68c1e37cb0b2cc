/* The client without sockets: each case hands it answers and looks at what it asks next. */
#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/atlas/client.h"
#include "lib/base/log.h"
#include "lib/base/rng.h"
#include "tests/support/cases.h"

#define ORG "32b6e34b3d91647abb20e7b8"
#define SECRET "mdb_sa_sk_s3cr3t"
#define NOW_S INT64_C(1786331210)
#define TOKEN_REPLY(token) \
	"{\"access_token\":\"" token "\",\"expires_in\":3600,\"token_type\":\"Bearer\"}"
#define PAGE "{\"links\":[],\"results\":[{\"created\":\"2026-08-10T03:06:47Z\",\"id\":\"6a7940472c88faeba59bebbd\"," \
	"\"orgId\":\"" ORG "\"}],\"totalCount\":1}"
#define REFUSED "{\"error\":401,\"errorCode\":\"UNEXPECTED_ERROR\"}"

/* ---- the world around one client ---- */

static int64_t now_ms;
static char dir[64];
static int dirfd_, log_fd;

static int64_t
tell_ms(void *ctx)
{
	(void)ctx;
	return now_ms;
}

static const struct clock clock_test = { tell_ms, tell_ms, NULL };

struct world {
	struct atlas_options o;
	struct atlas_client *c;
	struct http_request request;
	bool token, forget;
	unsigned secrets_read;
	const char *secret;            /* NULL: cannot be had */
	struct buf body;
	struct page page;
	struct err e;
};

static int
read_secret(void *ctx, struct buf *b, struct err *e)
{
	struct world *w = ctx;

	w->secrets_read++;
	if (w->secret == NULL)
		return err_set(e, ERR_SECRET, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR, "no secret");
	return buf_append_str(b, w->secret);
}

static void
open_client(struct world *w, bool service_account)
{
	memset(w, 0, sizeof(*w));
	w->secret = SECRET;
	w->o = (struct atlas_options){
		.name = "acme", .org_id = ORG, .base_url = "https://cloud.example", .api = ATLAS_API_V2,
		.service_account = service_account, .user = service_account ? "mdb_sa_id_1" : "abcdefgh",
		.include_raw = true, .tokens_dirfd = dirfd_, .clock = &clock_test,
		.read_secret = read_secret, .read_secret_ctx = w,
	};
	w->c = atlas_client_new(&w->o);
	ck_assert_ptr_nonnull(w->c);
	buf_init(&w->body, 1 << 20);
	page_init(&w->page);
}

static void
close_client(struct world *w)
{
	atlas_client_free(w->c);
	buf_free(&w->body);
	page_free(&w->page);
}

/* The same options, another client: the next run, or another thread. */
static void
reopen_client(struct world *w)
{
	atlas_client_free(w->c);
	w->c = atlas_client_new(&w->o);
	ck_assert_ptr_nonnull(w->c);
}

static void
ask(struct world *w)
{
	static const struct atlas_question question = { NOW_S - 3600, NOW_S, 1, 500 };

	atlas_ask_events(w->c, &question);
}

static void
next(struct world *w, bool want_token)
{
	struct err e = { 0 };

	ck_assert_msg(atlas_next(w->c, &w->request, &w->token, &w->forget, &e) == 0, "%s", e.text);
	ck_assert_int_eq(w->token, want_token);
}

static enum atlas_outcome
take_challenged(struct world *w, int status, const char *body, const char *content_type, unsigned challenges)
{
	struct http_answer a = { .status = status, .date_s = -1, .retry_after_s = -1, .ratelimit_limit = -1,
	                         .ratelimit_remaining = -1, .exchanges = 1 + challenges, .challenges = challenges };
	enum atlas_outcome outcome;

	buf_reset(&w->body);
	ck_assert_int_eq(buf_append_str(&w->body, body), 0);
	a.body = &w->body;
	snprintf(a.content_type, sizeof(a.content_type), "%s", content_type);
	err_clear(&w->e);
	outcome = atlas_take(w->c, &a, &w->page, &w->e);
	ck_assert_int_eq(outcome == ATLAS_FAILED, err_is(&w->e));
	ck_assert_ptr_null(strstr(w->e.text, SECRET));
	ck_assert_ptr_null(strstr(w->e.hint, SECRET));
	ck_assert_ptr_null(strstr(w->e.text, "tok-"));
	ck_assert_ptr_null(strstr(w->e.hint, "tok-"));
	return outcome;
}

/* A 401 comes after one challenge that was answered. */
static enum atlas_outcome
take_typed(struct world *w, int status, const char *body, const char *content_type)
{
	return take_challenged(w, status, body, content_type, status == 401);
}

static enum atlas_outcome
take(struct world *w, int status, const char *body)
{
	return take_typed(w, status, body, "application/json");
}

static void
failed(struct world *w, enum atlas_outcome outcome, enum err_code code, enum err_retry retry)
{
	ck_assert_int_eq(outcome, ATLAS_FAILED);
	ck_assert_msg(w->e.code == code, "%s: %s", err_code_name(w->e.code), w->e.text);
	ck_assert_int_eq(w->e.retry, retry);
}

/* Name of the only file in the tokens directory; "" where there is none. */
static const char *
token_file(void)
{
	static char name[256];
	DIR *d = opendir(dir);
	struct dirent *entry;
	int n = 0;

	ck_assert_ptr_nonnull(d);
	name[0] = '\0';
	while ((entry = readdir(d)) != NULL) {
		if (entry->d_name[0] == '.' && strlen(entry->d_name) < 3)
			continue;
		snprintf(name, sizeof(name), "%s", entry->d_name);
		n++;
	}
	closedir(d);
	ck_assert_int_le(n, 1);
	return name;
}

static void
setup(void)
{
	char path[80];

	now_ms = NOW_S * 1000;
	strcpy(dir, "/tmp/orgsync-tokens-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	dirfd_ = open(dir, O_RDONLY | O_DIRECTORY);
	snprintf(path, sizeof(path), "%s.log", dir);
	log_fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	unlink(path);
	log_open(log_fd, LOG_LEVEL_DEBUG);
}

/* What was logged so far holds no secret; returns it. */
static const char *
logged(void)
{
	static char text[10000];
	ssize_t n = pread(log_fd, text, sizeof(text) - 1, 0);

	text[n < 0 ? 0 : n] = '\0';
	ck_assert_ptr_null(strstr(text, SECRET));
	ck_assert_ptr_null(strstr(text, "tok-"));
	return text;
}

static void
teardown(void)
{
	const char *name;

	logged();
	while (*(name = token_file()) != '\0')
		if (unlinkat(dirfd_, name, 0) != 0)
			unlinkat(dirfd_, name, AT_REMOVEDIR);
	close(dirfd_);
	close(log_fd);
	rmdir(dir);
}

/* ---- what is asked ---- */

static const struct {
	enum atlas_api api;
	const char *base, *prefix, *accept;
} flavours[] = {
	{ ATLAS_API_V2, "https://cloud.mongodb.com", "https://cloud.mongodb.com/api/atlas/v2/orgs/",
	  "application/vnd.atlas.2023-01-01+json" },
	{ ATLAS_API_V1_0, "https://cloud.mongodb.com/", "https://cloud.mongodb.com/api/atlas/v1.0/orgs/",
	  "application/json" },
	{ ATLAS_API_PUBLIC_V1_0, "https://ops.example:8443", "https://ops.example:8443/api/public/v1.0/orgs/",
	  "application/json" },
};

START_TEST(the_question_as_url)
{
	static const char *const types[] = { "USER_ADDED", "A&B=C D" };
	struct atlas_question q = { 1786331210, 1786334810, 3, 500 };
	struct world w;
	char want[500];

	open_client(&w, false);
	w.o.api = flavours[_i].api;
	w.o.base_url = flavours[_i].base;
	reopen_client(&w);
	atlas_ask_events(w.c, &q);
	next(&w, false);
	snprintf(want, sizeof(want), "%s" ORG "/events?includeCount=true&includeRaw=true&itemsPerPage=500"
	         "&pageNum=3&minDate=2026-08-10T03%%3A06%%3A50Z&maxDate=2026-08-10T04%%3A06%%3A50Z",
	         flavours[_i].prefix);
	ck_assert_str_eq(w.request.url, want);
	ck_assert_str_eq(w.request.accept, flavours[_i].accept);
	ck_assert_ptr_null(w.request.form);
	ck_assert_int_eq(w.request.auth, HTTP_AUTH_DIGEST);
	ck_assert_str_eq(w.request.user, "abcdefgh");
	ck_assert_str_eq(w.request.secret, SECRET);
	ck_assert(!w.forget);

	w.o.include_raw = false;
	w.o.event_types = types;
	w.o.n_event_types = 2;
	reopen_client(&w);
	atlas_ask_events(w.c, &q);
	next(&w, false);
	ck_assert_ptr_nonnull(strstr(w.request.url, "&includeRaw=false&"));
	ck_assert_ptr_nonnull(strstr(w.request.url, "Z&eventType=USER_ADDED&eventType=A%26B%3DC%20D"));

	atlas_ask_org(w.c);
	next(&w, false);
	snprintf(want, sizeof(want), "%s" ORG, flavours[_i].prefix);
	ck_assert_str_eq(w.request.url, want);
	close_client(&w);
}
END_TEST

START_TEST(a_page_is_answered)
{
	struct world w;

	open_client(&w, false);
	for (int i = 0; i < 3; i++) {
		ask(&w);
		next(&w, false);
		ck_assert_int_eq(take(&w, 200, PAGE), ATLAS_ANSWERED);
		ck_assert_uint_eq(w.page.n_events, 1);
	}
	ck_assert_uint_eq(w.secrets_read, 1);
	ck_assert_uint_eq(atlas_client_counts(w.c)->questions, 3);
	ck_assert_uint_eq(atlas_client_counts(w.c)->malformed, 0);
	close_client(&w);
}
END_TEST

static const struct {
	const char *body, *type;
	enum err_code code;
	enum err_retry retry;
} bodies[] = {
	{ "", "application/json", ERR_PAGE, ERR_RETRY_NOW },
	{ "", "", ERR_PAGE, ERR_RETRY_NOW },
	{ "{\"results\":[", "application/json", ERR_PAGE, ERR_RETRY_NOW },
	{ "{\"results\":[]} x", "application/json", ERR_PAGE, ERR_RETRY_NOW },
	{ "null", "application/json", ERR_PAGE, ERR_RETRY_NOW },
	{ "<html>", "application/vnd.atlas.2023-01-01+json;charset=utf-8", ERR_PAGE, ERR_RETRY_NOW },
	{ "hello", "text/plain", ERR_PAGE, ERR_RETRY_NOW },
	{ "<html>log in here</html>", "text/html", ERR_SERVER, ERR_RETRY_LATER },
	{ "\xef\xbb\xbf \r\n<!DOCTYPE html>", "text/html; charset=utf-8", ERR_SERVER, ERR_RETRY_LATER },
	{ "<html>", "", ERR_SERVER, ERR_RETRY_LATER },
};

START_TEST(bodies_that_are_no_page)
{
	struct world w;

	for (int org = 0; org < 2; org++) {
		open_client(&w, false);
		if (org)
			atlas_ask_org(w.c);
		else
			ask(&w);
		next(&w, false);
		if (org == 0 || strstr(bodies[_i].body, "results") == NULL) {
			failed(&w, take_typed(&w, 200, bodies[_i].body, bodies[_i].type), bodies[_i].code,
			       bodies[_i].retry);
			ck_assert_uint_eq(atlas_client_counts(w.c)->malformed, bodies[_i].code == ERR_PAGE);
			ck_assert_int_eq(w.e.scope, bodies[_i].code == ERR_PAGE ? ERR_SCOPE_PAGE :
			                                                          ERR_SCOPE_ORGANIZATION);
			ck_assert_int_eq(w.e.http_status, 200);
		}
		next(&w, false); /* the question stands */
		close_client(&w);
	}
}
END_TEST

START_TEST(login_test)
{
	static const struct { const char *body; enum err_code code; } cases[] = {
		{ "{\"id\":\"" ORG "\",\"name\":\"Acme\",\"isDeleted\":false}", ERR_NONE },
		{ "{\"id\":\"32B6E34B3D91647ABB20E7B8\"}", ERR_NONE },
		{ "{\"name\":\"Acme\"}", ERR_PAGE },
		{ "{\"id\":7}", ERR_PAGE },
		{ "{\"id\":\"32b6e34b3d91647abb20e7b9\"}", ERR_ROLE },
		{ "{\"id\":\"" ORG "\",\"isDeleted\":true}", ERR_TENANT },
		{ "[]", ERR_PAGE },
	};
	struct world w;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		open_client(&w, false);
		atlas_ask_org(w.c);
		next(&w, false);
		ck_assert_int_eq(take(&w, 200, cases[i].body),
		                 cases[i].code == ERR_NONE ? ATLAS_ANSWERED : ATLAS_FAILED);
		ck_assert_int_eq(w.e.code, cases[i].code);
		close_client(&w);
	}
}
END_TEST

/* ---- digest ---- */

/* libcurl has no memory for the challenge, or the server's is none: the key was not shown. */
START_TEST(a_challenge_that_was_not_answered)
{
	struct world w;

	open_client(&w, false);
	ask(&w);
	next(&w, false);
	ck_assert_int_eq(take_challenged(&w, 401, REFUSED, "application/json", 0), ATLAS_ASK_AGAIN);
	next(&w, false);
	ck_assert(w.forget);
	failed(&w, take_challenged(&w, 401, REFUSED, "application/json", 0), ERR_CREDENTIAL, ERR_RETRY_OPERATOR);
	close_client(&w);
}
END_TEST

START_TEST(a_key_refused_at_once)
{
	struct world w;

	open_client(&w, false);
	ask(&w);
	next(&w, false);
	failed(&w, take(&w, 401, REFUSED), ERR_CREDENTIAL, ERR_RETRY_OPERATOR);
	ck_assert_uint_eq(atlas_client_counts(w.c)->questions, 1); /* two requests with its challenge */
	next(&w, false);
	ck_assert(w.forget);                   /* should somebody ask again, it is from the beginning: */
	ck_assert_uint_eq(w.secrets_read, 2);  /* the secret may have been put right */
	close_client(&w);
}
END_TEST

START_TEST(a_key_refused_after_it_worked)
{
	struct world w;

	open_client(&w, false);
	ask(&w);
	next(&w, false);
	ck_assert_int_eq(take(&w, 200, PAGE), ATLAS_ANSWERED);
	ask(&w);
	next(&w, false);
	ck_assert(!w.forget);
	ck_assert_int_eq(take(&w, 401, REFUSED), ATLAS_ASK_AGAIN);
	next(&w, false);
	ck_assert(w.forget);
	ck_assert_int_eq(take(&w, 200, PAGE), ATLAS_ANSWERED);
	ask(&w);
	next(&w, false);
	ck_assert(!w.forget);
	ck_assert_int_eq(take(&w, 401, REFUSED), ATLAS_ASK_AGAIN);
	next(&w, false);
	ck_assert(w.forget);
	failed(&w, take(&w, 401, REFUSED), ERR_CREDENTIAL, ERR_RETRY_OPERATOR);
	close_client(&w);
}
END_TEST

START_TEST(a_role_is_no_reason_to_try_again)
{
	struct world w;

	open_client(&w, false);
	ask(&w);
	next(&w, false);
	ck_assert_int_eq(take(&w, 200, PAGE), ATLAS_ANSWERED);
	ask(&w);
	next(&w, false);
	failed(&w, take(&w, 401, "{\"errorCode\":\"USER_CANNOT_ACCESS_ORG\"}"), ERR_ROLE, ERR_RETRY_OPERATOR);
	close_client(&w);
}
END_TEST

START_TEST(secrets_that_cannot_be_had)
{
	struct world w;
	struct err e;

	for (int sa = 0; sa < 2; sa++) {
		open_client(&w, sa);
		ask(&w);
		w.secret = NULL;
		err_clear(&e);
		ck_assert_int_eq(atlas_next(w.c, &w.request, &w.token, &w.forget, &e), -1);
		ck_assert_int_eq(e.code, ERR_SECRET);
		w.secret = "";
		err_clear(&e);
		ck_assert_int_eq(atlas_next(w.c, &w.request, &w.token, &w.forget, &e), -1);
		ck_assert_int_eq(e.code, ERR_SECRET);
		w.secret = SECRET;
		next(&w, sa);
		close_client(&w);
	}
}
END_TEST

/* ---- service accounts ---- */

/* Asks, mints tok-<n> and leaves the question as the last request. */
static void
mint(struct world *w, const char *reply)
{
	ask(w);
	next(w, true);
	ck_assert_str_eq(w->request.url, "https://cloud.example/api/oauth/token");
	ck_assert_str_eq(w->request.form, "grant_type=client_credentials");
	ck_assert_str_eq(w->request.accept, "application/json");
	ck_assert_int_eq(w->request.auth, HTTP_AUTH_BASIC);
	ck_assert_str_eq(w->request.user, "mdb_sa_id_1");
	ck_assert_str_eq(w->request.secret, SECRET);
	ck_assert_int_eq(take(w, 200, reply), ATLAS_ASK_AGAIN);
	next(w, false);
	ck_assert_int_eq(w->request.auth, HTTP_AUTH_BEARER);
}

START_TEST(a_token_is_minted_once_and_kept)
{
	struct world w;
	struct stat st;
	char text[1000];
	ssize_t n;
	int fd;

	open_client(&w, true);
	mint(&w, TOKEN_REPLY("tok-1"));
	ck_assert_str_eq(w.request.secret, "tok-1");
	ck_assert_int_eq(take(&w, 200, PAGE), ATLAS_ANSWERED);
	ask(&w);
	next(&w, false);
	ck_assert_int_eq(take(&w, 200, PAGE), ATLAS_ANSWERED);
	ck_assert_uint_eq(atlas_client_counts(w.c)->tokens_minted, 1);
	ck_assert_uint_eq(w.secrets_read, 1);

	ck_assert_uint_eq(strlen(token_file()), 64);
	ck_assert_int_eq(fstatat(dirfd_, token_file(), &st, AT_SYMLINK_NOFOLLOW), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	fd = openat(dirfd_, token_file(), O_RDONLY);
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	ck_assert_int_gt(n, 0);
	text[n] = '\0';
	ck_assert_ptr_nonnull(strstr(text, "\"client_id\":\"mdb_sa_id_1\""));
	ck_assert_ptr_nonnull(strstr(text, "\"expires_at\":1786334810"));
	ck_assert_ptr_null(strstr(text, SECRET));

	reopen_client(&w); /* the next run needs neither a token request nor the secret */
	now_ms += 3000 * 1000;
	ask(&w);
	next(&w, false);
	ck_assert_str_eq(w.request.secret, "tok-1");
	ck_assert_int_eq(take(&w, 200, PAGE), ATLAS_ANSWERED);
	ck_assert_uint_eq(atlas_client_counts(w.c)->tokens_minted, 0);
	ck_assert_uint_eq(w.secrets_read, 1);
	close_client(&w);
}
END_TEST

START_TEST(a_token_is_renewed_before_it_expires)
{
	struct world w;

	open_client(&w, true);
	mint(&w, TOKEN_REPLY("tok-1"));
	now_ms = (NOW_S + 3600 - 180 - 1) * 1000; /* a twentieth of its life before the end */
	next(&w, false);
	now_ms += 1000;
	next(&w, true);
	ck_assert_int_eq(take(&w, 200, TOKEN_REPLY("tok-2")), ATLAS_ASK_AGAIN);
	next(&w, false);
	ck_assert_str_eq(w.request.secret, "tok-2");
	reopen_client(&w);
	ask(&w);
	next(&w, false);
	ck_assert_str_eq(w.request.secret, "tok-2");
	close_client(&w);
}
END_TEST

static const struct { const char *reply; int64_t usable_s; } lives[] = {
	{ "{\"access_token\":\"tok-1\"}", 3600 - 180 },
	{ "{\"access_token\":\"tok-1\",\"expires_in\":600}", 540 },
	{ "{\"access_token\":\"tok-1\",\"expires_in\":100}", 50 },
	{ "{\"access_token\":\"tok-1\",\"expires_in\":2}", 1 },
	{ "{\"access_token\":\"tok-1\",\"expires_in\":0}", 3600 - 180 },
	{ "{\"access_token\":\"tok-1\",\"expires_in\":-9}", 3600 - 180 },
	{ "{\"access_token\":\"tok-1\",\"expires_in\":\"soon\"}", 3600 - 180 },
	{ "{\"access_token\":\"tok-1\",\"expires_in\":1e18}", 2592000 - 129600 },
	{ "{\"access_token\":\"tok-1\",\"expires_in\":7200.5,\"token_type\":\"bearer\"}", 7200 - 360 },
};

START_TEST(lives_of_tokens)
{
	struct world w;

	open_client(&w, true);
	mint(&w, lives[_i].reply);
	now_ms = (NOW_S + lives[_i].usable_s - 1) * 1000;
	next(&w, false);
	now_ms += 1000;
	next(&w, true);
	close_client(&w);
}
END_TEST

static const char *const unsound_replies[] = {
	"", "x", "[]", "{}", "{\"access_token\":7}", "{\"access_token\":\"\"}",
	"{\"access_token\":\"tok-1 tok-2\"}", "{\"access_token\":\"tok-1\\r\\nX-Evil: 1\"}",
	"{\"access_token\":\"tok-\\u00e9\"}", "{\"access_token\":\"tok-1\",\"token_type\":\"MAC\"}",
	"{\"access_token\":\"tok-1\",\"token_type\":7}", "{\"access_token\":\"tok-1\"} trailing",
	"<html>log in</html>", "{\"error\":\"invalid_client\"}",
};

START_TEST(unsound_token_replies)
{
	struct world w;

	open_client(&w, true);
	ask(&w);
	next(&w, true);
	failed(&w, take(&w, 200, unsound_replies[_i]), ERR_SERVER, ERR_RETRY_LATER);
	ck_assert_uint_eq(w.body.len, 0);
	ck_assert_str_eq(token_file(), "");
	next(&w, true);
	ck_assert_uint_eq(w.secrets_read, 1);
	ck_assert_uint_eq(atlas_client_counts(w.c)->tokens_minted, 0);
	close_client(&w);
}
END_TEST

START_TEST(a_client_refused)
{
	struct world w;

	open_client(&w, true);
	ask(&w);
	next(&w, true);
	failed(&w, take(&w, 401, "{\"error\":\"invalid_client\",\"error_description\":\"" SECRET "\"}"),
	       ERR_CREDENTIAL, ERR_RETRY_OPERATOR);
	next(&w, true);
	failed(&w, take(&w, 403, "{\"error\":\"access_denied\"}"), ERR_CREDENTIAL, ERR_RETRY_OPERATOR);
	ck_assert_ptr_nonnull(strstr(w.e.hint, "100"));
	next(&w, true);
	failed(&w, take(&w, 429, "{\"errorCode\":\"RATE_LIMITED\",\"parameters\":[\"/api/oauth/token\",10,1]}"),
	       ERR_RATE_LIMITED, ERR_RETRY_LATER);
	ck_assert_int_eq(atlas_client_limits(w.c)->capacity, 10);
	ck_assert_int_eq(atlas_client_limits(w.c)->refill_period_s, 60);
	next(&w, true);
	close_client(&w);
}
END_TEST

/* A token that was kept is refused: dropped, one new, asked once more. */
START_TEST(a_kept_token_refused)
{
	struct world w;

	open_client(&w, true);
	mint(&w, TOKEN_REPLY("tok-1"));
	reopen_client(&w);
	ask(&w);
	next(&w, false);
	ck_assert_int_eq(take(&w, 401, REFUSED), ATLAS_ASK_AGAIN);
	ck_assert_str_eq(token_file(), "");
	next(&w, true);
	ck_assert_int_eq(take(&w, 200, TOKEN_REPLY("tok-2")), ATLAS_ASK_AGAIN);
	next(&w, false);
	ck_assert_str_eq(w.request.secret, "tok-2");
	failed(&w, take(&w, 401, REFUSED), ERR_CREDENTIAL, ERR_RETRY_OPERATOR);
	ck_assert_str_eq(token_file(), ""); /* three requests in all, and the next run starts clean */
	close_client(&w);
}
END_TEST

/* A token that worked a while ago may be refused before its time; each question has one fresh try. */
START_TEST(an_old_token_refused)
{
	struct world w;

	open_client(&w, true);
	mint(&w, TOKEN_REPLY("tok-1"));
	ck_assert_int_eq(take(&w, 200, PAGE), ATLAS_ANSWERED);
	ask(&w);
	next(&w, false);
	ck_assert_int_eq(take(&w, 401, REFUSED), ATLAS_ASK_AGAIN);
	next(&w, true);
	ck_assert_int_eq(take(&w, 200, TOKEN_REPLY("tok-2")), ATLAS_ASK_AGAIN);
	next(&w, false);
	ck_assert_int_eq(take(&w, 200, PAGE), ATLAS_ANSWERED);
	close_client(&w);
}
END_TEST

START_TEST(a_new_token_refused)
{
	struct world w;

	open_client(&w, true);
	mint(&w, TOKEN_REPLY("tok-1"));
	failed(&w, take(&w, 401, REFUSED), ERR_CREDENTIAL, ERR_RETRY_OPERATOR); /* two requests */
	close_client(&w);
}
END_TEST

/* Another process may have replaced the file meanwhile: its token is not thrown away. */
START_TEST(another_ones_token_stays)
{
	struct world w, other;

	open_client(&w, true);
	mint(&w, TOKEN_REPLY("tok-1"));
	ck_assert_int_eq(take(&w, 200, PAGE), ATLAS_ANSWERED);
	ck_assert_int_eq(unlinkat(dirfd_, token_file(), 0), 0);
	open_client(&other, true);
	mint(&other, TOKEN_REPLY("tok-2"));
	ask(&w);
	next(&w, false);
	ck_assert_int_eq(take(&w, 401, REFUSED), ATLAS_ASK_AGAIN);
	ck_assert_uint_eq(strlen(token_file()), 64);
	close_client(&other);
	close_client(&w);
}
END_TEST

START_TEST(tokens_of_others_are_not_taken)
{
	struct world w;

	open_client(&w, true);
	mint(&w, TOKEN_REPLY("tok-1"));
	w.o.user = "mdb_sa_id_2";
	reopen_client(&w);
	ask(&w);
	next(&w, true);
	w.o.user = "mdb_sa_id_1";
	w.o.base_url = "https://other.example";
	reopen_client(&w);
	ask(&w);
	next(&w, true);
	w.o.base_url = "https://cloud.example//";
	reopen_client(&w);
	ask(&w);
	next(&w, false);
	w.o.tokens_dirfd = -1;
	reopen_client(&w);
	ask(&w);
	next(&w, true);
	close_client(&w);
}
END_TEST

/* ---- files that must not be trusted ---- */

static void spoil_mode(void) { ck_assert_int_eq(fchmodat(dirfd_, token_file(), 0640, 0), 0); }
static void spoil_link(void)
{
	char name[256];

	snprintf(name, sizeof(name), "%s", token_file());
	ck_assert_int_eq(unlinkat(dirfd_, name, 0), 0);
	ck_assert_int_eq(symlinkat("/etc/passwd", dirfd_, name), 0);
}
static void rewrite(const char *text)
{
	int fd = openat(dirfd_, token_file(), O_WRONLY | O_TRUNC);

	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}
#define KEPT(token, at) "{\"base_url\":\"https://cloud.example\",\"client_id\":\"mdb_sa_id_1\"," \
	"\"access_token\":\"" token "\",\"expires_at\":" at ",\"expires_in\":3600}"
static void spoil_empty(void) { rewrite(""); }
static void spoil_torn(void) { rewrite("{\"base_url\":\"https://cl"); }
static void spoil_client(void) { rewrite("{\"base_url\":\"https://cloud.example\",\"client_id\":\"other\","
	"\"access_token\":\"tok-x\",\"expires_at\":1786334810,\"expires_in\":3600}"); }
static void spoil_token(void) { rewrite(KEPT("tok-x\\nX: y", "1786334810")); }
static void spoil_late(void) { rewrite(KEPT("tok-x", "99999999999999")); }
static void spoil_expired(void) { rewrite(KEPT("tok-x", "1786331300")); }
static void spoil_number(void) { rewrite(KEPT("tok-x", "\"soon\"")); }
static void spoil_depth(void)
{
	char *deep = malloc(60001);

	memset(deep, '[', 60000);
	deep[60000] = '\0';
	rewrite(deep);
	free(deep);
}
static void spoil_size(void)
{
	char *big = malloc(100001);

	memset(big, ' ', 100000);
	big[100000] = '\0';
	rewrite(big);
	free(big);
}

static const struct { void (*spoil)(void); bool logged; } spoilers[] = {
	{ spoil_mode, true }, { spoil_link, true }, { spoil_empty, false }, { spoil_torn, false },
	{ spoil_client, false }, { spoil_token, false }, { spoil_late, false }, { spoil_expired, false },
	{ spoil_number, false }, { spoil_depth, false }, { spoil_size, false },
};

START_TEST(unsafe_and_unsound_files)
{
	struct world w;
	struct stat st;

	open_client(&w, true);
	mint(&w, TOKEN_REPLY("tok-1"));
	spoilers[_i].spoil();
	reopen_client(&w);
	mint(&w, TOKEN_REPLY("tok-2"));
	ck_assert_int_eq(strstr(logged(), "level=warn org=acme") != NULL, spoilers[_i].logged);
	ck_assert_int_eq(fstatat(dirfd_, token_file(), &st, AT_SYMLINK_NOFOLLOW), 0);
	ck_assert(S_ISREG(st.st_mode));
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	reopen_client(&w);
	ask(&w);
	next(&w, false);
	ck_assert_str_eq(w.request.secret, "tok-2");
	close_client(&w);
}
END_TEST

START_TEST(a_directory_in_the_files_place)
{
	struct world w;
	char name[256];

	open_client(&w, true);
	mint(&w, TOKEN_REPLY("tok-1"));
	snprintf(name, sizeof(name), "%s", token_file());
	ck_assert_int_eq(unlinkat(dirfd_, name, 0), 0);
	ck_assert_int_eq(mkdirat(dirfd_, name, 0700), 0);
	reopen_client(&w);
	mint(&w, TOKEN_REPLY("tok-2")); /* works, only unkept */
	ck_assert_ptr_nonnull(strstr(logged(), "cannot be kept"));
	ck_assert_str_eq(token_file(), name); /* and nothing is left lying about */
	close_client(&w);
}
END_TEST

/* ---- transport failures ---- */

START_TEST(transport_failures_pass_through)
{
	struct http_answer a = { .retry_after_s = -1 };
	struct world w;
	struct err e = { 0 };

	open_client(&w, true);
	a.body = &w.body;
	for (int step = 0; step < 3; step++) {
		if (step == 0)
			ask(&w);
		else if (step == 1)
			atlas_ask_org(w.c);
		next(&w, step < 2);
		err_clear(&a.err);
		err_set(&a.err, ERR_TIMEOUT, ERR_SCOPE_ORGANIZATION, ERR_RETRY_LATER, "nothing came");
		err_clear(&e);
		ck_assert_int_eq(atlas_take(w.c, &a, NULL, &e), ATLAS_FAILED);
		ck_assert_int_eq(e.code, ERR_TIMEOUT);
		ck_assert_str_eq(e.text, "nothing came");
		/* Too big is a page's affair alone: a token and an organization cannot be narrowed. */
		next(&w, step < 2);
		err_clear(&a.err);
		err_set(&a.err, ERR_TOO_BIG, ERR_SCOPE_PAGE, ERR_RETRY_NOW, "too big");
		err_clear(&e);
		ck_assert_int_eq(atlas_take(w.c, &a, NULL, &e), ATLAS_FAILED);
		ck_assert_int_eq(e.code, step < 2 ? ERR_SERVER : ERR_TOO_BIG);
		ck_assert_int_eq(e.scope, step < 2 ? ERR_SCOPE_ORGANIZATION : ERR_SCOPE_PAGE);
		if (step == 1) {
			mint(&w, TOKEN_REPLY("tok-1"));
			ck_assert_int_eq(take(&w, 200, PAGE), ATLAS_ANSWERED);
			ask(&w);
		}
	}
	close_client(&w);
}
END_TEST

/* ---- whatever comes, a question costs few requests, and every path ends ---- */

/* Random answers; a worker that obeys: ask again at once, stop at an operator's failure, try six times
 * otherwise. A refused credential may cost six requests on the wire; we want four. */
START_TEST(random_answers)
{
	static const struct { int status; const char *body; } answers[] = {
		{ 200, PAGE }, { 200, TOKEN_REPLY("tok-9") }, { 200, "" }, { 401, REFUSED }, { 401, "" },
		{ 401, REFUSED }, { 403, "{\"errorCode\":\"USER_UNAUTHORIZED\"}" }, { 429, "" }, { 503, "<html>" },
		{ 302, "" }, { 200, "{\"id\":\"" ORG "\"}" }, { 401, "{\"error\":\"invalid_client\"}" },
	};
	const char *seed_text = getenv("ORGSYNC_TEST_SEED");
	uint64_t seed = seed_text != NULL ? strtoull(seed_text, NULL, 10) : 20261122;
	size_t clients = test_cases(1500, 30000);
	unsigned long cases = 0, refused = 0;
	struct world w;
	struct rng r;

	printf("random_answers: ORGSYNC_TEST_SEED=%llu\n", (unsigned long long)seed);
	rng_seed(&r, seed);
	for (size_t client = 0; client < clients; client++) {
		bool sa = rng_below(&r, 2);
		bool always_401 = rng_below(&r, 4) == 0;
		unsigned wire = 0, again = 0;

		open_client(&w, sa);
		if (rng_below(&r, 2))
			w.o.tokens_dirfd = -1;
		reopen_client(&w);
		for (int question = 0; question < 6; question++) {
			if (rng_below(&r, 5) == 0)
				atlas_ask_org(w.c);
			else
				ask(&w);
			again = wire = 0;
			for (int attempt = 0; attempt < 6; ) {
				size_t pick = rng_below(&r, sizeof(answers) / sizeof(*answers));
				struct err e = { 0 };
				enum atlas_outcome outcome;

				ck_assert_int_eq(atlas_next(w.c, &w.request, &w.token, &w.forget, &e), 0);
				ck_assert(sa || !w.token);
				ck_assert(w.token == (w.request.form != NULL));
				ck_assert_ptr_nonnull(w.request.secret);
				/* a fresh digest handle pays a challenge */
				wire += !sa && (w.forget || question == 0) ? 2 : 1;
				if (always_401)
					pick = w.token && rng_below(&r, 2) ? 1 : 3;
				now_ms += (int64_t)rng_below(&r, 400000);
				outcome = take(&w, answers[pick].status, answers[pick].body);
				cases++;
				if (outcome == ATLAS_ASK_AGAIN) {
					/* token, dropped, token: no more than that without a failure between */
					ck_assert_uint_le(++again, 3);
					continue;
				}
				again = 0;
				if (outcome == ATLAS_ANSWERED || w.e.retry == ERR_RETRY_OPERATOR)
					break;
				attempt++;
			}
			if (always_401 && w.e.code == ERR_CREDENTIAL) {
				ck_assert_uint_le(wire, 4);
				refused++;
				break;
			}
		}
		ck_assert(!always_401 || w.e.code == ERR_CREDENTIAL);
		close_client(&w);
		if (client % 7 == 0 && *token_file() != '\0')
			unlinkat(dirfd_, token_file(), 0);
	}
	ck_assert_uint_gt(refused, clients / 15);
	test_cases_played("random answers", cases);
	printf("%zu clients, %lu of them refused\n", clients, refused);
}
END_TEST

#define N(cases) ((int)(sizeof(cases) / sizeof(*(cases))))

int
main(void)
{
	Suite *suite = suite_create("atlas_client");
	TCase *t = tcase_create("client");
	SRunner *runner = srunner_create(suite);
	int failures;

	suite_add_tcase(suite, t);
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, the_question_as_url, 0, N(flavours));
	tcase_add_test(t, a_page_is_answered);
	tcase_add_loop_test(t, bodies_that_are_no_page, 0, N(bodies));
	tcase_add_test(t, login_test);
	tcase_add_test(t, a_challenge_that_was_not_answered);
	tcase_add_test(t, a_key_refused_at_once);
	tcase_add_test(t, a_key_refused_after_it_worked);
	tcase_add_test(t, a_role_is_no_reason_to_try_again);
	tcase_add_test(t, secrets_that_cannot_be_had);
	tcase_add_test(t, a_token_is_minted_once_and_kept);
	tcase_add_test(t, a_token_is_renewed_before_it_expires);
	tcase_add_loop_test(t, lives_of_tokens, 0, N(lives));
	tcase_add_loop_test(t, unsound_token_replies, 0, N(unsound_replies));
	tcase_add_test(t, a_client_refused);
	tcase_add_test(t, a_kept_token_refused);
	tcase_add_test(t, an_old_token_refused);
	tcase_add_test(t, a_new_token_refused);
	tcase_add_test(t, another_ones_token_stays);
	tcase_add_test(t, tokens_of_others_are_not_taken);
	tcase_add_loop_test(t, unsafe_and_unsound_files, 0, N(spoilers));
	tcase_add_test(t, a_directory_in_the_files_place);
	tcase_add_test(t, transport_failures_pass_through);
	tcase_add_test(t, random_answers);
	srunner_run_all(runner, CK_ENV);
	failures = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failures == 0 ? 0 : 1;
}
