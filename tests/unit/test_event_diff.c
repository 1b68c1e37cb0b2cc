/* The scanner against jansson, on random documents, sound and damaged, from a printed seed.
 *
 * The rule: we accept exactly what jansson accepts, but for these differences, each counted:
 *  big numbers      jansson refuses an integer past 64 bits or a real past a double; RFC 8259 sets no
 *                   bound, and we keep the number's text without reading it.
 *  half a pair      jansson refuses "\ud800" alone; the grammar of RFC 8259 allows it (section 8.2), and
 *                   one such escape must not cost a page of 500 events.
 *  \u0000           jansson refuses it (in a name even when told to allow it); it is sound JSON.
 *  bad UTF-8        jansson refuses the text; here it is a fault of the one event, reported as such.
 *  depth            we stop at JSON_DEPTH_MAX, jansson at 2048: events are flat, and the stack is ours.
 *  NUL byte         jansson passes over one that follows a number or a literal; it is no JSON.
 *  names twice      jansson keeps the last value silently; to us the event is ambiguous where it matters.
 * To hold the rule to the letter, normalize() rewrites a document so that nothing of these but depth and
 * names twice is left in it, changing nothing else, and jansson judges that. It is written apart from the
 * scanner.
 */
#include <check.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/event.h"
#include "lib/base/isotime.h"
#include "tests/support/cases.h"
#include "tests/support/jsongen.h"
#include "tests/support/require.h"
#include "tests/support/seed.h"
#include "tests/unit/event_plain.h"

#define CASES 60000
#define ORDINARY (JSON_DECODE_ANY)
#define GENEROUS (JSON_DECODE_ANY | JSON_ALLOW_NUL)

/* What normalize() met. */
struct normal {
	struct buf text;     /* the document without the differences */
	struct buf stripped; /* the document as it is, without space between tokens */
	int depth_max;
	size_t big, halves, nuls, bad_utf8, raw_nuls;
};

static struct {
	size_t cases, events, damaged, accepted, refused;
	size_t big, halves, nuls, bad_utf8, too_deep, raw_nuls, twice;
	size_t faults[EVENT_AMBIGUOUS + 1];
	size_t spaced;
} count;

static uint64_t seed;

static void
put(struct buf *b, const char *bytes, size_t len)
{
	REQUIRE(buf_append(b, bytes, len) == 0);
}

/* Length of one UTF-8 character, by its code point rather than by its bytes; 0 where it is none. */
static size_t
character_len(const unsigned char *p, size_t left)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t len = *p >= 0xf8 ? 0 : *p >= 0xf0 ? 4 : *p >= 0xe0 ? 3 : *p >= 0xc0 ? 2 : 0;
	uint32_t c;

	if (len == 0 || left < len)
		return 0;
	c = *p & (0x7fu >> len);
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3fu);
	}
	return c < least[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0 : len;
}

/* The number after "\u" at p, or -1. */
static long
escape_unit(const char *p, size_t left)
{
	char digits[5] = "";

	if (left < 6 || p[0] != '\\' || p[1] != 'u')
		return -1;
	memcpy(digits, p + 2, 4);
	if (strspn(digits, "0123456789abcdefABCDEF") != 4)
		return -1;
	return strtol(digits, NULL, 16);
}

/* Rewrites what stands at p inside a string; the number of bytes it took. */
static size_t
normalize_in_string(struct normal *n, const char *p, size_t left)
{
	long unit = escape_unit(p, left);
	size_t len;

	if (unit >= 0xd800 && unit < 0xdc00) {
		long low = escape_unit(p + 6, left - 6);

		if (low >= 0xdc00 && low < 0xe000) {
			put(&n->text, p, 12);
			return 12;
		}
	}
	if (unit >= 0xd800 && unit < 0xe000) {
		put(&n->text, "\\u0041", 6);
		n->halves++;
		return 6;
	}
	if (unit == 0) {
		put(&n->text, "\\u0001", 6);
		n->nuls++;
		return 6;
	}
	if (*p == '\\') {
		len = unit >= 0 ? 6 : left < 2 ? left : 2;
		put(&n->text, p, len);
		return len;
	}
	if ((unsigned char)*p < 0x80) {
		put(&n->text, p, 1);
		return 1;
	}
	len = character_len((const unsigned char *)p, left);
	put(&n->text, len == 0 ? "?" : p, len == 0 ? 1 : len);
	n->bad_utf8 += len == 0;
	return len == 0 ? 1 : len;
}

