/* A page of events: its shape, what is filed and what is not, and the bytes it hands on. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/atlas/page.h"
#include "lib/base/buf.h"
#include "tests/support/cases.h"
#include "tests/support/jsongen.h"
#include "tests/support/require.h"
#include "tests/support/seed.h"
#include "tests/support/short_memory.h"

#define ORG "5f0c1d2e3a4b5c6d7e8f9a0b"
#define EV(id) "{\"id\":\"" id "\",\"created\":\"2026-08-10T03:06:47Z\"}"

static uint64_t seed;
static const char *org;
static struct page page;
static struct err err;
static char *body; /* of just the size of the text, for the sanitizer */

static void
setup(void)
{
	page_init(&page);
	body = NULL;
	org = ORG;
}

static void
teardown(void)
{
	page_free(&page);
	free(body);
}

static int
scan_bytes(const char *text, size_t len)
{
	free(body);
	body = malloc(len == 0 ? 1 : len);
	REQUIRE(body != NULL);
	if (len > 0)
		memcpy(body, text, len);
	err_clear(&err);
	return page_scan(&page, body, len, org, &err);
}

static int
scan_text(const char *text)
{
	return scan_bytes(text, strlen(text));
}

static void
assert_event(size_t i, const char *bytes, const char *id)
{
	ck_assert_uint_lt(i, page.n_events);
	ck_assert_uint_eq(page.events[i].len, strlen(bytes));
	ck_assert_mem_eq(page.events[i].bytes, bytes, strlen(bytes));
	ck_assert_uint_eq(page.events[i].id_len, strlen(id));
	ck_assert_mem_eq(page.events[i].id, id, strlen(id));
}

START_TEST(test_recorded)
{
	const char *top = getenv("top_srcdir");
	char path[4096], text[8192];
	size_t len;
	FILE *f;

	snprintf(path, sizeof(path), "%s/tests/support/page-recorded.json", top == NULL ? "." : top);
	f = fopen(path, "r");
	ck_assert_msg(f != NULL, "%s", path);
	len = fread(text, 1, sizeof(text), f);
	fclose(f);
	ck_assert_int_eq(scan_bytes(text, len), 0);
	ck_assert_uint_eq(page.n_events, 3);
	ck_assert_uint_eq(page.rows, 3);
	ck_assert_uint_eq(page.n_faults, 0);
	ck_assert_uint_eq(page.n_foreign, 0);
	ck_assert(page.has_next);
	ck_assert_int_eq(page.total_count, 4);
	assert_event(1, "{\"created\":\"2026-08-10T03:06:47Z\",\"eventTypeName\":\"JOINED_ORG\",\"id\":"
	             "\"6a7940472c88faeba59b0002\",\"isGlobalAdmin\":false,\"links\":[{\"href\":"
	             "\"https://cloud.mongodb.com/api/atlas/v2/groups/null/events/6a7940472c88faeba59b0002\","
	             "\"rel\":\"self\"}],\"orgId\":\"" ORG "\",\"remoteAddress\":\"198.51.100.7\",\"userId\":"
	             "\"5f0c1d2e3a4b5c6d7e8f9b02\",\"username\":\"user1@example.com\"}",
	             "6a7940472c88faeba59b0002");
	/* Numbers, escapes and white space inside strings are the server's own. */
	ck_assert_ptr_nonnull(memmem(page.events[0].bytes, page.events[0].len,
	                             "Z\xc3\xbcrich \\\"north\\\"", 17));
	ck_assert_ptr_nonnull(memmem(page.events[2].bytes, page.events[2].len, "\"threshold\":0.10,", 17));
	ck_assert_int_eq(page.events[2].created_ns, INT64_C(1786331197) * 1000000000);
}
END_TEST

