#include "tests/unit/http_world.h"

#include <check.h>
#include <stdio.h>

#include "lib/base/clock.h"

struct http_options
world_options(void)
{
	struct http_options o = {
		.user_agent = "orgsync/test",
		.connect_timeout_ms = 30000,
		.silence_timeout_ms = 30000,
		.total_timeout_ms = 60000,
		.body_cap_bytes = 65536,
		.header_cap_bytes = 8192,
		.max_connections = 8,
	};

	return o;
}

static void
follow_script(void *ctx, size_t n, const char *request, struct scripted_reply *ret)
{
	struct http_world *w = ctx;

	(void)request;
	*ret = w->script[n < w->n_script ? n : w->n_script - 1];
}

void
world_open(struct http_world *w, const struct http_options *options, SSL_CTX *tls,
           void (*reply)(void *ctx, size_t n, const char *request, struct scripted_reply *ret))
{
	struct http_options usual = world_options();
	struct err e = { 0 };

	ck_assert_int_eq(http_global_init(&e), 0);
	w->server = scripted_server_new(reply == NULL ? follow_script : reply, w, tls);
	w->engine = http_engine_new(options == NULL ? &usual : options, &e);
	ck_assert_msg(w->engine != NULL, "%s", e.text);
	w->session = http_session_new();
	ck_assert_ptr_nonnull(w->session);
	snprintf(w->url, sizeof(w->url), "%s://127.0.0.1:%d/x?y=1", tls == NULL ? "http" : "https",
	         scripted_server_port(w->server));
}

void
world_close(struct http_world *w)
{
	http_session_free(w->session);
	http_engine_free(w->engine);
	scripted_server_free(w->server);
	http_global_free();
}

struct http_session *
world_wait(struct http_world *w, struct http_answer **ret_answer)
{
	int64_t end_ms = clock_mono_ms(&clock_system) + 90000;
	struct http_session *s;

	while ((s = http_next(w->engine, ret_answer)) == NULL) {
		ck_assert_msg(clock_mono_ms(&clock_system) < end_ms, "no answer after 90 s");
		http_drive(w->engine, 1000);
	}
	return s;
}

struct http_answer *
world_ask(struct http_world *w, struct http_request request)
{
	struct http_answer *answer = NULL;
	struct err e = { 0 };

	if (request.url == NULL)
		request.url = w->url;
	ck_assert_msg(http_start(w->engine, w->session, &request, &e) == 0, "%s", e.text);
	ck_assert_ptr_eq(world_wait(w, &answer), w->session);
	return answer;
}

struct http_answer *
world_get(struct http_world *w)
{
	struct http_request request = { 0 };

	return world_ask(w, request);
}
