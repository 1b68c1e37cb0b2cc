#include "lib/conf/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"

#define CHUNK_BYTES ((size_t)64 * 1024)
#define ALIGNMENT _Alignof(max_align_t)

struct arena_chunk {
	struct arena_chunk *next;
	size_t size_bytes, used_bytes;  /* of bytes[] */
	_Alignas(max_align_t) unsigned char bytes[];
};

void
arena_init(struct arena *a)
{
	a->head = NULL;
}

void
arena_free(struct arena *a)
{
	struct arena_chunk *chunk, *next;

	for (chunk = a->head; chunk != NULL; chunk = next) {
		next = chunk->next;
		wipe(chunk->bytes, chunk->used_bytes);
		free(chunk);
	}
	a->head = NULL;
}

void *
arena_alloc(struct arena *a, size_t size)
{
	struct arena_chunk *chunk = a->head;
	size_t room;
	void *p;

	if (size > SIZE_MAX / 2)
		return NULL;
	size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	if (chunk == NULL || chunk->size_bytes - chunk->used_bytes < size) {
		room = size > CHUNK_BYTES / 4 ? size : CHUNK_BYTES;
		chunk = calloc(1, sizeof(*chunk) + room);
		if (chunk == NULL)
			return NULL;
		chunk->size_bytes = room;
		/* A chunk of one big block goes behind the head, whose rest stays in use. */
		if (room == size && a->head != NULL) {
			chunk->next = a->head->next;
			a->head->next = chunk;
		} else {
			chunk->next = a->head;
			a->head = chunk;
		}
	}
	p = chunk->bytes + chunk->used_bytes;
	chunk->used_bytes += size;
	return p;
}

char *
arena_text(struct arena *a, const char *text, size_t len)
{
	char *copy = arena_alloc(a, len + 1);

	if (copy != NULL && len > 0)
		memcpy(copy, text, len);
	return copy;
}

char *
arena_printf(struct arena *a, const char *format, ...)
{
	va_list args;
	char *text;
	int len;

	va_start(args, format);
	len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (len < 0)
		return NULL;
	text = arena_alloc(a, (size_t)len + 1);
	if (text == NULL)
		return NULL;
	va_start(args, format);
	vsnprintf(text, (size_t)len + 1, format, args);
	va_end(args);
	return text;
}
