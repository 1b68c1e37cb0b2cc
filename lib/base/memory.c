#include "lib/base/memory.h"

#include <stdlib.h>

static _Thread_local bool was_short;

void *
memory_alloc(size_t size)
{
	void *p = malloc(size);

	if (p == NULL)
		was_short = true;
	return p;
}

void
memory_free(void *p)
{
	free(p);
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
