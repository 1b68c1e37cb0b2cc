/* What an answer that is no 200 means: lib/atlas/classify.c. The input: a byte of flags (1: a token request,
 * 2: a Retry-After), two bytes of status, the body. */
#include <stdlib.h>
#include <string.h>

#include "lib/atlas/client.h"
#include "tests/fuzz/fuzz.h"

#define WAIT_MAX_S INT64_C(1000000000)

/* Of the server's own words only what reads like a code or an address may be in a message: none of these
 * is in one of ours. */
static bool
is_ours(const char *text)
{
	return fuzz_is_line(text) && strpbrk(text, "\"\\{}[]<>@=&%$#!?*|") == NULL;
}

static void
check(const struct http_answer *answer, const struct err *e, const struct atlas_limits *l)
{
	MUST(err_is(e) && e->text[0] != '\0' && is_ours(e->text) && is_ours(e->hint));
	MUST(e->http_status == answer->status && e->scope == ERR_SCOPE_ORGANIZATION);
	MUST(l->retry_after_s >= -1 && l->retry_after_s <= WAIT_MAX_S);
	MUST(l->capacity >= -1 && l->capacity <= WAIT_MAX_S && l->refill >= -1 && l->refill <= WAIT_MAX_S);
	MUST(l->refill_period_s >= -1 && l->refill_period_s <= WAIT_MAX_S * 60);
	MUST(e->retry_after_ms == (l->retry_after_s < 0 ? -1 : l->retry_after_s * 1000));
	MUST(answer->retry_after_s < 0 || l->retry_after_s >= 0);
	if (answer->status >= 500 && answer->status <= 599)
		MUST(e->code == ERR_SERVER && e->retry == ERR_RETRY_LATER);
	if (answer->status == 429)
		MUST(e->code == ERR_RATE_LIMITED && e->retry == ERR_RETRY_LATER);
	if (answer->status == 401)
		MUST(e->code == ERR_CREDENTIAL || e->code == ERR_ROLE);
	if (e->retry == ERR_RETRY_OPERATOR) /* then it says what to do */
		MUST(e->hint[0] != '\0');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_answer answer = { .retry_after_s = -1, .date_s = -1 };
	struct atlas_limits limits;
	struct buf body = { 0 };
	struct err e;

	if (size < 3)
		return 0;
	answer.status = (data[1] << 8 | data[2]) % 1000;
	if (data[0] & 2)
		answer.retry_after_s = INT64_C(1) << (data[0] >> 2) % 40;
	body.len = body.size = body.cap_bytes = size - 3;
	body.data = fuzz_copy(data + 3, size - 3);
	answer.body = &body;
	err_clear(&e);
	atlas_classify(&answer, data[0] & 1, &limits, &e);
	check(&answer, &e, &limits);
	free(body.data);
	return 0;
}
