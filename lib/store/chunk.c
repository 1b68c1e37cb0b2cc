#include "lib/store/chunk.h"

#include <pthread.h>
#include <stdlib.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct chunk *kept;
static size_t n_kept;

struct chunk *
chunk_new(size_t size)
{
	struct chunk *c = NULL;

	if (size == CHUNK_MAX_BYTES) {
		pthread_mutex_lock(&mutex);
		c = kept;
		if (c != NULL) {
			kept = c->next;
			n_kept--;
		}
		pthread_mutex_unlock(&mutex);
	}
	if (c == NULL)
		c = malloc(sizeof(*c) + size);
	if (c == NULL)
		return NULL;
	c->next = NULL;
	c->used = 0;
	c->size = size;
	return c;
}

/* NULL where it was kept. */
static struct chunk *
keep(struct chunk *c)
{
	if (c->size != CHUNK_MAX_BYTES)
		return c;
	pthread_mutex_lock(&mutex);
	if (n_kept < CHUNKS_KEPT) {
		c->next = kept;
		kept = c;
		n_kept++;
		c = NULL;
	}
	pthread_mutex_unlock(&mutex);
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
