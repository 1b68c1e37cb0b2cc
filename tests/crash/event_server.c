#include "tests/crash/event_server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/isotime.h"

#define REQUEST_SIZE 8192
#define ANSWER_SIZE 16384
#define ROWS 4

static struct { int64_t newest_s, step_s; unsigned n; } events;

static bool
read_request(int fd, char *text)
{
	size_t len = 0, want = 0;
	const char *end, *field;
	ssize_t n;

	while (want == 0 || len < want) {
		n = recv(fd, text + len, REQUEST_SIZE - 1 - len, 0);
		if (n <= 0)
			return false;
		len += (size_t)n;
		text[len] = '\0';
		end = want == 0 ? strstr(text, "\r\n\r\n") : NULL;
		if (end != NULL) {
			field = strcasestr(text, "\r\nContent-Length:");
			want = (size_t)(end - text) + 4 + (field == NULL ? 0 : (size_t)atol(field + 17));
		}
		if (len >= REQUEST_SIZE - 1)
			return false;
	}
	return true;
}

static void
answer(int fd, const char *status, const char *more, const char *body)
{
	char head[600], date[40];
	time_t now = time(NULL);
	struct tm tm;
	int len;

	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &tm));
	len = snprintf(head, sizeof(head), "HTTP/1.1 %s\r\nDate: %s\r\nContent-Type: application/json\r\n"
	               "RateLimit-Limit: 100000\r\nRateLimit-Remaining: 100000\r\n%sContent-Length: %zu\r\n\r\n",
	               status, date, more, strlen(body));
	if (send(fd, head, (size_t)len, MSG_NOSIGNAL | MSG_MORE) > 0)
		send(fd, body, strlen(body), MSG_NOSIGNAL);
}

/* The value of a parameter as an instant, in seconds. The program encodes ':' as %3A. */
static int64_t
instant(const char *request, const char *name)
{
	const char *p = strstr(request, name);
	char text[40] = "";
	size_t len = 0;
	int64_t ns;

	for (p = p == NULL ? "" : p + strlen(name); *p != '\0' && *p != '&' && *p != ' ' && len < 30; p++) {
		text[len++] = strncasecmp(p, "%3A", 3) == 0 ? ':' : *p;
		p += text[len - 1] == ':' && *p == '%' ? 2 : 0;
	}
	return isotime_parse(text, len, &ns) == 0 ? isotime_second(ns) : -1;
}

static long
number(const char *request, const char *name)
{
	const char *p = strstr(request, name);

	return p == NULL ? 1 : atol(p + strlen(name));
}

static void
answer_events(int fd, const char *request)
{
	int64_t min_s = instant(request, "minDate="), max_s = instant(request, "maxDate="), at_s;
	unsigned page = (unsigned)number(request, "pageNum="), total = 0, shown = 0;
	char body[ANSWER_SIZE], when[ISOTIME_LEN + 1];
	size_t len = (size_t)snprintf(body, sizeof(body), "{\"results\": [");

	for (unsigned i = 0; i < events.n; i++) {
		at_s = events.newest_s - (int64_t)i * events.step_s;
		if (at_s < min_s || at_s > max_s)
			continue;
		if (total / ROWS == page - 1) {
			len += (size_t)snprintf(body + len, sizeof(body) - len, "%s{\"id\": \"%024x\", \"created\": "
			                        "\"%s\", \"eventTypeName\": \"USER_ADDED\", \"n\": 0.10, "
			                        "\"orgId\": \"%.24s\"}", shown == 0 ? "" : ", ", i + 1,
			                        isotime_format_s(at_s, when), strstr(request, "/orgs/") + 6);
			shown++;
		}
		total++;
	}
	snprintf(body + len, sizeof(body) - len, "], \"links\": [%s], \"totalCount\": %u}",
	         total > page * ROWS ? "{\"rel\": \"next\", \"href\": \"http://other.example/\"}" : "", total);
	answer(fd, "200 OK", "", body);
}

static void *
serve(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char request[REQUEST_SIZE];

	while (read_request(fd, request)) {
		if (strncmp(request, "POST /api/oauth/token", 21) == 0)
			answer(fd, "200 OK", "", "{\"access_token\": \"tok-1\", \"expires_in\": 3600, "
			       "\"token_type\": \"Bearer\"}");
		else if (strstr(request, "\nAuthorization: Bearer tok-1\r") != NULL ||
		         strstr(request, "\nAuthorization: Digest username=") != NULL)
			answer_events(fd, request);
		else
			answer(fd, "401 Unauthorized", "WWW-Authenticate: Digest realm=\"MMS Public API\", domain=\"\", "
			       "nonce=\"abc\", algorithm=MD5, qop=\"auth\", stale=false\r\n", "{\"error\": 401}");
	}
	close(fd);
	return NULL;
}

static _Noreturn void
accept_all(int listen_fd)
{
	pthread_t thread;
	int fd, one = 1;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		fd = accept(listen_fd, NULL, NULL);
		if (fd < 0)
			continue;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd) != 0)
			close(fd);
		else
			pthread_detach(thread);
	}
}

pid_t
event_server_begin(int64_t newest_s, int64_t step_s, unsigned n, int *ret_port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t pid;

	events.newest_s = newest_s;
	events.step_s = step_s;
	events.n = n;
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) != 0 || listen(fd, 512) != 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &len) != 0)
		abort();
	pid = fork();
	if (pid < 0)
		abort();
	if (pid == 0)
		accept_all(fd);
	close(fd);
	*ret_port = ntohs(address.sin_port);
	return pid;
}
