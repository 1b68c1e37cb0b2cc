/* The n-th allocation fails, in the real program: `orgsync sync` over plain http, for every n; once that one alone,
 * once every one from there on. Each time: the program ends by itself, in time, without a leak, with one of its
 * exit codes and a word about memory where it failed; the archive is sound; and the next run, which has memory,
 * ends with the very day files of a run that was never disturbed.
 *
 * `make check` takes every n of the first scenario, that one alone, and of the rest a share evenly over all n;
 * `make check-long` every n of everything.
 *
 *   ORGSYNC_TEST_ONE=KIND:N  this case alone, with what the program says and where the memory was asked for
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/log.h"
#include "lib/store/store.h"
#include "tests/crash/alloc_hooks.h"
#include "tests/crash/event_server.h"
#include "tests/support/cases.h"

#define SHARE ((size_t)70)    /* of a scenario that is not played for every n */
#define JOBS 6                /* most of a case's time is waiting: for pauses, for the disk */
#define RUN_MAX_MS 60000
#define FASTER 20             /* the program's own clock runs so much faster, so that pauses are short */
#define EVENTS 15
#define STEP_S (3 * 3600)     /* nearly two days */
#define TREE_MAX ((size_t)1 << 20)
#define CODE_LEAK 99
#define ORG_A "32b6e34b3d91647abb20e7b8"
#define ORG_B "32b6e34b3d91647abb20e7b9"

enum { PLAIN_FIRST, ACCOUNT_NEXT, TWO_FIRST, SCENARIOS };

struct scenario {
	const char *name, *orgs;
	const char *compression;
	const char *settle_before; /* NULL: there was no run before */
	char dir[240];             /* what each case begins with */
	struct buf tree;           /* the day files that each must end with */
	size_t n_allocations;
};

static struct scenario scenarios[SCENARIOS] = {
	{ .name = "first run, digest", .compression = "none", .orgs =
	  "- {name: acme, org_id: " ORG_A ", public_key: abcdefgh, private_key: secret-of-acme}\n" },
	{ .name = "next run, service account, merge, gzip", .compression = "gzip", .settle_before = "20h", .orgs =
	  "- {name: acme, org_id: " ORG_A ", client_id: mdb_sa_id_1, client_secret: secret-of-acme}\n" },
	{ .name = "two organizations, zstd", .compression = "zstd", .orgs =
	  "- {name: acme, org_id: " ORG_A ", public_key: abcdefgh, private_key: secret-of-acme}\n"
	  "- {name: globex, org_id: " ORG_B ", client_id: mdb_sa_id_2, client_secret: secret-of-globex}\n" },
};

/* What the processes of the test share. */
static struct {
	atomic_size_t n_allocations, cases, failed_runs, failures;
} *shared;

static char top_dir[200];
static int server_port;
static char *config_start;    /* backfill_start_time */

int orgsync_main(int argc, char **argv);

/* NOLINTBEGIN(bugprone-reserved-identifier): the names are the linker's. */
int __real_clock_gettime(clockid_t clock, struct timespec *ret);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret);
int __real_epoll_wait(int fd, struct epoll_event *events, int n, int timeout_ms);
int __wrap_epoll_wait(int fd, struct epoll_event *events, int n, int timeout_ms);
int __real_curl_multi_poll(void *multi, void *fds, unsigned n, int timeout_ms, int *ret_n);
int __wrap_curl_multi_poll(void *multi, void *fds, unsigned n, int timeout_ms, int *ret_n);

int
__wrap_clock_gettime(clockid_t clock, struct timespec *ret)
{
	int rc = __real_clock_gettime(clock, ret);
	int64_t ns;

	if (rc != 0 || clock != CLOCK_MONOTONIC)
		return rc;
	ns = (ret->tv_sec * INT64_C(1000000000) + ret->tv_nsec) * FASTER;
	ret->tv_sec = ns / 1000000000;
	ret->tv_nsec = ns % 1000000000;
	return 0;
}

int
__wrap_epoll_wait(int fd, struct epoll_event *events, int n, int timeout_ms)
{
	return __real_epoll_wait(fd, events, n, (timeout_ms + FASTER - 1) / FASTER);
}

