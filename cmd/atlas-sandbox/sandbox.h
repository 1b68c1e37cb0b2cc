/* sandbox.h: the whole simulated Atlas: what never changes while it runs (options, organizations) and
 * what does (accounts, nonces, counters), each guarded by its own lock. */
#ifndef ATLAS_SANDBOX_SANDBOX_H
#define ATLAS_SANDBOX_SANDBOX_H

#include <pthread.h>
#include <stdatomic.h>

#include "cmd/atlas-sandbox/model.h"

struct org_rule { char *selector, *text; };  /* --org */

enum header_case { HEADERS_RECORDED, HEADERS_LOWER, HEADERS_UPPER };

enum print_what { PRINT_NOTHING, PRINT_CONFIG, PRINT_IDS, PRINT_EVENTS, PRINT_POISON };

struct options {
	uint64_t seed, fault_seed;
	unsigned n_orgs;
	const char *listen, *port_file, *tls_cert, *tls_key;
	unsigned port;
	struct settings defaults;
	struct org_rule *rules;
	size_t n_rules;
	int64_t skew_s;
	unsigned capacity, refill, period_s;
	bool no_limit_headers, no_limits, no_gzip;
	unsigned prepared_mib;           /* 0: no page is kept */
	enum header_case header_case;
	int64_t nonce_life_s, token_life_s;
	double time_scale;
	bool has_now;
	int64_t now_ms;
	enum print_what print;
	const char *print_org, *secrets_dir, *url, *directory, *backfill_start, *api;
	bool raw;
	int64_t between_from_ms, between_to_ms;
};

#define TOKENS_LIVE_MAX 100
#define TOKENS_KEPT_MAX 200   /* revoked ones too */

/* What changes about one organization. */
struct account {
	pthread_mutex_t lock;            /* guards all below */
	double level[2];                 /* tokens in the buckets: events, organization */
	int64_t level_at_ms[2];          /* of the limits' clock */
	struct { uint64_t serial; int64_t expires_ms; bool revoked; } tokens[TOKENS_KEPT_MAX];
	size_t n_tokens;
	uint64_t questions;              /* for the faults and the changing order */
	uint64_t last_connection;
	uint64_t requests, ok, challenges, unauthorized, limited, minted, connections, violations,
		faults, rows;
	unsigned now_in_flight, max_in_flight;
};

struct nonce;
struct prepared;
struct token_window;

struct sandbox {
	struct options options;
	struct org *orgs;
	struct account *accounts;        /* one an organization, same index */
	size_t n_orgs;
	unsigned *by_org_id, *by_public_key, *by_client_id; /* indexes sorted by that text */
	uint64_t run_key;                /* of nonces and access tokens */
	_Atomic int64_t shift_ms;        /* POST /_sandbox/shift */
	int64_t start_wall_ms, start_mono_ms;
	_Atomic uint64_t connections, redirected;
	pthread_mutex_t nonces_lock;     /* guards nonces and next_nonce */
	struct nonce *nonces;
	uint64_t next_nonce;
	pthread_mutex_t windows_lock;    /* guards windows */
	struct token_window *windows;
	_Atomic uint64_t next_serial;
	struct prepared *prepared;       /* NULL: pages are made anew each time */
};

/* Makes the organizations of the options. 0, or -1 with one line in why. */
int sandbox_init(struct sandbox *sb, const struct options *options, char *why, size_t why_size)
	__attribute__((warn_unused_result));
void sandbox_free(struct sandbox *sb);

/* The simulated wall clock, and the clock of limits, nonces and tokens (which may run faster). */
int64_t sandbox_now_ms(const struct sandbox *sb);
int64_t sandbox_limits_ms(const struct sandbox *sb);

/* The index of an organization, or -1. */
int sandbox_find_org_id(const struct sandbox *sb, const char *text);
int sandbox_find_public_key(const struct sandbox *sb, const char *text);
int sandbox_find_client_id(const struct sandbox *sb, const char *text);
/* By number, name or org_id. */
int sandbox_find(const struct sandbox *sb, const char *text);

/* The kinds of credential an organization has: CREDENTIAL_DIGEST, CREDENTIAL_SERVICE_ACCOUNT. */
unsigned sandbox_credentials(const struct org *org);

#endif
