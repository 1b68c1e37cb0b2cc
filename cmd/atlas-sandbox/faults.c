/* faults.c: drawing faults, and breaking JSON. */
#include "cmd/atlas-sandbox/faults.h"

#include <string.h>

#include "cmd/atlas-sandbox/hash.h"

enum fault
fault_of(const struct settings *set, uint64_t fault_seed, unsigned org, uint64_t question)
{
	double draw = (double)(hash_two(hash_two(fault_seed, org), question) >> 11) * 0x1p-53;

	for (int kind = FAULT_NONE + 1; kind < FAULTS; kind++) {
		if (draw < set->faults[kind])
			return (enum fault)kind;
		draw -= set->faults[kind];
	}
	return FAULT_NONE;
}

size_t
fault_damage(char *bytes, size_t len, uint64_t hash)
{
	if (len < 8)
		return 0;
	switch (hash % 3) {
	case 0: /* the end is missing, and the sizes agree */
		return len / 2 + (hash >> 8) % (len / 2);
	case 1: /* a control character: allowed neither in a string nor between tokens */
		bytes[(hash >> 8) % len] = '\x01';
		return len;
	default: /* one closing bracket too few, one too many of the other kind */
		bytes[len - 1] = ']';
		return len;
	}
}