int
__wrap_curl_multi_poll(void *multi, void *fds, unsigned n, int timeout_ms, int *ret_n)
{
	return __real_curl_multi_poll(multi, fds, n, (timeout_ms + FASTER - 1) / FASTER, ret_n);
}
/* NOLINTEND(bugprone-reserved-identifier) */

__attribute__((format(printf, 1, 2))) static void
fail(const char *format, ...)
{
	va_list args;

	atomic_fetch_add(&shared->failures, 1);
	va_start(args, format);
	fputs("FAIL: ", stdout);
	vfprintf(stdout, format, args);
	fputc('\n', stdout);
	va_end(args);
	fflush(stdout);
}

static void
need(bool held, const char *what)
{
	if (held)
		return;
	perror(what);
	exit(2);
}

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	return remove(path);
}

static void
remove_tree(const char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void
copy_tree(const char *from, const char *to)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		execlp("cp", "cp", "-a", from, to, (char *)NULL);
		_exit(127);
	}
	need(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0, "cp");
}

static void
write_config(const char *dir, const struct scenario *s, const char *compression, const char *settle)
{
	char path[300];
	FILE *f;

	snprintf(path, sizeof(path), "%s/orgsync.yaml", dir);
	f = fopen(path, "w");
	need(f != NULL && fchmod(fileno(f), 0600) == 0, path);
	fprintf(f, "version: 1\natlas: {base_url: \"http://127.0.0.1:%d\"}\n"
	        "output: {directory: archive, compression: %s}\nlimits: {workers: 2, in_flight: 4}\n"
	        "defaults: {settle: %s, backfill_start_time: %s}\norganizations:\n%s", server_port, compression,
	        settle, config_start, s->orgs);
	need(fclose(f) == 0, path);
}

/* ---- one run of the program ---- */

