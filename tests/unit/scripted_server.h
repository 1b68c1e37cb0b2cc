/* scripted_server.h: an HTTP server for tests that sends exactly the bytes it is told to, over real
 * sockets on 127.0.0.1, plain or TLS. A thread a connection; all end with scripted_server_free().
 */
#ifndef ORGSYNC_TESTS_SCRIPTED_SERVER_H
#define ORGSYNC_TESTS_SCRIPTED_SERVER_H

#include <openssl/ssl.h>
#include <stddef.h>

enum scripted_end {
	KEEP,     /* read the next request of this connection */
	CLOSE,    /* close in order */
	RESET,    /* close with a TCP reset */
	HANG      /* send nothing more, keep the connection open */
};

struct scripted_reply {
	const char *bytes;      /* NULL: nothing */
	size_t len;             /* 0: strlen(bytes) */
	enum scripted_end end;
	int pause_ms;           /* between single bytes (a trickle); 0: all at once */
	size_t repeat;          /* send the bytes so often more, until the client hangs up */
};

struct scripted_server;

/* Answers the n-th request (from 0, over all connections, in order of arrival) by calling reply() with
 * its text, header and body. A NULL tls speaks plain http. */
struct scripted_server *scripted_server_new(
	void (*reply)(void *ctx, size_t n, const char *request, struct scripted_reply *ret), void *ctx,
	SSL_CTX *tls);
void scripted_server_free(struct scripted_server *server);

int scripted_server_port(const struct scripted_server *server);
size_t scripted_server_requests(struct scripted_server *server);
size_t scripted_server_connections(struct scripted_server *server);
/* Text of the n-th request; NULL where there was none. Valid until the server ends. */
const char *scripted_server_request(struct scripted_server *server, size_t n);

#endif
