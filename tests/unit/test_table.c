/* text.c and table.c: nothing is ever wider than the screen, and no text can steer a terminal. */
#include <check.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cmd/orgsync/table.h"
#include "lib/base/rng.h"

static uint64_t seed;

/* Runs print(screen, arg) against memory and returns what it wrote. */
static char *
capture(int width, bool colour, void (*print)(const struct screen *screen, void *arg), void *arg)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	struct screen screen = { out, width, colour };

	ck_assert_ptr_nonnull(out);
	print(&screen, arg);
	ck_assert_int_eq(fclose(out), 0);
	return text;
}

/* The widest line, in code points. */
static size_t
widest(const char *text)
{
	size_t most = 0, width = 0;

	for (; *text != '\0'; text++) {
		if (*text == '\n') {
			most = width > most ? width : most;
			width = 0;
		} else {
			width += ((unsigned char)*text & 0xc0) != 0x80;
		}
	}
	ck_assert_uint_eq(width, 0); /* every line is ended */
	return most;
}

START_TEST(cleaning)
{
	static const struct { const char *dirty, *clean; } table[] = {
		{ "", "" },
		{ "plain", "plain" },
		{ "naïve – 日本", "naïve – 日本" },
		{ "two\nlines\tand\ttabs", "two lines and tabs" },
		{ "\033[2Jgone", "?[2Jgone" },
		{ "a\rb\x7f", "a?b?" },
		{ "\xc2\x9b" "31m", "?31m" },            /* C1: the one-character CSI */
		{ "\xe2\x80\xae" "evil", "?evil" },      /* right-to-left override */
		{ "\xe2\x80\xa8x", "?x" },               /* line separator */
		{ "\xff\xfe", "??" },
		{ "\xc3", "?" },                         /* cut off */
		{ "\xc0\x80", "??" },                    /* overlong */
		{ "\xe0\x80\x80", "???" },
		{ "\xed\xa0\x80", "???" },               /* surrogate */
		{ "\xf4\x90\x80\x80", "????" },          /* past U+10FFFF */
		{ "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char *clean = text_clean(table[i].dirty);

		ck_assert_str_eq(clean, table[i].clean);
		free(clean);
	}
}
END_TEST

START_TEST(shortening)
{
	static const struct { const char *text; size_t width; const char *is; } table[] = {
		{ "abcdef", 6, "abcdef" }, { "abcdef", 5, "abcd…" }, { "abcdef", 1, "…" },
		{ "ab", 1, "…" },          { "äöü", 3, "äöü" },      { "äöü", 2, "ä…" },
		{ "", 1, "" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char *text = text_clean(table[i].text);

		text_shorten(text, table[i].width);
		ck_assert_str_eq(text, table[i].is);
		free(text);
	}
}
END_TEST

struct paragraph { const char *first, *text; };

static void
print_wrapped(const struct screen *screen, void *arg)
{
	const struct paragraph *p = arg;

	text_wrap(screen, p->first, p->text);
}

static void
wraps(int width, const char *first, const char *text, const char *is)
{
	struct paragraph p = { first, text };
	char *got = capture(width, false, print_wrapped, &p);

	ck_assert_str_eq(got, is);
	free(got);
}

START_TEST(wrapping)
{
	wraps(40, "", "short", "short\n");
	wraps(40, "", "", "\n");
	wraps(20, "  ", "one two three four five", "  one two three four\n  five\n");
	wraps(20, "  do: ", "one two three four", "  do: one two three\n      four\n");
	wraps(20, "", "12345678901234567890 x", "12345678901234567890\nx\n");
	wraps(20, "", "123456789012345678901234 x", "12345678901234567890\n1234 x\n");
	wraps(20, "", "a  b   ", "a  b\n");
	wraps(20, "", "line\nends are blanks", "line ends are blanks\n");
}
END_TEST

static const struct table_column columns[] = {
	{ "NAME", false, true }, { "EVENTS", true, false }, { "STATE", false, false },
};

struct rows { size_t n; const char *(*cells)[3]; const char *note; bool style; };

static void
print_rows(const struct screen *screen, void *arg)
{
	static const enum text_style styles[] = { STYLE_BOLD, STYLE_PLAIN, STYLE_BAD };
	const struct rows *rows = arg;
	struct table *t = table_new(columns, 3);

	ck_assert_ptr_nonnull(t);
	for (size_t i = 0; i < rows->n; i++) {
		table_row(t, rows->cells[i], rows->style ? styles : NULL);
		if (rows->note != NULL)
			table_note(t, "    ", rows->note);
	}
	ck_assert_int_eq(table_print(t, screen), 0);
	table_free(t);
}

START_TEST(tables)
{
	const char *cells[][3] = { { "acme", "1,234", "up to date" }, { "a-longer-name", "7", "failed" },
		                   { "no-cells", NULL, NULL } };
	struct rows rows = { 3, cells, NULL, false };
	char *got = capture(80, false, print_rows, &rows);

	ck_assert_str_eq(got, "NAME           EVENTS  STATE\n"
	                      "acme            1,234  up to date\n"
	                      "a-longer-name       7  failed\n"
	                      "no-cells\n");
	free(got);
	got = capture(28, false, print_rows, &rows);
	ck_assert_str_eq(got, "NAME      EVENTS  STATE\n"
	                      "acme       1,234  up to date\n"
	                      "a-longe…       7  failed\n"
	                      "no-cells\n");
	free(got);
	rows.style = true;
	rows.n = 1;
	rows.note = "why";
	got = capture(80, true, print_rows, &rows);
	ck_assert_str_eq(got, "\033[1mNAME\033[0m  \033[1mEVENTS\033[0m  \033[1mSTATE\033[0m\n"
	                      "\033[1macme\033[0m   1,234  \033[31mup to date\033[0m\n"
	                      "    why\n");
	free(got);
}
END_TEST

/* Random bytes, a fair share of them parts of UTF-8, escapes and blanks. */
static void
random_text(struct rng *rng, char *out, size_t size)
{
	static const char *const bits[] = { " ", "  ", "ä", "…", "日", "\xf0\x9f\x98\x80", "\033[31m", "\r", "word",
		                            "\xc2\x9b", "\xe2\x80\xae", "\xed\xa0\x80" };
	size_t len = 0, want = (size_t)rng_below(rng, size - 8);

	while (len < want) {
		const char *bit = bits[rng_below(rng, sizeof(bits) / sizeof(bits[0]))];
		char byte[2] = { (char)(1 + rng_below(rng, 255)), '\0' };

		if (rng_below(rng, 3) == 0)
			bit = byte;
		memcpy(out + len, bit, strlen(bit));
		len += strlen(bit);
	}
	out[len] = '\0';
}

START_TEST(random_texts)
{
	struct rng rng;

	rng_seed(&rng, seed);
	for (int i = 0; i < 20000; i++) {
		char text[200], name[100], *clean, *again, *got;
		struct paragraph p = { i % 2 == 0 ? "  what to do: " : "", text };
		int width = 24 + (int)rng_below(&rng, 70);
		const char *cells[][3] = { { name, "1,000", "failed" } };
		struct rows rows = { 1, cells, text, false };

		random_text(&rng, text, sizeof(text));
		random_text(&rng, name, sizeof(name));
		clean = text_clean(text);
		again = text_clean(clean);
		ck_assert_str_eq(clean, again); /* clean stays clean: it is sound UTF-8 without controls */
		ck_assert(strpbrk(clean, "\033\r\n\t\x7f") == NULL);
		free(again);
		text_shorten(clean, 1 + (size_t)width / 2);
		ck_assert_uint_le(text_width(clean), 1 + (size_t)width / 2);
		free(clean);
		got = capture(width, false, print_wrapped, &p);
		ck_assert_uint_le(widest(got), (size_t)width);
		free(got);
		got = capture(width, false, print_rows, &rows);
		ck_assert_uint_le(widest(got), (size_t)width);
		free(got);
	}
}
END_TEST

int
main(void)
{
	const char *given = getenv("ORGSYNC_TEST_SEED");
	Suite *suite = suite_create("table");
	TCase *tc = tcase_create("table");
	SRunner *runner;
	int failed;

	seed = given != NULL ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
	printf("ORGSYNC_TEST_SEED=%" PRIu64 "\n", seed);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, cleaning);
	tcase_add_test(tc, shortening);
	tcase_add_test(tc, wrapping);
	tcase_add_test(tc, tables);
	tcase_add_test(tc, random_texts);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
