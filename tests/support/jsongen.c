#include "tests/support/jsongen.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define PICK(r, list) (list)[rng_below((r), sizeof(list) / sizeof((list)[0]))]

static void
put(struct buf *out, const char *bytes, size_t len)
{
	if (buf_append(out, bytes, len) != 0)
		abort();
}

static void
puts_to(struct buf *out, const char *text)
{
	put(out, text, strlen(text));
}

static bool
percent(struct rng *r, unsigned chance)
{
	return rng_below(r, 100) < chance;
}

static void
gen_space(struct rng *r, struct buf *out)
{
	static const char *const runs[] = { " ", " ", " ", "\n", "\t", "\r\n", "   ", "\n        ",
	                                    "                                  " };

	if (percent(r, 15))
		puts_to(out, PICK(r, runs));
}

static void
gen_number(struct rng *r, struct buf *out)
{
	static const char *const odd[] = {
		"0", "-0", "0.0", "-0.10", "1e2", "1E+2", "0e0", "12.50e-07", "9223372036854775807",
		"9223372036854775808", "-9223372036854775809", "123456789012345678901234567890",
		"1e999", "-1e999", "1e-999", "0.1e400", "3.141592653589793238462643383279",
	};

	if (percent(r, 50))
		puts_to(out, PICK(r, odd));
	else if (buf_printf(out, "%d", (int)rng_below(r, 100000) - 50000) != 0)
		abort();
}

static void
gen_escape_unit(struct rng *r, struct buf *out, unsigned unit)
{
	if (buf_printf(out, percent(r, 50) ? "\\u%04x" : "\\u%04X", unit) != 0)
		abort();
}

static void
gen_piece(struct rng *r, struct buf *out)
{
	static const char *const wide[] = { "\xc3\xa9", "\xc2\x80", "\xe2\x82\xac", "\xed\x9f\xbf",
	                                    "\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80",
	                                    "\xf4\x8f\xbf\xbf", "\xf0\x9f\x98\x80", "\x7f" };
	static const char *const escapes[] = { "\\\"", "\\\\", "\\/", "\\b", "\\f", "\\n", "\\r", "\\t",
	                                       "\\u0000", "\\u001f", "\\u00e9", "\\u20AC", "\\\\u0041" };
	static const char *const marks[] = { "{", "}", "[", "]", ":", ",", " ", "  ", ": ", ", ", "//",
	                                     "null", "1e5" };
	unsigned unit;

	switch (rng_below(r, 8)) {
	case 0:
		puts_to(out, PICK(r, wide));
		break;
	case 1:
		puts_to(out, PICK(r, escapes));
		break;
	case 2:
		puts_to(out, PICK(r, marks));
		break;
	case 3:
		if (percent(r, 70)) { /* a pair */
			gen_escape_unit(r, out, 0xd800 + (unsigned)rng_below(r, 0x400));
			gen_escape_unit(r, out, 0xdc00 + (unsigned)rng_below(r, 0x400));
		} else if (percent(r, 10)) { /* half of one */
			unit = 0xd800 + (unsigned)rng_below(r, 0x800);
			gen_escape_unit(r, out, unit);
		}
		break;
	default:
		for (size_t n = rng_below(r, percent(r, 5) ? 200 : 12); n > 0; n--) {
			char c = (char)('a' + rng_below(r, 26));

			put(out, &c, 1);
		}
	}
}

static void
gen_string(struct rng *r, struct buf *out)
{
	puts_to(out, "\"");
	for (size_t n = rng_below(r, 5); n > 0; n--)
		gen_piece(r, out);
	puts_to(out, "\"");
}

static void
gen_members(struct rng *r, struct buf *out, int depth, size_t n)
{
	static const char *const names[] = { "\"a\"", "\"id\"", "\"created\"", "\"orgId\"", "\"\"",
	                                     "\"i\\u0064\"" };

	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			puts_to(out, ",");
		gen_space(r, out);
		if (percent(r, 6))
			puts_to(out, PICK(r, names));
		else
			gen_string(r, out);
		gen_space(r, out);
		puts_to(out, ":");
		gen_space(r, out);
		jsongen_value(r, out, depth - 1);
		gen_space(r, out);
	}
}

static void
gen_deep(struct rng *r, struct buf *out)
{
	/* Half of them a little under the limit, half over it. */
	size_t depth = 100 + rng_below(r, 56);
	uint64_t kinds = rng_next(r);

	for (size_t i = 0; i < depth; i++)
		puts_to(out, kinds >> (i % 64) & 1 ? "[" : "{\"k\":");
	puts_to(out, "0");
	for (size_t i = depth; i-- > 0;)
		puts_to(out, kinds >> (i % 64) & 1 ? "]" : "}");
}

void
jsongen_value(struct rng *r, struct buf *out, int depth)
{
	static const char *const literals[] = { "true", "false", "null" };
	size_t n;

	switch (rng_below(r, depth > 0 ? 8 : 5)) {
	case 0:
		puts_to(out, PICK(r, literals));
		break;
	case 1:
		gen_number(r, out);
		break;
	case 2: case 3: case 4:
		gen_string(r, out);
		break;
	case 5: case 6:
		puts_to(out, "{");
		gen_space(r, out);
		gen_members(r, out, depth, rng_below(r, 4));
		puts_to(out, "}");
		break;
	default:
		if (percent(r, 1)) {
			gen_deep(r, out);
			break;
		}
		puts_to(out, "[");
		gen_space(r, out);
		n = rng_below(r, 4);
		for (size_t i = 0; i < n; i++) {
			if (i > 0)
				puts_to(out, ",");
			gen_space(r, out);
			jsongen_value(r, out, depth - 1);
			gen_space(r, out);
		}
		puts_to(out, "]");
	}
}

