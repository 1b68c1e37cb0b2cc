/* test_store_crash.c: a run is ended before each of its steps that change the disk, and gone on with.
 *
 * Killed: the process is gone, the disk has all it was told. Power lost: of each directory and file only
 * what was fsynced is left. Torn: of each name and each file that was not fsynced it is left to chance
 * whether it is there, old or new. Killed, and then one of these while the next run repairs. Failed: the
 * step, or an allocation, returns an error. Then the run is done again, and the archive must be what it
 * is after an undisturbed run, byte for byte, and stay so when it is done once more.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/base/isotime.h"
#include "lib/base/rng.h"
#include "tests/unit/store_support.h"

#define NAME "acme"
#define OVERLAP_S 3600
#define SETTLE_S 120
#define PAGE 13 /* events a question; a second that holds more is asked with more */
#define KILLED 77
#define MAX_RUNS 3

/* A process costs twenty times as much under the sanitizers; each step is ended before in the plain build. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STRIDE 11
#else
#define STRIDE 1
#endif

/* The disk's slowness is not what is tested: what an fsync promises is modelled below. */
int fsync(int fd);
int
fsync(int fd)
{
	return fcntl(fd, F_GETFD) < 0 ? -1 : 0;
}

/* Allocations of lib/ fail on demand (the linker's --wrap). */
static long alloc_fails_after = -1;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);

static bool
alloc_fails(void)
{
	return alloc_fails_after >= 0 && alloc_fails_after-- == 0;
}

void *
__wrap_malloc(size_t size)
{
	return alloc_fails() ? NULL : __real_malloc(size);
}

void *
__wrap_calloc(size_t n, size_t size)
{
	return alloc_fails() ? NULL : __real_calloc(n, size);
}

void *
__wrap_realloc(void *p, size_t size)
{
	return alloc_fails() ? NULL : __real_realloc(p, size);
}

/* What the server holds, and what is asked of it ------------------------------------------------------ */

struct held { int64_t created_s; unsigned ms, id, pad; unsigned from_run; };

struct scenario {
	const char *name;
	unsigned n_runs, from_run;   /* those before from_run only make what is there already */
	unsigned times;              /* that an ending which is left to chance is tried */
	struct {
		enum ledger_suffix suffix;
		int64_t start_s, now_s;
		unsigned pages_a_commit;
		size_t cap_bytes;
	} run[MAX_RUNS];
};

static const struct scenario scenarios[] = {
	{ "first run", 1, 0, 3, { { LEDGER_PLAIN, BASE_S - DAY_S, BASE_S + 40000, 2, 0 } } },
	{ "next runs", 3, 1, 1, { { LEDGER_PLAIN, BASE_S - DAY_S, BASE_S + 20000, 9, 0 },
	                          { LEDGER_PLAIN, BASE_S - DAY_S, BASE_S + 22000, 1, 0 },
	                          { LEDGER_PLAIN, BASE_S - DAY_S, BASE_S + DAY_S + 9000, 3, 0 } } },
	{ "backfill", 2, 1, 1, { { LEDGER_ZSTD, BASE_S, BASE_S + 50000, 4, 0 },
	                         { LEDGER_ZSTD, BASE_S - 3 * DAY_S, BASE_S + 60000, 2, 0 } } },
	{ "compressed", 2, 1, 1, { { LEDGER_GZIP, BASE_S - DAY_S, BASE_S + 30000, 4, 0 },
	                           { LEDGER_GZIP, BASE_S - DAY_S, BASE_S + 45000, 1, 0 } } },
	{ "suffix change", 3, 1, 4, { { LEDGER_PLAIN, BASE_S - DAY_S, BASE_S + 30000, 9, 0 },
	                              { LEDGER_GZIP, BASE_S - DAY_S, BASE_S + 45000, 1, 0 },
	                              { LEDGER_ZSTD, BASE_S - DAY_S - 9000, BASE_S + 75000, 2, 0 } } },
	{ "small memory", 2, 0, 1, { { LEDGER_PLAIN, BASE_S - DAY_S, BASE_S + 30000, 2, 3000 },
	                             { LEDGER_PLAIN, BASE_S - DAY_S, BASE_S + 50000, 1, 3000 } } },
};
#define N_SCENARIOS ((int)(sizeof(scenarios) / sizeof(scenarios[0])))

