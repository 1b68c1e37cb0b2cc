#include "cmd/orgsync/signals.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include "cmd/orgsync/exit_code.h"
#include "cmd/orgsync/progress.h"

#define SIG_END SIGUSR1   /* wakes the thread so that it ends */

static struct {
	pthread_t thread;
	bool running;           /* used by the thread of begin and end only */
	atomic_bool end;
	atomic_int came;
	void (*stop)(void *ctx);
	void *ctx;
} signals;

static void
ours(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIG_END);
}

void
signals_block(void)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	sigset_t set;

	ours(&set);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
	/* A file that grows past the limit of this process is the trouble of one organization (EFBIG). */
	sigaction(SIGXFSZ, &ignore, NULL);
}

static void *
wait_for_signals(void *unused)
{
	sigset_t set;
	char line[160];
	int signal;

	(void)unused;
	ours(&set);
	for (;;) {
		if (sigwait(&set, &signal) != 0)
			continue;
		if (signal == SIG_END) {
			if (atomic_load(&signals.end))
				return NULL;
			continue;
		}
		if (atomic_load(&signals.came) != 0)
			_exit(EXIT_SIGNAL + signal);
		atomic_store(&signals.came, signal);
		snprintf(line, sizeof(line), "orgsync: SIG%s: keeping what was read, then stopping; once more stops at once",
		         signal == SIGINT ? "INT" : "TERM");
		progress_say(line);
		signals.stop(signals.ctx);
	}
}

int
signals_begin(void (*stop)(void *ctx), void *ctx, struct err *e)
{
	int failed;

	signals.stop = stop;
	signals.ctx = ctx;
	atomic_store(&signals.end, false);
	failed = pthread_create(&signals.thread, NULL, wait_for_signals, NULL);
	if (failed != 0)
		return err_set_errno(e, failed, "cannot make a thread for signals");
	signals.running = true;
	return 0;
}

void
signals_end(void)
{
	if (!signals.running)
		return;
	atomic_store(&signals.end, true);
	pthread_kill(signals.thread, SIG_END);
	pthread_join(signals.thread, NULL);
	signals.running = false;
}

int
signals_came(void)
{
	return atomic_load(&signals.came);
}
