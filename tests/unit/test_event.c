/* One event: its fields, its faults, and what is JSON and what is not. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/event.h"
#include "lib/base/jsonscan.h"
#include "lib/base/rng.h"
#include "tests/support/cases.h"
#include "tests/support/require.h"
#include "tests/support/seed.h"

#define WHEN "\"created\":\"2026-08-10T03:06:47Z\""
#define WHEN_NS (INT64_C(1786331207) * 1000000000)

static uint64_t seed;
static char scratch[EVENT_SCRATCH_SIZE];
static struct event_scan scan;

/* Scans a whole object; false where it is no JSON. */
static bool
scan_text(const char *text)
{
	const char *end = text + strlen(text), *after = event_scan(text, end, scratch, &scan);

	if (after == NULL)
		return false;
	ck_assert_ptr_eq(after, end);
	ck_assert_ptr_eq(scan.event.bytes, text);
	ck_assert_uint_eq(scan.event.len, strlen(text));
	return true;
}

static void
assert_fault(const char *text, enum event_fault fault)
{
	ck_assert_msg(scan_text(text), "%s", text);
	ck_assert_msg(scan.fault == fault, "%s: %s", text, event_fault_text(scan.fault));
}

static void
assert_id(const char *text, const char *id, size_t len)
{
	assert_fault(text, EVENT_SOUND);
	ck_assert_uint_eq(scan.event.id_len, len);
	ck_assert_mem_eq(scan.event.id, id, len);
	ck_assert_int_eq(scan.event.created_ns, WHEN_NS);
}

START_TEST(test_fields)
{
	const char *in_place = "{\"id\":\"6a79\"," WHEN ",\"orgId\":\"a01\"}";

	assert_id(in_place, "6a79", 4);
	ck_assert_ptr_eq(scan.event.id, in_place + 7);
	ck_assert_uint_eq(scan.org_id_len, 3);
	ck_assert_mem_eq(scan.org_id, "a01", 3);
	ck_assert(!scan.has_space);

	assert_id("{" WHEN ", \"id\":\"x\"}", "x", 1);
	ck_assert(scan.has_space);
	ck_assert_ptr_null(scan.org_id);
	/* Only the object's own members count. */
	assert_id("{\"a\":{\"id\":\"no\",\"created\":1},\"id\":\"yes\"," WHEN ",\"b\":[{\"id\":\"no\"}]}",
	          "yes", 3);
	assert_fault("{\"a\":{\"id\":\"no\"}," WHEN "}", EVENT_NO_ID);
	/* Names that only look alike. */
	assert_fault("{\"Id\":\"x\",\"id \":\"x\",\"i\":\"x\",\"idd\":\"x\"," WHEN "}", EVENT_NO_ID);
	assert_fault("{\"id\":\"x\",\"create\":\"x\",\"Created\":\"2026-08-10T03:06:47Z\"}",
	             EVENT_NO_CREATED);
}
END_TEST