#define N_HELD 80
static struct held held[N_HELD];
static struct event events[N_HELD];      /* of held, in the same order: newest first */
static unsigned from_run[N_HELD];

static int
newest_first(const void *a, const void *b)
{
	const struct held *x = a, *y = b;

	if (x->created_s != y->created_s)
		return x->created_s < y->created_s ? 1 : -1;
	return x->id % 7 < y->id % 7 ? -1 : x->id % 7 > y->id % 7; /* inside a second: no order of note */
}

static void
make_events(uint64_t seed)
{
	struct rng r;

	rng_seed(&r, seed);
	for (unsigned i = 0; i < N_HELD; i++) {
		struct held *h = &held[i];

		h->id = i + 1;
		h->created_s = BASE_S - 3 * DAY_S + (int64_t)rng_below(&r, 4 * DAY_S + 9000);
		if (i % 5 == 0) /* a second with many, next to midnight */
			h->created_s = BASE_S - 1 + (int64_t)rng_below(&r, 2);
		if (i % 7 == 0) /* the hour before the first run's end: some of them late */
			h->created_s = BASE_S + 20000 - (int64_t)rng_below(&r, 3000);
		h->from_run = i % 14 == 0 ? 1 + i % 2 : 0;
		h->ms = rng_below(&r, 3) == 0 ? (unsigned)rng_below(&r, 1000) : 0;
		h->pad = 1 + (unsigned)rng_below(&r, 60);
	}
	qsort(held, N_HELD, sizeof(held[0]), newest_first);
	for (unsigned i = 0; i < N_HELD; i++) {
		events[i] = test_event(held[i].id, held[i].created_s, held[i].ms, held[i].pad);
		from_run[i] = held[i].from_run;
	}
}

#define POISONED_S (BASE_S + 3)
static const char poisoned[] = "{\"id\":5,\"created\":\"soon\"}"; /* of that second, as the server knows */

/* Reads one gap newest to oldest, by time. 0, or -1 as soon as the store fails. */
static int
read_gap(struct store *s, const struct scenario *sc, unsigned run, const struct gap *gap,
         unsigned *pages, struct covered *ranges, size_t *n_ranges, struct err *e)
{
	int64_t end_s = gap->to_s, from_s = gap->from_s, oldest_s;
	unsigned want = PAGE, i, n;

	while (end_s > gap->from_s) {
		for (oldest_s = gap->from_s, i = n = 0; i < N_HELD && n <= want; i++)
			if (from_run[i] <= run && held[i].created_s < end_s && held[i].created_s >= gap->from_s) {
				oldest_s = held[i].created_s;
				n++;
			}
		if (n > want && oldest_s + 1 >= end_s) {
			want *= 2;
			continue;
		}
		from_s = n > want ? oldest_s + 1 : gap->from_s;
		for (i = 0; i < N_HELD; i++)
			if (from_run[i] <= run && held[i].created_s < end_s && held[i].created_s >= from_s &&
			    store_put(s, &events[i], 1, e) != 0)
				return -1;
		if (from_s <= POISONED_S && end_s > POISONED_S &&
		    store_quarantine(s, poisoned, strlen(poisoned), e) != 0)
			return -1;
		ranges[(*n_ranges)++] = (struct covered){ from_s, end_s, sc->run[run].now_s, INT64_MAX,
			{ NULL, 0, true } };
		end_s = from_s;
		if (++*pages % sc->run[run].pages_a_commit != 0)
			continue;
		if (store_commit(s, ranges, *n_ranges, false, e) != 0)
			return -1;
		*n_ranges = 0;
	}
	return 0;
}

