/* disk_faults.so: a library to be preloaded into the real program, whose disk and whose clock then fail as told.
 * For tests/func/test_disk.py.
 *
 *   FAULTS       rules, separated by spaces: CALL=ERROR@PART[#N]. The calls open, mkdir, read, write, fsync, rename
 *                and unlink of paths that contain PART (that end in it, where it ends in $) fail with that errno
 *                (EIO, ENOSPC, …), from the N-th of them on; without #N from the first. #N! means the N-th alone:
 *                what fails once and then seems to work again. ERROR may be short: of each write half is taken.
 *   FAULTS_LOG   a file to which each of these calls goes that changed something, or failed: "CALL PATH RESULT".
 *   FAULTS_CLOCK seconds by which the wall clock is wrong.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define RULES_MAX 64
#define PATH_MAX_BYTES 1024

struct rule {
	char call[8], part[200];
	int error;                 /* 0: a short write */
	long from, n;              /* the from-th and on; met so far */
	bool once;
};

static struct rule rules[RULES_MAX];
static size_t n_rules;
static int log_fd = -1;
static long clock_off_s;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int (*next_openat)(int, const char *, int, ...);
static int (*next_mkdirat)(int, const char *, mode_t);
static ssize_t (*next_read)(int, void *, size_t);
static ssize_t (*next_write)(int, const void *, size_t);
static int (*next_fsync)(int);
static int (*next_renameat)(int, const char *, int, const char *);
static int (*next_unlinkat)(int, const char *, int);

static int
error_of(const char *name)
{
	static const struct { const char *name; int value; } all[] = {
		{ "EIO", EIO }, { "ENOSPC", ENOSPC }, { "EDQUOT", EDQUOT }, { "EMFILE", EMFILE }, { "ENFILE", ENFILE },
		{ "EROFS", EROFS }, { "EACCES", EACCES }, { "ENOENT", ENOENT }, { "short", 0 },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (strcmp(all[i].name, name) == 0)
			return all[i].value;
	fprintf(stderr, "disk_faults: no error %s\n", name);
	abort();
}

static void
read_rules(const char *text)
{
	char *copy = strdup(text), *rest = copy, *word, error[16], count[24];

	while (copy != NULL && (word = strsep(&rest, " ")) != NULL) {
		struct rule *r = &rules[n_rules];

		if (*word == '\0')
			continue;
		strcpy(count, "1");
		if (n_rules == RULES_MAX ||
		    sscanf(word, "%7[a-z]=%15[A-Za-z]@%199[^#]#%23s", r->call, error, r->part, count) < 3) {
			fprintf(stderr, "disk_faults: cannot read %s\n", word);
			abort();
		}
		r->error = error_of(error);
		r->from = strtol(count, NULL, 10);
		r->once = strchr(count, '!') != NULL;
		n_rules++;
	}
	free(copy);
}

/* The C library's own, or a sanitizer's. POSIX lets an object pointer be a function's. */
static void *
next(const char *name)
{
	void *found = dlsym(RTLD_NEXT, name);

	if (found == NULL)
		abort();
	return found;
}

static void
begin(void)
{
	const char *log = getenv("FAULTS_LOG"), *off = getenv("FAULTS_CLOCK"), *text = getenv("FAULTS");

	*(void **)&next_openat = next("openat");
	*(void **)&next_mkdirat = next("mkdirat");
	*(void **)&next_read = next("read");
	*(void **)&next_write = next("write");
	*(void **)&next_fsync = next("fsync");
	*(void **)&next_renameat = next("renameat");
	*(void **)&next_unlinkat = next("unlinkat");
	clock_off_s = off == NULL ? 0 : strtol(off, NULL, 10);
	if (text != NULL)
		read_rules(text);
	if (log != NULL)
		log_fd = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (log_fd >= 0) /* out of the way of limits that a test sets */
		log_fd = fcntl(log_fd, F_DUPFD_CLOEXEC, 20);
}

/* The path of `name` below fd; NULL: of fd itself. */
static char *
path_of(int fd, const char *name, char out[PATH_MAX_BYTES])
{
	char link[40];
	ssize_t len = 0;

	if ((name == NULL || name[0] != '/') && fd != AT_FDCWD) {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		len = readlink(link, out, PATH_MAX_BYTES - 1);
		if (len < 0)
			len = 0;
	}
	out[len] = '\0';
	if (name != NULL)
		snprintf(out + len, PATH_MAX_BYTES - (size_t)len, "%s%s", len > 0 ? "/" : "", name);
	return out;
}

static void
note(const char *call, const char *path, int result)
{
	char line[PATH_MAX_BYTES + 40];
	int saved = errno, len;

	if (log_fd >= 0) {
		len = snprintf(line, sizeof(line), "%s %s %d\n", call, path, result < 0 ? -saved : 0);
		syscall(SYS_write, log_fd, line, (size_t)len);
	}
	errno = saved;
}

static bool
is_part(const char *part, const char *path)
{
	size_t len = strlen(part), path_len = strlen(path);

	if (len == 0 || part[len - 1] != '$')
		return strstr(path, part) != NULL;
	return path_len >= len - 1 && memcmp(path + path_len - (len - 1), part, len - 1) == 0;
}

/* 0: go on; -1: a short write; else the errno to fail with. */
static int
fault_of(const char *call, const char *path)
{
	int found = 0;

	pthread_once(&once, begin);
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < n_rules && found == 0; i++) {
		struct rule *r = &rules[i];

		if (strcmp(r->call, call) != 0 || !is_part(r->part, path) || ++r->n < r->from ||
		    (r->once && r->n > r->from))
			continue;
		found = r->error == 0 ? -1 : r->error;
	}
	pthread_mutex_unlock(&lock);
	return found;
}

