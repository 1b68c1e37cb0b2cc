#include "cmd/orgsync/suggest.h"

#include <string.h>
#include <strings.h>

#define WORD_MAX 40

static unsigned
least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

static unsigned char
lower(char c)
{
	return (unsigned char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

/* Edits that turn a into b; both at most WORD_MAX bytes. */
static unsigned
distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	unsigned row[3][WORD_MAX + 1];
	unsigned *before = row[0], *last = row[1], *now = row[2], *spare;

	for (size_t j = 0; j <= b_len; j++)
		last[j] = (unsigned)j;
	for (size_t i = 1; i <= a_len; i++) {
		now[0] = (unsigned)i;
		for (size_t j = 1; j <= b_len; j++) {
			unsigned replace = last[j - 1] + (lower(a[i - 1]) != lower(b[j - 1]));

			now[j] = least(replace, least(last[j], now[j - 1]) + 1);
			if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
			    lower(a[i - 2]) == lower(b[j - 1]))
				now[j] = least(now[j], before[j - 2] + 1);
		}
		spare = before;
		before = last;
		last = now;
		now = spare;
	}
	return last[b_len];
}

const char *
suggest(const char *word, const char *const *candidates, size_t n)
{
	size_t len = strlen(word), begins = 0;
	const char *best = NULL, *beginning = NULL;
	unsigned best_edits = len < 4 ? 2 : 3; /* one more than is near */

	if (len == 0 || len > WORD_MAX)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		size_t candidate_len = strlen(candidates[i]);
		unsigned edits;

		if (candidate_len > WORD_MAX)
			continue;
		edits = distance(word, len, candidates[i], candidate_len);
		if (edits < best_edits && edits < candidate_len) {
			best_edits = edits;
			best = candidates[i];
		}
		if (len >= 2 && strncasecmp(word, candidates[i], len) == 0) {
			begins++;
			beginning = candidates[i];
		}
	}
	return best != NULL ? best : begins == 1 ? beginning : NULL;
}
