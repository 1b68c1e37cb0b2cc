#include "lib/store/chunk.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#ifndef __has_feature
#define __has_feature(what) 0 /* clang's way to say it */
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
static const bool keeps = false; /* what is kept cannot be seen to be used after it was freed */
#else
static const bool keeps = true;
#endif

static _Atomic(struct chunk *) kept[CHUNKS_KEPT];

static struct chunk *
take_kept(void)
{
	struct chunk *c = NULL;

	for (size_t i = 0; i < CHUNKS_KEPT && c == NULL; i++)
		c = atomic_exchange(&kept[i], NULL);
	return c;
}

/* NULL where it was kept. */
static struct chunk *
keep(struct chunk *c)
{
	if (!keeps || c->size != CHUNK_MAX_BYTES)
		return c;
	for (size_t i = 0; i < CHUNKS_KEPT; i++) {
		struct chunk *none = NULL;

		if (atomic_compare_exchange_strong(&kept[i], &none, c))
			return NULL;
	}
	return c;
}

struct chunk *
chunk_new(size_t size)
{
	struct chunk *c = size == CHUNK_MAX_BYTES ? take_kept() : NULL;

	if (c == NULL)
		c = malloc(sizeof(*c) + size);
	if (c == NULL)
		return NULL;
	c->next = NULL;
	c->used = 0;
	c->size = size;
	return c;
}

void
chunks_free(struct chunk *first)
{
	for (struct chunk *c = first, *next; c != NULL; c = next) {
		next = c->next;
		free(keep(c));
	}
}
