/* clock.h: time, passed in. Monotonic for waits, wall clock for stamps; tests bring their own.
 * Both functions may be called from any thread and never block. */
#ifndef ORGSYNC_BASE_CLOCK_H
#define ORGSYNC_BASE_CLOCK_H

#include <stdint.h>

struct clock {
	int64_t (*mono_ms)(void *ctx); /* milliseconds since some fixed moment; never goes back */
	int64_t (*wall_ms)(void *ctx); /* milliseconds since 1970-01-01T00:00:00Z; may jump */
	void *ctx;                     /* borrowed */
};

/* The machine's own clocks. */
extern const struct clock clock_system;

static inline int64_t clock_mono_ms(const struct clock *c) { return c->mono_ms(c->ctx); }
static inline int64_t clock_wall_ms(const struct clock *c) { return c->wall_ms(c->ctx); }

/* Whole seconds of the wall clock, rounded down. */
static inline int64_t clock_wall_s(const struct clock *c)
{
	int64_t ms = c->wall_ms(c->ctx);

	return ms / 1000 - (ms % 1000 < 0);
}

#endif