void
jsongen_text(struct rng *r, struct buf *out, const char *text, unsigned escape_percent)
{
	puts_to(out, "\"");
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text < 0x80 && percent(r, escape_percent))
			gen_escape_unit(r, out, (unsigned char)*text);
		else
			put(out, text, 1);
	}
	puts_to(out, "\"");
}

static void
gen_wanted_value(struct rng *r, struct buf *out, int which, unsigned escape_percent)
{
	static const char *const ids[] = {
		"6a7940472c88faeba59bebbd", "6a7940472c88faeba59bebbe", "x", "", "caf\xc3\xa9",
		"0123456789012345678901234567890123456789012345678901234567890123456789", "a\x7f",
		"a\xc2\x85z", "a\xc2\xa0z",
	};
	static const char *const dates[] = {
		"2026-08-10T03:06:47Z", "2025-08-11T23:46:46.579302Z", "2025-08-11T23:46:46.579Z",
		"2025-08-11T23:46:46.123456789+02:00", "1999-12-31T23:59:59Z", "2000-01-01T00:00:00Z",
		"2099-12-31T23:59:59.999999999Z", "2100-01-01T00:00:00Z", "1969-12-31T23:59:59Z",
		"2026-08-10T03:06:47", "2026-02-29T00:00:00Z", "yesterday", "",
	};
	static const char *const orgs[] = { "a0123456789abcdef012345a", "A0123456789ABCDEF012345A",
	                                    "b0123456789abcdef012345b", "" };

	if (percent(r, 4))
		jsongen_value(r, out, 1);
	else if (which == 0 && percent(r, 1)) /* around the longest id */
		for (size_t n = 254 + rng_below(r, 5), i = 0; i <= n + 1; i++)
			put(out, i == 0 || i == n + 1 ? "\"" : "i", 1);
	else if (which == 0)
		jsongen_text(r, out, percent(r, 60) ? ids[0] : PICK(r, ids), escape_percent);
	else if (which == 1)
		jsongen_text(r, out, percent(r, 60) ? dates[0] : PICK(r, dates), escape_percent);
	else
		jsongen_text(r, out, PICK(r, orgs), escape_percent);
}

void
jsongen_event(struct rng *r, struct buf *out)
{
	static const char *const wanted[] = { "id", "created", "orgId" };
	unsigned escapes = percent(r, 20) ? 30 : 0;
	int order[6] = { 0, 1, 2, 3, 3, 3 }, swap, j;
	bool first = true;

	for (int i = 5; i > 0; i--) {
		j = (int)rng_below(r, (uint64_t)i + 1);
		swap = order[i], order[i] = order[j], order[j] = swap;
	}
	puts_to(out, "{");
	gen_space(r, out);
	for (int i = 0; i < 6; i++) {
		if (order[i] < 3 && percent(r, 4)) /* missing */
			continue;
		if (!first)
			puts_to(out, ",");
		first = false;
		gen_space(r, out);
		if (order[i] == 3) {
			gen_members(r, out, 3, 1);
			continue;
		}
		jsongen_text(r, out, wanted[order[i]], escapes);
		gen_space(r, out);
		puts_to(out, ":");
		gen_space(r, out);
		gen_wanted_value(r, out, order[i], escapes);
		gen_space(r, out);
		if (percent(r, 3)) /* once more */
			i--;
	}
	puts_to(out, "}");
}

static void
damage_once(struct rng *r, struct buf *b)
{
	static const char marks[] = "{}[]:,;'\"\\ \n0-+.eEu/tfn\x01\x1f\x7f\x80\xbf\xc0\xe2\xed\xf0\xff";
	size_t at = rng_below(r, b->len), n;
	char *p = b->data + at, mark = marks[rng_below(r, sizeof(marks))];

	switch (rng_below(r, 7)) {
	case 0:
		*p = mark;
		break;
	case 1:
		*p = (char)rng_next(r);
		break;
	case 2: /* a byte less */
		memmove(p, p + 1, b->len - at - 1);
		b->len--;
		break;
	case 3: /* a byte more */
		if (buf_reserve(b, 1) != 0)
			abort();
		p = b->data + at;
		memmove(p + 1, p, b->len - at);
		*p = mark;
		b->len++;
		break;
	case 4: /* cut short */
		b->len = at;
		break;
	case 5: /* a run twice */
		n = 1 + rng_below(r, b->len - at < 20 ? b->len - at : 20);
		if (buf_reserve(b, n) != 0)
			abort();
		p = b->data + at;
		memmove(p + n, p, b->len - at);
		b->len += n;
		break;
	default:
		*p ^= (char)(1 << rng_below(r, 8));
	}
}

void
jsongen_damage(struct rng *r, struct buf *b)
{
	for (uint64_t n = 1 + rng_below(r, 3); n > 0 && b->len > 0; n--)
		damage_once(r, b);
}
