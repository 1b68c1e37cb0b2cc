#include "lib/base/jsonscan.h"

#include <string.h>

#include "lib/base/event.h"
#include "lib/base/utf8.h"

#define BAD_BYTE UINT32_C(0x110000)

static bool
is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Reads four hex digits. */
static bool
read_hex4(const char *p, const char *end, uint32_t *ret)
{
	uint32_t value = 0;

	if (end - p < 4)
		return false;
	for (int i = 0; i < 4; i++) {
		unsigned char c = (unsigned char)p[i], letter = c | 0x20;

		if (is_digit((char)c))
			value = value * 16 + (c - '0');
		else if (letter >= 'a' && letter <= 'f')
			value = value * 16 + (letter - 'a' + 10u);
		else
			return false;
	}
	*ret = value;
	return true;
}

/* The escape whose backslash is at p. */
static const char *
skip_escape(const char *p, const char *end)
{
	uint32_t unit;

	if (end - p < 2)
		return NULL;
	switch (p[1]) {
	case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r': case 't':
		return p + 2;
	case 'u':
		return read_hex4(p + 2, end, &unit) ? p + 6 : NULL;
	default:
		return NULL;
	}
}

const char *
json_string_rest(struct json_scan *s, const char *p)
{
	size_t len;

	for (;; p = json_string_stop(p, s->end)) {
		if (p >= s->end)
			return NULL;
		if (*p == '"')
			return p + 1;
		if (*p == '\\') {
			s->escape = true;
			p = skip_escape(p, s->end);
			if (p == NULL)
				return NULL;
		} else if ((unsigned char)*p < 0x20) {
			return NULL;
		} else {
			len = utf8_len(p, s->end);
			/* One bad byte is passed over alone: the quote after it still ends the string. */
			s->bad_utf8 |= len == 0;
			p += len == 0 ? 1 : len;
		}
	}
}

const char *
json_space_rest(struct json_scan *s, const char *p)
{
	const char *start = p;

	while (p < s->end && is_space(*p))
		p++;
	s->space += (size_t)(p - start);
	return p;
}

static const char *
skip_digits(const char *p, const char *end)
{
	if (p >= end || !is_digit(*p))
		return NULL;
	while (p < end && is_digit(*p))
		p++;
	return p;
}

static const char *
skip_number(const char *p, const char *end)
{
	if (*p == '-')
		p++;
	if (p < end && *p == '0')
		p++;
	else
		p = skip_digits(p, end);
	if (p != NULL && p < end && *p == '.')
		p = skip_digits(p + 1, end);
	if (p != NULL && p < end && (*p == 'e' || *p == 'E')) {
		p++;
		if (p < end && (*p == '+' || *p == '-'))
			p++;
		p = skip_digits(p, end);
	}
	return p;
}

static const char *
skip_literal(const char *p, const char *end, const char *literal, size_t len)
{
	return (size_t)(end - p) >= len && memcmp(p, literal, len) == 0 ? p + len : NULL;
}

/* The object whose '{' stands before p; depth counts it. Recursion through json_value() is bounded by
 * JSON_DEPTH_MAX. */
static const char *
skip_object(struct json_scan *s, const char *p, int depth)
{
	const char *name_end;
	bool closed = false;

	p = json_space(s, p);
	if (p < s->end && *p == '}')
		return p + 1;
	while (p != NULL && !closed) {
		p = json_name(s, p, &name_end);
		if (p != NULL)
			p = json_value_inline(s, p, depth);
		if (p != NULL)
			p = json_separator(s, p, '}', &closed);
	}
	return p;
}

static const char *
skip_array(struct json_scan *s, const char *p, int depth)
{
	bool closed = false;

	p = json_space(s, p);
	if (p < s->end && *p == ']')
		return p + 1;
	while (p != NULL && !closed) {
		p = json_value_inline(s, p, depth);
		if (p != NULL)
			p = json_separator(s, p, ']', &closed);
	}
	return p;
}

const char *
json_value(struct json_scan *s, const char *p, int depth)
{
	if (p >= s->end)
		return NULL;
	switch (*p) {
	case '"':
		return json_string(s, p + 1);
	case '{':
		return depth < JSON_DEPTH_MAX ? skip_object(s, p + 1, depth + 1) : NULL;
	case '[':
		return depth < JSON_DEPTH_MAX ? skip_array(s, p + 1, depth + 1) : NULL;
	case 't':
		return skip_literal(p, s->end, "true", 4);
	case 'f':
		return skip_literal(p, s->end, "false", 5);
	case 'n':
		return skip_literal(p, s->end, "null", 4);
	case '-': case '0': case '1': case '2': case '3': case '4': case '5': case '6': case '7':
	case '8': case '9':
		return skip_number(p, s->end);
	default:
		return NULL;
	}
}

/* The code point of a sequence that utf8_len() found good. */
static uint32_t
utf8_decode(const unsigned char *u, size_t len)
{
	if (len == 1)
		return u[0];
	if (len == 2)
		return (u[0] & 0x1fu) << 6 | (u[1] & 0x3fu);
	if (len == 3)
		return (u[0] & 0x0fu) << 12 | (u[1] & 0x3fu) << 6 | (u[2] & 0x3fu);
	return (u[0] & 0x07u) << 18 | (u[1] & 0x3fu) << 12 | (u[2] & 0x3fu) << 6 | (u[3] & 0x3fu);
}

uint32_t
json_next_char(const char **at, const char *end)
{
	static const char letters[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
	const char *p = *at;
	uint32_t high = 0, low = 0;
	size_t len;

	if (*p != '\\') {
		len = utf8_len(p, end);
		*at += len == 0 ? 1 : len;
		return len == 0 ? BAD_BYTE + (unsigned char)*p : utf8_decode((const unsigned char *)p, len);
	}
	if (p[1] != 'u') {
		*at += 2;
		return (unsigned char)values[strchr(letters, p[1]) - letters];
	}
	read_hex4(p + 2, end, &high);
	*at += 6;
	if (high < 0xd800 || high > 0xdbff || end - p < 12 || p[6] != '\\' || p[7] != 'u' ||
	    !read_hex4(p + 8, end, &low) || low < 0xdc00 || low > 0xdfff)
		return high;
	*at += 6;
	return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

bool
json_same_text(const char *a, size_t a_len, const char *b, size_t b_len)
{
	const char *a_end = a + a_len, *b_end = b + b_len;

	if (a_len == b_len && memcmp(a, b, a_len) == 0)
		return true;
	while (a < a_end && b < b_end)
		if (json_next_char(&a, a_end) != json_next_char(&b, b_end))
			return false;
	return a == a_end && b == b_end;
}

const char *
json_skip_space(const char *p, const char *end)
{
	while (p < end && is_space(*p))
		p++;
	return p;
}

const char *
json_skip_value(const char *p, const char *end, int depth, bool *ret_bad_utf8, bool *ret_has_space)
{
	struct json_scan s = { .end = end };

	p = json_value(&s, p, depth);
	*ret_bad_utf8 |= s.bad_utf8;
	*ret_has_space |= s.space > 0;
	return p;
}

