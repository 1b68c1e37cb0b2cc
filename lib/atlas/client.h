/* client.h: what one organization asks of Atlas, and what the answers mean.
 *
 * A client is a state machine without input or output: it says which HTTP request comes next and
 * takes the answer; somebody else (workers/) owns the engine and the clock. So a thread may drive any
 * number of clients; one client is in the hands of one thread at a time.
 * Sources: ../docs/ATLAS.md (collected facts, and how sure each is).
 */
#ifndef ORGSYNC_ATLAS_CLIENT_H
#define ORGSYNC_ATLAS_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/atlas/page.h"
#include "lib/base/clock.h"
#include "lib/base/err.h"
#include "lib/http/http.h"

enum atlas_api { ATLAS_API_V2, ATLAS_API_V1_0, ATLAS_API_PUBLIC_V1_0 };

#define ATLAS_PAGE_ROWS_MAX 500  /* itemsPerPage (documentation) */

/* What is fixed for the client's life. All borrowed: they outlive the client. */
struct atlas_options {
	const char *name;              /* the organization's, for messages */
	const char *org_id;
	const char *base_url;          /* "https://cloud.mongodb.com" */
	enum atlas_api api;
	bool service_account;          /* user/secret are client id and secret; else a digest key pair */
	const char *user;
	const char *const *event_types; /* NULL: all */
	size_t n_event_types;
	bool include_raw;
	int tokens_dirfd;              /* private directory for access tokens; -1: not kept */
	const struct clock *clock;
	/* Hands out the secret when it is needed (NUL-terminated, into b, which the client wipes).
	 * 0 or -1 with e filled. May block. */
	int (*read_secret)(void *ctx, struct buf *b, struct err *e);
	void *read_secret_ctx;
};

struct atlas_client;
struct atlas_client *atlas_client_new(const struct atlas_options *options); /* NULL: no memory */
void atlas_client_free(struct atlas_client *c);  /* secrets and tokens are wiped; NULL is fine */

/* A question about events: both dates inclusive, whole seconds. */
struct atlas_question {
	int64_t min_s, max_s;   /* minDate, maxDate */
	unsigned page;          /* pageNum, from 1 */
	unsigned rows;          /* itemsPerPage, 1 .. ATLAS_PAGE_ROWS_MAX */
};

/* Sets what is asked next. A question that was not answered yet is replaced. */
void atlas_ask_events(struct atlas_client *c, const struct atlas_question *question);
/* GET …/orgs/{orgId}: the cheap login test; answered with ATLAS_ANSWERED and no page. */
void atlas_ask_org(struct atlas_client *c);

/* Which request comes next: the token's or the question's own. *ret_token is true for a token request,
 * which has a limit of its own (10 a minute and client id). The texts of *ret_request belong to the
 * client until the next call. *ret_forget: the session's digest state must be forgotten first.
 * 0, or -1 (ERR_SECRET, ERR_NOMEM). May read a kept token from disk (a small file) or a secret. */
int atlas_next(struct atlas_client *c, struct http_request *ret_request, bool *ret_token,
               bool *ret_forget, struct err *e) __attribute__((warn_unused_result));

enum atlas_outcome {
	ATLAS_ASK_AGAIN,  /* call atlas_next() again at once: a token came, or one fresh try is due */
	ATLAS_ANSWERED,   /* events: *ret_page is filled (its spans lead into answer->body) */
	ATLAS_FAILED      /* e says what, how far it reaches and what may help; the question stands, and
	                   * atlas_next() would ask it again */
};

/* Takes the answer to the request of the last atlas_next(). page may be NULL after atlas_ask_org(). */
enum atlas_outcome atlas_take(struct atlas_client *c, struct http_answer *answer, struct page *page,
                              struct err *e) __attribute__((warn_unused_result));

/* What a 429 said of the bucket; fields are -1 where it said nothing. Filled by atlas_take(). */
struct atlas_limits {
	int64_t capacity, refill, refill_period_s;  /* from the 429 body's parameters */
	int64_t retry_after_s;                      /* the larger of header and body */
};
const struct atlas_limits *atlas_client_limits(const struct atlas_client *c);

/* Counted since atlas_client_new(). */
struct atlas_counts { unsigned tokens_minted, questions, malformed; };
const struct atlas_counts *atlas_client_counts(const struct atlas_client *c);

/* Classifies an answer that is no 200, by status first and errorCode second. Fills e (which must hold no
 * failure); for tests too. Of the server's own words only an errorCode and an address that read like such
 * go into the text: a body may quote what it was sent. */
void atlas_classify(const struct http_answer *answer, bool token_request,
                    struct atlas_limits *ret_limits, struct err *e);

#endif
