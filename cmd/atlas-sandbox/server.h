/* server.h: the sockets: libmicrohttpd with two threads. */
#ifndef ATLAS_SANDBOX_SERVER_H
#define ATLAS_SANDBOX_SERVER_H

#include "cmd/atlas-sandbox/sandbox.h"

/* Serves until SIGTERM or SIGINT (which the caller has blocked in every thread). 0, or the exit code. */
int server_run(struct sandbox *sb);

#endif
