/* jsonscan.h: the parts of the JSON scanner that are worth having inline. For the code that walks an
 * answer (event.c, lib/atlas/page.c); everybody else takes what event.h offers.
 *
 * Every function takes a position in [start, s->end] and returns the position after what it read, or
 * NULL where the bytes are not JSON or end too early. None reads a byte at or after s->end.
 */
#ifndef ORGSYNC_BASE_JSONSCAN_H
#define ORGSYNC_BASE_JSONSCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__SSE2__) && !defined(JSONSCAN_PLAIN_C)
#define JSONSCAN_SSE2 1
#include <emmintrin.h>
#else
#define JSONSCAN_SSE2 0
#endif

struct json_scan {
	const char *end;
	size_t space;  /* bytes of white space met between tokens */
	bool bad_utf8; /* a string held bytes that are no UTF-8; only ever set */
	bool escape;   /* a string held a backslash; set here, cleared by whoever wants to know */
};

/* A byte of a string that needs no look of its own: ASCII, no control character, neither '"' nor '\'. */
static inline bool
json_byte_is_plain(char byte)
{
	unsigned char c = (unsigned char)byte;

	return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* The first byte in [p, end) that is not plain, or end: one byte at a time. */
static inline const char *
json_string_stop_plain(const char *p, const char *end)
{
	while (p < end && json_byte_is_plain(*p))
		p++;
	return p;
}

/* The same, 16 bytes at a time where the machine can. */
static inline const char *
json_string_stop(const char *p, const char *end)
{
#if JSONSCAN_SSE2
	const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\');
	const __m128i space = _mm_set1_epi8(0x20);

	for (; end - p >= 16; p += 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
		/* As signed numbers the control characters and the bytes from 0x80 up are all below 0x20. */
		__m128i stop = _mm_or_si128(_mm_cmplt_epi8(v, space),
		                            _mm_or_si128(_mm_cmpeq_epi8(v, quote),
		                                         _mm_cmpeq_epi8(v, backslash)));
		int mask = _mm_movemask_epi8(stop);

		if (mask != 0)
			return p + __builtin_ctz((unsigned)mask);
	}
#endif
	return json_string_stop_plain(p, end);
}

/* The rest of a string from the first byte that is not plain. */
const char *json_string_rest(struct json_scan *s, const char *p);
/* The rest of a run of white space. */
const char *json_space_rest(struct json_scan *s, const char *p);
/* One value; depth is how many arrays and objects are open around it. */
const char *json_value(struct json_scan *s, const char *p, int depth);
/* Reads one character of a string's text, [*at, end) being checked by json_string_rest() before: its
 * code point, an unpaired surrogate, or 0x110000 + byte for a byte that is no UTF-8. */
uint32_t json_next_char(const char **at, const char *end);
/* True where the texts of two strings, checked before, mean the same, however either is escaped. */
bool json_same_text(const char *a, size_t a_len, const char *b, size_t b_len);

/* A string from the byte after its opening quote. */
static inline const char *
json_string(struct json_scan *s, const char *p)
{
	p = json_string_stop(p, s->end);
	if (p < s->end && *p == '"')
		return p + 1;
	return json_string_rest(s, p);
}

/* White space, if there is any; one blank, which some servers set after each comma and colon, at once. */
static inline const char *
json_space(struct json_scan *s, const char *p)
{
	if (p >= s->end || (unsigned char)*p > ' ')
		return p;
	if (*p == ' ') {
		s->space++;
		p++;
		if (p >= s->end || (unsigned char)*p > ' ')
			return p;
	}
	return json_space_rest(s, p);
}

/* One value, if it is a string without a call. */
static inline const char *
json_value_inline(struct json_scan *s, const char *p, int depth)
{
	if (p < s->end && *p == '"')
		return json_string(s, p + 1);
	return json_value(s, p, depth);
}

/* A member's name with its colon and the space around that: from the opening quote to the value.
 * *ret_end is the name's closing quote. */
static inline const char *
json_name(struct json_scan *s, const char *p, const char **ret_end)
{
	if (p >= s->end || *p != '"')
		return NULL;
	p = json_string(s, p + 1);
	if (p == NULL)
		return NULL;
	*ret_end = p - 1;
	p = json_space(s, p);
	if (p >= s->end || *p != ':')
		return NULL;
	return json_space(s, p + 1);
}

/* What follows a member or an element: space, then `close` (*ret_closed is true) or a comma and space. */
static inline const char *
json_separator(struct json_scan *s, const char *p, char close, bool *ret_closed)
{
	p = json_space(s, p);
	if (p >= s->end)
		return NULL;
	*ret_closed = *p == close;
	if (*ret_closed)
		return p + 1;
	return *p == ',' ? json_space(s, p + 1) : NULL;
}

#endif
