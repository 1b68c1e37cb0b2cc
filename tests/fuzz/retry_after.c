/* Retry-After: lib/http/answer.c and lib/atlas/classify.c. The input: the field's value, a line end, the value
 * of Date. What it must mean is read once more here, in another way. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/atlas/client.h"
#include "tests/fuzz/answer.h"
#include "tests/fuzz/fuzz.h"

#define WAIT_MAX_S INT64_C(1000000000)

static void
send_field(struct http_session *s, const char *name, const uint8_t *value, size_t len)
{
	char line[300];
	int n = snprintf(line, sizeof(line), "%s", name);

	if (len > 200)
		len = 200;
	memcpy(line + n, value, len);
	memcpy(line + n + len, "\r\n", 2);
	MUST(answer_line(s, line, (size_t)n + len + 2));
}

/* The whole seconds that the value is, or -1. */
static int64_t
seconds_of(const uint8_t *value, size_t len)
{
	char text[201] = "", *end;
	size_t digits;

	memcpy(text, value, len < 200 ? len : 200);
	end = text + strlen(text);
	while (end > text && strchr(" \t\r\n\v\f", end[-1]) != NULL)
		*--end = '\0';
	end = text + strspn(text, " \t");
	digits = strspn(end, "0123456789");
	if (digits == 0 || digits > 12 || strchr(";,", end[digits]) == NULL)
		return -1;
	return strtoll(end, NULL, 10);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *nl = size == 0 ? NULL : memchr(data, '\n', size);
	size_t len = nl == NULL ? size : (size_t)(nl - data);
	struct http_session *s = answer_begin();
	struct http_answer *a = &s->answer;
	struct atlas_limits limits;
	int64_t seconds;
	struct err e;

	MUST(answer_line(s, "HTTP/1.1 429 Too Many\r\n", 23));
	send_field(s, "Retry-After: ", data, len);
	if (nl != NULL)
		send_field(s, "Date: ", nl + 1, size - len - 1);
	MUST(answer_line(s, "\r\n", 2));
	http_answer_end(s, CURLE_OK);
	MUST(a->status == 429 && a->retry_after_s >= -1 && a->date_s >= -1);
	seconds = memchr(data, '\0', len) == NULL ? seconds_of(data, len) : -1;
	if (seconds >= 0)
		MUST(a->retry_after_s == seconds);
	else if (s->retry_after_date_s >= 0 && a->date_s >= 0)
		MUST(a->retry_after_s == (s->retry_after_date_s > a->date_s ? s->retry_after_date_s - a->date_s : 0));
	err_clear(&e);
	atlas_classify(a, false, &limits, &e);
	seconds = a->retry_after_s < WAIT_MAX_S ? a->retry_after_s : WAIT_MAX_S;
	MUST(limits.retry_after_s == seconds && e.retry_after_ms == (seconds < 0 ? -1 : seconds * 1000));
	MUST(e.code == ERR_RATE_LIMITED && e.retry == ERR_RETRY_LATER);
	return 0;
}
