#include "lib/conf/suggest.h"

#include <string.h>

#define WORD_MAX 64

/* Lower case without what separates words, so that "orgId", "ORG-ID" and "org_id" are the same. */
static size_t
squeeze(const char *text, size_t len, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (c == '-' || c == '_' || c == ' ')
			continue;
		out[n++] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
	}
	return n;
}

static int
min2(int a, int b)
{
	return a < b ? a : b;
}

/* Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours. */
static int
edits(const char *a, size_t a_len, const char *b, size_t b_len)
{
	int rows[3][WORD_MAX + 1];

	for (size_t j = 0; j <= b_len; j++)
		rows[0][j] = (int)j;
	for (size_t i = 1; i <= a_len; i++) {
		int *now = rows[i % 3];
		const int *before = rows[(i - 1) % 3], *earlier = rows[(i + 1) % 3];

		now[0] = (int)i;
		for (size_t j = 1; j <= b_len; j++) {
			now[j] = min2(before[j] + 1, now[j - 1] + 1);
			now[j] = min2(now[j], before[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				now[j] = min2(now[j], earlier[j - 2] + 1);
		}
	}
	return rows[a_len % 3][b_len];
}

int
suggest_distance(const char *typed, size_t typed_len, const char *known)
{
	char a[WORD_MAX], b[WORD_MAX];
	size_t known_len = strlen(known), a_len, b_len;
	int distance;

	if (typed_len == 0 || typed_len > WORD_MAX || known_len > WORD_MAX)
		return -1;
	a_len = squeeze(typed, typed_len, a);
	b_len = squeeze(known, known_len, b);
	if (a_len == 0 || b_len == 0)
		return -1;
	if (a_len == b_len && memcmp(a, b, a_len) == 0)
		return 0;
	distance = edits(a, a_len, b, b_len);
	/* Two slips in a word of four letters make another word. */
	if (distance <= (b_len > 4 && a_len > 4 ? 2 : 1) && (size_t)distance < b_len)
		return distance;
	if (a_len >= 3 && a_len < b_len && memcmp(a, b, a_len) == 0)
		return 3;
	return -1;
}

void
suggest_begin(struct suggest *s, const char *typed, size_t typed_len)
{
	s->typed = typed;
	s->typed_len = typed_len;
	s->best = NULL;
	s->best_distance = -1;
}

void
suggest_offer(struct suggest *s, const char *known)
{
	int distance = suggest_distance(s->typed, s->typed_len, known);

	if (distance >= 0 && (s->best == NULL || distance < s->best_distance)) {
		s->best = known;
		s->best_distance = distance;
	}
}
