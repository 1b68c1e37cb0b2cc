/* jsongen.h: random JSON for tests: sound documents in every way of writing them, and damage. */
#ifndef ORGSYNC_TESTS_JSONGEN_H
#define ORGSYNC_TESTS_JSONGEN_H

#include "lib/base/buf.h"
#include "lib/base/rng.h"

/* Appends one value of any kind; depth is how much deeper it may nest. */
void jsongen_value(struct rng *r, struct buf *out, int depth);

/* Appends an object like an event: id, created, orgId and others, in any order, now and then missing,
 * twice, escaped, of the wrong kind or unreadable. */
void jsongen_event(struct rng *r, struct buf *out);

/* Appends a string's text, escaped in a random way, between quotes. */
void jsongen_text(struct rng *r, struct buf *out, const char *text, unsigned escape_percent);

/* Does one to three kinds of harm to the bytes (which often leaves them sound). */
void jsongen_damage(struct rng *r, struct buf *b);

#endif