/* One run, as lib/sync does it. 0 or -1. */
static int
do_run(const struct place *p, const struct scenario *sc, unsigned run, struct err *e)
{
	struct store_options o = { .dirfd = p->fd, .name = NAME, .org_id = ORG_A,
		.suffix = sc->run[run].suffix, .overlap_s = OVERLAP_S,
		.pending_cap_bytes = sc->run[run].cap_bytes };
	struct question asked = { NULL, 0, true };
	struct covered ranges[200];
	struct gap *gaps = NULL;
	size_t n_gaps = 0, n_ranges = 0;
	unsigned pages = 0;
	int rc = -1;
	struct store *s;

	err_clear(e);
	s = store_open(&o, e);
	if (s == NULL || store_set_since(s, BASE_S, e) != 0)
		goto out;
	if (ledger_missing(store_ledger(s), sc->run[run].start_s, sc->run[run].now_s - SETTLE_S, &asked,
	                   OVERLAP_S, &gaps, &n_gaps) != 0) {
		err_set_errno(e, ENOMEM, "gaps");
		goto out;
	}
	for (size_t i = n_gaps; i > 0; i--)
		if (read_gap(s, sc, run, &gaps[i - 1], &pages, ranges, &n_ranges, e) != 0)
			goto out;
	rc = store_commit(s, ranges, n_ranges, true, e);
out:
	if (rc != 0 && s != NULL && strcmp(e->text, "gaps: Cannot allocate memory") != 0)
		HOLDS( /* after a failure nothing more is written */
		      store_set_since(s, 5, NULL) == -1 && store_commit(s, NULL, 0, true, NULL) == -1, "it goes on");
	store_close(s);
	free(gaps);
	return rc;
}

/* Trees --------------------------------------------------------------------------------------------- */

static void
copy_file(int from_dirfd, const char *name, int to_dirfd)
{
	char block[4096];
	int from = openat(from_dirfd, name, O_RDONLY), to;
	ssize_t n;

	HOLDS(from >= 0, "%s", name);
	to = openat(to_dirfd, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
	HOLDS(to >= 0, "%s: %s", name, strerror(errno));
	while ((n = read(from, block, sizeof(block))) > 0)
		HOLDS(write(to, block, (size_t)n) == n, "%s", name);
	close(from);
	close(to);
}

static int
open_dir(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY);

	HOLDS(fd >= 0, "%s: %s", name, strerror(errno));
	return fd;
}

