/* durable.c: small commits against the very system calls they consist of.
 *
 *     durable DIRECTORY COMMITS
 *
 * One commit is what a nightly run does for one organization: open its archive, add a few events of the night to a
 * day file that is there, record the range, close. The system calls of one such commit are written down as they are
 * made (the linker puts us between lib/ and the C library), and then made bare, with nothing between them, over a tree
 * of the same shape. Both by as many threads as orgsync has for its disk, turn about in quarters, so that what else
 * the disk does falls on both. Prints seconds for the commits, seconds for the bare calls, and calls a commit.
 */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/isotime.h"
#include "lib/store/store.h"

#define THREADS 8
#define COMMITS_EACH 4
#define EVENTS 5
#define DAY_S INT64_C(1767225600) /* 2026-01-01 */
#define OPS_MAX 400
#define FDS_MAX 64

enum kind { OPENAT, FSTATAT, FSTAT, FACCESSAT, UNLINKAT, MKDIRAT, RENAMEAT, FSYNC, WRITE, READ, CLOSE, FLOCK, LIST };

/* Descriptors are numbered in the order in which they were opened; 0 is the output directory. */
struct op { enum kind kind; int fd, fd2, flags, mode; size_t len; char name[80], name2[80]; };

static struct op ops[OPS_MAX];
static size_t n_ops;
static _Thread_local bool recording;
static int fds[FDS_MAX], n_fds;

static int
number_of(int fd)
{
	for (int i = n_fds - 1; i >= 0; i--)
		if (fds[i] == fd)
			return i;
	return -1;
}

static struct op *
note(enum kind kind, int fd, const char *name)
{
	static struct op beyond;
	struct op *op = n_ops < OPS_MAX ? &ops[n_ops++] : &beyond;

	memset(op, 0, sizeof(*op));
	op->kind = kind;
	op->fd = number_of(fd);
	if (name != NULL)
		snprintf(op->name, sizeof(op->name), "%s", name);
	return op;
}

#define REAL(type, name, ...) type __real_##name(__VA_ARGS__); type __wrap_##name(__VA_ARGS__)

int __real_openat(int fd, const char *name, int flags, ...);
int __wrap_openat(int fd, const char *name, int flags, ...);
int
__wrap_openat(int fd, const char *name, int flags, ...)
{
	va_list args;
	int got, mode;

	va_start(args, flags);
	mode = (flags & O_CREAT) != 0 ? va_arg(args, int) : 0;
	va_end(args);
	got = __real_openat(fd, name, flags, mode);
	if (recording) {
		struct op *op = note(OPENAT, fd, name);

		op->flags = flags;
		op->mode = mode;
		op->fd2 = got < 0 ? -1 : n_fds;
		if (got >= 0 && n_fds < FDS_MAX)
			fds[n_fds++] = got;
	}
	return got;
}

REAL(int, fstatat, int fd, const char *name, struct stat *st, int flags);
int
__wrap_fstatat(int fd, const char *name, struct stat *st, int flags)
{
	if (recording)
		note(FSTATAT, fd, name)->flags = flags;
	return __real_fstatat(fd, name, st, flags);
}

REAL(int, fstat, int fd, struct stat *st);
int
__wrap_fstat(int fd, struct stat *st)
{
	if (recording)
		note(FSTAT, fd, NULL);
	return __real_fstat(fd, st);
}

REAL(int, faccessat, int fd, const char *name, int mode, int flags);
int
__wrap_faccessat(int fd, const char *name, int mode, int flags)
{
	if (recording)
		note(FACCESSAT, fd, name)->mode = mode;
	return __real_faccessat(fd, name, mode, flags);
}

REAL(int, unlinkat, int fd, const char *name, int flags);
int
__wrap_unlinkat(int fd, const char *name, int flags)
{
	if (recording)
		note(UNLINKAT, fd, name);
	return __real_unlinkat(fd, name, flags);
}

REAL(int, mkdirat, int fd, const char *name, mode_t mode);
int
__wrap_mkdirat(int fd, const char *name, mode_t mode)
{
	if (recording)
		note(MKDIRAT, fd, name)->mode = (int)mode;
	return __real_mkdirat(fd, name, mode);
}

REAL(int, renameat, int fd, const char *name, int fd2, const char *name2);
int
__wrap_renameat(int fd, const char *name, int fd2, const char *name2)
{
	if (recording) {
		struct op *op = note(RENAMEAT, fd, name);

		op->fd2 = number_of(fd2);
		snprintf(op->name2, sizeof(op->name2), "%s", name2);
	}
	return __real_renameat(fd, name, fd2, name2);
}

