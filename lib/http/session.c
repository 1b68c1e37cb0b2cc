#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/http/private.h"

struct http_session *
http_session_new(void)
{
	struct http_session *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	http_answer_begin(s, 0);
	return s;
}

void
http_session_forget(struct http_session *s)
{
	/* A fresh handle is the only sure way: curl_easy_reset() keeps cookies, connections' ids and,
	 * in some versions, the nonce. */
	curl_easy_cleanup(s->easy);
	s->easy = NULL;
}

void
http_session_wipe_body(struct http_session *s)
{
	if (s->private_body)
		wipe(s->body.data, s->body.size);
	s->private_body = false;
}

void
http_session_free(struct http_session *s)
{
	if (s == NULL)
		return;
	http_session_forget(s);
	curl_slist_free_all(s->headers);
	http_session_wipe_body(s);
	buf_free(&s->body);
	free(s);
}

void
http_session_set_user(struct http_session *s, void *user)
{
	s->user = user;
}

void *
http_session_user(const struct http_session *s)
{
	return s->user;
}

/* They are overwritten when they are freed (http_global_init). What libcurl copied from here for a request stays
 * with the handle and its connection until the next request or their end. */
void
http_session_drop_secrets(struct http_session *s)
{
	if (s->easy == NULL)
		return;
	curl_easy_setopt(s->easy, CURLOPT_USERNAME, NULL);
	curl_easy_setopt(s->easy, CURLOPT_PASSWORD, NULL);
	curl_easy_setopt(s->easy, CURLOPT_XOAUTH2_BEARER, NULL);
	curl_easy_setopt(s->easy, CURLOPT_COPYPOSTFIELDS, NULL);
}

bool
http_is_loopback(const char *host)
{
	struct in_addr v4;

	if (strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0)
		return true;
	return inet_pton(AF_INET, host, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127;
}

/* Reads scheme, host and port of the URL; refuses what must not be asked. */
static int
read_url(struct http_session *s, const struct http_request *request, struct err *e)
{
	const unsigned flags = CURLU_DISALLOW_USER;
	char *scheme = NULL, *host = NULL, *port = NULL;
	CURLU *url = curl_url();
	CURLUcode rc;
	int failed = -1;

	if (url == NULL)
		return err_set_errno(e, ENOMEM, "http request");
	rc = curl_url_set(url, CURLUPART_URL, request->url, flags);
	if (rc == CURLUE_OK)
		rc = curl_url_get(url, CURLUPART_SCHEME, &scheme, 0);
	if (rc == CURLUE_OK)
		rc = curl_url_get(url, CURLUPART_HOST, &host, 0);
	if (rc == CURLUE_OK)
		rc = curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT);
	if (rc == CURLUE_OUT_OF_MEMORY) {
		err_set_errno(e, ENOMEM, "http request");
		goto out;
	}
	if (rc != CURLUE_OK || (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)) {
		err_set(e, ERR_CONFIG, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR,
		        "not a URL that can be asked (http or https, a host, no user name)");
		err_hint(e, "check base_url");
		goto out;
	}
	s->plain = strcmp(scheme, "http") == 0;
	snprintf(s->origin, sizeof(s->origin), "%s:%s", host, port);
	if (s->plain && request->auth != HTTP_AUTH_NONE && !http_is_loopback(host)) {
		err_set(e, ERR_CONFIG, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR,
		        "credentials are not sent to %s over plain http", s->origin);
		err_hint(e, "use https in base_url; plain http is for this machine alone");
		goto out;
	}
	failed = 0;
out:
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	curl_url_cleanup(url);
	return failed;
}

#define SET(option, value) (rc = rc != CURLE_OK ? rc : curl_easy_setopt(easy, option, value))

/* What holds for the handle's whole life. */
static CURLcode
set_fixed(CURL *easy, struct http_session *s)
{
	CURLcode rc = CURLE_OK;

	SET(CURLOPT_PRIVATE, s);
	SET(CURLOPT_ERRORBUFFER, s->curl_text);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	SET(CURLOPT_HTTP09_ALLOWED, 0L);
	SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	SET(CURLOPT_TCP_KEEPALIVE, 1L);
#if LIBCURL_VERSION_NUM >= 0x075700
	/* Otherwise giving a request up waits for a hung getaddrinfo(), and with it a whole worker. */
	SET(CURLOPT_QUICK_EXIT, 1L);
#endif
	SET(CURLOPT_HEADERFUNCTION, http_on_header);
	SET(CURLOPT_HEADERDATA, s);
	SET(CURLOPT_WRITEFUNCTION, http_on_body);
	SET(CURLOPT_WRITEDATA, s);
	SET(CURLOPT_XFERINFOFUNCTION, http_on_progress);
	SET(CURLOPT_XFERINFODATA, s);
	SET(CURLOPT_NOPROGRESS, 0L);
	SET(CURLOPT_PREREQFUNCTION, http_on_send);
	SET(CURLOPT_PREREQDATA, s);
	return rc;
}

