/* query.h: the parameters of the events endpoint. Pure, any thread. */
#ifndef ATLAS_SANDBOX_QUERY_H
#define ATLAS_SANDBOX_QUERY_H

#include <stdbool.h>
#include <stdint.h>

#include "cmd/atlas-sandbox/types.h"

#define ROWS_DEFAULT 100
#define ROWS_MAX 500

struct query {
	uint64_t page;              /* from 1 */
	unsigned rows;
	bool count, raw, pretty, envelope;
	bool has_types;
	uint64_t types[EVENT_TYPE_WORDS];
	int64_t min_ms, max_ms;     /* INT64_MIN / 4 and INT64_MAX / 4 where absent */
};

struct query_error { const char *code; char detail[200]; char parameter[80]; };

/* Reads what stands after '?' (NULL: nothing). 0; or -1 with what a 400 says. ret->envelope and
 * ret->pretty are set in both cases. */
int query_parse(const char *text, struct query *ret, struct query_error *ret_error)
	__attribute__((warn_unused_result));

/* Decodes %XX and '+' of [text, text + len) into out (room for size bytes with the NUL).
 * Its length, or -1 (too long, bad escape, a NUL inside). */
int query_decode(const char *text, size_t len, char *out, size_t size);

/* Appends the query without pageNum and itemsPerPage, then those two with the given values: the way
 * the real `self` link is written. out holds size bytes. */
void query_link(const char *text, uint64_t page, unsigned rows, char *out, size_t size);

#endif
