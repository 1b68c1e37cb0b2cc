/* tenant.h: one organization's work as a job: what it wants next, and what came of it. Puts together the
 * client (lib/atlas), the reading (lib/sync), the archive (lib/store) and the limits (bucket.h); knows no
 * threads. It is in the hands of one thread at a time.
 */
#ifndef ORGSYNC_WORKERS_TENANT_H
#define ORGSYNC_WORKERS_TENANT_H

#include "lib/atlas/client.h"
#include "lib/base/rng.h"
#include "workers/bucket.h"
#include "workers/memory.h"
#include "workers/outage.h"
#include "workers/queue.h"
#include "workers/run.h"

struct tenant;

/* options and result are borrowed and outlive the tenant; result is filled as the work goes on. memory: the
 * plan of the run, of which the sizes are read here. NULL: no memory. */
struct tenant *tenant_new(const struct run_options *options, const struct conf_org *org, uint64_t seed,
                          const struct memory *memory, struct run_result *result);
void tenant_free(struct tenant *t); /* gives the archive's lock back; NULL is fine */

enum tenant_want {
	TENANT_DISK,   /* tenant_disk(): blocks on the disk, or on the operator's secret command */
	TENANT_SEND,   /* tenant_request() when *ret_ready_ms has come, then tenant_take() */
	TENANT_LOCKED, /* another run holds its archive: tenant_disk() when *ret_ready_ms has come */
	TENANT_ENDED   /* the result is whole */
};
/* no_server: nobody knows when the next request goes, since the server answers nobody. Before a wait of more than a few
 * seconds what was read is committed: then TENANT_DISK comes first. */
enum tenant_want tenant_next(struct tenant *t, bool no_server, int64_t *ret_ready_ms, enum lane *ret_lane);

/* How many bytes of memory its events hold, and how many its next answer may have. */
size_t tenant_kept_bytes(const struct tenant *t);
size_t tenant_answer_cap(const struct tenant *t);
/* What it holds is to be written out before it asks anew; nothing where it holds nothing. */
void tenant_flush(struct tenant *t);

/* Nothing where the disk is not wanted. */
void tenant_disk(struct tenant *t);

/* Which request to send, and in which session. -1: nothing is to be sent, ask tenant_next() again. */
int tenant_request(struct tenant *t, struct http_request *ret_request, struct http_session **ret_session);

/* What is known of the server that all organizations share. */
struct tenant_server {
	bool silent;       /* it answers nobody: a failure is not the organization's, and is not counted */
	unsigned outages;  /* what was counted before the last of them is forgotten */
};

/* The answer to it; page is scratch memory of the calling thread's. Returns how many requests went over the
 * wire, and what the answer says of the server. */
unsigned tenant_take(struct tenant *t, struct http_answer *answer, struct page *page,
                     const struct tenant_server *server, enum outage_sign *ret_sign);
/* Why its last answer was none; valid until the next tenant_take(). */
const struct err *tenant_trouble(const struct tenant *t);

/* The request could not be sent at all. */
void tenant_lost(struct tenant *t, const struct err *why);

/* The session its requests go through. */
struct http_session *tenant_session(const struct tenant *t);

/* No more questions: what was read is committed, then it ends. deadline: that is the reason; why: it has
 * failed, for this reason, or NULL. */
void tenant_stop(struct tenant *t, bool deadline, const struct err *why);

#endif