static void
copy_tree(int from_fd, int to_fd)
{
	DIR *dir = fdopendir(open_dir(from_fd, "."));
	struct dirent *entry;
	int from, to;

	while ((entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (entry->d_type != DT_DIR) {
			copy_file(from_fd, entry->d_name, to_fd);
			continue;
		}
		HOLDS(mkdirat(to_fd, entry->d_name, 0700) == 0, "%s", strerror(errno));
		from = open_dir(from_fd, entry->d_name);
		to = open_dir(to_fd, entry->d_name);
		copy_tree(from, to);
		close(from);
		close(to);
	}
	closedir(dir);
}

/* A disk that keeps what was fsynced ------------------------------------------------------------------
 *
 * Each inode that a directory listed or a file synced is held by a link, so that its number is not given
 * away again. A directory's durable content is the list of its names at its last fsync; a file's, its bytes
 * at its last fsync. */
#define MAX_NAMES 4000

struct durable_name { ino_t dir, ino; bool is_dir; char name[256]; };
static struct disk { size_t n; struct durable_name name[MAX_NAMES]; } *disk; /* shared with the children */
static struct place shadow;      /* link-N: an inode kept; data-N: its durable bytes */

static void
keep_inode(int dirfd, const char *name, ino_t ino)
{
	char link[40];

	snprintf(link, sizeof(link), "link-%ju", (uintmax_t)ino);
	if (linkat(dirfd, name, shadow.fd, link, 0) != 0 && errno != EEXIST)
		ck_abort_msg("%s: %s", name, strerror(errno));
}

static void
sync_dir(int fd)
{
	DIR *dir = fdopendir(open_dir(fd, "."));
	struct dirent *entry;
	struct stat st, own;
	size_t kept = 0;

	HOLDS(fstat(fd, &own) == 0, "%s", strerror(errno));
	for (size_t i = 0; i < disk->n; i++)
		if (disk->name[i].dir != own.st_ino)
			disk->name[kept++] = disk->name[i];
	disk->n = kept;
	while ((entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		HOLDS(fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0, "%s", strerror(errno));
		if (!S_ISDIR(st.st_mode))
			keep_inode(fd, entry->d_name, st.st_ino);
		HOLDS(disk->n < MAX_NAMES, "too many names");
		disk->name[disk->n] = (struct durable_name){ own.st_ino, st.st_ino, S_ISDIR(st.st_mode), "" };
		snprintf(disk->name[disk->n++].name, sizeof(disk->name[0].name), "%s", entry->d_name);
	}
	closedir(dir);
}

/* Copies what is read from `path` to the file `name` below dirfd; len: how much of it, -1: all. */
static void
copy_bytes(const char *path, int dirfd, const char *name, off_t len)
{
	char block[4096];
	int from = open(path, O_RDONLY), to = openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ssize_t n;

	HOLDS(to >= 0, "%s", name);
	while (from >= 0 && len != 0 &&
	       (n = read(from, block, len < 0 || len > (off_t)sizeof(block) ? sizeof(block) : (size_t)len)) > 0) {
		HOLDS(write(to, block, (size_t)n) == n, "%s", name);
		len -= len < 0 ? 0 : n;
	}
	if (from >= 0)
		close(from);
	close(to);
}

static void
sync_file(int fd)
{
	char self[40], data[40];
	struct stat st;

	HOLDS(fstat(fd, &st) == 0, "%s", strerror(errno));
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	snprintf(data, sizeof(data), "data-%ju", (uintmax_t)st.st_ino);
	copy_bytes(self, shadow.fd, data, -1);
}

static void
sync_fd(int fd)
{
	struct stat st;

	HOLDS(fstat(fd, &st) == 0, "%s", strerror(errno));
	if (S_ISDIR(st.st_mode))
		sync_dir(fd);
	else
		sync_file(fd);
}

/* Everything below fd is durable: where a run begins. */
static void
sync_tree(int fd)
{
	DIR *dir = fdopendir(open_dir(fd, "."));
	struct dirent *entry;
	int below;

	while ((entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		below = openat(fd, entry->d_name, O_RDONLY);
		HOLDS(below >= 0, "%s", entry->d_name);
		if (entry->d_type == DT_DIR)
			sync_tree(below);
		else
			sync_file(below);
		close(below);
	}
	closedir(dir);
	sync_dir(fd);
}

static const struct durable_name *
durable(ino_t dir, const char *name)
{
	for (size_t i = 0; i < disk->n; i++)
		if (disk->name[i].dir == dir && strcmp(disk->name[i].name, name) == 0)
			return &disk->name[i];
	return NULL;
}

static void lose_below(int now_fd, ino_t dir, int to_fd, struct rng *torn);

/* What is left of one name: the inode (0: nothing) it leads to. */
static void
lose_name(int now_fd, ino_t dir, const char *name, int to_fd, struct rng *torn)
{
	const struct durable_name *old = durable(dir, name);
	struct stat st;
	bool is_there = fstatat(now_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0, keeps_new;
	char data[300], link[300];
	int from, to;

	keeps_new = torn != NULL && rng_below(torn, 2) == 0;
	if (keeps_new ? !is_there : old == NULL)
		return;
	if (keeps_new ? S_ISDIR(st.st_mode) : old->is_dir) {
		HOLDS(mkdirat(to_fd, name, 0700) == 0, "%s", strerror(errno));
		from = open_dir(now_fd, name);
		to = open_dir(to_fd, name);
		lose_below(from, keeps_new ? st.st_ino : old->ino, to, torn);
		close(from);
		close(to);
		return;
	}
	snprintf(data, sizeof(data), "%s/data-%ju", shadow.path, (uintmax_t)(keeps_new ? st.st_ino : old->ino));
	snprintf(link, sizeof(link), "/proc/self/fd/%d/%s", now_fd, name);
	if (keeps_new && access(data, F_OK) != 0) /* never synced: some of its bytes, or all */
		copy_bytes(link, to_fd, name, (off_t)rng_below(torn, (uint64_t)st.st_size + 2));
	else
		copy_bytes(data, to_fd, name, -1);
}

/* Builds in to_fd what a loss of power leaves of the directory now_fd. torn NULL: the least there can be. */
static void
lose_below(int now_fd, ino_t dir, int to_fd, struct rng *torn)
{
	struct dirent *entry;
	DIR *now;

	for (size_t i = 0; i < disk->n; i++)
		if (disk->name[i].dir == dir)
			lose_name(now_fd, dir, disk->name[i].name, to_fd, torn);
	if (torn == NULL)
		return;
	now = fdopendir(open_dir(now_fd, "."));
	while ((entry = readdir(now)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
		    durable(dir, entry->d_name) == NULL)
			lose_name(now_fd, dir, entry->d_name, to_fd, torn);
	closedir(now);
}

/* Ending a run --------------------------------------------------------------------------------------- */

/* TWICE: killed, and while the next run repairs that, the power fails: what the first process did and had
 * no time to fsync the second one finds, and must not take for durable. */
enum ending { KILL, POWER_LOSS, TWICE, TORN, TWICE_TORN, N_ENDINGS };
static const char *const ending_names[] = { "killed", "power lost", "killed, then power lost", "torn",
	"killed, then torn" };

static struct place work, lost;
static long steps_left;
static enum ending ending;
static bool modelled;            /* what is durable is kept account of */
static int synced_fd;            /* of the fsync that the last step was; -1: it was none */
static uint64_t torn_seed;

static int
end_here(const char *kind, int fd, const char *what)
{
	struct rng torn;
	struct stat st;

	(void)what;
	if (synced_fd >= 0) {
		sync_fd(synced_fd);
		close(synced_fd);
	}
	synced_fd = modelled && strcmp(kind, "fsync") == 0 ? dup(fd) : -1; /* the step itself comes after this */
	if (steps_left-- > 0)
		return 0;
	if (ending != KILL) {
		rng_seed(&torn, torn_seed);
		HOLDS(fstat(work.fd, &st) == 0, "%s", strerror(errno));
		lose_below(work.fd, st.st_ino, lost.fd, ending == TORN ? &torn : NULL);
	}
	_exit(KILLED);
}

static const char *
tree_text(const struct place *p, const char *path, struct buf *b)
{
	buf_reset(b);
	if (test_exists(p, path))
		test_tree(p, path, b);
	HOLDS(buf_str(b) != NULL, "memory");
	return b->data;
}

static int findings;

static void
tell(void *ctx, const struct store_finding *f)
{
	(void)ctx;
	findings++;
	printf("%s: %s\n", f->path == NULL ? "(range)" : f->path, f->text);
}

/* Compares two texts; names the first line in which they differ. */
static void
same_text(const char *a, const char *b, const struct scenario *sc, unsigned run, const char *when)
{
	const char *line = a;
	size_t i;

	for (i = 0; a[i] != '\0' && a[i] == b[i]; i++)
		if (a[i] == '\n')
			line = a + i + 1;
	HOLDS(a[i] == b[i], "%s run %u, %s: \"%.150s\" became \"%.150s\"", sc->name, run, when, line,
	      b + (line - a));
}

/* What must be true of an archive after a run that came to its end. */
static void
expect_whole(const struct place *p, const struct scenario *sc, unsigned run, const char *expected,
             const char *when)
{
	struct store_options o = { .dirfd = p->fd, .name = NAME, .org_id = ORG_A, .overlap_s = OVERLAP_S,
		.read_only = true };
	struct question asked = { NULL, 0, true };
	struct gap *gaps = NULL;
	struct store *s;
	struct buf b;
	struct err e;
	size_t n = 0;

	buf_init(&b, 1 << 24);
	err_clear(&e);
	same_text(expected, tree_text(p, NAME "/events", &b), sc, run, when);
	s = store_open(&o, &e);
	HOLDS(s != NULL, "%s: %s: %s", sc->name, when, e.text);
	findings = 0;
	HOLDS(store_verify(s, tell, NULL, &e) == 0 && findings == 0, "%s: %s", sc->name, when);
	HOLDS(store_ledger(s)->n_staging == 0, "%s: %s", sc->name, when);
	HOLDS(store_ledger(s)->n_becoming == 0, "%s: %s", sc->name, when);
	ck_assert(store_ledger(s)->since_s == BASE_S);
	HOLDS(ledger_missing(store_ledger(s), sc->run[run].start_s, sc->run[run].now_s - SETTLE_S,
	                                &asked, OVERLAP_S, &gaps, &n) == 0, "%s: %s", sc->name, when);
	HOLDS(n == 1 && gaps[0].provisional && gaps[0].from_s == sc->run[run].now_s - OVERLAP_S + 1,
	      "%s: %s: %zu gaps", sc->name, when, n);
	free(gaps);
	store_close(s);
	ck_assert_str_eq(tree_text(p, NAME "/.staging", &b), "");
	HOLDS(strstr(tree_text(p, NAME "/quarantine", &b), "soon") != NULL, "%s: %s", sc->name, when);
	buf_free(&b);
}

/* Does the run again, on what its end left, and then twice more: the first of these may still join ranges of
 * the ledger, the second changes nothing. */
static void
go_on(const struct place *p, const struct scenario *sc, unsigned run, const char *expected, const char *when)
{
	static unsigned calls;
	struct buf once, again;
	struct err e;
	int times = calls++ % 4 == 0 ? 3 : 1; /* one in four: it is three times the work */

	buf_init(&once, 1 << 24);
	buf_init(&again, 1 << 24);
	for (int i = 0; i < times; i++) {
		HOLDS(do_run(p, sc, run, &e) == 0, "%s run %u, %s, %d: %s", sc->name, run, when, i, e.text);
		if (i < 2)
			expect_whole(p, sc, run, expected, when);
		tree_text(p, ".", i < 2 ? &once : &again);
	}
	if (times == 3)
		same_text(once.data, again.data, sc, run, when);
	buf_free(&once);
	buf_free(&again);
}

/* Runs in a child that ends before step k. true: it came to step k. models: what is durable is to be known
 * afterwards. */
static bool
run_and_end(const struct scenario *sc, unsigned run, enum ending how, bool models, long k)
{
	struct err e;
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	HOLDS(pid >= 0, "%s", strerror(errno));
	if (pid == 0) {
		ending = how;
		modelled = models;
		steps_left = k;
		synced_fd = -1;
		file_step_hook = end_here;
		_exit(do_run(&work, sc, run, &e) == 0 ? 0 : 1);
	}
	HOLDS(waitpid(pid, &status, 0) == pid, "%s", strerror(errno));
	HOLDS(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == KILLED),
	      "%s run %u step %ld", sc->name, run, k);
	return WEXITSTATUS(status) == KILLED;
}

/* One ending before step k, and going on. false: there is no step k. */
static bool
end_at(const struct scenario *sc, unsigned run, enum ending how, unsigned torn, long k,
       const struct place *before, const char *expected)
{
	bool twice = how == TWICE || how == TWICE_TORN;
	const struct place *left = how == KILL ? &work : &lost;
	long j = how == TWICE_TORN ? (k + torn) % 7 : (k * 7 + torn * 9) % 29;
	char when[80];

	place_empty(&work);
	place_empty(&lost);
	place_empty(&shadow);
	copy_tree(before->fd, work.fd);
	disk->n = 0;
	torn_seed = (uint64_t)k * 1000 + torn * 100 + how * 10 + run;
	if (how != KILL)
		sync_tree(work.fd);
	if (!run_and_end(sc, run, twice ? KILL : how, how != KILL, k))
		return false;
	if (how == KILL && k % 2 == 1) /* ended again while it repairs */
		run_and_end(sc, run, KILL, false, j);
	if (twice && !run_and_end(sc, run, how == TWICE ? POWER_LOSS : TORN, true, j))
		return true;
	snprintf(when, sizeof(when), "%s before step %ld", ending_names[how], k);
	go_on(left, sc, run, expected, when);
	return true;
}

static void
end_everywhere(const struct scenario *sc, unsigned run, const struct place *before, const char *expected)
{
	long k, ended = 0;
	bool more = true;

	for (k = 0; more; k += STRIDE) {
		more = false;
		for (int how = 0; how < N_ENDINGS; how++)
			for (unsigned i = 0; i < (how >= TWICE ? sc->times : 1); i++) {
				if (!end_at(sc, run, (enum ending)how, i, k, before, expected))
					continue;
				more = true;
				ended++;
			}
	}
	printf("%s, run %u: %ld steps, ended %ld times\n", sc->name, run, k - STRIDE, ended);
	HOLDS(k >= 8, "%s: %ld steps", sc->name, k);
}

static long fail_at;
static int fail_with;

static int
fail_here(const char *kind, int fd, const char *what)
{
	(void)kind;
	(void)fd;
	(void)what;
	return fail_at-- == 0 ? fail_with : 0;
}

static void
fail_everywhere(const struct scenario *sc, unsigned run, const struct place *before, const char *expected)
{
	struct err e;
	char when[80];
	int rc;

	for (long k = 0;; k++) {
		place_empty(&work);
		copy_tree(before->fd, work.fd);
		fail_at = k;
		fail_with = k % 2 == 0 ? ENOSPC : EIO;
		file_step_hook = fail_here;
		rc = do_run(&work, sc, run, &e);
		file_step_hook = NULL;
		if (fail_at >= 0)
			break;
		HOLDS(rc == -1 && e.code == ERR_IO, "%s run %u: step %ld failed, unnoticed", sc->name, run, k);
		HOLDS(strstr(e.text, strerror(fail_with)) != NULL, "%s", e.text);
		snprintf(when, sizeof(when), "failed in step %ld", k);
		go_on(&work, sc, run, expected, when);
	}
}

static void
starve_everywhere(const struct scenario *sc, unsigned run, const struct place *before, const char *expected)
{
	struct err e;
	char when[80];
	int rc, failed = 0;

	for (long k = 0;; k += 1 + k / 40) {
		place_empty(&work);
		copy_tree(before->fd, work.fd);
		alloc_fails_after = k;
		rc = do_run(&work, sc, run, &e);
		if (alloc_fails_after >= 0)
			break;
		HOLDS((rc != 0) == err_is(&e), "%s run %u, allocation %ld: %s", sc->name, run, k, e.text);
		failed += rc != 0;
		snprintf(when, sizeof(when), "without memory at %ld", k);
		go_on(&work, sc, run, expected, when);
	}
	alloc_fails_after = -1;
	ck_assert_int_ge(failed, 10); /* a buffer that cannot be had in one size may be had in another */
}

static void
each_run(const struct scenario *sc,
         void (*test)(const struct scenario *sc, unsigned run, const struct place *before, const char *expected))
{
	struct place before = { "", -1 }, after = { "", -1 };
	struct buf expected;
	struct err e;

	place_open(&before);
	place_open(&after);
	place_open(&work);
	place_open(&lost);
	place_open(&shadow);
	disk = mmap(NULL, sizeof(*disk), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	HOLDS(disk != MAP_FAILED, "%s", strerror(errno));
	buf_init(&expected, 1 << 24);
	make_events(test_seed());
	for (unsigned run = 0; run < sc->n_runs; run++) {
		place_empty(&after);
		copy_tree(before.fd, after.fd);
		HOLDS(do_run(&after, sc, run, &e) == 0, "%s: %s", sc->name, e.text);
		tree_text(&after, NAME "/events", &expected);
		expect_whole(&after, sc, run, expected.data, "undisturbed");
		if (run >= sc->from_run)
			test(sc, run, &before, expected.data);
		place_empty(&before);
		copy_tree(after.fd, before.fd);
	}
	buf_free(&expected);
	for (unsigned i = 0; i < N_HELD; i++)
		test_event_free(&events[i]);
	place_close(&before);
	place_close(&after);
	place_close(&work);
	place_close(&lost);
	place_close(&shadow);
	munmap(disk, sizeof(*disk));
}

START_TEST(ended_before_each_step)
{
	each_run(&scenarios[_i], end_everywhere);
}
END_TEST

START_TEST(each_step_fails)
{
	each_run(&scenarios[_i], fail_everywhere);
}
END_TEST

START_TEST(each_allocation_fails)
{
	each_run(&scenarios[_i], starve_everywhere);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("store, ended anywhere");
	TCase *t = tcase_create("store, ended anywhere");
	SRunner *runner;
	int failed;

	tcase_set_timeout(t, 240);
	tcase_add_loop_test(t, ended_before_each_step, 0, N_SCENARIOS);
	tcase_add_loop_test(t, each_step_fails, 0, N_SCENARIOS);
	tcase_add_loop_test(t, each_allocation_fails, 0, N_SCENARIOS);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
