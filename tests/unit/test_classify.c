/* Every row of the table of errors in docs/ATLAS.md, and the shapes a proxy or a broken server adds. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "lib/atlas/client.h"

#define BODY(code) "{\"error\":0,\"reason\":\"x\",\"detail\":\"secret-detail\",\"errorCode\":\"" code "\"}"
#define HTML "<html><head><title>503 secret-detail</title></head></html>"
#define LATER ERR_RETRY_LATER
#define OPERATOR ERR_RETRY_OPERATOR

struct row {
	int status;
	bool token;
	const char *body;
	enum err_code code;
	enum err_retry retry;
	const char *words;  /* in the text */
	const char *hint;   /* in the hint */
};

static const struct row rows[] = {
	{ 400, false, BODY("INVALID_DATE_FORMAT"), ERR_REQUEST, OPERATOR, "INVALID_DATE_FORMAT", "report" },
	{ 400, false, BODY("INVALID_DATE_RANGE"), ERR_REQUEST, OPERATOR, "INVALID_DATE_RANGE", "report" },
	{ 400, false, BODY("INVALID_ENUM_VALUE"), ERR_REQUEST, OPERATOR, "ENUM", "event_types" },
	{ 400, false, BODY("INVALID_QUERY_PARAMETER"), ERR_REQUEST, OPERATOR, "QUERY", "report" },
	{ 400, false, BODY("VALIDATION_ERROR"), ERR_REQUEST, OPERATOR, "VALIDATION_ERROR", "report" },
	{ 400, false, BODY("INVALID_VERSION_DATE"), ERR_REQUEST, OPERATOR, "VERSION", "api" },
	{ 400, false, BODY("INACTIVE_ORG"), ERR_TENANT, OPERATOR, "INACTIVE_ORG", "reactivated" },
	{ 400, false, HTML, ERR_REQUEST, OPERATOR, "400", "base_url" },
	{ 401, false, BODY("UNEXPECTED_ERROR"), ERR_CREDENTIAL, OPERATOR, "refused", "secret" },
	{ 401, false, BODY("NO_CURRENT_USER"), ERR_CREDENTIAL, OPERATOR, "NO_CURRENT_USER", "secret" },
	{ 401, false, HTML, ERR_CREDENTIAL, OPERATOR, "refused", "secret" },
	{ 401, false, "", ERR_CREDENTIAL, OPERATOR, "refused", "secret" },
	{ 401, false, BODY("USER_UNAUTHORIZED"), ERR_ROLE, OPERATOR, "USER_UNAUTHORIZED", "Organization Member" },
	{ 401, false, BODY("USER_CANNOT_ACCESS_ORG"), ERR_ROLE, OPERATOR, "CANNOT", "org_id" },
	{ 401, false, BODY("NOT_ORG_GROUP_CREATOR"), ERR_ROLE, OPERATOR, "NOT_ORG_", "Organization Member" },
	{ 403, false, BODY("USER_UNAUTHORIZED"), ERR_ROLE, OPERATOR, "403", "Organization Member" },
	{ 403, false, BODY("USER_CANNOT_ACCESS_ORG"), ERR_ROLE, OPERATOR, "403", "org_id" },
	{ 403, false, BODY("NOT_ORG_MEMBER"), ERR_ROLE, OPERATOR, "NOT_ORG_MEMBER", "Organization Member" },
	{ 403, false, BODY("SOMETHING_NEW"), ERR_ROLE, OPERATOR, "SOMETHING_NEW", "Organization Member" },
	{ 402, false, BODY("ACCOUNT_SUSPENDED"), ERR_TENANT, OPERATOR, "ACCOUNT_SUSPENDED", "pay" },
	{ 402, false, HTML, ERR_TENANT, OPERATOR, "402", "pay" },
	{ 403, false, "{\"errorCode\":\"IP_ADDRESS_NOT_ON_ACCESS_LIST\",\"parameters\":[\"203.0.113.9\"]}",
	  ERR_ACCESS_LIST, OPERATOR, "203.0.113.9", "add 203.0.113.9 to the API access list" },
	{ 403, false, "{\"errorCode\":\"IP_ADDRESS_NOT_ON_WHITELIST\",\"parameters\":[\"2001:db8::9\"]}",
	  ERR_ACCESS_LIST, OPERATOR, "2001:db8::9", "add 2001:db8::9" },
	{ 403, false, "{\"errorCode\":\"IP_ADDRESS_NOT_ON_ACCESS_LIST\",\"parameters\":[\"secret-detail\"]}",
	  ERR_ACCESS_LIST, OPERATOR, "this machine's address", "public address" },
	{ 403, false, "{\"errorCode\":\"IP_ADDRESS_NOT_ON_ACCESS_LIST\",\"parameters\":[7]}",
	  ERR_ACCESS_LIST, OPERATOR, "this machine's address", "public address" },
	{ 403, false, BODY("IP_ADDRESS_NOT_ON_ACCESS_LIST"), ERR_ACCESS_LIST, OPERATOR,
	  "this machine's address", "public address" },
	{ 403, false, BODY("ORG_REQUIRES_ACCESS_LIST"), ERR_ACCESS_LIST, OPERATOR, "ORG_REQUIRES_", "access list" },
	{ 403, false, BODY("INACTIVE_ORG"), ERR_TENANT, OPERATOR, "INACTIVE_ORG", "reactivated" },
	{ 403, false, HTML, ERR_SERVER, LATER, "not Atlas's", "proxy" },
	{ 404, false, BODY("ORG_NOT_FOUND"), ERR_ORG_UNKNOWN, OPERATOR, "ORG_NOT_FOUND", "check org_id" },
	{ 404, false, BODY("INVALID_ORG_ID"), ERR_ORG_UNKNOWN, OPERATOR, "INVALID_ORG_ID", "check org_id" },
	{ 404, false, BODY("NOT_ATLAS_ORG"), ERR_ORG_UNKNOWN, OPERATOR, "NOT_ATLAS_ORG", "check org_id" },
	{ 404, false, HTML, ERR_ORG_UNKNOWN, OPERATOR, "404", "base_url" },
	{ 405, false, HTML, ERR_REQUEST, OPERATOR, "405", "base_url" },
	{ 406, false, BODY("UNSUPPORTED_ACCEPT"), ERR_REQUEST, OPERATOR, "406", "api" },
	{ 410, false, HTML, ERR_REQUEST, OPERATOR, "410", "api" },
	{ 414, false, HTML, ERR_REQUEST, OPERATOR, "414", "" },
	{ 408, false, HTML, ERR_SERVER, LATER, "408", "" },
	{ 429, false, BODY("RATE_LIMITED_TOKEN_BUCKET"), ERR_RATE_LIMITED, LATER, "429", "requests_per_minute" },
	{ 429, false, HTML, ERR_RATE_LIMITED, LATER, "429", "requests_per_minute" },
	{ 500, false, BODY("UNEXPECTED_ERROR"), ERR_SERVER, LATER, "UNEXPECTED_ERROR", "" },
	{ 502, false, HTML, ERR_SERVER, LATER, "502", "" },
	{ 503, false, BODY("SERVICE_UNAVAILABLE"), ERR_SERVER, LATER, "SERVICE_UNAVAILABLE", "" },
	{ 504, false, "", ERR_SERVER, LATER, "504", "" },
	{ 599, false, HTML, ERR_SERVER, LATER, "599", "" },
	{ 204, false, "", ERR_SERVER, LATER, "not Atlas's", "base_url" },
	{ 777, false, "", ERR_SERVER, LATER, "not Atlas's", "base_url" },
	{ 300, false, HTML, ERR_REDIRECT, OPERATOR, "login.example:8443", "base_url" },
	{ 301, false, HTML, ERR_REDIRECT, OPERATOR, "login.example:8443", "base_url" },
	{ 302, false, HTML, ERR_REDIRECT, LATER, "login.example:8443", "base_url" },
	{ 303, false, HTML, ERR_REDIRECT, LATER, "login.example:8443", "base_url" },
	{ 304, false, "", ERR_SERVER, LATER, "not Atlas's", "base_url" },
	{ 307, true, HTML, ERR_REDIRECT, LATER, "login.example:8443", "base_url" },
	{ 308, true, HTML, ERR_REDIRECT, OPERATOR, "login.example:8443", "base_url" },
	{ 401, true, "{\"error\":\"invalid_client\",\"error_description\":\"secret-detail\"}", ERR_CREDENTIAL,
	  OPERATOR, "invalid_client", "client_secret" },
	{ 400, true, "{\"error\":\"invalid_client\"}", ERR_CREDENTIAL, OPERATOR, "invalid_client", "client_id" },
	{ 400, true, "{\"error\":\"invalid_request\"}", ERR_REQUEST, OPERATOR, "invalid_request", "report" },
	{ 403, true, "{\"error\":\"access_denied\"}", ERR_CREDENTIAL, OPERATOR, "access_denied", "100" },
	{ 403, true, BODY("IP_ADDRESS_NOT_ON_ACCESS_LIST"), ERR_ACCESS_LIST, OPERATOR, "address", "access list" },
	{ 403, true, HTML, ERR_SERVER, LATER, "not Atlas's", "proxy" },
	{ 404, true, HTML, ERR_REQUEST, OPERATOR, "token endpoint", "base_url" },
	{ 429, true, BODY("RATE_LIMITED"), ERR_RATE_LIMITED, LATER, "token endpoint", "" },
	{ 503, true, HTML, ERR_SERVER, LATER, "503", "" },
	/* bodies that are none */
	{ 500, false, "{\"errorCode\":5}", ERR_SERVER, LATER, "500", "" },
	{ 500, false, "[1,2]", ERR_SERVER, LATER, "500", "" },
	{ 500, false, "{\"errorCode\":\"lower case, spaces\"}", ERR_SERVER, LATER, "500", "" },
	{ 500, false, "{\"errorCode\":\"CUT", ERR_SERVER, LATER, "500", "" },
};