/* Shortens a run of digits so that no number overflows and the grammar judges it as before: "123" to
 * "1", "012" to "01". */
static size_t
normalize_digits(struct normal *n, const char *p, size_t left)
{
	size_t len = 0, kept;

	while (len < left && p[len] >= '0' && p[len] <= '9')
		len++;
	kept = *p == '0' && len > 1 ? 2 : 1;
	put(&n->text, p, kept);
	n->big += len > kept;
	return len;
}

static void
normalize(struct normal *n, const char *p, size_t len)
{
	const char *end = p + len, *before;
	bool in_string = false, is_space;
	int depth = 0;

	while (p < end) {
		before = p;
		is_space = !in_string && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n');
		if (in_string && *p != '"') {
			p += normalize_in_string(n, p, (size_t)(end - p));
		} else if (!in_string && *p >= '0' && *p <= '9') {
			p += normalize_digits(n, p, (size_t)(end - p));
		} else {
			in_string ^= *p == '"';
			depth += *p == '{' || *p == '[' ? 1 : *p == '}' || *p == ']' ? -1 : 0;
			if (depth > n->depth_max)
				n->depth_max = depth;
			n->raw_nuls += *p == '\0';
			put(&n->text, *p == '\0' ? "\x01" : p, 1);
			p++;
		}
		if (!is_space)
			put(&n->stripped, before, (size_t)(p - before));
	}
}

/* jansson's verdict on a whole document. */
static json_t *
load(const struct buf *b, size_t flags, enum json_error_code *ret_code)
{
	json_error_t e = { .text = "" };
	json_t *value = json_loadb(b->len == 0 ? "" : b->data, b->len, flags, &e);

	*ret_code = value == NULL ? json_error_code(&e) : json_error_unknown;
	return value;
}

/* A difference from jansson's ordinary verdict must be one of the list, and its cause in the text. */
static void
count_difference(const struct normal *n, bool ours, bool theirs, enum json_error_code code)
{
	if (!ours && theirs && n->raw_nuls > 0) {
		count.raw_nuls++;
		return;
	}
	if (!ours && theirs) {
		REQUIRE(n->depth_max > JSON_DEPTH_MAX);
		count.too_deep++;
		return;
	}
	switch (code) {
	case json_error_numeric_overflow:
		REQUIRE(n->big > 0);
		count.big++;
		break;
	case json_error_null_character: case json_error_null_byte_in_key:
		REQUIRE(n->nuls > 0);
		count.nuls++;
		break;
	case json_error_invalid_utf8:
		REQUIRE(n->bad_utf8 > 0);
		count.bad_utf8++;
		break;
	default:
		REQUIRE(code == json_error_invalid_syntax);
		REQUIRE(n->halves > 0);
		count.halves++;
	}
}

static void
assert_same_scan(const struct event_scan *a, const struct event_scan *b, const char *a_scratch,
                 const char *b_scratch)
{
	REQUIRE(a->fault == b->fault);
	REQUIRE(a->has_space == b->has_space);
	REQUIRE(a->event.bytes == b->event.bytes);
	REQUIRE(a->event.len == b->event.len);
	REQUIRE(a->event.id_len == b->event.id_len);
	REQUIRE(a->event.created_ns == b->event.created_ns);
	REQUIRE(a->org_id_len == b->org_id_len);
	REQUIRE((a->event.id == a_scratch) == (b->event.id == b_scratch));
	REQUIRE((a->org_id == NULL) == (b->org_id == NULL));
	REQUIRE((a->event.id == NULL) == (b->event.id == NULL));
	if (a->event.id != NULL)
		REQUIRE(memcmp(a->event.id, b->event.id, a->event.id_len) == 0);
	if (a->org_id != NULL)
		REQUIRE(memcmp(a->org_id, b->org_id, a->org_id_len) == 0);
}

/* What an id must be to be filed, read off jansson's string. */
static bool
good_id(const json_t *id)
{
	const char *text = json_string_value(id);
	size_t len = json_string_length(id);

	if (text == NULL || len == 0 || len > EVENT_ID_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f ||
		    ((unsigned char)text[i] == 0xc2 && (unsigned char)text[i + 1] < 0xa0))
			return false;
	return true;
}

