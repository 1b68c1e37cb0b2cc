/* The reading half of record.h. */
#include "cmd/orgsync/record.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/file.h"
#include "lib/base/isotime.h"

#define RECORD_CAP_BYTES (64u << 20)
#define FUTURE_S 300         /* a stamp so far ahead is a wrong clock's */

static int
newest_first(const void *a, const void *b)
{
	/* STARTED-PID: of two that began in one second, that of the higher process id. */
	return strverscmp(*(char *const *)b, *(char *const *)a);
}

/* Does the name, which begins as 20261122T020000Z, say a time after limit_s? */
static bool
is_later(const char *name, int64_t limit_s)
{
	char stamp[ISOTIME_LEN + 1], compact[ISOTIME_LEN + 1] = "";
	size_t len = 0;

	isotime_format_s(limit_s, stamp);
	for (const char *p = stamp; *p != '\0'; p++)
		if (*p != '-' && *p != ':')
			compact[len++] = *p;
	return strncmp(name, compact, len) > 0;
}

static void
free_names(char **names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
}

/* The names below runs_dirfd that look like runs, up to limit_s, newest first. 0 or -1 (memory, disk). */
static int
list_runs(int runs_dirfd, int64_t limit_s, char ***ret_names, size_t *ret_n, struct err *e)
{
	int fd = dup(runs_dirfd);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	char **names = NULL, **more;
	struct dirent *entry;
	size_t n = 0;
	int failed = 0;

	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return err_set_errno(e, errno, ".orgsync/runs: cannot list the directory");
	}
	rewinddir(dir);
	while (!failed && (entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] < '0' || entry->d_name[0] > '9' || is_later(entry->d_name, limit_s))
			continue;
		more = reallocarray(names, n + 1, sizeof(*names));
		failed = more == NULL;
		if (!failed) {
			names = more;
			names[n] = strdup(entry->d_name);
			failed = names[n] == NULL;
			n += !failed;
		}
	}
	closedir(dir);
	if (failed) {
		free_names(names, n);
		return err_set_errno(e, ENOMEM, ".orgsync/runs");
	}
	if (n > 0)
		qsort(names, n, sizeof(*names), newest_first);
	*ret_names = names;
	*ret_n = n;
	return 0;
}

/* Reads one record. NULL with *ret_unreadable false where the run left none. */
static json_t *
read_report(int runs_dirfd, const char *run, bool *ret_unreadable)
{
	struct buf b;
	json_t *report = NULL;
	int fd = openat(runs_dirfd, run, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), got;

	*ret_unreadable = fd < 0;
	if (fd < 0)
		return NULL;
	buf_init(&b, RECORD_CAP_BYTES);
	got = file_read_all(fd, "report.json", &b, run, NULL);
	if (got == 0)
		report = json_loadb(b.data == NULL ? "" : b.data, b.len, JSON_REJECT_DUPLICATES, NULL);
	buf_free(&b);
	close(fd);
	*ret_unreadable = got < 0 || (got == 0 && report == NULL);
	return report;
}

static int64_t
time_of(const json_t *value)
{
	const char *text = json_string_value(value);
	int64_t ns;

	if (text == NULL || isotime_parse(text, strlen(text), &ns) != 0)
		return -1;
	return isotime_second(ns);
}

static void
copy_text(char *out, size_t size, const json_t *value)
{
	const char *text = json_string_value(value);

	snprintf(out, size, "%s", text == NULL ? "" : text);
}

