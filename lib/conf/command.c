/* A command that prints a secret. It runs without a shell, in a process group of its own, which is
 * killed where it takes too long or says too much. */
#include "lib/conf/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/clock.h"

#define FAIL(e, ...) err_set(e, ERR_SECRET, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR, __VA_ARGS__)


static int
compare_names(const void *key, const void *entry)
{
	return strcmp(key, *(const char *const *)entry);
}

/* Whether a command gets the variable: not those that hold secrets of the configuration, and none of
 * orgsync's own. */
static bool
is_passed(const char *variable, const char *const *hidden, size_t n_hidden, char *name)
{
	size_t len = strcspn(variable, "=");

	memcpy(name, variable, len);
	name[len] = '\0';
	if (strncmp(name, "ORGSYNC_", 8) == 0)
		return false;
	return n_hidden == 0 || bsearch(name, hidden, n_hidden, sizeof(*hidden), compare_names) == NULL;
}

/* The environment of the command: an array of the caller's, the texts borrowed. NULL: no memory. */
static char **
make_environment(const char *const *hidden)
{
	size_t n = 0, kept = 0, n_hidden = 0, longest = 0, len;
	char **made, *name;

	while (hidden != NULL && hidden[n_hidden] != NULL)
		n_hidden++;
	for (; environ != NULL && environ[n] != NULL; n++) {
		len = strlen(environ[n]);
		longest = len > longest ? len : longest;
	}
	made = calloc(n + 1, sizeof(*made));
	name = malloc(longest + 1);
	for (size_t i = 0; made != NULL && name != NULL && i < n; i++)
		if (is_passed(environ[i], hidden, n_hidden, name))
			made[kept++] = environ[i];
	if (name == NULL) {
		free(made);
		made = NULL;
	}
	free(name);
	return made;
}

/* Starts the command with out_fd as its output. 0, or an errno value. */
static int
start(const struct command *command, char **environment, int out_fd, pid_t *ret_pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	int error;

	sigemptyset(&none);
	sigfillset(&all);
	if (posix_spawn_file_actions_init(&actions) != 0)
		return ENOMEM;
	if (posix_spawnattr_init(&attributes) != 0) {
		posix_spawn_file_actions_destroy(&actions);
		return ENOMEM;
	}
	/* Our threads block signals, for the one that waits for them; the command begins with none blocked
	 * and none ignored. */
	error = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
	                                 POSIX_SPAWN_SETSIGDEF);
	error = error ? error : posix_spawnattr_setpgroup(&attributes, 0);
	error = error ? error : posix_spawnattr_setsigmask(&attributes, &none);
	error = error ? error : posix_spawnattr_setsigdefault(&attributes, &all);
	/* The output first: out_fd may be 0 or 2 where orgsync was started without them. */
	error = error ? error : posix_spawn_file_actions_adddup2(&actions, out_fd, 1);
	error = error ? error : posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	error = error ? error : posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 34)
	/* Ours close on exec; a library's may not. */
	error = error ? error : posix_spawn_file_actions_addclosefrom_np(&actions, 3);
#endif
	error = error ? error : posix_spawnp(ret_pid, command->argv[0], &actions, &attributes,
	                                     command->argv, environment);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return error;
}

static int
say_timeout(const struct command *command, struct err *e)
{
	return FAIL(e, "the command %s did not end within %d ms", command->argv[0], command->timeout_ms);
}

/* Reads to the end of the output. The buffer has its whole room. */
static int
read_output(const struct command *command, int fd, int64_t end_mono_ms, struct buf *b, struct err *e)
{
	struct pollfd poll_fd = { fd, POLLIN, 0 };
	int64_t left_ms;
	char more;
	ssize_t n;

	for (;;) {
		left_ms = end_mono_ms - clock_mono_ms(&clock_system);
		if (left_ms <= 0)
			return say_timeout(command, e);
		if (poll(&poll_fd, 1, (int)left_ms) < 0 && errno != EINTR)
			return FAIL(e, "the command %s: poll: %s", command->argv[0], strerrordesc_np(errno));
		n = b->len < b->cap_bytes ? read(fd, b->data + b->len, b->cap_bytes - b->len) :
		    read(fd, &more, 1);
		if (n == 0)
			return 0;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return FAIL(e, "the command %s: read: %s", command->argv[0], strerrordesc_np(errno));
		if (n > 0 && b->len == b->cap_bytes)
			return FAIL(e, "the command %s gave more than %zu bytes", command->argv[0], b->cap_bytes);
		b->len += n > 0 ? (size_t)n : 0;
	}
}

/* Waits for a child whose output has ended: nearly always it has, too. */
static int
wait_until(pid_t pid, int64_t end_mono_ms, int *ret_status)
{
	struct timespec nap = { 0, 100 * 1000 };
	pid_t got;

	for (;;) {
		got = waitpid(pid, ret_status, WNOHANG);
		if (got == pid)
			return 0;
		if (got < 0 && errno != EINTR)
			return -1;
		if (clock_mono_ms(&clock_system) >= end_mono_ms)
			return 1;
		nanosleep(&nap, NULL);
		if (nap.tv_nsec < 20 * 1000 * 1000)
			nap.tv_nsec *= 2;
	}
}

static int
finish(const struct command *command, pid_t pid, int64_t end_mono_ms, struct err *e)
{
	int status, waited = wait_until(pid, end_mono_ms, &status);

	if (waited > 0) {
		kill(-pid, SIGKILL);
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
		return say_timeout(command, e);
	}
	if (waited < 0)
		return FAIL(e, "the command %s: how it ended cannot be told", command->argv[0]);
	if (WIFSIGNALED(status))
		return FAIL(e, "the command %s was ended by signal %d", command->argv[0], WTERMSIG(status));
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return FAIL(e, "the command %s failed with exit status %d", command->argv[0],
		            WEXITSTATUS(status));
	return 0;
}

int
command_read(const struct command *command, struct buf *b, struct err *e)
{
	int64_t end_mono_ms = clock_mono_ms(&clock_system) + command->timeout_ms;
	int fds[2] = { -1, -1 }, error, status;
	char **environment = NULL;
	pid_t pid;

	environment = make_environment(command->hidden);
	if (environment == NULL || buf_reserve(b, b->cap_bytes - b->len) != 0) {
		free(environment);
		return err_set_errno(e, ENOMEM, "the command %s", command->argv[0]);
	}
	if (pipe2(fds, O_CLOEXEC) != 0) {
		free(environment);
		return FAIL(e, "the command %s: pipe: %s", command->argv[0], strerrordesc_np(errno));
	}
	error = start(command, environment, fds[1], &pid);
	free(environment);
	close(fds[1]);
	if (error != 0) {
		close(fds[0]);
		return FAIL(e, "the command %s cannot be run: %s", command->argv[0], strerrordesc_np(error));
	}
	if (fcntl(fds[0], F_SETFL, O_NONBLOCK) != 0 ||
	    read_output(command, fds[0], end_mono_ms, b, e) != 0) {
		close(fds[0]);
		kill(-pid, SIGKILL);
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
		return FAIL(e, "the command %s: its output cannot be read", command->argv[0]);
	}
	close(fds[0]);
	return finish(command, pid, end_mono_ms, e);
}
