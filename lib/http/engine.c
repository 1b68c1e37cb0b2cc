#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/memory.h"
#include "lib/http/private.h"

#define BODY_KEPT_BYTES ((size_t)1 << 20) /* of an inflated body, for the next: most pages are half as large */
#define PRIVATE_BODY_BYTES ((size_t)16384)

int64_t
http_mono_ms(void)
{
	return clock_mono_ms(&clock_system);
}

int
http_global_init(struct err *e)
{
	const curl_version_info_data *v;
	struct sigaction old;

	/* It keeps copies of keys and tokens, and frees them as they are. */
	if (curl_global_init_mem(CURL_GLOBAL_DEFAULT, memory_alloc, memory_free, memory_realloc, memory_strdup,
	                         memory_calloc) != 0)
		return err_set(e, ERR_NOMEM, ERR_SCOPE_RUN, ERR_RETRY_OPERATOR,
		               "libcurl cannot be initialized");
	v = curl_version_info(CURLVERSION_NOW);
	if (v->version_num < 0x075500 || (v->features & CURL_VERSION_SSL) == 0) {
		curl_global_cleanup();
		return err_set(e, ERR_IO, ERR_SCOPE_RUN, ERR_RETRY_OPERATOR,
		               "libcurl %s is too old or speaks no TLS: 7.85 with OpenSSL is needed",
		               v->version);
	}
	/* CURLOPT_NOSIGNAL (threads!) leaves SIGPIPE to us, and OpenSSL writes without MSG_NOSIGNAL. */
	if (sigaction(SIGPIPE, NULL, &old) == 0 && old.sa_handler == SIG_DFL)
		signal(SIGPIPE, SIG_IGN);
	return 0;
}

void
http_global_free(void)
{
	curl_global_cleanup();
}

static void
list_add(struct http_list *list, struct http_session *s)
{
	s->prev = list->last;
	s->next = NULL;
	if (list->last != NULL)
		list->last->next = s;
	else
		list->first = s;
	list->last = s;
}

static void
list_remove(struct http_list *list, struct http_session *s)
{
	if (s->prev != NULL)
		s->prev->next = s->next;
	else
		list->first = s->next;
	if (s->next != NULL)
		s->next->prev = s->prev;
	else
		list->last = s->prev;
	s->prev = s->next = NULL;
}

/* The one file of trusted certificates: configured, from the environment, or the system's. NULL where
 * none is found: libcurl's own idea then holds. */
static const char *
find_ca_file(const char *configured)
{
	static const char *const usual[] = {
		"/etc/ssl/certs/ca-certificates.crt", /* Debian, Ubuntu, Arch, Alpine */
		"/etc/pki/tls/certs/ca-bundle.crt",   /* Fedora, RHEL */
		"/etc/ssl/ca-bundle.pem",             /* openSUSE */
		"/etc/ssl/cert.pem",                  /* the BSDs, macOS */
	};
	static const char *const variables[] = { "CURL_CA_BUNDLE", "SSL_CERT_FILE" };
	const char *file;

	if (configured != NULL)
		return configured;
	for (size_t i = 0; i < sizeof(variables) / sizeof(*variables); i++) {
		file = getenv(variables[i]);
		if (file != NULL && *file != '\0')
			return file;
	}
	file = curl_version_info(CURLVERSION_NOW)->cainfo;
	if (file != NULL && access(file, R_OK) == 0)
		return file;
	for (size_t i = 0; i < sizeof(usual) / sizeof(*usual); i++)
		if (access(usual[i], R_OK) == 0)
			return usual[i];
	return NULL;
}

static int
copy_text(char **ret, const char *text, struct err *e)
{
	if (text == NULL)
		return 0;
	*ret = strdup(text);
	return *ret != NULL ? 0 : err_set_errno(e, ENOMEM, "http engine");
}

static bool
proxy_is_near(const char *proxy)
{
	const unsigned flags = CURLU_DEFAULT_SCHEME | CURLU_NON_SUPPORT_SCHEME;
	CURLU *url = proxy != NULL ? curl_url() : NULL;
	char *host = NULL;
	bool near = url != NULL && curl_url_set(url, CURLUPART_URL, proxy, flags) == CURLUE_OK &&
	            curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK && http_is_loopback(host);

	curl_free(host);
	curl_url_cleanup(url);
	return near;
}

