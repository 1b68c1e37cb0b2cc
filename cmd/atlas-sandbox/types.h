/* types.h: the names of organization events that are simulated, and which fields each kind carries. */
#ifndef ATLAS_SANDBOX_TYPES_H
#define ATLAS_SANDBOX_TYPES_H

#include <stddef.h>
#include <stdint.h>

enum {
	FIELD_GROUP = 1, FIELD_TEAM = 2, FIELD_TARGET_USER = 4, FIELD_TARGET_KEY = 8,
	FIELD_ACCESS_ENTRY = 16, FIELD_RESOURCE = 32, FIELD_INVOICE = 64, FIELD_CLIENT = 128
};

struct event_type { const char *name; unsigned fields; };

#define EVENT_TYPES 44
#define EVENT_TYPE_WORDS ((EVENT_TYPES + 63) / 64)

extern const struct event_type event_types[EVENT_TYPES];

/* Index of a name, or -1. */
int event_type_find(const char *name, size_t len);

#endif
