/* The header of an answer: lib/http/answer.c. The input: a byte (the transfer's result), then lines; one that
 * begins with 0x01 is a piece of the body. (Challenges of HTTP digest are parsed by libcurl, not by us.) */
#include <ctype.h>
#include <string.h>

#include "lib/atlas/client.h"
#include "tests/fuzz/answer.h"
#include "tests/fuzz/fuzz.h"

static bool
is_number(int64_t n)
{
	return n >= -1 && n < INT64_C(1000000000000);
}

static bool
has_control(const char *text)
{
	for (; *text != '\0'; text++)
		if (iscntrl((unsigned char)*text))
			return true;
	return false;
}

static void
check(const struct http_session *s)
{
	const struct http_answer *a = &s->answer;

	MUST(is_number(a->ratelimit_limit) && is_number(a->ratelimit_remaining));
	MUST(a->date_s >= -1 && a->retry_after_s >= -1);
	MUST(memchr(a->content_type, '\0', sizeof(a->content_type)) != NULL && !has_control(a->content_type));
	MUST(a->location_host[0] == '\0');
	MUST(a->challenges <= a->exchanges && a->elapsed_ms >= 0);
	MUST(a->body == &s->body && s->body.len <= ANSWER_BODY_CAP);
	if (!err_is(&a->err)) {
		MUST(a->status >= 200 && a->status <= 999 && s->why == HTTP_BREAK_NONE && !s->in_headers);
		return;
	}
	MUST(a->status == 0 && a->body->len == 0 && fuzz_is_line(a->err.text) && fuzz_is_line(a->err.hint));
	MUST(a->err.retry_after_ms == (a->retry_after_s < 0 ? -1 : a->retry_after_s * 1000));
	if (s->why == HTTP_BREAK_HEADER_CAP || s->why == HTTP_BREAK_BODY_CAP)
		MUST(a->err.code == ERR_TOO_BIG);
}

/* What lib/atlas makes of it must not fail either. */
static void
classify(const struct http_answer *a)
{
	struct atlas_limits limits;
	struct err e;

	if (err_is(&a->err) || a->status == 200)
		return;
	err_clear(&e);
	atlas_classify(a, false, &limits, &e);
	MUST(err_is(&e) && fuzz_is_line(e.text));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const CURLcode results[] = { CURLE_OK, CURLE_OK, CURLE_OK, CURLE_WRITE_ERROR, CURLE_PARTIAL_FILE,
		CURLE_OPERATION_TIMEDOUT, CURLE_OUT_OF_MEMORY, CURLE_PEER_FAILED_VERIFICATION };
	const uint8_t *p = data + 1, *end = data + size, *next;
	struct http_session *s;
	bool goes_on = true;

	if (size == 0)
		return 0;
	s = answer_begin();
	for (; p < end && goes_on; p = next) {
		next = memchr(p, '\n', (size_t)(end - p));
		next = next == NULL ? end : next + 1;
		if (*p == 0x01)
			goes_on = answer_body(s, p + 1, (size_t)(next - p) - 1);
		else
			goes_on = answer_line(s, p, (size_t)(next - p));
	}
	http_answer_end(s, goes_on ? results[data[0] % 8] : CURLE_WRITE_ERROR);
	check(s);
	classify(&s->answer);
	return 0;
}
