#include "lib/base/buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
buf_init(struct buf *b, size_t cap_bytes)
{
	memset(b, 0, sizeof(*b));
	b->cap_bytes = cap_bytes;
}

void
buf_free(struct buf *b)
{
	free(b->data);
	buf_init(b, b->cap_bytes);
}

void
buf_wipe(struct buf *b)
{
	wipe(b->data, b->size);
	buf_free(b);
}

void
buf_reset(struct buf *b)
{
	b->len = 0;
}

/* As buf_reserve(), with place for a NUL behind that the cap does not count where `extra` is 1. */
static int
reserve(struct buf *b, size_t len, size_t extra)
{
	size_t want, size;
	char *data;

	if (len > b->cap_bytes || b->len > b->cap_bytes - len || b->len + len >= SIZE_MAX / 2)
		return -1; /* half of SIZE_MAX: no object is larger, and the sums below stay sums */
	want = b->len + len + extra;
	if (want <= b->size)
		return 0;
	size = b->size < 64 ? 64 : b->size;
	while (size < want)
		size += size / 2;
	if (size > b->cap_bytes && want <= b->cap_bytes)
		size = b->cap_bytes;
	else if (size > b->cap_bytes)
		size = want;
	data = realloc(b->data, size);
	if (data == NULL)
		return -1;
	b->data = data;
	b->size = size;
	return 0;
}

int
buf_reserve(struct buf *b, size_t len)
{
	return reserve(b, len, 0);
}

int
buf_append(struct buf *b, const void *bytes, size_t len)
{
	if (buf_reserve(b, len) != 0)
		return -1;
	if (len > 0)
		memcpy(b->data + b->len, bytes, len);
	b->len += len;
	return 0;
}

int
buf_append_str(struct buf *b, const char *text)
{
	return buf_append(b, text, strlen(text));
}

int
buf_printf(struct buf *b, const char *format, ...)
{
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (len < 0 || reserve(b, (size_t)len, 1) != 0)
		return -1;
	va_start(args, format);
	vsnprintf(b->data + b->len, (size_t)len + 1, format, args);
	va_end(args);
	b->len += (size_t)len;
	return 0;
}

char *
buf_str(struct buf *b)
{
	if (reserve(b, 0, 1) != 0)
		return NULL;
	b->data[b->len] = '\0';
	return b->data;
}

void
wipe(void *p, size_t len)
{
	if (len > 0)
		explicit_bzero(p, len);
}