/* What atlas_classify() makes of a status and a body; *e is cleared before. */
static void
classify(int status, bool token, const char *body, int64_t retry_after_s, struct atlas_limits *ret_limits,
         struct err *e)
{
	struct http_answer a = { .status = status, .retry_after_s = retry_after_s };
	struct buf b;

	buf_init(&b, 1 << 20);
	ck_assert_int_eq(buf_append_str(&b, body), 0);
	a.body = &b;
	if (status >= 300 && status <= 399)
		strcpy(a.location_host, "login.example:8443");
	err_clear(e);
	atlas_classify(&a, token, ret_limits, e);
	buf_free(&b);
}

START_TEST(each_row)
{
	const struct row *r = &rows[_i];
	struct atlas_limits limits;
	struct err e;

	classify(r->status, r->token, r->body, -1, &limits, &e);
	ck_assert_msg(e.code == r->code, "%d %s: %s: %s", r->status, r->body, err_code_name(e.code), e.text);
	ck_assert_msg(e.retry == r->retry, "%d %s: %s", r->status, r->body, e.text);
	ck_assert_int_eq(e.scope, ERR_SCOPE_ORGANIZATION);
	ck_assert_int_eq(e.http_status, r->status);
	ck_assert_int_eq(e.retry_after_ms, -1);
	ck_assert_msg(strstr(e.text, r->words) != NULL, "no \"%s\" in: %s", r->words, e.text);
	ck_assert_msg(strstr(e.hint, r->hint) != NULL, "no \"%s\" in: %s", r->hint, e.hint);
	ck_assert_msg(r->retry != OPERATOR || e.hint[0] != '\0', "no hint for: %s", e.text);
	ck_assert_msg(strstr(e.text, "secret-detail") == NULL && strstr(e.hint, "secret-detail") == NULL,
	              "quotes the body: %s", e.text);
	ck_assert(strlen(e.text) < sizeof(e.text) - 1 && strlen(e.hint) < sizeof(e.hint) - 1);
	ck_assert_int_eq(err_is_credential(e.code), r->code == ERR_CREDENTIAL || r->code == ERR_ROLE ||
	                                            r->code == ERR_ACCESS_LIST);
}
END_TEST

