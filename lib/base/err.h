/* err.h: what went wrong, how far it reaches, and who can do something about it.
 *
 * An error is a value that its owner keeps; nothing is allocated and nothing is global, so any
 * thread may use any error that no other thread uses. Workers act on code, scope and retry, never
 * on the text. Whoever detects a failure writes the text; whoever decides what to do logs it, once.
 */
#ifndef ORGSYNC_BASE_ERR_H
#define ORGSYNC_BASE_ERR_H

#include <stdbool.h>
#include <stdint.h>

enum err_code {
	ERR_NONE = 0,
	ERR_NOMEM,         /* an allocation failed, or a buffer reached its cap */
	ERR_IO,            /* a file could not be read, written or made durable */
	ERR_USAGE,         /* the command line is wrong */
	ERR_CONFIG,        /* the configuration is wrong */
	ERR_LOCKED,        /* another run holds the organization */
	ERR_LEDGER,        /* a ledger that cannot be trusted: damaged, newer, another organization's */
	ERR_DAMAGE,        /* a day file is not what its ledger says */
	ERR_NETWORK,       /* no answer: name, connection, TLS handshake, broken transfer */
	ERR_TIMEOUT,       /* no answer in time */
	ERR_TLS,           /* the server could not prove who it is */
	ERR_RATE_LIMITED,  /* 429 */
	ERR_SERVER,        /* 5xx, or an answer that is none of Atlas's */
	ERR_CREDENTIAL,    /* the key or client is refused */
	ERR_ROLE,          /* the key works, but not for this organization */
	ERR_ACCESS_LIST,   /* our address is not on the key's access list */
	ERR_TENANT,        /* the organization itself: suspended, inactive */
	ERR_ORG_UNKNOWN,   /* no such organization */
	ERR_REQUEST,       /* the server calls our question wrong */
	ERR_REDIRECT,      /* a redirect, which is never followed */
	ERR_PAGE,          /* the answer is not sound JSON of the expected shape */
	ERR_TOO_BIG,       /* an answer over its size cap */
	ERR_FOREIGN_EVENT, /* an event of another organization in the answer */
	ERR_UNSTABLE,      /* seconds that could not be read the same way often enough */
	ERR_SECRET,        /* a secret that cannot be had, or is kept where others can read it */
	ERR_STOPPED,       /* a signal or the deadline ended the work */
	ERR_CODES
};

enum err_scope {       /* how much of the work the failure ends */
	ERR_SCOPE_NONE = 0,
	ERR_SCOPE_EVENT,
	ERR_SCOPE_PAGE,
	ERR_SCOPE_ORGANIZATION,
	ERR_SCOPE_RUN
};

enum err_retry {       /* what may help */
	ERR_RETRY_NEVER = 0, /* nothing in this run */
	ERR_RETRY_NOW,       /* the same again at once */
	ERR_RETRY_LATER,     /* the same again after a pause: retry_after_ms, or the caller's backoff */
	ERR_RETRY_OPERATOR   /* a person has to change something: see hint */
};

struct err {
	enum err_code code;
	enum err_scope scope;
	enum err_retry retry;
	int64_t retry_after_ms; /* >= 0: what the server asked for; -1: it said nothing */
	int http_status;        /* 0 where there was no answer; what began and broke off has one */
	char text[400];         /* what happened, one line, no secret */
	char hint[240];         /* what to do about it, one line, or "" */
};

/* Makes e say that nothing is wrong. */
void err_clear(struct err *e);

/* True where e says that something is wrong. */
static inline bool err_is(const struct err *e) { return e->code != ERR_NONE; }

/* Fills e. The text is made one line of UTF-8: '?' stands for control characters and for bytes that are
 * none; what does not fit is cut off. Where e already holds a failure nothing changes: the first
 * failure's text wins. e may be NULL (the caller does not want to know). Always returns -1, so that a
 * function can end with `return err_set(…)`. */
int err_set(struct err *e, enum err_code code, enum err_scope scope, enum err_retry retry,
            const char *format, ...) __attribute__((format(printf, 5, 6)));

/* As err_set() with scope organization, retry operator and ": strerror(errno_value)" at the end;
 * the code is ERR_NOMEM for ENOMEM, ERR_IO otherwise. Where a disk is full the hint says so too. */
int err_set_errno(struct err *e, int errno_value, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Sets the hint of a failure; nothing where e is NULL or holds no failure or has a hint. */
void err_hint(struct err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The code's name in lower case with '_', as records and --json carry it: "rate_limited". Static. */
const char *err_code_name(enum err_code code);

/* True where the failure is a refused or unsafe credential (exit code 12 counts these). */
bool err_is_credential(enum err_code code);

#endif
