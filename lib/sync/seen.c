#include "lib/sync/seen.h"

#include <stdlib.h>
#include <string.h>

void
seen_init(struct seen *s)
{
	memset(s, 0, sizeof(*s));
	s->pass = 1;
}

void
seen_free(struct seen *s)
{
	free(s->slots);
	seen_init(s);
}

void
seen_reset(struct seen *s)
{
	if (s->slots != NULL)
		memset(s->slots, 0, s->size * sizeof(*s->slots));
	s->used = 0;
	s->pass = 1;
	s->rows = s->distinct = s->before = 0;
}

void
seen_next_pass(struct seen *s)
{
	s->before = s->used;
	s->pass++;
	s->rows = s->distinct = 0;
}

/* FNV-1a, finished by a multiply-and-shift so that the low bits depend on every byte. */
static uint64_t
hash_id(const char *id, size_t len)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)id[i]) * UINT64_C(0x100000001b3);
	h ^= h >> 32;
	h *= UINT64_C(0x9e3779b97f4a7c15);
	return h ^ (h >> 29);
}

static struct seen_slot *
find(struct seen_slot *slots, size_t size, uint64_t hash)
{
	size_t at = hash & (size - 1);

	while (slots[at].pass != 0 && slots[at].hash != hash)
		at = (at + 1) & (size - 1);
	return &slots[at];
}

static int
grow(struct seen *s)
{
	size_t size = s->size == 0 ? 1024 : s->size * 2;
	struct seen_slot *slots = calloc(size, sizeof(*slots));

	if (slots == NULL)
		return -1;
	for (size_t i = 0; i < s->size; i++)
		if (s->slots[i].pass != 0)
			*find(slots, size, s->slots[i].hash) = s->slots[i];
	free(s->slots);
	s->slots = slots;
	s->size = size;
	return 0;
}

int
seen_add(struct seen *s, const char *id, size_t id_len)
{
	uint64_t hash = hash_id(id, id_len);
	struct seen_slot *slot;

	if (s->used * 2 >= s->size && grow(s) != 0)
		return -1;
	slot = find(s->slots, s->size, hash);
	if (slot->pass == 0)
		s->used++;
	if (slot->pass != s->pass)
		s->distinct++;
	slot->hash = hash;
	slot->pass = s->pass;
	s->rows++;
	return 0;
}
