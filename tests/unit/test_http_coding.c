/* Encodings of a body that were not asked for, and bodies that no cap on what comes out would end. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/http_world.h"

#define OK_HEAD "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
#define LONG "                                                                                "

static const struct {
	const char *fields;
	bool taken;
} cases[] = {
	{ "", true },
	{ "Content-Encoding: identity\r\n", true },
	{ "Content-Encoding:\r\n", true },
	{ "X-Content-Encoding: br\r\nContent-Encoding-X: br\r\n", true },
	{ "Content-Encoding: br\r\n", false },
	{ "CONTENT-ENCODING:br\r\n", false },
	{ "Content-Encoding: deflate\r\n", false },
	{ "Content-Encoding: zstd\r\n", false },
	{ "Content-Encoding: rot13\r\n", false },
	{ "Content-Encoding: gzi\r\n", false },
	{ "Content-Encoding: gzip, gzip\r\n", false },
	{ "Content-Encoding: gzip,br\r\n", false },
	{ "Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n", false },
	{ "Content-Encoding: gzip\r\nContent-Encoding: x-gzip\r\n", false },
	{ "Content-Encoding: identity, " LONG LONG LONG LONG "br\r\n", false },
	{ "Transfer-Encoding: gzip, chunked\r\n", false },
	{ "Transfer-Encoding: gzip\r\n", false },
};

START_TEST(encodings_not_asked_for)
{
	static char text[1000];
	struct scripted_reply reply = { .bytes = text };
	struct http_world w = { .script = &reply, .n_script = 1 };
	struct http_answer *a;

	snprintf(text, sizeof(text), OK_HEAD "%sContent-Length: 2\r\n\r\n{}", cases[_i].fields);
	world_open(&w, NULL, NULL, NULL);
	a = world_get(&w);
	if (cases[_i].taken) {
		ck_assert_msg(!err_is(&a->err), "%s: %s", cases[_i].fields, a->err.text);
		ck_assert_uint_eq(a->body->len, 2);
	} else {
		ck_assert_msg(a->err.code == ERR_NETWORK, "%s", cases[_i].fields);
		ck_assert_int_eq(a->err.retry, ERR_RETRY_LATER);
		ck_assert_ptr_nonnull(strstr(a->err.text, "an encoding that was not asked for"));
		ck_assert_uint_eq(a->body->len, 0);
	}
	world_close(&w);
}
END_TEST

/* Fields of one answer do not count against the next. */
START_TEST(each_answer_has_its_own)
{
	/* "{}" by gzip */
	static const char body[] = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab\xae\x05\x00\x43\xbf\xa6\xa3\x02\x00\x00\x00";
	static char text[200];
	struct scripted_reply reply = { .bytes = text };
	struct http_world w = { .script = &reply, .n_script = 1 };
	int head = sprintf(text, OK_HEAD "Content-Encoding: gzip\r\nContent-Length: %zu\r\n\r\n", sizeof(body) - 1);

	memcpy(text + head, body, sizeof(body) - 1);
	reply.len = (size_t)head + sizeof(body) - 1;
	world_open(&w, NULL, NULL, NULL);
	for (int i = 0; i < 3; i++) {
		struct http_answer *a = world_get(&w);

		ck_assert_msg(!err_is(&a->err), "%s", a->err.text);
		ck_assert_uint_eq(a->body->len, 2);
	}
	world_close(&w);
}
END_TEST

static void
assert_too_big(struct http_world *w, const struct http_request *request)
{
	struct http_answer *a = world_ask(w, *request);

	ck_assert_msg(a->err.code == ERR_TOO_BIG, "%s: %s", err_code_name(a->err.code), a->err.text);
	ck_assert_int_lt(a->elapsed_ms, 20000);
}

/* gzip whose blocks are all empty: it inflates to nothing, for ever. */
START_TEST(bytes_that_come_to_nothing)
{
	static char block[90000];
	static const char begin[] = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", empty[] = "\x00\x00\x00\xff\xff";
	struct scripted_reply reply = { .bytes = block, .end = HANG };
	struct http_world w = { .script = &reply, .n_script = 1 };
	struct http_request request = { 0 };
	size_t len = (size_t)sprintf(block, OK_HEAD "Content-Encoding: gzip\r\nContent-Length: 2000000000\r\n\r\n");

	memcpy(block + len, begin, 10);
	for (len += 10; len + 5 <= sizeof(block); len += 5)
		memcpy(block + len, empty, 5);
	reply.len = len;
	world_open(&w, NULL, NULL, NULL);
	assert_too_big(&w, &request);
	world_close(&w);
}
END_TEST

/* libcurl reads the body of a challenge and hands it to nobody. */
START_TEST(challenge_with_an_endless_body)
{
	static char block[40000];
	struct scripted_reply reply = { .bytes = block, .len = sizeof(block), .repeat = 1 << 16 };
	struct http_world w = { .script = &reply, .n_script = 1 };
	struct http_request request = { .auth = HTTP_AUTH_DIGEST, .user = "u", .secret = "p" };

	memset(block, 'x', sizeof(block));
	memcpy(block + sprintf(block, "HTTP/1.1 401 no\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"n\", "
	                       "qop=\"auth\"\r\nContent-Length: 2000000000\r\n\r\n"), "x", 1);
	world_open(&w, NULL, NULL, NULL);
	assert_too_big(&w, &request);
	ck_assert_uint_eq(scripted_server_requests(w.server), 1);
	world_close(&w);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("http_coding");
	TCase *t = tcase_create("http_coding");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, t);
	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, encodings_not_asked_for, 0, (int)(sizeof(cases) / sizeof(*cases)));
	tcase_add_test(t, each_answer_has_its_own);
	tcase_add_test(t, bytes_that_come_to_nothing);
	tcase_add_test(t, challenge_with_an_endless_body);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