START_TEST(test_escapes)
{
	assert_id("{\"\\u0069d\":\"\\u0061b\",\"cr\\u0065ated\":\"2026-08-10T03:06:47\\u005A\"}", "ab", 2);
	ck_assert_ptr_eq(scan.event.id, scratch);
	assert_id("{\"id\":\"\\ud83d\\ude00\\u00e9\\u20ac\\/\\\\\\\"\"," WHEN "}",
	          "\xf0\x9f\x98\x80\xc3\xa9\xe2\x82\xac/\\\"", 12);
	assert_id("{\"id\":\"caf\xc3\xa9\"," WHEN "}", "caf\xc3\xa9", 5);
	assert_id("{\"id\":\"a\\u0061\"," WHEN ",\"org\\u0049d\":\"\\u0062\\u0063\"}", "aa", 2);
	ck_assert_uint_eq(scan.org_id_len, 2);
	ck_assert_mem_eq(scan.org_id, "bc", 2);
	ck_assert_mem_eq(scan.event.id, "aa", 2); /* both in scratch, one beside the other */
	/* A name with escapes makes no copy of a value without. */
	assert_id("{\"i\\u0064\":\"ab\"," WHEN "}", "ab", 2);
	ck_assert_ptr_ne(scan.event.id, scratch);
	/* No text: control characters, NUL, half a pair. */
	assert_fault("{\"id\":\"a\\u0000\"," WHEN "}", EVENT_NO_ID);
	assert_fault("{\"id\":\"a\\n\"," WHEN "}", EVENT_NO_ID);
	assert_fault("{\"id\":\"a\x7f\"," WHEN "}", EVENT_NO_ID);
	assert_fault("{\"id\":\"a\xc2\x85\"," WHEN "}", EVENT_NO_ID);
	assert_fault("{\"id\":\"\\ud800\"," WHEN "}", EVENT_NO_ID);
	assert_fault("{\"id\":\"\\udc00\\ud800\"," WHEN "}", EVENT_NO_ID);
	assert_fault("{\"id\":\"\\udc00\\udc00\"," WHEN "}", EVENT_NO_ID);
	assert_fault("{\"id\":\"\\udfff\"," WHEN "}", EVENT_NO_ID);
	assert_fault("{\"id\":\"\\udbff\\ue000\"," WHEN "}", EVENT_NO_ID);
	assert_fault("{\"id\":\"a\xc2\x9f\"," WHEN "}", EVENT_NO_ID);
	assert_fault("{\"id\":\"a\\u009f\"," WHEN "}", EVENT_NO_ID);
	assert_id("{\"id\":\"\\ud800\\udc00\\udbff\\udfff\\ue000\\ud7ff\\u00a0\"," WHEN "}",
	          "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\xee\x80\x80\xed\x9f\xbf\xc2\xa0", 16);
	assert_fault("{\"id\":\"\\ud800\\u0041\"," WHEN "}", EVENT_NO_ID);
	/* The same elsewhere does no harm. */
	assert_id("{\"id\":\"a\"," WHEN ",\"\\u0000\\ud800\":\"\\u0000\\udc00\\n\"}", "a", 1);
}
END_TEST

/* An id of len bytes, written out or as escapes. */
static enum event_fault
fault_of_long_id(size_t len, const char *unit)
{
	char text[6 * 300 + 100] = "{\"id\":\"";

	for (size_t i = 0; i < len; i++)
		strcat(text, unit);
	strcat(text, "\"," WHEN "}");
	ck_assert(scan_text(text));
	return scan.fault;
}

START_TEST(test_id_limits)
{
	ck_assert_int_eq(fault_of_long_id(0, "x"), EVENT_NO_ID);
	ck_assert_int_eq(fault_of_long_id(EVENT_ID_MAX, "x"), EVENT_SOUND);
	ck_assert_int_eq(fault_of_long_id(EVENT_ID_MAX + 1, "x"), EVENT_NO_ID);
	ck_assert_int_eq(fault_of_long_id(EVENT_ID_MAX, "\\u0061"), EVENT_SOUND);
	ck_assert_uint_eq(scan.event.id_len, EVENT_ID_MAX);
	ck_assert_int_eq(fault_of_long_id(EVENT_ID_MAX + 1, "\\u0061"), EVENT_NO_ID);
	ck_assert_int_eq(fault_of_long_id(EVENT_ID_MAX / 2, "\\u00e9"), EVENT_SOUND);
	ck_assert_int_eq(fault_of_long_id(EVENT_ID_MAX / 2 + 1, "\\u00e9"), EVENT_NO_ID);
	assert_fault("{\"id\":5," WHEN "}", EVENT_NO_ID);
	assert_fault("{\"id\":null," WHEN "}", EVENT_NO_ID);
	assert_fault("{\"id\":{\"id\":\"x\"}," WHEN "}", EVENT_NO_ID);
	assert_fault("{}", EVENT_NO_ID);
}
END_TEST