struct http_engine *
http_engine_new(const struct http_options *options, struct err *e)
{
	const char *ca_file = find_ca_file(options->ca_file);
	struct http_engine *engine;

	if (ca_file != NULL && access(ca_file, R_OK) != 0) {
		err_set_errno(e, errno, "%s: the file of trusted certificates cannot be read", ca_file);
		err_hint(e, "check ca_file, or SSL_CERT_FILE and CURL_CA_BUNDLE in the environment");
		return NULL;
	}
	engine = calloc(1, sizeof(*engine));
	if (engine == NULL) {
		err_set_errno(e, ENOMEM, "http engine");
		return NULL;
	}
	engine->options = *options;
	engine->check_at_mono_ms = INT64_MAX;
	engine->epoll_fd = engine->wake_fd = -1;
	if (copy_text(&engine->user_agent, options->user_agent, e) != 0 ||
	    copy_text(&engine->ca_file, ca_file, e) != 0 ||
	    copy_text(&engine->proxy, options->proxy, e) != 0)
		goto out;
	engine->options.user_agent = engine->user_agent;
	engine->options.ca_file = engine->ca_file;
	engine->options.proxy = engine->proxy;
	engine->proxy_is_near = proxy_is_near(engine->proxy);
	engine->multi = curl_multi_init();
	if (http_inflater_init(engine) != 0 || engine->multi == NULL ||
	    curl_multi_setopt(engine->multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX) != CURLM_OK ||
	    curl_multi_setopt(engine->multi, CURLMOPT_MAXCONNECTS, options->max_connections) !=
	            CURLM_OK) {
		err_set_errno(e, ENOMEM, "http engine");
		goto out;
	}
	if (http_loop_init(engine) != 0) {
		err_set_errno(e, errno, "http engine");
		goto out;
	}
	return engine;
out:
	http_engine_free(engine);
	return NULL;
}

void
http_engine_free(struct http_engine *engine)
{
	if (engine == NULL)
		return;
	if (engine->multi != NULL)
		curl_multi_cleanup(engine->multi);
	http_loop_free(engine);
	http_inflater_free(engine);
	free(engine->user_agent);
	free(engine->ca_file);
	free(engine->proxy);
	free(engine);
}

static void
take_out(struct http_session *s)
{
	struct http_engine *engine = s->engine;

	if (s->place == HTTP_ACTIVE) {
		curl_multi_remove_handle(engine->multi, s->easy);
		list_remove(&engine->active, s);
		http_session_drop_secrets(s);
	} else if (s->place == HTTP_FINISHED) {
		list_remove(&engine->finished, s);
	}
	s->place = HTTP_OUTSIDE;
	s->engine = NULL;
}

/* The transfer is over, well or not: from the active list to the finished. */
static void
finish(struct http_session *s, CURLcode rc)
{
	struct http_engine *engine = s->engine;

	http_answer_end(s, rc); /* before the handle leaves: it is asked for details */
	take_out(s);
	s->engine = engine;
	s->place = HTTP_FINISHED;
	list_add(&engine->finished, s);
}

int
http_start(struct http_engine *engine, struct http_session *s, const struct http_request *request,
           struct err *e)
{
	size_t cap = request->body_cap_bytes > 0 ? request->body_cap_bytes : engine->options.body_cap_bytes;

	http_session_wipe_body(s);
	s->private_body = request->form != NULL;
	http_answer_begin(s, cap);
	/* All room at once: growth would leave pieces of a token in freed memory. */
	if (s->private_body && buf_reserve(&s->body, cap < PRIVATE_BODY_BYTES ? cap : PRIVATE_BODY_BYTES) != 0)
		return err_set_errno(e, ENOMEM, "http request");
	if (http_session_prepare(s, engine, request, e) != 0) {
		http_session_drop_secrets(s);
		return -1;
	}
	if (curl_multi_add_handle(engine->multi, s->easy) != CURLM_OK) {
		http_session_drop_secrets(s);
		return err_set_errno(e, ENOMEM, "http request");
	}
	s->engine = engine;
	s->place = HTTP_ACTIVE;
	list_add(&engine->active, s);
	engine->check_at_mono_ms = 0;
	return 0;
}

/* When this session is to be given up if nothing comes before. */
static int64_t
deadline_of(const struct http_session *s, const struct http_options *o)
{
	int64_t total = s->started_mono_ms + o->total_timeout_ms;
	int64_t silence = s->last_byte_mono_ms + o->silence_timeout_ms;

	/* Until the request is out, libcurl's own connect timeout holds (it shares the time between the
	 * host's addresses). Both limits are looked at again when the silence could have ended. */
	if (!s->sent)
		silence = http_mono_ms() + o->silence_timeout_ms;
	return silence < total ? silence : total;
}

