#include "tests/unit/store_support.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/base/isotime.h"
#include "lib/store/dayfile.h"

uint64_t
test_seed(void)
{
	const char *given = getenv("ORGSYNC_TEST_SEED");
	uint64_t seed = given != NULL ? strtoull(given, NULL, 0) : UINT64_C(20251122);

	printf("ORGSYNC_TEST_SEED=%" PRIu64 "\n", seed);
	return seed;
}

void
place_open(struct place *p)
{
	const char *tmp = getenv("TMPDIR");

	if (tmp == NULL)
		tmp = access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : "/tmp";
	snprintf(p->path, sizeof(p->path), "%s/orgsync-store-XXXXXX", tmp);
	HOLDS(mkdtemp(p->path) != NULL, "%s", p->path);
	p->fd = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(p->fd, 0);
}

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	return at->level == 0 ? 0 : remove(path);
}

void
place_empty(struct place *p)
{
	HOLDS(nftw(p->path, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0, "%s", strerror(errno));
}

void
place_close(struct place *p)
{
	place_empty(p);
	close(p->fd);
	HOLDS(rmdir(p->path) == 0, "%s", strerror(errno));
}

struct event
test_event_of(const char *json)
{
	char *copy = strdup(json), scratch[EVENT_SCRATCH_SIZE];
	struct event_scan scan;

	HOLDS(copy != NULL, "memory");
	HOLDS(event_scan(copy, copy + strlen(copy), scratch, &scan) == copy + strlen(copy), "%s", json);
	HOLDS(scan.fault == EVENT_SOUND, "%s", json);
	if (scan.event.id == scratch) { /* escapes were resolved: keep the text, as a page would */
		char *id = malloc(scan.event.id_len);

		HOLDS(id != NULL, "memory");
		memcpy(id, scratch, scan.event.id_len);
		scan.event.id = id;
	}
	return scan.event;
}

struct event
test_event(unsigned id, int64_t created_s, unsigned fraction_ms, unsigned pad)
{
	char json[400], created[ISOTIME_LEN + 8], *end;

	isotime_format_s(created_s, created);
	end = created + ISOTIME_LEN - 1;
	if (fraction_ms != 0)
		snprintf(end, 8, ".%03uZ", fraction_ms % 1000);
	snprintf(json, sizeof(json), "{\"created\":\"%s\",\"id\":\"%024u\",\"n\":%u.50,\"pad\":\"%0*u\"}", created,
	         id, id, (int)pad, 0u);
	return test_event_of(json);
}

void
test_event_free(struct event *e)
{
	if (e->id < e->bytes || e->id >= e->bytes + e->len)
		free((void *)(uintptr_t)e->id);
	free((void *)(uintptr_t)e->bytes);
}

struct store *
test_open(const struct place *p, const char *name, enum ledger_suffix suffix)
{
	struct store_options o = { .dirfd = p->fd, .name = name, .org_id = ORG_A, .suffix = suffix,
		.overlap_s = 3600 };
	struct err e;
	struct store *s;

	err_clear(&e);
	s = store_open(&o, &e);
	HOLDS(s != NULL, "%s", e.text);
	return s;
}

void
test_put(struct store *s, const struct event *events, size_t n)
{
	struct err e;

	err_clear(&e);
	HOLDS(store_put(s, events, n, &e) == 0, "%s", e.text);
}

void
test_commit(struct store *s, int64_t from_s, int64_t to_s, int64_t as_of_s, bool finish)
{
	struct covered c = { from_s, to_s, as_of_s, INT64_MAX, { NULL, 0, true } };
	struct err e;

	err_clear(&e);
	HOLDS(store_commit(s, &c, from_s < to_s, finish, &e) == 0, "%s", e.text);
}

void
test_read_file(const struct place *p, const char *path, enum ledger_suffix suffix, struct buf *b)
{
	struct day_reader r;
	const char *bytes;
	struct err e;
	size_t len;
	int rc;

	err_clear(&e);
	day_reader_init(&r);
	HOLDS(day_reader_open(&r, p->fd, path, suffix, false, path, &e) == 0, "%s", e.text);
	while ((rc = day_reader_bytes(&r, UINT64_MAX, &bytes, &len, &e)) == 1)
		HOLDS(buf_append(b, bytes, len) == 0, "memory");
	HOLDS(rc == 0, "%s", e.text);
	day_reader_free(&r);
}

void
test_read_day(const struct place *p, const char *name, int64_t day_s, struct buf *b)
{
	char path[300], file[DAYFILE_NAME_MAX];
	unsigned found = 0;

	for (int i = LEDGER_PLAIN; i <= LEDGER_ZSTD; i++) {
		dayfile_name(day_s, (enum ledger_suffix)i, file);
		snprintf(path, sizeof(path), "%s/events/%.4s/%s", name, file, file);
		if (!test_exists(p, path))
			continue;
		HOLDS(found++ == 0, "%s has another suffix too", path);
		test_read_file(p, path, (enum ledger_suffix)i, b);
	}
}

bool
test_exists(const struct place *p, const char *path)
{
	struct stat st;

	return fstatat(p->fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

void
test_read(const struct place *p, const char *path, struct buf *b)
{
	struct err e;

	err_clear(&e);
	HOLDS(file_read_all(p->fd, path, b, path, &e) == 0, "%s: %s", path, e.text);
}

void
test_write(const struct place *p, const char *path, const void *bytes, size_t len)
{
	int fd = openat(p->fd, path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	HOLDS(fd >= 0, "%s: %s", path, strerror(errno));
	HOLDS(write(fd, bytes, len) == (ssize_t)len, "%s", path);
	close(fd);
}

static int
not_dot(const struct dirent *entry)
{
	return entry->d_name[0] != '.' || (entry->d_name[1] != '\0' && entry->d_name[1] != '.');
}

void
test_tree(const struct place *p, const char *path, struct buf *b)
{
	struct dirent **list = NULL;
	enum ledger_suffix suffix;
	char below[400];
	struct stat st;
	int64_t day_s;
	int n = scandirat(p->fd, path, &list, not_dot, alphasort);

	HOLDS(n >= 0, "%s", path);
	for (int i = 0; i < n; i++) {
		snprintf(below, sizeof(below), "%s/%s", path, list[i]->d_name);
		HOLDS(fstatat(p->fd, below, &st, AT_SYMLINK_NOFOLLOW) == 0, "%s", strerror(errno));
		HOLDS(buf_printf(b, "\n== %s\n", below) == 0, "memory");
		if (S_ISDIR(st.st_mode))
			test_tree(p, below, b);
		else if (dayfile_parse_name(list[i]->d_name, &day_s, &suffix))
			test_read_file(p, below, suffix, b);
		else
			test_read(p, below, b);
		free(list[i]);
	}
	free(list);
}