START_TEST(test_shape)
{
	static const char *const refused[] = {
		"", " ", "[]", "null", "\"\"", "{", "{}", "{\"links\":[]}", "{\"results\":null}",
		"{\"results\":{}}", "{\"results\":\"\"}", "{\"results\":[1]}", "{\"results\":[null]}",
		"{\"results\":[[]]}", "{\"results\":[" EV("a") ",1]}", "{\"results\":[" EV("a") ",]}",
		"{\"results\":[,]}", "{\"results\":[" EV("a") EV("b") "]}",
		"{\"results\":[" EV("a") "}", "{\"results\":[" EV("a"), "{\"results\":[" EV("a") ",",
		"{\"results\":[", "{\"results\":", "{\"results\"", "{\"results\":[]",
		"{\"results\":[]} x", "{\"results\":[]}{}", "{\"results\":[]},", "{\"results\":[],}",
		"{\"results\":[],\"results\":[]}", "{\"results\":[],\"result\\u0073\":[]}",
		"{\"links\":[],\"results\":[],\"links\":[]}",
		"{\"totalCount\":1,\"totalCount\":1,\"results\":[]}", "\xef\xbb\xbf{\"results\":[]}",
		"{\"results\":[],\"a\":01}", "{\"results\":[],\"links\":[{]}",
		"{\"results\":[],\"links\":[{\"rel\":\"next\",}]}",
		"{\"results\":[],\"links\":[{\"rel\":\"next\"},]}",
		"{\"results\":[],\"links\":[{\"rel\"}]}", "{\"results\":[],\"links\":[",
		"{\"results\":[],\"links\":", "{\"results\":[{\"id\":\"a\",}]}",
		"{\"results\":[{\"id\":\"a\n\"}]}", "{results:[]}", "{\"results\":[],\"totalCount\":}",
		"{\"results\":[],\"totalCount\":1.}", "<html></html>",
	};

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		ck_assert_msg(scan_text(refused[i]) == -1, "%s", refused[i]);
		ck_assert_int_eq(err.code, ERR_PAGE);
		ck_assert_int_eq(err.scope, ERR_SCOPE_PAGE);
		ck_assert_int_eq(err.retry, ERR_RETRY_NOW);
		ck_assert_uint_eq(page.rows + page.n_events + page.n_faults + page.n_foreign, 0);
	}
	ck_assert_int_eq(scan_bytes("{\"results\":[]}\0", 15), -1);
	ck_assert_int_eq(scan_text(" \n{ \"results\" : [ ] } \r\n"), 0);
	ck_assert_int_eq(scan_text("{\"results\":[],\"a\":{\"results\":[1]},\"\xff\":\"\xfe\","
	                           "\"b\":1e999}"), 0);
	ck_assert_int_eq(scan_text("{\"totalCount\":1,\"\\u0072esults\":[" EV("a") "],\"links\":[]}"), 0);
	ck_assert_uint_eq(page.n_events, 1);
}
END_TEST

static int64_t
total_of(const char *value)
{
	char text[200];

	snprintf(text, sizeof(text), "{\"results\":[],\"totalCount\":%s}", value);
	ck_assert_msg(scan_text(text) == 0, "%s", text);
	return page.total_count;
}

START_TEST(test_total_count)
{
	ck_assert_int_eq(scan_text("{\"results\":[]}"), 0);
	ck_assert_int_eq(page.total_count, -1);
	ck_assert_int_eq(total_of("0"), 0);
	ck_assert_int_eq(total_of("1700 "), 1700);
	ck_assert_int_eq(total_of("9223372036854775807"), INT64_MAX);
	ck_assert_int_eq(total_of("9223372036854775808"), -1);
	ck_assert_int_eq(total_of("99999999999999999999999999"), -1);
	ck_assert_int_eq(total_of("-1"), -1);
	ck_assert_int_eq(total_of("5.0"), -1);
	ck_assert_int_eq(total_of("5e2"), -1);
	ck_assert_int_eq(total_of("null"), -1);
	ck_assert_int_eq(total_of("\"5\""), -1);
	ck_assert_int_eq(total_of("[5]"), -1);
}
END_TEST

