#include "tests/fuzz/answer.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/fuzz/fuzz.h"

static struct http_engine engine = {
	.options = { .header_cap_bytes = ANSWER_HEADER_CAP, .body_cap_bytes = ANSWER_BODY_CAP,
	             .total_timeout_ms = 1000, .silence_timeout_ms = 1000, .connect_timeout_ms = 1000 },
};

static struct http_session *session; /* static: until the end */

static void
end(void)
{
	http_session_free(session);
	http_global_free();
}

struct http_session *
answer_begin(void)
{
	struct err e;

	if (session == NULL) {
		err_clear(&e);
		MUST(http_global_init(&e) == 0);
		session = http_session_new();
		MUST(session != NULL);
		session->easy = curl_easy_init();
		MUST(session->easy != NULL);
		session->engine = &engine;
		snprintf(session->origin, sizeof(session->origin), "cloud.mongodb.com:443");
		atexit(end);
	}
	http_answer_begin(session, ANSWER_BODY_CAP);
	session->sent = session->unanswered = true;
	return session;
}

bool
answer_line(struct http_session *s, const void *bytes, size_t len)
{
	char *line = fuzz_copy(bytes, len);
	size_t taken = http_on_header(line, 1, len, s);

	free(line);
	MUST(taken == len || (taken == 0 && s->why != HTTP_BREAK_NONE));
	return taken == len;
}

bool
answer_body(struct http_session *s, const void *bytes, size_t len)
{
	char *part = fuzz_copy(bytes, len);
	size_t taken = http_on_body(part, 1, len, s);

	free(part);
	MUST(taken == len || s->why != HTTP_BREAK_NONE);
	return taken == len;
}
