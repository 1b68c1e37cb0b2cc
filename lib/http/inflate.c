/* inflate.c: a gzipped answer, inflated whole and at once.
 *
 * libcurl would do it piece by piece with zlib, as the bytes come, for three times the CPU (docs/PERFORMANCE.md,
 * row "cpu"). Here the packed bytes are kept until the answer is handed out; then there is one inflated body for
 * each engine and not one for each answer that waits.
 */
#include <libdeflate.h>
#include <string.h>

#include "lib/http/private.h"

#define ROOM_MIN 65536
#define GROWTH 4
#define GZIP_MEMBER_MIN 18          /* header and trailer: RFC 1952, 2.3 */
#define DEFLATE_RATIO_MAX 1032      /* 258 bytes of two bits */

int
http_inflater_init(struct http_engine *engine)
{
	engine->inflater = libdeflate_alloc_decompressor();
	return engine->inflater == NULL ? -1 : 0;
}

void
http_inflater_free(struct http_engine *engine)
{
	if (engine->inflater != NULL)
		libdeflate_free_decompressor(engine->inflater);
	buf_free(&engine->inflated);
}

/* How much the last member says that it holds (RFC 1952: modulo 2^32), where that can be. Only a guess: there may
 * be several members, and a server may say anything. */
static size_t
guess_bytes(const unsigned char *packed, size_t len)
{
	const unsigned char *size;
	size_t said;

	if (len < GZIP_MEMBER_MIN)
		return ROOM_MIN;
	size = packed + len - 4;
	said = (size_t)size[0] | (size_t)size[1] << 8 | (size_t)size[2] << 16 | (size_t)size[3] << 24;
	return said < ROOM_MIN || said / DEFLATE_RATIO_MAX > len ? ROOM_MIN : said;
}

/* The same members again and again with more room, until they fit or the cap is reached. */
static enum http_break
inflate(struct libdeflate_decompressor *d, const struct buf *packed, struct buf *out)
{
	const unsigned char *at = (const unsigned char *)packed->data;
	size_t left = packed->len, room = guess_bytes(at, left), used, got;

	while (left > 0) {
		if (room > out->cap_bytes - out->len)
			room = out->cap_bytes - out->len;
		if (buf_reserve(out, room) != 0)
			return HTTP_BREAK_NOMEM;
		switch (libdeflate_gzip_decompress_ex(d, at, left, out->data + out->len, room, &used, &got)) {
		case LIBDEFLATE_SUCCESS:
			out->len += got;
			at += used;
			left -= used;
			break;
		case LIBDEFLATE_INSUFFICIENT_SPACE:
			if (room == out->cap_bytes - out->len)
				return HTTP_BREAK_BODY_CAP;
			room = room > out->cap_bytes / GROWTH ? out->cap_bytes : room * GROWTH;
			break;
		default:
			return HTTP_BREAK_GZIP;
		}
	}
	return HTTP_BREAK_NONE;
}

void
http_answer_inflate(struct http_session *s)
{
	struct http_engine *engine = s->engine;
	struct http_answer *a = &s->answer;
	struct buf *out = &engine->inflated;

	if (s->codings == 0 || err_is(&a->err) || s->body.len == 0)
		return;
	if (out->size > s->body.cap_bytes)
		buf_free(out);
	buf_reset(out);
	out->cap_bytes = s->body.cap_bytes;
	s->why = inflate(engine->inflater, &s->body, out);
	if (s->private_body)
		buf_wipe(&s->body);
	else
		buf_free(&s->body);
	if (s->why == HTTP_BREAK_NONE) {
		a->body = out;
		return;
	}
	if (s->private_body)
		buf_wipe(out);
	else
		buf_free(out); /* it may be as large as an answer may be */
	a->status = 0;
	http_failure(s, CURLE_OK);
	a->err.http_status = s->status;
}
