/* signals.h: SIGINT and SIGTERM become "stop": the first drains, the second ends the process at once.
 *
 * Both are blocked in every thread and taken by one thread in sigwait(), so that no handler ever runs in
 * the middle of anything. A second signal is safe too: everything durable is whole at any moment. */
#ifndef ORGSYNC_CMD_SIGNALS_H
#define ORGSYNC_CMD_SIGNALS_H

#include "lib/base/err.h"

/* Blocks them, and ignores SIGPIPE and SIGXFSZ; before the first thread, which inherits it. */
void signals_block(void);

/* Begins the thread. stop(ctx) is called in it, once, at the first signal. 0 or -1. */
int signals_begin(void (*stop)(void *ctx), void *ctx, struct err *e) __attribute__((warn_unused_result));

/* Ends the thread; stop() is not called after it returns. Nothing where none was begun. */
void signals_end(void);

/* The first signal that came, or 0. Any thread. */
int signals_came(void);

#endif
