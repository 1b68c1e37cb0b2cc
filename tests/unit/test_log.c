/* Log lines: whole, one each, levels, and nothing in them that steers a terminal. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/log.h"

static int ends[2];
static char got[5000];

static void
setup(void)
{
	ck_assert_int_eq(pipe(ends), 0);
}

static void
teardown(void)
{
	log_set_hooks(NULL, NULL, NULL);
	log_open(STDERR_FILENO, LOG_LEVEL_WARN);
	close(ends[0]);
	close(ends[1]);
}

/* What was written since the last call, without the time stamp of its first line. */
static const char *
line(void)
{
	ssize_t n;

	ck_assert_int_eq(write(ends[1], "$", 1), 1); /* so that a read never waits */
	n = read(ends[0], got, sizeof(got) - 1);
	ck_assert_int_ge(n, 1);
	got[n - 1] = '\0';
	return n < 22 ? got : got + 21;
}

START_TEST(test_levels)
{
	log_open(ends[1], LOG_LEVEL_INFO);
	ck_assert_int_eq(log_level(), LOG_LEVEL_INFO);
	log_line(LOG_LEVEL_DEBUG, "acme", "too fine");
	ck_assert_str_eq(line(), "");
	log_line(LOG_LEVEL_INFO, "acme", "n=%d", 5);
	ck_assert_str_eq(line(), "level=info org=acme n=5\n");
	ck_assert_int_eq(got[10], 'T');
	ck_assert_int_eq(got[19], 'Z');
	log_line(LOG_LEVEL_ERROR, NULL, "all of it");
	ck_assert_str_eq(line(), "level=error all of it\n");
}
END_TEST

START_TEST(test_one_line)
{
	char text[3000];

	log_open(ends[1], LOG_LEVEL_DEBUG);
	log_line(LOG_LEVEL_WARN, "a\nb", "x\ny\x1b[2J\r\x7f");
	ck_assert_str_eq(line(), "level=warn org=a?b x?y?[2J??\n");
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_line(LOG_LEVEL_WARN, text, "%s", text); /* cut, and still one line */
	line();
	ck_assert_uint_lt(strlen(got), 1201);
	ck_assert_ptr_eq(strchr(got, '\n'), got + strlen(got) - 1);
}
END_TEST

static void
note(void *ctx)
{
	ck_assert_int_eq(write(ends[1], ctx, 1), 1);
}

START_TEST(test_hooks)
{
	char mark[] = "|";

	log_open(ends[1], LOG_LEVEL_DEBUG);
	log_set_hooks(note, note, mark);
	log_line(LOG_LEVEL_DEBUG, "o", "x");
	line();
	ck_assert_int_eq(got[0], '|');
	ck_assert_str_eq(got + strlen(got) - 3, "x\n|");
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("log");
	TCase *tc = tcase_create("log");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_levels);
	tcase_add_test(tc, test_one_line);
	tcase_add_test(tc, test_hooks);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
