/* settings.h: how one simulated organization behaves, and the text form of it ("burst=…,late=…").
 *
 * A struct settings is filled before the first thread starts and never changes afterwards.
 */
#ifndef ATLAS_SANDBOX_SETTINGS_H
#define ATLAS_SANDBOX_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum created_form { CREATED_CUT, CREATED_ROUND, CREATED_MS, CREATED_US };
enum row_order { ORDER_STABLE, ORDER_CHANGING };
enum refusal {
	REFUSE_NONE, REFUSE_BAD_KEY, REFUSE_ACCESS_LIST, REFUSE_UNKNOWN, REFUSE_SUSPENDED, REFUSE_ROLE,
	REFUSE_ROLE_401, REFUSE_INACTIVE
};
enum json_style { STYLE_SPACED, STYLE_COMPACT, STYLE_PRETTY };

/* Events that are wrong in one way each; POISON_MALFORMED makes every answer that holds it no JSON. */
enum poison {
	POISON_NONE, POISON_FOREIGN, POISON_NO_ID, POISON_NO_CREATED, POISON_ODD_DATE, POISON_BAD_UTF8,
	POISON_DUPLICATE_KEYS, POISON_PATH_ID, POISON_MALFORMED
};

enum { CREDENTIAL_DIGEST = 1, CREDENTIAL_SERVICE_ACCOUNT = 2, CREDENTIAL_MIXED = 4 };

enum fault {
	FAULT_NONE, FAULT_429, FAULT_500, FAULT_503, FAULT_RESET, FAULT_TRUNCATE, FAULT_MALFORMED,
	FAULT_STALE, FAULT_REDIRECT, FAULT_HANG, FAULT_GATEWAY, FAULT_EMPTY, FAULTS
};

/* Something that happens at one second: a burst of events, or one poisoned event. */
struct special {
	int64_t t0_ms, t1_ms;  /* inside one second */
	uint64_t count;
	enum poison poison;
};

struct settings {
	uint64_t events_min, events_max;
	int64_t from_ms, to_ms;
	double live_per_s;           /* events a second after to_ms */
	double late_share;           /* of all events */
	int64_t late_ms;             /* how long after its time such an event appears */
	enum created_form created;
	enum row_order order;
	enum json_style style;
	unsigned silent_cap;         /* rows a page at most, without saying so; 0: none */
	unsigned event_bytes;        /* every event has a field of so many bytes more; 0: none */
	bool count_wrong;            /* totalCount is off by up to three */
	enum refusal refuse;
	int64_t latency_ms;
	unsigned credentials;        /* CREDENTIAL_… */
	double faults[FAULTS];       /* probability of each */
	struct special *specials;    /* owned */
	size_t n_specials;
};

/* What the program does where nothing is said. Owns nothing. */
void settings_default(struct settings *s);
void settings_free(struct settings *s);

/* Applies "KEY=VALUE[,KEY=VALUE…]". 0, or -1 with one line in why. */
int settings_apply(struct settings *s, const char *text, char *why, size_t why_size)
	__attribute__((warn_unused_result));

/* Applies one key; the command line's own options go through here too. */
int settings_apply_one(struct settings *s, const char *key, const char *value, char *why,
                       size_t why_size) __attribute__((warn_unused_result));

/* Reads an instant (RFC 3339, with a zone) as milliseconds. 0 or -1. */
int parse_iso_ms(const char *text, int64_t *ret_ms) __attribute__((warn_unused_result));
/* Reads a whole number / a number, all of the text. 0 or -1. */
int parse_u64(const char *text, uint64_t max, uint64_t *ret) __attribute__((warn_unused_result));
int parse_double(const char *text, double min, double max, double *ret)
	__attribute__((warn_unused_result));

#endif
