/* model.h: an organization and its events as a pure function of (seed, organization, position).
 *
 * An organization is a list of segments: spans of time with a number of events each. Position p
 * (0 = the oldest) has a stored time in milliseconds that never falls as p grows, so time and
 * position are found from each other by search, and no event is ever stored. Everything here is
 * immutable once built: any thread may call it.
 */
#ifndef ATLAS_SANDBOX_MODEL_H
#define ATLAS_SANDBOX_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cmd/atlas-sandbox/settings.h"

#define ID_LEN 24
#define ID_TEXT_MAX 96
#define POSITIONS_MAX (UINT64_C(1) << 40)  /* of one organization: what an id has room for */

struct segment {
	int64_t t0_ms, t1_ms;   /* [t0, t1) */
	uint64_t first, count;  /* positions */
};

struct poisoned { uint64_t position; enum poison poison; };

struct org {
	unsigned number;            /* from 1 */
	char name[16];              /* org0001 */
	char org_id[ID_LEN + 1];
	char foreign_id[ID_LEN + 1]; /* what a foreign event claims as its organization */
	char public_key[9];
	char private_key[37];
	char client_id[10 + 24 + 1];
	char client_secret[10 + 40 + 1];
	uint64_t key;               /* of every hash of this organization */
	uint64_t id_key;            /* the same for all organizations: ids are unique across them */
	struct settings set;
	struct segment *segments;   /* sorted, disjoint, none empty */
	size_t n_segments;
	uint64_t total;             /* positions, the future ones too */
	struct poisoned *poisoned;
	size_t n_poisoned;
};

/* Sets number, names and credentials. */
void org_identify(struct org *org, uint64_t seed, unsigned number);
/* Builds the segments from org->set. 0, or -1 with one line in why. */
int org_build(struct org *org, uint64_t seed, char *why, size_t why_size)
	__attribute__((warn_unused_result));
void org_free(struct org *org);

/* Stored time of a position below org->total. */
int64_t model_time_ms(const struct org *org, uint64_t position);
/* The first position with a stored time >= t_ms; org->total where there is none. */
uint64_t model_first_at(const struct org *org, int64_t t_ms);
/* The second that `created` shows (or shows the fraction of). */
int64_t model_shown_s(const struct org *org, int64_t t_ms);
/* `created` in microseconds, as shown. */
int64_t model_created_us(const struct org *org, uint64_t position, int64_t t_ms);
enum poison model_poison(const struct org *org, uint64_t position);
/* True where the event exists at now_ms: its time has come and, if it is late, its delay is over. */
bool model_visible(const struct org *org, uint64_t position, int64_t now_ms);
/* The positions [*ret_start, *ret_end) that show the same second as `position`. */
void model_second(const struct org *org, uint64_t position, uint64_t *ret_start, uint64_t *ret_end);
/* Writes the id and a NUL (at most ID_TEXT_MAX bytes). */
void model_id(const struct org *org, uint64_t position, char *out);
/* Hash of an event; which tells its parts apart. */
uint64_t model_hash(const struct org *org, uint64_t position, unsigned which);
/* Index into event_types[] (types.h). */
unsigned model_type(const struct org *org, uint64_t position);

struct filter {
	int64_t min_ms, max_ms;      /* inclusive, on the stored time */
	int64_t now_ms;
	const uint64_t *types;       /* bit set of event types; NULL: all */
};

/* Rows offset .. offset + limit - 1 of the filter's events: newest second first, inside a second by
 * a permutation that depends on salt. Writes at most limit positions; *ret_total (unless NULL) is the
 * number of all rows. */
size_t model_page(const struct org *org, const struct filter *f, uint64_t offset, size_t limit,
                  uint64_t salt, uint64_t *ret_positions, uint64_t *ret_total);

#endif
