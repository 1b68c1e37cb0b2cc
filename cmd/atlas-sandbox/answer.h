/* answer.h: from a request to a reply, knowing nothing of sockets. Any thread; one request is in the
 * hands of one thread at a time. */
#ifndef ATLAS_SANDBOX_ANSWER_H
#define ATLAS_SANDBOX_ANSWER_H

#include "cmd/atlas-sandbox/faults.h"
#include "cmd/atlas-sandbox/query.h"
#include "cmd/atlas-sandbox/reply.h"

/* What the server hands in; all borrowed. Absent headers are NULL. */
struct question {
	const char *method, *uri;        /* the request line's target, undecoded */
	const char *authorization, *accept, *host;
	const char *address;             /* of the client */
	const char *form;                /* a POST's body */
	uint64_t connection;             /* a number that no other connection has */
	bool takes_gzip;
};

enum answer_then { ANSWER_SEND, ANSWER_RESET, ANSWER_HANG };

struct answer {
	struct reply reply;
	enum answer_then then;
	int64_t wait_ms;                 /* before it is finished */
	int in_flight;                   /* index of the account that counts it, or -1 */
	/* What answer_finish() needs of a page still to be made. */
	bool is_page;
	enum fault fault;
	const struct org *org;
	struct query query;
	const char *prefix;
	uint64_t salt;
};

void answer_init(struct answer *a);
void answer_free(struct answer *a, struct sandbox *sb);

/* Judges the request: routes, credentials, limits, faults. */
void answer_begin(struct answer *a, struct sandbox *sb, const struct question *q);
/* After wait_ms: makes the page, where there is one to make. */
void answer_finish(struct answer *a, struct sandbox *sb, const struct question *q);

#endif
