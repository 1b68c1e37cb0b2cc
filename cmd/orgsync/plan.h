/* plan.h: what the next sync of one organization would read, why, and a guess of how much.
 * Pure: a ledger and a time in, a list out. Any thread. */
#ifndef ORGSYNC_CMD_PLAN_H
#define ORGSYNC_CMD_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/conf/conf.h"
#include "lib/store/ledger.h"

enum plan_why {
	PLAN_NEW,          /* after everything that is covered */
	PLAN_OLDER,        /* before everything that is covered */
	PLAN_LEFT_OPEN,    /* between covered ranges: an interrupted run, or seconds given up */
	PLAN_NARROWER,     /* covered, but asked for fewer event types, or without raw, than now */
	PLAN_PROVISIONAL   /* read too soon after its time: read again within overlap */
};
const char *plan_why_name(enum plan_why why);   /* "older_history", for --json; static */
const char *plan_why_text(enum plan_why why);   /* "older history", for a table; static */

struct plan_range {
	int64_t from_s, to_s;
	enum plan_why why;
	int64_t events_guess;  /* -1: unknown */
	bool joined;           /* it adjoins the next one and is read together with it */
	uint64_t pages_guess;  /* of all ranges read together, in the last of them; 0 in the others */
	bool pages_at_least;   /* a lower bound: the density is unknown */
};

struct plan {
	struct plan_range *ranges;      /* ascending */
	size_t n_ranges;
	int64_t wanted_from_s, wanted_to_s;
	bool first_sync;                /* without a start time: the archive begins with the first sync */
	uint64_t pages_guess;
	bool pages_at_least;
};

/* 0 or -1 (memory). plan_free() afterwards. */
int plan_make(const struct conf_org *org, const struct ledger *ledger, int64_t now_s, struct plan *ret)
	__attribute__((warn_unused_result));
void plan_free(struct plan *p);

/* Events a day around the range, from the day files on record; -1: unknown. */
double plan_density(const struct ledger *ledger, int64_t from_s, int64_t to_s);

#endif
