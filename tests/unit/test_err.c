/* Errors: the first wins, the text is one line that fits, the names are all there. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/err.h"

static struct err e;

START_TEST(test_first_wins)
{
	err_clear(&e);
	ck_assert(!err_is(&e));
	ck_assert_int_eq(e.retry_after_ms, -1);
	err_hint(&e, "no failure, no hint");
	ck_assert_str_eq(e.hint, "");
	ck_assert_int_eq(err_set(&e, ERR_PAGE, ERR_SCOPE_PAGE, ERR_RETRY_NOW, "first %d", 1), -1);
	ck_assert_int_eq(err_set(&e, ERR_IO, ERR_SCOPE_RUN, ERR_RETRY_NEVER, "second"), -1);
	ck_assert_int_eq(err_set_errno(&e, ENOENT, "third"), -1);
	ck_assert(err_is(&e));
	ck_assert_int_eq(e.code, ERR_PAGE);
	ck_assert_int_eq(e.scope, ERR_SCOPE_PAGE);
	ck_assert_int_eq(e.retry, ERR_RETRY_NOW);
	ck_assert_str_eq(e.text, "first 1");
	err_hint(&e, "do %s", "this");
	err_hint(&e, "do that");
	ck_assert_str_eq(e.hint, "do this");
	err_clear(&e);
	ck_assert(!err_is(&e));
	ck_assert_str_eq(e.text, "");
	ck_assert_str_eq(e.hint, "");
	ck_assert_int_eq(err_set(NULL, ERR_IO, ERR_SCOPE_RUN, ERR_RETRY_NEVER, "nobody asks"), -1);
	ck_assert_int_eq(err_set_errno(NULL, EIO, "nobody asks"), -1);
	err_hint(NULL, "nobody asks");
}
END_TEST

START_TEST(test_errno)
{
	char name[1000];

	err_clear(&e);
	ck_assert_int_eq(err_set_errno(&e, ENOSPC, "%s: cannot write", "a"), -1);
	ck_assert_str_eq(e.text, "a: cannot write: No space left on device");
	ck_assert_int_eq(e.code, ERR_IO);
	ck_assert_int_eq(e.scope, ERR_SCOPE_ORGANIZATION);
	ck_assert_int_eq(e.retry, ERR_RETRY_OPERATOR);
	ck_assert_ptr_nonnull(strstr(e.hint, "make room"));
	err_clear(&e);
	ck_assert_int_eq(err_set_errno(&e, EMFILE, "x"), -1);
	ck_assert_ptr_nonnull(strstr(e.hint, "ulimit -n"));
	err_clear(&e);
	ck_assert_int_eq(err_set_errno(&e, EFBIG, "x"), -1);
	ck_assert_ptr_nonnull(strstr(e.hint, "ulimit -f"));
	err_clear(&e);
	ck_assert_int_eq(err_set_errno(&e, ENFILE, "x"), -1);
	ck_assert_ptr_nonnull(strstr(e.hint, "whole system"));
	err_clear(&e);
	ck_assert_int_eq(err_set_errno(&e, ENOMEM, "x"), -1);
	ck_assert_int_eq(e.code, ERR_NOMEM);
	err_clear(&e);
	ck_assert_int_eq(err_set_errno(&e, 99999, "x"), -1);
	ck_assert_str_eq(e.text, "x: error 99999");
	/* The reason stays, however long the name is. */
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	err_clear(&e);
	ck_assert_int_eq(err_set_errno(&e, EACCES, "%s", name), -1);
	ck_assert_uint_eq(strlen(e.text), sizeof(e.text) - 1);
	ck_assert_str_eq(strrchr(e.text, ':'), ": Permission denied");
}
END_TEST

START_TEST(test_clean)
{
	char text[500];

	err_clear(&e);
	(void)err_set(&e, ERR_SERVER, ERR_SCOPE_PAGE, ERR_RETRY_LATER,
	              "a\nb\r\x1b[1m\x7f\xc2\x9b caf\xc3\xa9 \xff\xe2\x82");
	ck_assert_str_eq(e.text, "a?b??[1m??? caf\xc3\xa9 ???");
	err_hint(&e, "x\ny\xf0\x9f\x98\x80");
	ck_assert_str_eq(e.hint, "x?y\xf0\x9f\x98\x80");
	/* No character is cut in half where the room ends, wherever that falls. */
	for (size_t shift = 0; shift < 4; shift++) {
		memset(text, 'x', shift);
		text[shift] = '\0';
		while (strlen(text) < 440)
			strcat(text, "\xf0\x9f\x98\x80");
		err_clear(&e);
		(void)err_set(&e, ERR_SERVER, ERR_SCOPE_PAGE, ERR_RETRY_LATER, "%s", text);
		ck_assert_uint_eq(strlen(e.text), shift + (sizeof(e.text) - 1 - shift) / 4 * 4);
		ck_assert_mem_eq(e.text, text, strlen(e.text));
	}
}
END_TEST

START_TEST(test_names)
{
	ck_assert_str_eq(err_code_name(ERR_NONE), "none");
	ck_assert_str_eq(err_code_name(ERR_RATE_LIMITED), "rate_limited");
	ck_assert_str_eq(err_code_name(ERR_CODES), "unknown");
	ck_assert_str_eq(err_code_name((enum err_code)-1), "unknown");
	for (int a = 0; a < ERR_CODES; a++) {
		const char *name = err_code_name((enum err_code)a);

		ck_assert_str_ne(name, "unknown");
		ck_assert_uint_eq(strspn(name, "abcdefghijklmnopqrstuvwxyz_"), strlen(name));
		for (int b = 0; b < a; b++)
			ck_assert_str_ne(name, err_code_name((enum err_code)b));
	}
	ck_assert(err_is_credential(ERR_CREDENTIAL) && err_is_credential(ERR_SECRET));
	ck_assert(!err_is_credential(ERR_NONE) && !err_is_credential(ERR_TENANT) &&
	          !err_is_credential(ERR_NETWORK));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("err");
	TCase *tc = tcase_create("err");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_first_wins);
	tcase_add_test(tc, test_errno);
	tcase_add_test(tc, test_clean);
	tcase_add_test(tc, test_names);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
