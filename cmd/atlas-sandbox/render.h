/* render.h: an event, and an answer's frame, as JSON text. Pure functions, any thread. */
#ifndef ATLAS_SANDBOX_RENDER_H
#define ATLAS_SANDBOX_RENDER_H

#include <stdbool.h>

#include "cmd/atlas-sandbox/model.h"
#include "lib/base/buf.h"

/* No event in any style takes more bytes, but for those of the setting event-bytes. */
#define RENDER_EVENT_MAX 8192

/* JSON in one of three styles, written into a buffer the caller has made large enough. */
struct json_writer {
	char *at;
	enum json_style style;
	unsigned depth;     /* of the value being written */
	bool first;         /* nothing was written yet in this array or object */
};

/* Appends the event as it stands in a results array that is `depth` deep. 0 or -1 (memory, cap). */
int render_event(struct buf *b, const struct org *org, uint64_t position, bool raw,
                 enum json_style style, unsigned depth)
	__attribute__((warn_unused_result));

/* True where the event is one that an archive can hold: not foreign, not to be quarantined. */
bool render_fileable(const struct org *org, uint64_t position);

/* A whole answer. self, next and previous are URLs; NULL: no such link. */
struct render_page {
	const struct org *org;
	const uint64_t *positions;
	size_t n;
	uint64_t total_count;
	bool raw, envelope;
	enum json_style style;
	const char *self, *next, *previous;
	size_t *ret_rows_at;        /* where in the answer the rows begin; NULL: nobody asks */
};
int render_page(struct buf *b, const struct render_page *page) __attribute__((warn_unused_result));

#endif