static bool
fails(const char *call, const char *path)
{
	int why = fault_of(call, path);

	if (why <= 0)
		return false;
	errno = why;
	note(call, path, -1);
	return true;
}

int
openat(int dirfd, const char *name, int flags, ...)
{
	char path[PATH_MAX_BYTES];
	mode_t mode = 0;
	va_list args;

	if ((flags & O_CREAT) != 0) {
		va_start(args, flags);
		mode = va_arg(args, mode_t);
		va_end(args);
	}
	return fails("open", path_of(dirfd, name, path)) ? -1 : next_openat(dirfd, name, flags, mode);
}

int
mkdirat(int dirfd, const char *name, mode_t mode)
{
	char path[PATH_MAX_BYTES];
	int rc;

	if (fails("mkdir", path_of(dirfd, name, path)))
		return -1;
	rc = next_mkdirat(dirfd, name, mode);
	note("mkdir", path, rc);
	return rc;
}

ssize_t
read(int fd, void *bytes, size_t size)
{
	char path[PATH_MAX_BYTES];

	return fails("read", path_of(fd, NULL, path)) ? -1 : next_read(fd, bytes, size);
}

ssize_t
write(int fd, const void *bytes, size_t len)
{
	char path[PATH_MAX_BYTES];
	ssize_t n;
	int why;

	path_of(fd, NULL, path);
	why = fault_of("write", path);
	if (why > 0) {
		errno = why;
		note("write", path, -1);
		return -1;
	}
	n = next_write(fd, bytes, why < 0 && len > 1 ? len / 2 : len);
	if (path[0] == '/')
		note("write", path, n < 0 ? -1 : 0);
	return n;
}

int
fsync(int fd)
{
	char path[PATH_MAX_BYTES];
	int rc;

	if (fails("fsync", path_of(fd, NULL, path)))
		return -1;
	rc = next_fsync(fd);
	note("fsync", path, rc);
	return rc;
}

int
renameat(int from_dirfd, const char *from, int to_dirfd, const char *to)
{
	char path[PATH_MAX_BYTES];
	int rc;

	if (fails("rename", path_of(to_dirfd, to, path)))
		return -1;
	rc = next_renameat(from_dirfd, from, to_dirfd, to);
	note("rename", path, rc);
	return rc;
}

int
unlinkat(int dirfd, const char *name, int flags)
{
	char path[PATH_MAX_BYTES];
	int rc;

	if (fails("unlink", path_of(dirfd, name, path)))
		return -1;
	rc = next_unlinkat(dirfd, name, flags);
	if (rc == 0)
		note("unlink", path, rc);
	return rc;
}

/* The clock ------------------------------------------------------------------------------------------- */

int
clock_gettime(clockid_t clock, struct timespec *ret)
{
	long rc = syscall(SYS_clock_gettime, clock, ret);

	pthread_once(&once, begin);
	if (rc == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
		ret->tv_sec += clock_off_s;
	return (int)rc;
}

time_t
time(time_t *ret)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (ret != NULL)
		*ret = now.tv_sec;
	return now.tv_sec;
}

int
gettimeofday(struct timeval *restrict ret, void *restrict zone)
{
	struct timespec now;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &now);
	*ret = (struct timeval){ now.tv_sec, now.tv_nsec / 1000 };
	return 0;
}
