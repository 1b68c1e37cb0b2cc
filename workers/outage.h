/* outage.h: tells a server that answers nobody from organizations with trouble of their own.
 *
 * Every outcome of a request is noted, with its organization. When the organizations whose failures began
 * after the last answer to anybody are enough of them, it is an outage: nothing is asked but one question
 * at a time, after pauses that grow, until an answer comes or patience ends. An organization that fails
 * while others are answered never counts, however often it fails.
 *
 *   OUTAGE_NONE --enough fail, nobody is answered--> OUTAGE_ON --an answer, to whomever--> OUTAGE_NONE
 *                                                        |
 *                                                        +--patience ends--> OUTAGE_OVER (for good)
 *
 * It cannot hold a run up for ever: in OUTAGE_ON either a probe is out, which ends by the timeouts of the
 * wire, or outage_next_ms() is a time not far away, at which a probe may go or outage_tick() ends it.
 * Times are monotonic milliseconds, passed in. Guarded by its owner's lock; nothing blocks.
 */
#ifndef ORGSYNC_WORKERS_OUTAGE_H
#define ORGSYNC_WORKERS_OUTAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum outage_state { OUTAGE_NONE, OUTAGE_ON, OUTAGE_OVER };

enum outage_sign {          /* what an outcome says of the server */
	OUTAGE_NOTHING,     /* the failure was ours */
	OUTAGE_ANSWERED,    /* it answered, be it a refusal */
	OUTAGE_SILENT,      /* no answer, or that of a server in trouble; it may come back */
	OUTAGE_WRONG        /* not the server that was meant: waiting does not help, where all say so */
};

enum outage_change { OUTAGE_SAME, OUTAGE_BEGINS, OUTAGE_ENDS, OUTAGE_GIVEN_UP };

struct outage {
	enum outage_state state;
	unsigned number;             /* outages so far */
	uint64_t *failing_since;     /* by organization: the epoch in which its failures began; 0: none */
	uint64_t epoch;              /* grows with an answer that ends a row of failures; from 1 */
	size_t failing;              /* organizations whose failures began in this epoch */
	bool silent;                 /* and one of these failures was OUTAGE_SILENT */
	size_t enough;               /* so many are an outage; 0: nothing is */
	int64_t first_pause_ms, patience_ms;
	int64_t since_ms, pause_ms, probe_at_ms;
	bool probing;                /* a question is out */
	size_t prober;               /* whose */
};

/* The state of n organizations. With fewer than three each one's own retries say as much. 0, or -1: no memory. */
int outage_init(struct outage *o, size_t n, int64_t first_pause_ms, int64_t patience_ms)
	__attribute__((warn_unused_result));
void outage_free(struct outage *o);

/* When the next question may go: INT64_MIN where nothing keeps it, INT64_MAX while a probe is out or all is
 * over. */
int64_t outage_next_ms(const struct outage *o);
/* A question of the organization goes out. */
void outage_asked(struct outage *o, size_t org);
/* It came to nothing that could be noted: it was never sent, or broken off. */
void outage_dropped(struct outage *o, size_t org);
/* What came of it. */
enum outage_change outage_note(struct outage *o, size_t org, enum outage_sign sign, int64_t now_ms);
/* To be called now and then: OUTAGE_GIVEN_UP where patience has ended and no probe is out. */
enum outage_change outage_tick(struct outage *o, int64_t now_ms);

#endif