static const struct {
	const char *body;
	int64_t header_s;
	struct atlas_limits want;
} limit_cases[] = {
	{ "{\"errorCode\":\"RATE_LIMITED_TOKEN_BUCKET\",\"parameters\":[\"api/atlas/v2/orgs\",55,10,5,60]}", -1,
	  { 10, 5, 60, 55 } },
	{ "{\"errorCode\":\"RATE_LIMITED_TOKEN_BUCKET\",\"parameters\":[\"api/atlas/v2/orgs\",55,10,5,60]}", 70,
	  { 10, 5, 60, 70 } },
	{ "{\"errorCode\":\"RATE_LIMITED_TOKEN_BUCKET\",\"parameters\":[\"api/atlas/v2/orgs\",55,10,5,60]}", 7,
	  { 10, 5, 60, 55 } },
	{ "{\"errorCode\":\"RATE_LIMITED\",\"parameters\":[\"/api/oauth/token\",10,1]}", -1, { 10, 10, 60, -1 } },
	{ "{\"errorCode\":\"RATE_LIMITED\",\"parameters\":[\"/api/oauth/token\",10,1]}", 3, { 10, 10, 60, 3 } },
	{ "{\"errorCode\":\"RATE_LIMITED\",\"parameters\":[\"/api/oauth/token\",10]}", -1, { 10, 10, -1, -1 } },
	{ "{\"errorCode\":\"RATE_LIMITED\",\"parameters\":[\"x\",55,10,5,60]}", -1, { 10, 5, 60, 55 } },
	{ "{\"errorCode\":\"RATE_LIMITED_TOKEN_BUCKET\",\"parameters\":[\"x\",null,10,\"5\",60]}", 9,
	  { 10, -1, 60, 9 } },
	{ "{\"parameters\":[\"x\",55,10,5,60]}", -1, { 10, 5, 60, 55 } },
	{ "{\"errorCode\":\"RATE_LIMITED_TOKEN_BUCKET\",\"parameters\":[\"x\",-5,-1,5.0,1e300]}", -1,
	  { -1, 5, 1000000000, -1 } },
	{ "{\"errorCode\":\"RATE_LIMITED_TOKEN_BUCKET\",\"parameters\":{}}", 4, { -1, -1, -1, 4 } },
	{ "{\"errorCode\":\"RATE_LIMITED\"}", 4, { -1, -1, -1, 4 } },
	{ HTML, 4, { -1, -1, -1, 4 } },
	{ "", -1, { -1, -1, -1, -1 } },
	{ "", INT64_C(999999999999), { -1, -1, -1, 1000000000 } },
};

