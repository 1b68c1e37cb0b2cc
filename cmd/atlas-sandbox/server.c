/* server.c: libmicrohttpd's callbacks, and starting and stopping it.
 *
 * Threads: two of libmicrohttpd's (epoll), one that resumes waiting connections (delays.c), and main,
 * which waits for a signal. A request is in the hands of one thread at a time.
 * Stopping: delays first, so that nothing stays suspended; then the daemon, which ends every request.
 */
#include "cmd/atlas-sandbox/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cmd/atlas-sandbox/admin.h"
#include "cmd/atlas-sandbox/delays.h"
#include "cmd/atlas-sandbox/response.h"
#include "lib/base/file.h"

#define FORM_MAX 8192
#define IDLE_TIMEOUT_S 120

struct server {
	struct sandbox *sb;
	struct delays *delays;
	_Atomic uint64_t next_connection;
};

enum stage { STAGE_NEW, STAGE_BODY, STAGE_WAITED };

struct request {
	enum stage stage;
	char *uri;
	char address[INET6_ADDRSTRLEN];
	struct buf form;
	struct answer answer;
	struct sandbox *sb;
};

static void *
on_uri(void *cls, const char *uri, struct MHD_Connection *connection)
{
	struct request *request = calloc(1, sizeof *request);

	(void)connection;
	if (request == NULL)
		return NULL;
	request->sb = ((struct server *)cls)->sb;
	request->uri = strdup(uri);
	buf_init(&request->form, FORM_MAX);
	answer_init(&request->answer);
	return request;
}

static void
on_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
             enum MHD_RequestTerminationCode why)
{
	struct request *request = *con_cls;

	(void)cls;
	(void)connection;
	(void)why;
	if (request == NULL)
		return;
	answer_free(&request->answer, request->sb);
	buf_free(&request->form);
	free(request->uri);
	free(request);
	*con_cls = NULL;
}

/* A connection's number, from 1, kept as the socket's context. */
static void
on_connection(void *cls, struct MHD_Connection *connection, void **socket_context,
              enum MHD_ConnectionNotificationCode what)
{
	struct server *server = cls;

	(void)connection;
	if (what != MHD_CONNECTION_NOTIFY_STARTED)
		return;
	*socket_context = (void *)(uintptr_t)(atomic_fetch_add(&server->next_connection, 1) + 1);
	atomic_fetch_add(&server->sb->connections, 1);
}

static const char *
header(struct MHD_Connection *connection, const char *name)
{
	return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

static void
address_text(struct MHD_Connection *connection, char out[INET6_ADDRSTRLEN])
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);

	snprintf(out, INET6_ADDRSTRLEN, "127.0.0.1");
	if (info == NULL || info->client_addr == NULL)
		return;
	if (info->client_addr->sa_family == AF_INET)
		inet_ntop(AF_INET, &((struct sockaddr_in *)info->client_addr)->sin_addr, out, INET6_ADDRSTRLEN);
	else if (info->client_addr->sa_family == AF_INET6)
		inet_ntop(AF_INET6, &((struct sockaddr_in6 *)info->client_addr)->sin6_addr, out,
		          INET6_ADDRSTRLEN);
}

static void
question_fill(struct question *q, struct MHD_Connection *connection, const char *method,
              struct request *request)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	memset(q, 0, sizeof *q);
	q->method = method;
	q->uri = request->uri;
	q->authorization = header(connection, "Authorization");
	q->accept = header(connection, "Accept");
	q->host = header(connection, "Host");
	q->form = buf_str(&request->form);
	if (q->form == NULL)
		q->form = "";
	q->address = request->address;
	q->takes_gzip = response_may_be_gzip(connection);
	q->connection = info != NULL ? (uint64_t)(uintptr_t)info->socket_context : 0;
}

/* Closes the connection so that the other side sees a reset. */
static enum MHD_Result
reset_connection(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct linger linger = { .l_onoff = 1, .l_linger = 0 };

	if (info != NULL)
		setsockopt(info->connect_fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
	return MHD_NO;
}

static enum MHD_Result
on_request(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
           const char *version, const char *upload_data, size_t *upload_data_size, void **con_cls)
{
	struct server *server = cls;
	struct request *request = *con_cls;
	struct listing *listing = NULL;
	struct question q;

	(void)url;
	(void)version;
	if (request == NULL || request->uri == NULL)
		return MHD_NO;
	if (request->stage == STAGE_NEW) {
		address_text(connection, request->address);
		request->stage = STAGE_BODY;
		return MHD_YES;
	}
	if (*upload_data_size > 0) {
		if (buf_append(&request->form, upload_data, *upload_data_size) != 0)
			return MHD_NO;
		*upload_data_size = 0;
		return MHD_YES;
	}
	question_fill(&q, connection, method, request);
	if (request->stage == STAGE_BODY) {
		request->stage = STAGE_WAITED;
		if (admin_answer(&request->answer, server->sb, &q, &listing))
			return response_send(connection, server->sb, &request->answer.reply, listing) == 0
			               ? MHD_YES : MHD_NO;
		answer_begin(&request->answer, server->sb, &q);
		if (request->answer.wait_ms > 0) {
			delays_suspend(server->delays, connection, request->answer.wait_ms);
			return MHD_YES;
		}
	}
	if (request->answer.then == ANSWER_RESET)
		return reset_connection(connection);
	if (request->answer.then == ANSWER_HANG)
		return MHD_NO;
	answer_finish(&request->answer, server->sb, &q);
	return response_send(connection, server->sb, &request->answer.reply, NULL) == 0 ? MHD_YES : MHD_NO;
}

static int
bind_address(const struct options *o, struct sockaddr_storage *ret, socklen_t *ret_len)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM,
	                          .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE };
	struct addrinfo *found = NULL;
	char port[8];

	snprintf(port, sizeof port, "%u", o->port);
	if (getaddrinfo(o->listen, port, &hints, &found) != 0)
		return -1;
	memcpy(ret, found->ai_addr, found->ai_addrlen);
	*ret_len = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}