/* The fields of an object that both read, of a text in which nothing is left to differ about. */
static void
check_fields(const struct buf *text, const json_t *object)
{
	char scratch[EVENT_SCRATCH_SIZE];
	const char *p = json_skip_space(text->data, text->data + text->len);
	const json_t *id = json_object_get(object, "id"), *created = json_object_get(object, "created");
	const json_t *org = json_object_get(object, "orgId");
	struct event_scan scan;
	enum json_error_code code;
	int64_t ns = 0;
	bool dated = false;

	REQUIRE(event_scan(p, text->data + text->len, scratch, &scan) != NULL);
	if (scan.fault == EVENT_AMBIGUOUS) {
		REQUIRE(load(text, GENEROUS | JSON_REJECT_DUPLICATES, &code) == NULL);
		REQUIRE(code == json_error_duplicate_key);
		count.twice++;
		return;
	}
	if (json_is_string(created))
		dated = isotime_parse(json_string_value(created), json_string_length(created), &ns) == 0;
	REQUIRE((scan.fault == EVENT_NO_ID) == (!good_id(id)));
	if (good_id(id)) {
		REQUIRE(scan.event.id_len == json_string_length(id));
		REQUIRE(memcmp(scan.event.id, json_string_value(id), scan.event.id_len) == 0);
		REQUIRE((scan.fault == EVENT_NO_CREATED) == (!dated));
		if (dated) {
			REQUIRE(scan.event.created_ns == ns);
			REQUIRE((scan.fault == EVENT_ODD_DATE) ==
			        (ns < EVENT_CREATED_MIN_NS || ns >= EVENT_CREATED_END_NS));
		}
	}
	REQUIRE((scan.org_id == NULL) == (org == NULL || json_is_null(org)));
	if (scan.org_id != NULL && json_is_string(org) && json_string_length(org) <= EVENT_ORG_ID_MAX) {
		REQUIRE(scan.org_id_len == json_string_length(org));
		REQUIRE(memcmp(scan.org_id, json_string_value(org), scan.org_id_len) == 0);
	} else if (scan.org_id != NULL && !json_is_string(org)) {
		REQUIRE(scan.org_id_len == 0);
	}
}

/* Both scanners on the bytes, which stand in a block of just their size so that a sanitizer sees a read
 * past them. Whether they accept the whole; *ret_scan where it is an object. */
static bool
scan_both(const char *bytes, size_t len, struct event_scan *ret_scan, bool *ret_bad_utf8,
          bool *ret_space)
{
	const char *end = bytes + len, *p = json_skip_space(bytes, end), *after, *other;
	char scratch[EVENT_SCRATCH_SIZE], plain_scratch[EVENT_SCRATCH_SIZE];
	struct event_scan plain;
	bool bad = false, space = false;

	after = json_skip_value(p, end, 0, ret_bad_utf8, ret_space);
	other = plain_json_skip_value(p, end, 0, &bad, &space);
	REQUIRE(after == other);
	REQUIRE(bad == *ret_bad_utf8);
	REQUIRE(space == *ret_space);
	if (p < end && *p == '{') {
		REQUIRE(event_scan(p, end, scratch, ret_scan) == after);
		REQUIRE(plain_event_scan(p, end, plain_scratch, &plain) == after);
		if (after != NULL)
			assert_same_scan(ret_scan, &plain, scratch, plain_scratch);
	}
	return after != NULL && json_skip_space(after, end) == end;
}

static void
check_stripped(const struct buf *doc, const struct buf *want)
{
	char *fast = malloc(doc->len + 1), *in_place = malloc(doc->len + 1);
	size_t len;

	REQUIRE(fast != NULL && in_place != NULL);
	REQUIRE(json_strip_space(doc->data, doc->len, fast) == want->len);
	REQUIRE(memcmp(fast, want->data, want->len) == 0);
	memcpy(in_place, doc->data, doc->len);
	len = json_strip_space(in_place, doc->len, in_place);
	REQUIRE(len == want->len);
	REQUIRE(memcmp(in_place, want->data, len) == 0);
	len = plain_json_strip_space(doc->data, doc->len, in_place);
	REQUIRE(len == want->len);
	REQUIRE(memcmp(in_place, want->data, len) == 0);
	free(fast);
	free(in_place);
}