/* Ends the sessions whose time is over. Bytes that come only move deadlines back, so that between two
 * looks check_at_mono_ms stays a safe lower bound. */
static void
check_deadlines(struct http_engine *engine)
{
	const struct http_options *o = &engine->options;
	int64_t now = http_mono_ms(), deadline, first = INT64_MAX;
	struct http_session *s, *next;

	if (now < engine->check_at_mono_ms)
		return;
	for (s = engine->active.first; s != NULL; s = next) {
		next = s->next;
		deadline = deadline_of(s, o);
		if (deadline <= now) {
			s->why = now >= s->started_mono_ms + o->total_timeout_ms ? HTTP_BREAK_TOTAL :
			                                                           HTTP_BREAK_SILENCE;
			finish(s, CURLE_OPERATION_TIMEDOUT);
		} else if (deadline < first) {
			first = deadline;
		}
	}
	engine->check_at_mono_ms = first;
}

/* A server that ends a connection refuses what comes over it just then. Over HTTP/1 libcurl itself sends that again; over
 * HTTP/2, where a GOAWAY meets all requests of a connection at once, it does not always (7.88: CURLE_HTTP2, or
 * CURLE_SEND_ERROR when it has tried dying connections only). So what went over a connection that was there before, and
 * got no answer but a challenge, is sent once more, over a connection of its own. True where it was. */
static bool
send_again(struct http_session *s, CURLcode rc)
{
	struct http_engine *engine = s->engine;
	long made = 1;

	if (rc != CURLE_HTTP2 && rc != CURLE_SEND_ERROR && rc != CURLE_RECV_ERROR)
		return false;
	if (s->again || s->why != HTTP_BREAK_NONE || s->in_headers ||
	    (s->status != 0 && !(s->status == 401 && s->unanswered)) ||
	    curl_easy_getinfo(s->easy, CURLINFO_NUM_CONNECTS, &made) != CURLE_OK || made > 0 ||
	    curl_easy_setopt(s->easy, CURLOPT_FRESH_CONNECT, 1L) != CURLE_OK ||
	    curl_multi_remove_handle(engine->multi, s->easy) != CURLM_OK)
		return false;
	s->again = true;
	s->sent = s->unanswered = false;
	s->wire_bytes = 0;
	s->curl_text[0] = '\0';
	s->last_byte_mono_ms = http_mono_ms();
	return curl_multi_add_handle(engine->multi, s->easy) == CURLM_OK;
}

static bool
step(struct http_engine *engine, int timeout_ms)
{
	bool woken = http_loop_step(engine, timeout_ms);
	struct http_session *s;
	CURLMsg *message;
	CURLcode rc;
	int left;

	while ((message = curl_multi_info_read(engine->multi, &left)) != NULL) {
		if (message->msg != CURLMSG_DONE ||
		    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &s) != CURLE_OK)
			continue;
		rc = message->data.result; /* the message goes with the handle's place in the multi handle */
		if (!send_again(s, rc))
			finish(s, rc);
	}
	check_deadlines(engine);
	return woken;
}

void
http_drive(struct http_engine *engine, int timeout_ms)
{
	int64_t left_ms;

	if (step(engine, 0) || engine->finished.first != NULL || timeout_ms <= 0)
		return;
	if (engine->check_at_mono_ms != INT64_MAX) {
		left_ms = engine->check_at_mono_ms - http_mono_ms();
		if (left_ms < timeout_ms)
			timeout_ms = left_ms < 1 ? 1 : (int)left_ms;
	}
	(void)step(engine, timeout_ms);
}

struct http_session *
http_next(struct http_engine *engine, struct http_answer **ret_answer)
{
	struct http_session *s = engine->finished.first;

	if (s == NULL)
		return NULL;
	http_answer_inflate(s);
	take_out(s);
	*ret_answer = &s->answer;
	return s;
}

void
http_answer_done(struct http_session *s)
{
	struct buf *body = s->answer.body;

	if (body == &s->body || body->size > BODY_KEPT_BYTES)
		buf_free(body);
	else
		buf_reset(body);
}

void
http_cancel(struct http_engine *engine, struct http_session *s)
{
	if (s->engine == engine)
		take_out(s);
}
