#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/base/isotime.h"
#include "lib/store/store_private.h"

void
years_init(struct years *y)
{
	memset(y, 0, sizeof(*y));
	y->events_fd = -1;
}

void
years_free(struct years *y)
{
	for (size_t i = 0; i < y->n; i++)
		close(y->of[i].fd);
	free(y->of);
	if (y->events_fd >= 0)
		close(y->events_fd);
	years_init(y);
}

static void
year_name(int64_t day_s, char name[5])
{
	char day[11];

	isotime_format_day(day_s, day);
	memcpy(name, day, 4);
	name[4] = '\0';
}

static bool
is_missing(int dirfd, const char *name)
{
	struct stat st;

	return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT;
}

/* True where a day file of that year is in the ledger, so that its directory is known to be durable. */
static bool
year_has_days(const struct store *s, const char *year)
{
	char name[5];

	for (size_t i = s->ledger.n_days; i > 0; i--) {
		year_name(s->ledger.days[i - 1].day_s, name);
		if (strcmp(name, year) == 0)
			return true;
	}
	return false;
}

int
years_open(struct years *y, const struct store *s, int64_t day_s, bool make, struct err *e)
{
	char name[5], what[STORE_WHAT_MAX], rest[16] = "events/";
	void *of;
	int fd;

	year_name(day_s, name);
	for (size_t i = 0; i < y->n; i++)
		if (strcmp(y->of[i].name, name) == 0)
			return y->of[i].fd;
	if (y->events_fd < 0) {
		if (!make && is_missing(s->dirfd, "events"))
			return -2;
		y->events_fd = file_open_dir(s->dirfd, "events", make, store_what(s, "events", what), e);
		if (y->events_fd < 0)
			return -1;
	}
	store_what(s, strcat(rest, name), what);
	if (!make && is_missing(y->events_fd, name))
		return -2;
	of = realloc(y->of, (y->n + 1) * sizeof(*y->of));
	if (of == NULL)
		return err_set_errno(e, ENOMEM, "%s", what);
	y->of = of;
	fd = file_open_dir(y->events_fd, name, make, what, e);
	if (fd < 0)
		return -1;
	memcpy(y->of[y->n].name, name, 5);
	y->of[y->n].fd = fd;
	y->of[y->n++].changed = false;
	/* Made by a process that ended before its fsync, it would be there and yet not durable. */
	if (make && !year_has_days(s, name) && file_sync(y->events_fd, what, e) != 0)
		return -1;
	return fd;
}

void
years_changed(struct years *y, int64_t day_s)
{
	char name[5];

	year_name(day_s, name);
	for (size_t i = 0; i < y->n; i++)
		if (strcmp(y->of[i].name, name) == 0)
			y->of[i].changed = true;
}

int
years_sync(struct years *y, const struct store *s, struct err *e)
{
	char what[STORE_WHAT_MAX], rest[16];

	for (size_t i = 0; i < y->n; i++) {
		if (!y->of[i].changed)
			continue;
		strcpy(rest, "events/");
		if (file_sync(y->of[i].fd, store_what(s, strcat(rest, y->of[i].name), what), e) != 0)
			return -1;
		y->of[i].changed = false;
	}
	return 0;
}