static enum event_fault
fault_of_date(const char *value)
{
	char text[300];

	ck_assert_int_lt(snprintf(text, sizeof(text), "{\"id\":\"x\",\"created\":%s}", value), sizeof(text));
	ck_assert(scan_text(text));
	return scan.fault;
}

START_TEST(test_dates)
{
	ck_assert_int_eq(fault_of_date("\"2000-01-01T00:00:00Z\""), EVENT_SOUND);
	ck_assert_int_eq(scan.event.created_ns, EVENT_CREATED_MIN_NS);
	ck_assert_int_eq(fault_of_date("\"1999-12-31T23:59:59.999999999Z\""), EVENT_ODD_DATE);
	ck_assert_int_eq(fault_of_date("\"2099-12-31T23:59:59.999999999Z\""), EVENT_SOUND);
	ck_assert_int_eq(scan.event.created_ns, EVENT_CREATED_END_NS - 1);
	ck_assert_int_eq(fault_of_date("\"2100-01-01T00:00:00Z\""), EVENT_ODD_DATE);
	ck_assert_int_eq(fault_of_date("\"2100-01-01T00:00:00+00:01\""), EVENT_SOUND);
	ck_assert_int_eq(fault_of_date("\"\""), EVENT_NO_CREATED);
	ck_assert_int_eq(fault_of_date("1786331207"), EVENT_NO_CREATED);
	ck_assert_int_eq(fault_of_date("null"), EVENT_NO_CREATED);
	ck_assert_int_eq(fault_of_date("\"2026-08-10T03:06:47\""), EVENT_NO_CREATED);
	ck_assert_int_eq(fault_of_date("\"2026-08-10T03:06:47.\\u0035Z\""), EVENT_SOUND);
	ck_assert_int_eq(scan.event.created_ns, WHEN_NS + 500000000);
	ck_assert_int_eq(fault_of_date("\"2026-08-10T03:06:47.\\u0000Z\""), EVENT_NO_CREATED);
	ck_assert_int_eq(fault_of_date("\"\\u00322026-08-10T03:06:47.000000000000000000000000000000000000"
	                               "0000000000000000000000000000000000000000000Z\""), EVENT_NO_CREATED);
}
END_TEST

START_TEST(test_twice)
{
	assert_id("{\"id\":\"x\"," WHEN ",\"id\":\"x\"," WHEN "}", "x", 1);
	assert_id("{\"id\":\"x\"," WHEN ",\"\\u0069d\":\"\\u0078\"}", "x", 1);
	assert_id("{\"id\":\"\\u0078\"," WHEN ",\"id\":\"x\"}", "x", 1);
	assert_fault("{\"id\":\"x\"," WHEN ",\"id\":\"y\"}", EVENT_AMBIGUOUS);
	assert_fault("{\"id\":\"x\"," WHEN ",\"id\":\"xx\"}", EVENT_AMBIGUOUS);
	assert_fault("{\"id\":\"x\"," WHEN ",\"id\":1}", EVENT_AMBIGUOUS);
	assert_fault("{\"id\":1," WHEN ",\"id\":\"1\"}", EVENT_AMBIGUOUS);
	assert_fault("{\"id\":1," WHEN ",\"id\":1}", EVENT_NO_ID);
	assert_fault("{\"id\":1," WHEN ",\"id\":10}", EVENT_AMBIGUOUS);
	assert_fault("{\"id\":10," WHEN ",\"id\":1}", EVENT_AMBIGUOUS);
	assert_fault("{\"id\":\"xx\"," WHEN ",\"id\":\"x\"}", EVENT_AMBIGUOUS);
	assert_fault("{\"id\":\"x\"," WHEN ",\"id\":\"y\",\"id\":\"x\"}", EVENT_AMBIGUOUS);
	assert_fault("{\"id\":\"x\"," WHEN ",\"created\":\"2026-08-10T03:06:47.0Z\"}", EVENT_AMBIGUOUS);
	assert_fault("{\"id\":\"x\"," WHEN ",\"orgId\":\"a\",\"orgId\":\"b\"}", EVENT_AMBIGUOUS);
	ck_assert_ptr_null(scan.org_id);
	assert_id("{\"id\":\"x\"," WHEN ",\"other\":1,\"other\":2}", "x", 1);
}
END_TEST

