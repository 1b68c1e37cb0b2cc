/* loop.c: what libcurl waits for, by epoll: of many transfers only those are looked at to which something happened.
 * curl_multi_perform() looks at each, with a poll() each, whenever one answer comes. */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/http/private.h"

#define EVENTS_AT_ONCE 64

/* libcurl waits for something else on a socket, or for nothing any more. */
static int
on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *of_the_socket)
{
	struct http_engine *engine = ctx;
	struct epoll_event event = { .data.fd = fd };

	(void)easy;
	(void)of_the_socket;
	if (what == CURL_POLL_REMOVE) {
		epoll_ctl(engine->epoll_fd, EPOLL_CTL_DEL, fd, NULL); /* it may be closed, and gone with that */
		return 0;
	}
	event.events = ((what & CURL_POLL_IN) != 0 ? EPOLLIN : 0) | ((what & CURL_POLL_OUT) != 0 ? EPOLLOUT : 0);
	if (epoll_ctl(engine->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0 &&
	    (errno != EEXIST || epoll_ctl(engine->epoll_fd, EPOLL_CTL_MOD, fd, &event) != 0))
		engine->blind = true; /* not an error to libcurl: it would give all its transfers up, for good */
	return 0;
}

static int
on_timer(CURLM *multi, long timeout_ms, void *ctx)
{
	struct http_engine *engine = ctx;

	(void)multi;
	engine->curl_at_mono_ms = timeout_ms < 0 ? INT64_MAX : http_mono_ms() + timeout_ms;
	return 0;
}

int
http_loop_init(struct http_engine *engine)
{
	struct epoll_event event = { .events = EPOLLIN };

	engine->curl_at_mono_ms = INT64_MAX;
	engine->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	engine->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (engine->epoll_fd < 0 || engine->wake_fd < 0)
		return -1;
	event.data.fd = engine->wake_fd;
	if (epoll_ctl(engine->epoll_fd, EPOLL_CTL_ADD, engine->wake_fd, &event) != 0)
		return -1;
	if (curl_multi_setopt(engine->multi, CURLMOPT_SOCKETFUNCTION, on_socket) == CURLM_OK &&
	    curl_multi_setopt(engine->multi, CURLMOPT_SOCKETDATA, engine) == CURLM_OK &&
	    curl_multi_setopt(engine->multi, CURLMOPT_TIMERFUNCTION, on_timer) == CURLM_OK &&
	    curl_multi_setopt(engine->multi, CURLMOPT_TIMERDATA, engine) == CURLM_OK)
		return 0;
	errno = ENOMEM;
	return -1;
}

void
http_loop_free(struct http_engine *engine)
{
	if (engine->epoll_fd >= 0)
		close(engine->epoll_fd);
	if (engine->wake_fd >= 0)
		close(engine->wake_fd);
}

/* Something happened on the socket, or to none (CURL_SOCKET_TIMEOUT). Where libcurl has no memory to note what a transfer
 * waits for, it never waits for it, and 7.88 divides by zero when it comes to that socket again (multi.c: the hash of a
 * socket's transfers is destroyed, and used). So it does not come to that: this engine goes on without. */
static void
act(struct http_engine *engine, curl_socket_t fd, int mask)
{
	int running;

	if (curl_multi_socket_action(engine->multi, fd, mask, &running) != CURLM_OK)
		engine->blind = true;
}

/* Without what is in the epoll: each transfer is looked at each time. */
static bool
step_blind(struct http_engine *engine, int timeout_ms)
{
	struct curl_waitfd wake = { .fd = engine->wake_fd, .events = CURL_WAIT_POLLIN };
	eventfd_t ignored;
	int running;

	curl_multi_poll(engine->multi, &wake, 1, timeout_ms, NULL);
	curl_multi_perform(engine->multi, &running);
	return eventfd_read(engine->wake_fd, &ignored) == 0;
}

bool
http_loop_step(struct http_engine *engine, int timeout_ms)
{
	struct epoll_event events[EVENTS_AT_ONCE];
	int64_t now = http_mono_ms();
	bool woken = false;
	eventfd_t ignored;
	int n, mask;

	if (engine->blind)
		return step_blind(engine, timeout_ms);
	if (engine->curl_at_mono_ms <= now)
		timeout_ms = 0;
	else if (engine->curl_at_mono_ms - now < timeout_ms)
		timeout_ms = (int)(engine->curl_at_mono_ms - now);
	n = epoll_wait(engine->epoll_fd, events, EVENTS_AT_ONCE, timeout_ms);
	for (int i = 0; i < n && !engine->blind; i++) {
		if (events[i].data.fd == engine->wake_fd) {
			woken |= eventfd_read(engine->wake_fd, &ignored) == 0;
			continue;
		}
		mask = ((events[i].events & EPOLLIN) != 0 ? CURL_CSELECT_IN : 0) |
		       ((events[i].events & EPOLLOUT) != 0 ? CURL_CSELECT_OUT : 0) |
		       ((events[i].events & (EPOLLERR | EPOLLHUP)) != 0 ? CURL_CSELECT_ERR : 0);
		act(engine, events[i].data.fd, mask);
	}
	if (engine->blind || engine->curl_at_mono_ms > http_mono_ms())
		return woken;
	engine->curl_at_mono_ms = INT64_MAX; /* it is told anew, where there is a next one */
	act(engine, CURL_SOCKET_TIMEOUT, 0);
	return woken;
}

void
http_wake(struct http_engine *engine)
{
	(void)eventfd_write(engine->wake_fd, 1);
}
