/* main.c: a simulated MongoDB Atlas. */
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>

#include "cmd/atlas-sandbox/options.h"
#include "cmd/atlas-sandbox/print.h"
#include "cmd/atlas-sandbox/server.h"

/* Signals are blocked before the first thread, so that only sigwait() in server_run() sees them. */
static void
block_signals(void)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
}

int
main(int argc, char **argv)
{
	struct options options;
	struct sandbox sandbox;
	char why[300] = "";
	int result = options_parse(&options, argc, argv);

	if (result >= 0) {
		options_free(&options);
		return result;
	}
	json_object_seed(0);
	if (sandbox_init(&sandbox, &options, why, sizeof why) != 0) {
		fprintf(stderr, "atlas-sandbox: %s\n", why);
		result = 2;
	} else if (options.print != PRINT_NOTHING) {
		result = print_run(&sandbox);
	} else {
		block_signals();
		result = server_run(&sandbox);
	}
	sandbox_free(&sandbox);
	options_free(&options);
	return result;
}
