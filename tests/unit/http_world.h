/* http_world.h: one engine, one session and one scripted server, as the tests of lib/http use them. */
#ifndef ORGSYNC_TESTS_HTTP_WORLD_H
#define ORGSYNC_TESTS_HTTP_WORLD_H

#include "lib/http/http.h"
#include "tests/unit/scripted_server.h"

struct http_world {
	struct http_engine *engine;
	struct http_session *session;
	struct scripted_server *server;
	const struct scripted_reply *script; /* the replies in order; the last one stays */
	size_t n_script;
	char url[120];
};

/* Declares the world w with its replies. */
#define SCRIPT(w, ...) \
	static const struct scripted_reply w##_script[] = { __VA_ARGS__ }; \
	struct http_world w = { .script = w##_script, .n_script = sizeof(w##_script) / sizeof(*w##_script) }

/* 30 s to connect and of silence, 60 s in all: a machine under load must not fail a case that is not about
 * time. 64 KiB of body, 8 KiB of header. */
struct http_options world_options(void);

/* options NULL: world_options(). tls NULL: plain. reply NULL: follows w->script, which the caller sets
 * before; everything else is filled here. */
void world_open(struct http_world *w, const struct http_options *options, SSL_CTX *tls,
                void (*reply)(void *ctx, size_t n, const char *request, struct scripted_reply *ret));
void world_close(struct http_world *w);

/* One request, driven to its end. The request's url is w->url where it has none. */
struct http_answer *world_ask(struct http_world *w, struct http_request request);
struct http_answer *world_get(struct http_world *w);

/* Drives until some session is handed out; fails the test after 90 s. */
struct http_session *world_wait(struct http_world *w, struct http_answer **ret_answer);

#endif