START_TEST(what_a_429_says)
{
	const struct atlas_limits *want = &limit_cases[_i].want;
	struct atlas_limits got;
	struct err e;

	classify(429, false, limit_cases[_i].body, limit_cases[_i].header_s, &got, &e);
	ck_assert_int_eq(e.code, ERR_RATE_LIMITED);
	ck_assert_int_eq(got.capacity, want->capacity);
	ck_assert_int_eq(got.refill, want->refill);
	ck_assert_int_eq(got.refill_period_s, want->refill_period_s);
	ck_assert_int_eq(got.retry_after_s, want->retry_after_s);
	ck_assert_int_eq(e.retry_after_ms, want->retry_after_s < 0 ? -1 : want->retry_after_s * 1000);
}
END_TEST

START_TEST(a_503_may_ask_for_a_pause)
{
	struct atlas_limits limits;
	struct err e;

	classify(503, false, HTML, 30, &limits, &e);
	ck_assert_int_eq(e.retry_after_ms, 30000);
	ck_assert_int_eq(limits.retry_after_s, 30);
	ck_assert_int_eq(limits.capacity, -1);
}
END_TEST

/* A huge or deep body is no reason to fail otherwise than by its status. */
START_TEST(hostile_bodies)
{
	static char body[200001];
	struct atlas_limits limits;
	struct err e;

	memset(body, '[', sizeof(body) - 1);
	classify(429, false, body, -1, &limits, &e);
	ck_assert_int_eq(e.code, ERR_RATE_LIMITED);
	body[60000] = '\0';
	classify(404, false, body, -1, &limits, &e);
	ck_assert_int_eq(e.code, ERR_ORG_UNKNOWN);
	snprintf(body, sizeof(body), "{\"errorCode\":\"%0300d\"}", 0);
	classify(500, false, body, -1, &limits, &e);
	ck_assert_ptr_null(strstr(e.text, "000000"));
}
END_TEST

#define N(cases) ((int)(sizeof(cases) / sizeof(*(cases))))

int
main(void)
{
	Suite *suite = suite_create("classify");
	TCase *t = tcase_create("classify");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, t);
	tcase_add_loop_test(t, each_row, 0, N(rows));
	tcase_add_loop_test(t, what_a_429_says, 0, N(limit_cases));
	tcase_add_test(t, a_503_may_ask_for_a_pause);
	tcase_add_test(t, hostile_bodies);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