/* A listening socket of ours, so that failures have their reason; *ret_port is where it listens. */
static int
listen_on(const struct options *o, unsigned *ret_port)
{
	struct sockaddr_storage address;
	socklen_t len;
	int fd, on = 1;

	if (bind_address(o, &address, &len) != 0) {
		fprintf(stderr, "atlas-sandbox: %s is not an address\n", o->listen);
		return -1;
	}
	fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
	    bind(fd, (struct sockaddr *)&address, len) != 0 || listen(fd, 4096) != 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &len) != 0) {
		fprintf(stderr, "atlas-sandbox: %s port %u: %s\n", o->listen, o->port, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	*ret_port = ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
	                                                : ((struct sockaddr_in *)&address)->sin_port);
	return fd;
}

static char *
read_pem(const char *path, struct buf *b)
{
	struct err e;

	err_clear(&e);
	buf_init(b, 1 << 20);
	if (file_read_all(AT_FDCWD, path, b, path, &e) == 0)
		return buf_str(b);
	fprintf(stderr, "atlas-sandbox: %s: cannot be read\n", path);
	return NULL;
}

static struct MHD_Daemon *
start_daemon(struct server *server, int fd)
{
	const struct options *o = &server->sb->options;
	struct buf cert, key;
	struct MHD_OptionItem tls[3] = { { MHD_OPTION_END, 0, NULL } };
	unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME |
	                 MHD_USE_SUPPRESS_DATE_NO_CLOCK;
	struct MHD_Daemon *daemon = NULL;
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	buf_init(&cert, 1);
	buf_init(&key, 1);
	if (o->tls_cert != NULL) {
		tls[0] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_MEM_CERT, 0, read_pem(o->tls_cert, &cert) };
		tls[1] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_MEM_KEY, 0, read_pem(o->tls_key, &key) };
		tls[2] = (struct MHD_OptionItem){ MHD_OPTION_END, 0, NULL };
		flags |= MHD_USE_TLS;
		if (tls[0].ptr_value == NULL || tls[1].ptr_value == NULL)
			goto out;
	}
	daemon = MHD_start_daemon(flags, 0, NULL, NULL, on_request, server,
	                          MHD_OPTION_LISTEN_SOCKET, fd,
	                          MHD_OPTION_THREAD_POOL_SIZE, 2u,
	                          MHD_OPTION_CONNECTION_LIMIT, 16384u,
	                          MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_TIMEOUT_S,
	                          MHD_OPTION_URI_LOG_CALLBACK, on_uri, server,
	                          MHD_OPTION_NOTIFY_COMPLETED, on_completed, server,
	                          MHD_OPTION_NOTIFY_CONNECTION, on_connection, server,
	                          MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
	if (daemon == NULL)
		fprintf(stderr, "atlas-sandbox: the server cannot start%s\n",
		        o->tls_cert != NULL ? " (are certificate and key right?)" : "");
out:
	buf_wipe(&key);
	buf_free(&cert);
	return daemon;
}

/* Writes the port so that a reader never sees half of it. */
static int
write_port_file(const char *path, unsigned port)
{
	char aside[4096];
	FILE *f;

	if ((size_t)snprintf(aside, sizeof aside, "%s.tmp", path) >= sizeof aside)
		return -1;
	f = fopen(aside, "w");
	if (f == NULL)
		return -1;
	fprintf(f, "%u\n", port);
	return fclose(f) == 0 && rename(aside, path) == 0 ? 0 : -1;
}

/* What a test that ends the server wants to know, whether or not it could ask for /_sandbox/stats. */
static void
say_what_was(struct sandbox *sb)
{
	uint64_t requests = 0, violations = 0;

	for (size_t i = 0; i < sb->n_orgs; i++) {
		requests += sb->accounts[i].requests;
		violations += sb->accounts[i].violations;
	}
	printf("requests %" PRIu64 ", with another organization's credential %" PRIu64 "\n", requests, violations);
	fflush(stdout);
}

int
server_run(struct sandbox *sb)
{
	struct server server = { .sb = sb };
	struct MHD_Daemon *daemon = NULL;
	sigset_t signals;
	unsigned port = 0;
	int fd = listen_on(&sb->options, &port), result = 1, got;

	if (fd < 0)
		return 1;
	server.delays = delays_new();
	if (server.delays == NULL)
		goto out;
	daemon = start_daemon(&server, fd);
	if (daemon == NULL)
		goto out;
	if (sb->options.port_file != NULL && write_port_file(sb->options.port_file, port) != 0) {
		fprintf(stderr, "atlas-sandbox: %s: %s\n", sb->options.port_file, strerror(errno));
		goto out;
	}
	printf("listening on %s://%s%s%s:%u\n", sb->options.tls_cert != NULL ? "https" : "http",
	       strchr(sb->options.listen, ':') ? "[" : "", sb->options.listen,
	       strchr(sb->options.listen, ':') ? "]" : "", port);
	fflush(stdout);
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigwait(&signals, &got);
	result = 0;
out:
	if (server.delays != NULL)
		delays_stop(server.delays);
	if (daemon != NULL)
		MHD_stop_daemon(daemon); /* closes the listening socket too */
	else
		close(fd);
	if (result == 0)
		say_what_was(sb); /* nobody else is left who would count */
	delays_free(server.delays);
	return result;
}