REAL(int, fsync, int fd);
int
__wrap_fsync(int fd)
{
	if (recording)
		note(FSYNC, fd, NULL);
	return __real_fsync(fd);
}

REAL(ssize_t, write, int fd, const void *bytes, size_t len);
ssize_t
__wrap_write(int fd, const void *bytes, size_t len)
{
	if (recording)
		note(WRITE, fd, NULL)->len = len;
	return __real_write(fd, bytes, len);
}

REAL(ssize_t, read, int fd, void *bytes, size_t len);
ssize_t
__wrap_read(int fd, void *bytes, size_t len)
{
	if (recording)
		note(READ, fd, NULL)->len = len;
	return __real_read(fd, bytes, len);
}

REAL(int, flock, int fd, int what);
int
__wrap_flock(int fd, int what)
{
	if (recording)
		note(FLOCK, fd, NULL)->flags = what;
	return __real_flock(fd, what);
}

REAL(int, close, int fd);
int
__wrap_close(int fd)
{
	if (recording) {
		note(CLOSE, fd, NULL);
		if (number_of(fd) >= 0)
			fds[number_of(fd)] = -1;
	}
	return __real_close(fd);
}

/* A list of a directory is closed by closedir(), which we do not see otherwise. */
REAL(DIR *, fdopendir, int fd);
DIR *
__wrap_fdopendir(int fd)
{
	if (recording) {
		note(LIST, fd, NULL);
		if (number_of(fd) >= 0)
			fds[number_of(fd)] = -1;
	}
	return __real_fdopendir(fd);
}

/* ---- one commit ---- */

static int out_fds[2]; /* of ours, of the bare one */
static size_t n_stores;

static void
fail(const char *what)
{
	fprintf(stderr, "durable: %s\n", what);
	exit(1);
}

static void
names_of(size_t store, char name[16], char org_id[32])
{
	snprintf(name, 16, "org%05zu", store);
	snprintf(org_id, 32, "%024zx", store + 1);
}

static void
commit(int out_fd, size_t store, unsigned round)
{
	char name[16], org_id[32], json[EVENTS][700], scratch[EVENT_SCRATCH_SIZE], created[ISOTIME_LEN + 1];
	struct store_options options = { .dirfd = out_fd, .name = name, .org_id = org_id, .overlap_s = 3600 };
	int64_t from_s = DAY_S + (int64_t)round * 600;
	struct covered range = { .from_s = from_s, .to_s = from_s + 600, .as_of_s = from_s + 720 };
	struct event events[EVENTS];
	struct store *s;
	struct err e;

	names_of(store, name, org_id);
	err_clear(&e);
	s = store_open(&options, &e);
	if (s == NULL)
		fail(e.text);
	for (unsigned i = 0; i < EVENTS; i++) {
		struct event_scan scan;
		int len = snprintf(json[i], sizeof(json[i]), "{\"id\":\"%08x%016x\",\"created\":\"%s\",\"pad\":\"%0600d\"}",
		                   round, i, isotime_format_s(from_s + 60 * i, created), 0);

		if (event_scan(json[i], json[i] + len, scratch, &scan) == NULL || scan.fault != EVENT_SOUND)
			fail("no event");
		events[i] = scan.event;
		events[i].id = strstr(json[i], ":\"") + 2;
	}
	if (store_put(s, events, EVENTS, &e) != 0 || store_commit(s, &range, 1, true, &e) != 0)
		fail(e.text);
	store_close(s);
}

static const char *
renamed(const char *name, const char *was, const char *is)
{
	return strcmp(name, was) == 0 ? is : name;
}

