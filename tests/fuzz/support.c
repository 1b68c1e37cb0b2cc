#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/utf8.h"
#include "tests/fuzz/fuzz.h"

static char dir_path[200];
static int dir_fd = -1;
static pid_t dir_owner;

_Noreturn void
fuzz_failed(const char *file, int line, const char *condition)
{
	fprintf(stderr, "%s:%d: not so: %s\n", file, line, condition);
	abort();
}

char *
fuzz_copy(const void *bytes, size_t len)
{
	char *copy = malloc(len);

	MUST(copy != NULL || len == 0);
	if (len > 0)
		memcpy(copy, bytes, len);
	return copy;
}

bool
fuzz_is_line(const char *text)
{
	const char *end = text + strlen(text);
	size_t len;

	for (; text < end; text += len) {
		len = utf8_len(text, end);
		if (len == 0 || (unsigned char)*text < 0x20 || *text == 0x7f)
			return false;
	}
	return true;
}

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	return at->level == 0 ? 0 : remove(path);
}

void
fuzz_empty_dir(void)
{
	MUST(nftw(fuzz_dir(), remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0);
}

static void
remove_dir(void)
{
	if (getpid() != dir_owner) /* a fork of the fuzzer's */
		return;
	nftw(dir_path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	rmdir(dir_path);
}

const char *
fuzz_dir(void)
{
	const char *tmp = getenv("TMPDIR");

	if (dir_fd >= 0)
		return dir_path;
	if (tmp == NULL)
		tmp = access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : "/tmp";
	snprintf(dir_path, sizeof(dir_path), "%s/orgsync-fuzz-XXXXXX", tmp);
	MUST(mkdtemp(dir_path) != NULL);
	dir_fd = openat(AT_FDCWD, dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	MUST(dir_fd >= 0);
	dir_owner = getpid();
	atexit(remove_dir);
	return dir_path;
}

int
fuzz_dirfd(void)
{
	fuzz_dir();
	return dir_fd;
}

void
fuzz_write(const char *name, const void *bytes, size_t len)
{
	char path[200];
	const char *p = bytes;
	ssize_t n;
	int fd;

	for (const char *slash = strchr(name, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		snprintf(path, sizeof(path), "%.*s", (int)(slash - name), name);
		MUST(mkdirat(fuzz_dirfd(), path, 0700) == 0 || errno == EEXIST);
	}
	fd = openat(fuzz_dirfd(), name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	MUST(fd >= 0);
	while (len > 0) {
		n = write(fd, p, len);
		MUST(n > 0);
		p += n;
		len -= (size_t)n;
	}
	close(fd);
}

char *
fuzz_read(const char *name, size_t *ret_len)
{
	int fd = openat(fuzz_dirfd(), name, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char *bytes;

	if (fd < 0)
		return NULL;
	MUST(fstat(fd, &st) == 0);
	bytes = malloc((size_t)st.st_size + 1);
	MUST(bytes != NULL && read(fd, bytes, (size_t)st.st_size) == st.st_size);
	close(fd);
	*ret_len = (size_t)st.st_size;
	return bytes;
}
