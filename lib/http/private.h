/* private.h: what the files of lib/http share; no other room includes it.
 *
 * engine.c owns the multi handle and the lists, loop.c what they wait for; session.c an easy handle and its options; answer.c
 * what comes in; inflate.c what came packed; failure.c words for what went wrong.
 */
#ifndef ORGSYNC_HTTP_PRIVATE_H
#define ORGSYNC_HTTP_PRIVATE_H

#include <curl/curl.h>

#include "lib/http/http.h"

struct libdeflate_decompressor;

/* Why we, not libcurl, ended a transfer. */
enum http_break {
	HTTP_BREAK_NONE,
	HTTP_BREAK_BODY_CAP,
	HTTP_BREAK_HEADER_CAP,
	HTTP_BREAK_NOMEM,
	HTTP_BREAK_CHALLENGES,
	HTTP_BREAK_CODING,
	HTTP_BREAK_GZIP,
	HTTP_BREAK_SILENCE,
	HTTP_BREAK_TOTAL
};

enum http_place { HTTP_OUTSIDE, HTTP_ACTIVE, HTTP_FINISHED };

struct http_list { struct http_session *first, *last; };

struct http_engine {
	CURLM *multi;
	struct http_options options; /* texts are our own copies */
	char *user_agent, *ca_file, *proxy;
	bool proxy_is_near;        /* the proxy is configured and on this machine */
	struct http_list active, finished;
	int64_t check_at_mono_ms;    /* no deadline of an active session lies before this */
	int epoll_fd, wake_fd;
	bool blind;                  /* what some transfer waits for is not in the epoll: see loop.c */
	int64_t curl_at_mono_ms;     /* when libcurl wants to be called whatever happens; INT64_MAX: never */
	struct libdeflate_decompressor *inflater;
	struct buf inflated;         /* the body of the answer handed out last, where it came packed */
};

struct http_session {
	CURL *easy;                  /* made at the first request; NULL after http_session_forget() */
	struct curl_slist *headers;
	void *user;
	enum http_place place;
	struct http_engine *engine;  /* NULL where place is HTTP_OUTSIDE */
	struct http_session *prev, *next;

	struct http_answer answer;
	struct buf body;             /* as it comes: packed, where codings is 1 */
	char origin[280];            /* "cloud.mongodb.com:443", for messages */
	char curl_text[CURL_ERROR_SIZE];
	bool plain;                  /* http, not https */
	bool private_body;           /* it may hold an access token: the answer to a form */

	/* the transfer under way */
	int64_t started_mono_ms, last_byte_mono_ms;
	int64_t started_wall_s;
	enum http_break why;
	size_t header_bytes;
	curl_off_t wire_bytes;       /* received and sent, as libcurl counts them */
	bool sent;                   /* the connection stands and a request went out */
	bool unanswered;             /* the last request that went out has no status line yet */
	bool again;                  /* it went over a connection that ended, and once more over another */
	bool in_headers;             /* between a status line and its empty line */
	int status;                  /* of the last status line; below 200: not the answer yet */
	unsigned codings;            /* of this response's body: gzip, or none */
	unsigned responses, repeated; /* final status lines; those 401 that were followed by another */
	int64_t retry_after_date_s;  /* Retry-After where it was a date, or -1 */
};

int64_t http_mono_ms(void);

/* session.c: makes the easy handle where there is none and sets every option of this request. */
int http_session_prepare(struct http_session *s, struct http_engine *engine,
                         const struct http_request *request, struct err *e)
	__attribute__((warn_unused_result));
/* Overwrites the body where it may hold a secret. */
void http_session_wipe_body(struct http_session *s);
/* Takes the secrets out of the handle after a transfer. */
void http_session_drop_secrets(struct http_session *s);

/* answer.c: libcurl's callbacks (userdata: the session), and the answer's beginning and end. */
size_t http_on_header(char *bytes, size_t size, size_t n, void *userdata);
size_t http_on_body(char *bytes, size_t size, size_t n, void *userdata);
int http_on_progress(void *userdata, curl_off_t dl_total, curl_off_t dl_now, curl_off_t ul_total,
                     curl_off_t ul_now);
int http_on_send(void *userdata, char *primary_ip, char *local_ip, int primary_port, int local_port);
void http_answer_begin(struct http_session *s, size_t body_cap_bytes);
void http_answer_end(struct http_session *s, CURLcode rc);

/* loop.c: has libcurl's sockets and timer in an epoll of ours. 0, or -1 with errno; http_loop_free() in any case. */
int http_loop_init(struct http_engine *engine) __attribute__((warn_unused_result));
void http_loop_free(struct http_engine *engine);
/* Waits until something happens, at most so long, and lets libcurl deal with it. True where http_wake() was called. */
bool http_loop_step(struct http_engine *engine, int timeout_ms);

/* inflate.c. 0, or -1 for lack of memory. */
int http_inflater_init(struct http_engine *engine) __attribute__((warn_unused_result));
void http_inflater_free(struct http_engine *engine);
/* Inflates the body of a finished session that is in the engine still, or fails its answer. */
void http_answer_inflate(struct http_session *s);

/* failure.c: fills s->answer.err from the transfer's result (not CURLE_OK, or s->why set). */
void http_failure(struct http_session *s, CURLcode rc);

/* True for localhost and addresses of the loopback range; a v6 address in brackets. */
bool http_is_loopback(const char *host);

#endif
