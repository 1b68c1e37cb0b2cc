/* Taking the white space between tokens out of JSON that is known to be sound.
 *
 * Every event of the servers we know comes with a blank after each comma and colon, so this is as hot as
 * the scan itself. With SSE2 the text is taken in blocks of 64 bytes: one bit a byte says where quotes,
 * backslashes and white space are, and from those follows which bytes go. What stays between them moves
 * in pieces of 16 bytes.
 */
#include <stdbool.h>
#include <string.h>

#include "lib/base/event.h"
#include "lib/base/jsonscan.h"

#if JSONSCAN_SSE2

#define BLOCK 64
#define PIECE 16

/* What one block hands to the next. */
struct carry {
	uint64_t in_string; /* all ones where the block begins inside a string */
	uint64_t escaped;   /* 1 where its first byte has a backslash before it that counts */
};

/* One bit a byte of four comparisons. Written out, like the rest: compilers do not unroll at -O2. */
static inline uint64_t
bits_of(__m128i a, __m128i b, __m128i c, __m128i d)
{
	uint64_t low = (unsigned)_mm_movemask_epi8(a) | (unsigned)_mm_movemask_epi8(b) << 16;
	uint64_t high = (unsigned)_mm_movemask_epi8(c) | (unsigned)_mm_movemask_epi8(d) << 16;

	return low | high << 32;
}

/* The block's bytes that are `wanted`. */
static inline uint64_t
bytes_equal(const __m128i v[4], char wanted)
{
	const __m128i w = _mm_set1_epi8(wanted);

	return bits_of(_mm_cmpeq_epi8(v[0], w), _mm_cmpeq_epi8(v[1], w), _mm_cmpeq_epi8(v[2], w),
	               _mm_cmpeq_epi8(v[3], w));
}

/* Its white space. In sound JSON no byte up to a blank is anything else: strings hold no control
 * characters. */
static inline uint64_t
bytes_space(const __m128i v[4])
{
	const __m128i b = _mm_set1_epi8(' ');

	return bits_of(_mm_cmpeq_epi8(_mm_min_epu8(v[0], b), v[0]),
	               _mm_cmpeq_epi8(_mm_min_epu8(v[1], b), v[1]),
	               _mm_cmpeq_epi8(_mm_min_epu8(v[2], b), v[2]),
	               _mm_cmpeq_epi8(_mm_min_epu8(v[3], b), v[3]));
}

/* The bytes that a backslash before them takes the meaning from. */
static inline uint64_t
escaped_bytes(uint64_t backslashes, struct carry *c)
{
	uint64_t escaped = c->escaped, bit;

	backslashes &= ~escaped;
	c->escaped = 0;
	while (backslashes != 0) { /* rare, so one at a time */
		bit = backslashes & -backslashes;
		c->escaped = bit >> 63;
		escaped |= bit << 1;
		backslashes &= ~(bit | bit << 1);
	}
	return escaped;
}

/* For each byte whether the number of quotes up to it, itself included, is odd. */
static inline uint64_t
odd_quotes(uint64_t quotes)
{
	quotes ^= quotes << 1;
	quotes ^= quotes << 2;
	quotes ^= quotes << 4;
	quotes ^= quotes << 8;
	quotes ^= quotes << 16;
	return quotes ^ quotes << 32;
}

/* The white space outside strings in one block. */
static inline uint64_t
bytes_to_strip(const char *block, struct carry *c)
{
	const __m128i *p = (const __m128i *)(const void *)block;
	const __m128i v[4] = { _mm_load_si128(p), _mm_load_si128(p + 1), _mm_load_si128(p + 2),
	                       _mm_load_si128(p + 3) };
	uint64_t inside, quotes;

	quotes = bytes_equal(v, '"') & ~escaped_bytes(bytes_equal(v, '\\'), c);
	inside = odd_quotes(quotes) ^ c->in_string;
	c->in_string = 0 - (inside >> 63);
	return bytes_space(v) & ~inside;
}

/* Moves len bytes in pieces, the last of which may be too long: up to PIECE - 1 bytes past the end. */
static inline char *
move_pieces(char *to, const char *from, size_t len)
{
	size_t i = 0;

	do {
		_mm_storeu_si128((__m128i *)(void *)(to + i),
		                 _mm_loadu_si128((const __m128i *)(const void *)(from + i)));
		i += PIECE;
	} while (i < len);
	return to + len;
}

/* Writes len bytes of a block without those marked; up to PIECE bytes behind are overwritten too. */
static inline char *
write_block(char *to, const char *block, size_t len, uint64_t strip)
{
	size_t at = 0, next;

	for (; strip != 0; strip &= strip - 1, at = next + 1) {
		next = (size_t)__builtin_ctzll(strip);
		to = move_pieces(to, block + at, next - at);
	}
	return move_pieces(to, block + at, len - at);
}

/* The same, but not a byte more. */
static char *
write_block_exactly(char *to, const char *block, size_t len, uint64_t strip)
{
	for (size_t i = 0; i < len; i++)
		if ((strip >> i & 1) == 0)
			*to++ = block[i];
	return to;
}

/* The last bytes of a text, less than two blocks of them, aside in `rest`; to may be written to up to
 * to_end. */
static char *
write_rest(char *to, const char *to_end, const char *rest, size_t len, struct carry *c)
{
	for (size_t at = 0; at < len; at += BLOCK) {
		size_t n = len - at < BLOCK ? len - at : BLOCK;
		uint64_t strip = bytes_to_strip(rest + at, c);

		if (n < BLOCK)
			strip &= (UINT64_C(1) << n) - 1;
		if ((size_t)(to_end - to) >= n + PIECE)
			to = write_block(to, rest + at, n, strip);
		else
			to = write_block_exactly(to, rest + at, n, strip);
	}
	return to;
}

/* out may be bytes itself. As the pieces overwrite the start of what comes next, a block is taken aside
 * before the one before it is written. */
size_t
json_strip_space(const char *bytes, size_t len, char *out)
{
	_Alignas(PIECE) char blocks[2][BLOCK + PIECE] = { { 0 } };
	_Alignas(PIECE) char rest[2 * BLOCK + PIECE] = { 0 };
	const char *p = bytes, *end = bytes + len;
	struct carry c = { 0, 0 };
	char *to = out;
	int now = 0;

	if (len >= 2 * BLOCK) {
		memcpy(blocks[now], p, BLOCK);
		for (; end - p >= 2 * BLOCK; p += BLOCK, now ^= 1) {
			memcpy(blocks[now ^ 1], p + BLOCK, BLOCK);
			to = write_block(to, blocks[now], BLOCK, bytes_to_strip(blocks[now], &c));
		}
		memcpy(rest, blocks[now], BLOCK);
		memcpy(rest + BLOCK, p + BLOCK, (size_t)(end - p) - BLOCK);
	} else if (len > 0) {
		memcpy(rest, p, len);
	}
	to = write_rest(to, out + len, rest, (size_t)(end - p), &c);
	return (size_t)(to - out);
}

#else

size_t
json_strip_space(const char *bytes, size_t len, char *out)
{
	bool in_string = false;
	char *to = out;

	for (size_t i = 0; i < len; i++) {
		char c = bytes[i];

		*to = c;
		if (in_string && c == '\\' && i + 1 < len)
			*++to = bytes[++i];
		else
			in_string ^= c == '"';
		to += in_string || (unsigned char)c > ' ';
	}
	return (size_t)(to - out);
}

#endif
