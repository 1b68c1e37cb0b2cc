/* http.h: libcurl's multi interface, for many organizations on one thread. The only room that
 * includes curl.
 *
 * An engine is a multi handle with its connections: one a worker thread, used by that thread alone
 * (but for http_wake()). A session is an easy handle with its digest state: one an organization; it
 * may move to another thread's engine between requests, never during one. One request a session at
 * a time.
 * No redirect is ever followed; TLS is always verified; only http and https are spoken, and credentials
 * go over plain http to this machine alone.
 */
#ifndef ORGSYNC_HTTP_HTTP_H
#define ORGSYNC_HTTP_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"

struct http_engine;
struct http_session;

/* Once per process, before the first thread. 0 or -1. Where SIGPIPE has its default action it is ignored
 * from here on: a server that hangs up must not end the process. */
int http_global_init(struct err *e) __attribute__((warn_unused_result));
void http_global_free(void);

struct http_options {
	const char *user_agent;       /* "orgsync/0.1.0" */
	const char *ca_file;          /* NULL: CURL_CA_BUNDLE, SSL_CERT_FILE, the system's bundle */
	const char *proxy;            /* NULL: the usual environment variables. Plain http goes direct,
	                               * but through a proxy named here that is on this machine */
	int64_t connect_timeout_ms;   /* name, TCP, TLS */
	int64_t silence_timeout_ms;   /* no body byte and no whole header line for so long, once the
	                               * request is out */
	int64_t total_timeout_ms;     /* the whole exchange, challenges included */
	size_t body_cap_bytes;        /* of the inflated body */
	size_t header_cap_bytes;      /* of all header lines of one exchange */
	long max_connections;         /* kept open by one engine */
};

/* options are copied. NULL with e filled on failure. */
struct http_engine *http_engine_new(const struct http_options *options, struct err *e);
void http_engine_free(struct http_engine *engine); /* every session must have been taken out; NULL */

struct http_session *http_session_new(void);       /* NULL: no memory */
void http_session_free(struct http_session *s);    /* not while it is in an engine; NULL is fine */
/* Forgets digest state and keeps nothing of earlier requests: the next request starts afresh. */
void http_session_forget(struct http_session *s);

enum http_auth { HTTP_AUTH_NONE, HTTP_AUTH_DIGEST, HTTP_AUTH_BASIC, HTTP_AUTH_BEARER };

struct http_request {
	const char *url;           /* absolute; http or https */
	const char *accept;        /* value of Accept; NULL: any */
	const char *form;          /* NULL: GET; otherwise the body of a POST, x-www-form-urlencoded */
	enum http_auth auth;
	const char *user;          /* digest, basic */
	const char *secret;        /* digest, basic: the password; bearer: the token */
	size_t body_cap_bytes;     /* of the inflated body; 0: the engine's */
	bool fresh;                /* over a new connection: where one that is kept dies under a request,
	                            * libcurl tries the next that is kept, up to five times */
};

/* One answer. Belongs to the session; valid until its next http_start() or its end, the body only until the next
 * http_next() of the engine it was taken from, too.
 * Absent header fields are -1 (numbers) or "" (texts). */
struct http_answer {
	int status;                     /* 0 where err is set */
	struct err err;                 /* transport: ERR_NETWORK, ERR_TIMEOUT, ERR_TLS, ERR_TOO_BIG; its
	                                 * http_status is that of an answer that broke off */
	struct buf *body;               /* inflated, empty where err is set; the reader may change its
	                                 * bytes, or overwrite them with buf_wipe() */
	int64_t date_s;                 /* Date, epoch seconds */
	int64_t retry_after_s;          /* Retry-After in seconds; a date is turned with our wall clock
	                                 * or, where the answer has one, its own Date; never below 0 */
	int64_t ratelimit_limit, ratelimit_remaining;
	char content_type[80];
	char location_host[128];        /* of a redirect, for the message; never followed */
	unsigned exchanges;             /* requests on the wire, challenges included, and what had to be sent
	                                 * again since its connection ended under it */
	unsigned challenges;            /* 401 answers that were answered with credentials */
	int64_t elapsed_ms;
};

/* Begins a request; every text of it is copied. Where the server ends a kept connection under it, and no answer has
 * begun, it goes once more, over a new one. From here until http_next() hands it out the session
 * is in the engine. -1 only for lack of memory or an unusable URL. Never blocks. */
int http_start(struct http_engine *engine, struct http_session *s, const struct http_request *request,
               struct err *e) __attribute__((warn_unused_result));

/* Drives all transfers; waits at most timeout_ms for something to happen (0: not at all), and returns
 * early when http_wake() is called, or was since the last call. */
void http_drive(struct http_engine *engine, int timeout_ms);

/* Takes the next finished session out of the engine: the session, with *ret_answer, or NULL. */
struct http_session *http_next(struct http_engine *engine, struct http_answer **ret_answer);

/* The answer has been read: gives memory back, but for what the engine keeps for the next. */
void http_answer_done(struct http_session *s);

/* Takes an unfinished session out of the engine, breaking its request off. */
void http_cancel(struct http_engine *engine, struct http_session *s);

/* Makes a blocked http_drive() return. The one function that other threads may call. */
void http_wake(struct http_engine *engine);

/* The caller's pointer, carried along. */
void http_session_set_user(struct http_session *s, void *user);
void *http_session_user(const struct http_session *s);

#endif
