/* took.c: runs a program and writes what it and its children took to a file.
 *
 *     took FILE PROGRAM [ARGUMENT…]
 *
 * One line: seconds on the clock, of user CPU, of system CPU, the largest memory of one process in KiB, and the
 * bytes that it gave to block devices to write (in units of 4 KiB: pages). A program of its own because the kernel
 * counts what the parent had at the fork towards that largest memory.
 * Ends as the program ended (128 and more: by a signal).
 */
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double
seconds_of(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static double
now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static pid_t child;

static void
pass_on(int signal_number)
{
	kill(child, signal_number);
}

int
main(int argc, char **argv)
{
	double begun = now_s();
	struct rusage used;
	int status;
	FILE *out;

	if (argc < 3)
		return 2;
	child = fork();
	if (child == 0) {
		execvp(argv[2], argv + 2);
		perror(argv[2]);
		_exit(127);
	}
	signal(SIGTERM, pass_on);
	signal(SIGINT, pass_on);
	while (child > 0 && wait4(child, &status, 0, &used) < 0)
		;
	out = fopen(argv[1], "w");
	if (child < 0 || out == NULL)
		return 2;
	fprintf(out, "%.6f %.6f %.6f %ld %lld\n", now_s() - begun, seconds_of(used.ru_utime), seconds_of(used.ru_stime),
	        used.ru_maxrss, (long long)used.ru_oublock * 512);
	if (fclose(out) != 0)
		return 2;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