static bool
next_of(const char *links)
{
	char text[300];

	snprintf(text, sizeof(text), "{\"links\":%s,\"results\":[{\"links\":[{\"rel\":\"next\"}]}]}", links);
	ck_assert_msg(scan_text(text) == 0, "%s: %s", text, err.text);
	return page.has_next;
}

START_TEST(test_next)
{
	ck_assert(!next_of("[]"));
	ck_assert(!next_of("[ {} , {\"rel\":\"self\"} ]"));
	ck_assert(next_of("[{\"href\":\"x\",\"rel\":\"self\"}, {\"rel\" : \"next\" ,\"href\":\"y\"}]"));
	ck_assert(next_of("[1,null,[],{\"r\\u0065l\":\"n\\u0065xt\"}]"));
	ck_assert(!next_of("[{\"rel\":[\"next\"]},{\"rel\":{\"rel\":\"next\"}},\"next\"]"));
	ck_assert(!next_of("[[{\"rel\":\"next\"}],{\"a\":{\"rel\":\"next\"}}]"));
	ck_assert(!next_of("[{\"rel\":\"nex\"},{\"rel\":\"nextt\"},{\"rel\":\"\"},{\"rel\":\"Next\"}]"));
	ck_assert(!next_of("[{\"re\":\"next\"},{\"rell\":\"next\"},{\"next\":\"rel\"}]"));
	ck_assert(!next_of("null"));
	ck_assert(!next_of("{\"rel\":\"next\"}"));
	ck_assert(!next_of("[{\"\xff\":\"\xfe\"}]"));
}
END_TEST

START_TEST(test_faults)
{
	ck_assert_int_eq(scan_text("{\"results\":[" EV("a") ", {\"id\" : 5},"
	                           "{\"id\":\"b\",\"created\":\"never\"},{\"x\":\"\xff\"}," EV("c") "]}"), 0);
	ck_assert_uint_eq(page.rows, 5);
	ck_assert_uint_eq(page.n_events, 2);
	assert_event(0, EV("a"), "a");
	assert_event(1, EV("c"), "c");
	ck_assert_uint_eq(page.n_faults, 3);
	ck_assert_int_eq(page.faults[0].fault, EVENT_NO_ID);
	ck_assert_uint_eq(page.faults[0].len, 8);
	ck_assert_mem_eq(page.faults[0].bytes, "{\"id\":5}", 8);
	ck_assert_int_eq(page.faults[1].fault, EVENT_NO_CREATED);
	ck_assert_int_eq(page.faults[2].fault, EVENT_BAD_UTF8);
	ck_assert_mem_eq(page.faults[2].bytes, "{\"x\":\"\xff\"}", 9);
}
END_TEST

