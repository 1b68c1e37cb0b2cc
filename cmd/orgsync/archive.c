#include "cmd/orgsync/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/file.h"

int
archive_open(const struct conf *conf, int *ret_dirfd, struct err *e)
{
	struct stat st;
	int fd;

	if (lstat(conf->directory, &st) != 0 && (errno == ENOENT || errno == ENOTDIR))
		return 1;
	fd = file_open_dir(AT_FDCWD, conf->directory, 0, conf->directory, e);
	if (fd < 0)
		return -1;
	*ret_dirfd = fd;
	return 0;
}

static struct store *
open_org(const struct conf *conf, const struct conf_org *org, int dirfd, bool repair, struct err *e)
{
	struct store_options options = {
		.dirfd = dirfd,
		.name = org->name,
		.org_id = org->org_id,
		.suffix = conf->compression == CONF_COMPRESSION_ZSTD   ? LEDGER_ZSTD
		          : conf->compression == CONF_COMPRESSION_GZIP ? LEDGER_GZIP
		                                                       : LEDGER_PLAIN,
		.overlap_s = org->overlap_s,
		.read_only = !repair,
		.repair = repair,
	};

	return store_open(&options, e);
}

struct store *
archive_open_org(const struct conf *conf, const struct conf_org *org, int dirfd, struct err *e)
{
	return open_org(conf, org, dirfd, false, e);
}

struct store *
archive_open_damaged(const struct conf *conf, const struct conf_org *org, int dirfd, struct err *e)
{
	return open_org(conf, org, dirfd, true, e);
}

struct sync_options
archive_sync_options(const struct conf_org *org)
{
	struct sync_options options = {
		.name = org->name,
		.start = org->start == CONF_START_ALL  ? SYNC_START_ALL
		         : org->start == CONF_START_AT ? SYNC_START_AT
		                                       : SYNC_START_SINCE,
		.start_s = org->start_s,
		.settle_s = org->settle_s,
		.overlap_s = org->overlap_s,
		.asked = { org->event_types, org->n_event_types, org->include_raw },
	};

	return options;
}

int
archive_state(const struct ledger *ledger, const struct conf_org *org, int64_t now_s,
              struct archive_state *ret)
{
	struct sync_options options = archive_sync_options(org);
	struct archive_state s = { 0 };
	struct gap *gaps;
	size_t n;

	if (sync_plan(&options, ledger, now_s, &gaps, &n, &s.wanted_from_s, &s.wanted_to_s) != 0)
		return -1;
	free(gaps); /* they join what is missing with what is to be read again */
	s.empty = true;
	for (size_t i = 0; i < ledger->n_covered; i++) {
		const struct covered *c = &ledger->covered[i];

		if (!question_covers(&c->asked, &options.asked))
			continue;
		if (s.empty)
			s.from_s = c->from_s;
		s.to_s = c->to_s;
		s.empty = false;
	}
	gaps = NULL;
	n = 0;
	if (s.wanted_from_s < s.to_s && ledger_missing(ledger, s.wanted_from_s, s.to_s, &options.asked,
	                                               options.overlap_s, &gaps, &n) != 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		s.gaps += !gaps[i].provisional;
	free(gaps);
	s.lag_s = s.wanted_to_s - (s.empty ? s.wanted_from_s : s.to_s);
	if (s.lag_s < 0)
		s.lag_s = 0;
	for (size_t i = 0; i < ledger->n_days; i++)
		s.events += ledger->days[i].events;
	s.days = ledger->n_days;
	s.untouched = ledger->n_covered == 0 && ledger->n_days == 0;
	*ret = s;
	return 0;
}
