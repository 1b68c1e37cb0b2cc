/* Thousands of damaged configurations: never a crash, always a description or an error, the findings in
 * order and of one form, no secret in them; and what still loads is shown so that it loads again. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/rng.h"
#include "tests/support/cases.h"
#include "tests/unit/conf_support.h"

#define ROUNDS 6000
#define SECRET "mdb_sa_sk_KANARIENVOGEL"

static const char *const seeds[] = {
	HEAD "atlas: {base_url: https://cloud.mongodb.com, api: v2, proxy: 'http://p:3128'}\n"
	"limits: { workers: 4, in_flight: 64, requests_per_minute: 0, deadline: 5h, backfill_share: 50 }\n"
	"defaults: &d { include_raw: true, settle: 2m, overlap: 1h }\n"
	"include: [ '*.none' ]\n"
	"organizations:\n"
	"  - name: acme\n"
	"    org_id: 32b6e34b3d91647abb20e7b8\n"
	"    client_id: mdb_sa_id_0123456789abcdef01234567\n"
	"    client_secret: " SECRET "\n"
	"    backfill_start_time: 2023-06-01T00:00:00Z\n"
	"    tags: [prod, eu]\n"
	"    priority: 10\n"
	"  - name: globex\n"
	"    org_id: 32b6e34b3d91647abb20e7b9\n"
	"    public_key: abcdefgh\n"
	"    private_key: { command: [pass, show, msp/globex] }\n"
	"    requests_per_minute: 120\n"
	"    event_types: [USER_ADDED]\n"
	"    disabled: \"contract ended\"\n",
	"version: 1\noutput:\n  directory: >-\n    folded\n    text\norganizations:\n"
	"  - &a {name: a, org_id: 32b6e34b3d91647abb20e7b8, client_id: i, client_secret: &s " SECRET ", tags: &t [x]}\n"
	"  - {<<: [*a, {settle: 5s}], name: b, org_id: \"32b6e34b3d91647abb20e7b9\"}\n"
	"  - ? name\n    : 'c''d'\n    org_id: 32b6e34b3d91647abb20e7ba\n    client_id: \"\\u0069\"\n"
	"    client_secret: *s\n    tags: *t\n",
};

static const char *const pieces[] = {
	"\n", " ", "  ", ":", ": ", "- ", "[", "]", "{", "}", ",", "&a ", "*a", "<<: *a", "|\n", ">\n", "'", "\"", "\\",
	"#", "%", "@", "!", "!!str ", "---\n", "...\n", "\t", "\r", "null", "~", "true", "0", "-1", "1e9", "?", "? ",
	"\xc3\xa9", "\xff", "\xe2\x80\xa8", "\xef\xbb\xbf", "\x01", "\x7f", "name: ", "organizations:\n", "version: 1\n",
	"{env: X}", "{file: x}", "{systemd: x}", "2023-06-01", "99999999999999999999", "tags: [a]\n", "\\0",
	SECRET, "12345678-1234-1234-1234-123456789abc"
};

struct text { char bytes[8192]; size_t len; };

static void
replace(struct text *t, size_t at, size_t old_len, const char *with, size_t len)
{
	if (at > t->len || old_len > t->len - at || t->len - old_len + len > sizeof(t->bytes))
		return;
	memmove(t->bytes + at + len, t->bytes + at + old_len, t->len - at - old_len);
	memcpy(t->bytes + at, with, len);
	t->len = t->len - old_len + len;
}

static void
damage(struct text *t, struct rng *rng)
{
	size_t at = rng_below(rng, t->len + 1), len = rng_below(rng, 30), from = rng_below(rng, t->len + 1);
	const char *piece = pieces[rng_below(rng, sizeof(pieces) / sizeof(*pieces))];
	char copy[64], byte = (char)rng_below(rng, 256);

	switch (rng_below(rng, 6)) {
	case 0:
		replace(t, at, at < t->len ? 1 : 0, &byte, 1);
		break;
	case 1:
		replace(t, at, len < t->len - at ? len : t->len - at, "", 0);
		break;
	case 2:
	case 3:
		replace(t, at, 0, piece, strlen(piece));
		break;
	case 4:
		len = len < t->len - from ? len : t->len - from;
		memcpy(copy, t->bytes + from, len);
		replace(t, at, 0, copy, len);
		break;
	default:
		replace(t, at, strlen(piece) < t->len - at ? strlen(piece) : t->len - at, piece, strlen(piece));
		break;
	}
}

static unsigned
count(const struct text *t, const char *word)
{
	const char *p = t->bytes, *end = t->bytes + t->len;
	unsigned n = 0;

	for (; (p = memmem(p, (size_t)(end - p), word, strlen(word))) != NULL; p++)
		n++;
	return n;
}

/* "PATH:LINE:COL: error|warning: …", ascending. */
static void
check_findings(const struct conf_findings *f, const char *path)
{
	unsigned line, column, last_line = 0, last_column = 0, errors = 0, warnings = 0;
	size_t prefix = strlen(path);
	int end;

	for (size_t i = 0; i < f->n; i++) {
		const char *text = f->lines[i];

		ck_assert_int_eq(strncmp(text, path, prefix), 0);
		ck_assert_int_eq(sscanf(text + prefix, ":%u:%u:%n", &line, &column, &end), 2);
		text += prefix + (size_t)end;
		ck_assert(strncmp(text, " error: ", 8) == 0 || strncmp(text, " warning: ", 10) == 0);
		*(text[1] == 'e' ? &errors : &warnings) += 1;
		ck_assert(line > last_line || (line == last_line && column >= last_column));
		ck_assert_uint_ge(column, 1);
		for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++)
			ck_assert_uint_ge(*p, 0x20);
		last_line = line;
		last_column = column;
	}
	ck_assert_uint_eq(errors, f->n_errors);
	ck_assert_uint_eq(warnings, f->n_warnings);
}

