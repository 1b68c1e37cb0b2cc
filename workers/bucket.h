/* bucket.h: a token bucket that starts at what is documented and follows what the server says.
 *
 * Documentation (2026-04) for organization events: capacity 500, refill 250 every 60 s; figures have changed
 * within a year, and every header may be missing, so all of it is learned. Times are monotonic
 * milliseconds, passed in. One owner at a time; nothing blocks.
 */
#ifndef ORGSYNC_WORKERS_BUCKET_H
#define ORGSYNC_WORKERS_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

struct bucket {
	int64_t capacity;            /* 0: no limit at all */
	int64_t refill, period_ms;   /* `refill` tokens every period_ms, evenly */
	int64_t micro;               /* tokens, in millionths; below 0 after bucket_charge() */
	int64_t at_ms;               /* when micro was right */
	int64_t closed_until_ms;     /* the server asked for silence until then */
	bool told;                   /* a 429 said what the refill is: it is measured no more */
	int64_t mark_ms, mark_remaining, spent; /* measuring the refill: since when (-1: not), from what, sent since */
};

/* A full bucket. capacity 0: bucket_ready_ms() is always now. */
void bucket_init(struct bucket *b, int64_t capacity, int64_t refill, int64_t period_ms, int64_t now_ms);
/* At most so many requests in any minute, evenly spread; 0: no limit. */
void bucket_init_per_minute(struct bucket *b, int64_t requests_per_minute, int64_t now_ms);

/* When the next token is there: now_ms or later. */
int64_t bucket_ready_ms(struct bucket *b, int64_t now_ms);
/* Takes n tokens, whether they are there or not. */
void bucket_charge(struct bucket *b, int64_t n, int64_t now_ms);

/* RateLimit-Limit and RateLimit-Remaining of an answer; -1: absent. From several of them follows what is refilled:
 * what remains, and was sent meanwhile, less what remained before. Others may draw on the same bucket: then it seems
 * less, and what remains is believed all the same.
 * Called for every answer, whether it has them or not: while the request was on its way the server's bucket may have
 * been full and refilled nothing, so that at most capacity - 1 is left when it is answered. */
void bucket_learn_headers(struct bucket *b, int64_t limit, int64_t remaining, int64_t now_ms);
/* A request was charged that the server may not have counted: what is being measured begins anew. */
void bucket_lost(struct bucket *b);
/* A 429: what its body said of the bucket (-1: nothing), and how long to wait. The bucket is empty. */
void bucket_learn_refusal(struct bucket *b, int64_t capacity, int64_t refill, int64_t period_s,
                          int64_t wait_ms, int64_t now_ms);

#endif