START_TEST(test_org_id)
{
	assert_id("{\"id\":\"x\"," WHEN ",\"orgId\":null}", "x", 1);
	ck_assert_ptr_null(scan.org_id);
	assert_id("{\"id\":\"x\"," WHEN ",\"orgId\":\"\"}", "x", 1);
	ck_assert_ptr_nonnull(scan.org_id);
	ck_assert_uint_eq(scan.org_id_len, 0);
	assert_id("{\"id\":\"x\"," WHEN ",\"orgId\":123456789012345678901234}", "x", 1);
	ck_assert_ptr_nonnull(scan.org_id);
	ck_assert_uint_eq(scan.org_id_len, 0);
	assert_id("{\"id\":\"x\"," WHEN ",\"orgId\":\"\\ud800\"}", "x", 1);
	ck_assert_uint_eq(scan.org_id_len, 6); /* as it stands */
	assert_fault("{\"orgId\":\"a\"}", EVENT_NO_ID); /* known whatever else is wrong */
	ck_assert_uint_eq(scan.org_id_len, 1);
}
END_TEST

START_TEST(test_utf8)
{
	static const char *const bad[] = {
		"\x80", "\xbf", "\xc0\xaf", "\xc1\xbf", "\xc3", "\xc3(", "\xe0\x9f\xbf", "\xe2\x82",
		"\xe2\x28\xa1", "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf", "\xf0\x9f\x98",
		"\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xf8\x88\x80\x80\x80", "\xfe", "\xff",
		"\xe2\xe2\x82\xac",
	};
	static const char *const good[] = {
		"\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xe2\x82\xac", "\xed\x9f\xbf",
		"\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf",
	};
	char text[200];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		/* In a value, in a name, in an object inside, and at the end of a string. */
		snprintf(text, sizeof(text), "{\"id\":\"x\"," WHEN ",\"v\":\"a%s\"}", bad[i]);
		assert_fault(text, EVENT_BAD_UTF8);
		snprintf(text, sizeof(text), "{\"id\":\"x\"," WHEN ",\"%sv\":[{\"n\":\"m\"}]}", bad[i]);
		assert_fault(text, EVENT_BAD_UTF8);
		snprintf(text, sizeof(text), "{\"id\":\"%s\"," WHEN ",\"v\":[{\"%s\":0}]}", bad[i], bad[i]);
		assert_fault(text, EVENT_BAD_UTF8);
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		snprintf(text, sizeof(text), "{\"id\":\"x\"," WHEN ",\"v%s\":\"%s\"}", good[i], good[i]);
		assert_fault(text, EVENT_SOUND);
	}
	ck_assert(!scan_text("{\"id\":\"x\",\xc3\xa9:1}")); /* outside a string it is no JSON at all */
}
END_TEST