static void
check_round_trip(const struct conf *conf)
{
	struct conf_findings f;
	struct conf *again;
	struct buf shown, shown_again;

	buf_init(&shown, 1 << 20);
	buf_init(&shown_again, 1 << 20);
	ck_assert_int_eq(conf_show(conf, &shown), 0);
	ck_assert_ptr_null(memmem(shown.data, shown.len, SECRET, strlen(SECRET)));
	again = conf_load(dir_write("shown/c.yaml", shown.data, shown.len, 0600), NOW_S, &f);
	ck_assert_msg(again != NULL, "%.*s\n%s", (int)shown.len, shown.data, f.n > 0 ? f.lines[0] : "");
	ck_assert_int_eq(conf_show(again, &shown_again), 0);
	ck_assert_uint_eq(shown.len, shown_again.len);
	ck_assert_mem_eq(shown.data, shown_again.data, shown.len);
	conf_free(again);
	conf_findings_free(&f);
	buf_free(&shown);
	buf_free(&shown_again);
}

START_TEST(test_damaged)
{
	const char *given = getenv("ORGSYNC_TEST_SEED"), *path;
	uint64_t seed = given != NULL ? strtoull(given, NULL, 0) : 20261122;
	struct rng rng;
	unsigned loaded = 0, refused = 0;
	size_t rounds = test_cases(ROUNDS, 20 * ROUNDS);
	static struct text t;

	printf("ORGSYNC_TEST_SEED=%llu\n", (unsigned long long)seed);
	rng_seed(&rng, seed);
	path = dir_put("c.yaml", "");
	for (size_t i = 0; i < rounds; i++) {
		const char *start = seeds[i % 2];
		struct conf_findings f;
		struct conf *conf;

		t.len = strlen(start);
		memcpy(t.bytes, start, t.len);
		for (uint64_t n = i < 2 ? 0 : i % 8 < 4 ? 1 : 1 + rng_below(&rng, 4); n > 0; n--)
			damage(&t, &rng);
		path = dir_write("c.yaml", t.bytes, t.len, 0600);
		conf = conf_load(path, NOW_S, &f);
		ck_assert_msg((conf == NULL) == (f.n_errors > 0), "round %zu", i);
		check_findings(&f, path);
		/* Where the secret is whole, wherever it stands now; a torn one nobody can know. */
		for (size_t j = 0; j < f.n && count(&t, "VOGEL") == count(&t, SECRET); j++)
			ck_assert_msg(strstr(f.lines[j], "VOGEL") == NULL, "round %zu: %s", i, f.lines[j]);
		if (conf != NULL)
			check_round_trip(conf);
		*(conf != NULL ? &loaded : &refused) += 1;
		conf_free(conf);
		conf_findings_free(&f);
	}
	test_cases_played("test_conf_mutate", rounds);
	printf("%u loaded, %u refused\n", loaded, refused);
	ck_assert_uint_gt(loaded, rounds / 50);
	ck_assert_uint_gt(refused, rounds / 4);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("conf_mutate");
	TCase *tc = tcase_create("mutate");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, NULL, dir_remove);
	tcase_set_timeout(tc, 600);
	tcase_add_test(tc, test_damaged);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