/* Takes what one record says of one organization, unless a newer one said it already. */
static void
take(const json_t *entry, int64_t run_ended_s, struct record_last *last)
{
	const char *outcome = json_string_value(json_object_get(entry, "outcome"));
	const json_t *error = json_object_get(entry, "error");
	int64_t ended_s = time_of(json_object_get(entry, "ended"));

	if (ended_s < 0)
		ended_s = run_ended_s;
	if (outcome == NULL || ended_s < 0)
		return;
	if (strcmp(outcome, "up_to_date") == 0 && last->success_s < 0) {
		last->success_s = ended_s;
		if (ended_s > last->error_s)
			last->error_stands = false;
	}
	if (strcmp(outcome, "failed") == 0 && last->error_s < 0) {
		last->error_s = ended_s;
		last->error_stands = ended_s > last->success_s;
		copy_text(last->code, sizeof(last->code), json_object_get(error, "code"));
		copy_text(last->text, sizeof(last->text), json_object_get(error, "text"));
		copy_text(last->hint, sizeof(last->hint), json_object_get(error, "hint"));
	}
}

struct wanted { const struct conf_org *org; struct record_last *last; };

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct wanted *)a)->org->name, ((const struct wanted *)b)->org->name);
}

static void
take_report(const json_t *report, const struct wanted *wanted, size_t n)
{
	const json_t *entries = json_object_get(report, "organizations"), *entry;
	int64_t ended_s = time_of(json_object_get(report, "ended"));
	size_t i;

	json_array_foreach(entries, i, entry) {
		struct conf_org key_org = { 0 };
		struct wanted key = { &key_org, NULL }, *found;
		const char *name = json_string_value(json_object_get(entry, "name"));
		const char *org_id = json_string_value(json_object_get(entry, "org_id"));

		if (name == NULL || org_id == NULL)
			continue;
		key_org.name = (char *)(uintptr_t)name;
		found = bsearch(&key, wanted, n, sizeof(*wanted), by_name);
		if (found != NULL && strcmp(found->org->org_id, org_id) == 0)
			take(entry, ended_s, found->last);
	}
}

static bool
all_known(const struct record_last *last, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (last[i].success_s < 0 || last[i].error_s < 0)
			return false;
	return true;
}

/* Opens .orgsync/runs. 0; 1 where there is none; -1. */
static int
open_runs(int dirfd, int *ret_fd, struct err *e)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int private_fd = openat(dirfd, ".orgsync", flags), fd;

	if (private_fd < 0)
		return errno == ENOENT ? 1 : err_set_errno(e, errno, ".orgsync: cannot open the directory");
	fd = openat(private_fd, "runs", flags);
	if (fd < 0 && errno != ENOENT)
		err_set_errno(e, errno, ".orgsync/runs: cannot open the directory");
	close(private_fd);
	if (fd < 0)
		return e != NULL && err_is(e) ? -1 : 1;
	*ret_fd = fd;
	return 0;
}

int
record_last(int dirfd, const struct conf_org *const *orgs, size_t n, int64_t now_s, struct record_last *ret,
            size_t *ret_unreadable, struct err *e)
{
	struct wanted *wanted;
	char **names = NULL;
	size_t n_names = 0, unreadable = 0;
	bool broken;
	int fd = -1, opened;

	for (size_t i = 0; i < n; i++) {
		memset(&ret[i], 0, sizeof(ret[i]));
		ret[i].success_s = ret[i].error_s = -1;
	}
	*ret_unreadable = 0;
	opened = open_runs(dirfd, &fd, e);
	if (opened != 0)
		return opened < 0 ? -1 : 0;
	wanted = calloc(n + 1, sizeof(*wanted));
	if (wanted == NULL || list_runs(fd, now_s + FUTURE_S, &names, &n_names, e) != 0) {
		free(wanted);
		close(fd);
		return err_set_errno(e, ENOMEM, ".orgsync/runs");
	}
	for (size_t i = 0; i < n; i++) {
		wanted[i].org = orgs[i];
		wanted[i].last = &ret[i];
	}
	qsort(wanted, n, sizeof(*wanted), by_name);
	for (size_t i = 0; i < n_names && i < RECORD_LOOK_BACK && !all_known(ret, n); i++) {
		json_t *report = read_report(fd, names[i], &broken);

		unreadable += broken;
		take_report(report, wanted, n);
		json_decref(report);
	}
	free_names(names, n_names);
	free(wanted);
	close(fd);
	*ret_unreadable = unreadable;
	return 0;
}