START_TEST(test_json)
{
	static const char *const refused[] = {
		"", "{", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,", "{\"a\":1,}", "{,}", "{\"a\" 1}",
		"{a:1}", "{'a':1}", "{\"a\":}", "{\"a\":1 \"b\":2}", "{\"a\":1;}",
		"{\"a\":1;\"b\":2}", "{\"a\":[1;2]}", "{1:1}", "{\"a\":1]",
		"{\"a\":[1,]}", "{\"a\":[,1]}", "{\"a\":[1 2]}", "{\"a\":[1}", "{\"a\":01}",
		"{\"a\":-}", "{\"a\":+1}", "{\"a\":1.}", "{\"a\":.5}", "{\"a\":1e}", "{\"a\":1e+}",
		"{\"a\":0x10}", "{\"a\":NaN}", "{\"a\":Infinity}", "{\"a\":1.5.5}", "{\"a\":--1}",
		"{\"a\":-01}", "{\"a\":tru}", "{\"a\":True}", "{\"a\":truee}", "{\"a\":nul}",
		"{\"a\":fals", "{\"a\":\"\\x\"}", "{\"a\":\"\\u12\"}", "{\"a\":\"\\u12g4\"}",
		"{\"a\":\"\\u\"}", "{\"a\":\"\\\"}", "{\"a\":\"\n\"}", "{\"a\":\"\t\"}",
		"{\"a\":\"\x1f\"}", "{\"a\n\":1}", "{\"a\":\"", "{\"a\":\"\\", "{\"a\":\"\\u123",
		"{\"a\":1/**/}", "{\"a\":1,//\n\"b\":2}", "{\v\"a\":1}", "{\"a\":\xc2\xa0[]}",
		"{\"a\":1e5e5}", "{\"a\":[]]}", "[]", "\"x\"", " {}", "{\"a\":\"\\U0041\"}",
		"{\"a\":\"\\'\"}", "{\"a\":1_000}", "{\"a\":1\f}",
	};
	static const char nul[] = "{\"a\":\"\0\"}";
	static const char *const accepted[] = {
		"{}", "{ }", "{\"\":\"\"}", "{\"a\":0}", "{\"a\":-0}", "{\"a\":-0.0e-0}",
		"{\"a\":1E400}", "{\"a\":123456789012345678901234567890.5e+09}", "{\"a\":[]}",
		"{\"a\":[ ]}", "{\"a\":{}}", "{\"a\":[[],{},\"\",0,true,false,null]}",
		"{\t\"a\"\r:\n1 }", "{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}",
		"{\"a\":\"\\uABCD\\uabcd\\u0000\"}", "{\"a\":\"\x7f\"}", "{\"a\":\"//\"}",
	};

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		const char *end = refused[i] + strlen(refused[i]);

		ck_assert_msg(event_scan(refused[i], end, scratch, &scan) == NULL, "%s", refused[i]);
	}
	for (size_t i = 0; i < sizeof(accepted) / sizeof(accepted[0]); i++)
		ck_assert_msg(scan_text(accepted[i]), "%s", accepted[i]);
	ck_assert_ptr_null(event_scan(nul, nul + sizeof(nul) - 1, scratch, &scan));
}
END_TEST

START_TEST(test_every_cut)
{
	static const char whole[] = "{ \"id\" : \"\\u0061\xe2\x82\xac\" , " WHEN
		", \"n\": [-1.5e+3, true, {\"k\": null}] }";
	size_t len = sizeof(whole) - 1;
	char *cut;

	for (size_t n = 0; n < len; n++) {
		cut = malloc(n + 1); /* of its own, for the sanitizer */
		ck_assert_ptr_nonnull(cut);
		memcpy(cut, whole, n);
		ck_assert_ptr_null(event_scan(cut, cut + n, scratch, &scan));
		free(cut);
	}
	ck_assert(scan_text(whole));
}
END_TEST

/* depth arrays (or objects) inside one another, in an object of their own. */
static const char *
scan_nested(size_t depth, bool closed, bool objects)
{
	size_t len = depth * 7 + 20, at;
	char *text = malloc(len);
	const char *after;

	ck_assert_ptr_nonnull(text);
	at = (size_t)snprintf(text, len, "{\"a\":");
	for (size_t i = 1; i < depth; i++)
		at += (size_t)snprintf(text + at, len - at, objects ? "{\"b\":" : "[");
	text[at++] = '0';
	for (size_t i = 1; closed && i < depth; i++)
		text[at++] = objects ? '}' : ']';
	text[at++] = '}';
	after = event_scan(text, text + at, scratch, &scan);
	ck_assert(after == NULL || after == text + at);
	free(text);
	return after;
}