/* What belongs to the engine the session is in now. */
static CURLcode
set_engine(CURL *easy, const struct http_session *s, const struct http_engine *engine)
{
	CURLcode rc = CURLE_OK;

	SET(CURLOPT_USERAGENT, engine->user_agent);
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long)engine->options.connect_timeout_ms);
	if (engine->ca_file != NULL) {
		/* libcurl keeps the parsed bundle in the multi handle only where no CApath is set, and
		 * Debian's has one compiled in: without these NULLs each TLS connection parses the whole
		 * bundle again (36 ms of CPU rather than 0.6; test_http_tls.c measures it). */
		SET(CURLOPT_CAINFO, engine->ca_file);
		SET(CURLOPT_CAPATH, NULL);
		SET(CURLOPT_PROXY_CAINFO, engine->ca_file);
		SET(CURLOPT_PROXY_CAPATH, NULL);
	}
	/* NULL: libcurl reads https_proxy, all_proxy and no_proxy. "": none. Through a proxy https goes in
	 * a tunnel that the proxy cannot read; plain http hands it the credentials, so that it goes through
	 * none but one on this machine that the configuration names. */
	SET(CURLOPT_PROXY, s->plain && !engine->proxy_is_near ? "" : engine->proxy);
	return rc;
}

static CURLcode
set_auth(CURL *easy, const struct http_request *request)
{
	CURLcode rc = CURLE_OK;
	bool bearer = request->auth == HTTP_AUTH_BEARER;
	bool named = request->auth == HTTP_AUTH_DIGEST || request->auth == HTTP_AUTH_BASIC;
	long kind = CURLAUTH_NONE;

	if (request->auth == HTTP_AUTH_DIGEST)
		kind = (long)CURLAUTH_DIGEST;
	else if (request->auth == HTTP_AUTH_BASIC)
		kind = (long)CURLAUTH_BASIC;
	else if (bearer)
		kind = (long)CURLAUTH_BEARER;
	SET(CURLOPT_HTTPAUTH, kind);
	SET(CURLOPT_USERNAME, named ? request->user : NULL);
	SET(CURLOPT_PASSWORD, named ? request->secret : NULL);
	SET(CURLOPT_XOAUTH2_BEARER, bearer ? request->secret : NULL);
	return rc;
}

/* What the request line asks for: path and query, or for a proxy that is to pass the request on, all. */
static const char *
target_of(const struct http_session *s, const struct http_engine *engine, const char *url)
{
	const char *host = strstr(url, "://"), *target;

	if (host == NULL || (s->plain && engine->proxy_is_near))
		return url;
	target = host + 3 + strcspn(host + 3, "/?#");
	return *target == '/' ? target : NULL;
}

static CURLcode
set_request(CURL *easy, struct http_session *s, const struct http_engine *engine,
            const struct http_request *request)
{
	CURLcode rc = CURLE_OK;
	char line[200];
	int len;

	curl_slist_free_all(s->headers);
	s->headers = NULL;
	/* Not CURLOPT_ACCEPT_ENCODING, with which libcurl inflates: inflate.c does that. */
	s->headers = curl_slist_append(NULL, "Accept-Encoding: gzip");
	if (s->headers == NULL)
		return CURLE_OUT_OF_MEMORY;
	if (request->accept != NULL) {
		len = snprintf(line, sizeof(line), "Accept: %s", request->accept);
		if (len < 0 || (size_t)len >= sizeof(line))
			return CURLE_BAD_FUNCTION_ARGUMENT;
		if (curl_slist_append(s->headers, line) == NULL)
			return CURLE_OUT_OF_MEMORY;
	}
	SET(CURLOPT_URL, request->url);
	/* libcurl (7.88) asks without the query where it has no memory for it just then, and says nothing: the
	 * server would answer another question. */
	SET(CURLOPT_REQUEST_TARGET, target_of(s, engine, request->url));
	SET(CURLOPT_FRESH_CONNECT, request->fresh ? 1L : 0L);
	SET(CURLOPT_HTTPHEADER, s->headers);
	if (request->form == NULL) {
		SET(CURLOPT_HTTPGET, 1L);
		return rc;
	}
	SET(CURLOPT_POST, 1L);
	SET(CURLOPT_POSTFIELDSIZE, (long)strlen(request->form));
	SET(CURLOPT_COPYPOSTFIELDS, request->form);
	return rc;
}

#undef SET

int
http_session_prepare(struct http_session *s, struct http_engine *engine,
                     const struct http_request *request, struct err *e)
{
	CURLcode rc = CURLE_OK;

	if (read_url(s, request, e) != 0)
		return -1;
	if (s->easy == NULL) {
		s->easy = curl_easy_init();
		if (s->easy == NULL)
			return err_set_errno(e, ENOMEM, "http request");
		rc = set_fixed(s->easy, s);
	}
	if (rc == CURLE_OK)
		rc = set_engine(s->easy, s, engine);
	if (rc == CURLE_OK)
		rc = set_request(s->easy, s, engine, request);
	if (rc == CURLE_OK)
		rc = set_auth(s->easy, request);
	if (rc == CURLE_OK)
		return 0;
	/* Half an option set is no handle to keep. */
	http_session_forget(s);
	if (rc == CURLE_OUT_OF_MEMORY)
		return err_set_errno(e, ENOMEM, "http request");
	return err_set(e, ERR_CONFIG, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR,
	               "libcurl does not take this request: %s", curl_easy_strerror(rc));
}
