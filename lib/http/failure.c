#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/http/private.h"

#define LATER ERR_SCOPE_ORGANIZATION, ERR_RETRY_LATER
#define OPERATOR ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR

/* libcurl's own words for this failure, fit for one line: its error buffer, else the code's text.
 * It writes neither credentials nor header lines there. */
static const char *
curl_words(struct http_session *s, CURLcode rc)
{
	if (s->curl_text[0] == '\0')
		return curl_easy_strerror(rc);
	for (char *p = s->curl_text; *p != '\0'; p++)
		if (iscntrl((unsigned char)*p))
			*p = ' ';
	return s->curl_text;
}

static void
fail_connect(struct http_session *s, CURLcode rc)
{
	struct err *e = &s->answer.err;
	long os_errno = 0;
	char words[120];

	curl_easy_getinfo(s->easy, CURLINFO_OS_ERRNO, &os_errno);
	if (os_errno == 0) {
		err_set(e, ERR_NETWORK, LATER, "no answer from %s: %s", s->origin, curl_words(s, rc));
		return;
	}
	snprintf(words, sizeof(words), "%s", strerrordesc_np((int)os_errno));
	words[0] = (char)tolower((unsigned char)words[0]);
	err_set(e, ERR_NETWORK, LATER, "no answer from %s: %s", s->origin, words);
}

static void
fail_timeout(struct http_session *s)
{
	const struct http_options *o = &s->engine->options;
	struct err *e = &s->answer.err;

	if (s->why == HTTP_BREAK_TOTAL && s->sent)
		err_set(e, ERR_TIMEOUT, LATER, "the answer from %s was not complete within %" PRId64 " ms",
		        s->origin, o->total_timeout_ms);
	else if (s->why == HTTP_BREAK_SILENCE)
		err_set(e, ERR_TIMEOUT, LATER, "no answer from %s: nothing came for %" PRId64 " ms",
		        s->origin, o->silence_timeout_ms);
	else
		err_set(e, ERR_TIMEOUT, LATER, "no answer from %s: no connection within %" PRId64 " ms",
		        s->origin, s->why == HTTP_BREAK_TOTAL ? o->total_timeout_ms : o->connect_timeout_ms);
}

/* Limits of ours. True where one of them ended the transfer. */
static bool
fail_limit(struct http_session *s, CURLcode rc)
{
	const struct http_options *o = &s->engine->options;
	struct err *e = &s->answer.err;

	switch (s->why) {
	case HTTP_BREAK_BODY_CAP:
		err_set(e, ERR_TOO_BIG, ERR_SCOPE_PAGE, ERR_RETRY_NOW,
		        "the answer from %s is larger than the %zu bytes it may have", s->origin,
		        s->body.cap_bytes);
		return true;
	case HTTP_BREAK_HEADER_CAP:
		/* No narrower question has a smaller header. */
		err_set(e, ERR_TOO_BIG, LATER,
		        "the header of the answer from %s is larger than the %zu bytes it may have",
		        s->origin, o->header_cap_bytes);
		return true;
	case HTTP_BREAK_NOMEM:
		err_set(e, ERR_NOMEM, LATER, "no memory for the answer from %s", s->origin);
		return true;
	case HTTP_BREAK_CHALLENGES:
		err_set(e, ERR_NETWORK, LATER, "%s asks for credentials again and again", s->origin);
		return true;
	case HTTP_BREAK_CODING:
		err_set(e, ERR_NETWORK, LATER,
		        "the answer from %s comes in an encoding that was not asked for", s->origin);
		err_hint(e, "check what may rewrite answers on the way: a proxy, a firewall");
		return true;
	case HTTP_BREAK_GZIP:
		err_set(e, ERR_NETWORK, LATER, "the answer from %s broke off or is damaged: its gzip is not sound",
		        s->origin);
		return true;
	case HTTP_BREAK_SILENCE:
	case HTTP_BREAK_TOTAL:
		fail_timeout(s);
		return true;
	case HTTP_BREAK_NONE:
		break;
	}
	/* libcurl's own cap on one header line (100 KiB) shows as lack of memory. */
	if (rc == CURLE_OUT_OF_MEMORY && s->sent && (s->unanswered || s->in_headers)) {
		err_set(e, ERR_TOO_BIG, LATER,
		        "a header line of the answer from %s is too long", s->origin);
		return true;
	}
	return false;
}

static bool
fail_proxy(struct http_session *s, CURLcode rc)
{
	struct err *e = &s->answer.err;
	long code = 0;

	if (rc == CURLE_COULDNT_RESOLVE_PROXY) {
		err_set(e, ERR_NETWORK, LATER, "no answer from %s: the proxy's name cannot be resolved",
		        s->origin);
		err_hint(e, "check proxy, or https_proxy in the environment");
		return true;
	}
	if (s->sent || curl_easy_getinfo(s->easy, CURLINFO_HTTP_CONNECTCODE, &code) != CURLE_OK ||
	    code < 300)
		return false;
	err_set(e, ERR_NETWORK, ERR_SCOPE_ORGANIZATION,
	        code >= 500 ? ERR_RETRY_LATER : ERR_RETRY_OPERATOR,
	        "no answer from %s: the proxy refuses the connection with status %ld", s->origin, code);
	err_hint(e, code == 407 ? "give the proxy's user name and password in the proxy's URL" :
	                          "let the proxy pass connections to this host, or go without it");
	return true;
}

static void
fail_tls(struct http_session *s, CURLcode rc)
{
	struct err *e = &s->answer.err;

	err_set(e, ERR_TLS, OPERATOR, "%s could not prove who it is: %s", s->origin, curl_words(s, rc));
	err_hint(e, "check base_url, this machine's clock and its ca-certificates; for a private "
	            "authority name its certificate in ca_file");
}

void
http_failure(struct http_session *s, CURLcode rc)
{
	struct err *e = &s->answer.err;

	if (fail_limit(s, rc) || fail_proxy(s, rc))
		return;
	switch (rc) {
	case CURLE_COULDNT_RESOLVE_HOST:
		err_set(e, ERR_NETWORK, LATER, "no answer from %s: its name cannot be resolved",
		        s->origin);
		break;
	case CURLE_COULDNT_CONNECT:
		fail_connect(s, rc);
		break;
	case CURLE_OPERATION_TIMEDOUT:
		fail_timeout(s);
		break;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CRL_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_INVALIDCERTSTATUS:
	case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
		fail_tls(s, rc);
		break;
	case CURLE_SSL_CONNECT_ERROR:
		err_set(e, ERR_NETWORK, LATER, "no answer from %s: no TLS came about: %s", s->origin,
		        curl_words(s, rc));
		err_hint(e, "check base_url: whether this port speaks https, or what stands before it");
		break;
	case CURLE_OUT_OF_MEMORY:
		err_set(e, ERR_NOMEM, LATER, "no memory for the request to %s", s->origin);
		break;
	case CURLE_PARTIAL_FILE:
	case CURLE_BAD_CONTENT_ENCODING:
		err_set(e, ERR_NETWORK, LATER, "the answer from %s broke off or is damaged: %s", s->origin,
		        curl_words(s, rc));
		break;
	default:
		err_set(e, ERR_NETWORK, LATER, s->responses > 0 ? "the answer from %s broke off: %s" :
		                                                  "no answer from %s: %s",
		        s->origin, curl_words(s, rc));
		break;
	}
}
