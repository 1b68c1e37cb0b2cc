#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/base/clock.h"
#include "lib/http/private.h"

#define DATE_MAX_S INT64_C(253402300799) /* 9999-12-31: the last that an HTTP date can say */
#define GZIP_OVERHEAD 4096 /* with a 64th of it: what gzip may add to bytes that it cannot make fewer */
#define CHALLENGES_MAX 2 /* one to begin with, one should the nonce expire just then */

/* Empties the fields that belong to one response; a later one (the answer to a challenge) starts anew. */
static void
forget_response(struct http_session *s)
{
	struct http_answer *a = &s->answer;

	a->date_s = a->retry_after_s = a->ratelimit_limit = a->ratelimit_remaining = -1;
	a->content_type[0] = a->location_host[0] = '\0';
	s->retry_after_date_s = -1;
	s->codings = 0;
	buf_reset(&s->body);
}

void
http_answer_begin(struct http_session *s, size_t body_cap_bytes)
{
	memset(&s->answer, 0, sizeof(s->answer));
	err_clear(&s->answer.err);
	s->answer.body = &s->body;
	s->body.cap_bytes = body_cap_bytes;
	forget_response(s);
	s->curl_text[0] = '\0';
	s->started_mono_ms = s->last_byte_mono_ms = http_mono_ms();
	s->started_wall_s = clock_wall_s(&clock_system);
	s->why = HTTP_BREAK_NONE;
	s->header_bytes = 0;
	s->wire_bytes = 0;
	s->sent = s->unanswered = s->in_headers = s->again = false;
	s->status = 0;
	s->responses = s->repeated = 0;
}

/* Digits, then nothing or what a structured field may add ("500;w=60"). -1: no such number. */
static int64_t
read_number(const char *text)
{
	int64_t n = 0;
	size_t i;

	for (i = 0; text[i] >= '0' && text[i] <= '9'; i++) {
		if (i >= 12)
			return -1;
		n = n * 10 + (text[i] - '0');
	}
	if (i == 0 || (text[i] != '\0' && text[i] != ';' && text[i] != ','))
		return -1;
	return n;
}

/* An HTTP date. curl_getdate() takes bare numbers for dates too, so a letter is asked for. */
static int64_t
read_date(const char *text)
{
	time_t t;

	if (!isalpha((unsigned char)text[0]))
		return -1;
	t = curl_getdate(text, NULL);
	return t < 0 || (int64_t)t > DATE_MAX_S ? -1 : (int64_t)t;
}

static void
read_field(struct http_session *s, const char *name, const char *value)
{
	struct http_answer *a = &s->answer;

	if (strcasecmp(name, "date") == 0) {
		a->date_s = read_date(value);
	} else if (strcasecmp(name, "retry-after") == 0) {
		a->retry_after_s = read_number(value);
		s->retry_after_date_s = a->retry_after_s < 0 ? read_date(value) : -1;
	} else if (strcasecmp(name, "ratelimit-limit") == 0) {
		a->ratelimit_limit = read_number(value);
	} else if (strcasecmp(name, "ratelimit-remaining") == 0) {
		a->ratelimit_remaining = read_number(value);
	} else if (strcasecmp(name, "content-type") == 0) {
		snprintf(a->content_type, sizeof(a->content_type), "%s", value);
	}
}

/* Splits "Name: value CRLF" and reads it. Fields that are too long to be one of ours are passed over. */
static void
read_header_line(struct http_session *s, const char *bytes, size_t len)
{
	char line[256], *colon, *value;

	while (len > 0 && isspace((unsigned char)bytes[len - 1]))
		len--;
	if (len == 0 || len >= sizeof(line))
		return;
	memcpy(line, bytes, len);
	line[len] = '\0';
	colon = strchr(line, ':');
	if (colon == NULL)
		return;
	*colon = '\0';
	value = colon + 1;
	while (*value == ' ' || *value == '\t')
		value++;
	for (char *p = value; *p != '\0'; p++)
		if (iscntrl((unsigned char)*p))
			*p = '?';
	read_field(s, line, value);
}

/* The value of the field where the line is of that name, else NULL. */
static const char *
value_of(const char *bytes, size_t len, const char *name_colon)
{
	size_t name_len = strlen(name_colon);

	return len >= name_len && strncasecmp(bytes, name_colon, name_len) == 0 ? bytes + name_len : NULL;
}

static bool
is_token(const char *text, size_t len, const char *token)
{
	return len == strlen(token) && strncasecmp(text, token, len) == 0;
}

/* libcurl undoes every coding it knows, five deep, whatever was asked for: a few bytes of one inside the other
 * keep a processor busy for hours without an output that a cap could see. One gzip is what was asked for. */
static bool
coding_is_odd(struct http_session *s, const char *bytes, size_t len)
{
	const char *content = value_of(bytes, len, "content-encoding:");
	const char *at = content != NULL ? content : value_of(bytes, len, "transfer-encoding:");
	const char *end = bytes + len;
	size_t n;

	while (at != NULL && at < end) {
		if (isspace((unsigned char)*at) || *at == ',') {
			at++;
			continue;
		}
		for (n = 0; at + n < end && at[n] != ',' && !isspace((unsigned char)at[n]); n++)
			continue;
		if (content != NULL && (is_token(at, n, "gzip") || is_token(at, n, "x-gzip")))
			s->codings++;
		else if (!is_token(at, n, "identity") && (content != NULL || !is_token(at, n, "chunked")))
			return true;
		at += n;
	}
	return s->codings > 1;
}