/* A document that failed, for whoever has to look into it. */
static void
show(const struct buf *doc)
{
	printf("case %zu: ", count.cases);
	for (size_t i = 0; i < doc->len; i++) {
		unsigned char c = (unsigned char)doc->data[i];

		if (c >= 0x20 && c < 0x7f)
			putchar(c);
		else
			printf("<%02x>", c);
	}
	printf("\n");
	fflush(stdout);
}

static void
check_document(const struct buf *doc)
{
	struct normal n = { .depth_max = 0 };
	struct event_scan scan = { .fault = EVENT_SOUND };
	enum json_error_code raw_code, code;
	json_t *raw, *normal;
	bool ours, bad_utf8 = false, space = false;
	char *bytes = malloc(doc->len == 0 ? 1 : doc->len);

	REQUIRE(bytes != NULL);
	if (doc->len > 0)
		memcpy(bytes, doc->data, doc->len);
	buf_init(&n.text, 1 << 24);
	buf_init(&n.stripped, 1 << 24);
	normalize(&n, bytes, doc->len);
	ours = scan_both(bytes, doc->len, &scan, &bad_utf8, &space);
	raw = load(doc, ORDINARY, &raw_code);
	normal = load(&n.text, GENEROUS, &code);
	if (ours != (normal != NULL && n.depth_max <= JSON_DEPTH_MAX))
		show(doc);
	REQUIRE(ours == (normal != NULL && n.depth_max <= JSON_DEPTH_MAX));
	if (ours != (raw != NULL))
		count_difference(&n, ours, raw != NULL, raw_code);
	if (ours) {
		count.accepted++;
		count.spaced += space;
		REQUIRE(bad_utf8 == (n.bad_utf8 > 0));
		check_stripped(doc, &n.stripped);
		if (json_is_object(normal)) {
			REQUIRE((scan.fault == EVENT_BAD_UTF8) == (n.bad_utf8 > 0));
			count.faults[scan.fault]++;
			check_fields(&n.text, normal);
		}
	} else {
		count.refused++;
	}
	json_decref(raw);
	json_decref(normal);
	buf_free(&n.text);
	buf_free(&n.stripped);
	free(bytes);
}

START_TEST(test_against_jansson)
{
	size_t cases = test_cases(CASES, 20 * CASES);
	struct rng r;
	struct buf doc;

	rng_seed(&r, seed);
	buf_init(&doc, 1 << 24);
	for (count.cases = 0; count.cases < cases; count.cases++) {
		buf_reset(&doc);
		if (rng_below(&r, 3) > 0) {
			jsongen_event(&r, &doc);
			count.events++;
		} else {
			jsongen_value(&r, &doc, 5);
		}
		if (rng_below(&r, 2) == 0) {
			jsongen_damage(&r, &doc);
			count.damaged++;
		}
		check_document(&doc);
	}
	buf_free(&doc);
	test_cases_played("test_event_diff", cases);
	printf("%zu of them events, %zu damaged; %zu accepted (%zu with space to strip), %zu refused\n",
	       count.events, count.damaged, count.accepted, count.spaced, count.refused);
	printf("differences: %zu big numbers, %zu halves of a pair, %zu \\u0000, %zu bad UTF-8, "
	       "%zu too deep, %zu NUL bytes; %zu ambiguous\n", count.big, count.halves, count.nuls,
	       count.bad_utf8, count.too_deep, count.raw_nuls, count.twice);
	for (int i = 0; i <= EVENT_AMBIGUOUS; i++) {
		printf("%zu objects: %s\n", count.faults[i], event_fault_text((enum event_fault)i));
		REQUIRE(cases < CASES || count.faults[i] > 0);
	}
	/* A generator that stopped making a kind would make this test blind to it. */
	REQUIRE(cases < CASES || (count.big > 0 && count.halves > 0 && count.nuls > 0 && count.bad_utf8 > 0 &&
	                          count.too_deep > 0 && count.twice > 0));
	REQUIRE(count.accepted > cases / 4);
	REQUIRE(count.refused > cases / 10);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("event_diff");
	TCase *tc = tcase_create("jansson");
	SRunner *runner = srunner_create(suite);
	int failed;

	seed = test_seed("test_event_diff");
	tcase_set_timeout(tc, 600);
	tcase_add_test(tc, test_against_jansson);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
