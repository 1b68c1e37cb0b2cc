#include "tests/unit/scripted_server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS_MAX 512
#define REQUESTS_MAX 1024
#define REQUEST_SIZE 8192

struct scripted_server {
	pthread_mutex_t lock;    /* guards the counters and requests[] */
	size_t n_connections, n_requests;
	char *requests[REQUESTS_MAX];

	void (*reply)(void *ctx, size_t n, const char *request, struct scripted_reply *ret);
	void *ctx;
	SSL_CTX *tls;
	int listen_fd, port;
	int stop_pipe[2];        /* readable at the other end's close: every thread leaves */
	pthread_t acceptor, threads[CONNECTIONS_MAX];
};

struct connection {
	struct scripted_server *server;
	int fd;
	SSL *ssl;
};

static void
die(const char *what)
{
	perror(what);
	abort();
}

/* Waits until fd is readable. False where the server is to stop, or after timeout_ms (-1: none). */
static bool
readable(struct scripted_server *server, int fd, int timeout_ms)
{
	struct pollfd p[2] = { { fd, POLLIN, 0 }, { server->stop_pipe[0], POLLIN, 0 } };

	return poll(p, 2, timeout_ms) > 0 && p[1].revents == 0;
}

static ssize_t
receive(struct connection *c, char *bytes, size_t len)
{
	if (c->ssl != NULL && SSL_pending(c->ssl) > 0)
		return SSL_read(c->ssl, bytes, (int)len);
	if (!readable(c->server, c->fd, -1))
		return -1;
	return c->ssl != NULL ? SSL_read(c->ssl, bytes, (int)len) : recv(c->fd, bytes, len, 0);
}

static bool
transmit(struct connection *c, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = c->ssl != NULL ? SSL_write(c->ssl, bytes, (int)len) :
		                             send(c->fd, bytes, len, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		bytes += n;
		len -= (size_t)n;
	}
	return true;
}

/* Reads one request, header and body, into text (NUL-terminated). */
static bool
read_request(struct connection *c, char *text)
{
	size_t len = 0, want = 0;
	char *end, *field;
	ssize_t n;

	text[0] = '\0';
	while (want == 0 || len < want) {
		n = receive(c, text + len, want == 0 ? 1 : want - len);
		if (n <= 0 || len + (size_t)n >= REQUEST_SIZE - 1)
			return false;
		len += (size_t)n;
		text[len] = '\0';
		end = want == 0 ? strstr(text, "\r\n\r\n") : NULL;
		if (end != NULL) {
			field = strcasestr(text, "\r\nContent-Length:");
			want = len + (field == NULL ? 0 : (size_t)atol(field + 17));
		}
	}
	return true;
}

static bool
send_reply(struct connection *c, const struct scripted_reply *r)
{
	size_t len = r->bytes == NULL ? 0 : r->len == 0 ? strlen(r->bytes) : r->len;

	for (size_t round = 0; round <= r->repeat; round++) {
		if (r->pause_ms == 0 && !transmit(c, r->bytes, len))
			return false;
		for (size_t i = 0; r->pause_ms != 0 && i < len; i++)
			if (readable(c->server, c->fd, r->pause_ms) || !transmit(c, r->bytes + i, 1))
				return false;
	}
	return true;
}

static void
serve(struct connection *c)
{
	char text[REQUEST_SIZE], rest;
	struct linger reset = { 1, 0 };
	struct scripted_reply r;
	size_t n;

	while (read_request(c, text)) {
		pthread_mutex_lock(&c->server->lock);
		n = c->server->n_requests++;
		if (n >= REQUESTS_MAX || (c->server->requests[n] = strdup(text)) == NULL)
			abort();
		pthread_mutex_unlock(&c->server->lock);
		memset(&r, 0, sizeof(r));
		c->server->reply(c->server->ctx, n, text, &r);
		if (!send_reply(c, &r))
			return;
		if (r.end == RESET)
			setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		if (r.end == CLOSE && c->ssl != NULL)
			SSL_shutdown(c->ssl);
		if (r.end == HANG)
			while (receive(c, &rest, 1) > 0)
				continue;
		if (r.end != KEEP)
			return;
	}
}

static void *
connection_main(void *arg)
{
	struct connection *c = arg;
	bool open = true;

	if (c->server->tls != NULL) {
		c->ssl = SSL_new(c->server->tls);
		open = c->ssl != NULL && SSL_set_fd(c->ssl, c->fd) == 1 && SSL_accept(c->ssl) == 1;
	}
	if (open)
		serve(c);
	SSL_free(c->ssl);
	close(c->fd);
	free(c);
	return NULL;
}

static void *
acceptor_main(void *arg)
{
	struct scripted_server *server = arg;
	struct connection *c;
	int one = 1;

	while (readable(server, server->listen_fd, -1)) {
		c = calloc(1, sizeof(*c));
		if (c == NULL)
			abort();
		c->server = server;
		c->fd = accept(server->listen_fd, NULL, NULL);
		if (c->fd < 0)
			die("accept");
		setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		pthread_mutex_lock(&server->lock);
		if (server->n_connections >= CONNECTIONS_MAX ||
		    pthread_create(&server->threads[server->n_connections], NULL, connection_main, c) != 0)
			abort();
		server->n_connections++;
		pthread_mutex_unlock(&server->lock);
	}
	return NULL;
}

struct scripted_server *
scripted_server_new(void (*reply)(void *ctx, size_t n, const char *request, struct scripted_reply *ret),
                    void *ctx, SSL_CTX *tls)
{
	struct scripted_server *server = calloc(1, sizeof(*server));
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);

	if (server == NULL)
		abort();
	server->reply = reply;
	server->ctx = ctx;
	server->tls = tls;
	pthread_mutex_init(&server->lock, NULL);
	server->listen_fd = socket(AF_INET, SOCK_STREAM, 0);
	if (server->listen_fd < 0 || pipe(server->stop_pipe) != 0 ||
	    bind(server->listen_fd, (struct sockaddr *)&address, len) != 0 ||
	    listen(server->listen_fd, 128) != 0 ||
	    getsockname(server->listen_fd, (struct sockaddr *)&address, &len) != 0)
		die("scripted server");
	server->port = ntohs(address.sin_port);
	if (pthread_create(&server->acceptor, NULL, acceptor_main, server) != 0)
		abort();
	return server;
}

void
scripted_server_free(struct scripted_server *server)
{
	close(server->stop_pipe[1]);
	pthread_join(server->acceptor, NULL);
	for (size_t i = 0; i < server->n_connections; i++)
		pthread_join(server->threads[i], NULL);
	for (size_t i = 0; i < server->n_requests; i++)
		free(server->requests[i]);
	close(server->stop_pipe[0]);
	close(server->listen_fd);
	pthread_mutex_destroy(&server->lock);
	free(server);
}

int
scripted_server_port(const struct scripted_server *server)
{
	return server->port;
}

size_t
scripted_server_requests(struct scripted_server *server)
{
	size_t n;

	pthread_mutex_lock(&server->lock);
	n = server->n_requests;
	pthread_mutex_unlock(&server->lock);
	return n;
}

size_t
scripted_server_connections(struct scripted_server *server)
{
	size_t n;

	pthread_mutex_lock(&server->lock);
	n = server->n_connections;
	pthread_mutex_unlock(&server->lock);
	return n;
}

const char *
scripted_server_request(struct scripted_server *server, size_t n)
{
	const char *text;

	pthread_mutex_lock(&server->lock);
	text = n < server->n_requests ? server->requests[n] : NULL;
	pthread_mutex_unlock(&server->lock);
	return text;
}
