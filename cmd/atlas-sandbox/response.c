/* response.c: from a reply to libmicrohttpd's response: compression, broken bodies, listings, headers. */
#include "cmd/atlas-sandbox/response.h"

#include <ctype.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>

#define GZIP_LEVEL 1
#define GZIP_MIN 256
#define LISTING_BLOCK 65536

bool
response_may_be_gzip(struct MHD_Connection *connection)
{
	const char *p = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Accept-Encoding");

	while (p != NULL && (p = strcasestr(p, "gzip")) != NULL) {
		const char *rest = p + 4 + strspn(p + 4, " ");

		if (strncmp(rest, ";q=0", 4) != 0 || (rest[4] == '.' && rest[5 + strspn(rest + 5, "0")] > '0'))
			return true;
		p = rest;
	}
	return false;
}

/* Replaces the body by its gzip form. False where that fails: the body stays. */
static bool
compress_body(struct buf *body)
{
	z_stream z;
	struct buf out;
	bool ok = false;

	memset(&z, 0, sizeof z);
	if (deflateInit2(&z, GZIP_LEVEL, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return false;
	buf_init(&out, REPLY_BODY_MAX + 65536);
	if (buf_reserve(&out, deflateBound(&z, body->len)) == 0) {
		z.next_in = (unsigned char *)body->data;
		z.avail_in = (unsigned)body->len;
		z.next_out = (unsigned char *)out.data;
		z.avail_out = (unsigned)out.size;
		ok = deflate(&z, Z_FINISH) == Z_STREAM_END;
		out.len = z.total_out;
	}
	deflateEnd(&z);
	if (!ok) {
		buf_free(&out);
		return false;
	}
	buf_free(body);
	*body = out;
	return true;
}

struct truncated { struct buf body; };

/* Hands out half of the body, then breaks the connection. */
static ssize_t
read_truncated(void *cls, uint64_t at, char *out, size_t max)
{
	struct truncated *t = cls;
	size_t end = t->body.len / 2, n;

	if (at >= end)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	n = end - at < max ? end - at : max;
	memcpy(out, t->body.data + at, n);
	return (ssize_t)n;
}

static void
free_truncated(void *cls)
{
	struct truncated *t = cls;

	buf_free(&t->body);
	free(t);
}

struct streamed { struct listing listing; struct buf block; size_t sent; bool ended; };

static ssize_t
read_listing(void *cls, uint64_t at, char *out, size_t max)
{
	struct streamed *s = cls;
	size_t n;

	(void)at;
	if (s->sent == s->block.len) {
		int more;

		if (s->ended)
			return MHD_CONTENT_READER_END_OF_STREAM;
		buf_reset(&s->block);
		s->sent = 0;
		more = listing_some(&s->listing, &s->block, LISTING_BLOCK);
		if (more < 0)
			return MHD_CONTENT_READER_END_WITH_ERROR;
		s->ended = more == 0;
		if (s->block.len == 0)
			return MHD_CONTENT_READER_END_OF_STREAM;
	}
	n = s->block.len - s->sent < max ? s->block.len - s->sent : max;
	memcpy(out, s->block.data + s->sent, n);
	s->sent += n;
	return (ssize_t)n;
}

static void
free_listing(void *cls)
{
	struct streamed *s = cls;

	listing_free(&s->listing);
	buf_free(&s->block);
	free(s);
}

static struct MHD_Response *
listing_response(struct listing *listing)
{
	struct streamed *s = calloc(1, sizeof *s);
	struct MHD_Response *response;

	if (s == NULL) {
		listing_free(listing);
		free(listing);
		return NULL;
	}
	s->listing = *listing;
	free(listing);
	buf_init(&s->block, REPLY_BODY_MAX);
	response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, LISTING_BLOCK, read_listing, s,
	                                             free_listing);
	if (response == NULL)
		free_listing(s);
	return response;
}

static struct MHD_Response *
body_response(struct reply *r)
{
	struct MHD_Response *response;

	if (r->truncate && r->body.len > 1) {
		struct truncated *t = malloc(sizeof *t);

		if (t == NULL)
			return NULL;
		t->body = r->body;
		buf_init(&r->body, REPLY_BODY_MAX);
		response = MHD_create_response_from_callback(t->body.len, 65536, read_truncated, t,
		                                             free_truncated);
		if (response == NULL)
			free_truncated(t);
		return response;
	}
	response = MHD_create_response_from_buffer(r->body.len, r->body.data, MHD_RESPMEM_MUST_FREE);
	if (response != NULL)
		buf_init(&r->body, REPLY_BODY_MAX); /* its memory is the response's now */
	return response;
}

/* Adds a header in the spelling the options ask for. One that cannot be added for lack of memory is one
 * that the client does not see. */
static void
add_header(struct MHD_Response *response, const struct sandbox *sb, const char *name, const char *value)
{
	char spelled[48];
	size_t n = 0;

	for (; name[n] != '\0' && n + 1 < sizeof spelled; n++) {
		unsigned char c = (unsigned char)name[n];

		spelled[n] = (char)(sb->options.header_case == HEADERS_LOWER ? tolower(c)
		                    : sb->options.header_case == HEADERS_UPPER ? toupper(c) : c);
	}
	spelled[n] = '\0';
	(void)MHD_add_response_header(response, spelled, value);
}

static void
add_number(struct MHD_Response *response, const struct sandbox *sb, const char *name, int64_t value)
{
	char text[24];

	if (value < 0)
		return;
	snprintf(text, sizeof text, "%lld", (long long)value);
	add_header(response, sb, name, text);
}

/* Headers as recorded, in the recorded spelling. */
static void
add_headers(struct MHD_Response *response, const struct reply *r, const struct sandbox *sb)
{
	char date[40];
	time_t now = (time_t)(sandbox_now_ms(sb) / 1000 + sb->options.skew_s);
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
	add_header(response, sb, "Date", date);
	add_header(response, sb, "Content-Type", r->content_type);
	add_number(response, sb, "Ratelimit-Limit", r->limit);
	add_number(response, sb, "Ratelimit-Remaining", r->remaining);
	add_number(response, sb, "Retry-After", r->retry_after_s);
	add_header(response, sb, "Referrer-Policy", "strict-origin-when-cross-origin");
	add_header(response, sb, "Server", "mdbws");
	add_header(response, sb, "Strict-Transport-Security", "max-age=31536000; includeSubdomains;");
	add_header(response, sb, "X-Content-Type-Options", "nosniff");
	add_header(response, sb, "X-Frame-Options", "DENY");
	add_header(response, sb, "X-Permitted-Cross-Domain-Policies", "none");
	if (r->java_method != NULL)
		add_header(response, sb, "X-Java-Method", r->java_method);
	if (r->challenge[0] != '\0')
		add_header(response, sb, "WWW-Authenticate", r->challenge);
	if (r->location[0] != '\0')
		add_header(response, sb, "Location", r->location);
	if (r->no_store)
		add_header(response, sb, "Cache-Control", "no-store");
}

int
response_send(struct MHD_Connection *connection, const struct sandbox *sb, struct reply *r,
              struct listing *listing)
{
	bool gzip = r->packed || (listing == NULL && !sb->options.no_gzip && r->body.len >= GZIP_MIN &&
	                          response_may_be_gzip(connection) && compress_body(&r->body));
	struct MHD_Response *response = listing != NULL ? listing_response(listing) : body_response(r);
	int result;

	if (response == NULL)
		return -1;
	add_headers(response, r, sb);
	if (gzip) {
		add_header(response, sb, "Content-Encoding", "gzip");
		add_header(response, sb, "Vary", "Accept-Encoding");
	}
	result = MHD_queue_response(connection, (unsigned)r->status, response) == MHD_YES ? 0 : -1;
	MHD_destroy_response(response);
	return result;
}