START_TEST(test_foreign)
{
	ck_assert_int_eq(scan_text("{\"results\":["
		"{\"id\":\"a\",\"created\":\"2026-08-10T03:06:47Z\",\"orgId\":\"5F0C1D2E3A4B5C6D7E8F9A0B\"},"
		"{\"id\":\"b\",\"created\":\"2026-08-10T03:06:47Z\",\"orgId\":\"5f0c1d2e3a4b5c6d7e8f9a0c\"},"
		"{\"id\":\"c\",\"created\":\"2026-08-10T03:06:47Z\",\"orgId\":\"5f0c1d2e3a4b5c6d7e8f9a0\"},"
		"{\"id\":\"d\",\"created\":\"2026-08-10T03:06:47Z\",\"orgId\":\"5f0c1d2e3a4b5c6d7e8f9a0b0\"},"
		"{\"id\":\"e\",\"created\":\"2026-08-10T03:06:47Z\",\"orgId\":12},"
		"{\"id\":\"f\",\"created\":\"2026-08-10T03:06:47Z\",\"orgId\":\"\"},"
		"{\"id\":\"g\",\"created\":\"2026-08-10T03:06:47Z\",\"orgId\":null},"
		"{\"id\":\"h\",\"created\":\"2026-08-10T03:06:47Z\","
		"\"orgId\":\"\\u0035f0c1d2e3a4b5c6d7e8f9a0b\"},"
		"{\"orgId\":\"elsewhere\",\"x\":\"\xff\"},"
		"{\"orgId\":\"" ORG "\",\"orgId\":\"elsewhere\"}]}"), 0);
	ck_assert_uint_eq(page.rows, 10);
	ck_assert_uint_eq(page.n_foreign, 6);
	ck_assert_str_eq(page.foreign_org_id, "5f0c1d2e3a4b5c6d7e8f9a0c");
	ck_assert_uint_eq(page.n_events, 3);
	ck_assert_mem_eq(page.events[0].id, "a", 1);
	ck_assert_mem_eq(page.events[1].id, "g", 1);
	ck_assert_mem_eq(page.events[2].id, "h", 1);
	ck_assert_uint_eq(page.n_faults, 1);
	ck_assert_int_eq(page.faults[0].fault, EVENT_AMBIGUOUS);
	/* Its name for a log: no more of it than is plain, and no more than there is room for. */
	ck_assert_int_eq(scan_text("{\"results\":[{\"orgId\":\"ab\xc3\xa9\"}]}"), 0);
	ck_assert_str_eq(page.foreign_org_id, "ab");
	ck_assert_int_eq(scan_text("{\"results\":[{\"orgId\":\"0123456789012345678901234567890123456789"
	                           "012345678901234567890123456789\"}]}"), 0);
	ck_assert_uint_eq(strlen(page.foreign_org_id), sizeof(page.foreign_org_id) - 1);
	ck_assert_int_eq(scan_text("{\"results\":[{\"orgId\":\"a\\nb\"}]}"), 0);
	ck_assert_str_eq(page.foreign_org_id, "a");
	ck_assert_int_eq(scan_text("{\"results\":[]}"), 0);
	ck_assert_str_eq(page.foreign_org_id, "");
}
END_TEST

/* Thousands of escaped ids: those read first stay readable while the memory grows, and again when the
 * page is used anew. */
START_TEST(test_escaped_ids)
{
	struct buf text;
	char id[200];

	buf_init(&text, 1 << 24);
	for (int n = 1; n <= 3000; n += 1499) {
		buf_reset(&text);
		ck_assert_int_eq(buf_append_str(&text, "{\"results\":["), 0);
		for (int i = 0; i < n; i++)
			ck_assert_int_eq(buf_printf(&text, "%s{ \"id\" : \"\\u0069%0*d\", \"created\": "
			                            "\"2026-08-10T03:06:4\\u0037Z\"}", i == 0 ? "" : ",",
			                            i % 150 + 1, i), 0);
		ck_assert_int_eq(buf_append_str(&text, "]}"), 0);
		ck_assert_int_eq(scan_bytes(text.data, text.len), 0);
		ck_assert_uint_eq(page.n_events, (size_t)n);
		for (int i = 0; i < n; i++) {
			int len = snprintf(id, sizeof(id), "i%0*d", i % 150 + 1, i);

			REQUIRE(page.events[i].id_len == (size_t)len);
			REQUIRE(memcmp(page.events[i].id, id, (size_t)len) == 0);
			REQUIRE(memcmp(page.events[i].bytes, "{\"id\":\"\\u0069", 13) == 0);
		}
	}
	buf_free(&text);
}
END_TEST

/* An answer of nothing but rows, each of three bytes, must not take many times its own memory. */
START_TEST(test_rows_have_a_bound)
{
	struct buf text;

	for (int n = 10000; n <= 10001; n++) {
		buf_init(&text, 1 << 20);
		REQUIRE(buf_append_str(&text, "{\"results\":[{}") == 0);
		for (int i = 1; i < n; i++)
			REQUIRE(buf_append_str(&text, ",{}") == 0);
		REQUIRE(buf_append_str(&text, "]}") == 0);
		ck_assert_int_eq(scan_bytes(text.data, text.len), n > 10000 ? -1 : 0);
		if (n > 10000) {
			ck_assert_int_eq(err.code, ERR_TOO_BIG);
			ck_assert_int_eq(err.scope, ERR_SCOPE_PAGE);
		} else {
			ck_assert_uint_eq(page.n_faults, 10000);
		}
		buf_free(&text);
	}
}
END_TEST

