/* The exit codes are a contract: every combination that matters stands in this table. */
#include <check.h>
#include <signal.h>
#include <stdlib.h>

#include "cmd/orgsync/exit_code.h"

static const struct {
	struct exit_facts facts;
	int code;
} table[] = {
	/* cannot_go_on, signal, selected, failed, credentials, reported, deadline, locked */
	{ { false, 0, 0, 0, 0, 0, 0, 0 }, 0 },
	{ { false, 0, 200, 0, 0, 0, 0, 0 }, 0 },
	/* some failed, whatever the reason */
	{ { false, 0, 200, 1, 0, 0, 0, 0 }, 3 },
	{ { false, 0, 200, 1, 1, 0, 0, 0 }, 3 },
	{ { false, 0, 200, 199, 199, 0, 0, 0 }, 3 },
	/* all failed */
	{ { false, 0, 1, 1, 0, 0, 0, 0 }, 4 },
	{ { false, 0, 200, 200, 0, 0, 0, 0 }, 4 },
	{ { false, 0, 200, 200, 199, 0, 0, 0 }, 4 },
	{ { false, 0, 1, 1, 1, 0, 0, 0 }, 12 },
	{ { false, 0, 200, 200, 200, 0, 0, 0 }, 12 },
	/* something to look at */
	{ { false, 0, 200, 0, 0, 1, 0, 0 }, 3 },
	{ { false, 0, 1, 0, 0, 1, 0, 0 }, 3 },
	{ { false, 0, 2, 1, 1, 1, 0, 0 }, 3 },
	/* deadline and locks, alone and below failures */
	{ { false, 0, 200, 0, 0, 0, 1, 0 }, 10 },
	{ { false, 0, 200, 0, 0, 0, 200, 0 }, 10 },
	{ { false, 0, 200, 1, 0, 0, 199, 0 }, 3 },
	{ { false, 0, 200, 1, 1, 0, 199, 0 }, 3 },
	{ { false, 0, 200, 0, 0, 1, 199, 0 }, 3 },
	{ { false, 0, 200, 0, 0, 0, 0, 1 }, 11 },
	{ { false, 0, 200, 0, 0, 0, 0, 200 }, 11 },
	{ { false, 0, 200, 0, 0, 0, 1, 199 }, 10 },
	{ { false, 0, 200, 1, 1, 0, 0, 199 }, 3 },
	{ { false, 0, 200, 0, 0, 1, 0, 199 }, 3 },
	/* signals, above everything but a run that could not go on */
	{ { false, SIGINT, 200, 0, 0, 0, 0, 0 }, 130 },
	{ { false, SIGTERM, 200, 0, 0, 0, 0, 0 }, 143 },
	{ { false, SIGINT, 200, 200, 200, 0, 0, 0 }, 130 },
	{ { false, SIGTERM, 200, 200, 0, 0, 0, 0 }, 143 },
	{ { false, SIGTERM, 200, 5, 1, 7, 9, 11 }, 143 },
	{ { true, 0, 200, 0, 0, 0, 0, 0 }, 1 },
	{ { true, SIGINT, 200, 200, 200, 3, 4, 5 }, 1 },
	{ { true, 0, 0, 0, 0, 0, 0, 0 }, 1 },
};

START_TEST(precedence)
{
	int got = exit_code(&table[_i].facts);

	ck_assert_msg(got == table[_i].code, "row %d: %d instead of %d", _i, got, table[_i].code);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("exit_code");
	TCase *tc = tcase_create("table");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tc, precedence, 0, (int)(sizeof(table) / sizeof(table[0])));
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
