/* response.h: sending a reply over libmicrohttpd. */
#ifndef ATLAS_SANDBOX_RESPONSE_H
#define ATLAS_SANDBOX_RESPONSE_H

#include "cmd/atlas-sandbox/listing.h"
#include "cmd/atlas-sandbox/reply.h"

struct MHD_Connection;

/* Queues the reply; its body is taken. listing (NULL: none) is the body instead, and is taken too: it
 * came from malloc(). 0, or -1: the connection has to be closed. Called from the connection's handler. */
int response_send(struct MHD_Connection *connection, const struct sandbox *sb, struct reply *r,
                  struct listing *listing) __attribute__((warn_unused_result));

/* Whether who asks takes a gzipped answer. Called from the connection's handler. */
bool response_may_be_gzip(struct MHD_Connection *connection);

#endif
