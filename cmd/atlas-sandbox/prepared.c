/* prepared.c: a gzip file is head, rows and tail: the first and the last stored as they are, the rows deflated by
 * themselves up to a byte's end (Z_FULL_FLUSH), so that they fit between any two others. RFC 1951, RFC 1952. */
#include "cmd/atlas-sandbox/prepared.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "cmd/atlas-sandbox/hash.h"
#include "cmd/atlas-sandbox/reply.h"

#define SLOTS ((size_t)1 << 16)
#define LEVEL 6
#define STORED_MAX 65535

struct rows {
	struct rows *next;      /* of the same slot */
	unsigned org;
	bool raw;
	enum json_style style;
	uint64_t *positions;
	size_t n;
	unsigned char *packed;
	size_t packed_len, len; /* of the text */
	uint32_t crc;           /* of the text */
};

struct prepared {
	pthread_mutex_t lock;   /* guards slots, bytes and the lists; what a list holds never changes */
	struct rows *slots[SLOTS];
	size_t bytes, cap_bytes;
};

struct prepared *
prepared_new(size_t cap_bytes)
{
	struct prepared *p = calloc(1, sizeof *p);

	if (p == NULL)
		return NULL;
	pthread_mutex_init(&p->lock, NULL);
	p->cap_bytes = cap_bytes;
	return p;
}

static void
rows_free(struct rows *r)
{
	free(r->positions);
	free(r->packed);
	free(r);
}

void
prepared_free(struct prepared *p)
{
	if (p == NULL)
		return;
	for (size_t i = 0; i < SLOTS; i++)
		for (struct rows *r = p->slots[i], *next; r != NULL; r = next) {
			next = r->next;
			rows_free(r);
		}
	pthread_mutex_destroy(&p->lock);
	free(p);
}

static size_t
slot_of(const struct render_page *page)
{
	uint64_t h = hash_two(page->org->number, page->n * 8 + page->raw * 4 + (unsigned)page->style);

	for (size_t i = 0; i < page->n; i++)
		h = (h ^ page->positions[i]) * UINT64_C(0x9e3779b97f4a7c15);
	return (size_t)(hash_mix(h) % SLOTS);
}

static bool
is_of(const struct rows *r, const struct render_page *page)
{
	return r->org == page->org->number && r->raw == page->raw && r->style == page->style && r->n == page->n &&
	       memcmp(r->positions, page->positions, page->n * sizeof *page->positions) == 0;
}

static const struct rows *
find(struct prepared *p, size_t slot, const struct render_page *page)
{
	struct rows *r;

	pthread_mutex_lock(&p->lock);
	for (r = p->slots[slot]; r != NULL && !is_of(r, page); r = r->next)
		;
	pthread_mutex_unlock(&p->lock);
	return r;
}

static int
pack(struct rows *r, const char *text, size_t len)
{
	size_t size;
	z_stream z;
	int rc;

	memset(&z, 0, sizeof z);
	if (deflateInit2(&z, LEVEL, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return -1;
	size = deflateBound(&z, len) + 16;
	r->packed = malloc(size);
	if (r->packed != NULL) {
		z.next_in = (unsigned char *)(uintptr_t)text; /* zlib does not write there */
		z.avail_in = (unsigned)len;
		z.next_out = r->packed;
		z.avail_out = (unsigned)size;
		rc = deflate(&z, Z_FULL_FLUSH);
		r->packed_len = rc == Z_OK && z.avail_in == 0 && z.avail_out > 0 ? z.total_out : 0;
	}
	deflateEnd(&z);
	r->len = len;
	r->crc = (uint32_t)crc32(0, (const unsigned char *)text, (unsigned)len);
	return r->packed != NULL && r->packed_len > 0 ? 0 : -1;
}

/* The rows of the page, rendered and compressed, kept by nobody yet. */
static struct rows *
rows_new(const struct render_page *page, size_t frame_len)
{
	struct rows *r = calloc(1, sizeof *r);
	struct render_page whole = *page;
	size_t at;
	struct buf b;

	buf_init(&b, REPLY_BODY_MAX);
	whole.ret_rows_at = &at;
	if (r == NULL || render_page(&b, &whole) != 0)
		goto out;
	r->org = page->org->number;
	r->raw = page->raw;
	r->style = page->style;
	r->n = page->n;
	r->positions = malloc((page->n + 1) * sizeof *r->positions);
	if (r->positions == NULL || pack(r, b.data + at, b.len - frame_len) != 0)
		goto out;
	memcpy(r->positions, page->positions, page->n * sizeof *r->positions);
	buf_free(&b);
	return r;
out:
	buf_free(&b);
	if (r != NULL)
		rows_free(r);
	return NULL;
}

/* False where there is no room: it is the caller's then. */
static bool
keep(struct prepared *p, size_t slot, struct rows *r)
{
	size_t bytes = sizeof *r + r->n * sizeof *r->positions + r->packed_len;
	bool kept;

	pthread_mutex_lock(&p->lock);
	kept = p->bytes + bytes <= p->cap_bytes;
	if (kept) {
		r->next = p->slots[slot];
		p->slots[slot] = r;
		p->bytes += bytes;
	}
	pthread_mutex_unlock(&p->lock);
	return kept;
}

static void
put_little(unsigned char *out, size_t n, uint64_t value)
{
	for (size_t i = 0; i < n; i++)
		out[i] = (unsigned char)(value >> 8 * i);
}

static int
append_stored(struct buf *b, const char *text, size_t len, bool last)
{
	unsigned char head[5] = { last };

	if (len > STORED_MAX)
		return -1;
	put_little(head + 1, 2, len);
	put_little(head + 3, 2, ~len & 0xffff);
	return buf_append(b, head, sizeof head) != 0 || buf_append(b, text, len) != 0 ? -1 : 0;
}

static int
append(struct buf *b, const struct buf *frame, size_t rows_at, const struct rows *r)
{
	static const unsigned char head[10] = { 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3 };
	const unsigned char *text = (const unsigned char *)frame->data;
	size_t tail_len = frame->len - rows_at;
	unsigned char end[8];
	uLong crc = crc32(0, text, (unsigned)rows_at);

	crc = crc32_combine(crc, r->crc, (z_off_t)r->len);
	crc = crc32(crc, text + rows_at, (unsigned)tail_len);
	put_little(end, 4, crc);
	put_little(end + 4, 4, frame->len + r->len);
	return buf_append(b, head, sizeof head) != 0 || append_stored(b, frame->data, rows_at, false) != 0 ||
	       buf_append(b, r->packed, r->packed_len) != 0 ||
	       append_stored(b, frame->data + rows_at, tail_len, true) != 0 || buf_append(b, end, sizeof end) != 0 ? -1 : 0;
}

int
prepared_page(struct prepared *p, struct buf *b, const struct render_page *page)
{
	struct render_page empty = *page;
	size_t slot = slot_of(page), rows_at;
	const struct rows *r = find(p, slot, page);
	struct rows *made = NULL;
	struct buf frame;
	int rc = -1;

	buf_init(&frame, REPLY_BODY_MAX);
	empty.n = 0;
	empty.ret_rows_at = &rows_at;
	if (render_page(&frame, &empty) != 0)
		goto out;
	if (r == NULL) {
		r = made = rows_new(page, frame.len);
		if (made == NULL)
			goto out;
	}
	rc = append(b, &frame, rows_at, r);
	if (made != NULL && keep(p, slot, made))
		made = NULL;
out:
	if (made != NULL)
		rows_free(made);
	buf_free(&frame);
	return rc;
}