START_TEST(test_depth)
{
	ck_assert_ptr_nonnull(scan_nested(JSON_DEPTH_MAX, true, false));
	ck_assert_ptr_null(scan_nested(JSON_DEPTH_MAX + 1, true, false));
	ck_assert_ptr_nonnull(scan_nested(JSON_DEPTH_MAX, true, true));
	ck_assert_ptr_null(scan_nested(JSON_DEPTH_MAX + 1, true, true));
	ck_assert_ptr_null(scan_nested(100000, true, false));
	ck_assert_ptr_null(scan_nested(100000, false, true));
}
END_TEST

START_TEST(test_skip_value)
{
	static const char text[] = "[1, \"\xff\"] tail", blank[] = " \t\r\n\v";
	bool bad = false, space = false;

	ck_assert_ptr_eq(json_skip_value(text, text + sizeof(text) - 1, 0, &bad, &space), text + 8);
	ck_assert(bad && space);
	ck_assert_ptr_nonnull(json_skip_value(text + 1, text + 2, 0, &bad, &space));
	ck_assert(bad && space); /* never set to false */
	ck_assert_ptr_nonnull(json_skip_value(text, text + 8, JSON_DEPTH_MAX - 1, &bad, &space));
	ck_assert_ptr_null(json_skip_value(text, text + 8, JSON_DEPTH_MAX, &bad, &space));
	ck_assert_ptr_null(json_skip_value(text, text, 0, &bad, &space));
	ck_assert_ptr_eq(json_skip_space(text, text), text);
	ck_assert_ptr_eq(json_skip_space(blank, blank + 5), blank + 4);
	ck_assert_ptr_eq(json_skip_space(blank, blank + 2), blank + 2);
}
END_TEST

START_TEST(test_strip)
{
	static const char text[] = "{ \"a b\" : [ 1 , \"\\\" \" ,\n\ttrue ] , \"\\\\\" : \" \" }";
	static const char want[] = "{\"a b\":[1,\"\\\" \",true],\"\\\\\":\" \"}";
	char room[sizeof(text)];

	ck_assert_uint_eq(json_strip_space(text, sizeof(text) - 1, room), sizeof(want) - 1);
	ck_assert_mem_eq(room, want, sizeof(want) - 1);
	ck_assert_uint_eq(json_strip_space(want, sizeof(want) - 1, room), sizeof(want) - 1);
	ck_assert_mem_eq(room, want, sizeof(want) - 1);
	ck_assert_uint_eq(json_strip_space(text, 0, room), 0);
}
END_TEST

/* Long strings of quotes, backslashes and blanks, so that every pattern lies across every border of the
 * blocks that stripping takes; in a room of just the size it may use, and in place. */
START_TEST(test_strip_random)
{
	static const char *const pieces[] = { "\\\\", "\\\"", " ", "  ", "x", "\\n", "\xc3\xa9", ":", "{" };
	static const char *const spaces[] = { " ", "  ", "\n\t", "", "", "\r\n            " };
	char text[3000], want[3000], *room;
	size_t len, want_len, stripped = 0;
	size_t rounds = test_cases(20000, 500000);
	struct rng r;

	rng_seed(&r, seed);
	for (size_t round = 0; round < rounds; round++) {
		len = want_len = 0;
		for (uint64_t n = rng_below(&r, 20); n > 0; n--) {
			const char *space = spaces[rng_below(&r, 6)];
			size_t start;

			len += (size_t)sprintf(text + len, "%s", space);
			start = len;
			text[len++] = '"';
			for (uint64_t k = rng_below(&r, 60); k > 0; k--)
				len += (size_t)sprintf(text + len, "%s", pieces[rng_below(&r, 9)]);
			text[len++] = '"';
			text[len++] = ',';
			memcpy(want + want_len, text + start, len - start);
			want_len += len - start;
		}
		room = malloc(len == 0 ? 1 : len);
		REQUIRE(room != NULL);
		REQUIRE(json_strip_space(text, len, room) == want_len);
		REQUIRE(want_len == 0 || memcmp(room, want, want_len) == 0);
		free(room);
		REQUIRE(json_strip_space(text, len, text) == want_len);
		REQUIRE(memcmp(text, want, want_len) == 0);
		stripped += len - want_len;
	}
	test_cases_played("texts", rounds);
	printf("%zu bytes of white space\n", stripped);
}
END_TEST

