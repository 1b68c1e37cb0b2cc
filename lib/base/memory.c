#include "lib/base/memory.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"

static _Thread_local bool was_short;

void *
memory_alloc(size_t size)
{
	void *p = malloc(size);

	if (p == NULL)
		was_short = true;
	return p;
}

void *
memory_calloc(size_t n, size_t size)
{
	void *p = calloc(n, size);

	if (p == NULL)
		was_short = true;
	return p;
}

char *
memory_strdup(const char *text)
{
	size_t len = strlen(text) + 1;
	char *copy = memory_alloc(len);

	return copy == NULL ? NULL : memcpy(copy, text, len);
}

void
memory_free(void *p)
{
	if (p != NULL)
		wipe(p, malloc_usable_size(p));
	free(p);
}

void *
memory_realloc(void *p, size_t size)
{
	size_t len = p == NULL ? 0 : malloc_usable_size(p);
	void *grown;

	/* realloc() itself would leave a copy behind, wherever it is that it moves away from. */
	grown = memory_alloc(size);
	if (grown == NULL)
		return NULL;
	if (len > 0)
		memcpy(grown, p, len < size ? len : size);
	memory_free(p);
	return grown;
}

void
memory_watch(void)
{
	was_short = false;
}

bool
memory_was_short(void)
{
	return was_short;
}