/* In a process of its own: never returns. */
static _Noreturn void
be_orgsync(const char *dir, size_t fail_at, bool on)
{
	char *argv[] = { (char[]){ "orgsync" }, (char[]){ "sync" }, (char[]){ "--config" },
		         (char[]){ "orgsync.yaml" }, NULL };
	size_t live;
	int code, fd;

	if (chdir(dir) != 0)
		_exit(98);
	fd = open("output", O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
	if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
		_exit(98);
	close(fd);
	alloc_hooks_arm(fail_at, on);
	code = orgsync_main(4, argv);
	atomic_store(&shared->n_allocations, alloc_hooks_disarm(&live));
	fflush(stdout);
	if (live > 0) {
		alloc_hooks_print_live();
		_exit(CODE_LEAK);
	}
	_exit(code);
}

/* The exit code, -signal, or -1000 where it did not end. */
static int
run(const char *dir, size_t fail_at, bool on)
{
	struct timespec pause = { 0, 500000 }, begun, now;
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	need(pid >= 0, "fork");
	if (pid == 0)
		be_orgsync(dir, fail_at, on);
	__real_clock_gettime(CLOCK_MONOTONIC, &begun);
	while (waitpid(pid, &status, WNOHANG) == 0) {
		nanosleep(&pause, NULL);
		if (pause.tv_nsec < 5000000)
			pause.tv_nsec += 500000;
		__real_clock_gettime(CLOCK_MONOTONIC, &now);
		if ((now.tv_sec - begun.tv_sec) * 1000 > RUN_MAX_MS) {
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
			return -1000;
		}
	}
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/* ---- what is there after it ---- */

static bool
read_file(const char *dir, const char *name, struct buf *b)
{
	char path[600];
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "rb");
	if (f == NULL)
		return false;
	while (buf_reserve(b, 4096) == 0 && (n = fread(b->data + b->len, 1, 4096, f)) > 0)
		b->len += n;
	fclose(f);
	return true;
}

/* Appends the name and the content of every file below dir/name, in the order of the names. */
static void
add_tree(const char *dir, const char *name, struct buf *b)
{
	struct dirent **entries = NULL;
	char path[600], below[600];
	int n;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	n = scandir(path, &entries, NULL, alphasort);
	if (n < 0 && errno == ENOTDIR) {
		need(buf_printf(b, "== %s\n", name) == 0 && read_file(dir, name, b), name);
		return;
	}
	for (int i = 0; i < n; i++) {
		if (strcmp(entries[i]->d_name, ".") != 0 && strcmp(entries[i]->d_name, "..") != 0) {
			snprintf(below, sizeof(below), "%s/%s", name, entries[i]->d_name);
			add_tree(dir, below, b);
		}
		free(entries[i]);
	}
	free(entries);
}

static void
read_days(const char *dir, struct buf *b)
{
	buf_init(b, TREE_MAX);
	add_tree(dir, "archive/acme/events", b);
	add_tree(dir, "archive/globex/events", b);
}

static bool
same_days(const char *dir, const struct buf *want)
{
	struct buf b;
	bool same;

	read_days(dir, &b);
	same = b.len == want->len && memcmp(b.data, want->data, b.len) == 0;
	buf_free(&b);
	return same;
}

struct verdict { int damaged; char text[300]; };

/* A gap between ranges that were read is the next run's work, no damage. */
static void
found(void *ctx, const struct store_finding *finding)
{
	struct verdict *v = ctx;

	if (finding->path == NULL)
		return;
	if (v->damaged++ == 0)
		snprintf(v->text, sizeof(v->text), "%s: %s", finding->path, finding->text);
}

static void
check_sound(const char *dir, const char *org, const char *org_id, const char *what)
{
	struct store_options o = { .name = org, .org_id = org_id, .overlap_s = 3600, .read_only = true };
	struct verdict v = { 0, "" };
	char path[300];
	struct store *s;
	struct err e;
	int n = -1;

	snprintf(path, sizeof(path), "%s/archive", dir);
	o.dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (o.dirfd < 0)
		return; /* it did not come so far */
	err_clear(&e);
	s = store_open(&o, &e);
	if (s != NULL)
		n = store_verify(s, found, &v, &e);
	if (n < 0 || v.damaged > 0)
		fail("%s: the archive of %s is damaged: %s", what, org, n < 0 ? e.text : v.text);
	store_close(s);
	close(o.dirfd);
}

static void
check_said(const char *dir, int code, const char *what)
{
	struct buf b;

	buf_init(&b, TREE_MAX);
	need(read_file(dir, "output", &b) && buf_str(&b) != NULL, "output");
	if (code != 1 && code != 3 && code != 4)
		fail("%s: ended with %d: %.1500s", what, code, b.data);
	else if (strcasestr(b.data, "memory") == NULL)
		fail("%s: ended with %d and no word about memory: %.1500s", what, code, b.data);
	if (strstr(b.data, "secret-of") != NULL || strstr(b.data, "tok-1") != NULL)
		fail("%s: a secret in the output: %.1500s", what, b.data);
	buf_free(&b);
}

/* A run that nothing disturbs. */
static void
run_calmly(const char *dir, const char *what)
{
	int code = run(dir, 0, false);
	struct buf b;

	if (code == 0)
		return;
	buf_init(&b, TREE_MAX);
	need(read_file(dir, "output", &b) && buf_str(&b) != NULL, "output");
	fail("%s ends with %d: %.1500s", what, code, b.data);
	buf_free(&b);
}

static void
print_output(const char *dir, int code)
{
	struct buf b;

	buf_init(&b, TREE_MAX);
	need(read_file(dir, "output", &b) && buf_str(&b) != NULL, "output");
	printf("ended with %d:\n%s", code, b.data);
	buf_free(&b);
}

/* ---- cases ---- */

static void
play(const struct scenario *s, size_t fail_at, bool on)
{
	char dir[300], what[240], after[260];
	int code;

	snprintf(dir, sizeof(dir), "%s/case-%ld", top_dir, (long)getpid());
	snprintf(what, sizeof(what), "%s, allocation %zu%s (ORGSYNC_TEST_ONE=%d:%zu)", s->name, fail_at,
	         on ? " and on" : "", (int)(s - scenarios) * 2 + on, fail_at);
	copy_tree(s->dir, dir);
	code = run(dir, fail_at, on);
	if (getenv("ORGSYNC_TEST_ONE") != NULL)
		print_output(dir, code);
	atomic_fetch_add(&shared->cases, 1);
	if (code != 0) {
		atomic_fetch_add(&shared->failed_runs, 1);
		check_said(dir, code, what);
	} else if (!same_days(dir, &s->tree)) {
		fail("%s: ended with 0, and the day files are not those of an undisturbed run", what);
	}
	check_sound(dir, "acme", ORG_A, what);
	check_sound(dir, "globex", ORG_B, what);
	snprintf(after, sizeof(after), "%s: the next run", what);
	run_calmly(dir, after);
	if (!same_days(dir, &s->tree))
		fail("%s does not make the day files of an undisturbed run", after);
	if (getenv("ORGSYNC_TEST_ONE") == NULL)
		remove_tree(dir);
}

/* Every JOBS-th case, in a process of its own. */
static void
play_share(size_t share)
{
	size_t at = 0;

	for (int i = 0; i < SCENARIOS; i++)
		for (int on = 0; on < 2; on++) {
			size_t n = scenarios[i].n_allocations;
			size_t count = test_cases(i == PLAIN_FIRST && !on ? n : SHARE < n ? SHARE : n, n);

			for (size_t k = 0; k < count; k++)
				if (at++ % JOBS == share)
					play(&scenarios[i], 1 + k * n / count, on);
		}
}

static void
prepare(struct scenario *s, int index)
{
	char dir[300];

	snprintf(s->dir, sizeof(s->dir), "%s/scenario-%d", top_dir, index);
	need(mkdir(s->dir, 0700) == 0, s->dir);
	if (s->settle_before != NULL) {
		write_config(s->dir, s, "none", s->settle_before);
		run_calmly(s->dir, "the run before");
	}
	write_config(s->dir, s, s->compression, "1m");
	snprintf(dir, sizeof(dir), "%s-undisturbed", s->dir);
	copy_tree(s->dir, dir);
	run_calmly(dir, s->name);
	s->n_allocations = atomic_load(&shared->n_allocations);
	read_days(dir, &s->tree);
	if (s->tree.len < 100 || s->n_allocations < 400)
		fail("%s: %zu bytes in day files, %zu allocations", s->name, s->tree.len, s->n_allocations);
	printf("%s: %zu allocations\n", s->name, s->n_allocations);
}

static void
play_all(void)
{
	const char *one = getenv("ORGSYNC_TEST_ONE");
	pid_t pids[JOBS];
	int status;

	if (one != NULL) {
		int kind = atoi(one), colon = (int)strcspn(one, ":");

		need(kind >= 0 && kind < SCENARIOS * 2, "ORGSYNC_TEST_ONE");
		play(&scenarios[kind / 2], one[colon] == ':' ? strtoul(one + colon + 1, NULL, 10) : 0, kind % 2);
		return;
	}
	fflush(stdout);
	for (size_t i = 0; i < JOBS; i++) {
		pids[i] = fork();
		need(pids[i] >= 0, "fork");
		if (pids[i] == 0) {
			play_share(i);
			_exit(0);
		}
	}
	for (size_t i = 0; i < JOBS; i++)
		if (waitpid(pids[i], &status, 0) != pids[i] || status != 0)
			fail("a process of the test ended with %d", status);
}

int
main(void)
{
	const char *tmp = getenv("TMPDIR");
	time_t newest_s = time(NULL) - 3600, start_s = newest_s - (time_t)EVENTS * STEP_S;
	char start[40];
	pid_t server;
	size_t cases, failures;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	need(shared != MAP_FAILED, "mmap");
	if (tmp == NULL)
		tmp = access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : "/tmp";
	snprintf(top_dir, sizeof(top_dir), "%s/orgsync-alloc-XXXXXX", tmp);
	need(mkdtemp(top_dir) != NULL, top_dir);
	strftime(start, sizeof(start), "%Y-%m-%dT%H:%M:%SZ", gmtime(&start_s));
	config_start = start;
	server = event_server_begin(newest_s, STEP_S, EVENTS, &server_port);
	for (int i = 0; i < SCENARIOS; i++)
		prepare(&scenarios[i], i);
	if (atomic_load(&shared->failures) == 0)
		play_all();
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	if (getenv("ORGSYNC_TEST_ONE") == NULL)
		remove_tree(top_dir);
	else
		printf("what is left is in %s\n", top_dir);
	for (int i = 0; i < SCENARIOS; i++)
		buf_free(&scenarios[i].tree);
	cases = atomic_load(&shared->cases);
	failures = atomic_load(&shared->failures);
	test_cases_played("an allocation fails", cases);
	printf("in %zu of them the run failed, in the others it got over it\n", atomic_load(&shared->failed_runs));
	printf("100%%: Checks: %zu, Failures: %zu, Errors: 0\n", cases, failures < cases ? failures : cases);
	return failures > 0;
}