/* The calls written down, for another organization. What they return is their own affair, as it was then. */
static void
play(int out_fd, size_t store)
{
	static const char zeros[1 << 17];
	char name[16], org_id[32], was_name[16], was_id[32], bytes[1 << 16];
	int open_fds[FDS_MAX] = { out_fd }, n = 1;
	struct stat st;

	names_of(store, name, org_id);
	names_of(0, was_name, was_id);
	for (size_t i = 0; i < n_ops; i++) {
		const struct op *op = &ops[i];
		const char *path = renamed(renamed(op->name, was_name, name), was_id, org_id);
		int fd = op->fd < 0 ? AT_FDCWD : open_fds[op->fd];
		ssize_t ignored = 0;

		switch (op->kind) {
		case OPENAT:
			fd = __real_openat(fd, path, op->flags, op->mode);
			if (op->fd2 >= 0)
				open_fds[n++] = fd;
			else if (fd >= 0)
				__real_close(fd);
			break;
		case FSTATAT:
			ignored = __real_fstatat(fd, path, &st, op->flags);
			break;
		case FSTAT:
			ignored = __real_fstat(fd, &st);
			break;
		case FACCESSAT:
			ignored = __real_faccessat(fd, path, op->mode, AT_SYMLINK_NOFOLLOW);
			break;
		case UNLINKAT:
			ignored = __real_unlinkat(fd, path, 0);
			break;
		case MKDIRAT:
			ignored = __real_mkdirat(fd, path, (mode_t)op->mode);
			break;
		case RENAMEAT:
			ignored = __real_renameat(fd, path, open_fds[op->fd2], renamed(op->name2, was_id, org_id));
			break;
		case FSYNC:
			if (__real_fsync(fd) != 0)
				fail("the bare calls are not the same: fsync");
			break;
		case WRITE:
			if (__real_write(fd, zeros, op->len) != (ssize_t)op->len)
				fail("the bare calls are not the same: write");
			break;
		case READ:
			ignored = __real_read(fd, bytes, op->len < sizeof(bytes) ? op->len : sizeof(bytes));
			break;
		case FLOCK:
			ignored = __real_flock(fd, op->flags);
			break;
		case CLOSE:
			ignored = __real_close(fd);
			break;
		case LIST: {
			DIR *dir = __real_fdopendir(fd);

			while (dir != NULL && readdir(dir) != NULL)
				;
			if (dir != NULL)
				closedir(dir);
			break;
		}
		}
		(void)ignored;
	}
}

/* ---- both, by several threads ---- */

struct turn { bool bare; int out_fd; unsigned round; _Atomic size_t next; };

static void *
work(void *arg)
{
	struct turn *turn = arg;
	size_t store;

	while ((store = atomic_fetch_add(&turn->next, 1)) < n_stores) {
		if (turn->bare)
			play(turn->out_fd, store);
		else
			commit(turn->out_fd, store, turn->round);
	}
	return NULL;
}

static double
now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Seconds of CPU of all threads. */
static double
cpu_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double
take_turn(bool bare, int out_fd, unsigned round, double *cpu)
{
	struct turn turn = { bare, out_fd, round, 1 }; /* 0 is the one that is written down */
	pthread_t threads[THREADS];
	double begun = now_s(), cpu_begun = cpu_s();

	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, work, &turn) != 0)
			fail("no thread");
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	*cpu += cpu_s() - cpu_begun;
	return now_s() - begun;
}

int
main(int argc, char **argv)
{
	double ours_s = 0, bare_s = 0, ours_cpu_s = 0, bare_cpu_s = 0;
	size_t fsyncs = 0, n_commits;
	int top;

	n_stores = argc == 3 ? (size_t)atol(argv[2]) / COMMITS_EACH + 1 : 0;
	if (n_stores < 2)
		fail("usage: durable DIRECTORY COMMITS");
	top = __real_openat(AT_FDCWD, argv[1], O_RDONLY | O_DIRECTORY, 0);
	for (int i = 0; i < 2; i++) {
		mkdirat(top, i == 0 ? "ours" : "bare", 0700);
		out_fds[i] = __real_openat(top, i == 0 ? "ours" : "bare", O_RDONLY | O_DIRECTORY, 0);
		commit(out_fds[i], 0, 0);
		take_turn(false, out_fds[i], 0, &bare_cpu_s);
	}
	fds[n_fds++] = out_fds[0];
	recording = true;
	commit(out_fds[0], 0, 1);
	recording = false;
	if (n_ops == OPS_MAX || n_fds == FDS_MAX)
		fail("a commit has more calls than there is room for");
	for (size_t i = 0; i < n_ops; i++)
		fsyncs += ops[i].kind == FSYNC;
	sync();
	bare_cpu_s = 0;
	/* Whoever comes second finds more that was removed just now: each does so as often. */
	for (unsigned round = 1; round <= COMMITS_EACH; round++) {
		if (round % 2 == 0)
			bare_s += take_turn(true, out_fds[1], round, &bare_cpu_s);
		ours_s += take_turn(false, out_fds[0], round, &ours_cpu_s);
		if (round % 2 == 1)
			bare_s += take_turn(true, out_fds[1], round, &bare_cpu_s);
	}
	n_commits = (n_stores - 1) * COMMITS_EACH;
	printf("%.3f %.3f seconds for %zu commits and for their system calls alone; of CPU %.3f and %.3f ms a commit; "
	       "%zu calls, %zu of them fsync\n", ours_s, bare_s, n_commits, ours_cpu_s / (double)n_commits * 1e3,
	       bare_cpu_s / (double)n_commits * 1e3, n_ops, fsyncs);
	return 0;
}
