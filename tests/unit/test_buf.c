/* Growing bytes: the cap, what stays after a refusal, and text. */
#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/rng.h"
#include "tests/support/require.h"
#include "tests/support/seed.h"

static uint64_t seed;

START_TEST(test_cap)
{
	struct buf b;

	buf_init(&b, 10);
	ck_assert_ptr_null(b.data);
	ck_assert_int_eq(buf_append(&b, "", 0), 0);
	ck_assert_int_eq(buf_append(&b, NULL, 0), 0);
	ck_assert_int_eq(buf_append_str(&b, "0123456789"), 0);
	ck_assert_int_eq(buf_append(&b, "x", 1), -1);
	ck_assert_int_eq(buf_append_str(&b, "x"), -1);
	ck_assert_int_eq(buf_printf(&b, "x"), -1);
	ck_assert_int_eq(buf_reserve(&b, 1), -1);
	ck_assert_int_eq(buf_reserve(&b, SIZE_MAX), -1);
	ck_assert_uint_eq(b.len, 10);
	ck_assert_mem_eq(b.data, "0123456789", 10);
	ck_assert_str_eq(buf_str(&b), "0123456789"); /* the NUL does not count */
	ck_assert_uint_eq(b.len, 10);
	ck_assert_uint_le(b.size, 11);
	ck_assert_int_eq(buf_append(&b, "x", 1), -1);
	buf_reset(&b);
	ck_assert_uint_eq(b.len, 0);
	ck_assert_ptr_nonnull(b.data);
	ck_assert_str_eq(buf_str(&b), "");
	buf_free(&b);
	ck_assert_ptr_null(b.data);
	ck_assert_uint_eq(b.cap_bytes, 10);
	ck_assert_int_eq(buf_append_str(&b, "again"), 0);
	buf_wipe(&b);
	ck_assert_ptr_null(b.data);
	ck_assert_uint_eq(b.size, 0);
}
END_TEST

START_TEST(test_printf)
{
	struct buf b;

	buf_init(&b, 300);
	ck_assert_int_eq(buf_printf(&b, "%s=%d", "n", 5), 0);
	ck_assert_int_eq(buf_printf(&b, "%s", ""), 0);
	ck_assert_str_eq(buf_str(&b), "n=5");
	ck_assert_int_eq(buf_printf(&b, "%0297d", 1), 0); /* just to the cap */
	ck_assert_uint_eq(b.len, 300);
	ck_assert_int_eq(buf_printf(&b, "%s", ""), 0);
	buf_reset(&b);
	ck_assert_int_eq(buf_printf(&b, "%0301d", 1), -1);
	ck_assert_uint_eq(b.len, 0);
	buf_free(&b);
}
END_TEST

START_TEST(test_no_cap)
{
	struct buf b;

	buf_init(&b, SIZE_MAX);
	ck_assert_int_eq(buf_append_str(&b, "x"), 0);
	ck_assert_int_eq(buf_reserve(&b, SIZE_MAX - 1), -1); /* no memory, no overflow */
	ck_assert_int_eq(buf_reserve(&b, SIZE_MAX / 2 + 9), -1);
	ck_assert_uint_eq(b.len, 1);
	ck_assert_mem_eq(b.data, "x", 1);
	buf_free(&b);
	buf_init(&b, 0);
	ck_assert_int_eq(buf_append(&b, "", 0), 0);
	ck_assert_int_eq(buf_append(&b, "x", 1), -1);
	ck_assert_str_eq(buf_str(&b), "");
	buf_free(&b);
}
END_TEST

/* Against an array that is large enough from the start. */
START_TEST(test_random)
{
	static char model[5000], piece[200];
	struct rng r;
	struct buf b;
	size_t len, refused = 0, appends = 0;

	rng_seed(&r, seed);
	for (int round = 0; round < 500; round++) {
		size_t cap = rng_below(&r, sizeof(model)), n;

		buf_init(&b, cap);
		len = 0;
		for (int i = 0; i < 60; i++, appends++) {
			n = rng_below(&r, sizeof(piece));
			for (size_t k = 0; k < n; k++)
				piece[k] = (char)rng_next(&r);
			if (buf_append(&b, piece, n) != 0) {
				REQUIRE(len + n > cap);
				refused++;
			} else {
				REQUIRE(len + n <= cap);
				memcpy(model + len, piece, n);
				len += n;
			}
			REQUIRE(b.len == len && b.size <= cap + 1);
			REQUIRE(len == 0 || memcmp(b.data, model, len) == 0);
			if (rng_below(&r, 10) == 0) {
				REQUIRE(buf_str(&b) != NULL && b.data[len] == '\0');
			} else if (rng_below(&r, 40) == 0) {
				buf_reset(&b);
				len = 0;
			}
		}
		buf_free(&b);
	}
	printf("%zu appends, %zu of them past the cap\n", appends, refused);
	ck_assert(refused > 1000 && refused < appends - 1000);
}
END_TEST

START_TEST(test_wipe)
{
	char secret[] = "0123456789";

	wipe(secret + 2, 5);
	ck_assert_mem_eq(secret, "01\0\0\0\0\0" "789", 11);
	wipe(secret, 0);
	wipe(NULL, 0);
	ck_assert_int_eq(secret[0], '0');
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("buf");
	TCase *tc = tcase_create("buf");
	SRunner *runner = srunner_create(suite);
	int failed;

	seed = test_seed("test_buf");
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_cap);
	tcase_add_test(tc, test_printf);
	tcase_add_test(tc, test_no_cap);
	tcase_add_test(tc, test_random);
	tcase_add_test(tc, test_wipe);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