START_TEST(test_reuse)
{
	ck_assert_int_eq(scan_text("{\"results\":[" EV("a") ",{}],\"totalCount\":7,"
	                           "\"links\":[{\"rel\":\"next\"}]}"), 0);
	ck_assert_int_eq(scan_text("{\"results\":[" EV("b") "]}"), 0);
	ck_assert_uint_eq(page.n_events, 1);
	ck_assert_uint_eq(page.n_faults, 0);
	ck_assert_uint_eq(page.rows, 1);
	ck_assert(!page.has_next);
	ck_assert_int_eq(page.total_count, -1);
	page_free(&page);
	ck_assert_int_eq(scan_text("{\"results\":[" EV("c") "]}"), 0);
	assert_event(0, EV("c"), "c");
}
END_TEST

/* Each allocation in turn fails: an ordinary error, an empty page, and the next scan works. */
START_TEST(test_no_memory)
{
	struct buf text;
	int n;

	buf_init(&text, 1 << 24);
	ck_assert_int_eq(buf_append_str(&text, "{\"results\":[{}"), 0);
	for (int i = 0; i < 1200; i++)
		ck_assert_int_eq(i % 30 == 0 ? buf_printf(&text, ",{\"id\":%d}", i) :
		                 buf_printf(&text, ",{\"id\":\"\\u0069%0200d\","
		                            "\"created\":\"2026-08-10T03:06:47Z\"}", i), 0);
	ck_assert_int_eq(buf_append_str(&text, "]}"), 0);
	body = malloc(text.len);
	ck_assert_ptr_nonnull(body);
	for (n = 1; n < 1000; n++) {
		memcpy(body, text.data, text.len);
		err_clear(&err);
		short_memory_after = n - 1;
		if (page_scan(&page, body, text.len, ORG, &err) == 0)
			break;
		ck_assert_int_eq(short_memory_after, -1);
		ck_assert_int_eq(err.code, ERR_NOMEM);
		ck_assert_uint_eq(page.rows + page.n_events + page.n_faults, 0);
		page_free(&page);
	}
	short_memory_after = -1;
	printf("%d allocations for 1201 events\n", n - 1);
	ck_assert_int_gt(n, 10);
	ck_assert_int_lt(n, 100);
	ck_assert_uint_eq(page.n_events, 1160);
	ck_assert_uint_eq(page.n_faults, 41);
	buf_free(&text);
}
END_TEST

/* A page of random events, and the same events one after the other. */
struct sample {
	struct buf text, alone;
	size_t starts[12]; /* in alone; one more than there are events */
	size_t n;
	bool sound;        /* none of them nests too deep */
};

static void
make_sample(struct rng *r, struct sample *s)
{
	char scratch[EVENT_SCRATCH_SIZE];
	struct event_scan scan;

	buf_reset(&s->text);
	buf_reset(&s->alone);
	s->n = rng_below(r, 11);
	s->sound = true;
	REQUIRE(buf_append_str(&s->text, "{\"results\": [") == 0);
	for (size_t i = 0; i < s->n; i++) {
		s->starts[i] = s->alone.len;
		jsongen_event(r, &s->alone);
		REQUIRE(buf_append_str(&s->text, i == 0 ? " " : ", ") == 0);
		REQUIRE(buf_append(&s->text, s->alone.data + s->starts[i], s->alone.len - s->starts[i]) == 0);
		s->sound &= event_scan(s->alone.data + s->starts[i], s->alone.data + s->alone.len, scratch,
		                       &scan) != NULL;
	}
	s->starts[s->n] = s->alone.len;
	REQUIRE(buf_append_str(&s->text, "]}") == 0);
}

