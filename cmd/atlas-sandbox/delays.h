/* delays.h: connections that wait for a moment, without a thread each. */
#ifndef ATLAS_SANDBOX_DELAYS_H
#define ATLAS_SANDBOX_DELAYS_H

#include <stdint.h>

struct MHD_Connection;
struct delays;

/* Starts the thread that resumes connections. NULL: no memory, no thread. */
struct delays *delays_new(void);
/* Suspends the connection until after_ms have passed. Called from the connection's own handler. */
void delays_suspend(struct delays *d, struct MHD_Connection *connection, int64_t after_ms);
/* Resumes all at once, ends the thread; from then on a suspension lasts no time. */
void delays_stop(struct delays *d);
void delays_free(struct delays *d); /* after delays_stop(), when nothing suspends any more; NULL is fine */

#endif
