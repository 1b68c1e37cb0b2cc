#include "cmd/orgsync/progress.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "cmd/orgsync/text.h"
#include "lib/base/log.h"

#define REDRAW_NS (250 * 1000000L)
#define LINE_SIZE 400

static struct {
	pthread_mutex_t lock;   /* guards what follows, and stderr while the line is on it */
	pthread_cond_t ended;   /* monotonic clock */
	pthread_t thread;
	progress_line *line;
	void *ctx;
	bool running, end, drawn;
} progress = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void
put(const char *text, size_t len)
{
	ssize_t n;

	while (len > 0) {
		n = write(STDERR_FILENO, text, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		text += n;
		len -= (size_t)n;
	}
}

static void
take_off_locked(void)
{
	if (progress.drawn)
		put("\r\033[K", 4);
	progress.drawn = false;
}

static void
draw_locked(void)
{
	char line[LINE_SIZE], framed[LINE_SIZE + 16];
	struct winsize size;
	char *clean;

	progress.line(progress.ctx, line, sizeof(line));
	clean = text_clean(line);
	if (clean == NULL)
		return;
	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1)
		text_shorten(clean, size.ws_col - 1u);
	put(framed, (size_t)snprintf(framed, sizeof(framed), "\r%s\033[K", clean));
	free(clean);
	progress.drawn = true;
}

static void *
redraw(void *unused)
{
	struct timespec at;

	(void)unused;
	pthread_mutex_lock(&progress.lock);
	while (!progress.end) {
		draw_locked();
		clock_gettime(CLOCK_MONOTONIC, &at);
		at.tv_nsec += REDRAW_NS;
		at.tv_sec += at.tv_nsec / 1000000000L;
		at.tv_nsec %= 1000000000L;
		while (!progress.end && pthread_cond_timedwait(&progress.ended, &progress.lock, &at) == 0)
			;
	}
	take_off_locked();
	pthread_mutex_unlock(&progress.lock);
	return NULL;
}

/* The log's hooks: the lock is held from before a line to after it. */
static void
before_log(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&progress.lock);
	take_off_locked();
}

static void
after_log(void *unused)
{
	(void)unused;
	pthread_mutex_unlock(&progress.lock); /* drawn again within a quarter of a second */
}

static bool
terminal(void)
{
	const char *term = getenv("TERM");

	return isatty(STDERR_FILENO) && term != NULL && strcmp(term, "dumb") != 0;
}

void
progress_begin(progress_line *line, void *ctx)
{
	pthread_condattr_t attr;
	sigset_t all, old;

	if (!terminal() || progress.running || pthread_condattr_init(&attr) != 0)
		return;
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&progress.ended, &attr);
	pthread_condattr_destroy(&attr);
	progress.line = line;
	progress.ctx = ctx;
	progress.end = false;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old); /* signals belong to other threads */
	progress.running = pthread_create(&progress.thread, NULL, redraw, NULL) == 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (progress.running)
		log_set_hooks(before_log, after_log, NULL);
	else
		pthread_cond_destroy(&progress.ended);
}

void
progress_end(void)
{
	if (!progress.running)
		return;
	pthread_mutex_lock(&progress.lock);
	progress.end = true;
	pthread_cond_signal(&progress.ended);
	pthread_mutex_unlock(&progress.lock);
	pthread_join(progress.thread, NULL);
	log_set_hooks(NULL, NULL, NULL);
	pthread_cond_destroy(&progress.ended);
	progress.running = false;
}

void
progress_say(const char *text)
{
	pthread_mutex_lock(&progress.lock);
	take_off_locked();
	put(text, strlen(text));
	put("\n", 1);
	pthread_mutex_unlock(&progress.lock);
}