START_TEST(test_compare)
{
	struct event a = { .id = "ab", .id_len = 2, .created_ns = 5 }, b = a;

	ck_assert_int_eq(event_compare(&a, &b), 0);
	b.id_len = 1; /* "a" stands before "ab" */
	ck_assert_int_gt(event_compare(&a, &b), 0);
	ck_assert_int_lt(event_compare(&b, &a), 0);
	b.created_ns = 6;
	ck_assert_int_lt(event_compare(&a, &b), 0);
	ck_assert_int_gt(event_compare(&b, &a), 0);
	b = a;
	b.id = "a\xff"; /* bytes, not signed characters */
	ck_assert_int_lt(event_compare(&a, &b), 0);
}
END_TEST

/* The search 16 bytes at a time against the one byte at a time: every byte value, every place in three
 * blocks, every alignment and every length. */
START_TEST(test_search)
{
	char room[16 + 64];
	size_t cases = 0;

	for (int byte = 0; byte < 256; byte++) {
		for (size_t start = 0; start < 16; start++) {
			for (size_t at = 0; at < 50; at++) {
				memset(room, 'x', sizeof(room));
				room[start + at] = (char)byte;
				for (size_t len = at < 3 ? 0 : at - 3; len < at + 4; len++, cases++)
					REQUIRE(json_string_stop(room + start, room + start + len) ==
					        json_string_stop_plain(room + start, room + start + len));
			}
		}
	}
	printf("%zu searches, SSE2: %s\n", cases, JSONSCAN_SSE2 ? "yes" : "no");
}
END_TEST

START_TEST(test_search_random)
{
	char room[300];
	struct rng r;

	rng_seed(&r, seed);
	for (int i = 0; i < 50000; i++) {
		uint64_t odd = rng_below(&r, 4);

		for (size_t k = 0; k < sizeof(room); k++)
			room[k] = (char)('a' + rng_below(&r, 26));
		while (odd-- > 0)
			room[rng_below(&r, sizeof(room))] = (char)rng_next(&r);
		size_t from = rng_below(&r, sizeof(room)), to = from + rng_below(&r, sizeof(room) - from + 1);

		REQUIRE(json_string_stop(room + from, room + to) ==
		        json_string_stop_plain(room + from, room + to));
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("event");
	TCase *tc = tcase_create("event");
	SRunner *runner = srunner_create(suite);
	int failed;

	seed = test_seed("test_event");
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_fields);
	tcase_add_test(tc, test_escapes);
	tcase_add_test(tc, test_id_limits);
	tcase_add_test(tc, test_dates);
	tcase_add_test(tc, test_twice);
	tcase_add_test(tc, test_org_id);
	tcase_add_test(tc, test_utf8);
	tcase_add_test(tc, test_json);
	tcase_add_test(tc, test_every_cut);
	tcase_add_test(tc, test_depth);
	tcase_add_test(tc, test_skip_value);
	tcase_add_test(tc, test_strip);
	tcase_add_test(tc, test_strip_random);
	tcase_add_test(tc, test_compare);
	tcase_add_test(tc, test_search);
	tcase_add_test(tc, test_search_random);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