/* "HTTP/1.1 200 OK", "HTTP/2 200": the three digits, or 0. */
static int
read_status_line(const char *bytes, size_t len)
{
	const char *space = memchr(bytes, ' ', len);
	size_t at = space == NULL ? len : (size_t)(space - bytes) + 1;
	int status = 0;

	if (len - at < 3)
		return 0;
	for (size_t i = at; i < at + 3; i++) {
		if (bytes[i] < '0' || bytes[i] > '9')
			return 0;
		status = status * 10 + (bytes[i] - '0');
	}
	return status;
}

size_t
http_on_header(char *bytes, size_t size, size_t n, void *userdata)
{
	struct http_session *s = userdata;
	size_t len = size * n;

	s->last_byte_mono_ms = http_mono_ms();
	s->header_bytes += len; /* over all responses: a flood of "100 Continue" has an end too */
	if (s->header_bytes > s->engine->options.header_cap_bytes) {
		s->why = HTTP_BREAK_HEADER_CAP;
		return 0;
	}
	if (!s->in_headers && len >= 5 && memcmp(bytes, "HTTP/", 5) == 0) {
		if (s->status == 401)
			s->repeated++;
		s->status = read_status_line(bytes, len);
		s->in_headers = true;
		if (s->status >= 200) {
			s->responses++;
			s->unanswered = false;
		}
		/* libcurl answers every challenge that says stale=true, for ever. */
		if (s->status == 401 && s->repeated >= CHALLENGES_MAX) {
			s->why = HTTP_BREAK_CHALLENGES;
			return 0;
		}
		forget_response(s);
	} else if (s->in_headers && (bytes[0] == '\r' || bytes[0] == '\n')) {
		s->in_headers = false;
	} else if (s->in_headers) { /* a trailer after the body counts for nothing */
		if (coding_is_odd(s, bytes, len)) {
			s->why = HTTP_BREAK_CODING;
			return 0;
		}
		read_header_line(s, bytes, len);
	}
	return len;
}

size_t
http_on_body(char *bytes, size_t size, size_t n, void *userdata)
{
	struct http_session *s = userdata;
	size_t len = size * n;

	s->last_byte_mono_ms = http_mono_ms();
	if (buf_append(&s->body, bytes, len) == 0)
		return len;
	s->why = len > s->body.cap_bytes - s->body.len ? HTTP_BREAK_BODY_CAP : HTTP_BREAK_NOMEM;
	return len == 0 ? 1 : 0;
}

/* Bytes on the wire count against the silence even while they inflate to nothing yet, and against the cap even
 * where they never do, or where libcurl reads a body only to be rid of it (that of a challenge). */
int
http_on_progress(void *userdata, curl_off_t dl_total, curl_off_t dl_now, curl_off_t ul_total,
                 curl_off_t ul_now)
{
	struct http_session *s = userdata;

	(void)dl_total;
	(void)ul_total;
	if (dl_now + ul_now != s->wire_bytes) {
		s->wire_bytes = dl_now + ul_now;
		s->last_byte_mono_ms = http_mono_ms();
	}
	if (dl_now <= (curl_off_t)(s->body.cap_bytes + s->body.cap_bytes / 64 + GZIP_OVERHEAD))
		return 0;
	s->why = HTTP_BREAK_BODY_CAP;
	return 1;
}

int
http_on_send(void *userdata, char *primary_ip, char *local_ip, int primary_port, int local_port)
{
	struct http_session *s = userdata;

	(void)primary_ip;
	(void)local_ip;
	(void)primary_port;
	(void)local_port;
	s->sent = s->unanswered = true;
	s->last_byte_mono_ms = http_mono_ms();
	return CURL_PREREQFUNC_OK;
}

/* Host and port of a redirect, for the message alone. */
static void
read_location(struct http_session *s)
{
	char *target = NULL, *host = NULL, *port = NULL;
	CURLU *url;

	if (s->status < 300 || s->status > 399 ||
	    curl_easy_getinfo(s->easy, CURLINFO_REDIRECT_URL, &target) != CURLE_OK || target == NULL)
		return;
	url = curl_url();
	if (url != NULL && curl_url_set(url, CURLUPART_URL, target, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK &&
	    curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK) {
		if (curl_url_get(url, CURLUPART_PORT, &port, 0) != CURLUE_OK)
			port = NULL;
		snprintf(s->answer.location_host, sizeof(s->answer.location_host), "%s%s%s", host,
		         port == NULL ? "" : ":", port == NULL ? "" : port);
	}
	curl_free(host);
	curl_free(port);
	curl_url_cleanup(url);
}

void
http_answer_end(struct http_session *s, CURLcode rc)
{
	struct http_answer *a = &s->answer;
	int64_t since_s;

	a->elapsed_ms = http_mono_ms() - s->started_mono_ms;
	a->exchanges = s->responses + (s->unanswered ? 1 : 0) + (s->again ? 1 : 0);
	a->challenges = s->repeated + (s->unanswered && s->status == 401 ? 1 : 0);
	if (s->retry_after_date_s >= 0) {
		since_s = a->date_s >= 0 ? a->date_s : clock_wall_s(&clock_system);
		a->retry_after_s = s->retry_after_date_s > since_s ? s->retry_after_date_s - since_s : 0;
	}
	/* libcurl takes a connection that closes among the header lines for the end of an empty answer. */
	if (rc == CURLE_OK && (s->in_headers || s->status < 200))
		rc = CURLE_PARTIAL_FILE;
	if (rc == CURLE_OK && s->why == HTTP_BREAK_NONE) {
		a->status = s->status;
		read_location(s);
		return;
	}
	http_failure(s, rc);
	if (s->status >= 200 && !s->unanswered)
		a->err.http_status = s->status; /* it broke off, but had begun */
	if (a->retry_after_s >= 0)
		a->err.retry_after_ms = a->retry_after_s * 1000;
	buf_reset(&s->body);
}