/* The page's spans are the events' bytes without the white space, each where its own scan says. */
static void
check_sample(const struct sample *s)
{
	char scratch[EVENT_SCRATCH_SIZE], stripped[1 << 16];
	size_t at_event = 0, at_fault = 0, foreign = 0, len;
	struct event_scan scan;

	REQUIRE(page.rows == s->n);
	for (size_t i = 0; i < s->n; i++) {
		const char *bytes = s->alone.data + s->starts[i];

		REQUIRE(event_scan(bytes, s->alone.data + s->starts[i + 1], scratch, &scan) != NULL);
		REQUIRE(scan.event.len <= sizeof(stripped));
		len = json_strip_space(bytes, scan.event.len, stripped);
		if (scan.org_id != NULL &&
		    (scan.org_id_len != 24 || strncasecmp(scan.org_id, org, 24) != 0)) {
			foreign++;
		} else if (scan.fault != EVENT_SOUND) {
			const struct page_fault *fault = &page.faults[at_fault++];

			REQUIRE(at_fault <= page.n_faults && fault->fault == scan.fault);
			REQUIRE(fault->len == len && memcmp(fault->bytes, stripped, len) == 0);
		} else {
			const struct event *ev = &page.events[at_event++];

			REQUIRE(at_event <= page.n_events && event_compare(ev, &scan.event) == 0);
			REQUIRE(ev->len == len && memcmp(ev->bytes, stripped, len) == 0);
		}
	}
	REQUIRE(at_event == page.n_events && at_fault == page.n_faults && foreign == page.n_foreign);
}

START_TEST(test_random)
{
	char scratch[EVENT_SCRATCH_SIZE];
	size_t filed = 0, faults = 0, foreign = 0, refused = 0, too_deep = 0;
	size_t rounds = test_cases(4000, 100000);
	struct sample s;
	struct rng r;

	rng_seed(&r, seed);
	buf_init(&s.text, 1 << 24);
	buf_init(&s.alone, 1 << 24);
	org = "a0123456789abcdef012345a"; /* as jsongen_event() has it */
	for (size_t round = 0; round < rounds; round++) {
		make_sample(&r, &s);
		REQUIRE((scan_bytes(s.text.data, s.text.len) == 0) == s.sound);
		too_deep += !s.sound;
		if (s.sound)
			check_sample(&s);
		filed += page.n_events;
		faults += page.n_faults;
		foreign += page.n_foreign;
		/* Damaged, it is refused, or it holds together. */
		jsongen_damage(&r, &s.text);
		refused += scan_bytes(s.text.data, s.text.len) != 0;
		REQUIRE(page.rows == page.n_events + page.n_faults + page.n_foreign);
		for (size_t i = 0; i < page.n_events; i++) {
			const struct event *ev = &page.events[i];
			const char *end = ev->bytes + ev->len;
			struct event_scan scan;

			REQUIRE(event_scan(ev->bytes, end, scratch, &scan) == end);
			REQUIRE(scan.fault == EVENT_SOUND && !scan.has_space);
			REQUIRE(event_compare(ev, &scan.event) == 0);
		}
	}
	test_cases_played("random pages", rounds);
	printf("%zu events filed, %zu faults, %zu foreign, %zu pages too deep; damaged: "
	       "%zu refused\n", filed, faults, foreign, too_deep, refused);
	ck_assert(filed > rounds / 4 && faults > rounds / 4 && foreign > rounds / 4 && refused > rounds / 4 &&
	          refused < rounds / 40 * 39 + 39);
	buf_free(&s.text);
	buf_free(&s.alone);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("page");
	TCase *tc = tcase_create("page");
	SRunner *runner = srunner_create(suite);
	int failed;

	seed = test_seed("test_page");
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_recorded);
	tcase_add_test(tc, test_shape);
	tcase_add_test(tc, test_total_count);
	tcase_add_test(tc, test_next);
	tcase_add_test(tc, test_faults);
	tcase_add_test(tc, test_foreign);
	tcase_add_test(tc, test_escaped_ids);
	tcase_add_test(tc, test_rows_have_a_bound);
	tcase_add_test(tc, test_reuse);
	tcase_add_test(tc, test_no_memory);
	tcase_add_test(tc, test_random);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
