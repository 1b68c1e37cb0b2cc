/* ledger_days.c: the days of a ledger, read as ledger_write.c writes them.
 *
 * Of a ledger of years nearly all is days, one a line, and a nightly run reads it for each organization. jansson takes
 * 40,000 instructions for a line, this 1,500 (tests/bench/quick.py). It knows one way of writing a line and no other:
 * whatever stands there otherwise is left to jansson, and to what ledger_read.c says of it.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/isotime.h"
#include "lib/store/ledger_text.h"

#define HEAD ",\n \"days\": {"

bool
ledger_day_is_possible(const struct day *d)
{
	return d->events > 0 && d->bytes >= d->events && d->first_ns <= d->last_ns &&
	       isotime_second(d->first_ns) >= d->day_s && isotime_second(d->last_ns) < d->day_s + S_PER_DAY;
}

int
ledger_read_sha(const char *text, unsigned char ret[32])
{
	unsigned char sha256[32] = { 0 };

	for (int i = 0; i < 64; i++) {
		int digit = text[i] >= '0' && text[i] <= '9' ? text[i] - '0'
		          : text[i] >= 'a' && text[i] <= 'f' ? text[i] - 'a' + 10 : -1;

		if (digit < 0)
			return -1;
		sha256[i / 2] = (unsigned char)(i % 2 == 0 ? digit << 4 : sha256[i / 2] | digit);
	}
	memcpy(ret, sha256, sizeof(sha256));
	return 0;
}

int
ledger_read_time_ns(const char *text, size_t len, int64_t *ret_ns)
{
	int64_t ns;

	if ((len != ISOTIME_LEN && len != ISOTIME_LEN + 10) || text[len - 1] != 'Z' ||
	    (len != ISOTIME_LEN && text[ISOTIME_LEN - 1] != '.') || isotime_parse(text, len, &ns) != 0 ||
	    (len != ISOTIME_LEN && ns % NS_PER_S == 0))
		return -1;
	*ret_ns = ns;
	return 0;
}

/* Where the reading is; at is NULL once anything was otherwise. */
struct cursor { const char *at, *end; };

static void
expect(struct cursor *c, const char *literal)
{
	size_t len = strlen(literal);

	if (c->at == NULL || (size_t)(c->end - c->at) < len || memcmp(c->at, literal, len) != 0)
		c->at = NULL;
	else
		c->at += len;
}

/* The bytes before the next quotation mark, fewer than 64 or just so many; the mark is passed over. */
static const char *
quoted(struct cursor *c, size_t *ret_len)
{
	size_t most = c->at == NULL ? 0 : (size_t)(c->end - c->at);
	const char *text = c->at, *mark = text == NULL ? NULL : memchr(text, '"', most > 65 ? 65 : most);

	*ret_len = mark == NULL ? 0 : (size_t)(mark - text);
	c->at = mark == NULL ? NULL : mark + 1;
	return text;
}

static uint64_t
number(struct cursor *c)
{
	const char *first = c->at;
	uint64_t n = 0;

	if (first == NULL)
		return 0;
	while (c->at < c->end && *c->at >= '0' && *c->at <= '9' && c->at - first < 18)
		n = n * 10 + (uint64_t)(*c->at++ - '0');
	if (c->at == first || (*first == '0' && c->at - first > 1))
		c->at = NULL;
	return n;
}

static int64_t
time_ns(struct cursor *c)
{
	int64_t ns = 0;
	size_t len;
	const char *text = quoted(c, &len);

	if (c->at != NULL && ledger_read_time_ns(text, len, &ns) != 0)
		c->at = NULL;
	return ns;
}

static bool
read_line(struct cursor *c, struct day *d)
{
	const char *text;
	size_t len;
	int suffix;

	expect(c, "\n  \"");
	text = quoted(c, &len);
	if (c->at == NULL || isotime_parse_day(text, len, &d->day_s) != 0)
		return false;
	expect(c, ": {\"suffix\": \"");
	text = quoted(c, &len);
	for (suffix = LEDGER_PLAIN; suffix <= LEDGER_ZSTD; suffix++) {
		const char *known = ledger_suffix_text((enum ledger_suffix)suffix);

		if (c->at != NULL && strlen(known) == len && memcmp(known, text, len) == 0)
			break;
	}
	d->suffix = (enum ledger_suffix)suffix;
	expect(c, ", \"events\": ");
	d->events = number(c);
	expect(c, ", \"bytes\": ");
	d->bytes = number(c);
	expect(c, ", \"first\": \"");
	d->first_ns = time_ns(c);
	expect(c, ", \"last\": \"");
	d->last_ns = time_ns(c);
	expect(c, ", \"sha256\": \"");
	text = quoted(c, &len);
	expect(c, "}");
	return c->at != NULL && suffix <= LEDGER_ZSTD && len == 64 && ledger_read_sha(text, d->sha256) == 0 &&
	       ledger_day_is_possible(d);
}

int
ledger_days_read(const char *text, size_t len, struct day **ret_days, size_t *ret_n, const char **ret_begin,
                 const char **ret_end)
{
	/* A line feed never stands inside a JSON text, so this cannot be part of one. */
	const char *head = memmem(text, len, HEAD, sizeof(HEAD) - 1), *begin;
	struct cursor c = { NULL, text + len };
	struct day *days = NULL, *more;
	size_t n = 0, size = 0;

	if (head == NULL)
		return -1;
	begin = c.at = head + sizeof(HEAD) - 1;
	do {
		if (n == size) {
			size = size == 0 ? 32 : size * 2;
			more = realloc(days, size * sizeof(*days));
			if (more == NULL)
				break;
			days = more;
		}
		memset(&days[n], 0, sizeof(*days));
		if (!read_line(&c, &days[n]) || (n > 0 && days[n - 1].day_s >= days[n].day_s))
			break;
		n++;
		if (c.at < c.end && *c.at == '}') {
			*ret_days = days;
			*ret_n = n;
			*ret_begin = begin;
			*ret_end = c.at;
			return 0;
		}
		expect(&c, ",");
	} while (c.at != NULL);
	free(days);
	return -1;
}
